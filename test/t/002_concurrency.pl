# Many clients at once: nothing is lost and nothing counted twice, appends to
# one run follow one another without a gap, appends to different runs never
# wait, functions and views never deadlock, and calls that race with the same id
# have one effect.

use strict;
use warnings;

use AirunTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = 8;
my $node = airun_node('concurrency', conf => <<'END');
max_connections = 40
airun.trust_client_cost = on
# every wait for a lock is logged at once
log_lock_waits = on
deadlock_timeout = 1ms
END

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub run_id { return numbered_id(1, $_[0]); }
sub task_id { return numbered_id(2, $_[0]); }
sub deadlocks { return sql("SELECT sum(deadlocks) FROM pg_stat_database"); }

# Waits for rows and transactions in the server log from an offset on; waits
# for room in a file and at the gate of run_clients are none of ours.
sub row_waits
{
	my ($offset) = @_;
	my $log = slurp_file($node->logfile, $offset);
	my @waits = grep { !/extension of relation|advisory/ } $log =~ /still waiting for .*/g;

	return scalar @waits;
}

sub log_end { return -s $node->logfile; }

# Is what the clients of pgbench have appended all there: each message once, in
# each client's order, under seqs without a gap?
sub history_is
{
	my ($run, $messages, $each, $name) = @_;

	is(sql(<<"SQL"), "$messages|1|$messages|$messages|$messages|t|t", $name);
SELECT count(*), min(seq), max(seq), count(DISTINCT (message ->> 'client', message ->> 'number')),
	(SELECT message_count FROM ai_runs WHERE id = '$run'),
	bool_and(number > COALESCE(before, 0)), bool_and(number <= $each)
FROM (SELECT seq, message, (message ->> 'number')::int AS number,
		lag((message ->> 'number')::int) OVER (PARTITION BY message ->> 'client' ORDER BY seq) AS before
	FROM ai_messages WHERE run_id = '$run') AS m
SQL
}

my $append = <<'SQL';
\set number :number + 1
SELECT airun_append_message(:run, jsonb_build_object('role', 'user', 'content', 'hello',
	'client', :client_id::int, 'number', :number::int));
SQL

#--- one run -------------------------------------------------------------------

sql("SELECT airun_create_run(id => '" . run_id($_) . "')") for 1 .. 60;

my ($processed, $failed) = run_pgbench($node, $append, arguments =>
	  [ '-c', $clients, '-j', 2, '-t', 200, '-D', 'number=0', '-D', 'run=' . run_id(1) ]);
is("$processed, $failed failed", '1600, 0 failed', '8 clients append 200 messages each to one run');
history_is(run_id(1), 1600, 200, 'all 1,600 are there once, in order, under seq 1 to 1,600');
check_ok($node, 'after that');

#--- one run each --------------------------------------------------------------

sql("SELECT airun_create_run(id => ('00000001-0000-7000-8000-' || lpad(to_hex(100 + i), 12, '0'))::uuid)
	FROM generate_series(0, 7) AS i");
my $offset = log_end();
($processed, $failed) = run_pgbench($node,
	$append =~ s/:run/('00000001-0000-7000-8000-' || lpad(to_hex(100 + :client_id::int), 12, '0'))::uuid/r,
	arguments => [ '-c', $clients, '-j', 2, '-t', 200, '-D', 'number=0' ]);
is("$processed, $failed failed", '1600, 0 failed', '8 clients append 200 messages each to a run of their own');
is(row_waits($offset), 0, 'and none of them waited for another');
history_is(run_id(100 + $_), 200, 200, "all 200 of client $_ are there in order") for 0, 7;
check_ok($node, 'after that');

# The same without chance: what waits for an open append, and what does not
{
	my ($a, $b) = (run_id(20), run_id(21));
	my $task = task_id(20);
	sql("SELECT airun_create_task('$a', '$task')");

	my $holder = $node->background_psql('postgres');
	ask($holder, "BEGIN; SELECT seq FROM airun_append_message('$a', '{\"role\": \"user\", \"content\": \"1\"}')");
	my $other = $node->background_psql('postgres', on_error_stop => 0);
	ask($other, "\\set VERBOSITY sqlstate\nSET lock_timeout = '1s'");
	$offset = log_end();
	my @free = (
		[ 'an append to another run', "SELECT seq FROM airun_append_message('$b', '{\"role\": \"user\", \"content\": \"1\"}')", '1' ],
		[ 'a turn in another run', "SELECT airun_start_turn('$b', '{\"role\": \"user\", \"content\": \"2\"}') -> 'messages' -> 0 ->> 'seq'", '2' ],
		[ 'a new run', "SELECT message_count FROM airun_create_run()", '0' ],
		[ 'a first turn', "SELECT airun_start_turn(messages => '{\"role\": \"user\", \"content\": \"1\"}', run => '{}') -> 'run' ->> 'message_count'", '1' ],
		[ 'a list', "SELECT count(*) > 0 FROM airun_list_runs()", 't' ],
		[ 'reading the run', "SELECT airun_messages('$a')", '[]' ],
		[ 'loading the run', "SELECT airun_get_run('$a') ->> 'message_count'", '0' ],
		[ 'progress of a task of the run', "SELECT status FROM airun_update_task('$task', 'so far')", 'streaming' ],
		[ 'airun_check()', "SELECT count(*) FROM airun_check()", '0' ]);
	is(ask($other, $_->[1]), $_->[2], "$_->[0] does not wait for an open append") for @free;
	is(ask($other, $_->[1]), 'ERROR: 55P03', "$_->[0] does")
	  for ([ 'an append to the same run', "SELECT airun_append_message('$a', '{\"role\": \"user\", \"content\": \"2\"}')" ],
		[ 'the end of a task of the run', "SELECT airun_complete_task('$task', 'so far, done')" ]);
	is(row_waits($offset), 2, 'the server log tells the two that waited, and no other');
	ask($holder, 'ROLLBACK');
	is(ask($other, "SELECT seq FROM airun_append_message('$a', '{\"role\": \"user\", \"content\": \"2\"}')"), '1',
		'an append that was rolled back leaves no gap');
	$holder->quit;
	$other->quit;
	check_ok($node, 'after that');
}
is(deadlocks(), 0, 'no deadlock so far');

#--- everything at once, through functions and views -----------------------------

# 40 tasks in 3 runs, and 8 clients who do all there is to do to them, each at
# random but near the others.  The statements are whole transactions, as
# PostgREST sends them.  Triggers of the site's own take their time, so that
# locks are held for long and in every order in which they can be.
sql(<<"SQL");
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN PERFORM pg_sleep(0.002 * random()); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON airun.runs FOR EACH ROW EXECUTE FUNCTION take_time();
CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION take_time();
CREATE TRIGGER slow_after AFTER INSERT OR UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION take_time();
CREATE TRIGGER slow BEFORE INSERT ON airun.messages FOR EACH ROW EXECUTE FUNCTION take_time();
SQL

sub mixed_load
{
	my ($first, $name, @more) = @_;
	my $steps = 600;
	my (@scripts, @tasks);

	for my $i (0 .. 39)
	{
		my $run = run_id($first + $i % 3);
		push @tasks, [ task_id($first * 100 + $i), $run ];
		sql("SELECT airun_create_task('$run', '$tasks[-1][0]')");
	}
	srand(20 + $first);
	for my $client (1 .. $clients)
	{
		my $script = '';
		for my $step (0 .. $steps - 1)
		{
			my $near = int($step * 37 / $steps) + int(rand(3));
			my ($task, $run) = @{ $tasks[$near] };
			my $message = "'{\"role\": \"user\", \"content\": \"$client.$step\"}'";
			my @deeds = (
				"SELECT airun_append_message('$run', $message)",
				"SELECT airun_append_messages('$run', '[{\"role\": \"user\", \"content\": \"1\", \"id\": \"$client.$step\"}]')",
				"INSERT INTO ai_messages (run_id, message) VALUES ('$run', $message)",
				"SELECT airun_update_task('$task', repeat('x', $step))",
				"SELECT airun_update_task('$task', repeat('x', $step), run_id => '$run')",
				"UPDATE ai_tasks SET response_text = repeat('x', $step) WHERE task_id = '$task'",
				"UPDATE ai_tasks SET tokens_input = $step WHERE run_id = '$run' AND task_id = '$task'",
				"SELECT airun_complete_task('$task', 'done', tokens_input => 10, tokens_output => 5, cost => 0.5)",
				"SELECT airun_fail_task('$task', '{\"code\": 429}', tokens_input => 7)",
				"SELECT airun_cancel_task('$task', cost => 0.25, run_id => '$run')",
				"UPDATE ai_tasks SET status = 'completed', cost = 1 WHERE task_id = '$task'",
				"UPDATE ai_tasks SET status = 'failed' WHERE task_id = '$task'",
				"SELECT airun_finish_turn('$task', response_text => 'done', tokens_output => 3)",
				"SELECT airun_start_turn('$run', $message)",
				"SELECT airun_create_task('$run')",
				"INSERT INTO ai_tasks (run_id, tokens_total) VALUES ('$run', 4)",
				"SELECT airun_toggle_star('$run')",
				"UPDATE ai_runs SET is_starred = true WHERE id = '$run'",
				"SELECT airun_update_run('$run', description => '$client.$step')",
				"SELECT airun_set_run_status('$run', '" . (rand() < 0.2 ? 'completed' : 'active') . "')",
				"SELECT airun_set_run_status('$run', 'active')",
				"SELECT airun_delete_run('$run')",
				"SELECT airun_restore_run('$run')",
				"SELECT airun_restore_run('$run')",
				"SELECT airun_get_run('$run')",
				"DELETE FROM ai_messages WHERE run_id = '$run' AND seq = (SELECT message_count FROM ai_runs WHERE id = '$run')",
				"DELETE FROM ai_tasks WHERE run_id = '$run' AND tokens_total = 4",
				map { s/:task/'$task'/r } @more);
			$script .= "$deeds[int(rand(@deeds))];\n";
		}
		push @scripts, $script;
	}
	my ($out, $errors) = run_clients($node, \@scripts);
	note "$name: " . $clients * $steps . ' statements; refused: ' . counts($errors);
	return $errors;
}

sub others { my $errors = shift; return counts({ map { $_ => $errors->{$_} } grep { !/^(PT404|PT409|@{[join '|', @_]})$/ } keys %$errors }); }

my $errors = mixed_load(30, 'functions and views');
is(others($errors, 'none'), 'none', '8 clients at the same tasks through functions and views get PT404 and PT409 at worst');
cmp_ok($errors->{PT409} // 0, '>', 20, 'and PT409 they get');
is(deadlocks(), 0, 'they never deadlock');
check_ok($node, 'after that');

my $before = deadlocks();
$errors = mixed_load(40, 'functions, views and the storage',
	(   "UPDATE airun.tasks SET tokens_input = COALESCE(tokens_input, 0) + 1 WHERE task_id = :task",
		"UPDATE airun.tasks SET status = 'error' WHERE task_id = :task",
		"UPDATE airun.tasks SET status = 'completed', cost = 2 WHERE task_id = :task") x 4);
is(others($errors, '40P01'), 'none', 'with direct updates of airun.tasks among them, 40P01 may come, too');
is(deadlocks() - $before, $errors->{'40P01'} // 0, 'each deadlock was told to its client');
check_ok($node, 'after that');

sql('DROP FUNCTION take_time CASCADE');

# Statements that change tasks of many runs take the runs in one order
sql("SELECT airun_create_task(id, ('0000000" . 3 . "' || substr(id::text, 9))::uuid) FROM ai_runs WHERE id BETWEEN '" . run_id(50) . "' AND '" . run_id(59) . "'");
$before = deadlocks();
($processed, $failed) = run_pgbench($node, <<'SQL', arguments => [ '-c', $clients, '-j', 2, '-t', 40 ]);
\set first random(50, 54)
INSERT INTO airun.tasks (run_id, tokens_total)
SELECT id, 1 FROM airun.runs
WHERE id BETWEEN ('00000001-0000-7000-8000-' || lpad(to_hex(:first::int), 12, '0'))::uuid
	AND ('00000001-0000-7000-8000-' || lpad(to_hex(:first::int + 5), 12, '0'))::uuid ORDER BY random();
SQL
is("$processed, $failed failed, " . (deadlocks() - $before) . ' deadlocks', '320, 0 failed, 0 deadlocks',
	'8 clients insert tasks without requests into several runs at once, in any order, where there are no budgets');
is(sql("SELECT sum(task_count), sum(total_tokens) FROM ai_runs WHERE id BETWEEN '" . run_id(50) . "' AND '" . run_id(59) . "'"),
	'1930|1920', 'and the totals are exact');
check_ok($node, 'after that');

#--- racing with the same id -----------------------------------------------------

# The same 50 calls from 8 clients at once; returns the lines of each.
sub race
{
	my ($call, %option) = @_;
	my $script = join '', map { $call->($_) . ";\n" } 1 .. ($option{calls} // 50);
	return run_clients($node, [ ($script) x ($option{clients} // $clients) ], %option);
}

sub all_same { my ($out) = @_; return scalar grep { $_ ne $out->[0] } @$out; }

my $before_runs = sql('SELECT count(*) FROM airun.runs');
my $out;
($out, $errors) = race(sub {
	my $task = task_id(9000 + $_[0]);
	return qq{SELECT j #>> '{run,id}', j -> 'messages', j #>> '{task,task_id}', j #>> '{run,task_count}'
		FROM airun_start_turn(task_id => '$task', run => '{}',
		messages => '[{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]') AS j};
});
is(counts($errors), 'none', '8 clients start the same 50 first turns, run included: no error');
is(all_same($out), 0, 'all get the same runs, messages and tasks');
is(sql("SELECT count(*) - $before_runs FROM airun.runs"), '50', '50 runs have come to be');
is(sql("SELECT count(DISTINCT r.id), count(DISTINCT t.task_id), sum(r.message_count), sum(r.task_count)
	FROM airun.tasks AS t JOIN airun.runs AS r ON r.id = t.run_id
	WHERE t.task_id BETWEEN '" . task_id(9001) . "' AND '" . task_id(9050) . "'"),
	'50|50|100|50', 'of one task and two messages each');

($out, $errors) = race(sub { "SELECT id, created_at FROM airun_create_run(name => 'race', id => '" . run_id(9000 + $_[0]) . "')" });
is(counts($errors), 'none', '8 clients create the same 50 runs: no error');
is(all_same($out), 0, 'all get the same rows');
is(sql("SELECT count(*) FROM ai_runs WHERE name = 'race'"), '50', 'there are 50');

my $one = run_id(9001);
($out, $errors) = race(sub { qq{SELECT seq, message_id, created_at FROM airun_append_message('$one', '{"role": "user", "content": "$_[0]"}', 'm$_[0]')} }, calls => 100);
is(counts($errors), 'none', '8 clients append the same 100 messages: no error');
is(all_same($out), 0, 'all get the same rows');
is(sql("SELECT count(*), max(seq) FROM ai_messages WHERE run_id = '$one'"), '100|100', 'there are 100');

($out, $errors) = race(sub { "SELECT task_id, created_at FROM airun_create_task('$one', '" . task_id(9100 + $_[0]) . "')" });
is(counts($errors), 'none', '8 clients create the same 50 tasks: no error');
is(all_same($out), 0, 'all get the same rows');
($out, $errors) = race(sub { "SELECT task_id, tokens_total, completed_at, total_time FROM airun_complete_task('" . task_id(9100 + $_[0]) . "', 'answer', tokens_input => 10, tokens_output => 5, cost => 0.01)" });
is(counts($errors), 'none', '8 clients complete the same 50 tasks with the same values: no error');
is(all_same($out), 0, 'all get the same rows');
is(sql("SELECT task_count, total_tokens, total_cost FROM ai_runs WHERE id = '$one'"), '50|750|0.50', 'each counts once');

($out, $errors) = race(sub { qq{SELECT j #>> '{messages,0,seq}', j #>> '{task,completed_at}' FROM airun_finish_turn('} . task_id(9000 + $_[0]) . qq{', '{"role": "assistant", "content": "a"}', tokens_output => 2) AS j} });
is(counts($errors), 'none', '8 clients finish the same 50 turns: no error');
is(all_same($out), 0, 'all get the same messages and tasks');

my @ends = map { my $c = $_; join '', map { "SELECT airun_complete_task('" . task_id(9200 + $_) . "', 'answer of $c', cost => 1);\n" } 1 .. 50 } 1 .. $clients;
race(sub { "SELECT airun_create_task('$one', '" . task_id(9200 + $_[0]) . "')" }, clients => 1);
($out, $errors) = run_clients($node, \@ends);
is(counts($errors), 'PT409: 350', '8 clients complete 50 tasks with values of their own: one wins each, the others get PT409');
is(sql("SELECT total_cost FROM ai_runs WHERE id = '$one'"), '50.50', 'each counts once');

($out, $errors) = race(sub { "SELECT is_starred FROM airun_toggle_star('$one')" }, calls => 100);
is(counts($errors) . sql("SELECT is_starred FROM ai_runs WHERE id = '$one'"), 'nonef', 'turned over 800 times by 8 clients, the star is off');
my $stars = join '', @$out;
is($stars =~ tr/t//, 400, 'it was on 400 times');
($out, $errors) = race(sub { "SELECT is_starred FROM airun_toggle_star('$one')" }, calls => 101, clients => 7);
is(counts($errors) . sql("SELECT is_starred FROM ai_runs WHERE id = '$one'"), 'nonet', 'turned over 707 times by 7 clients, it is on');
is(deadlocks() - $before, 0, 'no deadlock in all this');
check_ok($node, 'after that');

#--- other isolation levels ------------------------------------------------------

my $level = 60;
for my $isolation ('repeatable read', 'serializable')
{
	my $run = run_id(++$level);
	my $options = "-c default_transaction_isolation=" . $isolation =~ s/ /\\ /r;
	sql("SELECT airun_create_run(id => '$run')");
	($processed, $failed) = run_pgbench($node, $append, options => $options, arguments =>
		  [ '-c', $clients, '-j', 2, '-t', 100, '-D', 'number=0', '-D', "run=$run" ]);
	is($processed + $failed, 800, "$isolation: $processed of 800 appends by 8 clients to one run were done, $failed failed");
	cmp_ok($failed, '>', 0, 'and some had to fail');
	history_is($run, $processed, 100, 'what was done is there once, in order, without a gap');

	$run = run_id(++$level);
	sql("SELECT airun_create_run(id => '$run')");
	($processed, $failed) = run_pgbench($node, $append, options => $options, arguments =>
		  [ '-c', $clients, '-j', 2, '-t', 40, '--max-tries', 1000, '-D', 'number=0', '-D', "run=$run" ]);
	is("$processed, $failed failed", '320, 0 failed', "$isolation: with retries, all 320 appends were done");
	history_is($run, 320, 1e6, 'and are there once, in order, without a gap');

	# Three statements a transaction, so that the second sees an old snapshot
	($out, $errors) = race(sub {
		return qq{BEGIN; SELECT count(*) FROM ai_runs; SELECT airun_append_message('$run', '{"role": "user", "content": "x"}'); SELECT airun_create_task('$run'); COMMIT};
	}, options => $options, calls => 30);
	delete $errors->{'25P02'};
	cmp_ok($errors->{40001} // 0, '>', 0, "$isolation: 8 clients with several statements in a transaction get 40001");
	is(scalar keys %$errors, 1, 'and nothing else');
	check_ok($node, "after $isolation");
}
is(deadlocks() - $before, 0, 'no deadlock in all this');

done_testing();
