#!/usr/bin/perl
#
# import.pl: archives of conversations brought in by airun_import(), part by part
#
# test/run import runs it; it knows nothing of the throwaway server of the tests, and
# connects as psql does (PGHOST, PGDATABASE, ...).
#
# What it guarantees:
# - Memory is bounded: a file is read in pieces, and taken apart at its top level into
#   conversations, of which some megabytes at a time go to the server, by COPY into a
#   temporary table, each batch in a transaction of its own.
# - What comes in is what airun_import() would make of the whole file.  A file in which
#   each entry is a message, or a row of one, goes there whole.
# - Imported again, or after it has been interrupted, nothing is doubled.
# - Each entry that does not come in is told with its place and the reason, and the
#   others come in.  Then it ends with 1, and with 2 where it cannot go on.
#
# FILE may be JSON, JSON lines, a gzip or a zip of these, or - for the standard input.
# In a zip, all files *.json and *.jsonl are read but those that are known to hold no
# conversation.
#
# Environment: PSQL, the program (psql); for tests AIRUN_IMPORT_CHUNK, how much is read
# at a time, AIRUN_IMPORT_BATCH, how much is sent, AIRUN_IMPORT_LARGEST, the largest
# conversation, in bytes.
#
use strict;
use warnings;

use Getopt::Long qw(GetOptionsFromArray :config bundling);
use IPC::Open2;
use Time::HiRes qw(time);

my $chunk = $ENV{AIRUN_IMPORT_CHUNK} || 1 << 20;
my $batch_bytes = $ENV{AIRUN_IMPORT_BATCH} || 8 << 20;
my $batch_entries = 500;
my $largest = $ENV{AIRUN_IMPORT_LARGEST} || 255 << 20;    # what jsonb holds
my $looked_at = 20;    # entries by which it is told what a file holds, as recognise.c does

# Keys of an object that is a conversation, which messages and rows of them have not
my %conversation_key = map { $_ => 1 } qw(mapping chat_messages chat history messages messagesTree chunkedPrompt conversations
  conversation contents products resourceSpans spans attributes prompt source_type ai_runs);

# Keys of an object under which a list of conversations may stand
my %wrapper = map { $_ => 1 } qw(conversations chats data items history);

# Files of ChatGPT's and Claude's archives that hold none
my %no_conversations = map { $_ => 1 } qw(user users message_feedback model_comparisons shared_conversations group_chats shopping sora
  projects memories export_manifest);

my %options;
my %sum = (runs => 0, messages => 0, forks => 0, problems => 0);
my ($bytes_all, $bytes_done, $begun, $shown) = (0, 0, time, 0);
my ($to_psql, $from_psql, $psql);
my $sent;    # the document that the server has and has not answered

sub fail { print STDERR "\n" if $shown; print STDERR "import: @_\n"; exit 2; }

#--- the server --------------------------------------------------------------------

# Starts psql, which ends at the first error.
sub connect_psql
{
	local $ENV{PGCLIENTENCODING} = 'UTF8';
	local $SIG{PIPE} = 'IGNORE';
	$psql = open2($from_psql, $to_psql, $ENV{PSQL} || 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-F', "\t",
		$options{database} ? ('-d', $options{database}) : ());
	binmode $_ for $to_psql, $from_psql;
	say_to_psql("SET client_min_messages = warning; CREATE TEMP TABLE airun_document (document text);");
	answer_of_psql();
	return if !defined $options{user};
	say_to_psql('SELECT set_config(\'airun.user_id\', ' . quote($options{user}) . ', false);');
	answer_of_psql();
}

sub quote { my ($text) = @_; return 'NULL' if !defined $text; $text =~ s/'/''/g; $text =~ s/\\/\\\\/g; return " E'$text'"; }

# Sends statements.
sub say_to_psql
{
	my ($statements) = @_;

	local $SIG{PIPE} = sub { fail('the server has gone away, or psql has stopped at an error') };
	print $to_psql $statements, "\n\\echo airun-end\n";
	$to_psql->flush;
}

# The lines that the statements give that were sent last
sub answer_of_psql
{
	my @lines;

	while (defined(my $line = <$from_psql>))
	{
		chomp $line;
		return @lines if $line eq 'airun-end';
		push @lines, $line;
	}
	fail('psql has stopped at an error; what was brought in before stays, and the same call goes on');
}

# Brings a document in, whose entries are counted from $first.  The server works on while
# the next is read: what has become of it, settle() tells.
sub send_document
{
	my ($name, $document, $first, @entries) = @_;
	my $format = quote($options{format});
	my $for_user = quote($options{'for-user'});

	settle();
	$document =~ s/\\/\\\\/g;
	$document =~ s/\n/\\n/g;
	$document =~ s/\r/\\r/g;
	$document =~ s/\t/\\t/g;
	say_to_psql(<<"SQL");
BEGIN;
TRUNCATE airun_document;
COPY airun_document FROM STDIN;
$document
\\.
CREATE TEMP TABLE airun_rows ON COMMIT DROP AS SELECT i.* FROM airun_document, airun_import(document, $format, $for_user) AS i;
SELECT count(run_id), coalesce(sum(message_count), 0), coalesce(sum(fork_count), 0) FROM airun_rows;
SELECT "position" + $first, translate(problem, E'\\t\\n\\r', '   ') FROM airun_rows WHERE problem IS NOT NULL ORDER BY 1;
COMMIT;
SQL
	$sent = { name => $name, first => $first, entries => \@entries };
}

# Waits for the document that was sent last, and counts what has come in.  Of several
# entries of which one is no JSON, each is sent alone.
sub settle
{
	my $document = $sent or return;

	undef $sent;
	my ($counts, @problems) = answer_of_psql();
	if (@{ $document->{entries} } > 1 && @problems == 1 && $problems[0] =~ /^\d+\tnot valid JSON/)
	{
		send_document($document->{name}, "[$document->{entries}[$_]]", $document->{first} + $_) for 0 .. $#{ $document->{entries} };
		return settle();
	}
	my ($runs, $messages, $forks) = split /\t/, $counts;
	$sum{runs} += $runs;
	$sum{messages} += $messages;
	$sum{forks} += $forks;
	tell_problem($document->{name}, split /\t/, $_, 2) for @problems;
}

sub tell_problem
{
	my ($name, $position, $reason) = @_;

	$sum{problems}++;
	print STDERR "\r\e[K" if $shown;
	print STDERR "$name: entry $position: $reason\n";
}

#--- progress ----------------------------------------------------------------------

sub with_commas { my ($n) = @_; 1 while $n =~ s/^(\d+)(\d{3})/$1,$2/; return $n; }

# Shows how far it is, where somebody looks on, five times a second at most.
sub show_progress
{
	my ($done) = @_;
	my $now = time;

	return if !-t STDERR || $now - $shown < 0.2;
	my $part = $bytes_all > 0 ? ($bytes_done + $done) / $bytes_all : 0;
	$part = 1 if $part > 1;
	printf STDERR "\r\e[K[%-30s] %3d %%  %s messages, %s a second", '#' x int(30 * $part), 100 * $part,
	  with_commas($sum{messages}), with_commas(int($sum{messages} / ($now - $begun + 0.001)));
	$shown = $now;
}

#--- reading JSON ------------------------------------------------------------------

# A text that is read piece by piece: the place where it is, where what is still needed
# begins, and a function that gives the next bytes, '' at the end.
sub new_text { my ($read) = @_; return { buffer => '', at => 0, kept => 0, read => $read }; }

# Reads on, and drops what is not needed any more: only here, since the buffer is copied
# by it.  Returns by how much places have moved, and whether there was more.  The piece
# grows with what is kept, so that it is not looked through too often.
sub read_on
{
	my ($text) = @_;
	my $moved = $text->{kept};

	substr($text->{buffer}, 0, $moved, '');
	$text->{kept} = 0;
	$text->{at} -= $moved;
	my $length = length $text->{buffer};
	my $piece = $text->{read}->($length > $chunk ? $length : $chunk);
	$text->{buffer} .= $piece;
	return ($moved, $piece ne '');
}

# Drops what stands before the place, once more is read.
sub drop { my ($text) = @_; $text->{kept} = $text->{at}; }

# What stands between what is kept and the place
sub kept { my ($text) = @_; return substr($text->{buffer}, $text->{kept}, $text->{at} - $text->{kept}); }

# The character at the place, behind blanks and those of $passed; '' at the end.
sub next_char
{
	my ($text, $passed) = @_;
	$passed //= '';

	while (1)
	{
		pos($text->{buffer}) = $text->{at};
		$text->{buffer} =~ /\G[ \t\r\n$passed]+/gc;
		$text->{at} = pos($text->{buffer});
		return substr($text->{buffer}, $text->{at}, 1) if $text->{at} < length $text->{buffer};
		my ($moved, $more) = read_on($text);
		return '' if !$more;
	}
}

# Moves behind the string that begins at the place; false where the text ends within it.
sub pass_string
{
	my ($text) = @_;
	my $at = $text->{at} + 1;

	while (1)
	{
		pos($text->{buffer}) = $at;
		1 while $text->{buffer} =~ /\G(?:[^"\\]++|\\.)/gcs;
		$at = pos($text->{buffer});
		if (substr($text->{buffer}, $at, 1) eq '"')
		{
			$text->{at} = $at + 1;
			return 1;
		}
		my ($moved, $more) = read_on($text);
		return 0 if !$more;
		$at -= $moved;
	}
}

# Moves behind a number or a word, up to what ends it.
sub pass_word
{
	my ($text) = @_;

	while (1)
	{
		pos($text->{buffer}) = $text->{at};
		$text->{buffer} =~ /\G[^,\]\}\s]+/gc;
		$text->{at} = pos($text->{buffer});
		return 1 if $text->{at} < length $text->{buffer};
		my ($moved, $more) = read_on($text);
		return 1 if !$more;
	}
}

# Moves behind the value that begins at the place.  Returns 1; 0 where the text ends
# within it; -1 for one that is too large, which is dropped.
sub pass_value
{
	my ($text) = @_;
	my ($depth, $dropped) = (0, 0);
	my $first = substr($text->{buffer}, $text->{at}, 1);

	return pass_string($text) if $first eq '"';
	return pass_word($text) if $first !~ /[\[{]/;
	while (1)
	{
		pos($text->{buffer}) = $text->{at};
		# whole strings and what stands between them, up to a bracket; a quantifier has its limit
		while ($text->{buffer} =~ /\G[^"\[\]{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+){0,1000}+"[^"\[\]{}]*+){0,1000}+([\[\]{}])/gcs)
		{
			next if ($depth += ($1 eq '{' || $1 eq '[' ? 1 : -1)) > 0;
			$text->{at} = pos($text->{buffer});
			return $dropped ? -1 : 1;
		}
		$text->{buffer} =~ /\G[^"\[\]{}]*+/gc;
		$text->{at} = pos($text->{buffer});
		if (substr($text->{buffer}, $text->{at}, 1) eq '"')
		{
			return 0 if !pass_string($text);
		}
		elsif ($text->{at} >= length $text->{buffer})
		{
			my ($moved, $more) = read_on($text);
			return 0 if !$more;
		}
		$dropped ||= $text->{at} - $text->{kept} > $largest;
		drop($text) if $dropped;
	}
}

# The keys of an object, given as text
sub keys_of
{
	my ($object) = @_;
	my $text = new_text(sub { '' });
	my @keys;

	$text->{buffer} = $object;
	return () if next_char($text) ne '{';
	$text->{at}++;
	while (next_char($text, ',') eq '"')
	{
		drop($text);
		pass_string($text) or last;
		push @keys, substr(kept($text), 1, -1);
		last if next_char($text, ':') eq '' || pass_value($text) != 1;
	}
	return @keys;
}

# Is the entry a conversation, and not a message or a row of one?
sub is_conversation { return scalar grep { $conversation_key{$_} || /^(?:llm|gen_ai)\./ } keys_of($_[0]); }

#--- documents ---------------------------------------------------------------------

# Takes the entries of one document, and sends them in batches; or whole, where none of
# the first is a conversation.
sub new_batch { my ($name) = @_; return { name => $name, entries => [], bytes => 0, first => 0, is_split => undef }; }

sub send_batch
{
	my ($batch) = @_;

	my @entries = @{ $batch->{entries} };

	send_document($batch->{name}, '[' . join(',', @entries) . ']', $batch->{first}, @entries) if @entries;
	$batch->{first} += @entries;
	$batch->{entries} = [];
	$batch->{bytes} = 0;
}

# An entry that is not sent, with the reason
sub pass_over
{
	my ($batch, $reason) = @_;

	send_batch($batch);
	tell_problem($batch->{name}, $batch->{first}++, $reason);
}

sub add_entry
{
	my ($batch, $entry) = @_;
	my $copy = $entry;

	return pass_over($batch, 'not UTF-8') if !utf8::decode($copy);
	return pass_over($batch, 'it holds a byte that is 0') if index($entry, "\0") >= 0;
	$batch->{is_split} ||= is_conversation($entry) if @{ $batch->{entries} } < $looked_at;
	push @{ $batch->{entries} }, $entry;
	$batch->{bytes} += length $entry;
	send_batch($batch) if $batch->{is_split} && ($batch->{bytes} >= $batch_bytes || @{ $batch->{entries} } >= $batch_entries);
	fail("$batch->{name}: a list of messages of more than $largest bytes") if !$batch->{is_split} && $batch->{bytes} > $largest;
}

# Takes values one after the other, up to the bracket that ends the list, or the end.
sub read_entries
{
	my ($text, $batch) = @_;

	while ((my $char = next_char($text, ',')) ne '')
	{
		last if $char eq ']' || $char eq '}';
		drop($text);
		return pass_over($batch, 'not valid JSON') if $char !~ /[\[{"0-9a-z-]/;
		my $passed = pass_value($text);
		if ($passed < 0) { pass_over($batch, "a conversation of more than $largest bytes"); }
		elsif ($passed == 0) { return pass_over($batch, 'not valid JSON: the file ends within it'); }
		else { add_entry($batch, kept($text)); }
		drop($text);
	}
}

# Is there a list of conversations under a key of the object that begins at the place?
# Then the place is in front of the first.  Else what has been looked at is kept; -1 where
# that is too much.
sub find_wrapped
{
	my ($text) = @_;

	$text->{at}++;
	while (next_char($text, ',') eq '"')
	{
		my $key = $text->{at} - $text->{kept};
		pass_string($text) or return 0;
		$key = substr($text->{buffer}, $text->{kept} + $key + 1, $text->{at} - $text->{kept} - $key - 2);
		my $char = next_char($text, ':');
		my $value = $text->{at} - $text->{kept};
		if ($char eq '[' && $wrapper{$key})
		{
			$text->{at}++;
			next_char($text);
			my $first = $text->{at} - $text->{kept};
			my $passed = pass_value($text);
			return $passed if $passed != 1;
			if (is_conversation(substr(kept($text), $first)))
			{
				$text->{at} = $text->{kept} + $first;
				return 1;
			}
			$text->{at} = $text->{kept} + $value;
		}
		return 0 if $char eq '';
		my $passed = pass_value($text);
		return $passed if $passed != 1;
	}
	return 0;
}

# Brings in what a function reads.
sub import_text
{
	my ($name, $read) = @_;
	my $text = new_text($read);
	my $batch = new_batch($name);
	my $char = next_char($text, "\xEF\xBB\xBF");

	drop($text);
	return pass_over($batch, $char eq '' ? 'the document is empty' : 'no JSON') if $char !~ /[\[{]/;
	if ($char eq '[') { $text->{at}++; }
	else
	{
		my $wrapped = find_wrapped($text);
		return pass_over($batch, "an object of more than $largest bytes") if $wrapped < 0;
		$text->{at} = $text->{kept} if !$wrapped;
	}
	read_entries($text, $batch);
	send_batch($batch);
}

#--- files -------------------------------------------------------------------------

sub reader_of
{
	my ($handle, $place) = @_;

	return sub {
		my ($size) = @_;
		my $piece = '';
		my $got = $handle->read($piece, $size);

		fail("it cannot be read: $!") if !defined $got || $got < 0;
		show_progress($place->());
		return $piece;
	};
}

sub import_zip
{
	my ($file, $handle) = @_;
	my $place = sub { tell $handle };

	require IO::Uncompress::Unzip;
	my $zip = IO::Uncompress::Unzip->new($handle, AutoClose => 0) or fail("$file: it is no zip that can be read");
	my $more = 1;
	while ($more > 0)
	{
		my $member = $zip->getHeaderInfo->{Name};
		my ($base) = $member =~ m{([^/]*)\.jsonl?$}i;

		import_text("$file/$member", reader_of($zip, $place)) if defined $base && !$no_conversations{ lc $base };
		$more = $zip->nextStream;
	}
	fail("$file: it is no whole zip") if $more < 0;
}

sub import_file
{
	my ($file) = @_;
	my $handle;

	if ($file eq '-') { $handle = \*STDIN; }
	else { open $handle, '<', $file or fail("$file: $!"); }
	binmode $handle;
	my $place = $file eq '-' ? sub { 0 } : sub { tell $handle };
	my $magic = '';
	if ($file ne '-')
	{
		read $handle, $magic, 4;
		seek $handle, 0, 0;
	}
	if ($magic =~ /^PK/) { import_zip($file, $handle); }
	elsif ($magic =~ /^\x1f\x8b/)
	{
		require IO::Uncompress::Gunzip;
		import_text($file, reader_of(IO::Uncompress::Gunzip->new($handle, MultiStream => 1), $place));
	}
	else { import_text($file, reader_of($handle, $place)); }
	$bytes_done += -s $handle if $file ne '-';
}

GetOptionsFromArray(\@ARGV, \%options, 'user|u=s', 'for-user=s', 'format|f=s', 'database|d=s') && @ARGV or do
{
	print STDERR "Usage: import [-d DATABASE] [-u USER | --for-user UUID] [-f FORMAT] FILE...\n";
	exit 2;
};
for (@ARGV) { fail("$_: there is no such file") if $_ ne '-' && !-f $_; $bytes_all += -s $_ if $_ ne '-'; }
connect_psql();
import_file($_) for @ARGV;
settle();
close $to_psql;
waitpid $psql, 0;
print STDERR "\r\e[K" if $shown;
printf "%s conversations with %s messages and %s other branches, %s problems, %s messages a second\n",
  (map { with_commas($sum{$_}) } qw(runs messages forks problems)), with_commas(int($sum{messages} / (time - $begun + 0.001)));
exit($sum{problems} ? 1 : 0);
