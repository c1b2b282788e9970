--
-- What tasks cost: counted and charged by the server when they end, charged
-- again by airun_reprice(), and in the totals of their runs to the last digit.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA money_test;
SET search_path = money_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8017';
SET airun.user_id = 'money test';
SET airun.trust_client_cost = off;
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- how a task has been charged, and what its run has
CREATE FUNCTION charged(n int) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', t.status, 'tokens ' || concat_ws('/', t.tokens_input, t.tokens_output, t.tokens_total),
		coalesce(t.price_status, 'no status'), 'cost ' || coalesce(t.cost::text, 'unknown'), 'client ' || t.client_cost,
		'run ' || r.total_cost || ' for ' || r.total_tokens)
	FROM airun.tasks t JOIN airun.runs r ON r.id = t.run_id WHERE t.task_id = task_id(n)
$$;
CREATE FUNCTION new_task(run int, task int, model text DEFAULT 'm-1', provider text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	SELECT FROM airun_create_task(run_id(run), task_id(task), model_id => model, provider => provider)
$$;
SELECT count(airun_create_run(id => run_id(n), name => 'run ' || n)) FROM generate_series(1, 30) n;
SELECT count(airun_set_price('m-1', '{"input": 3, "cache_read": 0.3, "cache_write_5m": 3.75, "output": 15}', per_tokens => 1000000, effective_from => '2020-01-01Z'));

--
-- The provider's usage is counted and charged, the client's figures are not
--
SELECT new_task(1, 1);
SELECT price_status, cost FROM airun_complete_task(task_id(1), 'text', cost => 99, tokens_input => 1, tokens_output => 1,
	usage => '{"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}, "odd": [1]}');
SELECT charged(1);
SELECT usage, usage_buckets FROM ai_tasks WHERE task_id = task_id(1);
SELECT cost_details - 'price_id' FROM ai_tasks WHERE task_id = task_id(1);
SELECT (cost_details ->> 'cost')::numeric = cost FROM ai_tasks WHERE task_id = task_id(1);
-- the call again, with what it had: the same; with another usage: refused
SELECT charged(1) FROM airun_complete_task(task_id(1), 'text', cost => 99, tokens_input => 1, tokens_output => 1,
	usage => '{"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}, "odd": [1]}');
SELECT attempt(format('SELECT airun_complete_task(%L, ''text'', ''{"prompt_tokens": 1000, "completion_tokens": 101}'')', task_id(1)));
-- the same in Anthropic's words, through the other ends and a turn
SELECT new_task(2, n, provider => 'anthropic') FROM generate_series(2, 4) n;
SELECT count(airun_fail_task(task_id(2), '"broke off"', '{"input_tokens": 600, "cache_read_input_tokens": 400, "output_tokens": 100}'));
SELECT count(airun_cancel_task(task_id(3), usage => '{"input_tokens": 600, "cache_read_input_tokens": 400, "output_tokens": 100}'));
SELECT airun_finish_turn(task_id(4), response_text => 'x', usage => '{"input_tokens": 600, "cache_read_input_tokens": 400, "output_tokens": 100}') -> 'task' ->> 'cost';
SELECT charged(n) FROM generate_series(2, 4) n;
-- no usage: what the client counts goes as input and output; nothing known: nothing charged
SELECT new_task(3, n) FROM generate_series(5, 7) n;
SELECT count(airun_complete_task(task_id(5), tokens_input => 1000, tokens_output => 10)), charged(5);
SELECT count(airun_complete_task(task_id(6), tokens_total => 1000)), charged(6);
SELECT count(airun_cancel_task(task_id(7))), charged(7);
SELECT charged(5); SELECT charged(6); SELECT charged(7);
-- a usage that knows one side: the other is what the client counts, and the total both
SELECT new_task(3, n) FROM generate_series(21, 24) n;
SELECT tokens_input, tokens_output, tokens_total, cost FROM airun_complete_task(task_id(21), usage => '{"output_tokens": 5}', tokens_input => 100);
SELECT tokens_input, tokens_output, tokens_total, cost FROM airun_complete_task(task_id(22), usage => '{"output_tokens": 5}', tokens_total => 3);
-- a usage that is known before the end counts until another is stated
UPDATE ai_tasks SET usage = '{"prompt_tokens": 10, "completion_tokens": 1}' WHERE task_id IN (task_id(23), task_id(24));
UPDATE ai_tasks SET tokens_input = 7 WHERE task_id = task_id(23) RETURNING tokens_input, tokens_output, tokens_total;
SELECT tokens_input, tokens_output, tokens_total, cost FROM airun_complete_task(task_id(23), tokens_input => 3, tokens_output => 1);
SELECT tokens_input, tokens_output, tokens_total, cost FROM airun_complete_task(task_id(23), tokens_input => 3, tokens_output => 1);
SELECT tokens_input, tokens_output, tokens_total, cost FROM airun_complete_task(task_id(24), usage => '{"prompt_tokens": 20, "completion_tokens": 2}');
-- a usage that cannot be ends the task all the same, with what can be counted
SELECT new_task(4, 8);
SELECT attempt(format('SELECT concat_ws('' '', c.status, c.price_status, coalesce(c.cost::text, ''no cost''), c.cost_details -> ''doubts'') '
	'FROM airun_create_task(%L, model_id => ''m-1'') AS n, LATERAL airun_complete_task(n.task_id, usage => %L) AS c', run_id(4), u)) FROM unnest(ARRAY['{"prompt_tokens": -1}', '{"prompt_tokens": 1, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}',
	'{"prompt_tokens": "many"}', '[]']) u;
SELECT charged(8);

--
-- The prices in force when the task was created count
--
SELECT new_task(5, 9);
SELECT pg_sleep(0.002);
SELECT count(airun_set_price('m-1', '{"input": 6, "output": 30}', per_tokens => 1000000, effective_from => clock_timestamp()));
SELECT new_task(5, 10);
SELECT count(airun_complete_task(task_id(n), tokens_input => 1000000, tokens_output => 0)) FROM generate_series(9, 10) n;
SELECT charged(9); SELECT charged(10);

--
-- By way of the view and of the table: the same
--
SELECT new_task(6, n) FROM generate_series(11, 12) n;
UPDATE ai_tasks SET status = 'completed', usage = '{"prompt_tokens": 100, "completion_tokens": 10}', cost = 5 WHERE task_id = task_id(11) RETURNING cost, price_status, client_cost;
UPDATE airun.tasks SET usage = '{"prompt_tokens": 100, "completion_tokens": 10}', tokens_input = 7 WHERE task_id = task_id(12);
SELECT charged(12);
UPDATE airun.tasks SET status = 'error' WHERE task_id = task_id(12);
SELECT charged(11); SELECT charged(12);
INSERT INTO ai_tasks (run_id, task_id, model_id, status, tokens_input, tokens_output, cost) VALUES (run_id(6), task_id(13), 'm-1', 'completed', 10, 1, 5) RETURNING cost, price_status, client_cost;
SELECT attempt(format('UPDATE airun.tasks SET %I = %L WHERE task_id = %L', c, v, task_id(8))) FROM (VALUES ('cost_details', '{}'), ('price_status', 'priced'), ('client_cost', '1'), ('usage_buckets', '{}')) x (c, v);
SELECT attempt(format('INSERT INTO airun.tasks (run_id, %I) VALUES (%L, %L)', c, run_id(6), v)) FROM (VALUES ('cost_details', '{}'), ('price_status', 'priced'), ('client_cost', '1'), ('usage_buckets', '{}')) x (c, v);
-- trusted, a client's cost goes first
SET airun.trust_client_cost = on;
SELECT new_task(6, 14);
SELECT count(airun_complete_task(task_id(14), tokens_input => 10, tokens_output => 1, cost => 5)), charged(14);
SELECT charged(14);
SET airun.trust_client_cost = off;

--
-- No price is never an error
--
SELECT new_task(7, 15, 'm-2'), new_task(7, 16, 'm-2', 'p'), new_task(7, 17, NULL), new_task(8, 18, 'm-3');
SELECT count(airun_complete_task(task_id(n), usage => '{"prompt_tokens": 100, "completion_tokens": 10}')) FROM generate_series(15, 17) n;
SELECT charged(n) FROM generate_series(15, 17) n;
SELECT provider, model_id, tasks, tokens, first_used <= last_used FROM ai_unpriced_models ORDER BY 1;
-- a price that is broken, by hand
SELECT count(airun_set_price('m-3', '{"input": 1}', effective_from => '2020-01-01Z'));
UPDATE airun.prices SET rates = '{"input": "much"}' WHERE model = 'm-3';
SELECT count(airun_complete_task(task_id(18), usage => '{"prompt_tokens": 100, "completion_tokens": 0}')), charged(18);
SELECT charged(18);
-- a role that may not read prices
CREATE ROLE regress_airun_money;
SELECT airun_grant('regress_airun_money');
REVOKE SELECT ON airun.prices FROM regress_airun_money;
GRANT USAGE ON SCHEMA money_test TO regress_airun_money;
SET ROLE regress_airun_money;
SELECT new_task(9, 19), new_task(9, 20);
SELECT price_status, cost FROM airun_complete_task(task_id(19), usage => '{"prompt_tokens": 100, "completion_tokens": 10}');
RESET ROLE;
SELECT airun_grant('regress_airun_money');
SET ROLE regress_airun_money;
SELECT price_status, cost FROM airun_complete_task(task_id(20), usage => '{"prompt_tokens": 100, "completion_tokens": 10}', cost => 0);
SELECT count(*) FROM ai_unpriced_models;
SELECT attempt('SELECT airun_reprice()');
RESET ROLE;

--
-- Charged again
--
SELECT airun_delete_run(run_id(8));
SELECT provider, model_id, tasks FROM ai_unpriced_models WHERE model_id LIKE 'm-%' ORDER BY 1, 2;
SELECT count(airun_set_price('m-2', '{"input": 0.000001, "output": 0.000002}', effective_from => '2020-01-01Z'));
SELECT count(airun_set_price('m-3', '{"input": 1}', effective_from => '2020-01-01Z'));
SELECT * FROM airun_reprice(model_id => 'm-2', dry_run => true) ORDER BY 1;
SELECT charged(15);
SELECT * FROM airun_reprice(model_id => 'm-2', since => 'tomorrow') ORDER BY 1;
SELECT * FROM airun_reprice(model_id => 'm-2', until => 'yesterday') ORDER BY 1;
SELECT * FROM airun_reprice(model_id => 'm-2', max_tasks => 1) ORDER BY 1;
SELECT * FROM airun_reprice(model_id => 'm-2') ORDER BY 1;
SELECT * FROM airun_reprice(model_id => 'm-2') ORDER BY 1;
SELECT charged(n) FROM generate_series(15, 17) n;
-- a deleted run keeps its money, and gets what it had not
SELECT provider, model_id, tasks, changed, cost_before, cost_after FROM airun_reprice(model_id => 'm-3');
SELECT charged(18);
-- a price that has been corrected: all again, what the client's cost was, too; without a price what was known stays
UPDATE airun.prices SET rates = '{"input": 0.000002, "output": 0.000002}' WHERE model = 'm-2';
SELECT * FROM airun_reprice(model_id => 'm-2') ORDER BY 1;
SELECT * FROM airun_reprice(model_id => 'm-2', all_tasks => true) ORDER BY 1;
SELECT charged(15); SELECT charged(16);
DELETE FROM airun.prices WHERE model = 'm-2';
SELECT * FROM airun_reprice(model_id => 'm-2', all_tasks => true) ORDER BY 1;
SELECT * FROM airun_reprice(model_id => 'm-1', all_tasks => true, until => now() - interval '1 day');
SELECT tasks, changed FROM airun_reprice(model_id => 'm-1', all_tasks => true);
SELECT charged(14);
SELECT attempt('SELECT airun_reprice(max_tasks => 0)');
SELECT attempt('SELECT airun_reprice(max_tasks => NULL)');
SELECT * FROM airun_check();
-- a what-if over history is one SELECT
SELECT sum(cost) AS cost, sum(airun_cost('m-1', usage, at => '2021-01-01Z')) AS then FROM ai_tasks WHERE run_id = run_id(6) AND usage IS NOT NULL;

--
-- To the last digit: 10,000 random completions, corrections and deletions, and a reprice
--
SELECT setseed(0.17);
SELECT count(airun_set_price('r-' || n, format('{"input": 0.00000%s, "cache_read": 0.0000000%1$s, "output": 0.0000123456789%1$s}', n)::jsonb, effective_from => '2020-01-01Z')) FROM generate_series(1, 5) n;
CREATE PROCEDURE churn(count int) LANGUAGE plpgsql AS $$
DECLARE
	id uuid;
BEGIN
	FOR i IN 1 .. count LOOP
		id := (airun_create_task(run_id(11 + floor(random() * 20)::int), model_id => 'r-' || floor(random() * 8))).task_id;
		CASE floor(random() * 10)
			WHEN 0 THEN PERFORM airun_fail_task(id, usage => jsonb_build_object('prompt_tokens', floor(random() * 100000), 'completion_tokens', floor(random() * 9000)));
			WHEN 1 THEN PERFORM airun_cancel_task(id, tokens_input => floor(random() * 1000)::int);
			WHEN 2 THEN UPDATE airun.tasks SET usage = jsonb_build_object('prompt_tokens', floor(random() * 1000), 'completion_tokens', 1) WHERE task_id = id;
			WHEN 3 THEN UPDATE ai_tasks SET status = 'completed', usage = jsonb_build_object('input_tokens', floor(random() * 1000), 'output_tokens', 7) WHERE task_id = id;
			WHEN 4 THEN DELETE FROM airun.tasks t WHERE t.ctid IN (SELECT s.ctid FROM airun.tasks s WHERE s.run_id = run_id(11 + i % 20) LIMIT 1);
			ELSE PERFORM airun_complete_task(id, 'x', jsonb_build_object('prompt_tokens', 1000 + floor(random() * 100000), 'completion_tokens', floor(random() * 9000),
				'prompt_tokens_details', jsonb_build_object('cached_tokens', floor(random() * 1000))));
		END CASE;
	END LOOP;
END$$;
\set ECHO none
SELECT 'CALL churn(200)' FROM generate_series(1, 50) \gexec
\set ECHO all
SELECT count(*) > 8000, count(*) FILTER (WHERE price_status = 'unpriced') > 1000 FROM airun.tasks WHERE model_id LIKE 'r-%';
SELECT * FROM airun_check();
SELECT count(airun_set_price('r-' || n, '{"input": 0.000000333, "output": 0.00000777}', effective_from => '2020-01-01Z')) FROM generate_series(0, 7) n WHERE n IN (0, 6, 7);
SELECT model_id, tasks = changed AND tasks > 0, cost_before, cost_after > 0 FROM airun_reprice() WHERE model_id LIKE 'r-%' AND changed > 0 ORDER BY 1;
SELECT count(*) > 15, bool_and(r.total_cost = t.cost) FROM airun.runs r JOIN (SELECT run_id, sum(cost) AS cost FROM airun.tasks WHERE model_id LIKE 'r-%' GROUP BY 1) t ON t.run_id = r.id;
SELECT count(*) > 5000, bool_and(cost = airun_cost(model_id, usage) AND cost = airun_cost(model_id, usage_buckets) AND cost = (cost_details ->> 'cost')::numeric)
FROM airun.tasks WHERE model_id LIKE 'r-%' AND price_status = 'priced' AND usage IS NOT NULL;
SELECT * FROM airun_check();

-- clean up
DELETE FROM airun.prices;
DELETE FROM airun.runs WHERE id::text LIKE '00000000-0000-4000-8017-%';
DROP OWNED BY regress_airun_money;
DROP ROLE regress_airun_money;
DROP SCHEMA money_test CASCADE;
SELECT * FROM airun_check();
