# test/run import: a file that is read piece by piece gives the runs that airun_import()
# makes of all of it, wherever a piece ends and whatever it is packed in; what cannot
# come in is told with its place.

use strict;
use warnings;

use AirunTest;
use File::Temp qw(tempdir);
use IO::Compress::Gzip qw(gzip);
use IO::Compress::Zip qw(zip);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = airun_node('files', conf => "fsync = off\n");
my $json = JSON::PP->new->utf8(0)->allow_nonref->canonical;
my $folder = tempdir(CLEANUP => 1);

$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;
$ENV{PGDATABASE} = 'postgres';
$ENV{PSQL} = $node->installed_command('psql');
delete @ENV{qw(PGUSER)};

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub quote { my ($text) = @_; my $tag = 'd'; $tag .= 'd' while index($text, "\$$tag\$") >= 0; return "\$$tag\$$text\$$tag\$"; }

sub put_file
{
	my ($name, $content) = @_;
	open my $file, '>:raw', "$folder/$name" or die "$folder/$name: $!";
	print $file $content;
	close $file;
	return "$folder/$name";
}

# Runs it; its status, what it has said at the end, and its problems
sub import
{
	my ($user, @files) = @_;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'test/run', 'import', '-u', $user, @files ], '>', \$out, '2>', \$err);
	$err =~ s/\Q$folder\E\///g;
	$out =~ s/, [0-9,]+ messages a second//;
	return ($? >> 8, $out, $err);
}

# What a user has: runs, with their messages and forks, and tasks
sub state_of
{
	my ($user) = @_;
	return sql("SELECT md5(string_agg(t, '|' ORDER BY t)), count(*) FROM (SELECT concat_ws('/', r.name, r.is_listed, r.created_at, r.metadata - 'import', m.seq, m.message, m.created_at)
		FROM airun.runs AS r LEFT JOIN airun.messages AS m ON m.run_id = r.id WHERE r.user_id = airun_user_uuid('$user') AND r.created_at < '2026-07-01' AND m.created_at < '2026-07-01'
		UNION ALL SELECT concat_ws('/', t.model_id, t.usage, t.status) FROM airun.tasks AS t WHERE t.user_id = airun_user_uuid('$user')
		UNION ALL SELECT 'messages ' || count(*) FROM airun.messages AS m JOIN airun.runs AS r ON r.id = m.run_id WHERE r.user_id = airun_user_uuid('$user')) AS s (t)");
}

#--- as airun_import() does it -------------------------------------------------------

my @documents = map { $json->decode($_)->{document} } grep { /\S/ } split /\n/, slurp_file('test/sample-conversations.jsonl');
my $exports = ($ENV{AIRUN_DATA} // '') . '/exports';
push @documents, map { slurp_file($_) } grep { !/expected/ } glob("$exports/*.json* $exports/real/*.json*") if $ENV{AIRUN_LONG};

for my $chunk ($ENV{AIRUN_LONG} ? (1, 7, 1000) : 61)
{
	local $ENV{AIRUN_IMPORT_CHUNK} = $chunk;
	local $ENV{AIRUN_IMPORT_BATCH} = 1000;
	my @files = map { put_file("$chunk-$_.json", $documents[$_]) } 0 .. $#documents;

	sql("SET airun.user_id = 'whole $chunk'; " . join ' ', map { 'SELECT airun_import(' . quote($_) . ');' } @documents);
	my ($status, $out, $err) = import("part $chunk", @files);
	is($status, 1, "in pieces of $chunk: there are entries that do not come in");
	is(state_of("part $chunk"), state_of("whole $chunk"), "in pieces of $chunk: the same runs, messages and tasks");
	my $before = state_of("part $chunk");
	import("part $chunk", @files);
	is(state_of("part $chunk"), $before, "in pieces of $chunk: the same again changes nothing");
}
is(sql('SELECT count(*) FROM airun_check()'), 0, 'what has come in is in order');

#--- archives ------------------------------------------------------------------------

my $odd = "back\\\\slash \\\"quoted\\\" tab\\t ]}[{ \xc3\xa9 ";
my @chats = map { my $text = $odd . '\n' x ($_ == 7 ? 5000 : 1); qq({"uuid": "c$_", "name": "Chat $_", "chat_messages": [{"uuid": "m$_", "sender": "human", "text": "$text", "created_at": "2025-01-01T00:00:00Z"}]}) } 1 .. 1203;
my $list = "[\n" . join(",\n", @chats) . "\n]\n";
my $said = "1,203 conversations with 1,203 messages and 0 other branches, 0 problems\n";

is_deeply([ import('list', put_file('list.json', $list)) ], [ 0, $said, '' ], 'a list');
is_deeply([ import('lines', put_file('lines.jsonl', join "\n", @chats)) ], [ 0, $said, '' ], 'lines');
is_deeply([ import('wrapped', put_file('wrapped.json', qq(\xef\xbb\xbf {"version": 1, "data": [{"a": 1}], "conversations": $list, "more": 2}))) ], [ 0, $said, '' ], 'a list within an object');
gzip(\$list, "$folder/list.json.gz") or die;
is_deeply([ import('gzip', "$folder/list.json.gz") ], [ 0, $said, '' ], 'a gzip');
put_file('conversations.json', $list);
put_file('users.json', '[{"uuid": "u", "full_name": "Ann"}]');
put_file('picture.png', "\x89PNG");
put_file('more.jsonl', $chats[0]);
zip([ map { "$folder/$_" } qw(picture.png users.json conversations.json more.jsonl) ] => "$folder/export.zip", FilterName => sub { s{.*/}{archive/} }) or die;
is_deeply([ import('zip', "$folder/export.zip") ], [ 0, $said =~ s/1,203/1,204/gr, '' ], 'a zip, without what is known to be no conversation');
is(sql("SELECT count(*) FROM airun.runs WHERE user_id = airun_user_uuid('zip')"), 1203, 'the one that was in it twice is there once');
is(sql("SELECT count(*) FROM airun.runs WHERE name = 'Chat 7'"), 5, 'each user has a run of his own');
is(sql("SELECT DISTINCT message ->> 'content' = E'back\\\\slash \"quoted\" tab\\t ]}[{ é ' || repeat(E'\\n', CASE name WHEN 'Chat 7' THEN 5000 ELSE 1 END) FROM airun.messages AS m JOIN airun.runs AS r ON r.id = m.run_id WHERE r.user_id = airun_user_uuid('list')"), 't', 'texts come in as they are');

#--- what does not come in -----------------------------------------------------------

my ($one, $two) = @chats[0, 1];
my @refused = (
	[ "[$one, {\"what\": 1}, $two]", 'entry 1: no format of conversations is recognised in an object with the keys "what"' ],
	[ "[$one, $two, {\"uuid\": \"c9\", \"chat_mess", 'entry 2: not valid JSON: the file ends within it' ],
	[ "[$one, {\"uuid\": \"c9\", \"chat_messages\": [{\"text\": \"\xff\"}]}, $two]", 'entry 1: not UTF-8' ],
	[ "[$one, {\"uuid\": \"c9\", \"chat_messages\": [{\"text\": \"\0\"}]}, $two]", 'entry 1: it holds a byte that is 0' ],
	[ "[$one, {\"uuid\": \"c9\", \"chat_messages\": [{\"text\": \"" . 'x' x 90_000 . "\"}, {\"text\": \"y\"}]}, $two]", 'entry 1: a conversation of more than 60000 bytes' ],
	[ "{\"mapping\": {\"a\": \"" . 'x' x 90_000 . "\"}}", 'entry 0: an object of more than 60000 bytes' ],
	[ '', 'entry 0: the document is empty' ],
	[ "PNG", 'entry 0: no JSON' ],
	[ "[$one, x", 'entry 1: not valid JSON' ]);

$ENV{AIRUN_IMPORT_LARGEST} = 60_000;
$ENV{AIRUN_IMPORT_CHUNK} = 1000;
for my $case (0 .. $#refused)
{
	my ($document, $problem) = @{ $refused[$case] };
	my ($status, $out, $err) = import("refused $case", put_file('refused.json', $document));
	my $good = () = $document =~ /"Chat \d+"/g;

	is($status, 1, "$problem: status");
	like($err, qr/^refused\.json: \Q$problem\E/, "$problem: said");
	is(sql("SELECT count(*) FROM airun.runs WHERE user_id = airun_user_uuid('refused $case')"), $good, "$problem: the others come in");
}
my ($status, $out, $err) = import('nobody', "$folder/there-is-none.json");
is_deeply([ $status, $err ], [ 2, "import: there-is-none.json: there is no such file\n" ], 'no such file');
($status, $out, $err) = import('nobody');
is($status, 2, 'no file: status');
like($err, qr/^Usage: /, 'no file: how to call it');
($status, $out, $err) = import('nobody', '-f', 'wordstar', put_file('one.json', "[$one]"));
is($status, 2, 'an error of the whole call: status');
like($err, qr/PT422|"wordstar" is not a format.*import: psql has stopped/s, 'an error of the whole call: said');

done_testing();
