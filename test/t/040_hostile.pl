# No input crashes a backend.  Generated calls of every function of the
# extension, and statements on its views and tables, with wrong types inside
# JSON, values nested to the limit of the stack, every Unicode trap, huge and
# tiny numbers, ids of one's own, of somebody else and of nobody, mixed with
# valid ones; as a user, as another, as nobody, as a role without rights and as
# the owner of the store, who is no superuser; each caught in a subtransaction or
# failing at the top; cancelled in the middle, and with the memory running out.
#
# Afterwards: no backend has ended, no SQLSTATE came that is not in the list
# below, every function has been called and has also succeeded, a session does
# not grow, and airun_check() has no row.
#
# The functions come from the catalogue, and a parameter type without values
# here is a failure, so that no new function can be forgotten.
#
# AIRUN_SEED=n replays the calls.  Where a timeout strikes is left to the clock.

use strict;
use warnings;

use AirunTest;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{AIRUN_SEED} // (time ^ ($$ << 8)) & 0x7fffffff;
diag("AIRUN_SEED=$seed");

# Each session has a database of its own, so that what happens in it does not
# depend on the other one.
my @databases = ('one', 'two');
my $calls = quick_or_long(20_000, 1_000_000);
my $starved_calls = quick_or_long(600, 20_000);
my $big = quick_or_long(2_000_000, 100_000_000);

# What may come of a call.  Nothing else may, least of all XX000.
my %allowed = (
	'PT401' => 'nobody is calling',
	'PT404' => 'no such run or task',
	'PT409' => 'illegal transition, or another value under the same id',
	'PT422' => 'unacceptable message or value',
	'0A000' => 'not in this mode: a trigger or aggregate function called plainly, an UPDATE that a view cannot do',
	'21000' => 'a statement on a view that meets a row twice',
	'22000' => 'a value that cannot be',
	'22001' => 'string too long',
	'22003' => 'number out of range',
	'22007' => 'no timestamp or interval',
	'22008' => 'timestamp out of range',
	'22015' => 'interval out of range',
	'22021' => 'invalid bytes in the text',
	'22023' => 'invalid parameter value',
	'2202E' => 'array of the wrong shape',
	'22030' => 'duplicate JSON key',
	'22P02' => 'invalid text for the type',
	'22P05' => '\\u0000, or a character that the client encoding lacks',
	'23502' => 'NULL where the table has none',
	'23503' => 'foreign key: no such run',
	'23505' => 'an id that is taken, by plain INSERT',
	'23514' => 'a check of the tables',
	'25006' => 'read-only transaction',
	'25P01' => 'no transaction, after a timeout took its BEGIN',
	'25P02' => 'transaction is aborted already',
	'27000' => 'a row that the statement itself has changed',
	'3B001' => 'no such savepoint, after a timeout took the one before',
	'39P01' => 'a trigger function called plainly',
	'42501' => 'no right to do that',
	'42704' => 'no such role',
	'428C9' => 'a derived column',
	'53200' => 'out of memory',
	'58P01' => 'a library of the server (for an encoding), which no memory is left for',
	'54000' => 'beyond a limit of the program',
	'54001' => 'nested too deep for the stack',
	'57014' => 'cancelled by statement_timeout',
	'55000' => 'the object is not in the state for that',
);

my %allowed_of = (
	# given by hand, a reference that does not fit is the same as one in a broken row
	airun_request => { 'XX001' => 'the request cannot be put together' },
	airun_install_original => { '42P15' => 'a schema of the system' },
);

#--- values ----------------------------------------------------------------------

# Makes all choices; its own generator, so that a seed gives the same calls
# whatever the Perl.
my $state;
sub draw
{
	my ($n) = @_;

	# Parameters of Numerical Recipes; the high bits are the random ones
	$state = ($state * 1664525 + 1013904223) % 4294967296;
	return int($state / 4294967296 * $n);
}

sub one_of { return $_[ draw(scalar @_) ]; }
sub chance { return draw(1000) < $_[0] * 1000; }

# What a statement is about: a task, a newer one mostly, so that valid calls find
# what earlier ones have made, and the run that it belongs to.
my $time;       # how many statements there have been
my $kind;       # 1: the first user's, 2: the second's
my $number;     # which task
sub choose_subject
{
	$number = int($time / 30) + 1 - draw(chance(0.9) ? 6 : 60);
	$number = 1 if $number < 1;
}
sub run_id { return numbered_id(0x100 + ($_[0] // $kind), int($number / 16)); }
sub task_id { return numbered_id(0x200 + ($_[0] // $kind), $number); }

sub literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	return "'$text'";
}

# Text as a user writes it
my @words = ('the', 'moons', 'of', 'Mars', 'are two: Phobos,', 'Deimos;', 'who', 'found', 'them?', 'größer', '火星', '🚀', '"quoted"', "it's", '100%', 'a_b', '\d', '[x]', '{y}');
sub plain_text
{
	return join ' ', map { one_of(@words) } 0 .. draw(12);
}

# Expressions of type text that nobody expects
my @nasty_text = (
	"''", "' '", "E'\\t\\n\\r'", "E'\\x01\\x1f\\x7f'", "E'\\xff'", "E'\\xc3'", "E'\\xed\\xa0\\x80'", "E'\\xf4\\x90\\x80\\x80'",
	"E'\\uFFFD\\uFEFF\\u202E\\u200B'", "E'e\\u0301\\u0301\\u0301'", "repeat(E'\\u0301', 3000)",
	"E'\\u05D0\\u202Eabc\\u202C\\u0627'", "E'\\U0001F468\\u200D\\U0001F469\\u200D\\U0001F467'", "E'\\U0010FFFF'", "E'\\uFFFF'",
	"repeat('x', 1000)", "repeat('€', 70)", "repeat('€', 40000)", "repeat('x. ', 300)", "repeat(E'\\U0001F680', 61)",
	"repeat(' ', 5000)", "repeat('\\', 3000)", "repeat('\"', 3000)", "repeat(E'\\x01', 3000)", "repeat('%', 300)", "'%_\\'", "'\\'",
	"'null'", "'{}'", "'[]'", "'{a,NULL}'", "'NaN'", "'-0'", "'infinity'", "'1e999999'", "'\\u0000'", "'\$1'", "'''; drop table airun.runs; --'",
	"'00000000-0000-0000-0000-000000000000'", "'{00000000-0000-0000-0000-00000000000a}'", "'FFFFFFFF-FFFF-4FFF-BFFF-FFFFFFFFFFFF'",
	"'active'", "'completed'", "'error'", "'failed'", "'canceled'", "'pending'", "'streaming'", "'COMPLETED'", "'deleted'",
	"'01000303df2d232400000303df3569e40d019b000000007ead87faf645c14992f5'", "'01000303zz'", "repeat('0', 66)", "repeat('f', 66)", "repeat('00', 5000)",
	"repeat('[', 100000)", "repeat('{\"a\":', 20000)", "'\"\\ud800\"'", "'\"\\udc00\\ud800\"'", "'[\"\\u0000\", \"\\ud83d\"]'", "'\"\\uD83D\\uDE80\"'", "'\"\\u12'",
	"'{\"a\":1,\"a\":2}'", "'[1,]'", "'nul'", "'+1'", "'1' || repeat('0', 5000)", "'1e131071'", "'1e-16383'", "'1e-20000'", "'user'", "'pg_catalog'",
	"(SELECT string_agg(chr(n), '') FROM generate_series(1, 2000) AS n)");

# Long texts, which are rare save where memory is to run out
my $long = 0.01;
sub long_text { return "repeat('" . one_of('x', 'é', '\\\\', 'ab c. ') . "', " . one_of($long < 0.1 ? (100_000, 300_000) : (500_000, 3_000_000, 10_000_000)) . ')'; }
sub nasty_text { return chance($long) ? long_text() : one_of(@nasty_text); }

# JSON is made as text, in which @@expression@@ stands for what SQL makes
my @nasty_json = (
	'null', 'true', 'false', '0', '-0', '-1', '1.0', '1e2', '9223372036854775807', '9223372036854775808', '-9223372036854775809', '1e300', '-1e300',
	'1e-300', '1e131071', '1e-16383', '0.1e-16000', '123456789012345678901234567890.123456789', '""', '" "', '"x"', '"NaN"', '"Infinity"', '"12"', '"1e5"', '{}', '[]',
	'[[]]', '[{}]', '[null]', '{"":""}', '{"a":{"b":{"c":[]}}}', '[1,"2",{"three":3}]', '{"type":"text"}', '{"type":"text","text":7}', '{"type":null,"text":null}',
	'"\\ud83d\\ude80"', '"\\u0001\\u001f"', '"\\u202e\\u200b\\ufeff"', '"e\\u0301\\u0301"', '"\\uffff\\ufffe"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"',
	'"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '{"\\u0000":1}', '{"a":1,"a":{"a":2}}', '[1,]', 'nul',
	'"@@repeat(\'x\', 70000)@@"', '"@@repeat(\'€\', 30000)@@"', '[@@repeat(\'1,\', 5000)@@1]', '[@@repeat(\'"",\', 5000)@@""]', '{"@@repeat(\'k\', 3000)@@":1}',
	'{@@(SELECT string_agg(format(\'"%s":%s\', n, n), \',\') FROM generate_series(1, 500) AS n)@@}',
	'1@@repeat(\'0\', 2000)@@', '0.@@repeat(\'0\', 2000)@@1', '"@@repeat(\'\\u0001\', 2000)@@"', '"@@repeat(\'\\\\\', 2000)@@"');

# Something nested, up to where the stack ends and beyond
sub nested
{
	my $depth = one_of(10, 100, 700, 1500, 3000, 5000, 6000, 6500, 7000, 8000, 20000);
	my ($open, $close) = @{ one_of(['[', ']'], ['{"a":', '}'], ['[{"content":', '}]'], ['{"parts":[', ']}'], ['[1,', ',2]'],
		['{"content":[{"type":"text","content":', '}]}']) };

	return "@\@repeat('$open', $depth)@@" . one_of('1', '"x"', '{}', '[]', 'null') . "@\@repeat('$close', $depth)@@";
}

sub nasty_json { return chance(0.06) ? nested() : chance($long) ? '"@@' . long_text() . '@@"' : one_of(@nasty_json); }

# A JSON value as Perl: an array, an array of pairs under {}, or text
sub encode
{
	my ($value) = @_;

	return $value if !ref $value;
	return '[' . join(',', map { encode($_) } @$value) . ']' if ref $value eq 'ARRAY';
	return '{' . join(',', map { "\"$_->[0]\":" . encode($_->[1]) } @{ $value->{pairs} }) . '}';
}
sub object
{
	my @pairs;

	while (my ($key, $value) = splice @_, 0, 2)
	{
		push @pairs, [ $key, $value ];
	}
	return { pairs => \@pairs };
}
sub string
{
	my ($text) = @_;

	$text =~ s/(["\\])/\\$1/g;
	return "\"$text\"";
}

# The same value with something wrong in it: a value replaced, a key lost, twice
# there or renamed.
sub spoil
{
	my ($value, $odds) = @_;

	return nasty_json() if chance($odds);
	return $value if !ref $value;
	return [ map { spoil($_, $odds) } @$value ] if ref $value eq 'ARRAY';
	my @pairs;
	for my $pair (@{ $value->{pairs} })
	{
		next if chance($odds / 2);
		push @pairs, [ chance($odds / 3) ? one_of('', 'x', 'role', 'content', 'text', 'id', 'type', '\\ud83d\\ude80', '\\u0000') : $pair->[0], spoil($pair->[1], $odds) ];
		push @pairs, [ $pair->[0], nasty_json() ] if chance($odds / 4);
	}
	push @pairs, [ one_of('id', 'timestamp', 'x', 'tool_calls', 'refusal', 'parts', 'content', 'metadata'), nasty_json() ] if chance($odds);
	return { pairs => \@pairs };
}

sub count_of { return one_of(0, 1, 5, 17, 200, 1000, 12345, 1_000_000); }

sub message
{
	my $text = string(plain_text());
	my $call = object(id => '"call_1"', type => '"function"', function => object(name => '"f"', arguments => '"{}"'));

	my $message = one_of(
		object(role => '"user"', content => $text),
		object(role => '"user"', content => $text, id => '"m' . draw(30) . '"'),
		object(role => '"assistant"', content => $text, timestamp => '"2026-01-01T00:00:00Z"'),
		object(role => '"assistant"', content => 'null', tool_calls => [$call]),
		object(role => '"tool"', tool_call_id => '"call_1"', content => $text),
		object(role => '"user"', content => [ object(type => '"text"', text => $text), object(type => '"image_url"', image_url => object(url => '"data:"')) ]),
		object(role => '"assistant"', content => [ object(type => '"reasoning"', text => $text), object(type => '"text"', text => $text) ]),
		object(role => '"model"', parts => [ object(text => $text) ]),
		object(role => '"system"', content => $text),
		object(role => '"assistant"', refusal => $text));
	return $message;
}

sub usage
{
	my ($in, $out) = (count_of(), count_of());

	return one_of(
		object(prompt_tokens => $in, completion_tokens => $out, total_tokens => $in + $out, prompt_tokens_details => object(cached_tokens => int($in / 2), audio_tokens => 0),
			completion_tokens_details => object(reasoning_tokens => int($out / 2))),
		object(input_tokens => $in, output_tokens => $out, input_tokens_details => object(cached_tokens => 0)),
		object(input_tokens => $in, output_tokens => $out, cache_creation_input_tokens => 3, cache_read_input_tokens => 4,
			cache_creation => object(ephemeral_5m_input_tokens => 1, ephemeral_1h_input_tokens => 2), server_tool_use => object(web_search_requests => 1)),
		object(promptTokenCount => $in, candidatesTokenCount => $out, thoughtsTokenCount => 2, totalTokenCount => $in + $out + 2,
			promptTokensDetails => [ object(modality => '"TEXT"', tokenCount => $in) ]),
		object(inputTokens => $in, outputTokens => $out, totalTokens => $in + $out, cachedInputTokens => 0),
		object('gen_ai.usage.input_tokens' => $in, 'gen_ai.usage.output_tokens' => $out),
		object(input => $in, output => $out, cache_read => 1));
}

# Rates, tiers and rules of a price, as the tables have them
sub rates { return object(input => one_of('0.000001', '1e-6', '0', '3'), output => one_of('0.000002', '2'), cache_read => '0.0000001'); }
sub match_rule { return one_of(object(starts_with => '"gpt"'), object(or => [ object(equals => '"gpt-4o"'), object(contains => '"mini"') ]), object(regex => '"^o[0-9]$"')); }
sub price_list
{
	return one_of(
		object('gpt-4o' => object(litellm_provider => '"openai"', mode => '"chat"', input_cost_per_token => '0.0000025', output_cost_per_token => '0.00001',
				input_cost_per_token_above_128k_tokens => '0.000005', cache_read_input_token_cost => '1.25e-6', max_tokens => '4096'),
			'claude-x' => object(litellm_provider => '"anthropic"', mode => '"chat"', input_cost_per_token => '3e-6', output_cost_per_token => '1.5e-5')),
		[ object(id => '"openai"', name => '"OpenAI"', pricing_urls => [], api_pattern => '"x"', model_match => object(starts_with => '"gpt"'),
			models => [ object(id => '"gpt-4o-mini"', match => object(or => [ object(equals => '"gpt-4o-mini"'), object(starts_with => '"gpt-4o-mini-"') ]),
				prices => object(input_mtok => '0.15', output_mtok => '0.6', cache_read_mtok => '0.075')),
				object(id => '"o1"', match => object(equals => '"o1"'), prices => [ object(prices => object(input_mtok => object(base => '1.25', tiers => [ object(start => '200000', price => '2.5') ]), output_mtok => '5')),
				object(constraint => object(start_date => '"2026-01-01"'), prices => object(input_mtok => '2')) ]) ]) ]);
}

# What each jsonb parameter normally holds, by its name
my %json_of = (
	message => \&message,
	element => \&message,
	messages => sub { return chance(0.3) ? message() : [ map { message() } 0 .. draw(4) ]; },
	usage => \&usage,
	error => sub { return object(code => '"rate_limit"', message => string(plain_text())); },
	request_data => sub { return object(model => '"gpt-4o"', one_of('messages', 'input', 'contents') => [ map { message() } 0 .. draw(3) ], temperature => '0.5'); },
	reference => sub { return object(key => one_of('"messages"', '"input"'), at => draw(2), count => draw(4), keys => [ '"role"', '"content"' ]); },
	run => sub { return object(source_type => '"chat"', name => string(plain_text()), tags => ['"a"'], settings => object(x => 1)); },
	document => \&price_list,
	rates => \&rates,
	match_rule => \&match_rule,
	context_tiers => sub { return [ object(above => one_of('1000', '200000'), rates => rates()) ]; },
	service_tiers => sub { return object(priority => rates(), batch => rates()); },
	time_windows => sub { return [ object(start => '"00:30"', end => '"16:30"', rates => rates()) ]; },
);
my %text_of = (
	status => sub { return one_of(qw(active completed error pending streaming cancelled failed)); },
	source_type => sub { return one_of(qw(chat prompt action)); },
	model_id => sub { return one_of(qw(gpt-4o openai/gpt-4o-mini claude-x o1-2024-12-17 unknown)); },
	model => sub { return one_of(qw(gpt-4o mine o1)); },
	provider => sub { return one_of(qw(openai anthropic google azure)); },
	message_id => sub { return 'm' . draw(40); },
	document => sub { return encode(message()); },
	service_tier => sub { return one_of(qw(priority batch flex)); },
	source => sub { return one_of(qw(own litellm genai)); },
	finish_reason => sub { return one_of(qw(stop length tool_calls)); },
	tag => sub { return one_of(qw(a b)); },
	subject => sub { return one_of('joe', numbered_id(9, 1)); },
);

# The SQL of a JSON text; every other piece of it is SQL already
sub json_literal
{
	my ($text, $type) = @_;
	my @pieces = split /@@/, $text, -1;

	return '(' . join(' || ', map { $_ % 2 ? $pieces[$_] : literal($pieces[$_]) } 0 .. $#pieces) . ")::$type";
}

# What a parameter of each type normally holds
my %plain = (
	'uuid' => sub {
		my ($name) = @_;
		return 'NULL' if $name eq 'source_id' || $name eq 'user_id';
		return literal($name eq 'task_id' ? task_id() : run_id());
	},
	'jsonb' => sub {
		my ($name) = @_;
		my $maker = $json_of{$name} // sub { return object(k => string(plain_text()), list => [ 1, '"two"' ]) };
		return json_literal(encode($maker->()), 'jsonb');
	},
	'text' => sub { my ($name) = @_; return literal($text_of{$name} ? $text_of{$name}->() : plain_text()); },
	'text[]' => sub { return "'{a,b}'"; },
	'smallint' => sub { return one_of(0, 1, 523, 1100, 2101); },
	'bytea' => sub { return one_of('NULL', "'\\x010002'", "'\\x01930802020601c801'"); },
	'bigint' => sub { my ($name) = @_; return $name =~ /tokens/ ? count_of() : draw(20); },
	'integer' => sub { return one_of(1, 2, 5, 20); },
	'numeric' => sub { return one_of('0', '0.5', '12.25', '300'); },
	'double precision' => sub { return one_of('0', '0.5', '12.25', '300', '0.1::float4'); },
	'boolean' => sub { return one_of('true', 'false'); },
	'date' => sub { return 'current_date - ' . draw(60); },
	'timestamp with time zone' => sub { return "now() - interval '" . draw(3000) . " s'"; },
	'interval' => sub { return one_of("'5 ms'", "'1 min'", "'1 s'"); },
	'name' => sub { return one_of("'api'", "'naked'"); },
	'regclass' => sub { return one_of("'airun.runs'", "'public.ai_runs'"); },
	'double precision[]' => sub { return one_of("'{}'", "'{0.5}'", "'{0.8,1}'"); },
);

# What it should not
my %nasty = (
	'uuid' => sub {
		return literal(one_of('ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0000-0000-000000000000',
			'10000000-0000-4000-8000-000000000001', run_id(3 - $kind), task_id(3 - $kind), task_id(), run_id()));
	},
	'jsonb' => sub {
		my ($name) = @_;
		my $maker = $json_of{$name} // \&message;
		return json_literal(encode(chance(0.3) ? nasty_json() : spoil($maker->(), one_of(0.05, 0.2, 0.5))), 'jsonb');
	},
	'text' => \&nasty_text,
	'text[]' => sub {
		return one_of("'{}'", "'{a,NULL}'", "'{{a},{b}}'", "'[5:6]={a,b}'", "array_fill('x'::text, ARRAY[300])", 'ARRAY[' . nasty_text() . ']');
	},
	'smallint' => sub { return one_of(-1, 2102, 32767, "'-32768'", "'32768'"); },
	'bytea' => sub {
		return one_of("''", "'\\x01'", "'\\x02'", "'\\x0100'", "'\\x010000'", "'\\x01ffff02'", "'\\x0100feffffffffffffffff01'",
			"'\\x01' || decode(repeat('ff', " . one_of(3, 12, 1000) . "), 'hex')", "substr(sha256('" . draw(1000) . "'), 1, " . draw(33) . ')', "'\\x01' || sha256('" . draw(1000) . "')");
	},
	'bigint' => sub { return one_of(0, 1, -1, 7, 9223372036854775807, "'-9223372036854775808'", 1000000000001, 2147483648, "'99999999999999999999'"); },
	'integer' => sub { return one_of(0, 1, -1, 3, 2147483647, "'-2147483648'", "'2147483648'"); },
	'numeric' => sub {
		return one_of("'NaN'", "'Infinity'", "'-Infinity'", "'0'", "'-1'", "'-0.0'", "'1e-40'", "'1e131000'", "'1e-16383'", "'1e131073'",
			"repeat('9', 1000)", "'1e18'", "'0.0000000000000000001'");
	},
	'double precision' => sub { return one_of("'NaN'", "'Infinity'", "'-Infinity'", '-1', "'-0.0'", '1e-40', '5e-324', '1.7e308', '1e18', "'1e400'", "'much'"); },
	'boolean' => sub { return one_of('true', 'false', "'maybe'"); },
	'date' => sub { return one_of("'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'2026-02-29'::text"); },
	'timestamp with time zone' => sub {
		return one_of("'infinity'", "'-infinity'", "'4713-01-01 BC'", "'294276-12-31'", "'294277-01-01'", "'2026-02-30'");
	},
	'interval' => sub {
		return one_of("'0'", "'-1 s'", "'1 us'", "'178000000 years'", "'-178000000 years'", "'1 mon -1 day'", "'999999999 hours'", "'x'", "'9999999999999 years'");
	},
	'regclass' => sub { return one_of("'pg_class'", "'airun.runs_pkey'", "'pg_locks'", '0', '4294967295'); },
	'double precision[]' => sub { return one_of("'{NULL}'", "'{-1,2}'", "'{{1},{2}}'", "'{NaN}'", "'x'"); },
	'name' => sub { return one_of("'nobody'", "''", "repeat('x', 100)", "'\"'", "'public'", "'pg_monitor'", "'keeper'"); },
);

# A parameter or column with its value: with odds > 0, perhaps a nasty one
sub argument
{
	my ($name, $type, $odds) = @_;

	die "no values for type $type" if !$plain{$type};
	return "NULL::$type" if chance($odds * 0.15);
	return '(' . (chance($odds) ? $nasty{$type} : $plain{$type})->($name) . ")::$type";
}

#--- statements ------------------------------------------------------------------

my (@functions, @relations);

# How often a function is called, others being called once: rarely what goes over
# the whole store, and often what the others need.
my %weight = (
	airun_install => 0.02, airun_install_original => 0.02, airun_purge_runs => 0.1, airun_prune => 0.1, airun_erase_user => 0.1, airun_reprice => 0.1, airun_check => 0.1, airun_import_prices => 0.3, airun_grant => 0.2,
	airun_create_run => 5, airun_start_turn => 4, airun_create_task => 3, airun_append_message => 3, airun_finish_turn => 2, airun_stream_delta => 2,
	airun_restore_run => 2, airun_uuid => 0.1, airun_user_id => 0.3);
sub function_call
{
	my ($function, $odds) = @_;
	my ($name, $kind_of_it, @parameters) = @$function;
	my @arguments;

	if ($kind_of_it eq 'aggregate')
	{
		my @names = map { "x$_" } 0 .. $#parameters;
		return "SELECT $name(" . join(', ', @names) . ') AS t FROM (VALUES '
		  . join(', ', map { '(' . join(', ', map { argument($_->[0], $_->[1], $odds) } @parameters) . ')' } 0 .. draw(4))
		  . ') AS v (' . join(', ', @names) . ')';
	}
	for my $parameter (@parameters)
	{
		my ($parameter_name, $type, $optional) = @$parameter;

		# what says which row is mostly there; what is optional often not
		next if $optional && !chance($parameter_name =~ /^(?:run_id|task_id|id|messages?)$/ ? 0.85 : 0.3);
		push @arguments, ($parameter_name eq '' ? '' : "$parameter_name => ") . argument($parameter_name, $type, $odds);
	}
	return "SELECT $name() AS t" if $kind_of_it eq 'trigger';
	return "SELECT t FROM $name(" . join(', ', @arguments) . ') AS t';
}

# A statement on a view or table
sub row_statement
{
	my ($odds) = @_;
	my ($name, @columns) = @{ one_of(@relations) };
	my %type = map { @$_ } @columns;
	my ($key) = grep { $type{$_} } qw(task_id run_id id);
	my $where = defined $key ? " WHERE $key = " . argument($key, $type{$key}, 0) : '';
	my @some = map { one_of(@columns) } 0 .. draw(3);
	my %seen;

	@some = grep { !$seen{ $_->[0] }++ } @some;
	my $what = draw(10);
	if ($what < 5)
	{
		return "UPDATE $name SET " . join(', ', map { "$_->[0] = " . argument(@$_, $odds) } @some) . $where;
	}
	if ($what < 8)
	{
		unshift @some, grep { $_->[0] =~ /^(?:run_id|message|id)$/ && !$seen{ $_->[0] }++ } @columns;
		return "INSERT INTO $name (" . join(', ', map { $_->[0] } @some) . ') VALUES (' . join(', ', map { argument(@$_, $odds) } @some) . ')';
	}
	return "SELECT " . join(', ', map { $_->[0] } @some) . " FROM $name" . ($where || ' LIMIT 5') if $what < 9;
	return "DELETE FROM $name$where" . ($where ? '' : ' WHERE false');
}

# What is called, and its SQL
sub statement
{
	my $odds = one_of(0, 0, 0, 0.15, 0.15, 1);

	$time++;
	choose_subject();
	return ('rows', row_statement($odds)) if chance(0.12);
	my $function;
	do
	{
		$function = one_of(@functions);
	} until chance(($weight{ $function->[0] } // ($function->[1] eq 'trigger' ? 0.1 : 1)) / 5);
	return ($function->[0], function_call($function, $odds));
}

# Calls that make what the following ones are about, where it is not there yet
sub groundwork
{
	choose_subject();
	my ($run, $task) = map { literal($_) } run_id(), task_id();

	return (
		[ 'airun_create_run', "SELECT t FROM airun_create_run(id => $run) AS t" ],
		[ 'airun_restore_run', "SELECT t FROM airun_restore_run($run) AS t" ],
		[ 'airun_set_run_status', "SELECT t FROM airun_set_run_status($run, 'active') AS t" ],
		[ 'airun_start_turn', "SELECT t FROM airun_start_turn($run, " . json_literal(encode(message()), 'jsonb') . ", $task) AS t" ]);
}

# Who calls, under which settings.  Nobody here is a superuser.
my @claims = (
	undef,
	[ '{"sub": "joe", "role": "api"}', '{"sub":"joe"}' ],
	[ '{"sub": "10000000-0000-4000-8000-000000000002"}', '{"role": "api", "sub": "10000000-0000-4000-8000-000000000002"}' ],
	[ '', '{}', 'x', '[]', '{"sub": 1}', '{"sub": null}', '{"sub": ""}', '{"sub": "\\u0000"}', '{"sub": {"sub": "joe"}}', '{"sub": "\\ud800"}', '{"sub": "' . ('x' x 3000) . '"}',
		'null', '"joe"', ('[' x 9000) ]);
my @settings = (
	"statement_timeout = '1ms'", "statement_timeout = '2ms'", "statement_timeout = '3ms'", "statement_timeout = '7ms'", "lock_timeout = '1ms'",
	'airun.notify = on', 'airun.async_progress = on', 'airun.task_timeout = 1', "airun.user_id = 'joe'", "airun.user_id = '10000000-0000-4000-8000-000000000002'",
	'work_mem = 64', 'plan_cache_mode = force_custom_plan', 'plan_cache_mode = force_generic_plan', 'enable_seqscan = off', 'enable_indexscan = off', 'enable_bitmapscan = off',
	"TimeZone = 'Asia/Kathmandu'", "DateStyle = 'SQL, DMY'", "IntervalStyle = 'iso_8601'", "bytea_output = 'escape'", 'extra_float_digits = -15',
	'default_transaction_read_only = on', "default_transaction_isolation = 'repeatable read'", "default_transaction_isolation = 'serializable'",
	"client_encoding = 'LATIN1'", 'row_security = off', 'search_path = public, pg_temp', 'search_path = pg_catalog, public', 'max_stack_depth = 100',
	'constraint_exclusion = on', 'from_collapse_limit = 1', 'quote_all_identifiers = on', 'transform_null_equals = on',
	'debug_parallel_query = on', 'force_parallel_mode = on', 'xmloption = document', "lc_messages = 'C'", 'array_nulls = off', 'check_function_bodies = off');
sub scene
{
	my $role = chance(0.8) ? 'api' : chance(0.8) ? 'keeper' : 'naked';
	my @lines = ('RESET ALL', "SET SESSION AUTHORIZATION $role");

	$kind = 1 + draw(2);
	my $claims = one_of(@{ $claims[ chance(0.9) ? $kind : 3 ] });
	push @lines, 'SET request.jwt.claims = ' . literal($claims);
	push @lines, map { 'SET ' . one_of(@settings) } 1 .. draw(3);
	return @lines;
}

#--- scripts ---------------------------------------------------------------------

# Writes the script of a session: $number calls after $before->($call), which may
# give lines of its own.  Returns what each line calls.
sub write_script
{
	my ($file, $number, $before) = @_;
	my @called = ('');
	my $part = int($number / 20) || 1;
	my ($done, $next_part) = (0, 0);

	open(my $script, '>:raw', $file) or die "cannot write $file: $!";
	my $line = sub {
		my ($text, $calls) = @_;
		print $script $text, $text =~ /^\\|\\gset$/ ? "\n" : ";\n";
		push @called, $calls // '';
	};
	$line->($_) for '\set VERBOSITY verbose', '\set ON_ERROR_STOP off', 'SELECT pg_backend_pid() AS pid \gset', '\setenv PID :pid';
	# The stack takes what it will ever need: where memory runs out while it grows,
	# there is nothing but a crash, in any program.
	$line->($_) for "SET max_stack_depth = '6MB'", "SELECT repeat('[', 1000000)::json IS NULL", 'RESET max_stack_depth';

	# Once, each function as it is meant to be called, by somebody who may
	$time = 0;
	$kind = 1;
	$line->($_) for 'SET SESSION AUTHORIZATION keeper', "SET request.jwt.claims = '{\"sub\": \"joe\"}'", '\o /dev/null';
	for my $function (@functions)
	{
		for my $call (groundwork(), [ $function->[0], function_call($function, 0) ])
		{
			$line->($call->[1], "plain $call->[0]");
			$time++;
			$done++;
		}
	}
	$line->('\o');

	while ($done < $number)
	{
		if ($done >= $next_part)
		{
			# back to the superuser, to see how large the session is
			$line->($_) for 'SET statement_timeout = 0', 'SET statement_timeout = 0', 'RESET SESSION AUTHORIZATION', 'SELECT * FROM hostile.memory()';
			$next_part += $part;
		}
		$line->($_) for scene();
		if (chance(0.6))
		{
			$line->('\o /dev/null');
			for my $call (groundwork())
			{
				$line->($call->[1], "plain $call->[0]");
				$done++;
			}
			$line->('\o');
		}
		my $mode = one_of('batch', 'batch', 'plain', 'plain', 'transaction');
		my $length = 20 + draw(60);
		$length = $number - $done if $length > $number - $done;
		if ($mode eq 'batch')
		{
			for (my $left = $length; $left > 0; $left -= 20)
			{
				$line->($_) for $before->();
				my @calls = map { [ statement() ] } 1 .. ($left < 20 ? $left : 20);
				$line->("SELECT * FROM hostile.batch(@{[scalar @called]}, '{" . join(',', map { $_->[0] } @calls) . "}', ARRAY["
					  . join(', ', map { '$q$' . $_->[1] =~ s/^SELECT t /SELECT format('%s', t) /r . '$q$' } @calls) . '])',
					'batch ' . join(' ', map { $_->[0] } @calls));
			}
		}
		else
		{
			$line->('\o /dev/null');
			$line->('\set ON_ERROR_ROLLBACK ' . one_of('on', 'off')) if $mode eq 'transaction';
			$line->('BEGIN') if $mode eq 'transaction';
			for (1 .. $length)
			{
				$line->($_) for $before->();
				if ($mode eq 'transaction')
				{
					$line->('SAVEPOINT s') if chance(0.1);
					$line->(one_of('ROLLBACK TO s', 'RELEASE s')) if chance(0.2);
					if (chance(0.25))
					{
						$line->(one_of('COMMIT', 'COMMIT', 'ROLLBACK'));
						$line->('BEGIN' . one_of('', '', ' ISOLATION LEVEL REPEATABLE READ', ' ISOLATION LEVEL SERIALIZABLE', ' READ ONLY'));
					}
				}
				my ($name, $sql) = statement();
				$line->($sql, "plain $name");
			}
			$line->(one_of('COMMIT', 'ROLLBACK')) if $mode eq 'transaction';
			$line->('\set ON_ERROR_ROLLBACK off');
			$line->('\o');
		}
		$done += $length;
	}
	$line->($_) for 'SET statement_timeout = 0', 'SET statement_timeout = 0', 'RESET SESSION AUTHORIZATION', 'SELECT * FROM hostile.memory()';
	close $script;
	return \@called;
}

# Writes a script that calls each function once for each of its parameters that
# can be large and each kind of what is large, on a task of its own.
sub write_large
{
	my ($file) = @_;
	my @called = ('');
	my @fill = (
		# what it consists of, as text and in JSON, and how many bytes that has in JSON
		[ "'x'", 'x', 1 ], [ "E'\\x01'", '\u0001', 6 ], [ "'\"'", '\\"', 2 ], [ "E'\\u20AC'", '€', 3 ]);

	open(my $script, '>:raw', $file) or die "cannot write $file: $!";
	print $script "\\set VERBOSITY verbose\nSET SESSION AUTHORIZATION keeper;\nSET request.jwt.claims = '{\"sub\": \"joe\"}';\n\\o /dev/null\n";
	push @called, ('') x 4;
	$kind = 1;
	$time = 0;
	for my $function (@functions)
	{
		my ($name, $kind_of_it, @parameters) = @$function;

		for my $parameter (grep { $_->[1] =~ /^(?:text|jsonb)$/ } @parameters)
		{
			for my $fill (@fill)
			{
				my ($text, $in_json, $size) = @$fill;
				my @arguments;

				$number = 16 * ++$time;
				for my $other (@parameters)
				{
					my ($other_name, $type, $optional) = @$other;
					my $n = int($big / $size);
					my $value = $other != $parameter ? argument($other_name, $type, 0)
					  : $type eq 'text' ? "repeat($text, $big)"
					  : '(' . one_of(
						"'{\"role\": \"user\", \"content\": \"' || repeat('$in_json', $n) || '\"}'",
						"'{\"role\": \"user\", \"content\": [' || repeat('\"$in_json\",', " . int($n / 8) . ") || '1]}'",
						"'{\"' || repeat('$in_json', $n) || '\": 1}'",
						"'[' || repeat('{\"role\":\"user\",\"content\":\"$in_json\"},', " . int($n / 40) . ") || '1]'") . ')::jsonb';
					push @arguments, ($other_name eq '' ? '' : "$other_name => ") . $value if $other == $parameter || !$optional || $other_name =~ /^(?:run_id|task_id|id)$/;
				}
				print $script "SELECT airun_start_turn(task_id => '@{[task_id()]}', run_id => '@{[run_id()]}', messages => '{\"role\": \"user\", \"content\": \"x\"}', run => '{}');\n"
				  if $name !~ /^airun_(?:start_turn|create_run|create_task)$/;
				s/^\w* => // for $kind_of_it eq 'aggregate' ? @arguments : ();
				print $script $kind_of_it eq 'aggregate' ? "SELECT $name(" . join(', ', @arguments) . ") AS t FROM generate_series(1, 2);\n"
				  : "SELECT t FROM $name(" . join(', ', @arguments) . ") AS t;\n";
				push @called, '' if $name !~ /^airun_(?:start_turn|create_run|create_task)$/;
				push @called, "plain $name";
			}
		}
	}
	close $script;
	return \@called;
}

# Runs scripts at once, and says what came of their calls.  Each script is
# [database, file, what its lines call].
my (%tried, %succeeded, %states, %unexpected, %memory);
sub run_scripts
{
	my ($node, @scripts) = @_;
	my $timer = IPC::Run::timeout(quick_or_long(300, 6 * 3600));
	my @runs;

	for my $script (@scripts)
	{
		my ($database, $file) = @$script;
		push @runs,
		  IPC::Run::start(
			[ $node->installed_command('psql'), '-XAtq', '-F', "\t", '-d', $node->connstr($database), '-f', $file ],
			'<', '/dev/null', '>', "$file.out", '2>', "$file.err", $timer);
	}
	for my $i (0 .. $#scripts)
	{
		my ($database, $file, $called) = @{ $scripts[$i] };
		ok($runs[$i]->finish, "database $database: the session lived until the end")
		  or diag(`tail -n 5 $file.err`);
		tally($database, $file, $called);
	}
}

# Counts one result of a call
sub result
{
	my ($name, $state, $message, $where) = @_;

	$tried{$name}++;
	$states{$state}++;
	$succeeded{$name}++ if $state eq '00000';
	if ($state ne '00000' && !$allowed{$state} && !($allowed_of{$name} && $allowed_of{$name}{$state}))
	{
		$unexpected{"$state $name"} //= "$message ($where)";
	}
}

# Counts what a session did
sub tally
{
	my ($database, $file, $called) = @_;
	my %error_of;

	open(my $err, '<', "$file.err") or die "cannot read $file.err: $!";
	while (<$err>)
	{
		$error_of{$1} = [ $2, $3 ] if /^psql:[^:]*:(\d+): (?:ERROR|FATAL|PANIC):  (\w{5}): (.*)/;
	}
	open(my $out, '<', "$file.out") or die "cannot read $file.out: $!";
	while (<$out>)
	{
		chomp;
		my ($what, $name, $state, $message) = split /\t/;
		if ($what eq 'memory')
		{
			push @{ $memory{$database} }, [ $name, $state ];
		}
		elsif ($what =~ /^(\d+)$/)
		{
			result($name, $state, $message, "line $what of $file");
		}
	}
	for my $n (1 .. $#$called)
	{
		my ($mode, @names) = split / /, $called->[$n];
		my $error = $error_of{$n};

		# a batch has answered for itself, unless it was ended as a whole; a line
		# that calls nothing may fail all the same, but not anyhow
		if (defined $mode && $mode eq 'plain')
		{
			result($names[0], @{ $error // ['00000', ''] }, "line $n of $file");
		}
		elsif ($error)
		{
			result(defined $mode ? 'batch' : 'setting', @$error, "line $n of $file");
		}
	}
}

#--- the server ------------------------------------------------------------------

my $node = airun_node('hostile', store => 0, conf => <<'END');
fsync = off
full_page_writes = off
max_wal_size = 2GB
jit = off
# only what ends, and nothing of what is refused
log_min_messages = log
log_min_error_statement = panic
log_checkpoints = off
log_statement = none
log_connections = off
log_disconnections = off
airun.max_wait = '10ms'
END
$node->safe_psql('postgres', 'CREATE ROLE api; CREATE ROLE naked; CREATE ROLE keeper');
for my $database (@databases, 'starved', 'large')
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, "
		CREATE EXTENSION airun;
		GRANT CREATE ON DATABASE $database TO keeper;
		GRANT USAGE, CREATE ON SCHEMA public TO keeper;
		GRANT EXECUTE ON ALL ROUTINES IN SCHEMA public TO keeper WITH GRANT OPTION;
		GRANT USAGE ON SCHEMA public TO keeper WITH GRANT OPTION;
		SET ROLE keeper;
		SELECT airun_install();
		SELECT airun_grant('api');
		RESET ROLE;
		CREATE SCHEMA hostile;
		GRANT USAGE ON SCHEMA hostile TO public;
	" . <<'END');
-- Calls one after another, each in a subtransaction, and says what came of it
CREATE FUNCTION hostile.batch(line int, names text[], calls text[],
	OUT line_number int, OUT name text, OUT state text, OUT message text) RETURNS SETOF record
LANGUAGE plpgsql AS $$
BEGIN
	line_number := line;
	FOR i IN 1 .. cardinality(calls) LOOP
		name := names[i];
		state := '00000';
		message := '';
		BEGIN
			EXECUTE calls[i];
		EXCEPTION WHEN OTHERS THEN
			state := SQLSTATE;
			message := translate(left(SQLERRM, 200), E'\n\t', '  ');
		END;
		RETURN NEXT;
	END LOOP;
END $$;
-- How large the backend is: what it has of memory in kB, and of that in contexts, but for
-- those that grow with what the store has, and with time zones that are named
CREATE FUNCTION hostile.memory(OUT text, OUT int, OUT bigint) LANGUAGE sql AS $$
	SELECT 'memory', split_part(split_part(pg_read_file('/proc/self/status'), 'RssAnon:', 2), 'kB', 1)::int,
		(SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts WHERE name NOT IN ('airun price cache', 'Timezones'))::bigint
$$;
END
}

# What SQL can call: aggregates, but not what they are made of
@functions = map {
	my ($name, $kind_of_it, @rest) = split /\|/, $_, -1;
	[ $name, $kind_of_it, map { [ split /:/ ] } @rest ]
} split /\n/, $node->safe_psql('one', <<'END');
SELECT p.proname || '|' || CASE WHEN p.prokind = 'a' THEN 'aggregate'
		WHEN p.prorettype = 'trigger'::regtype THEN 'trigger' ELSE '' END || coalesce('|' || (
		SELECT string_agg(coalesce(p.proargnames[n], '') || ':' || format_type(p.proargtypes[n - 1], NULL) || ':' || (n > p.pronargs - p.pronargdefaults)::int, '|' ORDER BY n)
		FROM generate_series(1, p.pronargs) AS n), '')
FROM pg_depend AS d
JOIN pg_proc AS p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'airun' AND d.deptype = 'e' AND 'internal'::regtype <> ALL (p.proargtypes)
	AND p.proname NOT LIKE 'airun\_store\_%'	-- lists without arguments
	AND p.prokind <> 'p'	-- which only the owner may call, in no transaction
	-- a budget would refuse most of what comes after; sql/budget.sql has what is none
	AND p.proname NOT IN ('airun_set_budget', 'airun_credit_budget',
		-- and partitions would be those of all databases' clients: sql/partition.sql
		'airun_partition', 'airun_add_partitions', 'airun_drop_partitions',
		-- nor is there a proxy: 070_shards; and who is erased is missed by what comes after
		'airun_install_shard', 'airun_install_proxy', 'airun_shards', 'airun_erase_user')
ORDER BY p.proname COLLATE "C"
END
@relations = map {
	my ($name, @columns) = split /\|/;
	[ $name, map { [ split /:/ ] } @columns ]
} split /\n/, $node->safe_psql('one', <<'END');
SELECT format('%I.%I', c.relnamespace::regnamespace, c.relname) || '|' || string_agg(a.attname || ':' || format_type(a.atttypid, NULL), '|' ORDER BY a.attnum)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE (c.relnamespace = 'airun'::regnamespace AND c.relkind = 'r' AND c.relname IN ('runs', 'tasks', 'messages', 'prices')
		OR c.relkind = 'v' AND c.relname LIKE 'ai\_%' AND c.relname !~ '^ai_(calls|usage|runs_|tasks_)' -- which nobody writes but the owner
			AND c.relnamespace = 'public'::regnamespace)
	AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY c.oid ORDER BY c.oid::regclass::text COLLATE "C"
END
cmp_ok(scalar @functions, '>=', 40, 'the catalogue has functions');
cmp_ok(scalar @relations, '>=', 8, 'and relations');

my $dir = PostgreSQL::Test::Utils::tempdir();
my $no_more = sub { return (); };

#--- any call --------------------------------------------------------------------

{
	my @scripts;
	for my $i (0 .. $#databases)
	{
		$state = ($seed + $i * 7919) % 4294967296;
		push @scripts, [ $databases[$i], "$dir/$databases[$i].sql", write_script("$dir/$databases[$i].sql", $calls / @databases, $no_more) ];
	}
	run_scripts($node, @scripts);
}

# A session that has seen everything once does not grow any more.  The first
# half is warm-up: caches fill, and the allocator takes its share.  Of some
# measurements the least counts, since a large value may be cached for a while,
# where a leak stays.  What is behind the contexts the C library keeps as it sees
# fit: up to 64 MB at the end of the heap, once it has seen values of half of that.
for my $database (@databases)
{
	my @points = @{ $memory{$database} };
	my @growth = map {
		my $n = $_;
		my @sizes = map { $_->[$n] } @points;
		(sort { $a <=> $b } @sizes[ -5 .. -1 ])[0] - (sort { $a <=> $b } @sizes[ @sizes / 2 - 2 .. @sizes / 2 + 2 ])[0];
	} 0, 1;

	note("database $database, kB in all and in contexts: ", join(', ', map { "$_->[0] $_->[1]" } @points));
	cmp_ok($growth[0], '<', 80 * 1024, "database $database: the session's memory is flat (kB)");
	cmp_ok($growth[1], '<', 4 * 1024, "database $database: and so are its memory contexts (kB)");
}

#--- with the memory running out, and with large values --------------------------

{
	# The session may have some more than it has at the moment
	my $limit = sub {
		return if !chance(0.25);
		return ('\! prlimit --pid $PID --as=unlimited:') if chance(0.1);
		my $more = one_of(0, 0, 100, 500, 2000, 8000);
		return "\\! prlimit --pid \$PID --as=\$(( (\$(sed -n 's/^VmSize:[^0-9]*\\([0-9]*\\).*/\\1/p' /proc/\$PID/status) + $more) * 1024 )):";
	};
	$state = ($seed + 104729) % 4294967296;
	$long = 0.25;
	my $called = write_script("$dir/starved.sql", $starved_calls, $limit);

	# and one that surely is too much
	append_to_file("$dir/starved.sql", join("\n", 'ROLLBACK;', 'SET statement_timeout = 0;',
		q(\! prlimit --pid $PID --as=$(( ($(sed -n 's/^VmSize:[^0-9]*\([0-9]*\).*/\1/p' /proc/$PID/status) + 8000) * 1024 )):),
		"SELECT t FROM airun_json(repeat('x', 200000000)) AS t;", ''));
	push @$called, ('') x 3, 'plain airun_json';
	run_scripts($node, [ 'starved', "$dir/starved.sql", $called ], [ 'large', "$dir/large.sql", write_large("$dir/large.sql") ]);
}

#--- what has come of it ---------------------------------------------------------

is(join("\n", map { "$_: $unexpected{$_}" } sort keys %unexpected), '', 'no SQLSTATE that is not allowed')
  or diag("AIRUN_SEED=$seed");
is(join(' ', grep { !$tried{$_} } map { $_->[0] } @functions), '', 'every function has been called');
is(join(' ', grep { !$succeeded{$_} } map { $_->[0] } grep { $_->[1] ne 'trigger' } @functions), '', 'and has succeeded as well');
cmp_ok($states{'53200'} // 0, '>', 0, 'memory has run out');
cmp_ok($states{'57014'} // 0, '>', 0, 'and statements have been cancelled');
note('SQLSTATEs: ', counts(\%states));
note('calls: ', counts(\%tried));
is(join('', grep { /PANIC|terminated by signal|server process .* exited|Failed process was running/ } split /^/, slurp_file($node->logfile)), '', 'no backend has ended');
check_ok($node, 'after all that', $_) for @databases, 'starved', 'large';
my $made = 0;
$made += $_ for values %tried;
proven('hostile calls', $made);

done_testing();
