/*
 * report.h
 *		Figures of any range, in buckets of any time zone.
 */
#ifndef AIRUN_REPORT_H
#define AIRUN_REPORT_H

#include "store/plans.h"

extern const char *report_zone(const Field *field);

#endif							/* AIRUN_REPORT_H */
