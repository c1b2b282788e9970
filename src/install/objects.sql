/*
 * objects.sql: what guards the store, as one list
 *
 * Of each constraint, index, default, policy and trigger that airun_install()
 * makes, the definition stands once, in constraints.sql, tables.sql, policies.sql
 * and triggers.sql, and serves three times: airun_install() makes it, airun_check()
 * reports where it is missing or another, and the direct path is open only where
 * the catalog says the same.
 *
 * Definitions are exactly the server's own words, with the search_path
 * pg_catalog, pg_temp and on every version that airun knows:
 *	constraint	pg_get_constraintdef(oid); a primary or foreign key or a CHECK
 *	index		pg_get_indexdef(oid); those that belong to no constraint
 *	default		pg_get_expr(adbin, adrelid); its name is the column's
 *	policy		FOR and ALL, SELECT, INSERT, UPDATE or DELETE, then USING (expression)
 *				and WITH CHECK (expression), where there are such, with
 *				pg_get_expr(polqual, polrelid) and pg_get_expr(polwithcheck, polrelid)
 *				between the parentheses; it is permissive, and for PUBLIC
 *	trigger		pg_get_triggerdef(oid)
 * A relation is a table of the schema airun, or a view of the extension's schema.
 *
 * The lists are constants and may be read by everybody.
 */
CREATE FUNCTION @extschema@.airun_store_objects()
RETURNS TABLE (kind text, relation text, name text, definition text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $objects$
-- Where the lists break a line, the server puts a space.
SELECT o.kind, o.relation, o.name,
	pg_catalog.regexp_replace(o.definition, '[[:space:]]+', ' ', 'g')
FROM (
	SELECT * FROM @extschema@.airun_store_constraints()
	UNION ALL
	SELECT 'default', c.relation, c.name, c.value
	FROM @extschema@.airun_store_columns() AS c WHERE c.value IS NOT NULL
	UNION ALL
	SELECT * FROM @extschema@.airun_store_policies()
	UNION ALL
	SELECT * FROM @extschema@.airun_store_triggers()) AS o
$objects$;
COMMENT ON FUNCTION @extschema@.airun_store_objects() IS
'What guards the store: each constraint, index, default, policy and trigger with its definition';
