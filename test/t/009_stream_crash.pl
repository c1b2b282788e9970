# Streams and crashes: kill -9 of the server in the middle of 20 streams loses no
# piece that was acknowledged; the streams go on from where they are, and expiry
# ends those that do not.  With airun.async_progress the last moment may be lost,
# and nothing else.  Followers come through restarts.

use strict;
use warnings;

use AirunTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = airun_node('crash', conf => <<'END');
max_connections = 60
checkpoint_timeout = 1h
# what is not waited for is not flushed by anybody else
wal_writer_delay = 10s
END

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub run_id { return numbered_id(1, $_[0]); }
sub task_id { return numbered_id(2, $_[0]); }
sub psql_command { return ($node->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') . ' application_name=stream', @_); }

$ENV{PGOPTIONS} = '-c airun.user_id=10000000-0000-4000-8000-000000000001';
sql("SELECT airun_create_run(id => '" . run_id($_) . "', name => 'a run')") for 1 .. 30;

# The text of a stream, up to its save number n: each save brings 20 to 50
# characters, some of them of several bytes; its length, and its bytes
my $family = "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7";	# five characters
sub piece { my ($i, $n) = @_; return "$i.$n " . ('x' x (($i * 7 + $n * 3) % 30)) . ($n % 4 ? "\xC3\xBC" : $family) . ' and so on; '; }
my %texts;
sub text_to
{
	my ($i, $n) = @_;
	my $texts = $texts{$i} //= [''];
	push @$texts, $texts->[-1] . piece($i, scalar @$texts) while @$texts <= $n;
	return $texts->[$n];
}
sub chars { my $bytes = shift; utf8::decode($bytes); return length $bytes; }

# End all of the server at once, the postmaster first, so that nobody tidies up
sub kill_server
{
	my @pids = split /\n/, sql('SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
	$node->kill9;
	kill 'KILL', @pids;
	# the new server wants the shared memory to be free
	for (1 .. 100)
	{
		last unless grep { kill 0, $_ } @pids;
		usleep(50_000);
	}
	usleep(200_000);
}

# Streams under way, each with a client of its own, and the server killed in the
# middle.  The later ones do not wait for the disk at each save, but at an append
# after each tenth.  Afterwards acknowledged, appended and there tell of each
# stream which save was acknowledged last, behind which save an append was, and
# which save is there, with its position.
my $dir = PostgreSQL::Test::Utils::tempdir();
my $async = 21;
my (@acknowledged, @appended, @there);
sub crash
{
	my (@streams) = @_;
	my $timer = IPC::Run::timeout(90);
	my (@clients, $wrong);

	for my $i (@streams)
	{
		my ($run, $task) = (run_id($i), task_id($i));
		my $at = 0;
		my $script = $i >= $async ? "SET airun.async_progress = on;\n" : '';

		sql("SELECT airun_create_task('$run', '$task', model_id => 'gpt-4o')");
		for my $n (1 .. 1500)
		{
			my $piece = piece($i, $n);
			# whole texts only while they are short, so that the scripts are, too
			$script .= $i % 2 && $n <= 300
			  ? "SELECT $n, response_length FROM airun_update_task('$task', '" . text_to($i, $n) . "');\n"
			  : "SELECT $n, response_length FROM airun_stream_delta('$task', '$piece', $at);\n";
			$at += chars($piece);
			$script .= "SELECT 'append', $n, seq FROM airun_append_message('$run', '{\"role\": \"user\", \"content\": \"$n\"}', 'm$n');\n"
			  if $i >= $async && $n % 10 == 0;
			$script .= "SELECT pg_sleep(0.002) \\g /dev/null\n";
		}
		append_to_file("$dir/$i.sql", $script);
	}
	push @clients, IPC::Run::start([ psql_command('-f', "$dir/$_.sql") ], '<', '/dev/null', '>', "$dir/$_.out", '2>', "$dir/$_.err", $timer)
	  for @streams;
	$node->poll_query_until('postgres', "SELECT count(*) = @{[scalar @streams]} AND min(chunks) > 30 FROM (SELECT count(*) AS chunks FROM airun.task_chunks GROUP BY task_id) AS t") or die 'the streams do not come';
	usleep(int(rand(300_000)));
	is(sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'stream'"), scalar @streams, @streams . ' streams are under way');
	kill_server();
	IPC::Run::finish($_) for @clients;
	$node->start;

	for my $i (@streams)
	{
		my @lines = split /\n/, slurp_file("$dir/$i.out") =~ s/[^\n]*\z//r;
		my ($last) = grep { /^\d/ } reverse @lines;
		my ($append) = grep { /^append/ } reverse @lines;
		my ($n, $length) = split /\|/, $last // '0|0';
		my ($status, $position, $hex) = split /\|/, sql("SELECT status, position, encode(convert_to(text, 'UTF8'), 'hex') FROM airun_stream_read('" . task_id($i) . "')");
		my $got = pack 'H*', $hex // '';
		my $have = 0;
		$have++ while length text_to($i, $have) < length $got;
		$wrong++ if $got ne text_to($i, $have) || $position != chars($got) || $status ne 'streaming' || $length != chars(text_to($i, $n));
		$acknowledged[$i] = $n;
		$appended[$i] = $append && $append =~ /^append\|(\d+)\|(\d+)$/ ? [ $1, $2 ] : [ 0, 0 ];
		$there[$i] = [ $have, $position ];
	}
	is($wrong, undef, 'killed, it has every text up to some save, to the byte');
	check_ok($node, 'after the crash');
}

#--- 20 streams and kill -9 ----------------------------------------------------------------

crash(1 .. 20);
my ($count, $lost, $beyond, $wrong) = (0, 0, 0, 0);
for my $i (1 .. 20)
{
	$count += $acknowledged[$i];
	$lost++ if $there[$i][0] < $acknowledged[$i];
	$beyond++ if $there[$i][0] > $acknowledged[$i] + 1;
}
cmp_ok($count, '>=', 600, "$count pieces of 20 streams were acknowledged");
is($lost, 0, 'each of them is there');
is($beyond, 0, 'and of each stream at most one more');

# They go on from what is there, each by its way; 18 to 20 do not
my $end = 20 + (sort { $b <=> $a } map { $there[$_][0] } 1 .. 20)[0];
for my $i (1 .. 17)
{
	my $whole = text_to($i, $end);
	my $rest = substr($whole, length text_to($i, $there[$i][0]));
	my $task = task_id($i);
	sql($i % 2
		? "SELECT airun_update_task('$task', '" . text_to($i, $end - 1) . "'); SELECT airun_complete_task('$task', '$whole')"
		: "SELECT airun_stream_delta('$task', '$rest', $there[$i][1]); SELECT airun_complete_task('$task', tokens_total => 10)");
	$wrong++ if sql("SELECT encode(convert_to(response_text, 'UTF8'), 'hex'), status FROM ai_tasks WHERE task_id = '$task'") ne unpack('H*', $whole) . '|completed';
	$wrong++ if sql("SELECT generation FROM airun.tasks WHERE task_id = '$task'") ne '0';
}
is($wrong, 0, '17 streams go on from the position read, and end with all of their texts');
is(sql('SELECT airun_expire_tasks()'), '0', 'nothing is overdue yet');
is(sql("SELECT pg_sleep(1.2) \\g /dev/null\nSET airun.task_timeout = '1s'; SELECT airun_expire_tasks()"), '3', 'then expiry ends the other three');
is(sql("SELECT string_agg(right(task_id::text, 2) || ' ' || status || ' ' || (error ->> 'code'), ', ' ORDER BY task_id) FROM ai_tasks WHERE status <> 'completed'"),
	join(', ', map { sprintf '%02x error expired', $_ } 18 .. 20), 'as expired');
for my $i (18 .. 20)
{
	is(sql("SELECT encode(convert_to(response_text, 'UTF8'), 'hex') FROM ai_tasks WHERE task_id = '" . task_id($i) . "'"), unpack('H*', text_to($i, $there[$i][0])), "with the text of stream $i as far as it came");
}
is(sql('SELECT count(*) FROM airun.task_chunks'), '0', 'no chunk is left');
check_ok($node, 'after all have ended');

#--- airun.async_progress and kill -9 -------------------------------------------------------

crash($async .. $async + 4);
my ($forgotten, $disorder) = (0, 0);
for my $i ($async .. $async + 4)
{
	$forgotten += $acknowledged[$i] - $there[$i][0] if $there[$i][0] < $acknowledged[$i];
	# the order stays: what came before an append that was acknowledged is there
	$disorder++ if $there[$i][0] < $appended[$i][0];
	$lost++ if sql("SELECT count(*) FROM ai_messages WHERE run_id = '" . run_id($i) . "' AND seq = $appended[$i][1] AND message_id = 'm$appended[$i][0]'") ne '1';
}
note "with airun.async_progress $forgotten acknowledged pieces of 5 streams are gone";
is($lost, 0, 'with airun.async_progress each append that was acknowledged is there');
is($disorder, 0, 'and all progress before it');
sql("SELECT airun_stream_delta('" . task_id($_) . "', 'the rest', $there[$_][1]); SELECT airun_complete_task('" . task_id($_) . "')") for $async .. $async + 4;
is(sql("SELECT count(*) FROM ai_tasks WHERE status = 'completed' AND task_id >= '" . task_id($async) . "' AND response_text LIKE '%the rest'"), '5', 'the streams go on');

#--- followers through restarts --------------------------------------------------------------

# A client that follows a task to its end, connects again whenever it has to, and
# writes down what it gets, in hex
sub follow
{
	my ($task, $file) = @_;
	my ($pos, $gen) = (0, 'NULL');
	my $look = <<"END" x 50;
SELECT encode(convert_to(text, 'UTF8'), 'hex') AS piece, from_position, position AS pos, generation AS gen, status = 'completed' AS done
FROM airun_stream_read('$task', :pos, '5 s', :gen) \\gset
\\echo :from_position :pos :gen x:piece :done
\\if :done
\\q
\\endif
END

	append_to_file("$file.sql", $look);
	my $connections = 0;
	while ($connections++ < 200)
	{
		my $out = '';
		IPC::Run::run([ psql_command('-v', "pos=$pos", '-v', "gen=$gen", '-f', "$file.sql") ], '<', '/dev/null', '>', \$out, '2>>', "$file.err", IPC::Run::timeout(60));
		for my $line (split /\n/, $out)
		{
			next unless $line =~ /^\d+ (\d+) (\d+) x[0-9a-f]* ([tf])$/;
			append_to_file("$file.out", "$line\n");
			($pos, $gen) = ($1, $2);
			return if $3 eq 't';
		}
		usleep(50_000);
	}
}

{
	my ($run, $task, $i) = (run_id(30), task_id(30), 30);
	my ($done, $saves) = (0, 90);
	my @pids;

	sql("SELECT airun_create_task('$run', '$task')");
	for my $f (1 .. 8)
	{
		my $pid = fork() // die "fork: $!";
		if ($pid == 0)
		{
			eval { follow($task, "$dir/f$f") };
			print STDERR $@ if $@;
			require POSIX;
			POSIX::_exit(0);
		}
		push @pids, $pid;
	}
	$node->poll_query_until('postgres', "SELECT count(*) = 8 FROM pg_stat_activity WHERE application_name = 'stream'") or die 'no followers';
	for my $part (1 .. 3)
	{
		my $script = '';
		my ($position) = split /\|/, sql("SELECT position FROM airun_stream_read('$task')");
		# on from what the server says is there
		$done++ while chars(text_to($i, $done)) < $position;
		my $at = $position;
		for my $n ($done + 1 .. $part * $saves / 3)
		{
			$script .= "SELECT airun_stream_delta('$task', '" . piece($i, $n) . "', $at); SELECT pg_sleep(0.01);\n";
			$at += chars(piece($i, $n));
		}
		sql("\\o /dev/null\n$script");
		$done = $part * $saves / 3;
		if ($part == 1) { $node->stop('immediate'); $node->start; }
		if ($part == 2) { kill_server(); $node->start; }
	}
	sql("SELECT airun_complete_task('$task')");
	waitpid($_, 0) for @pids;

	my $text = text_to($i, $saves);
	for my $f (1 .. 8)
	{
		my ($at, $got, $wrong, $pieces) = (0, '', 0, 0);
		for my $line (split /\n/, slurp_file("$dir/f$f.out"))
		{
			my ($from, $to, $gen, $hex) = $line =~ /^(\d+) (\d+) (\d+) x([0-9a-f]*)/;
			$wrong++ if $from != $at || $gen != 0;
			$got .= pack 'H*', $hex;
			$at = $to;
			$pieces++ if $hex ne '';
		}
		ok($wrong == 0 && $pieces > 20 && $got eq $text, "follower $f has every character once and in order, in $pieces pieces, through a restart and a crash")
		  or diag slurp_file("$dir/f$f.err");
	}
	check_ok($node, 'at the end');
}

done_testing();
