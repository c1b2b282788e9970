# AirunTest: what every TAP script of airun starts with.
#
#	use AirunTest;
#	my $node = airun_node('primary');
#	is($node->safe_psql('postgres', 'select ...'), '...', 'what it shows');
#
# A node finds the extension in the stage that test/run made, or, under a plain
# "make installcheck", in the server's own folders.

package AirunTest;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(airun_node stage_node conversation_files check_ok ask counts
  run_clients run_pgbench numbered_id quick_or_long proven debian_library);

# Makes a node find the staged extension; a backup of it does so already.
sub stage_node
{
	my ($node) = @_;

	$node->append_conf('postgresql.conf', slurp_file($ENV{AIRUN_STAGE_CONF}))
	  if $ENV{AIRUN_STAGE_CONF};
}

# A new node, started, with the extension and its store in database postgres.
# Options: conf => lines for postgresql.conf; store => 0 leaves the database
# empty; all others go to init(), such as allows_streaming => 1.
sub airun_node
{
	my ($name, %option) = @_;
	my $conf = delete $option{conf};
	my $store = delete $option{store} // 1;

	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ], %option);
	stage_node($node);
	$node->append_conf('postgresql.conf', $conf) if defined $conf;
	$node->start;
	$node->safe_psql('postgres', 'create extension airun; select airun_install()')
	  if $store;
	return $node;
}

# The files of conversations to test with: the real ones where they are, else
# the sample that the repository ships.
sub conversation_files
{
	my @files = $ENV{AIRUN_DATA} ? glob("$ENV{AIRUN_DATA}/conversations-*.jsonl") : ();

	return @files ? @files : ('test/sample.jsonl');
}

# A library of an extension of Debian's: the server's own, or the package's, unpacked
# into a private folder; undef where there is none.
sub debian_library
{
	my ($node, $name) = @_;
	my $file = $node->config_data('--pkglibdir') . "/$name.so";
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my ($major) = $node->config_data('--version') =~ /^PostgreSQL (\d+)/;

	return $file if -e $file;
	system("cd $dir && timeout 60 apt-get -q download postgresql-$major-$name >$dir/log 2>&1 && dpkg-deb -x *.deb $dir >>$dir/log 2>&1");
	$file = "$dir$file";
	return -e $file ? $file : undef;
}

# Tests that all invariants of the store hold.
sub check_ok
{
	my ($node, $when, $db) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql($db // 'postgres', 'select * from airun_check()'),
		'', "airun_check() has no row $when");
}

# Runs SQL in a background session and returns its output, or "ERROR: SQLSTATE"
# where it failed; the session has to have VERBOSITY sqlstate and to go on after
# errors.
sub ask
{
	my ($session, $sql) = @_;

	$session->{stderr} = '';
	my $output = $session->query($sql);
	my $error = $session->{stderr};
	$session->{stderr} = '';
	return $error =~ /(?:ERROR|FATAL):\s+(\w+)/ ? "ERROR: $1" : $output;
}

# How much of something to do: the first in a quick run, the second in the long
# one, which has AIRUN_LONG set.
sub quick_or_long
{
	my ($quick, $long) = @_;

	return $ENV{AIRUN_LONG} ? $long : $quick;
}

# Reports a figure for the table with which test/run ends: what was done, and how
# much of it.  Figures with the same name are added up.
sub proven
{
	my ($what, $figure) = @_;

	note("proven: $what: $figure");
	append_to_file($ENV{AIRUN_PROVEN}, "$what\t$figure\n") if $ENV{AIRUN_PROVEN};
}

# A UUID that carries two small numbers: what kind of thing, and which.
sub numbered_id
{
	my ($kind, $number) = @_;

	return sprintf('%08x-0000-7000-8000-%012x', $kind, $number);
}

# Runs SQL scripts at once, one client each, in sessions that go on after an
# error; all of them begin when the last one is there.  Returns the output of
# each, and the SQLSTATEs of all errors with how often each came.  Options:
# options => for PGOPTIONS; seconds.
sub run_clients
{
	my ($node, $scripts, %option) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $timer = IPC::Run::timeout($option{seconds} // 120);
	my $gate = $node->background_psql('postgres');
	my (@runs, @out, %errors);

	ask($gate, 'SELECT pg_advisory_lock(1)');
	{
		local $ENV{PGOPTIONS} = $option{options} // '';
		for my $i (0 .. $#$scripts)
		{
			append_to_file("$dir/$i.sql", <<"END" . $scripts->[$i]);
\\set VERBOSITY sqlstate
\\o /dev/null
SELECT pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1);
\\o
END
			push @runs,
			  IPC::Run::start(
				[
					$node->installed_command('psql'), '-XAtq', '-d',
					$node->connstr('postgres'), '-f', "$dir/$i.sql"
				],
				'<', '/dev/null', '>', "$dir/$i.out", '2>', "$dir/$i.err", $timer);
		}
	}
	$node->poll_query_until('postgres', "SELECT count(*) = @{[scalar @$scripts]} FROM pg_locks
		WHERE locktype = 'advisory' AND NOT granted")
	  or die 'clients did not come';
	ask($gate, 'SELECT pg_advisory_unlock(1)');
	IPC::Run::finish($_) for @runs;
	$gate->quit;

	for my $i (0 .. $#$scripts)
	{
		push @out, slurp_file("$dir/$i.out");
		for my $line (split /\n/, slurp_file("$dir/$i.err"))
		{
			$errors{ $line =~ /(?:ERROR|FATAL|PANIC):\s+(\w{5})$/ ? $1 : $line }++;
		}
	}
	return (\@out, \%errors);
}

# Says what a hash of counts holds.
sub counts
{
	my ($count) = @_;

	return join(', ', map { "$_: $count->{$_}" } sort keys %$count) || 'none';
}

# Runs pgbench with a script.  Returns how many transactions were processed,
# and how many failed, or dies where pgbench could not.  Options: options => for
# PGOPTIONS; arguments => pgbench's.
sub run_pgbench
{
	my ($node, $script, %option) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	my ($out, $err) = ('', '');

	append_to_file($file, $script);
	local $ENV{PGOPTIONS} = $option{options} // '';
	IPC::Run::run(
		[
			$node->installed_command('pgbench'), '-n', '-M', 'prepared',
			@{ $option{arguments} // [] }, '-f', $file, $node->connstr($option{database} // 'postgres')
		],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(180))
	  or die "pgbench failed: $out$err";
	my ($processed) = $out =~ /transactions actually processed: (\d+)/
	  or die "no count in pgbench's output: $out$err";
	my ($failed) = $out =~ /number of failed transactions: (\d+)/;
	return ($processed, $failed // 0);
}

1;
