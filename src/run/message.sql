/*
 * message.sql: appending to a run, and reading its messages
 */
CREATE FUNCTION @extschema@.airun_append_message(
	run_id uuid,
	message jsonb,
	message_id text DEFAULT NULL,
	task_id uuid DEFAULT NULL)
RETURNS @extschema@.ai_message
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_append_message IS
'Appends a message to a run, atomically
The same message_id with the same message again returns the stored row.  Without message_id, a '
'string id inside the message serves.';

CREATE FUNCTION @extschema@.airun_append_messages(run_id uuid, messages jsonb)
RETURNS SETOF @extschema@.ai_message
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION @extschema@.airun_append_messages IS
'Appends an array of messages to a run, all or none
A message whose id is stored already is not appended again; its stored row is returned.';

CREATE FUNCTION @extschema@.airun_message_text(message jsonb) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_message_text(jsonb) IS
'The text that a message says: its content, or else its parts, without reasoning; NULL for none';

CREATE FUNCTION @extschema@.airun_messages(
	run_id uuid,
	after_seq bigint DEFAULT NULL,
	before_seq bigint DEFAULT NULL,
	max_messages bigint DEFAULT NULL,
	from_end boolean DEFAULT false)
RETURNS json
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_messages IS
'A run''s messages, or a part of them, as a JSON array in order
after_seq and before_seq are exclusive; max_messages takes the first ones, or with '
'from_end the last.';
