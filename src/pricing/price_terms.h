/*
 * price_terms.h
 *		What one price says: rates, tiers, windows of time and multipliers.
 */
#ifndef AIRUN_PRICE_TERMS_H
#define AIRUN_PRICE_TERMS_H

#include "airun.h"

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "pricing/usage.h"
#include "utils/array.h"

/* What is charged for one unit of each bucket; NULL where nothing is said */
typedef struct Rates
{
	Numeric		rate[BUCKET_COUNT];
} Rates;

/* Rates of a service tier: flex, priority, batch, ... */
typedef struct ServiceTier
{
	char	   *name;
	Rates		rates;
} ServiceTier;

/* Rates, and those of service tiers beside them */
typedef struct RateSet
{
	Rates		rates;
	int			service_tier_count;
	ServiceTier *service_tiers;
} RateSet;

/* Rates for requests whose input is longer than so many tokens */
typedef struct ContextTier
{
	int64		above;
	RateSet		set;
} ContextTier;

/* All rates of a price, or of a window of time */
typedef struct TieredRates
{
	RateSet		base;
	int			context_tier_count;
	ContextTier *context_tiers; /* the highest first */
} TieredRates;

/* Rates that go before the others at certain times of the day or week */
typedef struct TimeWindow
{
	int			from;			/* seconds of the day */
	int			to;				/* may be less: then across midnight */
	uint8		weekdays;		/* bit 1 is Monday, bit 7 Sunday */
	pg_tz	   *zone;
	pg_tz	   *weekday_zone;
	char	   *label;
	TieredRates rates;
} TimeWindow;

/* By what the cost of tokens is multiplied */
typedef enum MultiplierKind
{
	MULTIPLIER_REGION,
	MULTIPLIER_SPEED
} MultiplierKind;

#define MULTIPLIER_KINDS	2

typedef struct Multiplier
{
	MultiplierKind kind;
	char	   *name;			/* of the region or the speed; * for any */
	Numeric		factor;
} Multiplier;

/* What a price says */
typedef struct PriceTerms
{
	TieredRates rates;
	int			window_count;
	TimeWindow *windows;
	int			multiplier_count;
	Multiplier *multipliers;
} PriceTerms;

/* A rate, and where it was found */
typedef struct FoundRate
{
	Numeric		rate;
	Bucket		bucket;			/* whose rate it is */
	int64		above;			/* of its context tier, or -1 */
	const char *service_tier;	/* or NULL */
	const TimeWindow *window;	/* or NULL */
} FoundRate;

/* The columns of a price that say what it says, each an object, an array or NULL */
typedef struct PriceColumns
{
	Jsonb	   *rates;
	Jsonb	   *context_tiers;
	Jsonb	   *service_tiers;
	Jsonb	   *time_windows;
	Jsonb	   *multipliers;
} PriceColumns;

extern const char *price_parse(const PriceColumns *columns, PriceTerms *terms);
extern const TimeWindow *price_window(const PriceTerms *terms, TimestampTz at);
extern bool price_rate(const PriceTerms *terms, const TimeWindow *window, int64 input_tokens,
					   const char *service_tier, Bucket bucket, FoundRate *found);
extern bool price_has_service_tier(const PriceTerms *terms, const char *service_tier);
extern Numeric price_multiplier(const PriceTerms *terms, MultiplierKind kind,
								const char *name);
extern const char *multiplier_name(MultiplierKind kind);
extern const char *rate_problem(Numeric rate);

extern Jsonb *price_content_make(ArrayType *aliases, Jsonb *match_rule, Jsonb *provider_rule,
								 Jsonb *rates, Jsonb *context_tiers, Jsonb *service_tiers,
								 Jsonb *time_windows, Jsonb *multipliers);
extern const char *price_content_problem(Jsonb *content);

#endif							/* AIRUN_PRICE_TERMS_H */
