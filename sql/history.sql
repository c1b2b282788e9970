-- The examples of doc/history.md, in their order, and what lies between them.
-- test/t/006_readme.pl compares the two.
\set QUIET on
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
\set QUIET off

-- A conversation
SET airun.user_id = 'erin@example.com';

SELECT id AS run_id FROM airun_create_run('chat', settings => '{"model": "gpt-4o"}') \gset

SELECT airun_start_turn(:'run_id', '{"id": "q1", "role": "user", "content": "Name a river in Spain."}',
    task_id => '019c0000-0000-7000-8000-0000000000e1', model_id => 'gpt-4o',
    request_data => '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Name a river in Spain."}]}')
    -> 'task' ->> 'status' AS status;

SELECT airun_finish_turn('019c0000-0000-7000-8000-0000000000e1',
    '{"id": "a1", "role": "assistant", "content": "The Ebro."}') -> 'run' ->> 'message_count' AS messages;

-- Edit
SELECT seq, message ->> 'content' AS content FROM airun_edit_message(:'run_id', 2,
    '{"id": "a1", "role": "assistant", "content": "The Ebro, 930 km."}');

SELECT seq, version, action, message ->> 'content' AS content FROM airun_message_versions(:'run_id', 2);

SELECT response_text, request_data #>> '{messages,0,content}' AS asked
FROM ai_tasks WHERE task_id = '019c0000-0000-7000-8000-0000000000e1';

-- Regenerate
SELECT id AS second FROM airun_fork_run(:'run_id', at_seq => 1, listed => false) \gset

SELECT airun_start_turn(:'second', task_id => '019c0000-0000-7000-8000-0000000000e2', model_id => 'gpt-4o')
    -> 'task' ->> 'status' AS status;

SELECT airun_finish_turn('019c0000-0000-7000-8000-0000000000e2',
    '{"role": "assistant", "content": "The Tagus."}') -> 'run' ->> 'message_count' AS messages;

SELECT seq, number, count, is_shown FROM airun_run_forks(:'second');

SELECT is_listed FROM airun_update_run(:'second', is_listed => true);
SELECT is_listed FROM airun_update_run(:'run_id', is_listed => false);

SELECT name, message_count, forked_at_seq FROM airun_list_runs();

-- Branch
SELECT name, message_count, task_count, total_cost FROM airun_fork_run(:'run_id', name => 'Rivers, in verse');

SELECT name, is_listed FROM airun_list_runs(listed => NULL) ORDER BY name, is_listed;

-- Take back
SELECT message_count FROM airun_truncate_messages(:'run_id', after_seq => 1);

SELECT seq, version, action FROM airun_message_versions(:'run_id', 2);

-- Continue
SELECT seq FROM airun_append_message(:'second', '{"role": "user", "content": "And in Portugal?"}');

SELECT message FROM airun_context(:'second', max_tokens => 4000, for_provider => 'anthropic') AS c,
    json_array_elements(c -> 'messages') AS message;

SELECT c ->> 'first_seq' AS first_seq, c ->> 'tokens' AS tokens, c #>> '{left_out,messages}' AS left_out,
    c #>> '{left_out,reason}' AS reason
FROM airun_context(:'second', max_tokens => 12) AS c;

-- Find
SELECT run_name, seq, role, snippet FROM airun_search('tagus');

SELECT run_name, seq, snippet FROM airun_search('"river in spain" -tagus', sort => 'newest');

SELECT count(*) FROM airun_search('ebro', run_id => :'run_id');

-- Bring in
SELECT name, message_count, problem FROM airun_import('[
    {"uuid": "5b1c", "name": "Bridges", "chat_messages": [
        {"uuid": "m1", "sender": "human", "text": "The longest bridge?", "created_at": "2024-05-01T09:00:00Z"},
        {"uuid": "m2", "sender": "assistant", "text": "In Danyang.", "created_at": "2024-05-01T09:00:04Z", "parent_message_uuid": "m1"}]},
    {"uuid": "77aa", "chat": 7}]');

SELECT name, message_count, to_char(last_message_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS last_message_at
FROM airun_list_runs() WHERE name = 'Bridges';

CREATE TEMP TABLE old_runs (id uuid, user_id uuid, name text, messages jsonb, status text, created_at timestamptz);
CREATE TEMP TABLE old_tasks (id uuid, run_id uuid, model text, status text, tokens_input integer, tokens_output integer, created_at timestamptz);
INSERT INTO old_runs VALUES ('019c0000-0000-7000-8000-0000000000f1', airun_user_id(), 'Tunnels',
    '[{"role": "user", "content": "The longest tunnel?"}, {"role": "assistant", "content": "The Gotthard."}]', 'completed', '2024-06-01 10:00Z');
INSERT INTO old_tasks VALUES ('019c0000-0000-7000-8000-0000000000f2', '019c0000-0000-7000-8000-0000000000f1', 'claude-2', 'completed', 12, 5, '2024-06-01 10:00Z');

SELECT * FROM airun_import_tables('old_runs', 'old_tasks');

-- Take out
SELECT airun_export('019c0000-0000-7000-8000-0000000000f1', 'anthropic');

SELECT attribute ->> 'key' AS attribute, attribute -> 'value' AS value FROM jsonb_path_query(
    airun_export('019c0000-0000-7000-8000-0000000000f1', 'otel')::jsonb, '$.resourceSpans.scopeSpans.spans.attributes[*]') AS attribute
WHERE attribute ->> 'key' NOT LIKE '%messages';

\set QUIET on
DELETE FROM airun.runs WHERE user_id = airun_user_uuid('erin@example.com');
SELECT * FROM airun_check();
RESET airun.user_id;
RESET client_min_messages;
