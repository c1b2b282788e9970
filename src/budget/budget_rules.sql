/*
 * budget_rules.sql: backends hear of every change of a budget
 */
CREATE FUNCTION @extschema@.airun_budgets_changed() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_budgets_changed() IS
'Trigger on airun.budgets: has every backend read them anew';
