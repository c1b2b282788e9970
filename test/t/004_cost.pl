# What things cost, in exact figures and not in time: updates of runs during
# appends are HOT, the WAL of an append depends neither on the length of the run
# nor on its settings, a page of the list reads few buffers and no message, and
# a plan that was made for tiny tables does not last.

use strict;
use warnings;

use AirunTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = airun_node('cost', conf => <<'END');
shared_buffers = 256MB
autovacuum = off
checkpoint_timeout = 1h
max_wal_size = 4GB
full_page_writes = off
END

sub sql { return $node->safe_psql('postgres', $_[0]); }

my $user = '10000000-0000-4000-8000-000000000001';
sql(<<'SQL');
CREATE ROLE app LOGIN;
SELECT airun_grant('app');
-- text that does not compress
CREATE FUNCTION noise(length int, seed text) RETURNS text LANGUAGE sql IMMUTABLE AS
	$$SELECT left(string_agg(md5(seed || i), ''), length) FROM generate_series(1, length / 32 + 1) AS i$$;
SQL

#--- HOT -------------------------------------------------------------------------

# Runs as they are in life, some with long settings, on pages as full as their
# fillfactor lets them be; then appends by four clients, some runs much more in
# demand than others.
my ($updates, $hot, $hour);
for my $try (1 .. 2)
{
	sql(<<"SQL");
SET airun.user_id = '$user';
SELECT count((r).id) FROM (SELECT airun_create_run(source_type => 'prompt', name => 'Run ' || i,
	settings => jsonb_build_object('model', 'm-' || i % 7, 'system', noise(abs(hashint4(i)) % 5 * 400, i::text)),
	tags => ARRAY['tag ' || i % 10], metadata => jsonb_build_object('no', i),
	id => ('0000000$try-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid)
	FROM generate_series(1, 4000) AS i OFFSET 0) AS r (r);
SQL
	my $count = "SELECT n_tup_upd, n_tup_hot_upd, extract(hour FROM now()) FROM pg_stat_user_tables WHERE relname = 'runs'";
	my @before = split /\|/, sql($count);
	my ($processed, $failed) = run_pgbench($node, <<"SQL", options => "-c airun.user_id=$user", arguments => [ '-U', 'app', '-c', 4, '-j', 2, '-t', 7500 ]);
\\set i random_zipfian(1, 4000, 1.05)
SELECT seq FROM airun_append_message(('0000000$try-0000-7000-8000-' || lpad(to_hex(:i::int), 12, '0'))::uuid,
	'{"role": "user", "content": "How do I get from Hamburg to Vienna by night train?"}');
SQL
	# a client reports what it has done when it goes, which may be after pgbench
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'")
	  or die 'clients do not go';
	my @after = split /\|/, sql($count);
	($updates, $hot) = ($after[0] - $before[0], $after[1] - $before[1]);
	# a run's first append in a new hour moves it in the index
	last if $before[2] == $after[2];
}
cmp_ok($updates, '>=', 30000, 'appends have updated runs');
cmp_ok($hot / $updates, '>=', 0.95, sprintf('%.2f %% of %d updates of runs by 30,000 appends are HOT', 100 * $hot / $updates, $updates));

#--- WAL -------------------------------------------------------------------------

# Four runs, alike but for their lengths and their settings
sql(<<"SQL");
SET airun.user_id = '$user';
SELECT airun_create_run(name => 'A run', id => ('00000003-0000-7000-8000-00000000000' || i)::uuid,
	settings => CASE WHEN i > 2 THEN jsonb_build_object('system', noise(1600, 's')) ELSE '{}' END)
FROM generate_series(1, 4) AS i;
SELECT count(*) FROM generate_series(1, 4) AS i, LATERAL airun_append_messages(
	('00000003-0000-7000-8000-00000000000' || i)::uuid,
	(SELECT jsonb_agg(jsonb_build_object('role', 'user', 'content', noise(1000, n::text)))
	 FROM generate_series(1, CASE WHEN i % 2 = 1 THEN 10 ELSE 5000 END) AS n));
CREATE TABLE floor (run_id uuid, seq bigint, created_at timestamptz, task_id uuid, message_id text, message jsonb,
	PRIMARY KEY (run_id, seq));
ALTER TABLE floor ALTER message SET STORAGE MAIN;
INSERT INTO floor SELECT * FROM airun.messages;
VACUUM ANALYZE;
CHECKPOINT;
SQL
my $message = "jsonb_build_object('role', 'user', 'content', noise(1000, :number::text), 'timestamp', '2026-01-01T00:00:00.000Z')";

# WAL bytes a transaction, over 400 of them behind 50 that warm up
sub wal
{
	my ($script, $run) = @_;
	my @arguments = ('-U', 'app', '-D', "run=00000003-0000-7000-8000-00000000000$run", '-D', 'number=100000');

	run_pgbench($node, "\\set number :number + 1\n$script", options => "-c airun.user_id=$user", arguments => [ '-t', 50, @arguments ]);
	$arguments[-1] = 'number=200000';
	my $before = $node->lsn('insert');
	my ($processed) = run_pgbench($node, "\\set number :number + 1\n$script", options => "-c airun.user_id=$user", arguments => [ '-t', 400, @arguments ]);
	my $after = $node->lsn('insert');
	return sql("SELECT ('$after'::pg_lsn - '$before'::pg_lsn) / $processed");
}

sql('GRANT INSERT ON floor TO app; GRANT CREATE ON SCHEMA public TO app');
my $append = "SELECT seq FROM airun_append_message(:run, $message);";
my @wal = map { wal($append, $_) } 1 .. 4;
my @floor = (
	wal("INSERT INTO floor VALUES (:run, :number::bigint, now(), NULL, NULL, $message);", 1),
	wal("INSERT INTO floor VALUES (:run, :number::bigint, now(), NULL, 'message ' || :number::text, $message);", 3));
my $with_id = wal("SELECT seq FROM airun_append_message(:run, $message, 'message ' || :number::text);", 1);
note sprintf('WAL of an append of 1 kB: %.0f bytes to a run of 10, %.0f to one of 5,000; with 1.6 kB of settings %.0f and %.0f', @wal);
note sprintf('an INSERT into a table with a primary key only: %.0f bytes, that is %.0f less (%.2f times as much)',
	$floor[0], $wal[0] - $floor[0], $wal[0] / $floor[0]);
note sprintf('with a message_id: %.0f bytes, the INSERT %.0f (%.2f times as much)', $with_id, $floor[1], $with_id / $floor[1]);

sub near { my ($got, $wanted, $name) = @_; cmp_ok(abs($got / $wanted - 1), '<=', 0.05, sprintf('%s: %.0f and %.0f bytes', $name, $got, $wanted)); }
near($wal[1], $wal[0], 'WAL of an append to a run of 5,000 messages and of 10 is the same within 5 %');
near($wal[2], $wal[0], 'and with 1.6 kB of settings and without');
near($wal[3], $wal[0], 'and with both and without');
cmp_ok($wal[0] / $floor[0], '<', 1.2, 'it is less than 1.2 times that of a bare INSERT');
cmp_ok($with_id / $floor[1], '<', 1.3, 'with a message_id, and the index for it, less than 1.3 times');
check_ok($node, 'after the appends');

#--- requests ----------------------------------------------------------------------

# A conversation of 100 turns, the whole payload sent at each: what a turn
# writes and what it adds to the tables does not grow with the conversation
my $talk = '00000005-0000-7000-8000-000000000001';
sql(<<"SQL");
SET airun.user_id = '$user';
SELECT airun_create_run(id => '$talk', name => 'talk');
CREATE PROCEDURE turns(first int, last int) LANGUAGE plpgsql AS \$\$
DECLARE
	question jsonb;
	task uuid;
BEGIN
	FOR i IN first .. last LOOP
		question := jsonb_build_object('role', 'user', 'content', noise(500, 'question ' || i));
		task := airun_start_turn('$talk', question, model_id => 'gpt-4o',
			request_data => jsonb_build_object('model', 'gpt-4o', 'temperature', 0.7, 'messages', '[{"role": "system", "content": "Be brief."}]'
				|| coalesce((SELECT jsonb_agg(m.message - 'timestamp' ORDER BY m.seq) FROM airun.messages m WHERE m.run_id = '$talk'), '[]') || question)) -> 'task' ->> 'task_id';
		PERFORM airun_finish_turn(task, jsonb_build_object('role', 'assistant', 'content', noise(1000, 'answer ' || i)), tokens_input => i, tokens_output => 1);
		COMMIT;
	END LOOP;
END\$\$;
SQL

sub turns
{
	my ($first, $last) = @_;
	my $size = "SELECT sum(pg_column_size(t.*)) FROM airun.tasks t WHERE t.run_id = '$talk'";
	my ($wal, $bytes) = ($node->lsn('insert'), sql($size) || 0);

	sql("SET airun.user_id = '$user'; CALL turns($first, $last)");
	my $count = $last - $first + 1;
	return (sql("SELECT (pg_current_wal_insert_lsn() - '$wal'::pg_lsn) / $count"), (sql($size) - $bytes) / $count);
}

turns(1, 10);
my ($early_wal, $early_bytes) = turns(11, 20);
turns(21, 90);
my ($late_wal, $late_bytes) = turns(91, 100);
note sprintf('a turn with its whole request: %.0f bytes of WAL at turn 11 to 20, %.0f at 91 to 100; in the table of tasks %.0f and %.0f',
	$early_wal, $late_wal, $early_bytes, $late_bytes);
near($late_wal, $early_wal, 'WAL of a turn with its whole request, late and early');
near($late_bytes, $early_bytes, 'its row in the table of tasks, late and early');
is(sql(<<"SQL"), '100|t|t', 'and all 100 requests are read as they were');
SELECT count(*), bool_and(t.request_data = jsonb_build_object('model', 'gpt-4o', 'temperature', 0.7, 'messages', '[{"role": "system", "content": "Be brief."}]'
	|| (SELECT jsonb_agg(m.message - 'timestamp' ORDER BY m.seq) FROM airun.messages m WHERE m.run_id = '$talk' AND m.seq <= 2 * t.tokens_input - 1))),
	bool_and(length(t.request_data::text) > 1400 * (t.tokens_input - 1))
FROM ai_tasks t WHERE t.run_id = '$talk'
SQL
check_ok($node, 'after the requests');

#--- lists -----------------------------------------------------------------------

# 200,000 runs with their activity over 240 hours, 10,000 of them one user's and
# 50 of those of one source, in no order
my $source = '20000000-0000-4000-8000-000000000001';
sql(<<"SQL");
DELETE FROM airun.runs;
VACUUM airun.runs, airun.messages;
SET session_replication_role = replica;
INSERT INTO airun.runs (id, user_id, source_type, source_id, name, description, tags, metadata, settings,
	created_at, last_message_at, updated_at, active_hour)
SELECT ('00000004-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
	CASE WHEN i % 20 = 0 THEN '$user' ELSE ('10000000-0000-4000-8000-' || lpad(to_hex(i % 977 + 16), 12, '0')) END::uuid,
	CASE WHEN i % 3 = 0 THEN 'chat' ELSE 'prompt' END,
	CASE WHEN i % 4000 = 0 THEN '$source' ELSE ('20000000-0000-4000-8000-' || lpad(to_hex(i % 1009 + 16), 12, '0')) END::uuid,
	'Night trains from Hamburg to Vienna, part ' || i, CASE WHEN i % 4 = 0 THEN 'What there is and what it costs' END,
	ARRAY['travel', 'tag ' || i % 10], jsonb_build_object('no', i),
	CASE WHEN i % 10 = 0 THEN jsonb_build_object('system', noise(1600, i::text)) ELSE '{}' END,
	at - interval '10 min', at, at, date_trunc('hour', at, 'UTC')
FROM generate_series(1, 200000) AS i,
	LATERAL (SELECT timestamptz '2026-01-01 00:00Z' + (hashint4extended(i, 1) & 1073741823)::float8 / 1073741823 * interval '240 h') AS a (at);
UPDATE airun.runs SET source_type = 'prompt' WHERE source_id = '$source';
INSERT INTO airun.messages (run_id, seq, message)
SELECT id, 1, '{"role": "user", "content": "x"}' FROM airun.runs WHERE user_id = '$user';
UPDATE airun.runs SET message_count = 1 WHERE user_id = '$user';
SQL
sql('VACUUM (FREEZE, ANALYZE) airun.runs, airun.messages');
is(sql("SELECT count(*), count(*) FILTER (WHERE user_id = '$user'),
	count(*) FILTER (WHERE user_id = '$user' AND source_type = 'prompt' AND source_id = '$source'),
	count(DISTINCT active_hour) >= 100 FROM airun.runs"), '200000|10000|50|t', '200,000 runs are there');

# The buffers of 8 calls in one session, behind 7 that fill the caches and settle
# on a plan
sub list_buffers
{
	my ($arguments, $setup) = @_;
	my $query = "SELECT * FROM airun_list_runs(" . join(', ', $arguments || (), 'page_size => 20') . ")";
	my $script = "SET ROLE app;\nSELECT set_config('request.jwt.claims', '{\"sub\": \"$user\"}', false) \\g /dev/null\n"
	  . ($setup // '')
	  . "$query \\g /dev/null\n" x 7
	  . "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) $query;\n" x 8;
	my (@buffers, $rows);
	for my $plan ($node->safe_psql('postgres', $script) =~ /^(\[.*?^\])/msg)
	{
		my $root = decode_json($plan)->[0]{Plan};
		push @buffers, $root->{'Shared Hit Blocks'} + $root->{'Shared Read Blocks'};
		$rows = $root->{'Actual Rows'};
	}
	return ($rows, \@buffers);
}

sub message_reads
{
	return sql("SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit FROM pg_statio_user_tables WHERE relid = 'airun.messages'::regclass");
}

my $reads = message_reads();
my $third_page = q{SELECT cursor AS place FROM airun_list_runs(page_size => 40) OFFSET 39 \gset
};
my $last_page = q{SELECT cursor AS place FROM airun_list_runs(cursor => '01' || encode(int8send(extract(epoch FROM timestamptz '2026-01-01 01:00Z' - timestamptz '2000-01-01 00:00Z')::bigint * 1000000), 'hex') || encode(int8send(extract(epoch FROM timestamptz '2026-01-01 01:00Z' - timestamptz '2000-01-01 00:00Z')::bigint * 1000000), 'hex') || repeat('f', 32), page_size => 1) \gset
};
for my $list (
	[ 60, 'the newest 20 of the user\'s 10,000 runs', '' ],
	[ 60, 'the newest 20 of the 50 of one source', "source_type => 'prompt', source_id => '$source'" ],
	[ 60, 'the second page of the source', "source_type => 'prompt', source_id => '$source', cursor => :'place'",
		"SELECT cursor AS place FROM airun_list_runs(source_type => 'prompt', source_id => '$source', page_size => 20) OFFSET 19 \\gset\n" ],
	[ 60, 'the active ones', "status => 'active'" ],
	# a page that begins within an hour reads that hour and the next
	[ 120, 'the third page', "cursor => :'place'", $third_page ],
	[ 120, 'a page at the far end', "cursor => :'place'", $last_page ])
{
	my ($limit, $name, $arguments, $setup) = @$list;
	my ($rows, $buffers) = list_buffers($arguments, $setup);
	my $most = (sort { $b <=> $a } @$buffers)[0];
	is("$rows of " . @$buffers, '20 of 8', "$name: 20 rows");
	cmp_ok($most, '<=', $limit, "with at most $most buffers");
}
is(message_reads(), $reads, 'no list has read a page of the messages or of their indexes');
ok($reads > 0, 'which would be seen');

# The check of one run reads that run, however many there are
my $checked = sql("SELECT id FROM airun.runs WHERE user_id = '$user' ORDER BY id LIMIT 1");
my $check = "airun_check('$checked')";
my @checks = $node->safe_psql('postgres', "SELECT * FROM $check;\n" x 3
	. "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT * FROM $check;\n") =~ /^(\[.*?^\])/msg;
my $read = decode_json($checks[-1])->[0]{Plan};
$read = $read->{'Shared Hit Blocks'} + $read->{'Shared Read Blocks'};
cmp_ok($read, '<=', 200, "airun_check() of one run touches $read buffers");

#--- plans ------------------------------------------------------------------------

# A session whose plans were made when the tables were tiny and analyzed, and so
# read them whole, comes away from them while they grow, without another analyze.
$node->safe_psql('postgres', 'CREATE DATABASE growing');
$node->safe_psql('growing', <<"SQL");
CREATE EXTENSION airun;
SELECT airun_install();
SELECT airun_create_run(id => '$user');
SELECT airun_append_message('$user', '{"role": "user", "content": "x"}', 'first');
ANALYZE;
SQL
run_pgbench($node, <<"SQL", database => 'growing', arguments => [ '-c', 1, '-t', 5000 ]);
SELECT seq FROM airun_append_message('$user', '{"role": "user", "content": "x"}', gen_random_uuid()::text);
SQL
my $scans = $node->safe_psql('growing', "SELECT seq_scan FROM pg_stat_user_tables WHERE relid = 'airun.messages'::regclass");
cmp_ok($scans, '<', 2000, "of 5,000 appends to a table analyzed when it had one message, $scans have read it whole");

done_testing();
