/*
 * common.sql: what is stored, the same bytes for all, and how peers are filled
 *
 * The text is that of real conversations (:files, a list of JSON lines files).
 * bench.messages are 5,000 different ones of 1 kB each; runs for turns, whose kind
 * is 90000 and more, have what turns like the measured one have left behind: questions
 * of 1 kB and answers of 4 kB.
 *
 * Every peer's file begins with its schema.  Behind that, each part that begins
 * with "-- @name" is a pgbench script: a run is drawn at random from :runs, whose
 * ids begin with :kind; a line with # stands for ten, # being 1 to 10.
 */
CREATE SCHEMA bench;

CREATE TABLE bench.corpus AS
	SELECT row_number() OVER () AS n, line
	FROM unnest(string_to_array(:'files', ' ')) AS f (file),
		string_to_table(pg_read_file(file), E'\n') AS line
	WHERE line <> '';

-- What people and models said, long enough for messages that differ.
CREATE TABLE bench.words (text text);
ALTER TABLE bench.words ALTER text SET STORAGE EXTERNAL;
INSERT INTO bench.words
	SELECT left(repeat(text, 1 + 200000 / length(text)), 200000)
	FROM (SELECT regexp_replace(string_agg(m ->> 'content', E'\n\n' ORDER BY c.n), '[^\x01-\x7f]', '', 'g') AS text
		  FROM bench.corpus AS c, LATERAL jsonb_array_elements(c.line::jsonb -> 'messages') AS m
		  WHERE jsonb_typeof(m -> 'content') = 'string') AS t;

-- A message whose JSON text has as many bytes as asked for.
CREATE FUNCTION bench.message(role text, size int, start int) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
	content text := substr((SELECT text FROM bench.words), start, size);
	result jsonb;
	surplus int;
BEGIN
	LOOP
		result := jsonb_build_object('role', role, 'content', content, 'timestamp', '2026-01-01T00:00:00.000Z');
		surplus := octet_length(result::text) - size;
		EXIT WHEN surplus <= 0;
		content := left(content, -(1 + surplus / 2));
	END LOOP;
	RETURN jsonb_set(result, '{content}', to_jsonb(content || repeat('.', -surplus)));
END$$;

CREATE TABLE bench.messages AS
	SELECT of_turns, i AS seq,
		CASE i % 2 WHEN 1 THEN bench.message('user', 1024, (i * 7919) % 190000 + 1)
			ELSE bench.message('assistant', CASE WHEN of_turns THEN 4096 ELSE 1024 END, (i * 7919) % 190000 + 1) END AS message
	FROM (VALUES (false, 5000), (true, 100)) AS v (of_turns, length), generate_series(1, length) AS i;

-- What a run of a kind has.
CREATE FUNCTION bench.conversation(kind text, length int) RETURNS SETOF bench.messages LANGUAGE sql STABLE AS
	$$SELECT * FROM bench.messages WHERE of_turns = (kind LIKE '0009%') AND seq <= length$$;

-- The ids of the runs of a kind.
CREATE FUNCTION bench.run_ids(kind text, runs int) RETURNS SETOF uuid LANGUAGE sql IMMUTABLE AS
	$$SELECT (kind || 100000000000 + i)::uuid FROM generate_series(1, runs) AS i$$;
