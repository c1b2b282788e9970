/*
 * totals.sql: statement triggers of the store
 */
CREATE FUNCTION @extschema@.airun_roll_up_messages() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_roll_up_messages() IS
'Trigger on airun.messages: moves the counters of runs by what a statement has changed';

CREATE FUNCTION @extschema@.airun_roll_up_tasks() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_roll_up_tasks() IS
'Trigger on airun.tasks: moves the totals of runs by what a statement has changed';
