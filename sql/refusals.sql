--
-- Bad input: each with its SQLSTATE and message, and nothing changed by any.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA refusals_test;
SET search_path = refusals_test, helpers, public;
SET client_encoding = 'UTF8';
SET airun.user_id = 'refusals test';
SET airun.trust_client_cost = on;
SET airun.max_message_size = '64kB';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- runs 1 (active), 2 (completed), 3 (deleted), 4 (another user's); tasks 1 (pending), 2 (completed), 3 (of run 3), 4 (of run 4), 5 (streaming);
-- 9 of each is nobody's
CREATE FUNCTION r(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$SELECT ('00000000-0000-4000-8007-' || lpad(n::text, 12, '0'))::uuid$$;
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$SELECT ('00000000-0000-4000-9007-' || lpad(n::text, 12, '0'))::uuid$$;
SELECT count(airun_create_run(id => r(n), name => 'run ' || n, user_id => CASE n WHEN 4 THEN airun_user_uuid('somebody else') END)) FROM generate_series(1, 4) n;
SELECT count(airun_append_message(r(1), jsonb_build_object('role', 'user', 'content', 'm' || n), 'm' || n)) FROM generate_series(1, 3) n;
SELECT count(airun_create_task(r(run), t(task))) FROM (VALUES (1, 1), (1, 2), (3, 3), (4, 4), (1, 5)) v (run, task);
SELECT count(airun_complete_task(t(2), 'text', '{"u": 1}', 1, 2, cost => 0.5)), count(airun_update_task(t(5), 'text'));
SELECT count(airun_set_run_status(r(2), 'completed')), airun_delete_run(r(3));

-- called by an API role
CREATE ROLE regress_airun_refused;
SELECT count(airun_grant('regress_airun_refused'));
GRANT USAGE ON SCHEMA refusals_test TO regress_airun_refused;

CREATE FUNCTION refusal(command text, OUT answer text, OUT has_hint boolean) LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE command;
	answer := 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	answer := SQLSTATE || ' ' || left(SQLERRM, 200);
	has_hint := hint <> '';
END$$;
CREATE TABLE bad (i int GENERATED ALWAYS AS IDENTITY, state text, command text);
GRANT SELECT ON bad TO regress_airun_refused;

-- nothing where something must be
INSERT INTO bad (state, command)
SELECT 'PT422', format('SELECT %s', c) FROM unnest(ARRAY['airun_get_run(NULL)', 'airun_update_run(NULL, name => ''x'')', 'airun_star_run(NULL)',
	'airun_star_run(r(1), NULL)', 'airun_toggle_star(NULL)', 'airun_archive_run(NULL)', 'airun_archive_run(r(1), NULL)',
	'airun_set_run_status(NULL, ''active'')', 'airun_set_run_status(r(1), NULL)', 'airun_delete_run(NULL)', 'airun_restore_run(NULL)',
	'airun_append_message(NULL, ''{"role": "user", "content": "x"}'')', 'airun_append_message(r(1), NULL)',
	'airun_append_messages(NULL, ''[]'')', 'airun_append_messages(r(1), NULL)', 'airun_messages(NULL)',
	'airun_create_task(NULL)', 'airun_update_task(NULL, ''x'')', 'airun_complete_task(NULL)', 'airun_fail_task(NULL)', 'airun_cancel_task(NULL)',
	'airun_start_turn(NULL)', 'airun_start_turn(NULL, ''[]'', t(9))', 'airun_finish_turn(NULL, response_text => ''x'')', 'airun_finish_turn(t(1))']) c;
-- what is there no more, never was, or is another's: one answer
INSERT INTO bad (state, command)
SELECT 'PT404', format('SELECT ' || c, n) FROM unnest(ARRAY['airun_get_run(r(%s))', 'airun_update_run(r(%s), name => ''x'')', 'airun_star_run(r(%s))',
	'airun_toggle_star(r(%s))', 'airun_archive_run(r(%s))', 'airun_set_run_status(r(%s), ''active'')',
	'airun_append_message(r(%s), ''{"role": "user", "content": "x"}'')', 'airun_append_messages(r(%s), ''[]'')', 'airun_messages(r(%s))',
	'airun_create_task(r(%s))', 'airun_start_turn(r(%s))', 'airun_update_task(t(%s), ''x'')', 'airun_complete_task(t(%s))', 'airun_fail_task(t(%s))',
	'airun_cancel_task(t(%s))', 'airun_finish_turn(t(%s), response_text => ''x'')']) WITH ORDINALITY u (c, i), unnest(ARRAY[9, 3, 4]) n
-- what has begun in a run that is deleted goes on (late_ends.sql)
WHERE NOT (n = 3 AND c LIKE '%t(%') ORDER BY i, n;
INSERT INTO bad (state, command)
SELECT 'PT404', format('SELECT ' || c, n) FROM unnest(ARRAY['airun_delete_run(r(%s))', 'airun_restore_run(r(%s))']) c, unnest(ARRAY[9, 4]) n;
INSERT INTO bad (state, command) VALUES
	('PT404', 'SELECT airun_complete_task(t(1), run_id => r(2))'),
	('PT404', 'SELECT airun_append_message(r(1), ''{"role": "user", "content": "x"}'', task_id => t(9))'),
	('PT404', 'SELECT airun_append_message(r(1), ''{"role": "user", "content": "x"}'', task_id => t(4))'),
	('PT404', 'INSERT INTO ai_messages (run_id, message) VALUES (r(4), ''{"role": "user", "content": "x"}'')'),
	('PT404', 'INSERT INTO airun.messages (run_id, message) VALUES (r(4), ''{"role": "user", "content": "x"}'')'),
	('PT404', 'INSERT INTO airun.messages (run_id, message) VALUES (r(9), ''{"role": "user", "content": "x"}'')'),
	('PT404', 'INSERT INTO ai_tasks (run_id) VALUES (r(4))'),
	('PT404', 'INSERT INTO airun.tasks (run_id) VALUES (r(9))'),
	-- ids that are taken
	('PT409', 'SELECT airun_create_run(id => r(4))'),
	('PT409', 'SELECT airun_create_run(id => r(3))'),
	('PT409', 'SELECT airun_start_turn(run => ''{"id": "00000000-0000-4000-8007-000000000004"}'')'),
	('PT409', 'SELECT airun_create_task(r(2), t(1))'),
	('PT409', 'SELECT airun_append_message(r(1), ''{"role": "user", "content": "other"}'', ''m1'')'),
	('PT409', 'SELECT airun_append_messages(r(1), ''[{"role": "user", "content": "x", "id": "n"}, {"role": "user", "content": "x", "id": "n"}]'')'),
	-- ways that a status does not allow
	('PT409', 'SELECT airun_set_run_status(r(2), ''error'')'),
	('PT409', 'SELECT airun_append_message(r(2), ''{"role": "user", "content": "x"}'')'),
	('PT409', 'SELECT airun_create_task(r(2))'),
	('PT409', 'SELECT airun_start_turn(r(2))'),
	('PT409', 'SELECT airun_fail_task(t(2))'),
	('PT409', 'SELECT airun_cancel_task(t(2))'),
	('PT409', 'SELECT airun_complete_task(t(2), ''another text'')'),
	('PT409', 'SELECT airun_complete_task(t(2), usage => ''{"u": 2}'')'),
	('PT409', 'UPDATE ai_tasks SET status = ''streaming'' WHERE task_id = t(2)'),
	('PT409', 'UPDATE ai_tasks SET status = ''pending'' WHERE task_id = t(5)'),
	('PT409', 'UPDATE ai_tasks SET cost = 0 WHERE task_id = t(2)'),
	('PT409', 'UPDATE airun.tasks SET response_text = ''x'' WHERE task_id = t(2)'),
	('PT409', 'UPDATE ai_runs SET status = ''error'' WHERE id = r(2)'),
	('PT409', 'INSERT INTO ai_messages (run_id, seq, message) VALUES (r(1), 9, ''{"role": "user", "content": "x"}'')'),
	('PT409', 'INSERT INTO airun.messages (run_id, seq, message) VALUES (r(1), 1, ''{"role": "user", "content": "x"}'')'),
	-- status words
	('PT422', 'SELECT airun_set_run_status(r(1), '''')'),
	('PT422', 'SELECT airun_set_run_status(r(1), ''ACTIVE'')'),
	('PT422', 'SELECT airun_set_run_status(r(1), ''cancelled'')'),
	('PT422', 'UPDATE ai_runs SET status = ''done'' WHERE id = r(1)'),
	('PT422', 'INSERT INTO ai_runs (status) VALUES (''pending'')'),
	('PT422', 'UPDATE ai_tasks SET status = ''done'' WHERE task_id = t(1)'),
	('PT422', 'INSERT INTO ai_tasks (run_id, status) VALUES (r(1), ''active'')'),
	('PT422', 'SELECT * FROM airun_list_runs(status => ''pending'')');
-- messages that are none, by every door
INSERT INTO bad (state, command)
SELECT 'PT422', format(c, m) FROM unnest(ARRAY['[]', '"text"', '5', 'null', 'true', '{}', '{"content": "x"}', '{"role": null, "content": "x"}', '{"role": 1, "content": "x"}',
	'{"role": "", "content": "x"}', '{"role": "User", "content": "x"}', '{"role": "admin", "content": "x"}', '{"role": ["user"], "content": "x"}', '{"role": "user"}',
	'{"role": "user", "content": null}', '{"role": "user", "content": 5}', '{"role": "user", "content": true}', '{"role": "user", "tool_calls": null}']) WITH ORDINALITY u (m, i),
	(VALUES ('SELECT airun_append_message(r(1), %L)')) v (c) ORDER BY i;
INSERT INTO bad (state, command)
SELECT 'PT422', format(c, m) FROM unnest(ARRAY['"text"', '{"role": "admin", "content": "x"}', '{"role": "user", "content": 5}']) m,
	unnest(ARRAY['SELECT airun_append_messages(r(1), %L)', 'SELECT airun_start_turn(r(1), %L)', 'SELECT airun_finish_turn(t(1), %L)',
	'INSERT INTO ai_messages (run_id, message) VALUES (r(1), %L)', 'INSERT INTO airun.messages (run_id, message) VALUES (r(1), %L)']) c;
INSERT INTO bad (state, command) VALUES
	('PT422', 'SELECT airun_append_messages(r(1), ''[{"role": "user", "content": "x"}, {"role": "user", "content": 5}]'')'),
	('PT422', 'SELECT airun_append_messages(r(1), ''[[]]'')'),
	('PT422', 'SELECT airun_append_message(r(1), jsonb_build_object(''role'', ''user'', ''content'', repeat(''x'', 65536)))'),
	('PT422', 'SELECT airun_append_messages(r(1), jsonb_build_array(jsonb_build_object(''role'', ''user'', ''content'', repeat(''x'', 65536))))'),
	('PT422', 'SELECT airun_start_turn(r(1), jsonb_build_object(''role'', ''user'', ''content'', repeat(''x'', 65536)))'),
	('PT422', 'SELECT airun_finish_turn(t(1), response_text => repeat(''x'', 65536))'),
	('PT422', 'INSERT INTO ai_messages (run_id, message) VALUES (r(1), jsonb_build_object(''role'', ''user'', ''content'', repeat(''x'', 65536)))'),
	('PT422', 'SELECT airun_append_message(r(1), ''{"role": "user", "content": "x"}'', '''')'),
	('PT422', 'SELECT airun_append_message(r(1), ''{"role": "user", "content": "x"}'', repeat(''x'', 201))'),
	('PT422', 'INSERT INTO ai_messages (run_id, message, role) VALUES (r(1), ''{"role": "user", "content": "x"}'', ''tool'')'),
	('PT422', 'INSERT INTO ai_messages (run_id) VALUES (r(1))'),
	('PT422', 'INSERT INTO ai_messages (message) VALUES (''{"role": "user", "content": "x"}'')'),
	-- what PostgreSQL itself refuses, before it comes to us
	('22P05', 'SELECT airun_append_message(r(1), ''{"role": "user", "content": "\u0000"}'')'),
	('22P02', 'SELECT airun_append_message(r(1), ''{"role": "user", "content": "x"'')'),
	('22P02', 'SELECT airun_append_message(r(1), ''{"role": "user", "content": "\ud800"}'')'),
	('22P02', 'SELECT airun_get_run(''not-a-uuid'')'),
	('54001', 'SELECT airun_append_message(r(1), (''{"role": "user", "content": '' || repeat(''['', 100000) || repeat('']'', 100000) || ''}'')::jsonb)'),
	-- and what airun_json says instead
	('PT422', 'SELECT airun_json(''{"role"'')'),
	('PT422', 'SELECT airun_json('''')'),
	('PT422', 'SELECT airun_json(repeat(''['', 1000000))');
-- figures
INSERT INTO bad (state, command)
SELECT 'PT422', format('SELECT %s(t(1), finish_reason => repeat(''x'', 1000))', f) FROM unnest(ARRAY['airun_complete_task', 'airun_fail_task', 'airun_cancel_task']) f;
INSERT INTO bad (state, command) VALUES
	('22P02', 'SELECT airun_complete_task(t(1), cost => ''much'')'),
	('22003', 'SELECT airun_complete_task(t(1), tokens_input => 9223372036854775808::numeric::bigint)'),
	-- what is said about a task
	('PT422', 'SELECT airun_create_task(r(1), service => repeat(''x'', 201))'),
	('PT422', 'SELECT airun_create_task(r(1), endpoint => repeat(''x'', 2001))'),
	('PT422', 'SELECT airun_create_task(r(1), model_id => repeat(''é'', 201))'),
	('PT422', 'SELECT airun_create_task(r(1), metadata => ''[]'')'),
	('PT422', 'UPDATE ai_tasks SET metadata = ''"x"'' WHERE task_id = t(1)'),
	('PT422', 'SELECT airun_start_turn(r(1), metadata => ''null'')'),
	-- what is said about a run
	('PT422', 'SELECT airun_create_run('''')'),
	('PT422', 'SELECT airun_create_run(repeat(''x'', 101))'),
	('PT422', 'SELECT airun_create_run(name => repeat(''x'', 501))'),
	('PT422', 'SELECT airun_create_run(description => repeat(''x'', 10001))'),
	('PT422', 'SELECT airun_create_run(settings => ''[]'')'),
	('PT422', 'SELECT airun_create_run(variable_values => ''1'')'),
	('PT422', 'SELECT airun_create_run(metadata => ''null'')'),
	('PT422', 'SELECT airun_create_run(tags => ''{a,NULL}'')'),
	('PT422', 'SELECT airun_create_run(tags => array_fill(''x''::text, ARRAY[101]))'),
	('PT422', 'SELECT airun_create_run(tags => ARRAY[repeat(''x'', 101)])'),
	('PT422', 'SELECT airun_create_run(tags => ''{{a,b},{c,d}}'')'),
	('PT422', 'SELECT airun_update_run(r(1), name => repeat(''x'', 501))'),
	('PT422', 'SELECT airun_update_run(r(1), settings => ''"x"'')'),
	('PT422', 'SELECT airun_update_run(r(1), tags => ''{NULL}'')'),
	('PT422', 'UPDATE ai_runs SET settings = ''[]'' WHERE id = r(1)'),
	('PT422', 'UPDATE ai_runs SET tags = ''{a,NULL}'' WHERE id = r(1)'),
	('PT422', 'UPDATE ai_runs SET source_type = '''' WHERE id = r(1)'),
	('PT422', 'UPDATE airun.runs SET name = repeat(''x'', 501) WHERE id = r(1)'),
	('PT422', 'INSERT INTO ai_runs (metadata) VALUES (''[]'')'),
	('42501', 'SELECT airun_create_run(user_id => r(9))'),
	('42501', 'INSERT INTO ai_runs (user_id) VALUES (r(9))'),
	('42501', 'UPDATE ai_runs SET user_id = r(9) WHERE id = r(1)'),
	-- a run object
	('PT422', 'SELECT airun_start_turn(run => ''[]'')'),
	('PT422', 'SELECT airun_start_turn(run => ''{"nonsense": 1}'')'),
	('PT422', 'SELECT airun_start_turn(run => ''{"name": ["x"]}'')'),
	('PT422', 'SELECT airun_start_turn(run => ''{"id": "x"}'')'),
	('PT422', 'SELECT airun_start_turn(run => ''{"tags": [null]}'')'),
	('PT422', 'SELECT airun_start_turn(run => ''{"settings": 5}'')'),
	('PT422', 'SELECT airun_start_turn(r(1), run => ''{"id": "00000000-0000-4000-8007-000000000002"}'')'),
	-- what airun keeps itself
	('PT422', 'UPDATE ai_runs SET message_count = 100 WHERE id = r(1)'),
	('PT422', 'UPDATE ai_runs SET total_cost = 0 WHERE id = r(1)'),
	('PT422', 'UPDATE airun.runs SET total_tokens = total_tokens - 1 WHERE id = r(1)'),
	('PT422', 'UPDATE airun.runs SET task_count = 0 WHERE id = r(1)'),
	('PT422', 'UPDATE airun.runs SET last_message_at = now() + interval ''1 day'' WHERE id = r(1)'),
	('PT422', 'UPDATE airun.runs SET active_hour = now() + interval ''1 day'' WHERE id = r(1)'),
	('PT422', 'UPDATE ai_runs SET updated_at = ''2000-01-01'' WHERE id = r(1)'),
	('PT422', 'UPDATE ai_runs SET created_at = ''2000-01-01'' WHERE id = r(1)'),
	('PT422', 'UPDATE ai_runs SET id = r(9) WHERE id = r(1)'),
	('PT422', 'INSERT INTO ai_runs (total_tokens) VALUES (5)'),
	('PT422', 'INSERT INTO ai_runs (created_at) VALUES (''2000-01-01'')'),
	('PT422', 'INSERT INTO airun.runs (message_count) VALUES (5)'),
	('PT422', 'UPDATE ai_tasks SET user_id = r(9) WHERE task_id = t(1)'),
	('PT422', 'UPDATE ai_tasks SET run_id = r(2) WHERE task_id = t(1)'),
	('PT422', 'UPDATE airun.tasks SET created_at = ''2000-01-01'' WHERE task_id = t(1)'),
	('PT422', 'UPDATE ai_tasks SET completed_at = now() WHERE task_id = t(1)'),
	('PT422', 'UPDATE airun.tasks SET answer_seq = 1 WHERE task_id = t(1)'),
	('PT422', 'INSERT INTO ai_tasks (run_id, user_id) VALUES (r(1), r(9))'),
	('PT422', 'INSERT INTO ai_tasks (run_id, created_at) VALUES (r(1), ''2000-01-01'')'),
	('PT422', 'INSERT INTO ai_tasks (run_id, cost_details) VALUES (r(1), ''{}'')'),
	('PT422', 'INSERT INTO ai_messages (run_id, message, created_at) VALUES (r(1), ''{"role": "user", "content": "x"}'', ''2000-01-01'')'),
	('0A000', 'UPDATE ai_runs SET messages = ''[]'' WHERE id = r(1)'),
	-- what an API role has no right to
	('42501', 'DELETE FROM ai_runs WHERE id = r(1)'),
	('42501', 'DELETE FROM ai_tasks WHERE run_id = r(1)'),
	('42501', 'DELETE FROM airun.runs'),
	('42501', 'DELETE FROM airun.message_versions'),
	('42501', 'TRUNCATE airun.tasks'),
	('42501', 'UPDATE airun.message_versions SET version = 2'),
	('42501', 'INSERT INTO airun.message_versions (run_id) VALUES (r(1))'),
	-- messages that are saved again, or taken back
	('PT404', 'SELECT airun_save_message(r(999), ''{"role": "user", "content": "x"}'', ''m1'')'),
	('PT404', 'SELECT airun_truncate_messages(r(999), 0)'),
	('PT404', 'SELECT airun_message_versions(r(999))'),
	('PT409', 'DELETE FROM ai_messages WHERE run_id = r(1) AND seq = 1'),
	('PT409', 'UPDATE airun.messages SET message = ''{}'' WHERE run_id = r(1)'),
	('PT409', 'UPDATE ai_messages SET seq = seq + 1 WHERE run_id = r(1)'),
	('PT422', 'UPDATE ai_messages SET message = ''{"role": "user"}'' WHERE run_id = r(1)'),
	('PT422', 'SELECT airun_save_message(r(1), ''{"role": "user", "content": "x"}'')'),
	('PT422', 'SELECT airun_truncate_messages(r(1), -1)'),
	('42501', 'SELECT airun_purge_runs(now())'),
	('42501', 'SELECT airun_install()'),
	('42501', 'SELECT airun_grant(''public'')'),
	('42501', 'SELECT airun_grant(''public'', ''reporter'')'),
	('42501', 'SET airun.max_message_size = ''1GB'''),
	('42501', 'SET airun.trust_client_cost = off'),
	('42501', 'SET session_replication_role = replica'),
	('42501', 'ALTER TABLE airun.tasks DISABLE TRIGGER ALL'),
	-- lists and ranges
	('PT422', 'SELECT * FROM airun_list_runs(search => repeat(''x'', 1001))'),
	('PT422', 'SELECT * FROM airun_list_runs(tag => repeat(''x'', 1001))'),
	('PT422', 'SELECT * FROM airun_list_runs(page_size => 0)'),
	('PT422', 'SELECT * FROM airun_list_runs(page_size => -5)'),
	('PT422', 'SELECT * FROM airun_list_runs(page_size => 1001)'),
	('PT422', 'SELECT * FROM airun_list_runs(page_size => 2147483647)'),
	('PT422', 'SELECT * FROM airun_list_runs(cursor => '''')'),
	('PT422', 'SELECT * FROM airun_list_runs(cursor => ''x'')'),
	('PT422', 'SELECT * FROM airun_list_runs(cursor => repeat(''0'', 66))'),
	('PT422', 'SELECT * FROM airun_list_runs(cursor => repeat(''f'', 66))'),
	('PT422', 'SELECT * FROM airun_list_runs(cursor => repeat(''é'', 33))'),
	('PT422', 'SELECT * FROM airun_list_runs(cursor => ''2026-01-01T00:00:00Z'')'),
	('PT422', 'SELECT airun_messages(r(1), max_messages => 0)'),
	('PT422', 'SELECT airun_messages(r(1), max_messages => -1)'),
	('PT422', 'SELECT airun_get_run(r(1), 0)'),
	-- calls of what there is not
	('42883', 'SELECT airun_get_run()'),
	('42883', 'SELECT airun_append_message(r(1), ''{"role": "user", "content": "x"}'', nonsense => 1)');

SELECT store() AS before \gset
SET ROLE regress_airun_refused;
SELECT b.state = left(r.answer, 5) AS right, left(b.command, 140), r.answer || CASE WHEN r.has_hint THEN ' +' ELSE '' END
FROM bad b, LATERAL refusal(b.command) r ORDER BY i;
RESET ROLE;
SELECT store() = :'before' AS unchanged;
SELECT count(*) >= 80 AS enough, count(DISTINCT command) = count(*) AS all_different FROM bad;
-- the same as the owner of the store, save for what is a matter of rights
SET SESSION AUTHORIZATION DEFAULT;
SELECT b.state, b.command, left(r.answer, 80) FROM bad b, LATERAL refusal(b.command) r
WHERE b.state NOT IN ('42501', left(r.answer, 5)) AND b.state LIKE 'PT4%' AND b.command !~ 'r\(4\)|t\(4\)|0004"|user_id|created_at|DELETE'
ORDER BY i;
SELECT store() = :'before' AS unchanged;

-- nobody is calling: no write at all, and nothing to read
SET airun.user_id = '';
SET ROLE regress_airun_refused;
SELECT left(c, 60), (refusal(c)).* FROM unnest(ARRAY['SELECT airun_create_run()', 'SELECT airun_append_message(r(1), ''{"role": "user", "content": "x"}'')',
	'SELECT airun_start_turn(run => ''{}'')', 'SELECT airun_complete_task(t(1))', 'SELECT airun_update_task(t(1), ''x'')', 'SELECT airun_delete_run(r(1))',
	'SELECT airun_star_run(r(1))', 'INSERT INTO ai_runs (name) VALUES (''x'')', 'INSERT INTO airun.runs (name) VALUES (''x'')',
	'INSERT INTO ai_messages (run_id, message) VALUES (r(1), ''{"role": "user", "content": "x"}'')', 'INSERT INTO airun.messages (run_id, message) VALUES (r(1), ''{"role": "user", "content": "x"}'')',
	'INSERT INTO ai_tasks (run_id) VALUES (r(1))', 'INSERT INTO airun.tasks (run_id) VALUES (r(1))', 'SELECT airun_get_run(r(1))', 'SELECT airun_messages(r(1))', 'SELECT airun_list_runs()']) c;
SELECT (SELECT count(*) FROM ai_runs), (SELECT count(*) FROM ai_messages), (SELECT count(*) FROM ai_tasks),
	(SELECT count(*) FROM airun.runs), (SELECT count(*) FROM airun.messages), (SELECT count(*) FROM airun.tasks);
WITH u AS (UPDATE ai_runs SET name = 'x' RETURNING 1) SELECT count(*) FROM u;
WITH u AS (UPDATE ai_tasks SET model_id = 'x' RETURNING 1) SELECT count(*) FROM u;
RESET ROLE;
SELECT store() = :'before' AS unchanged;

DELETE FROM airun.runs WHERE id IN (r(1), r(2), r(3), r(4));
SELECT * FROM airun_check();
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA refusals_test CASCADE;
DROP OWNED BY regress_airun_refused;
DROP ROLE regress_airun_refused;
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET airun.max_message_size;
RESET client_min_messages;
