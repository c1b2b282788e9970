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
-- what goes is not kept on disk meanwhile: a hundred runs have 0.5 MB
SELECT count(*) FROM (SELECT (airun_create_run('upkeep')).id FROM generate_series(1, 100)) AS r, airun_append_messages(r.id, (SELECT jsonb_agg(say('word')) FROM generate_series(1, 20))) AS m;
BEGIN;
SET LOCAL work_mem = '256kB'; SET LOCAL temp_file_limit = 0;
SELECT bool_and(airun_delete_run(id)) FROM ai_runs WHERE source_type = 'upkeep' AND message_count = 20;
SELECT airun_purge_runs('infinity');
COMMIT;
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

--
-- Keeping for so long: airun.retention and airun_prune()
--
-- budgets that all of this counts in, hers and another one
SELECT count(airun_set_budget(name, 1e9, scope => scope, measure => 'tokens', period => 'none', count_from => 'now')) FROM (VALUES ('upkeep of each', 'user'), ('upkeep of all', 'all')) AS b (name, scope);
-- plain rows of the owner's, and what is none is refused
SELECT answer(format('INSERT INTO airun.retention (kind, source_type, status, age, action) VALUES (%s)', v)) FROM unnest(ARRAY[
	'''message'', NULL, NULL, ''1 day'', ''delete''', '''run'', NULL, ''cancelled'', ''1 day'', ''delete''', '''call'', NULL, ''active'', ''1 day'', ''delete''',
	'''call'', NULL, NULL, ''1 day'', ''strip''', '''run'', NULL, NULL, ''-1 day'', ''delete''', '''run'', NULL, NULL, ''1 day'', ''hide''']) AS v;
INSERT INTO airun.retention (source_type, status, age, action) VALUES ('upkeep', NULL, '10 days', 'strip'), ('upkeep', NULL, '100 days', 'delete'),
	('upkeep', 'error', '5 days', 'delete'), ('upkept', NULL, NULL, 'delete'), (NULL, NULL, '100 years', 'delete');
SELECT answer($$INSERT INTO airun.retention (source_type, age, action) VALUES ('upkeep', '3 days', 'strip')$$);
-- runs of several ages, made by who may say when it was: name, source, days since, status, starred
CREATE FUNCTION pg_temp.aged(n int, source text, days int, status text DEFAULT 'active', starred boolean DEFAULT false, person text DEFAULT 'aa') RETURNS void LANGUAGE plpgsql AS $$BEGIN
	PERFORM set_config('airun.user_id', '0f100000-0000-4000-8000-0000000000' || person, true);
	PERFORM airun_create_run(source, id => run_id(n), name => 'name', description => 'd', tags => '{t}', metadata => '{"m": 1}', settings => '{"s": 1}', variable_values => '{"v": 1}');
	PERFORM airun_start_turn(run_id(n), say('said'), task_id => task_id(n), model_id => 'm', request_data => '{"x": 1}', metadata => '{"m": 1}');
	IF status = 'error' THEN
		PERFORM airun_fail_task(task_id(n), '{"code": "word"}', usage => '{"prompt_tokens": 5}');
	ELSIF status <> 'open' THEN
		PERFORM airun_finish_turn(task_id(n), say('answer', 'assistant'), usage => '{"prompt_tokens": 5}', response_data => '{"d": 1}');
	END IF;
	PERFORM airun_edit_message(run_id(n), 1, say('said otherwise'));
	PERFORM airun_star_run(run_id(n), starred);
	SET LOCAL session_replication_role = replica;
	UPDATE airun.runs SET last_message_at = now() - days * interval '1 day', active_hour = date_trunc('hour', now() - days * interval '1 day', 'UTC') WHERE id = run_id(n);
	UPDATE airun.messages SET created_at = now() - days * interval '1 day' WHERE run_id = run_id(n);
	SET LOCAL session_replication_role = origin;
END$$;
SELECT pg_temp.aged(21, 'upkeep', 9), pg_temp.aged(22, 'upkeep', 11), pg_temp.aged(23, 'upkeep', 101), pg_temp.aged(24, 'upkeep', 6, 'error'), pg_temp.aged(25, 'upkeep', 11, 'open'),
	pg_temp.aged(26, 'upkeep', 200, starred => true), pg_temp.aged(27, 'upkept', 200), pg_temp.aged(28, 'upkeep', 101, person => 'bb'), pg_temp.aged(29, 'upkeep', 101), pg_temp.aged(30, 'upkeep', 101);
-- one whose charge is estimated by its text
SELECT count(airun_update_task((airun_create_task(run_id(36), task_id(38))).task_id, repeat('words ', 100))) FROM (SELECT pg_temp.aged(36, 'upkeep', 11)) AS a;
SELECT status FROM airun_cancel_task(task_id(38));
-- K5: another user has a fork of one, and a task in another
SET airun.user_id = '0f100000-0000-4000-8000-0000000000bb';
SELECT forked_at_seq FROM airun_fork_run(run_id(29), 1);
SELECT status FROM airun_create_task(run_id(30), task_id(39));
SELECT status FROM airun_complete_task(task_id(39));
SET airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
-- calls: 30 days where no row says otherwise
SELECT count(airun_meter(id, source_type => source, tokens_input => 7)) FROM (VALUES (task_id(41), 'upkeep'), (task_id(42), 'upkeep'), (task_id(43), 'upkept')) AS v (id, source);
SELECT status FROM airun_start_call(task_id(44), source_type => 'upkeep');
UPDATE airun.calls SET created_at = now() - interval '31 days' WHERE id IN (task_id(42), task_id(43), task_id(44));
UPDATE airun.calls SET created_at = now() - interval '29 days' WHERE id = task_id(41);
INSERT INTO airun.retention (kind, source_type, age) VALUES ('call', 'upkept', '40 days');
SELECT airun_rebuild_usage() > 0, airun_rollup() > 0;
CREATE FUNCTION pg_temp.money() RETURNS TABLE (kind text, status text, calls numeric, tokens numeric, cost numeric, us numeric) LANGUAGE sql AS
$$SELECT kind, status, sum(calls), sum(tokens_input + tokens_output), sum(cost), sum(total_us) FROM airun.usage_daily GROUP BY 1, 2$$;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.money();
SELECT airun_prune(60000);
SELECT right(r.id::text, 2) AS run, r.stripped_at IS NOT NULL AS stripped, r.name, r.message_count, r.task_count, r.total_tokens, r.is_starred FROM airun.runs AS r
WHERE r.id >= run_id(21) AND r.id <= run_id(30) ORDER BY r.id;
SELECT right(c.id::text, 2) FROM airun.calls AS c WHERE c.id BETWEEN task_id(41) AND task_id(44) ORDER BY 1;
-- what is left of one that has been stripped: figures
SELECT to_jsonb(r) - '{id,user_id,created_at,updated_at,last_message_at,active_hour,stripped_at}'::text[] FROM airun.runs AS r WHERE id = run_id(22);
SELECT jsonb_strip_nulls(to_jsonb(t)) - '{run_id,task_id,user_id,created_at,updated_at,completed_at,time_to_first_token,total_time}'::text[] FROM airun.tasks AS t WHERE run_id = run_id(22);
SELECT count(*) FROM airun.messages WHERE run_id = run_id(22);
SELECT count(*) FROM airun.message_versions WHERE run_id = run_id(22);
SELECT last_message_at < now() - interval '10 days' FROM ai_runs WHERE id = run_id(22);
-- K2: no sum has changed
SELECT * FROM pg_temp.money() EXCEPT ALL TABLE before;
-- nothing more, however often; it can go on, and is stripped again
SELECT airun_prune(1000), airun_prune(1);
SELECT seq FROM airun_append_message(run_id(22), say('again'));
SET session_replication_role = replica;
UPDATE airun.runs SET last_message_at = now() - interval '11 days', active_hour = date_trunc('hour', now() - interval '11 days', 'UTC') WHERE id = run_id(22);
UPDATE airun.messages SET created_at = now() - interval '11 days' WHERE run_id = run_id(22);
RESET session_replication_role;
SELECT airun_prune(60000);
-- and only by this
SELECT attempt(format('UPDATE airun.runs SET stripped_at = now() WHERE id = %L', run_id(21)));
SELECT attempt('INSERT INTO airun.runs (stripped_at) VALUES (now())');
-- starred and shared ones, where they are not to be kept; of one that goes on, its end is awaited
UPDATE airun.retention SET keep_starred = false, keep_shared = false WHERE source_type = 'upkeep' AND action = 'delete';
SELECT airun_prune(60000);
SELECT right(r.id::text, 2) AS run FROM airun.runs AS r WHERE r.id >= run_id(21) AND r.id <= run_id(30) ORDER BY r.id;
SELECT status FROM airun_cancel_task(task_id(25));
SELECT airun_prune(60000);
SELECT right(r.id::text, 2) AS run, r.stripped_at IS NOT NULL AS stripped FROM airun.runs AS r WHERE r.id >= run_id(21) AND r.id <= run_id(30) ORDER BY r.id;
SELECT * FROM airun_check();
SELECT * FROM airun_check_usage();
SELECT * FROM airun_check_budgets();
SELECT answer(format('SELECT airun_prune(%s)', a)) FROM unnest(ARRAY['NULL', '0']) AS a;
DELETE FROM airun.retention;

-- what users have deleted, after so long, whatever else it is: starred, shared, under way
SELECT answer(format('INSERT INTO airun.retention (kind, source_type, status, age, action) VALUES (''deleted'', %s)', v)) FROM unnest(ARRAY[
	'''upkeep'', NULL, ''1 day'', ''delete''', 'NULL, ''error'', ''1 day'', ''delete''', 'NULL, NULL, ''1 day'', ''strip''', 'NULL, NULL, ''-1 day'', ''delete''']) AS v;
SELECT pg_temp.aged(31, 'upkeep', 300), pg_temp.aged(32, 'upkeep', 0, 'open', starred => true), pg_temp.aged(33, 'upkeep', 0), pg_temp.aged(34, 'upkeep', 0);
SELECT bool_and(airun_delete_run(run_id(n))) FROM generate_series(32, 34) AS n;
UPDATE airun.runs SET deleted_at = now() - CASE id WHEN run_id(33) THEN interval '29 days' ELSE interval '31 days' END WHERE id IN (run_id(32), run_id(33), run_id(34));
SELECT airun_restore_run(run_id(34));
SELECT airun_prune(60000);
INSERT INTO airun.retention (kind, age) VALUES ('deleted', '30 days');
SELECT answer($$INSERT INTO airun.retention (kind, age) VALUES ('deleted', '3 days')$$);
SELECT airun_prune(60000), airun_prune(60000);
SELECT right(r.id::text, 2) AS run FROM airun.runs AS r WHERE r.id >= run_id(31) AND r.id <= run_id(34) ORDER BY r.id;
SELECT calls, status FROM airun.usage_tail WHERE charge_id = task_id(32);
-- more than a piece has; the worker does it
SELECT count(airun_delete_run((airun_create_run('upkeep')).id)) FROM generate_series(1, 250);
UPDATE airun.retention SET age = '0';
CALL airun_work(600000);
SELECT step, rows, backlog, failures FROM airun.worker_status WHERE step = 'prune';
SELECT count(*) FROM airun.runs WHERE deleted_at IS NOT NULL;
SELECT * FROM airun_check_budgets();
DELETE FROM airun.retention;
SELECT airun_delete_run(run_id(34)), airun_prune(60000), count(*) FROM airun.runs WHERE deleted_at IS NOT NULL;
SELECT * FROM airun_check();
SELECT * FROM airun_check_usage();

-- months that may go as a whole, where the store is partitioned
BEGIN;
SELECT airun_partition(1) <> '';
DROP TABLE airun.task_chunks_earlier, airun.message_versions_earlier, airun.tasks_earlier, airun.messages_earlier, airun.runs_earlier;
SELECT count(airun_store_make_partitions(to_char(l, 'YYYY_MM'), airun_store_first_id(m), airun_store_first_id(m + interval '1 month'), NULL))
FROM generate_series(timestamp '2025-01-01', '2025-07-01', '1 month') AS l, timezone('UTC', l) AS m;
SELECT airun_store_make_partitions('earlier', NULL, airun_store_first_id('2025-01-01 00:00Z'), NULL),
	airun_store_make_partitions('2025_08', airun_store_first_id('2025-08-01 00:00Z'), (SELECT min(lower_id::text)::uuid FROM airun_store_partitions() WHERE lower_id > airun_store_first_id(now())), NULL);
SELECT airun_store_mend() <> '{}';
SELECT airun_set_budget('months', 1000000, measure => 'calls', period => 'none', count_from => 'now') > 0;
CREATE FUNCTION pg_temp.in_month(month int, n int, source text DEFAULT 'upkeep', ends boolean DEFAULT true) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
	day timestamptz := make_timestamptz(2025, month, 10, 0, 0, 0);
	run uuid := overlay(airun_store_first_id(day)::text PLACING '7000-8000-' || lpad(n::text, 12, '0') FROM 15);
BEGIN
	PERFORM airun_create_run(source, id => run), airun_start_turn(run, say('a'), task_id => task_id(n)), airun_edit_message(run, 1, say('b'));
	IF ends THEN
		PERFORM airun_finish_turn(task_id(n), say('c', 'assistant'), '{"prompt_tokens": 5}');
	ELSE
		PERFORM airun_update_task(task_id(n), 'c');
	END IF;
	SET LOCAL session_replication_role = replica;
	UPDATE airun.runs SET last_message_at = day, active_hour = day WHERE id = run;
	UPDATE airun.messages SET created_at = day WHERE run_id = run;
	SET LOCAL session_replication_role = origin;
	RETURN run;
END$$;
CREATE FUNCTION pg_temp.left_of() RETURNS TABLE (month text, runs bigint, tables bigint) LANGUAGE sql AS
$$SELECT p.suffix, (SELECT count(*) FROM airun.runs AS r WHERE r.tableoid = p.partition), (SELECT count(*) FROM pg_class AS c WHERE c.relnamespace = 'airun'::regnamespace AND c.relkind = 'r' AND c.relname LIKE '%' || p.suffix)
FROM airun_store_partitions() AS p WHERE p.relation = 'runs' AND p.suffix LIKE '2025%' ORDER BY 1$$;
-- in January all; in February one that is starred, in March one that is shared, in April one that goes on, in May one that is kept for good
SELECT count(pg_temp.in_month(m, 100 + 10 * m + i)) FROM generate_series(1, 5) AS m, generate_series(1, 2) AS i;
SELECT (airun_star_run(pg_temp.in_month(2, 129))).is_starred, pg_temp.in_month(4, 149, ends => false) IS NOT NULL;
SELECT pg_temp.in_month(3, 139) AS shared, pg_temp.in_month(5, 159, 'upkept') AS kept \gset
SET LOCAL airun.user_id = '0f100000-0000-4000-8000-0000000000bb';
SELECT status FROM airun_complete_task((airun_create_task(:'shared', task_id(138))).task_id);
SET LOCAL session_replication_role = replica;
UPDATE airun.runs SET last_message_at = '2025-03-10' WHERE id = :'shared';
SET LOCAL session_replication_role = origin;
SET LOCAL airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
-- June was deleted
SELECT bool_and(airun_delete_run(pg_temp.in_month(6, 160 + i, 'upkept'))) FROM generate_series(1, 2) AS i;
UPDATE airun.runs SET deleted_at = now() - interval '31 days' WHERE deleted_at IS NOT NULL;
INSERT INTO airun.retention (kind, source_type, age) VALUES ('run', 'upkeep', '30 days'), ('deleted', NULL, '30 days');
SELECT * FROM pg_temp.left_of();
SELECT spent, held FROM airun_budget_status('months');
SELECT sum(calls) AS calls, sum(tokens_input) AS tokens FROM airun.usage_tail \gset
-- whole months first; then what may go of the others, and in a call with nothing else months that are empty by then
SELECT airun_prune(60000);
SELECT * FROM pg_temp.left_of();
-- a site's view keeps the month's tables, and not its rows
CREATE VIEW pg_temp.february AS SELECT count(*) FROM airun.runs_2025_02;
SELECT airun_prune(60000), airun_prune(60000);
SELECT * FROM pg_temp.left_of();
UPDATE airun.retention SET keep_starred = false, keep_shared = false;
SELECT status FROM airun_cancel_task(task_id(149));
SELECT airun_prune(60000) > 0, airun_prune(60000) >= 0, airun_prune(60000);
SELECT * FROM pg_temp.left_of();
DROP VIEW pg_temp.february;
SELECT airun_prune(60000);
SELECT * FROM pg_temp.left_of();
-- what they have cost stays, in the ledger and in budgets; but for what has been cancelled, as much as before
SELECT sum(calls) - :calls AS calls, sum(tokens_input) - :tokens AS tokens FROM airun.usage_tail;
SELECT spent, held FROM airun_budget_status('months');
SELECT * FROM airun_check_budgets();
SELECT * FROM airun_check();
-- another one that the owner drops
SELECT airun_delete_run(:'kept');
SELECT suffix, runs, kept FROM airun_drop_partitions('infinity');
SELECT * FROM airun_check_budgets();
ROLLBACK;

--
-- Forgetting a person
--
-- where a marker is found: in any column of a table of the store, or in a file of it, of
-- an index or of what is stored out of line, or in the planner's statistics
CREATE FUNCTION pg_temp.leftovers(marker text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	item record;
	found boolean;
BEGIN
	FOR item IN SELECT c.oid::regclass AS name FROM pg_class c WHERE c.relnamespace = 'airun'::regnamespace AND c.relkind = 'r' ORDER BY c.relname LOOP
		EXECUTE format('SELECT EXISTS (SELECT FROM %s AS x WHERE strpos(x::text, %L) > 0)', item.name, marker) INTO found;
		IF found THEN RETURN NEXT item.name; END IF;
	END LOOP;
	IF EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = 'airun' AND strpos(s::text, marker) > 0) THEN
		RETURN NEXT 'statistics';
	END IF;
	FOR item IN SELECT c.relname AS name, c.oid FROM pg_class c
		WHERE c.relkind IN ('r', 'i', 't') AND (c.relnamespace = 'airun'::regnamespace OR c.oid IN (SELECT t.reltoastrelid FROM pg_class t WHERE t.relnamespace = 'airun'::regnamespace))
	LOOP
		IF position(convert_to(marker, 'UTF8') IN pg_read_binary_file(pg_relation_filepath(item.oid))) > 0 THEN RETURN NEXT 'file of ' || item.name; END IF;
	END LOOP;
END$$;
-- budgets: one of each user, and one of hers alone
SELECT airun_set_budget('each', 1e12, measure => 'tokens', scope => 'user', count_from => 'now') > 0, airun_set_budget('hers', 1e12, measure => 'calls', scope => 'user', scope_value => '0f100000-0000-4000-8000-0000000000aa') > 0;
-- everything that she can say or be told: her runs, one of them deleted, with answers, versions, errors, texts; calls; a stream
SELECT count(airun_create_run('chat', id => run_id(50 + n), name => 'Zebrawood ' || n, description => 'Zebrawood', tags => '{Zebrawood}', metadata => '{"x": "Zebrawood"}', settings => '{"x": "Zebrawood"}', variable_values => '{"x": "Zebrawood"}')) FROM generate_series(1, 3) AS n;
SELECT count(airun_start_turn(run_id(50 + n), say('Zebrawood ' || repeat(md5(n::text), 100 * n)), task_id => task_id(50 + n), model_id => 'ledger-a', metadata => '{"x": "Zebrawood"}',
	request_data => jsonb_build_object('model', 'ledger-a', 'x', (SELECT string_agg('Zebrawood' || md5(i::text), '') FROM generate_series(1, 400) AS i)))) FROM generate_series(1, 3) AS n;
SELECT count(airun_finish_turn(task_id(51), say('Zebrawood', 'assistant'), usage => '{"prompt_tokens": 1234567, "completion_tokens": 3}', response_data => '{"x": "Zebrawood"}'));
SELECT status FROM airun_fail_task(task_id(52), '{"message": "Zebrawood"}', usage => '{"prompt_tokens": 1000}');
SELECT status FROM airun_update_task(task_id(53), 'Zebrawood, and so on');
SELECT count(airun_edit_message(run_id(51), 1, say('Zebrawood again')));
SELECT count(*) FROM airun_truncate_messages(run_id(51), 2);
SELECT airun_delete_run(run_id(52));
SELECT count(airun_meter(service => 's', model_id => 'ledger-a', tokens_input => 9, metadata => '{"x": "Zebrawood"}', error_code => 'Zebrawood', status => 'error'));
SELECT status FROM airun_start_call(task_id(59), model_id => 'ledger-a', metadata => '{"x": "Zebrawood"}');
SELECT airun_rollup() > 0;
-- a run of another user, to which she has added, and a fork of hers by that user, and a fork of that
SELECT set_config('airun.user_id', '0f100000-0000-4000-8000-0000000000bb', false) <> '' AND airun_append_message((airun_create_run('chat', id => run_id(61))).id, say('ours')) IS NULL;
SELECT id AS fork FROM airun_fork_run(run_id(51), 2) \gset
SELECT seq FROM airun_append_message(:'fork', say('mine'));
SELECT id AS fork_of_fork FROM airun_fork_run(:'fork', 3) \gset
SELECT count(airun_start_turn(:'fork', say('and mine'), task_id => task_id(62), request_data => '{"other": "Zebrawood"}'));
SELECT count(airun_finish_turn(task_id(62), say('for me', 'assistant'), usage => '{"prompt_tokens": 77}'));
SET airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
SELECT count(airun_start_turn(run_id(61), say('Zebrawood'), task_id => task_id(61), model_id => 'ledger-a', request_data => '{"x": "Zebrawood"}', metadata => '{"x": "Zebrawood"}'));
SELECT count(airun_finish_turn(task_id(61), say('Zebrawood', 'assistant'), usage => '{"prompt_tokens": 11}', response_data => '{"x": "Zebrawood"}'));
SELECT count(airun_edit_message(run_id(61), 2, say('Zebrawood again')));
SELECT status FROM airun_create_task(run_id(61), task_id(60), request_data => '{"x": "Zebrawood"}');
SELECT status FROM airun_update_task(task_id(60), 'Zebrawood');
-- what she has put into the place of somebody else's message, of which one has been edited since
SET airun.user_id = '0f100000-0000-4000-8000-0000000000bb';
SELECT (airun_create_run('chat', id => run_id(72))).status;
SELECT count(*) FROM airun_append_messages(run_id(72), jsonb_build_array(say('ours, 1'), say('ours, 2'), say('ours, 3')));
SET airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
SELECT count(airun_edit_message(run_id(72), n, say('Zebrawood'))) FROM generate_series(1, 2) AS n;
SET airun.user_id = '0f100000-0000-4000-8000-0000000000bb';
SELECT count(airun_edit_message(run_id(72), 2, say('ours again')));
SELECT id AS fork_of_edited FROM airun_fork_run(run_id(72)) \gset
-- all of that is hers, also when she asks for it
SELECT n AS run, e.kind, e.row ->> 'seq' AS seq, e.row -> 'message' ->> 'content' AS content
	FROM (VALUES (61), (72)) AS r (n), (SELECT line ->> 'kind', (line -> (line ->> 'kind'))::jsonb FROM airun_export_user('0f100000-0000-4000-8000-0000000000aa') AS line) AS e (kind, "row")
	WHERE (e.row ->> 'run_id')::uuid = run_id(n) AND e.kind LIKE 'message%' ORDER BY n, e.kind, seq, content;
-- a fork of that run, in which one of her messages has been edited since
SET airun.user_id = '0f100000-0000-4000-8000-0000000000bb';
SELECT id AS fork_of_ours FROM airun_fork_run(run_id(61)) \gset
SELECT count(airun_edit_message(:'fork_of_ours', 2, say('edited')));
-- a run of hers that is purged: the row stays, without a word, for the fork that another user has of a fork of it, until that is gone
SET airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
SELECT count(airun_append_message((airun_create_run('chat', id => run_id(71), name => 'Zebrawood')).id, say('Zebrawood')));
SET airun.user_id = '0f100000-0000-4000-8000-0000000000bb';
SELECT id AS purged_fork FROM airun_fork_run(run_id(71)) \gset
SELECT id AS own_fork FROM airun_fork_run(:'purged_fork') \gset
SET airun.user_id = '0f100000-0000-4000-8000-0000000000cc';
SELECT id AS last_fork FROM airun_fork_run(:'own_fork') \gset
-- two runs of that user in which she has a turn: one that another one has forked, one that he has forked himself; and a third one, stripped since
SELECT count(airun_create_run('chat', id => run_id(n), user_id => '0f100000-0000-4000-8000-0000000000bb')) FROM generate_series(73, 75) AS n;
SET airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
SELECT count(airun_start_turn(run_id(n), say('Zebrawood'), task_id => task_id(n))), count(airun_finish_turn(task_id(n), say('Zebrawood', 'assistant'), usage => '{"prompt_tokens": 1}')) FROM generate_series(73, 75) AS n;
SET airun.user_id = '0f100000-0000-4000-8000-0000000000bb';
SELECT id AS fork_of_his FROM airun_fork_run(run_id(74)) \gset
SET airun.user_id = '0f100000-0000-4000-8000-0000000000cc';
SELECT id AS fork_of_purged FROM airun_fork_run(run_id(73)) \gset
SELECT id AS fork_of_stripped FROM airun_fork_run(run_id(75)) \gset
SELECT id AS second_fork FROM airun_fork_run(:'fork_of_stripped') \gset
SELECT count(airun_append_message(r, say('said afterwards'))) FROM unnest(ARRAY[:'fork_of_his', :'fork_of_purged', :'second_fork']::uuid[]) AS r;
SELECT airun_store_strip_runs(ARRAY[run_id(75)]);
-- a run of that user, named by what she has said first, which he has taken back
SET airun.user_id = '0f100000-0000-4000-8000-0000000000bb';
SELECT count(airun_create_run('chat', id => run_id(77)));
SET airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
SELECT count(airun_start_turn(run_id(77), say('Zebrawood'), task_id => task_id(77)));
SET airun.user_id = '0f100000-0000-4000-8000-0000000000bb';
SELECT count(airun_truncate_messages(run_id(77), 0)), count(airun_append_message(run_id(77), say('mine'))) FROM ai_runs WHERE id = run_id(77) AND name = 'Zebrawood';
-- a fork of a run of hers, each of which has been described otherwise since
SET airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
SELECT count(*) FROM airun_append_messages((airun_create_run('chat', id => run_id(76), metadata => '{"x": "Zebrawood"}', variable_values => '{"x": "Zebrawood", "lang": "en"}')).id, jsonb_build_array(say('Zebrawood'), say('Zebrawood, too')));
SET airun.user_id = '0f100000-0000-4000-8000-0000000000bb';
SELECT id AS described FROM airun_fork_run(run_id(76)) \gset
UPDATE ai_runs SET variable_values = variable_values || '{"lang": "de"}' WHERE id = :'described';
-- which has taken back one message, and said something of its own; and a fork of that
SELECT count(airun_truncate_messages(:'described', 1));
SELECT count(airun_start_turn(:'described', say('mine alone'), task_id => task_id(76))), count(airun_finish_turn(task_id(76), say('for me alone', 'assistant')));
SELECT id AS second_described FROM airun_fork_run(:'described') \gset
SET airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
UPDATE ai_runs SET name = 'named', metadata = '{}' WHERE id = run_id(76);
UPDATE airun.runs SET deleted_at = '2001-01-01' WHERE id IN (run_id(71), :'purged_fork', :'own_fork', run_id(73), run_id(74));
SELECT airun_purge_runs('2001-01-02'), airun_purge_runs('2001-01-02');
SELECT id = run_id(71) AS hers, name, message_count, stripped_at IS NOT NULL AS stripped FROM airun.runs WHERE id IN (run_id(71), :'purged_fork', :'own_fork') ORDER BY id = run_id(71) DESC;
SELECT * FROM airun_check();
SET airun.user_id = '0f100000-0000-4000-8000-0000000000aa';
SELECT count(airun_create_run('chat')) FROM generate_series(1, 150);
-- entries that were folded in another zone, and some that are not
SET airun.report_zone = 'Asia/Kolkata';
SELECT airun_rollup() > 0;
RESET airun.report_zone;
SELECT count(airun_meter(service => 's', model_id => 'ledger-b', tokens_input => n)) FROM generate_series(1, 5) AS n;
VACUUM (ANALYZE) airun.runs, airun.messages, airun.tasks;
CHECKPOINT;
SELECT count(*) > 8 FROM pg_temp.leftovers('Zebrawood');
SELECT count(*) FROM pg_temp.leftovers('Bubinga');

-- K1: in as many calls as it takes; after each of them all sums agree; K4: what streams is cancelled, and counts
CREATE TEMP TABLE report AS SELECT * FROM airun_usage('-infinity', 'infinity', 'all', 'UTC', '{kind,model_id,status}') WHERE NOT (kind = 'task' AND status = 'cancelled') AND NOT (kind = 'call' AND status = 'cancelled');
CREATE TEMP TABLE steps (step int, is_done boolean, problems text, done ai_erasure);
DO $$BEGIN
	FOR i IN 1 .. 1000 LOOP
		INSERT INTO steps SELECT i, e.is_done, (SELECT string_agg(p::text, chr(10)) FROM (SELECT c::text FROM airun_check_usage() AS c UNION ALL SELECT c::text FROM airun_check() AS c UNION ALL SELECT c::text FROM airun_check_budgets() AS c) AS p), e
			FROM airun_erase_user('0f100000-0000-4000-8000-0000000000aa', 1) AS e;
		EXIT WHEN (SELECT is_done FROM steps WHERE step = i);
	END LOOP;
END$$;
SELECT count(*) > 1, bool_or(is_done), string_agg(problems, chr(10)), sum((done).runs) AS runs, sum((done).messages) AS messages, sum((done).tasks) AS tasks, sum((done).calls) > 6 AS calls, sum((done).emptied) AS emptied, sum((done).entries) > 10 AS entries FROM steps;
SELECT * FROM airun_erase_user('0f100000-0000-4000-8000-0000000000aa');
SELECT b.name, p.value = '' AS of_all, sum(p.spent) > 1000000 AS spent, sum(p.held) AS held FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id AND b.name LIKE 'upkeep of%'
WHERE p.value IN ('', '0f100000-0000-4000-8000-0000000000aa') GROUP BY 1, 2;
-- K2: the report is the same, but for what has been cancelled
SELECT * FROM report EXCEPT ALL SELECT * FROM airun_usage('-infinity', 'infinity', 'all', 'UTC', '{kind,model_id,status}');
SELECT attempt(format('SELECT airun_update_task(%L, ''Zebrawood, and so on and on'')', task_id(53)));
SELECT e.calls FROM (SELECT charge_id, status, calls FROM airun.usage_ledger UNION ALL SELECT charge_id, status, calls FROM airun.usage_tail) AS e WHERE e.charge_id IN (task_id(53), task_id(60), task_id(59)) AND e.status = 'cancelled';
-- what is left of her in others' runs
SELECT CASE m.run_id WHEN :'fork' THEN 'fork' WHEN :'fork_of_fork' THEN 'its fork' ELSE 'run' END AS run, m.seq, m.message ->> 'role' AS role, m.message ->> 'content' AS content FROM airun.messages AS m WHERE m.run_id IN (run_id(61), :'fork', :'fork_of_fork') ORDER BY 1, 2;
SELECT right(t.task_id::text, 2) AS task, t.status, t.user_id, t.request_data, t.response_text, t.response_data, t.metadata, t.tokens_input FROM airun.tasks AS t WHERE t.run_id IN (run_id(61), :'fork') ORDER BY 1;
SELECT r.id = run_id(61) AS ours, r.name, r.description, r.tags, r.metadata, r.settings, r.variable_values FROM airun.runs AS r WHERE r.id IN (run_id(61), :'fork', :'fork_of_fork') ORDER BY 1;
SELECT m.run_id = :'last_fork' AS last_fork, m.seq, m.message ->> 'content' AS content FROM airun.messages AS m WHERE m.run_id IN (:'fork_of_ours', :'last_fork') ORDER BY 1, 2;
SELECT m.seq, m.message ->> 'content' AS content FROM airun.message_versions AS m WHERE m.run_id = :'fork_of_ours';
SELECT id = :'last_fork' AS last_fork, name FROM airun.runs WHERE id IN (run_id(71), :'fork_of_ours', :'last_fork') ORDER BY 1;
SELECT m.run_id = run_id(72) AS run, m.seq, m.message ->> 'content' AS content FROM airun.messages AS m WHERE m.run_id IN (run_id(72), :'fork_of_edited') ORDER BY 1, 2;
SELECT f.fork, r.name, m.seq, m.message ->> 'content' AS content
	FROM (VALUES ('his own', :'fork_of_his'::uuid), ('of purged', :'fork_of_purged'), ('of stripped', :'fork_of_stripped'), ('of that', :'second_fork')) AS f (fork, id)
	JOIN airun.runs AS r USING (id) JOIN airun.messages AS m ON m.run_id = r.id ORDER BY 1, m.seq;
SELECT r.name, m.message ->> 'content' AS content FROM airun.runs AS r JOIN airun.messages AS m ON m.run_id = r.id WHERE r.id = run_id(77);
SELECT name, metadata, variable_values FROM airun.runs WHERE id = :'described';
SELECT m.run_id = :'described' AS first, m.seq, m.message ->> 'content' AS content FROM airun.messages AS m WHERE m.run_id IN (:'described', :'second_described') ORDER BY 1, 2;
SELECT m.seq, m.message ->> 'content' AS content FROM airun.message_versions AS m WHERE m.run_id = :'described';
SELECT m.seq, m.version, m.message ->> 'content' AS content, m.replaced_by FROM airun.message_versions AS m WHERE m.run_id = run_id(72) ORDER BY 1, 2;
-- K3: a second one joins her
CREATE TEMP TABLE people AS SELECT sum(calls) AS calls, sum(tokens_input) AS tokens FROM airun.usage_people;
SELECT is_done FROM airun_erase_user('0f100000-0000-4000-8000-0000000000bb', 10000);
SELECT count(*) FROM airun.usage_people WHERE user_id IN ('0f100000-0000-4000-8000-0000000000aa', '0f100000-0000-4000-8000-0000000000bb');
TABLE people EXCEPT ALL SELECT sum(calls), sum(tokens_input) FROM airun.usage_people;
SELECT * FROM airun_check();
SELECT * FROM airun_check_usage();
-- what she has spent of budgets is nobody's, and hers alone has ended
SELECT * FROM airun_check_budgets();
SELECT b.name, b.valid_to IS NULL AS in_force, sum(p.spent) FROM airun.budgets AS b JOIN airun.budget_periods AS p ON p.budget_id = b.id WHERE b.name IN ('each', 'hers') GROUP BY b.name, b.valid_to ORDER BY 1;
SELECT airun_set_budget('each', NULL) > 0;
-- K6: nowhere
SELECT string_agg(c.oid::regclass::text, ', ') AS tables FROM pg_class AS c WHERE c.relnamespace = 'airun'::regnamespace AND c.relkind = 'r' \gset
VACUUM (FULL, ANALYZE) :tables;
CHECKPOINT;
SELECT pg_temp.leftovers('Zebrawood');
-- nor is her id, but for the planner's statistics of tables that are empty by now
SELECT pg_temp.leftovers('0f100000-0000-4000-8000-0000000000aa');
-- days of one zone again
SELECT airun_rebuild_usage(), airun_rollup() >= 0;
-- for the owner
SELECT answer(format('SELECT airun_erase_user(%s)', a)) FROM unnest(ARRAY['NULL', '''0f100000-0000-4000-8000-0000000000aa'', 0', '''0f100000-0000-4000-8000-0000000000aa'', NULL']) AS a;
SELECT * FROM airun_erase_user('0f100000-0000-4000-8000-0000000000ff');
-- forks that arise meanwhile have to be seen
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT answer('SELECT airun_erase_user(airun_uuid())');
COMMIT;

-- what operators may: expire, purge and prune what is anybody's, and read no word
CREATE ROLE regress_airun_upkeep NOLOGIN;
CREATE ROLE regress_airun_other NOLOGIN;
GRANT USAGE ON SCHEMA helpers TO regress_airun_upkeep, regress_airun_other;
SELECT airun_grant('regress_airun_upkeep', 'operator'), airun_grant('regress_airun_other', 'reporter');
SELECT count(airun_create_run('upkeep', id => run_id(70 + n))) FROM generate_series(1, 3) AS n;
SELECT airun_delete_run(run_id(71)), new_tasks(72, 72, 72, '1 us');
SELECT status FROM airun_start_call(task_id(79), timeout => '1 us');
UPDATE airun.calls SET created_at = now() - interval '31 days', updated_at = now() - interval '31 days' WHERE id = task_id(79);
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_airun_other;
RESET airun.user_id;
SET ROLE regress_airun_other;
SELECT answer(c) FROM unnest(ARRAY['SELECT airun_purge_runs(''infinity'')', 'SELECT airun_prune()', 'SELECT airun_expire_tasks()', 'SELECT airun_erase_user(airun_uuid())']) AS c;
SET ROLE regress_airun_upkeep;
SELECT answer(c) FROM unnest(ARRAY['SELECT airun_purge_runs(''infinity'')', 'SELECT airun_expire_tasks()', 'SELECT airun_expire_calls()', 'SELECT airun_prune()', 'SELECT airun_erase_user(airun_uuid())',
	'SELECT count(*) FROM airun.runs', 'DELETE FROM airun.runs', 'INSERT INTO airun.retention (age) VALUES (''0'')', 'SELECT count(*) FROM airun.retention']) AS c;
SELECT current_user;
RESET ROLE;
SELECT right(r.id::text, 2), r.status FROM airun.runs AS r WHERE r.id >= run_id(70) AND r.id <= run_id(79) ORDER BY r.id;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM regress_airun_other;
-- nothing is left for others
DELETE FROM airun.runs WHERE user_id IN ('0f100000-0000-4000-8000-0000000000aa', '0f100000-0000-4000-8000-0000000000bb', '0f100000-0000-4000-8000-0000000000cc');
DELETE FROM airun.calls WHERE user_id IN ('0f100000-0000-4000-8000-0000000000aa', '0f100000-0000-4000-8000-0000000000bb');
DELETE FROM airun.budget_periods WHERE budget_id IN (SELECT id FROM airun.budgets WHERE name LIKE 'upkeep of%');
DELETE FROM airun.budgets WHERE name LIKE 'upkeep of%';
SELECT * FROM airun_check_budgets();
DROP OWNED BY regress_airun_upkeep, regress_airun_other;
DROP ROLE regress_airun_upkeep, regress_airun_other;
