/*
 * erase.sql: forgetting a person, and not what she has cost
 *
 * What belongs to her goes: runs, deleted ones too, with messages, versions, tasks and
 * texts, and utility calls.  What is in runs of other users stays theirs, without her
 * words: messages of her tasks, and those that a fork has copied from a run of hers, are
 * emptied, and all requests of such a run go.  Where nothing tells which of a fork was hers,
 * all that has been copied goes.  The ledger keeps every entry, of nobody
 * from then on, and so do its cubes: no sum of money, tokens or calls changes.
 *
 * It works in steps, each of which leaves all sums and checks right, and keeps no note
 * of how far it has come: what is still hers is found by indexes.  So it can stop after
 * any step, by time or by error, and go on later; each call takes a step of each kind.
 * It waits for who keeps a table of the store (airun_set_budget(), airun_rebuild_usage()), for a
 * task that is being written at the moment, and for counters of budgets: what somebody holds
 * otherwise is left, and is_done is false.
 *
 * The functions here run as the owner of the store (upkeep.c).  Sequential scans are off:
 * the planner expects of a person with many rows to meet one soon, and at the end there
 * is none.
 *
 * Locks: the tables of budgets, runs, tasks and calls, as who writes to them; rows of hers, of
 * other runs that have words of hers with their forks, the advisory lock of folding, and texts
 * of hers that stream, all until the transaction ends; so a call is as short as max_ms says.
 * At last counters of budgets, and when she has been forgotten those that are hers.
 */

/*
 * Have entries of the ledger be nobody's, and what the cube of people sums of them: the
 * same figures taken from the person and given to nobody, in one statement.  Nobody
 * folds meanwhile.  Returns how many.
 */
CREATE FUNCTION @extschema@.airun_store_erase_entries(person uuid, entries tid[], zone text)
RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $erase_entries$
DECLARE
	command text;
	count bigint;
BEGIN
	SELECT format('WITH moved AS (UPDATE airun.usage_ledger AS e SET user_id = NULL '
			'WHERE e.ctid = ANY ($1) RETURNING e.*), '
			'changed AS (SELECT %s FROM moved AS m UNION ALL SELECT %s FROM moved AS m), '
			'cube AS (%s) SELECT count(*) FROM moved',
			string_agg(CASE WHEN c.name = 'user_id' THEN '$2'
				WHEN c.type IN ('bigint', 'integer', 'numeric') THEN '-m.' || c.name
				ELSE 'm.' || c.name END || ' AS ' || c.name, ', '),
			string_agg('m.' || c.name, ', '),
			@extschema@.airun_store_cube_upsert('usage_people', @extschema@.airun_store_cube_query(
				'usage_people', 'changed', quote_literal(zone) || '::text')))
		INTO command
		FROM @extschema@.airun_store_usage_columns() AS c WHERE c.relation = 'usage_ledger';
	EXECUTE command INTO count USING entries, person;
	RETURN count;
END
$erase_entries$;
COMMENT ON FUNCTION @extschema@.airun_store_erase_entries(uuid, tid[], text) IS
'Has entries of the ledger be nobody''s, for airun_erase_user()';

/*
 * Does airun_erase_user() need the row of a run for the sake of a fork of it, since that may
 * have words of somebody but its owner?  Behind a fork, any fork counts: a fork of it may have
 * what it has copied itself.  HAS_FORKS in purge.c is the same.
 */
CREATE FUNCTION @extschema@.airun_store_erase_needs(
	run_id uuid, user_id uuid, forked_from uuid, fork_user_id uuid) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $needs$
SELECT fork_user_id IS DISTINCT FROM user_id OR forked_from IS NOT NULL
	OR EXISTS (SELECT FROM airun.tasks AS t WHERE t.run_id = $1 AND t.user_id <> $2)
$needs$;
COMMENT ON FUNCTION @extschema@.airun_store_erase_needs(uuid, uuid, uuid, uuid) IS
'Does airun_erase_user() need the row of a run for the sake of a fork of it?';

/*
 * The forks of runs, and the forks of these: up to which seq each has copied from its origin,
 * and whether the origin has been stripped since, and so does not tell any more what that was.
 * What a fork has said after it has been stripped or taken back itself is its own.
 */
CREATE FUNCTION @extschema@.airun_store_forks(
	ids uuid[], OUT id uuid, OUT user_id uuid, OUT up_to bigint, OUT origin uuid,
	OUT is_stripped boolean)
RETURNS SETOF record
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $forks$
WITH RECURSIVE f AS (
	SELECT r.id, r.user_id, r.stripped_at, r.forked_at_seq AS up_to, r.forked_from AS origin,
		COALESCE(r.created_at <= o.stripped_at, false) AS is_stripped
	FROM airun.runs AS r JOIN airun.runs AS o ON o.id = r.forked_from
	WHERE r.forked_from = ANY (ids)
	UNION
	SELECT r.id, r.user_id, r.stripped_at,
		CASE WHEN f.stripped_at < r.created_at THEN 0
			ELSE LEAST(r.forked_at_seq, f.up_to, (
				SELECT min(v.seq) - 1 FROM airun.message_versions AS v
				WHERE v.run_id = f.id AND v.action = 'removed'
					AND v.replaced_at < r.created_at)) END,
		f.origin, f.is_stripped
	FROM f JOIN airun.runs AS r ON r.forked_from = f.id)
SELECT f.id, f.user_id, max(CASE WHEN f.stripped_at IS NULL THEN f.up_to ELSE 0 END), f.origin,
	bool_or(f.is_stripped)
FROM f GROUP BY f.id, f.user_id, f.origin
$forks$;
COMMENT ON FUNCTION @extschema@.airun_store_forks(uuid[]) IS
'The forks of runs, and the forks of these, for airun_erase_user()';

/*
 * Empty what a person has said in a run of somebody else's, whose tasks of hers are
 * nobody's from then on, with their entries.  Returns how many messages, or NULL where
 * somebody holds the run, a fork of it or a text of hers in it, or folds, or moves one of
 * these to another shard; then no more than some of her tasks have been cancelled.  up_to:
 * where the run is a fork of a run of hers, up to which seq; else NULL.
 */
CREATE FUNCTION @extschema@.airun_store_erase_elsewhere(
	person uuid,
	other uuid,
	up_to bigint,
	zone text)
RETURNS bigint
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $elsewhere$
DECLARE
	tasks uuid[];
	forks uuid[] := '{}';
	unnamed uuid[] := '{}';
	others uuid[];
	locked bigint;
	fork record;
	emptied bigint := 0;
BEGIN
	PERFORM FROM airun.runs AS r
		WHERE r.id = other AND NOT @extschema@.airun_store_is_moving(r.user_id, true)
		FOR NO KEY UPDATE SKIP LOCKED;
	IF NOT FOUND OR NOT pg_try_advisory_xact_lock('airun.usage_tail'::regclass::oid::bigint) THEN
		RETURN NULL;
	END IF;
	-- Its forks, and the forks of these: until all of them are locked, more may come
	LOOP
		others := ARRAY(SELECT f.id FROM @extschema@.airun_store_forks(ARRAY[other]) AS f
						WHERE f.id <> ALL (forks));
		EXIT WHEN others = '{}';
		PERFORM FROM airun.runs AS r
			WHERE r.id = ANY (others) AND NOT @extschema@.airun_store_is_moving(r.user_id, true)
			FOR NO KEY UPDATE SKIP LOCKED;
		GET DIAGNOSTICS locked = ROW_COUNT;
		IF locked < cardinality(others) THEN
			RETURN NULL;
		END IF;
		forks := forks || others;
	END LOOP;
	IF NOT @extschema@.airun_store_cancel_tasks(other, person) THEN
		RETURN NULL;
	END IF;
	tasks := ARRAY(SELECT t.task_id FROM airun.tasks AS t
				   WHERE t.run_id = other AND t.user_id = person);
	UPDATE airun.usage_tail AS e SET user_id = NULL
		WHERE e.charge_id = ANY (tasks) AND e.user_id = person;
	PERFORM @extschema@.airun_store_erase_entries(person, ARRAY(
		SELECT e.ctid FROM airun.usage_ledger AS e
		WHERE e.charge_id = ANY (tasks) AND e.user_id = person), zone);
	-- What describes a fork of a run of hers: nothing tells which of it has been copied
	UPDATE airun.runs AS r SET name = NULL, description = NULL, tags = '{}', metadata = '{}',
			settings = '{}', variable_values = '{}'
		WHERE r.id = other AND up_to IS NOT NULL;
	-- What forks of it have of hers: all that they have copied, where it does not tell any more
	FOR fork IN
		SELECT f.id, f.up_to, f.is_stripped AND tasks <> '{}' AS is_stripped
		FROM @extschema@.airun_store_forks(ARRAY[other]) AS f
	LOOP
		emptied := emptied + @extschema@.airun_store_empty_copies(
			fork.id, fork.up_to, other, person, fork.is_stripped);
		IF fork.is_stripped THEN
			unnamed := unnamed || fork.id;
		END IF;
	END LOOP;
	-- A name that may have been made of her message, the first one there was
	IF EXISTS (
		SELECT FROM airun.tasks AS t
		WHERE t.run_id = other AND t.user_id = person AND t.task_id = (
			SELECT u.task_id FROM (
				SELECT m.seq, NULL AS version, m.task_id FROM airun.messages AS m
				WHERE m.run_id = other AND m.message ->> 'role' = 'user'
				UNION ALL
				SELECT v.seq, v.version, v.task_id FROM airun.message_versions AS v
				WHERE v.run_id = other AND v.message ->> 'role' = 'user') AS u
			ORDER BY u.seq, u.version LIMIT 1))
	THEN
		unnamed := other || forks;
	END IF;
	UPDATE airun.runs AS r SET name = NULL WHERE r.id = ANY (unnamed) AND r.name IS NOT NULL;
	RETURN emptied + @extschema@.airun_store_empty_messages(
		other, COALESCE(up_to, 0), person);
END
$elsewhere$;
COMMENT ON FUNCTION @extschema@.airun_store_erase_elsewhere(uuid, uuid, bigint, text) IS
'Empties what a person has said in a run of somebody else''s, for airun_erase_user()';

/*
 * Remove some of a person's runs, of three thousand messages and tasks together, or one.
 * skipped: runs that somebody holds a text of.  Returns them, and adds to done.
 */
CREATE FUNCTION @extschema@.airun_store_erase_runs(
	person uuid,
	zone text,
	INOUT done @extschema@.ai_erasure,
	INOUT skipped uuid[],
	OUT has_run boolean)
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $erase_runs$
DECLARE
	ids uuid[];
	fork record;
	handled uuid[] := '{}';
	more boolean;
	messages bigint;
	tasks bigint;
	count bigint;
BEGIN
	ids := ARRAY(
		SELECT n.id FROM (
			SELECT c.id, sum(c.size) OVER (ROWS UNBOUNDED PRECEDING) - c.size AS before
			FROM (SELECT r.id, r.message_count + r.task_count AS size FROM airun.runs AS r
				  WHERE r.user_id = person AND r.id <> ALL (skipped)
				  LIMIT 100 FOR UPDATE SKIP LOCKED) AS c) AS n
		WHERE n.before < 3000);
	has_run := ids <> '{}';
	IF NOT has_run THEN
		RETURN;
	END IF;

	-- Their forks, and the forks of these, of other users; again, until none has come before
	-- the one that it has been forked from was locked
	LOOP
		more := false;
		FOR fork IN
			SELECT f.* FROM @extschema@.airun_store_forks(ids) AS f
			WHERE f.user_id IS DISTINCT FROM person AND f.id <> ALL (handled)
		LOOP
			count := @extschema@.airun_store_erase_elsewhere(
				person, fork.id, fork.up_to, zone);
			IF count IS NULL THEN
				skipped := skipped || fork.origin;
				ids := array_remove(ids, fork.origin);
			END IF;
			done.emptied := done.emptied + COALESCE(count, 0);
			handled := handled || fork.id;
			more := true;
		END LOOP;
		EXIT WHEN NOT more;
	END LOOP;

	SELECT sum(r.message_count), sum(r.task_count) INTO messages, tasks
		FROM airun.runs AS r WHERE r.id = ANY (ids);
	count := @extschema@.airun_store_remove_runs(ids, true);
	done.runs := done.runs + count;
	done.messages := done.messages + COALESCE(messages, 0);
	done.tasks := done.tasks + COALESCE(tasks, 0);
	IF count < cardinality(ids) THEN
		SELECT skipped || array_agg(r.id), done.messages - sum(r.message_count),
				done.tasks - sum(r.task_count)
			INTO skipped, done.messages, done.tasks
			FROM airun.runs AS r WHERE r.id = ANY (ids);
	END IF;
END
$erase_runs$;
COMMENT ON FUNCTION @extschema@.airun_store_erase_runs(uuid, text,
	@extschema@.ai_erasure, uuid[]) IS
'Removes some of a person''s runs, for airun_erase_user()';

/*
 * What is left of a person in the cube of people, once no entry is hers: rows that sum
 * to nothing, unless they were folded in another zone.  Then they are nobody's.
 */
CREATE FUNCTION @extschema@.airun_store_erase_cube(person uuid) RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $erase_cube$
DECLARE
	command text;
BEGIN
	SELECT 'WITH gone AS (DELETE FROM airun.usage_people AS p WHERE p.user_id = $1 RETURNING p.*) '
			|| @extschema@.airun_store_cube_upsert('usage_people',
				format('SELECT %s FROM gone AS g WHERE (%s) <> (%s)',
				string_agg(CASE c.name WHEN 'user_id' THEN 'NULL::uuid' ELSE 'g.' || c.name END,
					', '),
				string_agg('g.' || c.name, ', ') FILTER (WHERE c.value IS NOT NULL),
				string_agg('0', ', ') FILTER (WHERE c.value IS NOT NULL)))
		INTO command
		FROM @extschema@.airun_store_usage_columns() AS c WHERE c.relation = 'usage_people';
	EXECUTE command USING person;
END
$erase_cube$;
COMMENT ON FUNCTION @extschema@.airun_store_erase_cube(uuid) IS
'Has the rest of a person''s rows in the cube of people be nobody''s, for airun_erase_user()';

/*
 * Some of a person's entries.  The tasks of them that are still there are in runs of other
 * users.  Returns NULL where somebody holds such a run, and adds to done.
 */
CREATE FUNCTION @extschema@.airun_store_erase_ledger(
	person uuid,
	zone text,
	INOUT done @extschema@.ai_erasure,
	OUT count bigint)
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $erase_ledger$
DECLARE
	entries constant tid[] := ARRAY(SELECT e.ctid FROM airun.usage_ledger AS e
									WHERE e.user_id = person LIMIT 500);
	other uuid;
	emptied bigint;
BEGIN
	FOR other IN
		SELECT DISTINCT t.run_id FROM airun.tasks AS t
		WHERE t.user_id = person AND t.task_id = ANY (ARRAY(
			SELECT e.charge_id FROM airun.usage_ledger AS e WHERE e.ctid = ANY (entries)))
	LOOP
		emptied := @extschema@.airun_store_erase_elsewhere(person, other, NULL, zone);
		IF emptied IS NULL THEN
			RETURN;
		END IF;
		done.emptied := done.emptied + emptied;
	END LOOP;
	-- Those that have been moved meanwhile are not found in their places
	count := @extschema@.airun_store_erase_entries(person, entries, zone);
	done.entries := done.entries + cardinality(entries);
END
$erase_ledger$;
COMMENT ON FUNCTION @extschema@.airun_store_erase_ledger(uuid, text, @extschema@.ai_erasure) IS
'Has some of a person''s entries be nobody''s, for airun_erase_user()';

/* Is anything of a person left? */
CREATE FUNCTION @extschema@.airun_store_has_person(person uuid) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $has$
SELECT EXISTS (SELECT FROM airun.runs AS r WHERE r.user_id = person)
	OR EXISTS (SELECT FROM airun.calls AS c WHERE c.user_id = person)
	OR EXISTS (SELECT FROM airun.tasks AS t WHERE t.user_id = person AND t.completed_at IS NULL)
	OR EXISTS (SELECT FROM airun.message_versions AS v WHERE v.replaced_by = person)
	OR EXISTS (SELECT FROM airun.usage_ledger AS e WHERE e.user_id = person)
	OR EXISTS (SELECT FROM airun.usage_tail AS e WHERE e.user_id = person)
	OR EXISTS (SELECT FROM airun.usage_people AS p WHERE p.user_id = person)
$has$;
COMMENT ON FUNCTION @extschema@.airun_store_has_person(uuid) IS
'Has the store anything of a person, as airun_erase_user() finds it?';

CREATE FUNCTION @extschema@.airun_store_erase(person uuid, max_ms integer, zone text)
RETURNS @extschema@.ai_erasure
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off
	SET jit = off
AS $erase$
DECLARE
	until constant timestamptz := clock_timestamp() + max_ms * interval '1 ms';
	done @extschema@.ai_erasure := (false, 0, 0, 0, 0, 0, 0);
	skipped uuid[] := '{}';
	step record;
	count bigint;
	other uuid;
BEGIN
	-- In the order in which airun_set_budget() and airun_rebuild_usage() lock them
	LOCK TABLE ONLY airun.budgets, ONLY airun.runs, ONLY airun.tasks, ONLY airun.calls
		IN ROW EXCLUSIVE MODE;
	LOOP
		step := @extschema@.airun_store_erase_runs(person, zone, done, skipped);
		done := step.done;
		skipped := step.skipped;
		EXIT WHEN NOT step.has_run OR clock_timestamp() >= until;
	END LOOP;

	-- Her calls; one that goes on is ended first
	LOOP
		PERFORM @extschema@.airun_end_call(c.id, status => 'cancelled')
			FROM (SELECT c.id FROM airun.calls AS c
				  WHERE c.user_id = person AND c.completed_at IS NULL
				  LIMIT 100 FOR UPDATE SKIP LOCKED) AS c;
		DELETE FROM airun.calls AS c WHERE c.id = ANY (ARRAY(
			SELECT h.id FROM airun.calls AS h WHERE h.user_id = person
				AND h.completed_at IS NOT NULL
			LIMIT 1000 FOR UPDATE SKIP LOCKED));
		GET DIAGNOSTICS count = ROW_COUNT;
		done.calls := done.calls + count;
		EXIT WHEN count = 0 OR clock_timestamp() >= until;
	END LOOP;

	-- What she has said in runs of other users, and the ledger: once no run or call is hers
	IF EXISTS (SELECT FROM airun.runs AS r WHERE r.user_id = person)
		OR EXISTS (SELECT FROM airun.calls AS c WHERE c.user_id = person)
	THEN
		RETURN done;
	END IF;
	FOR other IN
		SELECT t.run_id FROM airun.tasks AS t WHERE t.user_id = person AND t.completed_at IS NULL
		UNION SELECT v.run_id FROM airun.message_versions AS v WHERE v.replaced_by = person
	LOOP
		done.emptied := done.emptied
			+ COALESCE(@extschema@.airun_store_erase_elsewhere(person, other, NULL, zone), 0);
		EXIT WHEN clock_timestamp() >= until;
	END LOOP;

	-- Beside this nobody may fold: what is folded later would be hers
	IF pg_try_advisory_xact_lock('airun.usage_tail'::regclass::oid::bigint) THEN
		LOOP
			IF EXISTS (SELECT FROM airun.usage_tail AS e WHERE e.user_id = person) THEN
				PERFORM @extschema@.airun_store_fold(5000, 1, zone);
			END IF;
			step := @extschema@.airun_store_erase_ledger(person, zone, done);
			done := step.done;
			EXIT WHEN clock_timestamp() >= until OR step.count IS NULL
				OR NOT EXISTS (SELECT FROM airun.usage_ledger AS e WHERE e.user_id = person)
				AND NOT EXISTS (SELECT FROM airun.usage_tail AS e WHERE e.user_id = person);
		END LOOP;
		IF NOT EXISTS (SELECT FROM airun.usage_ledger AS e WHERE e.user_id = person)
			AND NOT EXISTS (SELECT FROM airun.usage_tail AS e WHERE e.user_id = person)
		THEN
			PERFORM @extschema@.airun_store_erase_cube(person);
		END IF;
	END IF;
	done.is_done := NOT @extschema@.airun_store_has_person(person);
	RETURN done;
END
$erase$;
COMMENT ON FUNCTION @extschema@.airun_store_erase(uuid, integer, text) IS
'Forgets a person, for airun_erase_user()';

/*
 * Counters of budgets keep the money of a person who has been forgotten: hers, and of words
 * that nobody but she has used, are nobody's.  counters: slots whose counters are going to be
 * changed next, and so are locked with these.
 */
CREATE FUNCTION @extschema@.airun_store_erase_counters(person uuid, counters bigint[])
RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $erase_counters$
BEGIN
	-- in the order in which a start locks them
	PERFORM FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id
		WHERE p.only_user = person
			OR b.scope IN ('user', 'tag', 'metadata') AND p.value = person::text
			OR (p.budget_id, p.value, p.period_key) IN (
				SELECT q.budget_id, q.value, q.period_key FROM airun.budget_periods AS q
				WHERE q.id = ANY (counters))
		ORDER BY p.budget_id, p.value COLLATE "C", p.period_key COLLATE "C", p.slot
		FOR NO KEY UPDATE OF p;
	WITH hers AS MATERIALIZED (
		SELECT p.budget_id, p.period_key, p.value, 'erased ' || gen_random_uuid() AS nobody
		FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id
		WHERE b.scope IN ('user', 'tag', 'metadata')
		GROUP BY p.budget_id, p.period_key, p.value
		HAVING bool_and(COALESCE(p.value = person::text OR p.only_user = person, false))
	), events AS (
		UPDATE airun.budget_events AS e SET value = h.nobody FROM hers AS h
		WHERE (e.budget_id, e.period_key, e.value) = (h.budget_id, h.period_key, h.value)
	)
	UPDATE airun.budget_periods AS p SET value = h.nobody, only_user = NULL FROM hers AS h
	WHERE (p.budget_id, p.period_key, p.value) = (h.budget_id, h.period_key, h.value);
	UPDATE airun.budget_periods AS p SET only_user = NULL WHERE p.only_user = person;
	UPDATE airun.budgets AS b
	SET scope_value = 'erased ' || gen_random_uuid(),
		valid_to = COALESCE(b.valid_to, clock_timestamp())
	WHERE b.scope = 'user' AND b.scope_value = person::text;
END
$erase_counters$;
COMMENT ON FUNCTION @extschema@.airun_store_erase_counters(uuid, bigint[]) IS
'Has counters of budgets be nobody''s, for airun_erase_user()';
