/*
 * read_time.c
 *		Times as anybody writes them.
 *
 * Guaranteed is that a time is read alike whatever the session's time zone and
 * DateStyle are, and that one that cannot be read is none.  Read are:
 *
 * - numbers of seconds, milliseconds, microseconds or nanoseconds, told apart by
 *	 their size, and strings of digits;
 * - ISO 8601 with calendar dates, in its long and its short form, with or without
 *	 seconds, and what programs make of it: a blank for the T, a comma for the point;
 * - RFC 2822 and its kin: the date with the month as a word, as asctime() and
 *	 JavaScript write it, too;
 * - MongoDB's {"$date": ...}, and objects of seconds and nanoseconds.
 *
 * A zone is Z, an offset (+05, +0530, +05:30, with seconds too), a word of RFC 2822 or a
 * zone that the server knows by its name.  Where none is told, it is UTC, and so it is
 * where nobody knows it: then the time is told to be doubtful.  A time before 1970 or
 * after 2199 is none.  Nothing is locked.
 */
#include "import/json_read.h"

#include <ctype.h>
#include <math.h>

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "utils/datetime.h"

/* The earliest and the latest time that is taken for one, in seconds */
#define FIRST_SECOND	0.0
#define LAST_SECOND		7258118400.0
#define SECS_FROM_UNIX	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

/* The longest zone that is looked up by its name */
#define MAX_ZONE_NAME	40

/* ---------- pieces of a text ---------- */

static void
skip(const char **at, const char *characters)
{
	*at += strspn(*at, characters);
}

/* A number of so many digits */
static bool
take_number(const char **at, int min_digits, int max_digits, int *number)
{
	int			digits = strspn(*at, "0123456789");

	if (digits < min_digits)
		return false;
	digits = Min(digits, max_digits);
	*number = atoi(pnstrdup(*at, digits));
	*at += digits;
	return true;
}

static bool
take_character(const char **at, const char *characters)
{
	if (**at == '\0' || strchr(characters, **at) == NULL)
		return false;
	(*at)++;
	return true;
}

/* The letters that come next, or NULL */
static char *
take_word(const char **at, const char *others)
{
	const char *start = *at;

	while (isalpha((unsigned char) **at) || (**at != '\0' && strchr(others, **at) != NULL))
		(*at)++;
	return *at > start ? pnstrdup(start, *at - start) : NULL;
}

/* ---------- the time of day ---------- */

/* 09:00, 09:00:00.5, 9:00 PM, 0900, 090000 */
static bool
take_clock(const char **at, struct pg_tm *tm, double *fraction)
{
	const char *before;
	bool		is_long;

	if (!take_number(at, 1, 2, &tm->tm_hour))
		return false;
	is_long = take_character(at, ":");
	if (take_number(at, 2, 2, &tm->tm_min))
	{
		if (!is_long || take_character(at, ":"))
			(void) take_number(at, 2, 2, &tm->tm_sec);
	}
	else if (is_long)
		return false;
	if (**at == '.' || **at == ',')
	{
		int			digits = strspn(*at + 1, "0123456789");

		*fraction = strtod(psprintf("0.%s", pnstrdup(*at + 1, Min(digits, 9))), NULL);
		*at += digits + 1;
	}
	before = *at;
	skip(at, " ");
	if ((pg_strncasecmp(*at, "am", 2) == 0 || pg_strncasecmp(*at, "pm", 2) == 0) &&
		!isalpha((unsigned char) (*at)[2]))
	{
		if (tm->tm_hour < 1 || tm->tm_hour > 12)
			return false;
		tm->tm_hour = tm->tm_hour % 12 + (pg_tolower(**at) == 'p' ? 12 : 0);
		*at += 2;
	}
	else
		*at = before;
	return tm->tm_hour <= 24 && tm->tm_min <= 59 && tm->tm_sec <= 60 &&
		(tm->tm_hour < 24 || (tm->tm_min == 0 && tm->tm_sec == 0));
}

/* +05, +0530, +05:30, +05:30:15 and +053015, in seconds; behind the sign */
static bool
take_offset(const char **at, int *seconds)
{
	int			hours;
	int			minutes = 0;
	int			rest = 0;

	/* +530 has one digit for the hours */
	if (!take_number(at, 1, strspn(*at, "0123456789") == 3 ? 1 : 2, &hours))
		return false;
	(void) take_character(at, ":");
	if (take_number(at, 2, 2, &minutes))
	{
		(void) take_character(at, ":");
		(void) take_number(at, 2, 2, &rest);
	}
	*seconds = hours * SECS_PER_HOUR + minutes * SECS_PER_MINUTE + rest;
	return hours <= MAX_TZDISP_HOUR && minutes <= 59 && rest <= 59;
}

/* The offset of a zone that is told by a word; false for one that nobody knows */
static bool
zone_of_word(const char *word, struct pg_tm *tm, int *seconds)
{
	static const struct
	{
		const char *word;
		int			hours;
	}			zones[] = {
		{"z", 0}, {"utc", 0}, {"gmt", 0}, {"ut", 0}, {"est", -5}, {"edt", -4}, {"cst", -6},
		{"cdt", -5}, {"mst", -7}, {"mdt", -6}, {"pst", -8}, {"pdt", -7}
	};
	pg_tz	   *zone;

	for (int i = 0; i < lengthof(zones); i++)
	{
		if (pg_strcasecmp(word, zones[i].word) == 0)
		{
			*seconds = zones[i].hours * SECS_PER_HOUR;
			return true;
		}
	}
	zone = strlen(word) <= MAX_ZONE_NAME ? pg_tzset(word) : NULL;
	if (zone == NULL)
		return false;
	*seconds = -DetermineTimeZoneOffset(tm, zone);
	return true;
}

/*
 * The zone that comes next, in seconds east of UTC; false where there is one that nobody
 * knows.  What follows it is a remark: its name once more, or the clock of a program.
 */
static bool
take_zone(const char **at, struct pg_tm *tm, int *seconds)
{
	static const char minus[] = "\xE2\x88\x92"; /* U+2212, as ISO 8601 would have it */
	char	   *word;
	int			sign = 1;

	*seconds = 0;
	skip(at, " [(");
	if (**at == '\0')
		return true;
	word = take_word(at, "/_");
	if (word != NULL && !zone_of_word(word, tm, seconds))
		return false;
	/* GMT+0530 is what JavaScript writes, and east of Greenwich */
	if (strncmp(*at, minus, strlen(minus)) == 0)
	{
		sign = -1;
		*at += strlen(minus);
	}
	else if (**at == '+' || **at == '-')
		sign = *(*at)++ == '-' ? -1 : 1;
	else
		return word != NULL;
	if (!take_offset(at, seconds))
	{
		*seconds = 0;
		return false;
	}
	*seconds *= sign;
	return true;
}

/* ---------- the date ---------- */

/* 20240501 and 20240501090000 are dates, and no seconds */
static bool
is_short_date(const char *text)
{
	size_t		digits = strspn(text, "0123456789");

	return digits == 8 || digits == 14;
}

/* 2024-05-01, 2024/05/01, 20240501 */
static bool
take_number_date(const char **at, struct pg_tm *tm)
{
	bool		is_long;

	if (strspn(*at, "0123456789") != 4 && !is_short_date(*at))
		return false;
	(void) take_number(at, 4, 4, &tm->tm_year);
	is_long = take_character(at, "-/");
	return take_number(at, is_long ? 1 : 2, 2, &tm->tm_mon) &&
		(!is_long || take_character(at, "-/")) &&
		take_number(at, is_long ? 1 : 2, 2, &tm->tm_mday);
}

/* The month that a word means; 0 for none, and -1 for a day of the week */
static int
month_of_word(const char *word)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	static const char days[] = "montuewedthufrisatsun";

	if (strlen(word) < 3)
		return 0;
	for (int i = 0; i < 12; i++)
	{
		if (pg_strncasecmp(word, months + 3 * i, 3) == 0)
			return i + 1;
	}
	for (int i = 0; i < 7; i++)
	{
		if (pg_strncasecmp(word, days + 3 * i, 3) == 0)
			return -1;
	}
	return 0;
}

/*
 * Wed, 01 May 2024; Wed May  1 09:00:00 2024; 01-May-24; 01/May/2024.  *has_clock: the
 * time of day stands before the year.
 */
static bool
take_word_date(const char **at, struct pg_tm *tm, double *fraction, bool *has_clock)
{
	int			number = 0;

	tm->tm_year = -1;
	while (tm->tm_mon == 0 || tm->tm_mday == 0 || tm->tm_year < 0)
	{
		char	   *word;
		int			digits;

		skip(at, " ,-/");
		digits = strspn(*at, "0123456789");
		if ((digits == 1 || digits == 2) && (*at)[digits] == ':')
		{
			if (*has_clock || tm->tm_mday == 0 || !take_clock(at, tm, fraction))
				return false;
			*has_clock = true;
		}
		else if (digits == 1 || digits == 2 || digits == 4)
		{
			(void) take_number(at, 1, 4, &number);
			if (digits < 4 && tm->tm_mday == 0)
				tm->tm_mday = number;
			else if (tm->tm_year < 0)
				tm->tm_year = digits == 4 ? number : number + (number < 50 ? 2000 : 1900);
			else
				return false;
		}
		else
		{
			word = take_word(at, "");
			if (word == NULL || month_of_word(word) == 0)
				return false;
			if (month_of_word(word) > 0)
				tm->tm_mon = month_of_word(word);
		}
	}
	return true;
}

/* ---------- all of it ---------- */

static bool
is_date(const struct pg_tm *tm)
{
	return tm->tm_year >= 1970 && tm->tm_year <= 2199 && tm->tm_mon >= 1 && tm->tm_mon <= 12 &&
		tm->tm_mday >= 1 && tm->tm_mday <= day_tab[isleap(tm->tm_year)][tm->tm_mon - 1];
}

static TimestampTz
time_of_text(const char *text, bool *is_sure)
{
	struct pg_tm tm = {0};
	double		fraction = 0;
	bool		has_clock = false;
	int			zone;
	Timestamp	time;

	skip(&text, " ");
	if (!(strspn(text, "0123456789") > 2 ? take_number_date(&text, &tm) :
		  take_word_date(&text, &tm, &fraction, &has_clock)) || !is_date(&tm))
		return NO_TIME;
	if (!has_clock)
	{
		skip(&text, "Tt_,: ");
		if (isdigit((unsigned char) *text) && !take_clock(&text, &tm, &fraction))
			return NO_TIME;
	}
	*is_sure = take_zone(&text, &tm, &zone);
	if (tm2timestamp(&tm, (fsec_t) rint(fraction * USECS_PER_SEC), NULL, &time) != 0)
		return NO_TIME;
	return time - (int64) zone * USECS_PER_SEC;
}

static TimestampTz
time_of_seconds(double seconds)
{
	if (!(seconds > FIRST_SECOND && seconds <= LAST_SECOND))
		return NO_TIME;
	return (TimestampTz) rint((seconds - SECS_FROM_UNIX) * USECS_PER_SEC);
}

/* The number that an object of MongoDB's holds, or that a value is */
static bool
wrapped_number(const JsonbValue *value, double *number)
{
	static const char *const keys[] = {
		"$numberLong", "$numberDouble", "$numberInt", "$numberDecimal", NULL
	};

	return json_number(json_is_object(value) ? json_get_any(value, keys) : value, number);
}

static TimestampTz
time_of_object(const JsonbValue *object, bool *is_sure)
{
	static const char *const seconds_keys[] = {"_seconds", "seconds", NULL};
	static const char *const nanos_keys[] = {"_nanoseconds", "nanoseconds", "nanos", NULL};
	const JsonbValue *date = json_get(object, "$date");
	double		number;
	double		nanos = 0;

	if (date != NULL)
		return wrapped_number(date, &number) ? time_of_seconds(number / 1000) :
			time_of_value(json_is_object(date) ? NULL : date, is_sure);
	if (json_number(json_get_path(object, "$timestamp.t"), &number))
		return time_of_seconds(number);
	if (!wrapped_number(json_get_any(object, seconds_keys), &number))
		return NO_TIME;
	(void) wrapped_number(json_get_any(object, nanos_keys), &nanos);
	return time_of_seconds(number + nanos / 1e9);
}

/* The time that a value is, or NO_TIME; *is_sure: all of it has been understood */
TimestampTz
time_of_value(const JsonbValue *value, bool *is_sure)
{
	char	   *text = json_string_of(value);
	double		number;

	*is_sure = true;
	if ((text == NULL || !is_short_date(text)) && wrapped_number(value, &number))
	{
		for (int i = 0; i < 3 && number > LAST_SECOND; i++)
			number /= 1000;
		return time_of_seconds(number);
	}
	if (json_is_object(value))
		return time_of_object(value, is_sure);
	return text != NULL ? time_of_text(text, is_sure) : NO_TIME;
}
