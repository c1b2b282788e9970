/*
 * turn.sql: a whole turn in two calls
 */
CREATE FUNCTION @extschema@.airun_start_turn(
	run_id uuid DEFAULT NULL,
	messages jsonb DEFAULT NULL,
	task_id uuid DEFAULT NULL,
	service text DEFAULT NULL,
	task_name text DEFAULT NULL,
	provider text DEFAULT NULL,
	endpoint text DEFAULT NULL,
	model_id text DEFAULT NULL,
	request_data jsonb DEFAULT NULL,
	metadata jsonb DEFAULT NULL,
	run jsonb DEFAULT NULL,
	timeout interval DEFAULT NULL)
RETURNS json
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_start_turn IS
'Appends the messages that go in (an object, an array or none) and creates the task, in one step
With run, an object of airun_create_run''s parameters, the run itself is created when it does not '
'exist yet.  The same task_id again returns the same turn.';

CREATE FUNCTION @extschema@.airun_finish_turn(
	task_id uuid,
	message jsonb DEFAULT NULL,
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
RETURNS json
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_finish_turn IS
'Completes the task and appends the message that comes out, in one step
Without message, the assistant message is made from the text, or else taken from response_data.  '
'The same call again returns the same turn.';
