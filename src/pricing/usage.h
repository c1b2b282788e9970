/*
 * usage.h
 *		What a request has used, in disjoint buckets.
 */
#ifndef AIRUN_USAGE_H
#define AIRUN_USAGE_H

#include "airun.h"

#include "json/jsonb_util.h"
#include "utils/numeric.h"

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
#define BUCKET_IS_TOKENS(b)	((b) <= BUCKET_OUTPUT_VIDEO)
#define BUCKET_IS_SECONDS(b) \
	((b) == BUCKET_INPUT_SECONDS || (b) == BUCKET_OUTPUT_SECONDS)

/* The most that one usage may state of anything */
#define USAGE_MAX			INT64CONST(1000000000000)

/* A total that nobody has stated, and that no part gives */
#define USAGE_UNKNOWN		INT64CONST(-1)

/* The doubts about one usage that are kept */
#define USAGE_DOUBTS		8

/* One of the requests, or models, that a usage is the sum of */
typedef struct UsageRequest
{
	int64		count[BUCKET_COUNT];
	char	   *model;			/* where it is said, or NULL */
} UsageRequest;

typedef struct Usage
{
	int64		count[BUCKET_COUNT];
	int64		tokens_input;	/* or USAGE_UNKNOWN, as the next two */
	int64		tokens_output;
	int64		tokens_total;
	bool		is_known;		/* says anything that could be priced */
	bool		input_is_open;	/* says nothing of what went in, or not all */
	bool		output_is_open; /* likewise of what came out */
	bool		is_total_alone; /* all is taken for input */
	int			request_count;	/* 0 where it is not the sum of several */
	UsageRequest *requests;
	int			doubt_count;	/* may be more than are kept */
	char	   *doubts[USAGE_DOUBTS];	/* why it is not to be trusted, in words */
} Usage;

extern const char *bucket_name(Bucket bucket);
extern bool bucket_from_name(const char *name, int len, Bucket *bucket);
extern Numeric bucket_amount(int64 count, Bucket bucket);

extern void usage_clear(Usage *usage);
extern void usage_doubt(Usage *usage, const char *format,...) pg_attribute_printf(2, 3);
extern void usage_read(Jsonb *raw, const char *provider, Usage *usage);
extern bool usage_read_answer(Jsonb *answer, const char *provider, Usage *usage);
extern void usage_put_doubts(JsonbBuilder *builder, const Usage *usage);
extern Jsonb *usage_to_jsonb(const Usage *usage);

#endif							/* AIRUN_USAGE_H */
