/*
 * reprice.sql: what has been used, charged again
 */
CREATE FUNCTION @extschema@.airun_reprice(
	since timestamptz DEFAULT NULL,
	until timestamptz DEFAULT NULL,
	model_id text DEFAULT NULL,
	dry_run boolean DEFAULT false,
	all_tasks boolean DEFAULT false,
	max_tasks bigint DEFAULT 100000)
RETURNS SETOF @extschema@.ai_repricing
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100;
COMMENT ON FUNCTION @extschema@.airun_reprice IS
'Charges tasks, and calls, again by the prices that were in force when they were created, and '
'moves the totals of their runs; says for each model what that changes
Those that are unpriced, or with all_tasks all that have ended, created from since to until.  '
'What has a cost keeps it where there is no price.  dry_run changes nothing.  It changes at most '
'max_tasks; call it again until nothing changes.  For the owner of the store.';

CREATE FUNCTION @extschema@.airun_store_reprice(
	after_run uuid,
	after_task uuid,
	max_rows integer,
	OUT changed bigint,
	OUT run_id uuid,
	OUT task_id uuid,
	OUT has_left_out boolean)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_reprice(uuid, uuid, integer) IS
'Charges those without a cost among the tasks and calls that come next behind a key, for upkeep
Returns how many have a cost now, and the key that it has come to, NULL when there are no more.  '
'What somebody holds is left out, and has_left_out says so.';
