--
-- The ledger: every charge is entered once, changed by entries, and folded into cubes
-- that are what a recount gives.
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
-- what other tests have left here is put right; the rest has a database of its own, since it
-- checks and rebuilds all of it again and again
DO $$BEGIN PERFORM airun_install(); END$$;
SELECT airun_rebuild_usage() >= 0, airun_rollup(max_ms => 60000) >= 0;
SELECT count(*) FROM airun_check_usage();
\set original :DBNAME
CREATE DATABASE contrib_regression_ledger;
\c contrib_regression_ledger
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
CREATE EXTENSION airun;
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.user_id = '0e000000-0000-4000-8000-0000000000aa';
SELECT count(*) FROM airun_set_price('ledger-a', '{"input": 0.001, "output": 0.002, "cache_read": 0.0005, "cache_write_5m": 0.003}', effective_from => '-infinity');
SELECT count(*) FROM airun_create_run('ledger', id => '0e000000-0000-4000-8000-000000000001');
CREATE FUNCTION pg_temp.entries() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', u.calls, u.kind, u.status, u.price_status, u.source_type, u.service, u.task_name, u.provider, u.model_id, u.served_model,
		'|', u.tokens_input, u.tokens_cache_read, u.tokens_cache_write, u.tokens_output, '|', coalesce(u.cost::text, 'NULL'), '|', u.first_token_us, u.total_us)
	FROM airun.usage_tail u ORDER BY u.ctid
$$;

-- nothing while it goes on, one entry when it ends; R22: disjoint, and no more than the total
SELECT status FROM airun_create_task('0e000000-0000-4000-8000-000000000001', '0e000000-0000-4000-8000-00000000000a', 's', 'n', 'p', model_id => 'ledger-a');
SELECT status FROM airun_update_task('0e000000-0000-4000-8000-00000000000a', 'part');
SELECT pg_temp.entries();
SELECT status FROM airun_complete_task('0e000000-0000-4000-8000-00000000000a', 'part and rest', '{"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 11, "cache_creation_input_tokens": 13}', time_to_first_token => 1.5, total_time => 20);
SELECT pg_temp.entries();
-- said again: none; what comes late: two; R10
SELECT status FROM airun_complete_task('0e000000-0000-4000-8000-00000000000a', 'part and rest');
SELECT count(*) FROM airun.usage_tail;
SELECT status FROM airun_create_task('0e000000-0000-4000-8000-000000000001', '0e000000-0000-4000-8000-00000000000b', model_id => 'ledger-a');
SELECT status FROM airun_cancel_task('0e000000-0000-4000-8000-00000000000b', total_time => 3);
SELECT status FROM airun_cancel_task('0e000000-0000-4000-8000-00000000000b', usage => '{"prompt_tokens": 100}');
SELECT pg_temp.entries() OFFSET 1;
SELECT * FROM airun_check_usage();
SELECT airun_rollup();

-- an expiry gives way to the worker's end
SELECT status FROM airun_create_task('0e000000-0000-4000-8000-000000000001', '0e000000-0000-4000-8000-00000000000c', model_id => 'ledger-a', timeout => '1 us');
SELECT airun_expire_tasks();
SELECT status FROM airun_complete_task('0e000000-0000-4000-8000-00000000000c', 'x', '{"prompt_tokens": 1}', time_to_first_token => 1, total_time => 1);
SELECT calls, status, tokens_input, cost FROM airun.usage_tail ORDER BY ctid;
-- a turn
SELECT airun_start_turn('0e000000-0000-4000-8000-000000000001', '{"role": "user", "content": "x"}', task_id => '0e000000-0000-4000-8000-00000000000d', model_id => 'ledger-a') -> 'task' ->> 'status';
SELECT status FROM airun_fail_task('0e000000-0000-4000-8000-00000000000d', '{"code": "x"}', total_time => 1);
-- R9: rows that come with their end, in an old day; by the view, and many by the table
INSERT INTO ai_tasks (run_id, status, model_id, usage, created_at) VALUES ('0e000000-0000-4000-8000-000000000001', 'completed', 'ledger-b', '{"prompt_tokens": 2}', '2020-02-29 23:59+00');
INSERT INTO airun.tasks (run_id, status, model_id, usage, created_at)
SELECT '0e000000-0000-4000-8000-000000000001', CASE WHEN i % 3 = 0 THEN 'pending' ELSE 'completed' END, 'ledger-b', CASE WHEN i % 3 > 0 THEN '{"prompt_tokens": 2}'::jsonb END, '2020-03-01'
FROM generate_series(1, 9) i;
UPDATE airun.tasks SET status = 'cancelled' WHERE run_id = '0e000000-0000-4000-8000-000000000001' AND status = 'pending';
UPDATE airun.tasks SET metadata = '{"changes": "no charge"}' WHERE run_id = '0e000000-0000-4000-8000-000000000001';
SELECT (at AT TIME ZONE 'UTC')::date = (now() AT TIME ZONE 'UTC')::date AS today, model_id, status, sum(calls), count(*), sum(tokens_input) FROM airun.usage_tail GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT * FROM airun_check_usage();
-- R20: what had no price gets one
SELECT count(*) FROM airun_set_price('ledger-b', '{"input": 0.25}', effective_from => '-infinity');
SELECT tasks, changed FROM airun_reprice(model_id => 'ledger-b');
SELECT * FROM airun_check_usage();
SELECT airun_rollup();
SELECT airun_rollup();
SELECT * FROM airun_check_usage();
SELECT day, zone, model_id, status, price_status, calls, errors, unpriced, tokens_input, cost FROM airun.usage_daily WHERE model_id = 'ledger-b' ORDER BY day, status, price_status;
SELECT quarter AT TIME ZONE 'UTC', sum(calls) FROM airun.usage_clock WHERE model_id = 'ledger-b' GROUP BY 1 ORDER BY 1;
SELECT day, sum(calls), sum(cost) FROM airun.usage_people WHERE model_id = 'ledger-b' GROUP BY 1 ORDER BY 1;
SELECT day, source_type, sum(calls), sum(cost) FROM airun.usage_work WHERE model_id = 'ledger-b' GROUP BY 1, 2 ORDER BY 1;
-- R18: every cube says the same
SELECT a = b AND b = c AND c = d FROM (SELECT (SELECT (sum(calls), sum(cost), sum(total_us))::text FROM airun.usage_clock) a, (SELECT (sum(calls), sum(cost), sum(total_us))::text FROM airun.usage_daily) b,
	(SELECT (sum(calls), sum(cost), sum(total_us))::text FROM airun.usage_people) c, (SELECT (sum(calls), sum(cost), sum(total_us))::text FROM airun.usage_work) d) x;

-- R10, R25: percentiles are the same before and after folding, of tasks as they end and change, and of calls
CREATE TABLE pg_temp.times AS SELECT i, (i * i * 7919 % 60000) / 10.0 AS first, CASE WHEN i % 7 > 0 THEN (i * i * 104729 % 900000) / 10.0 END AS total FROM generate_series(1::bigint, 300) i;
CREATE FUNCTION pg_temp.percentiles() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', group_by, kind, model_id, calls, first_token_p50, first_token_p95, first_token_p99, first_token_avg, '|', total_p50, total_p95, total_p99, total_avg)
	FROM unnest('{kind,user_id,task_name,price_status}'::text[]) AS group_by, airun_usage('-infinity', 'infinity', 'all', 'UTC', ARRAY[group_by, 'model_id'], model_id => 'ledger-times')
$$;
SELECT count((airun_create_task('0e000000-0000-4000-8000-000000000001', ('0e000001-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, model_id => 'ledger-times')).status) FROM pg_temp.times;
SELECT count((airun_complete_task(('0e000001-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'x', time_to_first_token => first, total_time => total)).status) FROM pg_temp.times;
SELECT count((airun_meter(call_id => ('0e000002-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, model_id => 'ledger-times', total_time => total * 2)).status) FROM pg_temp.times;
CREATE TABLE pg_temp.tail AS SELECT * FROM pg_temp.percentiles() AS p;
SELECT airun_rollup();
SELECT count(*), count(*) FILTER (WHERE p IN (SELECT t.p FROM pg_temp.tail t)) FROM pg_temp.percentiles() p;
SELECT count(total_sketch) > 0 FROM airun.usage_clock WHERE model_id = 'ledger-times';
-- with a usage that comes late they are taken out of where they were
SELECT count(*) FROM airun_set_price('ledger-times', '{"input": 0.5}', effective_from => '-infinity');
SELECT count((airun_complete_task(('0e000001-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'x', '{"prompt_tokens": 9}')).price_status) FROM pg_temp.times WHERE i % 7 < 3;
DELETE FROM pg_temp.tail;
INSERT INTO pg_temp.tail SELECT * FROM pg_temp.percentiles();
SELECT airun_rollup();
SELECT count(*), count(*) FILTER (WHERE p IN (SELECT t.p FROM pg_temp.tail t)) FROM pg_temp.percentiles() p;
SELECT p.name, r.exact, abs(CASE p.name WHEN 'p50' THEN u.total_p50 WHEN 'p95' THEN u.total_p95 ELSE u.total_p99 END - r.exact) <= r.exact * 0.01 AS within
FROM (VALUES ('p50', 0.5), ('p95', 0.95), ('p99', 0.99)) p (name, fraction),
	airun_usage('-infinity', 'infinity', 'all', 'UTC', kind => 'task', model_id => 'ledger-times') u,
	LATERAL (SELECT percentile_disc(p.fraction) WITHIN GROUP (ORDER BY total_time) AS exact FROM airun.tasks WHERE model_id = 'ledger-times') r ORDER BY 1;
SELECT * FROM airun_check_usage();
-- a sketch that is another is told, and made anew
UPDATE airun.usage_work SET total_sketch = NULL WHERE model_id = 'ledger-times' AND kind = 'call';
SELECT problem FROM airun_check_usage();
-- a call that the ledger does not know, and one of which it says something else
DELETE FROM airun.usage_ledger WHERE charge_id = '0e000002-0000-4000-8000-000000000001';
UPDATE airun.calls SET tokens_total = 5, tokens_input = 5 WHERE id = '0e000002-0000-4000-8000-000000000002';
SELECT right(task_id::text, 2), problem, expected, found FROM airun_check_usage() WHERE task_id IS NOT NULL;
SELECT airun_rebuild_usage(), airun_rollup();
SELECT * FROM airun_check_usage();
-- what is gone of them stays in the ledger
DELETE FROM airun.calls WHERE model_id = 'ledger-times';
SELECT * FROM airun_check_usage();
SELECT calls FROM airun_usage('-infinity', 'infinity', 'all', kind => 'call', model_id => 'ledger-times');

-- the views: what airun_usage() says, with and without what is not folded
CREATE FUNCTION pg_temp.differences(view text, groups text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	figures constant text := array_to_string(groups || '{calls,errors,unpriced,doubtful,unpriced_tokens,tokens_input,tokens_cache_read,tokens_cache_write,tokens_output,tokens_total,cost,first_token_p50,first_token_p95,first_token_p99,total_p50,total_p95,total_p99}', ', ');
	answer text;
BEGIN
	EXECUTE format('WITH a AS (SELECT to_char(day, ''YYYY-MM-DD''), %1$s, first_token_avg::numeric(20, 6), total_avg::numeric(20, 6) FROM %2$I), '
		'b AS (SELECT bucket, %1$s, first_token_avg::numeric(20, 6), total_avg::numeric(20, 6) FROM airun_usage(''-infinity'', ''infinity'', ''day'', ''UTC'', %3$L)) '
		'SELECT format(''more than 5: %%s, others: %%s'', (SELECT count(*) > 5 FROM a), (SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) x))',
		figures, view, groups) INTO answer;
	RETURN answer;
END $$;
CREATE FUNCTION pg_temp.all_differences() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT pg_temp.differences('ai_usage_daily', '{kind,provider,model_id,served_model,status,price_status}') UNION ALL
	SELECT pg_temp.differences('ai_usage_by_user', '{kind,user_id,provider,model_id}') UNION ALL
	SELECT pg_temp.differences('ai_usage_by_work', '{kind,source_type,service,task_name,model_id,status}') UNION ALL
	SELECT 'clock: ' || count(*) FROM (
		SELECT date_trunc('hour', quarter), model_id, sum(calls), sum(errors), sum(tokens_total), sum(cost) FROM ai_usage_clock GROUP BY 1, 2
		EXCEPT ALL SELECT bucket_start, model_id, calls, errors, tokens_total, cost FROM airun_usage('-infinity', 'infinity', 'hour', 'UTC', '{model_id}')) x UNION ALL
	SELECT 'analytics: ' || count(*) FROM (
		SELECT to_char(day, 'YYYY-MM-DD'), user_id, service, task_name, total_tasks, total_tokens, total_cost, avg_total_time::numeric(20, 6), avg_time_to_first_token::numeric(20, 6) FROM ai_tasks_analytics
		EXCEPT ALL SELECT bucket, user_id, service, task_name, calls, tokens_total, cost, total_avg::numeric(20, 6), first_token_avg::numeric(20, 6)
		FROM airun_usage('-infinity', 'infinity', 'day', 'UTC', '{user_id,service,task_name}', kind => 'task')) x
$$;
INSERT INTO airun.tasks (run_id, status, service, model_id, usage, created_at, total_time)
SELECT '0e000000-0000-4000-8000-000000000001', CASE WHEN i % 3 = 0 THEN 'error' ELSE 'completed' END, 'service ' || i % 2, 'ledger-b', '{"prompt_tokens": 2}', '2020-03-01'::timestamptz + i * interval '7 h', i
FROM generate_series(1, 30) i;
SELECT pg_temp.all_differences();
SELECT airun_rollup();
SELECT pg_temp.all_differences();
SELECT name, source_type, message_count, task_count, total_tokens, total_cost, is_starred, status, user_id FROM ai_runs_summary WHERE id = '0e000000-0000-4000-8000-000000000001';

-- R11, R12: deleted and purged, the money stays
SELECT sum(calls) AS calls, sum(cost) AS cost FROM airun.usage_daily \gset
SELECT airun_delete_run('0e000000-0000-4000-8000-000000000001');
SELECT airun_purge_runs('infinity') > 0;
SELECT sum(calls) = :calls, sum(cost) = :cost FROM airun.usage_daily;
SELECT count(*) FROM airun.usage_tail;
SELECT * FROM airun_check_usage();

-- R7: what is written while triggers rest is missing, told and made good
SELECT count(*) FROM airun_create_run('ledger', id => '0e000000-0000-4000-8000-000000000002');
SET session_replication_role = replica;
INSERT INTO airun.tasks (run_id, task_id, status, completed_at, tokens_input, tokens_total, cost, price_status, created_at) VALUES
	('0e000000-0000-4000-8000-000000000002', '0e000000-0000-4000-8000-0000000000f1', 'completed', '2021-01-01', 4, 4, 0.5, 'priced', '2021-01-01');
RESET session_replication_role;
SELECT task_id, problem, expected, found FROM airun_check_usage();
SELECT airun_rebuild_usage();
SELECT * FROM airun_check_usage();
SELECT airun_rebuild_usage();
-- and so is what has been spoilt: an entry, a cube
DELETE FROM airun.usage_tail;
UPDATE airun.usage_daily SET cost = cost + 1 WHERE model_id = 'ledger-b' AND calls > 2;
SELECT problem, expected, found FROM airun_check_usage() ORDER BY problem, expected COLLATE "C", found COLLATE "C";
SELECT airun_rebuild_usage(), airun_rollup();
SELECT * FROM airun_check_usage();

-- R19: another zone holds for what is folded from then on, until the cubes are made anew
SET airun.report_zone = 'Pacific/Kiritimati';
INSERT INTO airun.tasks (run_id, status, model_id, usage, created_at) VALUES ('0e000000-0000-4000-8000-000000000002', 'completed', 'ledger-z', '{"prompt_tokens": 2}', '2021-06-30 12:00+00');
SELECT airun_rollup();
SELECT day, zone FROM airun.usage_daily WHERE model_id = 'ledger-z';
SELECT * FROM airun_check_usage();
RESET airun.report_zone;
SELECT airun_rebuild_usage();
SELECT day, zone FROM airun.usage_daily WHERE model_id = 'ledger-z';
SET airun.report_zone = 'Nowhere/Land';

-- names as long as tasks take them fit into the keys
INSERT INTO airun.tasks (run_id, status, service, task_name, provider, model_id)
SELECT '0e000000-0000-4000-8000-000000000002', 'completed', string_agg(x, ''), string_agg(x, ''), string_agg(x, ''), string_agg(x, '')
FROM (SELECT chr(120000 + (i * 7919) % 9000) x FROM generate_series(1, 200) i) s;
SELECT airun_rollup();
SELECT * FROM airun_check_usage();
SELECT octet_length(model_id), octet_length(service) FROM airun.usage_work WHERE length(model_id) > 100;

-- refusals
SELECT airun_rollup(0);
SELECT airun_rollup(max_ms => -1);
SELECT airun_rollup(NULL);
-- a publication of all tables does not stop folding
CREATE PUBLICATION ledger_test FOR ALL TABLES;
INSERT INTO airun.tasks (run_id, status, model_id, created_at) VALUES ('0e000000-0000-4000-8000-000000000002', 'completed', 'ledger-z', '2021-06-30');
SELECT airun_rollup();
DROP PUBLICATION ledger_test;

-- who sees what: her own rows, all of them, and no word
CREATE ROLE regress_airun_ledger_user;
CREATE ROLE regress_airun_ledger_reporter;
CREATE ROLE regress_airun_ledger_operator;
SELECT airun_grant('regress_airun_ledger_user'), airun_grant('regress_airun_ledger_reporter', 'reporter'), airun_grant('regress_airun_ledger_operator', 'operator');
SELECT airun_install();
SELECT polname, polrelid::regclass, polroles::regrole[] FROM pg_policy WHERE polname = 'airun_reporter' ORDER BY 2::text;
SET airun.user_id = '0e000000-0000-4000-8000-0000000000bb';
SELECT count(*) > 0 AS others FROM airun.usage_people \gset
CREATE FUNCTION pg_temp.sees(who name, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', who);
	EXECUTE statement INTO answer;
	RESET ROLE;
	RETURN answer;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
SELECT s, pg_temp.sees('regress_airun_ledger_user', s), pg_temp.sees('regress_airun_ledger_reporter', s), pg_temp.sees('regress_airun_ledger_operator', s)
FROM unnest(ARRAY['SELECT count(*) > 0 FROM airun.usage_people', 'SELECT count(*) > 0 FROM airun.usage_ledger', 'SELECT count(*) > 0 FROM airun.usage_daily',
	'SELECT count(*) > 0 FROM airun.usage_work', 'SELECT count(*) > 0 FROM airun.usage_clock', 'SELECT count(*) > 0 FROM airun.tasks', 'SELECT count(*) > 0 FROM airun.runs',
	'SELECT count(*) > 0 FROM ai_usage_daily', 'SELECT count(*) > 0 FROM ai_usage_clock', 'SELECT count(*) > 0 FROM ai_usage_by_work', 'SELECT count(*) > 0 FROM ai_usage_by_user',
	'SELECT count(*) > 0 FROM ai_tasks_analytics', 'SELECT count(*) > 0 FROM ai_runs_summary',
	'SELECT airun_rollup() >= 0', 'SELECT count(*) FROM airun_check_usage()', 'SELECT airun_rebuild_usage()', 'SELECT airun_store_fold(1, 1, ''UTC'')']) s;
-- a right that is lost comes back, at the level that it was
REVOKE EXECUTE ON FUNCTION airun_check_usage() FROM regress_airun_ledger_operator;
SELECT airun_install();
\c :original
SET client_min_messages = error;
DROP DATABASE contrib_regression_ledger;
DROP ROLE regress_airun_ledger_user, regress_airun_ledger_reporter, regress_airun_ledger_operator;
