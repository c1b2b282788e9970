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
	page_size integer DEFAULT 20)
RETURNS SETOF @extschema@.ai_run_listing
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION @extschema@.airun_list_runs IS
'Runs, newest activity first, a page at a time
Pass the last row''s cursor to get the next page (at most 1,000 rows).  search is a case-insensitive literal substring of name, description or a tag; archived runs come only with archived => true.';
