--
-- A store of which Citus has taken a part is refused, by every function and
-- before anything is written; Citus merely loaded changes nothing.  Its catalogs
-- are made here, in a transaction that is rolled back.
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
DO $$BEGIN PERFORM airun_install(), airun_install_original('citus_original'); END$$;
CREATE SCHEMA citus_test;
SET airun.user_id = 'citus';

-- What a statement gives, or how it is refused; a refusal undoes it
CREATE FUNCTION citus_test.answer(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n  ', SQLSTATE || ': ' || SQLERRM, detail, hint);
END $$;

BEGIN;
SET LOCAL allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char", partkey text,
	colocationid int, repmodel "char", autoconverted boolean);
CREATE TABLE pg_catalog.pg_dist_schema (schemaid oid, colocationid int);

-- Loaded, with a distributed table of the site's
CREATE TABLE citus_test.events (id uuid PRIMARY KEY, run_id uuid);
INSERT INTO pg_catalog.pg_dist_partition VALUES ('citus_test.events', 'h', 'id', 1, 's', false);
INSERT INTO pg_catalog.pg_dist_schema VALUES ('citus_test'::regnamespace, 2);
SELECT citus_test.answer(s) FROM unnest(ARRAY['SELECT airun_create_run(id => ''0c170500-0000-4000-8000-000000000001'')',
	'SELECT airun_append_message(''0c170500-0000-4000-8000-000000000001'', ''{"role": "user", "content": "Hello"}'')',
	'SELECT airun_install()', 'SELECT airun_check(''0c170500-0000-4000-8000-000000000001'')']) AS s;

-- What Citus may have done, and what is said
SELECT partmethod || ' ' || repmodel || ' ' || colocationid, citus_test.answer(format($q$DO $do$BEGIN
	INSERT INTO pg_catalog.pg_dist_partition VALUES (%L, %L, NULL, %s, %L, false);
	PERFORM airun_messages('0c170500-0000-4000-8000-000000000001');
END$do$ $q$, relation, partmethod, colocationid, repmodel))
FROM (VALUES ('airun.messages', 'h', 1, 's'), ('airun.prices', 'n', 1, 't'), ('airun.calls', 'n', 2, 's'), ('airun.runs', 'n', 0, 's'), ('airun.tasks', 'a', 1, 'c'))
	AS v (relation, partmethod, colocationid, repmodel);
SELECT citus_test.answer($q$DO $do$BEGIN
	INSERT INTO pg_catalog.pg_dist_schema VALUES ('airun'::regnamespace, 3);
	INSERT INTO pg_catalog.pg_dist_partition VALUES ('airun.runs', 'n', NULL, 3, 's', false);
	PERFORM airun_create_run();
END$do$ $q$);
-- a subtransaction that is rolled back has taken nothing
SELECT citus_test.answer('SELECT airun_messages(''0c170500-0000-4000-8000-000000000001'')');

--
-- Every function that needs the store, on a run that is there
--
CREATE FUNCTION citus_test.sums() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	relation regclass;
	figures text;
	sums text := '';
BEGIN
	FOR relation IN SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = 'airun'::regnamespace AND c.relkind = 'r' ORDER BY c.oid LOOP
		EXECUTE format('SELECT concat_ws('' '', count(*), max(xmin::text::bigint)) FROM %s', relation) INTO figures;
		sums := sums || figures || ';';
	END LOOP;
	RETURN sums;
END $$;
CREATE TEMP TABLE before AS SELECT citus_test.sums();
INSERT INTO pg_catalog.pg_dist_partition VALUES ('airun.messages', 'h', 'run_id', 1, 's', false);
CREATE TEMP TABLE answers AS SELECT p.proname AS name, citus_test.answer(format('SELECT %s(%s)', p.oid::regproc, CASE p.proname
	WHEN 'airun_call' THEN '''{"airun_uuid": {}}'''
	WHEN 'airun_stream_delta' THEN '''0c170500-0000-4000-8000-000000000001'', ''x'''
	ELSE (SELECT string_agg(CASE t
			WHEN 'uuid'::regtype THEN '''0c170500-0000-4000-8000-000000000001'''
			WHEN 'jsonb'::regtype THEN '''{"id": "?", "role": "user", "content": "?"}'''
			WHEN 'bigint'::regtype THEN '1'
			WHEN 'double precision'::regtype THEN '1'
			WHEN 'timestamptz'::regtype THEN 'now()'
			WHEN 'name'::regtype THEN 'current_user'
			WHEN 'regclass'::regtype THEN '''airun.runs'''
			WHEN 'text[]'::regtype THEN '''{}'''
			ELSE '''active''' END, ', ' ORDER BY o)
	 FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u (t, o)
	 WHERE o <= p.pronargs - p.pronargdefaults) END)) AS answer
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'airun' AND d.deptype = 'e' AND p.prokind = 'f'
	AND p.prorettype NOT IN ('trigger'::regtype, 'internal'::regtype) AND p.proname NOT LIKE 'airun\_store\_%'
	AND 'internal'::regtype <> ALL (p.proargtypes);
SELECT answer, count(*) > 50 FROM answers WHERE answer LIKE '0A000%' GROUP BY answer;
-- these need no store; the proxy of shards has none
SELECT name, split_part(answer, ':', 1) FROM answers WHERE answer NOT LIKE '0A000%' ORDER BY name COLLATE "C";
-- by the views and by the tables, with the triggers that Citus would want dropped
SELECT s, split_part(citus_test.answer(s), E'\n', 1) FROM unnest(ARRAY[
	'INSERT INTO ai_runs (source_type) VALUES (''chat'')',
	'INSERT INTO ai_messages (run_id, message) VALUES (''0c170500-0000-4000-8000-000000000001'', ''{"role": "user", "content": "?"}'')',
	'INSERT INTO ai_tasks (run_id) VALUES (''0c170500-0000-4000-8000-000000000001'')',
	'INSERT INTO citus_original.ai_runs (name) VALUES (''x'')',
	'UPDATE ai_runs SET name = ''x'' WHERE id = ''0c170500-0000-4000-8000-000000000001''',
	'INSERT INTO airun.messages (run_id, seq, message) VALUES (''0c170500-0000-4000-8000-000000000001'', 2, ''{"role": "user"}'')',
	'DELETE FROM airun.messages WHERE run_id = ''0c170500-0000-4000-8000-000000000001''']) AS s;
SELECT citus_test.sums() = (SELECT sums FROM before) AS nothing_was_written;
-- given back
DELETE FROM pg_catalog.pg_dist_partition WHERE logicalrelid = 'airun.messages'::regclass;
SELECT airun_messages('0c170500-0000-4000-8000-000000000001')::jsonb ->> 0 IS NOT NULL;
ROLLBACK;
-- a new schema that Citus would distribute: nothing is made
\set original :DBNAME
CREATE DATABASE contrib_regression_citus;
\c contrib_regression_citus
\set VERBOSITY default
SET client_min_messages = error;
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_schema (schemaid oid, colocationid int);
CREATE FUNCTION distribute() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
	INSERT INTO pg_catalog.pg_dist_schema SELECT objid, 1 FROM pg_event_trigger_ddl_commands();
END$$;
CREATE EVENT TRIGGER distribute ON ddl_command_end WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION distribute();
CREATE EXTENSION airun;
SELECT airun_install();
SELECT count(*) FROM pg_namespace WHERE nspname = 'airun';
\c :original
SET client_min_messages = error;
DROP DATABASE contrib_regression_citus;
DROP SCHEMA citus_test CASCADE;
DROP SCHEMA citus_original CASCADE;
