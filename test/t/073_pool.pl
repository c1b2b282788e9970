# PgBouncer, in transaction mode, between clients and a proxy and between the proxy and
# its shards: hundreds of users in few sessions, with errors, cancelled calls and a shard
# that is killed among them.  Nobody is taken for another, and what was acknowledged is
# there once.  And a load on all shards, without a user, has a history that can be
# explained.

use strict;
use warnings;

use AirunHistory;
use AirunShards;
use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

plan(skip_all => 'there is no PgBouncer') if system('command -v pgbouncer /usr/sbin/pgbouncer >/dev/null 2>&1');
my $shards = AirunShards->new('pooled', shards => quick_or_long(2, 4), pool => 1,
	roles => 'CREATE ROLE authenticated; CREATE ROLE client LOGIN NOINHERIT BYPASSRLS; GRANT authenticated TO client');
plan(skip_all => 'there is no PL/Proxy') if !$shards;
my ($proxy, $last) = ($shards->{proxy}, $#{ $shards->{nodes} });
$shards->call("SELECT airun_grant('authenticated'), airun_grant('client');
	SELECT airun_set_price('history-1', '{\"input\": 3, \"output\": 15}', per_tokens => 1000000, effective_from => '2020-01-01')");

# Ends what is at work on a shard and lets nobody in, for a moment; a server of its own
# crashes
sub kill_shard
{
	my ($shard) = @_;
	my $node = $shards->{nodes}[$shard];

	if ($node != $proxy)
	{
		$node->stop('immediate');
		usleep(500_000);
		return $node->start;
	}
	$node->safe_psql('postgres', "ALTER DATABASE shard$shard ALLOW_CONNECTIONS false;
		SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shard$shard'");
	usleep(100_000);
	$node->safe_psql('postgres', "ALTER DATABASE shard$shard ALLOW_CONNECTIONS true");
}

#--- a history over all shards --------------------------------------------------------------

my $history = AirunHistory->new(clients => quick_or_long(6, 16), steps => quick_or_long(25, 400), proxy => 1);
$history->prepare($proxy, 'proxy', $shards->users($last + 1));
is($history->load($proxy, seconds => 900, bytes => quick_or_long(0, 20_000), $ENV{AIRUN_LONG} ? (disturb => sub { kill_shard(1) }) : ()), 0, 'all clients come to the end of their steps');
my ($ops, $calls, $answers) = $history->figures;
is($history->verdict($history->state($proxy, $shards->stores)), '', 'and nothing that they were told or have read is untrue');
cmp_ok($answers->{'00000'}, '>', $calls / 2, 'most calls were answered: ' . counts($answers));
is($shards->problems, '', 'the checks have no row on any shard');
proven('history operations through a proxy', $ops);

#--- many users in few sessions ----------------------------------------------------------

my @users = $shards->users(quick_or_long(40, 200));
my @sessions = 1 .. quick_or_long(4, 16);
my $rounds = quick_or_long(25, 250);
my $dir = PostgreSQL::Test::Utils::tempdir();
my (@running, %run_of);

# each user has a run, of which others try to see and write
$shards->call('SET ROLE client;' . join '', map { "SELECT airun_create_run(id => '" . ($run_of{ $users[$_] } = numbered_id(5, $_)) . "', user_id => '$users[$_]');\n" } 0 .. $#users);
for my $session (@sessions)
{
	my $sql = "SET client_min_messages = error;\n\\set VERBOSITY sqlstate\n";

	srand($session);
	for my $round (1 .. $rounds)
	{
		my ($user, $other) = map { $users[ int(rand(@users)) ] } 1 .. 2;
		my $who = $round % 10 == 0 ? '' : qq({"sub": "$user"});
		my $text = qq({"role": "user", "content": "of $user"});
		my $call = $round % 3 == 0 ? "SELECT 'LEAK' FROM airun_list_runs() WHERE user_id <> '$user'"
		  : "SELECT 'kept', '$user', message_id FROM airun_append_message('$run_of{$user}', '$text', 'm-$session-$round')";

		# as PostgREST sends it; some fail in their middle, and some are cut short
		$sql .= "BEGIN;\nSET LOCAL ROLE authenticated;\nSELECT set_config('request.jwt.claims', '$who', true) \\g /dev/null\n"
		  . ($round % 7 == 0 ? "SET LOCAL statement_timeout = '" . (1 + $round % 4) . "ms';\n" : '')
		  . "$call;\n"
		  . ($round % 5 == 0 && $other ne $user ? "SELECT 'LEAK' FROM airun_append_message('$run_of{$other}', '$text', 'x-$session-$round');\n" : '')
		  . "COMMIT;\n";
	}
	append_to_file("$dir/$session.sql", $sql);
	push @running, IPC::Run::start([ $proxy->installed_command('psql'), '-XAtq', '-d', $shards->{pooled}, '-f', "$dir/$session.sql" ],
		'<', '/dev/null', '>', "$dir/$session.out", '2>', "$dir/$session.err", IPC::Run::timeout(600));
}
# in the middle
for my $killed (1 .. quick_or_long(1, 4))
{
	for (1 .. 6000)
	{
		my $written = 0;
		$written += -s "$dir/$_.out" // 0 for @sessions;
		last if $written > $killed * @sessions * $rounds * 10;
		usleep(10_000);
	}
	kill_shard($killed % ($last + 1));
}
IPC::Run::finish($_) for @running;

my ($kept, $lost, $leaks, %states) = (0, 0, 0);
my %stored;
my $of_users = "WHERE r.id >= '" . numbered_id(5, 0) . "'";
for my $shard (0 .. $last)
{
	$stored{$_}++ for split /\n/, $shards->on($shard, "SELECT r.user_id, m.message_id FROM airun.messages AS m JOIN airun.runs AS r ON r.id = m.run_id $of_users");
	$leaks += $shards->on($shard, "SELECT count(*) FROM airun.messages AS m JOIN airun.runs AS r ON r.id = m.run_id
		$of_users AND (m.message ->> 'content' <> 'of ' || r.user_id OR airun_bucket(r.user_id) % ($last + 1) <> $shard)");
}
for my $session (@sessions)
{
	my $out = slurp_file("$dir/$session.out");
	my @acknowledged = $out =~ /^kept\|(\S+)$/mg;

	$leaks += () = $out =~ /LEAK/g;
	$kept += @acknowledged;
	$lost += grep { ($stored{$_} // 0) != 1 } @acknowledged;
	$states{$_}++ for slurp_file("$dir/$session.err") =~ /(?:ERROR|FATAL):\s+(\w{5})$/mg;
}
is($leaks, 0, 'nobody is taken for another');
is($lost, 0, "all $kept acknowledged messages are there, once");
cmp_ok($kept, '>', @sessions * $rounds / 4, 'most are acknowledged');
is(join(' ', grep { !/^(PT401|PT404|PT503|57014|25P02)$/ } sort keys %states), '', 'no SQLSTATE comes that nobody expects: ' . counts(\%states));
ok($states{PT404} && $states{PT401}, 'others and nobody are refused');
is($shards->problems, '', 'the checks have no row on any shard');
proven('calls of many users over PgBouncer and a proxy', @sessions * $rounds);

$shards->stop_pool;
done_testing();
