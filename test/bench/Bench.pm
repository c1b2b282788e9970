# Bench: the harness of bench.pl: the server, the clients, and the table of figures
#
# There is one database in which everything happens at a time, and one table.

package Bench;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use JSON::PP;
use POSIX ();

our @EXPORT = qw($user %payload sql psql say_what set restart_with use_database fresh kind fill settle
  make_peers client round_trips take_turns wal_of explain buffers exact figure thousands print_figures);

our $user = '10000000-0000-4000-8000-000000000001';	# who is calling
our %payload;			# the values of the scripts' variables
my %script;				# the pgbench scripts: peer.name => text
my @peers = qw(airun floor blob original rows kept bare);
my $here = dirname(abs_path(__FILE__));	# the server reads files from there, too
my $bindir = $ENV{BENCH_BINDIR} or die "bench.pl is run by test/run bench\n";
my $scratch = tempdir(CLEANUP => 1);
my $db = 'postgres';	# where everything happens
my $next = 0;			# numbers that nothing has yet
my (@figures, $exact);

#--- the server ------------------------------------------------------------------

sub psql
{
	my @arguments = @_;

	local $ENV{PGOPTIONS} = "-c airun.user_id=$user -c client_min_messages=warning";
	open my $out, '-|', "$bindir/psql", '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $db, @arguments
	  or die "psql: $!\n";
	my $text = do { local $/; <$out> } // '';
	close $out or die "psql failed: @arguments\n";
	chomp $text;
	return $text;
}

sub sql { return psql('-c', $_[0]); }

sub say_what { printf STDERR "bench: %s %s\n", POSIX::strftime('%T', localtime), $_[0]; }

# Sets a setting that a reload is enough for, and waits until new sessions have it.
sub set
{
	my ($name, $value) = @_;

	sql("ALTER SYSTEM SET $name = $value");
	sql('SELECT pg_reload_conf()');
	select undef, undef, undef, 0.05 while sql("SHOW $name") ne $value;
	sql('CHECKPOINT');
}

sub restart_with
{
	my ($setting) = @_;

	sql("ALTER SYSTEM SET $setting");
	system("$bindir/pg_ctl -D '$ENV{BENCH_CLUSTER}' -l '$ENV{BENCH_CLUSTER}.log' -m fast -w restart >'$scratch/restart'") == 0
	  or die "the server does not come back\n";
}

# Chooses the database in which all happens from now on.
sub use_database { $db = $_[0]; return; }

# A new database for a part, with the peers and nothing stored.
sub fresh
{
	$db = 'postgres';
	sql('DROP DATABASE IF EXISTS part');
	sql('CREATE DATABASE part TEMPLATE peers');
	$db = 'part';
}

# The ids of runs with so many messages begin with this.
sub kind { return sprintf('%08d-0000-7000-8000-', $_[0]); }

# Gives peers runs with so many messages each.
sub fill
{
	my ($peers, $kind, $runs, $messages) = @_;

	sql("SELECT bench.fill_$_('" . kind($kind) . "', $runs, $messages)") for @$peers;
}

sub settle { sql('VACUUM ANALYZE'); sql('CHECKPOINT'); }

sub lsn { return sql('SELECT pg_current_wal_insert_lsn()'); }

#--- clients ---------------------------------------------------------------------

# Reads the peers' files: makes their schemas and keeps their scripts.
sub make_peers
{
	my @files = $ENV{AIRUN_DATA} ? glob("$ENV{AIRUN_DATA}/conversations-*.jsonl") : ();
	@files = ("$here/../sample.jsonl") unless @files;

	sql('CREATE DATABASE peers');
	$db = 'peers';
	psql('-v', "files=@files", '-f', "$here/common.sql");
	for my $peer (@peers)
	{
		open my $in, '<', "$here/$peer.sql" or die "$peer.sql: $!\n";
		my ($schema, %part) = split /^-- @(\w+)\n/m, do { local $/; <$in> };
		open my $out, '>', "$scratch/schema.sql" or die;
		print $out $schema;
		close $out;
		psql('-f', "$scratch/schema.sql");
		for my $name (keys %part)
		{
			$part{$name} =~ s/^(.*#.*\n)/join '', map { (my $line = $1) =~ s!#!$_!g; $line } 1 .. 10/gem;
			$script{"$peer.$name"} = $part{$name};
		}
	}
	%payload = (
		user => $user,
		question => sql("SELECT bench.message('user', 1024, 1001)"),
		answer => sql("SELECT bench.message('assistant', 4096, 5001)"));
	my $text = sql("SELECT bench.message('assistant', 4096, 5001) ->> 'content'");
	my $step = POSIX::ceil(length($text) / 10);
	for my $i (1 .. 10)
	{
		$payload{"at$i"} = ($i - 1) * $step;
		$payload{"piece$i"} = substr($text, ($i - 1) * $step, $step);
		$payload{"grown$i"} = substr($text, 0, $i * $step);
	}
}

# How many statements a script sends.
sub round_trips { my $calls = () = $script{ $_[0] } =~ /^[A-Z]/mg; return $calls; }

# Runs a peer's script in pgbench.  Options: kind, of the runs, and runs, how many;
# clients; count (of calls of each client) or seconds; message, role, set (PGOPTIONS).
# Returns the latency in µs, the calls a second, and the server's CPU time a call.
sub client
{
	my ($name, %option) = @_;
	my $text = $script{$name} or die "no script $name\n";
	my $clients = $option{clients} // 1;
	my %value = (%payload, kind => kind($option{kind} // 0), runs => $option{runs} // 1,
		message => $option{message} // $payload{question}, n => $next += 1_000_000);
	my @values = map { ('-D', "$_=$value{$_}") } grep { $text =~ /:$_\b/ } sort keys %value;

	open my $out, '>', "$scratch/script" or die;
	print $out $text;
	close $out;
	unlink glob("$scratch/log.*");
	local $ENV{PGOPTIONS} = "-c airun.user_id=$user " . ($option{set} // '');
	local $ENV{PGUSER} = $option{role} // $ENV{PGUSER};
	my @much = $option{count} ? ('-t', $option{count}, '-l', "--log-prefix=$scratch/log") : ('-T', $option{seconds});
	my $cpu = cpu_time();
	open my $in, '-|', "$bindir/pgbench", '-n', '-M', 'prepared', '-c', $clients, '-j', ($clients > 1 ? 2 : 1),
	  @much, @values, '-f', "$scratch/script", $db
	  or die "pgbench: $!\n";
	my $report = do { local $/; <$in> };
	close $in or die "pgbench failed at $name: $report\n";
	$report =~ /number of failed transactions: 0 / && $report =~ /^tps = ([\d.]+)/m or die "$name: $report\n";
	my $tps = $1;
	my ($calls) = $report =~ /transactions actually processed: (\d+)/;
	wait_until_alone();
	return ($option{count} ? latency() : 1e6 / $tps, $tps, (cpu_time() - $cpu) / $calls);
}

# The CPU time in µs of the server's processes that have ended.
sub cpu_time
{
	open my $file, '<', "$ENV{BENCH_CLUSTER}/postmaster.pid" or die;
	my $postmaster = int <$file>;
	open my $in, '<', "/proc/$postmaster/stat" or die;
	my @stat = split ' ', <$in> =~ s/^.*\) //r;
	return ($stat[13] + $stat[14]) * 1e6 / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Backends report what they have done when they go, which may be after pgbench.
sub wait_until_alone
{
	select undef, undef, undef, 0.02
	  while sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()") > 0;
	# and the postmaster has seen them go
	select undef, undef, undef, 0.1;
}

# The mean of the middle half of the last round's latencies, in µs.
sub latency
{
	my @times;
	for my $file (glob("$scratch/log.*"))
	{
		open my $in, '<', $file or die;
		push @times, map { (split)[2] } <$in>;
	}
	splice @times, 0, @times / 10;
	@times = sort { $a <=> $b } @times;
	my @middle = @times[ int(@times / 4) .. int(3 * @times / 4) - (@times > 3 ? 1 : 0) ];
	my $sum = 0;
	$sum += $_ for @middle;
	return $sum / @middle;
}

# Lets several take turns, a few rounds: name => sub that returns a figure.  Returns
# name => figures, one a round.
sub take_turns
{
	my ($how_often, @pairs) = @_;
	my (%series, @names, %what);

	while (my ($name, $sub) = splice @pairs, 0, 2)
	{
		push @names, $name;
		$what{$name} = $sub;
	}
	for my $round (1 .. $how_often)
	{
		push @{ $series{$_} }, $what{$_}->() for $round % 2 ? @names : reverse @names;
	}
	return %series;
}

# Bytes of WAL a call, behind some that warm up.
sub wal_of
{
	my ($name, $count, %option) = @_;

	client($name, %option, count => POSIX::ceil($count / 8));
	my $before = lsn();
	client($name, %option, count => $count);
	return sql("SELECT round((pg_current_wal_insert_lsn() - '$before'::pg_lsn) / $count)");
}

# Runs a statement 15 times in one session.  Returns the plan of each of the last 8.
sub explain
{
	my ($statement, $setup) = @_;

	my $out = psql('-c', $setup // 'SELECT', (map { ('-c', "DO \$do\$BEGIN EXECUTE \$x\$$statement\$x\$; END\$do\$") } 1 .. 2),
		map { ('-c', "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) $statement") } 1 .. 15);
	my @plans = map { decode_json($_)->[0] } $out =~ /^(\[.*?^\])/msg;
	return @plans[ -8 .. -1 ];
}

# The buffers that a statement touches, those of its triggers included only where a
# function runs it.
sub buffers
{
	my @plans = explain(@_);
	return median(map { $_->{Plan}{'Shared Hit Blocks'} + $_->{Plan}{'Shared Read Blocks'} } @plans);
}

#--- figures ---------------------------------------------------------------------

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return @sorted % 2 ? $sorted[ $#sorted / 2 ] : ($sorted[ @sorted / 2 - 1 ] + $sorted[ @sorted / 2 ]) / 2;
}

# Are the figures from now on exact, or times?
sub exact { $exact = $_[0]; return; }

# Reports a figure: airun's first, then the peers', each a number or one a round,
# and which bars it must meet: peer => '<= 1.2' for a ratio to that peer, airun =>
# '<= 40' for the figure itself.  A bar "2 x faster" is the peer's time by airun's.
sub figure
{
	my ($what, $unit, $series, %bar) = @_;
	my @pairs = @$series;
	my ($mine, $first) = ($pairs[1], 1);

	$mine = [$mine] unless ref $mine;
	splice @pairs, 0, 2;
	@pairs = (undef, undef, @pairs) if !@pairs || $bar{airun};
	while (my ($peer, $theirs) = splice @pairs, 0, 2)
	{
		my %row = (figure => $what, unit => $unit, airun => median(@$mine), airun_rounds => $mine, exact => $exact ? \1 : \0);
		my $bar = $bar{ $peer // 'airun' };
		my $value = $row{airun};
		if (defined $peer)
		{
			$theirs = [$theirs] unless ref $theirs;
			my @pair = $bar && $bar =~ /faster/ ? ($theirs, $mine) : ($mine, $theirs);
			my $last = $#{ $pair[0] } < $#{ $pair[1] } ? $#{ $pair[0] } : $#{ $pair[1] };
			@row{qw(peer peer_value peer_rounds)} = ($peer, median(@$theirs), $theirs);
			$value = $row{ratio} = median(map { $pair[1][$_] ? $pair[0][$_] / $pair[1][$_] : 0 } 0 .. $last);
		}
		if ($bar)
		{
			my ($op, $limit) = $bar =~ /^(<=|>=|==) ([\d.]+)/ or die "bar $bar\n";
			my $met = $op eq '<=' ? $value <= $limit : $op eq '>=' ? $value >= $limit : $value == $limit;
			@row{qw(bar met)} = ($bar, $met ? \1 : \0);
		}
		push @figures, \%row;
	}
}

sub number
{
	my ($value, $unit) = @_;

	return '' unless defined $value;
	($value, $unit) = ($value / 1000, 'ms') if $unit eq 'us' && $value >= 1000;
	my $text = sprintf(abs($value) >= 100 || $value == int $value ? '%.0f' : abs($value) >= 10 ? '%.1f' : '%.2f', $value);
	1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;
	return "$text $unit";
}

# Prints the table, what is exact first, and writes the file (BENCH_JSON).
sub print_figures
{
	my ($about) = @_;
	my $format = "%-58s %14s  %-22s %14s  %-8s %-14s %s\n";
	my ($met, $missed) = (0, 0);
	my $last = '';

	printf "%s\n", $about->{$_} for qw(server machine conditions);
	for my $part (1, 0)
	{
		my @rows = grep { ${ $_->{exact} } == $part } @figures or next;
		printf "\n$format", $part ? 'WHAT IT COSTS, exactly' : 'HOW LONG IT TAKES', 'airun', 'peer', 'peer\'s', 'ratio', 'bar', '';
		for my $row (@rows)
		{
			my $again = $row->{figure} eq $last;
			$last = $row->{figure};
			printf $format, $again ? '' : $last, $again ? '' : number($row->{airun}, $row->{unit}), $row->{peer} // '',
			  number($row->{peer_value}, $row->{unit}), defined $row->{ratio} ? sprintf('%.2f', $row->{ratio}) : '',
			  $row->{bar} // '', !$row->{bar} ? '' : ${ $row->{met} } ? 'met' : 'MISSED';
			${ $row->{met} } ? $met++ : $missed++ if $row->{bar};
		}
	}
	print "\n$met bars met, $missed MISSED\n";
	return unless $ENV{BENCH_JSON};
	open my $out, '>', $ENV{BENCH_JSON} or die "$ENV{BENCH_JSON}: $!\n";
	print $out JSON::PP->new->canonical->pretty->encode({ %$about, figures => \@figures });
	close $out or die;
}

sub thousands { my $text = shift; 1 while $text =~ s/^(\d+)(\d{3})/$1,$2/; return $text; }

1;
