--
-- The direct path is open where the store is exactly what airun_install() made,
-- and closed for whatever a statement would honour.  Each thing that a site or an
-- extension may put on a table is put there once, taken back, and what calls come
-- to is told: which tables they have written by statements, or what they were
-- refused with.  With airun.direct_writes off they come to the same.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA exact_test;
SET search_path = exact_test, helpers, public;
SET helpers.ids = 'e8ac7000-0000-4000-8000';
SET airun.user_id = 'exact test';
SET track_functions = 'all';
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

CREATE ROLE regress_airun_exact NOLOGIN;
CREATE ROLE regress_airun_exact_other NOLOGIN;
SELECT airun_grant('regress_airun_exact');
GRANT USAGE ON SCHEMA exact_test TO PUBLIC;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING '% on %', TG_OP, TG_TABLE_NAME; RETURN NEW; END$$;
SELECT status FROM airun_create_run(id => run_id(1), name => 'exact');

-- how often the triggers have been called, which only statements call, by table
CREATE FUNCTION calls() RETURNS bigint[] LANGUAGE sql AS $$
	SELECT ARRAY[
		sum(calls) FILTER (WHERE funcname = 'airun_guard_run'),
		sum(calls) FILTER (WHERE funcname IN ('airun_guard_message', 'airun_roll_up_messages')),
		sum(calls) FILTER (WHERE funcname IN ('airun_guard_task', 'airun_roll_up_tasks'))]::bigint[]
	FROM pg_stat_xact_user_functions WHERE schemaname = 'public'
$$;
-- what a command has written by statements; or what it was refused with
CREATE FUNCTION way(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before bigint[] := calls();
	after bigint[];
	tables text;
BEGIN
	EXECUTE command;
	after := calls();
	SELECT string_agg((ARRAY['runs', 'messages', 'tasks'])[i], ', ' ORDER BY i) INTO tables
	FROM generate_series(1, 3) AS i WHERE coalesce(after[i], 0) > coalesce(before[i], 0);
	RETURN coalesce('by statement: ' || tables, 'direct');
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END$$;
-- the same for changes of a definition and then all kinds of writes, which are taken back
CREATE FUNCTION probe(changes text, role text DEFAULT 'regress_airun_exact') RETURNS text LANGUAGE plpgsql AS $probe$
BEGIN
	EXECUTE changes;
	EXECUTE format('SET LOCAL ROLE %I', role);
	RAISE SQLSTATE 'ROLLB' USING MESSAGE = way($c$DO $d$BEGIN
		PERFORM airun_append_message(helpers.run_id(1), helpers.say('a'), 'once');
		PERFORM airun_append_message(helpers.run_id(1), helpers.say('b'));
		PERFORM airun_create_task(helpers.run_id(1), helpers.task_id(1));
		PERFORM airun_stream_delta(helpers.task_id(1), 'one');
		PERFORM airun_stream_delta(helpers.task_id(1), ' two');
		PERFORM airun_complete_task(helpers.task_id(1), finish_reason => 'stop');
	END$d$$c$);
EXCEPTION WHEN SQLSTATE 'ROLLB' THEN
	RETURN SQLERRM;
END$probe$;
-- with the path open and closed: the first, and the second where it is refused otherwise
CREATE FUNCTION probes(changes text, role text DEFAULT 'regress_airun_exact') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	opened text := probe(changes, role);
	closed text;
BEGIN
	SET LOCAL airun.direct_writes = off;
	closed := probe(changes, role);
	SET LOCAL airun.direct_writes = on;
	RETURN opened || CASE WHEN (opened ~ '^(d|by)') <> (closed ~ '^(d|by)') OR opened !~ '^(d|by)' AND opened <> closed THEN '; by statement ' || closed ELSE '' END;
END$$;

--
-- The setting: superusers'; which way each function takes
--
SHOW airun.direct_writes;
SET ROLE regress_airun_exact;
SELECT attempt('SET airun.direct_writes = off');
SELECT attempt('SET airun.direct_writes = on');
RESET ROLE;
SELECT name, setting, context FROM pg_settings WHERE name = 'airun.direct_writes';
CREATE TABLE functions (id int GENERATED ALWAYS AS IDENTITY, command text);
INSERT INTO functions (command) VALUES
	('SELECT airun_create_run(id => run_id(%s))'),
	('SELECT airun_append_message(run_id(%s), say(''one''))'),
	('SELECT airun_append_message(run_id(%s), say(''two''), ''two'')'),
	('SELECT airun_append_messages(run_id(%s), jsonb_build_array(say(''three''), say(''four'')))'),
	('SELECT airun_create_task(run_id(%s), task_id(%1$s))'),
	('SELECT airun_stream_delta(task_id(%s), ''one'')'),
	('SELECT airun_stream_delta(task_id(%s), '' two'')'),
	('SELECT airun_update_task(task_id(%s), ''one two three'')'),
	('SELECT airun_update_task(task_id(%s), response_data => ''{}'')'),
	('SELECT airun_heartbeat_task(task_id(%s))'),
	('SELECT airun_complete_task(task_id(%s), usage => ''{"input_tokens": 1}'')'),
	('SELECT airun_create_task(run_id(%s), task_id(1%1$s))'),
	('SELECT airun_fail_task(task_id(1%s))'),
	('SELECT airun_create_task(run_id(%s), task_id(2%1$s))'),
	('SELECT airun_cancel_task(task_id(2%s))'),
	('SELECT airun_start_turn(run_id(%s), say(''turn''), task_id(3%1$s))'),
	('SELECT airun_finish_turn(task_id(3%s), say(''turned'', ''assistant''))'),
	('SELECT airun_create_task(run_id(%s), task_id(4%1$s), timeout => ''1 us'')'),
	('SELECT airun_expire_tasks()'),
	('UPDATE ai_runs SET name = ''renamed'' WHERE id = run_id(%s)'),
	('SELECT airun_set_run_status(run_id(%s), ''completed'')'),
	('SELECT airun_delete_run(run_id(%s))'),
	('INSERT INTO ai_messages (run_id, message) VALUES (run_id(1), say(''%s''))');
GRANT SELECT ON functions TO PUBLIC;
SET ROLE regress_airun_exact;
CREATE FUNCTION pg_temp.ways(variant int) RETURNS TABLE (id int, command text, way text) LANGUAGE sql AS
$$SELECT id, command, way(format(command, variant)) FROM (SELECT * FROM functions ORDER BY id OFFSET 0) AS f$$;
CREATE TEMP TABLE ways_on AS SELECT * FROM pg_temp.ways(7);
RESET ROLE;
SET airun.direct_writes = off;
SET ROLE regress_airun_exact;
CREATE TEMP TABLE ways_off AS SELECT * FROM pg_temp.ways(8);
RESET ROLE;
RESET airun.direct_writes;
SELECT substring(a.command FROM '^(?:SELECT )?([\w ]+)') AS function, a.way AS "on", b.way AS "off"
FROM pg_temp.ways_on AS a JOIN pg_temp.ways_off AS b USING (id) ORDER BY id;
DISCARD TEMP;
--
-- What a site may add: the path stays open
--
CREATE TABLE cases (id int GENERATED ALWAYS AS IDENTITY, what text, changes text);
CREATE FUNCTION tell() RETURNS SETOF text LANGUAGE sql AS
$$SELECT what || ': ' || probes(changes) FROM (SELECT * FROM cases ORDER BY id OFFSET 0) AS c$$;
INSERT INTO cases (what, changes) VALUES
	('nothing', 'SELECT 1'),
	('nullable columns', 'ALTER TABLE airun.runs ADD site text; ALTER TABLE airun.messages ADD site int[]; ALTER TABLE airun.tasks ADD site jsonb'),
	('a column with a default that is gone', 'ALTER TABLE airun.messages ADD site text DEFAULT ''old''; ALTER TABLE airun.messages ALTER site DROP DEFAULT'),
	('columns dropped', 'ALTER TABLE airun.messages ADD site int; ALTER TABLE airun.tasks ADD site int; ALTER TABLE airun.messages DROP site; ALTER TABLE airun.tasks DROP site'),
	('an index', 'CREATE INDEX site ON airun.tasks (status)'),
	('a unique index', 'CREATE UNIQUE INDEX site ON airun.tasks (task_id, status)'),
	('an expression index', 'CREATE INDEX site ON airun.messages ((message ->> ''content''))'),
	('a partial index', 'CREATE INDEX site ON airun.messages (created_at) WHERE task_id IS NULL'),
	('a hash index', 'CREATE INDEX site ON airun.tasks USING hash (finish_reason)'),
	('a GIN index', 'CREATE INDEX site ON airun.messages USING gin (message)'),
	('a GiST index', 'CREATE INDEX site ON airun.messages USING gist (to_tsvector(''simple'', message ->> ''content''))'),
	('an SP-GiST index', 'CREATE INDEX site ON airun.tasks USING spgist (finish_reason)'),
	('a BRIN index', 'CREATE INDEX site ON airun.runs USING brin (updated_at)'),
	('a covering index', 'CREATE INDEX site ON airun.tasks (status) INCLUDE (updated_at)'),
	('an index of ours gone', 'DROP INDEX airun.runs_user_hour'),
	('a fillfactor', 'ALTER TABLE airun.messages SET (fillfactor = 50, toast_tuple_target = 512)'),
	('unlogged chunks', 'ALTER TABLE airun.task_chunks SET UNLOGGED'),
	('another compression', 'ALTER TABLE airun.messages ALTER message SET STORAGE EXTERNAL'),
	('a parent', 'CREATE TABLE airun.parent (run_id uuid NOT NULL); ALTER TABLE airun.messages INHERIT airun.parent'),
	('statistics', 'CREATE STATISTICS exact_test.site ON run_id, seq FROM airun.messages'),
	('a view over it', 'CREATE VIEW exact_test.site AS SELECT * FROM airun.messages'),
	('a comment', 'COMMENT ON TABLE airun.messages IS ''of a site'''),
	('replica identity full', 'ALTER TABLE airun.messages REPLICA IDENTITY FULL; ALTER TABLE airun.tasks REPLICA IDENTITY FULL; ALTER TABLE airun.runs REPLICA IDENTITY FULL'),
	('an overload of a policy''s function', 'CREATE FUNCTION public.airun_user_id(int) RETURNS uuid LANGUAGE sql AS ''SELECT NULL::uuid'''),
	('an overload of the list', 'CREATE FUNCTION public.airun_store_objects(int) RETURNS int LANGUAGE sql AS ''SELECT 1''; ALTER FUNCTION public.airun_store_objects(int) OWNER TO regress_airun_exact_other'),
	('all of it given away', 'GRANT ALL ON ALL TABLES IN SCHEMA airun TO regress_airun_exact_other; GRANT CREATE, USAGE ON SCHEMA airun TO regress_airun_exact_other; ALTER TABLE airun.runs OWNER TO regress_airun_exact_other; ALTER TABLE airun.messages OWNER TO regress_airun_exact_other; ALTER TABLE airun.tasks OWNER TO regress_airun_exact_other; ALTER TABLE airun.task_chunks OWNER TO regress_airun_exact_other'),
	('row security forced', 'ALTER TABLE airun.runs FORCE ROW LEVEL SECURITY; ALTER TABLE airun.messages FORCE ROW LEVEL SECURITY; ALTER TABLE airun.tasks FORCE ROW LEVEL SECURITY'),
	('a trigger of ours dropped', 'DROP TRIGGER airun_roll_up_delete ON airun.messages'),
	('names in quotes', 'SET LOCAL quote_all_identifiers = on; CREATE INDEX site ON airun.runs (name)'),
	('tables of the same names in front', 'CREATE TEMP TABLE runs (LIKE airun.runs); CREATE TEMP TABLE messages (LIKE airun.messages); CREATE TEMP TABLE tasks (LIKE airun.tasks); SET LOCAL search_path = pg_temp, exact_test, helpers, public'),
	('a publication with a row filter and columns', 'CREATE PUBLICATION site FOR TABLE airun.messages (run_id, seq, message) WHERE (seq > 10) WITH (publish = ''insert'')');
SET client_min_messages = error;
SELECT tell();
SET client_min_messages = warning;
-- the owner, bound and not
SELECT probes('SELECT 1', current_user);
SELECT probes('ALTER TABLE airun.runs FORCE ROW LEVEL SECURITY', current_user);

--
-- What closes it, for the table that it is on
--
TRUNCATE cases;
INSERT INTO cases (what, changes) VALUES
	('column with a default', 'ALTER TABLE airun.messages ADD site text DEFAULT ''x'''),
	('column that must be given', 'ALTER TABLE airun.messages ADD site text NOT NULL DEFAULT ''x''; ALTER TABLE airun.messages ALTER site DROP DEFAULT'),
	('column of a domain', 'CREATE DOMAIN exact_test.word AS text; ALTER TABLE airun.tasks ADD site exact_test.word'),
	('column that is generated', 'ALTER TABLE airun.tasks ADD site text GENERATED ALWAYS AS (upper(status)) STORED'),
	('identity', 'ALTER TABLE airun.messages ADD site int GENERATED BY DEFAULT AS IDENTITY'),
	('serial', 'ALTER TABLE airun.messages ADD site serial; GRANT USAGE ON SEQUENCE airun.messages_site_seq TO PUBLIC'),
	('CHECK', 'ALTER TABLE airun.messages ADD CONSTRAINT site CHECK (seq > 0)'),
	('CHECK that is inherited', 'CREATE TABLE airun.parent (seq bigint NOT NULL CONSTRAINT site CHECK (seq > 0)); ALTER TABLE airun.messages ADD CONSTRAINT site CHECK (seq > 0); ALTER TABLE airun.messages INHERIT airun.parent'),
	('CHECK of runs, not valid', 'ALTER TABLE airun.runs ADD CONSTRAINT site CHECK (name <> ''exact'') NOT VALID'),
	('exclusion', 'ALTER TABLE airun.tasks ADD CONSTRAINT site EXCLUDE (task_id WITH =)'),
	('unique constraint', 'ALTER TABLE airun.tasks ADD CONSTRAINT site UNIQUE (task_id)'),
	('deferrable unique constraint', 'ALTER TABLE airun.tasks ADD CONSTRAINT site UNIQUE (task_id) DEFERRABLE'),
	('foreign key', 'CREATE TABLE exact_test.words (word text PRIMARY KEY); ALTER TABLE airun.tasks ADD CONSTRAINT site FOREIGN KEY (finish_reason) REFERENCES exact_test.words'),
	('foreign key to the primary key', 'CREATE TABLE exact_test.site (run_id uuid REFERENCES airun.runs)'),
	('foreign key to a unique index', 'CREATE UNIQUE INDEX site ON airun.tasks (run_id, task_id, status); CREATE TABLE exact_test.site (run_id uuid, task_id uuid, status text, FOREIGN KEY (run_id, task_id, status) REFERENCES airun.tasks (run_id, task_id, status))'),
	('foreign key of partitions', 'CREATE TABLE exact_test.site (run_id uuid REFERENCES airun.runs) PARTITION BY LIST (run_id); CREATE TABLE exact_test.site1 PARTITION OF exact_test.site DEFAULT'),
	('foreign key of messages of another schema', 'CREATE TABLE exact_test.messages (run_id uuid, CONSTRAINT messages_run_id_fkey FOREIGN KEY (run_id) REFERENCES airun.runs(id) ON DELETE CASCADE)'),
	('trigger', 'CREATE TRIGGER site BEFORE INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION exact_test.nothing()'),
	('trigger of statements, with a transition table', 'CREATE TRIGGER site AFTER UPDATE ON airun.tasks REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION exact_test.nothing()'),
	('trigger for deletes', 'CREATE TRIGGER site BEFORE DELETE ON airun.messages FOR EACH ROW EXECUTE FUNCTION exact_test.nothing()'),
	('trigger with a condition', 'CREATE TRIGGER site BEFORE UPDATE ON airun.runs FOR EACH ROW WHEN (OLD.status = ''odd'') EXECUTE FUNCTION exact_test.nothing()'),
	('constraint trigger', 'CREATE CONSTRAINT TRIGGER site AFTER INSERT ON airun.messages DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION exact_test.nothing()'),
	('trigger, disabled', 'CREATE TRIGGER site BEFORE INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION exact_test.nothing(); ALTER TABLE airun.messages DISABLE TRIGGER site'),
	('trigger, replica', 'CREATE TRIGGER site BEFORE INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION exact_test.nothing(); ALTER TABLE airun.messages ENABLE REPLICA TRIGGER site'),
	('trigger, always', 'CREATE TRIGGER site BEFORE INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION exact_test.nothing(); ALTER TABLE airun.messages ENABLE ALWAYS TRIGGER site'),
	('internal trigger', 'CREATE TRIGGER site AFTER INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION exact_test.nothing(); UPDATE pg_trigger SET tgisinternal = true WHERE tgname = ''site'''),
	('internal trigger for TRUNCATE', 'CREATE TRIGGER site AFTER TRUNCATE ON airun.tasks EXECUTE FUNCTION exact_test.nothing(); UPDATE pg_trigger SET tgisinternal = true WHERE tgname = ''site'''),
	('our trigger, always', 'ALTER TABLE airun.tasks ENABLE ALWAYS TRIGGER airun_guard'),
	('our trigger, replica', 'ALTER TABLE airun.tasks ENABLE REPLICA TRIGGER airun_guard'),
	('our trigger, disabled', 'ALTER TABLE airun.messages DISABLE TRIGGER airun_guard'),
	('another trigger of our trigger''s name', 'DROP TRIGGER airun_guard ON airun.messages; CREATE TRIGGER airun_guard BEFORE INSERT OR UPDATE ON airun.messages FOR EACH ROW EXECUTE FUNCTION exact_test.nothing()'),
	('our trigger''s function for other rows', 'DROP TRIGGER airun_guard ON airun.messages; CREATE TRIGGER airun_guard BEFORE INSERT OR UPDATE ON airun.messages FOR EACH ROW WHEN (NEW.seq > 1) EXECUTE FUNCTION public.airun_guard_message()'),
	('our trigger by another name', 'ALTER TRIGGER airun_guard ON airun.messages RENAME TO site'),
	('our trigger''s function replaced', 'CREATE OR REPLACE FUNCTION public.airun_roll_up_messages() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END'''),
	('rule', 'CREATE RULE site AS ON INSERT TO airun.messages WHERE NEW.seq < 0 DO INSTEAD NOTHING'),
	('policy', 'CREATE POLICY site ON airun.messages AS RESTRICTIVE USING (true)'),
	('policy for nobody', 'CREATE POLICY site ON airun.messages AS RESTRICTIVE TO regress_airun_exact_other USING (false)'),
	('our policy, altered', 'ALTER POLICY airun_append ON airun.messages WITH CHECK (public.airun_writes_run(run_id) AND seq > 0)'),
	('our policy, for a role', 'ALTER POLICY airun_append ON airun.messages TO regress_airun_exact'),
	('our policy, restrictive', 'DROP POLICY airun_create ON airun.tasks; CREATE POLICY airun_create ON airun.tasks AS RESTRICTIVE FOR INSERT WITH CHECK (public.airun_writes_run(run_id))'),
	('our policy by another name', 'ALTER POLICY airun_append ON airun.messages RENAME TO site'),
	('our policy, gone', 'DROP POLICY airun_append ON airun.messages'),
	('a policy''s function replaced', 'CREATE OR REPLACE FUNCTION public.airun_writes_run(uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS ''SELECT true'''),
	('a policy''s function by another name', 'ALTER FUNCTION public.airun_writes_run(uuid) RENAME TO site'),
	('a policy''s function no member', 'ALTER EXTENSION airun DROP FUNCTION public.airun_writes_run(uuid); CREATE INDEX site ON airun.messages (created_at)'),
	('another owner', 'GRANT CREATE, USAGE ON SCHEMA airun TO regress_airun_exact_other; ALTER TABLE airun.messages OWNER TO regress_airun_exact_other'),
	('child', 'CREATE TABLE exact_test.child () INHERITS (airun.messages)'),
	('partition', 'CREATE TABLE exact_test.whole (LIKE airun.messages) PARTITION BY LIST (run_id); ALTER TABLE exact_test.whole ATTACH PARTITION airun.messages DEFAULT'),
	('user catalog', 'ALTER TABLE airun.messages SET (user_catalog_table = true)'),
	('another access method', 'CREATE ACCESS METHOD exact_heap TYPE TABLE HANDLER heap_tableam_handler; ALTER TABLE airun.messages SET ACCESS METHOD exact_heap'),
	('another foreign key of our key''s name', 'ALTER TABLE airun.messages DROP CONSTRAINT messages_run_id_fkey; ALTER TABLE airun.messages ADD CONSTRAINT messages_run_id_fkey FOREIGN KEY (run_id) REFERENCES airun.runs(id)'),
	('our foreign key, deferrable', 'ALTER TABLE airun.messages ALTER CONSTRAINT messages_run_id_fkey DEFERRABLE'),
	('another primary key of our key''s name', 'ALTER TABLE airun.messages DROP CONSTRAINT messages_pkey; ALTER TABLE airun.messages ADD CONSTRAINT messages_pkey PRIMARY KEY (seq, run_id)'),
	('CHECK of our primary key''s name', 'ALTER TABLE airun.messages DROP CONSTRAINT messages_pkey; ALTER TABLE airun.messages ADD CONSTRAINT messages_pkey CHECK (seq > 0)'),
	('column of ours of another type', 'DROP VIEW ai_messages, ai_runs CASCADE; ALTER TABLE airun.messages ALTER message_id TYPE varchar(100)'),
	('privileges of columns', 'REVOKE INSERT ON airun.messages FROM regress_airun_exact; GRANT INSERT (run_id, seq, message_id, task_id, message, created_at) ON airun.messages TO regress_airun_exact'),
	('publication that updates do not fit', 'CREATE PUBLICATION site FOR TABLE airun.tasks WHERE (status = ''completed'')'),
	('row security off', 'SET LOCAL row_security = off'),
	('read only', 'SET LOCAL transaction_read_only = on');
SET client_min_messages = error;
SELECT tell();
SET client_min_messages = warning;
SELECT * FROM airun_check();

--
-- What a site adds is honoured
--
SELECT status FROM airun_create_task(run_id(1), task_id(11));
SELECT status FROM airun_create_task(run_id(1), task_id(12));
-- a foreign key to other columns than the primary key, of a constraint and of an index
CREATE UNIQUE INDEX site ON airun.tasks (run_id, task_id, status);
CREATE TABLE review (run_id uuid, task_id uuid, status text, FOREIGN KEY (run_id, task_id, status) REFERENCES airun.tasks (run_id, task_id, status));
INSERT INTO review VALUES (run_id(1), task_id(11), 'pending');
SET ROLE regress_airun_exact;
SELECT attempt('SELECT status FROM airun_complete_task(task_id(11), ''Done'')') ~ '^23503 ';
SELECT attempt('SELECT status FROM airun_stream_delta(task_id(11), ''Do'')') ~ '^23503 ';
SELECT status FROM airun_complete_task(task_id(12));
RESET ROLE;
DROP TABLE review;
DROP INDEX airun.site;
SELECT status FROM airun_complete_task(task_id(11), 'Done');
-- and one that follows
ALTER TABLE airun.runs ADD CONSTRAINT site UNIQUE (id, status);
CREATE TABLE mirror (id uuid, status text, FOREIGN KEY (id, status) REFERENCES airun.runs (id, status) ON UPDATE CASCADE);
INSERT INTO mirror VALUES (run_id(1), 'active');
SET ROLE regress_airun_exact;
SELECT status FROM airun_create_task(run_id(1), task_id(13));
SELECT status FROM airun_fail_task(task_id(13));
RESET ROLE;
SELECT m.status, r.status FROM mirror AS m JOIN airun.runs AS r USING (id);
DROP TABLE mirror;
ALTER TABLE airun.runs DROP CONSTRAINT site;
SELECT status FROM airun_set_run_status(run_id(1), 'active');
-- internal triggers of an extension, such as keep a view up to date
CREATE TABLE counts AS SELECT run_id, count(*) AS n FROM airun.messages GROUP BY run_id;
CREATE FUNCTION recount() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	TRUNCATE exact_test.counts;
	INSERT INTO exact_test.counts SELECT run_id, count(*) FROM airun.messages GROUP BY run_id;
	RETURN NULL;
END$$;
CREATE TRIGGER site AFTER INSERT ON airun.messages FOR EACH STATEMENT EXECUTE FUNCTION recount();
UPDATE pg_trigger SET tgisinternal = true WHERE tgname = 'site' AND tgrelid = 'airun.messages'::regclass;
SET ROLE regress_airun_exact;
SELECT count(airun_append_message(run_id(1), say(i::text))) FROM generate_series(1, 3) AS i;
RESET ROLE;
SELECT (SELECT n FROM counts WHERE run_id = run_id(1)) = (SELECT count(*) FROM airun.messages WHERE run_id = run_id(1));
UPDATE pg_trigger SET tgisinternal = false WHERE tgname = 'site' AND tgrelid = 'airun.messages'::regclass;
DROP TRIGGER site ON airun.messages;
-- the right to the functions of the policies
REVOKE EXECUTE ON FUNCTION airun_user_id(), airun_writes_run(uuid) FROM PUBLIC, regress_airun_exact;
SET ROLE regress_airun_exact;
SELECT attempt('SELECT seq FROM airun_append_message(run_id(1), say(''revoked''))');
SELECT attempt('SELECT status FROM airun_create_task(run_id(1))');
SELECT attempt('SELECT status FROM airun_stream_delta(task_id(13), ''revoked'')');
RESET ROLE;
GRANT EXECUTE ON FUNCTION airun_user_id(), airun_writes_run(uuid) TO PUBLIC;

--
-- Indexes of all kinds are filled, by inserts and by updates that move a row
--
CREATE FUNCTION beginning(message jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT left(message ->> 'content', 20)$$;
CREATE FUNCTION words(message jsonb) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$SELECT to_tsvector('pg_catalog.simple', message ->> 'content')$$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA exact_test TO PUBLIC;
CREATE INDEX site_expression ON airun.messages (beginning(message));
CREATE INDEX site_gin ON airun.messages USING gin (message);
CREATE INDEX site_gist ON airun.messages USING gist (words(message));
CREATE INDEX site_partial ON airun.messages (created_at) WHERE message ->> 'role' = 'system';
CREATE UNIQUE INDEX site_unique ON airun.messages ((message ->> 'once')) WHERE message ? 'once';
CREATE INDEX site_hash ON airun.tasks USING hash (finish_reason);
CREATE INDEX site_spgist ON airun.tasks USING spgist (service);
CREATE INDEX site_brin ON airun.tasks USING brin (updated_at);
CREATE INDEX site_status ON airun.tasks (status) INCLUDE (finish_reason) WHERE status <> 'pending';
CREATE INDEX site_runs ON airun.runs (message_count, total_tokens);
CREATE INDEX site_runs_brin ON airun.runs USING brin (updated_at);
SET ROLE regress_airun_exact;
SELECT status FROM airun_create_run(id => run_id(2), name => 'indexes');
SELECT count(airun_append_message(run_id(2), say('word' || i, CASE i % 3 WHEN 0 THEN 'system' ELSE 'user' END))) FROM generate_series(1, 30) AS i;
SELECT seq FROM airun_append_message(run_id(2), say('once') || '{"once": "a"}');
SELECT attempt('SELECT seq FROM airun_append_message(run_id(2), say(''twice'') || ''{"once": "a"}'')');
SELECT count(airun_create_task(run_id(2), task_id(200 + i), service => 'service ' || i % 4)) FROM generate_series(1, 20) AS i;
SELECT count(airun_stream_delta(task_id(200 + i), 'piece')) FROM generate_series(1, 20) AS i;
SELECT count(airun_complete_task(task_id(200 + i), finish_reason => 'stop ' || i % 5, tokens_total => i)) FROM generate_series(1, 15) AS i;
RESET ROLE;
-- the rows of a condition, by the index alone and by the table
CREATE FUNCTION found(index text, tab text, condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	by_index text;
	by_table text;
	line text;
	is_used boolean := false;
	query text := format('SELECT count(*) || '' '' || md5(coalesce(string_agg(x::text, '''' ORDER BY x::text COLLATE "C"), '''')) FROM airun.%I AS x WHERE %s', tab, condition);
BEGIN
	SET LOCAL enable_seqscan = off;
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		is_used := is_used OR line LIKE '%' || index || ' %' OR line LIKE '%' || index;
	END LOOP;
	EXECUTE query INTO by_index;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_indexscan = off;
	SET LOCAL enable_indexonlyscan = off;
	SET LOCAL enable_bitmapscan = off;
	EXECUTE query INTO by_table;
	SET LOCAL enable_indexscan = on;
	SET LOCAL enable_indexonlyscan = on;
	SET LOCAL enable_bitmapscan = on;
	RETURN format('%s: %s rows%s%s', index, split_part(by_table, ' ', 1), CASE WHEN is_used THEN '' ELSE ', not used' END,
		CASE WHEN by_index = by_table THEN '' ELSE ', but by the index ' || split_part(by_index, ' ', 1) END);
END$$;
SELECT found(index, tab, condition) FROM (VALUES
	('site_expression', 'messages', 'exact_test.beginning(message) = ''word7'''),
	('site_gin', 'messages', 'message @> ''{"content": "word8"}'''),
	('site_gist', 'messages', 'exact_test.words(message) @@ ''word9'''),
	('site_partial', 'messages', 'message ->> ''role'' = ''system'' AND created_at > ''2001-01-01'''),
	('site_unique', 'messages', 'message ? ''once'' AND message ->> ''once'' = ''a'''),
	('site_hash', 'tasks', 'finish_reason = ''stop 3'''),
	('site_spgist', 'tasks', 'service = ''service 2'''),
	('site_brin', 'tasks', 'updated_at > ''2001-01-01'' AND model_id IS NULL'),
	('site_status', 'tasks', 'status = ''completed'' AND status <> ''pending'''),
	('site_status', 'tasks', 'status = ''streaming'' AND status <> ''pending'''),
	('site_runs', 'runs', 'message_count = 31 AND total_tokens = 120'),
	('site_runs_brin', 'runs', 'updated_at > ''2001-01-01'' AND name = ''indexes''')) AS v (index, tab, condition);
SELECT probe('SELECT 1');
DO $$BEGIN EXECUTE (SELECT 'DROP INDEX ' || string_agg(format('airun.%I', relname), ', ') FROM pg_class WHERE relname LIKE 'site\_%' AND relkind = 'i'); END$$;
-- functions of an index: whose they run as, what they raise, and calls of airun in them
CREATE FUNCTION told(message jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RAISE WARNING '%, of % messages', current_user, (SELECT message_count FROM airun.runs WHERE id = helpers.run_id(3));
	IF message ->> 'content' = 'fails' THEN
		RAISE 'failed' USING ERRCODE = 'ZZ001';
	END IF;
	IF message ->> 'content' = 'calls' THEN
		PERFORM airun_append_message(helpers.run_id(3), helpers.say('called'));
	END IF;
	RETURN left(message ->> 'content', 5);
END$$;
SET ROLE regress_airun_exact;
SELECT status FROM airun_create_run(id => run_id(3), name => 'functions');
RESET ROLE;
CREATE INDEX site ON airun.messages (told(message)) WHERE run_id = 'e8ac7000-0000-4000-8000-000000000003';
SET ROLE regress_airun_exact;
SELECT way('SELECT airun_append_message(run_id(3), say(''plain''))');
SELECT way('SELECT airun_append_message(run_id(3), say(''fails''))');
SELECT way('SELECT airun_append_message(run_id(3), say(''calls''))');
RESET ROLE;
SET airun.direct_writes = off;
SET ROLE regress_airun_exact;
SELECT way('SELECT airun_append_message(run_id(3), say(''plain''))');
SELECT way('SELECT airun_append_message(run_id(3), say(''fails''))');
SELECT way('SELECT airun_append_message(run_id(3), say(''calls''))');
RESET ROLE;
RESET airun.direct_writes;
DROP INDEX airun.site;
SELECT seq, message ->> 'content' FROM ai_messages WHERE run_id = run_id(3) ORDER BY seq;
SELECT * FROM airun_check();

--
-- Statistics, parallel queries, the chunk's hash
--
-- how often the primary key of runs is used for so many appends
CREATE FUNCTION scans() RETURNS bigint LANGUAGE sql AS
$$SELECT idx_scan FROM pg_stat_user_indexes WHERE schemaname = 'airun' AND indexrelname = 'runs_pkey'$$;
SET ROLE regress_airun_exact;
SELECT pg_stat_force_next_flush();
SELECT scans() AS before \gset
SELECT count(airun_append_message(run_id(1), say(i::text))) FROM generate_series(1, 50) AS i;
SELECT pg_stat_force_next_flush();
SELECT scans() - :before BETWEEN 50 AND 110;
RESET ROLE;
-- a function that somebody has made PARALLEL SAFE
SELECT CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'debug_parallel_query' ELSE 'force_parallel_mode' END AS parallel \gset
\set VERBOSITY sqlstate
BEGIN;
DO $$BEGIN EXECUTE (SELECT string_agg(format('ALTER FUNCTION %s PARALLEL SAFE', oid::regprocedure), '; ') FROM pg_proc WHERE proname IN ('airun_append_message', 'airun_stream_delta', 'airun_complete_task', 'airun_heartbeat_task')); END$$;
SELECT set_config(:'parallel', 'on', true);
SAVEPOINT s;
SELECT seq FROM airun_append_message('e8ac7000-0000-4000-8000-000000000001', '{"role": "user", "content": "parallel"}');
ROLLBACK TO s;
SELECT response_length FROM airun_stream_delta('e8ac7000-0000-4000-9000-000000000216', 'parallel');
ROLLBACK TO s;
SELECT status FROM airun_complete_task('e8ac7000-0000-4000-9000-000000000217');
ROLLBACK TO s;
SELECT status FROM airun_heartbeat_task('e8ac7000-0000-4000-9000-000000000217');
ROLLBACK;
\set VERBOSITY default
-- what the comment on task_chunks.hash says that it is: the sum of the bytes and the sum
-- of the sums are the lower half, both from a start of all bits
SELECT col_description('airun.task_chunks'::regclass, attnum) FROM pg_attribute WHERE attrelid = 'airun.task_chunks'::regclass AND attname = 'hash';
SELECT hash & 65535 = (65535 + (SELECT sum(get_byte(t, i)) FROM generate_series(0, length(t) - 1) AS i)) % 65536 AS sum,
	(hash >> 16) & 65535 = (65535 * (length(t) + 1) + (SELECT sum((length(t) - i) * get_byte(t, i)) FROM generate_series(0, length(t) - 1) AS i)) % 65536 AS sum_of_sums
FROM airun.task_chunks, convert_to(chunk, 'UTF8') AS t WHERE task_id = task_id(216) AND chars = length(chunk);
-- a request that somebody has made up
SELECT answer($$SELECT airun_request('{"messages": []}', '{"key": "odd", "at": 0, "keys": []}', '[]')$$);

DELETE FROM airun.runs WHERE id::text LIKE 'e8ac7000-%';
RESET track_functions;
DROP SCHEMA exact_test CASCADE;
DROP OWNED BY regress_airun_exact, regress_airun_exact_other;
DROP ROLE regress_airun_exact, regress_airun_exact_other;
SELECT airun_install();
SELECT * FROM airun_check();
