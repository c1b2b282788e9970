-- The examples of README.md, in their order, and what lies between them.
-- test/t/006_readme.pl compares the two.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE ROLE regress_airun_app NOLOGIN;
\set QUIET off

-- The first conversation
-- What a model costs, for a million tokens
SELECT airun_set_price('gpt-4o', '{"input": 2.50, "cache_read": 1.25, "output": 10}',
    per_tokens => 1000000, effective_from => '2024-10-01') IS NOT NULL AS known;

SET airun.user_id = 'alice@example.com';	-- who is calling

SELECT id AS run_id FROM airun_create_run('chat', settings => '{"model": "gpt-4o"}') \gset

SELECT seq, role FROM airun_append_message(:'run_id',
    '{"role": "user", "content": "Which moons does Mars have? Be brief."}');

SELECT task_id FROM airun_create_task(:'run_id', provider => 'openai', model_id => 'gpt-4o') \gset

SELECT status, response_length FROM airun_update_task(:'task_id', 'Mars has two');
SELECT status, response_length FROM airun_update_task(:'task_id', 'Mars has two moons: Phobos');

SELECT status, tokens_total, cost FROM airun_complete_task(:'task_id',
    'Mars has two moons: Phobos and Deimos.',
    usage => '{"prompt_tokens": 17, "completion_tokens": 11}');

SELECT seq, role FROM airun_append_message(:'run_id',
    '{"role": "assistant", "content": "Mars has two moons: Phobos and Deimos."}',
    task_id => :'task_id');

SELECT name, message_count, task_count, total_tokens, total_cost, status FROM airun_list_runs();

-- A turn in two calls
SELECT airun_start_turn(:'run_id', '{"role": "user", "content": "Who found them?"}',
    task_id => '019c0000-0000-7000-8000-000000000001', model_id => 'gpt-4o') -> 'task' ->> 'status' AS status;

-- The answer as it comes, and somebody who follows it
SELECT status, response_length FROM airun_stream_delta('019c0000-0000-7000-8000-000000000001', 'Asaph Hall', at => 0);
SELECT status, response_length FROM airun_stream_delta('019c0000-0000-7000-8000-000000000001', ', in 18', at => 10);

SELECT text, position, generation, status FROM airun_stream_read('019c0000-0000-7000-8000-000000000001',
    from_position => 10, max_wait => '5 s');

SELECT airun_finish_turn('019c0000-0000-7000-8000-000000000001',
    '{"role": "assistant", "content": "Asaph Hall, in 1877."}',
    usage => '{"prompt_tokens": 42, "completion_tokens": 9}') -> 'run' ->> 'total_cost' AS total_cost;

-- sent again, after a lost connection: the same turn, nothing doubled
SELECT airun_finish_turn('019c0000-0000-7000-8000-000000000001',
    '{"role": "assistant", "content": "Asaph Hall, in 1877."}',
    usage => '{"prompt_tokens": 42, "completion_tokens": 9}') -> 'run' ->> 'total_cost' AS total_cost;

-- Loading
SELECT jsonb_array_length(airun_messages(:'run_id')::jsonb) AS all,
    airun_messages(:'run_id', max_messages => 1, from_end => true)::jsonb -> 0 ->> 'content' AS last;

SELECT jsonb_object_keys(airun_get_run(:'run_id')::jsonb - 'settings') AS key ORDER BY key LIMIT 4;

-- Over HTTP: the call as PostgREST makes it
SELECT airun_grant('regress_airun_app');
BEGIN;
SET LOCAL ROLE regress_airun_app;
SET LOCAL request.jwt.claims = '{"sub": "auth0|5f7c8ec7c33c6c004bbafe82", "role": "regress_airun_app"}';
SELECT name, message_count FROM airun_list_runs();
SELECT airun_start_turn(messages => '{"role": "user", "content": "Hello!"}', run => '{"source_type": "chat"}')
    -> 'run' ->> 'name' AS name;
COMMIT;
BEGIN;
SET LOCAL ROLE regress_airun_app;
SET LOCAL request.jwt.claims = '{"role": "regress_airun_app"}';
SELECT * FROM airun_create_run();
ROLLBACK;

-- Does everything hold?
SELECT * FROM airun_check();

-- Clean up
\set QUIET on
DELETE FROM airun.prices;
DELETE FROM airun.runs WHERE user_id IN (airun_user_uuid('alice@example.com'),
    airun_user_uuid('auth0|5f7c8ec7c33c6c004bbafe82'));
DROP OWNED BY regress_airun_app;
DROP ROLE regress_airun_app;
