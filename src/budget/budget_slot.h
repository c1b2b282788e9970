/*
 * budget_slot.h
 *		Slots of counters changed without the executor.
 */
#ifndef AIRUN_BUDGET_SLOT_H
#define AIRUN_BUDGET_SLOT_H

#include "airun.h"

#include "budget/budget_counter.h"

typedef enum SlotAnswer
{
	SLOT_CHANGED,
	SLOT_MISSED,				/* there is none, or it does not fit; no lock is left */
	SLOT_NEEDS_STATEMENT		/* nothing has happened */
} SlotAnswer;

extern SlotAnswer slot_change(int64 *id, CounterKey *key, const CounterChange *change,
							  Numeric need);

#endif							/* AIRUN_BUDGET_SLOT_H */
