-- The examples of doc/operations.md, in their order.
-- test/t/006_readme.pl compares the two.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET airun.trust_client_cost = off;
DO $$BEGIN PERFORM airun_install(); END$$;

-- What the reports are about: two turns, one of them without a price
CREATE TEMPORARY TABLE seen AS
SELECT airun_set_price('gpt-4o', '{"input": 2.50, "cache_read": 1.25, "output": 10}',
    per_tokens => 1000000, effective_from => '2024-10-01');
SET airun.user_id = 'carol@example.com';
INSERT INTO seen SELECT NULL FROM airun_start_turn(messages => '{"role": "user", "content": "Who found them?"}',
    task_id => '019c0000-0000-7000-8000-0000000000c1', provider => 'openai', model_id => 'gpt-4o',
    run => '{"id": "019c0000-0000-7000-8000-0000000000c0"}');
INSERT INTO seen SELECT NULL FROM airun_finish_turn('019c0000-0000-7000-8000-0000000000c1',
    response_text => 'Asaph Hall.', usage => '{"prompt_tokens": 42, "completion_tokens": 9}');
INSERT INTO seen SELECT NULL FROM airun_start_turn('019c0000-0000-7000-8000-0000000000c0',
    '{"role": "user", "content": "In which year?"}',
    task_id => '019c0000-0000-7000-8000-0000000000c2', provider => 'acme', model_id => 'acme-7');
INSERT INTO seen SELECT NULL FROM airun_finish_turn('019c0000-0000-7000-8000-0000000000c2',
    response_text => 'In 1877.', usage => '{"prompt_tokens": 60, "completion_tokens": 4}');

-- Roles
CREATE ROLE regress_airun_web NOLOGIN;
SELECT airun_grant('regress_airun_web');

BEGIN;
SET LOCAL ROLE regress_airun_web;
SET LOCAL request.jwt.claims = '{"sub": "dave@example.com"}';
SELECT count(*) AS runs_of_dave FROM airun_list_runs();
DELETE FROM airun.runs;
ROLLBACK;

-- Reports
SELECT model_id, count(*) AS tasks, sum(tokens_total) AS tokens, sum(cost) AS cost,
    count(*) FILTER (WHERE cost IS NULL) AS unpriced
FROM ai_tasks GROUP BY model_id ORDER BY cost DESC NULLS LAST;

SELECT role, count(*) AS messages, sum(length(message ->> 'content')) AS characters
FROM ai_messages GROUP BY role ORDER BY role;

SELECT provider, count(*) AS tasks, count(*) FILTER (WHERE status = 'error') AS failed,
    count(*) FILTER (WHERE total_time > 60000) AS over_a_minute
FROM ai_tasks GROUP BY provider ORDER BY provider;

-- Prices
SELECT provider, model_id, tasks, tokens FROM ai_unpriced_models;

SELECT airun_set_price('acme-7', '{"input": 1, "output": 5}', per_tokens => 1000000,
    provider => 'acme', effective_from => '2025-01-01') IS NOT NULL AS known;
SELECT * FROM airun_reprice(dry_run => true);
SELECT * FROM airun_reprice();

-- Prices
SELECT sum(cost) AS paid, sum(airun_cost('acme-7', usage, 'acme')) AS with_acme
FROM ai_tasks WHERE model_id = 'gpt-4o';

SELECT airun_cost('gpt-4o', '{"prompt_tokens": 1000, "completion_tokens": 200,
    "prompt_tokens_details": {"cached_tokens": 400}}') AS cost;

-- Moving from the original application
SELECT airun_install_original('original_app') ~ 'view original_app.ai_runs' AS made;

INSERT INTO original_app.ai_runs (source_type, messages, settings, attachments)
VALUES ('prompts', '[{"role": "user", "content": "Hello"}]', '{}', '[{"type": "url", "name": "x"}]')
RETURNING name, status, message_count, attachments;

UPDATE original_app.ai_runs SET messages = messages || '[{"role": "assistant", "content": "Hello!"}]'
WHERE name = 'Hello' RETURNING message_count;

-- Backup
SELECT * FROM airun_check() UNION ALL SELECT * FROM airun_check_usage() UNION ALL SELECT * FROM airun_check_budgets();

-- When a check finds something
SET session_replication_role = replica;
UPDATE airun.runs SET total_tokens = 7, total_cost = 99 WHERE id = '019c0000-0000-7000-8000-0000000000c0';
RESET session_replication_role;
SELECT problem, expected, found FROM airun_check();

BEGIN;
ALTER TABLE airun.runs DISABLE TRIGGER airun_guard;
UPDATE airun.runs AS r
SET message_count = m.last_seq, last_message_at = COALESCE(m.last_at, r.created_at),
    active_hour = date_trunc('hour', COALESCE(m.last_at, r.created_at), 'UTC'),
    task_count = t.tasks, total_tokens = t.tokens, total_cost = t.cost
FROM (SELECT DISTINCT run_id FROM airun_check()) AS c,
    LATERAL (SELECT COALESCE(max(m.seq), 0) AS last_seq, max(m.created_at) AS last_at
             FROM airun.messages AS m WHERE m.run_id = c.run_id) AS m,
    LATERAL (SELECT count(*) AS tasks, COALESCE(sum(t.tokens_total), 0) AS tokens,
                 COALESCE(sum(t.cost), 0) AS cost
             FROM airun.tasks AS t WHERE t.run_id = c.run_id) AS t
WHERE r.id = c.run_id AND r.stripped_at IS NULL;
ALTER TABLE airun.runs ENABLE TRIGGER airun_guard;
COMMIT;

SELECT problem, expected, found FROM airun_check();

-- Clean up
\set QUIET on
DROP SCHEMA original_app CASCADE;
DELETE FROM airun.prices;
DELETE FROM airun.runs WHERE user_id = airun_user_uuid('carol@example.com');
DROP TABLE seen;
DROP OWNED BY regress_airun_web;
DROP ROLE regress_airun_web;
