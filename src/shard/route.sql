/*
 * route.sql: where a proxy sends a call
 */
CREATE FUNCTION @extschema@.airun_store_call_bucket(run_id uuid, task_id uuid, call_id uuid,
	owner uuid) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_call_bucket(uuid, uuid, uuid, uuid) IS
'The bucket to which a call with these ids goes, for this owner or the caller; NULL where only '
'the shards know. Called by the functions of a proxy';

CREATE FUNCTION @extschema@.airun_store_shard_of(bucket integer, anew boolean) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_shard_of(integer, boolean) IS
'The shard on which a proxy''s map has a bucket, as it is now or was within the last second; '
'called by the functions of a proxy';
