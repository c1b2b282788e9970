/*
 * identity.h
 *		Who is calling, and ids.
 */
#ifndef AIRUN_IDENTITY_H
#define AIRUN_IDENTITY_H

#include "airun.h"

#include "utils/uuid.h"

/* Users are spread over so many buckets; an id of version 8 carries one in its last bits */
#define BUCKET_BITS		12
#define BUCKETS			(1 << BUCKET_BITS)

extern bool caller_id(pg_uuid_t *user_id);
extern int	user_bucket(const pg_uuid_t *user_id);
extern int	uuid_bucket(const pg_uuid_t *id);
extern void uuid_generate_for(pg_uuid_t *id, const pg_uuid_t *owner);
extern void uuid_take_bucket(pg_uuid_t *id, const pg_uuid_t *run_id);
extern void uuid_generate_within(pg_uuid_t *id, const pg_uuid_t *run_id);
extern void uuid_derive(pg_uuid_t *id, const pg_uuid_t *from, const pg_uuid_t *owner);
extern void uuid_from_name(pg_uuid_t *id, const char *name, size_t len);
extern bool uuid_from_string(const char *string, size_t len, pg_uuid_t *id);
extern char *uuid_string(const pg_uuid_t *id);

/* The order of ids, for qsort() and bsearch() */
static inline int
uuid_order(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

static inline bool
uuid_equal(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t)) == 0;
}

#endif							/* AIRUN_IDENTITY_H */
