/*
 * cost.c
 *		What a request has cost.
 *
 * Cost is the sum over the buckets of what is in them times its rate, exact to
 * the last digit: counts are whole, rates are decimals, and nothing is divided
 * or rounded.  It is known only where every bucket that is not empty has a
 * rate; a request itself costs nothing where no price says so.  Where it is not
 * known it is NULL, never 0.
 *
 * Rates are found as price_terms.c says, prices as price_cache.c says.  No lock
 * is taken that anybody would wait for.
 */
#include "pricing/cost.h"

#include "json/jsonb_util.h"
#include "pricing/price_cache.h"
#include "store/identity.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(airun_cost);
PG_FUNCTION_INFO_V1(airun_cost_details);

/* What one bucket costs */
typedef struct CostItem
{
	Bucket		bucket;
	FoundRate	found;
	Numeric		count;
	Numeric		amount;
} CostItem;

/* A cost and what it is made of; no cost has a reason */
typedef struct Quote
{
	Match		match;
	const TimeWindow *window;
	char	   *service_tier;	/* that was asked for, or NULL */
	int			item_count;
	CostItem		items[BUCKET_COUNT];
	Numeric		cost;			/* NULL where it is not known */
	const char *reason;
} Quote;

static Numeric
multiply(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_mul, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

static Numeric
add(Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(a),
											   NumericGetDatum(b)));
}

static Numeric
trim(Numeric a)
{
	return DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale, NumericGetDatum(a)));
}

/* How long the whole input is, which chooses the context tier */
static int64
input_length(const Usage *usage)
{
	int64		sum = 0;

	for (int i = 0; BUCKET_IS_INPUT(i); i++)
		sum += usage->count[i];
	return sum;
}

/* Work out what a usage costs.  The price cache has to be open. */
static void
quote_usage(const char *model, const char *provider, const Usage *usage, TimestampTz at,
			const char *service_tier, Quote *quote)
{
	int64		input_tokens = input_length(usage);
	Numeric		sum = int64_to_numeric(0);

	memset(quote, 0, sizeof(Quote));
	if (!usage->is_known)
	{
		quote->reason = "the usage says nothing that could be priced";
		return;
	}
	price_cache_find(model, provider, at, &quote->match);
	if (quote->match.price == NULL)
	{
		quote->reason = quote->match.reason;
		return;
	}

	if (service_tier == NULL)
		service_tier = usage->service_tier;
	quote->service_tier = service_tier == NULL ? NULL : service_tier_word(service_tier);
	quote->window = price_window(&quote->match.price->terms, at);
	for (int i = 0; i < BUCKET_COUNT; i++)
	{
		CostItem	   *item = &quote->items[quote->item_count];

		if (usage->count[i] == 0)
			continue;
		if (!price_rate(&quote->match.price->terms, quote->window, input_tokens,
						quote->service_tier, (Bucket) i, &item->found))
		{
			if (i == BUCKET_REQUESTS)
				continue;
			quote->reason = psprintf("its price has no rate for %s", bucket_name(i));
			return;
		}
		item->bucket = (Bucket) i;
		item->count = bucket_amount(usage, i);
		item->amount = multiply(item->count, item->found.rate);
		sum = add(sum, item->amount);
		quote->item_count++;
	}
	quote->cost = trim(sum);
}

static void
put_string(JsonbBuilder *builder, const char *key, const char *value)
{
	if (value == NULL)
		return;
	jsonb_put_key(builder, key);
	jsonb_put_string(builder, value, false);
}

static void
put_number(JsonbBuilder *builder, const char *key, Numeric value)
{
	jsonb_put_key(builder, key);
	jsonb_put_numeric(builder, value, false);
}

/*
 * A bucket's part of the cost, and where its rate was found when that is not
 * simply the bucket's own
 */
static void
put_item(JsonbBuilder *builder, const CostItem *item)
{
	jsonb_put_key(builder, bucket_name(item->bucket));
	jsonb_begin_object(builder);
	put_number(builder, BUCKET_IS_TOKENS(item->bucket) ? "tokens" : "count", trim(item->count));
	put_number(builder, "rate", trim(item->found.rate));
	put_number(builder, "amount", trim(item->amount));
	if (item->found.bucket != item->bucket)
		put_string(builder, "rate_of", bucket_name(item->found.bucket));
	if (item->found.above >= 0)
		put_number(builder, "above", int64_to_numeric(item->found.above));
	put_string(builder, "service_tier", item->found.service_tier);
	if (item->found.window != NULL)
		put_string(builder, "time_window", item->found.window->label);
	jsonb_close(builder, false);
}

static Jsonb *
quote_details(const Quote *quote)
{
	const Price *price = quote->match.price;
	JsonbBuilder builder = {0};

	jsonb_begin_object(&builder);
	put_number(&builder, "cost", quote->cost);
	put_string(&builder, "reason", quote->reason);
	if (price != NULL)
	{
		put_string(&builder, "price_id", uuid_string(&price->price_id));
		put_string(&builder, "provider", price_cache_provider(price));
		put_string(&builder, "model", price->model);
		put_string(&builder, "source", price->source);
		put_string(&builder, "matched_by", quote->match.by);
		put_string(&builder, "matched_name", quote->match.name);
		put_string(&builder, "service_tier", quote->service_tier);
		if (quote->window != NULL)
			put_string(&builder, "time_window", quote->window->label);
		if (quote->cost != NULL)
		{
			jsonb_put_key(&builder, "buckets");
			jsonb_begin_object(&builder);
			for (int i = 0; i < quote->item_count; i++)
				put_item(&builder, &quote->items[i]);
			jsonb_close(&builder, false);
		}
	}
	jsonb_close(&builder, false);
	return jsonb_finish(&builder);
}

/*
 * What a request has cost: false where there is no price for it.  provider,
 * service_tier and details may be NULL.  For the completion of a task: nothing
 * that is wrong with a price or a rule, nor a right that the caller lacks, is
 * an error here; no SPI result of the caller is touched, and only locks of a
 * reader are taken.
 */
bool
cost_of_usage(const char *model, const char *provider, const Usage *usage, TimestampTz at,
			  const char *service_tier, Numeric *cost, Jsonb **details)
{
	Quote		quote;

	if (model == NULL || !usage->is_known || !price_cache_open(false))
		return false;
	quote_usage(model, provider, usage, at, service_tier, &quote);
	if (quote.cost == NULL)
		return false;
	*cost = quote.cost;
	if (details != NULL)
		*details = quote_details(&quote);
	return true;
}

static char *
text_argument(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(i));
}

/* What both functions do.  False where the result is NULL. */
static bool
quote_arguments(FunctionCallInfo fcinfo, Quote *quote)
{
	Usage		usage;
	char	   *provider = text_argument(fcinfo, 2);

	(void) store_runs_oid();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		return false;
	usage_normalize(PG_GETARG_JSONB_P(1), provider, &usage);
	(void) price_cache_open(true);
	quote_usage(text_argument(fcinfo, 0), provider, &usage, PG_GETARG_TIMESTAMPTZ(3),
				text_argument(fcinfo, 4), quote);
	return true;
}

/* airun_cost(model_id, usage, provider, at, service_tier) returns numeric */
Datum
airun_cost(PG_FUNCTION_ARGS)
{
	Quote		quote;

	if (!quote_arguments(fcinfo, &quote) || quote.cost == NULL)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(quote.cost);
}

/* airun_cost_details(model_id, usage, provider, at, service_tier) returns jsonb */
Datum
airun_cost_details(PG_FUNCTION_ARGS)
{
	Quote		quote;

	if (!quote_arguments(fcinfo, &quote))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(quote_details(&quote));
}
