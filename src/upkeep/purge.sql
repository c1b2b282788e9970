/*
 * purge.sql: removing runs for good
 */
CREATE FUNCTION @extschema@.airun_purge_runs(
	deleted_before timestamptz,
	max_runs bigint DEFAULT NULL)
RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE
	SET jit = off;
COMMENT ON FUNCTION @extschema@.airun_purge_runs IS
'Removes for good the runs that were deleted before a time, with their messages and tasks; '
'returns how many runs
Those that were deleted first go first; at most max_runs in one call.  Open tasks are cancelled, '
'and count.  For operators, and who has the right to delete rows, as no API role has.';
