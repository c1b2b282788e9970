-- discard.sql: what a conversation calls, a call without one, a report and a way in and
-- out, each once: for a server that discards all its caches all the time, which takes half
-- a minute for each.  test/hard runs it in a new database, as a superuser; it stops at
-- the first error.
\set ON_ERROR_STOP on
\pset tuples_only on
\pset format unaligned
SET airun.user_id = 'joe';
SELECT airun_set_price('gpt-4o', '{"input": 2.5, "output": 10}', per_tokens => 1000000) IS NOT NULL;
CREATE ROLE hard_api;
SELECT airun_grant('hard_api');
SET ROLE hard_api;
SELECT airun_start_turn('019c0000-0000-7000-8000-000000000001', '{"role": "user", "content": "Which moons?"}',
	'019c0000-0000-7000-8000-000000000011', model_id => 'gpt-4o', run => '{"source_type": "chat"}') -> 'task' ->> 'status';
SELECT response_length FROM airun_stream_delta('019c0000-0000-7000-8000-000000000011', 'Phobos', at => 0);
SELECT airun_finish_turn('019c0000-0000-7000-8000-000000000011', usage => '{"prompt_tokens": 17, "completion_tokens": 11}') -> 'task' ->> 'cost';
SELECT seq FROM airun_append_message('019c0000-0000-7000-8000-000000000001', '{"role": "user", "content": "And Deimos?"}');
SELECT json_array_length(airun_messages('019c0000-0000-7000-8000-000000000001'));
SELECT message_count FROM airun_list_runs(search => 'moons');
SELECT status FROM airun_meter(model_id => 'gpt-4o', usage => '{"prompt_tokens": 5, "completion_tokens": 2}');
SELECT calls FROM airun_usage('-infinity', 'infinity');
SELECT message_count FROM airun_import(airun_export('019c0000-0000-7000-8000-000000000001'));
INSERT INTO ai_messages (run_id, message) VALUES ('019c0000-0000-7000-8000-000000000001', '{"role": "user", "content": "x"}') RETURNING seq;
\set VERBOSITY sqlstate
\set ON_ERROR_STOP off
SELECT airun_append_message('019c0000-0000-7000-8000-000000000001', '{"role": "nobody", "content": 1}');
DELETE FROM airun.runs;
