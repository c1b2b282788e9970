/*
 * strip.sql: what the functions that prune and erase do to runs, for the owner of the store
 */

/*
 * Has counters of budgets keep what tasks have charged to them, which these tell no more
 * from then on: all tasks of a table or partition, or those of runs, or a person's of these.
 */
CREATE FUNCTION @extschema@.airun_store_keep_charges(tasks regclass, runs uuid[] DEFAULT NULL,
	person uuid DEFAULT NULL)
RETURNS void
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $keep_charges$
BEGIN
	IF NOT EXISTS (SELECT FROM airun.budget_periods) THEN
		RETURN;
	END IF;
	EXECUTE format($$
		UPDATE airun.budget_periods AS p SET base = p.base + s.charged
		FROM (
			SELECT (h.hold ->> 0)::bigint AS counter, sum(x.part[2] + x.part[3]) AS charged
			FROM %s AS t
			CROSS JOIN LATERAL jsonb_array_elements(t.holds::jsonb) AS h (hold)
			CROSS JOIN LATERAL (SELECT @extschema@.airun_store_hold_part(h.hold,
				t.completed_at IS NOT NULL, t.status = 'completed', t.cost, t.tokens_total,
				t.response_length)) AS x (part)
			WHERE t.holds IS NOT NULL AND ($1 IS NULL OR t.run_id = ANY ($1))
				AND ($2 IS NULL OR t.user_id = $2)
			GROUP BY 1) AS s
		WHERE p.id = s.counter AND s.charged <> 0$$, tasks) USING runs, person;
END
$keep_charges$;
COMMENT ON FUNCTION @extschema@.airun_store_keep_charges(regclass, uuid[], uuid) IS
'Has counters of budgets keep what tasks have charged that are about to go, or to be emptied';

CREATE FUNCTION @extschema@.airun_store_remove_runs(ids uuid[], with_forked boolean) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_remove_runs IS
'Removes runs, which are locked, with all that belongs to them; returns how many
Open tasks are cancelled first.  Runs with a text that somebody holds are left.  Without '
'with_forked, of those that forks of others have copied from the rows stay, stripped.';

CREATE FUNCTION @extschema@.airun_store_strip_runs(ids uuid[]) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_strip_runs IS
'Removes what was said in runs, which are locked, and keeps their rows and the figures '
'of their tasks';

CREATE FUNCTION @extschema@.airun_store_empty_messages(run_id uuid, up_to bigint, person uuid)
RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_empty_messages IS
'Empties what a person has said in a run of somebody else''s, which is locked, and has it be '
'nobody''s; returns how many messages';

CREATE FUNCTION @extschema@.airun_store_empty_copies(run_id uuid, up_to bigint,
	origin uuid, person uuid)
RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_empty_copies IS
'Empties what a fork, which is locked, has copied of a person''s tasks in a run; returns how '
'many messages';
