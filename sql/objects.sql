--
-- What guards the store is one list: what airun_install() makes, what airun_check()
-- asks for and what is in the catalog are the same, object by object.
--
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA objects_test;

-- what the catalog has, asked otherwise than airun does
CREATE FUNCTION objects_test.catalogue() RETURNS TABLE (kind text, relation name, name name, definition text)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	WITH r AS (
		SELECT oid, relname FROM pg_class WHERE relnamespace = 'airun'::regnamespace AND relkind = 'r'
			OR relnamespace = 'public'::regnamespace AND relkind = 'v' AND relname LIKE 'ai\_%')
	SELECT 'column', r.relname, a.attname, format_type(a.atttypid, NULL)
	FROM r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE r.relname NOT LIKE 'ai\_%'
	UNION ALL
	SELECT 'constraint', r.relname, k.conname, pg_get_constraintdef(k.oid)
	FROM r JOIN pg_constraint k ON k.conrelid = r.oid AND k.contype <> 'n'
	UNION ALL
	SELECT 'index', r.relname, i.relname, pg_get_indexdef(i.oid)
	FROM r JOIN pg_index x ON x.indrelid = r.oid JOIN pg_class i ON i.oid = x.indexrelid
	WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.oid AND k.conrelid = r.oid)
	UNION ALL
	SELECT 'default', r.relname, a.attname, pg_get_expr(d.adbin, d.adrelid)
	FROM r JOIN pg_attrdef d ON d.adrelid = r.oid JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.adnum
	UNION ALL
	SELECT 'policy', p.tablename, p.policyname,
		'FOR ' || p.cmd || coalesce(' USING (' || p.qual || ')', '') || coalesce(' WITH CHECK (' || p.with_check || ')', '')
	FROM pg_policies p WHERE p.schemaname = 'airun' AND p.permissive = 'PERMISSIVE' AND p.roles = '{public}'
	UNION ALL
	SELECT 'trigger', r.relname, t.tgname, pg_get_triggerdef(t.oid)
	FROM r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
$$;
-- in both directions: nothing has been added to the tables either
CREATE FUNCTION objects_test.difference() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT 'LISTED ' || x::text FROM (SELECT * FROM airun_store_objects() EXCEPT SELECT * FROM objects_test.catalogue()) x
	UNION ALL
	SELECT 'FOUND ' || x::text FROM (SELECT * FROM objects_test.catalogue() EXCEPT SELECT * FROM airun_store_objects()) x
	ORDER BY 1
$$;

SELECT airun_install();
SELECT objects_test.difference();
SELECT kind, count(*) FROM airun_store_objects() GROUP BY kind ORDER BY kind;
-- each stands in the list once
SELECT kind, relation, name FROM airun_store_objects() GROUP BY 1, 2, 3 HAVING count(*) > 1;
-- the words are the same wherever they are read from
SET search_path = airun, public;
SELECT count(*) FROM (SELECT * FROM airun_store_objects() EXCEPT SELECT * FROM objects_test.catalogue()) x;
SELECT count(*) FROM airun_store_differences();
RESET search_path;

-- so are the columns, in this order, and their comments and those of the views
SELECT relation, name, type, required FROM airun_store_columns() WITH ORDINALITY c (relation, name, type, required, value, in_view, in_summary, comment, place)
EXCEPT
SELECT c.relname, a.attname, replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz'),
	CASE WHEN a.attnotnull THEN 'NOT NULL' ELSE '' END
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 WHERE c.relnamespace = 'airun'::regnamespace;
SELECT c.relname, a.attname
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'airun'::regnamespace AND c.relkind = 'r'
EXCEPT SELECT relation, name FROM airun_store_columns();
SELECT target, name FROM airun_store_comments() c
WHERE comment IS DISTINCT FROM (SELECT col_description(c.target, attnum) FROM pg_attribute a WHERE a.attrelid = c.target AND a.attname = c.name);

--
-- What is dropped is reported, and put back
--
CREATE FUNCTION objects_test.drop_each() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	o record;
	what text;
	number int := 0;
BEGIN
	FOR o IN SELECT l.*, CASE WHEN l.relation LIKE 'ai\_%' THEN 'public.' ELSE 'airun.' END || l.relation AS target
		FROM airun_store_objects() l WHERE l.kind <> 'column'
	LOOP
		EXECUTE format(CASE o.kind
			WHEN 'constraint' THEN 'ALTER TABLE %1$s DROP CONSTRAINT %2$I CASCADE'
			WHEN 'index' THEN 'DROP INDEX airun.%2$I'
			WHEN 'default' THEN 'ALTER TABLE %1$s ALTER COLUMN %2$I DROP DEFAULT'
			WHEN 'policy' THEN 'DROP POLICY %2$I ON %1$s'
			WHEN 'trigger' THEN 'DROP TRIGGER %2$I ON %1$s' END, o.target, o.name);
		what := format('%s %s of %s', o.kind, o.name, o.target);
		IF NOT EXISTS (SELECT FROM objects_test.difference()) THEN
			RETURN NEXT 'NOT DROPPED: ' || what;
		END IF;
		IF NOT EXISTS (SELECT FROM airun_check() c WHERE c.problem = what AND c.expected = o.definition AND c.found = 'missing') THEN
			RETURN NEXT 'NOT REPORTED: ' || what;
		END IF;
		IF airun_install() !~ format('\m%s (of )?(\w+\.)?%s\M', o.kind, o.name) THEN
			RETURN NEXT 'NOT SAID: ' || what;
		END IF;
		RETURN QUERY SELECT * FROM objects_test.difference();
		RETURN QUERY SELECT c::text FROM airun_check() c;
		number := number + 1;
	END LOOP;
	RETURN NEXT number || ' objects';
END $$;
SELECT objects_test.drop_each();

--
-- What is altered is reported, and put back
--
CREATE FUNCTION objects_test.alter(VARIADIC damage text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	FOREACH command IN ARRAY damage LOOP
		EXECUTE command;
		RETURN NEXT command;
	END LOOP;
	RETURN QUERY SELECT format(E'  %s\n    expected %s\n    found %s', c.problem, c.expected, c.found) FROM airun_check() c;
	RETURN NEXT airun_install();
	RETURN QUERY SELECT * FROM objects_test.difference();
	RETURN QUERY SELECT 'STILL ' || format('%s: %s', c.problem, c.found) FROM airun_check() c;
END $$;
CREATE ROLE regress_airun_objects;
SELECT objects_test.alter('ALTER POLICY airun_owner ON airun.runs USING (true)');
SELECT objects_test.alter('ALTER POLICY airun_read ON airun.messages TO regress_airun_objects');
SELECT objects_test.alter('DROP POLICY airun_append ON airun.messages',
	'CREATE POLICY airun_append ON airun.messages AS RESTRICTIVE FOR INSERT WITH CHECK (airun_writes_run(run_id))');
SELECT objects_test.alter('DROP POLICY airun_change ON airun.tasks',
	'CREATE POLICY airun_change ON airun.tasks FOR UPDATE USING (airun_sees_run(run_id))');
SELECT objects_test.alter('ALTER TABLE airun.prices DISABLE ROW LEVEL SECURITY');
SELECT objects_test.alter('CREATE OR REPLACE TRIGGER airun_guard BEFORE INSERT ON airun.tasks FOR EACH ROW EXECUTE FUNCTION airun_guard_task()');
SELECT objects_test.alter('CREATE OR REPLACE TRIGGER airun_guard BEFORE INSERT OR UPDATE ON airun.runs FOR EACH ROW WHEN (false) EXECUTE FUNCTION airun_guard_run()');
SELECT objects_test.alter('CREATE OR REPLACE TRIGGER airun_view INSTEAD OF INSERT ON ai_tasks FOR EACH ROW EXECUTE FUNCTION airun_view_task()');
SELECT objects_test.alter('ALTER TABLE airun.runs ALTER COLUMN user_id SET DEFAULT NULL');
SELECT objects_test.alter('ALTER TABLE airun.tasks ALTER COLUMN status SET DEFAULT ''completed''');
SELECT objects_test.alter('ALTER TABLE airun.messages DROP CONSTRAINT messages_run_id_fkey',
	'ALTER TABLE airun.messages ADD CONSTRAINT messages_run_id_fkey FOREIGN KEY (run_id) REFERENCES airun.runs (id)');
SELECT objects_test.alter('ALTER TABLE airun.price_book DROP CONSTRAINT price_book_only_check',
	'ALTER TABLE airun.price_book ADD CONSTRAINT price_book_only_check CHECK (is_only) NOT VALID');
SELECT objects_test.alter('ALTER TABLE airun.tasks DROP CONSTRAINT tasks_pkey',
	'ALTER TABLE airun.tasks ADD CONSTRAINT tasks_pkey PRIMARY KEY (run_id, task_id) DEFERRABLE');
SELECT objects_test.alter('DROP INDEX airun.tasks_unfinished',
	'CREATE INDEX tasks_unfinished ON airun.tasks (run_id)');
SELECT objects_test.alter('UPDATE pg_index SET indisvalid = false WHERE indexrelid = ''airun.runs_user_hour''::regclass');

-- how a trigger is enabled is the site's: airun_check() tells, airun_install() leaves it
SELECT objects_test.alter('ALTER TABLE airun.tasks DISABLE TRIGGER airun_guard');
SELECT objects_test.alter('CREATE OR REPLACE TRIGGER airun_guard BEFORE INSERT ON airun.tasks FOR EACH ROW EXECUTE FUNCTION airun_guard_task()',
	'ALTER TABLE airun.tasks DISABLE TRIGGER airun_guard');
SELECT objects_test.alter('CREATE OR REPLACE TRIGGER airun_guard BEFORE INSERT ON airun.tasks FOR EACH ROW EXECUTE FUNCTION airun_guard_task()',
	'ALTER TABLE airun.tasks ENABLE ALWAYS TRIGGER airun_guard');
SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'airun.tasks'::regclass AND tgname = 'airun_guard';
ALTER TABLE airun.tasks ENABLE TRIGGER airun_guard;

-- what something of the site's depends on is not taken away, and nothing is changed
ALTER TABLE airun.price_book DROP CONSTRAINT price_book_pkey;
ALTER TABLE airun.price_book ADD CONSTRAINT price_book_pkey PRIMARY KEY (is_only) INCLUDE (changed_at);
CREATE TABLE objects_test.uses (book boolean REFERENCES airun.price_book (is_only));
DROP INDEX airun.runs_deleted;
\set VERBOSITY sqlstate
SELECT airun_install();
\set VERBOSITY terse
SELECT problem, found FROM airun_check();
DROP TABLE objects_test.uses;
SELECT airun_install();

-- a column that is not there is added, at the end
BEGIN;
DROP VIEW ai_tasks CASCADE;
ALTER TABLE airun.tasks DROP COLUMN finish_reason;
SELECT airun_install();
SELECT attname FROM pg_attribute WHERE attrelid = 'airun.tasks'::regclass ORDER BY attnum DESC LIMIT 1;
-- a view that lacks its last column gets it
DROP VIEW ai_tasks CASCADE;
DO $$
BEGIN
	EXECUTE (SELECT format('CREATE VIEW ai_tasks WITH (security_invoker = true) AS SELECT %s FROM airun.tasks AS t',
			string_agg(format('NULL::%s AS %I', coalesce(c.type, 'text'), v.name), ', ' ORDER BY v.place))
		FROM airun_store_view_columns() v LEFT JOIN airun_store_columns() c ON c.relation = 'tasks' AND c.name = v.name
		WHERE v.view = 'ai_tasks' AND v.place < 28);
END $$;
SELECT airun_install();
SELECT objects_test.difference();
SELECT * FROM airun_check();
ROLLBACK;

-- an API role is not told what it could not mend
DROP INDEX airun.runs_deleted;
SELECT airun_grant('regress_airun_objects');
SET ROLE regress_airun_objects;
SET airun.user_id = '0b000000-0000-4000-8000-000000000001';
SELECT problem, found FROM airun_check();
RESET ROLE;
RESET airun.user_id;
SELECT airun_install();
DROP OWNED BY regress_airun_objects;
DROP ROLE regress_airun_objects;
--
-- A column of another type: what is read by its type would be read as an address.  Every
-- call is refused, of whatever table it is, and nothing is written, until it is what it was.
--
SET airun.user_id = 'objects';
SELECT airun_set_price('objects', '{"input": 1}') IS NOT NULL, (airun_create_run(id => '0b1ec700-0000-4000-8000-000000000001')).status;
BEGIN;
DO $$BEGIN EXECUTE (SELECT 'DROP VIEW ' || string_agg(name, ', ') || ' CASCADE' FROM airun_store_views()); END$$;
ALTER TABLE airun.runs ALTER COLUMN total_cost DROP DEFAULT, ALTER COLUMN total_cost TYPE double precision;
SELECT helpers.answer('SELECT (airun_create_run()).id');
SELECT helpers.attempt(s) FROM unnest(ARRAY['SELECT airun_append_message(''0b1ec700-0000-4000-8000-000000000001'', ''{"role": "user", "content": "x"}'')',
	'INSERT INTO airun.runs DEFAULT VALUES', 'SELECT airun_meter(model_id => ''objects'')', 'SELECT airun_list_runs()', 'SELECT airun_cost(''objects'', ''{"prompt_tokens": 1}'')',
	'SELECT airun_check()']) s;
SELECT helpers.answer('SELECT airun_install()');
SELECT count(*) FROM airun.runs WHERE id = '0b1ec700-0000-4000-8000-000000000001';
ALTER TABLE airun.runs ALTER COLUMN total_cost TYPE numeric;
SELECT airun_install() ~ 'default of runs.total_cost';
SELECT * FROM airun_check();
ROLLBACK;
-- what is missing while a session looks is looked at when it comes
BEGIN;
ALTER TABLE airun.calls RENAME TO calls_earlier;
SELECT helpers.answer('SELECT airun_messages(''0b1ec700-0000-4000-8000-000000000001'')');
CREATE TABLE airun.calls (LIKE airun.calls_earlier INCLUDING ALL);
ALTER TABLE airun.calls ALTER cost DROP DEFAULT, ALTER cost TYPE double precision;
SELECT helpers.attempt('SELECT airun_messages(''0b1ec700-0000-4000-8000-000000000001'')');
ROLLBACK;
-- airun_install() and calls take the same types for read alike
BEGIN;
DO $$BEGIN EXECUTE (SELECT 'DROP VIEW ' || string_agg(name, ', ') || ' CASCADE' FROM airun_store_views()); END$$;
CREATE DOMAIN objects_test.title AS varchar(200);
CREATE DOMAIN objects_test.short_title AS objects_test.title;
ALTER TABLE airun.runs ALTER name TYPE objects_test.short_title;
SELECT helpers.attempt('SELECT airun_install() IS NOT NULL'), helpers.attempt('SELECT airun_messages(''0b1ec700-0000-4000-8000-000000000001'')');
ALTER TABLE airun.message_versions ALTER action TYPE xml USING NULL;
SELECT helpers.attempt(s) FROM unnest(ARRAY['SELECT airun_install()', 'SELECT airun_messages(''0b1ec700-0000-4000-8000-000000000001'')']) s;
ROLLBACK;
-- a view of ours
BEGIN;
SELECT pg_get_viewdef('ai_tasks') AS definition \gset
DROP VIEW ai_tasks CASCADE;
SELECT replace(:'definition', ' t.cost,', ' t.cost::double precision AS cost,') <> :'definition' AS is_another, replace(:'definition', ' t.cost,', ' t.cost::double precision AS cost,') AS definition \gset
SELECT :'is_another';
CREATE VIEW ai_tasks WITH (security_invoker = true) AS :definition;
CREATE TRIGGER airun_view INSTEAD OF INSERT OR UPDATE OR DELETE ON ai_tasks FOR EACH ROW EXECUTE FUNCTION airun_view_task();
SELECT helpers.answer('INSERT INTO ai_tasks (run_id, status, cost) VALUES (''0b1ec700-0000-4000-8000-000000000001'', ''completed'', 1.5)');
ROLLBACK;
-- a column of any table
SELECT o.relation, o.name, a FROM (SELECT DISTINCT ON (relation) * FROM airun_store_objects() WHERE kind = 'column' ORDER BY relation, name) o
CROSS JOIN LATERAL (VALUES (CASE WHEN o.definition IN ('text', 'bytea') THEN 'integer' WHEN o.definition = 'double precision' THEN 'numeric' ELSE 'text' END)) n (type)
CROSS JOIN LATERAL helpers.attempt(format($q$DO $do$BEGIN
	SET LOCAL session_replication_role = replica;
	UPDATE pg_attribute SET atttypid = %L::regtype WHERE attrelid = 'airun.%s'::regclass AND attname = %L;
	PERFORM airun_messages('0b1ec700-0000-4000-8000-000000000001');
	RAISE SQLSTATE 'UNDO0';
END$do$ $q$, n.type, o.relation, o.name)) AS a
WHERE a NOT LIKE format('55000 column "%s" of table airun.%s is of type %%', o.name, o.relation);
SELECT * FROM airun_check();
DELETE FROM airun.runs WHERE id = '0b1ec700-0000-4000-8000-000000000001';
DELETE FROM airun.prices WHERE model = 'objects';
DROP SCHEMA objects_test CASCADE;
SELECT * FROM airun_check();
