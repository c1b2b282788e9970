# A partitioned store beside writers, in dumps, and under the regression tests:
# airun_partition(), months that are added and months that go while 6 clients write, with
# ids that begin with their time and ids that do not: no error but those that are
# promised, nothing acknowledged lost, no deadlock.  Buckets move from and to partitioned
# shards.  The core of the regression tests passes on a partitioned store as on a plain
# one; in the long form all of them do, but for those that look at the tables themselves
# and the lines that are stated here.

use strict;
use warnings;

use AirunTest;
use Cwd qw(getcwd);
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

# A conversation: its run and its messages, with and without ids, a task that streams, a turn;
# an id by chance is not of the month that is dropped
my $writes = <<'END';
SELECT id AS run FROM airun_create_run(id => CASE WHEN random() < 0.3 THEN overlay(gen_random_uuid()::text PLACING 'f' FROM 1)::uuid ELSE airun_uuid() END) \gset
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

# Who keeps a counter in which tasks of the month have counted: everybody would wait for him
database('counters');
sql('SELECT airun_partition()', 'counters');
sql($months, 'counters');
sql(<<'END', 'counters');
SELECT airun_set_budget('all', 100, measure => 'calls', period => 'none');
DO $$
DECLARE
	run uuid := overlay(airun_store_first_id('2025-03-04')::text PLACING '000000000001' FROM 25)::uuid;
BEGIN
	PERFORM airun_create_run(id => run), airun_complete_task((airun_create_task(run)).task_id, 'x'), airun_delete_run(run);
	UPDATE airun.runs SET deleted_at = '2025-04-01' WHERE id = run;
END$$;
END
{
	my $owner = $node->background_psql('counters');
	my $err = '';

	$owner->query_safe("BEGIN; SELECT airun_credit_budget('all', 1)");
	$node->psql('counters', "\\set VERBOSITY verbose\nSET statement_timeout = '20s'; SELECT airun_drop_partitions('2025-04-20')", stderr => \$err);
	like($err, qr/ERROR:  55P03: could not drop the partitions "2025_03"/, 'who keeps a counter keeps the month, and nobody waits for long');
	$owner->quit;
	is(sql("SELECT suffix, runs, kept FROM airun_drop_partitions('2025-04-20')", 'counters'), '2025_03|201|0', 'and it goes later');
	is(sql("SELECT spent FROM airun_budget_status('all')", 'counters'), '1', 'what it has cost stays');
	check_ok($node, 'after that', 'counters');
}

# Two at the same time: the second finds done what it waited for
database('twice');
{
	my $first = $node->background_psql('twice');
	my ($out, $err) = ('', '');

	$first->query_safe('BEGIN; SELECT airun_partition(1)');
	my $second = IPC::Run::start([ $node->installed_command('psql'), '-XAtq', '-c', 'SELECT airun_partition(2)', '-d', $node->connstr('twice') ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(180));
	$node->poll_query_until('twice', q(SELECT count(*) > 0 FROM pg_stat_activity WHERE query = 'SELECT airun_partition(2)' AND wait_event_type = 'Lock')) or die 'nobody waits';
	$first->query_safe('COMMIT');
	$first->quit;
	$second->finish;
	is($out . $err, "The store is partitioned; partitions have been made for 1 months.\n", 'a second call waits for the first, and does the rest');
}

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

#--- a bucket moves ------------------------------------------------------------------------

# From a partitioned shard to a plain one, to one with other months, and back
SKIP:
{
	skip('rows move in the same way, however they are written', 12) if ($ENV{AIRUN_DIRECT} // 'on') ne 'on';
	my $library = debian_library($node, 'plproxy');
	skip('there is no PL/Proxy', 12) if !$library;
	my @shards = map { "shard$_" } 0 .. 2;
	my $user = '00000000-0000-4000-8000-000000000001';
	my $as_user = "SET ROLE authenticated; SET airun.user_id = '$user'";
	# ids of each partition: other, default, a month, and from now on
	my @runs = ('fe000000-0000-4000-8000-000000000001', '03000000-0000-7000-8000-000000000001', sql('SELECT airun_store_first_id(now() + interval \'1 month\')', 'months'), sql('SELECT airun_store_first_id(now())', 'months'));
	my $list = join ', ', map { "'$_'" } @runs;

	sql('CREATE ROLE authenticated; CREATE ROLE airun_proxy LOGIN NOINHERIT');
	sql("CREATE DATABASE $_") for 'shard0', 'proxy';
	sql('CREATE EXTENSION airun; SELECT airun_install(), airun_install_shard()', 'shard0');
	sql("CREATE DATABASE $_ TEMPLATE shard0") for 'shard1', 'shard2';
	sql('SELECT airun_partition(1)', 'shard0');
	sql('SELECT airun_partition(3)', 'shard2');
	sql(<<"END", 'proxy');
CREATE FUNCTION plproxy_call_handler() RETURNS language_handler AS '$library', 'plproxy_call_handler' LANGUAGE C;
CREATE FUNCTION plproxy_validator(oid) RETURNS void AS '$library', 'plproxy_validator' LANGUAGE C;
CREATE LANGUAGE plproxy HANDLER plproxy_call_handler VALIDATOR plproxy_validator;
CREATE FUNCTION plproxy_fdw_validator(text[], oid) RETURNS boolean AS '$library', 'plproxy_fdw_validator' LANGUAGE C;
CREATE FOREIGN DATA WRAPPER plproxy VALIDATOR plproxy_fdw_validator;
CREATE SCHEMA airun_lib; CREATE EXTENSION airun SCHEMA airun_lib; CREATE SCHEMA api;
SELECT airun_lib.airun_install_proxy(ARRAY[@{[join ', ', map { "'" . $node->connstr($_) =~ s/'/''/gr . "'" } @shards]}], 'api');
SELECT api.airun_grant('authenticated');
CALL airun_lib.airun_move_bucket(airun_lib.airun_bucket('$user'), 0);
$as_user;
CREATE TEMPORARY TABLE runs AS SELECT unnest(ARRAY[$list]::uuid[]) AS id;
SELECT (api.airun_create_run(id => id)).status FROM runs;
SELECT (api.airun_append_messages(id, '[{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]')).seq FROM runs;
SELECT (api.airun_truncate_messages(id, 1)).message_count, (api.airun_create_task(id, id)).status FROM runs;
SELECT (api.airun_stream_delta(id, 'so far', run_id => id)).status FROM runs;
END
	my $rows = "SELECT md5(string_agg(x, '' ORDER BY x)) FROM (" . join(' UNION ALL ', map { "SELECT to_jsonb(x)::text FROM airun.$_ AS x" } qw(runs messages message_versions tasks task_chunks)) . ') AS x (x)';
	my $before = sql($rows, 'shard0');

	is(sql('SELECT count(DISTINCT tableoid) FROM airun.runs', 'shard0'), '4', 'runs in four partitions');
	for my $target (1, 2, 0)
	{
		sql("CALL airun_lib.airun_move_bucket(airun_lib.airun_bucket('$user'), $target)", 'proxy');
		is(sql($rows, "shard$target"), $before, "all rows are on shard $target");
		is(join(' ', map { sql('SELECT count(*) FROM airun.runs', $_) . sql('SELECT * FROM airun_check()', $_) } @shards),
			join(' ', map { $_ == $target ? 4 : 0 } 0 .. 2), 'and on no other, and none has a problem');
		is(sql("$as_user; SELECT sum((api.airun_append_message(id, '{\"role\": \"user\", \"content\": \"x\"}', 'id')).seq) FROM unnest(ARRAY[$list]::uuid[]) AS id", 'proxy'),
			'8', 'and they go on there');
		$before = sql($rows, "shard$target");
	}
	is(sql("SELECT string_agg(p, ' ' ORDER BY p) FROM (SELECT regexp_replace(tableoid::regclass::text, '\\d{4}_\\d\\d\$', 'month') FROM airun.runs) AS r (p)", 'shard0'),
		'airun.runs_default airun.runs_earlier airun.runs_month airun.runs_other', 'each is in its partition');
	sql('ANALYZE airun.runs', 'shard0');
	is(sql('SELECT string_agg(runs::text, \' \' ORDER BY shard) FROM airun_lib.airun_shards()', 'proxy'), '4 0 0', 'airun_shards() counts runs in partitions');
	sql("DROP DATABASE $_ WITH (FORCE)") for 'proxy', @shards;
	sql('DROP ROLE authenticated, airun_proxy');
}

#--- the regression tests ----------------------------------------------------------------

# Those that are not run here: they look at no store (json, lint, sketch), they make and
# partition stores themselves, or they change tables in ways that the server does not
# have for partitioned ones (direct, exact: exact_partition.sql has those that it has).
my %apart = map { $_ => 1 } qw(json lint sketch install objects partition exact_partition direct exact helpers);

# The lines that differ: what a partitioned store says otherwise, and nothing else
my %stated = (
	# COPY from a table under row security is one of ONLY that table; functions stand for foreign keys
	access => <<'END',
< 1	\N
>   function ai_messages(ai_runs)
>   function ai_messages(ai_run_summaries)
>   function ai_runs(ai_messages)
>   function ai_run_summaries(ai_messages)
END
	driver_types => <<'END',
<                   attempt                  
< -------------------------------------------
<  42846 cannot cast type record to ai_tasks
>                      attempt                      
> --------------------------------------------------
>  42725 function ai_messages(record) is not unique
END
	# a run's id is stated or left out, not null; foreign keys stand on each partition
	postgrest => join('', map { "$_\n" }
		'< {"id":"<uuid>","user_id":"9057e570-0000-4000-8000-0000000000aa","source_type":"chat","source_id":null,"name":"all null","description":null,"settings":{},"variable_values":{},"messages":[],"tags":[],"metadata":{},"message_count":0,"task_count":0,"total_tokens":0,"total_cost":0,"status":"active","is_starred":false,"is_archived":false,"created_at":"<time>","updated_at":"<time>","last_message_at":"<time>","active_hour":"<time>","forked_from":null,"forked_at_seq":null,"is_listed":true}',
		('> {"code" : "PT422", "message" : "column \"id\" of ai_runs must not be null", "details" : "The store is partitioned by it.", "hint" : "Leave it out to have one made, or use airun_create_run()."}'),
		'< true',
		('> {"code" : "PT422", "message" : "column \"id\" of ai_runs must not be null", "details" : "The store is partitioned by it.", "hint" : "Leave it out to have one made, or use airun_create_run()."}'),
		(map { ("> ${_}_run_id_fkey|airun.$_|run_id|airun.runs|id") x 5 } qw(message_versions messages tasks)),
		'<   ->  Index Scan using runs_pkey on runs r', '>   Update on runs r_1', '>   ->  Index Scan using runs_pkey on runs r_1'),
	# storage options are those of partitions
	stream_visibility => <<'END',
> ERROR:  unrecognized parameter "autovacuum_enabled"
> CONTEXT:  SQL statement "ALTER TABLE airun.runs SET (autovacuum_enabled = off);ALTER TABLE airun.messages SET (autovacuum_enabled = off);ALTER TABLE airun.tasks SET (autovacuum_enabled = off);ALTER TABLE airun.task_chunks SET (autovacuum_enabled = off)"
> PL/pgSQL function inline_code_block line 1 at EXECUTE
END
	# a trigger that is disabled on a table is disabled on each partition
	totals => "  trigger airun_guard of airun.tasks | expected enabled, found disabled\n" =~ s/^/> /r x 6);

# Runs the file of a regression test as pg_regress does; returns its output
sub regress
{
	my ($name) = @_;
	my $out = '';
	local $ENV{PGTZ} = 'PST8PDT';
	local $ENV{PGDATESTYLE} = 'Postgres, MDY';
	local $ENV{PGOPTIONS} = join ' ', $ENV{PGOPTIONS} // '', '-c intervalstyle=postgres_verbose';
	local $ENV{PG_ABS_SRCDIR} = getcwd();
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;

	IPC::Run::run([ $node->installed_command('psql'), '-X', '-a', '-q', '-d', $node->connstr('contrib_regression') ],
		'<', "sql/$name.sql", '>&', \$out, IPC::Run::timeout(900));
	return $out;
}

# An error of the server names the partition's index in place of the table's; and some tests
# name a partition themselves
sub without_partitions { return $_[0] =~ s/\b(runs|messages|message_versions|tasks|task_chunks)_(?:earlier|other|default|\d{4}_\d\d)(?=_|\b)/$1/gr; }

# The lines in which the output of a test is not what it should be
sub differences
{
	my ($name, $found) = @_;
	my $out = '';

	append_to_file("$dir/$name.expected", without_partitions(slurp_file("expected/$name.out")));
	append_to_file("$dir/$name.out", without_partitions($found));
	IPC::Run::run([ 'diff', "$dir/$name.expected", "$dir/$name.out" ], '>', \$out);
	return join '', grep { /^[<>]/ } split /^/, $out;
}

{
	my ($all) = slurp_file('Makefile') =~ /^REGRESS = ((?:.*\\\n)*.*)$/m;
	# all of them once, since some show which way rows are written; the lines that differ are the words of 15
	my $is_all = $ENV{AIRUN_LONG} && ($ENV{AIRUN_DIRECT} // 'on') eq 'on';
	my ($major) = $node->config_data('--version') =~ /^PostgreSQL (\d+)/;
	my @tests = grep { $is_all ? !$apart{$_} && ($major == 15 || !$stated{$_}) : /^(?:run|message|task|turn)$/ } split /[\s\\]+/, $all;
	my $equal = 0;

	sql('CREATE DATABASE contrib_regression');
	sql("ALTER DATABASE contrib_regression SET lc_messages = 'C'; ALTER DATABASE contrib_regression SET bytea_output = 'hex'");
	sql('CREATE EXTENSION airun; SELECT airun_install(); SELECT airun_partition()', 'contrib_regression');
	regress('helpers');
	for my $test (@tests)
	{
		# what is left of another test is not overdue in this one, however long it took
		sql('DELETE FROM airun.tasks WHERE completed_at IS NULL', 'contrib_regression');
		$equal += is(differences($test, regress($test)), $stated{$test} // '', "$test passes on a partitioned store");
		check_ok($node, "after $test", 'contrib_regression');
	}
	is(sql("SELECT relkind FROM pg_class WHERE oid = 'airun.runs'::regclass", 'contrib_regression'), 'p', 'which is one still');
	proven('regression tests that pass on a partitioned store', $equal);
}

done_testing();
