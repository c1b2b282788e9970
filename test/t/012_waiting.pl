# Readers of a stream who wait: no more than airun.max_waiting of a server at a time,
# in whichever database, and each place is given back, by an answer, a cancel and a
# lost connection alike.  What is written reaches those who wait.  airun_install()
# notifies PostgREST.

use strict;
use warnings;

use AirunTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = airun_node('waiting', conf => "airun.max_waiting = 3\n");
my $task = '0d000000-0000-4000-9000-000000000001';
my $place = "locktype = 'advisory' AND database = 0";

sub sql { return $node->safe_psql($_[1] // 'postgres', "SET airun.user_id = 'reader'; $_[0]"); }

sub taken { return sql("SELECT count(*) FROM pg_locks WHERE $place"); }

$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION airun; SELECT airun_install()');
sql("SELECT FROM airun_create_task((airun_create_run()).id, '$task')", $_) for 'postgres', 'other';

# Begins to read, and waits for up to 20 s
sub reader
{
	my ($database) = @_;
	my $session = $node->background_psql($database, on_error_stop => 0);

	ask($session, "SET airun.user_id = 'reader'");
	$session->query_until(qr/begins/, "\\echo begins\nSELECT 'got ' || text || ' of ' || position FROM airun_stream_read('$task', max_wait => '20 s');\n\\echo ends\n");
	return $session;
}

# What a reader got
sub got
{
	my ($session) = @_;
	my $out = $session->query_until(qr/ends/, "\n");

	return $out =~ /(got .*)/ ? $1 : $out . $session->{stderr};
}

my @waiting = map { reader($_) } 'postgres', 'postgres', 'other';
ok($node->poll_query_until('postgres', "SELECT count(*) = 3 FROM pg_locks WHERE $place"), 'three readers wait, in two databases');

for my $database ('postgres', 'other')
{
	my $start = time;

	is(sql("SELECT status FROM airun_stream_read('$task', max_wait => '20 s')", $database), 'pending', "a fourth one is answered, in $database");
	cmp_ok(time - $start, '<', 5, 'and at once');
}
is(taken(), 3, 'it has taken no place');

sql("SELECT FROM airun_stream_delta('$task', 'news')");
is(got($waiting[$_]), 'got news of 4', "reader $_ gets what was written") for 0, 1;
is(taken(), 1, 'they have given their places back, the other database waits');

# a cancel and a lost connection
my $pid = sql("SELECT pid FROM pg_locks WHERE $place");
sql("SELECT pg_cancel_backend($pid)");
like(got($waiting[2]), qr/canceling statement/, 'a reader is cancelled');
is(taken(), 0, 'its place is free');
my $lost = reader('other');
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE $place") or die 'no reader';
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE $place");
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_locks WHERE $place"), 'that of a connection that is lost, too');
eval { $lost->quit };

# an error that is caught within the transaction gives it back, too
is(sql(<<"END"), 0, 'a place is given back with the subtransaction');
SET statement_timeout = '10s';
DO \$\$BEGIN
	PERFORM airun_stream_read('$task', 4, max_wait => '100 ms');
	RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN NULL;
END\$\$;
SELECT count(*) FROM pg_locks WHERE $place;
END

# a role may be allowed to wait longer in line, or not at all
$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; SELECT airun_grant(\'app\'); ALTER ROLE app SET airun.max_waiting = 0');
my $start = time;
$node->safe_psql('postgres', "SET airun.user_id = 'reader'; SELECT airun_stream_read('$task', 4, max_wait => '20 s')", extra_params => [ '-U', 'app' ]);
cmp_ok(time - $start, '<', 5, 'a role without a place is answered at once');

# PostgREST is told to read the schema again, also where nothing was to do
my $listener = $node->background_psql('postgres');
ask($listener, 'LISTEN pgrst');
$node->safe_psql('postgres', 'SELECT airun_install()');
like($listener->query('SELECT 1'), qr/"pgrst" with payload "reload schema"/, 'airun_install() notifies PostgREST');
$listener->quit;

$_->quit for @waiting;
check_ok($node);
done_testing();
