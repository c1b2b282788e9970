/*
 * run_name.c
 *		The name that a run gets from what its user says first.
 *
 * A run without a name is called by the first sentence or line of its first
 * user message.  Where a sentence ends is told by punctuation alone, in every
 * encoding; nothing is refused, and a message without text gives no name.
 * Nothing is locked.
 */
#include "run/run_name.h"

#include "json/jsonb_util.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "run/message.h"
#include "utils/builtins.h"

/* The longest name that is made, in characters */
#define MAX_DERIVED_NAME	60

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

/* Does a sentence end with the character of len bytes, before next? */
static bool
ends_sentence(const char *s, int len, char next)
{
	if (len == 1)
		return (*s == '.' || *s == '!' || *s == '?') && (next == '\0' || is_blank(next));

	/* the full stops of Chinese and Japanese need no blank after them */
	return GetDatabaseEncoding() == PG_UTF8 && len == 3 &&
		(memcmp(s, "\xe3\x80\x82", 3) == 0 || memcmp(s, "\xef\xbc\x81", 3) == 0 ||
		 memcmp(s, "\xef\xbc\x9f", 3) == 0);
}

/*
 * A name for the run whose first user message this is: its first sentence or
 * line, one blank for each white space, at most MAX_DERIVED_NAME characters, cut
 * at a word where there is one to cut at.  NULL: this message gives none.
 */
text *
run_name_from_message(Jsonb *message)
{
	JsonbValue	buffer;
	JsonbValue *role = jsonb_get_key(&message->root, "role", &buffer);
	StringInfoData name;
	text	   *content;
	const char *s;
	const char *end;
	int			chars = 0;
	int			last_word_end = 0;
	bool		blank = false;

	if (!jsonb_string_is(role, "user") || (content = message_text(message)) == NULL)
		return NULL;

	initStringInfo(&name);
	s = VARDATA_ANY(content);
	end = s + VARSIZE_ANY_EXHDR(content);
	while (s < end && is_blank(*s))
		s++;
	while (s < end && *s != '\n' && *s != '\r')
	{
		int			len = Min(pg_mblen(s), end - s);

		if (is_blank(*s))
			blank = true;
		else
		{
			if (blank)
			{
				last_word_end = name.len;
				appendStringInfoChar(&name, ' ');
				chars++;
				blank = false;
			}
			if (chars + 1 > MAX_DERIVED_NAME)
			{
				if (last_word_end > 0)
					name.len = last_word_end;
				break;
			}
			appendBinaryStringInfo(&name, s, len);
			chars++;
			if (ends_sentence(s, len, s + len < end ? s[len] : '\0'))
				break;
		}
		s += len;
	}
	return name.len > 0 ? cstring_to_text_with_len(name.data, name.len) : NULL;
}
