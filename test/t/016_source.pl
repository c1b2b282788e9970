# The rules of the house that a machine can see: lines under 100 columns, files of at most
# 900 lines, functions of at most 100, a comment at the head of each file, nothing that is
# declared for other files and used by none, every file named in src/README.md, and every
# regression test able to run alone.

use strict;
use warnings;

use FindBin;
use Test::More;

my $top = "$FindBin::RealBin/../..";
my @files = sort(glob("$top/src/*.[ch]"), glob("$top/src/*/*.{c,h,sql}"),
  glob("$top/test/modules/*/*.[ch]"));
cmp_ok(scalar(@files), '>', 250, 'the files are found');

# Longer than 900 lines, each with the reason
my %may_be_long = ();

# Called by the server, which finds them by their name
my %entries = map { $_ => 1 } qw(_PG_init airun_launcher_main airun_worker_main);

# In headers and nowhere else: what is none of the values that are asked for
my %implied = map { $_ => 1 } qw(PERIOD_MONTH UNPRICED_BLOCK Anum_run_summary_none
  Anum_task_summary_none Anum_tasks_none);

sub slurp
{
	my ($file) = @_;

	open(my $handle, '<:encoding(UTF-8)', $file) or die "cannot read $file: $!";
	local $/;
	return scalar <$handle>;
}

my %text;
$text{s{^\Q$top/}{}r} = slurp($_) for @files;

# Columns, with tabs of four
sub columns
{
	my ($line) = @_;

	1 while $line =~ s/^([^\t]*)\t/$1 . ' ' x (4 - length($1) % 4)/e;
	return length $line;
}

#--- lines and files -----------------------------------------------------------------

my (@wide, @long, @bare);
for my $file (sort keys %text)
{
	my $number = 0;

	for my $line (split /^/, $text{$file})
	{
		chomp $line;
		$number++;
		push @wide, "$file:$number" if columns($line) > 99;
	}
	push @long, "$file: $number" if $number > 900 && !$may_be_long{$file};
	push @bare, $file if $text{$file} !~ m{\A(?:/\*|--)};
}
is("@wide", '', 'lines are under 100 columns');
is("@long", '', 'files have at most 900 lines');
is("@bare", '', 'a comment is at the head of each file');

#--- functions -----------------------------------------------------------------------

# C without its comments and strings, line by line as it was
sub code
{
	my ($source) = @_;

	$source =~ s{(/\*.*?\*/)|("(?:[^"\\\n]|\\.)*")|('(?:[^'\\\n]|\\.)+')}{
		my $lines = () = ($1 // '') =~ /\n/g;
		defined $1 ? "\n" x $lines : defined $2 ? '""' : "' '"}gse;
	return $source;
}

my %code = map { $_ => code($text{$_}) } grep { /\.[ch]$/ } keys %text;
my %words;
for my $file (keys %code)
{
	# a declaration is no use
	my $uses = $file =~ /\.h$/ ? $code{$file} =~ s/^extern [^;{]*;//gmr : $code{$file};

	$words{$_}{$file}++ for $uses =~ /\w+/g;
}

my (@large, @lonely, @kept, $functions);
for my $file (grep { /^src.*\.c$/ } sort keys %code)
{
	while ($code{$file} =~ /^((?:[a-zA-Z_][^\n;{}]*\n)?)(\w+)\([^;{}]*?\)\n(\{\n.*?^\})/msg)
	{
		my ($type, $name, $body) = ($1, $2, $3);
		my $lines = () = $body =~ /\n/g;

		next if $name =~ /^PG_/;
		$functions++;
		push @large, "$name: $lines" if $lines > 99;
		next if $type =~ /\bstatic\b/ || $entries{$name};
		next if $code{$file} =~ /^PG_FUNCTION_INFO_V1\($name\)/m;
		push @lonely, $name unless grep { $_ ne $file } keys %{ $words{$name} };
	}
}
cmp_ok($functions, '>', 1800, 'functions are found');
is("@large", '', 'functions have at most 100 lines');
is("@lonely", '', 'functions that only their own file uses are static');

# What headers define: macros and constants of enums
for my $file (grep { /\.h$/ } sort keys %code)
{
	my %own = map { $_ => 1 } $code{$file} =~ /^#define (\w+)/mg;

	for my $enum ($code{$file} =~ /\benum\b[^{;]*\{(.*?)\}/sg)
	{
		$own{$_} = 1 for $enum =~ /^\s*(\w+)/mg;
	}
	for my $name (sort keys %own)
	{
		my $uses = 0;

		$uses += $_ for values %{ $words{$name} };
		push @kept, "$file: $name" if $uses < 2 && !$implied{$name} && $name !~ /_H$/;
	}
}
is("@kept", '', 'what headers define is used');

#--- src/README.md -------------------------------------------------------------------

my $readme = slurp("$top/src/README.md");
my %unnamed;
for my $file (grep { m{^src/\w+/} } keys %text)
{
	my ($base) = $file =~ m{(\w+)\.\w+$};

	$unnamed{$base} = 1 if $readme !~ /`\Q$base\E(?:\.\w+)?`/;
}
is(join(' ', sort keys %unnamed), '', 'src/README.md names every file');

# A process has ten places for these, for all extensions together
is(join(' ', grep { $text{$_} =~ /CacheRegisterRelcacheCallback/ } sort keys %text), 'src/store/invalidation.c', 'one callback of the relation cache');

#--- regression tests -----------------------------------------------------------------

# Those that need no store, and one that runs another
my %needs_no_store = map { $_ => 1 } qw(helpers json sketch usage privileges_owner);

is(join(' ', grep { !$needs_no_store{$_} && slurp("$top/sql/$_.sql") !~ /airun_install\(/ } map { m{(\w+)\.sql$} } glob("$top/sql/*.sql")),
	'', 'each regression test makes the store that it needs');

done_testing();
