/*
 * plain_text.h
 *		Text as it is searched: without case, accents and runs of white space.
 */
#ifndef AIRUN_PLAIN_TEXT_H
#define AIRUN_PLAIN_TEXT_H

#include "airun.h"

#include "mb/pg_wchar.h"

/* What a character is */
#define PLAIN_LETTER	1		/* a letter or digit of a script that puts spaces between words */
#define PLAIN_LONE		2		/* a character of a script that does not */
#define PLAIN_START		4		/* a letter that begins a word */

#define PLAIN_WORD		(PLAIN_LETTER | PLAIN_LONE)

/* Of a longer text, no more is read (bytes) */
#define PLAIN_MAX_BYTES	(4 * 1024 * 1024)

typedef struct PlainText
{
	const char *source;			/* what was read */
	int			count;			/* characters */
	int			capacity;
	pg_wchar   *chars;
	uint8	   *flags;
	int		   *offsets;		/* of each in the source, in bytes; and one more, its end */
} PlainText;

extern void plain_read(PlainText *plain, const char *source, int len);

#endif							/* AIRUN_PLAIN_TEXT_H */
