/*
 * bare.sql: the same rows without a promise: prepared statements of the client on
 * bare tables, no function, foreign key, check, trigger or row security
 *
 * A turn is 14 statements, each a transaction of its own as airun's calls are: run,
 * question, task; ten pieces; the end.  Storage is airun's: messages MAIN with lz4,
 * fillfactor 60 for runs and 80 for tasks.
 */
CREATE SCHEMA bare;

CREATE TABLE bare.runs (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	user_id uuid,
	last_message_at timestamptz NOT NULL DEFAULT now(),
	message_count bigint NOT NULL DEFAULT 0,
	task_count bigint NOT NULL DEFAULT 0,
	total_tokens bigint NOT NULL DEFAULT 0,
	total_cost numeric NOT NULL DEFAULT 0,
	name text
) WITH (fillfactor = 60);
CREATE TABLE bare.messages (
	run_id uuid NOT NULL,
	seq bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	task_id uuid,
	message jsonb NOT NULL,
	PRIMARY KEY (run_id, seq)
);
ALTER TABLE bare.messages ALTER message SET STORAGE MAIN;
ALTER TABLE bare.messages ALTER message SET COMPRESSION lz4;
CREATE TABLE bare.tasks (
	run_id uuid NOT NULL,
	task_id uuid NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	completed_at timestamptz,
	tokens bigint,
	cost numeric,
	status text NOT NULL,
	provider text,
	model_id text,
	response_text text COMPRESSION lz4,
	PRIMARY KEY (run_id, task_id)
) WITH (fillfactor = 80);
CREATE TABLE bare.pieces (
	run_id uuid NOT NULL,
	task_id uuid NOT NULL,
	position int NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	piece text NOT NULL,
	PRIMARY KEY (run_id, task_id, position)
);

CREATE FUNCTION bench.fill_bare(kind text, runs int, length int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO bare.runs (id, name, message_count) SELECT id, 'A run', length FROM bench.run_ids(kind, runs) AS id;
	INSERT INTO bare.messages (run_id, seq, message)
		SELECT id, m.seq, m.message FROM bench.run_ids(kind, runs) AS id, bench.conversation(kind, length) AS m;
$$;

-- @append
\set r 100000000000 + random(1, :runs)
WITH u AS (UPDATE bare.runs SET message_count = message_count + 1, last_message_at = now() WHERE id = (:kind::text || :r)::uuid RETURNING id, message_count) INSERT INTO bare.messages (run_id, seq, message) SELECT id, message_count, :message FROM u RETURNING seq;

-- @create_run
INSERT INTO bare.runs (user_id, name) VALUES ('10000000-0000-4000-8000-000000000001', 'A run') RETURNING id;

-- @turn
\set r 100000000000 + random(1, :runs)
\set a random(100, 999)
\set b random(100000000000, 999999999999)
UPDATE bare.runs SET message_count = message_count + 1, task_count = task_count + 1, last_message_at = now() WHERE id = (:kind::text || :r)::uuid RETURNING message_count AS seq \gset
INSERT INTO bare.messages (run_id, seq, message) VALUES ((:kind::text || :r)::uuid, :seq, :question);
INSERT INTO bare.tasks (run_id, task_id, status, provider, model_id) VALUES ((:kind::text || :r)::uuid, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, 'pending', 'openai', 'gpt-4o');
INSERT INTO bare.pieces (run_id, task_id, position, piece) VALUES ((:kind::text || :r)::uuid, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :at#, :piece#);
WITH u AS (UPDATE bare.runs SET message_count = message_count + 1, total_tokens = total_tokens + 100, total_cost = total_cost + 0.001, last_message_at = now() WHERE id = (:kind::text || :r)::uuid RETURNING id, message_count), m AS (INSERT INTO bare.messages (run_id, seq, task_id, message) SELECT id, message_count, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :answer FROM u), d AS (DELETE FROM bare.pieces WHERE run_id = (:kind::text || :r)::uuid AND task_id = ('00000000-0000-4000-8' || :a || '-' || :b)::uuid) UPDATE bare.tasks SET status = 'completed', tokens = 100, cost = 0.001, response_text = :grown10, completed_at = now() WHERE run_id = (:kind::text || :r)::uuid AND task_id = ('00000000-0000-4000-8' || :a || '-' || :b)::uuid;
