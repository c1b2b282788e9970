/*
 * citus.sql: a store whose tables Citus has taken is refused, by functions in SQL
 */
CREATE FUNCTION @extschema@.airun_store_refuse_citus() RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_refuse_citus() IS
'An error where the store, or a table of it, is distributed by Citus';
