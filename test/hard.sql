-- hard.sql: every function of the extension once or a few times, every trigger
-- and view, the refusals among them; short enough for a server that is a hundred
-- times slower.  test/hard runs it in a new database, as a superuser.
--
-- It stops at the first error, and ends with the functions that have not been
-- called: there must be none.
\set ON_ERROR_STOP on
\pset tuples_only on
\pset format unaligned
SET client_min_messages = warning;
SET airun.user_id = 'joe';
SET airun.max_wait = '10ms';

CREATE ROLE hard_api;
SELECT airun_grant('hard_api');
SELECT airun_set_price('gpt-4o', '{"input": 2.5, "cache_read": 1.25, "output": 10}', per_tokens => 1000000,
	effective_from => '2024-10-01', aliases => '{gpt-4o-latest}', match_rule => '{"starts_with": "gpt-4o-"}',
	context_tiers => '[{"above": 1000, "rates": {"input": 5, "output": 20}}]') IS NOT NULL;
SELECT count(*) FROM airun_import_prices('{"claude-x": {"litellm_provider": "anthropic", "mode": "chat",
	"input_cost_per_token": 3e-6, "output_cost_per_token": 1.5e-5}}', 'litellm', '2024-01-01');
SELECT count(*) FROM airun_import_prices('[{"id": "openai", "name": "OpenAI", "model_match": {"starts_with": "o"},
	"models": [{"id": "o1", "match": {"equals": "o1"}, "prices": {"input_mtok": 15, "output_mtok": 60}}]}]', 'genai', '2024-01-01');
UPDATE airun.prices SET source = source WHERE model = 'gpt-4o';

-- As the API's role, under row security
GRANT USAGE ON SCHEMA public TO hard_api;
SET ROLE hard_api;

-- A run
SELECT airun_user_id(), airun_user_uuid('joe') = airun_user_id(), airun_uuid() IS NOT NULL;
SELECT source_type FROM airun_create_run('chat', settings => '{"model": "gpt-4o"}', tags => '{a,b}', id => '019c0000-0000-7000-8000-000000000001');
SELECT source_type FROM airun_create_run('chat', id => '019c0000-0000-7000-8000-000000000001');
SELECT name FROM airun_update_run('019c0000-0000-7000-8000-000000000001', name => 'moons', metadata => '{"k": [1, 2.5, null]}');
SELECT is_starred FROM airun_star_run('019c0000-0000-7000-8000-000000000001');
SELECT is_starred FROM airun_toggle_star('019c0000-0000-7000-8000-000000000001');
SELECT is_archived FROM airun_archive_run('019c0000-0000-7000-8000-000000000001', false);
SELECT airun_delete_run('019c0000-0000-7000-8000-000000000001'), airun_restore_run('019c0000-0000-7000-8000-000000000001');
SELECT status FROM airun_set_run_status('019c0000-0000-7000-8000-000000000001', 'completed');
SELECT status FROM airun_set_run_status('019c0000-0000-7000-8000-000000000001', 'active');

-- Messages
SELECT seq FROM airun_append_message('019c0000-0000-7000-8000-000000000001', '{"role": "user", "content": "Which moons? grö\ud83d\ude80"}', 'm1');
SELECT seq FROM airun_append_message('019c0000-0000-7000-8000-000000000001', '{"role": "user", "content": "Which moons? grö\ud83d\ude80"}', 'm1');
SELECT count(*) FROM airun_append_messages('019c0000-0000-7000-8000-000000000001',
	'[{"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function"}]}, {"role": "tool", "content": [{"type": "text", "text": "two"}], "id": "m3"}]');
SELECT airun_message_text('{"role": "user", "content": ["a", {"text": "b"}]}');
SELECT airun_messages('019c0000-0000-7000-8000-000000000001', max_messages => 2, from_end => true) ->> 0 IS NOT NULL;
SELECT airun_get_run('019c0000-0000-7000-8000-000000000001', include_requests => true) ->> 'id';
SELECT jsonb_array_length(messages) FROM ai_runs;
SELECT airun_array_agg(message ORDER BY seq) -> 0 ->> 'role' FROM ai_messages;
SELECT airun_json('{"a": "\u0000\ud800", "b": [1e5, "\ud83d\ude80"]}');

-- Tasks and turns
SELECT status FROM airun_create_task('019c0000-0000-7000-8000-000000000001', '019c0000-0000-7000-8000-000000000011', provider => 'openai',
	model_id => 'gpt-4o', timeout => '1 us', request_data => (SELECT jsonb_build_object('model', 'gpt-4o', 'messages', messages) FROM ai_runs));
SELECT response_length FROM airun_update_task('019c0000-0000-7000-8000-000000000011', repeat('Mars has two moons. ', 200));
SELECT response_length FROM airun_stream_delta('019c0000-0000-7000-8000-000000000011', 'Phobos ', at => 4000);
SELECT position FROM airun_stream_read('019c0000-0000-7000-8000-000000000011', 3990);
SELECT length(response_text) FROM ai_tasks;
SELECT status FROM airun_heartbeat_task('019c0000-0000-7000-8000-000000000011');
SELECT airun_is_overdue('streaming', now() - interval '1 hour', '1 s');
SELECT cost FROM airun_complete_task('019c0000-0000-7000-8000-000000000011', usage => '{"prompt_tokens": 1700, "completion_tokens": 11,
	"prompt_tokens_details": {"cached_tokens": 100}}', cost => 0.5, time_to_first_token => 12.5, total_time => 99);
SELECT request_data -> 'messages' -> 0 ->> 'role' FROM ai_tasks;
SELECT airun_start_turn('019c0000-0000-7000-8000-000000000002', '{"role": "user", "content": "Who found them?"}', '019c0000-0000-7000-8000-000000000012',
	model_id => 'claude-x', run => '{"source_type": "prompt", "tags": ["x"]}') -> 'task' ->> 'status';
SELECT airun_finish_turn('019c0000-0000-7000-8000-000000000012', response_text => 'Asaph Hall', usage => '{"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 2}')
	-> 'messages' -> 0 ->> 'seq';
SELECT airun_start_turn('019c0000-0000-7000-8000-000000000002', task_id => '019c0000-0000-7000-8000-000000000013', timeout => '1 us') -> 'task' ->> 'status';
SELECT status FROM airun_fail_task('019c0000-0000-7000-8000-000000000013', '{"code": "x"}', response_text => 'so far');
SELECT airun_start_turn('019c0000-0000-7000-8000-000000000002', task_id => '019c0000-0000-7000-8000-000000000014') -> 'task' ->> 'status';
SELECT status FROM airun_cancel_task('019c0000-0000-7000-8000-000000000014');
SELECT status FROM airun_create_task('019c0000-0000-7000-8000-000000000002', model_id => 'unknown', timeout => '1 us');
SELECT airun_expire_tasks();

-- Messages that are saved again, taken back and branched off; documents; searches
SELECT seq FROM airun_save_message('019c0000-0000-7000-8000-000000000001', '{"id": "m9", "role": "user", "content": "And of Venus?"}');
SELECT count(*) FROM airun_save_messages('019c0000-0000-7000-8000-000000000001', '[{"id": "m9", "role": "user", "content": "And of Venus and Mercury?"}]');
SELECT message_id FROM airun_edit_message('019c0000-0000-7000-8000-000000000001', 1, '{"role": "user", "content": "Which moons has it?"}');
SELECT count(*) > 1 FROM airun_message_versions('019c0000-0000-7000-8000-000000000001');
SELECT message_count FROM airun_truncate_messages('019c0000-0000-7000-8000-000000000001', 3);
SELECT message_count FROM airun_fork_run('019c0000-0000-7000-8000-000000000001', 1);
SELECT count(*) FROM airun_run_forks('019c0000-0000-7000-8000-000000000001');
SELECT count(*) FROM airun_search('moons -sun');
SELECT airun_call('{"airun_get_run": {"run_id": "019c0000-0000-7000-8000-000000000001"}}') ->> 'id';
SELECT count(airun_export('019c0000-0000-7000-8000-000000000001', f)) FROM unnest('{openai,responses,anthropic,gemini,ai-sdk,otel,markdown,airun}'::text[]) AS f;
SELECT count(airun_context('019c0000-0000-7000-8000-000000000001', for_provider => f)) FROM unnest('{openai,responses,anthropic,gemini}'::text[]) AS f;
SELECT message_count FROM airun_import('{"title": "in", "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}');
SELECT count(*) > 0 FROM airun_export_user();

-- Calls that keep no conversation
SELECT status FROM airun_meter('019c0000-0000-7000-8000-0000000000c1', service => 'titles', model_id => 'gpt-4o', usage => '{"prompt_tokens": 5, "completion_tokens": 2}');
SELECT status FROM airun_start_call('019c0000-0000-7000-8000-0000000000c2', model_id => 'gpt-4o', timeout => '1 us');
SELECT airun_expire_calls();
SELECT cost > 0 FROM airun_end_call('019c0000-0000-7000-8000-0000000000c2', usage => '{"prompt_tokens": 5, "completion_tokens": 2}');
SELECT count(*) FROM airun_usage('-infinity', 'infinity', group_by => '{model_id,kind}');
SELECT count(*) FROM airun_budget_status();
SELECT count(*) FROM airun_budget_check(model_id => 'gpt-4o');

-- By views and tables
INSERT INTO ai_runs (id, name) VALUES ('019c0000-0000-7000-8000-000000000003', 'plain') RETURNING status;
UPDATE ai_runs SET is_starred = true WHERE name = 'plain' RETURNING is_starred;
INSERT INTO ai_messages (run_id, message) VALUES ('019c0000-0000-7000-8000-000000000003', '{"role": "user", "content": "x"}') RETURNING seq;
INSERT INTO ai_tasks (task_id, run_id, model_id) VALUES ('019c0000-0000-7000-8000-000000000015', '019c0000-0000-7000-8000-000000000003', 'gpt-4o-mini') RETURNING status;
UPDATE ai_tasks SET status = 'completed', usage = '{"input": 5, "output": 6}' WHERE task_id = '019c0000-0000-7000-8000-000000000015' RETURNING cost;
INSERT INTO airun.messages (run_id, message) VALUES ('019c0000-0000-7000-8000-000000000003', '{"role": "user", "content": "y"}') RETURNING seq;
INSERT INTO airun.tasks (run_id, tokens_total) VALUES ('019c0000-0000-7000-8000-000000000003', 5) RETURNING status;
UPDATE airun.tasks SET tokens_total = 6 WHERE tokens_total = 5 RETURNING tokens_total;
UPDATE airun.runs SET description = 'd' WHERE name = 'plain' RETURNING description;

-- Lists, prices, totals
SELECT count(*) FROM airun_list_runs(search => 'moon', tag => 'a');
SELECT count(*) FROM airun_list_runs(cursor => (SELECT cursor FROM airun_list_runs(page_size => 1)));
SELECT count(*) FROM ai_run_summaries;
SELECT airun_cost('gpt-4o', '{"prompt_tokens": 1000, "completion_tokens": 200}') > 0;
SELECT airun_cost_details('openai/gpt-4o-2024-11-20', '{"promptTokenCount": 10, "candidatesTokenCount": 2}') ->> 'cost' IS NOT NULL;
SELECT airun_normalize_usage('{"inputTokens": 10, "outputTokens": 2, "cachedInputTokens": 4}') ->> 'input';
SELECT airun_request('{"messages": []}', '{"key": "messages", "at": 0, "count": 1, "keys": ["role", "content"]}', '[{"role": "user", "content": "x", "id": "m"}]');
SELECT airun_sees_run('019c0000-0000-7000-8000-000000000001'), airun_writes_run('019c0000-0000-7000-8000-000000000001');
SELECT count(*) FROM airun_check('019c0000-0000-7000-8000-000000000001');

-- Refusals, each at its own place
\set ON_ERROR_STOP off
\set VERBOSITY sqlstate
SET airun.user_id = 'ann';
SELECT airun_get_run('019c0000-0000-7000-8000-000000000001');
SET airun.user_id = '';
SELECT airun_create_run();
SET airun.user_id = 'joe';
SELECT airun_append_message('019c0000-0000-7000-8000-000000000001', '{"role": "nobody", "content": 1}');
SELECT airun_append_message('019c0000-0000-7000-8000-000000000001', (repeat('[', 5000) || repeat(']', 5000))::jsonb);
SELECT airun_append_message('019c0000-0000-7000-8000-000000000001', '{"role": "user", "content": "another"}', 'm1');
SELECT airun_update_task('019c0000-0000-7000-8000-000000000099', 'x');
SELECT airun_complete_task('019c0000-0000-7000-8000-000000000014', 'x');
SELECT airun_append_messages('019c0000-0000-7000-8000-000000000001', '[{"role": "user", "content": "z"}, 1]');
SELECT count(*) FROM airun_list_runs(cursor => 'zz');
SELECT airun_json('[1,]');
UPDATE ai_runs SET total_cost = 0;
UPDATE airun.tasks SET status = 'pending';
DELETE FROM airun.runs;
\set ON_ERROR_STOP on
\set VERBOSITY default
RESET ROLE;

-- The owner's
SELECT count(*) FROM airun_reprice(all_tasks => true);
SELECT count(*) FROM ai_unpriced_models;
DELETE FROM airun.messages WHERE run_id = '019c0000-0000-7000-8000-000000000003' AND seq = 2;
DELETE FROM airun.tasks WHERE run_id = '019c0000-0000-7000-8000-000000000003';
SELECT airun_delete_run('019c0000-0000-7000-8000-000000000003');
SELECT airun_purge_runs(now() + interval '1 day');
SELECT airun_install() IS NOT NULL;
SELECT * FROM airun_check();

-- Reports, budgets, the ledger, upkeep
SELECT airun_set_budget('all', 100) > 0;
SELECT airun_credit_budget('all', 5);
SELECT count(*) FROM airun_create_task('019c0000-0000-7000-8000-000000000002', model_id => 'gpt-4o', request_data => '{"max_tokens": 5}');
SELECT count(*) FROM airun_check_budgets();
SELECT length(airun_usage_page()::text) > 1000;
INSERT INTO airun.usage_shapes (shape, known_by, paths) VALUES ('hard', '{units}', '{"input": "units"}');
SELECT airun_rollup() > 0;
SELECT status FROM airun_meter(model_id => 'gpt-4o', usage => '{"prompt_tokens": 5, "completion_tokens": 2}', total_time => 9);
SELECT status FROM airun_meter(model_id => 'gpt-4o', usage => '{"prompt_tokens": 5, "completion_tokens": 2}', total_time => 9);
SELECT airun_rollup() > 0;
SELECT count(*) FROM airun_check_usage();
SELECT airun_rebuild_usage() >= 0;
SELECT count(*) FROM ai_usage_by_user;
SELECT airun_sketch_quantile(airun_sketch_agg(bin, 1), 0.5) > 0 FROM unnest('{999,1001,1001}'::smallint[]) AS bin;
CREATE TABLE brought (id uuid, user_id uuid, name text, messages jsonb, created_at timestamptz);
INSERT INTO brought VALUES (airun_uuid(), airun_user_uuid('ann'), 'hers', '[{"role": "user", "content": "in"}]', '2024-01-01');
SELECT airun_import_tables('brought') IS NOT NULL;
INSERT INTO airun.retention (kind, status, age, action) VALUES ('run', 'error', '7 days', 'delete');
SELECT airun_prune() >= 0;
SELECT is_done FROM airun_erase_user(airun_user_uuid('ann'));
CREATE SCHEMA original;
SELECT airun_install_original('original') IS NOT NULL;
INSERT INTO original.ai_runs (id, name) VALUES ('019c0000-0000-7000-8000-000000000009', 'old');
INSERT INTO original.ai_tasks (run_id, model_id, status) VALUES ('019c0000-0000-7000-8000-000000000009', 'gpt-4o', 'completed');
CREATE ROLE hard_proxy NOINHERIT;
SELECT airun_install_shard('hard_proxy') > 0;
SELECT airun_partition() IS NOT NULL;
SELECT airun_add_partitions(5) > 0;
SELECT count(*) FROM airun_drop_partitions('2000-01-01');
SELECT * FROM airun_check();

-- What has not been called
SELECT pg_stat_force_next_flush();
SELECT 'not called: ' || p.proname
FROM pg_depend AS d
JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'airun' AND d.deptype = 'e' AND p.prokind = 'f'
	-- what an aggregate is made of is not counted by the server
	AND 'internal'::regtype <> ALL (p.proargtypes)
	-- what others call, and what needs PL/Proxy
	AND p.proname !~ '^airun_(store_.*|install_proxy|shards|(move|spread)_buckets?)$'
	AND NOT EXISTS (SELECT FROM pg_stat_user_functions AS s WHERE s.funcid = p.oid);
