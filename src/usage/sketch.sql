/*
 * sketch.sql: counts of durations in bins, from which percentiles are read
 *
 * What only airun calls has parameters without names, so that PostgREST leaves it
 * out of the API.
 */
CREATE FUNCTION @extschema@.airun_sketch_bin(bigint) RETURNS smallint
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_sketch_bin(bigint) IS
'The bin of a sketch that a duration in microseconds falls into';

CREATE FUNCTION @extschema@.airun_sketch_add(internal, smallint, integer) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_sketch_add(internal, smallint, integer) IS
'Transition function of airun_sketch_agg';

CREATE FUNCTION @extschema@.airun_sketch_add_sketch(internal, bytea) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_sketch_add_sketch(internal, bytea) IS
'Transition function of airun_sketch_sum';

CREATE FUNCTION @extschema@.airun_sketch_result(internal) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_sketch_result(internal) IS
'Final function of airun_sketch_agg and airun_sketch_sum';

CREATE FUNCTION @extschema@.airun_sketch_merge(bytea, bytea) RETURNS bytea
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_sketch_merge(bytea, bytea) IS
'The sum of two sketches; NULL is one without a count';

CREATE AGGREGATE @extschema@.airun_sketch_agg(bin smallint, calls integer) (
	SFUNC = @extschema@.airun_sketch_add,
	STYPE = internal,
	FINALFUNC = @extschema@.airun_sketch_result,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.airun_sketch_agg(smallint, integer) IS
'The sketch of so many calls in each bin
Calls are negative where they are taken back; what adds up to nothing is NULL.';

CREATE AGGREGATE @extschema@.airun_sketch_sum(sketch bytea) (
	SFUNC = @extschema@.airun_sketch_add_sketch,
	STYPE = internal,
	FINALFUNC = @extschema@.airun_sketch_result,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.airun_sketch_sum(bytea) IS
'The sketch of all that its input has counted, exactly';

CREATE FUNCTION @extschema@.airun_sketch_quantile(
	sketch bytea,
	fraction double precision)
RETURNS double precision
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_sketch_quantile IS
'A percentile of a sketch in milliseconds, within 1 % of nearest rank: 0.5 is the median, 0.95 p95
4398046511.104, the largest, means at least that.';
