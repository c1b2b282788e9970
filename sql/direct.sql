--
-- Rows that are written straight to the tables, without a statement: both ways
-- write the same, and whatever a site adds that only a statement would honour
-- is honoured, whether this session adds it or another one.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA direct_test;
SET search_path = direct_test, public;
SET airun.user_id = 'direct test';
SET airun.trust_client_cost = on;
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- ids with a variant in them, so that one scenario can be played more than once
CREATE FUNCTION run_id(n int) RETURNS uuid LANGUAGE sql STABLE AS
$$SELECT format('d12ec700-000%s-4000-8000-%s', current_setting('direct_test.variant'), lpad(n::text, 12, '0'))::uuid$$;
CREATE FUNCTION task_id(n int) RETURNS uuid LANGUAGE sql STABLE AS
$$SELECT format('d12ec700-000%s-4000-9000-%s', current_setting('direct_test.variant'), lpad(n::text, 12, '0'))::uuid$$;
-- what a statement gives, deferred constraints included
CREATE FUNCTION attempt(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE command INTO answer;
	SET CONSTRAINTS ALL IMMEDIATE;
	SET CONSTRAINTS ALL DEFERRED;
	RETURN coalesce(answer, '(null)');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END$$;
CREATE FUNCTION said(content text, role text DEFAULT 'user') RETURNS jsonb LANGUAGE sql IMMUTABLE AS
$$SELECT jsonb_build_object('role', role, 'content', content)$$;
-- hardly compressible
CREATE FUNCTION noise(seed int, parts int) RETURNS text LANGUAGE sql IMMUTABLE AS
$$SELECT string_agg(md5(seed || '.' || i), '' ORDER BY i) FROM generate_series(1, parts) AS i$$;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE ROLE regress_airun_direct NOLOGIN;
SELECT airun_grant('regress_airun_direct');
GRANT USAGE ON SCHEMA direct_test TO regress_airun_direct;
DO $$BEGIN
	PERFORM airun_set_price('direct test model', '{"input": 0.001, "output": 0.002}');
END$$;
-- values that are toasted elsewhere
CREATE TABLE large (id int, value text);
INSERT INTO large VALUES (1, noise(1, 3000)), (2, noise(2, 3000));
GRANT SELECT ON large TO PUBLIC;

--
-- The same scenario both ways
--
CREATE TABLE steps (step int GENERATED ALWAYS AS IDENTITY, command text);
GRANT SELECT ON steps TO PUBLIC;
INSERT INTO steps (command) VALUES
	-- with all there is to say, and with nothing
	('SELECT status FROM airun_create_run(''prompt'', ''d12ec700-0000-4000-8000-0000000000ff'', ''a name'', ''a description'', ''{"s": 1}'', ''{"v": 2}'', ''{a,b}'', ''{"m": 3}'', run_id(1))'),
	('SELECT status FROM airun_create_run(id => run_id(2))'),
	('SELECT status FROM airun_create_run(id => run_id(2))'),
	-- appends: without an id, with one, with its own; again; with another text; with a time
	('SELECT seq FROM airun_append_message(run_id(1), said(''one''))'),
	('SELECT seq FROM airun_append_message(run_id(1), said(''two''), ''id two'')'),
	('SELECT seq FROM airun_append_message(run_id(1), said(''three'') || ''{"id": "id three"}'')'),
	('SELECT seq FROM airun_append_message(run_id(1), said(''two''), ''id two'')'),
	('SELECT seq FROM airun_append_message(run_id(1), said(''2''), ''id two'')'),
	('SELECT seq FROM airun_append_message(run_id(1), said(''four'') || ''{"timestamp": "2020-02-02T02:02:02Z"}'')'),
	('SELECT string_agg(seq::text, '','') FROM airun_append_messages(run_id(1), jsonb_build_array(said(''five''), said(''three'') || ''{"id": "id three"}'', said(''six'') || ''{"id": "id six"}''))'),
	('SELECT string_agg(seq::text, '','') FROM airun_append_messages(run_id(1), ''[]'')'),
	('SELECT string_agg(seq::text, '','') FROM airun_append_messages(run_id(1), jsonb_build_array(said(''good''), ''{"role": "user"}''))'),
	-- one that is out of line, and one whose text is out of line elsewhere
	('SELECT seq FROM airun_append_message(run_id(1), said(noise(3, 3000)))'),
	('SELECT seq FROM large, airun_append_message(run_id(1), jsonb_build_object(''role'', ''user'', ''content'', value)) WHERE large.id = 1'),
	-- a name from the first message of a user, which is not the first one
	('SELECT seq FROM airun_append_message(run_id(2), said(''Be kind.'', ''system''))'),
	('SELECT seq FROM airun_append_message(run_id(2), said(''A name. And more.''))'),
	-- tasks, with all and with nothing; again
	('SELECT status FROM airun_create_task(run_id(1), task_id(1), ''service'', ''name'', ''provider'', ''endpoint'', ''direct test model'', ''{"r": 1}'', ''{"m": 1}'', ''1 hour'')'),
	('SELECT status FROM airun_create_task(run_id(1), task_id(2))'),
	('SELECT status FROM airun_create_task(run_id(1), task_id(2))'),
	('SELECT status FROM airun_create_task(run_id(2), task_id(2))'),
	-- messages of tasks
	('SELECT seq FROM airun_append_message(run_id(1), said(''of a task''), task_id => task_id(1))'),
	('SELECT seq FROM airun_append_message(run_id(2), said(''of no task of it''), task_id => task_id(1))'),
	-- pieces, the whole, pieces again; large ones
	('SELECT response_length FROM airun_stream_delta(task_id(1), ''Hel'')'),
	('SELECT response_length FROM airun_stream_delta(task_id(1), ''lo'', 3)'),
	('SELECT response_length FROM airun_stream_delta(task_id(1), ''lo'', 3)'),
	('SELECT response_length FROM airun_update_task(task_id(1), ''Hello, wor'', ''{"d": 1}'')'),
	('SELECT response_length FROM large, airun_stream_delta(task_id(2), value) WHERE id = 1'),
	('SELECT response_length FROM large, airun_stream_delta(task_id(2), value) WHERE id = 2'),
	('SELECT status FROM airun_heartbeat_task(task_id(2))'),
	-- ends: by usage and price; again; with another text; with an own cost; of nothing
	('SELECT (status, cost, tokens_total) FROM airun_complete_task(task_id(1), ''Hello, world'', ''{"prompt_tokens": 10, "completion_tokens": 5}'', finish_reason => ''stop'')'),
	('SELECT (status, cost, tokens_total) FROM airun_complete_task(task_id(1), ''Hello, world'')'),
	('SELECT status FROM airun_complete_task(task_id(1), ''Hello, you'')'),
	('SELECT status FROM airun_fail_task(task_id(1))'),
	('SELECT (status, cost, tokens_total) FROM airun_fail_task(task_id(2), ''{"code": 500}'', cost => 0.125, tokens_total => 7, total_time => 123456, time_to_first_token => 123456)'),
	('SELECT status FROM airun_create_task(run_id(1), task_id(3), model_id => ''direct test model'')'),
	('SELECT (status, cost, tokens_total) FROM airun_cancel_task(task_id(3))'),
	('SELECT status FROM airun_create_task(run_id(2), task_id(4))'),
	('SELECT (status, cost, tokens_total) FROM large, airun_complete_task(task_id(4), value, response_data => jsonb_build_object(''large'', value)) WHERE large.id = 2'),
	-- a text that a message says afterwards
	('SELECT status FROM airun_create_task(run_id(2), task_id(5))'),
	('SELECT status FROM airun_complete_task(task_id(5), ''said twice'')'),
	('SELECT seq FROM airun_append_message(run_id(2), said(''said twice'', ''assistant''), task_id => task_id(5))'),
	-- turns: with a run made on the way, with several messages, with a request that repeats them
	('SELECT airun_start_turn(run_id(3), jsonb_build_array(said(''Who?''), said(''And why?'')), task_id(6), run => ''{"source_type": "turn"}'') -> ''task'' ->> ''status'''),
	('SELECT airun_start_turn(run_id(3), jsonb_build_array(said(''Who?''), said(''And why?'')), task_id(6)) -> ''task'' ->> ''status'''),
	('SELECT response_length FROM airun_stream_delta(task_id(6), ''Nobody'')'),
	('SELECT airun_finish_turn(task_id(6), said(''Nobody.'', ''assistant''), usage => ''{"prompt_tokens": 3, "completion_tokens": 4}'') -> ''task'' ->> ''response_length'''),
	('SELECT airun_finish_turn(task_id(6), said(''Nobody.'', ''assistant'')) -> ''task'' ->> ''response_length'''),
	('SELECT airun_start_turn(run_id(3), task_id => task_id(7), model_id => ''direct test model'', request_data => jsonb_build_object(''t'', 0, ''messages'', (SELECT jsonb_agg(message - ''timestamp'' ORDER BY seq) FROM ai_messages WHERE run_id = run_id(3)))) -> ''task'' ->> ''status'''),
	('SELECT airun_finish_turn(task_id(7), response_text => ''From the text alone.'', cost => 1.5) -> ''task'' ->> ''cost'''),
	('SELECT status FROM airun_create_task(run_id(3), task_id(8))'),
	('SELECT airun_finish_turn(task_id(8), ''{"role": "assistant", "content": null, "tool_calls": [{"id": "A"}]}'', tokens_output => 0) -> ''task'' ->> ''tokens_total'''),
	-- a completed run, an end in one, and open again; an error, and gone with the next task
	('SELECT status FROM airun_create_task(run_id(3), task_id(9))'),
	('SELECT status FROM airun_set_run_status(run_id(3), ''completed'')'),
	('SELECT seq FROM airun_append_message(run_id(3), said(''too late''))'),
	('SELECT status FROM airun_create_task(run_id(3), task_id(10))'),
	('SELECT status FROM airun_fail_task(task_id(9), ''"reason"'')'),
	('SELECT status FROM ai_runs WHERE id = run_id(3)'),
	('SELECT status FROM airun_set_run_status(run_id(3), ''active'')'),
	('SELECT status FROM airun_create_task(run_id(3), task_id(10))'),
	('SELECT status FROM airun_fail_task(task_id(10))'),
	('SELECT status FROM ai_runs WHERE id = run_id(3)'),
	('SELECT status FROM airun_create_task(run_id(3), task_id(11))'),
	('SELECT response_length FROM airun_stream_delta(task_id(11), ''not'')'),
	('SELECT response_length FROM airun_stream_delta(task_id(11), '' yet over'')'),
	('SELECT status FROM ai_runs WHERE id = run_id(3)');
CREATE FUNCTION story() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(step || ' ' || attempt(command), E'\n' ORDER BY step) FROM (SELECT * FROM steps ORDER BY step OFFSET 0) AS s
$$;
-- all rows of the variant: whatever is a time is only that, and long texts are told by their sum
CREATE FUNCTION neutral(item jsonb) RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT jsonb_object_agg(key, CASE
		WHEN value = 'null' THEN value
		WHEN key ~ '(_at|_hour)$' THEN '"time"'
		WHEN key ~ '(total_time|time_to_first_token)$' AND value <> '123456' THEN '"time"'
		WHEN key = 'message' THEN CASE WHEN value ->> 'timestamp' LIKE '2020%' THEN value ELSE value || '{"timestamp": "time"}' END
		ELSE value END)
	FROM jsonb_each(item)
$$;
CREATE FUNCTION stored() RETURNS TABLE (item text) LANGUAGE sql STABLE AS $$
	SELECT regexp_replace(replace(regexp_replace(neutral(x)::text, '"price_id": "[^"]+"', '"price_id": "one"'), left(run_id(0)::text, 13), 'ID'), '([0-9a-f]{32})[0-9a-f]{32,}', '\1... ' || md5(concat(x #>> '{message,content}', x ->> 'response_text', x ->> 'response_data', x ->> 'chunk')), 'g')
	FROM (
		SELECT 1, to_jsonb(r), id, 0::text FROM airun.runs AS r WHERE left(id::text, 13) = left(run_id(0)::text, 13)
		UNION ALL SELECT 2, to_jsonb(m), run_id, lpad(seq::text, 9, '0') FROM airun.messages AS m WHERE left(run_id::text, 13) = left(run_id(0)::text, 13)
		UNION ALL SELECT 3, to_jsonb(t), run_id, task_id::text FROM airun.tasks AS t WHERE left(run_id::text, 13) = left(run_id(0)::text, 13)
		UNION ALL SELECT 4, to_jsonb(c), run_id, task_id::text || lpad(chars::text, 9, '0') FROM airun.task_chunks AS c WHERE left(run_id::text, 13) = left(run_id(0)::text, 13)
	) AS x (place, x, run, id)
	ORDER BY place, run, id COLLATE "C"
$$;
-- what calls of our triggers tell: which rows were written by statements
CREATE FUNCTION calls() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_object_agg(name, coalesce((SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = name AND schemaname = 'public'), 0))
	FROM unnest('{airun_guard_message,airun_roll_up_messages,airun_guard_task,airun_roll_up_tasks,airun_guard_run}'::text[]) AS name
$$;
CREATE FUNCTION calls_since(before jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(key || ' ' || ((value::text)::int - (before ->> key)::int), ', ' ORDER BY key COLLATE "C") FROM jsonb_each(calls())
$$;
SET track_functions = 'all';

SET direct_test.variant = 1;
BEGIN;
SELECT calls() AS before \gset
SET ROLE regress_airun_direct;
SELECT story() AS plain \gset
RESET ROLE;
SELECT calls_since(:'before');
COMMIT;
\echo :plain
SELECT * FROM stored();
CREATE TABLE stored_plain AS SELECT * FROM stored();
SELECT * FROM airun_check();

-- as statements
CREATE TRIGGER zz_site AFTER INSERT OR UPDATE ON airun.runs FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER zz_site AFTER INSERT OR UPDATE ON airun.messages FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER zz_site AFTER INSERT OR UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER zz_site AFTER INSERT OR UPDATE ON airun.task_chunks FOR EACH ROW EXECUTE FUNCTION nothing();
SET direct_test.variant = 2;
BEGIN;
SELECT calls() AS before \gset
SET ROLE regress_airun_direct;
SELECT story() = :'plain' AS same \gset
RESET ROLE;
SELECT :'same', calls_since(:'before');
COMMIT;
(TABLE stored_plain EXCEPT SELECT * FROM stored()) UNION ALL (SELECT * FROM stored() EXCEPT TABLE stored_plain);
-- and by the owner
SET direct_test.variant = 3;
SELECT story() = :'plain';
(TABLE stored_plain EXCEPT SELECT * FROM stored()) UNION ALL (SELECT * FROM stored() EXCEPT TABLE stored_plain);
DROP TRIGGER zz_site ON airun.runs;
DROP TRIGGER zz_site ON airun.messages;
DROP TRIGGER zz_site ON airun.tasks;
DROP TRIGGER zz_site ON airun.task_chunks;
SET direct_test.variant = 4;
SELECT story() = :'plain';
(TABLE stored_plain EXCEPT SELECT * FROM stored()) UNION ALL (SELECT * FROM stored() EXCEPT TABLE stored_plain);
-- what was out of line elsewhere is ours by now
DROP TABLE large;
SELECT md5(message ->> 'content') = md5(noise(1, 3000)), pg_column_size(message) > 2000 FROM airun.messages WHERE run_id = run_id(1) AND seq = 9;
SELECT response_text = noise(2, 3000), response_data ->> 'large' = noise(2, 3000) FROM ai_tasks WHERE task_id = task_id(4);
SELECT * FROM airun_check();

--
-- What a site adds, each alone: by another session and by this one, and taken
-- away by both
--
CREATE SEQUENCE n;
GRANT USAGE, SELECT ON n TO PUBLIC;
CREATE TABLE log (what text);
GRANT ALL ON log TO PUBLIC;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO direct_test.log VALUES (lower(format('%s %s %s %s', TG_TABLE_NAME, TG_WHEN, TG_OP, TG_LEVEL)));
	RETURN NEW;
END$$;
CREATE TABLE words (word text PRIMARY KEY);
INSERT INTO words VALUES ('other');
CREATE DOMAIN filled AS text DEFAULT 'filled by the domain';
CREATE DOMAIN required AS text NOT NULL;
SET direct_test.variant = 5;
SELECT status FROM airun_create_run(id => run_id(1), name => 'probed');
CREATE FUNCTION prepare() RETURNS void LANGUAGE sql AS $$
	SELECT airun_create_task(run_id(1), task_id((last_value * 10 + i * 10 + k)::int)) FROM n, generate_series(1, 5) AS i, generate_series(1, 2) AS k
$$;
-- each kind of row once: what was not fine, what has fired, and what the site's own columns say
CREATE FUNCTION probe() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	i int := nextval('n') * 10;
	steps text[] := ARRAY[
		'message', format('SELECT airun_append_message(run_id(1), %L, ''id %s'') IS NULL', said('a') || jsonb_build_object('once', i), i),
		'second message', format('SELECT airun_append_message(run_id(1), %L) IS NULL', said('b') || jsonb_build_object('once', i)),
		'task', format('SELECT airun_create_task(run_id(1), task_id(%s), service => ''service %s'', model_id => ''model'') IS NULL', i + 5, i),
		'second task', format('SELECT airun_create_task(run_id(1), task_id(%s), service => ''service %s'', model_id => ''model'') IS NULL', i + 6, i),
		'piece', format('SELECT airun_stream_delta(task_id(%s), ''one'') IS NULL', i + 1),
		'second piece', format('SELECT airun_stream_delta(task_id(%s), '' two'') IS NULL', i + 1),
		'end', format('SELECT airun_complete_task(task_id(%s), finish_reason => ''stop %s'', usage => ''{}'') IS NULL', i + 1, i),
		'second end', format('SELECT airun_complete_task(task_id(%s), finish_reason => ''stop %s'', usage => ''{}'') IS NULL', i + 2, i)];
	report text[] := '{}';
	answer text;
	chunk text;
BEGIN
	DELETE FROM log;
	FOR k IN 1 .. array_length(steps, 1) BY 2 LOOP
		answer := attempt(steps[k + 1]);
		IF answer <> 'false' THEN
			report := report || (steps[k] || ' ' || answer);
		END IF;
		IF steps[k] = 'second piece' THEN
			SELECT to_jsonb(c) ->> 'site' INTO chunk FROM airun.task_chunks AS c WHERE c.run_id = run_id(1) AND c.task_id = task_id(i + 1) ORDER BY chars DESC LIMIT 1;
		END IF;
	END LOOP;
	RETURN concat_ws('; ', coalesce(nullif(array_to_string(report, ', '), ''), 'ok'),
		(SELECT string_agg(format('%s %s', times, what), ', ' ORDER BY what COLLATE "C") FROM (SELECT what, count(*) AS times FROM log GROUP BY what) AS l),
		'run has ' || (SELECT to_jsonb(r) ->> 'site' FROM airun.runs AS r WHERE r.id = run_id(1)),
		'message has ' || (SELECT to_jsonb(m) ->> 'site' FROM airun.messages AS m WHERE m.run_id = run_id(1) AND m.message_id = 'id ' || i),
		'task has ' || (SELECT to_jsonb(t) ->> 'site' FROM airun.tasks AS t WHERE t.run_id = run_id(1) AND t.task_id = task_id(i + 5)),
		'ended task has ' || (SELECT to_jsonb(t) ->> 'site' FROM airun.tasks AS t WHERE t.run_id = run_id(1) AND t.task_id = task_id(i + 1)),
		'chunk has ' || chunk);
END$$;

-- another session is another psql, as which :add and :drop are executed
SELECT setting || '/psql' AS psql FROM pg_config WHERE name = 'BINDIR' \gset
\setenv AIRUN_PSQL :psql
\setenv AIRUN_DATABASE :DBNAME
\getenv folder PG_ABS_BUILDDIR
\set play :folder '/results/direct_play.sql'
SELECT $play$
\set ECHO none
SELECT prepare() \g /dev/null
SET ROLE regress_airun_direct;
SELECT probe() \g /dev/null
RESET ROLE;
\setenv AIRUN_SQL :add
\! "$AIRUN_PSQL" -X -q -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "$AIRUN_SQL"
SET ROLE regress_airun_direct;
SELECT 'another: ' || probe();
RESET ROLE;
\setenv AIRUN_SQL :drop
\! "$AIRUN_PSQL" -X -q -v ON_ERROR_STOP=1 -d "$AIRUN_DATABASE" -c "$AIRUN_SQL"
SET ROLE regress_airun_direct;
SELECT 'gone:    ' || probe();
RESET ROLE;
:add;
SET ROLE regress_airun_direct;
SELECT 'this:    ' || probe();
RESET ROLE;
:drop;
SET ROLE regress_airun_direct;
SELECT 'gone:    ' || probe();
RESET ROLE;
SELECT * FROM airun_check();
\set ECHO all
$play$ \g :play
SELECT nextval('n') \g /dev/null

-- nothing
\set add 'SET direct_test.nothing = 1'
\set drop :add
\i :play
-- CHECK
\set add 'ALTER TABLE airun.runs ADD CONSTRAINT site CHECK (task_count < 0) NOT VALID'
\set drop 'ALTER TABLE airun.runs DROP CONSTRAINT site'
\i :play
\set add 'ALTER TABLE airun.messages ADD CONSTRAINT site CHECK (message ->> \'content\' <> \'b\') NOT VALID'
\set drop 'ALTER TABLE airun.messages DROP CONSTRAINT site'
\i :play
\set add 'ALTER TABLE airun.tasks ADD CONSTRAINT site CHECK (model_id IS NULL) NOT VALID'
\set drop 'ALTER TABLE airun.tasks DROP CONSTRAINT site'
\i :play
\set add 'ALTER TABLE airun.tasks ADD CONSTRAINT site CHECK (finish_reason IS NULL) NOT VALID'
\i :play
\set add 'ALTER TABLE airun.task_chunks ADD CONSTRAINT site CHECK (chunk <> \' two\') NOT VALID'
\set drop 'ALTER TABLE airun.task_chunks DROP CONSTRAINT site'
\i :play
-- a column with a default
\set add 'ALTER TABLE airun.runs ADD site text DEFAULT \'default\''
\set drop 'ALTER TABLE airun.runs DROP site'
\i :play
\set add 'ALTER TABLE airun.messages ADD site text DEFAULT \'default\''
\set drop 'ALTER TABLE airun.messages DROP site'
\i :play
\set add 'ALTER TABLE airun.tasks ADD site text DEFAULT \'default\''
\set drop 'ALTER TABLE airun.tasks DROP site'
\i :play
\set add 'ALTER TABLE airun.task_chunks ADD site text DEFAULT \'default\''
\set drop 'ALTER TABLE airun.task_chunks DROP site'
\i :play
-- one that must be given and is not
\set add 'ALTER TABLE airun.messages ADD site text NOT NULL DEFAULT \'default\'; ALTER TABLE airun.messages ALTER site DROP DEFAULT'
\set drop 'ALTER TABLE airun.messages DROP site'
\i :play
\set add 'ALTER TABLE airun.tasks ADD site text NOT NULL DEFAULT \'default\'; ALTER TABLE airun.tasks ALTER site DROP DEFAULT'
\set drop 'ALTER TABLE airun.tasks DROP site'
\i :play
\set add 'ALTER TABLE airun.task_chunks ADD site text NOT NULL DEFAULT \'default\'; ALTER TABLE airun.task_chunks ALTER site DROP DEFAULT'
\set drop 'ALTER TABLE airun.task_chunks DROP site'
\i :play
-- one that may be left out
\set add 'ALTER TABLE airun.messages ADD site text; ALTER TABLE airun.tasks ADD site text; ALTER TABLE airun.runs ADD site text; ALTER TABLE airun.task_chunks ADD site text'
\set drop 'ALTER TABLE airun.messages DROP site; ALTER TABLE airun.tasks DROP site; ALTER TABLE airun.runs DROP site; ALTER TABLE airun.task_chunks DROP site'
\i :play
-- one that is computed
\set add 'ALTER TABLE airun.runs ADD site boolean GENERATED ALWAYS AS (task_count > 1) STORED'
\set drop 'ALTER TABLE airun.runs DROP site'
\i :play
\set add 'ALTER TABLE airun.messages ADD site text GENERATED ALWAYS AS (upper(message ->> \'content\')) STORED'
\set drop 'ALTER TABLE airun.messages DROP site'
\i :play
\set add 'ALTER TABLE airun.tasks ADD site text GENERATED ALWAYS AS (upper(status)) STORED'
\set drop 'ALTER TABLE airun.tasks DROP site'
\i :play
\set add 'ALTER TABLE airun.task_chunks ADD site text GENERATED ALWAYS AS (upper(chunk)) STORED'
\set drop 'ALTER TABLE airun.task_chunks DROP site'
\i :play
-- one that is computed, when it is read where the server can do that, and must not be NULL
SELECT CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 'VIRTUAL' ELSE 'STORED' END AS kind \gset
SELECT format('DELETE FROM airun.tasks WHERE status = ''streaming''; ALTER TABLE airun.tasks ADD site int GENERATED ALWAYS AS (CASE WHEN status <> ''streaming'' THEN 1 END) %s NOT NULL', :'kind') AS add \gset
\set drop 'ALTER TABLE airun.tasks DROP site'
\i :play
-- one whose type fills or refuses it
\set add 'ALTER TABLE airun.messages ADD site direct_test.filled; ALTER TABLE airun.tasks ADD site direct_test.filled; ALTER TABLE airun.task_chunks ADD site direct_test.filled'
\set drop 'ALTER TABLE airun.messages DROP site; ALTER TABLE airun.tasks DROP site; ALTER TABLE airun.task_chunks DROP site'
\i :play
\set add 'ALTER TABLE airun.messages ADD site direct_test.required DEFAULT \'x\'; ALTER TABLE airun.messages ALTER site DROP DEFAULT; ALTER TABLE airun.tasks ADD site direct_test.required DEFAULT \'x\'; ALTER TABLE airun.tasks ALTER site DROP DEFAULT'
\set drop 'ALTER TABLE airun.messages DROP site; ALTER TABLE airun.tasks DROP site'
\i :play
-- triggers of all kinds
\set add 'CREATE TRIGGER site BEFORE INSERT OR UPDATE ON airun.runs FOR EACH ROW EXECUTE FUNCTION direct_test.note()'
\set drop 'DROP TRIGGER site ON airun.runs'
\i :play
\set add 'CREATE TRIGGER site AFTER UPDATE ON airun.runs FOR EACH STATEMENT EXECUTE FUNCTION direct_test.note()'
\i :play
\set add 'CREATE TRIGGER site BEFORE INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION direct_test.note()'
\set drop 'DROP TRIGGER site ON airun.messages'
\i :play
\set add 'CREATE TRIGGER site AFTER INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION direct_test.note()'
\i :play
\set add 'CREATE TRIGGER site BEFORE INSERT ON airun.messages FOR EACH STATEMENT EXECUTE FUNCTION direct_test.note()'
\i :play
\set add 'CREATE TRIGGER site AFTER INSERT ON airun.messages FOR EACH STATEMENT EXECUTE FUNCTION direct_test.note()'
\i :play
\set add 'CREATE CONSTRAINT TRIGGER site AFTER INSERT ON airun.messages DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION direct_test.note()'
\i :play
\set add 'CREATE TRIGGER site BEFORE INSERT OR UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION direct_test.note()'
\set drop 'DROP TRIGGER site ON airun.tasks'
\i :play
\set add 'CREATE TRIGGER site AFTER INSERT OR UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION direct_test.note()'
\i :play
\set add 'CREATE TRIGGER site BEFORE INSERT OR UPDATE ON airun.tasks FOR EACH STATEMENT EXECUTE FUNCTION direct_test.note()'
\i :play
\set add 'CREATE TRIGGER site AFTER UPDATE OF finish_reason ON airun.tasks FOR EACH STATEMENT EXECUTE FUNCTION direct_test.note()'
\i :play
\set add 'CREATE TRIGGER site BEFORE INSERT ON airun.task_chunks FOR EACH ROW EXECUTE FUNCTION direct_test.note()'
\set drop 'DROP TRIGGER site ON airun.task_chunks'
\i :play
\set add 'CREATE TRIGGER site AFTER INSERT ON airun.task_chunks FOR EACH STATEMENT EXECUTE FUNCTION direct_test.note()'
\i :play
-- rules
\set add 'CREATE RULE site AS ON UPDATE TO airun.runs DO ALSO INSERT INTO direct_test.log VALUES (\'rule\')'
\set drop 'DROP RULE site ON airun.runs'
\i :play
\set add 'CREATE RULE site AS ON INSERT TO airun.messages DO ALSO INSERT INTO direct_test.log VALUES (\'rule\')'
\set drop 'DROP RULE site ON airun.messages'
\i :play
\set add 'CREATE RULE site AS ON INSERT TO airun.tasks DO ALSO INSERT INTO direct_test.log VALUES (\'rule\')'
\set drop 'DROP RULE site ON airun.tasks'
\i :play
\set add 'CREATE RULE site AS ON UPDATE TO airun.tasks DO ALSO INSERT INTO direct_test.log VALUES (\'rule\')'
\i :play
\set add 'CREATE RULE site AS ON INSERT TO airun.task_chunks DO ALSO INSERT INTO direct_test.log VALUES (\'rule\')'
\set drop 'DROP RULE site ON airun.task_chunks'
\i :play
-- foreign keys
\set add 'ALTER TABLE airun.messages ADD CONSTRAINT site FOREIGN KEY (message_id) REFERENCES direct_test.words NOT VALID'
\set drop 'ALTER TABLE airun.messages DROP CONSTRAINT site'
\i :play
\set add 'ALTER TABLE airun.tasks ADD CONSTRAINT site FOREIGN KEY (model_id) REFERENCES direct_test.words NOT VALID'
\set drop 'ALTER TABLE airun.tasks DROP CONSTRAINT site'
\i :play
\set add 'ALTER TABLE airun.tasks ADD CONSTRAINT site FOREIGN KEY (finish_reason) REFERENCES direct_test.words NOT VALID'
\i :play
\set add 'ALTER TABLE airun.tasks ADD CONSTRAINT site FOREIGN KEY (model_id) REFERENCES direct_test.words DEFERRABLE INITIALLY DEFERRED NOT VALID'
\i :play
\set add 'ALTER TABLE airun.tasks ADD CONSTRAINT site FOREIGN KEY (task_id) REFERENCES airun.runs (id) NOT VALID'
\i :play
\set add 'ALTER TABLE airun.task_chunks ADD CONSTRAINT site FOREIGN KEY (chunk) REFERENCES direct_test.words NOT VALID'
\set drop 'ALTER TABLE airun.task_chunks DROP CONSTRAINT site'
\i :play
-- unique keys that are checked later, and indexes of all kinds, once the pairs
-- are gone that the probes have left
\set no_pairs 'DELETE FROM airun.tasks WHERE service LIKE \'service %\' OR finish_reason LIKE \'stop %\';'
\set add :no_pairs 'ALTER TABLE airun.tasks ADD CONSTRAINT site UNIQUE (run_id, service) DEFERRABLE INITIALLY DEFERRED'
\set drop 'ALTER TABLE airun.tasks DROP CONSTRAINT site'
\i :play
\set add :no_pairs 'ALTER TABLE airun.tasks ADD CONSTRAINT site EXCLUDE (service WITH =) WHERE (service LIKE \'service %\')'
\i :play
\set add :no_pairs 'CREATE UNIQUE INDEX site ON airun.tasks (run_id, service) WHERE service LIKE \'service %\''
\set drop 'DROP INDEX airun.site'
\i :play
\set add :no_pairs 'CREATE UNIQUE INDEX site ON airun.tasks (upper(finish_reason)) WHERE finish_reason LIKE \'stop %\''
\i :play
\set add 'DELETE FROM airun.messages WHERE run_id = \'d12ec700-0005-4000-8000-000000000001\'; CREATE UNIQUE INDEX site ON airun.messages ((message ->> \'once\')) WHERE message ? \'once\''
\i :play
CREATE FUNCTION beginning(message jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RETURN (SELECT left(message ->> 'content', 100));
END$$;
\set add 'CREATE INDEX site ON airun.messages (direct_test.beginning(message))'
\i :play
-- and is used: what was written straight to the table is found by it
CREATE INDEX site ON airun.messages (direct_test.beginning(message));
SELECT seq > 0 AS appended FROM airun_append_message(run_id(1), said('by index'));
SET enable_seqscan = off;
SELECT count(*) FROM airun.messages WHERE direct_test.beginning(message) = 'by index';
RESET enable_seqscan;
DROP INDEX airun.site;
-- a row of nothing is NULL, too
CREATE TYPE pair AS (a int, b int);
ALTER TABLE airun.runs ADD pair direct_test.pair;
CREATE INDEX site ON airun.runs (updated_at) WHERE pair IS NULL;
UPDATE airun.runs SET pair = ROW(NULL, NULL) WHERE id = run_id(1);
SELECT seq > 0 AS appended FROM airun_append_message(run_id(1), said('a row of nothing'));
SET enable_seqscan = off;
SELECT bool_or(id = run_id(1)) FROM airun.runs WHERE pair IS NULL AND updated_at > '2001-01-01';
RESET enable_seqscan;
ALTER TABLE airun.runs DROP pair;

-- policies
\set add 'CREATE POLICY site ON airun.runs AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK (status = \'odd\')'
\set drop 'DROP POLICY site ON airun.runs'
\i :play
\set add 'CREATE POLICY site ON airun.messages AS RESTRICTIVE FOR INSERT TO regress_airun_direct WITH CHECK (message ->> \'content\' <> \'b\')'
\set drop 'DROP POLICY site ON airun.messages'
\i :play
\set add 'CREATE POLICY site ON airun.tasks AS RESTRICTIVE FOR INSERT TO regress_airun_direct WITH CHECK (model_id IS NULL)'
\set drop 'DROP POLICY site ON airun.tasks'
\i :play
\set add 'CREATE POLICY site ON airun.tasks AS RESTRICTIVE FOR UPDATE TO regress_airun_direct WITH CHECK (finish_reason IS NULL)'
\i :play
\set add 'CREATE POLICY site ON airun.tasks AS RESTRICTIVE FOR UPDATE TO regress_airun_direct USING (false)'
\i :play
-- ours, gone or altered
\set add 'DROP POLICY airun_append ON airun.messages'
\set drop 'CREATE POLICY airun_append ON airun.messages FOR INSERT WITH CHECK (public.airun_writes_run(run_id))'
\i :play
\set add 'DROP POLICY airun_create ON airun.tasks'
\set drop 'CREATE POLICY airun_create ON airun.tasks FOR INSERT WITH CHECK (public.airun_writes_run(run_id))'
\i :play
\set add 'DROP POLICY airun_change ON airun.tasks'
\set drop 'CREATE POLICY airun_change ON airun.tasks FOR UPDATE USING (public.airun_writes_run(run_id))'
\i :play
\set add 'ALTER POLICY airun_append ON airun.messages WITH CHECK (public.airun_writes_run(run_id) AND message ->> \'content\' <> \'b\')'
\set drop 'ALTER POLICY airun_append ON airun.messages WITH CHECK (public.airun_writes_run(run_id))'
\i :play
\set add 'ALTER POLICY airun_create ON airun.tasks TO pg_monitor'
\set drop 'ALTER POLICY airun_create ON airun.tasks TO PUBLIC'
\i :play
\set add 'ALTER POLICY airun_change ON airun.tasks WITH CHECK (finish_reason IS NULL)'
\set drop 'DROP POLICY airun_change ON airun.tasks; CREATE POLICY airun_change ON airun.tasks FOR UPDATE USING (public.airun_writes_run(run_id))'
\i :play
\set add 'ALTER POLICY airun_owner ON airun.runs WITH CHECK (false)'
\set drop 'ALTER POLICY airun_owner ON airun.runs WITH CHECK (user_id = public.airun_user_id())'
\i :play
-- another of the same name, number and form, that asks something else
\set add 'DROP POLICY airun_append ON airun.messages; CREATE POLICY airun_append ON airun.messages AS RESTRICTIVE FOR INSERT WITH CHECK (public.airun_writes_run(run_id))'
\set drop 'DROP POLICY airun_append ON airun.messages; CREATE POLICY airun_append ON airun.messages FOR INSERT WITH CHECK (public.airun_writes_run(run_id))'
\i :play
\set add 'DROP POLICY airun_append ON airun.messages; CREATE POLICY airun_append ON airun.messages FOR INSERT WITH CHECK (public.airun_writes_run(task_id))'
\i :play

-- privileges, of tables and of columns
\set add 'REVOKE INSERT ON airun.messages FROM regress_airun_direct'
\set drop 'GRANT INSERT ON airun.messages TO regress_airun_direct'
\i :play
\set add 'REVOKE INSERT ON airun.tasks FROM regress_airun_direct'
\set drop 'GRANT INSERT ON airun.tasks TO regress_airun_direct'
\i :play
\set add 'REVOKE UPDATE ON airun.tasks FROM regress_airun_direct'
\set drop 'GRANT UPDATE ON airun.tasks TO regress_airun_direct'
\i :play
\set add 'REVOKE UPDATE ON airun.runs FROM regress_airun_direct'
\set drop 'GRANT UPDATE ON airun.runs TO regress_airun_direct'
\i :play
SELECT string_agg(attname, ', ') FILTER (WHERE attrelid = 'airun.messages'::regclass) AS message_columns,
	string_agg(attname, ', ') FILTER (WHERE attrelid = 'airun.tasks'::regclass) AS task_columns,
	string_agg(attname, ', ') FILTER (WHERE attrelid = 'airun.tasks'::regclass AND attname <> 'finish_reason') AS fewer_columns,
	string_agg(attname, ', ') FILTER (WHERE attrelid = 'airun.runs'::regclass) AS run_columns
FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped \gset
\set add 'REVOKE INSERT ON airun.messages FROM regress_airun_direct; GRANT INSERT (' :message_columns ') ON airun.messages TO regress_airun_direct; REVOKE INSERT, UPDATE ON airun.tasks FROM regress_airun_direct; GRANT INSERT (' :task_columns '), UPDATE (' :task_columns ') ON airun.tasks TO regress_airun_direct; REVOKE UPDATE ON airun.runs FROM regress_airun_direct; GRANT UPDATE (' :run_columns ') ON airun.runs TO regress_airun_direct'
\set drop 'REVOKE INSERT (' :message_columns ') ON airun.messages FROM regress_airun_direct; REVOKE INSERT (' :task_columns '), UPDATE (' :task_columns ') ON airun.tasks FROM regress_airun_direct; REVOKE UPDATE (' :run_columns ') ON airun.runs FROM regress_airun_direct; DO $$BEGIN PERFORM public.airun_grant(\'regress_airun_direct\'); END$$'
\i :play
\set add 'REVOKE UPDATE ON airun.tasks FROM regress_airun_direct; GRANT UPDATE (' :fewer_columns ') ON airun.tasks TO regress_airun_direct'
\set drop 'REVOKE UPDATE (' :fewer_columns ') ON airun.tasks FROM regress_airun_direct; GRANT UPDATE ON airun.tasks TO regress_airun_direct'
\i :play

-- a type that rounds
BEGIN;
DROP VIEW ai_tasks, ai_unpriced_models CASCADE;
ALTER TABLE airun.tasks ALTER cost TYPE numeric(12, 2);
DO $$BEGIN PERFORM airun_install(); END$$;
SELECT status FROM airun_create_task(run_id(1), task_id(99001));
SELECT cost FROM airun_complete_task(task_id(99001), cost => 0.126);
SELECT cost FROM airun.tasks WHERE task_id = task_id(99001);
SELECT * FROM airun_check(run_id(1));
ROLLBACK;

--
-- What is going on around it
--
SELECT status FROM airun_create_run(id => run_id(2), name => 'around');
SELECT status FROM airun_create_task(run_id(2), task_id(90001));
SET ROLE regress_airun_direct;
-- nothing is written where nothing may be
BEGIN READ ONLY;
SELECT attempt('SELECT airun_append_message(run_id(2), said(''read only''))');
SELECT attempt('SELECT airun_create_task(run_id(2))');
SELECT attempt('SELECT airun_stream_delta(task_id(90001), ''x'')');
SELECT attempt('SELECT airun_complete_task(task_id(90001))');
COMMIT;
-- taken back, and again
BEGIN;
SAVEPOINT s;
SELECT seq FROM airun_append_message(run_id(2), said('once'), 'once');
SELECT status, response_length FROM airun_stream_delta(task_id(90001), 'once');
SELECT status FROM airun_create_task(run_id(2), task_id(90002));
ROLLBACK TO s;
SELECT seq FROM airun_append_message(run_id(2), said('once'), 'once');
SELECT status, response_length FROM airun_stream_delta(task_id(90001), 'once');
SELECT status FROM airun_create_task(run_id(2), task_id(90002));
SELECT status, response_length FROM airun_complete_task(task_id(90001));
ROLLBACK TO s;
SELECT status, response_length FROM airun_stream_delta(task_id(90001), 'once');
SELECT status, response_length FROM airun_complete_task(task_id(90001));
SELECT seq FROM airun_append_message(run_id(2), said('once'), 'once');
COMMIT;
SELECT message_count, task_count FROM ai_runs WHERE id = run_id(2);
-- a site's trigger that is taken back with all that it did
RESET ROLE;
BEGIN;
SAVEPOINT s;
CREATE TRIGGER site BEFORE INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION note();
DELETE FROM log;
SELECT seq FROM airun_append_message(run_id(2), said('noted'));
TABLE log;
ROLLBACK TO s;
DELETE FROM log;
SELECT seq FROM airun_append_message(run_id(2), said('not noted'));
TABLE log;
COMMIT;
-- a snapshot that lasts
SET ROLE regress_airun_direct;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT message_count FROM ai_runs WHERE id = run_id(2);
SELECT seq FROM airun_append_message(run_id(2), said('repeatable'));
SELECT seq FROM airun_append_message(run_id(2), said('repeatable'));
SELECT status FROM airun_create_task(run_id(2), task_id(90003));
SELECT response_length FROM airun_stream_delta(task_id(90003), 'repeat');
SELECT response_length FROM airun_stream_delta(task_id(90003), 'able');
SELECT status, response_length FROM airun_complete_task(task_id(90003), cost => 0.5);
SELECT message_count, task_count, total_cost FROM ai_runs WHERE id = run_id(2);
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT seq FROM airun_append_message(run_id(2), said('serializable'));
SELECT status FROM airun_create_task(run_id(2), task_id(90004));
SELECT response_length FROM airun_stream_delta(task_id(90004), 'text');
SELECT status, response_length FROM airun_cancel_task(task_id(90004));
COMMIT;
RESET ROLE;
SELECT * FROM airun_check();
-- tables that are written anew in between
SELECT status FROM airun_create_task(run_id(2), task_id(90005));
SELECT response_length FROM airun_stream_delta(task_id(90005), 'before');
VACUUM FULL airun.runs;
VACUUM FULL airun.messages;
VACUUM FULL airun.tasks;
VACUUM FULL airun.task_chunks;
SELECT response_length FROM airun_stream_delta(task_id(90005), ', after');
SELECT seq FROM airun_append_message(run_id(2), said('after'));
SELECT status FROM airun_create_task(run_id(2), task_id(90006));
SELECT status, response_length FROM airun_complete_task(task_id(90005));
SELECT response_text FROM ai_tasks WHERE task_id = task_id(90005);
-- a column that is gone, whose values are still there
ALTER TABLE airun.runs ADD site text;
ALTER TABLE airun.tasks ADD site text;
SELECT status FROM airun_create_task(run_id(2), task_id(90007));
UPDATE airun.runs SET site = noise(7, 3000) WHERE id = run_id(2);
UPDATE airun.tasks SET site = noise(8, 3000) WHERE run_id = run_id(2) AND task_id = task_id(90007);
SELECT status FROM airun_cancel_task(task_id(90006));
SELECT md5(site) = md5(noise(7, 3000)) FROM airun.runs WHERE id = run_id(2);
ALTER TABLE airun.runs DROP site;
ALTER TABLE airun.tasks DROP site;
SELECT status FROM airun_cancel_task(task_id(90007));
SELECT status FROM airun_create_task(run_id(2), task_id(90008));
SELECT * FROM airun_check();
-- a site's foreign key to what we remove
SELECT status FROM airun_create_task(run_id(2), task_id(90009));
SELECT response_length FROM airun_stream_delta(task_id(90009), 'Hello, world');
CREATE TABLE direct_test.note (run_id uuid, task_id uuid, chars integer, FOREIGN KEY (run_id, task_id, chars) REFERENCES airun.task_chunks);
INSERT INTO direct_test.note SELECT run_id, task_id, chars FROM airun.task_chunks WHERE task_id = task_id(90009);
SELECT attempt('SELECT airun_update_task(task_id(90009), ''another text'')');
SELECT attempt('SELECT airun_complete_task(task_id(90009), ''Done'')');
SELECT response_length FROM airun_stream_delta(task_id(90009), ', and on');
DROP TABLE direct_test.note;
-- a table that is published, without anything to tell its rows by
SET client_min_messages = error;
CREATE PUBLICATION direct_test FOR TABLE airun.task_chunks, airun.runs;
ALTER TABLE airun.task_chunks REPLICA IDENTITY NOTHING;
SELECT attempt('SELECT airun_update_task(task_id(90009), ''another text'')');
ALTER TABLE airun.task_chunks REPLICA IDENTITY DEFAULT;
ALTER TABLE airun.runs REPLICA IDENTITY NOTHING;
SELECT attempt('SELECT airun_append_message(run_id(2), said(''not told''))');
ALTER TABLE airun.runs REPLICA IDENTITY DEFAULT;
DROP PUBLICATION direct_test;
SET client_min_messages = warning;
-- a type of the extension's that has been altered
BEGIN;
ALTER TYPE public.ai_task_summary ADD ATTRIBUTE site text;
SELECT attempt('SELECT airun_stream_delta(task_id(90009), ''a column more'')');
ALTER TYPE public.ai_message ADD ATTRIBUTE site text;
SELECT attempt('SELECT airun_append_message(run_id(2), said(''a column more''))');
SELECT attempt('SELECT airun_append_messages(run_id(2), said(''a column more''))');
ALTER TYPE public.ai_run_listing ADD ATTRIBUTE site text;
SELECT attempt('SELECT airun_list_runs()');
ALTER TYPE public.ai_stream_part ADD ATTRIBUTE site text;
SELECT attempt('SELECT airun_stream_read(task_id(90009))');
ALTER TYPE public.ai_price_change ADD ATTRIBUTE site text;
SELECT attempt('SELECT airun_import_prices(''{"model": {"litellm_provider": "provider", "mode": "chat", "input_cost_per_token": 1}}'', ''litellm'')');
ALTER TYPE public.ai_repricing ADD ATTRIBUTE site text;
SELECT attempt('SELECT airun_reprice()');
ROLLBACK;
-- another function in the place of the one that tells who is calling
BEGIN;
CREATE OR REPLACE FUNCTION public.airun_user_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT NULL::uuid';
SET LOCAL ROLE regress_airun_direct;
SELECT count(*) FROM ai_runs;
SELECT attempt('SELECT airun_append_message(run_id(2), said(''whose?''))');
SELECT attempt('SELECT airun_stream_delta(task_id(90009), ''whose?'')');
ROLLBACK;
-- a table with a child, whose rows a statement would see
CREATE TABLE direct_test.more () INHERITS (airun.task_chunks);
INSERT INTO direct_test.more SELECT * FROM airun.task_chunks WHERE task_id = task_id(90009);
UPDATE direct_test.more SET chars = 30, bytes = 30;
SELECT response_length FROM airun_stream_delta(task_id(90009), '!');
SELECT status, response_length FROM airun_complete_task(task_id(90009), 'Done');
SELECT count(*) FROM airun.task_chunks WHERE task_id = task_id(90009);
DROP TABLE direct_test.more;
SELECT * FROM airun_check();
-- indexes of ours, gone, or of the same name but of other rows: what they were
-- looked at for is found all the same, by everybody
SELECT status FROM airun_create_run(id => run_id(3), name => 'looks');
SELECT seq FROM airun_append_message(run_id(3), said('one'), 'one');
CREATE FUNCTION looks() RETURNS text LANGUAGE sql AS $$
SELECT concat_ws(' ',
	-- a message that is stored, and another with its id
	attempt($q$SELECT seq FROM airun_append_message(run_id(3), said('one'), 'one')$q$),
	attempt($q$SELECT seq FROM airun_append_message(run_id(3), said('two'), 'one')$q$),
	-- a turn, again, and with an id that another run has
	attempt($q$SELECT airun_start_turn(run_id(3), said('turn'), task_id(90010)) -> 'messages' -> 0 ->> 'seq'$q$),
	attempt($q$SELECT airun_start_turn(run_id(3), said('turn'), task_id(90010)) -> 'messages' -> 0 ->> 'seq'$q$),
	attempt($q$SELECT airun_start_turn(run_id(2), said('turn'), task_id(90010))$q$),
	-- a task that nobody works on ends when the next turn starts
	attempt($q$SELECT status FROM airun_create_task(run_id(3), task_id(90011), timeout => '1 microsecond')$q$),
	attempt($q$SELECT pg_sleep(0.001)$q$),
	attempt($q$SELECT airun_start_turn(run_id(3), said('next'), task_id(90012)) -> 'messages' -> 0 ->> 'seq'$q$),
	attempt($q$SELECT status FROM ai_tasks WHERE task_id = task_id(90011)$q$),
	attempt($q$SELECT count(*) FROM ai_messages WHERE run_id = run_id(3)$q$))
$$;
CREATE PROCEDURE look(changes text) LANGUAGE plpgsql AS $$
DECLARE
	role_name text;
BEGIN
	RAISE INFO '%', changes;
	EXECUTE changes;
	FOREACH role_name IN ARRAY ARRAY[current_user, 'regress_airun_direct'] LOOP
		BEGIN
			EXECUTE format('SET LOCAL ROLE %I', role_name);
			RAISE INFO '%', looks();
			RAISE SQLSTATE 'ROLLB';
		EXCEPTION WHEN SQLSTATE 'ROLLB' THEN NULL;
		END;
	END LOOP;
	ROLLBACK;
END$$;
CALL look('SELECT 1');
CALL look('DROP INDEX airun.messages_message_id');
CALL look('DROP INDEX airun.messages_message_id; CREATE INDEX messages_message_id ON airun.messages (run_id, message_id) WHERE message_id IS NULL');
CALL look('DROP INDEX airun.messages_message_id; CREATE INDEX messages_message_id ON airun.messages (run_id, lower(message_id)) WHERE message_id IS NOT NULL');
CALL look('DROP INDEX airun.messages_message_id; CREATE INDEX messages_message_id ON airun.messages (run_id, message_id text_pattern_ops) WHERE message_id IS NOT NULL');
CALL look('DROP INDEX airun.tasks_task_id');
CALL look('DROP INDEX airun.tasks_task_id; CREATE INDEX tasks_task_id ON airun.tasks (task_id) WHERE completed_at IS NOT NULL');
CALL look('DROP INDEX airun.tasks_task_id; CREATE INDEX tasks_task_id ON airun.tasks (run_id)');
CALL look('DROP INDEX airun.tasks_unfinished');
CALL look('DROP INDEX airun.tasks_unfinished; CREATE INDEX tasks_unfinished ON airun.tasks (run_id) WHERE completed_at IS NOT NULL');
CALL look('DROP INDEX airun.tasks_unfinished; CREATE INDEX tasks_unfinished ON airun.tasks (run_id) WHERE answer_seq IS NOT NULL');
CALL look('DROP INDEX airun.tasks_unfinished; CREATE INDEX tasks_unfinished ON airun.tasks (run_id) WHERE completed_at IS NULL AND answer_seq IS NOT NULL');
SELECT * FROM airun_check();
-- a type of an id that has been altered
BEGIN;
DROP VIEW public.ai_runs, public.ai_messages CASCADE;
ALTER TABLE airun.messages ALTER message_id TYPE name COLLATE "C";
SELECT attempt('SELECT seq FROM airun_append_message(run_id(3), said(''one''), ''one'')');
ALTER TABLE airun.messages ALTER message_id TYPE "char"[] USING string_to_array(message_id::text, NULL)::"char"[];
SELECT attempt('SELECT airun_append_message(run_id(3), said(''one''), ''one'')');
ROLLBACK;
-- row security that some tables have no more, and who wants no row hidden from him
BEGIN;
ALTER TABLE airun.runs DISABLE ROW LEVEL SECURITY;
ALTER TABLE airun.messages DISABLE ROW LEVEL SECURITY;
SET LOCAL ROLE regress_airun_direct;
SELECT attempt('SELECT airun_start_turn(run_id(3), said(''not hidden''), task_id(90013)) IS NULL');
SET LOCAL row_security = off;
SELECT attempt('SELECT airun_start_turn(run_id(3), said(''hidden''), task_id(90014)) IS NULL');
SELECT attempt('SELECT airun_stream_delta(task_id(90013), ''hidden'')');
ROLLBACK;
-- and emptied
BEGIN;
TRUNCATE airun.runs, airun.messages, airun.message_versions, airun.tasks, airun.task_chunks;
SELECT attempt('SELECT airun_append_message(run_id(2), said(''gone''))');
SELECT attempt('SELECT airun_stream_delta(task_id(90008), ''gone'')');
SELECT status FROM airun_create_run(id => run_id(2));
SELECT seq FROM airun_append_message(run_id(2), said('first'));
SELECT status FROM airun_create_task(run_id(2), task_id(90008));
SELECT response_length FROM airun_stream_delta(task_id(90008), 'new');
SELECT status, response_length FROM airun_complete_task(task_id(90008));
SELECT * FROM airun_check();
ROLLBACK;
SELECT status FROM airun_complete_task(task_id(90008), 'not new');
SELECT * FROM airun_check();

\setenv AIRUN_PSQL
\setenv AIRUN_DATABASE
\setenv AIRUN_SQL
RESET track_functions;
DELETE FROM airun.runs WHERE id::text LIKE 'd12ec700-%';
DELETE FROM airun.prices WHERE model = 'direct test model';
DROP SCHEMA direct_test CASCADE;
DROP OWNED BY regress_airun_direct;
DROP ROLE regress_airun_direct;
SELECT airun_install();
SELECT * FROM airun_check();
