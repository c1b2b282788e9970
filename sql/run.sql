--
-- A run's life: creation, names, what the user says about it, status, deletion.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA run_test;
SET search_path = run_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8001';
SET client_encoding = 'UTF8';
SET airun.user_id = 'auth0|5f7c8ec7c33c6c004bbafe82';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on




--
-- Who is calling, and ids
--

-- version 5 of a subject, in the namespace 6d5c1f0e-9a47-4b83-b260-5e2dc4713fa8,
-- as Python's uuid.uuid5 gives it
SELECT s.subject, airun_user_uuid(s.subject) = s.id::uuid AS same
FROM (VALUES ('auth0|5f7c8ec7c33c6c004bbafe82', '3d980957-081e-5764-8bf3-23cf360ffc2c'),
	('a', '7ca0bab4-8555-551b-8ee0-4f14236a75e6'),
	('', 'fef890c0-a14f-5a41-919f-7643a559388d'),
	('Zoë 漢字 😀', 'fda59ddb-8737-5349-9272-fdfb3f9f8e8d'),
	('11111111-2222-3333-4444-555555555555', '11111111-2222-3333-4444-555555555555'),
	('AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE', 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee')) s (subject, id);
SELECT airun_user_id();

-- version 7, variant 2, in the order of their making, near now
SELECT count(DISTINCT id), bool_and(substr(id::text, 15, 1) = '7') AS version,
	bool_and(substr(id::text, 20, 1) IN ('8', '9', 'a', 'b')) AS variant,
	bool_and(abs(ms - extract(epoch FROM clock_timestamp()) * 1000) < 600000) AS time
FROM (SELECT airun_uuid() AS id FROM generate_series(1, 1000)) v,
	LATERAL (SELECT ('x' || lpad(replace(left(id::text, 13), '-', ''), 16, '0'))::bit(64)::bigint AS ms) w;
DO $$
DECLARE
	id uuid;
	before uuid;
	backward int := 0;
BEGIN
	FOR i IN 1..1000 LOOP
		id := airun_uuid();
		PERFORM pg_sleep(0.000002);
		IF id <= before THEN
			backward := backward + 1;
		END IF;
		before := id;
	END LOOP;
	ASSERT backward = 0, format('%s of 1,000 ids go backward', backward);
END$$;

--
-- Creation
--
\pset expanded on
\pset tuples_only off

-- nothing stated
SELECT source_type, source_id, name, description, tags, metadata, message_count, task_count,
	total_tokens, total_cost, status, is_starred, is_archived,
	user_id = airun_user_id() AS is_mine, substr(id::text, 15, 1) AS version, ('x' || right(id::text, 3))::bit(12)::int = airun_bucket(user_id) AS bucket,
	created_at BETWEEN now() AND clock_timestamp() AS created_now,
	updated_at = created_at AND last_message_at = created_at AS times,
	active_hour = date_trunc('hour', created_at, 'UTC') AS hour
FROM airun_create_run(source_type => 'run_test');
SELECT settings, variable_values, messages FROM ai_runs WHERE source_type = 'run_test';
SELECT source_type FROM airun_create_run(id => run_id(99));

-- everything stated
SELECT id, user_id, source_type, source_id, name, description, tags, metadata, message_count,
	task_count, total_tokens, total_cost, status, is_starred, is_archived
FROM airun_create_run('prompt', '11111111-2222-3333-4444-555555555555', 'Name', 'About it',
	'{"model": "m", "temperature": 0.5}', '{"city": "Köln"}', '{one,"two, three"}',
	'{"a": [1, 2]}', run_id(1), '99999999-0000-0000-0000-000000000000');
SELECT settings, variable_values, messages FROM ai_runs WHERE id = run_id(1);

-- NULL for everything is nothing stated
SELECT source_type, name, tags, metadata FROM airun_create_run(NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, run_id(98), NULL);

--
-- The same id again returns the run as it is, and changes nothing
--
SELECT id = run_id(2) AS id, name FROM airun_create_run(id => run_id(2), name => 'First');
SELECT name FROM airun_create_run(id => run_id(2), name => 'First');
SELECT name FROM airun_update_run(run_id(2), name => 'Renamed');
SELECT name, source_type, tags FROM airun_create_run('action', id => run_id(2), name => 'First', tags => '{x}');
SELECT status FROM airun_set_run_status(run_id(2), 'completed');
SELECT status, name FROM airun_create_run(id => run_id(2));
\pset expanded off
\pset tuples_only on
SELECT count(*) FROM airun.runs WHERE id = run_id(2);
-- but not for another user, who learns only that it is taken
SELECT attempt(format('SELECT airun_create_run(id => %L, user_id => %L)', run_id(2),
	'99999999-0000-0000-0000-000000000000'));
SET airun.user_id = 'somebody else';
SELECT attempt(format('SELECT airun_create_run(id => %L)', run_id(2)));
SELECT hint_of(format('SELECT airun_create_run(id => %L)', run_id(2)));
SET airun.user_id = 'auth0|5f7c8ec7c33c6c004bbafe82';
-- nor for one that is deleted
SELECT airun_delete_run(run_id(2));
SELECT attempt(format('SELECT airun_create_run(id => %L)', run_id(2)));
SELECT airun_restore_run(run_id(2));

--
-- Names made from the first user message
--
CREATE TABLE talk (n int, messages jsonb);
INSERT INTO talk VALUES
	(1, '[{"role": "user", "content": "Plan a trip. Make it cheap."}]'),
	(2, '[{"role": "user", "content": "What is pi? It is 3.14"}]'),
	(3, '[{"role": "user", "content": "Pi is 3.14 or so! No?"}]'),
	(4, '[{"role": "user", "content": "  Two\t words \n and a second line"}]'),
	(5, '[{"role": "user", "content": "\n\n\n  behind empty lines"}]'),
	-- 60 characters, 61, and cut at the last word that fits
	(6, jsonb_build_array(jsonb_build_object('role', 'user', 'content', repeat('abcd ', 11) || 'abcde'))),
	(7, jsonb_build_array(jsonb_build_object('role', 'user', 'content', repeat('abcd ', 11) || 'abcdef'))),
	(8, jsonb_build_array(jsonb_build_object('role', 'user', 'content', repeat('abcd ', 11) || 'abcde more'))),
	(9, jsonb_build_array(jsonb_build_object('role', 'user', 'content', repeat('é', 100)))),
	(10, jsonb_build_array(jsonb_build_object('role', 'user', 'content', repeat('😀', 60)))),
	(11, jsonb_build_array(jsonb_build_object('role', 'user', 'content', repeat('ö', 40) || ' ' || repeat('ß', 40)))),
	(12, '[{"role": "user", "content": "今天天气怎么样？明天呢？"}]'),
	(13, '[{"role": "user", "content": "東京へ行きたい。安く。"}]'),
	(14, '[{"role": "user", "content": "e\u0301té. Fini."}]'),
	-- from the parts of its content, or its parts
	(15, '[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "What is on it? Say."}]}]'),
	(16, '[{"role": "user", "parts": [{"type": "text", "text": "Hello parts"}]}]'),
	(17, '[{"role": "user", "content": {"text": "an object"}}]'),
	-- only a user's message, wherever it is
	(18, '[{"role": "system", "content": "You are nice."}, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Third one"}, {"role": "user", "content": "Fourth one"}]'),
	(19, '[{"role": "system", "content": "You are nice."}]'),
	(20, '[{"role": "user", "content": "   "}]'),
	(21, '[{"role": "user", "content": "."}]'),
	(22, '[{"role": "user", "content": "Hello..."}]'),
	(23, '[{"role": "user", "content": "a\\b\"c% <d>"}]');
SELECT count(airun_create_run(id => run_id(100 + n))) FROM talk;
SELECT count(*) FROM talk, LATERAL airun_append_messages(run_id(100 + n), messages);
SELECT n, char_length(r.name) AS chars, r.name
FROM talk LEFT JOIN airun.runs r ON r.id = run_id(100 + n) ORDER BY n;
-- the same through the other doors: one by one, a view, the table, a turn
SELECT count(airun_create_run(id => run_id(200 + n))) FROM talk;
SELECT count(airun_create_run(id => run_id(300 + n))) FROM talk;
SELECT count(airun_create_run(id => run_id(400 + n))) FROM talk;
SELECT count(airun_create_run(id => run_id(500 + n))) FROM talk;
SELECT count(airun_append_message(run_id(200 + n), m.message))
FROM talk, LATERAL (SELECT value AS message FROM jsonb_array_elements(messages)) m;
INSERT INTO ai_messages (run_id, message)
SELECT run_id(300 + n), m.value FROM talk, jsonb_array_elements(messages) WITH ORDINALITY m (value, i) ORDER BY n, i;
INSERT INTO airun.messages (run_id, message)
SELECT run_id(400 + n), m.value FROM talk, jsonb_array_elements(messages) WITH ORDINALITY m (value, i) ORDER BY n, i;
SELECT count(airun_start_turn(run_id(500 + n), messages)) FROM talk;
SELECT a.n, a.name, b.id, b.name FROM (SELECT n, name FROM talk JOIN airun.runs ON id = run_id(100 + n)) a
CROSS JOIN (VALUES (200), (300), (400), (500)) v (base) JOIN airun.runs b ON b.id = run_id(base + n)
WHERE a.name IS DISTINCT FROM b.name;
-- a first user message that gives none leaves it to the next, in one call or in two, by any door
SELECT count(airun_create_run(id => run_id(n))) FROM generate_series(601, 603) n;
SELECT count(*) FROM airun_append_messages(run_id(601),
	'[{"role": "user", "content": [{"type": "image_url"}]}, {"role": "user", "content": "What is it?"}]');
SELECT count(airun_append_message(run_id(602), m)) FROM jsonb_array_elements(
	'[{"role": "user", "content": [{"type": "image_url"}]}, {"role": "user", "content": "What is it?"}]') m;
INSERT INTO airun.messages (run_id, message) SELECT run_id(603), m FROM jsonb_array_elements(
	'[{"role": "user", "content": [{"type": "image_url"}]}, {"role": "user", "content": "What is it?"}]') m;
SELECT id, name FROM airun.runs WHERE id BETWEEN run_id(601) AND run_id(603) ORDER BY id;
-- a name that was given stays
SELECT name FROM airun_create_run(id => run_id(604), name => 'Given');
SELECT count(airun_append_message(run_id(604), '{"role": "user", "content": "Not this"}'));
SELECT name FROM airun.runs WHERE id = run_id(604);
-- and so does one that was made
SELECT count(airun_append_message(run_id(101), '{"role": "user", "content": "Not this"}'));
SELECT name FROM airun.runs WHERE id = run_id(101);

--
-- What the user says about a run
--
\pset tuples_only off
SELECT name FROM airun_create_run('chat', NULL, 'N', 'D', '{"s": 1}', '{"v": 1}', '{t}', '{"m": 1}', run_id(3));
CREATE FUNCTION shown(n int) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', name, description, settings, variable_values, tags, metadata)
	FROM ai_runs WHERE id = run_id(n)
$$;
-- NULL leaves a column, jsonb is replaced, empty is a value
SELECT name, description, tags, metadata FROM airun_update_run(run_id(3)); SELECT shown(3);
SELECT name FROM airun_update_run(run_id(3), name => 'N2'); SELECT shown(3);
SELECT description FROM airun_update_run(run_id(3), description => 'D2'); SELECT shown(3);
SELECT count(*) FROM airun_update_run(run_id(3), settings => '{"t": 2}'); SELECT shown(3);
SELECT count(*) FROM airun_update_run(run_id(3), variable_values => '{"w": null}'); SELECT shown(3);
SELECT tags FROM airun_update_run(run_id(3), tags => '{a,b}'); SELECT shown(3);
SELECT metadata FROM airun_update_run(run_id(3), metadata => '{"n": {"o": []}}'); SELECT shown(3);
SELECT name, description, tags, metadata
FROM airun_update_run(run_id(3), '', '', '{}', '{}', '{}', '{}'); SELECT shown(3);

SELECT is_starred FROM airun_star_run(run_id(3));
SELECT is_starred FROM airun_star_run(run_id(3));
SELECT is_starred FROM airun_toggle_star(run_id(3));
SELECT is_starred FROM airun_toggle_star(run_id(3));
SELECT is_starred FROM airun_star_run(run_id(3), false);
SELECT is_archived FROM airun_archive_run(run_id(3));
SELECT is_archived FROM airun_archive_run(run_id(3), true);
SELECT is_archived FROM airun_archive_run(run_id(3), false);

-- the same through the view
UPDATE ai_runs SET name = 'by view', is_starred = true, tags = '{v}',
	settings = '{"by": "view"}'
WHERE id = run_id(3) RETURNING name, is_starred, tags, settings, messages;
UPDATE ai_runs SET is_starred = NULL, tags = NULL, settings = NULL, status = NULL
WHERE id = run_id(3) RETURNING name, is_starred, tags, settings, status;
INSERT INTO ai_runs (id, source_type, name) VALUES (run_id(4), 'chat', 'by view')
RETURNING name, status, is_starred, tags, metadata, message_count, total_cost, user_id = airun_user_id() AS mine,
	created_at BETWEEN now() AND clock_timestamp() AND updated_at = created_at
	AND last_message_at = created_at AND active_hour = date_trunc('hour', created_at, 'UTC') AS times;
-- an explicit NULL for what the server fills counts as absent
INSERT INTO ai_runs (id, user_id, source_type, settings, variable_values, tags, metadata, message_count,
	task_count, total_tokens, total_cost, status, is_starred, is_archived, created_at, updated_at,
	last_message_at, active_hour)
VALUES (run_id(5), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL)
RETURNING source_type, status, is_starred, is_archived, tags, metadata, settings, variable_values,
	message_count, task_count, total_tokens, total_cost, user_id = airun_user_id() AS mine,
	updated_at = created_at AND last_message_at = created_at AS times;
INSERT INTO ai_runs (id, status) VALUES (run_id(6), 'failed') RETURNING status;
INSERT INTO ai_runs (name) VALUES ('no id') RETURNING substr(id::text, 15, 1) AS version;
-- a row that is sent back whole, as clients do
UPDATE ai_runs r SET (user_id, source_type, source_id, name, description, settings, variable_values, tags,
	metadata, message_count, task_count, total_tokens, total_cost, status, is_starred, is_archived,
	created_at, last_message_at, active_hour)
	= (SELECT s.user_id, s.source_type, s.source_id, 'sent back', s.description, s.settings,
		s.variable_values, s.tags, s.metadata, s.message_count, s.task_count, s.total_tokens, s.total_cost,
		s.status, s.is_starred, s.is_archived, s.created_at, s.last_message_at, s.active_hour
		FROM ai_runs s WHERE s.id = r.id)
WHERE id = run_id(4) RETURNING name, message_count;

--
-- updated_at moves with every change, created_at with none
--
\pset tuples_only on
CREATE TABLE moves (command text);
INSERT INTO moves VALUES
	('SELECT airun_update_run(%L, name => ''x'')'),
	('SELECT airun_star_run(%L)'),
	('SELECT airun_toggle_star(%L)'),
	('SELECT airun_archive_run(%L)'),
	('SELECT airun_archive_run(%L, false)'),
	('SELECT airun_set_run_status(%L, ''error'')'),
	('SELECT airun_append_message(%L, ''{"role": "user", "content": "x"}'')'),
	('SELECT airun_create_task(%L)'),
	('SELECT airun_start_turn(%L)'),
	('UPDATE ai_runs SET name = ''y'' WHERE id = %L RETURNING 1'),
	('UPDATE airun.runs SET is_starred = true WHERE id = %L RETURNING 1'),
	('INSERT INTO ai_messages (run_id, message) VALUES (%L, ''{"role": "user", "content": "x"}'') RETURNING 1'),
	('INSERT INTO airun.messages (run_id, message) VALUES (%L, ''{"role": "user", "content": "x"}'') RETURNING 1'),
	('INSERT INTO airun.tasks (run_id) VALUES (%L) RETURNING 1'),
	('DELETE FROM airun.messages WHERE run_id = %L RETURNING 1'),
	('SELECT airun_delete_run(%L)'),
	('SELECT airun_restore_run(%L)');
CREATE FUNCTION moved(command text, n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before airun.runs;
	behind airun.runs;
	answer text;
BEGIN
	SELECT * INTO before FROM airun.runs WHERE id = run_id(n);
	answer := attempt(format(command, run_id(n)));
	SELECT * INTO behind FROM airun.runs WHERE id = run_id(n);
	RETURN concat_ws(' ', CASE WHEN answer ~ '^[0-9A-Z]{5} ' THEN answer END,
		CASE WHEN behind.updated_at > before.updated_at THEN 'moved' ELSE 'NOT MOVED' END,
		CASE WHEN behind.created_at <> before.created_at THEN 'CREATED_AT CHANGED' END,
		CASE WHEN behind.last_message_at > before.last_message_at THEN 'last_message_at too' END,
		CASE WHEN behind.active_hour <> date_trunc('hour', behind.last_message_at, 'UTC')
			THEN 'WRONG HOUR' END);
END$$;
SELECT count(airun_create_run(id => run_id(7)));
SELECT split_part(split_part(command, '(%L', 1), ' WHERE', 1), moved(command, 7) FROM moves;

-- a late clock never moves it back
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE airun.runs SET updated_at = '2999-01-01 12:34', last_message_at = '2999-01-01 12:34',
	active_hour = '2999-01-01 12:00' WHERE id = run_id(7);
SET LOCAL session_replication_role = origin;
SELECT count(airun_append_message(run_id(7), '{"role": "user", "content": "x"}'));
SELECT count(airun_star_run(run_id(7)));
UPDATE airun.runs SET name = 'z' WHERE id = run_id(7);
INSERT INTO airun.messages (run_id, message) VALUES (run_id(7), '{"role": "user", "content": "x"}');
SELECT updated_at = '2999-01-01 12:34', last_message_at = '2999-01-01 12:34',
	active_hour = '2999-01-01 12:00' FROM airun.runs WHERE id = run_id(7);
SELECT bool_and(created_at = '2999-01-01 12:34') FROM airun.messages WHERE run_id = run_id(7);
ROLLBACK;

--
-- Status: from × to, by each way
--
CREATE FUNCTION status_table(command text) RETURNS TABLE (line text) LANGUAGE plpgsql AS $$
DECLARE
	from_status text;
	to_status text;
	answer text;
BEGIN
	FOREACH from_status IN ARRAY ARRAY['active', 'completed', 'error'] LOOP
		line := from_status || ':';
		FOREACH to_status IN ARRAY ARRAY['active', 'completed', 'error', 'failed', 'done', ''] LOOP
			BEGIN
				PERFORM airun_create_run(id => run_id(8));
				PERFORM airun_set_run_status(run_id(8), from_status);
				answer := attempt(format(command, run_id(8), to_status));
				SELECT CASE WHEN answer ~ '^PT' THEN left(answer, 5) || ' ' ELSE '' END || status
				INTO answer FROM airun.runs WHERE id = run_id(8);
				RAISE EXCEPTION USING ERRCODE = 'TAKEB', MESSAGE = answer;
			EXCEPTION WHEN SQLSTATE 'TAKEB' THEN
				line := line || format(' [%s -> %s]', to_status, SQLERRM);
			END;
		END LOOP;
		RETURN NEXT;
	END LOOP;
END$$;
SELECT status_table('SELECT status FROM airun_set_run_status(%L, %L)');
SELECT status_table('WITH u AS (UPDATE ai_runs SET status = %2$L WHERE id = %1$L RETURNING status) SELECT * FROM u');
SELECT status_table('WITH u AS (UPDATE airun.runs SET status = %2$L WHERE id = %1$L RETURNING status) SELECT * FROM u');
SELECT count(airun_create_run(id => run_id(8)));
SELECT count(airun_set_run_status(run_id(8), 'completed'));
SELECT attempt(format('SELECT airun_set_run_status(%L, %L)', run_id(8), 'error'));
SELECT hint_of(format('SELECT airun_set_run_status(%L, %L)', run_id(8), 'error'));
SELECT attempt(format('UPDATE ai_runs SET status = ''error'' WHERE id = %L', run_id(8)));
SELECT hint_of(format('UPDATE ai_runs SET status = ''error'' WHERE id = %L', run_id(8)));
SELECT attempt(format('SELECT airun_set_run_status(%L, %L)', run_id(8), 'Active'));
SELECT hint_of(format('SELECT airun_set_run_status(%L, %L)', run_id(8), 'Active'));

--
-- What airun keeps, nobody sets
--
SELECT c.col, v.via, attempt(format('UPDATE %s SET %I = %s WHERE id = %L', v.via, c.col, c.value, run_id(8)))
FROM (VALUES (1, 'id', 'airun_uuid()'), (2, 'message_count', 'message_count + 1'), (3, 'task_count', '7'),
	(4, 'total_tokens', '1'), (5, 'total_cost', '1'), (6, 'created_at', 'now() - interval ''1 day'''),
	(7, 'updated_at', '''1999-01-01'''), (8, 'last_message_at', 'now()'),
	(9, 'active_hour', 'now() + interval ''1 day''')) c (i, col, value),
	(VALUES ('ai_runs'), ('airun.runs')) v (via)
ORDER BY c.i, v.via;
SELECT attempt(format('UPDATE ai_runs SET messages = ''[]'' WHERE id = %L', run_id(8)));
SELECT c.col, attempt(format('INSERT INTO ai_runs (id, %I) VALUES (%L, %s)', c.col, run_id(9), c.value))
FROM (VALUES (2, 'message_count', '1'), (3, 'task_count', '7'), (4, 'total_tokens', '1'),
	(5, 'total_cost', '1'), (7, 'updated_at', '''1999-01-01'''),
	(8, 'last_message_at', '''1999-01-01'''), (9, 'active_hour', '''1999-01-01'''),
	(10, 'total_cost', '''NaN''')) c (i, col, value)
ORDER BY c.i;
SELECT count(*) FROM airun.runs WHERE id = run_id(9);

--
-- airun_get_run: all that a client needs to continue
--
SELECT count(airun_create_run('chat', run_id(0), 'Whole', 'D', '{"s": 1}', '{"v": 2}', '{t}', '{"m": 3}', run_id(10)));
SELECT string_agg(key, ' ' ORDER BY i) FROM json_object_keys(airun_get_run(run_id(10))) WITH ORDINALITY k (key, i);
SELECT j -> 'messages', j -> 'first_seq', j -> 'tasks', j -> 'settings', j -> 'variable_values', j -> 'metadata',
	j -> 'tags', j -> 'name', j -> 'source_id'
FROM (SELECT airun_get_run(run_id(10))::jsonb AS j) v;
SELECT count(*) FROM airun_append_messages(run_id(10), (SELECT jsonb_agg(jsonb_build_object('role', 'user', 'content',
	'message ' || i)) FROM generate_series(1, 5) i));
SELECT count(airun_create_task(run_id(10), run_id(1001), 'chat', 'answer', 'p', 'e', 'm', '{"ask": 1}'));
SELECT count(airun_create_task(run_id(10), run_id(1002), request_data => '{"ask": 2}'));
SELECT count(airun_create_task(run_id(10), run_id(1003), request_data => '{"ask": 3}'));
SELECT count(airun_create_task(run_id(10), run_id(1004), request_data => '{"ask": 4}'));
SELECT count(airun_complete_task(run_id(1001), 'whole answer', '{"total_tokens": 3}', 1, 2, response_data => '{"d": 1}'));
SELECT count(airun_update_task(run_id(1002), 'partial', '{"d": 2}'));
SELECT count(airun_fail_task(run_id(1003), '{"e": 1}', response_text => 'failed part'));
-- its columns are those of the view, and what they say
SELECT count(*) AS columns, count(*) FILTER (WHERE key <> 'messages' AND j -> key IS DISTINCT FROM value) AS different
FROM (SELECT airun_get_run(run_id(10))::jsonb AS j) v,
	(SELECT to_jsonb(r) AS r FROM ai_runs r WHERE id = run_id(10)) w, jsonb_each(r);
SELECT airun_get_run(run_id(10))::jsonb -> 'messages' = messages FROM ai_runs WHERE id = run_id(10);
-- the newest messages, and where they begin
SELECT n, j -> 'first_seq', (SELECT string_agg(m ->> 'content', ', ' ORDER BY i)
	FROM json_array_elements(j -> 'messages') WITH ORDINALITY e (m, i)), json_array_length(j -> 'tasks')
FROM (VALUES (NULL), (1), (4), (5), (6), (9223372036854775807)) v (n),
	LATERAL (SELECT airun_get_run(run_id(10), n) AS j) w;
SELECT attempt(format('SELECT airun_get_run(%L, 0)', run_id(10)));
SELECT attempt(format('SELECT airun_get_run(%L, -1)', run_id(10)));
-- tasks: in order, a text only where it is not in a message yet, requests when asked for
SELECT string_agg(key, ' ' ORDER BY i)
FROM json_object_keys(airun_get_run(run_id(10)) -> 'tasks' -> 0) WITH ORDINALITY k (key, i);
SELECT string_agg(key, ' ' ORDER BY i)
FROM json_object_keys(airun_get_run(run_id(10), NULL, true) -> 'tasks' -> 0) WITH ORDINALITY k (key, i);
SELECT with_requests, t -> 'task_id', t ->> 'status', t -> 'response_text', t -> 'response_length',
	t -> 'request_data', t -> 'response_data', t -> 'error'
FROM (VALUES (false), (true)) v (with_requests),
	LATERAL jsonb_array_elements(airun_get_run(run_id(10), NULL, with_requests)::jsonb -> 'tasks') WITH ORDINALITY e (t, i)
ORDER BY with_requests, i;
SELECT airun_get_run(run_id(10), NULL, NULL)::text = airun_get_run(run_id(10))::text;

--
-- Deletion: hidden from every view and function, its money kept
--
SELECT total_tokens, total_cost, task_count, message_count FROM airun.runs WHERE id = run_id(10);
SELECT airun_delete_run(run_id(10)), airun_delete_run(run_id(10));
SELECT (SELECT count(*) FROM ai_runs WHERE id = run_id(10)), (SELECT count(*) FROM ai_run_summaries WHERE id = run_id(10)),
	(SELECT count(*) FROM ai_messages WHERE run_id = run_id(10)), (SELECT count(*) FROM ai_tasks WHERE run_id = run_id(10)),
	(SELECT count(*) FROM airun_list_runs(page_size => 1000) WHERE id = run_id(10)),
	(SELECT count(*) FROM airun_list_runs(page_size => 1000, archived => true) WHERE id = run_id(10));
-- what has begun goes on to its end: late_ends.sql
CREATE TABLE calls (i int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO calls (command) VALUES
	('SELECT airun_get_run(%1$L)'),
	('SELECT airun_update_run(%1$L, name => ''x'')'),
	('SELECT airun_star_run(%1$L)'),
	('SELECT airun_toggle_star(%1$L)'),
	('SELECT airun_archive_run(%1$L)'),
	('SELECT airun_set_run_status(%1$L, ''completed'')'),
	('SELECT airun_append_message(%1$L, ''{"role": "user", "content": "x"}'')'),
	('SELECT airun_append_messages(%1$L, ''[{"role": "user", "content": "x"}]'')'),
	('SELECT airun_append_messages(%1$L, ''[]'')'),
	('SELECT airun_messages(%1$L)'),
	('SELECT airun_create_task(%1$L)'),
	('SELECT airun_create_task(%1$L, %2$L)'),
	('SELECT airun_start_turn(%1$L)'),
	('SELECT airun_start_turn(%1$L, ''[]'', %2$L)'),
	('SELECT airun_stream_read(%2$L)'),
	('SELECT airun_stream_read(%2$L, run_id => %1$L)'),
	('INSERT INTO ai_messages (run_id, message) VALUES (%1$L, ''{"role": "user", "content": "x"}'')'),
	('INSERT INTO ai_tasks (run_id) VALUES (%1$L)'),
	('INSERT INTO airun.messages (run_id, message) VALUES (%1$L, ''{"role": "user", "content": "x"}'')'),
	('INSERT INTO airun.tasks (run_id) VALUES (%1$L)');
SELECT format(command, 'RUN', 'TASK'), attempt(format(command, run_id(10), run_id(1002))) FROM calls ORDER BY i;
SELECT hint_of(format(command, run_id(10), run_id(1002))) FROM calls WHERE i IN (1, 15) ORDER BY i;
-- the same answers for a run and a task that never were
SELECT count(*) AS calls, count(*) FILTER (WHERE
	replace(replace(attempt(format(command, run_id(10), run_id(1002))), run_id(10)::text, 'RUN'), run_id(1002)::text, 'TASK')
	= replace(replace(attempt(format(command, run_id(777), run_id(778))), run_id(777)::text, 'RUN'), run_id(778)::text, 'TASK'))
	AS same
FROM calls;
-- views find nothing to update
WITH u AS (UPDATE ai_runs SET name = 'x' WHERE id = run_id(10) RETURNING 1) SELECT count(*) FROM u;
WITH u AS (UPDATE ai_tasks SET model_id = 'x' WHERE run_id = run_id(10) RETURNING 1) SELECT count(*) FROM u;
SELECT total_tokens, total_cost, task_count, message_count, status, name FROM airun.runs WHERE id = run_id(10);
SELECT * FROM airun_check(run_id(10));
SELECT airun_restore_run(run_id(10)), airun_restore_run(run_id(10));
SELECT message_count, total_tokens, jsonb_array_length(messages) FROM ai_runs WHERE id = run_id(10);
SELECT attempt(format('SELECT airun_delete_run(%L)', run_id(777)));
SELECT attempt(format('SELECT airun_restore_run(%L)', run_id(777)));

-- removed for good, what was deleted before a time and nothing else
SELECT count(airun_create_run(id => run_id(n))) FROM generate_series(21, 24) n;
SELECT count(airun_append_message(run_id(n), '{"role": "user", "content": "x"}')) FROM generate_series(21, 24) n;
SELECT count(airun_create_task(run_id(n))) FROM generate_series(21, 24) n;
SELECT airun_delete_run(run_id(21)), airun_delete_run(run_id(22));
UPDATE airun.runs SET deleted_at = '2001-01-01' WHERE id = run_id(21);
SELECT airun_purge_runs('2001-01-01');
SELECT airun_purge_runs('2001-01-02');
SELECT airun_purge_runs('2001-01-02');
SELECT id FROM airun.runs WHERE id BETWEEN run_id(21) AND run_id(24) ORDER BY id;
SELECT count(*) FROM airun.messages WHERE run_id BETWEEN run_id(21) AND run_id(24);
SELECT count(*) FROM airun.tasks WHERE run_id BETWEEN run_id(21) AND run_id(24);
SELECT airun_restore_run(run_id(22));
SELECT attempt(format('SELECT airun_restore_run(%L)', run_id(21)));

DELETE FROM airun.runs WHERE user_id IN (airun_user_id(), airun_user_uuid('somebody else'),
	'99999999-0000-0000-0000-000000000000');
SELECT * FROM airun_check();
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA run_test CASCADE;
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET client_min_messages;
