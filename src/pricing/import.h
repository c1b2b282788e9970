/*
 * import.h
 *		Price lists of others: their formats.
 */
#ifndef AIRUN_IMPORT_H
#define AIRUN_IMPORT_H

#include "airun.h"

#include "pricing/price_period.h"
#include "pricing/rate_collector.h"

/* What has been read of a price list */
typedef struct ImportItem
{
	PriceEntry	entry;			/* provider and model are there in any case */
	const char *skipped;		/* why it is not a price, or NULL */
} ImportItem;

typedef struct ImportList
{
	TimestampTz since;			/* from when on the list counts */
	int			count;
	int			capacity;
	ImportItem *items;
} ImportList;

extern ImportItem *import_add(ImportList *list, const char *provider, const char *model);
extern void import_segment(ImportItem *item, TimestampTz from, Jsonb *content);
extern void read_litellm(JsonbContainer *document, ImportList *list);
extern void read_genai(JsonbContainer *providers, ImportList *list);

#endif							/* AIRUN_IMPORT_H */
