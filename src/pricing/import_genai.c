/*
 * import_genai.c
 *		The price list of genai-prices.
 *
 * An array of providers, each with models, match rules and prices in dollars
 * for a million tokens.  A rate is a number, or one with tiers of its own by
 * the length of the whole input.  A model's prices are an object, or several
 * with constraints, of which the last one that is met counts: a date that it
 * starts on, or hours of the day.  Dates become rows of their own, hours
 * windows of time.
 *
 * Nothing is locked, and nothing is refused: an entry that cannot be read is
 * handed on with the reason.
 */
#include "pricing/import.h"

#include "catalog/pg_type.h"
#include "json/jsonb_util.h"
#include "pricing/names.h"
#include "pricing/price_terms.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#define PER_MILLION		"0.000001"
#define PER_THOUSAND	"0.001"
#define MAX_PRICES		100

static const struct
{
	const char *key;
	Bucket		bucket;
	const char *factor;
}			price_keys[] = {
	{"input_mtok", BUCKET_INPUT, PER_MILLION},
	{"cache_read_mtok", BUCKET_CACHE_READ, PER_MILLION},
	{"cache_write_mtok", BUCKET_CACHE_WRITE_5M, PER_MILLION},
	{"output_mtok", BUCKET_OUTPUT, PER_MILLION},
	{"output_reasoning_mtok", BUCKET_REASONING, PER_MILLION},
	{"input_audio_mtok", BUCKET_INPUT_AUDIO, PER_MILLION},
	{"cache_audio_read_mtok", BUCKET_CACHE_READ_AUDIO, PER_MILLION},
	{"output_audio_mtok", BUCKET_OUTPUT_AUDIO, PER_MILLION},
	{"input_image_mtok", BUCKET_INPUT_IMAGE, PER_MILLION},
	{"output_image_mtok", BUCKET_OUTPUT_IMAGE, PER_MILLION},
	{"input_video_mtok", BUCKET_INPUT_VIDEO, PER_MILLION},
	{"output_video_mtok", BUCKET_OUTPUT_VIDEO, PER_MILLION},
	{"requests_kcount", BUCKET_REQUESTS, PER_THOUSAND},
};

/* One of a model's prices, and when it counts */
typedef struct DatedPrice
{
	RateCollector collector;
	bool		has_date;
	TimestampTz from;			/* where has_date */
	bool		has_hours;
	int			open;			/* minute of the day in UTC, where has_hours */
	int			close;
} DatedPrice;

/* ---------- rates ---------- */

static const char *
put_rate(RateCollector *collector, const char *key, Bucket bucket, const char *factor, int64 above,
		 const JsonbValue *value)
{
	Numeric		rate;
	const char *problem = number_parse(value, &rate);

	if (problem == NULL)
		problem = rate_problem(rate);
	if (problem != NULL)
		return psprintf("%s: %s", key, problem);
	collect_rate(collector, bucket, above, NULL, number_scale(rate, factor));
	return NULL;
}

/* A rate with tiers: {"base": rate, "tiers": [{"start": tokens, "price": rate}, ...]} */
static const char *
put_tiered_rate(RateCollector *collector, const char *key, Bucket bucket, const char *factor,
				JsonbContainer *object)
{
	JsonbValue	value;
	JsonbValue	list;
	const char *problem;

	if (!jsonb_field(object, "base", &value) || !jsonb_field(object, "tiers", &list) ||
		list.type != jbvBinary || !JsonContainerIsArray(list.val.binary.data))
		return psprintf("%s: it has not both a base and tiers", key);
	problem = put_rate(collector, key, bucket, factor, -1, &value);
	for (uint32 i = 0; i < JsonContainerSize(list.val.binary.data) && problem == NULL; i++)
	{
		JsonbValue *tier = getIthJsonbValueFromContainer(list.val.binary.data, i);
		JsonbValue	start;
		Numeric		threshold;
		Datum		number;
		int64		above;

		if (tier->type != jbvBinary || !JsonContainerIsObject(tier->val.binary.data) ||
			!jsonb_field(tier->val.binary.data, "start", &start) ||
			!jsonb_field(tier->val.binary.data, "price", &value) ||
			number_parse(&start, &threshold) != NULL)
			return psprintf("%s: a tier has not both a start and a price", key);
		number = NumericGetDatum(threshold);
		if (DatumGetBool(DirectFunctionCall2(numeric_lt, number,
											 NumericGetDatum(int64_to_numeric(0)))) ||
			DatumGetBool(DirectFunctionCall2(numeric_gt, number,
											 NumericGetDatum(int64_to_numeric(USAGE_MAX)))))
			return psprintf("%s: the start of a tier is out of range", key);
		above = DatumGetInt64(DirectFunctionCall1(numeric_int8, number));
		problem = put_rate(collector, key, bucket, factor, above, &value);
	}
	return problem;
}

/*
 * Each rate has tiers of its own, while a context tier of ours has them all:
 * where one rate has a threshold that another lacks, the other goes on with
 * that of its last one.
 */
static void
fill_tiers(RateCollector *collector)
{
	int			count = collector->count;

	for (int i = 0; i < count; i++)
	{
		int64		threshold = collector->rates[i].above;

		for (int j = 0; j < count && threshold >= 0; j++)
		{
			CollectedRate other = collector->rates[j];
			const CollectedRate *last = NULL;

			if (other.above >= 0 ||
				collected_rate(collector, other.bucket, threshold, NULL) != NULL)
				continue;
			for (int k = 0; k < count; k++)
			{
				const CollectedRate *collected = &collector->rates[k];

				if (collected->bucket == other.bucket && collected->above >= 0 &&
					collected->above < threshold &&
					(last == NULL || collected->above > last->above))
					last = collected;
			}
			if (last != NULL)
				collect_rate(collector, other.bucket, threshold, NULL, last->rate);
		}
	}
}

static const char *
read_prices(JsonbContainer *object, RateCollector *collector)
{
	for (int i = 0; i < lengthof(price_keys); i++)
	{
		JsonbValue	value;
		const char *problem;

		if (!jsonb_field(object, price_keys[i].key, &value))
			continue;
		if (value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data))
			problem = put_tiered_rate(collector, price_keys[i].key, price_keys[i].bucket,
									  price_keys[i].factor, value.val.binary.data);
		else
			problem = put_rate(collector, price_keys[i].key, price_keys[i].bucket,
							   price_keys[i].factor, -1, &value);
		if (problem != NULL)
			return problem;
	}
	fill_tiers(collector);
	return NULL;
}

/* ---------- constraints ---------- */

/* YYYY-MM-DD, the beginning of that day in UTC */
static bool
parse_date(const char *text, TimestampTz *time)
{
	int			y;
	int			m;
	int			d;
	int			end = 0;
	int			julian;
	int			yy;
	int			mm;
	int			dd;

	if (text == NULL || sscanf(text, "%4d-%2d-%2d%n", &y, &m, &d, &end) != 3 ||
		text[end] != '\0' || y < 1970 || m < 1 || m > 12 || d < 1 || d > 31)
		return false;
	julian = date2j(y, m, d);
	j2date(julian, &yy, &mm, &dd);
	*time = (TimestampTz) (julian - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	return yy == y && mm == m && dd == d;
}

/* HH:MM:SS with Z or a zone's offset, as a minute of the day in UTC */
static bool
parse_minute(const char *text, int *minute)
{
	int			h;
	int			m;
	int			s;
	int			zone_h = 0;
	int			zone_m = 0;
	int			end = 0;
	int			more = 0;
	int			sign = 0;

	if (text == NULL || sscanf(text, "%2d:%2d:%2d%n", &h, &m, &s, &end) != 3 ||
		h < 0 || h > 23 || m < 0 || m > 59 || s != 0)
		return false;
	text += end;
	if (*text == '+' || *text == '-')
	{
		sign = *text == '+' ? 1 : -1;
		if (sscanf(text + 1, "%2d:%2d%n", &zone_h, &zone_m, &more) != 2 ||
			text[1 + more] != '\0' || zone_h > 15 || zone_m > 59)
			return false;
	}
	else if (strcmp(text, "Z") != 0 && *text != '\0')
		return false;
	*minute = ((h * 60 + m - sign * (zone_h * 60 + zone_m)) % 1440 + 1440) % 1440;
	return true;
}

static const char *
read_constraint(JsonbContainer *object, DatedPrice *price)
{
	JsonbValue	value;

	if (jsonb_field(object, "start_date", &value))
	{
		if (!parse_date(jsonb_field_string(object, "start_date"), &price->from))
			return "constraint: start_date is not a date";
		price->has_date = true;
	}
	else if (jsonb_field(object, "start_time", &value))
	{
		if (!parse_minute(jsonb_field_string(object, "start_time"), &price->open) ||
			!parse_minute(jsonb_field_string(object, "end_time"), &price->close))
			return "constraint: start_time and end_time are not both times of day";
		price->has_hours = true;
	}
	else
		return "constraint: it is neither a date nor hours";
	return NULL;
}

/* ---------- models ---------- */

/*
 * A price for certain hours stands for itself alone: where the one for the
 * other hours has a rate that it lacks, the rate that stands in for it counts.
 */
static Jsonb *
window_rates(const RateCollector *hours, const RateCollector *otherwise)
{
	RateCollector filled = *hours;
	PriceColumns columns = {collector_rates(hours)};
	PriceTerms	terms;

	filled.rates = palloc_array(CollectedRate, Max(hours->capacity, 1));
	memcpy(filled.rates, hours->rates, hours->count * sizeof(CollectedRate));
	if (price_parse(&columns, &terms) == NULL)
	{
		for (int i = 0; i < otherwise->count; i++)
		{
			Bucket		bucket = otherwise->rates[i].bucket;
			FoundRate	found;

			if (collected_rate(&filled, bucket, -1, NULL) == NULL &&
				price_rate(&terms, NULL, 0, NULL, bucket, &found))
				collect_rate(&filled, bucket, -1, NULL, found.rate);
		}
	}
	return collector_rates(&filled);
}

static void
put_clock(JsonbBuilder *builder, const char *key, int minute)
{
	jsonb_put_key(builder, key);
	jsonb_put_string(builder, psprintf("%02d:%02d", minute / 60, minute % 60), false);
}

/* The windows before the price that counts at other hours, the last one first */
static Jsonb *
make_windows(const DatedPrice *prices, int count, int base, TimestampTz from, bool is_inclusive)
{
	JsonbBuilder builder = {0};
	bool		any = false;

	jsonb_begin_array(&builder);
	for (int i = count - 1; i > base; i--)
	{
		Jsonb	   *tiers;

		if (!prices[i].has_hours)
			continue;
		any = true;
		jsonb_begin_object(&builder);
		put_clock(&builder, "from", prices[i].open);
		put_clock(&builder, "to", prices[i].close);
		jsonb_put_key(&builder, "time_zone");
		jsonb_put_string(&builder, "UTC", false);
		jsonb_put_key(&builder, "rates");
		jsonb_put_document(&builder,
						   window_rates(&prices[i].collector, &prices[base].collector), false);
		tiers = collector_context_tiers(&prices[i].collector, is_inclusive);
		if (tiers != NULL)
		{
			jsonb_put_key(&builder, "context_tiers");
			jsonb_put_document(&builder, tiers, false);
		}
		jsonb_close(&builder, false);
	}
	jsonb_close(&builder, true);
	return any ? jsonb_finish(&builder) : NULL;
}

/* Is the rule {"equals": name}, and not of the model's own name? */
static bool
pattern_equals(JsonbContainer *rule, const char *model, char **name)
{
	if (!JsonContainerIsObject(rule) || JsonContainerSize(rule) != 1)
		return false;
	*name = jsonb_field_string(rule, "equals");
	return *name != NULL;
}

/*
 * A model's rule as aliases, which are found at once, and a rule for the rest.
 */
static void
split_pattern(JsonbContainer *match, const char *model, ArrayType **aliases, Jsonb **rule)
{
	JsonbValue	list;
	Datum	   *names;
	int			name_count = 0;
	int			rest = 0;
	JsonbBuilder builder = {0};
	char	   *name;

	*aliases = NULL;
	*rule = NULL;
	if (pattern_equals(match, model, &name))
	{
		Datum		only = CStringGetTextDatum(name);

		if (strcmp(name, model) != 0)
			*aliases = construct_array(&only, 1, TEXTOID, -1, false, TYPALIGN_INT);
		return;
	}
	if (!JsonContainerIsObject(match) || JsonContainerSize(match) != 1 ||
		!jsonb_field(match, "or", &list) || list.type != jbvBinary ||
		!JsonContainerIsArray(list.val.binary.data))
	{
		JsonbInState state = {0};
		JsonbIterator *it = JsonbIteratorInit(match);
		JsonbIteratorToken token;
		JsonbValue	value;

		while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
			push_jsonb(&state, token, token == WJB_KEY || token == WJB_VALUE ||
					   token == WJB_ELEM ? &value : NULL);
		*rule = JsonbValueToJsonb(state.result);
		return;
	}

	names = palloc_array(Datum, Max(JsonContainerSize(list.val.binary.data), 1));
	jsonb_begin_object(&builder);
	jsonb_put_key(&builder, "or");
	jsonb_begin_array(&builder);
	for (uint32 i = 0; i < JsonContainerSize(list.val.binary.data); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(list.val.binary.data, i);

		if (element->type == jbvBinary && pattern_equals(element->val.binary.data, model, &name))
		{
			if (strcmp(name, model) != 0)
				names[name_count++] = CStringGetTextDatum(name);
			continue;
		}
		rest++;
		if (element->type == jbvBinary)
			jsonb_put_document(&builder, JsonbValueToJsonb(element), true);
		else
			jsonb_put_string(&builder, NULL, true);
	}
	jsonb_close(&builder, true);
	jsonb_close(&builder, false);
	if (name_count > 0)
		*aliases = construct_array(names, name_count, TEXTOID, -1, false, TYPALIGN_INT);
	if (rest > 0)
		*rule = jsonb_finish(&builder);
}

/* Takes the prices that have a constraint, or the one that has none */
static const char *
read_dated_prices(const JsonbValue *value, DatedPrice **result, int *count)
{
	DatedPrice *prices;

	if (value->type != jbvBinary)
		return "prices: they are neither an object nor an array";
	if (JsonContainerIsObject(value->val.binary.data))
	{
		*result = palloc0_object(DatedPrice);
		*count = 1;
		return read_prices(value->val.binary.data, &(*result)->collector);
	}
	*count = JsonContainerSize(value->val.binary.data);
	if (*count > MAX_PRICES)
		return psprintf("prices: there are more than %d", MAX_PRICES);
	*result = prices = palloc0_array(DatedPrice, Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(value->val.binary.data, i);
		JsonbValue	part;
		const char *problem = NULL;

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
			return "prices: one of them is not an object";
		if (jsonb_field(element->val.binary.data, "constraint", &part))
			problem = part.type != jbvBinary || !JsonContainerIsObject(part.val.binary.data) ?
				"constraint: it is not an object" :
				read_constraint(part.val.binary.data, &prices[i]);
		if (problem != NULL)
			return problem;
		if (!jsonb_field(element->val.binary.data, "prices", &part) ||
			part.type != jbvBinary || !JsonContainerIsObject(part.val.binary.data))
			return "prices: one of them has none";
		problem = read_prices(part.val.binary.data, &prices[i].collector);
		if (problem != NULL)
			return problem;
	}
	return NULL;
}

/* The price that counts from a time on, at hours that no other has; or -1 */
static int
price_at(const DatedPrice *prices, int count, TimestampTz time)
{
	for (int i = count - 1; i >= 0; i--)
	{
		if (!prices[i].has_hours && (!prices[i].has_date || prices[i].from <= time))
			return i;
	}
	return -1;
}

static int
time_order(const void *a, const void *b)
{
	TimestampTz x = *(const TimestampTz *) a;
	TimestampTz y = *(const TimestampTz *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

/* Returns what is wrong with a model, or NULL */
static const char *
read_model(JsonbContainer *model, const char *provider, Jsonb *about, ImportItem *item,
		   TimestampTz since)
{
	JsonbValue	value;
	JsonbValue	match;
	DatedPrice *prices = NULL;
	int			count = 0;
	TimestampTz *times;
	int			time_count = 0;
	bool		is_inclusive = provider_is(provider, "xai");
	ArrayType  *aliases = NULL;
	Jsonb	   *rule = NULL;
	const char *problem;

	if (!jsonb_field(model, "prices", &value))
		return "it has no prices";
	problem = read_dated_prices(&value, &prices, &count);
	if (problem != NULL)
		return problem;
	if (jsonb_field(model, "match", &match) && match.type == jbvBinary)
		split_pattern(match.val.binary.data, item->entry.model, &aliases, &rule);

	times = palloc_array(TimestampTz, count + 1);
	times[time_count++] = since;
	for (int i = 0; i < count; i++)
	{
		if (prices[i].has_date && prices[i].from > since)
			times[time_count++] = prices[i].from;
	}
	qsort(times, time_count, sizeof(TimestampTz), time_order);

	for (int i = 0; i < time_count; i++)
	{
		int			base = price_at(prices, count, times[i]);
		Jsonb	   *content = NULL;

		if (base >= 0 && prices[base].collector.count > 0)
		{
			const RateCollector *collector = &prices[base].collector;

			content = price_content_make(aliases, rule, about, collector_rates(collector),
										 collector_context_tiers(collector, is_inclusive), NULL,
										 make_windows(prices, count, base, times[i],
													  is_inclusive), NULL);
			problem = price_content_problem(content);
			if (problem != NULL)
				return problem;
		}
		import_segment(item, times[i], content);
	}
	for (int i = 0; i < item->entry.segment_count; i++)
	{
		if (item->entry.segments[i].content != NULL)
			return NULL;
	}
	return "it has no rate that is known here";
}

/* What the list says of a provider, for each of its prices; or NULL */
static Jsonb *
read_provider(JsonbContainer *provider)
{
	static const char *const keys[][2] = {
		{"provider_match", "names"}, {"model_match", "models"},
		{"fallback_model_providers", "fallback"}
	};
	JsonbBuilder builder = {0};
	bool		any = false;

	jsonb_begin_object(&builder);
	for (int i = 0; i < lengthof(keys); i++)
	{
		JsonbValue	value;

		if (!jsonb_field(provider, keys[i][0], &value) || value.type != jbvBinary)
			continue;
		jsonb_put_key(&builder, keys[i][1]);
		jsonb_put_document(&builder, JsonbValueToJsonb(&value), false);
		any = true;
	}
	jsonb_close(&builder, false);
	return any ? jsonb_finish(&builder) : NULL;
}

/* Read a list of genai-prices */
void
read_genai(JsonbContainer *providers, ImportList *list)
{
	for (uint32 i = 0; i < JsonContainerSize(providers); i++)
	{
		JsonbValue *provider = getIthJsonbValueFromContainer(providers, i);
		JsonbContainer *object;
		JsonbValue	models;
		Jsonb	   *about;
		char	   *name;

		if (provider->type != jbvBinary || !JsonContainerIsObject(provider->val.binary.data))
		{
			import_add(list, "", "")->skipped = "it is not a provider";
			continue;
		}
		object = provider->val.binary.data;
		name = jsonb_field_string(object, "id");
		if (name == NULL || !jsonb_field(object, "models", &models) ||
			models.type != jbvBinary || !JsonContainerIsArray(models.val.binary.data))
		{
			import_add(list, name == NULL ? "" : name, "")->skipped =
				"the provider has not both an id and models";
			continue;
		}
		about = read_provider(object);
		for (uint32 m = 0; m < JsonContainerSize(models.val.binary.data); m++)
		{
			JsonbValue *model = getIthJsonbValueFromContainer(models.val.binary.data, m);
			char	   *id = NULL;
			ImportItem *item;

			if (model->type == jbvBinary && JsonContainerIsObject(model->val.binary.data))
				id = jsonb_field_string(model->val.binary.data, "id");
			item = import_add(list, name, id == NULL ? "" : id);
			if (id == NULL || id[0] == '\0')
				item->skipped = "it has no id";
			else
			{
				item->entry.raw = JsonbValueToJsonb(model);
				item->skipped = read_model(model->val.binary.data, name, about, item,
										   list->since);
			}
		}
	}
}
