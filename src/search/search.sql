/*
 * search.sql: finding what has been said
 */
CREATE TYPE @extschema@.ai_search_hit AS (
	run_id uuid,
	run_name text,
	seq bigint,
	role text,
	created_at timestamptz,
	snippet text,
	rank real,
	cursor text
);
COMMENT ON TYPE @extschema@.ai_search_hit IS
'A message, or a run''s own name, description and tags, that airun_search() has found';
COMMENT ON COLUMN @extschema@.ai_search_hit.run_id IS
'The run';
COMMENT ON COLUMN @extschema@.ai_search_hit.run_name IS
'The run''s name';
COMMENT ON COLUMN @extschema@.ai_search_hit.seq IS
'The message''s place; NULL where the name, the description or a tag of the run was found';
COMMENT ON COLUMN @extschema@.ai_search_hit.role IS
'Who speaks; NULL where seq is';
COMMENT ON COLUMN @extschema@.ai_search_hit.created_at IS
'When the message was appended, or else the run created';
COMMENT ON COLUMN @extschema@.ai_search_hit.snippet IS
'The part of the text that shows it best, as HTML: what was found between <mark> and </mark>, and '
'no other markup';
COMMENT ON COLUMN @extschema@.ai_search_hit.rank IS
'How well it fits, between 0 and 1';
COMMENT ON COLUMN @extschema@.ai_search_hit.cursor IS
'Pass it to airun_search() for the rows behind this one';

CREATE FUNCTION @extschema@.airun_search(
	query text,
	source_type text DEFAULT NULL,
	source_id uuid DEFAULT NULL,
	tags text[] DEFAULT NULL,
	starred boolean DEFAULT NULL,
	archived boolean DEFAULT NULL,
	role text DEFAULT NULL,
	since timestamptz DEFAULT NULL,
	until timestamptz DEFAULT NULL,
	run_id uuid DEFAULT NULL,
	sort text DEFAULT 'best',
	cursor text DEFAULT NULL,
	page_size bigint DEFAULT 20)
RETURNS SETOF @extschema@.ai_search_hit
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE COST 10000 ROWS 20;
COMMENT ON FUNCTION @extschema@.airun_search IS
'Finds messages, and runs by name, description and tags, among those that the caller sees
Words, "phrases" and -exclusions, whatever the case and the accents.  sort: best or newest first; '
'a page at a time, by the last row''s cursor.';
