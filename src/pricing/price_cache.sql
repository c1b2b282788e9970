/*
 * price_cache.sql: the price book's version
 */
CREATE FUNCTION @extschema@.airun_price_changed() RETURNS trigger
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_price_changed() IS
'Gives the price book another version, so that every backend reads it anew';
