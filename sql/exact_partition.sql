--
-- The direct path on a partitioned store: open where table and partition are exactly what
-- airun_partition() made, and closed for whatever a statement would honour, on either.
-- As in exact.sql, what calls come to is told: which tables they have written by
-- statements, or what they were refused with.  Everything is taken back in the end.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA exact_partition_test;
SET search_path = exact_partition_test, helpers, public;
SET helpers.ids = 'e8ac7100-0000-4000-8000';
SET airun.user_id = 'exact partition test';
SET track_functions = 'all';
\pset format unaligned
\pset tuples_only on

CREATE ROLE regress_airun_exact_partition NOLOGIN;
SELECT airun_grant('regress_airun_exact_partition');
GRANT USAGE ON SCHEMA exact_partition_test TO PUBLIC;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
-- how often the triggers have been called, which only statements call, by table
CREATE FUNCTION calls() RETURNS bigint[] LANGUAGE sql AS $$
	SELECT ARRAY[
		sum(calls) FILTER (WHERE funcname = 'airun_guard_run'),
		sum(calls) FILTER (WHERE funcname IN ('airun_guard_message', 'airun_roll_up_messages')),
		sum(calls) FILTER (WHERE funcname IN ('airun_guard_task', 'airun_roll_up_tasks'))]::bigint[]
	FROM pg_stat_xact_user_functions WHERE schemaname = 'public'
$$;
-- a run of the next month
CREATE FUNCTION next_month() RETURNS uuid LANGUAGE sql AS
$$SELECT overlay(airun_store_first_id(now() + interval '1 month')::text PLACING '7000-8000-e8ac71000002' FROM 15)::uuid$$;
-- what the calls have written by statements after such changes; run 1 is in other, the second in a month
CREATE FUNCTION way(changes text) RETURNS text LANGUAGE plpgsql AS $way$
DECLARE
	runs uuid[] := ARRAY[helpers.run_id(1), exact_partition_test.next_month()];
	before bigint[];
	after bigint[];
	run uuid;
	task uuid;
	words text := '';
	tables text;
BEGIN
	EXECUTE changes;
	SET LOCAL ROLE regress_airun_exact_partition;
	FOREACH run IN ARRAY runs LOOP
		before := calls();
		PERFORM airun_append_message(run, helpers.say('a'), 'once');
		PERFORM airun_append_message(run, helpers.say('b'));
		task := overlay(run::text PLACING '9' FROM 20);
		PERFORM airun_create_task(run, task);
		PERFORM airun_stream_delta(task, 'one', run_id => run);
		PERFORM airun_complete_task(task, run_id => run);
		after := calls();
		SELECT string_agg((ARRAY['runs', 'messages', 'tasks'])[i], ', ' ORDER BY i) INTO tables
		FROM generate_series(1, 3) AS i WHERE coalesce(after[i], 0) > coalesce(before[i], 0);
		words := words || ' | ' || coalesce('by statement: ' || tables, 'direct');
	END LOOP;
	RAISE SQLSTATE 'ROLLB' USING MESSAGE = words;
EXCEPTION WHEN SQLSTATE 'ROLLB' THEN
	RETURN SQLERRM;
WHEN OTHERS THEN
	RETURN ' | ' || SQLSTATE;
END$way$;

BEGIN;
SELECT status FROM airun_create_run(id => run_id(1), name => 'one');
SELECT status FROM airun_create_run(id => next_month(), name => 'two');
SELECT airun_partition() ~ '^The store is partitioned';
SELECT what || way(changes) FROM (VALUES
	(1, 'nothing', ''),
	(2, 'a nullable column', 'ALTER TABLE airun.messages ADD site int'),
	(3, 'a column dropped', 'ALTER TABLE airun.tasks ADD site int; ALTER TABLE airun.tasks DROP site'),
	(4, 'an index', 'CREATE INDEX site ON airun.messages (task_id)'),
	(5, 'an index of a partition', 'CREATE INDEX site ON airun.messages_other (task_id)'),
	(6, 'a comment', 'COMMENT ON TABLE airun.runs_other IS ''x'''),
	(7, 'more months', 'SELECT airun_add_partitions(9)'),
	(8, 'a default', 'ALTER TABLE airun.messages ADD site int DEFAULT 1'),
	(9, 'a default of a partition', 'ALTER TABLE airun.messages_other ALTER task_id SET DEFAULT ''00000000-0000-0000-0000-000000000000'''),
	(10, 'CHECK', 'ALTER TABLE airun.messages ADD CONSTRAINT site CHECK (seq > 0)'),
	(11, 'CHECK of a partition', 'ALTER TABLE airun.messages_other ADD CONSTRAINT site CHECK (seq > 0)'),
	(12, 'CHECK of a partition that refuses', 'ALTER TABLE airun.messages_other ADD CONSTRAINT site CHECK (seq > 9)'),
	(13, 'foreign key', 'CREATE TABLE words (id uuid PRIMARY KEY); ALTER TABLE airun.messages ADD CONSTRAINT site FOREIGN KEY (task_id) REFERENCES words'),
	(14, 'foreign key of a partition', 'CREATE TABLE words (id uuid PRIMARY KEY); ALTER TABLE airun.messages_other ADD CONSTRAINT site FOREIGN KEY (task_id) REFERENCES words'),
	(15, 'foreign key to runs', 'CREATE TABLE words (id uuid REFERENCES airun.runs)'),
	(16, 'foreign key to a partition', 'CREATE TABLE words (id uuid REFERENCES airun.runs_other)'),
	(18, 'our foreign key, deferrable', 'ALTER TABLE airun.messages_other ALTER CONSTRAINT messages_run_id_fkey DEFERRABLE'),
	(19, 'trigger', 'CREATE TRIGGER site BEFORE INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION nothing()'),
	(20, 'trigger of statements', 'CREATE TRIGGER site AFTER INSERT ON airun.messages FOR EACH STATEMENT EXECUTE FUNCTION nothing()'),
	(21, 'trigger of a partition', 'CREATE TRIGGER site BEFORE INSERT ON airun.messages_other FOR EACH ROW EXECUTE FUNCTION nothing()'),
	(22, 'our trigger, disabled', 'ALTER TABLE airun.messages DISABLE TRIGGER airun_guard'),
	(23, 'our trigger, disabled on a partition', 'ALTER TABLE airun.messages_other DISABLE TRIGGER airun_guard'),
	(24, 'our trigger of a partition, always', 'ALTER TABLE airun.messages_other ENABLE ALWAYS TRIGGER airun_guard'),
	(25, 'rule', 'CREATE RULE site AS ON DELETE TO airun.messages DO ALSO NOTHING'),
	(26, 'rule of a partition', 'CREATE RULE site AS ON DELETE TO airun.messages_other DO ALSO NOTHING'),
	(27, 'policy', 'CREATE POLICY site ON airun.messages USING (true)'),
	(28, 'our policy, altered', 'ALTER POLICY airun_append ON airun.messages WITH CHECK (true)'),
	(29, 'row security of a partition off', 'ALTER TABLE airun.messages_other DISABLE ROW LEVEL SECURITY'),
	(30, 'another owner of a partition', 'ALTER TABLE airun.messages_other OWNER TO regress_airun_exact_partition'),
	(31, 'no right to insert', 'REVOKE INSERT ON airun.messages FROM regress_airun_exact_partition'),
	(32, 'a partition detached', 'ALTER TABLE airun.messages DETACH PARTITION airun.messages_other'),
	(33, 'a partition in its place', 'ALTER TABLE airun.messages DETACH PARTITION airun.messages_other; CREATE TABLE airun.messages_others PARTITION OF airun.messages FOR VALUES FROM (''03bb2cc3-d800-0000-0000-000000000000'') TO (MAXVALUE)'),
	(35, 'row security off', 'SET LOCAL row_security = off'),
	(36, 'read only', 'SET LOCAL transaction_read_only = on'),
	(37, 'direct_writes off', 'SET LOCAL airun.direct_writes = off')) AS v (number, what, changes)
ORDER BY number;
SELECT * FROM airun_check();
ROLLBACK;
DROP OWNED BY regress_airun_exact_partition;
DROP ROLE regress_airun_exact_partition;
DROP SCHEMA exact_partition_test CASCADE;
