/*
 * ledger.sql: what an entry of the ledger says of a task, for statements
 */
CREATE FUNCTION @extschema@.airun_store_usage_tokens(
	total bigint,
	output bigint,
	buckets jsonb)
RETURNS bigint[]
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_usage_tokens IS
'A task''s tokens in four disjoint parts, as the ledger has them: input, cache reads, cache '
'writes, output';

CREATE FUNCTION @extschema@.airun_store_usage_time(milliseconds numeric) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_usage_time IS
'A time in microseconds, as the ledger has it';

CREATE FUNCTION @extschema@.airun_store_usage_word(word text) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_store_usage_word IS
'A word as the ledger has it: cut where an index could not hold it';
