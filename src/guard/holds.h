/*
 * holds.h
 *		Budgets at the second wall.
 */
#ifndef AIRUN_HOLDS_H
#define AIRUN_HOLDS_H

#include "airun.h"

#include "store/row_trigger.h"

extern void guard_hold(Row *row, const Field *request_data, bool has_ended);
extern void guard_release_skipped(void);
extern void guard_release_all(Oid function);

#endif							/* AIRUN_HOLDS_H */
