/*
 * usage.h
 *		What a request has used, in disjoint buckets.
 */
#ifndef AIRUN_USAGE_H
#define AIRUN_USAGE_H

#include "airun.h"

#include "utils/jsonb.h"

/*
 * The buckets.  No token is in two of them: what is written to or read from
 * a cache is not in input, and what the model thought is not in output.
 */
typedef enum Bucket
{
	/* tokens that went in */
	BUCKET_INPUT,
	BUCKET_CACHE_READ,
	BUCKET_CACHE_WRITE_5M,
	BUCKET_CACHE_WRITE_1H,
	BUCKET_INPUT_AUDIO,
	BUCKET_CACHE_READ_AUDIO,
	BUCKET_INPUT_IMAGE,
	BUCKET_CACHE_READ_IMAGE,
	BUCKET_INPUT_VIDEO,
	/* tokens that came out */
	BUCKET_OUTPUT,
	BUCKET_REASONING,
	BUCKET_OUTPUT_AUDIO,
	BUCKET_OUTPUT_IMAGE,
	BUCKET_OUTPUT_VIDEO,
	/* what else is counted */
	BUCKET_REQUESTS,
	BUCKET_WEB_SEARCHES,
	BUCKET_INPUT_IMAGES,
	BUCKET_OUTPUT_IMAGES,
	BUCKET_INPUT_SECONDS,		/* kept in milliseconds */
	BUCKET_OUTPUT_SECONDS,		/* kept in milliseconds */
	BUCKET_INPUT_CHARACTERS,
	BUCKET_OUTPUT_CHARACTERS,
	BUCKET_PAGES
} Bucket;

#define BUCKET_COUNT		(BUCKET_PAGES + 1)

#define BUCKET_IS_INPUT(b)	((b) <= BUCKET_INPUT_VIDEO)
#define BUCKET_IS_OUTPUT(b)	((b) >= BUCKET_OUTPUT && (b) <= BUCKET_OUTPUT_VIDEO)
#define BUCKET_IS_TOKENS(b)	((b) <= BUCKET_OUTPUT_VIDEO)
#define BUCKET_IS_SECONDS(b) \
	((b) == BUCKET_INPUT_SECONDS || (b) == BUCKET_OUTPUT_SECONDS)

/* The most that one usage may state of anything */
#define USAGE_MAX			INT64CONST(1000000000000)

/* A total that nobody has stated, and that no part gives */
#define USAGE_UNKNOWN		INT64CONST(-1)

typedef struct Usage
{
	int64		count[BUCKET_COUNT];
	int64		tokens_input;	/* or USAGE_UNKNOWN, as the next two */
	int64		tokens_output;
	int64		tokens_total;
	bool		is_known;		/* says anything that could be priced */
	char	   *service_tier;	/* the one that the provider names, or NULL */
} Usage;

extern const char *bucket_name(Bucket bucket);
extern bool bucket_from_name(const char *name, int len, Bucket *bucket);
extern Numeric bucket_amount(const Usage *usage, Bucket bucket);

extern void usage_normalize(Jsonb *raw, const char *provider, Usage *usage);
extern Jsonb *usage_to_jsonb(const Usage *usage);

#endif							/* AIRUN_USAGE_H */
