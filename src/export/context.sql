/*
 * context.sql: what a model is sent to continue a run
 */
CREATE FUNCTION @extschema@.airun_context(
	run_id uuid,
	max_tokens bigint DEFAULT NULL,
	max_messages bigint DEFAULT NULL,
	for_provider text DEFAULT 'openai')
RETURNS json
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_context IS
'The messages to send to a model to continue a run, within limits, and what was left out
for_provider is openai, responses, anthropic or gemini.  The oldest turns are left out first; '
'system messages at the beginning stay.';
