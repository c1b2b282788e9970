/*
 * budget_estimate.c
 *		What a task or call that starts may use and cost at the most.
 *
 * Input: the words of the request, counted as airun_context() counts them; a file is
 * a thousand tokens.  Output: what the request allows, for each answer that it asks
 * for, and at the most airun.max_hold_output, which counts where it says nothing that
 * is a number.  Cost: these by the price book, at the rates of the length that the
 * input has, in the service tier that is asked for, and where the request has
 * anything cached at the rate for that, if it is dearer.  No discount is taken that
 * may not apply: what is read from a cache counts as fresh.
 *
 * What is held is an estimate and no promise: a task is charged what it has used.
 *
 * Nothing is locked, and nothing refused.
 */
#include "budget/budget_estimate.h"

#include "budget/decimal.h"
#include "json/jsonb_util.h"
#include "json/token_estimate.h"
#include "pricing/cost.h"
#include "pricing/served.h"
#include "pricing/usage.h"
#include "utils/builtins.h"

/* Bytes in a row without a space that no text has: a file, in letters */
#define LONGEST_WORD	1000

/* Answers that a request may ask for; more is none */
#define MAX_ANSWERS		128

/* ---------- tokens ---------- */

/* Is a string a file, rather than something to be read? */
static bool
is_file(const char *string, int length)
{
	if (length >= 5 && strncmp(string, "data:", 5) == 0)
		return true;
	return length > LONGEST_WORD && memchr(string, ' ', LONGEST_WORD) == NULL &&
		memchr(string, '\n', LONGEST_WORD) == NULL;
}

/* Count the words of a request, and look whether any of it shall be cached */
static void
read_request(Jsonb *request, BudgetEstimate *estimate)
{
	JsonbIterator *it = JsonbIteratorInit(&request->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	int64		quarters = 0;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		if (token == WJB_KEY && (jsonb_string_is(&value, "cache_control") ||
								 jsonb_string_is(&value, "cachePoint")))
			estimate->writes_cache = true;
		if ((token != WJB_VALUE && token != WJB_ELEM) || value.type != jbvString)
			continue;
		quarters += is_file(value.val.string.val, value.val.string.len) ?
			TOKENS_A_FILE * 4 :
			tokens_in_quarters(value.val.string.val, value.val.string.len);
	}
	estimate->input = (quarters + 3) / 4;
}

/* A whole number from 1 to most under a key, or under a key of an object; else 0 */
static int64
number_in(JsonbContainer *request, const char *object, const char *key, int64 most)
{
	JsonbValue	value;
	Numeric		number;

	if (object != NULL)
	{
		if (!jsonb_field(request, object, &value) || value.type != jbvBinary ||
			!JsonContainerIsObject(value.val.binary.data))
			return 0;
		request = value.val.binary.data;
	}
	if (!jsonb_field(request, key, &value) || value.type != jbvNumeric)
		return 0;
	number = value.val.numeric;
	if (numeric_is_nan(number) || numeric_is_inf(number) || decimal_sign(number) <= 0)
		return 0;
	if (decimal_cmp(number, decimal_of(most)) > 0)
		return most;
	return Max(DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number))), 1);
}

/* The first of several names that a request has */
typedef struct RequestName
{
	const char *object;
	const char *key;
} RequestName;

static int64
first_number(JsonbContainer *request, const RequestName *names, int count, int64 most)
{
	int64		number = 0;

	for (int i = 0; i < count && number == 0; i++)
		number = number_in(request, names[i].object, names[i].key, most);
	return number;
}

/* Work the tokens out, once */
static void
estimate_tokens(const BudgetSubject *subject, BudgetEstimate *estimate)
{
	static const RequestName limits[] = {
		{NULL, "max_completion_tokens"}, {NULL, "max_output_tokens"}, {NULL, "max_tokens"},
		{NULL, "maxOutputTokens"}, {NULL, "maxTokens"}, {NULL, "max_new_tokens"},
		{"generationConfig", "maxOutputTokens"}, {"inferenceConfig", "maxTokens"},
		{"options", "num_predict"}
	};
	static const RequestName answers[] = {
		{NULL, "n"}, {"generationConfig", "candidateCount"}
	};
	int64		limit = 0;
	Jsonb	   *request;

	if (estimate->has_tokens)
		return;
	estimate->has_tokens = true;
	if (!subject->request_data.isnull &&
		JB_ROOT_IS_OBJECT(request = DatumGetJsonbP(subject->request_data.value)))
	{
		char	   *tier = jsonb_field_string(&request->root, "service_tier");

		read_request(request, estimate);
		limit = first_number(&request->root, limits, lengthof(limits), airun_max_hold_output);
		estimate->answers = first_number(&request->root, answers, lengthof(answers), MAX_ANSWERS);
		if (tier != NULL)
			estimate->service_tier = served_service_tier(tier);
	}
	estimate->answers = Max(estimate->answers, 1);
	estimate->output = (limit > 0 ? limit : airun_max_hold_output) * estimate->answers;
}

/* ---------- cost ---------- */

static char *
word(const Field *field)
{
	return field->isnull ? NULL : TextDatumGetCString(field->value);
}

/* What so much costs, or NULL where no price says that; and how much of that is for the output */
static Numeric
cost_of(const BudgetSubject *subject, const BudgetEstimate *estimate, Bucket input_bucket,
		int64 output, Numeric *output_cost)
{
	Usage		usage;
	Served		served = {.service_tier = estimate->service_tier};
	CostQuery	query = {
		.model = word(&subject->model_id),
		.provider = word(&subject->provider),
		.endpoint = word(&subject->endpoint),
		.usage = &usage,
		.served = &served,
		.at = subject->at,
	};

	usage_clear(&usage);
	usage.count[input_bucket] = usage.tokens_input = estimate->input;
	usage.count[BUCKET_OUTPUT] = usage.tokens_output = output;
	usage.count[BUCKET_REQUESTS] = 1;
	usage.is_known = true;
	return cost_by_price(&query, output_cost);
}

/* Set what the input costs, and a token of output, which some models have no rate for */
static void
set_rates(const BudgetSubject *subject, BudgetEstimate *estimate)
{
	Numeric		cost = cost_of(subject, estimate, BUCKET_INPUT, 1, &estimate->rate);

	estimate->base = cost != NULL ? decimal_sub(cost, estimate->rate) :
		cost_of(subject, estimate, BUCKET_INPUT, 0, &estimate->rate);
}

/* Work the cost out, once */
static void
estimate_cost(const BudgetSubject *subject, BudgetEstimate *estimate)
{
	Numeric		cached;
	Numeric		rate;

	estimate_tokens(subject, estimate);
	if (estimate->has_price)
		return;
	estimate->has_price = true;
	set_rates(subject, estimate);
	if (estimate->base == NULL && estimate->service_tier != NULL)
	{
		estimate->service_tier = NULL;
		set_rates(subject, estimate);
	}
	if (estimate->base == NULL || !estimate->writes_cache)
		return;
	cached = cost_of(subject, estimate, BUCKET_CACHE_WRITE_5M, 0, &rate);
	if (cached != NULL && decimal_cmp(cached, estimate->base) > 0)
		estimate->base = cached;
}

static void
set_need(BudgetNeed *need, Numeric base, Numeric rate, const BudgetEstimate *estimate)
{
	need->base = base;
	need->rate = rate;
	need->answers = estimate->answers;
	need->amount = decimal_add(base, decimal_mul(rate, decimal_of(estimate->output)));
}

/* What a task or call needs of a budget.  A tool that has no price is not held for. */
BudgetNeed
budget_need(const Budget *budget, const BudgetSubject *subject, BudgetEstimate *estimate)
{
	Numeric		zero = decimal_of(0);
	BudgetNeed	need = {.budget = budget, .base = zero, .rate = zero, .amount = zero};

	if (budget->measure == MEASURE_CALLS)
		need.base = need.amount = decimal_of(1);
	else if (subject->is_tool)
		return need;
	else if (budget->measure == MEASURE_TOKENS)
	{
		estimate_tokens(subject, estimate);
		set_need(&need, decimal_of(estimate->input), decimal_of(1), estimate);
	}
	else
	{
		estimate_cost(subject, estimate);
		if (estimate->base != NULL)
			set_need(&need, estimate->base, estimate->rate, estimate);
		else if (budget->unpriced == UNPRICED_ASSUME && budget->assumed_rate != NULL)
			set_need(&need, decimal_mul(budget->assumed_rate, decimal_of(estimate->input)),
					 budget->assumed_rate, estimate);
		else
			need.is_unpriced = budget->unpriced != UNPRICED_ALLOW && budget->is_hard;
	}
	return need;
}
