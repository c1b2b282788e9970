# Folding beside writers: whoever looks, in a snapshot of his own, finds each
# charge once, in the ledger and in the cubes; no writer waits for a folder; what
# commits late is folded later; and kill -9 of a folder in a batch, and of the server,
# loses and doubles nothing.  R1 to R4.

use strict;
use warnings;

use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $seconds = quick_or_long(4, 60);
my $writers = 8;
my $node = airun_node('rollup', conf => <<'END');
max_connections = 40
restart_after_crash = on
# every wait for a lock is logged at once, with who holds it
log_lock_waits = on
deadlock_timeout = 1ms
END

sub sql { return $node->safe_psql('postgres', $_[0]); }

# The sums of what there is and of what the ledger and each cube say, and what the check
# finds: one word where all are the same.  Nothing is purged before the end.
my $look = <<'END';
WITH charges AS (
	SELECT tokens_total, cost FROM airun.tasks WHERE completed_at IS NOT NULL
	UNION ALL SELECT tokens_total, cost FROM airun.calls WHERE completed_at IS NOT NULL),
tail AS (SELECT COALESCE(sum(calls), 0) AS calls, COALESCE(sum(tokens_input + tokens_cache_read + tokens_cache_write + tokens_output), 0) AS tokens,
	COALESCE(sum(cost), 0) AS cost FROM airun.usage_tail)
SELECT CASE WHEN count(DISTINCT (s.calls, s.tokens, trim_scale(s.cost))) = 1 THEN 'exact' ELSE string_agg(s::text, ' ') END
FROM (
	SELECT 'charges' AS what, count(*)::numeric AS calls, COALESCE(sum(tokens_total), 0) AS tokens, COALESCE(sum(cost), 0) AS cost FROM charges
	UNION ALL
	SELECT c.what, c.calls + t.calls, c.tokens + t.tokens, c.cost + t.cost
	FROM tail AS t, (
END
$look .= join(' UNION ALL ', map { "SELECT '$_' AS what, COALESCE(sum(calls), 0) AS calls,
	COALESCE(sum(tokens_input + tokens_cache_read + tokens_cache_write + tokens_output), 0) AS tokens, COALESCE(sum(cost), 0) AS cost FROM airun.$_" }
	qw(usage_ledger usage_clock usage_daily usage_people usage_work)) . ") AS c) AS s";

sub exact
{
	my ($when) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(sql($look), 'exact', "all sums are the same $when");
	is(sql('SELECT * FROM airun_check_usage()'), '', "airun_check_usage() has no row $when");
}

my $dir = PostgreSQL::Test::Utils::tempdir();

# Starts pgbench with a script
sub start_pgbench
{
	my ($name, $clients, $script, @arguments) = @_;
	my ($out, $err) = ('', '');

	append_to_file("$dir/$name.sql", $script);
	return {
		name => $name, out => \$out, err => \$err,
		run => IPC::Run::start(
			[
				$node->installed_command('pgbench'), '-n', '-c', $clients, '-j', 2, @arguments, '-f', "$dir/$name.sql",
				$node->connstr('postgres') . " application_name=$name"
			],
			'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(180 + $seconds))
	};
}

sql("SELECT airun_create_run('chat', id => ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid) FROM generate_series(0, @{[$writers - 1]}) AS n;
	SELECT airun_set_price('m-' || n, '{\"input\": 0.001, \"output\": 0.002}', effective_from => '-infinity') FROM generate_series(1, 5) AS n");

# Ends, ends that state their usage later, calls, prices that change, runs that are deleted
my $writes = <<'END';
\set n random(1, 9)
SELECT task_id AS task FROM airun_create_task(('00000000-0000-4000-8000-' || lpad(:client_id::text, 12, '0'))::uuid, model_id => 'm-' || :n) \gset
SELECT airun_complete_task(:'task', 'x', CASE WHEN :n % 3 > 0 THEN '{"prompt_tokens": 3, "completion_tokens": 4}'::jsonb END, total_time => :n * 7);
SELECT airun_complete_task(:'task', 'x', '{"prompt_tokens": 5, "completion_tokens": 6}') WHERE :n % 3 = 0;
SELECT airun_meter(service => 's', model_id => 'm-' || :n, tokens_input => :n, total_time => :n) WHERE :n > 5;
SELECT count(*) FROM airun_set_price('m-' || :n, jsonb_build_object('input', 0.001 * :n), effective_from => '-infinity') WHERE :n = 9 AND :client_id = 0;
SELECT count(*) FROM airun_reprice(model_id => 'm-9') WHERE :n = 8 AND :client_id = 0;
SELECT airun_delete_run(id), airun_restore_run(id) FROM airun_create_run('chat') AS r WHERE :n = 7;
SELECT airun_delete_run(id) FROM airun_create_run('chat') AS r WHERE :n = 6;
END
$writes =~ s/:'task'/':task'/g;
my $fold = "SELECT airun_rollup(300, 100);\n";

#--- R1, R2: every look is exact, and nobody waits for a folder ------------------

# What commits late: its entry is in the tail before others that are folded
my $late = $node->background_psql('postgres');
$late->query_safe("BEGIN; SELECT airun_meter(service => 'late', model_id => 'm-1', tokens_input => 1000)");

my $begin = -s $node->logfile;
my $writing = start_pgbench('writer', $writers, $writes, '-T', $seconds);
my $folding = start_pgbench('folder', 2, $fold, '-T', $seconds);
my (%looks, %folders);
my $until = time() + $seconds;
while (time() < $until)
{
	$looks{ sql("BEGIN ISOLATION LEVEL REPEATABLE READ; $look; SELECT count(*) FROM airun_check_usage(); COMMIT") }++;
	$folders{$_}++ for split /\n/, sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'folder'");
}
for my $bench ($writing, $folding)
{
	ok(IPC::Run::finish($bench->{run}), "$bench->{name} has come to its end");
	like(${ $bench->{out} }, qr/number of failed transactions: 0 /, "no $bench->{name} has failed") or diag ${ $bench->{err} };
}
is(counts({ map { s/\n/, /gr => $looks{$_} } keys %looks }), "exact, 0: @{[$looks{\"exact\n0\"} // 'none']}", 'every look is exact');
is(scalar keys %folders, 2, 'two fold');
cmp_ok(sql('SELECT count(*) FROM airun.usage_ledger'), '>', 100, 'and have folded');
is(sql('SELECT count(*) > 10 FROM airun.usage_ledger WHERE calls = -1'), 't', 'corrections, too');
my $log = slurp_file($node->logfile, $begin);
my $pids = join('|', keys %folders);
is(join("\n", grep { !/extension of relation/ } $log =~ /(still waiting for .*\n.*holding the lock: (?:$pids)\..*)/g), '',
	'no writer waits for a folder');

#--- R3: what commits late is folded later ---------------------------------------

sql('SELECT airun_rollup(max_ms => 60000)');
exact('before it commits');
$late->query_safe('COMMIT');
$late->quit;
exact('when it has committed');
is(sql('SELECT airun_rollup()'), '1', 'and it is folded');
is(sql("SELECT calls || ' ' || tokens_total FROM airun_usage('-infinity', 'infinity', 'all', service => 'late')"), '1 1000', 'once');
exact('after it');

#--- R4: kill -9 -----------------------------------------------------------------

for my $round (1 .. quick_or_long(1, 5))
{
	# of a folder whose batches are not committed, beside writers
	sql("SELECT airun_meter(service => 'killed', tokens_input => 1) FROM generate_series(1, 500)");
	my $before = sql('SELECT count(*) FROM airun.usage_ledger');
	my $folder = $node->background_psql('postgres');
	my $pid = $folder->query_safe('SELECT pg_backend_pid()');
	cmp_ok($folder->query_safe('BEGIN; SELECT airun_rollup()'), '>=', 500, 'a batch is folded');
	my $writing = start_pgbench("writer-$round", 4, $writes, '-T', 60);
	$node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM airun.usage_tail WHERE service IS NULL')
	  or die 'nobody writes';
	my $offset = -s $node->logfile;
	kill 'KILL', $pid;
	IPC::Run::finish($writing->{run});
	eval { $folder->quit };
	for (1 .. 1200)
	{
		last if slurp_file($node->logfile, $offset) =~ /database system is ready to accept connections/;
		usleep(50_000);
	}
	$node->poll_query_until('postgres', undef, '') or die 'the server does not come back';
	is(sql('SELECT count(*) FROM airun.usage_ledger'), $before, 'a folder that is killed has folded nothing');
	exact('after a folder has been killed');
}
sql("SELECT airun_meter(service => 'killed', tokens_input => 1) FROM generate_series(1, 500)");
my $folder = start_pgbench('killed', 2, "SELECT airun_rollup(50, 1000);\n", '-T', 60);
$node->poll_query_until('postgres', 'SELECT count(*) < 400 FROM airun.usage_tail') or die 'nobody folds';
my @pids = split /\n/, sql('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
$node->kill9;
IPC::Run::finish($folder->{run});
for (1 .. 1200)
{
	last if !grep { kill 0, $_ } @pids;
	usleep(50_000);
}
$node->start;
exact('after the server has been killed');

#--- what is purged keeps its entries --------------------------------------------

# what has not ended is cancelled by the purge, and so entered: here before
sql('SELECT airun_cancel_task(task_id) FROM airun.tasks WHERE completed_at IS NULL');
my $charged = sql("SELECT calls || ' ' || tokens_total || ' ' || trim_scale(cost) FROM airun_usage('-infinity', 'infinity', 'all')");
sql("SELECT airun_delete_run(id) FROM airun.runs WHERE deleted_at IS NULL; SELECT airun_purge_runs('infinity')");
is(sql('SELECT count(*) FROM airun.tasks'), '0', 'all tasks are purged');
is(sql("SELECT calls || ' ' || tokens_total || ' ' || trim_scale(cost) FROM airun_usage('-infinity', 'infinity', 'all')"), $charged, 'and are in the reports');
sql('SELECT airun_rollup(max_ms => 60000)');
is(sql("SELECT calls || ' ' || tokens_total || ' ' || trim_scale(cost) FROM airun_usage('-infinity', 'infinity', 'all')"), $charged, 'and folded, too');
is(sql('SELECT * FROM airun_check_usage()'), '', 'airun_check_usage() has no row at the end');
check_ok($node, 'at the end');

proven('looks beside folders and writers', $looks{"exact\n0"} // 0);
proven('charges folded beside writers', sql('SELECT count(*) FROM airun.usage_ledger'));

done_testing();
