/*
 * utility_call.h
 *		Calls of models and tools that belong to no run.
 */
#ifndef AIRUN_UTILITY_CALL_H
#define AIRUN_UTILITY_CALL_H

#include "airun.h"

#include "pricing/charge.h"
#include "utils/uuid.h"

extern bool call_charge_again(const pg_uuid_t *id, const Charge *charge);

#endif							/* AIRUN_UTILITY_CALL_H */
