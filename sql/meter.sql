--
-- Calls of models and tools that belong to no run: metered, priced, and nothing of
-- what was said.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA meter_test;
SET search_path = meter_test, helpers, public;
SET airun.user_id = 'meter test';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT ('00000000-0000-4000-8c11-' || lpad(n::text, 12, '0'))::uuid $$;
-- a call as users see it
CREATE FUNCTION state(n int) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', kind, status, error_code, concat_ws('+', tokens_input, tokens_output) || '=' || tokens_total, 'cost ' || cost, price_status,
		served_model, service_tier, (cost_details -> 'left_out')::text, (cost_details -> 'doubts')::text)
	FROM ai_calls WHERE id = id(n)
$$;
SELECT airun_set_price('meter-1', '{"input": 0.001, "output": 0.002, "cache_read": 0.0001}', effective_from => '-infinity') IS NOT NULL;

--
-- After the fact
--
SELECT (airun_meter(id(1), service => 'titles', task_name => 'title', provider => 'acme', model_id => 'meter-1', source_type => 'chat',
	usage => '{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}', total_time => 12.5, metadata => '{"screen": "list"}')).id = id(1);
SELECT state(1);
SELECT service, task_name, provider, model_id, source_type, usage, usage_buckets, total_time, time_to_first_token, metadata, timeout,
	user_id = airun_user_id(), created_at = completed_at, now() - created_at < '1 min' FROM ai_calls WHERE id = id(1);
-- U2: the same again is the same row, which takes what it lacked, and nothing else
SELECT (airun_meter(id(1), service => 'titles', model_id => 'meter-1', usage => '{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}')).cost;
SELECT (airun_meter(id(1), time_to_first_token => 3, provider_cost => 0.2)).time_to_first_token;
SELECT state(1), count(*) FROM airun.calls WHERE id = id(1);
SELECT c, attempt(format('SELECT airun_meter(id(1), %s)', c)) FROM unnest(ARRAY['model_id => ''other''', 'kind => ''tool''', 'service => ''x''', 'endpoint => ''x''', 'status => ''error''',
	'usage => ''{"prompt_tokens": 1}''']) AS c;
SELECT hint_of('SELECT airun_meter(id(1), status => ''error'')');
-- a late usage is taken once, and priced
SELECT (airun_meter(id(2), model_id => 'meter-1', status => 'canceled')).price_status;
SELECT (airun_meter(id(2), model_id => 'meter-1', status => 'cancelled', usage => '{"prompt_tokens": 7, "completion_tokens": 1}')).cost;
SELECT state(2), attempt('SELECT airun_meter(id(2), status => ''cancelled'', usage => ''{"prompt_tokens": 8, "completion_tokens": 1}'')');
-- without an id each is another call
SELECT (airun_meter()).id <> (airun_meter()).id;
-- the id is taken, whoever has it
SET airun.user_id = 'meter other';
CREATE ROLE regress_airun_meter;
DO $$BEGIN PERFORM airun_grant('regress_airun_meter'); END$$;
GRANT USAGE ON SCHEMA meter_test, helpers TO regress_airun_meter;
SET ROLE regress_airun_meter;
SELECT attempt('SELECT airun_meter(id(1))'), attempt('SELECT airun_start_call(id(1))'), attempt('SELECT airun_end_call(id(1))'), attempt('SELECT airun_end_call(id(99))');
SELECT count(*) FROM ai_calls;
SELECT (airun_meter(id(3), model_id => 'meter-1')).user_id = airun_user_id();
SELECT (SELECT count(*) FROM ai_calls), (SELECT count(*) FROM airun.calls);
-- nobody but the functions writes
SELECT c, attempt(c) FROM unnest(ARRAY['INSERT INTO airun.calls DEFAULT VALUES', 'UPDATE airun.calls SET cost = 0', 'DELETE FROM airun.calls', 'UPDATE ai_calls SET cost = 0', 'INSERT INTO ai_calls (kind) VALUES (''call'')',
	'DELETE FROM ai_calls', 'TRUNCATE airun.calls']) AS c;
SET airun.user_id = '';
SELECT attempt('SELECT airun_meter()'), attempt('SELECT airun_start_call()'), attempt('SELECT airun_end_call(id(3))'), attempt('SELECT airun_expire_calls()');
RESET ROLE;
SET airun.user_id = 'meter test';
-- who may not create tasks meters nothing, whatever EXECUTE he has
REVOKE INSERT ON airun.tasks FROM regress_airun_meter;
SET ROLE regress_airun_meter;
SELECT attempt('SELECT airun_meter()');
RESET ROLE;

--
-- Always taken: what is wrong is left out, with the reason
--
SELECT (airun_meter(id(10), model_id => 'meter-1', usage => '{"prompt_tokens": -5, "completion_tokens": "many", "total_tokens": 3}', tokens_input => -1, tokens_output => 9000000000000000000,
	cost => 'NaN', total_time => -1, provider_cost => 'Infinity', time_to_first_token => 1e13)).status;
SELECT state(10);
SELECT (airun_meter(id(11), model_id => repeat('m', 201), service => repeat('s', 300), endpoint => repeat('e', 2001), service_tier => repeat('t', 201), error_code => 'all that was said', status => 'error',
	metadata => jsonb_build_object('prompt', repeat('x', 1100)), usage => '"nothing"')).status;
SELECT state(11), metadata, model_id, service, usage FROM ai_calls WHERE id = id(11);
-- U4: metadata
SELECT octet_length(metadata::text), metadata IS DISTINCT FROM '{}' FROM (SELECT (airun_meter(metadata => jsonb_build_object('k', repeat('x', n)))).metadata FROM unnest(ARRAY[1015, 1016]) AS n) AS m;
SELECT (airun_meter(metadata => '[1]')).cost_details;
-- a usage that is a whole answer: its figures are kept, and words
SELECT (airun_meter(id(12), model_id => 'meter-1', usage => '{"model": "meter-1", "service_tier": "default", "choices": [{"message": {"role": "assistant", "content": "The secret is 42"}, "finish_reason": "stop"}, "loose words here"],
	"a key of words": {"prompt_tokens": 1}, "usage": {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}}')).usage;
SELECT state(12);
SELECT count(*) FROM airun.calls AS c WHERE c::text ~ 'secret|loose|key of';
-- counted, and too long to be kept
SELECT (airun_meter(id(13), model_id => 'meter-1', usage => (SELECT jsonb_object_agg(rpad('k' || n, 60, 'x'), n) FROM generate_series(1, 120) AS n) || '{"prompt_tokens": 5, "completion_tokens": 1}')).usage;
SELECT state(13);
SELECT attempt('SELECT airun_meter(kind => ''run'')'), attempt('SELECT airun_meter(kind => NULL)'), attempt('SELECT airun_meter(status => ''pending'')'), attempt('SELECT airun_meter(status => ''odd'')'), attempt('SELECT airun_meter(status => NULL)');

--
-- Tools: their stated cost is their cost, where no price says another
--
SELECT (airun_meter(id(20), kind => 'tool', task_name => 'web_search', provider => 'searcher', cost => 0.005)).cost;
SELECT state(20);
SELECT (airun_meter(id(21), kind => 'tool', task_name => 'web_search')).price_status;
SELECT (airun_meter(id(21), kind => 'tool', cost => 0.007)).cost;
SELECT (airun_meter(id(22), kind => 'tool', cost => 5, billed => false)).cost, (airun_meter(id(23), kind => 'tool', cost => -5)).cost, (airun_meter(id(24), cost => 0.5)).cost;
SELECT state(n) FROM generate_series(21, 24) AS n;

--
-- With a lease
--
SELECT (airun_start_call(id(30), service => 'titles', model_id => 'meter-1', timeout => '1 min')).status;
SELECT (airun_start_call(id(30), service => 'titles', model_id => 'meter-1')).status, attempt('SELECT airun_start_call(id(30), model_id => ''other'')');
SELECT state(30), completed_at, total_time, timeout FROM ai_calls WHERE id = id(30);
SELECT (airun_end_call(id(30), '{"prompt_tokens": 10, "completion_tokens": 5}')).cost;
SELECT state(30), total_time > 0, completed_at > created_at FROM ai_calls WHERE id = id(30);
SELECT (airun_end_call(id(30), '{"prompt_tokens": 10, "completion_tokens": 5}')).cost, attempt('SELECT airun_end_call(id(30), status => ''error'')'), attempt('SELECT airun_end_call(id(30), ''{"prompt_tokens": 11}'')');
SELECT (airun_end_call(id(30), provider_cost => 3)).provider_cost, (airun_start_call(id(30))).status;
-- metering ends what was begun
SELECT (airun_start_call(id(31), model_id => 'meter-1')).status, (airun_meter(id(31), tokens_input => 1, tokens_output => 1)).cost;
SELECT attempt('SELECT airun_start_call(timeout => ''0'')'), attempt('SELECT airun_start_call(service => repeat(''s'', 201))'), attempt('SELECT airun_start_call(metadata => jsonb_build_object(''k'', repeat(''x'', 1016)))'),
	attempt('SELECT airun_start_call(metadata => ''5'')'), attempt('SELECT airun_end_call(NULL)'), attempt('SELECT airun_end_call(id(30), status => ''streaming'')');
-- U7: a beginning without an end expires; the true end counts all the same
SELECT (airun_start_call(id(40), model_id => 'meter-1', timeout => '1 us')).status, (airun_start_call(id(41), model_id => 'meter-1', timeout => '1 us')).status, (airun_start_call(id(42), model_id => 'meter-1')).status;
SELECT pg_sleep(0.001);
SET airun.user_id = 'meter other';
GRANT INSERT ON airun.tasks TO regress_airun_meter;
SET ROLE regress_airun_meter;
SELECT airun_expire_calls();
RESET ROLE;
SET airun.user_id = 'meter test';
SELECT airun_expire_calls(1), airun_expire_calls(), airun_expire_calls();
SELECT state(n) FROM generate_series(40, 42) AS n;
SELECT (airun_end_call(id(40), '{"prompt_tokens": 10, "completion_tokens": 5}')).cost, (airun_end_call(id(41), status => 'error', error_code => 'rate_limited')).cost;
SELECT state(n) FROM generate_series(40, 41) AS n;
SELECT attempt('SELECT airun_expire_calls(0)'), attempt('SELECT airun_expire_calls(NULL)'), attempt('SELECT airun_expire_calls(10001)');
SELECT (airun_end_call(id(42))).status;

--
-- Charged again, and waiting for a price
--
SELECT (airun_meter(id(50), model_id => 'meter-late', tokens_input => 10, tokens_output => 1)).price_status, (airun_meter(id(51), kind => 'tool', model_id => 'meter-late', cost => 0.3)).price_status;
SELECT model_id, tasks, tokens FROM ai_unpriced_models WHERE model_id LIKE 'meter-%';
SELECT * FROM airun_reprice(model_id => 'meter-late', dry_run => true);
SELECT airun_set_price('meter-late', '{"input": 0.001, "output": 0.002}', effective_from => '-infinity') IS NOT NULL;
SELECT * FROM airun_reprice(model_id => 'meter-late', dry_run => true);
SELECT state(50);
SELECT * FROM airun_reprice(model_id => 'meter-late');
SELECT * FROM airun_reprice(model_id => 'meter-late', all_tasks => true);
SELECT state(50), state(51);

--
-- The ledger has what the calls say, whatever has become of them since
--
-- one entry for a call that has not changed, three for one that has, and none before its end
SELECT right(charge_id::text, 2), kind, calls, status, price_status, tokens_input, tokens_cache_read, tokens_output, cost, sign(total_us), source_type, service, task_name, provider, model_id, served_model, user_id = airun_user_id()
FROM airun.usage_tail WHERE charge_id IN (id(1), id(12), id(20), id(40), id(50)) ORDER BY charge_id, ctid;
SELECT (airun_start_call(id(60))).status, (SELECT count(*) FROM airun.usage_tail WHERE charge_id = id(60));
-- and the same in sum, for each
SELECT count(*) FROM airun.calls AS c
LEFT JOIN (SELECT charge_id, sum(calls) AS calls, sum(cost) AS cost, sum(tokens_input + tokens_cache_read + tokens_cache_write + tokens_output) AS tokens FROM airun.usage_tail GROUP BY 1) AS u ON u.charge_id = c.id
WHERE c.user_id = airun_user_id() AND (coalesce(u.calls, 0), coalesce(u.cost, 0), coalesce(u.tokens, 0)) <> ((c.completed_at IS NOT NULL)::int, coalesce(c.cost, 0), coalesce(c.tokens_total, 0));
-- money stays
BEGIN; DELETE FROM airun.calls WHERE id = id(1); SELECT sum(calls), sum(cost) FROM airun.usage_tail WHERE charge_id = id(1); ROLLBACK;

--
-- U1: in no list and in no conversation
--
SELECT count(*) FROM airun_list_runs(), ai_tasks, ai_messages;
-- what a view shows is what the function returns
SELECT count(*) FROM ai_calls AS c WHERE to_jsonb(c) = to_jsonb(airun_meter(c.id, status => c.status, kind => c.kind)) AND c.completed_at IS NOT NULL AND c.user_id = airun_user_id();
SELECT count(*) > 20 FROM ai_calls;
SELECT * FROM airun_check() WHERE problem LIKE '%call%';
-- which tells what is wrong
BEGIN;
UPDATE airun.calls SET status = 'streaming', tokens_total = 0, cost = -1, kind = 'odd', price_status = 'odd' WHERE id = id(1);
SELECT task_id, problem, expected, found FROM airun_check() WHERE task_id = id(1) ORDER BY problem;
ROLLBACK;

RESET airun.user_id;
DELETE FROM airun.usage_tail WHERE charge_id IN (SELECT id FROM airun.calls);
DELETE FROM airun.calls;
DELETE FROM airun.prices WHERE model LIKE 'meter-%';
REVOKE ALL ON SCHEMA meter_test, helpers FROM regress_airun_meter;
DROP OWNED BY regress_airun_meter;
DROP ROLE regress_airun_meter;
DROP SCHEMA meter_test CASCADE;
