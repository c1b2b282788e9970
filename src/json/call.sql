/*
 * call.sql: a function by the raw body of a request
 */
CREATE FUNCTION @extschema@.airun_call(text) RETURNS json
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION @extschema@.airun_call(text) IS
'Calls another function of airun with arguments as they come: {"airun_append_message": {"run_id": '
'"...", "message": {...}}}
The body of the request is sent as text/plain and reaches the server unparsed, so that what JSON '
'allows and PostgreSQL refuses is repaired: NUL, and halves of a character.';
