--
-- What the tests share: how a command is answered, and ids of runs and tasks that
-- belong to one test.  This one comes first.  A test that uses it puts the schema
-- into its search_path and says with helpers.ids how the ids of its runs begin;
-- those of its tasks have a 9 for the 8.
--
SET client_min_messages = warning;
CREATE SCHEMA helpers;
GRANT USAGE ON SCHEMA helpers TO PUBLIC;
SET search_path = helpers, public;

-- the test's run and task number n
CREATE FUNCTION run_id(n int) RETURNS uuid LANGUAGE sql STABLE AS
$$SELECT concat(current_setting('helpers.ids'), '-', lpad(n::text, 12, '0'))::uuid$$;
CREATE FUNCTION task_id(n int) RETURNS uuid LANGUAGE sql STABLE AS
$$SELECT overlay(helpers.run_id(n)::text PLACING '9' FROM 20)::uuid$$;

-- so many tasks of a run
CREATE FUNCTION new_tasks(first int, last int, run int DEFAULT 1, timeout interval DEFAULT NULL) RETURNS bigint LANGUAGE sql AS
$$SELECT count(airun_create_task(helpers.run_id(run), helpers.task_id(n), timeout => timeout)) FROM generate_series(first, last) AS n$$;

-- a message
CREATE FUNCTION say(content text, role text DEFAULT 'user') RETURNS jsonb LANGUAGE sql IMMUTABLE AS
$$SELECT jsonb_build_object('role', role, 'content', content)$$;

-- what a command gives: its first value or how many rows it has changed; or what it
-- is refused with: SQLSTATE and message and, where all is asked for, detail and hint
CREATE FUNCTION attempt(command text, whole boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	rows bigint;
	detail text;
	hint text;
BEGIN
	IF command ~* '^\s*(SELECT|WITH|TABLE)\M|\sRETURNING\s' THEN
		EXECUTE command INTO result;
		RETURN coalesce(result, '(null)');
	END IF;
	EXECUTE command;
	GET DIAGNOSTICS rows = ROW_COUNT;
	RETURN rows || ' rows';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || SQLERRM || CASE WHEN whole THEN format(' | %s | %s', detail, hint) ELSE '' END;
END $$;
CREATE FUNCTION answer(command text) RETURNS text LANGUAGE sql AS
$$SELECT helpers.attempt(command, true)$$;

-- the SQLSTATE of a command that is refused, its detail and its hint
CREATE FUNCTION hint_of(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
	detail text;
BEGIN
	EXECUTE command;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' / ', SQLSTATE, nullif(detail, ''), nullif(hint, ''));
END $$;

-- everything in the store, as one value; there is none yet
SET check_function_bodies = off;
CREATE FUNCTION store() RETURNS text LANGUAGE sql AS $$
	SELECT md5(concat((SELECT string_agg(r::text, E'\n' ORDER BY id) FROM airun.runs r),
		(SELECT string_agg(m::text, E'\n' ORDER BY run_id, seq) FROM airun.messages m),
		(SELECT string_agg(v::text, E'\n' ORDER BY run_id, seq, version) FROM airun.message_versions v),
		(SELECT string_agg(t::text, E'\n' ORDER BY run_id, task_id) FROM airun.tasks t)))
$$;
