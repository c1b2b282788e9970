/*
 * position.c
 *		Positions in a text, in characters or as JavaScript counts.
 *
 * The store counts characters.  JavaScript, and Java and C# with it, count the
 * units of UTF-16: a character that takes four bytes in UTF-8, such as an emoji,
 * has two of them.  In encodings other than UTF-8 both are the same here.
 *
 * Nothing is locked.  Errors: PT422 for a unit that is none.
 */
#include "task/position.h"

#include "mb/pg_wchar.h"
#include "store/args.h"
#include "utils/builtins.h"

/* The unit that an argument names; absent means characters */
TextUnit
text_unit_argument(FunctionCallInfo fcinfo, int argument)
{
	char	   *word;

	if (PG_ARGISNULL(argument))
		return UNIT_CHARACTERS;
	word = text_to_cstring(PG_GETARG_TEXT_PP(argument));
	if (strcmp(word, "characters") == 0)
		return UNIT_CHARACTERS;
	if (strcmp(word, "utf16") == 0)
		return UNIT_UTF16;
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("\"%s\" is not a unit of positions", excerpt(word, strlen(word))),
			 errhint("Positions count characters, or with unit => 'utf16' what JavaScript counts "
					 "as length.")));
}

/* For messages */
const char *
text_unit_name(TextUnit unit)
{
	return unit == UNIT_UTF16 ? "UTF-16 units" : "characters";
}

/*
 * May a text of so many bytes and characters have more UTF-16 units than
 * characters?  One that does takes three bytes more for a character.
 */
bool
text_may_differ(int64 bytes, int64 chars)
{
	return GetDatabaseEncoding() == PG_UTF8 && bytes - chars >= 3;
}

/* How many UTF-16 units a text has */
int64
text_count_utf16(const char *data, Size len)
{
	int64		units = 0;

	if (GetDatabaseEncoding() != PG_UTF8)
		return pg_mbstrlen_with_len(data, len);
	for (Size i = 0; i < len; i++)
	{
		unsigned char byte = (unsigned char) data[i];

		units += (byte & 0xC0) != 0x80;
		units += byte >= 0xF0;
	}
	return units;
}

/*
 * How many bytes the first units of a text take, or what there is of them.
 * *clipped: how many units these are, one less where the last one would be the
 * first half of a character.
 */
Size
text_clip_utf16(const char *data, Size len, int64 units, int64 *clipped)
{
	Size		done = 0;

	*clipped = 0;
	while (done < len)
	{
		int			next = Min(pg_mblen(data + done), len - done);
		int			count = text_count_utf16(data + done, next);

		if (*clipped + count > units)
			break;
		*clipped += count;
		done += next;
	}
	return done;
}
