/*
 * airun.sql: airun, as its README has it used
 *
 * Where one column of a result will do, it is asked for as (f(...)).column, which
 * spares the server a scan of the function's rows.
 */
CREATE EXTENSION airun;
SELECT airun_install();
CREATE ROLE app LOGIN;
SELECT airun_grant('app');

CREATE FUNCTION bench.fill_airun(kind text, runs int, length int) RETURNS void LANGUAGE sql AS $$
	SELECT airun_create_run(id => id, name => 'A run') FROM bench.run_ids(kind, runs) AS id;
	SELECT count(*) FROM bench.run_ids(kind, runs) AS id,
		LATERAL airun_append_messages(id, (SELECT jsonb_agg(message ORDER BY seq) FROM bench.conversation(kind, length)));
$$;

-- @append
\set r 100000000000 + random(1, :runs)
SELECT (airun_append_message((:kind::text || :r)::uuid, :message)).seq;

-- @append_id
\set r 100000000000 + random(1, :runs)
SELECT (airun_append_message((:kind::text || :r)::uuid, :message, gen_random_uuid()::text)).seq;

-- @load
\set r 100000000000 + random(1, :runs)
SELECT airun_messages((:kind::text || :r)::uuid);

-- @load_rows
\set r 100000000000 + random(1, :runs)
SELECT seq, message FROM ai_messages WHERE run_id = (:kind::text || :r)::uuid ORDER BY seq;

-- @load_jsonb
\set r 100000000000 + random(1, :runs)
SELECT messages FROM ai_runs WHERE id = (:kind::text || :r)::uuid;

-- @load_inside
\set r 100000000000 + random(1, :runs)
SELECT octet_length(airun_messages((:kind::text || :r)::uuid)::text);

-- @load_jsonb_inside
\set r 100000000000 + random(1, :runs)
SELECT jsonb_array_length(messages) FROM ai_runs WHERE id = (:kind::text || :r)::uuid;

-- @create_run
SELECT (airun_create_run('chat', name => 'A run')).id;

-- @turn
\set r 100000000000 + random(1, :runs)
\set a random(100, 999)
\set b random(100000000000, 999999999999)
SELECT airun_start_turn((:kind::text || :r)::uuid, :question, task_id => ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, provider => 'openai', model_id => 'gpt-4o');
SELECT (airun_stream_delta(('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :piece#, :at#, run_id => (:kind::text || :r)::uuid)).status;
SELECT airun_finish_turn(('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :answer, tokens_input => 10, tokens_output => 90, cost => 0.001, run_id => (:kind::text || :r)::uuid);

-- @turn_text
\set r 100000000000 + random(1, :runs)
\set a random(100, 999)
\set b random(100000000000, 999999999999)
SELECT airun_start_turn((:kind::text || :r)::uuid, :question, task_id => ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, provider => 'openai', model_id => 'gpt-4o');
SELECT (airun_update_task(('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :grown#, run_id => (:kind::text || :r)::uuid)).status;
SELECT airun_finish_turn(('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :answer, tokens_input => 10, tokens_output => 90, cost => 0.001, run_id => (:kind::text || :r)::uuid);

-- @list
SELECT * FROM airun_list_runs(page_size => 20);
