/*
 * price_period.h
 *		Prices over time: what is entered closes what was before.
 */
#ifndef AIRUN_PRICE_PERIOD_H
#define AIRUN_PRICE_PERIOD_H

#include "airun.h"

#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* The longest name of a model, a provider or a source, in characters */
#define MAX_PRICE_NAME	200

/* What a model costs from a time on, until the next one's time */
typedef struct PriceSegment
{
	TimestampTz from;
	Jsonb	   *content;		/* NULL: it has no price */
} PriceSegment;

typedef enum PriceAction
{
	PRICE_ADDED,
	PRICE_CHANGED,
	PRICE_UNCHANGED
} PriceAction;

/* What is entered about one model, and what has become of it */
typedef struct PriceEntry
{
	char	   *provider;
	char	   *model;
	Jsonb	   *raw;			/* or NULL */
	int			segment_count;	/* in order; the first begins when all of them do */
	PriceSegment *segments;
	bool		keeps_later;	/* what is in force when the last one begins goes on */
	/* set by price_period_enter() */
	PriceAction action;
	pg_uuid_t	price_id;		/* of the first segment that has a price */
	TimestampTz effective_from;
} PriceEntry;

extern void price_period_enter(const char *source, TimestampTz since, PriceEntry *entries,
							   int count);

#endif							/* AIRUN_PRICE_PERIOD_H */
