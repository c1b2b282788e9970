--
-- Progress of tasks: text in pieces, followed while it comes, whole at the end.
-- (What clients do to each other, what it costs, crashes and notifications are
-- tested in test/.)
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA stream_test;
SET search_path = stream_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8010';
SET client_encoding = 'UTF8';
SET airun.user_id = 'stream test';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- the pieces that are stored, with the length up to the end of each
CREATE FUNCTION pieces(n int) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce('generation ' || max(generation) || ': ' || string_agg(format('[%s]%s', chunk, chars), ' ' ORDER BY chars), 'no piece')
	FROM airun.task_chunks WHERE task_id = task_id(n)
$$;
-- a task and its text as users see it, and what airun_check() says of its run
CREATE FUNCTION state(n int) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', t.status, coalesce(t.response_text, '(null)'), t.response_data::text,
		(SELECT 'generation ' || s.generation || ' up to ' || s.position FROM airun_stream_read(t.task_id, run_id => t.run_id) AS s),
		(SELECT count(*) || ' pieces' FROM airun.task_chunks AS c WHERE c.task_id = t.task_id),
		(SELECT 'WRONG: ' || string_agg(c.problem, ', ') FROM airun_check(t.run_id) AS c))
	FROM ai_tasks AS t WHERE t.task_id = task_id(n)
$$;
SELECT count(airun_create_run(id => run_id(n), name => 'run ' || n)) FROM generate_series(1, 20) AS n;

--
-- The whole text so far, and the new piece alone: as the owner of the store,
-- and the same as an API role
--
SELECT new_tasks(1, 3);
-- a late save leaves the time, too; a late text leaves its response_data behind
CREATE TABLE steps (step int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO steps (command) VALUES
	-- the first progress is the beginning of the stream
	('SELECT (status, response_length, time_to_first_token > 0, completed_at) FROM airun_update_task(task_id(1), ''Hel'')'),
	('SELECT (status, response_length) FROM airun_update_task(task_id(1), ''Hello'')'),
	('SELECT pieces(1)'),
	-- the same again, late ones, none
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hello'')'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hell'')'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hel'')'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''H'')'),
	('SELECT response_length FROM airun_update_task(task_id(1), '''')'),
	('SELECT response_length FROM airun_update_task(task_id(1), NULL)'),
	('SELECT response_length FROM airun_update_task(task_id(1))'),
	('SELECT pieces(1)'),
	-- another text
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hullo'')'),
	('SELECT pieces(1)'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hi'')'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hi there'')'),
	('SELECT pieces(1)'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hit'')'),
	('SELECT state(1)'),
	-- data alone, with more text, with the same, with a late one, with another
	('SELECT response_length FROM airun_update_task(task_id(1), response_data => ''{"alone": 1}'')'),
	('SELECT state(1)'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hits'', ''{"more": 2}'')'),
	('SELECT state(1)'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hits'', ''{"same": 3}'')'),
	('SELECT state(1)'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hi'', ''{"late": 4}'')'),
	('SELECT response_length FROM airun_update_task(task_id(1), '''', ''{"late": 5}'')'),
	('SELECT state(1)'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Ho'', ''{"other": 6}'')'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Ho, ho'')'),
	('SELECT state(1)'),
	-- pieces: behind what is there, wherever that is, or where they belong
	('SELECT (status, response_length, time_to_first_token > 0) FROM airun_stream_delta(task_id(2), ''Hel'')'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), ''lo'', 3)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), '', wor'', 5)'),
	('SELECT pieces(2)'),
	-- once more; all of it; with more; within one piece, over two, over three; nothing
	('SELECT response_length FROM airun_stream_delta(task_id(2), '', wor'', 5)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), ''Hello'', 0)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), ''e'', 1)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), ''llo,'', 2)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), '''', 10)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), '''', 4)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), '''')'),
	('SELECT pieces(2)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), ''lo, world'', 3)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), ''d'', 11)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), ''Hello, world!'', 0)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), ''!'')'),
	('SELECT pieces(2)'),
	-- what does not fit
	('SELECT airun_stream_delta(task_id(2), ''lo, wurld!'', 3)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), ''lo, world!! And'', 3)'),
	('SELECT airun_stream_delta(task_id(2), ''lo, world!? And'', 3)'),
	('SELECT airun_stream_delta(task_id(2), ''h'', 0)'),
	('SELECT airun_stream_delta(task_id(2), ''x'', 19)'),
	('SELECT airun_stream_delta(task_id(2), ''x'', 20)'),
	('SELECT airun_stream_delta(task_id(2), '''', 20)'),
	('SELECT airun_stream_delta(task_id(2), ''x'', 9223372036854775807)'),
	('SELECT airun_stream_delta(task_id(2), ''x'', -1)'),
	('SELECT airun_stream_delta(task_id(2), NULL, 18)'),
	('SELECT airun_stream_delta(NULL, ''x'')'),
	('SELECT airun_update_task(NULL, ''x'')'),
	('SELECT airun_stream_delta(task_id(3), ''x'', 1)'),
	('SELECT state(3)'),
	('SELECT state(2)'),
	-- both ways by turns
	('SELECT response_length FROM airun_update_task(task_id(2), ''Hello, world!! And more'')'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), '' to come'', 23)'),
	('SELECT response_length FROM airun_update_task(task_id(2), ''Hello, world!! And more to'')'),
	('SELECT response_length FROM airun_update_task(task_id(2), ''All is different'')'),
	('SELECT airun_stream_delta(task_id(2), '' to come'', 23)'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), '' now'', 16)'),
	('SELECT state(2)'),
	-- no such task, and one of another run
	('SELECT airun_update_task(task_id(99), ''x'')'),
	('SELECT airun_stream_delta(task_id(99), ''x'')'),
	('SELECT airun_stream_read(task_id(99))'),
	('SELECT airun_update_task(task_id(2), ''x'', run_id => run_id(2))'),
	('SELECT airun_stream_delta(task_id(2), ''x'', run_id => run_id(2))'),
	('SELECT airun_stream_read(task_id(2), run_id => run_id(2))'),
	('SELECT response_length FROM airun_stream_delta(task_id(2), ''.'', run_id => run_id(1))'),
	('SELECT position FROM airun_stream_read(task_id(2), run_id => run_id(1))'),
	-- progress of a finished task
	('SELECT status FROM airun_complete_task(task_id(2), tokens_total => 5)'),
	('SELECT (status, response_length, tokens_total) FROM airun_update_task(task_id(2), ''All is different now. And late'', ''{"late": 7}'')'),
	('SELECT (status, response_length, tokens_total) FROM airun_stream_delta(task_id(2), ''late'')'),
	('SELECT (status, response_length, tokens_total) FROM airun_stream_delta(task_id(2), ''late'', 500)'),
	('SELECT (status, response_length, tokens_total) FROM airun_update_task(task_id(2))'),
	('SELECT state(2)'),
	-- the text in a summary there is, and in none
	('SELECT count(*) FROM airun_update_task(task_id(1), ''Ho, ho, needle'') AS s WHERE s::text LIKE ''%needle%'''),
	('SELECT count(*) FROM airun_stream_delta(task_id(1), ''needle'') AS s WHERE s::text LIKE ''%needle%'' OR s::text LIKE ''%other%'''),
	('SELECT count(*) FROM airun_complete_task(task_id(1)) AS s WHERE s::text LIKE ''%needle%'' OR s::text LIKE ''%other%'''),
	('SELECT state(1)');
-- in a run of its own, told as if it were the test's
CREATE FUNCTION story(place text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := '';
	s steps;
BEGIN
	PERFORM set_config('helpers.ids', '00000000-0000-4000-8' || place, true);
	PERFORM airun_create_run(id => run_id(n)) FROM generate_series(1, 2) AS n;
	PERFORM new_tasks(1, 3);
	FOR s IN SELECT * FROM steps ORDER BY step LOOP
		result := result || format(E'%s\n    %s\n', s.command, attempt(s.command));
	END LOOP;
	RETURN regexp_replace(result, '(-[89])' || place || '-', '\1010-', 'g');
END$$;
SELECT story('011') AS of_owner \gset
\echo :of_owner
CREATE ROLE regress_airun_stream;
SELECT airun_grant('regress_airun_stream');
GRANT USAGE ON SCHEMA stream_test TO regress_airun_stream;
GRANT SELECT ON ALL TABLES IN SCHEMA stream_test TO regress_airun_stream;
SET ROLE regress_airun_stream;
SELECT story('012') = :'of_owner' AS same_as_api_role;
RESET ROLE;
-- what is said to who sends what does not fit
SELECT count(airun_stream_delta(task_id(2), 'Grüße, 世界'));
SELECT hint_of('SELECT airun_stream_delta(task_id(2), ''x'', 10)');
SELECT hint_of('SELECT airun_stream_delta(task_id(2), ''Wörld'', 7)');
SELECT hint_of('SELECT airun_stream_delta(task_id(2), ''x'', -5)');
SELECT hint_of('SELECT airun_stream_delta(task_id(2), NULL)');
-- a text that no message could hold
SELECT attempt('SELECT airun_update_task(task_id(3), repeat(''x'', 268435456))');
SELECT attempt('SELECT airun_stream_delta(task_id(3), repeat(''x'', 268435456))');
SELECT hint_of('SELECT airun_update_task(task_id(3), repeat(''x'', 268435456))');
SELECT state(3);

--
-- When
--
SELECT new_tasks(5, 6);
SELECT created_at AS created FROM ai_tasks WHERE task_id = task_id(5) \gset
SELECT updated_at AS first, time_to_first_token AS token FROM airun_update_task(task_id(5), 'a') \gset
SELECT :'first' > :'created', :token = round(extract(epoch FROM :'first'::timestamptz - :'created') * 1000, 3) OR :token <= extract(epoch FROM clock_timestamp() - :'created') * 1000;
SELECT updated_at AS second FROM airun_stream_delta(task_id(5), 'b') \gset
SELECT :'second' > :'first', updated_at = :'second', time_to_first_token = :token, completed_at FROM ai_tasks WHERE task_id = task_id(5);
-- the task's row is not touched by the second; a late save moves nothing
SELECT updated_at < :'second' FROM airun.tasks WHERE task_id = task_id(5);
SELECT xmin AS version, ctid AS place FROM airun.tasks WHERE task_id = task_id(5) \gset
SELECT updated_at = :'second' FROM airun_update_task(task_id(5), 'a');
SELECT updated_at = :'second' FROM airun_stream_delta(task_id(5), 'b', 1);
SELECT updated_at > :'second' FROM airun_update_task(task_id(5), 'abc');
SELECT updated_at > :'second' FROM airun_update_task(task_id(5), 'x');
SELECT xmin = :version AND ctid = :'place' FROM airun.tasks WHERE task_id = task_id(5);
-- the same by each way of reading
SELECT t.updated_at = s.updated_at, t.updated_at = (j ->> 'updated_at')::timestamptz, j ->> 'response_length'
FROM ai_tasks AS t, airun_create_task(run_id(1), task_id(5)) AS s, json_array_elements(airun_get_run(run_id(1)) -> 'tasks') AS j
WHERE t.task_id = task_id(5) AND (j ->> 'task_id')::uuid = task_id(5);
SELECT is_overdue FROM ai_tasks WHERE task_id = task_id(5);

--
-- Late saves: the beginning of what is stored, at every length
--
CREATE FUNCTION long_text() RETURNS text LANGUAGE sql IMMUTABLE AS
$$SELECT string_agg(substr('abcdefgäöüß世界😀xyz', i % 17 + 1, 1) || CASE WHEN i % 7 = 0 THEN ' ' ELSE '' END, '' ORDER BY i) FROM generate_series(1, 120) AS i$$;
-- in pieces of 1, 2, 3, ... characters
SELECT new_tasks(10, 11);
SELECT length(long_text()), octet_length(long_text()), count(airun_update_task(task_id(10), left(long_text(), least(i * (i + 1) / 2, length(long_text()))))) FROM generate_series(1, 17) AS i;
SELECT count(*), max(chars), max(bytes), max(generation) FROM airun.task_chunks WHERE task_id = task_id(10);
-- late or not: whether anything has changed, and the generation then
CREATE FUNCTION changed_by(n int, whole text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text := (SELECT string_agg(c::text, ' ' ORDER BY chars) FROM airun.task_chunks AS c WHERE task_id = task_id(n));
	result text;
BEGIN
	PERFORM airun_update_task(task_id(n), whole);
	SELECT CASE WHEN string_agg(c::text, ' ' ORDER BY chars) = before THEN 'no'
		ELSE format('generation %s, %s, %s', max(generation), CASE WHEN string_agg(chunk, '' ORDER BY chars) = whole THEN 'right' ELSE 'WRONG' END,
			CASE WHEN count(*) = 1 THEN 'one' ELSE 'more' END) END
	INTO result FROM airun.task_chunks AS c WHERE task_id = task_id(n);
	RAISE EXCEPTION USING ERRCODE = 'TAKEB', MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'TAKEB' THEN
	RETURN SQLERRM;
END$$;
SELECT changed_by(10, left(long_text(), n)) AS changed, count(*), min(n), max(n) FROM generate_series(0, length(long_text())) AS n GROUP BY 1 ORDER BY 1;
-- another last character, another first one, another in the middle, one too many in the middle
SELECT changed_by(10, left(long_text(), n - 1) || '#') AS last, count(*) FROM generate_series(1, length(long_text())) AS n GROUP BY 1 ORDER BY 1;
SELECT changed_by(10, '#' || substr(left(long_text(), n), 2)) AS first, count(*) FROM generate_series(1, length(long_text())) AS n GROUP BY 1 ORDER BY 1;
SELECT changed_by(10, overlay(left(long_text(), n) PLACING '#' FROM n / 2 FOR 1)) AS middle, count(*) FROM generate_series(2, length(long_text())) AS n GROUP BY 1 ORDER BY 1;
SELECT changed_by(10, left(long_text(), n) || '#' || substr(long_text(), n + 1)) AS longer, count(*) FROM generate_series(0, length(long_text()) - 1) AS n GROUP BY 1 ORDER BY 1;
SELECT changed_by(10, long_text() || '#');
-- pieces from every position on, of every length, that are there, end in another character, or bring one more
CREATE FUNCTION changed_by_piece(n int, delta text, at int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before bigint := (SELECT count(*) FROM airun.task_chunks WHERE task_id = task_id(n));
	result text;
BEGIN
	PERFORM airun_stream_delta(task_id(n), delta, at);
	SELECT format('%s more: [%s]', count(*) - before, coalesce(string_agg(chunk, '' ORDER BY chars) FILTER (WHERE chars > length(long_text())), ''))
	INTO result FROM airun.task_chunks WHERE task_id = task_id(n);
	RAISE EXCEPTION USING ERRCODE = 'TAKEB', MESSAGE = result;
EXCEPTION WHEN SQLSTATE 'TAKEB' THEN
	RETURN SQLERRM;
WHEN SQLSTATE 'PT409' THEN
	RETURN SQLSTATE;
END$$;
SELECT changed_by_piece(10, substr(long_text(), at + 1, len), at) AS changed, count(*)
FROM generate_series(0, 137, 3) AS at, generate_series(0, 137 - at, 5) AS len GROUP BY 1 ORDER BY 1;
SELECT changed_by_piece(10, substr(long_text(), at + 1, len) || '#', at) AS changed, count(*)
FROM generate_series(0, 137, 3) AS at, generate_series(0, 136 - at, 5) AS len GROUP BY 1 ORDER BY 1;
SELECT changed_by_piece(10, substr(long_text(), at + 1) || 'ß#', at) AS changed, count(*) FROM generate_series(0, 137) AS at GROUP BY 1 ORDER BY 1;
SELECT state(10) LIKE '%| generation 0 up to 137 | 17 pieces' AND state(10) LIKE 'streaming | ' || long_text() || ' | %' AS as_it_was;
-- airun_stream_read() from every position, with the generation, without it, with another
SELECT count(*) FILTER (WHERE s.text = substr(long_text(), p + 1) AND s.from_position = p AND s.position = 137 AND s.generation = 0 AND s.status = 'streaming'), count(*)
FROM generate_series(0, 137) AS p, unnest(ARRAY[NULL, 0]) AS g, airun_stream_read(task_id(10), p, generation => g) AS s;
SELECT count(*) FILTER (WHERE s.text = long_text() AND s.from_position = 0 AND s.position = 137 AND s.generation = 0), count(*)
FROM generate_series(0, 137) AS p, unnest(ARRAY[1, -1, 2147483647]) AS g, airun_stream_read(task_id(10), p, generation => g) AS s;
SELECT count(*) FILTER (WHERE s.text = '' AND s.from_position = 137 AND s.position = 137 AND s.generation = 0 AND s.status = 'streaming'), count(*)
FROM unnest(ARRAY[138, 200, 9223372036854775807]) AS p, unnest(ARRAY[NULL, 0]) AS g, airun_stream_read(task_id(10), p, generation => g) AS s;
-- and when it is over
SELECT status, response_length FROM airun_complete_task(task_id(10));
SELECT count(*) FILTER (WHERE s.text = substr(long_text(), p + 1) AND s.from_position = p AND s.position = 137 AND s.generation = 0 AND s.status = 'completed'), count(*)
FROM generate_series(0, 137) AS p, unnest(ARRAY[NULL, 0]) AS g, airun_stream_read(task_id(10), p, '20 s', g) AS s;
SELECT s.text = long_text(), from_position, position, generation, status FROM airun_stream_read(task_id(10), 100, '20 s', 3) AS s;

--
-- Characters of one byte to four, combining marks, families and flags, cut at
-- every place
--
CREATE FUNCTION rich_text() RETURNS text LANGUAGE sql IMMUTABLE AS
$$SELECT U&'aZ\00E9e\0301\0327 \0915\094D\0937\093F \0E01\0E34\0E49 \4E16\754C \+01F600\+01F44D\+01F3FD \+01F468\200D\+01F469\200D\+01F467\200D\+01F466 \+01F1E9\+01F1EA\+01F1EB\+01F1F7 \FEFF\200B\2028\000A\0009\+10FFFF\+01F3F4\+0E0067\+0E0062\+0E007F\0301'$$;
SELECT length(rich_text()), octet_length(rich_text());
CREATE FUNCTION streamed(n int) RETURNS bytea LANGUAGE sql AS
$$SELECT convert_to(response_text, 'UTF8') FROM ai_tasks WHERE task_id = task_id(n)$$;
DO $$
DECLARE
	t constant text := rich_text();
	part ai_stream_part;
	wrong text[] := '{}';
BEGIN
	FOR i IN 0 .. length(t) LOOP
		-- 1000: whole texts; 1100: pieces; 1200: both, with a late one
		PERFORM airun_create_task(run_id(2), task_id(1000 + i)), airun_create_task(run_id(2), task_id(1100 + i)), airun_create_task(run_id(2), task_id(1200 + i));
		PERFORM airun_update_task(task_id(1000 + i), left(t, i));
		IF i > 0 AND streamed(1000 + i) IS DISTINCT FROM convert_to(left(t, i), 'UTF8') THEN wrong := wrong || format('whole so far %s', i); END IF;
		PERFORM airun_update_task(task_id(1000 + i), t);
		IF streamed(1000 + i) IS DISTINCT FROM convert_to(t, 'UTF8') THEN wrong := wrong || format('whole %s', i); END IF;
		PERFORM airun_stream_delta(task_id(1100 + i), left(t, i), 0);
		part := airun_stream_read(task_id(1100 + i));
		IF convert_to(part.text, 'UTF8') <> convert_to(left(t, i), 'UTF8') OR part.position <> i THEN wrong := wrong || format('piece so far %s', i); END IF;
		PERFORM airun_stream_delta(task_id(1100 + i), substr(t, i + 1), i);
		PERFORM airun_stream_delta(task_id(1100 + i), substr(t, i + 1), i);
		IF streamed(1100 + i) IS DISTINCT FROM convert_to(t, 'UTF8') THEN wrong := wrong || format('piece %s', i); END IF;
		PERFORM airun_update_task(task_id(1200 + i), left(t, i));
		PERFORM airun_stream_delta(task_id(1200 + i), substr(t, i / 2 + 1), i / 2);
		PERFORM airun_update_task(task_id(1200 + i), left(t, i / 2));
		part := airun_stream_read(task_id(1200 + i), i);
		IF convert_to(part.text, 'UTF8') <> convert_to(substr(t, i + 1), 'UTF8') OR part.position <> length(t) OR part.generation <> 0 THEN wrong := wrong || format('read %s', i); END IF;
		PERFORM airun_complete_task(task_id(1000 + i)), airun_cancel_task(task_id(1100 + i)), airun_fail_task(task_id(1200 + i));
		IF streamed(1000 + i) IS DISTINCT FROM convert_to(t, 'UTF8') OR streamed(1100 + i) IS DISTINCT FROM convert_to(t, 'UTF8')
			OR streamed(1200 + i) IS DISTINCT FROM convert_to(t, 'UTF8') THEN wrong := wrong || format('end %s', i); END IF;
	END LOOP;
	IF wrong <> '{}' THEN
		RAISE WARNING 'wrong: %', wrong;
	END IF;
END$$;
SELECT status, count(*), count(DISTINCT response_text), bool_and(response_length = length(rich_text())), max(generation) FROM airun.tasks
WHERE run_id = run_id(2) GROUP BY status ORDER BY status;
SELECT count(*) FROM airun.task_chunks WHERE run_id = run_id(2);
-- one character at a time, and each read as it comes
DO $$
DECLARE
	t constant text := rich_text();
	read text := '';
	part ai_stream_part;
BEGIN
	PERFORM airun_create_task(run_id(2), task_id(1300));
	FOR i IN 1 .. length(t) LOOP
		IF i % 2 = 0 THEN
			PERFORM airun_stream_delta(task_id(1300), substr(t, i, 1), i - 1);
		ELSE
			PERFORM airun_update_task(task_id(1300), left(t, i));
		END IF;
		part := airun_stream_read(task_id(1300), length(read), generation => 0);
		read := read || part.text;
	END LOOP;
	IF convert_to(read, 'UTF8') <> convert_to(t, 'UTF8') THEN
		RAISE WARNING 'wrong: %', read;
	END IF;
END$$;
SELECT count(*), streamed(1300) = convert_to(rich_text(), 'UTF8') FROM airun.task_chunks WHERE task_id = task_id(1300);
-- what is no UTF-8: a character cut in two, a surrogate, a byte that never is, an overlong one
SELECT new_tasks(15, 15);
SELECT bytes, left(attempt(format('SELECT airun_update_task(task_id(15), E''a%s'')', bytes)), 5), left(attempt(format('SELECT airun_stream_delta(task_id(15), E''a%s'')', bytes)), 5)
FROM unnest(ARRAY['\xF0\x9F\x98', '\x9F\x98\x80', '\xED\xA0\x80', '\xFF', '\xC0\x80', '\xF4\x90\x80\x80']) AS bytes;
SELECT left(attempt('SELECT airun_update_task(task_id(15), convert_from(''\xe4b896e7'', ''UTF8''))'), 5);
SELECT state(15);

--
-- Following
--
SELECT new_tasks(20, 24);
-- nothing yet; what has come; the end; text, then, is never NULL
SELECT * FROM airun_stream_read(task_id(20));
SELECT * FROM airun_stream_read(task_id(20), 7);
SELECT count(airun_update_task(task_id(20), '')); SELECT * FROM airun_stream_read(task_id(20));
SELECT count(airun_update_task(task_id(20), 'one two')); SELECT * FROM airun_stream_read(task_id(20), NULL, NULL, NULL, NULL);
SELECT * FROM airun_stream_read(task_id(20), 4, generation => 0);
SELECT count(airun_update_task(task_id(20), 'one, three')); SELECT * FROM airun_stream_read(task_id(20), 4);
SELECT * FROM airun_stream_read(task_id(20), 4, generation => 0);
SELECT * FROM airun_stream_read(task_id(20), 4, generation => 1);
SELECT status FROM airun_fail_task(task_id(20), '"why"'); SELECT * FROM airun_stream_read(task_id(20), 4, '20 s', 1);
SELECT * FROM airun_stream_read(task_id(20), 4, '20 s', 0);
SELECT status FROM airun_complete_task(task_id(21)); SELECT * FROM airun_stream_read(task_id(21), 0, '20 s');
SELECT status FROM airun_cancel_task(task_id(22), 'given'); SELECT * FROM airun_stream_read(task_id(22), 2, '20 s');
SELECT * FROM airun_stream_read(task_id(22), 50, '20 s');
-- at an end that replaces the text
SELECT count(airun_update_task(task_id(23), 'a draft')), count(airun_complete_task(task_id(23), 'the answer'));
SELECT * FROM airun_stream_read(task_id(23), 2, generation => 0);
-- refused
SELECT a, attempt(format('SELECT airun_stream_read(%s)', a)) FROM unnest(ARRAY['NULL', 'task_id(24), -1', 'task_id(24), 0, ''-1 ms''', 'task_id(24), 0, ''-1 day''',
	'task_id(24), 0, ''-1 mon''', 'task_id(24), 0, ''1 day -1 mon''']) AS a;
SELECT hint_of('SELECT airun_stream_read(task_id(24), -1)'), hint_of('SELECT airun_stream_read(task_id(24), 0, ''-2 s'')');
-- how long: as it was asked for, and no longer than airun.max_wait
CREATE FUNCTION waited(arguments text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	start timestamptz := clock_timestamp();
BEGIN
	EXECUTE 'SELECT airun_stream_read(' || arguments || ')';
	RETURN extract(epoch FROM clock_timestamp() - start) * 1000;
END$$;
SELECT waited('task_id(24)') < 5000, waited('task_id(24), 0, ''0''') < 5000, waited('task_id(24), 0, ''350 ms''') BETWEEN 350 AND 15000;
SET airun.max_wait = '150ms';
SELECT w, waited(format('task_id(24), 0, %L', w)) BETWEEN 150 AND 15000 FROM unnest(ARRAY['20 s', '1 h', '1 day', '1 mon', '1 year', '150 ms']) AS w;
SET airun.max_wait = 0;
SELECT waited('task_id(24), 0, ''20 s''') < 5000;
SELECT left(attempt('SET airun.max_wait = ''21s'''), 5);
RESET airun.max_wait;
SHOW airun.max_wait;
-- at once where there is something new: text, another generation, a position that is not there, an end
SELECT a, waited(a) < 5000 FROM unnest(ARRAY['task_id(5), 0, ''20 s''', 'task_id(5), 1, ''20 s'', 0', 'task_id(5), 7, ''20 s''', 'task_id(23), 10, ''20 s'', 1']) AS a;
-- and where there is nothing to see but the snapshot
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT waited('task_id(24), 0, ''20 s''') < 5000;
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT waited('task_id(24), 0, ''20 s''') < 5000;
ROLLBACK;
-- it writes nothing
BEGIN READ ONLY;
SELECT * FROM airun_stream_read(task_id(20), 4);
ROLLBACK;
BEGIN;
SELECT count(airun_stream_read(task_id(5))), count(airun_stream_read(task_id(24), 0, '50 ms')), pg_current_xact_id_if_assigned() FROM generate_series(1, 3);
SELECT mode, count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode NOT IN ('AccessShareLock', 'ExclusiveLock') GROUP BY mode;
COMMIT;
-- and sees what its own transaction has written
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(airun_stream_delta(task_id(24), 'x')); SELECT * FROM airun_stream_read(task_id(24), 0, '20 s');
ROLLBACK;

--
-- The end: the pieces make the text, and are gone
--
SELECT new_tasks(30, 59, 3);
SELECT count(airun_update_task(task_id(n), 'part')), count(airun_stream_delta(task_id(n), ' and rest')) FROM generate_series(30, 59) AS n;
-- without a text, with the same, with one that goes on, with another, with a shorter one, with none
SELECT a, attempt(format('SELECT (airun_%s).response_length', replace(a, 'T', format('task_id(%s)', 29 + n)))), state(29 + n::int) FROM unnest(ARRAY[
	'complete_task(T)', 'complete_task(T, ''part and rest'')', 'complete_task(T, ''part and rest, all'')', 'complete_task(T, ''whole'')', 'complete_task(T, ''part'')', 'complete_task(T, '''')',
	'fail_task(T, ''"why"'')', 'fail_task(T, ''"why"'', response_text => ''part and rest'')', 'fail_task(T, NULL, response_text => ''part and rest, more'')', 'fail_task(T, response_text => ''whole'')',
	'cancel_task(T)', 'cancel_task(T, ''part and rest'')', 'cancel_task(T, ''part and rest, more'')', 'cancel_task(T, ''whole'')']) WITH ORDINALITY AS u (a, n) ORDER BY n;
-- in other ways
SELECT attempt(replace(a, '@', format('task_id = task_id(%s)', 49 + n))), state(49 + n::int) FROM unnest(ARRAY[
	'UPDATE ai_tasks SET status = ''completed'' WHERE @', 'UPDATE ai_tasks SET status = ''failed'', response_text = ''part and rest, more'' WHERE @',
	'UPDATE ai_tasks SET status = ''canceled'', response_text = ''whole'' WHERE @', 'UPDATE ai_tasks SET status = ''completed'', response_text = NULL WHERE @',
	'UPDATE airun.tasks SET status = ''completed'' WHERE @', 'UPDATE airun.tasks SET status = ''error'', response_text = ''part and rest, more'' WHERE @',
	'UPDATE airun.tasks SET status = ''cancelled'', response_text = ''whole'' WHERE @']) WITH ORDINALITY AS u (a, n) ORDER BY n;
-- several at once
SELECT new_tasks(60, 64, 3);
SELECT count(airun_update_task(task_id(n), 'text ' || n)) FROM generate_series(60, 63) AS n;
UPDATE airun.tasks SET status = 'cancelled' WHERE task_id BETWEEN task_id(60) AND task_id(64);
SELECT state(n) FROM generate_series(60, 64) AS n;
-- what is shown does not change with the end, and cannot be changed by another
SELECT attempt('SELECT status FROM airun_complete_task(task_id(30), ''part and rest'')'), attempt('SELECT status FROM airun_complete_task(task_id(30), ''part'')'),
	attempt('SELECT status FROM airun_complete_task(task_id(33), ''part and rest'')'), attempt('SELECT status FROM airun_complete_task(task_id(33), ''whole'')');
SELECT attempt('UPDATE ai_tasks SET response_text = ''x'' WHERE task_id = task_id(30)'), attempt('UPDATE airun.tasks SET response_text = ''x'' WHERE task_id = task_id(30)');
-- what goes takes its pieces along: a task, a run, a deleted run that is purged, all tasks
SELECT new_tasks(70, 73, 4), new_tasks(74, 75, 5), new_tasks(76, 77, 6), new_tasks(78, 78, 7);
SELECT count(airun_update_task(task_id(n), 'text')), count(airun_stream_delta(task_id(n), 's')) FROM generate_series(70, 78) AS n;
CREATE FUNCTION with_pieces() RETURNS text LANGUAGE sql AS
$$SELECT string_agg(DISTINCT right(task_id::text, 2), ' ') FROM airun.task_chunks WHERE task_id BETWEEN task_id(70) AND task_id(79)$$;
SELECT with_pieces();
DELETE FROM ai_tasks WHERE task_id = task_id(70); SELECT with_pieces();
DELETE FROM airun.tasks WHERE task_id = task_id(71); SELECT with_pieces();
DELETE FROM airun.tasks WHERE run_id = run_id(4); SELECT with_pieces();
DELETE FROM airun.runs WHERE id = run_id(5); SELECT with_pieces();
SELECT airun_delete_run(run_id(6)); SELECT with_pieces();
-- nobody reads it, but its worker goes on
SELECT c, attempt(c) FROM unnest(ARRAY['SELECT response_length FROM airun_update_task(task_id(76), ''texts'')', 'SELECT response_length FROM airun_stream_delta(task_id(76), ''.'')', 'SELECT airun_stream_read(task_id(76))',
	'SELECT airun_stream_read(task_id(76), 0, ''20 s'', run_id => run_id(6))', 'SELECT status FROM airun_heartbeat_task(task_id(76))']) AS c;
BEGIN;
SELECT airun_restore_run(run_id(6)); SELECT state(76);
SELECT count(airun_stream_delta(task_id(76), '!')); SELECT state(76);
ROLLBACK;
SELECT airun_purge_runs(now() + interval '1 day') > 0; SELECT with_pieces();
SELECT * FROM airun_check();
BEGIN;
TRUNCATE airun.tasks; SELECT count(*) FROM airun.task_chunks; SELECT * FROM airun_check();
ROLLBACK;
BEGIN;
TRUNCATE airun.runs CASCADE; SELECT count(*) FROM airun.task_chunks; SELECT * FROM airun_check();
ROLLBACK;
SELECT with_pieces();
-- a savepoint takes back what came behind it, and no more
BEGIN;
SELECT count(airun_stream_delta(task_id(78), ' kept')); SAVEPOINT s; SELECT count(airun_stream_delta(task_id(78), ' lost')), count(airun_complete_task(task_id(78))); ROLLBACK TO s;
SELECT count(airun_stream_delta(task_id(78), ' more', 10)); COMMIT; SELECT state(78);
-- thousands of tasks in one transaction, each with a lock on its text and none on the table
BEGIN;
SELECT new_tasks(10001, 13000, 8);
SELECT count(airun_update_task(task_id(n), 'text')) FROM generate_series(10001, 13000) AS n;
UPDATE airun.tasks SET status = 'completed' WHERE run_id = run_id(8) AND task_id <= task_id(11500);
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();
SELECT DISTINCT mode FROM pg_locks WHERE relation = 'airun.task_chunks'::regclass AND pid = pg_backend_pid() ORDER BY 1;
DELETE FROM airun.runs WHERE id = run_id(8);
SELECT count(*) FROM airun.task_chunks WHERE run_id = run_id(8);
ROLLBACK;

--
-- The same through the view and the storage
--
SELECT new_tasks(80, 83, 9);
-- what the view returns is what it shows then
UPDATE ai_tasks SET response_text = 'By view' WHERE task_id = task_id(80) RETURNING status, response_text, time_to_first_token > 0, updated_at > created_at; SELECT pieces(80), state(80);
UPDATE ai_tasks SET response_text = 'By view, more' WHERE task_id = task_id(80) RETURNING status, response_text; SELECT pieces(80);
UPDATE ai_tasks SET response_text = 'By', response_data = '{"late": 1}' WHERE task_id = task_id(80) RETURNING status, response_text, response_data; SELECT pieces(80), state(80);
UPDATE ai_tasks SET response_text = NULL WHERE task_id = task_id(80) RETURNING status, response_text; SELECT pieces(80);
UPDATE ai_tasks SET response_text = '' WHERE task_id = task_id(80) RETURNING status, response_text; SELECT pieces(80);
UPDATE ai_tasks SET response_text = 'Other', response_data = '{"new": 1}' WHERE task_id = task_id(80) RETURNING status, response_text, response_data; SELECT pieces(80), state(80);
UPDATE ai_tasks SET metadata = '{"touched": 1}' WHERE task_id = task_id(80) RETURNING response_text; SELECT pieces(80);
UPDATE airun.tasks SET response_text = 'By direct' WHERE task_id = task_id(81) RETURNING status, response_text, response_length; SELECT pieces(81), state(81);
UPDATE airun.tasks SET response_text = 'By dir' WHERE task_id = task_id(81) RETURNING status, response_text; SELECT pieces(81);
UPDATE airun.tasks SET response_text = 'Other' WHERE task_id = task_id(81) RETURNING status, response_text, generation; SELECT pieces(81), state(81);
SELECT count(airun_stream_delta(task_id(81), ' and more', 5)); SELECT pieces(81);
-- new tasks that have a text already
INSERT INTO ai_tasks (run_id, task_id, response_text) VALUES (run_id(9), task_id(84), 'begun') RETURNING status, response_text, completed_at; SELECT pieces(84), state(84);
INSERT INTO ai_tasks (run_id, task_id, response_text, status) VALUES (run_id(9), task_id(85), 'begun', 'streaming') RETURNING status, response_text; SELECT pieces(85), state(85);
INSERT INTO ai_tasks (run_id, task_id, response_text, status) VALUES (run_id(9), task_id(86), 'ended', 'completed') RETURNING status, response_text; SELECT pieces(86), state(86);
INSERT INTO airun.tasks (run_id, task_id, response_text) VALUES (run_id(9), task_id(87), 'begun'), (run_id(9), task_id(88), 'begun, too') RETURNING status, response_text; SELECT pieces(n), state(n) FROM generate_series(87, 88) AS n;
INSERT INTO airun.tasks (run_id, task_id, response_text, status) VALUES (run_id(9), task_id(89), 'ended', 'error') RETURNING status, response_text, response_length, generation; SELECT state(89);
SELECT attempt('INSERT INTO ai_tasks (run_id, task_id, response_text) VALUES (run_id(9), task_id(84), ''begun and more'')'); SELECT pieces(84);
-- one that is there is not touched by an insert that does nothing
SELECT attempt(format('INSERT INTO airun.tasks (run_id, task_id, response_text) VALUES (run_id(9), task_id(%s), ''done nothing'') ON CONFLICT DO NOTHING', n)), state(n) FROM unnest(ARRAY[82, 84, 86]) AS n;
-- and one that does something changes it as an update does
INSERT INTO airun.tasks (run_id, task_id, response_text) VALUES (run_id(9), task_id(84), 'begun, and more') ON CONFLICT (run_id, task_id) DO UPDATE SET response_text = EXCLUDED.response_text; SELECT state(84);
-- what airun keeps is not for users
SELECT c, v, attempt(format('UPDATE %s SET %s = %s WHERE task_id = task_id(84)', v, c, w)), attempt(format('INSERT INTO %s (run_id, %s) VALUES (run_id(9), %s)', v, c, w))
FROM (VALUES ('airun.tasks', 'response_length', '5'), ('airun.tasks', 'generation', '1'), ('airun.tasks', 'text_in_answer', 'true'), ('airun.tasks', 'request_reference', '''{}'''),
	('ai_tasks', 'is_overdue', 'true'), ('ai_tasks', 'updated_at', '''2026-01-01''')) AS w (v, c, w);
SELECT attempt('UPDATE airun.tasks SET generation = 0, response_length = 0 WHERE task_id = task_id(84)');
SELECT * FROM airun_check();

--
-- Other users, and the storage of pieces
--
SELECT new_tasks(90, 92, 10);
SELECT count(airun_update_task(task_id(n), 'mine')) FROM generate_series(90, 91) AS n;
SET ROLE regress_airun_stream;
SET airun.user_id = 'stream test, too';
SELECT count(airun_create_run(id => run_id(21))); SELECT new_tasks(93, 93, 21); SELECT count(airun_update_task(task_id(93), 'theirs'));
SELECT c, attempt(format('SELECT airun_%s', c)) FROM unnest(ARRAY['update_task(task_id(90), ''mine, all'')', 'update_task(task_id(90), ''x'', run_id => run_id(10))', 'update_task(task_id(92))',
	'stream_delta(task_id(90), ''x'')', 'stream_delta(task_id(92), ''x'', 0)', 'stream_read(task_id(90))', 'stream_read(task_id(90), 0, ''20 s'', run_id => run_id(10))', 'heartbeat_task(task_id(90))']) AS c;
SELECT string_agg(chunk, ' ') FROM airun.task_chunks;
SELECT attempt('UPDATE ai_tasks SET response_text = ''x'' WHERE task_id = task_id(90)'), attempt('INSERT INTO airun.tasks (run_id, task_id, response_text) VALUES (run_id(10), task_id(90), ''x'') ON CONFLICT DO NOTHING');
SELECT c, attempt(c) FROM unnest(ARRAY['INSERT INTO airun.task_chunks (run_id, task_id, hash, chars, bytes, generation, chunk) VALUES (run_id(21), task_id(93), 0, 7, 7, 0, ''x'')',
	'UPDATE airun.task_chunks SET chunk = ''x''', 'DELETE FROM airun.task_chunks', 'TRUNCATE airun.task_chunks', 'SELECT count(*) FROM airun.task_chunks']) AS c;
SELECT attempt('UPDATE airun.tasks SET generation = 3 WHERE task_id = task_id(93)'), attempt('UPDATE airun.tasks SET text_in_answer = true WHERE task_id = task_id(93)');
SELECT * FROM airun_check();
-- nobody is calling
RESET airun.user_id;
SELECT c, attempt(format('SELECT airun_%s', c)) FROM unnest(ARRAY['update_task(task_id(93), ''x'')', 'stream_delta(task_id(93), ''x'')', 'stream_read(task_id(93))', 'heartbeat_task(task_id(93))']) AS c;
RESET ROLE;
-- somebody whom a site's policy shows a run, for reading, reads, and does not write
CREATE POLICY shared ON airun.runs FOR SELECT TO regress_airun_stream USING (id IN ('00000000-0000-4000-8010-000000000010'));
SET ROLE regress_airun_stream;
SET airun.user_id = 'stream test, too';
SELECT * FROM airun_stream_read(task_id(90));
SELECT c, attempt(format('SELECT airun_%s', c)) FROM unnest(ARRAY['update_task(task_id(90), ''mine, all'')', 'update_task(task_id(90), ''mi'')', 'update_task(task_id(92))', 'stream_delta(task_id(90), ''x'')',
	'heartbeat_task(task_id(90))', 'complete_task(task_id(90))']) AS c;
RESET ROLE;
DROP POLICY shared ON airun.runs;
-- for all: then she writes, too
CREATE POLICY shared ON airun.runs TO regress_airun_stream USING (id IN ('00000000-0000-4000-8010-000000000010'));
SET ROLE regress_airun_stream;
SELECT response_length FROM airun_update_task(task_id(90), 'mine and hers'); SELECT response_length FROM airun_stream_delta(task_id(92), 'hers'); SELECT state(92);
SELECT status FROM airun_complete_task(task_id(90)); SELECT state(90);
RESET ROLE;
DROP POLICY shared ON airun.runs;
SET airun.user_id = 'stream test';
SELECT pieces(91), pieces(92);

--
-- An answer, stored once
--
CREATE FUNCTION kept(n int) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s%s', coalesce('in the task: ' || t.response_text, 'not in the task'), CASE WHEN t.text_in_answer THEN ', in the answer' ELSE '' END)
		|| format('; shown: %s, length %s', coalesce(v.response_text, '(null)'), t.response_length) || coalesce(format('; read: %s %s', s.position, s.text), '')
		|| coalesce((SELECT '; WRONG: ' || string_agg(c.problem, ', ') FROM airun_check(t.run_id) AS c), '')
	FROM airun.tasks AS t JOIN ai_tasks AS v USING (run_id, task_id), airun_stream_read(t.task_id) AS s WHERE t.task_id = task_id(n)
$$;
SELECT count(airun_start_turn(run_id(12), jsonb_build_object('role', 'user', 'content', 'Q' || n), task_id(n))) FROM generate_series(100, 119) AS n;
SELECT count(airun_update_task(task_id(n), 'streamed')) FROM generate_series(100, 109) AS n;
-- the message says what was streamed, goes on from it, is made from it, says something else, has the text beside it, calls tools
SELECT a, attempt(format('SELECT airun_finish_turn(task_id(%s)%s) #>> ''{task,response_length}''', 99 + n, a)), kept(99 + n::int) FROM unnest(ARRAY[
	', ''{"role": "assistant", "content": "streamed"}''', ', ''{"role": "assistant", "content": "streamed on"}''', '', ', ''{"role": "assistant", "content": "other"}''',
	', ''{"role": "assistant", "content": "shown"}'', response_text => ''raw''', ', ''{"role": "assistant", "tool_calls": [{"id": "c"}]}''', ', response_text => ''given''',
	', ''{"role": "assistant", "content": [{"type": "text", "text": "strea"}, {"type": "text", "text": "med"}]}''',
	', ''{"role": "assistant", "parts": [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "streamed"}, {"type": "text", "text": " 世界"}]}''',
	', ''{"role": "assistant", "content": ""}''']) WITH ORDINALITY AS u (a, n) ORDER BY n;
SELECT count(*) FROM airun.task_chunks WHERE run_id = run_id(12);
-- ended first, with its text, with another, without any; then the message
SELECT count(airun_complete_task(task_id(110), 'the text')), count(airun_complete_task(task_id(111), 'the text')), count(airun_complete_task(task_id(112)));
SELECT kept(n) FROM generate_series(110, 112) AS n;
SELECT count(airun_finish_turn(task_id(110), '{"role": "assistant", "content": "the text"}')), count(airun_finish_turn(task_id(112), '{"role": "assistant", "tool_calls": [{"id": "c"}]}'));
SELECT attempt('SELECT airun_finish_turn(task_id(111), ''{"role": "assistant", "content": "another"}'')');
SELECT attempt('SELECT airun_finish_turn(task_id(111), ''{"role": "assistant", "content": "another"}'', response_text => ''the text'') #>> ''{task,response_length}''');
SELECT kept(n) FROM generate_series(110, 112) AS n;
-- a message that comes later: for a task that said nothing, by an append, that says the text or does not, and not twice
SELECT count(airun_complete_task(task_id(114))), count(airun_complete_task(task_id(115), 'the text')), count(airun_cancel_task(task_id(116), 'the text')), count(airun_complete_task(task_id(117), 'the text'));
SELECT attempt('SELECT airun_finish_turn(task_id(114), ''{"role": "assistant", "content": "said"}'') #>> ''{messages,0,role}'''), kept(114);
SELECT count(airun_append_message(run_id(12), '{"role": "user", "content": "the text"}', task_id => task_id(115))), count(airun_append_message(run_id(12), '{"role": "assistant", "content": "the texts"}', task_id => task_id(115))); SELECT kept(115);
SELECT count(airun_append_message(run_id(12), '{"role": "assistant", "content": [{"type": "text", "text": "the text"}]}', task_id => task_id(115))); SELECT kept(115);
SELECT seq FROM airun_append_message(run_id(12), '{"role": "assistant", "content": "the text"}', task_id => task_id(116)); SELECT kept(116);
SELECT seq FROM airun_append_message(run_id(12), '{"role": "assistant", "content": "the text"}', task_id => task_id(116)); SELECT kept(116);
INSERT INTO ai_messages (run_id, task_id, message) VALUES (run_id(12), task_id(117), '{"role": "model", "content": "the text"}') RETURNING seq; SELECT kept(117);
SELECT airun_finish_turn(task_id(117), '{"role": "model", "content": "the text"}') #>> '{messages,0,seq}', (SELECT message_count FROM ai_runs WHERE id = run_id(12));
-- a repeated call compares with the text where it is
SELECT attempt('SELECT airun_finish_turn(task_id(100), response_text => ''streamed'') #>> ''{task,status}'''), attempt('SELECT airun_finish_turn(task_id(100), response_text => ''other'')');
SELECT attempt('SELECT status FROM airun_complete_task(task_id(100), ''streamed'')'), attempt('SELECT status FROM airun_complete_task(task_id(100), ''other'')');
-- as airun_get_run() shows them: completed ones are in their messages, unless all is asked for
SELECT t ->> 'status', t ->> 'response_text', t ->> 'response_length' FROM json_array_elements(airun_get_run(run_id(12), 1, true) -> 'tasks') AS t WHERE (t ->> 'task_id')::uuid BETWEEN task_id(100) AND task_id(103);
SELECT count(t ->> 'response_text') FROM json_array_elements(airun_get_run(run_id(12)) -> 'tasks') AS t WHERE t ->> 'status' = 'completed';
SELECT count(airun_update_task(task_id(119), 'so far')), count(airun_update_task(task_id(118), 'so far')); SELECT count(airun_cancel_task(task_id(118)));
SELECT t ->> 'status', t ->> 'response_text', t ->> 'response_length' FROM json_array_elements(airun_get_run(run_id(12)) -> 'tasks') AS t WHERE (t ->> 'task_id')::uuid IN (task_id(118), task_id(119));
-- the message goes, the text stays: the last one, then several, then all
SELECT count(airun_finish_turn(task_id(113), '{"role": "assistant", "content": "the last"}')), kept(113);
DELETE FROM ai_messages WHERE run_id = run_id(12) AND seq = (SELECT message_count FROM ai_runs WHERE id = run_id(12)); SELECT kept(113);
BEGIN;
DELETE FROM airun.messages WHERE run_id = run_id(12) AND seq > 20; SELECT kept(n) FROM generate_series(100, 112) AS n;
SELECT * FROM airun_check();
ROLLBACK;
BEGIN;
TRUNCATE airun.messages; SELECT kept(n) FROM generate_series(100, 112) AS n;
SELECT * FROM airun_check();
ROLLBACK;
BEGIN;
TRUNCATE airun.messages, airun.tasks; SELECT * FROM airun_check();
ROLLBACK;
SELECT kept(100);
SELECT * FROM airun_check();

--
-- What airun_check() finds
--
CREATE FUNCTION damage(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'SET LOCAL session_replication_role = replica';
	EXECUTE command;
	SELECT string_agg(format('%s: %s, not %s', c.problem, c.expected, c.found), '; ' ORDER BY c.problem, c.found) INTO result FROM airun_check() AS c;
	RAISE EXCEPTION USING ERRCODE = 'TAKEB', MESSAGE = coalesce(result, 'nothing');
EXCEPTION WHEN SQLSTATE 'TAKEB' THEN
	RETURN SQLERRM;
END$$;
SELECT count(airun_stream_delta(task_id(91), ' one')), count(airun_stream_delta(task_id(91), ' two'));
SELECT c, damage(c) FROM unnest(ARRAY['SELECT 1',
	'UPDATE airun.task_chunks SET chars = chars + 1 WHERE task_id = task_id(91) AND chars = 12',
	'UPDATE airun.task_chunks SET bytes = bytes - 1 WHERE task_id = task_id(91) AND chars = 8',
	'UPDATE airun.task_chunks SET chunk = ''x'' WHERE task_id = task_id(91) AND chars = 4',
	'DELETE FROM airun.task_chunks WHERE task_id = task_id(91) AND chars = 8',
	'UPDATE airun.task_chunks SET generation = 1 WHERE task_id = task_id(91) AND chars = 12',
	'DELETE FROM airun.tasks WHERE task_id = task_id(91)',
	'INSERT INTO airun.task_chunks (run_id, task_id, hash, chars, bytes, generation, chunk) VALUES (run_id(19), task_id(999), 0, 1, 1, 0, ''x'')',
	'INSERT INTO airun.task_chunks (run_id, task_id, hash, chars, bytes, generation, chunk) VALUES (run_id(3), task_id(30), 0, 1, 1, 0, ''x'')',
	'UPDATE airun.tasks SET response_text = ''x'' WHERE task_id = task_id(91)',
	'UPDATE airun.tasks SET text_in_answer = true WHERE task_id = task_id(91)',
	'UPDATE airun.tasks SET response_length = 3 WHERE task_id = task_id(30)',
	'UPDATE airun.tasks SET response_length = 3 WHERE task_id = task_id(91)',
	'UPDATE airun.tasks SET response_text = ''streamed'' WHERE task_id = task_id(100)',
	'UPDATE airun.tasks SET answer_seq = 2 WHERE task_id = task_id(100)',
	'ALTER TABLE airun.task_chunks DISABLE ROW LEVEL SECURITY']) WITH ORDINALITY AS u (c, n) ORDER BY n;

DELETE FROM airun.runs WHERE id BETWEEN run_id(1) AND '00000000-0000-4000-8012-000000000002';
SELECT count(*) FROM airun.task_chunks;
SELECT * FROM airun_check();
DROP OWNED BY regress_airun_stream;
DROP ROLE regress_airun_stream;
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA stream_test CASCADE;
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET client_min_messages;
