/*
 * stream.sql: progress of a task, and following it while it runs
 */
CREATE FUNCTION @extschema@.airun_update_task(
	task_id uuid,
	response_text text DEFAULT NULL,
	response_data jsonb DEFAULT NULL,
	run_id uuid DEFAULT NULL)
RETURNS @extschema@.ai_task_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_update_task IS
'Saves progress while a task streams: the whole text so far
Only what is new is written.  A text that is the beginning of what is stored is a late save and changes nothing, as does any progress for a finished task; any other text replaces what is stored, as a new generation.';

CREATE FUNCTION @extschema@.airun_stream_delta(
	task_id uuid,
	delta text,
	at bigint DEFAULT NULL,
	run_id uuid DEFAULT NULL)
RETURNS @extschema@.ai_task_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_stream_delta IS
'Saves progress while a task streams: the new piece alone
at is the length of the text before the piece, in characters: with it a call can be repeated, and a missing piece is an error.';

CREATE FUNCTION @extschema@.airun_stream_read(
	task_id uuid,
	from_position bigint DEFAULT 0,
	max_wait interval DEFAULT NULL,
	generation integer DEFAULT NULL,
	run_id uuid DEFAULT NULL)
RETURNS @extschema@.ai_stream_part
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_stream_read IS
'What follows a position of a task''s text; waits for more, or for the end, at most max_wait
Call it in a loop with the position and the generation that it returned: a text that has been replaced begins anew at 0.  It takes a connection while it waits, at most airun.max_wait.';
