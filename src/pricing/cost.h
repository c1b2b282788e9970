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

extern Numeric cost_of_usage(const char *model, const char *provider, Usage *usage,
						   TimestampTz at, const char *service_tier, Jsonb *left_out,
						   Jsonb **details);

#endif							/* AIRUN_COST_H */
