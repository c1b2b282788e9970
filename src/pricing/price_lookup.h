/*
 * price_lookup.h
 *		Which price a model's name means.
 */
#ifndef AIRUN_PRICE_LOOKUP_H
#define AIRUN_PRICE_LOOKUP_H

#include "airun.h"

#include "pricing/price_cache.h"

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

extern void price_find(const char *model, const char *provider, TimestampTz at, Match *match);
extern int	price_others(const Price *price, const Price **others, int space);
extern bool price_is_of(const Price *price, const char *provider);

#endif							/* AIRUN_PRICE_LOOKUP_H */
