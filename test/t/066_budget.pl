# 64 clients on one budget of 1,000 units, each call 1, with failures, cancels, late
# usages, retries and calls that nobody ends, while sessions are killed: what is spent and
# held is never above the limit, nobody is refused while it fits, and all is exact at the
# end; with 64 slots, and with one.  Then several budgets at once, with and without slots, and
# among the calls what is paid as it comes: nobody meets a deadlock.  Then the server is killed with holds that are open, and
# the store is dumped and restored with them.  B1, B5, B6, B39, B41, B46 and B48.

use strict;
use warnings;

use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $limit = 1000;
my $rounds = quick_or_long(1, 10);
my $clients = 64;
my $node = airun_node('budget', conf => <<'END');
max_connections = 100
restart_after_crash = on
airun.user_id = 'budget'
airun.max_hold_output = 1
END

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(<<'END');
CREATE SCHEMA test;
CREATE TABLE test.refused (reason text, remaining numeric, needed numeric);
CREATE FUNCTION test.run(client int) RETURNS uuid LANGUAGE sql AS
$$SELECT ('00000000-0000-4000-8000-' || lpad(client::text, 12, '0'))::uuid$$;
CREATE FUNCTION test.refuse(detail jsonb) RETURNS text LANGUAGE sql AS
$$INSERT INTO test.refused VALUES (detail ->> 'reason', (detail ->> 'remaining')::numeric, (detail ->> 'needed')::numeric) RETURNING 'none'$$;
-- a call starts, by one door or another; a third of them is sent twice
CREATE FUNCTION test.start(client int, door int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id uuid := gen_random_uuid();
	detail text;
BEGIN
	FOR i IN 0 .. door % 3 / 2 LOOP
		IF door <= 80 THEN
			PERFORM airun_create_task(test.run(client), id, request_data => '{"max_tokens": 1}', timeout => '1 ms');
		ELSE
			PERFORM airun_start_call(id, timeout => '1 ms');
		END IF;
	END LOOP;
	RETURN id;
EXCEPTION WHEN SQLSTATE 'PT402' THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN test.refuse(detail::jsonb);
END $$;
-- it ends, or not
CREATE FUNCTION test.finish(id text, door int, r int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	one constant jsonb := '{"prompt_tokens": 0, "completion_tokens": 1}';
	zero constant jsonb := '{"prompt_tokens": 0, "completion_tokens": 0}';
BEGIN
	IF id = 'none' OR r > 97 THEN
		RETURN;
	ELSIF door > 80 THEN
		PERFORM airun_end_call(id::uuid, usage => CASE WHEN r > 40 THEN zero ELSE one END);
	ELSIF r <= 30 THEN
		PERFORM airun_complete_task(id::uuid, 'x', usage => one);
	ELSIF r <= 60 THEN
		PERFORM airun_fail_task(id::uuid, '{"message": "no"}');
	ELSIF r <= 70 THEN
		UPDATE airun.tasks SET status = 'cancelled' WHERE task_id = id::uuid;
	ELSIF r <= 80 THEN
		PERFORM airun_cancel_task(id::uuid, usage => one);
		PERFORM airun_cancel_task(id::uuid, usage => one);
	ELSIF r <= 90 THEN
		-- estimated as one, and then it is none
		PERFORM airun_cancel_task(id::uuid, 'abc');
		PERFORM airun_cancel_task(id::uuid, usage => zero);
	ELSE
		PERFORM airun_complete_task(id::uuid, usage => zero);
	END IF;
END $$;
SELECT count(airun_create_run(id => test.run(n))) FROM generate_series(0, 63) AS n;
END

my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/call.sql", <<'END');
\set r random(1, 100)
\set door random(1, 100)
SELECT test.start(:client_id, :door) AS id \gset
SELECT test.finish(':id', :door, :r);
END
append_to_file("$dir/pay.sql", <<'END');
\set door random(1, 2)
\if :door = 1
SELECT airun_meter(tokens_input => 1, tokens_output => 1);
\else
INSERT INTO ai_tasks (run_id, status, tokens_input, tokens_output) VALUES (test.run(:client_id), 'completed', 1, 1);
\endif
END

my $now = 'SELECT COALESCE(sum(spent + estimated + held), 0) FROM airun.budget_periods WHERE budget_id = (SELECT max(id) FROM airun.budgets)';

sub exact
{
	my ($when) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(sql('SELECT * FROM airun_check_budgets()'), '', "airun_check_budgets() has no row $when");
	is(sql('SELECT * FROM airun_check_usage()'), '', "nor has airun_check_usage()");
}

# Ends what nobody ends any more
sub expire
{
	sql('SELECT pg_sleep(0.01), airun_expire_tasks(), airun_expire_calls()');
}

# So many calls by all clients, while the sum is looked at and, with $kills, sessions are
# killed.  Returns the largest sum that was seen.
sub run_calls
{
	my ($calls, $kills, @more) = @_;
	my ($out, $err, $most) = ('', '', 0);
	my $run = IPC::Run::start(
		[
			$node->installed_command('pgbench'), '-n', '-c', $clients, '-j', 2, '-t', $calls, map({ ('-f', $_) } "$dir/call.sql", @more),
			$node->connstr('postgres') . ' application_name=calls'
		],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(300));

	while ($run->pumpable)
	{
		my $sum = sql($now);

		$most = $sum if $sum > $most;
		sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'calls' AND state = 'active' ORDER BY random() LIMIT 1") if $kills;
		$run->pump_nb;
		usleep(20_000);
	}
	$run->finish;
	unlike($err, qr/ERROR:(?!  terminating)/, 'no call fails') or diag(substr $err, 0, 2000);
	return $most;
}

for my $round (1 .. $rounds)
{
	for my $slots (64, 1)
	{
		my $what = "with $slots slot" . ($slots > 1 ? 's' : '');

		sql("SELECT airun_set_budget('b', NULL)") if sql('SELECT count(*) FROM airun.budgets WHERE valid_to IS NULL') > 0;
		sql("SELECT airun_set_budget('b', $limit, measure => 'tokens', period => 'none', slots => $slots, warn_at => '{0.25,0.5,0.9,1}')");
		sql('TRUNCATE test.refused');
		# far from the limit, and with sessions that are killed
		cmp_ok(run_calls(quick_or_long(10, 50), 1), '<=', $limit, "spent and held are never above the limit $what");
		is(sql('SELECT count(*) FROM test.refused WHERE needed <= remaining'), '0', 'nobody is refused while it fits');
		exact("$what, with open holds");
		# over it: until all is spent
		for (1 .. 20)
		{
			cmp_ok(run_calls(30, 0), '<=', $limit, 'nor are they when there is too little for all');
			expire();
			last if sql("SELECT sum(spent) FROM airun.budget_periods WHERE budget_id = (SELECT max(id) FROM airun.budgets)") == $limit;
		}
		is(sql("SELECT trim_scale(sum(held)), trim_scale(sum(spent + estimated)) FROM airun.budget_periods WHERE budget_id = (SELECT max(id) FROM airun.budgets)"),
			"0|$limit", "all of it is spent at the end $what, and nothing more");
		is(sql('SELECT count(*) FROM test.refused WHERE needed <= remaining'), '0', 'nobody was refused while it fitted');
		cmp_ok(sql('SELECT count(*) FROM test.refused'), '>', 0, 'some were');
		is(sql('SELECT string_agg(warn_at::text, \' \' ORDER BY warn_at), count(*) FROM airun.budget_events WHERE budget_id = (SELECT max(id) FROM airun.budgets)'),
			'0.25 0.5 0.9 1|4', 'each warning was given once');
		exact("$what at the end");
		proven('calls on one budget, by 64 clients', sql('SELECT count(*) FROM airun.tasks'));
	}
}

#--- several budgets, and what is paid at once --------------------------------------

sql(<<'END');
SELECT airun_set_budget('b', NULL), airun_set_budget('all', 1e9, measure => 'tokens', slots => 2),
	airun_set_budget('users', 1e9, scope => 'user', measure => 'calls', period => 'none'),
	airun_set_budget('runs', 1e9, scope => 'run', measure => 'tokens', period => 'hour', slots => 4),
	airun_set_budget('tools', 1e9, scope => 'service', measure => 'calls', slots => 3)
END
run_calls(quick_or_long(30, 300), 0, "$dir/pay.sql");
exact('with several budgets');
expire();
sql('SELECT airun_set_budget(name, NULL) FROM airun.budgets WHERE valid_to IS NULL');

#--- isolation, and locks that are left ------------------------------------------

# B39: in REPEATABLE READ a start is right, or is 40001 and can be sent again
sql("SELECT airun_set_budget('rr', 3, measure => 'calls', period => 'none', slots => 1, warn_at => '{}')");
my $first = $node->background_psql('postgres', on_error_stop => 0);
my $second = $node->background_psql('postgres', on_error_stop => 0);
$_->query("\\set VERBOSITY sqlstate") for $first, $second;
ask($first, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM airun.runs');
is(ask($second, 'SELECT status FROM airun_start_call()'), 'pending', 'one starts');
my $answer = ask($first, 'SELECT status FROM airun_start_call()');
like($answer, qr/^(pending|ERROR: 40001)$/, 'another one, in an older snapshot, starts or is to be sent again');
ask($first, 'ROLLBACK');
is(ask($first, 'SELECT status FROM airun_start_call()'), 'pending', 'and starts then');
is(sql('SELECT sum(held) FROM airun.budget_periods WHERE budget_id = (SELECT max(id) FROM airun.budgets)'), '2', 'with what both hold');

# B41, B53: who is refused, and goes on in his transaction, has no lock on a counter
sql("SELECT airun_set_budget('rr', 2, slots => 8)");
ask($first, 'BEGIN; SAVEPOINT s');
is(ask($first, 'SELECT status FROM airun_start_call()'), 'ERROR: PT402', 'refused');
ask($first, 'ROLLBACK TO s');
is(ask($second, 'SELECT count(*) FROM (SELECT FROM airun.budget_periods FOR UPDATE NOWAIT) AS p') =~ /^\d+$/, 1, 'no counter is locked');
ask($first, 'ROLLBACK');
$_->quit for $first, $second;
exact('after that');

#--- crashes, and dumps ------------------------------------------------------------

sql("SELECT airun_set_budget('rr', NULL), airun_set_budget('crash', 100000, measure => 'tokens', period => 'none', slots => 8)");
for my $round (1 .. quick_or_long(1, 20))
{
	my ($out, $err) = ('', '');

	# one hold is open, however far the others come
	sql("SELECT airun_start_call(timeout => '1 ms')");
	my $run = IPC::Run::start(
		[ $node->installed_command('pgbench'), '-n', '-c', 16, '-j', 2, '-T', 60, '-f', "$dir/call.sql", $node->connstr('postgres') ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(120));

	usleep(400_000);
	$node->stop('immediate');
	$run->finish;
	$node->start;
	exact("after crash $round");
}
cmp_ok(sql("SELECT sum(held) FROM airun.budget_periods WHERE budget_id = (SELECT max(id) FROM airun.budgets)"), '>', 0, 'holds were open');

# B48: counters and holds agree in what has been dumped and restored
my $dump = "$dir/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'it is dumped with open holds');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('restored') ], 'and restored');
is($node->safe_psql('restored', 'SELECT * FROM airun_check_budgets()'), '', 'the counters agree there');
is($node->safe_psql('restored', $now), sql($now), 'and are the same');
expire();
is(sql("SELECT trim_scale(sum(held)) FROM airun.budget_periods WHERE budget_id = (SELECT max(id) FROM airun.budgets)"), '0', 'what nobody ends is released with its lease');
exact('at the end');
check_ok($node, 'at the end');

done_testing();
