/*
 * budget_status.h
 *		How budgets stand, for a page.
 */
#ifndef AIRUN_BUDGET_STATUS_H
#define AIRUN_BUDGET_STATUS_H

#include "airun.h"

/* A counter in its current period; numbers as text, NULL where they are not shown */
typedef struct BudgetRow
{
	char	   *name;
	char	   *scope;			/* or the key of metadata */
	char	   *value;			/* NULL where it is for all, or nobody has used any of it */
	char	   *measure;
	char	   *mode;
	char	   *period;
	char	   *resets_at;		/* local time; NULL for never */
	char	   *amount;
	char	   *spent;			/* with what was charged by estimate */
	char	   *held;
	char	   *share;			/* of the amount, spent and held */
	bool		is_exhausted;
	int			rank;			/* the budget's, by its fullest counter; from 1 */
	int			budgets;		/* how many there are */
	int			place;			/* the counter's in its budget; from 1 */
	int			counters;		/* how many the budget has, in the last row of it that is read */
} BudgetRow;

extern int	budget_read_fullest(Oid function, bool sees_all, const char *zone, int max_budgets,
								int max_counters, BudgetRow **rows);

#endif							/* AIRUN_BUDGET_STATUS_H */
