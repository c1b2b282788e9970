-- The examples of doc/reference.md, in their order.
-- test/t/006_readme.pl compares the two.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET airun.trust_client_cost = off;
DO $$BEGIN PERFORM airun_install(); END$$;

-- What drivers send
BEGIN;
SELECT set_config('airun.user_id', 'bob@example.com', true) AS caller;
SELECT airun_user_id() = airun_user_uuid('bob@example.com') AS is_bob;
COMMIT;

-- The examples
SET airun.user_id = 'bob@example.com';

SELECT airun_set_price('gpt-4o', '{"input": 2.50, "cache_read": 1.25, "output": 10}',
    per_tokens => 1000000, effective_from => '2024-10-01') IS NOT NULL AS known;

-- airun_create_run
SELECT id, name, status, message_count FROM airun_create_run('chat', name => 'Ferry times',
    tags => '{travel}', id => '019c0000-0000-7000-8000-0000000000a1');

-- airun_get_run
SELECT run ->> 'name' AS name, run -> 'messages' AS messages, run -> 'first_seq' AS first_seq, run -> 'tasks' AS tasks
FROM airun_get_run('019c0000-0000-7000-8000-0000000000a1') AS run;

-- airun_list_runs
SELECT name, tags, status FROM airun_list_runs(search => 'ferry', page_size => 10);

-- airun_search
SELECT seq, role, snippet FROM airun_search('ferr -car', page_size => 10);

-- airun_update_run
SELECT name, tags FROM airun_update_run('019c0000-0000-7000-8000-0000000000a1', tags => '{travel,ferry}');

-- airun_star_run
SELECT is_starred FROM airun_star_run('019c0000-0000-7000-8000-0000000000a1');

-- airun_toggle_star
SELECT is_starred FROM airun_toggle_star('019c0000-0000-7000-8000-0000000000a1');

-- airun_archive_run
SELECT is_archived FROM airun_archive_run('019c0000-0000-7000-8000-0000000000a1', archived => false);

-- airun_set_run_status
SELECT status FROM airun_set_run_status('019c0000-0000-7000-8000-0000000000a1', 'completed');
SELECT airun_append_message('019c0000-0000-7000-8000-0000000000a1', '{"role": "user", "content": "One more?"}');
SELECT status FROM airun_set_run_status('019c0000-0000-7000-8000-0000000000a1', 'active');

-- airun_delete_run
SELECT airun_delete_run('019c0000-0000-7000-8000-0000000000a1') AS deleted;

-- airun_restore_run
SELECT airun_restore_run('019c0000-0000-7000-8000-0000000000a1') AS restored;

-- airun_purge_runs
SELECT airun_purge_runs(now() - interval '30 days') AS purged;

-- airun_append_message
SELECT seq, message_id, role FROM airun_append_message('019c0000-0000-7000-8000-0000000000a1',
    '{"role": "user", "content": "When does the first ferry leave?"}', message_id => 'm1');
SELECT seq, message_id, role FROM airun_append_message('019c0000-0000-7000-8000-0000000000a1',
    '{"role": "user", "content": "When does the first ferry leave?"}', message_id => 'm1');
SELECT airun_append_message('019c0000-0000-7000-8000-0000000000a1',
    '{"role": "user", "content": "And the last?"}', message_id => 'm1');
SELECT airun_append_message('019c0000-0000-7000-8000-0000000000a1', '{"content": "Who speaks?"}');

-- airun_append_messages
SELECT seq, role FROM airun_append_messages('019c0000-0000-7000-8000-0000000000a1',
    '[{"role": "assistant", "content": "At 6:15."}, {"role": "user", "content": "Thank you."}]');

-- airun_save_message
SELECT seq, message ->> 'content' AS content FROM airun_save_message('019c0000-0000-7000-8000-0000000000a1',
    '{"id": "m1", "role": "user", "content": "When does the first ferry leave on Sunday?"}');

-- airun_save_messages
SELECT seq, message_id FROM airun_save_messages('019c0000-0000-7000-8000-0000000000a1',
    '[{"id": "m1", "role": "user", "content": "When does the first ferry leave on Sunday?"},
    {"id": "m4", "role": "user", "content": "And the next?"}]');

-- airun_truncate_messages
SELECT message_count FROM airun_truncate_messages('019c0000-0000-7000-8000-0000000000a1', after_seq => 3);

-- airun_message_versions
SELECT seq, version, message_id, message ->> 'content' AS content, action
FROM airun_message_versions('019c0000-0000-7000-8000-0000000000a1');

-- airun_edit_message
SELECT seq, message ->> 'content' AS content FROM airun_edit_message('019c0000-0000-7000-8000-0000000000a1', 1,
    '{"role": "user", "content": "When does the last ferry leave?"}');

-- airun_fork_run
SELECT name, message_count, forked_at_seq, task_count FROM airun_fork_run('019c0000-0000-7000-8000-0000000000a1', 1,
    name => 'Ferries, again', listed => false);

-- airun_run_forks
SELECT seq, number, count, name, is_shown FROM airun_run_forks('019c0000-0000-7000-8000-0000000000a1');

-- airun_messages
SELECT message ->> 'content' AS content
FROM json_array_elements(airun_messages('019c0000-0000-7000-8000-0000000000a1', after_seq => 1)) AS message;

-- airun_message_text
SELECT airun_message_text('{"role": "assistant", "content": [{"type": "thinking", "text": "Hm."},
    {"type": "text", "text": "At 6:15."}]}');

-- airun_start_turn
SELECT turn -> 'run' ->> 'name' AS name, turn -> 'messages' -> 0 ->> 'seq' AS seq, turn -> 'task' ->> 'status' AS status
FROM airun_start_turn(messages => '{"role": "user", "content": "Which island is next? I have a day."}',
    task_id => '019c0000-0000-7000-8000-0000000000b1', provider => 'openai', model_id => 'gpt-4o',
    run => '{"id": "019c0000-0000-7000-8000-0000000000a2", "source_type": "chat"}') AS turn;

-- airun_finish_turn
SELECT turn -> 'messages' -> 0 ->> 'seq' AS seq, turn -> 'task' ->> 'status' AS status, turn -> 'run' ->> 'total_cost' AS total_cost
FROM airun_finish_turn('019c0000-0000-7000-8000-0000000000b1', response_text => 'Vis, in two hours and twenty minutes.',
    usage => '{"prompt_tokens": 30, "completion_tokens": 10}') AS turn;

-- airun_create_task
SELECT status, provider, model_id FROM airun_create_task('019c0000-0000-7000-8000-0000000000a2',
    '019c0000-0000-7000-8000-0000000000b2', provider => 'openai', model_id => 'gpt-4o', timeout => '2 min');

-- airun_complete_task
SELECT status, tokens_total, cost, price_status FROM airun_complete_task('019c0000-0000-7000-8000-0000000000b2',
    'Take the catamaran.', usage => '{"prompt_tokens": 60, "completion_tokens": 5, "total_tokens": 65}',
    cost => 0.0003, finish_reason => 'stop');
SELECT airun_complete_task('019c0000-0000-7000-8000-0000000000b2', 'Take the car ferry.');

-- airun_fail_task
SELECT task_id FROM airun_create_task('019c0000-0000-7000-8000-0000000000a2', model_id => 'gpt-4o') \gset

SELECT status, error, price_status FROM airun_fail_task(:'task_id', error => '{"code": "overloaded", "http": 529}');

-- airun_cancel_task
SELECT task_id FROM airun_create_task('019c0000-0000-7000-8000-0000000000a2', model_id => 'gpt-4o') \gset

SELECT status, response_length FROM airun_cancel_task(:'task_id', 'Another way is', tokens_output => 4);

-- airun_request
SELECT airun_request('{"model": "gpt-4o", "messages": []}',
    '{"key": "messages", "at": 0, "from": 1, "count": 1, "keys": ["role", "content"]}',
    '[{"role": "user", "content": "Hello", "timestamp": "2026-01-01T00:00:00Z"}]');

-- airun_update_task
SELECT status FROM airun_create_task('019c0000-0000-7000-8000-0000000000a2', '019c0000-0000-7000-8000-0000000000b3',
    model_id => 'gpt-4o');

SELECT status, response_length FROM airun_update_task('019c0000-0000-7000-8000-0000000000b3', 'Bring');
SELECT status, response_length FROM airun_update_task('019c0000-0000-7000-8000-0000000000b3', 'Bring a hat');
SELECT status, response_length FROM airun_update_task('019c0000-0000-7000-8000-0000000000b3', 'Bring');

-- airun_stream_delta
SELECT response_length FROM airun_stream_delta('019c0000-0000-7000-8000-0000000000b3', ' and water', at => 11);
SELECT airun_stream_delta('019c0000-0000-7000-8000-0000000000b3', ' too', at => 30);

-- airun_stream_read
SELECT * FROM airun_stream_read('019c0000-0000-7000-8000-0000000000b3', from_position => 6, generation => 0);

-- airun_heartbeat_task
SELECT status FROM airun_heartbeat_task('019c0000-0000-7000-8000-0000000000b3');

-- airun_expire_tasks
SELECT airun_expire_tasks() AS expired;

-- airun_is_overdue
SELECT airun_is_overdue('streaming', now() - interval '5 min', '2 min') AS a,
    airun_is_overdue('streaming', now() - interval '5 min', NULL) AS b;

-- airun_meter
SELECT status, tokens_total, price_status
FROM airun_meter('019c0000-0000-7000-8000-0000000000c1', service => 'titles', model_id => 'tiny-1',
    usage => '{"prompt_tokens": 90, "completion_tokens": 10}');

-- airun_start_call
SELECT status FROM airun_start_call('019c0000-0000-7000-8000-0000000000c2', kind => 'tool', task_name => 'web_search');

-- airun_end_call
SELECT status, cost, price_status FROM airun_end_call('019c0000-0000-7000-8000-0000000000c2', cost => 0.005);

-- airun_expire_calls
SELECT airun_expire_calls() AS expired;

-- airun_normalize_usage
SELECT * FROM jsonb_each(airun_normalize_usage('{"input_tokens": 50, "cache_read_input_tokens": 1000,
    "cache_creation_input_tokens": 200, "output_tokens": 30}'));
SELECT airun_normalize_usage('{"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 90}}') AS doubtful;

-- airun_cost
SELECT airun_cost('gpt-4o', '{"prompt_tokens": 1000, "completion_tokens": 20}') AS cost,
    airun_cost('openai/gpt-4o-2024-11-20', '{"prompt_tokens": 1000, "completion_tokens": 20}') AS dated,
    airun_cost('gpt-9', '{"prompt_tokens": 1000}') AS unknown;

-- airun_cost_details
SELECT details - 'buckets' - 'price_id' AS details, details -> 'buckets' -> 'output' AS output
FROM airun_cost_details('gpt-4o', '{"prompt_tokens": 1000, "completion_tokens": 20}') AS details;
SELECT airun_cost_details('gpt-9', '{"prompt_tokens": 1000}') AS details;
-- airun_usage
SELECT kind, model_id, calls, tokens_input, tokens_output, cost, answered_by
FROM airun_usage('-infinity', 'infinity', 'all', group_by => '{kind,model_id}', model_id => 'tiny-1');
SELECT * FROM airun_usage('2026-01-01', '2026-02-01', 'fortnight');

-- airun_usage_page
SELECT airun_usage_page('2020-01-01', '2020-01-31', 'UTC') LIKE '<!DOCTYPE html>%' AS is_a_page;

-- airun_set_price
SELECT airun_set_price('ferry-1', '{"input": 3, "output": 15}', per_tokens => 1000000,
    effective_from => '2025-01-01', aliases => '{ferry-latest}',
    context_tiers => '[{"above": 200000, "rates": {"input": 6}}]') IS NOT NULL AS known;

SELECT airun_cost('ferry-latest', '{"prompt_tokens": 300000, "completion_tokens": 1000}') AS cost;
SELECT airun_set_price('ferry-1', '{"inptu": 3}');

-- airun_import_prices
SELECT provider, model, action, reason FROM airun_import_prices('{"oar-2": {"litellm_provider": "oar", "mode": "chat",
    "input_cost_per_token": 0.000001, "output_cost_per_token": 0.000004}}', effective_from => '2025-01-01');

-- airun_reprice
SELECT status FROM airun_create_task('019c0000-0000-7000-8000-0000000000a2', '019c0000-0000-7000-8000-0000000000b4',
    model_id => 'sail-1');
SELECT price_status, cost FROM airun_complete_task('019c0000-0000-7000-8000-0000000000b4', 'Wait for wind.',
    usage => '{"prompt_tokens": 1000, "completion_tokens": 100}');
SELECT model_id, tasks, tokens FROM ai_unpriced_models WHERE model_id = 'sail-1';
SELECT airun_set_price('sail-1', '{"input": 1, "output": 4}', per_tokens => 1000000,
    effective_from => '2025-01-01') IS NOT NULL AS known;
SELECT * FROM airun_reprice(model_id => 'sail-1');

-- airun_export
SELECT airun_export('019c0000-0000-7000-8000-0000000000a2', 'openai');

-- airun_context
SELECT airun_context('019c0000-0000-7000-8000-0000000000a2', max_tokens => 1000, for_provider => 'anthropic');

-- airun_export_user
SELECT line ->> 'kind' AS kind, count(*) FROM airun_export_user() AS line GROUP BY kind ORDER BY kind;

-- airun_import
SELECT position, name, message_count, fork_count, problem FROM airun_import('[{"uuid": "ferry", "name": "Ferries",
    "chat_messages": [{"uuid": "1", "sender": "human", "text": "Is there a night ferry?"},
        {"uuid": "2", "parent_message_uuid": "1", "sender": "assistant", "text": "No."},
        {"uuid": "3", "parent_message_uuid": "1", "sender": "assistant", "text": "Only in July."}]},
    {"title": "No conversation"}]');

-- airun_import_tables
CREATE TEMP TABLE chats AS SELECT '019c0000-0000-7000-8000-0000000000c1'::uuid AS id, 'Harbours' AS subject,
    '[{"role": "user", "content": "Which is the largest?", "timestamp": "2024-05-01T08:00:00Z"}]'::jsonb AS messages;
SELECT * FROM airun_import_tables('chats', mapping => '{"runs": {"name": "subject"}}');

-- airun_user_id
SELECT airun_user_id() = airun_user_uuid('bob@example.com') AS is_bob;

-- airun_user_uuid
SELECT airun_user_uuid('auth0|5f7c8ec7c33c6c004bbafe82');

-- airun_uuid
SELECT substr(airun_uuid()::text, 15, 1) AS version;

-- airun_bucket
SELECT airun_bucket('5d2f0c9e-1b7a-4c7e-9d0e-3f6a51e0c8b4');

-- airun_json
SELECT airun_json('{"role": "tool", "content": "zero: \u0000"}');

-- airun_call
SELECT airun_call('{"airun_update_run": {"run_id": "019c0000-0000-7000-8000-0000000000a1",
    "description": "zero: \u0000, half: \ud83d"}}') ->> 'description' AS description;

-- airun_install
SELECT airun_install();

-- airun_install_original
SELECT airun_install_original('original_app');

-- airun_grant
CREATE ROLE regress_airun_reader NOLOGIN;
SELECT airun_grant('regress_airun_reader');

-- airun_check
SELECT * FROM airun_check();

-- airun_partition
BEGIN;
SELECT airun_partition() ~ '^The store is partitioned' AS partitioned;

-- airun_add_partitions
SELECT airun_add_partitions(months_ahead => 4);

-- airun_drop_partitions
SELECT * FROM airun_drop_partitions(now() - interval '1 year');
ROLLBACK;

-- airun_install_shard
SELECT airun_install_shard('nobody');

-- airun_install_proxy
SELECT airun_install_proxy('{host=db1 dbname=app, host=db2 dbname=app}');

-- airun_shards
SELECT * FROM airun_shards();

-- airun_move_bucket
CALL airun_move_bucket(7, 1);

-- airun_spread_buckets
CALL airun_spread_buckets();

-- airun_set_budget
SELECT airun_set_budget('each user', 0.005, scope => 'user', period => 'day', zone => 'Europe/Berlin', unpriced => 'allow',
    count_from => 'now') > 0 AS is_set;
\set VERBOSITY terse
SELECT airun_start_call(model_id => 'sail-1');
\set VERBOSITY default

-- airun_credit_budget
SELECT airun_credit_budget('each user', 2, airun_user_uuid('bob@example.com')::text) AS added;

-- airun_budget_status
SELECT budget, measure, period, amount, trim_scale(spent) AS spent, held, is_exhausted FROM airun_budget_status();

-- airun_budget_check
SELECT budget, fits, needed, affordable_output_tokens FROM airun_budget_check('sail-1', request_data => '{"max_tokens": 100}');

-- airun_check_budgets
SELECT airun_set_budget('each user', NULL) > 0 AS has_ended;
SELECT * FROM airun_check_budgets();

-- airun_rollup
SELECT airun_rollup() > 0 AS folded;

-- airun_check_usage
SELECT * FROM airun_check_usage();

-- airun_rebuild_usage
SELECT airun_rebuild_usage();

-- airun_work
CALL airun_work(max_ms => 5000);

SELECT step, backlog, failures FROM airun.worker_status WHERE step = 'fold';

-- airun_prune
SELECT airun_prune() AS pruned;

-- airun_erase_user
SELECT is_done, runs, messages FROM airun_erase_user(airun_user_uuid('nobody@example.com'));

-- airun_array_agg
SELECT airun_array_agg(x) FROM (VALUES ('1'::jsonb), ('{"a": 2}'), (NULL)) AS v (x);

-- airun_array_in_order
SELECT airun_array_in_order(x, place) FROM (VALUES ('"b"'::jsonb, 2::bigint), ('"a"', 1)) AS v (x, place);

-- airun_sketch_agg
SELECT airun_sketch_quantile(airun_sketch_agg(bin, 1), 0.5) FROM unnest('{999,1001,1001}'::smallint[]) AS bin;

-- airun_sketch_sum
SELECT airun_sketch_sum(sketch) FROM (VALUES ('\x01930802'::bytea), ('\x01930804'), (NULL)) AS v (sketch);

-- airun_sketch_quantile
SELECT airun_sketch_quantile('\x01930806', 0.95);

-- ai_runs
INSERT INTO ai_runs (source_type, name) VALUES ('prompt', 'By plain SQL') RETURNING name, status, messages;
UPDATE ai_runs SET is_starred = true WHERE name = 'By plain SQL' RETURNING is_starred;
UPDATE ai_runs SET message_count = 7 WHERE name = 'By plain SQL';

-- ai_run_summaries
SELECT name, message_count, task_count, total_tokens, total_cost, status FROM ai_run_summaries
WHERE id = '019c0000-0000-7000-8000-0000000000a2';

-- ai_messages
INSERT INTO ai_messages (run_id, message)
VALUES ('019c0000-0000-7000-8000-0000000000a1', '{"role": "user", "content": "By plain SQL"}') RETURNING seq, role;
UPDATE ai_messages SET message = '{"role": "user", "content": "Otherwise"}'
WHERE run_id = '019c0000-0000-7000-8000-0000000000a1' AND seq = 4 RETURNING seq;
SELECT m.seq, t.status FROM ai_messages AS m, ai_tasks(m) AS t
WHERE m.run_id = '019c0000-0000-7000-8000-0000000000a2' ORDER BY m.seq;

-- ai_tasks
SELECT status, response_text, client_cost, price_status, is_overdue FROM ai_tasks
WHERE task_id = '019c0000-0000-7000-8000-0000000000b2';
UPDATE ai_tasks SET status = 'streaming' WHERE task_id = '019c0000-0000-7000-8000-0000000000b2';

-- ai_unpriced_models
SELECT count(*) AS models FROM ai_unpriced_models;

-- ai_calls
SELECT kind, status, count(*) FROM ai_calls WHERE service = 'titles' GROUP BY kind, status;

-- ai_usage_daily
SELECT kind, status, calls, tokens_total, cost FROM ai_usage_daily WHERE model_id = 'tiny-1';

-- ai_usage_by_user
SELECT kind, calls, tokens_total, cost FROM ai_usage_by_user WHERE model_id = 'tiny-1';

-- ai_usage_by_work
SELECT kind, service, calls, cost FROM ai_usage_by_work WHERE model_id = 'tiny-1';

-- ai_usage_clock
SELECT kind, sum(calls) AS calls, sum(cost) AS cost FROM ai_usage_clock WHERE model_id = 'tiny-1' GROUP BY kind;

-- ai_runs_summary
SELECT name, message_count, task_count, status FROM ai_runs_summary WHERE id = '019c0000-0000-7000-8000-0000000000a2';

-- ai_tasks_analytics
SELECT sum(total_tasks) > 0 AS any_tasks FROM ai_tasks_analytics;

-- Clean up
DROP SCHEMA original_app CASCADE;
DELETE FROM airun.prices;
DELETE FROM airun.calls;
DELETE FROM airun.runs WHERE user_id = airun_user_uuid('bob@example.com');
DROP OWNED BY regress_airun_reader;
DROP ROLE regress_airun_reader;
