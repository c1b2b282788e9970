# Usages that nobody would send: those of every shape, with parts renamed,
# nested, dropped, contradicted, inflated and made what is no number.  No ending
# is ever refused for them, what was sent is kept, and what is priced costs what
# a reader of our own, here, makes of it; where that finds a contradiction, or
# something that it does not know, it is not called priced.

use strict;
use warnings;

use AirunTest;
use JSON::PP;
use Test::More;

my $count = quick_or_long(10_000, 200_000);
my $batch = 1000;
my $seed = $ENV{AIRUN_SEED} // 20260101;
srand($seed);
note("seed $seed");

my $node = airun_node('usage');
sub sql { return $node->safe_psql('postgres', $_[0]); }

# Prices of which every sum tells its parts
my %rate = (fresh => 2, read => 3, write => 5, text => 7, reasoning => 11);
sql(<<"SQL");
SELECT airun_set_price('m', '{"input": 2, "cache_read": 3, "cache_write_5m": 5, "output": 7, "reasoning": 11}', effective_from => '2020-01-01');
CREATE TABLE sent (i int PRIMARY KEY, way int, provider text, usage jsonb);
CREATE TABLE answers (i int, refused text, status text, price_status text, cost numeric, kept boolean, told boolean);
CREATE FUNCTION try_all(run uuid) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	s record;
	id uuid;
	problem text;
BEGIN
	FOR s IN SELECT * FROM sent LOOP
		problem := NULL;
		id := (airun_create_task(run, provider => s.provider, model_id => 'm')).task_id;
		BEGIN
			CASE s.way
				WHEN 0 THEN PERFORM airun_complete_task(id, usage => s.usage);
				WHEN 1 THEN PERFORM airun_fail_task(id, usage => s.usage);
				WHEN 2 THEN PERFORM airun_cancel_task(id, usage => s.usage);
				WHEN 3 THEN PERFORM airun_finish_turn(id, '{"role": "assistant", "content": "x"}', usage => s.usage);
				WHEN 4 THEN UPDATE ai_tasks SET status = 'completed', usage = s.usage WHERE task_id = id;
				WHEN 5 THEN UPDATE airun.tasks SET status = 'completed', usage = s.usage WHERE task_id = id;
				ELSE
					INSERT INTO ai_tasks (run_id, provider, model_id, status, usage) VALUES (run, s.provider, 'm', 'completed', s.usage) RETURNING task_id INTO id;
			END CASE;
		EXCEPTION WHEN OTHERS THEN
			problem := SQLSTATE || ' ' || SQLERRM;
		END;
		INSERT INTO answers SELECT s.i, problem, t.status, t.price_status, t.cost, t.usage = s.usage,
			t.price_status <> 'doubtful' OR jsonb_array_length(t.cost_details -> 'doubts') > 0
		FROM airun.tasks AS t WHERE t.run_id = run AND t.task_id = id;
	END LOOP;
END\$\$;
SQL

#--- shapes ------------------------------------------------------------------------

# Where a shape has its parts.  apart: cached tokens, thoughts, lie beside the others.
my @shapes = (
	{ name => 'chat', by_total => 1, paths => { in => 'prompt_tokens', out => 'completion_tokens', total => 'total_tokens', read => 'prompt_tokens_details/cached_tokens',
		write => 'prompt_tokens_details/cache_write_tokens', reasoning => 'completion_tokens_details/reasoning_tokens' } },
	{ name => 'responses', paths => { in => 'input_tokens', out => 'output_tokens', total => 'total_tokens', read => 'input_tokens_details/cached_tokens',
		write => 'input_tokens_details/cache_write_tokens', reasoning => 'output_tokens_details/reasoning_tokens' } },
	{ name => 'anthropic', apart => 1, paths => { in => 'input_tokens', out => 'output_tokens', read => 'cache_read_input_tokens', write => 'cache_creation_input_tokens',
		reasoning => 'output_tokens_details/thinking_tokens' } },
	{ name => 'codex', paths => { in => 'input_tokens', out => 'output_tokens', total => 'total_tokens', read => 'cached_input_tokens', write => 'cache_write_input_tokens', reasoning => 'reasoning_output_tokens' } },
	{ name => 'langchain', paths => { in => 'input_tokens', out => 'output_tokens', total => 'total_tokens', read => 'input_token_details/cache_read', write => 'input_token_details/cache_creation',
		reasoning => 'output_token_details/reasoning' } },
	{ name => 'gemini', thoughts_apart => 1, paths => { in => 'promptTokenCount', out => 'candidatesTokenCount', total => 'totalTokenCount', read => 'cachedContentTokenCount', reasoning => 'thoughtsTokenCount' } },
	{ name => 'gemini python', thoughts_apart => 1, paths => { in => 'prompt_token_count', out => 'candidates_token_count', total => 'total_token_count', read => 'cached_content_token_count', reasoning => 'thoughts_token_count' } },
	{ name => 'ai sdk', paths => { in => 'inputTokens', out => 'outputTokens', total => 'totalTokens', read => 'inputTokenDetails/cacheReadTokens', write => 'inputTokenDetails/cacheWriteTokens',
		fresh => 'inputTokenDetails/noCacheTokens', text => 'outputTokenDetails/textTokens', reasoning => 'outputTokenDetails/reasoningTokens' } },
	{ name => 'ai sdk parts', paths => { in => 'inputTokens/total', out => 'outputTokens/total', read => 'inputTokens/cacheRead', write => 'inputTokens/cacheWrite', fresh => 'inputTokens/noCache',
		text => 'outputTokens/text', reasoning => 'outputTokens/reasoning' } },
	{ name => 'bedrock', apart => 1, paths => { in => 'inputTokens', out => 'outputTokens', total => 'totalTokens', read => 'cacheReadInputTokens', write => 'cacheWriteInputTokens' } },
	{ name => 'opencode', apart => 1, thoughts_apart => 1, paths => { in => 'input', out => 'output', total => 'total', read => 'cache/read', write => 'cache/write', reasoning => 'reasoning' } },
	{ name => 'pi', apart => 1, paths => { in => 'input', out => 'output', total => 'totalTokens', read => 'cacheRead', write => 'cacheWrite' } },
	{ name => 'otel', paths => { in => 'gen_ai.usage.input_tokens', out => 'gen_ai.usage.output_tokens', read => 'gen_ai.usage.cache_read.input_tokens', write => 'gen_ai.usage.cache_creation.input_tokens',
		reasoning => 'gen_ai.usage.reasoning.output_tokens' } },
	{ name => 'openinference', paths => { in => 'llm.token_count.prompt', out => 'llm.token_count.completion', total => 'llm.token_count.total', read => 'llm.token_count.prompt_details.cache_read',
		write => 'llm.token_count.prompt_details.cache_write', reasoning => 'llm.token_count.completion_details.reasoning' } },
	{ name => 'cohere', paths => { in => 'billed_units/input_tokens', out => 'billed_units/output_tokens' } },
	{ name => 'ollama', paths => { in => 'prompt_eval_count', out => 'eval_count' } });

sub number { my ($max) = @_; return int(rand(rand() < 0.2 ? 3 : $max)); }

sub put
{
	my ($usage, $path, $value) = @_;
	my @keys = split m{/}, $path;
	my $last = pop @keys;
	$usage = $usage->{$_} //= {} for @keys;
	$usage->{$last} = $value;
}

# A usage as it should be
sub honest
{
	my ($shape) = @_;
	my %p = (fresh => number(5000), read => number(3000), write => number(500), text => number(900), reasoning => number(400));
	my $paths = $shape->{paths};
	$p{$_} = $paths->{$_} ? $p{$_} : 0 for qw(read write reasoning);
	$p{in} = $p{fresh} + ($shape->{apart} ? 0 : $p{read} + $p{write});
	$p{out} = $p{text} + ($shape->{thoughts_apart} ? 0 : $p{reasoning});
	$p{total} = $p{fresh} + $p{read} + $p{write} + $p{text} + $p{reasoning};
	my $usage = {};
	put($usage, $paths->{$_}, $p{$_}) for sort keys %$paths;
	return $usage;
}

# A value that is a string in JSON, whatever it looks like
sub text { my ($string) = @_; return bless { string => "$string" }, 'Text'; }

#--- damage --------------------------------------------------------------------------

# All values that are no objects, as [object, key]
sub leaves
{
	my ($object) = @_;
	return map { ref $object->{$_} eq 'HASH' ? leaves($object->{$_}) : [ $object, $_ ] } sort keys %$object;
}

my @damages = (
	sub { my ($o, $k) = @_; $o->{"${k}_v2"} = delete $o->{$k}; },
	sub { my ($o, $k) = @_; $o->{$k} = { value => $o->{$k} }; },
	sub { my ($o, $k) = @_; delete $o->{$k}; },
	sub { my ($o, $k) = @_; $o->{$k} = number(9000); },
	sub { my ($o, $k) = @_; $o->{$k} = ($o->{$k} || 1) * (2 + int(rand(1000))) if !ref $o->{$k} && ($o->{$k} // 'x') =~ /^\d+$/; },
	sub { my ($o, $k) = @_; $o->{$k} = (undef, text($o->{$k} // ''), text('many'), -5, 1.5, [], [3], JSON::PP::true, {}, \'1e400')[ int(rand(10)) ] if !ref $o->{$k}; });

sub damage
{
	my ($usage) = @_;
	my @leaves = leaves($usage) or return $usage;
	my $leaf = $leaves[ int(rand(@leaves)) ];
	$damages[ int(rand(@damages)) ]->(@$leaf);
	return rand() < 0.03 ? { vendor => { figures => $usage } } : $usage;
}

my $json = JSON::PP->new->canonical->allow_nonref;
sub as_json
{
	my ($value) = @_;
	return 'null' if !defined $value;
	return $json->encode("$value->{string}") if ref $value eq 'Text';
	return $$value if ref $value eq 'SCALAR';
	return '{' . join(', ', map { $json->encode("$_") . ': ' . as_json($value->{$_}) } sort keys %$value) . '}' if ref $value eq 'HASH';
	return '[' . join(', ', map { as_json($_) } @$value) . ']' if ref $value eq 'ARRAY';
	return ref $value ? 'true' : $value;
}

#--- a reader of our own ---------------------------------------------------------------

# What a usage costs; or undef where it contradicts itself, or says what this does not know
sub cost_of
{
	my ($shape, $usage) = @_;
	my %part_of = map { ($shape->{paths}{$_} => $_) } keys %{ $shape->{paths} };
	my %p;
	my @left = ([ '', $usage ]);
	while (my $next = shift @left)
	{
		my ($path, $value) = @$next;
		if (ref $value eq 'HASH')
		{
			push @left, map { [ $path eq '' ? $_ : "$path/$_", $value->{$_} ] } sort keys %$value;
			next;
		}
		next if !defined $value || (ref $value eq 'ARRAY' && !@$value);
		$value = $value->{string} if ref $value eq 'Text';
		my $part = $part_of{$path};
		my $is_count = !ref $value && $value =~ /^\d+$/;
		# what is no number says nothing, where nobody knows what it is
		next if !$part && ($is_count ? $value == 0 : ref $value ? ref($value) !~ /^(ARRAY|SCALAR)$/ : $value !~ /^-?[\d.]+$/);
		return undef if !$part || !$is_count;
		$p{$part} = $value;
	}
	my ($read, $write, $reasoning) = map { $_ // 0 } @p{qw(read write reasoning)};
	$p{in} //= $p{fresh} + $read + $write if defined $p{fresh};
	$p{out} //= $p{text} + $reasoning if defined $p{text};
	if (defined $p{total} && defined($p{in}) + defined($p{out}) < 2)
	{
		# where the total is that of the parts that are there, there are no others
		$p{in} //= $shape->{apart} ? 0 : $read + $write;
		$p{out} //= $shape->{thoughts_apart} ? 0 : $reasoning;
		my $sum = $p{in} + $p{out} + ($shape->{apart} ? $read + $write : 0) + ($shape->{thoughts_apart} ? $reasoning : 0);
		return undef if $p{total} != $sum;
	}
	return undef if !defined $p{in} || !defined $p{out};
	my $thoughts_apart = $shape->{thoughts_apart};
	if ($shape->{by_total} && defined $p{total} && $p{total} != $p{in} + $p{out} && $p{total} == $p{in} + $p{out} + $reasoning)
	{
		$thoughts_apart = 1;
	}
	my $all_in = $p{in} + ($shape->{apart} ? $read + $write : 0);
	my $all_out = $p{out} + ($thoughts_apart ? $reasoning : 0);
	return undef if $read + $write > $all_in || $reasoning > $all_out;
	return undef if defined $p{fresh} && $p{fresh} != $all_in - $read - $write;
	return undef if defined $p{text} && $p{text} != $all_out - $reasoning;
	if (defined $p{total} && $p{total} != $all_in + $all_out)
	{
		# who counts the cache apart may leave it out of the total
		return undef if !$shape->{apart} || $p{total} != $p{in} + $all_out;
	}
	return ($all_in - $read - $write) * $rate{fresh} + $read * $rate{read} + $write * $rate{write} +
	  ($all_out - $reasoning) * $rate{text} + $reasoning * $rate{reasoning};
}

#--- the comparison ---------------------------------------------------------------------

my ($refused, $lost, $wrong, $silent, $missed) = (0, 0, 0, 0, 0);
my ($priced, $doubtful, $honest) = (0, 0, 0);
my @shown;
for (my $from = 0; $from < $count; $from += $batch)
{
	my %sent;
	my @rows;
	for my $i ($from .. $from + $batch - 1)
	{
		my $shape = $shapes[ $i % @shapes ];
		my $usage = honest($shape);
		my $times = int(rand(4));
		$usage = damage($usage) for 1 .. $times;
		my $text = as_json($usage);
		$sent{$i} = [ $shape, $text, cost_of($shape, $usage), $times ];
		push @rows, sprintf('(%d, %d, NULL, $u$%s$u$)', $i, $i % 7, $text);
	}
	my $answers = sql("SET airun.user_id = 'usages'; TRUNCATE sent, answers; INSERT INTO sent VALUES " . join(",\n", @rows) .
		  '; SELECT try_all(id) FROM airun_create_run(); SELECT * FROM answers ORDER BY i');
	for my $line (grep { /^\d+\|/ } split /\n/, $answers)
	{
		my ($i, $error, $status, $price_status, $cost, $kept, $told) = split /\|/, $line, -1;
		my ($shape, $text, $expected, $times) = @{ delete $sent{$i} };
		my $problem;
		if ($error ne '') { $refused++; $problem = "refused: $error"; }
		elsif ($kept ne 't') { $lost++; $problem = 'not kept'; }
		elsif ($price_status eq 'priced')
		{
			$priced++;
			$problem = 'priced at ' . $cost . ', not ' . ($expected // 'in doubt') if !defined $expected || $cost != $expected;
			$wrong++ if $problem;
		}
		else
		{
			$doubtful++ if $price_status eq 'doubtful';
			if ($price_status eq 'doubtful' && $told ne 't') { $silent++; $problem = 'in doubt without a reason'; }
			if ($times == 0) { $missed++; $problem = "as it should be, and $price_status"; }
		}
		$honest++ if $times == 0;
		push @shown, "$shape->{name} $text: $problem" if $problem && @shown < 10;
	}
	$refused += keys %sent;
}
is($refused, 0, "of $count usages none stops an end");
is($lost, 0, 'all are kept as they were sent');
is($wrong, 0, "what is priced ($priced) costs what it should");
is($silent, 0, "what is in doubt ($doubtful) says why");
is($missed, 0, "what is as it should be ($honest) is priced");
cmp_ok($priced, '>', $count / 5, 'many are priced');
cmp_ok($doubtful, '>', $count / 5, 'many are in doubt');
diag($_) for @shown;
check_ok($node, 'afterwards');
proven('usages of all shapes, damaged', $count);

#--- a site's shape, in other sessions -----------------------------------------------------

sql(q{CREATE ROLE app LOGIN; SELECT airun_grant('app')});
my ($writer, $reader, $app) = map { my $s = $node->background_psql('postgres', on_error_stop => 0); ask($s, '\set VERBOSITY sqlstate'); $s } 1 .. 3;
my $read = q{SELECT airun_normalize_usage('{"acme": {"in": 5}}') ->> 'tokens_input'};
ask($app, 'SET ROLE app');
ask($reader, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
is(ask($_, $read), '', 'a shape that nobody knows') for $writer, $reader, $app;
ask($writer, q{BEGIN; INSERT INTO airun.usage_shapes (shape, known_by, paths) VALUES ('acme', '{acme.in}', '{"input": "acme.in"}')});
is(ask($writer, $read), 5, 'who adds it reads by it');
is(ask($_, $read), '', 'others do not yet, and do not wait') for $reader, $app;
ask($writer, 'COMMIT');
ask($reader, 'COMMIT');
is(ask($_, $read), 5, 'with the commit all do, an API role, too') for $writer, $reader, $app;
ask($writer, 'BEGIN; TRUNCATE airun.usage_shapes');
is(ask($writer, $read), '', 'who takes it away reads without it');
ask($writer, 'ROLLBACK');
is(ask($writer, $read), 5, 'unless that is rolled back');
is(ask($app, q{DELETE FROM airun.usage_shapes}), 'ERROR: 42501', 'an API role cannot change it');
ask($writer, 'DELETE FROM airun.usage_shapes');
is(ask($app, $read), '', 'and it is gone');
$_->quit for $writer, $reader, $app;

done_testing();
