--
-- Sketches: percentiles within 1 %, added and subtracted exactly.
-- R24 and R25 are of the list of what reports have to hold.
--
SET client_min_messages = warning;
CREATE SCHEMA sketch_test;
SET search_path = sketch_test, helpers, public;
SELECT setseed(0.15);

--
-- Bins
--
-- zero, negative, the first ones, borders of a power of two, the last one
SELECT us, airun_sketch_bin(us) FROM unnest('{-9223372036854775808,-1,0,1,2,3,1023,1024,1044,1045,4398046511103,4398046511104,9223372036854775807}'::bigint[]) us;
SELECT airun_sketch_bin(NULL) IS NULL AS unknown;
-- they ascend with the duration, from each border to the next, at every power of two
WITH d AS (
	SELECT DISTINCT least(greatest((2::numeric ^ octave * (1 + part / 50.0))::bigint + near, 0), 4398046511104) AS us
	FROM generate_series(0, 41) octave, generate_series(0, 49) part, generate_series(-1, 1) near),
b AS (SELECT us, airun_sketch_bin(us) AS bin, lag(airun_sketch_bin(us)) OVER (ORDER BY us) AS before FROM d)
SELECT count(*) > 5000 AS borders, count(*) FILTER (WHERE bin < before) AS descend, min(bin), max(bin) FROM b;
-- and what is read from one is less than 1 % away from all in it; below 64 us it is exact
WITH d AS (
	SELECT DISTINCT (2::numeric ^ octave * (1 + part / 1000.0))::bigint AS us FROM generate_series(0, 41) octave, generate_series(0, 999) part),
r AS (SELECT us, airun_sketch_quantile(airun_sketch_agg(airun_sketch_bin(us), 1), 0.5) AS ms FROM d GROUP BY us)
SELECT count(*) > 20000 AS durations, count(*) FILTER (WHERE abs(ms * 1000 / us - 1) >= 0.01) AS far,
	count(*) FILTER (WHERE us < 64 AND ms * 1000 <> us) AS inexact, max(abs(ms * 1000 / us - 1)) > 0.009 AS just
FROM r;

--
-- R24: within 1 % of nearest rank, which is percentile_disc's
--
CREATE TABLE values_of AS
	SELECT 'random' AS kind, (exp(random() * 20) * (1 + random()))::bigint AS us FROM generate_series(1, 20000)
	UNION ALL SELECT 'log-normal', (exp(14.5 + 0.9 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())))::bigint FROM generate_series(1, 20000)
	UNION ALL SELECT 'constant', 1234567 FROM generate_series(1, 1000)
	UNION ALL SELECT 'two peaks', ((CASE WHEN i % 2 = 0 THEN 20000 ELSE 30000000 END) * (1 + random() / 10))::bigint FROM generate_series(1, 5001) i
	UNION ALL SELECT 'mostly zero', CASE WHEN i % 10 = 0 THEN 5000000 + i ELSE -(i % 3) END FROM generate_series(1, 3000) i
	UNION ALL SELECT 'one', 777
	UNION ALL SELECT 'two', unnest('{100,100000}'::bigint[])
	UNION ALL SELECT 'hundred', i * 10000 FROM generate_series(1, 100) i;
WITH exact AS (
	SELECT kind, fraction, percentile_disc(fraction) WITHIN GROUP (ORDER BY greatest(us, 0)) / 1000.0::float8 AS exact,
		airun_sketch_quantile(airun_sketch_agg(airun_sketch_bin(us), 1), fraction) AS ours
	FROM values_of, unnest('{0,0.001,0.01,0.07,0.1,0.25,0.5,0.75,0.9,0.95,0.99,0.999,1}'::float8[]) fraction
	GROUP BY kind, fraction)
SELECT kind, count(*), count(*) FILTER (WHERE exact = 0) AS zeros,
	count(*) FILTER (WHERE ours IS NULL OR abs(ours - exact) > 0.01 * exact) AS far FROM exact GROUP BY kind ORDER BY kind;
-- the last bin means at least
SELECT airun_sketch_quantile(airun_sketch_agg(airun_sketch_bin(us), 1), 1) FROM unnest('{5,9000000000000000}'::bigint[]) us;

--
-- R25: what parts add up to is the whole, byte for byte, in any order
--
CREATE TABLE wholes AS SELECT kind, airun_sketch_agg(airun_sketch_bin(us), 1) AS whole FROM values_of GROUP BY kind;
CREATE TABLE parts AS SELECT kind, part, airun_sketch_agg(airun_sketch_bin(us), 1) AS sketch
	FROM (SELECT kind, us, floor(random() * 9)::int AS part FROM values_of) v GROUP BY kind, part;
SELECT count(*), count(*) FILTER (WHERE whole <> summed OR whole <> backwards) AS different
FROM wholes JOIN LATERAL (
	SELECT airun_sketch_sum(sketch ORDER BY part) AS summed, airun_sketch_sum(sketch ORDER BY part DESC) AS backwards FROM parts p WHERE p.kind = wholes.kind) x ON true;
-- two at a time, as an upsert does it
WITH RECURSIVE merged AS (
	SELECT kind, -1 AS part, NULL::bytea AS sketch FROM wholes
	UNION ALL SELECT m.kind, m.part + 1, airun_sketch_merge(m.sketch, (SELECT sketch FROM parts p WHERE p.kind = m.kind AND p.part = m.part + 1))
	FROM merged m WHERE m.part < 8)
SELECT count(*), count(*) FILTER (WHERE sketch IS DISTINCT FROM whole) AS different FROM merged JOIN wholes USING (kind) WHERE part = 8;
SELECT count(*) FILTER (WHERE airun_sketch_merge(a.whole, b.whole) IS DISTINCT FROM airun_sketch_merge(b.whole, a.whole)) AS one_way FROM wholes a, wholes b;
-- taken out again: no trace, whether the counts come in or out first
WITH more AS (
	SELECT kind, us, 1 AS calls FROM values_of
	UNION ALL SELECT kind, us * 3 + 7, s FROM values_of, unnest('{1,-1}'::int[]) s),
x AS (SELECT kind, airun_sketch_agg(airun_sketch_bin(us), calls ORDER BY calls) AS out_first, airun_sketch_agg(airun_sketch_bin(us), calls ORDER BY calls DESC) AS in_first
	FROM more GROUP BY kind)
SELECT count(*), count(*) FILTER (WHERE whole <> out_first OR whole <> in_first) AS different FROM x JOIN wholes USING (kind);
-- a part from the whole leaves the rest; all of it leaves nothing
WITH taken AS (
	SELECT kind, airun_sketch_agg(airun_sketch_bin(us), -1) AS sketch, airun_sketch_agg(airun_sketch_bin(us), -1) FILTER (WHERE us % 3 = 0) AS third,
		airun_sketch_agg(airun_sketch_bin(us), 1) FILTER (WHERE us % 3 <> 0) AS rest FROM values_of GROUP BY kind)
SELECT count(*), count(*) FILTER (WHERE airun_sketch_merge(whole, sketch) IS NOT NULL) AS traces,
	count(*) FILTER (WHERE airun_sketch_merge(whole, third) IS DISTINCT FROM rest) AS wrong,
	count(*) FILTER (WHERE airun_sketch_quantile(sketch, 0.5) IS NOT NULL) AS of_less_than_nothing FROM taken JOIN wholes USING (kind);

--
-- Nothing, and what is not known
--
SELECT airun_sketch_agg(1::smallint, 1) FILTER (WHERE false) IS NULL AS no_rows, airun_sketch_agg(NULL, 1) IS NULL AS no_bin,
	airun_sketch_agg(1::smallint, NULL) IS NULL AS no_calls, airun_sketch_sum(NULL) IS NULL AS no_sketch, airun_sketch_merge(NULL, NULL) IS NULL AS neither,
	airun_sketch_sum('\x01') IS NULL AS without_a_count, airun_sketch_quantile('\x01', 0.5) IS NULL AS of_none;
-- numbers of all lengths come back
WITH c AS (SELECT bin::smallint, calls FROM unnest('{0,1,126,127,128,129,2100,2101}'::int[], '{1,-1,63,64,-64,-65,2147483647,-2147483648}'::int[]) v (bin, calls))
SELECT airun_sketch_agg(bin, calls), airun_sketch_merge(airun_sketch_agg(bin, calls), airun_sketch_agg(bin, -(calls::bigint + (calls < -2147483647)::int)::int)) FROM c;
-- as a window function the state goes on after a result
SELECT i, airun_sketch_agg(i::smallint, i) OVER (ORDER BY i) FROM generate_series(1, 3) i;

--
-- Refused
--
SELECT sketch, answer(format('SELECT airun_sketch_merge(%L, NULL)', sketch)) FROM unnest(ARRAY[
	'\x', '\x00', '\x02', '\x0100', '\x010000', '\x0180', '\x01808000', '\x018000', '\x01b51002', '\x01b61002', '\x01b410020002', '\x01b510020002', '\x01ffffffffffffffffff0102',
	'\x0100ffffffffffffffffff0100', '\x0100ffffffffffffffffff02', '\x0100ffffffffffffffffffff01', '\x010080']::bytea[]) sketch;
SELECT answer($$SELECT airun_sketch_sum('\x02'::bytea)$$), answer($$SELECT airun_sketch_quantile('\x02', 0.5)$$);
SELECT fraction, answer(format('SELECT airun_sketch_quantile(%L, %L)', '\x010002', fraction)) FROM unnest('{-0.1,1.1,NaN,Infinity}'::float8[]) fraction;
SELECT answer('SELECT airun_sketch_agg((-1)::smallint, 1)'), answer('SELECT airun_sketch_agg(2102::smallint, 1)');
SELECT answer($$SELECT airun_sketch_merge('\x0100feffffffffffffffff01', '\x0100feffffffffffffffff01')$$), answer($$SELECT airun_sketch_sum(s) FROM unnest('{"\\x0100feffffffffffffffff01","\\x010002"}'::bytea[]) s$$),
	answer($$SELECT airun_sketch_quantile('\x0100feffffffffffffffff010002', 0.5)$$);
SELECT airun_sketch_quantile('\x0100feffffffffffffffff01', 1), airun_sketch_quantile('\x0100ffffffffffffffffff01', 1) IS NULL AS negative;
SELECT left(answer('SELECT airun_sketch_add(NULL, NULL, NULL)'), 5) IN ('42883', '0A000') AS refused, left(answer('SELECT airun_sketch_result(NULL)'), 5) IN ('42883', '0A000') AS refused;
-- bytes at random, and a sketch cut off anywhere or with a byte changed: a result or PT422
WITH bytes AS (
	SELECT substr('\x01'::bytea || sha256(i::text::bytea), 1, i % 34) AS sketch FROM generate_series(1, 3000) i
	UNION ALL SELECT substr(whole, 1, n) FROM wholes, generate_series(0, 400) n
	UNION ALL SELECT set_byte(whole, n % length(whole), n * 37 % 256) FROM wholes, generate_series(0, 400) n),
a AS (SELECT left(attempt(format('SELECT length(airun_sketch_merge(%1$L, NULL)) + airun_sketch_quantile(%1$L, 0.5)', sketch)), 5) AS answer FROM bytes)
SELECT count(*) FILTER (WHERE answer = 'PT422') > 1000 AS refused, count(*) FILTER (WHERE answer ~ '^[0-9.]+$') > 500 AS taken,
	count(*) FILTER (WHERE answer !~ '^(PT422|22003|[0-9.]+|\(null)') AS otherwise FROM a;
-- what is taken is canonical: read and written again it is the same
WITH bytes AS (SELECT '\x01'::bytea || substr(sha256(i::text::bytea), 1, i % 7) AS sketch FROM generate_series(1, 5000) i),
m AS (SELECT sketch, attempt(format('SELECT airun_sketch_merge(%L, NULL)', sketch)) AS merged FROM bytes)
SELECT count(*) > 500 AS taken, count(*) FILTER (WHERE merged <> sketch::text AND sketch <> '\x01') AS changed FROM m WHERE merged NOT LIKE 'PT422%';
