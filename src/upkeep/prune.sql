/*
 * prune.sql: what airun.retention says is kept no longer
 *
 * Of the rows of airun.retention that fit a run and an action, the one that says most
 * is in force: one with the source before one with the status before one with neither.
 * A run is removed, or stripped, when its last message is older than the age; deleted
 * runs, too.  One from which a fork may have copied words of somebody but its owner is
 * stripped in place of being removed, until that is gone.  One with a task under way waits
 * for its end.  A utility call is removed by its beginning, once it has ended; where no row
 * fits it is kept for 30 days.  Runs that have been deleted for longer than the row for these
 * says are purged, whatever the others say, as by airun_purge_runs(): what they have under
 * way is cancelled.
 *
 * Users are gone through in the order of their ids, from a place that is chosen anew
 * with each call: so each has a turn, however short the calls are, and what a user has
 * that is old is found by the indexes that lists use; sequential scans are off for that.
 *
 * The functions here run as the owner of the store (upkeep.c).
 *
 * Locks: the runs and calls that go, until the transaction ends, and at last counters of
 * budgets.  What somebody holds is left for the next time.
 */

/*
 * Remove or strip some of a user's runs, of three thousand messages and tasks together, or
 * one; nobody's where person is NULL.  min_age: the shortest of all ages.  How many.
 */
CREATE FUNCTION @extschema@.airun_store_prune_runs(person uuid, min_age interval) RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $prune_runs$
DECLARE
	may_go constant text := $$
		SELECT r.id, d.action, r.message_count + r.task_count AS size
		FROM airun.runs AS r
		CROSS JOIN LATERAL (
			SELECT p.action
			FROM (VALUES ('delete'), ('strip')) AS a (action)
			CROSS JOIN LATERAL (
				SELECT p.* FROM airun.retention AS p
				WHERE p.kind = 'run' AND p.action = a.action
					AND (p.source_type IS NULL OR p.source_type = r.source_type)
					AND (p.status IS NULL OR p.status = r.status)
				ORDER BY p.source_type IS NULL, p.status IS NULL LIMIT 1) AS p
			WHERE r.last_message_at < now() - p.age
				AND NOT (p.keep_starred AND r.is_starred)
				AND (r.stripped_at IS NULL OR r.message_count > 0
					-- what stays for the sake of forks has been stripped (purge.c)
					OR p.action = 'delete' AND NOT EXISTS (
						SELECT FROM airun.runs AS f WHERE f.forked_from = r.id
						AND @extschema@.airun_store_erase_needs(
							r.id, r.user_id, r.forked_from, f.user_id)))
				AND NOT (p.keep_shared AND (
					EXISTS (SELECT FROM airun.tasks AS t
							WHERE t.run_id = r.id AND t.user_id <> r.user_id)
					OR EXISTS (SELECT FROM airun.runs AS f
							   WHERE f.forked_from = r.id AND f.user_id <> r.user_id)))
			ORDER BY p.action LIMIT 1) AS d
		WHERE NOT EXISTS (SELECT FROM airun.tasks AS t
						  WHERE t.run_id = r.id AND t.completed_at IS NULL)$$;
	chosen uuid[];
	removed uuid[];
	stripped uuid[];
BEGIN
	EXECUTE format($$
		SELECT array_agg(n.id)
		FROM (
			SELECT c.id, sum(c.size) OVER (ROWS UNBOUNDED PRECEDING) - c.size AS before
			FROM (%s AND r.user_id %s AND r.active_hour <= now() - $2
				LIMIT 100 FOR UPDATE OF r SKIP LOCKED) AS c) AS n
		WHERE n.before < 3000 AND $1 IS NOT DISTINCT FROM $1$$,
		may_go, CASE WHEN person IS NULL THEN 'IS NULL' ELSE '= $1' END)
		INTO chosen USING person, min_age;
	-- Again, now that they are locked: a task or a fork may have come before
	EXECUTE format($$
		SELECT COALESCE(array_agg(n.id) FILTER (WHERE n.action = 'delete'), '{}'),
			COALESCE(array_agg(n.id) FILTER (WHERE n.action = 'strip'), '{}')
		FROM (%s AND r.id = ANY ($1)) AS n$$, may_go)
		INTO removed, stripped USING chosen;
	RETURN @extschema@.airun_store_remove_runs(removed, false)
		+ @extschema@.airun_store_strip_runs(stripped);
END
$prune_runs$;
COMMENT ON FUNCTION @extschema@.airun_store_prune_runs(uuid, interval) IS
'Removes or strips some of a user''s runs, for airun_prune()';

/* The same for utility calls, which are only removed */
CREATE FUNCTION @extschema@.airun_store_prune_calls(person uuid, min_age interval) RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $prune_calls$
DECLARE
	count bigint;
BEGIN
	EXECUTE format($$
		DELETE FROM airun.calls AS g WHERE g.id = ANY (ARRAY(
			SELECT c.id FROM airun.calls AS c
			LEFT JOIN LATERAL (
				SELECT p.age, true AS fits FROM airun.retention AS p
				WHERE p.kind = 'call'
					AND (p.source_type IS NULL OR p.source_type = c.source_type)
					AND (p.status IS NULL OR p.status = c.status)
				ORDER BY p.source_type IS NULL, p.status IS NULL LIMIT 1) AS p ON true
			WHERE c.user_id %s AND c.created_at < now() - $2 AND c.completed_at IS NOT NULL
				AND c.created_at < now() - CASE WHEN p.fits THEN p.age ELSE interval '30 days' END
				AND NOT @extschema@.airun_store_is_moving(c.user_id, true)
			LIMIT 1000 FOR UPDATE OF c SKIP LOCKED)) AND $1 IS NOT DISTINCT FROM $1$$,
		CASE WHEN person IS NULL THEN 'IS NULL' ELSE '= $1' END)
		USING person, min_age;
	GET DIAGNOSTICS count = ROW_COUNT;
	RETURN count;
END
$prune_calls$;
COMMENT ON FUNCTION @extschema@.airun_store_prune_calls(uuid, interval) IS
'Removes some of a user''s utility calls, for airun_prune()';

/* Runs or calls of all users, until a time */
CREATE FUNCTION @extschema@.airun_store_prune_kind(kind text, min_age interval, until timestamptz)
RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $prune_kind$
DECLARE
	start constant uuid := gen_random_uuid();
	person uuid := start;
	is_last_round boolean := false;		-- up to where it has begun
	count bigint;
	pruned bigint := 0;
BEGIN
	LOOP
		LOOP
			IF clock_timestamp() >= until THEN
				RETURN pruned;
			END IF;
			count := CASE kind WHEN 'run' THEN @extschema@.airun_store_prune_runs(person, min_age)
				ELSE @extschema@.airun_store_prune_calls(person, min_age) END;
			pruned := pruned + count;
			EXIT WHEN count = 0;
		END LOOP;
		EXECUTE format('SELECT x.user_id FROM airun.%I AS x WHERE x.user_id %s ORDER BY '
			'x.user_id LIMIT 1',
				CASE kind WHEN 'run' THEN 'runs' ELSE 'calls' END,
				CASE WHEN person IS NULL THEN 'IS NOT NULL' ELSE '> ' || quote_literal(person) END)
			INTO person;
		-- Behind the last one come those of nobody, and then the first one
		IF is_last_round AND COALESCE(person >= start, true) THEN
			RETURN pruned;
		END IF;
		is_last_round := is_last_round OR person IS NULL;
	END LOOP;
END
$prune_kind$;
COMMENT ON FUNCTION @extschema@.airun_store_prune_kind(text, interval, timestamptz) IS
'Removes what is kept no longer of runs or calls, for airun_prune()';

/* Runs that were deleted before a time, those first that were deleted first, until a time */
CREATE FUNCTION @extschema@.airun_store_prune_deleted(deleted_before timestamptz,
	until timestamptz)
RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $prune_deleted$
DECLARE
	run record;
	ids uuid[] := '{}';
	size bigint := 0;
	pruned bigint := 0;
BEGIN
	FOR run IN
		SELECT r.id, r.message_count + r.task_count AS size FROM airun.runs AS r
		WHERE r.deleted_at < $1
			AND (r.stripped_at IS NULL OR r.message_count > 0 OR NOT EXISTS (
				SELECT FROM airun.runs AS f WHERE f.forked_from = r.id
				AND @extschema@.airun_store_erase_needs(
					r.id, r.user_id, r.forked_from, f.user_id)))
		ORDER BY r.deleted_at
	LOOP
		IF cardinality(ids) = 100 OR size >= 3000 THEN
			pruned := pruned + @extschema@.airun_store_purge_runs(ids, $1);
			ids := '{}';
			size := 0;
			EXIT WHEN clock_timestamp() >= until;
		END IF;
		ids := ids || run.id;
		size := size + run.size;
	END LOOP;
	RETURN pruned + @extschema@.airun_store_purge_runs(ids, $1);
END
$prune_deleted$;
COMMENT ON FUNCTION @extschema@.airun_store_prune_deleted(timestamptz, timestamptz) IS
'Removes runs that were deleted before a time, for airun_prune()';

/*
 * Those of these runs that are still deleted, and that nobody holds.  In PL/pgSQL, which
 * plans anew when a partition has been dropped in the same transaction.
 */
CREATE FUNCTION @extschema@.airun_store_purge_runs(ids uuid[], deleted_before timestamptz)
RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $purge_runs$
BEGIN
	RETURN @extschema@.airun_store_remove_runs(ARRAY(
		SELECT r.id FROM airun.runs AS r WHERE r.id = ANY ($1) AND r.deleted_at < $2
		ORDER BY r.id FOR UPDATE SKIP LOCKED), false);
END
$purge_runs$;
COMMENT ON FUNCTION @extschema@.airun_store_purge_runs(uuid[], timestamptz) IS
'Removes runs that were deleted before a time, for airun_prune()';

CREATE FUNCTION @extschema@.airun_store_prune(max_ms integer) RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off
	SET jit = off
AS $prune$
DECLARE
	begun constant timestamptz := clock_timestamp();
	-- the shortest ages; NULL where nothing goes
	run_age interval;
	deleted_age interval;
	call_age interval;
	pruned bigint;
BEGIN
	SELECT min(p.age) FILTER (WHERE p.kind = 'run'), min(p.age) FILTER (WHERE p.kind = 'deleted'),
			LEAST(min(p.age) FILTER (WHERE p.kind = 'call'), interval '30 days')
		INTO run_age, deleted_age, call_age FROM airun.retention AS p;

	-- Each has its share of the time, or what those before have left.  Months lock their
	-- tables, and are the end of a call.
	pruned := @extschema@.airun_store_prune_months(LEAST(run_age, deleted_age), deleted_age, false,
		begun + 0.5 * max_ms * interval '1 ms');
	IF pruned > 0 THEN
		RETURN pruned;
	END IF;
	IF deleted_age IS NOT NULL THEN
		pruned := @extschema@.airun_store_prune_deleted(now() - deleted_age,
			begun + 0.5 * max_ms * interval '1 ms');
	END IF;
	IF run_age IS NOT NULL THEN
		pruned := pruned + @extschema@.airun_store_prune_kind('run', run_age,
			begun + 0.8 * max_ms * interval '1 ms');
	END IF;
	pruned := pruned + @extschema@.airun_store_prune_kind('call', call_age,
		begun + max_ms * interval '1 ms');
	-- What has been removed is still to be told to counters of budgets, which nobody may
	-- wait for while he locks the tables: what this has emptied goes another time
	IF pruned = 0 THEN
		PERFORM @extschema@.airun_store_prune_months(LEAST(run_age, deleted_age), deleted_age,
			true, begun + max_ms * interval '1 ms');
	END IF;
	RETURN pruned;
END
$prune$;
COMMENT ON FUNCTION @extschema@.airun_store_prune(integer) IS
'Removes what is kept no longer, for airun_prune()';
