/*
 * search_query.c
 *		What is searched for, and where a text has it.
 *
 * A query is words and "phrases", all of which a text must have, and words or
 * phrases behind a minus, none of which it may have.  A word is all that stands
 * between spaces, signs included: a->b, snake_case, /etc/hosts, E0502.
 *
 * A term that begins with a letter or digit matches where a word begins, so that
 * hotel finds hotels; one that begins with a sign, or a character of a script
 * without spaces between words, anywhere.  What is excluded must match whole
 * words.  A space within a phrase stands for all that is between two words, as
 * long as there is a space in it: "hello world" finds "Hello, **world**".
 *
 * Most texts that are searched lack a word.  Where a text is ASCII alone, which is quick
 * to see, it has a term only if its bytes hold the longest part of it without a space,
 * capitals aside; so most need not be read as plain text.
 *
 * The rank depends on the text alone: how often it has each term, as a whole word
 * or as the beginning of one, for its length.
 *
 * A text is gone through once for each term, and compared at each place with no more than
 * the term, which is short (MAX_QUERY); it can be cancelled at every place.
 *
 * Errors: PT422 for a query that is empty, too long, or only excludes.
 */
#include "search/search_query.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "store/args.h"
#include "utils/builtins.h"

/* ---------- parsing ---------- */

static void
add_term(SearchQuery *query, int from, int to, bool is_excluded)
{
	const pg_wchar *chars = query->plain.chars;

	while (from < to && chars[from] == ' ')
		from++;
	while (from < to && chars[to - 1] == ' ')
		to--;
	if (from == to)
		return;
	if (query->count == MAX_TERMS)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"query\" has too many words"),
				 errdetail("At most %d words and phrases are allowed.", MAX_TERMS),
				 errhint("Put a phrase between quotation marks, or leave words out.")));
	query->terms[query->count++] = (Term) {
		.from = from, .to = to, .is_excluded = is_excluded
	};
}

/* Does a minus at this place exclude what follows, rather than belong to it? */
static bool
excludes(const PlainText *plain, int at)
{
	return plain->chars[at] == '-' && at + 1 < plain->count &&
		(plain->chars[at + 1] == '"' || (plain->flags[at + 1] & PLAIN_WORD));
}

static void
parse_terms(SearchQuery *query)
{
	const PlainText *plain = &query->plain;
	int			at = 0;

	while (at < plain->count)
	{
		bool		is_excluded = excludes(plain, at);
		bool		is_phrase;
		int			from;

		if (is_excluded)
			at++;
		is_phrase = plain->chars[at] == '"';
		if (is_phrase)
			at++;
		from = at;
		while (at < plain->count && plain->chars[at] != (is_phrase ? '"' : ' '))
			at++;
		add_term(query, from, at, is_excluded);
		at++;					/* the space or quotation mark that ends it */
	}
}

static bool
is_ascii_letter(pg_wchar c)
{
	return c >= 'a' && c <= 'z';
}

/*
 * Find the longest part of a term without a space.  A text of ASCII alone that has
 * the term has it in one piece, capitals aside.
 */
static void
find_piece(SearchQuery *query, Term *term)
{
	const pg_wchar *chars = query->plain.chars;
	int			from = term->from;

	for (int at = term->from; at <= term->to; at++)
	{
		if (at < term->to && chars[at] >= 0x80)
			term->has_other = true;
		if (at < term->to && chars[at] != ' ')
			continue;
		if (at - from > term->piece_length)
		{
			term->piece = from;
			term->piece_length = at - from;
		}
		from = at + 1;
	}
}

/* Take a query apart.  It lasts as long as the string. */
void
search_parse(SearchQuery *query, text *string)
{
	Field		field = {PointerGetDatum(string), false};
	bool		has_term = false;

	check_length("query", &field, MAX_QUERY);
	plain_read(&query->plain, VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
	query->count = 0;
	parse_terms(query);
	for (int i = 0; i < query->count; i++)
	{
		find_piece(query, &query->terms[i]);
		has_term |= !query->terms[i].is_excluded;
	}
	if (!has_term)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"query\" has nothing to search for"),
				 errdetail("Found \"%s\".", excerpt(VARDATA_ANY(string),
													VARSIZE_ANY_EXHDR(string))),
				 errhint("Give a word, or a phrase between quotation marks; what stands behind a "
						 "minus only excludes.")));
}

/* ---------- texts that cannot have it ---------- */

/* Texts are looked through in such parts, all bytes of which are compared at once */
#define PART_BYTES	64

static bool
is_ascii(const char *source, int len)
{
	uint8		bits = 0;

	for (int i = 0; i < len; i++)
		bits |= (uint8) source[i];
	return bits < 0x80;
}

/* Does the piece stand at this place? */
static bool
piece_at(const pg_wchar *piece, int length, const char *source)
{
	for (int i = 0; i < length; i++)
	{
		uint8		c = source[i];

		if ((is_ascii_letter(piece[i]) ? c | 0x20 : c) != piece[i])
			return false;
	}
	return true;
}

/* Has a text of ASCII this piece anywhere?  Most parts lack its two ends at their distance. */
static bool
has_piece(const pg_wchar *piece, int length, const char *source, int len)
{
	uint8		first = piece[0];
	uint8		last = piece[length - 1];
	uint8		first_case = is_ascii_letter(first) ? 0x20 : 0;
	uint8		last_case = is_ascii_letter(last) ? 0x20 : 0;
	int			places = len - length + 1;
	int			at = 0;

	for (; at + PART_BYTES <= places; at += PART_BYTES)
	{
		const uint8 *begins = (const uint8 *) source + at;
		const uint8 *ends = begins + length - 1;
		uint8		found = 0;

		for (int i = 0; i < PART_BYTES; i++)
			found |= (uint8) ((begins[i] | first_case) == first) &
				(uint8) ((ends[i] | last_case) == last);
		if (found)
			CHECK_FOR_INTERRUPTS();
		for (int i = 0; found && i < PART_BYTES; i++)
		{
			if (piece_at(piece, length, source + at + i))
				return true;
		}
	}
	for (; at < places; at++)
	{
		if (piece_at(piece, length, source + at))
			return true;
	}
	return false;
}

/*
 * May a text have what is searched for?  False only where it certainly has not:
 * reading a text as plain text takes ten times as long.  Nothing is said of texts
 * beyond ASCII.
 */
bool
search_may_match(const SearchQuery *query, const char *source, int len)
{
	if (!is_ascii(source, len))
		return true;
	for (int i = 0; i < query->count; i++)
	{
		const Term *term = &query->terms[i];

		if (!term->is_excluded &&
			(term->has_other ||
			 !has_piece(query->plain.chars + term->piece, term->piece_length, source, len)))
			return false;
	}
	return true;
}

/* ---------- matching ---------- */

/* Go past all that is no word; -1 unless there is a space in it */
static int
skip_gap(const PlainText *text, int at)
{
	bool		has_space = false;

	while (at < text->count && !(text->flags[at] & PLAIN_WORD))
		has_space |= text->chars[at++] == ' ';
	return has_space ? at : -1;
}

/* The end of the term at this place of the text, or -1 where it does not stand there */
static int
match_at(const PlainText *plain, const Term *term, const PlainText *text, int at)
{
	if ((plain->flags[term->from] & PLAIN_LETTER) && !(text->flags[at] & PLAIN_START))
		return -1;
	for (int i = term->from; i < term->to; i++)
	{
		if (plain->chars[i] == ' ' && (plain->flags[i + 1] & PLAIN_WORD) && at < text->count &&
			(at = skip_gap(text, at)) >= 0)
			continue;
		if (at < 0 || at >= text->count || text->chars[at] != plain->chars[i])
			return -1;
		at++;
	}
	return at;
}

/* Does a word end here, where a term that matches has its end? */
static bool
ends_word(const PlainText *text, int end)
{
	return end == text->count || !(text->flags[end - 1] & PLAIN_LETTER) ||
		!(text->flags[end] & PLAIN_LETTER) || (text->flags[end] & PLAIN_START);
}

/*
 * How often the text has the term, half for a mere beginning of a word.  A term that
 * is excluded is looked for no longer than until it is found.
 */
static float4
count_term(const SearchQuery *query, int number, const PlainText *text, SearchMatch *match)
{
	const Term *term = &query->terms[number];
	pg_wchar	first = query->plain.chars[term->from];
	int			most = match->count + MAX_PLACES / query->count;	/* places for each */
	float4		found = 0;

	for (int at = 0; at < text->count; at++)
	{
		int			end;
		bool		is_whole;

		if (text->chars[at] != first)
			continue;
		CHECK_FOR_INTERRUPTS();	/* a comparison takes up to as long as the term is */
		if ((end = match_at(&query->plain, term, text, at)) < 0)
			continue;
		is_whole = ends_word(text, end);
		if (term->is_excluded)
		{
			if (is_whole)
				return 1;
			continue;
		}
		found += is_whole ? 1 : 0.5;
		if (match->count < most)
			match->places[match->count++] = (Place) {at, end, number};
		at = end - 1;
	}
	return found;
}

/* A text of so many characters is neither short nor long */
#define USUAL_LENGTH	600.0

/* Has the text what is searched for?  Then say where, and how well. */
bool
search_match(const SearchQuery *query, const PlainText *text, SearchMatch *match)
{
	float8		damping = 1.2 * (0.25 + 0.75 * text->count / USUAL_LENGTH);
	float8		sum = 0;
	int			terms = 0;

	match->count = 0;
	for (int i = 0; i < query->count; i++)
	{
		float4		found = count_term(query, i, text, match);

		if ((found > 0) == query->terms[i].is_excluded)
			return false;
		if (query->terms[i].is_excluded)
			continue;
		sum += found / (found + damping);
		terms++;
	}
	match->rank = (float4) (sum / terms);
	return true;
}

/* ---------- snippets ---------- */

#define SNIPPET_CHARS	200
#define SNIPPET_BEFORE	40		/* of them, before the first place that is shown */

static int
compare_places(const void *a, const void *b)
{
	const Place *left = a;
	const Place *right = b;

	return left->from != right->from ? (left->from < right->from ? -1 : 1) :
		(left->to > right->to) - (left->to < right->to);
}

/* The first place from which on most different terms are within a snippet */
static int
best_place(const SearchMatch *match)
{
	int			best = 0;
	int			most = 0;

	for (int i = 0; i < match->count; i++)
	{
		uint32		terms = 0;

		for (int k = i; k < match->count &&
			 match->places[k].to - match->places[i].from <= SNIPPET_CHARS - SNIPPET_BEFORE; k++)
			terms |= (uint32) 1 << match->places[k].term;
		if (pg_popcount32(terms) > most)
		{
			most = pg_popcount32(terms);
			best = i;
		}
	}
	return best;
}

/* Append a part of the source as HTML, white space as one space */
static void
append_html(StringInfo out, const char *source, int from, int to)
{
	for (int i = from; i < to; i++)
	{
		char		c = source[i];

		if (c == '<')
			appendStringInfoString(out, "&lt;");
		else if (c == '>')
			appendStringInfoString(out, "&gt;");
		else if (c == '&')
			appendStringInfoString(out, "&amp;");
		else if (c == '"')
			appendStringInfoString(out, "&quot;");
		else if ((unsigned char) c > ' ')
			appendStringInfoChar(out, c);
		else if (out->len > 0 && out->data[out->len - 1] != ' ')
			appendStringInfoChar(out, ' ');
	}
}

/* Where the character behind this one begins in the source, marks on this one included */
static int
source_end(const PlainText *text, int end)
{
	while (end < text->count && text->offsets[end] == text->offsets[end - 1])
		end++;
	return text->offsets[end];
}

/* Where a snippet begins that is to show this place: at a word, if one is near */
static int
snippet_start(const PlainText *text, int place)
{
	int			start = Max(0, place - SNIPPET_BEFORE);

	for (int i = start; start > 0 && i < place; i++)
	{
		if (text->chars[i] == ' ')
			return i + 1;
	}
	return start;
}

static int
snippet_end(const PlainText *text, int start, int shown)
{
	int			end = Max(shown, Min(text->count, start + SNIPPET_CHARS));

	for (int i = end; end < text->count && i > Max(shown, end - SNIPPET_BEFORE); i--)
	{
		if (text->chars[i] == ' ')
			return i;
	}
	return end;
}

#define ELLIPSIS	(GetDatabaseEncoding() == PG_UTF8 ? "\xE2\x80\xA6" : "...")

/*
 * The part of a text that shows best what was found, as HTML: <mark> around it, and
 * nothing else that is markup.
 */
text *
search_snippet(const PlainText *text, SearchMatch *match)
{
	StringInfoData out;
	int			best;
	int			start;
	int			end;
	int			at;				/* in the source */

	qsort(match->places, match->count, sizeof(Place), compare_places);
	best = best_place(match);
	start = snippet_start(text, match->places[best].from);
	end = snippet_end(text, start, Min(match->places[best].to, start + 2 * SNIPPET_CHARS));

	initStringInfo(&out);
	if (start > 0)
		appendStringInfoString(&out, ELLIPSIS);
	at = text->offsets[start];
	for (int i = 0; i < match->count; i++)
	{
		int			from = text->offsets[match->places[i].from];
		int			to = source_end(text, match->places[i].to);

		if (from < at || match->places[i].from >= end || match->places[i].to > end)
			continue;
		append_html(&out, text->source, at, from);
		appendStringInfoString(&out, "<mark>");
		append_html(&out, text->source, from, to);
		appendStringInfoString(&out, "</mark>");
		at = to;
	}
	append_html(&out, text->source, at, Max(at, source_end(text, end)));
	if (end < text->count)
		appendStringInfoString(&out, ELLIPSIS);
	else if (out.data[out.len - 1] == ' ')
		out.len--;				/* the text's last character */
	return cstring_to_text_with_len(out.data, out.len);
}
