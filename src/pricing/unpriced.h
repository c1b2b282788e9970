/*
 * unpriced.h
 *		Tasks that a price could charge and that have no cost yet.
 */
#ifndef AIRUN_UNPRICED_H
#define AIRUN_UNPRICED_H

#include "airun.h"

#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* Tasks of one model that have no cost */
typedef struct UnpricedModel
{
	char	   *provider;		/* or NULL */
	char	   *model;			/* that answered, or else was asked for */
	int64		tasks;
	TimestampTz first;			/* when the first of them was created */
	const struct Price *then;	/* its price at that time, or NULL */
	const struct Price *now;	/* its price now, or NULL */
} UnpricedModel;

/* Those that one price is for */
typedef struct UnpricedTasks
{
	int64		tasks;
	TimestampTz first;
	char	   *model;			/* as most of them call it */
	bool		is_late;		/* the price is not in force as early as the first */
} UnpricedTasks;

extern UnpricedModel *unpriced_read(int *count);
extern bool unpriced_of_price(const UnpricedModel *models, int count, const char *provider,
							  const char *model, const char *source, UnpricedTasks *found);

#endif							/* AIRUN_UNPRICED_H */
