/*
 * json_text.sql: JSON that jsonb refuses, repaired
 */
CREATE FUNCTION @extschema@.airun_json(document text) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_json(text) IS
'Parses JSON and repairs what jsonb refuses: \u0000 and lone surrogates become U+FFFD';
