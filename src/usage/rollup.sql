/*
 * rollup.sql: folding the ledger into its cubes, and checking both
 *
 * A batch is one statement: entries go from usage_tail to usage_ledger and are added
 * to the four cubes at once.  So whoever looks sees each entry once, before or after,
 * and a batch that fails has not been.  There is no mark of how far it has come: what
 * is in usage_tail has not been folded, whenever it was committed.  Who writes entries
 * never waits for it.
 *
 * Locks: folding takes an advisory lock, and returns at once where another one has it;
 * then the rows that go and those of cubes.  airun_rebuild_usage() locks airun.tasks and
 * airun.calls in SHARE mode, so that no task and no call can be written until it has
 * committed, and then waits for who folds; for both 2 s at most, since everybody's starts
 * and ends wait behind it.  Checks lock nothing.
 *
 * The statements are made of the columns' lists and queries, in usage_tables.sql, by functions
 * that the store's owner alone may call; airun_rollup() and its kin call them in his
 * name (rollup.c).
 */

/* Adding what a query of that kind gives to a cube */
CREATE FUNCTION @extschema@.airun_store_cube_upsert(cube text, query text) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $upsert$
SELECT format('INSERT INTO airun.%I AS c (%s) %s ORDER BY %s ON CONFLICT (%s) DO UPDATE SET %s',
	$1,
	string_agg(c.name, ', ' ORDER BY c.place), $2,
	string_agg(c.place::text, ', ' ORDER BY c.place) FILTER (WHERE c.is_key),
	string_agg(c.name, ', ' ORDER BY c.place) FILTER (WHERE c.is_key),
	string_agg(CASE WHEN c.type = 'bytea'
			THEN c.name || ' = @extschema@.airun_sketch_merge(c.' || c.name || ', excluded.'
				|| c.name || ')'
		ELSE format('%1$s = c.%1$s + excluded.%1$s', c.name) END,
		', ' ORDER BY c.place) FILTER (WHERE NOT c.is_key))
FROM (SELECT c.*, c.value IS NULL AND c.type <> 'bytea' AS is_key, row_number() OVER () AS place
	  FROM @extschema@.airun_store_usage_columns() AS c WHERE c.relation = $1) AS c
$upsert$;
COMMENT ON FUNCTION @extschema@.airun_store_cube_upsert(text, text) IS
'The statement that adds what a query gives to a cube of the ledger';

/*
 * Fold entries, in batches.  Another one that folds lets this one return at once.
 * In a store that had no ledger, what was there before is entered first, a batch before
 * each.
 * Locks: an advisory lock, until the transaction ends; the rows that go and those of
 * the cubes.
 */
CREATE FUNCTION @extschema@.airun_store_fold(max_rows integer, max_ms integer, zone text)
RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $fold$
DECLARE
	batch constant integer := 5000;
	until constant timestamptz := clock_timestamp() + max_ms * interval '1 ms';
	columns constant text := (SELECT string_agg(c.name, ', ')
		FROM @extschema@.airun_store_usage_columns() AS c WHERE c.relation = 'usage_ledger');
	command constant text := (
		SELECT format('WITH gone AS (DELETE FROM airun.usage_tail AS u WHERE u.ctid = ANY (ARRAY('
				'SELECT t.ctid FROM airun.usage_tail AS t LIMIT $1 FOR UPDATE SKIP LOCKED)) '
				'RETURNING u.*), '
				'kept AS (INSERT INTO airun.usage_ledger (%1$s) SELECT %1$s FROM gone), ', columns)
			|| string_agg(format('%I AS (%s)', c.cube, @extschema@.airun_store_cube_upsert(c.cube,
				@extschema@.airun_store_cube_query(c.cube, 'gone',
					quote_literal(zone) || '::text'))), ', ')
			|| ' SELECT count(*) FROM gone'
		FROM (VALUES ('usage_clock'), ('usage_daily'), ('usage_people'), ('usage_work'))
			AS c (cube));
	folded bigint := 0;
	built bigint;
	count bigint;
BEGIN
	IF NOT pg_try_advisory_xact_lock('airun.usage_tail'::regclass::oid::bigint) THEN
		RETURN 0;
	END IF;
	LOOP
		built := @extschema@.airun_store_build_usage(1000);
		EXECUTE command INTO count USING LEAST(batch, max_rows - folded);
		folded := folded + count;
		EXIT WHEN built + count = 0 OR folded >= max_rows OR clock_timestamp() >= until;
	END LOOP;
	RETURN folded;
END
$fold$;
COMMENT ON FUNCTION @extschema@.airun_store_fold(integer, integer, text) IS
'Folds entries of the ledger into its cubes, for airun_rollup()';

/*
 * Entries that make the ledger what it should be: for each task and call of which it says
 * something else, what it says taken back, and what it should say.  The source of a
 * run may have been changed since, and the entries of one charge be of two sources.  On a
 * shard, what is moving to another one is left out.
 *
 * The arguments restrict it, as SQL: what tasks and calls are read from, and a condition
 * on e, for entries of the same charges.  Whoever writes meanwhile, what it returns is
 * right, if it is entered once: who changes a charge enters the difference.
 */
CREATE FUNCTION @extschema@.airun_store_usage_corrections(of_tasks text DEFAULT 'airun.tasks',
	of_calls text DEFAULT 'airun.calls', of_entries text DEFAULT 'true')
RETURNS TABLE (at timestamptz, tokens_input bigint, tokens_cache_read bigint,
	tokens_cache_write bigint, tokens_output bigint, first_token_us bigint, total_us bigint,
	calls integer, first_token_bin smallint, total_bin smallint, charge_id uuid, user_id uuid,
	kind text, status text, price_status text, source_type text, service text, task_name text,
	provider text, model_id text, served_model text, cost numeric)
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $corrections$
BEGIN
	RETURN QUERY EXECUTE format($query$
WITH said AS (
	SELECT e.at, -sum(e.tokens_input)::bigint AS tokens_input,
		-sum(e.tokens_cache_read)::bigint AS tokens_cache_read,
		-sum(e.tokens_cache_write)::bigint AS tokens_cache_write,
		-sum(e.tokens_output)::bigint AS tokens_output,
		-sum(e.first_token_us)::bigint AS first_token_us,
		-sum(e.total_us)::bigint AS total_us, -sum(e.calls)::integer AS calls,
		e.first_token_bin, e.total_bin, e.charge_id, e.user_id, e.kind, e.status, e.price_status,
		e.source_type, e.service, e.task_name, e.provider, e.model_id, e.served_model,
		-sum(e.cost) AS cost
	FROM (SELECT * FROM airun.usage_ledger UNION ALL SELECT * FROM airun.usage_tail) AS e
	WHERE %3$s AND CASE e.kind WHEN 'task'
		THEN EXISTS (SELECT FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id
			WHERE t.task_id = e.charge_id
				AND NOT @extschema@.airun_store_is_moving(r.user_id, true))
		ELSE EXISTS (SELECT FROM airun.calls AS c WHERE c.id = e.charge_id
			AND NOT @extschema@.airun_store_is_moving(c.user_id, true)) END
	GROUP BY e.charge_id, e.at, e.first_token_bin, e.total_bin, e.user_id, e.kind, e.status,
		e.price_status, e.source_type, e.service, e.task_name, e.provider, e.model_id,
		e.served_model, e.cost IS NULL, e.first_token_us IS NULL, e.total_us IS NULL
	HAVING (sum(e.calls), sum(e.tokens_input), sum(e.tokens_cache_read), sum(e.tokens_cache_write),
		sum(e.tokens_output), COALESCE(sum(e.cost), 0), COALESCE(sum(e.first_token_us), 0),
		COALESCE(sum(e.total_us), 0)) <> (0, 0, 0, 0, 0, 0, 0, 0)
), due AS (
	SELECT t.created_at, k.tokens[1], k.tokens[2], k.tokens[3], k.tokens[4],
		d.first_token, d.total,
		1, @extschema@.airun_sketch_bin(d.first_token), @extschema@.airun_sketch_bin(d.total),
		t.charge_id, t.user_id, t.kind, t.status,
		COALESCE(t.price_status, 'unpriced'), @extschema@.airun_store_usage_word(t.source_type),
		@extschema@.airun_store_usage_word(t.service),
		@extschema@.airun_store_usage_word(t.task_name),
		@extschema@.airun_store_usage_word(t.provider),
		@extschema@.airun_store_usage_word(t.model_id),
		@extschema@.airun_store_usage_word(t.served_model), t.cost
	FROM (
		SELECT t.created_at, t.task_id AS charge_id, t.user_id, 'task' AS kind, t.status,
			t.price_status,
			r.source_type, t.service, t.task_name, t.provider, t.model_id, t.served_model, t.cost,
			t.tokens_total, t.tokens_output, t.usage_buckets, t.time_to_first_token, t.total_time
		FROM %1$s AS t JOIN airun.runs AS r ON r.id = t.run_id
		WHERE t.completed_at IS NOT NULL
			AND NOT @extschema@.airun_store_is_moving(r.user_id, true)
		UNION ALL
		SELECT c.created_at, c.id, c.user_id, c.kind, c.status, c.price_status,
			c.source_type, c.service, c.task_name, c.provider, c.model_id, c.served_model, c.cost,
			c.tokens_total, c.tokens_output, c.usage_buckets, c.time_to_first_token, c.total_time
		FROM %2$s AS c
		WHERE c.completed_at IS NOT NULL
			AND NOT @extschema@.airun_store_is_moving(c.user_id, true)) AS t
	CROSS JOIN LATERAL (SELECT @extschema@.airun_store_usage_tokens(t.tokens_total,
		t.tokens_output,
		t.usage_buckets)) AS k (tokens)
	CROSS JOIN LATERAL (SELECT @extschema@.airun_store_usage_time(t.time_to_first_token),
		@extschema@.airun_store_usage_time(t.total_time)) AS d (first_token, total)
), wrong AS (
	SELECT x.charge_id, x.kind
	FROM (SELECT * FROM said UNION ALL SELECT * FROM due) AS x
	GROUP BY x.charge_id, x.kind, x.at, x.user_id, x.status, x.price_status,
		x.service, x.task_name,
		x.provider, x.model_id, x.served_model, x.cost IS NULL, x.first_token_us IS NULL,
		x.total_us IS NULL
	HAVING (sum(x.calls), sum(x.tokens_input), sum(x.tokens_cache_read), sum(x.tokens_cache_write),
		sum(x.tokens_output), COALESCE(sum(x.cost), 0), COALESCE(sum(x.first_token_us), 0),
		COALESCE(sum(x.total_us), 0)) <> (0, 0, 0, 0, 0, 0, 0, 0)
)
SELECT x.* FROM (SELECT * FROM said UNION ALL SELECT * FROM due) AS x
WHERE (x.charge_id, x.kind) IN (SELECT w.charge_id, w.kind FROM wrong AS w)$query$, of_tasks,
	of_calls, of_entries);
END
$corrections$;
COMMENT ON FUNCTION @extschema@.airun_store_usage_corrections(text, text, text) IS
'The entries that the ledger lacks to be what the tasks and calls that are there have '
'used and cost';

/*
 * Enter charges of before there was a ledger: the next tasks, and then calls, in the
 * order of their keys.  airun.usage_build tells from which one on, which may have been
 * entered already; it has no row when all are.  Returns how many have been looked at.
 * Locks: a row of airun.usage_build.  Nobody who writes tasks or calls waits.
 */
CREATE FUNCTION @extschema@.airun_store_build_usage(max_rows integer) RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $build$
DECLARE
	build record;
	charges uuid[];
	runs uuid[];
	count integer;
BEGIN
	LOOP
		SELECT b.* INTO build FROM airun.usage_build AS b ORDER BY b.kind DESC LIMIT 1 FOR UPDATE;
		IF NOT FOUND THEN
			RETURN 0;
		END IF;
		IF build.kind = 'task' THEN
			SELECT array_agg(n.task_id ORDER BY n.run_id, n.task_id),
				array_agg(n.run_id ORDER BY n.run_id, n.task_id) INTO charges, runs
			FROM (SELECT t.run_id, t.task_id FROM airun.tasks AS t
				  WHERE (t.run_id, t.task_id) >= (build.run_id, build.charge_id)
				  ORDER BY t.run_id, t.task_id LIMIT max_rows) AS n;
		ELSE
			SELECT array_agg(n.id ORDER BY n.id) INTO charges
			FROM (SELECT c.id FROM airun.calls AS c WHERE c.id >= build.charge_id
				  ORDER BY c.id LIMIT max_rows) AS n;
		END IF;
		EXIT WHEN charges IS NOT NULL;
		DELETE FROM airun.usage_build AS b WHERE b.kind = build.kind;
	END LOOP;
	count := cardinality(charges);
	INSERT INTO airun.usage_tail SELECT * FROM @extschema@.airun_store_usage_corrections(
		format('(SELECT t.* FROM airun.tasks AS t WHERE t.task_id = ANY (%L::uuid[]))', charges),
		format('(SELECT c.* FROM airun.calls AS c WHERE c.id = ANY (%L::uuid[]))', charges),
		format('e.charge_id = ANY (%L::uuid[])', charges));
	IF count < max_rows THEN
		DELETE FROM airun.usage_build AS b WHERE b.kind = build.kind;
	ELSE
		UPDATE airun.usage_build AS b
			SET run_id = COALESCE(runs[count], b.run_id), charge_id = charges[count]
			WHERE b.kind = build.kind;
	END IF;
	RETURN count;
END
$build$;
COMMENT ON FUNCTION @extschema@.airun_store_build_usage(integer) IS
'Enters the next charges of a store that had no ledger, for airun_install() and airun_rollup()';

/* What is wrong with the ledger and its cubes, for airun_check_usage() */
CREATE FUNCTION @extschema@.airun_store_usage_problems() RETURNS SETOF @extschema@.ai_problem
	LANGUAGE plpgsql STABLE PARALLEL UNSAFE ROWS 1
	SET search_path = pg_catalog, pg_temp
AS $problems$
DECLARE
	cube text;
	keys text;
BEGIN
	IF EXISTS (SELECT FROM airun.usage_build) THEN
		RETURN QUERY SELECT NULL::uuid, NULL::uuid, NULL::bigint, 'charges of before the ledger',
			'entered', 'not all entered yet, which airun_rollup() does';
		RETURN;
	END IF;
	RETURN QUERY
	SELECT NULL::uuid, c.charge_id, NULL::bigint, 'entries of a ' || c.kind,
		COALESCE(string_agg(f.figures, '; ') FILTER (WHERE c.calls > 0), 'none'),
		COALESCE(string_agg(f.figures, '; ') FILTER (WHERE c.calls <= 0), 'none')
	FROM @extschema@.airun_store_usage_corrections() AS c
	CROSS JOIN LATERAL (SELECT format('%s %s, %s tokens, cost %s', c.status,
		COALESCE(c.model_id, 'without a model'),
		abs(c.tokens_input + c.tokens_cache_read + c.tokens_cache_write + c.tokens_output),
		COALESCE(abs(c.cost)::text, 'not known'))) AS f (figures)
	GROUP BY c.charge_id, c.kind ORDER BY c.charge_id, c.kind;

	-- The cubes against the ledger, without the days, which are of the zone of then
	FOREACH cube IN ARRAY '{usage_clock,usage_daily,usage_people,usage_work}'::text[] LOOP
		keys := (SELECT string_agg('x.' || c.name, ', ')
			FROM @extschema@.airun_store_usage_columns() AS c
			WHERE c.relation = cube AND c.value IS NULL AND c.type <> 'bytea'
				AND c.name NOT IN ('day', 'zone'));
		RETURN QUERY EXECUTE format('SELECT NULL::uuid, NULL::uuid, NULL::bigint, %1$L, '
			'format(''%%s calls, %%s tokens, cost %%s'', sum(x.calls) FILTER (WHERE x.is_due), '
			'sum(x.tokens_input + x.tokens_cache_read + x.tokens_cache_write + x.tokens_output) '
			'FILTER (WHERE x.is_due), '
			'sum(x.cost) FILTER (WHERE x.is_due)), '
			'format(''%%s calls, %%s tokens, cost %%s'', sum(x.calls) FILTER (WHERE '
			'NOT x.is_due), '
			'sum(x.tokens_input + x.tokens_cache_read + x.tokens_cache_write + x.tokens_output) '
			'FILTER (WHERE NOT x.is_due), '
			'sum(x.cost) FILTER (WHERE NOT x.is_due)) '
			'FROM (SELECT q.*, true AS is_due FROM (%2$s) AS q '
			'UNION ALL SELECT c.*, false FROM airun.%3$I AS c) AS x '
			'GROUP BY %4$s HAVING (%5$s) <> (%6$s) OR %7$s',
			'sums of airun.' || cube,
			@extschema@.airun_store_cube_query(cube, 'airun.usage_ledger', '''UTC''::text'), cube,
			keys,
			(SELECT string_agg(format('sum(CASE WHEN x.is_due THEN x.%1$s ELSE -x.%1$s END)',
			 c.name), ', ')
			 FROM @extschema@.airun_store_usage_columns() AS c
			 WHERE c.relation = cube AND c.value IS NOT NULL),
			(SELECT string_agg('0', ', ')
			 FROM @extschema@.airun_store_usage_columns() AS c
			 WHERE c.relation = cube AND c.value IS NOT NULL),
			(SELECT string_agg('@extschema@.airun_sketch_sum(x.' || c.name
				|| ') FILTER (WHERE x.is_due) '
				'IS DISTINCT FROM @extschema@.airun_sketch_sum(x.' || c.name
				|| ') FILTER (WHERE NOT x.is_due)', ' OR ')
			 FROM @extschema@.airun_store_usage_columns() AS c
			 WHERE c.relation = cube AND c.type = 'bytea'));
	END LOOP;
END
$problems$;
COMMENT ON FUNCTION @extschema@.airun_store_usage_problems() IS
'What is wrong with the ledger and its cubes, for airun_check_usage()';

/*
 * Correct the ledger by entries, and make its cubes anew.
 * Locks: tasks and calls against changes, then the advisory lock of folding.
 */
CREATE FUNCTION @extschema@.airun_store_rebuild_usage(zone text) RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $rebuild$
DECLARE
	corrections bigint;
	cube text;
BEGIN
	PERFORM @extschema@.airun_store_lock_soon(
		'LOCK TABLE airun.tasks, airun.calls IN SHARE MODE');
	PERFORM @extschema@.airun_store_lock_soon(
		'SELECT pg_advisory_xact_lock(''airun.usage_tail''::regclass::oid::bigint)');
	DELETE FROM airun.usage_build;
	INSERT INTO airun.usage_tail SELECT * FROM @extschema@.airun_store_usage_corrections();
	GET DIAGNOSTICS corrections = ROW_COUNT;
	FOREACH cube IN ARRAY '{usage_clock,usage_daily,usage_people,usage_work}'::text[] LOOP
		EXECUTE format('DELETE FROM airun.%I', cube);
		EXECUTE @extschema@.airun_store_cube_upsert(cube, @extschema@.airun_store_cube_query(cube,
			'airun.usage_ledger', quote_literal(zone) || '::text'));
	END LOOP;
	RETURN corrections;
END
$rebuild$;
COMMENT ON FUNCTION @extschema@.airun_store_rebuild_usage(text) IS
'Corrects the ledger and makes its cubes anew, for airun_rebuild_usage()';

CREATE FUNCTION @extschema@.airun_rollup(max_rows bigint DEFAULT 100000,
	max_ms bigint DEFAULT 1000)
RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_rollup IS
'Folds entries of the ledger into its cubes, so that reports are fast; returns how many
In batches, until there are none, or max_rows or max_ms is reached.  Returns 0 at once where '
'another one folds.  Reports are exact before and after.';

CREATE FUNCTION @extschema@.airun_check_usage() RETURNS SETOF @extschema@.ai_problem
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE ROWS 1;
COMMENT ON FUNCTION @extschema@.airun_check_usage IS
'Compares the ledger with the tasks and calls that are there, each by itself, and the cubes with '
'the ledger; no row means that all agree';

CREATE FUNCTION @extschema@.airun_rebuild_usage() RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_rebuild_usage IS
'Corrects the ledger where it is not what the tasks and calls say, by entries, and makes the '
'cubes anew in airun.report_zone; returns how many entries it has added
What is deleted keeps its entries.  Tasks and calls cannot change meanwhile.';
