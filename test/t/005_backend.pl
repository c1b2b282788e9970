# What one backend, one crash and one standby have to stand: saved plans survive
# whatever a session does between calls, memory stays flat, a standby serves what
# reads, and after a kill every acknowledged message is there once.

use strict;
use warnings;

use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = airun_node('primary', allows_streaming => 1, conf => <<'END');
wal_keep_size = 1GB
restart_after_crash = on
END
my @users = ('10000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000002');
$node->safe_psql('postgres', "CREATE ROLE app_a; CREATE ROLE app_b; SELECT airun_grant('app_a'); SELECT airun_grant('app_b');
	SET airun.user_id = '$users[0]'; SELECT airun_create_run(id => '" . numbered_id(1, 1) . "', name => 'of the first');
	SET airun.user_id = '$users[1]'; SELECT airun_create_run(id => '" . numbered_id(1, 2) . "', name => 'of the second')");

# What is set before the library is loaded counts also where a worker of a parallel query
# is the first to load it, or the leader in the midst of one
$node->safe_psql('postgres', <<'END');
CREATE FUNCTION caller() RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS 'BEGIN RETURN public.airun_user_id(); END';
CREATE FUNCTION zone() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS
	'BEGIN PERFORM public.airun_user_id(); RETURN current_setting(''airun.report_zone''); END';
CREATE TABLE many AS SELECT i FROM generate_series(1, 10000) AS i;
ANALYZE many;
ALTER DATABASE postgres SET airun.report_zone = 'Asia/Kathmandu';
END
for my $workers (1, 0)
{
	my ($code, $out, $err) = $node->psql('postgres', "SELECT caller(), zone(), count(*) FROM many GROUP BY 1, 2; SHOW airun.user_id",
		connstr => $node->connstr('postgres') . " options='-c airun.user_id=$users[0] -c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_table_scan_size=0"
		  . ' -c max_parallel_workers_per_gather=2 -c ' . ($workers ? 'parallel_leader_participation=off' : 'max_parallel_workers=0') . "'");
	is("$out$err", "$users[0]|Asia/Kathmandu|10000\n$users[0]", 'settings before the library, which ' . ($workers ? 'a worker' : 'the leader') . ' loads in a parallel query');
}
$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET airun.report_zone');

sub session
{
	my $session = $node->background_psql($_[0] // 'postgres', on_error_stop => 0);
	ask($session, '\set VERBOSITY sqlstate');
	return $session;
}

# One call of every kind: the plans of most functions, triggers and policies.  It
# returns what has come of it, the same at each call.
my $calls = 0;
sub everything
{
	my ($session, $schema) = @_;
	my $s = defined $schema ? "$schema." : '';
	my ($run, $task) = (numbered_id(3, ++$calls), numbered_id(4, $calls));
	my $hello = '\'{"role": "user", "content": "hello"}\'';

	return ask($session, join ";\n",
		"SELECT message_count FROM ${s}airun_create_run(id => '$run', name => 'n')",
		"SELECT seq FROM ${s}airun_append_message('$run', $hello, 'm')",
		"SELECT seq FROM ${s}airun_append_message('$run', $hello, 'm')",
		"SELECT t -> 'run' ->> 'task_count' FROM ${s}airun_start_turn('$run', $hello, '$task') AS t",
		"SELECT status FROM ${s}airun_update_task('$task', 'so')",
		"SELECT t -> 'messages' -> 0 ->> 'seq' FROM ${s}airun_finish_turn('$task', response_text => 'so far', tokens_total => 3) AS t",
		"INSERT INTO ${s}ai_messages (run_id, message) VALUES ('$run', $hello) RETURNING seq",
		"INSERT INTO ${s}ai_tasks (run_id) VALUES ('$run') RETURNING status",
		"UPDATE ${s}ai_tasks SET status = 'failed', tokens_total = 4 WHERE run_id = '$run' AND status = 'pending' RETURNING status",
		"INSERT INTO airun.tasks (run_id, tokens_total) VALUES ('$run', 5) RETURNING status",
		"UPDATE airun.tasks SET tokens_total = 6 WHERE run_id = '$run' AND tokens_total = 5 RETURNING tokens_total",
		"INSERT INTO airun.messages (run_id, message) VALUES ('$run', $hello) RETURNING seq",
		"SELECT is_starred FROM ${s}airun_toggle_star('$run')",
		"SELECT json_array_length(${s}airun_messages('$run')), jsonb_array_length(messages) FROM ${s}ai_runs WHERE id = '$run'",
		"SELECT json_array_length(${s}airun_get_run('$run') -> 'tasks')",
		"SELECT message_count, task_count, total_tokens FROM ${s}airun_list_runs() WHERE id = '$run'",
		"SELECT count(*) FROM ${s}airun_check()");
}
my $expected = join "\n", qw(0 1 1 1 streaming 3 4 pending error pending 6 5 t 5|5 3 5|3|13 0);

#--- one session ---------------------------------------------------------------------

{
	my $session = session();
	is(everything($session), $expected, 'everything works');

	ask($session, 'DISCARD ALL');
	is(everything($session), $expected, 'after DISCARD ALL');
	ask($session, 'ALTER TABLE airun.runs ADD COLUMN team text; ALTER TABLE airun.messages ADD COLUMN words int DEFAULT 1; ALTER TABLE airun.tasks ADD COLUMN site jsonb');
	is(everything($session), $expected, 'after ALTER TABLE ADD COLUMN on each table');
	ask($session, 'ALTER TABLE airun.runs DROP COLUMN team; ALTER TABLE airun.messages DROP COLUMN words; ALTER TABLE airun.tasks DROP COLUMN site');
	is(everything($session), $expected, 'after ALTER TABLE DROP COLUMN');
	ask($session, 'VACUUM FULL airun.runs; REINDEX TABLE airun.messages; CREATE INDEX other ON airun.runs (name); ANALYZE');
	is(everything($session), $expected, 'after VACUUM FULL, REINDEX, CREATE INDEX and ANALYZE');
	for my $mode (qw(force_generic_plan force_custom_plan auto))
	{
		ask($session, "SET plan_cache_mode = $mode");
		is(everything($session), $expected, "with plan_cache_mode = $mode");
	}
	ask($session, "CREATE SCHEMA evil; CREATE TABLE evil.runs (id uuid); CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT 1/0; SELECT NULL::timestamptz'; SET search_path = evil, public, pg_catalog, airun");
	is(everything($session), $expected, 'with another search_path');
	ask($session, 'SET search_path = evil');
	is(everything($session, 'public'), $expected, 'with a search_path that has neither ours nor the store');
	ask($session, 'RESET search_path; DROP SCHEMA evil CASCADE');

	ask($session, 'SET client_min_messages = error; DROP EXTENSION airun CASCADE');
	is(ask($session, 'SELECT airun_create_run()'), 'ERROR: 42883', 'DROP EXTENSION CASCADE: there is no function any more');
	ask($session, 'CREATE EXTENSION airun');
	ask($session, 'SELECT airun_install()');
	ask($session, "SELECT airun_grant('app_a'); SELECT airun_grant('app_b')");
	is(everything($session), $expected, 'after DROP EXTENSION CASCADE, CREATE EXTENSION and airun_install() in the session');

	ask($session, 'BEGIN; DROP EXTENSION airun CASCADE; CREATE EXTENSION airun; SELECT airun_install()');
	is(everything($session), $expected, 'the same in a transaction');
	ask($session, 'ROLLBACK');
	is(everything($session), $expected, 'and rolled back');

	ask($session, 'SAVEPOINT x; BEGIN');
	is(everything($session), $expected, 'in a transaction');
	ask($session, 'SAVEPOINT s');
	is(ask($session, "SELECT airun_append_message('" . numbered_id(9, 9) . "', '{\"role\": \"user\", \"content\": \"x\"}')"), 'ERROR: PT404', 'an error in a subtransaction');
	ask($session, 'ROLLBACK TO s');
	is(everything($session), $expected, 'and on with it');
	ask($session, 'COMMIT');
	$session->quit;
	check_ok($node, 'after all that');
}

# In a new database, from nothing, where a rollback takes all of it
{
	$node->safe_psql('postgres', 'CREATE DATABASE other');
	my $session = session('other');
	for my $round (1 .. 2)
	{
		ask($session, 'BEGIN; CREATE SCHEMA api; CREATE EXTENSION airun SCHEMA api; SELECT api.airun_install()');
		is(everything($session, 'api'), $expected, "CREATE EXTENSION, airun_install() and use in one transaction, round $round");
		ask($session, 'ROLLBACK');
		is(ask($session, "SELECT count(*) FROM pg_namespace WHERE nspname IN ('api', 'airun')"), '0', 'and nothing of it after ROLLBACK');
	}
	ask($session, 'CREATE EXTENSION airun');
	is(ask($session, 'SELECT airun_create_run()'), 'ERROR: 55000', 'without the store a call says so');
	ask($session, 'SELECT airun_install()');
	is(everything($session), $expected, 'and works with it, in another schema than before');
	ask($session, 'BEGIN; DROP SCHEMA airun CASCADE');
	is(ask($session, 'SELECT airun_create_run()'), 'ERROR: 55000', 'without the store again a call says so');
	ask($session, 'ROLLBACK');
	is(everything($session), $expected, 'and works again');
	$session->quit;
	check_ok($node, 'in the other database', 'other');
}

# Roles and users that take turns in one session see what is theirs
{
	my $session = session();
	my $seen = "SELECT name FROM ai_runs WHERE id::text LIKE '00000001%';
		SELECT name FROM airun_list_runs() WHERE id::text LIKE '00000001%';
		SELECT count(*) FROM airun.runs WHERE user_id <> airun_user_id()";
	for my $turn (0, 1, 0, 1, 1, 0)
	{
		my $role = $turn ? 'app_b' : 'app_a';
		my $other = numbered_id(1, 2 - $turn);
		my $name = $turn ? 'of the second' : 'of the first';
		ask($session, "RESET ROLE; SET ROLE $role; SELECT set_config('request.jwt.claims', '{\"sub\": \"$users[$turn]\"}', false)");
		is(ask($session, $seen), "$name\n$name\n0", "$role sees the run $name, and no other");
		is(ask($session, "SELECT airun_messages('$other')"), 'ERROR: PT404', 'cannot read the other');
		is(ask($session, "SELECT airun_toggle_star('$other')"), 'ERROR: PT404', 'nor change it');
		is(everything($session), $expected, 'and can do everything with its own');
	}
	# the same role, but another user, and then none
	ask($session, "SELECT set_config('request.jwt.claims', '{\"sub\": \"$users[1]\"}', false)");
	is(ask($session, $seen), "of the second\nof the second\n0", 'another user under the same role sees his own');
	ask($session, "SELECT set_config('request.jwt.claims', '', false)");
	is(ask($session, $seen), 'ERROR: PT401', 'nobody has no list');
	is(ask($session, "SELECT airun_create_run()"), 'ERROR: PT401', 'and cannot write');
	# a superuser in between, who sees all
	ask($session, 'RESET ROLE');
	is(ask($session, "SELECT count(*) FROM ai_runs WHERE id::text LIKE '00000001%'"), '2', 'a superuser sees both');
	ask($session, "SET ROLE app_a; SELECT set_config('request.jwt.claims', '{\"sub\": \"$users[0]\"}', false)");
	is(ask($session, $seen), "of the first\nof the first\n0", 'and the first role again only its own');
	$session->quit;
	check_ok($node, 'after all that');
}

#--- memory --------------------------------------------------------------------------

{
	$node->safe_psql('postgres', 'CREATE DATABASE memory');
	$node->safe_psql('memory', 'CREATE EXTENSION airun; SELECT airun_install()');
	my $session = session('memory');
	my $run = numbered_id(5, 1);
	ask($session, "SELECT airun_create_run(id => '$run')");
	my $load = "DO \$\$
	DECLARE
		doc json;
	BEGIN
		FOR i IN 1 .. 20000 LOOP
			PERFORM airun_append_message('$run', jsonb_build_object('role', 'user', 'content', repeat('x', i % 1000)),
				CASE WHEN i % 2 = 0 THEN clock_timestamp()::text END);
			IF i % 10 = 0 THEN
				doc := airun_messages('$run', max_messages => 100, from_end => true);
				doc := airun_get_run('$run', 50);
				PERFORM FROM airun_list_runs();
				COMMIT;
			END IF;
		END LOOP;
	END \$\$";
	my $memory = 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts';
	ask($session, $load =~ s/20000/200/r);
	my $before = ask($session, $memory);
	is(ask($session, $load), '', '20,000 appends, 2,000 loads and 2,000 lists in one backend');
	my $after = ask($session, $memory);
	cmp_ok(abs($after - $before), '<', 1024 * 1024, "memory stays flat: $before bytes before, $after after");

	# and within one statement, looked at before it ends
	my $large = numbered_id(5, 2);
	ask($session, "SELECT airun_create_run(id => '$large')");
	ask($session, "SELECT count(*) FROM airun_append_messages('$large', (SELECT jsonb_agg(jsonb_build_object('role', 'user', 'content', repeat('y', 10000))) FROM generate_series(1, 100)))");
	for my $call (
		[ '100 loads of 1 MB', "airun_messages('$large')" ],
		[ '100 loads of the run', "airun_get_run('$large')" ],
		[ '100 arrays of 1 MB', "(SELECT messages FROM ai_runs WHERE id = '$large' AND i > 0)" ],
		[ '100 lists', '(SELECT count(*) FROM airun_list_runs() WHERE i > 0)' ],
		[ '100 appends of 10 kB', "airun_append_message('$large', jsonb_build_object('role', 'user', 'content', repeat('z', 10000)))" ],
		[ '100 turns of 10 kB', "airun_start_turn('$large', jsonb_build_object('role', 'user', 'content', repeat('z', 10000)))" ])
	{
		my $statement = "SELECT count($call->[1]), ($memory) FROM generate_series(1, %d) AS i";
		my ($one) = ask($session, sprintf $statement, 1) =~ /^1\|(\d+)$/;
		my ($many) = ask($session, sprintf $statement, 100) =~ /^100\|(\d+)$/;
		cmp_ok($many - $one, '<', 1024 * 1024, "$call->[0] in one statement hold on to little: $many bytes against $one");
	}
	$session->quit;

	# What one load of an array has used, the next one uses again: a new session, in
	# which malloc knows of nothing larger yet.
  SKIP:
	{
		skip 'is about glibc', 2 if !-r '/proc/self/stat' || `getconf GNU_LIBC_VERSION 2>&1` !~ /^glibc/;
		for my $messages (100, 1000)
		{
			my $read = numbered_id(6, $messages);
			$node->safe_psql('memory', "SELECT airun_create_run(id => '$read'); SELECT count(*) FROM airun_append_messages('$read',
				(SELECT jsonb_agg(jsonb_build_object('role', 'user', 'content', repeat('y', 1000))) FROM generate_series(1, $messages)))");
			my $reader = session('memory');
			my $pid = ask($reader, "PREPARE load AS SELECT messages FROM ai_runs WHERE id = '$read'; SELECT pg_backend_pid()");
			my $faults = sub { return (split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //sr)[7]; };
			ask($reader, 'EXECUTE load') for 1 .. 5;
			my $at_first = $faults->();
			ask($reader, 'EXECUTE load') for 1 .. 20;
			my $pages = $faults->() - $at_first;
			cmp_ok($pages, '<', $messages, "20 arrays of $messages kB: few pages are faulted in, $pages");
			$reader->quit;
		}
	}
	check_ok($node, 'after that', 'memory');
}

#--- a standby -----------------------------------------------------------------------

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;

{
	my $run = numbered_id(1, 1);
	my $stream = numbered_id(2, 99);
	$node->safe_psql('postgres', "SET airun.user_id = '$users[0]';
		SELECT airun_append_message('$run', '{\"role\": \"user\", \"content\": \"streamed\"}');
		SELECT airun_create_task('$run', '" . numbered_id(2, 1) . "');
		SELECT airun_create_task('$run', '$stream', model_id => 'm');
		SELECT airun_update_task('$stream', 'as far as it has come');
		SELECT airun_set_price('m', '{\"input\": 0.5}', effective_from => '-infinity')");
	$node->wait_for_catchup($standby);

	my $as_user = "SET ROLE app_a; SET airun.user_id = '$users[0]';";
	for my $read (
		"SELECT airun_messages('$run')",
		"SELECT airun_messages('$run', 0, 2, 1, true)",
		"SELECT airun_get_run('$run')",
		"SELECT airun_get_run('$run', 1, true)",
		"SELECT * FROM airun_list_runs()",
		"SELECT * FROM airun_list_runs(source_type => 'chat', search => 'the', page_size => 500)",
		"SELECT * FROM ai_runs WHERE id = '$run'",
		"SELECT * FROM ai_run_summaries ORDER BY id",
		"SELECT * FROM ai_messages WHERE run_id = '$run'",
		"SELECT * FROM ai_tasks WHERE run_id = '$run'",
		"SELECT * FROM airun_stream_read('$stream', 3)",
		"SELECT * FROM airun_stream_read('$stream', 21, '50 ms', 0, '$run')",
		"SELECT * FROM airun_stream_read('$stream', 3, generation => 7)",
		"SELECT airun_cost('m', '{\"input\": 3}'), airun_cost_details('m', '{\"input\": 3}')",
		"SELECT count(*) FROM ai_unpriced_models",
		"SELECT airun_user_id(), airun_json('\"\\u0000\"')",
		"SELECT count(*) FROM airun_check()")
	{
		my $primary = $node->safe_psql('postgres', $as_user . $read);
		my ($code, $out, $err) = $standby->psql('postgres', $as_user . $read);
		ok($code == 0 && $out ne '' && $out eq $primary, "on a standby as on the primary: $read") or diag $err;
	}
	check_ok($standby, 'on the standby');

	my $task = numbered_id(2, 1);
	for my $write (
		"SELECT airun_create_run()",
		"SELECT airun_append_message('$run', '{\"role\": \"user\", \"content\": \"x\"}')",
		"SELECT airun_append_messages('$run', '[{\"role\": \"user\", \"content\": \"x\"}]')",
		"SELECT airun_start_turn('$run')",
		"SELECT airun_finish_turn('$task', response_text => 'x')",
		"SELECT airun_create_task('$run')",
		"SELECT airun_update_task('$task', 'x')",
		"SELECT airun_update_task('$stream', 'another')",
		"SELECT airun_stream_delta('$stream', 'more')",
		"SELECT airun_heartbeat_task('$stream')",
		"SELECT airun_meter()",
		"SELECT airun_start_call()",
		"SELECT airun_end_call('$task')",
		"SELECT airun_expire_calls()",
		"SELECT airun_complete_task('$task')",
		"SELECT airun_fail_task('$task')",
		"SELECT airun_cancel_task('$task')",
		"SELECT airun_update_run('$run', 'x')",
		"SELECT airun_star_run('$run')",
		"SELECT airun_toggle_star('$run')",
		"SELECT airun_archive_run('$run')",
		"SELECT airun_set_run_status('$run', 'completed')",
		"SELECT airun_delete_run('$run')",
		"SELECT airun_restore_run('$run')",
		"INSERT INTO ai_runs (name) VALUES ('x')",
		"UPDATE ai_runs SET is_starred = true WHERE id = '$run'",
		"INSERT INTO ai_messages (run_id, message) VALUES ('$run', '{\"role\": \"user\", \"content\": \"x\"}')",
		"INSERT INTO ai_tasks (run_id) VALUES ('$run')",
		"UPDATE ai_tasks SET status = 'completed' WHERE task_id = '$task'")
	{
		my $err = '';
		$standby->psql('postgres', "\\set VERBOSITY sqlstate\n$as_user$write", stderr => \$err);
		like($err, qr/ERROR:\s+25006$/, "a standby refuses with 25006: $write");
	}
	my $err = '';
	$standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT airun_purge_runs(now())", stderr => \$err);
	like($err, qr/ERROR:\s+25006$/, 'and airun_purge_runs()');
	$standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT airun_install()", stderr => \$err);
	is($err =~ /ERROR:\s+(\w+)/ ? $1 : 'none', 'none', 'airun_install() has nothing to do there, and says so');

	# the primary may write in a read-only transaction as little
	$node->psql('postgres', "\\set VERBOSITY sqlstate\nBEGIN READ ONLY; SELECT airun_messages('$run') \\g /dev/null\nSELECT airun_append_message('$run', '{\"role\": \"user\", \"content\": \"x\"}')", stderr => \$err);
	like($err, qr/ERROR:\s+25006$/, 'nor does a read-only transaction write');
}

#--- crashes -------------------------------------------------------------------------

# Clients that write down what has been acknowledged, and a backend that is killed
# in the middle; the server restarts, and everything acknowledged is there once.
$node->safe_psql('postgres', "SELECT airun_create_run(id => ('00000006-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid) FROM generate_series(1, 3) AS i");
my $dir = PostgreSQL::Test::Utils::tempdir();
my $rounds = 3;
my $acknowledged = 0;
for my $round (1 .. $rounds)
{
	my @clients;
	for my $client (1 .. 4)
	{
		my $run = numbered_id(6, 1 + $client % 3);
		append_to_file("$dir/$round.$client.sql", join '', map {
			my $id = "$round.$client.$_";
			# acknowledged is what comes back: the run, the message's id, its place
			$_ % 10
			? "SELECT run_id, message_id, seq FROM airun_append_message('$run', '{\"role\": \"user\", \"content\": \"x\"}', '$id');\n"
			: "SELECT t #>> '{run,id}', t #>> '{messages,0,message_id}', t #>> '{messages,0,seq}'
				FROM airun_start_turn('$run', '{\"role\": \"user\", \"content\": \"x\", \"id\": \"$id\"}') AS t;\n"
		} 1 .. 20000);
		push @clients,
		  IPC::Run::start([ $node->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . ' application_name=crash', '-f', "$dir/$round.$client.sql" ],
			'<', '/dev/null', '>', "$dir/$round.$client.out", '2>', "$dir/$round.$client.err", IPC::Run::timeout(60));
	}
	$node->poll_query_until('postgres', "SELECT count(*) > " . ($acknowledged + 2000) . " FROM airun.messages WHERE run_id::text LIKE '00000006%'") or die;
	usleep(int(rand(100_000)));
	my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE application_name = 'crash' ORDER BY random() LIMIT 1");
	kill 'KILL', $pid;
	IPC::Run::finish($_) for @clients;
	# Without a query: a psql that cannot connect may be gone before the query is
	# written to it, which ends us with a broken pipe
	$node->poll_query_until('postgres', undef, '') or die 'the server did not come back';

	my @lines = map { my $text = slurp_file("$dir/$round.$_.out"); $text =~ s/[^\n]*\z//; split /\n/, $text } 1 .. 4;
	append_to_file("$dir/acknowledged", join '', map { "$_\n" } @lines);
	$acknowledged += @lines;
	is($node->safe_psql('postgres', <<"SQL"), "$acknowledged|0|0", "round $round: each of $acknowledged acknowledged messages is there once, at its place");
CREATE TEMP TABLE acknowledged (run_id uuid, message_id text, seq bigint);
COPY acknowledged FROM '$dir/acknowledged' (DELIMITER '|');
SELECT count(*), count(*) FILTER (WHERE m.seq IS NULL),
	(SELECT count(*) FROM (SELECT FROM airun.messages WHERE run_id::text LIKE '00000006%' GROUP BY run_id, message_id HAVING count(*) > 1) AS d)
FROM acknowledged AS a LEFT JOIN airun.messages AS m ON m.run_id = a.run_id AND m.seq = a.seq
	AND m.message_id = a.message_id
SQL
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM airun.messages WHERE run_id::text LIKE '00000006%'") - $acknowledged,
		'<=', 4 * $round, 'and at most what was on its way besides');
	check_ok($node, "after crash $round");
}

# The standby has come along, and takes over
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', "SELECT md5(string_agg(m::text, '' ORDER BY run_id, seq)) FROM airun.messages AS m"),
	$node->safe_psql('postgres', "SELECT md5(string_agg(m::text, '' ORDER BY run_id, seq)) FROM airun.messages AS m"),
	'the standby has the same messages');
$node->stop;
$standby->promote;
is($standby->safe_psql('postgres', "SELECT (airun_append_message('" . numbered_id(1, 1) . "', '{\"role\": \"user\", \"content\": \"promoted\"}')).seq"), '2',
	'promoted, it appends');
check_ok($standby, 'on it');

done_testing();
