/*
 * export.sql: a run taken out, in the forms that others read
 */
CREATE FUNCTION @extschema@.airun_export(
	run_id uuid,
	format text DEFAULT 'openai')
RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_export IS
'A run as a document that other systems read: JSON on one line, or Markdown
format is openai, responses, anthropic, gemini, ai-sdk, sharegpt, otel, markdown or airun, which '
'alone loses nothing.';
