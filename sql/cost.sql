--
-- What a request has cost: rates, tiers, windows of time, and the price that a name means
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA cost_test;
SET search_path = cost_test, helpers, public;
-- which price a name means
CREATE FUNCTION found(model text, provider text DEFAULT NULL, at timestamptz DEFAULT '2026-06-01Z') RETURNS text LANGUAGE sql STABLE AS $$
	SELECT format('%s (%s): %s', model, coalesce(provider, '-'), coalesce(d ->> 'reason',
		concat_ws(' ', d ->> 'source', coalesce(d ->> 'provider', '-') || '/' || (d ->> 'model'), d ->> 'matched_by', d ->> 'matched_name')))
	FROM airun_cost_details(model, '{"input": 1}', provider, at) d
$$;
-- without a book nothing is known
SELECT airun_cost('gpt-4o', '{"input": 1}') IS NULL, airun_cost_details('gpt-4o', '{"input": 1}');

--
-- The golden figures
--
CREATE TABLE lists (document jsonb);
INSERT INTO lists VALUES ('{
	"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 2.5e-6, "cache_read_input_token_cost": 1.25e-6, "output_cost_per_token": 1e-5,
		"input_cost_per_token_priority": 4.25e-6, "cache_read_input_token_cost_priority": 2.125e-6, "output_cost_per_token_priority": 1.7e-5},
	"claude-sonnet-4": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-6, "cache_read_input_token_cost": 3e-7, "cache_creation_input_token_cost": 3.75e-6, "output_cost_per_token": 1.5e-5,
		"input_cost_per_token_above_200k_tokens": 6e-6, "cache_read_input_token_cost_above_200k_tokens": 6e-7, "cache_creation_input_token_cost_above_200k_tokens": 7.5e-6, "output_cost_per_token_above_200k_tokens": 2.25e-5},
	"claude-sonnet-4-5": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-6, "cache_creation_input_token_cost": 3.75e-6, "cache_creation_input_token_cost_above_1hr": 6e-6, "output_cost_per_token": 1.5e-5,
		"cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-5, "input_cost_per_token_above_200k_tokens": 6e-6},
	"gemini-2.5-pro": {"litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 1.25e-6, "cache_read_input_token_cost": 1.25e-7, "output_cost_per_token": 1e-5,
		"input_cost_per_token_above_200k_tokens": 2.5e-6, "cache_read_input_token_cost_above_200k_tokens": 2.5e-7, "output_cost_per_token_above_200k_tokens": 1.5e-5},
	"gpt-5.6-sol": {"litellm_provider": "openai", "input_cost_per_token": 5e-6, "cache_read_input_token_cost": 5e-7, "cache_creation_input_token_cost": 6.25e-6, "output_cost_per_token": 3e-5,
		"input_cost_per_token_above_272k_tokens": 1e-5, "cache_read_input_token_cost_above_272k_tokens": 1e-6, "cache_creation_input_token_cost_above_272k_tokens": 1.25e-5, "output_cost_per_token_above_272k_tokens": 4.5e-5,
		"input_cost_per_token_flex": 2.5e-6, "cache_read_input_token_cost_flex": 2.5e-7, "cache_creation_input_token_cost_flex": 3.125e-6, "output_cost_per_token_flex": 1.5e-5,
		"input_cost_per_token_above_272k_tokens_flex": 5e-6, "cache_read_input_token_cost_above_272k_tokens_flex": 5e-7, "cache_creation_input_token_cost_above_272k_tokens_flex": 6.25e-6, "output_cost_per_token_above_272k_tokens_flex": 2.25e-5,
		"input_cost_per_token_priority": 1e-5, "output_cost_per_token_batches": 1.5e-5},
	"grok-x": {"litellm_provider": "xai", "input_cost_per_token": 3e-6, "output_cost_per_token": 1.5e-5, "input_cost_per_token_above_128k_tokens": 6e-6, "output_cost_per_token_above_128k_tokens": 3e-5},
	"tiered": {"litellm_provider": "dashscope", "output_cost_per_token": 9e-6, "output_cost_per_reasoning_token": 8e-6, "input_cost_per_token_above_10k_tokens": 9, "tiered_pricing": [
		{"range": [0, 1000], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "cache_read_input_token_cost": 2e-7}, {"range": [1000, 2000], "input_cost_per_token": 3e-6, "output_cost_per_reasoning_token": 7e-6}]},
	"tiered-hour": {"litellm_provider": "dashscope", "cache_creation_input_token_cost_above_1hr": 5e-6, "tiered_pricing": [
		{"range": [0, 1000], "input_cost_per_token": 1e-6, "cache_creation_input_token_cost_above_1hr": 2e-6}, {"range": [1000, 2000], "input_cost_per_token": 3e-6, "cache_creation_input_token_cost": 4e-6}]},
	"hour-above": {"litellm_provider": "anthropic", "input_cost_per_token": 3e-6, "cache_creation_input_token_cost": 4e-6, "cache_creation_input_token_cost_above_1hr": 6e-6, "cache_creation_input_token_cost_above_1k_tokens": 8e-6},
	"peak": {"litellm_provider": "deepseek", "input_cost_per_token": 2e-6, "output_cost_per_token": 4e-6, "input_cost_per_token_above_128k_tokens": 3e-6,
		"off_peak_pricing": {"hours_utc": "16:30-00:30", "input_cost_per_token": 1e-6}},
	"weekend": {"litellm_provider": "deepseek", "input_cost_per_token": 2e-6, "off_peak_pricing": {"weekday_timezone": "Asia/Shanghai", "windows": [{"hours_utc": "00:00-00:00", "weekdays": [6, "sunday"]}], "input_cost_per_token": 1e-6}},
	"searcher": {"litellm_provider": "anthropic", "input_cost_per_token": 1e-6, "search_context_cost_per_query": {"search_context_size_medium": 0.01}},
	"hearing": {"litellm_provider": "openai", "input_cost_per_second": 0.0002833333333333333},
	"painter": {"litellm_provider": "openai", "input_cost_per_token": 5e-6, "input_cost_per_image_token": 1e-5, "output_cost_per_image_token": 4e-5},
	"thinker": {"litellm_provider": "google", "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "output_cost_per_reasoning_token": 3e-6, "output_cost_per_token_above_200k_tokens": 4e-6, "input_cost_per_audio_token": 7e-6, "cache_read_input_token_cost": 1e-7},
	"embedder": {"litellm_provider": "openai", "input_cost_per_token": 2e-8}
}');
SELECT count(*) FROM airun_import_prices((SELECT document FROM lists), effective_from => '2026-01-01Z') WHERE action = 'added';
-- a cost, exactly
CREATE FUNCTION cost(model text, usage jsonb, tier text DEFAULT NULL, at timestamptz DEFAULT '2026-06-01 12:00Z') RETURNS numeric LANGUAGE sql STABLE AS
	'SELECT airun_cost(model, usage, NULL, at, tier)';
-- both worked examples, and the first one counted twice would be 0.0050
SELECT cost('gpt-4o', '{"prompt_tokens": 1000, "prompt_tokens_details": {"cached_tokens": 400}, "completion_tokens": 200}'),
	cost('claude-sonnet-4', '{"input_tokens": 50000, "cache_read_input_tokens": 200000, "output_tokens": 1000}');
-- the rates, one token each
SELECT model, tier, n, array_agg(cost(model, jsonb_build_object(bucket, 1, 'cache_read', n + CASE bucket WHEN 'cache_read' THEN 1 ELSE 0 END), tier) - n * cost(model, jsonb_build_object('cache_read', n + 1), tier) / (n + 1) ORDER BY b) AS rates
FROM (VALUES ('gpt-4o', NULL, 0), ('gpt-4o', 'priority', 0), ('claude-sonnet-4', NULL, 0), ('claude-sonnet-4', NULL, 200000), ('gemini-2.5-pro', NULL, 0), ('gemini-2.5-pro', NULL, 200000),
	('gpt-5.6-sol', NULL, 0), ('gpt-5.6-sol', NULL, 272000), ('gpt-5.6-sol', 'flex', 0), ('gpt-5.6-sol', 'flex', 272000)) v (model, tier, n),
	LATERAL unnest('{input,cache_read,cache_write_5m,output}'::text[]) WITH ORDINALITY u (bucket, b)
WHERE b < 4 OR n = 0 GROUP BY 1, 2, 3 ORDER BY 1, 3, 2 NULLS FIRST;
SELECT cost('claude-sonnet-4', '{"cache_read": 200001, "output": 1}') - cost('claude-sonnet-4', '{"cache_read": 200001}'), cost('gpt-5.6-sol', '{"cache_read": 272001, "output": 1}') - cost('gpt-5.6-sol', '{"cache_read": 272001}'),
	cost('gpt-5.6-sol', '{"cache_read": 272001, "output": 1}', 'flex') - cost('gpt-5.6-sol', '{"cache_read": 272001}', 'flex'), cost('gemini-2.5-pro', '{"cache_read": 200001, "output": 1}') - cost('gemini-2.5-pro', '{"cache_read": 200001}');
-- what is written for an hour
SELECT cost('claude-sonnet-4-5', '{"input_tokens": 0, "cache_creation_input_tokens": 100, "cache_creation": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60}, "output_tokens": 0}') = 40 * 3.75e-6 + 60 * 6e-6,
	cost('claude-sonnet-4-5', '{"input": 200000, "cache_write_1h": 1}') = 200000 * 6e-6 + 1.2e-5,
	cost('claude-sonnet-4', '{"cache_write_1h": 100}') = 100 * 3.75e-6;
-- an hour at the rate of five minutes is in doubt
SELECT airun_cost_details('claude-sonnet-4', '{"cache_write_1h": 100}') -> 'doubts' AS none_of_an_hour, airun_cost_details('claude-sonnet-4-5', '{"cache_write_1h": 100}') -> 'doubts' AS one_of_an_hour;
-- without trailing zeros, and never a float's dust
SELECT cost('gpt-4o', '{"input": 3, "output": 7}'), cost('gpt-4o', '{"input": 4}'), cost('hearing', '{"seconds": 3}'), cost('embedder', '{"input": 1}');

--
-- Tiers: the edges
--
-- above 200,000 tokens, cached ones included; what came out does not count
SELECT n, cost('claude-sonnet-4', jsonb_build_object('input', n)), cost('claude-sonnet-4', jsonb_build_object('cache_read', n - 10, 'input', 10)) FROM unnest('{199999,200000,200001}'::int[]) n;
SELECT cost('claude-sonnet-4', '{"input": 200000, "output": 200000}') = 200000 * 3e-6 + 200000 * 1.5e-5;
-- xAI's begin at the threshold, and a provider's others above it
SELECT n, cost('grok-x', jsonb_build_object('input', n)) / n, cost('grok-x', jsonb_build_object('input', n, 'output', 1)) - cost('grok-x', jsonb_build_object('input', n)) FROM unnest('{127999,128000,128001}'::int[]) n;
-- a list of tiers goes before keys: from above its range's first to its last, and behind the last as in it
SELECT n, cost('tiered', jsonb_build_object('input', n)) / greatest(n, 1) AS input, cost('tiered', jsonb_build_object('input', n, 'output', 1)) - cost('tiered', jsonb_build_object('input', n)) AS output,
	cost('tiered', jsonb_build_object('input', n, 'reasoning', 1)) - cost('tiered', jsonb_build_object('input', n)) AS reasoning
FROM unnest('{0,1,999,1000,1001,2000,2001,1000000}'::int[]) n;
-- where a tier has no rate for a cache, its own input counts
SELECT cost('tiered', '{"cache_read": 10}') = 10 * 2e-7, cost('tiered', '{"cache_read": 1001}') = 1001 * 3e-6, cost('tiered', '{"cache_write_5m": 10}') = 10 * 1e-6, cost('tiered', '{"cache_write_1h": 1001}') = 1001 * 3e-6;
-- no tier makes a rate for an hour: what stands in for it is in doubt, as is one of another length
SELECT airun_cost_details(model, jsonb_build_object('cache_write_1h', n)) -> 'doubts' AS doubts, cost(model, jsonb_build_object('cache_write_1h', n)) / n AS rate
FROM unnest('{tiered,tiered-hour,hour-above}'::text[]) model, unnest('{10,1001}'::int[]) n ORDER BY model, n;
SELECT jsonb_path_query_array(context_tiers, '$[*].rates.cache_write_1h') FROM airun.prices WHERE model = 'tiered';
-- a service tier's missing rates are those without one, at the same length; then those of any length; one without any rate is not known
SELECT cost('gpt-5.6-sol', '{"input": 10, "output": 10}', 'priority') = 10 * 1e-5 + 10 * 3e-5, cost('gpt-5.6-sol', '{"input": 10, "output": 10}', 'batch') = 10 * 5e-6 + 10 * 1.5e-5,
	cost('gpt-5.6-sol', '{"input": 300000}', 'priority') = 300000 * 1e-5, cost('claude-sonnet-4', '{"input": 300000}', 'flex') IS NULL,
	cost('thinker', '{"input": 200001, "output": 1}') = 200001 * 1e-6 + 4e-6;
-- its names
SELECT tier, cost('gpt-4o', '{"input": 1}', tier) FROM unnest('{NULL,"",standard,default,AUTO,on_demand,priority,Fast,flex,unheard}'::text[]) tier;
-- the usage may name it, and the argument goes before that
SELECT cost('gpt-4o', '{"input_tokens": 1, "service_tier": "priority"}'), cost('gpt-4o', '{"service_tier": "priority", "usage": {"input_tokens": 1}}'), cost('gpt-4o', '{"input_tokens": 1, "service_tier": "priority"}', 'default');
-- thoughts have a rate of their own, or that of what comes out; cached audio that of the cache
SELECT cost('thinker', '{"completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 4}}') = 6 * 2e-6 + 4 * 3e-6, cost('gpt-4o', '{"output": 6, "reasoning": 4}') = 10 * 1e-5,
	cost('thinker', '{"output": 1, "reasoning": 1, "input": 200001}') = 200001 * 1e-6 + 4e-6 + 3e-6, cost('thinker', '{"input_audio": 2, "cache_read_audio": 3}') = 2 * 7e-6 + 3 * 1e-7, cost('gpt-4o', '{"input_audio": 1, "input_image": 1, "input_video": 1}') = 3 * 2.5e-6;
-- units; a request costs nothing where no price says so, and what else has no rate has no price
SELECT cost('searcher', '{"input_tokens": 10, "output_tokens": 0, "server_tool_use": {"web_search_requests": 3}}') = 0.03001, cost('gpt-4o', '{"input": 1, "web_searches": 1}') IS NULL,
	cost('hearing', '{"type": "duration", "seconds": 9.5}') = 9.5 * 0.0002833333333333333, cost('hearing', '{"input": 1}') IS NULL, cost('embedder', '{"prompt_tokens": 8, "total_tokens": 8}'), cost('embedder', '{"input": 1, "output": 1}') IS NULL;
-- of a model that has no rate for text, images come out
SELECT cost('painter', '{"input_tokens": 50, "output_tokens": 60, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}') = 10 * 5e-6 + 40 * 1e-5 + 60 * 4e-5;
-- nothing used costs nothing; nothing known has no cost
SELECT cost('gpt-4o', '{"prompt_tokens": 0, "completion_tokens": 0}'), cost('gpt-4o', '{}') IS NULL, cost('gpt-4o', '{"total_tokens": 5}') IS NULL, cost(NULL, '{"input": 1}') IS NULL, cost('gpt-4o', NULL) IS NULL;
SELECT cost('gpt-4o', '{"input": 1000000000000, "output": 1000000000000}');

--
-- Hours
--
-- across midnight in UTC: its end does not belong to it; what it has goes before tiers
SELECT at, cost('peak', '{"input": 1}', NULL, ('2026-06-01 ' || at || 'Z')::timestamptz) FROM unnest('{00:00:00,00:29:59.999999,00:30:00,16:29:59,16:30:00,23:59:59}'::text[]) at;
SELECT cost('peak', '{"input": 200000, "output": 1}', NULL, '2026-06-01 12:00Z') = 200000 * 3e-6 + 4e-6, cost('peak', '{"input": 200000, "output": 1}', NULL, '2026-06-01 18:00Z') = 200000 * 1e-6 + 4e-6;
-- whatever the session's time zone
SET TIME ZONE 'America/New_York';
SELECT cost('peak', '{"input": 1}', NULL, '2026-06-01 20:29'), cost('peak', '{"input": 1}', NULL, '2026-06-01 20:30');
RESET TIME ZONE;
-- days as they are in Shanghai: 2026-06-06 is a Saturday
SELECT at, cost('weekend', '{"input": 1}', NULL, at::timestamptz) FROM unnest('{2026-06-05 15:59Z,2026-06-05 16:00Z,2026-06-06 12:00Z,2026-06-07 15:59Z,2026-06-07 16:00Z}'::text[]) at;
-- one's own window, in a zone with summer time: 22:00 in Berlin is 20:00Z in June and 21:00Z in January
SELECT airun_set_price('night', '{"input": 2}', effective_from => '-infinity', time_windows => '[{"from": "22:00", "to": "06:00", "time_zone": "Europe/Berlin", "rates": {"input": 1}},
	{"from": "12:00", "to": "13:00:30", "rates": {"input": 1.5}, "context_tiers": [{"from": 10, "rates": {"input": 1.25}}], "service_tiers": {"flex": {"input": 0.5}}}]') IS NOT NULL;
SELECT at, cost('night', '{"input": 1}', NULL, at::timestamptz) FROM unnest('{2026-06-01 19:59Z,2026-06-01 20:00Z,2026-06-02 03:59Z,2026-06-02 04:00Z,2026-01-01 20:00Z,2026-01-01 21:00Z,2026-01-02 04:59Z,2026-01-02 05:00Z,2026-06-01 13:00:29Z,2026-06-01 13:00:30Z}'::text[]) at;
SELECT cost('night', '{"input": 9}', NULL, '2026-06-01 12:00Z') / 9, cost('night', '{"input": 10}', NULL, '2026-06-01 12:00Z') / 10, cost('night', '{"input": 1}', 'flex', '2026-06-01 12:00Z'), cost('night', '{"input": 1}', NULL, '-infinity'), cost('night', '{"input": 1}', NULL, 'infinity') IS NULL;
-- prices by date: the one in force then
SELECT airun_set_price('dated', '{"input": 1}', effective_from => '2026-01-01Z') IS NOT NULL, airun_set_price('dated', '{"input": 2}', effective_from => '2026-03-01Z', effective_to => '2026-09-01Z') IS NOT NULL;
SELECT at, cost('dated', '{"input": 1}', NULL, at::timestamptz), airun_cost_details('dated', '{"input": 1}', NULL, at::timestamptz) ->> 'reason' FROM unnest('{2025-12-31 23:59:59Z,2026-01-01 00:00Z,2026-02-28 23:59:59.999999Z,2026-03-01 00:00Z,2026-08-31 23:59Z,2026-09-01 00:00Z}'::text[]) at;

--
-- The details
--
SELECT jsonb_pretty(airun_cost_details('gpt-5.6-sol', '{"input_tokens": 300000, "input_tokens_details": {"cached_tokens": 1000}, "output_tokens": 10, "output_tokens_details": {"reasoning_tokens": 4}}', 'OpenAI', '2026-06-01Z', 'flex') - 'price_id');
SELECT airun_cost_details('peak', '{"input": 5}', NULL, '2026-06-01 00:00Z') - 'price_id';
SELECT airun_cost_details('hearing', '{"seconds": 1.5}', NULL, '2026-06-01 00:00Z') - 'price_id';
SELECT airun_cost_details('gpt-4o', '{"input": 1, "output": 2, "pages": 1}', NULL, '2026-06-01 00:00Z') - 'price_id', airun_cost_details('gpt-4o', '{}') - 'price_id', airun_cost_details('gpt-4o', NULL) IS NULL;
-- the amounts are the cost
SELECT model FROM jsonb_object_keys((SELECT document FROM lists)) model, LATERAL airun_cost_details(model, '{"input": 200001, "cache_read": 77, "cache_write_5m": 5, "output": 13, "reasoning": 3}') d
WHERE (d ->> 'cost')::numeric <> (SELECT sum((value ->> 'amount')::numeric) FROM jsonb_each(d -> 'buckets')) OR (d ->> 'cost')::numeric <> airun_cost(model, '{"input": 200001, "cache_read": 77, "cache_write_5m": 5, "output": 13, "reasoning": 3}');
SELECT count(*) FROM airun_cost_details('gpt-4o', '{"input": 1}') d JOIN airun.prices p ON p.price_id = (d ->> 'price_id')::uuid WHERE p.model = 'gpt-4o';
-- one request in six shapes costs the same
SELECT count(*), count(DISTINCT c), min(c) FROM (SELECT airun_cost('gpt-5.6-sol', usage) AS c FROM (VALUES
	('{"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}, "completion_tokens_details": {"reasoning_tokens": 50}}'::jsonb),
	('{"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}, "output_tokens": 200, "output_tokens_details": {"reasoning_tokens": 50}, "total_tokens": 1200}'),
	('{"input_tokens": 500, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 100, "output_tokens": 200}'),
	('{"inputTokens": 1000, "inputTokenDetails": {"noCacheTokens": 500, "cacheReadTokens": 400, "cacheWriteTokens": 100}, "outputTokens": 200, "outputTokenDetails": {"textTokens": 150, "reasoningTokens": 50}}'),
	('{"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.cache_read.input_tokens": 400, "gen_ai.usage.cache_creation.input_tokens": 100, "gen_ai.usage.output_tokens": 200, "gen_ai.usage.reasoning.output_tokens": 50}'),
	('{"input": 500, "cache_read": 400, "cache_write_5m": 100, "output": 150, "reasoning": 50}')) v (usage)) x;
SELECT count(DISTINCT airun_cost('gpt-5.6-sol', usage)) FROM (VALUES
	('{"promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 150, "thoughtsTokenCount": 50, "totalTokenCount": 1200}'::jsonb),
	('{"prompt_tokens": 1000, "completion_tokens": 200, "prompt_tokens_details": {"cached_tokens": 400}}')) v (usage);

--
-- Which price a name means
--
DELETE FROM airun.prices;
SELECT action, count(*) FROM airun_import_prices('[
	{"id": "one", "provider_match": {"contains": "uno"}, "model_match": {"starts_with": "alpha"}, "fallback_model_providers": ["two"], "models": [
		{"id": "alpha-1", "match": {"or": [{"equals": "alpha-one"}, {"starts_with": "alpha-1-turbo"}, {"regex": "^alpha-1@\\d+$"}]}, "prices": {"input_mtok": 1}},
		{"id": "shared", "match": {"equals": "shared"}, "prices": {"input_mtok": 1}}, {"id": "alike", "match": {"equals": "alike"}, "prices": {"input_mtok": 7}}]},
	{"id": "two", "models": [
		{"id": "alpha-1", "match": {"equals": "alpha-1"}, "prices": {"input_mtok": 2}}, {"id": "alpha-2", "match": {"equals": "alpha-2"}, "prices": {"input_mtok": 2}},
		{"id": "shared", "match": {"equals": "shared"}, "prices": {"input_mtok": 2}}, {"id": "alike", "match": {"equals": "alike"}, "prices": {"input_mtok": 7}},
		{"id": "eu.vendor.beta", "match": {"equals": "eu.vendor.beta"}, "prices": {"input_mtok": 3}}, {"id": "vendor.beta", "match": {"equals": "vendor.beta"}, "prices": {"input_mtok": 4}},
		{"id": "gamma-2026-01-01", "match": {"equals": "gamma-2026-01-01"}, "prices": {"input_mtok": 5}}, {"id": "gamma-2025-06-01", "match": {"equals": "gamma-2025-06-01"}, "prices": {"input_mtok": 6}}]},
	{"id": "google", "models": [{"id": "gem", "match": {"and": [{"starts_with": "gem"}, {"ends_with": "ini"}]}, "prices": {"input_mtok": 8}}]}]', effective_from => '2026-01-01Z') GROUP BY 1;
-- exact, alias, rule; case does not count
SELECT found(m, 'one') FROM unnest('{alpha-1,ALPHA-1,alpha-one,alpha-1-turbo-x,Alpha-1@7,alpha-1@x, alpha-1 ,gemini}'::text[]) m;
-- a provider by any name; one that falls back; one that has not; one that nobody knows
SELECT found(m, p) FROM (VALUES ('alpha-1', 'UNO.chat'), ('alpha-1', 'two'), ('alpha-2', 'one'), ('alpha-1', 'google'), ('alpha-1', 'nobody'), ('alpha-2', 'nobody'), ('gemini', 'vertex_ai-language-models'), ('gemini', 'gcp.gemini')) v (m, p);
-- without one: who claims the name goes first; others have to agree
SELECT found(m) FROM unnest('{alpha-1,shared,alike}'::text[]) m;
-- without what stands in front, piece by piece, the whole name first; a provider in front counts
SELECT found(m) FROM unnest('{one/alpha-1,two/alpha-1,router/two/shared,router/one/shared,eu.vendor.beta,us.vendor.beta,eu.vendor.beta-v1:0,models/gemini,one/,/one}'::text[]) m;
SELECT found(m, 'two') FROM unnest('{one/alpha-1,two/alpha-1,a/b/c/d/e/f/g/h/i/j/shared}'::text[]) m;
-- without a date or a version behind; or, last of all, with one
SELECT found(m, 'two') FROM unnest('{alpha-1-2026-05-01,alpha-1-20260501,alpha-1@20260501,alpha-1-0501,alpha-1-05-2026,alpha-1-latest,alpha-1-v2:0,alpha-1:0,two/alpha-1-2026-05-01,alpha-1-mini,gamma-2026-01-01,gamma,gamma-2024-01-01,alpha}'::text[]) m;
-- of two sources the one that came into force last, then the one that was entered last; one's own goes before both
SELECT count(*) FROM airun_import_prices('{"alpha-1": {"litellm_provider": "one", "input_cost_per_token": 3e-6}, "shared": {"litellm_provider": "two", "input_cost_per_token": 3e-6}}', effective_from => '2026-01-01Z');
SELECT found('alpha-1', 'one'), found('shared', 'two'), found('alpha-1');
SELECT airun_set_price('alpha-1', '{"input": 1}', 'one', '2025-01-01Z') IS NOT NULL, airun_set_price('shared', '{"input": 1}', effective_from => '2025-01-01Z') IS NOT NULL;
SELECT found('alpha-1', 'one'), found('alpha-1', 'two'), found('alpha-1'), found('shared', 'one'), found('shared', 'two'), found('shared', 'nobody'), found('shared');
SELECT found('alpha-1', 'one', '2025-06-01Z'), found('alpha-1', 'one', '2024-06-01Z');
-- what a site has broken by hand has no price, and raises nothing
UPDATE airun.prices SET rates = '{"input": "x"}' WHERE source = 'own';
SELECT found('alpha-1', 'one'), airun_cost('alpha-1', '{"input": 1}', 'one') IS NULL;
UPDATE airun.prices SET rates = '{"input": 1}', time_windows = '[{"from": "now"}]', match_rule = '{"regex": "("}', aliases = '{NULL,x}', provider_rule = '{"names": 3, "fallback": [3], "models": {"regex": "["}}' WHERE source = 'own';
SELECT found('alpha-1', 'one'), found('x', 'one'), found('y', 'one');
UPDATE airun.prices SET rates = '{"input": 1}', time_windows = NULL, match_rule = '{"like": 3}' WHERE source = 'own';
SELECT found('alpha-1', 'one'), found('x', 'one');

--
-- What was read is remembered, and never for longer than it is true
--
DELETE FROM airun.prices;
SELECT airun_set_price('m', '{"input": 1}', effective_from => '-infinity') IS NOT NULL;
SELECT airun_cost('m', '{"input": 1}');
BEGIN;
UPDATE airun.prices SET rates = '{"input": 2}';
SELECT airun_cost('m', '{"input": 1}');
SAVEPOINT s;
UPDATE airun.prices SET rates = '{"input": 3}';
SELECT airun_cost('m', '{"input": 1}');
ROLLBACK TO s;
SELECT airun_cost('m', '{"input": 1}');
UPDATE airun.prices SET rates = '{"input": 4}';
SELECT airun_cost('m', '{"input": 1}');
ROLLBACK;
SELECT airun_cost('m', '{"input": 1}');
-- within one statement it is that statement's; in the next it is new
WITH u AS (UPDATE airun.prices SET rates = '{"input": 5}' RETURNING model) SELECT airun_cost(model, '{"input": 1}') FROM u;
SELECT airun_cost('m', '{"input": 1}');
DO $$
BEGIN
	FOR i IN 6..8 LOOP
		UPDATE airun.prices SET rates = jsonb_build_object('input', i);
		ASSERT airun_cost('m', '{"input": 1}') = i;
	END LOOP;
END $$;
-- a cursor goes on with what it saw
BEGIN;
DECLARE c CURSOR FOR SELECT airun_cost('m', '{"input": 1}') FROM generate_series(1, 3);
FETCH c;
UPDATE airun.prices SET rates = '{"input": 9}';
SELECT airun_cost('m', '{"input": 1}');
FETCH c;
COMMIT;
-- a book without a version is read anew each time
DELETE FROM airun.price_book;
SELECT airun_cost('m', '{"input": 1}');
SET session_replication_role = replica;
UPDATE airun.prices SET rates = '{"input": 10}';
SELECT airun_cost('m', '{"input": 1}');
UPDATE airun.prices SET rates = '{"input": 9}';
-- one that has no price either is, too, when there is one
BEGIN;
CREATE TEMP TABLE kept ON COMMIT DROP AS SELECT * FROM airun.prices;
DELETE FROM airun.prices;
SELECT airun_cost('m', '{"input": 1}') IS NULL FROM generate_series(1, 2);
INSERT INTO airun.prices SELECT * FROM kept;
SELECT airun_cost('m', '{"input": 1}');
ROLLBACK;
RESET session_replication_role;
-- the trigger that comes back gives it another one
DROP TRIGGER airun_version ON airun.prices;
SELECT airun_install();
SELECT count(*) FROM airun.price_book;
SELECT airun_cost('m', '{"input": 1}');
SELECT airun_set_price('m', '{"input": 9}', effective_from => '-infinity') IS NOT NULL, airun_set_price('other', '{"input": 9}') IS NOT NULL;
SELECT count(*) FROM airun.price_book;
DELETE FROM airun.prices WHERE model = 'other';
-- a site's own policy decides who sees which price; who sees none has none
CREATE ROLE regress_airun_pricer;
CREATE ROLE regress_airun_stranger;
SELECT airun_grant('regress_airun_pricer');
GRANT USAGE ON SCHEMA cost_test, public TO regress_airun_pricer, regress_airun_stranger;
GRANT EXECUTE ON FUNCTION airun_cost TO regress_airun_stranger;
SET ROLE regress_airun_pricer;
SELECT airun_cost('m', '{"input": 1}');
RESET ROLE;
CREATE POLICY site_tenant ON airun.prices AS RESTRICTIVE FOR SELECT USING (source = current_setting('site.tenant', true));
SELECT airun_set_price('m', '{"input": 77}', effective_from => '-infinity', source => 'tenant') IS NOT NULL;
SET ROLE regress_airun_pricer;
SELECT airun_cost('m', '{"input": 1}') IS NULL;
SET site.tenant = 'tenant';
SELECT airun_cost('m', '{"input": 1}');
SET site.tenant = 'own';
SELECT airun_cost('m', '{"input": 1}');
RESET ROLE;
SELECT airun_cost('m', '{"input": 1}');
SET ROLE regress_airun_pricer;
SET site.tenant = 'tenant';
SELECT airun_cost('m', '{"input": 1}');
RESET ROLE;
DROP POLICY site_tenant ON airun.prices;
SET ROLE regress_airun_pricer;
SELECT airun_cost('m', '{"input": 1}');
RESET ROLE;
DROP POLICY airun_read ON airun.prices;
SET ROLE regress_airun_pricer;
SELECT airun_cost('m', '{"input": 1}') IS NULL;
RESET ROLE;
SELECT airun_cost('m', '{"input": 1}');
SELECT airun_install();
SET ROLE regress_airun_stranger;
SELECT answer('SELECT airun_cost(''m'', ''{"input": 1}'')');
RESET ROLE;
-- in a parallel query, and in a view of history
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TABLE used AS SELECT i, 'm' AS model, jsonb_build_object('input', i) AS usage FROM generate_series(1, 5000) i;
ALTER TABLE used SET (parallel_workers = 2);
ANALYZE used;
EXPLAIN (COSTS OFF) SELECT sum(airun_cost(model, usage)) FROM used;
SELECT sum(airun_cost(model, usage)) = 9 * sum(i) FROM used;
-- and what cannot be counted is not
SELECT answer(s) FROM unnest(ARRAY['SELECT airun_cost(''m'', ''[]'')', 'SELECT airun_cost(''m'', ''{"input": -1}'')', 'SELECT airun_cost_details(''m'', ''{"input": 1.5}'') - ''price_id''']) s;
-- many names do not fill the memory, and are answered all the same
SELECT count(airun_cost('m', '{"input": 1}', 'p' || i)), count(airun_cost('n' || i, '{"input": 1}')) FROM generate_series(1, 20000) i;
SELECT airun_cost('m', '{"input": 1}');
-- nor do long ones
SELECT airun_cost_details(repeat('m', 1001), '{"input": 1}'), airun_cost('m', '{"input": 1}', repeat('p', 1001));

DROP SCHEMA cost_test CASCADE;
DROP OWNED BY regress_airun_pricer, regress_airun_stranger;
DROP ROLE regress_airun_pricer, regress_airun_stranger;
DELETE FROM airun.prices;
