# pg_dump and restore bring everything back: rows, totals, timestamps, and what a
# site has put on our tables, from a plain file, an archive, a directory in parallel,
# and data alone.  A role that row security binds dumps its own rows, or is refused,
# never a part without having asked for it.  DROP EXTENSION is refused while the store stands;
# with CASCADE it takes no row, and the extension comes back to its store.

use strict;
use warnings;

use AirunTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = airun_node('dump');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $run = numbered_id(1, 1);
my $task = numbered_id(2, 1);
my @users = ('10000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000002');

# What the site has of its own, beside the store
my $site = <<'SQL';
CREATE SCHEMA site;
CREATE TABLE site.team (id int PRIMARY KEY, name text);
INSERT INTO site.team VALUES (1, 'travel'), (2, 'finance');
CREATE TABLE site.audit (run_id uuid, seq bigint);
CREATE FUNCTION site.audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS
	'BEGIN INSERT INTO site.audit VALUES (NEW.run_id, NEW.seq); RETURN NULL; END';
GRANT USAGE ON SCHEMA site TO app;
SQL

# and on our tables
my $on_ours = <<'SQL';
ALTER TABLE airun.runs ADD COLUMN team_id int REFERENCES site.team;
ALTER TABLE airun.messages ADD COLUMN reviewed boolean NOT NULL DEFAULT false;
CREATE INDEX site_team ON airun.runs (team_id) WHERE team_id IS NOT NULL;
CREATE POLICY site_team ON airun.runs FOR SELECT USING (team_id = current_setting('site.team', true)::int);
CREATE TRIGGER site_audit AFTER INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION site.audit();
ALTER TABLE airun.tasks ADD CONSTRAINT site_no_free_lunch CHECK (provider <> 'free');
SQL

$node->safe_psql('postgres', "CREATE ROLE app; SELECT airun_grant('app');" . $site . $on_ours
	. 'CREATE TABLE site.ticket (no int PRIMARY KEY, run_id uuid REFERENCES airun.runs)');

# Runs of two users in every state, with history from before
$node->safe_psql('postgres', <<"SQL");
INSERT INTO airun.runs (user_id, source_type, name, created_at, tags)
SELECT '$users[0]', 'import', 'Run of ' || at, at, '{old,"two words"}'
FROM generate_series(timestamptz '2021-03-01 12:34:56.789Z', '2021-06-01', '7 d') AS at;
SELECT set_config('airun.user_id', '$users[0]', false);
SELECT airun_create_run('prompt', name => 'First', settings => '{"temperature": 0.1}', id => '$run');
SELECT airun_create_task('$run', '$task', provider => 'p', request_data => '{"a": [1, 2.50, null]}');
DO \$\$
DECLARE
	r uuid;
	t uuid;
	turn jsonb;
BEGIN
	FOR i IN 1 .. 60 LOOP
		PERFORM set_config('airun.user_id', CASE WHEN i % 3 = 0 THEN '$users[1]' ELSE '$users[0]' END, true);
		turn := airun_start_turn(run => jsonb_build_object('name', 'Run ' || i), model_id => 'm',
			messages => jsonb_build_array(
				jsonb_build_object('role', 'system', 'content', E'tab\\t, newline\\n, backslash \\\\, quote ", \\u20ac', 'id', 'm' || i),
				jsonb_build_object('role', 'user', 'content', repeat('Grüße ', i * 40), 'price', 1.10, 'nothing', null)));
		r := turn #>> '{run,id}';
		t := turn #>> '{task,task_id}';
		PERFORM airun_update_task(t, 'so far');
		CASE i % 5
			WHEN 0 THEN PERFORM airun_finish_turn(t, '{"role": "assistant", "content": "done"}', tokens_input => i, tokens_output => 2, cost => i * 0.0000125);
			WHEN 1 THEN PERFORM airun_fail_task(t, '{"code": 429}', tokens_input => i);
			WHEN 2 THEN PERFORM airun_cancel_task(t, cost => 0.5);
			WHEN 3 THEN PERFORM airun_complete_task(t, 'done', usage => '{"prompt_tokens": 3}', tokens_total => 7, time_to_first_token => 1.25);
			ELSE NULL;
		END CASE;
		CASE i % 7
			WHEN 0 THEN PERFORM airun_set_run_status(r, 'completed');
			WHEN 1 THEN PERFORM airun_delete_run(r);
			WHEN 2 THEN PERFORM airun_star_run(r);
			WHEN 3 THEN PERFORM airun_archive_run(r);
			ELSE NULL;
		END CASE;
	END LOOP;
END
\$\$;
SELECT count(*) FROM airun_append_messages('$run', (SELECT jsonb_agg(jsonb_build_object('role', 'user', 'content', string_agg))
	FROM (SELECT string_agg(md5(i || ' ' || j), '') FROM generate_series(1, 5) AS i, generate_series(1, 2000) AS j GROUP BY i) AS x));
UPDATE airun.runs SET team_id = 1 WHERE user_id = '$users[1]';
UPDATE airun.messages SET reviewed = true WHERE seq = 2;
INSERT INTO site.ticket SELECT row_number() OVER (ORDER BY id), id FROM airun.runs;
SQL
check_ok($node, 'before');

my @tables = (
	[ 'airun.runs', 'id' ],
	[ 'airun.messages', 'run_id, seq' ],
	[ 'airun.tasks', 'run_id, task_id' ],
	[ 'site.audit', 'run_id, seq' ],
	[ 'site.ticket', 'no' ],
	[ 'site.team', 'id' ]);

# All rows of the tables of a schema, in order
sub rows
{
	my ($db, $schema) = @_;

	return { map { $_->[0] => $node->safe_psql($db, "COPY (SELECT * FROM $_->[0] ORDER BY $_->[1]) TO STDOUT") }
		  grep { $_->[0] =~ /^$schema\b/ } @tables };
}

# The definition of a database, or of what the arguments choose of it
sub definition
{
	my ($db, @arguments) = @_;
	my ($out) = run_command([ $node->installed_command('pg_dump'), '--schema-only', @arguments, $node->connstr($db) ]);

	$out =~ s/^\\(un)?restrict .*\n//mg;
	die "no definition of $db" if $out !~ /CREATE TABLE airun.runs/;
	return $out;
}

sub dump_db
{
	my ($file, @arguments) = @_;
	command_ok_quietly('pg_dump', '-f', "$dir/$file", @arguments, $node->connstr('postgres'));
}

sub command_ok_quietly
{
	my ($program, @arguments) = @_;
	my ($out, $err) = run_command([ $node->installed_command($program), @arguments ]);
	is($err, '', "$program " . join(' ', map { s/^\Q$dir\E\///r } @arguments));
}

sub rows_are_equal
{
	my ($db, $schema, $expected) = @_;
	my $found = rows($db, $schema);

	for my $table (sort keys %$found)
	{
		my $lines = () = $expected->{$table} =~ /^/mg;
		ok($found->{$table} eq $expected->{$table}, "$db: $table is identical, $lines rows");
	}
}

# Everything works as it did: for the owner and for an API role, by functions and
# views, and the site's own things do as well
sub works
{
	my ($db) = @_;

	check_ok($node, "in $db", $db);
	is($node->safe_psql($db, <<"SQL"), "completed\n6\n7|active|15\n8\n8", "$db: functions and views work");
SET ROLE app;
SET airun.user_id = '$users[0]';
SELECT (airun_complete_task('$task', 'done', tokens_input => 10, tokens_output => 5)).status;
SELECT (airun_append_message('$run', '{"role": "user", "content": "still there?"}')).seq;
SELECT t -> 'messages' -> 0 ->> 'seq', t -> 'run' ->> 'status', t -> 'run' ->> 'total_tokens'
FROM airun_start_turn('$run', '{"role": "user", "content": "and now?"}') AS t;
INSERT INTO ai_messages (run_id, message) VALUES ('$run', '{"role": "user", "content": "yes"}') RETURNING seq;
SELECT jsonb_array_length(messages) FROM ai_runs WHERE id = '$run';
SQL
	is($node->safe_psql($db, <<"SQL"), "20\n0", "$db: row security holds, and the site's policy");
SET ROLE app;
SET airun.user_id = '10000000-0000-4000-8000-000000000009';
SET site.team = 1;
SELECT count(*) >= 17 AND bool_and(user_id = '$users[1]') FROM ai_runs \\g /dev/null
SELECT count(*) FROM airun.runs;
SET site.team = 2;
SELECT count(*) FROM airun.runs;
SQL
	is($node->safe_psql($db, "SELECT count(*) FROM site.audit WHERE run_id = '$run' AND seq > 5"), '3', "$db: the site's trigger fires");
	is($node->safe_psql($db, <<"SQL"), 'f|t|t|t', "$db: the site's column default, index, foreign key and check are there");
SELECT (SELECT bool_or(reviewed) FROM airun.messages WHERE run_id = '$run' AND seq > 5),
	to_regclass('airun.site_team') IS NOT NULL,
	EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'airun.runs'::regclass AND contype = 'f' AND confrelid = 'site.team'::regclass),
	EXISTS (SELECT FROM pg_constraint WHERE conname = 'site_no_free_lunch')
SQL
	is($node->safe_psql($db, 'SELECT airun_install()') =~ /nothing was changed/ ? 1 : 0, 1, "$db: airun_install() finds nothing to do");
	check_ok($node, "in $db after use", $db);
}

my %before = (%{ rows('postgres', 'airun') }, %{ rows('postgres', 'site') });
my $totals = $node->safe_psql('postgres', 'SELECT sum(message_count), sum(task_count), sum(total_tokens), sum(total_cost) FROM airun.runs');
note "runs, messages, tasks: " . join(', ', map { scalar(() = $before{"airun.$_"} =~ /^/mg) } qw(runs messages tasks)) . "; totals $totals";

#--- the whole database ----------------------------------------------------------

dump_db('plain.sql');
dump_db('custom.dump', '-Fc');
dump_db('directory', '-Fd', '-j2');
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(plain custom directory store data own);
command_ok_quietly('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/plain.sql", $node->connstr('plain'));
command_ok_quietly('pg_restore', '-j2', '-e', '-d', $node->connstr('custom'), "$dir/custom.dump");
command_ok_quietly('pg_restore', '-j2', '-e', '-d', $node->connstr('directory'), "$dir/directory");
my $definition = definition('postgres');
for my $db (qw(plain custom directory))
{
	rows_are_equal($db, $_, \%before) for qw(airun site);
	is($node->safe_psql($db, 'SELECT sum(message_count), sum(task_count), sum(total_tokens), sum(total_cost) FROM airun.runs'),
		$totals, "$db: totals are not doubled");
	ok(definition($db) eq $definition, "$db: everything is defined as it was");
	works($db);
}

#--- the store alone ---------------------------------------------------------------

dump_db('store.sql', '-n', 'airun');
$node->safe_psql('store', "CREATE EXTENSION airun; $site");
command_ok_quietly('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/store.sql", $node->connstr('store'));
like($node->safe_psql('store', 'SELECT airun_install()'), qr/view ai_runs/, 'store: airun_install() makes the views');
rows_are_equal('store', 'airun', \%before);
ok(definition('store', '-n', 'airun') eq definition('postgres', '-n', 'airun'), 'store: the schema is defined as it was');
works('store');

#--- data alone --------------------------------------------------------------------

$node->safe_psql('data', "CREATE EXTENSION airun; SELECT airun_install(); SELECT airun_grant('app'); $site");
$node->safe_psql('data', $on_ours . 'CREATE TABLE site.ticket (no int PRIMARY KEY, run_id uuid REFERENCES airun.runs); TRUNCATE site.team CASCADE');
check_ok($node, 'in an empty store, truncated', 'data');
my (undef, $warnings) = run_command([ $node->installed_command('pg_dump'), '--data-only', '-f', "$dir/data.sql", $node->connstr('postgres') ]);
my ($out, $err) = run_command([ $node->installed_command('psql'), '-XAtq1', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/data.sql", $node->connstr('data') ]);
like($err, qr/ERROR:.*HINT:.*--disable-triggers/s, '--data-only without --disable-triggers is refused, and the hint says what to do');
note $err =~ s/^psql:\S+ //mgr;
is($node->safe_psql('data', 'SELECT count(*) FROM airun.runs'), '0', 'and nothing is there');
run_command([ $node->installed_command('pg_dump'), '--data-only', '--disable-triggers', '-f', "$dir/data.sql", $node->connstr('postgres') ]);
command_ok_quietly('psql', '-XAtq1', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/data.sql", $node->connstr('data'));
rows_are_equal('data', $_, \%before) for qw(airun site);
works('data');

#--- a user's own rows -----------------------------------------------------------------

# What a role under row security dumps is what its user sees, whoever restores it
# the cubes of all users are for reporters, and budgets and upkeep for the owner
my @mine = ('--role=app', '-n', 'airun', '--inserts', map { ('-T', "airun.$_") }
	qw(usage_clock usage_daily usage_work usage_build budgets budget_periods budget_events retention worker_status));
my %own = map {
	my ($table, $order) = @$_;
	my $column = $table eq 'airun.runs' ? 'id' : 'run_id';
	$table =~ /^airun/
	  ? ($table => $node->safe_psql('postgres', "COPY (SELECT * FROM $table WHERE $column IN (SELECT id FROM airun.runs WHERE user_id = '$users[0]') ORDER BY $order) TO STDOUT"))
	  : ()
} @tables;
ok((!grep { $own{$_} eq '' || $own{$_} eq $before{$_} } keys %own), 'a user has a part of every table');
{
	local $ENV{PGOPTIONS} = "-c airun.user_id=$users[0]";
	(undef, $err) = run_command([ $node->installed_command('pg_dump'), '-f', "$dir/refused.sql", @mine, $node->connstr('postgres') ]);
	like($err, qr/query would be affected by row-level security policy/, 'a role under row security is told that it would dump a part');
	dump_db('own.sql', @mine, '--enable-row-security');
	dump_db('own_data.sql', @mine, '--enable-row-security', '--data-only');
	dump_db('own_data_off.sql', @mine, '--enable-row-security', '--data-only', '--disable-triggers');
}
$node->safe_psql('own', "CREATE EXTENSION airun; $site");
command_ok_quietly('psql', '-XAtq1', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/own.sql", $node->connstr('own'));
like($node->safe_psql('own', 'SELECT airun_install()'), qr/view ai_runs/, 'own: airun_install() makes the views');
rows_are_equal('own', 'airun', \%own);
owner_works();

# Data alone: not past the triggers, and by whoever may rest them
$node->safe_psql('own', 'TRUNCATE airun.runs, airun.messages, airun.tasks, airun.task_chunks, airun.prices, airun.price_book CASCADE');
(undef, $err) = run_command([ $node->installed_command('psql'), '-XAtq1', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/own_data.sql", $node->connstr('own') ]);
like($err, qr/ERROR:.*HINT:.*--disable-triggers/s, 'own: data alone without --disable-triggers is refused, and the hint says what to do');
is($node->safe_psql('own', 'SELECT count(*) FROM airun.runs'), '0', 'own: and nothing is there');
command_ok_quietly('psql', '-XAtq1', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/own_data_off.sql", $node->connstr('own'));
rows_are_equal('own', 'airun', \%own);
owner_works();

# The user goes on where the rows end, and nobody else has any
sub owner_works
{
	check_ok($node, 'in own', 'own');
	is($node->safe_psql('own', <<"SQL"), "6\n7\n0", 'own: the user goes on, and is alone');
BEGIN;
SET LOCAL ROLE app;
SET LOCAL airun.user_id = '$users[0]';
SELECT (airun_append_message('$run', '{"role": "user", "content": "still there?"}')).seq;
SELECT airun_start_turn('$run', '{"role": "user", "content": "and now?"}') #>> '{messages,0,seq}';
SET LOCAL airun.user_id = '$users[1]';
SELECT count(*) FROM ai_runs;
ROLLBACK;
SQL
}

#--- without the extension -----------------------------------------------------------

($out, $err) = ('', '');
is($node->psql('postgres', 'DROP EXTENSION airun', stderr => \$err), 3, 'DROP EXTENSION is refused');
like($err, qr/other objects depend on it/, 'because the store depends on it');
like($node->safe_psql('postgres', 'SELECT airun_install()'), qr/nothing was changed/, 'and nothing has happened');
check_ok($node, 'after that');

$node->psql('postgres', 'SET client_min_messages = warning; DROP EXTENSION airun CASCADE');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'airun'}), '0', 'with CASCADE it is gone');
rows_are_equal('postgres', $_, \%before) for qw(airun site);
is($node->safe_psql('postgres', q{SELECT bool_and(relrowsecurity) FROM pg_class WHERE oid IN ('airun.runs'::regclass, 'airun.messages'::regclass, 'airun.tasks'::regclass)}),
	't', 'row security stays on');
is($node->safe_psql('postgres', "SET ROLE app; SELECT (SELECT count(*) FROM airun.runs), (SELECT count(*) FROM airun.messages), (SELECT count(*) FROM airun.tasks)"),
	'0|0|0', 'and shows nothing to an API role meanwhile');
$node->safe_psql('postgres', 'CREATE EXTENSION airun');
like($node->safe_psql('postgres', 'SELECT airun_install()'), qr/trigger airun_guard of runs/, 'CREATE EXTENSION and airun_install() put back what went');
rows_are_equal('postgres', $_, \%before) for qw(airun site);
ok(definition('postgres') eq $definition, 'everything is defined as it was');
works('postgres');

proven('dumps restored and compared row by row', 7);

done_testing();
