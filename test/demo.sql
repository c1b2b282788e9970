/*
 * demo.sql: replays conversations through airun's functions, and shows them
 *
 * test/run runs it in an empty, throwaway cluster, with these variables:
 *	file		the conversations, one a line, as COPY's text of a bytea
 *	source		the name of the file that they come from
 *	colour		1 on a terminal
 *	page		the file for the page of the usage
 *
 * It guarantees: a line that is no conversation, or that airun refuses, is
 * reported with its number and the reason, leaves nothing behind and stops
 * nothing; what was stored is compared with what went in; and the script fails
 * when one of its own checks does.  No model is asked: the answers are those of
 * the file, and tokens and cost are made up from their length.
 */
\set VERBOSITY terse
\set SHOW_CONTEXT never
\pset pager off
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;

CREATE EXTENSION airun;
SELECT airun_install() \g /dev/null

-- The application's role, and one of its users: row-level security holds.
CREATE ROLE demo_app;
SELECT airun_grant('demo_app') \g /dev/null
-- an imaginary provider, of which all models cost the same
SELECT airun_set_price('demo', '{"input": 0.50, "output": 1.50}', provider => 'demo', per_tokens => 1000000,
	effective_from => '-infinity', match_rule => '{"regex": "."}') \g /dev/null
SET airun.user_id = '018f2a6e-0000-7000-8000-000000000001';

CREATE SCHEMA demo;

/* What the file has, and what became of it. */
CREATE TABLE demo.line (
	no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	raw bytea NOT NULL,
	doc jsonb,			-- the conversation
	run_id uuid,		-- its run
	problem text		-- why there is none
);

/* What the demo finds out, in order. */
CREATE TABLE demo.finding (
	no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	holds boolean NOT NULL,
	what text NOT NULL
);

/* Figures that one step leaves for a later one. */
CREATE TABLE demo.fact (
	name text PRIMARY KEY,
	value jsonb NOT NULL
);

------------------------------------------------------------------------------
-- Text for a terminal of 80 columns
------------------------------------------------------------------------------

/* The columns that a character takes on a terminal. */
CREATE FUNCTION demo.columns(letter text) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE
		WHEN ascii(letter) < 768 THEN 1
		WHEN letter ~ '[\u0300-\u036F\u200B-\u200F\u20D0-\u20FF\uFE00-\uFE0F]' THEN 0
		WHEN letter ~ '[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\U0001F300-\U0001FAFF\U00020000-\U0003FFFD]' THEN 2
		ELSE 1 END
$$;

/* A text without what would steer the terminal, on one line. */
CREATE FUNCTION demo.plain(words text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT regexp_replace(words, '[\u0001-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]+', ' ', 'g')
$$;

/* The first columns of a text. */
CREATE FUNCTION demo.head(words text, width int) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	taken int := 0;
	size int := 0;
	letter text;
BEGIN
	FOREACH letter IN ARRAY string_to_array(left(words, width * 2), NULL) LOOP
		size := size + demo.columns(letter);
		EXIT WHEN size > width;
		taken := taken + 1;
	END LOOP;
	RETURN left(words, taken);
END
$$;

/* A text cut or filled to a width. */
CREATE FUNCTION demo.fit(words text, width int) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	line text := demo.plain(words);
	part text := demo.head(line, width);
BEGIN
	IF part <> line THEN
		part := demo.head(line, width - 1) || '…';
	END IF;
	RETURN part || repeat(' ', width - (SELECT coalesce(sum(demo.columns(letter)), 0)::int
		FROM unnest(string_to_array(part, NULL)) letter));
END
$$;

/* A text in lines of a width, broken between words, at most so many. */
CREATE FUNCTION demo.wrap(words text, width int, most int) RETURNS SETOF text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	rest text;
	line text;
	stop int;
	n int := 0;
BEGIN
	FOREACH rest IN ARRAY coalesce(string_to_array(left(words, width * most * 2), E'\n'), '{}') LOOP
		rest := rtrim(demo.plain(rest));
		CONTINUE WHEN rest = '';
		WHILE rest <> '' LOOP
			n := n + 1;
			IF n > most THEN
				RETURN NEXT '…';
				RETURN;
			END IF;
			line := demo.head(rest, width);
			IF length(line) < length(rest) AND substr(rest, length(line) + 1, 1) <> ' ' THEN
				stop := length(line) - strpos(reverse(line), ' ');
				IF strpos(line, ' ') > 0 AND stop > length(line) / 2 THEN
					line := left(line, stop);
				END IF;
			END IF;
			rest := ltrim(substr(rest, greatest(length(line), 1) + 1));
			RETURN NEXT line;
		END LOOP;
	END LOOP;
END
$$;

/* A number with thousands marked, filled to a width. */
CREATE FUNCTION demo.figure(number numeric, width int DEFAULT 0) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT lpad(word, greatest(width, length(word)))
	FROM (SELECT coalesce(to_char(number, 'FM999,999,999,999'), '-')) figure (word)
$$;

/* Money, which may be unknown. */
CREATE FUNCTION demo.money(amount numeric, width int DEFAULT 0) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT lpad(word, greatest(width, length(word)))
	FROM (SELECT coalesce(to_char(amount, 'FM$999,990.0000'), '-')) money (word)
$$;

/* A time span in one unit. */
CREATE FUNCTION demo.span(seconds numeric) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE
		WHEN seconds < 10 THEN to_char(seconds, 'FM0.00') || ' s'
		WHEN seconds < 120 THEN to_char(seconds, 'FM990') || ' s'
		ELSE to_char(seconds / 60, 'FM99990') || ' min' END
$$;

/* A text in a style of the terminal, where there is one. */
CREATE FUNCTION demo.style(words text, code text) RETURNS text
LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN current_setting('demo.colour') = '1'
		THEN E'\x1B[' || code || 'm' || words || E'\x1B[0m' ELSE words END
$$;

------------------------------------------------------------------------------
-- The conversations of the file
------------------------------------------------------------------------------

/* What an error says, in one line. */
CREATE FUNCTION demo.reason(message text, detail text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT left(demo.plain(message || coalesce(' (' || rtrim(nullif(detail, ''), '.') || ')', '')), 300)
$$;

/* A line's conversation, or what is wrong with it. */
CREATE FUNCTION demo.parse(raw bytea, OUT doc jsonb, OUT problem text)
LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	doc := airun_json(convert_from(raw, 'UTF8'));
	problem := CASE
		WHEN jsonb_typeof(doc) <> 'object' THEN
			'not a JSON object but ' || jsonb_typeof(doc)
		WHEN NOT doc ? 'messages' THEN 'has no "messages"'
		WHEN jsonb_typeof(doc -> 'messages') <> 'array' THEN
			'"messages" is not an array but ' || jsonb_typeof(doc -> 'messages')
		WHEN doc -> 'messages' = '[]' THEN '"messages" is empty' END;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	doc := NULL;
	problem := demo.reason(SQLERRM, detail);
END
$$;

/* The words of a message, whether its content is a string or parts; or NULL. */
CREATE FUNCTION demo.words(message jsonb) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE jsonb_typeof(message -> 'content')
		WHEN 'string' THEN message ->> 'content'
		WHEN 'array' THEN (
			SELECT string_agg(coalesce(part ->> 'text', '[' || (part ->> 'type') || ']'), E'\n' ORDER BY n)
			FROM jsonb_array_elements(message -> 'content') WITH ORDINALITY p (part, n))
		END
$$;

/*
 * A turn, as an application makes it: the request with the messages that go in;
 * the answer's text so far, a few times while it streams; the whole answer.
 * All is named by ids of the caller's, so any call can be sent again.  read is
 * the number of characters that the model reads.
 */
CREATE FUNCTION demo.turn(run_id uuid, task_id uuid, input jsonb, answer jsonb,
	read bigint, model text, run jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	words text := demo.words(answer);
	tokens_in bigint := ceil(read / 4.0);
	tokens_out bigint := ceil(length(answer::text) / 4.0);
BEGIN
	PERFORM airun_start_turn(run_id => turn.run_id, task_id => turn.task_id,
		messages => input, service => 'chat', provider => 'demo', model_id => model,
		run => turn.run);
	FOR quarter IN 1 .. 3 LOOP
		EXIT WHEN words IS NULL OR words = '';
		PERFORM airun_update_task(turn.task_id, left(words, length(words) * quarter / 4),
			run_id => turn.run_id);
	END LOOP;
	PERFORM airun_finish_turn(turn.task_id, message => answer, response_text => words,
		usage => jsonb_build_object('prompt_tokens', tokens_in,
			'completion_tokens', tokens_out, 'total_tokens', tokens_in + tokens_out,
			'estimated', true),
		finish_reason => CASE WHEN answer ? 'tool_calls' THEN 'tool_calls' ELSE 'stop' END,
		run_id => turn.run_id);
END
$$;

/* A whole conversation; returns its run. */
CREATE FUNCTION demo.converse(doc jsonb) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
	run_id uuid := airun_uuid();
	run jsonb := jsonb_strip_nulls(jsonb_build_object(
		'source_type', 'chat',
		'name', CASE WHEN jsonb_typeof(doc -> 'name') = 'string' THEN doc -> 'name' END,
		'tags', CASE WHEN jsonb_typeof(doc -> 'tags') = 'array' THEN doc -> 'tags' END))
		|| jsonb_build_object('metadata', doc - '{messages,name,tags}'::text[]);
	model text := coalesce(doc ->> 'model', 'demo-model');
	input jsonb := '[]';
	read bigint := 0;
	started boolean := false;
	message jsonb;
BEGIN
	FOR message IN
		SELECT m FROM jsonb_array_elements(doc -> 'messages') WITH ORDINALITY e (m, n) ORDER BY n
	LOOP
		IF message ->> 'role' = 'assistant' THEN
			PERFORM demo.turn(run_id, airun_uuid(), nullif(input, '[]'), message, read, model,
				CASE WHEN NOT started THEN run END);
			started := true;
			input := '[]';
		ELSE
			input := input || jsonb_build_array(message);
		END IF;
		read := read + length(message::text);
	END LOOP;

	-- What comes after the last answer waits for one.
	IF input <> '[]' THEN
		IF NOT started THEN
			PERFORM airun_create_run(id => run_id, source_type => run ->> 'source_type',
				name => run ->> 'name', metadata => run -> 'metadata');
		END IF;
		PERFORM airun_append_messages(run_id, input);
	END IF;
	RETURN run_id;
END
$$;

/* All conversations, each in a transaction of its own. */
CREATE PROCEDURE demo.replay()
LANGUAGE plpgsql AS $$
DECLARE
	lines bigint[] := ARRAY(SELECT no FROM demo.line WHERE problem IS NULL ORDER BY no);
	began timestamptz := clock_timestamp();
	told timestamptz := '-infinity';
	detail text;
BEGIN
	FOR i IN 1 .. cardinality(lines) LOOP
		BEGIN
			UPDATE demo.line SET run_id = demo.converse(doc) WHERE no = lines[i];
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
			UPDATE demo.line SET problem = demo.reason(SQLERRM, detail) WHERE no = lines[i];
		END;
		COMMIT;
		IF i = cardinality(lines) OR clock_timestamp() > told + interval '0.1 s' THEN
			told := clock_timestamp();
			RAISE INFO 'progress % %', i, cardinality(lines);
		END IF;
	END LOOP;
	INSERT INTO demo.fact VALUES
		('seconds', to_jsonb(extract(epoch FROM clock_timestamp() - began)));
END
$$;

------------------------------------------------------------------------------
-- What must be true afterwards, and what else can be done with a run
------------------------------------------------------------------------------

/* Is every message of a run what went in, save the timestamp that airun adds? */
CREATE FUNCTION demo.same(sent jsonb, run_id uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
	SELECT coalesce(bool_and(coalesce(
			CASE WHEN s ? 'timestamp' THEN g ELSE g - 'timestamp' END = s, false)), false)
	FROM jsonb_array_elements(sent) WITH ORDINALITY AS a (s, n)
	FULL JOIN jsonb_array_elements(airun_messages(run_id)::jsonb) WITH ORDINALITY AS b (g, n)
		USING (n)
$$;

/* How many runs a client finds that turns the pages of the list to the end. */
CREATE FUNCTION demo.listed(OUT runs bigint, OUT pages bigint)
LANGUAGE plpgsql STABLE AS $$
DECLARE
	page ai_run_listing[];
	next text;
	seen uuid[] := '{}';
BEGIN
	pages := 0;
	LOOP
		page := ARRAY(SELECT l FROM airun_list_runs(cursor => next, page_size => 100) l);
		EXIT WHEN page = '{}';
		pages := pages + 1;
		seen := seen || ARRAY(SELECT id FROM unnest(page));
		next := page[cardinality(page)].cursor;
	END LOOP;
	runs := (SELECT count(DISTINCT id) FROM unnest(seen) id);
END
$$;

/*
 * The run that is shown: the first with tool calls that fits a screen; else the
 * first that fits; else the shortest.
 */
CREATE FUNCTION demo.featured() RETURNS uuid
LANGUAGE sql STABLE AS $$
	SELECT run_id
	FROM demo.line, jsonb_array_length(doc -> 'messages') length
	WHERE run_id IS NOT NULL
	ORDER BY length NOT BETWEEN 3 AND 16,
		CASE WHEN length > 16 THEN length END,
		jsonb_path_exists(doc, '$.messages[*] ? (@.role == "tool")') DESC, no
	LIMIT 1
$$;

/* Compares, lists, continues, repeats, stars, completes and archives. */
CREATE PROCEDURE demo.use()
LANGUAGE plpgsql AS $$
DECLARE
	runs bigint := (SELECT count(*) FROM demo.line WHERE run_id IS NOT NULL);
	shown uuid := demo.featured();
	task uuid := airun_uuid();
	question jsonb := jsonb_build_array(jsonb_build_object('role', 'user',
		'content', 'Thank you! Who keeps all this, by the way?'));
	answer jsonb := jsonb_build_object('role', 'assistant',
		'content', 'PostgreSQL does: every message of this conversation is a row.');
	before jsonb;
	after jsonb;
	other uuid;
	same bigint;
	pages record;
BEGIN
	same := (SELECT count(*) FROM demo.line WHERE run_id IS NOT NULL
		AND demo.same(doc -> 'messages', run_id));
	INSERT INTO demo.finding (holds, what) VALUES (same = runs,
		format('every message read back equals what went in, in %s of %s runs',
			demo.figure(same), demo.figure(runs)));

	SELECT * INTO pages FROM demo.listed();
	INSERT INTO demo.finding (holds, what) VALUES (pages.runs = runs,
		format('airun_list_runs finds %s runs, page by page', demo.figure(pages.runs)));

	before := airun_get_run(shown);
	PERFORM demo.turn(shown, task, question, answer, length(before ->> 'messages'),
		'demo-model', NULL);
	after := airun_get_run(shown);
	INSERT INTO demo.finding (holds, what) VALUES (
		jsonb_array_length(after -> 'messages') = jsonb_array_length(before -> 'messages') + 2
			AND jsonb_array_length(after -> 'tasks') = jsonb_array_length(before -> 'tasks') + 1,
		'airun_get_run reloads a run, and one more turn continues it');

	-- The client did not hear the answers, and sends everything again.
	PERFORM demo.turn(shown, task, question, answer, length(before ->> 'messages'),
		'demo-model', NULL);
	INSERT INTO demo.finding (holds, what) VALUES (
		airun_get_run(shown)::jsonb = after,
		'that turn sent a second time changes nothing');

	PERFORM airun_star_run(shown);
	other := (SELECT id FROM airun_list_runs(starred => false, page_size => 1));
	IF other IS NOT NULL THEN
		PERFORM airun_set_run_status(other, 'completed');
		BEGIN
			PERFORM airun_append_messages(other, question);
			INSERT INTO demo.finding (holds, what) VALUES (false,
				'a completed run takes no new message');
		EXCEPTION WHEN SQLSTATE 'PT409' THEN
			INSERT INTO demo.finding (holds, what) VALUES (true,
				'one run starred, one completed, which now takes no new message');
		END;
	END IF;
	other := (SELECT id FROM airun_list_runs(starred => false, status => 'active', page_size => 1));
	IF other IS NOT NULL THEN
		PERFORM airun_archive_run(other);
		INSERT INTO demo.finding (holds, what) VALUES (
			NOT EXISTS (SELECT FROM airun_list_runs(page_size => 1000) WHERE id = other)
				AND EXISTS (SELECT FROM airun_list_runs(archived => true) WHERE id = other),
			'one archived, and gone from the list');
	END IF;
END
$$;

------------------------------------------------------------------------------
-- What a person sees
------------------------------------------------------------------------------

/* How long the replay took, with the rate. */
CREATE FUNCTION demo.pace() RETURNS text
LANGUAGE sql STABLE AS $$
	SELECT format('%s: %s messages a second', demo.span(value::numeric),
		demo.figure(round(sent / greatest(value::numeric, 0.001))))
	FROM demo.fact, (SELECT sum(jsonb_array_length(doc -> 'messages'))
		FROM demo.line WHERE run_id IS NOT NULL) l (sent)
	WHERE name = 'seconds'
$$;

/* What was replayed, and how fast. */
CREATE FUNCTION demo.show_replay() RETURNS SETOF text
LANGUAGE sql STABLE AS $$
	SELECT format('%s conversations, %s messages, %s model calls in %s',
		demo.figure(count(*)), demo.figure(sum(message_count)), demo.figure(sum(task_count)),
		demo.pace())
	FROM ai_run_summaries
$$;

/* The newest runs, as a sidebar would have them. */
CREATE FUNCTION demo.show_list(most int) RETURNS SETOF text
LANGUAGE plpgsql STABLE AS $$
DECLARE
	total bigint := (SELECT count(*) FROM ai_run_summaries WHERE NOT is_archived);
BEGIN
	RETURN NEXT demo.style(demo.fit('  run', 36) || 'status     msgs tasks   tokens    cost  age', '1');
	RETURN QUERY
		SELECT CASE WHEN is_starred THEN demo.style('* ', '33') ELSE '  ' END
			|| demo.fit(coalesce(name, '(no name)'), 33) || ' ' || rpad(status, 9)
			|| demo.figure(message_count, 6) || demo.figure(task_count, 6)
			|| demo.figure(total_tokens, 9) || demo.money(total_cost, 8)
			|| lpad(round(extract(epoch FROM clock_timestamp() - last_message_at)) || ' s', 5)
		FROM airun_list_runs(page_size => most);
	IF total > most THEN
		RETURN NEXT format('  and %s more', demo.figure(total - most));
	END IF;
END
$$;

/* One conversation, as airun_get_run returns it. */
CREATE FUNCTION demo.show_run(run_id uuid) RETURNS SETOF text
LANGUAGE plpgsql STABLE AS $$
DECLARE
	run jsonb := airun_get_run(run_id);
	message jsonb;
	who text;
	call jsonb;
	line text;
BEGIN
	FOR message IN
		SELECT m FROM jsonb_array_elements(run -> 'messages') WITH ORDINALITY e (m, n) ORDER BY n
	LOOP
		who := demo.style(demo.fit(message ->> 'role', 11), CASE message ->> 'role'
			WHEN 'user' THEN '1;36' WHEN 'assistant' THEN '1;32' ELSE '2' END);
		FOR line IN SELECT demo.wrap(demo.words(message), 68, CASE message ->> 'role'
			WHEN 'user' THEN 6 WHEN 'assistant' THEN 6 ELSE 2 END)
		LOOP
			RETURN NEXT who || line;
			who := repeat(' ', 11);
		END LOOP;
		FOR call IN
			SELECT c FROM jsonb_array_elements(CASE jsonb_typeof(message -> 'tool_calls')
				WHEN 'array' THEN message -> 'tool_calls' ELSE '[]' END) WITH ORDINALITY e (c, n)
			ORDER BY n
		LOOP
			FOR line IN SELECT demo.wrap(format('-> %s %s', call #>> '{function,name}',
				call #>> '{function,arguments}'), 68, 3)
			LOOP
				RETURN NEXT who || demo.style(line, '2');
				who := repeat(' ', 11);
			END LOOP;
		END LOOP;
	END LOOP;
END
$$;

/* The sums over all runs, archived ones too. */
CREATE FUNCTION demo.show_totals() RETURNS SETOF text
LANGUAGE sql STABLE AS $$
	SELECT format('%s runs, %s messages, %s model calls, %s tokens, %s',
		demo.figure(count(*)), demo.figure(sum(message_count)), demo.figure(sum(task_count)),
		demo.figure(sum(total_tokens)), demo.money(sum(total_cost)))
	FROM ai_run_summaries
	UNION ALL
	SELECT 'replayed in ' || demo.pace() || ', one transaction a conversation'
	UNION ALL
	SELECT '(no model was asked: tokens are characters / 4, and the cost is that of an'
	UNION ALL
	SELECT 'imaginary one at $0.50 and $1.50 per million tokens in and out)'
$$;

/* A headline. */
CREATE FUNCTION demo.headline(words text) RETURNS SETOF text
LANGUAGE sql STABLE AS $$
	SELECT '' UNION ALL SELECT demo.style(words, '1') UNION ALL SELECT ''
$$;

------------------------------------------------------------------------------
-- The demo
------------------------------------------------------------------------------

SET demo.colour = :'colour';
SET demo.source = :'source';
GRANT USAGE ON SCHEMA demo TO demo_app;
GRANT ALL ON ALL TABLES IN SCHEMA demo TO demo_app;

COPY demo.line (raw) FROM :'file';
DELETE FROM demo.line WHERE btrim(raw, '\x20090d') = '';
UPDATE demo.line l SET doc = p.doc, problem = p.problem
FROM (SELECT no, (demo.parse(raw)).* FROM demo.line) p WHERE p.no = l.no;
ANALYZE demo.line;

SET ROLE demo_app;
CALL demo.replay();
SELECT format('%s, line %s: %s; skipped', :'source', no, problem)
FROM demo.line WHERE problem IS NOT NULL ORDER BY no;
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM demo.line WHERE run_id IS NOT NULL) THEN
		RAISE EXCEPTION 'there is no conversation in % that can be shown',
			current_setting('demo.source');
	END IF;
END
$$;
SELECT demo.show_replay();
CALL demo.use();

RESET ROLE;
INSERT INTO demo.finding (holds, what)
SELECT count(*) = 0, 'airun_check() recounts everything from the rows and finds no difference'
FROM airun_check();
SET ROLE demo_app;

SELECT CASE WHEN holds THEN demo.style('  ok ', '32') ELSE demo.style('  NO ', '1;31') END || what
FROM demo.finding ORDER BY no;
SELECT demo.headline('The newest runs');
SELECT demo.show_list(12);
SELECT demo.headline('One of them');
SELECT demo.show_run(demo.featured());
SELECT demo.headline('All together');
SELECT demo.show_totals();

DO $$
BEGIN
	IF EXISTS (SELECT FROM demo.finding WHERE NOT holds) THEN
		RAISE EXCEPTION 'something that must hold does not, see above';
	END IF;
END
$$;

-- The picture of it all, as the owner sees it
RESET ROLE;
\o :page
SELECT airun_usage_page(title => 'The usage of ' || current_setting('demo.source'));
\o
