/*
 * budget_counter.h
 *		The counters of budgets: rows of airun.budget_periods.
 */
#ifndef AIRUN_BUDGET_COUNTER_H
#define AIRUN_BUDGET_COUNTER_H

#include "airun.h"

#include "budget/budget_fit.h"

/* How much of a slot's id is random, behind its budget's id: rows may be many, budgets are few */
#define COUNTER_RANDOM_BITS		40

/* A slot of a counter */
typedef struct CounterKey
{
	int64		budget_id;
	const char *value;
	const char *period_key;
	int			slot;
	bool		is_word;		/* a tag, or a value of metadata: who starts may have written it */
	const pg_uuid_t *user_id;	/* who starts, or NULL */
} CounterKey;

/* What is added to a counter */
typedef struct CounterChange
{
	Numeric		held;
	Numeric		spent;
	Numeric		estimated;
	Numeric		base;			/* of what is spent, by whom no row is there any more */
} CounterChange;

extern CounterKey counter_key(const Budget *budget, const char *value, const char *period_key,
							  const BudgetSubject *subject);
extern int64 counter_take(const CounterKey *key, const BudgetNeed *need, BudgetStand *stand);
extern bool counter_is_settled(const CounterKey *key);
extern int64 counter_find(const CounterKey *key, bool locks);
extern void counter_change(int64 id, const CounterChange *change);
extern int	counter_order(const CounterKey *a, const CounterKey *b);
extern Datum counters_ids(Datum *ids, int count);
extern void counters_read(Datum ids, CounterKey *keys);
extern void counters_lock(Datum ids, const CounterKey *others, int other_count);
extern void counter_lock_gate(const CounterKey *key);

#endif							/* AIRUN_BUDGET_COUNTER_H */
