--
-- Requests: stored without the messages that their run has, shown as they were.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA fold_test;
SET search_path = fold_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-800f';
SET client_encoding = 'UTF8';
SET airun.user_id = 'fold test';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on


--
-- airun_request() alone
--
CREATE TABLE cases (id serial, request jsonb, reference jsonb, messages jsonb);
INSERT INTO cases (request, reference, messages) VALUES
	-- in front, in the middle, at the end, into nothing
	('{"m": ["x", "y"], "a": 1.0}', '{"key": "m", "at": 0, "keys": ["role"]}', '[{"role": "user", "id": 1}]'),
	('{"m": ["x", "y"], "a": 1.0}', '{"key": "m", "at": 1, "keys": ["role"]}', '[{"role": "user", "id": 1}, {"role": "model"}]'),
	('{"m": ["x", "y"], "a": 1.0}', '{"key": "m", "at": 2, "keys": ["role"]}', '[{"role": "user", "id": 1}]'),
	('{"m": []}', '{"key": "m", "at": 0, "keys": ["role", "content"]}', '[{"role": "user", "content": [{"a": [1.50, null]}, "é😀"]}]'),
	-- a key that a message has not stays absent, one that is null stays null
	('{"m": []}', '{"key": "m", "at": 0, "keys": ["name", "content", "role"]}',
		'[{"role": "a", "content": null}, {"role": "b", "name": null, "x": 1}, {"y": 2}]'),
	('{"m": []}', '{"key": "m", "at": 0, "keys": []}', '[{"role": "user"}, {}]'),
	-- a key twice is one
	('{"m": []}', '{"key": "m", "at": 0, "keys": ["a", "a"]}', '[{"a": 1}]'),
	-- no messages
	('{"m": ["x"]}', '{"key": "m", "at": 1, "keys": ["role"]}', '[]'),
	('{"m": ["x"]}', '{"key": "m", "at": 1, "keys": ["role"]}', NULL),
	-- no reference, no request
	('{"m": ["x"]}', NULL, '[{"role": "user"}]'), ('"text"', NULL, NULL), (NULL, NULL, NULL),
	(NULL, '{"key": "m", "at": 0, "keys": ["role"]}', '[]');
SELECT airun_request(request, reference, messages) FROM cases ORDER BY id;
-- a part first, and the rest later, is the same as all at once
SELECT count(*), count(*) FILTER (WHERE airun_request(airun_request(r, f, tail), f, head) = airun_request(r, f, head || tail)) AS same
FROM (VALUES ('{"m": [{"s": 1}, {"n": 2}], "z": null}'::jsonb)) a (r),
	(VALUES ('{"key": "m", "at": 0, "keys": ["r", "c"]}'::jsonb), ('{"key": "m", "at": 1, "keys": ["c"]}'), ('{"key": "m", "at": 2, "keys": []}')) b (f),
	(VALUES ('[]'::jsonb), ('[{"r": 1, "c": [2]}]'), ('[{"r": 1}, {"c": 3, "d": 4}]')) c (head),
	(VALUES ('[]'::jsonb), ('[{"r": 5, "c": null}]'), ('[{"x": 6}, {"r": "7"}]')) d (tail);
-- around the stride of jsonb's offsets: what core makes of the same
SELECT count(*), count(*) FILTER (WHERE ours = theirs AND ours::text = theirs::text AND pg_column_size(ours) = pg_column_size(theirs)) AS same
FROM generate_series(0, 100) n, LATERAL (
	SELECT airun_request('{"m": [1, "last"], "z": [[]]}', '{"key": "m", "at": 1, "keys": ["role", "k"]}',
			jsonb_agg(jsonb_build_object('role', i::text, 'k', i * 1.5, 'id', i) ORDER BY i) FILTER (WHERE i > 0)) AS ours,
		jsonb_build_object('m', '[1]'::jsonb || coalesce(jsonb_agg(jsonb_build_object('role', i::text, 'k', i * 1.5) ORDER BY i)
			FILTER (WHERE i > 0), '[]') || '["last"]', 'z', '[[]]'::jsonb) AS theirs
	FROM generate_series(0, n) i) x;

-- what does not fit is refused
TRUNCATE cases RESTART IDENTITY;
INSERT INTO cases (request, reference, messages) VALUES
	('{"m": []}', '"text"', '[]'), ('{"m": []}', '[]', '[]'), ('{"m": []}', '{}', '[]'),
	('{"m": []}', '{"key": 1, "at": 0, "keys": []}', '[]'),
	('{"m": []}', '{"key": "m", "at": "0", "keys": []}', '[]'),
	('{"m": []}', '{"key": "m", "at": -1, "keys": []}', '[]'),
	('{"m": []}', '{"key": "m", "at": 1e100, "keys": []}', '[]'),
	('{"m": []}', '{"key": "m", "at": 0}', '[]'),
	('{"m": []}', '{"key": "m", "at": 0, "keys": {}}', '[]'),
	('{"m": []}', '{"key": "m", "at": 0, "keys": [1]}', '[]'),
	('{"m": []}', '{"key": "m", "at": 0, "keys": [["x"]]}', '[]'),
	('{"m": []}', '{"key": "m", "at": 1, "keys": []}', '[]'),
	('{"m": {}}', '{"key": "m", "at": 0, "keys": []}', '[]'),
	('{"m": "x"}', '{"key": "m", "at": 0, "keys": []}', '[]'),
	('{"n": []}', '{"key": "m", "at": 0, "keys": []}', '[]'),
	('{}', '{"key": "m", "at": 0, "keys": []}', '[]'),
	('[]', '{"key": "m", "at": 0, "keys": []}', '[]'),
	('1', '{"key": "m", "at": 0, "keys": []}', '[]'),
	('{"m": []}', '{"key": "m", "at": 0, "keys": []}', '{}'),
	('{"m": []}', '{"key": "m", "at": 0, "keys": []}', 'null'),
	('{"m": []}', '{"key": "m", "at": 0, "keys": []}', '[1]'),
	('{"m": []}', '{"key": "m", "at": 0, "keys": []}', '[{}, []]');
SELECT answer(format('SELECT airun_request(%L, %L, %L)', request, reference, messages)) FROM cases ORDER BY id;
-- more keys than any reference has
SELECT answer(format('SELECT airun_request(%L, %L, %L)', '{"m": []}',
	jsonb_build_object('key', 'm', 'at', 0, 'keys', jsonb_agg('k' || i)), '[]')) FROM generate_series(1, 65) AS i;

--
-- Through the API
--
-- a message, long enough to be worth it
CREATE FUNCTION say(role text, word text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
$$SELECT jsonb_build_object('role', role, 'content', word || repeat(' and so on', 30))$$;
-- a conversation in words: user and assistant in turn
CREATE FUNCTION talk(VARIADIC words text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_agg(say(CASE WHEN i % 2 = 1 THEN 'user' ELSE 'assistant' END, word) ORDER BY i)
	FROM unnest(words) WITH ORDINALITY w (word, i)
$$;
CREATE FUNCTION new_run(n int, messages jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM airun_create_run(id => run_id(n));
	RETURN (SELECT count(*) FROM airun_append_messages(run_id(n), messages));
END$$;
-- what was sent, to be compared with what is shown, whatever happens meanwhile
CREATE TABLE sent (run_id uuid, task_id uuid PRIMARY KEY, request jsonb);
-- send a request: how it is stored, and whether it is shown as it was
CREATE FUNCTION send(n int, payload jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	task uuid;
	r jsonb;
BEGIN
	SELECT task_id INTO task FROM airun_create_task(run_id(n), request_data => payload);
	INSERT INTO sent VALUES (run_id(n), task, payload);
	SELECT request_reference INTO r FROM airun.tasks t WHERE t.run_id = run_id(n) AND t.task_id = task;
	RETURN CASE WHEN r IS NULL THEN 'whole' ELSE format('%s[%s]: messages %s to %s, by %s', r ->> 'key', r ->> 'at',
			r ->> 'from', (r ->> 'from')::bigint + (r ->> 'count')::bigint - 1, r ->> 'keys') END
		|| CASE WHEN EXISTS (SELECT FROM ai_tasks t WHERE t.task_id = task
				AND t.request_data IS NOT DISTINCT FROM payload AND t.request_data::text IS NOT DISTINCT FROM payload::text)
			THEN '' ELSE ' WRONG' END;
END$$;
-- what is shown otherwise than it was sent, in the view and in what a client loads
CREATE VIEW wrong WITH (security_invoker = true) AS
	SELECT s.run_id, s.task_id, 'view' AS place
	FROM sent s LEFT JOIN ai_tasks t USING (run_id, task_id)
	WHERE t.task_id IS NULL OR s.request IS DISTINCT FROM t.request_data OR s.request::text IS DISTINCT FROM t.request_data::text
	UNION ALL
	SELECT s.run_id, s.task_id, 'load'
	FROM sent s LEFT JOIN (
		SELECT r.run_id, (t.task ->> 'task_id')::uuid AS task_id, (t.task ->> 'request_data')::jsonb AS request_data
		FROM (SELECT DISTINCT run_id FROM sent) r CROSS JOIN LATERAL
			json_array_elements(airun_get_run(r.run_id, include_requests => true) -> 'tasks') t (task)) l USING (run_id, task_id)
	WHERE l.task_id IS NULL OR s.request #>> '{}' IS DISTINCT FROM l.request_data #>> '{}';

-- a chat: all of it, and what is new behind it
SELECT new_run(1, talk('one', 'two', 'three', 'four'));
SELECT send(1, jsonb_build_object('model', 'm', 'temperature', 1.0, 'messages', talk('one', 'two', 'three', 'four')));
SELECT send(1, jsonb_build_object('messages', talk('one', 'two', 'three', 'four', 'five')));
SELECT send(1, jsonb_build_object('messages', talk('one', 'two', 'three', 'four', '5', '6', '7', '8', '9', '10')));
-- less of it
SELECT send(1, jsonb_build_object('messages', talk('one', 'two')));
SELECT send(1, jsonb_build_object('messages', talk('one', 'two', 'new', 'four', 'and', 'what', 'not', 'else')));
-- instructions in front, which the run does not have
SELECT send(1, jsonb_build_object('messages', jsonb_build_array(say('system', 'do')) || talk('one', 'two', 'three', 'four', 'five')));
SELECT send(1, jsonb_build_object('messages', '[{"role": "system", "content": "a"}, {"role": "developer", "content": "b"}]'
	|| talk('one', 'two', 'three', 'four', '5', '6', '7', '8', '9', '10')));
-- the newest messages only, stored or not; and too many that are not
SELECT send(1, jsonb_build_object('messages', talk('three', 'four')));
SELECT send(1, jsonb_build_object('messages', talk('three', 'four', 'five')));
SELECT send(1, jsonb_build_object('messages', jsonb_build_array(say('system', 'do')) || talk('three', 'four', 'five', 'six')));
SELECT send(1, jsonb_build_object('messages', talk('three', 'four', '5', '6', '7', '8')));
SELECT send(1, jsonb_build_object('messages', talk('three', 'four', '5', '6', '7', '8', '9')));
-- the first message and the newest ones
SELECT send(1, jsonb_build_object('messages', talk('one') || talk('three', 'four') || talk('five')));
-- nothing of it, another role, another order
SELECT send(1, jsonb_build_object('messages', talk('a', 'b', 'c', 'd')));
SELECT send(1, jsonb_build_object('messages', jsonb_build_array(say('assistant', 'one'), say('user', 'two'))));
SELECT send(1, jsonb_build_object('messages', jsonb_build_array(say('assistant', 'four'), say('user', 'three'), say('assistant', 'two'))));
-- edited in the middle: a stretch ends there, and the larger one is left out
SELECT send(1, jsonb_build_object('messages', talk('one', 'two', 'changed', 'four')));
SELECT send(1, jsonb_build_object('messages', talk('one', 'changed', 'three', 'four', 'five')));
SELECT send(1, jsonb_build_object('messages', talk('changed', 'two', 'three', 'four', 'five')));
-- too small to be worth it
SELECT send(1, '{"messages": [{"role": "user", "content": "one"}]}');
SELECT new_run(2, '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]'),
	send(2, '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}');

-- instructions that the run has, the same and others
SELECT new_run(3, jsonb_build_array(say('system', 'do'), say('user', 'one'), say('assistant', 'two')));
SELECT send(3, jsonb_build_object('messages', jsonb_build_array(say('system', 'do'), say('user', 'one'), say('assistant', 'two'), say('user', 'three'))));
SELECT send(3, jsonb_build_object('messages', jsonb_build_array(say('system', 'other'), say('user', 'one'), say('assistant', 'two'), say('user', 'three'))));
SELECT send(3, jsonb_build_object('messages', jsonb_build_array(say('user', 'one'), say('assistant', 'two'), say('user', 'three'))));

-- tool calls and their results
SELECT new_run(4, jsonb_build_array(say('user', 'weather'),
	'{"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"at\": \"Köln\"}"}}]}'::jsonb,
	say('tool', '{"t": 1.50}') || '{"tool_call_id": "c1", "name": "f"}', say('assistant', 'fine')));
SELECT send(4, jsonb_build_object('messages', (SELECT jsonb_agg(message - 'timestamp' ORDER BY seq) FROM airun.messages WHERE run_id = run_id(4))));
-- what is null here and absent there is not the same
SELECT send(4, jsonb_build_object('messages', (SELECT jsonb_agg(CASE WHEN seq = 2 THEN message - 'content' ELSE message END - 'timestamp' ORDER BY seq)
	FROM airun.messages WHERE run_id = run_id(4))));
SELECT send(4, jsonb_build_object('messages', (SELECT jsonb_agg(CASE WHEN seq = 3 THEN message || '{"refusal": null}' ELSE message END - 'timestamp' ORDER BY seq)
	FROM airun.messages WHERE run_id = run_id(4))));
-- a key that one element leaves out and another has: not in one stretch
SELECT send(4, jsonb_build_object('messages', (SELECT jsonb_agg(CASE WHEN seq IN (1, 2) THEN message - 'timestamp' ELSE message END ORDER BY seq)
	FROM airun.messages WHERE run_id = run_id(4))));

-- the Responses API: input is text, or items with and without a role
SELECT send(1, jsonb_build_object('model', 'm', 'input', repeat('text ', 100)));
SELECT send(1, jsonb_build_object('instructions', 'x', 'input', talk('one', 'two', 'three', 'four') || '[{"type": "function_call", "name": "f"}]'));
SELECT send(1, jsonb_build_object('input', talk('one', 'two') || '[{"type": "function_call", "name": "f"}]' || talk('three', 'four')));
-- Gemini
SELECT new_run(5, jsonb_build_array('{"role": "user", "parts": [{"text": "one"}]}'::jsonb, jsonb_build_object('role', 'model', 'parts',
	jsonb_build_array(jsonb_build_object('text', repeat('long ', 100)), '{"functionCall": {"name": "f", "args": {"x": [1.0, 1, 1e2]}}}'::jsonb)),
	'{"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"ok": true}}}]}'::jsonb));
SELECT send(5, jsonb_build_object('systemInstruction', '{"parts": [{"text": "x"}]}'::jsonb, 'contents',
	(SELECT jsonb_agg(jsonb_build_object('role', message -> 'role', 'parts', message -> 'parts') ORDER BY seq) FROM airun.messages WHERE run_id = run_id(5))));
-- more than one array: the first that has messages of the run
SELECT send(1, jsonb_build_object('messages', talk('x', 'y'), 'input', talk('one', 'two'), 'contents', talk('one', 'two', 'three')));
-- elsewhere nothing is looked for
SELECT send(1, jsonb_build_object('body', jsonb_build_object('messages', talk('one', 'two'))));

-- the same again and again
SELECT new_run(6, talk('hi') || talk('hi') || talk('hi'));
SELECT send(6, jsonb_build_object('messages', (SELECT jsonb_agg(say('user', 'hi')) FROM generate_series(1, n)))) FROM generate_series(1, 7) n;
SELECT send(6, jsonb_build_object('messages', talk('hi') || talk('no') || talk('hi') || talk('hi')));

-- numbers, as they are written
SELECT new_run(7, jsonb_build_array(say('user', 'a') || '{"n": 1.0}', say('user', 'b') || '{"n": {"deep": [1, -0.50, 1e3]}}', say('user', 'c') || '{"n": 100000000000000000000.0010}'));
SELECT send(7, jsonb_build_object('messages', jsonb_build_array(say('user', 'a') || '{"n": 1.0}', say('user', 'b') || '{"n": {"deep": [1, -0.5, 1e3]}}')));
SELECT send(7, jsonb_build_object('messages', jsonb_build_array(say('user', 'a') || '{"n": 1}', say('user', 'b') || '{"n": {"deep": [1, -0.50, 1000]}}')));
SELECT send(7, jsonb_build_object('messages', jsonb_build_array(say('user', 'a') || '{"n": 1.0}', say('user', 'b') || '{"n": {"deep": [1.0, -0.50, 1e3]}}')));
SELECT send(7, jsonb_build_object('messages', jsonb_build_array(say('user', 'a') || '{"n": 1.00}', say('user', 'b'), say('user', 'c') || '{"n": 100000000000000000000.0010}')));

-- keys with null, false, empty values; unicode; a key that needs escapes
SELECT new_run(8, jsonb_build_array(say('user', 'é 漢字 😀 👩‍👩‍👧 e' || U&'\0301') || '{"name": null, "": [], "ключ \"\\\t": {}, "x": false}',
	say('assistant', E'line\n\t"quoted" \\') || '{"name": "", "": {"": ""}}'));
SELECT send(8, jsonb_build_object('messages', (SELECT jsonb_agg(message - 'timestamp' ORDER BY seq) FROM airun.messages WHERE run_id = run_id(8))));
SELECT send(8, jsonb_build_object('messages', (SELECT jsonb_agg(message - 'timestamp' - 'name' ORDER BY seq) FROM airun.messages WHERE run_id = run_id(8))));
SELECT send(8, jsonb_build_object('messages', (SELECT jsonb_agg(message - 'timestamp' - CASE WHEN seq = 1 THEN 'name' ELSE 'y' END ORDER BY seq)
	FROM airun.messages WHERE run_id = run_id(8))));
-- the same letter, composed otherwise
SELECT send(8, jsonb_build_object('messages', (SELECT jsonb_agg(replace(message::text, 'é', U&'e\0301')::jsonb - 'timestamp' ORDER BY seq)
	FROM airun.messages WHERE run_id = run_id(8) AND seq = 1)));

-- messages with ids, metadata and times of the client; sent without, with some, and with all of it
SELECT new_run(9, (SELECT jsonb_agg(e || jsonb_build_object('id', 'i' || i, 'timestamp', '2024-01-01T00:00:0' || i || 'Z', 'metadata', '{"a": [1]}'::jsonb))
	FROM jsonb_array_elements(talk('one', 'two', 'three')) WITH ORDINALITY x (e, i)));
SELECT send(9, jsonb_build_object('messages', talk('one', 'two', 'three', 'four')));
SELECT send(9, jsonb_build_object('messages', (SELECT jsonb_agg(message - 'metadata' - 'timestamp' ORDER BY seq) FROM airun.messages WHERE run_id = run_id(9))));
SELECT send(9, jsonb_build_object('messages', (SELECT jsonb_agg(message ORDER BY seq) FROM airun.messages WHERE run_id = run_id(9))));
SELECT send(9, jsonb_build_object('messages', (SELECT jsonb_agg(message || '{"timestamp": "2024-01-01T00:00:00Z"}' ORDER BY seq) FROM airun.messages WHERE run_id = run_id(9))));
SELECT send(9, jsonb_build_object('messages', (SELECT jsonb_agg(message || '{"cache_control": {"type": "ephemeral"}}' ORDER BY seq) FROM airun.messages WHERE run_id = run_id(9))));

-- requests that are no such thing
SELECT n, send(1, request) FROM (VALUES (1, NULL::jsonb), (2, 'null'), (3, '1'), (4, 'true'), (5, '[]'), (6, '{}'),
	(7, '{"messages": null}'), (8, '{"messages": []}'), (9, '{"messages": {}}'), (10, '{"messages": "one"}'), (11, '{"messages": [[]]}'),
	(12, '{"messages": [1, null, "x", [], {}, [[{}]], true]}')) v (n, request) ORDER BY n;
SELECT send(1, jsonb_build_object('pad', repeat('x', 500)) || request)
FROM (VALUES (1, '{"messages": []}'::jsonb), (2, '{"messages": {}}'), (3, '{"messages": [[], [1], [[2]]]}'), (4, '{"input": [1, null, "x", [], {}, [[{}]], true]}'),
	(5, '{"contents": [{}, {}, {"role": 1}, {"role": null}, {"role": ["user"]}]}'), (6, '{"messages": [{"role": "system"}, {"role": "system"}]}')) v (n, request) ORDER BY n;
SELECT send(1, talk('one', 'two'));
SELECT send(1, jsonb_build_object('messages', jsonb_build_array(talk('one', 'two'))));
SELECT send(1, jsonb_build_object('messages', talk('one', 'two') || '["text", [], {}, null]' || talk('three', 'four')));
-- large ones
SELECT new_run(14, talk('one', 'two', 'three', 'four'));
SELECT send(14, jsonb_build_object('messages', jsonb_agg(i))) FROM generate_series(1, 100000) i;
SELECT send(14, jsonb_build_object('messages', jsonb_agg(jsonb_build_object('role', 'system', 'content', i)))) FROM generate_series(1, 100000) i;
SELECT send(14, jsonb_build_object('messages', talk('one', 'two', 'three', 'four') || jsonb_agg(say('user', 'one')))) FROM generate_series(1, 20000) i;
SELECT send(14, jsonb_build_object('messages', talk('one', 'two') || jsonb_build_array(jsonb_object_agg('key' || i, i)))) FROM generate_series(1, 20000) i;
SELECT send(14, jsonb_build_object('messages', talk('one', 'two', 'three', 'four') || (repeat('[', 2000) || repeat(']', 2000))::jsonb));
-- messages with more keys than anybody sends
SELECT new_run(10, (SELECT jsonb_agg(say('user', m::text) || (SELECT jsonb_object_agg(m || 'key' || i, repeat('v', 20)) FROM generate_series(1, 50) i)) FROM generate_series(1, 3) m));
SELECT regexp_replace(send(10, jsonb_build_object('messages', (SELECT jsonb_agg(message - 'timestamp' ORDER BY seq) FROM airun.messages WHERE run_id = run_id(10)))), 'by .*\]', 'by many');
-- a run without messages, and one of somebody else
SELECT new_run(11, '[]'), send(11, jsonb_build_object('messages', talk('one', 'two')));
SELECT new_run(12, talk('one', 'two'));
SELECT send(12, jsonb_build_object('messages', talk('one', 'two')));

SELECT * FROM wrong;
-- something was left out of the rows, and of nothing else
SELECT count(*) > 30 AS some, bool_and(length(t.request_data::text) < length(s.request::text)) AS smaller
FROM airun.tasks t JOIN sent s USING (run_id, task_id) WHERE t.request_reference IS NOT NULL;
SELECT count(*) FROM airun.tasks t JOIN sent s USING (run_id, task_id) WHERE t.request_reference IS NULL AND t.request_data IS DISTINCT FROM s.request;

-- the large ones have shown it
DELETE FROM sent WHERE run_id = run_id(14);
DELETE FROM airun.runs WHERE id = run_id(14);

--
-- The other ways in
--
-- through the view
INSERT INTO ai_tasks (run_id, request_data) VALUES (run_id(1), jsonb_build_object('messages', talk('one', 'two', 'three')))
RETURNING request_data = jsonb_build_object('messages', talk('one', 'two', 'three')) AS same;
-- an API role, bound by row security
CREATE ROLE regress_airun_fold;
SELECT airun_grant('regress_airun_fold');
GRANT USAGE ON SCHEMA fold_test TO regress_airun_fold;
GRANT ALL ON ALL TABLES IN SCHEMA fold_test TO regress_airun_fold;
SET ROLE regress_airun_fold;
SELECT send(12, jsonb_build_object('messages', talk('one', 'two', 'three')));
SELECT new_run(13, talk('mine', 'too')), send(13, jsonb_build_object('messages', talk('mine', 'too', 'now')));
SELECT * FROM wrong;
SET airun.user_id = 'somebody else';
SELECT count(*) FROM ai_tasks;
SET airun.user_id = 'fold test';
RESET ROLE;

--
-- A conversation of 100 turns, with all of it in every request
--
SELECT new_run(20, '[]');
CREATE TABLE turns (n int PRIMARY KEY, task_id uuid, request jsonb, size int);
DO $$
DECLARE
	question jsonb;
	answer jsonb;
	talk jsonb := jsonb_build_array(say('system', 'be brief'));
	payload jsonb;
	task uuid;
BEGIN
	FOR i IN 1 .. 100 LOOP
		question := say('user', 'question ' || lpad(i::text, 3, '0'));
		answer := say('assistant', 'answer ' || lpad(i::text, 3, '0'));
		talk := talk || question;
		payload := jsonb_build_object('model', 'm', 'temperature', 0.70, 'messages', talk);
		task := ('00000000-0000-4000-9020-' || lpad(i::text, 12, '0'))::uuid;
		PERFORM airun_start_turn(run_id(20), question, task, request_data => payload);
		-- once more: nothing happens
		PERFORM airun_start_turn(run_id(20), question, task, request_data => payload);
		PERFORM airun_finish_turn(task, answer, tokens_input => 1, tokens_output => 1);
		talk := talk || answer;
		INSERT INTO turns SELECT i, task, payload, pg_column_size(t.request_data) + pg_column_size(t.request_reference)
		FROM airun.tasks t WHERE t.run_id = run_id(20) AND t.task_id = task;
	END LOOP;
END$$;
SELECT count(*), count(*) FILTER (WHERE t.request_data = s.request) AS equal, count(*) FILTER (WHERE t.request_data::text = s.request::text) AS same_text
FROM turns s JOIN ai_tasks t USING (task_id);
-- flat: a few bytes for figures that get longer
SELECT max(size) - min(size) <= 16 AS flat, max(size) < 1500 AS small FROM turns WHERE n >= 10;
INSERT INTO sent SELECT run_id(20), task_id, request FROM turns;
SELECT * FROM wrong;

--
-- History that goes: what an old task shows stays
--
CREATE FUNCTION cut(n int, last_seq bigint) RETURNS bigint LANGUAGE sql AS
$$WITH d AS (DELETE FROM airun.messages WHERE run_id = run_id(n) AND seq > last_seq RETURNING 1) SELECT count(*) FROM d$$;
SELECT cut(20, 150);
SELECT * FROM wrong;
-- other messages come to their places
SELECT count(*) FROM airun_append_messages(run_id(20), talk('other', 'words', 'instead'));
SELECT * FROM wrong;
SELECT send(20, jsonb_build_object('messages', (SELECT jsonb_agg(message - 'timestamp' ORDER BY seq) FROM airun.messages WHERE run_id = run_id(20))));
SELECT cut(20, 149), cut(20, 10), cut(20, 1);
SELECT * FROM wrong;
SELECT cut(20, 0);
SELECT * FROM wrong;
SELECT count(*) FROM airun.tasks WHERE run_id = run_id(20) AND request_reference IS NOT NULL;
-- of windows and edited requests
SELECT cut(1, 3);
SELECT * FROM wrong;
SELECT cut(1, 1);
SELECT * FROM wrong;
-- a run that goes, goes
DELETE FROM sent WHERE run_id = run_id(12);
DELETE FROM airun.runs WHERE id = run_id(12);
SELECT count(*) FROM airun.tasks WHERE run_id = run_id(12);

--
-- Random runs and requests: shown is what was sent
--
SELECT setseed(0.5);
CREATE FUNCTION random_value(depth int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF depth > 0 AND random() < 0.3 THEN
		RETURN (SELECT coalesce(jsonb_agg(random_value(depth - 1)), '[]') FROM generate_series(1, (random() * 4)::int));
	ELSIF depth > 0 AND random() < 0.3 THEN
		RETURN (SELECT coalesce(jsonb_object_agg('k' || (random() * 5)::int, random_value(depth - 1)), '{}') FROM generate_series(1, (random() * 4)::int));
	END IF;
	RETURN (ARRAY['null', 'true', 'false', '1', '1.0', '-0.10', '1e20', '""', '"é"', '"a b"', '[]', '{}', to_jsonb(repeat('x', (random() * 300)::int))::text])
		[1 + floor(random() * 13)::int]::jsonb;
END$$;
-- few words, so that there are repetitions
CREATE FUNCTION random_message() RETURNS jsonb LANGUAGE sql AS $$
	SELECT say((ARRAY['user', 'assistant', 'system', 'tool'])[1 + floor(random() * 4)::int], (random() * 5)::int::text)
		|| CASE WHEN random() < 0.1 THEN jsonb_build_object('content', (ARRAY['null', '""', '[]', '{}', '[{"text": "é", "n": 1.0}]'])
				[1 + floor(random() * 5)::int]::jsonb, 'parts', random_value(3), 'refusal', 'no') ELSE '{}'::jsonb END
		|| CASE WHEN random() < 0.2 THEN jsonb_build_object('name', random_value(0)) ELSE '{}'::jsonb END
		|| CASE WHEN random() < 0.2 THEN jsonb_build_object('metadata', random_value(3)) ELSE '{}'::jsonb END
		|| CASE WHEN random() < 0.2 THEN '{"timestamp": "2024-01-01T00:00:00Z"}' ELSE '{}'::jsonb END
$$;
CREATE FUNCTION random_request(n int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	total bigint := (SELECT count(*) FROM airun.messages WHERE run_id = run_id(n));
	first int := CASE WHEN random() < 0.6 THEN 1 ELSE 1 + (random() * total)::int END;
	last int := CASE WHEN random() < 0.8 THEN total ELSE total - (random() * total)::int END;
	keys text[] := (ARRAY['{timestamp,metadata}', '{timestamp}', '{metadata}', '{timestamp,metadata,name}', '{}'])[1 + floor(random() * 5)::int];
	wild float8 := CASE WHEN random() < 0.6 THEN 0 ELSE 0.1 END;
	result jsonb;
BEGIN
	SELECT coalesce(jsonb_agg(CASE WHEN random() < wild THEN
			(ARRAY[e || jsonb_build_object('name', random_value(0)), e - 'name', e || '{"content": null}', random_value(2), random_message()])
				[1 + floor(random() * 5)::int]
			ELSE e END ORDER BY seq), '[]') INTO result
	FROM (SELECT seq, message - keys AS e FROM airun.messages WHERE run_id = run_id(n) AND seq BETWEEN first AND last
		AND random() >= wild / 3) m;
	result := (SELECT coalesce(jsonb_agg(say('system', i::text)), '[]') FROM generate_series(1, floor(random() * 3)::int) i)
		|| result || (SELECT coalesce(jsonb_agg(random_message() - 'metadata'), '[]') FROM generate_series(1, floor(random() * 3)::int) i);
	RETURN CASE WHEN random() < 0.5 THEN '{"model": "m", "z": [1.0]}' ELSE '{}'::jsonb END
		|| jsonb_build_object((ARRAY['messages', 'input', 'contents'])[1 + floor(random() * 3)::int], result);
END$$;
DO $$
BEGIN
	FOR n IN 100 .. 139 LOOP
		PERFORM new_run(n, (SELECT jsonb_agg(random_message()) FROM generate_series(1, 1 + (random() * random() * 60)::int)));
		FOR i IN 1 .. 20 LOOP
			PERFORM send(n, random_request(n));
		END LOOP;
	END LOOP;
END$$;
SELECT * FROM wrong;
SELECT count(*), count(*) FILTER (WHERE request_reference IS NOT NULL) > 400 AS many_folded,
	count(*) FILTER (WHERE request_reference IS NULL) > 20 AS some_whole,
	count(DISTINCT request_reference ->> 'keys') > 5 AS by_different_keys
FROM airun.tasks WHERE run_id BETWEEN run_id(100) AND run_id(139);
-- the more is deleted, the more comes back
DO $$
BEGIN
	FOR i IN 1 .. 4 LOOP
		PERFORM cut(n, (SELECT (message_count * random())::bigint FROM airun.runs WHERE id = run_id(n))) FROM generate_series(100, 139) n;
		IF EXISTS (SELECT FROM wrong) THEN
			RAISE 'wrong after deletion %', i;
		END IF;
		PERFORM airun_append_message(run_id(n), random_message()) FROM generate_series(100, 139) n;
		PERFORM send(n, random_request(n)) FROM generate_series(100, 139) n;
	END LOOP;
END$$;
SELECT * FROM wrong;

-- every reference is complete
SELECT count(*) FROM airun.tasks WHERE request_reference IS NOT NULL AND NOT (request_reference ?& '{key,at,from,count,keys}'
	AND (request_reference ->> 'count')::bigint > 0 AND (request_reference ->> 'from')::bigint > 0);

SELECT * FROM airun_check();
-- other tests look at everything in the store, and this is much
DELETE FROM airun.runs WHERE id BETWEEN run_id(1) AND run_id(999);
SELECT * FROM airun_check();

DROP SCHEMA fold_test CASCADE;
DROP OWNED BY regress_airun_fold;
DROP ROLE regress_airun_fold;
\pset format aligned
\pset tuples_only off
\pset null ''
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET client_min_messages;
