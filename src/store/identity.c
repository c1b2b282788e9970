/*
 * identity.c
 *		Who is calling, and ids.
 *
 * The caller is the "sub" of request.jwt.claims, as PostgREST and Supabase
 * set it for each request; where that setting is empty, the setting
 * airun.user_id.  Both are settings, so a role that can run any SQL it likes
 * can pretend to be anybody: keep such roles from people, as PostgREST does.
 *
 * Users are spread over buckets, by which a store grows beyond one machine
 * (shard/).  Ids that are made for a user carry the user's bucket, so that a
 * run's or a task's id tells by itself where it lies.
 *
 * Nothing is locked or written here.
 */
#include "store/identity.h"

#include <uuid/uuid.h>

#include "json/json_text.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(airun_user_id);
PG_FUNCTION_INFO_V1(airun_user_uuid);
PG_FUNCTION_INFO_V1(airun_uuid);
PG_FUNCTION_INFO_V1(airun_bucket);

/*
 * The namespace of version-5 UUIDs for subjects that are no UUID.  Chosen at
 * random, once and for all: another one would be other users.
 */
static const uuid_t subject_namespace = {
	0x6d, 0x5c, 0x1f, 0x0e, 0x9a, 0x47, 0x4b, 0x83,
	0xb2, 0x60, 0x5e, 0x2d, 0xc4, 0x71, 0x3f, 0xa8
};

/*
 * The claims that were parsed last, and what they said: the claims are parsed
 * once a value, not once a call.  The value is the key, so that a pooled
 * connection can serve one user after another.
 */
static char *known_claims = NULL;
static bool known_claims_have_user;
static pg_uuid_t known_claims_user;

/* The same for the setting airun.user_id */
static char *known_setting = NULL;
static pg_uuid_t known_setting_user;

/* Read a UUID in its canonical form, in either case; false if it is none */
bool
uuid_from_string(const char *string, size_t len, pg_uuid_t *id)
{
	return len == UUID_STR_LEN - 1 &&
		uuid_parse_range(string, string + len, id->data) == 0;
}

static void
subject_to_uuid(const char *subject, size_t len, pg_uuid_t *id)
{
	if (!uuid_from_string(subject, len, id))
		uuid_generate_sha1(id->data, subject_namespace, subject, len);
}

/*
 * The user that claims name, if any.  Claims that are not a JSON object, or
 * whose sub is no string, are an error: guessing who is meant would be worse.
 */
static bool
claims_to_uuid(const char *claims, pg_uuid_t *id)
{
	Jsonb	   *document;
	JsonbValue	buffer;
	JsonbValue *sub;

	document = json_parse(cstring_to_text(claims), ERRCODE_AIRUN_UNAUTHORIZED,
						  "request.jwt.claims");
	if (!JB_ROOT_IS_OBJECT(document))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNAUTHORIZED),
				 errmsg("request.jwt.claims is not a JSON object"),
				 errhint("Set it to the claims of the caller's token.")));

	sub = getKeyJsonValueFromContainer(&document->root, "sub", 3, &buffer);
	if (sub == NULL || sub->type == jbvNull)
		return false;
	if (sub->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNAUTHORIZED),
				 errmsg("\"sub\" in request.jwt.claims is not a string"),
				 errhint("Set it to the caller's id at the identity provider, as text.")));
	if (sub->val.string.len == 0)
		return false;
	subject_to_uuid(sub->val.string.val, sub->val.string.len, id);
	return true;
}

/*
 * Who is calling?  Returns false when nobody is.  Errors: PT401 for claims
 * that cannot be read.
 */
bool
caller_id(pg_uuid_t *user_id)
{
	const char *claims = GetConfigOption("request.jwt.claims", true, false);

	if (claims != NULL && claims[0] != '\0')
	{
		if (known_claims == NULL || strcmp(claims, known_claims) != 0)
		{
			pg_uuid_t	user;
			bool		have_user = claims_to_uuid(claims, &user);
			char	   *copy = MemoryContextStrdup(TopMemoryContext, claims);

			if (known_claims != NULL)
				pfree(known_claims);
			known_claims = copy;
			known_claims_have_user = have_user;
			if (have_user)
				known_claims_user = user;
		}
		if (known_claims_have_user)
			*user_id = known_claims_user;
		return known_claims_have_user;
	}

	if (airun_user_setting == NULL || airun_user_setting[0] == '\0')
		return false;
	if (known_setting == NULL || strcmp(airun_user_setting, known_setting) != 0)
	{
		char	   *copy = MemoryContextStrdup(TopMemoryContext, airun_user_setting);

		if (known_setting != NULL)
			pfree(known_setting);
		known_setting = copy;
		subject_to_uuid(copy, strlen(copy), &known_setting_user);
	}
	*user_id = known_setting_user;
	return true;
}

/*
 * airun_user_id() returns uuid
 *
 * NULL when nobody is calling.
 */
Datum
airun_user_id(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc_object(pg_uuid_t);

	if (!caller_id(id))
		PG_RETURN_NULL();
	PG_RETURN_UUID_P(id);
}

/*
 * airun_user_uuid(subject text) returns uuid
 *
 * Version 5 is RFC 4122's, over the bytes of the subject.
 */
Datum
airun_user_uuid(PG_FUNCTION_ARGS)
{
	text	   *subject = PG_GETARG_TEXT_PP(0);
	pg_uuid_t  *id = palloc_object(pg_uuid_t);

	subject_to_uuid(VARDATA_ANY(subject), VARSIZE_ANY_EXHDR(subject), id);
	PG_RETURN_UUID_P(id);
}

/* ---------- buckets ---------- */

/* Eight bytes as a number, whatever the machine's order of bytes */
static uint64
read_uint64(const unsigned char *bytes)
{
	uint64		number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

/*
 * The bucket of a user, from 0 to BUCKETS - 1, the same on every machine and for
 * ever: both halves of the id mixed by a multiplication, then the finalizer of
 * splitmix64, of which the uppermost bits count.  What is nobody's is in bucket 0.
 */
int
user_bucket(const pg_uuid_t *user_id)
{
	uint64		x;

	if (user_id == NULL)
		return 0;
	x = read_uint64(user_id->data) ^
		read_uint64(user_id->data + 8) * UINT64CONST(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64CONST(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64CONST(0x94d049bb133111eb);
	return (int) ((x ^ x >> 31) >> (64 - BUCKET_BITS));
}

/* The bucket that an id carries; -1 for an id that is not of version 8 */
int
uuid_bucket(const pg_uuid_t *id)
{
	if ((id->data[6] & 0xf0) != 0x80)
		return -1;
	return (id->data[14] & 0x0f) << 8 | id->data[15];
}

/* Let an id carry a bucket: of version 8 then, its last 12 bits */
static void
uuid_set_bucket(pg_uuid_t *id, int bucket)
{
	id->data[6] = 0x80 | (id->data[6] & 0x0f);
	id->data[14] = (id->data[14] & 0xf0) | bucket >> 8;
	id->data[15] = bucket & 0xff;
}

/* ---------- ids ---------- */

/*
 * A new UUID of version 7 (RFC 9562): 48 bits of milliseconds since 1970, the
 * rest from libuuid's random source, but that the 12 bits behind the version
 * tell the fraction of the millisecond, so that ids of one server sort by
 * time at the right edge of an index.
 */
static void
uuid_generate_v7(pg_uuid_t *id)
{
	int64		us = GetCurrentTimestamp() +
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	int64		ms = us / 1000;
	int			fraction = (int) (us % 1000) * 4096 / 1000;

	uuid_generate_random(id->data);
	for (int i = 0; i < 6; i++)
		id->data[i] = (unsigned char) (ms >> (40 - 8 * i));
	id->data[6] = 0x70 | (fraction >> 8);
	id->data[7] = fraction & 0xff;
}

/* A new id of what belongs to a user (NULL for nobody), laid out as version 7 */
void
uuid_generate_for(pg_uuid_t *id, const pg_uuid_t *owner)
{
	uuid_generate_v7(id);
	uuid_set_bucket(id, user_bucket(owner));
}

/* Let the id of what belongs to a run carry the bucket that the run's id carries, if any */
void
uuid_take_bucket(pg_uuid_t *id, const pg_uuid_t *run_id)
{
	int			bucket = uuid_bucket(run_id);

	if (bucket >= 0)
		uuid_set_bucket(id, bucket);
}

/* A new id of what belongs to a run */
void
uuid_generate_within(pg_uuid_t *id, const pg_uuid_t *run_id)
{
	uuid_generate_v7(id);
	uuid_take_bucket(id, run_id);
}

/*
 * An id that follows from another one and its owner (NULL for nobody), so that
 * a call that is repeated makes the same id again, and another user's call
 * another one.  It begins with the time of the given id where that begins with
 * one (versions 7 and 8), and carries the owner's bucket.
 */
void
uuid_derive(pg_uuid_t *id, const pg_uuid_t *from, const pg_uuid_t *owner)
{
	unsigned char name[2 * UUID_LEN] = {0};
	unsigned char version = from->data[6] & 0xf0;

	memcpy(name, from->data, UUID_LEN);
	if (owner != NULL)
		memcpy(name + UUID_LEN, owner->data, UUID_LEN);
	uuid_generate_sha1(id->data, subject_namespace, (const char *) name, sizeof(name));
	if (version == 0x70 || version == 0x80)
	{
		memcpy(id->data, from->data, 6);
		id->data[6] = 0x70 | (id->data[6] & 0x0f);
	}
	uuid_set_bucket(id, user_bucket(owner));
}

/* The id that a name stands for: the same name is the same id, everywhere */
void
uuid_from_name(pg_uuid_t *id, const char *name, size_t len)
{
	uuid_generate_sha1(id->data, subject_namespace, name, len);
}

/* For messages */
char *
uuid_string(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

/*
 * airun_uuid() returns uuid
 */
Datum
airun_uuid(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *id = palloc_object(pg_uuid_t);

	uuid_generate_v7(id);
	PG_RETURN_UUID_P(id);
}

/*
 * airun_bucket(user_id uuid) returns integer
 */
Datum
airun_bucket(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(user_bucket(PG_ARGISNULL(0) ? NULL : PG_GETARG_UUID_P(0)));
}
