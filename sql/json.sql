--
-- JSON: airun_array_agg and airun_json.
-- The serialiser is tested where it shows, with airun_messages.
--
SET client_min_messages = warning;
CREATE SCHEMA json_test;
SET search_path = json_test, helpers, public;
SET client_encoding = 'UTF8';

--
-- The aggregate, by hand
--
SELECT airun_array_agg(e) FROM (VALUES ('{"b": [1, {"c": null}], "a": ""}'::jsonb), ('"text"'),
	('-0.50'), ('true'), ('false'), ('null'), (NULL), ('[]'), ('{}'), ('[[]]'), ('""')) v (e);

-- no rows, and rows without a value
SELECT airun_array_agg(e) IS NULL AS no_rows FROM (SELECT '1'::jsonb WHERE false) v (e);
SELECT airun_array_agg(NULL) FROM generate_series(1, 3);
SELECT airun_array_agg('1') FILTER (WHERE false) IS NULL AS filtered;

-- the order is the caller's
SELECT airun_array_agg(to_jsonb(i) ORDER BY i DESC) FROM generate_series(1, 5) i;
SELECT i % 3 AS remainder, airun_array_agg(to_jsonb(i) ORDER BY i) FROM generate_series(1, 10) i
GROUP BY 1 ORDER BY 1;

-- as a window function: the state lives on after a result
SELECT i, airun_array_agg(to_jsonb(repeat('x', i))) OVER w AS so_far,
	airun_array_agg(to_jsonb(i)) OVER (w ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS around
FROM generate_series(1, 5) i WINDOW w AS (ORDER BY i) ORDER BY i;
SELECT count(*), count(*) FILTER (WHERE ours IS DISTINCT FROM theirs) AS different
FROM (
	SELECT airun_array_agg(e) OVER w AS ours, jsonb_agg(e) OVER w AS theirs
	FROM (SELECT i, CASE i % 4 WHEN 0 THEN to_jsonb(i) WHEN 1 THEN to_jsonb(i::text)
			WHEN 2 THEN jsonb_build_object(i, i) END FROM generate_series(1, 300) i) v (i, e)
	WINDOW w AS (ORDER BY i)
) x;

-- a hashed aggregate gives its results again when it is scanned again
SELECT o, (SELECT sum(jsonb_array_length(a)) FROM (SELECT airun_array_agg(to_jsonb(i)) AS a
	FROM generate_series(1, 100) i GROUP BY i % 7 OFFSET 0) x WHERE o > 0) AS elements
FROM generate_series(1, 3) o;

-- around the stride of the offsets, every element by its number
SELECT n, bool_and(a -> i - 1 = to_jsonb(repeat('y', i % 5))) AS strings,
	bool_and(b -> i - 1 = to_jsonb(i * 1.5)) AS numbers, bool_and(a -> n IS NULL) AS no_more
FROM (VALUES (1), (2), (31), (32), (33), (63), (64), (65), (1000)) v (n),
	LATERAL (SELECT airun_array_agg(to_jsonb(repeat('y', i % 5)) ORDER BY i) AS a,
		airun_array_agg(to_jsonb(i * 1.5) ORDER BY i) AS b FROM generate_series(1, n) i) x,
	LATERAL generate_series(1, n) i
GROUP BY n ORDER BY n;

--
-- The aggregate against jsonb_agg: 10,000 random arrays of random documents
--
CREATE FUNCTION random_text(size int) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg((ARRAY['a', 'b', 'z', ' ', '0', '\"', '\\', '\/', '\n', '\t', '\u0001',
		'\u001f', '\u007f', '\u00e9', 'é', 'ß', '漢', '字', '😀', '\ud83d\ude00', '\u2028', E'\u007f'])
		[1 + floor(random() * 22)::int], ''), '')
	FROM generate_series(1, floor(random() * size)::int)
$$;
CREATE FUNCTION random_digits(size int) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(floor(random() * 10)::int::text, ''), '')
	FROM generate_series(1, floor(random() * size)::int)
$$;
CREATE FUNCTION random_number() RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN random() < 0.4 THEN '-' ELSE '' END ||
		CASE floor(random() * 6)
			WHEN 0 THEN (ARRAY['0', '0.0', '0.000', '0e0', '1e308', '1e-308', '1e1000', '1e-1000',
				'9223372036854775808', '9007199254740993', '1E+2', '100', '10000', '0.0001'])
				[1 + floor(random() * 14)::int]
			WHEN 1 THEN '0.' || random_digits(40) || '0'
			WHEN 2 THEN '1' || random_digits(60)
			WHEN 3 THEN '7' || random_digits(20) || '.' || random_digits(20) || '50'
			WHEN 4 THEN '3' || 'e' || (random() * 200 - 100)::int
			ELSE floor(random() * 1000)::text END
$$;
CREATE FUNCTION random_json(depth int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	kind float8 := random();
	size int;
BEGIN
	IF depth <= 0 OR kind < 0.4 THEN
		RETURN CASE floor(random() * 8)
			WHEN 0 THEN 'null'
			WHEN 1 THEN 'true'
			WHEN 2 THEN 'false'
			WHEN 3 THEN '"' || random_text(12) || '"'
			WHEN 4 THEN '"' || random_text(CASE WHEN random() < 0.1 THEN 3000 ELSE 100 END) || '"'
			ELSE random_number() END;
	END IF;
	size := CASE WHEN random() < 0.1 THEN 0 WHEN random() < 0.03 THEN 34 ELSE random() * 5 END;
	IF size > 10 THEN
		depth := 1;
	END IF;
	IF kind < 0.7 THEN
		RETURN '[' || coalesce((SELECT string_agg(random_json(depth - 1), ', ')
			FROM generate_series(1, size)), '') || ']';
	END IF;
	-- short keys, so that some come twice
	RETURN '{' || coalesce((SELECT string_agg('"' || random_text(3) || '": ' ||
		random_json(depth - 1), ', ') FROM generate_series(1, size)), '') || '}';
END
$$;

SELECT setseed(0.2024);
-- number 0 is a SQL NULL
CREATE TABLE documents (id int PRIMARY KEY, document jsonb);
INSERT INTO documents SELECT i, random_json(i % 5)::jsonb FROM generate_series(1, 2000) i;
INSERT INTO documents VALUES (0, NULL);
SELECT count(DISTINCT document) > 1000 AS diverse, max(length(document::text)) > 2000 AS long,
	count(*) FILTER (WHERE document IN ('[]', '{}')) > 0 AS empty,
	count(DISTINCT jsonb_typeof(document)) AS types
FROM documents;

CREATE TABLE elements AS
SELECT a.id, p AS place, CASE WHEN random() < 0.03 THEN 0 ELSE 1 + floor(random() * 2000)::int END
	AS document
FROM (
	SELECT i AS id, CASE WHEN i <= 20 THEN 1000 WHEN i % 20 = 0 THEN 31 WHEN i % 20 = 1 THEN 32
		WHEN i % 20 = 2 THEN 33 WHEN i % 20 = 3 THEN 64 + i % 3 ELSE 1 + floor(random() * 10)::int END
		AS size
	FROM generate_series(1, 10000) i
) a, LATERAL generate_series(0, size - 1) p;

CREATE TABLE arrays (id int PRIMARY KEY, ours jsonb, theirs jsonb, our_size int, their_size int);
INSERT INTO arrays
SELECT id, ours, theirs, pg_column_size(ours), pg_column_size(theirs)
FROM (
	SELECT e.id, airun_array_agg(d.document ORDER BY place) AS ours,
		jsonb_agg(d.document ORDER BY place) AS theirs
	FROM elements e JOIN documents d ON d.id = e.document GROUP BY e.id
) x;
VACUUM ANALYZE documents, elements, arrays;

-- equal as values, as text, in size, and as the key of a hash; re-read from a table
SELECT count(*),
	count(*) FILTER (WHERE ours = theirs) AS equal,
	count(*) FILTER (WHERE ours::text = theirs::text) AS same_text,
	count(*) FILTER (WHERE ours::text::jsonb = ours) AS parsed_again,
	count(*) FILTER (WHERE our_size = their_size) AS same_size,
	count(*) FILTER (WHERE jsonb_hash(ours) = jsonb_hash(theirs)) AS same_hash,
	count(*) FILTER (WHERE jsonb_array_length(ours) = jsonb_array_length(theirs)) AS same_length
FROM arrays;
-- element by element, in order
SELECT count(*) > 80000 AS many, count(*) FILTER (WHERE
	x.element IS DISTINCT FROM coalesce(d.document, 'null')) AS different
FROM arrays a, LATERAL jsonb_array_elements(ours) WITH ORDINALITY x (element, ordinal)
JOIN elements e ON e.place = ordinal - 1 JOIN documents d ON d.id = e.document
WHERE e.id = a.id;
-- by number, from both ends
SELECT count(*) > 60000 AS many, count(*) FILTER (WHERE
	ours -> place IS DISTINCT FROM coalesce(d.document, 'null')) AS different, count(*) FILTER (WHERE
	ours -> place - jsonb_array_length(ours) IS DISTINCT FROM ours -> place) AS from_the_end
FROM arrays a JOIN elements e USING (id) JOIN documents d ON d.id = e.document
WHERE a.id > 20 OR place IN (0, 1, 31, 32, 33, 63, 64, 65, 500, 991, 992, 993, 998, 999);
-- what was made is material for jsonb's own functions
SELECT count(*) FILTER (WHERE ours || '[1]' = theirs || '[1]') AS appended,
	count(*) FILTER (WHERE ours @> theirs AND theirs @> ours) AS contained,
	count(*) FILTER (WHERE jsonb_set(ours, '{0}', '"first"') = jsonb_set(theirs, '{0}', '"first"'))
		AS changed
FROM arrays WHERE id > 20;
-- arrays of arrays
SELECT count(*), count(*) FILTER (WHERE ours <> theirs OR ours::text <> theirs::text) AS different
FROM (
	SELECT airun_array_agg(ours ORDER BY id) AS ours, jsonb_agg(theirs ORDER BY id) AS theirs
	FROM arrays WHERE id > 20 GROUP BY id % 200
) x;

--
-- The limits
--
\pset format unaligned
-- 14 times 20 MB are more than a jsonb array can have
SELECT answer($$
	SELECT pg_column_size(airun_array_agg(e)) FROM (SELECT to_jsonb(repeat('x', 20000000)) OFFSET 0) v (e),
		generate_series(1, 14)
$$);
-- the functions behind the aggregate cannot be called by hand
SELECT left(answer('SELECT airun_array_add(NULL, ''1'')'), 5) IN ('42883', '0A000') AS refused;
SELECT left(answer('SELECT airun_array_result(NULL)'), 5) IN ('42883', '0A000') AS refused;

--
-- JSON that jsonb refuses.  U+FFFD is shown as <?>.
--
CREATE FUNCTION repaired(document text) RETURNS text LANGUAGE sql AS $$
	SELECT replace(airun_json(document)::text, U&'\FFFD', '<?>')
$$;
CREATE TABLE cases (id serial, document text);
INSERT INTO cases (document) VALUES
	-- nothing to repair
	('{"a": 1.50, "b": [true, null, "x"]}'), (' "scalar" '), ('""'), ('[]'), ('-0'), ('null'),
	('"\" \\ \/ \b \f \n \r \t \u0041 \u00e9"'),
	('{"a": 1, "a": 2}'),
	('"\ud83d\ude00 \uD83D\uDE00 \uD83d\uDe00"'),
	('"\uFFFD \u0001"'),
	-- an escaped backslash, and then text
	('"\\u0000"'), ('"\\\\u0000"'), ('"\\uD800"'), ('{"\\u0000": "\\\\\\u0000"}'),
	-- NUL
	('"\u0000"'), ('"a\u0000b\u0000"'), ('"\\\u0000"'), ('"\u00000"'), ('{"k\u0000": ["\u0000"]}'),
	('"\"\u0000"'), ('"\u0000\u0000\ud83d\ude00\u0000"'),
	-- surrogates that are not a pair
	('"\ud800"'), ('"\uDBFF."'), ('"\udc00"'), ('"\uDfFf\u0041"'), ('"\uD83D\uD83D\uDE00"'),
	('"\ude00\ud83d"'), ('"\ud83dx\ude00"'), ('"\ud83d\n\ude00"'), ('"\ud83d\\ude00"'),
	('"\ud83d\u0000\ude00"'), ('"\ud83d\u0041"'), ('{"\ud800": "\udfff", "x": "\ud83d\ude00"}'),
	-- names that become the same: the last one wins
	('{"\ud800": 1, "\udc00": 2}');
SELECT document, repaired(document) FROM cases ORDER BY id;

-- the neighbours of the surrogates
SELECT ascii(airun_json('"\ud7ff"') #>> '{}') AS below, ascii(airun_json('"\ue000"') #>> '{}') AS above;
-- what was valid for jsonb is the same with both
SELECT count(*), count(*) FILTER (WHERE airun_json(document::text) = document) AS same
FROM documents WHERE document IS NOT NULL;
-- long text, with the trouble at its end
SELECT length(airun_json('"' || repeat('x', 1000000) || '\u0000"')::text),
	right(repaired('"' || repeat('\\', 500000) || '\ud800"'), 8);
SELECT airun_json(NULL) IS NULL AS nothing;

--
-- JSON that nobody can read is refused
--
TRUNCATE cases RESTART IDENTITY;
INSERT INTO cases (document) VALUES
	(''), (' '), ('{"a":}'), ('{"a" 1}'), ('[1, 2'), ('[1,]'), ('"open'), ('tru'), ('NaN'),
	('''single'''), ('{a: 1}'), ('01'), ('1 2'), ('"\x"'), ('"\u00g0"'), ('"\u12"'), ('"\ud800\u12"'),
	('"\u0000"x'), ('\u0000'), ('["\u0000", \u0000]'), ('"\'), ('"' || chr(10) || '"'), ('"\u0000'),
	('"\ud83d\ude0"'), ('1e200000');
SELECT document, split_part(answer(format('SELECT airun_json(%L)', document)), ' | ', 1) AS answer
FROM cases ORDER BY id;
-- with what the parser said, where it said it, and what to do
SELECT answer('SELECT airun_json(''{"a":}'')');
SELECT answer('SELECT airun_json(''[1, 2'')');
-- too deep or too large is the document's fault as well
SELECT split_part(answer('SELECT airun_json(repeat(''['', 1000000))'), ' | ', 1) AS answer,
	split_part(answer('SELECT airun_json(repeat(''['', 1000000))'), ' | ', 2) AS detail,
	split_part(answer('SELECT airun_json(repeat(''['', 1000000))'), ' | ', 3) AS hint;
SELECT answer('SELECT airun_json(''1e200000'')');
-- errors caught many times in one transaction
BEGIN;
SELECT count(*) FILTER (WHERE answer('SELECT airun_json(''{'')') LIKE 'PT422%') FROM generate_series(1, 1000);
COMMIT;
\pset format aligned

DROP SCHEMA json_test CASCADE;
RESET search_path;
RESET client_encoding;
RESET client_min_messages;

-- in the order of places, whatever the order of the rows; NULL comes first
SELECT airun_array_in_order(to_jsonb(i), i) = (SELECT jsonb_agg(i ORDER BY i) FROM generate_series(1, 3000) i) AS in_order
FROM (SELECT i FROM generate_series(1, 3000) i ORDER BY md5(i::text)) x;
SELECT airun_array_in_order(e, p) FROM (VALUES ('"b"'::jsonb, 2::bigint), ('{"n": 1.50}', NULL), (NULL, 1), ('[3]', 3)) v (e, p);
SELECT airun_array_in_order(a, -n) = jsonb_agg(a ORDER BY -n) AS padded
FROM (SELECT n, CASE n % 3 WHEN 0 THEN to_jsonb(repeat('x', n % 7)) WHEN 1 THEN jsonb_build_object('n', n) ELSE to_jsonb(n) END
	FROM generate_series(1, 500) n) x (n, a);
SELECT n, airun_array_in_order(to_jsonb(n), -n) OVER (ORDER BY n) FROM generate_series(1, 3) n;
SELECT airun_array_in_order('1', 1) FILTER (WHERE false) IS NULL AS none;
