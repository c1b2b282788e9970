/*
 * get_run.sql: what a client loads to continue a run
 */
CREATE FUNCTION @extschema@.airun_get_run(
	run_id uuid,
	max_messages bigint DEFAULT NULL,
	include_requests boolean DEFAULT false)
RETURNS json
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_get_run IS
'The run with its messages and tasks, in one round trip
max_messages loads only the newest; first_seq is the place of the first one loaded.  A task''s '
'response_text is there until the task is completed; include_requests adds request_data, '
'response_text and response_data of every task.';
