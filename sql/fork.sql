--
-- Messages that are edited, and runs that branch off from others.
--
-- Called as an API role, whom row security binds.
--
SET client_min_messages = warning;
DO $$BEGIN PERFORM airun_install(); END$$;
CREATE SCHEMA fork_test;
SET search_path = fork_test, helpers, public;
SET helpers.ids = '00000000-0000-4000-8f0c';
CREATE ROLE regress_airun_fork;
SELECT airun_grant('regress_airun_fork') IS NOT NULL AS granted;
GRANT USAGE, CREATE ON SCHEMA fork_test TO regress_airun_fork;
\pset null '(null)'
\pset format unaligned
\pset tuples_only on

-- forks get ids of the server's: here they have names
CREATE TABLE forks (label text PRIMARY KEY, id uuid NOT NULL);
GRANT ALL ON forks TO regress_airun_fork;
CREATE FUNCTION run(label text) RETURNS uuid STABLE LANGUAGE sql AS $$SELECT id FROM fork_test.forks f WHERE f.label = run.label$$;
-- a run's messages; and whether all is right
CREATE FUNCTION said(id uuid) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(concat_ws('.', m.seq, m.message_id, m.message ->> 'content'), ' ' ORDER BY m.seq), 'nothing')
	FROM public.ai_messages m WHERE m.run_id = id
$$;
CREATE FUNCTION fork(label text, origin text, at_seq bigint DEFAULT NULL, name text DEFAULT NULL, listed boolean DEFAULT true)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	made public.ai_run_summary;
BEGIN
	SELECT * INTO made FROM public.airun_fork_run(run(origin), at_seq, name, listed);
	INSERT INTO fork_test.forks VALUES (label, made.id);
	RETURN format('%s: %s of %s at %s, %s%s | %s', label, coalesce(made.name, 'no name'),
		(SELECT f.label FROM fork_test.forks f WHERE f.id = made.forked_from), made.forked_at_seq, made.status,
		CASE WHEN made.is_listed THEN '' ELSE ', not listed' END, said(made.id));
END $$;

SET ROLE regress_airun_fork;
SET airun.user_id = 'fork test';
INSERT INTO forks VALUES ('R', run_id(1));
SELECT count(airun_create_run('prompt', run_id(900), 'Root', 'described', '{"s": 1}', '{"v": 2}', '{tag}', '{"m": 3}', id => run('R')));
SELECT count(*) FROM airun_append_messages(run('R'), (SELECT jsonb_agg(jsonb_build_object('role', CASE n % 2 WHEN 1 THEN 'user' ELSE 'assistant' END,
	'content', 'm' || n, 'id', 'i' || n, 'timestamp', '2020-01-01T00:00:0' || n || '.000Z') ORDER BY n) FROM generate_series(1, 6) n));

--
-- Editing: at any place, and what was there is kept
--
SELECT seq, message_id, role, message ->> 'content', message ->> 'timestamp' FROM airun_edit_message(run('R'), 3, say('edited'));
SELECT seq, version, action, message ->> 'content' FROM airun_message_versions(run('R'), 3);
-- the same again changes nothing
SELECT seq FROM airun_edit_message(run('R'), 3, say('edited'));
SELECT count(*) FROM airun_message_versions(run('R'));
-- a request that was sent before reads as it was sent
SELECT count(airun_start_turn(run('R'), task_id => task_id(1), request_data => jsonb_build_object('model', 'x', 'messages', airun_messages(run('R'))::jsonb)));
SELECT request_data AS sent FROM ai_tasks WHERE task_id = task_id(1) \gset
SELECT request_reference IS NOT NULL FROM airun.tasks WHERE task_id = task_id(1);
SELECT count(airun_edit_message(run('R'), n, say('m' || n) || jsonb_build_object('id', 'i' || n, 'other', n))) FROM unnest('{1,6,3}'::int[]) n;
SELECT request_data = :'sent'::jsonb AS as_sent FROM ai_tasks WHERE task_id = task_id(1);
SELECT said(run('R'));
SELECT count(airun_complete_task(task_id(1), 'x', usage => '{"input_tokens": 3, "output_tokens": 4}'));
-- a completed run allows it
SELECT status FROM airun_set_run_status(run('R'), 'completed');
SELECT message ->> 'content', (SELECT status FROM ai_runs WHERE id = run('R')) FROM airun_edit_message(run('R'), 4, say('m4', 'assistant'));
-- refused
SELECT attempt('SELECT airun_edit_message(' || a || ')') FROM unnest(ARRAY['run(''R''), 7, say(''x'')', 'run(''R''), 0, say(''x'')', 'run(''R''), -1, say(''x'')',
	'NULL, 1, say(''x'')', 'run(''R''), NULL, say(''x'')', 'run(''R''), 1, NULL', 'run(''R''), 1, ''{"content": "x"}''', 'run(''R''), 1, ''[]''',
	'run_id(99), 1, say(''x'')', 'run(''R''), 1, say(''x'') || ''{"id": "i2"}''']) a;
SELECT answer('UPDATE ai_messages SET message = say(''x'') || ''{"id": "i2"}'' WHERE run_id = run(''R'') AND seq = 1');

--
-- Forking: the messages up to a place, with what belongs to the conversation, without tasks and money
--
SELECT fork('all', 'R');
SELECT fork('A', 'R', 4);
SELECT fork('none', 'R', 0, 'Named', false);
SELECT r.source_type, r.source_id = run_id(900), r.description, r.settings, r.variable_values, r.tags, r.metadata, r.task_count, r.total_tokens,
	r.total_cost, r.is_starred, r.message_count, r.created_at <= r.last_message_at AS newly, o.status, o.total_tokens
FROM ai_runs r, ai_runs o WHERE r.id = run('A') AND o.id = run('R');
-- the messages say themselves when they were said; as rows they are new
SELECT message = (SELECT o.message FROM ai_messages o WHERE o.run_id = run('R') AND o.seq = f.seq), task_id,
	f.created_at = (SELECT last_message_at FROM ai_runs WHERE id = run('A')) FROM ai_messages f WHERE f.run_id = run('A') AND f.seq = 4;
-- an id is stored once, in the fork as well
SELECT is_stored FROM (SELECT seq = 2 AS is_stored FROM airun_append_message(run('A'),
	(SELECT message FROM ai_messages WHERE run_id = run('R') AND seq = 2), 'i2')) s;
SELECT said(run('A'));
-- the one lives without the other
SELECT seq FROM airun_append_message(run('A'), say('of A'));
SELECT seq FROM airun_edit_message(run('A'), 1, say('first of A'));
SELECT message_count FROM airun_truncate_messages(run('none'), 0);
SELECT said(run('R')), (SELECT count(*) FROM airun_message_versions(run('A')));
SELECT name, message_count FROM airun_list_runs(search => 'Named', listed => NULL);
-- between a call and its result
SELECT count(airun_create_run(id => run_id(2)));
SELECT count(*) FROM airun_append_messages(run_id(2), '[{"role": "user", "content": "weather?"},
	{"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "w", "arguments": "{}"}}]},
	{"role": "tool", "tool_call_id": "c1", "content": "rain"}]');
INSERT INTO forks VALUES ('T', run_id(2));
SELECT fork('cut', 'T', 2);
-- refused
SELECT attempt('SELECT airun_fork_run(' || a || ')') FROM unnest(ARRAY['run(''R''), 7', 'run(''R''), -1', 'NULL', 'run_id(99)',
	'run(''R''), name => repeat(''x'', 501)']) a;
SET airun.user_id = 'fork stranger';
SELECT attempt('SELECT airun_fork_run(run(''R''))'), attempt('SELECT airun_run_forks(run(''R''))'), attempt('SELECT airun_edit_message(run(''R''), 1, say(''x''))');
RESET airun.user_id;
SELECT attempt('SELECT airun_fork_run(run(''R''))');
SET airun.user_id = 'fork test';

--
-- Families: "2 of 3" beside a message
--
CREATE FUNCTION alternatives(label text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s: at %s, ', alternatives.label, a.seq) || string_agg(f.label || CASE WHEN a.is_shown THEN '*' ELSE '' END, ' ' ORDER BY a.number)
		|| CASE WHEN min(a.count) = max(a.count) AND max(a.count) = count(*) AND max(a.number) = count(*) THEN '' ELSE ' WRONG' END
	FROM public.airun_run_forks(run(label)) a LEFT JOIN fork_test.forks f ON f.id = a.run_id GROUP BY a.seq ORDER BY a.seq
$$;
DELETE FROM forks WHERE label IN ('none', 'cut', 'T');
-- A has parted from R behind 4; B does, too; C from A behind 2, which is R's; D from A behind its own 5
SELECT fork('B', 'R', 4);
SELECT count(airun_append_message(run('B'), say('of B')));
SELECT fork('C', 'A', 2);
SELECT alternatives(l) FROM unnest('{R,A,B,C}'::text[]) l;
SELECT count(airun_append_message(run('C'), say('of C')));
SELECT count(airun_append_message(run('A'), say('more of A', 'assistant')));
SELECT fork('D', 'A', 5);
SELECT count(airun_append_message(run('D'), say('of D', 'assistant')));
SELECT alternatives(l) FROM unnest('{R,A,B,C,D}'::text[]) l;
SELECT seq, number, count, name, is_shown, is_listed, message_count FROM airun_run_forks(run('D')) WHERE seq = 6 ORDER BY number;
-- one that is deleted is no alternative, and does not part the others; back again
SELECT airun_delete_run(run('A'));
SELECT alternatives(l) FROM unnest('{R,B,C,D}'::text[]) l;
SELECT left(attempt('SELECT airun_fork_run(run(''A''))'), 5), left(attempt('SELECT airun_run_forks(run(''A''))'), 5);
SELECT airun_restore_run(run('A'));
-- what is taken back, is none
SELECT message_count FROM airun_truncate_messages(run('B'), 4);
SELECT alternatives(l) FROM unnest('{R,B,D}'::text[]) l;
-- forks outlive what they branch off from
SELECT airun_delete_run(run('R'));
RESET ROLE;
SELECT airun_purge_runs('infinity') > 0 AS purged;
SET ROLE regress_airun_fork;
SELECT l, said(run(l)), (SELECT forked_from = run('R') FROM ai_runs WHERE id = run(l)) FROM unnest('{A,B,C,D}'::text[]) l;
SELECT count(airun_append_message(run('B'), say('of B again')));
SELECT alternatives(l) FROM unnest('{A,B,C,D}'::text[]) l;
SELECT fork('E', 'B');
RESET ROLE;
SELECT * FROM airun_check();

-- runs part where one of them has taken messages back, and gone on otherwise
SET ROLE regress_airun_fork;
SELECT count(airun_create_run(id => run_id(n))) FROM generate_series(3, 4) AS n;
INSERT INTO forks VALUES ('P', run_id(3)), ('Q', run_id(4));
SELECT count(airun_append_message(run(l), say('m' || n))) FROM unnest('{P,Q}'::text[]) l, generate_series(1, 4) n;
SELECT count(fork(lower(l) || n, l)) FROM unnest('{P,Q}'::text[]) l, generate_series(1, 2) n;
SELECT count(airun_truncate_messages(run(l), n)) FROM (VALUES ('P', 2), ('q1', 1)) AS v (l, n);
SELECT alternatives(l) FROM unnest('{P,p1,p2,Q,q1,q2}'::text[]) l;
SELECT count(airun_append_message(run(l), say('other'))) FROM unnest('{P,q1}'::text[]) l;
SELECT fork('p3', 'P');
SELECT alternatives(l) FROM unnest('{P,p1,p2,p3,Q,q1,q2}'::text[]) l;
RESET ROLE;

-- under an id a fork is made once, however often it is asked for; the id of another run is no fork's
SET ROLE regress_airun_fork;
SET airun.user_id = 'fork test';
SELECT count(*) AS before FROM ai_runs \gset
SELECT id = run_id(50), name, message_count, forked_at_seq FROM airun_fork_run(run('D'), 2, 'once', id => run_id(50));
SELECT seq FROM airun_append_message(run_id(50), say('goes on'));
SELECT id = run_id(50), name, message_count, forked_at_seq FROM airun_fork_run(run('D'), 2, 'twice', id => run_id(50));
SELECT name, message_count FROM airun_fork_run(run('D'), id => run_id(50));
SELECT regexp_replace(attempt(format('SELECT airun_fork_run(%L, %s, id => %L)', run, at, id)), '"[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f-]+"', '"ID"') FROM (VALUES
	(run('D'), 1, run_id(50)), (run('E'), 1, run_id(50)), (run('D'), 1, run('D')), (run('D'), 99, run_id(51))) AS v (run, at, id);
SET airun.user_id = 'somebody else';
SELECT count(airun_create_run(id => run_id(52)));
SELECT attempt(format('SELECT airun_fork_run(%L, 0, id => %L)', run_id(52), run_id(50)));
SET airun.user_id = 'fork test';
SELECT attempt(format('SELECT airun_fork_run(%L, 1, id => %L)', run('D'), run_id(52)));
SELECT count(*) - :before AS made FROM ai_runs;
SELECT message_count FROM airun_fork_run(run_id(50), 1, id => run_id(53));
SELECT airun_delete_run(run_id(50)) IS NOT NULL;
SELECT attempt(format('SELECT airun_fork_run(%L, 2, id => %L)', run('D'), run_id(50)));
-- also when the run is gone; and it is the caller's alone
SELECT message_count FROM airun_fork_run(run_id(50), 1, id => run_id(53));
SET airun.user_id = 'somebody else';
SELECT attempt(format('SELECT airun_fork_run(%L, 1, id => %L)', run_id(50), run_id(53)));
SET airun.user_id = 'fork test';
RESET ROLE;
DELETE FROM airun.runs WHERE user_id = airun_user_uuid('somebody else');

-- what only disabled triggers can leave
BEGIN;
SET LOCAL session_replication_role = replica;
UPDATE airun.runs SET forked_from = id WHERE id = run('A');
UPDATE airun.runs SET forked_at_seq = NULL WHERE id = run('B');
SELECT problem, expected, regexp_replace(found, '\m[0-9a-f-]{36}\M', 'ID') FROM airun_check() ORDER BY 3;
-- runs that branch off from one another: that ends, too
UPDATE airun.runs SET forked_from = run('C'), forked_at_seq = 1 WHERE id = run('D');
UPDATE airun.runs SET forked_from = run('D'), forked_at_seq = 1 WHERE id = run('C');
SELECT count(*) < 10 AS ends FROM airun_run_forks(run('C'));
ROLLBACK;

-- a site's trigger that keeps a message out: no fork at all
CREATE FUNCTION suppress() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN CASE WHEN new.seq <> 2 THEN new END; END$$;
CREATE TRIGGER suppress BEFORE INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION suppress();
SELECT attempt('SELECT airun_fork_run(run(''D''))');
DROP TRIGGER suppress ON airun.messages;
-- the site's own rows in between are counted as well
CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
	INSERT INTO ai_messages (run_id, message) VALUES (run('E'), say('echo ' || new.seq)); RETURN NULL; END$$;
CREATE TRIGGER echo AFTER INSERT ON airun.messages FOR EACH ROW WHEN (new.message ->> 'content' NOT LIKE 'echo%') EXECUTE FUNCTION echo();
SELECT message_count FROM airun_fork_run(run('D'), 3);
DROP TRIGGER echo ON airun.messages;
SELECT message_count FROM ai_runs WHERE id = run('E');
SELECT * FROM airun_check();

-- the owner of the store, who is no user: whose run it is, his is the fork
RESET airun.user_id;
SELECT user_id = airun_user_uuid('fork test') FROM airun_fork_run(run('D'), 1);
DELETE FROM airun.runs WHERE user_id = airun_user_uuid('fork test');
SELECT * FROM airun_check();
\pset format aligned
\pset tuples_only off
\pset null ''
DROP SCHEMA fork_test CASCADE;
DROP OWNED BY regress_airun_fork;
DROP ROLE regress_airun_fork;
RESET search_path;
RESET client_min_messages;
