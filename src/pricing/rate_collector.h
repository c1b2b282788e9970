/*
 * rate_collector.h
 *		The rates of a price, collected one by one from somebody's price list.
 */
#ifndef AIRUN_RATE_COLLECTOR_H
#define AIRUN_RATE_COLLECTOR_H

#include "airun.h"

#include "pricing/usage.h"

/* One rate, with the tiers that it belongs to */
typedef struct Cell
{
	Bucket		bucket;
	int64		above;			/* -1 for no context tier */
	const char *service_tier;	/* or NULL */
	Numeric		rate;
} Cell;

typedef struct Sheet
{
	int			count;
	int			capacity;
	Cell	   *cells;
} Sheet;

extern void sheet_put(Sheet *sheet, Bucket bucket, int64 above, const char *service_tier,
					  Numeric rate);
extern Numeric sheet_get(const Sheet *sheet, Bucket bucket, int64 above,
						 const char *service_tier);
extern void sheet_drop_context(Sheet *sheet);
extern Jsonb *sheet_rates(const Sheet *sheet);
extern Jsonb *sheet_service_tiers(const Sheet *sheet);
extern Jsonb *sheet_context_tiers(const Sheet *sheet, bool is_inclusive);

extern const char *number_parse(const JsonbValue *value, Numeric *number);
extern Numeric number_scale(Numeric number, const char *factor);

#endif							/* AIRUN_RATE_COLLECTOR_H */
