# Crash rounds: the load of 020_history.pl with the server killed in the middle,
# again and again, in four ways.  After each restart the store is checked as a
# whole: every call that was acknowledged has its effect, once; every one without
# an answer is there whole or not at all, and so it is after it has been called
# again; airun_check() finds nothing; and pg_amcheck finds every table and index
# of the database sound.  All tasks hold of budgets, and the worker is at work: neither
# airun_check_budgets() nor airun_check_usage() finds anything.  B6, W7.
#
# kill -9 takes processes away, not what they have written: the system keeps it.
# fsync is on all the same, so that commits wait where they wait in life.  What
# airun.async_progress may lose is 009_stream_crash.pl's.

use strict;
use warnings;

use AirunHistory;
use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

# Where the stage of Debian's servers is looked through, $libdir has to be said.
my $library = slurp_file($ENV{AIRUN_STAGE_CONF} // '/dev/null') =~ /^extension_destdir/m ? '$libdir/airun' : 'airun';

my $rounds = quick_or_long(3, 20);
my $node = airun_node('crashes',
	extra => [ '--locale=C.UTF-8', '--encoding=UTF8', '--data-checksums' ],
	conf => <<"END");
shared_preload_libraries = '$library'
airun.databases = 'postgres'
airun.naptime = 1s
max_connections = 40
fsync = on
restart_after_crash = on
log_statement = none
log_error_verbosity = verbose
# checkpoints and vacuum in the middle of it all
checkpoint_timeout = 30s
autovacuum_naptime = 1s
autovacuum_vacuum_threshold = 20
autovacuum_vacuum_scale_factor = 0
autovacuum_vacuum_cost_delay = 0
END

sub sql { return $node->safe_psql('postgres', $_[0]); }

# All processes of the server but the one that asks
sub server_pids { return split /\n/, sql('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()'); }

# A new server wants the old one's memory, so all who have it must be gone
sub wait_gone
{
	for (1 .. 1200)
	{
		return if !grep { kill 0, $_ } @_;
		usleep(50_000);
	}
	die 'processes of the server do not go away';
}

# The ways to crash; each returns when the server is back.
my %crash = (
	# the postmaster alone: its backends go when they notice
	postmaster => sub {
		my @pids = server_pids();
		$node->kill9;
		wait_gone(@pids);
		$node->start;
	},
	# everything at once
	server => sub {
		my @pids = server_pids();
		$node->kill9;
		kill 'KILL', @pids;
		wait_gone(@pids);
		$node->start;
	},
	# one client's backend, at work if possible: the postmaster ends all others,
	# recovers and goes on
	backend => sub {
		my ($pid) = split /\n/, sql("SELECT pid FROM pg_stat_activity WHERE usename = 'client' ORDER BY state = 'active' DESC, random()");
		my $offset = -s $node->logfile;
		kill 'KILL', $pid;
		for (1 .. 1200)
		{
			last if slurp_file($node->logfile, $offset) =~ /database system is ready to accept connections/;
			usleep(50_000);
		}
		# without a query, which could not be written to a psql that is gone already
		$node->poll_query_until('postgres', undef, '') or die 'the server does not come back';
	},
	# the administrator is in a hurry
	immediate => sub {
		$node->stop('immediate');
		$node->start;
	});
my @ways = qw(postmaster backend immediate server);

# Every table and index, with every check that there is
sub amcheck_ok
{
	my ($when) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ $node->installed_command('pg_amcheck'), '-h', $node->host, '-p', $node->port,
			'-d', 'postgres', '--heapallindexed', '--parent-check', '--rootdescend' ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(300));
	is("$?: $out$err", '0: ', "pg_amcheck finds nothing $when");
}

# The store as a whole, open holds and what has been folded included
sub all_checks_ok
{
	my ($when) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	check_ok($node, $when);
	is(sql('SELECT * FROM airun_check_usage()'), '', "nor has airun_check_usage() $when");
	is(sql('SELECT * FROM airun_check_budgets()'), '', "nor airun_check_budgets() $when");
}

#--- rounds ------------------------------------------------------------------------

my $steps = quick_or_long(150, 2000);
my $history = AirunHistory->new(clients => 16, steps => $steps);
$history->prepare($node);
sql('CREATE EXTENSION amcheck');
# that all tasks fit into: one of a few rows, and one with a row for each run
sql("SELECT airun_set_budget('everything', 1e9, measure => 'calls', slots => 8, period => 'none', count_from => 'now'), airun_set_budget('each run', 1e12, scope => 'run', measure => 'tokens', period => 'none', count_from => 'now')");
amcheck_ok('at the beginning');

my ($lost, %done) = (0);
for my $round (1 .. $rounds)
{
	my $way = $ways[ ($round - 1) % @ways ];
	# so that there is enough of the plans for each round, whenever the server
	# goes: what a call writes is about 50 bytes
	my $bytes = 16 * 50 * $steps / ($rounds + 1) * (0.2 + 0.6 * rand());
	my $cut = $history->load($node, disturb => $crash{$way}, bytes => $bytes);

	cmp_ok($cut, '>=', 8, "round $round: the crash ($way) cuts off $cut of 16 clients");
	is($history->verdict($history->state($node)), '', 'what they were told and have read is true');
	all_checks_ok('after the crash');
	amcheck_ok('after the crash');
	$done{$way}++;
}

# To the end of the plans, beginning with the calls whose answers were lost
is($history->load($node, seconds => 60 + $steps), 0, 'then all come to the end of their plans');
is($history->verdict($history->state($node)), '', 'what they were told and have read is true');
note(sql('SELECT count(*) FROM airun.budget_periods WHERE held > 0') . ' counters hold something for tasks that have not ended');
is(sql('SELECT count(*) FROM airun.budget_periods WHERE spent > 0') > 1, 1, 'tasks were charged to budgets');
all_checks_ok('at the end');
ok($node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM airun.usage_tail'), 'the worker has folded all of it');
all_checks_ok('after that');
amcheck_ok('at the end');

my ($ops, $calls, $states) = $history->figures;
note("$ops operations, $calls calls: " . counts($states));
cmp_ok($states->{'no answer'}, '>', 0, "$states->{'no answer'} calls had no answer");
is(join(' ', sort grep { $_ !~ /^(no answer|00000|40001|57014|22012|PT404|PT409)$/ } keys %$states), '', 'no SQLSTATE came that nobody expects');
is(join("\n", slurp_file($node->logfile) =~ /^.*(?:40P01|XX00\d|PANIC|TRAP).*$/mg), '', 'no deadlock and no internal error is in the server log');
proven('crash rounds', $rounds);
proven('history operations', $ops);
proven('history calls', $calls);
proven('calls whose answer was lost in a crash', $states->{'no answer'});

done_testing();
