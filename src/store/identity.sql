/*
 * identity.sql: who is calling, and ids
 */
CREATE FUNCTION @extschema@.airun_user_id() RETURNS uuid
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_user_id() IS
'Who is calling: sub of request.jwt.claims where there are claims, else the setting '
'airun.user_id, else NULL';

CREATE FUNCTION @extschema@.airun_user_uuid(subject text) RETURNS uuid
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_user_uuid(text) IS
'The user id of an identity provider''s subject: the subject itself where it is a UUID, else its '
'version-5 UUID';

CREATE FUNCTION @extschema@.airun_uuid() RETURNS uuid
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_uuid() IS
'A new UUID of version 7: the time in milliseconds, then random bits';

CREATE FUNCTION @extschema@.airun_bucket(user_id uuid) RETURNS integer
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.airun_bucket(uuid) IS
'The bucket of a user, from 0 to 4095 (NULL for what is nobody''s: 0), by which users are spread '
'over shards; ids of version 8 that airun makes carry it in their last 12 bits';
