/*
 * identity.h
 *		Who is calling, and ids.
 */
#ifndef AIRUN_IDENTITY_H
#define AIRUN_IDENTITY_H

#include "airun.h"

#include "utils/uuid.h"

extern bool caller_id(pg_uuid_t *user_id);
extern void uuid_generate_v7(pg_uuid_t *id);
extern void uuid_derive(pg_uuid_t *id, const pg_uuid_t *from, const pg_uuid_t *owner);
extern bool uuid_from_string(const char *string, size_t len, pg_uuid_t *id);
extern char *uuid_string(const pg_uuid_t *id);

static inline bool
uuid_equal(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t)) == 0;
}

#endif							/* AIRUN_IDENTITY_H */
