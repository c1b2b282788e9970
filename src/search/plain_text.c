/*
 * plain_text.c
 *		Text as it is searched: without case, accents and runs of white space.
 *
 * What is searched and what is searched for are read by the same code, so that
 * they meet: compatible forms of a character are one (Unicode's NFKD), accents
 * and other marks on letters are left out, capitals are small letters, and white
 * space is one space.  Each character knows where it came from, for snippets.
 *
 * The result depends on the text alone, and on no locale: filters that are
 * stored are made of it.  In encodings other than UTF-8 only ASCII has case, and
 * every other character stands for itself.
 *
 * A word begins where a letter follows something else, a small letter is followed
 * by a capital, or a digit stands beside a letter: get_userName2 has four.  Han,
 * kana, Hangul, Thai and others that do not (or not always) put spaces between
 * words have lone characters.
 *
 * Nothing is locked and nothing refused.
 */
#include "search/plain_text.h"

#include "common/unicode_norm.h"
#include "utils/memutils.h"

/* Of the characters that one is taken apart into, no more count */
#define MAX_PARTS	8

/* Both ends inclusive */
typedef struct CharRange
{
	pg_wchar	first;
	pg_wchar	last;
} CharRange;

/* In order.  What is left out: marks on letters, and characters that show nothing. */
static const CharRange left_out[] = {
	{0x00AD, 0x00AD}, {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x05BF, 0x05BF},
	{0x05C1, 0x05C2}, {0x05C4, 0x05C5}, {0x05C7, 0x05C7}, {0x0610, 0x061A}, {0x061C, 0x061C},
	{0x0640, 0x0640}, {0x064B, 0x065F}, {0x0670, 0x0670}, {0x06D6, 0x06DC}, {0x1AB0, 0x1AFF},
	{0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x2064}, {0x20D0, 0x20FF},
	{0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF}, {0xE0100, 0xE01EF}
};

/* White space beyond ASCII that NFKD does not make a space */
static const CharRange white[] = {
	{0x0085, 0x0085}, {0x1680, 0x1680}, {0x2028, 0x2029}
};

/* Scripts without spaces between words, or with so few that they do not tell */
static const CharRange lone[] = {
	{0x0E00, 0x0E3A}, {0x0E40, 0x0EFF}, {0x0F00, 0x0FFF}, {0x1000, 0x109F}, {0x1100, 0x11FF},
	{0x1780, 0x17FF}, {0x2E80, 0x2FDF}, {0x3005, 0x3007}, {0x3021, 0x3029}, {0x3041, 0x30FF},
	{0x3100, 0x318F}, {0x31A0, 0x31FF}, {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xA960, 0xA97F},
	{0xAC00, 0xD7FF}, {0xF900, 0xFAFF}, {0x1B000, 0x1B16F}, {0x20000, 0x3FFFF}
};

/* What is neither letter nor digit, beyond ASCII */
static const CharRange signs[] = {
	{0x0080, 0x00A9}, {0x00AB, 0x00B4}, {0x00B6, 0x00B9}, {0x00BB, 0x00BF}, {0x00D7, 0x00D7},
	{0x00F7, 0x00F7}, {0x02C2, 0x02C5}, {0x02D2, 0x02DF}, {0x037E, 0x037E}, {0x0387, 0x0387},
	{0x055A, 0x055F}, {0x0589, 0x058F}, {0x05BE, 0x05BE}, {0x05C0, 0x05C0}, {0x05C3, 0x05C6},
	{0x05F3, 0x05F4}, {0x0600, 0x060F}, {0x061B, 0x061F}, {0x066A, 0x066D}, {0x06D4, 0x06D4},
	{0x0964, 0x0965}, {0x0E3B, 0x0E3F}, {0x2000, 0x206F}, {0x20A0, 0x20CF}, {0x2190, 0x2BFF},
	{0x2E00, 0x2E7F}, {0x3000, 0x3004}, {0x3008, 0x3020}, {0x302A, 0x3040}, {0xFD3E, 0xFD3F},
	{0xFE10, 0xFE6F}, {0xFF00, 0xFF0F}, {0xFFE0, 0xFFFF}, {0x1F000, 0x1FAFF}
};

#define IN_RANGES(c, ranges)	in_ranges(c, ranges, lengthof(ranges))

static bool
in_ranges(pg_wchar c, const CharRange *ranges, int count)
{
	int			low = 0;
	int			high = count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (c > ranges[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && c >= ranges[low].first;
}

/* ---------- small letters ---------- */

/* In order: capitals of which every one, or every second one, has its small letter near by */
static const struct
{
	pg_wchar	first;
	pg_wchar	last;
	int			step;			/* 1 or 2 */
	int			distance;
}			capitals[] = {
	{0x00C0, 0x00D6, 1, 32}, {0x00D8, 0x00DE, 1, 32}, {0x0100, 0x0136, 2, 1},
	{0x0139, 0x0147, 2, 1}, {0x014A, 0x0176, 2, 1}, {0x0179, 0x017D, 2, 1},
	{0x0181, 0x0181, 1, 210}, {0x0186, 0x0186, 1, 206}, {0x0189, 0x018A, 1, 205},
	{0x018E, 0x018E, 1, 79}, {0x018F, 0x018F, 1, 202}, {0x0190, 0x0190, 1, 203},
	{0x0191, 0x0191, 1, 1}, {0x0193, 0x0193, 1, 205}, {0x0194, 0x0194, 1, 207},
	{0x0196, 0x0196, 1, 211}, {0x0197, 0x0197, 1, 209}, {0x0198, 0x0198, 1, 1},
	{0x019D, 0x019D, 1, 213}, {0x01B2, 0x01B2, 1, 217}, {0x01B3, 0x01B5, 2, 1},
	{0x01E4, 0x01E4, 1, 1}, {0x0391, 0x03A9, 1, 32}, {0x0400, 0x040F, 1, 80},
	{0x0410, 0x042F, 1, 32}, {0x0460, 0x0480, 2, 1}, {0x048A, 0x04BE, 2, 1},
	{0x04C1, 0x04CD, 2, 1}, {0x04D0, 0x052E, 2, 1}, {0x0531, 0x0556, 1, 48},
	{0x10A0, 0x10C5, 1, 7264}, {0x1C90, 0x1CBF, 1, -3008}, {0x1E00, 0x1EFE, 2, 1},
	{0x2C80, 0x2CE2, 2, 1}
};

/* The small letter of a character; itself, where it has none */
static pg_wchar
small_letter(pg_wchar c)
{
	for (int i = 0; i < lengthof(capitals) && c >= capitals[i].first; i++)
	{
		if (c <= capitals[i].last && (c - capitals[i].first) % capitals[i].step == 0)
			return c + capitals[i].distance;
	}
	return c;
}

/*
 * Small letters, and signs, that are written otherwise as well, though Unicode does
 * not take them apart
 */
static const struct
{
	pg_wchar	from;
	char		to[3];
}			rewritten[] = {
	{0x00DF, "ss"}, {0x00E6, "ae"}, {0x00F8, "o"}, {0x0111, "d"}, {0x0127, "h"},
	{0x0131, "i"}, {0x0142, "l"}, {0x0153, "oe"}, {0x2010, "-"}, {0x2011, "-"},
	{0x2012, "-"}, {0x2013, "-"}, {0x2014, "-"}, {0x2018, "'"}, {0x2019, "'"},
	{0x201C, "\""}, {0x201D, "\""}, {0x201E, "\""}, {0x2212, "-"}
};

/* What is written instead, or NULL */
static const char *
rewriting(pg_wchar c)
{
	if (c > 0x0153 && c < 0x2010)
		return NULL;
	for (int i = 0; i < lengthof(rewritten); i++)
	{
		if (rewritten[i].from == c)
			return rewritten[i].to;
	}
	return NULL;
}

/* ---------- one character after the other ---------- */

/* The marks that voice kana become one character with what they stand on */
#define VOICED			0x3099
#define SEMI_VOICED		0x309A
#define VOICED_BIT		0x00400000
#define SEMI_VOICED_BIT	0x00800000

static uint8
kind_of(pg_wchar c)
{
	if (c < 0x80)
		return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? PLAIN_LETTER : 0;
	if (c & (VOICED_BIT | SEMI_VOICED_BIT))
		return PLAIN_LONE;
	if (IN_RANGES(c, lone))
		return PLAIN_LONE;
	return IN_RANGES(c, signs) ? 0 : PLAIN_LETTER;
}

/* Most characters are ASCII: what becomes of them, made when it is first wanted */
static struct
{
	bool		is_made;
	uint8		small[0x80];
	uint8		kind[0x80];
}			ascii;

static void
make_ascii(void)
{
	for (int c = 0; c < 0x80; c++)
	{
		bool		is_capital = c >= 'A' && c <= 'Z';

		ascii.small[c] = is_capital ? c + 'a' - 'A' : c <= ' ' || c == 0x7F ? ' ' : c;
		ascii.kind[c] = kind_of(ascii.small[c]);
	}
	ascii.is_made = true;
}

static bool
is_digit(pg_wchar c)
{
	return c >= '0' && c <= '9';
}

static void
make_room(PlainText *plain)
{
	Size		capacity = (Size) plain->capacity * 2;

	plain->chars = repalloc(plain->chars, capacity * sizeof(pg_wchar));
	plain->flags = repalloc(plain->flags, capacity);
	plain->offsets = repalloc(plain->offsets, capacity * sizeof(int));
	plain->capacity = (int) capacity;
}

/* The reader of one text */
typedef struct Reader
{
	PlainText  *plain;
	bool		was_capital;	/* the last character */
} Reader;

/* Take in a small letter, sign or space that comes from this place */
static inline void
take_kind(Reader *reader, pg_wchar c, uint8 kind, int offset, bool is_capital)
{
	PlainText  *plain = reader->plain;
	int			at = plain->count;

	if (c == ' ' && (at == 0 || plain->chars[at - 1] == ' '))
		return;
	if (kind == PLAIN_LETTER &&
		(at == 0 || !(plain->flags[at - 1] & PLAIN_LETTER) ||
		 (is_capital && !reader->was_capital) ||
		 is_digit(c) != is_digit(plain->chars[at - 1])))
		kind |= PLAIN_START;
	if (at + 1 >= plain->capacity)
		make_room(plain);
	plain->chars[at] = c;
	plain->flags[at] = kind;
	plain->offsets[at] = offset;
	plain->count++;
	reader->was_capital = is_capital;
}

static void
take(Reader *reader, pg_wchar c, int offset, bool is_capital)
{
	take_kind(reader, c, kind_of(c), offset, is_capital);
}

static inline void
take_ascii(Reader *reader, unsigned char c, int offset)
{
	take_kind(reader, ascii.small[c], ascii.kind[c], offset, c >= 'A' && c <= 'Z');
}

/*
 * Take in all that is ASCII from this place to the end; returns where something else
 * begins.  It does what take_ascii() does for each, without branches: nobody can tell
 * where the next word begins.
 */
static int
take_ascii_run(Reader *reader, const char *source, int at, int end)
{
	PlainText  *plain = reader->plain;
	pg_wchar   *chars;
	uint8	   *flags;
	int		   *offsets;
	int			count = plain->count;
	pg_wchar	before = count == 0 ? ' ' : plain->chars[count - 1];
	uint8		was_letter = count == 0 ? 0 : plain->flags[count - 1] & PLAIN_LETTER;
	uint8		was_digit = is_digit(before);
	uint8		was_capital = reader->was_capital;

	while (plain->capacity - count <= end - at)
		make_room(plain);
	chars = plain->chars;
	flags = plain->flags;
	offsets = plain->offsets;
	for (; at < end && (unsigned char) source[at] < 0x80; at++)
	{
		unsigned char c = source[at];
		pg_wchar	small = ascii.small[c];
		uint8		letter = ascii.kind[c] & PLAIN_LETTER;
		uint8		digit = is_digit(c);
		uint8		capital = (small != c) & letter;
		uint8		starts = letter &
			((was_letter ^ 1) | (capital & (was_capital ^ 1)) | (digit ^ was_digit));

		chars[count] = small;
		flags[count] = letter * PLAIN_LETTER | starts * PLAIN_START;
		offsets[count] = at;
		count += (small != ' ') | (before != ' ');
		before = small;
		was_letter = letter;
		was_digit = digit;
		was_capital = capital;
	}
	plain->count = count;
	reader->was_capital = was_capital;
	return at;
}

/* Take in one of the parts of a character */
static void
take_part(Reader *reader, pg_wchar c, int offset)
{
	pg_wchar	small;
	const char *instead;

	if (c < 0x80)
	{
		take_ascii(reader, (unsigned char) c, offset);
		return;
	}
	if (c == VOICED || c == SEMI_VOICED)
	{
		if (reader->plain->count > 0)
			reader->plain->chars[reader->plain->count - 1] |=
				c == VOICED ? VOICED_BIT : SEMI_VOICED_BIT;
		return;
	}
	if (IN_RANGES(c, left_out))
		return;
	small = c == 0x03C2 ? 0x03C3 : small_letter(c); /* the other sigma */
	instead = rewriting(small);
	if (instead == NULL)
		take(reader, IN_RANGES(small, white) ? ' ' : small, offset, small != c);
	else
	{
		take(reader, instead[0], offset, small != c);
		if (instead[1] != '\0')
			take(reader, instead[1], offset, small != c);
	}
}

/* What characters consist of, for those that have been met: a cache by their last bits */
typedef struct Parts
{
	pg_wchar	of;				/* 0 for none yet */
	int			count;
	pg_wchar	parts[MAX_PARTS];
} Parts;

#define CACHE_SIZE	1024

static Parts *
parts_of(pg_wchar c)
{
	static Parts *cache = NULL;
	Parts	   *parts;

	if (cache == NULL)
		cache = MemoryContextAllocZero(TopMemoryContext, CACHE_SIZE * sizeof(Parts));
	parts = &cache[c % CACHE_SIZE];
	if (parts->of != c)
	{
		pg_wchar	whole[2] = {c, 0};
		pg_wchar   *apart = unicode_normalize(UNICODE_NFKD, whole);

		parts->of = c;
		parts->count = 0;
		while (parts->count < MAX_PARTS && apart[parts->count] != 0)
		{
			parts->parts[parts->count] = apart[parts->count];
			parts->count++;
		}
		pfree(apart);
	}
	return parts;
}

/* Take in a character beyond ASCII of UTF-8 */
static void
take_unicode(Reader *reader, pg_wchar c, int offset)
{
	Parts	   *parts;

	/* Han stands for itself, and so shall syllables of Hangul */
	if ((c >= 0x3400 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7A3))
	{
		take(reader, c, offset, false);
		return;
	}
	parts = parts_of(c);
	for (int i = 0; i < parts->count; i++)
		take_part(reader, parts->parts[i], offset);
}

/* Take in a character of another encoding: its bytes, among those that stand alone */
static void
take_bytes(Reader *reader, const unsigned char *bytes, int width, int offset)
{
	pg_wchar	c = 0;

	for (int i = 0; i < width; i++)
		c = (c << 8 | bytes[i]) & 0xFFFF;
	take(reader, 0x20000 + c, offset, false);
}

/* Where the part of a text ends that is read */
static int
end_of(const char *source, int len)
{
	return len <= PLAIN_MAX_BYTES ? len : pg_mbcliplen(source, len, PLAIN_MAX_BYTES);
}

/* Read a text, which must stay where it is as long as the result is used */
void
plain_read(PlainText *plain, const char *source, int len)
{
	Reader		reader = {plain, false};
	bool		is_utf8 = GetDatabaseEncoding() == PG_UTF8;
	int			end = end_of(source, len);

	if (!ascii.is_made)
		make_ascii();
	plain->source = source;
	plain->count = 0;
	plain->capacity = end + 2;
	plain->chars = palloc_array(pg_wchar, plain->capacity);
	plain->flags = palloc_array(uint8, plain->capacity);
	plain->offsets = palloc_array(int, plain->capacity);

	for (int at = 0; at < end;)
	{
		const unsigned char *bytes = (const unsigned char *) source + at;
		int			width;

		if (bytes[0] < 0x80)
		{
			at = take_ascii_run(&reader, source, at, end);
			continue;
		}
		width = Min(pg_mblen(source + at), end - at);
		if (is_utf8 && width == pg_utf_mblen(bytes))
			take_unicode(&reader, utf8_to_unicode(bytes), at);
		else
			take_bytes(&reader, bytes, width, at);
		at += width;
	}
	plain->offsets[plain->count] = end;
}
