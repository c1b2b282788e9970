/*
 * price_terms.c
 *		What one price says: rates, tiers, windows of time and multipliers.
 *
 * The terms of a price are five columns of jsonb.  They are taken apart by one
 * parser that never raises an error over what they say: it returns what is wrong,
 * so that airun_set_price() can refuse it, an import can skip it, and a lookup can
 * do without a price that somebody has broken by hand.
 *
 * A rate is looked for in this order; what is found first counts.
 *
 *	1. the bucket's own rate, then those of the buckets that stand in for it:
 *	   a cache write of an hour, one of five minutes, then input; cached audio,
 *	   the cache, audio, then input; thoughts, audio or images, then output;
 *	   and text of a model that has no price for text, images, then audio.
 *	2. for each of them, the window of time that is open, then the other rates;
 *	3. there, the context tier, then the rates without one;
 *	4. there, the service tier, then the rates without one.
 *
 * The context tier is the highest that the whole input exceeds, cached tokens
 * included; it then counts for every token of the request, output as well.
 *
 * What tokens cost is multiplied where the region or the speed says so.
 *
 * These columns, with aliases and name patterns, are also kept as one object,
 * the price's content, by which periods are compared.
 *
 * Nothing is locked.
 */
#include "pricing/price_terms.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "json/jsonb_util.h"
#include "pricing/name_pattern.h"
#include "pricing/names.h"
#include "pricing/served.h"
#include "store/args.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* The highest rate, and the finest */
#define MAX_RATE	INT64CONST(1000000)
#define MAX_SCALE	30

#define MAX_TIERS	100
#define EVERY_DAY	0xfe

/* The buckets whose rate counts where a bucket has none of its own, in order */
static const struct
{
	Bucket		bucket;
	int			count;
	Bucket		instead[3];
}			substitutes[] = {
	{BUCKET_INPUT, 2, {BUCKET_INPUT_IMAGE, BUCKET_INPUT_AUDIO}},
	{BUCKET_CACHE_READ, 1, {BUCKET_INPUT}},
	{BUCKET_CACHE_WRITE_5M, 1, {BUCKET_INPUT}},
	{BUCKET_CACHE_WRITE_1H, 2, {BUCKET_CACHE_WRITE_5M, BUCKET_INPUT}},
	{BUCKET_INPUT_AUDIO, 1, {BUCKET_INPUT}},
	{BUCKET_CACHE_READ_AUDIO, 3, {BUCKET_CACHE_READ, BUCKET_INPUT_AUDIO, BUCKET_INPUT}},
	{BUCKET_INPUT_IMAGE, 1, {BUCKET_INPUT}},
	{BUCKET_CACHE_READ_IMAGE, 3, {BUCKET_CACHE_READ, BUCKET_INPUT_IMAGE, BUCKET_INPUT}},
	{BUCKET_INPUT_VIDEO, 1, {BUCKET_INPUT}},
	{BUCKET_OUTPUT, 2, {BUCKET_OUTPUT_IMAGE, BUCKET_OUTPUT_AUDIO}},
	{BUCKET_REASONING, 1, {BUCKET_OUTPUT}},
	{BUCKET_OUTPUT_AUDIO, 1, {BUCKET_OUTPUT}},
	{BUCKET_OUTPUT_IMAGE, 1, {BUCKET_OUTPUT}},
	{BUCKET_OUTPUT_VIDEO, 1, {BUCKET_OUTPUT}},
};

/* ---------- parsing ---------- */

/* A key of an object, as far as a message shows it */
static char *
key_text(const JsonbValue *key)
{
	return pnstrdup(key->val.string.val, Min(key->val.string.len, 100));
}

static Datum
number_datum(int64 number)
{
	return NumericGetDatum(int64_to_numeric(number));
}

/* Is a value this number? */
static bool
is_number(const JsonbValue *value, int64 number)
{
	return value->type == jbvNumeric &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(value->val.numeric),
										 number_datum(number)));
}

/* What is wrong with a rate, or NULL */
const char *
rate_problem(Numeric rate)
{
	Datum		value = NumericGetDatum(rate);

	if (numeric_is_nan(rate) || numeric_is_inf(rate))
		return "it is not a finite number";
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, value, number_datum(0))))
		return "it is negative";
	if (DatumGetBool(DirectFunctionCall2(numeric_gt, value, number_datum(MAX_RATE))))
		return psprintf("it is more than " INT64_FORMAT, MAX_RATE);
	if (DatumGetInt32(DirectFunctionCall1(numeric_min_scale, value)) > MAX_SCALE)
		return psprintf("it has more than %d decimal places", MAX_SCALE);
	return NULL;
}

static const char *
parse_rates(JsonbContainer *object, Rates *rates)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;

	memset(rates, 0, sizeof(Rates));
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		Bucket		bucket;
		const char *problem;

		(void) JsonbIteratorNext(&it, &value, true);
		if (!bucket_from_name(key.val.string.val, key.val.string.len, &bucket))
			return psprintf("\"%s\" is no bucket", key_text(&key));
		if (value.type != jbvNumeric)
			return psprintf("the rate of \"%s\" is not a number", bucket_name(bucket));
		problem = rate_problem(value.val.numeric);
		if (problem != NULL)
			return psprintf("the rate of \"%s\" is out of range: %s", bucket_name(bucket),
							problem);
		rates->rate[bucket] = DatumGetNumericCopy(NumericGetDatum(value.val.numeric));
	}
	return NULL;
}

/* {"flex": {bucket: rate, ...}, ...} */
static const char *
parse_service_tiers(JsonbContainer *object, RateSet *set)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &key, true);
	set->service_tiers = palloc0_array(ServiceTier, Max(JsonContainerSize(object), 1));
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		ServiceTier *tier = &set->service_tiers[set->service_tier_count];
		const char *problem;

		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			return psprintf("the service tier \"%s\" is not an object of rates",
							key_text(&key));
		problem = parse_rates(value.val.binary.data, &tier->rates);
		if (problem != NULL)
			return psprintf("in the service tier \"%s\", %s", key_text(&key), problem);
		tier->name = service_tier_word(key_text(&key));
		if (tier->name == NULL)
			return psprintf("\"%s\" is the service without a tier", key_text(&key));
		set->service_tier_count++;
	}
	return NULL;
}

/* The object of rates, and that of service tiers, in a tier or a window */
static const char *
parse_rate_set(JsonbContainer *object, RateSet *set)
{
	JsonbValue	value;
	const char *problem;

	if (!jsonb_field(object, "rates", &value) || value.type != jbvBinary ||
		!JsonContainerIsObject(value.val.binary.data))
		return "\"rates\" is not an object";
	problem = parse_rates(value.val.binary.data, &set->rates);
	if (problem != NULL)
		return problem;
	if (!jsonb_field(object, "service_tiers", &value))
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		return "\"service_tiers\" is not an object";
	return parse_service_tiers(value.val.binary.data, set);
}

/* What an object may have, and nothing else; the last one is NULL */
static const char *
check_keys(JsonbContainer *object, const char *const *known)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		const char *const *name = known;

		(void) JsonbIteratorNext(&it, &value, true);
		while (*name != NULL && (strlen(*name) != key.val.string.len ||
								 memcmp(*name, key.val.string.val, key.val.string.len) != 0))
			name++;
		if (*name == NULL)
			return psprintf("\"%s\" means nothing there", key_text(&key));
	}
	return NULL;
}

static int
tier_order(const void *a, const void *b)
{
	int64		x = ((const ContextTier *) a)->above;
	int64		y = ((const ContextTier *) b)->above;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* A tier's threshold: {"above": n} is more than n tokens, {"from": n} n or more */
static const char *
parse_threshold(JsonbContainer *object, int64 *above)
{
	JsonbValue	value;
	JsonbValue	from;
	bool		has_above = jsonb_field(object, "above", &value);
	bool		has_from = jsonb_field(object, "from", &from);
	Datum		number;

	if (has_above == has_from)
		return "it needs either \"above\" or \"from\"";
	if (has_from)
		value = from;
	if (value.type != jbvNumeric)
		return "the threshold is not a number";
	number = NumericGetDatum(value.val.numeric);
	if (DatumGetBool(DirectFunctionCall2(numeric_lt, number, number_datum(0))) ||
		DatumGetBool(DirectFunctionCall2(numeric_gt, number, number_datum(USAGE_MAX))))
		return "the threshold is out of range";
	*above = DatumGetInt64(DirectFunctionCall1(numeric_int8, number)) - (has_from ? 1 : 0);
	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, number,
										  number_datum(*above + (has_from ? 1 : 0)))))
		return "the threshold is not a whole number";
	return NULL;
}

static const char *
parse_context_tiers(JsonbContainer *array, TieredRates *rates)
{
	static const char *const known[] = {"above", "from", "rates", "service_tiers", NULL};
	uint32		count = JsonContainerSize(array);

	if (count > MAX_TIERS)
		return psprintf("there are more than %d context tiers", MAX_TIERS);
	rates->context_tiers = palloc0_array(ContextTier, Max(count, 1));
	rates->context_tier_count = count;
	for (uint32 i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		ContextTier *tier = &rates->context_tiers[i];
		const char *problem;

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
			return "a context tier is not an object";
		problem = check_keys(element->val.binary.data, known);
		if (problem == NULL)
			problem = parse_threshold(element->val.binary.data, &tier->above);
		if (problem == NULL)
			problem = parse_rate_set(element->val.binary.data, &tier->set);
		if (problem != NULL)
			return psprintf("in a context tier, %s", problem);
	}
	qsort(rates->context_tiers, count, sizeof(ContextTier), tier_order);
	for (uint32 i = 1; i < count; i++)
	{
		if (rates->context_tiers[i].above == rates->context_tiers[i - 1].above)
			return "two context tiers have the same threshold";
	}
	return NULL;
}

/* HH:MM or HH:MM:SS, up to 24:00, as seconds */
static bool
parse_clock(const char *text, int *seconds)
{
	int			h;
	int			m;
	int			s = 0;
	int			end = 0;

	if (text == NULL || !isdigit((unsigned char) text[0]))
		return false;
	if (sscanf(text, "%2d:%2d%n", &h, &m, &end) != 2 || end == 0)
		return false;
	if (text[end] == ':')
	{
		int			more = 0;

		if (sscanf(text + end, ":%2d%n", &s, &more) != 1 || more == 0)
			return false;
		end += more;
	}
	if (text[end] != '\0' || h < 0 || m < 0 || s < 0 || m > 59 || s > 59 ||
		h * 3600 + m * 60 + s > SECS_PER_DAY)
		return false;
	*seconds = h * 3600 + m * 60 + s;
	return true;
}

static const char *
parse_weekdays(JsonbContainer *object, TimeWindow *window)
{
	JsonbValue	value;
	JsonbContainer *array;

	window->weekdays = EVERY_DAY;
	if (!jsonb_field(object, "weekdays", &value))
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		return "\"weekdays\" is not an array";
	array = value.val.binary.data;
	window->weekdays = 0;
	for (uint32 i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		int			day = 1;

		while (day <= 7 && !is_number(element, day))
			day++;
		if (day > 7)
			return "a weekday is a number from 1, Monday, to 7, Sunday";
		window->weekdays |= 1 << day;
	}
	return NULL;
}

static const char *
parse_zone(JsonbContainer *object, const char *key, pg_tz **zone)
{
	JsonbValue	value;
	char	   *name = jsonb_field_string(object, key);

	if (name == NULL)
		return jsonb_field(object, key, &value) ?
			psprintf("\"%s\" is not a string", key) : NULL;
	*zone = time_zone(name);
	if (*zone == NULL)
		return psprintf("time zone \"%.100s\" is not known", name);
	return NULL;
}

static const char *
parse_window(JsonbContainer *object, TimeWindow *window)
{
	static const char *const known[] = {
		"from", "to", "time_zone", "weekdays", "weekday_time_zone", "rates", "context_tiers",
		"service_tiers", NULL
	};
	char	   *from = jsonb_field_string(object, "from");
	char	   *to = jsonb_field_string(object, "to");
	JsonbValue	value;
	const char *problem = check_keys(object, known);

	if (problem != NULL)
		return problem;
	if (!parse_clock(from, &window->from) || !parse_clock(to, &window->to))
		return "\"from\" and \"to\" are not both times of day, HH:MM";

	window->zone = pg_tzset("UTC");
	problem = parse_zone(object, "time_zone", &window->zone);
	window->weekday_zone = window->zone;
	if (problem == NULL)
		problem = parse_zone(object, "weekday_time_zone", &window->weekday_zone);
	if (problem == NULL)
		problem = parse_weekdays(object, window);
	if (problem == NULL)
		problem = parse_rate_set(object, &window->rates.base);
	if (problem != NULL)
		return problem;
	window->label = psprintf("%s-%s %s", from, to, pg_get_timezone_name(window->zone));

	if (!jsonb_field(object, "context_tiers", &value))
		return NULL;
	if (value.type != jbvBinary || !JsonContainerIsArray(value.val.binary.data))
		return "\"context_tiers\" is not an array";
	return parse_context_tiers(value.val.binary.data, &window->rates);
}

static const char *
parse_windows(JsonbContainer *array, PriceTerms *terms)
{
	uint32		count = JsonContainerSize(array);

	if (count > MAX_TIERS)
		return psprintf("there are more than %d windows of time", MAX_TIERS);
	terms->windows = palloc0_array(TimeWindow, Max(count, 1));
	terms->window_count = count;
	for (uint32 i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);
		const char *problem;

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
			return "a window of time is not an object";
		problem = parse_window(element->val.binary.data, &terms->windows[i]);
		if (problem != NULL)
			return psprintf("in a window of time, %s", problem);
	}
	return NULL;
}

static const char *const multiplier_names[MULTIPLIER_KINDS] = {
	[MULTIPLIER_REGION] = "region",
	[MULTIPLIER_SPEED] = "speed",
};

/* What a kind is called, in a price and in the details of a cost */
const char *
multiplier_name(MultiplierKind kind)
{
	return multiplier_names[kind];
}

/* {"us": 1.1, ...}, of one kind */
static const char *
parse_multipliers_of(JsonbContainer *object, MultiplierKind kind, PriceTerms *terms)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;

	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		const char *problem;

		(void) JsonbIteratorNext(&it, &value, true);
		if (value.type != jbvNumeric)
			return psprintf("the multiplier \"%s\" is not a number", key_text(&key));
		problem = rate_problem(value.val.numeric);
		if (problem != NULL)
			return psprintf("the multiplier \"%s\" is out of range: %s", key_text(&key), problem);
		terms->multipliers[terms->multiplier_count++] = (Multiplier) {
			kind, name_normalize(key_text(&key)),
			DatumGetNumericCopy(NumericGetDatum(value.val.numeric))
		};
	}
	return NULL;
}

/* {"region": {"us": 1.1}, "speed": {"fast": 6}} */
static const char *
parse_multipliers(JsonbContainer *object, PriceTerms *terms)
{
	static const char *const known[] = {"region", "speed", NULL};
	const char *problem = check_keys(object, known);
	JsonbValue	values[MULTIPLIER_KINDS];
	bool		is_there[MULTIPLIER_KINDS];
	int			count = 0;

	if (problem != NULL)
		return problem;
	for (int kind = 0; kind < MULTIPLIER_KINDS; kind++)
	{
		is_there[kind] = jsonb_field(object, multiplier_names[kind], &values[kind]);
		if (!is_there[kind])
			continue;
		if (values[kind].type != jbvBinary ||
			!JsonContainerIsObject(values[kind].val.binary.data))
			return psprintf("\"%s\" is not an object of numbers", multiplier_names[kind]);
		count += JsonContainerSize(values[kind].val.binary.data);
	}
	if (count > MAX_TIERS)
		return psprintf("there are more than %d multipliers", MAX_TIERS);
	terms->multipliers = palloc0_array(Multiplier, Max(count, 1));
	for (int kind = 0; kind < MULTIPLIER_KINDS && problem == NULL; kind++)
	{
		if (is_there[kind])
			problem = parse_multipliers_of(values[kind].val.binary.data, kind, terms);
	}
	return problem;
}

/*
 * Take a price apart, into the current memory context.  Returns what is wrong
 * with it, or NULL.
 */
const char *
price_parse(const PriceColumns *columns, PriceTerms *terms)
{
	const char *problem;

	memset(terms, 0, sizeof(PriceTerms));
	if (columns->rates == NULL || !JB_ROOT_IS_OBJECT(columns->rates))
		return "the rates are not an object";
	problem = parse_rates(&columns->rates->root, &terms->rates.base.rates);
	if (problem != NULL)
		return problem;
	if (columns->service_tiers != NULL)
	{
		if (!JB_ROOT_IS_OBJECT(columns->service_tiers))
			return "the service tiers are not an object";
		problem = parse_service_tiers(&columns->service_tiers->root, &terms->rates.base);
		if (problem != NULL)
			return problem;
	}
	if (columns->context_tiers != NULL)
	{
		if (!JB_ROOT_IS_ARRAY(columns->context_tiers) || JB_ROOT_IS_SCALAR(columns->context_tiers))
			return "the context tiers are not an array";
		problem = parse_context_tiers(&columns->context_tiers->root, &terms->rates);
		if (problem != NULL)
			return problem;
	}
	if (columns->time_windows != NULL)
	{
		if (!JB_ROOT_IS_ARRAY(columns->time_windows) || JB_ROOT_IS_SCALAR(columns->time_windows))
			return "the windows of time are not an array";
		problem = parse_windows(&columns->time_windows->root, terms);
		if (problem != NULL)
			return problem;
	}
	if (columns->multipliers != NULL)
	{
		if (!JB_ROOT_IS_OBJECT(columns->multipliers))
			return "the multipliers are not an object";
		return parse_multipliers(&columns->multipliers->root, terms);
	}
	return NULL;
}

/* ---------- rates ---------- */

/* Is the window open at that moment?  Its end does not belong to it. */
static bool
window_is_open(const TimeWindow *window, TimestampTz at)
{
	pg_time_t	moment = timestamptz_to_time_t(at);
	struct pg_tm *local;
	int			second;
	int			weekday;

	local = pg_localtime(&moment, window->weekday_zone);
	if (local == NULL)
		return false;
	weekday = local->tm_wday == 0 ? 7 : local->tm_wday;
	if ((window->weekdays & (1 << weekday)) == 0)
		return false;

	local = pg_localtime(&moment, window->zone);
	if (local == NULL)
		return false;
	second = local->tm_hour * SECS_PER_HOUR + local->tm_min * SECS_PER_MINUTE + local->tm_sec;
	if (window->from % SECS_PER_DAY == window->to % SECS_PER_DAY)
		return true;
	if (window->from < window->to)
		return window->from <= second && second < window->to;
	return window->from <= second || second < window->to;
}

/* The first window of the price that is open at that moment, or NULL */
const TimeWindow *
price_window(const PriceTerms *terms, TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at))
		return NULL;
	for (int i = 0; i < terms->window_count; i++)
	{
		if (window_is_open(&terms->windows[i], at))
			return &terms->windows[i];
	}
	return NULL;
}

static Numeric
set_rate(const RateSet *set, const char *service_tier, Bucket bucket, FoundRate *found)
{
	if (service_tier != NULL)
	{
		for (int i = 0; i < set->service_tier_count; i++)
		{
			const ServiceTier *tier = &set->service_tiers[i];

			if (strcmp(tier->name, service_tier) == 0 && tier->rates.rate[bucket] != NULL)
			{
				found->service_tier = tier->name;
				return tier->rates.rate[bucket];
			}
		}
	}
	found->service_tier = NULL;
	return set->rates.rate[bucket];
}

static bool
tiered_rate(const TieredRates *rates, int64 input_tokens, const char *service_tier,
			Bucket bucket, FoundRate *found)
{
	found->rate = NULL;
	for (int i = 0; i < rates->context_tier_count; i++)
	{
		if (input_tokens > rates->context_tiers[i].above)
		{
			found->above = rates->context_tiers[i].above;
			found->rate = set_rate(&rates->context_tiers[i].set, service_tier, bucket, found);
			break;
		}
	}
	if (found->rate == NULL)
	{
		found->above = -1;
		found->rate = set_rate(&rates->base, service_tier, bucket, found);
	}
	return found->rate != NULL;
}

/*
 * The rate of a bucket, by the order at the head of this file.
 * service_tier: as service_tier_word() returns it.
 */
bool
price_rate(const PriceTerms *terms, const TimeWindow *window, int64 input_tokens,
		   const char *service_tier, Bucket bucket, FoundRate *found)
{
	Bucket		candidates[4] = {bucket};
	int			count = 1;

	for (int i = 0; i < lengthof(substitutes); i++)
	{
		if (substitutes[i].bucket != bucket)
			continue;
		for (int j = 0; j < substitutes[i].count; j++)
			candidates[count++] = substitutes[i].instead[j];
	}

	for (int i = 0; i < count; i++)
	{
		found->bucket = candidates[i];
		found->window = window;
		if (window != NULL &&
			tiered_rate(&window->rates, input_tokens, service_tier, candidates[i], found))
			return true;
		found->window = NULL;
		if (tiered_rate(&terms->rates, input_tokens, service_tier, candidates[i], found))
			return true;
	}
	return false;
}

static bool
set_has_service_tier(const RateSet *set, const char *service_tier)
{
	for (int i = 0; i < set->service_tier_count; i++)
	{
		if (strcmp(set->service_tiers[i].name, service_tier) == 0)
			return true;
	}
	return false;
}

static bool
rates_have_service_tier(const TieredRates *rates, const char *service_tier)
{
	if (set_has_service_tier(&rates->base, service_tier))
		return true;
	for (int i = 0; i < rates->context_tier_count; i++)
	{
		if (set_has_service_tier(&rates->context_tiers[i].set, service_tier))
			return true;
	}
	return false;
}

/* Has the price any rate of a service tier, as service_tier_word() returns it? */
bool
price_has_service_tier(const PriceTerms *terms, const char *service_tier)
{
	if (rates_have_service_tier(&terms->rates, service_tier))
		return true;
	for (int i = 0; i < terms->window_count; i++)
	{
		if (rates_have_service_tier(&terms->windows[i].rates, service_tier))
			return true;
	}
	return false;
}

/* By what tokens of this region or speed are multiplied, or NULL where nothing is said */
Numeric
price_multiplier(const PriceTerms *terms, MultiplierKind kind, const char *name)
{
	Numeric		any = NULL;

	for (int i = 0; i < terms->multiplier_count; i++)
	{
		const Multiplier *multiplier = &terms->multipliers[i];

		if (multiplier->kind != kind)
			continue;
		if (strcmp(multiplier->name, name) == 0)
			return multiplier->factor;
		if (strcmp(multiplier->name, "*") == 0)
			any = multiplier->factor;
	}
	return any;
}

/* ---------- all that a price says, as one object ---------- */

static void
put_document(JsonbBuilder *builder, const char *key, Jsonb *document)
{
	if (document == NULL)
		return;
	jsonb_put_key(builder, key);
	jsonb_put_document(builder, document, false);
}

/* What a price says, as one object; what is NULL or empty is left out */
Jsonb *
price_content_make(ArrayType *aliases, Jsonb *match_rule, Jsonb *provider_rule, Jsonb *rates,
				   Jsonb *context_tiers, Jsonb *service_tiers, Jsonb *time_windows,
				   Jsonb *multipliers)
{
	JsonbBuilder builder = {0};

	jsonb_begin_object(&builder);
	if (aliases != NULL && ArrayGetNItems(ARR_NDIM(aliases), ARR_DIMS(aliases)) > 0)
	{
		Datum	   *elements;
		bool	   *nulls;
		int			count;

		deconstruct_array(aliases, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
		jsonb_put_key(&builder, "aliases");
		jsonb_begin_array(&builder);
		for (int i = 0; i < count; i++)
		{
			if (!nulls[i])
				jsonb_put_string(&builder, TextDatumGetCString(elements[i]), true);
		}
		jsonb_close(&builder, true);
	}
	put_document(&builder, "match_rule", match_rule);
	put_document(&builder, "provider_rule", provider_rule);
	put_document(&builder, "rates", rates);
	put_document(&builder, "context_tiers", context_tiers);
	put_document(&builder, "service_tiers", service_tiers);
	put_document(&builder, "time_windows", time_windows);
	put_document(&builder, "multipliers", multipliers);
	jsonb_close(&builder, false);
	return jsonb_finish(&builder);
}

/* A document that is a part of a content, or NULL */
static Jsonb *
content_part(Jsonb *content, const char *key)
{
	JsonbValue	value;

	if (!jsonb_field(&content->root, key, &value))
		return NULL;
	return JsonbValueToJsonb(&value);
}

/* What is wrong with a pattern, its regular expressions included, or NULL */
static const char *
pattern_document_problem(JsonbContainer *container)
{
	NamePattern *pattern;
	const char *problem = name_pattern_parse(container, &pattern);

	return problem != NULL ? problem : name_pattern_problem(pattern);
}

/* What is wrong with a price, or NULL */
const char *
price_content_problem(Jsonb *content)
{
	PriceColumns columns = {
		content_part(content, "rates"), content_part(content, "context_tiers"),
		content_part(content, "service_tiers"), content_part(content, "time_windows"),
		content_part(content, "multipliers")
	};
	PriceTerms	terms;
	Jsonb	   *rule = content_part(content, "match_rule");
	Jsonb	   *about = content_part(content, "provider_rule");
	const char *problem = price_parse(&columns, &terms);
	static const char *const keys[] = {"names", "models"};

	if (problem == NULL && rule != NULL)
		problem = pattern_document_problem(&rule->root);
	for (int i = 0; i < lengthof(keys) && about != NULL && problem == NULL; i++)
	{
		JsonbValue	value;

		if (jsonb_field(&about->root, keys[i], &value))
			problem = value.type != jbvBinary ? "a rule is not an object with one key" :
				pattern_document_problem(value.val.binary.data);
	}
	return problem;
}
