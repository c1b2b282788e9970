/*
 * install_shard.sql: a database becomes a shard
 *
 * A shard is an ordinary database with a store.  What a proxy needs besides is in
 * the schema airun_remote: the buckets that lie here, and what enters with who is
 * calling (shard_call.c) and then calls: one function for all that return a value
 * (packed_call.c), and a wrapper of each other.  The role of the proxy may call these,
 * and nothing else: it logs in, inherits nothing, and may become the API roles that have
 * been granted to it.  Locks: none but those of what is created; calls hold their bucket
 * (shard_call.c).
 *
 * Refused: a store with ids that carry another bucket than their owner's, since
 * calls by them would go astray.
 */

/*
 * The functions that a proxy has, and which shard answers.
 *
 * local: none, the proxy does.  any: one, since all have the same.  routed: that of
 * the run, task, call, owner or caller.  merged: that of the caller; where nobody is
 * calling, and of figures where the caller sees everybody's, all together.  operator and
 * every: all, one after another, for operators and for the owner of the store.  Functions
 * that are not here a proxy does not have.
 */
CREATE FUNCTION @extschema@.airun_store_routes()
	RETURNS TABLE (function oid, name name, route text)
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $routes$
SELECT p.oid, p.proname, CASE
	WHEN p.proname IN ('airun_json', 'airun_message_text', 'airun_request', 'airun_bucket',
		'airun_user_id', 'airun_user_uuid', 'airun_uuid', 'airun_is_overdue') THEN 'local'
	WHEN p.proname IN ('airun_cost', 'airun_cost_details', 'airun_normalize_usage') THEN 'any'
	WHEN p.proname IN ('airun_list_runs', 'airun_search', 'airun_usage', 'airun_budget_status',
		'airun_check',
		'airun_expire_tasks', 'airun_expire_calls') THEN 'merged'
	WHEN @extschema@.airun_store_level(p.proname, p.prorettype) = 'operator' THEN 'operator'
	WHEN @extschema@.airun_store_level(p.proname, p.prorettype) = 'owner' THEN 'every'
	ELSE 'routed' END
FROM pg_depend AS d
JOIN pg_proc AS p ON p.oid = d.objid
JOIN pg_extension AS e ON e.oid = d.refobjid
WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
	AND e.extname = 'airun' AND d.deptype = 'e' AND p.prokind = 'f'
	AND p.prorettype NOT IN ('trigger'::regtype, 'internal'::regtype)
	AND NOT 'internal'::regtype = ANY (p.proargtypes)
	AND p.proname !~
		'^airun_(store_|array_|sketch_|install|grant$|sees_run|writes_run|shards|move_bucket)'
$routes$;
COMMENT ON FUNCTION @extschema@.airun_store_routes() IS
'The functions that a proxy has, and which shard answers each';

CREATE FUNCTION @extschema@.airun_install_shard(proxy_role name DEFAULT 'airun_proxy')
	RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $install$
DECLARE
	item record;
	call text;
	copies text;
	strangers bigint;
BEGIN
	IF to_regclass('airun.runs') IS NULL THEN
		RAISE EXCEPTION 'database "%" has no airun store yet', current_database()
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Run SELECT airun_install() as the role that shall own it.';
	END IF;
	IF NOT pg_has_role((SELECT c.relowner FROM pg_class AS c WHERE c.oid = 'airun.runs'::regclass),
		'USAGE') THEN
		RAISE EXCEPTION 'must be owner of airun''s store to call airun_install_shard()'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	-- Can the store be where it is?  Any function that needs it tells.
	PERFORM @extschema@.airun_sees_run(@extschema@.airun_uuid());
	IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = proxy_role) THEN
		RAISE EXCEPTION 'role "%" does not exist', COALESCE(proxy_role, '')
			USING ERRCODE = 'undefined_object',
				HINT = format('CREATE ROLE %I LOGIN NOINHERIT, and grant it the API roles.',
							  COALESCE(proxy_role, 'airun_proxy'));
	END IF;
	IF (SELECT r.rolsuper OR r.rolinherit OR r.rolbypassrls FROM pg_roles AS r
		WHERE r.rolname = proxy_role) THEN
		RAISE EXCEPTION 'role "%" can do more than become others', proxy_role
			USING ERRCODE = 'PT422',
				HINT = format('ALTER ROLE %I NOSUPERUSER NOINHERIT NOBYPASSRLS.', proxy_role);
	END IF;
	SELECT count(*) INTO strangers
	FROM airun.runs AS r
	WHERE substr(r.id::text, 15, 1) = '8'
		AND ('x' || right(r.id::text, 3))::bit(12)::integer <> @extschema@.airun_bucket(r.user_id);
	IF strangers > 0 THEN
		RAISE EXCEPTION '% runs have ids of version 8 that carry another bucket than their '
			'owner''s', strangers
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'Such ids were made by clients; calls by them would go to another shard.',
				HINT = 'Fork these runs with airun_fork_run(), and delete and purge them.';
	END IF;

	CREATE SCHEMA IF NOT EXISTS airun_remote;
	IF (SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'airun_remote')
		<> (SELECT c.relowner FROM pg_class AS c WHERE c.oid = 'airun.runs'::regclass) THEN
		RAISE EXCEPTION 'schema "airun_remote" belongs to somebody else'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	CREATE TABLE IF NOT EXISTS airun_remote.buckets (
		bucket integer PRIMARY KEY CHECK (bucket BETWEEN 0 AND 4095),
		is_moving boolean NOT NULL DEFAULT false
	);
	-- First: it drops what an older version has left
	PERFORM @extschema@.airun_store_make_mover();

	FOR item IN
		SELECT p.proname, p.proretset, p.prorettype = 'void'::regtype AS is_void,
			pg_get_function_identity_arguments(p.oid) AS arguments,
			pg_get_function_result(p.oid) AS result, p.oid::regproc AS function,
			(SELECT string_agg('$' || i + 5, ', ' ORDER BY i)
			 FROM generate_series(1, p.pronargs) AS i) AS passed
		FROM @extschema@.airun_store_routes() AS f
		JOIN pg_proc AS p ON p.oid = f.function
		WHERE f.route IN ('merged', 'operator', 'every') OR f.route <> 'local' AND p.proretset
	LOOP
		/* What a move has copied here and not ended is told by the shard that has it */
		copies := (SELECT format(' AS f WHERE f.%I <> ALL (copies) OR f.%1$I IS NULL', c.name)
				   FROM (VALUES ('airun_list_runs', 'id'), ('airun_search', 'run_id'),
				   ('airun_check', 'run_id')) AS c (function, name)
				   WHERE c.function = item.proname);
		call := format('%s(%s)%s', item.function, item.passed, copies);
		EXECUTE format(
			'CREATE OR REPLACE FUNCTION airun_remote.%I(_shard integer, _bucket integer, _claims '
			'text, _caller text, _role text%s)'
			' RETURNS %s LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS %L',
			item.proname, ', ' || NULLIF(item.arguments, ''), item.result,
			format(E'#variable_conflict use_column%s\nBEGIN\n\tPERFORM '
				'@extschema@.airun_store_enter($2, $3, $4, $5);\n\t%s\nEND',
				CASE WHEN copies IS NOT NULL THEN
					E'\nDECLARE\n\tcopies uuid[] := CASE WHEN $2 IS NULL THEN '
						'airun_remote.copied_runs() ELSE ''{}'' END;' END,
				CASE WHEN item.proretset THEN format('RETURN QUERY SELECT * FROM %s;', call)
					WHEN item.is_void THEN format('PERFORM %s;', call)
					ELSE format('RETURN %s;', call) END));
	END LOOP;

	/* The calls that travel in one value */
	CREATE OR REPLACE FUNCTION airun_remote.call(call bytea) RETURNS bytea
		LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
	AS $call$ BEGIN RETURN @extschema@.airun_store_receive($1); END $call$;

	/* In which bucket a client's id is: asked where neither id nor caller tell */
	CREATE OR REPLACE FUNCTION airun_remote.bucket_of(_shard integer, run_id uuid, task_id uuid,
		call_id uuid)
		RETURNS SETOF integer
		LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $bucket$
	SELECT @extschema@.airun_bucket(r.user_id) FROM airun.runs AS r WHERE r.id = $2
	UNION
	SELECT @extschema@.airun_bucket(r.user_id)
	FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id WHERE t.task_id = $3
		AND $2 IS NULL
	UNION
	SELECT @extschema@.airun_bucket(c.user_id) FROM airun.calls AS c WHERE c.id = $4
	$bucket$;

	/* Of a budget in force, for a credit: whose counters are whose */
	CREATE OR REPLACE FUNCTION airun_remote.budget_scope(_shard integer, name text)
		RETURNS SETOF text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $scope$
	SELECT b.scope FROM airun.budgets AS b WHERE b.name = $2 AND b.valid_to IS NULL
	$scope$;

	CREATE OR REPLACE FUNCTION airun_remote.status(_shard integer)
		RETURNS TABLE (buckets integer[], moving bigint, runs bigint, bytes bigint)
		LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $status$
	SELECT (SELECT array_agg(b.bucket ORDER BY b.bucket) FROM airun_remote.buckets AS b),
		(SELECT count(*) FROM airun_remote.buckets AS b WHERE b.is_moving),
		-- of its partitions, where it has some
		(SELECT GREATEST(sum(GREATEST(c.reltuples, 0)),
		 (EXISTS (SELECT FROM airun.runs))::integer)::bigint
		 FROM pg_class AS c WHERE c.relkind = 'r' AND (c.oid = 'airun.runs'::regclass
			OR c.oid IN (SELECT i.inhrelid FROM pg_inherits AS i
				WHERE i.inhparent = 'airun.runs'::regclass))),
		(SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c
		 WHERE c.relnamespace = 'airun'::regnamespace AND c.relkind = 'r')
	$status$;

	CREATE OR REPLACE FUNCTION airun_remote.arriving_buckets(_shard integer) RETURNS SETOF integer
		LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $arriving$ SELECT a.bucket FROM airun_remote.arriving AS a ORDER BY 1 $arriving$;

	CREATE OR REPLACE FUNCTION airun_remote.copied_runs() RETURNS uuid[]
		LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS $copied$
	DECLARE
		arriving integer[] := ARRAY(SELECT airun_remote.arriving_buckets(NULL));
	BEGIN
		RETURN CASE WHEN arriving = '{}' THEN '{}'::uuid[]
			ELSE ARRAY(SELECT r.id FROM airun.runs AS r
				WHERE @extschema@.airun_bucket(r.user_id) = ANY (arriving)) END;
	END
	$copied$;

	/* airun_grant() of the proxy: an API role is one that the proxy may become */
	EXECUTE format('CREATE OR REPLACE FUNCTION airun_remote.airun_grant(_shard integer, role '
		'name, level text)
		RETURNS integer LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS %L',
		format('BEGIN
			PERFORM @extschema@.airun_grant($2, $3);
			IF NOT pg_has_role(%1$L, $2, ''MEMBER'') THEN
				EXECUTE format(''GRANT %%I TO %%I'', $2, %1$L);
			END IF;
			RETURN $1;
		END', proxy_role));

	REVOKE ALL ON ALL FUNCTIONS IN SCHEMA airun_remote FROM PUBLIC;
	EXECUTE format('GRANT USAGE ON SCHEMA airun_remote, @extschema@ TO %I', proxy_role);
	EXECUTE format('GRANT SELECT ON airun_remote.buckets TO %I', proxy_role);
	SELECT string_agg(f.oid::regprocedure::text, ', ') INTO call
	FROM pg_proc AS f
	WHERE f.pronamespace = 'airun_remote'::regnamespace
		AND (f.proname IN ('call', 'bucket_of', 'status', 'copied_runs')
			 OR f.proname IN (SELECT r.name FROM @extschema@.airun_store_routes() AS r
			 WHERE r.route <> 'every'));
	EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', call, proxy_role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION @extschema@.airun_store_enter(integer, '
		'text, text, text),'
		' @extschema@.airun_store_receive(bytea) TO %I', proxy_role);
	RETURN (SELECT count(*) FROM @extschema@.airun_store_routes() AS r WHERE r.route <> 'local');
END
$install$;
COMMENT ON FUNCTION @extschema@.airun_install_shard(name) IS
'Makes this database one of several shards: what a proxy calls; airun_install_proxy() gives it '
'its buckets. Again after each update. Returns how many functions a proxy can call';
