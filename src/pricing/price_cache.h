/*
 * price_cache.h
 *		The prices as a backend keeps them: which one a model's name means.
 */
#ifndef AIRUN_PRICE_CACHE_H
#define AIRUN_PRICE_CACHE_H

#include "airun.h"

#include "pricing/name_pattern.h"
#include "pricing/price_terms.h"
#include "utils/uuid.h"

typedef struct Provider Provider;

/* One row of airun.prices, as this backend keeps it */
typedef struct Price
{
	pg_uuid_t	price_id;
	const Provider *provider;
	char	   *model;
	char	   *source;
	TimestampTz effective_from;
	TimestampTz created_at;		/* of two from the same time, the later goes first */
	TimestampTz effective_to;	/* DT_NOEND for none */
	NamePattern *pattern;		/* of the models it is for, or NULL */
	PriceColumns columns;
	PriceTerms	terms;			/* once it is read */
	bool		is_read;
	const char *problem;		/* why it cannot be used, or NULL */
} Price;

/* What was found, or why nothing was */
typedef struct Match
{
	Price	   *price;			/* NULL for none */
	const char *name;			/* the name that was found, or NULL for the one asked for */
	const char *by;				/* exact, alias, rule or dated */
	const char *reason;			/* why there is none */
} Match;

/* The source of prices that a site has set itself, which go first */
#define OWN_SOURCE	"own"

extern bool price_cache_open(bool must_be_allowed);
extern bool price_cache_open_latest(void);
extern void price_cache_find(const char *model, const char *provider, TimestampTz at,
							 Match *match);
extern const Price *price_cache_by_id(const pg_uuid_t *price_id);
extern int	price_cache_others(const Price *price, const Price **others, int space);
extern bool price_cache_is_of(const Price *price, const char *provider);
extern const char *price_cache_provider(const Price *price);

#endif							/* AIRUN_PRICE_CACHE_H */
