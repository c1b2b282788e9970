--
-- Tasks: their states, their figures, what they do to their run.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA task_test;
SET search_path = task_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8004';
SET client_encoding = 'UTF8';
SET airun.user_id = 'task test';
SET airun.trust_client_cost = on;
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- a run's totals, and whether they are right
CREATE FUNCTION totals(n int) RETURNS text LANGUAGE sql AS $$
	SELECT format('%s, %s tasks, %s tokens, cost %s', r.status, r.task_count, r.total_tokens, r.total_cost)
		|| coalesce((SELECT ' WRONG: ' || string_agg(c.problem, ', ') FROM airun_check(r.id) c), '')
	FROM airun.runs r WHERE r.id = run_id(n)
$$;
-- a new task in a state
CREATE FUNCTION new_task(run int, task int, status text DEFAULT 'pending') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM airun_create_task(run_id(run), task_id(task));
	CASE status
		WHEN 'pending' THEN
		WHEN 'streaming' THEN PERFORM airun_update_task(task_id(task), 'text');
		WHEN 'completed' THEN PERFORM airun_complete_task(task_id(task), 'text', tokens_input => 1, tokens_output => 2);
		WHEN 'error' THEN PERFORM airun_fail_task(task_id(task), '"why"', response_text => 'text');
		WHEN 'cancelled' THEN PERFORM airun_cancel_task(task_id(task), 'text');
	END CASE;
	RETURN (SELECT t.status FROM airun.tasks t WHERE t.task_id = task_id(task));
END$$;
SELECT count(airun_create_run(id => run_id(n), name => 'run ' || n)) FROM generate_series(1, 60) n;

--
-- Creation
--
\pset expanded on
\pset tuples_only off
SELECT task_id, run_id, user_id = airun_user_id() AS mine, service, task_name, provider, endpoint, model_id, error, metadata,
	finish_reason, status, tokens_input, tokens_output, tokens_total, usage, cost, cost_details, time_to_first_token, total_time,
	created_at BETWEEN now() AND clock_timestamp() AS created_now, updated_at = created_at AS times, completed_at, response_length
FROM airun_create_task(run_id(1), task_id(1), 'chat', 'answer', 'openai', 'https://x/v1', 'gpt-4o', '{"messages": []}', '{"a": 1}');
SELECT run_id, service, task_name, provider, endpoint, model_id, request_data, metadata, response_text, response_data
FROM ai_tasks WHERE task_id = task_id(1);
\pset expanded off
\pset tuples_only on
SELECT status, substr(task_id::text, 15, 1), metadata FROM airun_create_task(run_id(1));
SELECT status, metadata FROM airun_create_task(run_id(1), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
SELECT totals(1);
-- the same id again: the same task, as it stands, and nothing else
SELECT status, model_id FROM airun_create_task(run_id(1), task_id(1), model_id => 'other');
SELECT status FROM airun_complete_task(task_id(1), tokens_total => 5);
SELECT status, model_id, tokens_total FROM airun_create_task(run_id(1), task_id(1));
SELECT status FROM airun_set_run_status(run_id(1), 'completed');
SELECT status FROM airun_create_task(run_id(1), task_id(1));
SELECT totals(1);
-- taken in another run, by every way
SELECT attempt(format('SELECT airun_create_task(%L, %L)', run_id(2), task_id(1)));
SELECT hint_of(format('SELECT airun_create_task(%L, %L)', run_id(2), task_id(1)));
SELECT attempt(format('SELECT airun_start_turn(%L, NULL, %L)', run_id(2), task_id(1)));
SELECT attempt(format('INSERT INTO ai_tasks (run_id, task_id) VALUES (%L, %L)', run_id(2), task_id(1)));
SELECT attempt(format('INSERT INTO airun.tasks (run_id, task_id) VALUES (%L, %L)', run_id(2), task_id(1)));
SELECT attempt(format('INSERT INTO airun.tasks (run_id, task_id) VALUES (%L, %L), (%L, %L)', run_id(2), task_id(2), run_id(3), task_id(2)));
SELECT totals(2), totals(3);
-- the same id in two runs comes about only past the triggers; then a run_id tells which is meant
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO airun.tasks (run_id, task_id, user_id, status) VALUES (run_id(2), task_id(3), airun_user_id(), 'pending'),
	(run_id(3), task_id(3), airun_user_id(), 'pending');
UPDATE airun.runs SET task_count = 1 WHERE id IN (run_id(2), run_id(3));
COMMIT;
SELECT c, attempt(format(c, task_id(3))) FROM unnest(ARRAY['SELECT airun_update_task(%L)', 'SELECT airun_complete_task(%L)',
	'SELECT airun_fail_task(%L)', 'SELECT airun_cancel_task(%L)', 'SELECT airun_finish_turn(%L, response_text => ''x'')',
	'SELECT airun_start_turn(task_id => %L)']) c;
SELECT hint_of(format('SELECT airun_complete_task(%L)', task_id(3)));
SELECT run_id, status FROM airun_complete_task(task_id(3), tokens_total => 1, run_id => run_id(2));
SELECT run_id, status FROM airun_update_task(task_id(3), 'x', run_id => run_id(3));
SELECT totals(2), totals(3);
-- a run_id that is not the task's
SELECT c, attempt(format(c, task_id(1), run_id(2))) FROM unnest(ARRAY['SELECT airun_complete_task(%L, run_id => %L)',
	'SELECT airun_fail_task(%L, run_id => %L)', 'SELECT airun_cancel_task(%L, run_id => %L)', 'SELECT airun_update_task(%L, ''x'', run_id => %L)',
	'SELECT airun_finish_turn(%L, response_text => ''x'', run_id => %L)']) c;

--
-- States: from × to, by each way
--
CREATE FUNCTION state_table(pending text, streaming text, completed text, error text, cancelled text) RETURNS TABLE (line text)
LANGUAGE plpgsql AS $$
DECLARE
	states text[] := ARRAY['pending', 'streaming', 'completed', 'error', 'cancelled'];
	commands text[] := ARRAY[pending, streaming, completed, error, cancelled];
	before airun.tasks;
	behind airun.tasks;
	answer text;
BEGIN
	FOR f IN 1..5 LOOP
		line := states[f] || ':';
		FOR t IN 1..5 LOOP
			BEGIN
				PERFORM new_task(4, 4, states[f]);
				SELECT * INTO before FROM airun.tasks k WHERE k.task_id = task_id(4);
				answer := attempt(format(commands[t], task_id(4), states[t]));
				SELECT * INTO behind FROM airun.tasks k WHERE k.task_id = task_id(4);
				RAISE EXCEPTION USING ERRCODE = 'TAKEB', MESSAGE = concat_ws(' ',
					CASE WHEN answer ~ '^[0-9A-Z]{5} ' THEN left(answer, 5) END, behind.status,
					CASE WHEN before = behind AND states[t] <> states[f] THEN 'unchanged' END,
					CASE WHEN (behind.completed_at IS NULL) <> (behind.status IN ('pending', 'streaming')) THEN 'WRONG completed_at' END,
					(SELECT 'WRONG ' || min(c.problem) FROM airun_check(run_id(4)) c HAVING count(*) > 0));
			EXCEPTION WHEN SQLSTATE 'TAKEB' THEN
				line := line || format(' [%s -> %s]', states[t], SQLERRM);
			END;
		END LOOP;
		RETURN NEXT;
	END LOOP;
END$$;
-- by functions; no function leads to pending, and a late progress changes nothing
SELECT state_table('SELECT airun_create_task(run_id(4), %L)', 'SELECT airun_update_task(%L, ''text and more'')', 'SELECT airun_complete_task(%L)',
	'SELECT airun_fail_task(%L)', 'SELECT airun_cancel_task(%L)');
-- by turns
SELECT state_table('SELECT airun_start_turn(NULL, NULL, %L)', 'SELECT airun_update_task(%L, NULL, ''{}'')',
	'SELECT airun_finish_turn(%L, ''{"role": "assistant", "content": "text"}'')', 'SELECT airun_fail_task(%L, ''"other"'')',
	'SELECT airun_cancel_task(%L, ''text'')');
-- through the view
SELECT state_table(u, u, u, u, u) FROM (VALUES ('UPDATE ai_tasks SET status = %2$L WHERE task_id = %1$L')) v (u);
-- by a direct UPDATE as the owner of the table
SELECT state_table(u, u, u, u, u) FROM (VALUES ('UPDATE airun.tasks SET status = %2$L WHERE task_id = %1$L')) v (u);
-- and with the words that are understood as well, or are not
SELECT count(new_task(4, n)) FROM generate_series(1001, 1010) n;
SELECT v, s, attempt(format('UPDATE %s SET status = %L WHERE task_id = %L RETURNING status', v, s, task_id(1000 + n)))
FROM (VALUES (1, 'ai_tasks', 'failed'), (2, 'ai_tasks', 'canceled'), (3, 'ai_tasks', 'done'), (4, 'ai_tasks', 'Completed'), (5, 'ai_tasks', ''),
	(6, 'airun.tasks', 'failed'), (7, 'airun.tasks', 'canceled'), (8, 'airun.tasks', 'done'), (9, 'airun.tasks', 'Completed'), (10, 'airun.tasks', '')) w (n, v, s)
ORDER BY n;
SELECT attempt(format('UPDATE airun.tasks SET status = NULL WHERE task_id = %L RETURNING status', task_id(1002)));
SELECT totals(4);
-- what is said to who goes the wrong way
SELECT new_task(4, 5, 'completed'), new_task(4, 6, 'streaming');
SELECT attempt(format('SELECT airun_fail_task(%L)', task_id(5)));
SELECT hint_of(format('SELECT airun_fail_task(%L)', task_id(5)));
SELECT attempt(format('UPDATE ai_tasks SET status = ''pending'' WHERE task_id = %L', task_id(6)));
SELECT hint_of(format('UPDATE ai_tasks SET status = ''pending'' WHERE task_id = %L', task_id(6)));

--
-- Progress
--
CREATE FUNCTION progress(task int) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', status, coalesce(response_text, '(null)'), coalesce(response_data::text, '(null)')) FROM ai_tasks WHERE task_id = task_id(task)
$$;
SELECT new_task(5, 10);
SELECT status, response_length FROM airun_update_task(task_id(10), 'Grüß'); SELECT progress(10);
SELECT response_length FROM airun_update_task(task_id(10), 'Grüße, 世界'); SELECT progress(10);
-- a late save: what is there begins with it
SELECT response_length FROM airun_update_task(task_id(10), 'Grü'); SELECT progress(10);
SELECT response_length FROM airun_update_task(task_id(10), ''); SELECT progress(10);
SELECT response_length FROM airun_update_task(task_id(10), NULL); SELECT progress(10);
-- data alone, data with a late text, and another text
SELECT count(*) FROM airun_update_task(task_id(10), response_data => '{"a": 1}'); SELECT progress(10);
SELECT count(*) FROM airun_update_task(task_id(10), 'Gr', '{"b": 2}'); SELECT progress(10);
SELECT count(*) FROM airun_update_task(task_id(10), 'Gruesse'); SELECT progress(10);
SELECT count(*) FROM airun_update_task(task_id(10), '%'); SELECT progress(10);
SELECT count(*) FROM airun_update_task(task_id(10), '%_\ more'); SELECT progress(10);
SELECT count(*) FROM airun_update_task(task_id(10), '%_'); SELECT progress(10);
-- a late save moves nothing, not even the time
SELECT updated_at AS before FROM ai_tasks WHERE task_id = task_id(10) \gset
SELECT updated_at = :'before' FROM airun_update_task(task_id(10), '%_');
SELECT updated_at > :'before' FROM airun_update_task(task_id(10), '%_\ more and more');
-- any first progress is the beginning of the stream
SELECT new_task(5, n) FROM generate_series(11, 14) n;
SELECT status FROM airun_update_task(task_id(11), '');
SELECT status FROM airun_update_task(task_id(12), response_data => '[]');
SELECT status FROM airun_update_task(task_id(13));
-- the same through the view, and by a direct UPDATE
UPDATE ai_tasks SET response_text = 'By view' WHERE task_id = task_id(14) RETURNING status, response_text; SELECT progress(14);
UPDATE ai_tasks SET response_text = 'By' WHERE task_id = task_id(14) RETURNING status, response_text; SELECT progress(14);
UPDATE airun.tasks SET response_text = 'By direct' WHERE task_id = task_id(14) RETURNING status; SELECT progress(14);
UPDATE airun.tasks SET response_text = 'By dir' WHERE task_id = task_id(14) RETURNING status; SELECT progress(14);
UPDATE airun.tasks SET response_text = NULL WHERE task_id = task_id(14) RETURNING status; SELECT progress(14);
-- for a finished task it changes nothing and returns it
SELECT new_task(5, 15, 'completed'), new_task(5, 16, 'error'), new_task(5, 17, 'cancelled');
SELECT status, response_length FROM generate_series(15, 17) n, airun_update_task(task_id(n), 'text and much more', '{"late": true}') ORDER BY n;
SELECT progress(n) FROM generate_series(15, 17) n;

--
-- Time: the server's clock, or the client's figures
--
SELECT new_task(6, n) FROM generate_series(20, 27) n;
-- 0.2 s to the first token, 0.4 s in all
SELECT pg_sleep(0.2);
SELECT time_to_first_token BETWEEN 200 AND 20000, total_time, completed_at FROM airun_update_task(task_id(20), 'a');
SELECT time_to_first_token AS first FROM airun.tasks WHERE task_id = task_id(20) \gset
SELECT pg_sleep(0.2);
SELECT time_to_first_token = :first FROM airun_update_task(task_id(20), 'ab');
SELECT time_to_first_token = :first, total_time - time_to_first_token BETWEEN 200 AND 20000,
	total_time = extract(epoch FROM completed_at - created_at) * 1000, completed_at BETWEEN now() AND clock_timestamp(),
	updated_at = completed_at, scale(total_time) <= 3
FROM airun_complete_task(task_id(20), 'abc');
-- no token was seen before the whole answer
SELECT time_to_first_token = total_time, total_time > 400 FROM airun_complete_task(task_id(21), 'abc');
SELECT time_to_first_token, total_time > 400 FROM airun_fail_task(task_id(22));
SELECT time_to_first_token, total_time > 400 FROM airun_cancel_task(task_id(23));
-- the client's figures, fractions allowed
SELECT time_to_first_token, total_time FROM airun_complete_task(task_id(24), time_to_first_token => 12.345678, total_time => 1000);
SELECT time_to_first_token, total_time FROM airun_complete_task(task_id(25), total_time => 0.5);
SELECT time_to_first_token, total_time > 400 FROM airun_fail_task(task_id(26), time_to_first_token => 7);
SELECT time_to_first_token, total_time FROM airun_cancel_task(task_id(27), time_to_first_token => 0, total_time => 0);
-- the same by a direct UPDATE and the view
SELECT new_task(6, n) FROM generate_series(28, 31) n;
UPDATE ai_tasks SET status = 'completed' WHERE task_id = task_id(28)
RETURNING time_to_first_token = total_time, total_time = extract(epoch FROM completed_at - created_at) * 1000;
UPDATE airun.tasks SET status = 'completed', total_time = 17 WHERE task_id = task_id(29) RETURNING time_to_first_token, total_time;
UPDATE ai_tasks SET status = 'streaming' WHERE task_id = task_id(30) RETURNING time_to_first_token > 0, total_time;
UPDATE airun.tasks SET status = 'error' WHERE task_id = task_id(31) RETURNING time_to_first_token, total_time > 0;

--
-- An end that is repeated: the same, or another
--
SELECT new_task(7, 40);
SELECT status FROM airun_complete_task(task_id(40), 'text', '{"n": 3}', 1, 2, 3, 0.5, 10, 20, '{"d": 1}', 'stop');
SELECT to_jsonb(t) AS before FROM airun.tasks t WHERE task_id = task_id(40) \gset
SELECT c, attempt(format('SELECT (airun_complete_task(%L%s)).status', task_id(40), c)) FROM unnest(ARRAY['',
	', ''text''', ', ''text'', ''{"n": 3}'', 1, 2, 3, 0.5, 10, 20, ''{"d": 1}'', ''stop''', ', usage => ''{"n": 3.0}''', ', tokens_input => 1',
	', tokens_output => 2', ', tokens_total => 3', ', cost => 9', ', time_to_first_token => 9', ', total_time => 9',
	', response_data => ''{"d": 2}''', ', finish_reason => ''length''',
	', ''Text''', ', ''tex''', ', ''''', ', usage => ''{"n": 4}''', ', usage => ''{}''', ', tokens_input => 2', ', tokens_output => 1', ', tokens_total => 4']) c;
SELECT hint_of(format('SELECT airun_complete_task(%L, ''other'')', task_id(40)));
SELECT status, response_length FROM airun_complete_task(task_id(40), run_id => run_id(7));
-- against what was never stated
SELECT new_task(7, 41); SELECT status FROM airun_complete_task(task_id(41));
SELECT c, attempt(format('SELECT (airun_complete_task(%L%s)).status', task_id(41), c)) FROM unnest(ARRAY['',
	', ''''', ', ''text''', ', usage => ''{}''', ', tokens_input => 0', ', tokens_output => 0', ', tokens_total => 0']) c;
SELECT new_task(7, 42); SELECT status FROM airun_fail_task(task_id(42), '{"why": 1}', response_text => 'part');
SELECT attempt(format('SELECT (airun_fail_task(%L%s)).error', task_id(42), c)) FROM unnest(ARRAY['', ', ''{"why": 1}''', ', NULL, NULL, ''part''', ', NULL, NULL, ''Part''']) c;
SELECT new_task(7, 43); SELECT status FROM airun_cancel_task(task_id(43), tokens_input => 5);
SELECT attempt(format('SELECT (airun_cancel_task(%L%s)).tokens_total', task_id(43), c)) FROM unnest(ARRAY['', ', tokens_input => 5', ', tokens_input => 6']) c;
SELECT to_jsonb(t) = :'before'::jsonb FROM airun.tasks t WHERE task_id = task_id(40);
SELECT totals(7);

--
-- What has come is kept, whatever the end
--
SELECT new_task(8, n, 'streaming') FROM generate_series(50, 54) n;
SELECT status, response_length, error FROM airun_fail_task(task_id(50), '{"code": 500}'); SELECT progress(50);
SELECT status, response_length, error, tokens_total FROM airun_fail_task(task_id(51), '"text"', '{"total": 4}', 'text, longer', 1, 3); SELECT progress(51);
SELECT status, response_length, usage, tokens_total FROM airun_cancel_task(task_id(52), usage => '{"x": 1}', tokens_output => 7); SELECT progress(52);
SELECT status, response_length, finish_reason FROM airun_cancel_task(task_id(53), 'shorter', finish_reason => 'user'); SELECT progress(53);
SELECT status, response_length, error FROM airun_complete_task(task_id(54)); SELECT progress(54);
SELECT totals(8);

--
-- Figures: what adds up, what is refused
--
CREATE FUNCTION completed(arguments text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	task airun.tasks;
	id uuid := airun_uuid();
	answer text;
BEGIN
	PERFORM airun_create_task(run_id(9), id);
	answer := attempt(format('SELECT (airun_complete_task(%L, %s)).status', id, arguments));
	SELECT * INTO task FROM airun.tasks t WHERE t.task_id = id;
	IF answer LIKE 'PT%' THEN
		RETURN answer || CASE WHEN task.status <> 'pending' THEN ' BUT CHANGED' ELSE '' END;
	END IF;
	RETURN format('in %s, out %s, total %s, cost %s', task.tokens_input, task.tokens_output, task.tokens_total, coalesce(task.cost::text, 'unknown'))
		|| coalesce(' | ' || left((task.cost_details -> 'left_out')::text, 150), '') || coalesce(' | ' || task.usage::text, '')
		|| CASE WHEN least(task.time_to_first_token, task.total_time, task.cost) < 0 THEN ' WRONG' ELSE '' END
		|| CASE WHEN answer <> 'completed' THEN answer ELSE '' END;
END$$;
SELECT a, completed(a) FROM unnest(ARRAY[
	'tokens_input => NULL', 'tokens_input => 3', 'tokens_output => 4', 'tokens_input => 3, tokens_output => 4',
	'tokens_total => 9', 'tokens_input => 3, tokens_total => 9', 'tokens_input => 3, tokens_output => 4, tokens_total => 7',
	'tokens_input => 3, tokens_output => 4, tokens_total => 9', 'tokens_input => 0, tokens_output => 0', 'tokens_total => 0',
	'tokens_input => 1000000000000', 'cost => 0', 'cost => 0.000000000000000000000000000001', 'cost => 1.50', 'cost => 1000000000000',
	'tokens_input => 3, tokens_output => 4, tokens_total => 6', 'tokens_output => 4, tokens_total => 3',
	'tokens_input => -1', 'tokens_output => -1', 'tokens_total => -1', 'tokens_input => 1000000000001',
	'tokens_total => 9223372036854775807', 'tokens_input => 9223372036854775807, tokens_output => 9223372036854775807',
	'tokens_output => -9223372036854775808', 'cost => -0.01', 'cost => ''NaN''', 'cost => ''Infinity''', 'cost => ''-Infinity''',
	'cost => 1000000000000.01', 'cost => 1e300', 'cost => 1e-31', 'time_to_first_token => ''NaN''', 'time_to_first_token => ''Infinity''',
	'time_to_first_token => -1', 'total_time => ''NaN''', 'total_time => ''-Infinity''', 'total_time => -0.001', 'total_time => 1e13',
	'total_time => 1e-31', 'usage => ''[]''', 'usage => ''"x"''', 'usage => ''null''', 'finish_reason => repeat(''x'', 201)']) a;
SELECT count(*) FILTER (WHERE status = 'pending') AS pending, sum(tokens_total) = (SELECT total_tokens FROM airun.runs WHERE id = run_id(9)) AS tokens,
	sum(cost) = (SELECT total_cost FROM airun.runs WHERE id = run_id(9)) AS cost FROM airun.tasks WHERE run_id = run_id(9);
SELECT * FROM airun_check(run_id(9));
-- the same figures are left out at every other door, and what cannot be stored is refused
SELECT new_task(10, 60);
SELECT c, v, attempt(format('UPDATE ai_tasks SET %I = %s WHERE task_id = %L', c, v, task_id(60))) AS view,
	attempt(format('UPDATE airun.tasks SET %I = %s WHERE task_id = %L', c, v, task_id(60))) AS direct,
	attempt(format('INSERT INTO ai_tasks (run_id, status, %I) VALUES (%L, ''completed'', %s)', c, run_id(10), v)) AS insert_view,
	attempt(format('INSERT INTO airun.tasks (run_id, status, %I) VALUES (%L, ''completed'', %s)', c, run_id(10), v)) AS insert_direct
FROM (VALUES ('tokens_input', '-1'), ('tokens_output', '1000000000001'), ('tokens_total', '-1'), ('cost', '''NaN'''), ('cost', '''Infinity'''),
	('cost', '-1'), ('cost', '1e13'), ('time_to_first_token', '''NaN'''), ('total_time', '''Infinity'''), ('total_time', '-1'),
	('usage', '''[]'''), ('metadata', '''1'''), ('service', 'repeat(''x'', 201)'), ('endpoint', 'repeat(''x'', 2001)'), ('cost_details', '''{}''')) v (c, v);
SELECT totals(10);
-- a total that is less than what is known of its parts, before or now
SELECT new_task(10, 61), new_task(10, 62);
UPDATE ai_tasks SET tokens_input = 100 WHERE task_id IN (task_id(61), task_id(62));
SELECT attempt(format('UPDATE ai_tasks SET tokens_total = 50 WHERE task_id = %L', task_id(61)));
SELECT attempt(format('SELECT (airun_complete_task(%L, tokens_total => 50)).tokens_total', task_id(61)));
SELECT attempt(format('SELECT (airun_complete_task(%L, tokens_total => 50)).tokens_total', task_id(61)));
SELECT attempt(format('SELECT (airun_complete_task(%L, tokens_output => 5)).tokens_total', task_id(62)));
SELECT tokens_input, tokens_output, tokens_total, cost_details -> 'left_out' AS left_out FROM ai_tasks WHERE task_id IN (task_id(61), task_id(62)) ORDER BY task_id;
SELECT attempt(format('INSERT INTO ai_tasks (run_id, tokens_input, tokens_total) VALUES (%L, 5, 4)', run_id(10)));
SELECT totals(10);
-- figures while the stream runs move the run's totals at once, by every way
SELECT new_task(11, 63), new_task(11, 64);
UPDATE ai_tasks SET tokens_input = 10, cost = 0.25 WHERE task_id = task_id(63) RETURNING tokens_total, cost; SELECT totals(11);
UPDATE ai_tasks SET tokens_output = 5 WHERE task_id = task_id(63) RETURNING tokens_total; SELECT totals(11);
UPDATE airun.tasks SET tokens_input = 3, cost = 1 WHERE task_id = task_id(64) RETURNING tokens_total; SELECT totals(11);
UPDATE airun.tasks SET tokens_input = 2, cost = NULL WHERE task_id = task_id(64) RETURNING tokens_total; SELECT totals(11);
SELECT tokens_total, cost FROM airun_complete_task(task_id(63), tokens_output => 7); SELECT totals(11);
SELECT tokens_total, cost FROM airun_complete_task(task_id(64), cost => 2); SELECT totals(11);

--
-- airun.trust_client_cost: off, a client's cost is ignored, and unknown is not 0
--
SELECT new_task(12, n) FROM generate_series(70, 76) n;
UPDATE ai_tasks SET cost = 1 WHERE task_id IN (task_id(70), task_id(71));
SET airun.trust_client_cost = off;
SELECT cost FROM airun_complete_task(task_id(70), cost => 2);
UPDATE ai_tasks SET cost = 2 WHERE task_id = task_id(71) RETURNING cost;
UPDATE airun.tasks SET cost = 2 WHERE task_id = task_id(71) RETURNING cost;
SELECT cost FROM airun_complete_task(task_id(72), cost => 2);
SELECT cost FROM airun_fail_task(task_id(73), cost => 2);
SELECT cost FROM airun_cancel_task(task_id(74), cost => 2);
SELECT airun_finish_turn(task_id(75), response_text => 'x', cost => 2) -> 'task' ->> 'cost';
UPDATE ai_tasks SET status = 'completed', cost = 2 WHERE task_id = task_id(76) RETURNING cost;
INSERT INTO ai_tasks (run_id, status, cost) VALUES (run_id(12), 'completed', 2) RETURNING cost;
INSERT INTO airun.tasks (run_id, status, cost) VALUES (run_id(12), 'completed', 2) RETURNING cost;
-- nonsense is left out all the same
SELECT new_task(12, 77);
SELECT attempt(format('SELECT (airun_complete_task(%L, cost => ''NaN'')).cost_details -> ''left_out''', task_id(77)));
SELECT totals(12);
SET airun.trust_client_cost = on;
SELECT boot_val, context FROM pg_settings WHERE name = 'airun.trust_client_cost';

--
-- What a task does to its run's status
--
CREATE FUNCTION run_status(n int) RETURNS text LANGUAGE sql AS $$SELECT status FROM airun.runs WHERE id = run_id(n)$$;
SELECT new_task(13, n) FROM generate_series(80, 89) n;
SELECT run_status(13);
SELECT count(airun_fail_task(task_id(80))); SELECT run_status(13);
-- a task that ends well does not heal it; the next task does, and so does the next message
SELECT count(airun_complete_task(task_id(81))); SELECT run_status(13);
SELECT count(airun_cancel_task(task_id(82))); SELECT run_status(13);
SELECT count(airun_update_task(task_id(83), 'x')); SELECT run_status(13);
SELECT new_task(13, 90); SELECT run_status(13);
-- the same failure again does not count again
SELECT count(airun_fail_task(task_id(80))); SELECT run_status(13);
UPDATE ai_tasks SET status = 'error' WHERE task_id = task_id(84); SELECT run_status(13);
SELECT count(airun_append_message(run_id(13), '{"role": "user", "content": "x"}')); SELECT run_status(13);
UPDATE airun.tasks SET status = 'failed' WHERE task_id = task_id(85); SELECT run_status(13);
INSERT INTO airun.tasks (run_id) VALUES (run_id(13)); SELECT run_status(13);
INSERT INTO ai_tasks (run_id, status) VALUES (run_id(13), 'error'); SELECT run_status(13);
-- a turn that ends with its message makes it active
SELECT count(airun_finish_turn(task_id(86), response_text => 'x')); SELECT run_status(13);
-- a completed run: what has begun may end, and does not reopen it
SELECT count(airun_set_run_status(run_id(13), 'completed'));
SELECT count(airun_update_task(task_id(87), 'x')); SELECT run_status(13);
SELECT status FROM airun_fail_task(task_id(87)); SELECT run_status(13);
SELECT status FROM airun_complete_task(task_id(88), tokens_total => 7); SELECT run_status(13);
SELECT airun_finish_turn(task_id(89), '{"role": "assistant", "content": "late"}') -> 'task' ->> 'status'; SELECT run_status(13);
UPDATE ai_tasks SET status = 'error' WHERE task_id = task_id(90) RETURNING status; SELECT run_status(13);
SELECT totals(13);

--
-- ai_tasks and airun.tasks: inserted as pending, and as finished
--
INSERT INTO ai_tasks (run_id) VALUES (run_id(14)) RETURNING status, substr(task_id::text, 15, 1), user_id = airun_user_id(), metadata,
	created_at BETWEEN now() AND clock_timestamp(), updated_at >= created_at, completed_at, total_time;
INSERT INTO ai_tasks (task_id, run_id, user_id, service, task_name, provider, endpoint, model_id, request_data, response_text, response_data,
	error, metadata, finish_reason, status, tokens_input, tokens_output, tokens_total, usage, cost, cost_details, time_to_first_token, total_time,
	created_at, updated_at, completed_at)
VALUES (NULL, run_id(14), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL) RETURNING status, user_id = airun_user_id(), metadata, created_at BETWEEN now() AND clock_timestamp();
INSERT INTO ai_tasks (run_id, task_id, status, response_text, tokens_input, tokens_output, cost, usage, finish_reason, total_time, time_to_first_token, model_id)
VALUES (run_id(14), task_id(91), 'completed', 'answer', 3, 4, 0.5, '{"a": 1}', 'stop', 100, 10, 'm')
RETURNING status, tokens_total, cost, total_time, time_to_first_token, completed_at BETWEEN now() AND clock_timestamp();
SELECT totals(14);
INSERT INTO ai_tasks (run_id, task_id, status, error, tokens_total) VALUES (run_id(14), task_id(92), 'failed', '{"e": 1}', 2) RETURNING status, completed_at IS NOT NULL;
SELECT totals(14);
INSERT INTO airun.tasks (run_id, task_id, status, tokens_input, cost) VALUES (run_id(14), task_id(93), 'canceled', 5, 1), (run_id(14), task_id(94), 'streaming', 1, 1)
RETURNING status, tokens_total, completed_at IS NOT NULL;
SELECT totals(14);
-- the owner may bring in what happened before
INSERT INTO airun.tasks (run_id, task_id, status, created_at, completed_at, user_id) VALUES (run_id(14), task_id(95), 'completed', '2020-01-01 10:00', '2020-01-01 10:01',
	'99999999-0000-0000-0000-000000000000') RETURNING created_at, completed_at, user_id;
SELECT attempt(format('INSERT INTO ai_tasks (run_id, task_id) VALUES (%L, %L)', run_id(14), task_id(91)));
INSERT INTO airun.tasks (run_id, task_id, tokens_total) VALUES (run_id(14), task_id(91), 100), (run_id(14), task_id(96), 10) ON CONFLICT DO NOTHING RETURNING task_id;
SELECT c, attempt(format('INSERT INTO airun.tasks (run_id, %I) VALUES (%L, %s)', c, run_id(14), v)) FROM (VALUES ('inputs_from', '1'), ('inputs_to', '1'),
	('answer_seq', '1'), ('cost_details', '''{}'''), ('completed_at', 'now()'), ('status', '''done''')) v (c, v);
SELECT attempt('INSERT INTO ai_tasks (status) VALUES (''pending'')'), attempt('INSERT INTO airun.tasks (status) VALUES (''pending'')');
SELECT totals(14);
SELECT attempt(format('DELETE FROM ai_tasks WHERE task_id = %L', task_id(91))), totals(14);

--
-- Updates of what is not kept by airun
--
SELECT new_task(15, 100, 'streaming');
UPDATE ai_tasks SET metadata = '{"m": 1}', service = 's', task_name = 'n', provider = 'p', endpoint = 'e', model_id = 'm', request_data = '{"r": 1}',
	response_data = '{"d": 1}', usage = '{"u": 1}', finish_reason = 'f', error = '"x"', time_to_first_token = 3
WHERE task_id = task_id(100) RETURNING metadata, service, task_name, provider, endpoint, model_id, request_data, response_data, usage, finish_reason, error,
	time_to_first_token, status;
UPDATE ai_tasks SET metadata = NULL, status = NULL WHERE task_id = task_id(100) RETURNING metadata, status;
SELECT c, attempt(format('UPDATE ai_tasks SET %I = %s WHERE task_id = %L', c, v, task_id(100))), attempt(format('UPDATE airun.tasks SET %I = %s WHERE task_id = %L', c, v, task_id(100)))
FROM (VALUES ('task_id', 'airun_uuid()'), ('run_id', 'run_id(1)'), ('user_id', 'run_id(1)'), ('user_id', 'NULL'), ('created_at', 'now()'), ('updated_at', '''1999-01-01'''),
	('completed_at', 'now()'), ('cost_details', '''{}''')) v (c, v);
SELECT c, attempt(format('UPDATE airun.tasks SET %I = %s WHERE task_id = %L', c, v, task_id(100)))
FROM (VALUES ('inputs_from', '1'), ('inputs_to', '1'), ('answer_seq', '1'), ('response_length', '1'), ('generation', '1'), ('text_in_answer', 'true'),
	('request_reference', '''{}''')) v (c, v);

--
-- A finished task: no column of it changes, and what changes nothing passes
--
SELECT new_task(15, 101);
SELECT status FROM airun_complete_task(task_id(101), 'text', '{"u": 1}', 1, 2, 3, 0.50, 4, 5, '{"d": 1}', 'stop', 'm', 'flex', false, 0.25);
SELECT to_jsonb(t) AS before FROM airun.tasks t WHERE task_id = task_id(101) \gset
SELECT c.column_name, left(attempt(format('UPDATE ai_tasks SET %I = %s WHERE task_id = %L', c.column_name, v.value, task_id(101))), 200) AS view,
	left(attempt(format('UPDATE airun.tasks SET %I = %s WHERE task_id = %L', c.column_name, v.value, task_id(101))), 5) AS direct,
	attempt(format('UPDATE ai_tasks SET %1$I = %1$I WHERE task_id = %2$L', c.column_name, task_id(101))) AS view_same,
	attempt(format('UPDATE airun.tasks SET %1$I = %1$I WHERE task_id = %2$L', c.column_name, task_id(101))) AS direct_same
FROM information_schema.columns c, LATERAL (SELECT CASE data_type WHEN 'uuid' THEN 'airun_uuid()' WHEN 'text' THEN '''other''' WHEN 'jsonb' THEN '''{"other": 1}'''
	WHEN 'bigint' THEN '77' WHEN 'numeric' THEN '77' WHEN 'interval' THEN '''1 day''' WHEN 'boolean' THEN 'true' ELSE '''2001-01-01''' END) v (value)
WHERE table_schema = 'public' AND table_name = 'ai_tasks' ORDER BY ordinal_position;
SELECT hint_of(format('UPDATE ai_tasks SET model_id = ''x'' WHERE task_id = %L', task_id(101)));
-- all of it sent back, as clients do
WITH u AS (UPDATE ai_tasks t SET (service, task_name, provider, endpoint, model_id, request_data, response_text, response_data, error, metadata,
	finish_reason, status, tokens_input, tokens_output, tokens_total, usage, cost, cost_details, time_to_first_token, total_time, created_at, completed_at)
	= (SELECT service, task_name, provider, endpoint, model_id, request_data, response_text, response_data, error, metadata, finish_reason, status,
	tokens_input, tokens_output, tokens_total, usage, cost, cost_details, time_to_first_token, total_time, created_at, completed_at FROM ai_tasks s WHERE s.task_id = t.task_id)
	WHERE task_id = task_id(101) RETURNING status) SELECT * FROM u;
SELECT to_jsonb(t) - '{metadata,updated_at}'::text[] = :'before'::jsonb - '{metadata,updated_at}'::text[] FROM airun.tasks t WHERE task_id = task_id(101);
SELECT totals(15);

-- what a statement through the view returns of a task is what the view shows of it then: a request
-- that is stored in part, a text that is a message or streams, and new ones
SELECT count(airun_start_turn(run_id(60), say(repeat('a', 500)), task_id => task_id(600), request_data => jsonb_build_object('messages', jsonb_build_array(say(repeat('a', 500))))));
SELECT count(airun_finish_turn(task_id(600), '{"role": "assistant", "content": "answered"}'));
SELECT new_task(60, 601, 'streaming'), new_task(60, 602);
CREATE TEMP TABLE returned (how text, task_id uuid, shown jsonb);
WITH i AS (INSERT INTO ai_tasks AS t (run_id, task_id, status, response_text, request_data) VALUES (run_id(60), task_id(604), 'completed', 'text', NULL),
	(run_id(60), task_id(605), 'pending', 'beginning', NULL), (run_id(60), NULL, 'pending', NULL, jsonb_build_object('messages', jsonb_build_array(say(repeat('a', 500)))))
	RETURNING t.task_id, to_jsonb(t) AS shown) INSERT INTO returned SELECT 'inserted', * FROM i;
SELECT count(*) FROM airun.tasks WHERE run_id = run_id(60) AND request_reference IS NOT NULL;
SELECT count(*), count(*) FILTER (WHERE r.shown = to_jsonb(t)) AS same FROM returned AS r JOIN ai_tasks AS t USING (task_id);
WITH u AS (UPDATE ai_tasks AS t SET metadata = '{"seen": true}' WHERE run_id = run_id(60) RETURNING t.task_id, to_jsonb(t) AS shown)
	INSERT INTO returned SELECT 'updated', * FROM u;
SELECT r.shown ->> 'status', r.shown ->> 'response_text', octet_length(r.shown ->> 'request_data') AS request, r.shown = to_jsonb(t) AS same
FROM returned AS r JOIN ai_tasks AS t USING (task_id) WHERE how = 'updated' ORDER BY 1, 2, 3;
DROP TABLE returned;

DELETE FROM airun.runs WHERE user_id = airun_user_id();
SELECT count(*) FROM airun.tasks WHERE run_id BETWEEN run_id(0) AND run_id(9999);
SELECT * FROM airun_check();
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA task_test CASCADE;
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET client_min_messages;
