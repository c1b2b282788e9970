# A store that is older than its ledger: airun_install() enters the first of its tasks and
# calls, airun_rollup() the others, in batches.  Whoever corrects, ends, makes or deletes
# tasks meanwhile, and whoever is killed, each charge is entered once in the end.

use strict;
use warnings;

use AirunTest;
use Test::More;
use Time::HiRes qw(usleep);

my $tasks = 13_000;
my $node = airun_node('build', conf => <<'END');
restart_after_crash = on
log_lock_waits = on
deadlock_timeout = 1ms
END

sub sql { return $node->safe_psql('postgres', $_[0]); }

# What there is and what the ledger, cubes and reports say
my $sums = 'count(*), sum(tokens_total), trim_scale(sum(cost))';
sub charges
{
	return sql("SELECT $sums FROM (SELECT tokens_total, cost FROM airun.tasks WHERE completed_at IS NOT NULL UNION ALL SELECT tokens_total, cost FROM airun.calls) AS c");
}

sub reported
{
	return sql("SELECT calls, tokens_total, trim_scale(cost) FROM airun_usage('-infinity', 'infinity', 'all')");
}

sub exact
{
	my ($when) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(reported(), charges(), "reports have every charge once $when");
	is(sql('SELECT * FROM airun_check_usage()'), '', "airun_check_usage() has no row $when");
}

# Tasks of 13 runs in every state, and calls, and then no ledger.  Every tenth task ended
# without a usage.
sub task { return sprintf '00000000-0000-4000-9000-%012d', $_[0]; }

sub run { return sprintf '00000000-0000-4000-8000-%012d', int(($_[0] - 1) / 1000); }

sql(<<"END");
SELECT airun_set_price('m', '{"input": 0.001, "output": 0.002}', effective_from => '-infinity');
SELECT airun_create_run('chat', id => ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid) FROM generate_series(0, 12) AS n;
SELECT airun_meter(('01000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, model_id => 'm', tokens_input => n) FROM generate_series(0, 99) AS n;
SELECT airun_meter('00000000-0000-0000-0000-000000000000', model_id => 'm', tokens_input => 1);
SET session_replication_role = replica;
INSERT INTO airun.tasks (run_id, task_id, created_at, completed_at, status, model_id, tokens_input, tokens_output, tokens_total, cost, price_status, total_time)
SELECT ('00000000-0000-4000-8000-' || lpad(((n - 1) / 1000)::text, 12, '0'))::uuid, ('00000000-0000-4000-9000-' || lpad(n::text, 12, '0'))::uuid,
	'2026-01-01Z'::timestamptz + n * interval '1 min', CASE WHEN n % 100 <> 50 THEN now() END, CASE WHEN n % 100 = 50 THEN 'pending' ELSE 'completed' END, 'm',
	x.input, 1, x.input + 1, 0.001 * x.input, 'client', n
FROM generate_series(1, $tasks) AS n CROSS JOIN LATERAL (SELECT CASE WHEN n % 10 > 0 THEN n END) AS x (input);
UPDATE airun.tasks SET tokens_total = 0, tokens_output = NULL, price_status = NULL WHERE tokens_input IS NULL;
DROP TABLE airun.usage_tail, airun.usage_ledger, airun.usage_build, airun.usage_clock, airun.usage_daily, airun.usage_people, airun.usage_work CASCADE;
END

#--- the first ones, by airun_install() ---------------------------------------------

# Who has ended a task, and does not know the ledger, is waited for
my $early = $node->background_psql('postgres');
$early->query_safe("BEGIN; SET session_replication_role = replica; UPDATE airun.tasks SET status = 'completed', completed_at = now(), tokens_input = 77777, tokens_total = 77777, cost = 7 WHERE task_id = '@{[task(50)]}'");
my $installing = $node->background_psql('postgres');
$installing->query_until(qr/started/, "\\echo started\nSELECT airun_install();\n\\echo ended\n");
$node->poll_query_until('postgres', q(SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%airun_install%')) or die 'airun_install() does not wait';
$early->query_safe('COMMIT');
$early->quit;
like($installing->query_until(qr/ended/, ''), qr/the ledger, in part: call airun_rollup\(\) until it returns 0/, 'airun_install() makes a ledger and says that it is not whole');
$installing->quit;
is(sql('SELECT count(*) BETWEEN 9000 AND 10000, count(*) FILTER (WHERE tokens_input = 77777) FROM airun.usage_tail'), 't|1', 'with the first ones');
is(sql('SELECT problem, expected FROM airun_check_usage()'), 'charges of before the ledger|entered', 'airun_check_usage() says that it is not whole');
like(sql('SELECT airun_install()'), qr/nothing was changed/, 'nor does airun_install() begin anew');

#--- the others, by airun_rollup(), beside who writes ----------------------------------

my $late = '{"prompt_tokens": 30, "completion_tokens": 4}';
# a late usage before its batch, in both halves; a task that ends; one that is made; a run that goes
sql("SELECT airun_complete_task('$_', usage => '$late') FROM (SELECT) AS x") for task(20), task(10_990);
sql("SELECT airun_complete_task('@{[task(11_050)]}', usage => '$late')");
sql("SELECT airun_create_task('@{[run(11_001)]}', '00000000-0000-4000-8fff-000000000001', model_id => 'm'); SELECT airun_complete_task('00000000-0000-4000-8fff-000000000001', usage => '$late')");
sql("SET session_replication_role = replica; DELETE FROM airun.tasks WHERE run_id = '@{[run(12_001)]}' AND task_id < '@{[task(12_500)]}'");
# one that is not committed while its batch is entered
my $open = $node->background_psql('postgres');
$open->query_safe("BEGIN; SELECT airun_complete_task('@{[task(11_990)]}', usage => '$late')");

my $offset = -s $node->logfile;
my $killed = $node->background_psql('postgres');
my $pid = $killed->query_safe('SELECT pg_backend_pid()');
my $before = sql('SELECT * FROM airun.usage_build ORDER BY 1');
cmp_ok($killed->query_safe('BEGIN; SELECT airun_rollup(1500)'), '>=', 1500, 'some are folded');
kill 'KILL', $pid;
eval { $killed->quit };
eval { $open->quit };
usleep(200_000) for 1 .. 5;
$node->poll_query_until('postgres', undef, '') or die 'the server does not come back';
is(sql('SELECT * FROM airun.usage_build ORDER BY 1'), $before, 'a folder that is killed has entered nothing');

$open = $node->background_psql('postgres');
$open->query_safe("BEGIN; SELECT airun_complete_task('@{[task(11_990)]}', usage => '$late')");
$offset = -s $node->logfile;
my $rounds = 0;
$rounds++ while sql('SELECT airun_rollup(2000, 60000)') > 0 && $rounds < 100;
cmp_ok($rounds, '>=', 6, "in $rounds rounds");
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset), qr/still waiting for/, 'nobody waits');
is(sql('SELECT count(*) FROM airun.usage_build'), '0', 'all are entered');
exact('while a correction is not committed');
$open->query_safe('COMMIT');
$open->quit;
exact('when it is');
sql("SELECT airun_complete_task('@{[task($_)]}', usage => '$late')") for 11_150, 30;
exact('and after more');
sql('SELECT airun_rollup()');
exact('folded');
is(sql("SELECT calls, tokens_total FROM airun_usage('-infinity', 'infinity', 'all', kind => 'call')"), '101|4951', 'calls, too');
is(sql("SELECT count(*) FROM airun.usage_ledger WHERE charge_id = '00000000-0000-4000-8fff-000000000001'"), '1', 'what has been made since has been entered once');

done_testing();
