-- The examples of doc/upkeep.md, in their order.  test/t/006_readme.pl compares the
-- two.
\set QUIET on
\set SHOW_CONTEXT never
SET client_min_messages = error;
SET intervalstyle = 'postgres';
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.user_id = 'upkeep@example.com';
-- nothing is left but what is made here
CALL airun_work(600000);
TRUNCATE airun.worker_status;
SELECT id AS run_id FROM airun_create_run() \gset
SELECT count(*) FROM airun_create_task(:'run_id', timeout => '1 us') \gset
SELECT count(airun_meter(service => 'upkeep')) FROM generate_series(1, 2) \gset

CREATE ROLE regress_airun_monitor NOLOGIN;
GRANT USAGE ON SCHEMA airun TO regress_airun_monitor;
GRANT SELECT ON airun.worker_status TO regress_airun_monitor;

-- the alarm rings where nothing has ever run
SELECT s.step, w.failures, w.last_error, w.backlog
FROM unnest('{expire_tasks,expire_calls,fold,reprice,partitions,prune}'::text[]) AS s (step)
LEFT JOIN airun.worker_status AS w ON w.step = s.step
WHERE w.last_ok IS NULL OR w.last_ok < now() - interval '1 hour' OR w.failures >= 3 OR w.backlog >= 1000000 ORDER BY s.step;

CALL airun_work();

SELECT step, rows, backlog, failures, now() - last_ok < interval '1 minute' AS is_recent
FROM airun.worker_status WHERE step IN ('expire_tasks', 'expire_calls', 'fold') ORDER BY last_started;

-- with more time than a busy machine takes, so that each step has had its turn
CALL airun_work(600000);
SELECT s.step, w.failures, w.last_error, w.backlog
FROM unnest('{expire_tasks,expire_calls,fold,reprice,partitions,prune}'::text[]) AS s (step)
LEFT JOIN airun.worker_status AS w ON w.step = s.step
WHERE w.last_ok IS NULL OR w.last_ok < now() - interval '1 hour' OR w.failures >= 3 OR w.backlog >= 1000000 ORDER BY s.step;

-- and where one step has not, or has failed thrice
UPDATE airun.worker_status SET failures = 3, last_error = '57014: cancelled' WHERE step = 'fold';
UPDATE airun.worker_status SET last_ok = now() - interval '61 minutes' WHERE step = 'prune';
SELECT s.step, w.failures, w.last_error, w.backlog
FROM unnest('{expire_tasks,expire_calls,fold,reprice,partitions,prune}'::text[]) AS s (step)
LEFT JOIN airun.worker_status AS w ON w.step = s.step
WHERE w.last_ok IS NULL OR w.last_ok < now() - interval '1 hour' OR w.failures >= 3 OR w.backlog >= 1000000 ORDER BY s.step;
CALL airun_work(600000);

CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'tasks are being audited';
END $$;

CREATE TRIGGER veto BEFORE UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION veto();

SELECT status FROM airun_create_task(:'run_id', timeout => '1 us');

CALL airun_work();

SELECT step, failures, last_error, retry_at - last_failed AS pause FROM airun.worker_status WHERE failures > 0;

DROP TRIGGER veto ON airun.tasks;
DELETE FROM airun.worker_status WHERE step = 'expire_tasks';
CALL airun_work();

SELECT rows, failures FROM airun.worker_status WHERE step = 'expire_tasks';

-- sizes are not the test's
\o /dev/null
SELECT s.relname AS table, pg_size_pretty(pg_total_relation_size(s.relid)) AS size, s.n_live_tup AS live, s.n_dead_tup AS dead
FROM pg_stat_user_tables AS s WHERE s.schemaname = 'airun' ORDER BY pg_total_relation_size(s.relid) DESC LIMIT 5;
\o

TRUNCATE airun.retention;
SET airun.user_id = 'gone@example.com';
SELECT id AS gone FROM airun_create_run() \gset
SELECT count(airun_start_turn(:'gone', '{"role": "user", "content": "Who am I?"}', task_id => '0f300000-0000-4000-9000-000000000001')) \gset
SELECT count(airun_finish_turn('0f300000-0000-4000-9000-000000000001', '{"role": "assistant", "content": "You."}')) \gset
SELECT count(airun_meter(service => 'upkeep')) \gset
SET airun.user_id = 'upkeep@example.com';

INSERT INTO airun.retention (kind, source_type, status, age, action) VALUES
    ('run', 'chat', NULL, '90 days', 'strip'),    -- a chat loses its words after three months
    ('run', 'chat', NULL, '2 years', 'delete'),   -- and goes after two years
    ('run', 'action', 'error', '7 days', 'delete'),
    ('run', 'contract', NULL, NULL, 'delete'),    -- for good, whatever the next row says
    ('run', NULL, NULL, '1 year', 'delete'),
    ('call', NULL, NULL, '14 days', 'delete');

SELECT airun_prune() AS pruned;

INSERT INTO airun.retention (kind, age) VALUES ('deleted', '30 days');

SELECT airun_purge_runs(deleted_before => now() - interval '30 days', max_runs => 10000) AS purged;

SELECT * FROM airun_erase_user(airun_user_uuid('gone@example.com'));

TRUNCATE airun.retention;
DROP FUNCTION veto();
REVOKE ALL ON airun.worker_status FROM regress_airun_monitor;
REVOKE ALL ON SCHEMA airun FROM regress_airun_monitor;
DROP ROLE regress_airun_monitor;
