# The history of a load: 16 clients append, start and end turns, stream, star,
# rename, delete, restore and read at random on seven shared runs, call again
# what they or others have called, also while it is under way, and have some
# transactions fail.  Whatever they
# were told, and whatever they read, agrees with one order of messages that only
# grew: AirunHistory.pm says how.  A quarter of them work at REPEATABLE READ.

use strict;
use warnings;

use AirunHistory;
use AirunTest;
use PostgreSQL::Test::Utils;
use Storable qw(dclone);
use Test::More;

# Puts a server under load, and tests what came of it.  Returns the history and
# the final state.
sub under_load
{
	my ($steps) = @_;
	my $node = airun_node("history_$steps", conf => <<'END');
max_connections = 40
log_statement = none
log_error_verbosity = verbose
END
	my $history = AirunHistory->new(clients => 16, steps => $steps);

	$history->prepare($node);
	is($history->load($node, seconds => 60 + $steps), 0, "all 16 clients come to the end of their $steps steps");

	my ($ops, $calls, $states) = $history->figures;
	my $state = $history->state($node);
	note("$ops operations, $calls calls: " . counts($states));
	is($history->verdict($state), '', 'and nothing that they were told or have read is untrue');
	check_ok($node, 'after the load');
	cmp_ok($states->{'00000'}, '>', $calls / 2, 'most calls were answered');
	is(join(' ', sort grep { $_ !~ /^(00000|40001|57014|22012|PT404|PT409)$/ } keys %$states), '', 'no SQLSTATE came that nobody expects');
	is(join("\n", slurp_file($node->logfile) =~ /^.*(?:40P01|XX00\d|PANIC|TRAP).*$/mg), '', 'no deadlock and no internal error is in the server log');
	$node->stop;
	proven('history operations', $ops);
	proven('history calls', $calls);
	return ($history, $state);
}

under_load(2000) if quick_or_long(0, 1);
my ($history, $state) = under_load(150);

#--- the checker itself ----------------------------------------------------------

# What happened, spoilt in one place: does the checker see it?  Each of these
# gets the histories and the state to spoil, and says what has to be found.

# The first attempt, and its client, of which something is true
sub find_attempt
{
	my ($spoilt, $is) = @_;

	for my $client (1 .. 16)
	{
		for my $attempt (@{ $spoilt->{histories}[ $client - 1 ] })
		{
			return ($attempt, $spoilt->{ops}{ $attempt->{op} }) if $is->($attempt, $spoilt->{ops}{ $attempt->{op} }, $client);
		}
	}
	die 'nothing to spoil';
}
sub answered { my ($attempt, $op, $kind) = @_; return $op->{kind} eq $kind && AirunHistory::outcome($attempt) eq 'acked'; }
sub find_answered { my ($spoilt, $kind) = @_; return find_attempt($spoilt, sub { answered(@_[ 0, 1 ], $kind) }); }

# A message goes, or comes, without leaving a gap
sub renumber { my ($list) = @_; $list->[$_]{seq} = $_ + 1 for 0 .. $#$list; }
sub take_away
{
	my ($state, $message) = @_;
	my $list = $state->{messages}{ $message->{run} };
	@$list = grep { $_->{n} ne $message->{n} } @$list;
	renumber($list);
}
sub add_message
{
	my ($state, $message) = @_;
	my $list = $state->{messages}{ $message->{run} };
	push @$list, { n => $message->{n}, id => $message->{id} // '', task => $message->{task} // '', seq => @$list + 1 };
}

# The first row of a read of which something is true
sub find_row
{
	my ($spoilt, $what, $is) = @_;
	my $row;

	find_attempt($spoilt, sub {
		my ($attempt, $op, $client) = @_;
		return 0 if AirunHistory::outcome($attempt) ne 'acked';
		($row) = grep { $_->[0] eq $what && $is->($_) } @{ $attempt->{rows} };
		return defined $row;
	});
	return $row;
}

# A read of run 1 by a client that has read messages of it before
sub find_later_read
{
	my ($spoilt) = @_;
	my (%had, $row);

	find_attempt($spoilt, sub {
		my ($attempt, $op, $client) = @_;
		return 0 if AirunHistory::outcome($attempt) ne 'acked';
		for (grep { $_->[0] eq 'R' && $_->[1] eq '1' && $_->[2] ne '-' } @{ $attempt->{rows} })
		{
			$row = $_;
			return 1 if $had{$client};
			$had{$client} = $_->[2] > 0;
		}
		return 0;
	});
	return $row;
}

# A task with some status and some text
sub find_task
{
	my ($state, $status) = @_;
	my ($id) = grep { $state->{tasks}{$_}{status} eq $status && length $state->{tasks}{$_}{text} > 60 } sort keys %{ $state->{tasks} };

	return $state->{tasks}{ $id // die "no task is $status" };
}

my @spoils = (
	[ 'a lost message', qr/acknowledged, but lost/, sub { my ($h, $s) = @_; my (undef, $op) = find_answered($h, 'append'); take_away($s, $op->{messages}[0]); } ],
	[ 'an answer that names no message', qr/got no seq/, sub { my ($h, $s) = @_; my ($attempt) = find_answered($h, 'append'); $attempt->{rows} = []; } ],
	[ 'a read without a row', qr/read nothing/, sub { my ($h, $s) = @_; my ($attempt) = find_attempt($h, sub { answered(@_[ 0, 1 ], 'read') && $_[1]{run} < 5 }); $attempt->{rows} = []; } ],
	[ 'a lost message, in the reads', qr/not the first of the final order/, sub { my ($h, $s) = @_; my (undef, $op) = find_answered($h, 'append'); take_away($s, $op->{messages}[0]); } ],
	[ 'a message that is there twice', qr/is there twice/, sub { my ($h, $s) = @_; my (undef, $op) = find_answered($h, 'append'); add_message($s, $op->{messages}[0]); } ],
	[ 'two messages in the other order', qr/was said to be seq/, sub { my ($h, $s) = @_; my $list = $s->{messages}{1}; @$list[ 4, 5 ] = @$list[ 5, 4 ]; renumber($list); } ],
	[ 'a gap', qr/place 6 has seq 7/, sub { my ($h, $s) = @_; $_->{seq}++ for grep { $_->{seq} > 5 } @{ $s->{messages}{1} }; } ],
	[ 'a message of a call that failed', qr/is there, though it is failed/, sub {
		my ($h, $s) = @_;
		my (undef, $op) = find_attempt($h, sub { $_[1]{kind} eq 'refused' });
		add_message($s, $_) for @{ $op->{messages} };
	} ],
	[ 'half of several messages', qr/of \d messages are there/, sub { my ($h, $s) = @_; my (undef, $op) = find_answered($h, 'batch'); take_away($s, $op->{messages}[1]); } ],
	[ 'half of what has no answer', qr/of \d messages are there/, sub { my ($h, $s) = @_; my ($attempt, $op) = find_answered($h, 'batch'); $attempt->{answered} = 0; take_away($s, $op->{messages}[0]); } ],
	[ 'half of a transaction', qr/1 of 2 messages are there/, sub { my ($h, $s) = @_; my (undef, $op) = find_answered($h, 'pair'); take_away($s, $op->{messages}[1]); } ],
	[ 'another message within a call', qr/there is another/, sub {
		my ($h, $s) = @_;
		my (undef, $op) = find_answered($h, 'batch');
		my $list = $s->{messages}{ $op->{run} };
		my ($at) = grep { $list->[$_]{n} eq $op->{messages}[0]{n} } 0 .. $#$list;
		splice @$list, $at + 1, 0, pop @$list;
		renumber($list);
	} ],
	[ 'messages without their task', qr/task is not there, but not so its messages/, sub {
		my ($h, $s) = @_;
		my (undef, $op) = find_attempt($h, sub { answered(@_[ 0, 1 ], 'start') && @{ $_[1]{messages} } });
		delete $s->{tasks}{ $op->{start}{task} };
	} ],
	[ 'a task without its messages', qr/task is there, but not so its messages/, sub {
		my ($h, $s) = @_;
		my (undef, $op) = find_attempt($h, sub { answered(@_[ 0, 1 ], 'start') && @{ $_[1]{messages} } });
		take_away($s, $_) for @{ $op->{messages} };
	} ],
	[ 'an end without its answer', qr/its answer is not there/, sub { my ($h, $s) = @_; my (undef, $op) = find_answered($h, 'finish'); take_away($s, $op->{messages}[0]); } ],
	[ 'an answer without its end', qr/task is open, but it was ended as completed/, sub { my ($h, $s) = @_; my (undef, $op) = find_answered($h, 'finish'); $s->{tasks}{ $op->{end}{task} }{status} = 'streaming'; } ],
	[ 'another end', qr/task is cancelled, but it was ended as completed/, sub { my ($h, $s) = @_; find_task($s, 'completed')->{status} = 'cancelled'; } ],
	[ 'tokens counted twice', qr/task is completed with \d+ tokens/, sub { my ($h, $s) = @_; find_task($s, 'completed')->{tokens} *= 2; } ],
	[ 'a wrong cost', qr/task is completed with \d+ tokens/, sub { my ($h, $s) = @_; find_task($s, 'completed')->{micro}++; } ],
	[ 'a run that counts one too many', qr/run 2: counts/, sub { my ($h, $s) = @_; $s->{runs}{2}{message_count}++; } ],
	[ 'a run with tokens too many', qr/run 2: counts/, sub { my ($h, $s) = @_; $s->{runs}{2}{total_tokens}++; } ],
	[ 'a text that lost its end', qr/text is not/, sub { my ($h, $s) = @_; chop(find_task($s, 'completed')->{text}); } ],
	[ 'a text that lost its middle', qr/not the beginning of what was sent/, sub { my ($h, $s) = @_; substr(find_task($s, 'completed')->{text}, 20, 10) = ''; } ],
	[ 'progress that is lost', qr/of which \d+ are acknowledged/, sub {
		my ($h, $s) = @_;
		my (undef, $op) = find_attempt($h, sub { answered(@_[ 0, 1 ], 'progress') && $_[0]{rows}[0][1] eq 'streaming' });
		$s->{tasks}{ $op->{progress}{task} }{text} = 'piece';
	} ],
	[ 'a message that nobody sent', qr/message 0\.0: came from nowhere/, sub { my ($h, $s) = @_; add_message($s, { run => 1, n => '0.0' }); } ],
	[ 'a name that came back', qr/which nobody gave it last/, sub { my ($h, $s) = @_; $s->{runs}{3}{name} = 'name 0.0'; } ],
	[ 'a read of other messages', qr/not the first of the final order/, sub { my ($h, $s) = @_; find_row($h, 'R', sub { $_[0][3] ne '-' && $_[0][3] > 9 })->[4] = 'a' x 32; } ],
	[ 'a read of messages that are not the newest', qr/which is not so in the final order/, sub { my ($h, $s) = @_; find_row($h, 'T', sub { $_[0][2] =~ /,.*,/ })->[2] =~ s/,[^,]+,/,/; } ],
	[ 'a read that saw fewer than before', qr/messages of run 1, and had \d+ before/, sub { my ($h, $s) = @_; @{ find_later_read($h) }[ 2, 3, 4 ] = (0, 0, ''); } ],
	[ 'a read that counts messages which are not there', qr/read message_count/, sub { my ($h, $s) = @_; find_row($h, 'R', sub { $_[0][2] ne '-' && $_[0][3] ne '-' })->[2]++; } ],
	[ 'a read whose total is not the sum', qr/read total_tokens/, sub { my ($h, $s) = @_; find_row($h, 'R', sub { $_[0][7] ne '-' && $_[0][8] ne '-' })->[7]++; } ],
	[ 'a read whose cost is not the sum', qr/read total_cost/, sub { my ($h, $s) = @_; find_row($h, 'R', sub { $_[0][9] ne '-' && $_[0][10] ne '-' })->[9]++; } ],
	[ 'two reads in one snapshot that differ', qr/two reads in one snapshot differ/, sub { my ($h, $s) = @_; my ($attempt) = find_attempt($h, sub { $_[1]{same} && answered(@_[ 0, 1 ], 'read') && @{ $_[0]{rows} } }); $attempt->{rows}[0][2] .= '0'; } ],
	[ 'a stream of another text', qr/op .* \(follow\): read '/, sub { my ($h, $s) = @_; find_row($h, 'S', sub { $_[0][2] > 9 })->[4] =~ s/piece/peace/; } ],
	[ 'another seq for a call that came again', qr/was said to be seq 1000000/, sub { my ($h, $s) = @_; my ($attempt) = find_answered($h, 'append'); push @{ $h->{histories}[0] }, { %$attempt, rows => [ [ 'M', 1000000 ] ] }; } ],
	[ 'an answer in a deleted run', qr/in a run that is deleted/, sub {
		my ($h, $s) = @_;
		my ($attempt) = find_attempt($h, sub { $_[2] != 1 && $_[1]{kind} eq 'append' && $_[1]{run} == 7 && $_[0]{states}[0] eq 'PT404' });
		push @{ $h->{histories}[$_] }, $attempt, { %$attempt, states => ['00000'], rows => [ [ 'M', 1 ] ] } for 15;
	} ],
	[ 'a deadlock', qr/got 40P01/, sub { my ($h, $s) = @_; my ($attempt) = find_answered($h, 'pair'); $attempt->{states}[3] = '40P01'; } ],
	[ 'an internal error', qr/got XX000/, sub { my ($h, $s) = @_; my ($attempt) = find_answered($h, 'finish'); $attempt->{states}[0] = 'XX000'; } ],
	[ '40001 at READ COMMITTED', qr/got 40001/, sub { my ($h, $s) = @_; my ($attempt) = find_attempt($h, sub { $_[2] == 1 && answered(@_[ 0, 1 ], 'append') }); $attempt->{states}[0] = '40001'; } ],
	[ 'PT404 in a run that nobody deletes', qr/got PT404/, sub { my ($h, $s) = @_; my ($attempt) = find_attempt($h, sub { answered(@_[ 0, 1 ], 'append') && $_[1]{run} < 5 }); $attempt->{states}[0] = 'PT404'; } ]);

sub spoil
{
	my ($how) = @_;
	my $spoilt = bless { %$history, histories => dclone($history->{histories}) }, ref $history;
	my $spoilt_state = dclone($state);

	$how->($spoilt, $spoilt_state);
	return $spoilt->violations($spoilt_state);
}
for my $spoil (@spoils)
{
	my ($what, $finding, $how) = @$spoil;
	my @found = spoil($how);
	ok(scalar(grep { /$finding/ } @found), "the checker finds $what") or diag(join "\n", @found[ 0 .. ($#found > 5 ? 5 : $#found) ]);
}

# A call without an answer may be there as a whole
is(join("\n", spoil(sub { my ($h, $s) = @_; my ($attempt) = find_attempt($h, sub { answered(@_[ 0, 1 ], 'insert') }); $attempt->{answered} = 0; })),
	'', 'and nothing in a call that was carried out, and whose answer was lost');

# psql that goes on where the connection is gone has no SQLSTATE, and no answer,
# whatever it writes then; an answer without a row is one, and false
my ($item) = grep { $history->{plans}[0][$_]{op}{kind} eq 'append' && !$history->{plans}[0][$_]{op}{once} } 0 .. $#{ $history->{plans}[0] };
for my $said ([ '', 'unknown', $item ], [ '00000', 'acked', $item + 1 ])
{
	my ($sqlstate, $outcome, $next) = @$said;
	my $heard = bless { %$history, next => [ (0) x 16 ], histories => [ map { [] } 1 .. 16 ] }, ref $history;

	$heard->hear(1, "> $item\n< $sqlstate\n.\n");
	is(AirunHistory::outcome($heard->{histories}[0][0]), $outcome, "with SQLSTATE '$sqlstate' the outcome of a call is $outcome");
	is($heard->{next}[0], $next, $outcome eq 'acked' ? 'and the client goes on' : 'and the client calls again');
}

done_testing();
