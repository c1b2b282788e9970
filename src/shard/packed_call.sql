/*
 * packed_call.sql: calls that travel in one value
 */
CREATE FUNCTION @extschema@.airun_store_pack(VARIADIC call "any") RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_pack("any") IS
'A call as it travels to a shard: who is calling, bucket, function and arguments; called by the '
'functions of a proxy';

CREATE FUNCTION @extschema@.airun_store_unpack(type anyelement, result bytea) RETURNS anyelement
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_unpack(anyelement, bytea) IS
'What a shard has answered, as a value of this type; called by the functions of a proxy';

CREATE FUNCTION @extschema@.airun_store_receive(call bytea) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_store_receive(bytea) IS
'Enters as airun_store_enter() does, and makes the call that airun_store_pack() has packed; '
'called by the functions of a proxy';
