/*
 * save_message.sql: messages that are saved again, and messages that are taken back
 */
CREATE FUNCTION @extschema@.airun_save_message(
	run_id uuid,
	message jsonb,
	message_id text DEFAULT NULL,
	task_id uuid DEFAULT NULL)
RETURNS @extschema@.ai_message
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_save_message IS
'Stores a message, or replaces at its place what the same message_id stands for
What was replaced is kept: airun_message_versions() shows it.  Without message_id, a string id '
'inside the message serves.  Saving what is stored already changes nothing.';

CREATE FUNCTION @extschema@.airun_save_messages(run_id uuid, messages jsonb)
RETURNS SETOF @extschema@.ai_message
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION @extschema@.airun_save_messages IS
'Saves an array of messages as airun_save_message() saves one, all or none
Each has a string id.  For clients that send the whole list again: an upsert in one call.';

CREATE FUNCTION @extschema@.airun_edit_message(run_id uuid, seq bigint, message jsonb)
RETURNS @extschema@.ai_message
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_edit_message IS
'Replaces the message at a place of a run
What was replaced is kept: airun_message_versions() shows it.  The message keeps its message_id, '
'its task and its time; requests that were sent before read as they were sent.';

CREATE FUNCTION @extschema@.airun_truncate_messages(run_id uuid, after_seq bigint)
RETURNS @extschema@.ai_run_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_truncate_messages(uuid, bigint) IS
'Takes back the messages of a run behind this seq
They are kept: airun_message_versions() shows them.  What is appended next takes the seq '
'after_seq + 1.';
