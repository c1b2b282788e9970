/*
 * strip.sql: what the functions that prune and erase do to runs, for the owner of the store
 */

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

CREATE FUNCTION @extschema@.airun_store_cancel_tasks(run_id uuid, person uuid) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_cancel_tasks IS
'Cancels what a person has under way in a run of somebody else''s, which is locked; false where '
'somebody holds a text of that';

CREATE FUNCTION @extschema@.airun_store_empty_messages(run_id uuid, up_to bigint, person uuid)
RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_empty_messages IS
'Empties what a person has said in a run of somebody else''s, which is locked, and has it be '
'nobody''s; returns how many messages';

CREATE FUNCTION @extschema@.airun_store_empty_copies(run_id uuid, up_to bigint,
	origin uuid, person uuid, everything boolean)
RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_empty_copies IS
'Empties what a fork, which is locked, has copied of a person''s tasks in a run, or everything; '
'returns how many messages';
