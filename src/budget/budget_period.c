/*
 * budget_period.c
 *		Periods of budgets: local calendar labels, and when they begin and end.
 *
 * A period is told by a label of the calendar in the budget's zone: the date on
 * which it begins, or for an hour the date, the hour and the offset, since the
 * clock shows one hour of the year twice.  So a task's period follows from when it
 * was created alone: nothing has to be reset, a clock that is set back finds its
 * old row again, and days of 23 and 25 hours are days.
 *
 * A day begins at its anchor, an hour from 0 to 23; a week on its anchor, a weekday
 * from 1, Monday, to 7; a month on its anchor, a day from 1 to 31, or on its last day
 * where it has no such day.
 *
 * Nothing is locked, and nothing refused.
 */
#include "budget/budget_period.h"

#include "funcapi.h"
#include "store/args.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(airun_store_period);

static const char *const words[] = {"none", "hour", "day", "week", "month"};

const char *
period_word(PeriodKind kind)
{
	return words[kind];
}

bool
period_from_word(const char *word, PeriodKind *kind)
{
	for (int i = 0; i < lengthof(words); i++)
	{
		if (strcmp(word, words[i]) == 0)
		{
			*kind = (PeriodKind) i;
			return true;
		}
	}
	return false;
}

static int
last_day(int year, int month)
{
	return day_tab[isleap(year)][month - 1];
}

/* The day of a month, by its number from the year 0 on, on which its period begins */
static int
month_start(int months, int anchor)
{
	int			year = months / 12;
	int			month = months % 12 + 1;

	return date2j(year, month, Min(anchor, last_day(year, month)));
}

/* The Julian days on which the period of a local date begins, and the next one */
static void
find_days(const PeriodRule *rule, const struct pg_tm *local, int *first, int *next)
{
	int			today = date2j(local->tm_year, local->tm_mon, local->tm_mday);
	int			months = local->tm_year * 12 + local->tm_mon - 1;

	switch (rule->kind)
	{
		case PERIOD_DAY:
			*first = local->tm_hour < rule->anchor ? today - 1 : today;
			*next = *first + 1;
			return;
		case PERIOD_WEEK:
			/* j2day() counts from Sunday, 0, which is 7 here */
			*first = today - (j2day(today) + 7 - rule->anchor) % 7;
			*next = *first + 7;
			return;
		default:
			if (today < month_start(months, rule->anchor))
				months--;
			*first = month_start(months, rule->anchor);
			*next = month_start(months + 1, rule->anchor);
			return;
	}
}

/* When the clocks of a zone first show a local time; it need not exist */
static TimestampTz
instant_of(pg_tz *zone, Timestamp local)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			offset;
	TimestampTz instant;

	if (timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) != 0)
		return DT_NOEND;
	offset = DetermineTimeZoneOffset(&tm, zone);
	if (tm2timestamp(&tm, fsec, &offset, &instant) != 0)
		return DT_NOEND;
	return instant;
}

/*
 * When a local day begins at an hour.  Where the clocks leave that out, or show it
 * twice, the first.
 */
static TimestampTz
start_of_day(pg_tz *zone, int day, int hour)
{
	Timestamp	local = ((int64) day - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY +
		hour * USECS_PER_HOUR;

	return Min(instant_of(zone, local), instant_of(zone, local - 1) + 1);
}

/* A clock's hour */
static Period
hour_of_clock(const struct pg_tm *local, fsec_t fsec, int offset, TimestampTz at)
{
	int			minutes = -offset / SECS_PER_MINUTE;
	TimestampTz start = at - fsec -
		((int64) local->tm_min * SECS_PER_MINUTE + local->tm_sec) * USECS_PER_SEC;

	return (Period) {
		psprintf("%04d-%02d-%02dT%02d%c%02d:%02d", local->tm_year, local->tm_mon, local->tm_mday,
				 local->tm_hour, minutes < 0 ? '-' : '+', abs(minutes) / 60, abs(minutes) % 60),
		start, start + USECS_PER_HOUR
	};
}

/* The period that a time is in */
Period
period_of(const PeriodRule *rule, TimestampTz at)
{
	struct pg_tm local;
	fsec_t		fsec;
	int			offset;
	int			first;
	int			next;
	int			year;
	int			month;
	int			day;

	if (rule->kind == PERIOD_NONE ||
		timestamp2tm(at, &offset, &local, &fsec, NULL, rule->zone) != 0)
		return (Period) {pstrdup(""), DT_NOBEGIN, DT_NOEND};
	if (rule->kind == PERIOD_HOUR)
		return hour_of_clock(&local, fsec, offset, at);
	find_days(rule, &local, &first, &next);
	j2date(first, &year, &month, &day);
	return (Period) {
		psprintf("%04d-%02d-%02d", year, month, day),
		start_of_day(rule->zone, first, rule->kind == PERIOD_DAY ? rule->anchor : 0),
		start_of_day(rule->zone, next, rule->kind == PERIOD_DAY ? rule->anchor : 0)
	};
}

/* airun_store_period(period, zone, anchor, at) returns (period_key, starts_at, ends_at) */
Datum
airun_store_period(PG_FUNCTION_ARGS)
{
	PeriodRule	rule = {
		.zone = require_time_zone(text_to_cstring(PG_GETARG_TEXT_PP(1))),
		.anchor = PG_GETARG_INT32(2)
	};
	TupleDesc	desc;
	Period		period;
	Datum		values[3];
	bool		nulls[3] = {false};

	if (!period_from_word(text_to_cstring(PG_GETARG_TEXT_PP(0)), &rule.kind))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("there is no such period"),
				 errhint("It is none, hour, day, week or month.")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "airun_store_period() returns no row");
	period = period_of(&rule, PG_GETARG_TIMESTAMPTZ(3));
	values[0] = CStringGetTextDatum(period.key);
	values[1] = TimestampTzGetDatum(period.starts_at);
	values[2] = TimestampTzGetDatum(period.ends_at);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
