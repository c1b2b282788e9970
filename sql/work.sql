--
-- airun_work(): the steps of upkeep, each in transactions of its own, in the name of the
-- store's owner; what a step has come to stands in airun.worker_status.  W1, W9, W10,
-- W16.
-- A database of its own, so that the store's owner is no superuser and there is nothing
-- to do but what is made here.
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
\pset null NULL
SET client_min_messages = error;
\set original :DBNAME
CREATE ROLE regress_airun_keeper;
CREATE ROLE regress_airun_member;
GRANT regress_airun_keeper TO regress_airun_member;
CREATE ROLE regress_airun_operator;
CREATE DATABASE contrib_regression_work OWNER regress_airun_keeper;
\c contrib_regression_work
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
\pset null NULL
SET client_min_messages = error;
CREATE EXTENSION airun;
-- without a store
CALL airun_work();
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO regress_airun_keeper WITH GRANT OPTION;
GRANT CREATE ON DATABASE contrib_regression_work TO regress_airun_keeper;
SET ROLE regress_airun_keeper;
SELECT split_part(airun_install(), E'\n', 1);
SELECT airun_grant('regress_airun_operator', 'operator');
RESET ROLE;
SET airun.user_id = 'work test';

-- what each step has come to, without times
CREATE VIEW status AS
SELECT step, rows, backlog, failures, last_error, last_started IS NOT NULL AS started, last_ok >= last_started AS ok, last_failed >= last_started AS failed,
	round(extract(epoch FROM retry_at - last_failed) / 60) AS retry_in, ms >= 0 AS timed
FROM airun.worker_status WHERE step IN ('expire_calls', 'expire_tasks', 'fold', 'reprice') ORDER BY step;

-- nothing to do
CALL airun_work();
SELECT * FROM status;

-- what is overdue ends, and is folded after that: 700 tasks in batches, and 3 calls
INSERT INTO airun.runs (id, user_id) SELECT ('0f000000-0000-4000-8000-0000000000' || lpad(n::text, 2, '0'))::uuid, airun_user_id() FROM generate_series(1, 7) AS n;
INSERT INTO airun.tasks (run_id, task_id, timeout)
SELECT ('0f000000-0000-4000-8000-0000000000' || lpad((1 + n % 7)::text, 2, '0'))::uuid, ('0f100000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, '1 us' FROM generate_series(1, 700) AS n;
SELECT count(airun_start_call(timeout => '1 us')) FROM generate_series(1, 3);
SELECT count(airun_create_task('0f000000-0000-4000-8000-000000000001'));
CALL airun_work();
SELECT * FROM status;
SELECT status, error, count(*) FROM airun.tasks GROUP BY 1, 2 ORDER BY 1;
SELECT count(*) FROM airun.usage_tail;
SELECT sum(calls), sum(errors) FROM airun.usage_clock;
SELECT * FROM airun_check() UNION ALL SELECT * FROM airun_check_usage();

-- W16: when the time is over, a step stops behind what it is at, and says what is left
SELECT count(airun_meter(service => 'many')) FROM generate_series(1, 5100);
CALL airun_work(1);
SELECT * FROM status WHERE step = 'fold';
CALL airun_work();
SELECT * FROM status WHERE step = 'fold';
SELECT * FROM airun_check_usage();

-- What has waited for a price is charged once there is one: in parts, and not again before
-- the price book changes
SELECT count(*) FROM airun.tasks WHERE price_status = 'unpriced';
INSERT INTO airun.tasks (run_id, task_id, status, model_id, usage)
SELECT ('0f000000-0000-4000-8000-0000000000' || lpad((1 + n % 7)::text, 2, '0'))::uuid, ('0f200000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'completed',
	CASE WHEN n % 100 = 0 THEN 'work-a' ELSE 'work-b' END, '{"prompt_tokens": 7}' FROM generate_series(1, 1500) AS n;
SELECT count(airun_meter(model_id => 'work-a', tokens_input => 11)) FROM generate_series(1, 3);
CALL airun_work();
SELECT rows, backlog, position FROM airun.worker_status WHERE step = 'reprice';
SELECT airun_set_price('work-a', '{"input": 0.01}', effective_from => '-infinity') IS NOT NULL;
CALL airun_work(1);
SELECT rows, backlog, position = version::text AS done, position LIKE version || ' 0f000000-%' AS on_its_way FROM airun.worker_status, airun.price_book WHERE step = 'reprice';
CALL airun_work();
SELECT rows > 0 AS any, backlog, position = version::text AS done FROM airun.worker_status, airun.price_book WHERE step = 'reprice';
SELECT model_id, price_status, count(*), sum(cost) FROM airun.tasks WHERE model_id ~ '^work' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT model_id, price_status, count(*), sum(cost) FROM airun.calls WHERE model_id ~ '^work' GROUP BY 1, 2 ORDER BY 1, 2;
CALL airun_work();
SELECT rows FROM airun.worker_status WHERE step = 'reprice';
-- another change while it is on its way: it begins anew
UPDATE airun.worker_status SET position = (SELECT version FROM airun.price_book) || ' 0f000000-0000-4000-8000-000000000007 00000000-0000-4000-8000-000000000000' WHERE step = 'reprice';
SELECT airun_set_price('work-b', '{"input": 0.001}', effective_from => '-infinity') IS NOT NULL;
CALL airun_work();
SELECT rows, backlog, position = version::text AS done FROM airun.worker_status, airun.price_book WHERE step = 'reprice';
SELECT model_id, price_status, count(*), sum(cost) FROM airun.tasks WHERE model_id ~ '^work' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM airun_check() UNION ALL SELECT * FROM airun_check_usage();

-- W9: a step that fails takes nothing with it; it is not tried again at once, but in a
-- minute, then two, four, ... up to an hour; its error, without what users wrote
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'not today' USING ERRCODE = 'PT418', DETAIL = 'secret';
END$$;
CREATE TRIGGER fail BEFORE UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION fail();
SELECT count(airun_create_task('0f000000-0000-4000-8000-000000000002', timeout => '1 us')), count(airun_start_call(timeout => '1 us')), count(airun_meter());
SET client_min_messages = warning;
CALL airun_work();
SELECT * FROM status;
-- nor is it tried again when the others are
UPDATE airun.worker_status SET rows = -1, last_ok = NULL, ms = NULL;
CALL airun_work();
SELECT step, rows, failures FROM status;
-- the second time, the seventh, and later
UPDATE airun.worker_status SET retry_at = now();
CALL airun_work();
SELECT * FROM status WHERE step = 'expire_tasks';
UPDATE airun.worker_status SET retry_at = NULL, failures = 5 WHERE step = 'expire_tasks';
CALL airun_work();
SELECT * FROM status WHERE step = 'expire_tasks';
UPDATE airun.worker_status SET retry_at = NULL, failures = 2147483646 WHERE step = 'expire_tasks';
CALL airun_work();
SELECT * FROM status WHERE step = 'expire_tasks';
UPDATE airun.worker_status SET retry_at = NULL WHERE step = 'expire_tasks';
CALL airun_work();
SELECT * FROM status WHERE step = 'expire_tasks';
-- who has mended it forgets the failure
DROP TRIGGER fail ON airun.tasks;
DELETE FROM airun.worker_status WHERE step = 'expire_tasks';
CALL airun_work();
SELECT * FROM status WHERE step = 'expire_tasks';
-- an error is cut between two characters
CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION '%', repeat('ü€', 1000); END$$;
CREATE TRIGGER fail BEFORE UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION fail();
SELECT count(airun_create_task('0f000000-0000-4000-8000-000000000002', timeout => '1 us'));
SET client_min_messages = error;
CALL airun_work();
SELECT octet_length(last_error), right(last_error, 3) FROM airun.worker_status WHERE step = 'expire_tasks';

-- Whoever calls, a site's triggers run as the owner of the store, and leave nothing
-- behind that would run as the caller
CREATE TABLE seen (who name, session name, path text, timeout text, note text);
GRANT ALL ON seen TO PUBLIC;
CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen VALUES (current_user, session_user, current_setting('search_path'), current_setting('lock_timeout'));
	PERFORM set_config('airun.user_id', 'mallory', false), set_config('search_path', 'mallory', false);
	BEGIN
		SET SESSION AUTHORIZATION DEFAULT;
	EXCEPTION WHEN OTHERS THEN
		UPDATE public.seen SET note = SQLERRM;
	END;
	RETURN NEW;
END$$;
SET search_path = public;
UPDATE airun.worker_status SET retry_at = NULL;
SELECT current_user AS caller \gset
CALL airun_work();
SELECT DISTINCT who, session = :'caller', path, timeout, note FROM seen;
SHOW airun.user_id;
SHOW search_path;
SELECT current_user = :'caller', pg_trigger_depth();
SELECT * FROM status WHERE step = 'expire_tasks';
-- what a site defers is done at once, by the owner, and what would be left to the caller is refused
DROP TRIGGER fail ON airun.tasks;
TRUNCATE seen;
CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON airun.tasks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail();
SELECT count(airun_create_task('0f000000-0000-4000-8000-000000000002', timeout => '1 us'));
CALL airun_work();
SELECT DISTINCT who FROM seen;
SELECT * FROM status WHERE step = 'expire_tasks';
CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN CREATE TEMPORARY TABLE left_behind (); RETURN NEW; END$$;
SELECT count(airun_create_task('0f000000-0000-4000-8000-000000000002', timeout => '1 us'));
CALL airun_work();
SELECT last_error FROM status WHERE step = 'expire_tasks';
DROP TRIGGER fail ON airun.tasks;
DELETE FROM airun.worker_status;

-- cancelled, it is cancelled, and no failure of a step
CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(60); RETURN NEW; END$$;
CREATE TRIGGER fail BEFORE UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION fail();
SET statement_timeout = '300ms';
\set VERBOSITY sqlstate
CALL airun_work();
\set VERBOSITY terse
RESET statement_timeout;
SELECT step, started, ok, failures FROM status;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory';
DROP TRIGGER fail ON airun.tasks;
CALL airun_work();
SELECT step, rows, ok, failures FROM status;

-- W10: an owner that is renamed, one that is another
ALTER ROLE regress_airun_keeper RENAME TO regress_airun_caretaker;
SELECT count(airun_create_task('0f000000-0000-4000-8000-000000000002', timeout => '1 us'));
CALL airun_work();
SELECT step, rows, ok, failures FROM status;
ALTER ROLE regress_airun_caretaker RENAME TO regress_airun_keeper;

--
-- Who may, and where
--
SET ROLE regress_airun_operator;
CALL airun_work();
RESET ROLE;
GRANT EXECUTE ON PROCEDURE airun_work TO regress_airun_operator;
\set VERBOSITY default
SET ROLE regress_airun_operator;
CALL airun_work();
RESET ROLE;
SET ROLE regress_airun_member;
CALL airun_work();
RESET ROLE;
SET ROLE regress_airun_keeper;
CALL airun_work();
RESET ROLE;
-- an operator watches, and changes nothing
SET ROLE regress_airun_operator;
SELECT count(*) > 0 AS any FROM airun.worker_status;
UPDATE airun.worker_status SET failures = 0;
DELETE FROM airun.worker_status;
RESET ROLE;
\set VERBOSITY sqlstate
CALL airun_work(0);
CALL airun_work(-1);
CALL airun_work(2147483648);
CALL airun_work(NULL);
\set VERBOSITY default
CALL airun_work(0);
BEGIN;
CALL airun_work();
ROLLBACK;
DO $$BEGIN CALL airun_work(); END$$;
\set VERBOSITY sqlstate
CREATE FUNCTION work() RETURNS void LANGUAGE plpgsql AS $$BEGIN CALL airun_work(); END$$;
SELECT work();
DO $$BEGIN BEGIN CALL airun_work(); EXCEPTION WHEN division_by_zero THEN NULL; END; END$$;
SET default_transaction_read_only = on;
CALL airun_work();
RESET default_transaction_read_only;
-- a store that lacks the table
DROP TABLE airun.worker_status CASCADE;
\set VERBOSITY default
CALL airun_work();
SET ROLE regress_airun_keeper;
SELECT airun_install();
RESET ROLE;
CALL airun_work();
SELECT * FROM airun_check() UNION ALL SELECT * FROM airun_check_usage();


-- a store in partitions has those of the months to come
SELECT rows FROM airun.worker_status WHERE step = 'partitions';
SET ROLE regress_airun_keeper;
SELECT airun_partition(0) IS NOT NULL;
RESET ROLE;
CALL airun_work();
SELECT rows, backlog, failures FROM airun.worker_status WHERE step = 'partitions';
CALL airun_work();
SELECT rows, backlog, failures FROM airun.worker_status WHERE step = 'partitions';
SELECT * FROM airun_check() UNION ALL SELECT * FROM airun_check_usage();

\c :original
DROP DATABASE contrib_regression_work;
DROP ROLE regress_airun_keeper, regress_airun_member, regress_airun_operator;
