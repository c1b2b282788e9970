/*
 * stream_read.sql: following a task's text while it arrives
 */
CREATE FUNCTION @extschema@.airun_stream_read(
	task_id uuid,
	from_position bigint DEFAULT 0,
	max_wait interval DEFAULT NULL,
	generation bigint DEFAULT NULL,
	run_id uuid DEFAULT NULL,
	unit text DEFAULT 'characters')
RETURNS @extschema@.ai_stream_part
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_stream_read IS
'What follows a position of a task''s text; waits for more, or for the end, at most max_wait
Call it in a loop with the position and the generation that it returned: a text that has been '
'replaced begins anew at 0.  It takes a connection while it waits, at most airun.max_wait and not '
'until a time limit of the server strikes; only airun.max_waiting readers wait at a time, others '
'are answered at once.  unit: characters, or utf16 for positions as JavaScript counts.';
