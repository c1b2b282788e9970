/*
 * usage_page.sql: the picture of the usage
 *
 * PostgREST serves a function as HTML when its result is of a domain with the name
 * of the media type, whatever schema the domain is in.  Ours stands in a schema of
 * its own: a site may have a domain of that name in the API's schema, and what it
 * has, pg_dump creates after the extension.
 */
CREATE SCHEMA airun_media;
COMMENT ON SCHEMA airun_media IS
'Domains with the names of media types, by which PostgREST knows what a function returns';
GRANT USAGE ON SCHEMA airun_media TO PUBLIC;
CREATE DOMAIN airun_media."text/html" AS text;
COMMENT ON DOMAIN airun_media."text/html" IS 'A page of HTML';

/*
 * It sets the response's headers, which no parallel query may.  Compiling its
 * statements takes longer than running them.
 */
CREATE FUNCTION @extschema@.airun_usage_page(
	from_day date DEFAULT NULL,
	to_day date DEFAULT NULL,
	zone text DEFAULT NULL,
	group_by text DEFAULT 'model_id',
	title text DEFAULT NULL)
RETURNS airun_media."text/html"
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE
	SET jit = off;
COMMENT ON FUNCTION @extschema@.airun_usage_page IS
'The usage as a page of HTML: cost, calls, tokens, errors, times, the first models, users and '
'work, and how budgets stand
From from_day to to_day, both included, by default the last 30 days, in the zone of '
'airun.report_zone or another one.  group_by is what the cost is stacked by: model_id or any '
'other dimension of airun_usage().  A user sees her own figures, a reporter all.';
