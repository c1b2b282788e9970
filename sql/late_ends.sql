--
-- What comes after the end: a usage that was lacking, the end of a task that has
-- expired, ends in deleted runs, and saves that come late.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA late_test;
SET search_path = late_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8051';
SET client_encoding = 'UTF8';
SET airun.user_id = 'late test';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on
SELECT airun_set_price('late-1', '{"input": 2, "output": 10}', provider => 'openai', per_tokens => 1000000, effective_from => '2020-01-01') IS NOT NULL;

-- let time pass for a task and its text, past the triggers
CREATE FUNCTION age(n int, by interval DEFAULT '11 min') RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET session_replication_role = replica AS $$
BEGIN
	UPDATE airun.tasks SET created_at = created_at - by, updated_at = updated_at - by WHERE task_id = task_id(n);
	UPDATE airun.task_chunks SET created_at = created_at - by WHERE task_id = task_id(n);
	RETURN format('task %s %s later', n, by);
END$$;
-- tasks of a run, with some text
CREATE FUNCTION start(first int, last int, run int, text text DEFAULT 'half of it') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM airun_create_run(id => run_id(run), name => 'run ' || run);
	FOR n IN first .. last LOOP
		PERFORM airun_create_task(run_id(run), task_id(n), provider => 'openai', model_id => 'late-1');
		PERFORM airun_update_task(task_id(n), text) WHERE text IS NOT NULL;
	END LOOP;
	RETURN format('tasks %s to %s', first, last);
END$$;
-- the same, and they have expired
CREATE FUNCTION expire(first int, last int, run int, text text DEFAULT 'half of it') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM start(first, last, run, text);
	PERFORM age(n) FROM generate_series(first, last) AS n;
	RETURN format('%s expired', airun_expire_tasks());
END$$;
-- a task as it stands, its run's status and totals, and what airun_check() says
CREATE FUNCTION state(n int) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT concat_ws(' | ', t.status, coalesce(t.response_text, airun_message_text(m.message)), t.error::text, t.tokens_input || '+' || t.tokens_output || '=' || t.tokens_total, t.cost, t.price_status,
		t.finish_reason, t.response_data::text, concat('run: ', r.status, ' ', r.message_count, ' ', r.total_tokens, ' ', r.total_cost),
		CASE WHEN r.deleted_at IS NOT NULL THEN 'deleted' END, (SELECT 'WRONG: ' || string_agg(concat(c.problem, ' ', c.expected, ' ', c.found), ', ') FROM airun_check(t.run_id) AS c))
	FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id LEFT JOIN airun.messages AS m ON t.text_in_answer AND m.run_id = t.run_id AND m.seq = t.answer_seq
	WHERE t.task_id = task_id(n)
$$;
-- a command, and whether it has changed anything
CREATE FUNCTION effect(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text := store();
	result text := attempt(command);
BEGIN
	RETURN result || CASE WHEN store() = before THEN ' (no change)' ELSE '' END;
END$$;
-- what settles a usage: a command in which #t is the task and #u the usage
CREATE FUNCTION with_usage(n int, command text, usage text DEFAULT '{"prompt_tokens": 1000, "completion_tokens": 100}') RETURNS text LANGUAGE sql AS
$$SELECT effect(replace(replace(command, '#t', quote_literal(task_id(n))), '#u', quote_literal(usage)))$$;

--
-- A usage that comes after the end, by each way, for each end: once
--
SELECT start(1, 7, 1);
SELECT (airun_cancel_task(task_id(n))).status FROM generate_series(1, 3) AS n;
SELECT (airun_fail_task(task_id(4), '{"a": 1}')).status, (airun_fail_task(task_id(5), '{"a": 1}')).status, (airun_complete_task(task_id(6))).status, (airun_complete_task(task_id(7))).status;
SELECT state(1), state(4), state(6);
CREATE TEMP TABLE way (n int, command text);
INSERT INTO way VALUES (1, 'SELECT cost FROM airun_cancel_task(#t, usage => #u)'), (2, 'UPDATE ai_tasks SET usage = #u WHERE task_id = #t RETURNING cost'),
	(3, 'UPDATE airun.tasks SET usage = #u WHERE task_id = #t RETURNING cost'), (4, 'SELECT cost FROM airun_fail_task(#t, usage => #u)'),
	(5, 'UPDATE ai_tasks SET usage = #u WHERE task_id = #t RETURNING cost'), (6, 'SELECT cost FROM airun_complete_task(#t, usage => #u)'),
	(7, 'SELECT airun_finish_turn(#t, usage => #u) #>> ''{task,cost}''');
SELECT n, with_usage(n, command), state(n) FROM way ORDER BY n;
-- the same again changes nothing, and another one is refused
SELECT n, with_usage(n, command), with_usage(n, command, '{"prompt_tokens": 1000, "completion_tokens": 101}') FROM way ORDER BY n;
-- nor does another end bring it, or the same one with another text
SELECT start(8, 9, 2); SELECT (airun_cancel_task(task_id(8))).status;
SELECT with_usage(8, 'SELECT airun_complete_task(#t, usage => #u)'), with_usage(8, 'SELECT airun_finish_turn(#t, say(''x''), usage => #u)'), with_usage(8, 'SELECT airun_fail_task(#t, usage => #u)'),
	with_usage(8, 'SELECT airun_cancel_task(#t, ''half'', usage => #u)'), with_usage(8, 'UPDATE ai_tasks SET usage = #u, status = ''completed'' WHERE task_id = #t'),
	with_usage(8, 'UPDATE ai_tasks SET usage = #u, response_text = ''other'' WHERE task_id = #t'), with_usage(8, 'UPDATE ai_tasks SET usage = #u, model_id = ''x'' WHERE task_id = #t');
-- nor does the same one, once it would be read otherwise
SELECT start(203, 203, 7); SELECT (airun_complete_task(task_id(203), usage => '{"late_in": 5, "late_out": 7}')).status, state(203);
INSERT INTO airun.usage_shapes (shape, known_by, paths) VALUES ('late', '{late_in}', '{"input": "late_in", "output": "late_out"}');
SELECT with_usage(203, 'SELECT status FROM airun_complete_task(#t, usage => #u)', '{"late_in": 5, "late_out": 7}'), with_usage(203, 'SELECT status FROM airun_complete_task(#t, tokens_input => 6)'), state(203);
DELETE FROM airun.usage_shapes WHERE shape = 'late';
-- what is said of what stands
SELECT answer(format('SELECT airun_cancel_task(%L, ''half'')', task_id(8)));
SELECT answer(format('SELECT airun_complete_task(%L, usage => ''{"prompt_tokens": 1}'')', task_id(6)));
SELECT answer(format('UPDATE ai_tasks SET usage = ''{}'' WHERE task_id = %L', task_id(6)));
SELECT answer(format('SELECT airun_complete_task(%L)', task_id(8)));
-- a usage that contradicts itself is taken, too
SELECT with_usage(8, 'SELECT airun_cancel_task(#t, usage => #u)', '{"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 7}') <> '', state(8);
-- a call rolled back has not been
BEGIN; SELECT (airun_cancel_task(task_id(9))).status; SAVEPOINT s; SELECT with_usage(9, 'SELECT cost FROM airun_cancel_task(#t, usage => #u)'); ROLLBACK TO s; SELECT state(9); ROLLBACK;

--
-- What else a task may lack
--
SELECT start(10, 17, 3, NULL);
SELECT (airun_cancel_task(task_id(n))).status FROM generate_series(10, 16) AS n;
SELECT effect(format('SELECT tokens_total FROM airun_cancel_task(%L, tokens_input => 5)', task_id(10))), effect(format('SELECT tokens_total FROM airun_cancel_task(%L, tokens_output => 3)', task_id(10))), state(10);
SELECT effect(format('UPDATE ai_tasks SET tokens_input = 5 WHERE task_id = %L', task_id(11))), effect(format('UPDATE ai_tasks SET tokens_output = 3 WHERE task_id = %L', task_id(11))), state(11);
-- a total that stands is no less for a part; a part that stands is not changed
SELECT effect(format('SELECT tokens_total FROM airun_cancel_task(%L, tokens_total => 50)', task_id(12))), effect(format('SELECT tokens_total FROM airun_cancel_task(%L, tokens_input => 5)', task_id(12))), state(12),
	effect(format('SELECT airun_cancel_task(%L, tokens_input => 6)', task_id(12)));
SELECT effect(format('UPDATE ai_tasks SET tokens_total = 50 WHERE task_id = %L', task_id(13))), effect(format('UPDATE ai_tasks SET tokens_input = 5 WHERE task_id = %L', task_id(13))), state(13),
	effect(format('UPDATE ai_tasks SET tokens_input = 6 WHERE task_id = %L', task_id(13)));
-- but a usage says what it was
SELECT with_usage(12, 'SELECT tokens_total FROM airun_cancel_task(#t, tokens_input => 7, usage => #u)'), state(12), with_usage(13, 'UPDATE ai_tasks SET usage = #u, tokens_input = 7 WHERE task_id = #t'), state(13);
SELECT with_usage(12, 'SELECT tokens_total FROM airun_cancel_task(#t, tokens_input => 7, usage => #u)');
-- the client's cost, a text, data, why it stopped, times
SELECT effect(format('SELECT airun_cancel_task(%L, %L, cost => 0.5, response_data => ''{"d": 1}'', finish_reason => ''stop'', time_to_first_token => 7)', task_id(14), 'a text')) <> '', state(14);
SELECT effect(format('UPDATE ai_tasks SET response_text = %L, cost = 0.5, response_data = ''{"d": 1}'', finish_reason = ''stop'', time_to_first_token = 7 WHERE task_id = %L', 'a text', task_id(15))), state(15);
SELECT task_id, client_cost, time_to_first_token, response_length, generation, completed_at < updated_at AS later FROM airun.tasks WHERE task_id IN (task_id(14), task_id(15)) ORDER BY 1;
-- they stand then: a function's are left aside, a column's refused
SELECT effect(format('SELECT status FROM airun_cancel_task(%L, cost => 0.7, response_data => ''{"d": 2}'', finish_reason => ''length'', time_to_first_token => 8, total_time => 9)', task_id(14)));
SELECT c, left(effect(format('UPDATE ai_tasks SET %s WHERE task_id = %L', c, task_id(15))), 80) FROM unnest(ARRAY['cost = 0.7', 'response_data = ''{"d": 2}''', 'finish_reason = ''length''',
	'time_to_first_token = 8', 'total_time = 9', 'response_text = ''another''', 'response_text = NULL', 'usage = NULL', 'completed_at = now()', 'error = ''"e"''']) AS c;
-- why it has failed
SELECT (airun_fail_task(task_id(17))).status, effect(format('SELECT error FROM airun_fail_task(%L, ''"why"'')', task_id(17))), effect(format('SELECT error FROM airun_fail_task(%L, ''"other"'')', task_id(17)));
-- what cannot be is left out, as at the end
SELECT effect(format('SELECT tokens_total FROM airun_cancel_task(%L, tokens_input => -1, tokens_output => 4)', task_id(16))), state(16); SELECT cost_details -> 'left_out' FROM airun.tasks WHERE task_id = task_id(16);
-- reasons alone cost nothing
SELECT start(18, 18, 4); SELECT (airun_complete_task(task_id(18), tokens_input => 1000, tokens_output => 100)).status;
BEGIN; DELETE FROM airun.prices WHERE model = 'late-1';
SELECT effect(format('SELECT cost FROM airun_complete_task(%L, finish_reason => ''stop'')', task_id(18))), state(18); ROLLBACK;
BEGIN; DELETE FROM airun.prices WHERE model = 'late-1';
SELECT effect(format('UPDATE ai_tasks SET finish_reason = ''stop'' WHERE task_id = %L RETURNING cost', task_id(18))), state(18); ROLLBACK;
-- a message that comes after the end brings usage and text with it
SELECT start(19, 19, 5, NULL); SELECT (airun_complete_task(task_id(19))).status;
SELECT with_usage(19, 'SELECT airun_finish_turn(#t, say(''the answer'', ''assistant''), usage => #u) #>> ''{task,cost}'''), state(19);
SELECT with_usage(19, 'SELECT airun_finish_turn(#t, say(''the answer'', ''assistant''), usage => #u) #>> ''{run,message_count}''');
-- many at once through the view
SELECT start(210, 229, 6, NULL); SELECT count(airun_cancel_task(task_id(n))) FROM generate_series(210, 229) AS n;
UPDATE ai_tasks SET usage = '{"prompt_tokens": 10, "completion_tokens": 1}' WHERE run_id = run_id(6); SELECT state(210);

--
-- A task that has expired is ended by its worker after all
--
SELECT expire(20, 26, 10);
SELECT state(20);
SELECT with_usage(20, 'SELECT status FROM airun_complete_task(#t, ''half of it and all'', usage => #u)'), with_usage(21, 'SELECT status FROM airun_cancel_task(#t, usage => #u)'),
	with_usage(22, 'SELECT error FROM airun_fail_task(#t, ''"refused"'', usage => #u)'), with_usage(23, 'SELECT airun_finish_turn(#t, say(''half of it and all'', ''assistant''), usage => #u) #>> ''{task,status}'''),
	with_usage(24, 'SELECT airun_finish_turn(#t, usage => #u) #>> ''{task,status}'''),
	with_usage(25, 'UPDATE ai_tasks SET status = ''completed'', response_text = ''other'', usage = #u WHERE task_id = #t RETURNING concat(status, error)'),
	with_usage(26, 'UPDATE airun.tasks SET status = ''cancelled'', usage = #u WHERE task_id = #t RETURNING concat(status, error)');
SELECT n, state(n) FROM generate_series(20, 26) AS n;
SELECT right(task_id::text, 2), generation, response_length, text_in_answer, response_text IS NULL, completed_at = updated_at, total_time > 600000, time_to_first_token IS NOT NULL FROM airun.tasks WHERE task_id BETWEEN task_id(20) AND task_id(26) ORDER BY 1;
-- again, no second effect; and then it is final
SELECT with_usage(20, 'SELECT status FROM airun_complete_task(#t, ''half of it and all'', usage => #u)'), with_usage(21, 'SELECT status FROM airun_cancel_task(#t, usage => #u)'),
	with_usage(22, 'SELECT error FROM airun_fail_task(#t, ''"refused"'', usage => #u)'), with_usage(23, 'SELECT airun_finish_turn(#t, say(''half of it and all'', ''assistant''), usage => #u) #>> ''{task,status}'''),
	with_usage(24, 'SELECT airun_finish_turn(#t, usage => #u) #>> ''{task,status}'''), with_usage(25, 'UPDATE ai_tasks SET status = ''completed'', response_text = ''other'', usage = #u WHERE task_id = #t');
SELECT with_usage(20, 'SELECT airun_cancel_task(#t)'), with_usage(22, 'SELECT airun_complete_task(#t)'), with_usage(25, 'UPDATE ai_tasks SET status = ''error'' WHERE task_id = #t');
-- without a text, the text so far is the answer's; without a reason, a failure has none
SELECT expire(27, 29, 11); SELECT (airun_complete_task(task_id(27))).status, (airun_fail_task(task_id(28))).status; SELECT state(27), state(28);
SELECT effect(format('UPDATE ai_tasks SET error = ''"refused"'' WHERE task_id = %L RETURNING status', task_id(29))), state(29);
-- an expiry that is stated again is no end, and what is brought without one leaves it so
SELECT expire(30, 31, 12);
SELECT effect(format('SELECT status FROM airun_fail_task(%L, ''{"code": "expired"}'')', task_id(30))), with_usage(30, 'UPDATE ai_tasks SET usage = #u WHERE task_id = #t'), state(30);
SELECT with_usage(30, 'SELECT cost FROM airun_complete_task(#t, usage => #u)', '{"prompt_tokens": 2000, "completion_tokens": 100}'), state(30);
-- an error that says more is the provider's
SELECT (airun_create_task(run_id(12), task_id(32))).status, (airun_fail_task(task_id(32), '{"code": "expired", "message": "token expired"}')).status, effect(format('SELECT airun_complete_task(%L)', task_id(32)));
-- progress after it changes nothing, and tells
SELECT effect(format('SELECT error FROM airun_update_task(%L, ''half of it, more'')', task_id(31))), effect(format('SELECT error FROM airun_stream_delta(%L, '', more'', 10)', task_id(31))),
	effect(format('SELECT error FROM airun_heartbeat_task(%L)', task_id(31))), effect(format('UPDATE ai_tasks SET response_text = ''half'', status = ''streaming'' WHERE task_id = %L', task_id(31))),
	effect(format('UPDATE ai_tasks SET response_text = ''half of it, more'' WHERE task_id = %L', task_id(31))), effect(format('UPDATE ai_tasks SET status = ''streaming'' WHERE task_id = %L', task_id(31)));
-- its run: set back, but not where another task has failed since, or where it is completed
SELECT expire(40, 40, 13), (airun_complete_task(task_id(40))).status; SELECT state(40);
SELECT expire(41, 41, 14), (airun_cancel_task(task_id(41))).status; SELECT state(41);
SELECT start(42, 43, 15); SELECT (airun_fail_task(task_id(43))).status, age(42), airun_expire_tasks(), (airun_complete_task(task_id(42))).status; SELECT state(42);
SELECT start(44, 45, 16); SELECT (airun_fail_task(task_id(45))).status, age(44), airun_expire_tasks(); UPDATE ai_tasks SET status = 'completed' WHERE task_id = task_id(44); SELECT state(44);
SELECT expire(46, 46, 17); UPDATE ai_tasks SET status = 'completed' WHERE task_id = task_id(46); SELECT state(46);
SELECT expire(47, 47, 18), (airun_set_run_status(run_id(18), 'completed')).status; SELECT (airun_complete_task(task_id(47))).status; SELECT state(47);
SELECT expire(48, 48, 19); SELECT (airun_append_message(run_id(19), say('on'))).role, (airun_fail_task(task_id(48))).status; SELECT state(48);
-- a message that was appended as its answer meanwhile is that
SELECT expire(49, 50, 20); SELECT (airun_append_message(run_id(20), say('half of it', 'assistant'), task_id => task_id(n))).role FROM generate_series(49, 50) AS n;
SELECT airun_finish_turn(task_id(49), say('half of it', 'assistant')) #>> '{run,message_count}', airun_finish_turn(task_id(50), say('half of it and all', 'assistant')) #>> '{run,message_count}'; SELECT state(49), state(50);
-- a figure that was there before
SELECT start(51, 52, 21); UPDATE ai_tasks SET tokens_input = 1000, tokens_output = 10 WHERE run_id = run_id(21); SELECT age(51), age(52); SELECT airun_expire_tasks();
SELECT state(51); SELECT with_usage(51, 'SELECT cost FROM airun_complete_task(#t, usage => #u)'), with_usage(52, 'UPDATE ai_tasks SET status = ''completed'', usage = #u WHERE task_id = #t RETURNING cost'); SELECT state(51), state(52);

--
-- A run that is deleted: what has begun in it goes on to its end
--
SELECT start(60, 66, 30); SELECT age(65), age(66), airun_delete_run(run_id(30));
SELECT with_usage(60, 'SELECT status FROM airun_complete_task(#t, usage => #u)'), with_usage(61, 'SELECT status FROM airun_cancel_task(#t, usage => #u, run_id => run_id(30))'), with_usage(62, 'SELECT status FROM airun_fail_task(#t, usage => #u)'),
	with_usage(63, 'SELECT airun_finish_turn(#t, say(''half of it, all'', ''assistant''), usage => #u) #>> ''{run,total_cost}''');
SELECT status, response_length FROM airun_update_task(task_id(64), 'half of it, and more'); SELECT status, response_length FROM airun_stream_delta(task_id(64), '!', 20); SELECT status FROM airun_heartbeat_task(task_id(65));
SELECT airun_expire_tasks(); SELECT n, state(n) FROM generate_series(60, 66) AS n;
SELECT with_usage(66, 'SELECT status FROM airun_complete_task(#t, usage => #u)'), with_usage(65, 'UPDATE airun.tasks SET status = ''completed'', usage = #u WHERE task_id = #t');
-- again, no second effect; and it is hidden still
SELECT with_usage(60, 'SELECT status FROM airun_complete_task(#t, usage => #u)'), with_usage(63, 'SELECT airun_finish_turn(#t, say(''half of it, all'', ''assistant''), usage => #u) #>> ''{run,total_cost}''');
SELECT count(*), attempt(format('SELECT airun_stream_read(%L)', task_id(64))), attempt('SELECT airun_get_run(run_id(30))'), attempt('SELECT airun_append_message(run_id(30), say(''x''))'), attempt('SELECT airun_create_task(run_id(30))'),
	attempt(format('SELECT airun_start_turn(run_id(30), task_id => %L)', task_id(60))) FROM ai_tasks WHERE run_id = run_id(30);
-- what has no price is reported
SELECT (airun_create_task(run_id(10), task_id(67), model_id => 'late-2')).status, airun_delete_run(run_id(10)), (airun_complete_task(task_id(67), tokens_input => 5)).status;
SELECT provider, tasks, tokens FROM ai_unpriced_models WHERE model_id = 'late-2';
-- restored, all is there
SELECT airun_restore_run(run_id(30)), airun_restore_run(run_id(10)); SELECT state(64); SELECT count(*), count(*) FILTER (WHERE completed_at IS NOT NULL) FROM ai_tasks WHERE run_id = run_id(30);
-- what is purged is gone, with what had not ended
SELECT airun_delete_run(run_id(30)), airun_purge_runs(now() + interval '1 day') > 0, attempt(format('SELECT airun_complete_task(%L)', task_id(64))); SELECT count(*) FROM airun.task_chunks WHERE run_id = run_id(30);

--
-- Saves that come late
--
SELECT start(70, 72, 40, 'all of it');
SELECT (airun_complete_task(task_id(70))).status, airun_finish_turn(task_id(71)) IS NOT NULL, (airun_complete_task(task_id(72), response_data => '{"d": 1}')).status;
SELECT n, effect(format('UPDATE ai_tasks SET response_text = ''all'' WHERE task_id = %L RETURNING response_text', task_id(n))), effect(format('UPDATE airun.tasks SET response_text = ''all of'' WHERE task_id = %L', task_id(n))),
	effect(format('UPDATE ai_tasks SET response_text = ''all'', response_data = ''{"d": 0}'', status = ''streaming'' WHERE task_id = %L RETURNING status', task_id(n))),
	effect(format('UPDATE ai_tasks SET response_text = ''all of it'' WHERE task_id = %L', task_id(n))), effect(format('UPDATE airun.tasks SET response_text = ''all of it'' WHERE task_id = %L', task_id(n))),
	effect(format('UPDATE ai_tasks SET response_text = '''' WHERE task_id = %L', task_id(n))), effect(format('SELECT status FROM airun_update_task(%L, ''all'')', task_id(n))),
	effect(format('UPDATE ai_tasks SET response_text = ''all of it, and more'' WHERE task_id = %L', task_id(n))), state(n)
FROM generate_series(70, 72) AS n;
-- with what it lacks, that is taken
SELECT with_usage(70, 'UPDATE ai_tasks SET response_text = ''all'', usage = #u WHERE task_id = #t RETURNING response_text'), state(70);
-- with another end it is refused
SELECT effect(format('UPDATE ai_tasks SET response_text = ''all'', status = ''cancelled'' WHERE task_id = %L', task_id(70))), effect(format('UPDATE ai_tasks SET status = ''streaming'' WHERE task_id = %L', task_id(70)));

--
-- An API role: its own alone
--
SELECT start(80, 81, 50); SELECT (airun_cancel_task(task_id(80))).status;
CREATE ROLE regress_airun_late;
SELECT airun_grant('regress_airun_late');
GRANT USAGE ON SCHEMA late_test, helpers TO regress_airun_late;
SET ROLE regress_airun_late;
SELECT with_usage(80, 'SELECT cost FROM airun_cancel_task(#t, usage => #u)'), airun_delete_run(run_id(50)), with_usage(81, 'UPDATE airun.tasks SET status = ''cancelled'', usage = #u WHERE task_id = #t');
SELECT state(81);
SET airun.user_id = 'somebody else';
SELECT attempt(format('SELECT airun_cancel_task(%L)', task_id(81))), attempt(format('SELECT airun_cancel_task(%L, run_id => run_id(50))', task_id(81))), attempt(format('SELECT airun_update_task(%L, ''x'')', task_id(81))),
	attempt(format('SELECT airun_heartbeat_task(%L)', task_id(81))), attempt(format('UPDATE airun.tasks SET response_data = ''{}'' WHERE task_id = %L', task_id(81)));
RESET airun.user_id;
SELECT attempt(format('SELECT airun_cancel_task(%L)', task_id(81)));
RESET ROLE;

--
-- A whole answer that comes late has its usage counted by every door alike
--
CREATE TABLE answer AS SELECT '{"model": "late-1", "choices": [{"message": {"role": "assistant", "content": "hi"}}], "usage": {"prompt_tokens": 1000, "completion_tokens": 10}}'::jsonb AS body;
SELECT start(90, 95, 51);
SELECT (airun_complete_task(task_id(90), 'hi')).status, (airun_complete_task(task_id(91), 'hi')).status, (airun_fail_task(task_id(92))).status, (airun_cancel_task(task_id(93))).status, airun_finish_turn(task_id(94), response_text => 'hi') IS NOT NULL;
SELECT tokens_input, tokens_output, tokens_total, cost, price_status FROM airun_complete_task(task_id(90), response_data => (SELECT body FROM answer));
UPDATE ai_tasks SET response_data = (SELECT body FROM answer) WHERE task_id = task_id(91);
SELECT tokens_input, tokens_output, tokens_total, cost, price_status FROM airun_fail_task(task_id(92), response_data => (SELECT body FROM answer));
SELECT tokens_input, tokens_output, tokens_total, cost, price_status FROM airun_cancel_task(task_id(93), response_data => (SELECT body FROM answer));
SELECT airun_finish_turn(task_id(94), response_text => 'hi', response_data => (SELECT body FROM answer)) IS NOT NULL;
SELECT task_id = task_id(91), tokens_input, tokens_output, tokens_total, cost, price_status FROM ai_tasks WHERE task_id IN (task_id(91), task_id(94)) ORDER BY task_id;
SELECT count(*), sum(tokens_total) = (SELECT total_tokens FROM airun.runs WHERE id = run_id(51)), sum(cost) = (SELECT total_cost FROM airun.runs WHERE id = run_id(51)) FROM airun.tasks WHERE run_id = run_id(51);

--
-- What comes late is counted as if it had come in time, by every door alike
--
-- the figures of a task or a call, with its doubts, and what the ledger has
CREATE FUNCTION figures(this uuid) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	SELECT concat_ws(' | ', concat(coalesce(f.tokens_input::text, '?'), '+', coalesce(f.tokens_output::text, '?'), '=', coalesce(f.tokens_total::text, '?')), trim_scale(f.cost), f.price_status,
		f.cost_details ->> 'doubts', 'ledger ' || (SELECT concat_ws(' ', concat(sum(e.tokens_input), '+', sum(e.tokens_output)), trim_scale(sum(e.cost))) FROM (
			SELECT tokens_input, tokens_output, cost FROM airun.usage_tail WHERE charge_id = this UNION ALL
			SELECT tokens_input, tokens_output, cost FROM airun.usage_ledger WHERE charge_id = this) AS e))
	FROM (SELECT tokens_input, tokens_output, tokens_total, cost, price_status, cost_details FROM airun.tasks WHERE task_id = this UNION ALL
		SELECT tokens_input, tokens_output, tokens_total, cost, price_status, cost_details FROM airun.calls WHERE id = this) AS f
$$;
-- a task is ended, and ended again: its figures, and how those differ that are stated at once, again,
-- by the view, by the table, and of a call
CREATE FUNCTION in_two(first text, late text, is_once boolean DEFAULT true) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	ids uuid[] := ARRAY(SELECT (airun_create_task(run_id(61), provider => 'openai', model_id => 'late-1')).task_id FROM generate_series(1, 4));
	is_call boolean := first || late !~ 'response_data';
	call uuid;
	result text;
	again text;
BEGIN
	result := attempt(format('SELECT status FROM airun_cancel_task(%L%s)', ids[1], ', ' || nullif(first, '')));
	result := attempt(format('SELECT status FROM airun_cancel_task(%L, %s)', ids[1], late));
	result := concat_ws(' | ', figures(ids[1]), regexp_replace(nullif(result, 'cancelled'), ids[1]::text, '#'));
	again := replace(effect(format('SELECT status FROM airun_cancel_task(%L, %s)', ids[1], late)), ids[1]::text, '#');
	result := concat(result, E'\n again: ' || nullif(again, 'cancelled (no change)'));
	PERFORM attempt(format('SELECT airun_cancel_task(%L%s, %s)', ids[2], ', ' || nullif(first, ''), late)) WHERE is_once;
	PERFORM attempt(format('UPDATE ai_tasks SET status = ''cancelled''%s WHERE task_id = %L', ', ' || nullif(replace(first, '=>', '='), ''), ids[3]));
	PERFORM attempt(format('UPDATE ai_tasks SET %s WHERE task_id = %L', replace(late, '=>', '='), ids[3]));
	PERFORM attempt(format('UPDATE airun.tasks SET status = ''cancelled''%s WHERE task_id = %L', ', ' || nullif(replace(first, '=>', '='), ''), ids[4]));
	PERFORM attempt(format('UPDATE airun.tasks SET %s WHERE task_id = %L', replace(late, '=>', '='), ids[4]));
	IF is_call THEN
		call := (airun_start_call(provider => 'openai', model_id => 'late-1')).id;
		PERFORM attempt(format('SELECT airun_end_call(%L, status => ''cancelled''%s)', call, ', ' || nullif(first, '')));
		PERFORM attempt(format('SELECT airun_end_call(%L, status => ''cancelled'', %s)', call, late));
		PERFORM attempt(format('SELECT airun_end_call(%L, status => ''cancelled'', %s)', call, late));
	END IF;
	RETURN concat(result, E'\n at once: ' || CASE WHEN is_once THEN nullif(figures(ids[2]), figures(ids[1])) END, E'\n view: ' || nullif(figures(ids[3]), figures(ids[1])),
		E'\n table: ' || nullif(figures(ids[4]), figures(ids[1])), E'\n call: ' || CASE WHEN is_call THEN nullif(figures(call), figures(ids[1])) END);
END$$;
SELECT start(161, 161, 61);
-- the usage in an answer goes before what the client has counted
SELECT in_two('tokens_input => 100000', 'response_data => ''{"usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}}''');
SELECT in_two('tokens_output => 0', 'response_data => ''{"usage": {"prompt_tokens": 11, "completion_tokens": 2}}''');
SELECT in_two('tokens_input => 12', 'response_data => ''{"usage": {"completion_tokens": 9}}''');
SELECT in_two('tokens_total => 50', 'response_data => ''{"usage": {"prompt_tokens": 11, "completion_tokens": 2}}''');
-- also where a usage stands that says nothing; but one that counts goes before the answer's, and stands
SELECT in_two('usage => ''{"odd": 1}'', tokens_input => 12', 'response_data => ''{"usage": {"prompt_tokens": 11, "completion_tokens": 2}}''');
SELECT in_two('usage => ''{"completion_tokens": 9}''', 'response_data => ''{"usage": {"prompt_tokens": 11, "completion_tokens": 2}}''');
SELECT in_two('response_data => ''{"usage": {"prompt_tokens": 11, "completion_tokens": 2}}''', 'usage => ''{"prompt_tokens": 12, "completion_tokens": 3}''');
-- an answer that comes after another one is left aside, with its usage
SELECT start(162, 162, 62); SELECT (airun_cancel_task(task_id(162), response_data => '{"d": 1}')).status, effect(format('SELECT status FROM airun_cancel_task(%L, response_data => ''{"model": "late-2", "usage": {"prompt_tokens": 11}}'')', task_id(162)));
-- a total that follows from the one side that is known is no stated one
SELECT in_two('tokens_input => 100', 'tokens_input => 100, tokens_output => 7, tokens_total => 107', false);
SELECT in_two('tokens_output => 7', 'tokens_input => 100, tokens_total => 150');
SELECT in_two('tokens_input => 100', 'tokens_total => 150');
SELECT in_two('tokens_total => 50', 'usage => ''{"odd": 1}'', tokens_output => 7');
-- one that is more than that has been, and it is no less for what comes
SELECT in_two('tokens_input => 100, tokens_total => 150', 'tokens_output => 7');
SELECT in_two('tokens_input => 100, tokens_total => 150', 'tokens_output => 7, tokens_total => 107', false);
SELECT in_two('tokens_input => 100, tokens_output => 7', 'tokens_total => 108', false);
-- tokens that are stated beside a usage are not compared, the first time nor again
SELECT in_two('tokens_input => 12', 'usage => ''{"completion_tokens": 9}'', tokens_input => 100', false);
SELECT in_two('tokens_input => 12', 'response_data => ''{"usage": {"completion_tokens": 9}}'', tokens_input => 100', false);
SELECT in_two('tokens_output => 7', 'usage => ''{"odd": 1}'', tokens_output => 0, tokens_total => 105', false);
SELECT in_two('tokens_total => 50', 'usage => ''{"odd": 1}'', tokens_total => 105', false);
SELECT in_two('tokens_input => 12, tokens_output => 3', 'usage => ''{"total_tokens": 50}'', tokens_output => 0', false);
SELECT in_two('usage => ''{"completion_tokens": 9}'', tokens_input => 12', 'usage => ''{"completion_tokens": 9}'', tokens_input => 100', false);
SELECT in_two('usage => ''{"completion_tokens": 9}'', tokens_input => 12', 'tokens_input => 100', false);
-- a total alone says nothing of either side where the client counts any, unless nothing came out
SELECT in_two('', 'usage => ''{"total_tokens": 50000}'', tokens_output => 7');
SELECT in_two('tokens_output => 7', 'usage => ''{"total_tokens": 50000}''');
SELECT in_two('usage => ''{"total_tokens": 50000}''', 'tokens_output => 7');
SELECT in_two('usage => ''{"total_tokens": 50000}''', 'tokens_output => 0');
SELECT in_two('usage => ''{"total_tokens": 50000}'', tokens_input => 12', 'tokens_output => 7');
SELECT in_two('tokens_input => 40000', 'usage => ''{"total_tokens": 50000}'', tokens_output => 7');
SELECT in_two('tokens_input => 50000', 'usage => ''{"total_tokens": 40000}'', tokens_output => 7');
SELECT in_two('', 'response_data => ''[{"usage": {"total_tokens": 50000}}]'', tokens_output => 7');
-- where the total has been taken for the input, and both are counted late
SELECT effect(format('SELECT status FROM airun_cancel_task(%L, usage => ''{"total_tokens": 50000}'')', task_id(161))), effect(format('SELECT status FROM airun_cancel_task(%L, tokens_input => 40000, tokens_output => 7)', task_id(161))), figures(task_id(161)),
	effect(format('SELECT status FROM airun_cancel_task(%L, tokens_input => 40000, tokens_output => 7)', task_id(161)));
-- so they are charged again, and by another price with the same doubts
CREATE FUNCTION doubts() RETURNS text LANGUAGE sql AS $$
	SELECT concat(count(*), ' ', md5(string_agg(concat_ws(' ', f.id, f.price_status, f.cost_details -> 'doubts'), ' ' ORDER BY f.id))) FROM (
		SELECT task_id AS id, price_status, cost_details FROM airun.tasks WHERE run_id = run_id(61) UNION ALL SELECT id, price_status, cost_details FROM airun.calls WHERE model_id = 'late-1') AS f
$$;
SELECT sum(changed) FROM airun_reprice(model_id => 'late-1', all_tasks => true);
BEGIN;
SELECT doubts() AS before, airun_set_price('late-1', '{"input": 4, "output": 20}', provider => 'openai', per_tokens => 1000000, effective_from => '2020-01-01') IS NOT NULL AS is_set \gset
SELECT sum(changed) > 100 AS many, doubts() = :'before' FROM airun_reprice(model_id => 'late-1', all_tasks => true);
ROLLBACK;
SELECT * FROM airun_check(run_id(61));

--
-- A cost that is known stays where what comes late leaves none
--
SELECT start(951, 954, 60, NULL);
SELECT count(airun_complete_task(task_id(n), usage => '{"prompt_tokens": 1000, "completion_tokens": 100}', cost => CASE WHEN n = 953 THEN -1 END)) FROM generate_series(951, 953) AS n;
SELECT effect(format('SELECT (airun_complete_task(%L, served_model => ''late-unknown'')).price_status', task_id(951))), effect(format('UPDATE ai_tasks SET served_model = ''late-unknown'' WHERE task_id = %L', task_id(952))),
	effect(format('SELECT (airun_complete_task(%L, service_tier => ''priority'')).price_status', task_id(953)));
-- what had no cost has none by that
SELECT effect(format('SELECT (airun_complete_task(%L, served_model => ''late-unknown'')).price_status', task_id(954))), effect(format('SELECT (airun_complete_task(%L, usage => ''{"prompt_tokens": 1000, "completion_tokens": 100}'')).price_status', task_id(954)));
SELECT n, state(n), (SELECT jsonb_build_array(t.cost_details -> 'doubts', t.cost_details -> 'left_out', t.cost_details -> 'buckets' -> 'input' -> 'tokens') FROM ai_tasks AS t WHERE t.task_id = task_id(n)) FROM generate_series(951, 954) AS n;
BEGIN;
SELECT price_status, cost FROM airun_meter(task_id(951), provider => 'openai', model_id => 'late-1', usage => '{"prompt_tokens": 1000, "completion_tokens": 100}');
SELECT price_status, cost, cost_details -> 'doubts' FROM airun_meter(task_id(951), provider => 'openai', model_id => 'late-1', served_model => 'late-unknown');
ROLLBACK;
-- until there is a price for it
SELECT airun_set_price('late-unknown', '{"input": 4, "output": 20}', provider => 'openai', per_tokens => 1000000, effective_from => '2020-01-01') IS NOT NULL;
SELECT sum(changed) > 0 FROM airun_reprice(all_tasks => true);
SELECT n, state(n), (SELECT t.cost_details -> 'doubts' FROM ai_tasks AS t WHERE t.task_id = task_id(n)) FROM generate_series(951, 954) AS n;

DELETE FROM airun.runs WHERE id BETWEEN run_id(1) AND run_id(62);
DELETE FROM airun.calls WHERE model_id = 'late-1';
DELETE FROM airun.prices WHERE model IN ('late-1', 'late-unknown');
SELECT count(*) FROM airun.task_chunks;
SELECT * FROM airun_check();
DROP OWNED BY regress_airun_late;
DROP ROLE regress_airun_late;
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA late_test CASCADE;
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET client_min_messages;
