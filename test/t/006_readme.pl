# The README is true: each SQL example of it stands in the tour, which runs it,
# and each result in the tour's expected output.

use strict;
use warnings;

use FindBin;
use Test::More;

my $top = "$FindBin::RealBin/../..";

sub slurp
{
	my ($file) = @_;

	open(my $handle, '<', $file) or die "cannot read $file: $!";
	local $/;
	return scalar <$handle>;
}

my $readme = slurp("$top/README.md");
my $tour = slurp("$top/sql/tour.sql");
my $expected = slurp("$top/expected/tour.out");
my %examples;

while ($readme =~ /^```(sql|text)\n(.*?)^```$/msg)
{
	my ($kind, $text) = ($1, $2);

	next if $text =~ /^CREATE EXTENSION/;    # the suite has done it
	$examples{$kind}++;
	my $where = $kind eq 'sql' ? $tour : $expected;
	my ($title) = $text =~ /^(.*)$/m;

	# Statement by statement, since the tour also shows results in between
	for my $part (split /\n\n|(?<=;)\n(?=[A-Z])/, $text)
	{
		$part =~ s/\s+\z//;
		ok(index($where, $part) >= 0, "$kind: $title")
		  or diag("not in the tour: $part");
	}
}
cmp_ok($examples{sql}, '>=', 6, 'there are SQL examples');
cmp_ok($examples{text}, '>=', 5, 'there are results');

# The functions that the table names, and none else, are there
my $scripts = join '', map { slurp($_) } glob("$top/src/*/*.sql");
my %declared = map { $_ => 1 } $scripts =~ /^CREATE FUNCTION \@extschema\@\.(airun_\w+)/mg;
my ($table) = $readme =~ /^## Functions\n(.*?)^The views/ms;
my %named = map { $_ => 1 } $table =~ /`(airun_\w+)\(/g;
for my $name (sort keys %named)
{
	ok($declared{$name}, "the README's $name is a function");
}
for my $name (sort keys %declared)
{
	next if $name =~ /^airun_(guard|roll_up|view|store)_|^airun_array_|^airun_(sees|writes)_run$|^airun_price_changed$/;
	ok($named{$name}, "$name is in the README");
}

done_testing();
