--
-- airun_partition(): the large tables by months.  Everything is taken back in the end.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA partition_test;
SET search_path = partition_test, helpers, public;
SET helpers.ids = '9a271000-0000-4000-8000';
SET airun.user_id = 'partition test';
SET timezone = 'UTC';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

CREATE ROLE regress_airun_partition NOLOGIN;
CREATE ROLE regress_airun_partition_user NOLOGIN;
GRANT USAGE ON SCHEMA partition_test TO PUBLIC;
SELECT airun_grant('regress_airun_partition_user');
CREATE FUNCTION id_at(moment timestamptz, n int) RETURNS uuid LANGUAGE sql AS
$$SELECT overlay(airun_store_first_id(moment)::text PLACING '7000-8000-9a271' || lpad(n::text, 7, '0') FROM 15)::uuid$$;
-- the months to come, by how far ahead they are
CREATE FUNCTION partition_of(name regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	words text := replace(name::text, 'airun.', '');
BEGIN
	FOR i IN 0 .. 9 LOOP
		words := replace(words, to_char((date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i)), '_YYYY_MM'), ' +' || i);
	END LOOP;
	RETURN words;
END$$;
CREATE FUNCTION partitions(of text DEFAULT 'runs') RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', partition_of(partition), 'from ' || CASE WHEN lower_id >= airun_store_first_id('2100-01-01 UTC') THEN '2100' END,
		CASE WHEN is_default THEN 'default' END)
	FROM airun_store_partitions() WHERE relation = of ORDER BY is_default, lower_id NULLS FIRST
$$;
-- where the rows of this test's runs are
CREATE FUNCTION places() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws('|', r.name, partition_of(r.tableoid), r.message_count, r.task_count, partition_of(m.tableoid), partition_of(t.tableoid), partition_of(v.tableoid), partition_of(c.tableoid))
	FROM airun.runs r LEFT JOIN (SELECT DISTINCT tableoid, run_id FROM airun.messages) m ON m.run_id = r.id
	LEFT JOIN (SELECT DISTINCT tableoid, run_id FROM airun.tasks) t ON t.run_id = r.id
	LEFT JOIN (SELECT DISTINCT tableoid, run_id FROM airun.message_versions) v ON v.run_id = r.id
	LEFT JOIN (SELECT DISTINCT tableoid, run_id FROM airun.task_chunks) c ON c.run_id = r.id
	WHERE r.user_id = airun_user_id() ORDER BY r.name
$$;
CREATE FUNCTION fill(run uuid, name text) RETURNS text LANGUAGE sql AS $$
	SELECT airun_create_run(id => run, name => name);
	SELECT airun_append_messages(run, '[{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]');
	SELECT airun_truncate_messages(run, 1);
	SELECT airun_create_task(run, overlay(run::text PLACING '9' FROM 20)::uuid, model_id => 'a');
	SELECT airun_stream_delta(overlay(run::text PLACING '9' FROM 20)::uuid, 'so far', run_id => run);
	SELECT status FROM airun.tasks WHERE run_id = run;
$$;

-- nobody but the owner; where it is not partitioned there is nothing to do
SET ROLE regress_airun_partition;
SELECT attempt(c) FROM unnest('{SELECT airun_partition(),SELECT airun_add_partitions(),SELECT airun_drop_partitions(now())}'::text[]) c;
RESET ROLE;
GRANT USAGE ON SCHEMA airun TO regress_airun_partition;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_airun_partition;
SET ROLE regress_airun_partition;
SELECT answer(c) FROM unnest('{SELECT airun_partition(),SELECT airun_add_partitions(),SELECT airun_drop_partitions(now())}'::text[]) c;
RESET ROLE;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM regress_airun_partition;
SELECT airun_add_partitions();
SELECT count(*) FROM airun_drop_partitions(now());

-- what would go on looking at the tables that were there is told, and nothing happens
CREATE VIEW site_view AS SELECT count(*) FROM airun.messages;
CREATE TABLE site_table (run uuid CONSTRAINT site_key REFERENCES airun.runs (id));
CREATE FUNCTION site_function() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM airun.tasks; END;
SELECT answer('SELECT airun_partition()');
DROP VIEW site_view; DROP TABLE site_table; DROP FUNCTION site_function();
ALTER TABLE airun.messages DISABLE ROW LEVEL SECURITY;
SELECT answer('SELECT airun_partition()');
ALTER TABLE airun.messages ENABLE ROW LEVEL SECURITY;
SELECT attempt(format('SELECT airun_partition(%s)', n)) FROM unnest('{-1,121,"NULL"}'::text[]) n;
SELECT attempt(c) FROM unnest('{SELECT airun_drop_partitions(NULL),"SELECT airun_drop_partitions(now(), NULL)"}'::text[]) c;
SELECT relkind FROM pg_class WHERE oid = 'airun.runs'::regclass;

-- ids that begin with no time are too many
BEGIN;
INSERT INTO airun.runs (id) SELECT format('fa271000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid FROM generate_series(1, 10001) n;
SELECT answer('SELECT airun_partition()');
ROLLBACK;

BEGIN;
-- What is there: runs of now and before, of no time, and of a month to come; a site's column, policy, trigger, index, view and grant
ALTER TABLE airun.runs ADD COLUMN site_team text CHECK (site_team <> '');
CREATE INDEX site_index ON airun.runs (site_team);
CREATE POLICY site_team ON airun.runs FOR SELECT TO regress_airun_partition USING (site_team = 'ours');
CREATE FUNCTION site_noted() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING '% on %', TG_OP, partition_of(TG_RELID); RETURN NEW; END$$;
CREATE TRIGGER site_noted BEFORE INSERT ON airun.runs FOR EACH ROW WHEN (new.site_team = 'noted') EXECUTE FUNCTION site_noted();
CREATE VIEW site_view AS SELECT count(*) FROM ai_messages WHERE run_id >= airun_store_first_id('2025-01-01');
GRANT SELECT ON airun.runs, ai_runs, ai_messages TO regress_airun_partition;
GRANT SELECT (message) ON airun.messages TO regress_airun_partition;
SELECT fill(id_at('2025-03-10', 1), 'a: of before');
SELECT fill(id_at(now(), 2), 'b: of now');
SELECT fill(run_id(3), 'c: of no time, after the months');
SELECT fill(overlay(run_id(4)::text PLACING '0000' FROM 1)::uuid, 'd: of no time, before them');
SELECT fill(id_at(now() + interval '2 months', 5), 'e: of a month to come');
SELECT fill(id_at('2051-05-05', 6), 'f: of a year to come');
CREATE TABLE grants AS SELECT grantee, privilege_type, relname FROM pg_class c, aclexplode(relacl) WHERE relnamespace = 'airun'::regnamespace;
SELECT airun_partition(2) ~ '^The store is partitioned.  Runs until ....-..-01 are in the partition earlier; partitions have been made for 2 months.$';
SELECT partitions();
SELECT relation, count(*) FROM airun_store_partitions() GROUP BY 1 ORDER BY 1;
SELECT places();
SELECT * FROM airun_check();
SELECT airun_install();
-- again: nothing is to do, or more months
SELECT airun_partition(2);
SELECT airun_add_partitions(3), airun_add_partitions(3);
SELECT partitions();

-- What a site has is there, and nobody has got or lost a right
SELECT * FROM (TABLE grants EXCEPT SELECT grantee, privilege_type, relname FROM pg_class c, aclexplode(relacl) WHERE relnamespace = 'airun'::regnamespace) x;
SELECT DISTINCT grantee::regrole, privilege_type FROM pg_class c, aclexplode(relacl) WHERE relispartition AND relnamespace = 'airun'::regnamespace AND grantee <> relowner;
SELECT has_column_privilege('regress_airun_partition', 'airun.messages', 'message', 'SELECT');
SELECT * FROM site_view;
SELECT polname FROM pg_policy WHERE polrelid = 'airun.runs'::regclass ORDER BY 1;
SELECT count(*) FROM pg_inherits WHERE inhparent = 'airun.site_index'::regclass;
INSERT INTO airun.runs (id, site_team) VALUES (run_id(7), 'noted');
SELECT attempt('INSERT INTO airun.runs (site_team) VALUES ('''')');
DELETE FROM airun.runs WHERE id = run_id(7);
SET ROLE regress_airun_partition;
SELECT count(*) FROM ai_runs;
SAVEPOINT s;
TABLE airun.runs_earlier;
ROLLBACK TO s;
RESET ROLE;

-- The functions and views work, as an API role, wherever the run is
SET ROLE regress_airun_partition_user;
SELECT name, message_count, messages -> 0 ->> 'content', (SELECT count(*) FROM ai_tasks t WHERE t.run_id = r.id) FROM ai_runs r ORDER BY name;
SELECT (airun_append_message(id, '{"role": "user", "content": "three"}', 'id')).seq, (airun_append_message(id, '{"role": "user", "content": "three"}', 'id')).seq FROM ai_runs ORDER BY name;
SELECT (airun_stream_delta(task_id, ' and more')).response_length, (airun_complete_task(task_id, usage => '{"input_tokens": 5}')).status FROM ai_tasks ORDER BY run_id;
SELECT fill(airun_uuid(), 'g: new'), fill(run_id(8), 'h: new, of no time');
INSERT INTO ai_messages (run_id, message) SELECT id, say('by the view') FROM ai_runs;
INSERT INTO ai_tasks (run_id, model_id) SELECT id, 'by the view' FROM ai_runs;
INSERT INTO ai_runs (name) VALUES ('i: by the view') RETURNING name, status;
SELECT answer('INSERT INTO ai_runs (id, name) VALUES (NULL, ''null'')');
SELECT attempt(format('INSERT INTO airun.messages (run_id, seq, message) VALUES (%L, 9, say(''x''))', run_id(3)));
SELECT attempt(format('UPDATE airun.runs SET message_count = 9 WHERE id = %L', run_id(3)));
SELECT attempt(format('UPDATE airun.runs SET id = %L WHERE id = %L', airun_uuid(), run_id(3)));
SELECT attempt(format('UPDATE ai_runs SET id = NULL, description = ''kept'' WHERE id = %L', run_id(3)));
SELECT attempt(format('INSERT INTO airun.messages (run_id, message) VALUES (%L, say(''x''))', run_id(99)));
SELECT count(*) FROM airun_list_runs();
-- a page of an hour of many runs, wherever they are
RESET ROLE;
SET airun.user_id = 'partition list';
SELECT count(airun_create_run(id => CASE n % 3 WHEN 0 THEN airun_uuid() WHEN 1 THEN run_id(1000 + n) ELSE id_at('2051-05-05', 1000 + n) END))
FROM generate_series(1, 180) n;
SET ROLE regress_airun_partition_user;
SELECT cursor AS place FROM airun_list_runs(page_size => 20) WITH ORDINALITY ORDER BY ordinality DESC LIMIT 1 \gset
SELECT ARRAY(SELECT id FROM airun_list_runs(page_size => 20)) || ARRAY(SELECT id FROM airun_list_runs(page_size => 50, cursor => :'place'))
	= ARRAY(SELECT id FROM ai_run_summaries ORDER BY last_message_at DESC, id DESC LIMIT 70);
RESET ROLE;
DELETE FROM airun.runs WHERE user_id = airun_user_id();
SET airun.user_id = 'partition test';
SET ROLE regress_airun_partition_user;
-- what PostgREST embeds
SELECT name, (SELECT count(*) FROM ai_messages(r)), (SELECT count(*) FROM ai_tasks(r)) FROM ai_runs r ORDER BY name;
SELECT name, (SELECT count(*) FROM ai_messages(r)), (SELECT count(*) FROM ai_tasks(r)) FROM ai_run_summaries r WHERE name ~ '^[ab]' ORDER BY name;
SELECT DISTINCT (SELECT name FROM ai_runs(m)), (SELECT name FROM ai_run_summaries(m)) FROM ai_messages m WHERE run_id = run_id(3);
SELECT DISTINCT (SELECT name FROM ai_runs(m)), (SELECT name FROM ai_run_summaries(m)) FROM ai_tasks m WHERE run_id = run_id(3);
RESET ROLE;
SELECT places();
SELECT * FROM airun_check();

-- The walls stand on the partitions as well
INSERT INTO airun.messages_other (run_id, message) VALUES (run_id(3), say('to the partition'));
DELETE FROM airun.messages_other WHERE run_id = run_id(3) AND message ->> 'content' = 'to the partition';
INSERT INTO airun.tasks_other (run_id, tokens_total) VALUES (run_id(3), 7);
UPDATE airun.tasks_other SET tokens_output = 8 WHERE tokens_total = 7 AND run_id = run_id(3);
SELECT total_tokens, message_count, task_count FROM airun.runs WHERE id = run_id(3);
SELECT attempt('DELETE FROM airun.messages_other WHERE seq = 1');
SELECT attempt('UPDATE airun.tasks_other SET run_id = run_id(99)');
DELETE FROM airun.runs WHERE id = run_id(3);
DELETE FROM airun.runs_default WHERE id = id_at('2051-05-05', 6);
SELECT count(*) FROM airun.messages WHERE run_id IN (run_id(3), id_at('2051-05-05', 6));
SELECT * FROM airun_check();

-- What lacks is told, and put back
CREATE FUNCTION told() RETURNS SETOF text LANGUAGE sql AS
$$SELECT regexp_replace(concat_ws(' | ', problem, expected, found), '[0-9a-f-]{36}', '<id>', 'g') FROM airun_check() ORDER BY 1$$;
ALTER TABLE airun.messages_other DROP CONSTRAINT messages_run_id_fkey;
ALTER TABLE airun.tasks_default DISABLE TRIGGER airun_guard;
ALTER TABLE airun.runs_other DISABLE ROW LEVEL SECURITY;
DROP TRIGGER airun_roll_up_delete ON airun.messages_earlier;
DROP TRIGGER airun_guard ON airun.messages;
DROP INDEX airun.tasks_unfinished;
SELECT told();
SELECT airun_install();
SELECT told();
ALTER TABLE airun.tasks_default ENABLE TRIGGER airun_guard;
SAVEPOINT s; DROP TABLE airun.task_chunks_other; SELECT told(); ROLLBACK TO s;
SAVEPOINT s; DROP TABLE airun.task_chunks_earlier, airun.message_versions_earlier, airun.tasks_earlier, airun.messages_earlier, airun.runs_earlier; SELECT told(); ROLLBACK TO s;
SAVEPOINT s; DROP TABLE airun.task_chunks_earlier, airun.message_versions_earlier, airun.tasks_earlier, airun.messages_earlier, airun.runs_earlier;
-- what came while there was no partition goes where it belongs
SELECT fill(id_at(now(), 9), 'late');
SELECT * FROM places() p WHERE p ~ '^late';
SELECT airun_store_make_partitions('now', airun_store_first_id(date_trunc('month', now())),
	airun_store_first_id(date_trunc('month', now()) + interval '1 month'), 'default'), airun_store_mend() <> '{}';
SELECT * FROM places() p WHERE p ~ '^late';
SELECT * FROM airun_check();
ROLLBACK TO s;
SELECT * FROM airun_check();

-- Months go where each of their runs may go; what they have cost stays
DROP TABLE airun.task_chunks_earlier, airun.message_versions_earlier, airun.tasks_earlier, airun.messages_earlier, airun.runs_earlier;
SELECT airun_store_make_partitions('earlier', NULL, airun_store_first_id('2025-03-01'), NULL),
	airun_store_make_partitions('2025_03', airun_store_first_id('2025-03-01'), airun_store_first_id('2025-04-01'), NULL),
	airun_store_make_partitions('2025_04', airun_store_first_id('2025-04-01'), airun_store_first_id('2025-05-01'), NULL),
	airun_store_make_partitions('2025_05', airun_store_first_id('2025-05-01'), (SELECT min(lower_id::text)::uuid FROM airun_store_partitions() WHERE lower_id > airun_store_first_id(now())), NULL);
SELECT airun_store_mend() <> '{}', airun_store_mend();
DELETE FROM airun.runs WHERE user_id = airun_user_id();
SELECT airun_set_budget('months', 1e12, measure => 'tokens', period => 'none', count_from => 'now') > 0;
SELECT fill(id_at('2025-02-10', 20), 'k'), fill(id_at('2025-03-10', 21), 'l'), fill(id_at('2025-03-11', 22), 'm'), fill(id_at('2025-04-10', 23), 'n'), fill(id_at(now(), 24), 'o');
CREATE FUNCTION dropped(before timestamptz, with_live boolean DEFAULT false) RETURNS SETOF text LANGUAGE sql AS
$$SELECT concat_ws(' ', d.suffix, d.runs, d.kept) FROM airun_drop_partitions(before, with_live) d$$;
SELECT dropped('infinity');
-- a run that lives, one with an unfinished task
SELECT airun_delete_run(id) FROM airun.runs WHERE name IN ('k', 'l', 'm');
SELECT dropped('infinity');
SELECT airun_cancel_task(task_id) IS NULL FROM airun.tasks WHERE run_id <= id_at('2025-04-30', 0) ORDER BY run_id;
CREATE TABLE ledger AS SELECT sum(tokens_output) AS tokens, sum(calls) AS calls, count(*) AS entries FROM airun.usage_tail;
-- deleted too late, not ended then
SELECT dropped(now() - interval '1 day');
SELECT dropped('2025-04-01');
SELECT dropped('infinity');
SELECT partitions(), partitions('task_chunks');
SELECT name, tableoid::regclass FROM airun.runs WHERE user_id = airun_user_id() ORDER BY name;
SELECT count(*) FROM (TABLE ledger EXCEPT SELECT sum(tokens_output), sum(calls), count(*) FROM airun.usage_tail) x;
SELECT * FROM airun_check();
SELECT * FROM airun_check_budgets();
-- those that live, but a star
SELECT name, airun_star_run(id) IS NULL FROM airun.runs WHERE name = 'n';
SELECT dropped('infinity', true);
SELECT name, airun_star_run(id, false) IS NULL FROM airun.runs WHERE name = 'n';
-- nor one of which somebody else has a fork
SET airun.user_id = 'partition other';
SELECT name FROM airun_fork_run(id_at('2025-04-10', 23), 1);
SELECT dropped('infinity', true);
DELETE FROM airun.runs WHERE user_id = airun_user_id();
SET airun.user_id = 'partition test';
SELECT dropped(now() - interval '1 day', true);
-- nor those of a user who is moving to another shard
CREATE SCHEMA airun_remote;
CREATE TABLE airun_remote.buckets (bucket integer, is_moving boolean);
CREATE TABLE airun_remote.arriving AS SELECT airun_bucket(airun_user_id()) AS bucket;
SELECT dropped('infinity', true);
SELECT airun_delete_run(id_at('2025-04-10', 23));
SELECT airun_store_month_may_go('2025_04', 'infinity') AS runs;
DROP SCHEMA airun_remote CASCADE;
SELECT airun_store_month_may_go('2025_04', 'infinity') AS runs;
SELECT airun_restore_run(id_at('2025-04-10', 23)) IS NOT NULL;
SELECT dropped('infinity', true);
SELECT name, partition_of(tableoid) FROM airun.runs WHERE user_id = airun_user_id() ORDER BY name;
SELECT * FROM airun_check_budgets();
SELECT spent + estimated > 0 AS is_spent, held FROM airun_budget_status('months');
-- the ids of a month that is gone still find a place
SELECT fill(id_at('2025-04-10', 30), 'p');
SELECT name, partition_of(tableoid) FROM airun.runs WHERE user_id = airun_user_id() ORDER BY name;
SELECT * FROM airun_check();
ROLLBACK;
SELECT * FROM airun_check();
DROP OWNED BY regress_airun_partition, regress_airun_partition_user;
DROP ROLE regress_airun_partition, regress_airun_partition_user;
DROP SCHEMA partition_test CASCADE;
