/*
 * message_version.sql: what messages were before they were replaced or taken back
 */
CREATE FUNCTION @extschema@.airun_message_versions(
	run_id uuid,
	seq bigint DEFAULT NULL,
	message_id text DEFAULT NULL)
RETURNS SETOF @extschema@.ai_message_version
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION @extschema@.airun_message_versions IS
'What a run''s messages were before they were replaced or taken back, by place, the oldest first
Of one place, of one message_id, or of all the run.';
