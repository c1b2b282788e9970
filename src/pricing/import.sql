/*
 * import.sql: price lists of others, brought into the book
 */
CREATE FUNCTION @extschema@.airun_import_prices(
	document jsonb,
	source text DEFAULT NULL,
	effective_from timestamptz DEFAULT now())
RETURNS SETOF @extschema@.ai_price_change
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1000;
COMMENT ON FUNCTION @extschema@.airun_import_prices IS
'Brings a price list of LiteLLM or genai-prices into the price book, in force from effective_from '
'on, and says of each model what became of it
A list says what models cost from then on, so that older lists come before newer ones.  The same '
'list again changes nothing; a changed rate closes the old row and opens a new one.  source is '
'litellm or genai-prices where not given.  For the owner of the store.';
