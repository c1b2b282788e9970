/*
 * usage.sql: what a request has used, in disjoint buckets
 */
CREATE FUNCTION @extschema@.airun_normalize_usage(usage jsonb, provider text DEFAULT NULL)
RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_normalize_usage(jsonb, text) IS
'A provider''s usage object as disjoint buckets (input, cache_read, cache_write_5m, '
'cache_write_1h, input_audio, output, reasoning, requests, ...) with the totals tokens_input, '
'tokens_output and tokens_total
Understands what providers and libraries send, whole answers included, and what '
'airun.usage_shapes adds; what is zero is left out.  Nothing but JSON is asked for: where it '
'contradicts itself the larger figure is counted, and doubts says why.';
