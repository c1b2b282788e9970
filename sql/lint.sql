--
-- Rules for everything that the extension declares and airun_install() makes.
-- But for the lists that are meant to be read, every query must give no row.
--
\set VERBOSITY terse
\pset format unaligned
SET client_min_messages = error;
-- a call of C loads the library, and with it the settings
DO $$BEGIN PERFORM airun_install(), airun_install_original('lint_original'), airun_uuid(); END$$;

-- What is ours: members of the extension, and the store
CREATE TEMP VIEW f AS
	SELECT p.*, p.oid::regprocedure AS signature
	FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	JOIN pg_extension e ON e.oid = d.refobjid
	WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
		AND d.deptype = 'e' AND e.extname = 'airun' AND p.proname NOT LIKE 'airun\_store\_%';
-- and the lists of what the store is made of, which are no part of the API
CREATE TEMP VIEW l AS
	SELECT p.*, p.oid::regprocedure AS signature
	FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
	JOIN pg_extension e ON e.oid = d.refobjid
	WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
		AND d.deptype = 'e' AND e.extname = 'airun' AND p.proname LIKE 'airun\_store\_%';
CREATE TEMP VIEW y AS
	SELECT t.* FROM pg_depend d JOIN pg_type t ON t.oid = d.objid
	JOIN pg_extension e ON e.oid = d.refobjid
	WHERE d.classid = 'pg_type'::regclass AND d.deptype = 'e' AND e.extname = 'airun'
		-- the name of a media type is not ours to choose
		AND t.typname !~ '^_?text/html$';
CREATE TEMP VIEW api AS SELECT extnamespace AS oid FROM pg_extension WHERE extname = 'airun';
CREATE TEMP VIEW r AS
	SELECT c.* FROM pg_class c
	WHERE c.relnamespace = 'airun'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
		OR c.relnamespace = (SELECT oid FROM api) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relname LIKE 'ai\_%';

--
-- The whole API: a change of it shows here
--
SELECT f.proname AS name, f.proretset AS set, f.prorettype::regtype AS result, f.provolatile AS vol, f.proparallel AS par
FROM f WHERE prorettype NOT IN ('trigger'::regtype, 'internal'::regtype) ORDER BY proname COLLATE "C";
-- read only, so STABLE and PARALLEL SAFE: PostgREST serves these to GET, in a read-only transaction
WITH readers (name) AS (VALUES
	('airun_get_run'), ('airun_export'), ('airun_context'), ('airun_export_user'), ('airun_list_runs'), ('airun_run_forks'), ('airun_search'), ('airun_messages'), ('airun_message_versions'), ('airun_sees_run'), ('airun_user_id'), ('airun_check'), ('airun_check_usage'), ('airun_check_budgets'), ('airun_budget_status'), ('airun_budget_check'), ('airun_is_overdue'),
	('airun_cost'), ('airun_cost_details'), ('airun_normalize_usage'), ('airun_usage'), ('airun_usage_page')),
pure (name) AS (VALUES
	('airun_array_add'), ('airun_array_add_at'), ('airun_array_agg'), ('airun_array_in_order'), ('airun_array_result'),
	('airun_sketch_add'), ('airun_sketch_add_sketch'), ('airun_sketch_agg'), ('airun_sketch_bin'), ('airun_sketch_merge'), ('airun_sketch_quantile'), ('airun_sketch_result'), ('airun_sketch_sum'), ('airun_json'), ('airun_bucket'), ('airun_user_uuid'), ('airun_message_text'), ('airun_request')),
expected AS (
	SELECT f.signature, f.provolatile, f.proparallel,
		CASE WHEN f.proname IN (SELECT name FROM readers) THEN 's'
			WHEN f.proname IN (SELECT name FROM pure) THEN 'i' ELSE 'v' END AS volatile,
		CASE WHEN f.proname IN (SELECT name FROM readers UNION TABLE pure) OR f.proname = 'airun_uuid' THEN 's' ELSE 'u' END AS parallel
	FROM f)
SELECT signature, provolatile, volatile, proparallel, parallel FROM expected
WHERE provolatile <> volatile::"char"
	OR proparallel <> parallel::"char"
	-- the recount runs its own queries in parallel, which a worker could not; the page sets headers
	AND NOT (signature IN ('airun_check(uuid)'::regprocedure, 'airun_check_usage()'::regprocedure, 'airun_check_budgets()'::regprocedure,
		'airun_budget_check(text,text,jsonb,uuid,text,text,jsonb)'::regprocedure,
		'airun_usage_page(date,date,text,text,text)'::regprocedure) AND proparallel = 'u')
ORDER BY 1;

--
-- Names
--
-- all begin alike
SELECT signature FROM f WHERE proname !~ '^airun_[a-z][a-z_]*$';
SELECT typname FROM y WHERE typname !~ '^_?ai_[a-z][a-z_]*$';
SELECT oid::regclass FROM r WHERE relname !~ '^[a-z][a-z_]*$' OR relnamespace <> 'airun'::regnamespace AND relname !~ '^ai_[a-z_]+$';
SELECT polname FROM pg_policy WHERE polrelid IN (SELECT oid FROM r) AND polname !~ '^airun_';
SELECT tgname FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM r) AND NOT tgisinternal AND tgname !~ '^airun_';
SELECT name FROM pg_settings WHERE name ~ '^airun' AND name !~ '^airun\.[a-z][a-z_]*$';
-- who may set what
SELECT name, context, vartype, boot_val, unit FROM pg_settings WHERE name LIKE 'airun.%' ORDER BY name COLLATE "C";
-- no function shares its name with another one, of ours or of PostgreSQL's
SELECT f.signature FROM f JOIN pg_proc p USING (proname) WHERE p.oid <> f.oid;
-- parameters and columns: plain words, none of them reserved, and a parameter without a name
-- is of a function that no client calls
SELECT f.signature FROM f WHERE pronargs > 0 AND proargnames IS NULL ORDER BY proname COLLATE "C";
SELECT f.signature, a.name FROM f CROSS JOIN LATERAL (
		SELECT coalesce(f.proargnames[n], '') AS name FROM generate_series(1, f.pronargs) n) a
WHERE f.proargnames IS NOT NULL
	AND (a.name !~ '^[a-z][a-z_]*$' OR a.name IN (SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')));
SELECT f.signature FROM f WHERE f.proargmodes IS NOT NULL;
SELECT a.attrelid::regclass, a.attname FROM pg_attribute a
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid IN (SELECT oid FROM r UNION SELECT typrelid FROM y)
	AND (a.attname !~ '^[a-z][a-z_]*(_p\d\d)?$' OR a.attname IN (SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')));
-- the words of the rule: there are some
SELECT count(*) > 80 AS words FROM pg_get_keywords() WHERE catcode IN ('R', 'T');

--
-- Comments, which PostgREST publishes
--
SELECT signature FROM f WHERE coalesce(obj_description(oid, 'pg_proc'), '') = '';
SELECT typname FROM y WHERE typtype = 'c' AND coalesce(obj_description(oid, 'pg_type'), '') = '';
SELECT oid::regclass FROM r WHERE coalesce(obj_description(oid, 'pg_class'), '') = '';
SELECT a.attrelid::regclass, a.attname FROM pg_attribute a
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid IN (SELECT oid FROM r UNION SELECT typrelid FROM y WHERE typtype = 'c')
	AND coalesce(col_description(a.attrelid, a.attnum), '') = ''
ORDER BY 1, a.attnum;
SELECT extname FROM pg_extension WHERE extname = 'airun' AND obj_description(oid, 'pg_extension') IS NULL;
SELECT nspname FROM pg_namespace WHERE nspname = 'airun' AND obj_description(oid, 'pg_namespace') IS NULL;
-- sentences, without white space around them
SELECT objoid, objsubid, description FROM pg_description
WHERE (objoid IN (SELECT oid FROM f) AND classoid = 'pg_proc'::regclass
		OR objoid IN (SELECT oid FROM r UNION SELECT typrelid FROM y) AND classoid = 'pg_class'::regclass)
	AND (description <> btrim(description, E' \t\n') OR description !~ '^[[:upper:]]' AND description !~ '^(active|pending), ');

--
-- Safety
--
-- none runs with somebody else's rights
SELECT signature FROM f WHERE prosecdef;
-- what has SQL in its body fixes its search_path; C names every schema, as procedures do that commit
SELECT f.signature FROM f JOIN pg_language l ON l.oid = f.prolang
WHERE l.lanname <> 'internal' AND l.lanname <> 'c' AND prokind NOT IN ('a', 'p')
	AND NOT coalesce(f.proconfig, '{}') && '{"search_path=pg_catalog, pg_temp"}';
SELECT f.signature, l.lanname FROM f JOIN pg_language l ON l.oid = f.prolang WHERE l.lanname NOT IN ('c', 'plpgsql', 'internal');
-- C comes from our library, wherever the server finds it; none says that it leaks nothing, so that row security goes before it
SELECT f.signature, f.probin FROM f WHERE probin <> '$libdir/airun';
SELECT signature FROM f WHERE proleakproof;
-- the planner asks no function of ours
SELECT signature FROM f WHERE prosupport <> 0;
-- PUBLIC may call what touches no row, or is asked by policies and defaults, and nothing else
SELECT f.proname FROM f WHERE has_function_privilege('public', f.oid, 'EXECUTE') ORDER BY proname COLLATE "C";
-- and has nothing on the store
SELECT r.oid::regclass, a.privilege_type FROM r, aclexplode(r.relacl) a WHERE a.grantee = 0;
SELECT n.nspname, a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'airun' AND a.grantee = 0;
-- nobody but their owner has a right on a column, and none a right to come
SELECT attrelid::regclass, attname FROM pg_attribute WHERE attrelid IN (SELECT oid FROM r) AND attacl IS NOT NULL AND NOT attisdropped;
SELECT defaclobjtype, defaclacl FROM pg_default_acl;
-- everything stands in the extension's schema
SELECT signature FROM f WHERE pronamespace <> (SELECT oid FROM api);
SELECT typname FROM y WHERE typnamespace <> (SELECT oid FROM api);
SELECT d.classid::regclass, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
WHERE e.extname = 'airun' AND d.deptype = 'e' AND d.classid NOT IN ('pg_proc'::regclass, 'pg_type'::regclass)
	AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT typrelid FROM y))
	-- but for the domain with the name of a media type, which has one of its own
	AND NOT (d.classid = 'pg_namespace'::regclass AND d.objid = 'airun_media'::regnamespace);
SELECT extrelocatable FROM pg_extension WHERE extname = 'airun' AND extrelocatable;
-- tables: row security is on, and lets in by policies of ours only
SELECT oid::regclass FROM r WHERE relkind IN ('r', 'p') AND NOT relrowsecurity;
SELECT oid::regclass FROM r WHERE relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = r.oid);
-- by a user's rows; prices and shapes of usages are everybody's to read, and nobody's to write
SELECT polname, polrelid::regclass FROM pg_policy WHERE polrelid IN (SELECT oid FROM r)
	AND coalesce(pg_get_expr(polqual, polrelid), '') || coalesce(pg_get_expr(polwithcheck, polrelid), '') !~ 'airun_(user_id|sees_run|writes_run)\('
	AND NOT (polrelid IN ('airun.prices'::regclass, 'airun.price_book'::regclass, 'airun.usage_shapes'::regclass,
		'airun.usage_clock'::regclass, 'airun.usage_daily'::regclass, 'airun.usage_work'::regclass, 'airun.usage_build'::regclass, 'airun.worker_status'::regclass, 'airun.budgets'::regclass, 'airun.budget_periods'::regclass, 'airun.budget_events'::regclass, 'airun.retention'::regclass) AND polcmd = 'r' AND polqual IS NOT NULL);
-- for everybody, and none takes away what another one gives
SELECT polname, polrelid::regclass FROM pg_policy WHERE polrelid IN (SELECT oid FROM r) AND (polroles <> '{0}' OR NOT polpermissive);
-- whom row security binds must be able to call what it asks
SELECT signature FROM f WHERE NOT has_function_privilege('public', oid, 'EXECUTE')
	AND EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_policy'::regclass AND refclassid = 'pg_proc'::regclass AND refobjid = f.oid);
-- a policy with a subquery could not be distributed
SELECT polname, polrelid::regclass FROM pg_policy WHERE polrelid IN (SELECT oid FROM r)
	AND coalesce(pg_get_expr(polqual, polrelid), '') || coalesce(pg_get_expr(polwithcheck, polrelid), '') ~* 'select';
-- views: with the caller's rights
SELECT oid::regclass FROM r WHERE relkind = 'v' AND NOT coalesce(reloptions, '{}') && '{security_invoker=true}';
SELECT oid::regclass FROM r WHERE relkind NOT IN ('r', 'v');
-- triggers are enabled, and those of C only
SELECT tgname, tgrelid::regclass FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM r) AND NOT tgisinternal
	AND (tgenabled <> 'O' OR tgfoid NOT IN (SELECT oid FROM f WHERE prorettype = 'trigger'::regtype));
-- every trigger function is used
SELECT signature FROM f WHERE prorettype = 'trigger'::regtype AND oid NOT IN (SELECT tgfoid FROM pg_trigger);
-- no index covers a column that an append changes, but the hour
SELECT i.indexrelid::regclass, a.attname FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = 'airun.runs'::regclass
	AND a.attname IN ('message_count', 'last_message_at', 'updated_at', 'task_count', 'total_tokens', 'total_cost', 'status');
-- what an append changes stands together, with nothing of variable length in front of it or between
SELECT a.attname FROM pg_attribute a
WHERE a.attrelid = 'airun.runs'::regclass AND a.attlen = -1
	AND a.attnum < (SELECT max(attnum) FROM pg_attribute WHERE attrelid = a.attrelid
		AND attname IN ('message_count', 'last_message_at', 'updated_at', 'active_hour'));
-- children's keys begin with their run
SELECT indexrelid::regclass FROM pg_index
WHERE indrelid IN ('airun.messages'::regclass, 'airun.tasks'::regclass, 'airun.task_chunks'::regclass) AND indisunique
	AND indkey[0] <> (SELECT attnum FROM pg_attribute WHERE attrelid = indrelid AND attname = 'run_id');

--
-- The lists of what the store is made of
--
SELECT signature, provolatile AS vol FROM l ORDER BY proname COLLATE "C";
-- constants, or a look at the catalog, not for everybody, with the caller's rights and a search_path of their own
SELECT signature FROM l WHERE proname NOT IN ('airun_store_level', 'airun_store_let_report',
		'airun_store_usage_time', 'airun_store_usage_tokens', 'airun_store_usage_word', 'airun_store_cube_query',
		'airun_store_cube_upsert', 'airun_store_fold', 'airun_store_refuse_citus', 'airun_store_rebuild_usage', 'airun_store_usage_problems',
		'airun_store_period', 'airun_store_hold_part', 'airun_store_require_member', 'airun_store_check_budget', 'airun_store_hold_open', 'airun_store_begin_budget',
		'airun_store_budget_problems')
	AND proname !~ '^airun_store_(erase|prune)' AND proname NOT IN ('airun_store_remove_runs', 'airun_store_strip_runs', 'airun_store_empty_messages', 'airun_store_empty_copies', 'airun_store_cancel_tasks', 'airun_store_forks', 'airun_store_has_person',
		'airun_store_purge_runs', 'airun_store_keep_charges', 'airun_store_drop_month', 'airun_store_month_may_go')
	AND proname !~ '^airun_store_(messages_of|in_order|import_(expressions|statements|batch|messages|states)|enter|has_view|build_usage|usage_corrections|make_|merge|proxy_body|no_run|copy_bucket|clear_bucket|look_at_target|precopy_bucket|close_bucket|switch_bucket|reopen_bucket|leave_bucket|await_writers|is_moving|place_buckets|require_|first_id|id_time|lock|move_rows|attach|mend|set_aside|check_partitionable|take_back|reprice|work_|call_bucket|shard_of|pack|unpack|receive)' AND (NOT proretset OR provolatile = 'v' OR proparallel <> 's' OR prosecdef OR has_function_privilege('public', oid, 'EXECUTE')
	OR prolang <> (SELECT oid FROM pg_language WHERE lanname = 'sql') OR pronamespace <> (SELECT oid FROM api)
	OR proconfig[1] <> 'search_path=pg_catalog, pg_temp' OR obj_description(oid, 'pg_proc') IS NULL);
-- nor are the other helpers, and no search_path leads them astray
SELECT signature FROM l WHERE has_function_privilege('public', oid, 'EXECUTE') OR prosecdef OR obj_description(oid, 'pg_proc') IS NULL
	OR prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c') AND proconfig[1] <> 'search_path=pg_catalog, pg_temp';

--
-- The tables of the design: columns, their types and order, of views and results
--
SELECT c.oid::regclass AS relation, string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.oid IN (SELECT oid FROM r WHERE relkind = 'v' UNION SELECT typrelid FROM y)
GROUP BY 1 ORDER BY c.oid::regclass::text COLLATE "C";
-- a result is its view's row without what is large
SELECT v.attname FROM pg_attribute v WHERE v.attrelid = 'ai_runs'::regclass AND v.attnum > 0
	AND v.attname NOT IN ('messages', 'settings', 'variable_values')
EXCEPT SELECT attname FROM pg_attribute WHERE attrelid = 'ai_run_summary'::regclass;
SELECT attname, atttypid::regtype, attnum FROM pg_attribute WHERE attrelid = 'ai_run_summaries'::regclass AND attnum > 0
EXCEPT SELECT attname, atttypid::regtype, attnum FROM pg_attribute WHERE attrelid = 'ai_run_summary'::regclass;
SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'ai_tasks'::regclass AND attnum > 0
	AND attname NOT IN ('request_data', 'response_text', 'response_data', 'timeout', 'is_overdue', 'client_cost', 'usage_buckets')
EXCEPT SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'ai_task_summary'::regclass;
SELECT attname, atttypid::regtype, attnum FROM pg_attribute WHERE attrelid = 'ai_messages'::regclass AND attnum > 0
EXCEPT SELECT attname, atttypid::regtype, attnum FROM pg_attribute WHERE attrelid = 'ai_message'::regclass;
-- every parameter has a default but those that a call makes no sense without
SELECT f.proname, array_to_string(f.proargnames[1:f.pronargs - f.pronargdefaults], ', ') AS must_be_given
FROM f WHERE prokind = 'f' AND proargnames IS NOT NULL AND pronargs > pronargdefaults
ORDER BY proname COLLATE "C";
SELECT * FROM airun_check();
DROP SCHEMA lint_original CASCADE;
