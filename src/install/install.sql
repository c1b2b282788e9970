/*
 * install.sql: airun_install(), which makes the store
 *
 * The store is made of ordinary objects that belong to whoever calls this,
 * not to the extension: pg_dump saves them whole, triggers come after data,
 * and DROP EXTENSION cannot take a row.
 *
 * What it is made of stands in the lists of the files beside this one.  Object
 * by object, what is missing is made: tables and their columns, views, guarding
 * objects and comments.  A guarding object that has been altered is put back;
 * a trigger stays disabled, or enabled always, as it was.  A view that has another
 * definition is put back as well, unless a site has added columns to it.  Comments
 * that are there are left as they are, and so is all that a site has added.  PostgREST
 * is told to read the schema again.
 * Where something depends on what would have to be made anew (a foreign key on
 * an altered primary key), the server refuses with 2BP01, and nothing is changed.
 *
 * Refuses: names that are taken (42P07), a schema airun of another owner (42501),
 * a store of a later version (55000), what Citus has distributed (0A000).
 *
 * Locks: the tables that it alters, exclusively; where nothing is to do, none that
 * anybody waits for.
 */
/*
 * What default privileges have given away of a table, or of the schema, that has just
 * been made is taken back: airun_grant() gives a role what it is to have.
 */
CREATE FUNCTION @extschema@.airun_store_take_back(kind text, made text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $take_back$
DECLARE
	grantees constant text := (
		SELECT string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC'
			ELSE a.grantee::regrole::text END, ', ')
		FROM (
			SELECT c.relacl, c.relowner FROM pg_class AS c
			WHERE kind = 'TABLE' AND c.oid = to_regclass(made)
			UNION ALL
			SELECT n.nspacl, n.nspowner FROM pg_namespace AS n
			WHERE kind = 'SCHEMA' AND n.oid = to_regnamespace(made)) AS o (acl, owner),
			aclexplode(o.acl) AS a
		WHERE a.grantee <> o.owner);
BEGIN
	IF grantees IS NOT NULL THEN
		EXECUTE format('REVOKE ALL ON %s %s FROM %s', kind, made, grantees);
	END IF;
END
$take_back$;
COMMENT ON FUNCTION @extschema@.airun_store_take_back(text, text) IS
'Takes back what default privileges have given away of a table or a schema of the store';

CREATE FUNCTION @extschema@.airun_install() RETURNS text
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $install$
DECLARE
	store_version constant integer := 2;	-- also in store.h
	api constant oid := (SELECT extnamespace FROM pg_extension WHERE extname = 'airun');
	done text[] := '{}';		-- what has been made
	owner oid;
	old_version integer;
	specifications text[];		-- of columns that are missing
	states text[] := '{}';		-- how triggers were enabled
	enable constant jsonb :=	-- by pg_trigger.tgenabled
		'{"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA", "D": "DISABLE"}';
	command text;
	item record;
BEGIN
	IF api = to_regnamespace('airun') THEN
		RAISE EXCEPTION 'airun''s functions cannot be in the schema of its store'
			USING ERRCODE = 'invalid_schema_definition',
				DETAIL = 'The schema "airun" is never exposed to clients.',
				HINT = 'Put them elsewhere: DROP EXTENSION airun; CREATE EXTENSION airun '
					'SCHEMA public;';
	END IF;

	-- The schema.  One that somebody else has made is not ours to fill.
	SELECT nspowner INTO owner FROM pg_namespace WHERE nspname = 'airun';
	IF NOT FOUND THEN
		CREATE SCHEMA airun;
		PERFORM @extschema@.airun_store_take_back('SCHEMA', 'airun');
		owner := (SELECT nspowner FROM pg_namespace WHERE nspname = 'airun');
		done := done || 'schema airun'::text;
	ELSIF owner <> (SELECT oid FROM pg_roles WHERE rolname = current_user) THEN
		RAISE EXCEPTION 'schema "airun" belongs to role "%"', pg_get_userbyid(owner)
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = format('The caller is "%s".', current_user),
				HINT = 'If that role owns the store, call airun_install() as that role; if not, '
					'have the schema renamed or dropped.';
	END IF;

	PERFORM @extschema@.airun_store_refuse_citus();

	-- A store of a later airun is left alone.
	old_version := (regexp_match(
		obj_description(to_regnamespace('airun'), 'pg_namespace'),
		'^airun store version (\d+)'))[1];
	IF old_version > store_version THEN
		RAISE EXCEPTION 'the store is of version %, but this airun knows version %',
			old_version, store_version
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Install the airun that made it, or a later one.';
	END IF;

	-- The names of the views must be free, or ours: views of the store that its
	-- owner has made, and nobody else.  A type takes a name as well.
	FOR item IN
		SELECT v.name, api::regnamespace AS schema
		FROM @extschema@.airun_store_views() AS v
		WHERE (EXISTS (SELECT FROM pg_class AS c
					   WHERE c.relname = v.name AND c.relnamespace = api)
			   OR EXISTS (SELECT FROM pg_type AS y
						  WHERE y.typname = v.name AND y.typnamespace = api))
			AND NOT EXISTS (
				SELECT FROM pg_class AS c
				JOIN pg_rewrite AS w ON w.ev_class = c.oid
				JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
					AND d.refclassid = 'pg_class'::regclass
				JOIN pg_class AS t ON t.oid = d.refobjid
				WHERE c.relname = v.name AND c.relnamespace = api AND c.relkind = 'v'
					AND c.relowner = owner
					AND c.reloptions @> '{security_invoker=true}'
					AND t.relnamespace = to_regnamespace('airun'))
		ORDER BY v.name
	LOOP
		RAISE EXCEPTION 'the name "%" is taken in schema "%"', item.name, item.schema
			USING ERRCODE = 'duplicate_table',
				DETAIL = format('airun needs these names for its views: %s.',
					(SELECT string_agg(v.name, ', ') FROM @extschema@.airun_store_views() AS v)),
				HINT = 'Rename what has it, or give airun a schema of its own: DROP EXTENSION '
					'airun; CREATE SCHEMA api; CREATE EXTENSION airun SCHEMA api; SELECT '
					'api.airun_install();';
	END LOOP;

	-- And so must those of the tables: a table with our columns is ours, if the
	-- owner of the store has it.
	FOR item IN
		SELECT w.name
		FROM @extschema@.airun_store_tables() AS w
		WHERE (EXISTS (SELECT FROM pg_class AS c
					   WHERE c.relname = w.name AND c.relnamespace = to_regnamespace('airun'))
			   OR EXISTS (SELECT FROM pg_type AS y
						  WHERE y.typname = w.name AND y.typnamespace = to_regnamespace('airun')))
			AND NOT EXISTS (
				SELECT FROM pg_class AS c
				WHERE c.relname = w.name AND c.relnamespace = to_regnamespace('airun')
					AND c.relkind IN ('r', 'p') AND c.relowner = owner
					AND ARRAY(SELECT a.attname FROM pg_attribute AS a
							  WHERE a.attrelid = c.oid) @> w.marks)
		ORDER BY w.name
	LOOP
		RAISE EXCEPTION 'the name "%" is taken in schema "airun"', item.name
			USING ERRCODE = 'duplicate_table',
				DETAIL = format('airun keeps its tables in that schema: %s.',
					(SELECT string_agg(t.name, ', ') FROM @extschema@.airun_store_tables() AS t)),
				HINT = 'Rename or drop what has the name, and call airun_install() again.';
	END LOOP;

	-- Tables, and columns that an older store lacks

	FOR item IN
		SELECT t.name, t.options, t.comment, to_regclass('airun.' || t.name) AS present
		FROM @extschema@.airun_store_tables() WITH ORDINALITY
			AS t (name, marks, options, comment, place)
		ORDER BY t.place
	LOOP
		specifications := ARRAY(
			SELECT format('%I %s %s %s', c.name, c.type, c.required, 'DEFAULT ' || c.value)
			FROM @extschema@.airun_store_columns() WITH ORDINALITY
				AS c (relation, name, type, required, value, in_view, in_summary, comment, place)
			WHERE c.relation = item.name AND NOT EXISTS (
				SELECT FROM pg_attribute AS a
				WHERE a.attrelid = item.present AND a.attname = c.name)
			ORDER BY c.place);
		IF item.present IS NULL THEN
			EXECUTE format('CREATE TABLE airun.%I (%s) %s', item.name,
						   array_to_string(specifications, ', '), item.options);
			PERFORM @extschema@.airun_store_take_back('TABLE', format('airun.%I', item.name));
			EXECUTE format('COMMENT ON TABLE airun.%I IS %L', item.name, item.comment);
			done := done || format('table airun.%I', item.name);
		ELSIF specifications <> '{}' THEN
			EXECUTE format('ALTER TABLE airun.%I ADD COLUMN %s', item.name,
						   array_to_string(specifications, ', ADD COLUMN '));
			done := done || format('columns of table airun.%I', item.name);
		END IF;
	END LOOP;

	-- A message of some kilobytes belongs on the heap page: compressed, and moved
	-- out only when it would not fit.  Large values are compressed fast rather
	-- than well.
	IF 'table airun.messages' = ANY (done) THEN
		ALTER TABLE airun.messages ALTER COLUMN message SET STORAGE MAIN;
	END IF;
	IF EXISTS (SELECT FROM pg_settings
			   WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)) THEN
		IF 'table airun.messages' = ANY (done) THEN
			ALTER TABLE airun.messages ALTER COLUMN message SET COMPRESSION lz4;
		END IF;
		IF 'table airun.message_versions' = ANY (done) THEN
			ALTER TABLE airun.message_versions ALTER COLUMN message SET COMPRESSION lz4;
		END IF;
		IF done && '{"table airun.tasks","table airun.task_chunks"}' OR old_version < 2 THEN
			ALTER TABLE airun.tasks
				ALTER COLUMN response_text SET COMPRESSION lz4,
				ALTER COLUMN response_data SET COMPRESSION lz4,
				ALTER COLUMN request_data SET COMPRESSION lz4;
			ALTER TABLE airun.task_chunks ALTER COLUMN chunk SET COMPRESSION lz4;
		END IF;
	END IF;

	-- No statistics of what people say, which would outlive it there: ANALYZE leaves those
	-- of a table that has become empty.
	FOR item IN
		SELECT c.relation, c.name
		FROM (VALUES ('runs', '{name,description,tags,metadata,settings,variable_values}'::name[]),
			('messages', '{message_id,message}'), ('message_versions', '{message_id,message}'),
			('tasks', '{error,metadata,response_text,response_data,request_data}'),
			('task_chunks', '{chunk}'), ('calls', '{error_code,metadata}'))
			AS t (relation, columns)
		CROSS JOIN LATERAL (SELECT t.relation, unnest(t.columns) AS name) AS c
		JOIN pg_attribute AS a ON a.attrelid = to_regclass('airun.' || c.relation)
			AND a.attname = c.name AND COALESCE(a.attstattarget, -1) = -1
	LOOP
		EXECUTE format('ALTER TABLE airun.%I ALTER COLUMN %I SET STATISTICS 0',
			item.relation, item.name);
		IF format('table airun.%I', item.relation) <> ALL (done) THEN
			done := done || format('no statistics of airun.%I.%I', item.relation, item.name);
		END IF;
	END LOOP;

	-- A publication of all tables would refuse what folding deletes and updates of
	-- tables without a primary key.
	FOR item IN
		SELECT t.name FROM @extschema@.airun_store_tables() AS t
		WHERE t.name LIKE 'usage\_%' AND t.name <> 'usage_shapes'
			AND 'table airun.' || t.name = ANY (done)
	LOOP
		EXECUTE format('ALTER TABLE airun.%I REPLICA IDENTITY FULL', item.name);
	END LOOP;

	-- From version 1: what ended tasks say of themselves.  Texts of unfinished ones
	-- move to chunks, by the guard, below.
	IF old_version < 2 THEN
		FOR item IN
			SELECT t.tgname, t.tgenabled
			FROM pg_trigger AS t WHERE t.tgrelid = 'airun.tasks'::regclass AND NOT t.tgisinternal
		LOOP
			states := states || format('ALTER TABLE airun.tasks %s TRIGGER %I',
									   enable ->> item.tgenabled::text, item.tgname);
		END LOOP;
		ALTER TABLE airun.tasks DISABLE TRIGGER USER;
		UPDATE airun.tasks SET response_length = COALESCE(length(response_text), 0),
				client_cost = cost,
				price_status = CASE WHEN cost IS NULL THEN 'unpriced' ELSE 'client' END
			WHERE completed_at IS NOT NULL;
		FOREACH command IN ARRAY states LOOP
			EXECUTE command;
		END LOOP;
		ALTER TABLE airun.tasks
			DROP CONSTRAINT IF EXISTS tasks_status_check,
			DROP CONSTRAINT IF EXISTS tasks_figures_check;
	END IF;

	-- Views, with the caller's rights: those that are missing, or are others

	FOR item IN
		SELECT v.name, v.definition, v.comment, v.columns
		FROM @extschema@.airun_store_views() AS v
	LOOP
		CONTINUE WHEN @extschema@.airun_store_has_view(
			to_regclass(format('%s.%I', api::regnamespace, item.name)), item.columns,
			item.definition);
		EXECUTE format('CREATE OR REPLACE VIEW %s.%I WITH (security_invoker = true) AS %s',
					   api::regnamespace, item.name, item.definition);
		EXECUTE format('COMMENT ON VIEW %s.%I IS %L', api::regnamespace, item.name, item.comment);
		done := done || format('view %I', item.name);
	END LOOP;

	-- How PostgREST embeds messages in tasks and tasks in messages, which no foreign
	-- key ties, and both in runs where the keys are those of partitions: functions from
	-- the row of one view to rows of the other, named as that.  They are read anew with
	-- each statement, so that every name in them is qualified, and planned as a part of it.
	FOR item IN
		SELECT r.*, format('@extschema@.%I(@extschema@.%I)', r.name, r.origin) AS signature,
			format('SELECT x.* FROM @extschema@.%I AS x WHERE ', r.name)
				|| (SELECT string_agg(
					format('x.%I OPERATOR(pg_catalog.=) $1.%I', c.name, c.of_origin), ' AND ')
					FROM unnest(r.columns, r.of_origin) AS c (name, of_origin)) AS body
		FROM (VALUES
			('ai_tasks', 'ai_messages', 1, '{run_id,task_id}'::text[],
			 '{run_id,task_id}'::text[], false,
			 'The task that the message went in with, or came out of'),
			('ai_messages', 'ai_tasks', 10, '{run_id,task_id}', '{run_id,task_id}', false,
			 'The messages that went in with the task, and the one that came out'),
			('ai_messages', 'ai_runs', 100, '{run_id}', '{id}', true, 'The messages of the run'),
			('ai_tasks', 'ai_runs', 100, '{run_id}', '{id}', true, 'The tasks of the run'),
			('ai_messages', 'ai_run_summaries', 100, '{run_id}', '{id}', true,
			 'The messages of the run'),
			('ai_tasks', 'ai_run_summaries', 100, '{run_id}', '{id}', true,
			 'The tasks of the run'),
			('ai_runs', 'ai_messages', 1, '{id}', '{run_id}', true,
			 'The run that the message belongs to'),
			('ai_runs', 'ai_tasks', 1, '{id}', '{run_id}', true,
			 'The run that the task belongs to'),
			('ai_run_summaries', 'ai_messages', 1, '{id}', '{run_id}', true,
			 'The run that the message belongs to'),
			('ai_run_summaries', 'ai_tasks', 1, '{id}', '{run_id}', true,
			 'The run that the task belongs to'))
			AS r (name, origin, rows, columns, of_origin, if_partitioned, comment)
		WHERE NOT r.if_partitioned OR EXISTS (SELECT FROM @extschema@.airun_store_partitions())
	LOOP
		IF NOT EXISTS (SELECT FROM pg_proc AS p
				WHERE p.oid = to_regprocedure(item.signature) AND p.prosrc = item.body) THEN
			EXECUTE format('CREATE OR REPLACE FUNCTION %s RETURNS SETOF @extschema@.%I LANGUAGE '
				'sql STABLE PARALLEL SAFE ROWS %s AS %L',
				item.signature, item.name, item.rows, item.body);
			EXECUTE format('COMMENT ON FUNCTION %s IS %L', item.signature, item.comment);
			done := done || format('function %I(%I)', item.name, item.origin);
		END IF;
	END LOOP;

	-- What guards them: constraints, indexes, defaults, policies and triggers

	done := done || @extschema@.airun_store_mend();

	-- What was changed without that trigger is a change as well.
	IF 'trigger airun_version of prices' = ANY (done) THEN
		UPDATE airun.price_book SET version = gen_random_uuid(), changed_at = now();
	END IF;

	-- Comments on columns that have none

	FOR item IN
		SELECT c.target, c.name, c.comment
		FROM @extschema@.airun_store_comments() AS c
		JOIN pg_attribute AS a ON a.attrelid = c.target AND a.attname = c.name
		WHERE col_description(c.target, a.attnum) IS NULL
	LOOP
		EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', item.target, item.name, item.comment);
		IF NOT ARRAY[format('table %s', item.target),
				'view ' || (SELECT c.relname FROM pg_class AS c WHERE c.oid = item.target)] && done
		THEN
			done := done || format('comment on %s.%I', item.target, item.name);
		END IF;
	END LOOP;

	IF old_version IS DISTINCT FROM store_version THEN
		EXECUTE format('COMMENT ON SCHEMA airun IS %L',
					   format('airun store version %s: what airun_install() made and airun''s '
					   'functions work on',
							  store_version));
		done := done || 'version, in the comment on schema airun'::text;
	END IF;

	-- What an older store has used: its tasks and calls are entered, the first ones here
	-- and the others by airun_rollup().  The lock waits for who does not know the ledger.
	IF done @> '{"table airun.usage_tail","table airun.usage_ledger"}' THEN
		LOCK TABLE airun.tasks, airun.calls IN SHARE ROW EXCLUSIVE MODE;
		INSERT INTO airun.usage_build (kind, run_id, charge_id)
		SELECT k.kind, u.first, u.first
		FROM unnest('{task,call}'::text[]) AS k (kind),
			CAST('00000000-0000-0000-0000-000000000000' AS uuid) AS u (first);
		FOR i IN 1 .. 10 LOOP
			EXIT WHEN @extschema@.airun_store_build_usage(1000) = 0;
		END LOOP;
		IF EXISTS (SELECT FROM airun.usage_build) THEN
			done := done || 'the ledger, in part: call airun_rollup() until it returns 0'::text;
		END IF;
	END IF;

	-- Texts of unfinished tasks that an older store kept in the task's row.  The
	-- guard, which is there by now and knows the version, moves them.
	IF old_version < 2 THEN
		UPDATE airun.tasks SET response_text = response_text
			WHERE completed_at IS NULL AND response_text IS NOT NULL;
	END IF;

	-- The original application's names, where they have been made
	FOR item IN SELECT * FROM @extschema@.airun_store_original_schemas() AS o (schema) LOOP
		IF @extschema@.airun_install_original((
				SELECT n.nspname FROM pg_namespace AS n WHERE n.oid = item.schema))
				LIKE 'Made%' THEN
			done := done || format('views in schema %s', item.schema);
		END IF;
	END LOOP;

	-- What is new, of the store or among the functions, is granted to the roles
	-- that had been granted the store, at the level that they had.
	FOR item IN
		SELECT DISTINCT pg_get_userbyid(g.grantee) AS role, g.grantee, g.level
		FROM (
			SELECT a.grantee, CASE c.relname WHEN 'runs' THEN 'user' ELSE 'reporter' END AS level
			FROM pg_class AS c, aclexplode(c.relacl) AS a
			WHERE c.relnamespace = 'airun'::regnamespace
				AND (c.relname, a.privilege_type) IN (('runs', 'INSERT'),
					('usage_daily', 'SELECT'))
			UNION ALL
			SELECT a.grantee, 'operator'
			FROM pg_depend AS d
			JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass,
				aclexplode(p.proacl) AS a
			WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
				AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'airun')
				AND p.proname = 'airun_rollup' AND NOT a.is_grantable
				AND has_table_privilege(a.grantee, 'airun.usage_daily', 'SELECT')
				AND a.grantee <> p.proowner) AS g
		WHERE g.grantee NOT IN (0, (SELECT c.relowner FROM pg_class AS c
									WHERE c.oid = 'airun.runs'::regclass))
		ORDER BY role, g.level DESC
	LOOP
		-- what airun_grant() gives
		IF done <> '{}' OR EXISTS (
				SELECT FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid
				WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
					AND d.refclassid = 'pg_extension'::regclass
					AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'airun')
					AND @extschema@.airun_store_level(p.proname, p.prorettype) IN
						('reporter', item.level,
						 CASE WHEN item.level <> 'reporter' THEN 'user or operator' END)
					AND NOT has_function_privilege(item.grantee, p.oid, 'EXECUTE')) THEN
			PERFORM @extschema@.airun_grant(item.role, item.level);
			done := done || (format('grants to %I', item.role)
				|| CASE item.level WHEN 'user' THEN '' ELSE ' as ' || item.level END);
		END IF;
	END LOOP;
	-- PostgREST knows a function or a view only once it has read the schema again.
	IF NOT pg_is_in_recovery() THEN
		PERFORM pg_notify('pgrst', 'reload schema');
	END IF;

	IF done = '{}' THEN
		RETURN format('The store is complete, at version %s; nothing was changed.', store_version);
	END IF;
	RETURN format(E'Made at version %s:\n  %s', store_version, array_to_string(done, E'\n  '));
END
$install$;
COMMENT ON FUNCTION @extschema@.airun_install() IS
'Creates the store in this database, or completes and migrates it; says what it did
The store belongs to the caller.  Calling it again changes nothing.';
