/*
 * column_types.h
 *		Are the columns of the store of the types that airun_install() gave them?
 */
#ifndef AIRUN_COLUMN_TYPES_H
#define AIRUN_COLUMN_TYPES_H

#include "airun.h"

extern void column_types_require(void);
extern void column_types_require_in_view(Oid view, const char *name, Oid type);

#endif							/* AIRUN_COLUMN_TYPES_H */
