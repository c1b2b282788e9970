/*
 * report.sql: figures of any range, in buckets of any time zone
 *
 * Compiling the statement takes longer than running it, so that is turned off.
 */
CREATE TYPE @extschema@.ai_usage AS (
	bucket text,
	bucket_start timestamptz,
	kind text,
	user_id uuid,
	source_type text,
	provider text,
	model_id text,
	served_model text,
	service text,
	task_name text,
	status text,
	price_status text,
	calls bigint,
	errors bigint,
	error_rate double precision,
	unpriced bigint,
	doubtful bigint,
	unpriced_tokens bigint,
	tokens_input bigint,
	tokens_cache_read bigint,
	tokens_cache_write bigint,
	tokens_output bigint,
	tokens_total bigint,
	cost numeric,
	first_token_p50 double precision,
	first_token_p95 double precision,
	first_token_p99 double precision,
	first_token_avg double precision,
	total_p50 double precision,
	total_p95 double precision,
	total_p99 double precision,
	total_avg double precision,
	answered_by text
);
COMMENT ON TYPE @extschema@.ai_usage IS
'What the charges of one bucket and group have used and cost';
DO $usage$
DECLARE
	item pg_catalog.record;
BEGIN
	FOR item IN
		SELECT * FROM (VALUES
			('bucket', 'The day, the first day of the week or month, or the hour with its offset, '
			 'in the zone of the report'),
			('bucket_start', 'When it begins'),
			('kind', 'What has been charged: task, call or tool; NULL where not grouped by, as in '
			 'all of these'),
			('user_id', 'Who made it'),
			('source_type', 'Where its run comes from: prompt, chat, action, ...'),
			('provider', 'Who served the model'),
			('model_id', 'The model that was asked for'),
			('served_model', 'The model that answered, as the provider says'),
			('service', 'The application''s service that asked'),
			('task_name', 'What the service calls this kind of task'),
			('status', 'How it ended: completed, error or cancelled'),
			('price_status', 'Where the cost is from'),
			('calls', 'How many charges'),
			('errors', 'How many of them ended as error'),
			('error_rate', 'Errors in calls, between 0 and 1'),
			('unpriced', 'How many have a cost that is not known'),
			('doubtful', 'How many have a usage that is doubtful'),
			('unpriced_tokens', 'The tokens of those whose cost is not known'),
			('tokens_input', 'Tokens that went in, without those of the cache'),
			('tokens_cache_read', 'Tokens that were read from the cache'),
			('tokens_cache_write', 'Tokens that were written to the cache'),
			('tokens_output', 'Tokens that came out'),
			('tokens_total', 'The four together'),
			('cost', 'What they cost, as far as it is known'),
			('first_token_p50', 'The median time to the first token in milliseconds, within 1 %'),
			('first_token_p95', 'Its 95th percentile'),
			('first_token_p99', 'Its 99th percentile'),
			('first_token_avg', 'The average time to the first token in milliseconds'),
			('total_p50', 'The median of the total time in milliseconds, within 1 %'),
			('total_p95', 'Its 95th percentile'),
			('total_p99', 'Its 99th percentile'),
			('total_avg', 'The average total time in milliseconds'),
			('answered_by',
			 'The cube that has answered, daily, work, people or clock, or ledger; with what is '
			 'not folded yet')
		) AS v (name, comment)
	LOOP
		EXECUTE pg_catalog.format('COMMENT ON COLUMN %s.ai_usage.%I IS %L',
								  '@extschema@', item.name, item.comment);
	END LOOP;
END
$usage$;

CREATE FUNCTION @extschema@.airun_usage(
	from_time timestamptz,
	to_time timestamptz,
	bucket text DEFAULT 'day',
	zone text DEFAULT NULL,
	group_by text[] DEFAULT '{}',
	of_user uuid DEFAULT NULL,
	kind text DEFAULT NULL,
	source_type text DEFAULT NULL,
	provider text DEFAULT NULL,
	model_id text DEFAULT NULL,
	served_model text DEFAULT NULL,
	service text DEFAULT NULL,
	task_name text DEFAULT NULL,
	status text DEFAULT NULL,
	price_status text DEFAULT NULL)
RETURNS SETOF @extschema@.ai_usage
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE ROWS 100
	SET jit = off;
COMMENT ON FUNCTION @extschema@.airun_usage IS
'What has been used and what it cost, from from_time until before to_time
bucket is hour, day, week, month or all, in zone, or else airun.report_zone.  group_by names '
'columns of the result: kind, user_id, source_type, provider, model_id, served_model, service, '
'task_name, status, price_status.  A user gets her own figures, a reporter everybody''s.  Exact '
'at any moment, folded or not.';
