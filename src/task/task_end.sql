/*
 * task_end.sql: the end of a task
 */
CREATE FUNCTION @extschema@.airun_complete_task(
	task_id uuid,
	response_text text DEFAULT NULL,
	usage jsonb DEFAULT NULL,
	tokens_input bigint DEFAULT NULL,
	tokens_output bigint DEFAULT NULL,
	tokens_total bigint DEFAULT NULL,
	cost double precision DEFAULT NULL,
	time_to_first_token double precision DEFAULT NULL,
	total_time double precision DEFAULT NULL,
	response_data jsonb DEFAULT NULL,
	finish_reason text DEFAULT NULL,
	served_model text DEFAULT NULL,
	service_tier text DEFAULT NULL,
	billed boolean DEFAULT NULL,
	provider_cost double precision DEFAULT NULL,
	run_id uuid DEFAULT NULL)
RETURNS @extschema@.ai_task_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_complete_task IS
'Ends a task as completed and rolls its totals up to the run
Times are in milliseconds, fractions allowed; without them the server''s clock counts.  The same '
'call again returns the finished task.';

CREATE FUNCTION @extschema@.airun_fail_task(
	task_id uuid,
	error jsonb DEFAULT NULL,
	usage jsonb DEFAULT NULL,
	response_text text DEFAULT NULL,
	tokens_input bigint DEFAULT NULL,
	tokens_output bigint DEFAULT NULL,
	tokens_total bigint DEFAULT NULL,
	cost double precision DEFAULT NULL,
	time_to_first_token double precision DEFAULT NULL,
	total_time double precision DEFAULT NULL,
	response_data jsonb DEFAULT NULL,
	finish_reason text DEFAULT NULL,
	served_model text DEFAULT NULL,
	service_tier text DEFAULT NULL,
	billed boolean DEFAULT NULL,
	provider_cost double precision DEFAULT NULL,
	run_id uuid DEFAULT NULL)
RETURNS @extschema@.ai_task_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_fail_task IS
'Ends a task as error, keeping the text so far and whatever usage is known
The run is set to error too, unless it is completed.';

CREATE FUNCTION @extschema@.airun_cancel_task(
	task_id uuid,
	response_text text DEFAULT NULL,
	usage jsonb DEFAULT NULL,
	tokens_input bigint DEFAULT NULL,
	tokens_output bigint DEFAULT NULL,
	tokens_total bigint DEFAULT NULL,
	cost double precision DEFAULT NULL,
	time_to_first_token double precision DEFAULT NULL,
	total_time double precision DEFAULT NULL,
	response_data jsonb DEFAULT NULL,
	finish_reason text DEFAULT NULL,
	served_model text DEFAULT NULL,
	service_tier text DEFAULT NULL,
	billed boolean DEFAULT NULL,
	provider_cost double precision DEFAULT NULL,
	run_id uuid DEFAULT NULL)
RETURNS @extschema@.ai_task_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_cancel_task IS
'Ends a task as cancelled, keeping the text so far and whatever usage is known';
