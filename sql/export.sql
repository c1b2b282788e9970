--
-- Runs taken out: each form from messages in each shape, and what no form loses.
-- Numbers in comments are those of facts/formats.md.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA export_test;
GRANT USAGE ON SCHEMA export_test TO PUBLIC;
SET search_path = export_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8066';
SET client_encoding = 'UTF8';
SET airun.user_id = 'export test';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- a new run with these messages, its id
CREATE FUNCTION run_of(n int, messages jsonb, name text DEFAULT 'Two cities') RETURNS uuid LANGUAGE plpgsql AS $$
BEGIN
	PERFORM airun_create_run(id => run_id(n), name => name);
	PERFORM airun_append_messages(run_id(n), messages);
	RETURN run_id(n);
END
$$;
CREATE FUNCTION exported(n int, format text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT airun_export(run_id(n), format)::jsonb
$$;

--
-- One conversation in five shapes: every form of it is the same
--
SELECT run_of(1, '[
	{"role": "system", "content": "Be brief."},
	{"role": "user", "content": "Weather in Oslo and Rome?"},
	{"role": "assistant", "content": null, "tool_calls": [
		{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}},
		{"id": "c2", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Rome\"}"}}]},
	{"role": "tool", "tool_call_id": "c2", "content": "{\"degrees\": 30}"},
	{"role": "tool", "tool_call_id": "c1", "content": "{\"degrees\": 5}"},
	{"role": "assistant", "content": "5 and 30 degrees."},
	{"role": "user", "content": [{"type": "text", "text": "And here?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]') = run_id(1),
run_of(2, '[
	{"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
	{"role": "user", "content": "Weather in Oslo and Rome?"},
	{"role": "assistant", "content": [
		{"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Oslo"}},
		{"type": "tool_use", "id": "c2", "name": "weather", "input": {"city": "Rome"}}]},
	{"role": "user", "content": [
		{"type": "tool_result", "tool_use_id": "c1", "content": "{\"degrees\": 5}"},
		{"type": "tool_result", "tool_use_id": "c2", "content": "{\"degrees\": 30}"}]},
	{"role": "assistant", "content": [{"type": "text", "text": "5 and 30 degrees."}]},
	{"role": "user", "content": [{"type": "text", "text": "And here?"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]') = run_id(2),
run_of(3, '[
	{"role": "system", "parts": [{"text": "Be brief."}]},
	{"role": "user", "parts": [{"text": "Weather in Oslo and Rome?"}]},
	{"role": "model", "parts": [
		{"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Oslo"}}},
		{"functionCall": {"id": "c2", "name": "weather", "args": {"city": "Rome"}}}]},
	{"role": "user", "parts": [
		{"functionResponse": {"id": "c1", "name": "weather", "response": {"degrees": 5}}},
		{"functionResponse": {"id": "c2", "name": "weather", "response": {"degrees": 30}}}]},
	{"role": "model", "parts": [{"text": "5 and 30 degrees."}]},
	{"role": "user", "parts": [{"text": "And here?"}, {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]}]') = run_id(3),
run_of(4, '[
	{"type": "message", "role": "system", "content": "Be brief."},
	{"role": "user", "content": [{"type": "input_text", "text": "Weather in Oslo and Rome?"}]},
	{"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{\"city\": \"Oslo\"}"},
	{"type": "function_call", "call_id": "c2", "name": "weather", "arguments": "{\"city\": \"Rome\"}"},
	{"type": "function_call_output", "call_id": "c1", "output": "{\"degrees\": 5}"},
	{"type": "function_call_output", "call_id": "c2", "output": "{\"degrees\": 30}"},
	{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "5 and 30 degrees."}]},
	{"role": "user", "content": [{"type": "input_text", "text": "And here?"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]}]') = run_id(4),
run_of(5, '[
	{"id": "u0", "role": "system", "parts": [{"type": "text", "text": "Be brief."}]},
	{"id": "u1", "role": "user", "parts": [{"type": "text", "text": "Weather in Oslo and Rome?"}]},
	{"id": "u2", "role": "assistant", "parts": [{"type": "step-start"},
		{"type": "tool-weather", "toolCallId": "c1", "state": "output-available", "input": {"city": "Oslo"}, "output": {"degrees": 5}},
		{"type": "dynamic-tool", "toolName": "weather", "toolCallId": "c2", "state": "output-available", "input": {"city": "Rome"}, "output": {"degrees": 30}},
		{"type": "step-start"}, {"type": "text", "text": "5 and 30 degrees."}]},
	{"id": "u3", "role": "user", "parts": [{"type": "text", "text": "And here?"}, {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AAAA"}]}]') = run_id(5);

-- arguments and results that are JSON within a string differ in blanks alone
CREATE FUNCTION settled(document jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(replace(document::text, '\"degrees\": ', '\"degrees\":'), '\\"city\\": ', '\"city\":', 'g')
$$;
SELECT f, count(DISTINCT settled(exported(n, f) - 'id')) AS differ
FROM unnest('{openai,responses,anthropic,gemini,sharegpt}'::text[]) f, generate_series(1, 5) n GROUP BY f ORDER BY f;
SELECT f, jsonb_pretty(exported(1, f) - 'id') FROM unnest('{openai,responses,anthropic,gemini,sharegpt}'::text[]) f;
SELECT jsonb_pretty(jsonb_path_query_array(exported(n, 'ai-sdk'), '$.messages[*].parts')) FROM generate_series(1, 1) n;
SELECT airun_export(run_id(1), 'markdown');

-- §6.4: an answer with its steps is one message, which has its time
SELECT jsonb_path_query_array(exported(5, 'ai-sdk'), '$.messages[*].id') = '["u0", "u1", "u2", "u3"]',
	exported(5, 'ai-sdk') #>> '{messages,1,metadata,createdAt}' IS NOT NULL, exported(5, 'ai-sdk') ->> 'title';

--
-- What is exported and stored again is exported as it was
--
CREATE TABLE forms AS SELECT * FROM (VALUES (11, 'openai', 'messages'), (12, 'responses', 'input'), (13, 'anthropic', 'messages'), (14, 'gemini', 'contents')) v (n, f, k);
SELECT f, run_of(n, exported(1, f) -> k) = run_id(n) FROM forms;
SELECT f, exported(n, f) -> k = exported(1, f) -> k AS same FROM forms;

--
-- Calls and results
--
-- a result without an id answers by name, then by order (§6.3); ids that others refuse are made anew, on both sides (§9)
SELECT run_of(20, '[
	{"role": "user", "content": "go"},
	{"role": "assistant", "content": "a", "function_call": {"name": "f.x", "arguments": "not JSON"}},
	{"role": "function", "name": "f.x", "content": "1"},
	{"role": "assistant", "tool_calls": [{"id": "a b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
		{"id": "a b", "type": "function", "function": {"name": "h", "arguments": ""}}]},
	{"role": "tool", "tool_call_id": "a b", "content": [{"type": "text", "text": "2"}, {"type": "text", "text": "3"}]},
	{"role": "tool", "tool_call_id": "a b", "content": "4", "metadata": {"is_error": true}},
	{"role": "tool", "tool_call_id": "nobody", "content": "5"},
	{"role": "assistant", "tool_calls": [{"id": "open", "type": "custom", "custom": {"name": "c", "input": "free"}}]}]') = run_id(20);
SELECT jsonb_pretty(exported(20, f)) FROM unnest('{openai,anthropic,gemini}'::text[]) f;

--
-- What only its provider takes (M3, M4): there and back for that one, nowhere else
--
SELECT run_of(30, '[
	{"role": "user", "content": "think"},
	{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s1"}, {"type": "redacted_thinking", "data": "xx"},
		{"type": "server_tool_use", "id": "st", "name": "web_search", "input": {"query": "q"}},
		{"type": "web_search_tool_result", "tool_use_id": "st", "content": []},
		{"type": "text", "text": "so", "citations": [{"type": "char_location"}]}]},
	{"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "e1"},
	{"type": "web_search_call", "id": "ws_1", "status": "completed"},
	{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "thus", "annotations": []}]},
	{"role": "model", "parts": [{"text": "hm", "thought": true}, {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "g1"}, {"executableCode": {"language": "PYTHON", "code": "1"}}]},
	{"role": "assistant", "content": "end", "reasoning_content": "hm", "refusal": null}]') = run_id(30);
SELECT f, exported(30, f) FROM unnest('{openai,responses,anthropic,gemini}'::text[]) f;

--
-- What was pasted, attached, heard and thought goes out as text, under whichever key it
-- stands (§2, §3, §4.1, §6.2, §6.5); of a file of which nothing is there, its name at most
--
SELECT run_of(31, '[
	{"role": "user", "content": [{"type": "file", "file_name": "paste.txt", "extracted_content": "pasted"}, {"type": "text", "text": "Read it."}]},
	{"role": "user", "content": [{"type": "file", "name": "notes.md", "url": "a1b2", "file": {"id": "a1b2", "data": {"content": "notes"}}}]},
	{"role": "user", "content": [{"type": "file", "file_name": "chart.png", "file_uuid": "f-1"}]},
	{"role": "user", "content": [{"type": "document", "title": "plain", "source": {"type": "text", "media_type": "text/plain", "data": "a plain document"}},
		{"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "one block"}, {"type": "text", "text": "another"}]}}]},
	{"role": "user", "content": [{"type": "text-plain", "text": "a block", "mime_type": "text/plain"}, {"type": "audio_transcription", "text": "a question", "direction": "in"}, {"type": "input_audio", "transcript": "heard"}]},
	{"role": "user", "parts": [{"type": "file", "mediaType": "text/csv", "filename": "a.csv", "url": "data:text/csv;charset=utf-8;base64,YSxiCg=="}]},
	{"role": "assistant", "content": null, "audio": {"id": "audio_1", "transcript": "spoken", "data": "AAAA"}},
	{"role": "assistant", "parts": [{"type": "reasoning", "content_type": "thoughts", "thoughts": [{"summary": "Heading", "content": "thought"}]}, {"type": "voice_note", "text": "end"}]}]') = run_id(31);
SELECT f, exported(31, f) FROM unnest('{openai,responses,anthropic,gemini}'::text[]) f;
SELECT jsonb_path_query_array(exported(31, 'ai-sdk'), '$.messages[*].parts[*] ? (@.type != "step-start")');
SELECT airun_export(run_id(31), 'markdown');

-- what proves a part to who has signed it (§6.3, §6.4, §9), wherever it stands
SELECT run_of(32, '[
	{"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}, "metadata": {"thoughtSignature": "g1"}}]},
	{"role": "assistant", "tool_calls": [{"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {"thought_signature": "g2"}}}]},
	{"role": "assistant", "parts": [{"type": "dynamic-tool", "toolName": "f", "toolCallId": "c3", "state": "input-available", "input": {}, "callProviderMetadata": {"vertex": {"thoughtSignature": "g3"}}}]},
	{"role": "assistant", "parts": [{"type": "reasoning", "text": "", "providerMetadata": {"anthropic": {"redactedData": "x4"}}}, {"type": "text", "text": "said", "providerMetadata": {"google": {"thoughtSignature": "g5"}}}]},
	{"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x6"}, {"type": "text", "text": "said"}]},
	{"role": "assistant", "parts": [{"type": "reasoning", "reasoning": "hm", "details": [{"type": "text", "text": "hm", "signature": "s9"}, {"type": "redacted", "data": "x9"}]}, {"type": "text", "text": "said"}]},
	{"role": "model", "parts": [{"text": "done", "thoughtSignature": "g7"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "g8"}, {"type": "executableCode", "executableCode": {"language": "PYTHON", "code": "1"}}, {"text": "", "thoughtSignature": "g10"}]}]') = run_id(32);
SELECT f, exported(32, f) FROM unnest('{anthropic,gemini}'::text[]) f;
SELECT jsonb_path_query_array(exported(32, 'ai-sdk'), '$.messages[*].parts[*].*.*.*');

-- §6.4: a tool that has returned is one by its state, whatever it has returned
SELECT run_of(33, '[
	{"role": "assistant", "parts": [
		{"type": "tool-f", "toolCallId": "nothing", "state": "output-available", "input": {}},
		{"type": "tool-f", "toolCallId": "null", "state": "output-available", "input": {}, "output": null},
		{"type": "tool-f", "toolCallId": "none", "state": "output-available", "input": {}, "output": []},
		{"type": "tool-f", "toolCallId": "fault", "state": "output-error", "input": {}, "output": null},
		{"type": "tool-f", "toolCallId": "told", "state": "output-error", "input": {}, "output": 1, "errorText": "broken"},
		{"type": "tool-f", "toolCallId": "denied", "state": "output-denied", "input": {}, "approval": {"id": "a", "approved": false, "reason": "no"}},
		{"type": "tool-f", "toolCallId": "waits", "state": "input-available", "input": {}},
		{"type": "tool-invocation", "toolInvocation": {"toolCallId": "v4", "toolName": "f", "state": "result", "args": {}, "result": null}}]},
	{"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "json", "toolName": "f", "input": {}}, {"type": "tool-call", "toolCallId": "refused", "toolName": "f", "input": {}}]},
	{"role": "tool", "content": [{"type": "tool-result", "toolCallId": "json", "toolName": "f", "output": {"type": "json", "value": null}},
		{"type": "tool-result", "toolCallId": "refused", "toolName": "f", "output": {"type": "execution-denied", "reason": "no"}}]}]') = run_id(33);
SELECT part ->> 'toolCallId', part ->> 'state', part -> 'output', part ->> 'errorText' FROM jsonb_path_query(exported(33, 'ai-sdk'), '$.messages[*].parts[*] ? (exists (@.toolCallId))') AS part;
SELECT message ->> 'tool_call_id', message -> 'content' FROM jsonb_path_query(exported(33, 'openai'), '$.messages[*] ? (@.role == "tool")') AS message;

-- what a form has of its own comes out of it as it went in (§6.1, §6.2, §6.3), in other forms as they hold it
SELECT run_of(34, '[
	{"role": "user", "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}, "title": "T", "context": "C", "citations": {"enabled": true}},
		{"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": {"type": "file", "file_id": "f1"}}]}}, {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}}]},
	{"type": "message", "role": "assistant", "phase": "final_answer", "content": [{"type": "output_text", "text": "so"}]},
	{"type": "function_call", "call_id": "c1", "name": "f", "namespace": "ns", "arguments": "{}"},
	{"role": "model", "parts": [{"functionCall": {"id": "c2", "name": "f", "args": {}}}]},
	{"role": "user", "parts": [{"functionResponse": {"id": "c2", "name": "f", "response": {"ok": true}, "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA", "displayName": "d"}}]}},
		{"fileData": {"mimeType": "video/mp4", "fileUri": "files/a"}, "videoMetadata": {"fps": 1}}]}]') = run_id(34);
SELECT f, exported(34, f) FROM unnest('{openai,responses,anthropic,gemini}'::text[]) f;
SELECT jsonb_path_query_array(exported(34, 'ai-sdk'), '$.messages[*].parts[*].output');

-- §8: spans.  Those of one task each have their turn, the last one all; who has no task is one span
CREATE FUNCTION spanned(document text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(document, '"(traceId|spanId|startTimeUnixNano|endTimeUnixNano)": ?"[0-9a-f]+"', '"\1":""', 'g')
$$;
SELECT spanned(exported(1, 'otel') #>> '{resourceSpans,0,scopeSpans,0,spans}');
SELECT run_of(35, '[]') = run_id(35);
SELECT airun_start_turn(run_id(35), '{"role": "user", "content": "Weather?"}', task_id => task_id(35), model_id => 'no such model', provider => 'openai') IS NOT NULL;
SELECT airun_finish_turn(task_id(35), '{"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}}]}',
	usage => '{"prompt_tokens": 30, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 10}, "completion_tokens_details": {"reasoning_tokens": 3}}',
	finish_reason => 'tool_calls', time_to_first_token => 310, cost => 0.5) IS NOT NULL;
SELECT airun_start_turn(run_id(35), '{"role": "tool", "tool_call_id": "c", "content": "{\"degrees\": 5}"}', task_id => task_id(36), model_id => 'no such model') IS NOT NULL;
SELECT (airun_fail_task(task_id(36), '{"code": "rate_limit", "message": "slow down"}')).status;
SELECT airun_start_turn(run_id(35), '[]', task_id => task_id(37), task_name => 'generate_content') IS NOT NULL;
SELECT airun_finish_turn(task_id(37), say('5 degrees.', 'assistant')) IS NOT NULL;
SELECT span - 'attributes' - '{traceId,spanId,startTimeUnixNano,endTimeUnixNano}'::text[] || jsonb_build_object('its own', span ->> 'traceId' = replace(run_id(35)::text, '-', '')
		AND span ->> 'spanId' = right(replace(task_id(34 + n::int)::text, '-', ''), 16) AND (span ->> 'endTimeUnixNano')::numeric >= (span ->> 'startTimeUnixNano')::numeric
		AND abs((span ->> 'startTimeUnixNano')::numeric / 1e9 - extract(epoch FROM now())) < 60)
FROM jsonb_array_elements(exported(35, 'otel') #> '{resourceSpans,0,scopeSpans,0,spans}') WITH ORDINALITY AS s (span, n);
SELECT n, a ->> 'key', a -> 'value' FROM jsonb_array_elements(exported(35, 'otel') #> '{resourceSpans,0,scopeSpans,0,spans}') WITH ORDINALITY AS s (span, n), jsonb_array_elements(span -> 'attributes') AS a
WHERE n <> 3 OR a ->> 'key' <> 'gen_ai.response.time_to_first_chunk';

-- values of odd types, and messages that say nothing, make no error in any form
SELECT run_of(40, jsonb_agg(m)) = run_id(40) FROM jsonb_array_elements('[
	{"role": "assistant"}, {"role": "assistant", "content": ""}, {"role": "user", "content": []}, {"role": "user", "content": [1, null, true, "x", [], {}]},
	{"role": "assistant", "tool_calls": [1, null, {}, {"id": 5, "function": 6}, {"function": {"name": [], "arguments": {"a": 1}}}]},
	{"role": "tool", "content": {"type": "text"}}, {"role": "tool", "tool_call_id": 7, "content": [[]]},
	{"role": "assistant", "content": [{"type": "image"}, {"type": "file", "file": 1}, {"type": "thinking"}, {"type": "tool_use"}, {"type": "tool_result"}, {"type": "tool-"}, {"type": "nobody knows", "a": 1}]},
	{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png,AAAA"}, {"type": "input_audio", "input_audio": {"data": "QUFB", "format": "mp3"}}, {"type": "file", "file": {"file_id": "f1", "filename": "a.pdf"}}]},
	{"role": "user", "content": {"text": "one part"}}, {"role": "data", "content": "d"}, {"role": "assistant", "content": "```\ncode\n```", "refusal": "no"},
	{"role": "assistant", "tool_calls": [{"id": "z", "function": {"name": "deep", "arguments": "{\"a\": \"\\u0000\"}"}}]},
	{"role": "assistant", "tool_calls": [{"id": "y", "function": {"name": "big", "arguments": "{\"a\": 1e999999}"}}]}]') m;
SELECT f, jsonb_typeof(exported(40, f)) FROM unnest('{openai,responses,anthropic,gemini,ai-sdk,sharegpt,otel,airun}'::text[]) f;
SELECT exported(40, 'openai');
SELECT airun_export(run_id(40), 'markdown');
SELECT run_of(50, '[]', 'none') = run_id(50);
SELECT f, spanned(replace(airun_export(run_id(50), f), run_id(50)::text, '<run>')) FROM unnest('{openai,responses,anthropic,gemini,ai-sdk,sharegpt,otel,markdown}'::text[]) f;

--
-- airun's own form: everything
--
SELECT (airun_create_run(id => run_id(60), name => 'All', tags => '{a,b}', settings => '{"t": 1}', variable_values => '{"v": 2}', metadata => '{"m": 3}')).id = run_id(60);
SELECT airun_start_turn(run_id(60), say('hello'), task_id => task_id(60), request_data => '{"messages": [{"role": "user", "content": "hello"}]}') IS NOT NULL;
SELECT airun_finish_turn(task_id(60), '{"role": "assistant", "content": "hi", "id": "m2"}', usage => '{"input_tokens": 3, "output_tokens": 2}') IS NOT NULL;
SELECT d - 'run' - 'messages' - 'tasks', d -> 'run' ->> 'name', d -> 'run' -> 'tags', d -> 'run' -> 'settings', d -> 'run' -> 'variable_values', d -> 'run' -> 'metadata',
	(d -> 'run' ->> 'created_at')::timestamptz = r.created_at FROM exported(60, 'airun') d, airun.runs r WHERE r.id = run_id(60);
SELECT count(*), bool_and((e ->> 'seq')::bigint = m.seq AND e -> 'message' = m.message AND (e ->> 'created_at')::timestamptz = m.created_at
	AND e ->> 'message_id' IS NOT DISTINCT FROM m.message_id AND (e ->> 'task_id')::uuid IS NOT DISTINCT FROM m.task_id)
FROM airun.messages m JOIN jsonb_array_elements(exported(60, 'airun') -> 'messages') e ON (e ->> 'seq')::bigint = m.seq WHERE m.run_id = run_id(60);
SELECT t -> 'request_data', t ->> 'response_text', t ->> 'status', t ->> 'tokens_total' FROM jsonb_array_elements(exported(60, 'airun') -> 'tasks') t;

--
-- Refused
--
SELECT attempt('SELECT airun_export(run_id(1), ''nothing'')'), airun_export(run_id(1), NULL) = airun_export(run_id(1)), attempt('SELECT airun_export(NULL)'),
	attempt('SELECT airun_export(run_id(99))'), attempt('SELECT airun_export(run_id(99), ''airun'')');
SELECT count(*) FROM airun_delete_run(run_id(5));
SELECT attempt('SELECT airun_export(run_id(5))');
CREATE ROLE regress_airun_export;
SELECT airun_grant('regress_airun_export');
GRANT USAGE ON SCHEMA helpers TO regress_airun_export;
SET ROLE regress_airun_export;
SELECT airun_export(run_id(60)) <> '';
SET airun.user_id = 'somebody else';
SELECT attempt('SELECT airun_export(run_id(60))'), attempt('SELECT airun_export(run_id(60), ''airun'')');
RESET ROLE;
--
-- Everything of a person
--
SET airun.user_id = 'export test';
SELECT (airun_create_task(run_id(60), task_id => task_id(61))).status, (airun_update_task(task_id(61), 'so far')).status;
SELECT count(*) FROM airun_truncate_messages(run_id(50), 0), airun_save_message(run_id(60), say('hello again'), 'm9'), LATERAL (SELECT airun_save_message(run_id(60), say('hello, last'), 'm9') WHERE seq > 0) s;
SELECT count(*) FROM airun_meter(service => 'export', model_id => 'none', usage => '{"input_tokens": 1}');
SELECT kind, n = CASE kind WHEN 'run' THEN (SELECT count(*) FROM airun.runs r WHERE r.user_id = airun_user_id())
	WHEN 'message' THEN (SELECT count(*) FROM airun.messages m JOIN airun.runs r ON r.id = m.run_id WHERE r.user_id = airun_user_id())
	WHEN 'message_version' THEN 1 WHEN 'task' THEN 5 WHEN 'call' THEN 1 END
FROM (SELECT line ->> 'kind', count(*) FROM airun_export_user() line WHERE line ->> 'kind' <> 'usage' GROUP BY 1) x (kind, n) ORDER BY kind;
SELECT count(*) FROM airun_export_user() line WHERE (line -> 'run' ->> 'id')::uuid = run_id(5);
SELECT line -> 'task' ->> 'response_text', line -> 'task' -> 'request_data' FROM airun_export_user() line WHERE line ->> 'kind' = 'task' ORDER BY 1;
SELECT count(*) > 3 FROM airun_export_user(airun_user_uuid('export test'));
SET airun.user_id = 'somebody else';
SELECT count(*) > 3, (SELECT count(*) FROM airun_export_user()) FROM airun_export_user(airun_user_uuid('export test'));
SET ROLE regress_airun_export;
SELECT count(*), attempt('SELECT airun_export_user(airun_user_uuid(''export test''))') FROM airun_export_user();
SET airun.user_id = 'export test';
SELECT count(*) > 3, bool_or(line ->> 'kind' = 'usage') FROM airun_export_user() line;
SET airun.user_id = '';
SELECT attempt('SELECT airun_export_user()');
RESET ROLE;
SET airun.user_id = 'export test';
SELECT * FROM airun_check();
DROP OWNED BY regress_airun_export;
DROP ROLE regress_airun_export;
DELETE FROM airun.runs WHERE user_id = airun_user_uuid('export test');
DELETE FROM airun.usage_tail WHERE user_id = airun_user_uuid('export test');
DELETE FROM airun.calls WHERE user_id = airun_user_uuid('export test');
DROP SCHEMA export_test CASCADE;
