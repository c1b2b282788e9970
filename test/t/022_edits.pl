# Histories that change: 8 clients edit, save again, take back and fork at random on
# shared runs, while they append to them and start and end turns.  Whatever they were
# told, and whatever they read, is what one order of their calls gives; versions hold
# what was replaced, forks what stood there at their moment, and each request reads as
# it was sent: AirunEdits.pm says how.  Two of them work at REPEATABLE READ.

use strict;
use warnings;

use AirunEdits;
use AirunTest;
use PostgreSQL::Test::Utils;
use Storable qw(dclone);
use Test::More;

my $steps = quick_or_long(60, 300);
my $node = airun_node('edits', conf => <<'END');
max_connections = 20
log_statement = none
log_error_verbosity = verbose
END
my ($edits, $state);
my $compact = 0;
my %came;

for my $permutation (1 .. quick_or_long(3, 20))
{
	$edits = AirunEdits->new(clients => 8, steps => $steps);
	$edits->prepare($node);
	is($edits->load($node, seconds => 60 + $steps), 0, "permutation $permutation: all clients come to the end of their $steps steps");

	my ($ops, $calls, $states) = $edits->figures;
	$state = $edits->state($node);
	note("$ops operations, $calls calls: " . counts($states));
	is($edits->verdict($state), '', 'and one order explains all that they were told and have read');
	$came{$_} += $states->{$_} for keys %$states;
	$compact += $state->{compact};
	proven('operations that change history', $ops);
}
check_ok($node, 'after all permutations');
cmp_ok($came{'00000'}, '>', ($came{PT404} // 0) + ($came{PT409} // 0) + ($came{40001} // 0), 'most calls were answered: ' . counts(\%came));
cmp_ok($compact, '>', 20, "and $compact requests refer to messages");
is(join("\n", slurp_file($node->logfile) =~ /^.*(?:40P01|XX00\d|PANIC|TRAP).*$/mg), '', 'no deadlock and no internal error is in the server log');
$node->stop;

#--- the checker itself ----------------------------------------------------------

# The first row of an acknowledged call of which something is true, or one behind it
sub find_row
{
	my ($spoilt, $is, $behind) = @_;

	for my $attempt (map { @$_ } @{ $spoilt->{histories} })
	{
		my $op = $spoilt->{ops}{ $attempt->{op} };
		next if $op->{nothing} || AirunHistory::outcome($attempt) ne 'acked';
		for my $row (@{ $attempt->{rows} }) { return ($row, $attempt) if $is->($row, $op) && !($behind && $behind--); }
	}
	die 'nothing to spoil';
}

# A run, and a task, of the final state of which something is true
sub find_end { my ($of, $is) = @_; my ($id) = grep { $is->($of->{$_}) } sort keys %$of; return $of->{ $id // die 'nothing to spoil' }; }

for my $spoil (
	[ 'an edit that is lost', qr/instead of/, sub { my ($h, $s) = @_; my (undef, $attempt) = find_row($h, sub { $_[1]{kind} eq 'edit' && $_[0][0] eq 'W' }); $attempt->{rows} = []; } ],
	[ 'an edit at another place', qr/is told seq/, sub { my ($h, $s) = @_; my ($row) = find_row($h, sub { $_[1]{kind} eq 'append' }); $row->[3]++; } ],
	# which changes nothing where both say the same
	[ 'two changes in the other order', qr/no order explains|instead of|is told/, sub {
		my ($h, $s, $behind) = @_;
		my ($row) = find_row($h, sub { $_[1]{kind} eq 'truncate' && $_[0][2] eq $h->first_run(1) }, $behind);
		my ($other) = find_row($h, sub { $_[0][0] eq 'W' && $_[0][2] eq $row->[2] && $_[0][1] > $row->[1] });
		($row->[1], $other->[1]) = ($other->[1], $row->[1]);
	} ],
	[ 'a version that is lost', qr/has versions/, sub { my ($h, $s) = @_; find_end($s->{runs}, sub { $_[0]{versions} =~ /,/ })->{versions} =~ s/,[^,]*$//; } ],
	[ 'a version of another text', qr/has versions/, sub { my ($h, $s) = @_; find_end($s->{runs}, sub { $_[0]{versions} =~ /replaced/ })->{versions} =~ s/(replaced:[^\/]*)/${1}0/; } ],
	[ 'a message too many', qr/has messages/, sub { my ($h, $s) = @_; find_end($s->{runs}, sub { $_[0]{list} ne '' })->{list} .= ',0.0/00000000'; } ],
	[ 'a fork with one message less', qr/has (messages|versions)|is told|no order/, sub { my ($h, $s) = @_; my ($row) = find_row($h, sub { $_[0][0] eq 'F' && $_[0][4] > 0 }); $row->[4]--; } ],
	[ 'a read of what never was', qr/no order explains/, sub { my ($h, $s) = @_; my ($row) = find_row($h, sub { $_[0][0] eq 'L' && $_[0][2] ne '' }); $row->[2] =~ s/\w{8}/00000000/; } ],
	[ 'versions and messages of two moments', qr/no order explains/, sub { my ($h, $s) = @_; my ($row) = find_row($h, sub { $_[0][0] eq 'V' && $_[0][3] =~ /,/ }); $row->[3] =~ s/^[^,]*,//; } ],
	[ 'a request that changed', qr/was sent otherwise/, sub { my ($h, $s) = @_; find_end($s->{tasks}, sub { 1 })->{request} =~ tr/0-9a-f/1-9a-f0/; } ],
	[ 'a request that changed for a while', qr/was sent otherwise/, sub { my ($h, $s) = @_; my ($row) = find_row($h, sub { $_[0][0] eq 'Q' }); $row->[2] =~ tr/0-9a-f/1-9a-f0/; } ],
	[ 'an answer that changed', qr/has said/, sub { my ($h, $s) = @_; find_end($s->{tasks}, sub { $_[0]{text} ne '' })->{text} .= '.'; } ],
	[ 'an answer that is lost', qr/says nothing/, sub { my ($h, $s) = @_; find_end($s->{tasks}, sub { $_[0]{text} ne '' })->{text} = ''; } ],
	[ 'a run that nobody made', qr/came from nowhere/, sub { my ($h, $s) = @_; $s->{runs}{ numbered_id(9, 9) } = { list => '', versions => '' }; } ],
	[ 'PT409 of an edit', qr/got PT409/, sub { my ($h, $s) = @_; my (undef, $attempt) = find_row($h, sub { $_[1]{kind} eq 'edit' }); $attempt->{states} = ['PT409']; } ],
	[ 'a deadlock', qr/got 40P01/, sub { my ($h, $s) = @_; my (undef, $attempt) = find_row($h, sub { $_[1]{kind} eq 'pair' }); $attempt->{states}[2] = '40P01'; } ])
{
	my ($what, $finding, $how) = @$spoil;
	my @found;

	for my $behind (0 .. 9)
	{
		my $spoilt = bless { %$edits, histories => dclone($edits->{histories}) }, ref $edits;
		my $spoilt_state = dclone($state);

		$how->($spoilt, $spoilt_state, $behind);
		@found = $spoilt->violations($spoilt_state);
		last if grep { /$finding/ } @found;
	}
	ok(scalar(grep { /$finding/ } @found), "the checker finds $what") or diag(join "\n", @found[ 0 .. ($#found > 5 ? 5 : $#found) ]);
}

done_testing();
