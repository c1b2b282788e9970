/*
 * charge.c
 *		What a task has used and what it costs, worked out by the server.
 *
 * Where a task has the provider's usage object, its tokens are what that says,
 * whatever the client has counted.  What the object leaves open is what the
 * client states, and so is all of it where there is no object.  The cost is by
 * the prices that were in force when the task was created:
 *
 *	priced		there is a price for the model, and for all that it used
 *	client		airun.trust_client_cost is on, and the client has stated a cost
 *	unpriced	neither: the cost is not known, and NULL
 *
 * What is wrong with a price is never an error here: the task ends unpriced,
 * and airun_reprice() charges it when the price is there.  Nothing is locked.
 *
 * Errors: PT422 for a usage that cannot be.
 */
#include "pricing/charge.h"

#include "pricing/cost.h"
#include "utils/builtins.h"

static Field
count_field(int64 count, const Field *otherwise)
{
	return count == USAGE_UNKNOWN ? *otherwise : (Field) {Int64GetDatum(count), false};
}

static const char *
word(const Field *field)
{
	return field->isnull ? NULL : TextDatumGetCString(field->value);
}

/*
 * Count what a usage says into tokens, which are replaced where it says so,
 * and into buckets (null where it says nothing that is known).  Where it says
 * one side alone, its total is no more than that side: then what there is on
 * both sides is added up.
 */
void
charge_count_usage(const Field *usage, const Field *provider, Field *tokens_input,
				   Field *tokens_output, Field *tokens_total, Field *buckets)
{
	Usage		counted;

	*buckets = (Field) {(Datum) 0, true};
	if (usage->isnull)
		return;
	usage_normalize(DatumGetJsonbP(usage->value), word(provider), &counted);
	if (!counted.is_known)
		return;
	*tokens_input = count_field(counted.tokens_input, tokens_input);
	*tokens_output = count_field(counted.tokens_output, tokens_output);
	*tokens_total = count_field(counted.tokens_total, tokens_total);
	if ((counted.tokens_input == USAGE_UNKNOWN || counted.tokens_output == USAGE_UNKNOWN) &&
		!tokens_total->isnull &&
		DatumGetInt64(tokens_total->value) <
		(tokens_input->isnull ? 0 : DatumGetInt64(tokens_input->value)) +
		(tokens_output->isnull ? 0 : DatumGetInt64(tokens_output->value)))
		*tokens_total = (Field) {(Datum) 0, true};
	*buckets = (Field) {JsonbPGetDatum(usage_to_jsonb(&counted)), false};
}

/* Where the usage says nothing of a side, what the client counts is all of it */
static void
add_side(Usage *usage, Bucket bucket, int64 *total, const Field *counted)
{
	if (*total != USAGE_UNKNOWN || counted->isnull)
		return;
	*total = usage->count[bucket] = DatumGetInt64(counted->value);
	usage->is_known = true;
}

/* What there is to charge for */
static void
read_usage(const ChargeBasis *basis, Usage *usage)
{
	memset(usage, 0, sizeof(Usage));
	usage->tokens_input = usage->tokens_output = usage->tokens_total = USAGE_UNKNOWN;
	usage->count[BUCKET_REQUESTS] = 1;
	if (!basis->usage.isnull)
		usage_normalize(DatumGetJsonbP(basis->usage.value), word(&basis->provider), usage);
	add_side(usage, BUCKET_INPUT, &usage->tokens_input, &basis->tokens_input);
	add_side(usage, BUCKET_OUTPUT, &usage->tokens_output, &basis->tokens_output);
}

/* Charge a task */
void
charge_compute(const ChargeBasis *basis, Charge *charge)
{
	const Field unknown = {(Datum) 0, true};
	const char *status = "unpriced";
	Usage		usage;
	Numeric		cost;
	Jsonb	   *details;

	charge->cost = charge->cost_details = unknown;
	if (airun_trust_client_cost && !basis->client_cost.isnull)
	{
		status = "client";
		charge->cost = basis->client_cost;
	}
	else
	{
		read_usage(basis, &usage);
		if (usage.is_known &&
			cost_of_usage(word(&basis->model_id), word(&basis->provider), &usage,
						  basis->created_at, NULL, &cost, &details))
		{
			status = "priced";
			charge->cost = (Field) {NumericGetDatum(cost), false};
			charge->cost_details = (Field) {JsonbPGetDatum(details), false};
		}
	}
	charge->price_status = (Field) {CStringGetTextDatum(status), false};
}
