--
-- Messages that are saved again or taken back, and what was there before; and
-- which messages are accepted.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA save_test;
GRANT USAGE ON SCHEMA save_test TO PUBLIC;
SET search_path = save_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8041';
SET client_encoding = 'UTF8';
SET airun.user_id = 'save test';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- a run's messages, then its versions, in short; and whether all is right
CREATE FUNCTION shown(n int) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s %s: %s | %s', r.status, r.message_count,
		coalesce((SELECT string_agg(concat_ws('.', m.seq, m.message_id, airun_message_text(m.message)), ' ' ORDER BY m.seq)
			FROM airun.messages m WHERE m.run_id = r.id), 'none'),
		coalesce((SELECT string_agg(format('%s/%s %s %s', concat_ws('.', v.seq, v.message_id), v.version, v.action,
			airun_message_text(v.message)), ', ' ORDER BY v.seq, v.version) FROM airun.message_versions v WHERE v.run_id = r.id), 'none'))
		|| coalesce((SELECT ' WRONG: ' || string_agg(c.problem, ', ') FROM airun_check(r.id) c), '')
	FROM airun.runs r WHERE r.id = run_id(n)
$$;
SELECT count(airun_create_run(id => run_id(n), name => 'run ' || n)) FROM generate_series(1, 60) n;

--
-- Saving: stores, and then replaces at its place
--
SELECT seq, message_id, role, message ->> 'content' FROM airun_save_message(run_id(1), say('one'), 'm1');
SELECT seq, message_id, role, message ->> 'content' FROM airun_save_message(run_id(1), say('two', 'assistant') || '{"id": "m2"}');
SELECT seq FROM airun_append_message(run_id(1), say('three'));
SELECT last_message_at AS last, updated_at AS updated FROM airun.runs WHERE id = run_id(1) \gset
SELECT created_at AS created FROM ai_messages WHERE run_id = run_id(1) AND seq = 2 \gset
SELECT seq, message_id, role, message ->> 'content', created_at = :'created' AS same_time,
	(message ->> 'timestamp')::timestamptz = date_trunc('milliseconds', created_at) AS same_timestamp
FROM airun_save_message(run_id(1), say('two, and more', 'assistant'), 'm2');
SELECT last_message_at = :'last' AS last_stands, updated_at > :'updated' AS is_updated, message_count FROM airun.runs WHERE id = run_id(1);
SELECT shown(1);
-- who, when and what
SELECT seq, version, message_id, task_id, role, message - 'timestamp', created_at = :'created', action,
	replaced_at BETWEEN created_at AND clock_timestamp(), replaced_by = airun_user_id()
FROM airun_message_versions(run_id(1), message_id => 'm2');
-- the same again changes nothing, its timestamp aside
SELECT xmin AS run_row FROM airun.runs WHERE id = run_id(1) \gset
SELECT seq, message ->> 'content' FROM airun_save_message(run_id(1), say('two, and more', 'assistant'), 'm2');
SELECT seq, message ->> 'timestamp' = 'later' FROM airun_save_message(run_id(1), say('two, and more', 'assistant') || '{"timestamp": "later"}', 'm2');
SELECT shown(1), xmin = :'run_row' FROM airun.runs WHERE id = run_id(1);
-- a timestamp of the client's stays until another one comes
SELECT message ->> 'timestamp' FROM airun_save_message(run_id(2), say('a') || '{"timestamp": "his"}', 'm');
SELECT message ->> 'timestamp' FROM airun_save_message(run_id(2), say('b'), 'm');
SELECT message ->> 'timestamp' FROM airun_save_message(run_id(2), say('c') || '{"timestamp": 17}', 'm');
SELECT shown(2);
-- airun_append_message() refuses it still, and says what to call
SELECT attempt(format('SELECT airun_append_message(%L, say(''other''), ''m2'')', run_id(1)), true);
SELECT seq FROM airun_append_message(run_id(1), say('two, and more', 'assistant'), 'm2');
-- an assistant's message that goes on by a tool's result
SELECT seq FROM airun_save_message(run_id(3), '{"id": "msg", "role": "assistant", "parts": [{"type": "tool-getLocation", "toolCallId": "c1",
	"state": "input-available", "input": {}}]}');
SELECT seq, airun_message_text(message) FROM airun_save_message(run_id(3), '{"id": "msg", "role": "assistant", "parts": [{"type": "tool-getLocation",
	"toolCallId": "c1", "state": "output-available", "input": {}, "output": "Berlin"}, {"type": "text", "text": "You are in Berlin."}]}');
SELECT version, message -> 'parts' -> 0 ->> 'state' FROM airun_message_versions(run_id(3));
-- a task that is stated is the message's from then on
SELECT count(airun_create_task(run_id(3), run_id(1000 + n))) FROM generate_series(1, 2) n;
SELECT seq, task_id = run_id(1001) FROM airun_save_message(run_id(3), say('x'), 'of a task', run_id(1001));
SELECT seq, task_id = run_id(1001) FROM airun_save_message(run_id(3), say('x'), 'of a task');
SELECT seq, task_id = run_id(1002) FROM airun_save_message(run_id(3), say('x'), 'of a task', run_id(1002));
SELECT seq, task_id = run_id(1002) FROM airun_save_message(run_id(3), say('y'), 'of a task');
SELECT version, task_id = run_id(1001), message ->> 'content' FROM airun_message_versions(run_id(3), 2);
SELECT shown(3);

--
-- Several at once: an upsert of the whole list
--
SELECT seq, message_id, message ->> 'content' FROM airun_save_messages(run_id(4), '[{"id": "a", "role": "user", "content": "1"}, {"id": "b", "role": "user", "content": "2"}]');
SELECT seq, message_id, message ->> 'content' FROM airun_save_messages(run_id(4),
	'[{"id": "a", "role": "user", "content": "1"}, {"id": "b", "role": "user", "content": "2, more"}, {"id": "c", "role": "user", "content": "3"}]');
SELECT count(*) FROM airun_save_messages(run_id(4), '[]');
SELECT shown(4);
SELECT attempt(format('SELECT airun_save_messages(%L, %L)', run_id(4), m)) FROM unnest(ARRAY[
	'[{"id": "a", "role": "user", "content": "x"}, {"id": "a", "role": "user", "content": "y"}]',
	'[{"id": "a", "role": "user", "content": "x"}, {"role": "user", "content": "y"}]',
	'[{"id": "a", "role": "user", "content": "x"}, {"id": "d", "role": "user"}]', '5']) m;
SELECT shown(4);

--
-- What is refused changes nothing
--
SELECT attempt(format('SELECT airun_save_message(%s)', a), true) FROM (VALUES
	(1, 'NULL, say(''x''), ''m'''), (2, 'run_id(1), NULL, ''m'''), (3, 'run_id(1), say(''x'')'), (4, 'run_id(1), say(''x''), '''''),
	(5, 'run_id(1), say(''x''), repeat(''x'', 201)'), (6, 'run_id(1), ''{"role": "user"}'', ''m1'''), (7, 'run_id(1), ''[]'', ''m1'''),
	(8, 'run_id(999), say(''x''), ''m1'''), (9, 'run_id(1), say(''x''), ''m1'', run_id(1001)'), (10, 'run_id(1), say(''x''), ''new'', run_id(1001)')) v (i, a)
ORDER BY i;
SELECT attempt(format('SELECT airun_save_messages(%s)', a)) FROM (VALUES (1, 'NULL, ''[]'''), (2, 'run_id(1), NULL'), (3, 'run_id(999), ''[]''')) v (i, a) ORDER BY i;
SELECT shown(1);
-- a run that is completed takes no new message, but what it has can be replaced
SELECT (airun_save_message(run_id(5), say('a'), 'a')).seq, (airun_set_run_status(run_id(5), 'completed')).status;
SELECT seq FROM airun_save_message(run_id(5), say('a, again'), 'a');
SELECT attempt(format('SELECT airun_save_message(%L, say(''b''), ''b'')', run_id(5)));
SELECT shown(5);
SELECT (airun_truncate_messages(run_id(5), 0)).status;
SELECT shown(5);
-- a failed one is as it was; a new message makes it active, as always
SELECT (airun_save_message(run_id(6), say('a'), 'a')).seq, (airun_set_run_status(run_id(6), 'error')).status;
SELECT seq FROM airun_save_message(run_id(6), say('a, again'), 'a');
SELECT shown(6);
SELECT seq FROM airun_save_message(run_id(6), say('b'), 'b');
SELECT shown(6);
-- a deleted one is not there
SELECT (airun_save_message(run_id(7), say('a'), 'a')).seq, airun_delete_run(run_id(7));
SELECT attempt(c) FROM unnest(ARRAY['SELECT airun_save_message(run_id(7), say(''b''), ''a'')', 'SELECT airun_truncate_messages(run_id(7), 0)',
	'SELECT airun_message_versions(run_id(7))', 'SELECT airun_message_versions(run_id(999))', 'SELECT airun_message_versions(NULL)']) c;
-- a rollback takes all of it back
BEGIN;
SELECT seq FROM airun_save_message(run_id(1), say('lost'), 'm1');
SELECT message_count FROM airun_truncate_messages(run_id(1), 1);
ROLLBACK;
SELECT shown(1);

--
-- ai_messages: an update of message is a save
--
UPDATE ai_messages SET message = say('one, by the view') WHERE run_id = run_id(1) AND message_id = 'm1'
RETURNING seq, message_id, role, message ->> 'content', message ? 'timestamp';
UPDATE ai_messages SET message = message || '{"role": "assistant"}' WHERE run_id = run_id(1) AND seq = 3 RETURNING seq, message_id, role;
-- as a client sends the whole row back
UPDATE ai_messages SET run_id = run_id, seq = seq, message_id = message_id, task_id = task_id, role = 'user', message = say('three, again'),
	created_at = created_at WHERE run_id = run_id(1) AND seq = 3 RETURNING seq, role;
UPDATE ai_messages SET message = message WHERE run_id = run_id(1);
UPDATE ai_messages SET task_id = run_id(1001) WHERE run_id = run_id(3) AND seq = 2 RETURNING task_id = run_id(1001), message ->> 'content';
SELECT shown(1);
SELECT attempt(format('UPDATE ai_messages SET %s WHERE run_id = run_id(1) AND seq = 1', s), i = 1) FROM (VALUES (1, 'seq = 2'), (2, 'run_id = run_id(2)'),
	(3, 'created_at = now()'), (4, 'message_id = ''other'''), (5, 'message_id = NULL'), (6, 'message = NULL'), (7, 'message = ''{}'''),
	(8, 'role = ''assistant'''), (9, 'message = say(''x''), role = ''assistant'''), (10, 'task_id = run_id(1001)')) v (i, s) ORDER BY i;
SELECT attempt('UPDATE ai_messages SET task_id = NULL WHERE run_id = run_id(3) AND seq = 2');
SELECT attempt('UPDATE ai_messages SET message = say(''x'') WHERE run_id = run_id(999)');
-- the storage itself is not changed past it
SELECT attempt('UPDATE airun.messages SET message = say(''x'') WHERE run_id = run_id(1) AND seq = 1', true);
SELECT shown(1);

--
-- ON CONFLICT with a target cannot work on a view with triggers; the functions do it in one call, as the view's comment says
--
SELECT attempt(format('INSERT INTO ai_messages (run_id, message_id, message) VALUES (run_id(1), ''m1'', say(''one, by the view'')) ON CONFLICT %s RETURNING seq', c))
FROM unnest(ARRAY['DO NOTHING', '(run_id, message_id) DO NOTHING', '(run_id, message_id) DO UPDATE SET message = EXCLUDED.message']) c;
SELECT obj_description('ai_messages'::regclass) ~ 'airun_save_messages\(\)';

--
-- Taking back: the last messages, by the function and by DELETE
--
SELECT count(airun_append_message(run_id(10), say(n::text), 'm' || n)) FROM generate_series(1, 8) n;
SELECT message_count, last_message_at = (SELECT created_at FROM ai_messages WHERE run_id = run_id(10) AND seq = 6) FROM airun_truncate_messages(run_id(10), 6);
SELECT message_count FROM airun_truncate_messages(run_id(10), 6);
SELECT message_count FROM airun_truncate_messages(run_id(10), 100);
DELETE FROM ai_messages WHERE run_id = run_id(10) AND seq > 4 RETURNING seq, message_id, role;
SELECT shown(10);
SELECT attempt(c, true) FROM unnest(ARRAY['DELETE FROM ai_messages WHERE run_id = run_id(10) AND seq IN (2, 4)',
	'DELETE FROM ai_messages WHERE run_id = run_id(10) AND seq = 3', 'SELECT airun_truncate_messages(run_id(10), -1)',
	'SELECT airun_truncate_messages(run_id(10), NULL)', 'SELECT airun_truncate_messages(NULL, 1)', 'SELECT airun_truncate_messages(run_id(999), 1)']) c;
-- seq goes on without a gap, and the same ids can be used again
SELECT seq FROM airun_append_messages(run_id(10), '[{"id": "m6", "role": "user", "content": "other"}, {"id": "m5", "role": "user", "content": "5"}]');
SELECT shown(10);
-- of one place, of one id
SELECT seq, version, message_id, message ->> 'content' FROM airun_message_versions(run_id(10), 7);
SELECT message_count FROM airun_truncate_messages(run_id(10), 4);
SELECT seq, version, message_id, message ->> 'content' FROM airun_message_versions(run_id(10), message_id => 'm6');
SELECT seq, version, message_id, message ->> 'content' FROM airun_message_versions(run_id(10), 5);
SELECT seq FROM airun_message_versions(run_id(10), 4, 'm6');
-- several runs, all of their messages
SELECT message_count, last_message_at = created_at, active_hour = date_trunc('hour', created_at) FROM airun_truncate_messages(run_id(10), 0);
DELETE FROM ai_messages WHERE run_id IN (run_id(2), run_id(6));
SELECT shown(10), shown(2), shown(6);

--
-- What tasks have said and sent reads as it was
--
-- a conversation whose requests refer to its messages
CREATE FUNCTION turn(run int, n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM airun_start_turn(run_id(run), jsonb_build_array(say('question ' || n || repeat(' and so on', 30)) || jsonb_build_object('id', 'q' || n)),
		run_id(run * 100 + n));
	-- the request as it is sent: what is there by now
	PERFORM airun_create_task(run_id(run), run_id(run * 100 + 50 + n), request_data => jsonb_build_object('model', 'm', 'messages',
		'[{"role": "system", "content": "Be kind."}]' || (SELECT jsonb_agg(m.message - 'timestamp' - 'id' ORDER BY m.seq) FROM ai_messages m WHERE m.run_id = run_id(run))));
	PERFORM airun_finish_turn(run_id(run * 100 + n), say('answer ' || n || repeat(' and so on', 30), 'assistant') || jsonb_build_object('id', 'a' || n));
END$$;
CREATE TABLE sent (run_id uuid, task_id uuid, request_data jsonb, response_text text);
SELECT count(turn(r, n)) FROM generate_series(20, 25) r, generate_series(1, 4) n;
INSERT INTO sent SELECT run_id, task_id, request_data, response_text FROM ai_tasks WHERE run_id BETWEEN run_id(20) AND run_id(25);
CREATE VIEW kept AS
	SELECT t.run_id, count(*) AS tasks, count(*) FILTER (WHERE t.request_data IS NOT DISTINCT FROM s.request_data) AS requests,
		count(*) FILTER (WHERE t.response_text IS NOT DISTINCT FROM s.response_text) AS texts,
		(SELECT count(*) FROM airun.tasks x WHERE x.run_id = t.run_id AND x.request_reference IS NOT NULL) AS referring,
		(SELECT count(*) FROM airun.tasks x WHERE x.run_id = t.run_id AND x.text_in_answer) AS in_answer
	FROM ai_tasks t JOIN sent s USING (run_id, task_id) GROUP BY t.run_id;
SELECT tasks, requests, texts, referring, in_answer FROM kept ORDER BY run_id LIMIT 1;
-- replaced: the first, one in the middle, an answer, the last, the same one twice, all of them
SELECT (airun_save_message(run_id(20), say('other'), 'q1')).seq;
SELECT (airun_save_message(run_id(21), say('other'), 'q3')).seq;
SELECT (airun_save_message(run_id(22), say('other', 'assistant'), 'a2')).seq;
SELECT count(airun_save_message(run_id(23), say('other ' || n, 'assistant'), 'a4')) FROM generate_series(1, 2) n;
SELECT count(airun_save_message(run_id(24), say('other'), c || n)) FROM generate_series(1, 4) n, unnest('{q,a}'::text[]) c;
UPDATE ai_messages SET message = say('other') WHERE run_id = run_id(25) AND message_id ~ '[34]';
SELECT right(run_id::text, 2), tasks, requests, texts, referring, in_answer FROM kept ORDER BY run_id;
SELECT right(t.run_id::text, 2), request_reference ->> 'at' AS at, request_reference ->> 'from' AS from, request_reference ->> 'count' AS count,
	jsonb_array_length(request_data -> 'messages') AS kept FROM airun.tasks t WHERE task_id IN (run_id(2054), run_id(2154), run_id(2254), run_id(2454)) ORDER BY 1;
SELECT * FROM airun_check() WHERE run_id BETWEEN run_id(20) AND run_id(25);
-- more is said beside the text: it stays where it is
SELECT (airun_save_message(run_id(22), m.message || '{"metadata": {"rating": 5}}', 'a3')).seq FROM ai_messages m WHERE m.run_id = run_id(22) AND m.message_id = 'a3';
SELECT texts, in_answer FROM kept WHERE run_id = run_id(22);
-- a message behind those that a request refers to is none of its business
SELECT request_reference AS reference FROM airun.tasks WHERE run_id = run_id(23) AND task_id = run_id(2353) \gset
SELECT (airun_save_message(run_id(23), say('other'), 'q4')).seq;
SELECT request_reference = :'reference' FROM airun.tasks WHERE run_id = run_id(23) AND task_id = run_id(2353);
-- taken back: some, and then all
SELECT (airun_truncate_messages(run_id(n), 5)).message_count FROM generate_series(20, 25) n;
SELECT right(run_id::text, 2), tasks, requests, texts, referring, in_answer FROM kept ORDER BY run_id;
SELECT t.task_id = run_id(2003), t.inputs_from, t.inputs_to, t.answer_seq, t.text_in_answer FROM airun.tasks t
WHERE t.run_id = run_id(20) AND t.task_id IN (run_id(2002), run_id(2003), run_id(2004)) ORDER BY t.task_id;
SELECT * FROM airun_check() WHERE run_id BETWEEN run_id(20) AND run_id(25);
-- what comes in their place is no answer of theirs
SELECT count(airun_append_message(run_id(20), say('in their place'))) FROM generate_series(1, 3);
SELECT texts FROM kept WHERE run_id = run_id(20);
-- the call that finished the turn comes again: it is known, and brings nothing back
SELECT t -> 'task' ->> 'status', t -> 'messages', t -> 'run' ->> 'message_count'
FROM airun_finish_turn(run_id(2003), say('answer 3' || repeat(' and so on', 30), 'assistant') || jsonb_build_object('id', 'a3')) t;
SELECT t -> 'messages' FROM airun_finish_turn(run_id(2003)) t;
SELECT attempt('SELECT airun_finish_turn(run_id(2003), response_text => ''another'')');
SELECT attempt('SELECT airun_finish_turn(run_id(2003), say(''another'', ''assistant''))'), attempt('SELECT airun_finish_turn(run_id(2003), say(''another'', ''assistant'') || ''{"id": "a3"}'')');
-- and the one that started it is another one by now
SELECT attempt('SELECT airun_start_turn(run_id(20), say(''question''), run_id(2003))');
SELECT t -> 'messages' -> 0 ->> 'message_id' FROM airun_start_turn(task_id => run_id(2003)) t;
-- an open task whose question is taken back brings its answer nevertheless
SELECT t -> 'run' ->> 'message_count' FROM airun_start_turn(run_id(30), say('question'), run_id(3001)) t;
SELECT message_count FROM airun_truncate_messages(run_id(30), 0);
SELECT t -> 'messages' -> 0 ->> 'seq' FROM airun_finish_turn(run_id(3001), response_text => 'answer') t;
SELECT inputs_from, inputs_to, answer_seq FROM airun.tasks WHERE run_id = run_id(30);
SELECT shown(30);
-- an answer that goes on under an id that the run has takes its place: what the first task has said stands
SELECT count(airun_create_task(run_id(32), run_id(3200 + n))) FROM generate_series(1, 4) n;
SELECT seq FROM airun_append_message(run_id(32), say('The weather?'), 'q');
SELECT t -> 'messages' -> 0 ->> 'seq' FROM airun_finish_turn(run_id(3201), say('Let me see.', 'assistant') || '{"id": "a"}') t;
SELECT t -> 'messages' -> 0 ->> 'seq', t -> 'run' ->> 'message_count' FROM airun_finish_turn(run_id(3202), say('Let me see. It rains.', 'assistant') || '{"id": "a"}') t;
SELECT seq FROM airun_save_message(run_id(32), say('Draft', 'assistant'), 'b', run_id(3203));
SELECT t -> 'messages' -> 0 ->> 'seq' FROM airun_finish_turn(run_id(3203), say('The answer', 'assistant') || '{"id": "b"}') t;
SELECT t.response_text, s.answer_seq, s.text_in_answer FROM ai_tasks t JOIN airun.tasks s USING (task_id) WHERE t.run_id = run_id(32) ORDER BY t.task_id;
SELECT attempt('SELECT airun_finish_turn(run_id(3204), say(''x'', ''assistant'') || ''{"id": "q"}'')');
SELECT shown(32);
-- the calls again find what stands there by now, or that it is another turn's
SELECT t -> 'messages' FROM airun_finish_turn(run_id(3201), say('Let me see.', 'assistant') || '{"id": "a"}') t;
SELECT t -> 'messages' -> 0 ->> 'seq' FROM airun_finish_turn(run_id(3202), say('Let me see. It rains.', 'assistant') || '{"id": "a"}') t;
SELECT seq FROM airun_save_message(run_id(32), say('The answer, edited', 'assistant'), 'b');
SELECT t -> 'messages' -> 0 ->> 'seq' FROM airun_finish_turn(run_id(3203), say('The answer', 'assistant') || '{"id": "b"}') t;
SELECT attempt('SELECT airun_finish_turn(run_id(3203), say(''Another'', ''assistant''))'),
	attempt('SELECT airun_finish_turn(run_id(3203), say(''The answer, edited'', ''assistant''), ''The answer'') -> ''messages'' -> 0 ->> ''seq''');
SELECT shown(32);
-- a task's text that is in a message saved as its answer
SELECT (airun_create_task(run_id(31), run_id(3101))).status, (airun_complete_task(run_id(3101), 'said')).status;
SELECT seq FROM airun_save_message(run_id(31), say('said', 'assistant'), 'a', run_id(3101));
SELECT text_in_answer, answer_seq FROM airun.tasks WHERE run_id = run_id(31);
SELECT seq FROM airun_save_message(run_id(31), say('', 'assistant') || '{"content": null, "tool_calls": []}', 'a', run_id(3101));
SELECT response_text FROM ai_tasks WHERE run_id = run_id(31);
SELECT total_tokens, task_count FROM airun.runs WHERE id = run_id(31);
SELECT shown(31);

--
-- Who may: two users, a reader of another's run, nobody
--
CREATE ROLE regress_airun_save;
SELECT airun_grant('regress_airun_save');
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA save_test TO regress_airun_save;
CREATE POLICY site_readers ON airun.runs FOR SELECT TO regress_airun_save USING (name = 'run 41');
SELECT count(airun_append_message(run_id(n), say(m), m)) FROM generate_series(40, 42) n, unnest('{a,b}'::text[]) m;
SET ROLE regress_airun_save;
SELECT seq FROM airun_save_message(run_id(40), say('mine'), 'a');
SELECT (airun_truncate_messages(run_id(40), 1)).message_count;
SELECT seq, version, action FROM airun_message_versions(run_id(40));
SELECT shown(40);
-- versions are read, and not written
SELECT attempt(c) FROM unnest(ARRAY['INSERT INTO airun.message_versions SELECT * FROM airun.message_versions', 'UPDATE airun.message_versions SET version = 7',
	'DELETE FROM airun.message_versions', 'TRUNCATE airun.message_versions', 'UPDATE airun.messages SET message = say(''x'') WHERE run_id = run_id(40)']) c;
SET airun.user_id = 'somebody else';
SELECT n, attempt(format(c, n)) FROM generate_series(40, 41) n, unnest(ARRAY['SELECT airun_save_message(run_id(%s), say(''his''), ''a'')',
	'SELECT airun_save_message(run_id(%s), say(''his''), ''new'')', 'SELECT airun_save_messages(run_id(%s), ''{"id": "a", "role": "user", "content": "his"}'')',
	'SELECT airun_truncate_messages(run_id(%s), 0)', 'SELECT count(*) FROM airun_message_versions(run_id(%s))',
	'UPDATE ai_messages SET message = say(''his'') WHERE run_id = run_id(%s)', 'DELETE FROM ai_messages WHERE run_id = run_id(%s)',
	'DELETE FROM airun.messages WHERE run_id = run_id(%s)', 'SELECT count(*) FROM airun.message_versions WHERE run_id = run_id(%s)']) c ORDER BY n;
SET airun.user_id = '';
SELECT attempt(c) FROM unnest(ARRAY['SELECT airun_save_message(run_id(40), say(''x''), ''a'')', 'SELECT airun_truncate_messages(run_id(40), 0)',
	'SELECT airun_message_versions(run_id(40))', 'UPDATE ai_messages SET message = say(''x'')', 'DELETE FROM ai_messages']) c;
RESET ROLE;
SET airun.user_id = 'save test';
SELECT shown(40), shown(41);
-- a site's policy on messages holds for what is put in their place, and for what is taken back
CREATE POLICY site_words ON airun.messages AS RESTRICTIVE TO regress_airun_save USING (true) WITH CHECK (message ->> 'content' <> 'a bad word');
CREATE POLICY site_hold ON airun.messages AS RESTRICTIVE FOR DELETE TO regress_airun_save USING (message_id <> 'b');
SET ROLE regress_airun_save;
SELECT attempt(c) FROM unnest(ARRAY['SELECT seq FROM airun_save_message(run_id(42), say(''a word''), ''a'')', 'SELECT airun_save_message(run_id(42), say(''a bad word''), ''a'')',
	'UPDATE ai_messages SET message = say(''a bad word'') WHERE run_id = run_id(42) AND seq = 1', 'SELECT airun_truncate_messages(run_id(42), 0)']) c;
RESET ROLE;
SELECT shown(42);
DROP POLICY site_words ON airun.messages;
DROP POLICY site_hold ON airun.messages;
DROP POLICY site_readers ON airun.runs;
DROP OWNED BY regress_airun_save;
DROP ROLE regress_airun_save;

--
-- Versions go with their run, and airun_check() knows them
--
SELECT count(*) > 0 FROM airun.message_versions WHERE run_id = run_id(42);
DELETE FROM airun.runs WHERE id = run_id(42);
SELECT count(*) FROM airun.message_versions WHERE run_id = run_id(42);
BEGIN;
UPDATE airun.message_versions SET message = '[]' WHERE run_id = run_id(1) AND seq = 1;
UPDATE airun.message_versions SET action = 'lost' WHERE run_id = run_id(1) AND seq = 2;
UPDATE airun.message_versions SET replaced_at = created_at - interval '1 day' WHERE run_id = run_id(2);
UPDATE airun.message_versions SET version = -version WHERE run_id = run_id(4);
SELECT right(run_id::text, 2), seq, problem, expected ~ 'not before' OR expected = 'from 1 on' OR found IN ('array', 'lost') FROM airun_check() ORDER BY 1, 2, problem;
ROLLBACK;
SET session_replication_role = replica;
UPDATE airun.tasks SET answer_seq = 7 WHERE run_id = run_id(30);
RESET session_replication_role;
SELECT problem, expected, found FROM airun_check(run_id(30));
DELETE FROM airun.runs WHERE id = run_id(30);

--
-- Which messages are accepted: without content beside anything that is said otherwise, and an answer that is empty
--
SELECT m, attempt(format('SELECT role FROM airun_append_message(run_id(50), %L)', m)) FROM unnest(ARRAY[
	'{"role": "assistant", "content": null, "reasoning_content": "Let me think"}', '{"role": "assistant", "reasoning": "Let me think"}',
	'{"role": "assistant", "content": null, "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}',
	'{"role": "assistant", "content": null, "refusal": null, "annotations": []}', '{"role": "assistant", "content": null}', '{"role": "assistant"}',
	'{"role": "model", "parts": null}', '{"role": "tool", "tool_call_id": "c1", "content": null}', '{"role": "assistant", "thinking": "Hm"}',
	'{"role": "user", "attachments": [{"url": "x"}]}', '{"role": "user", "parts": []}', '{"role": "critic", "content": []}']) m;
SELECT m, attempt(format('SELECT role FROM airun_append_message(run_id(50), %L)', m), true) FROM unnest(ARRAY[
	'{"role": "user"}', '{"role": "user", "content": null, "name": "x", "id": "y", "timestamp": "z"}', '{"role": "system", "tool_calls": null}',
	'{"role": "assistant", "content": 5}', '{"role": "assistant", "content": false}', '{"role": "nobody", "content": "x"}', '{"role": 5, "content": "x"}',
	'{}', '{"content": "x"}', '{"type": "", "content": "x"}', '{"type": 5}', '{"type": "text", "text": "x"}', '{"type": "message", "content": "x"}',
	'{"parts": null}', '{"parts": "x"}', '[]', '5', 'null', '"x"', '"{\"role\": \"user\"}"', '"{not JSON"', '"[]"']) m;
-- items without a role, kept as sent beside it
SELECT type, role, message - 'role' - 'timestamp' = item AS as_sent
FROM (SELECT jsonb_build_object('type', t, 'call_id', 'c', 'output', 'x') AS item, t AS type, i FROM unnest(ARRAY['reasoning', 'function_call', 'function_call_output',
	'custom_tool_call', 'custom_tool_call_output', 'computer_call', 'computer_call_output', 'local_shell_call', 'local_shell_call_output', 'shell_call',
	'shell_call_output', 'apply_patch_call', 'apply_patch_call_output', 'web_search_call', 'file_search_call', 'code_interpreter_call',
	'image_generation_call', 'mcp_call', 'mcp_list_tools', 'mcp_approval_request', 'mcp_approval_response', 'tool_search_call', 'tool_search_output',
	'program', 'program_output', 'compaction', 'compaction_trigger', 'additional_tools', 'item_reference', 'tool_use', 'tool_result', 'thinking',
	'server_tool_use', 'web_search_tool_result', 'user', 'assistant', 'system', 'human', 'ai', 'AIMessageChunk', 'what comes next year',
	'video_search_call_output']) WITH ORDINALITY u (t, i)) v,
	LATERAL airun_append_message(run_id(51), v.item) ORDER BY i;
SELECT role, message ->> 'role' FROM airun_append_message(run_id(51), '{"role": null, "type": "function_call_output", "output": "x"}');
SELECT role FROM airun_append_message(run_id(51), '{"parts": [{"text": "of Gemini"}]}');
-- what a model thinks is no text
SELECT airun_message_text(m) FROM unnest(ARRAY['{"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}', '{"type": "reasoning", "content": "hm"}',
	'{"role": "assistant", "content": [{"type": "reasoning_text", "text": "hm"}, {"type": "output_text", "text": "yes"}]}',
	'{"role": "model", "parts": [{"text": "hm", "thought": true}, {"text": "yes", "thought": false, "thoughtSignature": "s"}, {"text": " sir", "thought": "a tie"}]}',
	'{"role": "assistant", "content": [{"type": "think", "text": "hm"}, {"type": "text", "text": "yes"}]}']::jsonb[]) m;
-- content that says nothing does not hide the parts
SELECT airun_message_text(m) FROM unnest(ARRAY['{"role": "user", "content": "", "parts": [{"type": "text", "text": "yes"}]}', '{"role": "user", "content": [], "parts": [{"text": "yes"}]}',
	'{"role": "user", "content": "no", "parts": [{"text": "yes"}]}']::jsonb[]) m;
-- the same item again is the same message, by every door
SELECT seq, role FROM airun_append_message(run_id(52), '{"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}');
SELECT seq, role FROM airun_append_message(run_id(52), '{"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}');
SELECT seq, role FROM airun_save_message(run_id(52), '{"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}');
SELECT count(*) FROM airun_append_messages(run_id(52), '[{"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}, {"type": "reasoning", "summary": []}]');
INSERT INTO ai_messages (run_id, message) VALUES (run_id(52), '{"type": "function_call_output", "call_id": "c", "output": "x"}') RETURNING seq, role;
INSERT INTO airun.messages (run_id, message) VALUES (run_id(52), '{"type": "web_search_call"}') RETURNING seq, message ->> 'role';
SELECT t -> 'messages' -> 0 ->> 'role' FROM airun_start_turn(run_id(52), '[{"type": "shell_call_output", "output": []}]', run_id(5201)) t;
SELECT t -> 'messages' -> 0 ->> 'seq' FROM airun_start_turn(run_id(52), '[{"type": "shell_call_output", "output": []}]', run_id(5201)) t;
SELECT t -> 'messages' -> 0 ->> 'role' FROM airun_finish_turn(run_id(5201), '{"type": "reasoning", "encrypted_content": "x"}') t;
SELECT t -> 'messages' -> 0 ->> 'seq' FROM airun_finish_turn(run_id(5201), '{"type": "reasoning", "encrypted_content": "x"}') t;
SELECT (c).problem FROM (SELECT airun_check(run_id(52)) AS c) v;

--
-- An id that is too long is refused by every door; a shorter one stated beside it does
--
SELECT (airun_create_task(run_id(53), run_id(5301))).status;
CREATE FUNCTION long_id() RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_object('role', 'assistant', 'content', 'Done.', 'id', repeat('k3Z', 139))$$;
SELECT attempt(c, i = 1) FROM (VALUES (1, 'SELECT airun_append_message(run_id(53), long_id())'), (2, 'SELECT airun_append_messages(run_id(53), jsonb_build_array(long_id()))'),
	(3, 'SELECT airun_save_message(run_id(53), long_id())'), (4, 'SELECT airun_start_turn(run_id(53), long_id())'), (5, 'SELECT airun_finish_turn(run_id(5301), long_id())'),
	(6, 'INSERT INTO ai_messages (run_id, message) VALUES (run_id(53), long_id())'), (7, 'INSERT INTO airun.messages (run_id, message) VALUES (run_id(53), long_id())'),
	(8, 'SELECT airun_append_message(run_id(53), say(''x''), repeat(''x'', 201))')) v (i, c) ORDER BY i;
SELECT seq, message_id, length(message ->> 'id') FROM airun_append_message(run_id(53), long_id(), md5(long_id() ->> 'id'));
INSERT INTO ai_messages (run_id, message, message_id) VALUES (run_id(53), long_id(), 'short') RETURNING seq, message_id;
SELECT shown(53);

--
-- JSON in a JSON string, by every door, and through it what jsonb refuses
--
SELECT count(airun_create_task(run_id(54), run_id(5400 + n))) FROM generate_series(1, 9) n;
CREATE FUNCTION held(document text) RETURNS jsonb LANGUAGE sql AS $$SELECT to_jsonb(document)$$;
SELECT message ->> 'content' FROM airun_append_message(run_id(54), held(E' \n{"role": "user", "content": "a\\u0000b\\ud83dc"}'));
SELECT message ->> 'content' FROM airun_append_messages(run_id(54), held('[{"role": "user", "content": "one\u0000"}, {"role": "user", "content": "two"}]'));
SELECT message ->> 'content' FROM airun_append_messages(run_id(54), jsonb_build_array(held('{"role": "user", "content": "in an array"}')));
SELECT message ->> 'content', message_id FROM airun_save_message(run_id(54), held('{"role": "user", "content": "saved", "id": "s"}'));
SELECT message ->> 'content' FROM airun_save_messages(run_id(54), held('[{"role": "user", "content": "saved, again", "id": "s"}]'));
SELECT t -> 'messages' -> 0 ->> 'seq' FROM airun_start_turn(run_id(54), held('{"role": "user", "content": "x"}'), run_id(5410), request_data => held('{"model": "m"}'),
	metadata => held('{"a": 1}')) t;
SELECT t -> 'messages' -> 0 ->> 'role' FROM airun_finish_turn(run_id(5410), held('{"role": "assistant", "content": "x"}'), usage => held('{"prompt_tokens": 1}'),
	response_data => held('{"b": 1}')) t;
INSERT INTO ai_messages (run_id, message) VALUES (run_id(54), held('{"role": "user", "content": "by the view"}')) RETURNING message ->> 'content';
UPDATE ai_messages SET message = held('{"role": "user", "content": "by the view, again"}') WHERE run_id = run_id(54) AND message ->> 'content' = 'by the view'
RETURNING message ->> 'content';
INSERT INTO airun.messages (run_id, message) VALUES (run_id(54), held('{"role": "user", "content": "by the storage"}')) RETURNING message ->> 'content';
SELECT request_data, metadata, usage, response_data, tokens_input FROM ai_tasks WHERE task_id = run_id(5410);
SELECT id = run_id(61) FROM airun_create_run(settings => held('{"a": 1}'), variable_values => held('{"b": 2}'), metadata => held('{"c": 3}'), id => run_id(61));
SELECT settings, variable_values, metadata FROM ai_runs WHERE id = run_id(61);
SELECT (airun_update_run(run_id(55), settings => held('{"a": 4}'), metadata => held('{"c": 5}'))).metadata;
UPDATE ai_runs SET settings = held('{"a": 6}') WHERE id = run_id(55) RETURNING settings;
SELECT t -> 'run' -> 'metadata' FROM airun_start_turn(run => held('{"metadata": "{\"d\": 1}"}')) t;
SELECT (airun_complete_task(run_id(5401), usage => held('{"prompt_tokens": 1}'), response_data => held('[1]'))).tokens_input;
SELECT (airun_cancel_task(run_id(5402), usage => held('{"prompt_tokens": 1}'))).tokens_input;
SELECT (airun_fail_task(run_id(5403), error => held('{"code": 5}'), usage => held('{"prompt_tokens": 1}'), response_text => 'text')).error;
SELECT (airun_update_task(run_id(5404), response_data => held('{"x": 1}'))).status;
UPDATE ai_tasks SET status = 'completed', usage = held('{"prompt_tokens": 1}'), response_data = held('{"y": 1}'), metadata = held('{}') WHERE task_id = run_id(5405);
INSERT INTO ai_tasks (run_id, task_id, request_data, error, status) VALUES (run_id(54), run_id(5411), held('{"model": "m"}'), held('{"code": 6}'), 'failed');
SELECT right(task_id::text, 2), status, jsonb_typeof(request_data), jsonb_typeof(response_data), jsonb_typeof(usage), jsonb_typeof(error), jsonb_typeof(metadata)
FROM ai_tasks WHERE run_id = run_id(54) ORDER BY task_id;
-- a string that holds none stays what it is, or is refused
SELECT attempt(c) FROM unnest(ARRAY['SELECT airun_append_message(run_id(54), held(''{"role"''))', 'SELECT airun_append_messages(run_id(54), held(''[1''))',
	'SELECT airun_create_run(settings => held(''{"a"''))', 'SELECT airun_create_run(settings => held(''[]''))', 'SELECT airun_create_run(settings => held(''a''))',
	'SELECT airun_append_message(run_id(54), to_jsonb(held(''{"role": "user", "content": "twice"}'')::text))']) c;
SELECT (airun_complete_task(run_id(5400 + n), response_data => held(v))).status FROM (VALUES (6, '[DONE]'), (7, 'plain'), (8, '{"half"'), (9, '')) v (n, v) ORDER BY n;
SELECT response_data FROM ai_tasks WHERE task_id BETWEEN run_id(5406) AND run_id(5409) ORDER BY task_id;
SELECT (c).problem FROM (SELECT airun_check(run_id(54)) AS c) v;

SELECT * FROM airun_check();
DELETE FROM airun.runs WHERE user_id = airun_user_id();
SELECT count(*) FROM airun.message_versions WHERE run_id BETWEEN run_id(0) AND run_id(99999);
DROP SCHEMA save_test CASCADE;
