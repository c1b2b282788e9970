/*
 * upkeep.sql: keeping for so long, and forgetting
 */
CREATE FUNCTION @extschema@.airun_prune(max_ms bigint DEFAULT 500) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_prune IS
'Removes what airun.retention says is kept no longer, until there is none or max_ms is reached; '
'returns how many runs and calls
Runs are removed, or stripped of what was said in them; the ledger keeps the money.  Calls are '
'kept for 30 days unless a row says otherwise.  Where the store is partitioned, months go as a '
'whole where they may.';

CREATE FUNCTION @extschema@.airun_erase_user(user_id uuid, max_ms bigint DEFAULT 500)
RETURNS @extschema@.ai_erasure
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_erase_user IS
'Forgets a person: every word she wrote or received goes, and the ledger keeps the money as '
'nobody''s; says what it has done
It works until max_ms is reached: call it again until is_done.  For the owner of the store.';
