/*
 * upkeep.h
 *		Who may do upkeep for everybody.
 */
#ifndef AIRUN_UPKEEP_H
#define AIRUN_UPKEEP_H

#include "airun.h"

/* Who was calling, before the owner of the store took over */
typedef struct Operator
{
	Oid			user;
	int			context;
} Operator;

extern void owner_begin(Operator *caller);
extern bool operator_begin(Operator *operator);
extern void operator_end(const Operator *operator);

#endif							/* AIRUN_UPKEEP_H */
