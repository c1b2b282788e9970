/*
 * prune_months.sql: months that go as a whole
 *
 * Where the store is partitioned, a month of which every run may go is dropped, in place
 * of its rows being deleted one by one; what has been emptied so goes, too.  All its runs
 * have been deleted for as long as airun.retention says, or are older than the age that
 * is in force for them, neither starred nor shared where those are kept; and no task is
 * under way.  What they have cost stays in the ledger, and in the counters of budgets.
 *
 * A month with more than 100,000 runs, or 300,000 tasks, is left to prune.sql, which
 * removes them in pieces: to look at each takes long.
 *
 * Locks: the partitioned tables, exclusively, for each of which it waits a fifth of a
 * second; then counters of budgets.  Whoever has one is not waited for longer: the month
 * goes another time.
 */

/*
 * Has counters of budgets keep what tasks of a partition have charged to them, which these
 * tell no more from then on; in the order in which a start locks them.
 */
CREATE FUNCTION @extschema@.airun_store_keep_charges(tasks regclass) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $keep_charges$
DECLARE
	kept record;
BEGIN
	IF NOT EXISTS (SELECT FROM airun.budget_periods) THEN
		RETURN;
	END IF;
	FOR kept IN EXECUTE format($$
		SELECT s.* FROM (
		SELECT (h.hold ->> 0)::bigint AS counter, sum(x.part[2] + x.part[3]) AS charged
		FROM %s AS t
		CROSS JOIN LATERAL jsonb_array_elements(t.holds::jsonb) AS h (hold)
		CROSS JOIN LATERAL (SELECT @extschema@.airun_store_hold_part(h.hold,
			t.completed_at IS NOT NULL, t.status = 'completed', t.cost, t.tokens_total,
			t.response_length)) AS x (part)
		WHERE t.holds IS NOT NULL GROUP BY 1) AS s
		JOIN airun.budget_periods AS p ON p.id = s.counter
		WHERE s.charged <> 0
		ORDER BY p.budget_id, p.value COLLATE "C", p.period_key COLLATE "C", p.slot$$, tasks)
	LOOP
		UPDATE airun.budget_periods AS p SET base = p.base + kept.charged
		WHERE p.id = kept.counter;
	END LOOP;
END
$keep_charges$;
COMMENT ON FUNCTION @extschema@.airun_store_keep_charges(regclass) IS
'Has counters of budgets keep what tasks of a partition have charged that is about to go';

/*
 * Drops the partitions of a month, which are locked.
 */
CREATE FUNCTION @extschema@.airun_store_drop_month(suffix text) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET client_min_messages = warning
AS $drop_month$
BEGIN
	PERFORM @extschema@.airun_store_keep_charges(format('airun.%I', 'tasks_' || suffix)::regclass);
	-- those that refer to runs come first
	EXECUTE (SELECT format('DROP TABLE %s',
		string_agg(p.partition::text, ', ' ORDER BY p.relation = 'runs'))
			 FROM @extschema@.airun_store_partitions() AS p
			 WHERE p.suffix = airun_store_drop_month.suffix);
END
$drop_month$;
COMMENT ON FUNCTION @extschema@.airun_store_drop_month(text) IS
'Drops the partitions of a month, for airun_drop_partitions() and airun_prune()';

/*
 * How many runs a month has, if all of them may go, else NULL.  First what the runs'
 * rows tell: who else has a task or a fork is only asked of a month that passes that.
 */
CREATE FUNCTION @extschema@.airun_store_month_may_go(suffix text, deleted_before timestamptz)
RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $may_go$
DECLARE
	-- the runs with the row that is in force for them, but those that go since they were deleted
	policies constant text := format($$
		WITH k AS MATERIALIZED (
			SELECT DISTINCT r.source_type, r.status FROM airun.%1$I AS r
		), p AS MATERIALIZED (
			SELECT k.source_type, k.status, q.* FROM k CROSS JOIN LATERAL (
				SELECT p.age, p.keep_starred, p.keep_shared FROM airun.retention AS p
				WHERE p.kind = 'run' AND p.action = 'delete'
					AND (p.source_type IS NULL OR p.source_type = k.source_type)
					AND (p.status IS NULL OR p.status = k.status)
				ORDER BY p.source_type IS NULL, p.status IS NULL LIMIT 1) AS q
		), r AS (
			SELECT r.id, r.user_id, r.is_starred, r.last_message_at, p.* FROM airun.%1$I AS r
			LEFT JOIN p ON p.source_type = r.source_type AND p.status = r.status
			WHERE NOT COALESCE(r.deleted_at < $1, false)
		)$$, 'runs_' || suffix);
	runs bigint;
	tasks bigint;
	is_kept boolean;
BEGIN
	EXECUTE format('SELECT count(*), COALESCE(sum(r.task_count), 0)
		FROM (SELECT r.task_count FROM airun.%I AS r LIMIT 100001) AS r', 'runs_' || suffix)
		INTO runs, tasks;
	IF runs > 100000 OR tasks > 300000 THEN
		RETURN NULL;
	END IF;
	EXECUTE policies || format($$
		SELECT EXISTS (SELECT FROM airun.%I AS t WHERE t.completed_at IS NULL)
			OR EXISTS (SELECT FROM r WHERE r.is_starred AND r.keep_starred
					   OR NOT COALESCE(r.last_message_at < now() - r.age, false))
			OR EXISTS (SELECT FROM airun.%I AS m
					   WHERE @extschema@.airun_store_is_moving(m.user_id, true))$$,
		'tasks_' || suffix, 'runs_' || suffix) INTO is_kept USING deleted_before;
	-- by its row a person's words are found in forks of others (purge.c)
	IF NOT is_kept THEN
		EXECUTE format($$
			SELECT EXISTS (
				SELECT FROM airun.%I AS r JOIN airun.runs AS f ON f.forked_from = r.id
				WHERE f.forked_from IS NOT NULL AND f.tableoid <> r.tableoid
					AND @extschema@.airun_store_erase_needs(
						r.id, r.user_id, r.forked_from, f.user_id))$$,
			'runs_' || suffix) INTO is_kept;
	END IF;
	IF NOT is_kept THEN
		EXECUTE policies || format($$
			SELECT EXISTS (SELECT FROM r JOIN airun.%I AS t ON t.run_id = r.id
						   WHERE r.keep_shared AND t.user_id <> r.user_id)
				OR EXISTS (SELECT FROM r JOIN airun.runs AS f ON f.forked_from = r.id
						   WHERE r.keep_shared AND f.forked_from IS NOT NULL
						   AND f.user_id <> r.user_id)$$,
			'tasks_' || suffix) INTO is_kept USING deleted_before;
	END IF;
	RETURN CASE WHEN NOT is_kept THEN runs END;
END
$may_go$;
COMMENT ON FUNCTION @extschema@.airun_store_month_may_go(text, timestamptz) IS
'How many runs a month has, if airun.retention lets all of them go, for airun_prune()';

/*
 * Drops the months that may go, until a time: those with runs, or those that are empty.
 * min_age: the shortest age of all, before which none can.  Returns how many runs.
 */
CREATE FUNCTION @extschema@.airun_store_prune_months(min_age interval, deleted_age interval,
	is_empty boolean, until timestamptz)
RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '200ms'
	SET enable_seqscan = on
AS $prune_months$
DECLARE
	month record;
	runs bigint;
	pruned bigint := 0;
BEGIN
	-- what is committed meanwhile has to be seen
	IF current_setting('transaction_isolation') NOT LIKE 'read %' THEN
		RETURN 0;
	END IF;
	FOR month IN
		SELECT p.suffix FROM @extschema@.airun_store_partitions() AS p
		WHERE p.relation = 'runs' AND p.lower_id IS NOT NULL
			AND p.upper_id <= @extschema@.airun_store_first_id(
				GREATEST(now() - min_age, '1970-01-01 00:00+00'))
		ORDER BY p.upper_id
	LOOP
		EXIT WHEN clock_timestamp() >= until;
		CONTINUE WHEN (@extschema@.airun_store_month_may_go(month.suffix, now() - deleted_age) = 0)
			IS DISTINCT FROM is_empty;
		BEGIN
			LOCK TABLE ONLY airun.runs, ONLY airun.messages, ONLY airun.tasks,
				ONLY airun.message_versions, ONLY airun.task_chunks IN ACCESS EXCLUSIVE MODE;
			runs := @extschema@.airun_store_month_may_go(month.suffix, now() - deleted_age);
			IF runs IS NOT NULL THEN
				PERFORM @extschema@.airun_store_drop_month(month.suffix);
				pruned := pruned + runs;
			END IF;
		EXCEPTION
			WHEN lock_not_available THEN
				RETURN pruned;
			WHEN object_in_use OR dependent_objects_still_exist THEN
				NULL;			-- a view of the month, say; its rows go one by one
		END;
	END LOOP;
	RETURN pruned;
END
$prune_months$;
COMMENT ON FUNCTION @extschema@.airun_store_prune_months(interval, interval, boolean,
	timestamptz) IS
'Drops the months of which airun.retention lets every run go, for airun_prune()';
