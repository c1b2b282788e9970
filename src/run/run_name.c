/*
 * run_name.c
 *		The name that a run gets from what its user says first.
 *
 * A run without a name is called by the first sentence or line of its first
 * user message, without what cannot be seen.  Where a sentence ends is told by
 * punctuation, and by what stands around it.  A name that is too long is cut at
 * a word, or where there is none between two characters as a reader counts them:
 * never within an emoji that is made of several, nor between a letter and its
 * marks.  Nothing is refused: a message in which nothing can be seen gives no
 * name.  Nothing is locked.
 *
 * Code points are known in UTF-8 alone.  In other encodings what is not ASCII
 * is a letter.
 */
#include "run/run_name.h"

#include "json/jsonb_util.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "run/message.h"
#include "utils/builtins.h"

/* The longest name that is made, in code points */
#define MAX_DERIVED_NAME	60

#define ZERO_WIDTH_JOINER	0x200D

typedef struct CodeRange
{
	pg_wchar	first;
	pg_wchar	last;
} CodeRange;

/* Unicode's white space beyond ASCII */
static const CodeRange blanks[] = {
	{0x85, 0x85}, {0xA0, 0xA0}, {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
	{0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}
};

/* What shows nothing by itself: controls, joiners, directions, fillers, tags */
static const CodeRange invisibles[] = {
	{0x00, 0x1F}, {0x7F, 0x9F}, {0xAD, 0xAD}, {0x34F, 0x34F}, {0x61C, 0x61C},
	{0x115F, 0x1160}, {0x17B4, 0x17B5}, {0x180B, 0x180F}, {0x200B, 0x200F},
	{0x202A, 0x202E}, {0x2060, 0x206F}, {0x2800, 0x2800}, {0x3164, 0x3164},
	{0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB},
	{0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}
};

/*
 * What goes on with the character before it, beside what takes no room of its
 * own: vowels of Hangul, Thai and Lao, skin tones, tags, joiners.
 */
static const CodeRange extenders[] = {
	{0x0E33, 0x0E33}, {0x0EB3, 0x0EB3}, {0x102B, 0x103E}, {0x1056, 0x1059},
	{0x1160, 0x11FF}, {0x17B6, 0x17D3}, {0x200C, 0x200D}, {0x302E, 0x302F},
	{0xFE00, 0xFE0F}, {0xFF9E, 0xFF9F}, {0x1F3FB, 0x1F3FF}, {0xE0020, 0xE007F},
	{0xE0100, 0xE01EF}
};

/* The scripts of India have their signs at the same places, in blocks of 128 */
#define FIRST_INDIC		0x0900
#define LAST_INDIC		0x0DFF
static const CodeRange indic_signs[] = {
	{0x00, 0x03}, {0x3A, 0x3C}, {0x3E, 0x4F}, {0x51, 0x57}, {0x62, 0x63}
};

/* Of these two make a flag */
static const CodeRange flag_letters[] = {{0x1F1E6, 0x1F1FF}};

/* Ends of sentences that need no blank after them */
static const CodeRange full_stops[] = {{0x3002, 0x3002}, {0xFF01, 0xFF01}, {0xFF1F, 0xFF1F}};

/*
 * Words after which a full stop does not end a sentence, in lower case.  Single
 * letters and words with a full stop within (e.g., z.B.) need not be listed.
 */
static const char *const abbreviations[] = {
	"abb", "abs", "al", "approx", "apt", "art", "ave", "blvd", "bzw", "ca", "capt", "cf",
	"co", "col", "corp", "dept", "dipl", "dr", "dra", "ed", "eq", "esp", "est", "etc", "evtl",
	"fig", "figs", "fr", "gen", "ggf", "gov", "hr", "hrsg", "inc", "inkl", "jr", "lt", "ltd",
	"maj", "max", "min", "mio", "mlle", "mme", "mr", "mrs", "ms", "mt", "no", "nos", "nr",
	"num", "op", "pp", "prof", "ref", "rep", "rev", "sec", "sen", "sgt", "sog", "sr", "sra",
	"st", "str", "tel", "usw", "vgl", "vol", "vs", "ziff", "zzgl"
};

/* ---------- characters ---------- */

#define IS_ONE_OF(code, ranges)	is_one_of(code, ranges, lengthof(ranges))

static bool
is_one_of(pg_wchar code, const CodeRange *ranges, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	}
	return false;
}

/* The code point at s, and how many bytes it has; 0 at the end */
static pg_wchar
code_at(const char *s, const char *end, int *len)
{
	*len = 0;
	if (s >= end)
		return 0;
	*len = Min(pg_mblen(s), end - s);
	if (*len == 1)
		return (unsigned char) *s;
	/* elsewhere a letter that has nothing of its own */
	return GetDatabaseEncoding() == PG_UTF8 ?
		utf8_to_unicode((const unsigned char *) s) : 0x4E00;
}

static bool
is_blank(pg_wchar code)
{
	return code == ' ' || (code >= '\t' && code <= '\r') || IS_ONE_OF(code, blanks);
}

static bool
is_line_end(pg_wchar code)
{
	return code == '\n' || code == '\r' || code == 0x85 || code == 0x2028 || code == 0x2029;
}

/* Does the code point at s go on with the character before it? */
static bool
extends(pg_wchar code, const char *s)
{
	if (code < 0x300)
		return false;
	if (code >= FIRST_INDIC && code <= LAST_INDIC &&
		IS_ONE_OF(code & 0x7F, indic_signs))
		return true;
	return IS_ONE_OF(code, extenders) ||
		(!IS_ONE_OF(code, invisibles) && pg_encoding_dsplen(GetDatabaseEncoding(), s) == 0);
}

/* What a reader takes for one character */
typedef struct Cluster
{
	const char *start;
	int			bytes;
	int			codes;
	pg_wchar	first;
	bool		is_visible;
} Cluster;

/* The one at s; its bytes are 0 at the end */
static Cluster
cluster_at(const char *s, const char *end)
{
	Cluster		cluster = {.start = s};
	pg_wchar	before;
	int			len;

	cluster.first = before = code_at(s, end, &len);
	cluster.bytes = len;
	cluster.codes = len > 0 ? 1 : 0;
	cluster.is_visible = len > 0 && !is_blank(before) && !IS_ONE_OF(before, invisibles);
	while (cluster.is_visible)
	{
		const char *next = s + cluster.bytes;
		pg_wchar	code = code_at(next, end, &len);

		if (len == 0 ||
			!(extends(code, next) ||
			  (before == ZERO_WIDTH_JOINER && !is_blank(code) && !IS_ONE_OF(code, invisibles)) ||
			  (cluster.codes == 1 && IS_ONE_OF(before, flag_letters) &&
			   IS_ONE_OF(code, flag_letters))))
			break;
		cluster.bytes += len;
		cluster.codes++;
		before = code;
	}
	return cluster;
}

/* ---------- sentences ---------- */

/* Is the word, which a full stop follows, cut short rather than the last one? */
static bool
is_abbreviation(const char *word, int len)
{
	char	   *lower;

	while (len > 0 && strchr("([{\"'", *word) != NULL)
		word++, len--;
	while (len > 0 && word[len - 1] == '.')
		len--;					/* an ellipsis */
	if (len == 0)
		return false;
	if (memchr(word, '.', len) != NULL || len == pg_mblen(word))
		return !(*word >= '0' && *word <= '9');
	lower = pnstrdup(word, len);
	for (char *c = lower; *c != '\0'; c++)
		*c = pg_ascii_tolower((unsigned char) *c);
	for (int i = 0; i < lengthof(abbreviations); i++)
	{
		if (strcmp(lower, abbreviations[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Does a sentence end with this character?  name: what stands before it, from
 * whose byte word its last word is.
 */
static bool
ends_sentence(const Cluster *mark, const char *end, const StringInfoData *name, int word)
{
	const char *next = mark->start + mark->bytes;
	int			len;
	pg_wchar	code = code_at(next, end, &len);

	if (IS_ONE_OF(mark->first, full_stops))
		return true;
	if (mark->first != '.' && mark->first != '!' && mark->first != '?')
		return false;
	if (len > 0 && !is_blank(code))
		return false;
	return mark->first != '.' || len == 0 ||
		!is_abbreviation(name->data + word, name->len - word);
}

/* ---------- names ---------- */

/* Is there anything to be seen in the text? */
bool
text_is_visible(const char *s, int len)
{
	const char *end = s + len;

	while (s < end)
	{
		Cluster		cluster = cluster_at(s, end);

		if (cluster.is_visible)
			return true;
		s += cluster.bytes;
	}
	return false;
}

/*
 * A name for the run whose first user message this is: the first sentence or
 * line in which something can be seen, one blank for each white space, at most
 * MAX_DERIVED_NAME code points.  NULL: this message gives none.
 */
text *
run_name_from_message(Jsonb *message)
{
	JsonbValue	buffer;
	JsonbValue *role = jsonb_get_key(&message->root, "role", &buffer);
	StringInfoData name;
	Cluster		cluster;
	text	   *content;
	const char *end;
	int			codes = 0;
	int			word = 0;		/* where the last word of the name begins */
	bool		blank = false;
	bool		is_end;

	if (!jsonb_string_is(role, "user") || (content = message_text(message)) == NULL)
		return NULL;

	initStringInfo(&name);
	end = VARDATA_ANY(content) + VARSIZE_ANY_EXHDR(content);
	for (const char *s = VARDATA_ANY(content); s < end; s += cluster.bytes)
	{
		cluster = cluster_at(s, end);
		if (is_line_end(cluster.first) && name.len > 0)
			break;
		if (is_blank(cluster.first))
			blank = name.len > 0;
		if (!cluster.is_visible)
			continue;
		if (codes + cluster.codes + (blank ? 1 : 0) > MAX_DERIVED_NAME)
		{
			/* cut: before this word, or else before this character, or within it */
			if (!blank && word > 0)
				name.len = word - 1;
			else if (name.len == 0)
				appendBinaryStringInfo(&name, s,
									   pg_mbcharcliplen(s, cluster.bytes, MAX_DERIVED_NAME));
			break;
		}
		if (blank)
		{
			appendStringInfoChar(&name, ' ');
			word = name.len;
			codes++;
			blank = false;
		}
		is_end = ends_sentence(&cluster, end, &name, word);
		appendBinaryStringInfo(&name, s, cluster.bytes);
		codes += cluster.codes;
		if (is_end)
			break;
	}
	return name.len > 0 ? cstring_to_text_with_len(name.data, name.len) : NULL;
}
