# The worker: a launcher that needs shared_preload_libraries, and short-lived workers, one
# database at a time, that do what airun_work() does.  W1 to W17, but W16, which is in
# sql/work.sql, where not here.  The long form has those that wait for long.

use strict;
use warnings;

use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = airun_node('worker', store => 0, allows_streaming => 1, conf => <<'END');
max_connections = 30
airun.databases = 'first, "Second, too", empty, nowhere, closed'
airun.naptime = 1s
END

# Where the stage of Debian's servers is looked through, $libdir has to be said.
my $library = slurp_file($ENV{AIRUN_STAGE_CONF} // '/dev/null') =~ /^extension_destdir/m ? '$libdir/airun' : 'airun';

sub sql { my ($db, $sql) = @_; return $node->safe_psql($db, $sql); }

# Waits until a query in a database gives t
sub await
{
	my ($db, $query, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->poll_query_until($db, $query), $what) or die "in vain: $query\n";
}

# Where workers are, as PostgreSQL shows them
my $workers = "SELECT string_agg(datname || ': ' || query, ', ') FROM pg_stat_activity WHERE backend_type = 'airun worker'";
my $launcher = "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'airun launcher'";

# Has the server's log a line since then?  How often?
sub logged
{
	my ($offset, $pattern) = @_;
	my @found = slurp_file($node->logfile, $offset) =~ /($pattern)/g;

	return scalar @found;
}

#--- W1: without preload ---------------------------------------------------------------

# a store, a step that can be held up for as long as a row stands in a table, and what is
# to be folded
my $store = <<'END';
SET ROLE keeper;
CREATE EXTENSION airun;
SELECT airun_install();
CREATE TABLE hold (step text);
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	WHILE EXISTS (SELECT FROM public.hold) LOOP
		PERFORM pg_sleep(0.02);
	END LOOP;
	RETURN NULL;
END$$;
CREATE TRIGGER hold AFTER INSERT ON airun.usage_ledger FOR EACH STATEMENT EXECUTE FUNCTION hold();
END
my $meter = "SELECT count(airun_meter(service => 's', tokens_input => 3)) FROM generate_series(1, 100)";

sql('postgres', 'CREATE ROLE keeper');
sql('postgres', "CREATE DATABASE $_ OWNER keeper") for 'first', 'empty', 'closed';
sql('first', $store);
sql('postgres', 'CREATE DATABASE "Second, too" TEMPLATE first');
sql('postgres', 'ALTER DATABASE closed ALLOW_CONNECTIONS false');
sql('first', $meter);
is(sql('first', "SELECT airun_uuid() IS NOT NULL; SHOW airun.databases; SHOW airun.naptime"), qq(t\nfirst, "Second, too", empty, nowhere, closed\n1s),
	'W1: without preload the settings can be read');
is(sql('first', "LOAD '$library'; SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'airun'"), '0', 'and nothing runs');
is(sql('first', 'CALL airun_work(); SELECT rows FROM airun.worker_status WHERE step = \'fold\''), '100', 'airun_work() does');

#--- with preload ------------------------------------------------------------------------

sql($_, "$meter; DELETE FROM airun.worker_status") for 'first', 'Second, too';
$node->append_conf('postgresql.conf', "shared_preload_libraries = '$library'\n");
my $begin = -s $node->logfile;
$node->restart;
await('postgres', $launcher, 'the launcher is there');
await($_, "SELECT count(*) = 3 AND bool_and(last_ok IS NOT NULL AND failures = 0) FROM airun.worker_status WHERE step IN ('expire_tasks', 'expire_calls', 'fold')",
	"all is done in database $_") for 'first', 'Second, too';
is(sql($_, 'SELECT count(*) FROM airun.usage_tail'), '0', "all is folded in $_") for 'first', 'Second, too';

# W12, and W13 for the launcher
is(sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'launcher' AND backend_type ~ 'airun'
	AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL OR xact_start IS NOT NULL OR datname IS NOT NULL)"), '0',
	'W12: a launcher that sleeps holds no xmin, and is in no database');

#--- W3, W13: while it works ----------------------------------------------------------------

# Has a worker stay in a database, in the middle of a fold
sub hold
{
	my ($db) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	sql($db, "INSERT INTO hold VALUES ('fold'); $meter");
	await('postgres', qq(SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'airun worker' AND datname = '$db' AND query = 'airun: fold' AND application_name = 'airun worker'),
		"W13: a worker is in $db, and shows its step");
}

# Does something that wants the database alone, and says how long it took
my $slowest = 0;
sub alone
{
	my ($sql) = @_;
	my $begin = time();

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->psql('postgres', $sql), 0, "W3: $sql");
	my $took = time() - $begin;
	$slowest = $took if $took > $slowest;
	cmp_ok($took, '<', 5, "within the 5 s: $took");
}

hold('Second, too');
alone(q(CREATE DATABASE copy TEMPLATE "Second, too"));
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'Second, too' AND query = 'airun: fold'") or die 'it does not come back';
alone(q(ALTER DATABASE "Second, too" RENAME TO second));
# W11: another list
sql('postgres', q(ALTER SYSTEM SET airun.databases = 'second, empty, nowhere, closed'));
$node->reload;
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'second' AND query = 'airun: fold'"), 'W11: a database that is new in the list has its worker');
alone('DROP DATABASE second');
is(sql('copy', 'SELECT * FROM airun_check_usage()'), '', 'what was under way has not been');
# while it sleeps
alone('DROP DATABASE empty');

# W11 again, and W15: a worker is at it, and airun_work() returns at once, and the other way round
sql('postgres', q(ALTER SYSTEM SET airun.databases = 'first, nowhere, closed'));
$node->reload;
hold('first');
my ($out, $err) = ('', '');
$begin = time();
is($node->psql('first', 'CALL airun_work()', stderr => \$err), 0, 'W15: airun_work() beside the worker');
like($err, qr/NOTICE:  another session is at airun's upkeep in this database/, 'says so');
cmp_ok(time() - $begin, '<', 3, 'and waits for nothing');
# it is taken out of the list, and is left
sql('postgres', q(ALTER SYSTEM SET airun.databases = 'nowhere, closed'));
$node->reload;
await('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'airun worker'", 'W11: a worker leaves a database that is taken out');
my $session = $node->background_psql('first', on_error_stop => 0);
$session->query_until(qr/begun/, "\\echo begun\nCALL airun_work();\n");
await('first', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL airun_work%' AND wait_event = 'PgSleep'", 'airun_work() is at it');
my $started = sql('first', "SELECT last_started FROM airun.worker_status WHERE step = 'expire_tasks'");
sql('postgres', q(ALTER SYSTEM SET airun.databases = 'first, nowhere, closed'));
my $offset = -s $node->logfile;
$node->reload;
# long enough for a round
usleep(1_500_000);
is(sql('first', "SELECT last_started FROM airun.worker_status WHERE step = 'expire_tasks'"), $started, 'W15: the worker finds it at work, and does nothing');
is(sql('postgres', $workers), '', 'nor does it wait');
sql('first', 'DELETE FROM hold');
$session->quit;
is(sql('first', 'SELECT count(*) FROM airun.usage_ledger'), '300', 'each entry is folded once');
is(sql('first', 'SELECT * FROM airun_check_usage()'), '', 'and airun_check_usage() has no row');

#--- W9, W10: a step that fails, an owner that is renamed, another, and gone -----------------

sql('first', q(CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'not today'; END$$;
	CREATE TRIGGER fail BEFORE UPDATE ON airun.calls FOR EACH ROW EXECUTE FUNCTION fail();
	SELECT airun_start_call(timeout => '1 us');
	ALTER ROLE keeper RENAME TO caretaker));
sql('first', $meter);
await('first', "SELECT failures = 1 AND last_error = 'P0001: not today' FROM airun.worker_status WHERE step = 'expire_calls'", 'W9: a step that fails is noted');
await('first', 'SELECT count(*) = 0 FROM airun.usage_tail', 'and the others run; W10: in the name of an owner that has been renamed');
is(logged($offset, 'WARNING:  step "expire_calls" of airun\'s upkeep failed: not today'), 1, 'the log has it once');
sql('first', "DROP TRIGGER fail ON airun.calls; DELETE FROM airun.worker_status; CREATE ROLE heir; REASSIGN OWNED BY caretaker TO heir; $meter; SELECT airun_grant('heir')");
await('first', "SELECT bool_and(failures = 0 AND last_ok IS NOT NULL) AND count(*) >= 3 FROM airun.worker_status", 'W10: another owner');
is(sql('first', "SELECT status FROM airun.calls WHERE error_code = 'expired'"), 'error', 'the step is done, once it can be');

#--- W2: the extension is updated during a step, goes during one, and comes back ---------------

SKIP:
{
	skip 'needs the stage of test/run, to put a script into it', 4 if !$ENV{AIRUN_STAGE};
	my $scripts = `find '$ENV{AIRUN_STAGE}' -name airun.control` =~ s{/airun\.control\n\z}{}r;
	my $version = sql('first', "SELECT extversion FROM pg_extension WHERE extname = 'airun'");
	append_to_file("$scripts/airun--$version--other.sql", "DROP FUNCTION \@extschema\@.airun_expire_calls(bigint);\n");
	hold('first');
	is(sql('first', "ALTER EXTENSION airun UPDATE TO 'other'; SELECT extversion FROM pg_extension WHERE extname = 'airun'"), 'other', 'W2: it is updated during a step');
	unlink "$scripts/airun--$version--other.sql";
	sql('first', 'DELETE FROM hold; DELETE FROM airun.worker_status');
	await('first', 'SELECT count(*) = 0 FROM airun.usage_tail', 'which ends well');
	await('first', "SELECT count(*) >= 3 AND bool_and(step <> 'expire_calls' AND failures = 0) FROM airun.worker_status WHERE last_ok IS NOT NULL", 'and then there are the steps of the new version');
}

hold('first');
$session = $node->background_psql('first');
$session->query_until(qr/begun/, "\\echo begun\nDROP EXTENSION airun CASCADE;\n");
await('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'DROP EXTENSION%' AND wait_event_type = 'Lock'", 'W2: DROP EXTENSION waits for the piece that is under way');
sql('first', 'DELETE FROM hold');
$session->quit;
is(sql('first', "SELECT count(*) FROM pg_extension WHERE extname = 'airun'"), '0', 'the extension is gone');
$offset = -s $node->logfile;
usleep(1_200_000);
is(logged($offset, '(?:ERROR|FATAL|WARNING):.*'), 0, 'without one, a worker goes without a word');
sql('first', "CREATE EXTENSION airun; SELECT airun_grant('heir'); SET ROLE heir; SELECT airun_install(); $meter");
await('first', 'SELECT count(*) = 0 FROM airun.usage_tail', 'with the next one it goes on');

# W4, by now for a dozen rounds
my $log = slurp_file($node->logfile);
for ([ 'nowhere', 'there is no such database' ], [ 'closed', 'it accepts no connections' ])
{
	my ($db, $reason) = @$_;
	is(scalar(() = $log =~ /airun's worker does not come to database "$db": $reason/g), 1, "W4: of database $db the log says once that $reason");
}

#--- W7, W17: shutdown ---------------------------------------------------------------------

# A synchronous standby that is not there, on which no worker waits
$ENV{PGOPTIONS} = '-c synchronous_commit=local';
sql('postgres', q(ALTER SYSTEM SET synchronous_standby_names = 'gone'));
$node->reload;
sql('first', $meter);
await('first', 'SELECT count(*) = 0 FROM airun.usage_tail', 'W17: without a synchronous standby it works');
hold('first');
$begin = time();
$node->stop('fast');
cmp_ok(time() - $begin, '<', 10, 'W7, W17: a fast shutdown in the middle of a fold');

$node->start;
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'first' AND query = 'airun: fold'") or die 'it does not come';
$node->stop('immediate');
$node->start;
sql('first', 'DELETE FROM hold');
await('first', 'SELECT count(*) = 0 FROM airun.usage_tail', 'W7: after an immediate shutdown in the middle of a fold');
is(sql('first', 'SELECT * FROM airun_check_usage()'), '', 'airun_check_usage() has no row');
check_ok($node, 'after all this', 'first');

proven('seconds that DROP DATABASE took at most while the worker worked', sprintf('%.1f', $slowest));

#--- what waits for long ------------------------------------------------------------------

if (quick_or_long(0, 1))
{
	# W8: they are ended, and come back
	sql('postgres', q(ALTER SYSTEM RESET synchronous_standby_names));
	$node->reload;
	hold('first');
	is(sql('postgres', "SELECT bool_and(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'airun worker'"), 't', 'W8: a worker is ended');
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'first' AND query = 'airun: fold'") or die 'it does not come';
	is(sql('postgres', "SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE backend_type = 'airun launcher'"), 't', 'and the launcher');
	await('postgres', $launcher, 'it is back');

	# W16: a piece that takes longer than 30 s is cancelled, and counts as a failure
	await('first', "SELECT failures = 1 AND last_error = '57014: it took longer than 30000 ms' FROM airun.worker_status WHERE step = 'fold'", 'W16: a piece that takes too long is cancelled');
	sql('first', 'DELETE FROM hold; DELETE FROM airun.worker_status');
	await('first', 'SELECT count(*) = 0 FROM airun.usage_tail', 'and done, once it can be');

	# W6: on a standby there is none; once it is promoted there is
	$node->backup('backup');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($node, 'backup', has_streaming => 1);
	$standby->start;
	$node->wait_for_catchup($standby);
	sleep 7;
	is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'airun'"), '0', 'W6: none on a standby');
	$standby->promote;
	ok($standby->poll_query_until('postgres', $launcher), 'promoted, it has one');
	$standby->safe_psql('first', $meter);
	ok($standby->poll_query_until('first', 'SELECT count(*) = 0 FROM airun.usage_tail'), 'which works');
	$standby->stop;

	# W2: an older store
	$offset = -s $node->logfile;
	sql('first', "DROP TABLE airun.worker_status; $meter");
	usleep(1_200_000);
	is(logged($offset, '(?:ERROR|FATAL|WARNING):.*'), 0, 'with an older store, it goes without a word');
	sql('first', 'SET ROLE heir; SELECT airun_install()');
	await('first', 'SELECT count(*) = 0 FROM airun.usage_tail', 'until it is brought along');

	# W5: without a slot for a worker
	$node->append_conf('postgresql.conf', "max_worker_processes = 2\n");
	$node->stop;
	$offset = -s $node->logfile;
	$node->start;
	await('postgres', $launcher, 'the launcher is there');
	usleep(2_500_000);
	is(logged($offset, 'airun\'s worker does not come to database "first": all of max_worker_processes are taken'), 1, 'W5: without a slot the log says so, once');
	is(logged($offset, 'FATAL'), 0, 'and nothing dies of it');
	$node->append_conf('postgresql.conf', "max_worker_processes = 8\n");

	# W14: nothing starts in single-user mode, nor while pg_upgrade has the server
	$node->stop;
	($out, $err) = ('', '');
	IPC::Run::run([ $node->installed_command('postgres'), '--single', '-D', $node->data_dir, '-c', 'logging_collector=off', 'first' ],
		'<', \"SELECT 'still ' || count(*) FROM airun.usage_tail\n", '>', \$out, '2>', \$err, IPC::Run::timeout(60));
	like($out, qr/"still 0"/, 'W14: single-user mode works');
	unlike($err, qr/ERROR|FATAL/, 'without an error');

	IPC::Run::run([ $node->installed_command('pg_ctl'), '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', 'start' ], '>', '/dev/null');
	is(sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'airun'"), '0', 'W14: none in a binary upgrade');
	IPC::Run::run([ $node->installed_command('pg_ctl'), '-w', '-D', $node->data_dir, 'stop' ], '>', '/dev/null');
}

done_testing();
