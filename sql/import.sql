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
-- Times with every zone, whatever the session's own is; one that cannot be read is told,
-- and its message stands at the time of the one before it
--
SET timezone = 'Asia/Kolkata';
SET datestyle = 'SQL, DMY';
SELECT run_id AS times FROM airun_import((SELECT jsonb_build_object('id', 'times', 'messages', jsonb_agg(jsonb_build_object('role', 'user', 'content', t #>> '{}', 'created_at', t) ORDER BY n))::text
	FROM jsonb_array_elements('["2024-05-01T09:00:00+05:30", "2024-05-01T09:00:00+0530", "2024-05-01T09:00:00 +0530", "2024-05-01T09:00:00+05", "2024-05-01T09:00:00.5-0330", "2024-05-01T09:00:00\u221203:30", "2024-05-01T09:00:00+053015",
		"2024-05-01T09:00Z", "2024-05-01 09:00:00.25", "20240501T090000Z", "20240501T0900+0530", "20240501", "2024-05-01", "2024-05-01T09:00:00,25z", "2024-02-29T24:00:00Z", "2024-05-01 09:00:00 PM",
		"2024-05-01T09:00:00+05:30[Asia/Kolkata]", "2024-05-01 09:00:00 America/New_York", "2024-05-01 09:00:00.123456789 +0530 IST m=+0.1", "2024-05-01 09:00:00 UTC",
		"Wed, 01 May 2024 09:00:00 +0530", "1 May 24 09:00 EST", "Wed, 1 May 2024 9:00:00 -0700 (PDT)", "Wed May 01 2024 09:00:00 GMT+0530 (India Standard Time)", "Wed May  1 09:00:00 2024",
		"Wednesday, 01-May-24 09:00:00 GMT", "01/May/2024:09:00:00 +0530",
		{"$date": "2024-05-01T09:00:00.000+0530"}, {"$date": {"$numberLong": "1714554000123"}}, {"$date": 1714554000123}, {"$numberLong": "1714554000123"}, {"$timestamp": {"t": 1714554000, "i": 1}}, {"_seconds": 1714554000, "_nanoseconds": 500000000},
		1714554000, 1714554000.25, 1714554000123, "1714554000123456", 1714554000123456789,
		"2024-05-01 09:00:00 Nowhere", "2024-05-01T09:00:00+99:00", "now", "today", "5/1/2024", "2024-02-30T09:00:00Z", "2024-05-01T25:00:00Z", "1969-12-31T23:59:59Z", true, [1], {"$date": {"a": 1}}, -5, 1e20, 0, "", null]')
	WITH ORDINALITY AS e (t, n))) \gset
SET timezone = 'UTC';
SET datestyle = 'Postgres, MDY';
\pset format unaligned
SELECT message ->> 'content' AS written, message ->> 'timestamp' AS read FROM airun.messages WHERE run_id = :'times' ORDER BY seq;
SELECT created_at, jsonb_pretty(metadata #> '{import,unread_times}') AS unread FROM airun.runs WHERE id = :'times';
\pset format aligned
SELECT message_count, problem FROM airun_import('[{"id": "begun", "created_at": "2024-05-01T09:00:00+0530", "messages": [{"role": "user", "content": "no time"}]},
	{"id": "begun soon", "created_at": "soon", "messages": [{"role": "user", "content": "no time"}, {"role": "assistant", "content": "some", "created_at": "2024-05-01T09:00:00+0530"}]}]');
SELECT metadata #>> '{import,id}' AS id, created_at, last_message_at, metadata #> '{import,unread_times}' AS unread FROM airun.runs WHERE metadata #>> '{import,id}' LIKE 'begun%' ORDER BY 1;

--
-- Branches part where they part, with times or without: sixty answers to one question, an answer
-- that is older than the branch that is shown, and a pair of which one is preferred
--
SET airun.user_id = '1b000000-0000-4000-8000-000000000007';
SELECT message_count, fork_count, problem FROM airun_import((SELECT jsonb_build_object('id', 'sixty', 'title', 'Sixty', 'current_node', 'n1', 'mapping', jsonb_object_agg('n' || i, jsonb_build_object('id', 'n' || i, 'parent', CASE WHEN i > 0 THEN 'n0' END,
	'message', jsonb_build_object('id', 'n' || i, 'author', jsonb_build_object('role', CASE WHEN i = 0 THEN 'user' ELSE 'assistant' END), 'content', jsonb_build_object('content_type', 'text', 'parts', jsonb_build_array('text ' || i))))))::text
	FROM generate_series(0, 60) AS i));
SELECT problem FROM airun_import('{"uuid": "older", "name": "Older", "chat_messages": [{"uuid": "1", "sender": "human", "text": "Question"},
	{"uuid": "2", "parent_message_uuid": "1", "sender": "assistant", "text": "First", "created_at": "2024-05-01T09:00:00Z"},
	{"uuid": "3", "parent_message_uuid": "1", "sender": "assistant", "text": "Second", "created_at": "2024-05-01T10:00:00Z"}]}');
SELECT problem FROM airun_import('{"id": "pair", "name": "Pair", "input": {"messages": [{"role": "user", "content": "Question"}]},
	"preferred_output": [{"role": "assistant", "content": "good"}], "non_preferred_output": [{"role": "assistant", "content": "bad"}]}');
-- ids that begin alike for long
SELECT problem FROM airun_import(replace('{"uuid": "long ids", "name": "Long ids", "chat_messages": [{"uuid": "LONG1", "sender": "human", "text": "Question"},
	{"uuid": "LONG2", "parent_message_uuid": "LONG1", "sender": "assistant", "text": "First"}, {"uuid": "3", "parent_message_uuid": "LONG2", "sender": "human", "text": "Sure?"},
	{"uuid": "LONG4", "parent_message_uuid": "LONG1", "sender": "assistant", "text": "Second"}], "current_leaf_message_uuid": "LONG4"}', 'LONG', repeat('x', 300)));
SELECT name, is_listed, forked_at_seq, count(*) FROM airun.runs WHERE user_id = '1b000000-0000-4000-8000-000000000007' GROUP BY 1, 2, 3 ORDER BY 1, 2;
SELECT r.is_listed, r.created_at AS begun, m.seq, m.created_at FROM airun.runs AS r JOIN airun.messages AS m ON m.run_id = r.id WHERE r.name = 'Older' ORDER BY 1, 3;

--
-- Another conversation with an id that has come in before is told of, and so is one that has gone
-- on since, in messages, in branches or in requests; what its user has changed or deleted here is not what is
-- missing
--
CREATE FUNCTION pg_temp.import_again(document text) RETURNS SETOF text LANGUAGE sql AS
$$SELECT concat_ws(' ', i.position, CASE WHEN i.run_id IS NOT NULL THEN 'in' END, i.message_count, i.fork_count, regexp_replace(i.problem, '"[-0-9a-f]{36}"', '...')) FROM airun_import(document) AS i ORDER BY i.position$$;
SELECT pg_temp.import_again(E'{"thread_id": "t1", "messages": [{"role": "user", "content": "one"}]}\n{"thread_id": "t1", "messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]}\n'
	'{"thread_id": "t1", "messages": [{"role": "user", "content": "one"}]}\n{"thread_id": "t1", "messages": [{"role": "user", "content": "another"}]}');
SELECT content FROM airun.messages AS m, jsonb_to_record(m.message) AS c (content text) WHERE m.run_id IN (SELECT id FROM airun.runs WHERE metadata #>> '{import,id}' = 't1');
\set growing '{"uuid": "changing", "chat_messages": [{"uuid": "1", "sender": "human", "text": "Question"}, {"uuid": "2", "parent_message_uuid": "1", "sender": "assistant", "text": "First"}, {"uuid": "3", "parent_message_uuid": "2", "sender": "human", "text": "Sure?"}'
SELECT run_id AS changing FROM airun_import(:'growing' || ']}') \gset
SELECT count(*) FROM airun_edit_message(:'changing', 1, '{"role": "user", "content": "Another question"}');
SELECT count(*) FROM airun_truncate_messages(:'changing', 2);
SELECT count(*) FROM airun_append_messages(:'changing', '[{"role": "user", "content": "Really?"}, {"role": "assistant", "content": "Yes."}]');
SELECT pg_temp.import_again(:'growing' || ']}');
SELECT pg_temp.import_again(:'growing' || ', {"uuid": "4", "parent_message_uuid": "3", "sender": "assistant", "text": "No."}]}');
SELECT pg_temp.import_again(:'growing' || ', {"uuid": "4", "parent_message_uuid": "1", "sender": "assistant", "text": "Second"}], "current_leaf_message_uuid": "3"}');
SELECT airun_delete_run(:'changing');
SELECT pg_temp.import_again(:'growing' || ']}');
SELECT airun_restore_run(:'changing');
SELECT pg_temp.import_again(:'growing' || ']}');
\set gone '{"ai_runs": [{"id": "gone", "user_id": "x", "source_type": "chat", "status": "deleted", "messages": [{"role": "user", "content": "q"}]}], "ai_tasks": [{"run_id": "gone", "task_id": "t1", "status": "completed", "created_at": "2025-06-01T00:00:00Z"}'
SELECT pg_temp.import_again(:'gone' || ']}');
SELECT pg_temp.import_again(:'gone' || ']}');
SELECT r.deleted_at = r.last_message_at AS is_deleted, r.updated_at = r.last_message_at AS is_old, t.status FROM airun.runs AS r JOIN airun.tasks AS t ON t.run_id = r.id WHERE r.metadata #>> '{import,id}' = 'gone';
SELECT pg_temp.import_again(:'gone' || ', {"run_id": "gone", "task_id": "t2", "status": "completed", "created_at": "2025-06-01T00:00:00Z"}]}');
-- words that are stripped cannot be compared
SELECT airun_store_strip_runs(ARRAY[:'changing'::uuid]);
SELECT pg_temp.import_again(:'growing' || ', {"uuid": "4", "parent_message_uuid": "3", "sender": "assistant", "text": "No."}]}');

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
--
-- Of spans only requests to a model are charged: what an agent, a chain or a workflow tells is the sum of its
-- requests, and counts where none of them tells any (facts/formats.md 8)
--
SET airun.user_id = '1b000000-0000-4000-8000-000000000008';
CREATE FUNCTION pg_temp.span(id text, parent text, seconds int, length int, attributes jsonb, more jsonb DEFAULT '{}', trace text DEFAULT 't') RETURNS jsonb LANGUAGE sql AS
$$SELECT jsonb_build_object('traceId', trace, 'spanId', id, 'parentSpanId', parent, 'startTimeUnixNano', (1764000000 + seconds)::text || '000000000', 'endTimeUnixNano', (1764000000 + seconds + length)::text || '000000000',
	'attributes', (SELECT jsonb_agg(jsonb_build_object('key', key, 'value', jsonb_build_object(CASE jsonb_typeof(value) WHEN 'number' THEN 'intValue' ELSE 'stringValue' END, value #>> '{}')) ORDER BY key) FROM jsonb_each(attributes))) || more$$;
CREATE FUNCTION pg_temp.used(input int, output int) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_object('gen_ai.request.model', 'import-model', 'gen_ai.usage.input_tokens', input, 'gen_ai.usage.output_tokens', output)$$;
CREATE FUNCTION pg_temp.op(name text) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_object('gen_ai.operation.name', name)$$;
CREATE FUNCTION pg_temp.said(id text) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_strip_nulls(jsonb_build_object('gen_ai.conversation.id', id, 'gen_ai.input.messages', '[{"role": "user", "parts": [{"type": "text", "content": "q"}]}]'))$$;
-- each task of what a list of spans becomes, and the run's sums
CREATE FUNCTION pg_temp.import_spans(spans jsonb[]) RETURNS SETOF ai_imported LANGUAGE sql AS $$SELECT * FROM airun_import(jsonb_build_object('resourceSpans', jsonb_build_array(jsonb_build_object('scopeSpans', jsonb_build_array(jsonb_build_object('spans', to_jsonb(spans))))))::text)$$;
CREATE FUNCTION pg_temp.tasks_of(conversation text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT told FROM (SELECT concat_ws(' ', t.task_name, t.status, t.tokens_input, t.tokens_output, t.cost, t.error) FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id WHERE r.metadata #>> '{import,id}' = conversation) AS t (told) ORDER BY told COLLATE "C"$$;
\pset format unaligned
\pset tuples_only on
-- an agent with its requests, of which one has failed; a tool, and a request that was sent twice
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('a0', NULL, 0, 9, pg_temp.op('invoke_agent') || pg_temp.used(300, 30) || '{"gen_ai.conversation.id": "agent"}'),
	pg_temp.span('a1', 'a0', 1, 1, pg_temp.op('chat') || pg_temp.used(100, 10) || pg_temp.said('agent')), pg_temp.span('a1', 'a0', 1, 1, pg_temp.op('chat') || pg_temp.used(100, 10) || pg_temp.said('agent')),
	pg_temp.span('a2', 'a0', 2, 1, pg_temp.op('execute_tool') || '{"gen_ai.tool.name": "f", "gen_ai.request.model": "import-model", "gen_ai.conversation.id": "agent"}'),
	pg_temp.span('a3', 'a0', 3, 1, pg_temp.op('chat') || pg_temp.used(200, 20) || pg_temp.said('agent'), '{"status": {"code": 2, "message": "boom"}}')]);
SELECT pg_temp.tasks_of('agent');
SELECT total_tokens, total_cost, created_at FROM airun.runs WHERE metadata #>> '{import,id}' = 'agent';
-- what has gone on since: a request that is new has been paid for, and is charged, once; what was said is told
SELECT regexp_replace(problem, '"[-0-9a-f]{36}"', '...') FROM generate_series(1, 2) AS n, LATERAL (SELECT n, i.* FROM pg_temp.import_spans(ARRAY[pg_temp.span('a3', 'a0', 3, 1, pg_temp.op('chat') || pg_temp.used(200, 20) || pg_temp.said('agent')),
	pg_temp.span('a4', NULL, 20, 1, pg_temp.op('chat') || pg_temp.used(400, 40) || pg_temp.said('agent') || '{"gen_ai.output.messages": "[{\"role\": \"assistant\", \"parts\": [{\"type\": \"text\", \"content\": \"a\"}]}]"}')]) AS i) AS i;
SELECT pg_temp.tasks_of('agent');
SELECT total_tokens, total_cost, task_count, message_count FROM airun.runs WHERE metadata #>> '{import,id}' = 'agent';
-- the agent's own span, which has come later than those below it
SELECT regexp_replace(problem, '"[-0-9a-f]{36}"', '...') FROM pg_temp.import_spans(ARRAY[pg_temp.span('a0', NULL, 0, 9, pg_temp.op('invoke_agent') || pg_temp.used(300, 30) || pg_temp.said('agent'))]);
SELECT total_tokens FROM airun.runs WHERE metadata #>> '{import,id}' = 'agent';
-- a usage that the agent alone has, whose requests have none; two agents below a workflow
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('b0', NULL, 0, 9, pg_temp.op('invoke_agent') || pg_temp.used(300, 30) || pg_temp.said('alone')), pg_temp.span('b1', 'b0', 1, 1, pg_temp.op('chat') || '{"gen_ai.request.model": "import-model"}')]);
SELECT pg_temp.tasks_of('alone');
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('c2', 'c0', 5, 1, pg_temp.op('invoke_agent') || pg_temp.used(200, 20)), pg_temp.span('c0', NULL, 0, 9, pg_temp.op('invoke_workflow') || pg_temp.used(300, 30) || pg_temp.said('nested')),
	pg_temp.span('c1', 'c0', 1, 1, pg_temp.op('invoke_agent') || pg_temp.used(100, 10))]);
SELECT pg_temp.tasks_of('nested');
-- a span that says not what it is; a request that another library has traced, too; a request within a request's tool
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('d0', NULL, 0, 9, pg_temp.used(300, 30) || '{"gen_ai.conversation.id": "untold"}'), pg_temp.span('d1', 'd0', 1, 3, '{"openinference.span.kind": "LLM", "llm.model_name": "import-model", "llm.token_count.prompt": 100, "llm.token_count.completion": 10}'),
	pg_temp.span('d2', 'd1', 2, 1, pg_temp.op('chat') || pg_temp.used(100, 10) || pg_temp.said('untold')), pg_temp.span('d3', 'd0', 5, 3, pg_temp.op('chat') || pg_temp.used(150, 15)), pg_temp.span('d4', 'd3', 6, 1, pg_temp.op('execute_tool')),
	pg_temp.span('d5', 'd4', 7, 1, pg_temp.op('chat') || pg_temp.used(50, 5))]);
SELECT pg_temp.tasks_of('untold');
-- what stands between is not there: an agent that was at work all the while is told by its requests, one that was not is charged
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('e0', NULL, 0, 9, pg_temp.op('invoke_agent') || pg_temp.used(300, 30)), pg_temp.span('e1', 'gone', 1, 1, pg_temp.op('chat') || pg_temp.used(100, 10) || pg_temp.said('loose')),
	pg_temp.span('e2', 'e3', 5, 1, pg_temp.op('chat') || pg_temp.used(200, 20)), pg_temp.span('e3', 'gone, too', 4, 3, '{}'), pg_temp.span('e4', NULL, 20, 9, pg_temp.op('invoke_agent') || pg_temp.used(7, 7))]);
SELECT pg_temp.tasks_of('loose');
-- a ring; the same id in two traces of one conversation; a trace of two conversations, whose other spans are neither's
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('f1', 'f2', 1, 1, pg_temp.op('chat') || pg_temp.used(1, 1) || pg_temp.said('ring')), pg_temp.span('f2', 'f1', 1, 1, pg_temp.op('invoke_agent') || pg_temp.used(1, 1))]);
SELECT pg_temp.tasks_of('ring');
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('f1', 'f3', 1, 1, pg_temp.op('chat') || pg_temp.used(1, 1) || pg_temp.said('ring of requests')), pg_temp.span('f2', 'f1', 1, 1, pg_temp.op('chat') || pg_temp.used(1, 1)),
	pg_temp.span('f3', 'f2', 1, 1, '{}'), pg_temp.span('f4', 'f4', 1, 1, pg_temp.op('chat') || pg_temp.used(4, 4))]);
SELECT pg_temp.tasks_of('ring of requests');
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('g', NULL, 1, 1, pg_temp.op('chat') || pg_temp.used(1, 1) || pg_temp.said('two traces')), pg_temp.span('g', NULL, 2, 1, pg_temp.op('chat') || pg_temp.used(2, 2) || pg_temp.said('two traces'), '{}', 'u')]);
SELECT pg_temp.tasks_of('two traces');
SELECT position, problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('h0', NULL, 0, 9, pg_temp.op('invoke_agent') || pg_temp.used(3, 3)), pg_temp.span('h1', 'h0', 1, 1, pg_temp.op('chat') || pg_temp.used(1, 1) || pg_temp.said('two a')),
	pg_temp.span('h2', 'h0', 2, 1, pg_temp.op('chat') || pg_temp.used(2, 2) || pg_temp.said('two b'))]) ORDER BY 1;
SELECT pg_temp.tasks_of(id) FROM unnest('{two a,two b}'::text[]) AS id;
-- failures, however they are told; a model without a usage; spans alone
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('i1', NULL, 1, 1, pg_temp.op('i1') || pg_temp.used(1, 1) || pg_temp.said('failed'), '{"status": {"code": "STATUS_CODE_ERROR"}, "events": [{"name": "exception", "attributes": [{"key": "exception.type", "value": {"stringValue": "Timeout"}}, {"key": "exception.message", "value": {"stringValue": "too slow"}}]}]}'),
	pg_temp.span('i2', NULL, 2, 1, pg_temp.op('i2') || pg_temp.used(1, 1) || '{"error.type": "429"}', '{"status": {"code": 2, "message": "slow down"}}'), pg_temp.span('i3', NULL, 3, 1, pg_temp.op('i3') || pg_temp.used(1, 1) || '{"langfuse.observation.level": "ERROR"}'),
	pg_temp.span('i4', NULL, 4, 1, pg_temp.op('i4') || pg_temp.used(1, 1), '{"status": {"code": 1}}'), pg_temp.span('i5', NULL, 5, 1, pg_temp.op('i5') || pg_temp.used(1, 1), '{"status": {"code": "STATUS_CODE_UNSET"}}'),
	pg_temp.span('i6', NULL, 6, 1, pg_temp.op('chat') || '{"llm.model_name": "import-model"}', '{"status": {"code": 2}}')]);
SELECT pg_temp.tasks_of('failed');
SELECT count(*) FROM airun_import('[{"session.id": "flat agent", "openinference.span.kind": "AGENT", "llm.model_name": "import-model", "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "q"},
	{"session.id": "flat sum", "openinference.span.kind": "AGENT", "llm.model_name": "import-model", "llm.token_count.prompt": 5, "llm.token_count.completion": 6, "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "q"},
	{"session.id": "flat request", "status_code": "ERROR", "status_message": "gone", "attributes": {"session.id": "flat request", "openinference.span.kind": "LLM", "llm.model_name": "import-model", "llm.input_messages.0.message.role": "user", "llm.input_messages.0.message.content": "q"}, "spanId": "s"}]');
SELECT id, pg_temp.tasks_of(id) FROM unnest('{flat agent,flat sum,flat request}'::text[]) AS id;
-- rows of one session are one conversation, in an array and in lines
CREATE TEMP TABLE flat AS SELECT n, jsonb_build_object('openinference.span.kind', kind, 'llm.model_name', 'import-model', 'llm.token_count.prompt', used, 'llm.input_messages.0.message.role', 'user', 'llm.input_messages.0.message.content', 'q' || n) AS span
FROM (VALUES (1, 'AGENT', 30), (2, 'LLM', 10), (3, 'LLM', 20)) AS v (n, kind, used);
SELECT i.position, i.message_count, i.problem FROM airun_import((SELECT jsonb_agg(span || '{"session.id": "rows"}' ORDER BY n) || '[{"messages": [{"role": "user", "content": "another"}]}]' FROM flat)::text) AS i ORDER BY 1;
SELECT m.message ->> 'content' FROM airun.messages AS m JOIN airun.runs AS r ON r.id = m.run_id WHERE r.metadata #>> '{import,id}' = 'rows';
SELECT i.position, i.message_count, i.problem FROM airun_import((SELECT string_agg((span || '{"session.id": "lines"}')::text, E'\n' ORDER BY n) FROM flat)) AS i;
SELECT id, pg_temp.tasks_of(id) FROM unnest('{rows,lines}'::text[]) AS id;
-- the same again, and with a row that is new
SELECT i.position, i.message_count, i.problem FROM airun_import((SELECT jsonb_agg(span || '{"session.id": "rows"}' ORDER BY n) FROM flat)::text) AS i;
SELECT i.position, i.message_count, i.problem FROM airun_import((SELECT jsonb_agg(span || jsonb_build_object('session.id', 'rows', 'llm.token_count.prompt', n, 'llm.input_messages.0.message.content', 'q3') ORDER BY n) FROM flat WHERE n > 2)::text) AS i;
SELECT pg_temp.tasks_of('rows');
-- what stands twice in a file counts once, as it was last, and keeps nothing out: spans that were sent when they began, and again
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('k1', NULL, 1, 0, pg_temp.op('chat') || '{"gen_ai.request.model": "import-model"}'), pg_temp.span('k1', NULL, 1, 2, pg_temp.op('chat') || pg_temp.used(5, 6) || pg_temp.said('sent twice')),
	pg_temp.span('k1', NULL, 1, 0, pg_temp.op('chat'))]);
SELECT pg_temp.tasks_of('sent twice');
-- tasks, whichever stands first
SELECT position, problem FROM airun_import('{"ai_runs": [{"id": "task twice", "user_id": "x", "source_type": "chat", "messages": [{"role": "user", "content": "q"}]}], "ai_tasks": [
	{"run_id": "task twice", "task_id": "1", "task_name": "ends", "status": "streaming", "updated_at": "2025-06-01T00:00:05Z"}, {"run_id": "task twice", "task_id": "1", "task_name": "ends", "status": "completed", "model": "import-model", "tokens_input": 5, "tokens_output": 6},
	{"run_id": "task twice", "task_id": "2", "task_name": "has ended", "status": "completed", "model": "import-model", "tokens_input": 7, "tokens_output": 8}, {"run_id": "task twice", "task_id": "2", "task_name": "has ended", "status": "pending"},
	{"run_id": "task twice", "task_id": "3", "task_name": "later", "status": "error", "updated_at": "2025-06-01T00:00:00Z"}, {"run_id": "task twice", "task_id": "3", "task_name": "later", "status": "completed", "tokens_input": 1, "updated_at": "2025-06-01T00:00:01Z"}]}');
SELECT pg_temp.tasks_of('task twice');
-- a list of runs carries no spans, and a task of its span what is short
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('l1', 'l0', 1, 1, pg_temp.op('chat') || pg_temp.used(1, 1) || pg_temp.said('kept') || jsonb_build_object('input.value', repeat('x', 501), 'output.value', repeat('y', 500), 'flag', 7), '{"name": "chat import-model"}'),
	pg_temp.span('l0', NULL, 0, 9, pg_temp.op('invoke_agent') || pg_temp.said('kept'))]);
SELECT r.metadata, t.metadata #- '{span,attributes,output.value}', length(t.metadata #>> '{span,attributes,output.value}') FROM airun.runs AS r JOIN airun.tasks AS t ON t.run_id = r.id WHERE r.metadata #>> '{import,id}' = 'kept';
SELECT problem FROM airun_import(jsonb_build_object('session.id', 'kept, flat', 'flag', 7, 'input.value', repeat('x', 501), 'llm.input_messages.0.message.role', 'user', 'llm.input_messages.0.message.content', 'q')::text);
SELECT metadata FROM airun.runs WHERE metadata #>> '{import,id}' = 'kept, flat';

--
-- What goes out as spans comes in again with the same usage, cost, status and times (facts/formats.md 8):
-- what is not the same of each task, of one that has not ended and has expired
--
SELECT airun_set_price('spans-model', '{"input": 3, "output": 15, "cache_read": 0.3, "cache_write_5m": 3.75, "cache_write_1h": 6, "reasoning": 20, "input_audio": 40, "output_audio": 80}', per_tokens => 1000000, effective_from => '2025-01-01Z') IS NOT NULL;
SELECT id AS out FROM airun_create_run() \gset
CREATE FUNCTION pg_temp.begin(name text, model text DEFAULT 'spans-model') RETURNS uuid LANGUAGE sql AS $$SELECT (airun_create_task(current_setting('import.out')::uuid, task_name => name, model_id => model, provider => 'anthropic',
	service => 'service of ' || name, endpoint => 'https://eu.api.openai.com/v1')).task_id$$;
SELECT set_config('import.out', :'out', false) = :'out';
SELECT count(airun_complete_task(pg_temp.begin('cache'), 'a', '{"input_tokens": 10, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 500, "cache_creation": {"ephemeral_1h_input_tokens": 500, "ephemeral_5m_input_tokens": 0}, "output_tokens": 5}', finish_reason => 'stop', time_to_first_token => 123.456)),
	count(airun_complete_task(pg_temp.begin('audio, in the answer'), 'a', response_data => '{"speed": "fast", "service_tier": "flex", "model": "served", "usage": {"prompt_tokens": 100, "completion_tokens": 50, "prompt_tokens_details": {"audio_tokens": 60}, "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 20}}}')),
	count(airun_cancel_task(pg_temp.begin('plan'), 'part', '{"prompt_tokens": 100, "completion_tokens": 50}', total_time => 7777.125)),
	count(airun_fail_task(pg_temp.begin('failed'), '{"code": "x", "message": "\"boom\""}', usage => '{"prompt_tokens": 100, "completion_tokens": 50}')),
	count(airun_fail_task(pg_temp.begin('failed at once', NULL), '{"code": "y"}')),
	count(airun_complete_task(pg_temp.begin('own price', 'no such model'), 'a', tokens_input => 3, tokens_total => 10, provider_cost => 0.25)),
	count(airun_complete_task(pg_temp.begin('unbilled'), 'a', '{"prompt_tokens": 100, "completion_tokens": 50}', billed => false)),
	count(airun_complete_task(pg_temp.begin('one side'), 'a', '{"prompt_tokens": 100}', tokens_output => 7)),
	count(airun_complete_task(pg_temp.begin('searches'), 'a', '{"web_searches": 3}')), count(pg_temp.begin('open'));
SELECT (airun_append_message(:'out', '{"role": "user", "content": "q"}')).seq;
SELECT run_id AS back, problem FROM airun_import(airun_export(:'out', 'otel')) \gset
SELECT a.task ->> 'task_name', key, CASE WHEN key <> 'completed_at' THEN a.task -> key END, CASE WHEN key <> 'completed_at' THEN b.task -> key END
FROM (SELECT to_jsonb(t) AS task FROM airun.tasks AS t WHERE t.run_id = :'out') AS a FULL JOIN (SELECT to_jsonb(t) AS task FROM airun.tasks AS t WHERE t.run_id = :'back') AS b ON a.task -> 'task_name' = b.task -> 'task_name',
	LATERAL (SELECT jsonb_object_keys(COALESCE(a.task, b.task))) AS k (key)
WHERE a.task -> key IS DISTINCT FROM b.task -> key AND key NOT IN ('run_id', 'task_id', 'updated_at', 'response_text', 'response_length', 'response_data', 'usage', 'metadata', 'cost_details', 'client_cost') ORDER BY a.task ->> 'task_name' COLLATE "C", key COLLATE "C";
SELECT t.cost, t.cost_details - 'client_cost' = o.cost_details - 'client_cost' FROM airun.tasks AS t JOIN airun.tasks AS o ON o.run_id = :'out' AND o.task_name = t.task_name WHERE t.run_id = :'back' AND t.cost IS NOT NULL ORDER BY t.task_name COLLATE "C";
-- how long a span of others took
SELECT t.task_name, t.total_time FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id WHERE r.metadata #>> '{import,id}' = 'failed' ORDER BY t.task_name COLLATE "C";

--
-- Figures and words that cannot be are left out, with the reason, and keep nothing out
--
SELECT position, problem FROM airun_import(replace('{"ai_runs": [{"id": "odd figures", "user_id": "x", "source_type": "chat", "messages": [{"role": "user", "content": "q"}]}], "ai_tasks": [
	{"run_id": "odd figures", "task_id": "1", "status": "completed", "model": "import-model", "tokens_input": 12.5, "tokens_output": 5.0, "created_at": "2025-06-01T00:00:00Z"},
	{"run_id": "odd figures", "task_id": "1", "status": "completed", "model": "import-model", "tokens_input": 12, "created_at": "2025-06-01T00:00:00Z"},
	{"run_id": "odd figures", "task_id": "2", "status": "lost", "cost": "$0.5", "tokens_output": "many", "total_time": "fast", "time_to_first_token": [1], "tokens_total": 1e30, "created_at": "2025-06-01T00:00:01Z"},
	{"run_id": "odd figures", "task_id": "3", "status": 7, "usage": "no JSON", "response_errors": "boom", "response_data": "x", "created_at": "2025-06-01T00:00:02Z"},
	{"run_id": "odd figures", "task_id": "4", "status": "completed", "model": "LONG", "endpoint": "LONG", "provider": "p", "usage": {"prompt_tokens": 3, "completion_tokens": 4}, "created_at": "2025-06-01T00:00:03Z"}]}', 'LONG', repeat('m', 300)));
SELECT t.status, t.model_id, length(t.endpoint), t.tokens_input, t.tokens_output, t.tokens_total, t.cost, t.total_time, t.usage, t.error, t.response_data, t.price_status, t.cost_details -> 'left_out' FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id
WHERE r.metadata #>> '{import,id}' = 'odd figures' ORDER BY t.created_at;
-- a reason is of its own task alone
SELECT cost_details -> 'left_out' FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id WHERE r.metadata #>> '{import,id}' = 'flat sum';
SELECT t.cost_details -> 'left_out' FROM airun_create_run() AS r, LATERAL (SELECT airun_create_task(r.id, '1b000000-0000-4000-9000-000000000001', model_id => 'import-model')) AS c, LATERAL airun_complete_task((c.airun_create_task).task_id, 'a', tokens_input => 1) AS t;
\pset format aligned
\pset tuples_only off

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

--
-- What comes again: requests without an id are known by what they say, wherever they stand; that one has ended
-- since, and that a sum has come in before its requests, is told
--
SET airun.user_id = '1b000000-0000-4000-8000-00000000000a';
CREATE FUNCTION pg_temp.again(id text, tasks text) RETURNS text LANGUAGE sql AS
$$SELECT regexp_replace(problem, '"[-0-9a-f]{36}"', '...') FROM airun_import(format('{"ai_runs": [{"id": %s, "messages": [{"role": "user", "content": "q"}]}], "ai_tasks": %s}', to_json(id), tasks))$$;
CREATE FUNCTION pg_temp.counted(word text) RETURNS text LANGUAGE sql AS $$SELECT string_agg(format('%s %s', t.status, t.tokens_total), ', ' ORDER BY t.tokens_total, t.status) FROM airun.runs AS r JOIN airun.tasks AS t ON t.run_id = r.id
	WHERE r.user_id = '1b000000-0000-4000-8000-00000000000a' AND (r.metadata::text LIKE '%' || word || '%' OR EXISTS (SELECT FROM airun.messages AS m WHERE m.run_id = r.id AND m.message ->> 'content' = word))$$;
SELECT pg_temp.again('a1', '[{"run_id": "a1", "status": "completed", "created_at": "2024-05-01T09:00:00Z", "tokens_input": 1000, "tokens_output": 1}]');
SELECT pg_temp.again('a1', '[{"run_id": "a1", "status": "completed", "created_at": "2024-05-02T09:00:00Z", "tokens_input": 500, "tokens_output": 1},
	{"run_id": "a1", "status": "completed", "created_at": "2024-05-01T09:00:00Z", "tokens_input": 1000, "tokens_output": 1}]');
SELECT pg_temp.counted('q');
SELECT pg_temp.again('a2', '[{"run_id": "a2", "task_id": "t1", "status": "streaming", "created_at": "2024-05-01T09:00:00Z", "tokens_input": 0}]');
SELECT pg_temp.again('a2', '[{"run_id": "a2", "task_id": "t1", "status": "completed", "created_at": "2024-05-01T09:00:00Z", "tokens_input": 9000, "tokens_output": 1}]');
SELECT pg_temp.counted('q');
SELECT regexp_replace(problem, '"[-0-9a-f]{36}"', '...') FROM pg_temp.import_spans(ARRAY[pg_temp.span('m0', NULL, 0, 9, pg_temp.op('invoke_agent') || pg_temp.used(300, 30) || pg_temp.said('sum first'))]);
SELECT regexp_replace(problem, '"[-0-9a-f]{36}"', '...') FROM pg_temp.import_spans(ARRAY[pg_temp.span('m0', NULL, 0, 9, pg_temp.op('invoke_agent') || pg_temp.used(300, 30) || pg_temp.said('sum first')),
	pg_temp.span('m1', 'm0', 1, 1, pg_temp.op('chat') || pg_temp.used(300, 30) || pg_temp.said('sum first'))]);
SELECT pg_temp.tasks_of('sum first');
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('n', NULL, 1, 1, pg_temp.op('chat') || pg_temp.used(1, 1) || pg_temp.said('one id'), '{}', 'ta'), pg_temp.span('n', NULL, 2, 1, pg_temp.op('chat') || pg_temp.used(2, 2) || pg_temp.said('one id'), '{}', 'tb')]);
SELECT problem FROM pg_temp.import_spans(ARRAY[pg_temp.span('n', NULL, 2, 1, pg_temp.op('chat') || pg_temp.used(2, 2) || pg_temp.said('one id'), '{}', 'tb'), pg_temp.span('n', NULL, 1, 1, pg_temp.op('chat') || pg_temp.used(1, 1) || pg_temp.said('one id'), '{}', 'ta')]);
SELECT pg_temp.tasks_of('one id');
-- files beside the content that are none are kept as they are
SELECT run_id AS files FROM airun_import('{"id": "files", "messages": [{"role": "user", "content": "a", "attachments": ["f-1"]}, {"role": "user", "content": "b", "attachments": {"a": 1}},
	{"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "c", "content": "r", "attachments": [{"url": "https://example.com/a.png"}]}]}') \gset
SELECT m.message - '{id,timestamp}'::text[] FROM airun.messages AS m WHERE m.run_id = :'files' ORDER BY m.seq;

\pset tuples_only off

-- Clean up
DELETE FROM airun.runs WHERE user_id::text LIKE '1b000000-0000-4000-8000-%';
DELETE FROM airun.prices WHERE model IN ('import-model', 'spans-model');
DROP OWNED BY regress_airun_importer;
DROP ROLE regress_airun_importer;
