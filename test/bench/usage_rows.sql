-- usage_rows.sql: n charges from one time until before another, in the order of time, as tasks
-- that have ended (without triggers) and as the entries that these would have made.  2,000
-- users and 40 models, some far busier than others; one model has no price.
--
--	psql -v n=1000000 -v from_time='2026-01-01Z' -v to_time='2027-01-01Z' -f usage_rows.sql
SELECT setseed(0.5);
SET session_replication_role = replica;
WITH charges AS MATERIALIZED (
	SELECT :'from_time'::timestamptz + (i - random()) / :n * (:'to_time'::timestamptz - :'from_time') AS at,
		gen_random_uuid() AS id, (random() ^ 3 * 40)::integer % 40 AS model, (random() ^ 2 * 2000)::integer AS person, random() AS luck,
		(random() * 5000)::bigint AS fresh, (random() * 3000)::bigint AS cached, (random() * 1000)::bigint AS output,
		exp(13 + random() * 2)::bigint AS first_token_us, exp(14.5 + random() * 2)::bigint AS total_us
	FROM generate_series(1, :n) AS i
), known AS MATERIALIZED (
	SELECT c.*, ('00000000-0000-4000-8000-' || lpad(person::text, 12, '0'))::uuid AS user_id,
		CASE WHEN luck < 0.03 THEN 'error' ELSE 'completed' END AS status,
		CASE WHEN model = 39 THEN 'unpriced' WHEN luck > 0.98 THEN 'doubtful' ELSE 'priced' END AS price_status,
		(ARRAY['chat', 'prompt', 'action'])[1 + (luck * 7919)::integer % 3] AS source_type,
		'task ' || (luck * 104729)::integer % 10 AS task_name, 'provider ' || model % 4 AS provider, 'model ' || model AS model_id,
		CASE WHEN model <> 39 THEN fresh * 0.000003 + cached * 0.0000003 + output * 0.000015 END AS cost
	FROM charges AS c
), tasks AS (
	INSERT INTO airun.tasks (run_id, task_id, user_id, created_at, updated_at, completed_at, status, provider, model_id, service, task_name,
		tokens_input, tokens_output, tokens_total, cost, price_status, time_to_first_token, total_time, usage)
	SELECT user_id, id, user_id, at, at, at + total_us * interval '1 us', status, provider, model_id, 'service', task_name,
		fresh + cached, output, fresh + cached + output, cost, price_status, first_token_us / 1000.0, total_us / 1000.0,
		jsonb_build_object('prompt_tokens', fresh + cached, 'completion_tokens', output, 'prompt_tokens_details', jsonb_build_object('cached_tokens', cached))
	FROM known
)
INSERT INTO airun.usage_tail (at, tokens_input, tokens_cache_read, tokens_cache_write, tokens_output, first_token_us, total_us, calls,
	first_token_bin, total_bin, charge_id, user_id, kind, status, price_status, source_type, service, task_name, provider, model_id, cost)
SELECT at, fresh, cached, 0, output, first_token_us, total_us, 1, airun_sketch_bin(first_token_us), airun_sketch_bin(total_us), id, user_id, 'task',
	status, price_status, source_type, 'service', task_name, provider, model_id, cost
FROM known;
