--
-- airun_usage: equal to a recount of the entries, whatever has been folded and
-- whoever answers, in every zone.  A database of its own, since what is in the cubes
-- is put there by hand.  R13 ... are of the list of what reports have to hold.
--
\set VERBOSITY terse
\pset format unaligned
SET client_min_messages = error;
\set original :DBNAME
CREATE DATABASE contrib_regression_report;
\c contrib_regression_report
\set VERBOSITY terse
\pset format unaligned
SET client_min_messages = error;
SET timezone = 'UTC';
CREATE EXTENSION airun;
SELECT airun_install() IS NOT NULL AS installed;
CREATE SCHEMA report_test;
CREATE ROLE regress_airun_report_user;
CREATE ROLE regress_airun_reporter;
SELECT airun_grant('regress_airun_report_user'), airun_grant('regress_airun_reporter', 'reporter');

-- a number below n that i gives
CREATE FUNCTION report_test.hash(i bigint, what text, n int) RETURNS int LANGUAGE sql IMMUTABLE AS
$$SELECT ((hashtextextended(what, i) % n) + n)::int % n$$;
-- charges: over a year, and many around the nights in which clocks change
CREATE TABLE report_test.zones (zone text, night timestamptz);
INSERT INTO report_test.zones VALUES
	('UTC', '2026-12-31 12:00Z'), ('Europe/Berlin', '2026-03-28 12:00Z'), ('Europe/Berlin', '2026-10-24 12:00Z'),
	('Asia/Kolkata', '2026-05-31 12:00Z'), ('Asia/Kathmandu', '2026-06-01 12:00Z'), ('America/St_Johns', '2026-03-07 20:00Z'), ('America/St_Johns', '2026-10-31 20:00Z'),
	('Australia/Lord_Howe', '2026-04-04 06:00Z'), ('Australia/Lord_Howe', '2026-10-03 06:00Z'), ('Africa/Cairo', '2026-04-23 12:00Z'), ('Africa/Cairo', '2026-10-29 12:00Z'),
	('America/Santiago', '2026-04-04 18:00Z'), ('America/Santiago', '2026-09-05 18:00Z'), ('America/Havana', '2026-03-07 18:00Z'), ('America/Havana', '2026-10-31 18:00Z'),
	('Atlantic/Azores', '2026-03-28 18:00Z'), ('Atlantic/Azores', '2026-10-24 18:00Z'), ('America/Nuuk', '2026-03-28 14:00Z'), ('America/Nuuk', '2026-10-24 14:00Z');
CREATE TABLE report_test.charges AS
SELECT i, at, 'task' AS kind, format('00000000-0000-4000-8000-%s', lpad(report_test.hash(i, 'u', 7)::text, 12, '0'))::uuid AS user_id,
	(ARRAY['chat', 'prompt', NULL])[1 + report_test.hash(i, 's', 3)] AS source_type, 'service ' || report_test.hash(i, 'v', 2) AS service,
	'task ' || report_test.hash(i, 't', 3) AS task_name, nullif('p' || report_test.hash(i, 'p', 3), 'p2') AS provider,
	'model ' || report_test.hash(i, 'm', 5) AS model_id, nullif('served ' || report_test.hash(i, 'm', 5) || report_test.hash(i, 'w', 2), 'served 00') AS served_model,
	(ARRAY['completed', 'completed', 'completed', 'error', 'cancelled'])[1 + report_test.hash(i, 'e', 5)] AS status,
	(ARRAY['priced', 'priced', 'unpriced', 'doubtful'])[1 + report_test.hash(i, '$', 4)] AS price_status,
	report_test.hash(i, 'in', 5000)::bigint AS tokens_input, report_test.hash(i, 'cr', 900)::bigint AS tokens_cache_read,
	report_test.hash(i, 'cw', 90)::bigint AS tokens_cache_write, report_test.hash(i, 'out', 800)::bigint AS tokens_output,
	CASE WHEN report_test.hash(i, '$', 4) <> 2 THEN (report_test.hash(i, 'c', 1000000) + 0.1234567890123456789) / 1000 END AS cost,
	CASE WHEN report_test.hash(i, 'f', 9) > 0 THEN report_test.hash(i, 'f', 3000000)::bigint END AS first_token_us,
	CASE WHEN report_test.hash(i, 'l', 9) > 0 THEN (report_test.hash(i, 'l', 900) * report_test.hash(i, 'l', 800) * 100)::bigint END AS total_us
FROM (SELECT row_number() OVER () AS i, at FROM (
	SELECT '2026-01-01Z'::timestamptz + n * interval '4 h 11 min 7.123456 s' AS at FROM generate_series(0, 2000) n
	UNION ALL SELECT DISTINCT night + n * interval '15 min 1 s' FROM report_test.zones, generate_series(0, 119) n) t) x;
-- their entries, and of every tenth one that was another model's before, and has been taken back
CREATE FUNCTION report_test.entries(first int, last int, other text) RETURNS SETOF airun.usage_tail LANGUAGE sql AS $$
	SELECT (jsonb_populate_record(NULL::airun.usage_tail, to_jsonb(c) || jsonb_build_object('calls', s, 'charge_id', airun_user_uuid(i::text),
		'tokens_input', s * tokens_input, 'tokens_cache_read', s * tokens_cache_read, 'tokens_cache_write', s * tokens_cache_write,
		'tokens_output', s * tokens_output, 'first_token_us', s * first_token_us, 'total_us', s * total_us,
		'cost', s * cost, 'first_token_bin', airun_sketch_bin(first_token_us), 'total_bin', airun_sketch_bin(total_us))
		|| CASE WHEN entry < 3 THEN jsonb_build_object('model_id', other, 'total_us', s * 77000, 'total_bin', airun_sketch_bin(77000), 'price_status', 'unpriced', 'cost', NULL) ELSE '{}' END)).*
	FROM report_test.charges c, LATERAL (VALUES (3, 1), (1, 1), (2, -1)) v (entry, s)
	WHERE i BETWEEN first AND last AND (entry = 3 OR i % 10 = 0)
$$;
-- what is in the tail goes to the ledger and the cubes
CREATE FUNCTION report_test.fold(zone text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	cube record;
	keys text;
BEGIN
	FOR cube IN SELECT * FROM (VALUES ('clock', 'quarter,kind,provider,model_id,served_model,status,price_status'),
		('daily', 'day,zone,kind,provider,model_id,served_model,status,price_status'), ('people', 'day,zone,kind,user_id,provider,model_id'),
		('work', 'day,zone,kind,source_type,service,task_name,model_id,status')) v (name, keys)
	LOOP
		EXECUTE format($f$INSERT INTO airun.usage_%s AS c (%s, calls, errors, unpriced, doubtful, unpriced_tokens, tokens_input, tokens_cache_read, tokens_cache_write,
				tokens_output, cost, first_token_us, first_token_count, total_us, total_count, first_token_sketch, total_sketch)
			SELECT %2$s, sum(calls), coalesce(sum(calls) FILTER (WHERE status = 'error'), 0), coalesce(sum(calls) FILTER (WHERE cost IS NULL), 0),
				coalesce(sum(calls) FILTER (WHERE price_status = 'doubtful'), 0),
				coalesce(sum(tokens_input + tokens_cache_read + tokens_cache_write + tokens_output) FILTER (WHERE cost IS NULL), 0),
				sum(tokens_input), sum(tokens_cache_read), sum(tokens_cache_write), sum(tokens_output), coalesce(sum(cost), 0),
				coalesce(sum(first_token_us), 0), coalesce(sum(calls) FILTER (WHERE first_token_us IS NOT NULL), 0),
				coalesce(sum(total_us), 0), coalesce(sum(calls) FILTER (WHERE total_us IS NOT NULL), 0),
				airun_sketch_agg(first_token_bin, calls), airun_sketch_agg(total_bin, calls)
			FROM (SELECT date_bin('15 min', at, '2000-01-01Z') AS quarter, (at AT TIME ZONE %3$L)::date AS day, %3$L AS zone, t.* FROM airun.usage_tail t) t
			GROUP BY %2$s
			ON CONFLICT (%2$s) DO UPDATE SET (calls, errors, unpriced, doubtful, unpriced_tokens, tokens_input, tokens_cache_read, tokens_cache_write,
				tokens_output, cost, first_token_us, first_token_count, total_us, total_count, first_token_sketch, total_sketch) =
				(c.calls + EXCLUDED.calls, c.errors + EXCLUDED.errors, c.unpriced + EXCLUDED.unpriced, c.doubtful + EXCLUDED.doubtful, c.unpriced_tokens + EXCLUDED.unpriced_tokens,
				c.tokens_input + EXCLUDED.tokens_input, c.tokens_cache_read + EXCLUDED.tokens_cache_read, c.tokens_cache_write + EXCLUDED.tokens_cache_write,
				c.tokens_output + EXCLUDED.tokens_output, c.cost + EXCLUDED.cost, c.first_token_us + EXCLUDED.first_token_us, c.first_token_count + EXCLUDED.first_token_count,
				c.total_us + EXCLUDED.total_us, c.total_count + EXCLUDED.total_count,
				airun_sketch_merge(c.first_token_sketch, EXCLUDED.first_token_sketch), airun_sketch_merge(c.total_sketch, EXCLUDED.total_sketch))$f$,
			cube.name, cube.keys, zone);
	END LOOP;
	INSERT INTO airun.usage_ledger SELECT * FROM airun.usage_tail;
	TRUNCATE airun.usage_tail;
END $$;

-- The recount: of the charges, as they are now, and otherwise than airun does it
CREATE FUNCTION report_test.recount(from_time timestamptz, to_time timestamptz, bucket text, zone text, group_by text, condition text)
RETURNS TABLE (label text, keys jsonb, figures text, exact float8[]) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($f$SELECT b, g.keys, concat_ws('|', count(*), count(*) FILTER (WHERE status = 'error'), count(*) FILTER (WHERE cost IS NULL),
			count(*) FILTER (WHERE price_status = 'doubtful'), coalesce(sum(tokens_input + tokens_cache_read + tokens_cache_write + tokens_output) FILTER (WHERE cost IS NULL), 0),
			sum(tokens_input), sum(tokens_cache_read), sum(tokens_cache_write), sum(tokens_output), sum(tokens_input + tokens_cache_read + tokens_cache_write + tokens_output),
			trim_scale(coalesce(sum(cost), 0))),
			ARRAY[percentile_disc(0.5) WITHIN GROUP (ORDER BY first_token_us), percentile_disc(0.95) WITHIN GROUP (ORDER BY first_token_us), avg(first_token_us),
				percentile_disc(0.5) WITHIN GROUP (ORDER BY total_us), percentile_disc(0.95) WITHIN GROUP (ORDER BY total_us), percentile_disc(0.99) WITHIN GROUP (ORDER BY total_us)]::float8[]
		FROM (SELECT CASE %1$L WHEN 'hour' THEN to_char(l, 'YYYY-MM-DD"T"HH24:00:00') || CASE WHEN o < '0' THEN '-' || to_char(-o, 'HH24:MI') ELSE '+' || to_char(o, 'HH24:MI') END
				WHEN 'day' THEN l::date::text WHEN 'week' THEN (l::date - (extract(isodow FROM l)::int - 1))::text WHEN 'month' THEN to_char(l, 'YYYY-MM-01') END AS b, c.*
			FROM report_test.charges c, LATERAL (SELECT at AT TIME ZONE %2$L, (at AT TIME ZONE %2$L) - (at AT TIME ZONE 'UTC')) x (l, o)
			WHERE at >= %3$L AND at < %4$L AND %5$s) c, LATERAL (SELECT jsonb_build_object(%6$s)) g (keys)
		GROUP BY 1, 2$f$, bucket, zone, from_time, to_time, condition, (SELECT string_agg(format('%L, c.%I', k, k), ', ') FROM unnest(group_by::text[]) k));
END $$;
-- How a report differs from it; nothing, as it should be, and who has answered
CREATE FUNCTION report_test.compare(from_time timestamptz, to_time timestamptz, bucket text, zone text, group_by text DEFAULT '{}', filter text DEFAULT '', condition text DEFAULT 'true')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format($f$WITH a AS (
			SELECT u.bucket, (SELECT coalesce(jsonb_object_agg(k, to_jsonb(u) -> k), '{}') FROM unnest(%5$L::text[]) k) AS keys,
				concat_ws('|', calls, errors, unpriced, doubtful, unpriced_tokens, tokens_input, tokens_cache_read, tokens_cache_write, tokens_output, tokens_total, trim_scale(cost)) AS figures,
				ARRAY[first_token_p50, first_token_p95, first_token_avg, total_p50, total_p95, total_p99] AS times, answered_by
			FROM airun_usage(%1$L, %2$L, %3$L, %4$L, %5$L %6$s) u)
		SELECT concat(count(a.figures) > 0, ' ', count(*) FILTER (WHERE a.figures IS DISTINCT FROM b.figures), ' ',
			count(*) FILTER (WHERE EXISTS (SELECT FROM unnest(a.times, b.exact) t (ours, exact) WHERE (ours IS NULL) <> (exact IS NULL) OR abs(ours * 1000 - exact) > 0.01 * exact)),
			' ', string_agg(DISTINCT answered_by, ' '))
		FROM a FULL JOIN report_test.recount(%1$L, %2$L, %3$L, %8$L, %5$L, %7$L) b ON a.bucket IS NOT DISTINCT FROM b.label AND a.keys = b.keys$f$,
		from_time, to_time, bucket, zone, group_by, filter, condition, coalesce(zone, current_setting('airun.report_zone'))) INTO result;
	RETURN result;
END $$;
-- each line: are there rows, how many have other figures, how many other times, who has answered
CREATE VIEW report_test.everything AS
	SELECT name, report_test.compare(from_time::timestamptz, to_time::timestamptz, bucket, zone, group_by, filter, condition) AS answer FROM (VALUES
		('a day by model', '2026-03-01Z', '2026-03-02Z', 'day', 'UTC', '{model_id}', '', 'true'),
		('month by model and day', '2026-03-01Z', '2026-04-01Z', 'day', 'UTC', '{model_id}', '', 'true'),
		('all of it', '-infinity', 'infinity', 'all', 'UTC', '{}', '', 'true'),
		('by all of a cube', '2026-01-01Z', '2027-01-01Z', 'month', 'UTC', '{kind,provider,model_id,served_model,status,price_status}', '', 'true'),
		('work', '2026-03-01Z', '2026-10-01Z', 'week', 'UTC', '{source_type,service,task_name}', '', 'true'),
		('people', '2026-03-01Z', '2026-10-01Z', 'month', 'UTC', '{user_id}', ', model_id => ''model 1''', 'model_id = ''model 1'''),
		('one user', '2026-03-01Z', '2026-10-01Z', 'all', 'UTC', '{provider}', ', of_user => ''00000000-0000-4000-8000-000000000003''', 'user_id = ''00000000-0000-4000-8000-000000000003'''),
		('an odd combination', '2026-03-01Z', '2026-10-01Z', 'month', 'UTC', '{user_id,task_name,price_status}', '', 'true'),
		('an odd filter', '2026-03-01Z', '2026-10-01Z', 'day', 'UTC', '{model_id}', ', service => ''service 1'', status => ''error'', source_type => ''chat''', 'service = ''service 1'' AND status = ''error'' AND source_type = ''chat'''),
		('hours', '2026-03-28Z', '2026-03-30Z', 'hour', 'UTC', '{status}', '', 'true'),
		('not whole days', '2026-03-28 01:15Z', '2026-03-30 02:45Z', 'day', 'UTC', '{}', '', 'true'),
		('nor quarters of an hour', '2026-03-28 01:15:01Z', '2026-03-30 02:45Z', 'day', 'UTC', '{}', '', 'true'))
	v (name, from_time, to_time, bucket, zone, group_by, filter, condition);

-- nothing is there
SELECT count(*) FROM airun_usage('-infinity', 'infinity');
-- all in the tail, all folded, and half of it, with entries that take back what was folded
INSERT INTO airun.usage_tail SELECT * FROM report_test.entries(1, 1500, 'another');
INSERT INTO airun.usage_tail SELECT * FROM report_test.entries(1501, 99999, 'another');
CREATE TABLE report_test.in_tail AS TABLE report_test.everything;
SELECT * FROM report_test.in_tail;
BEGIN;
SELECT report_test.fold('UTC');
SELECT name, f.answer FROM report_test.everything f JOIN report_test.in_tail t USING (name) WHERE f.answer <> t.answer;
-- R18: what days, models and users add up to is the range
SELECT count(DISTINCT (c, t, e)) AS different FROM (
	SELECT sum(calls) AS c, sum(tokens_total) AS t, trim_scale(sum(cost)) AS e FROM airun_usage('2026-01-01Z', '2027-01-01Z')
	UNION ALL SELECT sum(calls), sum(tokens_total), trim_scale(sum(cost)) FROM airun_usage('2026-01-01Z', '2027-01-01Z', 'all', group_by => '{model_id}')
	UNION ALL SELECT sum(calls), sum(tokens_total), trim_scale(sum(cost)) FROM airun_usage('2026-01-01Z', '2027-01-01Z', 'hour', group_by => '{user_id,status}')
	UNION ALL SELECT calls, tokens_total, trim_scale(cost) FROM airun_usage('2026-01-01Z', '2027-01-01Z', 'all')) x;
ROLLBACK;
BEGIN;
CREATE TEMP TABLE later AS SELECT * FROM airun.usage_tail OFFSET 1200;
TRUNCATE airun.usage_tail;
INSERT INTO airun.usage_tail SELECT * FROM report_test.entries(1, 99999, 'another') EXCEPT ALL TABLE later;
SELECT report_test.fold('UTC');
INSERT INTO airun.usage_tail TABLE later;
SELECT name, f.answer FROM report_test.everything f JOIN report_test.in_tail t USING (name) WHERE f.answer <> t.answer;
ROLLBACK;

-- R13 to R17: in each zone, from the tail and folded by the days of that zone or of another
SELECT report_test.fold('UTC');
CREATE VIEW report_test.nights AS
	SELECT DISTINCT zone, bucket, report_test.compare(night - interval '3 d', night + interval '3 d', bucket, zone, '{status}') AS answer
	FROM report_test.zones, unnest('{hour,day,week,month}'::text[]) bucket;
SELECT answer, count(*) FROM report_test.nights GROUP BY answer ORDER BY answer;
-- whole local days of a year, the report's zone being the cubes'
CREATE FUNCTION report_test.in_zone(z text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE format('SET airun.report_zone = %L', z);
	TRUNCATE airun.usage_clock, airun.usage_daily, airun.usage_people, airun.usage_work;
	INSERT INTO airun.usage_tail SELECT * FROM airun.usage_ledger;
	TRUNCATE airun.usage_ledger;
	PERFORM report_test.fold(z);
	SELECT string_agg(report_test.compare('2026-02-01'::timestamp AT TIME ZONE z, '2026-12-01'::timestamp AT TIME ZONE z, b, NULL, g), ', ') INTO result
	FROM unnest('{day,week,month,all}'::text[]) b, unnest(ARRAY['{model_id}', '{user_id}', '{task_name}']) g;
	RESET airun.report_zone;
	RETURN result;
END $$;
BEGIN;
SELECT z, report_test.in_zone(z) FROM unnest('{Europe/Berlin,Atlantic/Azores,Asia/Kathmandu,Australia/Lord_Howe}'::text[]) z ORDER BY z COLLATE "C";
ROLLBACK;
-- a bucket begins with the first instant of its date: none is before it
SELECT count(*) > 100 AS days, count(*) FILTER (WHERE (bucket_start AT TIME ZONE zone)::date <> bucket::date OR ((bucket_start - interval '1 us') AT TIME ZONE zone)::date >= bucket::date) AS wrong
FROM report_test.zones, LATERAL airun_usage(night - interval '3 d', night + interval '3 d', 'day', zone) u;
-- R15: days of 23 and 25 hours, and the hour that is there twice, told apart
SELECT bucket, calls, answered_by FROM airun_usage('2026-10-25 00:00+02', '2026-10-25 04:00+01', 'hour', 'Europe/Berlin');
SELECT bucket, bucket_start, calls FROM airun_usage('2026-04-05 00:30+11', '2026-04-05 03:00+10:30', 'hour', 'Australia/Lord_Howe');
SELECT date_part('epoch', lead(bucket_start) OVER (ORDER BY bucket) - bucket_start) / 3600 AS hours, bucket FROM airun_usage('2026-03-28 00:00+01', '2026-03-31 00:00+02', 'day', 'Europe/Berlin');
-- R14: no midnight, or two of them
SELECT zone, bucket, bucket_start FROM (VALUES ('Africa/Cairo', '2026-04-23 22:00Z'::timestamptz), ('Atlantic/Azores', '2026-10-25 00:30Z'), ('America/Santiago', '2026-09-06 04:00Z')) v (zone, at),
	LATERAL airun_usage(at, at + interval '3 h', 'day', zone);

-- R19: days of another zone beside: the clock answers
BEGIN;
INSERT INTO airun.usage_daily (day, zone, kind, status, price_status) VALUES ('2026-03-05', 'Asia/Kolkata', 'task', 'completed', 'priced');
SELECT report_test.compare('2026-03-01Z', '2026-04-01Z', 'day', 'UTC', '{model_id}');
SELECT report_test.compare('2026-04-01Z', '2026-05-01Z', 'day', 'UTC', '{model_id}');
SET airun.report_zone = 'Asia/Kolkata';
SELECT report_test.compare('2026-03-01 00:00+05:30', '2026-04-01 00:00+05:30', 'day', NULL, '{model_id}');
ROLLBACK;
-- R20: what is unpriced has no cost, and is counted; R22: the four kinds of tokens are the total
SELECT price_status, calls = unpriced AS all_unpriced, cost > 0 AS cost, tokens_input + tokens_cache_read + tokens_cache_write + tokens_output = tokens_total AS total FROM airun_usage('2026-01-01Z', '2027-01-01Z', 'all', group_by => '{price_status}');
-- R21: what was asked for and what answered, each of them
SELECT model_id, served_model, calls FROM airun_usage('2026-03-01Z', '2026-03-05Z', 'all', group_by => '{model_id,served_model}', model_id => 'model 0');
-- R23: an empty range, also one that ends before it begins; what is NULL is a group
SELECT count(*) FROM airun_usage('2026-03-01Z', '2026-03-01Z');
SELECT count(*) FROM airun_usage('2026-03-02Z', '2026-03-01Z', 'all');
SELECT count(*) FROM airun_usage('2019-03-02Z', '2019-04-01Z', 'all');
SELECT source_type, calls FROM airun_usage('2026-03-01Z', '2026-04-01Z', 'all', group_by => '{source_type,source_type}');
SELECT bucket, calls FROM airun_usage((SELECT at FROM report_test.charges WHERE i = 17), (SELECT at + interval '1 us' FROM report_test.charges WHERE i = 17), NULL, NULL, NULL);
-- R30: every digit of the cost
SELECT cost::text, cost::text::numeric = (SELECT sum(cost) FROM report_test.charges WHERE at >= '2026-03-01Z' AND at < '2026-04-01Z') AS exact FROM airun_usage('2026-03-01Z', '2026-04-01Z', 'all');

--
-- Who sees what
--
CREATE FUNCTION report_test.seen() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT string_agg(concat_ws(' ', right(user_id::text, 1), calls, answered_by), ', ') FROM airun_usage('2026-03-01Z', '2026-04-01Z', 'all', group_by => '{user_id}'))
		|| '; ' || (SELECT string_agg(concat_ws(' ', calls, answered_by), ', ') FROM airun_usage('2026-03-01Z', '2026-04-01Z', 'all'))
		|| '; ' || (SELECT string_agg(concat_ws(' ', task_name, calls, answered_by), ', ') FROM airun_usage('2026-03-01Z', '2026-04-01Z', 'all', group_by => '{task_name}'));
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
GRANT USAGE ON SCHEMA report_test TO PUBLIC;
SELECT right(user_id::text, 1), count(*) FROM report_test.charges WHERE at >= '2026-03-01Z' AND at < '2026-04-01Z' GROUP BY 1 ORDER BY 1;
SET ROLE regress_airun_reporter;
SELECT report_test.seen();
SET ROLE regress_airun_report_user;
SET airun.user_id = '00000000-0000-4000-8000-000000000003';
SELECT report_test.seen();
SELECT count(*) FROM airun_usage('2026-03-01Z', '2026-04-01Z', of_user => '00000000-0000-4000-8000-000000000004');
SET airun.user_id = '00000000-0000-4000-8000-00000000dead';
SELECT report_test.seen() IS NULL AS nothing;
RESET airun.user_id;
SELECT report_test.seen();
RESET ROLE;

--
-- Refused
--
\set VERBOSITY default
SELECT * FROM airun_usage('2026-03-01Z', '2026-04-01Z', 'year');
SELECT * FROM airun_usage('2026-03-01Z', '2026-04-01Z', zone => 'Mars/Base');
SELECT * FROM airun_usage('2026-03-01Z', '2026-04-01Z', group_by => '{model_id,team}');
SELECT * FROM airun_usage('2026-03-01Z', '2026-04-01Z', group_by => '{NULL}');
SELECT * FROM airun_usage('2026-03-01Z', NULL);
\set VERBOSITY sqlstate
SELECT * FROM airun_usage(NULL, NULL);
SELECT * FROM airun_usage('2026-03-01Z', '2026-04-01Z', 'year');
SELECT * FROM airun_usage('2026-03-01Z', '2026-04-01Z', zone => repeat('x', 1000));
SELECT * FROM airun_usage('2026-03-01Z', '2026-04-01Z', group_by => '{model_id,team}');
-- an offset has one sign in POSIX and another in ISO 8601; names with a number are names
CREATE FUNCTION pg_temp.is_zone(z text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT count(*) = 0 FROM airun_usage('2026-03-01Z', '2026-03-01Z', zone => z));
EXCEPTION WHEN SQLSTATE 'PT422' THEN
	RETURN false;
END$$;
SELECT z, pg_temp.is_zone(z) FROM unnest('{+05:30,-5,+14,GMT-3,XYZ5,<+07>-7,Europe/Berlin5,utc+3,EST5EDT,gmt+0,utc,etc/gmt-14}'::text[]) AS z;
SET airun.report_zone = '+05:30';
SET airun.report_zone = 'etc/gmt+5';
RESET airun.report_zone;
\c :original
SET client_min_messages = error;
DROP DATABASE contrib_regression_report;
DROP ROLE regress_airun_report_user, regress_airun_reporter;
