# A standby holds what the primary holds, byte for byte, compared in the middle of
# a load, and its own recount finds no difference at any moment.  Every function
# that only reads, found in the catalogue, answers there as on the primary; every
# other one is refused with 25006.  A reader on the standby hears of pieces and
# prices as they come.  Promoted, it goes on where the primary was: in sessions
# that were open before, with tasks that were streaming, under load.
#
# AIRUN_SEED=N repeats a load's random choices.

use strict;
use warnings;

use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $user = '10000000-0000-4000-8000-000000000001';
my $run = numbered_id(1, 1);
my $deleted = numbered_id(1, 2);
my $pending = numbered_id(2, 1);
my $streaming = numbered_id(2, 2);
my $ended = numbered_id(2, 3);
my $overdue = numbered_id(2, 4);
my $hidden = numbered_id(2, 5);
my $nobody = numbered_id(9, 9);

my $seed = $ENV{AIRUN_SEED} // time % 1_000_000;
note "AIRUN_SEED=$seed";

# A standby that never cancels a query, so that nothing here depends on how fast
# anything is
my $node = airun_node('primary', allows_streaming => 1, conf => <<'END');
max_standby_streaming_delay = -1
hot_standby_feedback = on
END
$node->safe_psql('postgres', <<"SQL");
CREATE ROLE app;
SELECT airun_grant('app');
SELECT airun_create_run(id => ('00000003-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid, user_id => '$user') FROM generate_series(1, 8) AS i;
SQL

#--- a load, and what it leaves on both ------------------------------------------

# One of the things that a client does; none of them can be refused
my $load = <<"SQL";
\\set run random(1, 8)
\\set what random(1, 10)
\\if :what <= 4
SELECT airun_append_message(('00000003-0000-7000-8000-' || lpad(:run::text, 12, '0'))::uuid, jsonb_build_object('role', 'user', 'content', repeat('Grüße ', 1 + random_text)))
FROM CAST(:what * 37 AS int) AS random_text;
\\elif :what <= 7
SELECT airun_start_turn(('00000003-0000-7000-8000-' || lpad(:run::text, 12, '0'))::uuid, '{"role": "user", "content": "and?"}', model_id => 'm') #>> '{task,task_id}' AS task \\gset
SELECT airun_stream_delta(:task, repeat('piece ', 100));
SELECT airun_update_task(:task, repeat('piece ', 100) || 'and the last one');
\\if :what = 5
SELECT airun_finish_turn(:task, '{"role": "assistant", "content": "so it is"}', usage => '{"prompt_tokens": 11, "completion_tokens": 7}');
\\elif :what = 6
SELECT airun_fail_task(:task, '{"code": 529}', tokens_input => 5);
\\endif
\\elif :what = 8
BEGIN;
SELECT airun_toggle_star(('00000003-0000-7000-8000-' || lpad(:run::text, 12, '0'))::uuid);
SELECT airun_append_message(('00000003-0000-7000-8000-' || lpad(:run::text, 12, '0'))::uuid, '{"role": "user", "content": "taken back"}');
ROLLBACK;
\\elif :what = 9
SELECT (airun_create_run(name => 'short-lived')).id AS made \\gset
SELECT airun_append_message(:made::uuid, '{"role": "user", "content": "bye"}');
SELECT airun_delete_run(:made::uuid);
\\else
SELECT airun_set_price('m', jsonb_build_object('input', :run::int), effective_from => '-infinity');
SELECT count(*) FROM airun_reprice(max_tasks => 10);
SELECT airun_purge_runs(now() - interval '1 s');
\\endif
SQL

# Starts four clients that go on until they are ended; what they complain of is
# in that file
my $complaints = PostgreSQL::Test::Utils::tempdir() . '/complaints';

sub start_load
{
	my ($on) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/load.sql';

	append_to_file($file, $load);
	local $ENV{PGOPTIONS} = "-c airun.user_id=$user";
	return IPC::Run::start(
		[
			$on->installed_command('pgbench'), '-n', '-M', 'prepared', '-c', '4', '-T', '3600',
			"--random-seed=$seed", '-f', $file, $on->connstr('postgres') . ' application_name=load'
		],
		'<', '/dev/null', '>', '/dev/null', '2>', $complaints, IPC::Run::timeout(1800));
}

# Ends them, and waits until the server has noticed
sub end_load
{
	my ($on, $clients) = @_;
	my $ran = $clients->pumpable;

	$clients->kill_kill;
	ok($ran && slurp_file($complaints) !~ /error/i, 'the load went on all the time, and nothing of it was refused')
	  or diag slurp_file($complaints);
	$on->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'load'")
	  or die 'the clients did not go';
}

# Waits until the load has written that many more messages
sub let_it_run
{
	my ($on, $clients, $messages) = @_;
	my $count = 'SELECT count(*) FROM airun.messages';
	my $enough = $messages + $on->safe_psql('postgres', $count);

	while ($on->safe_psql('postgres', $count) < $enough)
	{
		die 'the load does not get on: ' . slurp_file($complaints) if !$clients->pumpable;
		usleep(20_000);
	}
}

# Every table of the store, runs and tasks first, which is the order in which
# functions lock
my @tables = split /\n/, $node->safe_psql('postgres', q{SELECT oid::regclass FROM pg_class
	WHERE relnamespace = 'airun'::regnamespace AND relkind IN ('r', 'p')
	ORDER BY array_position('{runs,tasks,messages}', relname::text), relname});
cmp_ok(scalar @tables, '>=', 6, 'tables: ' . join(' ', @tables));

# How many rows each table has, and the sum of their texts
my $sums = join(' UNION ALL ', map { "SELECT '$_', count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\")) FROM $_ AS t" } @tables) . ' ORDER BY 1';

# The primary's rows against the standby's.  Who writes waits meanwhile, in the
# middle of what it does, so that both can be read at one position of the WAL.
my $rows_compared = 0;

sub compare
{
	my ($standby, $when) = @_;
	my $holder = $node->background_psql('postgres', on_error_stop => 0);

	# clients come to the tables in orders of their own: then this one begins again
	$holder->query_safe("SET deadlock_timeout = '20ms'");
	$holder->query_safe('BEGIN');
	$holder->query_safe("DO \$\$BEGIN LOOP BEGIN LOCK TABLE " . join(', ', @tables) . " IN SHARE MODE; EXIT; "
		  . "EXCEPTION WHEN deadlock_detected THEN NULL; END; END LOOP; END\$\$");
	my $expected = $holder->query_safe($sums);
	my $waiting = $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'load'");
	$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
	is($standby->safe_psql('postgres', $sums), $expected, "$when, before $waiting clients: every table is the same");
	$holder->quit;
	$rows_compared += $_ for $expected =~ /^[^|]+\|(\d+)/mg;
	return $expected;
}

# A standby that is made under load, compared again and again
my $clients = start_load($node);
let_it_run($node, $clients, 50);
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);

my $comparisons = quick_or_long(4, 60);
my $recounts = 0;
for my $round (1 .. $comparisons)
{
	let_it_run($node, $clients, 100);
	# while more is replayed, the standby's own recount finds every commit whole
	for (1 .. 3)
	{
		my $problems = $standby->safe_psql('postgres', 'SELECT * FROM airun_check()');
		is($problems, '', "round $round: airun_check() has no row on the standby") if $problems ne '' || $_ == 3;
		$recounts++;
	}
	compare($standby, "comparison $round");
}
end_load($node, $clients);

#--- every function, by the catalogue --------------------------------------------

# A run with tasks in every state, and a deleted one
$node->safe_psql('postgres', <<"SQL");
SET airun.user_id = '$user';
SELECT airun_create_run('chat', name => 'Of the matrix', tags => '{matrix}', id => '$run');
SELECT airun_append_messages('$run', '[{"role": "system", "content": "Grüße"}, {"role": "user", "content": "a \\u20ac \\ud83d\\ude00"}, {"role": "user", "content": [{"type": "text", "text": "parts"}]}]');
UPDATE ai_messages SET message = message || '{"name": "edited"}' WHERE run_id = '$run' AND seq = 2;
SELECT airun_start_turn('$run', '{"role": "user", "content": "?"}', '$ended', model_id => 'm', request_data => '{"messages": [{"role": "system", "content": "Grüße"}], "n": 1.50}');
SELECT airun_finish_turn('$ended', '{"role": "assistant", "content": "the answer"}', usage => '{"prompt_tokens": 3, "completion_tokens": 4}');
SELECT airun_create_task('$run', '$pending');
SELECT airun_create_task('$run', '$streaming', model_id => 'm');
SELECT airun_update_task('$streaming', 'as far as it has come');
SELECT airun_create_task('$run', '$overdue', timeout => '1 microsecond');
SELECT airun_create_run('chat', id => '$deleted');
SELECT airun_create_task('$deleted', '$hidden');
SELECT airun_delete_run('$deleted');
SELECT airun_start_call('$ended', timeout => '1 microsecond');
SELECT airun_rollup();
INSERT INTO airun.worker_status (step, last_started) VALUES ('fold', now());
SELECT airun_set_budget('b', 1, warn_at => '{0.00001}', measure => 'calls', mode => 'soft');
INSERT INTO airun.retention (kind, source_type) VALUES ('run', 'kept');
SELECT airun_meter(model_id => 'm');
INSERT INTO airun.usage_shapes (shape, known_by, paths) VALUES ('vendor', '{vendor.in}', '{"input": "vendor.in", "output": "vendor.out"}');
SQL
compare($standby, 'at rest');
# but for that in which a ledger that is being built keeps its place
unlike($node->safe_psql('postgres', $sums) =~ s/^airun\.usage_build\|0\|$//mr, qr/\|0\|/, 'no table is empty');

my $message = q('{"role": "user", "content": "x"}');
# What each function is called with, as SQL; a function that is not here fails.
# After "=" stands a call of a writing one that finds nothing to write: what is
# sent is there already.
my %calls = (
	airun_append_message => [ "'$run', $message", "'$nobody', $message" ],
	airun_append_messages => [ "'$run', jsonb_build_array($message\::jsonb)", "'$run', '[]'" ],
	airun_archive_run => [ "'$run'", "'$run', false" ],
	airun_array_agg => ['to_jsonb(n)) FROM (SELECT generate_series(1, 5) AS n'],
	airun_array_in_order => ['to_jsonb(n), 9 - n) FROM (SELECT generate_series(1, 5) AS n'],
	airun_cancel_task => [ "'$pending'", "'$streaming'", "'$ended'" ],
	airun_check => [ '', "'$run'" ],
	airun_complete_task => [ "'$pending', 'done'", "'$streaming'", "'$ended', 'the answer'", "='$nobody'" ],
	airun_context => [ "'$run'", "'$run', 1000, for_provider => 'anthropic'", "'$nobody'" ],
	airun_cost => [ q('m', '{"prompt_tokens": 3}'), q('no such model', '{"input": 3}') ],
	airun_cost_details => [ q('m', '{"prompt_tokens": 3}', at => '2026-01-01Z'), q('no such model', '{"input": 3}', at => '2026-01-01Z') ],
	airun_create_run => [ '', "'chat', id => '$run'" ],
	airun_call => [ q(='{"airun_user_id": {}}'), "='{\"airun_messages\": {\"run_id\": \"$run\"}}'", q('{"airun_create_run": {}}') ],
	airun_create_task => [ "'$run'", "'$run', '$pending'" ],
	airun_delete_run => [ "'$run'", "'$deleted'" ],
	airun_expire_tasks => [ '', '1' ],
	airun_edit_message => [ "'$run', 1, $message", "'$nobody', 1, $message" ],
	airun_export => [ "'$run'", "'$run', 'markdown'", "'$nobody'" ],
	airun_export_user => [''],
	airun_fail_task => [ "'$pending', '{}'", "'$streaming', '{\"code\": 1}'" ],
	airun_finish_turn => [ "'$pending', $message", "'$ended', '{\"role\": \"assistant\", \"content\": \"the answer\"}'" ],
	airun_fork_run => ["'$run'"],
	airun_get_run => [ "'$run'", "'$run', 2, true", "'$deleted'", "'$nobody'" ],
	airun_grant => ["'app'"],
	airun_meter => [ '', q(model_id => 'm') ],
	airun_start_call => [''],
	airun_end_call => [ "'$ended'", "'$nobody'" ],
	airun_expire_calls => [''],
	airun_heartbeat_task => [ "'$streaming'", "'$pending', '$run'" ],
	airun_import => [q('[{"role": "user", "content": "x"}]')],
	airun_import_tables => [ q('ai_runs') ],
	airun_import_prices => [q('{"m": {"input_cost_per_token": 1}}', 'test')],
	airun_install => [''],
	airun_install_original => ["'original'"],
	airun_is_overdue => [ q('streaming', '2020-01-01', '1 s'), q('completed', '2020-01-01', '1 s'), q('pending', 'infinity', '1 s') ],
	airun_json => [ q('"\u0000 \ud800"'), q('[1.50, {"a": null}]') ],
	airun_list_runs => [ '', "page_size => 3", "'chat', search => 'matrix', tag => 'matrix'", "starred => true, archived => NULL" ],
	airun_message_text => [ $message, q('{"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}') ],
	airun_message_versions => [ "'$run'", "'$run', 2", "'$run', message_id => 'none'", "'$deleted'", "'$nobody'" ],
	airun_messages => [ "'$run'", "'$run', 1, 4, 1, true", "'$deleted'", "'$nobody'" ],
	airun_normalize_usage => [ q('{"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}'), q('{"input_tokens": 7}', 'anthropic') ],
	airun_partition => [''],
	airun_add_partitions => ['='],
	airun_drop_partitions => ['=now()'],
	airun_purge_runs => [ 'now()', q('-infinity'), 'now(), 3' ],
	airun_reprice => [ '=', 'all_tasks => true' ],
	airun_request => [q('{"messages": [], "n": 1}', '{"key": "messages", "at": 0, "from": 1, "count": 1, "keys": ["role"]}', '[{"role": "user", "content": "x"}]')],
	airun_check_usage => [''],
	airun_check_budgets => [''],
	# B49
	airun_budget_status => [''],
	airun_budget_check => [ '', "run_id => '$run'", "run_id => '$nobody'" ],
	airun_set_budget => ["'b', 5"],
	airun_credit_budget => ["'b', 5"],
	airun_rebuild_usage => [''],
	airun_rollup => [''],
	airun_prune => [''],
	airun_erase_user => ["'$nobody'"],
	airun_run_forks => [ "'$run'", "'$nobody'" ],
	airun_search => [ "'matrix'", "'the', page_size => 3" ],
	airun_restore_run => [ "'$deleted'", "'$run'" ],
	airun_save_message => [ "'$run', $message, 'new'", "'$nobody', $message, 'new'" ],
	airun_save_messages => [ "'$run', $message\::jsonb || '{\"id\": \"new\"}'", "'$run', '[]'" ],
	airun_sees_run => [ "'$run'", "'$nobody'" ],
	airun_set_price => [q('m', '{"input": 5}')],
	airun_set_run_status => [ "'$run', 'completed'", "'$run', 'active'" ],
	airun_sketch_agg => ['1::smallint, n) FROM (SELECT generate_series(1, 5) AS n'],
	airun_sketch_bin => ['1000'],
	airun_sketch_merge => [q('\x010002', '\x010102')],
	airun_sketch_quantile => [q('\x010002', 0.5)],
	airun_sketch_sum => [q('\x010002'::bytea)],
	airun_star_run => [ "'$run'", "'$run', false" ],
	airun_start_turn => [ "'$run', $message", "'$run', task_id => '$ended'", q(run => '{"source_type": "chat"}') ],
	(map { ("airun_store_$_" => ['']) } qw(tables columns constraints policies triggers objects differences view_columns views comments
		original_columns original_views original_schemas)),
	airun_stream_delta => [ "'$streaming', ' and on'", "='$streaming', 'as far', at => 0", "'$pending', 'x'" ],
	airun_stream_read => [ "'$streaming'", "'$streaming', 3", "'$streaming', 3, generation => 7", "'$streaming', 21, '20 ms', 0, '$run'", "'$ended', 4", "'$pending'", "'$nobody'" ],
	airun_toggle_star => ["'$run'"],
	airun_truncate_messages => [ "'$run', 1", "'$nobody', 0" ],
	airun_update_run => ["'$run', 'renamed'"],
	airun_update_task => [ "'$streaming', 'as far as it has come, and on'", "='$streaming', 'as far'", "'$pending', 'x'" ],
	airun_usage => [ "'-infinity', 'infinity', 'all'", q('2026-01-01Z', '2026-02-01Z', 'hour', 'Europe/Berlin', '{user_id}') ],
	airun_usage_page => [ "'2026-01-01', '2026-01-31'" ],
	airun_bucket => [ "'$user'", 'NULL' ],
	airun_install_proxy => ["'{}'"],
	airun_install_shard => [''],
	airun_shards => [''],
	airun_user_id => [''],
	airun_user_uuid => [ q('alice@example.com'), "'$user'" ],
	airun_uuid => [''],
	airun_work => [''],
	airun_writes_run => [ "'$run'", "'$nobody'" ],);

# VOLATILE, and yet writing nothing: one waits for what others commit, one is
# random, and one has nothing to make
my %volatile_reader = map { $_ => 1 } qw(airun_stream_read airun_uuid airun_install airun_install_proxy airun_install_shard airun_shards);

my @functions = map { [ split /\|/ ] } split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT p.proname, p.prokind, p.provolatile, has_function_privilege('app', p.oid, 'EXECUTE')
FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'airun' AND d.deptype = 'e' AND p.prorettype <> 'trigger'::regtype AND (p.prokind <> 'p' OR p.proname = 'airun_work')
	AND 'internal'::regtype NOT IN (SELECT unnest(p.proargtypes::oid[] || p.prorettype))
ORDER BY p.proname
SQL

# What a call says on a server: its answer, or its SQLSTATE
sub answer
{
	my ($on, $call) = @_;
	my ($code, $out, $err) = $on->psql('postgres', "\\set VERBOSITY sqlstate\n$call");

	return $err =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5})/ ? "ERROR: $1" : $code ? "psql: $err" : $out;
}

my $before = $node->safe_psql('postgres', $sums);
my ($reads, $writes) = (0, 0);
for my $function (@functions)
{
	my ($name, $kind, $volatile, $granted) = @$function;
	next if $name =~ /^airun_store_/ && !$calls{$name};	# parts of other functions
	my $as = ($granted eq 't' ? 'SET ROLE app; ' : '') . "SET airun.user_id = '$user'; ";

	ok($calls{$name}, "$name() is known here, with arguments") or next;
	for my $arguments (@{ $calls{$name} })
	{
		my ($writes_nothing, $given) = $arguments =~ /^(=?)(.*)/s;
		my $call = { a => 'SELECT ', p => 'CALL ' }->{$kind} // 'SELECT * FROM ';
		$call .= "$name($given)";
		$call .= ' AS x' if $kind eq 'a';
		my $found = answer($standby, $as . $call);

		if ($name eq 'airun_uuid')
		{
			like($found, qr/^[0-9a-f-]{36}$/, "on the standby: $call");
		}
		elsif ($volatile ne 'v' || $volatile_reader{$name} || $writes_nothing)
		{
			my $expected = answer($node, $as . $call);
			is($found, $expected, "on the standby as on the primary: $call");
			like($expected, qr/^ERROR: (PT404|42704|55000)$/, 'because there is none') if $expected =~ /ERROR/;
			$reads++;
		}
		else
		{
			is($found, 'ERROR: 25006', "refused on the standby: $call");
			$writes++;
		}
	}
	delete $calls{$name};
}
is(join(' ', sort keys %calls), '', 'every function named here exists');
is($node->safe_psql('postgres', $sums), $before, 'nothing of all this has written anything');

# And every view, row by row
for my $view (split /\n/, $node->safe_psql('postgres', q{SELECT oid::regclass FROM pg_class WHERE relkind = 'v' AND relname LIKE 'ai\_%' AND has_table_privilege('app', oid, 'SELECT') ORDER BY 1}))
{
	# whether a task is overdue changes with time
	my $read = "SET ROLE app; SET airun.user_id = '$user'; SET airun.task_timeout = '1d'; SELECT count(*), md5(string_agg(v::text, E'\\n' ORDER BY v::text COLLATE \"C\")) FROM $view AS v";
	my $expected = answer($node, $read);

	like($expected, qr/^\d+\|/, "$view can be read: $expected");
	is(answer($standby, $read), $expected, 'and is the same on the standby');
	$reads++;
}

# An install that would have something to do is refused, too
$node->safe_psql('postgres', 'DROP VIEW ai_unpriced_models');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(answer($standby, 'SELECT airun_install()'), 'ERROR: 25006', 'airun_install() with something to do is refused on the standby');
like($node->safe_psql('postgres', 'SELECT airun_install()'), qr/view ai_unpriced_models/, 'and does it on the primary');

#--- what comes while one looks ----------------------------------------------------

# A reader on the standby that waits for more hears of a piece, and of the end
my $session = $standby->background_psql('postgres', on_error_stop => 0);
$session->query_safe("SET airun.user_id = '$user'");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
for my $step (
	[ "SELECT airun_stream_delta('$streaming', ', and on')", 21, ', and on|29|0|streaming' ],
	[ "SELECT airun_complete_task('$streaming', 'as far as it has come, and on, to its end')", 29, ', to its end|41|0|completed' ])
{
	my ($write, $from, $expected) = @$step;
	my $reader = $standby->background_psql('postgres', on_error_stop => 0);

	$reader->query_until(qr/waiting/, <<"SQL");
\\echo waiting
SELECT text, position, generation, status FROM airun_stream_read('$streaming', $from, '5 min', 0);
\\echo answered
SQL
	$standby->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT text, position%' AND state = 'active'") or die;
	$node->safe_psql('postgres', "SET airun.user_id = '$user'; $write");
	my $heard = $reader->query_until(qr/answered/, '');
	is($heard =~ s/\s*answered\s*//r, $expected, "a reader that waits on the standby gets: $expected");
	$reader->quit;
}

# A session there that has priced before prices anew when the book has changed
my $cost = q(SELECT airun_cost('m', '{"prompt_tokens": 3}'));
for my $price (4, 9)
{
	$node->safe_psql('postgres', "SELECT airun_set_price('m', '{\"input\": $price}', effective_from => '-infinity')");
	$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
	cmp_ok($session->query_safe($cost), '==', 3 * $price, "a session on the standby knows the price of $price");
}

#--- promotion -------------------------------------------------------------------

# In the middle of a load
$clients = start_load($node);
let_it_run($node, $clients, 100);
is(ask($session, q(SELECT count(*) > 0 FROM airun_list_runs())), 't', 'a session reads on the standby');
like($session->query_safe("SELECT airun_messages('$run')"), qr/the answer/, 'and reads a run');
$session->query_safe('\\set VERBOSITY sqlstate');
is(ask($session, "SELECT airun_append_message('$run', $message)"), 'ERROR: 25006', 'and writes nothing there');
compare($standby, 'before the promotion');
end_load($node, $clients);
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$deleted = numbered_id(1, 3);
$node->safe_psql('postgres', "SET airun.user_id = '$user'; SELECT airun_create_run(id => '$deleted'), airun_delete_run('$deleted')");
my $expected = compare($standby, 'the last');
check_ok($node, 'on the primary');
check_ok($standby, 'on the standby');
$node->stop;
$standby->promote;
is($standby->safe_psql('postgres', $sums), $expected, 'promoted, it has the same rows');

# The session that was open goes on, now writing, with a task from before
is(ask($session, "SELECT (airun_append_message('$run', $message)).seq"), '6', 'the same session appends');
is(ask($session, "SELECT status, response_length FROM airun_update_task('$pending', 'now')"), 'streaming|3', 'a task that was pending streams');
is(ask($session, "SELECT airun_finish_turn('$pending', '{\"role\": \"assistant\", \"content\": \"now and here\"}', tokens_input => 1) #>> '{task,status}'"), 'completed', 'and ends its turn');
is(ask($session, "SELECT airun_start_turn('$run', $message, '@{[numbered_id(2, 6)]}') #>> '{run,task_count}'"), '5', 'the next turn starts');
is($standby->safe_psql('postgres', "SELECT status FROM airun.tasks WHERE task_id = '$overdue'"), 'error', 'and has ended what was overdue');
is(ask($session, "SELECT airun_restore_run('$deleted'), (airun_append_message('$deleted', $message)).seq"), 't|1', 'a run that was deleted on the old primary comes back');
$session->quit;
like($standby->safe_psql('postgres', 'SELECT airun_install()'), qr/nothing was changed/, 'airun_install() finds nothing to do');
check_ok($standby, 'on the new primary');

$clients = start_load($standby);
let_it_run($standby, $clients, quick_or_long(200, 5000));
end_load($standby, $clients);
check_ok($standby, 'after a load on it');

proven('standby: comparisons of every table', $comparisons + 4);
proven('standby: rows compared', $rows_compared);
proven('standby: recounts during replay', $recounts);
proven('standby: readers answering as on the primary', $reads);
proven('standby: writers refused', $writes);

done_testing();
