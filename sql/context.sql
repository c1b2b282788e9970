--
-- What a model is sent to continue a run: which end of it, for whom, what is left out.
-- That every context is accepted, test/t/014_context.pl shows.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA context_test;
GRANT USAGE ON SCHEMA context_test TO PUBLIC;
SET search_path = context_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8014';
SET airun.user_id = 'context test';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION run_of(n int, messages jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM airun_create_run(id => run_id(n));
	PERFORM airun_append_messages(run_id(n), messages);
END
$$;

-- system, a turn with calls, a turn without
SELECT run_of(1, '[
	{"role": "system", "content": "Be brief."},
	{"role": "developer", "content": "Use tools."},
	{"role": "user", "content": "Weather in Oslo and Rome?", "id": "m1", "metadata": {"a": 1}},
	{"role": "assistant", "content": null, "tool_calls": [
		{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Oslo\"}"}},
		{"id": "c2", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Rome\"}"}}]},
	{"role": "tool", "tool_call_id": "c2", "content": "30 degrees"},
	{"role": "tool", "tool_call_id": "c1", "content": "5 degrees"},
	{"role": "assistant", "content": "5 and 30 degrees."},
	{"role": "user", "content": "And here?"}]');
-- all of it, for each provider
SELECT p, airun_context(run_id(1), for_provider => p) FROM unnest('{openai,responses,anthropic,gemini}'::text[]) AS p;
-- the last turn alone, by tokens and by messages
SELECT airun_context(run_id(1), max_tokens => 30);
SELECT airun_context(run_id(1), max_messages => 3, for_provider => 'anthropic');
SELECT airun_context(run_id(1), 30)::text = airun_context(run_id(1), 30, NULL, NULL)::text, airun_context(run_id(1), 30)::text = airun_context(run_id(1), 30, NULL, 'OpenAI')::text;

-- a turn that is too large: its user's message stays, and whole steps from the end
SELECT run_of(2, '[
	{"role": "user", "content": "Go on until it is done."},
	{"role": "assistant", "content": "One.", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "step", "arguments": "{}"}}]},
	{"role": "tool", "tool_call_id": "c1", "content": "first"},
	{"role": "assistant", "content": "Two.", "tool_calls": [{"id": "c2", "type": "function", "function": {"name": "step", "arguments": "{}"}}]},
	{"role": "tool", "tool_call_id": "c2", "content": "second"},
	{"role": "assistant", "content": "Three.", "tool_calls": [{"id": "c3", "type": "function", "function": {"name": "step", "arguments": "{}"}}]},
	{"role": "tool", "tool_call_id": "c3", "content": "third"}]');
SELECT airun_context(run_id(2), max_messages => 4, for_provider => 'anthropic');
SELECT airun_context(run_id(2), max_messages => 5) ->> 'first_seq', airun_context(run_id(2), max_messages => 6) ->> 'first_seq', airun_context(run_id(2), max_messages => 7) ->> 'first_seq';

-- what providers refuse: a call without a result and the reverse, blanks, what the model says first
SELECT run_of(3, '[
	{"role": "assistant", "content": "Hello."},
	{"role": "user", "content": " "},
	{"role": "user", "content": "And now?"},
	{"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "Let me see."}, {"type": "tool_use", "id": "c1", "name": "see", "input": {}}]},
	{"role": "tool", "tool_call_id": "c9", "content": "lost"},
	{"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]');
SELECT p, airun_context(run_id(3), for_provider => p) FROM unnest('{openai,anthropic}'::text[]) AS p;

-- what a file says goes to all, and so does what was heard; what a tool has shown, to those who look at it, and
-- is counted where it is left out
SELECT run_of(13, '[
	{"role": "user", "content": [{"type": "file", "file_name": "paste.txt", "extracted_content": "Pasted."}, {"type": "file", "file_name": "chart.png", "file_uuid": "f-1"}]},
	{"role": "user", "parts": [{"type": "file", "mediaType": "text/plain", "url": "data:text/plain;base64,QXR0YWNoZWQu"}, {"type": "audio", "data": "AAAA", "mime_type": "audio/wav", "transcript": "Heard."}]},
	{"role": "assistant", "content": null, "audio": {"id": "audio_1", "transcript": "Spoken.", "data": "AAAA"}},
	{"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "shot", "input": {}}, {"type": "tool_use", "id": "c2", "name": "shot", "input": {}}, {"type": "tool_use", "id": "c3", "name": "shot", "input": {}}]},
	{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": []},
		{"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
		{"type": "tool_result", "tool_use_id": "c3", "content": [{"type": "text", "text": "Shown."}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]}]');
SELECT p, c -> 'messages', c -> 'tokens', c #> '{left_out,parts_not_taken}' FROM unnest('{openai,responses,anthropic,gemini}'::text[]) AS p, airun_context(run_id(13), for_provider => p) AS c;

-- files beside the content (§6.4)
SELECT run_of(15, '[{"role": "user", "content": "See", "experimental_attachments": [{"name": "a.txt", "contentType": "text/plain", "url": "data:text/plain;base64,QXR0YWNoZWQu"}, {"name": "b.png", "contentType": "image/png", "url": "https://example.com/b.png"}]},
	{"role": "user", "content": "And", "attachments": [{"id": 7}]}]');
SELECT c -> 'messages', c #> '{left_out,parts_not_taken}' FROM airun_context(run_id(15)) AS c;

-- a place within an application is no address, and the id of a file is of one provider; Anthropic takes bytes of
-- images and PDF
SELECT run_of(14, '[{"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image", "url": "a1b2"}, {"type": "image", "url": "/files/a1b2"}, {"type": "image", "url": "https://example.com/a.png"},
	{"type": "file", "file": {"file_id": "file-1"}}, {"type": "document", "source": {"type": "file", "file_id": "file_2"}}]},
	{"role": "user", "parts": [{"type": "file", "mediaType": "application/pdf", "url": "data:application/pdf;base64,AAAA"}, {"type": "file", "mediaType": "application/zip", "url": "data:application/zip;base64,AAAA"}]}]');
SELECT p, c -> 'messages', c #> '{left_out,parts_not_taken}' FROM unnest('{openai,responses,anthropic,gemini}'::text[]) AS p, airun_context(run_id(14), for_provider => p) AS c;

-- a document goes to who knows its shape as it was, but for what was of that request, and to others as its text
SELECT run_of(25, '[
	{"role": "user", "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Plain."}, "title": "T", "context": "C", "citations": {"enabled": true}, "cache_control": {"type": "ephemeral"}},
		{"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "One block."}, {"type": "text", "text": "Another."}]}},
		{"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}},
		{"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": "Qnl0ZXMu"}}, {"type": "image", "source": {"type": "url", "url": "data:image/png;base64,BBBB"}}]},
	{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}}]},
	{"role": "user", "content": [{"type": "input_image", "image_url": "https://x.test/b.png", "detail": "high"}]},
	{"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "find", "input": {}}]},
	{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "search_result", "source": "u", "title": "T", "content": [{"type": "text", "text": "Hit."}]}]}]}]');
SELECT p, c -> 'messages', c #> '{left_out,parts_not_taken}' FROM unnest('{openai,responses,anthropic,gemini}'::text[]) AS p, airun_context(run_id(25), for_provider => p) AS c;

-- a file id goes to who has given it, an address to who follows it; bytes beside them go to all
SELECT run_of(26, '[
	{"role": "user", "content": [{"type": "text", "text": "Look."}, {"type": "image", "source": {"type": "file", "file_id": "file_anthropic"}}]},
	{"role": "user", "content": [{"type": "input_file", "file_id": "file-responses"}, {"type": "file", "file": {"file_id": "file-chat"}}]},
	{"role": "user", "parts": [{"fileData": {"mimeType": "application/pdf", "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}}, {"fileData": {"mimeType": "application/pdf", "fileUri": "files/def"}}]},
	{"role": "user", "content": [{"type": "file", "file_id": "whose", "mime_type": "application/pdf"}, {"type": "file", "mediaType": "application/pdf", "url": "gs://bucket/a.pdf"},
		{"type": "file", "mediaType": "image/png", "url": "/uploads/a.png"}, {"type": "image_url", "image_url": {"url": "blob:a"}}, {"type": "file", "mediaType": "image/png", "url": "HTTPS://x.test/c.png"},
		{"type": "file", "file": {"file_id": "file-both", "filename": "b.pdf", "file_data": "data:application/pdf;base64,AAAA"}}]}]');
SELECT p, c -> 'messages', c #> '{left_out,parts_not_taken}' FROM unnest('{openai,responses,anthropic,gemini}'::text[]) AS p, airun_context(run_id(26), for_provider => p) AS c;

-- what items say beside their text goes back; a tool that a provider brings goes with its output, or not at all, and
-- reasoning with the item after it
SELECT run_of(27, '[
	{"role": "user", "content": "Go."},
	{"type": "reasoning", "summary": [], "encrypted_content": "E0"},
	{"type": "shell_call", "call_id": "k0", "action": {}},
	{"type": "reasoning", "summary": [], "encrypted_content": "E1"},
	{"type": "message", "role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
	{"type": "function_call", "call_id": "c1", "name": "f", "namespace": "ns", "arguments": "{}"},
	{"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}]},
	{"type": "computer_call", "id": "cu_1", "call_id": "k1", "action": {"type": "screenshot"}},
	{"type": "computer_call_output", "call_id": "k1", "output": {"type": "computer_screenshot", "file_id": "s"}},
	{"type": "local_shell_call", "id": "ls_1", "call_id": "k2", "action": {"type": "exec"}},
	{"type": "local_shell_call_output", "id": "k2", "output": "a"},
	{"type": "reasoning", "summary": [], "encrypted_content": "E3"}, {"type": "shell_call", "call_id": "k4", "action": {}}, {"type": "reasoning", "summary": [], "encrypted_content": "E4"},
	{"type": "tool_search_call", "id": "ts_1", "arguments": {}}, {"type": "tool_search_output", "id": "ts_2", "tools": []},
	{"type": "shell_call_output", "call_id": "lost", "output": []},
	{"role": "assistant", "phase": "final_answer", "content": "Done."},
	{"role": "user", "content": "More."},
	{"type": "reasoning", "summary": [], "encrypted_content": "E2"},
	{"type": "apply_patch_call", "id": "ap_1", "call_id": "k3", "operation": {"type": "delete_file"}},
	{"role": "user", "content": "Stop."}]');
SELECT p, c -> 'messages', c -> 'left_out' FROM unnest('{openai,responses}'::text[]) AS p, airun_context(run_id(27), for_provider => p) AS c;
SELECT run_of(28, '[
	{"role": "user", "content": "Go."},
	{"role": "assistant", "content": [{"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}, {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [], "cache_control": {"type": "ephemeral"}},
		{"type": "text", "text": "So."}, {"type": "mcp_tool_use", "id": "s2", "name": "m", "server_name": "n", "input": {}}]},
	{"role": "user", "content": "Stop."},
	{"role": "assistant", "content": [{"type": "mcp_tool_result", "tool_use_id": "s2", "content": []}, {"type": "server_tool_use", "id": "s3", "name": "code_execution", "input": {}}, {"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
	{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "1"}]}]');
SELECT c -> 'messages', c -> 'left_out' FROM airun_context(run_id(28), for_provider => 'anthropic') AS c;

-- what Gemini has beside the parts, and in a response
SELECT run_of(29, '[
	{"role": "user", "parts": [{"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}, "videoMetadata": {"startOffset": "1s"}}, {"text": "q", "partMetadata": {"a": 1}}]},
	{"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "f", "args": {}}, "thoughtSignature": "s1"}]},
	{"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"ok": true}, "parts": [{"inlineData": {"mimeType": "image/png", "data": "BBBB", "displayName": "d"}}]}}]},
	{"role": "model", "parts": [{"text": "done", "thoughtSignature": "s2"}, {"text": "", "thoughtSignature": "s3"}]}]');
SELECT p, c -> 'messages', c -> 'tokens', c #> '{left_out,parts_not_taken}' FROM unnest('{openai,responses,anthropic,gemini}'::text[]) AS p, airun_context(run_id(29), for_provider => p) AS c;

-- nothing yet, and the system alone
SELECT run_of(4, '[]'), run_of(5, '[{"role": "system", "content": "Be brief."}]');
SELECT airun_context(run_id(4)), airun_context(run_id(5), 10, 1), airun_context(run_id(5), 10, 1, 'gemini');

-- more of the system's messages than are read at a time
SELECT run_of(6, jsonb_agg(jsonb_build_object('role', CASE WHEN i <= 40 THEN 'system' ELSE 'user' END, 'content', 'n ' || i))) FROM generate_series(1, 90) AS i;
SELECT c ->> 'message_count', c ->> 'first_seq', c -> 'left_out' ->> 'messages', c #>> '{messages,39,content}', c #>> '{messages,40,content}' FROM airun_context(run_id(6), max_messages => 5) AS c;

-- tokens that a task has counted
SELECT (airun_create_run(id => run_id(7))).status;
SELECT (airun_start_turn(run_id(7), '{"role": "user", "content": "What is new?"}', task_id => task_id(7)) -> 'task' ->> 'status');
SELECT (airun_finish_turn(task_id(7), '{"role": "assistant", "content": "Nothing."}', tokens_output => 1000) -> 'task' ->> 'status');
SELECT c ->> 'tokens', c ->> 'estimated_tokens' FROM airun_context(run_id(7)) AS c;
-- letters are a quarter of a token, others up to a whole one; an image is 1000
SELECT run_of(8, '[{"role": "user", "content": "abcdefgh"}]'), run_of(9, '[{"role": "user", "content": "こんにちは"}]'), run_of(10, '[{"role": "user", "content": "ελληνικά"}]'),
	run_of(11, '[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]');
SELECT airun_context(run_id(n)) ->> 'tokens' FROM generate_series(8, 11) AS n;

--
-- Refused
--
SELECT attempt('SELECT airun_context(NULL)'), attempt('SELECT airun_context(run_id(99))');
SELECT attempt('SELECT airun_context(run_id(1), for_provider => ''nobody'')');
SELECT attempt('SELECT airun_context(run_id(1), 0)'), attempt('SELECT airun_context(run_id(1), max_messages => -1)');
SELECT attempt('SELECT airun_context(run_id(1), 5)'), attempt('SELECT airun_context(run_id(2), max_messages => 2)');
SELECT run_of(12, '[{"role": "user", "content": "Mine."}]');
SET airun.user_id = 'somebody else';
CREATE ROLE regress_airun_context;
SELECT airun_grant('regress_airun_context');
GRANT USAGE ON SCHEMA helpers TO regress_airun_context;
SET ROLE regress_airun_context;
SELECT attempt('SELECT airun_context(run_id(12))');
SET airun.user_id = 'context test';
SELECT airun_context(run_id(12)) ->> 'message_count';
RESET ROLE;
DROP OWNED BY regress_airun_context;
DROP ROLE regress_airun_context;

SELECT * FROM airun_check();
DELETE FROM airun.runs WHERE user_id = airun_user_uuid('context test');
