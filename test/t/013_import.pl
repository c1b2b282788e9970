# Conversations of other systems: each sample comes in as it should, with its
# branches, once however often; and whatever becomes of a document, each entry gives
# a row, no conversation comes in by half, and no error is an internal one.
#
# What airun_export() writes is read back without a loss.
#
# AIRUN_EXPORTS names a folder with more files and their expected.json, such as
# shared/data/exports; the long form takes exports of AIRUN_DATA.

use strict;
use warnings;

use AirunTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = airun_node('import', conf => "fsync = off\n");
my $json = JSON::PP->new->utf8(0)->allow_nonref->canonical;
my $mutations = $ENV{AIRUN_LONG} ? 10_000 : 1_000;
my $folder = $ENV{AIRUN_EXPORTS} // ($ENV{AIRUN_LONG} ? ($ENV{AIRUN_DATA} // '') . '/exports' : '');
my $expected = -e "$folder/expected.json" ? $json->decode(slurp("$folder/expected.json")) : {};

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub slurp
{
	open my $file, '<:raw', $_[0] or die "$_[0]: $!";
	local $/;
	return <$file>;
}

sub quote { my ($text) = @_; my $tag = 'd'; $tag .= 'd' while index($text, "\$$tag\$") >= 0; return "\$$tag\$$text\$$tag\$"; }

sql(<<'SQL');
CREATE ROLE app LOGIN;
SELECT airun_grant('app');
-- the roles of a run's messages, a letter each
CREATE FUNCTION roles(run uuid) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(CASE role WHEN 'function' THEN 'f' ELSE left(role, 1) END, '' ORDER BY seq) FROM ai_messages WHERE run_id = run $$;
-- what comes of a document: an error's SQLSTATE, or nothing where all is as it should be
CREATE FUNCTION odd(document text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	rows int;
BEGIN
	SELECT count(*) INTO rows FROM airun_import(document) AS i WHERE (i.run_id IS NULL) = (i.problem IS NOT NULL);
	RETURN CASE rows WHEN 0 THEN 'no row' END;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
GRANT EXECUTE ON FUNCTION roles, odd TO PUBLIC;
SQL

#--- each sample ------------------------------------------------------------------

my @samples = map { $json->decode($_) } grep { /\S/ } split /\n/, slurp('test/sample-conversations.jsonl');

sub imported
{
	my ($document) = @_;
	my $rows = $node->safe_psql('postgres',
		"SET airun.user_id = 'import'; SELECT to_json(i) || E'\\x1' || coalesce(roles(i.run_id), '') || E'\\x1' || coalesce((SELECT metadata #>> '{import,format}' FROM ai_runs WHERE id = i.run_id), '') FROM airun_import("
		  . quote($document) . ") AS i ORDER BY i.position", extra_params => [ '-U', 'app' ]);
	return map { my ($row, $roles, $format) = split /\x1/; +{ %{ $json->decode($row) }, roles => $roles, format => $format } } split /\n/, $rows;
}

for my $sample (@samples)
{
	my @rows = imported($sample->{document});
	my @formats = grep { $_ ne '' } map { $_->{format} } @rows;

	is_deeply([ map { $_->{roles} // '' } @rows ], $sample->{stored}, "$sample->{what}: the messages");
	is_deeply([ map { $_->{fork_count} } @rows ], $sample->{forks}, "$sample->{what}: the branches");
	is(join(',', grep { $_ ne $sample->{format} } @formats), '', "$sample->{what}: its format is found");
	ok(!(grep { ($_->{roles} eq '') != defined $_->{problem} } @rows), "$sample->{what}: a reason for each that is none");
}
my $state = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM (SELECT r::text FROM airun.runs AS r UNION ALL SELECT m::text FROM airun.messages AS m UNION ALL SELECT t::text FROM airun.tasks AS t) AS s (t)";
my $before = sql($state);
imported($_->{document}) for @samples;
is(sql($state), $before, 'the same again changes nothing');
is(sql("SELECT count(*) FROM airun_check()"), 0, 'what has come in is in order');

#--- files of others ---------------------------------------------------------------

SKIP:
{
	skip 'no folder of exports', 1 if !%$expected;
	for my $name (sort keys %$expected)
	{
		my @rows = imported(slurp("$folder/$name"));
		my @want = @{ $expected->{$name} };

		is_deeply([ map { $_->{roles} } @rows ], [ map { $_->{stored} } @want ], "$name: the messages");
		is_deeply([ map { defined $_->{fork_count} ? $_->{fork_count} + 1 : 0 } @rows ], [ map { $_->{branches} } @want ], "$name: the branches");
		is_deeply([ map { $want[$_]{branches} && length($want[$_]{name} // '') ? $rows[$_]{name} : '' } 0 .. $#want ],
			[ map { $_->{branches} ? $_->{name} // '' : '' } @want ], "$name: the names");
	}
}

#--- there and back ------------------------------------------------------------------

# What a document says, without what its format does not hold or nobody means: ids of
# runs and spans, times, the order of keys within a string, empty messages, and where
# neighbouring texts part.
sub settled
{
	my ($value) = @_;

	if (ref $value eq 'HASH')
	{
		my %copy = map { $_ => settled($value->{$_}) } grep { !/^(traceId|spanId|startTimeUnixNano|endTimeUnixNano|metadata)$/ } keys %$value;
		return \%copy;
	}
	if (ref $value eq 'ARRAY')
	{
		my @list;
		for my $element (map { settled($_) } @$value)
		{
			my $said = ref $element eq 'HASH' ? $element->{content} // $element->{parts} : 'x';
			next if ref $element eq 'HASH' && exists $element->{role} && (!defined $said || $said eq '' || ref $said eq 'ARRAY' && !@$said) && !$element->{tool_calls};
			my ($key) = grep { ref $element eq 'HASH' && ref $list[-1] eq 'HASH' && exists $element->{$_} && exists $list[-1]{$_} && keys %$element == keys %{ $list[-1] }
				  && join(',', map { $_ . ($element->{type} // '') } sort keys %$element) eq join(',', map { $_ . ($list[-1]{type} // '') } sort keys %{ $list[-1] })
				  && !$element->{role} && !$element->{from} && !$element->{thought} && !grep { !/^(type|text|content)$/ } keys %$element } qw(text content);
			if (@list && defined $key) { $list[-1]{$key} .= $element->{$key}; }
			else { push @list, $element; }
		}
		return \@list;
	}
	return 'ID' if defined $value && $value =~ /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
	return settled($json->decode($value)) if defined $value && $value =~ /^[\[{]/ && eval { $json->decode($value) };
	return $value;
}

# What comes in otherwise: results without a call, the place of a call without a result, and
# an answer that says nothing
my %odd = map { $_ => 1 } split /\n/, <<'ODD';
ai-sdk ai-sdk-ui.json
anthropic ai-sdk-ui.json
gemini ai-sdk-ui.json
otel ai-sdk-ui.json
ai-sdk chatgpt-001.json
ai-sdk langchain-flat.jsonl
ai-sdk sharegpt.jsonl
ai-sdk openwebui.json
otel openwebui.json
ODD

my %documents = ((map { $_->{what} => $_->{document} } @samples), map { $_ => slurp("$folder/$_") } keys %$expected);
sql('CREATE TABLE documents (what text, document text); GRANT ALL ON documents TO app; ' .
	join(' ', map { 'INSERT INTO documents VALUES (' . quote($_) . ', ' . quote($documents{$_}) . ');' } sort keys %documents));
my $trips = $node->safe_psql('postgres', <<'SQL', extra_params => [ '-U', 'app' ]);
SET airun.user_id = 'one way';
CREATE TEMP TABLE brought AS SELECT what, run_id FROM documents, airun_import(document);
CREATE TEMP TABLE out AS SELECT what, run_id, format, airun_export(run_id, format) AS document
	FROM brought JOIN ai_runs AS r ON r.id = run_id, unnest('{openai,responses,anthropic,gemini,ai-sdk,sharegpt,otel}'::text[]) AS format;
SET airun.user_id = 'and back';
CREATE TEMP TABLE back AS SELECT what, out.run_id, out.format, i.run_id AS copy, i.problem FROM out LEFT JOIN LATERAL airun_import(document) AS i ON true;
SELECT json_build_array(what, format, document, CASE WHEN copy IS NOT NULL THEN airun_export(copy, format) END, problem) FROM out JOIN back USING (what, run_id, format);
SQL
my ($same, @differ) = (0);
for my $trip (map { $json->decode($_) } split /\n/, $trips)
{
	my ($what, $format, $there, $back, $problem) = @$trip;
	my ($one, $two) = map { defined ? $json->encode(settled($json->decode($_))) : '' } $there, $back;
	next if defined $problem && $one =~ /\[\]/;		# the format holds nothing of it
	if ($one eq $two) { $same++; }
	elsif (!$odd{"$format $what"}) { push @differ, "$format $what\n\t$one\n\t$two " . ($problem // ''); }
}
is(join("\n", @differ), '', 'what is exported and imported by another user is exported as it was');
cmp_ok($same, '>', 7 * @samples / 2, "$same documents went there and back");
is(sql("SELECT count(*) FROM airun_check()"), 0, 'what has come back is in order');

#--- whatever becomes of a document --------------------------------------------------

my @values = (undef, 7, 'x', [], '', -1.5, 1e300, {}, JSON::PP::true, [1], [ 'a', undef ]);

# A place in a document, as a reference to what stands there
sub places
{
	my ($place) = @_;
	my $value = $$place;
	my @below = ref $value eq 'HASH' ? map { \$value->{$_} } sort keys %$value : ref $value eq 'ARRAY' ? map { \$_ } @$value : ();

	return ($place, map { places($_) } @below);
}

sub mutated
{
	my ($document) = @_;
	if (rand() < 0.25)
	{
		my $cut = substr($document, 0, int rand length $document);
		$cut =~ s/[\xC0-\xFF][\x80-\xBF]*\z//;
		return $cut;
	}
	my @lines = eval { $json->decode($document); 1 } ? ($document) : split /\n/, $document;
	my $line = int rand @lines;
	my $value = $json->decode($lines[$line]);
	my @places = places(\$value);
	${ $places[ rand @places ] } = $values[ rand @values ];
	$lines[$line] = $json->encode($value);
	return join "\n", @lines;
}

srand(20261127);
my @texts = map { $documents{$_} } sort keys %documents;
my @queries = map { 'SELECT odd(d), d FROM (SELECT ' . quote(mutated($texts[ rand @texts ])) . ') AS s (d) WHERE odd(d) IS NOT NULL;' } 1 .. $mutations;
is($node->safe_psql('postgres', join("\n", "SET airun.user_id = 'mutations';", @queries), extra_params => [ '-U', 'app' ]), '',
	"$mutations documents that are cut or have another value somewhere give rows, and no error");
is(sql("SELECT count(*) FROM airun_check()"), 0, 'none has come in by half');
is(sql("SELECT count(*) FROM airun.runs AS r WHERE r.message_count = 0 OR (r.forked_from IS NULL) <> r.is_listed"), 0, 'each run has messages, and forks are not listed');

done_testing();
