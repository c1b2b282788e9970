-- What a site adds of its own, and the odd ways in: policies, triggers and views
-- beside ours must neither lose a count nor open a door.
\set QUIET on
\set VERBOSITY terse
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.trust_client_cost = on;
CREATE SCHEMA site_test;
GRANT USAGE, CREATE ON SCHEMA site_test TO PUBLIC;
CREATE ROLE regress_airun_site NOLOGIN;
CREATE ROLE regress_airun_mallory NOLOGIN;
SELECT airun_grant('regress_airun_site');
SET airun.user_id = '51000000-0000-4000-8000-0000000000aa';
\set QUIET off
SELECT id FROM airun_create_run(id => '51000000-0000-4000-8000-000000000001');
SELECT id FROM airun_create_run(id => '51000000-0000-4000-8000-000000000002');

--
-- A policy that writes while our own statement is under way: to another run,
-- to the same run, and several rows
--
CREATE FUNCTION site_test.leak() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('site_test.busy', true) IS DISTINCT FROM 'yes' THEN
		PERFORM set_config('site_test.busy', 'yes', true);
		INSERT INTO airun.tasks (run_id, tokens_total, cost, status) VALUES
			('51000000-0000-4000-8000-000000000002', 7, 0.5, 'completed');
		INSERT INTO airun.messages (run_id, message) VALUES
			('51000000-0000-4000-8000-000000000002', '{"role": "user", "content": "beside"}');
		INSERT INTO airun.messages (run_id, message) VALUES
			('51000000-0000-4000-8000-000000000001', '{"role": "user", "content": "in between"}');
		INSERT INTO airun.tasks (run_id, tokens_total) VALUES
			('51000000-0000-4000-8000-000000000001', 3), ('51000000-0000-4000-8000-000000000001', 4);
		PERFORM set_config('site_test.busy', 'no', true);
	END IF;
	RETURN true;
END $$;
CREATE POLICY leak ON airun.messages AS RESTRICTIVE FOR INSERT WITH CHECK (site_test.leak());
CREATE POLICY leak ON airun.tasks AS RESTRICTIVE FOR INSERT WITH CHECK (site_test.leak());
SET ROLE regress_airun_site;
SELECT seq FROM airun_append_message('51000000-0000-4000-8000-000000000001', helpers.say('first'));
SELECT status FROM airun_create_task('51000000-0000-4000-8000-000000000001');
SELECT airun_start_turn('51000000-0000-4000-8000-000000000001', helpers.say('turn')) -> 'messages' -> 0 ->> 'seq' AS seq;
RESET ROLE;
SELECT id, message_count, task_count, total_tokens, total_cost FROM ai_runs WHERE id::text LIKE '51000000%' ORDER BY id;
SELECT * FROM airun_check();
DROP POLICY leak ON airun.messages;
DROP POLICY leak ON airun.tasks;

-- policies for one command alone: who may read a task but not change it does not
-- stream into it, and what a site hides is not shown in parts
CREATE POLICY site_team ON airun.runs USING (name = 'team');
CREATE POLICY site_mine ON airun.tasks AS RESTRICTIVE FOR UPDATE USING (user_id = airun_user_id());
SELECT id FROM airun_create_run(id => '51000000-0000-4000-8000-000000000003', name => 'team');
SELECT count(airun_append_message('51000000-0000-4000-8000-000000000003', helpers.say(repeat(word, 100)))) FROM (VALUES ('one '), ('secret '), ('three ')) w (word);
SELECT airun_start_turn('51000000-0000-4000-8000-000000000003', task_id => '51000000-0000-4000-9000-000000000003', request_data => jsonb_build_object('messages',
	(SELECT jsonb_agg(message - 'timestamp' ORDER BY seq) FROM airun.messages WHERE run_id = '51000000-0000-4000-8000-000000000003'))) IS NOT NULL AS started;
SELECT response_length FROM airun_update_task('51000000-0000-4000-9000-000000000003', 'her text');
SET airun.user_id = '51000000-0000-4000-8000-0000000000bb';
SET ROLE regress_airun_site;
SELECT status, response_text, length(request_data::text) > 1000 AS whole FROM ai_tasks WHERE task_id = '51000000-0000-4000-9000-000000000003';
SELECT helpers.attempt('SELECT airun_stream_delta(''51000000-0000-4000-9000-000000000003'', '' and his'')');
SELECT helpers.attempt('SELECT airun_update_task(''51000000-0000-4000-9000-000000000003'', ''his alone'')');
SELECT helpers.attempt('SELECT airun_heartbeat_task(''51000000-0000-4000-9000-000000000003'')');
SELECT helpers.attempt('SELECT airun_cancel_task(''51000000-0000-4000-9000-000000000003'')');
SELECT text, position FROM airun_stream_read('51000000-0000-4000-9000-000000000003');
RESET ROLE;
SET airun.user_id = '51000000-0000-4000-8000-0000000000aa';
SELECT airun_finish_turn('51000000-0000-4000-9000-000000000003', '{"role": "assistant", "content": "her secret text"}') IS NOT NULL AS finished;
CREATE POLICY site_hide ON airun.messages AS RESTRICTIVE FOR SELECT USING (message ->> 'content' !~ 'secret' OR airun_user_id() = '51000000-0000-4000-8000-0000000000aa');
SET ROLE regress_airun_site;
SELECT response_text, length(request_data::text) > 1000 AS whole FROM ai_tasks WHERE task_id = '51000000-0000-4000-9000-000000000003';
SET airun.user_id = '51000000-0000-4000-8000-0000000000bb';
SELECT status, response_text, request_data FROM ai_tasks WHERE task_id = '51000000-0000-4000-9000-000000000003';
SELECT airun_get_run('51000000-0000-4000-8000-000000000003', include_requests => true) -> 'tasks' -> 0 ->> 'request_data' AS request;
SELECT * FROM airun_stream_read('51000000-0000-4000-9000-000000000003', 3);
RESET ROLE;
SET airun.user_id = '51000000-0000-4000-8000-0000000000aa';
DROP POLICY site_hide ON airun.messages;
DROP POLICY site_mine ON airun.tasks;
DROP POLICY site_team ON airun.runs;
SELECT * FROM airun_check();

-- and while a roll-up is under way, which is our own statement, too
CREATE FUNCTION site_test.leak_beside() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_setting('site_test.busy', true) IS DISTINCT FROM 'yes' THEN
		PERFORM set_config('site_test.busy', 'yes', true);
		INSERT INTO airun.messages (run_id, message) VALUES
			('51000000-0000-4000-8000-000000000002', '{"role": "user", "content": "during a roll-up"}');
		INSERT INTO airun.tasks (run_id, tokens_total) VALUES ('51000000-0000-4000-8000-000000000002', 9);
		PERFORM set_config('site_test.busy', 'no', true);
	END IF;
	RETURN true;
END $$;
CREATE POLICY leak ON airun.runs AS RESTRICTIVE FOR UPDATE USING (site_test.leak_beside());
SET ROLE regress_airun_site;
INSERT INTO airun.tasks (run_id, tokens_total) VALUES
	('51000000-0000-4000-8000-000000000001', 1), ('51000000-0000-4000-8000-000000000001', 2);
RESET ROLE;
SELECT * FROM airun_check();
DROP POLICY leak ON airun.runs;

--
-- A policy that asks for messages sees the caller's own, also during our calls
--
CREATE TABLE site_test.seen (run_id uuid);
GRANT ALL ON site_test.seen TO PUBLIC;
CREATE FUNCTION site_test.look() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO site_test.seen SELECT DISTINCT m.run_id FROM airun.messages AS m;
	RETURN true;
END $$;
SELECT task_id FROM airun_create_task('51000000-0000-4000-8000-000000000001', '51000000-0000-4000-8000-00000000000a');
CREATE POLICY look ON airun.tasks AS RESTRICTIVE FOR SELECT USING (site_test.look());
SET ROLE regress_airun_site;
SET airun.user_id = '51000000-0000-4000-8000-0000000000bb';
SELECT helpers.attempt($$SELECT airun_update_task('51000000-0000-4000-8000-00000000000a', 'x')$$);
SELECT helpers.attempt($$SELECT airun_complete_task('51000000-0000-4000-8000-00000000000a')$$);
SET airun.user_id = '51000000-0000-4000-8000-0000000000aa';
RESET ROLE;
SELECT count(*) AS "messages of others that a policy has seen" FROM site_test.seen;
DROP POLICY look ON airun.tasks;

--
-- A trigger that prices tasks
--
CREATE FUNCTION site_test.price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.cost := 5;
	NEW.tokens_total := coalesce(NEW.tokens_total, 0) + 1;
	RETURN NEW;
END $$;
CREATE TRIGGER zz_price BEFORE INSERT OR UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION site_test.price();
SELECT cost, tokens_total FROM airun_create_task('51000000-0000-4000-8000-000000000002', '51000000-0000-4000-8000-00000000000b');
SELECT cost, tokens_total FROM airun_complete_task('51000000-0000-4000-8000-00000000000b', 'done', tokens_input => 10, cost => 1);
UPDATE ai_tasks SET status = 'error' WHERE task_id = '51000000-0000-4000-8000-00000000000a' RETURNING cost, tokens_total;
SELECT * FROM airun_check();
DROP TRIGGER zz_price ON airun.tasks;

--
-- Odd ways in: one statement that appends and completes; a deleted run's task;
-- times that are none; too much at once
--
SELECT status FROM airun_set_run_status('51000000-0000-4000-8000-000000000001', 'active');
WITH a AS (INSERT INTO airun.messages (run_id, message)
	VALUES ('51000000-0000-4000-8000-000000000001', helpers.say('last words')) RETURNING run_id)
SELECT (airun_set_run_status(run_id, 'completed')).status FROM a;
SELECT status FROM ai_runs WHERE id = '51000000-0000-4000-8000-000000000001';
SELECT status FROM airun_set_run_status('51000000-0000-4000-8000-000000000001', 'active');
SELECT task_id FROM airun_create_task('51000000-0000-4000-8000-000000000001', '51000000-0000-4000-8000-00000000000c');
SELECT airun_delete_run('51000000-0000-4000-8000-000000000001');
SET ROLE regress_airun_site;
SELECT helpers.attempt($$UPDATE airun.tasks SET status = 'error', cost = 3 WHERE task_id = '51000000-0000-4000-8000-00000000000c'$$);
UPDATE airun.runs SET deleted_at = 'infinity' WHERE id = '51000000-0000-4000-8000-000000000001';
UPDATE airun.runs SET deleted_at = NULL WHERE id = '51000000-0000-4000-8000-000000000001';
UPDATE airun.runs SET deleted_at = '1999-01-01' WHERE id = '51000000-0000-4000-8000-000000000001'
	RETURNING deleted_at > now() - interval '1 hour' AND deleted_at < now() + interval '1 hour' AS "the server's time";
RESET ROLE;
SELECT airun_restore_run('51000000-0000-4000-8000-000000000001');
SELECT helpers.attempt($$INSERT INTO ai_runs (created_at) VALUES ('infinity')$$);
SELECT helpers.attempt($$INSERT INTO ai_runs (created_at) VALUES ('-infinity')$$);
SELECT helpers.attempt($$INSERT INTO ai_tasks (run_id, created_at) VALUES ('51000000-0000-4000-8000-000000000001', '-infinity')$$);
SELECT helpers.attempt($$SELECT airun_append_messages('51000000-0000-4000-8000-000000000001',
	(SELECT airun_array_agg(NULL) FROM generate_series(1, 100001)))$$);
SELECT count(*) >= 2 AS "an empty search finds all" FROM airun_list_runs(search => '');

--
-- A turn that is repeated with something else
--
SELECT airun_start_turn('51000000-0000-4000-8000-000000000001', '[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]',
	'51000000-0000-4000-8000-00000000000d') -> 'task' ->> 'status' AS status;
SELECT helpers.attempt($$SELECT airun_start_turn('51000000-0000-4000-8000-000000000001', '[{"role": "user", "content": "a"}]',
	'51000000-0000-4000-8000-00000000000d')$$);
SELECT helpers.attempt($$SELECT airun_start_turn('51000000-0000-4000-8000-000000000001', '[{"role": "user", "content": "a"}, {"role": "user", "content": "c"}]',
	'51000000-0000-4000-8000-00000000000d')$$);
SELECT json_array_length(airun_start_turn(task_id => '51000000-0000-4000-8000-00000000000d') -> 'messages') AS messages;
SELECT airun_finish_turn('51000000-0000-4000-8000-00000000000d', '{"role": "assistant", "tool_calls": [{"id": "A"}]}') -> 'messages' -> 0 ->> 'role' AS role;
SELECT helpers.attempt($$SELECT airun_finish_turn('51000000-0000-4000-8000-00000000000d', '{"role": "assistant", "tool_calls": [{"id": "B"}]}')$$);
SELECT airun_finish_turn('51000000-0000-4000-8000-00000000000d', '{"role": "assistant", "tool_calls": [{"id": "A"}], "timestamp": "later"}') -> 'messages' -> 0 ->> 'role' AS role;
SELECT airun_finish_turn('51000000-0000-4000-8000-00000000000d') -> 'messages' -> 0 ->> 'role' AS role;
SELECT task_id FROM airun_create_task('51000000-0000-4000-8000-000000000001', '51000000-0000-4000-8000-00000000000e');
SELECT status FROM airun_cancel_task('51000000-0000-4000-8000-00000000000e');
SELECT helpers.attempt($$SELECT airun_finish_turn('51000000-0000-4000-8000-00000000000e')$$);
SELECT * FROM airun_check();

--
-- A view of somebody else's is not taken for ours; nor may the functions live
-- beside the store
--
\set QUIET on
CREATE DATABASE contrib_regression_site;
\c contrib_regression_site
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION airun;
SELECT length(airun_install()) > 0 AS installed;
SELECT airun_grant('regress_airun_mallory');
GRANT CREATE ON SCHEMA public TO regress_airun_mallory;
DROP EXTENSION airun CASCADE;
SET ROLE regress_airun_mallory;
CREATE VIEW public.ai_runs WITH (security_invoker = true) AS SELECT * FROM airun.runs;
RESET ROLE;
CREATE EXTENSION airun;
\set QUIET off
SELECT airun_install();
\set QUIET on
DROP VIEW public.ai_runs;
\set QUIET off
SELECT airun_install() ~ 'view ai_runs' AS made;
\set QUIET on
DROP EXTENSION airun CASCADE;
DROP SCHEMA airun CASCADE;
CREATE SCHEMA airun;
CREATE EXTENSION airun SCHEMA airun;
\set QUIET off
SELECT airun.airun_install();
\set QUIET on
\c contrib_regression
\set VERBOSITY terse
SET client_min_messages = warning;
DROP DATABASE contrib_regression_site;
DELETE FROM airun.runs WHERE user_id = '51000000-0000-4000-8000-0000000000aa';
DROP SCHEMA site_test CASCADE;
DROP OWNED BY regress_airun_site, regress_airun_mallory;
DROP ROLE regress_airun_site, regress_airun_mallory;
SELECT * FROM airun_check();
