--
-- Finding what has been said: words, phrases, exclusions, in all scripts; order,
-- pages, filters; whose messages; what is refused.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA search_test;
SET search_path = search_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8005';
SET client_encoding = 'UTF8';
CREATE ROLE regress_airun_search;
SELECT airun_grant('regress_airun_search');
GRANT USAGE ON SCHEMA search_test TO regress_airun_search;
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- the seqs that are found, in the order of life
CREATE FUNCTION found(query text, run int DEFAULT 1) RETURNS text LANGUAGE sql AS
$$SELECT coalesce(string_agg(seq::text, ' ' ORDER BY seq), 'none') FROM airun_search(query, run_id => helpers.run_id(run))$$;

-- all pages of a query, one after the other
CREATE FUNCTION pages(size int, sort text, query text) RETURNS TABLE (n bigint, run_id uuid, seq bigint, rank real, created_at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
	hit record;
	place text;
	rows int;
BEGIN
	n := 0;
	LOOP
		rows := 0;
		FOR hit IN SELECT * FROM public.airun_search(query, source_type => 'pages', sort => sort, page_size => size, cursor => place) LOOP
			rows := rows + 1;
			n := n + 1;
			run_id := hit.run_id; seq := hit.seq; rank := hit.rank; created_at := hit.created_at; place := hit.cursor;
			RETURN NEXT;
		END LOOP;
		EXIT WHEN rows < size;
	END LOOP;
END $$;

SET airun.user_id = '5ea5c400-0000-4000-8000-00000000aaaa';
SET ROLE regress_airun_search;

-- 1. Words, phrases, exclusions; neither case nor accents count.
SELECT count(airun_create_run(id => run_id(1), name => 'Crème brûlée', tags => '{Dessert,naïve}', source_type => 'cook'));
SELECT count(*) FROM airun_append_messages(run_id(1), jsonb_build_array(
	say('Which hotels are near the Łódź station?'),
	say('The Hotel *Polonia*, and the motel.', 'assistant'),
	say(U&'Ein Stra\00DFencaf\00E9 in E\0301vora'),
	say('東京都の天気予報はどうですか。ガラスは', 'assistant'),
	say('北京烤鸭在哪里', 'assistant'),
	say('สวัสดีครับ ร้านอาหารไทยอยู่ที่ไหน'),
	say('한국어로 말씀해 주세요'),
	say('error[E0502] in src/run/get_userName2.c: p->next != NULL, C++ --force PT422'),
	say(U&'\FF26\FF55\FF4C\FF4C \FB01ne don\2019t \201Cquoted\201D HELLO,
  world'),
	'{"role": "assistant", "parts": [{"type": "reasoning", "text": "hidden thought"}, {"type": "text", "text": "spoken part"}]}',
	'{"role": "model", "parts": [{"text": "veiled idea", "thought": true}, {"text": "uttered words"}]}',
	'{"role": "user", "content": "", "parts": [{"type": "text", "text": "papaya question"}]}'));
SELECT q, found(q) FROM unnest(ARRAY[
	'hotel', 'HOTELS', 'otel', 'hotel -motel', '-motel hotel', 'hotel -"near the"', '"the hotel"', 'hotel station',
	'lodz', 'Łódź', 'strassencafe', 'STRASSENCAFÉ', 'evora',
	'東京', '天気', '予報は', 'カ', 'ガラス', '烤鸭', '北京', 'ร้านอาหาร', 'อาหาร', '국어', '말씀',
	'E0502', '0502', 'src/run/get', 'get_username2', 'username', 'name', 'p->next', '"p->next != null"', 'c++', '"--force"', 'PT422', '422', '->',
	'full', 'fine', 'don''t', '"quoted"', '"hello world"', '"hello, world"', 'hello -world', 'hello -wor', 'hidden', 'spoken part', 'veiled', 'uttered', 'papaya',
	'"unbalanced', 'the -"unbalanced', 'hotel "', 'hotel -']) WITH ORDINALITY AS x (q, n) ORDER BY n;

-- 2. Runs by name, description and tags; neither where a role is asked for.
SELECT seq, role, run_name, snippet, rank > 0 AND rank < 1, created_at = (SELECT created_at FROM ai_runs WHERE id = run_id(1)) FROM airun_search('creme brulee');
SELECT snippet FROM airun_search('dessert naive');
SELECT count(*) FROM airun_search('creme', role => 'user');

-- 3. Snippets are HTML, with no markup but the marks, and cut at words.
SELECT count(airun_create_run(id => run_id(2), name => 'Snippets'));
SELECT count(*) FROM airun_append_messages(run_id(2), jsonb_build_array(
	say('<b>needle</b> & "needle"' || chr(10) || chr(9) || 'needles'),
	say(repeat('straw ', 50) || 'needle ' || repeat('hay ', 100) || 'pin'),
	say('pin ' || repeat('x', 1000) || ' pin needle pin ' || repeat('ß', 300)),
	say(U&'na\0308dle ' || 'xßy Straße')));
SELECT seq, snippet FROM airun_search('needle', run_id => run_id(2)) ORDER BY seq;
SELECT seq, snippet FROM airun_search('pin needle', run_id => run_id(2)) ORDER BY seq;
SELECT snippet FROM airun_search('nad', run_id => run_id(2));
SELECT snippet FROM airun_search('stras', run_id => run_id(2));

-- 4. Order and pages.  Each page goes on where the one before ended, in either order.
SELECT count(airun_create_run(id => run_id(100 + n), name => 'Run ' || n, tags => ARRAY['t' || n % 2], source_type => 'pages', source_id => run_id(n % 3))) FROM generate_series(1, 30) n;
SELECT count(airun_append_message(run_id(100 + n % 30 + 1), say(repeat('apple ', n % 7) || repeat('pear ', n % 5) || n, CASE n % 2 WHEN 0 THEN 'user' ELSE 'assistant' END))) FROM generate_series(1, 400) n;
SELECT s.sort, p.size, q, count(*), count(DISTINCT (p.run_id, p.seq)),
	bool_and(p.fine) AS in_order
FROM (VALUES ('best'), ('newest')) s (sort), unnest(ARRAY['apple', 'apple -pear', 'pear apple']) q,
	LATERAL (SELECT size, run_id, seq, CASE s.sort WHEN 'best' THEN lag(rank) OVER w IS NULL OR lag(rank) OVER w >= rank
		ELSE lag(created_at) OVER w IS NULL OR lag(created_at) OVER w >= created_at END AS fine
		FROM unnest(ARRAY[7, 100]) size, pages(size, s.sort, q) x WINDOW w AS (PARTITION BY size ORDER BY n)) p
GROUP BY s.sort, p.size, q ORDER BY s.sort, q, p.size;
SELECT q, count(*) FROM (VALUES ('apple'), ('apple -pear'), ('pear apple')) v (q), airun.messages m
WHERE m.run_id BETWEEN run_id(101) AND run_id(130) AND (q NOT LIKE '%apple%' OR m.message ->> 'content' LIKE '%apple%')
	AND CASE WHEN q LIKE '%-pear%' THEN m.message ->> 'content' NOT LIKE '%pear%' WHEN q LIKE '%pear%' THEN m.message ->> 'content' LIKE '%pear%' ELSE true END
GROUP BY q ORDER BY q;
-- what has it oftener is better, and a whole word better than a beginning, and a short text better than a long one
SELECT count(airun_create_run(id => run_id(4), name => 'Ranks'));
SELECT count(*) FROM airun_append_messages(run_id(4), jsonb_build_array(say('plum'), say('plum plum'), say('plums'), say('plum' || repeat(' stone', 100)), say('plumplum')));
SELECT string_agg(seq::text, ' ' ORDER BY n) FROM airun_search('plum', run_id => run_id(4)) WITH ORDINALITY x (r, name, seq, role, at, snippet, rank, cursor, n);

-- 5. Filters, one by one, each with the rows that it must leave.
SELECT count(airun_append_message(run_id(100 + n), say('cherry', CASE n % 3 WHEN 0 THEN 'user' ELSE 'assistant' END))) FROM generate_series(1, 30) n;
SELECT filter, attempt(format('SELECT count(*) FROM airun_search(''cherry'', page_size => 100, %s)', filter)) FROM unnest(ARRAY[
	'source_type => ''pages''', 'source_type => ''cook''', 'source_id => run_id(1)', 'source_id => run_id(7)', 'tags => ''{t1}''', 'tags => ''{t0,t1}''',
	'role => ''assistant''', 'role => ''tool''', 'tags => ''{t0}'', role => ''user''', 'starred => true', 'starred => false', 'archived => true', 'archived => false',
	'since => now() - interval ''1 hour''', 'since => now() + interval ''1 hour''', 'until => now() - interval ''1 hour''', 'until => now() + interval ''1 hour''',
	'run_id => run_id(105)', 'run_id => run_id(999)']) WITH ORDINALITY f (filter, n) ORDER BY n;
SELECT count(airun_toggle_star(run_id(105))), count(airun_archive_run(run_id(106)));
SELECT (SELECT count(*) > 0 AND bool_and(run_id = run_id(105)) FROM airun_search('apple', starred => true)), (SELECT count(*) > 0 AND bool_and(run_id = run_id(106)) FROM airun_search('apple', archived => true)),
	(SELECT count(*) > 0 AND bool_and(run_id <> run_id(106)) FROM airun_search('apple', archived => false, page_size => 100));
SELECT count(*) > 0 FROM airun_search('apple', since => 'yesterday', until => 'tomorrow', role => 'assistant', tags => '{t0}');

-- What stands in files that were attached, was heard, refused or returned by a tool, in whichever shape; not what was
-- thought or called.  Texts of two parts are no word together.
SELECT count(airun_create_run(id => run_id(5), name => 'Shapes'));
SELECT count(*) FROM airun_append_messages(run_id(5), '[
	{"role": "user", "content": [{"type": "file", "file_name": "a.txt", "extracted_content": "word pasted"}]},
	{"role": "user", "content": [{"type": "file", "url": "x", "file": {"data": {"content": "word attached"}}}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,word"}}]},
	{"role": "user", "parts": [{"type": "file", "mediaType": "text/plain", "url": "data:text/plain;base64,d29yZCBlbmNvZGVk"}]},
	{"role": "assistant", "content": null, "audio": {"id": "a", "transcript": "word heard"}},
	{"role": "assistant", "content": null, "refusal": "word refused"},
	{"role": "assistant", "content": "so", "parts": [{"type": "thinking", "thinking": "word thought"}, {"type": "text", "text": "so"}]},
	{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {"a": "word called"}}]},
	{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "word returned"}]}]},
	{"role": "assistant", "parts": [{"type": "tool-f", "toolCallId": "u", "state": "output-available", "input": {"a": "word called"}, "output": {"b": "word returned"}}]},
	{"role": "user", "content": "so", "experimental_attachments": [{"contentType": "text/plain", "url": "data:text/plain;base64,d29yZCBiZXNpZGU="}]},
	{"role": "user", "content": [{"type": "text", "text": "two"}, {"type": "text", "text": "words"}]},
	{"role": "user", "content": "known by this", "parts": [{"type": "text", "text": "parts"}]}, {"role": "user", "content": [["nested"]]}]');
SELECT q, found(q, 5) FROM unnest(ARRAY['word', '"word pasted"', 'attached', 'encoded', 'beside', 'heard', 'refused', 'thought', 'called', 'returned', 'twowords', '"two words"', 'known', 'parts', 'nested']) WITH ORDINALITY AS x (q, n) ORDER BY n;

-- 6. What was edited, taken back or deleted is not found, and is again once it is restored.
SELECT count(airun_create_run(id => run_id(3), name => 'Gone'));
SELECT count(airun_append_message(run_id(3), say('first secretword'), 'm1')), count(airun_append_message(run_id(3), say('second secretword'), 'm2'));
SELECT found('secretword', 3);
SELECT count(airun_save_message(run_id(3), say('first changed'), 'm1')), found('secretword', 3);
SELECT found('changed', 3);
SELECT count(airun_truncate_messages(run_id(3), 1));
SELECT found('secretword', 3);
SELECT count(airun_append_message(run_id(3), say('third secretword'), 'm3')), count(airun_delete_run(run_id(3)));
SELECT found('secretword', 3), (SELECT count(*) FROM airun_search('secretword'));
SELECT count(airun_restore_run(run_id(3)));
SELECT found('secretword', 3);

-- What is kept out of the list is searched only where it is named.
SELECT count(airun_update_run(run_id(3), is_listed => false));
SELECT found('secretword', 3), (SELECT count(*) FROM airun_search('secretword')), (SELECT count(*) FROM airun_search('secretword', source_type => 'chat', sort => 'newest'));

-- 7. Only the caller's, unless a policy of the site says more; and for nobody an error.
SET airun.user_id = '5ea5c400-0000-4000-8000-00000000bbbb';
SELECT count(*) FROM airun_search('apple');
SELECT found('apple', 105), found('hotel');
RESET ROLE;
CREATE POLICY site_search ON airun.runs FOR SELECT USING (tags @> '{t1}');
SET ROLE regress_airun_search;
SELECT count(*) > 0 AND bool_and(right(run_id::text, 3)::int % 2 = 1) FROM airun_search('apple', page_size => 100);
SELECT found('apple', 105), found('apple', 106), found('hotel');
RESET ROLE;
DROP POLICY site_search ON airun.runs;
SET ROLE regress_airun_search;
SELECT count(*) FROM airun_search('apple');
RESET airun.user_id;
SELECT attempt('SELECT count(*) FROM airun_search(''apple'')');
SET airun.user_id = '5ea5c400-0000-4000-8000-00000000aaaa';

-- 8. What is refused, and what is merely odd.
SELECT left(c, 60), attempt(c) FROM unnest(ARRAY[
	'SELECT airun_search(NULL)', 'SELECT airun_search('''')', 'SELECT airun_search('' '')', 'SELECT airun_search(''""'')', 'SELECT airun_search(''-a -"b c"'')',
	'SELECT airun_search(U&''\0301'')', 'SELECT airun_search(repeat(''x'', 1001))', 'SELECT airun_search(repeat(''x '', 33))', 'SELECT airun_search(repeat(''x'', 10000))',
	'SELECT airun_search(''a'', sort => ''worst'')', 'SELECT airun_search(''a'', page_size => 0)', 'SELECT airun_search(''a'', page_size => 101)',
	'SELECT airun_search(''a'', cursor => '''')', 'SELECT airun_search(''a'', cursor => repeat(''f'', 74))', 'SELECT airun_search(''a'', cursor => repeat(''0'', 74))',
	'SELECT airun_search(''apple'', sort => ''newest'', cursor => (SELECT cursor FROM airun_search(''apple'', page_size => 1)))',
	'SELECT count(*) FROM airun_search(''the'')', 'SELECT count(*) FROM airun_search(''%'')', 'SELECT count(*) FROM airun_search(repeat(''x'', 1000))', 'SELECT count(*) FROM airun_search(repeat(''"'', 1000) || ''x'')',
	'SELECT count(*) FROM airun_search(''a'', sort => NULL, page_size => NULL) x WHERE false', 'SELECT count(*) FROM airun_search(U&''\FDFA'')',
	'SELECT count(*) FROM airun_search(''"'' || chr(1) || ''a'')']) WITH ORDINALITY x (c, n) ORDER BY n;
SELECT hint_of('SELECT airun_search(''-a'')');
SELECT hint_of('SELECT airun_search(''a'', cursor => ''x'')');

-- 9. Texts of ASCII alone are looked through by a way of their own.  With characters that show nothing within them, the
-- same texts have the same words, in the same places of the order.
SELECT setseed(0.16);
SELECT count(airun_create_run(id => run_id(400 + i))) FROM generate_series(1, 2) AS i;
CREATE TEMP TABLE random_text AS SELECT i, string_agg(substr(E'aabAB1  _-.\tZz9"', 1 + floor(random() * 16)::int, 1), '') AS plain FROM generate_series(1, 90) AS i, generate_series(1, 100 + 2 * i) AS k GROUP BY i;
SELECT count(airun_append_message(run_id(401), say(plain))), count(airun_append_message(run_id(402), say(regexp_replace(plain, '(..)', '\1' || chr(8203), 'g')))) FROM random_text;
WITH query AS (SELECT DISTINCT CASE floor(random() * 4) WHEN 0 THEN '"' || part || '"' WHEN 1 THEN 'a ' || part WHEN 2 THEN 'a ' || part || ' -b' ELSE part END AS query
		FROM random_text AS t, generate_series(1, 10) AS k, LATERAL (SELECT replace(substr(plain, 1 + floor(random() * 90)::int, 1 + k % 7), '"', '') AS part) AS p WHERE part ~ '[^\s-]' AND part !~ '^\s*-'),
	hits AS (SELECT query, run, (SELECT array_agg(seq || ' ' || rank ORDER BY seq) FROM airun_search(query, run_id => run_id(run), page_size => 100, role => 'user')) AS hits FROM query, generate_series(401, 402) AS run)
SELECT count(*) > 300 AS queries, count(*) FILTER (WHERE a.hits IS NOT NULL) > 200 AS with_hits, count(*) FILTER (WHERE cardinality(a.hits) < 45) > 100 AS with_few,
	string_agg(format('%s: %s, %s', a.query, a.hits, b.hits), E'\n') FILTER (WHERE a.hits IS DISTINCT FROM b.hits) AS differences
FROM hits AS a JOIN hits AS b ON b.query = a.query AND a.run = 401 AND b.run = 402;

-- More runs than are read at once: each is found, once.
SELECT count(airun_create_run(name => 'haystack ' || i)) FROM generate_series(1, 430) AS i;
WITH RECURSIVE page AS (
	SELECT array_agg(run_name) AS names, (array_agg(cursor))[100] AS cursor FROM airun_search('haystack', sort => 'newest', page_size => 100)
	UNION ALL SELECT h.names, h.cursor FROM page, LATERAL (SELECT array_agg(run_name), (array_agg(cursor))[100] FROM airun_search('haystack', sort => 'newest', page_size => 100, cursor => page.cursor)) AS h (names, cursor) WHERE page.cursor IS NOT NULL)
SELECT count(*), count(DISTINCT name) FROM page, unnest(names) AS name;
SELECT count(*), count(DISTINCT run_name) FROM airun_search('haystack', page_size => 100);

-- 10. It only reads, in a parallel worker too.
RESET ROLE;
BEGIN READ ONLY; SELECT count(*) > 0 FROM airun_search('apple'); COMMIT;
SELECT provolatile, proparallel, prosecdef FROM pg_proc WHERE proname = 'airun_search';
SELECT count(airun_delete_run(id)) > 0 FROM ai_runs WHERE user_id = '5ea5c400-0000-4000-8000-00000000aaaa';
SELECT airun_purge_runs('infinity') > 0;
SELECT * FROM airun_check();
RESET airun.user_id;
DROP OWNED BY regress_airun_search;
DROP ROLE regress_airun_search;
DROP SCHEMA search_test CASCADE;
