/*
 * view.sql: INSTEAD OF triggers of the views
 */
CREATE FUNCTION @extschema@.airun_view_message() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_view_message() IS
'Trigger on ai_messages: an insert appends';

CREATE FUNCTION @extschema@.airun_view_task() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_view_task() IS
'Trigger on ai_tasks: an insert creates, an update moves a task on';
