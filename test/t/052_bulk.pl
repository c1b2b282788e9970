# Many rows of one run, in one statement through the views: twice the rows cost
# about twice as much.  Counted in buffers of the store, not timed: each version
# of the run's row that a statement leaves behind is one that every later look
# at the run goes through, so that what is done a row costs more with each row
# before it.  A statement that changes tasks that have ended locks no texts, and a
# call with many messages is cancelled between two of them.  And documents of some
# megabytes that a client sends are gone through once: each is made so that who goes
# through it again for each of its parts takes minutes, and cannot be cancelled.  A
# second is enough, and 40 are allowed.

use strict;
use warnings;

use lib 'test/t';
use AirunTest;
use PostgreSQL::Test::Utils;
use Test::More;

# Twice the rows may cost this much; what is quadratic costs three to four times
my $most = 2.6;
my $rows = quick_or_long(1500, 10000);
my $runs = 0;

# as many locks as tasks that are ended
my $node = airun_node('bulk', conf => <<"END");
max_locks_per_transaction = @{[2 * $rows]}
autovacuum = off
END
my $dir = PostgreSQL::Test::Utils::tempdir();

$node->safe_psql('postgres', <<'END');
CREATE ROLE api;
SELECT airun_grant('api');
SELECT airun_set_price('gpt-4o', '{"input": 2.50, "output": 10}', per_tokens => 1000000);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
END

my $usage = '{"prompt_tokens": 17, "completion_tokens": 11}';
my $insert = "INSERT INTO ai_tasks (run_id, service) SELECT RUN, i::text FROM generate_series(1, ROWS) i";

# What is measured: its name, the statement, and what goes before.  RUN and ROWS
# are put in.
my @statements = (
	[ 'tasks inserted', $insert ],
	[
		'tasks inserted whole',
		"INSERT INTO ai_tasks (run_id, model_id, status, response_text, usage)
		SELECT RUN, 'gpt-4o', 'completed', 'Text ' || i, '$usage' FROM generate_series(1, ROWS) i"
	],
	[ 'tasks copied in', "\\copy ai_tasks (run_id, service) FROM '$dir/FILE'" ],
	[ 'tasks changed', "UPDATE ai_tasks SET model_id = 'gpt-4o' WHERE run_id = RUN", $insert ],
	[
		'tasks ended',
		"UPDATE ai_tasks SET status = 'completed', response_text = 'Text', usage = '$usage'
		WHERE run_id = RUN", $insert
	],
	[
		'messages inserted',
		"INSERT INTO ai_messages (run_id, message)
		SELECT RUN, jsonb_build_object('role', 'user', 'content', i::text) FROM generate_series(1, ROWS) i"
	],
	[
		'messages inserted with ids',
		"INSERT INTO ai_messages (run_id, message, message_id)
		SELECT RUN, jsonb_build_object('role', 'user', 'content', i::text), i FROM generate_series(1, ROWS) i"
	]);
my $delete = [ 'tasks deleted', 'DELETE FROM ai_tasks WHERE run_id = RUN', $insert ];

# How many buffers of the store a statement touches on a new run, as a role.
sub buffers
{
	my ($statement, $rows, $role) = @_;
	my ($name, $sql, $before) = @$statement;
	my $run = numbered_id(1, ++$runs);
	my $touched = "SELECT pg_stat_force_next_flush();
		SELECT sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0))
		FROM pg_statio_all_tables WHERE schemaname = 'airun';";

	if ($sql =~ s/FILE/$run/)
	{
		append_to_file("$dir/$run", join '', map { "$run\t$_\n" } 1 .. $rows);
	}
	for ($sql, $before //= '')
	{
		s/\bRUN\b/'$run'::uuid/g;
		s/\bROWS\b/$rows/g;
	}
	my @out = split /\n/, $node->safe_psql('postgres', <<"END");
SET airun.user_id = 'alice';
SET ROLE $role;
SELECT id FROM airun_create_run('chat', id => '$run');
$before;
RESET ROLE;
$touched
SET ROLE $role;
$sql
;
RESET ROLE;
$touched
END
	my ($start, $end) = grep { /^\d+$/ } @out;
	return $end - $start;
}

# Tests that a statement's cost is in proportion to its rows.
sub is_linear
{
	my ($statement, $role, $how) = @_;
	my $once = buffers($statement, $rows, $role);
	my $twice = buffers($statement, 2 * $rows, $role);

	note("$statement->[0] $how: $once buffers for $rows rows, $twice for twice as many");
	cmp_ok($once, '>', $rows, "$statement->[0] $how: buffers are counted");
	cmp_ok($twice / $once, '<', $most,
		"$statement->[0] $how: twice as many rows cost about twice as much");
}

# A message is an append, which updates its run.  By a statement, each such update walks
# through the versions that those before it in the transaction have left, as everywhere.
my @appends = grep { $_->[0] =~ /^messages/ } @statements;
my @others = grep { $_->[0] !~ /^messages/ } @statements;
my @linear = ($ENV{AIRUN_DIRECT} // '') eq 'off' ? @others : (@appends, @others);

is_linear($_, 'postgres', 'by the owner') for @linear, $delete;
is_linear($_, 'api', 'by a role under row security') for @linear;

# Triggers of a site's: then rows of ours go through the executor, too
$node->safe_psql('postgres', 'CREATE TRIGGER site AFTER INSERT OR UPDATE ON airun.tasks
	FOR EACH ROW EXECUTE FUNCTION nothing()');
is_linear($_, 'api', 'with a trigger of a site')
  for grep { $_->[0] =~ /^tasks/ } @statements;
$node->safe_psql('postgres', 'CREATE TRIGGER site BEFORE UPDATE ON airun.runs
	FOR EACH ROW EXECUTE FUNCTION nothing()');
is_linear($_, 'api', 'with a trigger of a site on runs')
  for grep { $_->[0] =~ /^tasks/ } @statements;
check_ok($node, 'after all of these');

# What has ended has no text to be locked
my $locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
my $run = numbered_id(1, ++$runs);
is( $node->safe_psql('postgres', <<"END"), "10\n0\n0", 'tasks that have ended lock no texts');
\\o /dev/null
SELECT airun_create_run('chat', id => '$run');
INSERT INTO ai_tasks (run_id, status)
SELECT '$run', CASE WHEN i <= 10 THEN 'pending' ELSE 'completed' END FROM generate_series(1, 1000) i;
\\o
BEGIN;
UPDATE ai_tasks SET status = 'completed' WHERE run_id = '$run' AND status = 'pending';
$locks;
COMMIT;
BEGIN;
UPDATE ai_tasks SET status = 'completed' WHERE run_id = '$run';
$locks;
COMMIT;
BEGIN;
DELETE FROM ai_tasks WHERE run_id = '$run';
$locks;
COMMIT;
END

# What a transaction that was cancelled has inserted is counted, too.  The array is
# made before, and the time is a small part of what all of them take.
$run = numbered_id(1, ++$runs);
$node->safe_psql('postgres', <<"END");
SELECT airun_create_run('chat', id => '$run');
CREATE TABLE many AS
SELECT with_ids, jsonb_agg(jsonb_build_object('role', 'user', 'content', repeat('x', 1000)) ||
	CASE WHEN with_ids THEN jsonb_build_object('id', i) ELSE '{}' END) AS messages
FROM (VALUES (true), (false)) AS v (with_ids), generate_series(1, 50000) AS i GROUP BY with_ids;
END
for my $with_ids ('true', 'false')
{
	my $inserted = "SELECT pg_stat_force_next_flush(); SELECT n_tup_ins FROM pg_stat_user_tables WHERE relid = 'airun.messages'::regclass";
	my $before = (split /\n/, $node->safe_psql('postgres', $inserted))[-1];
	my ($status, $out, $error) = $node->psql('postgres', <<"END");
SELECT airun_append_message('$run', '{"role": "user", "content": "the library is loaded"}');
SET statement_timeout = '150ms';
SELECT count(*) FROM airun_append_messages('$run', (SELECT messages FROM many WHERE with_ids = $with_ids));
SELECT pg_stat_force_next_flush();
END
	my $after = (split /\n/, $node->safe_psql('postgres', $inserted))[-1];
	like($error, qr/canceling statement due to statement timeout/, "50,000 messages, with ids: $with_ids: are cancelled");
	cmp_ok($after - $before, '<', 50000, 'before all of them have been inserted');
}
# Documents of clients: what is asked of them, and what must come.  A server with assertions that
# knows valgrind moves a list with each element that it gets.
my $items = $node->safe_psql('postgres', 'SHOW debug_assertions') eq 'on' ? 50_000 : 2_000_000;
sub turn { return "jsonb_build_object('role', 'assistant', " . join(', ', @_) . ')'; }
my $uncalled = "'tool_calls', jsonb_agg(jsonb_build_object('id', 'c' || i, 'function', jsonb_build_object('name', 'f', 'arguments', '{}')))";
my $question = q({"role": "user", "content": "What?"});
my $chat_node = "jsonb_build_object('author', jsonb_build_object('role', 'user'), 'content', jsonb_build_object('parts', jsonb_build_array('t')))";
for my $document (
	[
		'messages that OpenInference has flattened, numbered with gaps', '|2',
		q(SELECT problem, message_count FROM airun_import((SELECT '{"llm.input_messages.99999.message.role": "user",
			"llm.input_messages.99999.message.content": "last", "llm.input_messages.1.message.role": "user",
			"llm.input_messages.1.message.content": "first"' || string_agg(', "llm.input_messages.1.message.x' || i || '": 1', '') || '}'
			FROM generate_series(1, 60000) i)))
	],
	[
		'a tree: 70,000 nodes that say nothing, and as many below them that do', '|2|999',
		"SELECT problem, message_count, fork_count FROM airun_import((SELECT jsonb_build_object('id', 'silent', 'mapping',
			jsonb_object_agg('n' || i, jsonb_build_object('parent', 'n' || LEAST(i - 1, 70000),
				'message', CASE WHEN i = 0 OR i > 70000 THEN $chat_node END)))::text FROM generate_series(0, 140000) i))"
	],
	[
		'a tree: 40,000 messages in a row, of which one is shown, and 20,000 below; of branches 100,000 messages and what completes the last', '|40002|3',
		"SELECT problem, message_count, fork_count FROM airun_import((SELECT jsonb_build_object('id', 'below', 'current_node', 'n20000', 'mapping',
			jsonb_object_agg('n' || i, jsonb_build_object('parent', 'n' || LEAST(i - 1, 40000), 'message', $chat_node)))::text
			FROM generate_series(0, 60000) i))"
	],
	[
		'what is no HTML', '|2',
		q(SELECT problem, message_count FROM airun_import(json_build_object('products', '{}'::text[], 'title', 'Said x',
			'time', '2024-05-01T09:00:00Z', 'safeHtmlItem', json_build_array(json_build_object('html', repeat('<', 6000000))))::text))
	],
	[
		'a page of items, newest first', 'a message is a number: It must be an object.',
		q(SELECT problem FROM airun_import('{"object": "list", "first_id": "a", "data": [{"id": "a", "type": "message", "role": "assistant"}' ||
			repeat(', 0', ITEMS) || ']}'))
	],
	[
		'a usage whose counts stand below a long key', '7|["it is too large to be read whole"]',
		q(SELECT u->'tokens_input', u->'doubts' FROM (SELECT airun_normalize_usage(jsonb_build_object('input_tokens', 7, repeat('k', 6000000),
			jsonb_object_agg('k' || i, i))) FROM generate_series(1, 900) i) x (u))
	],
	[
		'calls without results, and results without calls', '60000|60000',
		"SELECT left_out->'calls_without_result', left_out->'results_without_call' FROM airun_context(RUN) c, LATERAL (SELECT c->'left_out') l (left_out)",
		"jsonb_build_array('$question'::jsonb, " . turn($uncalled) .
		  ", jsonb_build_object('role', 'user', 'content', jsonb_agg(jsonb_build_object('type', 'tool_result', 'tool_use_id', 'z' || i, 'content', 'r'))))"
	],
	[
		'calls beside other calls', '120000',
		"SELECT airun_context(RUN)->'left_out'->'calls_without_result'",
		"jsonb_build_array('$question'::jsonb, " .
		  turn("'content', jsonb_agg(jsonb_build_object('type', 'tool_use', 'id', 'd' || i, 'name', 'f'))", $uncalled) . ')'
	])
{
	my ($name, $expected, $query, $messages) = @$document;
	$run = numbered_id(1, ++$runs);
	$query =~ s/RUN/'$run'/;
	$query =~ s/ITEMS/$items/;
	$node->safe_psql('postgres', "SELECT airun_create_run('chat', id => '$run')");
	$node->safe_psql('postgres', "SELECT count(*) FROM airun_append_messages('$run', (SELECT $messages FROM generate_series(1, 60000) i))")
	  if $messages;
	my ($status, $out, $error) = $node->psql('postgres', "SET statement_timeout = '40s'; $query");
	is($error || $out, $expected, "gone through once: $name");
}

#--- memory ----------------------------------------------------------------------------

# The branches of a tree are stored one at a time: 26 MB, with the pages of the table that it has
# touched; all 20,000 messages of its branches at once are 120 MB
is($node->safe_psql('postgres', <<'END'), '501|39||t', 'memory is by the document, not by its branches');
SELECT jsonb_build_object('id', 'long branches', 'title', 'Long branches', 'mapping', jsonb_object_agg('n' || i, jsonb_build_object('parent', 'n' || LEAST(i - 1, 500),
	'message', jsonb_build_object('author', jsonb_build_object('role', CASE WHEN i % 2 = 0 THEN 'user' ELSE 'assistant' END),
		'content', jsonb_build_object('content_type', 'text', 'parts', jsonb_build_array('m' || i)))))) AS document
FROM generate_series(1, 540) AS i \gset
SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s*(\d+)') AS before \gset
SELECT message_count, fork_count, problem, substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s*(\d+)')::bigint - :before < 70000 FROM airun_import(:'document');
END
check_ok($node, 'at the end');

done_testing();
