/*
 * access.sql: may the caller see, or change, a run?
 *
 * The policies on what belongs to a run ask these, so that a policy on runs,
 * ours or a site's, holds for their messages and tasks as well.  Every role
 * must be able to call them, but no client has to: their parameters have no
 * names, and so PostgREST leaves them out of the API.
 */
CREATE FUNCTION @extschema@.airun_sees_run(uuid) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION @extschema@.airun_sees_run(uuid) IS
'May the caller see this run?  Asked once a run and statement; for policies';

CREATE FUNCTION @extschema@.airun_writes_run(uuid) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10;
COMMENT ON FUNCTION @extschema@.airun_writes_run(uuid) IS
'May the caller change this run?  Asked once a run and statement; for policies';
