/*
 * rollup.h
 *		What checks find, in the name of the store's owner.
 */
#ifndef AIRUN_ROLLUP_H
#define AIRUN_ROLLUP_H

#include "airun.h"

#include "store/plans.h"

extern Datum problems_as_owner(FunctionCallInfo fcinfo, Statement *check);

#endif							/* AIRUN_ROLLUP_H */
