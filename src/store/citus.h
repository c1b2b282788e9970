/*
 * citus.h
 *		A store whose tables Citus has taken is refused.
 */
#ifndef AIRUN_CITUS_H
#define AIRUN_CITUS_H

#include "airun.h"

extern void refuse_citus(void);

#endif							/* AIRUN_CITUS_H */
