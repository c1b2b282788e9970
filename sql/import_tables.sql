--
-- An application's own tables, brought in: columns and types as the original has them
-- (facts/systems-and-demand.md 1.1), its words for states (1.2), and tables of others.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
BEGIN;
CREATE SCHEMA tables_test;
SET search_path = tables_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8071';
SET client_encoding = 'UTF8';
SET timezone = 'UTC';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

CREATE TABLE ai_runs (id uuid, user_id uuid, source_type text NOT NULL, source_id text, name text, description text, tags text[],
	messages jsonb, settings jsonb, variable_values jsonb, broker_values jsonb, metadata jsonb, status text, is_starred boolean,
	is_public boolean, organization_id uuid, total_tokens integer, total_cost numeric, message_count integer, task_count integer,
	created_at timestamptz, updated_at timestamptz, last_message_at timestamptz);
CREATE TABLE ai_tasks (id uuid, run_id uuid, user_id uuid, task_id uuid, service text, task_name text, provider text, endpoint text,
	model text, model_id text, request_data jsonb, response_text text, response_data jsonb, response_info jsonb, response_errors jsonb,
	response_complete boolean, tokens_input integer, tokens_output integer, tokens_total integer, cost numeric,
	time_to_first_token integer, total_time integer, status text, created_at timestamptz, updated_at timestamptz, completed_at timestamptz);

INSERT INTO ai_runs (id, user_id, source_type, source_id, name, tags, messages, settings, broker_values, metadata, status, is_starred,
	total_tokens, message_count, created_at, updated_at) VALUES
	(run_id(1), run_id(90), 'prompts', run_id(91)::text, 'First', '{a,b}',
	 '[{"role": "user", "content": "Hello", "id": "m1", "timestamp": "2024-03-01T10:00:05.000Z"},
	   {"role": "assistant", "content": "Hi", "id": "m1", "timestamp": 1709287210000},
	   {"role": "user", "content": "back in time", "timestamp": "2024-03-01T09:00:00Z"},
	   {"role": "assistant", "content": "no time", "timestamp": "soon"},
	   {"role": "user", "content": "none at all"}]',
	 '{"t": 1}', '{"b": 2}', '{"k": 3}', 'completed', true, 999, 999, '2024-03-01 10:00', '2024-03-05 12:00'),
	(run_id(2), run_id(90), 'chat', 'no-uuid', NULL, NULL, '[{"role": "user", "content": "What shall we have for dinner?"}]',
	 NULL, NULL, NULL, 'archived', NULL, 0, 0, '2024-04-01 10:00', '2024-04-01 10:00'),
	(run_id(3), NULL, 'chat', NULL, 'Gone', NULL, NULL, NULL, NULL, NULL, 'deleted', NULL, 0, 0, '2024-04-02 10:00', '2024-04-03 10:00'),
	(run_id(4), run_id(90), 'chat', NULL, 'A bad message', NULL, '[{"role": "user", "content": "x"}, {"role": "nobody", "content": "x"}]',
	 NULL, NULL, NULL, 'active', NULL, 0, 0, '2024-04-04 10:00', NULL),
	(run_id(5), run_id(90), 'chat', NULL, 'A bad status', NULL, '[]', NULL, NULL, NULL, 'asleep', NULL, 0, 0, '2024-04-04 10:00', NULL),
	(run_id(6), run_id(90), 'chat', NULL, 'No array', NULL, '7', NULL, NULL, NULL, 'active', NULL, 0, 0, '2024-04-04 10:00', NULL),
	(run_id(7), run_id(90), 'chat', NULL, 'No time', NULL, '[]', NULL, NULL, NULL, 'active', NULL, 0, 0, 'infinity', NULL),
	(run_id(8), run_id(90), 'chat', NULL, 'Failed', NULL, '"[{\"role\": \"user\", \"content\": \"in a string\"}]"',
	 NULL, NULL, NULL, 'error', NULL, 0, 0, '2024-04-05 10:00', '2024-04-05 10:00'),
	(NULL, run_id(90), 'chat', NULL, 'No id', NULL, '[]', NULL, NULL, NULL, 'active', NULL, 0, 0, '2024-04-04 10:00', NULL);
INSERT INTO ai_tasks (id, run_id, user_id, task_id, service, model, model_id, response_text, response_info, response_errors,
	tokens_input, tokens_output, tokens_total, cost, total_time, status, created_at, updated_at, completed_at) VALUES
	(run_id(21), run_id(1), run_id(90), run_id(31), 'chat_service', 'A model', 'm-1', 'Hi', '{"i": 1}', NULL, 10, 5, 15, 0.5, 1200, 'completed',
	 '2024-03-01 10:00:05', '2024-03-01 10:00:11', '2024-03-01 10:00:10'),
	(run_id(22), run_id(1), run_id(90), run_id(32), 'chat_service', NULL, 'm-1', NULL, NULL, '{"message": "no"}', NULL, NULL, NULL, NULL, NULL, 'failed',
	 '2024-03-01 10:01', '2024-03-01 10:02', NULL),
	(run_id(23), run_id(1), run_id(90), run_id(33), 'chat_service', NULL, 'm-1', 'half', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'streaming',
	 '2024-03-01 10:03', NULL, NULL),
	(run_id(24), run_id(2), run_id(90), run_id(34), 'chat_service', NULL, 'm-1', NULL, NULL, NULL, 1, 2, NULL, NULL, NULL, 'lost',
	 '2024-03-01 10:03', NULL, NULL),
	(run_id(25), run_id(2), run_id(90), run_id(35), 'chat_service', NULL, 'm-1', NULL, NULL, NULL, 3, 4, NULL, NULL, NULL, 'completed',
	 '2024-03-01 10:03', NULL, NULL);

--
-- all of it in one call: what cannot be is told, and the others come in
SELECT run_count, message_count, task_count, runs_left FROM airun_import_tables('ai_runs', 'ai_tasks');
SELECT p ->> 'code', right(COALESCE(p ->> 'run_id', p ->> 'task_id'), 2), p ->> 'problem'
FROM airun_import_tables('ai_runs', 'ai_tasks'), jsonb_array_elements(problems) p ORDER BY 1, 2;
SELECT right(id::text, 2), right(user_id::text, 2), source_type, right(source_id::text, 2), name, tags, settings, metadata, status, is_starred, is_archived
FROM airun.runs WHERE id BETWEEN run_id(1) AND run_id(9) ORDER BY id;
SELECT right(id::text, 2), message_count, task_count, total_tokens, created_at, last_message_at, updated_at, active_hour, deleted_at
FROM airun.runs WHERE id BETWEEN run_id(1) AND run_id(9) ORDER BY id;
SELECT right(run_id::text, 2), seq, created_at, message_id, message FROM airun.messages WHERE run_id BETWEEN run_id(1) AND run_id(9) ORDER BY 1, 2;
SELECT right(task_id::text, 2), status, response_text, error, tokens_input, tokens_output, tokens_total, cost, client_cost, price_status, total_time, metadata
FROM airun.tasks WHERE run_id BETWEEN run_id(1) AND run_id(9) ORDER BY 1;
SELECT right(task_id::text, 2), created_at, updated_at, completed_at
FROM airun.tasks WHERE run_id BETWEEN run_id(1) AND run_id(9) AND completed_at IS NOT NULL ORDER BY 1;
SELECT string_agg(chunk, '' ORDER BY chars) FROM airun.task_chunks WHERE task_id = run_id(33);
-- what the tasks used is of their day
SELECT DISTINCT at::date FROM airun.usage_tail WHERE charge_id IN (run_id(31), run_id(35));
SELECT * FROM airun_check();

--
-- again: nothing comes twice, and what has been mended comes in, tasks of runs that are there included
UPDATE ai_runs SET messages = '[]', status = 'active' WHERE id IN (run_id(4), run_id(5), run_id(6));
UPDATE ai_runs SET created_at = '2024-04-04 10:00' WHERE id = run_id(7);
UPDATE ai_tasks SET status = 'cancelled' WHERE task_id = run_id(34);
DELETE FROM ai_runs WHERE id IS NULL;
SELECT * FROM airun_import_tables('ai_runs', 'ai_tasks');
SELECT * FROM airun_import_tables('ai_runs', 'ai_tasks');
SELECT right(id::text, 2), task_count, total_tokens, status FROM airun.runs WHERE id = run_id(2);
SELECT * FROM airun_check();

--
-- a part a call; tables that are named otherwise, with JSON as text, by a mapping
CREATE TABLE "Chat s" AS
SELECT run_id(100 + i) AS chat, 'Chat ' || i AS title, format('[{"role": "user", "content": "%s"}]', i) AS history, '["x", "y"]'::json AS tags,
	'2023-01-01'::timestamp + i * interval '1 day' AS began FROM generate_series(1, 1203) i;
SELECT run_count, message_count, task_count, runs_left, problems FROM airun_import_tables('"Chat s"', mapping => '{"runs": {"id": "chat", "messages": "history", "created_at": "began", "description": null}}', max_runs => 600);
SELECT run_count, message_count, task_count, runs_left, problems FROM airun_import_tables('"Chat s"', mapping => '{"runs": {"id": "chat", "messages": "history", "created_at": "began"}}', max_runs => 600);
SELECT run_count, message_count, task_count, runs_left, problems FROM airun_import_tables('"Chat s"', mapping => '{"runs": {"id": "chat", "messages": "history", "created_at": "began"}}', max_runs => 600);
SELECT run_count, message_count, task_count, runs_left, problems FROM airun_import_tables('"Chat s"', mapping => '{"runs": {"id": "chat", "messages": "history", "created_at": "began"}}', max_runs => 600);
SELECT name, tags, message_count, created_at, last_message_at FROM airun.runs WHERE id = run_id(1303);
SELECT * FROM airun_check();

--
-- times of messages are read as airun_import() reads them (sql/import.sql), whatever the session's zone is
CREATE TABLE times AS SELECT run_id(60) AS id, '2024-01-01 00:00Z'::timestamptz AS created_at, jsonb_build_array(
	jsonb_build_object('role', 'user', 'content', 'offset', 'timestamp', 'Wed, 01 May 2024 09:00:00 +0530'), jsonb_build_object('role', 'user', 'content', 'no zone', 'timestamp', '2024-05-01T09:00:00'),
	jsonb_build_object('role', 'user', 'content', 'microseconds', 'timestamp', 1714554001000000), jsonb_build_object('role', 'user', 'content', 'MongoDB', 'createdAt', '{"$date": {"$numberLong": "1714554002000"}}'::jsonb),
	jsonb_build_object('role', 'user', 'content', 'GMT+0530', 'timestamp', 'Wed May 01 2024 14:30:03 GMT+0530 (India Standard Time)'), jsonb_build_object('role', 'user', 'content', 'no time', 'timestamp', 'today')) AS messages;
SET timezone = 'Asia/Kolkata';
SELECT message_count, problems FROM airun_import_tables('times');
SET timezone = 'UTC';
SELECT created_at, message ->> 'content' FROM airun.messages WHERE run_id = run_id(60) ORDER BY seq;

-- figures that are none, in columns of any type, are kept beside, and keep no task out
CREATE TABLE odd_tasks AS SELECT run_id(60 + n) AS task_id, run_id(60) AS run_id, 'completed' AS status, input AS tokens_input, output AS tokens_output, cost, time AS total_time
FROM (VALUES (1, '12', 5.0::numeric, '"0.5"'::jsonb, 100::float8), (2, '12.5', 5.5, '"$0.5"', 'NaN'), (3, ' 7.0 ', -5, '[1]', 1e20), (4, NULL, NULL, NULL, NULL), (5, '1' || repeat('0', 30), 1e30, '0.25', '-Infinity'))
	AS v (n, input, output, cost, time);
SELECT task_count, problems FROM airun_import_tables('times', 'odd_tasks');
SELECT right(task_id::text, 2), tokens_input, tokens_output, client_cost, total_time, metadata, cost_details -> 'left_out' FROM airun.tasks WHERE run_id = run_id(60) ORDER BY 1;
SELECT * FROM airun_check();

--
-- tasks whose time nobody tells count in no budget, as those of former times
SELECT airun_set_budget('tables', 10, measure => 'calls', period => 'none', count_from => 'now') > 0 AS is_set;
CREATE TABLE timeless AS SELECT run_id(90) AS id, '[{"role": "user", "content": "x"}]'::jsonb AS messages;
CREATE TABLE timeless_tasks AS SELECT run_id(90 + n) AS task_id, run_id(90) AS run_id, status FROM (VALUES (1, 'completed'), (2, 'pending')) AS v (n, status);
SELECT run_count, task_count, problems FROM airun_import_tables('timeless', 'timeless_tasks');
SELECT t.status, t.holds, t.created_at >= r.created_at AS is_in_run, t.updated_at >= t.created_at AND COALESCE(t.completed_at >= t.created_at, true) AS is_in_order
FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id WHERE t.run_id = run_id(90) ORDER BY 1;
SELECT sum(p.spent), sum(p.held), sum(p.estimated) FROM airun.budget_periods AS p;
SELECT airun_set_budget('tables', NULL) > 0 AS is_ended;
SELECT * FROM airun_check() UNION ALL SELECT * FROM airun_check_budgets();

--
-- what is refused
SELECT helpers.answer(c) FROM unnest(ARRAY[
	'SELECT airun_import_tables(NULL)', 'SELECT airun_import_tables(''ai_runs'', max_runs => 0)', 'SELECT airun_import_tables(''ai_runs'', max_runs => NULL)',
	'SELECT airun_import_tables(''no_such_table'')',
	'SELECT airun_import_tables(''ai_runs'', mapping => ''[]'')', 'SELECT airun_import_tables(''ai_runs'', mapping => ''{"run": {}}'')',
	'SELECT airun_import_tables(''ai_runs'', mapping => ''{"runs": 1}'')',
	'SELECT airun_import_tables(''ai_runs'', mapping => ''{"runs": {"total_cost": "x"}}'')',
	'SELECT airun_import_tables(''ai_runs'', mapping => ''{"runs": {"name": 1}}'')',
	'SELECT airun_import_tables(''ai_runs'', mapping => ''{"runs": {"name": "no such"}}'')',
	'SELECT airun_import_tables(''ai_tasks'')', 'SELECT airun_import_tables(''ai_runs'', mapping => ''{"runs": {"id": "name"}}'')',
	'SELECT airun_import_tables(''ai_runs'', ''"Chat s"'')']) c;
-- for the owner alone, whatever has been granted
CREATE ROLE regress_airun_tables;
DO $$BEGIN PERFORM airun_grant('regress_airun_tables'); END$$;
GRANT USAGE ON SCHEMA tables_test, helpers TO regress_airun_tables;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public, helpers TO regress_airun_tables;
SET LOCAL ROLE regress_airun_tables;
SET LOCAL airun.user_id = 'tables test';
SELECT helpers.attempt(c) FROM unnest(ARRAY[
	'SELECT airun_import_tables(''ai_runs'')', 'SELECT airun_store_import_messages(''{}'', ''{}'', ''{}'')',
	'SELECT airun_store_import_states(''{}'', ''{}'', ''{}'', ''{}'')']) c;
-- who row security binds sets no time
SELECT (airun_create_run(id => run_id(80))).message_count;
SELECT helpers.attempt(format('INSERT INTO airun.tasks (run_id, %s) VALUES (%L, ''2001-01-01'')', c, run_id(80))) FROM unnest(ARRAY['created_at', 'updated_at']) c;
RESET ROLE;
-- the owner may, but for what is no time
SELECT helpers.attempt(format('INSERT INTO airun.tasks (run_id, updated_at) VALUES (%L, %L) RETURNING updated_at', run_id(80), t)) FROM unnest(ARRAY['2001-01-01', 'infinity']) t;
SELECT * FROM airun_check();
ROLLBACK;
