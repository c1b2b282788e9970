/*
 * usage_tables.sql: the columns of the ledger and of its cubes
 *
 * Also how entries are summed into a cube, for folding and for views.
 *
 * Rows of airun_store_columns(), made of three lists, since they repeat: what an
 * entry says of a charge, what a cube is summed by, and what it sums.
 *
 * An entry that takes another back has the same words and the opposite figures, so
 * that sums are right whatever has been folded.  The fixed figures stand first:
 * that spares the gaps between them.
 */
CREATE FUNCTION @extschema@.airun_store_usage_columns()
RETURNS TABLE (relation text, name text, type text, required text, value text,
	in_view integer, in_summary integer, comment text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $usage_columns$
WITH words (name, type, required, comment) AS (VALUES
	('quarter', 'timestamptz', 'NOT NULL', 'The beginning of the quarter of an hour, in UTC'),
	('day', 'date', 'NOT NULL', 'The day, in zone'),
	('zone', 'text', 'NOT NULL', 'The time zone of the day: airun.report_zone when it was folded'),
	('kind', 'text', 'NOT NULL', 'What has been charged: task, call or tool'),
	('user_id', 'uuid', '', 'Who made it'),
	('source_type', 'text', '', 'Where its run comes from: prompt, chat, action, ...'),
	('service', 'text', '', 'The application''s service that asked'),
	('task_name', 'text', '', 'What the service calls this kind of task'),
	('provider', 'text', '', 'Who served the model'),
	('model_id', 'text', '', 'The model that was asked for'),
	('served_model', 'text', '', 'The model that answered, as the provider says'),
	('status', 'text', 'NOT NULL', 'How it ended: completed, error or cancelled'),
	('price_status', 'text', 'NOT NULL',
	 'Where the cost is from: priced, doubtful, provider, unbilled, client or unpriced')
), entry (name, type, required, comment) AS (VALUES
	('at', 'timestamptz', 'NOT NULL',
	 'When the task or call was created: its time in every report'),
	('tokens_input', 'bigint', 'NOT NULL', 'Tokens that went in, without those of the cache'),
	('tokens_cache_read', 'bigint', 'NOT NULL', 'Tokens that were read from the cache'),
	('tokens_cache_write', 'bigint', 'NOT NULL', 'Tokens that were written to the cache'),
	('tokens_output', 'bigint', 'NOT NULL', 'Tokens that came out'),
	('first_token_us', 'bigint', '', 'Microseconds to the first token; NULL where not known'),
	('total_us', 'bigint', '', 'Microseconds to the end; NULL where not known'),
	('calls', 'integer', 'NOT NULL',
	 'How many charges: 1, or -1 in an entry that takes another one back'),
	('first_token_bin', 'smallint', '',
	 'The bin of a sketch that the time to the first token belongs to'),
	('total_bin', 'smallint', '', 'The bin of a sketch that the total time belongs to'),
	('charge_id', 'uuid', 'NOT NULL', 'The task, or the call'),
	('user_id', 'uuid', '', NULL),
	('kind', 'text', 'NOT NULL', NULL),
	('status', 'text', 'NOT NULL', NULL),
	('price_status', 'text', 'NOT NULL', NULL),
	('source_type', 'text', '', NULL),
	('service', 'text', '', NULL),
	('task_name', 'text', '', NULL),
	('provider', 'text', '', NULL),
	('model_id', 'text', '', NULL),
	('served_model', 'text', '', NULL),
	('cost', 'numeric', '', 'What it cost; NULL where that is not known')
), keys (cube, columns) AS (VALUES
	('usage_clock', '{quarter,kind,provider,model_id,served_model,status,price_status}'::text[]),
	('usage_daily', '{day,zone,kind,provider,model_id,served_model,status,price_status}'),
	('usage_people', '{day,zone,kind,user_id,provider,model_id}'),
	('usage_work', '{day,zone,kind,source_type,service,task_name,model_id,status}')
), sums (name, type, required, value, comment) AS (VALUES
	('calls', 'bigint', 'NOT NULL', '0', 'How many charges'),
	('errors', 'bigint', 'NOT NULL', '0', 'How many of them ended as error'),
	('unpriced', 'bigint', 'NOT NULL', '0', 'How many have a cost that is not known'),
	('doubtful', 'bigint', 'NOT NULL', '0', 'How many have a usage that is doubtful'),
	('unpriced_tokens', 'bigint', 'NOT NULL', '0', 'The tokens of those whose cost is not known'),
	('tokens_input', 'bigint', 'NOT NULL', '0', 'Tokens that went in, without those of the cache'),
	('tokens_cache_read', 'bigint', 'NOT NULL', '0', 'Tokens that were read from the cache'),
	('tokens_cache_write', 'bigint', 'NOT NULL', '0', 'Tokens that were written to the cache'),
	('tokens_output', 'bigint', 'NOT NULL', '0', 'Tokens that came out'),
	('cost', 'numeric', 'NOT NULL', '0', 'What they cost, as far as it is known'),
	('first_token_us', 'numeric', 'NOT NULL', '0',
	 'The sum of the times to the first token, in microseconds'),
	('first_token_count', 'bigint', 'NOT NULL', '0', 'How many of these are known'),
	('total_us', 'numeric', 'NOT NULL', '0', 'The sum of the total times, in microseconds'),
	('total_count', 'bigint', 'NOT NULL', '0', 'How many of these are known'),
	('first_token_sketch', 'bytea', '', NULL, 'How the times to the first token are distributed'),
	('total_sketch', 'bytea', '', NULL, 'How the total times are distributed')
)
SELECT e.relation, e.name, e.type, e.required, NULL, NULL::integer, NULL::integer, e.comment
FROM (
	SELECT t.relation, e.name, e.type, e.required, COALESCE(e.comment, w.comment) AS comment
	FROM (VALUES (1, 'usage_tail'), (2, 'usage_ledger')) AS t (place, relation)
	CROSS JOIN (SELECT e.*, row_number() OVER () AS place FROM entry AS e) AS e
	LEFT JOIN words AS w ON w.name = e.name
	ORDER BY t.place, e.place) AS e
UNION ALL
SELECT c.relation, c.name, c.type, c.required, c.value, NULL, NULL, c.comment
FROM (
	SELECT k.cube AS relation, w.name, w.type, w.required, NULL AS value, w.comment, n.place
	FROM keys AS k CROSS JOIN LATERAL unnest(k.columns) WITH ORDINALITY AS n (name, place)
	JOIN words AS w ON w.name = n.name
	UNION ALL
	SELECT k.cube, s.name, s.type, s.required, s.value, s.comment, 100 + s.place
	FROM keys AS k CROSS JOIN (SELECT s.*, row_number() OVER () AS place FROM sums AS s) AS s
	ORDER BY 1, 7) AS c
$usage_columns$;
COMMENT ON FUNCTION @extschema@.airun_store_usage_columns() IS
'The columns of the ledger and of its cubes, as airun_store_columns() has them';

/* How entries are summed by the key of a cube; source: what they are read from, as SQL */
CREATE FUNCTION @extschema@.airun_store_cube_query(cube text, source text, zone text) RETURNS text
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $query$
SELECT format('SELECT %s FROM %s AS e GROUP BY %s',
	string_agg(format('%s AS %I', x.expression, x.name), ', ' ORDER BY c.place),
	$2, string_agg(c.key::text, ', ' ORDER BY c.key))
FROM (
	SELECT c.name, c.place, CASE WHEN c.value IS NULL AND c.type <> 'bytea' THEN c.place END AS key
	FROM (SELECT c.*, row_number() OVER () AS place
		  FROM @extschema@.airun_store_usage_columns() AS c WHERE c.relation = $1) AS c) AS c
CROSS JOIN LATERAL (SELECT c.name, CASE
	WHEN c.name = 'quarter' THEN $$date_bin('15 minutes', e.at, 'epoch')$$
	WHEN c.name = 'day' THEN format('(e.at AT TIME ZONE %s)::date', $3)
	WHEN c.name = 'zone' THEN $3
	WHEN c.key IS NOT NULL THEN 'e.' || c.name
	WHEN c.name = 'calls' THEN 'sum(e.calls)'
	WHEN c.name = 'errors' THEN $$sum(CASE WHEN e.status = 'error' THEN e.calls ELSE 0 END)$$
	WHEN c.name = 'unpriced' THEN 'sum(CASE WHEN e.cost IS NULL THEN e.calls ELSE 0 END)'
	WHEN c.name = 'doubtful'
		THEN $$sum(CASE WHEN e.price_status = 'doubtful' THEN e.calls ELSE 0 END)$$
	WHEN c.name = 'unpriced_tokens'
		THEN 'sum(CASE WHEN e.cost IS NULL THEN e.tokens_input + e.tokens_cache_read + '
		'e.tokens_cache_write + e.tokens_output ELSE 0 END)::bigint'
	WHEN c.name LIKE 'tokens\_%' THEN format('sum(e.%s)::bigint', c.name)
	WHEN c.name LIKE '%\_count' THEN format('sum(CASE WHEN e.%s IS NULL THEN 0 ELSE e.calls END)',
		replace(c.name, '_count', '_us'))
	WHEN c.name LIKE '%\_sketch' THEN '@extschema@.airun_sketch_agg(e.'
		|| replace(c.name, '_sketch', '_bin') || ', e.calls)'
	ELSE format('COALESCE(sum(e.%s), 0)', c.name) END AS expression) AS x
$query$;
COMMENT ON FUNCTION @extschema@.airun_store_cube_query(text, text, text) IS
'The query that sums entries of the ledger by the key of a cube; source and zone are SQL';
