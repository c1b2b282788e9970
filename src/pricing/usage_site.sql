/*
 * usage_site.sql: the shapes of usages that a site adds
 */
CREATE FUNCTION @extschema@.airun_guard_usage_shape() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_guard_usage_shape() IS
'Refuses a row of airun.usage_shapes that is no shape (PT422)';

CREATE FUNCTION @extschema@.airun_usage_shapes_changed() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_usage_shapes_changed() IS
'Has every backend read airun.usage_shapes anew';
