/*
 * shard_call.sql: the entrance of calls that a proxy hands on
 */
CREATE FUNCTION @extschema@.airun_store_enter(bucket integer, claims text, caller text,
	role text) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_enter(integer, text, text, text) IS
'Lets the caller of a proxy be the caller of this transaction, and holds the caller''s bucket; '
'called by the wrappers that airun_install_shard() makes';

CREATE FUNCTION @extschema@.airun_store_is_moving(user_id uuid, with_closed boolean)
RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_is_moving(uuid, boolean) IS
'Is what a user has here a copy from a move that has not ended, or with_closed, in a bucket that '
'is closed for one?  What is done for everybody leaves it alone';
