/*
 * import_tables.sql: an application's own tables of runs and tasks, brought in
 *
 * For the owner of the store.  A batch of runs is read from its table by statements
 * of a few columns each: the runs go in as anybody's, the messages of all of them by
 * one statement (import_tables.c), the tasks as anybody's, and at last the runs get
 * the status and the time that they have in the source.
 *
 * Whatever a batch cannot take is found by halves: what fails alone is reported, and
 * the others come in.  What is there already, by its id, is left alone.  A fault of the
 * call or of the server (a right or a column that is missing, a deadlock, a full disk)
 * ends the call.
 *
 * A task whose time the source does not tell is of the moment before it comes in: what
 * happened before counts in no budget.
 *
 * Locks: the new runs' rows, batch by batch, until the end of the transaction.
 */

/*
 * The columns that are brought in.  A column of the source has the same name, or one
 * of the others.  What is computed is taken from nobody.
 */
CREATE FUNCTION @extschema@.airun_store_import_columns()
RETURNS TABLE (relation text, name text, type text, others text[])
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $columns$
VALUES
	('runs', 'id', 'uuid', '{}'::text[]),
	('runs', 'user_id', 'uuid', '{}'),
	('runs', 'source_type', 'text', '{}'),
	('runs', 'source_id', 'uuid', '{}'),
	('runs', 'name', 'text', '{title}'),
	('runs', 'description', 'text', '{}'),
	('runs', 'tags', 'text[]', '{}'),
	('runs', 'messages', 'jsonb', '{}'),
	('runs', 'settings', 'jsonb', '{}'),
	('runs', 'variable_values', 'jsonb', '{}'),
	('runs', 'metadata', 'jsonb', '{}'),
	('runs', 'status', 'text', '{}'),
	('runs', 'is_starred', 'boolean', '{}'),
	('runs', 'is_archived', 'boolean', '{}'),
	('runs', 'deleted_at', 'timestamptz', '{}'),
	('runs', 'created_at', 'timestamptz', '{}'),
	('runs', 'updated_at', 'timestamptz', '{}'),
	('tasks', 'task_id', 'uuid', '{id}'),
	('tasks', 'run_id', 'uuid', '{}'),
	('tasks', 'user_id', 'uuid', '{}'),
	('tasks', 'service', 'text', '{}'),
	('tasks', 'task_name', 'text', '{}'),
	('tasks', 'provider', 'text', '{}'),
	('tasks', 'endpoint', 'text', '{}'),
	('tasks', 'model_id', 'text', '{model}'),
	('tasks', 'finish_reason', 'text', '{}'),
	('tasks', 'request_data', 'jsonb', '{}'),
	('tasks', 'response_text', 'text', '{}'),
	('tasks', 'response_data', 'jsonb', '{}'),
	('tasks', 'error', 'jsonb', '{response_errors}'),
	('tasks', 'usage', 'jsonb', '{}'),
	('tasks', 'tokens_input', 'bigint', '{}'),
	('tasks', 'tokens_output', 'bigint', '{}'),
	('tasks', 'tokens_total', 'bigint', '{}'),
	('tasks', 'cost', 'numeric', '{}'),
	('tasks', 'time_to_first_token', 'numeric', '{}'),
	('tasks', 'total_time', 'numeric', '{}'),
	('tasks', 'status', 'text', '{}'),
	('tasks', 'metadata', 'jsonb', '{}'),
	('tasks', 'created_at', 'timestamptz', '{}'),
	('tasks', 'updated_at', 'timestamptz', '{}'),
	('tasks', 'completed_at', 'timestamptz', '{}')
$columns$;
COMMENT ON FUNCTION @extschema@.airun_store_import_columns() IS
'The columns that airun_import_tables() brings in';

/*
 * For each of these columns the expression over a row s of the source, and as "rest"
 * an object of the columns that are none of them.  PT422 for a mapping that names what
 * is not there.
 */
CREATE FUNCTION @extschema@.airun_store_import_expressions(relation text, source regclass,
	mapping jsonb)
RETURNS jsonb
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $expressions$
#variable_conflict use_variable
DECLARE
	computed constant text[] :=
		'{id,total_tokens,total_cost,message_count,task_count,last_message_at,
		active_hour,response_complete}';
	item record;
	used text[] := '{}';
	others text := $$'{}'::jsonb$$;		-- what is kept in the metadata
	figure constant text := $$CASE WHEN %1$s ~ '%2$s' THEN (%1$s)::numeric::%3$s END$$;
	result jsonb := '{}';
BEGIN
	SELECT m.key, m.value INTO item FROM jsonb_each(mapping) AS m
	WHERE jsonb_typeof(m.value) NOT IN ('string', 'null') OR NOT EXISTS (
		SELECT FROM @extschema@.airun_store_import_columns() AS c
		WHERE c.relation = relation AND c.name = m.key);
	IF FOUND THEN
		RAISE EXCEPTION '"mapping" says nothing about column "%" of %', item.key, relation
			USING ERRCODE = 'PT422',
				DETAIL = 'There is no such column to bring in, or its value is neither a string '
					'nor null.',
				HINT = 'Write {"runs": {"name": "title"}}: airun''s column, and that '
					'of the source.';
	END IF;
	FOR item IN
		SELECT c.name, c.type, a.attname, format_type(a.atttypid, NULL) AS source_type,
			m.value #>> '{}' AS mapped
		FROM @extschema@.airun_store_import_columns() AS c
		LEFT JOIN jsonb_each(mapping) AS m ON m.key = c.name
		LEFT JOIN LATERAL (
			SELECT a.attname, a.atttypid
			FROM unnest(CASE WHEN m.key IS NULL THEN c.name || c.others
				ELSE ARRAY[m.value #>> '{}'] END) WITH ORDINALITY AS n (name, place)
			JOIN pg_attribute AS a ON a.attrelid = source AND a.attname = n.name
				AND a.attnum > 0 AND NOT a.attisdropped
			ORDER BY n.place LIMIT 1) AS a ON true
		WHERE c.relation = relation
	LOOP
		IF item.attname IS NULL AND (item.mapped IS NOT NULL
			OR item.name IN ('id', 'messages', 'task_id', 'run_id')) THEN
			RAISE EXCEPTION 'table % has no column "%"', source, COALESCE(item.mapped, item.name)
				USING ERRCODE = 'PT422',
					HINT = 'Name the column in "mapping", or bring in a view that has it.';
		END IF;
		IF item.attname IS NOT NULL AND item.name IN ('id', 'task_id', 'run_id')
			AND item.source_type <> 'uuid' THEN
			RAISE EXCEPTION 'column "%" of % is no uuid', item.attname, source
				USING ERRCODE = 'PT422',
					DETAIL = format('Its type is %s.', item.source_type),
					HINT = 'Bring in a view that makes a uuid of it, such as md5(id)::uuid.';
		END IF;
		used := array_remove(used || item.attname::text, NULL);
		result := result || jsonb_build_object(item.name, CASE
			WHEN item.attname IS NULL THEN 'NULL::' || item.type
			WHEN item.type = 'text[]' AND item.source_type IN ('json', 'jsonb') THEN
				format('ARRAY(SELECT jsonb_array_elements_text(s.%I::jsonb))', item.attname)
			WHEN item.name = 'source_id' AND item.source_type <> 'uuid' THEN
				format($$CASE WHEN s.%1$I::text ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
					THEN s.%1$I::text::uuid END$$, item.attname)
			WHEN item.type IN ('bigint', 'numeric')
				AND item.source_type NOT IN ('smallint', 'integer', 'bigint', item.type) THEN
				format(figure, CASE WHEN item.source_type IN ('json', 'jsonb')
						THEN format('(s.%I #>> ''{}'')', item.attname)
						ELSE format('s.%I::text', item.attname) END,
					CASE item.type WHEN 'bigint' THEN '^\s*[+-]?\d{1,18}(\.0*)?\s*$'
						ELSE '^\s*[+-]?(\d{1,99}\.?|\d{0,99}\.\d{1,99})'
							'([eE][+-]?\d{1,2})?\s*$' END,
					item.type)
			ELSE format('s.%I::%s', item.attname, item.type) END);
		-- What is no uuid, or no figure, is kept beside, where airun_install_original() shows it.
		IF result ->> item.name LIKE 'CASE WHEN %' THEN
			others := others || format($$ || jsonb_build_object(%L,
				CASE WHEN %s IS NULL THEN s.%I END)$$,
							 item.name, result ->> item.name, item.attname);
		END IF;
	END LOOP;
	RETURN result || jsonb_build_object('rest', format('jsonb_strip_nulls(%s)',
		concat_ws(' || ', others, (
			SELECT string_agg(format('jsonb_build_object(%L, s.%I)', a.attname, a.attname), ' || ')
			FROM pg_attribute AS a
			WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
				AND a.attname <> ALL (used || computed)))));
END
$expressions$;
COMMENT ON FUNCTION @extschema@.airun_store_import_expressions(text, regclass, jsonb) IS
'What airun_import_tables() reads of a table, as expressions';

/*
 * The statements that bring runs and tasks in; $1 are the ids of rows of the source.
 */
CREATE FUNCTION @extschema@.airun_store_import_statements(runs regclass, tasks regclass,
	mapping jsonb)
RETURNS jsonb
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $statements$
DECLARE
	kept constant text := $$CASE WHEN %2$s = '{}' THEN COALESCE(%1$s, '{}')
		ELSE COALESCE(%1$s, '{}')
		|| jsonb_build_object('airun_original', %2$s) END$$;
	r jsonb := @extschema@.airun_store_import_expressions('runs', runs, mapping -> 'runs');
	t jsonb;
	result jsonb;
BEGIN
	result := jsonb_build_object(
		'pending', format('SELECT %s, pg_column_size(%s) FROM %s AS s
			WHERE NOT EXISTS (SELECT FROM airun.runs AS r WHERE r.id = %1$s) ORDER BY 1',
			r ->> 'id', replace(r ->> 'messages', '::jsonb', ''), runs),
		'runs', format($$WITH i AS (
			INSERT INTO airun.runs (id, user_id, source_type, source_id, name, description, tags,
				settings, variable_values, metadata, status, is_starred, is_archived, created_at)
			SELECT %1$s, CASE WHEN %2$s IN ('completed', 'archived', 'deleted') THEN 'active'
				ELSE %2$s END,
				%3$s, COALESCE(%4$s, false) OR COALESCE(%2$s = 'archived', false), %5$s
			FROM %6$s AS s WHERE %7$s = ANY ($1)
			ON CONFLICT (id) DO NOTHING RETURNING id)
			SELECT array_agg(i.id) FROM i$$,
			(SELECT string_agg(r ->> c, ', ' ORDER BY n)
			 FROM unnest('{id,user_id,source_type,source_id,
				name,description,tags,settings,variable_values}'::text[])
			 WITH ORDINALITY AS u (c, n))
			|| ', ' || format(kept, r ->> 'metadata', r ->> 'rest'), r ->> 'status',
				r ->> 'is_starred',
			r ->> 'is_archived', r ->> 'created_at', runs, r ->> 'id'),
		'messages', format('SELECT @extschema@.airun_store_import_messages(array_agg(r.id),
			array_agg(r.created_at), array_agg(%s))
			FROM %s AS s JOIN airun.runs AS r ON r.id = %s
			WHERE %3$s = ANY ($1) AND %1$s IS NOT NULL HAVING count(*) > 0',
			r ->> 'messages', runs, r ->> 'id'),
		'states', format($$SELECT @extschema@.airun_store_import_states(array_agg(%1$s),
			array_agg(CASE WHEN %2$s = 'completed' THEN 'completed'
				WHEN %2$s IN ('error', 'failed') THEN 'error' ELSE 'active' END),
			array_agg(CASE WHEN %2$s = 'deleted' THEN COALESCE(%3$s, %4$s, now()) ELSE %3$s END),
			array_agg(%4$s)) FROM %5$s AS s WHERE %1$s = ANY ($1)$$,
			r ->> 'id', r ->> 'status', r ->> 'deleted_at', r ->> 'updated_at', runs));
	IF tasks IS NULL THEN
		RETURN result;
	END IF;
	t := @extschema@.airun_store_import_expressions('tasks', tasks, mapping -> 'tasks');
	RETURN result || jsonb_build_object(
		'pending_tasks', format('SELECT %1$s FROM %2$s AS s WHERE NOT EXISTS (
			SELECT FROM airun.tasks AS t WHERE t.task_id = %1$s AND t.run_id = %3$s) ORDER BY 1',
			t ->> 'task_id', tasks, t ->> 'run_id'),
		'tasks_of', format('SELECT array_agg(%s) FROM %s AS s WHERE %s = ANY ($1)',
			t ->> 'task_id', tasks, t ->> 'run_id'),
		'tasks', format($$INSERT INTO airun.tasks (%1$s, metadata, status, created_at, updated_at,
		completed_at)
			SELECT %2$s, %3$s, %4$s, COALESCE(%5$s, clock_timestamp() - interval '1 us'),
			COALESCE(%6$s, %7$s, %5$s),
			CASE WHEN COALESCE(%4$s, 'pending')
				NOT IN ('pending', 'streaming') THEN COALESCE(%7$s, %6$s, %5$s) END
			FROM %8$s AS s WHERE %9$s = ANY ($1)$$,
			(SELECT string_agg(c.name, ', ' ORDER BY c.name)
			 FROM @extschema@.airun_store_import_columns() AS c
			 WHERE c.relation = 'tasks'
			 AND c.name <> ALL ('{metadata,status,created_at,updated_at,completed_at}')),
			(SELECT string_agg(t ->> c.name, ', ' ORDER BY c.name)
			 FROM @extschema@.airun_store_import_columns() AS c
			 WHERE c.relation = 'tasks'
			 AND c.name <> ALL ('{metadata,status,created_at,updated_at,completed_at}')),
			format(kept, t ->> 'metadata', t ->> 'rest'), t ->> 'status', t ->> 'created_at',
			t ->> 'updated_at', t ->> 'completed_at', tasks, t ->> 'task_id'));
END
$statements$;
COMMENT ON FUNCTION @extschema@.airun_store_import_statements(regclass, regclass, jsonb) IS
'The statements by which airun_import_tables() brings rows in';

/*
 * Bring in runs of these ids ("runs"), or tasks ("tasks"); what fails is halved until it
 * is one row, and that is reported.
 */
CREATE FUNCTION @extschema@.airun_store_import_batch(statements jsonb, kind text, ids uuid[],
	OUT run_count bigint, OUT message_count bigint, OUT task_count bigint, OUT problems jsonb)
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $batch$
DECLARE
	half constant integer := cardinality(ids) / 2;
	fresh uuid[];
	part record;
	detail text;
BEGIN
	run_count := 0;
	message_count := 0;
	task_count := 0;
	problems := '[]';
	IF COALESCE(cardinality(ids), 0) = 0 THEN
		RETURN;
	END IF;
	BEGIN
		IF kind = 'tasks' THEN
			EXECUTE statements ->> 'tasks' USING ids;
			GET DIAGNOSTICS task_count = ROW_COUNT;
			RETURN;
		END IF;
		EXECUTE statements ->> 'runs' INTO fresh USING ids;
		EXECUTE statements ->> 'messages' INTO message_count USING fresh;
		run_count := COALESCE(cardinality(fresh), 0);
		message_count := COALESCE(message_count, 0);
	EXCEPTION WHEN OTHERS THEN
		IF SQLSTATE ~ '^(25|40|42|53|55|57|58)' THEN
			RAISE;
		END IF;
		run_count := 0;
		message_count := 0;
		task_count := 0;
		IF half = 0 THEN
			GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
			problems := jsonb_build_array(jsonb_build_object(
				CASE kind WHEN 'tasks' THEN 'task_id' ELSE 'run_id' END, ids[1],
				'code', SQLSTATE, 'problem', concat_ws(': ', SQLERRM, NULLIF(detail, ''))));
			RETURN;
		END IF;
		FOR part IN
			SELECT b.* FROM (VALUES (ids[:half]), (ids[half + 1:])) AS h (ids)
			CROSS JOIN LATERAL @extschema@.airun_store_import_batch(statements, kind, h.ids) AS b
		LOOP
			run_count := run_count + part.run_count;
			message_count := message_count + part.message_count;
			task_count := task_count + part.task_count;
			problems := problems || part.problems;
		END LOOP;
		RETURN;
	END;
	IF statements ? 'tasks' THEN
		EXECUTE statements ->> 'tasks_of' INTO ids USING fresh;
		part := @extschema@.airun_store_import_batch(statements, 'tasks', ids);
		task_count := part.task_count;
		problems := part.problems;
	END IF;
	IF run_count > 0 THEN
		EXECUTE statements ->> 'states' USING fresh;
	END IF;
END
$batch$;
COMMENT ON FUNCTION @extschema@.airun_store_import_batch(jsonb, text, uuid[]) IS
'Brings in one batch of airun_import_tables()';

CREATE FUNCTION @extschema@.airun_store_messages_of(messages jsonb, begin timestamptz)
RETURNS TABLE (seq bigint, created_at timestamptz, message_id text, message jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION @extschema@.airun_store_messages_of(jsonb, timestamptz) IS
'The messages of an array as they are stored in a run that began then';

CREATE FUNCTION @extschema@.airun_store_import_messages(run_ids uuid[], begins timestamptz[],
	messages jsonb[]) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_import_messages(uuid[], timestamptz[], jsonb[]) IS
'Inserts the messages of runs that have none';

CREATE FUNCTION @extschema@.airun_store_import_states(run_ids uuid[], statuses text[],
	deleted_at timestamptz[], updated_at timestamptz[]) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_import_states(uuid[], text[], timestamptz[],
	timestamptz[]) IS
'Leaves runs with the status and the times that they have in the source';

CREATE TYPE @extschema@.ai_tables_imported AS (
	run_count bigint,
	message_count bigint,
	task_count bigint,
	runs_left bigint,
	problems jsonb);
COMMENT ON TYPE @extschema@.ai_tables_imported IS
'What a call of airun_import_tables() has brought in';
COMMENT ON COLUMN @extschema@.ai_tables_imported.run_count IS
'How many runs have come in';
COMMENT ON COLUMN @extschema@.ai_tables_imported.message_count IS
'How many messages';
COMMENT ON COLUMN @extschema@.ai_tables_imported.task_count IS
'How many tasks';
COMMENT ON COLUMN @extschema@.ai_tables_imported.runs_left IS
'How many runs have not been looked at yet; 0 for none';
COMMENT ON COLUMN @extschema@.ai_tables_imported.problems IS
'Rows that could not come in: run_id or task_id, code and problem of each';

CREATE FUNCTION @extschema@.airun_import_tables(
	runs regclass,
	tasks regclass DEFAULT NULL,
	mapping jsonb DEFAULT NULL,
	max_runs bigint DEFAULT 10000)
RETURNS @extschema@.ai_tables_imported
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $import$
DECLARE
	-- A batch has so many rows, or so many bytes of messages as they are stored.
	max_batch constant integer := 2000;
	max_bytes constant bigint := 16 * 1024 * 1024;
	statements jsonb;
	kind text;
	pending refcursor;
	id uuid;
	size integer;
	ids uuid[] := '{}';
	bytes bigint := 0;
	part record;
	is_end boolean;
	result @extschema@.ai_tables_imported;
BEGIN
	-- 42501 for who is not the owner, and 55000 without a store
	PERFORM @extschema@.airun_store_import_messages('{}', '{}', '{}');
	IF runs IS NULL OR COALESCE(max_runs, 0) < 1 THEN
		RAISE EXCEPTION 'parameter "%" must not be %',
			CASE WHEN runs IS NULL THEN 'runs' ELSE 'max_runs' END,
			CASE WHEN runs IS NULL OR max_runs IS NULL THEN 'null' ELSE 'less than 1' END
			USING ERRCODE = 'PT422',
				HINT = 'Write airun_import_tables(''ai_runs'', ''ai_tasks''), and call it until '
					'"runs_left" is 0.';
	END IF;
	IF jsonb_typeof(mapping) <> 'object' OR EXISTS (
		SELECT FROM jsonb_each(CASE jsonb_typeof(mapping) WHEN 'object' THEN mapping END) AS m
		WHERE m.key NOT IN ('runs', 'tasks') OR jsonb_typeof(m.value) <> 'object') THEN
		RAISE EXCEPTION '"mapping" must be an object with the objects "runs" and "tasks"'
			USING ERRCODE = 'PT422',
				HINT = 'Write {"runs": {"name": "title"}}: airun''s column, and that '
					'of the source.';
	END IF;
	statements := @extschema@.airun_store_import_statements(runs, tasks, mapping);
	result.run_count := 0;
	result.message_count := 0;
	result.task_count := 0;
	result.runs_left := 0;
	result.problems := '[]';

	-- Tasks of runs that were there before come last, once there is no run left.
	FOREACH kind IN ARRAY
		CASE WHEN tasks IS NULL THEN '{runs}'::text[] ELSE '{runs,tasks}' END LOOP
		EXIT WHEN result.runs_left > 0;
		OPEN pending FOR EXECUTE statements ->>
			CASE kind WHEN 'runs' THEN 'pending' ELSE 'pending_tasks' END;
		LOOP
			FETCH pending INTO id, size;
			is_end := NOT FOUND;
			IF NOT is_end AND id IS NULL THEN
				result.problems := result.problems || jsonb_build_object('code', 'PT422',
					'problem', 'a row of ' || kind || ' has no id');
				CONTINUE;
			ELSIF NOT is_end THEN
				ids := ids || id;
				bytes := bytes + COALESCE(size, 0);
			END IF;
			CONTINUE WHEN NOT is_end AND cardinality(ids) < max_batch AND bytes < max_bytes
				AND (kind = 'tasks' OR result.run_count + cardinality(ids) < max_runs);
			part := @extschema@.airun_store_import_batch(statements, kind, ids);
			result.run_count := result.run_count + part.run_count;
			result.message_count := result.message_count + part.message_count;
			result.task_count := result.task_count + part.task_count;
			result.problems := result.problems || part.problems;
			ids := '{}';
			bytes := 0;
			EXIT WHEN is_end OR (kind = 'runs' AND result.run_count >= max_runs);
		END LOOP;
		IF NOT is_end THEN
			MOVE FORWARD ALL FROM pending;
			GET DIAGNOSTICS result.runs_left = ROW_COUNT;
		END IF;
		CLOSE pending;
	END LOOP;
	RETURN result;
END
$import$;
COMMENT ON FUNCTION @extschema@.airun_import_tables IS
'Brings in the runs, messages and tasks of an application''s own tables, with their times
At most max_runs runs a call, and what is there is left alone: call it until runs_left is 0.  '
'problems are rows that could not come in, and why.  mapping tells columns that are named '
'otherwise.  For the owner of the store.';
