--
-- Usages: what providers send, in disjoint buckets
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
CREATE SCHEMA usage_test;
SET search_path = usage_test, helpers, public;

--
-- One request in every shape: 1,000 tokens in, of which 400 were read from a
-- cache and 100 written to one; 200 out, of which 50 were thoughts
--
CREATE TABLE shapes (shape text, usage jsonb, provider text);
INSERT INTO shapes VALUES
('OpenAI Chat', '{"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
	"prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100, "audio_tokens": 0},
	"completion_tokens_details": {"reasoning_tokens": 50, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}'),
('OpenAI Responses', '{"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100},
	"output_tokens": 200, "output_tokens_details": {"reasoning_tokens": 50}, "total_tokens": 1200}'),
('Anthropic', '{"input_tokens": 500, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 100,
	"cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0},
	"output_tokens": 200, "output_tokens_details": {"thinking_tokens": 50}, "server_tool_use": {"web_search_requests": 0}, "service_tier": "standard"}'),
('Gemini, which writes to no cache', '{"promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 150,
	"thoughtsTokenCount": 50, "totalTokenCount": 1200, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}]}'),
('AI SDK 6', '{"inputTokens": 1000, "inputTokenDetails": {"noCacheTokens": 500, "cacheReadTokens": 400, "cacheWriteTokens": 100},
	"outputTokens": 200, "outputTokenDetails": {"textTokens": 150, "reasoningTokens": 50}, "totalTokens": 1200}'),
('AI SDK, a provider''s result', '{"inputTokens": {"total": 1000, "noCache": 500, "cacheRead": 400, "cacheWrite": 100},
	"outputTokens": {"total": 200, "text": 150, "reasoning": 50}}'),
('AI SDK 5, which knows no writes', '{"inputTokens": 1000, "outputTokens": 200, "totalTokens": 1200, "reasoningTokens": 50, "cachedInputTokens": 400}'),
('OpenTelemetry', '{"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.cache_read.input_tokens": 400, "gen_ai.usage.cache_creation.input_tokens": 100,
	"gen_ai.usage.output_tokens": 200, "gen_ai.usage.reasoning.output_tokens": 50, "gen_ai.request.model": "m"}'),
('Bedrock', '{"inputTokens": 500, "outputTokens": 200, "totalTokens": 1200, "cacheReadInputTokens": 400, "cacheWriteInputTokens": 100}'),
('buckets', '{"input": 500, "cache_read": 400, "cache_write_5m": 100, "output": 150, "reasoning": 50}'),
('Langfuse', '{"input": 500, "input_cached_tokens": 400, "input_cache_creation": 100, "output": 150, "output_reasoning_tokens": 50, "total": 1200}'),
('Gemini, as Python has it', '{"prompt_token_count": 1000, "cached_content_token_count": 400, "candidates_token_count": 150, "thoughts_token_count": 50, "total_token_count": 1200}'),
('LiteLLM', '{"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 100,
	"prompt_tokens_details": {"cached_tokens": 400, "cache_creation_tokens": 100}, "completion_tokens_details": {"reasoning_tokens": 50}}'),
('DeepSeek, which knows no writes', '{"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "prompt_cache_hit_tokens": 400, "prompt_cache_miss_tokens": 600,
	"completion_tokens_details": {"reasoning_tokens": 50}}'),
('xAI, whose thoughts lie apart', '{"prompt_tokens": 1000, "completion_tokens": 150, "total_tokens": 1200,
	"prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}, "completion_tokens_details": {"reasoning_tokens": 50}}');
SELECT shape, airun_normalize_usage(usage, provider) FROM shapes;
-- the six of them, made equal where a provider cannot say something
SELECT count(*), count(DISTINCT b) FROM (SELECT airun_normalize_usage(usage) AS b FROM shapes
	WHERE shape IN ('OpenAI Chat', 'OpenAI Responses', 'Anthropic', 'AI SDK 6', 'OpenTelemetry', 'buckets')) x;
SELECT count(DISTINCT airun_normalize_usage(usage)) FROM shapes WHERE shape ~ 'which (knows|writes)|Python';
-- what comes out goes in again, and is the same
SELECT shape FROM shapes WHERE airun_normalize_usage(airun_normalize_usage(usage)) <> airun_normalize_usage(usage);
-- a whole response is as good as its usage
SELECT shape FROM shapes WHERE airun_normalize_usage(jsonb_build_object('id', 'x', 'model', 'm', 'usage', usage)) <> airun_normalize_usage(usage)
	OR airun_normalize_usage(jsonb_build_object('usageMetadata', usage)) <> airun_normalize_usage(usage);
-- null is as good as absent, and a number as one with zeros behind its point
SELECT airun_normalize_usage('{"prompt_tokens": 10.00, "completion_tokens": 1e1, "total_tokens": null, "prompt_tokens_details": null, "completion_tokens_details": {"reasoning_tokens": null}}');

--
-- What each provider does in its own way
--
-- Anthropic's cache of an hour, and one whose time nobody says
SELECT airun_normalize_usage('{"input_tokens": 10, "cache_creation_input_tokens": 100, "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}, "output_tokens": 1}');
SELECT airun_normalize_usage('{"input_tokens": 10, "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}, "output_tokens": 1}');
SELECT airun_normalize_usage('{"input_tokens": 10, "cache_creation_input_tokens": 100, "cache_creation": {"ephemeral_1h_input_tokens": 70}, "output_tokens": 1}');
SELECT airun_normalize_usage('{"input_tokens": 10, "cache_creation_input_tokens": 100, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}, "output_tokens": 1}');
-- its searches
SELECT airun_normalize_usage('{"input_tokens": 10, "output_tokens": 1, "server_tool_use": {"web_search_requests": 3}}');
-- without a cache it cannot be told from Responses, and need not
SELECT airun_normalize_usage('{"input_tokens": 10, "output_tokens": 1}', 'anthropic') = airun_normalize_usage('{"input_tokens": 10, "output_tokens": 1}', 'openai');
-- the AI SDK 5 passed its figures on
SELECT airun_normalize_usage('{"inputTokens": 10, "outputTokens": 1, "totalTokens": 11, "cachedInputTokens": 400}', 'anthropic.messages');
-- Gemini: tools' input, audio, and what of it was cached
SELECT airun_normalize_usage('{"promptTokenCount": 100, "toolUsePromptTokenCount": 20, "candidatesTokenCount": 30, "totalTokenCount": 150}');
SELECT airun_normalize_usage('{"promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 30, "totalTokenCount": 130,
	"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 40}, {"modality": "AUDIO", "tokenCount": 50}, {"modality": "IMAGE", "tokenCount": 10}],
	"cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 25}, {"modality": "AUDIO", "tokenCount": 35}],
	"candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 10}, {"modality": "IMAGE", "tokenCount": 20}]}');
-- OpenAI: audio, cached or not; without details as much of the cache as must be is of audio
SELECT airun_normalize_usage('{"input_tokens": 132, "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "cached_tokens": 64, "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4}},
	"output_tokens": 121, "output_token_details": {"text_tokens": 30, "audio_tokens": 91}, "total_tokens": 253}');
SELECT airun_normalize_usage('{"prompt_tokens": 100, "prompt_tokens_details": {"audio_tokens": 70, "cached_tokens": 20}}');
SELECT airun_normalize_usage('{"prompt_tokens": 100, "prompt_tokens_details": {"audio_tokens": 70, "cached_tokens": 50}}');
SELECT airun_normalize_usage('{"prompt_tokens": 100, "prompt_tokens_details": {"audio_tokens": 30, "image_tokens": 60, "cached_tokens": 50}}');
-- xAI without a total is known by its name
SELECT airun_normalize_usage('{"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 50}}', 'x-ai');
-- embeddings, transcriptions, images, searches
SELECT airun_normalize_usage('{"prompt_tokens": 8, "total_tokens": 8}');
SELECT airun_normalize_usage('{"type": "duration", "seconds": 9}'), airun_normalize_usage('{"input_seconds": 9.5004}');
SELECT airun_normalize_usage('{"input_tokens": 50, "output_tokens": 60, "total_tokens": 110, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}');
SELECT airun_normalize_usage('{"input": 5, "requests": 2, "web_search_queries": 3, "input_images": 4, "output_characters": 100, "pages": 6}');
-- a total that is more than its parts is kept, in doubt; one's own total fills the first bucket
SELECT airun_normalize_usage('{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40}');
SELECT airun_normalize_usage('{"tokens_input": 100, "cache_read": 30, "tokens_output": 20}');
-- nothing that is known: one request, of which nothing is known; a total alone is all input
SELECT airun_normalize_usage('{}'), airun_normalize_usage('{"in": 3, "vendor": {"x": 1}}'), airun_normalize_usage(NULL) IS NULL;
SELECT airun_normalize_usage('{"total_tokens": 12}');
-- zero is known
SELECT airun_normalize_usage('{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}');

--
-- What cannot be: the larger figure is counted, and the doubt is said
--
SELECT statement || E'\n  ' || answer(format('SELECT airun_normalize_usage(%L)', statement)) FROM unnest(ARRAY[
	'[]', '3', '"usage"', 'null',
	'{"prompt_tokens": -1}', '{"prompt_tokens": 1.5}', '{"prompt_tokens": "10"}', '{"prompt_tokens": true}', '{"prompt_tokens": []}',
	'{"prompt_tokens": 1000000000001}', '{"prompt_tokens": 1e400}', '{"prompt_tokens": 1e-400}',
	'{"prompt_tokens": 10, "prompt_tokens_details": 3}', '{"prompt_tokens": 10, "prompt_tokens_details": []}',
	'{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": -3}}',
	'{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 11}}',
	'{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 5}}',
	'{"prompt_tokens": 10, "prompt_tokens_details": {"audio_tokens": 6, "image_tokens": 5}}',
	'{"prompt_tokens": 10, "prompt_tokens_details": {"audio_tokens": 6, "image_tokens": 4, "cache_write_tokens": 1}}',
	'{"prompt_tokens": 10, "prompt_tokens_details": {"audio_tokens": 6, "cached_tokens": 4, "cached_tokens_details": {"audio_tokens": 5}}}',
	'{"prompt_tokens": 10, "prompt_tokens_details": {"audio_tokens": 3, "cached_tokens": 9, "cached_tokens_details": {"audio_tokens": 5}}}',
	'{"completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 11}}',
	'{"completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 5}}',
	'{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 14}',
	'{"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 3}}',
	'{"input_tokens": 10, "cache_creation": 5}', '{"input_tokens": 10, "cache_read_input_tokens": -5}',
	'{"input_tokens": 10, "server_tool_use": {"web_search_requests": -1}}',
	'{"promptTokenCount": 10, "cachedContentTokenCount": 11}', '{"promptTokenCount": 10, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 11}]}',
	'{"promptTokenCount": 10, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": -1}]}',
	'{"inputTokens": 10, "inputTokenDetails": {"cacheReadTokens": 11}}', '{"inputTokens": {"total": 10, "cacheRead": 11}}',
	'{"inputTokens": 10, "cachedInputTokens": 11}', '{"inputTokens": 10, "outputTokens": 10, "totalTokens": 19}',
	'{"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_read.input_tokens": 11}',
	'{"input": -1}', '{"input": 0.5}', '{"output": "many"}', '{"tokens_input": 3, "input": 4}', '{"input": 3, "output": 4, "total": 6}',
	'{"input_seconds": -1}', '{"requests": 1.5}']) statement;

-- no usage, however odd, ends in an error: 20,000 random ones
SELECT setseed(0.4);
CREATE FUNCTION random_usage() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_object_agg(key, value) FROM (
		SELECT (ARRAY['prompt_tokens', 'completion_tokens', 'total_tokens', 'prompt_tokens_details', 'completion_tokens_details', 'input_tokens', 'output_tokens',
			'input_tokens_details', 'cache_read_input_tokens', 'cache_creation_input_tokens', 'cache_creation', 'promptTokenCount', 'candidatesTokenCount', 'thoughtsTokenCount',
			'promptTokensDetails', 'inputTokens', 'outputTokens', 'inputTokenDetails', 'cachedInputTokens', 'gen_ai.usage.input_tokens', 'gen_ai.usage.output_tokens',
			'input', 'output', 'cache_read', 'tokens_input', 'tokens_total', 'requests', 'input_seconds', 'server_tool_use', 'usage'])[1 + floor(random() * 30)::int] AS key,
			CASE floor(random() * 8) WHEN 0 THEN 'null' WHEN 1 THEN '"x"' WHEN 2 THEN '[{"modality": "AUDIO", "tokenCount": 3}, 4, null]'
				WHEN 3 THEN format('{"cached_tokens": %s, "reasoning_tokens": %s, "audio_tokens": %1$s, "total": 10, "ephemeral_1h_input_tokens": 5}', floor(random() * 9), floor(random() * 9))
				WHEN 4 THEN (random() * 100 - 10)::numeric(9, 1)::text ELSE floor(random() * 20)::text END::jsonb AS value
		FROM generate_series(1, 1 + floor(random() * 5)::int)) x
$$;
CREATE TABLE random_usages AS SELECT i, random_usage() AS usage FROM generate_series(1, 20000) i;
SELECT kind, count(*) > 100 FROM (SELECT CASE WHEN a LIKE '{%"doubts"%' THEN 'in doubt' WHEN a LIKE '{%' THEN 'read' ELSE left(a, 5) END AS kind
	FROM random_usages, LATERAL answer(format('SELECT airun_normalize_usage(%L)', usage)) a) x GROUP BY kind ORDER BY kind;
-- and the buckets of what was read sum up to its totals
SELECT usage FROM random_usages, LATERAL answer(format('SELECT airun_normalize_usage(%L)', usage)) a
WHERE a LIKE '{%' AND (
	coalesce((a::jsonb ->> 'tokens_input')::bigint, 0) <> (SELECT coalesce(sum(value::text::bigint), 0) FROM jsonb_each(a::jsonb)
		WHERE key ~ '^(input|cache_read|cache_write_..|(input|cache_read)_(audio|image)|input_video)$')
	OR coalesce((a::jsonb ->> 'tokens_output')::bigint, 0) <> (SELECT coalesce(sum(value::text::bigint), 0) FROM jsonb_each(a::jsonb)
		WHERE key ~ '^(output|reasoning|output_(audio|image|video))$')
	OR coalesce((a::jsonb ->> 'tokens_total')::bigint, 0) < coalesce((a::jsonb ->> 'tokens_input')::bigint, 0) + coalesce((a::jsonb ->> 'tokens_output')::bigint, 0));

DROP SCHEMA usage_test CASCADE;
