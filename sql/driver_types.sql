--
-- What drivers and PostgREST send, by its type, and what comes out.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
SET search_path = helpers, public;
SET airun.user_id = 'doors';
SET helpers.ids = '0d000000-0000-4000-8000';
SELECT count(airun_create_run(id => run_id(n))) FROM generate_series(1, 3) AS n;

--
-- Types: each parameter takes what drivers send for it.  Statements are prepared
-- with parameters of these types, as they do it; nothing is executed.
--
CREATE FUNCTION pg_temp.takes(function regprocedure, place int, sent text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	p pg_proc;
BEGIN
	SELECT * INTO p FROM pg_proc WHERE oid = function;
	EXECUTE format('PREPARE try (%s) AS SELECT * FROM %s(%s)', sent, p.oid::regproc, (
		SELECT string_agg(CASE WHEN n = place THEN format('%s => $1', name) ELSE format('%s => NULL', name) END, ', ')
		FROM unnest(p.proargnames) WITH ORDINALITY AS a (name, n)
		WHERE n = place OR n <= p.pronargs - p.pronargdefaults));
	DEALLOCATE try;
	RETURN 'taken';
EXCEPTION WHEN undefined_function THEN
	RETURN 'refused';
END $$;
-- every function of the API, by the type of the parameter and the type that is sent
SELECT pg_catalog.format_type(a.type, NULL) AS parameter, sent, string_agg(DISTINCT pg_temp.takes(p.oid, a.place::int, sent), ' and ') AS answer
FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'airun'
JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
CROSS JOIN LATERAL ROWS FROM (unnest(p.proargnames), unnest(p.proargtypes::oid[])) WITH ORDINALITY AS a (name, type, place)
JOIN (VALUES ('uuid', '{unknown,uuid,text,varchar}'::text[]), ('text', '{unknown,text,varchar,uuid}'), ('bigint', '{unknown,int2,int4,int8,text}'),
	('double precision', '{unknown,int2,int4,int8,float4,float8,numeric}'), ('numeric', '{unknown,int8,numeric,float8}'), ('jsonb', '{unknown,jsonb,json,text}'),
	('boolean', '{unknown,bool}'), ('interval', '{unknown,interval}'), ('text[]', '{unknown,text[],varchar[]}'), ('timestamp with time zone', '{unknown,timestamptz,timestamp,date}'))
	AS v (type, types) ON v.type::regtype = a.type
CROSS JOIN unnest(v.types) AS sent
WHERE p.prokind = 'f' AND p.proname !~ '^airun_(store_|array_)' AND p.prorettype NOT IN ('trigger'::regtype, 'internal'::regtype) AND p.proargnames IS NOT NULL
GROUP BY 1, 2, v.types ORDER BY 1, array_position(v.types, sent);
-- a count or a time that is not of the widest type would refuse what is wider
SELECT p.oid::regprocedure FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'airun'
JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
WHERE p.proname !~ '^airun_(store_|sketch_a)' AND p.proargtypes::oid[] && '{smallint,integer,real,numeric}'::regtype[]::oid[];

-- floats are stored as the shortest decimal that reads back as the same
SELECT (airun_complete_task(task_id(n), time_to_first_token => first, total_time => total, cost => cost)).status
FROM (SELECT new_tasks(1, 6)) AS made, (VALUES (1, 3.25::float8, 12.5::float8, 0.001::float8), (2, 0.1::float8 + 0.2::float8, 1e-7, 123456.789012345),
	(3, 7::int2, 9::int8, 0.30::numeric), (4, '0.1'::float4, 1e9, 0)) AS v (n, first, total, cost);
SET extra_float_digits = 0;
SELECT (airun_complete_task(task_id(5), total_time => 0.1::float8 + 0.2::float8)).status AS whatever_is_printed;
RESET extra_float_digits;
SELECT time_to_first_token, total_time, client_cost FROM ai_tasks WHERE run_id = run_id(1) AND completed_at IS NOT NULL ORDER BY task_id;

--
-- What is refused shows the beginning of our own statement, not the whole of it
--
CREATE FUNCTION pg_temp.context(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	context text;
BEGIN
	EXECUTE command;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
	RETURN SQLSTATE || ' ' || regexp_replace(regexp_replace(context, 'pg_temp_[0-9]+', 'pg_temp', 'g'), E'\nSQL statement "(UPDATE|INSERT INTO|DELETE FROM) ai_.*', '');
END $$;
SELECT pg_temp.context(format('UPDATE ai_tasks SET status = ''pending'' WHERE task_id = %L', task_id(1)));
SELECT pg_temp.context(format('INSERT INTO ai_tasks (run_id, service) VALUES (%L, repeat(''x'', 300))', run_id(1)));
-- what a site's trigger says stays, and so does its own SQL, however long
CREATE FUNCTION helpers.complain() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	PERFORM 1 / 0 AS a_statement_of_the_sites_that_is_quite_long_and_shown_whole_as_it_is_not_ours;
	RETURN NEW;
END$$;
CREATE TRIGGER complain BEFORE UPDATE ON airun.runs FOR EACH ROW EXECUTE FUNCTION helpers.complain();
SELECT pg_temp.context(format('SELECT airun_star_run(%L)', run_id(1)));
DROP TRIGGER complain ON airun.runs;
DROP FUNCTION helpers.complain();

--
-- Positions as JavaScript counts
--
SELECT new_tasks(11, 19, 2);
SELECT response_length FROM airun_stream_delta(task_id(11), 'Ü🙂', at => 0, unit => 'utf16');
SELECT response_length FROM airun_stream_delta(task_id(11), 'x🙂y', at => 3, unit => 'utf16');
SELECT response_length FROM airun_stream_delta(task_id(11), 'x🙂y', at => 3, unit => 'utf16');
SELECT response_length FROM airun_stream_delta(task_id(11), '🙂yz', at => 4, unit => 'utf16');
SELECT response_length FROM airun_stream_delta(task_id(11), '!', at => 6);
SELECT answer(format('SELECT airun_stream_delta(%L, %L, at => %s, unit => %L)', task_id(11), 'x', at, unit))
FROM (VALUES (10, 'utf16'), (2, 'utf16'), (0, 'utf16'), (8, 'characters'), (-1, 'utf16'), (0, 'bytes')) AS v (at, unit);
SELECT at AS "from", unit, r.* FROM (VALUES (0, 'utf16'), (1, 'utf16'), (2, 'utf16'), (3, 'utf16'), (9, 'utf16'), (99, 'utf16'), (1, 'characters'), (2, NULL)) AS v (at, unit),
	airun_stream_read(task_id(11), at, unit => unit) AS r;
SELECT response_length FROM airun_update_task(task_id(11), 'Another one 🙂');
SELECT * FROM airun_stream_read(task_id(11), 9, generation => 0, unit => 'utf16');
SELECT * FROM airun_stream_read(task_id(11), 9, generation => 1, unit => 'utf16');
SELECT * FROM airun_stream_read(task_id(11), 9, generation => 12345678901, unit => 'utf16');
-- what is known of a text's length is not what has been rolled back
SELECT (airun_stream_delta(task_id(11), '🙂', at => 14, unit => 'utf16')).response_length;
BEGIN;
SELECT (airun_stream_delta(task_id(11), '🙂', at => 16, unit => 'utf16')).response_length;
ROLLBACK;
SELECT (airun_stream_delta(task_id(11), 'ü', at => 16, unit => 'utf16')).response_length;
SELECT attempt(format('SELECT airun_stream_delta(%L, ''x'', at => 18, unit => ''utf16'')', task_id(11)));
SELECT (airun_stream_delta(task_id(11), '!', at => 17, unit => 'utf16')).response_length;
-- plain text needs no second count
SELECT response_length FROM airun_stream_delta(task_id(12), 'plain', at => 0, unit => 'utf16');
SELECT attempt(format('SELECT airun_stream_delta(%L, ''x'', at => 6, unit => ''utf16'')', task_id(12)));

--
-- Halves of a character that come in two pieces
--
CREATE FUNCTION pg_temp.say_piece(n int, piece text, at bigint DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT response_length::text FROM airun_stream_delta(task_id(n), delta_json => piece, at => at, unit => 'utf16') $$;
CREATE FUNCTION pg_temp.so_far(n int) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s (%s)', text, position) FROM airun_stream_read(helpers.task_id(n), unit => 'utf16') $$;
SELECT pg_temp.say_piece(13, '"ok\ud83d"', 0), pg_temp.so_far(13), pg_temp.say_piece(13, '"\ude42!"', 3), pg_temp.so_far(13);
-- each again
SELECT pg_temp.say_piece(13, '"ok\ud83d"', 0), pg_temp.say_piece(13, '"\ude42!"', 3), pg_temp.say_piece(13, '"\ude42!?"', 3), pg_temp.so_far(13);
-- the first half again, and alone, before the second one comes
SELECT pg_temp.say_piece(14, '"\ud83d"', 0), pg_temp.say_piece(14, '"\ud83d"', 0), pg_temp.say_piece(14, '"\ude42"', 1), pg_temp.so_far(14);
-- without positions
SELECT pg_temp.say_piece(15, '"a\ud83d"'), pg_temp.say_piece(15, '""'), pg_temp.say_piece(15, '"\ude42b\ud83d"'), pg_temp.say_piece(15, '"\ude42\ud83d\ude42"'), pg_temp.so_far(15);
-- a half that is lost; halves the wrong way round; NUL
SELECT pg_temp.say_piece(16, '"a\ud83d"'), pg_temp.say_piece(16, '"b"'), pg_temp.say_piece(16, '"\ude42\ud83d"'), pg_temp.say_piece(16, '"\u0000\ud83dc"'), pg_temp.so_far(16);
-- who has been told how much is there, and sends what follows it: the half comes with it
SELECT new_tasks(24, 26, 2);
SELECT pg_temp.say_piece(24, '"a\ud83d"', 0), pg_temp.say_piece(24, '"\ud83d\ude42b"', 1), pg_temp.so_far(24);
SELECT pg_temp.say_piece(25, '"a\ud83d"', 0);
SELECT response_length, pg_temp.so_far(25) FROM airun_stream_delta(task_id(25), '🙂b', at => 1, unit => 'utf16');
SELECT pg_temp.say_piece(26, '"a\ud83d"', 0), pg_temp.say_piece(26, '"b\ud83d"', 1), pg_temp.say_piece(26, '"\ude42"', 2), pg_temp.so_far(26);
-- what is an escape and what only looks like one
SELECT pg_temp.say_piece(17, ' "\\ud83d" '), pg_temp.say_piece(17, '"\\\ude42"'), pg_temp.so_far(17);
-- the whole text so far: its half is left for the next call, and one that was awaited is forgotten
SELECT response_length FROM airun_update_task(task_id(18), U&'ok\FFFD');
SELECT pg_temp.say_piece(18, '"\ud83d"');
SELECT response_length FROM airun_update_task(task_id(18), 'ok🙂 and');
SELECT pg_temp.say_piece(18, '"\ude42"'), pg_temp.so_far(18);
-- one that is awaited at the end is no part of the text
SELECT pg_temp.say_piece(19, '"end\ud83d"');
SELECT airun_finish_turn(task_id(19)) -> 'task' ->> 'response_length' AS length;
SELECT answer(format('SELECT airun_stream_delta(%L, delta_json => %L%s)', task_id(12), piece, more))
FROM (VALUES ('plain', ''), ('"a', ''), ('"a" "b"', ''), ('', ''), ('"\ud83d" x', ''), ('"a"', ', delta => ''a''')) AS v (piece, more);
SELECT attempt(format('SELECT airun_stream_delta(%L)', task_id(12)));
SELECT attempt('UPDATE airun.tasks SET pending_half = 1 WHERE task_id = task_id(12)'), attempt('INSERT INTO airun.tasks (run_id, pending_half) VALUES (run_id(2), 1)');

--
-- Waiting ends before the server's limit, and where too many wait
--
SET statement_timeout = '400ms';
SELECT status, position FROM airun_stream_read(task_id(12), 5, max_wait => '10 s');
SET statement_timeout = '45ms';
SELECT status FROM airun_stream_read(task_id(12), 5, max_wait => '10 s');
RESET statement_timeout;
SET airun.max_waiting = 0;
SELECT status, clock_timestamp() - statement_timestamp() < '5 s' AS at_once FROM airun_stream_read(task_id(12), 5, max_wait => '20 s');
RESET airun.max_waiting;
SELECT count(*) AS places_taken FROM pg_locks WHERE locktype = 'advisory' AND database = 0;
SET ROLE pg_monitor;
SELECT attempt('SET airun.max_waiting = 100');
RESET ROLE;

--
-- The raw body of a request
--
SELECT airun_call(format('{"airun_create_run": {"id": %s, "name": "a\u0000b", "settings": {"half": "\ud83d"}, "tags": ["x"]}}', to_json(run_id(9)))) ->> 'name' AS name;
SELECT airun_call(format('{"airun_append_message": {"run_id": %s, "message": {"role": "user", "content": "zero \u0000 and half \ude42"}}}', to_json(run_id(9)))) -> 'message' ->> 'content' AS content;
SELECT airun_call(format('{"airun_create_task": {"run_id": %s, "task_id": %s, "timeout": "5 min"}}', to_json(run_id(9)), to_json(task_id(90)))) ->> 'status' AS status;
SELECT airun_call(format('{"airun_stream_delta": {"delta": "ok\ud83d", "task_id": %s, "at": 0, "unit": "utf16"}}', to_json(task_id(90)))) ->> 'response_length' AS length;
SELECT airun_call(format('{"airun_stream_delta": {"task_id": %s, "delta" : "\ude42", "at": 3, "unit": "utf16"}}', to_json(task_id(90)))) ->> 'response_length' AS length;
SELECT airun_call(format('{"airun_stream_read": {"task_id": %s}}', to_json(task_id(90)))) ->> 'text' AS text;
SELECT airun_call(format('{"airun_complete_task": {"task_id": %s, "response_text": "ok\u0000", "total_time": 1.5}}', to_json(task_id(90)))) ->> 'total_time' AS total_time;
SELECT airun_call(format('{"airun_messages": {"run_id": %s}}', to_json(run_id(9)))) -> 0 ->> 'role' AS role;
SELECT json_array_length(airun_call('{"airun_list_runs": {"page_size": 2}}')) AS rows, airun_call('{"airun_list_runs": {"search": "nothing like it"}}') AS none;
SELECT airun_call('{"airun_user_id": {}}') #>> '{}' = airun_user_id()::text AS caller;
SELECT answer(format('SELECT airun_call(%L)', body)) FROM unnest(ARRAY['', '{', '[]', '"x"', '{}', '{"airun_user_id": {}, "airun_uuid": {}}', '{"airun_user_id": []}', '{"airun_call": {}}',
	'{"airun_store_columns": {}}', '{"airun_view_task": {}}', '{"airun_array_agg": {}}', '{"pg_sleep": {}}', '{"now": {}}', '{"airun_get_run": {"runid": 1}}', '{"airun_get_run": {}}',
	'{"airun_get_run": {"run_id": "x"}}', '{"airun_get_run": {"run_id": "0d000000-0000-4000-8000-00000000ffff"}}']) AS body;
-- of two pieces the last one counts, however its key is written
SELECT airun_call(format('{"airun_create_task": {"run_id": %s, "task_id": %s}}', to_json(run_id(9)), to_json(task_id(n)))) ->> 'status' AS status FROM generate_series(91, 94) AS n;
SELECT airun_call(format('{"airun_stream_delta": {%s, "task_id": %s}}', pieces, to_json(task_id(n)))) ->> 'response_length' AS length, (SELECT text FROM airun_stream_read(task_id(n)))
FROM (VALUES (91, '"delta": "one", "delta": "two!"'), (92, '"delta": "one", "\u0064elta": "two!"'), (93, '"delta": "one", "delta": null, "delta_json": "\"two!\""')) AS v (n, pieces);
SELECT airun_call(format('{"airun_stream_delta": {"delta": "one"}, "airun_stream_delta": {"delta_json": "\"two!\"", "task_id": %s}}', to_json(task_id(94)))) ->> 'response_length' AS length;

-- figures of a wrong type are left out of an end, which stands
CREATE FUNCTION pg_temp.end_raw(n int, figures text, function text DEFAULT 'airun_complete_task') RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', end_of ->> 'status', end_of ->> 'response_length', end_of ->> 'tokens_input', end_of ->> 'tokens_output', end_of ->> 'tokens_total', end_of ->> 'billed', end_of ->> 'price_status', end_of -> 'cost_details' ->> 'left_out')
	FROM (SELECT CASE function WHEN 'airun_finish_turn' THEN answer -> 'task' ELSE answer END
		FROM airun_call(format('{"%s": {"task_id": %s, "response_text": "paid", %s}}', function, to_json(helpers.task_id(n)), figures)) AS answer) AS v (end_of) $$;
SELECT count(airun_create_task(run_id(9), task_id(n))) FROM generate_series(200, 223) AS n;
SELECT pg_temp.end_raw((199 + n)::int, figure) FROM unnest(ARRAY['"tokens_input": 1.5', '"cost": 1e400', '"tokens_output": 99999999999999999999', '"billed": "dunno"', '"tokens_total": "many"', '"tokens_input": [1]',
	'"cost": {"usd": 1}', '"provider_cost": true', '"time_to_first_token": "soon"', '"total_time": "1e-400"', '"billed": 2', '"tokens_input": ""',
	'"tokens_input": -1, "tokens_output": 1.5, "cost": "x"', '"tokens_input": 10.0, "tokens_output": "5", "billed": "no", "cost": "1e-3", "total_time": 1e2', '"tokens_input": null, "billed": 1, "tokens_output": 1e3',
	'"cost": "NaN", "total_time": "Infinity", "tokens_output": true']) WITH ORDINALITY AS v (figure, n);
SELECT pg_temp.end_raw(216, '"tokens_input": 1.5', 'airun_fail_task'), pg_temp.end_raw(217, '"tokens_input": 1.5', 'airun_cancel_task'), pg_temp.end_raw(218, '"tokens_input": 1.5', 'airun_finish_turn');
SELECT airun_call('{"airun_meter": {"service": "title", "tokens_input": 1.5, "cost": []}}') #>> '{cost_details,left_out}' AS meter;
SELECT airun_call(format('{"airun_start_call": {"call_id": %s, "service": "title"}}', to_json(task_id(219)))) ->> 'status' AS start, airun_call(format('{"airun_end_call": {"call_id": %s, "billed": "dunno"}}', to_json(task_id(219)))) #>> '{cost_details,left_out}' AS "end";
-- said once more, with what it lacked
SELECT pg_temp.end_raw(200, '"tokens_input": 15');
-- an end that is refused leaves nothing behind for the next one
SELECT attempt('SELECT airun_call(''{"airun_complete_task": {"tokens_input": 1.5}}'')');
SELECT (airun_complete_task(task_id(220))).cost_details IS NULL AS nothing_left_out;
-- what is no end is refused as ever
SELECT attempt('SELECT airun_call(''{"airun_set_price": {"model": "m", "rates": {}, "per_tokens": "x"}}'')');

--
-- Messages and tasks embed one another, with the caller's rights
--
SELECT airun_start_turn(run_id(3), jsonb_build_array(say('one'), say('two')), task_id(31)) IS NOT NULL AS started;
SELECT airun_finish_turn(task_id(31), response_text => 'three') IS NOT NULL AS finished;
SELECT m.seq, t.status FROM ai_messages AS m LEFT JOIN LATERAL ai_tasks(m) AS t ON true WHERE m.run_id = run_id(3) ORDER BY seq;
SELECT t.status, array_agg(m.seq ORDER BY m.seq) FROM ai_tasks AS t, ai_messages(t) AS m WHERE t.task_id = task_id(31) GROUP BY t.status;
CREATE ROLE regress_airun_doors NOLOGIN;
SELECT airun_grant('regress_airun_doors');
GRANT USAGE ON SCHEMA helpers TO regress_airun_doors;
-- as a part of the statement: no function is called
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN RETURN QUERY EXECUTE 'EXPLAIN ' || query; END$$;
SELECT count(*) FILTER (WHERE line LIKE '%Function Scan%') AS calls, count(*) FILTER (WHERE line LIKE '%tasks%') > 0 AS inlined
FROM pg_temp.plan('SELECT t.status FROM ai_messages AS m, ai_tasks(m) AS t') AS line;
SET ROLE regress_airun_doors;
SELECT count(*) FROM ai_messages AS m, ai_tasks(m) AS t WHERE m.run_id = run_id(3);
SET airun.user_id = 'somebody else';
SELECT count(*) FROM ai_messages AS m, ai_tasks(m) AS t WHERE m.run_id = run_id(3);
SELECT attempt('SELECT count(*) FROM ai_messages(ROW())');
RESET ROLE;
SELECT * FROM airun_check();
SET airun.user_id = 'doors';
DELETE FROM airun.runs WHERE user_id = airun_user_id();
DROP OWNED BY regress_airun_doors;
DROP ROLE regress_airun_doors;
RESET airun.user_id;
