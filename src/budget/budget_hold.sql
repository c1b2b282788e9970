/*
 * budget_hold.sql: what tasks and calls make of counters, for statements
 */
CREATE FUNCTION @extschema@.airun_store_hold_part(hold jsonb, has_ended boolean,
	is_completed boolean,
	cost numeric, tokens bigint, length bigint)
RETURNS numeric[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_hold_part IS
'What a task or call makes of the counter of one of its holds: held, spent and estimated';

/*
 * What all tasks and calls that are there make of each counter, or those of runs and these
 * calls; of all, copies from moves that have not ended (shard_call.c) make nothing
 */
CREATE FUNCTION @extschema@.airun_store_budget_parts(runs uuid[] DEFAULT NULL,
	calls uuid[] DEFAULT NULL)
RETURNS TABLE (counter bigint, held numeric, spent numeric, estimated numeric)
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $parts$
SELECT (h.hold ->> 0)::bigint, sum(p.part[1]), sum(p.part[2]), sum(p.part[3])
FROM (
	SELECT t.holds, t.completed_at IS NOT NULL AS has_ended, t.status, t.cost, t.tokens_total,
		t.response_length AS length
	FROM airun.tasks AS t LEFT JOIN airun.runs AS r ON r.id = t.run_id
	WHERE t.holds IS NOT NULL AND CASE WHEN $1 IS NOT NULL THEN t.run_id = ANY ($1)
		ELSE NOT @extschema@.airun_store_is_moving(r.user_id, false) END
	UNION ALL
	SELECT c.holds, c.completed_at IS NOT NULL, c.status, c.cost, c.tokens_total, 0
	FROM airun.calls AS c
	WHERE c.holds IS NOT NULL AND CASE WHEN $2 IS NOT NULL THEN c.id = ANY ($2)
		ELSE NOT @extschema@.airun_store_is_moving(c.user_id, false) END) AS x
CROSS JOIN LATERAL jsonb_array_elements(x.holds::jsonb) AS h (hold)
CROSS JOIN LATERAL (SELECT @extschema@.airun_store_hold_part(h.hold, x.has_ended,
	x.status = 'completed', x.cost, x.tokens_total, x.length)) AS p (part)
GROUP BY 1
$parts$;
COMMENT ON FUNCTION @extschema@.airun_store_budget_parts(uuid[], uuid[]) IS
'What the tasks and calls that are there, or those of runs and these calls, make of each counter '
'of a budget';
