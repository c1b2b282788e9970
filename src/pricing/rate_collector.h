/*
 * rate_collector.h
 *		The rates of a price, collected one by one from somebody's price list.
 */
#ifndef AIRUN_RATE_COLLECTOR_H
#define AIRUN_RATE_COLLECTOR_H

#include "airun.h"

#include "pricing/usage.h"

/* One rate, with the tiers that it belongs to */
typedef struct CollectedRate
{
	Bucket		bucket;
	int64		above;			/* -1 for no context tier */
	const char *service_tier;	/* or NULL */
	Numeric		rate;
} CollectedRate;

typedef struct RateCollector
{
	int			count;
	int			capacity;
	CollectedRate *rates;
} RateCollector;

extern void collect_rate(RateCollector *collector, Bucket bucket, int64 above,
						 const char *service_tier, Numeric rate);
extern Numeric collected_rate(const RateCollector *collector, Bucket bucket, int64 above,
							  const char *service_tier);
extern void collector_drop_context(RateCollector *collector);
extern Jsonb *collector_rates(const RateCollector *collector);
extern Jsonb *collector_service_tiers(const RateCollector *collector);
extern Jsonb *collector_context_tiers(const RateCollector *collector, bool is_inclusive);

extern const char *number_parse(const JsonbValue *value, Numeric *number);
extern Numeric number_scale(Numeric number, const char *factor);

#endif							/* AIRUN_RATE_COLLECTOR_H */
