/*
 * price_cache.h
 *		The prices as a backend keeps them.
 */
#ifndef AIRUN_PRICE_CACHE_H
#define AIRUN_PRICE_CACHE_H

#include "airun.h"

#include "pricing/name_pattern.h"
#include "pricing/price_terms.h"
#include "utils/uuid.h"

/* Who offers models, by all the names that mean it */
typedef struct Provider
{
	char	   *name;
	char	   *family;
	NamePattern *names;			/* tells whether a provider's name means it, or NULL */
	NamePattern *models;		/* tells whether a model is its own, or NULL */
	int			fallback_count;
	char	  **fallback;		/* families */
} Provider;

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

/* How a name can lead to a price */
typedef enum NameKind
{
	NAME_EXACT,
	NAME_ALIAS,
	NAME_PATTERN,
	NAME_DATED
} NameKind;

/* A name that leads to a price */
typedef struct NameEntry
{
	char	   *name;			/* normalized */
	Price	   *price;
	NameKind	by;
} NameEntry;

#define RESOLUTION_SLOTS	1024

typedef struct PriceCache
{
	MemoryContext context;
	MemoryContext resolution_context;
	pg_uuid_t	version;
	int			price_count;
	Price	   *prices;
	int			provider_count;
	Provider   *providers;
	int			name_count;
	NameEntry  *names;			/* in order */
	int			resolution_count;
	struct Resolution *resolutions[RESOLUTION_SLOTS];	/* those of price_lookup.c */
} PriceCache;

extern bool price_cache_open(bool must_be_allowed);
extern bool price_cache_open_latest(void);
extern PriceCache *price_cache_get(void);
extern bool price_is_usable(Price *price);
extern const Price *price_by_id(const pg_uuid_t *price_id);
extern const char *price_provider(const Price *price);

#endif							/* AIRUN_PRICE_CACHE_H */
