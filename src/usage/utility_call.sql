/*
 * utility_call.sql: calls of models and tools that belong to no run
 */
CREATE FUNCTION @extschema@.airun_meter(
	call_id uuid DEFAULT NULL,
	service text DEFAULT NULL,
	task_name text DEFAULT NULL,
	provider text DEFAULT NULL,
	endpoint text DEFAULT NULL,
	model_id text DEFAULT NULL,
	usage jsonb DEFAULT NULL,
	tokens_input bigint DEFAULT NULL,
	tokens_output bigint DEFAULT NULL,
	tokens_total bigint DEFAULT NULL,
	cost double precision DEFAULT NULL,
	time_to_first_token double precision DEFAULT NULL,
	total_time double precision DEFAULT NULL,
	status text DEFAULT 'completed',
	kind text DEFAULT 'call',
	source_type text DEFAULT NULL,
	served_model text DEFAULT NULL,
	service_tier text DEFAULT NULL,
	billed boolean DEFAULT NULL,
	provider_cost double precision DEFAULT NULL,
	error_code text DEFAULT NULL,
	metadata jsonb DEFAULT NULL)
RETURNS @extschema@.ai_call
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_meter IS
'Records a call of a model or a tool that belongs to no run, after the fact: what it has used and '
'cost, and none of its text
Times are in milliseconds.  The same call_id again returns the same call, and adds '
'what it lacked.';

CREATE FUNCTION @extschema@.airun_start_call(
	call_id uuid DEFAULT NULL,
	service text DEFAULT NULL,
	task_name text DEFAULT NULL,
	provider text DEFAULT NULL,
	endpoint text DEFAULT NULL,
	model_id text DEFAULT NULL,
	kind text DEFAULT 'call',
	source_type text DEFAULT NULL,
	metadata jsonb DEFAULT NULL,
	timeout interval DEFAULT NULL)
RETURNS @extschema@.ai_call
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_start_call IS
'Begins a call of a model or a tool that belongs to no run; airun_end_call() ends it
A call that has not ended within timeout, or else airun.task_timeout, is overdue: '
'airun_expire_calls() ends it.';

CREATE FUNCTION @extschema@.airun_end_call(
	call_id uuid,
	usage jsonb DEFAULT NULL,
	tokens_input bigint DEFAULT NULL,
	tokens_output bigint DEFAULT NULL,
	tokens_total bigint DEFAULT NULL,
	cost double precision DEFAULT NULL,
	time_to_first_token double precision DEFAULT NULL,
	total_time double precision DEFAULT NULL,
	status text DEFAULT 'completed',
	served_model text DEFAULT NULL,
	service_tier text DEFAULT NULL,
	billed boolean DEFAULT NULL,
	provider_cost double precision DEFAULT NULL,
	error_code text DEFAULT NULL)
RETURNS @extschema@.ai_call
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_end_call IS
'Ends a call as completed, error or cancelled, with what it has used and cost
Times are in milliseconds; without total_time the server''s clock counts.  The same again returns '
'the same call, and adds what it lacked.';

CREATE FUNCTION @extschema@.airun_expire_calls(max_calls bigint DEFAULT 1000) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_expire_calls IS
'Ends calls that have been begun and not ended in time as error; returns how many
At most max_calls of the caller''s, or of everybody''s for a role that row security does not '
'bind, and none that somebody holds at the moment.';
