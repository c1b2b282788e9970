/*
 * cost.h
 *		What a request has cost.
 */
#ifndef AIRUN_COST_H
#define AIRUN_COST_H

#include "airun.h"

#include "datatype/timestamp.h"
#include "pricing/served.h"
#include "pricing/usage.h"
#include "utils/numeric.h"

/* What a cost is asked for; all but usage and served may be NULL */
typedef struct CostQuery
{
	const char *model;			/* that was asked for */
	const char *provider;
	const char *endpoint;
	Usage	   *usage;			/* to which doubts are added */
	const Served *served;
	TimestampTz at;
	bool		is_unbilled;	/* it is known to cost nothing */
	Jsonb	   *left_out;		/* for the details */
} CostQuery;

/* What there is to say */
typedef struct CostAnswer
{
	Numeric		cost;			/* NULL where it is not known */
	const char *status;			/* the price_status of a task */
	const char *reason;			/* why there is no cost by a price, or NULL */
	Jsonb	   *details;		/* or NULL */
} CostAnswer;

extern void cost_of_usage(const CostQuery *query, CostAnswer *answer);
extern Numeric cost_by_price(const CostQuery *query, Numeric *output);

#endif							/* AIRUN_COST_H */
