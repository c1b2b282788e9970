/*
 * cost.h
 *		What a request has cost.
 */
#ifndef AIRUN_COST_H
#define AIRUN_COST_H

#include "airun.h"

#include "datatype/timestamp.h"
#include "pricing/usage.h"
#include "utils/numeric.h"

extern bool cost_of_usage(const char *model, const char *provider, const Usage *usage,
						  TimestampTz at, const char *service_tier, Numeric *cost,
						  Jsonb **details);

#endif							/* AIRUN_COST_H */
