/*
 * usage.c
 *		What a request has used, in disjoint buckets.
 *
 * Every provider counts in its own way: cached tokens are a part of the input
 * for one and come on top of it for another, thoughts likewise with the
 * output.  Counting a token twice is how most bills go wrong.  So each shape
 * is read here into parts as its provider means them, and the parts are then
 * settled into buckets of which no two hold the same token.
 *
 *	shape			known by				cache			thoughts
 *	buckets			input, tokens_input		apart			apart
 *	OpenTelemetry	gen_ai.usage.*			in the input	in the output
 *	Gemini			promptTokenCount		in the input	apart
 *	AI SDK			inputTokens				in the input	in the output
 *	Bedrock			cacheReadInputTokens	apart			in the output
 *	OpenAI Chat		prompt_tokens			in the input	in the output
 *	Anthropic		cache_*_input_tokens	apart			in the output
 *	Responses		input_tokens			in the input	in the output
 *
 * The AI SDK up to version 5 passed Anthropic's own figures on, so that with
 * that provider its cachedInputTokens lie apart.  xAI leaves thoughts out of
 * completion_tokens; where a total is given it tells which it is.
 *
 * Where the cached tokens and those of audio or image leave less than nothing
 * for text, as many of the cached ones as must be are of audio, then image.
 *
 * Keys that are not known say nothing, and null is as good as absent.  PT422
 * for what is no count and for counts that contradict each other.  Nothing is
 * locked.
 */
#include "pricing/usage.h"

#include "json/jsonb_util.h"
#include "pricing/names.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(airun_normalize_usage);

/* The parts of a usage as its provider states them; USAGE_UNKNOWN where not */
typedef struct Parts
{
	int64		input;
	int64		tool_input;		/* input that the provider counts apart */
	int64		cache_read;
	int64		cache_write;	/* all of it, or the next two */
	int64		cache_write_5m;
	int64		cache_write_1h;
	int64		input_audio;	/* with what of it was cached, as the next two */
	int64		input_image;
	int64		input_video;
	int64		cached_audio;
	int64		cached_image;
	int64		output;
	int64		reasoning;
	int64		output_audio;
	int64		output_image;
	int64		output_video;
	int64		total;
	bool		cache_is_apart; /* not a part of input */
	bool		reasoning_is_apart; /* not a part of output */
} Parts;

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

/* Other names for buckets, which Langfuse gives them */
static const struct
{
	const char *name;
	Bucket		bucket;
}			bucket_aliases[] = {
	{"input_cached_tokens", BUCKET_CACHE_READ},
	{"input_cache_read", BUCKET_CACHE_READ},
	{"input_cache_creation", BUCKET_CACHE_WRITE_5M},
	{"input_cache_creation_5m", BUCKET_CACHE_WRITE_5M},
	{"input_cache_creation_1h", BUCKET_CACHE_WRITE_1H},
	{"input_audio_tokens", BUCKET_INPUT_AUDIO},
	{"output_reasoning", BUCKET_REASONING},
	{"output_reasoning_tokens", BUCKET_REASONING},
	{"reasoning_tokens", BUCKET_REASONING},
	{"output_audio_tokens", BUCKET_OUTPUT_AUDIO},
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

/* How much is in a bucket, in the unit of its price */
Numeric
bucket_amount(const Usage *usage, Bucket bucket)
{
	if (BUCKET_IS_SECONDS(bucket))
		return int64_div_fast_to_numeric(usage->count[bucket], 3);
	return int64_to_numeric(usage->count[bucket]);
}

/* ---------- counts ---------- */

pg_noreturn static void
refuse_count(const char *path, const char *key, int scale, const char *found)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("\"%s%s\" in the usage must be a %s between 0 and " INT64_FORMAT,
					path, key, scale == 1 ? "whole number" : "number", USAGE_MAX),
			 errdetail("Found %.100s.", found),
			 errhint("Send the usage as the provider sent it, without what is not known.")));
}

pg_noreturn static void
refuse_contradiction(const char *what, int64 part, const char *of, int64 whole)
{
	ereport(ERROR,
			(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
			 errmsg("the usage contradicts itself: %s cannot be more than %s", what, of),
			 errdetail("Found " INT64_FORMAT " and " INT64_FORMAT ".", part, whole),
			 errhint("Send the usage as the provider sent it, with \"provider\" where it is known.")));
}

/* What a refusal shows of a value that is no number */
static const char *
value_kind(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return "a string";
		case jbvBool:
			return "a boolean";
		default:
			return "an object or an array";
	}
}

/*
 * A count: a number that is whole once multiplied by scale, not negative and
 * not absurd.  What is finer than a scale above 1 is rounded.  path and key
 * say which it is.
 */
static int64
count_from_value(const JsonbValue *value, const char *path, const char *key, int scale)
{
	Datum		number;
	int64		count;

	if (value->type != jbvNumeric)
		refuse_count(path, key, scale, value_kind(value));
	number = NumericGetDatum(value->val.numeric);
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, number,
										 NumericGetDatum(int64_to_numeric(0)))) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, number,
										 NumericGetDatum(int64_to_numeric(USAGE_MAX)))))
		refuse_count(path, key, scale, DatumGetCString(DirectFunctionCall1(numeric_out, number)));
	if (scale > 1)
		number = DirectFunctionCall2(numeric_mul, number,
									 NumericGetDatum(int64_to_numeric(scale)));
	count = DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
	if (scale == 1 &&
		!DatumGetBool(DirectFunctionCall2(numeric_eq, number,
										  NumericGetDatum(int64_to_numeric(count)))))
		refuse_count(path, key, scale, DatumGetCString(DirectFunctionCall1(numeric_out, number)));
	return count;
}

/* The count under the key, which has not been stated so far */
static bool
read_count(JsonbContainer *object, const char *path, const char *key, int64 *count)
{
	JsonbValue	value;

	if (*count != USAGE_UNKNOWN || object == NULL || !jsonb_field(object, key, &value))
		return false;
	*count = count_from_value(&value, path, key, 1);
	return true;
}

/* The object under the key, or NULL */
static JsonbContainer *
read_object(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	if (object == NULL || !jsonb_field(object, key, &value))
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"%s\" in the usage must be an object", key),
				 errdetail("Found %s.", value.type == jbvBinary ? "an array" :
						   value.type == jbvNumeric ? "a number" : value_kind(&value)),
				 errhint("Send the usage as the provider sent it, without what is not known.")));
	return value.val.binary.data;
}

static bool
has_field(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	return jsonb_field(object, key, &value);
}

static bool
has_object(JsonbContainer *object, const char *key)
{
	JsonbValue	value;

	return jsonb_field(object, key, &value) && value.type == jbvBinary;
}

/* Has the object one of these keys?  The last one is NULL. */
static bool
has_any(JsonbContainer *object, const char *const *keys)
{
	for (; *keys != NULL; keys++)
	{
		if (has_field(object, *keys))
			return true;
	}
	return false;
}

/* ---------- shapes ---------- */

/* The details of OpenAI's shapes, and of those that follow them */
static void
read_input_details(JsonbContainer *usage, const char *key, Parts *parts)
{
	JsonbContainer *details = read_object(usage, key);
	JsonbContainer *cached;
	JsonbContainer *written;
	char		path[64];

	if (details == NULL)
		return;
	snprintf(path, sizeof(path), "%s.", key);
	(void) (read_count(details, path, "cached_tokens", &parts->cache_read) ||
			read_count(details, path, "cache_read_tokens", &parts->cache_read));
	(void) (read_count(details, path, "cache_write_tokens", &parts->cache_write) ||
			read_count(details, path, "cache_creation_tokens", &parts->cache_write) ||
			read_count(details, path, "cache_creation_input_tokens", &parts->cache_write));
	read_count(details, path, "audio_tokens", &parts->input_audio);
	read_count(details, path, "image_tokens", &parts->input_image);
	read_count(details, path, "video_tokens", &parts->input_video);

	cached = read_object(details, "cached_tokens_details");
	read_count(cached, "cached_tokens_details.", "audio_tokens", &parts->cached_audio);
	read_count(cached, "cached_tokens_details.", "image_tokens", &parts->cached_image);
	written = read_object(details, "cache_creation_token_details");
	read_count(written, "cache_creation_token_details.", "ephemeral_5m_input_tokens",
			   &parts->cache_write_5m);
	read_count(written, "cache_creation_token_details.", "ephemeral_1h_input_tokens",
			   &parts->cache_write_1h);
}

static void
read_output_details(JsonbContainer *usage, const char *key, Parts *parts)
{
	JsonbContainer *details = read_object(usage, key);
	char		path[64];

	snprintf(path, sizeof(path), "%s.", key);
	(void) (read_count(details, path, "reasoning_tokens", &parts->reasoning) ||
			read_count(details, path, "thinking_tokens", &parts->reasoning));
	read_count(details, path, "audio_tokens", &parts->output_audio);
	read_count(details, path, "image_tokens", &parts->output_image);
	read_count(details, path, "video_tokens", &parts->output_video);
}

/* Anthropic's figures of its cache, which others pass on */
static void
read_anthropic_cache(JsonbContainer *usage, Parts *parts)
{
	JsonbContainer *written = read_object(usage, "cache_creation");

	read_count(usage, "", "cache_read_input_tokens", &parts->cache_read);
	read_count(usage, "", "cache_creation_input_tokens", &parts->cache_write);
	read_count(written, "cache_creation.", "ephemeral_5m_input_tokens", &parts->cache_write_5m);
	read_count(written, "cache_creation.", "ephemeral_1h_input_tokens", &parts->cache_write_1h);
}

/* OpenAI Chat, and what speaks it: DeepSeek, Moonshot, OpenRouter, LiteLLM, ... */
static void
read_chat(JsonbContainer *usage, const char *provider, Parts *parts)
{
	read_count(usage, "", "prompt_tokens", &parts->input);
	read_count(usage, "", "completion_tokens", &parts->output);
	read_count(usage, "", "total_tokens", &parts->total);
	read_input_details(usage, "prompt_tokens_details", parts);
	read_output_details(usage, "completion_tokens_details", parts);
	(void) (read_count(usage, "", "prompt_cache_hit_tokens", &parts->cache_read) ||
			read_count(usage, "", "cached_tokens", &parts->cache_read));
	read_anthropic_cache(usage, parts);
	read_count(usage, "", "reasoning_tokens", &parts->reasoning);

	if (parts->reasoning > 0 && parts->output != USAGE_UNKNOWN)
		parts->reasoning_is_apart = parts->total != USAGE_UNKNOWN ?
			parts->total == Max(parts->input, 0) + parts->output + parts->reasoning :
			parts->reasoning > parts->output && provider_is(provider, "xai");
}

/* Anthropic, and OpenAI Responses with what looks like it */
static void
read_responses(JsonbContainer *usage, Parts *parts)
{
	static const char *const anthropic[] = {
		"cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation", NULL
	};

	read_count(usage, "", "input_tokens", &parts->input);
	read_count(usage, "", "output_tokens", &parts->output);
	read_count(usage, "", "total_tokens", &parts->total);
	read_input_details(usage, "input_tokens_details", parts);
	read_input_details(usage, "input_token_details", parts);
	read_output_details(usage, "output_tokens_details", parts);
	read_output_details(usage, "output_token_details", parts);
	if (parts->cache_read == USAGE_UNKNOWN && parts->cache_write == USAGE_UNKNOWN &&
		has_any(usage, anthropic))
	{
		parts->cache_is_apart = true;
		read_anthropic_cache(usage, parts);
	}
}

/* Sums up a Gemini list of {modality, tokenCount} */
static void
read_modalities(JsonbContainer *usage, const char *key, const char *count_key,
				int64 *audio, int64 *image, int64 *video)
{
	JsonbValue	list;
	JsonbContainer *array;

	if (!jsonb_field(usage, key, &list) || list.type != jbvBinary ||
		!JsonContainerIsArray(list.val.binary.data))
		return;
	array = list.val.binary.data;
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		int64		count = USAGE_UNKNOWN;
		int64	   *sum;
		char	   *modality;

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
			continue;
		modality = jsonb_field_string(element->val.binary.data, "modality");
		read_count(element->val.binary.data, psprintf("%s.", key), count_key, &count);
		if (modality == NULL || count == USAGE_UNKNOWN)
			continue;
		sum = strcmp(modality, "AUDIO") == 0 ? audio :
			strcmp(modality, "IMAGE") == 0 ? image :
			strcmp(modality, "VIDEO") == 0 ? video : NULL;
		if (sum != NULL)
			*sum = Min(Max(*sum, 0) + count, USAGE_MAX);
	}
}

/* Gemini, as JSON has it and, with its underscores, as Python's library has it */
static void
read_gemini(JsonbContainer *usage, Parts *parts)
{
	bool		snake = !has_field(usage, "promptTokenCount") &&
		!has_field(usage, "totalTokenCount") && !has_field(usage, "candidatesTokenCount");
	int64		none = USAGE_UNKNOWN;

#define GEMINI(camel, underscored)	(snake ? (underscored) : (camel))
	read_count(usage, "", GEMINI("promptTokenCount", "prompt_token_count"), &parts->input);
	read_count(usage, "", GEMINI("toolUsePromptTokenCount", "tool_use_prompt_token_count"),
			   &parts->tool_input);
	read_count(usage, "", GEMINI("cachedContentTokenCount", "cached_content_token_count"),
			   &parts->cache_read);
	(void) (read_count(usage, "", GEMINI("candidatesTokenCount", "candidates_token_count"),
					   &parts->output) ||
			read_count(usage, "", GEMINI("responseTokenCount", "response_token_count"),
					   &parts->output));
	read_count(usage, "", GEMINI("thoughtsTokenCount", "thoughts_token_count"),
			   &parts->reasoning);
	read_count(usage, "", GEMINI("totalTokenCount", "total_token_count"), &parts->total);
	read_modalities(usage, GEMINI("promptTokensDetails", "prompt_tokens_details"),
					GEMINI("tokenCount", "token_count"),
					&parts->input_audio, &parts->input_image, &parts->input_video);
	read_modalities(usage, GEMINI("cacheTokensDetails", "cache_tokens_details"),
					GEMINI("tokenCount", "token_count"),
					&parts->cached_audio, &parts->cached_image, &none);
	read_modalities(usage, GEMINI("candidatesTokensDetails", "candidates_tokens_details"),
					GEMINI("tokenCount", "token_count"),
					&parts->output_audio, &parts->output_image, &parts->output_video);
	read_modalities(usage, GEMINI("responseTokensDetails", "response_tokens_details"),
					GEMINI("tokenCount", "token_count"),
					&parts->output_audio, &parts->output_image, &parts->output_video);
#undef GEMINI
	parts->reasoning_is_apart = true;
}

/* The AI SDK of several versions, and Bedrock, which spells its keys alike */
static void
read_ai_sdk(JsonbContainer *usage, const char *provider, Parts *parts)
{
	JsonbContainer *in = read_object(usage, "inputTokenDetails");
	JsonbContainer *out = read_object(usage, "outputTokenDetails");

	if (has_object(usage, "inputTokens") || has_object(usage, "outputTokens"))
	{
		/* a provider's own result, before the SDK has summed it up */
		in = read_object(usage, "inputTokens");
		out = read_object(usage, "outputTokens");
		read_count(in, "inputTokens.", "total", &parts->input);
		read_count(in, "inputTokens.", "cacheRead", &parts->cache_read);
		read_count(in, "inputTokens.", "cacheWrite", &parts->cache_write);
		read_count(out, "outputTokens.", "total", &parts->output);
		read_count(out, "outputTokens.", "reasoning", &parts->reasoning);
		return;
	}
	(void) (read_count(usage, "", "inputTokens", &parts->input) ||
			read_count(usage, "", "promptTokens", &parts->input));
	(void) (read_count(usage, "", "outputTokens", &parts->output) ||
			read_count(usage, "", "completionTokens", &parts->output));
	read_count(usage, "", "totalTokens", &parts->total);
	read_count(in, "inputTokenDetails.", "cacheReadTokens", &parts->cache_read);
	read_count(in, "inputTokenDetails.", "cacheWriteTokens", &parts->cache_write);
	read_count(out, "outputTokenDetails.", "reasoningTokens", &parts->reasoning);
	read_count(usage, "", "reasoningTokens", &parts->reasoning);
	if (has_field(usage, "cacheReadInputTokens") || has_field(usage, "cacheWriteInputTokens"))
	{
		parts->cache_is_apart = true;
		read_count(usage, "", "cacheReadInputTokens", &parts->cache_read);
		read_count(usage, "", "cacheWriteInputTokens", &parts->cache_write);
	}
	else if (parts->cache_read == USAGE_UNKNOWN)
	{
		read_count(usage, "", "cachedInputTokens", &parts->cache_read);
		parts->cache_is_apart = in == NULL && provider_is(provider, "anthropic");
	}
}

/* Attributes of OpenTelemetry, the deprecated ones as well */
static void
read_otel(JsonbContainer *usage, Parts *parts)
{
	(void) (read_count(usage, "", "gen_ai.usage.input_tokens", &parts->input) ||
			read_count(usage, "", "gen_ai.usage.prompt_tokens", &parts->input));
	(void) (read_count(usage, "", "gen_ai.usage.output_tokens", &parts->output) ||
			read_count(usage, "", "gen_ai.usage.completion_tokens", &parts->output));
	read_count(usage, "", "gen_ai.usage.cache_read.input_tokens", &parts->cache_read);
	read_count(usage, "", "gen_ai.usage.cache_creation.input_tokens", &parts->cache_write);
	read_count(usage, "", "gen_ai.usage.reasoning.output_tokens", &parts->reasoning);
}

/* ---------- settling ---------- */

static int64
known(int64 count)
{
	return Max(count, 0);
}

/* The part of the input that is read from a cache or written to one */
static int64
settle_cache(Parts *parts, Usage *usage)
{
	if (parts->cache_write_5m != USAGE_UNKNOWN || parts->cache_write_1h != USAGE_UNKNOWN)
	{
		int64		split = known(parts->cache_write_5m) + known(parts->cache_write_1h);

		if (parts->cache_write != USAGE_UNKNOWN && parts->cache_write < split)
			refuse_contradiction("what is written to the caches", split,
								 "all that is written", parts->cache_write);
		/* what nobody says the time of is kept for the usual five minutes */
		usage->count[BUCKET_CACHE_WRITE_1H] = known(parts->cache_write_1h);
		usage->count[BUCKET_CACHE_WRITE_5M] =
			Max(parts->cache_write, split) - known(parts->cache_write_1h);
	}
	else
		usage->count[BUCKET_CACHE_WRITE_5M] = known(parts->cache_write);
	return known(parts->cache_read) + usage->count[BUCKET_CACHE_WRITE_5M] +
		usage->count[BUCKET_CACHE_WRITE_1H];
}

/* How many of the cached tokens are of a kind, of which there are all */
static int64
cached_of_kind(const char *kind, int64 stated, int64 all, int64 cached, int64 *missing)
{
	int64		count;

	if (stated != USAGE_UNKNOWN)
	{
		if (stated > all)
			refuse_contradiction(psprintf("cached %s tokens", kind), stated,
								 psprintf("%s tokens", kind), all);
		if (stated > cached)
			refuse_contradiction(psprintf("cached %s tokens", kind), stated,
								 "cached tokens", cached);
		return stated;
	}
	/* as many as must be, where text would have less than none */
	count = Min(Min(*missing, all), cached);
	*missing -= count;
	return count;
}

static void
settle_input(Parts *parts, Usage *usage)
{
	int64		cached = settle_cache(parts, usage);
	int64		audio = known(parts->input_audio);
	int64		image = known(parts->input_image);
	int64		video = known(parts->input_video);
	int64		read = known(parts->cache_read);
	int64		apart = cached + audio + image + video;
	int64		all;
	int64		missing;
	int64		cached_audio;
	int64		cached_image;

	if (parts->input == USAGE_UNKNOWN && parts->tool_input == USAGE_UNKNOWN && apart == 0)
		return;
	if (parts->input == USAGE_UNKNOWN)
		all = apart + known(parts->tool_input);
	else
		all = parts->input + known(parts->tool_input) + (parts->cache_is_apart ? cached : 0);

	if (cached > all)
		refuse_contradiction("cached tokens", cached, "all that went in", all);
	if (audio + image + video > all)
		refuse_contradiction("audio, image and video tokens", audio + image + video,
							 "all that went in", all);

	missing = Max(apart - known(parts->cached_audio) - known(parts->cached_image) - all, 0);
	cached_audio = cached_of_kind("audio", parts->cached_audio, audio, read, &missing);
	cached_image = cached_of_kind("image", parts->cached_image, image, read - cached_audio,
								  &missing);
	if (missing > 0)
		refuse_contradiction("cached, audio, image and video tokens",
							 apart - cached_audio - cached_image, "all that went in", all);

	usage->count[BUCKET_CACHE_READ] = read - cached_audio - cached_image;
	usage->count[BUCKET_CACHE_READ_AUDIO] = cached_audio;
	usage->count[BUCKET_CACHE_READ_IMAGE] = cached_image;
	usage->count[BUCKET_INPUT_AUDIO] = audio - cached_audio;
	usage->count[BUCKET_INPUT_IMAGE] = image - cached_image;
	usage->count[BUCKET_INPUT_VIDEO] = video;
	usage->count[BUCKET_INPUT] = all - (apart - cached_audio - cached_image);
	usage->tokens_input = all;
}

static void
settle_output(Parts *parts, Usage *usage)
{
	int64		reasoning = known(parts->reasoning);
	int64		other = known(parts->output_audio) + known(parts->output_image) +
		known(parts->output_video);
	int64		all;

	if (parts->output == USAGE_UNKNOWN && parts->reasoning == USAGE_UNKNOWN && other == 0)
		return;
	if (parts->output == USAGE_UNKNOWN)
		all = reasoning + other;
	else
		all = parts->output + (parts->reasoning_is_apart ? reasoning : 0);
	if (reasoning > all)
		refuse_contradiction("reasoning tokens", reasoning, "all that came out", all);
	if (reasoning + other > all)
		refuse_contradiction("reasoning, audio, image and video tokens", reasoning + other,
							 "all that came out", all);

	usage->count[BUCKET_REASONING] = reasoning;
	usage->count[BUCKET_OUTPUT_AUDIO] = known(parts->output_audio);
	usage->count[BUCKET_OUTPUT_IMAGE] = known(parts->output_image);
	usage->count[BUCKET_OUTPUT_VIDEO] = known(parts->output_video);
	usage->count[BUCKET_OUTPUT] = all - reasoning - other;
	usage->tokens_output = all;
}

/* The total, which a provider may state in its own way of counting */
static void
settle_total(const Parts *parts, Usage *usage)
{
	int64		stated = known(parts->input) + known(parts->output);
	int64		sum = known(usage->tokens_input) + known(usage->tokens_output);

	if (parts->total != USAGE_UNKNOWN && parts->total < stated)
		refuse_contradiction("input and output", stated, "all tokens", parts->total);
	if (parts->total != USAGE_UNKNOWN)
		usage->tokens_total = Max(parts->total, sum);
	else if (usage->tokens_input != USAGE_UNKNOWN || usage->tokens_output != USAGE_UNKNOWN)
		usage->tokens_total = sum;
}

/* ---------- buckets as a shape ---------- */

/* Adds what is stated under a name to a bucket */
static void
read_bucket(JsonbContainer *object, const char *name, Bucket bucket, Usage *usage)
{
	JsonbValue	value;

	if (!jsonb_field(object, name, &value))
		return;
	usage->count[bucket] += count_from_value(&value, "", name,
											 BUCKET_IS_SECONDS(bucket) ? 1000 : 1);
	usage->is_known = true;
}

/*
 * One side of a usage that is in buckets already.  A total that is more than
 * its buckets has the rest in the side's first one.
 */
static int64
settle_side(JsonbContainer *object, const char *total_name, Bucket first, Bucket last,
			Usage *usage)
{
	int64		total = USAGE_UNKNOWN;
	int64		sum = 0;
	bool		is_known = false;

	for (int i = first; i <= last; i++)
	{
		sum += usage->count[i];
		is_known |= usage->count[i] > 0 || has_field(object, bucket_names[i]);
	}
	if (!read_count(object, "", total_name, &total))
		return is_known ? sum : USAGE_UNKNOWN;
	if (total < sum)
		refuse_contradiction("the buckets", sum, psprintf("\"%s\"", total_name), total);
	usage->count[first] += total - sum;
	return total;
}

static void
read_buckets(JsonbContainer *object, Usage *usage)
{
	int64		total = USAGE_UNKNOWN;
	int64		sum;

	for (int i = 0; i <= BUCKET_OUTPUT_VIDEO; i++)
		read_bucket(object, bucket_names[i], (Bucket) i, usage);
	for (int i = 0; i < lengthof(bucket_aliases); i++)
		read_bucket(object, bucket_aliases[i].name, bucket_aliases[i].bucket, usage);
	usage->tokens_input = settle_side(object, "tokens_input", BUCKET_INPUT,
									  BUCKET_INPUT_VIDEO, usage);
	usage->tokens_output = settle_side(object, "tokens_output", BUCKET_OUTPUT,
									   BUCKET_OUTPUT_VIDEO, usage);

	sum = known(usage->tokens_input) + known(usage->tokens_output);
	(void) (read_count(object, "", "tokens_total", &total) ||
			read_count(object, "", "total", &total));
	if (total != USAGE_UNKNOWN && total < sum)
		refuse_contradiction("the buckets", sum, "all tokens", total);
	if (total != USAGE_UNKNOWN || usage->tokens_input != USAGE_UNKNOWN ||
		usage->tokens_output != USAGE_UNKNOWN)
		usage->tokens_total = Max(total, sum);
}

/* What is counted beside tokens, in whichever shape */
static void
read_units(JsonbContainer *object, Usage *usage)
{
	JsonbContainer *server_tools = read_object(object, "server_tool_use");

	usage->count[BUCKET_REQUESTS] = has_field(object, "requests") ? 0 : 1;
	for (int i = BUCKET_REQUESTS; i < BUCKET_COUNT; i++)
		read_bucket(object, bucket_names[i], (Bucket) i, usage);
	read_bucket(object, "web_search_queries", BUCKET_WEB_SEARCHES, usage);
	read_bucket(object, "num_search_queries", BUCKET_WEB_SEARCHES, usage);
	read_bucket(object, "seconds", BUCKET_INPUT_SECONDS, usage);
	if (server_tools != NULL)
		read_bucket(server_tools, "web_search_requests", BUCKET_WEB_SEARCHES, usage);
}

/* ---------- the whole ---------- */

/* Read tokens in whichever shape they are */
static void
read_tokens(JsonbContainer *object, const char *provider, Usage *usage)
{
	static const char *const own[] = {
		"input", "output", "tokens_input", "tokens_output", "tokens_total", "cache_read",
		"cache_write_5m", "cache_write_1h", "reasoning", "input_audio", "cache_read_audio",
		"input_image", "cache_read_image", "input_video", "output_audio", "output_image",
		"output_video", NULL
	};
	static const char *const otel[] = {
		"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
		"gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens", NULL
	};
	static const char *const gemini[] = {
		"promptTokenCount", "candidatesTokenCount", "totalTokenCount", "prompt_token_count",
		"candidates_token_count", "total_token_count", NULL
	};
	static const char *const ai_sdk[] = {
		"inputTokens", "outputTokens", "totalTokens", "promptTokens", "completionTokens", NULL
	};
	static const char *const chat[] = {
		"prompt_tokens", "completion_tokens", NULL
	};
	Parts		parts;

	memset(&parts, 0xff, sizeof(parts));	/* all USAGE_UNKNOWN */
	parts.cache_is_apart = false;
	parts.reasoning_is_apart = false;

	if (has_any(object, own))
	{
		read_buckets(object, usage);
		return;
	}
	if (has_any(object, otel))
		read_otel(object, &parts);
	else if (has_any(object, gemini))
		read_gemini(object, &parts);
	else if (has_any(object, ai_sdk))
		read_ai_sdk(object, provider, &parts);
	else if (has_any(object, chat))
		read_chat(object, provider, &parts);
	else
		read_responses(object, &parts);
	settle_input(&parts, usage);
	settle_output(&parts, usage);
	settle_total(&parts, usage);
}

/*
 * Understand a usage object.  provider, who sent it, may be NULL.  A usage
 * that says nothing that is known leaves is_known false.  PT422 for what
 * cannot be.
 */
void
usage_normalize(Jsonb *raw, const char *provider, Usage *usage)
{
	static const char *const wrappers[] = {"usage", "usageMetadata", "usage_metadata"};
	JsonbContainer *object = &raw->root;
	JsonbValue	inner;

	if (!JB_ROOT_IS_OBJECT(raw))
		ereport(ERROR,
				(errcode(ERRCODE_AIRUN_UNACCEPTABLE),
				 errmsg("\"usage\" must be a JSON object"),
				 errdetail("Found %s.", JB_ROOT_IS_SCALAR(raw) ? "a scalar" : "an array"),
				 errhint("Send the usage as the provider sent it, or leave it out.")));

	memset(usage, 0, sizeof(Usage));
	usage->tokens_input = usage->tokens_output = usage->tokens_total = USAGE_UNKNOWN;
	usage->service_tier = jsonb_field_string(object, "service_tier");
	if (usage->service_tier == NULL)
		usage->service_tier = jsonb_field_string(object, "serviceTier");

	/* a whole response has its usage under one of these keys */
	for (int i = 0; i < lengthof(wrappers); i++)
	{
		if (jsonb_field(object, wrappers[i], &inner) && inner.type == jbvBinary &&
			JsonContainerIsObject(inner.val.binary.data))
		{
			object = inner.val.binary.data;
			if (usage->service_tier == NULL)
				usage->service_tier = jsonb_field_string(object, "service_tier");
			break;
		}
	}

	read_units(object, usage);
	read_tokens(object, provider, usage);
	usage->is_known |= usage->tokens_input != USAGE_UNKNOWN ||
		usage->tokens_output != USAGE_UNKNOWN;
}

/* The buckets that are not empty, and the totals that are known */
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
		if (usage->count[i] == 0)
			continue;
		jsonb_put_key(&builder, bucket_names[i]);
		jsonb_put_numeric(&builder,
						  DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale,
											NumericGetDatum(bucket_amount(usage, i)))),
						  false);
	}
	for (int i = 0; i < lengthof(totals); i++)
	{
		if (totals[i].count == USAGE_UNKNOWN)
			continue;
		jsonb_put_key(&builder, totals[i].name);
		jsonb_put_numeric(&builder, int64_to_numeric(totals[i].count), false);
	}
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
	usage_normalize(PG_GETARG_JSONB_P(0),
					PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)), &usage);
	PG_RETURN_JSONB_P(usage_to_jsonb(&usage));
}
