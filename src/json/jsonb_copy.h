/*
 * jsonb_copy.h
 *		jsonb containers copied whole.
 *
 * What is guaranteed, and by what means, is said at the head of jsonb_copy.c.
 */
#ifndef AIRUN_JSONB_COPY_H
#define AIRUN_JSONB_COPY_H

#include "postgres.h"

#include "utils/jsonb.h"

extern Jsonb *jsonb_set_string(Jsonb *object, const char *key, const char *value, int len);

#endif							/* AIRUN_JSONB_COPY_H */
