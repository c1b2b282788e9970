/*
 * check.sql: does the store keep its promises?
 */
CREATE FUNCTION @extschema@.airun_check(run_id uuid DEFAULT NULL)
RETURNS SETOF @extschema@.ai_problem
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 1
	SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_custom_plan
AS $check$
#variable_conflict use_column
BEGIN
	-- Is there a store, of this version, and a caller?  Other functions tell: one that
	-- looks for a run by its id, and, for whom row security binds, one that lists his own.
	PERFORM @extschema@.airun_sees_run(COALESCE(airun_check.run_id, @extschema@.airun_uuid()));
	IF row_security_active('airun.runs') THEN
		PERFORM FROM @extschema@.airun_list_runs(page_size => 1);
	END IF;

	-- A run against its messages and its tasks, recounted from the rows
	RETURN QUERY
	SELECT r.id, NULL::uuid, NULL::bigint, p.problem, p.expected, p.found
	FROM airun.runs AS r
	LEFT JOIN (
		SELECT m.run_id, count(*) AS count, min(m.seq) AS first, max(m.seq) AS last,
			max(m.created_at) AS last_at
		FROM airun.messages AS m
		WHERE airun_check.run_id IS NULL OR m.run_id = airun_check.run_id
		GROUP BY m.run_id) AS m ON m.run_id = r.id
	LEFT JOIN (
		SELECT t.run_id, count(*) AS count, sum(t.tokens_total) AS tokens, sum(t.cost) AS cost
		FROM airun.tasks AS t
		WHERE airun_check.run_id IS NULL OR t.run_id = airun_check.run_id
		GROUP BY t.run_id) AS t ON t.run_id = r.id
	CROSS JOIN LATERAL (VALUES
		('message_count', COALESCE(m.count, 0)::text, r.message_count::text,
		 COALESCE(m.count, 0) = r.message_count),
		('first seq', '1', m.first::text, COALESCE(m.first, 1) = 1),
		('last seq', m.count::text, m.last::text, COALESCE(m.last = m.count, true)),
		('last_message_at', COALESCE(m.last_at, r.created_at)::text, r.last_message_at::text,
		 COALESCE(m.last_at, r.created_at) = r.last_message_at
			OR m.last_at IS NULL AND r.stripped_at IS NOT NULL),
		('active_hour', date_trunc('hour', r.last_message_at, 'UTC')::text, r.active_hour::text,
		 date_trunc('hour', r.last_message_at, 'UTC') = r.active_hour),
		('task_count', COALESCE(t.count, 0)::text, r.task_count::text,
		 COALESCE(t.count, 0) = r.task_count),
		('total_tokens', COALESCE(t.tokens, 0)::text, r.total_tokens::text,
		 COALESCE(t.tokens, 0) = r.total_tokens),
		('status', 'active, completed or error', r.status,
		 r.status IN ('active', 'completed', 'error')),
		('total_cost', COALESCE(t.cost, 0)::text, r.total_cost::text,
		 COALESCE(t.cost, 0) = r.total_cost)
	) AS p (problem, expected, found, fine)
	WHERE (airun_check.run_id IS NULL OR r.id = airun_check.run_id) AND NOT p.fine;

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
	WHERE (airun_check.run_id IS NULL OR m.run_id = airun_check.run_id)
		AND jsonb_typeof(m.message) <> 'object';
	RETURN QUERY
	SELECT m.run_id, NULL::uuid, m.seq, 'created_at of a message'::text,
		'not before ' || m.before, m.created_at::text
	FROM (
		SELECT m.run_id, m.seq, m.created_at,
			lag(m.created_at) OVER (PARTITION BY m.run_id ORDER BY m.seq) AS before
		FROM airun.messages AS m
		WHERE airun_check.run_id IS NULL OR m.run_id = airun_check.run_id) AS m
	WHERE m.created_at < m.before;

	-- What messages were: as they stood then, and by which way they went
	RETURN QUERY
	SELECT v.run_id, NULL::uuid, v.seq, p.problem, p.expected, p.found
	FROM airun.message_versions AS v
	CROSS JOIN LATERAL (VALUES
		('message of a version', 'a JSON object', jsonb_typeof(v.message),
		 jsonb_typeof(v.message) = 'object'),
		('place of a version', 'from 1 on', format('seq %s, version %s', v.seq, v.version),
		 v.seq > 0 AND v.version > 0),
		('action of a version', 'replaced or removed', v.action,
		 v.action IN ('replaced', 'removed')),
		('replaced_at of a version', 'not before ' || v.created_at, v.replaced_at::text,
		 v.replaced_at >= v.created_at)
	) AS p (problem, expected, found, fine)
	WHERE (airun_check.run_id IS NULL OR v.run_id = airun_check.run_id) AND NOT p.fine;

	-- Tasks: figures that fit together
	RETURN QUERY
	SELECT t.run_id, t.task_id, NULL::bigint, 'tokens_total of a task'::text,
		'at least ' || (COALESCE(t.tokens_input, 0) + COALESCE(t.tokens_output, 0)),
		t.tokens_total::text
	FROM airun.tasks AS t
	WHERE (airun_check.run_id IS NULL OR t.run_id = airun_check.run_id)
		AND COALESCE(t.tokens_total, 0)
			< COALESCE(t.tokens_input, 0) + COALESCE(t.tokens_output, 0);

	RETURN QUERY
	SELECT t.run_id, t.task_id, NULL::bigint, p.problem, p.expected, p.found
	FROM airun.tasks AS t
	CROSS JOIN LATERAL (VALUES
		('figures of a task', 'between 0 and infinity',
		 concat_ws(', ', t.tokens_input, t.tokens_output, t.tokens_total, t.cost,
				   t.time_to_first_token, t.total_time),
		 COALESCE(LEAST(t.tokens_input, t.tokens_output, t.tokens_total) >= 0, true)
			AND COALESCE(LEAST(t.cost, t.time_to_first_token, t.total_time) >= 0, true)
			AND COALESCE(GREATEST(t.cost, t.time_to_first_token, t.total_time) < 'Infinity',
						 true)),
		('status of a task',
		 CASE WHEN t.completed_at IS NULL THEN 'pending or streaming'
			ELSE 'completed, error or cancelled' END,
		 t.status,
		 CASE WHEN t.completed_at IS NULL THEN t.status IN ('pending', 'streaming')
			ELSE t.status IN ('completed', 'error', 'cancelled') END)
	) AS p (problem, expected, found, fine)
	WHERE (airun_check.run_id IS NULL OR t.run_id = airun_check.run_id) AND NOT p.fine;

	-- Texts: in chunks until the task has ended, and then in one place
	RETURN QUERY
	SELECT t.run_id, t.task_id, NULL::bigint, p.problem, p.expected, p.found
	FROM airun.tasks AS t
	LEFT JOIN airun.messages AS a ON t.text_in_answer AND a.run_id = t.run_id
		AND a.seq = t.answer_seq
	LEFT JOIN LATERAL (
		SELECT count(*) AS count, bool_and(k.fine) AS fine
		FROM (
			SELECT c.chars = sum(length(c.chunk)) OVER w
				AND c.bytes = sum(octet_length(c.chunk)) OVER w
				AND c.generation = first_value(c.generation) OVER w AS fine
			FROM airun.task_chunks AS c
			WHERE c.run_id = t.run_id AND c.task_id = t.task_id
			WINDOW w AS (ORDER BY c.chars)) AS k) AS c ON true
	CROSS JOIN LATERAL (VALUES
		('text of an unfinished task', 'in chunks', 'in the task',
		 t.completed_at IS NOT NULL OR t.response_text IS NULL AND NOT t.text_in_answer),
		('chunks of a task that does not stream', '0', c.count::text,
		 t.status = 'streaming' OR c.count = 0),
		('chunks of a task', 'one behind the other', 'otherwise', COALESCE(c.fine, true)),
		('response_length of a task',
		 COALESCE(length(COALESCE(t.response_text, @extschema@.airun_message_text(a.message))), 0)::text,
		 t.response_length::text,
		 COALESCE(length(COALESCE(t.response_text, @extschema@.airun_message_text(a.message))), 0)
			= t.response_length),
		('price_status of a task', 'priced, doubtful, provider, unbilled, client or unpriced once it has ended',
		 COALESCE(t.price_status, 'none'),
		 CASE WHEN t.completed_at IS NULL THEN t.price_status IS NULL
			ELSE COALESCE(t.price_status IN ('priced', 'doubtful', 'provider', 'unbilled', 'client', 'unpriced'), false) END),
		('messages of a task',
		 'up to ' || (SELECT r.message_count FROM airun.runs AS r WHERE r.id = t.run_id),
		 'up to ' || GREATEST(t.answer_seq, t.inputs_to),
		 COALESCE(GREATEST(t.answer_seq, t.inputs_to)
			<= (SELECT r.message_count FROM airun.runs AS r WHERE r.id = t.run_id), true)),
		('text of a task', 'in one place', 'in the task and in the answer',
		 t.response_text IS NULL OR NOT t.text_in_answer),
		('messages that the request of a task refers to',
		 'up to ' || (t.request_reference ->> 'from')::bigint
			+ (t.request_reference ->> 'count')::bigint - 1,
		 'up to ' || (SELECT r.message_count FROM airun.runs AS r WHERE r.id = t.run_id),
		 COALESCE((t.request_reference ->> 'from')::bigint
			+ (t.request_reference ->> 'count')::bigint - 1
			<= (SELECT r.message_count FROM airun.runs AS r WHERE r.id = t.run_id), true))
	) AS p (problem, expected, found, fine)
	WHERE (airun_check.run_id IS NULL OR t.run_id = airun_check.run_id) AND NOT p.fine;

	IF airun_check.run_id IS NOT NULL THEN
		RETURN;
	END IF;

	-- Rows whose run is gone, which only disabled triggers can leave
	RETURN QUERY
	SELECT m.run_id, NULL::uuid, m.seq, 'run of a message'::text, 'exists'::text, 'is missing'::text
	FROM airun.messages AS m
	WHERE NOT EXISTS (SELECT FROM airun.runs AS r WHERE r.id = m.run_id);
	RETURN QUERY
	SELECT v.run_id, NULL::uuid, v.seq, 'run of a version'::text, 'exists'::text, 'is missing'::text
	FROM airun.message_versions AS v
	WHERE NOT EXISTS (SELECT FROM airun.runs AS r WHERE r.id = v.run_id);
	RETURN QUERY
	SELECT t.run_id, t.task_id, NULL::bigint, 'run of a task'::text, 'exists'::text,
		'is missing'::text
	FROM airun.tasks AS t
	WHERE NOT EXISTS (SELECT FROM airun.runs AS r WHERE r.id = t.run_id);

	RETURN QUERY
	SELECT c.run_id, c.task_id, NULL::bigint, 'task of a chunk'::text, 'exists'::text,
		'is missing'::text
	FROM airun.task_chunks AS c
	WHERE NOT EXISTS (SELECT FROM airun.tasks AS t
					  WHERE t.run_id = c.run_id AND t.task_id = c.task_id);

	-- Calls: figures and words that fit together
	RETURN QUERY
	SELECT NULL::uuid, c.id, NULL::bigint, p.problem, p.expected, p.found
	FROM airun.calls AS c
	CROSS JOIN LATERAL (VALUES
		('tokens_total of a call',
		 'at least ' || (COALESCE(c.tokens_input, 0) + COALESCE(c.tokens_output, 0)),
		 c.tokens_total::text,
		 COALESCE(c.tokens_total, 0) >= COALESCE(c.tokens_input, 0) + COALESCE(c.tokens_output, 0)),
		('figures of a call', 'between 0 and infinity',
		 concat_ws(', ', c.tokens_input, c.tokens_output, c.tokens_total, c.cost,
				   c.time_to_first_token, c.total_time),
		 COALESCE(LEAST(c.tokens_input, c.tokens_output, c.tokens_total) >= 0, true)
			AND COALESCE(LEAST(c.cost, c.time_to_first_token, c.total_time) >= 0, true)
			AND COALESCE(GREATEST(c.cost, c.time_to_first_token, c.total_time) < 'Infinity',
						 true)),
		('kind of a call', 'call or tool', c.kind, c.kind IN ('call', 'tool')),
		('status of a call',
		 CASE WHEN c.completed_at IS NULL THEN 'pending' ELSE 'completed, error or cancelled' END,
		 c.status,
		 CASE WHEN c.completed_at IS NULL THEN c.status = 'pending'
			ELSE c.status IN ('completed', 'error', 'cancelled') END),
		('price_status of a call',
		 'priced, doubtful, provider, unbilled, client or unpriced once it has ended',
		 COALESCE(c.price_status, 'none'),
		 CASE WHEN c.completed_at IS NULL THEN c.price_status IS NULL
			ELSE COALESCE(c.price_status IN ('priced', 'doubtful', 'provider', 'unbilled', 'client',
											 'unpriced'), false) END)
	) AS p (problem, expected, found, fine)
	WHERE NOT p.fine;

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
		SELECT NULL::uuid, NULL::uuid, NULL::bigint, 'partitions ' || COALESCE(p.suffix, 'of other names'),
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
