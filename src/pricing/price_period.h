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

/* What a model costs from a time on, until the next one's time */
typedef struct Segment
{
	TimestampTz from;
	Jsonb	   *content;		/* NULL: it has no price */
} Segment;

typedef enum EntryAction
{
	ENTRY_ADDED,
	ENTRY_CHANGED,
	ENTRY_UNCHANGED
} EntryAction;

/* What is entered about one model, and what has become of it */
typedef struct Entry
{
	char	   *provider;
	char	   *model;
	Jsonb	   *raw;			/* or NULL */
	int			segment_count;	/* in order; the first begins when all of them do */
	Segment    *segments;
	bool		keeps_later;	/* what is in force when the last one begins goes on */
	/* set by history_enter() */
	EntryAction action;
	pg_uuid_t	price_id;		/* of the first segment that has a price */
	TimestampTz effective_from;
} Entry;

extern Jsonb *content_make(ArrayType *aliases, Jsonb *match_rule, Jsonb *provider_rule,
						   Jsonb *rates, Jsonb *context_tiers, Jsonb *service_tiers,
						   Jsonb *time_windows);
extern const char *content_problem(Jsonb *content);
extern void history_enter(const char *source, TimestampTz since, Entry *entries, int count);

#endif							/* AIRUN_PRICE_PERIOD_H */
