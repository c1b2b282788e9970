/*
 * list.sql: the sidebar's list of runs
 */
CREATE FUNCTION @extschema@.airun_list_runs(
	source_type text DEFAULT NULL,
	source_id uuid DEFAULT NULL,
	status text DEFAULT NULL,
	starred boolean DEFAULT NULL,
	archived boolean DEFAULT false,
	search text DEFAULT NULL,
	tag text DEFAULT NULL,
	cursor text DEFAULT NULL,
	page_size bigint DEFAULT NULL,
	listed boolean DEFAULT true)
RETURNS SETOF @extschema@.ai_run_listing
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION @extschema@.airun_list_runs IS
'Runs, newest activity first
With page_size (at most 1,000) a page: pass the last row''s cursor to get the next one.  Without, '
'all: limit, offset and count are the client''s.  search is a literal substring of name, '
'description or a tag, whatever the case and the accents; archived runs come only with archived '
'=> true, and those that are kept out of the list only with listed => false, or NULL for both.';
