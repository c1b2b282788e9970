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

CALL airun_work();

SELECT step, rows, backlog, failures, now() - last_ok < interval '1 minute' AS is_recent
FROM airun.worker_status WHERE step IN ('expire_tasks', 'expire_calls', 'fold') ORDER BY last_started;

SELECT step, failures, last_error, backlog FROM airun.worker_status
WHERE failures >= 3 OR last_ok IS NULL OR last_ok < now() - interval '1 hour' OR backlog > 1000000;

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

DROP FUNCTION veto();
REVOKE ALL ON airun.worker_status FROM regress_airun_monitor;
REVOKE ALL ON SCHEMA airun FROM regress_airun_monitor;
DROP ROLE regress_airun_monitor;
