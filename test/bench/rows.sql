/*
 * rows.sql: one row a message in careful PL/pgSQL: the best one could do without C
 *
 * The run's row is the lock and the counter, and its update is HOT; message and
 * task go in by one statement.  A retry with the same message_id gets the stored one,
 * with the same task_id the key's error; no subtransaction is spent on it.  Progress
 * is a row for each new piece (@turn), which writes two thirds of the WAL of a turn
 * whose progress is an UPDATE of the task's growing text (@turn_text, which can be
 * as quick and is measured beside it; airun must beat both).
 *
 * Storage is airun's: messages MAIN with lz4, fillfactor 60 for runs and 80 for
 * tasks.
 */
CREATE SCHEMA rows;

CREATE TABLE rows.runs (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	user_id uuid,
	created_at timestamptz NOT NULL DEFAULT now(),
	last_message_at timestamptz NOT NULL DEFAULT now(),
	message_count bigint NOT NULL DEFAULT 0,
	task_count bigint NOT NULL DEFAULT 0,
	total_tokens bigint NOT NULL DEFAULT 0,
	total_cost numeric NOT NULL DEFAULT 0,
	status text NOT NULL DEFAULT 'active',
	name text
) WITH (fillfactor = 60);
CREATE TABLE rows.messages (
	run_id uuid NOT NULL REFERENCES rows.runs ON DELETE CASCADE,
	seq bigint NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	task_id uuid,
	message_id text,
	message jsonb NOT NULL CHECK (jsonb_typeof(message) = 'object'),
	PRIMARY KEY (run_id, seq)
);
ALTER TABLE rows.messages ALTER message SET STORAGE MAIN;
ALTER TABLE rows.messages ALTER message SET COMPRESSION lz4;
CREATE UNIQUE INDEX ON rows.messages (run_id, message_id) WHERE message_id IS NOT NULL;
CREATE TABLE rows.tasks (
	run_id uuid NOT NULL REFERENCES rows.runs ON DELETE CASCADE,
	task_id uuid NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	completed_at timestamptz,
	tokens_input bigint,
	tokens_output bigint,
	cost numeric,
	status text NOT NULL DEFAULT 'pending',
	provider text,
	model_id text,
	response_text text COMPRESSION lz4,
	PRIMARY KEY (run_id, task_id)
) WITH (fillfactor = 80);
CREATE TABLE rows.pieces (
	run_id uuid NOT NULL,
	task_id uuid NOT NULL,
	position int NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	piece text NOT NULL,
	PRIMARY KEY (run_id, task_id, position)
);

CREATE FUNCTION rows.append(p_run uuid, p_message jsonb, p_message_id text DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	new_seq bigint;
BEGIN
	IF p_message_id IS NOT NULL THEN
		SELECT seq INTO new_seq FROM rows.messages WHERE run_id = p_run AND message_id = p_message_id;
		IF FOUND THEN
			RETURN new_seq;
		END IF;
	END IF;
	UPDATE rows.runs SET message_count = message_count + 1, last_message_at = now()
		WHERE id = p_run RETURNING message_count INTO new_seq;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no run %', p_run;
	END IF;
	INSERT INTO rows.messages (run_id, seq, message_id, message) VALUES (p_run, new_seq, p_message_id, p_message);
	RETURN new_seq;
END$$;

CREATE FUNCTION rows.start_turn(p_run uuid, p_message jsonb, p_task uuid, p_provider text, p_model text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	new_seq bigint;
BEGIN
	UPDATE rows.runs SET message_count = message_count + 1, task_count = task_count + 1, last_message_at = now()
		WHERE id = p_run RETURNING message_count INTO new_seq;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no run %', p_run;
	END IF;
	WITH m AS (
		INSERT INTO rows.messages (run_id, seq, message) VALUES (p_run, new_seq, p_message))
	INSERT INTO rows.tasks (run_id, task_id, provider, model_id) VALUES (p_run, p_task, p_provider, p_model);
	RETURN new_seq;
END$$;

-- A piece for a task that is not at its end.  No lock on the task: the text of
-- the end counts, and a piece that comes at the same moment goes with its run.
CREATE FUNCTION rows.progress(p_run uuid, p_task uuid, p_position int, p_piece text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO rows.pieces (run_id, task_id, position, piece)
		SELECT run_id, task_id, p_position, p_piece FROM rows.tasks
		WHERE run_id = p_run AND task_id = p_task AND completed_at IS NULL
		ON CONFLICT DO NOTHING;
END$$;

CREATE FUNCTION rows.progress_text(p_run uuid, p_task uuid, p_text text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE rows.tasks SET status = 'streaming', response_text = p_text
		WHERE run_id = p_run AND task_id = p_task AND completed_at IS NULL
			AND (response_text IS NULL OR length(response_text) < length(p_text));
END$$;

CREATE FUNCTION rows.finish_turn(p_run uuid, p_task uuid, p_message jsonb, p_input bigint, p_output bigint, p_cost numeric) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	new_seq bigint;
BEGIN
	UPDATE rows.runs SET message_count = message_count + 1, last_message_at = now(),
			total_tokens = total_tokens + p_input + p_output, total_cost = total_cost + p_cost
		WHERE id = p_run RETURNING message_count INTO new_seq;
	UPDATE rows.tasks SET status = 'completed', completed_at = now(), tokens_input = p_input,
			tokens_output = p_output, cost = p_cost, response_text = p_message ->> 'content'
		WHERE run_id = p_run AND task_id = p_task AND completed_at IS NULL;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no unfinished task %', p_task;
	END IF;
	WITH d AS (
		DELETE FROM rows.pieces WHERE run_id = p_run AND task_id = p_task)
	INSERT INTO rows.messages (run_id, seq, task_id, message) VALUES (p_run, new_seq, p_task, p_message);
	RETURN new_seq;
END$$;

CREATE FUNCTION bench.fill_rows(kind text, runs int, length int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO rows.runs (id, name, message_count) SELECT id, 'A run', length FROM bench.run_ids(kind, runs) AS id;
	INSERT INTO rows.messages (run_id, seq, message)
		SELECT id, m.seq, m.message FROM bench.run_ids(kind, runs) AS id, bench.conversation(kind, length) AS m;
$$;

-- @append
\set r 100000000000 + random(1, :runs)
SELECT rows.append((:kind::text || :r)::uuid, :message);

-- @append_id
\set r 100000000000 + random(1, :runs)
SELECT rows.append((:kind::text || :r)::uuid, :message, gen_random_uuid()::text);

-- @load
\set r 100000000000 + random(1, :runs)
SELECT jsonb_agg(message ORDER BY seq) FROM rows.messages WHERE run_id = (:kind::text || :r)::uuid;

-- @load_rows
\set r 100000000000 + random(1, :runs)
SELECT seq, message FROM rows.messages WHERE run_id = (:kind::text || :r)::uuid ORDER BY seq;

-- @load_inside
\set r 100000000000 + random(1, :runs)
SELECT octet_length(jsonb_agg(message ORDER BY seq)::text) FROM rows.messages WHERE run_id = (:kind::text || :r)::uuid;

-- @load_jsonb_inside
\set r 100000000000 + random(1, :runs)
SELECT jsonb_array_length(jsonb_agg(message ORDER BY seq)) FROM rows.messages WHERE run_id = (:kind::text || :r)::uuid;

-- @create_run
INSERT INTO rows.runs (user_id, name) VALUES ('10000000-0000-4000-8000-000000000001', 'A run') RETURNING id;

-- @turn
\set r 100000000000 + random(1, :runs)
\set a random(100, 999)
\set b random(100000000000, 999999999999)
SELECT rows.start_turn((:kind::text || :r)::uuid, :question, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, 'openai', 'gpt-4o');
SELECT rows.progress((:kind::text || :r)::uuid, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :at#, :piece#);
SELECT rows.finish_turn((:kind::text || :r)::uuid, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :answer, 10, 90, 0.001);

-- @turn_text
\set r 100000000000 + random(1, :runs)
\set a random(100, 999)
\set b random(100000000000, 999999999999)
SELECT rows.start_turn((:kind::text || :r)::uuid, :question, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, 'openai', 'gpt-4o');
SELECT rows.progress_text((:kind::text || :r)::uuid, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :grown#);
SELECT rows.finish_turn((:kind::text || :r)::uuid, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :answer, 10, 90, 0.001);
