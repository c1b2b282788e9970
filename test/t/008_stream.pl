# Streaming: what it costs, in exact figures, that nothing stays behind, that
# readers follow without being in the way, and what airun.async_progress and
# airun.notify do.

use strict;
use warnings;

use AirunTest;
use Encode qw(encode_utf8);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = airun_node('stream', conf => <<'END');
wal_level = replica
shared_buffers = 256MB
max_connections = 40
autovacuum = off
checkpoint_timeout = 1h
max_wal_size = 4GB
full_page_writes = off
# nobody else flushes what commits without waiting
wal_writer_delay = 10s
END

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub run_id { return numbered_id(1, $_[0]); }
sub task_id { return numbered_id(2, $_[0]); }
sub quoted { my $text = shift; return "'" . $text =~ s/'/''/gr . "'"; }
sub wal_between { return sql("SELECT '$_[1]'::pg_lsn - '$_[0]'::pg_lsn"); }

$ENV{PGOPTIONS} = '-c airun.user_id=10000000-0000-4000-8000-000000000001';
sql("SELECT airun_create_run(id => '" . run_id($_) . "', name => 'a run')") for 1 .. 20;

# English as it was written, of answers as they are: those of short dialogues
# compress better
my ($files) = grep { /mtbench/ } conversation_files();
my $english = join ' ', map {
	map { defined $_->{content} && !ref $_->{content} ? $_->{content} : () } @{ decode_json($_)->{messages} }
} split /\n/, slurp_file($files // (conversation_files())[0]);
$english =~ s/[^\x20-\x7e]+/ /g;
# where that is shorter than an answer, on with its sentences in other orders
srand(7);
my @sentences = split /(?<=[.!?:]) /, $english;
$english .= ' ' . join ' ', map { $_->[1] } sort { $a->[0] <=> $b->[0] } map { [ rand, $_ ] } @sentences
  while length $english < 40_000;
my $taken = 0;
sub english { my $length = shift; $taken = 0 if $taken + $length > length $english; $taken += $length; return substr($english, $taken - $length, $length); }

#--- the WAL of a stream -------------------------------------------------------------

# Saves of a text, from the first to the last
sub saves
{
	my ($way, $task, $text, $count) = @_;
	my @ends = map { int(length($text) * $_ / $count) } 0 .. $count;

	return join '', map {
		my ($from, $to) = @ends[ $_ - 1, $_ ];
		$way eq 'whole'
		? "SELECT airun_update_task('$task', " . quoted(substr($text, 0, $to)) . ");\n"
		: "SELECT airun_stream_delta('$task', " . quoted(substr($text, $from, $to - $from)) . ", $from);\n"
	} 1 .. $count;
}

# What a script writes, in bytes
sub wal_of
{
	my ($script) = @_;

	my $before = $node->lsn('insert');
	sql("\\o /dev/null\n$script");
	return wal_between($before, $node->lsn('insert'));
}

sub wal_of_answers
{
	my ($way, $first, $count, $length, $end) = @_;
	my $wal = 0;

	for my $i (1 .. $count)
	{
		my $text = english($length);
		my $task = task_id($first + $i);

		sql("SELECT airun_create_task('" . run_id(1) . "', '$task', model_id => 'gpt-4o')");
		$wal += wal_of(saves($way, $task, $text, 60) . "SELECT airun_complete_task('$task', tokens_input => 17, tokens_output => 4000" . ($end ? ', response_text => ' . quoted($text) : '') . ')');
		is(sql("SELECT md5(response_text), status FROM ai_tasks WHERE task_id = '$task'"), sql('SELECT md5(' . quoted($text) . ')') . '|completed', "$way: answer $i is there")
		  if $i == $count;
	}
	return $wal / $count;
}

my $length = 16 * 1024;
wal_of_answers('whole', 100, 2, $length);
sql('CHECKPOINT');
my $whole = wal_of_answers('whole', 200, 8, $length);
my $with_text = wal_of_answers('whole', 300, 8, $length, 1);
my $delta = wal_of_answers('delta', 400, 8, $length);
cmp_ok($whole / $length, '<=', 3.2, sprintf('a 16 kB answer in 60 saves through airun_update_task(): %.0f bytes of WAL, %.2f times its text', $whole, $whole / $length));
cmp_ok($with_text / $length, '<=', 3.2, sprintf('and with the text given again at the end: %.0f bytes, %.2f times', $with_text, $with_text / $length));
cmp_ok(abs($delta / $whole - 1), '<=', 0.1, sprintf('through airun_stream_delta(): %.0f bytes, %.2f times', $delta, $delta / $length));

#--- one save, with little there and with much -----------------------------------------

# WAL and buffers of the save number n of a text that has come in pieces of 270
# characters; of one behind a first piece of a megabyte
sql(<<'SQL');
CREATE FUNCTION plan_of(call text, task uuid, value text, at bigint, OUT wal bigint, OUT buffers bigint) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT JSON) SELECT ' || call INTO plan USING task, value, at;
	wal := plan #>> '{0,Plan,WAL Bytes}';
	buffers := (plan #>> '{0,Plan,Shared Hit Blocks}')::bigint + (plan #>> '{0,Plan,Shared Read Blocks}')::bigint;
END$$;
CREATE FUNCTION saves(call text, run uuid, task uuid, first int, count int) RETURNS TABLE (save int, wal bigint, buffers bigint) LANGUAGE plpgsql AS $$
DECLARE
	whole text := (SELECT left(string_agg(md5(i::text) || ' ', ''), first) FROM generate_series(1, first / 33 + 1) AS i);
	piece text;
BEGIN
	PERFORM airun_create_task(run, task);
	IF first > 0 THEN
		PERFORM airun_update_task(task, whole);
	ELSE
		whole := '';
	END IF;
	FOR i IN 1 .. count LOOP
		piece := left(repeat(md5((i % 10)::text) || ' ', 9), 270);
		save := i;
		SELECT p.wal, p.buffers INTO saves.wal, saves.buffers
		FROM plan_of(call, task, CASE WHEN call ~ 'update' THEN whole || piece ELSE piece END, length(whole)) AS p;
		whole := whole || piece;
		RETURN NEXT;
	END LOOP;
END$$;
SQL
{
	my $number = 500;
	for my $call ('airun_update_task($1, $2)', 'airun_stream_delta($1, $2, $3)')
	{
		# the middle one of seven saves around the fifth, and so on: a new page now and then is none of theirs
		my $save = sub {
			my ($first, $from) = @_;
			my $task = task_id(++$number);
			return [ split /\|/, sql("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY wal), percentile_disc(0.5) WITHIN GROUP (ORDER BY buffers), max(buffers)
				FROM saves('$call', '" . run_id(2) . "', '$task', $first, 60) WHERE save BETWEEN $from AND $from + 6") ];
		};
		$save->(0, 1);
		my ($early, $late, $large) = ($save->(0, 3), $save->(0, 52), $save->(1_000_000, 3));
		my $name = $call =~ s/\(.*/()/r;
		ok($early->[0] > 270 && $early->[0] < 1000, "$name: the fifth save of 270 characters writes $early->[0] bytes");
		cmp_ok(abs($late->[0] - $early->[0]), '<=', 16, "the 55th $late->[0]");
		cmp_ok(abs($large->[0] - $early->[0]), '<=', 16, "and the fifth behind a megabyte $large->[0]");
		cmp_ok($late->[1], '<=', $early->[1] + 2, "they touch $early->[1] buffers, $late->[1]");
		cmp_ok($large->[1], '<=', $early->[1] + 2, "and $large->[1]");
		cmp_ok($large->[2], '<=', 60, "at most $large->[2]");
	}
}

#--- the WAL of a turn -----------------------------------------------------------------

{
	my ($run, $turns) = (run_id(3), 0);
	$taken = 0;
	for my $way ('whole', 'delta')
	{
		my $wal = 0;
		for my $i (-2 .. 10)
		{
			my ($question, $answer, $task) = (english(1024), english(4096), task_id(600 + ++$turns));
			my $message = quoted(encode_json({ role => 'user', content => $question }));
			my $reply = quoted(encode_json({ role => 'assistant', content => $answer }));
			my $bytes = wal_of("SELECT airun_start_turn('$run', $message, '$task', provider => 'openai', model_id => 'gpt-4o');\n"
				  . saves($way, $task, $answer, 10)
				  . "SELECT airun_finish_turn('$task', $reply, usage => '{\"prompt_tokens\": 300, \"completion_tokens\": 1000}', tokens_input => 300, tokens_output => 1000, cost => 0.0105);");
			$wal += $bytes / 10 if $i > 0;
		}
		# what is not the pieces and the two messages as they are stored, compressed, does not depend on the text
		my $stored = sql("SELECT sum(pg_column_size(message)) / 10 FROM airun.messages WHERE run_id = '$run' AND seq > (SELECT message_count FROM airun.runs WHERE id = '$run') - 20");
		my $rest = $wal - 4096 - $stored;
		cmp_ok($rest, '<=', 5700, sprintf('a turn with a question of 1 kB and an answer of 4 kB in 10 saves (%s) writes %.0f bytes of WAL beside what it stores', $way, $rest));
	SKIP: {
			skip 'no real English to measure with', 1 unless $files;
			cmp_ok($wal, '<=', 13 * 1024, sprintf('%.0f bytes in all', $wal));
		}
	}
	is(sql("SELECT count(*), count(*) FILTER (WHERE text_in_answer AND response_text IS NULL AND response_length = 4096 AND generation = 0) FROM airun.tasks WHERE run_id = '$run'"),
		'26|26', 'and stores its answer once');
	check_ok($node, 'after that');
}

#--- commit without waiting --------------------------------------------------------------

sql(<<'SQL');
CREATE TABLE other (value int);
CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO other VALUES (1); RETURN NULL; END';
SQL
{
	my $session = $node->background_psql('postgres', on_error_stop => 0);
	my ($run, $task) = (run_id(4), task_id(1001));
	ask($session, "\\set VERBOSITY sqlstate\nSET airun.async_progress = on");
	ask($session, "SELECT airun_create_task('$run', '$task')");
	ask($session, "SELECT airun_update_task('$task', 'begin')");

	# Is the end of the WAL on disk when the transaction is over?  Somebody else
	# may write or flush just then, so that the most of five is what counts.
	my $is_flushed = sub {
		my ($transaction) = @_;
		my $flushed = 0;
		for (1 .. 5)
		{
			my $statements = ref $transaction ? $transaction->() : $transaction;
			my $result = ask($session, $statements);
			die "$statements: $result" if $result =~ /ERROR/;
			$flushed++ if ask($session, 'SELECT pg_current_wal_flush_lsn() = pg_current_wal_insert_lsn()') eq 't';
		}
		return $flushed;
	};
	my $progress = "SELECT FROM airun_stream_delta('$task', 'more')";
	my $append = "SELECT FROM airun_append_message('$run', '{\"role\": \"user\", \"content\": \"x\"}')";
	my $next = 1001;
	my $new_task = sub { $next++; ask($session, "SELECT FROM airun_create_task('$run', '" . task_id($next) . "')"); return task_id($next); };
	my $text = 'begin';
	for my $case (
		[ 'a piece', $progress ],
		[ 'a whole text', sub { "SELECT FROM airun_update_task('$task', (SELECT response_text || '.' FROM ai_tasks WHERE task_id = '$task'))" } ],
		[ 'the first text', sub { "SELECT FROM airun_update_task('" . $new_task->() . "', 'first')" } ],
		[ 'data alone', "SELECT FROM airun_update_task('$task', response_data => '{}')" ],
		[ 'three pieces', "BEGIN; $progress; $progress; $progress; COMMIT" ],
		[ 'a piece between reads', "BEGIN; SELECT FROM ai_tasks WHERE task_id = '$task'; $progress; SELECT FROM ai_runs; COMMIT" ],
		[ 'a piece with a notification', "SET airun.notify = on; $progress; SET airun.notify = off" ])
	{
		cmp_ok($is_flushed->($case->[1]), '<=', 1, "with airun.async_progress $case->[0] commits without waiting");
	}
	for my $case (
		[ 'an append', $append ],
		[ 'a piece and an append', "BEGIN; $progress; $append; COMMIT" ],
		[ 'an append and a piece', "BEGIN; $append; $progress; COMMIT" ],
		[ 'an append between pieces', "BEGIN; $progress; $append; $progress; COMMIT" ],
		[ 'a piece and a row of another table', "BEGIN; $progress; INSERT INTO other VALUES (1); COMMIT" ],
		[ 'a row of another table and a piece', "BEGIN; INSERT INTO other VALUES (1); $progress; COMMIT" ],
		[ 'an append in a savepoint', "BEGIN; $progress; SAVEPOINT s; $append; RELEASE s; $progress; COMMIT" ],
		[ 'an append, and a piece in a savepoint', "BEGIN; $append; SAVEPOINT s; $progress; RELEASE s; COMMIT" ],
		[ 'an append, and a piece that is rolled back', "BEGIN; $append; SAVEPOINT s; $progress; ROLLBACK TO s; COMMIT" ],
		[ 'a piece that is rolled back, and an append', "BEGIN; SAVEPOINT s; $progress; ROLLBACK TO s; $append; COMMIT" ],
		[ 'a transaction with an id of its own and a piece', "BEGIN; SELECT pg_current_xact_id(); $progress; COMMIT" ],
		[ 'a statement that does both', "WITH a AS MATERIALIZED ($progress) SELECT FROM a, airun_append_message('$run', '{\"role\": \"user\", \"content\": \"x\"}')" ],
		[ 'a statement that does both the other way round', "SELECT FROM airun_append_message('$run', '{\"role\": \"user\", \"content\": \"x\"}') AS m, LATERAL airun_stream_delta('$task', left('y', m.seq::int)) AS t" ],
		[ 'a turn that starts', "SELECT airun_start_turn('$run')" ],
		[ 'an end', sub { "SELECT FROM airun_complete_task('" . $new_task->() . "', 'all')" } ],
		[ 'progress and the end', sub { my $t = $new_task->(); "BEGIN; SELECT FROM airun_update_task('$t', 'part'); SELECT FROM airun_complete_task('$t', 'all'); COMMIT" } ])
	{
		cmp_ok($is_flushed->($case->[1]), '>=', 4, "$case->[0] waits");
	}
	# what a site's own trigger writes, at once or at the commit, on the text or on the task
	ask($session, 'CREATE TRIGGER later AFTER INSERT ON airun.task_chunks FOR EACH ROW EXECUTE FUNCTION later()');
	cmp_ok($is_flushed->($progress), '>=', 4, 'a piece with a trigger that writes waits');
	ask($session, 'DROP TRIGGER later ON airun.task_chunks; CREATE TRIGGER later AFTER UPDATE ON airun.tasks FOR EACH ROW EXECUTE FUNCTION later()');
	cmp_ok($is_flushed->(sub { "SELECT FROM airun_update_task('" . $new_task->() . "', 'first')" }), '>=', 4, 'as does the first text with one');
	ask($session, 'DROP TRIGGER later ON airun.tasks');
	cmp_ok($is_flushed->($progress), '<=', 1, 'and without them no longer');
	ask($session, 'CREATE CONSTRAINT TRIGGER later AFTER INSERT ON airun.task_chunks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION later()');
	cmp_ok($is_flushed->("BEGIN; $progress; COMMIT"), '>=', 4, 'a piece with a deferred trigger that writes waits');
	ask($session, 'DROP TRIGGER later ON airun.task_chunks');
	# the setting is the transaction's alone
	is(ask($session, 'SHOW synchronous_commit'), 'on', 'synchronous_commit is what it was');
	cmp_ok($is_flushed->($append), '>=', 4, 'and the next append waits');
	ask($session, 'SET airun.async_progress = off');
	cmp_ok($is_flushed->($progress), '>=', 4, 'without airun.async_progress a piece waits, too');
	$session->quit;
	check_ok($node, 'after that');
}

#--- followers ---------------------------------------------------------------------------

# A client that follows a task to its end and writes down what it gets, in hex
sub start_follower
{
	my ($task, $file, $timer) = @_;

	append_to_file("$file.sql", "\\set pos 0\n\\set gen NULL\n" . <<"END" x 400);
SELECT encode(convert_to(text, 'UTF8'), 'hex') AS piece, from_position, position AS pos, generation AS gen, status = 'completed' AS done
FROM airun_stream_read('$task', :pos, '5 s', :gen) \\gset
\\echo :from_position :pos :gen x:piece
\\if :done
\\q
\\endif
END
	return IPC::Run::start([ $node->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$file.sql" ],
		'<', '/dev/null', '>', "$file.out", '2>', "$file.err", $timer);
}

# Does what it got begin at 0, go on without a gap and make the text?  Where the
# text was replaced it began anew.
sub follower_has
{
	my ($file, $text, $name) = @_;
	my ($at, $generation, $got, $pieces, $gaps) = (0, 0, '', 0, 0);

	for my $line (split /\n/, slurp_file("$file.out"))
	{
		my ($from, $to, $gen, $hex) = $line =~ /^(\d+) (\d+) (\d+) x([0-9a-f]*)$/ or next;
		($at, $generation, $got) = (0, $gen, '') if $gen != $generation;
		$gaps++ if $from != $at;
		$got .= pack 'H*', $hex;
		$at = $to;
		$pieces++ if $hex ne '';
	}
	is($gaps, 0, "$name: $pieces pieces, one behind the other") or diag slurp_file("$file.err");
	ok($got eq $text, 'and all of the text once');
	return $pieces;
}

{
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my ($run, $task) = (run_id(5), task_id(2001));
	my $family = "\x{1F468}\x{200D}\x{1F469}\x{200D}\x{1F467} e\x{301} \x{1F1E9}\x{1F1EA} \x{4E16} ";
	my $text = join '', map { english(60) . $family } 1 .. 60;
	my $timer = IPC::Run::timeout(60);

	sql("SELECT airun_create_task('$run', '$task')");
	my @followers = map { start_follower($task, "$dir/$_", $timer) } 1 .. 8;
	$node->poll_query_until('postgres', "SELECT count(*) = 8 FROM pg_stat_activity WHERE query LIKE '%airun_stream_read%' AND pid <> pg_backend_pid()") or die 'no followers';
	# saves of any length, whole and in pieces, some of them late or repeated
	my ($script, $done) = ('', 0);
	while ($done < length $text)
	{
		my $to = $done + 1 + int(rand(150));
		$to = length $text if $to > length $text;
		my $piece = encode_utf8(substr($text, $done, $to - $done));
		$script .= rand() < 0.5
		  ? "SELECT airun_stream_delta('$task', " . quoted($piece) . ", $done);\n"
		  : "SELECT airun_update_task('$task', " . quoted(encode_utf8(substr($text, 0, $to))) . ");\n";
		$script .= "SELECT airun_update_task('$task', " . quoted(encode_utf8(substr($text, 0, int(rand($to))))) . ");\n" if rand() < 0.3;
		$script .= 'SELECT pg_sleep(' . rand(0.04) . ");\n";
		$done = $to;
	}
	# nobody waits for a reader
	sql("\\o /dev/null\nSET lock_timeout = '2s';\n$script SELECT airun_complete_task('$task')");
	IPC::Run::finish($_) for @followers;
	my $pieces = follower_has("$dir/1", encode_utf8($text), 'the first of 8 followers');
	follower_has("$dir/$_", encode_utf8($text), "follower $_") for 2 .. 8;
	cmp_ok($pieces, '>', 10, 'which is following, not reading at the end');

	# a text that is replaced while it is followed
	$task = task_id(2002);
	sql("SELECT airun_create_task('$run', '$task')");
	@followers = map { start_follower($task, "$dir/r$_", $timer) } 1 .. 2;
	sql(join '', map { "SELECT airun_update_task('$task', repeat('a', $_)); SELECT pg_sleep(0.03);\n" } 1 .. 10);
	sql(join '', map { "SELECT airun_update_task('$task', repeat('b', $_)); SELECT pg_sleep(0.03);\n" } 1 .. 12);
	sql("SELECT airun_complete_task('$task', repeat('c', 5))");
	IPC::Run::finish($_) for @followers;
	follower_has("$dir/r$_", 'ccccc', "follower $_ of a text that is replaced twice") for 1, 2;
	check_ok($node, 'after that');
}

# One that waits: what it holds, and what ends it
{
	my ($run, $task) = (run_id(6), task_id(2003));
	sql("SELECT airun_create_task('$run', '$task')");
	my $wait = sub {
		my ($seconds, $user_wait) = @_;
		my $file = PostgreSQL::Test::Utils::tempdir() . '/wait';
		append_to_file("$file.sql", "\\set VERBOSITY sqlstate\n" . ($user_wait // '') . "SELECT * FROM airun_stream_read('$task', (SELECT position FROM airun_stream_read('$task')), '$seconds s');\n");
		my $run = IPC::Run::start([ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr('postgres') . ' application_name=waits', '-f', "$file.sql" ],
			'<', '/dev/null', '>', "$file.out", '2>&1', IPC::Run::timeout(60));
		return sub { IPC::Run::finish($run); return slurp_file("$file.out"); };
	};
	my $waits = "application_name = 'waits' AND state = 'active' AND wait_event_type = 'Extension'";

	my $start = time;
	my $end = $wait->(20);
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE $waits") or die 'nobody waits';
	is(sql("SELECT string_agg(DISTINCT mode, ' ' ORDER BY mode) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) WHERE $waits AND locktype NOT IN ('virtualxid', 'advisory')"),
		'AccessShareLock', 'one that waits holds what any reader does, and its place among those who wait');
	is(sql("SELECT backend_xid FROM pg_stat_activity WHERE $waits"), '', 'and has no transaction id');
	is(sql("SET lock_timeout = '1s'; SELECT status FROM airun_update_task('$task', 'one'); BEGIN; SELECT airun_delete_run('$run'); ROLLBACK"), "streaming\nt", 'nobody waits for it');
	is($end->(), "one|0|3|0|streaming\n", 'it is told');
	cmp_ok(time - $start, '<', 15, 'long before its time is over');

	$end = $wait->(20, "SET statement_timeout = '300ms';\n");
	is($end->(), "|3|3|0|streaming\n", 'it answers before statement_timeout strikes');
	$end = $wait->(20);
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE $waits") or die 'nobody waits';
	sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE $waits");
	like($end->(), qr/ERROR:\s+57014$/, 'as does pg_cancel_backend()');
	$end = $wait->(20);
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE $waits") or die 'nobody waits';
	sql("SELECT airun_cancel_task('$task')");
	is($end->(), "|3|3|0|cancelled\n", 'and the end of the task');

	# a run that is deleted meanwhile, or its task
	for my $go ("SELECT airun_delete_run('" . run_id(7) . "')", "DELETE FROM airun.tasks WHERE task_id = '" . task_id(2005) . "'")
	{
		$task = task_id($go =~ /DELETE/ ? 2005 : 2004);
		sql("SELECT airun_create_task('" . ($go =~ /DELETE/ ? run_id(8) : run_id(7)) . "', '$task')");
		$end = $wait->(20);
		$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE $waits") or die 'nobody waits';
		sql($go);
		like($end->(), qr/ERROR:\s+PT404$/, 'who waits for what is deleted meanwhile gets PT404');
		sql("SELECT airun_cancel_task('$task')") if $go !~ /DELETE/;
	}
}

# Bytes that are no text, as a driver may send them
{
	my $task = task_id(2010);
	sql("SELECT airun_create_task('" . run_id(10) . "', '$task')");
	for my $call ("airun_update_task('$task', 'a\xF0\x9F\x98')", "airun_stream_delta('$task', 'a\xF0\x9F')", "airun_update_task('$task', '\xED\xA0\x80')")
	{
		my $err = '';
		$node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT $call", stderr => \$err);
		like($err, qr/ERROR:\s+22021$/, 'a character cut in two is refused');
	}
	is(sql("SELECT status, response_text FROM ai_tasks WHERE task_id = '$task'"), 'pending|', 'and changes nothing');
}

#--- notifications -------------------------------------------------------------------------

{
	my $listener = $node->background_psql('postgres');
	my ($run, $number) = (run_id(9), 3000);
	ask($listener, 'LISTEN airun');

	# What a script's notifications say, in short
	my $heard = sub {
		my ($script, $on) = @_;
		sql("SET airun.notify = " . ($on // 'on') . ";\n\\o /dev/null\n$script");
		my $output = ask($listener, 'SELECT 1');
		return join ', ', map {
			my $said = decode_json($_);
			die "keys: $_" if join(' ', sort keys %$said) ne 'generation position run_id status task_id';
			die "ids: $_" if $said->{run_id} ne $run || $said->{task_id} ne task_id($number);
			"$said->{status} $said->{position} $said->{generation}"
		} $output =~ /^Asynchronous notification "airun" with payload "(.*)" received from server process/mg;
	};
	my $new = sub { $number++; return "SELECT airun_create_task('$run', '" . task_id($number) . "');\n"; };
	my $task = sub { return "'" . task_id($number) . "'"; };

	is($heard->($new->() . "SELECT airun_update_task(@{[$task->()]}, 'one')"), 'streaming 3 0', 'the first text is told');
	is($heard->("SELECT airun_stream_delta(@{[$task->()]}, ' two')"), 'streaming 7 0', 'a piece');
	is($heard->("SELECT airun_update_task(@{[$task->()]}, 'one'); SELECT airun_stream_delta(@{[$task->()]}, 'two', 4)"), '', 'late and repeated ones are not');
	is($heard->("SELECT airun_update_task(@{[$task->()]}, '2')"), 'streaming 1 1', 'another text is');
	is($heard->("BEGIN; SELECT airun_stream_delta(@{[$task->()]}, '3'); ROLLBACK"), '', 'not what is rolled back');
	is($heard->("SELECT airun_stream_delta(@{[$task->()]}, '3')", 'off'), '', 'nor with airun.notify off');
	is($heard->("UPDATE ai_tasks SET response_text = '23 by view' WHERE task_id = @{[$task->()]}"), 'streaming 10 1', 'a text through the view');
	is($heard->("UPDATE airun.tasks SET response_text = '23 by view, and direct' WHERE task_id = @{[$task->()]}"), 'streaming 22 1', 'and past it');
	is($heard->("SELECT airun_complete_task(@{[$task->()]})"), 'completed 22 1', 'the end');
	is($heard->("SELECT airun_complete_task(@{[$task->()]}); SELECT airun_update_task(@{[$task->()]}, 'late')"), '', 'once');
	is($heard->($new->() . "SELECT airun_fail_task(@{[$task->()]}, response_text => 'abc')"), 'error 3 0', 'a failure');
	is($heard->($new->() . "UPDATE ai_tasks SET status = 'cancelled' WHERE task_id = @{[$task->()]}"), 'cancelled 0 0', 'an end through the view');
	is($heard->($new->() . "SELECT airun_finish_turn(@{[$task->()]}, response_text => 'said')"), 'completed 4 0', 'the end of a turn');
	$number++;
	is($heard->("INSERT INTO ai_tasks (run_id, task_id, response_text) VALUES ('$run', @{[$task->()]}, 'begun')"), 'streaming 5 0', 'a task that comes with a text');
	sql("SELECT count(airun_cancel_task(task_id)) FROM ai_tasks WHERE completed_at IS NULL AND task_id <> @{[$task->()]}");
	is($heard->("SELECT pg_sleep(1.1); SET airun.task_timeout = 1; SELECT airun_expire_tasks()"), 'error 5 0', 'and one that expires');
	$listener->quit;
	check_ok($node, 'after that');
}

#--- nothing stays behind -------------------------------------------------------------------

# 10,000 tasks that stream and end, some 1,000 a second, with autovacuum at its
# defaults, but looking every second
{
	$node->append_conf('postgresql.conf', "autovacuum = on\nautovacuum_naptime = 1s\n");
	$node->reload;
	sql("SELECT airun_create_run(id => '" . run_id(100 + $_) . "')") for 0 .. 3;
	sql('DELETE FROM airun.tasks WHERE completed_at IS NULL');
	sql('VACUUM airun.task_chunks');

	my $text = quoted(english(1200));
	sql(<<"SQL");
CREATE FUNCTION stream_some(run uuid, count int) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	whole constant text := $text;
	task uuid;
BEGIN
	FOR i IN 1 .. count LOOP
		task := (airun_create_task(run)).task_id;
		FOR j IN 1 .. 4 LOOP
			PERFORM airun_update_task(task, left(whole, j * 300), run_id => run);
		END LOOP;
		CASE i % 3
			WHEN 0 THEN PERFORM airun_complete_task(task, run_id => run);
			WHEN 1 THEN PERFORM airun_cancel_task(task, run_id => run);
			ELSE UPDATE ai_tasks SET status = 'error' WHERE task_id = task AND run_id = run;
		END CASE;
	END LOOP;
END\$\$;
SQL
	my ($first, $later) = (0, 0);
	my $before = sql("SELECT count(*) FROM airun.tasks");
	my @clients = map {
		my $script = ("SELECT stream_some('" . run_id(100 + $_) . "', 10); SELECT pg_sleep(0.03);\n") x 250;
		IPC::Run::start([ $node->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') ],
			'<', \$script, '>', '/dev/null', IPC::Run::timeout(120));
	} 0 .. 3;
	my $session = $node->background_psql('postgres');
	my $tasks = 0;
	while ($tasks < 10000 && grep { $_->pumpable } @clients)
	{
		$_->pump_nb for @clients;
		($tasks, my $size) = split /\|/, ask($session, "SELECT (SELECT sum(task_count) FROM airun.runs WHERE id BETWEEN '" . run_id(100) . "' AND '" . run_id(103) . "'), pg_total_relation_size('airun.task_chunks')");
		if ($tasks <= 3000) { $first = $size if $size > $first }
		else { $later = $size if $size > $later }
		usleep(50_000);
	}
	$session->quit;
	IPC::Run::finish($_) for @clients;
	is(sql("SELECT count(*) - $before FROM airun.tasks"), '10000', '10,000 tasks have streamed');
	is(sql("SELECT count(*) FROM airun.tasks WHERE run_id BETWEEN '" . run_id(100) . "' AND '" . run_id(103) . "' AND response_length = 1200 AND length(response_text) = 1200 AND completed_at IS NOT NULL"),
		'10000', 'and have their texts');
	is(sql('SELECT count(*) FROM airun.task_chunks'), '0', 'no chunk is left');
	cmp_ok($later, '<=', 2 * $first, sprintf('the chunks took %.1f MB during the first 3,000, %.1f MB up to 10,000', $first / 1e6, $later / 1e6));
	$node->poll_query_until('postgres', "SELECT pg_relation_size('airun.task_chunks') <= 1024 * 1024") or diag 'the table was not truncated';
	note sprintf('then %.1f MB', sql("SELECT pg_total_relation_size('airun.task_chunks')") / 1e6);
	check_ok($node, 'at the end');
}

done_testing();
