/*
 * holds.sql: what deleted calls held of budgets
 */
CREATE FUNCTION @extschema@.airun_roll_up_calls() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_roll_up_calls() IS
'Trigger on airun.calls: releases what deleted calls held of budgets';
