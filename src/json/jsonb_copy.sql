/*
 * jsonb_copy.sql: the message array
 *
 * Parameters of what only an aggregate calls have no names, so that PostgREST
 * leaves it out of the API.
 */
CREATE FUNCTION @extschema@.airun_array_add(internal, jsonb) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_array_add(internal, jsonb) IS
'Transition function of airun_array_agg';

CREATE FUNCTION @extschema@.airun_array_result(internal) RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_array_result(internal) IS
'Final function of airun_array_agg';

CREATE AGGREGATE @extschema@.airun_array_agg(element jsonb) (
	SFUNC = @extschema@.airun_array_add,
	STYPE = internal,
	FINALFUNC = @extschema@.airun_array_result,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.airun_array_agg(jsonb) IS
'The JSONB array of its input, like jsonb_agg, built by copying the elements whole';

CREATE FUNCTION @extschema@.airun_array_add_at(internal, jsonb, bigint)
	RETURNS internal
	AS 'MODULE_PATHNAME', 'airun_array_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_array_add_at(internal, jsonb, bigint) IS
'Transition function of airun_array_in_order';

CREATE AGGREGATE @extschema@.airun_array_in_order(element jsonb, place bigint) (
	SFUNC = @extschema@.airun_array_add_at,
	STYPE = internal,
	FINALFUNC = @extschema@.airun_array_result,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.airun_array_in_order(jsonb, bigint) IS
'The JSONB array of its input in the order of place, for which no row is sorted';
