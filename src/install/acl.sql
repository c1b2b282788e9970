/*
 * acl.sql: who may call what
 *
 * airun_grant() gives an API role its functions.  Without it a role has only
 * those that touch no row, or that policies and defaults call in its name.
 */
DO $acl$
DECLARE
	function pg_catalog.regprocedure;
BEGIN
	FOR function IN
		SELECT p.oid
		FROM pg_catalog.pg_depend AS d
		JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) d.objid
		JOIN pg_catalog.pg_extension AS e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
		WHERE e.extname OPERATOR(pg_catalog.=) 'airun'
			AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
			AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
			AND d.deptype OPERATOR(pg_catalog.=) 'e'
			AND p.proname OPERATOR(pg_catalog.<>) ALL (ARRAY[
				'airun_user_id', 'airun_user_uuid', 'airun_uuid', 'airun_json',
				'airun_message_text', 'airun_request', 'airun_is_overdue',
				'airun_array_agg', 'airun_array_add', 'airun_array_result',
				'airun_array_in_order', 'airun_array_add_at',
				'airun_normalize_usage',
				'airun_sees_run', 'airun_writes_run',
				'airun_store_tables', 'airun_store_columns', 'airun_store_constraints',
				'airun_store_policies', 'airun_store_triggers', 'airun_store_objects',
				'airun_store_view_columns', 'airun_store_views', 'airun_store_comments',
				'airun_store_differences']::pg_catalog.name[])
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', function);
	END LOOP;
END
$acl$;
