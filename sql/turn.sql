--
-- Turns: start and finish, each in one step, each to be repeated.
-- (Two that race for the same turn are tested in test/.)
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA turn_test;
SET search_path = turn_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8005';
SET client_encoding = 'UTF8';
SET airun.user_id = 'turn test';
SET airun.trust_client_cost = on;
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- a turn in short: its run's counters, its messages, its task
CREATE FUNCTION short(turn json) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s messages, %s tasks, %s; [%s]; %s', turn #>> '{run,message_count}', turn #>> '{run,task_count}', turn #>> '{run,status}',
		(SELECT string_agg(concat_ws(' ', m ->> 'seq', m ->> 'role', m ->> 'message_id'), ', ' ORDER BY i)
		FROM json_array_elements(turn -> 'messages') WITH ORDINALITY e (m, i)), turn #>> '{task,status}')
$$;
-- a call and the same again: that it changes nothing, and gives the same
CREATE FUNCTION twice(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	first json;
	second json;
	before text;
BEGIN
	EXECUTE 'SELECT ' || call INTO first;
	before := store();
	EXECUTE 'SELECT ' || call INTO second;
	RETURN short(first) || CASE WHEN first::text IS DISTINCT FROM second::text THEN E'\n  AGAIN: ' || short(second) ELSE '' END
		|| CASE WHEN store() <> before THEN E'\n  AGAIN CHANGED THE STORE' ELSE '' END;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END$$;
-- a run's conversation in short
CREATE FUNCTION shown(run uuid) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s: %s', r.status, string_agg(concat_ws(' ', m.seq, m.message ->> 'role', m.message ->> 'content',
		CASE WHEN m.message ? 'tool_calls' THEN 'calls' END, right(m.task_id::text, 2)), ', ' ORDER BY m.seq))
		|| coalesce((SELECT ' WRONG: ' || string_agg(c.problem, ', ') FROM airun_check(run) c), '')
	FROM airun.runs r LEFT JOIN airun.messages m ON m.run_id = r.id WHERE r.id = run GROUP BY r.id
$$;

--
-- The first turn creates its run
--
SELECT twice(format('airun_start_turn(messages => %L, task_id => %L, model_id => ''m'', run => %L)',
	'{"role": "user", "content": "What is the weather? Please."}', task_id(1), '{"source_type": "prompt"}'));
-- the run's id follows from the task's and the user's (of version 8, with the user's bucket), so that a repeated call finds it
SELECT id = '046beef7-f44f-8ea3-9583-a3af336df439', name, source_type, user_id = airun_user_id()
FROM airun.runs WHERE id = (SELECT run_id FROM airun.tasks WHERE task_id = task_id(1));
SELECT run_id AS first_run FROM airun.tasks WHERE task_id = task_id(1) \gset
-- by the task alone, or with all that it had; what is said about the run does not matter then
SELECT short(airun_start_turn(task_id => task_id(1)));
SELECT short(airun_start_turn(:'first_run', task_id => task_id(1)));
SELECT short(airun_start_turn(messages => '[{"role": "user", "content": "What is the weather? Please."}]', task_id => task_id(1), run => '{"name": "other"}'));
-- but with other messages it is another turn
SELECT attempt(format('SELECT airun_start_turn(messages => %L, task_id => %L, run => ''{}'')', m, task_id(1))) FROM unnest(ARRAY[
	'{"role": "user", "content": "other"}', '[{"role": "user", "content": "What is the weather? Please."}, {"role": "user", "content": "And now?"}]',
	'{"role": "user", "content": "What is the weather? Please.", "id": "m1"}']) m;
SELECT hint_of(format('SELECT airun_start_turn(messages => %L, task_id => %L)', '{"role": "user", "content": "other"}', task_id(1)));
SELECT twice(format('airun_finish_turn(%L, ''{"role": "assistant", "content": "Sunny."}'', usage => ''{"n": 9}'', tokens_input => 4, tokens_output => 5, cost => 0.5)', task_id(1)));
SELECT short(airun_finish_turn(task_id(1), response_text => 'Sunny.'));
SELECT short(airun_finish_turn(task_id(1), '{"role": "assistant", "content": "Sunny."}', run_id => :'first_run'));
SELECT short(airun_start_turn(task_id => task_id(1)));
-- from what was said then
SELECT attempt(format('SELECT airun_finish_turn(%L, ''{"role": "assistant", "content": "Rainy."}'')', task_id(1)));
SELECT attempt(format('SELECT airun_finish_turn(%L, response_text => ''Rainy.'')', task_id(1)));
SELECT attempt(format('SELECT airun_finish_turn(%L, response_text => ''Sunny.'', tokens_output => 6)', task_id(1)));
SELECT shown(:'first_run'), total_tokens, total_cost FROM airun.runs WHERE id = :'first_run';
-- an id that begins with a time gives one with the same time
SELECT right(run_id::text, 26) <> right(task_id::text, 26) AS another, left(run_id::text, 15) = '01900000-0000-8' AS time, substr(run_id::text, 20, 1) IN ('8', '9', 'a', 'b') AS variant
FROM json_to_record(airun_start_turn(task_id => '01900000-0000-7000-8000-000000000005', run => '{}') -> 'task') t (run_id uuid, task_id uuid);
-- without any id, each call is a turn and a run of its own
SELECT count(DISTINCT airun_start_turn(run => '{"name": "no ids"}') #>> '{run,id}') FROM generate_series(1, 3);

--
-- What is returned
--
SELECT 'turn', string_agg(k, ' ') FROM json_object_keys(airun_start_turn(task_id => task_id(1))) k
UNION ALL SELECT 'message', string_agg(k, ' ') FROM json_object_keys(airun_start_turn(task_id => task_id(1)) #> '{messages,0}') k
UNION ALL SELECT 'run', string_agg(k, ' ') FROM json_object_keys(airun_start_turn(task_id => task_id(1)) -> 'run') k
UNION ALL SELECT 'task', string_agg(k, ' ') FROM json_object_keys(airun_finish_turn(task_id(1), response_text => 'Sunny.') -> 'task') k
UNION ALL SELECT 'answer', string_agg(k, ' ') FROM json_object_keys(airun_finish_turn(task_id(1), response_text => 'Sunny.') #> '{messages,0}') k;
SELECT j ->> 'run' = to_json(s)::text AS run, j -> 'messages' -> 0 ->> 'seq' = '1' AS seq,
	(j #>> '{messages,0,created_at}')::timestamptz = m.created_at AS created_at, j #>> '{messages,0,task_id}' = m.task_id::text AS task_id,
	j #>> '{task,run_id}' = s.id::text AS run_id, (j -> 'task')::jsonb = (SELECT to_jsonb(t) FROM airun_create_task(s.id, task_id(1)) t) AS task
FROM airun_start_turn(task_id => task_id(1)) j, ai_run_summaries s, ai_messages m
WHERE s.id = :'first_run' AND m.run_id = s.id AND m.seq = 1;
SELECT (j #>> '{messages,0,created_at}')::timestamptz = m.created_at
FROM airun_start_turn(task_id => task_id(1)) j, ai_messages m WHERE m.run_id = :'first_run' AND m.seq = 1;

--
-- An agent that calls tools: several tasks for one question
--
SELECT count(airun_create_run(id => run_id(n), name => 'run ' || n)) FROM generate_series(1, 30) n;
SELECT count(airun_append_message(run_id(1), '{"role": "system", "content": "S"}'));
SELECT twice(format('airun_start_turn(%L, %L, %L)', run_id(1), '{"role": "user", "content": "Q", "id": "q1"}', task_id(11)));
SELECT twice(format('airun_finish_turn(%L, %L, tokens_total => 10)', task_id(11),
	'{"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}, {"id": "c2"}]}'));
SELECT twice(format('airun_start_turn(%L, %L, %L)', run_id(1), '[{"role": "tool", "tool_call_id": "c1", "content": "T1"}, {"role": "tool", "tool_call_id": "c2", "content": "T2", "id": "t2"}]', task_id(12)));
SELECT twice(format('airun_finish_turn(%L, %L, tokens_total => 20)', task_id(12), '{"role": "assistant", "tool_calls": [{"id": "c3"}], "id": "a2"}'));
SELECT twice(format('airun_start_turn(%L, %L, %L)', run_id(1), '{"role": "tool", "tool_call_id": "c3", "content": "T3"}', task_id(13)));
SELECT twice(format('airun_finish_turn(%L, %L, tokens_total => 30)', task_id(13), '{"role": "assistant", "content": "A"}'));
SELECT shown(run_id(1));
SELECT total_tokens, task_count, message_count FROM airun.runs WHERE id = run_id(1);
SELECT task_id, t.status, t.inputs_from, t.inputs_to, t.answer_seq, v.response_text
FROM airun.tasks t JOIN ai_tasks v USING (task_id) WHERE t.run_id = run_id(1) ORDER BY t.created_at;
-- the early ones, repeated late
SELECT short(airun_start_turn(task_id => task_id(n))) FROM generate_series(11, 13) n;
SELECT short(airun_finish_turn(task_id(12), '{"role": "assistant", "tool_calls": [{"id": "c3"}], "id": "a2"}'));

--
-- Regenerate: another answer without a new message
--
SELECT twice(format('airun_start_turn(%L, NULL, %L)', run_id(1), task_id(14)));
SELECT twice(format('airun_finish_turn(%L, response_text => ''A again'')', task_id(14)));
SELECT twice(format('airun_start_turn(%L, ''[]'', %L)', run_id(1), task_id(15)));
-- with the message sent again under its id; it stays where it is
SELECT twice(format('airun_start_turn(%L, %L, %L)', run_id(1), '{"role": "user", "content": "Q", "id": "q1"}', task_id(16)));
SELECT twice(format('airun_start_turn(%L, %L, %L)', run_id(1), '[{"role": "user", "content": "Q", "id": "q1"}, {"role": "user", "content": "Q2", "id": "q2"}]', task_id(17)));
SELECT shown(run_id(1));

--
-- Messages: an object, an array, none
--
SELECT m, twice(format('airun_start_turn(%L, %L, %L)', run_id(2), m, task_id(20 + i::int))) FROM unnest(ARRAY[NULL, '[]', '{"role": "user", "content": "1"}',
	'[{"role": "user", "content": "2"}]', '[{"role": "user", "content": "3"}, {"role": "user", "content": "4", "parts": []}]']) WITH ORDINALITY u (m, i) ORDER BY i;
SELECT shown(run_id(2));

--
-- run => what airun_create_run takes
--
SELECT twice(format('airun_start_turn(messages => %L, task_id => %L, run => %L)', '{"role": "user", "content": "x"}', task_id(30), format(
	'{"id": "%s", "source_type": "action", "source_id": "%s", "name": "N", "description": "D", "settings": {"s": 1}, "variable_values": {"v": [1]}, "tags": ["a", "b c"], "metadata": {"m": null}, "user_id": null, "is_listed": false}',
	run_id(31), run_id(9))));
SELECT source_type, source_id, name, description, settings, variable_values, tags, metadata FROM ai_runs WHERE id = run_id(31);
-- null is absent
SELECT twice(format('airun_start_turn(task_id => %L, run => %L)', task_id(31), format(
	'{"id": "%s", "source_type": null, "source_id": null, "name": null, "description": null, "settings": null, "variable_values": null, "tags": null, "metadata": null, "user_id": null}', run_id(32))));
SELECT source_type, source_id, name, description, settings, variable_values, tags, metadata FROM ai_runs WHERE id = run_id(32);
-- the id in run, as run_id, or in both; the run may be there already, and then stays as it is
SELECT twice(format('airun_start_turn(%L, task_id => %L, run => %L)', run_id(33), task_id(32), '{"name": "new"}'));
SELECT twice(format('airun_start_turn(%L, task_id => %L, run => %L)', run_id(33), task_id(33), '{"name": "other"}'));
SELECT twice(format('airun_start_turn(task_id => %L, run => %L)', task_id(34), format('{"id": "%s", "name": "other"}', run_id(33))));
SELECT twice(format('airun_start_turn(%L, task_id => %L, run => %L)', run_id(33), task_id(35), format('{"id": "%s"}', run_id(33))));
SELECT name, task_count FROM airun.runs WHERE id = run_id(33);
SELECT store() AS before \gset
SELECT r, attempt(format('SELECT airun_start_turn(task_id => %L, run => %L)', task_id(39), r)) FROM unnest(ARRAY[
	'[]', '"x"', '1', 'null', '{"nam": "x"}', '{"name": 1}', '{"name": {}}', '{"source_type": 5}', '{"source_type": ""}', '{"description": []}',
	'{"source_id": "x"}', '{"source_id": 1}', '{"id": ""}', '{"id": "00000000-0000-4000-8005-00000000000"}', '{"id": {}}', '{"user_id": true}', '{"is_listed": "false"}',
	'{"settings": 1}', '{"settings": []}', '{"variable_values": "x"}', '{"metadata": [1]}', '{"tags": "x"}', '{"tags": {"a": 1}}', '{"tags": [1]}',
	'{"tags": [null]}', '{"tags": [["a"]]}', '{"status": "completed"}', '{"message_count": 5}', '{"name": "x", "more": 1}', '{"": 1}']) WITH ORDINALITY u (r, i)
ORDER BY i;
SELECT attempt(format('SELECT airun_start_turn(task_id => %L, run => %L)', task_id(39), jsonb_build_object('name', repeat('x', 501))));
SELECT hint_of(format('SELECT airun_start_turn(task_id => %L, run => ''{"nam": 1}'')', task_id(39)));
SELECT attempt(format('SELECT airun_start_turn(%L, task_id => %L, run => ''{"id": "%s"}'')', run_id(33), task_id(39), run_id(34)));
SELECT hint_of(format('SELECT airun_start_turn(%L, task_id => %L, run => ''{"id": "%s"}'')', run_id(33), task_id(39), run_id(34)));
SELECT attempt('SELECT airun_start_turn()');
SELECT attempt(format('SELECT airun_start_turn(task_id => %L)', task_id(39)));
SELECT hint_of(format('SELECT airun_start_turn(task_id => %L)', task_id(39)));
SELECT attempt(format('SELECT airun_start_turn(%L)', run_id(99)));
-- a task of one run, for another
SELECT attempt(format('SELECT airun_start_turn(%L, task_id => %L)', run_id(2), task_id(11)));
SELECT attempt(format('SELECT short(airun_start_turn(task_id => %L, run => ''{"id": "%s"}''))', task_id(11), run_id(99)));
SELECT attempt(format('SELECT airun_start_turn(%L, task_id => %L, run => ''{}'')', run_id(99), task_id(11)));
SELECT store() = :'before' AS unchanged;
-- somebody else's run, and a deleted one
BEGIN;
SELECT airun_delete_run(run_id(33));
SELECT attempt(format('SELECT airun_start_turn(task_id => %L, run => ''{"id": "%s"}'')', task_id(39), run_id(33)));
SELECT attempt(format('SELECT airun_start_turn(%L, task_id => %L)', run_id(33), task_id(39)));
SELECT attempt(format('SELECT airun_start_turn(task_id => %L)', task_id(33)));
ROLLBACK;
CREATE ROLE regress_airun_turn;
SELECT airun_grant('regress_airun_turn');
GRANT USAGE ON SCHEMA turn_test TO regress_airun_turn;
SET ROLE regress_airun_turn;
SET airun.user_id = 'somebody else';
SELECT attempt(format('SELECT airun_start_turn(task_id => %L, run => ''{"id": "%s"}'')', task_id(39), run_id(33)));
SELECT attempt(format('SELECT airun_start_turn(%L, task_id => %L, run => ''{}'')', run_id(33), task_id(39)));
SELECT attempt(format('SELECT airun_start_turn(%L, task_id => %L)', run_id(33), task_id(39)));
SELECT attempt(format('SELECT airun_finish_turn(%L, response_text => ''x'')', task_id(32)));
SELECT attempt(format('SELECT airun_start_turn(run => ''{"user_id": "%s"}'')', airun_user_uuid('turn test')));
RESET ROLE;
SET airun.user_id = 'turn test';
DROP OWNED BY regress_airun_turn;
DROP ROLE regress_airun_turn;
SELECT store() = :'before' AS unchanged;

--
-- What a turn is finished with
--
SELECT count(airun_start_turn(run_id(3), task_id => task_id(n))) FROM generate_series(40, 55) n;
-- and what was stored as the message and as the task's text
CREATE FUNCTION finished(n int, arguments text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text := twice(format('airun_finish_turn(%L%s)', task_id(n), arguments));
BEGIN
	RETURN answer || coalesce((SELECT E'\n  ' || concat_ws(' | ', (m.message - 'timestamp')::text, 'text: ' || v.response_text)
		FROM airun.tasks t JOIN ai_tasks v USING (run_id, task_id) JOIN airun.messages m ON m.run_id = t.run_id AND m.seq = t.answer_seq WHERE t.task_id = task_id(n)), '');
END$$;
SELECT finished(40, ', ''{"role": "assistant", "content": "text"}''');
SELECT finished(41, ', ''{"role": "assistant", "content": [{"type": "text", "text": "par"}, {"type": "text", "text": "ts"}], "metadata": {"x": 1}}''');
SELECT finished(42, ', ''{"role": "assistant", "parts": [{"type": "reasoning", "text": "hm "}, {"type": "text", "text": "so"}]}''');
SELECT finished(43, ', ''{"role": "assistant", "content": null, "tool_calls": [{"id": "c"}]}''');
SELECT finished(44, ', response_text => ''from the "text"''');
SELECT finished(45, ', ''{"role": "assistant", "content": "shown"}'', response_text => ''raw''');
SELECT finished(46, ', ''{"role": "assistant", "content": "x", "id": "a46", "timestamp": "then"}''');
SELECT finished(47, ', response_text => ''''');
-- from the text that was streamed
SELECT count(airun_update_task(task_id(48), 'streamed ')), count(airun_update_task(task_id(48), 'streamed text'));
SELECT finished(48, '');
SELECT count(airun_update_task(task_id(49), 'streamed'));
SELECT finished(49, ', ''{"role": "assistant", "content": "in full"}''');
SELECT count(airun_update_task(task_id(50), 'streamed'));
SELECT finished(50, ', ''{"role": "assistant", "tool_calls": []}''');
-- with nothing
SELECT finished(51, '');
SELECT hint_of(format('SELECT airun_finish_turn(%L)', task_id(51)));
SELECT finished(51, ', usage => ''{}''');
-- after airun_complete_task: the message comes after all, once
SELECT status FROM airun_complete_task(task_id(52), 'done', tokens_total => 5);
SELECT finished(52, '');
SELECT status FROM airun_complete_task(task_id(53));
SELECT finished(53, '');
SELECT finished(53, ', ''{"role": "assistant", "tool_calls": [{"id": "c"}]}''');
SELECT status FROM airun_complete_task(task_id(54), 'one text');
SELECT finished(54, ', ''{"role": "assistant", "content": "another text"}''');
-- and not after any other end
SELECT status FROM airun_fail_task(task_id(55)); SELECT finished(55, ', response_text => ''x''');
SELECT status FROM airun_cancel_task(task_id(51)); SELECT finished(51, ', response_text => ''x''');
SELECT shown(run_id(3));
-- a message that the client has appended already, under its id
SELECT count(airun_start_turn(run_id(4), '{"role": "user", "content": "Q"}', task_id(n))) FROM generate_series(60, 61) n;
SELECT (airun_append_message(run_id(4), '{"role": "assistant", "content": "A", "id": "a1"}')).seq;
SELECT finished(60, ', ''{"role": "assistant", "content": "A", "id": "a1"}''');
-- one that goes on under that id takes its place, and is the answer
SELECT finished(61, ', ''{"role": "assistant", "content": "B", "id": "a1"}''');
SELECT finished(61, ', ''{"role": "assistant", "content": "B", "id": "a2"}''');
SELECT shown(run_id(4));
-- a turn in a completed run may end, but none may begin
SELECT count(airun_start_turn(run_id(5), '{"role": "user", "content": "Q"}', task_id(n))) FROM generate_series(65, 66) n;
SELECT status FROM airun_set_run_status(run_id(5), 'completed');
SELECT finished(65, ', response_text => ''A''');
SELECT short(airun_start_turn(task_id => task_id(66)));
SELECT attempt(format('SELECT airun_start_turn(%L, NULL, %L)', run_id(5), task_id(67)));
SELECT shown(run_id(5));

--
-- All of it or nothing
--
SELECT count(airun_start_turn(run_id(6), '{"role": "user", "content": "Q", "id": "q1"}', task_id(n))) FROM generate_series(70, 70) n;
SELECT store() AS before \gset
SELECT i, attempt(format('SELECT airun_start_turn(%s)', format(a, run_id(6), task_id(71)))) FROM (VALUES
	(1, '%L, ''[{"role": "user", "content": "x"}, {"role": "user"}]'', %L'),
	(2, '%L, ''[{"role": "user", "content": "x"}, {"role": "user", "content": "not Q", "id": "q1"}]'', %L'),
	(3, '%L, ''[{"role": "user", "content": "x", "id": "i"}, {"role": "user", "content": "x", "id": "i"}]'', %L'),
	(4, '%L, ''{"role": "user", "content": "x"}'', %L, metadata => ''[]'''),
	(5, '%L, ''{"role": "user", "content": "x"}'', %L, model_id => repeat(''x'', 201)'),
	(6, 'NULL, ''{"role": "nobody", "content": "x"}'', %2$L, run => ''{"name": "new"}'''),
	(7, 'NULL, ''[{"role": "user", "content": "x", "id": "i"}, {"role": "user", "content": "y", "id": "i"}]'', %2$L, run => ''{"name": "new"}'''),
	(8, 'NULL, ''"text"'', %2$L, run => ''{"name": "new"}'''),
	(9, 'NULL, ''{"role": "user", "content": "x"}'', %2$L, run => ''{"name": "new", "tags": [1]}''')) v (i, a) ORDER BY i;
SELECT i, attempt(format('SELECT airun_finish_turn(%L, %s)', task_id(70), a)) FROM (VALUES
	(1, '''{"role": "user"}'''), (2, '''{"role": "assistant", "content": 1}'''), (3, '''[{"role": "assistant", "content": "x"}]'''), (4, '''"x"'''),
	(9, '''{"role": "assistant", "content": "x", "id": "q1"}'''),
	(11, '''{"role": "assistant", "content": "x"}'', run_id => run_id(7)'), (12, '''{"role": "assistant", "content": "x"}'', finish_reason => repeat(''x'', 201)'),
	(13, '''null'''), (14, '''{}''')) v (i, a) ORDER BY i;
SELECT store() = :'before' AS unchanged;
-- a failure behind it, in the same transaction, takes it back
DO $$
BEGIN
	PERFORM airun_start_turn(messages => '{"role": "user", "content": "x"}', task_id => task_id(72), run => '{"name": "new"}');
	PERFORM airun_finish_turn(task_id(72), response_text => 'x', tokens_total => 5);
	RAISE EXCEPTION 'no';
EXCEPTION WHEN raise_exception THEN
	NULL;
END$$;
SELECT store() = :'before' AS unchanged;

DELETE FROM airun.runs WHERE user_id = airun_user_id();
SELECT count(*) FROM airun.tasks WHERE user_id = airun_user_id();
SELECT * FROM airun_check();
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA turn_test CASCADE;
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET client_min_messages;
