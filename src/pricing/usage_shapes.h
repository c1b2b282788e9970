/*
 * usage_shapes.h
 *		The vocabulary of usages, as data.
 */
#ifndef AIRUN_USAGE_SHAPES_H
#define AIRUN_USAGE_SHAPES_H

#include "airun.h"

#include "pricing/usage.h"

/* What a number in a usage can mean */
typedef enum UsagePart
{
	/* tokens that went in */
	PART_INPUT,					/* all of them */
	PART_INPUT_FRESH,			/* those of text that come from no cache and go to none */
	PART_INPUT_TEXT,			/* those of text, cached or not */
	PART_INPUT_TOOL,			/* those that are counted beside all others */
	PART_CACHE_READ,
	PART_CACHE_WRITE,			/* all that was written, or the next two */
	PART_CACHE_WRITE_5M,
	PART_CACHE_WRITE_1H,
	PART_INPUT_AUDIO,			/* with what of it was cached, as the next two */
	PART_INPUT_IMAGE,
	PART_INPUT_VIDEO,
	PART_CACHED_AUDIO,			/* a part of what was read, as the next one */
	PART_CACHED_IMAGE,
	PART_CACHE_READ_AUDIO,		/* beside what was read, as the next one */
	PART_CACHE_READ_IMAGE,
	/* tokens that came out */
	PART_OUTPUT,				/* all of them */
	PART_OUTPUT_VISIBLE,		/* all but what the model thought */
	PART_OUTPUT_FRESH,			/* those of text alone, without thoughts */
	PART_OUTPUT_TEXT,			/* those of text, thoughts or not */
	PART_REASONING,
	PART_OUTPUT_AUDIO,
	PART_OUTPUT_IMAGE,
	PART_OUTPUT_VIDEO,
	/* both */
	PART_TOTAL,
	/* what else is counted, each a bucket */
	PART_REQUESTS,
	PART_WEB_SEARCHES,
	PART_INPUT_IMAGES,
	PART_OUTPUT_IMAGES,
	PART_INPUT_SECONDS,
	PART_OUTPUT_SECONDS,
	PART_INPUT_CHARACTERS,
	PART_OUTPUT_CHARACTERS,
	PART_PAGES,
	/* known, and nothing to be charged for */
	PART_IGNORED
} UsagePart;

#define PART_COUNT			(PART_IGNORED + 1)
#define PART_UNIT_BUCKET(p) ((Bucket) ((p) - PART_REQUESTS + BUCKET_REQUESTS))

/*
 * Where a part stands: keys joined by points, so that {"a": {"b": 1}} and
 * {"a.b": 1} are one.  An element of a list is [] or, where it says what it is
 * of, [AUDIO]: by its "modality", "ttl" or "type".
 */
typedef struct UsagePath
{
	UsagePart	part;
	const char *path;
} UsagePath;

/* The total tells whether these are inside of input and output, or beside them */
#define CACHE_BY_TOTAL		0x01
#define REASONING_BY_TOTAL	0x02
/* What is not stated is none */
#define ABSENT_IS_ZERO		0x04
/* There is nothing but a total */
#define TOTAL_ALONE			0x08

typedef struct UsageShape
{
	const char *name;
	const char *provider;		/* only with this one, or NULL */
	int			flags;
	const char *const *known_by;	/* any of these paths; one that ends in a point, what
									 * is under it.  NULL ends it. */
	const UsagePath *paths;		/* a NULL path ends it */
	const UsagePath *more_paths;	/* those of a site, which go first, or NULL */
} UsageShape;

/* How the usages in a list go with the one beside it */
typedef enum UsageListKind
{
	LIST_SAME,					/* they make up the same */
	LIST_MORE,					/* the one may leave some of them out */
	LIST_COPY					/* one usage, which says the same, more finely */
} UsageListKind;

/* Where several usages are, each of a request or a model of its own */
typedef struct UsageList
{
	const char *path;
	UsageListKind kind;
	bool		is_requests;	/* each is a request */
	bool		names_models;	/* its keys are models */
} UsageList;

extern const UsageShape usage_shapes[];
extern const int usage_shape_count;
extern const UsageList usage_lists[];
extern const int usage_list_count;
extern const UsagePath usage_units[];
extern const char *const usage_wrappers[];
extern const char *const usage_inner_wrappers[];
extern const char *const usage_counting_words[];
extern const char *const usage_other_words[];

extern bool usage_part_from_name(const char *name, int len, UsagePart *part);

#endif							/* AIRUN_USAGE_SHAPES_H */
