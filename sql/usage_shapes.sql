--
-- Usages in the shapes of providers and libraries, each with the cost of its bill
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
CREATE SCHEMA shapes_test;
SET search_path = shapes_test, public;
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.user_id = 'usage shapes';
SET airun.trust_client_cost = off;
DELETE FROM airun.prices;
SELECT count(airun_set_price('m', '{"input": 3, "cache_read": 0.3, "cache_write_5m": 3.75, "cache_write_1h": 6, "output": 15, "reasoning": 20, "web_searches": 0.01}', per_tokens => 1000000, effective_from => '2020-01-01')),
	count(airun_set_price('haiku', '{"input": 1, "cache_read": 0.1, "cache_write_5m": 1.25, "output": 5}', per_tokens => 1000000, effective_from => '2020-01-01')),
	count(airun_set_price('embed', '{"input": 0.02}', per_tokens => 1000000, effective_from => '2020-01-01')),
	count(airun_set_price('rerank', '{"requests": 0.002}', effective_from => '2020-01-01')),
	count(airun_set_price('long', '{"input": 1, "output": 1}', effective_from => '2020-01-01', context_tiers => '[{"above": 200000, "rates": {"input": 2, "output": 2}}]'));
-- in, out, total, cost, and doubts, which stand first
CREATE FUNCTION read(usage jsonb, provider text DEFAULT NULL, model text DEFAULT 'm') RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', d ->> 'doubts', concat('in ', b ->> 'tokens_input', ', out ', b ->> 'tokens_output', ', total ', b ->> 'tokens_total'),
		coalesce(airun_cost(model, usage, provider)::text, 'no cost'))
	FROM airun_normalize_usage(usage, provider) AS b, airun_cost_details(model, usage, provider) AS d
$$;

--
-- 1,000 in, of which 400 from a cache and 100 into one; 200 out, of which 50
-- thoughts: 500 x 3 + 400 x 0.3 + 100 x 3.75 + 150 x 15 + 50 x 20 per million = 0.005245
--
CREATE TABLE shapes (shape text, usage jsonb, provider text, cost numeric DEFAULT 0.005245);
INSERT INTO shapes VALUES
('OpenCode', '{"input": 500, "output": 150, "reasoning": 50, "cache": {"read": 400, "write": 100}, "total": 1200}'),
('OpenCode''s message', '{"role": "assistant", "cost": 0.1, "tokens": {"input": 500, "output": 150, "reasoning": 50, "cache": {"read": 400, "write": 100}}, "modelID": "m"}'),
('LangChain', '{"input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200, "input_token_details": {"cache_read": 400, "cache_creation": 100}, "output_token_details": {"reasoning": 50}}'),
('LangChain, the message', '{"type": "ai", "data": 1, "usage_metadata": {"input_tokens": 1000, "output_tokens": 200, "total_tokens": 1200, "input_token_details": {"cache_read": 400, "cache_creation": 100}, "output_token_details": {"reasoning": 50}}}'),
('Codex', '{"input_tokens": 1000, "cached_input_tokens": 400, "cache_write_input_tokens": 100, "output_tokens": 200, "reasoning_output_tokens": 50, "total_tokens": 1200}'),
('Codex, an event', '{"type": "event_msg", "payload": {"type": "token_count", "info": {"total_token_usage": {"input_tokens": 9000, "output_tokens": 1, "total_tokens": 9001},
	"last_token_usage": {"input_tokens": 1000, "cached_input_tokens": 400, "cache_write_input_tokens": 100, "output_tokens": 200, "reasoning_output_tokens": 50, "total_tokens": 1200}, "model_context_window": 272000}}}'),
('ACP', '{"inputTokens": 500, "outputTokens": 150, "cachedReadTokens": 400, "cachedWriteTokens": 100, "thoughtTokens": 50, "totalTokens": 1200}'),
('ACP, where all lies inside', '{"stopReason": "end_turn", "usage": {"input_tokens": 1000, "output_tokens": 200, "cached_read_tokens": 400, "cached_write_tokens": 100, "thought_tokens": 50, "total_tokens": 1200}}'),
('Bedrock', '{"inputTokens": 500, "outputTokens": 200, "reasoningTokens": 50, "totalTokens": 1200, "cacheReadInputTokens": 400, "cacheWriteInputTokens": 100, "cacheDetails": [{"ttl": "5m", "inputTokens": 100}]}'),
('Bedrock, the answer', '{"output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}}, "stopReason": "end_turn", "metrics": {"latencyMs": 551},
	"usage": {"inputTokens": 500, "outputTokens": 200, "reasoningTokens": 50, "totalTokens": 1200, "cacheReadInputTokens": 400, "cacheWriteInputTokens": 100}}'),
('AI SDK 6 with raw', '{"inputTokens": 1000, "inputTokenDetails": {"noCacheTokens": 500, "cacheReadTokens": 400, "cacheWriteTokens": 100}, "outputTokens": 200, "outputTokenDetails": {"textTokens": 150, "reasoningTokens": 50}, "totalTokens": 1200,
	"raw": {"input_tokens": 500, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 100, "output_tokens": 200, "output_tokens_details": {"thinking_tokens": 50}}}'),
('AI SDK 7', '{"inputTokens": {"total": 1000, "noCache": 500, "cacheRead": 400, "cacheWrite": 100}, "outputTokens": {"total": 200, "text": 150, "reasoning": 50},
	"raw": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}, "completion_tokens_details": {"reasoning_tokens": 50}}}'),
('AI SDK, a result of two steps', '{"usage": {"inputTokens": 1, "outputTokens": 100, "totalTokens": 101}, "totalUsage": {"inputTokens": 1000, "inputTokenDetails": {"cacheReadTokens": 400, "cacheWriteTokens": 100}, "outputTokens": 200, "reasoningTokens": 50, "totalTokens": 1200}}'),
('OpenTelemetry, nested', '{"gen_ai": {"usage": {"input_tokens": 1000, "cache_read": {"input_tokens": 400}, "cache_creation": {"input_tokens": 100}, "output_tokens": 200, "reasoning": {"output_tokens": 50}}}}'),
('OpenTelemetry, older', '{"gen_ai.system": "openai", "gen_ai.usage.prompt_tokens": 1000, "gen_ai.usage.completion_tokens": 200, "gen_ai.usage.cache_read_input_tokens": 400, "gen_ai.usage.cache_creation_input_tokens": 100, "gen_ai.usage.reasoning_tokens": 50, "llm.usage.total_tokens": 1200}'),
('OpenTelemetry, pydantic', '{"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 200, "gen_ai.usage.details.cache_read_tokens": 400, "gen_ai.usage.details.cache_write_tokens": 100, "gen_ai.usage.details.reasoning_tokens": 50, "gen_ai.request.max_tokens": 4096}'),
('OTLP, a span', '{"name": "chat m", "attributes": [{"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1000"}}, {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "200"}}, {"key": "gen_ai.usage.cache_read.input_tokens", "value": {"intValue": 400}},
	{"key": "gen_ai.usage.cache_creation.input_tokens", "value": {"intValue": "100"}}, {"key": "gen_ai.usage.reasoning.output_tokens", "value": {"intValue": "50"}}, {"key": "gen_ai.request.model", "value": {"stringValue": "m"}}]}'),
('OpenInference', '{"llm.token_count.prompt": "1000", "llm.token_count.completion": 200, "llm.token_count.total": 1200, "llm.token_count.prompt_details.cache_read": 400, "llm.token_count.prompt_details.cache_write": 100, "llm.token_count.completion_details.reasoning": 50}'),
('OpenInference, nested', '{"llm": {"token_count": {"prompt": 1000, "completion": 200, "prompt_details": {"cache_read": 400, "cache_write": 100}, "completion_details": {"reasoning": 50}}}}'),
('Anthropic, an event', '{"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 500, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 100, "output_tokens": 200, "output_tokens_details": {"thinking_tokens": 50}}}}'),
('Responses, an event', '{"type": "response.completed", "response": {"id": "resp_1", "max_output_tokens": 4000, "usage": {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}, "output_tokens": 200, "output_tokens_details": {"reasoning_tokens": 50}, "total_tokens": 1200}}}'),
('OpenAI''s batch', '{"custom_id": "1", "response": {"status_code": 200, "body": {"model": "m", "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}, "completion_tokens_details": {"reasoning_tokens": 50}}}}}'),
('a gateway that fills what it does not know with zeros', '{"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, "input_tokens": 0, "output_tokens": 0, "input_tokens_details": null, "prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}, "completion_tokens_details": {"reasoning_tokens": 50}}'),
('Agents SDK, two requests', '{"requests": 2, "input_tokens": 1000, "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}, "output_tokens": 200, "output_tokens_details": {"reasoning_tokens": 50}, "total_tokens": 1200, "request_usage_entries": [
	{"input_tokens": 400, "input_tokens_details": {"cached_tokens": 400}, "output_tokens": 50, "output_tokens_details": {"reasoning_tokens": 50}, "total_tokens": 450},
	{"input_tokens": 600, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100}, "output_tokens": 150, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 750}]}');
INSERT INTO shapes VALUES
('Claude Agent SDK: each model by its own price', '{"type": "result", "total_cost_usd": 0.01, "usage": {"input_tokens": 500, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 100, "output_tokens": 200},
	"modelUsage": {"m": {"inputTokens": 500, "outputTokens": 200, "cacheReadInputTokens": 400, "cacheCreationInputTokens": 100, "webSearchRequests": 0, "costUSD": 0.005, "contextWindow": 200000, "maxOutputTokens": 32000},
	"haiku": {"inputTokens": 1000, "outputTokens": 100, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0, "webSearchRequests": 0, "costUSD": 0.0015, "contextWindow": 200000}}}', 'anthropic', 0.004995 + 0.0015),
('Anthropic''s compaction', '{"input_tokens": 23000, "output_tokens": 1000, "iterations": [{"type": "compaction", "input_tokens": 180000, "output_tokens": 3500}, {"type": "message", "input_tokens": 23000, "output_tokens": 1000}], "server_tool_use": {"web_search_requests": 2}}', 'anthropic', 0.6965),
('Anthropic, a cache of an hour', '{"input_tokens": 10, "cache_creation_input_tokens": 100, "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}, "output_tokens": 1}', 'anthropic', 0.0005775),
('pi', '{"input": 3, "output": 50, "cacheRead": 5758, "cacheWrite": 6174, "totalTokens": 11985, "cost": {"input": 0.1, "total": 0.2}}', 'anthropic', 0.0256389),
('Cohere', '{"meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 5, "output_tokens": 418}, "tokens": {"input_tokens": 71, "output_tokens": 418}}}', 'cohere', 0.006285),
('Ollama', '{"model": "m", "created_at": "2026-01-01", "message": {"role": "assistant", "content": "Hi"}, "done": true, "total_duration": 872113375, "prompt_eval_count": 29, "prompt_eval_duration": 3, "eval_count": 25, "eval_duration": 9}', 'ollama', 0.000462),
('Gemini, the answer', '{"candidates": [{"content": {"parts": [{"text": "Hi"}]}}], "usageMetadata": {"promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 150, "thoughtsTokenCount": 50, "totalTokenCount": 1200,
	"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}], "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 400}], "trafficType": "ON_DEMAND"}, "modelVersion": "m"}', 'google', 0.00517),
('AI SDK 5, Anthropic', '{"inputTokens": 500, "outputTokens": 200, "totalTokens": 700, "cachedInputTokens": 400}', 'anthropic', 0.00462),
('Titan', '{"inputTextTokenCount": 5, "results": [{"tokenCount": 10, "outputText": "Hi"}, {"tokenCount": 20}]}', 'amazon', 0.000465);
SELECT shape, read(usage, provider) FROM shapes WHERE read(usage, provider) LIKE '[%' OR airun_cost('m', usage, provider) IS DISTINCT FROM cost;
SELECT count(*) FROM shapes;
-- what comes out of airun_normalize_usage() goes in again
SELECT shape FROM shapes WHERE airun_normalize_usage(airun_normalize_usage(usage, provider)) - 'requests' <> airun_normalize_usage(usage, provider) - 'requests';
-- one at a time: tokens as the notes have them
SELECT read('{"input": 638, "output": 120, "reasoning": 30, "cache": {"read": 642944, "write": 512}, "total": 644244}');
-- embeddings and reranking: a total alone is input, unless the price charges for output as well
SELECT read('{"total_tokens": 12}', NULL, 'embed'), read('{"object": "list", "usage": {"prompt_tokens": 12, "total_tokens": 12}}', NULL, 'embed'), read('{"billed_units": {"search_units": 1}}', 'cohere', 'rerank'), read('{"total_tokens": 12}'),
	airun_cost_details('m', '{"total_tokens": 12}') ->> 'reason';

--
-- As providers and libraries send them: nothing is in doubt
--
SELECT n, airun_normalize_usage(u::jsonb, p) - 'requests' FROM (VALUES
('groq', NULL, '{"id":"x","object":"chat.completion","created":1700000000,"model":"llama","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"logprobs":null}],"usage":{"queue_time":0.03,"prompt_tokens":18,"prompt_time":0.0006,"completion_tokens":556,"completion_time":0.463,"total_tokens":574,"total_time":0.464},"x_groq":{"id":"req"}}'),
('deepseek', 'deepseek', '{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200,"prompt_tokens_details":{"cached_tokens":400},"completion_tokens_details":{"reasoning_tokens":50},"prompt_cache_hit_tokens":400,"prompt_cache_miss_tokens":600}'),
('openrouter', 'openrouter', '{"prompt_tokens":1000,"completion_tokens":200,"total_tokens":1200,"cost":0.00042,"is_byok":false,"prompt_tokens_details":{"cached_tokens":400,"audio_tokens":0},"cost_details":{"upstream_inference_cost":null,"upstream_inference_prompt_cost":0.0001,"upstream_inference_completions_cost":0.0002},"completion_tokens_details":{"reasoning_tokens":50,"image_tokens":0}}'),
('xai', 'xai', '{"prompt_tokens":37,"completion_tokens":530,"total_tokens":800,"prompt_tokens_details":{"text_tokens":37,"audio_tokens":0,"image_tokens":0,"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":233,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0},"num_sources_used":0}'),
('xai responses', 'xai', '{"input_tokens":199,"input_tokens_details":{"cached_tokens":163},"output_tokens":1,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":200,"num_sources_used":0,"num_server_side_tools_used":0,"cost_in_usd_ticks":158500}'),
('perplexity', 'perplexity', '{"prompt_tokens":8,"completion_tokens":439,"total_tokens":447,"search_context_size":"low","cost":{"input_tokens_cost":0.0,"output_tokens_cost":0.007,"request_cost":0.005,"total_cost":0.012}}'),
('mistral', 'mistral', '{"prompt_tokens":4,"completion_tokens":15,"total_tokens":19,"prompt_audio_seconds":null,"num_cached_tokens":0}'),
('gemini live', 'google', '{"promptTokenCount":10,"responseTokenCount":20,"totalTokenCount":30,"promptTokensDetails":[{"modality":"TEXT","tokenCount":4},{"modality":"AUDIO","tokenCount":6}],"responseTokensDetails":[{"modality":"AUDIO","tokenCount":20}]}'),
('gemini tool', 'google', '{"promptTokenCount":100,"candidatesTokenCount":30,"totalTokenCount":150,"toolUsePromptTokenCount":20,"toolUsePromptTokensDetails":[{"modality":"TEXT","tokenCount":20}],"promptTokensDetails":[{"modality":"TEXT","tokenCount":60},{"modality":"DOCUMENT","tokenCount":40}]}'),
('anthropic', 'anthropic', '{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":2095,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":503,"service_tier":"standard","server_tool_use":{"web_search_requests":0,"web_fetch_requests":2},"inference_geo":"us","speed":"standard"}}'),
('qwen', NULL, '{"prompt_tokens":3019,"completion_tokens":104,"total_tokens":3123,"prompt_tokens_details":{"cached_tokens":2048},"completion_tokens_details":{"text_tokens":104}}'),
('azure', NULL, '{"completion_tokens":9,"prompt_tokens":12,"total_tokens":21,"completion_tokens_details":{"accepted_prediction_tokens":3,"audio_tokens":0,"reasoning_tokens":0,"rejected_prediction_tokens":2},"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":0}}'),
('ai sdk 5 result', 'openai', '{"usage":{"inputTokens":10,"outputTokens":5,"totalTokens":15,"reasoningTokens":0,"cachedInputTokens":0},"totalUsage":{"inputTokens":10,"outputTokens":5,"totalTokens":15},"finishReason":"stop","steps":[{"usage":{"inputTokens":10,"outputTokens":5,"totalTokens":15}}]}'),
('agents js', NULL, '{"requests":1,"inputTokens":10,"outputTokens":5,"totalTokens":15,"inputTokensDetails":[{"cached_tokens":4}],"outputTokensDetails":[{"reasoning_tokens":2}]}'),
('voyage', NULL, '{"object":"list","data":[{"object":"embedding","embedding":[0.1,0.2],"index":0}],"model":"voyage-3","usage":{"total_tokens":10}}'),
('jina', NULL, '{"usage":{"total_tokens":10,"prompt_tokens":10}}'),
('cohere v2', 'cohere', '{"id":"x","finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":5,"output_tokens":418},"tokens":{"input_tokens":71,"output_tokens":418},"cached_tokens":0}}'),
('langchain response_metadata', NULL, '{"response_metadata":{"token_usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15},"model_name":"gpt"},"content":"x"}'),
('claude code line', NULL, '{"type":"assistant","message":{"id":"m","model":"claude","usage":{"input_tokens":3,"cache_creation_input_tokens":100,"cache_read_input_tokens":50,"output_tokens":7,"service_tier":"standard"}},"uuid":"u"}'),
('codex exec', NULL, '{"type":"turn.completed","usage":{"input_tokens":24763,"cached_input_tokens":24448,"output_tokens":122}}'),
('gpt image', NULL, '{"created":1,"usage":{"input_tokens":50,"input_tokens_details":{"image_tokens":40,"text_tokens":10},"output_tokens":60,"total_tokens":110,"output_tokens_details":{"image_tokens":50,"text_tokens":10}}}'),
('langfuse', NULL, '{"usage_details":{"input":10,"output":5,"total":15}}'),
('bedrock invoke', NULL, '{"amazon-bedrock-invocationMetrics":{"inputTokenCount":14,"outputTokenCount":4,"invocationLatency":500,"firstByteLatency":300,"cacheReadInputTokenCount":3,"cacheWriteInputTokenCount":0}}'),
('ai sdk v6 openai', 'openai', '{"inputTokens":10,"inputTokenDetails":{"noCacheTokens":10,"cacheReadTokens":0},"outputTokens":5,"outputTokenDetails":{"textTokens":5,"reasoningTokens":0},"totalTokens":15,"raw":{"input_tokens":10,"input_tokens_details":{"cached_tokens":0},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":15},"reasoningTokens":0,"cachedInputTokens":0}')) v (n, p, u);

--
-- Tiers are chosen by each request's own length, where it is known
--
SELECT read('{"requests": 2, "input_tokens": 300000, "output_tokens": 2, "total_tokens": 300002, "request_usage_entries": [{"input_tokens": 150000, "output_tokens": 1}, {"input_tokens": 150000, "output_tokens": 1}]}', NULL, 'long'),
	read('{"requests": 2, "input_tokens": 300000, "output_tokens": 2, "total_tokens": 300002, "request_usage_entries": [{"input_tokens": 250000, "output_tokens": 1}, {"input_tokens": 50000, "output_tokens": 1}]}', NULL, 'long'),
	read('{"steps": [{"usage": {"inputTokens": 250000, "outputTokens": 1}}, {"usage": {"inputTokens": 50000, "outputTokens": 1}}], "totalUsage": {"inputTokens": 300000, "outputTokens": 2, "totalTokens": 300002}}', NULL, 'long');
SELECT read('{"requests": 2, "input_tokens": 300000, "output_tokens": 2}', NULL, 'long'), read('{"requests": 2, "input_tokens": 100000, "output_tokens": 2}', NULL, 'long');
SELECT jsonb_pretty(airun_cost_details('long', '{"requests": 2, "input_tokens": 300000, "output_tokens": 2, "request_usage_entries": [{"input_tokens": 250000, "output_tokens": 1}, {"input_tokens": 50000, "output_tokens": 1}]}') - 'price_id');
-- a sum that is not the sum of its entries; entries that are more than what leaves some out; a copy that says something else
SELECT read('{"requests": 2, "input_tokens": 300, "output_tokens": 2, "request_usage_entries": [{"input_tokens": 100, "output_tokens": 1}, {"input_tokens": 100, "output_tokens": 1}]}');
SELECT read('{"input_tokens": 300, "output_tokens": 2, "iterations": [{"input_tokens": 100, "output_tokens": 1}]}');
SELECT read('{"inputTokens": 100, "outputTokens": 1, "raw": {"prompt_tokens": 200, "completion_tokens": 1}}');

--
-- What nobody has read
--
SELECT u, read(u::jsonb) FROM unnest(ARRAY[
	'{"prompt_tokens": 10, "completion_tokens": 5, "citation_tokens": 20016}',
	'{"prompt_tokens": 10, "completion_tokens": 5, "citation_tokens_v2": "1.5"}', '{"prompt_tokens": 10, "completion_tokens": 5, "citation_tokens": 0}',
	'{"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"novel": 3}}', '{"input_tokens": 10, "output_tokens": 5, "cache_miss": 4}',
	'{"input_tokens": 10, "output_tokens": 5, "server_side": {"x_search_calls": 1}}', '{"promptTokenCount": 10, "candidatesTokenCount": 5, "billedUnits": 2}',
	'{"prompt_tokens": 10, "completion_tokens": 5, "tokens_per_second": 40.5, "max_tokens": 100, "queue_time": 0.1, "prompt_cache_cost": 3, "contextWindow": 200000, "total_duration": 9}',
	'{"promt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}', '{"foo": 10, "completion_tokens": 5, "total_tokens": 15}', '{"completion_tokens": 5}', '{"prompt_tokens": 10}',
	'{"data": {"deep": {"prompt_tokens": 10, "completion_tokens": 5}}}', '{"prompt_tokens": {"value": 10}, "completion_tokens": 5}', '{"tokens": 15}', '[{"prompt_tokens": 15}]',
	'{"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40}', '{"prompt_tokens": 10, "completion_tokens": 5, "input_tokens": 11}']) u;

-- what is too deep or too much is said to be, and stops nothing
CREATE FUNCTION deep(levels int, front text, behind text) RETURNS jsonb LANGUAGE sql AS $$SELECT (repeat(front, levels) || '{"input_tokens": 1, "output_tokens": 1}' || repeat(behind, levels))::jsonb$$;
SELECT left(airun_normalize_usage(u)::text, 160) FROM unnest(ARRAY[deep(2000, '{"steps": [', ']}'), deep(2000, '{"usage": {"input_tokens": 1, "output_tokens": 1}, "steps": [', ']}'), deep(2000, '{"raw": ', '}'), deep(2000, '{"tokens": ', '}'), deep(2000, '[', ']'),
	(SELECT jsonb_object_agg('tokens_' || i, i) FROM generate_series(1, 5000) i), jsonb_build_object('prompt_tokens', 1, 'completion_tokens', 1, repeat('tokens', 50000), 1),
	(SELECT jsonb_build_object('iterations', jsonb_agg('{"input_tokens": 1, "output_tokens": 1}'::jsonb)) FROM generate_series(1, 3000))]) u;

--
-- Whatever is said, the end stands: by every way to end a task
--
SELECT id AS run FROM airun_create_run() \gset
CREATE FUNCTION ends(run uuid, how text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id uuid := (airun_create_task(run, model_id => 'm')).task_id;
BEGIN
	EXECUTE replace(how, '<task>', id::text);
	RETURN (SELECT concat_ws(' | ', status, price_status, concat(tokens_input, '+', tokens_output, '=', tokens_total), cost, usage, cost_details -> 'doubts', cost_details -> 'left_out') FROM ai_tasks WHERE task_id = id);
EXCEPTION WHEN OTHERS THEN
	RETURN 'REFUSED: ' || SQLSTATE || ' ' || SQLERRM;
END$$;
SELECT replace(ends(:'run', how), repeat('0', 399), '...') FROM unnest(ARRAY[
	$$SELECT airun_complete_task('<task>', usage => '{"prompt_tokens": 951, "completion_tokens": 6000, "total_tokens": 6952, "completion_tokens_details": {"reasoning_tokens": 6001}}')$$,
	$$SELECT airun_fail_task('<task>', usage => '{"prompt_tokens": "12", "completion_tokens": -3}', cost => 'NaN')$$,
	$$SELECT airun_cancel_task('<task>', usage => '[1, 2]', tokens_input => -1, tokens_output => 5, total_time => 'Infinity')$$,
	$$SELECT airun_finish_turn('<task>', '{"role": "assistant", "content": "Hi"}', usage => '"12 tokens"', tokens_total => -5)$$,
	$$SELECT airun_finish_turn('<task>', '{"role": "assistant", "content": "Hi"}', usage => '{"prompt_tokens": 1e400, "completion_tokens": 2, "prompt_tokens_details": [], "completion_tokens_details": [3]}')$$,
	$$UPDATE ai_tasks SET status = 'completed', usage = '{"prompt_tokens": 375, "completion_tokens": 110, "total_tokens": 300}', time_to_first_token = -1 WHERE task_id = '<task>'$$,
	$$UPDATE airun.tasks SET status = 'error', usage = 'true', cost = -1 WHERE task_id = '<task>'$$]) how;
-- many rows through the view
INSERT INTO ai_tasks (run_id, model_id, status, usage, cost, total_time) SELECT :'run', 'm', 'completed', u::jsonb, c::numeric, t::numeric FROM (VALUES ('{"prompt_tokens": 10, "completion_tokens": 5}', '1', '2'), ('[]', 'NaN', '-1'), ('{"prompt_tokens": -4}', '-1', 'Infinity'), ('null', NULL, NULL)) v (u, c, t)
RETURNING usage, tokens_total, cost, client_cost, price_status, cost_details -> 'left_out', total_time >= 0;
-- a figure that was left out while the task ran is still told when it has ended, and when it is charged again
SELECT task_id AS task FROM airun_create_task(:'run', model_id => 'nobody') \gset
UPDATE ai_tasks SET tokens_input = -7 WHERE task_id = :'task' RETURNING tokens_input, cost_details;
SELECT tokens_input, price_status, cost_details - 'price_id' FROM airun_complete_task(:'task', tokens_output => 3);
SELECT count(airun_set_price('nobody', '{"input": 1, "output": 1}', effective_from => '2020-01-01'));
SELECT changed FROM airun_reprice(model_id => 'nobody');
SELECT price_status, cost, cost_details - 'price_id' FROM ai_tasks WHERE task_id = :'task';
-- the same call again is the same, and another one is not
SELECT task_id AS task FROM airun_create_task(:'run', model_id => 'm') \gset
SELECT tokens_total, cost FROM airun_complete_task(:'task', usage => '{"prompt_tokens": 9, "completion_tokens": "x"}', tokens_total => 3, cost => -1);
SELECT tokens_total, cost FROM airun_complete_task(:'task', usage => '{"prompt_tokens": 9, "completion_tokens": "x"}', tokens_total => 3, cost => -1);
SELECT left(ends(:'run', format($$SELECT airun_complete_task(%L, usage => '{"prompt_tokens": 8}')$$, :'task')), 14);

--
-- A site's own shapes
--
SELECT airun_normalize_usage('{"vendor": {"in": 5, "out": 7}}');
INSERT INTO airun.usage_shapes (shape, known_by, paths) VALUES ('vendor', '{vendor.in}', '{"input": "vendor.in", "output": ["vendor.out", "vendor.answer"], "ignored": "vendor.tokens_left"}'),
	('apart', '{tok_in}', '{"input_fresh": "tok_in", "cache_read": "tok_cached", "output_visible": "tok_out", "reasoning": "tok_thought", "total": "tok_all"}');
SELECT airun_normalize_usage('{"vendor": {"in": 5, "out": 7, "tokens_left": 3}}'), airun_normalize_usage('{"tok_in": 5, "tok_cached": 4, "tok_out": 3, "tok_thought": 2, "tok_all": 14}');
UPDATE airun.usage_shapes SET by_total = '{cache,reasoning}', provider = 'acme' WHERE shape = 'apart';
SELECT airun_normalize_usage('{"tok_in": 5, "tok_cached": 4, "tok_out": 3, "tok_thought": 2, "tok_all": 8}', 'acme'), airun_normalize_usage('{"tok_in": 5}', 'other');
-- it adds to what is built in, and corrects it
INSERT INTO airun.usage_shapes (shape, paths) VALUES ('OpenAI Chat', '{"web_searches": "tool_searches", "ignored": "citation_tokens"}');
SELECT read('{"prompt_tokens": 10, "completion_tokens": 5, "citation_tokens": 20016, "tool_searches": 1}');
-- what is rolled back was never there
BEGIN;
DELETE FROM airun.usage_shapes;
SELECT airun_normalize_usage('{"vendor": {"in": 5, "out": 7}}');
ROLLBACK;
SELECT airun_normalize_usage('{"vendor": {"in": 5, "out": 7}}');
TRUNCATE airun.usage_shapes;
SELECT airun_normalize_usage('{"vendor": {"in": 5, "out": 7}}');
-- what is no shape is refused
CREATE FUNCTION refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	detail text;
BEGIN
	EXECUTE command;
	RETURN 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL;
	RETURN state || ' ' || SQLERRM || CASE WHEN state = 'PT422' THEN ' ' || detail ELSE '' END;
END$$;
SELECT refusal('INSERT INTO airun.usage_shapes (shape, known_by, paths, by_total) VALUES ' || v) FROM unnest(ARRAY[
	$$('', '{x}', '{"input": "x"}', NULL)$$, $$('v', '{}', '{"input": "x"}', NULL)$$, $$('v', '{NULL}', '{"input": "x"}', NULL)$$, $$('v', '{x}', '{}', NULL)$$, $$('v', '{x}', '[]', NULL)$$,
	$$('v', '{x}', '{"inputs": "x"}', NULL)$$, $$('v', '{x}', '{"input": 3}', NULL)$$, $$('v', '{x}', '{"input": []}', NULL)$$, $$('v', '{x}', '{"input": [3]}', NULL)$$, $$('v', '{x}', '{"input": ""}', NULL)$$,
	$$('v', '{x}', '{"input": "x"}', '{output}')$$, $$('v', '{x}', NULL, NULL)$$, $$(NULL, '{x}', '{"input": "x"}', NULL)$$]) v;
INSERT INTO airun.usage_shapes (shape, known_by, paths) VALUES ('v', '{x}', '{"input": "x"}');
SELECT refusal('UPDATE airun.usage_shapes SET paths = ''{"x": "x"}''');
DELETE FROM airun.usage_shapes;
SELECT * FROM airun_check();

DELETE FROM airun.runs WHERE id = :'run';
DROP SCHEMA shapes_test CASCADE;
DELETE FROM airun.prices;
