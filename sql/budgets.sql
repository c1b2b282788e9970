-- The examples of doc/budgets.md, in their order.
-- test/t/006_readme.pl compares the two.
\set QUIET on
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET airun.trust_client_cost = off;
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.user_id = 'budgets@example.com';
CREATE TEMPORARY TABLE seen AS
SELECT airun_set_price('kite-2', '{"input": 2, "output": 10}', per_tokens => 1000000, effective_from => '2025-01-01'),
    (airun_create_run(id => '019e0000-0000-7000-8000-000000000001', tags => '{spring}')).id AS run_id;
\set run '019e0000-0000-7000-8000-000000000001'
\set task '019e0000-0000-7000-8000-00000000000a'

-- A first budget
SELECT airun_set_budget('each user', 0.05, scope => 'user', period => 'day', zone => 'Europe/Berlin',
    count_from => 'now') > 0 AS is_set;

SELECT status FROM airun_create_task(:'run', :'task', model_id => 'kite-2', request_data => '{"max_tokens": 2000,
    "messages": [{"role": "user", "content": "Four letters are a token."}]}');
SELECT amount, spent, held, remaining FROM airun_budget_status('each user');

SELECT (airun_complete_task(:'task', 'A kite flies.', usage => '{"prompt_tokens": 13, "completion_tokens": 4}')).cost;
SELECT amount, spent, held, remaining FROM airun_budget_status('each user');

-- What is refused
SELECT airun_create_task(:'run', model_id => 'kite-2', request_data => '{"max_tokens": 3000, "n": 2}');
SELECT budget, fits, reason, needed, remaining, affordable_output_tokens
FROM airun_budget_check('kite-2', request_data => '{"max_tokens": 3000, "n": 2}', run_id => :'run');

-- Several at once
SELECT airun_set_budget('spring', 1, scope => 'tag', scope_value => 'spring', period => 'none') > 0 AS tag,
    airun_set_budget('calls', 600, measure => 'calls', period => 'hour', mode => 'soft', count_from => 'now') > 0 AS calls,
    airun_set_budget('each team', 20, scope => 'metadata', scope_key => 'team', period => 'week', count_from => 'now') > 0 AS team;

-- Changing them
SELECT airun_set_budget('each user', 0.10) > 0 AS raised, airun_credit_budget('spring', 0.50, 'spring') AS added;
SELECT budget, amount FROM airun_budget_status() WHERE budget IN ('each user', 'spring') ORDER BY budget;

-- Models without a price
SELECT airun_create_task(:'run', model_id => 'brand-new');
SELECT count(airun_set_budget(budget, amount::double precision, unpriced => 'assume', assumed_rate => 0.00001)) AS changed
FROM airun_budget_status() WHERE measure = 'cost';
SELECT status FROM airun_create_task(:'run', model_id => 'brand-new', request_data => '{"max_tokens": 500}');

-- Warnings
SELECT airun_set_budget('each user', 0.006, warn_at => '{0.5,0.8}') > 0 AS lowered;
SELECT status FROM airun_create_task(:'run', model_id => 'kite-2', request_data => '{"max_tokens": 10}');
SELECT b.name, e.warn_at, e.amount, e.used FROM airun.budget_events AS e
JOIN airun.budgets AS b ON b.id = e.budget_id ORDER BY e.at;

-- Checking
SELECT * FROM airun_check_budgets();

-- nothing is left for others
CREATE TEMPORARY TABLE gone AS SELECT airun_set_budget(name, NULL) FROM airun.budgets WHERE valid_to IS NULL;
DELETE FROM airun.runs WHERE id = :'run';
DELETE FROM airun.usage_tail WHERE user_id = airun_user_id();
DELETE FROM airun.prices WHERE model = 'kite-2';
TRUNCATE airun.budgets, airun.budget_periods, airun.budget_events;
