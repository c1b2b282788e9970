--
-- The original application's ai_runs and ai_tasks over airun's store: each call of
-- its services as supabase-js sends it, by an API role that row security binds, and
-- what becomes of it in the store.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
SET search_path = helpers, public;
SET helpers.ids = '00000000-0000-4000-8014';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_airun_app;
SELECT airun_grant('regress_airun_app');

--
-- The views are made where the owner of the store says, and only there
--
SELECT answer('SELECT airun_install_original(''airun'')');
SELECT answer('SELECT airun_install_original(''public'')');
SELECT answer('SELECT airun_install_original(''pg_catalog'')');
SELECT answer('SELECT airun_install_original(''information_schema'')');
SELECT answer('SELECT airun_install_original(NULL)');
SELECT answer('SELECT airun_install_original('''')');
CREATE SCHEMA original_taken;
CREATE TABLE original_taken.ai_tasks (id int);
SELECT answer('SELECT airun_install_original(''original_taken'')');
DROP TABLE original_taken.ai_tasks;
CREATE TYPE original_taken.ai_runs AS (id int);
SELECT answer('SELECT airun_install_original(''original_taken'')');
DROP SCHEMA original_taken CASCADE;
SET ROLE regress_airun_app;
SELECT attempt('SELECT airun_install_original(''original_app'')');
RESET ROLE;
SELECT airun_install_original('Original App');
SELECT airun_install_original('Original App');
SELECT airun_install();
DROP SCHEMA "Original App" CASCADE;
SELECT airun_install();
SELECT airun_install_original('original_app');
-- what is missing comes back with airun_install(), and so do its rights; a trigger that was altered, too
DROP VIEW original_app.ai_tasks;
SELECT airun_install();
DROP TRIGGER airun_original ON original_app.ai_tasks;
CREATE TRIGGER airun_original INSTEAD OF INSERT ON original_app.ai_tasks FOR EACH ROW EXECUTE FUNCTION airun_original_task();
SELECT airun_install();
SELECT airun_install();
-- a role that comes later has them by airun_grant()
CREATE ROLE regress_airun_later;
SELECT airun_grant('regress_airun_later');
SELECT v, string_agg(p, ' ') FROM unnest('{ai_runs,ai_tasks}'::text[]) v, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) p
WHERE has_table_privilege('regress_airun_later', 'original_app.' || v, p) AND has_schema_privilege('regress_airun_later', 'original_app', 'USAGE') GROUP BY v ORDER BY v;
-- the columns that the application knows, with a comment each
SELECT c.relname, string_agg(a.attname || ' ' || format_type(a.atttypid, NULL), ', ' ORDER BY a.attnum), bool_and(col_description(c.oid, a.attnum) <> '')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'original_app'::regnamespace AND a.attnum > 0 GROUP BY c.relname ORDER BY c.relname;

SET ROLE regress_airun_app;
SET request.jwt.claims = '{"sub": "original ann"}';
SET search_path = original_app, helpers, public;

--
-- Runs: create, get, getWithTasks, list, update, toggleStar, archive, restore, delete
--
INSERT INTO ai_runs (id, user_id, source_type, source_id, name, description, tags, messages, settings, variable_values, broker_values, attachments, metadata, status)
VALUES (run_id(1), airun_user_id(), 'prompts', run_id(77)::text, 'Atoms', 'd', '{a,b}', '[]', '{"model_id": "gpt-4o"}', '{"topic": "atoms"}', '{"b": "1"}',
	'[{"type": "url", "url": "https://example.org", "name": "x"}]', '{"k": 1}', 'active')
RETURNING id, user_id = airun_user_id(), source_type, source_id, name, description, tags, messages, settings, variable_values, broker_values, attachments, metadata,
	dynamic_contexts, status, is_starred, is_public, organization_id, project_id, total_tokens, total_cost, message_count, task_count;
-- the least that it says, and a source whose id is no uuid
INSERT INTO ai_runs (source_type, source_id, messages, settings, is_starred) VALUES ('chat', 'shop/7', '[{"role": "user", "content": "Where is it?"}]', '{}', true)
RETURNING source_id, name, tags, jsonb_array_length(messages), broker_values, attachments, metadata, status, is_starred;
SELECT source_id, metadata FROM airun.runs WHERE id = run_id(1) OR source_type = 'chat' AND user_id = airun_user_id() ORDER BY name;
-- the same again is the same run
INSERT INTO ai_runs (id, source_type, messages, settings) VALUES (run_id(1), 'prompts', '[]', '{}') RETURNING name, broker_values, message_count;
SELECT name, status FROM ai_runs WHERE id = run_id(1);
SELECT count(*) FROM ai_tasks WHERE run_id = run_id(1);
SELECT name, source_id FROM ai_runs WHERE status = 'active' AND user_id = airun_user_id() AND source_type = 'chat' AND source_id = 'shop/7'
	AND (name ILIKE '%where%' OR description ILIKE '%where%') ORDER BY last_message_at DESC LIMIT 20 OFFSET 0;
SELECT count(*) FROM ai_runs WHERE status = 'active' AND is_starred;
SELECT name FROM ai_runs WHERE status = 'active' ORDER BY name DESC LIMIT 1 OFFSET 1;
UPDATE ai_runs SET name = 'Atoms and more', settings = '{"model_id": "gpt-4o", "temperature": 0.3}', dynamic_contexts = '{"c": []}', is_public = true, organization_id = run_id(5)::text
WHERE id = run_id(1) RETURNING name, description, settings, dynamic_contexts, is_public, organization_id, broker_values, metadata;
UPDATE ai_runs SET metadata = '{"k": 2}', tags = NULL, description = NULL, broker_values = NULL, source_id = 'none' WHERE id = run_id(1)
RETURNING metadata, tags, description, broker_values, source_id, is_public;
SELECT source_id, metadata FROM airun.runs WHERE id = run_id(1);
UPDATE ai_runs SET source_id = run_id(78)::text, is_public = false WHERE id = run_id(1) RETURNING source_id, is_public;
UPDATE ai_runs SET is_starred = true WHERE id = run_id(1) RETURNING is_starred;
UPDATE ai_runs SET is_starred = false WHERE id = run_id(1) RETURNING is_starred;
UPDATE ai_runs SET status = 'archived' WHERE id = run_id(1) RETURNING status;
SELECT status, is_archived FROM public.ai_runs WHERE id = run_id(1);
UPDATE ai_runs SET status = 'active' WHERE id = run_id(1) RETURNING status;
UPDATE ai_runs SET status = 'deleted' WHERE id = run_id(1) RETURNING status, name;
SELECT count(*) FROM public.ai_runs WHERE id = run_id(1);
UPDATE ai_runs SET status = 'active' WHERE id = run_id(1) RETURNING status, name;
UPDATE ai_runs SET status = 'completed' WHERE id = run_id(1) RETURNING status;
UPDATE ai_runs SET status = 'active' WHERE id = run_id(1) RETURNING status;
-- what the server computes, it computes
UPDATE ai_runs SET total_cost = 99, message_count = 99, task_count = 99, total_tokens = 99, last_message_at = '2001-01-01', updated_at = '2001-01-01'
WHERE id = run_id(1) RETURNING total_cost, message_count, task_count, total_tokens, last_message_at = created_at, updated_at > created_at;

--
-- Messages: addMessage and updateMessages, which read the array and write it back
--
SELECT messages AS mine FROM ai_runs WHERE id = run_id(1) \gset
UPDATE ai_runs SET messages = :'mine'::jsonb || '[{"role": "system", "content": "Be brief.", "timestamp": "2025-11-01T08:00:00Z"}]' WHERE id = run_id(1) RETURNING message_count, messages;
-- two tabs that have read the same
SELECT messages AS one, messages AS two FROM ai_runs WHERE id = run_id(1) \gset
UPDATE ai_runs SET messages = :'one'::jsonb || '[{"role": "user", "content": "one"}]' WHERE id = run_id(1) RETURNING message_count;
UPDATE ai_runs SET messages = :'two'::jsonb || '[{"role": "user", "content": "two"}]' WHERE id = run_id(1) RETURNING message_count;
-- the same save again, with or without what the server has added
UPDATE ai_runs SET messages = :'two'::jsonb || '[{"role": "user", "content": "two"}]' WHERE id = run_id(1) RETURNING message_count;
UPDATE ai_runs SET messages = messages WHERE id = run_id(1) RETURNING message_count;
-- an old copy, an empty one, one in another order, and none: nothing is taken away
UPDATE ai_runs SET messages = :'mine' WHERE id = run_id(1) RETURNING message_count;
UPDATE ai_runs SET messages = NULL WHERE id = run_id(1) RETURNING message_count;
UPDATE ai_runs SET messages = (SELECT jsonb_agg(m ORDER BY n DESC) FROM jsonb_array_elements(messages) WITH ORDINALITY x (m, n)) WHERE id = run_id(1) RETURNING message_count;
-- the same words a second time are a second message, with a time and without; several at once keep their order
UPDATE ai_runs SET messages = messages || '[{"role": "user", "content": "two"}]' WHERE id = run_id(1) RETURNING message_count;
UPDATE ai_runs SET messages = '[{"role": "user", "content": "two"}, {"role": "user", "content": "two"}, {"role": "user", "content": "two"}]' WHERE id = run_id(1) RETURNING message_count;
UPDATE ai_runs SET messages = messages || '[{"role": "user", "content": "x", "timestamp": 1}, {"role": "user", "content": "x", "timestamp": 1}, {"role": "user", "content": "y"}]' WHERE id = run_id(1) RETURNING message_count;
SELECT seq, message ->> 'role' AS role, message ->> 'content' AS content FROM ai_messages WHERE run_id = run_id(1) ORDER BY seq;
-- with an id, a message that was changed takes its place, also in the middle; an old copy does not bring back what was there,
-- nor what was taken back meanwhile; a new id is a new message
UPDATE ai_runs SET messages = messages || '[{"id": "m1", "role": "assistant", "content": "Fir"}, {"role": "user", "content": "behind"}]' WHERE id = run_id(1) RETURNING message_count;
SELECT messages AS old FROM ai_runs WHERE id = run_id(1) \gset
UPDATE ai_runs SET messages = jsonb_set(messages, '{8,content}', '"First."') WHERE id = run_id(1) RETURNING message_count, messages #>> '{8,content}';
UPDATE ai_runs SET messages = :'old'::jsonb || '[{"id": "m2", "role": "user", "content": "from an old copy"}]' WHERE id = run_id(1) RETURNING message_count, messages #>> '{8,content}';
UPDATE ai_runs SET messages = '[{"id": "m1", "role": "assistant", "content": "Fir"}, {"id": "m1", "role": "assistant", "content": "First."}]' WHERE id = run_id(1) RETURNING message_count, messages #>> '{8,content}';
SELECT seq, action, message ->> 'content' FROM airun_message_versions(run_id(1));
SELECT messages AS old FROM ai_runs WHERE id = run_id(1) \gset
SELECT message_count FROM airun_truncate_messages(run_id(1), 8);
UPDATE ai_runs SET messages = :'old' WHERE id = run_id(1) RETURNING message_count;
-- an array that was encoded twice
UPDATE ai_runs SET messages = to_jsonb((messages || '[{"role": "user", "content": "z"}]')::text) WHERE id = run_id(1) RETURNING message_count;
SELECT answer(format('UPDATE ai_runs SET messages = %L WHERE id = run_id(1)', m)) FROM (VALUES ('{"role": "user", "content": "q"}'), ('"q"'), ('[1]'), ('[{"role": "nobody", "content": "q"}]'), ('[{"content": "q"}]')) v (m);
-- and all or none
SELECT attempt('UPDATE ai_runs SET name = ''no'', messages = messages || ''[{"role": "user", "content": "q"}, {"role": "user"}]'' WHERE id = run_id(1)');
SELECT name, message_count FROM ai_runs WHERE id = run_id(1);
SELECT answer('UPDATE ai_runs SET metadata = ''{"airun_original": {}}'' WHERE id = run_id(1)');
SELECT answer('UPDATE ai_runs SET metadata = ''5'' WHERE id = run_id(1)'), answer('UPDATE ai_runs SET metadata = ''"x"'', is_public = NOT is_public WHERE id = run_id(1)'), answer('UPDATE ai_runs SET metadata = ''[5]'' WHERE id = run_id(1)');
SELECT answer('UPDATE ai_runs SET status = ''lost'' WHERE id = run_id(1)');
SELECT attempt('UPDATE ai_runs SET id = run_id(2) WHERE id = run_id(1)');
SELECT attempt('UPDATE ai_runs SET settings = ''[]'' WHERE id = run_id(1)');

--
-- Tasks: create, get, getByTaskId, update, updateStreaming, complete, then addMessage
--
INSERT INTO ai_tasks (run_id, user_id, task_id, service, task_name, provider, model, model_id, request_data, status)
VALUES (run_id(1), airun_user_id(), task_id(1), 'chat_service', 'direct_chat', 'openai', 'GPT-4o', 'gpt-4o', '{"messages": []}', 'pending')
RETURNING id = task_id, user_id = airun_user_id(), service, task_name, provider, endpoint, model, model_id, request_data, response_text, response_complete, response_metadata, response_errors, status;
SELECT status FROM ai_tasks WHERE id = task_id(1);
SELECT status FROM ai_tasks WHERE task_id = task_id(1);
UPDATE ai_tasks SET status = 'streaming' WHERE task_id = task_id(1) RETURNING status, response_text;
UPDATE ai_tasks SET status = 'streaming', response_text = 'The small' WHERE task_id = task_id(1) RETURNING status, response_text;
UPDATE ai_tasks SET status = 'streaming', response_text = 'The smallest', response_data = '{"d": 1}', response_info = '[{"i": 1}]', tool_updates = '[{"t": 1}]' WHERE task_id = task_id(1)
RETURNING status, response_text, response_data, response_info, tool_updates;
-- saves that overtake one another
UPDATE ai_tasks SET status = 'streaming', response_text = 'The small' WHERE task_id = task_id(1) RETURNING status, response_text;
UPDATE ai_tasks SET endpoint = 'wss://example.org' WHERE id = task_id(1) RETURNING endpoint, status, response_text, tool_updates;
UPDATE ai_tasks SET response_text = 'The smallest part of an element.', response_complete = true, response_metadata = '{"m": 1}', tokens_input = 25, tokens_output = 15, tokens_total = 40,
	cost = 0.0002, time_to_first_token = 310, total_time = 2900, status = 'completed', completed_at = '2001-01-01' WHERE task_id = task_id(1)
RETURNING response_text, response_complete, response_metadata, response_info, tokens_input, tokens_output, tokens_total, time_to_first_token, total_time, status, completed_at > created_at;
SELECT total_tokens, task_count, status FROM ai_runs WHERE id = run_id(1);
UPDATE ai_runs SET messages = messages || jsonb_build_array(jsonb_build_object('role', 'assistant', 'content', 'The smallest part of an element.', 'taskId', task_id(1), 'metadata', '{"tokens": 40}'::jsonb))
WHERE id = run_id(1) RETURNING message_count, messages -> -1 ->> 'taskId' = task_id(1)::text;
-- the message is the task's answer, and its text is stored once
SELECT m.seq = t.answer_seq, t.text_in_answer FROM airun.tasks t JOIN airun.messages m USING (run_id, task_id) WHERE task_id = task_id(1);
SELECT status, response_text, response_data, response_errors FROM ai_tasks WHERE task_id = task_id(1);
-- a task that is not there is no task of the message
UPDATE ai_runs SET messages = messages || jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'v', 'taskId', task_id(404))) WHERE id = run_id(1) RETURNING message_count;
-- the end again, with other times; and a late save, which brings nothing
UPDATE ai_tasks SET response_text = 'The smallest part of an element.', response_complete = true, tokens_total = 40, cost = 0.3, total_time = 1, status = 'completed' WHERE task_id = task_id(1) RETURNING status, total_time;
UPDATE ai_tasks SET status = 'streaming', response_text = 'The smal', tool_updates = '[]' WHERE task_id = task_id(1) RETURNING status, response_text, tool_updates;
UPDATE ai_tasks SET response_text = 'The smal', response_info = '[]' WHERE task_id = task_id(1) RETURNING status, response_text, response_info;
UPDATE ai_tasks SET status = 'pending' WHERE task_id = task_id(1) RETURNING status;
-- what the application keeps with it may change, and what was stated of its end may not
UPDATE ai_tasks SET response_metadata = '{"m": 2}', is_public = true, project_id = run_id(6)::text WHERE task_id = task_id(1) RETURNING response_metadata, is_public, project_id, status;
UPDATE ai_tasks SET project_id = NULL, tool_updates = NULL, is_public = false WHERE task_id = task_id(1) RETURNING project_id, tool_updates IS NULL, is_public;
SELECT attempt(format('UPDATE ai_tasks SET %s WHERE task_id = task_id(1)', s)) FROM unnest(ARRAY['response_text = ''x''', 'status = ''failed''', 'status = ''cancelled''', 'tokens_total = 41', 'service = ''x''', 'task_id = task_id(2)',
	'run_id = run_id(2)']) s;

--
-- fail, cancel, list, getLatestForRun, delete
--
INSERT INTO ai_tasks (run_id, task_id, service, model) SELECT run_id(1), task_id(n), 'chat_service', 'gpt-4o' FROM generate_series(2, 6) n;
SELECT DISTINCT status, model, model_id FROM ai_tasks WHERE run_id = run_id(1) AND status = 'pending';
UPDATE ai_tasks SET status = 'failed', response_errors = '[{"message": "timeout"}]', response_complete = false WHERE task_id = task_id(2) RETURNING status, response_errors, response_complete;
SELECT status, error FROM public.ai_tasks WHERE task_id = task_id(2);
-- a run is active to the application, whose list knows no other
SELECT o.status, r.status FROM ai_runs o JOIN public.ai_runs r USING (id) WHERE id = run_id(1);
UPDATE ai_tasks SET status = 'error', response_errors = '{"message": "e"}', response_text = 'so far' WHERE task_id = task_id(3) RETURNING status, response_errors, response_text;
UPDATE ai_tasks SET status = 'canceled', response_errors = '{"message": "stopped"}' WHERE task_id = task_id(4) RETURNING status, response_errors;
UPDATE ai_tasks SET response_complete = true, response_text = 'done', tokens_total = 2 WHERE task_id = task_id(5) RETURNING status, response_complete, tokens_total;
SELECT answer('UPDATE ai_tasks SET status = ''lost'' WHERE task_id = task_id(6)');
SELECT count(*) FROM ai_tasks WHERE run_id = run_id(1);
SELECT status FROM ai_tasks WHERE run_id = run_id(1) AND status = 'failed' ORDER BY created_at;
SELECT task_id = task_id(6) FROM ai_tasks WHERE run_id = run_id(1) ORDER BY created_at DESC, task_id DESC LIMIT 1;
-- all at once
INSERT INTO ai_tasks (run_id, task_id, service, status, response_text, response_complete, tokens_total, total_time, response_info) VALUES (run_id(1), task_id(8), 's', 'completed', 'whole', true, 3, 7, '{"i": 1}')
RETURNING status, response_text, response_complete, tokens_total, total_time, response_info;
-- deleted, a task is gone for the application, cancelled where it had not ended, and its money stays
DELETE FROM ai_tasks WHERE task_id = task_id(6) RETURNING status;
DELETE FROM ai_tasks WHERE id = task_id(5) RETURNING status;
SELECT count(*) FROM ai_tasks WHERE run_id = run_id(1);
SELECT status, tokens_total FROM public.ai_tasks WHERE task_id IN (task_id(5), task_id(6)) ORDER BY task_id;
SELECT total_tokens, task_count FROM ai_runs WHERE id = run_id(1);
SELECT answer('INSERT INTO ai_tasks (task_id) VALUES (task_id(7))');
SELECT answer('INSERT INTO ai_tasks (run_id, task_id) VALUES (run_id(404), task_id(7))');
SELECT left(attempt('INSERT INTO ai_tasks (run_id, task_id) VALUES (run_id(1), ''socket 7'')'), 5);

--
-- hardDelete: gone for the application, and kept in the store until it is purged
--
INSERT INTO ai_runs (id, source_type, messages, settings) VALUES (run_id(3), 'chat', '[{"role": "user", "content": "secret"}]', '{}') RETURNING message_count;
DELETE FROM ai_runs WHERE id = run_id(3) RETURNING name;
SELECT count(*) FROM ai_runs WHERE id = run_id(3);
UPDATE ai_runs SET status = 'active' WHERE id = run_id(3) RETURNING status;
SELECT airun_restore_run(run_id(3));
SELECT name, status, metadata FROM ai_runs WHERE id = run_id(3);
UPDATE ai_runs SET status = 'deleted' WHERE id = run_id(3) RETURNING status;
SELECT status FROM ai_runs WHERE id = run_id(3);
UPDATE ai_runs SET status = 'active' WHERE id = run_id(3) RETURNING status;

--
-- In the words of PostgREST: a body that is JSON, for one row and for several
--
WITH pgrst_source AS (INSERT INTO "original_app"."ai_runs" ("id", "messages", "settings", "source_type")
	SELECT "pgrst_body"."id", "pgrst_body"."messages", "pgrst_body"."settings", "pgrst_body"."source_type"
	FROM (SELECT format('{"id": "%s", "messages": [], "settings": {}, "source_type": "chat"}', run_id(4))::json AS json_data) pgrst_payload,
		LATERAL (SELECT "id", "messages", "settings", "source_type" FROM json_to_record(pgrst_payload.json_data) AS _("id" uuid, "messages" jsonb, "settings" jsonb, "source_type" text)) pgrst_body
	RETURNING "original_app"."ai_runs".*)
SELECT json_agg(_postgrest_t)->0 ->> 'status' FROM (SELECT "pgrst_source".* FROM "pgrst_source") _postgrest_t;
WITH pgrst_source AS (UPDATE "original_app"."ai_runs" SET "messages" = "pgrst_body"."messages"
	FROM (SELECT '{"messages": [{"role": "user", "content": "by PATCH"}]}'::json AS json_data) pgrst_payload,
		LATERAL (SELECT "messages" FROM json_to_record(pgrst_payload.json_data) AS _("messages" jsonb)) pgrst_body
	WHERE "original_app"."ai_runs"."id" = run_id(4) RETURNING "original_app"."ai_runs"."name", "original_app"."ai_runs"."message_count")
SELECT json_agg(_postgrest_t) FROM (SELECT "pgrst_source".* FROM "pgrst_source") _postgrest_t;
WITH pgrst_source AS (INSERT INTO "original_app"."ai_tasks" ("run_id", "service", "status", "task_id")
	SELECT "pgrst_body"."run_id", "pgrst_body"."service", "pgrst_body"."status", "pgrst_body"."task_id"
	FROM (SELECT json_agg(json_build_object('run_id', run_id(4), 'service', 's', 'status', 'pending', 'task_id', task_id(40 + n))) AS json_data FROM generate_series(1, 3) n) pgrst_payload,
		LATERAL (SELECT "run_id", "service", "status", "task_id" FROM json_to_recordset(pgrst_payload.json_data) AS _("run_id" uuid, "service" text, "status" text, "task_id" uuid)) pgrst_body
	RETURNING "original_app"."ai_tasks".*)
SELECT json_agg(_postgrest_t.status) FROM (SELECT "pgrst_source".* FROM "pgrst_source") _postgrest_t;
UPDATE ai_tasks SET status = 'cancelled' WHERE run_id = run_id(4) AND status = 'pending' RETURNING status;
WITH pgrst_source AS (DELETE FROM "original_app"."ai_runs" WHERE "original_app"."ai_runs"."id" = run_id(4) RETURNING 1) SELECT count(*) FROM pgrst_source;

--
-- Somebody else, and nobody
--
SET request.jwt.claims = '{"sub": "original bob"}';
SELECT count(*) FROM ai_runs;
SELECT count(*) FROM ai_tasks;
SELECT attempt(c) FROM unnest(ARRAY['UPDATE ai_runs SET name = ''x'' WHERE id = run_id(1)', 'DELETE FROM ai_runs WHERE id = run_id(1)', 'UPDATE ai_tasks SET status = ''failed'' WHERE task_id = task_id(1)',
	'DELETE FROM ai_tasks WHERE task_id = task_id(1)', 'INSERT INTO ai_tasks (run_id) VALUES (run_id(1))', 'INSERT INTO ai_runs (id, source_type, messages, settings) VALUES (run_id(1), ''chat'', ''[]'', ''{}'')',
	'INSERT INTO ai_runs (user_id, source_type, messages, settings) VALUES (airun_user_uuid(''original ann''), ''chat'', ''[]'', ''{}'')']) c;
SET request.jwt.claims = '{}';
SELECT attempt(c) FROM unnest(ARRAY['SELECT count(*) FROM ai_runs', 'INSERT INTO ai_runs (source_type, messages, settings) VALUES (''chat'', ''[]'', ''{}'')', 'UPDATE ai_tasks SET status = ''failed''']) c;
RESET ROLE;
-- who looks after the store sees all, and what somebody has put under the reserved key breaks nothing
SET ROLE regress_airun_app;
SET request.jwt.claims = '{"sub": "original ann"}';
SELECT airun_update_run(run_id(3), metadata => '{"airun_original": [1, {"is_public": 7}]}') IS NOT NULL;
UPDATE ai_runs SET attachments = '[2]', is_starred = true WHERE id = run_id(3) RETURNING is_starred;
RESET ROLE;
SELECT count(*) FROM (SELECT r::text FROM ai_runs r WHERE source_type <> '') x \gset
SELECT :count >= 2;
-- functions of the views fire where they are declared, and nowhere else
CREATE TABLE original_app.others (status text);
CREATE TRIGGER airun_original BEFORE INSERT ON original_app.others FOR EACH ROW EXECUTE FUNCTION airun_original_task();
SELECT attempt('INSERT INTO original_app.others VALUES (''x'')');
DROP TABLE original_app.others;
-- a function of another that has the name, and nearly the parameters, is not taken for ours
CREATE FUNCTION airun_complete_task(task_id uuid, response_text text, tokens_input bigint, tokens_output bigint, tokens_total bigint, cost numeric,
	time_to_first_token numeric, total_time numeric, response_data jsonb, run_id uuid) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE 'somebody else''s'; END$$;
SELECT id AS own_run FROM airun_create_run('chat') \gset
SELECT attempt(format('INSERT INTO original_app.ai_tasks (run_id, model_id, status, response_text, total_time) VALUES (%L, ''m'', ''completed'', ''paid'', 1.5)', :'own_run'));
SELECT status, response_text FROM ai_tasks WHERE run_id = :'own_run';
DROP FUNCTION airun_complete_task(uuid, text, bigint, bigint, bigint, numeric, numeric, numeric, jsonb, uuid);
DELETE FROM airun.runs WHERE id = :'own_run';
SELECT * FROM airun_check();
DROP SCHEMA original_app CASCADE;
SELECT airun_install();
-- Clean up
DELETE FROM airun.runs WHERE user_id = airun_user_uuid('original ann');
DROP OWNED BY regress_airun_app, regress_airun_later;
DROP ROLE regress_airun_app, regress_airun_later;
