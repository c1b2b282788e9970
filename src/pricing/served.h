/*
 * served.h
 *		What an answer says about how it was served, and what it was charged.
 */
#ifndef AIRUN_SERVED_H
#define AIRUN_SERVED_H

#include "airun.h"

#include "utils/jsonb.h"
#include "utils/numeric.h"

/* The longest word of these that is taken; what is longer is none */
#define MAX_SERVED_WORD	200

/* All may be absent, and then NULL */
typedef struct Served
{
	char	   *model;			/* that answered */
	char	   *service_tier;	/* flex, priority, batch, ...; or a word for none */
	char	   *region;
	char	   *speed;
	Numeric		cost;			/* what the provider says that it costs */
	char	   *cost_problem;	/* why what it says cannot be */
	bool		is_cached;		/* it says that it comes from a cache of answers */
} Served;

extern void served_read(Jsonb *document, bool is_usage, Served *served);
extern char *service_tier_word(const char *name);
extern char *served_service_tier(const char *name);
extern bool served_region_is_plain(const char *region);
extern bool served_speed_is_plain(const char *speed);
extern char *served_region_of_endpoint(const char *endpoint);

#endif							/* AIRUN_SERVED_H */
