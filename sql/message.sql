--
-- Messages: appending by every way, reading, deleting the tail.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA message_test;
SET search_path = message_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8003';
SET client_encoding = 'UTF8';
SET airun.user_id = 'message test';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- a run's messages in short, and whether its counters and places are right
CREATE FUNCTION shown(n int) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s: %s', r.message_count, coalesce((SELECT string_agg(concat_ws('.', m.seq, m.message_id,
		m.message ->> 'content'), ' ' ORDER BY m.seq) FROM airun.messages m WHERE m.run_id = r.id), 'none'))
		|| coalesce((SELECT ' WRONG: ' || string_agg(c.problem, ', ') FROM airun_check(r.id) c), '')
	FROM airun.runs r WHERE r.id = run_id(n)
$$;
SELECT count(airun_create_run(id => run_id(n), name => 'run ' || n)) FROM generate_series(1, 60) n;

--
-- Appending one
--
SELECT (m).seq, (m).message_id, (m).task_id, (m).role, (m).message - 'timestamp', (m).run_id = run_id(1),
	(m).created_at BETWEEN now() AND clock_timestamp(), (m).message ? 'timestamp'
FROM (SELECT airun_append_message(run_id(1), '{"role": "user", "content": "one", "extra": {"deep": [1, null]}}') AS m OFFSET 0) v;
SELECT (airun_append_message(run_id(1), '{"role": "assistant", "content": [{"type": "text", "text": "two"}]}', 'm2')).seq;
-- every role, and everything that content may be
SELECT role, (airun_append_message(run_id(2), jsonb_build_object('role', role, 'content', 'x'))).role = role
FROM unnest(ARRAY['system', 'developer', 'user', 'assistant', 'tool', 'function', 'model', 'data']) role;
SELECT count(airun_append_message(run_id(2), jsonb_build_object('role', 'assistant', 'content', c)))
FROM unnest(ARRAY['""', '"text"', '[]', '{}', '[1, "a", {"b": null}]', '{"text": 1}']::jsonb[]) c;
SELECT k, c, attempt(format('SELECT (airun_append_message(run_id(2), %L)).seq', '{"role": "assistant", "' || k || '": ' || v || c || '}'))
FROM (VALUES ('tool_calls', '[]'), ('parts', '[]'), ('function_call', '{}'), ('refusal', '"no"'), ('audio', '{}'),
	('tool_calls', 'null'), ('name', '"x"')) k (k, v), (VALUES (''), (', "content": null')) c (c);

--
-- The timestamp is ours where the client sent none, and the client's otherwise
--
SELECT n, m.message -> 'timestamp' = to_jsonb(to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AS ours,
	m.message ->> 'timestamp' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$' AS form,
	CASE WHEN n > 2 THEN m.message -> 'timestamp' END AS stored
FROM (VALUES (1, '{"role": "user", "content": "x"}'::jsonb), (2, '{"role": "user", "content": "x", "timestamp": null}'),
	(3, '{"role": "user", "content": "x", "timestamp": "yesterday"}'), (4, '{"role": "user", "content": "x", "timestamp": 17}'),
	(5, '{"role": "user", "content": "x", "timestamp": ""}'), (6, '{"role": "user", "content": "x", "timestamp": {}}')) v (n, message),
	LATERAL airun_append_message(run_id(3), v.message) m ORDER BY n;
BEGIN;
SET LOCAL TimeZone = 'Asia/Kolkata';
SELECT message ->> 'timestamp' = to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
FROM airun_append_message(run_id(3), say('in India'));
COMMIT;

--
-- Appending several: in order, all or none
--
SELECT seq, message_id, role, message ->> 'content', created_at = max(created_at) OVER ()
FROM airun_append_messages(run_id(4), '[{"role": "user", "content": "a"}, {"role": "assistant", "id": "b", "content": "b"},
	{"role": "tool", "content": "c", "tool_call_id": "7"}]');
SELECT seq FROM airun_append_messages(run_id(4), '{"role": "user", "content": "an object alone"}');
SELECT count(*) FROM airun_append_messages(run_id(4), '[]');
SELECT attempt(format('SELECT airun_append_messages(%L, %L)', run_id(4), m)) FROM unnest(ARRAY[
	'[{"role": "user", "content": "x"}, {"role": "user"}]', '[{"role": "user", "content": "x"}, {"role": "nobody", "content": "x"}]',
	'[{"role": "user", "content": "x"}, 1]', '[{"role": "user", "content": "x"}, []]', '[[{"role": "user", "content": "x"}]]',
	'[null]', '"x"', '5', 'null', 'true']) m;
SELECT shown(4);

--
-- The same message_id again returns the stored row; another message under it is a conflict
--
SELECT m.seq, m.message_id FROM airun_append_message(run_id(5), say('one'), 'm1') m;
SELECT a.seq, to_jsonb(a) = to_jsonb(b) AS same FROM airun_append_message(run_id(5), say('one'), 'm1') a, ai_messages b
WHERE b.run_id = run_id(5) AND b.seq = 1;
-- its timestamp aside
SELECT seq, message ->> 'timestamp' = 'later' FROM airun_append_message(run_id(5), say('one') || '{"timestamp": "later"}', 'm1');
SELECT attempt(format('SELECT airun_append_message(%L, say(''other''), ''m1'')', run_id(5)));
SELECT hint_of(format('SELECT airun_append_message(%L, say(''other''), ''m1'')', run_id(5)));
-- the id may stand in the object; the argument goes before it
SELECT seq, message_id FROM airun_append_message(run_id(5), say('two') || '{"id": "m2"}');
SELECT seq, message_id FROM airun_append_message(run_id(5), say('two') || '{"id": "m2"}');
SELECT seq, message_id FROM airun_append_message(run_id(5), say('two') || '{"id": "m2"}', 'm2');
SELECT attempt(format('SELECT airun_append_message(%L, say(''two''), ''m2'')', run_id(5)));
SELECT seq, message_id FROM airun_append_message(run_id(5), say('two') || '{"id": "m2"}', 'm3');
-- no id at all: each is another one; so is what cannot be an id
SELECT seq, message_id FROM (VALUES (1, '{}'::jsonb), (2, '{}'), (3, '{"id": 7}'), (4, '{"id": 7}'), (5, '{"id": ""}'), (6, '{"id": ""}'),
	(7, '{"id": null}'), (8, '{"id": true}'), (9, '{"id": {}}')) v (n, more),
	LATERAL airun_append_message(run_id(6), say('x') || more) ORDER BY n;
SELECT seq, char_length(message_id) FROM airun_append_message(run_id(6), say('x') || jsonb_build_object('id', repeat('é', 200)));
-- an id is the run's own
SELECT (airun_append_message(run_id(7), say('elsewhere'), 'm1')).seq;
-- among several: those that are there are returned, the others appended
SELECT seq, message_id, message ->> 'content' FROM airun_append_messages(run_id(5),
	'[{"role": "user", "content": "four", "id": "m4"}, {"role": "user", "content": "two", "id": "m2"}, {"role": "user", "content": "five"}]');
SELECT seq, message_id, message ->> 'content' FROM airun_append_messages(run_id(5),
	'[{"role": "user", "content": "four", "id": "m4"}, {"role": "user", "content": "two", "id": "m2"}]');
SELECT attempt(format('SELECT airun_append_messages(%L, %L)', run_id(5),
	'[{"role": "user", "content": "new", "id": "m5"}, {"role": "user", "content": "not two", "id": "m2"}]'));
-- an id twice in one call
SELECT attempt(format('SELECT airun_append_messages(%L, %L)', run_id(5),
	'[{"role": "user", "content": "x", "id": "m6"}, {"role": "user", "content": "x", "id": "m6"}]'));
SELECT shown(5);

--
-- A task_id must be one of the run's
--
SELECT count(airun_create_task(run_id(n), run_id(100 + n))) FROM generate_series(8, 9) n;
SELECT seq, task_id FROM airun_append_message(run_id(8), say('x'), task_id => run_id(108));
SELECT attempt(format('SELECT airun_append_message(%L, say(''x''), task_id => %L)', run_id(8), t)) FROM unnest(ARRAY[run_id(109), run_id(999)]) t;
SELECT attempt(format('INSERT INTO ai_messages (run_id, message, task_id) VALUES (%L, say(''x''), %L)', run_id(8), t))
FROM unnest(ARRAY[run_id(108), run_id(109), run_id(999)]) t;
SELECT attempt(format('INSERT INTO airun.messages (run_id, message, task_id) VALUES (%L, say(''x''), %L)', run_id(8), t))
FROM unnest(ARRAY[run_id(108), run_id(109), run_id(999)]) t;
SELECT shown(8);

--
-- ai_messages: an insert is an append
--
INSERT INTO ai_messages (run_id, message) VALUES (run_id(10), say('one'))
RETURNING seq, message_id, task_id, role, message - 'timestamp', created_at BETWEEN now() AND clock_timestamp();
INSERT INTO ai_messages (run_id, message, seq, message_id, role, created_at, task_id)
VALUES (run_id(10), say('two'), NULL, NULL, NULL, NULL, NULL) RETURNING seq, role;
INSERT INTO ai_messages (run_id, seq, message, message_id, role) VALUES (run_id(10), 3, say('three'), 'm3', 'user') RETURNING seq, message_id;
INSERT INTO ai_messages (run_id, message) VALUES (run_id(10), say('four') || '{"id": "m4"}'), (run_id(11), say('one')),
	(run_id(10), say('five')) RETURNING run_id, seq, message_id;
-- again: the stored row
INSERT INTO ai_messages (run_id, message, message_id) VALUES (run_id(10), say('three'), 'm3') RETURNING seq, message_id;
INSERT INTO ai_messages (run_id, message, message_id, seq) VALUES (run_id(10), say('three'), 'm3', 3) RETURNING seq;
SELECT attempt(format('INSERT INTO ai_messages (run_id, message, %s) VALUES (%L, say(''x''), %s)', c, run_id(10), v)) FROM (VALUES
	('seq', '7'), ('seq', '5'), ('seq', '1'), ('seq', '0'), ('seq', '-1'), ('role', '''assistant'''), ('role', ''''''),
	('created_at', 'now()'), ('message_id', '''m3'''), ('message_id', ''''''), ('message_id', 'repeat(''x'', 201)')) v (c, v);
SELECT hint_of(format('INSERT INTO ai_messages (run_id, message, seq) VALUES (%L, say(''x''), 7)', run_id(10)));
SELECT attempt(format('UPDATE ai_messages SET seq = seq + 1 WHERE run_id = %L AND seq = 5', run_id(10)));
SELECT shown(10), shown(11);
-- deleted from the tail only, one or several
SELECT attempt(format('DELETE FROM ai_messages WHERE run_id = %L AND seq = %s', run_id(10), n)) FROM generate_series(1, 4) n;
SELECT hint_of(format('DELETE FROM ai_messages WHERE run_id = %L AND seq = 2', run_id(10)));
SELECT attempt(format('DELETE FROM ai_messages WHERE run_id = %L AND seq = 5', run_id(10)));
SELECT shown(10);
SELECT (airun_append_message(run_id(10), say('five again'))).seq;
SELECT attempt(format('DELETE FROM ai_messages WHERE run_id = %L AND seq IN (3, 5)', run_id(10)));
SELECT attempt(format('DELETE FROM ai_messages WHERE run_id = %L AND seq > 2', run_id(10)));
SELECT shown(10);
SELECT attempt(format('DELETE FROM ai_messages WHERE run_id = %L', run_id(10)));
SELECT shown(10);

--
-- airun.messages: an insert is an append there, too
--
INSERT INTO airun.messages (run_id, message) VALUES (run_id(12), say('one')) RETURNING seq, message - 'timestamp', message ? 'timestamp';
INSERT INTO airun.messages (run_id, seq, message) VALUES (run_id(12), 2, say('two')) RETURNING seq;
-- many rows in one statement, and of several runs, with their places and without
INSERT INTO airun.messages (run_id, message, message_id) SELECT run_id(12 + n % 3), say('row ' || n), 'n' || n FROM generate_series(1, 9) n;
INSERT INTO airun.messages (run_id, seq, message) SELECT run_id(12 + n % 2), 6 + n / 2 - n % 2 * 2, say('at ' || n) FROM generate_series(0, 3) n;
SELECT shown(n) FROM generate_series(12, 14) n;
INSERT INTO airun.messages (run_id, message) VALUES (run_id(15), say('x') || '{"id": "own"}') RETURNING message_id;
SELECT attempt(format('INSERT INTO airun.messages (run_id, message, %s) VALUES (%L, say(''x''), %s)', c, run_id(15), v)) FROM (VALUES
	('seq', '1'), ('seq', '3'), ('seq', '0'), ('seq', '-1'), ('seq', '9223372036854775807'), ('message_id', ''''''),
	('message_id', 'repeat(''x'', 201)'), ('message_id', '''own''')) v (c, v);
SELECT attempt(format('INSERT INTO airun.messages (run_id, message, created_at) VALUES (%L, say(''x''), ''2001-01-01'')', run_id(19)));
SELECT attempt(format('INSERT INTO airun.messages (run_id, seq, message) VALUES (%1$L, 3, say(''x'')), (%1$L, 2, say(''x''))', run_id(15)));
SELECT attempt(format('INSERT INTO airun.messages (run_id, message) VALUES (%L, say(''x'')), (%L, %L)', run_id(15), run_id(15), m))
FROM unnest(ARRAY['{"role": "user"}', '[]', '"x"', '{}', 'null']) m;
-- conflicts that are skipped are not counted
INSERT INTO airun.messages (run_id, message, message_id) VALUES (run_id(15), say('x'), 'own'), (run_id(15), say('y'), 'y')
ON CONFLICT DO NOTHING RETURNING seq, message_id;
INSERT INTO airun.messages (run_id, message, message_id) VALUES (run_id(15), say('x'), 'own') ON CONFLICT DO NOTHING RETURNING seq;
SELECT shown(15);
-- a message stays as it is
SELECT attempt(format('UPDATE airun.messages SET %s = %s WHERE run_id = %L AND seq = 2', c, v, run_id(15))) FROM (VALUES
	('message', 'say(''z'')'), ('message', 'message || ''{"a": 1}'''), ('seq', 'seq + 1'), ('run_id', 'run_id(1)'), ('created_at', 'created_at + ''1 s'''),
	('message_id', '''z'''), ('message_id', 'NULL'), ('task_id', 'run_id(1)'), ('message', 'message'), ('seq', '2')) v (c, v);
-- the tail of several runs in one statement
SELECT attempt(format('DELETE FROM airun.messages WHERE run_id = %L AND seq = %s', run_id(12), n)) FROM generate_series(1, 6) n;
SELECT attempt(format('DELETE FROM airun.messages WHERE (run_id = %L AND seq > 5) OR (run_id = %L AND seq = 1)', run_id(12), run_id(14)));
SELECT attempt(format('DELETE FROM airun.messages WHERE (run_id = %L AND seq > 5) OR (run_id = %L AND seq > 1)', run_id(12), run_id(14)));
SELECT shown(n) FROM generate_series(12, 14) n;
SELECT attempt('DELETE FROM airun.messages WHERE run_id = run_id(12)');
SELECT shown(12);
SELECT last_message_at = created_at, active_hour = date_trunc('hour', created_at, 'UTC') FROM airun.runs WHERE id = run_id(12);
SELECT (airun_append_message(run_id(12), say('anew'))).seq;
-- a statement for no row at all
INSERT INTO airun.messages (run_id, message) SELECT run_id(12), say('x') WHERE false;
DELETE FROM airun.messages WHERE run_id = run_id(999);
INSERT INTO ai_messages (run_id, message) SELECT run_id(12), say('x') WHERE false;
SELECT shown(12);

--
-- A completed run takes no message, whatever the way; one that it has is returned
--
SELECT (airun_append_message(run_id(16), say('before'), 'm1')).seq;
SELECT (airun_create_task(run_id(16), run_id(116))).status;
SELECT (airun_set_run_status(run_id(16), 'completed')).status;
CREATE TABLE ways (i int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO ways (command) VALUES
	('SELECT airun_append_message(%L, say(''x''))'),
	('SELECT airun_append_message(%L, say(''x''), ''id'')'),
	('SELECT airun_append_messages(%L, jsonb_build_array(say(''x''), say(''y'')))'),
	('SELECT airun_append_messages(%L, ''[{"role": "user", "content": "before", "id": "m1"}, {"role": "user", "content": "x"}]'')'),
	('SELECT airun_start_turn(%L, say(''x''))'),
	('SELECT airun_start_turn(%L)'),
	('SELECT airun_create_task(%L)'),
	('INSERT INTO ai_messages (run_id, message) VALUES (%L, say(''x''))'),
	('INSERT INTO ai_messages (run_id, message) VALUES (%1$L, say(''x'')), (%1$L, say(''y''))'),
	('INSERT INTO airun.messages (run_id, message) VALUES (%L, say(''x''))'),
	('INSERT INTO airun.messages (run_id, message) VALUES (%1$L, say(''x'')), (%1$L, say(''y''))'),
	('INSERT INTO ai_tasks (run_id) VALUES (%L)'),
	('INSERT INTO ai_tasks (run_id, status) VALUES (%L, ''completed'')'),
	('INSERT INTO airun.tasks (run_id) VALUES (%L)'),
	('INSERT INTO airun.tasks (run_id, status) VALUES (%L, ''error'')');
DELETE FROM ways WHERE i = 4;
SELECT format(command, 'RUN'), attempt(format(command, run_id(16))) FROM ways ORDER BY i;
SELECT DISTINCT hint_of(format(command, run_id(16))) FROM ways;
SELECT seq FROM airun_append_message(run_id(16), say('before'), 'm1');
SELECT seq FROM airun_append_messages(run_id(16), '[]');
INSERT INTO ai_messages (run_id, message, message_id) VALUES (run_id(16), say('before'), 'm1') RETURNING seq;
SELECT shown(16), status, task_count FROM airun.runs WHERE id = run_id(16);
-- but its tail may be deleted, and a task that has begun may end with its message
SELECT count(airun_finish_turn(run_id(116), '{"role": "assistant", "content": "late"}'));
SELECT shown(16), status FROM airun.runs WHERE id = run_id(16);
DELETE FROM airun.messages WHERE run_id = run_id(16) AND seq = 2;
SELECT shown(16), status FROM airun.runs WHERE id = run_id(16);
-- reopened, it takes them all
SELECT (airun_set_run_status(run_id(16), 'active')).status;
SELECT count(*), count(*) FILTER (WHERE attempt(format(command, run_id(16))) ~ '^[0-9A-Z]{5} ') AS refused FROM ways;
SELECT shown(16), task_count FROM airun.runs WHERE id = run_id(16);

--
-- A run in error becomes active with the next message, by every way
--
CREATE FUNCTION status_after(command text, n int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	PERFORM airun_set_run_status(run_id(n), 'active');
	PERFORM airun_set_run_status(run_id(n), 'error');
	answer := attempt(format(command, run_id(n)));
	RETURN concat_ws(' ', CASE WHEN answer ~ '^[0-9A-Z]{5} ' THEN answer END, (SELECT status FROM airun.runs WHERE id = run_id(n)));
END$$;
SELECT format(command, 'RUN'), status_after(command, 17) FROM ways ORDER BY i;
-- reading and retrying do not
SELECT status_after('SELECT airun_messages(%L)', 17), status_after('SELECT airun_append_message(%L, say(''x''), ''id'')', 17),
	status_after('SELECT airun_append_messages(%L, ''[]'')', 17);

--
-- The size limit, to the byte, by every way
--
SET airun.max_message_size = '1kB';
SELECT content AS fits, content || 'x' AS large FROM (SELECT repeat('x', n) AS content FROM generate_series(800, 1024) n) v
WHERE pg_column_size(say(content)) = 1024 \gset
SELECT attempt(format('SELECT (airun_append_message(%L, say(%L))).seq', run_id(18), :'fits'));
SELECT attempt(format('SELECT (airun_append_message(%L, say(%L))).seq', run_id(18), :'large'));
SELECT hint_of(format('SELECT (airun_append_message(%L, say(%L))).seq', run_id(18), :'large'));
SELECT attempt(format('SELECT airun_append_messages(%L, jsonb_build_array(say(''x''), say(%L)))', run_id(18), :'large'));
SELECT attempt(format('INSERT INTO ai_messages (run_id, message) VALUES (%L, say(%L))', run_id(18), :'large'));
SELECT attempt(format('INSERT INTO airun.messages (run_id, message) VALUES (%L, say(%L))', run_id(18), :'large'));
SELECT attempt(format('SELECT airun_start_turn(%L, say(%L))', run_id(18), :'large'));
SELECT (airun_create_task(run_id(18), run_id(118))).status;
SELECT attempt(format('SELECT airun_finish_turn(%L, say(%L))', run_id(118), :'large'));
SELECT attempt(format('SELECT airun_finish_turn(%L, response_text => %L)', run_id(118), :'large' || 'more than that'));
SELECT shown(18) = '1: 1.' || :'fits', task_count FROM airun.runs WHERE id = run_id(18);
RESET airun.max_message_size;
-- what compresses well is as large as it is
SELECT attempt(format('SELECT airun_append_message(%L, say(repeat(''x'', 17000000)))', run_id(18)));
-- the setting is a superuser's
SELECT context FROM pg_settings WHERE name = 'airun.max_message_size';

--
-- Ranges: every combination against plain SQL
--
SELECT count(airun_append_message(run_id(20), say('message ' || n))) FROM generate_series(1, 12) n;
CREATE FUNCTION reference(run uuid, after bigint, before bigint, max bigint, from_end boolean) RETURNS jsonb LANGUAGE sql AS $$
	SELECT coalesce(jsonb_agg(message ORDER BY seq), '[]') FROM (
		SELECT seq, message FROM airun.messages
		WHERE run_id = run AND (after IS NULL OR seq > after) AND (before IS NULL OR seq < before)
		ORDER BY CASE WHEN from_end THEN -seq ELSE seq END LIMIT max) v
$$;
SELECT count(*), count(*) FILTER (WHERE airun_messages(run_id(n), after, before, max, from_end)::jsonb
	IS DISTINCT FROM reference(run_id(n), after, before, max, from_end)) AS different
FROM (VALUES (20), (21)) r (n),
	unnest(ARRAY[NULL, -9223372036854775808, -1, 0, 1, 2, 6, 11, 12, 13, 9223372036854775807]::bigint[]) after,
	unnest(ARRAY[NULL, -9223372036854775808, -1, 0, 1, 2, 7, 12, 13, 14, 9223372036854775807]::bigint[]) before,
	unnest(ARRAY[NULL, 1, 2, 5, 11, 12, 13, 9223372036854775807]::bigint[]) max,
	unnest(ARRAY[NULL, false, true]) from_end;
SELECT airun_messages(run_id(21));
SELECT airun_messages(run_id(20), 3, 6)::jsonb #>> '{0,content}', json_array_length(airun_messages(run_id(20), 3, 6));
SELECT attempt(format('SELECT airun_messages(%L, max_messages => %s)', run_id(20), n)) FROM unnest(ARRAY[0, -1, -9223372036854775808]) n;

--
-- The array is the same by every way, for random documents
--
CREATE FUNCTION random_string() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT CASE floor(random() * 6)::int WHEN 0 THEN '' WHEN 1 THEN repeat('long ', floor(random() * 300)::int)
		ELSE (SELECT coalesce(string_agg((ARRAY['a', ' ', '"', '\', '/', E'\n', E'\t', E'\r', E'\b', E'\f', E'\x01', E'\x1f', E'\x7f', 'é',
			'漢', '😀', U&'\2028', '<', '&', 'null'])[1 + floor(random() * 20)::int], ''), '') FROM generate_series(1, floor(random() * 20)::int)) END
$$;
CREATE FUNCTION random_document(depth int) RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	elements int := floor(random() * 5);
	answer jsonb;
BEGIN
	CASE floor(random() * CASE WHEN depth > 0 THEN 10 ELSE 6 END)::int
		WHEN 0 THEN RETURN 'null';
		WHEN 1 THEN RETURN to_jsonb(random() < 0.5);
		WHEN 2 THEN RETURN to_jsonb((random() * 1000 - 500)::numeric * 10::numeric ^ floor(random() * 60 - 30)::int);
		WHEN 3 THEN RETURN to_jsonb(floor(random() * 100)::int);
		WHEN 4, 5 THEN RETURN to_jsonb(random_string());
		WHEN 6, 7 THEN
			answer := '[]';
			FOR i IN 1..CASE WHEN random() < 0.05 THEN 31 + floor(random() * 3)::int ELSE elements END LOOP
				answer := answer || jsonb_build_array(random_document(depth - 1));
			END LOOP;
		ELSE
			answer := '{}';
			FOR i IN 1..elements LOOP
				answer := answer || jsonb_build_object(random_string(), random_document(depth - 1));
			END LOOP;
	END CASE;
	RETURN answer;
END$$;
CREATE FUNCTION random_message() RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	content jsonb := random_document(3);
BEGIN
	IF jsonb_typeof(content) NOT IN ('string', 'array', 'object') THEN
		content := to_jsonb(random_string());
	END IF;
	RETURN jsonb_build_object(random_string(), random_document(2), 'metadata', random_document(3), 'content', content,
		'role', (ARRAY['system', 'user', 'assistant', 'tool'])[1 + floor(random() * 4)::int])
		|| CASE WHEN random() < 0.3 THEN '{"timestamp": "2026-01-01T00:00:00Z"}' ELSE '{}' END::jsonb;
END$$;
SELECT setseed(0.42);
CREATE TABLE sent AS SELECT n, i, random_message() AS message
FROM (VALUES (30, 0), (31, 1), (32, 31), (33, 32), (34, 33), (35, 1000), (36, 903)) v (n, messages), generate_series(1, messages) i;
SELECT count(*), count(DISTINCT message) > 1900 AS random FROM sent;
-- appended one by one, several at a time, and past the functions
SELECT count(airun_append_message(run_id(n), message)) FROM (SELECT * FROM sent WHERE n < 35 ORDER BY n, i) v;
SELECT count(*) FROM (SELECT i / 100 AS part, jsonb_agg(message ORDER BY i) AS messages FROM sent WHERE n = 35 GROUP BY 1 ORDER BY 1) v,
	LATERAL airun_append_messages(run_id(35), messages);
INSERT INTO airun.messages (run_id, message) SELECT run_id(n), message FROM sent WHERE n = 36 ORDER BY i;
SELECT count(*) AS different FROM sent s FULL JOIN (SELECT * FROM airun.messages WHERE run_id BETWEEN run_id(30) AND run_id(36)) m
	ON m.run_id = run_id(s.n) AND m.seq = s.i
WHERE s.message IS NULL OR m.message IS NULL OR m.message - 'timestamp' <> s.message - 'timestamp'
	OR s.message ? 'timestamp' AND m.message <> s.message;
SELECT n, jsonb_array_length(r.messages), r.messages = a.messages AS view, airun_messages(r.id)::jsonb = a.messages AS function,
	(airun_get_run(r.id) -> 'messages')::jsonb = a.messages AS get_run, r.messages::text = a.messages::text AS text,
	pg_column_size(r.messages) = pg_column_size(a.messages) AS size
FROM generate_series(30, 36) n JOIN ai_runs r ON r.id = run_id(n),
	LATERAL (SELECT coalesce(jsonb_agg(message ORDER BY seq), '[]') AS messages FROM airun.messages WHERE run_id = r.id) a
ORDER BY n;
SELECT bool_and(airun_messages(run_id(35), i - 1, max_messages => 1)::jsonb -> 0 = m.message)
FROM airun.messages m JOIN generate_series(1, 1000) i ON m.seq = i WHERE m.run_id = run_id(35);

--
-- Order: seq has no gap, times never go back, after all of the above
--
SELECT count(*) FROM (SELECT seq - row_number() OVER w AS gap, created_at < lag(created_at) OVER w AS back
	FROM airun.messages WINDOW w AS (PARTITION BY run_id ORDER BY seq)) v WHERE gap <> 0 OR back;
SELECT r.id FROM airun.runs r WHERE r.last_message_at
	<> coalesce((SELECT max(m.created_at) FROM airun.messages m WHERE m.run_id = r.id), r.created_at);

DELETE FROM airun.runs WHERE user_id = airun_user_id();
SELECT count(*) FROM airun.messages WHERE run_id BETWEEN run_id(0) AND run_id(9999);
SELECT * FROM airun_check();
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA message_test CASCADE;
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET client_min_messages;
