--
-- Totals of runs: exact whatever a statement does, and whatever becomes of it;
-- and airun_check(), which tells where they are not.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA totals_test;
SET search_path = totals_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8006';
SET client_encoding = 'UTF8';
SET airun.user_id = 'totals test';
SET airun.trust_client_cost = on;
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- what a run says of itself, and whether a recount says the same.  The recount
-- is made here, not by airun_check(), which is itself tested.
CREATE FUNCTION totals(n int) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s: %s messages, %s tasks, %s tokens, cost %s', r.status, r.message_count, r.task_count, r.total_tokens, r.total_cost)
		|| CASE WHEN r.message_count <> (SELECT count(*) FROM airun.messages m WHERE m.run_id = r.id)
				OR r.message_count <> coalesce((SELECT max(seq) FROM airun.messages m WHERE m.run_id = r.id), 0)
				OR r.last_message_at <> coalesce((SELECT max(m.created_at) FROM airun.messages m WHERE m.run_id = r.id), r.created_at)
				OR r.active_hour <> date_trunc('hour', r.last_message_at, 'UTC') THEN ' WRONG MESSAGES' ELSE '' END
		|| CASE WHEN (r.task_count, r.total_tokens, r.total_cost) IS DISTINCT FROM
				(SELECT (count(*), coalesce(sum(tokens_total), 0)::bigint, coalesce(sum(cost), 0)) FROM airun.tasks t WHERE t.run_id = r.id)
			THEN ' WRONG TASKS' ELSE '' END
		|| coalesce((SELECT ' CHECK: ' || string_agg(c.problem, ', ') FROM airun_check(r.id) c), '')
	FROM airun.runs r WHERE r.id = run_id(n)
$$;
SELECT count(airun_create_run(id => run_id(n), name => 'run ' || n)) FROM generate_series(1, 40) n;

--
-- Insert, update and delete of many rows of several runs in one statement
--
INSERT INTO airun.tasks (run_id, task_id, tokens_input, tokens_output, cost, status)
SELECT run_id(1 + n % 3), task_id(n), n, CASE WHEN n % 2 = 0 THEN n END, CASE WHEN n % 5 <> 0 THEN n * 0.001 END,
	CASE WHEN n % 3 = 1 THEN 'completed' ELSE 'pending' END FROM generate_series(1, 100) n;
SELECT totals(n) FROM generate_series(1, 3) n;
UPDATE airun.tasks SET tokens_output = 1000, cost = 1 WHERE status = 'pending' AND run_id IN (run_id(1), run_id(2), run_id(3));
SELECT totals(n) FROM generate_series(1, 3) n;
UPDATE airun.tasks SET tokens_output = NULL, tokens_input = NULL, tokens_total = NULL, cost = NULL WHERE status = 'pending' AND run_id = run_id(1);
SELECT totals(1);
-- up in one and down in another: together nothing, or something
UPDATE airun.tasks SET cost = CASE task_id WHEN task_id(3) THEN 5 ELSE NULL END WHERE task_id IN (task_id(3), task_id(5)) ;
SELECT totals(n) FROM generate_series(1, 3) n;
UPDATE airun.tasks SET tokens_input = CASE task_id WHEN task_id(2) THEN 0 ELSE 10 END WHERE task_id IN (task_id(2), task_id(8));
SELECT totals(3);
UPDATE airun.tasks SET model_id = 'm' WHERE status = 'pending' AND run_id IN (run_id(1), run_id(2), run_id(3));
SELECT totals(n) FROM generate_series(1, 3) n;
DELETE FROM airun.tasks WHERE task_id IN (SELECT task_id(n) FROM generate_series(1, 50) n);
SELECT totals(n) FROM generate_series(1, 3) n;
-- ends of several at once; only one of them fails
UPDATE airun.tasks SET status = CASE WHEN task_id = task_id(60) THEN 'error' ELSE 'cancelled' END
WHERE status = 'pending' AND run_id IN (run_id(1), run_id(3));
SELECT totals(n) FROM generate_series(1, 3) n;
-- messages of several runs
INSERT INTO airun.messages (run_id, message) SELECT run_id(1 + n % 3), say(n::text) FROM generate_series(1, 20) n;
SELECT totals(n) FROM generate_series(1, 3) n;
DELETE FROM airun.messages WHERE run_id IN (run_id(1), run_id(2), run_id(3)) AND seq > 2;
SELECT totals(n) FROM generate_series(1, 3) n;
-- no row at all
INSERT INTO airun.tasks (run_id) SELECT run_id(1) WHERE false;
-- one id in two runs, and a run that is not there behind one that is
SELECT attempt(format('INSERT INTO airun.tasks (run_id, task_id) VALUES (%L, %L), (%L, %2$L)', run_id(1), task_id(199), run_id(2)));
SELECT attempt(format('INSERT INTO airun.tasks (run_id) VALUES (%1$L), (%1$L), (%2$L), (%1$L)', run_id(1), run_id(999)));
UPDATE airun.tasks SET cost = 1 WHERE run_id = run_id(999);
DELETE FROM airun.tasks WHERE run_id = run_id(999);
DELETE FROM airun.runs WHERE id = run_id(999);
SELECT totals(n) FROM generate_series(1, 3) n;
-- conflicts: skipped, or updated in the statement that inserts others
INSERT INTO airun.tasks (run_id, task_id, tokens_total) VALUES (run_id(7), task_id(150), 1), (run_id(7), task_id(151), 2);
INSERT INTO airun.tasks (run_id, task_id, tokens_total) VALUES (run_id(7), task_id(150), 50), (run_id(7), task_id(152), 4) ON CONFLICT DO NOTHING;
SELECT totals(7);
INSERT INTO airun.tasks (run_id, task_id, tokens_total) VALUES (run_id(7), task_id(150), 1), (run_id(7), task_id(153), 8), (run_id(7), task_id(152), 100)
ON CONFLICT (run_id, task_id) DO UPDATE SET tokens_total = 5000 RETURNING task_id, tokens_total;
SELECT totals(7);
MERGE INTO airun.tasks t USING (VALUES (task_id(150), 7), (task_id(151), NULL), (task_id(154), 30)) s (id, tokens) ON t.run_id = run_id(7) AND t.task_id = s.id
WHEN MATCHED AND s.tokens IS NULL THEN DELETE
WHEN MATCHED THEN UPDATE SET tokens_total = s.tokens
WHEN NOT MATCHED THEN INSERT (run_id, task_id, tokens_total) VALUES (run_id(7), s.id, s.tokens);
SELECT totals(7);
-- several statements in one
WITH a AS (INSERT INTO airun.tasks (run_id, task_id, tokens_total, cost) VALUES (run_id(4), task_id(103), 1, 1) RETURNING 1),
	b AS (INSERT INTO airun.tasks (run_id, task_id, tokens_total, cost) VALUES (run_id(4), task_id(104), 2, 2) RETURNING 1),
	c AS (INSERT INTO airun.messages (run_id, message) VALUES (run_id(4), say('c')) RETURNING 1),
	d AS (DELETE FROM airun.tasks WHERE run_id = run_id(7) AND task_id IN (task_id(150), task_id(152)) RETURNING 1)
SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), (SELECT count(*) FROM c), (SELECT count(*) FROM d);
SELECT totals(4), totals(7);
-- copied in
COPY airun.tasks (run_id, task_id, tokens_input, cost, status) FROM stdin;
00000000-0000-4000-8006-000000000004	00000000-0000-4000-9006-000000000105	7	0.125	completed
00000000-0000-4000-8006-000000000005	00000000-0000-4000-9006-000000000106	8	0.25	streaming
00000000-0000-4000-8006-000000000004	00000000-0000-4000-9006-000000000107	9	\N	failed
\.
COPY airun.messages (run_id, message) FROM stdin;
00000000-0000-4000-8006-000000000004	{"role": "user", "content": "copied"}
00000000-0000-4000-8006-000000000005	{"role": "user", "content": "copied"}
00000000-0000-4000-8006-000000000004	{"role": "assistant", "content": "copied"}
\.
SELECT totals(n) FROM generate_series(4, 5) n;
-- by cascade
SELECT count(*) FROM airun.messages WHERE run_id IN (run_id(4), run_id(5));
DELETE FROM airun.runs WHERE id IN (run_id(4), run_id(5));
SELECT (SELECT count(*) FROM airun.messages WHERE run_id IN (run_id(4), run_id(5))), (SELECT count(*) FROM airun.tasks WHERE run_id IN (run_id(4), run_id(5)));
WITH d AS (DELETE FROM airun.tasks WHERE run_id = run_id(3) RETURNING 1), r AS (DELETE FROM airun.runs WHERE id = run_id(3) RETURNING 1)
SELECT (SELECT count(*) FROM d) > 0, (SELECT count(*) FROM r);
SELECT count(*) FROM airun.tasks WHERE run_id = run_id(3);
-- not counted again on restore
SELECT totals(1); SELECT airun_delete_run(run_id(1)); SELECT totals(1); SELECT airun_restore_run(run_id(1)); SELECT totals(1);
-- truncated (all of the database's, so it is taken back)
BEGIN;
TRUNCATE airun.tasks;
SELECT count(*) FROM airun.runs WHERE (task_count, total_tokens, total_cost) <> (0, 0, 0);
SELECT totals(n) FROM generate_series(1, 2) n;
TRUNCATE airun.messages;
SELECT count(*) FROM airun.runs WHERE message_count <> 0 OR last_message_at <> created_at;
SELECT totals(n) FROM generate_series(1, 2) n;
SELECT count(*) FROM airun_check();
SELECT (airun_append_message(run_id(1), say('first'))).seq;
TRUNCATE airun.runs CASCADE;
SELECT (SELECT count(*) FROM airun.runs), (SELECT count(*) FROM airun.messages), (SELECT count(*) FROM airun.tasks), (SELECT count(*) FROM airun_check());
ROLLBACK;
SELECT totals(n) FROM generate_series(1, 2) n;

--
-- What is rolled back has not been
--
BEGIN;
SELECT count(airun_start_turn(run_id(6), say('x'), task_id(110)));
SAVEPOINT a;
SELECT count(airun_finish_turn(task_id(110), response_text => 'y', tokens_total => 5, cost => 1));
INSERT INTO airun.tasks (run_id, tokens_total) VALUES (run_id(6), 100);
INSERT INTO airun.messages (run_id, message) VALUES (run_id(6), say('z'));
SELECT totals(6);
ROLLBACK TO a;
SELECT totals(6);
SELECT count(airun_finish_turn(task_id(110), response_text => 'y', tokens_total => 7));
SAVEPOINT b;
DELETE FROM airun.tasks WHERE run_id = run_id(6);
SELECT totals(6);
ROLLBACK TO b;
COMMIT;
SELECT totals(6);
BEGIN;
SELECT count(airun_append_message(run_id(6), say('gone')));
UPDATE airun.tasks SET model_id = 'x' WHERE run_id = run_id(7);
INSERT INTO ai_tasks (run_id, status, tokens_total) VALUES (run_id(6), 'completed', 1000);
ROLLBACK;
SELECT totals(6);
-- an error in a block that is caught: by our refusal, by a foreign one during our call, and by one behind it
DO $$
BEGIN
	FOR i IN 1..10 LOOP
		BEGIN
			PERFORM airun_append_message(run_id(6), say('in a block'));
			PERFORM airun_create_task(run_id(6));
			IF i % 3 = 0 THEN
				PERFORM airun_append_message(run_id(6), '{"role": "nobody"}');
			ELSIF i % 3 = 1 THEN
				INSERT INTO airun.tasks (run_id, tokens_total, service) VALUES (run_id(6), 3, NULL), (run_id(6), 3, repeat('x', 201));
			ELSIF i < 6 THEN
				PERFORM 1 / 0;
			END IF;
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
	END LOOP;
END$$;
SELECT totals(6);

--
-- 20,000 rows of one run in one statement
--
CREATE FUNCTION updates_of_runs() RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(pg_stat_get_xact_tuples_updated(t)) FROM (SELECT 'airun.runs'::regclass UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'airun.runs'::regclass) AS r (t)
$$;
CREATE FUNCTION updates(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before bigint := updates_of_runs();
	rows bigint;
BEGIN
	EXECUTE command;
	GET DIAGNOSTICS rows = ROW_COUNT;
	RETURN format('%s rows, %s of runs', rows, updates_of_runs() - before);
END$$;
SELECT updates('INSERT INTO airun.tasks (run_id, tokens_input, cost) SELECT run_id(8), n, 0.001 FROM generate_series(1, 20000) n');
SELECT totals(8);
SELECT updates('UPDATE airun.tasks SET tokens_output = 1, cost = 0.002, status = ''completed'' WHERE run_id = run_id(8)');
SELECT totals(8);
SELECT updates('INSERT INTO airun.messages (run_id, message) SELECT run_id(8), say(n::text) FROM generate_series(1, 20000) n');
SELECT totals(8);
SELECT json_array_length(airun_messages(run_id(8))), jsonb_array_length(messages) FROM ai_runs WHERE id = run_id(8);
SELECT updates('SELECT count(*) FROM airun_append_messages(run_id(9), (SELECT jsonb_agg(say(n::text)) FROM generate_series(1, 5000) n))');
SELECT totals(9);
SELECT updates('DELETE FROM airun.messages WHERE run_id = run_id(8) AND seq > 100');
SELECT totals(8);
SELECT updates('DELETE FROM airun.tasks WHERE run_id = run_id(8)');
SELECT totals(8);
SELECT updates('INSERT INTO airun.tasks (run_id, tokens_input, cost) SELECT run_id(8), n, 0.001 FROM generate_series(1, 20000) n');
SELECT updates('DELETE FROM airun.runs WHERE id = run_id(8)');
SELECT count(*) FROM airun.tasks WHERE run_id = run_id(8);
-- a row each of many runs
SELECT updates('INSERT INTO airun.runs (name) SELECT ''many'' FROM generate_series(1, 2000)');
SELECT updates('INSERT INTO airun.tasks (run_id, tokens_total) SELECT id, 5 FROM airun.runs WHERE name = ''many''');
SELECT updates('INSERT INTO airun.messages (run_id, message) SELECT id, say(name) FROM airun.runs WHERE name = ''many''');
SELECT count(*) FROM airun.runs WHERE name = 'many' AND (message_count, task_count, total_tokens) <> (1, 1, 5);
SELECT updates('DELETE FROM airun.runs WHERE name = ''many''');
VACUUM ANALYZE airun.runs, airun.messages, airun.tasks;

--
-- Many rows in one statement through the view: each is shown as it stands, and together they are rolled up
--
INSERT INTO ai_tasks (run_id, task_id, status, response_text, tokens_total, cost)
SELECT run_id(20 + n % 2), task_id(200 + n), (ARRAY['pending', 'completed', 'cancelled', 'pending'])[n], (ARRAY[NULL, 'whole', NULL, 'begun'])[n], n, n * 0.5
FROM generate_series(1, 4) n
RETURNING task_id = ANY (ARRAY[task_id(201), task_id(202), task_id(203), task_id(204)]), status, response_text, tokens_total, cost, completed_at IS NOT NULL;
SELECT totals(20), totals(21);
SELECT (airun_update_task(task_id(201), 'begun here')).status;
WITH ended AS (UPDATE ai_tasks SET status = CASE task_id WHEN task_id(201) THEN 'error' ELSE 'completed' END, response_text = response_text || ' and ended', tokens_total = 100
	WHERE task_id IN (task_id(201), task_id(204)) RETURNING task_id, status, response_text, tokens_total)
SELECT status, response_text, tokens_total FROM ended ORDER BY task_id;
SELECT totals(20), totals(21), (SELECT count(*) FROM airun.task_chunks WHERE run_id IN (run_id(20), run_id(21)));
-- with other ways in: the view and the table, inserted, changed and deleted, by one statement
WITH a AS (INSERT INTO ai_tasks (run_id, task_id, tokens_total) SELECT run_id(20), task_id(210 + n), 1 FROM generate_series(1, 3) n RETURNING 1),
	b AS (INSERT INTO airun.tasks (run_id, task_id, tokens_total) SELECT run_id(20), task_id(213 + n), 10 FROM generate_series(1, 3) n RETURNING 1),
	c AS (DELETE FROM ai_tasks WHERE task_id = task_id(201) RETURNING 1),
	d AS (DELETE FROM airun.tasks WHERE task_id = task_id(202) RETURNING 1),
	e AS (UPDATE ai_tasks SET tokens_total = tokens_total WHERE task_id = task_id(203) RETURNING 1)
SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b), (SELECT count(*) FROM c), (SELECT count(*) FROM d), (SELECT count(*) FROM e);
SELECT totals(20), totals(21);
-- the same task twice by one statement, and functions about the tasks that it has just written
UPDATE ai_tasks t SET tokens_total = v.n FROM (VALUES (5), (7)) v (n) WHERE t.task_id = task_id(211);
SELECT totals(20);
INSERT INTO ai_tasks (run_id, task_id, cost) SELECT run_id(20), task_id(220 + n), n FROM generate_series(1, 2) n
RETURNING (airun_complete_task(task_id, 'done', tokens_total => 1000)).status;
SELECT totals(20);
COPY ai_tasks (run_id, task_id, tokens_total) FROM stdin;
00000000-0000-4000-8006-000000000020	00000000-0000-4000-9006-000000000230	5
00000000-0000-4000-8006-000000000021	00000000-0000-4000-9006-000000000231	6
\.
SELECT totals(20), totals(21);
-- a failed task among others fails the run, wherever it stands
INSERT INTO ai_tasks (run_id, status) VALUES (run_id(23), 'pending'), (run_id(23), 'error'), (run_id(23), 'completed');
SELECT totals(23);
-- one row that is refused takes all along; so does a run that is completed
SELECT attempt(format('INSERT INTO ai_tasks (run_id, tokens_total, service) SELECT %L, n, repeat(''x'', 67 * n) FROM generate_series(1, 3) n', run_id(20)));
SELECT attempt(format('UPDATE ai_tasks SET tokens_total = CASE status WHEN ''pending'' THEN 50 ELSE 60 END WHERE task_id IN (%L, %L)', task_id(204), task_id(212)));
SELECT (airun_set_run_status(run_id(21), 'completed')).status;
SELECT attempt('INSERT INTO ai_tasks (run_id) SELECT run_id(20 + n % 2) FROM generate_series(1, 4) n');
SELECT attempt(format('DELETE FROM ai_tasks WHERE run_id = %L AND status = ''pending''', run_id(21)));
SELECT totals(20), totals(21);
-- through the view by what a site has put in the way of another row: of the user's, or of our own
CREATE FUNCTION site_adds_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.run_id <> run_id(22) THEN
		INSERT INTO ai_tasks (run_id, tokens_total) SELECT run_id(22), n FROM generate_series(1, 2) n;
	END IF;
	RETURN NEW;
END$$;
CREATE FUNCTION site_adds_task() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO ai_tasks (run_id, tokens_total) VALUES (run_id(22), 30);
	RETURN 'added';
END$$;
BEGIN;
CREATE TRIGGER site BEFORE INSERT ON airun.tasks FOR EACH ROW EXECUTE FUNCTION site_adds_tasks();
INSERT INTO ai_tasks (run_id, tokens_total) SELECT run_id(20), 1 FROM generate_series(1, 3) n;
SELECT totals(20), totals(22);
SELECT (airun_create_task(run_id(20))).status;
SELECT totals(20), totals(22);
ROLLBACK;
BEGIN;
CREATE TRIGGER site AFTER INSERT ON airun.tasks FOR EACH ROW EXECUTE FUNCTION site_adds_tasks();
INSERT INTO ai_tasks (run_id, tokens_total) SELECT run_id(20), 1 FROM generate_series(1, 3) n;
SELECT totals(20), totals(22);
SELECT (airun_create_task(run_id(20))).status;
SELECT totals(20), totals(22);
ROLLBACK;
BEGIN;
ALTER TABLE airun.messages ADD COLUMN site text;
ALTER TABLE airun.messages ALTER COLUMN site SET DEFAULT site_adds_task();
SELECT (airun_append_message(run_id(20), say('added'))).seq;
SELECT totals(20), totals(22);
ROLLBACK;
--
-- With triggers at rest, as restore and replication have them, totals rest, and airun_check() tells
--
SELECT count(airun_append_message(run_id(10), say(n::text))) FROM generate_series(1, 3) n;
SELECT count(airun_complete_task((airun_create_task(run_id(10), task_id(n))).task_id, tokens_total => 10, cost => 1)) FROM generate_series(120, 121) n;
SELECT totals(10);
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO airun.tasks (run_id, task_id, status, completed_at, tokens_total, cost) VALUES (run_id(10), task_id(122), 'completed', now(), 5, 0.5);
SET LOCAL session_replication_role = origin;
SELECT totals(10);
-- what comes in the usual way then moves them by its own difference alone
SELECT count(airun_complete_task((airun_create_task(run_id(10), task_id(123))).task_id, tokens_total => 100));
SELECT message_count, task_count, total_tokens, total_cost FROM airun.runs WHERE id = run_id(10);
ROLLBACK;

--
-- airun_check: every kind of damage, each alone
--
CREATE TABLE damage (i int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO damage (command) VALUES
	('UPDATE airun.runs SET message_count = 4 WHERE id = run_id(10)'),
	('UPDATE airun.runs SET message_count = 2 WHERE id = run_id(10)'),
	('UPDATE airun.runs SET task_count = 3 WHERE id = run_id(10)'),
	('UPDATE airun.runs SET total_tokens = 21 WHERE id = run_id(10)'),
	('UPDATE airun.runs SET total_cost = 2.01 WHERE id = run_id(10)'),
	('UPDATE airun.runs SET last_message_at = created_at WHERE id = run_id(10)'),
	('UPDATE airun.runs SET active_hour = active_hour - interval ''1 hour'' WHERE id = run_id(10)'),
	('DELETE FROM airun.messages WHERE run_id = run_id(10) AND seq = 1'),
	('DELETE FROM airun.messages WHERE run_id = run_id(10) AND seq = 2'),
	('DELETE FROM airun.messages WHERE run_id = run_id(10) AND seq = 3'),
	('DELETE FROM airun.messages WHERE run_id = run_id(10)'),
	('DELETE FROM airun.tasks WHERE task_id = task_id(120)'),
	('UPDATE airun.messages SET seq = 17 WHERE run_id = run_id(10) AND seq = 2'),
	('UPDATE airun.messages SET created_at = created_at - interval ''1 year'' WHERE run_id = run_id(10) AND seq = 2'),
	('UPDATE airun.messages SET created_at = created_at + interval ''1 year'' WHERE run_id = run_id(10) AND seq = 1'),
	('UPDATE airun.tasks SET tokens_total = 11 WHERE task_id = task_id(120)'),
	('UPDATE airun.tasks SET tokens_total = NULL WHERE task_id = task_id(120)'),
	('UPDATE airun.tasks SET tokens_input = 6, tokens_output = 5 WHERE task_id = task_id(120)'),
	('UPDATE airun.tasks SET cost = NULL WHERE task_id = task_id(120)'),
	('UPDATE airun.messages SET run_id = run_id(11), seq = 1 WHERE run_id = run_id(10) AND seq = 3'),
	('DELETE FROM airun.runs WHERE id = run_id(10)'),
	('ALTER TABLE airun.messages DISABLE ROW LEVEL SECURITY'),
	('ALTER TABLE airun.runs DISABLE ROW LEVEL SECURITY'),
	('ALTER TABLE airun.tasks DISABLE TRIGGER airun_guard'),
	('ALTER TABLE airun.tasks ENABLE REPLICA TRIGGER airun_roll_up_delete'),
	('DROP TRIGGER airun_roll_up_insert ON airun.messages'),
	('DROP TRIGGER airun_guard ON airun.runs'),
	('SELECT 1');
-- what it says of the store with the damage, which is then taken back
CREATE FUNCTION check_after(command text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	lines text[];
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE command;
	SET LOCAL session_replication_role = origin;
	SELECT array_agg(concat_ws(' | ', right(c.run_id::text, 2), right(c.task_id::text, 3), c.seq, c.problem,
		CASE WHEN c.problem ~ '_at|hour' THEN '...' ELSE 'expected ' || c.expected || ', found ' || coalesce(c.found, '(null)') END)
		ORDER BY c.problem, c.run_id, c.seq, c.task_id)
	INTO lines FROM airun_check() c;
	RAISE EXCEPTION USING ERRCODE = 'TAKEB', DETAIL = coalesce(array_to_json(lines)::text, '["nothing"]');
EXCEPTION WHEN SQLSTATE 'TAKEB' THEN
	DECLARE
		detail text;
	BEGIN
		GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
		RETURN NEXT command;
		RETURN QUERY SELECT '  ' || value FROM json_array_elements_text(detail::json);
	END;
END$$;
SELECT check_after(command) FROM (SELECT * FROM damage ORDER BY i) d;
-- for one run alone
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE airun.runs SET task_count = task_count + 1 WHERE id IN (run_id(10), run_id(11));
SET LOCAL session_replication_role = origin;
SELECT run_id, problem, expected, found FROM airun_check(run_id(10));
SELECT (SELECT count(*) FROM airun_check(run_id(12))), (SELECT count(*) FROM airun_check(run_id(999)));
SELECT run_id, problem FROM airun_check() ORDER BY run_id;
ROLLBACK;
SELECT * FROM airun_check();

--
-- A site's own triggers
--
-- one that writes into the same run during our call is counted, and once
CREATE FUNCTION site_writes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	-- not because of its own rows
	IF to_jsonb(NEW) ->> 'task_name' = 'site' OR to_jsonb(NEW) #>> '{message,content}' = 'site' THEN
		RETURN NULL;
	END IF;
	EXECUTE current_setting('totals_test.writes') USING NEW.run_id;
	RETURN NULL;
END$$;
CREATE TABLE writes (i int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO writes (command) VALUES
	('INSERT INTO airun.messages (run_id, message) VALUES ($1, ''{"role": "system", "content": "site"}'')'),
	('INSERT INTO ai_messages (run_id, message) VALUES ($1, ''{"role": "system", "content": "site"}'')'),
	('SELECT airun_append_message($1, ''{"role": "system", "content": "site"}'')'),
	('INSERT INTO airun.tasks (run_id, task_name, tokens_total, cost) VALUES ($1, ''site'', 1000, 1)'),
	('INSERT INTO ai_tasks (run_id, task_name, tokens_total, cost) VALUES ($1, ''site'', 1000, 1)'),
	('SELECT airun_create_task($1, task_name => ''site'')'),
	('UPDATE airun.runs SET metadata = metadata || ''{"site": true}'' WHERE id = $1'),
	('SELECT airun_star_run($1)');
CREATE TABLE calls (i int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO calls (command) VALUES
	('SELECT airun_append_message(%1$L, say(''a''))'),
	('SELECT airun_append_messages(%1$L, jsonb_build_array(say(''a''), say(''b''), say(''c'')))'),
	('INSERT INTO airun.messages (run_id, message) VALUES (%1$L, say(''a'')), (%1$L, say(''b''))'),
	('SELECT airun_create_task(%1$L)'),
	('INSERT INTO airun.tasks (run_id, tokens_total) VALUES (%1$L, 1), (%1$L, 2)'),
	('SELECT airun_start_turn(%1$L, jsonb_build_array(say(''a''), say(''b'')), %2$L)'),
	('SELECT airun_finish_turn(%2$L, response_text => ''x'', tokens_total => 7, cost => 0.5)'),
	('UPDATE airun.tasks SET tokens_total = 5 WHERE run_id = %1$L AND status = ''pending''');
CREATE FUNCTION with_site_trigger(writes text, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	PERFORM airun_start_turn(run_id(13), task_id => task_id(130));
	PERFORM set_config('totals_test.writes', writes, true);
	CREATE TRIGGER site AFTER INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION site_writes();
	CREATE TRIGGER site AFTER INSERT OR UPDATE OF status ON airun.tasks FOR EACH ROW EXECUTE FUNCTION site_writes();
	answer := attempt(format(command, run_id(13), task_id(CASE WHEN command LIKE '%start%' THEN 131 ELSE 130 END)));
	RAISE EXCEPTION USING ERRCODE = 'TAKEB', MESSAGE = CASE WHEN answer ~ '^[0-9A-Z]{5} ' THEN answer || ' - ' ELSE '' END || totals(13);
EXCEPTION WHEN SQLSTATE 'TAKEB' THEN
	RETURN SQLERRM;
END$$;
SELECT w.command || E'\n' || string_agg(format('  %s: %s', split_part(split_part(c.command, ' (', 1), '(', 1), with_site_trigger(w.command, c.command)), E'\n' ORDER BY c.i)
FROM writes w, calls c GROUP BY w.i, w.command ORDER BY w.i;
-- one that suppresses a row: an error, and nothing has changed
CREATE FUNCTION site_suppresses() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE FUNCTION with_suppression(target text, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	PERFORM airun_start_turn(run_id(14), say('q'), task_id => task_id(140));
	EXECUTE format('CREATE TRIGGER site BEFORE INSERT OR UPDATE ON airun.%I FOR EACH ROW EXECUTE FUNCTION site_suppresses()', target);
	answer := attempt(format(command, run_id(14), task_id(CASE WHEN command LIKE '%start%' THEN 141 ELSE 140 END)));
	RAISE EXCEPTION USING ERRCODE = 'TAKEB', MESSAGE = concat_ws(' - ', CASE WHEN answer ~ '^[0-9A-Z]{5} | rows' THEN answer ELSE 'NO ERROR' END, totals(14));
EXCEPTION WHEN SQLSTATE 'TAKEB' THEN
	RETURN SQLERRM;
END$$;
SELECT t.name, split_part(split_part(c.command, ' (', 1), '(', 1), with_suppression(t.name, c.command)
FROM (VALUES (1, 'messages', '{1,2,3,6,7}'::int[]), (2, 'tasks', '{4,5,6,7,8}'), (3, 'runs', '{1,2,3,4,5,6,7,8}')) t (i, name, calls), calls c
WHERE c.i = ANY (t.calls) ORDER BY t.i, c.i;
-- one that changes what it must not: a message's place, a task's run
CREATE FUNCTION site_moves() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.run_id := run_id(15); RETURN NEW; END$$;
BEGIN;
CREATE TRIGGER site BEFORE INSERT ON airun.tasks FOR EACH ROW EXECUTE FUNCTION site_moves();
SELECT attempt(format('INSERT INTO airun.tasks (run_id, tokens_total) VALUES (%L, 5)', run_id(14)));
SELECT totals(14), totals(15);
ROLLBACK;
SELECT totals(n) FROM generate_series(13, 15) n;

DELETE FROM airun.runs WHERE user_id = airun_user_id();
SELECT * FROM airun_check();
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA totals_test CASCADE;
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET client_min_messages;
