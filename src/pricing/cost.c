/*
 * cost.c
 *		What a request has cost.
 *
 * Cost is the sum over the buckets of what is in them times its rate, exact to
 * the last digit: counts are whole, rates are decimals, and nothing is divided
 * or rounded.  It is known only where every bucket that is not empty has a
 * rate; a request itself costs nothing where no price says so.  Where it is not
 * known it is NULL, never 0.  Of a usage that is the sum of several requests
 * each is charged by itself, by its own length and, where it says so, its own
 * model.
 *
 * Rates are found as price_terms.c says, prices as price_cache.c says.  No lock
 * is taken that anybody would wait for.
 */
#include "pricing/cost.h"

#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "pricing/price_cache.h"
#include "store/args.h"
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

/* What one request, or one model's part, costs; no cost has a reason */
typedef struct Part
{
	const char *model;			/* where it has one of its own */
	Match		match;
	const TimeWindow *window;
	int			item_count;
	CostItem	items[BUCKET_COUNT];
	Numeric		cost;			/* NULL where it is not known */
	const char *reason;
} Part;

/* A cost and what it is made of; no cost has a reason */
typedef struct Quote
{
	const Usage *usage;
	char	   *service_tier;	/* that was asked for, or NULL */
	int			part_count;
	Part	   *parts;
	Numeric		cost;			/* NULL where it is not known */
	const char *reason;
} Quote;

/* The parts that details show */
#define MAX_SHOWN	50

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
input_length(const int64 *count)
{
	int64		sum = 0;

	for (int i = 0; BUCKET_IS_INPUT(i); i++)
		sum += count[i];
	return sum;
}

static bool
is_charged(const Part *part, const char *service_tier, int64 input_tokens, Bucket bucket)
{
	FoundRate	found;

	return price_rate(&part->match.price->terms, part->window, input_tokens, service_tier,
					  bucket, &found) &&
		DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(found.rate),
										  NumericGetDatum(int64_to_numeric(0)))) != 0;
}

/*
 * The length that chooses the context tier.  Of several requests of which only
 * the sum is known it is their mean, in doubt where the sum has another tier.
 */
static int64
tier_length(const Part *part, const int64 *count, const char *service_tier, Usage *usage)
{
	int64		length = input_length(count);
	int64		mean;
	FoundRate	of_sum;
	FoundRate	of_mean;

	if (count[BUCKET_REQUESTS] <= 1 || usage->request_count > 0)
		return length;
	mean = (length + count[BUCKET_REQUESTS] - 1) / count[BUCKET_REQUESTS];
	if (price_rate(&part->match.price->terms, part->window, length, service_tier,
				   BUCKET_INPUT, &of_sum) &&
		price_rate(&part->match.price->terms, part->window, mean, service_tier,
				   BUCKET_INPUT, &of_mean) &&
		of_sum.above != of_mean.above)
		usage_doubt(usage, "how long each of " INT64_FORMAT
					" requests was is not said, which decides the rate",
					count[BUCKET_REQUESTS]);
	return mean;
}

/* Doubt a usage that does not say what its price charges for */
static bool
check_open_sides(const Part *part, const char *service_tier, int64 length, Usage *usage)
{
	if (usage->is_total_alone)
		return !is_charged(part, service_tier, length, BUCKET_OUTPUT);
	if (usage->input_is_open && usage->tokens_output != USAGE_UNKNOWN &&
		is_charged(part, service_tier, length, BUCKET_INPUT))
		usage_doubt(usage, "it does not say all that went in");
	if (usage->output_is_open && usage->tokens_input != USAGE_UNKNOWN &&
		is_charged(part, service_tier, length, BUCKET_OUTPUT))
		usage_doubt(usage, "it does not say all that came out");
	return true;
}

/* Work out what one part costs */
static void
quote_part(const char *model, const char *provider, const int64 *count, TimestampTz at,
		   const char *service_tier, Usage *usage, Part *part)
{
	Numeric		sum = int64_to_numeric(0);
	int64		length;

	price_cache_find(model, provider, at, &part->match);
	if (part->match.price == NULL)
	{
		part->reason = part->match.reason;
		return;
	}
	part->window = price_window(&part->match.price->terms, at);
	length = tier_length(part, count, service_tier, usage);
	if (!check_open_sides(part, service_tier, length, usage))
	{
		part->reason = "how many of the tokens came out is not said";
		return;
	}
	for (int i = 0; i < BUCKET_COUNT; i++)
	{
		CostItem   *item = &part->items[part->item_count];

		if (count[i] == 0)
			continue;
		if (!price_rate(&part->match.price->terms, part->window, length, service_tier,
						(Bucket) i, &item->found))
		{
			if (i == BUCKET_REQUESTS)
				continue;
			part->reason = psprintf("its price has no rate for %s", bucket_name(i));
			return;
		}
		item->bucket = (Bucket) i;
		item->count = bucket_amount(count[i], i);
		item->amount = multiply(item->count, item->found.rate);
		sum = add(sum, item->amount);
		part->item_count++;
	}
	part->cost = sum;
}

/*
 * Work out what a usage costs, each of its requests by itself.  The book has
 * to be open.  What the price asks and the usage does not say is added to its
 * doubts.
 */
static void
quote_usage(const char *model, const char *provider, Usage *usage, TimestampTz at,
			const char *service_tier, Quote *quote)
{
	Numeric		sum = int64_to_numeric(0);

	memset(quote, 0, sizeof(Quote));
	quote->usage = usage;
	if (!usage->is_known)
	{
		quote->reason = "the usage says nothing that could be priced";
		return;
	}
	if (service_tier == NULL)
		service_tier = usage->service_tier;
	quote->service_tier = service_tier == NULL ? NULL : service_tier_word(service_tier);
	quote->part_count = Max(usage->request_count, 1);
	quote->parts = palloc0_array(Part, quote->part_count);
	for (int i = 0; i < quote->part_count; i++)
	{
		Part	   *part = &quote->parts[i];

		CHECK_FOR_INTERRUPTS();
		if (usage->request_count > 0)
			part->model = usage->requests[i].model;
		quote_part(part->model != NULL ? part->model : model, provider,
				   usage->request_count > 0 ? usage->requests[i].count : usage->count,
				   at, quote->service_tier, usage, part);
		if (part->cost == NULL)
		{
			quote->reason = part->model == NULL ? part->reason :
				psprintf("%s: %s", excerpt(part->model, strlen(part->model)), part->reason);
			return;
		}
		sum = add(sum, part->cost);
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

/* The price of a part, and how it was found */
static void
put_price(JsonbBuilder *builder, const Part *part, const char *service_tier)
{
	const Price *price = part->match.price;

	if (price == NULL)
		return;
	put_string(builder, "price_id", uuid_string(&price->price_id));
	put_string(builder, "provider", price_cache_provider(price));
	put_string(builder, "model", price->model);
	put_string(builder, "source", price->source);
	put_string(builder, "matched_by", part->match.by);
	put_string(builder, "matched_name", part->match.name);
	put_string(builder, "service_tier", service_tier);
	if (part->window != NULL)
		put_string(builder, "time_window", part->window->label);
}

static void
put_items(JsonbBuilder *builder, const Part *part)
{
	jsonb_put_key(builder, "buckets");
	jsonb_begin_object(builder);
	for (int i = 0; i < part->item_count; i++)
		put_item(builder, &part->items[i]);
	jsonb_close(builder, false);
}

/* The parts of a sum, each with its price where it has another model */
static void
put_parts(JsonbBuilder *builder, const Quote *quote)
{
	jsonb_put_key(builder, "parts");
	jsonb_begin_array(builder);
	for (int i = 0; i < Min(quote->part_count, MAX_SHOWN); i++)
	{
		const Part *part = &quote->parts[i];

		jsonb_begin_object(builder);
		put_number(builder, "cost", trim(part->cost));
		if (part->model != NULL)
			put_price(builder, part, NULL);
		put_items(builder, part);
		jsonb_close(builder, false);
	}
	jsonb_close(builder, true);
	if (quote->part_count > MAX_SHOWN)
		put_number(builder, "parts_not_shown", int64_to_numeric(quote->part_count - MAX_SHOWN));
}

/* What a cost is made of, or why there is none; with what the caller has to say beside */
static Jsonb *
quote_details(const Quote *quote, Jsonb *left_out)
{
	JsonbBuilder builder = {0};

	jsonb_begin_object(&builder);
	put_number(&builder, "cost", quote->cost);
	put_string(&builder, "reason", quote->reason);
	if (quote->part_count > 0)
		put_price(&builder, &quote->parts[0], quote->service_tier);
	if (quote->cost != NULL && quote->part_count > 1)
		put_parts(&builder, quote);
	else if (quote->cost != NULL)
		put_items(&builder, &quote->parts[0]);
	if (quote->usage != NULL)
		usage_put_doubts(&builder, quote->usage);
	if (left_out != NULL)
	{
		jsonb_put_key(&builder, "left_out");
		jsonb_put_document(&builder, left_out, false);
	}
	jsonb_close(&builder, false);
	return jsonb_finish(&builder);
}

/*
 * What a request has cost: NULL where that is not known.  model, provider,
 * service_tier and left_out may be NULL; details are what cost_details has of
 * it.  For the completion of a task: nothing that is wrong with a price or a
 * rule, nor a right that the caller lacks, is an error here; no SPI result of
 * the caller is touched, and only locks of a reader are taken.
 */
Numeric
cost_of_usage(const char *model, const char *provider, Usage *usage, TimestampTz at,
			const char *service_tier, Jsonb *left_out, Jsonb **details)
{
	Quote		quote = {.usage = usage};

	if (model == NULL)
		quote.reason = "the task has no model";
	else if (!usage->is_known)
		quote.reason = "the usage says nothing that could be priced";
	else if (!price_cache_open(false))
		quote.reason = "there are no prices";
	else
		quote_usage(model, provider, usage, at, service_tier, &quote);
	*details = quote.cost != NULL || usage->doubt_count > 0 || left_out != NULL ?
		quote_details(&quote, left_out) : NULL;
	return quote.cost;
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
	Usage	   *usage = palloc_object(Usage);
	char	   *provider = text_argument(fcinfo, 2);

	(void) store_runs_oid();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		return false;
	usage_read(PG_GETARG_JSONB_P(1), provider, usage);
	(void) price_cache_open(true);
	quote_usage(text_argument(fcinfo, 0), provider, usage, PG_GETARG_TIMESTAMPTZ(3),
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
	PG_RETURN_JSONB_P(quote_details(&quote, NULL));
}
