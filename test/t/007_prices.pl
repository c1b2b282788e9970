# The price book with real lists: LiteLLM's and genai-prices' are imported whole,
# the second time changing nothing, and for every model of both and a grid of
# usages, tiers and times the cost is what a calculation made here, from the
# lists' own text and in decimals, says it is.  Then what the book does while it
# is changed: nobody waits, nobody sees a half, and nobody sees what has gone.

use strict;
use warnings;

use AirunTest;
use JSON::PP;
use Math::BigFloat;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes 'time';

my $node = airun_node('prices');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Numbers stay what the text says
my $json = JSON::PP->new->allow_bignum;

# The lists to test with: the sample of the repository, and the real ones
# where they are.
my @lists = map { [ $_, "test/sample-$_.json" ] } ('litellm', 'genai');
push @lists, grep { -e $_->[1] } map { [ $_, "$ENV{AIRUN_DATA}/$_-prices.json" ] } ('litellm', 'genai')
  if $ENV{AIRUN_DATA};

#--- the calculation -------------------------------------------------------------

# What a bucket is charged by: names of rates in either list, the first that is
# there counts.
my %names = (
	input => [ 'input_cost_per_token' => 'input_mtok' ],
	cache_read => [ 'cache_read_input_token_cost' => 'cache_read_mtok' ],
	cache_write_5m => [ 'cache_creation_input_token_cost' => 'cache_write_mtok' ],
	cache_write_1h => [ 'cache_creation_input_token_cost_above_1hr' => undef ],
	input_audio => [ 'input_cost_per_audio_token' => 'input_audio_mtok' ],
	cache_read_audio => [ 'cache_read_input_audio_token_cost' => 'cache_audio_read_mtok' ],
	input_image => [ 'input_cost_per_image_token' => undef ],
	cache_read_image => [ 'cache_read_input_image_token_cost' => undef ],
	input_video => [ 'input_cost_per_video_token' => undef ],
	output => [ 'output_cost_per_token' => 'output_mtok' ],
	reasoning => [ 'output_cost_per_reasoning_token' => undef ],
	output_audio => [ 'output_cost_per_audio_token' => 'output_audio_mtok' ],
	output_image => [ 'output_cost_per_image_token' => undef ],
	output_video => [ 'output_cost_per_video_token' => undef ],
	requests => [ 'input_cost_per_request' => 'requests_kcount' ],
	web_searches => [ undef, undef ],
	input_images => [ 'input_cost_per_image' => undef ],
	output_images => [ 'output_cost_per_image' => undef ],
	input_seconds => [ 'input_cost_per_second' => undef ],
	output_seconds => [ 'output_cost_per_second' => undef ],
	input_characters => [ 'input_cost_per_character' => undef ]);
my %instead = (
	input => [ 'input_image', 'input_audio' ],
	cache_read => ['input'],
	cache_write_5m => ['input'],
	cache_write_1h => [ 'cache_write_5m', 'input' ],
	input_audio => ['input'],
	cache_read_audio => [ 'cache_read', 'input_audio', 'input' ],
	input_image => ['input'],
	cache_read_image => [ 'cache_read', 'input_image', 'input' ],
	input_video => ['input'],
	output => [ 'output_image', 'output_audio' ],
	reasoning => ['output'],
	output_audio => ['output'],
	output_image => ['output'],
	output_video => ['output']);

# The whole input, which chooses the tier.
sub input_length
{
	my ($usage) = @_;
	my $sum = 0;

	$sum += $usage->{$_} // 0
	  for qw(input cache_read cache_write_5m cache_write_1h input_audio cache_read_audio input_image cache_read_image input_video);
	return $sum;
}

# Is it between two times of day?  All are minutes in UTC.
sub is_open
{
	my ($minute, $from, $to) = @_;

	return $from == $to || ($from < $to ? $minute >= $from && $minute < $to : $minute >= $from || $minute < $to);
}

sub minutes
{
	my ($clock) = @_;

	my ($h, $m, $sign, $zone_h, $zone_m) = $clock =~ /^(\d\d):(\d\d)(?::00)?(?:Z|([+-])(\d\d):(\d\d))?$/ or die $clock;
	my $shift = defined $sign ? ($sign eq '+' ? -1 : 1) * ($zone_h * 60 + $zone_m) : 0;
	return ($h * 60 + $m + $shift) % 1440;
}

# LiteLLM's way to a rate
sub litellm_rate
{
	my ($entry, $bucket, $length, $tier, $minute) = @_;
	my $suffix = { '' => '', flex => '_flex', priority => '_priority', batch => '_batches' }->{$tier};

	if ($bucket eq 'web_searches')
	{
		my $costs = $entry->{search_context_cost_per_query} // {};
		return $costs->{search_context_size_medium} // $costs->{search_context_size_low} // $costs->{search_context_size_high};
	}
	my $name = $names{$bucket}[0];
	my @also = $bucket eq 'cache_read' ? ('input_cost_per_token_cache_hit') : $bucket eq 'input_seconds' ? ('input_cost_per_audio_per_second') : ();

	if (my $night = $entry->{off_peak_pricing})
	{
		my ($from, $to) = map { minutes($_) } split /-/, $night->{hours_utc};
		return $night->{$name} if defined $night->{$name} && is_open($minute, $from, $to);
	}
	if (my $tiers = $entry->{tiered_pricing})
	{
		my ($in) = grep { $length > $_->{range}[0] && $length <= $_->{range}[1] } @$tiers;
		$in //= $length == 0 ? undef : $tiers->[-1];
		if ($in)
		{
			return $in->{$name} if defined $in->{$name};
			return $in->{input_cost_per_token} if $bucket =~ /^cache_(read|write_..)$/;
			return $in->{output_cost_per_token} if $bucket eq 'reasoning' && defined $in->{output_cost_per_token};
		}
		return $entry->{$name} // $tiers->[0]{$name};
	}

	# the highest threshold of any rate that the input is beyond
	my ($above) = sort { $b <=> $a } grep { $entry->{litellm_provider} eq 'xai' ? $length >= $_ * 1000 : $length > $_ * 1000 }
	  map { /_above_(\d+)k_tokens/ ? $1 : () } keys %$entry;
	for my $base ($name, @also)
	{
		for my $key ((defined $above ? ("${base}_above_${above}k_tokens$suffix", "${base}_above_${above}k_tokens") : ()), "$base$suffix", $base)
		{
			return $entry->{$key} if defined $entry->{$key};
		}
	}
	return undef;
}

# The prices of a genai model that count at a time
sub genai_prices
{
	my ($model, $date, $minute) = @_;
	my $prices = $model->{prices};

	return $prices if ref $prices eq 'HASH';
	for my $price (reverse @$prices)
	{
		my $when = $price->{constraint} or return $price->{prices};
		return $price->{prices}
		  if $when->{start_date} ? $date ge $when->{start_date} : is_open($minute, minutes($when->{start_time}), minutes($when->{end_time}));
	}
	return undef;
}

sub genai_rate
{
	my ($prices, $provider, $bucket, $length) = @_;
	my $name = $names{$bucket}[1] // return undef;
	my $rate = $prices->{$name} // return undef;

	if (ref $rate eq 'HASH')
	{
		my ($tier) = sort { $b->{start} <=> $a->{start} } grep { $provider eq 'x-ai' ? $length >= $_->{start} : $length > $_->{start} } @{ $rate->{tiers} };
		$rate = $tier ? $tier->{price} : $rate->{base};
	}
	return Math::BigFloat->new($rate) * Math::BigFloat->new($name eq 'requests_kcount' ? '0.001' : '0.000001');
}

# The sum over the buckets, or undef where one has no rate
sub cost_of
{
	my ($usage, $rate) = @_;
	my $sum = Math::BigFloat->new(0);

	for my $bucket (keys %$usage)
	{
		my ($found) = grep { defined } map { $rate->($_) } $bucket, @{ $instead{$bucket} // [] };
		if (!defined $found)
		{
			next if $bucket eq 'requests';
			return undef;
		}
		$sum += Math::BigFloat->new("$usage->{$bucket}") * Math::BigFloat->new("$found");
	}
	return $sum;
}

is(cost_of({ input => 600, cache_read => 400, output => 200 },
	sub { litellm_rate({ input_cost_per_token => '2.5e-6', cache_read_input_token_cost => '1.25e-6', output_cost_per_token => '1e-5', litellm_provider => '' }, $_[0], 1000, '', 0) }),
	'0.004', 'the calculation knows the first worked example');

#--- both lists ------------------------------------------------------------------

my @usages = (
	{ input => 600, cache_read => 400, output => 200 },
	{ input => 50000, cache_read => 200000, output => 1000, reasoning => 300 },
	(map { { input => $_ - 1000, cache_read => 1000, output => 3 } } 127999, 128000, 128001, 199999, 200000, 200001, 271999, 272000, 272001, 512000, 512001),
	{ input => 7, cache_read => 11, cache_write_5m => 13, cache_write_1h => 17, input_audio => 19, cache_read_audio => 23, input_image => 29, cache_read_image => 31,
		input_video => 37, output => 41, reasoning => 43, output_audio => 47, output_image => 53, output_video => 59, requests => 2 },
	{ input => 300000, cache_write_5m => 13, cache_write_1h => 17, reasoning => 43 },
	{ input => 3 }, { output => 5 }, { cache_read => 1 }, { input => 1, web_searches => 2 }, { input_seconds => '9.5' }, { input_characters => 7, output_seconds => 2 },
	{ input => 1, output_images => 3, input_images => 1 }, { output => '999999999999', input => '999999999999' });
$_->{requests} //= 1 for @usages;
my @times = ('2025-06-01 12:00', '2026-06-01 18:00', '2026-09-01 00:00', '2026-10-01 00:29', '2026-10-01 20:00');
my @tiers = ('', 'flex', 'priority', 'batch');

# A usage as JSON, its numbers as they are written
sub usage_text
{
	my ($usage) = @_;

	return '{' . join(', ', map { qq("$_": $usage->{$_}) } sort keys %$usage) . '}';
}

sub grid_values
{
	my (@values) = @_;
	my $n = 0;

	return join ', ', map { sprintf q{(%d, '%s')}, $n++, $_ } @values;
}

for my $list (@lists)
{
	my ($format, $file) = @$list;
	my $text = slurp_file($file);
	my $document = $json->decode($text);
	my %entry;

	if ($format eq 'litellm')
	{
		delete @$document{qw(sample_spec fallback_generalizations)};
		$entry{"$document->{$_}{litellm_provider}\t$_"} = $document->{$_} for keys %$document;
	}
	else
	{
		for my $provider (@$document)
		{
			$entry{"$provider->{id}\t$_->{id}"} = $_ for @{ $provider->{models} };
		}
	}
	my $count = keys %entry;

	sql('DELETE FROM airun.prices');
	my $import = "FROM airun_import_prices(\$list\$$text\$list\$, effective_from => '-infinity')";
	my $skipped = $format eq 'litellm' && $text =~ /"sample_spec"/ ? "\nskipped|1" : '';
	is(sql("SELECT action, count(*) $import GROUP BY 1 ORDER BY 1"), "added|$count$skipped", "$file: all $count models are imported");
	my $state = 'SELECT md5(string_agg(p.ctid::text || p.xmin || p, chr(10) ORDER BY p.price_id)) FROM airun.prices p';
	my $before = sql($state);
	is(sql("SELECT action, count(*) $import GROUP BY 1 ORDER BY 1 DESC"), "unchanged|$count$skipped", 'the second time all are unchanged');
	$import =~ s/, effective_from => '-infinity'//;
	is(sql("SELECT action, count(*) $import GROUP BY 1 ORDER BY 1 DESC"), "unchanged|$count$skipped", 'and as of now');
	is(sql($state), $before, 'and no row was touched');
	is(sql("SELECT count(*) FROM airun.prices p WHERE p.effective_to IS NULL"), $count, 'each has one price for good');

	# the whole grid in one statement, and again here; all times for those whose
	# price depends on them
	my @grid_tiers = $format eq 'litellm' ? @tiers : ('');
	my @grid_usages = $format eq 'litellm' ? @usages : @usages[ 0, 1, 3 .. 10, 13, 14, 16, 20 ];
	my @grid_times = @times;
	my $query = sprintf <<'SQL', grid_values(map { usage_text($_) } @grid_usages), grid_values(@grid_tiers), grid_values(@grid_times);
SELECT provider, model, u, t, a, coalesce(airun_cost(model, usage::jsonb, provider, (at || 'Z')::timestamptz, nullif(tier, ''))::text, 'unpriced')
FROM (SELECT provider, model, count(*) > 1 OR bool_or(time_windows IS NOT NULL) AS is_dated FROM airun.prices GROUP BY 1, 2) p,
	(VALUES %s) x (u, usage), (VALUES %s) y (t, tier), (VALUES %s) z (a, at)
WHERE a < 2 OR is_dated
SQL
	my $began = time;
	my $answer = sql($query);
	my $took = time - $began;
	my ($compared, $priced, @wrong) = (0, 0);
	for my $line (split /\n/, $answer)
	{
		my ($provider, $model, $u, $t, $a, $cost) = split /\|/, $line;
		my ($usage, $entry) = ($grid_usages[$u], $entry{"$provider\t$model"});
		my ($length, $date) = (input_length($usage), substr $grid_times[$a], 0, 10);
		my $minute = minutes(substr $grid_times[$a], 11);
		my $prices = $format eq 'genai' ? genai_prices($entry, $date, $minute) : undef;
		my $expected = cost_of($usage, $format eq 'genai' ? sub { genai_rate($prices, $provider, $_[0], $length) } : sub { litellm_rate($entry, $_[0], $length, $grid_tiers[$t], $minute) });
		# what a tier costs that the price says nothing of is not known
		my $tier = { batch => 'batches' }->{ $grid_tiers[$t] } // $grid_tiers[$t];
		undef $expected if $tier ne '' && !grep { /cost.*_\Q$tier\E$/ } keys %$entry;
		$compared++;
		$priced++ if defined $expected && $tier eq '';
		push @wrong, sprintf '%s, %s, %s: %s, not %s', $line, usage_text($usage), $grid_times[$a], $cost, $expected // 'unpriced'
		  if defined $expected ? $cost eq 'unpriced' || Math::BigFloat->new($cost) != $expected : $cost ne 'unpriced';
	}
	cmp_ok($compared, '>=', $count * @grid_usages * @grid_tiers * 2, "$file: $compared costs are compared");
	cmp_ok($priced, '>', $compared / @grid_tiers * 0.6, "$priced of those without a tier are known");
	is(join("\n", @wrong[ 0 .. ($#wrong < 9 ? $#wrong : 9) ]), '', 'each is exactly what the calculation says')
	  or diag(@wrong . ' are wrong');
	note sprintf '%.1f microseconds a cost', 1e6 * $took / $compared;

	# every alias and rule that names a model leads to it
	if ($format eq 'genai')
	{
		my @names;
		for my $provider (@$document)
		{
			for my $model (@{ $provider->{models} })
			{
				push @names, map { [ $provider->{id}, $model->{id}, $_->{equals} // "$_->{starts_with}-x" ] }
				  grep { $_->{equals} || $_->{starts_with} } ($model->{match}, @{ $model->{match}{or} // [] });
			}
		}
		my $values = join ', ', map { "('" . join("', '", @$_) . "')" } @names;
		is(sql("SELECT count(*) FROM (VALUES $values) v (provider, model, name) WHERE airun_cost_details(name, '{\"input\": 1, \"output\": 1}', provider) ->> 'model' IS NULL"),
			0, scalar(@names) . ' other names of its models are known');
	}
}

#--- while the book is changed ---------------------------------------------------

sql(q{DELETE FROM airun.prices; CREATE ROLE app LOGIN; SELECT airun_grant('app'); SELECT airun_set_price('m', '{"input": 1}', effective_from => '-infinity')});
my ($writer, $reader, $app) = map { my $s = $node->background_psql('postgres', on_error_stop => 0); ask($s, '\set VERBOSITY sqlstate'); $s } 1 .. 3;
ask($app, 'SET ROLE app');
ask($_, 'SET lock_timeout = 1000') for $reader, $app;
my $cost = q{SELECT airun_cost('m', '{"input": 1}')};

is(ask($_, $cost), 1, 'a session knows the price') for $reader, $app;
ask($writer, 'BEGIN');
ask($writer, q{SELECT count(*) FROM airun_set_price('m', '{"input": 2}', effective_from => '-infinity')});
is(ask($writer, $cost), 2, 'who changes it sees the new one');
is(ask($reader, $cost), 1, 'others see the old one, and do not wait');
is(ask($app, $cost), 1, 'an API role, too');
ask($writer, 'COMMIT');
is(ask($reader, $cost), 2, 'with the commit they see the new one');
is(ask($app, $cost), 2, 'an API role, too');

# an old snapshot keeps its price, in a backend that knows the new one and in one
# that had none; and neither remembers it for longer
ask($reader, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
is(ask($reader, $cost), 2, 'a snapshot is taken');
my $fresh = $node->background_psql('postgres', on_error_stop => 0);
ask($fresh, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
ask($writer, q{SELECT count(*) FROM airun_set_price('m', '{"input": 3}', effective_from => '-infinity')});
is(ask($reader, $cost), 2, 'which goes on with the price that it saw');
is(ask($fresh, $cost), 2, 'and so does one in a backend that had not read any');
ask($_, 'COMMIT') for $reader, $fresh;
is(ask($reader, $cost), 3, 'but not behind its end');
is(ask($fresh, $cost), 3, 'in either');

# rolled back
ask($writer, 'BEGIN');
ask($writer, q{UPDATE airun.prices SET rates = '{"input": 4}'});
is(ask($writer, $cost), 4, 'a change is seen');
ask($writer, 'ROLLBACK');
is(ask($writer, $cost), 3, 'and, rolled back, is not');

# two imports at once: the second waits for the first, and has nothing to do
ask($writer, 'BEGIN');
my $sample = slurp_file('test/sample-litellm.json');
my $import = "SELECT string_agg(DISTINCT action, ',' ORDER BY action) FROM airun_import_prices(\$list\$$sample\$list\$, effective_from => '-infinity')";
is(ask($writer, $import), 'added,skipped', 'one imports a list');
ask($reader, 'SET lock_timeout = 0');
$reader->query_until(qr/^sent$/m, "\\echo sent\n$import;\n");
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND relation = 'airun.prices'::regclass});
is(ask($app, $cost), 3, 'another does so at the same time, and nobody else waits');
ask($writer, 'COMMIT');
is(ask($reader, 'SELECT 1') =~ s/\n.*//sr, 'skipped,unchanged', 'which changes nothing then');

# with triggers at rest nothing is forgotten: the version comes with the rows
is(sql('SELECT count(*) FROM airun.price_book'), 1, 'the book has one version');
$_->quit for $writer, $reader, $app, $fresh;

#--- dump and restore ------------------------------------------------------------

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'a dump is made');
sql('CREATE DATABASE copy');
$node->safe_psql('copy', 'SELECT 1');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $dump ], 'and restored');
my $all = q{SELECT count(*), md5(string_agg(p::text, ',' ORDER BY p.price_id)) FROM airun.prices p};
is($node->safe_psql('copy', $all), sql($all), 'prices are what they were');
is($node->safe_psql('copy', $cost), 3, 'and count');
is($node->safe_psql('copy', "SELECT DISTINCT action $1 ORDER BY 1") , "skipped\nunchanged", 'the list again changes nothing') if $import =~ /(FROM airun_import.*)/s;
check_ok($node, 'in the copy', 'copy');
check_ok($node, 'at the end');

done_testing();
