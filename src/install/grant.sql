/*
 * grant.sql: what an API role needs, and no more
 *
 * For the owner of the store, who grants what is his own and, of the functions,
 * what he has been granted with grant option: by installing the extension, or
 * by a superuser's airun_grant().
 */

/*
 * Who may call a function of the extension: everybody by airun_grant(role) ("user"),
 * reporters as well ("reporter"), users and operators, only operators, or only the owner of
 * the store.
 */
CREATE FUNCTION @extschema@.airun_store_level(function name, result oid) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $level$
SELECT CASE
	WHEN $1 = 'airun_store_in_order' THEN 'user'	-- of airun_check()
	WHEN $2 = 'trigger'::regtype OR starts_with($1::text, 'airun_store_') THEN 'owner'
	WHEN starts_with($1::text, 'airun_install') OR $1 IN ('airun_grant', 'airun_erase_user',
		'airun_reprice', 'airun_import_prices', 'airun_import_tables', 'airun_set_price',
		'airun_work',
		'airun_set_budget', 'airun_credit_budget', 'airun_shards', 'airun_move_bucket',
		'airun_spread_buckets',
		'airun_partition', 'airun_add_partitions', 'airun_drop_partitions') THEN 'owner'
	WHEN $1 IN ('airun_rollup', 'airun_check_usage', 'airun_rebuild_usage', 'airun_purge_runs',
		'airun_prune', 'airun_check_budgets') THEN 'operator'
	WHEN $1 IN ('airun_expire_tasks', 'airun_expire_calls') THEN 'user or operator'
	WHEN $1::text ~ '^airun_(usage|sketch)(_|$)'
		OR $1 IN ('airun_user_id', 'airun_budget_status') THEN 'reporter'
	ELSE 'user' END
$level$;
COMMENT ON FUNCTION @extschema@.airun_store_level(name, oid) IS
'The level of airun_grant() that a function is for: user, reporter (users, too), user or '
'operator, operator, or owner';

/*
 * Let a reporter see the rows of all users.  Policies for these roles alone, so that
 * whoever sees just his own rows has them by an index.
 */
CREATE FUNCTION @extschema@.airun_store_let_report(role name) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $let$
DECLARE
	item record;
BEGIN
	FOR item IN
		SELECT format('airun.%I', t.name) AS name, array_agg(r.oid::regrole) AS roles
		FROM (VALUES ('usage_tail'), ('usage_ledger'), ('usage_people')) AS t (name)
		LEFT JOIN pg_policy AS p ON p.polrelid = to_regclass('airun.' || t.name)
			AND p.polname = 'airun_reporter'
		LEFT JOIN pg_roles AS r ON r.oid = ANY (p.polroles)
		GROUP BY t.name
	LOOP
		IF item.roles = '{NULL}' THEN
			EXECUTE format('CREATE POLICY airun_reporter ON %s FOR SELECT TO %I USING (true)',
						   item.name, role);
		ELSE
			EXECUTE format('ALTER POLICY airun_reporter ON %s TO %s, %I', item.name,
						   array_to_string(item.roles, ', '), role);
		END IF;
	END LOOP;
END
$let$;
COMMENT ON FUNCTION @extschema@.airun_store_let_report(name) IS
'Lets a role see the rows of the ledger of all users, as airun_grant() does';

CREATE FUNCTION @extschema@.airun_grant(role name, level text DEFAULT 'user') RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $grant$
DECLARE
	owner oid;
	is_owner boolean;
	function regprocedure;
	schema regnamespace;
BEGIN
	IF to_regclass('airun.runs') IS NULL THEN
		RAISE EXCEPTION 'database "%" has no airun store yet', current_database()
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Run SELECT airun_install() as the role that shall own it.';
	END IF;
	IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = airun_grant.role) THEN
		RAISE EXCEPTION 'role "%" does not exist', airun_grant.role
			USING ERRCODE = 'undefined_object';
	END IF;
	IF COALESCE(level NOT IN ('user', 'reporter', 'operator'), true) THEN
		RAISE EXCEPTION '"%" is not a level of rights', level
			USING ERRCODE = 'PT422',
				HINT = 'It is user (an API role), reporter (all figures, no words) or operator (a '
					'reporter who may fold, check, expire, purge and prune).';
	END IF;
	owner := (SELECT c.relowner FROM pg_class AS c WHERE c.oid = 'airun.runs'::regclass);
	is_owner := owner = (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = airun_grant.role);
	IF NOT pg_has_role(owner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of airun''s store to call airun_grant()'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('The store belongs to role "%s", and the caller is "%s".',
								pg_get_userbyid(owner), current_user),
				HINT = 'Call it as that role, or as a member of it.';
	END IF;
	-- Can the store be where it is?  Who may not ask may do nothing of what follows.
	IF has_function_privilege('@extschema@.airun_store_refuse_citus()', 'EXECUTE') THEN
		PERFORM @extschema@.airun_store_refuse_citus();
	END IF;

	-- The store's owner lacks nothing but functions, where a superuser has them.
	-- Policies come before the rights on their tables: these change the tables' rows in the
	-- catalogue, for which a VACUUM that the policies have to wait for would wait.
	IF NOT is_owner AND level <> 'user' THEN
		PERFORM @extschema@.airun_store_let_report(airun_grant.role);
	END IF;
	IF NOT is_owner THEN
		-- Figures: a user's own, by policies, or those of all
		EXECUTE format('GRANT USAGE ON SCHEMA airun, %s TO %I',
					   (SELECT e.extnamespace::regnamespace FROM pg_extension AS e
						WHERE e.extname = 'airun'), airun_grant.role);
		EXECUTE format('GRANT SELECT ON airun.usage_tail, airun.usage_ledger, '
			'airun.usage_people TO %I',
					   airun_grant.role);
		EXECUTE format('GRANT SELECT ON @extschema@.ai_usage_by_user, '
			'@extschema@.ai_tasks_analytics TO %I',
					   airun_grant.role);
	END IF;
	IF NOT is_owner AND level <> 'user' THEN
		EXECUTE format('GRANT SELECT ON airun.usage_clock, airun.usage_daily, '
			'airun.usage_work TO %I',
					   airun_grant.role);
		EXECUTE format('GRANT SELECT ON @extschema@.ai_usage_clock, @extschema@.ai_usage_daily, '
			'@extschema@.ai_usage_by_work TO %I',
					   airun_grant.role);
	END IF;
	IF NOT is_owner AND level = 'operator' THEN
		-- What is to be pruned; who may read it may do so.  And what the worker has come to.
		EXECUTE format('GRANT SELECT ON airun.retention, airun.worker_status TO %I',
			airun_grant.role);
	END IF;
	IF NOT is_owner AND level = 'user' THEN
		-- The functions run with the role's own rights, so that it needs some on
		-- the storage, too; row security and triggers keep it to what is its own.
		-- It may delete no row but the last messages of a run, which are kept as versions.
		EXECUTE format('GRANT SELECT, INSERT, UPDATE ON airun.runs, airun.tasks TO %I',
					   airun_grant.role);
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON airun.messages TO %I',
					   airun_grant.role);
		EXECUTE format('GRANT SELECT ON airun.message_versions, airun.task_chunks, '
			'airun.calls TO %I',
					   airun_grant.role);
		EXECUTE format('GRANT SELECT ON airun.prices, airun.price_book, airun.usage_shapes TO %I',
					   airun_grant.role);
		EXECUTE format('GRANT SELECT, INSERT, UPDATE ON @extschema@.ai_runs, '
			'@extschema@.ai_tasks TO %I',
					   airun_grant.role);
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON @extschema@.ai_messages TO %I',
					   airun_grant.role);
		EXECUTE format('GRANT SELECT ON @extschema@.ai_run_summaries, '
			'@extschema@.ai_unpriced_models, @extschema@.ai_calls, '
			'@extschema@.ai_runs_summary TO %I',
					   airun_grant.role);
		-- The original application's names; a DELETE hides there.
		FOR schema IN SELECT * FROM @extschema@.airun_store_original_schemas() LOOP
			IF NOT has_schema_privilege(airun_grant.role, schema, 'USAGE') THEN
				EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', schema, airun_grant.role);
			END IF;
			EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %1$s.ai_runs, '
				'%1$s.ai_tasks TO %2$I',
						   schema, airun_grant.role);
		END LOOP;
	END IF;

	FOR function IN
		SELECT p.oid::regprocedure
		FROM pg_depend AS d
		JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
		JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
		WHERE e.extname = 'airun' AND d.deptype = 'e' AND (is_owner OR p.prokind <> 'p')
			AND CASE WHEN is_owner
				THEN NOT has_function_privilege(owner, p.oid, 'EXECUTE WITH GRANT OPTION')
				ELSE @extschema@.airun_store_level(p.proname, p.prorettype) = ANY (CASE level
					WHEN 'user' THEN '{user,reporter,"user or operator"}'::text[]
					WHEN 'reporter' THEN '{reporter}'
					ELSE '{reporter,operator,"user or operator"}' END) END
	LOOP
		-- without that, GRANT would only warn
		IF NOT has_function_privilege(function, 'EXECUTE WITH GRANT OPTION') THEN
			RAISE EXCEPTION 'permission denied to grant function %', function
				USING ERRCODE = 'insufficient_privilege',
					DETAIL = format('Role "%s" does not have it with grant option.', current_user),
					HINT = format('Have a superuser call SELECT airun_grant(%L), which gives that '
						'to the owner of the store.',
								  pg_get_userbyid(owner));
		END IF;
		EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', function, airun_grant.role)
			|| CASE WHEN is_owner THEN ' WITH GRANT OPTION' ELSE '' END;
	END LOOP;
END
$grant$;
COMMENT ON FUNCTION @extschema@.airun_grant(name, text) IS
'Gives a role what it needs to use airun as an API role, and no more: it may delete nothing but '
'the last messages of a run, and row security binds it
As a reporter it may read the figures of all users, and no word of them; as an operator it may '
'fold and check these as well, expire, purge and prune, and read what the worker has come to.
For the owner of the store.  To that role itself, a superuser gives all functions with grant '
'option by it.';
