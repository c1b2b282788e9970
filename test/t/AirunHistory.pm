# AirunHistory: a load whose history can be checked, in the manner of Elle.
#
#	my $history = AirunHistory->new(clients => 16, steps => 100);
#	$history->prepare($node);
#	$history->load($node);
#	is($history->verdict($history->state($node)), '', '...');
#
# Each client has a plan, made beforehand from the seed alone: what it calls, in
# which order, with ids and numbers that occur once.  What psql writes while it
# follows the plan is the client's history: what it called, what came back, and
# what never came back.  violations() holds the histories of all clients against
# the final state and tells everything that cannot be: an answer that is not
# true, a read that is not the beginning of the final order, a call that failed
# and left something behind, a turn of which only half is there.
#
# AIRUN_SEED=n replays the plans of seed n.  How the clients interleave is
# chance, as it is in life.

package AirunHistory;

use strict;
use warnings;

use AirunTest;
use Digest::MD5;
use IPC::Run ();
use List::Util qw(max sum0);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

# The runs that all clients share.  To the first four nothing happens; the next is
# deleted and restored all the time, the next completed and reopened, the last
# deleted once, for good.
my @stable = (1 .. 4);
my ($volatile, $moody, $doomed) = (5, 6, 7);
my @runs = (@stable, $volatile, $moody, $doomed);

sub run_id { return numbered_id(1, $_[0]); }
my %run_of = map { run_id($_) => $_ } @runs;

# Options: clients; steps of each client's plan; seed; proxy => 1 where the clients
# call a proxy of shards: then they have functions alone, each call is a transaction,
# and what PT503 says of an outcome is that it is not known.
sub new
{
	my ($class, %option) = @_;
	my $self = bless {
		clients => $option{clients},
		steps => $option{steps},
		seed => $option{seed} // $ENV{AIRUN_SEED} // int(rand(1_000_000)),
		next => [ map { 0 } 1 .. $option{clients} ],	# where each client is in its plan
		rounds => 0,
		proxy => $option{proxy},
	}, $class;

	note("AIRUN_SEED=$self->{seed} replays the plans of these $self->{clients} clients");
	$self->{plans} = [ map { $self->plan($_) } 1 .. $self->{clients} ];
	$self->echo;
	$self->{histories} = [ map { [] } 1 .. $self->{clients} ];

	# Everything planned, by what it is known by
	for my $op (map { $_->{op} } map { @$_ } @{ $self->{plans} })
	{
		$self->{ops}{ $op->{id} } = $op;
		next if !$op->{start};
		$self->{tasks}{ $op->{start}{task} } = $op->{start};
		$self->{starts}{ $op->{start}{task} } = $op;
	}
	for my $op (values %{ $self->{ops} })
	{
		push @{ $self->{ends}{ $op->{end}{task} } }, $op if $op->{end};
	}
	return $self;
}

# Does this client work at REPEATABLE READ?
sub repeatable { my ($client) = @_; return $client % 4 == 0; }

#--- plans -----------------------------------------------------------------------

# What can be done, and how often it is
my %deeds = (
	append => 22, batch => 6, insert => 4, pair => 3, refused => 4, timed => 2,
	start => 12, go_on => 28, cancel => 2,
	star => 2, rename => 3, delete => 1, restore => 3, complete => 1, reopen => 3,
	read => 14, snapshot => 2, follow => 4, check => 1, again => 5);
my @urn = map { ($_) x $deeds{$_} } sort keys %deeds;

sub pick { return $_[ int(rand(@_)) ]; }
sub any_run { my $dice = rand(); return $dice < 0.76 ? pick(@stable) : $dice < 0.85 ? $volatile : $dice < 0.93 ? $moody : $doomed; }

# A message's JSON.  Its number n occurs once in the whole history.
sub message
{
	my ($n, $role, $content) = @_;

	return qq({"role": "$role", "content": "$content", "n": "$n"});
}

# The text of a task, as far as its piece number so many
sub text_to { my ($task, $pieces) = @_; return join '', map { "piece $_ of $task; " } 1 .. $pieces; }

# One client's plan: a list of {op, sql} where op is what it is for.  An op has
# messages => [{run, n, id, task, call}], that it appends, all or none, those of
# one call side by side; start => {task, run, messages}; end => {task, status,
# answer, tokens, micro}, micro being millionths of a dollar; progress => {task,
# to}.  nothing => 1 means that it comes to nothing; once => 1 that it cannot be
# repeated.
sub plan
{
	my ($self, $client) = @_;
	my (@plan, @open, $turns);

	# the seed and the client alone decide
	srand($self->{seed} * 1000 + $client);

	my $add = sub {
		my ($op, @sql) = @_;
		$op->{id} = "$client." . (1 + @plan);
		$op->{client} = $client;
		push @plan, { op => $op, sql => \@sql };
		# the answer was lost, so the same is called again
		push @plan, $plan[-1] if !$op->{once} && $op->{kind} ne 'read' && rand() < 0.06;
	};
	my $append = sub {
		my ($run, $n, %more) = @_;
		my $id = $more{once} ? 'NULL' : "'m$n'";
		return "SELECT 'M', seq FROM airun_append_message('@{[run_id($run)]}', '" . message($n, 'user', 'hello') . "', $id)";
	};

	while (@plan < $self->{steps})
	{
		my $deed = pick($self->{proxy} ? grep { !/^(insert|pair|refused|timed)$/ } @urn : @urn);
		my $run = any_run();
		my $uuid = run_id($run);
		my $n = "$client." . (1 + @plan);

		# one client deletes the doomed run, in the middle of its plan
		if ($client == 1 && !$self->{doom} && @plan > $self->{steps} / 2)
		{
			$self->{doom} = 1;
			$add->({ kind => 'doom', run => $doomed, once => 1 }, "SELECT 'D', airun_delete_run('@{[run_id($doomed)]}')");
		}
		elsif ($deed eq 'append')
		{
			# some without an id: they cannot be repeated
			my $once = rand() < 0.1;
			$add->({ kind => $deed, run => $run, once => $once, messages => [ { run => $run, n => $n, id => $once ? undef : "m$n" } ] },
				$append->($run, $n, once => $once));
		}
		elsif ($deed eq 'batch')
		{
			my @n = map { "$n.$_" } 1 .. 2 + int(rand(3));
			$add->({ kind => $deed, run => $run, messages => [ map { { run => $run, n => $_, id => "m$_" } } @n ] },
				"SELECT 'M', seq FROM airun_append_messages('$uuid', '[" . join(', ', map { message($_, 'user', 'hello') =~ s/\}$/, "id": "m$_"}/r } @n) . "]')");
		}
		elsif ($deed eq 'insert')
		{
			$add->({ kind => $deed, run => $run, once => 1, messages => [ { run => $run, n => $n, id => "m$n" } ] },
				"INSERT INTO ai_messages (run_id, message_id, message) VALUES ('$uuid', 'm$n', '" . message($n, 'user', 'hello') . "') RETURNING 'M', seq");
		}
		elsif ($deed eq 'pair')
		{
			# two runs in one transaction, always in the same order
			my ($a, $b) = sort { $a <=> $b } (pick(@stable), pick(@stable));
			$add->({ kind => $deed, run => $a, messages => [ { run => $a, n => "$n.1", id => "m$n.1", call => 1 }, { run => $b, n => "$n.2", id => "m$n.2", call => 2 } ] },
				'BEGIN', $append->($a, "$n.1"), 'SELECT pg_sleep(0.002)', $append->($b, "$n.2"), 'COMMIT');
		}
		elsif ($deed eq 'refused')
		{
			# a transaction that appends, and more, and then is rolled back or fails
			my $task = numbered_id(100 + $client, 1e6 + @plan);
			$add->({ kind => $deed, run => $run, nothing => 1, messages => [ map { { run => $run, n => "$n.$_", id => "m$n.$_" } } 1 .. 3 ],
					start => { task => $task, run => $run, messages => [], text => 'so far and on' }, end => { task => $task, status => 'completed', answer => "$n.3", tokens => 7, micro => 0 } },
				'BEGIN', $append->($run, "$n.1"),
				"SELECT airun_start_turn('$uuid', '" . message("$n.2", 'user', 'hello') . "', '$task') \\g /dev/null",
				"SELECT airun_stream_delta('$task', 'so far', 0) \\g /dev/null",
				"SELECT airun_finish_turn('$task', '" . message("$n.3", 'assistant', 'so far and on') . "', tokens_total => 7) \\g /dev/null",
				rand() < 0.5 ? 'ROLLBACK' : ('SELECT 1 / 0', 'COMMIT'));
		}
		elsif ($deed eq 'timed')
		{
			# a call that may or may not be cancelled in the middle; where it is the
			# COMMIT, the transaction still has to be ended
			$add->({ kind => $deed, run => $run, messages => [ { run => $run, n => $n, id => "m$n" } ] },
				'BEGIN', "SET LOCAL statement_timeout = '" . pick(1, 2, 5) . "ms'", $append->($run, $n), 'COMMIT', 'ROLLBACK');
		}
		elsif ($deed eq 'start' && @open < 3)
		{
			# with one message, several, or none, as a regeneration has
			my @n = map { "$n.$_" } 1 .. pick(0, 1, 1, 1, 2);
			my $task = numbered_id(100 + $client, ++$turns);
			my $messages = @n ? "'[" . join(', ', map { message($_, 'user', 'hello') } @n) . "]'" : 'NULL';
			push @open, { task => $task, run => $run, at => 0, pieces => 2 + int(rand(5)), delta => rand() < 0.5 };
			$add->({ kind => $deed, run => $run, messages => [ map { { run => $run, n => $_, task => $task } } @n ],
					start => { task => $task, run => $run, messages => \@n, text => text_to($task, $open[-1]{pieces}) } },
				"WITH t AS MATERIALIZED (SELECT airun_start_turn('$uuid', $messages, '$task', model_id => 'history-1') AS turn)"
				  . " SELECT 'M', m ->> 'seq' FROM t, json_array_elements(turn -> 'messages') AS m");
		}
		elsif ($deed eq 'go_on' && @open)
		{
			my $turn = pick(@open);
			my ($task, $at) = ($turn->{task}, $turn->{at});
			my ($in, $out) = (1 + int(rand(2000)), 1 + int(rand(500)));
			my $spent = "tokens_input => $in, tokens_output => $out";
			my %end = (task => $task, tokens => $in + $out, micro => 3 * $in + 15 * $out);
			my $dice = rand();

			if ($at < $turn->{pieces} && $dice < 0.75)
			{
				my $from = text_to($task, $at);
				my $to = text_to($task, ++$turn->{at});
				$add->({ kind => 'progress', run => $turn->{run}, progress => { task => $task, from => length $from, to => length $to, delta => $turn->{delta} } },
					"SELECT 'P', status, response_length FROM "
					  . ($turn->{delta} ? "airun_stream_delta('$task', '" . substr($to, length $from) . "', " . length($from) . ')' : "airun_update_task('$task', '$to')"));
				next;
			}
			@open = grep { $_ != $turn } @open;
			next if $dice > 0.97;	# it is never ended
			if ($dice > 0.90)
			{
				my $ending = pick('fail', 'cancel');
				$add->({ kind => $ending, run => $turn->{run}, end => { %end, status => { fail => 'error', cancel => 'cancelled' }->{$ending} } },
					"SELECT 'E', status FROM airun_${ending}_task('$task', " . ($ending eq 'fail' ? q('{"code": 500}', ) : '') . "$spent)");
			}
			else
			{
				my $text = text_to($task, $turn->{pieces});
				$add->({ kind => 'finish', run => $turn->{run}, messages => [ { run => $turn->{run}, n => "$n.a", task => $task } ],
						end => { %end, status => 'completed', answer => "$n.a" } },
					"WITH t AS MATERIALIZED (SELECT airun_finish_turn('$task', '" . message("$n.a", 'assistant', $text) . "', $spent) AS turn)"
					  . " SELECT 'M', m ->> 'seq' FROM t, json_array_elements(turn -> 'messages') AS m");
			}
		}
		elsif ($deed eq 'cancel')
		{
			# somebody else's task: it may not be there yet, or be over
			my $other = 1 + int(rand($self->{clients}));
			my $task = numbered_id(100 + $other, max(1, ($turns // 0) + pick(-1, 0, 0, 1)));
			next if $other == $client;
			$add->({ kind => 'cancel', foreign => 1, end => { task => $task, status => 'cancelled' } },
				"SELECT 'E', status FROM airun_cancel_task('$task')");
		}
		elsif ($deed eq 'follow')
		{
			my $other = rand() < 0.3 ? $client : 1 + int(rand($self->{clients}));
			my $task = numbered_id(100 + $other, max(1, ($turns // 0) - pick(0, 0, 1)));
			$add->({ kind => 'follow', foreign => 1 }, "SELECT 'S', '$task', position, generation, text FROM airun_stream_read('$task')");
		}
		elsif ($deed eq 'star')
		{
			$add->({ kind => $deed, run => $run }, "SELECT airun_star_run('$uuid', " . pick('true', 'false') . ') \\g /dev/null');
		}
		elsif ($deed eq 'rename')
		{
			$add->({ kind => $deed, run => $run, name => "name $n" }, "SELECT 'N', name FROM airun_update_run('$uuid', name => 'name $n')");
		}
		elsif ($deed eq 'delete' || $deed eq 'restore')
		{
			$add->({ kind => $deed, run => $volatile, once => 1 }, "SELECT 'D', airun_${deed}_run('@{[run_id($volatile)]}')");
		}
		elsif ($deed eq 'complete' || $deed eq 'reopen')
		{
			$add->({ kind => $deed, run => $moody },
				"SELECT airun_set_run_status('@{[run_id($moody)]}', '" . ($deed eq 'complete' ? 'completed' : 'active') . "') \\g /dev/null");
		}
		elsif ($deed eq 'read')
		{
			$add->({ kind => 'read', run => $run }, $self->reading($run));
		}
		elsif ($deed eq 'snapshot')
		{
			# two reads in one transaction; at REPEATABLE READ they see the same
			my $read = $self->reading($run);
			$add->({ kind => 'read', run => $run, same => repeatable($client) && !$self->{proxy} }, 'BEGIN', $read, 'SELECT pg_sleep(0.003)', $read, 'COMMIT');
		}
		elsif ($deed eq 'check')
		{
			$add->({ kind => 'check' }, "SELECT 'C', c.* FROM airun_check('$uuid') AS c");
		}
		elsif ($deed eq 'again')
		{
			# something done long ago is called once more
			my @old = grep { repeated($_->{op}) } @plan;
			push @plan, pick(@old) if @old;
		}
	}
	return \@plan;
}

# Whoever has no answer may call again over another connection while the first
# call is still under way: puts calls of others into each plan, at about the place
# that they have in theirs.
sub echo
{
	my ($self) = @_;
	my @own = map { [@$_] } @{ $self->{plans} };

	srand($self->{seed} * 1000);
	for my $client (0 .. $#own)
	{
		my @plan;
		for my $at (0 .. $#{ $own[$client] })
		{
			push @plan, $own[$client][$at];
			next if rand() > 0.15;
			my $item = $own[ int(rand(@own)) ][ max(0, $at + pick(-2 .. 2)) ];
			push @plan, $item if $item && repeated($item->{op});
		}
		$self->{plans}[$client] = \@plan;
	}
}

# Is an op one of those that are called again, later or by others?
sub repeated
{
	my ($op) = @_;
	return !$op->{once} && $op->{kind} =~ /^(append|batch|pair|start|finish|fail|cancel|progress)$/;
}

# A read of a run, one of several ways, each one statement, so of one moment:
#	R run message_count messages hash task_count tasks total_tokens tokens total_cost cost
# with '-' for what is not read.  The hash is of the messages' numbers in their
# order.
sub reading
{
	my ($self, $run) = @_;
	my $uuid = run_id($run);

	return pick(grep { !$self->{proxy} || !/ FROM ai_/ }
		# the views
		"SELECT 'R', $run, r.message_count, m.count, m.hash, r.task_count, t.count, r.total_tokens, t.tokens, trim_scale(r.total_cost), trim_scale(t.cost)"
		  . " FROM ai_runs AS r, LATERAL (SELECT count(*), md5(string_agg(message ->> 'n', ',' ORDER BY seq)) AS hash FROM ai_messages WHERE run_id = r.id) AS m,"
		  . " LATERAL (SELECT count(*), COALESCE(sum(tokens_total), 0) AS tokens, COALESCE(sum(cost), 0) AS cost FROM ai_tasks WHERE run_id = r.id) AS t WHERE r.id = '$uuid'",
		# the run as one JSON value
		"SELECT 'R', $run, j ->> 'message_count', m.count, m.hash, j ->> 'task_count', t.count, j ->> 'total_tokens', t.tokens, trim_scale((j ->> 'total_cost')::numeric), trim_scale(t.cost)"
		  . " FROM airun_get_run('$uuid') AS j, LATERAL (SELECT count(*), md5(string_agg(x ->> 'n', ',' ORDER BY i)) AS hash FROM json_array_elements(j -> 'messages') WITH ORDINALITY AS e (x, i)) AS m,"
		  . " LATERAL (SELECT count(*), COALESCE(sum((x ->> 'tokens_total')::bigint), 0) AS tokens, COALESCE(sum((x ->> 'cost')::numeric), 0) AS cost FROM json_array_elements(j -> 'tasks') AS x) AS t",
		# the array of the view, with the counter of the same row
		"SELECT 'R', $run, message_count, jsonb_array_length(messages), (SELECT md5(string_agg(x ->> 'n', ',' ORDER BY i)) FROM jsonb_array_elements(messages) WITH ORDINALITY AS e (x, i)), '-', '-', '-', '-', '-', '-'"
		  . " FROM (SELECT message_count, messages FROM ai_runs WHERE id = '$uuid' OFFSET 0) AS r",
		# the array alone
		"SELECT 'R', $run, '-', json_array_length(j), (SELECT md5(string_agg(x ->> 'n', ',' ORDER BY i)) FROM json_array_elements(j) WITH ORDINALITY AS e (x, i)), '-', '-', '-', '-', '-', '-' FROM airun_messages('$uuid') AS j",
		# the sidebar
		"SELECT 'R', id, message_count, '-', '-', '-', '-', '-', '-', '-', '-' FROM airun_list_runs()",
		# the newest only: T run numbers
		"SELECT 'T', $run, string_agg(x ->> 'n', ',' ORDER BY i) FROM json_array_elements(airun_messages('$uuid', max_messages => 12, from_end => true)) WITH ORDINALITY AS e (x, i)");
}

#--- the load --------------------------------------------------------------------

# Makes the shared runs, and an ordinary role for the clients.  Through a proxy, in
# this database, the runs belong to these users in turn, and the clients to a service.
sub prepare
{
	my ($self, $node, $database, @users) = @_;

	$self->{database} = $database // 'postgres';
	if (@users)
	{
		$node->safe_psql($database, 'SET ROLE client;' . join '', map { "SELECT airun_create_run(id => '@{[run_id($_)]}', user_id => '$users[$_ % @users]');\n" } @runs);
		return;
	}
	$node->safe_psql('postgres', <<"SQL" . join '', map { "SELECT airun_create_run(id => '@{[run_id($_)]}');\n" } @runs);
CREATE ROLE client LOGIN;
ALTER ROLE client SET airun.user_id = '10000000-0000-4000-8000-000000000001';
SELECT airun_grant('client');
SELECT airun_set_price('history-1', '{"input": 3, "output": 15}', per_tokens => 1000000, effective_from => '2020-01-01') \\g /dev/null
SET airun.user_id = '10000000-0000-4000-8000-000000000001';
SQL
}

# The psql script of a client, from where it is in its plan to the end.
# Lines of its output that are not rows: "> item" before an item is sent,
# "< SQLSTATE" after each of its statements, "." when all is answered.  An
# SQLSTATE that is empty is libpq's: a server that crashes says so and hangs up; a
# psql that was just between two statements cannot send the next one, reads what
# was said, takes the connection to be still there, and goes on.
sub script
{
	my ($self, $client) = @_;
	my $plan = $self->{plans}[ $client - 1 ];
	my $level = repeatable($client) ? 'repeatable read' : 'read committed';
	my $script = <<"END";
\\set VERBOSITY sqlstate
SET default_transaction_isolation = '$level';
SELECT pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1) \\g /dev/null
END

	for my $item ($self->{next}[ $client - 1 ] .. $#$plan)
	{
		my $try = "\\set failed false\n\\echo > $item\n";
		for my $sql (@{ $plan->[$item]{sql} })
		{
			$try .= ($sql =~ /\\g/ ? $sql : "$sql;") . "\n\\echo < :SQLSTATE\n\\if :ERROR\n\\set failed true\n\\endif\n";
		}
		$try .= "\\echo .\n";
		$script .= $try;
		# where 40001 is the rule, everybody tries again
		$script .= "\\if :failed\n$try\\endif\n" x 2 if repeatable($client) && !$plan->[$item]{op}{nothing};
	}
	return $script . "\\echo end\n";
}

# Lets all clients go on with their plans at once, and adds what they got to
# their histories.  Options: disturb => what to do in the middle, as soon as they
# have written so many bytes => of answers; seconds => how long it may take.
# Returns how many clients were cut off.
sub load
{
	my ($self, $node, %option) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $timer = IPC::Run::timeout($option{seconds} // 300);
	my $gate = $node->background_psql($self->{database});
	my @clients = 1 .. $self->{clients};
	my (@psql, $cut);

	ask($gate, 'SELECT pg_advisory_lock(1)');
	for my $client (@clients)
	{
		append_to_file("$dir/$client.sql", $self->script($client));
		push @psql,
		  IPC::Run::start(
			[ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr($self->{database}) . ' user=client application_name=history', '-f', "$dir/$client.sql" ],
			'<', '/dev/null', '>', "$dir/$client.out", '2>', "$dir/$client.err", $timer);
	}
	$node->poll_query_until('postgres', "SELECT count(*) = $self->{clients} FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
	  or die 'clients did not come';
	ask($gate, 'SELECT pg_advisory_unlock(1)');
	$gate->quit;
	if ($option{disturb})
	{
		# as soon as so much has been answered
		for (1 .. 60_000)
		{
			last if sum0(map { -s "$dir/$_.out" // 0 } @clients) >= $option{bytes};
			usleep(2_000);
		}
		$option{disturb}->();
	}
	IPC::Run::finish($_) for @psql;
	$self->{rounds}++;
	for my $client (@clients)
	{
		$cut++ if !$self->hear($client, slurp_file("$dir/$client.out"));
		unlink map { "$dir/$client.$_" } qw(sql out err);
	}
	return $cut // 0;
}

# Adds a client's output to its history: attempts at ops with the states and the
# rows of their statements, and whether the last answer came.  Returns whether
# the client came to the end of its script.
sub hear
{
	my ($self, $client, $output) = @_;
	my $plan = $self->{plans}[ $client - 1 ];
	my $history = $self->{histories}[ $client - 1 ];
	my ($attempt, $ended);

	for my $line (split /\n/, $output)
	{
		if ($line =~ /^> (\d+)$/)
		{
			$attempt = { op => $plan->[$1]{op}{id}, states => [], rows => [], answered => 0, round => $self->{rounds} };
			push @$history, $attempt;
			$self->{next}[ $client - 1 ] = $1;
		}
		elsif ($line =~ /^< (\w{5})$/) { push @{ $attempt->{states} }, $1; }
		# not sent any more: no answer, and nothing after it
		elsif ($line eq '< ') { last; }
		elsif ($line eq '.')
		{
			$attempt->{answered} = 1;
			$self->{next}[ $client - 1 ]++;
		}
		elsif ($line eq 'end') { $ended = 1; }
		elsif ($line ne '') { push @{ $attempt->{rows} }, [ split /\|/, $line, -1 ]; }
	}
	# what had no answer is called again, if it can be
	$self->{next}[ $client - 1 ]++
	  if $attempt && !$attempt->{answered} && $self->{ops}{ $attempt->{op} }{once};
	return $ended;
}

# What came of an attempt: acked, failed, or unknown where the answer is lost.
sub outcome
{
	my ($attempt) = @_;

	return 'unknown' if grep { $_ eq 'PT503' } @{ $attempt->{states} };
	return 'failed' if grep { $_ ne '00000' } @{ $attempt->{states} };
	return $attempt->{answered} ? 'acked' : 'unknown';
}

# How many operations there were, how many attempts at them, and how often each
# SQLSTATE came, XXXXX for none at all.
sub figures
{
	my ($self) = @_;
	my (%ops, %states);
	my $attempts = 0;

	for my $attempt (map { @$_ } @{ $self->{histories} })
	{
		$attempts++;
		$ops{ $attempt->{op} } = 1;
		$states{ (grep { $_ ne '00000' } @{ $attempt->{states} })[0] // ($attempt->{answered} ? '00000' : 'no answer') }++;
	}
	return (scalar keys %ops, $attempts, \%states);
}

# Everything that is in the store: messages in order, tasks, runs.  Deleted runs
# are restored for the moment, so that all is seen through the views.  Given stores,
# pairs of node and database, it is what all of them have.
sub state
{
	my ($self, $node, @stores) = @_;
	my %state = (messages => { map { $_ => [] } @runs }, tasks => {}, runs => {});

	@stores = ([ $node, 'postgres' ]) if !@stores;
	for my $line (map { split /\n/, $_->[0]->safe_psql($_->[1], <<"SQL") } @stores)
BEGIN;
\\o /dev/null
SELECT airun_restore_run(id) FROM airun.runs WHERE id IN ('@{[run_id($volatile)]}', '@{[run_id($doomed)]}');
\\o
SELECT 'M', run_id, seq, message ->> 'n', message_id, task_id FROM ai_messages ORDER BY run_id, seq;
SELECT 'T', run_id, task_id, status, tokens_total, (cost * 1000000)::bigint, response_text FROM ai_tasks;
SELECT 'G', task_id, generation FROM airun.tasks WHERE generation <> 0;
SELECT 'R', id, name, message_count, task_count, total_tokens FROM ai_runs;
ROLLBACK;
SQL
	{
		my ($what, @value) = split /\|/, $line, -1;
		if ($what eq 'M') { push @{ $state{messages}{ $run_of{ $value[0] } } }, { seq => $value[1], n => $value[2], id => $value[3], task => $value[4] }; }
		elsif ($what eq 'T') { $state{tasks}{ $value[1] } = { run => $run_of{ $value[0] }, status => $value[2], tokens => $value[3], micro => $value[4], text => $value[5] }; }
		elsif ($what eq 'G') { $state{tasks}{ $value[0] }{generation} = $value[1]; }
		else { $state{runs}{ $run_of{ $value[0] } } = { name => $value[1], message_count => $value[2], task_count => $value[3], total_tokens => $value[4] }; }
	}
	return \%state;
}

#--- the checker -----------------------------------------------------------------

# Everything that cannot be: a list of sentences.
sub violations
{
	my ($self, $state) = @_;
	my $known = { %$self, state => $state, bad => [], place => {}, hashes => {}, outcome => {} };

	bless $known, ref $self;
	$known->see_order;
	$known->see_outcomes;
	$known->see_messages($_) for map { $self->{ops}{$_} } sort keys %{ $self->{ops} };
	$known->see_task($_) for sort keys %{ $self->{tasks} };
	$known->see_strangers;
	$known->see_names;
	$known->see_history($_) for 1 .. $self->{clients};
	return @{ $known->{bad} };
}

# The same as one text, '' where there are none, shortened where there are many.
sub verdict
{
	my ($self, $state) = @_;
	my @found = $self->violations($state);
	my $more = @found - 20;

	splice(@found, 20, $more, "and $more more") if $more > 0;
	return join("\n", @found);
}

sub bad
{
	my ($self, $where, $what) = @_;

	if (ref $where)
	{
		my $run = $where->{run} ? " in run $where->{run}" : '';
		$where = "op $where->{id} ($where->{kind}$run)";
	}
	push @{ $self->{bad} }, "$where: $what";
}

# The final order: where each message is, and the hash of each beginning.
sub see_order
{
	my ($self) = @_;

	for my $run (@runs)
	{
		my $md5 = Digest::MD5->new;
		my $count = 0;

		$self->{hashes}{$run} = [''];
		for my $message (@{ $self->{state}{messages}{$run} })
		{
			my $n = $message->{n};
			$count++;
			$self->bad("run $run", "place $count has seq $message->{seq}") if $message->{seq} != $count;
			$self->bad("run $run", "message $n is there twice") if $self->{place}{$n};
			$self->{place}{$n} = { %$message, run => $run };
			$md5->add($count == 1 ? $n : ",$n");
			push @{ $self->{hashes}{$run} }, $md5->clone->hexdigest;
		}
		$self->bad("run $run", 'is gone') if !$self->{state}{runs}{$run};
	}
}

# What came of each op: acked if any attempt was, else unknown if any was, else
# failed; unsent if there was none.
sub see_outcomes
{
	my ($self) = @_;
	my %rank = (unsent => 0, failed => 1, unknown => 2, acked => 3);

	$self->{outcome}{$_} = 'unsent' for keys %{ $self->{ops} };
	for my $attempt (map { @$_ } @{ $self->{histories} })
	{
		my $outcome = $self->{ops}{ $attempt->{op} }{nothing} ? 'failed' : outcome($attempt);
		my $old = \$self->{outcome}{ $attempt->{op} };
		$$old = $outcome if $rank{$outcome} > $rank{$$old};
	}
}

# An op's messages are all there, or none, as its outcome says, each as it was
# sent, those of one call side by side.
sub see_messages
{
	my ($self, $op) = @_;
	my @messages = @{ $op->{messages} // [] };
	my @there = grep { $self->{place}{ $_->{n} } } @messages;
	my $outcome = $self->{outcome}{ $op->{id} };
	my $last;

	return if !@messages;
	$self->bad($op, @there . ' of ' . @messages . ' messages are there') if @there && @there < @messages;
	$self->bad($op, 'is acknowledged, but lost') if $outcome eq 'acked' && !@there;
	$self->bad($op, "is there, though it is $outcome") if $outcome =~ /^(failed|unsent)$/ && @there;
	for my $message (@there)
	{
		my $place = $self->{place}{ $message->{n} };
		$self->bad($op, "message $message->{n} is in run $place->{run}") if $place->{run} != $message->{run};
		$self->bad($op, "message $message->{n} has id $place->{id}") if $place->{id} ne ($message->{id} // '');
		$self->bad($op, "message $message->{n} has task $place->{task}") if $place->{task} ne ($message->{task} // '');
		$self->bad($op, "between message $message->{n} and the one before there is another")
		  if $last && ($last->{call} // 0) == ($message->{call} // 0)
		  && $place->{seq} != $self->{place}{ $last->{n} }{seq} + 1;
		$last = $message;
	}
}

# A task is there with the messages that went in, has the one end that was
# acknowledged, with its tokens, its cost and its answer, and a text that is the
# beginning of what was to come, or all of it.
sub see_task
{
	my ($self, $id) = @_;
	my $plan = $self->{tasks}{$id};
	my $task = $self->{state}{tasks}{$id};
	my $start = $self->{starts}{$id};
	my $outcome = $self->{outcome}{ $start->{id} };
	my @ends = grep { !$_->{nothing} } @{ $self->{ends}{$id} // [] };

	$self->bad($start, 'the task is ' . ($task ? 'there' : 'not there') . ', but not so its messages')
	  if grep { !$task != !$self->{place}{$_} } @{ $plan->{messages} };
	$self->bad($start, "is acknowledged, but the task is lost") if $outcome eq 'acked' && !$task;
	$self->bad($start, "the task is there, though it is $outcome") if $outcome =~ /^(failed|unsent)$/ && $task;
	return if !$task;

	$self->bad($start, "the task is in run $task->{run}") if $task->{run} != $plan->{run};
	$self->bad($start, "the task's text is at generation $task->{generation}") if $task->{generation};
	$self->bad($start, "the task's text is not the beginning of what was sent: $task->{text}")
	  if substr($plan->{text}, 0, length $task->{text}) ne $task->{text};

	# which end it has: whatever was acknowledged, else what may have been
	my %acked = map { $_->{end}{status} => 1 } grep { $self->{outcome}{ $_->{id} } eq 'acked' } @ends;
	my %unknown = map { $_->{end}{status} => 1 } grep { $self->{outcome}{ $_->{id} } eq 'unknown' } @ends;
	my $status = $task->{status} =~ /^(pending|streaming)$/ ? 'open' : $task->{status};
	$self->bad($start, 'the task has ended as ' . join(' and as ', sort keys %acked)) if keys %acked > 1;
	$self->bad($start, "the task is $status, but it was ended as " . join(' ', keys %acked)) if %acked && !$acked{$status};
	$self->bad($start, "the task is $status, but nobody ended it so") if !%acked && $status ne 'open' && !$unknown{$status};

	# an end is whole: one of the ends with this status has these figures
	my @fit = grep {
		$_->{end}{status} eq $status && $self->{outcome}{ $_->{id} } =~ /^(acked|unknown)$/
		  && ($_->{end}{tokens} // '') eq $task->{tokens} && ($_->{end}{micro} // '') eq $task->{micro}
	} @ends;
	$self->bad($start, "the task is $status with $task->{tokens} tokens for $task->{micro}") if $status ne 'open' && !@fit;
	$self->bad($start, "the task is open with $task->{tokens} tokens for $task->{micro}") if $status eq 'open' && "$task->{tokens}$task->{micro}" ne '';
	for my $end (grep { $_->{end}{answer} } @ends)
	{
		$self->bad($end, "the task is $status, and its answer is " . ($self->{place}{ $end->{end}{answer} } ? '' : 'not ') . 'there')
		  if ($status eq 'completed') != !!$self->{place}{ $end->{end}{answer} };
	}
	$self->bad($start, 'the task is completed, but its text is not') if $status eq 'completed' && $task->{text} ne $plan->{text};
}

# Nothing is there that nobody planned, and the totals are those of the rows.
sub see_strangers
{
	my ($self) = @_;
	my %planned = map { $_->{n} => 1 } map { @{ $_->{messages} // [] } } values %{ $self->{ops} };
	my (%tasks, %tokens);

	$self->bad("message $_", 'came from nowhere') for grep { !$planned{$_} } sort keys %{ $self->{place} };
	for my $id (sort keys %{ $self->{state}{tasks} })
	{
		my $task = $self->{state}{tasks}{$id};
		$self->bad("task $id", 'came from nowhere') if !$self->{tasks}{$id};
		$tasks{ $task->{run} }++;
		$tokens{ $task->{run} } += $task->{tokens} || 0;
	}
	for my $run (sort keys %{ $self->{state}{runs} })
	{
		my $row = $self->{state}{runs}{$run};
		my $want = join ', ', scalar @{ $self->{state}{messages}{$run} }, $tasks{$run} // 0, $tokens{$run} // 0;
		my $have = join ', ', @$row{qw(message_count task_count total_tokens)};
		$self->bad("run $run", "counts $have instead of $want") if $have ne $want;
	}
}

# A run's name is one that a client gave it last.
sub see_names
{
	my ($self) = @_;

	for my $run (keys %{ $self->{state}{runs} })
	{
		my (%may, $named);

		for my $history (@{ $self->{histories} })
		{
			my %here;
			for my $attempt (@$history)
			{
				my $op = $self->{ops}{ $attempt->{op} };
				next if !$op->{name} || $op->{run} != $run || outcome($attempt) eq 'failed';
				%here = () if outcome($attempt) eq 'acked';
				$here{ $op->{name} } = 1;
				$named ||= outcome($attempt) eq 'acked';
			}
			%may = (%may, %here);
		}
		my $name = $self->{state}{runs}{$run}{name};
		$self->bad("run $run", "has the name '$name', which nobody gave it last") if $named ? !$may{$name} : $name =~ /^name / && !$may{$name};
	}
}

# May this SQLSTATE come of this attempt?
sub allowed
{
	my ($self, $client, $op, $state, $started) = @_;
	my $run = $op->{run} // 0;
	my $task = $op->{progress} ? $op->{progress}{task} : $op->{end} ? $op->{end}{task} : undef;

	return repeatable($client) if $state eq '40001';
	return $self->{proxy} if $state eq 'PT503';
	return $op->{kind} eq 'timed' if $state eq '57014';
	return $op->{kind} eq 'refused' if $state eq '22012';
	# there is no such run for the moment, or any more, or no such task yet
	return $run == $volatile || $run == $doomed || $op->{foreign} || ($task && !$started->{$task})
	  if $state eq 'PT404';
	if ($state eq 'PT409')
	{
		# completed runs take nothing new; of two ends, one wins; a piece is missing
		return 1 if $run == $moody && $op->{kind} =~ /^(append|batch|insert|refused|timed|start)$/;
		return 1 if $op->{end} && grep { $_ != $op } @{ $self->{ends}{$task} };
		return $op->{progress} && $op->{progress}{delta};
	}
	return 0;
}

# One client's history: errors are those that may come; what it is told is true;
# what it reads is the beginning of the final order, holds all that it was told
# before, and never less than it has read before.
sub see_history
{
	my ($self, $client) = @_;
	my (%seen, %text, %started, %told, $doomed_is_gone);

	for my $attempt (@{ $self->{histories}[ $client - 1 ] })
	{
		my $op = $self->{ops}{ $attempt->{op} };
		my $outcome = outcome($attempt);
		my @failed = grep { $_ ne '00000' } @{ $attempt->{states} };
		my (%own, @reads);

		# only the first failure of an attempt tells something
		$self->bad($op, "client $client got $failed[0]") if @failed && !$self->allowed($client, $op, $failed[0], \%started);
		$self->bad($op, "client $client got $_ after $failed[0]") for grep { $_ ne '25P02' } @failed[ 1 .. $#failed ];

		# once gone, gone; but a task that has begun ends all the same, with its message
		if (($op->{run} // 0) == $doomed)
		{
			$self->bad($op, 'is acknowledged in a run that is deleted')
			  if $doomed_is_gone && $outcome eq 'acked' && $op->{messages} && !$op->{nothing} && $op->{kind} ne 'finish';
			$doomed_is_gone = 1 if $op->{kind} eq 'doom' && $outcome ne 'unknown';
			$doomed_is_gone = 1 if $op->{kind} =~ /^(append|batch|insert|timed|start)$/ && @failed && $failed[0] eq 'PT404';
		}

		# what an attempt that came to nothing has seen of itself does not count
		next if $op->{nothing} || $outcome ne 'acked' && $op->{messages};

		my @seqs = map { $_->[1] } grep { $_->[0] eq 'M' } @{ $attempt->{rows} };
		for my $message ($outcome eq 'acked' ? @{ $op->{messages} // [] } : ())
		{
			my $place = $self->{place}{ $message->{n} };
			my $seq = shift @seqs;
			$self->bad($op, "message $message->{n} got no seq") if !defined $seq;
			next if !defined $seq || !$place;
			$self->bad($op, "message $message->{n} was said to be seq $seq, but is $place->{seq}") if $seq != $place->{seq};
			$own{ $message->{run} } = max($own{ $message->{run} } // 0, $place->{seq});
		}
		$self->bad($op, 'got more seqs than messages') if @seqs;

		for my $row (@{ $attempt->{rows} })
		{
			my ($what, @value) = @$row;
			push @reads, "@value" if $what =~ /^[RT]$/;
			if ($what eq 'R')
			{
				$value[0] = $run_of{ $value[0] } // $value[0];
				$self->see_read($op, \%seen, @value);
				$self->bad($op, 'is read, but deleted') if $value[0] == $doomed && $doomed_is_gone;
			}
			elsif ($what eq 'T')
			{
				my ($run, $list) = @value;
				my @n = split /,/, $list;
				my $last = @n ? $self->{place}{ $n[-1] } : undef;
				my $have = $last ? join(',', map { $_->{n} } @{ $self->{state}{messages}{$run} }[ max(0, $last->{seq} - @n) .. $last->{seq} - 1 ]) : '';
				$self->bad($op, "read $list, which is not so in the final order") if $list ne $have;
				$self->see_count($op, \%seen, $run, $last ? $last->{seq} : 0);
			}
			elsif ($what eq 'P')
			{
				my $to = $op->{progress}{to};
				my $task = $op->{progress}{task};
				next if $outcome ne 'acked' || $value[0] !~ /^(pending|streaming)$/;
				$self->bad($op, "the text is $value[1] long, not $to") if $value[1] < $to;
				$told{$task} = max($told{$task} // 0, $to);
			}
			elsif ($what eq 'S')
			{
				my ($task, $position, $generation, $text) = @value;
				my $plan = $self->{tasks}{$task};
				my $before = $text{$task} // 0;
				$self->bad($op, "follows task $task, which nobody planned") if !$plan;
				next if !$plan;
				$self->bad($op, "read '$text' of $task at $position, generation $generation")
				  if $generation || $position != length $text || substr($plan->{text}, 0, length $text) ne $text;
				$self->bad($op, "read $position characters of $task, and before $before") if $position < $before;
				$self->bad($op, "read $position characters of $task, of which $told{$task} are acknowledged") if $position < ($told{$task} // 0);
				$text{$task} = $position;
			}
			elsif ($what eq 'E') { $self->bad($op, "has ended it as $value[0]") if $value[0] ne $op->{end}{status}; }
			elsif ($what eq 'N') { $self->bad($op, "is told the name $value[0]") if $value[0] ne $op->{name}; }
			elsif ($what eq 'C') { $self->bad($op, "airun_check() found: @value"); }
		}
		$self->bad($op, 'read nothing')
		  if $op->{kind} eq 'read' && $outcome eq 'acked' && $op->{run} <= $stable[-1] && !grep { $_->[0] =~ /^[RT]$/ } @{ $attempt->{rows} };
		if ($op->{same} && $outcome eq 'acked')
		{
			my @second = splice(@reads, @reads / 2);
			$self->bad($op, "two reads in one snapshot differ: @reads; @second") if "@reads" ne "@second";
		}
		next if $outcome ne 'acked';
		$seen{$_} = max($seen{$_} // 0, $own{$_}) for keys %own;
		$started{ $op->{start}{task} } = 1 if $op->{start};
	}

	# progress that was acknowledged is there
	for my $task (keys %told)
	{
		my $text = ($self->{state}{tasks}{$task} // {})->{text} // '';
		$self->bad("task $task", 'has a text of ' . length($text) . " characters, of which $told{$task} are acknowledged") if length $text < $told{$task};
	}
}

# A read of a run: the beginning of the final order, and totals that are the
# sums of what was read with them.
sub see_read
{
	my ($self, $op, $seen, $run, $message_count, $messages, $hash, $task_count, $tasks, $total_tokens, $tokens, $total_cost, $cost) = @_;

	$self->bad($op, "read message_count $message_count and $messages messages") if $messages ne '-' && $message_count ne '-' && $messages != $message_count;
	$self->bad($op, "read task_count $task_count and $tasks tasks") if $task_count ne $tasks;
	$self->bad($op, "read total_tokens $total_tokens and tasks with $tokens") if $total_tokens ne $tokens;
	$self->bad($op, "read total_cost $total_cost and tasks for $cost") if $total_cost ne $cost;
	$self->bad($op, "read $messages messages that are not the first of the final order")
	  if $messages ne '-' && ($self->{hashes}{$run}[$messages] // 'none') ne $hash;
	$self->see_count($op, $seen, $run, $messages ne '-' ? $messages : $message_count);
}

# No read has less than the reads and the acknowledgements before it.
sub see_count
{
	my ($self, $op, $seen, $run, $count) = @_;

	$self->bad($op, "read $count messages of run $run, and had $seen->{$run} before") if $count < ($seen->{$run} // 0);
	$self->bad($op, "read $count messages of run $run, which has fewer") if $count > @{ $self->{state}{messages}{$run} };
	$seen->{$run} = $count;
}

1;
