--
-- What was served is what is priced; what the provider states; prices that come late or can hardly be meant
--
\set VERBOSITY terse
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.user_id = 'served';
CREATE SCHEMA served_test;
SET search_path = served_test, public;
CREATE FUNCTION refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; d text; BEGIN EXECUTE command; RETURN 'nothing was refused';
EXCEPTION WHEN others THEN GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL; RETURN concat_ws(' | ', SQLSTATE, regexp_replace(m, '"[0-9a-f-]{36}"', 'ID'), nullif(d, '')); END $$;
CREATE FUNCTION price(model text, rates jsonb, provider text DEFAULT NULL, tiers jsonb DEFAULT NULL, multipliers jsonb DEFAULT NULL) RETURNS bool LANGUAGE sql AS
	$$SELECT airun_set_price(model, rates, provider, '2020-01-01', per_tokens => 1000000, service_tiers => tiers, multipliers => multipliers) IS NOT NULL$$;
SELECT price('s-asked', '{"input": 10, "output": 50}', 'anthropic'), price('s-other', '{"input": 5, "output": 25}', 'anthropic'),
	price('s-chat', '{"input": 1, "cache_read": 0.1, "output": 10}', 'openai', '{"priority": {"input": 2, "output": 20}}', '{"region": {"eu": 1.1, "us": 1.2}, "speed": {"fast": 6}}'),
	price('s-any', '{"input": 1, "output": 1}', 'openai', NULL, '{"region": {"*": 1.5}}'),
	price('s-flash', '{"input": 0.14, "output": 0.28}', 'deepseek'), price('eu.anthropic.s-other-v1:0', '{"input": 5.5, "output": 27.5}', 'bedrock');
SELECT id AS run FROM airun_create_run() \gset
-- a task of a model that ends with 1000 in and 1000 out: what became of it
CREATE FUNCTION ended(answer jsonb, model text DEFAULT 's-chat', provider text DEFAULT 'openai', usage jsonb DEFAULT '{"prompt_tokens": 1000, "completion_tokens": 1000}',
	endpoint text DEFAULT NULL, served_model text DEFAULT NULL, service_tier text DEFAULT NULL, billed bool DEFAULT NULL, provider_cost numeric DEFAULT NULL,
	cost numeric DEFAULT NULL, metadata jsonb DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', e.price_status, coalesce(e.cost::text, 'no cost'), e.served_model, 'tier ' || e.service_tier, 'region ' || e.region, 'speed ' || e.speed,
		'stated ' || e.provider_cost, 'billed ' || e.billed, e.cost_details ->> 'doubts', e.cost_details ->> 'left_out')
	FROM airun_create_task((SELECT id FROM ai_runs WHERE user_id = airun_user_id()), provider => ended.provider, model_id => model, endpoint => ended.endpoint, metadata => ended.metadata) AS t,
	LATERAL airun_complete_task(t.task_id, usage => ended.usage, response_data => answer, served_model => ended.served_model, service_tier => ended.service_tier,
		billed => ended.billed, provider_cost => ended.provider_cost, cost => ended.cost) AS e
$$;

--
-- The model that answered
--
SELECT ended('{"model": "s-other"}', 's-asked', 'anthropic');
SELECT ended(NULL, 's-asked', 'anthropic', served_model => 's-other');
-- what is stated goes before what the answer says, and what the answer says before what was asked for
SELECT ended('{"model": "s-asked"}', 's-asked', 'anthropic', served_model => 's-other'), ended('{"model": "s-other"}', NULL, 'anthropic');
-- one that has no price is not charged as another one
SELECT ended('{"model": "s-unheard"}', 's-asked', 'anthropic');
-- another name of the same model: the price of the provider that was asked counts
SELECT ended('{"model": "s-other-20260101"}', 'eu.anthropic.s-other-v1:0', 'bedrock'), ended('{"model": ""}', 's-other', 'anthropic'), ended('{"model": 5}', 's-other', 'anthropic');

--
-- Tier, region, speed
--
SELECT ended('{"service_tier": "priority"}'), ended('{"service_tier": "default"}'), ended('{"service_tier": "auto"}'), ended(NULL, service_tier => 'Fast'), ended('{"service_tier": "priority"}', service_tier => 'standard');
SELECT ended(NULL, usage => '{"prompt_tokens": 1000, "completion_tokens": 1000, "service_tier": "priority"}'), ended('{"serviceTier": {"type": "priority"}}'),
	ended(NULL, usage => '{"promptTokenCount": 1000, "candidatesTokenCount": 1000, "totalTokenCount": 2000, "trafficType": "ON_DEMAND_PRIORITY"}');
-- what the price says nothing of: no cost rather than a wrong one; a rate that lacks in a tier is in doubt
SELECT ended('{"service_tier": "batch"}'), ended(NULL, usage => '{"promptTokenCount": 1, "totalTokenCount": 1, "trafficType": "PROVISIONED_THROUGHPUT"}');
SELECT ended('{"service_tier": "priority"}', usage => '{"prompt_tokens": 1000, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 400}}');
SELECT ended('{"usage": {"inference_geo": "us"}}'), ended('{"usage": {"inference_geo": "global", "speed": "standard"}}'), ended('{"usage": {"inference_geo": "mars"}}'), ended('{"usage": {"inference_geo": "mars"}}', 's-any');
SELECT ended('{"usage": {"speed": "fast"}}'), ended('{"usage": {"speed": "fast", "inference_geo": "us"}}'), ended('{"performanceConfig": {"latency": "optimized"}}'), ended('{"usage": {"speed": "fast"}}', 's-any');
-- the host that was called counts where the price knows its region
SELECT ended(NULL, endpoint => 'https://eu.api.openai.com/v1/responses'), ended(NULL, endpoint => 'https://api.openai.com/v1'), ended(NULL, endpoint => 'https://me-west1-aiplatform.googleapis.com/v1'), ended(NULL, 's-any', endpoint => 'us-east5-aiplatform.googleapis.com:443');
-- the details name them, and a price by itself charges them, too
SELECT d ->> 'service_tier', d ->> 'region', d ->> 'region_factor', d ->> 'speed', d ->> 'speed_factor', d -> 'cost'
FROM airun_cost_details('s-chat', '{"input_tokens": 1000, "output_tokens": 0, "cache_read_input_tokens": 0, "service_tier": "priority", "inference_geo": "us", "speed": "fast"}', 'openai') AS d;
SELECT airun_cost('s-chat', '{"model": "s-other", "serviceTier": {"type": "priority"}, "usage": {"inputTokens": 1000, "outputTokens": 0}}', 'openai');

--
-- What the provider states
--
\set or '{"prompt_tokens": 1000, "completion_tokens": 500, "cost": 0.00042, "is_byok": false, "cost_details": {"upstream_inference_cost": 0.0004}}'
-- where there is no price of its own; beside ours; and where the setting says so
SELECT ended(NULL, 'deepseek/s-flash', 'openrouter', :'or'), ended(NULL, 's-nobody', 'openrouter', :'or'), ended(NULL, 's-flash', 'deepseek', :'or'), ended(NULL, 's-flash', NULL, :'or'), ended(NULL, 'deepseek/s-flash', NULL, :'or');
SET airun.cost_source = 'provider';
SELECT ended(NULL, 's-flash', 'deepseek', :'or'), ended(NULL, 's-flash', 'deepseek', '{"prompt_tokens": 1000, "completion_tokens": 500}');
SELECT d -> 'cost', d -> 'cost_source', d -> 'price_cost', d -> 'provider_cost', d ->> 'model' FROM (SELECT cost_details FROM ai_tasks WHERE price_status = 'provider' ORDER BY created_at DESC, task_id DESC LIMIT 1) AS t (d);
RESET airun.cost_source;
SELECT refusal('SET airun.cost_source = neither');
CREATE ROLE served_user;
GRANT USAGE ON SCHEMA served_test TO served_user;
SET ROLE served_user;
SELECT refusal('SET airun.cost_source = provider');
RESET ROLE;
SHOW airun.cost_source;
REVOKE USAGE ON SCHEMA served_test FROM served_user;
DROP ROLE served_user;
-- with a key of one's own, what its provider charges comes on top of the fee; where that is not said, nothing is
SELECT ended(NULL, 's-nobody', 'openrouter', '{"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.00002, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.0004}}'),
	ended(NULL, 's-nobody', 'openrouter', '{"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.00002, "is_byok": true}');
-- in the words of others, and as an argument, which goes before them
SELECT ended('{"response_cost": "2.1e-4"}', 's-nobody'), ended('{"_hidden_params": {"response_cost": 0.00021}}', 's-nobody'), ended('{"usage": {"cost": {"total_cost": 0.006}}}', 's-nobody'),
	ended('{"usage": {"cost_in_usd_ticks": 18000000}}', 's-nobody'), ended('{"providerMetadata": {"gateway": {"cost": "0.0045405"}}}', 's-nobody'), ended('{"response_cost": 1}', 's-nobody', provider_cost => 0.5);
-- no amount is none, and an absurd one is left out; so is a word that is too long.  The end stands.
SELECT ended('{"response_cost": -1}', 's-nobody'), ended('{"response_cost": "free"}', 's-nobody'), ended('{"response_cost": {"a": 1}}', 's-nobody'), ended(NULL, 's-nobody', provider_cost => -1), ended(NULL, 's-nobody', provider_cost => 'NaN');
SELECT ended('{"usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": -0.5}}', 's-nobody'), ended('{"usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": 1e400}}', 's-nobody'), ended('{"usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": ""}}', 's-nobody'), ended('{"usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": -1, "raw": {"cost": 0.5}}}', 's-nobody');
SELECT ended(NULL, served_model => repeat('m', 201)), ended(NULL, service_tier => repeat('t', 201)), ended(jsonb_build_object('model', repeat('m', 201)));

--
-- What was not billed
--
SELECT ended(NULL, billed => false), ended(NULL, billed => true), ended(NULL, 's-nobody', billed => false), ended('{"response_cost": 5}', billed => false);
-- an answer from a cache that is said to cost nothing; what only one of both is, is billed
SELECT ended(NULL, cost => 0, metadata => '{"cache_hit": true}'), ended(NULL, cost => 0), ended(NULL, metadata => '{"cache_hit": true}'), ended(NULL, cost => 1, metadata => '{"cache_hit": true}'),
	ended('{"_hidden_params": {"cache_hit": true, "response_cost": 0}}'), ended(NULL, cost => 0, metadata => '{"cache_hit": true}', billed => true);

--
-- The other ways to end a task
--
CREATE FUNCTION shown(task uuid) RETURNS text LANGUAGE sql AS
	$$SELECT concat_ws(' | ', status, price_status, cost, served_model, service_tier, region, speed, billed, provider_cost, tokens_total) FROM ai_tasks WHERE task_id = task$$;
SELECT shown(e.task_id) FROM airun_create_task(:'run', provider => 'anthropic', model_id => 's-asked') AS t,
	LATERAL airun_fail_task(t.task_id, '{"code": 529}', response_data => '{"model": "s-other", "usage": {"input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 0}}') AS e;
SELECT shown(e.task_id) FROM airun_create_task(:'run', provider => 'openai', model_id => 's-chat') AS t,
	LATERAL airun_cancel_task(t.task_id, tokens_input => 10, tokens_output => 1, served_model => 's-chat-2026-01-01', service_tier => 'priority', provider_cost => 0.5) AS e;
SELECT shown((airun_finish_turn(t.task_id, response_text => 'Ahoy.', tokens_input => 10, tokens_output => 1, billed => false) -> 'task' ->> 'task_id')::uuid) FROM airun_create_task(:'run', provider => 'openai', model_id => 's-chat') AS t;
\set answer '{"model": "s-chat", "service_tier": "priority", "usage": {"prompt_tokens": 1000, "completion_tokens": 1, "total_tokens": 1001, "cost": 7}}'
INSERT INTO ai_tasks (run_id, provider, model_id, status, response_data) VALUES (:'run', 'openai', 's-chat', 'completed', :'answer') RETURNING shown(task_id), service_tier, provider_cost;
SELECT task_id AS t FROM airun_create_task(:'run', provider => 'openai', model_id => 's-chat') \gset
UPDATE ai_tasks SET status = 'completed', served_model = 's-any', billed = true, response_data = :'answer' WHERE task_id = :'t';
SELECT shown(:'t');
SELECT refusal(format('UPDATE ai_tasks SET service_tier = %L WHERE task_id = %L', 'flex', :'t')), refusal(format('UPDATE ai_tasks SET region = %L WHERE task_id = %L', 'eu', :'t'));
-- what is said before the end counts at the end, and the view's way with a word that is too long is the functions'
SELECT task_id AS t FROM airun_create_task(:'run', provider => 'openai', model_id => 's-chat') \gset
UPDATE ai_tasks SET response_data = :'answer', provider_cost = -5, served_model = repeat('m', 201) WHERE task_id = :'t';
SELECT shown(:'t');
SELECT cost_details -> 'left_out' FROM airun_complete_task(:'t', 'Ahoy.');
SELECT shown(:'t');

--
-- Prices that come late
--
SELECT provider, model_id, served_model, service_tier, region, speed, tasks FROM ai_unpriced_models WHERE model_id <> 's-nobody' ORDER BY 1, 2, 3, 4, 5, 6;
SET airun.user_id = 'late';
SELECT id AS run FROM airun_create_run() \gset
SELECT count(airun_complete_task(task_id, usage => '{"input": 1000, "output": 100}')) FROM (SELECT (airun_create_task(:'run', provider => 'acme', model_id => 's-late')).task_id FROM generate_series(1, 3)) AS t;
SELECT model_id, tasks, changed, reason FROM airun_reprice(model_id => 's-late');
-- one that is not in force yet then, one that is, and the same again
SELECT airun_set_price('s-late', '{"input": 1, "output": 2}', 'acme', now() + interval '1 day', per_tokens => 1000000) IS NOT NULL;
SELECT airun_set_price('s-late', '{"input": 1, "output": 2}', 'acme', clock_timestamp(), per_tokens => 1000000) IS NOT NULL;
SELECT model_id, tasks, changed, reason FROM airun_reprice(model_id => 's-late');
SELECT airun_set_price('s-late', '{"input": 1, "output": 2}', 'acme', '2020-01-01', per_tokens => 1000000) IS NOT NULL;
SELECT airun_set_price('s-late', '{"input": 1, "output": 2}', 'acme', '2020-01-01', per_tokens => 1000000) IS NOT NULL;
SELECT model_id, tasks, changed, cost_after, reason FROM airun_reprice(model_id => 's-late');
SELECT model_id, tasks, changed, reason FROM airun_reprice(model_id => 's-late', all_tasks => true);
-- an import says it in its result; the model that answered is the one that is looked for
SELECT count(airun_complete_task(task_id, usage => '{"input": 1000, "output": 100}', served_model => 's-import')) FROM (SELECT (airun_create_task(:'run', provider => 'acme', model_id => 's-auto')).task_id FROM generate_series(1, 2)) AS t;
\set list '{"s-import": {"litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}, "s-unused": {"litellm_provider": "acme", "mode": "chat", "input_cost_per_token": 1e-6}}'
SELECT model, action, regexp_replace(reason, ' from 2\S+ \S+ ', ' from TIME ') FROM airun_import_prices(:'list');
SELECT model, action, regexp_replace(reason, ' from 2\S+ \S+ ', ' from TIME ') FROM airun_import_prices(:'list', effective_from => '2020-01-01');
SELECT model_id, tasks, changed, cost_after, reason FROM airun_reprice(model_id => 's-import');
SELECT model, action, reason FROM airun_import_prices(:'list', effective_from => '2020-01-01');

--
-- Rates that can hardly be meant
--
CREATE FUNCTION odd(rates jsonb, model text DEFAULT 's-odd') RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(': ', action, reason) FROM airun_import_prices(jsonb_build_object(model, '{"litellm_provider": "odd", "mode": "chat"}'::jsonb || rates), 'litellm')
$$;
SELECT odd('{"input_cost_per_token": 0.015, "output_cost_per_token": 0.06}', 'odd/s-1'), odd('{"input_cost_per_token": 1e-6, "output_cost_per_token": 6e-4}', 'odd/s-2'), odd('{"input_cost_per_token": 1e-4, "output_cost_per_token": 1e-6}', 'odd/s-3');
SELECT odd('{"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "cache_read_input_token_cost": 1e-5}', 'odd/s-4'), odd('{"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "output_cost_per_token_priority": 1e-3}', 'odd/s-5'),
	odd('{"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "input_cost_per_token_above_200k_tokens": 1e-4}', 'odd/s-6');
-- beside what others charge for the model; what is dear, and known to be, is not odd
SELECT odd('{"input_cost_per_token": 1e-4, "output_cost_per_token": 1e-3}', 'odd/s-chat'), odd('{"input_cost_per_token": 1.5e-4, "output_cost_per_token": 6e-4}', 'odd/s-dear'), odd('{"input_cost_per_token": 2e-6, "output_cost_per_token": 1.1e-5}', 'odd/s-other');
SELECT airun_set_price('s-mistyped', '{"input": 3, "output": 15}') IS NOT NULL;

--
-- Multipliers
--
SELECT model, multipliers FROM airun.prices WHERE model = 's-uplift' UNION ALL SELECT model, NULL FROM airun_import_prices('{"s-uplift": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
	"regional_processing_uplift_multiplier_eu": 1.1, "regional_processing_uplift_multiplier_us": "1.1", "regional_endpoint_uplift_multiplier": 1.2, "provider_specific_entry": {"us": 1.3, "fast": 6.0, "note": "x"}}}', effective_from => '2020-01-01');
SELECT multipliers FROM airun.prices WHERE model = 's-uplift';
SELECT airun_cost('s-uplift', '{"input_tokens": 1000, "output_tokens": 0, "inference_geo": "eu"}', 'openai'), airun_cost('s-uplift', '{"input_tokens": 1000, "output_tokens": 0, "inference_geo": "asia", "speed": "fast"}', 'openai');
SELECT refusal(format('SELECT airun_set_price(%L, %L, multipliers => %L)', 's-bad', '{"input": 1e-6}', m)) FROM unnest('{[],"{\"zone\": {\"us\": 1}}","{\"region\": 2}","{\"region\": {\"us\": \"2\"}}","{\"speed\": {\"fast\": -1}}"}'::text[]) AS m;
SELECT action, reason FROM airun_import_prices('{"s-worse": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, "regional_processing_uplift_multiplier_eu": "much"}}');

-- tokens of one side that are stated by hand are as doubtful as a usage of one side
SELECT count(airun_set_price('s-sided', '{"input": 1e-6, "output": 2e-6}', effective_from => '2020-01-01')) + count(airun_set_price('s-unsided', '{"input": 1e-6, "output": 0}', effective_from => '2020-01-01'));
SELECT t.model_id, t.price_status, t.cost, t.cost_details -> 'doubts' AS doubts FROM airun_create_run() AS r, unnest('{s-sided,s-unsided}'::text[]) AS m, LATERAL (VALUES (1, '{"prompt_tokens": 5}'::jsonb, NULL, NULL), (2, NULL, 5, NULL), (3, NULL, NULL, 5), (4, NULL, 5, 0)) AS v (n, usage, input, output),
	LATERAL airun_create_task(r.id, task_name => v.n::text, model_id => m) AS c, LATERAL airun_complete_task(c.task_id, usage => v.usage, tokens_input => input, tokens_output => output) AS t ORDER BY m, v.n;
SELECT * FROM airun_check();
DELETE FROM airun.runs WHERE user_id IN (SELECT DISTINCT user_id FROM ai_tasks WHERE model_id ~ '^s-');
DELETE FROM airun.prices WHERE model ~ '(^|[./])s-';
SET client_min_messages = warning;
DROP SCHEMA served_test CASCADE;
