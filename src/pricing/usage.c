/*
 * usage.c
 *		What a request has used, in disjoint buckets: their names, and as JSON.
 *
 * Nothing is locked, and nothing refused but a store that Citus has taken (0A000).
 */
#include "pricing/usage.h"

#include "store/citus.h"
#include "store/column_types.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(airun_normalize_usage);

static const char *const bucket_names[BUCKET_COUNT] = {
	[BUCKET_INPUT] = "input",
	[BUCKET_CACHE_READ] = "cache_read",
	[BUCKET_CACHE_WRITE_5M] = "cache_write_5m",
	[BUCKET_CACHE_WRITE_1H] = "cache_write_1h",
	[BUCKET_INPUT_AUDIO] = "input_audio",
	[BUCKET_CACHE_READ_AUDIO] = "cache_read_audio",
	[BUCKET_INPUT_IMAGE] = "input_image",
	[BUCKET_CACHE_READ_IMAGE] = "cache_read_image",
	[BUCKET_INPUT_VIDEO] = "input_video",
	[BUCKET_OUTPUT] = "output",
	[BUCKET_REASONING] = "reasoning",
	[BUCKET_OUTPUT_AUDIO] = "output_audio",
	[BUCKET_OUTPUT_IMAGE] = "output_image",
	[BUCKET_OUTPUT_VIDEO] = "output_video",
	[BUCKET_REQUESTS] = "requests",
	[BUCKET_WEB_SEARCHES] = "web_searches",
	[BUCKET_INPUT_IMAGES] = "input_images",
	[BUCKET_OUTPUT_IMAGES] = "output_images",
	[BUCKET_INPUT_SECONDS] = "input_seconds",
	[BUCKET_OUTPUT_SECONDS] = "output_seconds",
	[BUCKET_INPUT_CHARACTERS] = "input_characters",
	[BUCKET_OUTPUT_CHARACTERS] = "output_characters",
	[BUCKET_PAGES] = "pages",
};

/* ---------- buckets ---------- */

/* The name of a bucket, as usages and prices have it */
const char *
bucket_name(Bucket bucket)
{
	return bucket_names[bucket];
}

/* The bucket of a name, which need not end in a zero byte */
bool
bucket_from_name(const char *name, int len, Bucket *bucket)
{
	for (int i = 0; i < BUCKET_COUNT; i++)
	{
		if (strlen(bucket_names[i]) == len && memcmp(bucket_names[i], name, len) == 0)
		{
			*bucket = (Bucket) i;
			return true;
		}
	}
	return false;
}

/* How much so many in a bucket are, in the unit of its price */
Numeric
bucket_amount(int64 count, Bucket bucket)
{
	if (BUCKET_IS_SECONDS(bucket))
		return int64_div_fast_to_numeric(count, 3);
	return int64_to_numeric(count);
}

/* ---------- as JSON ---------- */

/* Why it is not to be trusted, as "doubts", where there is anything to say */
void
usage_put_doubts(JsonbBuilder *builder, const Usage *usage)
{
	int			left_out = usage->doubt_count - USAGE_DOUBTS;

	if (usage->doubt_count == 0)
		return;
	jsonb_put_key(builder, "doubts");
	jsonb_begin_array(builder);
	for (int i = 0; i < Min(usage->doubt_count, USAGE_DOUBTS); i++)
		jsonb_put_string(builder, usage->doubts[i], true);
	if (left_out > 0)
		jsonb_put_string(builder, psprintf("and %d more", left_out), true);
	jsonb_close(builder, true);
}

/* The buckets that are not empty, the totals that are known, and the doubts */
Jsonb *
usage_to_jsonb(const Usage *usage)
{
	const struct
	{
		const char *name;
		int64		count;
	}			totals[] = {
		{"tokens_input", usage->tokens_input},
		{"tokens_output", usage->tokens_output},
		{"tokens_total", usage->tokens_total},
	};
	JsonbBuilder builder = {0};

	jsonb_begin_object(&builder);
	for (int i = 0; i < BUCKET_COUNT; i++)
	{
		Datum		amount;

		if (usage->count[i] == 0)
			continue;
		amount = DirectFunctionCall1(numeric_trim_scale,
									 NumericGetDatum(bucket_amount(usage->count[i], i)));
		jsonb_put_key(&builder, bucket_names[i]);
		jsonb_put_numeric(&builder, DatumGetNumeric(amount), false);
	}
	for (int i = 0; i < lengthof(totals); i++)
	{
		if (totals[i].count == USAGE_UNKNOWN)
			continue;
		jsonb_put_key(&builder, totals[i].name);
		jsonb_put_numeric(&builder, int64_to_numeric(totals[i].count), false);
	}
	usage_put_doubts(&builder, usage);
	jsonb_close(&builder, false);
	return jsonb_finish(&builder);
}

/* airun_normalize_usage(usage, provider) returns jsonb */
Datum
airun_normalize_usage(PG_FUNCTION_ARGS)
{
	Usage		usage;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	refuse_citus();				/* of a site's shapes there would be an empty shell */
	column_types_require();
	usage_read(PG_GETARG_JSONB_P(0),
			   PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)), &usage);
	PG_RETURN_JSONB_P(usage_to_jsonb(&usage));
}
