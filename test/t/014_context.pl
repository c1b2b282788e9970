# airun_context(): for random conversations with tools, in the shapes of four
# providers, mixed and damaged, and for every budget, the result passes a checker of
# each provider's rules, or the budget is refused.  The checker follows facts/formats.md 9.
# The end of a long run is read, and not the run.

use strict;
use warnings;

use AirunTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = airun_node('context');
my $json = JSON::PP->new->canonical->allow_nonref;
my $conversations = quick_or_long(200, 2000);
my $budgets = quick_or_long(5, 24);
my %id = map { $_ => numbered_id(0x14000000, $_) } 0 .. $conversations;
srand(14);

#--- random conversations ------------------------------------------------------

my $calls = 0;

sub one_of { return $_[ int rand @_ ]; }
sub words { return join ' ', map { one_of(qw(sea island boat 港 wind Ωμέγα ferry)) } 1 .. 1 + int rand 30; }

# A step: calls in the shape, with their results, in any order; some lack results
sub step
{
	my ($shape) = @_;
	my @calls = map { { id => one_of("call $calls#", "c$calls", 'x' x 50 . $calls++), name => one_of('find', 'sail.to') } } 1 .. 1 + int rand 3;
	my @answered = sort { rand() <=> 0.5 } grep { rand() > 0.1 } @calls;
	my $text = rand() < 0.3 ? words() : undef;

	if ($shape eq 'openai')
	{
		return ({ role => 'assistant', content => $text, tool_calls => [ map { { id => $_->{id}, type => 'function', function => { name => $_->{name}, arguments => '{"a": 1}' } } } @calls ] },
			map { { role => 'tool', tool_call_id => $_->{id}, content => one_of('', words()) } } @answered);
	}
	if ($shape eq 'anthropic')
	{
		my @thinking = { type => 'thinking', thinking => words(), signature => 'sig' };
		my @say = defined $text ? { type => 'text', text => $text } : ();

		return ({ role => 'assistant', content => [ @thinking, @say, map { { type => 'tool_use', id => $_->{id}, name => $_->{name}, input => { a => 1 } } } @calls ] },
			@answered ? { role => 'user', content => [ (map { { type => 'tool_result', tool_use_id => $_->{id}, content => words() } } @answered), rand() < 0.2 ? { type => 'text', text => words() } : () ] } : ());
	}
	if ($shape eq 'gemini')
	{
		return ({ role => 'model', parts => [ map { { functionCall => { name => $_->{name}, args => { a => 1 } } } } @calls ] },
			{ role => 'user', parts => [ map { { functionResponse => { name => $_->{name}, response => { b => words() } } } } @answered ] });
	}
	return ({ type => 'reasoning', id => 'rs_' . $calls++, summary => [], encrypted_content => 'abc', role => 'assistant' },
		(map { { type => 'function_call', role => 'assistant', call_id => $_->{id}, name => $_->{name}, arguments => '{"a": 1}', id => 'fc_' . $calls++ } } @calls),
		map { { type => 'function_call_output', role => 'tool', call_id => $_->{id}, output => words() } } @answered);
}

# A tool that the provider brings: its call and the output, or one of them alone
sub built_in
{
	my $n = $calls++;
	my $use = { type => 'server_tool_use', id => "srv_$n", name => 'web_search', input => {} };
	my $found = { type => 'web_search_tool_result', tool_use_id => "srv_$n", content => [] };
	my $call = { type => 'computer_call', id => "cu_$n", call_id => "k$n", action => {} };
	my $output = { type => 'computer_call_output', call_id => "k$n", output => {} };

	return @{ one_of([ $call, $output ], [$call], [$output]) } if rand() < 0.5;
	return { role => 'assistant', content => one_of([ $use, $found ], [$use], [$found]) };
}

# What not every provider takes
sub odd
{
	return one_of(
		{ role => 'assistant', content => [ { type => 'server_tool_use', id => 'srv_1', name => 'web_search', input => {} }, { type => 'web_search_tool_result', tool_use_id => 'srv_1', content => [] } ] },
		{ role => 'assistant', content => [ { type => 'thinking', thinking => words(), signature => 'sig' } ] },
		{ role => 'model', parts => [ { executableCode => { language => 'PYTHON', code => '1' } } ] },
		{ role => 'user', content => [ { type => 'input_audio', input_audio => { data => 'AAAA', format => 'wav' } } ] },
		{ role => 'assistant', parts => [ { type => 'tool-find', toolCallId => 't', state => 'output-available', input => {}, output => { a => 1 } }, { type => 'text', text => words() } ] });
}

sub turn
{
	my ($shape) = @_;
	my @turn;

	push @turn, { role => 'user', content => rand() < 0.1 ? ' ' : words(), id => "m" . $calls++, metadata => { a => 1 } };
	push @turn, { role => 'user', content => [ { type => 'text', text => words() }, { type => 'image_url', image_url => { url => 'data:image/png;base64,AAAA' } } ] } if rand() < 0.1;
	push @turn, { role => 'system', content => words() } if rand() < 0.1;
	push @turn, odd() if rand() < 0.2;
	push @turn, built_in() if rand() < 0.2;
	push @turn, step(rand() < 0.8 ? $shape : one_of(qw(openai anthropic gemini responses))) for 1 .. int rand 4;
	push @turn, { role => 'assistant', content => rand() < 0.1 ? '' : words() } if rand() < 0.9;
	return @turn;
}

sub conversation
{
	my $shape = one_of(qw(openai anthropic gemini responses));
	my @messages = ((map { { role => one_of(qw(system developer)), content => words() } } 1 .. int rand 3),
		(rand() < 0.2 ? { role => 'assistant', content => words() } : ()), map { turn($shape) } 1 .. 1 + int rand 6);

	# damage: messages lost, or out of order
	splice @messages, int rand @messages, 1 if @messages > 1 && rand() < 0.2;
	push @messages, splice @messages, int rand @messages, 1 if rand() < 0.1;
	return @messages;
}

#--- the providers' rules ------------------------------------------------------

# The keys of an object that are not among these
sub others
{
	my ($object, @keys) = @_;
	my %known = map { $_ => 1 } @keys;

	return join ',', grep { !$known{$_} } sort keys %$object;
}

sub ids_ok { return !grep { !defined || !/^[a-zA-Z0-9_-]{1,40}$/ } @_; }
sub names_ok { return !grep { !defined || !/^[a-zA-Z0-9_-]{1,64}$/ } @_; }
sub same_set { return join(' ', sort @{ $_[0] }) eq join(' ', sort @{ $_[1] }); }

sub check_openai
{
	my ($messages) = @_;
	my @open;

	for my $m (@$messages)
	{
		my $more = others($m, qw(role content name tool_calls tool_call_id refusal));
		return "keys $more" if $more ne '';
		return "role $m->{role}" if $m->{role} !~ /^(system|developer|user|assistant|tool)$/;
		if ($m->{role} eq 'tool')
		{
			return 'result without call' if !grep { $_ eq $m->{tool_call_id} } @open;
			return 'content of a result' if ref $m->{content} || !defined $m->{content};
			@open = grep { $_ ne $m->{tool_call_id} } @open;
			next;
		}
		return 'call without result' if @open;
		return 'empty parts' if ref $m->{content} && !@{ $m->{content} };
		return 'null content' if !defined $m->{content} && !$m->{tool_calls};
		return 'name' if exists $m->{name} && !names_ok($m->{name});
		next if !$m->{tool_calls};
		return 'calls' if $m->{role} ne 'assistant' || !@{ $m->{tool_calls} };
		@open = map { $_->{id} } @{ $m->{tool_calls} };
		return 'ids' if !ids_ok(@open);
		return 'names' if !names_ok(map { $_->{function}{name} } @{ $m->{tool_calls} });
	}
	return @open ? 'call without result at the end' : '';
}

sub check_responses
{
	my ($items) = @_;
	my (%call, %output);

	for my $i (0 .. $#$items)
	{
		my $item = $items->[$i];
		my $type = $item->{type};

		if ($type eq 'message')
		{
			return 'role' if $item->{role} !~ /^(system|developer|user|assistant)$/;
			return 'content' if !@{ $item->{content} } || others($item, qw(type role content)) ne '';
			my $kind = $item->{role} eq 'assistant' ? 'output_text|refusal' : 'input_text|input_image|input_file';
			return 'part' if grep { $_->{type} !~ /^(?:$kind)$/ } @{ $item->{content} };
		}
		elsif ($type eq 'function_call')
		{
			return 'keys of a call' if others($item, qw(type call_id name arguments)) ne '';
			return 'name' if !names_ok($item->{name});
			return 'call twice' if $call{ $item->{call_id} }++;
		}
		elsif ($type eq 'function_call_output')
		{
			return 'keys of an output' if others($item, qw(type call_id output)) ne '';
			return 'output before its call' if !$call{ $item->{call_id} };
			return 'output twice' if $output{ $item->{call_id} }++;
		}
		elsif ($type eq 'computer_call') { $call{ $item->{call_id} }++; }
		elsif ($type eq 'computer_call_output')
		{
			return 'output before its call' if !$call{ $item->{call_id} };
			$output{ $item->{call_id} }++;
		}
		elsif ($type eq 'reasoning')
		{
			return 'reasoning without proof' if !$item->{encrypted_content};
			return 'reasoning alone' if $i == $#$items
			  || ($items->[ $i + 1 ]{type} // '') !~ /^(function_call|computer_call|message|reasoning)$/
			  || ($items->[ $i + 1 ]{role} // 'assistant') ne 'assistant';
		}
		else { return "item $type"; }
	}
	return same_set([ keys %call ], [ keys %output ]) ? '' : 'call without output';
}

sub check_anthropic
{
	my ($messages, $system) = @_;
	my @open;
	my %built_in;
	my $last = 'assistant';

	return 'system' if defined $system && grep { $_->{type} ne 'text' || $_->{text} !~ /\S/ } @$system;
	for my $m (@$messages)
	{
		return 'keys' if others($m, qw(role content)) ne '';
		return "two of $last, or a first one that is refused" if $m->{role} eq $last;
		$last = $m->{role};
		return 'empty content' if !@{ $m->{content} };
		my @results;
		my $others = 0;
		for my $b (@{ $m->{content} })
		{
			$built_in{ $b->{id} } = 1 if $b->{type} eq 'server_tool_use';
			return 'result without call' if $b->{type} eq 'web_search_tool_result' && !delete $built_in{ $b->{tool_use_id} };
			return 'built-in call without result' if %built_in && $last eq 'user' && $b->{type} ne 'tool_result';
			return 'blank text' if $b->{type} eq 'text' && $b->{text} !~ /\S/;
			return 'tool_result behind others' if $b->{type} eq 'tool_result' && $others;
			push @results, $b->{tool_use_id} if $b->{type} eq 'tool_result';
			$others ||= $b->{type} ne 'tool_result';
			return 'thinking without proof' if $b->{type} eq 'thinking' && !$b->{signature};
			return "$b->{type} of $last" if $b->{type} =~ /^(tool_use|thinking)$/ && $last ne 'assistant';
		}
		return 'calls and results differ' if !same_set(\@open, \@results);
		my @uses = grep { $_->{type} eq 'tool_use' } @{ $m->{content} };
		@open = map { $_->{id} } @uses;
		return 'ids' if !ids_ok(@open);
		return 'names' if !names_ok(map { $_->{name} } @uses);
		return 'input' if grep { ref $_->{input} ne 'HASH' } @uses;
		return 'thinking alone' if !grep { $_->{type} ne 'thinking' } @{ $m->{content} };
	}
	return @open ? 'call without result at the end' : '';
}

sub check_gemini
{
	my ($contents, $system) = @_;
	my $open = 0;
	my $last = 'model';

	return 'system' if defined $system && grep { $_->{text} !~ /\S/ } @{ $system->{parts} };
	for my $c (@$contents)
	{
		return 'keys' if others($c, qw(role parts)) ne '';
		return "two of $last, or a first one that is refused" if $c->{role} eq $last;
		$last = $c->{role};
		return 'role' if $last !~ /^(user|model)$/;
		return 'empty parts' if !@{ $c->{parts} } || grep { !%$_ } @{ $c->{parts} };
		my @responses = grep { $_->{functionResponse} } @{ $c->{parts} };
		return 'count of responses' if @responses != $open;
		my @calls = grep { $_->{functionCall} } @{ $c->{parts} };
		return 'call of a user' if @calls && $last eq 'user';
		return 'call without thoughtSignature' if @calls && !$calls[0]{thoughtSignature};
		return 'names' if !names_ok(map { ($_->{functionCall} // $_->{functionResponse})->{name} } @calls, @responses);
		return 'thought' if grep { $_->{thought} } @{ $c->{parts} };
		$open = @calls;
	}
	return $open ? 'call without response at the end' : '';
}

my %check = (openai => \&check_openai, responses => \&check_responses,
	anthropic => \&check_anthropic, gemini => \&check_gemini);

# The checkers refuse what is refused
isnt(check_openai([ { role => 'tool', tool_call_id => 'a', content => '' } ]), '', 'openai: a result alone');
isnt(check_responses([ { type => 'function_call', call_id => 'a', name => 'f', arguments => '' } ]), '', 'responses: a call alone');
isnt(check_anthropic([ { role => 'assistant', content => [ { type => 'text', text => 'a' } ] } ]), '', 'anthropic: an assistant first');
isnt(check_responses([ { type => 'computer_call', call_id => 'a' } ]), '', 'responses: a built-in call alone');
isnt(check_anthropic([ map { { role => $_->[0], content => [ $_->[1] ] } } [ 'user', { type => 'text', text => 'a' } ],
			[ 'assistant', { type => 'server_tool_use', id => 'b' } ], [ 'user', { type => 'text', text => 'a' } ] ]), '', 'anthropic: a built-in call alone');
isnt(check_gemini([ { role => 'user', parts => [] } ]), '', 'gemini: empty parts');

#--- every budget --------------------------------------------------------------

my $sql = '';
for my $n (1 .. $conversations)
{
	my $messages = $json->encode([ conversation() ]);

	$sql .= "SELECT FROM airun_create_run(id => '$id{$n}');\n"
	  . "SELECT FROM airun_append_messages('$id{$n}', \$m\$$messages\$m\$);\n";
}
$node->safe_psql('postgres', "SET airun.user_id = 'context';\n$sql");
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION attempt_context(run uuid, tokens int, messages int, provider text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN airun_context(run, tokens, messages, provider);
EXCEPTION WHEN SQLSTATE 'PT422' THEN
	RETURN '"PT422"';
END
$$;
SQL

# Budgets from the smallest to what holds all; each result once
my $out = $node->safe_psql('postgres', <<"END");
SET airun.user_id = 'context';
SELECT p, min(tokens), bool_or(tokens IS NULL AND messages IS NULL), count(*), c FROM (
	SELECT r.id, p, b.tokens, b.messages, attempt_context(r.id, b.tokens, b.messages, p) AS c
	FROM ai_runs AS r CROSS JOIN unnest('{openai,responses,anthropic,gemini}'::text[]) AS p
	CROSS JOIN LATERAL (SELECT (airun_context(r.id, for_provider => p) ->> 'tokens')::int AS whole) AS w
	CROSS JOIN LATERAL (
		SELECT NULL::int AS tokens, NULL::int AS messages
		UNION ALL SELECT 1 + w.whole * i / $budgets, NULL FROM generate_series(0, $budgets) AS i
		UNION ALL SELECT NULL, i FROM generate_series(1, r.message_count::int + 1, 5) AS i) AS b) AS s
GROUP BY id, p, c
END
my (%wrong, %sent, $refused);
my $checked = 0;
for my $line (split /\n/, $out)
{
	my ($provider, $tokens, $has_no_limit, $count, $text) = split /\|/, $line, 5;
	my $context = $json->decode($text);

	$checked += $count;
	if (!ref $context)
	{
		$refused++;
		$wrong{"$provider: no budget was refused: $text"}++ if $has_no_limit eq 't';
		next;
	}
	my $fault = $check{$provider}->($context->{messages}, $context->{system});
	$fault ||= 'more tokens than allowed' if $tokens ne '' && $context->{tokens} > $tokens;
	$fault ||= 'left out without a reason' if $context->{left_out}{messages} && !$context->{left_out}{reason};
	$wrong{"$provider: $fault"} //= $text if $fault;
	$sent{$provider}++ if @{ $context->{messages} };
}
is(join("\n", map { "$_ in $wrong{$_}" } sort keys %wrong), '', 'every context is accepted');
cmp_ok($checked, '>', $conversations * 20, 'contexts of many budgets');
cmp_ok($sent{$_}, '>', $conversations * 5, "contexts for $_ say something") for sort keys %check;
cmp_ok($refused, '>', 0, 'budgets that hold nothing are refused');
proven('contexts accepted by the rules of their providers', $checked);

#--- a long run ----------------------------------------------------------------

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE api;
SELECT airun_grant('api');
CREATE FUNCTION numbered_task(i int) RETURNS uuid LANGUAGE sql
AS $$SELECT ('14000001-0000-7000-8000-' || lpad(i::text, 12, '0'))::uuid$$;
SQL
my $plan = $node->safe_psql('postgres', <<"END");
SET airun.user_id = 'context';
SELECT FROM airun_create_run(id => '$id{0}');
SELECT FROM airun_append_messages('$id{0}', '[{"role": "system", "content": "Be brief."}]');
SELECT airun_start_turn('$id{0}', jsonb_build_object('role', 'user', 'content', repeat('What is new? ', 30)), task_id => numbered_task(i)),
	airun_finish_turn(numbered_task(i), jsonb_build_object('role', 'assistant', 'content', repeat('Nothing yet. ', 30)), tokens_output => 100)
FROM generate_series(1, 2500) AS i \\g /dev/null
SET ROLE api;
SELECT FROM airun_context('$id{0}', 4000);
EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT airun_context('$id{0}', 4000);
END
$plan =~ s/^[^[]*//;
my $root = $json->decode($plan)->[0]{Plan};
my $buffers = $root->{'Shared Hit Blocks'} + $root->{'Shared Read Blocks'};
cmp_ok($buffers, '<=', 200, "4,000 tokens of 5,001 messages read $buffers buffers");
cmp_ok($buffers, '>', 5, 'and some');
is($node->safe_psql('postgres', "SET airun.user_id = 'context'; SELECT c ->> 'tokens' > '3800', c #>> '{messages,0,role}', c #>> '{messages,1,role}' FROM airun_context('$id{0}', 4000) AS c"),
	't|system|user', 'the budget is used, and the system has stayed');

check_ok($node, 'in the end');
done_testing();
