/*
 * import.sql: conversations of other systems, brought in
 */
CREATE TYPE @extschema@.ai_imported AS (
	"position" integer,
	run_id uuid,
	name text,
	message_count bigint,
	fork_count bigint,
	problem text);
COMMENT ON TYPE @extschema@.ai_imported IS
'What has become of an entry of a document: the run, or the problem';
COMMENT ON COLUMN @extschema@.ai_imported."position" IS
'Which entry it is, from 0: its place in the array, or its line';
COMMENT ON COLUMN @extschema@.ai_imported.run_id IS
'The run that it has become';
COMMENT ON COLUMN @extschema@.ai_imported.name IS
'The run''s name: the source''s, or made from the first user message';
COMMENT ON COLUMN @extschema@.ai_imported.message_count IS
'How many messages the run has';
COMMENT ON COLUMN @extschema@.ai_imported.fork_count IS
'How many other branches have become runs';
COMMENT ON COLUMN @extschema@.ai_imported.problem IS
'Why it has become none';

CREATE FUNCTION @extschema@.airun_import(
	document text,
	format text DEFAULT NULL,
	for_user uuid DEFAULT NULL)
RETURNS SETOF @extschema@.ai_imported
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100;
COMMENT ON FUNCTION @extschema@.airun_import IS
'Brings in conversations of other systems: exports of ChatGPT, Claude, Open WebUI, LibreChat, '
'Google AI Studio and Gemini; lists of messages of OpenAI, Anthropic, Gemini, ShareGPT, Hugging '
'Face, AI SDK, LangChain, Mastra; spans of OpenTelemetry; rows of the original application
JSON, JSON lines or an array.  A row for each entry: its run, or why it has none.  The same again '
'changes nothing.  for_user is for the owner of the store.';
