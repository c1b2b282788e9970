# Who writes or reads beside a bucket that is being moved, without having entered it: owners,
# operators, the worker, plain statements.  While it is copied, while it is closed, after the
# map has changed, and after a mover that was killed: nothing is lost, doubled, or changed on one
# side only without a word.
#
# A session on the proxy takes the steps of airun_move_bucket() one by one, in one transaction.

use strict;
use warnings;

use AirunShards;
use AirunTest;
use IPC::Run ();
use Test::More;

my $shards = AirunShards->new('moves', shards => 2, one_server => 1,
	roles => 'CREATE ROLE authenticated; CREATE ROLE service_role BYPASSRLS');
plan(skip_all => 'there is no PL/Proxy') if !$shards;
my $proxy = $shards->{proxy};
my ($host, $guest, $neighbour) = $shards->users(3);
my $bucket = $shards->call("SELECT airun_bucket('$host')");
my ($from, $to) = (0, 1);

sub as { my ($user, $sql) = @_; return $shards->call("SET ROLE authenticated; SET airun.user_id = '$user'; $sql"); }
sub everybody { my ($sql) = @_; return $shards->call("SET ROLE service_role; $sql"); }

# The SQLSTATE with which SQL fails, or what it returns
sub state_of
{
	my ($database, $sql) = @_;
	my ($status, $out, $err) = $proxy->psql($database, "\\set VERBOSITY sqlstate\n$sql", on_error_stop => 1);

	return $err =~ /ERROR:\s+(\w{5})/ ? $1 : $out;
}

# A run with messages and a task that has ended, unless it is to go on
sub conversation
{
	my ($user, $number, $messages, $ends) = @_;
	my ($run, $task) = (numbered_id(1, $number), numbered_id(2, $number));

	as($user, "SELECT FROM airun_create_run(id => '$run');
		SELECT FROM airun_append_messages('$run', (SELECT jsonb_agg(jsonb_build_object('role', 'user', 'content', 'word ' || i)) FROM generate_series(1, $messages) AS i));
		SELECT FROM airun_create_task('$run', '$task', model_id => 'gpt-x', provider => 'openai');"
		. ($ends ? "SELECT FROM airun_complete_task('$task', 'x', usage => '{\"prompt_tokens\": 1000, \"completion_tokens\": 10}', run_id => '$run')" : ''));
	return $run;
}

# As if it had all been in 2020
sub make_old
{
	my ($shard, $run, $deleted) = @_;

	$shards->on($shard, "SET session_replication_role = replica;
		UPDATE airun.messages SET created_at = '2020-01-01 00:00Z' WHERE run_id = '$run';
		UPDATE airun.runs SET last_message_at = '2020-01-01 00:00Z', active_hour = '2020-01-01 00:00Z'"
		. ($deleted ? ", deleted_at = '2020-01-01 00:00Z'" : '') . " WHERE id = '$run'");
}

# The steps of a move
my $mover = $proxy->background_psql('proxy', on_error_stop => 0);
ask($mover, '\set VERBOSITY sqlstate');
sub copy { return ask($mover, "BEGIN; SELECT cardinality(airun_lib.airun_store_precopy_bucket($bucket, $from, $to)) \\gset"); }
sub close_bucket { return ask($mover, "SELECT airun_lib.airun_store_close_bucket($bucket, $from, $to) \\gset"); }
sub switch { my ($is_last) = @_; return ask($mover, "SELECT airun_lib.airun_store_switch_bucket($bucket, $from, $to, '{}', @{[$is_last ? 'true' : 'false']})"); }
sub flip { is(switch(), 't', 'the bucket has moved'); ask($mover, 'COMMIT'); ($from, $to) = ($to, $from); }
sub move { return state_of('proxy', "CALL airun_lib.airun_move_bucket($bucket, $_[0])"); }
# What the checks find on a shard, or on both
sub problems
{
	return join '', map { $shards->on($_, 'SELECT airun_rollup() * 0; SELECT * FROM airun_check(); SELECT * FROM airun_check_usage(); SELECT * FROM airun_check_budgets()') =~ s/^0\n?//r } @_;
}
# What is left of a move goes
sub finish { is(move($from), '', 'what is left goes'); is(problems(0, 1), '', 'all is well on both shards'); }
sub rows
{
	my ($shard) = @_;

	return $shards->on($shard, "SELECT count(*), md5(string_agg(r::text, '' ORDER BY r.id)), (SELECT md5(string_agg(t::text, '' ORDER BY t.task_id)) FROM airun.tasks AS t
			WHERE t.run_id IN (SELECT id FROM airun.runs WHERE airun_bucket(user_id) = $bucket)),
		(SELECT count(*) FROM airun.messages AS m WHERE m.run_id IN (SELECT id FROM airun.runs WHERE airun_bucket(user_id) = $bucket)),
		(SELECT md5(string_agg(c::text, '' ORDER BY c.id)) FROM airun.calls AS c WHERE airun_bucket(user_id) = $bucket)
		FROM airun.runs AS r WHERE airun_bucket(user_id) = $bucket");
}
# What everybody has used and has, as reports and lists tell
sub told
{
	return everybody("SELECT user_id, sum(calls), sum(tokens_input), sum(cost) FROM airun_usage('2020-01-01', '2100-01-01', 'all', group_by => '{user_id}') GROUP BY 1 ORDER BY 1;
		SELECT id FROM airun_list_runs(page_size => 1000) ORDER BY 1; SELECT * FROM airun_check()");
}

$shards->call("SELECT airun_grant('authenticated'), airun_grant('service_role');
	SELECT airun_set_price('gpt-x', '{\"input\": 1, \"output\": 2}', 'openai', '2019-01-01', per_tokens => 1000000)");
my ($stale, $deleted, $open) = map { conversation($host, $_, 130, $_ != 3) } 1 .. 3;
my ($guests, $neighbours) = (conversation($guest, 4, 3, 1), conversation($neighbour, 5, 3, 1));
as($host, "SELECT FROM airun_meter(model_id => 'gpt-x', provider => 'openai', tokens_input => 7, tokens_output => 1); SELECT FROM airun_start_call(model_id => 'gpt-x')");
# counters with equal ids on both shards, which are each one's own
$shards->call("SELECT airun_set_budget('of all', 1000000, measure => 'calls', period => 'none', count_from => 'period'),
	airun_set_budget('of each', 1000000, 'user', measure => 'calls', period => 'none', count_from => 'period')");
as($host, "SELECT FROM airun_delete_run('$deleted'); SELECT FROM airun_create_task('$open', '" . numbered_id(2, 6) . "', model_id => 'gpt-x')");
everybody("SET airun.user_id = '$neighbour'; SELECT FROM airun_create_task('$open', '" . numbered_id(2, 8) . "', model_id => 'gpt-x')");
as($guest, "SELECT FROM airun_delete_run('$guests')");
make_old(0, $stale);
make_old(0, $deleted, 1);
make_old(1, $guests, 1);
$shards->on($_, "INSERT INTO airun.retention (kind, action, age) VALUES ('run', 'delete', '1 year')") for 0, 1;
$shards->on(0, "SET session_replication_role = replica; UPDATE airun.tasks SET updated_at = '2020-01-01' WHERE run_id = '$open'; UPDATE airun.calls SET created_at = '2020-01-01', updated_at = '2020-01-01';
	SELECT airun_rebuild_usage()");
# what the price is corrected to is charged anew
$shards->call("SELECT airun_set_price('gpt-x', '{\"input\": 10, \"output\": 20}', 'openai', '2019-01-01', per_tokens => 1000000)");

# What goes over everybody's rows
my @upkeep = ("airun_purge_runs('2021-01-01')", 'airun_prune(5000)', 'airun_expire_tasks()', 'airun_expire_calls()', 'airun_rebuild_usage()');
sub upkeep { my ($shard) = @_; return $shards->on($shard, join(';', 'SELECT sum(changed) FROM airun_reprice(all_tasks => true)', map { "SELECT $_" } @upkeep)) =~ s/\n/ /gr; }

#--- a copy is nobody's to change -------------------------------------------------------

copy();
my $copied = rows($to);
like($copied, qr/^3\|/, 'a bucket has been copied');
is(upkeep($to), '1 1 0 0 0 0', 'what is done on its shard is done to others alone');
is(rows($to), $copied, 'and not to the copy');
is($shards->on($to, "SELECT is_done FROM airun_erase_user('$neighbour')"), 'f', 'who is forgotten and has been at work in it is not forgotten yet');
is(rows($to), $copied, 'and her words in it stay for now');
is($shards->on($to, 'SELECT * FROM airun_check_usage(); SELECT * FROM airun_check_budgets()'), '', 'the ledger and counters lack nothing of it');
$shards->call("SELECT airun_set_budget('of runs', 1000000, 'run', measure => 'calls', period => 'none', count_from => 'period')");
is($shards->on($to, "SELECT count(*) FROM airun.budget_periods WHERE value IN ('$stale', '$open')"), '0', 'a budget that begins there does not count it');
is(rows($to), $copied, 'and it holds nothing');

# what is old in the copy need not be old where it is
as($host, "SELECT FROM airun_append_message('$stale', '{\"role\": \"user\", \"content\": \"not so old\"}'); SELECT airun_restore_run('$deleted')");
close_bucket();
flip();
is($shards->on($from, "SELECT count(*) FROM airun.messages WHERE run_id IN ('$stale', '$deleted')"), '261', 'no message is lost');
finish();

# A counter there with the id of one of the source's, which is another one; and what a counter lets pass is asked anew
my $id = $shards->on($from, "SELECT p.id FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id WHERE b.name = 'of all'");
$shards->on($to, "INSERT INTO airun.budget_periods (id, budget_id, value, period_key, slot) SELECT $id, b.id, '', 'another', 0 FROM airun.budgets AS b WHERE b.name = 'of all'");
my $quota = "SELECT sum(p.quota) > 0 FROM airun.budget_periods AS p WHERE p.value = '$host'";
as($host, "SELECT FROM airun_meter(model_id => 'gpt-x', provider => 'openai', tokens_input => 7, tokens_output => 1)");
is($shards->on($from, $quota), 't', 'a counter lets calls pass');

# plain statements on it, or a mover that was killed and is at work still: it is copied again
copy();
$shards->on($to, "SET session_replication_role = replica; DELETE FROM airun.messages WHERE run_id = '$stale' AND seq = 3");
close_bucket();
is(switch(), 'f', 'a copy that has been changed does not arrive');
ask($mover, 'COMMIT');
like(as($host, "SELECT seq FROM airun_append_message('$stale', '{\"role\": \"user\", \"content\": \"goes on\"}')"), qr/^\d+$/, 'the bucket is open where it was');
copy();
$shards->on($to, "SET session_replication_role = replica; DELETE FROM airun.calls WHERE airun_bucket(user_id) = $bucket");
close_bucket();
is(switch(1), 'ERROR: 22000', 'at the last attempt it is told');
ask($mover, 'ROLLBACK');
$shards->on($to, <<"END");
CREATE TABLE meddle ();
ALTER FUNCTION airun_remote.check_runs(integer, integer, uuid[]) RENAME TO checked_runs;
CREATE FUNCTION airun_remote.check_runs(_shard integer, bucket integer, runs uuid[]) RETURNS SETOF uuid LANGUAGE plpgsql AS \$\$
BEGIN
	IF runs IS NOT NULL AND to_regclass('meddle') IS NOT NULL THEN
		PERFORM set_config('session_replication_role', 'replica', true);
		DELETE FROM airun.messages WHERE run_id = '$stale' AND seq = 3;
		DROP TABLE meddle;
	END IF;
	RETURN QUERY SELECT airun_remote.checked_runs(_shard, bucket, runs);
END \$\$
END
is(move($to), '', 'a move begins anew by itself');
is($shards->on($to, "SELECT to_regclass('meddle') IS NULL"), 't', 'where somebody has meddled with it while it was closed');
$shards->on($to, 'DROP FUNCTION airun_remote.check_runs(integer, integer, uuid[]); ALTER FUNCTION airun_remote.checked_runs(integer, integer, uuid[]) RENAME TO check_runs');
($from, $to) = ($to, $from);
is($shards->on($from, $quota), 'f', 'and asks at the gate again when it has moved');
is($shards->on($from, "SELECT count(*) FROM airun.messages WHERE run_id = '$stale'"), '132', 'and no message is lost');
finish();

# a mover that dies between taking a run's row away and putting it again leaves no messages without one
copy();
as($host, "SELECT FROM airun_star_run('$stale')");
$shards->on($to, 'ALTER FUNCTION airun_remote.put_rows(integer, integer, uuid[], text[], jsonb[]) RENAME TO put_rows_not');
like(move($to), qr/^\w{5}$/, 'a mover dies while it copies');
ask($mover, 'ROLLBACK');
$shards->on($to, 'ALTER FUNCTION airun_remote.put_rows_not(integer, integer, uuid[], text[], jsonb[]) RENAME TO put_rows');
is($shards->on($to, 'SELECT count(*) FROM airun.messages AS m WHERE NOT EXISTS (SELECT FROM airun.runs AS r WHERE r.id = m.run_id)'), '0', 'no message of the copy is without its run');

#--- what has begun, and has not ended -----------------------------------------------------

my ($there, $writer) = map { $proxy->background_psql($shards->{databases}[$_], on_error_stop => 0) } $to, $from;
my $waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%await_writers%' AND wait_event = 'PgSleep' AND datname = current_database()";
is(ask($there, 'BEGIN; SELECT airun_expire_tasks()'), '0', 'somebody is at work where a bucket is to go');
ask($writer, "BEGIN; UPDATE airun.runs SET name = 'in flight' WHERE id = '$stale'; SELECT sum(changed) FROM airun_reprice(all_tasks => true)");
is(move($from), '', 'what has been copied so far goes');
my ($out, $err) = ('', '');
my $moving = IPC::Run::start([ $proxy->installed_command('psql'), '-XAtq', '-d', $proxy->connstr('proxy'), '-c', "CALL airun_lib.airun_move_bucket($bucket, $to)" ],
	'<', '/dev/null', '>', \$out, '2>', \$err, IPC::Run::timeout(180));
$proxy->poll_query_until($shards->{databases}[$to], $waits) or die 'nobody waits there';
is($shards->on($to, "SELECT count(*) FROM airun.runs WHERE airun_bucket(user_id) = $bucket"), '0', 'nothing is copied before he has ended');
ask($there, 'COMMIT');
$there->quit;
$proxy->poll_query_until($shards->{databases}[$from], $waits) or die 'nobody waits here';
is(as($host, "SELECT seq FROM airun_append_message('$open', '{\"role\": \"user\", \"content\": \"goes on\"}')"), '131', 'a move waits for who writes, and users go on');
ask($writer, 'COMMIT');
$writer->quit;
IPC::Run::finish($moving);
is($err, '', 'then it goes on');
($from, $to) = ($to, $from);
is($shards->on($from, "SELECT name, total_cost FROM airun.runs WHERE id = '$stale'"), 'in flight|0.01020', 'and what has been written is there');
finish();

#--- a bucket that is closed ----------------------------------------------------------------

copy();
close_bucket();
my $closed = rows($from);
$shards->call("SELECT airun_set_price('gpt-x', '{\"input\": 100, \"output\": 200}', 'openai', '2019-01-01', per_tokens => 1000000)");
make_old($from, $neighbours, 1) if $from == 0;
is(upkeep($from) =~ /^(\d) \d 0 0 0 \d$/ ? 'others' : 'all', 'others', 'who goes over all rows leaves a closed bucket alone');
is(rows($from), $closed, 'and nothing in it changes');
is(switch(), 't', 'so it moves');
ask($mover, 'COMMIT');
($from, $to) = ($to, $from);
$shards->on($to, "UPDATE airun.runs SET name = 'too late' WHERE id = '$stale'");
like((map { $_->[2] } [ $proxy->psql('proxy', "\\set VERBOSITY verbose\nCALL airun_lib.airun_move_bucket($bucket, $from)") ])[0],
	qr/ERROR:  55000: what has been left of bucket $bucket on shard $to is changed\nDETAIL:  .*: run $stale\./, 'what is written there past the proxy is told');
is($shards->on($to, "SELECT name FROM airun.runs WHERE id = '$stale'"), 'too late', 'and kept');
finish();
is($shards->on($to, "SELECT count(*) FROM airun.runs WHERE airun_bucket(user_id) = $bucket"), '0', 'until it is called again');

#--- after the map has changed ----------------------------------------------------------------

upkeep($_) for 0, 1;
my $before = told();
like($before, qr/^$host\|/m, 'users have used something');
sub is_as_before
{
	my ($when) = @_;

	is(told(), $before, "reports have each charge, and lists each run, once $when");
	is($shards->on($_, 'SELECT * FROM airun_check_usage(); SELECT * FROM airun_check_budgets()'), '', "shard $_ is well $when") for 0, 1;
}
$shards->on($from, 'ALTER FUNCTION airun_remote.drop_copy(integer, integer, integer) RENAME TO drop_copy_not');
is(move($to), '42883', 'a mover dies before it has cleared the source');
($from, $to) = ($to, $from);
is_as_before('before the source is cleared');
my $left = rows($to);
upkeep($to);
is(rows($to), $left, 'what is left is nobody\'s to change');
$shards->on($to, 'ALTER FUNCTION airun_remote.drop_copy_not(integer, integer, integer) RENAME TO drop_copy');
finish();
is_as_before('when it is cleared');

# killed before the source knows, and moved back: what was purged is counted once, too
my $purged = conversation($host, 7, 3, 1);
as($host, "SELECT FROM airun_delete_run('$purged')");
is($shards->on($from, 'SELECT airun_purge_runs(now())'), '1', 'a run goes for good, and its charges stay');
$before = told();
$shards->on($from, 'ALTER FUNCTION airun_remote.leave_bucket(integer, integer) RENAME TO leave_bucket_not');
is(move($to), '42883', 'a mover dies right after the map has changed');
$shards->on($from, 'ALTER FUNCTION airun_remote.leave_bucket_not(integer, integer) RENAME TO leave_bucket');
is(move($from), '', 'the bucket moves back');
is_as_before('when it has moved back');
finish();

is(state_of('proxy', "BEGIN; CALL airun_lib.airun_move_bucket($bucket, $to)"), '2D000', 'in a transaction nothing moves');
is($shards->call('SELECT sum(moving), count(problem) FROM airun_lib.airun_shards()'), '0|0', 'and nothing is closed');

#--- from one shard to the next -----------------------------------------------------------------

my $holder = $proxy->background_psql('proxy', on_error_stop => 0);
ask($holder, "SELECT pg_advisory_lock(1634300534, $bucket), pg_advisory_lock_shared(1634300534, 4096)");
is(state_of('proxy', "SELECT airun_erase_user('$host')"), '55006', 'nobody is forgotten on one shard after another while her bucket moves');
is(state_of('proxy', "SET lock_timeout = 50; SELECT airun_set_budget('late', 1)"), '55P03', 'who sets a budget waits for a move');
$holder->quit;
is($shards->call("SELECT is_done FROM airun_erase_user('$host')"), 't', 'then she is');
is(join(' ', map { $shards->on($_, "SELECT count(*) FROM airun.runs WHERE user_id = '$host'") } 0, 1), '0 0', 'wherever she is');
$mover->quit;
done_testing();
