/*
 * token_estimate.c
 *		How many tokens a text has, where nobody has counted.
 *
 * Nothing is locked, and nothing refused.
 */
#include "json/token_estimate.h"

#include "mb/pg_wchar.h"

/*
 * Tokens of a text, in quarters: a letter or digit of ASCII is a quarter, a
 * character of two bytes a half, any other, such as of Chinese, a whole one.
 */
int64
tokens_in_quarters(const char *string, int len)
{
	int64		quarters = 0;

	for (int i = 0; i < len;)
	{
		int			size = Min(pg_mblen(string + i), len - i);

		quarters += size == 1 ? 1 : size == 2 ? 2 : 4;
		i += size;
	}
	return quarters;
}
