--
-- The list of runs: filters, keyset pages, search, cursors.
--
-- Called as an API role, whom row security binds, with one user at a time.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA list_test;
SET search_path = list_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8002';
SET client_encoding = 'UTF8';
CREATE ROLE regress_airun_list;
SELECT airun_grant('regress_airun_list');
GRANT USAGE ON SCHEMA list_test TO regress_airun_list;
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION number(id uuid) RETURNS int LANGUAGE sql IMMUTABLE AS $$SELECT right(id::text, 12)::int$$;

-- times of one's own choice, past the triggers
CREATE FUNCTION set_time(n int, at timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL session_replication_role = replica;
	UPDATE airun.runs SET created_at = at, last_message_at = at, active_hour = date_trunc('hour', at, 'UTC')
	WHERE id = run_id(n);
	SET LOCAL session_replication_role = origin;
END$$;

--
-- Filters
--
SET ROLE regress_airun_list;
SET airun.user_id = 'list filters';
SELECT count(airun_create_run(v.source_type, v.source_id, v.name, v.description, tags => v.tags, id => run_id(v.n)))
FROM (VALUES (1, 'chat', NULL::uuid, 'Plain', NULL, '{}'::text[]),
	(2, 'prompt', run_id(900), '100% sure_', 'Über Äpfel', '{work,Öl}'),
	(3, 'prompt', run_id(901), 'ΣΊΣΥΦΟΣ', 'a\b', '{work}'),
	(4, 'prompt', NULL, NULL, NULL, '{home,"two words"}'),
	(5, 'action', run_id(900), 'Error', 'x', '{work,home}'),
	(6, 'chat', NULL, 'Starred', 'only_this', '{}'),
	(7, 'chat', NULL, 'Archived', 'plain too', '{work}'),
	(8, 'chat', NULL, 'Archived and starred', NULL, '{}'),
	(9, 'chat', NULL, 'Deleted', NULL, '{work}'),
	(10, 'chat', NULL, 'Completed', NULL, '{}')) v (n, source_type, source_id, name, description, tags);
SELECT count(airun_set_run_status(run_id(5), 'error')), count(airun_set_run_status(run_id(10), 'completed')),
	count(airun_star_run(run_id(6))), count(airun_star_run(run_id(8))), count(airun_archive_run(run_id(7))),
	count(airun_archive_run(run_id(8))), airun_delete_run(run_id(9));
RESET ROLE;
SELECT count(set_time(n, timestamptz '2026-01-01 00:00+00' + n * interval '25 minutes')) FROM generate_series(1, 10) n;
SET ROLE regress_airun_list;

-- the numbers of the runs that a call lists, in its order
CREATE FUNCTION pg_temp.listed(arguments text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SELECT string_agg(list_test.number(id)::text, '' '' ORDER BY ordinality) '
		'FROM public.airun_list_runs(%s) WITH ORDINALITY', arguments) INTO answer;
	RETURN coalesce(answer, 'none');
END$$;
SELECT a, pg_temp.listed(a) FROM unnest(ARRAY[
	'', 'page_size => 3', 'page_size => NULL', 'page_size => 1000', 'source_type => NULL',
	'source_type => ''chat''', 'source_type => ''prompt''', 'source_type => ''nothing''', 'source_type => ''''',
	'source_id => helpers.run_id(900)', 'source_type => ''prompt'', source_id => helpers.run_id(900)',
	'status => ''active''', 'status => ''error''', 'status => ''failed''', 'status => ''completed''',
	'starred => true', 'starred => false', 'archived => true', 'archived => false', 'archived => NULL', 'archived => true, starred => true',
	'tag => ''work''', 'tag => ''Work''', 'tag => ''two words''', 'tag => ''wor''', 'tag => ''''',
	'source_type => ''prompt'', tag => ''work'', search => ''ü''', 'archived => true, tag => ''work''']) WITH ORDINALITY u (a, i)
ORDER BY i;
-- search: a literal part of the name, the description or a tag, in any case of letters
SELECT s, pg_temp.listed(format('search => %L', s)) FROM unnest(ARRAY[
	'plain', 'PLAIN', 'lai', '%', '_', '100%', 'e_', 'only_', 'nothing', '', '\', 'a\b', 'ÜBER', 'äPFEL', 'öl', 'ÖL',
	'σίσυφ', 'Two W', 'work', 'ork}', '*', 'pla.n', 'plain ', ' ', 'starred']) WITH ORDINALITY u (s, i)
ORDER BY i;
SELECT pg_temp.listed('search => NULL');
SELECT pg_temp.listed('search => ''PLAIN'', archived => true');

-- a row is the run's summary and its cursor
SELECT (to_jsonb(l) - 'cursor') = to_jsonb(s), l.cursor ~ '^[0-9a-f]+$'
FROM airun_list_runs(source_type => 'action') l JOIN ai_run_summaries s USING (id);
-- another user's runs are in nobody's list
SET airun.user_id = 'list stranger';
SELECT pg_temp.listed(''), pg_temp.listed('archived => true');
SET airun.user_id = 'list filters';

--
-- The status as a word that is not one, and pages of absurd sizes
--
SELECT a, attempt(format('SELECT count(*) FROM airun_list_runs(%s)', a)) FROM unnest(ARRAY[
	'page_size => 0', 'page_size => -1', 'page_size => 1001', 'page_size => 2147483647', 'page_size => -2147483648',
	'page_size => 1', 'page_size => 1000', 'page_size => NULL', 'status => ''done''', 'status => ''''']) WITH ORDINALITY u (a, i)
ORDER BY i;

--
-- Cursors: what did not come from here is refused
--
SELECT cursor AS good FROM airun_list_runs(page_size => 1) \gset
SELECT length(:'good');
SELECT pg_temp.listed(format('cursor => %L', :'good'));
SELECT n, attempt(format('SELECT count(*) FROM airun_list_runs(cursor => %L)', c)) FROM (VALUES
	(1, ''), (2, 'x'), (3, ' '), (4, upper(:'good')), (5, left(:'good', -1)), (6, left(:'good', -2)), (7, :'good' || '0'),
	(8, :'good' || '00'), (9, ' ' || :'good'), (10, :'good' || ' '), (11, 'g' || substr(:'good', 2)),
	(12, '02' || substr(:'good', 3)), (13, '00' || substr(:'good', 3)), (14, repeat('f', length(:'good'))),
	(15, '01' || repeat('f', length(:'good') - 2)), (16, '01' || '7fffffffffffffff' || substr(:'good', 19)),
	(17, '01' || '8000000000000000' || substr(:'good', 19)), (18, replace(:'good', '0', 'é')), (19, repeat('a', 1000000)),
	(20, '{"id": 1}'), (21, '00000000-0000-4000-8002-000000000001'), (22, ''' OR true --'), (23, '-1'),
	(24, left(:'good', 18) || '7fffffffffffffff' || substr(:'good', 35)), (25, '漢字')) v (n, c)
ORDER BY n;
-- one that is well formed and belongs to no run is a place in the list all the same
SELECT pg_temp.listed(format('cursor => %L', '01' || repeat('0', length(:'good') - 2)));
SELECT pg_temp.listed(format('cursor => %L', left(:'good', 34) || repeat('0', 32)));
SELECT pg_temp.listed(format('cursor => %L', left(:'good', 34) || repeat('f', 32)));

--
-- 250 runs, many with the same time, in pages of 7
--
SET airun.user_id = 'list walk';
SELECT count(airun_create_run(id => run_id(1000 + n), source_type => CASE WHEN n % 5 = 0 THEN 'five' ELSE 'other' END,
	source_id => CASE WHEN n % 10 = 0 THEN run_id(902) END)) FROM generate_series(1, 250) n;
RESET ROLE;
-- groups of up to 40 at one time; groups of times within an hour, and over hours
SELECT count(set_time(1000 + n, timestamptz '2026-02-01 10:00+00'
	+ CASE WHEN n <= 40 THEN interval '0' WHEN n <= 120 THEN (n / 10) * interval '7 minutes'
		ELSE (n / 3) * interval '31 minutes' END
	+ CASE WHEN n % 17 = 0 THEN interval '1 microsecond' ELSE interval '0' END))
FROM generate_series(1, 250) n;
SET ROLE regress_airun_list;
CREATE FUNCTION pg_temp.walk(filter text, page int) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	seen int[] := '{}';
	place text;
	rows int;
	row record;
BEGIN
	LOOP
		rows := 0;
		FOR row IN EXECUTE format('SELECT id, cursor FROM public.airun_list_runs(%s page_size => $1, cursor => $2)', filter)
			USING page, place
		LOOP
			seen := seen || list_test.number(row.id);
			place := row.cursor;
			rows := rows + 1;
		END LOOP;
		EXIT WHEN rows < page;
	END LOOP;
	RETURN seen;
END$$;
CREATE FUNCTION pg_temp.in_order(condition text) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
	answer int[];
BEGIN
	EXECUTE format('SELECT array_agg(list_test.number(id) ORDER BY last_message_at DESC, id DESC) '
		'FROM public.ai_run_summaries WHERE %s', condition) INTO answer;
	RETURN answer;
END$$;
SELECT page, cardinality(pg_temp.walk('', page)), pg_temp.walk('', page) = pg_temp.in_order('true')
FROM unnest(ARRAY[1, 7, 20, 99, 100, 101, 250, 251, 1000]) page;
SELECT cardinality(pg_temp.walk('source_type => ''five'',', 7)),
	pg_temp.walk('source_type => ''five'',', 7) = pg_temp.in_order('source_type = ''five''');
SELECT cardinality(pg_temp.walk('source_type => ''five'', source_id => helpers.run_id(902),', 7)),
	pg_temp.walk('source_type => ''five'', source_id => helpers.run_id(902),', 7)
	= pg_temp.in_order('source_id = helpers.run_id(902)');
SELECT cardinality(pg_temp.walk('search => ''nothing'',', 7));
-- the cursor of any row continues behind it
SELECT count(*) FROM airun_list_runs(page_size => 1000) WITH ORDINALITY l
WHERE (SELECT count(*) FROM airun_list_runs(cursor => l.cursor, page_size => 1000)) <> 250 - l.ordinality;

--
-- An hour of many runs: what a page has of it is sorted by place and then fetched
--
SET airun.user_id = 'list busy';
SELECT count(airun_create_run(id => run_id(3000 + n), source_type => CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END,
	name => 'Run ' || n, tags => ARRAY['tag ' || n % 3], is_listed => n % 50 <> 0)) FROM generate_series(1, 1400) n;
SELECT count(airun_archive_run(run_id(3000 + n))) FROM generate_series(1, 1400) n WHERE n % 7 = 0;
RESET ROLE;
-- 5 in later hours, 1,350 in one, in no order and some at the same time, then three an hour
SELECT count(set_time(3000 + n, timestamptz '2026-03-01 10:00+00' + CASE WHEN n <= 5 THEN n * interval '1 hour'
	WHEN n <= 1355 THEN n * 7919 % 997 * interval '3 seconds' ELSE (n / 3 - 500) * interval '1 hour' END))
FROM generate_series(1, 1400) n;
CREATE FUNCTION pg_temp.scans_of(index regclass) RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(pg_stat_get_xact_numscans(c.oid)) FROM pg_class c
	WHERE c.oid = index OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = index)
$$;
CREATE FUNCTION pg_temp.scans_of_hours() RETURNS bigint LANGUAGE sql AS $$
	SELECT sum(pg_temp.scans_of(i)) FROM unnest('{airun.runs_user_hour,airun.runs_source_hour,airun.runs_hour}'::regclass[]) i
$$;
CREATE FUNCTION pg_temp.reads(arguments text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before bigint := pg_temp.scans_of_hours();
BEGIN
	PERFORM set_config('enable_seqscan', 'off', true);
	EXECUTE format('SELECT FROM public.airun_list_runs(%s)', arguments);
	RETURN pg_temp.scans_of_hours() - before;
END $$;
SET ROLE regress_airun_list;
SELECT page, pg_temp.reads('page_size => ' || page) / pg_temp.reads('page_size => 1') AS reads FROM unnest(ARRAY[1, 5, 6, 20, 100, 1000]) page;
SELECT f, page, cardinality(walked), walked = pg_temp.in_order(c)
FROM (VALUES ('', 'is_listed AND NOT is_archived'),
	('source_type => ''odd'',', 'is_listed AND NOT is_archived AND source_type = ''odd'''),
	('tag => ''tag 1'',', 'is_listed AND NOT is_archived AND tags = ''{tag 1}'''),
	('search => ''un 1'',', 'is_listed AND NOT is_archived AND name LIKE ''Run 1%'''),
	('archived => true,', 'is_listed AND is_archived'),
	('listed => NULL,', 'NOT is_archived'),
	('listed => false,', 'NOT is_listed AND NOT is_archived')) v (f, c),
	unnest(ARRAY[20, 60, 1000]) page, pg_temp.walk(f, page) walked;
SELECT array_agg(number(id) ORDER BY ordinality) = pg_temp.in_order('is_listed AND NOT is_archived')
FROM airun_list_runs() WITH ORDINALITY;
-- and for whom row security does not bind
RESET ROLE;
SELECT pg_temp.reads('source_type => ''even'', page_size => 20') / pg_temp.reads('source_type => ''even'', page_size => 1') AS reads, pg_temp.walk('source_type => ''even'',', 20)
	= pg_temp.in_order('is_listed AND NOT is_archived AND source_type = ''even''');
SET ROLE regress_airun_list;
SET airun.user_id = 'list walk';

-- runs that come, move up, go or change their filter between two pages: those
-- that stay are seen once, in order; those that move up are not seen again below
CREATE TEMP TABLE seen (i int GENERATED ALWAYS AS IDENTITY, n int, cursor text);
INSERT INTO seen (n, cursor) SELECT number(id), cursor FROM airun_list_runs(page_size => 100) WITH ORDINALITY ORDER BY ordinality;
SELECT id, cursor FROM airun_list_runs(page_size => 100) WITH ORDINALITY ORDER BY ordinality DESC LIMIT 1 \gset last_
SELECT pg_temp.in_order('true') AS before \gset
-- the last row of the page itself moves up, one seen goes, one to come goes, one to come moves up, one comes
SELECT count(airun_append_message(:'last_id', '{"role": "user", "content": "up"}'));
SELECT airun_delete_run(run_id((:'before'::int[])[50])), airun_delete_run(run_id((:'before'::int[])[150]));
SELECT count(airun_append_message(run_id((:'before'::int[])[160]), '{"role": "user", "content": "up"}'));
SELECT count(airun_archive_run(run_id((:'before'::int[])[170])));
SELECT count(airun_create_run(id => run_id(2000)));
DO $$
DECLARE
	rows int;
BEGIN
	LOOP
		INSERT INTO seen (n, cursor) SELECT list_test.number(id), l.cursor
		FROM airun_list_runs(page_size => 7, cursor => (SELECT s.cursor FROM seen s ORDER BY s.i DESC LIMIT 1))
			WITH ORDINALITY l ORDER BY ordinality;
		GET DIAGNOSTICS rows = ROW_COUNT;
		EXIT WHEN rows = 0;
	END LOOP;
END$$;
SELECT count(*), count(DISTINCT n), array_agg(n ORDER BY i)
	= (SELECT array_agg(n ORDER BY i) FROM unnest(:'before'::int[]) WITH ORDINALITY u (n, i) WHERE i NOT IN (150, 160, 170))
FROM seen;
SELECT string_agg(coalesce((array_position(:'before'::int[], number(id)))::text, 'new'), ' ' ORDER BY ordinality)
FROM airun_list_runs(page_size => 3) WITH ORDINALITY;

--
-- Appending puts a run on top; other changes do not
--
SET airun.user_id = 'list filters';
SELECT pg_temp.listed('');
SELECT count(airun_update_run(run_id(1), name => 'x')), count(airun_star_run(run_id(2))), count(airun_create_task(run_id(3)));
SELECT pg_temp.listed('');
SELECT count(airun_append_message(run_id(4), '{"role": "user", "content": "x"}'));
SELECT pg_temp.listed('');

--
-- Runs that are kept out of the list
--
SET airun.user_id = 'list listed';
SELECT is_listed FROM airun_create_run(id => run_id(401));
SELECT is_listed FROM airun_create_run(id => run_id(402), is_listed => NULL);
SELECT is_listed FROM airun_create_run(id => run_id(403), is_listed => false);
INSERT INTO ai_runs (id, is_listed) VALUES (run_id(404), false), (run_id(405), NULL) RETURNING number(id), is_listed;
SELECT a, (SELECT string_agg(n, ' ' ORDER BY n) FROM regexp_split_to_table(pg_temp.listed(a), ' ') n)
FROM unnest(ARRAY['', 'listed => true', 'listed => false', 'listed => NULL',
	'listed => false, status => ''active'', page_size => 2']) WITH ORDINALITY u (a, i) ORDER BY i;
SELECT is_listed FROM airun_update_run(run_id(401), is_listed => false);
SELECT is_listed FROM airun_update_run(run_id(401), name => 'still not');
SELECT is_listed FROM airun_update_run(run_id(403), is_listed => true);
UPDATE ai_runs SET is_listed = true WHERE id = run_id(404) RETURNING is_listed;
UPDATE ai_runs SET is_listed = NULL WHERE id = run_id(404) RETURNING is_listed;
SELECT string_agg(n, ' ' ORDER BY n) FROM regexp_split_to_table(pg_temp.listed(''), ' ') n;
-- where a run branches off, only airun_fork_run() says
SELECT attempt(format('INSERT INTO ai_runs (%s) VALUES (%s)', c, v)) FROM (VALUES
	('forked_from', 'helpers.run_id(401)'), ('forked_at_seq', '0'), ('forked_from, forked_at_seq', 'helpers.run_id(401), 0')) a (c, v);
SELECT attempt('UPDATE ai_runs SET forked_from = id, forked_at_seq = 0 WHERE id = helpers.run_id(401)');
UPDATE ai_runs SET forked_from = NULL WHERE id = run_id(401) RETURNING forked_from;
RESET ROLE;
-- who brings in what happened before may say it, in full
SELECT attempt(format('INSERT INTO airun.runs (user_id, %s) VALUES (airun_user_id(), %s)', c, v)) FROM (VALUES
	('forked_from', 'helpers.run_id(401)'), ('forked_at_seq', '0'), ('forked_from, forked_at_seq', 'helpers.run_id(401), -1'), ('id, forked_from, forked_at_seq', 'helpers.run_id(407), helpers.run_id(407), 0')) a (c, v);
INSERT INTO airun.runs (id, user_id, forked_from, forked_at_seq) VALUES (run_id(406), airun_user_id(), run_id(401), 0)
RETURNING forked_from = run_id(401), forked_at_seq;
SELECT attempt('UPDATE airun.runs SET forked_at_seq = 1 WHERE id = helpers.run_id(406)');

--
-- The runs of all users have an index, which is not for those of one
--
CREATE FUNCTION pg_temp.reads_hours() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	before bigint := pg_temp.scans_of('airun.runs_hour');
BEGIN
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
	PERFORM FROM airun_list_runs(status => 'active', page_size => 20);
	RETURN pg_temp.scans_of('airun.runs_hour') > before;
END $$;
SELECT pg_temp.reads_hours() AS as_superuser;
SET ROLE regress_airun_list;
SELECT pg_temp.reads_hours() AS as_api_role;
RESET ROLE;

DELETE FROM airun.runs WHERE id BETWEEN run_id(0) AND run_id(9999);
SELECT * FROM airun_check();
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA list_test CASCADE;
DROP OWNED BY regress_airun_list;
DROP ROLE regress_airun_list;
RESET search_path;
RESET client_encoding;
RESET airun.user_id;
RESET client_min_messages;
