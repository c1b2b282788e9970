/*
 * odd_rates.c
 *		Prices that can hardly be meant.
 *
 * Lists have had models at a hundred thousand times their price, since somebody
 * took dollars for so many tokens as dollars for one.  A rate is odd that is
 * more than any model costs, or far from the same model's others, or far above
 * what others in the price book charge for that model.  It is entered all the
 * same, and whoever enters it is told.
 *
 * The price cache has to be open.  Nothing is locked, and nothing refused.
 */
#include "pricing/odd_rates.h"

#include "pricing/price_lookup.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* The dearest known are 0.0006 a token */
#define DEAREST		0.002

/* How many times the rate of another bucket of the same price a rate may be */
static const struct
{
	Bucket		bucket;
	Bucket		other;
	double		most;
}			relations[] = {
	{BUCKET_INPUT, BUCKET_OUTPUT, 5},
	{BUCKET_OUTPUT, BUCKET_INPUT, 400},
	{BUCKET_CACHE_READ, BUCKET_INPUT, 2},
	{BUCKET_CACHE_WRITE_5M, BUCKET_INPUT, 5},
	{BUCKET_CACHE_WRITE_1H, BUCKET_INPUT, 8},
	{BUCKET_REASONING, BUCKET_OUTPUT, 10},
};

/* How many times the usual rate one of a service or context tier may be */
#define MOST_OF_TIER	20

/* How many times what others charge for the model */
#define MOST_OF_OTHERS	50
#define MAX_OTHERS		100

static double
rate_of(const Rates *rates, Bucket bucket)
{
	return rates->rate[bucket] == NULL ? 0 :
		DatumGetFloat8(DirectFunctionCall1(numeric_float8,
										   NumericGetDatum(rates->rate[bucket])));
}

static char *
rate_text(const Rates *rates, Bucket bucket)
{
	Datum		rate = NumericGetDatum(rates->rate[bucket]);

	rate = DirectFunctionCall1(numeric_trim_scale, rate);
	return DatumGetCString(DirectFunctionCall1(numeric_out, rate));
}

/* A rate that is more than any model costs */
static const char *
above_all(const Rates *rates)
{
	for (int i = 0; i < BUCKET_COUNT; i++)
	{
		if (BUCKET_IS_TOKENS(i) && rate_of(rates, i) > DEAREST)
			return psprintf("%s at %s a token is more than any model is known to cost",
							bucket_name(i), rate_text(rates, i));
	}
	return NULL;
}

/* A rate far from another one of the same price */
static const char *
beside_own(const Rates *rates)
{
	for (int i = 0; i < lengthof(relations); i++)
	{
		double		rate = rate_of(rates, relations[i].bucket);
		double		other = rate_of(rates, relations[i].other);

		if (rate > 0 && other > 0 && rate > other * relations[i].most)
			return psprintf("%s at %s a token is %.0f times its %s",
							bucket_name(relations[i].bucket),
							rate_text(rates, relations[i].bucket), rate / other,
							bucket_name(relations[i].other));
	}
	return NULL;
}

/* A rate of a tier that is far from the usual one */
static const char *
beside_base(const Rates *rates, const Rates *base, const char *what)
{
	for (int i = 0; i < BUCKET_COUNT; i++)
	{
		double		rate = rate_of(rates, i);
		double		usual = rate_of(base, i);

		if (BUCKET_IS_TOKENS(i) && rate > 0 && usual > 0 &&
			(rate > usual * MOST_OF_TIER || rate < usual / MOST_OF_TIER))
			return psprintf("%s at %s a token %s is %.3g times the usual", bucket_name(i),
							rate_text(rates, i), what, rate / usual);
	}
	return NULL;
}

static const char *
odd_rates_of_set(const RateSet *set, const Rates *base, const char *what)
{
	const char *odd = above_all(&set->rates);

	if (odd == NULL && base != &set->rates)
		odd = beside_base(&set->rates, base, what);
	for (int i = 0; i < set->service_tier_count && odd == NULL; i++)
	{
		odd = above_all(&set->service_tiers[i].rates);
		if (odd == NULL)
			odd = beside_base(&set->service_tiers[i].rates, &set->rates,
							  psprintf("in service tier %.50s", set->service_tiers[i].name));
	}
	return odd;
}

/* Anything odd in what one price says */
static const char *
odd_by_itself(const PriceTerms *terms)
{
	const Rates *base = &terms->rates.base.rates;
	const char *odd = odd_rates_of_set(&terms->rates.base, base, "");

	if (odd == NULL)
		odd = beside_own(base);
	for (int i = 0; i < terms->rates.context_tier_count && odd == NULL; i++)
		odd = odd_rates_of_set(&terms->rates.context_tiers[i].set, base,
							   psprintf("above " INT64_FORMAT " tokens",
										terms->rates.context_tiers[i].above));
	for (int i = 0; i < terms->window_count && odd == NULL; i++)
		odd = odd_rates_of_set(&terms->windows[i].rates.base, base,
							   terms->windows[i].label);
	return odd;
}

static int
double_order(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

/* A rate far above what others charge, the one in the middle of them */
static const char *
beside_others(const Price *price)
{
	const Price *others[MAX_OTHERS];
	int			count = price_others(price, others, MAX_OTHERS);

	for (int i = 0; i < BUCKET_COUNT && count > 0; i++)
	{
		const Rates *rates = &price->terms.rates.base.rates;
		double		rate = rate_of(rates, i);
		double		found[MAX_OTHERS];
		int			found_count = 0;

		for (int j = 0; j < count; j++)
		{
			double		other = rate_of(&others[j]->terms.rates.base.rates, i);

			if (other > 0)
				found[found_count++] = other;
		}
		if (!BUCKET_IS_TOKENS(i) || found_count == 0)
			continue;
		qsort(found, found_count, sizeof(double), double_order);
		if (rate > found[(found_count - 1) / 2] * MOST_OF_OTHERS)
			return psprintf("%s at %s a token is %.0f times what others charge for it",
							bucket_name(i), rate_text(rates, i),
							rate / found[(found_count - 1) / 2]);
	}
	return NULL;
}

/* What is odd about a price that has been entered, or NULL */
const char *
odd_rates(const pg_uuid_t *price_id)
{
	const Price *price = price_by_id(price_id);
	const char *odd;

	if (price == NULL)
		return NULL;
	odd = odd_by_itself(&price->terms);
	return odd != NULL ? odd : beside_others(price);
}
