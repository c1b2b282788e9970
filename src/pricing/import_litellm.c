/*
 * import_litellm.c
 *		The price list of LiteLLM, model_prices_and_context_window.json.
 *
 * One object with a key for each model.  Its rates are keys of their own, in
 * dollars for one token, with the tiers in the key: what is above 272k tokens
 * and has priority is input_cost_per_token_above_272k_tokens_priority.  A list
 * tiered_pricing goes before such keys, and off_peak_pricing holds rates for
 * hours of the day.  Keys that are not known stay in the raw entry.
 *
 * Nothing is locked, and nothing is refused: an entry that cannot be read is
 * handed on with the reason.
 */
#include "pricing/import.h"

#include <ctype.h>

#include "json/jsonb_util.h"
#include "pricing/names.h"
#include "pricing/price_terms.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "catalog/pg_type.h"

/* Rates, by what is left of their key without the tiers */
static const struct
{
	const char *key;
	Bucket		bucket;
	bool		is_second_choice;	/* counts where the other one is missing */
}			cost_keys[] = {
	{"input_cost_per_token", BUCKET_INPUT, false},
	{"output_cost_per_token", BUCKET_OUTPUT, false},
	{"output_cost_per_reasoning_token", BUCKET_REASONING, false},
	{"cache_read_input_token_cost", BUCKET_CACHE_READ, false},
	{"input_cost_per_token_cache_hit", BUCKET_CACHE_READ, true},
	{"cache_creation_input_token_cost", BUCKET_CACHE_WRITE_5M, false},
	{"cache_creation_input_token_cost_above_1hr", BUCKET_CACHE_WRITE_1H, false},
	{"input_cost_per_audio_token", BUCKET_INPUT_AUDIO, false},
	{"cache_read_input_audio_token_cost", BUCKET_CACHE_READ_AUDIO, false},
	{"output_cost_per_audio_token", BUCKET_OUTPUT_AUDIO, false},
	{"input_cost_per_image_token", BUCKET_INPUT_IMAGE, false},
	{"cache_read_input_image_token_cost", BUCKET_CACHE_READ_IMAGE, false},
	{"output_cost_per_image_token", BUCKET_OUTPUT_IMAGE, false},
	{"input_cost_per_video_token", BUCKET_INPUT_VIDEO, false},
	{"output_cost_per_video_token", BUCKET_OUTPUT_VIDEO, false},
	{"input_cost_per_request", BUCKET_REQUESTS, false},
	{"input_cost_per_query", BUCKET_REQUESTS, true},
	{"input_cost_per_image", BUCKET_INPUT_IMAGES, false},
	{"output_cost_per_image", BUCKET_OUTPUT_IMAGES, false},
	{"input_cost_per_second", BUCKET_INPUT_SECONDS, false},
	{"input_cost_per_audio_per_second", BUCKET_INPUT_SECONDS, true},
	{"output_cost_per_second", BUCKET_OUTPUT_SECONDS, false},
	{"output_cost_per_video_per_second", BUCKET_OUTPUT_SECONDS, true},
	{"input_cost_per_character", BUCKET_INPUT_CHARACTERS, false},
	{"output_cost_per_character", BUCKET_OUTPUT_CHARACTERS, false},
	{"ocr_cost_per_page", BUCKET_PAGES, false},
};

static const char *const service_suffixes[][2] = {
	{"_flex", "flex"}, {"_priority", "priority"}, {"_batches", "batch"},
	{"_ultrafast", "ultrafast"},
};

/* A rate's key, taken apart */
typedef struct CostKey
{
	Bucket		bucket;
	int64		above;
	const char *service_tier;
	bool		is_second_choice;
} CostKey;

/* Does the text end so?  Then cut that off. */
static bool
cut_end(char *text, const char *end)
{
	size_t		len = strlen(text);
	size_t		cut = strlen(end);

	if (len <= cut || strcmp(text + len - cut, end) != 0)
		return false;
	text[len - cut] = '\0';
	return true;
}

/* Cut off a context tier, _above_272k_tokens, and return its threshold or -1 */
static int64
cut_threshold(char *text)
{
	static const char above[] = "_above_";
	char	   *last = NULL;
	char	   *end;
	long		number;

	for (char *c = strstr(text, above); c != NULL; c = strstr(c + 1, above))
		last = c;
	if (last == NULL || !isdigit((unsigned char) last[sizeof(above) - 1]))
		return -1;
	number = strtol(last + sizeof(above) - 1, &end, 10);
	if (number < 0 || number > 1000000000)
		return -1;
	if (strcmp(end, "k_tokens") == 0)
		number *= 1000;
	else if (strcmp(end, "m_tokens") == 0)
		number *= 1000000;
	else if (strcmp(end, "_tokens") != 0)
		return -1;
	*last = '\0';
	return number;
}

static bool
parse_cost_key(const JsonbValue *key, CostKey *cost_key)
{
	char	   *text = pnstrdup(key->val.string.val, key->val.string.len);

	cost_key->service_tier = NULL;
	for (int i = 0; i < lengthof(service_suffixes); i++)
	{
		if (cut_end(text, service_suffixes[i][0]))
			cost_key->service_tier = service_suffixes[i][1];
	}
	cost_key->above = cut_threshold(text);
	for (int i = 0; i < lengthof(cost_keys); i++)
	{
		if (strcmp(text, cost_keys[i].key) == 0)
		{
			cost_key->bucket = cost_keys[i].bucket;
			cost_key->is_second_choice = cost_keys[i].is_second_choice;
			return true;
		}
	}
	return false;
}

/*
 * Collect all rates of an object, those that are second choice last.
 * Returns what is wrong, or NULL.
 */
static const char *
read_rates(JsonbContainer *object, RateCollector *collector)
{
	for (int second = 0; second <= 1; second++)
	{
		JsonbIterator *it = JsonbIteratorInit(object);
		JsonbValue	key;
		JsonbValue	value;

		(void) JsonbIteratorNext(&it, &key, true);
		while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
		{
			CostKey		cost_key;
			Numeric		rate;
			const char *problem;

			(void) JsonbIteratorNext(&it, &value, true);
			if (value.type == jbvNull || !parse_cost_key(&key, &cost_key) ||
				cost_key.is_second_choice != (second == 1))
				continue;
			if (second == 1 && collected_rate(collector, cost_key.bucket, cost_key.above,
											  cost_key.service_tier) != NULL)
				continue;
			problem = number_parse(&value, &rate);
			if (problem == NULL)
				problem = rate_problem(rate);
			if (problem != NULL)
				return psprintf("%s: %s", pnstrdup(key.val.string.val, key.val.string.len),
								problem);
			collect_rate(collector, cost_key.bucket, cost_key.above, cost_key.service_tier, rate);
		}
	}
	return NULL;
}

/* ---------- multipliers ---------- */

/* Keys that hold a multiplier, or begin so and end in what it is for */
static const struct
{
	const char *key;
	MultiplierKind kind;
	const char *name;			/* NULL: what is behind the key */
}			multiplier_keys[] = {
	{"regional_processing_uplift_multiplier_", MULTIPLIER_REGION, NULL},
	{"regional_endpoint_uplift_multiplier", MULTIPLIER_REGION, "*"},
};

/* In provider_specific_entry, what is no region is one of these speeds */
static const char *const speeds[] = {"fast"};

typedef struct CollectedMultiplier
{
	MultiplierKind kind;
	char	   *name;
	Numeric		factor;
} CollectedMultiplier;

#define MAX_MULTIPLIERS	50

typedef struct Multipliers
{
	int			count;
	CollectedMultiplier found[MAX_MULTIPLIERS];
} Multipliers;

static const char *
collect_multiplier(Multipliers *multipliers, MultiplierKind kind, char *name,
				   const JsonbValue *value)
{
	Numeric		factor;
	const char *problem = number_parse(value, &factor);

	if (problem == NULL)
		problem = rate_problem(factor);
	if (problem != NULL)
		return psprintf("the multiplier of %s %s", name, problem);
	if (multipliers->count == MAX_MULTIPLIERS)
		return "it has too many multipliers";
	multipliers->found[multipliers->count++] = (CollectedMultiplier) {kind, name, factor};
	return NULL;
}

/* Multipliers that have keys of their own in the entry */
static const char *
read_multiplier_keys(JsonbContainer *entry, Multipliers *multipliers)
{
	JsonbIterator *it = JsonbIteratorInit(entry);
	JsonbValue	key;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *text = pnstrdup(key.val.string.val, key.val.string.len);

		(void) JsonbIteratorNext(&it, &value, true);
		for (int i = 0; i < lengthof(multiplier_keys) && value.type != jbvNull; i++)
		{
			size_t		len = strlen(multiplier_keys[i].key);
			const char *name = multiplier_keys[i].name;
			const char *problem;

			if (strncmp(text, multiplier_keys[i].key, len) != 0 ||
				(name != NULL) != (text[len] == '\0'))
				continue;
			problem = collect_multiplier(multipliers, multiplier_keys[i].kind,
										 name != NULL ? pstrdup(name) : text + len, &value);
			if (problem != NULL)
				return problem;
		}
	}
	return NULL;
}

/* {"us": 1.1, "fast": 6.0}: regions and speeds; what is no number is something else */
static const char *
read_provider_specific(JsonbContainer *entry, Multipliers *multipliers)
{
	JsonbIterator *it;
	JsonbValue	key;
	JsonbValue	value;

	if (!jsonb_field(entry, "provider_specific_entry", &value) || value.type != jbvBinary ||
		!JsonContainerIsObject(value.val.binary.data))
		return NULL;
	it = JsonbIteratorInit(value.val.binary.data);
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *text = pnstrdup(key.val.string.val, key.val.string.len);
		MultiplierKind kind = MULTIPLIER_REGION;
		const char *problem;

		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type != jbvNumeric)
			continue;
		for (int i = 0; i < lengthof(speeds); i++)
		{
			if (strcmp(text, speeds[i]) == 0)
				kind = MULTIPLIER_SPEED;
		}
		problem = collect_multiplier(multipliers, kind, text, &value);
		if (problem != NULL)
			return problem;
	}
	return NULL;
}

/* By what regions and speeds are dearer, as a price has it, or NULL */
static const char *
read_multipliers(JsonbContainer *entry, Jsonb **document)
{
	Multipliers multipliers = {0};
	JsonbBuilder builder = {0};
	const char *problem = read_multiplier_keys(entry, &multipliers);

	*document = NULL;
	if (problem == NULL)
		problem = read_provider_specific(entry, &multipliers);
	if (problem != NULL || multipliers.count == 0)
		return problem;
	jsonb_begin_object(&builder);
	for (int kind = 0; kind < MULTIPLIER_KINDS; kind++)
	{
		bool		any = false;

		for (int i = 0; i < multipliers.count; i++)
		{
			if (multipliers.found[i].kind != kind)
				continue;
			if (!any)
			{
				jsonb_put_key(&builder, multiplier_name(kind));
				jsonb_begin_object(&builder);
			}
			any = true;
			jsonb_put_key(&builder, multipliers.found[i].name);
			jsonb_put_numeric(&builder, multipliers.found[i].factor, false);
		}
		if (any)
			jsonb_close(&builder, false);
	}
	jsonb_close(&builder, false);
	*document = jsonb_finish(&builder);
	return NULL;
}

/* What a search costs, at the usual size of its context */
static const char *
read_searches(JsonbContainer *entry, RateCollector *collector)
{
	static const char *const sizes[] = {
		"search_context_size_medium", "search_context_size_low", "search_context_size_high"
	};
	JsonbValue	value;
	JsonbValue	cost;

	if (!jsonb_field(entry, "search_context_cost_per_query", &value) ||
		value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		return NULL;
	for (int i = 0; i < lengthof(sizes); i++)
	{
		Numeric		rate;
		const char *problem;

		if (!jsonb_field(value.val.binary.data, sizes[i], &cost))
			continue;
		problem = number_parse(&cost, &rate);
		if (problem == NULL)
			problem = rate_problem(rate);
		if (problem != NULL)
			return psprintf("%s: %s", sizes[i], problem);
		collect_rate(collector, BUCKET_WEB_SEARCHES, -1, NULL, rate);
		return NULL;
	}
	return NULL;
}

/* ---------- tiered_pricing ---------- */

/* A limit of a range, or -1 where it has none */
static const char *
parse_limit(JsonbContainer *range, int i, int64 *limit)
{
	JsonbValue *value = getIthJsonbValueFromContainer(range, i);
	Numeric		number;
	Numeric		whole;

	*limit = -1;
	if (value == NULL || value->type == jbvNull)
		return NULL;
	if (number_parse(value, &number) != NULL ||
		DatumGetBool(DirectFunctionCall2(numeric_lt, NumericGetDatum(number),
										 NumericGetDatum(int64_to_numeric(0)))))
		return "tiered_pricing: the limit of a range is not a number";
	if (DatumGetBool(DirectFunctionCall2(numeric_gt, NumericGetDatum(number),
										 NumericGetDatum(int64_to_numeric(USAGE_MAX)))))
		return NULL;
	*limit = DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number)));
	whole = int64_to_numeric(*limit);
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(number),
										  NumericGetDatum(whole))))
		return "tiered_pricing: the limit of a range is not a whole number";
	return NULL;
}

/*
 * One tier.  Where it has no rate for a cache, its own input counts; where it
 * has one for output and none for thoughts, its output.  An hour in the cache is
 * dearer than any of these, so that no rate is made for it: what stands in for it
 * when a task is charged is in doubt.
 */
static void
put_tier(const RateCollector *tier, int64 above, RateCollector *collector)
{
	Numeric		input = collected_rate(tier, BUCKET_INPUT, -1, NULL);
	Numeric		output = collected_rate(tier, BUCKET_OUTPUT, -1, NULL);
	const struct
	{
		Bucket		bucket;
		Numeric		otherwise;
	}			fallbacks[] = {
		{BUCKET_CACHE_READ, input},
		{BUCKET_CACHE_WRITE_5M, input},
		{BUCKET_REASONING, output},
	};

	for (int i = 0; i < tier->count; i++)
	{
		if (tier->rates[i].above < 0 && tier->rates[i].service_tier == NULL)
			collect_rate(collector, tier->rates[i].bucket, above, NULL, tier->rates[i].rate);
	}
	for (int i = 0; i < lengthof(fallbacks); i++)
	{
		if (collected_rate(tier, fallbacks[i].bucket, -1, NULL) == NULL &&
			fallbacks[i].otherwise != NULL)
			collect_rate(collector, fallbacks[i].bucket, above, NULL, fallbacks[i].otherwise);
	}
}

/* The tiers that go before those in keys.  A tier is from above its range's first to its last. */
static const char *
read_tiered(JsonbContainer *entry, RateCollector *collector)
{
	JsonbValue	value;
	JsonbContainer *array;
	int64		last = 0;
	int64		first = -1;

	if (!jsonb_field(entry, "tiered_pricing", &value))
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		return "tiered_pricing: it is not an array";
	array = value.val.binary.data;
	if (JsonContainerSize(array) == 0)
		return NULL;
	collector_drop_context(collector);
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		JsonbValue	range;
		RateCollector tier = {0};
		int64		from;
		int64		to;
		const char *problem;

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data) ||
			!jsonb_field(element->val.binary.data, "range", &range) ||
			range.type != jbvBinary || !JsonContainerIsArray(range.val.binary.data))
			return "tiered_pricing: a tier has no range";
		problem = parse_limit(range.val.binary.data, 0, &from);
		if (problem == NULL)
			problem = parse_limit(range.val.binary.data, 1, &to);
		if (problem == NULL)
			problem = read_rates(element->val.binary.data, &tier);
		if (problem != NULL)
			return problem;
		if (from < 0 || (i > 0 && from != last) || (to >= 0 && to <= from))
			return "tiered_pricing: its ranges do not follow one another";
		put_tier(&tier, from, collector);
		if (i == 0)
			first = from;
		last = to;
	}

	/* what is not above anything is priced by the first tier, too, for what lacks */
	for (int i = 0; i < collector->count; i++)
	{
		CollectedRate collected = collector->rates[i];

		if (collected.above == first &&
			collected_rate(collector, collected.bucket, -1, NULL) == NULL)
			collect_rate(collector, collected.bucket, -1, NULL, collected.rate);
	}
	return NULL;
}

/* ---------- off_peak_pricing ---------- */

/* Days as numbers or as names, into numbers */
static const char *
put_weekdays(JsonbBuilder *builder, JsonbContainer *object)
{
	static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
	JsonbValue	value;
	JsonbContainer *array;

	if (!jsonb_field(object, "weekdays", &value))
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		return "off_peak_pricing: weekdays are not an array";
	array = value.val.binary.data;
	jsonb_put_key(builder, "weekdays");
	jsonb_begin_array(builder);
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		int			day = 0;

		if (element->type == jbvNumeric)
		{
			jsonb_put_numeric(builder, element->val.numeric, true);
			continue;
		}
		while (day < 7 && (element->type != jbvString || element->val.string.len < 3 ||
						   pg_strncasecmp(element->val.string.val, names[day], 3) != 0))
			day++;
		if (day == 7)
			return "off_peak_pricing: a weekday is neither a number nor a name";
		jsonb_put_numeric(builder, int64_to_numeric(day + 1), true);
	}
	jsonb_close(builder, true);
	return NULL;
}

/* One window, of hours like 16:30-00:30 */
static const char *
put_window(JsonbBuilder *builder, JsonbContainer *schedule, const JsonbValue *hours,
		   const char *zone, Jsonb *rates)
{
	char	   *from;
	char	   *to;
	const char *problem;

	if (hours->type != jbvString)
		return "off_peak_pricing: hours_utc is not a string";
	from = pnstrdup(hours->val.string.val, hours->val.string.len);
	to = strchr(from, '-');
	if (to == NULL)
		return psprintf("off_peak_pricing: hours_utc is \"%.50s\"", from);
	*to++ = '\0';

	jsonb_begin_object(builder);
	jsonb_put_key(builder, "from");
	jsonb_put_string(builder, name_normalize(from), false);
	jsonb_put_key(builder, "to");
	jsonb_put_string(builder, name_normalize(to), false);
	jsonb_put_key(builder, "time_zone");
	jsonb_put_string(builder, "UTC", false);
	problem = put_weekdays(builder, schedule);
	if (problem != NULL)
		return problem;
	if (zone != NULL)
	{
		jsonb_put_key(builder, "weekday_time_zone");
		jsonb_put_string(builder, zone, false);
	}
	jsonb_put_key(builder, "rates");
	jsonb_put_document(builder, rates, false);
	jsonb_close(builder, false);
	return NULL;
}

/* The windows of one schedule, whose hours are a string or several */
static const char *
put_schedule(JsonbBuilder *builder, JsonbContainer *schedule, const char *zone, Jsonb *rates)
{
	JsonbValue	hours;

	if (!jsonb_field(schedule, "hours_utc", &hours))
		return NULL;
	if (hours.type != jbvBinary || !JsonContainerIsArray(hours.val.binary.data))
		return put_window(builder, schedule, &hours, zone, rates);
	for (uint32 i = 0; i < JsonContainerSize(hours.val.binary.data); i++)
	{
		const char *problem = put_window(builder, schedule,
										 getIthJsonbValueFromContainer(hours.val.binary.data, i),
										 zone, rates);

		if (problem != NULL)
			return problem;
	}
	return NULL;
}

static const char *
read_off_peak(JsonbContainer *entry, Jsonb **windows)
{
	JsonbValue	value;
	JsonbValue	list;
	JsonbContainer *block;
	RateCollector collector = {0};
	JsonbBuilder builder = {0};
	char	   *zone;
	Jsonb	   *rates;
	const char *problem;

	*windows = NULL;
	if (!jsonb_field(entry, "off_peak_pricing", &value))
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		return "off_peak_pricing: it is not an object";
	block = value.val.binary.data;
	if (JsonContainerSize(block) == 0)
		return NULL;
	problem = read_rates(block, &collector);
	if (problem != NULL)
		return problem;
	rates = collector_rates(&collector);
	zone = jsonb_field_string(block, "weekday_timezone");

	jsonb_begin_array(&builder);
	problem = put_schedule(&builder, block, zone, rates);
	if (problem == NULL && jsonb_field(block, "windows", &list))
	{
		if (list.type != jbvBinary || !JsonContainerIsArray(list.val.binary.data))
			return "off_peak_pricing: windows are not an array";
		for (uint32 i = 0; i < JsonContainerSize(list.val.binary.data) && problem == NULL; i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(list.val.binary.data, i);

			if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
				return "off_peak_pricing: a window is not an object";
			problem = put_schedule(&builder, element->val.binary.data, zone, rates);
		}
	}
	if (problem != NULL)
		return problem;
	jsonb_close(&builder, true);
	*windows = jsonb_finish(&builder);
	return NULL;
}

/* ---------- entries ---------- */

/* The name without the provider in front, as an alias, or NULL */
static ArrayType *
bare_name(const char *model, const char *provider)
{
	const char *slash = strchr(model, '/');
	Datum		name;

	if (slash == NULL || slash[1] == '\0' ||
		!provider_is(pnstrdup(model, slash - model), provider_family(provider)))
		return NULL;
	name = CStringGetTextDatum(slash + 1);
	return construct_array(&name, 1, TEXTOID, -1, false, TYPALIGN_INT);
}

/* Returns what is wrong with an entry, or NULL */
static const char *
read_entry(JsonbContainer *entry, ImportItem *item, TimestampTz since)
{
	RateCollector collector = {0};
	bool		is_inclusive;
	Jsonb	   *windows;
	Jsonb	   *multipliers;
	Jsonb	   *content;
	const char *problem = read_rates(entry, &collector);

	if (problem == NULL)
		problem = read_searches(entry, &collector);
	if (problem == NULL)
		problem = read_tiered(entry, &collector);
	if (problem == NULL)
		problem = read_off_peak(entry, &windows);
	if (problem == NULL)
		problem = read_multipliers(entry, &multipliers);
	if (problem != NULL)
		return problem;
	if (collector.count == 0)
		return "it has no rate that is known here";

	is_inclusive = provider_is(item->entry.provider, "xai") &&
		!jsonb_field(entry, "tiered_pricing", &(JsonbValue) {0});
	content = price_content_make(bare_name(item->entry.model, item->entry.provider), NULL, NULL,
								 collector_rates(&collector),
								 collector_context_tiers(&collector, is_inclusive),
								 collector_service_tiers(&collector), windows, multipliers);
	problem = price_content_problem(content);
	if (problem == NULL)
		import_segment(item, since, content);
	return problem;
}

/* Read a list of LiteLLM's */
void
read_litellm(JsonbContainer *document, ImportList *list)
{
	JsonbIterator *it = JsonbIteratorInit(document);
	JsonbValue	key;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		char	   *model = pnstrdup(key.val.string.val, key.val.string.len);
		char	   *provider = NULL;
		ImportItem *item;

		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data))
			provider = jsonb_field_string(value.val.binary.data, "litellm_provider");
		item = import_add(list, provider == NULL ? "" : provider, model);
		if (strcmp(model, "sample_spec") == 0 || strcmp(model, "fallback_generalizations") == 0)
			item->skipped = "it is not a model";
		else if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			item->skipped = "it is not an object";
		else
		{
			item->entry.raw = JsonbValueToJsonb(&value);
			item->skipped = read_entry(value.val.binary.data, item, list->since);
		}
	}
}
