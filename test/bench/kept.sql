/*
 * kept.sql: rows in PL/pgSQL that keep the promises that airun keeps for a turn
 *
 * What rows.sql leaves out because "the best one could do" need not have it, and
 * what its users would find out one by one: a run is its user's alone and may be
 * deleted or completed; a call that is repeated with the same task_id has no second
 * effect; what nobody works on any more is ended when the next turn starts; pieces
 * follow one another, none is missing or stored twice, and one that comes late
 * changes nothing; the time to the first token is kept; a finished task is charged
 * by prices; messages have a time, a run has a name; and what is returned is what a
 * client shows.
 *
 * Storage is that of rows.sql, which comes before this.
 */
CREATE SCHEMA kept;

CREATE TABLE kept.runs (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	user_id uuid,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	last_message_at timestamptz NOT NULL DEFAULT now(),
	deleted_at timestamptz,
	message_count bigint NOT NULL DEFAULT 0,
	task_count bigint NOT NULL DEFAULT 0,
	total_tokens bigint NOT NULL DEFAULT 0,
	total_cost numeric NOT NULL DEFAULT 0,
	status text NOT NULL DEFAULT 'active',
	name text
) WITH (fillfactor = 60);
CREATE TABLE kept.messages (LIKE rows.messages INCLUDING ALL, FOREIGN KEY (run_id) REFERENCES kept.runs ON DELETE CASCADE);
CREATE TABLE kept.tasks (
	run_id uuid NOT NULL REFERENCES kept.runs ON DELETE CASCADE,
	task_id uuid NOT NULL UNIQUE,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	completed_at timestamptz,
	time_to_first_token numeric,
	total_time numeric,
	tokens_input bigint,
	tokens_output bigint,
	cost numeric,
	status text NOT NULL DEFAULT 'pending',
	provider text,
	model_id text,
	response_length bigint NOT NULL DEFAULT 0,
	answer_seq bigint,
	PRIMARY KEY (run_id, task_id)
) WITH (fillfactor = 80);
CREATE INDEX ON kept.tasks (run_id) WHERE completed_at IS NULL;
CREATE TABLE kept.pieces (
	run_id uuid NOT NULL,
	task_id uuid NOT NULL,
	ends_at int NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	piece text NOT NULL,
	PRIMARY KEY (run_id, task_id, ends_at)
);
CREATE TABLE kept.prices (
	model_id text,
	effective_from timestamptz,
	input numeric NOT NULL,
	output numeric NOT NULL,
	PRIMARY KEY (model_id, effective_from)
);
INSERT INTO kept.prices VALUES ('gpt-4o', '2024-05-13', 0.0000025, 0.00001);

CREATE FUNCTION kept.milliseconds(since timestamptz) RETURNS numeric LANGUAGE sql STABLE AS
	$$SELECT round(extract(epoch FROM now() - since) * 1000, 3)$$;

CREATE FUNCTION kept.turn_result(run kept.runs, message kept.messages, task kept.tasks) RETURNS json LANGUAGE sql STABLE AS
	$$SELECT json_build_object('run', run, 'task', task, 'messages', json_build_array(json_build_object('seq', message.seq,
		'message_id', message.message_id, 'task_id', message.task_id, 'role', message.message ->> 'role', 'created_at', message.created_at)))$$;

-- The run, locked, unless it is deleted or another user's.
CREATE FUNCTION kept.lock_run(p_run uuid) RETURNS kept.runs LANGUAGE plpgsql AS $$
DECLARE
	run kept.runs;
BEGIN
	SELECT * INTO run FROM kept.runs WHERE id = p_run AND deleted_at IS NULL
		AND (user_id IS NULL OR user_id = nullif(current_setting('kept.user_id', true), '')::uuid) FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no run %', p_run;
	END IF;
	RETURN run;
END$$;

-- A message at a place, with a time if it brings none.
CREATE FUNCTION kept.store(p_run uuid, p_seq bigint, p_task uuid, p_message jsonb) RETURNS kept.messages LANGUAGE plpgsql AS $$
DECLARE
	stored kept.messages;
BEGIN
	IF NOT coalesce(p_message ? 'role', false) THEN
		RAISE EXCEPTION 'a message needs a role';
	END IF;
	IF NOT p_message ? 'timestamp' THEN
		p_message := p_message || jsonb_build_object('timestamp', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'));
	END IF;
	INSERT INTO kept.messages (run_id, seq, task_id, message) VALUES (p_run, p_seq, p_task, p_message) RETURNING * INTO stored;
	RETURN stored;
END$$;

CREATE FUNCTION kept.start_turn(p_run uuid, p_message jsonb, p_task uuid, p_provider text, p_model text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
	run kept.runs := kept.lock_run(p_run);
	task kept.tasks;
	message kept.messages;
BEGIN
	SELECT * INTO task FROM kept.tasks WHERE task_id = p_task;
	IF FOUND THEN
		IF task.run_id <> p_run THEN
			RAISE EXCEPTION 'task % is taken', p_task;
		END IF;
		SELECT * INTO message FROM kept.messages AS m WHERE m.run_id = p_run AND m.task_id = p_task ORDER BY seq LIMIT 1;
		RETURN kept.turn_result(run, message, task);
	END IF;
	IF run.status = 'completed' THEN
		RAISE EXCEPTION 'run % is completed', p_run;
	END IF;
	UPDATE kept.tasks SET status = 'error', completed_at = now()
		WHERE run_id = p_run AND completed_at IS NULL AND updated_at < now() - interval '15 minutes';
	UPDATE kept.runs SET message_count = message_count + 1, task_count = task_count + 1, last_message_at = now(), updated_at = now(),
			status = 'active', name = coalesce(name, left(p_message ->> 'content', 60))
		WHERE id = p_run RETURNING * INTO run;
	message := kept.store(p_run, run.message_count, p_task, p_message);
	INSERT INTO kept.tasks (run_id, task_id, provider, model_id) VALUES (p_run, p_task, p_provider, p_model) RETURNING * INTO task;
	RETURN kept.turn_result(run, message, task);
END$$;

-- A piece that follows the first p_at characters.
CREATE FUNCTION kept.progress(p_run uuid, p_task uuid, p_at int, p_piece text) RETURNS kept.tasks LANGUAGE plpgsql AS $$
DECLARE
	task kept.tasks;
	stored int;
BEGIN
	SELECT t.* INTO task FROM kept.runs AS r JOIN kept.tasks AS t ON t.run_id = r.id
		WHERE r.id = p_run AND t.task_id = p_task AND r.deleted_at IS NULL
			AND (r.user_id IS NULL OR r.user_id = nullif(current_setting('kept.user_id', true), '')::uuid)
		FOR NO KEY UPDATE OF t;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no task %', p_task;
	END IF;
	IF task.completed_at IS NOT NULL THEN
		RETURN task;
	END IF;
	SELECT ends_at INTO stored FROM kept.pieces WHERE run_id = p_run AND task_id = p_task ORDER BY ends_at DESC LIMIT 1;
	stored := coalesce(stored, 0);
	IF p_at > stored THEN
		RAISE EXCEPTION 'a piece of task % is missing', p_task;
	ELSIF p_at < stored THEN
		IF left(substr((SELECT string_agg(piece, '' ORDER BY ends_at) FROM kept.pieces WHERE run_id = p_run AND task_id = p_task), p_at + 1),
				length(p_piece)) <> left(p_piece, stored - p_at) THEN
			RAISE EXCEPTION 'task % has another text', p_task;
		END IF;
		p_piece := substr(p_piece, stored - p_at + 1);
	END IF;
	IF task.status = 'pending' THEN
		UPDATE kept.tasks SET status = 'streaming', updated_at = now(), time_to_first_token = kept.milliseconds(created_at)
			WHERE run_id = p_run AND task_id = p_task RETURNING * INTO task;
	END IF;
	IF p_piece <> '' THEN
		INSERT INTO kept.pieces (run_id, task_id, ends_at, piece) VALUES (p_run, p_task, stored + length(p_piece), p_piece);
	END IF;
	task.response_length := stored + length(p_piece);
	RETURN task;
END$$;

CREATE FUNCTION kept.finish_turn(p_run uuid, p_task uuid, p_message jsonb, p_input bigint, p_output bigint) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
	run kept.runs := kept.lock_run(p_run);
	task kept.tasks;
	message kept.messages;
	charge numeric;
BEGIN
	SELECT * INTO task FROM kept.tasks WHERE run_id = p_run AND task_id = p_task FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'no task %', p_task;
	END IF;
	IF task.completed_at IS NOT NULL THEN
		SELECT * INTO message FROM kept.messages AS m WHERE m.run_id = p_run AND m.seq = task.answer_seq;
		IF (task.tokens_input, task.tokens_output) IS DISTINCT FROM (p_input, p_output)
			OR message.message - 'timestamp' IS DISTINCT FROM p_message - 'timestamp' THEN
			RAISE EXCEPTION 'task % has ended otherwise', p_task;
		END IF;
		RETURN kept.turn_result(run, message, task);
	END IF;
	SELECT p_input * input + p_output * output INTO charge FROM kept.prices
		WHERE model_id = task.model_id AND effective_from <= task.created_at ORDER BY effective_from DESC LIMIT 1;
	UPDATE kept.runs SET message_count = message_count + 1, last_message_at = now(), updated_at = now(), status = 'active',
			total_tokens = total_tokens + p_input + p_output, total_cost = total_cost + coalesce(charge, 0)
		WHERE id = p_run RETURNING * INTO run;
	UPDATE kept.tasks SET status = 'completed', completed_at = now(), updated_at = now(), tokens_input = p_input, tokens_output = p_output,
			cost = charge, total_time = kept.milliseconds(created_at), answer_seq = run.message_count,
			time_to_first_token = coalesce(time_to_first_token, kept.milliseconds(created_at)),
			response_length = length(p_message ->> 'content')
		WHERE run_id = p_run AND task_id = p_task RETURNING * INTO task;
	DELETE FROM kept.pieces WHERE run_id = p_run AND task_id = p_task;
	message := kept.store(p_run, run.message_count, p_task, p_message);
	RETURN kept.turn_result(run, message, task);
END$$;

CREATE FUNCTION bench.fill_kept(kind text, runs int, length int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO kept.runs (id, name, message_count) SELECT id, 'A run', length FROM bench.run_ids(kind, runs) AS id;
	INSERT INTO kept.messages (run_id, seq, message)
		SELECT id, m.seq, m.message FROM bench.run_ids(kind, runs) AS id, bench.conversation(kind, length) AS m;
$$;

-- @turn
\set r 100000000000 + random(1, :runs)
\set a random(100, 999)
\set b random(100000000000, 999999999999)
SELECT kept.start_turn((:kind::text || :r)::uuid, :question, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, 'openai', 'gpt-4o');
SELECT (kept.progress((:kind::text || :r)::uuid, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :at#, :piece#)).status;
SELECT kept.finish_turn((:kind::text || :r)::uuid, ('00000000-0000-4000-8' || :a || '-' || :b)::uuid, :answer, 10, 90);
