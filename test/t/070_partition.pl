# A partitioned store beside writers, in dumps, and under the regression tests:
# airun_partition(), months that are added and months that go while 6 clients write, with
# ids that begin with their time and ids that do not: no error but those that are
# promised, nothing acknowledged lost, no deadlock.  The core of the regression tests
# passes on a partitioned store as on a plain one; all of them in the long form, but
# for those that look at the tables themselves.

use strict;
use warnings;

use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $seconds = quick_or_long(2, 20);
my $clients = 6;
my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = airun_node('partition', conf => "max_connections = 40\nlog_lock_waits = on\ndeadlock_timeout = 200ms\n");
$node->safe_psql('postgres', 'CREATE ROLE app; GRANT app TO CURRENT_USER');

sub sql { my ($sql, $db) = @_; return $node->safe_psql($db // 'postgres', $sql); }

# A database with a store
sub database
{
	my ($db) = @_;

	sql("CREATE DATABASE $db");
	sql("CREATE EXTENSION airun; SELECT airun_install(); SELECT airun_grant('app')", $db);
}

# The SQLSTATE that a command is refused with
sub refused
{
	my ($sql, $db) = @_;
	my $err = '';

	$node->psql($db // 'postgres', "\\set VERBOSITY sqlstate\n$sql", stderr => \$err);
	return $err =~ /(?:ERROR|FATAL):\s+(\w+)/ ? $1 : 'none';
}

#--- beside writers --------------------------------------------------------------------

# A conversation: its run and its messages, with and without ids, a task that streams, a turn
my $writes = <<'END';
SELECT id AS run FROM airun_create_run(id => CASE WHEN random() < 0.3 THEN gen_random_uuid() ELSE airun_uuid() END) \gset
SELECT airun_append_message(':run', '{"role": "user", "content": "one"}');
SELECT airun_append_message(':run', '{"role": "user", "content": "two"}', 'two');
SELECT task_id AS task FROM airun_create_task(':run') \gset
SELECT airun_stream_delta(':task', 'so far', run_id => ':run');
SELECT airun_complete_task(':task', usage => '{"input_tokens": 2, "output_tokens": 3}', run_id => ':run');
INSERT INTO ai_messages (run_id, message) VALUES (':run', '{"role": "user", "content": "three"}');
UPDATE ai_runs SET name = 'done' WHERE id = ':run';
END

sub start_writers
{
	my ($db) = @_;
	my ($out, $err) = ('', '');
	my $file = "$dir/$db.sql";

	append_to_file($file, $writes);
	return {
		db => $db, out => \$out, err => \$err,
		run => IPC::Run::start(
			[ $node->installed_command('pgbench'), '-n', '-c', $clients, '-j', 2, '-T', $seconds, '-f', $file, $node->connstr($db) ],
			'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(180 + $seconds))
	};
}

# All that writers have been told is there
sub finish_writers
{
	my ($writers) = @_;
	my $db = $writers->{db};

	$writers->{run}->finish;
	is(${ $writers->{err} } =~ s/^pgbench \(.*\n//r, '', "$db: no client had an error");
	my ($done) = ${ $writers->{out} } =~ /actually processed: (\d+)/;
	cmp_ok($done, '>', 0, "$db: conversations were written: $done");
	cmp_ok(sql("SELECT count(*) FROM ai_runs WHERE name = 'done' AND message_count = 3 AND total_tokens = 5", $db), '>=', $done, "$db: all are there");
	check_ok($node, "in $db", $db);
	is(sql('SELECT * FROM airun_check_usage()', $db), '', "$db: the ledger agrees");
	proven('conversations written while months were made and dropped', $done);
}

# Months of its own, for a partitioned store that is empty: one that has ended, and one of now
my $months = <<'END';
DROP TABLE airun.task_chunks_earlier, airun.message_versions_earlier, airun.tasks_earlier, airun.messages_earlier, airun.runs_earlier;
SELECT airun_store_make_partitions('2025_03', airun_store_first_id('2025-03-01'), airun_store_first_id('2025-04-01'), NULL),
	airun_store_make_partitions('2025_04', airun_store_first_id('2025-04-01'), airun_store_first_id('2025-05-01'), NULL),
	airun_store_make_partitions('2025_05', airun_store_first_id('2025-05-01'), (SELECT min(lower_id::text)::uuid FROM airun_store_partitions() WHERE lower_id > airun_store_first_id(now())), NULL);
SELECT airun_store_mend();
INSERT INTO airun.runs (id, created_at) SELECT overlay(airun_store_first_id('2025-03-03')::text PLACING lpad(n::text, 12, '0') FROM 25)::uuid, '2025-03-03' FROM generate_series(1, 200) AS n;
INSERT INTO airun.messages (run_id, message) SELECT id, '{"role": "user", "content": "old"}' FROM airun.runs;
UPDATE airun.runs SET deleted_at = '2025-04-01';
END

database('plain');
database('months');
database('partitioned');
sql('SELECT airun_partition(1)', 'partitioned');
sql('SELECT airun_partition()', 'months');
sql($months, 'months');

{
	my @writers = map { start_writers($_) } qw(plain months);

	usleep(500_000);
	like(sql('SELECT airun_partition(1)', 'plain'), qr/^The store is partitioned/, 'a store is partitioned beside writers');
	usleep(300_000);
	for my $ahead (2 .. 5)
	{
		is(sql("SELECT airun_add_partitions($ahead)", 'plain'), '1', "a month is added, $ahead ahead");
		is(sql("SELECT airun_add_partitions(@{[$ahead + 2]})", 'months'), '1', 'and in the other store');
	}
	is(sql("SELECT suffix, runs, kept FROM airun_drop_partitions('2025-04-20')", 'months'), '2025_03|200|0', 'a month goes beside writers');
	is(sql(q(SELECT count(*) FROM airun.runs WHERE created_at < '2025-06-01'), 'months'), '0', 'with its runs');
	finish_writers($_) for @writers;
	unlike(slurp_file($node->logfile), qr/deadlock detected/, 'and nobody has met a deadlock');
}

# Who keeps the tables for long makes it give up, after ten seconds, and nothing has changed
if ($ENV{AIRUN_LONG})
{
	my $holder = $node->background_psql('months');

	$holder->query_safe('BEGIN; SELECT count(*) FROM ai_runs');
	is(refused("SELECT airun_drop_partitions('infinity', true)", 'months'), '55P03', 'a reader that stays keeps a month');
	is(sql("SELECT count(*) FROM airun_create_run()", 'months'), '1', 'and nobody waits for it');
	$holder->quit;
}
is(refused("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT airun_drop_partitions('infinity')", 'months'), '25001', 'under REPEATABLE READ months do not go');

#--- TRUNCATE ----------------------------------------------------------------------------

is(refused("TRUNCATE airun.${_}_2025_05", 'months'), '0A000', "a partition of $_ is not truncated alone") for qw(messages tasks);
is(refused('TRUNCATE airun.runs_2025_05 CASCADE', 'months'), '0A000', 'nor one of runs, with what belongs to them');
sql('CREATE DATABASE truncated TEMPLATE months');
for my $command ('TRUNCATE airun.messages, airun.message_versions', 'TRUNCATE airun.tasks', 'TRUNCATE airun.runs CASCADE')
{
	sql($command, 'truncated');
	check_ok($node, "after $command", 'truncated');
}
is(sql('SELECT count(*) FROM airun.task_chunks', 'truncated'), '0', 'no chunk is left');

#--- dump and restore --------------------------------------------------------------------

# What a store has: rows, and where they are
sub everything
{
	my ($db) = @_;

	return join "\n", map { sql("SELECT tableoid::regclass::text, count(*), md5(string_agg(x::text, '' ORDER BY x::text)) FROM airun.$_ AS x GROUP BY 1 ORDER BY 1", $db) }
	  qw(runs messages message_versions tasks task_chunks usage_tail);
}

{
	my $expected = everything('months');

	for my $form ([ 'plain', '--format=plain' ], [ 'custom', '--format=custom' ], [ 'by its root', '--format=custom', '--load-via-partition-root' ])
	{
		my ($name, @options) = @$form;
		my $file = "$dir/dump." . ($name =~ s/ .*//r);
		my $db = 'restored_' . ($name =~ s/ .*//r);

		$node->command_ok([ 'pg_dump', '--file', $file, @options, $node->connstr('months') ], "dumped: $name");
		sql("CREATE DATABASE $db");
		$node->command_ok($name eq 'plain' ? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr($db) ] : [ 'pg_restore', '--exit-on-error', '--dbname', $node->connstr($db), $file ],
			"restored: $name");
		is(everything($db), $expected, "restored: $name: all rows, where they were");
		check_ok($node, "restored: $name", $db);
		like(sql('SELECT airun_install()', $db), qr/nothing was changed/, "restored: $name: nothing lacks");
		is(sql("SELECT count(*) FROM airun_append_message((SELECT id FROM ai_runs LIMIT 1), '{\"role\": \"user\", \"content\": \"x\"}')", $db), '1', "restored: $name: it works");
	}
}

# The extension goes, and comes back to a partitioned store
sql('DROP EXTENSION airun CASCADE; CREATE EXTENSION airun; SELECT airun_install()', 'restored_plain');
check_ok($node, 'after DROP EXTENSION CASCADE and back', 'restored_plain');
is(sql('SELECT airun_add_partitions(8)', 'restored_plain'), '1', 'and months are added as before');
sql('CALL airun_work()', 'partitioned');
is(sql(q(SELECT count(*) FROM airun_store_partitions() WHERE relation = 'runs'), 'partitioned'), '6', 'as the worker does');

#--- the regression tests ----------------------------------------------------------------

# Runs the file of a regression test as pg_regress does; returns its output
sub regress
{
	my ($name) = @_;
	my $out = '';
	local $ENV{PGTZ} = 'PST8PDT';
	local $ENV{PGDATESTYLE} = 'Postgres, MDY';
	local $ENV{PGOPTIONS} = join ' ', $ENV{PGOPTIONS} // '', '-c intervalstyle=postgres_verbose';

	IPC::Run::run([ $node->installed_command('psql'), '-X', '-a', '-q', '-d', $node->connstr('regress') ],
		'<', "sql/$name.sql", '>&', \$out, IPC::Run::timeout(300));
	return $out;
}

# An error of the server names the partition's index in place of the table's
sub without_partitions { return $_[0] =~ s/\b(runs|messages|message_versions|tasks|task_chunks)_(?:earlier|other|default|\d{4}_\d\d)(?=_|\b)/$1/gr; }

{
	my @tests = split ' ', quick_or_long('run message task turn', 'run names list message save fork search task turn doors late export context refusals columns usage price cost served money meter report');
	my $equal = 0;

	sql('CREATE DATABASE regress');
	sql('CREATE EXTENSION airun; SELECT airun_install(); SELECT airun_partition()', 'regress');
	regress('helpers');
	for my $test (@tests)
	{
		my $expected = slurp_file("expected/$test.out");
		my $found = without_partitions(regress($test));

		$equal += is($found, $expected, "$test passes on a partitioned store");
		check_ok($node, "after $test", 'regress');
	}
	proven('regression tests that pass on a partitioned store', $equal);
}

done_testing();
