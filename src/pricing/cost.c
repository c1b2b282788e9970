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
 * What was served is what is priced: the model that answered, in its service
 * tier, region and speed.  A tier, region or speed that the price says nothing
 * of leaves the usage in doubt and the cost unknown.  What the provider itself
 * states as the cost is the cost where no price of that provider gives one, or
 * where airun.cost_source says so.
 *
 * Rates are found as price_terms.c says, prices as price_lookup.c says.  No lock
 * is taken that anybody would wait for.  Nothing is refused: what has no price has
 * a reason.
 */
#include "pricing/cost.h"

#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "pricing/names.h"
#include "pricing/price_lookup.h"
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
	Numeric		factors[MULTIPLIER_KINDS];	/* NULL for none */
	const char *modified[MULTIPLIER_KINDS]; /* the region and the speed of it */
	int			item_count;
	CostItem	items[BUCKET_COUNT];
	Numeric		cost;			/* NULL where it is not known */
	const char *reason;
} Part;

/* A cost and what it is made of; no cost has a reason */
typedef struct Quote
{
	char	   *service_tier;	/* that served it, or NULL */
	bool		is_own;			/* are the prices the provider's own?  Asked if he states a cost */
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

/* Are two names one model, but for provider, region, date and version? */
static bool
same_model(const char *a, const char *b)
{
	const char *names[2][MODEL_NAMES];
	const char *fronts[MODEL_NAMES];
	int			counts[2];

	counts[0] = model_names(name_normalize(a), names[0], fronts);
	counts[1] = model_names(name_normalize(b), names[1], fronts);
	for (int i = 0; i < counts[0]; i++)
	{
		for (int j = 0; j < counts[1]; j++)
		{
			if (strcmp(names[0][i], names[1][j]) == 0)
				return true;
		}
	}
	return false;
}

/*
 * Is what was found a price of the provider's own?  Where nobody says who that
 * is, one is that has the whole name.
 */
static bool
is_own_price(const Match *match, const char *provider)
{
	if (match->price == NULL)
		return false;
	if (provider == NULL || provider[0] == '\0')
		return match->name == NULL;
	return price_is_of(match->price, provider);
}

/*
 * Find the price of the model that answered.  Where that is but another name of
 * the one that was asked for, the name that the provider has a price of counts.
 */
static void
find_price(const CostQuery *query, Match *match)
{
	const char *served = query->served->model;
	Match		asked;

	price_find(served != NULL ? served : query->model, query->provider, query->at, match);
	if (served == NULL || query->model == NULL || strcmp(served, query->model) == 0 ||
		is_own_price(match, query->provider) || !same_model(served, query->model))
		return;
	price_find(query->model, query->provider, query->at, &asked);
	if (asked.price != NULL &&
		(match->price == NULL || is_own_price(&asked, query->provider)))
		*match = asked;
}

/*
 * Find by what the tokens of a region or a speed are multiplied.  The host of
 * what was called counts only where the price knows its region.
 */
static bool
find_factors(const CostQuery *query, Part *part)
{
	const PriceTerms *terms = &part->match.price->terms;
	const char *words[MULTIPLIER_KINDS] = {
		[MULTIPLIER_REGION] = query->served->region,
		[MULTIPLIER_SPEED] = query->served->speed,
	};
	const bool	is_plain[MULTIPLIER_KINDS] = {
		[MULTIPLIER_REGION] = words[MULTIPLIER_REGION] == NULL ||
			served_region_is_plain(words[MULTIPLIER_REGION]),
		[MULTIPLIER_SPEED] = words[MULTIPLIER_SPEED] == NULL ||
			served_speed_is_plain(words[MULTIPLIER_SPEED]),
	};

	for (int kind = 0; kind < MULTIPLIER_KINDS; kind++)
	{
		if (is_plain[kind])
			continue;
		part->modified[kind] = words[kind];
		part->factors[kind] = price_multiplier(terms, kind, words[kind]);
		if (part->factors[kind] != NULL)
			continue;
		part->reason = psprintf("its price does not say what the %s \"%s\" costs",
								multiplier_name(kind), words[kind]);
		usage_doubt(query->usage, "%s", part->reason);
		return false;
	}
	if (words[MULTIPLIER_REGION] == NULL && query->endpoint != NULL &&
		terms->multiplier_count > 0)
	{
		const char *region = served_region_of_endpoint(query->endpoint);

		part->factors[MULTIPLIER_REGION] = region == NULL ? NULL :
			price_multiplier(terms, MULTIPLIER_REGION, region);
		if (part->factors[MULTIPLIER_REGION] != NULL)
			part->modified[MULTIPLIER_REGION] = region;
	}
	return true;
}

/* Does the price know the way in which it was served?  Else that is in doubt. */
static bool
check_modifiers(const CostQuery *query, const char *service_tier, Part *part)
{
	if (service_tier != NULL &&
		!price_has_service_tier(&part->match.price->terms, service_tier))
	{
		part->reason = psprintf("its price has no rates of the service tier \"%s\"",
								excerpt(service_tier, strlen(service_tier)));
		usage_doubt(query->usage, "%s", part->reason);
		return false;
	}
	return find_factors(query, part);
}

/*
 * An hour in the cache is dearer than what stands in for it, and dearer still where
 * a write of five minutes has a rate of that length or time of its own.
 */
static void
check_hour(const CostQuery *query, const Part *part, int64 length, const char *service_tier,
		   const FoundRate *hour)
{
	FoundRate	beside;

	if (hour->bucket != BUCKET_CACHE_WRITE_1H)
		usage_doubt(query->usage, "its price has no rate for %s: charged as %s",
					bucket_name(BUCKET_CACHE_WRITE_1H), bucket_name(hour->bucket));
	else if (price_rate(&part->match.price->terms, part->window, length, service_tier,
						BUCKET_CACHE_WRITE_5M, &beside) &&
			 (beside.above > hour->above || beside.window != hour->window))
		usage_doubt(query->usage, "its price has no rate for %s at this length and time",
					bucket_name(BUCKET_CACHE_WRITE_1H));
}

/* What so many in a bucket cost, and where the rate is from */
static bool
quote_item(const CostQuery *query, const Part *part, int64 length, const char *service_tier,
		   Bucket bucket, int64 count, CostItem *item)
{
	if (!price_rate(&part->match.price->terms, part->window, length, service_tier, bucket,
					&item->found))
		return false;
	item->bucket = bucket;
	item->count = bucket_amount(count, bucket);
	item->amount = multiply(item->count, item->found.rate);
	for (int kind = 0; kind < MULTIPLIER_KINDS; kind++)
	{
		if (part->factors[kind] != NULL && BUCKET_IS_TOKENS(bucket))
			item->amount = multiply(item->amount, part->factors[kind]);
	}
	if (service_tier != NULL && item->found.service_tier == NULL && BUCKET_IS_TOKENS(bucket))
		usage_doubt(query->usage, "its price has no rate of the service tier \"%s\" for %s",
					service_tier, bucket_name(bucket));

	if (bucket == BUCKET_CACHE_WRITE_1H)
		check_hour(query, part, length, service_tier, &item->found);
	return true;
}

/* Work out what one part costs, by a price that has been looked for */
static void
quote_part(const CostQuery *query, const int64 *count, const char *service_tier, Part *part)
{
	Numeric		sum = int64_to_numeric(0);
	int64		length;

	if (part->match.price == NULL)
	{
		part->reason = part->match.reason;
		return;
	}
	if (!check_modifiers(query, service_tier, part))
		return;
	part->window = price_window(&part->match.price->terms, query->at);
	length = tier_length(part, count, service_tier, query->usage);
	if (!check_open_sides(part, service_tier, length, query->usage))
	{
		part->reason = "how many of the tokens came out is not said";
		return;
	}
	for (int i = 0; i < BUCKET_COUNT; i++)
	{
		CostItem   *item = &part->items[part->item_count];

		if (count[i] == 0)
			continue;
		if (!quote_item(query, part, length, service_tier, (Bucket) i, count[i], item))
		{
			if (i == BUCKET_REQUESTS)
				continue;
			part->reason = psprintf("its price has no rate for %s", bucket_name(i));
			return;
		}
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
quote_usage(const CostQuery *query, Quote *quote)
{
	const Usage *usage = query->usage;
	const char *tier = query->served->service_tier;
	Numeric		sum = int64_to_numeric(0);

	if (!usage->is_known)
	{
		quote->reason = "the usage says nothing that could be priced";
		return;
	}
	quote->service_tier = tier == NULL ? NULL : service_tier_word(tier);
	quote->is_own = true;
	quote->part_count = Max(usage->request_count, 1);
	quote->parts = palloc0_array(Part, quote->part_count);
	for (int i = 0; i < quote->part_count; i++)
	{
		Part	   *part = &quote->parts[i];

		CHECK_FOR_INTERRUPTS();
		if (usage->request_count > 0)
			part->model = usage->requests[i].model;
		if (part->model != NULL)
			price_find(part->model, query->provider, query->at, &part->match);
		else
			find_price(query, &part->match);
		quote_part(query, usage->request_count > 0 ? usage->requests[i].count : usage->count,
				   quote->service_tier, part);
		if (query->served->cost != NULL)
			quote->is_own &= is_own_price(&part->match, query->provider);
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
	put_string(builder, "provider", price_provider(price));
	put_string(builder, "model", price->model);
	put_string(builder, "source", price->source);
	put_string(builder, "matched_by", part->match.by);
	put_string(builder, "matched_name", part->match.name);
	put_string(builder, "service_tier", service_tier);
	if (part->window != NULL)
		put_string(builder, "time_window", part->window->label);
	for (int kind = 0; kind < MULTIPLIER_KINDS; kind++)
	{
		put_string(builder, multiplier_name(kind), part->modified[kind]);
		if (part->factors[kind] != NULL)
			put_number(builder, psprintf("%s_factor", multiplier_name(kind)),
					   part->factors[kind]);
	}
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
quote_details(const Quote *quote, const CostQuery *query, const CostAnswer *answer)
{
	const Served *served = query->served;
	JsonbBuilder builder = {0};

	jsonb_begin_object(&builder);
	put_number(&builder, "cost", answer->cost);
	if (answer->cost != quote->cost)
	{
		put_string(&builder, "cost_source", answer->status);
		if (quote->cost != NULL)
			put_number(&builder, "price_cost", quote->cost);
	}
	if (served->cost != NULL)
		put_number(&builder, "provider_cost", trim(served->cost));
	put_string(&builder, "reason", quote->reason);
	if (served->model != NULL &&
		(query->model == NULL || strcmp(served->model, query->model) != 0))
		put_string(&builder, "served_model", served->model);
	if (quote->part_count > 0)
		put_price(&builder, &quote->parts[0], quote->service_tier);
	if (quote->cost != NULL && quote->part_count > 1)
		put_parts(&builder, quote);
	else if (quote->cost != NULL)
		put_items(&builder, &quote->parts[0]);
	usage_put_doubts(&builder, query->usage);
	if (query->left_out != NULL)
	{
		jsonb_put_key(&builder, "left_out");
		jsonb_put_document(&builder, query->left_out, false);
	}
	jsonb_close(&builder, false);
	return jsonb_finish(&builder);
}

/* Which cost counts: none, the provider's own statement, or that of the price */
static void
choose_cost(const Quote *quote, const CostQuery *query, CostAnswer *answer)
{
	const Served *served = query->served;

	answer->cost = quote->cost;
	answer->status = query->usage->doubt_count > 0 ? "doubtful" :
		quote->cost == NULL ? "unpriced" : "priced";
	if (query->is_unbilled)
	{
		answer->cost = int64_to_numeric(0);
		answer->status = "unbilled";
	}
	else if (served->cost != NULL &&
			 (quote->cost == NULL || !quote->is_own ||
			  airun_cost_source == COST_SOURCE_PROVIDER))
	{
		answer->cost = trim(served->cost);
		answer->status = "provider";
	}
}

/*
 * What a request has cost, and what cost_details have of it.  For the
 * completion of a task: nothing that is wrong with a price or a rule, nor a
 * right that the caller lacks, is an error here; no SPI result of the caller is
 * touched, and only locks of a reader are taken.
 */
void
cost_of_usage(const CostQuery *query, CostAnswer *answer)
{
	Quote		quote = {0};

	if (query->model == NULL && query->served->model == NULL)
		quote.reason = "the task has no model";
	else if (!query->usage->is_known)
		quote.reason = "the usage says nothing that could be priced";
	else if (!price_cache_open(false))
		quote.reason = "there are no prices";
	else
		quote_usage(query, &quote);
	choose_cost(&quote, query, answer);
	answer->reason = quote.reason;
	answer->details = answer->cost != NULL || query->usage->doubt_count > 0 ||
		query->left_out != NULL ? quote_details(&quote, query, answer) : NULL;
}

/*
 * What a request costs by the price alone, or NULL where none says it; and how much of
 * that is for the output.  For what has not been served yet: nothing is told of how.
 */
Numeric
cost_by_price(const CostQuery *query, Numeric *output)
{
	Quote		quote = {0};

	*output = int64_to_numeric(0);
	if (query->model == NULL || !price_cache_open(false))
		return NULL;
	quote_usage(query, &quote);
	if (quote.cost == NULL)
		return NULL;
	for (int i = 0; i < quote.parts[0].item_count; i++)
	{
		if (quote.parts[0].items[i].bucket == BUCKET_OUTPUT)
			*output = trim(quote.parts[0].items[i].amount);
	}
	return quote.cost;
}

static char *
text_argument(FunctionCallInfo fcinfo, int i)
{
	return PG_ARGISNULL(i) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(i));
}

/* What both functions do: by the price alone.  False where the result is NULL. */
static bool
quote_arguments(FunctionCallInfo fcinfo, Quote *quote, CostQuery *query, CostAnswer *answer)
{
	Served	   *served = palloc0_object(Served);

	(void) store_runs_oid();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		return false;
	*query = (CostQuery) {
		.model = text_argument(fcinfo, 0),
		.provider = text_argument(fcinfo, 2),
		.usage = palloc_object(Usage),
		.served = served,
		.at = PG_GETARG_TIMESTAMPTZ(3),
	};
	usage_read(PG_GETARG_JSONB_P(1), query->provider, query->usage);
	served_read(PG_GETARG_JSONB_P(1), true, served);
	served->model = NULL;		/* the one that is asked about counts */
	if (!PG_ARGISNULL(4))
		served->service_tier = text_argument(fcinfo, 4);
	(void) price_cache_open(true);
	memset(quote, 0, sizeof(Quote));
	quote_usage(query, quote);
	*answer = (CostAnswer) {.cost = quote->cost};
	return true;
}

/* airun_cost(model_id, usage, provider, at, service_tier) returns numeric */
Datum
airun_cost(PG_FUNCTION_ARGS)
{
	Quote		quote;
	CostQuery	query;
	CostAnswer	answer;

	if (!quote_arguments(fcinfo, &quote, &query, &answer) || answer.cost == NULL)
		PG_RETURN_NULL();
	PG_RETURN_NUMERIC(answer.cost);
}

/* airun_cost_details(model_id, usage, provider, at, service_tier) returns jsonb */
Datum
airun_cost_details(PG_FUNCTION_ARGS)
{
	Quote		quote;
	CostQuery	query;
	CostAnswer	answer;

	if (!quote_arguments(fcinfo, &quote, &query, &answer))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(quote_details(&quote, &query, &answer));
}
