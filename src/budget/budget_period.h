/*
 * budget_period.h
 *		Periods of budgets: local calendar labels, and when they begin and end.
 */
#ifndef AIRUN_BUDGET_PERIOD_H
#define AIRUN_BUDGET_PERIOD_H

#include "airun.h"

#include "datatype/timestamp.h"
#include "pgtime.h"

typedef enum PeriodKind
{
	PERIOD_NONE,
	PERIOD_HOUR,
	PERIOD_DAY,
	PERIOD_WEEK,
	PERIOD_MONTH
} PeriodKind;

/* How periods follow one another */
typedef struct PeriodRule
{
	PeriodKind	kind;
	pg_tz	   *zone;
	int			anchor;			/* the hour of a day, weekday of a week, day of a month */
} PeriodRule;

/* One of them */
typedef struct Period
{
	char	   *key;			/* its label; empty for the one that never ends */
	TimestampTz starts_at;
	TimestampTz ends_at;		/* exclusively */
} Period;

extern const char *period_word(PeriodKind kind);
extern bool period_from_word(const char *word, PeriodKind *kind);
extern Period period_of(const PeriodRule *rule, TimestampTz at);

#endif							/* AIRUN_BUDGET_PERIOD_H */
