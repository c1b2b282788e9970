# sqlsmith's random queries over everything that a database with airun has, as an
# API role: no backend ends, no internal error comes from airun, and
# airun_check() has no row.
#
# In the long run only, and only where sqlsmith is.  AIRUN_SQLSMITH_SECONDS says
# for how long (3600; it counts by the thousand, so that some 60 are the least);
# AIRUN_SEED=n gives the same queries.

use strict;
use warnings;

use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my ($sqlsmith) = grep { -x } map { "$_/sqlsmith" } split(/:/, $ENV{PATH}), '/usr/bin', '/usr/games';
plan skip_all => 'only in the long run (AIRUN_LONG)' if !$ENV{AIRUN_LONG};
plan skip_all => 'there is no sqlsmith' if !$sqlsmith;

my $seconds = $ENV{AIRUN_SQLSMITH_SECONDS} // 3600;
my $seed = $ENV{AIRUN_SEED} // (time ^ ($$ << 8)) & 0x7fffffff;
diag("AIRUN_SEED=$seed, $seconds s");

# Errors are logged with their place in the source and nothing else, no warnings and no
# statement: sqlsmith's are long, and most of them fail.  An hour of it is some 100 MB so.
my $node = airun_node('sqlsmith', conf => <<'END');
fsync = off
jit = off
log_statement = none
log_line_prefix = ''
log_min_messages = error
log_error_verbosity = verbose
log_min_error_statement = panic
statement_timeout = '5s'
airun.max_wait = '10ms'
restart_after_crash = on
END

# A store with something of everything in it, of two users
$node->safe_psql('postgres', <<'END');
CREATE ROLE api LOGIN;
SELECT airun_grant('api');
ALTER ROLE api SET request.jwt.claims = '{"sub": "joe"}';
SELECT airun_set_price('gpt-4o', '{"input": 0.000001, "output": 0.000002}');
DO $$
DECLARE
	run uuid;
	task uuid;
BEGIN
	FOR n IN 1 .. 60 LOOP
		PERFORM set_config('request.jwt.claims', CASE n % 3 WHEN 0 THEN '{"sub": "ann"}' ELSE '{"sub": "joe"}' END, false);
		run := (airun_create_run(name => 'run ' || n, tags => ARRAY['a', n::text])).id;
		FOR m IN 1 .. 5 LOOP
			task := airun_start_turn(run, jsonb_build_object('role', 'user', 'content', 'message ' || m), model_id => 'gpt-4o',
				request_data => '{"model": "gpt-4o", "messages": []}') #>> '{task,task_id}';
			PERFORM airun_update_task(task, 'an answer as far as it goes');
			CASE m
				WHEN 1 THEN PERFORM airun_fail_task(task, '{"code": "x"}');
				WHEN 2 THEN PERFORM airun_cancel_task(task);
				WHEN 3 THEN NULL;
				ELSE PERFORM airun_finish_turn(task, response_text => 'an answer', usage => '{"input_tokens": 3, "output_tokens": 4}');
			END CASE;
		END LOOP;
		IF n % 10 = 0 THEN
			PERFORM airun_delete_run(run);
		END IF;
	END LOOP;
END $$;
END

# sqlsmith ends when the time is over, or when the server is lost; then it goes
# on with the next seed.  Of what it writes only the counts matter.
my $end = time + $seconds;
my $queries = 0;
my $dir = PostgreSQL::Test::Utils::tempdir();
for (my $round = 0; time < $end; $round++)
{
	my $log = "$dir/sqlsmith.err";
	my $left = $end - time;

	IPC::Run::run(
		[
			'timeout', '--kill-after=10', $left, $sqlsmith, '--verbose', '--seed=' . ($seed + $round),
			'--target=' . $node->connstr('postgres') . ' user=api'
		],
		'<', '/dev/null', '>', '/dev/null', '2>', $log);
	my ($done) = slurp_file($log) =~ /.*^queries: (\d+)/ms;
	$queries += $done // 0;
	last if !defined $done && $round > 5;
}
cmp_ok($queries, '>', $seconds, "sqlsmith sent queries ($queries)");

# An error's second line says where it was raised
my ($message, $ended) = ('', '');
open(my $log, '<', $node->logfile) or die;
my %internal;
while (<$log>)
{
	$ended .= $_ if /PANIC|terminated by signal|server process .* exited/;
	$message = $1 if /ERROR:  (XX\w{3}: .*)/;
	next if !/LOCATION:  (\w+, (\w+)\.c):/;
	# files of PostgreSQL may have the names of ours, functions hardly
	$internal{"$message in $1"}++ if $message && grep({ -e } "src/$2.c", glob("src/*/$2.c"));
	$message = '';
}
is(join("\n", sort keys %internal), '', 'no internal error of airun');
is($ended, '', 'no backend has ended');
check_ok($node, 'after all that');
proven('sqlsmith queries', $queries);

done_testing();
