/*
 * budget_period.sql: the period of a budget that a time is in
 */
CREATE FUNCTION @extschema@.airun_store_period(period text, zone text, anchor integer,
	at timestamptz,
	OUT period_key text, OUT starts_at timestamptz, OUT ends_at timestamptz)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_period IS
'The period of a budget that a time is in: its label, when it begins, and when it ends';
