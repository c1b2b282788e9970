--
-- The columns of tasks stand in two lists: install/tables.sql for SQL, and
-- task/task_columns.h for C.  Here both are asked what becomes of each column, so
-- that one that is missing in either, or stands in another place, shows.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA columns_test;
SET search_path = columns_test, helpers, public;
SET helpers.ids = 'c0100000-0000-4000-8000';
SET airun.user_id = 'columns test';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- a value for a column, that no other column and no new task has
CREATE FUNCTION sample(name text, type text, place bigint) RETURNS text LANGUAGE sql AS $$
	SELECT CASE
		WHEN name = 'status' THEN 'streaming'
		WHEN name = 'tokens_total' THEN '99000000000'
		WHEN type = 'bigint' THEN (5000000000 + place)::text
		WHEN type = 'text' THEN 'some ' || name
		WHEN type = 'jsonb' THEN jsonb_build_object('some', name)::text
		WHEN type = 'uuid' THEN md5(name)::uuid::text
		WHEN type = 'boolean' THEN 'true'
		WHEN type = 'interval' THEN '17 hours'
		WHEN type IN ('timestamptz', 'timestamp with time zone') THEN '2001-02-03 04:05Z'
		ELSE (1000 + place)::text END
$$;
CREATE VIEW columns AS
	SELECT name, type, in_view, in_summary, sample(name, type, place) AS value, place
	FROM airun_store_columns() WITH ORDINALITY AS c (relation, name, type, required, value, in_view, in_summary, comment, place)
	WHERE relation = 'tasks';
-- what a command for each column is answered: the columns, by answer
CREATE FUNCTION by_answer(command text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT format('%s: %s', answer, string_agg(name, ' ' ORDER BY place))
	FROM (SELECT c.*, left(attempt(format(command, c.name, c.value)), 6) AS answer FROM columns AS c OFFSET 0) AS a
	GROUP BY answer ORDER BY answer;
END $$;

DO $$BEGIN PERFORM airun_create_run(id => run_id(1), name => 'columns'); END$$;
SELECT new_tasks(1, 1);
DO $$BEGIN PERFORM airun_create_task(run_id(1), task_id(2)); PERFORM airun_complete_task(task_id(2)); END$$;

--
-- Who may set a column past the functions: the table has no other ones
--
CREATE FUNCTION change(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	RETURN 'set';
END $$;
-- of a new task
SELECT by_answer('SELECT change(format(''INSERT INTO airun.tasks (run_id, %%I) VALUES (run_id(1), %%L)'', %1$L, %2$L))');
-- of one that has not ended
SELECT by_answer('SELECT change(format(''UPDATE airun.tasks SET %%I = %%L WHERE task_id = task_id(1)'', %1$L, %2$L))');
-- of one that has
SELECT by_answer('SELECT change(format(''UPDATE airun.tasks SET %%I = %%L WHERE task_id = task_id(2)'', %1$L, %2$L))');

--
-- The view has what its list says, and nothing that it is given is lost, but for a
-- cost that is not trusted: client_cost has it
--
CREATE FUNCTION view_insert(column_name text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	given jsonb;
	shown jsonb;
BEGIN
	EXECUTE format('INSERT INTO ai_tasks AS t (run_id, %1$s) VALUES (run_id(1), %2$L) RETURNING to_jsonb(t)', column_name, value) INTO shown;
	given := to_jsonb(jsonb_populate_record(NULL::ai_tasks, jsonb_build_object(column_name,
		CASE WHEN jsonb_typeof(shown -> column_name) = 'object' THEN value::jsonb ELSE to_jsonb(value) END)));
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	RETURN CASE WHEN shown -> column_name = given -> column_name THEN 'kept' ELSE 'lost' END;
END $$;
SELECT by_answer('SELECT view_insert(%1$L, %2$L)');
CREATE FUNCTION view_update(column_name text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before jsonb;
	after jsonb;
BEGIN
	SELECT to_jsonb(t) INTO before FROM ai_tasks AS t WHERE t.run_id = run_id(1) AND t.task_id = task_id(1);
	EXECUTE format('UPDATE ai_tasks AS t SET %1$s = %2$L WHERE t.run_id = run_id(1) AND t.task_id = task_id(1)', column_name, value);
	SELECT to_jsonb(t) INTO after FROM ai_tasks AS t WHERE t.run_id = run_id(1) AND t.task_id = task_id(1);
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
	RETURN CASE WHEN after -> column_name <> before -> column_name THEN 'set' ELSE 'lost' END;
END $$;
SELECT by_answer('SELECT view_update(%1$L, %2$L)');

--
-- What the functions are given goes to the column of its name, whatever its place
--
CREATE FUNCTION call(function text, n int, more text DEFAULT NULL) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	arguments text;
	stored jsonb;
	names text[];
BEGIN
	SELECT string_agg(format(', %I => %L::%s', a.name, c.value, c.type), ''), array_agg(a.name ORDER BY a.name)
	INTO arguments, names
	FROM pg_proc AS p, unnest(p.proargnames) AS a (name), columns AS c
	WHERE p.proname = function AND c.name = a.name AND c.name NOT IN ('run_id', 'task_id');
	EXECUTE format('SELECT %I(run_id => run_id(1), task_id => task_id(%s)%s%s)', function, n, arguments, ', ' || more);
	SELECT to_jsonb(t) || jsonb_build_object('cost', t.client_cost) INTO stored
	FROM airun.tasks AS t WHERE t.run_id = run_id(1) AND t.task_id = task_id(n);
	RETURN NEXT format('%s: %s', function, array_to_string(names, ' '));
	RETURN QUERY SELECT format('WRONG: %s is %s', c.name, stored -> c.name)
	FROM columns AS c
	WHERE c.name = ANY (names) AND stored -> c.name IS DISTINCT FROM
		to_jsonb(jsonb_populate_record(NULL::airun.tasks, jsonb_build_object(c.name,
			CASE WHEN c.type = 'jsonb' THEN c.value::jsonb ELSE to_jsonb(c.value) END))) -> c.name;
END $$;
SELECT call('airun_create_task', 11);
SELECT call('airun_start_turn', 12, $$messages => say('question')$$);
SELECT call('airun_complete_task', 11);
SELECT call('airun_finish_turn', 12, $$message => say('answer', 'assistant')$$);
SELECT new_tasks(13, 14);
SELECT call('airun_fail_task', 13);
SELECT call('airun_cancel_task', 14);

--
-- A summary has the columns of the table, each in its place: as it is written, as
-- it is read, in a turn and in a run
--
CREATE FUNCTION compared(how text, n int, summary jsonb) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s: %s columns, %s of them with a value', how, count(*), count(*) FILTER (WHERE summary -> c.name <> 'null'))
	FROM columns AS c WHERE c.in_summary IS NOT NULL
	UNION ALL
	SELECT format('WRONG: %s is %s instead of %s', key, summary -> key, t.task -> key)
	FROM jsonb_each(summary) AS s (key, value), (SELECT to_jsonb(t) AS task FROM airun.tasks AS t WHERE t.run_id = run_id(1) AND t.task_id = task_id(n)) AS t
	WHERE t.task -> key IS DISTINCT FROM value
	UNION ALL
	SELECT format('MISSING: %s', c.name) FROM columns AS c WHERE c.in_summary IS NOT NULL AND NOT summary ? c.name
$$;
SELECT compared('created', 21, to_jsonb(airun_create_task(run_id(1), task_id(21), 'a service', 'a name', 'a provider', 'an endpoint', 'a model', metadata => '{"a": 1}')));
SELECT compared('streamed', 21, to_jsonb(airun_update_task(task_id(21), response_data => '{}')) || jsonb_build_object('response_length', 0));
SELECT compared('ended', 21, to_jsonb(airun_complete_task(task_id(21), 'text', '{"a": 2}', 3, 4, 50, 0.6, 7, 8, '{"a": 9}', 'a reason')));
SELECT compared('read', 21, to_jsonb(airun_complete_task(task_id(21))));
SELECT compared('in a run', 21, task - 'response_text')
FROM jsonb_array_elements(to_jsonb(airun_get_run(run_id(1))) -> 'tasks') AS task WHERE task ->> 'task_id' = task_id(21)::text;

--
-- A function that an older version of the extension has declared is told from its
-- number of arguments
--
SELECT quote_literal(probin) AS library FROM pg_proc WHERE proname = 'airun_create_task' \gset
CREATE FUNCTION columns_test.create_task(run_id uuid, task_id uuid) RETURNS ai_task_summary AS :library, 'airun_create_task' LANGUAGE c;
CREATE FUNCTION columns_test.complete_task(task_id uuid, text text, run_id uuid) RETURNS ai_task_summary AS :library, 'airun_complete_task' LANGUAGE c;
SELECT attempt('SELECT create_task(run_id(1), task_id(31))', true);
SELECT attempt('SELECT complete_task(task_id(1), NULL, run_id(1))', true);

SELECT * FROM airun_check();
DELETE FROM airun.runs WHERE id = run_id(1);
