/*
 * task.sql: one request to a model
 */
CREATE FUNCTION @extschema@.airun_create_task(
	run_id uuid,
	task_id uuid DEFAULT NULL,
	service text DEFAULT NULL,
	task_name text DEFAULT NULL,
	provider text DEFAULT NULL,
	endpoint text DEFAULT NULL,
	model_id text DEFAULT NULL,
	request_data jsonb DEFAULT NULL,
	metadata jsonb DEFAULT NULL,
	timeout interval DEFAULT NULL)
RETURNS @extschema@.ai_task_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_create_task IS
'Creates a task in a run
The same task_id again returns the same task.  After timeout without progress, or else '
'airun.task_timeout, it is overdue.';
