# ALTER EXTENSION airun UPDATE and airun_install(): whatever version a database has,
# it ends as a fresh install would be, object by object: functions, types, columns,
# constraints, indexes, policies, triggers, views, grants and comments.  What a site
# has put on our tables stays, and so does every row.  In between, old SQL and an
# old store meet the new library: it works or says what to do.
#
# Every version that can be installed from the scripts that airun ships is taken
# through this, and two that exist here only, made of the present one: 0.0test and
# 0.0step lack functions and comments, 0.0test has the airun_install() of a store of
# version 1.  A third, 0.0bad, has an upgrade script that forgets things, and shows
# that the comparison finds what is forgotten.

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
my @tasks = map { numbered_id(2, $_) } 0 .. 9;

#--- versions ------------------------------------------------------------------------

# A stage of our own, where scripts may be added
PostgreSQL::Test::RecursiveCopy::copypath($ENV{AIRUN_STAGE}, "$dir/stage");
my $scripts = `find '$dir/stage' -name airun.control`;
$scripts =~ s{/airun\.control\n\z}{} or die "no airun.control in the stage: $scripts";
my ($present) = slurp_file("$scripts/airun.control") =~ /^default_version = '(.*)'/m;
my $script = slurp_file("$scripts/airun--$present.sql");

sub put
{
	my ($version, $text) = @_;

	append_to_file("$scripts/airun--$version.sql", $text);
}

# A function of the present script, with its comment
sub declaration
{
	my ($name) = @_;
	my ($declared) = $script =~ /^(CREATE FUNCTION \@extschema\@\.$name\b.*?;\n)(?=\n|COMMENT)/ms or die "no $name";
	my ($comment) = $script =~ /^(COMMENT ON FUNCTION \@extschema\@\.$name\b.*?';\n)/ms or die "no comment on $name";

	return ($declared, $comment);
}

# The present script without some functions
sub script_without
{
	my (@names) = @_;
	my $text = $script;

	for my $name (@names)
	{
		for my $part (declaration($name))
		{
			$text =~ s/\Q$part\E// or die;
		}
	}
	return $text;
}

my $revoke = join '', map { "REVOKE ALL ON FUNCTION \@extschema\@.$_ FROM PUBLIC;\n" } qw(airun_heartbeat_task airun_toggle_star);
my ($install, $install_comment) = $script =~ /^(CREATE FUNCTION \@extschema\@\.airun_install\(\).*?^\$install\$;\n)(?:.*?)^(COMMENT ON FUNCTION \@extschema\@\.airun_install.*?';\n)/ms or die;
my $old_comment = "COMMENT ON FUNCTION \@extschema\@.airun_install() IS 'As it was';\n";

# 0.0step lacks a function, 0.0test another one as well; its airun_install() and the
# comment on it are old, and a function of its own is no longer there.
my $step = script_without('airun_toggle_star');
my $oldest = script_without('airun_toggle_star', 'airun_heartbeat_task');
$oldest =~ s/store_version constant integer := \d+/store_version constant integer := 1/ or die;
$oldest .= $old_comment . "CREATE FUNCTION \@extschema\@.airun_of_old() RETURNS int LANGUAGE sql AS 'SELECT 1';\n";
put('0.0step', $step);
put('0.0test', $oldest);
put('0.0bad', $oldest);
my $to_step = join '', declaration('airun_heartbeat_task'), $install =~ s/^CREATE /CREATE OR REPLACE /r, $install_comment, "DROP FUNCTION \@extschema\@.airun_of_old();\n", $revoke =~ /(.*heartbeat.*\n)/;
put('0.0test--0.0step', $to_step);
put("0.0step--$present", join '', declaration('airun_toggle_star'), $revoke =~ /(.*toggle.*\n)/);
put("0.0bad--$present", join '', declaration('airun_heartbeat_task'), (declaration('airun_toggle_star'))[0], $install =~ s/^CREATE /CREATE OR REPLACE /r, $revoke =~ /(.*toggle.*\n)/);

my $node = airun_node('update', store => 0);
$node->append_conf('postgresql.conf', slurp_file($ENV{AIRUN_STAGE_CONF}) =~ s/\Q$ENV{AIRUN_STAGE}\E/$dir\/stage/gr);
$node->restart;
$node->safe_psql('postgres', 'CREATE ROLE app; CREATE ROLE reader');

#--- what is compared ------------------------------------------------------------------

# Everything about extension, store and site, in words
my $catalogue = <<'SQL';
SET search_path = pg_catalog;
WITH member AS (
	SELECT d.classid, d.objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'airun'),
f AS (SELECT p.* FROM pg_proc AS p JOIN member ON classid = 'pg_proc'::regclass AND objid = p.oid),
r AS (SELECT c.* FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
	WHERE n.nspname IN ('airun', 'site') OR n.nspname = 'public' AND c.relname LIKE 'ai\_%')
SELECT format('extension %s %s %s %s', extname, extversion, extrelocatable, extconfig) FROM pg_extension WHERE extname = 'airun'
UNION ALL SELECT format('member %s', pg_describe_object(classid, objid, 0)) FROM member
UNION ALL SELECT format('function %s', pg_get_functiondef(oid)) FROM f WHERE prokind = 'f'
UNION ALL SELECT format('comment on function %s: %s', oid::regprocedure, obj_description(oid, 'pg_proc')) FROM f
UNION ALL SELECT format('%s may be called by %s: %s', f.oid::regprocedure, CASE grantee WHEN 0 THEN 'all' ELSE grantee::regrole::text END, is_grantable)
	FROM f, aclexplode(coalesce(proacl, acldefault('f', proowner)))
UNION ALL SELECT format('%s could be called by %s', i.objoid::regprocedure, CASE grantee WHEN 0 THEN 'all' ELSE grantee::regrole::text END)
	FROM f JOIN pg_init_privs AS i ON i.objoid = f.oid AND i.classoid = 'pg_proc'::regclass, aclexplode(i.initprivs)
UNION ALL SELECT format('comment on type %s: %s', oid::regtype, obj_description(oid, 'pg_type')) FROM pg_type JOIN member ON classid = 'pg_type'::regclass AND objid = oid
UNION ALL SELECT format('%s %s of %s, row security %s %s', r.relkind, r.oid::regclass, relowner::regrole, relrowsecurity, relforcerowsecurity) FROM r
UNION ALL SELECT format('options of %s: %s', oid::regclass, reloptions) FROM r
UNION ALL SELECT format('%s: %s to %s', r.oid::regclass, privilege_type, CASE grantee WHEN 0 THEN 'all' ELSE grantee::regrole::text END) FROM r, aclexplode(relacl)
UNION ALL SELECT format('column %s.%s%s %s %s %s %s %s %s %s', attrelid::regclass, attname, CASE WHEN relkind IN ('v', 'c') THEN ' ' || attnum ELSE '' END,
		format_type(atttypid, atttypmod), attnotnull, attstorage, attcompression, attacl, attstattarget, pg_get_expr(adbin, adrelid))
	FROM r JOIN pg_attribute AS a ON attrelid = r.oid AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'v', 'c')
	LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
UNION ALL SELECT format('comment on %s %s: %s', r.oid::regclass, (SELECT attname FROM pg_attribute WHERE attrelid = r.oid AND attnum = objsubid), description)
	FROM r JOIN pg_description ON objoid = r.oid AND classoid = 'pg_class'::regclass
UNION ALL SELECT format('trigger %s %s', pg_get_triggerdef(t.oid), tgenabled) FROM r JOIN pg_trigger AS t ON tgrelid = r.oid AND NOT tgisinternal
UNION ALL SELECT format('constraint %s of %s: %s', conname, conrelid::regclass, pg_get_constraintdef(k.oid)) FROM r JOIN pg_constraint AS k ON conrelid = r.oid AND contype <> 'n'
UNION ALL SELECT format('index %s', pg_get_indexdef(indexrelid)) FROM r JOIN pg_index ON indrelid = r.oid
UNION ALL SELECT format('policy %s of %s: %s %s %s %s %s', polname, polrelid::regclass, polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
	FROM r JOIN pg_policy ON polrelid = r.oid
UNION ALL SELECT format('view %s %s', oid::regclass, pg_get_viewdef(oid)) FROM r WHERE relkind = 'v'
UNION ALL SELECT format('schema %s of %s: %s; %s', nspname, nspowner::regrole, nspacl, obj_description(oid, 'pg_namespace')) FROM pg_namespace WHERE nspname IN ('airun', 'site')
ORDER BY 1
SQL

sub catalogue
{
	my ($db) = @_;
	my $json = $node->safe_psql($db, $catalogue =~ s/(WITH member.*)/SELECT coalesce(string_agg(line, E'\\x01'), '') FROM (\n$1) AS x (line)/sr);

	return { map { $_ => 1 } split /\x01/, $json };
}

# What one has and the other has not
sub differences
{
	my ($db, $fresh) = @_;
	my $found = catalogue($db);

	return join "\n", (map { "LOST $_" } grep { !$found->{$_} } sort keys %$fresh),
	  map { "NEW $_" } grep { !$fresh->{$_} } sort keys %$found;
}

# What a site has of its own, beside the store and on it
my $site = <<'SQL';
CREATE SCHEMA site;
CREATE TABLE site.team (id int PRIMARY KEY);
INSERT INTO site.team VALUES (1);
ALTER TABLE airun.runs ADD COLUMN team_id int DEFAULT 1 REFERENCES site.team;
ALTER TABLE airun.tasks ADD COLUMN ticket text NOT NULL DEFAULT 'none';
ALTER TABLE airun.messages ADD COLUMN words int GENERATED ALWAYS AS (length(message ->> 'content')) STORED;
ALTER TABLE airun.messages ALTER COLUMN message SET STATISTICS 7;
COMMENT ON COLUMN airun.runs.team_id IS 'Whose it is';
COMMENT ON COLUMN airun.tasks.provider IS 'Our own words';
CREATE INDEX site_team ON airun.runs (team_id);
CREATE INDEX site_ticket ON airun.tasks (ticket) WHERE ticket <> 'none';
CREATE POLICY site_team ON airun.runs FOR SELECT TO reader USING (team_id = current_setting('site.team', true)::int);
CREATE POLICY site_mine ON airun.runs AS RESTRICTIVE USING (airun_user_id() IS DISTINCT FROM '10000000-0000-4000-8000-00000000dead');
ALTER TABLE airun.tasks ADD CONSTRAINT site_no_free_lunch CHECK (provider <> 'free');
CREATE TABLE site.audit (run_id uuid, seq bigint);
CREATE FUNCTION site.audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS
	'BEGIN INSERT INTO site.audit VALUES (NEW.run_id, NEW.seq); RETURN NULL; END';
CREATE TRIGGER site_audit AFTER INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION site.audit();
CREATE TRIGGER site_off BEFORE UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE airun.tasks DISABLE TRIGGER site_off;
CREATE VIEW site.costs AS SELECT r.name, t.cost, t.updated_at FROM ai_run_summaries AS r JOIN ai_tasks AS t ON t.run_id = r.id;
GRANT USAGE ON SCHEMA airun, site TO reader;
GRANT SELECT ON airun.runs, site.costs TO reader;
GRANT SELECT (message) ON airun.messages TO reader;
SQL

# A run with tasks in every state, of what every version has
my $data = <<"SQL";
SET airun.user_id = '$user';
SELECT airun_set_price('m', '{"input": 2, "output": 3}', effective_from => '-infinity');
SELECT airun_create_run('chat', name => 'Old', id => '$run');
SELECT airun_append_messages('$run', '[{"role": "system", "content": "be kind"}, {"role": "user", "content": "Grüße"}]');
SELECT airun_create_task('$run', '$tasks[0]', provider => 'p');
SELECT airun_create_task('$run', '$tasks[1]', provider => 'p');
SELECT airun_complete_task('$tasks[1]', 'the whole text', tokens_input => 3, tokens_output => 4);
SELECT airun_create_task('$run', '$tasks[2]', model_id => 'm');
SELECT airun_fail_task('$tasks[2]', '{"code": 429}', usage => '{"prompt_tokens": 5}', response_text => 'as far');
SELECT airun_create_task('$run', '$tasks[3]');
SELECT airun_cancel_task('$tasks[3]');
UPDATE airun.tasks SET ticket = 'T-1' WHERE task_id = '$tasks[0]';
SQL

# What is said to an API role that does a bit of everything that every version has
my $use = <<"SQL";
SET ROLE app;
SET airun.user_id = '$user';
SELECT (airun_append_message('$run', '{"role": "user", "content": "still there?"}')).seq;
SELECT airun_start_turn('$run', '{"role": "user", "content": "and now?"}', '$tasks[8]', model_id => 'm') #>> '{task,status}';
SELECT (airun_stream_delta('$tasks[8]', 'yes')).response_length;
SELECT airun_finish_turn('$tasks[8]', '{"role": "assistant", "content": "yes"}', usage => '{"prompt_tokens": 1, "completion_tokens": 1}') #>> '{task,cost}';
SELECT (airun_update_task('$tasks[0]', 'as far as it has come')).status;
SELECT airun_get_run('$run') #>> '{task_count}', json_array_length(airun_messages('$run')), (SELECT count(*) FROM airun_list_runs());
INSERT INTO ai_messages (run_id, message) VALUES ('$run', '{"role": "user", "content": "by view"}') RETURNING seq;
SELECT jsonb_array_length(messages) FROM ai_runs WHERE id = '$run';
RESET ROLE;
SELECT count(*) > 0 FROM site.audit WHERE seq > 2;
SELECT * FROM airun_check();
SQL
my $used = "3\npending\n3\n5\nstreaming\n5|5|1\n6\n6\nt";

# All rows of the store, with what every version has of them; for a task whose text
# is moved by the migration, that is a change
my $rows = join(' UNION ALL ', map { "SELECT '$_->[0]', count(*), md5(string_agg(concat_ws('|', $_->[1]), E'\\n' ORDER BY concat_ws('|', $_->[1])))
	FROM airun.$_->[0]" } (
	[ 'runs', 'id, user_id, created_at, message_count, last_message_at, active_hour, task_count, total_tokens, total_cost, status, source_type, name, team_id' ],
	[ 'messages', 'run_id, seq, message_id, task_id, created_at, message, words' ],
	[ 'tasks', 'run_id, task_id, user_id, created_at, CASE WHEN completed_at IS NOT NULL THEN updated_at END, completed_at, status, tokens_input, tokens_output, tokens_total, cost, provider, model_id, error, ticket' ])) . ' ORDER BY 1';

sub sqlstate
{
	my ($db, $sql) = @_;
	my ($code, $out, $err) = $node->psql($db, $sql);

	return $err =~ /ERROR:\s+(.*?)(?:\n.*HINT:\s+(.*?))?\n?\z/s ? join(' / ', map { $_ // '' } $1, $2) : "no error: $out";
}

#--- fresh ---------------------------------------------------------------------------

sub database
{
	my ($db, $version) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, 'CREATE EXTENSION airun' . ($version ? " VERSION '$version'" : ''));
	is($node->safe_psql($db, q(SELECT extversion FROM pg_extension WHERE extname = 'airun')), $version // $present, "$db: has version " . ($version // $present));
}

# A store as a fresh install makes it, with what the site adds
database('fresh');
$node->safe_psql('fresh', "SELECT airun_install(); SELECT airun_grant('app'); $site $data");
my $fresh = catalogue('fresh');
cmp_ok(scalar keys %$fresh, '>', 500, 'a fresh install: ' . keys(%$fresh) . ' facts are compared');
is(differences('fresh', $fresh), '', 'it is equal to itself');
is($node->safe_psql('fresh', $use), $used, 'and works');

# Does a database end like that, with the rows that it had?
sub ends_fresh
{
	my ($db, $before) = @_;

	is($node->safe_psql($db, $rows), $before, "$db: no row has changed");
	my $different = differences($db, $fresh);
	is($different, '', "$db: everything is as a fresh install makes it, the site's own things included");
	like($node->safe_psql($db, 'SELECT airun_install()'), qr/nothing was changed/, "$db: airun_install() finds nothing to do");
	check_ok($node, "in $db", $db);
	is($node->safe_psql($db, $use), $used, "$db: everything works, for an API role too");
	my ($code, $out, $err) = $node->psql($db, "SET ROLE app; SET airun.user_id = '$user'; SELECT is_starred FROM airun_toggle_star('$run'); SELECT status FROM airun_heartbeat_task('$tasks[0]')");
	is("$out$err", "t\nstreaming", "$db: what is new as well");
}

#--- every version that can be installed ---------------------------------------------------

# Old SQL with the new library, and then the chain of upgrades
my %version = map { $_ => 1 } grep { defined } map { s{.*/airun--|\.sql\z}{}gr =~ /(.+?)(?:--(.+))?\z/ } glob "$scripts/airun--*.sql";
my @versions = grep { !/^(?:\Q$present\E|0\.0test|0\.0bad)\z/ } sort keys %version;
my $chains = 0;
ok((grep { $_ eq '0.0step' } @versions), "versions: @versions");
for my $version (@versions)
{
	my $db = 'from_' . $version =~ s/\W/_/gr;

	database($db, $version);
	# what an airun_install() of that time makes may be too old for the library
	$node->safe_psql($db, 'SELECT airun_install()');
	my $too_old = sqlstate($db, "SELECT airun_grant('app'); SELECT airun_user_id(); SELECT airun_create_run()") =~ /airun's store is of version/;
	$node->safe_psql($db, 'ALTER EXTENSION airun UPDATE; SELECT airun_install()') if $too_old;
	$node->safe_psql($db, "SELECT airun_purge_runs('infinity'); DELETE FROM airun.runs; SELECT airun_grant('app'); $site $data");
	if (!$too_old)
	{
		is($node->safe_psql($db, 'BEGIN;' . $use . 'ROLLBACK'), $used, "$db: old SQL works with the new library");
	}
	my $before = $node->safe_psql($db, $rows);

	# a session that has been at work before goes on after it
	my $session = $node->background_psql($db, on_error_stop => 0);
	my $append = "BEGIN; SELECT (airun_append_message('$run', '{\"role\": \"user\", \"content\": \"on\"}')).seq; ROLLBACK";
	is(ask($session, $append), '3', "$db: a session appends");
	$node->safe_psql($db, 'ALTER EXTENSION airun UPDATE');
	is(ask($session, $append), '3', "$db: and after ALTER EXTENSION UPDATE");
	$node->safe_psql($db, 'SELECT airun_install()');
	is(ask($session, $append), '3', "$db: and after airun_install()");
	$session->quit;
	ends_fresh($db, $before);
	$chains++;
}

#--- views of an older definition ----------------------------------------------------------------

# They have all columns, and others than now; one to which the site has added a column is its own
database('views');
$node->safe_psql('views', "SELECT airun_install(); SELECT airun_grant('app'); $site $data; SELECT airun_install_original('original')");
my $of_views = $node->safe_psql('views', $rows);
$node->safe_psql('views', <<'SQL');
CREATE OR REPLACE VIEW ai_unpriced_models WITH (security_invoker = true) AS
	SELECT t.provider, t.model_id, count(*) AS tasks, sum(t.tokens_total)::bigint AS tokens, min(t.created_at) AS first_used, max(t.created_at) AS last_used,
		t.served_model, t.service_tier, t.region, t.speed
	FROM airun.tasks AS t WHERE t.price_status = 'unpriced' GROUP BY t.provider, t.model_id, t.served_model, t.service_tier, t.region, t.speed;
CREATE OR REPLACE VIEW ai_runs_summary WITH (security_invoker = true) AS
	SELECT id, name, source_type, source_id, message_count, task_count, total_tokens, total_cost, is_starred, status, created_at, last_message_at, user_id FROM airun.runs;
CREATE OR REPLACE FUNCTION ai_tasks(ai_messages) RETURNS SETOF ai_tasks LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS
	'SELECT x.* FROM ai_tasks AS x WHERE x.task_id = $1.task_id';
DO $$BEGIN EXECUTE 'CREATE OR REPLACE VIEW original.ai_runs WITH (security_invoker = true) AS ' || rtrim(pg_get_viewdef('original.ai_runs'::regclass), ';') || ' AND r.name IS NOT NULL'; END$$;
SQL
my $made = $node->safe_psql('views', 'SELECT airun_install()');
is(join(', ', $made =~ /^  (.*)/mg), 'view ai_unpriced_models, view ai_runs_summary, function ai_tasks(ai_messages), views in schema original, grants to app', 'views of an older definition are made anew, and no others');
$node->safe_psql('views', 'BEGIN; CREATE OR REPLACE VIEW ai_calls WITH (security_invoker = true) AS SELECT *, 1 AS site FROM (' . $node->safe_psql('views', q(SELECT rtrim(pg_get_viewdef('ai_calls'::regclass), ';'))) . ') AS c WHERE id IS NOT NULL; '
	  . q(DO $$BEGIN ASSERT airun_install() LIKE '%nothing was changed%', 'a view of the site was taken away'; END$$; ROLLBACK));
is($node->safe_psql('views', 'BEGIN READ ONLY; SELECT airun_install() LIKE \'%nothing was changed%\'; COMMIT'), 't', 'where nothing can be written, that is no error');
unlike($node->safe_psql('views', "SELECT pg_get_viewdef('original.ai_runs'::regclass)"), qr/name IS NOT NULL/, 'those of the original application, too');
$node->safe_psql('views', 'DROP SCHEMA original CASCADE');
ends_fresh('views', $of_views);

#--- an old store ----------------------------------------------------------------------------

# Makes the store one of version 1, where the text of an unfinished task was in its row
my $downgrade = <<"SQL";
DROP VIEW site.costs;
DROP VIEW ai_tasks, ai_unpriced_models CASCADE;
CREATE VIEW ai_tasks WITH (security_invoker = true) AS
	SELECT task_id, run_id, user_id, service, task_name, provider, endpoint, model_id, request_data, response_text, response_data, error, metadata,
		finish_reason, status, tokens_input, tokens_output, tokens_total, usage, cost, cost_details, time_to_first_token, total_time, created_at,
		updated_at, completed_at
	FROM airun.tasks;
CREATE TRIGGER airun_view INSTEAD OF INSERT OR UPDATE OR DELETE ON ai_tasks FOR EACH ROW EXECUTE FUNCTION airun_view_task();
GRANT SELECT, INSERT, UPDATE ON ai_tasks TO app;
CREATE VIEW site.costs AS SELECT r.name, t.cost, t.updated_at FROM ai_run_summaries AS r JOIN ai_tasks AS t ON t.run_id = r.id;
GRANT SELECT ON site.costs TO reader;
ALTER TABLE airun.tasks DISABLE TRIGGER USER;
UPDATE airun.tasks SET status = 'streaming', response_text = 'as far' WHERE task_id = '$tasks[0]';
ALTER TABLE airun.tasks ENABLE TRIGGER USER;
ALTER TABLE airun.tasks DISABLE TRIGGER site_off;
ALTER TABLE airun.tasks DROP COLUMN response_length, DROP COLUMN timeout, DROP COLUMN generation, DROP COLUMN text_in_answer, DROP COLUMN request_reference,
	DROP COLUMN client_cost, DROP COLUMN price_status, DROP COLUMN usage_buckets;
DROP INDEX airun.tasks_unfinished;
DROP TABLE airun.task_chunks;
DROP TABLE airun.prices, airun.price_book;
DROP TRIGGER airun_roll_up_truncate ON airun.messages;
CREATE TRIGGER airun_roll_up_truncate AFTER TRUNCATE ON airun.messages EXECUTE FUNCTION airun_roll_up_messages();
COMMENT ON SCHEMA airun IS 'airun store version 1: what airun_install() made and airun''s functions work on';
SQL

# Makes a database of that version with an old store
my $current = $node->safe_psql('fresh', q(SELECT obj_description('airun'::regnamespace)));

sub old_database
{
	my ($db, $version) = @_;

	database($db, $version);
	$node->safe_psql($db, "SELECT airun_install(); SELECT airun_grant('app'); COMMENT ON SCHEMA airun IS '" . $current =~ s/'/''/gr . "'");
	$node->safe_psql($db, $site . $data);
	$node->safe_psql($db, $downgrade);
	# a dump that grants what is gone cannot be restored without an error
	$node->safe_psql($db, 'REVOKE ALL ON FUNCTION airun_of_old() FROM app');
	return $node->safe_psql($db, $rows);
}

my $before = old_database('old', '0.0test');
command_ok_quietly('pg_dump', '-f', "$dir/old.sql", $node->connstr('old'));
my $what_to_do = qr{^airun's store is of version 1, but this airun needs version \d+ / Run SELECT airun_install}m;
for my $when ('with old SQL', 'after ALTER EXTENSION UPDATE')
{
	for my $call (
		"airun_append_message('$run', '{\"role\": \"user\", \"content\": \"x\"}')",
		"airun_start_turn('$run')", "airun_update_task('$tasks[0]', 'x')",
		"airun_complete_task('$tasks[0]')", "airun_create_run()", 'airun_list_runs()',
		"airun_get_run('$run')", "airun_messages('$run')", "airun_delete_run('$run')",
		"airun_cost('m', '{\"input\": 1}')", "airun_set_price('m', '{\"input\": 1}')",
		'airun_check()', 'airun_purge_runs(now())', 'airun_expire_tasks()')
	{
		like(sqlstate('old', "SELECT $call"), $what_to_do, "an old store, $when: $call says what to do");
	}
	is($node->safe_psql('old', q(SELECT airun_json('"\u0000"') IS NOT NULL, airun_user_uuid('x') IS NOT NULL)), 't|t', "$when: what needs no store works");
	is($node->safe_psql('old', $rows), $before, "$when: no row has changed");
	$node->safe_psql('old', 'ALTER EXTENSION airun UPDATE') if $when eq 'with old SQL';
}
like($node->safe_psql('old', 'SELECT airun_install()'), qr/columns of table airun.tasks/, 'airun_install() migrates it');
is($node->safe_psql('old', "SELECT response_text FROM ai_tasks WHERE task_id = '$tasks[0]'"), 'as far', 'with the text of what is streaming');
$node->safe_psql('old', "SELECT airun_set_price('m', '{\"input\": 2, \"output\": 3}', effective_from => '-infinity')");
ends_fresh('old', $before);
$chains++;

# The same by way of a dump: it brings the old store, and the new extension
$node->safe_psql('postgres', 'CREATE DATABASE restored');
command_ok_quietly('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-f', "$dir/old.sql", $node->connstr('restored'));
is($node->safe_psql('restored', q(SELECT extversion FROM pg_extension WHERE extname = 'airun')), $present, 'a dump of it brings the new extension');
like(sqlstate('restored', 'SELECT airun_list_runs()'), $what_to_do, 'and the old store, which says what to do');
$node->safe_psql('restored', 'SELECT airun_install()');
$node->safe_psql('restored', "SELECT airun_set_price('m', '{\"input\": 2, \"output\": 3}', effective_from => '-infinity')");
ends_fresh('restored', $before);
$chains++;

sub command_ok_quietly
{
	my ($program, @arguments) = @_;
	my ($out, $err) = run_command([ $node->installed_command($program), @arguments ]);
	is($err, '', "$program is quiet");
}

#--- an upgrade script that forgets ---------------------------------------------------------------

old_database('bad', '0.0bad');
$node->safe_psql('bad', 'ALTER EXTENSION airun UPDATE; SELECT airun_install()');
my $different = differences('bad', $fresh);
like($different, qr/$_/, "a forgotten thing is found: $_")
  for ('LOST comment on function public\.airun_install\(\)', 'NEW comment on function public\.airun_install\(\): As it was',
	'NEW public\.airun_heartbeat_task\(uuid,uuid\) may be called by all', 'LOST comment on function public\.airun_toggle_star\(uuid\)',
	'NEW member function public\.airun_of_old\(\)');

proven('updates: chains that end as a fresh install', $chains);
proven('updates: facts compared at the end of each', scalar keys %$fresh);

done_testing();
