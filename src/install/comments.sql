/*
 * comments.sql: the comments on the columns of the store
 *
 * They stand beside the columns, in tables.sql and views.sql.
 */
CREATE FUNCTION @extschema@.airun_store_comments()
RETURNS TABLE (target regclass, name text, comment text)
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $comments$
SELECT to_regclass('airun.' || c.relation), c.name, c.comment
FROM @extschema@.airun_store_columns() AS c
UNION ALL
SELECT to_regclass('@extschema@.' || c.view), c.name, c.comment
FROM @extschema@.airun_store_view_columns() AS c
$comments$;
COMMENT ON FUNCTION @extschema@.airun_store_comments() IS
'The comments on the columns of the store''s tables and views';
