/*
 * check.sql: does the store keep its promises?
 *
 * All rows are looked at set by set, each table once.  What holds of a row is an
 * array of conditions, so that the words for one that does not hold are made for
 * that row alone.  Messages are read in the order in which they come, and only
 * runs in which that is not the order of their seq are sorted.
 */
CREATE FUNCTION @extschema@.airun_store_in_order_add(internal, bigint, timestamptz, jsonb)
	RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_in_order_add(internal, bigint, timestamptz, jsonb) IS
'Transition function of airun_store_in_order';

CREATE FUNCTION @extschema@.airun_store_in_order_result(internal) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_in_order_result(internal) IS
'Final function of airun_store_in_order';

CREATE AGGREGATE @extschema@.airun_store_in_order(bigint, timestamptz, jsonb) (
	SFUNC = @extschema@.airun_store_in_order_add,
	STYPE = internal,
	SSPACE = 64,
	FINALFUNC = @extschema@.airun_store_in_order_result,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.airun_store_in_order(bigint, timestamptz, jsonb) IS
'Do the messages come one behind the other, none older than the one before, all of them objects?';

CREATE FUNCTION @extschema@.airun_check(run_id uuid DEFAULT NULL)
RETURNS SETOF @extschema@.ai_problem
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 1
	SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_custom_plan
	SET jit = off
AS $check$
#variable_conflict use_column
DECLARE
	item @extschema@.ai_problem;
	doubtful uuid[] := ARRAY[airun_check.run_id];	-- runs whose messages are looked at in order
BEGIN
	-- Is there a store, of this version, and a caller?  Other functions tell: one that
	-- looks for a run by its id, and, for whom row security binds, one that lists his own.
	PERFORM @extschema@.airun_sees_run(COALESCE(airun_check.run_id, @extschema@.airun_uuid()));
	IF row_security_active('airun.runs') THEN
		PERFORM FROM @extschema@.airun_list_runs(page_size => 1);
	END IF;

	-- A run against its messages and its tasks, recounted from the rows; the last
	-- condition only says where to look closer
	FOR item IN
	SELECT f.run_id, NULL, NULL, p.problem, p.expected, p.found
	FROM (
		SELECT COALESCE(r.id, m.run_id, t.run_id) AS run_id, m.count, m.first, m.last, m.last_at,
			t.count AS tasks, t.tokens, t.cost, r.message_count, r.last_message_at, r.active_hour,
			r.created_at, r.task_count, r.total_tokens, r.total_cost, r.status,
			ARRAY[
				COALESCE(m.count, 0) = r.message_count,
				COALESCE(m.first, 1) = 1,
				COALESCE(m.last = m.count, true),
				COALESCE(m.last_at, r.created_at) = r.last_message_at
					OR m.last_at IS NULL AND r.stripped_at IS NOT NULL,
				date_trunc('hour', r.last_message_at, 'UTC') = r.active_hour,
				COALESCE(t.count, 0) = r.task_count,
				COALESCE(t.tokens, 0) = r.total_tokens,
				r.status IN ('active', 'completed', 'error'),
				COALESCE(t.cost, 0) = r.total_cost,
				r.id IS NOT NULL AND COALESCE(m.in_order, true)] AS fine
		FROM (
			SELECT r.* FROM airun.runs AS r
			WHERE airun_check.run_id IS NULL OR r.id = airun_check.run_id) AS r
		FULL JOIN (
			SELECT m.run_id, count(*) AS count, min(m.seq) AS first, max(m.seq) AS last,
				max(m.created_at) AS last_at,
				@extschema@.airun_store_in_order(m.seq, m.created_at, m.message) AS in_order
			FROM airun.messages AS m
			WHERE airun_check.run_id IS NULL OR m.run_id = airun_check.run_id
			GROUP BY m.run_id) AS m ON m.run_id = r.id
		FULL JOIN (
			SELECT t.run_id, count(*) AS count, sum(t.tokens_total) AS tokens, sum(t.cost) AS cost
			FROM airun.tasks AS t
			WHERE airun_check.run_id IS NULL OR t.run_id = airun_check.run_id
			GROUP BY t.run_id) AS t ON t.run_id = COALESCE(r.id, m.run_id)) AS f
	CROSS JOIN LATERAL (VALUES
		(1, 'message_count', COALESCE(f.count, 0)::text, f.message_count::text),
		(2, 'first seq', '1', f.first::text),
		(3, 'last seq', f.count::text, f.last::text),
		(4, 'last_message_at', COALESCE(f.last_at, f.created_at)::text, f.last_message_at::text),
		(5, 'active_hour', date_trunc('hour', f.last_message_at, 'UTC')::text,
		 f.active_hour::text),
		(6, 'task_count', COALESCE(f.tasks, 0)::text, f.task_count::text),
		(7, 'total_tokens', COALESCE(f.tokens, 0)::text, f.total_tokens::text),
		(8, 'status', 'active, completed or error', f.status),
		(9, 'total_cost', COALESCE(f.cost, 0)::text, f.total_cost::text),
		(10, NULL, NULL, NULL)
	) AS p (place, problem, expected, found)
	WHERE false = ANY (f.fine) AND NOT f.fine[p.place]
	LOOP
		IF item.problem IS NULL THEN
			doubtful := doubtful || item.run_id;
		ELSE
			RETURN NEXT item;
		END IF;
	END LOOP;

	-- Forks: where they branch off; the run from which they do may be gone
	RETURN QUERY
	SELECT r.id, NULL::uuid, NULL::bigint, 'origin of a fork'::text,
		'another run, and a seq from 0 on'::text,
		format('run %s, seq %s', r.forked_from, r.forked_at_seq)
	FROM airun.runs AS r
	WHERE (airun_check.run_id IS NULL OR r.id = airun_check.run_id)
		AND (r.forked_from IS NOT NULL OR r.forked_at_seq IS NOT NULL)
		AND NOT COALESCE(r.forked_from <> r.id AND r.forked_at_seq >= 0, false);

	-- Messages: objects, in the order of their times
	RETURN QUERY
	SELECT m.run_id, NULL::uuid, m.seq, 'message'::text, 'a JSON object'::text,
		jsonb_typeof(m.message)
	FROM airun.messages AS m
	WHERE m.run_id = ANY (doubtful)
		AND jsonb_typeof(m.message) <> 'object';
	RETURN QUERY
	SELECT m.run_id, NULL::uuid, m.seq, 'created_at of a message'::text,
		'not before ' || m.before, m.created_at::text
	FROM (
		SELECT m.run_id, m.seq, m.created_at,
			lag(m.created_at) OVER (PARTITION BY m.run_id ORDER BY m.seq) AS before
		FROM airun.messages AS m
		WHERE m.run_id = ANY (doubtful)) AS m
	WHERE m.created_at < m.before;

	-- What messages were: as they stood then, and by which way they went
	RETURN QUERY
	SELECT f.run_id, NULL::uuid, f.seq, p.problem, p.expected, p.found
	FROM (
		SELECT v.*, ARRAY[
			jsonb_typeof(v.message) = 'object',
			v.seq > 0 AND v.version > 0,
			v.action IN ('replaced', 'removed'),
			v.replaced_at >= v.created_at] AS fine
		FROM airun.message_versions AS v
		WHERE airun_check.run_id IS NULL OR v.run_id = airun_check.run_id) AS f
	CROSS JOIN LATERAL (VALUES
		(1, 'message of a version', 'a JSON object', jsonb_typeof(f.message)),
		(2, 'place of a version', 'from 1 on', format('seq %s, version %s', f.seq, f.version)),
		(3, 'action of a version', 'replaced or removed', f.action),
		(4, 'replaced_at of a version', 'not before ' || f.created_at, f.replaced_at::text)
	) AS p (place, problem, expected, found)
	WHERE false = ANY (f.fine) AND NOT f.fine[p.place];

	-- Tasks: figures that fit together; texts, in chunks until the task has ended, and
	-- then in one place
	RETURN QUERY
	SELECT f.run_id, f.task_id, NULL::bigint, p.problem, p.expected, p.found
	FROM (
		SELECT t.*, r.message_count, c.count AS chunks, x.text_length,
			(t.request_reference ->> 'from')::bigint
				+ (t.request_reference ->> 'count')::bigint - 1 AS refers_to,
			ARRAY[
				COALESCE(t.tokens_total, 0)
					>= COALESCE(t.tokens_input, 0) + COALESCE(t.tokens_output, 0),
				COALESCE(LEAST(t.tokens_input, t.tokens_output, t.tokens_total) >= 0, true)
					AND COALESCE(LEAST(t.cost, t.time_to_first_token, t.total_time) >= 0, true)
					AND COALESCE(GREATEST(t.cost, t.time_to_first_token, t.total_time)
						< 'Infinity', true),
				CASE WHEN t.completed_at IS NULL THEN t.status IN ('pending', 'streaming')
					ELSE t.status IN ('completed', 'error', 'cancelled') END,
				t.completed_at IS NOT NULL OR t.response_text IS NULL AND NOT t.text_in_answer,
				t.status = 'streaming' OR c.count IS NULL,
				COALESCE(c.fine, true),
				x.text_length = t.response_length,
				CASE WHEN t.completed_at IS NULL THEN t.price_status IS NULL
					ELSE COALESCE(t.price_status IN ('priced', 'doubtful', 'provider', 'unbilled',
													 'client', 'unpriced'), false) END,
				COALESCE(GREATEST(t.answer_seq, t.inputs_to) <= r.message_count, true),
				t.response_text IS NULL OR NOT t.text_in_answer,
				COALESCE((t.request_reference ->> 'from')::bigint
					+ (t.request_reference ->> 'count')::bigint - 1 <= r.message_count, true)
				] AS fine
		FROM airun.tasks AS t
		LEFT JOIN airun.runs AS r ON r.id = t.run_id
		LEFT JOIN (
			SELECT k.run_id, k.task_id, count(*) AS count, bool_and(k.fine) AS fine
			FROM (
				SELECT c.run_id, c.task_id, c.chars = sum(length(c.chunk)) OVER w
					AND c.bytes = sum(octet_length(c.chunk)) OVER w
					AND c.generation = first_value(c.generation) OVER w AS fine
				FROM airun.task_chunks AS c
				WHERE airun_check.run_id IS NULL OR c.run_id = airun_check.run_id
				WINDOW w AS (PARTITION BY c.run_id, c.task_id ORDER BY c.chars)) AS k
			GROUP BY k.run_id, k.task_id) AS c ON c.run_id = t.run_id AND c.task_id = t.task_id
		CROSS JOIN LATERAL (
			SELECT COALESCE(length(COALESCE(t.response_text, CASE WHEN t.text_in_answer THEN (
				SELECT @extschema@.airun_message_text(a.message) FROM airun.messages AS a
				WHERE a.run_id = t.run_id AND a.seq = t.answer_seq) END)), 0)) AS x (text_length)
		WHERE airun_check.run_id IS NULL OR t.run_id = airun_check.run_id) AS f
	CROSS JOIN LATERAL (VALUES
		(1, 'tokens_total of a task',
		 'at least ' || (COALESCE(f.tokens_input, 0) + COALESCE(f.tokens_output, 0)),
		 f.tokens_total::text),
		(2, 'figures of a task', 'between 0 and infinity',
		 concat_ws(', ', f.tokens_input, f.tokens_output, f.tokens_total, f.cost,
				   f.time_to_first_token, f.total_time)),
		(3, 'status of a task', CASE WHEN f.completed_at IS NULL THEN 'pending or streaming'
			ELSE 'completed, error or cancelled' END, f.status),
		(4, 'text of an unfinished task', 'in chunks', 'in the task'),
		(5, 'chunks of a task that does not stream', '0', f.chunks::text),
		(6, 'chunks of a task', 'one behind the other', 'otherwise'),
		(7, 'response_length of a task', f.text_length::text, f.response_length::text),
		(8, 'price_status of a task',
		 'priced, doubtful, provider, unbilled, client or unpriced once it has ended',
		 COALESCE(f.price_status, 'none')),
		(9, 'messages of a task', 'up to ' || f.message_count,
		 'up to ' || GREATEST(f.answer_seq, f.inputs_to)),
		(10, 'text of a task', 'in one place', 'in the task and in the answer'),
		(11, 'messages that the request of a task refers to', 'up to ' || f.refers_to,
		 'up to ' || f.message_count)
	) AS p (place, problem, expected, found)
	WHERE false = ANY (f.fine) AND NOT f.fine[p.place];

	IF airun_check.run_id IS NOT NULL THEN
		RETURN;
	END IF;

	-- Rows whose run is gone, which only disabled triggers can leave
	RETURN QUERY
	SELECT m.run_id, NULL::uuid, m.seq, 'run of a message'::text, 'exists'::text,
		'is missing'::text
	FROM airun.messages AS m
	WHERE m.run_id = ANY (doubtful)
		AND NOT EXISTS (SELECT FROM airun.runs AS r WHERE r.id = m.run_id);
	RETURN QUERY
	SELECT v.run_id, NULL::uuid, v.seq, 'run of a version'::text, 'exists'::text,
		'is missing'::text
	FROM airun.message_versions AS v
	WHERE NOT EXISTS (SELECT FROM airun.runs AS r WHERE r.id = v.run_id);
	RETURN QUERY
	SELECT t.run_id, t.task_id, NULL::bigint, 'run of a task'::text, 'exists'::text,
		'is missing'::text
	FROM airun.tasks AS t
	WHERE t.run_id = ANY (doubtful)
		AND NOT EXISTS (SELECT FROM airun.runs AS r WHERE r.id = t.run_id);

	RETURN QUERY
	SELECT c.run_id, c.task_id, NULL::bigint, 'task of a chunk'::text, 'exists'::text,
		'is missing'::text
	FROM airun.task_chunks AS c
	WHERE NOT EXISTS (SELECT FROM airun.tasks AS t
					  WHERE t.run_id = c.run_id AND t.task_id = c.task_id);

	-- Calls: figures and words that fit together
	RETURN QUERY
	SELECT NULL::uuid, f.id, NULL::bigint, p.problem, p.expected, p.found
	FROM (
		SELECT c.*, ARRAY[
			COALESCE(c.tokens_total, 0)
				>= COALESCE(c.tokens_input, 0) + COALESCE(c.tokens_output, 0),
			COALESCE(LEAST(c.tokens_input, c.tokens_output, c.tokens_total) >= 0, true)
				AND COALESCE(LEAST(c.cost, c.time_to_first_token, c.total_time) >= 0, true)
				AND COALESCE(GREATEST(c.cost, c.time_to_first_token, c.total_time)
					< 'Infinity', true),
			c.kind IN ('call', 'tool'),
			CASE WHEN c.completed_at IS NULL THEN c.status = 'pending'
				ELSE c.status IN ('completed', 'error', 'cancelled') END,
			CASE WHEN c.completed_at IS NULL THEN c.price_status IS NULL
				ELSE COALESCE(c.price_status IN ('priced', 'doubtful', 'provider', 'unbilled',
												 'client', 'unpriced'), false) END
			] AS fine
		FROM airun.calls AS c) AS f
	CROSS JOIN LATERAL (VALUES
		(1, 'tokens_total of a call',
		 'at least ' || (COALESCE(f.tokens_input, 0) + COALESCE(f.tokens_output, 0)),
		 f.tokens_total::text),
		(2, 'figures of a call', 'between 0 and infinity',
		 concat_ws(', ', f.tokens_input, f.tokens_output, f.tokens_total, f.cost,
				   f.time_to_first_token, f.total_time)),
		(3, 'kind of a call', 'call or tool', f.kind),
		(4, 'status of a call', CASE WHEN f.completed_at IS NULL THEN 'pending'
			ELSE 'completed, error or cancelled' END, f.status),
		(5, 'price_status of a call',
		 'priced, doubtful, provider, unbilled, client or unpriced once it has ended',
		 COALESCE(f.price_status, 'none'))
	) AS p (place, problem, expected, found)
	WHERE false = ANY (f.fine) AND NOT f.fine[p.place];

	-- What guards the store, by the list that airun_install() makes it of: not for
	-- an API role, which could not mend it
	IF has_function_privilege('@extschema@.airun_store_differences()', 'EXECUTE') THEN
		RETURN QUERY
		SELECT NULL::uuid, NULL::uuid, NULL::bigint,
			concat_ws(' ', d.kind, d.name, 'of', COALESCE(d.target::text, d.relation)),
			CASE WHEN d.found = d.definition THEN 'enabled' ELSE d.definition END,
			CASE WHEN d.found = d.definition THEN 'disabled' ELSE COALESCE(d.found, 'missing') END
		FROM @extschema@.airun_store_differences() AS d;

		-- Partitions: each range of all tables, and one for what is new
		RETURN QUERY
		SELECT NULL::uuid, NULL::uuid, NULL::bigint,
			'partitions ' || COALESCE(p.suffix, 'of other names'),
			'one range, of each of the tables',
			string_agg(format('%s from %s to %s', p.relation, COALESCE(p.lower_id::text, 'any'),
							  COALESCE(p.upper_id::text, 'any')), ', ' ORDER BY p.relation)
		FROM @extschema@.airun_store_partitions() AS p
		GROUP BY p.suffix
		HAVING count(*) <> (SELECT count(*) FROM @extschema@.airun_store_partitioned_tables())
			OR count(DISTINCT (p.lower_id, p.upper_id, p.is_default)) <> 1 OR p.suffix IS NULL;
		RETURN QUERY
		SELECT NULL::uuid, NULL::uuid, NULL::bigint, 'partition of this month'::text,
			'one that airun_add_partitions() has made'::text, 'default'::text
		FROM @extschema@.airun_store_partitions() AS p
		WHERE p.relation = 'runs'
		HAVING count(*) > 0 AND NOT bool_or(NOT p.is_default
			AND COALESCE(p.lower_id <= @extschema@.airun_store_first_id(now()), true)
			AND COALESCE(p.upper_id > @extschema@.airun_store_first_id(now()), true));
	END IF;

	-- The owner, whom a superuser's restore leaves without his functions
	RETURN QUERY
	SELECT NULL::uuid, NULL::uuid, NULL::bigint,
		'functions that the owner of the store may not grant'::text, '0'::text, count(*)::text
	FROM pg_depend AS d
	JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'airun'
	JOIN pg_proc AS p ON p.oid = d.objid AND p.prokind <> 'p'
	JOIN pg_class AS c ON c.oid = 'airun.runs'::regclass
	WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
		AND d.deptype = 'e'
		AND NOT has_function_privilege(c.relowner, d.objid, 'EXECUTE WITH GRANT OPTION')
	HAVING count(*) > 0;
END
$check$;
COMMENT ON FUNCTION @extschema@.airun_check(uuid) IS
'Recounts everything from the rows; no row means that all invariants hold
For one run, or for all that the caller can see.';
