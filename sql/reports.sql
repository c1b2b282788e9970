-- The examples of doc/reports.md, in their order, on a sample of eight weeks.
-- test/t/006_readme.pl compares the two.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET airun.trust_client_cost = off;
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.user_id = 'reports@example.com';
-- the ledger has the sample alone, until the end
TRUNCATE airun.usage_tail, airun.usage_ledger, airun.usage_clock, airun.usage_daily, airun.usage_people, airun.usage_work;

-- What models cost; acme-7 has no price
CREATE TEMPORARY TABLE seen AS
SELECT airun_set_price(model, rates::jsonb, per_tokens => 1000000, effective_from => '2025-01-01')
FROM (VALUES ('gpt-4o', '{"input": 2.50, "cache_read": 1.25, "output": 10}'),
    ('gpt-4o-mini', '{"input": 0.15, "cache_read": 0.075, "output": 0.60}'),
    ('claude-sonnet-4', '{"input": 3, "cache_read": 0.30, "cache_write_5m": 3.75, "output": 15}')) AS p (model, rates);

-- The site's own table
CREATE TEMPORARY TABLE people AS
SELECT airun_user_uuid(name || '@example.com') AS user_id, name, team
FROM (VALUES ('ann', 'research'), ('bob', 'research'), ('cem', 'support'), ('dee', 'support'), ('eve', 'sales'))
    AS p (name, team);

-- Runs: each person has five, of different tags and sources
INSERT INTO airun.runs (id, user_id, name, source_type, tags, created_at)
SELECT ('019a0000-0000-7000-8000-0000000000' || lpad((5 * k + p.place)::text, 2, '0'))::uuid, p.user_id,
    p.name || ' ' || k + 1, (ARRAY['chat', 'prompt'])[1 + k % 2],
    (ARRAY['{contracts}', '{contracts,urgent}', '{tickets}', '{tickets,urgent}', '{}'])[k + 1]::text[], '2025-10-01'
FROM (SELECT row_number() OVER (ORDER BY name) AS place, * FROM people) AS p, generate_series(0, 4) AS k;

-- Tasks: twenty a day for eight weeks, from Wednesday, 2025-10-01, few of them at weekends;
-- bob leaves on 2025-10-20, eve comes on 2025-11-03, claude-sonnet-4 is slower from 2025-11-17,
-- and on 2025-11-13 the answers were long
INSERT INTO airun.tasks (run_id, task_id, user_id, created_at, status, provider, model_id, served_model, service, task_name,
    usage, error, finish_reason, time_to_first_token, total_time)
SELECT ('019a0000-0000-7000-8000-0000000000' || lpad((5 * (i / 5 % 5) + place)::text, 2, '0'))::uuid,
    ('019b0000-0000-7000-8000-00000000' || lpad(i::text, 4, '0'))::uuid, user_id, at,
    CASE WHEN failed THEN 'error' ELSE 'completed' END,
    (ARRAY['openai', 'openai', 'anthropic', 'acme'])[m], model_id,
    CASE m WHEN 1 THEN CASE WHEN at < '2025-11-10' THEN 'gpt-4o-2024-08-06' ELSE 'gpt-4o-2024-11-20' END END,
    (ARRAY['chat', 'chat', 'search'])[1 + i % 3], (ARRAY['answer', 'answer', 'rerank'])[1 + i % 3],
    CASE WHEN NOT failed THEN CASE m
        WHEN 3 THEN jsonb_build_object('input_tokens', 60000 + i * 37 % 90000, 'cache_read_input_tokens',
            150000 + i * 101 % 70000,
            'cache_creation_input_tokens', 5000 + i * 13 % 9000, 'output_tokens', 6000 + i * 17 % 9000)
        ELSE jsonb_build_object('prompt_tokens', 200000 + i * 41 % 90000,
            'completion_tokens', (9000 + i * 19 % 9000) * CASE WHEN at::date = '2025-11-13' THEN 5 ELSE 1 END,
            'prompt_tokens_details', jsonb_build_object('cached_tokens', CASE WHEN i % 97 = 40 THEN 900000 ELSE 80000 + i * 29 % 50000 END)) END END,
    CASE WHEN failed THEN jsonb_build_object('code', (ARRAY['overloaded', 'timeout'])[1 + i % 2]) END,
    CASE WHEN failed THEN NULL WHEN i % 19 = 0 THEN 'length' ELSE 'stop' END,
    CASE WHEN NOT failed THEN 300 + i * 7907 % 500 END,
    (4000 + i * 7919 % 9000) * CASE WHEN m = 3 AND at >= '2025-11-17' THEN 1.6 ELSE 1 END
FROM (
    SELECT i, at, m, (ARRAY['gpt-4o', 'gpt-4o-mini', 'claude-sonnet-4', 'acme-7'])[m] AS model_id,
        i % (ARRAY[23, 29, 17, 11])[m] = 3 AS failed,
        CASE i % 5 WHEN 1 THEN CASE WHEN at < '2025-10-20' THEN 'bob' ELSE 'ann' END
            WHEN 4 THEN CASE WHEN at >= '2025-11-03' THEN 'eve' ELSE 'dee' END
            ELSE (ARRAY['ann', NULL, 'cem', 'dee'])[1 + i % 5] END AS name
    FROM (
        SELECT i, '2025-10-01 06:20+00'::timestamptz + i / 20 * interval '1 day' + (i * i) % 11 * interval '61 min' AS at,
            CASE WHEN i % 13 = 5 THEN 4 ELSE 1 + (i * 5 + i / 20) % 3 END AS m
        FROM generate_series(0, 1119) AS i
    ) AS t
    WHERE extract(isodow FROM at) < 6 OR i % 4 = 0
) AS t
JOIN (SELECT row_number() OVER (ORDER BY name) AS place, * FROM people) AS p USING (name);

-- Utility calls: titles, and a tool
INSERT INTO seen SELECT NULL FROM generate_series(1, 60) AS i, airun_meter(('019c0000-0000-7000-8000-0000000009' || lpad(i::text, 2, '0'))::uuid,
    service => 'titles', task_name => 'title', provider => 'openai', model_id => 'gpt-4o-mini', total_time => 400 + i,
    usage => jsonb_build_object('prompt_tokens', 900 + i, 'completion_tokens', 12));
INSERT INTO seen SELECT NULL FROM generate_series(61, 80) AS i, airun_meter(('019c0000-0000-7000-8000-0000000009' || lpad(i::text, 2, '0'))::uuid,
    kind => 'tool', service => 'search', task_name => 'web_search', provider => 'websearch', cost => 0.01, total_time => 900 + i);
-- as they would be, had they been made then
UPDATE airun.usage_tail SET at = '2025-11-01 09:00+00'::timestamptz + right(charge_id::text, 2)::integer * interval '7 hours'
WHERE user_id = airun_user_uuid('reports@example.com');
-- part of it folded
SELECT airun_rollup(max_rows => 700) AS folded \gset

\set now '2025-11-26 00:00+00'
\set this_month '2025-11-01+00'
\set last_month '2025-10-01+00'
\set QUIET off

-- Money
SELECT calls, errors, unpriced, tokens_total, round(cost, 2) AS cost, answered_by
FROM airun_usage(:'last_month', :'this_month', 'all');

SELECT model_id, calls, unpriced, round(cost, 2) AS cost,
    round(100 * cost / sum(cost) OVER (), 1) AS percent
FROM airun_usage(:'last_month', :'this_month', 'all', group_by => '{model_id}') ORDER BY cost DESC;

SELECT COALESCE(p.team, 'no team') AS team, sum(u.calls) AS calls, round(sum(u.cost), 2) AS cost
FROM airun_usage(:'last_month', :'this_month', 'all', group_by => '{user_id}') AS u
LEFT JOIN people AS p USING (user_id)
GROUP BY p.team ORDER BY cost DESC;

SELECT p.name, round(u.cost, 2) AS cost, u.unpriced
FROM airun_usage(:'this_month', :'now', 'all', group_by => '{user_id}') AS u
LEFT JOIN people AS p USING (user_id)
WHERE u.cost > 50 ORDER BY u.cost DESC;

SELECT round(a.cost, 2) AS this_month, round(b.cost, 2) AS last_month,
    round(100 * (a.cost / b.cost - 1), 1) AS percent_more,
    round(a.cost * 30 / (:'now'::date - :'this_month'::date), 2) AS at_this_rate
FROM airun_usage(:'this_month', :'now', 'all') AS a,
    airun_usage(:'last_month', :'last_month'::timestamptz + interval '25 days', 'all') AS b;

SELECT bucket, round(cost, 2) AS cost, round(sum(cost) OVER (ORDER BY bucket_start), 2) AS so_far
FROM airun_usage(:'this_month', '2025-11-09+00');

SELECT price_status, calls, tokens_total, round(cost, 2) AS cost
FROM airun_usage(:'last_month', :'now', 'all', group_by => '{price_status}') ORDER BY calls DESC;

SELECT provider, model_id, unpriced, unpriced_tokens
FROM airun_usage(:'last_month', :'now', 'all', group_by => '{provider,model_id}')
WHERE unpriced_tokens > 0 ORDER BY unpriced_tokens DESC;

SELECT count(*) AS tasks, round(sum(cost), 2) AS paid,
    round(sum(airun_cost('gpt-4o-mini', usage, 'openai', created_at)), 2) AS with_gpt_4o_mini,
    round(sum(airun_cost('claude-sonnet-4', usage, 'anthropic', created_at)), 2) AS with_claude
FROM ai_tasks
WHERE model_id = 'gpt-4o' AND created_at >= :'this_month' AND created_at < :'now';

SELECT model_id, tokens_cache_read,
    round(100.0 * tokens_cache_read / (tokens_input + tokens_cache_read + tokens_cache_write), 1) AS percent
FROM airun_usage(:'this_month', :'now', 'all', group_by => '{model_id}')
WHERE tokens_cache_read > 0 ORDER BY percent DESC;

SELECT model_id, round(1000 * cost / tokens_output, 4) AS per_thousand
FROM airun_usage(:'this_month', :'now', 'all', group_by => '{model_id}')
WHERE unpriced < calls AND tokens_output > 0 ORDER BY per_thousand DESC;

SELECT bucket, round(cost, 2) AS cost, round(usual, 2) AS usual
FROM (SELECT bucket, cost, avg(cost) OVER w AS usual, stddev_samp(cost) OVER w AS spread
    FROM airun_usage(:'last_month', :'now')
    WINDOW w AS (ORDER BY bucket_start ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING)) AS d
WHERE cost > usual + 2 * spread ORDER BY bucket;

-- Work
SELECT service, task_name, calls, round(cost, 2) AS cost, round(cost / calls, 4) AS each
FROM airun_usage(:'this_month', :'now', 'all', group_by => '{service,task_name}') ORDER BY cost DESC;

SELECT kind, calls, tokens_total, round(cost, 2) AS cost
FROM airun_usage(:'this_month', :'now', 'all', group_by => '{kind}') ORDER BY cost DESC;

SELECT source_type, calls, round(cost, 2) AS cost
FROM airun_usage(:'this_month', :'now', 'all', group_by => '{source_type}', kind => 'task') ORDER BY cost DESC;

SELECT count(*) AS conversations, round(avg(cost), 2) AS average,
    round(percentile_cont(0.5) WITHIN GROUP (ORDER BY cost)::numeric, 2) AS median, round(max(cost), 2) AS dearest
FROM (SELECT run_id, sum(cost) AS cost FROM ai_tasks
    WHERE created_at >= :'this_month' AND created_at < :'now' GROUP BY run_id) AS r
WHERE cost IS NOT NULL;

SELECT r.name, p.name AS person, r.task_count, r.total_tokens, round(r.total_cost, 2) AS cost
FROM ai_run_summaries AS r JOIN people AS p USING (user_id)
ORDER BY r.total_cost DESC LIMIT 5;

SELECT COALESCE(tag, 'no tag') AS tag, count(DISTINCT t.run_id) AS runs, round(sum(t.cost), 2) AS cost
FROM ai_tasks AS t JOIN ai_run_summaries AS r ON r.id = t.run_id LEFT JOIN unnest(r.tags) AS tag ON true
WHERE t.created_at >= :'this_month' AND t.created_at < :'now'
GROUP BY tag ORDER BY cost DESC;

-- People
SELECT p.name, round(u.cost, 2) AS cost,
    round(100 * sum(u.cost) OVER (ORDER BY u.cost DESC) / sum(u.cost) OVER (), 1) AS percent_so_far
FROM airun_usage(:'this_month', :'now', 'all', group_by => '{user_id}', kind => 'task') AS u
JOIN people AS p USING (user_id)
ORDER BY u.cost DESC LIMIT 3;

SELECT bucket AS week, count(*) AS people, sum(calls) AS calls
FROM airun_usage(:'last_month', :'now', 'week', group_by => '{user_id}', kind => 'task')
GROUP BY bucket ORDER BY bucket;

WITH active AS (
    SELECT user_id, bucket::date AS week, min(bucket::date) OVER (PARTITION BY user_id) AS came
    FROM airun_usage(:'last_month', :'now', 'week', group_by => '{user_id}', kind => 'task')
)
SELECT came, count(*) FILTER (WHERE week = came) AS people, count(*) FILTER (WHERE week = came + 7) AS week_1,
    count(*) FILTER (WHERE week = came + 14) AS week_2, count(*) FILTER (WHERE week = came + 21) AS week_3
FROM active GROUP BY came ORDER BY came;

SELECT p.name, u.calls AS calls_last_month
FROM airun_usage(:'last_month', :'this_month', 'all', group_by => '{user_id}') AS u
LEFT JOIN airun_usage(:'this_month', :'now', 'all', group_by => '{user_id}') AS n USING (user_id)
JOIN people AS p USING (user_id)
WHERE n.calls IS NULL;

SELECT bucket AS month, model_id, calls, tokens_total, round(cost, 2) AS cost
FROM airun_usage(:'last_month', :'now', 'month', group_by => '{model_id}',
    of_user => airun_user_uuid('cem@example.com'));

-- Time
SELECT extract(hour FROM bucket_start AT TIME ZONE 'Europe/Berlin') AS hour, sum(calls) AS calls
FROM airun_usage(:'last_month', :'now', 'hour', 'Europe/Berlin')
GROUP BY hour ORDER BY calls DESC, hour LIMIT 5;

SELECT to_char(bucket::date, 'Dy') AS day, sum(calls) AS calls, round(sum(cost), 2) AS cost
FROM airun_usage(:'last_month', :'now')
GROUP BY day, extract(isodow FROM bucket::date) ORDER BY extract(isodow FROM bucket::date);

SELECT bucket AS month, bucket_start, calls, round(cost, 2) AS cost, answered_by
FROM airun_usage('2025-10-01 00:00 Asia/Kolkata', '2025-12-01 00:00 Asia/Kolkata', 'month', 'Asia/Kolkata');

SELECT bucket, calls
FROM airun_usage('2025-10-25 00:00 Europe/Berlin', '2025-10-28 00:00 Europe/Berlin', 'day', 'Europe/Berlin');

SELECT d::date AS day, COALESCE(u.calls, 0) AS calls, COALESCE(round(u.cost, 2), 0) AS cost
FROM generate_series('2025-10-03'::date, '2025-10-07', interval '1 day') AS d
LEFT JOIN airun_usage('2025-10-03+00', '2025-10-08+00', model_id => 'acme-7') AS u ON u.bucket::date = d
ORDER BY d;

SELECT bucket AS week, tokens_input, tokens_cache_read, tokens_cache_write, tokens_output, tokens_total
FROM airun_usage(:'this_month', :'now', 'week');

-- Quality
SELECT provider, calls, errors, round(100 * error_rate::numeric, 1) AS percent
FROM airun_usage(:'last_month', :'now', 'all', group_by => '{provider}') ORDER BY error_rate DESC;

SELECT provider, error ->> 'code' AS code, count(*) AS tasks, max(created_at)::date AS last
FROM ai_tasks
WHERE status = 'error' AND created_at >= :'last_month' AND created_at < :'now'
GROUP BY provider, code ORDER BY tasks DESC, provider, code;

SELECT model_id, count(*) FILTER (WHERE finish_reason = 'length') AS cut_off, count(*) AS completed
FROM ai_tasks
WHERE status = 'completed' AND created_at >= :'this_month' AND created_at < :'now'
GROUP BY model_id ORDER BY cut_off DESC, model_id;

SELECT model_id, served_model, sum(calls) AS calls, min(bucket) AS first_day, max(bucket) AS last_day
FROM airun_usage(:'last_month', :'now', group_by => '{model_id,served_model}', model_id => 'gpt-4o')
GROUP BY model_id, served_model ORDER BY first_day, served_model;

SELECT bucket, calls, round(first_token_p50) AS first_token_p50, round(total_p50) AS p50, round(total_p95) AS p95,
    round(total_p99) AS p99
FROM airun_usage('2025-11-17+00', '2025-11-22+00', kind => 'task', status => 'completed');

SELECT day, model_id, price_status, calls, round(cost, 2) AS cost, round(total_p95) AS total_p95
FROM ai_usage_daily WHERE day = '2025-11-20' AND kind = 'task' AND status = 'completed'
ORDER BY model_id, price_status;

SELECT model_id, round(b.total_p50) AS before, round(a.total_p50) AS this_week,
    round(100 * (a.total_p50 / b.total_p50 - 1)) AS percent_slower
FROM airun_usage('2025-11-17+00', '2025-11-24+00', 'all', group_by => '{model_id}', kind => 'task') AS a
JOIN airun_usage('2025-10-20+00', '2025-11-17+00', 'all', group_by => '{model_id}', kind => 'task') AS b USING (model_id)
WHERE a.total_p50 > 1.25 * b.total_p50;

SELECT model_id, round(tokens_output / (calls * (total_avg - first_token_avg) / 1000)) AS tokens_a_second
FROM airun_usage(:'this_month', :'now', 'all', group_by => '{model_id}', kind => 'task', status => 'completed')
ORDER BY tokens_a_second DESC, model_id;

-- Grafana
\set from_time '2025-11-18 00:00+00'
\set to_time '2025-11-20 00:00+00'
\set provider openai
SELECT bucket_start AS time, model_id AS metric, round(cost, 2) AS value
FROM airun_usage(:'from_time', :'to_time', group_by => '{model_id}') ORDER BY time, metric;

SELECT bucket_start AS time, round(first_token_p50) AS p50, round(first_token_p95) AS p95, round(first_token_p99) AS p99
FROM airun_usage(:'from_time', :'to_time', 'hour') WHERE first_token_p50 IS NOT NULL ORDER BY time;

SELECT round(100 * a.error_rate::numeric, 1) AS now, round(100 * b.error_rate::numeric, 1) AS before
FROM airun_usage(:'from_time', :'to_time', 'all') AS a,
    airun_usage(:'from_time'::timestamptz - (:'to_time'::timestamptz - :'from_time'), :'from_time', 'all') AS b;

SELECT COALESCE(p.name, u.user_id::text) AS person, u.calls, round(u.cost, 2) AS cost
FROM airun_usage(:'from_time', :'to_time', 'all', group_by => '{user_id}', provider => :'provider') AS u
LEFT JOIN people AS p USING (user_id) ORDER BY u.cost DESC LIMIT 10;

-- Clean up
\set QUIET on
DELETE FROM airun.runs WHERE id::text LIKE '019a0000-0000-7000-8000-0000000000__';
DELETE FROM airun.calls WHERE user_id = airun_user_uuid('reports@example.com');
DELETE FROM airun.usage_tail WHERE at >= '2025-10-01+00' AND at < '2025-12-01+00';
DELETE FROM airun.usage_ledger WHERE at >= '2025-10-01+00' AND at < '2025-12-01+00';
DELETE FROM airun.prices WHERE model IN ('gpt-4o', 'gpt-4o-mini', 'claude-sonnet-4');
DROP TABLE people, seen;
SELECT airun_rebuild_usage() AS corrected \gset
SELECT * FROM airun_check_usage();
