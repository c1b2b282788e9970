# The page of the usage: one document, parsed as XML and, where Debian's chromium is
# installed, as HTML.  The numbers are those of the cases it was specified by:
# P1 hostile names, P2 nothing, P3 short and long ranges, P4 odd figures, P5 validity,
# P6 equal bytes, P7 figures drawn and written, P8 no ids, P9 contrast, P10 locale,
# P11 headers, P12 size, P13 a domain that a site has, P14 nobody sees another's.

use strict;
use warnings;

use AirunTest;
use Digest::SHA qw(sha256_base64);
use Math::BigFloat;
use PostgreSQL::Test::Utils;
use Test::More;
use XML::Parser;

# A locale with decimal commas, for P10, where one can be made
my $locales = PostgreSQL::Test::Utils::tempdir();
eval { run_command([ 'localedef', '-i', 'de_DE', '-f', 'UTF-8', "$locales/de_DE.UTF-8" ]); };
$ENV{LOCPATH} = "$locales:/usr/lib/locale" if -d "$locales/de_DE.UTF-8";

my $node = airun_node('page');
my ($alice, $bob) = map { "60000000-0000-4000-8000-00000000000$_" } 1 .. 2;
my $range = "'2026-10-01', '2026-10-31'";

$node->safe_psql('postgres', <<'END');
CREATE ROLE app;
CREATE ROLE reporter;
DO $$BEGIN PERFORM airun_grant('app'), airun_grant('reporter', 'reporter'); END$$;
END

# Entries as the ledger has them
sub entries
{
	my ($select) = @_;
	$node->safe_psql('postgres', <<"END");
INSERT INTO airun.usage_tail (at, kind, charge_id, user_id, source_type, service, task_name, provider, model_id,
	status, price_status, calls, tokens_input, tokens_cache_read, tokens_cache_write, tokens_output, cost, first_token_us, total_us,
	first_token_bin, total_bin)
SELECT at, 'task', gen_random_uuid(), who::uuid, source, 'svc', name, 'prov', model, status, price, 1, 100 + n % 7, 10, 3, 50, cost, 200000 + n * 500, 1000000 + n * 3000,
	airun_sketch_bin(200000 + n * 500), airun_sketch_bin(1000000 + n * 3000)
FROM ($select) AS x
END
}

# The page, as a role and a user
sub page
{
	my ($arguments, %as) = @_;
	my $sql = ($as{before} // '') . ($as{role} ? "SET ROLE $as{role};" : '') . "SET airun.user_id = '" . ($as{user} // $alice) . "';";
	return $node->safe_psql('postgres', "$sql SELECT airun_usage_page($arguments)") . "\n";
}

# An element is [name, attributes, children...]; a text is a string
sub parsed
{
	my ($page) = @_;
	my @open = ([ 'document', {} ]);
	my $parser = XML::Parser->new(Handlers => {
		Start => sub { my (undef, $name, %attributes) = @_; my $e = [ $name, \%attributes ]; push @{ $open[-1] }, $e; push @open, $e; },
		End => sub { pop @open; },
		Char => sub { my (undef, $text) = @_; push @{ $open[-1] }, $text; } });
	$parser->parse($page);
	return $open[0][2];
}

# All elements of a name, or all
sub elements
{
	my ($e, $name) = @_;
	return map { ref $_ ? ((!$name || $_->[0] eq $name ? $_ : ()), elements($_, $name)) : () } @$e[ 2 .. $#$e ];
}

sub words
{
	my ($e) = @_;
	return ref $e ? join('', map { words($_) } @$e[ 2 .. $#$e ]) : $e;
}

# The exact figures of a row's cells, beside what is shown where that is rounded; undef
# where nothing is known
sub cells
{
	my ($row) = @_;
	return map { my ($data) = elements($_, 'data'); $data ? $data->[1]{value} : words($_) =~ /^-?[\d,]+$/ ? words($_) =~ tr/,//dr : undef } elements($row, 'td');
}

# Tables: {caption or heading => {columns, rows, total}}
sub tables
{
	my ($page) = @_;
	my %tables;
	for my $section (elements($page, 'section'), grep { ($_->[1]{class} // '') eq 'sheet' } elements($page, 'div'))
	{
		my ($h2) = elements($section, 'h2');
		for my $table (elements($section, 'table'))
		{
			my ($head) = elements($table, 'thead');
			my ($body) = elements($table, 'tbody');
			my ($foot) = elements($table, 'tfoot');
			my (undef, @columns) = map { words($_) } elements($head, 'th');
			$tables{ $h2 ? words($h2) : 'All' } = { columns => \@columns, rows => [ map { [ cells($_) ] } elements($body, 'tr') ],
				names => [ map { words($_) } map { elements($_, 'th') } elements($body, 'tr') ],
				words => words($table), total => $foot ? [ cells($foot) ] : undef };
		}
	}
	return \%tables;
}

# What does not add up, in which table
sub differences
{
	my ($tables) = @_;
	my @wrong;
	for my $name (sort keys %$tables)
	{
		my $t = $tables->{$name};
		for my $i ($t->{total} ? 0 .. $#{ $t->{columns} } : ())
		{
			next if $t->{columns}[$i] =~ /^p\d|rate/ || $name =~ /^(Models|Users|Work)$/ && $t->{columns}[$i] eq 'Errors';
			my $sum = Math::BigFloat->new(0);
			$sum += Math::BigFloat->new($_->[$i] // 0) for @{ $t->{rows} };
			push @wrong, "$name, $t->{columns}[$i]: $sum, not $t->{total}[$i]" if $sum != Math::BigFloat->new($t->{total}[$i] // 0);
		}
	}
	return join("\n", @wrong);
}

# Figures that a tip tells and the table of its section does not
sub not_in_tables
{
	my ($page) = @_;
	my ($tips, @missing) = (0);
	for my $section (elements($page, 'section'))
	{
		my $words = join '', map { words($_) } elements($section, 'table');
		for my $tip (map { words($_) } map { elements($_, 'title') } elements($section, 'svg'))
		{
			$tips++;
			my ($figure) = $tip =~ /: ([^:]+)$/;
			push @missing, $tip if index($words, $figure) < 0;
		}
	}
	return ($tips, join("\n", @missing));
}

#--- P2: nothing ----------------------------------------------------------------------

my $empty = parsed(page($range));
is(scalar(elements($empty, 'svg')), 0, 'P2: nothing is drawn of nothing');
is(differences(tables($empty)), '', 'P2: its tables add up');
is_deeply([ map { words($_) } grep { ($_->[1]{class} // '') eq 'now' } elements($empty, 'dd') ], [ '$0.00', '0', '0', "\x{2013}" ], 'P2: the tiles');

#--- an ordinary month ------------------------------------------------------------------

entries(<<"END");
SELECT n, timestamptz '2026-08-30' + n * interval '97 minutes' AS at, CASE WHEN n % 3 = 0 THEN '$bob' ELSE '$alice' END AS who,
	CASE WHEN n % 3 = 0 THEN 'bobs-' ELSE 'model-' END || n * n % 13 AS model, 'source' AS source, 'name ' || n % 15 AS name,
	CASE WHEN n % 29 = 0 THEN 'error' ELSE 'completed' END AS status, CASE WHEN n % 31 = 0 THEN 'no_price' WHEN n % 37 = 0 THEN 'doubtful' ELSE 'priced' END AS price,
	CASE WHEN n % 31 <> 0 THEN 0.0000123456789 * (n % 101) END AS cost
FROM generate_series(1, 1400) AS n
END
my $text = page("$range, 'Europe/Berlin'");
my $page = parsed($text);
my $tables = tables($page);
my ($tips, $missing) = not_in_tables($page);

is(differences($tables), '', 'P7: every table adds up to its total');
cmp_ok($tips, '>', 300, 'P7: there are figures in the charts');
is($missing, '', 'P7: each of them is in the table below');
my $day = "at >= '2026-10-01 00:00+02' AND at < '2026-11-01 00:00+01'";
my $recount = $node->safe_psql('postgres', "SELECT trim_scale(sum(cost)), sum(calls), sum(tokens_input + tokens_cache_read + tokens_cache_write + tokens_output) FROM airun.usage_tail WHERE $day");
my @tiles = map { cells([ 'tr', {}, [ 'td', {}, $_ ] ]) } grep { ($_->[1]{class} // '') eq 'now' } elements($page, 'dd');
is(join('|', @tiles[ 0 .. 2 ]), $recount, 'P7: the tiles are a recount to the last digit');
is($tables->{$_->[0]}{total}[$_->[1]], $tiles[$_->[2]], "P7: the total of $_->[0] is the tile's")
  for [ 'All', 0, 0 ], [ 'Cost by model', -1, 0 ], [ 'Tokens by kind', -1, 2 ], [ 'Calls', -1, 1 ], [ 'Models', 0, 0 ], [ 'Users', 0, 0 ], [ 'Work', 0, 0 ];
for my $times ([ 'Time to the whole answer', 'total_us' ], [ 'Time to the first token', 'first_token_us' ])
{
	my ($title, $column) = @$times;
	my @exact = split /\|/, $node->safe_psql('postgres', "SELECT " . join(', ', map { "percentile_disc($_) WITHIN GROUP (ORDER BY $column) / 1000.0" } 0.5, 0.95, 0.99) . " FROM airun.usage_tail WHERE $day");
	my @shown = @{ $tables->{$title}{total} }[ grep { $tables->{$title}{columns}[$_] =~ /^p\d/ } 0 .. $#{ $tables->{$title}{columns} } ];
	is(scalar(grep { defined $shown[$_] && abs($shown[$_] / $exact[$_] - 1) <= 0.01 } 0 .. 2), 3, "P7: percentiles of '$title' are within 1 %");
}
is(scalar(@{ $tables->{'Cost by model'}{columns} }), 9, 'seven models, the others and the sum');
is(scalar(@{ $tables->{'All'}{rows} }), 31, 'a row a day');
ok($tables->{'Calls whose cost is not known'}, 'what has no price is told');

# P5: what HTML has, where it may be
my %known = map { $_ => 1 } qw(html head meta title style body main header h1 h2 p dl dt dd div section ul li bdi span b small details summary table caption thead tbody tfoot tr th td data footer svg g path rect circle text);
my @all = ($page, elements($page));
is(join(' ', grep { !$known{$_} } map { $_->[0] } @all), '', 'P5: elements');
like($text, qr/\A<!DOCTYPE html>\n<html xmlns="http:\/\/www\.w3\.org\/1999\/xhtml" lang="en">/, 'P5: a document of HTML');
unlike($text, qr/<(?!meta|path|rect|svg|circle)\w+[^>]*\/>/, 'P5: only void elements, and those of SVG, close themselves');
is(scalar(grep { grep { /^(id|style|on.*|href|src|xlink:href)$/ } keys %{ $_->[1] } } @all), 0, 'P8: no ids; no style attributes, handlers and references');
is(scalar(grep { ($_->[1]{role} // '') ne 'img' && ($_->[1]{'aria-hidden'} // '') ne 'true' } elements($page, 'svg')), 0, 'each drawing is an image with a name, or decoration');
is(scalar(grep { $_->[1]{role} && !$_->[1]{'aria-label'} } elements($page, 'svg')), 0, 'each image has a name');
is(scalar(grep { !$_->[1]{scope} } elements($page, 'th')), 0, 'each heading of a table has a scope');

# P10: numbers of drawings have points, and nothing else
my @numbers = map { my $e = $_; map { $e->[1]{$_} // () } qw(x y width height cx cy r d stroke-width viewBox) } grep { $_->[0] =~ /^(svg|g|path|rect|circle|text)$/ } @all;
is(join(' ', grep { !/\A(?:[MLHVZ ]|-?\d+(?:\.\d+)?)+\z/ } @numbers), '', 'P10: numbers of drawings');

SKIP:
{
	skip 'no locale de_DE', 2 if !$ENV{LOCPATH};
	my $commas = "SET lc_numeric = 'de_DE.UTF-8'; SET lc_time = 'de_DE.UTF-8'; SET lc_monetary = 'de_DE.UTF-8';";
	is($node->safe_psql('postgres', "$commas SELECT to_char(1.5, 'FM9D9'), to_char(date '2026-10-01', 'TMDay')"), '1,5|Donnerstag', 'P10: a locale with decimal commas');
	is(page("$range, 'Europe/Berlin'", before => "$commas SELECT to_char(1.5, 'FM9D9') \\g /dev/null\n"), $text, 'P10: changes no byte');
}

# P6: equal bytes
my $other = page("$range, 'Europe/Berlin'", before => "SET datestyle = 'German'; SET timezone = 'Asia/Kathmandu'; SET extra_float_digits = -8; SET intervalstyle = 'iso_8601'; SET search_path = pg_temp, public; SET enable_hashagg = off;");
is($other, $text, 'P6: whatever is set in the session');
cmp_ok(length $text, '<', 200_000, 'P12: size');
entries("SELECT n, timestamptz '2020-01-01' + n * interval '1 hour' AS at, '$alice' AS who, 'model-' || n * n % 40 AS model, 'source' AS source, 'name ' || n % 15 AS name, "
	  . "CASE WHEN n % 29 = 0 THEN 'error' ELSE 'completed' END AS status, 'priced' AS price, 0.1234567 * (n % 101) AS cost FROM generate_series(0, 366 * 24 - 1) AS n");
my $year = page("'2020-01-01', '2020-12-31'");
cmp_ok(length $year, '<', 200_000, 'P12: size of a year');
is(join('|', map { $_->{total}[1] } tables(parsed($year))->{All}) . ' ' . differences(tables(parsed($year))), 366 * 24 . ' ', 'P12: with all its figures');

# P9: contrast
sub luminance
{
	my ($r, $g, $b) = map { my $c = hex($_) / 255; $c <= 0.03928 ? $c / 12.92 : (($c + 0.055) / 1.055)**2.4 } $_[0] =~ /^#(..)(..)(..)$/;
	return 0.2126 * $r + 0.7152 * $g + 0.0722 * $b;
}

sub contrast
{
	my ($high, $low) = sort { $b <=> $a } map { luminance($_) } @_;
	return ($high + 0.05) / ($low + 0.05);
}
my ($style) = map { words($_) } elements($page, 'style');
my @schemes = $style =~ /:root\{((?:color-scheme[^;]*;)?--page[^}]*)\}/g;
is(scalar(@schemes), 2, 'P9: two schemes');
for my $scheme (@schemes)
{
	my %colour = $scheme =~ /--(\w+):(#\w{6})/g;
	my @bad = map { my ($fore, $back, $least) = @$_; my $found = contrast($colour{$fore}, $colour{$back}); $found < $least ? sprintf('%s on %s: %.2f', $fore, $back, $found) : () }
	  (map { [ $_, 'card', 3 ] } qw(s1 s2 s3 s4 s5 s6 s7 rest)), map { my $fore = $_; map { [ $fore, $_, 4.5 ] } qw(card page) } qw(ink soft);
	is(join(', ', @bad), '', "P9: contrast on $colour{card}");
}

#--- P11: headers -----------------------------------------------------------------------

my $policy = "default-src 'none'; style-src 'sha256-" . sha256_base64($style) . "='; base-uri 'none'; form-action 'none'";
cmp_ok(index($text, '<meta charset="utf-8"/>'), '<', 1000, 'P11: the charset is in the first 1,024 bytes');
is((grep { $_->[1]{'http-equiv'} } elements($page, 'meta'))[0][1]{content}, $policy, 'P11: the policy in the page allows its style alone');
is($node->safe_psql('postgres', "SELECT length(airun_usage_page($range)) > 0; SELECT coalesce(current_setting('response.headers', true), 'none')"), "t\nnone", 'P11: no headers where nobody wants them');
is($node->safe_psql('postgres', qq(BEGIN READ ONLY; SET LOCAL request.method = 'GET'; SET LOCAL response.headers = '[{"Set-Cookie": "a=b"}]';
	SELECT length(airun_usage_page($range)) > 0; SELECT string_agg(k || ': ' || v, E'\\n' ORDER BY n) FROM jsonb_array_elements(current_setting('response.headers')::jsonb) WITH ORDINALITY AS e (e, n), jsonb_each_text(e) AS h (k, v))),
	"t\nSet-Cookie: a=b\nContent-Security-Policy: $policy; frame-ancestors 'self'\nX-Content-Type-Options: nosniff\nReferrer-Policy: no-referrer\nCache-Control: no-store", 'P11: headers, besides those of a site');
is($node->safe_psql('postgres', "SELECT typname, typbasetype::regtype FROM pg_type JOIN pg_proc ON prorettype = pg_type.oid WHERE proname = 'airun_usage_page'"), 'text/html|text', 'P11: the result has the name of the media type');

#--- P14: nobody sees another's -----------------------------------------------------------

my $own = page($range, role => 'app');
my $bobs = page($range, role => 'app', user => $bob);
unlike($own, qr/bobs-|$bob/, 'P14: no name of another');
unlike($bobs, qr/model-|$alice/, 'P14: nor the other way round');
ok(!tables(parsed($own))->{Users}, 'P14: no ranking of users');
like($own, qr/Your own figures/, 'P14: it says whose figures they are');
is(tables(parsed($own))->{All}{total}[1] + tables(parsed($bobs))->{All}{total}[1], tables(parsed(page($range)))->{All}{total}[1], 'P14: what each sees is all, together');
is(differences(tables(parsed($own))), '', 'P14: her tables add up');
is(page($range, role => 'reporter', user => ''), page($range), 'a reporter sees what the owner does');

#--- P3: ranges -----------------------------------------------------------------------

for (
	[ "'2026-10-07', '2026-10-07', 'UTC'", 24, 'one day by hour' ],
	[ "'2026-10-25', '2026-10-25', 'Europe/Berlin'", 25, 'a day of 25 hours' ],
	[ "'2026-03-29', '2026-03-29', 'Europe/Berlin'", 23, 'a day of 23 hours' ],
	[ "'2026-10-25', '2026-10-25', 'Atlantic/Azores'", 25, 'a day with two midnights' ],
	[ "'2026-03-29', '2026-03-29', 'Atlantic/Azores'", 23, 'a day without midnight' ],
	[ "'2026-08-01', '2026-10-30', 'UTC'", 14, 'a quarter by week' ],
	[ "'2024-11-01', '2027-10-31', 'UTC'", 36, 'three years by month' ])
{
	my ($arguments, $places, $what) = @$_;
	my $long = parsed(page($arguments));
	is(scalar(@{ tables($long)->{All}{rows} }), $places, "P3: $what");
	is(differences(tables($long)), '', "P3: $what adds up");
}
is(tables(parsed(page("'2024-11-01', '2027-10-31'")))->{All}{total}[1], 1400, 'P3: all is in it');
for my $by (qw(provider kind source_type service task_name user_id served_model status price_status))
{
	is(differences(tables(parsed(page("$range, group_by => '$by'")))), '', "stacked by $by");
}

#--- P1, P4: what is odd ----------------------------------------------------------------

my @names = ('</title><script>alert(1)</script>', q("><img src=x onerror='alert(1)'>&amp;), "a\x{1}b\x{7f}c\x{202e}d", "caf\x{e9} \x{1f600} ]]> -->", 'x' x 500, '');
for my $i (0 .. $#names)
{
	my $name = join '', map { sprintf '\\+%06X', ord } split //, $names[$i];
	entries("SELECT $i AS n, timestamptz '2027-02-0@{[$i + 1]} 12:00+00' AS at, '$alice' AS who, U&'$name' AS model, U&'$name' AS source, U&'$name' AS name, 'completed' AS status, 'no_price' AS price, "
		  . ('-5.5', '1e-9', '1e9', '0', 'NULL', '3')[$i] . '::numeric AS cost');
}
my $hostile = page("'2027-02-01', '2027-02-28', title => '</title><script>alert(1)</script>'");
my $odd = parsed($hostile);
is(scalar(elements($odd, 'script')) + scalar(elements($odd, 'img')), 0, 'P1: names make no elements');
unlike($hostile, qr/[\x00-\x08\x0b-\x1f\x7f]|\xe2\x80\xae|x{81}/, 'P1: no controls, no marks of direction, and nothing of any length');
my $odd_models = tables($odd)->{Models};
my %seen = map { $_ => 1 } @{ $odd_models->{names} };
ok($seen{ $_->[0] . 'prov' }, "P1: $_->[1]") for [ $names[0], 'a script is its text' ], [ $names[1], 'quotes are' ], [ "a\x{fffd}b\x{fffd}c\x{fffd}d", 'what is dropped is marked' ], [ $names[3], 'letters stay' ], [ 'x' x 80 . "\x{2026}", 'what is long is cut' ];
is(differences(tables($odd)), '', 'P4: a negative day, 1e-9 and 1e9 add up');
is((not_in_tables($odd))[1], '', 'P4: what is drawn of them is in the tables');
is_deeply([ map { $odd_models->{rows}[$_][0] } grep { $odd_models->{names}[$_] =~ /^x/ } 0 .. $#{ $odd_models->{names} } ], [undef], 'P4: a cost that is not known is not 0');
like($hostile, qr/>-\$5\.50</, 'P4: a negative amount');
like($hostile, qr/>&lt;\$0\.01</, 'P4: what is too small to be shown is not nothing');

#--- what is refused ---------------------------------------------------------------------

for (
	[ "'2026-10-02', '2026-10-01'", 'PT422: "to_day" is before "from_day"' ],
	[ "'infinity', NULL", 'PT422: "from_day" must be a day, not infinity' ],
	[ "NULL, '-infinity'", 'PT422: "to_day" must be a day, not infinity' ],
	[ "'1900-01-01', '2026-10-01'", 'PT422: the days from "from_day" to "to_day" are too many' ],
	[ "zone => 'Mars/Base'", 'PT422: there is no time zone "Mars/Base"' ],
	[ "group_by => 'cost'", 'PT422: "group_by" cannot be "cost"' ],
	[ "title => repeat('x', 201)", 'PT422: "title" is too long' ])
{
	my ($arguments, $error) = @$_;
	my (undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT airun_usage_page($arguments)");
	is($err =~ /ERROR:\s+(.*)/ ? $1 : 'no error', $error, "refused: $arguments");
}
my (undef, undef, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSET ROLE app; SELECT airun_usage_page()");
like($err, qr/ERROR:\s+PT401: /, 'refused: nobody');
is($node->safe_psql('postgres', "SELECT airun_usage_page() = airun_usage_page((now() AT TIME ZONE 'UTC')::date - 29, (now() AT TIME ZONE 'UTC')::date, 'UTC')"), 't', 'without days: the last 30, today included');

#--- budgets ---------------------------------------------------------------------------

my $carol = '60000000-0000-4000-8000-000000000003';
ok(!$tables->{Budgets}, 'without a budget there is no table of budgets');
# counters as starts and ends leave them; in two slots, with a credit, and a limit of 0
$node->safe_psql('postgres', <<"END");
SELECT airun_set_budget('everything', 1000, period => 'none', mode => 'soft'), airun_set_budget('</td><script>', 8, scope => 'user', period => 'none'),
	airun_set_budget('secret', 3, scope => 'user', scope_value => '$alice', period => 'none', measure => 'tokens', show_amounts => false),
	airun_set_budget('team', 2000000, scope => 'metadata', scope_key => 'team', period => 'none', measure => 'calls', slots => 2),
	airun_set_budget('nothing', 0, scope => 'model', period => 'month', measure => 'tokens');
DELETE FROM airun.budget_periods;
INSERT INTO airun.budget_periods (id, budget_id, value, period_key, slot, spent, estimated, held, credit)
SELECT 1000 + row_number() OVER (), b.id, c.value, '', c.slot, c.spent, c.estimated, c.held, c.credit
FROM (VALUES ('everything', '', 0, 12.5, 0, 0, 0), ('</td><script>', '$alice', 0, 6, 0.5, 1.5, 0), ('</td><script>', '$bob', 0, 6, 0, 0, 4), ('secret', '$alice', 0, 1, 0, 0, 0),
	('team', 'ops', 0, 1500000, 0, 1, 0), ('team', 'ops', 1, 1499999, 0, 0, 0), ('team', 'a', 0, 5, 0, 0, 0), ('team', 'b', 0, 4, 0, 0, 0), ('team', 'c', 0, 3, 0, 0, 0),
	('team', 'd', 0, 2, 0, 0, 0), ('team', 'e', 0, 1, 0, 0, 0), ('team', 'f', 0, 0, 0, 0, 0)) AS c (name, value, slot, spent, estimated, held, credit)
JOIN airun.budgets AS b ON b.name = c.name AND b.valid_to IS NULL;
END
# The rows of budgets on a page: name, limit, spent, held, used and the bar's length
sub budget_rows
{
	my ($section) = grep { my ($h2) = elements($_, 'h2'); $h2 && words($h2) eq 'Budgets' } elements(parsed($_[0]), 'section');
	my ($body) = elements($section // [], 'tbody');
	return join "\n", map {
		my ($bar) = grep { $_->[1]{class} eq 's1' } elements($_, 'rect');
		join '|', (map { words($_) } elements($_, 'bdi'), elements($_, 'small')), (map { $_ // '' } cells($_)), $bar ? $bar->[1]{width} : ();
	} elements($body // [], 'tr');
}
my $budgets = page($range);
my @alices = ("</td><script>|exhausted; cost; user $alice|8|6.5|1.5|1||100.0", "secret|tokens; user $alice|3|1|0|0.333333||33.3");
is(budget_rows($budgets), join("\n", 'team|exhausted; calls; team ops|2000000|2999999|1|1.5||100.0', (map { "team|calls; team $_->[0]|2000000|$_->[1]|0|$_->[2]||0.0" } [ 'a', 5, '0.000003' ], [ 'b', 4, '0.000002' ], [ 'c', 3, '0.000002' ], [ 'd', 2, '0.000001' ]),
		'2 others|of team|||||', $alices[0], "</td><script>|cost; user $bob|12|6|0|0.5||50.0", "nothing|exhausted; tokens per month; each model|0|0|0|1||100.0", $alices[1], 'everything|cost, only warned of|1000|12.5|0|0.0125||1.2'),
	'budgets, the fullest first, each with its fullest counters');
like($budgets, qr/>\$6\.50<.*>\$1\.50<.*>100\.0%<.*>2\.00M<|>2\.00M<.*>150\.0%</s, 'rounded for people');
is(budget_rows(page($range, role => 'reporter', user => '')), budget_rows($budgets), 'a reporter sees all of them');
is(budget_rows(page($range, role => 'app')), "$alices[0]\nsecret|tokens; user $alice||||||0.0", 'a user her own, and no amount that is not shown');
is(budget_rows(page($range, role => 'app', user => $bob)), "</td><script>|cost; user $bob|12|6|0|0.5||50.0", 'another one his');
is(budget_rows(page($range, role => 'app', user => $carol)), "</td><script>|cost; user $carol|8|0|0|0||0.0", 'who has used nothing, too');
is($node->safe_psql('postgres', "SET TimeZone = 'Asia/Tokyo'; SELECT strpos(airun_usage_page($range, 'Asia/Kolkata'), '<td>' || to_char(resets_at AT TIME ZONE 'Asia/Kolkata', 'YYYY-MM-DD HH24:MI') || '</td>') > 0 FROM airun_budget_status('nothing')"),
	't', 'a period ends at a time of the page\'s zone');
# more budgets, of more users, than a page has room for
$node->safe_psql('postgres', <<"END");
SELECT count(airun_set_budget('many ' || n, 10, scope => 'task_name', period => 'none')) FROM generate_series(1, 17) AS n;
INSERT INTO airun.budget_periods (id, budget_id, value, period_key, slot, spent)
SELECT 100000 * b.id + n, b.id, 'v' || n, '', 0, n / 100.0 FROM airun.budgets AS b, generate_series(1, 300) AS n WHERE b.name LIKE 'many %';
END
$budgets = page($range);
my @rows = split /\n/, budget_rows($budgets);
is(scalar(grep { /^many/ } @rows) . ' ' . scalar(grep { /^295 others/ } @rows) . ' ' . scalar(@rows) . ' ' . $rows[-1], '80 16 107 2 others|budgets that are less full|||||', 'the 20 fullest, five counters of each, and how many others');
cmp_ok(length $budgets, '<', 200_000, 'P12: size with all these');

#--- P13: a domain that a site has ---------------------------------------------------------

$node->safe_psql('postgres', 'CREATE DATABASE site');
is($node->safe_psql('site', 'CREATE DOMAIN public."text/html" AS integer; CREATE EXTENSION airun; SELECT pronamespace::regnamespace FROM pg_proc WHERE proname = \'airun_usage_page\''), 'public', 'P13: a domain of that name, with another base type, is in nobody\'s way');
$node->safe_psql('site', 'CREATE TABLE t (a public."text/html")');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('site') ], 'P13: dumped');
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-1', '-f', $dump, $node->connstr('again') ], 'P13: restored');
is($node->safe_psql('again', "DROP EXTENSION airun; SELECT count(*) FROM pg_type WHERE typname = 'text/html'; SELECT count(*) FROM pg_namespace WHERE nspname = 'airun_media'"), "1\n0", 'P13: dropped, the site\'s stays');

#--- a browser -----------------------------------------------------------------------------

SKIP:
{
	skip 'no chromium', 1 if !grep { -x "$_/chromium" } split /:/, $ENV{PATH};
	my $dir = PostgreSQL::Test::Utils::tempdir();
	for (['page', $text], ['odd', $hostile])
	{
		append_to_file("$dir/$_->[0].html", $_->[1]);
		my @chromium = ('chromium', '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', "--user-data-dir=$dir/profile");
		my ($dom) = run_command([ @chromium, '--dump-dom', "file://$dir/$_->[0].html" ]);
		my @found = $dom =~ /<(\w+)[\s>]/g;
		is(join(' ', @found), join(' ', map { $_->[0] } parsed($_->[1]), elements(parsed($_->[1]))), "P5: a browser sees the elements of $_->[0] that the parser of XML does");
		next if !$ENV{AIRUN_LONG};
		for my $scheme (0, 1)
		{
			my $file = "$dir/$_->[0]-$scheme.png";
			run_command([ @chromium, "--blink-settings=preferredColorScheme=$scheme", '--window-size=1200,2400', "--screenshot=$file", "file://$dir/$_->[0].html" ]);
			cmp_ok(-s $file, '>', 50_000, "a picture of $_->[0], scheme $scheme");
			run_command([ 'cp', $file, $ENV{AIRUN_KEEP} ]) if $ENV{AIRUN_KEEP} && -d $ENV{AIRUN_KEEP};
		}
	}
}

done_testing();
