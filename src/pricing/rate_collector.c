/*
 * rate_collector.c
 *		The rates of a price, collected one by one from somebody's price list.
 *
 * A list has its rates in an order of its own.  They are collected here, each
 * with the tiers that it belongs to, and written from here as the columns of
 * airun.prices.  Nothing is locked, and nothing is refused: what is wrong with
 * a number is returned.
 */
#include "pricing/rate_collector.h"

#include "json/jsonb_util.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/* A number in a string is no longer than this, and its exponent no higher */
#define MAX_DIGITS		100
#define MAX_EXPONENT	100

static bool
same_tier(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static CollectedRate *
find_rate(const RateCollector *collector, Bucket bucket, int64 above, const char *service_tier)
{
	for (int i = 0; i < collector->count; i++)
	{
		CollectedRate *collected = &collector->rates[i];

		if (collected->bucket == bucket && collected->above == above &&
			same_tier(collected->service_tier, service_tier))
			return collected;
	}
	return NULL;
}

/* Add a rate; one that is there already is replaced */
void
collect_rate(RateCollector *collector, Bucket bucket, int64 above, const char *service_tier,
			 Numeric rate)
{
	CollectedRate *collected = find_rate(collector, bucket, above, service_tier);

	if (collected == NULL)
	{
		if (collector->count == collector->capacity)
		{
			collector->capacity = collector->capacity == 0 ? 16 : collector->capacity * 2;
			collector->rates = collector->rates == NULL ?
				palloc_array(CollectedRate, collector->capacity) :
				repalloc_array(collector->rates, CollectedRate, collector->capacity);
		}
		collected = &collector->rates[collector->count++];
	}
	*collected = (CollectedRate) {bucket, above, service_tier, rate};
}

/* The rate that has been put there, or NULL */
Numeric
collected_rate(const RateCollector *collector, Bucket bucket, int64 above,
			   const char *service_tier)
{
	CollectedRate *collected = find_rate(collector, bucket, above, service_tier);

	return collected == NULL ? NULL : collected->rate;
}

/* Take all context tiers from the collector */
void
collector_drop_context(RateCollector *collector)
{
	int			kept = 0;

	for (int i = 0; i < collector->count; i++)
	{
		if (collector->rates[i].above < 0)
			collector->rates[kept++] = collector->rates[i];
	}
	collector->count = kept;
}

/* ---------- writing ---------- */

/* The rates of one context tier and one service tier, as an object */
static void
put_rates(JsonbBuilder *builder, const RateCollector *collector, int64 above,
		  const char *service_tier)
{
	jsonb_begin_object(builder);
	for (int i = 0; i < collector->count; i++)
	{
		const CollectedRate *collected = &collector->rates[i];

		if (collected->above != above || !same_tier(collected->service_tier, service_tier))
			continue;
		jsonb_put_key(builder, bucket_name(collected->bucket));
		jsonb_put_numeric(builder, collected->rate, false);
	}
	jsonb_close(builder, false);
}

/* Is the rate the first one of its service tier, in its context tier? */
static bool
begins_service_tier(const RateCollector *collector, int i)
{
	const CollectedRate *collected = &collector->rates[i];

	if (collected->service_tier == NULL)
		return false;
	for (int j = 0; j < i; j++)
	{
		if (collector->rates[j].above == collected->above &&
			same_tier(collector->rates[j].service_tier, collected->service_tier))
			return false;
	}
	return true;
}

/* Is the rate the first one of its context tier? */
static bool
begins_context_tier(const RateCollector *collector, int i)
{
	if (collector->rates[i].above < 0)
		return false;
	for (int j = 0; j < i; j++)
	{
		if (collector->rates[j].above == collector->rates[i].above)
			return false;
	}
	return true;
}

static bool
has_service_tiers(const RateCollector *collector, int64 above)
{
	for (int i = 0; i < collector->count; i++)
	{
		if (collector->rates[i].above == above && collector->rates[i].service_tier != NULL)
			return true;
	}
	return false;
}

static void
put_service_tiers(JsonbBuilder *builder, const RateCollector *collector, int64 above)
{
	jsonb_begin_object(builder);
	for (int i = 0; i < collector->count; i++)
	{
		if (collector->rates[i].above != above || !begins_service_tier(collector, i))
			continue;
		jsonb_put_key(builder, collector->rates[i].service_tier);
		put_rates(builder, collector, above, collector->rates[i].service_tier);
	}
	jsonb_close(builder, false);
}

/* The rates outside of any tier */
Jsonb *
collector_rates(const RateCollector *collector)
{
	JsonbBuilder builder = {0};

	put_rates(&builder, collector, -1, NULL);
	return jsonb_finish(&builder);
}

/* The service tiers outside of context tiers, or NULL */
Jsonb *
collector_service_tiers(const RateCollector *collector)
{
	JsonbBuilder builder = {0};

	if (!has_service_tiers(collector, -1))
		return NULL;
	put_service_tiers(&builder, collector, -1);
	return jsonb_finish(&builder);
}

static int
threshold_order(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

/* The context tiers in order, or NULL; inclusive ones begin at their threshold */
Jsonb *
collector_context_tiers(const RateCollector *collector, bool is_inclusive)
{
	int64	   *thresholds = palloc_array(int64, Max(collector->count, 1));
	int			count = 0;
	JsonbBuilder builder = {0};

	for (int i = 0; i < collector->count; i++)
	{
		if (begins_context_tier(collector, i))
			thresholds[count++] = collector->rates[i].above;
	}
	if (count == 0)
		return NULL;
	qsort(thresholds, count, sizeof(int64), threshold_order);

	jsonb_begin_array(&builder);
	for (int i = 0; i < count; i++)
	{
		jsonb_begin_object(&builder);
		jsonb_put_key(&builder, is_inclusive ? "from" : "above");
		jsonb_put_numeric(&builder, int64_to_numeric(thresholds[i]), false);
		jsonb_put_key(&builder, "rates");
		put_rates(&builder, collector, thresholds[i], NULL);
		if (has_service_tiers(collector, thresholds[i]))
		{
			jsonb_put_key(&builder, "service_tiers");
			put_service_tiers(&builder, collector, thresholds[i]);
		}
		jsonb_close(&builder, false);
	}
	jsonb_close(&builder, true);
	return jsonb_finish(&builder);
}

/* ---------- numbers ---------- */

/* Is it a decimal number, as JSON writes it, and of a sane size? */
static bool
is_number(const char *text)
{
	const char *c = text + (*text == '-' || *text == '+');
	size_t		digits = strspn(c, "0123456789");
	size_t		more = 0;

	if (strlen(text) > MAX_DIGITS)
		return false;
	c += digits;
	if (*c == '.')
	{
		more = strspn(++c, "0123456789");
		c += more;
	}
	if (digits + more == 0)
		return false;
	if (*c == 'e' || *c == 'E')
	{
		c += 1 + (c[1] == '-' || c[1] == '+');
		if (strlen(c) > 3 || strspn(c, "0123456789") != strlen(c) || *c == '\0' ||
			atoi(c) > MAX_EXPONENT)
			return false;
		return true;
	}
	return *c == '\0';
}

/* A number, or a string that holds one.  Returns what is wrong, or NULL. */
const char *
number_parse(const JsonbValue *value, Numeric *number)
{
	char	   *text;

	if (value->type == jbvNumeric)
	{
		*number = DatumGetNumericCopy(NumericGetDatum(value->val.numeric));
		return NULL;
	}
	if (value->type != jbvString)
		return "is not a number";
	text = pnstrdup(value->val.string.val, value->val.string.len);
	if (!is_number(text))
		return psprintf("is not a number but \"%.50s\"", text);
	*number = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
												  ObjectIdGetDatum(InvalidOid),
												  Int32GetDatum(-1)));
	return NULL;
}

/* The number times a factor, exactly */
Numeric
number_scale(Numeric number, const char *factor)
{
	Datum		by = DirectFunctionCall3(numeric_in, CStringGetDatum(factor),
										 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));

	return DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale,
											   DirectFunctionCall2(numeric_mul,
																   NumericGetDatum(number), by)));
}
