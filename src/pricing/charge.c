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
 *	doubtful	the usage or the figures contradict themselves, or say something
 *				that nobody knows; the cost is of what can be counted, if any
 *	provider	the provider has stated the cost, and there is no price of that
 *				provider's, or airun.cost_source says so
 *	unbilled	the answer was not billed: it costs nothing
 *	client		airun.trust_client_cost is on, and the client has stated a cost
 *	unpriced	none of these: the cost is not known, and NULL
 *
 * What is wrong with a usage, a figure or a price is never an error here: the
 * task ends, cost_details say what it is, and airun_reprice() charges it when
 * the price is there.  Nothing is locked.
 */
#include "pricing/charge.h"

#include "json/jsonb_copy.h"
#include "json/jsonb_util.h"
#include "pricing/cost.h"
#include "pricing/served.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

static Field
count_field(int64 count, const Field *otherwise)
{
	return count == USAGE_UNKNOWN ? *otherwise : (Field) {Int64GetDatum(count), false};
}

/* A word that says anything, or NULL */
static char *
word(const Field *field)
{
	char	   *string = field->isnull ? NULL : TextDatumGetCString(field->value);

	return string == NULL || string[0] == '\0' ? NULL : string;
}

static bool
is_zero(const Field *amount)
{
	return !amount->isnull &&
		DatumGetBool(DirectFunctionCall2(numeric_eq, amount->value,
										 NumericGetDatum(int64_to_numeric(0))));
}

/* ---------- how it was served ---------- */

static void
take_word(Field *field, const char *word)
{
	if (field->isnull && word != NULL)
		*field = (Field) {CStringGetTextDatum(word), false};
}

/* Does what the application keeps with the task say that its answer is from a cache? */
static bool
is_cached(const Field *metadata)
{
	JsonbValue	value;

	return !metadata->isnull && JB_ROOT_IS_OBJECT(DatumGetJsonbP(metadata->value)) &&
		jsonb_field(&DatumGetJsonbP(metadata->value)->root, "cache_hit", &value) &&
		value.type == jbvBool && value.val.boolean;
}

/*
 * Fill in what is not stated about how a task was served, from what the provider
 * has sent.  An answer from a cache that is said to cost nothing was not billed.
 */
void
charge_read_served(ChargeBasis *basis)
{
	Served		served = {0};

	if (!basis->service_tier.isnull)
	{
		char	   *tier = TextDatumGetCString(basis->service_tier.value);

		basis->service_tier.value = CStringGetTextDatum(served_service_tier(tier));
	}
	if (!basis->response_data.isnull)
		served_read(DatumGetJsonbP(basis->response_data.value), false, &served);
	if (!basis->usage.isnull)
		served_read(DatumGetJsonbP(basis->usage.value), true, &served);
	take_word(&basis->served_model, served.model);
	take_word(&basis->service_tier, served.service_tier);
	take_word(&basis->region, served.region);
	take_word(&basis->speed, served.speed);
	if (basis->provider_cost.isnull && served.cost != NULL)
		basis->provider_cost = (Field) {NumericGetDatum(served.cost), false};
	else if (basis->provider_cost.isnull && served.cost_problem != NULL)
		charge_leave_out(&basis->left_out, "provider_cost", served.cost_problem);
	if (basis->billed.isnull &&
		(is_zero(&basis->client_cost) || is_zero(&basis->provider_cost)) &&
		(served.is_cached || is_cached(&basis->metadata)))
		basis->billed = (Field) {BoolGetDatum(false), false};
}

/* ---------- what has been used ---------- */

/*
 * Read what a task has used: its usage, or where that says nothing the one in
 * the answer.  NULL where there is none.
 */
static Usage *
read_stated(const ChargeBasis *basis, bool *is_in_answer)
{
	char	   *provider = word(&basis->provider);
	Usage	   *counted = NULL;

	*is_in_answer = false;
	if (!basis->usage.isnull)
	{
		counted = palloc_object(Usage);
		usage_read(DatumGetJsonbP(basis->usage.value), provider, counted);
		if (counted->is_known || counted->doubt_count > 0)
			return counted;
	}
	if (!basis->response_data.isnull)
	{
		Usage	   *in_answer = palloc_object(Usage);

		*is_in_answer = usage_read_answer(DatumGetJsonbP(basis->response_data.value), provider,
										  in_answer);
		if (*is_in_answer)
			return in_answer;
	}
	return counted;
}

/* Is the usage that counts the one in the answer? */
bool
charge_counts_answer(const ChargeBasis *basis)
{
	bool		is_in_answer;

	(void) read_stated(basis, &is_in_answer);
	return is_in_answer;
}

/* A total that is not the sum of what the client counts contradicts it */
static void
doubt_total(Usage *counted, int64 total, int64 input, int64 output)
{
	if (total > input + output)
		usage_doubt(counted, "the total is " INT64_FORMAT ", its parts are " INT64_FORMAT,
					total, input + output);
	else if (total < input + output)
		usage_doubt(counted, "the parts are " INT64_FORMAT ", more than the total, " INT64_FORMAT,
					input + output, total);
}

/*
 * A total alone may be of both sides, where the client counts any.  It says nothing
 * of either one, then, unless nothing came out.  A count of the input that is the
 * total is that total again: it is none beside one of the output.
 */
static void
open_total(Usage *counted, Field *tokens_input, const Field *tokens_output)
{
	int64		output = tokens_output->isnull ? 0 : DatumGetInt64(tokens_output->value);
	bool		has_input = !tokens_input->isnull &&
		DatumGetInt64(tokens_input->value) != counted->tokens_total;

	if (!counted->is_total_alone || counted->tokens_output != USAGE_UNKNOWN ||
		!(has_input || !tokens_output->isnull))
		return;
	counted->is_total_alone = false;
	if (!has_input && output == 0)
		return;
	counted->count[BUCKET_INPUT] = 0;
	for (int i = 0; i < counted->request_count; i++)
		counted->requests[i].count[BUCKET_INPUT] = 0;
	counted->tokens_input = USAGE_UNKNOWN;
	counted->input_is_open = true;
	counted->is_known = false;
	if (!has_input)
		*tokens_input = (Field) {(Datum) 0, true};
	else if (!tokens_output->isnull)
		doubt_total(counted, counted->tokens_total, DatumGetInt64(tokens_input->value), output);
}

/*
 * Count what a usage says into tokens, which are replaced where it says so,
 * and into buckets (null where it says nothing that is known).  Where it says
 * one side alone, its total is no more than that side: then what there is on
 * both sides is added up.  Returns what has been read, for charge_compute().
 */
Usage *
charge_count_usage(const ChargeBasis *basis, Field *tokens_input, Field *tokens_output,
				   Field *tokens_total, Field *buckets)
{
	bool		is_in_answer;
	Usage	   *counted = read_stated(basis, &is_in_answer);

	*buckets = (Field) {(Datum) 0, true};
	if (counted == NULL)
		return NULL;
	open_total(counted, tokens_input, tokens_output);
	*tokens_input = count_field(counted->tokens_input, tokens_input);
	*tokens_output = count_field(counted->tokens_output, tokens_output);
	*tokens_total = count_field(counted->tokens_total, tokens_total);
	if ((counted->tokens_input == USAGE_UNKNOWN || counted->tokens_output == USAGE_UNKNOWN) &&
		!tokens_total->isnull &&
		DatumGetInt64(tokens_total->value) <
		(tokens_input->isnull ? 0 : DatumGetInt64(tokens_input->value)) +
		(tokens_output->isnull ? 0 : DatumGetInt64(tokens_output->value)))
		*tokens_total = (Field) {(Datum) 0, true};
	if (counted->is_known)
		*buckets = (Field) {JsonbPGetDatum(usage_to_jsonb(counted)), false};
	return counted;
}

/* Where the usage says nothing of a side, what the client counts is all of it */
static void
add_side(Usage *usage, Bucket bucket, int64 *total, bool *is_open, const Field *counted)
{
	if (*total != USAGE_UNKNOWN || counted->isnull)
		return;
	*total = DatumGetInt64(counted->value);
	usage->count[bucket] += *total;
	if (usage->request_count > 0)
		usage->requests[0].count[bucket] += *total;
	*is_open = false;
	usage->is_known = true;
}

/* What there is to charge for */
static Usage *
usage_of(const ChargeBasis *basis)
{
	Usage	   *usage = basis->counted;
	Field		tokens_input = basis->tokens_input;
	bool		is_in_answer;

	if (usage == NULL)
		usage = read_stated(basis, &is_in_answer);
	if (usage == NULL)
	{
		usage = palloc_object(Usage);
		usage_clear(usage);
		usage->count[BUCKET_REQUESTS] = 1;
	}
	if (!usage->is_known)
		usage->input_is_open = usage->output_is_open = true;
	open_total(usage, &tokens_input, &basis->tokens_output);
	add_side(usage, BUCKET_INPUT, &usage->tokens_input, &usage->input_is_open, &tokens_input);
	add_side(usage, BUCKET_OUTPUT, &usage->tokens_output, &usage->output_is_open,
			 &basis->tokens_output);
	if (usage->tokens_total == USAGE_UNKNOWN && usage->tokens_input != USAGE_UNKNOWN &&
		usage->tokens_output != USAGE_UNKNOWN && !basis->tokens_total.isnull)
		doubt_total(usage, DatumGetInt64(basis->tokens_total.value), usage->tokens_input,
					usage->tokens_output);
	return usage;
}

/* Tokens that have been left out are missing where the usage does not say them */
static void
doubt_left_out(const Field *left_out, Usage *usage)
{
	static const char *const names[] = {"tokens_input", "tokens_output", "tokens_total"};
	const int64 totals[] = {usage->tokens_input, usage->tokens_output, usage->tokens_total};
	JsonbValue	value;

	if (left_out->isnull)
		return;
	for (int i = 0; i < lengthof(names); i++)
	{
		if (totals[i] == USAGE_UNKNOWN &&
			jsonb_field(&DatumGetJsonbP(left_out->value)->root, names[i], &value))
			usage_doubt(usage, "\"%s\" is left out", names[i]);
	}
}

/* What has been left out before, as cost_details have it */
Field
charge_left_out(const Field *cost_details)
{
	JsonbValue	value;

	if (cost_details->isnull || !JB_ROOT_IS_OBJECT(DatumGetJsonbP(cost_details->value)) ||
		!jsonb_field(&DatumGetJsonbP(cost_details->value)->root, "left_out", &value) ||
		value.type != jbvBinary)
		return (Field) {(Datum) 0, true};
	return (Field) {JsonbPGetDatum(JsonbValueToJsonb(&value)), false};
}

/* Leave out a figure that cannot be; here is why */
void
charge_leave_out(Field *left_out, const char *name, const char *reason)
{
	*left_out = (Field) {
		JsonbPGetDatum(jsonb_set_string(left_out->isnull ? NULL : DatumGetJsonbP(left_out->value),
										name, reason, strlen(reason))), false
	};
}

/* Details that have nothing but what has been left out */
Jsonb *
charge_left_out_details(Jsonb *left_out)
{
	JsonbBuilder builder = {0};

	jsonb_begin_object(&builder);
	jsonb_put_key(&builder, "left_out");
	jsonb_put_document(&builder, left_out, false);
	jsonb_close(&builder, false);
	return jsonb_finish(&builder);
}

/* Charge a task by its price, or by what its provider says */
static void
charge_by_price(const ChargeBasis *basis, bool is_unbilled, CostAnswer *answer)
{
	Usage	   *usage = usage_of(basis);
	Served		served = {
		.model = word(&basis->served_model),
		.service_tier = word(&basis->service_tier),
		.region = word(&basis->region),
		.speed = word(&basis->speed),
		.cost = basis->provider_cost.isnull ? NULL :
		DatumGetNumeric(basis->provider_cost.value),
	};
	CostQuery	query = {
		.model = word(&basis->model_id),
		.provider = word(&basis->provider),
		.endpoint = word(&basis->endpoint),
		.usage = usage,
		.served = &served,
		.at = basis->created_at,
		.is_unbilled = is_unbilled,
		.left_out = basis->left_out.isnull ? NULL : DatumGetJsonbP(basis->left_out.value),
	};

	doubt_left_out(&basis->left_out, usage);
	cost_of_usage(&query, answer);
}

/* Charge a task */
void
charge_compute(const ChargeBasis *basis, Charge *charge)
{
	bool		is_unbilled = !basis->billed.isnull && !DatumGetBool(basis->billed.value);
	CostAnswer	answer = {.status = "client"};

	if (airun_trust_client_cost && !basis->client_cost.isnull && !is_unbilled)
	{
		answer.cost = DatumGetNumeric(basis->client_cost.value);
		if (!basis->left_out.isnull)
			answer.details = charge_left_out_details(DatumGetJsonbP(basis->left_out.value));
	}
	else
		charge_by_price(basis, is_unbilled, &answer);
	charge->cost = (Field) {NumericGetDatum(answer.cost), answer.cost == NULL};
	charge->cost_details = (Field) {PointerGetDatum(answer.details), answer.details == NULL};
	charge->price_status = (Field) {CStringGetTextDatum(answer.status), false};
	charge->reason = answer.reason;
}

/* Are two amounts the same, or both absent? */
bool
same_amount(const Field *a, const Field *b)
{
	if (a->isnull || b->isnull)
		return a->isnull == b->isnull;
	return DatumGetBool(DirectFunctionCall2(numeric_eq, a->value, b->value));
}

/*
 * What has a cost keeps it where nothing says a cost any more, with what has come
 * late: in doubt, with the reason.  cost, details: the charge that stands.
 */
void
charge_keep_cost(const Field *cost, const Field *details, Charge *charge)
{
	const char *reason = charge->reason != NULL ? charge->reason : "it says no cost";
	Field		left_out = charge_left_out(&charge->cost_details);
	JsonbBuilder builder = {0};
	bool		had_details = !details->isnull &&
		JB_ROOT_IS_OBJECT(DatumGetJsonbP(details->value));

	if (cost->isnull || !charge->cost.isnull)
		return;
	jsonb_begin_object(&builder);
	jsonb_put_key(&builder, "cost");
	jsonb_put_numeric(&builder, DatumGetNumeric(cost->value), false);
	if (!left_out.isnull)
	{
		jsonb_put_key(&builder, "left_out");
		jsonb_put_document(&builder, DatumGetJsonbP(left_out.value), false);
	}
	jsonb_put_key(&builder, "doubts");
	jsonb_begin_array(&builder);
	jsonb_put_string(&builder,
					 psprintf("the cost from before stands: by what came late there is none: %s",
							  reason), true);
	jsonb_close(&builder, true);
	jsonb_close(&builder, false);
	charge->cost = *cost;
	charge->cost_details = (Field) {JsonbPGetDatum(jsonb_finish(&builder)), false};
	if (had_details)
		charge->cost_details.value = DirectFunctionCall2(jsonb_concat, details->value,
														 charge->cost_details.value);
	charge->price_status = (Field) {CStringGetTextDatum("doubtful"), false};
}
