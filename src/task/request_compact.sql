/*
 * request_compact.sql: requests without the messages that their run has stored already
 */
CREATE FUNCTION @extschema@.airun_request(
	request_data jsonb,
	reference jsonb,
	messages jsonb
) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_request(jsonb, jsonb, jsonb) IS
'Puts messages of the run, given in order, back into the request that was stored without them, '
'where the reference says; without a reference the request is whole, and without all of its '
'messages it is NULL';
