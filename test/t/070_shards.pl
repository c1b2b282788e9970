# Shards and their proxy: the same functions with the same answers and errors as one
# store; who is calling reaches the shard and nothing else does; what is not a shard's
# it refuses; a shard that is away is told; and buckets that move under load, with the
# mover killed, lose and double nothing.
#
# PL/Proxy is the server's own where it has one; else Debian's package is unpacked into
# a private folder, and where there is none, all of this is skipped.  In the quick form
# the shards are databases of one server, in the long one each is a server.

use strict;
use warnings;

use AirunShards;
use AirunTest;
use IPC::Run ();
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $shards = quick_or_long(2, 4);
my $conf = "max_connections = 80\nclient_min_messages = warning\n";
my $proxy = airun_node('proxy', conf => $conf, store => 0);
my $library = debian_library($proxy, 'plproxy');
if (!$library)
{
	$proxy->stop;
	plan(skip_all => 'there is no PL/Proxy');
}

my @nodes = map { $ENV{AIRUN_LONG} ? airun_node("shard$_", conf => $conf, store => 0) : $proxy } 0 .. $shards;
my @databases = map { "shard$_" } 0 .. $shards;

sub on_shard { my ($shard, $sql) = @_; return $nodes[$shard]->safe_psql($databases[$shard], $sql); }
sub on_proxy { return $proxy->safe_psql('proxy', $_[0]); }

# The SQLSTATE with which SQL fails, or what it returns
sub state_of
{
	my ($node, $database, $sql, %option) = @_;
	my ($status, $out, $err) = $node->psql($database, "\\set VERBOSITY sqlstate\n$sql", on_error_stop => 1, %option);

	return $err =~ /ERROR:\s+(\w{5})/ ? $1 : $out;
}

my %seen;
for my $node (grep { !$seen{$_}++ } $proxy, @nodes)
{
	$node->safe_psql('postgres', 'CREATE ROLE authenticated; CREATE ROLE service_role BYPASSRLS;
		CREATE ROLE operator LOGIN; CREATE ROLE airun_proxy LOGIN NOINHERIT; CREATE ROLE inheriting LOGIN');
}
$nodes[$_]->safe_psql('postgres', "CREATE DATABASE $databases[$_]") for 0 .. $shards;
$proxy->safe_psql('postgres', 'CREATE DATABASE proxy');
$proxy->safe_psql('postgres', 'CREATE DATABASE one');

#--- what is refused at the beginning --------------------------------------------------

on_shard($_, 'CREATE EXTENSION airun') for 0 .. $shards;
is(state_of($nodes[0], 'shard0', 'SELECT airun_install_shard()'), '55000', 'a shard needs a store');
on_shard($_, 'SELECT airun_install()') for 0 .. $shards;
is(state_of($nodes[0], 'shard0', "SELECT airun_install_shard('nobody')"), '42704', 'a shard needs the role of the proxy');
is(state_of($nodes[0], 'shard0', "SELECT airun_install_shard('inheriting')"), 'PT422', 'that role inherits nothing');
is(state_of($nodes[0], 'shard0', 'SET ROLE authenticated; SELECT airun_install_shard()'), '42501', 'only the owner makes a shard');
is(state_of($nodes[0], 'shard0', "BEGIN; SELECT airun_create_run(id => '019c0000-0000-8000-8000-000000000001',
		user_id => '11111111-1111-4111-8111-111111111111'); SELECT airun_install_shard()"), '55000',
	'a store with ids of other buckets is refused');
on_shard($_, 'SELECT airun_install_shard()') for 0 .. $shards;

sub connections
{
	return 'ARRAY[' . join(', ', map { "'" . $nodes[$_]->connstr($databases[$_]) =~ s/'/''/gr . "'" } 0 .. $_[0] - 1) . ']';
}

on_proxy('CREATE SCHEMA airun_lib; CREATE EXTENSION airun SCHEMA airun_lib; CREATE SCHEMA api');
is(state_of($proxy, 'proxy', 'SELECT airun_lib.airun_shards()'), '55000', 'where there is no proxy, there are no shards');
is(state_of($proxy, 'proxy', "SELECT airun_lib.airun_install_proxy('{x}', 'api')"), '42704', 'a proxy needs PL/Proxy');
AirunShards::create_language($proxy, 'proxy', $library);
is(state_of($proxy, 'proxy', "SELECT airun_lib.airun_install_proxy('{}', 'api')"), 'PT422', 'a proxy needs shards');
is(state_of($proxy, 'proxy', "SELECT airun_lib.airun_install_proxy('{x}', 'airun_lib')"), 'PT422', "a proxy's functions have a schema of their own");
is(state_of($proxy, 'proxy', "GRANT USAGE ON SCHEMA airun_lib TO authenticated; GRANT EXECUTE ON FUNCTION airun_lib.airun_install_proxy TO authenticated;
	SET ROLE authenticated; SELECT airun_lib.airun_install_proxy('{x}', 'api')"), '42501', 'only a superuser makes a proxy');
on_proxy("SELECT airun_lib.airun_install_proxy(@{[connections($shards)]}, 'api')");
is(on_proxy('SELECT count(*), sum(buckets), count(problem) FROM airun_lib.airun_shards()'), "$shards|4096|0", 'the buckets lie on the shards');
on_proxy("SELECT api.airun_grant('authenticated'), api.airun_grant('service_role'), api.airun_grant('operator', 'operator')");

$proxy->safe_psql('one', "CREATE EXTENSION airun; SELECT airun_install();
	SELECT airun_grant('authenticated'), airun_grant('service_role'), airun_grant('operator', 'operator')");

#--- the same functions -----------------------------------------------------------------

my $functions = <<'END';
SELECT p.proname, replace(replace(pg_get_function_arguments(p.oid), 'airun_lib.', ''), 'public.', ''),
	replace(replace(pg_get_function_result(p.oid), 'airun_lib.', ''), 'public.', ''), p.provolatile = 'v',
	obj_description(p.oid, 'pg_proc'), has_function_privilege('authenticated', p.oid, 'EXECUTE'),
	has_function_privilege('operator', p.oid, 'EXECUTE')
FROM pg_proc AS p WHERE p.pronamespace = '%s'::regnamespace AND p.proname %s ORDER BY 1
END
my $here = on_proxy(sprintf($functions, 'api', "<> 'airun_grant'"));
my $names = on_proxy("SELECT string_agg(quote_literal(proname), ', ') FROM pg_proc WHERE pronamespace = 'api'::regnamespace AND proname <> 'airun_grant'");
is($here, $proxy->safe_psql('one', sprintf($functions, 'public', "IN ($names)")),
	"a proxy's functions have the names, arguments, defaults, results, comments and rights of a store's");
is($proxy->safe_psql('one', "SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc
	WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'airun\\_%' AND prokind = 'f'
	AND prorettype NOT IN ('trigger'::regtype, 'internal'::regtype) AND proname !~ '^airun_(store|array|sketch)_' AND proname NOT IN ($names)"),
	'airun_grant airun_install airun_install_original airun_install_proxy airun_install_shard airun_sees_run airun_shards airun_writes_run',
	'what a proxy lacks is what is for stores alone');

#--- the same answers -------------------------------------------------------------------

# Two users of different shards, by whatever number there is
my @users = split /\n/, on_proxy(<<"END");
SELECT DISTINCT ON (airun_lib.airun_bucket(u) % $shards) u
FROM (SELECT format('00000000-0000-4000-8000-%s', lpad(i::text, 12, '0'))::uuid AS u FROM generate_series(1, 100) AS i) AS x
ORDER BY airun_lib.airun_bucket(u) % $shards, u
END
is(scalar @users, $shards, 'there is a user for each shard');
my ($first, $second) = @users;
my ($run, $task, $other) = (numbered_id(7, 1), numbered_id(7, 2), numbered_id(7, 3));
my $as = sub { "RESET ROLE; SET ROLE $_[0]; SELECT set_config('request.jwt.claims', '" . ($_[1] ? qq({"sub": "$_[1]"}) : '') . "', false) IS NULL;\n" };
my $script = <<"END";
SELECT airun_set_price('gpt-x', '{"input": 1, "output": 2}', 'openai', '2026-01-01', per_tokens => 1000000);
SELECT * FROM airun_import_prices('{"gpt-y": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "litellm_provider": "openai", "mode": "chat"}}', 'litellm', '2026-01-01');
@{[$as->('authenticated', $first)]}
SELECT name, user_id FROM airun_create_run(id => '$run', name => 'a run', tags => '{a,b}', settings => '{"x": 1}');
SELECT name FROM airun_create_run(id => '$run', name => 'again');
SELECT seq, message_id, message FROM airun_append_message('$run', '{"role": "user", "content": "hello"}', 'one');
SELECT seq FROM airun_append_messages('$run', '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]');
SELECT seq FROM airun_save_message('$run', '{"role": "user", "content": "hello, world"}', 'one');
SELECT airun_start_turn('$run', '{"role": "user", "content": "what?"}', '$task', model_id => 'gpt-x', provider => 'openai') -> 'task' ->> 'status';
SELECT response_length FROM airun_stream_delta('$task', 'an ');
SELECT response_length FROM airun_stream_delta('$task', 'answer', run_id => '$run');
SELECT text FROM airun_stream_read('$task');
SELECT airun_finish_turn('$task', '{"role": "assistant", "content": "an answer"}', usage => '{"prompt_tokens": 1000, "completion_tokens": 10}') #>> '{task,cost}';
SELECT airun_start_turn(run => '{"source_type": "chat", "name": "new"}', messages => '[{"role": "user", "content": "x"}]', task_id => '$other', model_id => 'gpt-x') #>> '{run,name}';
SELECT status FROM airun_cancel_task('$other');
SELECT status FROM airun_complete_task('$other');
SELECT airun_get_run('$run') -> 'messages' -> 0 ->> 'content';
SELECT json_array_length(airun_messages('$run', max_messages => 2));
SELECT json_array_length(airun_context('$run') -> 'messages');
SELECT name, message_count, total_cost FROM airun_list_runs() ORDER BY name;
SELECT snippet, seq FROM airun_search('answer') ORDER BY seq;
SELECT seq, message FROM airun_message_versions('$run');
SELECT name, message_count FROM airun_fork_run('$run', 2, 'a fork');
SELECT count(*) FROM airun_run_forks('$run');
SELECT left(airun_export('$run', 'markdown'), 20);
SELECT count(*) FROM airun_export_user();
SELECT position, message_count, problem FROM airun_import('[{"role": "user", "content": "brought in"}]');
SELECT cost, price_status FROM airun_meter(model_id => 'gpt-x', provider => 'openai', usage => '{"prompt_tokens": 5, "completion_tokens": 1}');
SELECT status FROM airun_start_call('$run', model_id => 'gpt-x');
SELECT status FROM airun_end_call('$run', tokens_input => 3, tokens_output => 4);
SELECT bucket, calls, tokens_total, cost FROM airun_usage('2020-01-01', '2100-01-01', 'all');
SELECT airun_cost('gpt-x', '{"prompt_tokens": 5}'), airun_normalize_usage('{"prompt_tokens": 5}');
SELECT airun_call('{"airun_get_run": {"run_id": "$run"}}') ->> 'name';
SELECT airun_call('{"airun_create_run": {"name": "zero: \\u0000"}}') ->> 'name';
SELECT is_starred FROM airun_star_run('$run');
SELECT is_archived FROM airun_archive_run('$run');
SELECT status FROM airun_set_run_status('$run', 'completed');
SELECT seq FROM airun_append_message('$run', '{"role": "user", "content": "x"}');
SELECT status FROM airun_set_run_status('$run', 'active');
SELECT airun_append_message('$run', '"no object"');
SELECT airun_append_message('$other', '{"role": "user", "content": "x"}');
SELECT airun_create_run(id => 'none');
SELECT message_count FROM airun_truncate_messages('$run', 1);
SELECT airun_delete_run('$run'), airun_restore_run('$run');
SELECT airun_bucket(airun_user_id()) = airun_bucket('$first'), airun_user_id() = '$first';
SELECT count(*) FROM airun_check();
SELECT airun_rollup();
@{[$as->('authenticated', $second)]}
SELECT airun_get_run('$run');
SELECT airun_finish_turn('$task');
SELECT count(*) FROM airun_list_runs();
SELECT name FROM airun_create_run(name => 'of the second');
@{[$as->('authenticated', '')]}
SELECT airun_create_run();
@{[$as->('service_role', '')]}
SELECT name, user_id FROM airun_create_run(name => 'for the first', user_id => '$first');
SELECT seq FROM airun_append_message('$run', '{"role": "user", "content": "by a service"}');
SELECT status FROM airun_update_task('$task', 'late');
SELECT name, user_id FROM airun_list_runs() WHERE name <> '' ORDER BY name;
SELECT count(*) FROM airun_list_runs(page_size => 3);
SELECT count(*) FROM airun_search('service');
SELECT calls, total_avg IS NOT NULL, total_p50 IS NOT NULL FROM airun_usage('2020-01-01', '2100-01-01', 'all');
SELECT airun_get_run('$other');
SELECT count(*) FROM airun_check();
SELECT airun_expire_tasks();
@{[$as->('none', '')]}
SELECT count(*) FROM airun_check_usage();
SELECT airun_rollup() > 0, airun_rollup();
SELECT count(*) FROM airun_check_usage();
SELECT airun_purge_runs('2020-01-01');
END

# What a script answers, errors with all that they say, without what is drawn anew.  Where
# two stores write an error's context, it differs, so that it is left out.
sub answers
{
	my ($database, $schema, $sql) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ $proxy->installed_command('psql'), '-XAtq', '-d', $proxy->connstr($database), '-f', '-' ],
		'<', \"SET search_path = $schema, pg_catalog;\n\\set VERBOSITY default\n\\set SHOW_CONTEXT never\n$sql", '>&', \$out);
	$out =~ s/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z/<now>/g;
	$out =~ s/^psql:<stdin>:\d+: //mg;
	$out =~ s/^(?:LINE \d+:|\s+\^).*\n//mg;
	$out =~ s/^NOTICE:  PL\/Proxy: dropping stale conn\n//mg;
	return $out;
}

my ($through, $direct) = (answers('proxy', 'api', $script), answers('one', 'public', $script));
is($through, $direct, 'the answers and errors of a proxy are those of a store');
cmp_ok(() = $through =~ /^ERROR/mg, '>=', 10, 'errors are among them');

# One statement each, as a client without a session's state sends it, in a transaction that only reads
is(state_of($proxy, 'proxy', "BEGIN READ ONLY; SET LOCAL airun.user_id = '$first'; SELECT api.airun_create_run()"), '25006', 'what writes is refused where only reading is allowed');
is(on_proxy("BEGIN READ ONLY; SET LOCAL ROLE authenticated; SET LOCAL airun.user_id = '$first'; SELECT count(*) > 0 FROM api.airun_list_runs()"), 't', 'what reads is not');
is(join(' ', map { on_shard($_, "SELECT count(*) FROM airun.runs WHERE airun_bucket(user_id) % $shards <> $_") } 0 .. $shards - 1), join(' ', ('0') x $shards),
	'each user is on the shard of the bucket');
is(on_shard(0, "SELECT count(*) FROM airun.runs WHERE substr(id::text, 15, 1) = '8' AND ('x' || right(id::text, 3))::bit(12)::int <> airun_bucket(user_id)"), '0',
	'ids carry the bucket of their owner');
is(on_shard(0, 'SELECT string_agg(price_id::text, $$ $$ ORDER BY price_id) FROM airun.prices'),
	on_shard(1, 'SELECT string_agg(price_id::text, $$ $$ ORDER BY price_id) FROM airun.prices'), 'prices have the same ids on all shards');

#--- what a session prefers, and a shard --------------------------------------------------

for my $style ('SQL, DMY', 'German', 'Postgres, MDY')
{
	on_proxy("SET DateStyle = '$style'; SET extra_float_digits = -6; SET IntervalStyle = sql_standard;
		SELECT api.airun_set_price('$style', '{\"input\": 1}', per_tokens => 1000000, effective_from => make_timestamptz(2026, 3, 12, 0, 0, 0, 'UTC'));
		SELECT api.airun_set_budget('$style', 0.123456789012, count_from => 'now')");
	is(on_shard(1, "SELECT (SELECT effective_from = '2026-03-12Z' FROM airun.prices WHERE model = '$style'),
		(SELECT amount FROM airun.budgets WHERE name = '$style')"), 't|0.123456789012', "dates and figures arrive as they are: $style");
	is(on_proxy("SELECT api.airun_set_budget('$style', NULL)") =~ /^\d/ ? 'removed' : 'not', 'removed', 'and go');
}
$nodes[0]->safe_psql('postgres', "ALTER DATABASE shard0 SET DateStyle = 'SQL, DMY'; ALTER DATABASE shard0 SET extra_float_digits = -6");
is(on_proxy("SET airun.user_id = '$first'; SET ROLE authenticated; SELECT EXTRACT(epoch FROM created_at) FROM api.airun_list_runs(archived => true) WHERE id = '$run'"),
	on_shard(0, "SELECT EXTRACT(epoch FROM created_at) FROM airun.runs WHERE id = '$run'"), 'and come back so');
$nodes[0]->safe_psql('postgres', 'ALTER DATABASE shard0 RESET ALL');

#--- who is calling ----------------------------------------------------------------------

is(state_of($proxy, 'proxy', "SET ROLE authenticated; SELECT airun_remote.call(0, '')"), '42501', 'an API role cannot say who it is to a shard');
is(state_of($proxy, 'proxy', "SET ROLE authenticated; SELECT airun_remote.airun_list_runs(0, 0, '', '$first', 'authenticated', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"), '42501', 'nor of rows');
is(state_of($proxy, 'proxy', "SET ROLE authenticated; SELECT airun_lib.airun_store_enter(0, '', '$first', 'service_role')"), '42501', 'nor enter');
is(state_of($nodes[0], 'shard0', "SET ROLE authenticated; SELECT airun_store_enter(0, '', '$first', 'service_role')"), '42501', 'nor on the shard');
is(state_of($nodes[0], 'shard0', "SET ROLE authenticated; SELECT airun_store_receive('')"), '42501', 'nor call there');
for my $sql ('SELECT FROM airun.runs', 'SELECT airun_list_runs()', 'SELECT airun_remote.take_buckets(0, ARRAY[1])', 'SELECT airun_remote.drop_copy(0, 1, 50)',
	'SET ROLE postgres', "SELECT airun_remote.airun_list_runs(0, NULL, '', '', '@{[$proxy->safe_psql('postgres', 'SELECT current_user')]}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)")
{
	is(state_of($nodes[0], 'shard0', $sql, extra_params => [ '-U', 'airun_proxy' ]) =~ /^(42501|22023)$/ ? 'refused' : 'done', 'refused', "the proxy's role cannot: $sql");
}
is(on_proxy("SET ROLE operator; SELECT count(*) FROM api.airun_check_usage()" =~ s/SET ROLE operator; //r), '0', 'the owner of the proxy checks all shards');
is($proxy->safe_psql('proxy', 'SELECT api.airun_rollup()', extra_params => [ '-U', 'operator' ]), '0', 'an operator folds on all shards');
for my $sql ("ALTER USER MAPPING FOR CURRENT_USER SERVER airun OPTIONS (SET user 'airun_proxy')", "CREATE USER MAPPING FOR CURRENT_USER SERVER airun OPTIONS (user 'airun_proxy')",
	'SELECT airun_remote.airun_rollup(0, NULL, NULL, NULL, NULL, 1, 1)', "SELECT airun_remote.airun_erase_user(0, NULL, NULL, NULL, NULL, '$first', 1)", "SELECT api.airun_erase_user('$first')")
{
	like(state_of($proxy, 'proxy', $sql, extra_params => [ '-U', 'operator' ]), qr/^(42501|42704)$/, "an operator cannot: $sql");
}
is(state_of($proxy, 'proxy', 'SET ROLE authenticated; SELECT airun_remote.as_operator_airun_rollup(1, 1)'), '42501', 'nor is an API role an operator');

# Users after one another in one session, errors between: each sees his own
my $mixed = '';
for my $round (1 .. quick_or_long(20, 400))
{
	my $user = $users[$round % @users];
	$mixed .= "BEGIN; SET LOCAL ROLE authenticated; SELECT set_config('request.jwt.claims', '{\"sub\": \"$user\"}', true) IS NULL;
		SELECT 'LEAK' FROM api.airun_list_runs() WHERE user_id <> '$user'; SELECT api.airun_get_run('$other'); COMMIT;\n"
	  . "BEGIN; SET LOCAL ROLE authenticated; SELECT api.airun_create_run(name => 'nobody calls'); COMMIT;\n";
}
my $said = answers('proxy', 'pg_catalog', $mixed);
unlike($said, qr/LEAK/, 'no caller is left over for the next one');
is(scalar(() = $said =~ /no caller|nobody is calling|not known who is calling|PT401|who is calling/gi) > 0 ? 'told' : $said, 'told', 'where nobody calls, nobody is found');

# Words in the encoding of a client that is not the database's
is(on_proxy("SET airun.user_id = '$first'; SET ROLE authenticated; SET client_encoding = 'LATIN1'; SELECT name = U&'caf\\00e9', description = U&'na\\00efve'
	FROM api.airun_create_run(name => U&'caf\\00e9', description => U&'na\\00efve')"), 't|t', "words arrive in the client's encoding");

#--- what is not a shard's ----------------------------------------------------------------

my $wrong = on_proxy("SELECT b FROM generate_series(0, 4095) AS b WHERE b % $shards = 1 LIMIT 1");
sub received
{
	my ($call) = @_;
	return state_of($nodes[0], 'shard0', "SET airun.user_id = '$first'; SELECT airun_remote.call($call)");
}
is(received("airun_store_pack($wrong, 'airun_get_run'::text, '$run'::uuid, NULL::bigint, false)"), 'PT421', 'a shard refuses a bucket that it does not have');
is(state_of($nodes[0], 'shard0', "SELECT airun_remote.airun_list_runs(0, $wrong, '', '$first', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"), 'PT421', 'also for rows');

#--- calls that nobody has packed so ------------------------------------------------------

like(received("airun_store_pack(NULL::integer, 'airun_bucket'::text, '$first'::uuid)"), qr/^\\x0000/, 'a call in one value');
is(received("airun_store_pack(NULL::integer, 'airun_bucket'::text, NULL::uuid)"), received("airun_store_pack(NULL::integer, 'airun_bucket'::text, '00000000-0000-0000-0000-000000000000'::uuid)"), 'NULL is a value, too');
is(received("airun_store_pack(NULL::integer, '$_'::text, NULL::text)"), '42883', "$_() cannot be called so")
	for qw(airun_list_runs airun_guard_run airun_array_add airun_array_agg pg_sleep no_such_function);
is(received("$_); BEGIN; ALTER FUNCTION airun_bucket(uuid) RENAME TO airun_bucket_was; SELECT airun_remote.call($_"), '42883', 'also one that the session has found before')
	for "airun_store_pack(NULL::integer, 'airun_bucket'::text, NULL::uuid)";
is(received("airun_store_pack(NULL::integer, 'airun_bucket'::text)"), '42883', 'too few arguments are refused');
is(received("airun_store_pack(NULL::integer, 'airun_bucket'::text, '$first'::uuid, 1)"), '42883', 'too many are');
is(received("airun_store_pack(NULL::integer, 'airun_bucket'::text, 1)"), '08P01', 'and one that is too short');
is(received("airun_store_pack(NULL::integer, 'airun_bucket'::text, 'longer than an id'::text)"), '22P03', 'or too long');
is(received("substr(airun_store_pack(NULL::integer, 'airun_bucket'::text, '$first'::uuid), 1, $_)"), '08P01', "and $_ bytes of a call") for 0, 3, 20;
is(received("'\\x7fffffff00'"), '08P01', 'and a length that is not there');
is(state_of($nodes[0], 'shard0', "SET ROLE authenticated; SELECT airun_store_pack(0, 'airun_bucket'::text, '$first'::uuid)"), '42501', 'packing is for those who send');
is(state_of($proxy, 'proxy', "SET ROLE service_role; SELECT api.airun_create_run(user_id => '$first', id => '019c0000-0000-8000-8000-000000000$_')"), 'PT422',
	"an id with another user's bucket is refused") for on_proxy("SELECT lpad(to_hex((airun_lib.airun_bucket('$first') + 1) % 4096), 3, '0')");
is(state_of($proxy, 'proxy', "SET ROLE authenticated; SET airun.user_id = '$first'; SELECT api.airun_create_task('$run', '019c0000-0000-8000-8000-000000000$_')"), 'PT422',
	'also of a task') for on_proxy("SELECT lpad(to_hex((airun_lib.airun_bucket('$first') + 1) % 4096), 3, '0')");
for my $id (on_proxy("SELECT '019c0000-0000-8000-8000-000000000' || lpad(to_hex(airun_lib.airun_bucket('$first')), 3, '0')"))
{
	is(state_of($proxy, 'proxy', "SET ROLE service_role; SELECT api.airun_start_turn(run => '{\"id\": \"$id\", \"user_id\": \"$second\"}', messages => '[{\"role\": \"user\", \"content\": \"x\"}]')"), 'PT422',
		"nor is a run made for a user of another bucket");
	is(join(' ', map { on_shard($_, "SELECT count(*) FROM airun.runs WHERE id = '$id'") } 0 .. $shards), join(' ', ('0') x ($shards + 1)), 'none is there then');
}

#--- a shard that is away -----------------------------------------------------------------

$nodes[1]->safe_psql('postgres', "ALTER DATABASE shard1 ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shard1'");
is(state_of($proxy, 'proxy', "SET ROLE authenticated; SET airun.user_id = '$users[1]'; SELECT * FROM api.airun_list_runs()"), 'PT503', 'a shard that is away is PT503');
is(on_proxy("SET ROLE authenticated; SET airun.user_id = '$users[0]'; SELECT count(*) > 0 FROM api.airun_list_runs()"), 't', 'the others answer');
is(state_of($proxy, 'proxy', 'SET ROLE service_role; SELECT * FROM api.airun_list_runs()'), 'PT503', 'all together do not');
my ($status, $out, $err) = $proxy->psql('proxy', 'SET ROLE service_role; SET airun.partial_answers = on; SELECT count(*) > 0 FROM api.airun_list_runs()');
is($out, 't', 'but for who takes a part');
like($err, qr/WARNING:  shard 1 is left out/, 'who is told what lacks');
is(state_of($proxy, 'proxy', "SET ROLE service_role; SET airun.partial_answers = on; SELECT * FROM api.$_"), 'PT422', "what is wrong with a call is said then, too: $_")
	for "airun_search('x', sort => 'nonsense')", 'airun_list_runs(page_size => -5)', "airun_usage(now(), now(), zone => 'Nowhere')";
$nodes[$_]->safe_psql('postgres', "ALTER DATABASE shard$_ ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shard$_'") for 0 .. $shards - 1;
is(state_of($proxy, 'proxy', 'SET ROLE service_role; SET airun.partial_answers = on; SELECT * FROM api.airun_list_runs()'), 'PT503', 'where no shard answers, there is no part');
$nodes[$_]->safe_psql('postgres', "ALTER DATABASE shard$_ ALLOW_CONNECTIONS true") for grep { $_ != 1 } 0 .. $shards - 1;
like(on_proxy('SELECT problem FROM airun_lib.airun_shards() WHERE shard = 1'), qr/./, 'airun_shards() says so');
$nodes[1]->safe_psql('postgres', 'ALTER DATABASE shard1 ALLOW_CONNECTIONS true');

#--- a call that a shard cancels ----------------------------------------------------------

# PL/Proxy would wait for ever for a shard that says 57014
on_shard(0, <<'END');
CREATE FUNCTION cancel() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM pg_cancel_backend(pg_backend_pid()), pg_sleep(60); RETURN NEW; END $$;
CREATE TRIGGER cancel BEFORE INSERT ON airun.messages FOR EACH ROW WHEN (NEW.message ->> 'content' = 'cancel') EXECUTE FUNCTION cancel();
END
for my $call ("airun_append_message('$run', '{\"role\": \"user\", \"content\": \"cancel\"}')", "airun_append_messages('$run', '[{\"role\": \"user\", \"content\": \"cancel\"}]')")
{
	(undef, undef, $err) = $proxy->psql('proxy', "\\set VERBOSITY verbose\nSET ROLE authenticated; SET airun.user_id = '$first'; SELECT * FROM api.$call", timeout => 120);
	like($err, qr/ERROR:  57014: canceling statement due to user request\n/, 'a call that a shard has cancelled is cancelled');
}
on_shard(0, 'DROP FUNCTION cancel CASCADE');

#--- a bucket that is closed --------------------------------------------------------------

is(state_of($proxy, 'proxy', "SELECT airun_remote.failed(500, 'PT421', 'bucket 1 is not on this shard', '', '')"), 'PT503', 'a bucket that stays closed is PT503');
on_shard(0, "UPDATE airun_remote.buckets SET is_moving = true WHERE bucket = airun_bucket('$first')");
my ($found, $notices) = ('', '');
my $waiting = IPC::Run::start([ $proxy->installed_command('psql'), '-XAtq', '-d', $proxy->connstr('proxy'), '-c',
	"SET client_min_messages = notice; SET ROLE authenticated; SET airun.user_id = '$first'; SELECT api.airun_get_run('$run') ->> 'name'" ],
	'<', '/dev/null', '>', \$found, '2>', \$notices, IPC::Run::timeout(120));
usleep(300_000);
is(state_of($nodes[0], 'shard0', "SELECT airun_erase_user('$first')"), '55006', 'nobody is erased while her bucket moves');
on_shard(0, 'UPDATE airun_remote.buckets SET is_moving = false');
on_shard(0, "INSERT INTO airun_remote.arriving VALUES (airun_bucket('$second'))");
is(state_of($nodes[0], 'shard0', "SELECT airun_erase_user('$second')"), '55006', 'nor where there is a copy of hers');
on_shard(0, 'DELETE FROM airun_remote.arriving');
IPC::Run::finish($waiting);
is("$found$notices", "a run\n", 'a call waits for its bucket, and says nothing of it');

#--- figures of all ------------------------------------------------------------------------

($status, $out, $err) = $proxy->psql('proxy', "SET ROLE authenticated; SET airun.user_id = '$second';
	SELECT api.airun_start_turn(run => '{}', task_id => '@{[numbered_id(7, 4)]}') \\g /dev/null
	SELECT api.airun_finish_turn('@{[numbered_id(7, 4)]}', response_text => 'x') \\g /dev/null
	SET airun.user_id = ''; SET ROLE service_role;
	SELECT calls > 0, total_avg, total_p50 FROM api.airun_usage('2020-01-01', '2100-01-01', 'all');
	SELECT count(total_p50) FROM api.airun_usage('2020-01-01', '2100-01-01', 'all', group_by => '{user_id}')");
is($out, "t||\n2", 'durations of two shards are not added up, and those of each user are told');
is(scalar(() = $err =~ /WARNING:  durations of what several shards have are left out/g), 1, 'which is said');
is(state_of($proxy, 'proxy', 'SET ROLE service_role; SELECT api.airun_usage_page()'), '0A000', 'a page of all shards is refused');
for my $body ('{"airun_list_runs": {}}', '{"airun_expire_tasks": {}}', '{"airun_usage": {"from_time": "2020-01-01", "to_time": "2100-01-01"}}')
{
	is(state_of($proxy, 'proxy', "SET ROLE service_role; SELECT api.airun_call('$body')"), '0A000', "one shard does not answer for all: $body");
	is(state_of($proxy, 'proxy', "SET ROLE authenticated; SET airun.user_id = '$first'; SELECT api.airun_call('$body') IS NOT NULL"), 't', 'a user is on one');
}
is(on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; SELECT api.airun_usage_page() LIKE '<!DOCTYPE html>%'"), 't', 'a user has a page');
is(on_proxy("SELECT api.airun_set_budget('for all', 1000000, measure => 'calls', period => 'none', count_from => 'now')") =~ /^\d+$/ ? 'set' : 'not', 'set', 'a budget for all');

#--- what adds up when it is sent again ------------------------------------------------------

# A credit goes to one shard where it can; else who has failed says who has done it
my $last = $shards - 1;
my $credits = "SELECT COALESCE(sum(p.credit), 0) FROM airun.budget_periods AS p JOIN airun.budgets AS b ON b.id = p.budget_id WHERE b.valid_to IS NULL AND b.name";
sub credits { my ($budget) = @_; return join(' ', map { on_shard($_, "$credits = '$budget'") } 0 .. $last); }
sub refused_with
{
	my ($sql) = @_;
	my (undef, undef, $err) = $proxy->psql('proxy', "\\set VERBOSITY verbose\n$sql");
	my ($state) = $err =~ /ERROR:\s+(\w{5})/;
	my ($done) = $err =~ /It has been done on these shards: ([\d, ]+)\./;
	my ($hint) = $err =~ /HINT:\s+(.*)/;
	return ($state, $done, $hint, $err);
}
my $on_others = join(', ', 0 .. $last - 1);
on_proxy("SELECT api.airun_set_budget('each user', 1000000, 'user', measure => 'calls', period => 'none'), api.airun_set_budget('each run', 1000000, 'run', measure => 'tokens', period => 'none'),
	api.airun_set_budget('to end', 1000000, measure => 'calls')");
$nodes[$last]->safe_psql('postgres', "ALTER DATABASE shard$last ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shard$last'");
is(on_proxy("SELECT api.airun_credit_budget('each user', 3, '$first')"), '3', 'a credit of a user needs her shard alone');
is(state_of($proxy, 'proxy', "SELECT api.airun_credit_budget('each user', 3, '$users[$last]')"), 'PT503', 'and that one it needs');
for my $call ("airun_credit_budget('for all', 3)", "airun_set_budget('to end', NULL)")
{
	my ($state, $done, $hint) = refused_with("SELECT api.$call");
	my ($name) = $call =~ /^(\w+)/;
	is("$state: $done", "PT503: $on_others", "which shards have done it is told: $call");
	is($hint, "Call $name() on the shards that lack it themselves, not here again.", 'and that it is not to be sent again');
}
my ($state, $done, $hint) = refused_with("SELECT api.airun_set_price('gpt-z', '{\"input\": 1}', per_tokens => 1000000)");
is("$state: $done", "PT503: $on_others", 'so it is of a price from now on');
like($hint, qr/^Send it again with effective_from => '[^']+'\.$/, 'which is sent again with its time');
($state, $done, my $plain) = refused_with('SELECT api.airun_rollup()');
is("$state: $done $plain", "PT503: $on_others Send it again in a moment.", 'what can be sent again is');
$nodes[$last]->safe_psql('postgres', "ALTER DATABASE shard$last ALLOW_CONNECTIONS true");
is(credits('for all'), join(' ', ('3') x $last, '0'), 'a credit for all lacks on that shard');
on_shard($last, "SELECT airun_credit_budget('for all', 3), airun_set_budget('to end', NULL)");
is(credits('for all'), join(' ', ('3') x $shards), 'and is made good there');
is(on_shard($_, "SELECT count(*) FROM airun.budgets WHERE name = 'to end' AND valid_to IS NULL"), '0', "the budget has ended on shard $_") for 0, $last;
on_proxy("SELECT api.airun_set_price('gpt-z', '{\"input\": 1}', per_tokens => 1000000, effective_from => '$1')") if $hint =~ /'([^']+)'/;
is(on_shard($last, $_), on_shard(0, $_), 'a price has one id then, too') for "SELECT price_id FROM airun.prices WHERE model = 'gpt-z'";

# where somebody else fails than a shard that is away
on_shard($last, q(CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not here' USING ERRCODE = 'PT409'; END $$;
	CREATE TRIGGER refuse BEFORE UPDATE ON airun.budget_periods FOR EACH ROW EXECUTE FUNCTION refuse()));
($state, $done) = refused_with("SELECT api.airun_credit_budget('for all', 1)");
is("$state: $done", "PT409: $on_others", 'any error says so');
on_shard($last, 'DROP TRIGGER refuse ON airun.budget_periods; DROP FUNCTION refuse()');
on_shard($_, "SELECT airun_credit_budget('for all', -1)") for 0 .. $last - 1;

# a run's counter is on its shard; of one that is nowhere, on all
is(on_proxy("SELECT api.airun_credit_budget('each run', 2, '$run')"), '2', 'a credit of a run');
is(credits('each run'), join(' ', '2', ('0') x $last), 'is on the shard of the run');
is(on_proxy("SELECT api.airun_credit_budget('each run', 2, '@{[numbered_id(9, 1)]}')"), '2', 'and of a run that is not there');
is(credits('each run'), join(' ', '4', ('2') x $last), 'on all');
on_shard($_, "DELETE FROM airun.budget_periods WHERE value = '@{[numbered_id(9, 1)]}'") for 0 .. $last;
is(credits('each user'), join(' ', '3', ('0') x $last), 'and that of a user on hers');
is(state_of($proxy, 'proxy', "SELECT api.airun_credit_budget('each user', 3, '$_')"), 'PT422', "no user is '$_'") for 'ann', '';
is(state_of($proxy, 'proxy', "SELECT api.airun_credit_budget('none', 3, '$first')"), 'PT404', 'there is no such budget');

# what her counter says is told by her shard, whatever has been spent in one on another shard
on_shard($last, "INSERT INTO airun.budget_periods (id, budget_id, value, period_key, slot, base, spent, credit)
	SELECT (b.id << 40) + 1, b.id, '$first', '', 0, 500, 500, 8 FROM airun.budgets AS b WHERE b.name = 'each user' AND b.valid_to IS NULL");
my $amount = "SELECT amount FROM api.airun_budget_status('each user') WHERE value = '$first'";
is(on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; $amount"), '1000003', 'a user sees her limit');
is($proxy->safe_psql('proxy', $amount, extra_params => [ '-U', 'operator' ]), '1000003', 'and a reporter sees the same');
on_shard($last, "DELETE FROM airun.budget_periods WHERE spent = 500");

#--- moving --------------------------------------------------------------------------------

is(state_of($proxy, 'proxy', 'CALL airun_lib.airun_move_bucket(4096, 0)'), 'PT422', 'there is no such bucket');
is(state_of($proxy, 'proxy', "CALL airun_lib.airun_move_bucket(0, $shards)"), 'PT422', 'there is no such shard');

is(on_proxy("SELECT api.airun_set_budget('each user', 1000000, 'user', measure => 'calls', period => 'none')") =~ /^\d+$/ ? 'one' : 'none', 'one', 'a budget has one id on all shards');

# Users of one bucket, and their clients, each with a run of its own and tasks, too
my $bucket = on_proxy("SELECT airun_lib.airun_bucket('$first')");
my @clients = 1 .. 4;
my $dir = PostgreSQL::Test::Utils::tempdir();
on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; SELECT api.airun_create_run(id => '" . numbered_id(8, $_) . "')") for @clients;
my @running;
for my $client (@clients)
{
	my $id = numbered_id(8, $client);
	my $sql = "SET client_min_messages = error; SET ROLE authenticated; SET airun.user_id = '$first';\n";

	# until the moves are over
	for (1 .. quick_or_long(300, 20_000))
	{
		$sql .= "SELECT 'kept ' || message_id FROM api.airun_append_message('$id', '{\"role\": \"user\", \"content\": \"$_\"}', '$client-$_');\n"
		  . "SELECT 'metered ' || id FROM api.airun_meter(model_id => 'gpt-x', provider => 'openai', tokens_input => 1, tokens_output => 1);\n";
		$sql .= "SELECT pg_sleep(0.1) \\g /dev/null\n" if $ENV{AIRUN_LONG};
		$sql .= "\\set over `test -e $dir/over && echo true || echo false`\n\\if :over\n\\q\n\\endif\n" if $_ % 10 == 0;
	}
	append_to_file("$dir/$client.sql", $sql);
	push @running, IPC::Run::start([ $proxy->installed_command('psql'), '-XAtq', '-d', $proxy->connstr('proxy'), '-f', "$dir/$client.sql" ],
		'<', '/dev/null', '>', "$dir/$client.out", '2>', "$dir/$client.err", IPC::Run::timeout(1500));
}
my ($moves, $killed, $crashed, $closed) = (0, 0, 0, 0);
while ($moves < quick_or_long(3, 20))
{
	my $target = ($moves + 1) % $shards;
	my ($move_out, $move_err) = ('', '');
	my $mover = IPC::Run::start([ $proxy->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $proxy->connstr('proxy') . q( application_name=mover options='-c client_min_messages=notice'),
		'-c', "CALL airun_lib.airun_move_bucket($bucket, $target)" ], '<', '/dev/null', '>', \$move_out, '2>', \$move_err, IPC::Run::timeout(600));

	# every second mover is killed somewhere on its way, with its sessions on the shards, and called again
	if ($moves % 2 == 1 && $killed < 2 * $moves)
	{
		usleep(1000 * int(rand(250)));
		$_->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mover' OR
			(query LIKE '%airun_remote.%' AND usename = current_user AND pid <> pg_backend_pid() AND datname LIKE 'shard%')") for $proxy, ($ENV{AIRUN_LONG} ? @nodes : ());
		$killed++;
	}
	# in the long form every fourth time the server of the source crashes, or of the target
	if ($ENV{AIRUN_LONG} && $moves % 4 == 2 && $crashed <= $moves / 4)
	{
		my $node = $nodes[ $crashed++ % 2 == 0 ? $target : $moves % $shards ];

		usleep(1000 * int(rand(1000)));
		$node->stop('immediate');
		$node->start;
	}
	IPC::Run::finish($mover);
	$moves++ if $mover->result == 0;
	$closed = max($closed, $move_err =~ /it was closed for (\d+) ms/ ? $1 : 0);
}
append_to_file("$dir/over", '');
IPC::Run::finish($_) for @running;
my ($kept, $wrongly, $metered, $unanswered) = (0, 0, 0, 0);
for my $client (@clients)
{
	my $file = slurp_file("$dir/$client.out");
	my %acknowledged = map { $_ => 1 } $file =~ /^kept (\S+)$/mg;
	my @stored = map { split /\n/, on_shard($_, "SELECT message_id FROM airun.messages WHERE run_id = '" . numbered_id(8, $client) . "'") } 0 .. $shards - 1;
	my %stored;

	$stored{$_}++ for @stored;
	$metered += () = $file =~ /^metered /mg;
	$kept += keys %acknowledged;
	$wrongly += grep { ($stored{$_} // 0) != 1 } keys %acknowledged;
	$wrongly += grep { $stored{$_} > 1 } keys %stored;
	# only a server that has crashed leaves calls without an answer
	my @errors = grep { /^psql:.*? (?:ERROR|FATAL|PANIC):/ } split /\n/, slurp_file("$dir/$client.err");
	$unanswered += @errors;
	is(join("\n", grep { !$crashed || !/ERROR:  a shard of the store cannot be reached/ } @errors), '', "client $client has met no error");
}
is($wrongly, 0, "$kept acknowledged messages are there once, while their bucket has moved $moves times, $killed movers were killed and $crashed servers crashed");
my $charged = on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; SELECT sum(calls) FROM api.airun_usage('2020-01-01', '2100-01-01', 'all', kind => 'call')") - 2;
ok($charged >= $metered && $charged <= $metered + $unanswered, "each of $metered calls is charged once ($charged are; $unanswered had no answer)");
is(on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; SELECT spent, held, amount FROM api.airun_budget_status()"), "$charged|0|1000003",
	"what a user has spent of her budget moves with her, and what has been added to it");
is($proxy->safe_psql('proxy', 'SELECT budget, count(*), sum(spent) FROM api.airun_budget_status() GROUP BY 1 ORDER BY 1', extra_params => [ '-U', 'operator' ]),
	"each run|$shards|0\neach user|1|$charged\nfor all|$shards|$charged", 'reporters see each user once, and of another budget what each shard has');
is(on_proxy('SELECT count(problem), sum(moving), sum(buckets) FROM airun_lib.airun_shards()'), '0|0|4096', 'the shards have what the map says');
for my $shard (0 .. $shards - 1)
{
	is(on_shard($shard, 'SELECT airun_rollup(); SELECT * FROM airun_check()') =~ s/^\d+\n?//r, '', "airun_check() has no row on shard $shard");
	is(on_shard($shard, 'SELECT * FROM airun_check_usage()'), '', "nor has airun_check_usage()");
	is(on_shard($shard, 'SELECT * FROM airun_check_budgets()'), '', "nor has airun_check_budgets()");
}
proven('messages appended while their bucket moves', $kept);
proven('longest time that a moving bucket was closed, ms', $closed);

#--- what moving refuses, and how it is broken off -----------------------------------------

my ($from, $to) = (on_proxy("SELECT shard FROM airun_remote.buckets WHERE bucket = $bucket"), 0);
$to = $from == 0 ? 1 : 0;
my $move = "CALL airun_lib.airun_move_bucket($bucket, $to)";
my $where = "SELECT shard FROM airun_remote.buckets WHERE bucket = $bucket";
my $writes = "SET ROLE authenticated; SET airun.user_id = '$first'; SELECT seq > 0 FROM api.airun_append_message('$run', '{\"role\": \"user\", \"content\": \"still there\"}')";

is(state_of($proxy, 'proxy', 'CALL airun_lib.airun_move_bucket(NULL, 0)'), 'PT422', 'no bucket is none');
is(state_of($proxy, 'proxy', 'CALL airun_lib.airun_move_bucket(0, NULL)'), 'PT422', 'no shard is none');

# somebody else's run there has the id of a run that moves, and stays as it is
my ($stranger) = grep { $_ ne $first } @users;
on_shard($to, "SELECT airun_create_run(id => '$run', user_id => '$stranger', name => 'a stranger''s')");
is(state_of($proxy, 'proxy', $move), 'PT409', 'a run with the same id on the target is refused');
is(on_shard($to, "SELECT name, user_id FROM airun.runs WHERE id = '$run'"), "a stranger's|$stranger", 'and is left alone');
on_shard($to, "DELETE FROM airun.runs WHERE id = '$run'");

# stores of two versions
on_shard($to, 'ALTER TABLE airun.messages ADD COLUMN odd integer');
is(state_of($proxy, 'proxy', $move), '55000', 'shards with other columns are refused');
on_shard($to, 'ALTER TABLE airun.messages DROP COLUMN odd');
on_shard($to, 'ALTER FUNCTION airun_remote.bucket_state(integer, integer) RENAME TO bucket_state_of_old');
is(state_of($proxy, 'proxy', $move), '55000', 'so are shards of another version');
on_shard($to, 'ALTER FUNCTION airun_remote.bucket_state_of_old(integer, integer) RENAME TO bucket_state');

# the target fails, or the mover is cancelled, while the bucket is closed: it is open again where it was
on_shard($to, 'ALTER FUNCTION airun_remote.arrive(integer, integer, jsonb[], numeric) RENAME TO arrive_not');
is(state_of($proxy, 'proxy', $move), '42883', 'a target that fails at the end is told');
is(on_proxy($where) . on_proxy($writes), "${from}t", 'the bucket is where it was, and open');
on_shard($to, "CREATE FUNCTION airun_remote.arrive(integer, integer, jsonb[], numeric) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); END'");
my $cancelled = IPC::Run::start([ $proxy->installed_command('psql'), '-XAtq', '-d', $proxy->connstr('proxy') . ' application_name=cancelled', '-c', $move ],
	'<', '/dev/null', '>', \my $cancelled_out, '2>', \my $cancelled_err, IPC::Run::timeout(300));
$nodes[$to]->poll_query_until($databases[$to], "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%airun_remote.arrive(%' AND wait_event = 'PgSleep'")
	or die 'the bucket does not arrive';
is(on_shard($from, "SELECT is_moving FROM airun_remote.buckets WHERE bucket = $bucket"), 't', 'the bucket is closed');
$proxy->safe_psql('postgres', "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'cancelled'");
IPC::Run::finish($cancelled);
like($cancelled_err, qr/canceling statement due to user request/, 'a mover is cancelled');
is(on_proxy($where) . on_proxy($writes), "${from}t", 'the bucket is where it was, and open');
on_shard($to, 'DROP FUNCTION airun_remote.arrive(integer, integer, jsonb[], numeric); ALTER FUNCTION airun_remote.arrive_not(integer, integer, jsonb[], numeric) RENAME TO arrive');

# two at once
my $holder = $proxy->background_psql('proxy');
ask($holder, "SELECT pg_advisory_lock(1634300534, $bucket)");
is(state_of($proxy, 'proxy', $move), '55006', 'a bucket is moved by one at a time');
$holder->quit;

# what belongs to a run or a user moves
is(on_shard(0, "SELECT string_agg(DISTINCT c.relname, ' ') FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
	WHERE c.relnamespace = 'airun'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname IN ('run_id', 'user_id')
		AND c.oid NOT IN (SELECT t.relation::regclass FROM airun_remote.moving_tables AS t)"), 'usage_build usage_ledger usage_people usage_tail', 'no table is forgotten that is not of the ledger');
is(on_shard(0, "SELECT string_agg(name, ' ' ORDER BY name) FROM airun_remote.entry_columns WHERE is_figure"),
	'calls cost first_token_us tokens_cache_read tokens_cache_write tokens_input tokens_output total_us', "an entry's figures have a sign");

# what has been copied shows nowhere, and nothing is done to it
my $late = numbered_id(7, 8);
on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; SELECT api.airun_create_task('$run', '$late', model_id => 'gpt-x') IS NULL; SELECT api.airun_start_call('$late', model_id => 'gpt-x') IS NULL");
on_shard($from, "SET session_replication_role = replica; UPDATE airun.tasks SET updated_at = '2020-01-01' WHERE task_id = '$late'; UPDATE airun.calls SET updated_at = '2020-01-01' WHERE id = '$late'");
on_proxy("SELECT airun_lib.airun_store_precopy_bucket($bucket, $from, $to) IS NULL");
is(on_shard($to, "SELECT count(*) FROM airun.tasks JOIN airun.calls ON id = task_id WHERE task_id = '$late'"), '1', 'a bucket has been copied');
is(on_proxy('SET ROLE service_role; SELECT count(*) > 0, count(*) - count(DISTINCT id) FROM api.airun_list_runs(page_size => 1000)'), 't|0', 'no run is listed twice');
is(on_proxy("SET ROLE service_role; SELECT count(*) > 0, count(*) - count(DISTINCT (run_id, seq)) FROM api.airun_search('there')"), 't|0', 'no message is found twice');
is(on_shard($to, 'SELECT airun_expire_tasks(), airun_expire_calls()'), '0|0', 'nothing expires in a copy');
is(on_proxy("SELECT problem FROM airun_lib.airun_shards() WHERE shard = $to"), "has copies from moves that have not ended, of buckets $bucket", 'airun_shards() tells of it');

# what is left of all these goes with a move to where it is
on_proxy("CALL airun_lib.airun_move_bucket($bucket, $from)");
is(on_shard($to, "SELECT count(*) FROM airun.runs WHERE airun_bucket(user_id) = $bucket"), '0', 'nothing is left of a move that was broken off');
is(on_proxy('SELECT count(problem), sum(moving) FROM airun_lib.airun_shards()'), '0|0', 'and all shards have what the map says');
is(on_shard($from, 'SELECT airun_expire_tasks(), airun_expire_calls()'), '1|1', 'what is overdue expires where it is');

# JSON null is not NULL, whatever style and time zone the shards have
my $nulls = numbered_id(7, 10);
on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; SELECT api.airun_create_task('$run', '$nulls', request_data => 'null', timeout => '1 day 2 hours') IS NULL; SELECT api.airun_complete_task('$nulls', 'x', usage => 'null', response_data => 'null') IS NULL");
my $row = "SELECT request_data = 'null' AND response_data = 'null' AND usage = 'null' AND error IS NULL, timeout = '1 day 2 hours', EXTRACT(epoch FROM created_at) FROM airun.tasks WHERE task_id = '$nulls'";
my $as_it_was = on_shard($from, $row);
like($as_it_was, qr/^t\|t\|\d/, 'a task with JSON null');
$nodes[$to]->safe_psql('postgres', "ALTER DATABASE $databases[$to] SET timezone = 'Asia/Tokyo'; ALTER DATABASE $databases[$to] SET DateStyle = 'German'; ALTER DATABASE $databases[$to] SET IntervalStyle = 'iso_8601'");

# a run takes what it has spent of its budget along
on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; SELECT api.airun_start_turn(run_id => '" . numbered_id(8, 1) . "', task_id => '" . numbered_id(7, 9) . "', model_id => 'gpt-x') IS NULL");
on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; SELECT api.airun_finish_turn('" . numbered_id(7, 9) . "', '{\"role\": \"assistant\", \"content\": \"x\"}', usage => '{\"prompt_tokens\": 40, \"completion_tokens\": 2}') IS NULL");
on_proxy($move);
$nodes[$to]->safe_psql('postgres', "ALTER DATABASE $databases[$to] RESET ALL");
is(on_shard($to, $row), $as_it_was, 'comes as it was');
is(join(' ', map { on_shard($_, "SELECT spent, held FROM airun.budget_periods WHERE value = '" . numbered_id(8, 1) . "'") } $from, $to), ' 42|0', 'what a run has spent of its budget moves with it');
is(on_shard($_, 'SELECT airun_rollup() * 0; SELECT * FROM airun_check(); SELECT * FROM airun_check_budgets()'), '0', "shard $_ is clean") for $from, $to;

#--- one more shard --------------------------------------------------------------------------

on_proxy("SELECT airun_lib.airun_install_proxy(@{[connections($shards + 1)]}, 'api')");
is(on_proxy("SELECT buckets FROM airun_lib.airun_shards() WHERE shard = $shards"), '0', 'a new shard has no bucket');
on_proxy("SELECT api.airun_grant('authenticated'), api.airun_grant('service_role')");
my $before = on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; SELECT * FROM api.airun_list_runs() ORDER BY id");
on_proxy("CALL airun_lib.airun_move_bucket($bucket, $shards)");
is(on_proxy("SET ROLE authenticated; SET airun.user_id = '$first'; SELECT * FROM api.airun_list_runs() ORDER BY id"), $before, 'a bucket moves there');
# Of its fair share all but some get there without a move, since they are empty
my $taken = join ', ', 0, map { "airun_lib.airun_bucket('$_')" } @users;
my $empty = on_proxy("SELECT string_agg(bucket::text, ',') FROM (SELECT bucket FROM airun_remote.buckets
	WHERE shard <> $shards AND bucket NOT IN ($taken)
	ORDER BY row_number() OVER (PARTITION BY shard ORDER BY bucket), shard LIMIT 4096 / ($shards + 1) - 4) AS b");
on_shard($_, "DELETE FROM airun_remote.buckets WHERE bucket IN ($empty)") for 0 .. $shards - 1;
on_shard($shards, "INSERT INTO airun_remote.buckets (bucket) SELECT unnest(ARRAY[$empty])");
on_proxy("UPDATE airun_remote.buckets SET shard = $shards WHERE bucket IN ($empty)");
on_proxy('CALL airun_lib.airun_spread_buckets()');
is(on_proxy('SELECT max(buckets) - min(buckets) <= 1, sum(buckets), count(problem) FROM airun_lib.airun_shards()'), 't|4096|0', 'buckets are spread evenly');

on_proxy("SET ROLE authenticated; SET airun.user_id = '$second'; SELECT api.airun_meter(model_id => 'gpt-x', provider => 'openai', tokens_input => 1, tokens_output => 1)");
my $counters = "SELECT count(*) FROM airun.budget_periods WHERE value = '$second'";
is(join(' ', sort map { on_shard($_, $counters) } 0 .. $shards), join(' ', ('0') x $shards, '1'), 'a user has a counter of her own, on her shard');
is(on_proxy("SELECT is_done, runs > 0 FROM api.airun_erase_user('$second')"), 't|t', 'a user is forgotten, wherever she is');

is(join(' ', map { on_shard($_, $counters) } 0 .. $shards), join(' ', ('0') x ($shards + 1)), 'her counters of budgets with her');

my $somebody = '77777777-7777-4777-8777-777777777777';
is(on_proxy("SET ROLE service_role; SELECT api.airun_call('{\"airun_start_turn\": {\"run\": {\"user_id\": \"$somebody\"}, \"messages\": [{\"role\": \"user\", \"content\": \"q\"}]}}') #>> '{run,user_id}'"),
	$somebody, 'a turn for a user finds her shard by a raw body, too');

# a version 7 id does not tell; who owns a run that is there is not asked
my $known = numbered_id(7, 12);
on_proxy("SET ROLE service_role; SELECT api.airun_create_run(id => '$known', user_id => '$first')");
is(on_proxy("SET ROLE service_role; SELECT api.airun_start_turn(run => '{\"id\": \"$known\"}', messages => '[{\"role\": \"user\", \"content\": \"q\"}]') #>> '{run,user_id}'"),
	$first, 'a service goes on with a run that is there, by an id that does not tell its bucket');

# What somebody has used in another's run stays with that run, wherever the two of them move; what erased users have
# cost stays where it is
{
	my ($host, $guest) = split /\n/, on_proxy(<<"END");
SELECT DISTINCT ON (b.shard) u
FROM (SELECT format('00000000-0000-4000-9000-%s', lpad(i::text, 12, '0'))::uuid AS u FROM generate_series(1, 100) AS i) AS x
JOIN airun_remote.buckets AS b ON b.bucket = airun_lib.airun_bucket(u) ORDER BY b.shard, u LIMIT 2
END
	my $call = 0;
	on_proxy("SELECT api.airun_grant('service_role')");
	# ids that carry a bucket, by which others find them
	my %run_of = map { $_ => on_proxy("SET ROLE service_role; SET airun.user_id = '$_'; SELECT id FROM api.airun_create_run()") } $host, $guest;
	for my $pair ([ $host, $host ], [ $guest, $guest ], [ $guest, $host ], [ $host, $guest ])
	{
		my ($user, $owner) = @$pair;

		$call++;
		on_proxy("SET ROLE service_role; SET airun.user_id = '$user'; SELECT task_id AS task FROM api.airun_create_task('$run_of{$owner}', model_id => 'gpt-x', provider => 'openai') \\gset
			SELECT (api.airun_complete_task(:'task', 'x', usage => '{\"prompt_tokens\": ${call}00000, \"completion_tokens\": 1}', run_id => '$run_of{$owner}')).status");
	}
	my $sums = "SET ROLE service_role; SET airun.user_id = ''; SELECT user_id, sum(calls), sum(tokens_input) FROM api.airun_usage('2020-01-01', '2100-01-01', 'all', group_by => '{user_id}') GROUP BY 1 ORDER BY 1";
	my $used = on_proxy($sums);
	my $bucket_of = sub { return on_proxy("SELECT airun_lib.airun_bucket('$_[0]')") };
	my $shard_of = sub { return on_proxy("SELECT shard FROM airun_remote.buckets WHERE bucket = $_[0]") };
	my ($host_bucket, $guest_bucket) = map { $bucket_of->($_) } $host, $guest;
	my ($hosts, $guests) = map { $shard_of->($_) } $host_bucket, $guest_bucket;
	my ($third) = grep { $_ != $hosts && $_ != $guests } 0 .. $shards;
	my $nobodys = $shard_of->(0);

	like($used, qr/^$guest\|2\|500000$/m, 'two users have worked in runs of each other');
	for my $move ([ $guest_bucket, $hosts ], [ $guest_bucket, $third ], [ $host_bucket, $guests ], [ 0, ($nobodys + 1) % ($shards + 1) ], [ 0, ($nobodys + 2) % ($shards + 1) ])
	{
		on_proxy("CALL airun_lib.airun_move_bucket($move->[0], $move->[1])");
		is(on_proxy($sums), $used, "no sum of anybody's has changed when bucket $move->[0] has moved to shard $move->[1]");
		is(join('', map { on_shard($_, 'SELECT * FROM airun_check_usage()') } 0 .. $shards), '', 'and on each shard the ledger agrees with what is there');
		is(join('', map { on_shard($_, 'SELECT * FROM airun_remote.arriving_entries') } 0 .. $shards), '', 'nothing waits any more');
	}
}

done_testing();
