/*
 * acl.sql: who may call what
 *
 * airun_grant() gives an API role its functions.  Without it a role has only
 * those that touch no row, or that policies and defaults call in its name.
 * Whatever default privileges have given away is taken back.  Where the
 * extension was installed by who owns the database, its objects belong to a
 * superuser all the same, and that role gets every function, to grant on.
 *
 * A script that updates the extension ends with this as well: it is for the
 * functions that the script has made, which have no initial privileges yet.
 */
DO $acl$
DECLARE
	item pg_catalog.record;
BEGIN
	FOR item IN
		SELECT p.oid::pg_catalog.regprocedure AS function,
			CASE WHEN e.extowner OPERATOR(pg_catalog.<>) p.proowner
				THEN e.extowner::pg_catalog.regrole END AS installer,
			ARRAY(SELECT a.grantee::pg_catalog.regrole
				  FROM pg_catalog.aclexplode(p.proacl) AS a
				  WHERE a.grantee OPERATOR(pg_catalog.<>) ALL
						(ARRAY[p.proowner, 0::pg_catalog.oid])
				 ) AS grantees,
			p.proname OPERATOR(pg_catalog.=) ANY (ARRAY[
				'airun_user_id', 'airun_user_uuid', 'airun_uuid', 'airun_bucket', 'airun_json',
				'airun_message_text', 'airun_request', 'airun_is_overdue',
				'airun_array_agg', 'airun_array_add', 'airun_array_result',
				'airun_array_in_order', 'airun_array_add_at',
				'airun_normalize_usage',
				'airun_sketch_bin', 'airun_sketch_agg', 'airun_sketch_add', 'airun_sketch_sum',
				'airun_sketch_add_sketch', 'airun_sketch_result', 'airun_sketch_merge',
				'airun_sketch_quantile',
				'airun_sees_run', 'airun_writes_run']::pg_catalog.name[]) AS is_public
		FROM pg_catalog.pg_depend AS d
		JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) d.objid
		JOIN pg_catalog.pg_extension AS e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
		WHERE e.extname OPERATOR(pg_catalog.=) 'airun'
			AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
			AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
			AND d.deptype OPERATOR(pg_catalog.=) 'e'
			AND NOT EXISTS (
				SELECT FROM pg_catalog.pg_init_privs AS i
				WHERE i.classoid OPERATOR(pg_catalog.=) d.classid
					AND i.objoid OPERATOR(pg_catalog.=) d.objid)
	LOOP
		EXECUTE pg_catalog.format('REVOKE ALL ON ROUTINE %s FROM %s', item.function,
			pg_catalog.array_to_string(item.grantees::pg_catalog.text[]
				OPERATOR(pg_catalog.||) 'PUBLIC'::pg_catalog.text, ', '));
		IF item.is_public THEN
			EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO PUBLIC', item.function);
		END IF;
		IF item.installer IS NOT NULL THEN
			EXECUTE pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO %s WITH GRANT OPTION',
									  item.function, item.installer);
		END IF;
	END LOOP;
END
$acl$;
