# The regression tests through a proxy: what clients call gives the same there as on a
# store, line by line, but for what is stated below.
#
# A proxy has functions alone.  For what the tests look up in tables and views, the
# proxy's database has views of these names, which ask the shard as who is calling.

use strict;
use warnings;

use AirunShards;
use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $shards = AirunShards->new('through', shards => 2, one_server => 1, filled => 1);
plan(skip_all => 'there is no PL/Proxy') if !$shards;
my $proxy = $shards->{proxy};

#--- what differs -----------------------------------------------------------------------

# Left out on both sides: from where a line begins so to the end of the next line that
# begins so, or of that line; and why.
my $tables = 'a proxy has no tables and views: what this test has for them is a stand-in';
my $together = 'calls of one transaction are not undone together';
my $roles = "a role's rights on the shards are not dropped with it";
my $settings = "settings other than who is calling are the shard's own";
my $snapshot = 'each call has a snapshot of its own';
my $policies = "policies that share runs are a shard's own";
my $server = 'this is told in other words, with the same SQLSTATE';
my @left_out = (
	[ 'turn', 'BEGIN;', 'ROLLBACK;', $together ],
	[ 'turn', '-- a failure behind it, in the same transaction', 'END$$', $together ],
	[ 'turn', 'DROP OWNED BY regress_airun_turn', 'DROP ROLE', $roles ],
	[ 'stream', '-- a text that no message could hold', "SELECT hint_of('SELECT airun_update_task(task_id(3), repeat", 'a quarter of a gigabyte takes its time' ],
	[ 'stream', 'SELECT xmin AS version', undef, $tables ],
	[ 'stream', 'SELECT xmin = :version', undef, $tables ],
	[ 'stream', "SELECT changed_by(10, left(long_text(), n - 1) || '#')", "SELECT changed_by(10, long_text() || '#')", $together ],
	[ 'stream', "SELECT changed_by_piece(10, substr(long_text(), at + 1, len) || '#', at)", 'FROM generate_series(0, 137, 3)', $together ],
	[ 'stream', "SELECT changed_by_piece(10, substr(long_text(), at + 1) || 'ß#', at)", undef, $together ],
	[ 'stream', "SET airun.max_wait = '150ms'", 'SHOW airun.max_wait', $settings ],
	[ 'stream', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'ROLLBACK', $snapshot ],
	[ 'stream', 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY', 'ROLLBACK', $snapshot ],
	[ 'stream', "BEGIN;\nSELECT count(airun_stream_read(task_id(5)))", 'COMMIT;', 'locks and transactions are those of the shard' ],
	[ 'stream', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'ROLLBACK', $together ],
	[ 'stream', "BEGIN;\nSELECT airun_restore_run", 'ROLLBACK', $together ],
	[ 'stream', "BEGIN;\nTRUNCATE airun.tasks", 'ROLLBACK', $tables ],
	[ 'stream', "BEGIN;\nTRUNCATE airun.runs", 'ROLLBACK', $tables ],
	[ 'stream', '-- a savepoint takes back', "SELECT count(airun_stream_delta(task_id(78), ' more'", $together ],
	[ 'stream', '-- thousands of tasks in one transaction', 'ROLLBACK', $together ],
	[ 'stream', '-- one that is there is not touched', "INSERT INTO airun.tasks (run_id, task_id, response_text) VALUES (run_id(9), task_id(84)", $tables ],
	[ 'stream', "SELECT attempt('UPDATE airun.tasks SET generation = 0", undef, $tables ],
	[ 'stream', "SELECT attempt('UPDATE ai_tasks SET response_text = ''x'' WHERE task_id = task_id(90)'), attempt('INSERT", undef, $tables ],
	[ 'stream', "SELECT c, attempt(c) FROM unnest(ARRAY['INSERT INTO airun.task_chunks", "\t'UPDATE airun.task_chunks", $tables ],
	[ 'stream', '-- somebody whom', 'DROP POLICY', $policies ],
	[ 'stream', '-- for all: then', 'DROP POLICY', $policies ],
	[ 'stream', "BEGIN;\nDELETE FROM airun.messages", 'ROLLBACK', $together ],
	[ 'stream', "BEGIN;\nTRUNCATE airun.messages;", 'ROLLBACK', $tables ],
	[ 'stream', "BEGIN;\nTRUNCATE airun.messages, airun.tasks", 'ROLLBACK', $tables ],
	[ 'stream', 'SELECT c, damage(c)', "\t'ALTER TABLE airun.task_chunks", $tables ],
	[ 'stream', 'DROP OWNED BY', 'DROP ROLE', $roles ],
	[ 'budget', 'SET airun.budget_enforce', 'RESET', $settings ],
	[ 'budget', "BEGIN;\nSELECT begin_task(16)", "SELECT stand('all'), end_task(16", $together ],
	[ 'budget', "BEGIN; SELECT airun_set_budget('money'", undef, $together ],
	[ 'budget', 'SET airun.max_hold_output', 'RESET', $settings ],
	[ 'budget', "SELECT c, attempt(c) FROM unnest(ARRAY['SELECT airun_set_budget(''few'', 1)'", "\t'SELECT FROM", $server ],
	[ 'budget', "BEGIN;\nUPDATE airun.budget_periods", "SELECT stand('few');\nROLLBACK;", $together ],
	[ 'budget', 'DELETE FROM airun.usage_tail', 'DELETE FROM airun.prices', $tables ],
	[ 'budget', 'DROP OWNED BY', 'DROP ROLE', $roles ],
	[ 'postgrest', "CALL pgrst.get('alice', 'airun_sketch_quantile'", undef, 'what is for reports over views a proxy lacks' ],
	[ 'postgrest', "CALL pgrst.get('alice', 'airun_toggle_star'", undef, $server ],
	[ 'postgrest', "CALL pgrst.get('alice', 'airun_create_run', NULL", undef, $server ],
	[ 'postgrest', 'SELECT proname FROM shown', 'SELECT proname, count(*) FROM pg_proc', 'the extension is in the database, too' ],
	[ 'postgrest', "CALL pgrst.request('alice', 'insert into ai_tasks (run_id)", undef, $tables ],
	[ 'postgrest', '-- upsert', "CALL pgrst.request('bob', 'insert into \"public\".\"ai_runs\" (\"id\", \"name\") values (\$1, \$2) on conflict (\"id\") do nothing", $tables ],
	[ 'postgrest', '-- relationships', "EXPLAIN (COSTS OFF) UPDATE", $tables ],
	[ 'postgrest', 'DROP OWNED BY', 'DROP ROLE', $roles ],
);

# Written otherwise on both sides: test, what, instead, and the reason.
my $views = 'the views of this test have no primary key';
my @instead = (
	[ 'budget', 'generate_series(1, 1000)', 'generate_series(1, 20)', 'a thousand refusals take their time, and the proxy has no part in it' ],
	[ 'stream', 'part ai_stream_part', 'part record', "the types of a proxy are in the extension's schema" ],
	[ 'turn', 'GROUP BY r.id', 'GROUP BY r.id, r.status', $views ],
	[ 'postgrest', 'WHERE p.proname = post.name', "WHERE p.proname = post.name AND p.pronamespace = 'public'::regnamespace", 'the extension is in the database, too' ],
);

# The lines of a test, without what is left out
sub lines_of
{
	my ($test) = @_;
	my $text = slurp_file("sql/$test.sql");

	for my $edit (grep { $_->[0] eq $test } @instead)
	{
		my (undef, $from, $to) = @$edit;
		$text =~ s/\Q$from\E/$to/g or die "sql/$test.sql has no '$from'";
	}
	for my $range (grep { $_->[0] eq $test } @left_out)
	{
		my (undef, $from, $to) = @$range;
		my $rest = defined $to ? qr/(?:.*\n)*?\Q$to\E.*\n/ : qr/.*\n/;
		$text =~ s/^\Q$from\E$rest//m or die "sql/$test.sql has no '$from'";
	}
	return $text;
}

#--- tables and views, as the tests look into them ------------------------------------

# Everything that the tests write is on shard 0: the other one has no buckets.  So all is
# asked there.  Each name gets a type with its columns, functions on the shard that read
# and write as who is calling, and a view.
my $relations = <<'END';
SELECT n.nspname AS schema, c.relname AS name, string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum) AS columns,
	CASE c.relname WHEN 'runs' THEN '{id}' WHEN 'ai_runs' THEN '{id}' WHEN 'calls' THEN '{id}' WHEN 'messages' THEN '{run_id,seq}' WHEN 'ai_messages' THEN '{run_id,seq}'
		WHEN 'tasks' THEN '{run_id,task_id}' WHEN 'ai_tasks' THEN '{run_id,task_id}' ELSE '{}' END AS keys
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = 'airun' AND c.relkind = 'r' OR n.nspname = 'public' AND c.relname ~ '^ai_' AND c.relkind = 'v' GROUP BY 1, 2
END

$shards->on(0, <<'END' =~ s/RELATIONS/$relations/r);
CREATE SCHEMA airun_test;
GRANT USAGE ON SCHEMA airun_test TO PUBLIC;
DO $do$ DECLARE r record; BEGIN FOR r IN RELATIONS LOOP
	EXECUTE format('CREATE FUNCTION airun_test.%1$I(_shard integer, claims text, caller text, role text, command text) RETURNS SETOF %2$I.%1$I LANGUAGE plpgsql AS %3$L',
		r.name, r.schema, 'BEGIN PERFORM airun_store_enter(NULL, $2, $3, $4); RETURN QUERY EXECUTE command; END');
END LOOP; END $do$;
END
$shards->call(<<'END');
CREATE SCHEMA airun; CREATE SCHEMA airun_test;
GRANT USAGE ON SCHEMA airun, airun_test, airun_lib, airun_remote TO PUBLIC;
GRANT EXECUTE ON FUNCTION airun_remote.failed TO PUBLIC;
CREATE FUNCTION public.airun_install() RETURNS bigint LANGUAGE sql AS $$ SELECT 0::bigint $$;
END

my $read = <<'SQL';
DECLARE
	state text; message text; detail text; hint text;
BEGIN
	RETURN QUERY SELECT * FROM airun_test.NAME(0, current_setting('request.jwt.claims', true), current_setting('airun.user_id', true),
		NULLIF(current_setting('role'), 'none'), command);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	PERFORM airun_remote.failed(500, state, message, detail, hint);
END
SQL
my $write = <<'SQL';
DECLARE
	old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
	new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
	columns text := (SELECT string_agg(quote_ident(key), ', ') FROM jsonb_object_keys(new_row) AS key
		WHERE CASE TG_OP WHEN 'INSERT' THEN new_row -> key <> 'null' ELSE new_row -> key IS DISTINCT FROM old_row -> key END);
	condition text := (SELECT string_agg(format('%I = %L', k, old_row ->> k), ' AND ') FROM unnest('KEYS'::text[]) AS k);
	result airun_test.NAME;
BEGIN
	SELECT * INTO result FROM airun_test.do_NAME(CASE TG_OP
		WHEN 'INSERT' THEN format('INSERT INTO SCHEMA.NAME (%s) SELECT %1$s FROM jsonb_populate_record(NULL::SCHEMA.NAME, %L) RETURNING *', columns, new_row)
		WHEN 'UPDATE' THEN format('UPDATE SCHEMA.NAME AS t SET (%s) = (SELECT %1$s FROM jsonb_populate_record(NULL::SCHEMA.NAME, %L)) WHERE %s RETURNING *', columns, new_row, condition)
		ELSE format('DELETE FROM SCHEMA.NAME WHERE %s RETURNING *', condition) END);
	IF NOT FOUND THEN RETURN NULL; END IF;
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	NEW := result;
	RETURN NEW;
END
SQL
for my $relation (split /\n/, $shards->on(0, $relations))
{
	my ($schema, $name, $columns, $keys) = split /\|/, $relation;
	my $sql = <<"END";
CREATE TYPE airun_test.NAME AS ($columns);
CREATE FUNCTION airun_test.NAME(_shard integer, claims text, caller text, role text, command text) RETURNS SETOF airun_test.NAME
	LANGUAGE plproxy AS \$\$ CLUSTER 'airun'; RUN ON 0; \$\$;
CREATE FUNCTION airun_test.do_NAME(command text) RETURNS SETOF airun_test.NAME LANGUAGE plpgsql SECURITY DEFINER AS \$body\$ $read \$body\$;
CREATE FUNCTION airun_test.write_NAME() RETURNS trigger LANGUAGE plpgsql AS \$body\$ $write \$body\$;
CREATE VIEW SCHEMA.NAME AS SELECT * FROM airun_test.do_NAME('SELECT * FROM SCHEMA.NAME');
CREATE TRIGGER write INSTEAD OF INSERT OR UPDATE OR DELETE ON SCHEMA.NAME FOR EACH ROW EXECUTE FUNCTION airun_test.write_NAME();
GRANT ALL ON SCHEMA.NAME TO PUBLIC;
END
	$shards->call($sql =~ s/SCHEMA/$schema/gr =~ s/NAME/$name/gr =~ s/KEYS/$keys/gr);
}

#--- the tests --------------------------------------------------------------------------

my $dir = PostgreSQL::Test::Utils::tempdir();
$proxy->safe_psql('postgres', 'CREATE DATABASE direct');
$proxy->safe_psql('postgres', q(DO $$BEGIN EXECUTE format('GRANT %I TO airun_proxy', current_user); END$$));
# where a test's transaction holds what its call through the proxy waits for
$proxy->safe_psql('postgres', "ALTER ROLE airun_proxy SET lock_timeout = '500ms'");
$proxy->safe_psql('direct', 'CREATE EXTENSION airun; SELECT airun_install()');
# what pg_regress sets; a shard's settings are its own
for my $database ('proxy', 'direct', @{ $shards->{databases} })
{
	$proxy->safe_psql($database, "ALTER DATABASE $database SET timezone = 'PST8PDT'; ALTER DATABASE $database SET airun.trust_client_cost = on");
}

# What psql writes when it runs a test, as pg_regress has it
sub output_of
{
	my ($database, $test) = @_;
	my $out = '';

	IPC::Run::run([ $proxy->installed_command('psql'), '-Xaq', '-d', $proxy->connstr($database), '-v', 'HIDE_TABLEAM=on' ],
		'<', \lines_of($test), '>&', \$out, IPC::Run::timeout(900));
	return $out =~ s/^NOTICE:  PL\/Proxy: .*\n//mgr;
}

my $done = 0;
for my $test (qw(helpers turn stream usage budget postgrest))
{
	my $direct = output_of('direct', $test);
	my $through;
	my $roles = $proxy->safe_psql('postgres', q(SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles WHERE rolname ~ '^regress_'));

	for my $database ('direct', 'postgres')
	{
		$proxy->safe_psql($database, "DROP OWNED BY $roles") if $roles;
	}
	$proxy->safe_psql('postgres', "DROP ROLE $roles") if $roles;
	$through = output_of('proxy', $test);
	$done += () = $through =~ /^SELECT/mg;
	is($through, $direct, "$test.sql gives the same through a proxy");
	$roles = $proxy->safe_psql('postgres', q(SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles WHERE rolname ~ '^regress_'));
	if ($roles)
	{
		$proxy->safe_psql($_, "DROP OWNED BY $roles") for 'proxy', 'postgres', @{ $shards->{databases} };
		$proxy->safe_psql('postgres', "DROP ROLE $roles");
	}
}
is($shards->problems, '', 'the checks have no row on any shard');
proven('statements of the regression tests through a proxy', $done);

done_testing();
