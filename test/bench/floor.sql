/*
 * floor.sql: the least that can be done: a plain INSERT of the message's row into
 * a table with only its primary key, and one text value for loading
 *
 * messages has the storage of airun's table (MAIN, lz4), defaults PostgreSQL's own
 * (EXTENDED, pglz), as texts has.  runs and tasks are airun's, with their columns,
 * indexes and foreign key, but without a promise; a statement's tasks are added to
 * their run together.
 */
CREATE SCHEMA floor;

CREATE TABLE floor.messages (
	run_id uuid NOT NULL,
	seq bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	task_id uuid,
	message_id text,
	message jsonb NOT NULL,
	PRIMARY KEY (run_id, seq)
);
CREATE TABLE floor.defaults (LIKE floor.messages INCLUDING ALL);
ALTER TABLE floor.messages ALTER message SET STORAGE MAIN;
ALTER TABLE floor.messages ALTER message SET COMPRESSION lz4;

CREATE TABLE floor.runs (LIKE airun.runs INCLUDING ALL);
ALTER TABLE floor.runs ALTER id SET DEFAULT gen_random_uuid();
CREATE TABLE floor.tasks (LIKE airun.tasks INCLUDING ALL, FOREIGN KEY (run_id) REFERENCES floor.runs ON DELETE CASCADE);
CREATE FUNCTION floor.add_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE floor.runs AS r SET task_count = task_count + n.count, total_tokens = total_tokens + n.tokens
		FROM (SELECT run_id, count(*), sum(tokens_input + tokens_output) AS tokens FROM new_rows GROUP BY run_id) AS n WHERE r.id = n.run_id;
	RETURN NULL;
END$$;
CREATE TRIGGER add_tasks AFTER INSERT ON floor.tasks REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION floor.add_tasks();

-- What airun_messages() returns, as one value; the second table with lz4.
CREATE TABLE floor.texts (id uuid PRIMARY KEY, body text NOT NULL);
CREATE TABLE floor.texts_lz4 (id uuid PRIMARY KEY, body text COMPRESSION lz4 NOT NULL);

CREATE FUNCTION bench.fill_floor(kind text, runs int, length int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO floor.messages (run_id, seq, message)
		SELECT id, m.seq, m.message FROM bench.run_ids(kind, runs) AS id, bench.conversation(kind, length) AS m;
$$;

-- @select_1
SELECT 1;

-- @append
\set r 100000000000 + random(1, :runs)
\set n :n + 1
INSERT INTO floor.messages VALUES ((:kind::text || :r)::uuid, :n, now(), NULL, NULL, :message);

-- @append_id
\set r 100000000000 + random(1, :runs)
\set n :n + 1
INSERT INTO floor.messages VALUES ((:kind::text || :r)::uuid, :n, now(), NULL, gen_random_uuid()::text, :message);

-- @append_default
\set r 100000000000 + random(1, :runs)
\set n :n + 1
INSERT INTO floor.defaults VALUES ((:kind::text || :r)::uuid, :n, now(), NULL, NULL, :message);

-- @create_run
INSERT INTO floor.runs (user_id, name) VALUES ('10000000-0000-4000-8000-000000000001', 'A run') RETURNING id;

-- @load
\set r 100000000000 + random(1, :runs)
SELECT body FROM floor.texts WHERE id = (:kind::text || :r)::uuid;

-- @load_lz4
\set r 100000000000 + random(1, :runs)
SELECT body FROM floor.texts_lz4 WHERE id = (:kind::text || :r)::uuid;

-- @load_inside
\set r 100000000000 + random(1, :runs)
SELECT octet_length(body || '') FROM floor.texts WHERE id = (:kind::text || :r)::uuid;
