# pg_upgrade takes a store along, from each server to the next and from the oldest
# to the newest at once: every row, every definition, the site's own things, and
# everything works afterwards.
#
# AIRUN_OLD_BINDIRS names the programs of the older servers (such as
# /usr/lib/postgresql/15/bin:/usr/lib/postgresql/17/bin); test/versions sets it.
# airun has to be installed in them, and in the server that is tested: pg_upgrade
# looks for the library there, and in no stage.

use strict;
use warnings;

use AirunTest;
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'AIRUN_OLD_BINDIRS names no older server to upgrade from' if !$ENV{AIRUN_OLD_BINDIRS};

my $dir = PostgreSQL::Test::Utils::tempdir();
my $run = numbered_id(1, 1);
my $task = numbered_id(2, 1);
my @users = ('10000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000002');

# The major version of a server, by its folder of programs or of all
sub major
{
	my ($bindir) = @_;
	my ($major) = `'$bindir/pg_config' --version` =~ /^PostgreSQL (\d+)/ or die "no server in $bindir";

	return $major;
}

# The servers, oldest first; the last is the one that is being tested
chomp(my $bindir = `pg_config --bindir`);
my @servers = sort { major($a) <=> major($b) } split(/:/, $ENV{AIRUN_OLD_BINDIRS});
push @servers, $bindir;
my @majors = map { major($_) } @servers;
note "from @majors[0 .. $#majors - 1] to $majors[-1]";

# A new node of one of them
my $made = 0;

sub node_of
{
	my ($server) = @_;
	my $last = $server eq $bindir;
	my $node = PostgreSQL::Test::Cluster->new('v' . major($server) . '_' . ++$made, $last ? () : (install_path => dirname($server)));

	$node->init(extra => [ '--data-checksums', '--locale=C.UTF-8', '--encoding=UTF8' ]);
	stage_node($node) if $last;
	return $node;
}

# The rows of every table, in order
sub rows
{
	my ($node) = @_;
	my @tables = split /\n/, $node->safe_psql('postgres', q(SELECT oid::regclass FROM pg_class WHERE relnamespace::regnamespace::text IN ('airun', 'site') AND relkind = 'r' ORDER BY 1));

	return { map { $_ => $node->safe_psql('postgres', "COPY (SELECT t::text FROM $_ AS t ORDER BY t::text COLLATE \"C\") TO STDOUT") } @tables };
}

# The definition of everything, as the newest pg_dump sees it, without the words of
# the views, which each server puts in its own way
sub definition
{
	my ($node) = @_;
	my ($out, $err) = run_command([ "$bindir/pg_dump", '--schema-only', $node->connstr('postgres') ]);

	die "no definition: $err" if $out !~ /CREATE TABLE airun.runs/;
	$out =~ s/^(CREATE VIEW \S+).*?;\n/$1\n/msg;
	return $out =~ s/^(?:\\(?:un)?restrict .*|-- Dumped .*)\n//mgr;
}

# The lines that one text has and the other has not
sub difference
{
	my %count;

	$count{$_}++ for split /\n/, $_[0];
	$count{$_}-- for split /\n/, $_[1];
	return join "\n", map { ($count{$_} > 0 ? 'NEW ' : 'LOST ') . $_ } grep { $count{$_} } sort keys %count;
}

# Takes what the old node, which is stopped, has to a new one, and starts that
sub upgrade
{
	my ($old, $server, @options) = @_;
	my $new = node_of($server);
	my $here = PostgreSQL::Test::Utils::tempdir();
	my $from = $old->config_data('--bindir');
	my ($out, $err) = ('', '');

	my $ok = IPC::Run::run(
		[
			"$server/pg_upgrade", '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir,
			'-b', $from, '-B', $server, '-s', $old->host, '-p', $old->port, '-P', $new->port, @options
		],
		'<', \undef, '>', \$out, '2>', \$err, init => sub { chdir $here }, IPC::Run::timeout(300));
	ok($ok, 'pg_upgrade from ' . major($from) . ' to ' . major($server) . " @options") or diag $out, $err;
	diag join "\n", map { slurp_file($_) } glob $new->data_dir . '/pg_upgrade_output.d/*/*.txt' if !$ok;
	die 'nothing to go on with' if !$ok;
	$new->start;
	return $new;
}

# On the upgraded server everything is there, and works
sub holds
{
	my ($node, $rows, $definition) = @_;
	my $version = $node->safe_psql('postgres', 'SHOW server_version_num') / 10000 | 0;
	my $found = rows($node);

	is(join(' ', sort keys %$found), join(' ', sort keys %$rows), "$version: the tables are there");
	for my $table (sort keys %$rows)
	{
		my $lines = () = $rows->{$table} =~ /^/mg;
		ok($found->{$table} eq $rows->{$table}, "$version: $table is identical, $lines rows");
	}
	is(difference(definition($node), $definition), '', "$version: everything is defined as it was");
	check_ok($node, "on $version");
	$node->safe_psql('postgres', 'SET client_min_messages = error; ALTER EXTENSION airun UPDATE; SELECT airun_install()');
	like($node->safe_psql('postgres', 'SELECT airun_install()'), qr/nothing was changed/, "$version: airun_install() finds nothing to do");

	is($node->safe_psql('postgres', <<"SQL"), "completed\n0.013\nt\nt\n1\n0", "$version: functions, views, row security and the site's trigger work");
SET ROLE app;
SET airun.user_id = '$users[0]';
SELECT airun_start_turn('$run', '{"role": "user", "content": "and on $version?"}', model_id => 'm') #>> '{task,task_id}' AS task \\gset
SELECT FROM airun_stream_delta(:'task', 'yes') \\g /dev/null
SELECT airun_finish_turn(:'task', '{"role": "assistant", "content": "yes"}', usage => '{"prompt_tokens": 5, "completion_tokens": 1}') AS ended \\gset
SELECT :'ended'::json #>> '{task,status}';
SELECT :'ended'::json #>> '{task,cost}';
SELECT jsonb_array_length(messages) = message_count FROM ai_runs WHERE id = '$run';
SELECT response_text LIKE 'as far as it has come%' FROM ai_tasks WHERE task_id = '$task';
SELECT status = 'streaming' AND response_length > 20 FROM airun_stream_delta('$task', ', and on') \\g /dev/null
SET airun.user_id = '$users[1]';
SELECT count(DISTINCT user_id) FROM ai_runs;
RESET ROLE;
SELECT count(*) FROM airun.messages AS m WHERE NOT EXISTS (SELECT FROM site.audit AS a WHERE a.run_id = m.run_id AND a.seq = m.seq);
SQL
	check_ok($node, "on $version after use");
}

#--- the oldest server, with what a site has there ------------------------------------------

my $oldest = node_of($servers[0]);
$oldest->start;
$oldest->safe_psql('postgres', <<"SQL");
CREATE EXTENSION airun;
SELECT airun_install();
CREATE ROLE app;
SELECT airun_grant('app');
CREATE SCHEMA site;
CREATE TABLE site.team (id int PRIMARY KEY);
INSERT INTO site.team VALUES (1), (2);
CREATE TABLE site.audit (run_id uuid, seq bigint);
CREATE FUNCTION site.audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS
	'BEGIN INSERT INTO site.audit VALUES (NEW.run_id, NEW.seq); RETURN NULL; END';
ALTER TABLE airun.runs ADD COLUMN team_id int REFERENCES site.team;
CREATE INDEX site_team ON airun.runs (team_id) WHERE team_id IS NOT NULL;
CREATE POLICY site_team ON airun.runs FOR SELECT USING (team_id = current_setting('site.team', true)::int);
CREATE TRIGGER site_audit AFTER INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION site.audit();
ALTER TABLE airun.tasks ADD CONSTRAINT site_no_free_lunch CHECK (provider <> 'free');
CREATE TABLE site.ticket (no int PRIMARY KEY, run_id uuid REFERENCES airun.runs);
SELECT airun_set_price('m', '{"input": 0.002, "output": 0.003}', effective_from => '-infinity');
SET airun.user_id = '$users[0]';
SELECT airun_create_run('prompt', name => 'First', id => '$run');
SELECT airun_create_task('$run', '$task', model_id => 'm', request_data => '{"a": [1, 2.50, null]}');
SELECT airun_update_task('$task', 'as far as it has come');
DO \$\$
DECLARE
	turn jsonb;
	t uuid;
BEGIN
	FOR i IN 1 .. 60 LOOP
		PERFORM set_config('airun.user_id', CASE WHEN i % 3 = 0 THEN '$users[1]' ELSE '$users[0]' END, true);
		turn := airun_start_turn(run => jsonb_build_object('name', 'Run ' || i), model_id => 'm',
			messages => jsonb_build_array(
				jsonb_build_object('role', 'system', 'content', E'tab\\t, newline\\n, backslash \\\\, quote "', 'id', 'm' || i),
				jsonb_build_object('role', 'user', 'content', repeat('Grüße ', i * 100))));
		t := turn #>> '{task,task_id}';
		CASE i % 4
			WHEN 0 THEN PERFORM airun_finish_turn(t, '{"role": "assistant", "content": "done"}', usage => '{"prompt_tokens": 7, "completion_tokens": 5}');
			WHEN 1 THEN PERFORM airun_fail_task(t, '{"code": 429}', tokens_input => i);
			WHEN 2 THEN PERFORM airun_stream_delta(t, repeat('piece ', i));
			ELSE NULL;
		END CASE;
		IF i % 7 = 0 THEN
			PERFORM airun_delete_run((turn #>> '{run,id}')::uuid);
		END IF;
	END LOOP;
END
\$\$;
UPDATE airun.runs SET team_id = 1 WHERE user_id = '$users[1]';
INSERT INTO site.ticket SELECT row_number() OVER (ORDER BY id), id FROM airun.runs;
SQL
check_ok($oldest, "on $majors[0]");
my $rows = rows($oldest);
my $definition = definition($oldest);
$oldest->stop;

#--- step by step, and at once ------------------------------------------------------------------

my $upgrades = 0;
my ($node, $there, $defined) = ($oldest, $rows, $definition);
for my $server (@servers[1 .. $#servers])
{
	$node = upgrade($node, $server);
	$upgrades++;
	holds($node, $there, $defined);
	($there, $defined) = (rows($node), definition($node));
	$node->stop;
}
if (@servers > 2)
{
	$node = upgrade($oldest, $servers[-1], '--link');
	$upgrades++;
	holds($node, $rows, $definition);
	$node->stop;
}

proven('pg_upgrade runs', $upgrades);
note "versions: @majors";

done_testing();
