/*
 * usage.sql: what a request has used, in disjoint buckets
 */
CREATE FUNCTION @extschema@.airun_normalize_usage(usage jsonb, provider text DEFAULT NULL)
RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_normalize_usage(jsonb, text) IS
'A provider''s usage object as disjoint buckets (input, cache_read, cache_write_5m, cache_write_1h, input_audio, output, reasoning, requests, ...) with the totals tokens_input, tokens_output and tokens_total
Understands OpenAI Chat and Responses, Anthropic, Gemini, the AI SDK, OpenTelemetry attributes and buckets themselves; what is zero is left out.  PT422 for numbers that cannot be.';
