# Two users at once, one of whom is hostile and may run any SQL that his role
# lets him: nobody waits for what is not his, so that time tells nothing; what he
# tries and fails holds no lock; locks of SQL's own, notices and waiting do not
# reach the other one.

use strict;
use warnings;

use AirunTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = airun_node('attack');
my ($ann, $bob) = ('10000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000002');
$node->safe_psql('postgres', "CREATE ROLE app; SELECT airun_grant('app')");

sub session
{
	my ($user) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	ask($session, "\\set VERBOSITY sqlstate\nSET ROLE app; SET request.jwt.claims = '{\"sub\": \"$user\"}'; SET lock_timeout = '100ms'");
	return $session;
}

my ($a, $b) = (session($ann), session($bob));
my ($run, $own) = map { "'" . numbered_id(1, $_) . "'" } 1 .. 2;
my ($task, $other) = map { "'" . numbered_id(2, $_) . "'" } 1 .. 2;
my $say = '\'{"role": "user", "content": "x"}\'';
ask($a, "SELECT airun_create_run(id => $run); SELECT airun_create_task($run, $task, timeout => '1 us'); SELECT airun_update_task($task, 'the secret')");
ask($b, "SELECT airun_create_run(id => $own); SELECT airun_create_task($own, $other, timeout => '1 h')");

# Every function that has to do with rows, on what is Ann's, and what it gives
# whoever has nothing to do with it
my @calls = (
	[ "airun_get_run($run)", 'ERROR: PT404' ],
	[ "count(*) FROM airun_list_runs()", '1' ],
	[ "airun_update_run($run, 'x')", 'ERROR: PT404' ],
	[ "airun_star_run($run)", 'ERROR: PT404' ],
	[ "airun_toggle_star($run)", 'ERROR: PT404' ],
	[ "airun_archive_run($run)", 'ERROR: PT404' ],
	[ "airun_set_run_status($run, 'completed')", 'ERROR: PT404' ],
	[ "airun_delete_run($run)", 'ERROR: PT404' ],
	[ "airun_restore_run($run)", 'ERROR: PT404' ],
	[ "airun_append_message($run, $say)", 'ERROR: PT404' ],
	[ "airun_append_messages($run, '[]')", 'ERROR: PT404' ],
	[ "airun_messages($run)", 'ERROR: PT404' ],
	[ "airun_create_task($run)", 'ERROR: PT404' ],
	[ "airun_create_task($run, $task)", 'ERROR: PT404' ],
	[ "airun_update_task($task, 'x')", 'ERROR: PT404' ],
	[ "airun_update_task($task, 'x', run_id => $run)", 'ERROR: PT404' ],
	[ "airun_stream_delta($task, 'x')", 'ERROR: PT404' ],
	[ "airun_stream_delta($task, 'x', run_id => $run)", 'ERROR: PT404' ],
	[ "airun_stream_read($task, max_wait => '1 s')", 'ERROR: PT404' ],
	[ "airun_stream_read($task, max_wait => '1 s', run_id => $run)", 'ERROR: PT404' ],
	[ "airun_heartbeat_task($task)", 'ERROR: PT404' ],
	[ "airun_heartbeat_task($task, $run)", 'ERROR: PT404' ],
	[ 'airun_expire_tasks()', '0' ],
	[ "airun_complete_task($task)", 'ERROR: PT404' ],
	[ "airun_complete_task($task, run_id => $run)", 'ERROR: PT404' ],
	[ "airun_fail_task($task, run_id => $run)", 'ERROR: PT404' ],
	[ "airun_cancel_task($task, run_id => $run)", 'ERROR: PT404' ],
	[ "airun_start_turn($run, $say)", 'ERROR: PT404' ],
	[ "airun_finish_turn($task, $say)", 'ERROR: PT404' ],
	[ "airun_finish_turn($task, $say, run_id => $run)", 'ERROR: PT404' ],
	[ 'count(*) FROM airun_check()', '0' ],
	[ "count(*) FROM airun_check($run)", '0' ],
	[ "airun_sees_run($run)", 'f' ],
	[ "airun_writes_run($run)", 'f' ],
	[ "airun_call('{\"airun_messages\": {\"run_id\": \"' || $run || '\"}}')", 'ERROR: PT404' ],
	[ "airun_save_message($run, $say, 'm1')", 'ERROR: PT404' ],
	[ "airun_save_messages($run, jsonb_build_array(${say}::jsonb || '{\"id\": \"m1\"}'))", 'ERROR: PT404' ],
	[ "airun_truncate_messages($run, 0)", 'ERROR: PT404' ],
	[ "count(*) FROM airun_message_versions($run)", 'ERROR: PT404' ],
	[ "airun_edit_message($run, 1, $say)", 'ERROR: PT404' ],
	[ "airun_fork_run($run)", 'ERROR: PT404' ],
	[ "count(*) FROM airun_run_forks($run)", 'ERROR: PT404' ],
	[ "airun_export($run)", 'ERROR: PT404' ],
	[ "airun_context($run)", 'ERROR: PT404' ],
	[ "count(*) FROM airun_search('x', run_id => $run)", '0' ],
	[ "count(*) FROM airun_usage('-infinity', 'infinity')", '0' ],
	[ "count(*) FROM airun_budget_check(run_id => $run)", 'ERROR: PT404' ],
	[ 'count(*) FROM airun_budget_status()', '0' ],
	[ "airun_normalize_usage('{}') IS NULL", 'f' ],
	[ "airun_cost('m', '{}') IS NULL", 't' ],
	[ "airun_cost_details('m', '{}') IS NULL", 'f' ],
	# a task's id is free in another run, whoever else has it
	[ "status FROM airun_create_task($own, $task)", 'pending' ]);
{
	my $known = join ' ', map { $_->[0] } @calls;
	my @lack = grep { $known !~ /\b$_\(/ } split /\n/, $node->safe_psql('postgres', <<'END');
SELECT p.proname FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
	JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'airun'
WHERE p.provolatile <> 'i' AND has_function_privilege('app', p.oid, 'EXECUTE')
	-- which touch no row, or must wait for the id that is theirs to take
	AND p.proname NOT IN ('airun_uuid', 'airun_user_id', 'airun_is_overdue', 'airun_create_run',
		-- nor a run of anybody's: calls, a user's own things, and what she brings in
		'airun_meter', 'airun_start_call', 'airun_end_call', 'airun_expire_calls', 'airun_export_user', 'airun_import', 'airun_usage_page')
	AND p.proname NOT LIKE 'airun\_store\_%'
END
	is("@lack", '', 'every function is tried');
}

sub digest
{
	return $node->safe_psql('postgres', "SELECT md5(concat((SELECT r::text FROM airun.runs r WHERE id = $run), (SELECT t::text FROM airun.tasks t WHERE run_id = $run),
		(SELECT string_agg(m::text, '' ORDER BY seq) FROM airun.messages m WHERE run_id = $run),
		(SELECT string_agg(c::text, '' ORDER BY chars) FROM airun.task_chunks c WHERE run_id = $run)))");
}

# Ann holds her run, her task and her task's text
my $before = digest();
ask($a, "BEGIN; SELECT airun_append_message($run, $say); SELECT airun_stream_delta($task, ', told'); SELECT airun_heartbeat_task($task); SELECT FROM airun.runs FOR UPDATE");
is(ask($b, "SELECT airun_create_run(id => $run)") =~ /^ERROR: (PT409|55P03)$/ ? 'not his' : 'his', 'not his', 'an id that is taken says so, or waits like any unique index');
for my $call (@calls)
{
	ask($b, 'BEGIN');
	is(ask($b, "SELECT $call->[0]"), $call->[1], "does not wait: $call->[0]");
	ask($b, 'ROLLBACK');
}
ask($a, 'ROLLBACK');
is(digest(), $before, 'nothing of hers has changed');

# Bob tries all of it in one transaction, and keeps that open
ask($b, 'BEGIN; SAVEPOINT s');
for my $call (@calls)
{
	ask($b, "SELECT $call->[0]");
	ask($b, 'ROLLBACK TO s');
}
ask($b, "SELECT id FROM airun.runs FOR UPDATE; SELECT airun_stream_delta($other, 'x')");
is($node->safe_psql('postgres', "SELECT locktype, objsubid, mode FROM pg_locks WHERE locktype IN ('advisory', 'tuple') AND granted"),
	'advisory|24937|ExclusiveLock', 'he holds his own task\'s text and no other');
for my $call ("airun_append_message($run, $say)", "airun_update_task($task, 'the secret, told')", "airun_heartbeat_task($task)", "airun_star_run($run)",
	"airun_complete_task($task)", "airun_delete_run($run)")
{
	ask($a, 'BEGIN');
	unlike(ask($a, "SELECT $call"), qr/^ERROR/, "Ann does not wait for him: $call");
	ask($a, 'ROLLBACK');
}
ask($b, 'ROLLBACK');

# Advisory locks of SQL's with the very numbers of hers
ask($a, "BEGIN; SELECT airun_stream_delta($task, ', told')");
my ($high, $low) = split /\|/, $node->safe_psql('postgres', "SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 24937");
ask($a, 'ROLLBACK');
is(ask($b, "SELECT pg_advisory_lock((${high}::bigint << 32) | $low), pg_advisory_lock(('x' || lpad(to_hex($high), 8, '0'))::bit(32)::int, ('x' || lpad(to_hex($low), 8, '0'))::bit(32)::int)"),
	'|', 'locks with the same numbers');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $high AND objid = $low"), '2', 'are held');
is(ask($a, "BEGIN; SELECT response_length FROM airun_stream_delta($task, ', told')"), '16', 'and are not in her way');
ask($a, 'ROLLBACK');
ask($b, 'SELECT pg_advisory_unlock_all()');

# Settings that are the superuser's
is(ask($b, "SET $_"), 'ERROR: 42501', "he cannot SET $_") for "airun.max_wait = '1s'", "airun.max_message_size = '256MB'", 'airun.trust_client_cost = on';
is(ask($b, 'SET airun.nothing = 1'), 'ERROR: 42602', 'nor invent one');
# those that are his, are for his rows
ask($b, "SET airun.task_timeout = '1s'");
is(ask($b, 'SELECT airun_expire_tasks()'), '0', 'his idea of a timeout expires nothing of hers');

# nor are they his before the library is loaded, which knows whose they are
{
	my $early = session($bob);
	ask($early, "SET airun.max_wait = '1 h'; SET airun.max_message_size = '256MB'; SET airun.trust_client_cost = on");
	ask($early, 'SELECT airun_uuid()');
	is(ask($early, "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN ('airun.max_wait', 'airun.max_message_size', 'airun.trust_client_cost')"),
		'16384 20000 off', 'what he sets before the first call does not count');
	$early->quit;
}

# Waiting has an end that he does not choose
$node->append_conf('postgresql.conf', 'airun.max_wait = 50ms');
$node->reload;
$node->poll_query_until('postgres', "SELECT setting = '50' FROM pg_settings, airun_uuid() WHERE name = 'airun.max_wait'") or die 'the setting does not come';
my $c = session($bob);
is(ask($c, "SELECT position FROM airun_stream_read($other, max_wait => '1000 years')"), '0', 'a thousand years end');
is(ask($c, "SELECT position FROM airun_stream_read($other, max_wait => '178000000 years 11 mons 24 h')"), '0', 'as does the longest interval');
is(ask($c, "SELECT airun_stream_read($other, max_wait => '1 s -1 day')"), 'ERROR: PT422', 'one that goes back is refused');

# Notices say which, never what, and only of what has happened
my $listener = session($bob);
ask($listener, 'LISTEN airun');
ask($a, "SET airun.notify = on; SELECT airun_stream_delta($task, ', told'); SELECT airun_complete_task($task, 'the secret, told')");
ask($b, 'SET airun.notify = on');
ask($b, "SELECT $_->[0]") for grep { $_->[1] =~ /PT404/ } @calls;
{
	# a psql tells of them behind a command's output
	my $heard = ask($listener, 'SELECT 1') . ask($listener, 'SELECT 2');
	my @payloads = $heard =~ /notification "airun" with payload "(.*)" received/g;
	is(scalar @payloads, 2, 'two notices of what Ann has done, and none of what Bob has tried');
	unlike("@payloads", qr/secret|told/, 'without a word of it');
	like($payloads[0], qr/$_/, "but with $_") for numbered_id(1, 1), numbered_id(2, 1), 'streaming';
}

# Messages of errors, in all their parts, and the server's log at its own level
{
	my ($out, $err);
	for my $call (grep { $_->[1] =~ /PT404/ } @calls)
	{
		$node->psql('postgres', "\\set VERBOSITY verbose\nSET ROLE app; SET airun.user_id = '$bob'; SELECT $call->[0]", stdout => \$out, stderr => \$err);
		unlike($out . $err, qr/secret/, "says nothing of the text: $call->[0]");
	}
}

# Operators are found by the search_path also where none is written: statements that run in
# the owner's name would call the attacker's
{
	my @found;
	for my $file (map { glob("$FindBin::RealBin/../../src/$_") } '*.c', '*/*.c', '*/*.h')
	{
		my $number = 0;
		for my $line (split /\n/, slurp_file($file))
		{
			$number++;
			for my $literal ($line =~ /"((?:[^"\\]|\\.)*)"/g)
			{
				push @found, "$file:$number: $1"
				  if $literal =~ /(\bBETWEEN (?!UNBOUNDED|CURRENT)|\bDISTINCT FROM|\bNULLIF\b|\bI?LIKE\b|\bSIMILAR\b|\bIN \(|\bJOIN .*\bUSING \(|\bNATURAL\b|\bCASE (?!WHEN)|(?:\b[a-z]\.\w+|\$\d+|\)) (?:<>|[<>]=?|\|\||->>?|[@~*\/%&#-]+) [\$'(]?\w)/;
			}
		}
	}
	is("@found", '', 'statements in C name the schema of every operator');
}
$_->quit for $a, $b, $c, $listener;
check_ok($node, 'after the attack');
proven('hostile calls', 4 * @calls);

done_testing();
