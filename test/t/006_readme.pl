# The documents are true: each SQL example of README.md and doc/*.md stands in the
# regression test of that document, which runs it, and each result in the test's
# expected output, in the document's order.  Links lead somewhere.  doc/reference.md has
# every function of the API as it is declared, with an example, and every view and type.

use strict;
use warnings;

use FindBin;
use Test::More;

my $top = "$FindBin::RealBin/../..";

# Trailing blanks, which psql pads headers with, do not count.
sub slurp
{
	my ($file) = @_;

	open(my $handle, '<', $file) or die "cannot read $file: $!";
	local $/;
	my $text = <$handle>;
	$text =~ s/[ \t]+$//mg;
	return $text;
}

#--- examples --------------------------------------------------------------------

# Each part of a document's examples stands in its test, behind the one before.
# Statement by statement, since the test may have more in between.
sub check_examples
{
	my ($document, $test) = @_;
	my %in = (sql => slurp("$top/sql/$test.sql"), text => slurp("$top/expected/$test.out"));
	my %from = (sql => 0, text => 0);
	my %count = (sql => 0, text => 0);
	my $text = slurp("$top/$document");

	while ($text =~ /^```(sql|text)\n(.*?)^```$/msg)
	{
		my ($kind, $example) = ($1, $2);

		next if $example =~ /^CREATE EXTENSION/;    # the suite has done it
		$count{$kind}++;
		my ($title) = $example =~ /^(.*)$/m;
		for my $part (split /\n\n|(?<=;)\n(?=[A-Z])/, $example)
		{
			$part =~ s/\s+\z//;
			for my $piece ($kind eq 'text' ? split_results($part) : $part)
			{
				my $place = index($in{$kind}, $piece, $from{$kind});

				ok($place >= 0, "$document, $kind: $title")
				  or diag("not in sql/$test.sql or its result, behind the example before: $piece");
				$from{$kind} = $place + length($piece) if $place >= 0;
			}
		}
	}
	return \%count;
}

# A refusal ends with its DETAIL or HINT; what comes behind it is another result.
sub split_results
{
	my ($part) = @_;
	my @pieces = ('');
	my $in_error = 0;

	for my $line (split /^/, $part)
	{
		my $is_error = $line =~ /^(ERROR|DETAIL|HINT): /;

		push @pieces, '' if $pieces[-1] ne '' && ($line =~ /^ERROR: / || ($in_error && !$is_error));
		$pieces[-1] .= $line;
		$in_error = $is_error;
	}
	s/\s+\z// for @pieces;
	return @pieces;
}

my %test_of = ('README.md' => 'tour');
for my $file (glob("$top/doc/*.md"))
{
	my ($name) = $file =~ m{/(\w+)\.md$};

	$test_of{"doc/$name.md"} = $name if slurp($file) =~ /^```(sql|text)$/m;
}
# sql/upkeep.sql is of the functions
$test_of{'doc/upkeep.md'} = 'upkeep_examples';
my %least = ('README.md' => 4, 'doc/reference.md' => 40, 'doc/operations.md' => 4, 'doc/reports.md' => 25);
for my $document (sort keys %test_of)
{
	my $count = check_examples($document, $test_of{$document});

	for my $kind ('sql', 'text')
	{
		cmp_ok($count->{$kind}, '>=', $least{$document} // 1, "$document has examples: $kind");
	}
}
ok($test_of{$_}, "$_ has examples") for sort keys %least;
cmp_ok(slurp("$top/README.md") =~ tr/\n//, '<=', 150, 'README.md is short');

#--- links -----------------------------------------------------------------------

# The name of a heading in a link
sub anchor
{
	my ($heading) = @_;

	$heading = lc $heading;
	$heading =~ s/[^\w -]//g;
	$heading =~ tr/ /-/;
	return $heading;
}

my %anchors;
for my $document ('README.md', 'src/README.md', map { s{^\Q$top/}{}r } glob("$top/doc/*.md"))
{
	$anchors{$document} = { map { anchor($_) => 1 } slurp("$top/$document") =~ /^#+ (.*)$/mg };
}
for my $document (sort keys %anchors)
{
	my ($folder) = $document =~ m{^(.*/)?[^/]+$};
	my @broken;

	for my $link (slurp("$top/$document") =~ /\]\(([^)]+)\)/g)
	{
		my ($path, $anchor) = split /#/, $link, 2;
		my $target = $path eq '' ? $document : ($folder // '') . $path;

		1 while $target =~ s{[^/]+/\.\./}{};
		push @broken, $link
		  unless -e "$top/$target" && (!defined $anchor || $anchors{$target}{$anchor});
	}
	is("@broken", '', "each link of $document leads somewhere");
}

#--- the reference -----------------------------------------------------------------

my $reference = slurp("$top/doc/reference.md");
my %section;
while ($reference =~ /^### (airun_\w+)\n(.*?)(?=^##|\z)/msg)
{
	ok(!$section{$1}, "$1 is in the reference once");
	$section{$1} = $2;
}

# What is declared, as the reference writes it: name(parameters) → result.  No part of the
# API are triggers, functions with the type internal, and those whose parameters have no
# names, as PostgREST has it, but airun_call; nor the two that policies ask, and the lists
# of what the store is made of.
my $scripts = join '', map { slurp($_) } glob("$top/src/*/*.sql");
my %declared;
while ($scripts =~ /^CREATE (FUNCTION|AGGREGATE|PROCEDURE) \@extschema\@\.(airun_\w+)\s*\(((?:[^()]|\([^()]*\))*)\)(?:\s*RETURNS\s+((?:SETOF )?[\w\@.]+(?:"[^"]*")?(?: precision)?))?/mg)
{
	my ($kind, $name, $parameters, $result) = ($1, $2, $3, $4);

	if ($kind eq 'AGGREGATE')
	{
		my ($final) = $scripts =~ /^CREATE AGGREGATE \@extschema\@\.$name\b.*?FINALFUNC = \@extschema\@\.(\w+)/ms;

		($result) = $scripts =~ /^CREATE FUNCTION \@extschema\@\.$final\(.*?RETURNS (\w+)/ms;
	}
	next if ($result // '') =~ /^(trigger|internal)$/ || $parameters =~ /\binternal\b/;
	next if $name =~ /^airun_((sees|writes)_run$|store_)/;
	next if $parameters =~ /^\s*\w+(?: DEFAULT \w+)?(?:, \w+)*\s*$/ && $name ne 'airun_call';
	$declared{$name} = squeeze("$name($parameters)" . (defined $result ? " → $result" : ''));
}
cmp_ok(scalar(keys %declared), '>', 40, 'functions are found in src');

sub squeeze
{
	my ($text) = @_;

	$text =~ s/\@extschema\@\.//g;
	$text =~ s/\s+/ /g;
	$text =~ s/\( /(/g;
	$text =~ s/ \)/)/g;
	$text =~ s/^ | $//g;
	return $text;
}

for my $name (sort keys %declared)
{
	ok($section{$name}, "$name is in the reference") or next;
	my ($signature) = $section{$name} =~ /^```\n(.*?)^```$/ms;

	is(squeeze($signature // ''), $declared{$name}, "$name: its declaration");
	like($section{$name}, qr/^```sql\n(?:(?!^```).)*\b$name\(/ms, "$name: an example");
	like($reference, qr/\]\(#$name\)/, "$name is in the index");
}
for my $name (sort keys %section)
{
	ok($declared{$name}, "the reference's $name is a function");
}

# Views and types: all that has such a name
my %named = map { $_ => 1 } $scripts =~ /\b(ai_[a-z]\w*)/g;
cmp_ok(scalar(keys %named), '>', 10, 'views and types are found in src');
for my $name (sort keys %named)
{
	like($reference, qr/^### $name$/m, "$name is in the reference");
}

done_testing();
