/*
 * blob.sql: the conversation as one jsonb column, as the usual guide has it:
 * messages = messages || $1 in PL/pgSQL, triggers for counts and totals, progress
 * as an UPDATE of the task's text
 *
 * Storage: PostgreSQL's own settings (EXTENDED, pglz), but fillfactor 70 for runs
 * and tasks, so that their updates are HOT.
 */
CREATE SCHEMA blob;

CREATE TABLE blob.runs (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	user_id uuid,
	name text,
	messages jsonb NOT NULL DEFAULT '[]',
	message_count bigint NOT NULL DEFAULT 0,
	task_count bigint NOT NULL DEFAULT 0,
	total_tokens bigint NOT NULL DEFAULT 0,
	total_cost numeric NOT NULL DEFAULT 0,
	created_at timestamptz NOT NULL DEFAULT now(),
	last_message_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
CREATE TABLE blob.tasks (
	task_id uuid PRIMARY KEY,
	run_id uuid NOT NULL REFERENCES blob.runs ON DELETE CASCADE,
	status text NOT NULL DEFAULT 'pending',
	provider text,
	model_id text,
	response_text text,
	tokens_input bigint,
	tokens_output bigint,
	cost numeric,
	created_at timestamptz NOT NULL DEFAULT now(),
	completed_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX ON blob.tasks (run_id);

CREATE FUNCTION blob.count_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.message_count := jsonb_array_length(NEW.messages);
	NEW.last_message_at := now();
	RETURN NEW;
END$$;
CREATE TRIGGER count_messages BEFORE UPDATE OF messages ON blob.runs
	FOR EACH ROW EXECUTE FUNCTION blob.count_messages();

CREATE FUNCTION blob.roll_up() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		UPDATE blob.runs SET task_count = task_count + 1 WHERE id = NEW.run_id;
	ELSE
		UPDATE blob.runs SET
			total_tokens = total_tokens + coalesce(NEW.tokens_input + NEW.tokens_output, 0)
				- coalesce(OLD.tokens_input + OLD.tokens_output, 0),
			total_cost = total_cost + coalesce(NEW.cost, 0) - coalesce(OLD.cost, 0)
		WHERE id = NEW.run_id;
	END IF;
	RETURN NULL;
END$$;
CREATE TRIGGER roll_up_insert AFTER INSERT ON blob.tasks FOR EACH ROW EXECUTE FUNCTION blob.roll_up();
CREATE TRIGGER roll_up_update AFTER UPDATE OF tokens_input, tokens_output, cost ON blob.tasks
	FOR EACH ROW EXECUTE FUNCTION blob.roll_up();

CREATE FUNCTION blob.append(run uuid, message jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE blob.runs SET messages = messages || message WHERE id = run;
END$$;

CREATE FUNCTION blob.start_turn(run uuid, message jsonb, task uuid, provider text, model_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM blob.append(run, message);
	INSERT INTO blob.tasks (task_id, run_id, provider, model_id) VALUES (task, run, provider, model_id);
END$$;

CREATE FUNCTION blob.progress(task uuid, so_far text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE blob.tasks SET status = 'streaming', response_text = so_far WHERE task_id = task;
END$$;

CREATE FUNCTION blob.finish_turn(task uuid, message jsonb, run uuid, input bigint, output bigint, price numeric) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM blob.append(run, message);
	UPDATE blob.tasks SET status = 'completed', response_text = message ->> 'content',
		tokens_input = input, tokens_output = output, cost = price, completed_at = now()
	WHERE task_id = task;
END$$;

CREATE FUNCTION bench.fill_blob(kind text, runs int, length int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO blob.runs (id, name, messages, message_count)
		SELECT id, 'A run', a.messages, length FROM bench.run_ids(kind, runs) AS id,
			(SELECT jsonb_agg(message ORDER BY seq) FROM bench.conversation(kind, length)) AS a (messages);
$$;

-- @append
\set r 100000000000 + random(1, :runs)
SELECT blob.append((:kind::text || :r)::uuid, :message);

-- @load
\set r 100000000000 + random(1, :runs)
SELECT messages FROM blob.runs WHERE id = (:kind::text || :r)::uuid;

-- @load_inside
\set r 100000000000 + random(1, :runs)
SELECT octet_length(messages::text) FROM blob.runs WHERE id = (:kind::text || :r)::uuid;

-- @load_jsonb_inside
\set r 100000000000 + random(1, :runs)
SELECT jsonb_array_length(messages) FROM blob.runs WHERE id = (:kind::text || :r)::uuid;

-- @create_run
INSERT INTO blob.runs (user_id, name) VALUES ('10000000-0000-4000-8000-000000000001', 'A run') RETURNING id;

-- @turn
\set r 100000000000 + random(1, :runs)
\set a random(100, 999)
\set b random(100000000000, 999999999999)
SELECT blob.start_turn((:kind::text || :r)::uuid, :question, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, 'openai', 'gpt-4o');
SELECT blob.progress(('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :grown#);
SELECT blob.finish_turn(('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :answer, (:kind::text || :r)::uuid, 10, 90, 0.001);
