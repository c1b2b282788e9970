--
-- Leases: tasks that show no progress are overdue, and expire.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA lease_test;
SET search_path = lease_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8011';
SET client_encoding = 'UTF8';
SET airun.user_id = 'lease test';
SET airun.trust_client_cost = on;
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- let time pass for a task and its text, past the triggers
CREATE FUNCTION age(n int, by interval) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET session_replication_role = replica AS $$
BEGIN
	UPDATE airun.tasks SET created_at = created_at - by, updated_at = updated_at - by WHERE task_id = task_id(n);
	UPDATE airun.task_chunks SET created_at = created_at - by WHERE task_id = task_id(n);
	RETURN format('task %s %s later', n, by);
END$$;
-- a task as users see it, and what airun_check() says of its run
CREATE FUNCTION state(n int) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', t.status, CASE WHEN t.is_overdue THEN 'overdue' END, t.response_text, t.error::text, t.tokens_total || ' tokens',
		(SELECT count(*) || ' pieces' FROM airun.task_chunks AS c WHERE c.task_id = t.task_id HAVING count(*) > 0),
		(SELECT 'WRONG: ' || string_agg(c.problem, ', ') FROM airun_check(t.run_id) AS c))
	FROM ai_tasks AS t WHERE t.task_id = task_id(n)
$$;
SELECT count(airun_create_run(id => run_id(n), name => 'run ' || n)) FROM generate_series(1, 20) AS n;
-- what other tests have left
SELECT airun_expire_tasks() >= 0;

--
-- How long a task may be without progress
--
SHOW airun.task_timeout;
SELECT new_tasks(1, 1, 1), new_tasks(2, 2, 1, '90 s'), new_tasks(3, 3, 1, '1 day'), new_tasks(4, 4, 1, '366 days'), new_tasks(5, 5, 1, '1 us'), new_tasks(6, 6, 1, '1 year');
SELECT airun_start_turn(run_id(1), task_id => task_id(7), timeout => '00:05') #>> '{task,status}';
INSERT INTO ai_tasks (run_id, task_id, timeout) VALUES (run_id(1), task_id(8), '2 h') RETURNING timeout, is_overdue;
INSERT INTO airun.tasks (run_id, task_id, timeout) VALUES (run_id(1), task_id(9), '2 h') RETURNING timeout;
UPDATE ai_tasks SET timeout = '3 h' WHERE task_id = task_id(8) RETURNING timeout;
UPDATE airun.tasks SET timeout = NULL WHERE task_id = task_id(9) RETURNING timeout;
SELECT right(task_id::text, 1), timeout, is_overdue FROM ai_tasks WHERE run_id = run_id(1) ORDER BY task_id;
SELECT t, attempt(format('SELECT airun_create_task(run_id(1), task_id(99), timeout => %L)', t)), attempt(format('SELECT airun_start_turn(run_id(1), task_id => task_id(99), timeout => %L)', t)),
	attempt(format('INSERT INTO ai_tasks (run_id, timeout) VALUES (run_id(1), %L)', t)), attempt(format('UPDATE ai_tasks SET timeout = %L WHERE task_id = task_id(1)', t)),
	attempt(format('UPDATE airun.tasks SET timeout = %L WHERE task_id = task_id(1)', t))
FROM unnest(ARRAY['0', '-1 s', '-1 mon', '1 day -24 h', '1 mon -31 days', '367 days', '366 days 1 us', '1 year 7 days', '1000 years']) AS t;
SELECT hint_of('SELECT airun_create_task(run_id(1), timeout => ''-5 min'')');
SELECT s, left(attempt(format('SET airun.task_timeout = %L', s)), 5) FROM unnest(ARRAY['0', '-1', '367d', 'x', '366d']) AS s;
RESET airun.task_timeout;
-- airun_is_overdue()
SELECT s, p, t, airun_is_overdue(s, now() - p, t) FROM (VALUES ('pending', interval '9 min', NULL::interval), ('pending', '11 min', NULL), ('streaming', '9 min', NULL), ('streaming', '11 min', NULL),
	('streaming', '11 min', '12 min'), ('streaming', '9 min', '8 min'), ('streaming', '-1 h', '1 us'), ('streaming', '1 us', '366 days'), ('completed', '1 year', NULL), ('error', '1 year', '1 s'),
	('cancelled', '1 year', '1 s'), (NULL, '1 year', '1 s'), ('pending', NULL, '1 s')) AS v (s, p, t);
SET airun.task_timeout = '30s';
SELECT airun_is_overdue('pending', now() - interval '25 s', NULL), airun_is_overdue('pending', now() - interval '35 s', NULL), airun_is_overdue('pending', now() - interval '35 s', '1 min');
RESET airun.task_timeout;

--
-- What counts as progress
--
SELECT new_tasks(10, 17, 2);
SELECT count(airun_update_task(task_id(n), 'part')) FROM generate_series(12, 17) AS n;
SELECT age(n, '9 min') FROM generate_series(10, 17) AS n; SELECT state(n) FROM generate_series(10, 17) AS n; SELECT airun_expire_tasks();
SELECT age(n, '2 min') FROM generate_series(10, 17) AS n; SELECT state(n) FROM generate_series(10, 17) AS n;
-- a beat, of a pending one, too; text; a piece; data alone; any change
SELECT status, updated_at > now() - interval '1 min', response_length FROM airun_heartbeat_task(task_id(10));
SELECT status, updated_at > now() - interval '1 min', response_length FROM airun_heartbeat_task(task_id(12), run_id => run_id(2));
SELECT count(airun_update_task(task_id(13), 'part and more')), count(airun_stream_delta(task_id(14), ' and more')), count(airun_update_task(task_id(15), response_data => '{}'));
UPDATE ai_tasks SET metadata = '{"a": 1}' WHERE task_id = task_id(16) RETURNING is_overdue;
SELECT n, state(n) FROM generate_series(10, 17) AS n;
-- but no late save
SELECT count(airun_update_task(task_id(17), 'pa')), count(airun_stream_delta(task_id(17), 'part', 0)), state(17);
SELECT airun_expire_tasks();
SELECT n, state(n) FROM generate_series(10, 17) AS n;
-- who is late finds it ended
SELECT status, response_length FROM airun_update_task(task_id(17), 'part and more'); SELECT status FROM airun_heartbeat_task(task_id(17));
SELECT status, completed_at = updated_at FROM airun_heartbeat_task(task_id(17));
SELECT attempt('UPDATE ai_tasks SET timeout = ''1 h'' WHERE task_id = task_id(17)'), status FROM ai_runs WHERE id = run_id(2);
-- his end counts all the same (late_ends.sql)
BEGIN; SELECT attempt('SELECT status FROM airun_complete_task(task_id(17), ''part and more'')'), state(17); ROLLBACK;
SELECT state(17);
-- a beat for what is not there
SELECT attempt('SELECT airun_heartbeat_task(task_id(99))'), attempt('SELECT airun_heartbeat_task(NULL)'), attempt('SELECT airun_heartbeat_task(task_id(10), run_id => run_id(1))');
-- a beat of one's own transaction does not go back in time
BEGIN; SELECT updated_at AS beat FROM airun_heartbeat_task(task_id(10)) \gset
SELECT updated_at > :'beat' FROM airun_heartbeat_task(task_id(10)); COMMIT;

--
-- What expires, and what is left of it
--
SELECT new_tasks(20, 22, 3), new_tasks(23, 23, 3, '20 min'), new_tasks(24, 24, 3, '5 min');
SELECT airun_start_turn(run_id(3), '{"role": "user", "content": "Q"}', task_id(25)) #>> '{task,status}';
SELECT count(airun_update_task(task_id(21), 'Grüße, 世')), count(airun_stream_delta(task_id(21), '界 😀')), count(airun_update_task(task_id(22), 'x', '{"data": 1}')), count(airun_update_task(task_id(25), 'half an ans'));
UPDATE ai_tasks SET tokens_input = 5, tokens_output = 2, cost = 0.25, usage = '{"n": 7}' WHERE task_id = task_id(21);
UPDATE ai_tasks SET tokens_total = 4, error = '{"before": 1}', finish_reason = 'length' WHERE task_id = task_id(22);
SELECT age(n, '11 min') FROM generate_series(20, 25) AS n;
SELECT right(task_id::text, 2), status FROM ai_tasks WHERE is_overdue ORDER BY 1;
SELECT airun_expire_tasks();
SELECT n, state(n) FROM generate_series(20, 25) AS n;
SELECT right(task_id::text, 2), usage, cost, tokens_input, tokens_output, response_data, finish_reason, response_length, generation, time_to_first_token > 0 AS first_token,
	total_time BETWEEN 660000 AND 700000 AS total_time, completed_at BETWEEN now() - interval '1 min' AND now() AS completed_at, updated_at = completed_at AS updated_at, answer_seq
FROM airun.tasks WHERE run_id = run_id(3) AND status = 'error' ORDER BY 1;
SELECT * FROM airun_stream_read(task_id(21), 8, '20 s', 0);
SELECT status, message_count, task_count, total_tokens, total_cost FROM ai_runs WHERE id = run_id(3);
SELECT count(*) FROM airun.task_chunks WHERE run_id = run_id(3);
SELECT airun_expire_tasks();
-- a completed run stays completed
SELECT new_tasks(30, 30, 4); SELECT age(30, '11 min'); SELECT count(airun_set_run_status(run_id(4), 'completed')); SELECT airun_expire_tasks(); SELECT state(30), status FROM ai_runs WHERE id = run_id(4);
-- one of a deleted run expires, too
SELECT new_tasks(31, 31, 5); SELECT count(airun_update_task(task_id(31), 'text')); SELECT age(31, '11 min'), airun_delete_run(run_id(5));
SELECT airun_expire_tasks(), status FROM airun.tasks WHERE task_id = task_id(31);
SELECT airun_restore_run(run_id(5)), state(31);
SELECT airun_expire_tasks(); SELECT state(31);
-- a rolled back one has not expired
SELECT new_tasks(32, 32, 5); SELECT count(airun_update_task(task_id(32), 'text')); SELECT age(32, '11 min');
BEGIN; SELECT airun_expire_tasks(); SELECT state(32); ROLLBACK; SELECT state(32);
BEGIN READ ONLY; SELECT attempt('SELECT airun_expire_tasks()'), attempt('SELECT airun_heartbeat_task(task_id(32))'); ROLLBACK;
-- by whatever isolation level
BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT airun_expire_tasks(); SELECT state(32); COMMIT;

--
-- In batches, the longest overdue first
--
SELECT new_tasks(40, 49, 6), new_tasks(50, 59, 7);
SELECT count(airun_update_task(task_id(n), 'text ' || n)) FROM generate_series(40, 59, 2) AS n;
SELECT count(age(n, interval '1 h' + n * interval '1 min')) FROM generate_series(40, 59) AS n;
SELECT airun_expire_tasks(3); SELECT string_agg(right(task_id::text, 2), ' ' ORDER BY task_id) FROM ai_tasks WHERE task_id >= task_id(40) AND status = 'error';
SELECT airun_expire_tasks(max_tasks => 1); SELECT string_agg(right(task_id::text, 2), ' ' ORDER BY task_id) FROM ai_tasks WHERE task_id >= task_id(40) AND status = 'error';
SELECT airun_expire_tasks(10000), airun_expire_tasks(10000);
SELECT status, count(*), count(*) FILTER (WHERE response_text = 'text ' || right(task_id::text, 2)) FROM ai_tasks WHERE task_id BETWEEN task_id(40) AND task_id(59) GROUP BY status;
SELECT n, attempt(format('SELECT airun_expire_tasks(%s)', n)) FROM unnest(ARRAY['0', '-1', '10001', '2147483647', 'NULL']) AS n;
SELECT hint_of('SELECT airun_expire_tasks(0)');
-- more than one transaction has locks for
SELECT new_tasks(20001, 22500, 8);
SELECT count(airun_update_task(task_id(n), 'text')) FROM generate_series(20001, 22500) AS n; SELECT count(age(n, '1 h')) FROM generate_series(20001, 22500) AS n;
SELECT airun_expire_tasks(), airun_expire_tasks(), airun_expire_tasks(), airun_expire_tasks();
SELECT count(*) FROM airun.task_chunks WHERE run_id = run_id(8);
SELECT * FROM airun_check();

--
-- A turn that starts ends what is overdue in its run
--
SELECT new_tasks(60, 62, 9), new_tasks(63, 63, 10);
SELECT count(airun_update_task(task_id(n), 'half')) FROM unnest(ARRAY[60, 63]) AS n;
UPDATE ai_tasks SET tokens_total = 7 WHERE task_id = task_id(60);
SELECT age(60, '11 min'), age(61, '11 min'), age(63, '11 min');
SELECT t #>> '{task,status}', t #>> '{run,status}', t #>> '{run,task_count}', t #>> '{run,total_tokens}', t #>> '{run,message_count}'
FROM airun_start_turn(run_id(9), '{"role": "user", "content": "Again?"}', task_id(64)) AS t;
SELECT n, state(n) FROM generate_series(60, 64) AS n;
-- but not when it is repeated, or refused
SELECT age(62, '11 min'), age(64, '11 min');
SELECT airun_start_turn(run_id(9), '{"role": "user", "content": "Again?"}', task_id(64)) #>> '{task,status}', state(62);
SELECT left(attempt('SELECT airun_start_turn(run_id(9), ''{"role": "user", "content": "Other"}'', task_id(64))'), 5), left(attempt('SELECT airun_start_turn(run_id(9), ''{"role": "nobody"}'', task_id(65))'), 5), state(62);
SELECT airun_start_turn(run_id(9), task_id => task_id(65)) #>> '{run,status}', state(62), state(64);
-- a task of its own timeout, and nothing to expire
SELECT airun_start_turn(run_id(9), task_id => task_id(66), timeout => '1 h') #>> '{task,status}'; SELECT age(66, '11 min');
SELECT airun_start_turn(run_id(9), task_id => task_id(67)) #>> '{run,task_count}', state(65), state(66);
-- the first hundred of many
SELECT new_tasks(30001, 30150, 11); SELECT count(age(n, '1 h')) FROM generate_series(30001, 30150) AS n;
SELECT airun_start_turn(run_id(11)) #>> '{run,status}', count(*) FROM ai_tasks WHERE run_id = run_id(11) AND status = 'error';
SELECT status, count(*) FROM ai_tasks WHERE run_id = run_id(11) GROUP BY status ORDER BY status;
SELECT airun_start_turn(run_id(11)) #>> '{run,status}';
SELECT status, count(*) FROM ai_tasks WHERE run_id = run_id(11) GROUP BY status ORDER BY status;
SELECT airun_expire_tasks(), state(63);

--
-- Whose tasks
--
CREATE ROLE regress_airun_lease;
SELECT airun_grant('regress_airun_lease');
GRANT USAGE ON SCHEMA lease_test TO regress_airun_lease;
SELECT new_tasks(70, 71, 12); SELECT count(airun_update_task(task_id(70), 'mine')); SELECT age(70, '11 min'), age(71, '11 min');
SET ROLE regress_airun_lease;
SET airun.user_id = 'lease test, too';
SELECT count(airun_create_run(id => run_id(21))); SELECT new_tasks(72, 73, 21); SELECT count(airun_update_task(task_id(72), 'theirs')); SELECT age(72, '11 min'), age(73, '11 min');
SELECT right(task_id::text, 2) FROM ai_tasks WHERE is_overdue ORDER BY task_id;
SELECT airun_expire_tasks(), airun_expire_tasks();
SELECT n, state(n) FROM generate_series(70, 73) AS n;
SELECT attempt('SELECT airun_heartbeat_task(task_id(70))');
RESET airun.user_id;
SELECT attempt('SELECT airun_expire_tasks()');
RESET ROLE;
-- nor those that a site's policy lets be seen alone
CREATE POLICY shared ON airun.runs FOR SELECT TO regress_airun_lease USING (id IN ('00000000-0000-4000-8011-000000000012'));
SET ROLE regress_airun_lease;
SET airun.user_id = 'lease test, too';
SELECT state(70); SELECT airun_expire_tasks(); SELECT state(70);
-- which are not in the way of one's own
SELECT new_tasks(74, 74, 21); SELECT age(74, '10 min 30 s'); SELECT airun_expire_tasks(1); SELECT state(74);
RESET ROLE;
DROP POLICY shared ON airun.runs;
-- a scheduler calls as the owner, for nobody
RESET airun.user_id;
SELECT airun_expire_tasks();
SELECT n, state(n) FROM generate_series(70, 73) AS n;
-- the time of one's own session counts
SELECT new_tasks(75, 75, 12); SELECT age(75, '2 min'); SELECT airun_expire_tasks();
SET airun.task_timeout = '1min'; SELECT state(75); SELECT airun_expire_tasks(); SELECT state(75); RESET airun.task_timeout;

DELETE FROM airun.runs WHERE id BETWEEN run_id(1) AND run_id(21);
SELECT count(*) FROM airun.task_chunks;
SELECT * FROM airun_check();
DROP OWNED BY regress_airun_lease;
DROP ROLE regress_airun_lease;
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA lease_test CASCADE;
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET airun.trust_client_cost;
RESET client_min_messages;
