--
-- Tasks that stream are found by their keys, without a query under row security,
-- by a backend that knows the tables: whatever changes them, who asks, or what
-- may be seen, is heeded by the next piece all the same, and what the piece
-- answers is what ai_tasks shows.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA seen_test;
SET search_path = seen_test, helpers, public;
SET helpers.ids = '5ee20000-0000-4000-8000';
SET airun.user_id = 'seen test';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- how often a policy has asked in this transaction
CREATE FUNCTION asked() RETURNS bigint LANGUAGE sql AS
$$SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_xact_user_functions WHERE funcname = 'airun_sees_run' AND schemaname = 'public'$$;
-- is a summary what the view shows?
CREATE FUNCTION compared(s ai_task_summary) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	shown jsonb;
	differences text;
BEGIN
	SELECT to_jsonb(t) || jsonb_build_object('response_length', coalesce(length(t.response_text), 0)) INTO shown
	FROM ai_tasks AS t WHERE t.task_id = s.task_id AND t.run_id = s.run_id;
	IF shown IS NULL THEN
		RETURN ', hidden';
	END IF;
	SELECT string_agg(format('%s %s instead of %s', key, value, shown -> key), ', ') INTO differences
	FROM jsonb_each(to_jsonb(s)) WHERE value IS DISTINCT FROM shown -> key;
	RETURN ' WRONG: ' || differences;
EXCEPTION WHEN OTHERS THEN
	RETURN ' WRONG: ' || SQLSTATE;
END$$;
-- a piece: how the task stands then, and whether a policy was asked
CREATE FUNCTION piece(n int, run int DEFAULT 1, delta text DEFAULT 'piece ') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before bigint := asked();
	after bigint;
	s ai_task_summary;
BEGIN
	s := airun_stream_delta(task_id(n), delta, run_id => run_id(run));
	after := asked();
	RETURN format('%s %s, %s%s', s.status, s.response_length, CASE after WHEN before THEN 'found' ELSE 'by a query' END, compared(s));
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END$$;
CREATE FUNCTION whole(n int, whole text, data jsonb DEFAULT NULL, run int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before bigint := asked();
	after bigint;
	s ai_task_summary;
BEGIN
	s := airun_update_task(task_id(n), whole, data, run_id => run_id(run));
	after := asked();
	RETURN format('%s %s, %s%s', s.status, s.response_length, CASE after WHEN before THEN 'found' ELSE 'by a query' END, compared(s));
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END$$;
CREATE FUNCTION create_tasks(run int, first int, last int) RETURNS void LANGUAGE sql AS $$
	SELECT airun_create_run(id => run_id(run), name => 'run');
	SELECT airun_create_task(run_id(run), task_id(n)) FROM generate_series(first, last) AS n;
$$;
CREATE ROLE regress_airun_seen NOLOGIN;
CREATE ROLE regress_airun_seen_other NOLOGIN;
CREATE ROLE regress_airun_seen_member NOLOGIN;
CREATE ROLE regress_airun_seen_plain NOLOGIN;
SELECT airun_grant('regress_airun_seen');
SELECT airun_grant('regress_airun_seen_other');
GRANT regress_airun_seen TO regress_airun_seen_member;
-- these two lack nothing but the tables
GRANT USAGE ON SCHEMA airun, public TO regress_airun_seen_member, regress_airun_seen_plain;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_airun_seen_member, regress_airun_seen_plain;
GRANT SELECT ON ai_tasks TO regress_airun_seen_member, regress_airun_seen_plain;
GRANT USAGE ON SCHEMA seen_test TO PUBLIC;
SET track_functions = 'all';
-- autovacuum changes what is known of a table, after which all is looked at anew
DO $$BEGIN EXECUTE (SELECT string_agg(format('ALTER TABLE airun.%I SET (autovacuum_enabled = off)', name), ';') FROM unnest('{runs,messages,tasks,task_chunks}'::text[]) AS name); END$$;
SELECT setting || '/psql' AS psql FROM pg_config WHERE name = 'BINDIR' \gset
\setenv AIRUN_PSQL :psql
\setenv AIRUN_DATABASE :DBNAME

--
-- The first piece moves the task, by a statement; those that follow find it
--
SELECT create_tasks(1, 1, 60) \g /dev/null
SET ROLE regress_airun_seen;
SELECT piece(1), piece(1), piece(1);
SELECT piece(1);
SELECT whole(1, 'piece piece piece piece and more');
SELECT whole(1, 'another');
-- without the run, too
SELECT status, response_length FROM airun_stream_delta(task_id(1), ' piece');
-- data, with text and alone, is a change of the row
SELECT whole(1, 'another piece!', '{"a": 1}'), piece(1);
SELECT whole(1, NULL, '{"b": 2}'), piece(1);
SELECT response_data FROM ai_tasks WHERE task_id = task_id(1);
-- a hundred in one statement
SELECT count(piece), min(substr(piece, strpos(piece, ', '))), max(substr(piece, strpos(piece, ', '))) FROM (SELECT piece(1, 1, i::text) FROM generate_series(1, 100) AS i OFFSET 0) AS p;
SELECT count(airun_stream_delta(task_id(1), 'x', run_id => run_id(1))) FROM generate_series(1, 100) AS i;
SELECT piece(1);
-- two by turns, and many in turn
SELECT piece(2), piece(3);
SELECT piece(2), piece(3), piece(2), piece(3);
SELECT string_agg(split_part(piece, ', ', 2), ' ' ORDER BY i, n) FROM (SELECT i, n, piece(n) FROM generate_series(1, 3) AS i, generate_series(11, 26) AS n OFFSET 0) AS p;
SELECT string_agg(split_part(piece, ', ', 2), ' ' ORDER BY i, n) FROM (SELECT i, n, piece(n) FROM generate_series(1, 3) AS i, generate_series(11, 30) AS n OFFSET 0) AS p;
SELECT count(*) FROM ai_tasks WHERE run_id = run_id(1) AND task_id BETWEEN task_id(11) AND task_id(30) AND response_text <> repeat('piece ', CASE WHEN task_id <= task_id(26) THEN 6 ELSE 3 END);

--
-- What becomes of the task and of its run: by this session, by another one
--
SELECT piece(4), piece(4);
SELECT updated_at AS before FROM airun_heartbeat_task(task_id(4)) \gset
SELECT piece(4), piece(4);
SELECT updated_at > :'before' FROM airun_stream_delta(task_id(4), '', run_id => run_id(1));
-- a heartbeat that is later than the last piece is when it was last changed
SELECT updated_at AS beat FROM airun_heartbeat_task(task_id(4)) \gset
SELECT updated_at = :'beat' FROM airun_update_task(task_id(4), 'piece', run_id => run_id(1));
UPDATE ai_tasks SET timeout = '1 hour' WHERE task_id = task_id(4);
SELECT piece(4), piece(4);
UPDATE ai_tasks SET timeout = NULL WHERE task_id = task_id(4);
SELECT piece(4);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "UPDATE ai_tasks SET timeout = '2 hours' WHERE task_id = '5ee20000-0000-4000-9000-000000000004'"
SELECT piece(4), piece(4);
SELECT timeout FROM ai_tasks WHERE task_id = task_id(4);
-- a message moves the run
SELECT seq FROM airun_append_message(run_id(1), '{"role": "user", "content": "meanwhile"}');
SELECT piece(4), piece(4);
-- over
SELECT piece(5), piece(5), (airun_complete_task(task_id(5))).status, piece(5), piece(5);
SELECT piece(6), piece(6);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "SELECT airun_cancel_task('5ee20000-0000-4000-9000-000000000006', 'cancelled')"
SELECT piece(6), whole(6, 'late');
BEGIN;
SELECT piece(7), piece(7);
RESET ROLE;
SELECT status FROM airun_fail_task(task_id(7));
SET ROLE regress_airun_seen;
SELECT piece(7);
ROLLBACK;
SELECT piece(7), piece(7);
-- deleted, restored, purged
RESET ROLE;
SELECT create_tasks(2, 201, 209) \g /dev/null
SELECT create_tasks(3, 301, 309) \g /dev/null
SET ROLE regress_airun_seen;
SELECT piece(201, 2), piece(201, 2), piece(301, 3), piece(301, 3);
SELECT airun_delete_run(run_id(2));
SELECT piece(201, 2), whole(201, 'all', run => 2);
SELECT airun_restore_run(run_id(2));
SELECT piece(201, 2), piece(201, 2);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "SELECT airun_delete_run('5ee20000-0000-4000-8000-000000000002')"
SELECT piece(201, 2);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "SELECT airun_restore_run('5ee20000-0000-4000-8000-000000000002')"
SELECT piece(201, 2), piece(201, 2);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "SELECT airun_delete_run('5ee20000-0000-4000-8000-000000000003')" -c "SELECT airun_purge_runs('infinity')"
SELECT piece(301, 3);
BEGIN;
RESET ROLE;
DELETE FROM airun.tasks WHERE task_id = task_id(201);
SET ROLE regress_airun_seen;
SELECT piece(201, 2);
ROLLBACK;
SELECT piece(201, 2), piece(201, 2);
-- given to somebody else
RESET ROLE;
SELECT airun_user_id() AS mine \gset
UPDATE airun.runs SET user_id = '5ee20000-0000-4000-8000-0000000000bb' WHERE id = run_id(2);
SET ROLE regress_airun_seen;
SELECT piece(201, 2);
RESET ROLE;
UPDATE airun.runs SET user_id = :'mine' WHERE id = run_id(2);
SET ROLE regress_airun_seen;
SELECT piece(201, 2), piece(201, 2);
-- the right task in another run
SELECT piece(201, 1), piece(201, 2);

--
-- Taken back
--
BEGIN;
SELECT piece(8), piece(8);
ROLLBACK;
SELECT status FROM ai_tasks WHERE task_id = task_id(8);
SELECT piece(8), piece(8);
BEGIN;
SAVEPOINT a;
SELECT piece(9), piece(9);
ROLLBACK TO a;
SELECT status FROM ai_tasks WHERE task_id = task_id(9);
SELECT piece(9), piece(9);
SAVEPOINT b;
SELECT piece(9), whole(9, NULL, '{"c": 1}'), piece(9);
ROLLBACK TO b;
SELECT piece(9), piece(9);
COMMIT;
SELECT response_text, response_data FROM ai_tasks WHERE task_id = task_id(9);
-- a snapshot that lasts
SELECT piece(10), piece(10);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) > 0 FROM ai_tasks;
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "SELECT airun_complete_task('5ee20000-0000-4000-9000-000000000010', 'over')"
SELECT status FROM airun_stream_delta(task_id(10), 'late', run_id => run_id(1));
COMMIT;
SELECT piece(10);
-- nothing is written where nothing may be
BEGIN READ ONLY;
SELECT piece(9);
COMMIT;
SELECT piece(9), piece(9);

--
-- Who asks
--
SELECT piece(31), piece(31);
SET airun.user_id = 'somebody else';
SELECT piece(31), whole(31, 'theirs');
SET airun.user_id = 'seen test';
SELECT piece(31);
SET request.jwt.claims = '{"sub": "somebody else"}';
SELECT piece(31);
SET request.jwt.claims = '{"sub": "seen test"}';
SELECT piece(31);
SET request.jwt.claims = '';
SELECT piece(31);
SET airun.user_id = '';
SELECT piece(31);
SET airun.user_id = 'seen test';
SELECT piece(31);
SET row_security = off;
SELECT piece(31);
RESET row_security;
SELECT piece(31);
-- the owner of the store, whom nothing binds, and another after it
RESET ROLE;
SELECT left(piece(31), 9), left(piece(31), 9);
SET airun.user_id = 'somebody else';
SELECT left(piece(31), 9), left(piece(31), 9);
SET ROLE regress_airun_seen;
SELECT piece(31);
SET airun.user_id = 'seen test';
SELECT piece(31), piece(31);
-- other roles: with the same rights, by membership, with none on the tables
SET ROLE regress_airun_seen_other;
SELECT piece(31), piece(31);
SET ROLE regress_airun_seen_plain;
SELECT piece(31), piece(31);
SET ROLE regress_airun_seen_member;
SELECT piece(31), piece(31);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "REVOKE regress_airun_seen FROM regress_airun_seen_member"
SELECT piece(31);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "GRANT regress_airun_seen TO regress_airun_seen_member"
SELECT piece(31), piece(31);
RESET ROLE;
REVOKE regress_airun_seen FROM regress_airun_seen_member;
SET ROLE regress_airun_seen_member;
SELECT piece(31);
SET ROLE regress_airun_seen;

--
-- What may be seen
--
SELECT piece(32), piece(32);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "REVOKE SELECT ON airun.tasks FROM regress_airun_seen"
SELECT piece(32);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "GRANT SELECT ON airun.tasks TO regress_airun_seen"
SELECT left(piece(32), 12), left(piece(32), 12);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "REVOKE SELECT ON airun.runs FROM regress_airun_seen"
SELECT piece(32);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "GRANT SELECT ON airun.runs TO regress_airun_seen"
SELECT piece(32), piece(32);
RESET ROLE;
REVOKE UPDATE ON airun.tasks FROM regress_airun_seen;
SET ROLE regress_airun_seen;
SELECT piece(32);
RESET ROLE;
GRANT UPDATE ON airun.tasks TO regress_airun_seen;
SET ROLE regress_airun_seen;
SELECT piece(32), piece(32);
RESET ROLE;
REVOKE UPDATE ON airun.runs FROM regress_airun_seen;
SET ROLE regress_airun_seen;
SELECT piece(32);
RESET ROLE;
GRANT UPDATE ON airun.runs TO regress_airun_seen;
SET ROLE regress_airun_seen;
SELECT piece(32), piece(32);
-- a policy of a site, by another session and taken away by it: by queries alone while it is there
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "CREATE POLICY site ON airun.runs AS RESTRICTIVE USING (name <> 'run')"
SELECT piece(32);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "ALTER POLICY site ON airun.runs USING (name = 'run')"
SELECT piece(32), piece(32);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "ALTER POLICY site ON airun.runs USING (current_setting('site.may', true) = 'yes')"
SET site.may = 'yes';
SELECT piece(32), piece(32);
SET site.may = 'no';
SELECT piece(32);
RESET site.may;
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "DROP POLICY site ON airun.runs"
SELECT piece(32), piece(32);
-- by this one, for each command, and taken back
BEGIN;
RESET ROLE;
CREATE POLICY site ON airun.tasks AS RESTRICTIVE FOR SELECT USING (current_setting('site.may', true) = 'yes');
SET ROLE regress_airun_seen;
SET LOCAL site.may = 'yes';
SELECT piece(32), piece(32);
SET LOCAL site.may = 'no';
SELECT piece(32);
ROLLBACK;
SELECT piece(32), piece(32);
BEGIN;
RESET ROLE;
CREATE POLICY site ON airun.tasks AS RESTRICTIVE FOR UPDATE USING (false);
SET ROLE regress_airun_seen;
SELECT piece(32);
ROLLBACK;
SELECT piece(32), piece(32);
-- ours, altered, gone, and not asked
BEGIN;
RESET ROLE;
ALTER POLICY airun_owner ON airun.runs USING (false);
SET ROLE regress_airun_seen;
SELECT piece(32);
ROLLBACK;
SELECT piece(32), piece(32);
BEGIN;
RESET ROLE;
ALTER POLICY airun_read ON airun.tasks TO regress_airun_seen_other;
SET ROLE regress_airun_seen;
SELECT piece(32);
ROLLBACK;
SELECT piece(32), piece(32);
BEGIN;
RESET ROLE;
DROP POLICY airun_change ON airun.tasks;
SET ROLE regress_airun_seen;
SELECT piece(32), piece(33);
ROLLBACK;
SELECT piece(32), piece(32);
RESET ROLE;
ALTER TABLE airun.runs DISABLE ROW LEVEL SECURITY;
ALTER TABLE airun.tasks DISABLE ROW LEVEL SECURITY;
ALTER TABLE airun.task_chunks DISABLE ROW LEVEL SECURITY;
SET ROLE regress_airun_seen;
SET airun.user_id = 'somebody else';
SELECT left(piece(32), 9), left(piece(32), 9);
RESET ROLE;
ALTER TABLE airun.runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE airun.tasks ENABLE ROW LEVEL SECURITY;
ALTER TABLE airun.task_chunks ENABLE ROW LEVEL SECURITY;
SET ROLE regress_airun_seen;
SELECT piece(32);
SET airun.user_id = 'seen test';
SELECT piece(32), piece(32);
-- what is taken away while the piece is being kept is gone with the next one
RESET ROLE;
CREATE FUNCTION take_away() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	REVOKE SELECT ON airun.tasks FROM regress_airun_seen;
	RETURN NULL;
END$$;
CREATE TRIGGER site AFTER UPDATE ON airun.tasks FOR EACH STATEMENT EXECUTE FUNCTION take_away();
SET ROLE regress_airun_seen;
BEGIN;
SELECT response_length FROM airun_stream_delta(task_id(36), 'piece', run_id => run_id(1));
SELECT piece(36);
ROLLBACK;
RESET ROLE;
DROP TRIGGER site ON airun.tasks;
-- tables that are written anew, rows that are frozen
SET ROLE regress_airun_seen;
SELECT piece(34), piece(35), piece(34), piece(35);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "VACUUM FULL airun.tasks" -c "VACUUM FULL airun.runs"
SELECT piece(35), piece(34), piece(35), piece(34);
\! "$AIRUN_PSQL" -X -q -o /dev/null -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "VACUUM FREEZE airun.tasks" -c "VACUUM FREEZE airun.runs"
SELECT left(piece(35), 12), left(piece(34), 12);
RESET ROLE;
SELECT task_id = task_id(34), response_text FROM ai_tasks WHERE task_id IN (task_id(34), task_id(35)) ORDER BY task_id;
SELECT * FROM airun_check();

\setenv AIRUN_PSQL
\setenv AIRUN_DATABASE
RESET track_functions;
DO $$BEGIN EXECUTE (SELECT string_agg(format('ALTER TABLE airun.%I RESET (autovacuum_enabled)', name), ';') FROM unnest('{runs,messages,tasks,task_chunks}'::text[]) AS name); END$$;
DELETE FROM airun.runs WHERE id::text LIKE '5ee20000-%';
DROP SCHEMA seen_test CASCADE;
DROP OWNED BY regress_airun_seen, regress_airun_seen_other, regress_airun_seen_member, regress_airun_seen_plain;
DROP ROLE regress_airun_seen, regress_airun_seen_other, regress_airun_seen_member, regress_airun_seen_plain;
SELECT airun_install();
SELECT * FROM airun_check();
