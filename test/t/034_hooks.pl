# What extensions hang on the executor is asked about every row that airun writes:
# a hook that denies writes, by itself or by a policy, denies all of them, pgaudit's auditing of objects sees
# all of them, and a planner that needs the arguments gets them where the tables are
# not as airun_install() made them.  All of this with rows written directly as far as
# that is allowed, and by statements.
#
# The hooks are test/modules/deny_writes and deny_by_policy, which are built here.
# pgaudit is the server's own where it has one; else Debian's package is unpacked into a
# private folder, and where there is none, that part is skipped.

use strict;
use warnings;

use AirunTest;
use File::Copy;
use PostgreSQL::Test::Utils;
use Test::More;

my $run = numbered_id(1, 1);
my $said = q('{"role": "user", "content": "said"}');

# Each function that writes, on a run and on a task of it
sub writes
{
	my ($task) = @_;

	return (
		"airun_create_run()",
		"airun_append_message('$run', $said)",
		"airun_append_message('$run', $said, 'an id')",
		"airun_append_messages('$run', jsonb_build_array(${said}::jsonb))",
		"airun_create_task('$run')",
		"airun_stream_delta('$task', 'piece')",
		"airun_stream_delta('$task', ' another')",
		"airun_update_task('$task', 'the whole')",
		"airun_update_task('$task', response_data => '{}')",
		"airun_heartbeat_task('$task')",
		"airun_start_turn('$run', $said)",
		"airun_finish_turn('$task', $said)",
		"airun_complete_task('$task')",
		"airun_fail_task('$task')",
		"airun_cancel_task('$task')");
}

my $node = airun_node('hooks', conf => "log_statement = none\n");
$node->safe_psql('postgres', <<"END");
CREATE ROLE app;
SELECT airun_grant('app');
SET airun.user_id = 'joe';
SET ROLE app;
SELECT airun_create_run(id => '$run', name => 'a run');
END

my $tasks = 0;

sub new_task
{
	my $task = numbered_id(2, ++$tasks);

	$node->safe_psql('postgres', "SET airun.user_id = 'joe'; SET ROLE app; SELECT airun_create_task('$run', '$task')");
	return $task;
}

# Runs commands in one session as the API role, each for itself, behind what a
# superuser prepares.  Returns the SQLSTATEs and what was told.
sub as_app
{
	my ($prepare, @commands) = @_;
	my ($out, $told) = ('', '');

	$node->psql('postgres', join("\n", '\set VERBOSITY verbose', $prepare, "SET airun.user_id = 'joe';", 'SET ROLE app;', map { "$_;" } @commands),
		stdout => \$out, stderr => \$told, on_error_stop => 0);
	my @states = $told =~ /ERROR:  (\w{5}):/g;
	return (\@states, $told);
}

# A digest of the store
sub store
{
	return $node->safe_psql('postgres', "SELECT md5(string_agg(x, '' ORDER BY x)) FROM (" .
		join(' UNION ALL ', map { "SELECT '$_' || t::text FROM airun.$_ AS t" } qw(runs messages tasks task_chunks)) . ') AS s (x)');
}

#--- a hook that denies --------------------------------------------------------------

my $bindir = $node->config_data('--bindir');

# Builds a module of test/modules; returns its library
sub module
{
	my ($name) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();

	copy("test/modules/$name/$_", $dir) or die "$_: $!" for 'Makefile', "$name.c";
	is(system("make -s -C $dir PG_CONFIG=$bindir/pg_config >$dir/make.log 2>&1"), 0, "the module $name is built")
	  or diag(slurp_file("$dir/make.log"));
	# into the stage, if there is one
	my $stage = $ENV{AIRUN_STAGE} ? $ENV{AIRUN_STAGE} . $node->config_data('--pkglibdir') : $dir;
	copy("$dir/$name.so", $stage) or die $! if $stage ne $dir;
	return "$stage/$name.so";
}

my $module = module('deny_writes');
my $policies = module('deny_by_policy');

for my $way ('on', 'off')
{
	my @calls = writes(new_task());
	my $before = store();
	my ($states) = as_app("LOAD '$module'; SET airun.direct_writes = $way;", map { "DO \$\$BEGIN PERFORM $_; END\$\$" } @calls);

	is("@$states", join(' ', ('42501') x @calls), "denied, each call, with airun.direct_writes $way");
	($states) = as_app("LOAD '$module'; SET airun.direct_writes = $way;",
		"INSERT INTO airun.messages (run_id, message) VALUES ('$run', $said)", "INSERT INTO ai_messages (run_id, message) VALUES ('$run', $said)",
		"UPDATE ai_runs SET name = 'x' WHERE id = '$run'");
	is("@$states", '42501 42501 42501', "as statements are, with airun.direct_writes $way");
	is(store(), $before, "and nothing was written, with airun.direct_writes $way");
	($states) = as_app("LOAD '$module'; SET airun.direct_writes = $way;", "SELECT airun_messages('$run')", "SELECT count(*) FROM ai_tasks");
	is("@$states", '', "reading is not denied, with airun.direct_writes $way");

	# a policy hides rows from an update, and refuses new ones
	($states) = as_app("LOAD '$policies'; SET airun.direct_writes = $way;", map { "DO \$\$BEGIN PERFORM $_; END\$\$" } @calls);
	is(join(' ', map { /^(42501|PT404)$/ ? 'denied' : $_ } @$states), join(' ', ('denied') x @calls), "denied by a policy, each call, with airun.direct_writes $way");
	is(store(), $before, "and nothing was written then, with airun.direct_writes $way");
}
# what goes straight to the tables before the hook is there does not go on
{
	my ($states) = as_app('', "SELECT airun_append_message('$run', $said)", 'RESET ROLE', "LOAD '$module'", 'SET ROLE app', "SELECT airun_append_message('$run', $said)");
	is("@$states", '42501', 'denied as soon as the hook is there');
	($states) = as_app('', "SELECT airun_append_message('$run', $said)");
	is("@$states", '', 'and not where it is not');
}

#--- which plans are asked for ---------------------------------------------------------

SKIP:
{
	skip('there is no auto_explain', 4) if !-e $node->config_data('--pkglibdir') . '/auto_explain.so';
	my $explain = <<"END";
LOAD 'auto_explain';
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_level = notice;
SET airun.direct_writes = off;
END
	# The conditions of a generic plan name its parameters.  Each call has a session of
	# its own: what is executed often, the server may come to plan so by itself.
	my $generic = sub {
		my $told = join('', map { (as_app($explain, "DO \$\$BEGIN PERFORM $_; END\$\$"))[1] } writes(new_task()));
		my @plans = grep { /Query Text: .*airun\./ && /(Cond|Filter): / } split /duration: /, $told;
		return (scalar(@plans), scalar(grep { /(Cond|Filter): .*\$[1-9]/ } @plans));
	};
	my ($plans, $found) = $generic->();
	cmp_ok($plans, '>', 20, "plans were told ($plans)");
	cmp_ok($found, '>', $plans / 2, "one plan for all arguments where the store is exactly ours ($found)");
	$node->safe_psql('postgres', <<'END');
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
CREATE TRIGGER kept_elsewhere AFTER TRUNCATE ON airun.messages EXECUTE FUNCTION nothing();
UPDATE pg_trigger SET tgisinternal = true WHERE tgname = 'kept_elsewhere';
END
	($plans, $found) = $generic->();
	cmp_ok($plans, '>', 20, "plans were told ($plans)");
	is($found, 0, 'and made for the arguments where a table is not');
	$node->safe_psql('postgres', <<'END');
UPDATE pg_trigger SET tgisinternal = false WHERE tgname = 'kept_elsewhere';
DROP FUNCTION nothing() CASCADE;
END
}

#--- pgaudit's auditing of objects -------------------------------------------------------

SKIP:
{
	my $pgaudit = debian_library($node, 'pgaudit');
	skip('there is no pgaudit', 2) if !$pgaudit;
	$node->append_conf('postgresql.conf', <<"END");
shared_preload_libraries = '$pgaudit'
pgaudit.role = 'auditor'
END
	$node->safe_psql('postgres', 'CREATE ROLE auditor; GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA airun TO auditor');
	$node->restart;
	for my $way ('on', 'off')
	{
		my $task = new_task();
		my $start = -s $node->logfile;
		my ($states) = as_app("SET airun.direct_writes = $way;", "SELECT airun_append_message('$run', $said)",
			"SELECT airun_create_task('$run')", "SELECT airun_stream_delta('$task', 'piece')", "SELECT airun_complete_task('$task')");
		my $log = slurp_file($node->logfile, $start);
		my %seen;
		$seen{"$1 $2"} = 1 while $log =~ /AUDIT: OBJECT,\d+,\d+,WRITE,(INSERT|UPDATE|DELETE),TABLE,airun\.(\w+),/g;
		is(join(', ', @$states, sort keys %seen),
			'DELETE task_chunks, INSERT messages, INSERT task_chunks, INSERT tasks, INSERT usage_tail, UPDATE runs, UPDATE tasks',
			"pgaudit sees what is written, with airun.direct_writes $way");
	}
}

check_ok($node, 'after all that');

done_testing();
