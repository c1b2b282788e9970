--
-- Who may see and change what: two users under one API role, nobody, a
-- service, a role without rights, and a site's own policies.
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.trust_client_cost = on;
CREATE ROLE regress_airun_user;
CREATE ROLE regress_airun_service BYPASSRLS;
CREATE ROLE regress_airun_stranger;
SELECT airun_grant('regress_airun_user'), airun_grant('regress_airun_service');

-- Ann: run aaaa..., task aaaa...a; Bob: run bbbb..., task bbbb...b; dead: nothing
\set ann '0acce550-0000-4000-8000-0000000000aa'
\set bob '0acce550-0000-4000-8000-0000000000bb'
\set ann_run '0acce550-0000-4000-8000-00000000aaaa'
\set bob_run '0acce550-0000-4000-8000-00000000bbbb'
CREATE SCHEMA access_test;
GRANT USAGE, CREATE ON SCHEMA access_test TO PUBLIC;

CREATE FUNCTION access_test.be(who text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('request.jwt.claims', CASE who
		WHEN 'ann' THEN '{"sub": "0acce550-0000-4000-8000-0000000000aa", "role": "regress_airun_user"}'
		WHEN 'bob' THEN '{"sub": "0acce550-0000-4000-8000-0000000000bb", "role": "regress_airun_user"}'
		WHEN 'anonymous' THEN '{"role": "regress_airun_user"}'
		ELSE '' END, false);
END $$;

-- a digest of everything there is of Ann's, whoever asks
CREATE FUNCTION access_test.anns() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT md5(jsonb_build_array(
		(SELECT jsonb_agg(to_jsonb(r) ORDER BY id) FROM airun.runs r WHERE user_id = '0acce550-0000-4000-8000-0000000000aa'),
		(SELECT jsonb_agg(to_jsonb(m) ORDER BY run_id, seq) FROM airun.messages m
			WHERE run_id IN (SELECT id FROM airun.runs WHERE user_id = '0acce550-0000-4000-8000-0000000000aa')),
		(SELECT jsonb_agg(to_jsonb(t) ORDER BY run_id, task_id) FROM airun.tasks t
			WHERE run_id IN (SELECT id FROM airun.runs WHERE user_id = '0acce550-0000-4000-8000-0000000000aa')))::text)
$$;

-- What a statement gives: rows as JSON, a number of rows, or a refusal, on
-- demand with its detail and hint.  Whatever it did is undone.
CREATE FUNCTION access_test.answer(statement text, whole boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	detail text;
	hint text;
	count bigint;
	before text := access_test.anns();
BEGIN
	BEGIN
		IF statement ~* '^(SELECT|TABLE|VALUES)' THEN
			EXECUTE 'SELECT count(*) || '' rows'' || coalesce('' '' || jsonb_agg(to_jsonb(x))::text, '''') FROM ('
				|| statement || ') x' INTO result;
		ELSE
			EXECUTE statement;
			GET DIAGNOSTICS count = ROW_COUNT;
			result := count || ' rows done';
		END IF;
		IF access_test.anns() OPERATOR(pg_catalog.<>) before THEN
			result := result || ' CHANGED';
		END IF;
		RAISE SQLSTATE 'UNDO0';
	EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
		RETURN result;
	END;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ': ' || SQLERRM || CASE WHEN whole THEN chr(11) || detail || ' | ' || hint ELSE '' END;
END $$;

-- The statement with somebody else's ids, and with ids that nobody has: the
-- answers must be the same in all their parts, but for the ids.
CREATE FUNCTION access_test.probe(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	other text := replace(replace(access_test.answer(replace(replace(statement,
		'<run>', '0acce550-0000-4000-8000-00000000aaaa'), '<task>', '0acce550-0000-4000-8000-00000000000a'), true),
		'0acce550-0000-4000-8000-00000000aaaa', '<run>'), '0acce550-0000-4000-8000-00000000000a', '<task>');
	none text := replace(replace(access_test.answer(replace(replace(statement,
		'<run>', '0acce550-0000-4000-8000-00000000dead'), '<task>', '0acce550-0000-4000-8000-0000000dead0'), true),
		'0acce550-0000-4000-8000-00000000dead', '<run>'), '0acce550-0000-4000-8000-0000000dead0', '<task>');
BEGIN
	RETURN statement || E'\n   ' || split_part(other, chr(11), 1)
		|| CASE WHEN other IS DISTINCT FROM none THEN E'\n   BUT FOR AN ID THAT NOBODY HAS: ' || none ELSE '' END;
END $$;

SELECT access_test.be('ann');
SET ROLE regress_airun_user;
SELECT (airun_create_run('chat', name => 'Ann''s run', tags => '{red}', id => :'ann_run')).name;
SELECT task_id IS NOT NULL FROM airun_create_task(:'ann_run', '0acce550-0000-4000-8000-00000000000a');
SELECT seq FROM airun_append_messages(:'ann_run', '[{"role": "user", "content": "a secret", "id": "m1"}, {"role": "assistant", "content": "b secret"}]');
SELECT status FROM airun_update_task('0acce550-0000-4000-8000-00000000000a', 'half a secret');
SELECT id IS NOT NULL FROM airun_create_run('chat', name => 'Ann''s deleted run', id => '0acce550-0000-4000-8000-0000000aaaa0');
SELECT airun_delete_run('0acce550-0000-4000-8000-0000000aaaa0');
SELECT access_test.be('bob');
SELECT (airun_create_run('chat', name => 'Bob''s run', id => :'bob_run')).name;
SELECT (airun_create_task(:'bob_run', '0acce550-0000-4000-8000-00000000000b')).status;
SELECT seq FROM airun_append_message(:'bob_run', '{"role": "user", "content": "mine"}');

--
-- Bob and what is Ann's
--
-- reading and changing by id
RESET ROLE;
CREATE TABLE access_test.by_id AS SELECT * FROM unnest(ARRAY[
	'SELECT airun_get_run(''<run>'')',
	'SELECT airun_get_run(''<run>'', 1, true)',
	'SELECT airun_messages(''<run>'')',
	'SELECT airun_messages(''<run>'', after_seq => 1)',
	'SELECT * FROM airun_check(''<run>'')',
	'SELECT airun_update_run(''<run>'', name => ''x'')',
	'SELECT airun_star_run(''<run>'')',
	'SELECT airun_toggle_star(''<run>'')',
	'SELECT airun_archive_run(''<run>'')',
	'SELECT airun_set_run_status(''<run>'', ''completed'')',
	'SELECT airun_set_run_status(''<run>'', ''active'')',
	'SELECT airun_delete_run(''<run>'')',
	'SELECT airun_restore_run(''<run>'')',
	'SELECT airun_append_message(''<run>'', ''{"role": "user", "content": "x"}'')',
	'SELECT airun_append_message(''<run>'', ''{"role": "user", "content": "a secret", "id": "m1"}'')',
	'SELECT airun_append_message(''<run>'', ''{"role": "user", "content": "x"}'', ''m1'', ''<task>'')',
	'SELECT airun_append_message(''<run>'', ''{"role": "user", "content": "x"}'', task_id => ''0acce550-0000-4000-8000-00000000000b'')',
	'SELECT airun_append_messages(''<run>'', ''[{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]'')',
	'SELECT airun_append_messages(''<run>'', ''[]'')',
	'SELECT airun_save_message(''<run>'', ''{"role": "user", "content": "x"}'', ''m1'')',
	'SELECT airun_save_message(''<run>'', ''{"role": "user", "content": "x"}'', ''new'')',
	'SELECT airun_save_messages(''<run>'', ''[{"role": "user", "content": "x", "id": "m1"}]'')',
	'SELECT airun_truncate_messages(''<run>'', 0)',
	'SELECT airun_edit_message(''<run>'', 1, ''{"role": "user", "content": "x"}'')', 'SELECT airun_fork_run(''<run>'', 1)', 'SELECT airun_run_forks(''<run>'')',
	'SELECT airun_message_versions(''<run>'')',
	'SELECT (airun_create_task(''<run>'')).status',
	'SELECT (airun_create_task(''<run>'', ''<task>'')).status',
	'SELECT (airun_create_task(''<run>'', ''0acce550-0000-4000-8000-00000000000b'')).status',
	'SELECT airun_update_task(''<task>'', ''x'')',
	'SELECT airun_update_task(''<task>'', ''half a secret'', run_id => ''<run>'')',
	'SELECT airun_update_task(''<task>'', ''x'', run_id => ''0acce550-0000-4000-8000-00000000bbbb'')',
	'SELECT airun_complete_task(''<task>'', ''x'')',
	'SELECT airun_complete_task(''<task>'', ''x'', run_id => ''<run>'')',
	'SELECT airun_complete_task(''<task>'', ''x'', run_id => ''0acce550-0000-4000-8000-00000000bbbb'')',
	'SELECT airun_fail_task(''<task>'', ''{"message": "x"}'')',
	'SELECT airun_fail_task(''<task>'', run_id => ''<run>'')',
	'SELECT airun_cancel_task(''<task>'')',
	'SELECT airun_cancel_task(''<task>'', run_id => ''<run>'')',
	'SELECT airun_start_turn(''<run>'', ''{"role": "user", "content": "x"}'')',
	'SELECT airun_start_turn(''<run>'', task_id => ''<task>'')',
	'SELECT airun_start_turn(task_id => ''<task>'')',
	'SELECT airun_finish_turn(''<task>'', ''{"role": "assistant", "content": "x"}'')',
	'SELECT airun_finish_turn(''<task>'', response_text => ''x'', run_id => ''<run>'')',
	'SELECT airun_finish_turn(''<task>'', response_text => ''x'', run_id => ''0acce550-0000-4000-8000-00000000bbbb'')',
	'SELECT airun_heartbeat_task(''<task>'')',
	'SELECT airun_stream_delta(''<task>'', ''x'')',
	'SELECT airun_stream_delta(''<task>'', ''x'', 0, ''<run>'')',
	'SELECT airun_stream_read(''<task>'')',
	'SELECT airun_stream_read(''<task>'', 0, ''20 s'', 0, ''<run>'')',
	-- the other's task with a run of one's own
	'SELECT airun_heartbeat_task(''<task>'', ''0acce550-0000-4000-8000-00000000bbbb'')',
	'SELECT airun_stream_delta(''<task>'', ''x'', run_id => ''0acce550-0000-4000-8000-00000000bbbb'')',
	'SELECT airun_stream_read(''<task>'', run_id => ''0acce550-0000-4000-8000-00000000bbbb'')',
	'SELECT airun_append_message(''0acce550-0000-4000-8000-00000000bbbb'', ''{"role": "user", "content": "x"}'', task_id => ''<task>'')',
	'SELECT (airun_create_task(''0acce550-0000-4000-8000-00000000bbbb'', ''<task>'')).response_length',
	'SELECT (airun_start_turn(''0acce550-0000-4000-8000-00000000bbbb'', task_id => ''<task>'') -> ''task'' ->> ''response_length'')',
	'SELECT airun_export(''<run>'')',
	'SELECT airun_context(''<run>'')',
	'SELECT airun_sees_run(''<run>'')',
	'SELECT airun_writes_run(''<run>'')']) WITH ORDINALITY x (statement, number);
GRANT SELECT ON access_test.by_id TO PUBLIC;
-- every function that takes an id is tried
SELECT p.proname FROM pg_proc p
WHERE p.proname LIKE 'airun%' AND p.prokind = 'f' AND 'uuid'::regtype = ANY (p.proargtypes::oid[])
	AND has_function_privilege('regress_airun_user', p.oid, 'EXECUTE')
	AND p.proname NOT IN ('airun_create_run', 'airun_list_runs')	-- below
	AND p.proname NOT IN ('airun_meter', 'airun_start_call', 'airun_end_call')	-- in sql/meter.sql
	AND p.proname <> 'airun_usage'	-- in sql/report.sql
	AND p.proname <> 'airun_budget_check'	-- in sql/budget_counters.sql
	AND p.proname NOT IN ('airun_search', 'airun_import')	-- in sql/search.sql and sql/import.sql
	AND p.proname <> 'airun_export_user'	-- in sql/export.sql
	AND NOT EXISTS (SELECT FROM access_test.by_id WHERE statement LIKE '%' || p.proname || '(%');
SET ROLE regress_airun_user;
SELECT access_test.probe(statement) FROM access_test.by_id ORDER BY number;

-- the views and the storage
SELECT access_test.probe(s) FROM unnest(ARRAY[
	'SELECT name, messages FROM ai_runs WHERE id = ''<run>''',
	'SELECT name FROM ai_run_summaries WHERE id = ''<run>''',
	'SELECT message FROM ai_messages WHERE run_id = ''<run>''',
	'SELECT response_text FROM ai_tasks WHERE task_id = ''<task>''',
	'SELECT name FROM airun.runs WHERE id = ''<run>''',
	'SELECT message FROM airun.messages WHERE run_id = ''<run>'' AND seq = 1',
	'SELECT response_text FROM airun.tasks WHERE task_id = ''<task>''',
	'SELECT FROM airun.runs WHERE id = ''<run>'' FOR UPDATE',
	'SELECT FROM airun.tasks WHERE task_id = ''<task>'' FOR KEY SHARE',
	'UPDATE ai_runs SET is_starred = true WHERE id = ''<run>''',
	'UPDATE ai_runs SET user_id = airun_user_id() WHERE id = ''<run>''',
	'UPDATE airun.runs SET user_id = airun_user_id() WHERE id = ''<run>''',
	'UPDATE airun.runs SET deleted_at = now() WHERE id = ''<run>''',
	'UPDATE ai_tasks SET status = ''cancelled'' WHERE task_id = ''<task>''',
	'UPDATE airun.tasks SET status = ''cancelled'' WHERE task_id = ''<task>''',
	'UPDATE airun.tasks SET run_id = ''0acce550-0000-4000-8000-00000000bbbb'' WHERE task_id = ''<task>''',
	'UPDATE airun.tasks SET run_id = ''<run>'' WHERE task_id = ''0acce550-0000-4000-8000-00000000000b''',
	'UPDATE ai_tasks SET run_id = ''<run>'' WHERE task_id = ''0acce550-0000-4000-8000-00000000000b''',
	'UPDATE ai_messages SET message = ''{}'' WHERE run_id = ''<run>''',
	'UPDATE airun.messages SET message = ''{}'' WHERE run_id = ''<run>''',
	'DELETE FROM ai_runs WHERE id = ''<run>''',
	'DELETE FROM airun.runs WHERE id = ''<run>''',
	'DELETE FROM airun.messages WHERE run_id = ''<run>''',
	'DELETE FROM airun.tasks WHERE task_id = ''<task>''',
	'INSERT INTO ai_messages (run_id, message) VALUES (''<run>'', ''{"role": "user", "content": "x"}'')',
	'INSERT INTO ai_messages (run_id, seq, message) VALUES (''<run>'', 3, ''{"role": "user", "content": "x"}'')',
	'INSERT INTO airun.messages (run_id, message) VALUES (''<run>'', ''{"role": "user", "content": "x"}'')',
	'INSERT INTO airun.messages (run_id, seq, message) VALUES (''<run>'', 1, ''{"role": "user", "content": "x"}'')',
	'INSERT INTO airun.messages (run_id, seq, message) VALUES (''<run>'', 3, ''{"role": "user", "content": "x"}'')',
	'INSERT INTO airun.messages (run_id, seq, message_id, message) VALUES (''<run>'', 3, ''m1'', ''{"role": "user", "content": "x"}'') ON CONFLICT DO NOTHING',
	'INSERT INTO airun.messages (run_id, message) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''{"role": "user", "content": "x"}''), (''<run>'', ''{"role": "user", "content": "x"}'')',
	'INSERT INTO airun.messages (run_id, task_id, message) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''<task>'', ''{"role": "user", "content": "x"}'')',
	'INSERT INTO ai_messages (run_id, task_id, message) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''<task>'', ''{"role": "user", "content": "x"}'')',
	'INSERT INTO ai_tasks (run_id) VALUES (''<run>'')',
	'INSERT INTO ai_tasks (run_id, task_id) VALUES (''<run>'', ''<task>'')',
	'INSERT INTO airun.tasks (run_id) VALUES (''<run>'')',
	'INSERT INTO airun.tasks (run_id, task_id) VALUES (''<run>'', ''<task>'')',
	'INSERT INTO airun.tasks (run_id, task_id) VALUES (''<run>'', ''<task>'') ON CONFLICT DO NOTHING',
	'INSERT INTO airun.tasks (run_id, task_id) VALUES (''<run>'', ''<task>'') ON CONFLICT (run_id, task_id) DO UPDATE SET status = ''cancelled''',
	'INSERT INTO airun.tasks (run_id, task_id, status, cost) VALUES (''<run>'', airun_uuid(), ''completed'', 1000)',
	'INSERT INTO airun.tasks (run_id, task_id) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''<task>'')',
	'INSERT INTO ai_tasks (run_id, task_id) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''<task>'')',
	'MERGE INTO airun.tasks t USING (SELECT ''<task>''::uuid AS id) s ON t.task_id = s.id WHEN MATCHED THEN UPDATE SET status = ''cancelled''',
	'TRUNCATE airun.runs CASCADE',
	'TRUNCATE airun.messages',
	'TRUNCATE airun.tasks']) s;

-- creating with an id that is taken: one text, whoever holds it and in whatever state
-- (in all its parts)
SELECT DISTINCT replace(replace(access_test.answer(replace(s, '<id>', id), true), id, '<id>'), chr(11), E'\n   ')
FROM unnest(ARRAY['0acce550-0000-4000-8000-00000000aaaa', '0acce550-0000-4000-8000-0000000aaaa0']) id,
	unnest(ARRAY[
		'SELECT airun_create_run(id => ''<id>'')',
		'SELECT airun_create_run(id => ''<id>'', name => ''Ann''''s run'', tags => ''{red}'')',
		'SELECT airun_start_turn(run => ''{"id": "<id>"}'')',
		'SELECT airun_start_turn(run_id => ''<id>'', run => ''{}'')',
		'SELECT airun_start_turn(messages => ''{"role": "user", "content": "x"}'', run => ''{"id": "<id>", "name": "x"}'')']) s;
-- the same text for one's own that is deleted
BEGIN;
SELECT airun_delete_run(:'bob_run');
SELECT replace(replace(access_test.answer(replace(s, '<id>', :'bob_run'), true), :'bob_run', '<id>'), chr(11), E'\n   ') FROM unnest(ARRAY[
	'SELECT airun_create_run(id => ''<id>'')',
	'SELECT airun_start_turn(run => ''{"id": "<id>"}'')']) s;
ROLLBACK;
-- and one's own that is there is given again
SELECT access_test.answer(format('SELECT (airun_create_run(id => %L, name => ''again'')).name', :'bob_run'));
-- a task id that another user has says nothing, not even by the run that follows from it
SELECT access_test.be('ann');
SELECT json_typeof(airun_start_turn(task_id => '0acce550-0000-4000-8000-00000000000c', run => '{"name": "by its task"}') -> 'run');
SELECT access_test.be('bob');
SELECT left(access_test.answer(format('SELECT (airun_start_turn(task_id => %L, run => ''{}'') #>> ''{task,status}'')', id)), 60)
FROM unnest(ARRAY['0acce550-0000-4000-8000-00000000000c', '0acce550-0000-4000-8000-00000000000d']) id;

-- counting
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'SELECT name FROM airun_list_runs(archived => NULL)',
	'SELECT name FROM airun_list_runs(search => ''Ann'')',
	'SELECT name FROM airun_list_runs(tag => ''red'', page_size => 1000)',
	'SELECT count(*), sum(message_count) FROM ai_runs',
	'SELECT count(*) FROM ai_run_summaries',
	'SELECT count(*), max(seq) FROM ai_messages',
	'SELECT count(*) FROM ai_tasks',
	'SELECT count(*) FROM airun.runs',
	'SELECT count(*) FROM airun.messages',
	'SELECT count(*) FROM airun.tasks',
	'SELECT * FROM airun_check()',
	'UPDATE ai_runs SET is_starred = true',
	'UPDATE airun.runs SET is_archived = true',
	'UPDATE ai_tasks SET service = ''x''',
	'UPDATE airun.tasks SET service = ''x''']) s;
COPY airun.messages (seq, message_id) TO STDOUT;
COPY (SELECT name FROM airun.runs ORDER BY name) TO STDOUT;
\copy airun.messages (run_id, message) FROM /dev/null
\copy airun.runs FROM /dev/null
\copy airun.tasks FROM /dev/null
-- a cheap function in a query sees no row before the policies do
CREATE FUNCTION pg_temp.leak(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	RAISE WARNING 'leak: %', value;
	RETURN true;
END $$;
SET client_min_messages = warning;
SELECT count(*) FROM airun.runs WHERE pg_temp.leak(name);
SELECT count(*) FROM airun.messages WHERE pg_temp.leak(message ->> 'content');
SELECT count(*) FROM ai_messages WHERE pg_temp.leak(message ->> 'content');
SELECT count(*) FROM ai_tasks WHERE pg_temp.leak(response_text) OR pg_temp.leak(task_id::text);
SELECT count(*) FROM ai_runs WHERE pg_temp.leak(messages -> 0 ->> 'content');
SET client_min_messages = error;
-- switching row security off is refused, not obeyed
SET row_security = off;
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'SELECT name FROM airun.runs',
	'SELECT * FROM ai_messages',
	'SELECT airun_list_runs()',
	'SELECT airun_messages(''0acce550-0000-4000-8000-00000000aaaa'')',
	'INSERT INTO airun.runs (user_id) VALUES (''0acce550-0000-4000-8000-0000000000aa'')']) s;
RESET row_security;

-- acting for another
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'SELECT airun_create_run(user_id => ''0acce550-0000-4000-8000-0000000000aa'')',
	'SELECT airun_start_turn(run => ''{"user_id": "0acce550-0000-4000-8000-0000000000aa"}'')',
	'SELECT airun_create_run(id => ''0acce550-0000-4000-8000-00000000dead'', user_id => ''0acce550-0000-4000-8000-0000000000aa'')',
	'INSERT INTO ai_runs (user_id) VALUES (''0acce550-0000-4000-8000-0000000000aa'')',
	'INSERT INTO airun.runs (user_id) VALUES (''0acce550-0000-4000-8000-0000000000aa'')',
	'UPDATE ai_runs SET user_id = ''0acce550-0000-4000-8000-0000000000aa''',
	'UPDATE ai_runs SET user_id = NULL',
	'INSERT INTO ai_tasks (run_id, user_id) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''0acce550-0000-4000-8000-0000000000aa'')',
	'INSERT INTO airun.tasks (run_id, user_id) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''0acce550-0000-4000-8000-0000000000aa'')',
	'UPDATE ai_tasks SET user_id = ''0acce550-0000-4000-8000-0000000000aa''',
	'SELECT (airun_create_run(user_id => ''0acce550-0000-4000-8000-0000000000bb'')).user_id',
	'INSERT INTO ai_runs (user_id) VALUES (''0acce550-0000-4000-8000-0000000000bb'')',
	'INSERT INTO ai_runs (user_id) VALUES (NULL)']) s;

--
-- What airun keeps itself, on one's own rows
--
SELECT statement || E'\n   ' || access_test.answer(statement) FROM unnest(ARRAY[
	'message_count = 7', 'message_count = NULL', 'task_count = 7', 'total_tokens = 7', 'total_cost = 7', 'total_cost = ''NaN''',
	'last_message_at = ''2001-01-01''', 'active_hour = ''infinity''', 'created_at = ''2001-01-01''', 'updated_at = ''infinity''', 'id = airun_uuid()',
	'(message_count, name) = (7, ''x'')']) c,
	LATERAL (VALUES ('UPDATE ai_runs SET ' || c), ('UPDATE airun.runs SET ' || c)) v (statement);
SELECT statement || E'\n   ' || access_test.answer(statement) FROM unnest(ARRAY[
	'message_count) VALUES (7', 'task_count) VALUES (7', 'total_tokens) VALUES (7', 'total_cost) VALUES (7',
	'last_message_at) VALUES (''2001-01-01''', 'updated_at) VALUES (''2001-01-01''',
	'active_hour) VALUES (''infinity''', 'created_at) VALUES (''2001-01-01''']) c,
	LATERAL (VALUES ('INSERT INTO ai_runs (' || c || ')'), ('INSERT INTO airun.runs (' || c || ')')) v (statement);
SELECT statement || E'\n   ' || access_test.answer(statement) FROM unnest(ARRAY[
	'run_id = airun_uuid()', 'task_id = airun_uuid()', 'created_at = ''2001-01-01''', 'updated_at = ''infinity''', 'completed_at = now()',
	'cost_details = ''{}''']) c,
	LATERAL (VALUES ('UPDATE ai_tasks SET ' || c), ('UPDATE airun.tasks SET ' || c)) v (statement);
SELECT statement || E'\n   ' || access_test.answer(statement) FROM unnest(ARRAY[
	'UPDATE airun.tasks SET inputs_from = 1',
	'UPDATE airun.tasks SET inputs_to = 1',
	'UPDATE airun.tasks SET answer_seq = 1',
	'INSERT INTO airun.tasks (run_id, inputs_from) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', 1)',
	'INSERT INTO airun.tasks (run_id, answer_seq) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', 1)',
	'INSERT INTO airun.tasks (run_id, cost_details) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''{}'')',
	'INSERT INTO airun.tasks (run_id, created_at) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''2001-01-01'')',
	'INSERT INTO airun.tasks (run_id, updated_at) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''2001-01-01'')',
	'INSERT INTO ai_tasks (run_id, updated_at) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''2001-01-01'')',
	'INSERT INTO airun.tasks (run_id, completed_at) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''2001-01-01'')',
	'INSERT INTO ai_tasks (run_id, created_at) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''2001-01-01'')',
	'INSERT INTO airun.messages (run_id, message, created_at) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''{"role": "user", "content": "x"}'', ''2001-01-01'')',
	'INSERT INTO ai_messages (run_id, message, created_at) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''{"role": "user", "content": "x"}'', ''2001-01-01'')',
	'INSERT INTO airun.messages (run_id, message, seq) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''{"role": "user", "content": "x"}'', 7)',
	'INSERT INTO ai_messages (run_id, message, seq) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''{"role": "user", "content": "x"}'', 7)',
	'INSERT INTO ai_messages (run_id, message, role) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''{"role": "user", "content": "x"}'', ''system'')',
	'UPDATE ai_runs SET messages = ''[]''',
	'INSERT INTO ai_runs (messages) VALUES (''[]'')']) statement;
-- of what is finished, too
BEGIN;
SELECT status FROM airun_complete_task('0acce550-0000-4000-8000-00000000000b', cost => 1);
SELECT statement || E'\n   ' || access_test.answer(statement) FROM unnest(ARRAY[
	'updated_at = ''infinity''', 'created_at = ''2001-01-01''', 'completed_at = now()', 'total_time = 1', 'cost = 0', 'tokens_total = 7',
	'answer_seq = 1', 'user_id = NULL', 'status = ''error''', 'metadata = ''{"a": 1}''', 'cost = cost']) c,
	LATERAL (VALUES ('UPDATE ai_tasks SET ' || c), ('UPDATE airun.tasks SET ' || c)) v (statement)
WHERE c NOT LIKE 'answer_seq%' OR statement LIKE '%airun.%';
ROLLBACK;

-- rights that an API role has not
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'DELETE FROM airun.runs', 'DELETE FROM airun.message_versions', 'DELETE FROM airun.tasks',
	'DELETE FROM ai_runs', 'DELETE FROM ai_run_summaries', 'DELETE FROM ai_tasks',
	'UPDATE airun.message_versions SET seq = seq', 'INSERT INTO airun.message_versions (run_id) VALUES (NULL)',
	'INSERT INTO ai_run_summaries (name) VALUES (''x'')', 'UPDATE ai_run_summaries SET name = ''x''',
	'TRUNCATE airun.runs, airun.messages, airun.tasks',
	'CREATE TABLE access_test.child (run_id uuid REFERENCES airun.runs)',
	'CREATE TRIGGER mine BEFORE INSERT ON airun.runs FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'CREATE POLICY mine ON airun.runs USING (true)',
	'ALTER TABLE airun.runs DISABLE ROW LEVEL SECURITY',
	'ALTER TABLE airun.runs DISABLE TRIGGER ALL',
	'SET session_replication_role = replica',
	'CREATE TABLE airun.mine (x int)',
	'INSERT INTO airun.prices (model, rates) VALUES (''m'', ''{}'')', 'UPDATE airun.prices SET rates = ''{}''', 'DELETE FROM airun.prices', 'TRUNCATE airun.prices',
	'INSERT INTO airun.price_book (version) VALUES (airun_uuid())', 'UPDATE airun.price_book SET version = airun_uuid()', 'DELETE FROM airun.price_book',
	'SELECT airun_set_price(''m'', ''{}'')', 'SELECT airun_import_prices(''{}'')', 'SELECT airun_import_tables(''airun.runs'')',
	'SELECT airun_purge_runs(now())', 'SELECT airun_partition()', 'SELECT airun_add_partitions()', 'SELECT airun_drop_partitions(now())', 'SELECT airun_install()', 'SELECT airun_grant(current_user)']) s;
SELECT DISTINCT privilege_type FROM information_schema.table_privileges
WHERE grantee = 'regress_airun_user' ORDER BY 1;

-- our trigger functions on somebody's own table
CREATE TEMP TABLE runs (LIKE airun.runs);
CREATE TEMP TABLE ai_tasks (run_id uuid, task_id uuid);
SELECT access_test.answer('CREATE TRIGGER t ' || s) FROM unnest(ARRAY[
	'BEFORE INSERT ON pg_temp.runs FOR EACH ROW EXECUTE FUNCTION airun_guard_run()',
	'AFTER INSERT ON pg_temp.runs FOR EACH STATEMENT EXECUTE FUNCTION airun_roll_up_tasks()']) s;
SELECT access_test.answer('SELECT airun_guard_run()');
RESET ROLE;
CREATE FUNCTION pg_temp.attach(trigger text, make text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'CREATE TRIGGER t ' || trigger;
	EXECUTE make;
	RETURN 'it ran';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
CREATE TABLE access_test.runs (LIKE airun.runs);
CREATE TABLE access_test.tasks AS TABLE airun.tasks WITH NO DATA;
CREATE VIEW access_test.ai_tasks AS SELECT * FROM access_test.tasks;
SELECT pg_temp.attach(trigger, make) FROM (VALUES
	('BEFORE INSERT ON access_test.runs FOR EACH ROW EXECUTE FUNCTION airun_guard_run()', 'INSERT INTO access_test.runs (id) VALUES (NULL)'),
	('BEFORE INSERT ON access_test.runs FOR EACH ROW EXECUTE FUNCTION airun_guard_task()', 'INSERT INTO access_test.runs (id) VALUES (NULL)'),
	('BEFORE INSERT ON access_test.tasks FOR EACH ROW EXECUTE FUNCTION airun_guard_message()', 'INSERT INTO access_test.tasks (run_id, task_id) VALUES (airun_uuid(), airun_uuid())'),
	('AFTER INSERT ON access_test.tasks FOR EACH STATEMENT EXECUTE FUNCTION airun_roll_up_tasks()', 'INSERT INTO access_test.tasks (run_id, task_id) VALUES (airun_uuid(), airun_uuid())'),
	('AFTER TRUNCATE ON access_test.tasks FOR EACH STATEMENT EXECUTE FUNCTION airun_roll_up_messages()', 'TRUNCATE access_test.tasks'),
	('INSTEAD OF INSERT ON access_test.ai_tasks FOR EACH ROW EXECUTE FUNCTION airun_view_task()', 'INSERT INTO access_test.ai_tasks (run_id) VALUES (NULL)'),
	('INSTEAD OF INSERT ON access_test.ai_tasks FOR EACH ROW EXECUTE FUNCTION airun_view_message()', 'INSERT INTO access_test.ai_tasks (run_id) VALUES (NULL)'),
	-- on our own tables, but not as they are declared
	('AFTER INSERT ON airun.runs FOR EACH ROW EXECUTE FUNCTION airun_guard_run()', 'INSERT INTO airun.runs (name) VALUES (''x'')'),
	('BEFORE DELETE ON airun.runs FOR EACH ROW EXECUTE FUNCTION airun_guard_run()', 'DELETE FROM airun.runs WHERE name = ''Ann''''s run'''),
	('AFTER DELETE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION airun_roll_up_tasks()', 'DELETE FROM airun.tasks'),
	('AFTER INSERT ON airun.messages FOR EACH STATEMENT EXECUTE FUNCTION airun_roll_up_messages()',
		'INSERT INTO airun.messages (run_id, message) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''{"role": "user", "content": "x"}'')')
) v (trigger, make);
DROP TABLE pg_temp.runs, pg_temp.ai_tasks;

--
-- Nobody is calling
--
SET ROLE regress_airun_user;
SELECT access_test.be('anonymous');
SELECT airun_user_id();
RESET ROLE;
CREATE TABLE access_test.by_nobody AS SELECT * FROM unnest(ARRAY[
	'SELECT airun_create_run()',
	'SELECT airun_create_run(id => ''<run>'')',
	'SELECT airun_create_run(user_id => ''0acce550-0000-4000-8000-0000000000aa'')',
	'SELECT airun_update_run(''<run>'', name => ''x'')',
	'SELECT airun_star_run(''<run>'')',
	'SELECT airun_toggle_star(''<run>'')',
	'SELECT airun_archive_run(''<run>'')',
	'SELECT airun_set_run_status(''<run>'', ''completed'')',
	'SELECT airun_delete_run(''<run>'')',
	'SELECT airun_restore_run(''<run>'')',
	'SELECT airun_append_message(''<run>'', ''{"role": "user", "content": "x"}'')',
	'SELECT airun_append_messages(''<run>'', ''[{"role": "user", "content": "x"}]'')',
	'SELECT airun_save_message(''<run>'', ''{"role": "user", "content": "x"}'', ''m1'')',
	'SELECT airun_save_messages(''<run>'', ''[{"role": "user", "content": "x", "id": "m1"}]'')',
	'SELECT airun_truncate_messages(''<run>'', 0)',
	'SELECT airun_edit_message(''<run>'', 1, ''{"role": "user", "content": "x"}'')', 'SELECT airun_fork_run(''<run>'', 1)', 'SELECT airun_run_forks(''<run>'')',
	'SELECT airun_message_versions(''<run>'')',
	'SELECT airun_create_task(''<run>'')',
	'SELECT airun_update_task(''<task>'', ''x'')',
	'SELECT airun_complete_task(''<task>'', ''x'')',
	'SELECT airun_fail_task(''<task>'')',
	'SELECT airun_cancel_task(''<task>'')',
	'SELECT airun_start_turn(run => ''{}'')',
	'SELECT airun_start_turn(''<run>'', task_id => ''<task>'')',
	'SELECT airun_finish_turn(''<task>'', response_text => ''x'')',
	'INSERT INTO ai_runs (name) VALUES (''x'')',
	'INSERT INTO ai_messages (run_id, message) VALUES (''<run>'', ''{"role": "user", "content": "x"}'')',
	'INSERT INTO ai_tasks (run_id) VALUES (''<run>'')',
	'INSERT INTO airun.runs (name) VALUES (''x'')',
	'INSERT INTO airun.runs (id, user_id) VALUES (''<run>'', ''0acce550-0000-4000-8000-0000000000aa'')',
	'INSERT INTO airun.messages (run_id, seq, message) VALUES (''<run>'', 3, ''{"role": "user", "content": "x"}'')',
	'INSERT INTO airun.tasks (run_id) VALUES (''<run>'')',
	'INSERT INTO airun.tasks (run_id, task_id) VALUES (''<run>'', ''<task>'') ON CONFLICT DO NOTHING',
	-- an update or a reading finds nothing
	'UPDATE ai_runs SET name = ''x'' WHERE id = ''<run>''',
	'UPDATE airun.runs SET name = ''x'' WHERE id = ''<run>''',
	'UPDATE ai_tasks SET service = ''x'' WHERE task_id = ''<task>''',
	'UPDATE airun.tasks SET service = ''x'' WHERE task_id = ''<task>''',
	'SELECT FROM airun.tasks WHERE task_id = ''<task>'' FOR UPDATE',
	'SELECT * FROM ai_runs WHERE id = ''<run>''',
	'SELECT * FROM ai_messages',
	'SELECT * FROM ai_tasks WHERE task_id = ''<task>''',
	'SELECT * FROM airun.runs',
	'SELECT * FROM airun.messages WHERE run_id = ''<run>''',
	'SELECT * FROM airun.tasks',
	'SELECT * FROM airun.task_chunks',
	'SELECT airun_list_runs()',
	'SELECT airun_call(''{"airun_messages": {"run_id": "<run>"}}'')',
	'SELECT airun_get_run(''<run>'')',
	'SELECT airun_messages(''<run>'')',
	'SELECT airun_check(''<run>'')',
	'SELECT airun_heartbeat_task(''<task>'')',
	'SELECT airun_stream_delta(''<task>'', ''x'')',
	'SELECT airun_stream_read(''<task>'')',
	'SELECT airun_expire_tasks()',
	'SELECT airun_meter()',
	'SELECT airun_usage(''-infinity'', ''infinity'')',
	'SELECT airun_usage_page()',
	'SELECT airun_budget_status()', 'SELECT airun_budget_check(run_id => ''<run>'')',
	'SELECT airun_start_call()',
	'SELECT airun_end_call(''<run>'')',
	'SELECT airun_expire_calls()',
	'SELECT airun_export(''<run>'')', 'SELECT airun_context(''<run>'')', 'SELECT airun_export_user()', 'SELECT airun_search(''x'')', 'SELECT airun_import(''[{"messages": []}]'')',
	'SELECT airun_sees_run(''<run>'')',
	'SELECT airun_writes_run(''<run>'')']) WITH ORDINALITY x (statement, number);
GRANT SELECT ON access_test.by_nobody TO PUBLIC;
-- every function is tried that writes or reads rows
SELECT p.proname FROM pg_proc p
WHERE p.proname LIKE 'airun%' AND p.prokind = 'f'
	AND has_function_privilege('regress_airun_user', p.oid, 'EXECUTE')
	AND p.proname NOT IN ('airun_user_id', 'airun_user_uuid', 'airun_uuid', 'airun_bucket', 'airun_json', 'airun_array_add', 'airun_array_add_at', 'airun_array_in_order', 'airun_array_result',
		'airun_sketch_bin', 'airun_sketch_add', 'airun_sketch_add_sketch', 'airun_sketch_result', 'airun_sketch_merge', 'airun_sketch_quantile',
		'airun_message_text', 'airun_request', 'airun_is_overdue',
		'airun_normalize_usage', 'airun_cost', 'airun_cost_details')	-- prices are everybody's
	AND p.proname NOT LIKE 'airun\_store\_%'	-- as is what the store is made of
	AND NOT EXISTS (SELECT FROM access_test.by_nobody WHERE statement LIKE '%' || p.proname || '(%');
SET ROLE regress_airun_user;
SELECT access_test.probe(statement) FROM access_test.by_nobody ORDER BY number;

--
-- Who is calling
--
CREATE FUNCTION pg_temp.as_claims(claims text, setting text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	PERFORM set_config('request.jwt.claims', claims, true), set_config('airun.user_id', setting, true);
	RETURN coalesce(airun_user_id()::text, 'nobody');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ': ' || SQLERRM || coalesce(' | ' || nullif(hint, ''), '');
END $$;
SELECT claims || ' + ' || setting || ' -> ' || pg_temp.as_claims(claims, setting) FROM (VALUES
	('{"sub": "0acce550-0000-4000-8000-0000000000aa"}', ''),
	('{"sub": "0ACCE550-0000-4000-8000-0000000000AA"}', ''),
	('{"sub": "auth0|507f1f77bcf86cd799439020"}', ''),
	('{"sub": "0acce550-0000-4000-8000-0000000000aa "}', ''),
	('{"sub": "{0acce550-0000-4000-8000-0000000000aa}"}', ''),
	('{"sub": "0acce550000040008000000000000aa"}', ''),
	('{"role": "anon"}', ''),
	('{"role": "anon"}', '0acce550-0000-4000-8000-0000000000bb'),
	('{"sub": null}', '0acce550-0000-4000-8000-0000000000bb'),
	('{"sub": ""}', '0acce550-0000-4000-8000-0000000000bb'),
	('{"sub": "0acce550-0000-4000-8000-0000000000aa"}', '0acce550-0000-4000-8000-0000000000bb'),
	('{"claims": {"sub": "0acce550-0000-4000-8000-0000000000aa"}}', ''),
	('', '0acce550-0000-4000-8000-0000000000bb'),
	('', 'auth0|507f1f77bcf86cd799439020'),
	('', ''),
	('{"sub": 42}', ''),
	('{"sub": 42}', '0acce550-0000-4000-8000-0000000000bb'),
	('{"sub": true}', ''),
	('{"sub": ["0acce550-0000-4000-8000-0000000000aa"]}', ''),
	('not JSON', '0acce550-0000-4000-8000-0000000000bb'),
	('{"sub": "0acce550-0000-4000-8000-0000000000aa"', ''),
	('["0acce550-0000-4000-8000-0000000000aa"]', ''),
	('"0acce550-0000-4000-8000-0000000000aa"', ''),
	('null', '0acce550-0000-4000-8000-0000000000bb'),
	(' ', ''),
	-- the last of two keys counts, as in jsonb
	('{"sub": "0acce550-0000-4000-8000-0000000000aa", "sub": "0acce550-0000-4000-8000-0000000000bb"}', ''),
	(E'{"sub": "a\\u0000b"}', '')) v (claims, setting);
-- claims that cannot be read stop everything: no function or query goes on as somebody else
SELECT set_config('request.jwt.claims', 'not JSON', false), set_config('airun.user_id', '0acce550-0000-4000-8000-0000000000bb', false);
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'SELECT name FROM ai_runs', 'SELECT name FROM airun_list_runs()', 'SELECT airun_create_run()',
	'INSERT INTO airun.runs (name) VALUES (''x'')']) s;
SELECT airun_user_uuid(s) FROM unnest(ARRAY['auth0|507f1f77bcf86cd799439020', '', 'ü', '0ACCE550-0000-4000-8000-0000000000AA', NULL]) s;
-- an application that connects by itself says who it acts for
SELECT access_test.be('nobody at all');
SELECT name FROM airun_list_runs() ORDER BY name;
SET airun.user_id = '0acce550-0000-4000-8000-0000000000aa';
SELECT name FROM airun_list_runs() ORDER BY name;
SELECT access_test.be('bob');
SELECT name FROM airun_list_runs() ORDER BY name;
RESET airun.user_id;

--
-- A service that row security does not bind
--
SET ROLE regress_airun_service;
SELECT access_test.be('nobody at all');
SELECT name, message_count FROM airun_list_runs(page_size => 1000) WHERE user_id::text LIKE '0acce550-%' ORDER BY name;
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'SELECT (airun_create_run(name => ''for Ann'', user_id => ''0acce550-0000-4000-8000-0000000000aa'')).user_id',
	'SELECT (airun_create_run(name => ''for nobody'')).user_id',
	'SELECT (airun_start_turn(run => ''{"user_id": "0acce550-0000-4000-8000-0000000000aa"}'') #>> ''{run,user_id}'')',
	'INSERT INTO ai_runs (name) VALUES (''for nobody'')',
	'INSERT INTO ai_runs (name, user_id) VALUES (''for Ann'', ''0acce550-0000-4000-8000-0000000000aa'')',
	'SELECT (airun_append_message(''0acce550-0000-4000-8000-00000000aaaa'', ''{"role": "user", "content": "x"}'')).seq',
	'SELECT (airun_complete_task(''0acce550-0000-4000-8000-00000000000a'', ''x'')).status',
	'SELECT airun_create_run(id => ''0acce550-0000-4000-8000-00000000aaaa'')',
	'SELECT (airun_create_run(id => ''0acce550-0000-4000-8000-00000000aaaa'', user_id => ''0acce550-0000-4000-8000-0000000000aa'')).name',
	'DELETE FROM airun.runs']) s;
-- a run of nobody's is nobody's: not that of a caller without a name
SELECT (airun_create_run(name => 'nobody''s', id => '0acce550-0000-4000-8000-000000000000')).name;
SELECT (airun_create_run(name => 'again', id => '0acce550-0000-4000-8000-000000000000')).name;
SET ROLE regress_airun_user;
SELECT access_test.be('anonymous');
SELECT name FROM ai_runs;
-- with claims, the service's rows are that user's
SET ROLE regress_airun_service;
SELECT access_test.be('bob');
SELECT access_test.answer('SELECT (airun_create_run()).user_id');

--
-- A role that was granted nothing
--
SET ROLE regress_airun_stranger;
SELECT access_test.be('ann');
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'SELECT airun_user_id()', 'SELECT airun_create_run()', 'SELECT airun_list_runs()',
	'SELECT airun_get_run(''0acce550-0000-4000-8000-00000000aaaa'')',
	'SELECT airun_messages(''0acce550-0000-4000-8000-00000000aaaa'')',
	'SELECT airun_append_message(''0acce550-0000-4000-8000-00000000aaaa'', ''{"role": "user", "content": "x"}'')',
	'SELECT airun_finish_turn(''0acce550-0000-4000-8000-00000000000a'')', 'SELECT airun_check()',
	'SELECT airun_sees_run(''0acce550-0000-4000-8000-00000000aaaa'')',
	'SELECT airun_writes_run(''0acce550-0000-4000-8000-00000000aaaa'')',
	'SELECT * FROM ai_runs', 'SELECT * FROM ai_tasks', 'SELECT * FROM airun.runs', 'INSERT INTO ai_runs (name) VALUES (''x'')']) s;

--
-- One session, many callers: the same statements with saved plans
--
RESET ROLE;
CREATE FUNCTION access_test.look() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN concat_ws(' / ', current_user, airun_user_id(),
		CASE WHEN airun_user_id() IS NOT NULL THEN (SELECT string_agg(name, ', ' ORDER BY name) FROM airun_list_runs()) END,
		(SELECT string_agg(name, ', ' ORDER BY name) FROM ai_runs),
		(SELECT string_agg(message ->> 'content', ', ' ORDER BY seq) FROM ai_messages),
		(SELECT count(*) FROM airun.tasks),
		airun_sees_run('0acce550-0000-4000-8000-00000000aaaa'), airun_sees_run('0acce550-0000-4000-8000-00000000bbbb'));
END $$;
CREATE FUNCTION access_test.sees(run uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN airun_sees_run(run);
END $$;
PREPARE look AS SELECT access_test.look();
PREPARE runs AS SELECT name FROM ai_runs
	WHERE user_id::text LIKE '0acce550-%' OR id = '0acce550-0000-4000-8000-000000000000' ORDER BY name;
SET ROLE regress_airun_user;
BEGIN;
SELECT access_test.be('ann');
EXECUTE look;
EXECUTE runs;
SELECT access_test.sees('0acce550-0000-4000-8000-00000000aaaa');
SELECT access_test.be('bob');
EXECUTE look;
EXECUTE runs;
SELECT access_test.sees('0acce550-0000-4000-8000-00000000aaaa');
SELECT access_test.be('ann');
EXECUTE look;
EXECUTE runs;
SELECT access_test.sees('0acce550-0000-4000-8000-00000000aaaa');
SELECT access_test.be('anonymous');
EXECUTE look;
EXECUTE runs;
COMMIT;
SET ROLE regress_airun_service;
EXECUTE runs;
SET ROLE regress_airun_user;
EXECUTE runs;
SELECT access_test.be('bob');
EXECUTE runs;
-- and within one statement of PL/pgSQL
SET client_min_messages = warning;
DO $$
DECLARE
	who text;
BEGIN
	FOREACH who IN ARRAY '{ann,bob,ann,anonymous,bob}'::text[] LOOP
		PERFORM access_test.be(who);
		RAISE WARNING '%: % %', who, airun_sees_run('0acce550-0000-4000-8000-00000000aaaa'),
			(SELECT count(*) FROM airun.messages);
		INSERT INTO airun.runs (name) SELECT 'for ' || who WHERE who <> 'anonymous';
	END LOOP;
END $$;
SET client_min_messages = error;
RESET ROLE;
SELECT user_id, count(*) FROM airun.runs WHERE name IN ('for ann', 'for bob') GROUP BY 1 ORDER BY 1;
DELETE FROM airun.runs WHERE name IN ('for ann', 'for bob');

-- what the policies' functions say: own, another's, none, and NULL
SET ROLE regress_airun_user;
SELECT access_test.be('bob');
SELECT airun_sees_run(id), airun_writes_run(id) FROM (VALUES (1, :'bob_run'::uuid), (2, :'ann_run'),
	(3, '0acce550-0000-4000-8000-00000000dead'), (4, NULL), (5, :'bob_run')) v (o, id) ORDER BY o;
SELECT access_test.be('anonymous');
SELECT airun_sees_run(:'bob_run');

--
-- A search_path of somebody's own changes nothing
--
RESET ROLE;
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.no(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.no(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.no(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.no(jsonb, text) RETURNS jsonb LANGUAGE sql AS 'SELECT ''{}''::jsonb';
CREATE FUNCTION evil.much(bigint, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 1000000::bigint';
CREATE FUNCTION evil.much(numeric, numeric) RETURNS numeric LANGUAGE sql AS 'SELECT 1000000::numeric';
CREATE OPERATOR evil.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = evil.no);
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.no);
CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.no);
CREATE OPERATOR evil.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.no);
CREATE OPERATOR evil.< (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.no);
CREATE OPERATOR evil.> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.no);
CREATE OPERATOR evil.+ (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.much);
CREATE OPERATOR evil.+ (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = evil.much);
CREATE OPERATOR evil.- (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = evil.no);
CREATE OPERATOR evil.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = evil.no);
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS 'SELECT ''evil''::text';
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT ''infinity''::timestamptz';
CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT ''infinity''::timestamptz';
CREATE FUNCTION evil.count(anyelement) RETURNS bigint LANGUAGE sql AS 'SELECT 1000000::bigint';
CREATE FUNCTION evil.starts_with(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.strpos(text, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION evil.row_to_json(record) RETURNS json LANGUAGE plpgsql AS 'BEGIN RETURN ''{"evil": true}''; END';
CREATE FUNCTION evil.date_trunc(text, timestamptz, text) RETURNS timestamptz LANGUAGE sql AS 'SELECT ''infinity''::timestamptz';
CREATE FUNCTION evil.airun_user_id() RETURNS uuid LANGUAGE sql AS 'SELECT ''0acce550-0000-4000-8000-0000000000aa''::uuid';
CREATE FUNCTION evil.airun_sees_run(uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.airun_writes_run(uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION evil.much(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR evil.> (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = evil.much);
CREATE OPERATOR evil.-> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = evil.no);
CREATE FUNCTION evil.jsonb_build_object(VARIADIC "any") RETURNS jsonb LANGUAGE internal AS 'jsonb_build_array';
CREATE FUNCTION evil.jsonb_strip_nulls(jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT ''{}''::jsonb';
CREATE FUNCTION evil.gen_random_uuid() RETURNS uuid LANGUAGE sql AS 'SELECT ''0acce550-0000-4000-8000-000000000000''::uuid';
CREATE TABLE evil.prices (LIKE airun.prices INCLUDING DEFAULTS);
CREATE TABLE evil.price_book (LIKE airun.price_book INCLUDING DEFAULTS);
CREATE TABLE evil.runs (LIKE airun.runs INCLUDING DEFAULTS);
CREATE TABLE evil.messages (LIKE airun.messages INCLUDING DEFAULTS);
CREATE TABLE evil.tasks (LIKE airun.tasks INCLUDING DEFAULTS);
CREATE DOMAIN evil.uuid AS text;
CREATE DOMAIN evil.jsonb AS text;
CREATE TYPE evil.ai_message AS (x int);
GRANT ALL ON ALL TABLES IN SCHEMA evil TO PUBLIC;
-- a new session, so that every plan is made under that path
\c -
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
SET airun.trust_client_cost = on;
SELECT access_test.be('bob');
SET ROLE regress_airun_user;
SET search_path = evil, pg_catalog, public;
SELECT message_count FROM public.airun_create_run(name => 'under a strange path', id => '0acce550-0000-4000-8000-00000000e001');
SELECT seq FROM public.airun_append_messages('0acce550-0000-4000-8000-00000000e001',
	'[{"role": "user", "content": "x", "id": "m1"}, {"role": "user", "content": "y"}]');
SELECT seq FROM public.airun_append_message('0acce550-0000-4000-8000-00000000e001', '{"role": "user", "content": "x", "id": "m1"}');
SELECT public.airun_start_turn('0acce550-0000-4000-8000-00000000e001', '{"role": "user", "content": "q"}',
	'0acce550-0000-4000-8000-00000000e00a') #>> '{run,message_count}';
SELECT response_length FROM public.airun_update_task('0acce550-0000-4000-8000-00000000e00a', 'abc');
SELECT response_length FROM public.airun_update_task('0acce550-0000-4000-8000-00000000e00a', 'abcdef');
SELECT public.airun_finish_turn('0acce550-0000-4000-8000-00000000e00a', tokens_total => 5, cost => 0.25) #>> '{run,total_tokens}';
SELECT (public.airun_create_task('0acce550-0000-4000-8000-00000000e001', '0acce550-0000-4000-8000-00000000e00b')).status;
UPDATE public.ai_tasks SET status = 'error', tokens_total = 2 WHERE task_id OPERATOR(pg_catalog.=) '0acce550-0000-4000-8000-00000000e00b';
INSERT INTO public.ai_messages (run_id, message) VALUES ('0acce550-0000-4000-8000-00000000e001', '{"role": "user", "content": "v"}');
INSERT INTO airun.messages (run_id, message) VALUES ('0acce550-0000-4000-8000-00000000e001', '{"role": "user", "content": "s"}');
INSERT INTO airun.tasks (run_id, task_id) VALUES ('0acce550-0000-4000-8000-00000000e001', '0acce550-0000-4000-8000-00000000e00c');
UPDATE airun.tasks SET status = 'completed', cost = 1, tokens_total = 3 WHERE task_id OPERATOR(pg_catalog.=) '0acce550-0000-4000-8000-00000000e00c';
SELECT name, message_count, task_count, total_tokens, total_cost FROM public.airun_list_runs(search => 'STRANGE');
SELECT name FROM public.airun_list_runs(search => 'evil');
SELECT public.airun_messages('0acce550-0000-4000-8000-00000000e001', max_messages => 1)::text ~ '^\[.*"x".*\]$';
SELECT public.airun_get_run('0acce550-0000-4000-8000-00000000e001') ->> 'name';
SELECT public.airun_cost('m', '{"input": 3}') IS NULL;
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'SELECT public.airun_get_run(''0acce550-0000-4000-8000-00000000aaaa'')',
	'SELECT public.airun_star_run(''0acce550-0000-4000-8000-00000000aaaa'')',
	'SELECT public.airun_complete_task(''0acce550-0000-4000-8000-00000000000a'')',
	'SELECT name FROM public.ai_runs ORDER BY name',
	'INSERT INTO airun.messages (run_id, message) VALUES (''0acce550-0000-4000-8000-00000000aaaa'', ''{"role": "user", "content": "s"}'')',
	'SELECT * FROM public.airun_check()']) s;
SET search_path = evil;
SELECT pg_catalog.count(*) FROM public.airun_check();
RESET search_path;
SELECT count(*) FROM airun_check();
RESET ROLE;
SELECT (SELECT count(*) FROM evil.runs) + (SELECT count(*) FROM evil.messages) + (SELECT count(*) FROM evil.tasks);
-- the owner, too, makes a store under any path
SET search_path = evil, pg_catalog, public;
DROP VIEW public.ai_messages CASCADE;
ALTER TABLE airun.runs ALTER COLUMN user_id DROP DEFAULT;
SELECT public.airun_install();
-- and keeps its prices
SELECT public.airun_set_price('m', '{"input": 1}', effective_from => '-infinity') IS NOT NULL;
SELECT public.airun_set_price('m', '{"input": 2}', effective_from => '2026-01-01Z') IS NOT NULL;
SELECT action FROM public.airun_import_prices('{"n": {"litellm_provider": "p", "input_cost_per_token": 1}}');
SELECT action FROM public.airun_import_prices('{"n": {"litellm_provider": "p", "input_cost_per_token": 1}}');
SELECT public.airun_cost('m', '{"input": 3}'), public.airun_cost('m', '{"input": 3}', at => '2025-01-01Z'), public.airun_cost('n', '{"input": 3}');
RESET search_path;
SELECT model, rates FROM airun.prices ORDER BY model, effective_from;
DELETE FROM airun.prices;
SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'airun.runs'::regclass
	AND pg_get_expr(adbin, adrelid) LIKE '%user%';
DROP SCHEMA evil CASCADE;

--
-- A site shares
--
-- its own column and tables
ALTER TABLE airun.runs ADD COLUMN team text;
ALTER TABLE airun.messages ADD COLUMN note text;
ALTER TABLE airun.tasks ADD COLUMN note text DEFAULT 'none';
GRANT SELECT, UPDATE (team) ON airun.runs TO regress_airun_user;
SET ROLE regress_airun_user;
SELECT access_test.be('ann');
UPDATE airun.runs SET team = 'red' WHERE id = '0acce550-0000-4000-8000-00000000aaaa';
SELECT (airun_star_run('0acce550-0000-4000-8000-00000000aaaa')).is_starred;
SELECT seq FROM airun_append_message('0acce550-0000-4000-8000-00000000aaaa', '{"role": "user", "content": "third"}');
INSERT INTO ai_messages (run_id, message) VALUES ('0acce550-0000-4000-8000-00000000aaaa', '{"role": "user", "content": "fourth"}');
INSERT INTO airun.messages (run_id, message, note) VALUES ('0acce550-0000-4000-8000-00000000aaaa', '{"role": "user", "content": "fifth"}', 'by hand');
SELECT (airun_create_task('0acce550-0000-4000-8000-00000000aaaa', '0acce550-0000-4000-8000-0000000000a1')).status;
UPDATE ai_tasks SET status = 'completed', tokens_total = 3, cost = 2 WHERE task_id = '0acce550-0000-4000-8000-0000000000a1';
UPDATE airun.tasks SET note = 'mine' WHERE task_id = '0acce550-0000-4000-8000-0000000000a1';
SELECT team, is_starred, message_count, task_count, total_tokens, total_cost FROM airun.runs WHERE id = '0acce550-0000-4000-8000-00000000aaaa';
SELECT seq, note FROM airun.messages WHERE note IS NOT NULL;
SELECT airun_get_run('0acce550-0000-4000-8000-00000000aaaa') -> 'team' IS NULL;
-- to read: one policy on runs shares messages and tasks
RESET ROLE;
CREATE POLICY site_share ON airun.runs FOR SELECT USING (team = current_setting('site.team', true));
SET ROLE regress_airun_user;
SELECT access_test.be('bob');
SELECT name FROM airun_list_runs() ORDER BY name;
SET site.team = 'red';
SELECT name FROM airun_list_runs() ORDER BY name;
SELECT name, message_count, jsonb_array_length(messages) FROM ai_runs WHERE user_id <> airun_user_id();
SELECT message ->> 'content' FROM ai_messages WHERE run_id = '0acce550-0000-4000-8000-00000000aaaa' ORDER BY seq;
SELECT response_text, status FROM ai_tasks WHERE run_id = '0acce550-0000-4000-8000-00000000aaaa' ORDER BY created_at, task_id;
SELECT count(*) FROM airun.messages WHERE run_id = '0acce550-0000-4000-8000-00000000aaaa';
SELECT json_array_length(airun_messages('0acce550-0000-4000-8000-00000000aaaa'));
SELECT json_array_length(airun_get_run('0acce550-0000-4000-8000-00000000aaaa') -> 'tasks');
SELECT airun_sees_run('0acce550-0000-4000-8000-00000000aaaa'), airun_writes_run('0acce550-0000-4000-8000-00000000aaaa');
SELECT * FROM airun_check();
-- but not to write
SELECT access_test.answer(replace(replace(s, '<run>', '0acce550-0000-4000-8000-00000000aaaa'), '<task>', '0acce550-0000-4000-8000-00000000000a')) FROM unnest(ARRAY[
	'SELECT airun_update_run(''<run>'', name => ''x'')',
	'SELECT airun_star_run(''<run>'')',
	'SELECT airun_toggle_star(''<run>'')',
	'SELECT airun_archive_run(''<run>'')',
	'SELECT airun_set_run_status(''<run>'', ''completed'')',
	'SELECT airun_delete_run(''<run>'')',
	'SELECT airun_restore_run(''<run>'')',
	'SELECT airun_append_message(''<run>'', ''{"role": "user", "content": "x"}'')',
	'SELECT airun_append_message(''<run>'', ''{"role": "user", "content": "a secret", "id": "m1"}'')',
	'SELECT airun_append_message(''<run>'', ''{"role": "user", "content": "x"}'', task_id => ''<task>'')',
	'SELECT airun_append_messages(''<run>'', ''[]'')',
	'SELECT airun_create_task(''<run>'')',
	'SELECT airun_create_task(''<run>'', ''<task>'')',
	'SELECT airun_update_task(''<task>'', ''x'')',
	'SELECT airun_update_task(''<task>'', ''x'', run_id => ''<run>'')',
	'SELECT airun_complete_task(''<task>'', ''x'')',
	'SELECT airun_complete_task(''0acce550-0000-4000-8000-0000000000a1'')',
	'SELECT airun_fail_task(''<task>'')',
	'SELECT airun_cancel_task(''<task>'')',
	'SELECT airun_start_turn(''<run>'')',
	'SELECT airun_start_turn(task_id => ''<task>'')',
	'SELECT airun_start_turn(run => ''{"id": "<run>"}'')',
	'SELECT airun_create_run(id => ''<run>'')',
	'SELECT airun_finish_turn(''<task>'', response_text => ''x'')',
	'INSERT INTO ai_messages (run_id, message) VALUES (''<run>'', ''{"role": "user", "content": "x"}'')',
	'INSERT INTO airun.messages (run_id, message) VALUES (''<run>'', ''{"role": "user", "content": "x"}'')',
	'INSERT INTO airun.messages (run_id, seq, message) VALUES (''<run>'', 6, ''{"role": "user", "content": "x"}'')',
	'INSERT INTO ai_tasks (run_id) VALUES (''<run>'')',
	'INSERT INTO airun.tasks (run_id, status, cost) VALUES (''<run>'', ''completed'', 5)',
	'UPDATE ai_runs SET name = ''x'' WHERE id = ''<run>''',
	'UPDATE airun.runs SET name = ''x'' WHERE id = ''<run>''',
	'UPDATE ai_tasks SET status = ''completed'', cost = 5 WHERE task_id = ''<task>''',
	'UPDATE airun.tasks SET status = ''completed'', cost = 5 WHERE task_id = ''<task>''',
	'SELECT FROM airun.tasks WHERE task_id = ''<task>'' FOR UPDATE',
	'SELECT FROM airun.runs WHERE id = ''<run>'' FOR KEY SHARE']) s;
-- a task id that one sees elsewhere is taken
SELECT access_test.answer('SELECT airun_create_task(''0acce550-0000-4000-8000-00000000bbbb'', ''0acce550-0000-4000-8000-00000000000a'')');
-- even the right to delete finds no run to take the totals from
RESET ROLE;
GRANT DELETE ON airun.messages, airun.tasks, airun.runs TO regress_airun_user;
CREATE POLICY site_delete ON airun.messages FOR DELETE USING (true);
CREATE POLICY site_delete ON airun.tasks FOR DELETE USING (true);
SET ROLE regress_airun_user;
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'DELETE FROM airun.messages WHERE run_id = ''0acce550-0000-4000-8000-00000000aaaa'' AND seq = 5',
	'DELETE FROM airun.messages WHERE run_id = ''0acce550-0000-4000-8000-00000000aaaa''',
	'DELETE FROM airun.tasks WHERE run_id = ''0acce550-0000-4000-8000-00000000aaaa''',
	'DELETE FROM airun.runs WHERE id = ''0acce550-0000-4000-8000-00000000aaaa''',
	'DELETE FROM airun.tasks WHERE run_id = ''0acce550-0000-4000-8000-00000000bbbb''']) s;
RESET ROLE;
DROP POLICY site_delete ON airun.messages;
DROP POLICY site_delete ON airun.tasks;
REVOKE DELETE ON airun.messages, airun.tasks, airun.runs FROM regress_airun_user;
SELECT * FROM airun_check();
-- no policy to read, but one to write: what is not seen is not there
ALTER POLICY site_share ON airun.runs USING (false);
CREATE POLICY site_write ON airun.runs FOR UPDATE USING (team = current_setting('site.team', true));
SET ROLE regress_airun_user;
SELECT access_test.probe(s) FROM unnest(ARRAY[
	'SELECT airun_star_run(''<run>'')',
	'SELECT airun_append_message(''<run>'', ''{"role": "user", "content": "x"}'')',
	'SELECT airun_create_task(''<run>'')',
	'SELECT airun_cancel_task(''<task>'', run_id => ''<run>'')',
	'INSERT INTO airun.messages (run_id, message) VALUES (''<run>'', ''{"role": "user", "content": "x"}'')']) s;
RESET ROLE;
DROP POLICY site_write ON airun.runs;
DROP POLICY site_share ON airun.runs;
-- to write: a member does all that the owner does
CREATE POLICY site_members ON airun.runs FOR ALL USING (team = current_setting('site.team', true));
SET ROLE regress_airun_user;
SELECT (airun_star_run('0acce550-0000-4000-8000-00000000aaaa', false)).is_starred;
SELECT seq FROM airun_append_message('0acce550-0000-4000-8000-00000000aaaa', '{"role": "user", "content": "by Bob"}');
INSERT INTO ai_messages (run_id, message) VALUES ('0acce550-0000-4000-8000-00000000aaaa', '{"role": "user", "content": "by Bob, too"}');
INSERT INTO airun.messages (run_id, message) VALUES ('0acce550-0000-4000-8000-00000000aaaa', '{"role": "user", "content": "and again"}');
SELECT (airun_complete_task('0acce550-0000-4000-8000-00000000000a', 'done', tokens_total => 10)).status;
SELECT user_id FROM airun_create_task('0acce550-0000-4000-8000-00000000aaaa', '0acce550-0000-4000-8000-0000000000b1');
UPDATE airun.tasks SET status = 'error', cost = 0.5 WHERE task_id = '0acce550-0000-4000-8000-0000000000b1';
SELECT airun_finish_turn('0acce550-0000-4000-8000-0000000000b2', response_text => 'x') #>> '{task,status}'
FROM airun_start_turn('0acce550-0000-4000-8000-00000000aaaa', task_id => '0acce550-0000-4000-8000-0000000000b2') s WHERE s IS NOT NULL;
SELECT user_id = :'ann' AS anns, status, message_count, task_count, total_tokens, total_cost FROM airun_list_runs() WHERE id = '0acce550-0000-4000-8000-00000000aaaa';
SELECT access_test.answer('SELECT airun_create_run(id => ''0acce550-0000-4000-8000-00000000aaaa'')');
SELECT * FROM airun_check();
-- a site's policy that asks for more is obeyed as well
RESET ROLE;
CREATE POLICY site_limit ON airun.runs AS RESTRICTIVE FOR UPDATE USING (source_type <> 'locked');
CREATE POLICY site_limit_insert ON airun.runs AS RESTRICTIVE FOR INSERT WITH CHECK (source_type <> 'forbidden');
CREATE POLICY site_limit ON airun.messages AS RESTRICTIVE FOR SELECT USING (message ->> 'role' <> 'system');
CREATE POLICY site_limit_insert ON airun.messages AS RESTRICTIVE FOR INSERT WITH CHECK (message ->> 'role' <> 'developer');
CREATE POLICY site_limit ON airun.tasks AS RESTRICTIVE FOR UPDATE USING (service IS DISTINCT FROM 'locked');
SET ROLE regress_airun_user;
SELECT name FROM airun_create_run('locked', name => 'locked', id => '0acce550-0000-4000-8000-0000000010cd');
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'SELECT airun_create_run(''forbidden'')',
	'INSERT INTO ai_runs (source_type) VALUES (''forbidden'')',
	'SELECT airun_star_run(''0acce550-0000-4000-8000-0000000010cd'')',
	'SELECT airun_append_message(''0acce550-0000-4000-8000-0000000010cd'', ''{"role": "user", "content": "x"}'')',
	'INSERT INTO airun.messages (run_id, message) VALUES (''0acce550-0000-4000-8000-0000000010cd'', ''{"role": "user", "content": "x"}'')',
	'SELECT (airun_get_run(''0acce550-0000-4000-8000-0000000010cd'') ->> ''name'')',
	'SELECT airun_append_message(''0acce550-0000-4000-8000-00000000bbbb'', ''{"role": "developer", "content": "x"}'')',
	'INSERT INTO ai_messages (run_id, message) VALUES (''0acce550-0000-4000-8000-00000000bbbb'', ''{"role": "developer", "content": "x"}'')']) s;
SELECT seq FROM airun_append_messages('0acce550-0000-4000-8000-00000000bbbb', '[{"role": "system", "content": "hidden"}, {"role": "user", "content": "seen"}]');
SELECT jsonb_path_query_array(airun_messages('0acce550-0000-4000-8000-00000000bbbb')::jsonb, '$[*].content');
SELECT jsonb_path_query_array(messages, '$[*].content') FROM ai_runs WHERE id = '0acce550-0000-4000-8000-00000000bbbb';
SELECT seq FROM ai_messages WHERE run_id = '0acce550-0000-4000-8000-00000000bbbb' ORDER BY seq;
SELECT (airun_create_task('0acce550-0000-4000-8000-00000000bbbb', '0acce550-0000-4000-8000-0000000010ce', service => 'locked')).service;
SELECT access_test.answer(s) FROM unnest(ARRAY[
	'SELECT airun_complete_task(''0acce550-0000-4000-8000-0000000010ce'')',
	'SELECT airun_cancel_task(''0acce550-0000-4000-8000-0000000010ce'', run_id => ''0acce550-0000-4000-8000-00000000bbbb'')',
	'SELECT airun_finish_turn(''0acce550-0000-4000-8000-0000000010ce'', response_text => ''x'')',
	'UPDATE airun.tasks SET status = ''completed'' WHERE task_id = ''0acce550-0000-4000-8000-0000000010ce''',
	'UPDATE ai_tasks SET status = ''completed'' WHERE task_id = ''0acce550-0000-4000-8000-0000000010ce''']) s;
RESET ROLE;
SELECT * FROM airun_check();
DROP POLICY site_limit ON airun.runs;
DROP POLICY site_limit_insert ON airun.runs;
DROP POLICY site_limit ON airun.messages;
DROP POLICY site_limit_insert ON airun.messages;
DROP POLICY site_limit ON airun.tasks;
-- a share that is withdrawn is gone at once, in the same transaction, for saved expressions, too
SET ROLE regress_airun_user;
BEGIN;
SELECT access_test.sees('0acce550-0000-4000-8000-00000000aaaa'), count(*) FROM airun.messages WHERE run_id = '0acce550-0000-4000-8000-00000000aaaa';
SET LOCAL site.team = 'blue';
SELECT access_test.sees('0acce550-0000-4000-8000-00000000aaaa'), count(*) FROM airun.messages WHERE run_id = '0acce550-0000-4000-8000-00000000aaaa';
SET LOCAL site.team = 'red';
SELECT access_test.sees('0acce550-0000-4000-8000-00000000aaaa'), count(*) FROM airun.messages WHERE run_id = '0acce550-0000-4000-8000-00000000aaaa';
COMMIT;
RESET ROLE;
DROP POLICY site_members ON airun.runs;
ALTER TABLE airun.runs DROP COLUMN team;
ALTER TABLE airun.messages DROP COLUMN note;
ALTER TABLE airun.tasks DROP COLUMN note;
SET ROLE regress_airun_user;
SELECT name FROM airun_list_runs() ORDER BY name;
SELECT seq FROM airun_append_message('0acce550-0000-4000-8000-00000000bbbb', '{"role": "user", "content": "after all"}');
RESET ROLE;

-- clean up
RESET site.team;
SELECT access_test.be('nobody at all');
SELECT * FROM airun_check();
DELETE FROM airun.runs WHERE user_id IN (:'ann', :'bob') OR id = '0acce550-0000-4000-8000-000000000000';
DROP SCHEMA access_test CASCADE;
DROP OWNED BY regress_airun_user, regress_airun_service, regress_airun_stranger;
DROP ROLE regress_airun_user, regress_airun_service, regress_airun_stranger;
\pset format aligned
\pset tuples_only off
SELECT * FROM airun_check();
