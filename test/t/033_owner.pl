# The owner of a database, who is no superuser, from the first day to the last:
# installs airun and grants it, is served with its users, dumps and restores,
# updates, and removes it.  Where a superuser restores in his own name, the functions
# stay the superuser's; two calls give them back.

use strict;
use warnings;

use AirunTest;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs the stage of test/run, to put versions into a copy of it' if !$ENV{AIRUN_STAGE};

my $dir = PostgreSQL::Test::Utils::tempdir();
my $user = '10000000-0000-4000-8000-000000000001';
my $run = numbered_id(1, 1);

#--- an older version -------------------------------------------------------------------

# It lacks a function, which the update brings, and with it what every update ends with
PostgreSQL::Test::RecursiveCopy::copypath($ENV{AIRUN_STAGE}, "$dir/stage");
my $scripts = `find '$dir/stage' -name airun.control`;
$scripts =~ s{/airun\.control\n\z}{} or die "no airun.control in the stage: $scripts";
my ($present) = slurp_file("$scripts/airun.control") =~ /^default_version = '(.*)'/m;
my $script = slurp_file("$scripts/airun--$present.sql");
my ($star) = $script =~ /^(CREATE FUNCTION \@extschema\@\.airun_toggle_star\b.*?^COMMENT ON FUNCTION \@extschema\@\.airun_toggle_star\b.*?';\n)/ms or die;
my ($acl) = $script =~ /^(DO \$acl\$.*^\$acl\$;\n)/ms or die;
append_to_file("$scripts/airun--0.0old.sql", $script =~ s/\Q$star\E//r);
append_to_file("$scripts/airun--0.0old--$present.sql", $star . $acl);

my $node = airun_node('owner', store => 0);
$node->append_conf('postgresql.conf', slurp_file($ENV{AIRUN_STAGE_CONF}) =~ s/\Q$ENV{AIRUN_STAGE}\E/$dir\/stage/gr);
$node->restart;
$node->safe_psql('postgres', 'CREATE ROLE dba LOGIN; CREATE ROLE app; CREATE ROLE app2');
$node->safe_psql('postgres', "CREATE DATABASE $_ OWNER dba") for qw(first second third fourth);

# Runs a program, as dba where nothing else is said; it must say nothing
sub quiet
{
	my ($program, @arguments) = @_;
	my (undef, $err) = run_command([ $node->installed_command($program), @arguments ]);
	is($err, '', "$program " . join(' ', map { s/^\Q$dir\E\///r } grep { !/host=/ } @arguments));
}

sub dba
{
	my ($db, $sql) = @_;
	return $node->safe_psql($db, $sql, extra_params => [ '-U', 'dba' ]);
}

sub dba_error
{
	my ($db, $sql) = @_;
	my ($code, $out, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$sql", extra_params => [ '-U', 'dba' ]);
	return $err =~ /ERROR:\s+(\w+): (.*)/ ? "$1 $2" : "no error: $out";
}

# What users do, by functions and views; returns what they are told
sub use_it
{
	my ($db) = @_;
	return $node->safe_psql($db, <<"SQL");
SET ROLE app;
SET airun.user_id = '$user';
SELECT airun_finish_turn(t, '{"role": "assistant", "content": "yes"}', usage => '{"prompt_tokens": 1, "completion_tokens": 1}') #>> '{task,cost}'
FROM (SELECT (airun_start_turn('$run', '{"role": "user", "content": "and now?"}', model_id => 'm') #>> '{task,task_id}')::uuid AS t OFFSET 0) AS x;
INSERT INTO ai_messages (run_id, message) VALUES ('$run', '{"role": "user", "content": "by view"}') RETURNING role;
INSERT INTO airun.tasks (run_id, status, tokens_total) VALUES ('$run', 'completed', 5) RETURNING status;
SELECT jsonb_array_length(messages) = message_count FROM ai_runs;
SET airun.user_id = 'somebody else';
SELECT count(*) FROM ai_runs;
SQL
}
my $used = "5\nuser\ncompleted\nt\n0";

sub rows
{
	my ($db) = @_;
	return dba($db, join ' UNION ALL ', map { "SELECT '$_', count(*), md5(string_agg(x::text, E'\\n' ORDER BY x::text)) FROM airun.$_ AS x" } qw(runs messages tasks task_chunks calls prices price_book));
}

# What extension and store are, who owns them, and who may what
sub definition
{
	my ($db) = @_;
	my ($out) = run_command([ $node->installed_command('pg_dump'), '--schema-only', '-U', 'dba', $node->connstr($db) ]);

	$out =~ s/^\\(un)?restrict .*\n//mg;
	return $out . dba($db, q(SELECT p.oid::regprocedure, p.proowner::regrole, a FROM pg_proc AS p, aclexplode(p.proacl) AS a
		WHERE p.proname LIKE 'airun\_%' ORDER BY p.oid::regprocedure::text COLLATE "C", a::text));
}

#--- the first day -------------------------------------------------------------------------

dba('first', "CREATE EXTENSION airun VERSION '0.0old'");
like(dba('first', 'SELECT airun_install()'), qr/^Made/, 'the owner of the database installs');
dba('first', "SELECT airun_grant('app'); SELECT airun_set_price('m', '{\"input\": 2, \"output\": 3}', effective_from => '-infinity')");
$node->safe_psql('first', "SET ROLE app; SET airun.user_id = '$user'; SELECT airun_create_run(id => '$run')");
is(use_it('first'), $used, 'users are served');
is(dba('first', 'SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = $$airun$$'), 'dba', 'the store is his');
check_ok($node, 'in first', 'first');
is(dba('first', 'SELECT * FROM airun_check()'), '', 'and for him');

#--- update ----------------------------------------------------------------------------------

like(dba_error('postgres', 'CREATE EXTENSION airun'), qr/^42501 permission denied to create extension/, 'in a database of somebody else he installs nothing');
dba('first', 'ALTER EXTENSION airun UPDATE');
is(dba('first', q(SELECT extversion FROM pg_extension WHERE extname = 'airun')), $present, 'he updates');
is(dba('first', q(SELECT count(*) FROM pg_proc WHERE proname LIKE 'airun\_%' AND NOT has_function_privilege(oid, 'EXECUTE WITH GRANT OPTION'))), '0',
	'and has what is new, to grant it on');
is(dba('first', q(SELECT has_function_privilege('app', 'airun_toggle_star(uuid)', 'EXECUTE'))), 'f', 'which nobody has as yet');
like(dba('first', 'SELECT airun_install()'), qr/grants to app/, 'airun_install() gives it to the roles that have the rest');
like(dba('first', 'SELECT airun_install()'), qr/nothing was changed/, 'once');
is($node->safe_psql('first', "SET ROLE app; SET airun.user_id = '$user'; SELECT is_starred FROM airun_toggle_star('$run')"), 't', 'it works');
is(use_it('first'), $used, 'as all else does');
dba('second', 'CREATE EXTENSION airun');
is(dba('second', q(SELECT string_agg(p.oid::regprocedure || ' ' || p.proacl::text, E'\n' ORDER BY p.oid::regprocedure::text) FROM pg_proc AS p WHERE p.prorettype = 'trigger'::regtype AND proname LIKE 'airun\_%')),
	dba('first', q(SELECT string_agg(p.oid::regprocedure || ' ' || p.proacl::text, E'\n' ORDER BY p.oid::regprocedure::text) FROM pg_proc AS p WHERE p.prorettype = 'trigger'::regtype AND proname LIKE 'airun\_%')),
	'an update leaves rights that are there alone');
dba('second', 'DROP EXTENSION airun');

#--- dump and restore -------------------------------------------------------------------------

my $before = rows('first');
quiet('pg_dump', '-U', 'dba', '-f', "$dir/first.sql", $node->connstr('first'));
quiet('psql', '-XAtq', '-U', 'dba', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/first.sql", $node->connstr('second'));
is(rows('second'), $before, 'what he has dumped he restores, row by row');
is(definition('second'), definition('first'), 'with everything defined, owned and granted as it was');
is(use_it('second'), $used, 'users are served there');
like(dba('second', 'SELECT airun_install()'), qr/nothing was changed/, 'airun_install() finds nothing to do');
is(dba('second', 'SELECT * FROM airun_check()'), '', 'nor does airun_check()');

# a superuser does the same in his name
quiet('pg_dump', '-U', 'dba', '-Fc', '-f', "$dir/first.dump", $node->connstr('first'));
quiet('pg_restore', '--role=dba', '-e', '-d', $node->connstr('third'), "$dir/first.dump");
is(rows('third'), $before, 'a superuser restores it with --role');
is(definition('third'), definition('first'), 'with everything defined, owned and granted as it was');
is(use_it('third'), $used, 'users are served there');

# Without, the extension is the superuser's, and the owner cannot grant its functions
my (undef, $err) = run_command([ $node->installed_command('pg_restore'), '-d', $node->connstr('fourth'), "$dir/first.dump" ]);
my @errors = $err =~ /ERROR:\s+(.*)/g;
is(scalar(grep { !/^permission denied for function airun_/ } @errors), 0, 'without, only the grants of functions fail') or note $err;
cmp_ok(scalar @errors, '>', 10, 'and they do');
is(rows('fourth'), $before, 'the rows are there');
is($node->safe_psql('fourth', q(SELECT problem, expected, found::int > 10 FROM airun_check())), 'functions that the owner of the store may not grant|0|t', 'and airun_check() tells');
like(dba_error('fourth', 'SELECT airun_install()'), qr/^42501 permission denied for function airun_install/, 'the owner can do nothing about it');
$node->safe_psql('fourth', q(SELECT airun_grant('dba')));
check_ok($node, 'once the superuser has given him the functions', 'fourth');
like(dba('fourth', 'SELECT airun_install()'), qr/grants to app/, 'and he his roles theirs');
is(use_it('fourth'), $used, 'users are served again');
dba('fourth', q(SELECT airun_grant('app2')));
is(dba('fourth', q(SELECT has_function_privilege('app2', oid, 'EXECUTE') FROM pg_proc WHERE proname = 'airun_create_run')), 't', 'and new ones');

#--- the last day -------------------------------------------------------------------------------

like(dba_error('first', 'DROP EXTENSION airun'), qr/^2BP01/, 'DROP EXTENSION is refused, since the store depends on it');
dba('first', 'SET client_min_messages = error; DROP EXTENSION airun CASCADE');
my $after = $node->safe_psql('first', 'SELECT count(*) FROM airun.messages');
cmp_ok($after, '>', 5, 'with CASCADE it is gone, and no row');
dba('first', 'CREATE EXTENSION airun; SELECT airun_install()');
is(use_it('first'), $used, 'it comes back, for its users, too');
check_ok($node, 'in first', 'first');
dba('first', 'SET client_min_messages = error; DROP EXTENSION airun CASCADE; DROP SCHEMA airun CASCADE');
is(dba('first', q(SELECT count(*) FROM pg_proc WHERE proname LIKE 'airun\_%')), '0', 'and nothing of it remains');

#--- an heir, who has all that was his predecessor's property, which grants are not ----------------

$node->safe_psql('fourth', 'CREATE ROLE heir LOGIN; REASSIGN OWNED BY dba TO heir');
like($node->safe_psql('fourth', 'SELECT problem FROM airun_check()'), qr/owner of the store may not grant/, 'an heir has the store, and not its functions');
$node->safe_psql('fourth', q(SELECT airun_grant('heir'); DROP OWNED BY dba CASCADE));
like($node->safe_psql('fourth', 'SELECT airun_install()', extra_params => [ '-U', 'heir' ]), qr/grants to app/, 'he gets them by airun_grant(), and gives them on');
is(use_it('fourth'), $used, 'users are served by him');
check_ok($node, 'then', 'fourth');

done_testing();
