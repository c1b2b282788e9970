#!/usr/bin/perl
#
# bench.pl: airun beside what people use instead, in one run, on the server that
# test/run has started (PGHOST, BENCH_BINDIR, BENCH_CLUSTER)
#
# The peers are the files beside this one.  Every part works in a database of its
# own, a copy of one that holds the peers and nothing stored.  All clients are
# pgbench with prepared statements and the payload as parameters, or EXPLAIN in
# psql.  In each round the peers take turns, and odd rounds go backwards.
#
# A ratio is the median of the rounds' ratios; a latency is the mean of the middle
# half of a round's calls, without the first tenth of them.  WAL is the distance
# between two insert positions.  full_page_writes is off and no checkpoint falls
# into what is measured, so that neither WAL nor time depends on when the last was.
#
# Environment:
#	BENCH_ONLY		the parts to run, of wal, storage, list, survive, append,
#				load, turn, bulk, memory, usage; all by default
#	BENCH_ROUNDS		rounds (5)
#	BENCH_SECONDS		how long clients that count turns run (2)
#	BENCH_CLIENTS		how many clients take turns (1,2,8,32)
#	BENCH_RUNS		runs in the list (1000000)
#	BENCH_CALLS		tasks of a year that reports are of (1000000)
#	BENCH_JSON		where the figures go, for machines
#
use strict;
use warnings;

use File::Basename qw(dirname);
use POSIX ();
use Time::HiRes ();

use lib dirname(__FILE__);
use Bench;

my $rounds = $ENV{BENCH_ROUNDS} || 5;
my $seconds = $ENV{BENCH_SECONDS} || 2;
my $list_runs = $ENV{BENCH_RUNS} || 1_000_000;
my $calls = $ENV{BENCH_CALLS} || 1_000_000;

#--- parts: what it costs --------------------------------------------------------

# Runs for appends: 20,000 messages in all at each length.
my %runs_of = (10 => 2000, 100 => 200, 1000 => 20, 5000 => 4);

# WAL of an append and of a turn, rows that a turn writes, buffers of an append.
sub wal
{
	fresh();
	my %turn_runs = (kind => 90100, runs => 20);
	for my $length (sort { $a <=> $b } keys %runs_of)
	{
		fill([qw(airun rows blob original bare floor)], $length, $length >= 1000 ? 4 : 100, $length);
	}
	fill([qw(airun rows kept blob original bare)], $turn_runs{kind}, $turn_runs{runs}, 100);
	settle();
	for my $length (sort { $a <=> $b } keys %runs_of)
	{
		my %at = (kind => $length, runs => $length >= 1000 ? 4 : 100);
		my $few = $length >= 1000 ? 8 : 40;
		figure("WAL of an append, 1 kB, at " . thousands($length), 'B',
			[ airun => wal_of('airun.append', 400, %at), floor => wal_of('floor.append', 400, %at),
				bare => wal_of('bare.append', 400, %at), rows => wal_of('rows.append', 400, %at),
				blob => wal_of('blob.append', $few, %at), original => wal_of('original.append', $few, %at) ], floor => '<= 1.2');
		figure("the same with a message_id", 'B',
			[ airun => wal_of('airun.append_id', 400, %at), floor => wal_of('floor.append_id', 400, %at),
				rows => wal_of('rows.append_id', 400, %at) ], floor => '<= 1.3');
	}
	my %turn = map { $_ => wal_of("$_.turn", 100, %turn_runs) } qw(airun bare rows);
	$turn{'rows, promises kept'} = wal_of('kept.turn', 100, %turn_runs);
	$turn{"$_, whole text"} = wal_of("$_.turn_text", 100, %turn_runs) for qw(airun rows);
	$turn{$_} = wal_of("$_.turn", 16, %turn_runs) for qw(blob original);
	figure('WAL of a turn, at 100', 'B', [ map { $_ => $turn{$_} } 'airun', grep { $_ ne 'airun' } sort keys %turn ], airun => '<= 13000');

	# what is written to tables, by the statistics of their schemas
	my %written;
	for my $peer (qw(airun bare rows blob original))
	{
		my $count = "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables WHERE schemaname = '$peer'";
		my $before = sql($count);
		client("$peer.turn", %turn_runs, count => 20);
		$written{$peer} = (sql($count) - $before) / 20;
	}
	figure('rows written by a turn', '', [ map { $_ => $written{$_} } qw(airun bare rows blob original) ]);
	figure('round trips of a turn', '',
		[ map { $_ => round_trips("$_.turn") } qw(airun bare rows blob original) ]);

	my $message = $payload{question} =~ s/'/''/gr;
	my $run = kind(1000) . '100000000001';
	figure('buffers of an append, 1 kB, at 1,000', '',
		[ airun => buffers("SELECT airun_append_message('$run', '$message')"),
			floor => buffers("INSERT INTO floor.messages (run_id, seq, message) VALUES ('$run', nextval('number'), '$message')", 'CREATE TEMP SEQUENCE number START 9000000'),
			rows => buffers("SELECT rows.append('$run', '$message')"), blob => buffers("SELECT blob.append('$run', '$message')") ]);
	figure('buffers of loading 100', '', [ map { $_->[0] => buffers($_->[1]) }
		[ airun => "SELECT airun_messages('" . kind(100) . "100000000001')" ],
		[ rows => "SELECT jsonb_agg(message ORDER BY seq) FROM rows.messages WHERE run_id = '" . kind(100) . "100000000001'" ] ]);

	restart_with('wal_level = logical');
	for my $length (10, 1000)
	{
		my %at = (kind => $length, runs => $length >= 1000 ? 4 : 100);
		figure('WAL of an append, 1 kB, at ' . thousands($length) . ', wal_level = logical', 'B',
			[ airun => wal_of('airun.append', 400, %at), floor => wal_of('floor.append', 400, %at), rows => wal_of('rows.append', 400, %at) ]);
	}
	figure('WAL of a turn, at 100, wal_level = logical', 'B', [ map { $_ => wal_of("$_.turn", 100, %turn_runs) } qw(airun bare rows) ]);
	restart_with('wal_level = replica');
}

# The real conversations, weighed.
sub storage
{
	fresh();
	sql('CREATE TABLE bench.runs AS SELECT gen_random_uuid() AS id, n, airun_json(line) -> \'messages\' AS messages FROM bench.corpus');
	sql('SELECT count(airun_create_run(id => id)) FROM bench.runs');
	sql('SELECT count(*) FROM bench.runs AS r, LATERAL airun_append_messages(r.id, r.messages)');
	sql('INSERT INTO rows.runs (id, message_count) SELECT id, jsonb_array_length(messages) FROM bench.runs');
	# the same bytes: airun has added a timestamp where the client sent none
	sql('INSERT INTO rows.messages (run_id, seq, message) SELECT run_id, seq, message FROM airun.messages ORDER BY run_id, seq');
	sql('INSERT INTO blob.runs (id, messages) SELECT run_id, jsonb_agg(message ORDER BY seq) FROM airun.messages GROUP BY run_id');
	sql('VACUUM FULL'), settle();
	my ($count, $text, $sent) = split /\|/, sql('SELECT count(*), sum(octet_length(message::text)),
		(SELECT sum(octet_length(m::text)) FROM bench.runs, jsonb_array_elements(messages) AS m) FROM airun.messages');
	my %size;
	for my $table (qw(airun.messages rows.messages blob.runs))
	{
		my @size = split /\|/, sql("SELECT pg_relation_size('$table'), pg_relation_size(reltoastrelid), pg_indexes_size('$table')
			+ pg_indexes_size(reltoastrelid) FROM pg_class WHERE oid = '$table'::regclass");
		$size{$table} = [@size];
	}
	my $place = 0;
	for my $what ('heap', 'TOAST', 'indexes')
	{
		figure("storage of a real message, $what (" . thousands($count) . ' of them)', 'B',
			[ map { $_->[0] => $size{ $_->[1] }[$place] / $count } [ airun => 'airun.messages' ], [ rows => 'rows.messages' ], [ blob => 'blob.runs' ] ]);
		$place++;
	}
	my %total = map { my $sum = 0; $sum += $_ for @{ $size{$_} }; ($_ => $sum / $count) } keys %size;
	figure('storage of a real message, all, against JSON text', 'B',
		[ airun => $total{'airun.messages'}, 'its JSON text' => $text / $count, 'as sent, no timestamp' => $sent / $count,
			rows => $total{'rows.messages'}, blob => $total{'blob.runs'} ], 'its JSON text' => '<= 1.35');
}

# 20 of one user's 10,000 runs: his activity spread over 90 days, another's over 10
# days, which is 42 runs an hour, a third one's all in one hour.
sub list
{
	my $other = '10000000-0000-4000-8000-000000000002';
	my $busy = '10000000-0000-4000-8000-000000000003';

	fresh();
	say_what(thousands($list_runs) . ' runs');
	sql(<<"SQL");
SET session_replication_role = replica;
CREATE TABLE bench.made AS
	SELECT i, (lpad(to_hex(i), 8, '0') || '-0000-7000-8000-000000000001')::uuid AS id, h.user_id,
		CASE WHEN h.user_id = '$other' THEN timestamptz '2026-01-10 23:00Z' + (hashint4(i) & 2047) * interval '1 s'
			ELSE timestamptz '2026-01-01 00:00Z' + (hashint4(i) & 1073741823)::float8 / 1073741823 * CASE WHEN h.user_id = '$busy' THEN interval '10 days' ELSE interval '90 days' END END AS at
	FROM generate_series(1, $list_runs) AS i,
		LATERAL (SELECT CASE i % ($list_runs / 10000) WHEN 0 THEN '$user' WHEN 1 THEN '$other' WHEN 2 THEN '$busy'
			ELSE ('10000000-0000-4000-8000-' || lpad(to_hex(i % 9973 + 16), 12, '0')) END::uuid) AS h (user_id);
INSERT INTO airun.runs (id, user_id, name, tags, message_count, created_at, last_message_at, updated_at, active_hour)
	SELECT id, user_id, 'Night trains from Hamburg to Vienna, part ' || i, ARRAY['travel', 'tag ' || i % 10], 2,
		at - interval '10 min', at, at, date_trunc('hour', at, 'UTC') FROM bench.made;
INSERT INTO original.runs (id, user_id, name, message_count, created_at, last_message_at, messages)
	SELECT id, user_id, 'Night trains from Hamburg to Vienna, part ' || i, 2, at - interval '10 min', at,
		jsonb_build_array(jsonb_build_object('role', 'user', 'content', 'How do I get from Hamburg to Vienna by night train? ' || i),
			jsonb_build_object('role', 'assistant', 'content', 'There is one every evening, in winter and in summer. It leaves Hamburg at 20:20 and is in Vienna at 9:20; a seat is from 30 euro, a bed from 90.'))
	FROM bench.made;
SQL
	sql('VACUUM (FREEZE, ANALYZE) airun.runs, original.runs');
	sql('CHECKPOINT');
	my %plans = map { my $who = $_; $who => [ explain('SELECT * FROM airun_list_runs(page_size => 20)', "SET ROLE app; SET airun.user_id = '$who'") ] } $user, $other, $busy;
	my @reading = explain("SELECT count(last_message_at) FROM airun.runs WHERE user_id = '$other'", 'SET enable_bitmapscan = off');
	my @original = explain("SELECT * FROM original.runs WHERE user_id = '$user' ORDER BY last_message_at DESC");
	my $blocks = sub { [ map { $_->{Plan}{'Shared Hit Blocks'} + $_->{Plan}{'Shared Read Blocks'} } @_ ] };
	my $time = sub { [ map { $_->{'Execution Time'} * 1000 } @_ ] };
	my $sent = sub { sql("SET airun.user_id = '$user'; SELECT sum(octet_length(t::text)) FROM ($_[0]) AS t") };
	my $all = 'SELECT * FROM original.runs WHERE user_id = \'' . $user . '\'';
	my $of = '20 of 10,000 among ' . thousands($list_runs);

	figure("list $of: buffers", '', [ airun => $blocks->(@{ $plans{$user} }), original => $blocks->(@original) ], airun => '<= 40');
	figure('the same, 42 an hour: buffers', '', [ airun => $blocks->(@{ $plans{$busy} }) ]);
	figure('the same, all in one hour: buffers', '', [ airun => $blocks->(@{ $plans{$other} }) ]);
	figure("list $of: bytes sent", 'B', [ airun => $sent->('SELECT * FROM airun_list_runs(page_size => 20)'), original => $sent->($all) ]);
	exact(0);
	figure("list $of: in the server", 'us', [ airun => $time->(@{ $plans{$user} }), original => $time->(@original) ], airun => '<= 100');
	figure('the same, 42 an hour: in the server', 'us', [ airun => $time->(@{ $plans{$busy} }) ]);
	figure('the same, all in one hour: in the server', 'us', [ airun => $time->(@{ $plans{$other} }), 'reading them alone' => $time->(@reading) ]);
	my %series = take_turns($rounds,
		airun => sub { (client('airun.list', count => 500, role => 'app'))[0] },
		original => sub { (client('original.list', count => 10))[0] });
	figure("list $of: to the client", 'us', [ map { $_ => $series{$_} } qw(airun original) ]);
	exact(1);
}

# 8 clients, 100 appends each, to one run.
sub survive
{
	fresh();
	sql("SELECT id FROM airun_create_run(id => '" . kind(91000) . "100000000001')");
	sql("INSERT INTO $_.runs (id) VALUES ('" . kind(91000) . "100000000001')") for qw(rows blob original);
	client("$_.append", kind => 91000, runs => 1, clients => 8, count => 100) for qw(airun rows blob original);
	figure('8 x 100 concurrent appends to one run: survive', '',
		[ airun => sql('SELECT count(*) FROM airun.messages'), original => sql('SELECT jsonb_array_length(messages) FROM original.runs'),
			blob => sql('SELECT jsonb_array_length(messages) FROM blob.runs'), rows => sql('SELECT count(*) FROM rows.messages') ], airun => '== 800');
}

#--- parts: how long it takes ----------------------------------------------------

sub append
{
	fresh();
	for my $length (sort { $a <=> $b } keys %runs_of)
	{
		fill([qw(airun floor rows blob original bare)], $length, $runs_of{$length}, $length);
	}
	settle();
	for my $mode ('off', 'on')
	{
		my $many = $mode eq 'on' ? 1500 : 6000;
		my $bar = $mode eq 'on' ? '<= 1.15' : '<= 1.5';
		my (%at_length, %series);

		set('fsync', $mode);
		say_what("append, fsync $mode");
		# the lengths take turns as well
		for my $round (1 .. $rounds)
		{
			for my $length (sort { $a <=> $b } keys %runs_of)
			{
				my %at = (kind => $length, runs => $runs_of{$length});
				my $few = $length >= 1000 ? 8 : 60;
				%series = take_turns(1, map { my $script = $_; $script => sub { (client($script, %at, count => $script =~ /blob|original/ ? $few : $many))[0] } }
					qw(airun.append floor.append bare.append rows.append airun.append_id floor.append_id rows.append_id blob.append original.append));
				push @{ $at_length{$length}{$_} }, @{ $series{$_} } for keys %series;
			}
			sql('CHECKPOINT');
		}
		for my $length (sort { $a <=> $b } keys %runs_of)
		{
			my $all = $at_length{$length};
			figure('append, 1 kB, at ' . thousands($length) . ", fsync $mode", 'us',
				[ map { my ($peer) = /(\w+)/; $peer => $all->{$_} } map { "$_.append" } qw(airun floor bare rows blob original) ], floor => $bar);
			figure('the same with a message_id', 'us', [ map { $_ => $all->{"$_.append_id"} } qw(airun floor rows) ]);
		}
		figure("append, 1 kB, at 5,000 and at 10, fsync $mode", 'us',
			[ airun => $at_length{5000}{'airun.append'}, 'airun at 10' => $at_length{10}{'airun.append'} ], 'airun at 10' => '<= 1.1');
		my %at = (kind => 1000, runs => $runs_of{1000});
		%series = take_turns($rounds,
			airun => sub { (client('airun.append', %at, count => $many, role => 'app'))[0] },
			'airun as superuser' => sub { (client('airun.append', %at, count => $many))[0] });
		figure("append by an API role, row security, fsync $mode", 'us', [ map { $_ => $series{$_} } 'airun', 'airun as superuser' ]);
		%series = take_turns($rounds,
			airun => sub { (client('airun.append', %at, count => $many, message => $payload{answer}))[0] },
			'floor, default TOAST' => sub { (client('floor.append_default', %at, count => $many, message => $payload{answer}))[0] },
			'floor, in line, lz4' => sub { (client('floor.append', %at, count => $many, message => $payload{answer}))[0] },
			rows => sub { (client('rows.append', %at, count => $many, message => $payload{answer}))[0] });
		figure("append, 4 kB, at 1,000, fsync $mode", 'us',
			[ map { $_ => $series{$_} } 'airun', 'floor, default TOAST', 'floor, in line, lz4', 'rows' ], 'floor, default TOAST' => '<= 1');
		%series = take_turns($rounds, map { my $peer = $_; $peer => sub { (client("$peer.create_run", count => $many / 2))[0] } } qw(airun bare floor rows blob));
		figure("create a run, fsync $mode", 'us', [ map { $_ => $series{$_} } qw(airun bare floor rows blob) ], bare => '<= 1.05');
		%series = take_turns($rounds, 'select 1' => sub { (client('floor.select_1', count => 4000))[0] });
		figure("round trip: select 1", 'us', [ airun => $series{'select 1'} ]);
	}
	set('fsync', 'off');
}

sub load
{
	my %count = (100 => 400, 1000 => 60, 5000 => 16);

	fresh();
	for my $length (sort { $a <=> $b } keys %count)
	{
		my ($kind, $runs) = (kind($length), $length == 5000 ? 2 : 10);
		fill([qw(airun blob rows)], $length, $runs, $length);
		sql("INSERT INTO floor.$_ SELECT id, airun_messages(id)::text FROM bench.run_ids('$kind', $runs) AS id") for qw(texts texts_lz4);
	}
	settle();
	for my $length (sort { $a <=> $b } keys %count)
	{
		say_what("load $length");
		my %at = (kind => $length, runs => $length == 5000 ? 2 : 10, count => $count{$length});
		my %series = take_turns($rounds, map { my $script = $_; $script => sub { (client($script, %at))[0] } }
			qw(airun.load floor.load floor.load_lz4 blob.load rows.load airun.load_rows rows.load_rows airun.load_jsonb
			airun.load_inside floor.load_inside blob.load_inside rows.load_inside airun.load_jsonb_inside blob.load_jsonb_inside rows.load_jsonb_inside));
		my $what = thousands($length) . ' messages';
		figure("load $what as text, to the client", 'us',
			[ airun => $series{'airun.load'}, 'one text value' => $series{'floor.load'}, 'one text value, lz4' => $series{'floor.load_lz4'},
				'one jsonb column' => $series{'blob.load'}, jsonb_agg => $series{'rows.load'} ],
			'one text value' => '<= 1.6', 'one jsonb column' => '>= 2 x faster', jsonb_agg => '>= 2.5 x faster');
		figure("load $what as rows, to the client", 'us', [ airun => $series{'airun.load_rows'}, rows => $series{'rows.load_rows'} ]);
		figure("select messages from ai_runs, $what", 'us',
			[ airun => $series{'airun.load_jsonb'}, 'one jsonb column' => $series{'blob.load'}, jsonb_agg => $series{'rows.load'} ], 'one jsonb column' => '<= 1');
		figure("load $what as text, in the server", 'us',
			[ airun => $series{'airun.load_inside'}, 'one text value' => $series{'floor.load_inside'}, 'one jsonb column' => $series{'blob.load_inside'},
				jsonb_agg => $series{'rows.load_inside'} ]);
		figure("load $what as jsonb, in the server", 'us',
			[ airun => $series{'airun.load_jsonb_inside'}, 'one jsonb column' => $series{'blob.load_jsonb_inside'}, jsonb_agg => $series{'rows.load_jsonb_inside'} ]);
	}
}

sub turn
{
	my %at = (kind => 90100, runs => 500);
	my %one = (kind => 92100, runs => 1);
	my %cpu;
	my $rate = sub {
		my ($script, @option) = @_;
		return sub {
			my (undef, $rate, $cpu) = client($script, @option, seconds => $seconds);
			push @{ $cpu{$script} }, $cpu;
			return $rate;
		};
	};

	fresh();
	fill([qw(airun bare rows kept blob)], 90100, 500, 100);
	fill([qw(airun bare rows kept blob)], 92100, 1, 100);
	for my $mode ('off', 'on')
	{
		set('fsync', $mode);
		for my $clients (split /\D+/, $ENV{BENCH_CLIENTS} || '1,2,8,32')
		{
			my $often = $clients == 8 ? $rounds : POSIX::ceil($rounds / 2);
			my %with = (%at, clients => $clients);
			%cpu = ();
			settle();
			say_what("turn, fsync $mode, $clients clients");
			my @who = (airun => $rate->('airun.turn', %with), bare => $rate->('bare.turn', %with), rows => $rate->('rows.turn', %with),
				'rows, promises kept' => $rate->('kept.turn', %with));
			push @who, 'airun, whole text' => $rate->('airun.turn_text', %with), 'rows, whole text' => $rate->('rows.turn_text', %with) if $clients == 8;
			my $async = $clients == 8 && $mode eq 'on';
			push @who, 'airun, async' => $rate->('airun.turn', %with, set => '-c airun.async_progress=on') if $async;
			my %series = take_turns($often, @who);
			%series = (%series, take_turns($clients == 8 ? 2 : 1, blob => $rate->('blob.turn', %with)));
			figure("full turn, $clients client" . ($clients > 1 ? 's' : '') . ", fsync $mode", 'turns/s',
				[ map { $_ => $series{$_} } grep { $series{$_} } 'airun', 'bare', 'rows', 'rows, whole text', 'rows, promises kept', 'blob', 'airun, whole text' ],
				$clients == 8 ? (bare => '>= 0.85', map({ $_ => '>= 1.6' } 'rows', 'rows, whole text', 'rows, promises kept'), blob => '>= 20') : ());
			figure("CPU time of the server for a turn, $clients client" . ($clients > 1 ? 's' : '') . ", fsync $mode", 'us',
				[ map { $_ => delete $cpu{"$_.turn"} } qw(airun bare rows blob) ]);
			figure('full turn, 8 clients, fsync on, async_progress = on', 'turns/s',
				[ airun => $series{'airun, async'}, 'airun without' => $series{airun}, bare => $series{bare} ], 'airun without' => '>= 1.5')
			  if $async;
		}
		settle();
		my %series = take_turns(POSIX::ceil($rounds / 2), map { $_ => $rate->("$_.turn", %one, clients => 8) } qw(airun bare rows kept));
		%series = (%series, take_turns(1, blob => $rate->('blob.turn', %one, clients => 8)));
		figure("full turn, 8 clients on one run, fsync $mode", 'turns/s',
			[ map({ $_ => $series{$_} } qw(airun bare rows)), 'rows, promises kept' => $series{kept}, blob => $series{blob} ]);
	}
	set('fsync', 'off');
}

# 20,000 tasks of one run, in and, with the run, out.
sub bulk
{
	my $run = kind(93000) . '100000000001';
	my $tasks = "SELECT '$run', gen_random_uuid(), 'completed', 'gpt-4o', 10, 90, now() FROM generate_series(1, 20000)";
	my %insert = (
		airun => "INSERT INTO airun.tasks (run_id, task_id, status, model_id, tokens_input, tokens_output, completed_at) $tasks",
		'airun, by its view' => "INSERT INTO ai_tasks (run_id, task_id, status, model_id, tokens_input, tokens_output, completed_at) $tasks",
		rows => "WITH t AS (INSERT INTO rows.tasks (run_id, task_id, status, model_id, tokens_input, tokens_output, completed_at) $tasks RETURNING tokens_input + tokens_output AS tokens)
			UPDATE rows.runs SET task_count = task_count + s.count, total_tokens = total_tokens + s.sum FROM (SELECT count(*), sum(tokens) FROM t) AS s WHERE id = '$run'",
		floor => "INSERT INTO floor.tasks (run_id, task_id, status, model_id, tokens_input, tokens_output, completed_at) $tasks",
		blob => "INSERT INTO blob.tasks (run_id, task_id, status, model_id, tokens_input, tokens_output, completed_at) $tasks");
	my (%in, %out);
	my $time = sub { psql('-c', '\timing on', '-c', $_[0]) =~ /^Time: ([\d.]+) ms/m or die; $1 * 1000 };

	fresh();
	for my $round (1 .. ($rounds > 3 ? 3 : $rounds))
	{
		for my $who ($round % 2 ? sort keys %insert : reverse sort keys %insert)
		{
			# row by row, each an update of the run: once is enough
			next if $who =~ /view/ && $round > 1;
			my $schema = $who =~ /^airun/ ? 'airun' : $who;
			sql("INSERT INTO $schema.runs (id, user_id) VALUES ('$run', '$user')");
			push @{ $in{$who} }, $time->($insert{$who});
			sql('ANALYZE');
			push @{ $out{$who} }, $time->("DELETE FROM $schema.runs WHERE id = '$run'");
			sql('VACUUM');
		}
	}
	figure('insert 20,000 tasks of a run', 'us', [ map { $_ => $in{$_} } 'airun', 'airun, by its view', 'rows', 'floor', 'blob' ], rows => '<= 1.5');
	figure('delete the run with them', 'us', [ map { $_ => $out{$_} } qw(airun rows floor blob) ]);

	fresh();
	say_what('a million messages');
	psql('-v', 'n=50000', '-f', dirname(__FILE__) . '/million_rows.sql');
	settle();
	my $recount = 'SELECT run_id, count(*), min(seq), max(seq), max(created_at) FROM airun.messages GROUP BY run_id';
	my %took = map { $_->[0] => [ map { $_->{'Execution Time'} * 1000 } explain($_->[1]) ] }
	  [ check => 'SELECT * FROM airun_check()' ], [ recount => $recount ];
	figure('airun_check() of 1,000,000 messages', 'us', [ airun => $took{check}, 'their recount alone' => $took{recount} ], airun => '<= 1000000');
	my ($list, $newest) = ('SELECT * FROM airun_list_runs(page_size => 20)', 'SELECT * FROM airun.runs ORDER BY active_hour DESC, last_message_at DESC LIMIT 20');
	my @list = explain($list);
	figure('list 20 of all users: in the server', 'us', [ airun => [ map { $_->{'Execution Time'} * 1000 } @list ] ]);
	exact(1);
	figure('what airun_check() finds', '', [ airun => sql('SELECT count(*) FROM airun_check()') ], airun => '== 0');
	figure('list 20 of all users: buffers', '', [ airun => buffers($list), 'without its index' => buffers($newest) ], airun => '<= 60');
	exact(0);

	# each round has 12,500 runs to remove, and a cascade over the same rows beside it
	sql('CREATE SCHEMA cascade');
	for my $table (qw(runs messages message_versions tasks))
	{
		sql("CREATE TABLE cascade.$table (LIKE airun.$table INCLUDING ALL)");
		sql("INSERT INTO cascade.$table SELECT * FROM airun.$table");
		sql("ALTER TABLE cascade.$table ADD FOREIGN KEY (run_id) REFERENCES cascade.runs ON DELETE CASCADE") if $table ne 'runs';
	}
	sql("UPDATE $_.runs SET deleted_at = '2026-06-01Z'::timestamptz + (row_number - 1) / 12500 * interval '1 day'
		FROM (SELECT id AS of, row_number() OVER (ORDER BY id) FROM $_.runs) AS n WHERE id = of") for qw(airun cascade);
	settle();
	my %remove = (airun => 'SELECT airun_purge_runs(%s)', cascade => 'DELETE FROM cascade.runs WHERE deleted_at < %s');
	my $cpu = "SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)";
	my %removed;
	for my $time (map { "'2026-06-01 12:00Z'::timestamptz + $_ * interval '1 day'" } 0 .. ($rounds > 3 ? 2 : $rounds - 1))
	{
		for my $who (sort keys %remove)
		{
			# nothing at first: what a session does once is not counted
			my @said = split /\n/, psql(map { ('-c', $_) } sprintf($remove{$who}, "'-infinity'"), $cpu, sprintf($remove{$who}, $time), $cpu);
			push @{ $removed{$who} }, ($said[-1] - $said[$who eq 'airun' ? 1 : 0]) / 1000;
		}
	}
	figure('purge 12,500 runs with 20 messages, 2 tasks: CPU time', 'us', [ airun => $removed{airun}, 'a cascade alone' => $removed{cascade} ], 'a cascade alone' => '<= 1.5');
}

# The memory of one backend that appends 100,000 times and loads 10,000 times.
sub memory
{
	fresh();
	fill(['airun'], 100, 200, 100);
	settle();
	for my $work ([ 'append', 100_000 ], [ 'load', 10_000 ])
	{
		my ($script, $count) = @$work;
		my ($early, $late, $pid);

		local $ENV{PGAPPNAME} = 'bench_memory';
		my $child = fork // die "fork: $!\n";
		if (!$child)
		{
			eval { client("airun.$script", kind => 100, runs => 200, count => $count); 1 } or POSIX::_exit(1);
			POSIX::_exit(0);
		}
		local $ENV{PGAPPNAME} = 'psql';
		my @sizes;
		while (waitpid($child, POSIX::WNOHANG()) == 0)
		{
			$pid ||= sql("SELECT max(pid) FROM pg_stat_activity WHERE application_name = 'bench_memory'");
			if ($pid && open my $in, '<', "/proc/$pid/status")
			{
				my ($size) = join('', <$in>) =~ /^RssAnon:\s+(\d+) kB/m;
				push @sizes, $size if $size;
			}
			select undef, undef, undef, 0.01;
		}
		die "the client failed\n" if $?;
		die "too quick to be seen\n" if @sizes < 10;
		# behind the first quarter, in which caches fill
		$early = $sizes[ @sizes / 4 ];
		$late = $sizes[-1];
		figure('private memory of a backend at the end of ' . thousands($count) . " ${script}s", 'kB',
			[ airun => $late, 'at a quarter of them' => $early ], 'at a quarter of them' => '<= 1.05');
	}
}

# A month by model and day, of a year of tasks, by airun_usage() and from the tasks themselves;
# and the pages of that month and year.
sub usage
{
	my $tail = 20_000;
	my @june = ("'2026-06-01Z'", "'2026-07-01Z'");
	my $report = "SELECT * FROM airun_usage($june[0], $june[1], group_by => '{model_id}')";
	my $sums = 'count(*) AS calls, count(*) FILTER (WHERE status = $$error$$) AS errors, count(*) FILTER (WHERE cost IS NULL) AS unpriced, '
	  . 'sum(tokens_total) AS tokens_total, coalesce(sum(cost), 0) AS cost';
	my $percentiles = join ', ', map { "percentile_disc('{0.5,0.95,0.99}'::float8[]) WITHIN GROUP (ORDER BY $_)" } qw(time_to_first_token total_time);
	my $raw = sub {
		"SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS bucket, model_id, $_[0] FROM airun.tasks "
		  . "WHERE created_at >= $june[0] AND created_at < $june[1] AND completed_at IS NOT NULL GROUP BY 1, 2"
	};
	my $time = sub { [ map { $_->{'Execution Time'} * 1000 } explain($_[0]) ] };
	my $add = sub {
		my ($count, $from, $to) = @_;
		psql('-v', "n=$count", '-v', "from_time=$from", '-v', "to_time=$to", '-f', dirname(__FILE__) . '/usage_rows.sql');
	};
	my $differences = sub {
		sql("SELECT count(*) FROM ($report) AS u FULL JOIN (" . $raw->($sums) . ') AS r USING (bucket, model_id) '
			  . 'WHERE (u.calls, u.errors, u.unpriced, u.tokens_total, u.cost) IS DISTINCT FROM (r.calls, r.errors, r.unpriced, r.tokens_total, r.cost)')
	};
	my %state = ('folded' => 50_000, thousands($tail) . ' not folded' => 80_000);

	fresh();
	say_what(thousands($calls) . ' tasks');
	$add->($calls, '2026-01-01Z', '2027-01-01Z');
	say_what('folding');
	my ($folded, $took) = (0, 0);
	while ($folded < $calls)
	{
		my $before = Time::HiRes::time();
		my $count = sql('SELECT airun_rollup(max_ms => 600000)') or die "nothing is folded\n";
		$took += Time::HiRes::time() - $before;
		$folded += $count;
		sql('VACUUM airun.usage_tail');
	}
	figure('folding of an entry', 'us', [ airun => $took * 1e6 / $folded ]);
	for my $state ('folded', thousands($tail) . ' not folded')
	{
		$add->($tail, '2026-06-24Z', '2026-07-01Z') if $state ne 'folded';
		settle();
		say_what($state);
		figure("a month by model and day of " . thousands($calls) . ", $state", 'us',
			[ airun => $time->($report), 'raw query' => $time->($raw->($sums)), 'raw, percentiles' => $time->($raw->("$sums, $percentiles")) ],
			airun => "<= $state{$state}");
		figure("the page of that month, $state", 'us', [ airun => $time->("SELECT airun_usage_page('2026-06-01', '2026-06-30')") ], airun => '<= 200000');
		exact(1);
		figure("the page of $_->[0], $state", 'B', [ airun => sql("SELECT octet_length(airun_usage_page($_->[1]))") ], airun => '<= 200000')
		  for [ 'that month', "'2026-06-01', '2026-06-30'" ], [ 'the year', "'2026-01-01', '2026-12-31'" ];
		figure("rows of it that a recount has otherwise, $state", '', [ airun => $differences->() ], airun => '== 0');
		exact(0);
	}
}

#--- all -------------------------------------------------------------------------

my %parts = (
	wal => \&wal, storage => \&storage, list => \&list, survive => \&survive, append => \&append,
	load => \&load, turn => \&turn, bulk => \&bulk, memory => \&memory,
	usage => \&usage);
my @exact = qw(wal storage list survive);
my @only = split /[\s,]+/, $ENV{BENCH_ONLY} || "@exact append load turn bulk memory usage";

for my $part (@only)
{
	$parts{$part} or die "no part $part: there are " . join(', ', sort keys %parts) . "\n";
}
my $started = time;
my @failed;
say_what('peers');
make_peers();
for my $part (@only)
{
	say_what($part);
	exact(scalar grep { $_ eq $part } @exact);
	# what has been measured by then is worth its time
	eval { $parts{$part}->(); 1 } or push @failed, "$part: $@";
}
use_database('peers');
open my $cpu, '<', '/proc/cpuinfo' or die;
my @models = map { /^model name\s*:\s*(.*)/ ? $1 : () } <$cpu>;
print_figures({
	server => sql("SELECT 'PostgreSQL ' || current_setting('server_version') || ', airun ' || extversion FROM pg_extension WHERE extname = 'airun'"),
	machine => @models . ' x ' . ($models[0] // 'CPU') . ', ' . POSIX::strftime('%F', gmtime),
	conditions => "shared_buffers " . sql('SHOW shared_buffers') . ", full_page_writes off, autovacuum off, unix socket, pgbench -M prepared; $rounds rounds; "
	  . sprintf('%.0f min', (time - $started) / 60) });
die @failed if @failed;
