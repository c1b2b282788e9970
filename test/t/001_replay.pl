# All real conversations go in through the API, each in one of four ways, as
# users under a granted role, and come back as they went in: every message, in
# order, by every way of reading.  Counts and totals equal a recount.

use strict;
use warnings;

use AirunTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = airun_node('replay', conf => 'airun.trust_client_cost = on');

# The lines of the files as bytes, so that a line may hold anything
my $lines = PostgreSQL::Test::Utils::tempdir() . '/lines';
my ($files, $expected) = (0, 0);
for my $name (conversation_files())
{
	$files++;
	open my $in, '<:raw', $name or die "$name: $!";
	while (my $line = <$in>)
	{
		$line =~ s/\r?\n\z//;
		$expected++;
		append_to_file($lines, '\\\\x' . unpack('H*', $line) . "\n");
	}
	close $in;
}

$node->safe_psql('postgres', <<"SQL");
CREATE ROLE app;
SELECT airun_grant('app');

CREATE SCHEMA replay;
CREATE TABLE replay.line (no int GENERATED ALWAYS AS IDENTITY, raw bytea);
COPY replay.line (raw) FROM '$lines';

-- What goes in.  Every fifth conversation brings timestamps of its own.
CREATE TABLE replay.conversation AS
SELECT no, no % 4 AS way,
	('00000000-0000-7000-8000-' || lpad(to_hex(no), 12, '0'))::uuid AS run_id,
	('10000000-0000-4000-8000-' || lpad(to_hex(no % 7), 12, '0'))::uuid AS user_id,
	doc - 'messages' AS metadata, messages
FROM replay.line, LATERAL (SELECT convert_from(raw, 'UTF8')::jsonb) AS d (doc),
	LATERAL (
		SELECT jsonb_agg(
			CASE WHEN no % 5 = 0
				THEN message || jsonb_build_object('timestamp',
					to_char(timestamp '2019-03-01' + seq * interval '7 s', 'YYYY-MM-DD"T"HH24:MI:SS'))
				ELSE message END ORDER BY seq)
		FROM jsonb_array_elements(doc -> 'messages') WITH ORDINALITY AS m (message, seq)
	) AS m (messages);
CREATE TABLE replay.task (run_id uuid, task_id uuid PRIMARY KEY, tokens bigint, cost numeric);
GRANT USAGE ON SCHEMA replay TO app;
GRANT SELECT ON replay.conversation TO app;
GRANT SELECT, INSERT ON replay.task TO app;
SQL

# A conversation as turns: the answers of the assistant end them, what stands
# before an answer goes in with it.
$node->safe_psql('postgres', <<'SQL');
CREATE PROCEDURE replay.turns(conversation replay.conversation) LANGUAGE plpgsql AS $$
DECLARE
	inputs jsonb := '[]';
	message jsonb;
	seq bigint;
	task_id uuid;
	turn jsonb;
	said text;
	first boolean := true;
	tokens int;
	cost numeric;
BEGIN
	FOR message, seq IN
		SELECT m.* FROM jsonb_array_elements(conversation.messages) WITH ORDINALITY AS m
	LOOP
		IF message ->> 'role' <> 'assistant' THEN
			inputs := inputs || jsonb_build_array(message);
			CONTINUE;
		END IF;
		task_id := overlay(conversation.run_id::text PLACING lpad(to_hex(seq), 8, '0') FROM 1 FOR 8);
		-- none, one as an object, or several
		turn := airun_start_turn(
			run_id => CASE WHEN NOT first THEN conversation.run_id END,
			messages => CASE jsonb_array_length(inputs)
				WHEN 0 THEN NULL WHEN 1 THEN inputs -> 0 ELSE inputs END,
			task_id => task_id, provider => 'replay', model_id => 'm-1',
			request_data => jsonb_build_object('messages', inputs),
			run => CASE WHEN first THEN jsonb_build_object(
				'id', conversation.run_id, 'source_type', 'replay',
				'metadata', conversation.metadata) END);
		ASSERT (turn #>> '{run,id}')::uuid = conversation.run_id;
		ASSERT jsonb_array_length(turn -> 'messages') = jsonb_array_length(inputs);
		said := message ->> 'content';
		IF said IS NOT NULL THEN
			PERFORM airun_update_task(task_id, left(said, length(said) / 2));
			PERFORM airun_update_task(task_id, said, run_id => conversation.run_id);
			-- a late save
			PERFORM airun_update_task(task_id, left(said, length(said) / 2));
		END IF;
		tokens := 10 * seq;
		cost := CASE WHEN seq % 3 > 0 THEN seq * 0.000125 END;
		turn := airun_finish_turn(task_id, message, tokens_input => tokens,
			tokens_output => length(message::text), cost => cost, finish_reason => 'stop');
		ASSERT (turn #>> '{messages,0,seq}')::bigint = seq;
		-- a retry has no second effect
		IF seq % 4 = 0 THEN
			turn := airun_finish_turn(task_id, message, tokens_input => tokens,
				tokens_output => length(message::text), cost => cost, finish_reason => 'stop');
			ASSERT (turn #>> '{messages,0,seq}')::bigint = seq;
		END IF;
		INSERT INTO replay.task VALUES (conversation.run_id, task_id, tokens + length(message::text), cost);
		inputs := '[]';
		first := false;
	END LOOP;
	IF first THEN
		PERFORM airun_create_run('replay', metadata => conversation.metadata, id => conversation.run_id);
	END IF;
	IF inputs <> '[]' THEN
		PERFORM airun_append_messages(conversation.run_id, inputs);
	END IF;
END
$$;
CREATE PROCEDURE replay.conversation(conversation replay.conversation) LANGUAGE plpgsql AS $$
DECLARE
	message jsonb;
	stored ai_message;
	seq bigint := 0;
BEGIN
	PERFORM set_config('request.jwt.claims', json_build_object('sub', conversation.user_id)::text, true);
	IF conversation.way = 2 THEN
		CALL replay.turns(conversation);
		RETURN;
	END IF;
	PERFORM airun_create_run('replay', metadata => conversation.metadata, id => conversation.run_id);
	IF conversation.way = 1 THEN
		PERFORM airun_append_messages(conversation.run_id, conversation.messages);
		RETURN;
	END IF;
	FOR message IN SELECT * FROM jsonb_array_elements(conversation.messages) LOOP
		seq := seq + 1;
		IF conversation.way = 0 THEN
			stored := airun_append_message(conversation.run_id, message);
		ELSE
			INSERT INTO ai_messages (run_id, message) VALUES (conversation.run_id, message)
			RETURNING * INTO stored;
		END IF;
		ASSERT stored.seq = seq AND stored.role = message ->> 'role';
	END LOOP;
END
$$;
SQL

my $start = time;
$node->safe_psql('postgres', <<'SQL');
SET SESSION AUTHORIZATION app;
DO $$
DECLARE
	conversation replay.conversation;
BEGIN
	FOR conversation IN SELECT * FROM replay.conversation ORDER BY no LOOP
		CALL replay.conversation(conversation);
		COMMIT;
	END LOOP;
END
$$;
SQL
my $seconds = time - $start;

my ($conversations, $messages) = split /\|/, $node->safe_psql('postgres',
	'SELECT count(*), sum(jsonb_array_length(messages)) FROM replay.conversation');
my ($tasks, $tokens, $cost) = split /\|/, $node->safe_psql('postgres',
	'SELECT count(*), sum(tokens), sum(cost) FROM replay.task');
is($conversations, $expected, "all $expected conversations of $files files went in");
cmp_ok($messages, '>', 0, "$messages messages went in");
cmp_ok($tasks, '>', 0, "$tasks of them as answers of tasks");
note sprintf('%d conversations, %d messages, %d tasks in %.2f s: %.0f messages a second',
	$conversations, $messages, $tasks, $seconds, $messages / $seconds);

# What comes out, by every way of reading, as the users.  Our timestamp is taken
# off where the client sent none.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION replay.as_sent(stored jsonb, sent jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT COALESCE(jsonb_agg(CASE WHEN sent -> i::int - 1 ? 'timestamp' THEN m ELSE m - 'timestamp' END
		ORDER BY i), '[]')
	FROM jsonb_array_elements(stored) WITH ORDINALITY AS s (m, i)
$$;
CREATE TABLE replay.difference (run_id uuid, reader text, found jsonb);
CREATE TABLE replay.read (run_id uuid, array_view jsonb, function jsonb, run jsonb, rows jsonb, pages jsonb);
GRANT ALL ON replay.difference, replay.read TO app;
SET SESSION AUTHORIZATION app;
DO $$
DECLARE
	c replay.conversation;
	r replay.read;
	page jsonb;
BEGIN
	FOR c IN SELECT * FROM replay.conversation LOOP
		PERFORM set_config('request.jwt.claims', json_build_object('sub', c.user_id)::text, true);
		r.run_id := c.run_id;
		r.array_view := (SELECT messages FROM ai_runs WHERE id = c.run_id);
		r.function := airun_messages(c.run_id);
		r.run := airun_get_run(c.run_id);
		r.rows := (SELECT jsonb_agg(message ORDER BY seq) FROM ai_messages WHERE run_id = c.run_id);
		r.pages := '[]';
		LOOP
			page := airun_messages(c.run_id, after_seq => jsonb_array_length(r.pages), max_messages => 7);
			EXIT WHEN page = '[]';
			r.pages := r.pages || page;
		END LOOP;
		INSERT INTO replay.read SELECT r.*;
	END LOOP;
END
$$;
SQL
for my $reader (
	[ 'ai_runs.messages', 'array_view' ],
	[ 'airun_messages()', 'function' ],
	[ 'airun_get_run()', q{run -> 'messages'} ],
	[ 'ai_messages', 'rows' ],
	[ 'pages of airun_messages()', 'pages' ])
{
	is( $node->safe_psql('postgres', <<"SQL"),
SELECT count(*) FILTER (WHERE replay.as_sent(r.$reader->[1], c.messages) = c.messages),
	sum(jsonb_array_length(r.$reader->[1]))
FROM replay.conversation AS c JOIN replay.read AS r USING (run_id);
SQL
		"$conversations|$messages",
		"by $reader->[0], every message is as it went in, in order");
}
is( $node->safe_psql('postgres', <<'SQL'),
SELECT count(*) FROM replay.read
WHERE array_view <> function OR array_view <> run -> 'messages' OR array_view <> rows OR array_view <> pages
SQL
	'0', 'all ways of reading give the same, timestamps included');
is( $node->safe_psql('postgres', <<'SQL'),
SELECT count(*) FROM replay.read, jsonb_array_elements(array_view) AS m
WHERE NOT COALESCE(m ->> 'timestamp' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d', false)
SQL
	'0', 'every message has a timestamp');

# Counts and totals
is( $node->safe_psql('postgres', <<'SQL'),
SELECT count(*)
FROM replay.conversation AS c JOIN ai_runs AS r ON r.id = c.run_id
	LEFT JOIN (SELECT run_id, count(*), sum(tokens) AS tokens, sum(cost) AS cost
		FROM replay.task GROUP BY run_id) AS t USING (run_id)
WHERE r.user_id = c.user_id AND r.metadata = c.metadata AND r.status = 'active'
	AND r.message_count = jsonb_array_length(c.messages)
	AND r.task_count = COALESCE(t.count, 0) AND r.total_tokens = COALESCE(t.tokens, 0)
	AND r.total_cost = COALESCE(t.cost, 0)
	AND r.name IS NOT NULL = c.messages @? '$[*] ? (@.role == "user")' AND length(r.name) <= 60
SQL
	$conversations, 'owner, metadata, name, counts and totals of every run are right');
is( $node->safe_psql('postgres',
		'SELECT sum(message_count), sum(task_count), sum(total_tokens), trim_scale(sum(total_cost)) FROM ai_run_summaries'),
	"$messages|$tasks|$tokens|" . ($cost =~ s/(\.\d*?)0+$/$1/r), 'counts and totals equal a recount');
is( $node->safe_psql('postgres', <<'SQL'),
SELECT count(*) FROM ai_tasks AS t JOIN replay.task AS e USING (run_id, task_id)
	JOIN ai_messages AS m ON m.task_id = t.task_id AND m.role = 'assistant'
WHERE t.status = 'completed' AND t.tokens_total = e.tokens AND t.cost IS NOT DISTINCT FROM e.cost
	AND t.response_text IS NOT DISTINCT FROM m.message ->> 'content'
SQL
	$tasks, 'every task is completed, with its text, tokens and cost');
is( $node->safe_psql('postgres', <<'SQL'),
SELECT count(*) FROM replay.read AS r JOIN replay.conversation AS c USING (run_id)
WHERE jsonb_array_length(r.run -> 'tasks') <> (r.run ->> 'task_count')::int
	OR c.way = 2 AND c.messages @? '$[*] ? (@.role == "assistant")' AND r.run -> 'tasks' = '[]'
	OR (r.run ->> 'first_seq')::int <> 1
SQL
	'0', 'airun_get_run() gives the tasks of every run');

# Every user's list, page by page, has every run of the user once, in order
is( $node->safe_psql('postgres', <<'SQL'),
CREATE TABLE replay.listed (no int GENERATED ALWAYS AS IDENTITY, id uuid, user_id uuid, last_message_at timestamptz);
GRANT ALL ON replay.listed TO app;
SET SESSION AUTHORIZATION app;
DO $$
DECLARE
	u uuid;
	place text;
	row ai_run_listing;
	found boolean;
BEGIN
	FOR u IN SELECT DISTINCT user_id FROM replay.conversation LOOP
		PERFORM set_config('request.jwt.claims', json_build_object('sub', u)::text, true);
		place := NULL;
		LOOP
			found := false;
			FOR row IN SELECT * FROM airun_list_runs(cursor => place, page_size => 9) LOOP
				found := true;
				INSERT INTO replay.listed (id, user_id, last_message_at)
				VALUES (row.id, row.user_id, row.last_message_at);
				place := row.cursor;
			END LOOP;
			EXIT WHEN NOT found;
		END LOOP;
	END LOOP;
END
$$;
RESET SESSION AUTHORIZATION;
SELECT count(*), count(DISTINCT l.id), count(*) FILTER (WHERE l.user_id = c.user_id),
	count(*) FILTER (WHERE l.last_message_at > l.before)
FROM (SELECT *, lag(last_message_at) OVER (PARTITION BY user_id ORDER BY no) AS before FROM replay.listed) AS l
	JOIN replay.conversation AS c ON c.run_id = l.id
SQL
	"$conversations|$conversations|$conversations|0",
	'the lists of all users, page by page, have every run once, newest first');

check_ok($node, 'after the replay');
done_testing();
