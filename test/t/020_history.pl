# The history of a load: 16 clients append, start and end turns, stream, star,
# rename, delete, restore and read at random on seven shared runs, call again
# what they have called before, and have some transactions fail.  Whatever they
# were told, and whatever they read, agrees with one order of messages that only
# grew: AirunHistory.pm says how.  A quarter of them work at REPEATABLE READ.

use strict;
use warnings;

use AirunHistory;
use AirunTest;
use PostgreSQL::Test::Utils;
use Storable qw(dclone);
use Test::More;

my $node = airun_node('history', conf => <<'END');
max_connections = 40
log_statement = none
log_error_verbosity = verbose
END

my $history = AirunHistory->new(clients => 16, steps => quick_or_long(150, 2000));
$history->prepare($node);
is($history->load($node, seconds => quick_or_long(120, 3600)), 0, 'all 16 clients come to the end of their plans');

my ($ops, $calls, $states) = $history->figures;
my $state = $history->state($node);
my @violations = $history->violations($state);
is(join("\n", @violations[ 0 .. ($#violations > 30 ? 30 : $#violations) ]), '', 'and nothing that they were told or have read is untrue');
note("$ops operations, $calls calls: " . counts($states));
check_ok($node, 'after the load');
cmp_ok($states->{'00000'}, '>', $calls / 2, 'most calls were answered');
is(join(' ', sort grep { $_ !~ /^(00000|40001|57014|22012|PT404|PT409)$/ } keys %$states), '', 'no SQLSTATE came that nobody expects');
is(join("\n", slurp_file($node->logfile) =~ /^.*(?:40P01|XX00\d|PANIC|TRAP).*$/mg), '', 'no deadlock and no internal error is in the server log');
proven('history operations', $ops);
proven('history calls', $calls);

done_testing();
