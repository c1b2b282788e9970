/*
 * lease.sql: tasks that show no progress
 */
CREATE FUNCTION @extschema@.airun_heartbeat_task(task_id uuid, run_id uuid DEFAULT NULL)
RETURNS @extschema@.ai_task_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_heartbeat_task IS
'Says that a task is still being worked on, without any text
For a finished task it changes nothing.';

CREATE FUNCTION @extschema@.airun_expire_tasks(max_tasks bigint DEFAULT 1000) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_expire_tasks IS
'Ends tasks that have shown no progress for their timeout as error, keeping their text; '
'returns how many
At most max_tasks in one call, and none that somebody holds at the moment.';

CREATE FUNCTION @extschema@.airun_is_overdue(
	status text,
	last_progress timestamptz,
	timeout interval)
RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_is_overdue(text, timestamptz, interval) IS
'Has a task shown no progress for its timeout, or else for airun.task_timeout?';
