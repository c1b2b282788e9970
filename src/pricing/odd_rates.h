/*
 * odd_rates.h
 *		Prices that can hardly be meant.
 */
#ifndef AIRUN_ODD_RATES_H
#define AIRUN_ODD_RATES_H

#include "airun.h"

#include "utils/uuid.h"

extern const char *odd_rates(const pg_uuid_t *price_id);

#endif							/* AIRUN_ODD_RATES_H */
