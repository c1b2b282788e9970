--
-- airun_install(): what it makes, what it refuses, what it puts back.
-- This one begins in a database that has the extension and no store yet.
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
CREATE SCHEMA install_test;
GRANT USAGE ON SCHEMA install_test TO PUBLIC;

-- what a statement gives, or how it is refused; a refusal undoes it
CREATE FUNCTION install_test.answer(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	hint text;
BEGIN
	IF statement ~* '^\s*(SELECT|WITH|TABLE)' THEN
		EXECUTE statement INTO result;
	ELSE
		EXECUTE statement;
		result := 'done';
	END IF;
	RETURN coalesce(result, 'null');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ': ' || SQLERRM || coalesce(E'\n  HINT: ' || nullif(hint, ''), '');
END $$;

-- everything about the store that a DBA would look at, in words
CREATE FUNCTION install_test.store() RETURNS SETOF text LANGUAGE sql
SET search_path = pg_catalog AS $$
	WITH r AS (
		SELECT c.*, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'airun' AND c.relkind IN ('r', 'v')
			OR c.relname IN ('ai_runs', 'ai_run_summaries', 'ai_messages', 'ai_tasks', 'ai_unpriced_models', 'ai_calls')
	)
	SELECT format('%s %s, row security %s', relkind, oid::regclass, relrowsecurity) FROM r
	UNION ALL SELECT format('%s grants %s to %s', r.oid::regclass, privilege_type, grantee::regrole)
		FROM r, aclexplode(relacl)
	UNION ALL SELECT format('options of %s: %s', oid::regclass, reloptions) FROM r
	UNION ALL SELECT format('%s.%s %s %s %s %s', attrelid::regclass, attname,
			format_type(atttypid, atttypmod), attnotnull, attstorage, pg_get_expr(adbin, adrelid))
		FROM r JOIN pg_attribute a ON attrelid = r.oid AND attnum > 0 AND NOT attisdropped
		LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
	UNION ALL SELECT format('comment on %s %s: %s', r.oid::regclass, objsubid, description)
		FROM r JOIN pg_description ON objoid = r.oid AND classoid = 'pg_class'::regclass
	UNION ALL SELECT pg_get_triggerdef(t.oid) || tgenabled::text
		FROM r JOIN pg_trigger t ON tgrelid = r.oid AND NOT tgisinternal
	UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(k.oid))
		FROM r JOIN pg_constraint k ON conrelid = r.oid AND contype <> 'n'
	UNION ALL SELECT pg_get_indexdef(indexrelid) FROM r JOIN pg_index ON indrelid = r.oid
	UNION ALL SELECT format('policy %s of %s: %s %s %s %s', polname, polrelid::regclass, polcmd,
			polpermissive, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
		FROM r JOIN pg_policy ON polrelid = r.oid
	UNION ALL SELECT pg_get_viewdef(oid) FROM r WHERE relkind = 'v'
	UNION ALL SELECT format('schema %s: %s', oid::regnamespace, obj_description(oid, 'pg_namespace'))
		FROM pg_namespace WHERE nspname = 'airun'
	UNION ALL SELECT format('%s may be called by %s', p.oid::regprocedure, grantee::regrole)
		FROM pg_proc p, aclexplode(proacl) WHERE proname LIKE 'airun%' AND grantee <> 0
$$;

-- every row of the catalogues that a store has, and which transaction wrote it
CREATE FUNCTION install_test.catalogue() RETURNS TABLE (relation text, place tid, writer xid)
LANGUAGE sql AS $$
	SELECT 'pg_class', ctid, xmin FROM pg_class
	UNION ALL SELECT 'pg_attribute', ctid, xmin FROM pg_attribute
	UNION ALL SELECT 'pg_attrdef', ctid, xmin FROM pg_attrdef
	UNION ALL SELECT 'pg_proc', ctid, xmin FROM pg_proc
	UNION ALL SELECT 'pg_trigger', ctid, xmin FROM pg_trigger
	UNION ALL SELECT 'pg_policy', ctid, xmin FROM pg_policy
	UNION ALL SELECT 'pg_constraint', ctid, xmin FROM pg_constraint
	UNION ALL SELECT 'pg_index', ctid, xmin FROM pg_index
	UNION ALL SELECT 'pg_rewrite', ctid, xmin FROM pg_rewrite
	UNION ALL SELECT 'pg_description', ctid, xmin FROM pg_description
	UNION ALL SELECT 'pg_namespace', ctid, xmin FROM pg_namespace
	UNION ALL SELECT 'pg_type', ctid, xmin FROM pg_type
	UNION ALL SELECT 'pg_depend', ctid, xmin FROM pg_depend
	UNION ALL SELECT 'pg_default_acl', ctid, xmin FROM pg_default_acl
$$;

CREATE ROLE regress_airun_plain;
CREATE ROLE regress_airun_api;
CREATE ROLE "regress_airun Odd'Role";

--
-- Before there is a store, every function that needs one says how to get one
--
SELECT p.proname || ' ' || install_test.answer(format('SELECT %s(%s)', p.oid::regproc,
	(SELECT string_agg(CASE t
			WHEN 'uuid'::regtype THEN '''0a000000-0000-4000-8000-00000000dead'''
			WHEN 'jsonb'::regtype THEN '''{"id": "?", "role": "user", "content": "?"}'''
			WHEN 'bigint'::regtype THEN '1'
			WHEN 'timestamptz'::regtype THEN 'now()'
			WHEN 'name'::regtype THEN 'current_user'
			WHEN 'regclass'::regtype THEN '''pg_class'''
			ELSE '''active''' END, ', ' ORDER BY o)
	 FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u (t, o)
	 WHERE o <= p.pronargs - p.pronargdefaults)))
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'airun' AND d.deptype = 'e' AND p.prokind = 'f'
	AND p.prorettype NOT IN ('trigger'::regtype, 'internal'::regtype)
	AND p.proname NOT IN ('airun_install', 'airun_user_id', 'airun_user_uuid', 'airun_uuid', 'airun_bucket',
		'airun_json', 'airun_array_result', 'airun_sketch_bin', 'airun_sketch_result', 'airun_sketch_merge', 'airun_sketch_quantile',
		'airun_message_text', 'airun_request', 'airun_is_overdue', 'airun_array_in_order', 'airun_array_add_at',
		'airun_normalize_usage')
	AND p.proname NOT LIKE 'airun\_store\_%'	-- lists
ORDER BY p.proname COLLATE "C";
-- it made nothing by the way
SELECT count(*) FROM pg_namespace WHERE nspname = 'airun';

--
-- Names that are taken
--
CREATE FUNCTION install_test.try_name(taken text, undo text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE taken;
	CREATE TEMP TABLE seen AS SELECT * FROM install_test.catalogue();
	TRUNCATE seen;
	INSERT INTO seen SELECT * FROM install_test.catalogue();
	RETURN NEXT taken;
	RETURN NEXT install_test.answer('SELECT airun_install()');
	RETURN NEXT '  left behind: ' || (SELECT count(*) FROM
		(SELECT * FROM install_test.catalogue() EXCEPT TABLE seen) x);
	DROP TABLE seen;
	EXECUTE undo;
END $$;
SELECT install_test.try_name('CREATE TABLE public.ai_runs (id int, note text)', 'DROP TABLE public.ai_runs');
SELECT install_test.try_name('CREATE VIEW public.ai_tasks AS SELECT 1 AS x', 'DROP VIEW public.ai_tasks');
SELECT install_test.try_name('CREATE SEQUENCE public.ai_messages', 'DROP SEQUENCE public.ai_messages');
SELECT install_test.try_name('CREATE MATERIALIZED VIEW public.ai_run_summaries AS SELECT 1 AS x',
	'DROP MATERIALIZED VIEW public.ai_run_summaries');
SELECT install_test.try_name('CREATE TYPE public.ai_tasks AS ENUM (''a'')', 'DROP TYPE public.ai_tasks');
SELECT install_test.try_name('CREATE DOMAIN public.ai_runs AS int', 'DROP DOMAIN public.ai_runs');
SELECT install_test.try_name('CREATE SCHEMA airun AUTHORIZATION regress_airun_plain', 'DROP SCHEMA airun');
-- a table of the application's own stands where ours would
SELECT install_test.try_name('CREATE SCHEMA airun CREATE TABLE airun.runs (id int, note text)',
	'DROP SCHEMA airun CASCADE');
SELECT install_test.try_name('CREATE SCHEMA airun CREATE VIEW airun.tasks AS SELECT 1 AS x',
	'DROP SCHEMA airun CASCADE');
-- the same names in another schema are nobody's business
CREATE TABLE install_test.ai_runs (id int);

--
-- Who may
--
SET ROLE regress_airun_plain;
SELECT install_test.answer(s) FROM unnest(ARRAY[
	'SELECT airun_install()',
	'SELECT airun_grant(''regress_airun_plain'')',
	'SELECT airun_purge_runs(now())',
	'SELECT airun_check()',
	'SELECT airun_create_run()',
	'SELECT airun_list_runs()',
	'SELECT airun_get_run(airun_uuid())',
	'SELECT airun_user_id()']) s;
RESET ROLE;
-- the right to call it is not enough
GRANT EXECUTE ON FUNCTION airun_install() TO regress_airun_plain;
SET ROLE regress_airun_plain;
SELECT regexp_replace(install_test.answer('SELECT airun_install()'), current_database()::text, '...');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION airun_install() FROM regress_airun_plain;

--
-- It makes the store
--
SELECT airun_install();
SELECT obj_description('airun'::regnamespace);
SELECT * FROM airun_check();

-- the second call changes nothing
CREATE TABLE install_test.seen (relation text, place tid, writer xid);
INSERT INTO install_test.seen SELECT * FROM install_test.catalogue();
SELECT airun_install();
(SELECT * FROM install_test.catalogue() EXCEPT TABLE install_test.seen)
UNION ALL (TABLE install_test.seen EXCEPT SELECT * FROM install_test.catalogue());
SELECT count(*) > 1000 AS something_was_compared FROM install_test.seen;

--
-- What belongs to whom
--
-- no object of the store is the extension's
SELECT d.classid::regclass, d.objid::regclass FROM pg_depend d
JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
WHERE d.deptype = 'e' AND (c.relnamespace = 'airun'::regnamespace OR c.relkind IN ('r', 'v', 'i', 'S'))
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'airun');
SELECT DISTINCT pg_get_userbyid(relowner) = current_user AS mine FROM pg_class
WHERE relnamespace = 'airun'::regnamespace OR relname IN ('ai_runs', 'ai_run_summaries', 'ai_messages', 'ai_tasks', 'ai_unpriced_models', 'ai_calls')
	AND relnamespace = 'public'::regnamespace;
-- what of the store needs the extension: defaults, policies, triggers and views
CREATE VIEW install_test.needs AS
SELECT d.classid::regclass::text AS kind, d.objid, d.objsubid
FROM pg_depend m JOIN pg_depend d ON d.refclassid = m.classid AND d.refobjid = m.objid
WHERE m.deptype = 'e' AND m.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'airun')
	AND d.deptype IN ('n', 'a')
	AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.deptype = 'e' AND e.classid = d.classid AND e.objid = d.objid)
	AND d.classid NOT IN ('pg_type'::regclass, 'pg_extension'::regclass);
SELECT kind, count(DISTINCT objid) FROM install_test.needs GROUP BY kind ORDER BY kind COLLATE "C";
-- never a CHECK, an index, a column's type or a generated column, which would go with their rows
SELECT n.* FROM install_test.needs n
LEFT JOIN pg_attrdef f ON n.kind = 'pg_attrdef' AND f.oid = n.objid
LEFT JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
WHERE n.kind NOT IN ('pg_attrdef', 'pg_policy', 'pg_trigger', 'pg_rewrite') OR a.attgenerated <> '';

--
-- A session that knows the store notices when it goes, in its own transaction as well
--
SELECT (airun_create_run(id => '0a000000-0000-4000-8000-000000000009')).status;
CREATE FUNCTION install_test.without(damage text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT damage;
	BEGIN
		EXECUTE damage;
		FOR i IN 1 .. 2 LOOP
			RETURN NEXT install_test.answer('SELECT seq FROM airun_append_message(''0a000000-0000-4000-8000-000000000009'', ''{"role": "user", "content": "x"}'')');
		END LOOP;
		RAISE EXCEPTION 'undo' USING ERRCODE = 'P0099';
	EXCEPTION WHEN SQLSTATE 'P0099' THEN NULL;
	END;
	RETURN NEXT install_test.answer('SELECT seq FROM airun_append_message(''0a000000-0000-4000-8000-000000000009'', ''{"role": "user", "content": "x"}'')');
END $$;
SELECT install_test.without(damage) FROM unnest(ARRAY['DROP TABLE airun.task_chunks CASCADE', 'DROP TABLE airun.tasks CASCADE',
	'ALTER TABLE airun.messages RENAME TO letters', 'ALTER SCHEMA airun RENAME TO arena', 'DROP SCHEMA airun CASCADE', 'ALTER TABLE airun.runs SET SCHEMA install_test']) AS damage;
SELECT message_count FROM ai_runs WHERE id = '0a000000-0000-4000-8000-000000000009';
SELECT airun_delete_run('0a000000-0000-4000-8000-000000000009');
SELECT airun_purge_runs('infinity');

--
-- What is missing is put back, and said
--
SELECT airun_grant('regress_airun_api');
SELECT airun_grant('regress_airun Odd''Role');
SELECT install_test.answer('SELECT airun_grant(''regress_airun_nobody'')');
SELECT install_test.answer('SELECT airun_grant(''regress_airun_api'', ''admin'')');
SELECT install_test.answer('SELECT airun_grant(''regress_airun_api'', NULL)');
CREATE TABLE install_test.whole AS SELECT * FROM install_test.store();
SELECT count(*) > 300 AS something_is_compared FROM install_test.whole;
CREATE FUNCTION install_test.difference() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT '  LOST ' || w FROM (TABLE install_test.whole EXCEPT SELECT * FROM install_test.store()) x (w)
	UNION ALL
	SELECT '  NEW ' || w FROM (SELECT * FROM install_test.store() EXCEPT TABLE install_test.whole) x (w)
	ORDER BY 1
$$;
SELECT install_test.difference();
CREATE FUNCTION install_test.try_damage(damage text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT damage;
	EXECUTE damage;
	IF NOT EXISTS (SELECT FROM install_test.difference()) THEN
		RETURN NEXT '  NO DAMAGE';
	END IF;
	RETURN NEXT install_test.answer('SELECT airun_install()');
	RETURN QUERY SELECT * FROM install_test.difference();
END $$;
SELECT install_test.try_damage(damage) FROM (
	SELECT 1, format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger
	WHERE tgname LIKE 'airun%' AND NOT tgisinternal
	UNION ALL
	SELECT 2, format('DROP POLICY %I ON %s', polname, polrelid::regclass) FROM pg_policy
	WHERE polrelid::regclass::text LIKE 'airun.%'
	UNION ALL
	SELECT 3, format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', c.oid::regclass) FROM pg_class c
	WHERE relnamespace = 'airun'::regnamespace AND relkind = 'r'
	UNION ALL
	SELECT 4, format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
	WHERE connamespace = 'airun'::regnamespace AND contype IN ('c', 'f')
	UNION ALL
	SELECT 5, format('DROP INDEX %s', indexrelid::regclass) FROM pg_index
	WHERE indrelid::regclass::text LIKE 'airun.%' AND NOT indisprimary
	UNION ALL
	SELECT 6, format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', adrelid::regclass, attname)
	FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
	WHERE adrelid::regclass::text LIKE 'airun.%' AND pg_get_expr(adbin, adrelid) LIKE 'airun%'
	UNION ALL
	SELECT 7, format('DROP VIEW %I CASCADE', relname) FROM pg_class
	WHERE relnamespace = 'public'::regnamespace AND relkind = 'v'
	UNION ALL SELECT 8, 'COMMENT ON COLUMN airun.runs.name IS NULL'
	UNION ALL SELECT 8, 'COMMENT ON COLUMN public.ai_tasks.cost IS NULL'
	UNION ALL SELECT 8, 'COMMENT ON SCHEMA airun IS NULL'
) x (class, damage) ORDER BY class, damage COLLATE "C";
-- what a site has put in the place of a comment stays
COMMENT ON COLUMN airun.runs.name IS 'our own words';
SELECT airun_install();
SELECT col_description('airun.runs'::regclass, attnum) FROM pg_attribute
WHERE attrelid = 'airun.runs'::regclass AND attname = 'name';
COMMENT ON COLUMN airun.runs.name IS NULL;
SELECT airun_install();
SELECT install_test.difference();

-- a disabled trigger shows in airun_check()
ALTER TABLE airun.tasks DISABLE TRIGGER airun_guard;
SELECT problem, expected, found FROM airun_check();
ALTER TABLE airun.tasks ENABLE TRIGGER airun_guard;
ALTER TABLE airun.messages DISABLE ROW LEVEL SECURITY;
SELECT problem, expected, found FROM airun_check();
ALTER TABLE airun.messages ENABLE ROW LEVEL SECURITY;
SELECT * FROM airun_check();

-- a store of a later version is left alone, one of an earlier is asked to be migrated
COMMENT ON SCHEMA airun IS 'airun store version 999: what airun_install() made and airun''s functions work on';
SELECT install_test.answer('SELECT airun_install()');
SELECT obj_description('airun'::regnamespace);
COMMENT ON SCHEMA airun IS 'airun store version 0: what airun_install() made and airun''s functions work on';
\c -
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
SELECT install_test.answer('SELECT airun_create_run()');
SELECT install_test.answer('SELECT airun_list_runs()');
SELECT airun_install();
SELECT install_test.difference();
SELECT (airun_create_run(name => 'migrated', id => '0a000000-0000-4000-8000-000000000001')).name;

-- a store of version 1, where the text of an unfinished task was in its row
SELECT (airun_create_task('0a000000-0000-4000-8000-000000000001', ('0a000000-0000-4000-8000-0000000000b' || n)::uuid)).status FROM generate_series(1, 3) n;
SELECT (airun_complete_task('0a000000-0000-4000-8000-0000000000b1', 'the whole text')).response_length;
DROP VIEW ai_tasks, ai_unpriced_models CASCADE;
CREATE VIEW ai_tasks WITH (security_invoker = true) AS
	SELECT task_id, run_id, user_id, service, task_name, provider, endpoint, model_id, request_data, response_text, response_data, error, metadata,
		finish_reason, status, tokens_input, tokens_output, tokens_total, usage, cost, cost_details, time_to_first_token, total_time, created_at,
		updated_at, completed_at
	FROM airun.tasks;
CREATE TRIGGER airun_view INSTEAD OF INSERT OR UPDATE OR DELETE ON ai_tasks FOR EACH ROW EXECUTE FUNCTION airun_view_task();
-- another one is in a deleted run, and the site has triggers of its own
SELECT (airun_create_run(id => '0a000000-0000-4000-8000-000000000004')).status, (airun_create_task('0a000000-0000-4000-8000-000000000004', '0a000000-0000-4000-8000-0000000000b4')).status;
ALTER TABLE airun.tasks DISABLE TRIGGER USER;
UPDATE airun.tasks SET status = 'streaming', response_text = 'as far as it has come' WHERE task_id IN ('0a000000-0000-4000-8000-0000000000b2', '0a000000-0000-4000-8000-0000000000b4');
ALTER TABLE airun.tasks ENABLE TRIGGER USER;
SELECT airun_delete_run('0a000000-0000-4000-8000-000000000004');
CREATE TRIGGER site_off BEFORE UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TRIGGER site_always BEFORE UPDATE ON airun.tasks FOR EACH ROW WHEN (false) EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE airun.tasks DISABLE TRIGGER site_off;
ALTER TABLE airun.tasks ENABLE ALWAYS TRIGGER site_always;
ALTER TABLE airun.tasks DROP COLUMN response_length, DROP COLUMN timeout, DROP COLUMN generation, DROP COLUMN text_in_answer, DROP COLUMN request_reference,
	DROP COLUMN client_cost, DROP COLUMN price_status, DROP COLUMN usage_buckets;
DROP INDEX airun.tasks_unfinished;
DROP TABLE airun.task_chunks;
DROP TRIGGER airun_roll_up_truncate ON airun.messages;
CREATE TRIGGER airun_roll_up_truncate AFTER TRUNCATE ON airun.messages EXECUTE FUNCTION airun_roll_up_messages();
COMMENT ON SCHEMA airun IS 'airun store version 1: what airun_install() made and airun''s functions work on';
\c -
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
SELECT install_test.answer('SELECT airun_update_task(''0a000000-0000-4000-8000-0000000000b2'', ''x'')');
SELECT install_test.answer('SELECT airun_check()');
SELECT airun_install();
SELECT airun_install();
SELECT status, response_text, is_overdue FROM ai_tasks WHERE run_id = '0a000000-0000-4000-8000-000000000001' ORDER BY task_id;
SELECT status, response_text, response_length FROM airun.tasks WHERE run_id = '0a000000-0000-4000-8000-000000000001' ORDER BY task_id;
SELECT (airun_update_task('0a000000-0000-4000-8000-0000000000b2', 'as far as it has come, and on')).response_length;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'airun.tasks'::regclass AND tgname ~ '^site_|_guard$' ORDER BY 1;
DROP TRIGGER site_off ON airun.tasks;
DROP TRIGGER site_always ON airun.tasks;
SELECT airun_restore_run('0a000000-0000-4000-8000-000000000004');
SELECT status, response_text FROM ai_tasks WHERE run_id = '0a000000-0000-4000-8000-000000000004';
SELECT * FROM airun_check();

--
-- DROP EXTENSION takes no row, and all comes back
--
SET airun.user_id = '0a000000-0000-4000-8000-0000000000aa';
SET airun.trust_client_cost = on;
SELECT (airun_create_run('chat', name => 'before', id => '0a000000-0000-4000-8000-000000000002')).name;
SELECT seq FROM airun_append_messages('0a000000-0000-4000-8000-000000000002',
	'[{"role": "user", "content": "a"}, {"role": "user", "content": "b", "id": "m2"}]');
SELECT (airun_create_task('0a000000-0000-4000-8000-000000000002', '0a000000-0000-4000-8000-00000000000a')).status;
SELECT (airun_complete_task('0a000000-0000-4000-8000-00000000000a', 'c', tokens_input => 3, tokens_output => 4, cost => 0.5)).tokens_total;
-- a site's own
ALTER TABLE airun.runs ADD COLUMN site_team text DEFAULT 'red';
CREATE INDEX site_team_index ON airun.runs (site_team);
CREATE POLICY site_team_policy ON airun.runs FOR SELECT USING (site_team = current_setting('site.team', true));
CREATE POLICY site_owner_policy ON airun.runs FOR SELECT USING (user_id = airun_user_id());
CREATE TABLE install_test.favourites (run_id uuid REFERENCES airun.runs (id));
INSERT INTO install_test.favourites VALUES ('0a000000-0000-4000-8000-000000000002');
CREATE FUNCTION install_test.rows() RETURNS TABLE (relation text, number bigint, content text) LANGUAGE sql AS $$
	SELECT 'runs', count(*), md5(string_agg(r::text, '|' ORDER BY id)) FROM airun.runs r
	UNION ALL SELECT 'messages', count(*), md5(string_agg(m::text, '|' ORDER BY run_id, seq)) FROM airun.messages m
	UNION ALL SELECT 'tasks', count(*), md5(string_agg(t::text, '|' ORDER BY run_id, task_id)) FROM airun.tasks t
	UNION ALL SELECT 'favourites', count(*), md5(string_agg(f::text, '|')) FROM install_test.favourites f
$$;
CREATE TABLE install_test.rows_before AS SELECT * FROM install_test.rows();
SELECT relation, number FROM install_test.rows_before ORDER BY relation;
TRUNCATE install_test.whole;
INSERT INTO install_test.whole SELECT * FROM install_test.store();

SELECT install_test.answer('DROP EXTENSION airun');
DROP VIEW install_test.needs;
DROP EXTENSION airun CASCADE;
SELECT relation, number FROM install_test.rows() ORDER BY relation;
TABLE install_test.rows_before EXCEPT SELECT * FROM install_test.rows();
SELECT relname, relrowsecurity FROM pg_class WHERE relnamespace = 'airun'::regnamespace AND relkind = 'r' ORDER BY 1;
SELECT count(*) FROM pg_proc WHERE proname LIKE 'airun%';
-- meanwhile nobody sees what is not theirs: the rows are closed
SET ROLE regress_airun_api;
SELECT count(*) FROM airun.runs;
SELECT count(*) FROM airun.messages;
RESET ROLE;

CREATE EXTENSION airun;
SELECT airun_install();
TABLE install_test.rows_before EXCEPT SELECT * FROM install_test.rows();
-- all but the site's policy that had named our function
SELECT install_test.difference();
SELECT airun_install();
SELECT * FROM airun_check();
-- and works, for an API role, too, in the same session
SET ROLE regress_airun_api;
SELECT name, message_count, total_tokens, total_cost FROM airun_list_runs();
SELECT (airun_append_message('0a000000-0000-4000-8000-000000000002', '{"role": "user", "content": "after"}')).seq;
SELECT jsonb_path_query_array(messages, '$[*].content') FROM ai_runs;
SELECT install_test.answer('INSERT INTO airun.messages (run_id, seq, message) VALUES
	(''0a000000-0000-4000-8000-000000000002'', 7, ''{"role": "user", "content": "?"}'')');
SET ROLE "regress_airun Odd'Role";
SELECT count(*) FROM ai_messages;
RESET ROLE;
SELECT * FROM airun_check();

-- an API role's grants come with a view that is made again
DROP VIEW ai_messages, ai_runs CASCADE;
SELECT airun_install();
SET ROLE regress_airun_api;
SELECT count(*) FROM ai_messages;
SELECT name FROM ai_runs;
UPDATE ai_runs SET name = 'renamed';
SELECT name FROM ai_runs;
-- which stops short of what an owner may
SELECT install_test.answer(s) FROM unnest(ARRAY[
	'SELECT airun_install()',
	'SELECT airun_grant(''regress_airun_plain'')',
	'SELECT airun_purge_runs(now())',
	'DELETE FROM airun.runs']) s;
RESET ROLE;

-- purging needs the right to delete, besides the right to call
GRANT EXECUTE ON FUNCTION airun_purge_runs(timestamptz, bigint) TO regress_airun_api;
SET ROLE regress_airun_api;
SELECT airun_delete_run('0a000000-0000-4000-8000-000000000002');
SELECT install_test.answer('SELECT airun_purge_runs(''infinity'')');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION airun_purge_runs(timestamptz, bigint) FROM regress_airun_api;
DROP TABLE install_test.favourites;
SELECT airun_purge_runs('infinity');

--
-- Settings
--
-- a role may put anything there before the library is loaded, and gains nothing
\c -
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET ROLE regress_airun_api;
SET airun.max_message_size = '1kB';
SET airun.trust_client_cost = on;
SET airun.user_id = '0a000000-0000-4000-8000-0000000000ab';
SET airun.nonsense = 1;
SELECT airun_user_id();
SHOW airun.max_message_size;
SHOW airun.trust_client_cost;
SELECT install_test.answer(s) FROM unnest(ARRAY[
	'SET airun.max_message_size = ''256MB''',
	'SET airun.trust_client_cost = on',
	'SELECT set_config(''airun.trust_client_cost'', ''on'', true)',
	'SET airun.nonsense = 1',
	'SELECT current_setting(''airun.nonsense'')',
	'SET airun.user_id = ''someone''',
	'SELECT airun_user_id()']) s;
RESET ROLE;
-- 16 and later name the unit of the range
SELECT replace(install_test.answer(s), ' kB', '') FROM unnest(ARRAY[
	'SET airun.max_message_size = 0',
	'SET airun.max_message_size = ''1GB''',
	'SET airun.nonsense = 1',
	'SET airun.max_message_size = ''2kB''',
	'SELECT current_setting(''airun.max_message_size'')']) s;
-- airun.direct_writes is what the tests are run with
SELECT name, CASE name WHEN 'airun.direct_writes' THEN boot_val ELSE setting END, unit, context, vartype
FROM pg_settings WHERE name LIKE 'airun.%' ORDER BY name;
RESET ALL;

--
-- In a schema of its own, whose name needs quoting, and with a store that
-- belongs to an ordinary role
--
CREATE ROLE regress_airun_owner;
CREATE DATABASE contrib_regression_schema;
\c contrib_regression_schema
SET client_min_messages = error;
CREATE TABLE public.ai_runs (id int);
CREATE SCHEMA "My API";
CREATE EXTENSION airun SCHEMA "My API";
GRANT CREATE ON DATABASE contrib_regression_schema TO regress_airun_owner;
GRANT USAGE, CREATE ON SCHEMA "My API" TO regress_airun_owner WITH GRANT OPTION;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA "My API" TO regress_airun_owner WITH GRANT OPTION;
SET ROLE regress_airun_owner;
SELECT "My API".airun_install();
SELECT "My API".airun_install();
SELECT "My API".airun_grant('regress_airun_api');
SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'airun'::regnamespace;
RESET ROLE;
-- the superuser does not take it over
SELECT "My API".airun_install();
SET ROLE regress_airun_api;
SET airun.user_id = '0a000000-0000-4000-8000-0000000000ab';
SELECT ("My API".airun_create_run(id => '0a000000-0000-4000-8000-000000000003')).status;
SET search_path = "My API";
SELECT json_array_length(airun_start_turn('0a000000-0000-4000-8000-000000000003',
	'{"role": "user", "content": "Is it there? Yes."}', '0a000000-0000-4000-8000-00000000000b') -> 'messages');
INSERT INTO ai_messages (run_id, message) VALUES ('0a000000-0000-4000-8000-000000000003', '{"role": "user", "content": "x"}');
UPDATE ai_tasks SET status = 'completed', tokens_total = 5;
SELECT name, message_count, task_count, total_tokens FROM ai_run_summaries;
SELECT jsonb_array_length(messages) FROM ai_runs;
SELECT * FROM airun_check();
DELETE FROM airun.runs;
RESET ROLE;
SET ROLE regress_airun_owner;
-- grants come back here, too, by the owner's own call
DROP VIEW ai_messages CASCADE;
SELECT airun_install();
DELETE FROM airun.messages WHERE seq = 2;
DELETE FROM airun.runs;
SELECT * FROM airun_check();
RESET ROLE;
SELECT count(*) FROM airun.messages;
SET ROLE regress_airun_api;
SELECT count(*) FROM ai_messages;
RESET ROLE;
DROP EXTENSION airun CASCADE;
DROP OWNED BY regress_airun_owner, regress_airun_api CASCADE;
\c contrib_regression
\pset format aligned
\pset tuples_only off
SET client_min_messages = error;
DROP DATABASE contrib_regression_schema;

-- clean up
DROP POLICY site_team_policy ON airun.runs;
ALTER TABLE airun.runs DROP COLUMN site_team;
DELETE FROM airun.runs WHERE id::text LIKE '0a000000-%';
DROP SCHEMA install_test CASCADE;
DROP OWNED BY regress_airun_plain, regress_airun_api, "regress_airun Odd'Role", regress_airun_owner;
DROP ROLE regress_airun_plain, regress_airun_api, "regress_airun Odd'Role", regress_airun_owner;
SELECT airun_install();
SELECT * FROM airun_check();
