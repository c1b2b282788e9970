/*
 * stream.sql: progress of a task
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
Only what is new is written.  A text that is the beginning of what is stored is a late save and '
'changes nothing, as does any progress for a finished task; any other text replaces what is '
'stored, as a new generation.';

CREATE FUNCTION @extschema@.airun_stream_delta(
	task_id uuid,
	delta text DEFAULT NULL,
	at bigint DEFAULT NULL,
	run_id uuid DEFAULT NULL,
	unit text DEFAULT 'characters',
	delta_json text DEFAULT NULL)
RETURNS @extschema@.ai_task_summary
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_stream_delta IS
'Saves progress while a task streams: the new piece alone
at is the length of the text before the piece, in characters or, with unit => ''utf16'', as '
'JavaScript counts: with it a call can be repeated, and a missing piece is an error.  delta_json '
'is the piece as a JSON string, as JSON.stringify() writes it: then halves of a character that '
'come in two pieces meet again, and NUL is taken.';
