/*
 * guard.sql: row triggers of the store
 */
CREATE FUNCTION @extschema@.airun_guard_run() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_guard_run() IS
'Trigger on airun.runs: completes and checks what comes in past the functions, and keeps the '
'counters from it';

CREATE FUNCTION @extschema@.airun_guard_message() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_guard_message() IS
'Trigger on airun.messages: makes an insert past the functions an append, and refuses changes';

CREATE FUNCTION @extschema@.airun_guard_task() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_guard_task() IS
'Trigger on airun.tasks: holds a task''s life cycle for what comes in past the functions';
