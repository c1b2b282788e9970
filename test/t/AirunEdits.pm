# AirunEdits: a load that changes history, and whose own history can be checked.
#
#	my $edits = AirunEdits->new(clients => 8, steps => 40);
#	$edits->prepare($node);
#	$edits->load($node);
#	is($edits->verdict($edits->state($node)), '', '...');
#
# As AirunHistory, from which it has the load; but its clients edit messages, save
# them again, take them back and fork runs, while others append, start and end turns.
# Runs stand in slots: the first ones stay, in the others the last fork stands.
#
# Whoever changes a run draws a ticket while he holds the run, in the same
# transaction.  So tickets are in the order in which runs were changed, whatever the
# server says of it.  violations() does all that was acknowledged again, in that
# order, in a model: what each call returned, each read, each version, each fork and
# the final state have to be the model's, and reads of one client never go back.
# A request that was sent and a text that a task has said stay what they were.

package AirunEdits;

use strict;
use warnings;

use parent 'AirunHistory';

use AirunTest;
use List::Util qw(max);

my @fixed = (1 .. 3);
my @slots = (@fixed, 4 .. 7);
my $rounds = 0;

sub user { my ($self) = @_; return numbered_id(0x22, $self->{round}); }
sub first_run { my ($self, $slot) = @_; return numbered_id(0x2200 + $self->{round}, $slot); }

#--- plans -----------------------------------------------------------------------

my %deeds = (
	append => 12, save => 14, resave => 5, edit => 14, beyond => 1, truncate => 8, fork => 7,
	start => 14, finish => 14, pair => 4, refused => 4, timed => 3,
	read => 14, versions => 6, ask => 8, snapshot => 2, check => 1, again => 6);
my @urn = map { ($_) x $deeds{$_} } sort keys %deeds;

sub pick { return $_[ int(rand(@_)) ]; }
sub run_in { my ($slot) = @_; return "(SELECT run_id FROM place WHERE slot = $slot)"; }
sub task_id { my ($self, $client, $number) = @_; return numbered_id(0x220000 + 100 * $self->{round} + $client, $number); }

sub message
{
	my ($n, $role, $text) = @_;
	return qq({"role": "$role", "content": ") . ($text // "what $n has to say, at some length; " x 3) . qq(", "n": "$n"});
}

# A statement that changes a run, and returns for each message
#	W ticket run seq n hash
sub writing
{
	my ($call) = @_;
	return "WITH w AS MATERIALIZED (SELECT m.* FROM $call AS m)"
	  . " SELECT 'W', nextval('ticket'), run_id, seq, message ->> 'n', left(md5(message::text), 8) FROM w";
}
sub saving { my ($slot, $n, $id) = @_; return writing("airun_save_message(@{[run_in($slot)]}, '" . message($n, 'user') . "', '$id')"); }
sub appending { my ($slot, $n) = @_; return writing("airun_append_message(@{[run_in($slot)]}, '" . message($n, 'user') . "', 'm$n')"); }

# At some place of the run, as it is when the statement begins
sub editing
{
	my ($slot, $n) = @_;
	return writing("(SELECT id, ceil(message_count * @{[rand()]})::bigint AS at FROM ai_runs WHERE id = @{[run_in($slot)]} AND message_count > 0) AS r, airun_edit_message(r.id, r.at, '" . message($n, 'user') . "')");
}

# X ticket run after count: taken back is about a fifth
sub truncating
{
	my ($slot) = @_;
	return "WITH w AS MATERIALIZED (SELECT t.id, r.after, t.message_count FROM (SELECT id, floor(message_count * @{[1 - rand() * 0.4]})::bigint AS after FROM ai_runs WHERE id = @{[run_in($slot)]}) AS r, airun_truncate_messages(r.id, r.after) AS t)"
	  . " SELECT 'X', nextval('ticket'), id, after, message_count FROM w";
}

# F ticket run fork at: the fork comes into another slot
sub forking
{
	my ($slot, $to) = @_;
	return "WITH w AS MATERIALIZED (SELECT f.id, f.forked_from, f.forked_at_seq FROM (SELECT id, ceil(message_count * @{[rand()]})::bigint AS at FROM ai_runs WHERE id = @{[run_in($slot)]}) AS r, airun_fork_run(r.id, " . pick('r.at', 'NULL') . ', listed => ' . pick('true', 'false') . ") AS f),"
	  . " p AS (INSERT INTO place SELECT $to, id FROM w ON CONFLICT (slot) DO UPDATE SET run_id = excluded.run_id)"
	  . " SELECT 'F', nextval('ticket'), forked_from, id, forked_at_seq FROM w";
}

# What a client sends to a model, of what it has just read of the run
sub requesting
{
	my ($slot, $n) = @_;
	my ($system, $last) = (pick('[]', '[{"role": "system", "content": "Be brief."}]'), pick(5, 1000, 1000));
	return "SELECT jsonb_build_object('model', 'edit-1', 'messages', '$system'::jsonb || COALESCE(jsonb_agg(jsonb_build_object('role', m -> 'role', 'content', m -> 'content') ORDER BY i) FILTER (WHERE i > count - $last), '[]') || ('" . message($n, 'user') . "'::jsonb - 'n')) AS request"
	  . " FROM (SELECT x.*, count(*) OVER () FROM json_array_elements(airun_messages(@{[run_in($slot)]})) WITH ORDINALITY AS x (m, i)) AS y \\gset";
}
# The turn's message, which the call does not return
sub turning
{
	my ($n, $task, $call) = @_;
	return ('BEGIN', "SELECT $call \\g /dev/null",
		"SELECT 'W', nextval('ticket'), run_id, seq, message ->> 'n', left(md5(message::text), 8) FROM ai_messages WHERE task_id = '$task' AND message ->> 'n' = '$n'", 'COMMIT');
}

# One client's plan, as AirunHistory has it.  An op has what => the model's name for
# what it does, n => the messages' numbers, id => under which it is saved.
sub plan
{
	my ($self, $client) = @_;
	my (@plan, @open, $turns);

	$self->{round} //= ++$rounds;
	srand($self->{seed} * 1000 + $client);
	my $add = sub {
		my ($op, @sql) = @_;
		push @plan, { op => { %$op, id => "$client." . (1 + @plan) }, sql => \@sql };
	};

	while (@plan < $self->{steps})
	{
		my $deed = pick(@urn);
		my $slot = rand() < 0.75 ? pick(@fixed) : pick(@slots);
		my $n = "$client." . (1 + @plan);
		# few ids, which all clients save under
		my $id = 's' . int(rand(12));

		if ($deed eq 'append') { $add->({ kind => $deed, slot => $slot, calls => [ { what => 'append', n => [$n], id => "m$n" } ] }, appending($slot, $n)); }
		elsif ($deed eq 'save') { $add->({ kind => $deed, calls => [ { what => 'save', n => [$n], id => $id } ] }, saving($slot, $n, $id)); }
		elsif ($deed eq 'resave')
		{
			# the whole list again, with something new in it
			my @ids = map { "s$_" } grep { rand() < 0.3 } 0 .. 11;
			$add->({ kind => $deed, calls => [ map { { what => 'save', n => ["$n.$_"], id => $_ } } @ids ] },
				writing("airun_save_messages(@{[run_in($slot)]}, '[" . join(', ', map { message("$n.$_", 'user') =~ s/\}$/, "id": "$_"}/r } @ids) . "]')")) if @ids;
		}
		elsif ($deed eq 'edit') { $add->({ kind => $deed, calls => [ { what => 'edit', n => [$n] } ] }, editing($slot, $n)); }
		elsif ($deed eq 'beyond')
		{
			my $at = 1 + int(rand(80));
			$slot = pick(@fixed);
			$add->({ kind => $deed, slot => $slot, at => $at, calls => [ { what => 'edit', n => [$n] } ] },
				writing("airun_edit_message(@{[run_in($slot)]}, $at, '" . message($n, 'user') . "')"));
		}
		elsif ($deed eq 'truncate') { $add->({ kind => $deed }, truncating($slot)); }
		elsif ($deed eq 'fork') { $add->({ kind => $deed }, forking($slot, pick(@slots[ 3 .. $#slots ]))); }
		elsif ($deed eq 'start' && @open < 3)
		{
			my $task = $self->task_id($client, ++$turns);
			push @open, $task;
			$add->({ kind => $deed, start => { task => $task, text => "the answer of $task, " x 8 }, calls => [ { what => 'push', n => [$n] } ] },
				requesting($slot, $n),
				"SELECT 'S', 0, '$task', md5(:'request'::jsonb::text)",
				turning($n, $task, "airun_start_turn(@{[run_in($slot)]}, '" . message($n, 'user') . "', '$task', request_data => :'request')"));
		}
		elsif ($deed eq 'finish' && @open)
		{
			my $task = splice @open, int(rand(@open)), 1;
			$add->({ kind => $deed, ends => $task, calls => [ { what => 'push', n => [$n] } ] },
				turning($n, $task, "airun_finish_turn('$task', '" . message($n, 'assistant', "the answer of $task, " x 8) . "', tokens_total => 7)"));
		}
		elsif ($deed eq 'pair')
		{
			# two runs in one transaction, always in the same order
			my ($a, $b) = sort { $a <=> $b } (pick(@fixed), pick(@fixed));
			$add->({ kind => $deed, calls => [ { what => 'edit', n => ["$n.1"] }, { what => 'save', n => ["$n.2"], id => $id }, { what => 'save', n => ["$n.3"], id => "$id.3" } ] },
				'BEGIN', editing($a, "$n.1"), saving($a, "$n.2", $id), truncating($a), 'SELECT pg_sleep(0.002)', saving($b, "$n.3", "$id.3"), 'COMMIT');
		}
		elsif ($deed eq 'refused')
		{
			# all of it, or the part behind a savepoint, comes to nothing
			my @sql = (editing($slot, "$n.1"), truncating($slot), saving($slot, "$n.2", $id), forking($slot, 7));
			$add->({ kind => $deed, nothing => 1 }, 'BEGIN', @sql, rand() < 0.5 ? 'ROLLBACK' : ('SELECT 1 / 0', 'COMMIT')) if rand() < 0.5;
			$add->({ kind => $deed, nothing => 1 }, 'BEGIN', 'SAVEPOINT s', @sql, 'ROLLBACK TO s', editing($slot, "$n.3"), 'ROLLBACK');
		}
		elsif ($deed eq 'timed')
		{
			$add->({ kind => $deed, calls => [ { what => 'edit', n => [$n] } ] },
				'BEGIN', "SET LOCAL statement_timeout = '" . pick(1, 2, 5) . "ms'", editing($slot, $n), 'COMMIT', 'ROLLBACK');
		}
		elsif ($deed eq 'read') { $add->({ kind => $deed }, reading($slot)); }
		elsif ($deed eq 'versions') { $add->({ kind => $deed }, reading_versions(run_in($slot))); }
		elsif ($deed eq 'ask')
		{
			my $task = $self->task_id(1 + int(rand($self->{clients})), max(1, ($turns // 0) - pick(0 .. 5)));
			$add->({ kind => $deed }, "SELECT 'Q', task_id, md5(request_data::text), response_text FROM ai_tasks WHERE task_id = '$task'");
		}
		elsif ($deed eq 'snapshot')
		{
			my $read = reading(pick(@fixed));
			$add->({ kind => $deed, same => AirunHistory::repeatable($client) }, 'BEGIN', $read, 'SELECT pg_sleep(0.003)', $read, 'COMMIT');
		}
		elsif ($deed eq 'check') { $add->({ kind => $deed }, "SELECT 'C', c.* FROM airun_check(@{[run_in($slot)]}) AS c"); }
		elsif ($deed eq 'again')
		{
			my @old = grep { $_->{op}{kind} =~ /^(append|save|resave|truncate)$/ } @plan;
			push @plan, pick(@old) if @old;
		}
	}
	return \@plan;
}

# All is called again in plan() already
sub echo { }

my $listed = "string_agg((m ->> 'n') || '/' || left(md5(m::text), 8), ',' ORDER BY i)";

# A read of a run, one of several ways: L run messages
sub reading
{
	my ($slot) = @_;
	my $run = run_in($slot);

	return pick(
		"SELECT 'L', $run, $listed FROM (SELECT x::jsonb, i FROM json_array_elements(airun_messages($run)) WITH ORDINALITY AS e (x, i)) AS e (m, i)",
		"SELECT 'L', id, (SELECT $listed FROM jsonb_array_elements(messages) WITH ORDINALITY AS e (m, i)) FROM ai_runs WHERE id = $run",
		"SELECT 'L', $run, $listed FROM (SELECT message, seq FROM ai_messages WHERE run_id = $run) AS e (m, i)",
		"SELECT 'L', $run, $listed FROM (SELECT x::jsonb, i FROM json_array_elements(airun_get_run($run) -> 'messages') WITH ORDINALITY AS e (x, i)) AS e (m, i)");
}

# V run messages versions, of one moment
sub reading_versions
{
	my ($run) = @_;
	return "SELECT 'V', r.id, l.list, v.list FROM ai_runs AS r,"
	  . " LATERAL (SELECT $listed AS list FROM (SELECT message, seq FROM ai_messages WHERE run_id = r.id) AS e (m, i)) AS l,"
	  . " LATERAL (SELECT string_agg(seq || ':' || version || ':' || action || ':' || (message ->> 'n') || '/' || left(md5(message::text), 8), ',' ORDER BY seq, version) AS list FROM airun_message_versions(r.id)) AS v"
	  . " WHERE r.id = $run";
}

#--- the load --------------------------------------------------------------------

# Makes the runs of these clients, and what they need, on a node that others have
# used before.
sub prepare
{
	my ($self, $node) = @_;
	my $user = $self->user;

	$node->safe_psql('postgres', <<'SQL') if $node->safe_psql('postgres', "SELECT to_regclass('place') IS NULL") eq 't';
CREATE ROLE client LOGIN;
SELECT airun_grant('client');
CREATE TABLE place (slot int PRIMARY KEY, run_id uuid NOT NULL);
CREATE SEQUENCE ticket;
GRANT ALL ON place, ticket TO client;
SQL
	$node->safe_psql('postgres', <<"SQL" . join '', map { "SELECT airun_create_run(id => '@{[$self->first_run($_)]}'); INSERT INTO place VALUES ($_, '@{[$self->first_run($_)]}');\n" } @slots);
ALTER ROLE client SET airun.user_id = '$user';
SET airun.user_id = '$user';
TRUNCATE place;
SQL
}

# Everything that is in the store in the end
sub state
{
	my ($self, $node) = @_;
	my %state = (runs => {}, tasks => {});

	for my $line (split /\n/, $node->safe_psql('postgres', <<"SQL"))
SET airun.user_id = '@{[$self->user]}';
SET ROLE client;
@{[reading_versions('r.id')]};
SELECT 'Q', task_id, md5(request_data::text), response_text FROM ai_tasks;
SELECT 'K', count(request_reference) FROM airun.tasks;
SQL
	{
		my ($what, @value) = split /\|/, $line, -1;
		if ($what eq 'V') { $state{runs}{ $value[0] } = { list => $value[1], versions => $value[2] }; }
		elsif ($what eq 'Q') { $state{tasks}{ $value[0] } = { request => $value[1], text => $value[2] }; }
		else { $state{compact} = $value[0]; }
	}
	return \%state;
}

#--- the model ---------------------------------------------------------------------

# A run of the model: messages [{n, id, hash}], versions "place:number:action:n/hash"
# in their order, and what it was after each change: {list, versions, messages}.
sub remember
{
	my ($run) = @_;
	my @versions = map { @{ $run->{versions}{$_} } } sort { $a <=> $b } keys %{ $run->{versions} };

	push @{ $run->{states} }, {
		messages => [ @{ $run->{messages} } ],
		list => join(',', map { "$_->{n}/$_->{hash}" } @{ $run->{messages} }),
		versions => join(',', @versions) };
}

sub new_run
{
	my ($self, $id, @messages) = @_;
	my $run = { messages => [@messages], versions => {}, states => [], had => { map { ("$_->{n}/$_->{hash}" => 1) } @messages } };

	$self->{bad} = [ @{ $self->{bad} }, "run $id: is there twice" ] if $self->{model}{$id};
	$self->{model}{$id} = $run;
	remember($run);
}

sub keep_version
{
	my ($run, $seq, $action) = @_;
	my $message = $run->{messages}[ $seq - 1 ];
	my $list = $run->{versions}{$seq} //= [];

	push @$list, "$seq:" . (1 + @$list) . ":$action:$message->{n}/$message->{hash}";
}

# A message comes to the run as its call demands; returns where it has to be
sub write_message
{
	my ($run, $call, $seq, $n, $hash) = @_;
	my $messages = $run->{messages};
	my $new = { n => $n, id => $call->{id} // '', hash => $hash };
	my ($at) = $call->{what} eq 'edit' ? $seq : grep { $new->{id} ne '' && $messages->[ $_ - 1 ]{id} eq $new->{id} } 1 .. @$messages;

	if (!$at)
	{
		push @$messages, $new;
		$run->{had}{"$n/$hash"} = 1;
		return scalar @$messages;
	}
	my $old = $messages->[ $at - 1 ] or return 0;
	return $at if "$old->{n}/$old->{hash}" eq "$n/$hash";
	return 0 if $call->{what} =~ /append|push/;
	keep_version($run, $at, 'replaced');
	$messages->[ $at - 1 ] = { %$new, id => $old->{id} };
	return $at;
}

# Does a change again in the model, and compares what its call has returned
sub do_again
{
	my ($self, $change) = @_;
	my ($op, $call, $what, $run_id, @value) = (@{$change}{qw(op call what run)}, @{ $change->{value} });
	my $run = $self->{model}{$run_id};

	return $self->bad($op, "changes run $run_id, which is not there") if !$run;
	if ($what eq 'W')
	{
		my ($seq, $n, $hash) = @value;
		# who appends again what is there reads it, and does not hold the run
		return $change->{is_read} = 1 if $call->{what} eq 'append' && $run->{had}{"$n/$hash"};
		my $at = write_message($run, $call, @value);
		$self->bad($op, "is told seq $seq instead of $at") if $at != $seq;
		$self->bad($op, "is told message $n") if !grep { $_ eq $n } @{ $call->{n} };
	}
	elsif ($what eq 'X')
	{
		my ($after, $count) = @value;
		keep_version($run, $_, 'removed') for $after + 1 .. @{ $run->{messages} };
		splice @{ $run->{messages} }, $after if $after < @{ $run->{messages} };
		$self->bad($op, "is told $count messages") if $count != @{ $run->{messages} };
	}
	else
	{
		my ($fork, $at) = @value;
		$self->bad($op, "forks $at of " . @{ $run->{messages} } . ' messages') if $at > @{ $run->{messages} };
		$self->new_run($fork, @{ $run->{messages} }[ 0 .. $at - 1 ]);
	}
	remember($run);
	$change->{index} = $#{ $run->{states} };
}

# All changes that were acknowledged, in the order of their tickets
sub see_changes
{
	my ($self) = @_;
	my @changes;

	for my $attempt (map { @$_ } @{ $self->{histories} })
	{
		my $op = $self->{ops}{ $attempt->{op} };
		my @calls = @{ $op->{calls} // [] };

		next if $op->{nothing} || AirunHistory::outcome($attempt) ne 'acked';
		$attempt->{changes} = [];
		for my $row (@{ $attempt->{rows} })
		{
			my ($what, $ticket, $run, @value) = @$row;
			if ($what =~ /^[WXF]$/)
			{
				# the call by its message: an edit of an empty run does nothing
				my ($call) = $what eq 'W' ? grep { $_->{n}[0] eq $value[1] } @calls : {};
				push @{ $attempt->{changes} }, { op => $op, call => $call // $calls[0], what => $what, ticket => $ticket, run => $run, value => \@value };
			}
			elsif ($what eq 'S') { $self->{sent}{$run} = $value[0]; }
		}
		$self->bad($op, 'has no answer') if !@{ $attempt->{changes} } && $op->{kind} =~ /^(append|save|resave|truncate|fork|start|finish)$/;
		push @changes, @{ $attempt->{changes} };
	}
	$self->new_run($self->first_run($_)) for @slots;
	$self->do_again($_) for sort { $a->{ticket} <=> $b->{ticket} } @changes;
}

#--- the checker -------------------------------------------------------------------

sub violations
{
	my ($self, $state) = @_;
	my $known = bless { %$self, state => $state, bad => [], model => {}, sent => {} }, ref $self;

	$known->see_changes;
	$known->see_client($_) for 1 .. $self->{clients};
	$known->see_end;
	return @{ $known->{bad} };
}

# The first state of a run, from that index on, of which something is true
sub find_state
{
	my ($self, $run, $from, $is) = @_;
	my $states = ($self->{model}{$run} // {})->{states} // [];

	for my $index (($from // 0) .. $#$states)
	{
		return $index if $is->($states->[$index]);
	}
	return undef;
}

# May this SQLSTATE come of it, in a run that the client has seen at that index?
sub allowed
{
	my ($self, $client, $op, $state, $seen) = @_;
	my $is = $state eq 'PT404' && $op->{kind} eq 'beyond' ? sub { @{ $_[0]{messages} } < $op->{at} }
	  : $state eq 'PT409' && $op->{kind} eq 'append' ? sub { grep { $_->{id} eq $op->{calls}[0]{id} && $_->{n} ne $op->{calls}[0]{n}[0] } @{ $_[0]{messages} } }
	  : undef;

	return AirunHistory::repeatable($client) if $state eq '40001';
	return $op->{kind} eq 'timed' if $state eq '57014';
	return $op->{kind} eq 'refused' if $state eq '22012';
	# the place that a statement began with was taken back before it had the run
	return 1 if $state eq 'PT404' && $op->{kind} =~ /^(edit|pair|timed|refused)$/ || $state eq 'PT422' && $op->{kind} =~ /^(fork|refused)$/;
	return 0 if !$is;
	# what stands in the other slots is not known to the plan
	return 1 if $op->{slot} > @fixed;
	return defined $self->find_state($self->first_run($op->{slot}), $seen->{ $self->first_run($op->{slot}) }, $is);
}

# One client's history: its reads and its changes are of states that follow upon
# one another.
sub see_client
{
	my ($self, $client) = @_;
	my (%seen, %started);

	for my $attempt (@{ $self->{histories}[ $client - 1 ] })
	{
		my $op = $self->{ops}{ $attempt->{op} };
		my ($failed) = grep { $_ ne '00000' } @{ $attempt->{states} };
		my @reads;

		$self->bad($op, "client $client got $failed") if $failed && !$self->allowed($client, $op, $failed, \%seen)
		  && !($failed eq 'PT404' && $op->{ends} && !$started{ $op->{ends} });
		next if $failed || $op->{nothing};
		$started{ $op->{start}{task} } = 1 if $op->{start};
		for my $change (@{ $attempt->{changes} })
		{
			my $run = $change->{run};
			my ($seq, $n, $hash) = @{ $change->{value} };
			my $index = $change->{index};
			$index = $self->find_state($run, $seen{$run}, sub { my $at = $_[0]{messages}[ $seq - 1 ]; $at && "$at->{n}/$at->{hash}" eq "$n/$hash" }) if $change->{is_read};
			$self->bad($op, "no order explains message $n at seq $seq of run $run") if $change->{is_read} && !defined $index;
			$self->bad($op, "has read what came later in run $run") if !$change->{is_read} && defined $index && $index <= ($seen{$run} // -1);
			$seen{$run} = $index // $seen{$run};
		}
		for my $row (@{ $attempt->{rows} })
		{
			my ($what, @value) = @$row;
			if ($what =~ /^[LV]$/)
			{
				my ($run, $list, $versions) = @value;
				my $index = $self->find_state($run, $seen{$run}, sub { $_[0]{list} eq $list && (!defined $versions || $_[0]{versions} eq $versions) });
				$self->bad($op, "no order explains what was read of run $run: $list; " . ($versions // '')) if !defined $index;
				$seen{$run} = $index // $seen{$run};
				push @reads, "@value";
			}
			elsif ($what eq 'Q') { $self->see_task($op, @value); }
			elsif ($what eq 'C') { $self->bad($op, "airun_check() found: @value"); }
		}
		$self->bad($op, 'read nothing') if !@reads && $op->{kind} =~ /^(read|versions|snapshot)$/;
		$self->bad($op, "two reads in one snapshot differ: @reads") if $op->{same} && $reads[0] ne $reads[1];
	}
}

# What a task has sent and said stays, whatever becomes of the messages
sub see_task
{
	my ($self, $op, $task, $request, $text) = @_;

	$self->bad($op, "task $task was sent otherwise") if $request ne ($self->{sent}{$task} // 'nothing');
	$self->bad($op, "task $task has said '$text'") if $text ne '' && $text ne ($self->{tasks}{$task} // {})->{text};
}

sub see_end
{
	my ($self) = @_;
	my $state = $self->{state};
	my %ended = map { ($self->{ops}{ $_->{op} }{ends} // '') => 1 } grep { AirunHistory::outcome($_) eq 'acked' } map { @$_ } @{ $self->{histories} };

	for my $id (sort keys %{ $self->{model} })
	{
		my $have = $state->{runs}{$id};
		my $want = $self->{model}{$id}{states}[-1];
		$self->bad("run $id", 'is not there') if !$have;
		next if !$have;
		$self->bad("run $id", "has messages $have->{list} instead of $want->{list}") if $have->{list} ne $want->{list};
		$self->bad("run $id", "has versions $have->{versions} instead of $want->{versions}") if $have->{versions} ne $want->{versions};
	}
	$self->bad("run $_", 'came from nowhere') for grep { !$self->{model}{$_} } sort keys %{ $state->{runs} };
	for my $task (sort keys %{ $state->{tasks} })
	{
		$self->see_task("task $task", $task, $state->{tasks}{$task}{request}, $state->{tasks}{$task}{text});
		$self->bad("task $task", 'has ended, and says nothing') if $ended{$task} && $state->{tasks}{$task}{text} eq '';
	}
	$self->bad("task $_", 'is not there') for grep { !$state->{tasks}{$_} } sort keys %{ $self->{sent} };
}

1;
