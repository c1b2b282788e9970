# That nothing costs more than it did: WAL, buffers and HOT updates of the calls
# that matter, and how they grow with the length of a run, against what is recorded
# in test/bench/guard.tsv (figure, recorded value, bar).  A figure may be a tenth
# worse than recorded, and never beyond its bar: "<=" is one that should be small,
# ">=" one that should be large, and a number behind it is what it must keep to.
#
# All is deterministic: ids and texts are fixed, calls come one by one in one
# session, and nothing else writes.  Where a change makes a figure better, record
# it: the test says the lines.

use strict;
use warnings;

use AirunTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'the figures are those of rows written directly'
  if ($ENV{AIRUN_DIRECT} // 'on') ne 'on';

my $node = airun_node('guard', conf => <<'END');
autovacuum = off
checkpoint_timeout = 1h
max_wal_size = 4GB
full_page_writes = off
bgwriter_lru_maxpages = 0
END
my $user = '10000000-0000-4000-8000-000000000001';
my %figure;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Runs statements in one session, each a transaction, as a user's API role.
sub calls
{
	return $node->safe_psql('postgres', join "\n", "SET ROLE app;", "SET airun.user_id = '$user';", map { "$_;" } @_);
}

# Bytes of WAL of a call: of 100, behind 20.
sub wal
{
	my ($call) = @_;

	calls(map { $call->($_) } 1 .. 20);
	my $before = $node->lsn('insert');
	calls(map { $call->($_) } 21 .. 120);
	return sql("SELECT round((pg_current_wal_insert_lsn() - '$before'::pg_lsn) / 100)");
}

# Buffers of a call: the least of 9, behind 7 in the same session.  Some calls prune
# a page as well.
sub buffers
{
	my ($call) = @_;
	my $out = calls(map { 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT ' . $call->($_) } 1 .. 16);
	my @buffers = map { my $plan = decode_json($_)->[0]{Plan}; $plan->{'Shared Hit Blocks'} + $plan->{'Shared Read Blocks'} }
	  $out =~ /^(\[.*?^\])/msg;
	is(scalar @buffers, 16, 'plans: ' . $call->(0) =~ s/\(.*//sr);
	note("buffers: @buffers");
	return (sort { $a <=> $b } @buffers[ 7 .. 15 ])[0];
}

#--- what there is ------------------------------------------------------------------

# Texts are those of the sample, ever another part of it.
my $text = join ' ', map { map { $_->{content} // '' } @{ decode_json($_)->{messages} } } split /\n/, slurp_file('test/sample.jsonl');
$text =~ s/[^ -~]|['\\":]/ /g;
$text x= 1 + 20_000 / length $text;
sub part { my ($length, $number) = @_; return substr($text, $number * 377 % (length($text) - $length), $length); }
sub message { my ($length, $number) = @_; return '{"role": "user", "content": "' . part($length, $number) . '", "timestamp": "2026-01-01T00:00:00.000Z"}'; }
sub task { return numbered_id(hex($_[0]), $_[1]); }

# Runs of 10, 100, 1,000 and 5,000 messages of 1 kB
my %run = map { $_ => numbered_id($_, 1) } 10, 100, 1000, 5000;
sql("CREATE ROLE app LOGIN; SELECT airun_grant('app');");
calls(map { "SELECT id FROM airun_create_run(id => '$run{$_}', name => 'A run')" } sort keys %run);
for my $length (sort keys %run)
{
	calls("SELECT count(*) FROM airun_append_messages('$run{$length}', (SELECT jsonb_agg('" . message(1000, $length) . "'::jsonb || jsonb_build_object('n', n))
		FROM generate_series(1, $length) AS n))");
}
# 2,000 more runs of the same user, for the list
calls('SELECT count((r).id) FROM (SELECT airun_create_run(name => \'Run \' || n, id => (\'00009999-0000-7000-8000-\' || lpad(to_hex(n), 12, \'0\'))::uuid)
	FROM generate_series(1, 2000) AS n OFFSET 0) AS r (r)');
# in as many hours
sql("SET session_replication_role = replica; UPDATE airun.runs SET created_at = t, last_message_at = t, updated_at = t, active_hour = t
	FROM (SELECT id AS of, timestamptz '2026-01-01 00:00Z' + row_number() OVER (ORDER BY md5(id::text)) * interval '1 h' AS t FROM airun.runs WHERE name LIKE 'Run %') AS a WHERE id = of");
sql('VACUUM ANALYZE');
sql('CHECKPOINT');

#--- appends ------------------------------------------------------------------------

for my $length (10, 1000, 5000)
{
	my $base = 1000 * $length;
	$figure{"WAL of an append at $length"} = wal(sub { "SELECT seq FROM airun_append_message('$run{$length}', '" . message(1000, $base + $_[0]) . "')" });
	$figure{"WAL of an append with a message_id at $length"} =
	  wal(sub { "SELECT seq FROM airun_append_message('$run{$length}', '" . message(1000, $base + $_[0]) . "', '" . task('77', $base + $_[0]) . "')" });
	$figure{"buffers of an append at $length"} =
	  buffers(sub { "airun_append_message('$run{$length}', '" . message(1000, $base + $_[0]) . "')" });
}
for my $what ('WAL of an append', 'buffers of an append')
{
	$figure{"growth of $what, 5000 to 10"} = sprintf '%.3f', $figure{"$what at 5000"} / $figure{"$what at 10"};
	delete $figure{"$what at 5000"};
}
delete $figure{'WAL of an append with a message_id at 5000'};

#--- turns --------------------------------------------------------------------------

# A question of 1 kB, an answer of 4 kB saved in ten pieces, in a run of 100
sub start { my $n = shift; return "SELECT airun_start_turn('$run{100}', '" . message(1000, $n) . "', task_id => '" . task('88', $n) . "', provider => 'openai', model_id => 'gpt-4o')"; }
sub save { my ($n, $i) = @_; return "SELECT status FROM airun_stream_delta('" . task('88', $n) . "', '" . part(400, $n + $i) . "', " . 400 * ($i - 1) . ", run_id => '$run{100}')"; }
sub finish { my $n = shift; return "SELECT airun_finish_turn('" . task('88', $n) . "', '" . message(4000, $n) =~ s/user/assistant/r . "', tokens_input => 10, tokens_output => 90, run_id => '$run{100}')"; }

my $hot = "SELECT relname, n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname IN ('runs', 'tasks') AND schemaname = 'airun' ORDER BY 1";
sub updates { return map { my @row = split /\|/; ($row[0] => [ @row[ 1, 2 ] ]) } split /\n/, sql($hot); }
sub all_gone
{
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'")
	  or die 'clients do not go';
}

all_gone();
my %before = updates();
$figure{'WAL of a turn'} = wal(sub { my $n = shift; return (start($n), (map { save($n, $_) } 1 .. 10), finish($n)); });
all_gone();
my %after = updates();
for my $table ('runs', 'tasks')
{
	my @done = map { $after{$table}[$_] - $before{$table}[$_] } 0, 1;
	cmp_ok($done[0], '>=', 120, "turns have updated $table");
	$figure{"HOT updates of $table by turns"} = sprintf '%.3f', $done[1] / $done[0];
}

calls(start(1000));
$figure{'WAL of a progress save'} = wal(sub { return save(1000, $_[0]); });
$figure{'buffers of a progress save'} = buffers(sub { return save(1000, 120 + $_[0]) =~ s/^SELECT status FROM //r; });
calls(finish(1000));

#--- reading ------------------------------------------------------------------------

sql('VACUUM');
$figure{'buffers of loading 100'} = buffers(sub { "airun_messages('$run{100}', max_messages => 100)" });
$figure{'buffers of a list'} = buffers(sub { '* FROM airun_list_runs(page_size => 20)' });

#--- what is recorded ---------------------------------------------------------------

my @recorded;
for my $line (split /\n/, slurp_file('test/bench/guard.tsv'))
{
	next if $line =~ /^#/;
	my ($name, $recorded, $bar) = split /\t/, $line;
	my ($op, $limit) = $bar =~ /^(<=|>=) ?([\d.]*)$/ or die "guard.tsv: $line";
	my $value = delete $figure{$name};

	if (!defined $value)
	{
		fail("$name is measured");
		next;
	}
	push @recorded, "$name\t$value\t$bar";
	cmp_ok($value, $op, $op eq '<=' ? $recorded * 1.1 : $recorded * 0.9, "$name: $value, recorded $recorded");
	cmp_ok($value, $op, $limit, "$name: $value, bar $bar") if $limit ne '';
}
is(join(', ', sort keys %figure), '', 'all figures are recorded');
note('guard.tsv as of now:');
note($_) for @recorded, map { "$_\t$figure{$_}\t<=" } sort keys %figure;
check_ok($node, 'after all');

done_testing();
