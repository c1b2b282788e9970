# Upkeep at size, and beside others: purging tens of thousands of open tasks in one call
# with few locks; erasing a person in short calls that others do not wait for, while she
# streams; and killed in the midst of it, going on later.  K1, K4, B54.

use strict;
use warnings;

use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $pending = quick_or_long(2_000, 20_000);
my $runs = quick_or_long(60, 2_000);
my $node = airun_node('upkeep', conf => <<'END');
max_connections = 20
max_locks_per_transaction = 10
# every wait for a lock is logged at once, with who holds it
log_lock_waits = on
deadlock_timeout = 1ms
END

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub checked
{
	my ($when) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(sql('SELECT * FROM airun_check()'), '', "airun_check() has no row $when");
	is(sql('SELECT * FROM airun_check_usage()'), '', "airun_check_usage() has no row $when");
}

#--- purging ---------------------------------------------------------------------------

# Rows as a load leaves them: deleted runs with pending tasks, one with most of them
sql(<<"END");
SET session_replication_role = replica;
INSERT INTO airun.runs (id, user_id, task_count, deleted_at)
SELECT airun_uuid(), airun_uuid(), CASE n WHEN 1 THEN $pending ELSE 1 END, now() FROM generate_series(1, 1100) AS n;
INSERT INTO airun.tasks (run_id, task_id) SELECT r.id, airun_uuid() FROM airun.runs AS r, generate_series(1, r.task_count);
END
# the server's table of locks would not hold one for each
is(sql('SELECT airun_purge_runs(now())'), '1100', 'as many open tasks as there are go in one call');
is(sql('SELECT count(*) FROM airun.tasks'), '0', 'none is left');
is(sql("SELECT sum(calls), min(status), max(status) FROM airun.usage_tail"), ($pending + 1099) . '|cancelled|cancelled', 'each was cancelled, and counts');
checked('after that');

$node->append_conf('postgresql.conf', 'max_locks_per_transaction = 256');
$node->restart;

# more texts than are locked in a transaction: their runs are left, and go once they have ended
sql(<<'END');
SET airun.user_id = '07100000-0000-4000-8000-000000000001';
DO $$
DECLARE
	run uuid := airun_uuid();
BEGIN
	PERFORM airun_create_run(id => run);
	PERFORM airun_create_task(run, timeout => '1 us') FROM generate_series(1, 1001);
	PERFORM airun_update_task(t.task_id, 'x') FROM airun.tasks AS t;
	PERFORM airun_delete_run(run);
	PERFORM airun_delete_run((airun_create_run()).id);
END $$;
END
is(sql('SELECT airun_purge_runs(now())'), '1', 'a run with more texts than a transaction locks is left, and no other one is');
is(sql('SELECT airun_expire_tasks(), airun_purge_runs(now())'), '1000|1', 'and goes once its tasks have ended');
checked('after that, too');

#--- erasing ---------------------------------------------------------------------------

# Two people with as much, and a third who goes on
sql(<<"END");
DO \$\$
DECLARE
	run uuid;
BEGIN
	FOR n IN 1 .. $runs LOOP
		PERFORM set_config('airun.user_id', '07100000-0000-4000-8000-00000000000' || n % 2, true);
		run := airun_uuid();
		PERFORM airun_create_run('chat', id => run, name => 'Zebrawood');
		FOR i IN 1 .. 10 LOOP
			PERFORM airun_start_turn(run, '{"role": "user", "content": "Zebrawood asks"}', task_id => md5(run::text || i)::uuid, model_id => 'm');
			PERFORM airun_finish_turn(md5(run::text || i)::uuid, '{"role": "assistant", "content": "Zebrawood is told"}', usage => '{"prompt_tokens": 3}');
		END LOOP;
		COMMIT;		-- each turn locks its text until then
	END LOOP;
END \$\$;
SELECT airun_rollup();
END
my ($her, $task) = ('07100000-0000-4000-8000-000000000001', '07100000-0000-4000-9000-000000000001');
sql("SET airun.user_id = '$her'; SELECT airun_create_task((airun_create_run()).id, '$task'); SELECT airun_update_task('$task', 'Zebrawood')");
my $money = 'SELECT kind, model_id, sum(calls), sum(tokens_input), sum(cost) FROM airun_usage(\'-infinity\', \'infinity\', \'all\', \'UTC\', \'{kind,model_id}\') WHERE kind = \'task\' AND model_id = \'m\' GROUP BY 1, 2';
my $before = sql($money);

# she has a transaction open in which her stream goes on, and another user is at work
my $she = $node->background_psql('postgres', on_error_stop => 0);
ask($she, "\\set VERBOSITY sqlstate\nSET airun.user_id = '$her'; BEGIN; SELECT airun_stream_delta('$task', 'more')");
my $dir = PostgreSQL::Test::Utils::tempdir();
my ($out, $err) = ('', '');
append_to_file("$dir/other.sql", <<'END');
SET airun.user_id = '07100000-0000-4000-8000-000000000000';
SELECT id AS run FROM airun_create_run('other') \gset
SELECT task_id AS task FROM airun_create_task(':run') \gset
SELECT airun_append_message(':run', '{"role": "user", "content": "x"}');
SELECT airun_complete_task(':task', 'x', tokens_total => 3);
END
my $other = IPC::Run::start([ $node->installed_command('pgbench'), '-n', '-c', 2, '-T', 120, '-f', "$dir/other.sql", $node->connstr('postgres') ],
	'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(180));

ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id WHERE r.source_type = 'other' AND t.status = 'completed'"),
	'another user is at work');

# Calls herself until it is done, or so many; a row each: done, milliseconds
my $eraser = $node->background_psql('postgres');
my $pid = ask($eraser, 'SELECT pg_backend_pid()');
my ($longest, $calls) = (0, 0);
sub erase
{
	my ($max_calls) = @_;
	my $is_done = 'f';

	while ($is_done eq 'f' && $max_calls-- > 0)
	{
		my $began = Time::HiRes::time();
		$is_done = ask($eraser, "SELECT is_done FROM airun_erase_user('$her', 50)");
		my $took = Time::HiRes::time() - $began;
		$longest = $took if $took > $longest;
		$calls++;
	}
	return $is_done;
}

# one that is ended in the midst of it has done nothing, and nothing is lost
my $mine = sql("SELECT count(*) FROM airun.runs WHERE user_id = '$her'");
my $killed = $node->background_psql('postgres', on_error_stop => 0);
my $killed_pid = ask($killed, 'SELECT pg_backend_pid()');
ask($killed, "BEGIN; SELECT runs FROM airun_erase_user('$her', 20)");
is(sql("SELECT count(*) FROM airun.runs WHERE user_id = '$her'"), $mine, 'what is not committed is not gone');
sql("SELECT pg_terminate_backend($killed_pid)");
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $killed_pid");
eval { $killed->quit };

is(erase(quick_or_long(20, 500)), 'f', 'a text that somebody holds is not waited for');
is(sql("SELECT count(*) FROM airun.runs WHERE user_id = '$her'"), '1', 'all other runs are gone');
ask($she, 'COMMIT');
is(erase(1000), 't', 'once it is let go, nothing is left');
is(ask($she, "SELECT airun_stream_delta('$task', ' and more')"), 'ERROR: PT404', 'K4: her stream is gone');
is(sql("SELECT calls, status, user_id FROM airun.usage_ledger WHERE charge_id = '$task'"), '1|cancelled|', 'it was cancelled, and counts, as nobody\'s');
$other->kill_kill;
# but for a table that became longer
unlike(slurp_file($node->logfile), qr/still waiting for (?!\w+ on extension)[^\n]*\n[^\n]*Process(?:es)? holding the lock: $pid\b/, 'nobody has waited for it');
$she->quit;
$eraser->quit;
is(sql("SELECT count(*) FROM airun.messages AS m JOIN airun.runs AS r ON r.id = m.run_id WHERE m.message::text LIKE '%Zebrawood%' AND r.user_id = '$her'"), '0', 'no word of hers is left');
sql('SELECT airun_rollup(10000000, 60000)');
checked('after that as well');
is(sql($money), $before, 'no sum has changed');
cmp_ok($longest, '<', 1, 'no call took longer than a second') if $ENV{AIRUN_LONG};
proven('calls in which a person was forgotten', $calls);

$node->stop;
done_testing();
