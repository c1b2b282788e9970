--
-- Whole answers of providers, and nothing beside them: tokens, model, tier and cost
--
-- Each document is of the form that its provider documents, with figures of our own.
-- The expected cost is worked out by hand, beside each.
--
\set VERBOSITY terse
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.user_id = 'responses';

-- the prices, of a million tokens
SELECT count(airun_set_price(model, rates, provider, '2020-01-01', per_tokens => 1000000, service_tiers => tiers, multipliers => multipliers))
FROM (VALUES
	('r-chat', 'openai', '{"input": 2.5, "cache_read": 1.25, "output": 10}'::jsonb, '{"priority": {"input": 4.25, "cache_read": 2.125, "output": 17}, "flex": {"input": 1.25, "cache_read": 0.625, "output": 5}, "batch": {"input": 1.25, "cache_read": 0.625, "output": 5}}'::jsonb, '{"region": {"eu": 1.1}}'::jsonb),
	('r-embed', 'openai', '{"input": 0.02, "output": 0}', NULL, NULL),
	('r-sonnet', 'anthropic', '{"input": 3, "cache_read": 0.3, "cache_write_5m": 3.75, "cache_write_1h": 6, "output": 15, "web_searches": 0.01}', '{"batch": {"input": 1.5, "cache_read": 0.15, "cache_write_5m": 1.875, "cache_write_1h": 3, "output": 7.5}}', '{"region": {"us": 1.1}, "speed": {"fast": 6}}'),
	('r-gemini', 'google', '{"input": 1.25, "cache_read": 0.125, "output": 10}', '{"priority": {"input": 2.25, "cache_read": 0.225, "output": 18}}', NULL),
	('r-vertex', 'google', '{"input": 0.3, "output": 2.5}', '{"flex": {"input": 0.15, "output": 1.25}}', NULL),
	('amazon.r-nova', 'bedrock', '{"input": 0.8, "cache_read": 0.2, "output": 3.2}', '{"priority": {"input": 1.4, "cache_read": 0.35, "output": 5.6}}', NULL),
	('r-mistral', 'mistral', '{"input": 2, "output": 6}', NULL, NULL),
	('r-command', 'cohere', '{"input": 2.5, "output": 10}', NULL, NULL),
	('r-llama', 'groq', '{"input": 0.59, "output": 0.79}', NULL, NULL),
	('r-reasoner', 'deepseek', '{"input": 0.55, "cache_read": 0.14, "output": 2.19}', NULL, NULL),
	('r-grok', 'xai', '{"input": 3, "cache_read": 0.75, "output": 15}', NULL, NULL),
	('r-sonar', 'perplexity', '{"input": 3, "output": 15, "requests": 0.006}', NULL, NULL),
	('r-local', 'ollama', '{"input": 0, "output": 0}', NULL, NULL),
	('r-azure', 'azure', '{"input": 2.75, "cache_read": 1.375, "output": 11}', NULL, NULL),
	('r-turbo', 'together_ai', '{"input": 0.88, "output": 0.88}', NULL, NULL),
	('r-fire', 'fireworks_ai', '{"input": 0.9, "cache_read": 0.45, "output": 0.9}', NULL, NULL)
) AS p (model, provider, rates, tiers, multipliers);

CREATE TEMP TABLE answers (n serial, name text, provider text, asked text, input bigint, output bigint,
	model text, tier text, cost numeric, answer jsonb);
INSERT INTO answers (name, provider, asked, input, output, model, tier, cost, answer) VALUES
-- 600 x 2.125 + 400 x 4.25 + 300 x 17
('OpenAI Chat', 'openai', 'r-chat', 1000, 300, 'r-chat-2026-05-01', 'priority', 0.008075,
	'{"id": "chatcmpl-1", "object": "chat.completion", "created": 1790000000, "model": "r-chat-2026-05-01", "service_tier": "priority", "system_fingerprint": "fp_1",
	  "choices": [{"index": 0, "message": {"role": "assistant", "content": "Ahoy.", "refusal": null, "annotations": []}, "logprobs": null, "finish_reason": "stop"}],
	  "usage": {"prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300, "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 0},
	  "completion_tokens_details": {"reasoning_tokens": 100, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}}'),
-- 500 x 1.25 + 200 x 5
('OpenAI Responses', 'openai', 'r-chat', 500, 200, 'r-chat', 'flex', 0.001625,
	'{"id": "resp_1", "object": "response", "created_at": 1790000000, "status": "completed", "model": "r-chat", "service_tier": "flex", "max_output_tokens": 4096, "error": null,
	  "output": [{"type": "reasoning", "id": "rs_1", "summary": []}, {"type": "message", "id": "msg_r1", "status": "completed", "role": "assistant", "content": [{"type": "output_text", "text": "Ahoy.", "annotations": []}]}],
	  "reasoning": {"effort": "high", "summary": null}, "truncation": "disabled", "tools": [], "text": {"format": {"type": "text"}},
	  "usage": {"input_tokens": 500, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 200, "output_tokens_details": {"reasoning_tokens": 150}, "total_tokens": 700}}'),
-- 50 x 0.02
('OpenAI embeddings', 'openai', 'r-embed', 50, NULL, 'r-embed', NULL, 0.000001,
	'{"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}], "model": "r-embed", "usage": {"prompt_tokens": 50, "total_tokens": 50}}'),
-- half: 100 x 1.25 + 50 x 5
('OpenAI batch', 'openai', 'r-chat', 100, 50, 'r-chat', 'batch', 0.000375,
	'{"id": "batch_req_1", "custom_id": "one", "response": {"status_code": 200, "request_id": "req_1", "body": {"id": "chatcmpl-2", "object": "chat.completion", "model": "r-chat", "service_tier": "default",
	  "choices": [{"index": 0, "message": {"role": "assistant", "content": "Ahoy."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}}}, "error": null}'),
-- (100 x 3 + 1000 x 0.3 + 200 x 3.75 + 100 x 6 + 80 x 15) x 1.1 + 2 x 0.01
('Anthropic', 'anthropic', 'r-opus', 1400, 80, 'r-sonnet', 'standard', 0.023465,
	'{"id": "msg_1", "type": "message", "role": "assistant", "model": "r-sonnet", "content": [{"type": "text", "text": "Ahoy."}], "stop_reason": "end_turn", "stop_sequence": null,
	  "usage": {"input_tokens": 100, "cache_creation_input_tokens": 300, "cache_read_input_tokens": 1000, "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
	  "output_tokens": 80, "server_tool_use": {"web_search_requests": 2}, "service_tier": "standard", "inference_geo": "us"}}'),
-- 6 x (10 x 3 + 20 x 15)
('Anthropic fast', 'anthropic', 'r-sonnet', 10, 20, 'r-sonnet', 'standard', 0.00198,
	'{"id": "msg_2", "type": "message", "role": "assistant", "model": "r-sonnet", "content": [{"type": "tool_use", "id": "toolu_1", "name": "tide", "input": {}}], "stop_reason": "tool_use",
	  "usage": {"input_tokens": 10, "output_tokens": 20, "service_tier": "standard", "speed": "fast", "inference_geo": "not_available"}}'),
-- half: 18 x 1.5 + 43 x 7.5
('Anthropic batch', 'anthropic', 'r-sonnet', 18, 43, 'r-sonnet', 'batch', 0.0003495,
	'{"custom_id": "one", "result": {"type": "succeeded", "message": {"id": "msg_3", "type": "message", "role": "assistant", "model": "r-sonnet", "content": [{"type": "text", "text": "Ahoy."}],
	  "stop_reason": "end_turn", "usage": {"input_tokens": 18, "output_tokens": 43, "service_tier": "batch"}}}}'),
-- 300 x 2.25 + 200 x 0.225 + (40 + 60) x 18
('Gemini', 'google', 'r-gemini', 500, 100, 'r-gemini', 'priority', 0.00252,
	'{"candidates": [{"content": {"parts": [{"text": "Ahoy."}], "role": "model"}, "finishReason": "STOP", "index": 0}], "modelVersion": "r-gemini", "responseId": "r1",
	  "usageMetadata": {"promptTokenCount": 500, "cachedContentTokenCount": 200, "candidatesTokenCount": 40, "thoughtsTokenCount": 60, "totalTokenCount": 600,
	  "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 500}], "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 200}], "trafficType": "ON_DEMAND_PRIORITY"}}'),
-- 1000 x 0.15 + 200 x 1.25
('Vertex', 'google-vertex', 'r-vertex', 1000, 200, 'r-vertex', 'flex', 0.0004,
	'{"candidates": [{"content": {"role": "model", "parts": [{"text": "Ahoy."}]}, "finishReason": "STOP", "avgLogprobs": -0.1}], "createTime": "2026-11-01T00:00:00Z", "modelVersion": "r-vertex", "responseId": "r2",
	  "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 200, "totalTokenCount": 1200, "trafficType": "ON_DEMAND_FLEX",
	  "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}], "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 200}]}}'),
-- 100 x 1.4 + 300 x 0.35 + 50 x 5.6; the model is known from what was asked for
('Bedrock', 'bedrock', 'us.amazon.r-nova-v1:0', 400, 50, NULL, 'priority', 0.000525,
	'{"output": {"message": {"role": "assistant", "content": [{"text": "Ahoy."}]}}, "stopReason": "end_turn", "metrics": {"latencyMs": 420}, "serviceTier": {"type": "priority"},
	  "usage": {"inputTokens": 100, "outputTokens": 50, "totalTokens": 450, "cacheReadInputTokens": 300, "cacheWriteInputTokens": 0}}'),
-- 30 x 2 + 40 x 6
('Mistral', 'mistral', 'r-mistral-latest', 30, 40, 'r-mistral', NULL, 0.0003,
	'{"id": "m1", "object": "chat.completion", "created": 1790000000, "model": "r-mistral", "choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": null, "content": "Ahoy."}, "finish_reason": "stop"}],
	  "usage": {"prompt_tokens": 30, "completion_tokens": 40, "total_tokens": 70}}'),
-- what is billed: 20 x 2.5 + 10 x 10
('Cohere', 'cohere', 'r-command', 20, 10, NULL, NULL, 0.00015,
	'{"id": "c1", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [{"type": "text", "text": "Ahoy."}]},
	  "usage": {"billed_units": {"input_tokens": 20, "output_tokens": 10}, "tokens": {"input_tokens": 520, "output_tokens": 12}}}'),
-- 100 x 0.59 + 100 x 0.79
('Groq', 'groq', 'r-llama', 100, 100, 'r-llama', 'on_demand', 0.000138,
	'{"id": "chatcmpl-3", "object": "chat.completion", "created": 1790000000, "model": "r-llama", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Ahoy."}, "logprobs": null, "finish_reason": "stop"}],
	  "usage": {"queue_time": 0.02, "prompt_tokens": 100, "prompt_time": 0.01, "completion_tokens": 100, "completion_time": 0.3, "total_tokens": 200, "total_time": 0.31}, "system_fingerprint": "fp_2", "x_groq": {"id": "req_1"}, "service_tier": "on_demand"}'),
-- 64 x 0.14 + 36 x 0.55 + 50 x 2.19
('DeepSeek', 'deepseek', 'r-reasoner', 100, 50, 'r-reasoner', NULL, 0.00013826,
	'{"id": "d1", "object": "chat.completion", "created": 1790000000, "model": "r-reasoner", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Ahoy.", "reasoning_content": "A ship."}, "finish_reason": "stop"}],
	  "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "prompt_tokens_details": {"cached_tokens": 64}, "completion_tokens_details": {"reasoning_tokens": 30}, "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36}}'),
-- thoughts come on top: 100 x 3 + (20 + 80) x 15
('xAI', 'xai', 'r-grok', 100, 100, 'r-grok', 'default', 0.0018,
	'{"id": "x1", "object": "chat.completion", "created": 1790000000, "model": "r-grok", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Ahoy.", "refusal": null}, "finish_reason": "stop"}], "service_tier": "default",
	  "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 200, "prompt_tokens_details": {"text_tokens": 100, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 0},
	  "completion_tokens_details": {"reasoning_tokens": 80, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}, "num_sources_used": 0, "cost_in_usd_ticks": 18000000}}'),
-- as it is stated, since there is no price
('OpenRouter', 'openrouter', 'openrouter/auto', 194, 2, 'openai/r-mini', NULL, 0.00014,
	'{"id": "gen-1", "provider": "OpenAI", "model": "openai/r-mini", "object": "chat.completion", "created": 1790000000, "choices": [{"index": 0, "finish_reason": "stop", "native_finish_reason": "stop", "message": {"role": "assistant", "content": "Ahoy.", "reasoning": null}}],
	  "usage": {"prompt_tokens": 194, "completion_tokens": 2, "total_tokens": 196, "cost": 0.00014, "is_byok": false, "prompt_tokens_details": {"cached_tokens": 0}, "cost_details": {"upstream_inference_cost": null}, "completion_tokens_details": {"reasoning_tokens": 0}}}'),
-- 20 x 3 + 100 x 15 + a request
('Perplexity', 'perplexity', 'r-sonar', 20, 100, 'r-sonar', NULL, 0.00756,
	'{"id": "p1", "model": "r-sonar", "created": 1790000000, "object": "chat.completion", "citations": ["https://example.org"], "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Ahoy."}, "delta": {"role": "assistant", "content": ""}}],
	  "usage": {"prompt_tokens": 20, "completion_tokens": 100, "total_tokens": 120, "search_context_size": "low", "cost": {"input_tokens_cost": 0.00006, "output_tokens_cost": 0.0015, "request_cost": 0.006, "total_cost": 0.00756}}}'),
('Ollama', 'ollama', 'r-local', 26, 298, 'r-local', NULL, 0,
	'{"model": "r-local", "created_at": "2026-11-01T00:00:00Z", "message": {"role": "assistant", "content": "Ahoy."}, "done_reason": "stop", "done": true, "total_duration": 5191566416, "load_duration": 2154458, "prompt_eval_count": 26, "prompt_eval_duration": 383809000, "eval_count": 298, "eval_duration": 4799921000}'),
-- the deployment has a name of its own: 80 x 2.75 + 40 x 11
('Azure', 'azure', 'our-deployment', 80, 40, 'r-azure-2026-05-01', NULL, 0.00066,
	'{"id": "a1", "object": "chat.completion", "created": 1790000000, "model": "r-azure-2026-05-01", "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": false, "severity": "safe"}}}],
	  "choices": [{"index": 0, "finish_reason": "stop", "content_filter_results": {}, "message": {"role": "assistant", "content": "Ahoy."}}], "usage": {"prompt_tokens": 80, "completion_tokens": 40, "total_tokens": 120}}'),
-- LiteLLM''s own figure, for a model that has no price
('LiteLLM', 'litellm', 'r-team', 12, 3, 'r-house', NULL, 0.00021,
	'{"id": "l1", "object": "chat.completion", "created": 1790000000, "model": "r-house", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Ahoy."}}],
	  "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}, "_hidden_params": {"response_cost": 0.00021, "cache_hit": false}}'),
-- 150 x 0.88
('Together', 'together', 'meta/r-turbo', 100, 50, 'meta/r-turbo', NULL, 0.000132,
	'{"id": "t1", "object": "chat.completion", "created": 1790000000, "model": "meta/r-turbo", "prompt": [], "choices": [{"finish_reason": "stop", "seed": 1, "logprobs": null, "index": 0, "message": {"role": "assistant", "content": "Ahoy.", "tool_calls": []}}],
	  "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, "cached_tokens": 0}}'),
-- 60 x 0.9 + 40 x 0.45 + 10 x 0.9
('Fireworks', 'fireworks', 'accounts/fireworks/models/r-fire', 100, 10, 'accounts/fireworks/models/r-fire', NULL, 0.000081,
	'{"id": "f1", "object": "chat.completion", "created": 1790000000, "model": "accounts/fireworks/models/r-fire", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Ahoy."}}],
	  "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "prompt_tokens_details": {"cached_tokens": 40}}}'),
-- 90 x 2.5 + 10 x 1.25 + 30 x 10
('AI SDK', 'openai', 'r-chat', 100, 30, 'r-chat-2026-05-01', 'default', 0.0005375,
	'{"text": "Ahoy.", "finishReason": "stop", "usage": {"inputTokens": 100, "inputTokenDetails": {"noCacheTokens": 90, "cacheReadTokens": 10}, "outputTokens": 30, "outputTokenDetails": {"textTokens": 30, "reasoningTokens": 0}, "totalTokens": 130},
	  "totalUsage": {"inputTokens": 100, "inputTokenDetails": {"noCacheTokens": 90, "cacheReadTokens": 10}, "outputTokens": 30, "outputTokenDetails": {"textTokens": 30, "reasoningTokens": 0}, "totalTokens": 130},
	  "response": {"id": "resp_2", "modelId": "r-chat-2026-05-01", "timestamp": "2026-11-01T00:00:00Z", "messages": [{"role": "assistant", "content": [{"type": "text", "text": "Ahoy."}]}]},
	  "providerMetadata": {"openai": {"responseId": "resp_2", "serviceTier": "default"}}}');

-- each through one call, without anything else; what is not as expected would be listed
SELECT id AS run FROM airun_create_run() \gset
CREATE TEMP TABLE ended AS
SELECT a.*, t.task_id, airun_finish_turn(t.task_id, response_data => a.answer) AS turn
FROM answers AS a, LATERAL airun_create_task(:'run', task_name => a.name, provider => a.provider, model_id => a.asked) AS t;
SELECT e.name, t.tokens_input, t.tokens_output, t.served_model, t.service_tier, t.cost, t.price_status, t.cost_details -> 'doubts', t.provider_cost
FROM ended AS e JOIN ai_tasks AS t USING (task_id)
WHERE (t.tokens_input, t.tokens_output, t.served_model, t.service_tier, t.cost) IS DISTINCT FROM (e.input, e.output, e.model, e.tier, e.cost)
	OR t.price_status IN ('doubtful', 'unpriced')
ORDER BY e.n;
-- how many there are, what stated a cost of its own, and what was out of the ordinary
SELECT count(*), count(DISTINCT provider) FROM ended;
SELECT task_name, provider_cost, cost, price_status FROM ai_tasks WHERE run_id = :'run' AND provider_cost IS NOT NULL ORDER BY created_at, task_id;
SELECT task_name, region, speed FROM ai_tasks WHERE run_id = :'run' AND (region IS NOT NULL OR speed IS NOT NULL) ORDER BY created_at, task_id;

-- the message is in there, too, as it was sent; embeddings have none
SELECT e.name, m.message ->> 'role', t.response_text, m.message ? 'content' OR m.message ? 'parts'
FROM ended AS e JOIN ai_tasks AS t USING (task_id) LEFT JOIN ai_messages AS m ON m.run_id = t.run_id AND m.task_id = t.task_id
WHERE t.response_text IS DISTINCT FROM 'Ahoy.' OR m.message ->> 'role' IS DISTINCT FROM 'assistant' ORDER BY e.n;
-- the same calls again return the same turns
SELECT count(*), bool_and(airun_finish_turn(task_id, response_data => answer)::jsonb - 'run' = turn::jsonb - 'run') FROM ended;
SELECT message_count, total_tokens = (SELECT sum(coalesce(input, 0) + coalesce(output, 0)) FROM answers), total_cost = (SELECT sum(cost) FROM answers) FROM airun_list_runs();
-- charged again, they cost the same
SELECT sum(tasks) >= 22, sum(changed) FROM airun_reprice(all_tasks => true);
-- an answer that cannot be understood is kept, and says nothing
SELECT task_id AS t FROM airun_create_task(:'run', model_id => 'r-chat') \gset
SELECT t -> 'status', t -> 'tokens_total', t -> 'price_status' FROM (SELECT airun_finish_turn(:'t', response_data => '{"prompt": 5, "note": ["tokens"], "output": "text"}') -> 'task') AS a (t);
SELECT response_data FROM ai_tasks WHERE task_id = :'t';
-- an answer that is an array of the chunks of its stream: the last usage counts, with what went in from before it
CREATE TEMP TABLE streams (n serial, name text, provider text, asked text, input bigint, output bigint, model text, cost numeric, chunks jsonb);
INSERT INTO streams (name, provider, asked, input, output, model, cost, chunks) VALUES
('OpenAI', 'openai', 'r-chat', 1000, 300, 'r-chat-2026-05-01', 0.0055, '[{"id": "c", "object": "chat.completion.chunk", "model": "r-chat-2026-05-01", "service_tier": "default", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Ahoy."}}], "usage": null},
	{"id": "c", "object": "chat.completion.chunk", "model": "r-chat-2026-05-01", "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 300, "total_tokens": 1300}}, "[DONE]"]'),
-- 100 x 3 + 400 x 0.3 + 50 x 15
('Anthropic', 'anthropic', 'r-sonnet', 500, 50, 'r-sonnet', 0.00117, '[{"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "r-sonnet", "content": [], "usage": {"input_tokens": 100, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 0, "output_tokens": 1}}},
	{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Ahoy."}}, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 50}}, {"type": "message_stop"}]'),
-- how long the cache keeps it stands in the first chunk alone: 10 x 3 + 1000 x 6 + 15 x 15
('Anthropic, an hour', 'anthropic', 'r-sonnet', 1010, 15, 'r-sonnet', 0.006255, '[{"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "r-sonnet", "content": [], "usage": {"input_tokens": 10, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 1000, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1000}, "output_tokens": 1}}},
	{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 10, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 1000, "output_tokens": 15}}]'),
-- and 200 written since: 10 x 3 + 1000 x 6 + 200 x 3.75 + 15 x 15
('Anthropic, written later', 'anthropic', 'r-sonnet', 1210, 15, 'r-sonnet', 0.007005, '[{"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "r-sonnet", "content": [], "usage": {"input_tokens": 10, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 1000, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1000}, "output_tokens": 1}}},
	{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 10, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 1200, "output_tokens": 15}}]'),
-- each chunk says what it has come to: 10 x 1.25 + 20 x 10
('Gemini', 'google', 'r-gemini', 10, 20, 'r-gemini', 0.0002125, '[{"modelVersion": "r-gemini", "candidates": [{"content": {"role": "model", "parts": [{"text": "A"}]}}], "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}},
	{"modelVersion": "r-gemini", "candidates": [{"content": {"role": "model", "parts": [{"text": "hoy."}]}, "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 20, "totalTokenCount": 30}}]'),
('no usage', 'openai', 'r-chat', NULL, NULL, 'r-chat', NULL, '[{"model": "r-chat", "choices": [{"index": 0, "delta": {"content": "Ahoy."}}]}, 1, null, []]'),
('nothing', 'openai', 'r-chat', NULL, NULL, NULL, NULL, '[]');
CREATE TEMP TABLE streamed AS
SELECT s.*, t.task_id, airun_finish_turn(t.task_id, response_text => 'Ahoy.', response_data => s.chunks) AS turn
FROM streams AS s, LATERAL airun_create_task(:'run', task_name => s.name, provider => s.provider, model_id => s.asked) AS t;
SELECT s.name, t.price_status, t.tokens_input, t.tokens_output, t.served_model, t.cost, t.cost_details -> 'doubts',
	(t.tokens_input, t.tokens_output, t.served_model, t.cost) IS NOT DISTINCT FROM (s.input, s.output, s.model, s.cost)
FROM streamed AS s JOIN ai_tasks AS t USING (task_id) ORDER BY s.n;
-- All that the model has said and asked for is in the conversation: a tool's loop goes on.
-- What has been stored, the text of the task, and what goes to a model after more has come
CREATE FUNCTION pg_temp.said(answer jsonb, more jsonb DEFAULT '[]', to_provider text DEFAULT 'openai', stated text DEFAULT NULL, streamed text DEFAULT NULL)
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	run uuid := id FROM airun_create_run();
	task uuid := airun_uuid();
	context jsonb;
BEGIN
	PERFORM airun_start_turn(run, '{"role": "user", "content": "?"}', task, model_id => 'r-chat');
	PERFORM airun_stream_delta(task, streamed) WHERE streamed <> '';
	PERFORM airun_finish_turn(task, response_text => stated, response_data => answer);
	RETURN QUERY SELECT (m.message - 'timestamp')::text FROM ai_messages AS m WHERE m.run_id = run AND seq = 2;
	RETURN QUERY SELECT 'text: ' || t.response_text FROM ai_tasks AS t WHERE t.task_id = task;
	PERFORM airun_append_messages(run, more);
	context := airun_context(run, for_provider => to_provider);
	RETURN NEXT to_provider || ': ' || (context -> 'messages' #- '{0}');
	RETURN QUERY SELECT 'export: ' || (airun_export(run, 'openai')::jsonb #- '{messages,0}')::text WHERE to_provider = 'responses';
	RETURN QUERY SELECT key || ': ' || value FROM jsonb_each(context -> 'left_out') WHERE value NOT IN ('0', 'null');
	RETURN QUERY SELECT 'WRONG: ' || problem FROM airun_check(run);
	DELETE FROM airun.runs WHERE id = run;
END$$;
SELECT pg_temp.said('{"object": "response", "id": "resp_1", "output": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"},
	{"type": "message", "id": "msg_1", "role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "I look it up.", "annotations": []}]},
	{"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "tide", "arguments": "{}"}]}',
	'[{"type": "function_call_output", "call_id": "c1", "output": "high"}]', 'responses');
-- calls alone, and one alone; messages before others
SELECT pg_temp.said('{"output": [{"type": "function_call", "call_id": "c1", "name": "tide", "arguments": "{}"}, {"type": "function_call", "call_id": "c2", "name": "wind", "arguments": "{}"}]}',
	'[{"type": "function_call_output", "call_id": "c2", "output": "north"}, {"type": "function_call_output", "call_id": "c1", "output": "high"}]');
SELECT pg_temp.said('{"output": [{"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "tide", "arguments": "{}"}]}', '[{"type": "function_call_output", "call_id": "c1", "output": "high"}]', 'anthropic');
SELECT pg_temp.said('{"output": [{"type": "message", "id": "m1", "content": "One moment. "}, {"type": "message", "id": "m2", "role": "assistant", "content": [{"type": "output_text", "text": "Ahoy."}]}]}', '[]', 'gemini');
SELECT pg_temp.said('{"choices": [{"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "tide", "arguments": "{}"}}]}}]}',
	'{"role": "tool", "tool_call_id": "c1", "content": "high"}', 'gemini');
-- the steps of the AI SDK, the tools' results among them
SELECT pg_temp.said('{"text": "High.", "response": {"messages": [{"role": "assistant", "content": [{"type": "text", "text": "I look. "}, {"type": "tool-call", "toolCallId": "c1", "toolName": "tide", "input": {"at": "quay"}}]},
	{"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c1", "toolName": "tide", "output": {"type": "text", "value": "high"}}]}, {"id": "a2", "role": "assistant", "content": "High."}]}}');
-- the same within what others wrap around it, and texts alone; neither what a user has said nor what says nothing
SELECT name, said FROM (VALUES (1, 'event', '{"type": "response.completed", "response": {"output": [{"type": "function_call", "call_id": "c1", "name": "tide"}, {"type": "message", "role": "assistant", "content": "Ahoy."}]}}'::jsonb),
	(2, 'body', '{"body": {"output": [{"type": "output_text", "id": "t1", "text": "Ahoy."}]}}'), (3, 'Gemini batch', '{"key": "1", "response": {"candidates": [{"content": {"role": "model", "parts": [{"text": "Ahoy."}]}}]}}'),
	(4, 'DashScope', '{"output": {"choices": [{"message": {"role": "assistant", "content": "Ahoy."}, "finish_reason": "stop"}]}}'), (5, 'texts', '{"output": ["A", "hoy."]}'),
	(6, 'user', '{"output": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "Ahoy."}, null]}'), (7, 'number', '{"choices": [{"message": {"role": "assistant", "content": 7}}]}'),
	(8, 'no role', '{"candidates": [{"content": {"parts": [{"text": "Ahoy."}]}}]}'), (9, 'item', '{"message": {"type": "message", "id": "m1", "content": "Ahoy."}}'), (12, 'odd role', '{"message": {"role": {}, "content": "Ahoy."}}'),
	(10, 'user alone', '{"message": {"role": "user", "content": "Ahoy."}}'),
	(11, 'nothing', '{"output": [1, {"foo": "bar"}, [], {"role": "user", "content": "?"}]}')) AS v (n, name, answer),
	LATERAL pg_temp.said(answer) WITH ORDINALITY AS s (said, i) WHERE said NOT LIKE 'openai:%' ORDER BY n, i;
-- what is stated or has been streamed does not hide the calls of an answer that says the same; another text stands
SELECT name, said FROM (VALUES (1, 'stated', 'Ahoy.', NULL), (2, 'streamed', NULL, 'Ahoy.'), (3, 'both', 'Ahoy.', 'Ah'), (4, 'other', 'Ahoy!', NULL)) AS v (n, name, stated, streamed),
	LATERAL pg_temp.said('{"output": [{"type": "message", "id": "m1", "role": "assistant", "content": [{"type": "output_text", "text": "Ahoy."}]}, {"type": "function_call", "call_id": "c1", "name": "tide"}]}',
	'[]', 'openai', stated, streamed) WITH ORDINALITY AS s (said, i) ORDER BY n, i;
-- the chunks of a stream alone: their pieces are put together; of several answers the first is taken
SELECT pg_temp.said('[{"choices": [{"index": 0, "delta": {"role": "assistant", "content": "", "reasoning_content": "A "}}]}, {"choices": [{"index": 1, "delta": {"role": "assistant", "content": "No."}}]},
	{"choices": [{"index": 0, "delta": {"role": "", "reasoning_content": "ship."}}]}, {"choices": [{"index": 0, "delta": {"content": "A"}}]}, {"choices": [{"index": 0, "delta": {"content": "hoy."}}]},
	{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "tide", "arguments": ""}}]}}]},
	{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": null, "type": "function", "function": {"name": "tide", "arguments": "{\"at\":"}}]}}]},
	{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 1, "id": "c2", "type": "function", "function": {"name": "wind", "arguments": "{}"}}, {"index": 0, "function": {"arguments": "\"quay\"}"}}]}}]},
	{"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}, {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}}, "[DONE]", null]',
	'[{"role": "tool", "tool_call_id": "c1", "content": "high"}, {"role": "tool", "tool_call_id": "c2", "content": "north"}]');
SELECT pg_temp.said('[{"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "r-sonnet", "content": [], "stop_reason": null, "usage": {"input_tokens": 5, "output_tokens": 1}}},
	{"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}, {"type": "ping"}, {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "A "}},
	{"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "ship."}}, {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "S"}}, {"type": "content_block_stop", "index": 0},
	{"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "", "citations": null}}, {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "A"}},
	{"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {"cited_text": "one"}}}, {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {"cited_text": "two"}}},
	{"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "hoy."}},
	{"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "c1", "name": "tide", "input": {}}}, {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
	{"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"at\": "}}, {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "\"quay\"}"}},
	{"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "c2", "name": "wind", "input": {}}}, {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": ""}},
	{"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 50}}, {"type": "message_stop"}]',
	'{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "high"}, {"type": "tool_result", "tool_use_id": "c2", "content": "north"}]}', 'anthropic');
SELECT pg_temp.said('[{"candidates": [{"content": {"role": "model", "parts": [{"text": "A ", "thought": true}]}}]}, {"candidates": [{"content": {"role": "model", "parts": [{"text": "ship.", "thought": true}]}}]},
	{"candidates": [{"content": {"role": "model", "parts": [{"text": "A"}]}}]}, {"candidates": [{"content": {"role": "model", "parts": [{"text": "h"}, {"text": "oy."}]}}]}, {"candidates": [{"content": {"parts": [{"text": "", "thoughtSignature": "S1"}]}}]},
	{"candidates": [{"content": {"role": "model", "parts": [{"functionCall": {"name": "tide", "args": {}}, "thoughtSignature": "S2"}]}}]}, {"candidates": [{"content": {"role": "model", "parts": [{"functionCall": {"name": "tide", "args": {}}}]}}]},
	{"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 2}}]',
	'{"role": "user", "parts": [{"functionResponse": {"name": "tide", "response": {"result": "high"}}}, {"functionResponse": {"name": "tide", "response": {"result": "low"}}}]}', 'gemini');
SELECT name, said FROM (VALUES (1, 'Ollama', '[{"message": {"role": "assistant", "content": "A"}, "done": false}, {"message": {"role": "assistant", "content": "hoy.", "tool_calls": [{"function": {"name": "tide", "arguments": {}}}]}, "done": false},
	{"message": {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "tide", "arguments": {}}}]}, "done": true, "eval_count": 3}]'::jsonb),
	(2, 'Bedrock', '[{"messageStart": {"role": "assistant"}}, {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "A"}}}, {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "hoy."}}},
	{"contentBlockStart": {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "c1", "name": "tide"}}}}, {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{\"a\""}}}}, {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"toolUse": {"input": ": 1}"}}}}]'),
	(3, 'Responses', '[{"type": "response.created", "response": {"output": []}}, {"type": "response.output_text.delta", "delta": "Ahoy."}, {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "id": "m1", "role": "assistant", "content": [{"type": "output_text", "text": "Ahoy."}]}},
	{"type": "response.output_item.done", "output_index": 1, "item": {"type": "function_call", "id": "f1", "call_id": "c1", "name": "tide", "arguments": "{}"}}, {"type": "response.completed", "response": {"output": [{"type": "message", "role": "assistant", "content": "No."}]}}]'),
	(4, 'last event', '[{"type": "response.created", "response": {"output": []}}, {"type": "response.completed", "response": {"output": [{"type": "message", "role": "assistant", "content": "Ahoy."}, {"type": "function_call", "call_id": "c1", "name": "tide"}]}}]'),
	(5, 'completions', '[{"choices": [{"index": 0, "text": "A"}]}, {"choices": [{"index": 0, "text": "hoy."}]}]'), (6, 'generate', '[{"response": "A", "done": false}, {"response": "hoy.", "done": true}]'),
	(7, 'Mistral', '[{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}, {"choices": [{"index": 0, "delta": {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "A "}]}]}}]}, {"choices": [{"index": 0, "delta": {"content": "A"}}]}, {"choices": [{"index": 0, "delta": {"content": "hoy."}}]}]'),
	(8, 'odd', '[{"choices": [{"delta": {"role": 7, "content": "A", "partial_json": 1, "a": {"b": 1}, "list": [1, 2]}}]}, {"choices": [{"delta": {"content": [{"type": "text", "text": "hoy."}], "a": "b", "list": {}}}]},
	{"choices": [{"index": "x", "delta": {"content": {"text": "?"}, "list": [3, "x", "y"], "a": {"b": 2, "c": [{"index": 1.5}]}}}]}, {"type": "content_block_delta", "index": -1, "delta": {}}, {"type": "content_block_delta", "index": 1e30, "delta": {}}]'),
	(13, 'same index', '[{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "tide", "arguments": "{}"}}]}}]}, {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c2", "function": {"name": "wind", "arguments": "{"}}, {"index": 0, "id": "c2", "function": {"arguments": "}"}}]}}]}]'),
	(14, 'number', '[{"choices": [{"delta": {"content": 7, "refusal": "No."}}]}]'),
	(9, 'broken', '[{"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "c1", "name": "tide", "input": {}}}, {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{\"at\": "}}]'),
	(10, 'empty', '[{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}]'), (11, 'unknown', '[{"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Ahoy."}}}}, {"message": "too many"}, 1, [], "x"]'), (12, 'none', '[]')) AS v (n, name, answer),
	LATERAL pg_temp.said(answer) WITH ORDINALITY AS s (said, i) WHERE said NOT LIKE 'openai:%' ORDER BY n, i;
-- where no message can be made the turn has ended, with its usage, and takes a message later
SELECT task_id AS t FROM airun_create_task(:'run', model_id => 'r-chat') \gset
SELECT t -> 'messages', t -> 'task' -> 'status', t -> 'task' -> 'tokens_total' FROM airun_finish_turn(:'t', response_data => '[{"piece": "Ahoy."}, {"usage": {"prompt_tokens": 5, "completion_tokens": 6}}]') AS t;
SELECT t -> 'messages' -> 0 -> 'role', t -> 'task' -> 'response_length', t -> 'task' -> 'tokens_total' FROM airun_finish_turn(:'t', response_text => 'Ahoy.') AS t;
-- no answer is refused for its message: of one that is too large the text that is stated stands, or none; an id that is too long is none
SET airun.max_message_size = '1kB';
SELECT name, said FROM (VALUES (1, 'large', NULL), (2, 'stated', 'Ahoy.')) AS v (n, name, stated),
	LATERAL pg_temp.said(jsonb_build_object('text', repeat('x', 2000)), stated => stated) WITH ORDINALITY AS s (said, i) ORDER BY n, i;
RESET airun.max_message_size;
SELECT task_id AS t FROM airun_create_task(:'run', model_id => 'r-chat') \gset
SELECT t -> 'task' -> 'status', t -> 'task' -> 'tokens_total', t -> 'task' -> 'response_length' FROM airun_finish_turn(:'t',
	response_data => ('[{"choices": [{"delta": {"content": "Ahoy.", "x": ' || repeat('[', 6000) || repeat(']', 6000) || '}}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}]')::jsonb) AS t;
SELECT task_id AS t FROM airun_create_task(:'run', model_id => 'r-chat') \gset
SELECT t -> 'task' -> 'status', t -> 'task' -> 'tokens_total', t -> 'task' -> 'response_length' FROM airun_finish_turn(:'t',
	response_data => ('{"output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Ahoy.", "x": ' || repeat('[', 6000) || repeat(']', 6000) || '}]},
	{"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}], "usage": {"input_tokens": 1, "output_tokens": 2}}')::jsonb) AS t;
SELECT task_id AS t FROM airun_create_task(:'run', model_id => 'r-chat') \gset
SELECT t -> 'messages' -> 0 -> 'message_id', t -> 'task' -> 'response_length' FROM airun_finish_turn(:'t',
	response_data => jsonb_build_object('id', repeat('i', 201), 'role', 'assistant', 'content', 'Ahoy.')) AS t;
SELECT * FROM airun_check();
DELETE FROM airun.runs WHERE id = :'run';
DELETE FROM airun.prices WHERE model ~ '^(amazon.)?r-';
