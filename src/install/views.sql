/*
 * views.sql: the views of the store
 *
 * What a view shows is a list of columns: those of its table, from tables.sql,
 * and those that it computes.  A new one comes last, as CREATE OR REPLACE VIEW
 * wants it.  The views have the caller's rights, and deleted runs are in none but the
 * report of what has no price, since they keep their money.
 *
 * Those of the ledger add up a cube and what is not folded yet, in one statement, so
 * that they are exact at any moment.  Their days are those of airun.report_zone.
 */
/* The columns of cubes, by the view of each */
CREATE FUNCTION @extschema@.airun_store_cube_columns()
RETURNS TABLE (view text, cube text, place bigint, name text, is_key boolean, comment text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $cube_columns$
SELECT v.view, v.cube, c.place, c.name, c.value IS NULL AND c.type <> 'bytea', c.comment
FROM (VALUES
	('ai_usage_daily', 'usage_daily'),
	('ai_usage_by_user', 'usage_people'),
	('ai_usage_by_work', 'usage_work'),
	('ai_usage_clock', 'usage_clock')) AS v (view, cube)
JOIN (SELECT c.*, row_number() OVER () AS place
	  FROM @extschema@.airun_store_usage_columns() AS c) AS c ON c.relation = v.cube
$cube_columns$;
COMMENT ON FUNCTION @extschema@.airun_store_cube_columns() IS
'The columns of the ledger''s cubes, by the views that show them';

CREATE FUNCTION @extschema@.airun_store_view_columns()
RETURNS TABLE (view text, place integer, name text, expression text, comment text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $view_columns$
SELECT v.view, CASE v.view WHEN 'ai_run_summaries' THEN c.in_summary ELSE c.in_view END, c.name,
	format('%s.%I', v.alias, c.name), c.comment
FROM (VALUES
	('ai_runs', 'runs', 'r'),
	('ai_run_summaries', 'runs', 'r'),
	('ai_messages', 'messages', 'm'),
	('ai_tasks', 'tasks', 't'),
	('ai_calls', 'calls', 'c')) AS v (view, relation, alias)
JOIN @extschema@.airun_store_columns() AS c ON c.relation = v.relation
WHERE CASE v.view WHEN 'ai_run_summaries' THEN c.in_summary ELSE c.in_view END IS NOT NULL
UNION ALL VALUES
	-- The subquery runs only where the column is selected.
	('ai_runs', 9, 'messages', $$
		COALESCE((SELECT @extschema@.airun_array_in_order(m.message, m.seq)
				  FROM airun.messages AS m WHERE m.run_id = r.id), '[]'::jsonb)$$,
	 'The whole conversation in order; for loading, airun_messages() is faster'),

	('ai_messages', 5, 'role', $$m.message ->> 'role'$$,
	 'Who speaks: system, developer, user, assistant, tool, function, model or data'),

	('ai_tasks', 9, 'request_data', $$
		CASE WHEN t.request_reference IS NULL THEN t.request_data
			ELSE @extschema@.airun_request(t.request_data, t.request_reference, (
				SELECT @extschema@.airun_array_in_order(m.message, m.seq)
				FROM airun.messages AS m
				WHERE m.run_id = t.run_id
					AND m.seq >= (t.request_reference ->> 'from')::bigint
					AND m.seq < (t.request_reference ->> 'from')::bigint
						+ (t.request_reference ->> 'count')::bigint)) END$$,
	 'What was sent to the model'),
	('ai_tasks', 10, 'response_text', $$
		CASE WHEN t.status = 'streaming'
			THEN (SELECT string_agg(c.chunk, '' ORDER BY c.chars)
				  FROM airun.task_chunks AS c
				  WHERE c.run_id = t.run_id AND c.task_id = t.task_id)
			WHEN t.text_in_answer
			THEN (SELECT @extschema@.airun_message_text(m.message)
				  FROM airun.messages AS m
				  WHERE m.run_id = t.run_id AND m.seq = t.answer_seq)
			ELSE t.response_text END$$,
	 'The answer''s text, as far as it has come'),
	('ai_tasks', 25, 'updated_at', 'p.progress_at', 'When it was last changed'),
	('ai_tasks', 28, 'is_overdue',
	 '@extschema@.airun_is_overdue(t.status, p.progress_at, t.timeout)',
	 'Has it shown no progress for so long?'),

	('ai_unpriced_models', 1, 'provider', 't.provider', 'Who served the model, as the tasks say'),
	('ai_unpriced_models', 2, 'model_id', 't.model_id', 'The model, as the tasks call it'),
	('ai_unpriced_models', 3, 'tasks', 'count(*)',
	 'How many tasks and calls have used it without a price'),
	('ai_unpriced_models', 4, 'tokens', 'sum(t.tokens_total)::bigint',
	 'Their tokens, as far as they are known'),
	('ai_unpriced_models', 5, 'first_used', 'min(t.created_at)',
	 'When the first of them was created'),
	('ai_unpriced_models', 6, 'last_used', 'max(t.created_at)',
	 'When the last of them was created'),
	('ai_unpriced_models', 7, 'served_model', 't.served_model',
	 'The model that answered, as the provider says'),
	('ai_unpriced_models', 8, 'service_tier', 't.service_tier',
	 'The service tier that served them'),
	('ai_unpriced_models', 9, 'region', 't.region', 'The region that served them'),
	('ai_unpriced_models', 10, 'speed', 't.speed', 'The speed that served them'),

	('ai_tasks_analytics', 1, 'user_id', 'u.user_id', 'Who made them'),
	('ai_tasks_analytics', 2, 'service', 'u.service', 'The application''s service that asked'),
	('ai_tasks_analytics', 3, 'task_name', 'u.task_name',
	 'What the service calls this kind of task'),
	('ai_tasks_analytics', 4, 'day', 'u.day', 'The day, in airun.report_zone'),
	('ai_tasks_analytics', 5, 'total_tasks', 'sum(u.calls)::bigint', 'How many tasks have ended'),
	('ai_tasks_analytics', 6, 'avg_total_time',
	 'sum(u.total_us)::float8 / NULLIF(sum(u.calls) FILTER (WHERE u.total_us IS NOT NULL), '
	 '0)::float8 / 1000',
	 'The average total time in milliseconds'),
	('ai_tasks_analytics', 7, 'avg_time_to_first_token',
	 'sum(u.first_token_us)::float8 / NULLIF(sum(u.calls) FILTER (WHERE u.first_token_us IS NOT '
	 'NULL), 0)::float8 / 1000',
	 'The average time to the first token in milliseconds'),
	('ai_tasks_analytics', 8, 'total_tokens',
	 'sum(u.tokens_input + u.tokens_cache_read + u.tokens_cache_write + u.tokens_output)::bigint',
	 'Their tokens'),
	('ai_tasks_analytics', 9, 'total_cost', 'COALESCE(sum(u.cost), 0)',
	 'What they cost, as far as it is known')
UNION ALL
SELECT 'ai_runs_summary', o.place::integer, c.name, format('r.%I', c.name), c.comment
FROM unnest('{id,name,source_type,source_id,message_count,task_count,total_tokens,total_cost,'
	'is_starred,status,created_at,last_message_at,user_id}'::text[])
	WITH ORDINALITY AS o (name, place)
JOIN @extschema@.airun_store_columns() AS c ON c.relation = 'runs' AND c.name = o.name
UNION ALL
SELECT c.view, (row_number() OVER (PARTITION BY c.view ORDER BY c.place, p.place))::integer,
	COALESCE(p.name, c.name), CASE
		WHEN p.name IS NOT NULL THEN replace(p.expression, '*', replace(c.name, '_sketch', ''))
		WHEN c.is_key THEN format('u.%I', c.name)
		WHEN c.name = 'cost' THEN 'sum(u.cost)'
		ELSE format('sum(u.%I)::bigint', c.name) END,
	CASE WHEN p.name = 'tokens_total' THEN 'The four together'
		WHEN p.name IS NULL THEN c.comment
		ELSE format(p.comment, CASE c.name
			WHEN 'total_sketch' THEN 'total time' ELSE 'time to the first token' END) END
FROM @extschema@.airun_store_cube_columns() AS c
LEFT JOIN LATERAL (
	SELECT 0 AS place, NULL AS name, NULL AS expression, NULL AS comment
	UNION ALL
	SELECT 1, 'tokens_total',
		'sum(u.tokens_input + u.tokens_cache_read + u.tokens_cache_write + '
		'u.tokens_output)::bigint', NULL
	WHERE c.name = 'tokens_output'
	UNION ALL
	SELECT x.place, replace(x.name, '*', replace(c.name, '_sketch', '')), x.expression, x.comment
	FROM (VALUES
		(1, '*_p50',
		 '@extschema@.airun_sketch_quantile(@extschema@.airun_sketch_sum(u.*_sketch), 0.5)',
		 'The median of the %s in milliseconds, within 1 %%'),
		(2, '*_p95',
		 '@extschema@.airun_sketch_quantile(@extschema@.airun_sketch_sum(u.*_sketch), 0.95)',
		 'The 95th percentile of the %s'),
		(3, '*_p99',
		 '@extschema@.airun_sketch_quantile(@extschema@.airun_sketch_sum(u.*_sketch), 0.99)',
		 'The 99th percentile of the %s'),
		(4, '*_avg', 'sum(u.*_us)::float8 / NULLIF(sum(u.*_count), 0)::float8 / 1000',
		 'The average %s in milliseconds')) AS x (place, name, expression, comment)
	WHERE c.name LIKE '%\_sketch') AS p ON true
WHERE c.is_key OR p.name IS NOT NULL
	OR c.name NOT LIKE '%\_us' AND c.name NOT LIKE '%\_count' AND c.name NOT LIKE '%\_sketch'
$view_columns$;
COMMENT ON FUNCTION @extschema@.airun_store_view_columns() IS
'The columns of the store''s views';

CREATE FUNCTION @extschema@.airun_store_views()
RETURNS TABLE (name text, columns name[], definition text, comment text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $views$
SELECT v.name, c.names, format('SELECT %s %s', c.expressions, COALESCE(v.origin, u.origin)),
	v.comment
FROM (VALUES
	(1, 'ai_runs', $$
		FROM airun.runs AS r
		WHERE r.deleted_at IS NULL$$,
	 'Runs, with messages as one array, computed only when it is selected'),
	(2, 'ai_run_summaries', $$
		FROM airun.runs AS r
		WHERE r.deleted_at IS NULL$$,
	 'Runs without messages, settings and variable values: what a sidebar shows'),
	(3, 'ai_messages', $$
		FROM airun.messages AS m
		WHERE EXISTS (SELECT FROM airun.runs AS r
					  WHERE r.id = m.run_id AND r.deleted_at IS NULL)$$,
	 'Messages, one row each; an insert without seq is an append, an update replaces, the last '
	 'ones can be deleted. No ON CONFLICT with a target: airun_save_messages() is the upsert'),
	-- While a task streams, its last piece tells when it made progress.
	(4, 'ai_tasks', $$
		FROM airun.tasks AS t
		CROSS JOIN LATERAL (SELECT CASE WHEN t.status = 'streaming'
			THEN GREATEST(t.updated_at, (SELECT c.created_at FROM airun.task_chunks AS c
				WHERE c.run_id = t.run_id AND c.task_id = t.task_id
				ORDER BY c.chars DESC LIMIT 1))
			ELSE t.updated_at END AS progress_at) AS p
		WHERE EXISTS (SELECT FROM airun.runs AS r
					  WHERE r.id = t.run_id AND r.deleted_at IS NULL)$$,
	 'Requests to models and their answers, with usage, cost and timing'),
	(5, 'ai_unpriced_models', $$
		FROM (
			SELECT t.provider, t.model_id, t.served_model, t.service_tier, t.region, t.speed,
				t.price_status, t.cost, t.usage_buckets, t.tokens_input, t.tokens_output,
				t.tokens_total, t.created_at
			FROM airun.tasks AS t
			UNION ALL
			SELECT c.provider, c.model_id, c.served_model, c.service_tier, c.region, c.speed,
				c.price_status, c.cost, c.usage_buckets, c.tokens_input, c.tokens_output,
				c.tokens_total, c.created_at
			FROM airun.calls AS c) AS t
		WHERE (t.price_status = 'unpriced' OR t.price_status = 'doubtful' AND t.cost IS NULL)
			AND COALESCE(t.served_model, t.model_id) IS NOT NULL
			AND (t.usage_buckets IS NOT NULL OR t.tokens_input IS NOT NULL
				 OR t.tokens_output IS NOT NULL)
		GROUP BY t.provider, t.model_id, t.served_model, t.service_tier, t.region, t.speed$$,
	 'Models that were used, in deleted runs and in calls too, and have no price: '
	 'airun_set_price() gives them one, airun_reprice() charges them'),
	(6, 'ai_calls', $$
		FROM airun.calls AS c$$,
	 'Calls of models and tools that belong to no run: what they have used and cost'),
	(7, 'ai_usage_daily', NULL,
	 'What has been used and what it cost, by day and model; for reporters'),
	(8, 'ai_usage_by_user', NULL,
	 'What each user has used and what it cost, by day and model; a user sees the user''s own'),
	(9, 'ai_usage_by_work', NULL,
	 'What has been used and what it cost, by day, source, service and task name; for reporters'),
	(10, 'ai_usage_clock', NULL,
	 'What has been used and what it cost, by quarter of an hour and model; for reporters'),
	(11, 'ai_runs_summary', $$
		FROM airun.runs AS r
		WHERE r.deleted_at IS NULL$$,
	 'Runs in short, as the original application has them'),
	(12, 'ai_tasks_analytics', $$
		FROM (
			SELECT e.*, (e.at AT TIME ZONE COALESCE(current_setting('airun.report_zone', true),
				'UTC'))::date AS day
			FROM (SELECT * FROM airun.usage_ledger UNION ALL SELECT * FROM airun.usage_tail) AS e
			WHERE e.kind = 'task') AS u
		GROUP BY u.user_id, u.service, u.task_name, u.day
		HAVING sum(u.calls) <> 0$$,
	 'Tasks that have ended by user, service, task name and day, as the original application has '
	 'them; those that were deleted, too')
) AS v (place, name, origin, comment)
CROSS JOIN LATERAL (
	SELECT array_agg(c.name::name ORDER BY c.place) AS names,
		string_agg(format('%s AS %I', c.expression, c.name), ', ' ORDER BY c.place) AS expressions
	FROM @extschema@.airun_store_view_columns() AS c
	WHERE c.view = v.name) AS c
CROSS JOIN LATERAL (
	SELECT format('FROM (SELECT %s FROM airun.%s UNION ALL %s) AS u GROUP BY %s HAVING '
		'sum(u.calls) <> 0',
		string_agg(c.name, ', ' ORDER BY c.place), min(c.cube),
		@extschema@.airun_store_cube_query(min(c.cube), 'airun.usage_tail',
			$$COALESCE(current_setting('airun.report_zone', true), 'UTC')$$),
		string_agg('u.' || c.name, ', ' ORDER BY c.place) FILTER (WHERE c.is_key)) AS origin
	FROM @extschema@.airun_store_cube_columns() AS c WHERE c.view = v.name) AS u
ORDER BY v.place
$views$;
COMMENT ON FUNCTION @extschema@.airun_store_views() IS
'The views of the store, in the order in which airun_install() makes them';

/*
 * Is it a view of these columns and this definition?  One to which a site has added
 * columns is, whatever its definition; and where nothing can be written, one that has
 * the columns.  The server's own words for a definition differ by its version, so that
 * it is asked for them, by another view, for a moment.
 */
CREATE FUNCTION @extschema@.airun_store_has_view(present regclass, columns name[], definition text)
RETURNS boolean
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $has_view$
DECLARE
	found constant name[] := ARRAY(SELECT a.attname FROM pg_attribute AS a
								   WHERE a.attrelid = present AND a.attnum > 0);
	is_same boolean;
BEGIN
	IF NOT columns <@ found OR NOT found <@ columns
		OR current_setting('transaction_read_only')::boolean THEN
		RETURN columns <@ found;
	END IF;
	EXECUTE format('CREATE VIEW airun.airun_wanted AS %s', definition);
	is_same := pg_get_viewdef(present) = pg_get_viewdef(to_regclass('airun.airun_wanted'));
	DROP VIEW airun.airun_wanted;
	RETURN is_same;
END
$has_view$;
COMMENT ON FUNCTION @extschema@.airun_store_has_view(regclass, name[], text) IS
'Is there a view of these columns and this definition, as far as it is airun''s?';
