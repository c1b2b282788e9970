--
-- Upkeep: what is purged goes in bounded steps, and the money stays.
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
DO $$BEGIN PERFORM airun_install(); END$$;
SET search_path = helpers, public;
SET helpers.ids = '0f100000-0000-4000-8000';
SET airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
SELECT airun_purge_runs('infinity') >= 0, airun_rollup(max_ms => 60000) >= 0;
SELECT count(*) FROM airun_check_usage();

-- bounded: those that were deleted first go first
SELECT count(airun_create_run('upkeep', id => run_id(n))) FROM generate_series(1, 5) AS n;
SELECT count(airun_append_message(run_id(n), say('word'))) FROM generate_series(1, 5) AS n, generate_series(1, 3);
SELECT count(airun_edit_message(run_id(n), 1, say('another word'))) FROM generate_series(1, 5) AS n;
SELECT new_tasks(1, 4, 2), new_tasks(5, 5, 4);
SELECT status, response_length FROM airun_update_task(task_id(1), 'a part');
SELECT status FROM airun_complete_task(task_id(2), 'an answer', '{"prompt_tokens": 3}');
SELECT status, response_length FROM airun_update_task(task_id(5), 'another part');
SELECT bool_and(airun_delete_run(run_id(n))) FROM generate_series(1, 4) AS n;
UPDATE airun.runs SET deleted_at = '2001-01-01'::timestamptz + (10 - right(id::text, 1)::int) * interval '1 day' WHERE deleted_at IS NOT NULL;
SELECT airun_purge_runs('2001-01-09', 1);
SELECT right(id::text, 1) FROM airun.runs WHERE source_type = 'upkeep' ORDER BY id;
SELECT airun_purge_runs('2001-01-08', 10);
SELECT right(id::text, 1) FROM airun.runs WHERE source_type = 'upkeep' ORDER BY id;
-- B54: tasks that were open are cancelled first, and count; no text is left behind
BEGIN;
SELECT airun_purge_runs('2002-01-01', 2);
-- a lock for the one text that streamed, and none for what was pending
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory';
COMMIT;
SELECT status, calls, count(*), sum(tokens_input) FROM airun.usage_tail WHERE source_type = 'upkeep' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT (SELECT count(*) FROM airun.task_chunks WHERE run_id = run_id(n)), (SELECT count(*) FROM airun.messages WHERE run_id = run_id(n)),
	(SELECT count(*) FROM airun.message_versions WHERE run_id = run_id(n)), (SELECT count(*) FROM airun.tasks WHERE run_id = run_id(n))
FROM generate_series(1, 5) AS n;
SELECT attempt(format('SELECT airun_update_task(%L, ''a part and more'')', task_id(1)));
-- a cancelled task ends by nothing more
SELECT airun_purge_runs('infinity');
SELECT * FROM airun_check();
SELECT * FROM airun_check_usage();
-- a thousand and one: more than a batch
SELECT count(airun_delete_run((airun_create_run('upkeep')).id)) FROM generate_series(1, 1001);
SELECT airun_purge_runs('infinity');
-- rows of other runs that a site's trigger deletes meanwhile move their totals
CREATE FUNCTION pg_temp.delete_more() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	DELETE FROM airun.messages WHERE run_id = helpers.run_id(5) AND seq = 3;
	DELETE FROM airun.tasks WHERE run_id = helpers.run_id(5);
	RETURN NULL;
END$$;
CREATE TRIGGER more AFTER DELETE ON airun.runs FOR EACH ROW EXECUTE FUNCTION pg_temp.delete_more();
SELECT new_tasks(6, 7, 5), airun_delete_run((airun_create_run('upkeep')).id);
SELECT airun_purge_runs('infinity'), message_count, task_count FROM ai_runs WHERE id = run_id(5);
DROP TRIGGER more ON airun.runs;
SELECT message_count, task_count FROM ai_runs WHERE id = run_id(5);
SELECT * FROM airun_check();
-- refused
SELECT answer(format('SELECT airun_purge_runs(%s)', a)) FROM unnest(ARRAY['NULL', '''infinity'', 0', '''infinity'', -1', '''infinity'', NULL']) AS a;
