--
-- Names of runs, as they are made, given, changed and searched for; and what a
-- list counts.
--
SET client_min_messages = warning;
SET search_path = helpers, public;
DO $$BEGIN PERFORM airun_install(); END$$;
SET airun.user_id = 'names';

-- the name that a run gets from its first user message
CREATE FUNCTION pg_temp.named(content text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	run uuid;
BEGIN
	SELECT id INTO run FROM airun_create_run('name test');
	PERFORM airun_append_message(run, say(content));
	RETURN (SELECT name FROM ai_runs WHERE id = run);
END $$;

--
-- Sentences: a full stop behind what is cut short does not end one
--
SELECT content, pg_temp.named(content) AS name FROM (VALUES
	(1, 'Ask Dr. Smith. Then call.'), (2, 'Who was J. R. R. Tolkien? A writer.'), (3, 'Bread, e.g. rye. Or wheat.'),
	(4, 'Der Hr. Prof. Dr. Maier kommt. Bald.'), (5, 'See fig. 3. It is wrong.'), (6, 'The U.S. economy. In short.'),
	(7, 'I was born in 1990. You too?'), (8, 'Is it 3.5 or 4.'), (9, 'Really?! Yes.'), (10, 'Wait... What?'),
	(11, 'Call (Mrs. Lee) now! Thanks'), (12, E'First line\nsecond'), (13, '東京の天気は？明日は'), (14, 'No. 5 is alive. Sure.'),
	(15, 'Version 2. Go.'), (16, 'Dr.')) AS v (n, content) ORDER BY n;

--
-- What cannot be seen is not in a name, and gives none
--
SELECT what, pg_temp.named(content) AS name FROM (VALUES
	(1, 'zero width', U&'\200B\200C\200D\FEFF'), (2, 'directions and fillers', U&'\202A\2066\3164\115F\FFA0\2800'),
	(3, 'tags and soft hyphens', U&'\+0E0061\+0E007F\00AD'), (4, 'blanks', U&' \00A0\3000\2003'),
	(5, 'in front', U&'\FEFF\200B  Hello'), (6, 'first line', U&'\200B\000AHello'), (7, 'within', U&'in\00ADvisi\200Bble'),
	(8, 'other blanks', U&'a\00A0\3000b'), (9, 'another line end', U&'one\2028two')) AS v (n, what, content) ORDER BY n;
-- the next message gives it, then
SELECT id AS run FROM airun_create_run(name => U&'\200B') \gset
SELECT seq FROM airun_append_messages(:'run', jsonb_build_array(say(U&'\200B'), say('Hello')));
SELECT name FROM ai_runs WHERE id = :'run';
-- given by hand it counts as none, whichever way
SELECT name IS NULL AS none FROM airun_update_run(:'run', name => U&'\200B\FEFF');
INSERT INTO ai_runs (name) VALUES (U&' \200D') RETURNING name IS NULL AS none;
UPDATE ai_runs SET name = U&'\2060' WHERE id = :'run' RETURNING name IS NULL AS none;
INSERT INTO airun.runs (name) VALUES ('') RETURNING name IS NULL AS none;
SELECT airun_start_turn(messages => say('Mine'), run => jsonb_build_object('name', U&'\200B')) -> 'run' ->> 'name' AS name;
-- what is seen stays as it was given
SELECT name = U&'a\200Bb' AS kept FROM airun_update_run(:'run', name => U&'a\200Bb');

--
-- A cut: at a word, or between two characters as they are seen
--
SELECT what, length(name) AS code_points, substr(content, length(name) + 1) = repeat(piece, times - length(name) / length(piece)) AS whole
FROM (VALUES
	(1, 'a family', U&'\+01F468\200D\+01F469\200D\+01F467\200D\+01F466', 20), (2, 'skin tone', U&'\+01F44D\+01F3FD', 50),
	(3, 'flag', U&'\+01F1E9\+01F1EA', 50), (4, 'variation selector', U&'\2764\FE0F\200D\+01F525', 30),
	(5, 'flag of tags', U&'\+01F3F4\+0E0067\+0E0062\+0E0073\+0E0063\+0E0074\+0E007F', 20), (6, 'keycap', U&'1\FE0F\20E3', 41),
	(7, 'accents', U&'e\0301\0323', 41), (8, 'Hindi', U&'\0928\0940\0902', 41), (9, 'Thai', U&'\0E01\0E33\0E49', 41),
	(10, 'Hangul', U&'\1112\1161\11AB', 41), (11, 'plain', 'x', 70)) AS v (n, what, piece, times)
CROSS JOIN LATERAL repeat(piece, times) AS content CROSS JOIN LATERAL pg_temp.named(content) AS name ORDER BY n;
SELECT length(pg_temp.named('e' || repeat(U&'\0301', 500))) AS one_without_an_end, length(pg_temp.named(repeat('word ', 20))) AS words,
	length(pg_temp.named('a ' || repeat('b', 80))) AS long_word_behind;

--
-- A title that is made late does not overwrite the user's
--
SELECT id AS run FROM airun_create_run(settings => '{"model": "m"}', variable_values => '{"x": 1}') \gset
SELECT seq FROM airun_append_message(:'run', say('How do I bake bread?'));
SELECT name FROM airun_update_run(:'run', name => 'Bread', if_name => 'How do I bake bread?');
SELECT name FROM airun_update_run(:'run', name => 'My bread notes');
SELECT name, description FROM airun_update_run(:'run', name => 'Bread baking basics', if_name => 'Bread', description => 'set all the same');
SELECT name FROM airun_update_run((airun_create_run()).id, name => 'Only where there is none', if_name => '');
SELECT name FROM airun_update_run(:'run', name => 'Only where there is none', if_name => '');
-- what has been created or changed is shown with its settings
SELECT settings, variable_values FROM airun_create_run(settings => '{"model": "m"}', variable_values => '{"x": 1}', id => airun_uuid());
SELECT settings, variable_values FROM airun_update_run(:'run', settings => '{"model": "n"}');

--
-- Search: whatever the case and the marks
--
SELECT count(airun_create_run('searched', name => name, tags => tags)) FROM (VALUES ('João Silva', '{}'::text[]), ('Łódź', '{}'), ('Straße 9', '{}'),
	('İstanbul', '{}'), (U&'e\0301te\0301', '{}'), ('Ørsted', '{}'), ('Đà Nẵng', '{}'), ('Œuvre', '{}'), ('кафе', '{}'), ('각', '{}'), ('100%', '{}'),
	('tagged', '{Müller}')) AS v (name, tags);
SELECT search, (SELECT array_agg(name ORDER BY name COLLATE "C") FROM airun_list_runs('searched', search => search)) AS found
FROM unnest(ARRAY['joao', 'JOÃO', U&'joa\0303o', 'lodz', 'strasse', 'STRASSE', 'istanbul', 'ete', U&'\00E9t\00E9', 'orsted', 'da nang', 'oeuvre', 'КАФЕ', '가', '0%', 'mull', 'x_z']) AS search;
-- of marks alone nothing is left to search for
SELECT count(*) FROM airun_list_runs('searched', search => U&'\0301');

--
-- A list has all, for a client to count and to cut; a page where one is asked for
--
SELECT count(airun_create_run('many')) FROM generate_series(1, 2345);
SELECT count(*) AS all, count(DISTINCT id) AS different FROM airun_list_runs('many');
SELECT count(*) AS limited FROM (SELECT * FROM airun_list_runs('many') LIMIT 100 OFFSET 2300) AS page;
SELECT (SELECT array_agg(id) FROM (SELECT id FROM airun_list_runs('many') LIMIT 20 OFFSET 20) AS o) = (SELECT array_agg(id) FROM airun_list_runs('many', page_size => 20,
	cursor => (SELECT cursor FROM airun_list_runs('many', page_size => 20) OFFSET 19))) AS same_page;
SELECT count(*) AS page FROM airun_list_runs('many', page_size => 7);
SELECT count(*) AS behind_the_cursor FROM airun_list_runs('many', cursor => (SELECT cursor FROM airun_list_runs('many', page_size => 20) OFFSET 19));
SELECT count(*) AS filtered FROM airun_list_runs('many', starred => false);
SELECT answer('SELECT airun_list_runs(page_size => 1001)');
-- nobody's list is no list: as for a write
CREATE ROLE regress_airun_names NOLOGIN;
SELECT airun_grant('regress_airun_names');
GRANT USAGE ON SCHEMA helpers TO regress_airun_names;
SET ROLE regress_airun_names;
SET request.jwt.claims = '{"role": "anon"}';
SELECT answer('SELECT airun_list_runs()');
SELECT attempt('SELECT airun_create_run()');
SET request.jwt.claims = '{"sub": "somebody"}';
SELECT attempt('SELECT count(*) FROM airun_list_runs()');
RESET request.jwt.claims;
RESET ROLE;
SELECT count(*) > 2000 AS the_owner_sees_all FROM airun_list_runs();

--
-- A variant of a model is not priced as the model, by a pattern
--
SELECT count(airun_set_price(model, rates, provider, match_rule => rule, per_tokens => 1000000, effective_from => '2020-01-01')) FROM (VALUES
	('nv-r1', '{"input": 2, "output": 8}'::jsonb, 'deepseek', '{"starts_with": "nv-r1"}'::jsonb),
	('nv-m2', '{"input": 3, "output": 9}', 'openrouter', '{"or": [{"equals": "nv-m2"}, {"ends_with": "nv-m2:beta"}]}'),
	('nv-free', '{"input": 0, "output": 0}', 'openrouter', '{"and": [{"contains": "nv-"}, {"ends_with": ":gratis"}]}'),
	('nv-m3:nitro', '{"input": 7, "output": 7}', 'openrouter', NULL)) AS v (model, rates, provider, rule);
SELECT model, airun_cost(model, '{"prompt_tokens": 1000000, "completion_tokens": 0}') AS cost FROM unnest('{nv-r1,nv-r1-0528,deepseek/nv-r1,nv-r1:free,deepseek/nv-r1:free,nv-r1-0528:free,nv-r1:nitro,nv-r1:latest,nv-r1:0,openrouter/nv-m2,nv-m2:beta,x/nv-m2:beta,nv-m2:free,nv-r1:gratis,nv-m3:nitro,ft:nv-r1:me::1}'::text[]) AS model;
SELECT airun_cost('nv-r1:free', '{"prompt_tokens": 1000000}', 'deepseek') AS with_a_provider;
DELETE FROM airun.prices WHERE model LIKE 'nv-%';
SELECT * FROM airun_check();
SET airun.user_id = 'names';
DELETE FROM airun.runs WHERE user_id = airun_user_id();
DROP OWNED BY regress_airun_names;
DROP ROLE regress_airun_names;
RESET airun.user_id;
