--
-- Conversations of other systems: whose they become, when they were, what is
-- kept of them, and what is refused.  Each format is in test/t/013_import.pl.
--
SET client_min_messages = warning;
SET search_path = helpers, public;
SET timezone = 'UTC';
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.user_id = '1b000000-0000-4000-8000-000000000001';

CREATE TEMP TABLE files (name text PRIMARY KEY, document text);
GRANT SELECT ON files TO PUBLIC;
INSERT INTO files VALUES ('tree', $$[{"uuid": "conversation-1", "name": "Rivers", "summary": "", "created_at": "2025-03-01T10:00:00.25Z",
	"updated_at": "2025-03-01T12:00:00+02:00", "is_starred": true, "project_uuid": "p-1", "chat_messages": [
	{"uuid": "m1", "sender": "human", "text": "Which river is longest?", "created_at": "2025-03-01T10:00:01Z"},
	{"uuid": "m2", "parent_message_uuid": "m1", "sender": "assistant", "text": "The Nile.", "created_at": "2025-03-01T10:00:02Z", "flag": 7},
	{"uuid": "m3", "parent_message_uuid": "m1", "sender": "assistant", "text": "The Amazon.", "created_at": "2025-03-01T10:00:09Z"},
	{"uuid": "m4", "parent_message_uuid": "m2", "sender": "human", "text": "Sure?", "created_at": "2025-03-01T09:00:00Z"}],
	"current_leaf_message_uuid": "m4"}]$$);

--
-- The branch that is shown is the run, the other one is forked from it; the times
-- are the source's, and a message that says to be older stands where it stands
--
SELECT position, name, message_count, fork_count, problem FROM airun_import((SELECT document FROM files WHERE name = 'tree'));
SELECT r.name, r.is_listed, r.forked_at_seq, r.is_starred, r.message_count, r.created_at, r.last_message_at, r.active_hour,
	r.metadata #>> '{import,format}' AS format, r.metadata #>> '{import,id}' AS id, r.metadata #>> '{import,project_uuid}' AS project
FROM airun.runs AS r WHERE r.user_id = '1b000000-0000-4000-8000-000000000001' ORDER BY r.is_listed DESC;
SELECT r.is_listed, m.seq, m.message_id, m.created_at, m.message FROM airun.messages AS m JOIN airun.runs AS r ON r.id = m.run_id
WHERE r.user_id = '1b000000-0000-4000-8000-000000000001' ORDER BY r.is_listed DESC, m.seq;
SELECT name FROM airun_list_runs();

--
-- The same again changes nothing, and gives the same row; what its user has done
-- meanwhile stands
--
SELECT run_id AS river FROM airun_import((SELECT document FROM files WHERE name = 'tree')) \gset
SELECT is_archived FROM airun_archive_run(:'river');
SELECT run_id = :'river' AS same, name, message_count, fork_count FROM airun_import((SELECT document FROM files WHERE name = 'tree'));
SELECT is_archived, updated_at > now() - interval '1 minute' AS is_changed FROM airun.runs WHERE id = :'river';
SELECT count(*) FROM airun.messages WHERE run_id = :'river';

--
-- Another user has another run; an API role imports for itself alone
--
CREATE ROLE regress_airun_importer;
SELECT airun_grant('regress_airun_importer');
SET ROLE regress_airun_importer;
SET airun.user_id = '1b000000-0000-4000-8000-000000000002';
SELECT run_id <> :'river' AS another, message_count FROM airun_import((SELECT document FROM files WHERE name = 'tree'));
SELECT name, created_at, last_message_at FROM airun_list_runs();
SELECT answer('SELECT name FROM airun_import(''[]'', for_user => ''1b000000-0000-4000-8000-000000000001'')');
SELECT problem FROM airun_import('[]', for_user => '1b000000-0000-4000-8000-000000000002');
-- and still sets no time by itself
SELECT attempt('INSERT INTO airun.runs (created_at) VALUES (''2020-01-01Z'')');
SET airun.user_id = '';
SELECT answer('SELECT name FROM airun_import(''{}'')');
RESET ROLE;
-- the owner of the store imports for anybody
SELECT message_count FROM airun_import((SELECT document FROM files WHERE name = 'tree'), for_user => '1b000000-0000-4000-8000-000000000003');
SELECT count(*) FROM airun.runs WHERE user_id = '1b000000-0000-4000-8000-000000000003';

--
-- What is no conversation gives the reason, and leaves the others as they are
--
SET airun.user_id = '1b000000-0000-4000-8000-000000000004';
SELECT position, run_id IS NOT NULL AS is_in, name, problem FROM airun_import($$[
	{"messages": [{"role": "user", "content": "First"}]},
	{"messages": [{"role": "user", "content": "Never stored"}, {"role": "assistant", "content": 7}]},
	{"messages": [{"role": "user"}]},
	{"messages": [{"content": "Who?"}]},
	{"messages": [{"role": 5, "content": "Who?"}]},
	{"messages": ["text"]},
	{"messages": 5, "thread": {}},
	{"messages": []},
	{"users": [], "email": "a@example.com"},
	7, null, "text", [],
	{"messages": [{"role": "somebody", "content": "Last"}]}]$$);
SELECT r.name, m.message - 'timestamp' AS message FROM airun.messages AS m JOIN airun.runs AS r ON r.id = m.run_id
WHERE r.user_id = '1b000000-0000-4000-8000-000000000004' ORDER BY r.name;
SELECT d AS document, position, problem FROM (VALUES (''), (' '), ('[]'), ('{'), ('7'), ('null'), ('[{"a": 1},'),
	(E'{"messages": [{"role": "user", "content": "a"}]}\n{"messages": [{"ro')) AS v (d), airun_import(d) ORDER BY d COLLATE "C", position;
SELECT answer('SELECT name FROM airun_import(NULL)');
SELECT answer('SELECT name FROM airun_import(''[]'', ''wordstar'')');
-- a format that is asked for
SELECT problem FROM airun_import('[{"messages": [{"role": "user", "content": "a"}]}]', 'chatgpt');
SELECT problem FROM airun_import('[{"messages": [{"role": "user", "content": "a"}]}]', 'openai');

--
-- A byte order mark, blank lines, NUL and half a surrogate pair; ids that stand twice
-- or are too long; a name that is too long
--
SET airun.user_id = '1b000000-0000-4000-8000-000000000005';
SELECT position, name, problem FROM airun_import(U&'\FEFF' || E'\r\n{"messages": [{"role": "user", "content": "One"}]}\r\n\r\n{"messages": [{"role": "user", "content": "Two"}]}\r\n') ;
SELECT position, encode(convert_to(name, 'UTF8'), 'escape') AS name, problem FROM airun_import('{"messages": [{"role": "user", "content": "a\u0000b\ud800c"}]}');
SELECT position, message_count, problem FROM airun_import('{"messages": [{"id": "x", "role": "user", "content": "a"}, {"id": "x", "role": "assistant", "content": "b"},
	{"id": "' || repeat('y', 300) || '", "role": "user", "content": "c"}]}');
SELECT m.message_id FROM airun.messages AS m JOIN airun.runs AS r ON r.id = m.run_id WHERE r.name = 'a' ORDER BY seq;
SELECT length(name), problem FROM airun_import(jsonb_build_object('title', repeat('n', 600), 'messages', jsonb_build_array(say('q')))::text);

--
-- A ring among parents, a parent that is not there
--
SELECT position, name, message_count, fork_count, problem FROM airun_import('[
	{"uuid": "r1", "chat_messages": [{"uuid": "1", "parent_message_uuid": "2", "sender": "human", "text": "Ring"},
		{"uuid": "2", "parent_message_uuid": "1", "sender": "assistant", "text": "Ring"}]},
	{"uuid": "r2", "chat_messages": [{"uuid": "1", "parent_message_uuid": "gone", "sender": "human", "text": "No parent"}]},
	{"uuid": "r3", "chat_messages": [{"uuid": "1", "parent_message_uuid": "1", "sender": "human", "text": "Its own parent"}]}]');

--
-- What is told of a usage is a task of its day, charged at the price of that day
--
SET airun.user_id = '1b000000-0000-4000-8000-000000000006';
SELECT airun_set_price('import-model', '{"input": 0.001, "output": 0.002}', effective_from => '2025-01-01Z') IS NOT NULL;
SELECT run_id AS told FROM airun_import('{"object": "response", "id": "resp_1", "created_at": 1750000000, "model": "import-model", "input": "How much?",
	"output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "This much."}]}],
	"usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}}') \gset
SET ROLE regress_airun_importer;
SELECT status, model_id, tokens_input, tokens_output, cost, price_status, created_at, completed_at FROM ai_tasks WHERE run_id = :'told';
SELECT task_count, total_tokens, total_cost, created_at, updated_at, last_message_at, status FROM ai_runs WHERE id = :'told';
SELECT seq, role, task_id IS NOT NULL AS has_task FROM ai_messages WHERE run_id = :'told' ORDER BY seq;
-- the original application's rows, of which one has not ended
SELECT run_id AS original FROM airun_import('{"ai_runs": [{"id": "1b000000-0000-4000-8000-0000000000a1", "user_id": "x", "source_type": "prompt_builtins",
	"source_id": "no uuid", "name": "Original", "tags": ["a", "b"], "status": "archived", "created_at": "2025-11-01T08:00:00+00:00",
	"messages": [{"role": "user", "content": "q", "taskId": "1b000000-0000-4000-8000-0000000000b1", "timestamp": "2025-11-01T08:00:01Z"},
		{"role": "assistant", "content": "a", "taskId": "1b000000-0000-4000-8000-0000000000b1", "timestamp": "2025-11-01T08:00:04Z"}]}],
	"ai_tasks": [{"run_id": "1b000000-0000-4000-8000-0000000000a1", "task_id": "1b000000-0000-4000-8000-0000000000b1", "model_id": "import-model", "status": "completed",
		"response_text": "a", "tokens_input": 100, "tokens_output": 0, "created_at": "2025-11-01T08:00:01Z", "completed_at": "2025-11-01T08:00:04Z"},
		{"run_id": "1b000000-0000-4000-8000-0000000000a1", "task_id": "t2", "model_id": "import-model", "status": "streaming", "cost": 0, "created_at": "2025-11-01T08:00:02Z"}]}') \gset
SELECT status, tokens_total, cost, error, created_at, completed_at, response_text FROM ai_tasks WHERE run_id = :'original' ORDER BY created_at;
SELECT source_type, tags, is_archived, metadata ->> 'source_id' AS source_id, status, task_count, total_cost, created_at, updated_at FROM ai_runs WHERE id = :'original';
SELECT seq, role, task_id IS NOT NULL AS has_task FROM ai_messages WHERE run_id = :'original' ORDER BY seq;
-- many messages with one id, of which some have the numbers that others would get
SELECT run_id AS same FROM airun_import((SELECT jsonb_build_object('id', 'same', 'messages', jsonb_agg(jsonb_build_object('id', CASE WHEN n % 1000 = 2 THEN 'a.' || n ELSE 'a' END, 'role', 'user', 'content', 'x')))::text
	FROM generate_series(1, 10000) AS n)) \gset
SELECT count(*), count(DISTINCT message_id), min(message_id), max(message_id) FILTER (WHERE seq < 9), max(substr(message_id, 3)::int) FILTER (WHERE message_id ~ '^a[.]\d+$') FROM ai_messages WHERE run_id = :'same';
-- many calls of tools in one message
SELECT message_count FROM airun_import((SELECT jsonb_build_object('id', 'calls', 'messages', jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'x'), jsonb_build_object('role', 'assistant', 'content', NULL, 'tool_calls',
	jsonb_agg(jsonb_build_object('id', 'c' || n, 'type', 'function', 'function', '{"name": "f", "arguments": "{}"}'::jsonb)))))::text FROM generate_series(1, 10000) AS n));
RESET ROLE;
-- an error that is not about what an entry says ends the call, and leaves no subtransaction of its own open
CREATE FUNCTION pg_temp.deny() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF new.name = 'denied' THEN RAISE EXCEPTION 'denied' USING ERRCODE = '42501'; END IF; RETURN new; END$$;
CREATE TRIGGER site_deny BEFORE INSERT ON airun.runs FOR EACH ROW EXECUTE FUNCTION pg_temp.deny();
\set denied '[{"id": "fine", "messages": [{"role": "user", "content": "x"}]}, {"id": "denied", "title": "denied", "messages": [{"role": "user", "content": "x"}]}]'
\set SHOW_CONTEXT never
SELECT airun_import(:'denied');
CREATE TEMP TABLE kept (what text);
SELECT set_config('import.denied', :'denied', false) <> '' AS is_set;
DO $$BEGIN
	BEGIN
		INSERT INTO kept VALUES ('undone');
		PERFORM airun_import(current_setting('import.denied'));
	EXCEPTION WHEN insufficient_privilege THEN
		INSERT INTO kept VALUES ('handled');
	END;
END$$;
BEGIN;
INSERT INTO kept VALUES ('undone, too');
SAVEPOINT before;
SELECT airun_import(:'denied');
ROLLBACK TO before;
ROLLBACK;
\set SHOW_CONTEXT errors
TABLE kept;
SELECT count(*) FROM airun.runs WHERE name = 'denied' OR metadata ->> 'id' = 'fine';
DROP TRIGGER site_deny ON airun.runs;
SELECT * FROM airun_check();

--
-- What was pasted, said by voice, thought, signed and called comes in and goes out again;
-- a tool that has returned nothing has returned.  Numbers are those of facts/formats.md.
--
SET airun.user_id = '1b000000-0000-4000-8000-000000000007';
\pset format unaligned
\pset tuples_only on
INSERT INTO files VALUES
	('§3 pasted', '[{"uuid": "p-1", "name": "Paste", "chat_messages": [{"uuid": "m1", "sender": "human", "text": "", "content": [], "attachments": [{"file_name": "paste.txt", "extracted_content": "The plan of the harbour."}]},
		{"uuid": "m2", "sender": "assistant", "text": "I see."}]}]'),
	('§4.1 a file', '{"id": "o-1", "title": "File", "chat": {"history": {"currentId": "a", "messages": {"a": {"id": "a", "parentId": null, "role": "user", "content": "Read.", "timestamp": 1714550400,
		"files": [{"type": "file", "name": "a.txt", "url": "f1", "file": {"id": "f1", "data": {"content": "Tolls of the harbour."}}}]}}}}}'),
	('§2 voice', '{"id": "v-1", "title": "Voice", "current_node": "c", "mapping": {
		"a": {"id": "a", "parent": null, "message": {"id": "a", "author": {"role": "user"}, "create_time": 1714550400, "content": {"content_type": "multimodal_text", "parts": [
			{"content_type": "audio_transcription", "text": "The tide in the harbour?", "direction": "in"}, {"content_type": "real_time_user_audio_video_asset_pointer", "audio_asset_pointer": {"asset_pointer": "sediment://x"}}]}}},
		"b": {"id": "b", "parent": "a", "message": {"id": "b", "author": {"role": "assistant"}, "create_time": 1714550401, "content": {"content_type": "multimodal_text", "parts": [{"content_type": "audio_transcription", "text": "High at noon.", "direction": "out"}]}}},
		"c": {"id": "c", "parent": "b", "message": {"id": "c", "author": {"role": "assistant"}, "create_time": 1714550402, "content": {"content_type": "text", "parts": ["And at midnight."]}}}}}'),
	('§6.1 custom', '{"id": "c-1", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "grep", "input": "foo bar"}}]},
		{"role": "tool", "tool_call_id": "c1", "content": "none"}, {"type": "custom_tool_call", "call_id": "c2", "name": "grep", "input": "foo"}, {"type": "custom_tool_call_output", "call_id": "c2", "output": "one"}]}'),
	('§6.3 signed', '{"contents": [{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": [{"text": "hm", "thoughtSignature": "s0"}, {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s1"}]},
		{"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"type": "temperature", "value": 20}}}]}]}'),
	('§6.3 media', '{"contents": [{"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "s1", "partMetadata": {"a": 1}}]},
		{"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"ok": true}, "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}}]}]}'),
	('§6.1 beside', '{"id": "n-1", "messages": [{"role": "user", "content": "q"}, {"type": "message", "role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "I look."}]},
		{"type": "function_call", "call_id": "c1", "name": "f", "namespace": "ns", "arguments": "{}"}, {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}]}]}'),
	('§6.4 nothing', '[{"id": "u1", "role": "user", "parts": [{"type": "text", "text": "go"}]}, {"id": "a1", "role": "assistant", "parts": [
		{"type": "tool-save", "toolCallId": "c1", "state": "output-available", "input": {"x": 1}, "output": null}, {"type": "tool-save", "toolCallId": "c2", "state": "output-available", "input": {"x": 2}},
		{"type": "tool-save", "toolCallId": "c3", "state": "input-available", "input": {"x": 3}},
		{"type": "tool-invocation", "toolInvocation": {"toolCallId": "c4", "toolName": "save", "state": "result", "args": {}, "result": null}}]}]'),
	('§4.3 bytes', '{"runSettings": {"model": "models/g"}, "chunkedPrompt": {"chunks": [{"role": "user", "inlineImage": {"mimeType": "image/png", "data": "AAAA"}}, {"role": "user", "text": "q"}]}}'),
	('§6.5 invalid', '[{"type": "human", "data": {"content": ["Go", "on."]}}, {"type": "ai", "data": {"content": "", "invalid_tool_calls": [{"id": "i1", "name": "save", "args": "{x", "type": "invalid_tool_call"}]}},
		{"type": "tool", "data": {"content": "no JSON", "tool_call_id": "i1"}}]'),
	('§6.4 rows', '[{"id": "r1", "role": "user", "parts": [{"type": "text", "text": "See"}], "attachments": [{"name": "b.png", "contentType": "image/png", "url": "https://example.com/b.png"}], "createdAt": "2025-01-01T00:00:00Z"}]'),
	('§6.4 model', '{"id": "m-1", "messages": [{"role": "user", "content": "go"}, {"role": "assistant", "content": [{"type": "tool-call", "toolCallId": "c1", "toolName": "save", "input": {}}, {"type": "tool-call", "toolCallId": "c2", "toolName": "save", "input": {}}]},
		{"role": "tool", "content": [{"type": "tool-result", "toolCallId": "c1", "toolName": "save", "output": {"type": "json", "value": null}}, {"type": "tool-result", "toolCallId": "c2", "toolName": "save", "output": {"type": "execution-denied", "reason": "no"}}]}]}');
CREATE TEMP TABLE brought AS SELECT f.name, i.run_id, i.problem FROM files AS f, airun_import(f.document) AS i WHERE f.name LIKE '§%';
SELECT b.name, m.seq, m.message - '{id,timestamp}'::text[] FROM brought AS b LEFT JOIN ai_messages AS m USING (run_id) ORDER BY b.name COLLATE "C", m.seq;
SELECT name, airun_context(run_id, for_provider => CASE WHEN name LIKE '§6.3%' THEN 'gemini' WHEN name LIKE '%beside' THEN 'responses' ELSE 'openai' END) -> 'messages' FROM brought ORDER BY name COLLATE "C";
SELECT name, airun_export(run_id, 'responses') FROM brought WHERE name LIKE '%custom';
SELECT b.name, s.seq, s.role FROM airun_search('harbour') AS s JOIN brought AS b USING (run_id) ORDER BY b.name COLLATE "C", s.seq;
\pset format aligned
\pset tuples_only off

-- Clean up
DELETE FROM airun.runs WHERE user_id::text LIKE '1b000000-0000-4000-8000-%';
DELETE FROM airun.prices WHERE model = 'import-model';
DROP OWNED BY regress_airun_importer;
DROP ROLE regress_airun_importer;
