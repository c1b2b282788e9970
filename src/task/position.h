/*
 * position.h
 *		Positions in a text, in characters or as JavaScript counts.
 */
#ifndef AIRUN_POSITION_H
#define AIRUN_POSITION_H

#include "airun.h"

/* What a client counts a text in */
typedef enum TextUnit
{
	UNIT_CHARACTERS,
	UNIT_UTF16					/* JavaScript, Java and C#: an emoji has two */
} TextUnit;

extern TextUnit text_unit_argument(FunctionCallInfo fcinfo, int argument);
extern const char *text_unit_name(TextUnit unit);
extern bool text_may_differ(int64 bytes, int64 chars);
extern int64 text_count_utf16(const char *data, Size len);
extern Size text_clip_utf16(const char *data, Size len, int64 units, int64 *clipped);

#endif							/* AIRUN_POSITION_H */
