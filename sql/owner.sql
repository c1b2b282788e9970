--
-- Installed by who owns the database, an ordinary role, where default privileges
-- give every function and view to API roles, as Supabase has it: the owner can do
-- all that is the owner's, and nobody else any of it.
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
\set original :DBNAME
CREATE ROLE regress_airun_dba;
CREATE ROLE regress_airun_member;
GRANT regress_airun_dba TO regress_airun_member;
CREATE ROLE regress_airun_anon;
CREATE ROLE regress_airun_user;
CREATE ROLE "regress_airun Odd'Role";
CREATE ROLE regress_airun_clerk;
CREATE DATABASE contrib_regression_owner OWNER regress_airun_dba;
\c contrib_regression_owner
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
-- who makes the objects, whoever installs
SELECT rolname AS bootstrap FROM pg_authid WHERE oid = 10 \gset
ALTER DEFAULT PRIVILEGES FOR ROLE :"bootstrap" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE :"bootstrap" GRANT EXECUTE ON FUNCTIONS TO regress_airun_user;
ALTER DEFAULT PRIVILEGES FOR ROLE :"bootstrap" IN SCHEMA public
	GRANT EXECUTE ON FUNCTIONS TO regress_airun_anon, "regress_airun Odd'Role" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_airun_dba IN SCHEMA public GRANT ALL ON TABLES TO regress_airun_anon, regress_airun_user;
-- not in one schema alone: what is made in the store as well
CREATE ROLE regress_airun_all;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_airun_dba GRANT ALL ON TABLES TO regress_airun_all, PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_airun_dba GRANT ALL ON SCHEMAS TO regress_airun_all, PUBLIC;
CREATE SCHEMA owner_test;
GRANT USAGE ON SCHEMA owner_test TO PUBLIC;

-- What a role is told, with all that belongs to it; it is undone
CREATE FUNCTION owner_test.answer(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	detail text;
	hint text;
BEGIN
	PERFORM set_config('role', role, true);
	EXECUTE statement INTO result;
	RAISE SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
	RETURN coalesce(result, 'nothing');
WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n    ', SQLSTATE || ': ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
-- Who may execute what, as the catalogue says
CREATE VIEW owner_test.members AS
	SELECT p.* FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_extension e ON e.oid = d.refobjid
	WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'airun';
GRANT SELECT ON owner_test.members TO PUBLIC;
CREATE FUNCTION owner_test.may(role name) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(proname, ' ' ORDER BY proname COLLATE "C") FROM owner_test.members WHERE has_function_privilege(role, oid, 'EXECUTE')
$$;

--
-- Installing
--
-- who may create nothing in the database may not
SELECT owner_test.answer('regress_airun_user', 'CREATE EXTENSION airun SCHEMA public');
-- the script runs as superuser, and calls nothing that waits for it in the owner's schema:
-- operators that fit better than PostgreSQL's own
CREATE SCHEMA traps AUTHORIZATION regress_airun_dba;
DO $$
DECLARE
	types regtype[] := '{oid,name,text,regclass,regproc,regprocedure,regrole,regnamespace,bool}';
	item record;
BEGIN
	FOR item IN SELECT o, l, r, row_number() OVER () AS n FROM unnest('{=,<>,||}'::text[]) o, unnest(types) l, unnest(types) r LOOP
		EXECUTE format('CREATE FUNCTION traps.trap_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION $x$hijacked %s$x$; END''',
			item.n, item.l, item.r, CASE item.o WHEN '||' THEN 'text' ELSE 'bool' END, item.o);
		EXECUTE format('CREATE OPERATOR traps.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = traps.trap_%s)', item.o, item.l, item.r, item.n);
	END LOOP;
END $$;
SET search_path = traps;
SELECT 1::oid OPERATOR(traps.=) 'pg_proc'::regclass;
SELECT 1::oid = 'pg_proc'::regclass;
SET SESSION AUTHORIZATION regress_airun_dba;
CREATE EXTENSION airun SCHEMA traps;
DROP EXTENSION airun;
RESET search_path;
RESET SESSION AUTHORIZATION;
DROP SCHEMA traps CASCADE;
SET SESSION AUTHORIZATION regress_airun_dba;
CREATE EXTENSION airun;
SELECT split_part(airun_install(), E'\n', 1);
SELECT airun_install();
SELECT airun_grant('regress_airun_user');
SELECT * FROM airun_check();
RESET SESSION AUTHORIZATION;
-- the code is a superuser's, all else the owner's
SELECT extowner::regrole FROM pg_extension WHERE extname = 'airun';
SELECT DISTINCT proowner = 10 FROM owner_test.members;
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'airun'::regnamespace OR relname LIKE 'ai\_%' AND relkind = 'v';
-- the owner may call everything, and grant it
SELECT count(*) FROM owner_test.members WHERE NOT has_function_privilege('regress_airun_dba', oid, 'EXECUTE WITH GRANT OPTION');
-- default privileges have given nobody anything, and taken nothing from anybody
SELECT owner_test.may('regress_airun_anon');
SELECT owner_test.may('regress_airun Odd''Role') = owner_test.may('regress_airun_anon'), owner_test.may('public') = owner_test.may('regress_airun_anon');
SELECT proname FROM owner_test.members WHERE NOT has_function_privilege('regress_airun_user', oid, 'EXECUTE') ORDER BY proname COLLATE "C";
SELECT DISTINCT a.grantee::regrole, a.grantor::regrole, a.is_grantable FROM owner_test.members m, aclexplode(m.proacl) a
WHERE a.grantee NOT IN (0, m.proowner) ORDER BY 1;

-- nor anything of the store, and of partitions that come later; nor is it taken for what airun_grant() gives
CREATE FUNCTION owner_test.given() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(what || ' ' || grantee::regrole, ', ') FROM (
		SELECT c.oid::regclass::text, a.grantee FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'airun'::regnamespace
		UNION SELECT n.nspname, a.grantee FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname = 'airun') AS g (what, grantee)
	WHERE grantee NOT IN ('regress_airun_dba'::regrole, 'regress_airun_user'::regrole)
$$;
SELECT owner_test.given(), owner_test.may('regress_airun_all') = owner_test.may('regress_airun_anon');
BEGIN;
-- whoever has forced row security on himself does not see what he would partition, or drop
ALTER TABLE airun.runs FORCE ROW LEVEL SECURITY;
SELECT owner_test.answer('regress_airun_dba', 'SELECT airun_partition(1)');
ALTER TABLE airun.runs NO FORCE ROW LEVEL SECURITY;
SET LOCAL SESSION AUTHORIZATION regress_airun_dba;
SELECT airun_partition(1) ~ 'is partitioned', airun_add_partitions(2);
SET LOCAL SESSION AUTHORIZATION DEFAULT;
SELECT owner_test.given(), owner_test.may('regress_airun_all') = owner_test.may('regress_airun_anon');
ROLLBACK;

--
-- Users
--
SET SESSION AUTHORIZATION regress_airun_dba;
SELECT airun_set_price('m', '{"input": 2}', effective_from => '-infinity') IS NOT NULL;
SET SESSION AUTHORIZATION regress_airun_user;
SET airun.user_id = '0a000000-0000-4000-8000-0000000000aa';
SELECT id FROM airun_create_run(id => '0a000000-0000-4000-8000-00000000aaaa');
SELECT seq FROM airun_append_message('0a000000-0000-4000-8000-00000000aaaa', '{"role": "user", "content": "Hello"}');
INSERT INTO ai_messages (run_id, message) VALUES ('0a000000-0000-4000-8000-00000000aaaa', '{"role": "user", "content": "there"}') RETURNING seq;
SELECT airun_finish_turn('0a000000-0000-4000-8000-00000000000a', response_text => 'Hi', usage => '{"prompt_tokens": 3}') #>> '{task,cost}'
FROM (SELECT airun_start_turn('0a000000-0000-4000-8000-00000000aaaa', task_id => '0a000000-0000-4000-8000-00000000000a', model_id => 'm') AS s OFFSET 0) x
WHERE s IS NOT NULL;
SELECT message_count, total_cost, jsonb_array_length(messages) FROM ai_runs;
SELECT airun_delete_run(id) FROM airun_create_run(name => 'gone');
SET airun.user_id = '0a000000-0000-4000-8000-0000000000bb';
SELECT count(*) FROM ai_runs;
RESET SESSION AUTHORIZATION;
SELECT total_cost FROM airun.runs WHERE id = '0a000000-0000-4000-8000-00000000aaaa';

--
-- What is the owner's: EXECUTE on everything does not help, as Supabase and many
-- a guide give it afterwards
--
GRANT ALL ON ALL FUNCTIONS IN SCHEMA public TO regress_airun_anon, regress_airun_user;
UPDATE airun.prices SET rates = '{"input": 9}';
SET airun.user_id = '0a000000-0000-4000-8000-0000000000aa';
CREATE TABLE owner_test.calls AS SELECT * FROM unnest(ARRAY[
	'airun_install()',
	'airun_install_original(''owner_original'')',
	'airun_grant(''regress_airun_anon'')',
	'airun_reprice()',
	'airun_reprice(all_tasks => true)',
	'airun_reprice(dry_run => true)',
	'airun_purge_runs(''infinity'')',
	'airun_set_price(''m'', ''{"input": 1}'')',
	'airun_import_prices(''{"m": {"litellm_provider": "x", "input_cost_per_token": 1}}'')']) WITH ORDINALITY x (call, number);
-- all that airun_grant() withholds is tried
SELECT proname FROM owner_test.members m WHERE prorettype <> 'trigger'::regtype AND proname NOT LIKE 'airun\_store\_%'
	AND NOT EXISTS (SELECT FROM owner_test.calls WHERE call LIKE proname || '(%')
	AND NOT EXISTS (SELECT FROM aclexplode(m.proacl) a WHERE a.grantee = 'regress_airun_user'::regrole AND a.grantor = 'regress_airun_dba'::regrole);
SELECT call, owner_test.answer('regress_airun_user', 'SELECT ' || call) FROM owner_test.calls ORDER BY number;
-- nor does what default privileges may give on views
SELECT v, owner_test.answer('regress_airun_user', format('WITH d AS (DELETE FROM %s RETURNING 1) SELECT count(*) FROM d', v))
FROM unnest('{ai_runs,ai_run_summaries,ai_tasks}'::text[]) v WHERE has_table_privilege('regress_airun_user', v, 'DELETE');
SELECT call, left(owner_test.answer('regress_airun_anon', 'SELECT ' || call), 5) FROM owner_test.calls ORDER BY number;
SELECT total_cost FROM airun.runs WHERE id = '0a000000-0000-4000-8000-00000000aaaa';
-- the owner may all of it, and so may a member of that role, but not install what would be the member's
SELECT r, call, left(owner_test.answer(r, 'SELECT ' || CASE WHEN call ~ 'set_price' THEN call || ' IS NOT NULL'
	WHEN call ~ 'import' THEN 'action FROM ' || call WHEN call ~ 'reprice' THEN 'cost_after FROM ' || call ELSE call END), 9)
FROM unnest('{regress_airun_dba,regress_airun_member}'::text[]) r, owner_test.calls ORDER BY r, number;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM regress_airun_anon, regress_airun_user;

--
-- A clerk who keeps prices, whom the owner has given what that takes
--
SET SESSION AUTHORIZATION regress_airun_dba;
SELECT airun_grant('regress_airun_user'), airun_grant('regress_airun_clerk');
GRANT EXECUTE ON FUNCTION airun_set_price, airun_import_prices TO regress_airun_clerk;
GRANT INSERT ON airun.prices TO regress_airun_clerk;
GRANT INSERT, UPDATE ON airun.price_book TO regress_airun_clerk;
CREATE POLICY site_clerk ON airun.price_book TO regress_airun_clerk USING (true);
RESET SESSION AUTHORIZATION;
SET airun.user_id = '0a000000-0000-4000-8000-0000000000cc';
\set call 'SELECT count(airun_set_price(''m'', ''{"input": 5}''))'
SELECT owner_test.answer('regress_airun_clerk', :'call');
GRANT UPDATE ON airun.prices TO regress_airun_clerk;
CREATE POLICY site_clerk_new ON airun.prices FOR INSERT TO regress_airun_clerk WITH CHECK (true);
-- a price that cannot be closed is not followed by another one
SELECT owner_test.answer('regress_airun_clerk', :'call');
CREATE POLICY site_clerk_old ON airun.prices FOR UPDATE TO regress_airun_clerk USING (true);
SELECT owner_test.answer('regress_airun_clerk', :'call');
SELECT owner_test.answer('regress_airun_clerk', 'SELECT action FROM airun_import_prices(''{"n": {"litellm_provider": "x", "input_cost_per_token": 1}}'')');
-- but moves nobody's totals
SELECT left(owner_test.answer('regress_airun_clerk', 'SELECT airun_reprice()'), 5);
RESET airun.user_id;

--
-- Settings of the superuser's stay his
--
SELECT s, left(owner_test.answer('regress_airun_dba', s), 47) FROM unnest(ARRAY[
	'SET airun.max_message_size = ''1GB''', 'SET airun.trust_client_cost = on', 'SET airun.max_wait = 0',
	'ALTER DATABASE contrib_regression_owner SET airun.trust_client_cost = on',
	'ALTER ROLE regress_airun_dba SET airun.trust_client_cost = on']) s;
\c -
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
-- in a session that has not loaded the library, too
SET SESSION AUTHORIZATION regress_airun_dba;
ALTER DATABASE contrib_regression_owner SET airun.trust_client_cost = on;
RESET SESSION AUTHORIZATION;

--
-- Removing, and installing again, where a superuser has installed it
--
SELECT split_part(owner_test.answer('regress_airun_dba', 'DROP EXTENSION airun'), E'\n', 1);
SET SESSION AUTHORIZATION regress_airun_dba;
SET client_min_messages = error;
DROP EXTENSION airun CASCADE;
SELECT count(*) FROM airun.messages;
RESET SESSION AUTHORIZATION;
-- as restoring a dump as superuser does
CREATE EXTENSION airun;
SELECT owner_test.answer('regress_airun_dba', 'SELECT airun_install()');
SELECT owner_test.answer('regress_airun_dba', 'SELECT airun_grant(''regress_airun_user'')');
GRANT EXECUTE ON FUNCTION airun_install(), airun_grant(name, text) TO regress_airun_dba;
SELECT owner_test.answer('regress_airun_dba', 'SELECT airun_grant(''regress_airun_user'')');
SELECT owner_test.answer('regress_airun_dba', 'SELECT airun_grant(''regress_airun_dba'')');
SELECT airun_grant('regress_airun_dba');
SELECT count(*) FROM owner_test.members WHERE NOT has_function_privilege('regress_airun_dba', oid, 'EXECUTE WITH GRANT OPTION');
SET SESSION AUTHORIZATION regress_airun_dba;
SELECT split_part(airun_install(), E'\n', 1);
SELECT airun_grant('regress_airun_dba'), airun_grant('regress_airun_user');
SELECT * FROM airun_check();
SELECT proname FROM owner_test.members WHERE NOT has_function_privilege('regress_airun_user', oid, 'EXECUTE') ORDER BY proname COLLATE "C";
RESET SESSION AUTHORIZATION;

-- clean up
\c :original
DROP DATABASE contrib_regression_owner;
DROP ROLE regress_airun_member, regress_airun_dba, regress_airun_anon, regress_airun_user, "regress_airun Odd'Role", regress_airun_clerk, regress_airun_all;
