--
-- Budgets: what a start holds, by whichever door; what its end is charged; what is
-- refused, and how.  The numbers are those of facts/reports-and-budgets.md, F.2.
--
SET client_min_messages = error;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA budget_test;
SET search_path = budget_test, helpers, public;
SET airun.user_id = 'budget test';
SET helpers.ids = 'b0d9e700-0000-4000-8000';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on
SELECT airun_set_price('budget-1', '{"input": 0.001, "output": 0.002}', effective_from => '-infinity') IS NOT NULL,
	airun_set_price('budget-free', '{"input": 0, "output": 0}', effective_from => '-infinity') IS NOT NULL;
SELECT count(airun_create_run(CASE n WHEN 3 THEN 'action' ELSE 'chat' END, id => run_id(n), tags => ARRAY['red', 'r' || n], metadata => '{"team": "a"}'))
FROM generate_series(1, 4) AS n;

-- the counters of a budget, all slots together: what they hold and have been charged; and what the check says
CREATE FUNCTION stand(budget text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(x, '; ' ORDER BY x) FROM (SELECT concat_ws(' ', CASE p.value WHEN airun_user_id()::text THEN 'me' ELSE p.value END, 'held', trim_scale(sum(p.held)), 'spent', trim_scale(sum(p.spent)),
		'estimated ' || nullif(trim_scale(sum(p.estimated)), 0))
	FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id
	WHERE b.name = budget AND b.valid_to IS NULL GROUP BY b.id, p.value, p.period_key
	UNION ALL SELECT 'PROBLEM ' || c::text FROM airun_check_budgets() AS c) AS s (x)
$$;
-- the task n of run 1 starts, with what is said of it; it ends
CREATE FUNCTION begin_task(n int, more text DEFAULT '', run int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
	SELECT attempt(format('SELECT status FROM airun_create_task(%L, %L, %s)', run_id(run), task_id(n),
		coalesce(nullif(more, ''), $m$model_id => 'budget-1', request_data => '{"max_tokens": 50}'$m$)))
$$;
CREATE FUNCTION end_task(n int, tokens int) RETURNS text LANGUAGE sql AS $$
	SELECT attempt(format('SELECT status FROM airun_complete_task(%L, ''x'', usage => ''{"prompt_tokens": 0, "completion_tokens": %s}'')', task_id(n), tokens))
$$;
-- DETAIL and HINT of a refusal
CREATE FUNCTION refusal(command text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE command;
	RETURN NEXT 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN NEXT SQLSTATE || ' ' || SQLERRM;
	RETURN NEXT jsonb_pretty(detail::jsonb - 'resets_at');
	RETURN NEXT regexp_replace(hint, '\d{4}-\d\d-\d\dT[0-9:+]*', 'TIME');
END $$;

--
-- No budget: no hold, and no row
--
SELECT begin_task(1), (SELECT holds FROM airun.tasks WHERE task_id = task_id(1)), (SELECT count(*) FROM airun.budget_periods);

--
-- One budget for all
--
-- what is open when it begins counts at its end (B20)
SELECT airun_set_budget('all', 0.5, count_from => 'now') > 0;
SELECT end_task(1, 20), stand('all');
SELECT begin_task(2), stand('all');
SELECT h - 0 FROM airun.tasks, jsonb_array_elements(holds::jsonb) AS h WHERE task_id = task_id(2) AND h ->> 0 = (SELECT max(id)::text FROM airun.budget_periods);
-- B7: the same start again is the same task, and no second hold
SELECT begin_task(2), stand('all');
-- B3: what is left of a hold is free at once; B8: the same end again charges nothing more
SELECT end_task(2, 10), stand('all');
SELECT end_task(2, 10), stand('all');
-- a correction that comes late
SELECT attempt(format('SELECT cost FROM airun_complete_task(%L, provider_cost => 7)', task_id(2))), stand('all');
-- B4: a hold that meets the limit exactly is let in, one above the whole limit is not
SELECT begin_task(3, $$model_id => 'budget-1', request_data => '{"max_tokens": 220}'$$), stand('all');
SELECT refusal(format('SELECT airun_create_task(%L, %L, model_id => ''budget-1'', request_data => ''{"max_tokens": 220}'')', run_id(1), task_id(4)));
SELECT refusal(format('SELECT airun_create_task(%L, %L, model_id => ''budget-1'', request_data => ''{"max_tokens": 300, "messages": "a text of words"}'')', run_id(1), task_id(4)));
SELECT stand('all'), (SELECT count(*) FROM airun.tasks WHERE task_id = task_id(4));
-- B2: more than was held is charged in full, and the next is refused
SELECT end_task(3, 250), stand('all');
SELECT refusal(format('SELECT airun_create_task(%L, %L, model_id => ''budget-1'')', run_id(1), task_id(4)));
-- B28: what costs nothing passes all the same
SELECT begin_task(4, $$model_id => 'budget-free'$$), end_task(4, 1000), stand('all');
-- B17: raised, the next passes; B16: lowered below what is spent, open ones end and new ones do not start
SELECT airun_set_budget('all', 2) > 0, begin_task(5), airun_set_budget('all', 0.1) > 0, begin_task(6), end_task(5, 5), stand('all');
-- B21: an amount for this period alone
SELECT airun_credit_budget('all', 0.6), begin_task(6), airun_credit_budget('all', -0.6), end_task(6, 1), begin_task(7), stand('all');
SELECT amount, (SELECT sum(credit) FROM airun.budget_periods AS p WHERE p.budget_id = b.id) FROM airun.budgets AS b WHERE name = 'all';

--
-- Other doors
--
SELECT airun_set_budget('all', 10) > 0;
-- B42: a plain INSERT, the view, a turn, a call
SELECT attempt(format('INSERT INTO airun.tasks (run_id, task_id, model_id, request_data) VALUES (%L, %L, ''budget-1'', ''{"max_tokens": 100}'')', run_id(1), task_id(8))), stand('all');
SELECT attempt(format('INSERT INTO ai_tasks (run_id, task_id, model_id, request_data) VALUES (%L, %L, ''budget-1'', ''{"max_tokens": 100}'')', run_id(1), task_id(9))), stand('all');
SELECT attempt(format('SELECT airun_start_turn(%L, ''{"role": "user", "content": "four letters a token"}'', %L, model_id => ''budget-1'', request_data => ''{"max_tokens": 100, "messages": [{"role": "user", "content": "four letters a token"}]}'') IS NOT NULL',
	run_id(1), task_id(10))), stand('all');
SELECT attempt(format('SELECT status FROM airun_start_call(%L, model_id => ''budget-1'')', task_id(11))), stand('all');
-- where it does not fit, all of them refuse, and a turn leaves no message (B52)
SELECT airun_set_budget('all', 0.1) > 0;
SELECT attempt(c) FROM unnest(ARRAY[
	format('INSERT INTO airun.tasks (run_id, model_id) VALUES (%L, ''budget-1'')', run_id(1)),
	format('INSERT INTO ai_tasks (run_id, model_id) VALUES (%L, ''budget-1'')', run_id(1)),
	format('SELECT airun_create_task(%L, model_id => ''budget-1'')', run_id(1)),
	format('SELECT airun_start_turn(%L, ''{"role": "user", "content": "not stored"}'', model_id => ''budget-1'')', run_id(1)),
	format('SELECT airun_start_turn(run => ''{"id": "%s"}'', model_id => ''budget-1'')', run_id(9)),
	'SELECT airun_start_call(model_id => ''budget-1'')']) AS c;
SELECT count(*) FROM ai_messages WHERE run_id = run_id(1) AND message::text ~ 'not stored';
SELECT count(*) FROM ai_runs WHERE id = run_id(9);
-- B7: a start that is repeated is not refused
SELECT attempt(format('SELECT status FROM airun_start_call(%L, model_id => ''budget-1'')', task_id(11))),
	attempt(format('SELECT airun_start_turn(task_id => %L) IS NOT NULL', task_id(10)));
-- and all of them are charged by whichever end
SELECT stand('all');
SELECT attempt(format('UPDATE airun.tasks SET status = ''completed'', usage = ''{"prompt_tokens": 1, "completion_tokens": 1}'' WHERE task_id = %L', task_id(8))), stand('all');
SELECT attempt(format('UPDATE ai_tasks SET status = ''completed'', usage = ''{"prompt_tokens": 1, "completion_tokens": 1}'' WHERE task_id IN (%L, %L)', task_id(9), task_id(10))), stand('all');
SELECT attempt(format('SELECT status FROM airun_end_call(%L, usage => ''{"prompt_tokens": 1, "completion_tokens": 1}'')', task_id(11))), stand('all');
-- U3: what has been paid for is always taken, and charged: a call, and a task that is inserted with its end
SELECT attempt(format('SELECT cost FROM airun_meter(%L, model_id => ''budget-1'', usage => ''{"prompt_tokens": 0, "completion_tokens": 100}'')', task_id(12))), stand('all');
SELECT attempt(format('SELECT cost FROM airun_meter(%L, model_id => ''budget-1'', usage => ''{"prompt_tokens": 0, "completion_tokens": 100}'')', task_id(12))), stand('all');
SELECT attempt(format('INSERT INTO airun.tasks (run_id, task_id, model_id, status, usage) VALUES (%L, %L, ''budget-1'', ''completed'', ''{"prompt_tokens": 0, "completion_tokens": 100}'')', run_id(1), task_id(13))), stand('all');
-- what happened before and is brought in counts in no budget
SELECT attempt(format('INSERT INTO airun.tasks (run_id, task_id, model_id, created_at) VALUES (%L, %L, ''budget-1'', now() - interval ''1 minute'')', run_id(1), task_id(14))),
	(SELECT holds FROM airun.tasks WHERE task_id = task_id(14));
-- nobody sets what a task holds (B45)
SELECT attempt(format('UPDATE airun.tasks SET holds = NULL WHERE task_id = %L', task_id(13))),
	attempt(format('INSERT INTO airun.tasks (run_id, model_id, holds) VALUES (%L, ''budget-1'', ''[]'')', run_id(1)));
-- B43: a role for which it is switched off
SET airun.budget_enforce = off;
SELECT begin_task(15), (SELECT holds FROM airun.tasks WHERE task_id = task_id(15));
RESET airun.budget_enforce;

--
-- What is undone holds nothing (B5, B53)
--
SELECT airun_set_budget('all', 10) > 0, stand('all');
BEGIN;
SELECT begin_task(16);
SAVEPOINT s;
SELECT begin_task(17), stand('all');
ROLLBACK TO s;
SELECT begin_task(18, $$model_id => 'budget-1', request_data => '{"max_tokens": 4000, "n": 100}'$$), stand('all');
COMMIT;
SELECT stand('all');
BEGIN; SELECT end_task(16, 1); ROLLBACK;
SELECT stand('all'), end_task(16, 1), stand('all');

--
-- How tasks end
--
SELECT airun_set_budget('all', NULL) > 0, airun_set_budget('all', 10, count_from => 'now') > 0;
-- B36: cancelled with a part of its text and without a usage it is estimated, until the usage comes
SELECT begin_task(20), attempt(format('SELECT status FROM airun_cancel_task(%L, ''sixteen letters.'')', task_id(20))), stand('all');
SELECT attempt(format('SELECT cost FROM airun_cancel_task(%L, usage => ''{"prompt_tokens": 10, "completion_tokens": 7}'')', task_id(20))), stand('all');
-- B37: zero is zero; B38: an error before anything was sent costs nothing
SELECT begin_task(21), end_task(21, 0), stand('all');
SELECT begin_task(22), attempt(format('SELECT status FROM airun_fail_task(%L, ''{"message": "no"}'')', task_id(22))), stand('all');
-- completed without a usage; the request's words are estimated, too
SELECT begin_task(23, $$model_id => 'budget-1', request_data => '{"max_tokens": 50, "messages": "twelve words"}'$$),
	attempt(format('SELECT status FROM airun_complete_task(%L, ''twelve words'')', task_id(23))), stand('all');
-- B6, B9: an expiry releases, and gives way to the true end, in the budget of the start
SELECT begin_task(24, $$model_id => 'budget-1', timeout => '1 us'$$), stand('all');
SELECT airun_expire_tasks() > 0, stand('all');
SELECT end_task(24, 3), stand('all');
-- a run that is deleted; a purge releases what is open (B54), and leaves what is spent
SELECT begin_task(25, '', 2), begin_task(26, '', 2), end_task(26, 4), airun_delete_run(run_id(2)), stand('all');
SELECT airun_purge_runs('infinity') > 0, stand('all');
-- calls that are deleted likewise
SELECT attempt(format('SELECT status FROM airun_start_call(%L, model_id => ''budget-1'')', task_id(27))),
	attempt(format('SELECT cost FROM airun_meter(%L, model_id => ''budget-1'', tokens_output => 1, tokens_input => 0)', task_id(28))), stand('all');
SELECT attempt(format('DELETE FROM airun.calls WHERE id IN (%L, %L)', task_id(27), task_id(28))), stand('all');
-- B30: the price changes in between: held by the old, charged by the task's cost; a reprice charges again
SELECT begin_task(29, $$model_id => 'budget-1', request_data => '{"max_tokens": 1}'$$), stand('all');
SELECT airun_set_price('budget-1', '{"input": 0.001, "output": 1}', effective_from => now() - interval '1 hour') IS NOT NULL;
SELECT end_task(29, 1), stand('all');
SELECT airun_set_price('budget-1', '{"input": 0.001, "output": 0.002}', effective_from => now() - interval '1 hour') IS NOT NULL;
SELECT count(*) > 0 FROM airun_reprice(model_id => 'budget-1', all_tasks => true);
SELECT stand('all');
-- B11: what starts in a long transaction was created by the clock, and is of the period of that time
BEGIN; SELECT pg_sleep(0.01) IS NULL, status, created_at > now() FROM airun_create_task(run_id(1), task_id(32), model_id => 'budget-free'); COMMIT;
SELECT end_task(32, 0), stand('all');
-- B29: no price gives anything back
SELECT attempt('SELECT airun_set_price(''budget-1'', ''{"input": -1}'')');
-- B31: a dearer rate that the input reaches is held for; what turns out to have been cached costs less
SELECT airun_set_price('budget-tier', '{"input": 0.001, "cache_read": 0.0001, "output": 0.002}', context_tiers => '[{"above": 10, "rates": {"input": 0.002, "cache_read": 0.0002, "output": 0.004}}]', effective_from => '-infinity') IS NOT NULL;
SELECT begin_task(33, $$model_id => 'budget-tier', request_data => '{"max_tokens": 1, "messages": "twenty tokens are forty letters or so: and these are twenty"}'$$);
SELECT split_part(holds, ',', 2) AS held FROM airun.tasks WHERE task_id = task_id(33);
SELECT attempt(format('SELECT cost FROM airun_complete_task(%L, ''x'', usage => ''{"prompt_tokens": 20, "prompt_tokens_details": {"cached_tokens": 18}, "completion_tokens": 1}'')', task_id(33)));
-- B18: ended with open holds: they end in it, and nothing more starts in it
SELECT begin_task(30), airun_set_budget('all', NULL) > 0, begin_task(31), end_task(30, 5), end_task(31, 5);
SELECT trim_scale(sum(held)), trim_scale(sum(spent)) FROM airun.budget_periods WHERE budget_id = (SELECT max(id) FROM airun.budgets);
SELECT attempt('SELECT airun_set_budget(''all'', NULL)');

--
-- Models without a price (B27)
--
SELECT airun_set_budget('all', 1, count_from => 'now') > 0;
SELECT refusal(format('SELECT airun_create_task(%L, %L, model_id => ''budget-none'')', run_id(1), task_id(40)));
SELECT refusal(format('SELECT airun_create_task(%L, %L)', run_id(1), task_id(40)));
-- B51: a thousand names leave no counter
SELECT airun_set_budget('each model', 1, scope => 'model', measure => 'calls') > 0;
SELECT attempt(format('SELECT airun_create_task(%L, model_id => ''made up %s'')', run_id(1), n)) ~ 'PT402', count(*) FROM generate_series(1, 1000) AS n GROUP BY 1;
SELECT count(*) FROM airun.budget_periods WHERE value ~ 'made up';
SELECT airun_set_budget('each model', NULL) > 0, airun_set_budget('all', 1, unpriced => 'allow') > 0;
SELECT begin_task(40, $$model_id => 'budget-none'$$), end_task(40, 10), stand('all');
SELECT airun_set_price('budget-none', '{"input": 0.001, "output": 0.01}', effective_from => '-infinity') IS NOT NULL;
SELECT count(*) FROM airun_reprice(model_id => 'budget-none');
SELECT stand('all');
SELECT attempt('SELECT airun_set_budget(''all'', 1, unpriced => ''assume'')'), airun_set_budget('all', 1, unpriced => 'assume', assumed_rate => 0.001) > 0;
SELECT begin_task(41, $$model_id => 'budget-other', request_data => '{"max_tokens": 100}'$$), stand('all');
SELECT end_task(41, 10), stand('all');
-- a tool has no price, as a rule: it holds nothing, and is charged what it says
SELECT attempt(format('SELECT status FROM airun_start_call(%L, kind => ''tool'', service => ''search'')', task_id(42))), stand('all');
SELECT attempt(format('SELECT cost FROM airun_end_call(%L, cost => 0.25)', task_id(42))), stand('all');
SELECT airun_set_budget('all', NULL) > 0;

--
-- Tokens and calls
--
SELECT airun_set_budget('tokens', 2000, measure => 'tokens', count_from => 'now') > 0, airun_set_budget('calls', 3, measure => 'calls', count_from => 'now', warn_at => '{}') > 0;
-- B32, B33: what a request allows, or the setting where it says nothing that is a number; for each answer
SET airun.max_hold_output = 400; SET airun.max_hold_file = 1000;
SELECT airun_set_budget('calls', 1000, mode => 'soft') > 0;
SELECT r, begin_task(50, format($$model_id => 'm', request_data => %L$$, r)), stand('tokens'), attempt(format('DELETE FROM airun.tasks WHERE task_id = %L', task_id(50))) FROM unnest(ARRAY['{}', '{"max_tokens": 7}', '{"max_tokens": 0}',
	'{"max_tokens": -5}', '{"max_tokens": "7"}', '{"max_tokens": 1e300}', '{"max_tokens": 0.5}', '{"max_completion_tokens": 8, "n": 3}', '{"generationConfig": {"maxOutputTokens": 9, "candidateCount": 2}}',
	'{"max_tokens": 1, "messages": [{"role": "user", "content": "sixteen letters."}, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]}', '"text"']) AS r;
SELECT refusal(format('SELECT airun_create_task(%L, %L, model_id => ''m'', request_data => ''{"n": 6}'')', run_id(1), task_id(51)));
-- the names that providers have for it; thinking is a part of the limit, unless it is as much alone; of several answers the best one
CREATE FUNCTION held(request text) RETURNS text LANGUAGE sql AS
$$SELECT trim_scale(needed)::text FROM airun_budget_check('m', request_data => request::jsonb) WHERE budget = 'tokens'$$;
SELECT r, held(r) FROM unnest(ARRAY['{"max_output_tokens": 20, "reasoning": {"effort": "high"}}', '{"max_tokens": 50, "thinking": {"type": "enabled", "budget_tokens": 30}}', '{"max_tokens": 50, "thinking": {"budget_tokens": 60}}',
	'{"max_tokens": 50, "thinking_budget": 1000}', '{"thinking_budget": 10}', '{"generationConfig": {"maxOutputTokens": 30, "thinkingConfig": {"thinkingBudget": -1}, "candidateCount": 2}}',
	'{"generation_config": {"max_output_tokens": 30, "thinking_config": {"thinking_budget": 40}}}', '{"generationConfig": 7, "config": {"maxOutputTokens": 11}}', '{"inferenceConfig": {"maxTokens": 12}}', '{"options": {"num_predict": -1}}',
	'{"max_tokens": 3, "n": 2, "best_of": 5}', '{"max_tokens": 2, "n": 1e9}']) AS r;
-- images and files count by the setting, whether they are sent or named; words that look like it do not
SET airun.max_hold_file = 700;
SELECT r, held('{"max_tokens": 1, "x": ' || r || '}') FROM unnest(ARRAY['{"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}', '{"type": "input_image", "image_url": "https://example.com/a.png"}', '{"input_file": {"file_id": "f"}}',
	'{"source": {"type": "base64", "data": "data:image/png;base64,AAAA"}}', '{"source": {"type": "url", "url": "https://example.com/a.png"}}', '{"fileData": {"fileUri": "gs://a/b", "mimeType": "image/png"}}', '[{"image_url": ["a", "b"]}]',
	'{"url": "https://a"}', '{"properties": {"image_url": {"type": "string"}}}']) AS r;
SELECT held('{"max_tokens": 1, "x": ' || repeat('{"image_url": [', 100) || '"deep"' || repeat(']}', 100) || '}'), held(format('{"max_tokens": 1, "x": {"data": "%s"}}', repeat('A', 5000)));
RESET airun.max_hold_file;
RESET airun.max_hold_output;
-- B35: the total counts; B34: a call that failed without a usage stays counted
SELECT airun_set_budget('calls', 5, mode => 'hard') > 0, stand('calls');
SELECT begin_task(52, $$request_data => '{"max_tokens": 100}'$$), stand('tokens');
SELECT attempt(format('SELECT status FROM airun_fail_task(%L, usage => ''{"prompt_tokens": 5, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 4}}'')', task_id(52))), stand('tokens');
SELECT begin_task(53, $$request_data => '{"max_tokens": 100}'$$), attempt(format('SELECT status FROM airun_fail_task(%L)', task_id(53))), stand('tokens');
SELECT stand('calls');

SELECT attempt(format('SELECT status FROM airun_cancel_task(%L)', task_id)) FROM airun.tasks WHERE run_id = run_id(1) AND completed_at IS NULL;

--
-- B22: several at once: all must fit, and the one that does not is named
--
SELECT airun_set_budget('tokens', NULL) > 0, airun_set_budget('calls', NULL) > 0;
SELECT airun_set_budget('many', 100, measure => 'calls', count_from => 'now') > 0, airun_set_budget('few', 2, measure => 'calls', count_from => 'now') > 0;
SELECT begin_task(n, $$service => 's'$$) FROM generate_series(60, 62) AS n;
SELECT stand('many'), stand('few');
-- of several that do not fit the tightest is named, in whatever order they are: the one of which least is left, what is exhausted before what others hold, and no price before that
SELECT airun_set_budget('many', 2) > 0, airun_set_budget('few', 1) > 0, begin_task(63, $$service => 's'$$), airun_set_budget('many', 0) > 0, begin_task(63, $$service => 's'$$),
	airun_set_budget('many', 2) > 0, airun_set_budget('few', 0) > 0, begin_task(63, $$service => 's'$$);
SELECT budget, fits, reason, needed, remaining FROM airun_budget_check(run_id => run_id(1));
BEGIN; SELECT airun_set_budget('money', 1, count_from => 'now') > 0, begin_task(63, $$model_id => 'budget-nobody'$$); ROLLBACK;
SELECT airun_set_budget('many', 100) > 0;
-- B40: two starts in one transaction see one another
SELECT airun_set_budget('few', 4) > 0;
BEGIN; SELECT begin_task(64, $$service => 's'$$), begin_task(65, $$service => 's'$$), begin_task(66, $$service => 's'$$); COMMIT;
SELECT stand('few');
-- many rows in one statement, past the functions
UPDATE airun.tasks SET status = 'cancelled' WHERE run_id = run_id(1) AND completed_at IS NULL;
SELECT stand('many'), stand('few');
DELETE FROM airun.tasks WHERE run_id = run_id(1) AND task_id >= task_id(60);
SELECT stand('many'), stand('few');

--
-- Warnings: a row each, once
--
SELECT b.name, e.warn_at, e.amount, e.used FROM airun.budget_events AS e JOIN airun.budgets AS b ON b.id = e.budget_id WHERE b.name IN ('few', 'many') ORDER BY b.name, e.warn_at;

--
-- What is no budget
--
SELECT c, answer('SELECT airun_set_budget(' || c || ')') FROM unnest(ARRAY[$$NULL, 1$$, $$'', 1$$, $$'x', -1$$, $$'x', 'NaN'$$, $$'x', 'Infinity'$$, $$'x', 1, scope => 'nobody'$$,
	$$'x', 1, scope => 'metadata'$$, $$'x', 1, scope_key => 'k'$$, $$'x', 1, scope_value => 'v'$$, $$'x', 1, scope => 'user', scope_value => 'ann'$$, $$'x', 1, measure => 'euros'$$,
	$$'x', 1, period => 'year'$$, $$'x', 1, zone => 'Nowhere'$$, $$'x', 1, period => 'day', anchor => 24$$, $$'x', 1, period => 'week', anchor => 0$$, $$'x', 1, anchor => 99999999999$$,
	$$'x', 1, mode => 'strict'$$, $$'x', 1, warn_at => '{0}'$$, $$'x', 1, warn_at => '{NULL}'$$, $$'x', 1, unpriced => 'maybe'$$, $$'x', 1, unpriced => 'assume', assumed_rate => -1$$,
	$$'x', 1, slots => 65$$, $$'x', 1, slots => 0$$, $$'x', 1, count_from => 'never'$$, $$'x', NULL$$]) AS c;
SELECT c, answer('SELECT airun_credit_budget(' || c || ')') FROM unnest(ARRAY[$$'x', 1$$, $$'few', NULL$$, $$'few', 'Infinity'$$, $$'few', 1, 'v'$$, $$'few', 1, NULL$$]) AS c;
SELECT count(*) FROM airun.budgets WHERE name = 'x';
-- for the owner alone, and an operator may check
CREATE ROLE regress_airun_budget_user;
CREATE ROLE regress_airun_budget_operator;
SELECT airun_grant('regress_airun_budget_user'), airun_grant('regress_airun_budget_operator', 'operator');
GRANT EXECUTE ON FUNCTION airun_set_budget, airun_credit_budget TO regress_airun_budget_user;
GRANT USAGE ON SCHEMA budget_test TO PUBLIC;
SET ROLE regress_airun_budget_user;
SELECT c, attempt(c) FROM unnest(ARRAY['SELECT airun_set_budget(''few'', 1)', 'SELECT airun_credit_budget(''few'', 1)', 'SELECT airun_check_budgets()', 'SELECT FROM airun.budgets',
	'SELECT FROM airun.budget_periods', 'SELECT FROM airun.budget_events', 'UPDATE airun.budget_periods SET spent = 0', 'SELECT airun_store_hold_open(1, NULL, airun_uuid())']) AS c;
-- she holds all the same
SELECT attempt('SELECT status FROM airun_start_call()'), attempt('SELECT status FROM airun_start_call()');
SET ROLE regress_airun_budget_operator;
SELECT count(*) FROM airun_check_budgets();
RESET ROLE;
SELECT stand('few');

--
-- What the check tells
--
BEGIN;
UPDATE airun.budget_periods SET held = held + 1, spent = spent + 2 WHERE budget_id = (SELECT max(id) FROM airun.budgets);
SELECT regexp_replace(problem, '\d{5,}', 'N'), expected, found FROM airun_check_budgets();
ROLLBACK;
BEGIN;
UPDATE airun.budget_periods SET quota = 1000 WHERE budget_id = (SELECT max(id) FROM airun.budgets);
SELECT regexp_replace(problem, '"20.*', 'N'), expected, found FROM airun_check_budgets();
ROLLBACK;
BEGIN;
DELETE FROM airun.budget_periods;
SELECT DISTINCT problem, expected, regexp_replace(found, '\d{5,}', 'N') FROM airun_check_budgets();
ROLLBACK;
-- all tasks, and all calls at once
BEGIN;
TRUNCATE airun.tasks, airun.task_chunks;
SELECT * FROM airun_check_budgets();
TRUNCATE airun.calls;
SELECT * FROM airun_check_budgets();
SELECT stand('few');
ROLLBACK;

-- where two have room that are asked first, the third one refuses
SELECT airun_set_budget('third', 0, measure => 'tokens', period => 'none', count_from => 'now') > 0;
SELECT begin_task(92, $$model_id => 'budget-1', request_data => '{"max_tokens": 1}'$$);
SELECT airun_set_budget('third', NULL) > 0, airun_credit_budget('few', 1000) > 0;
--
-- Nothing is left for others
--
SELECT airun_set_budget('few', NULL) > 0, airun_set_budget('many', NULL) > 0;
SELECT airun_delete_run(run_id(n)) FROM generate_series(1, 4) AS n WHERE n <> 2;
SELECT airun_purge_runs('infinity') > 0;
DELETE FROM airun.calls WHERE user_id = airun_user_id();
SELECT * FROM airun_check_budgets();
DELETE FROM airun.usage_tail WHERE user_id = airun_user_id();
TRUNCATE airun.budgets, airun.budget_periods, airun.budget_events;
DELETE FROM airun.prices WHERE model ~ '^budget';
REVOKE EXECUTE ON FUNCTION airun_set_budget, airun_credit_budget FROM regress_airun_budget_user;
SET client_min_messages = error;
DROP OWNED BY regress_airun_budget_user, regress_airun_budget_operator;
DROP ROLE regress_airun_budget_user, regress_airun_budget_operator;
DROP SCHEMA budget_test CASCADE;
