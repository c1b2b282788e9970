/*
 * budget_estimate.c
 *		What a task or call that starts may use and cost at the most.
 *
 * Input: the words of the request, counted as airun_context() counts them; an image or
 * another file, sent or named, is airun.max_hold_file.  Output: what the request allows,
 * for each answer that it asks for, and at the most airun.max_hold_output, which counts
 * where it says nothing that is a number.  What it allows for thinking is a part of that,
 * unless it is as much alone: such a provider counts it apart.  The names by which
 * requests say so are lists.  Cost: these by the price book, at the rates of the length
 * that the input has, in the service tier that is asked for, and where the request has
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

/* Keys on the way to a value in a request, NULL behind the last */
typedef const char *KeyPath[4];

/* How much may come out, of each answer */
static const KeyPath limits[] = {
	{"max_completion_tokens"}, {"max_output_tokens"}, {"max_tokens"}, {"maxOutputTokens"},
	{"maxTokens"}, {"max_new_tokens"}, {"max_tokens_to_sample"}, {"max_gen_len"},
	{"generationConfig", "maxOutputTokens"}, {"generation_config", "max_output_tokens"},
	{"config", "maxOutputTokens"}, {"inferenceConfig", "maxTokens"},
	{"textGenerationConfig", "maxTokenCount"}, {"options", "num_predict"},
	{"parameters", "max_new_tokens"}, {"parameters", "maxOutputTokens"}
};

/* How much of it, or beside it, for thinking */
static const KeyPath thinking[] = {
	{"thinking", "budget_tokens"}, {"reasoning", "max_tokens"}, {"thinking_budget"},
	{"generationConfig", "thinkingConfig", "thinkingBudget"},
	{"generation_config", "thinking_config", "thinking_budget"},
	{"config", "thinkingConfig", "thinkingBudget"},
	{"additionalModelRequestFields", "thinking", "budget_tokens"},
	{"additionalModelRequestFields", "reasoning_config", "budget_tokens"}
};

/* How many answers; who has the best of several pays for all */
static const KeyPath answers[] = {
	{"best_of"}, {"n"}, {"generationConfig", "candidateCount"},
	{"generation_config", "candidate_count"}, {"config", "candidateCount"},
	{"num_return_sequences"}, {"num_generations"}
};

/* Where a string names a file: its key, and where that says nothing alone the key around it */
static const KeyPath file_names[] = {
	{"image_url"}, {"file_id"}, {"file_url"}, {"file_uri"}, {"fileUri"}, {"url", "image_url"},
	{"url", "video_url"}, {"url", "source"}, {"uri", "s3Location"}
};

/* ---------- tokens ---------- */

/* Keys around a value; what is deeper has none */
#define KEYS	64

typedef struct Place
{
	int			depth;
	JsonbValue	keys[KEYS];
} Place;

static bool
is_below(const Place *place, int up, const char *key)
{
	int			depth = place->depth - up;

	return depth >= 0 && depth < KEYS && place->keys[depth].type == jbvString &&
		jsonb_string_is(&place->keys[depth], key);
}

/* Go into an object or array; what is in an array has the key of that */
static void
go_in(Place *place, bool is_object)
{
	place->depth++;
	if (place->depth < KEYS)
	{
		place->keys[place->depth].type = jbvNull;
		if (!is_object && place->depth > 0)
			place->keys[place->depth] = place->keys[place->depth - 1];
	}
}

/* Is a string a file, rather than something to be read? */
static bool
is_file(const Place *place, const char *string, int length)
{
	for (int i = 0; i < lengthof(file_names); i++)
	{
		if (is_below(place, 0, file_names[i][0]) &&
			(file_names[i][1] == NULL || is_below(place, 1, file_names[i][1])))
			return true;
	}
	if (length >= 5 && strncmp(string, "data:", 5) == 0)
		return true;
	return length > LONGEST_WORD && memchr(string, ' ', LONGEST_WORD) == NULL &&
		memchr(string, '\n', LONGEST_WORD) == NULL;
}

/* The tokens of a string, in quarters */
static int64
quarters_of(const Place *place, const JsonbValue *value)
{
	const char *string = value->val.string.val;
	int			length = value->val.string.len;

	return is_file(place, string, length) ? (int64) airun_max_hold_file * 4 :
		tokens_in_quarters(string, length);
}

/* Count the words of a request, and look whether any of it shall be cached */
static void
read_request(Jsonb *request, BudgetEstimate *estimate)
{
	JsonbIterator *it = JsonbIteratorInit(&request->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	Place		place = {.depth = -1};
	int64		quarters = 0;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		if (token == WJB_BEGIN_OBJECT || token == WJB_BEGIN_ARRAY)
			go_in(&place, token == WJB_BEGIN_OBJECT);
		else if (token == WJB_END_OBJECT || token == WJB_END_ARRAY)
			place.depth--;
		else if (token == WJB_KEY)
		{
			if (place.depth < KEYS)
				place.keys[place.depth] = value;
			estimate->writes_cache |= jsonb_string_is(&value, "cache_control") ||
				jsonb_string_is(&value, "cachePoint");
		}
		else if (value.type == jbvString)
			quarters += quarters_of(&place, &value);
	}
	estimate->input = (quarters + 3) / 4;
}

/* A whole number from 1 to most at the end of a path; else 0 */
static int64
number_at(JsonbContainer *request, const KeyPath path, int64 most)
{
	JsonbValue	value;
	Numeric		number;

	for (; path[1] != NULL; path++)
	{
		if (!jsonb_field(request, path[0], &value) || value.type != jbvBinary ||
			!JsonContainerIsObject(value.val.binary.data))
			return 0;
		request = value.val.binary.data;
	}
	if (!jsonb_field(request, path[0], &value) || value.type != jbvNumeric)
		return 0;
	number = value.val.numeric;
	if (numeric_is_nan(number) || numeric_is_inf(number) || decimal_sign(number) <= 0)
		return 0;
	if (decimal_cmp(number, decimal_of(most)) > 0)
		return most;
	return Max(DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(number))), 1);
}

/* That at the first of several paths that has one */
static int64
first_number(JsonbContainer *request, const KeyPath *paths, int count, int64 most)
{
	int64		number = 0;

	for (int i = 0; i < count && number == 0; i++)
		number = number_at(request, paths[i], most);
	return number;
}

/* What may come out of each answer */
static int64
output_limit(JsonbContainer *request)
{
	int64		most = airun_max_hold_output;
	int64		limit = first_number(request, limits, lengthof(limits), most);
	int64		apart = first_number(request, thinking, lengthof(thinking), most);

	if (limit == 0)
		return most;
	return apart < limit ? limit : Min(limit + apart, most);
}

/* Work the tokens out, once */
static void
estimate_tokens(const BudgetSubject *subject, BudgetEstimate *estimate)
{
	int64		output = airun_max_hold_output;
	Jsonb	   *request;

	if (estimate->has_tokens)
		return;
	estimate->has_tokens = true;
	if (!subject->request_data.isnull &&
		JB_ROOT_IS_OBJECT(request = DatumGetJsonbP(subject->request_data.value)))
	{
		char	   *tier = jsonb_field_string(&request->root, "service_tier");

		read_request(request, estimate);
		output = output_limit(&request->root);
		estimate->answers = first_number(&request->root, answers, lengthof(answers), MAX_ANSWERS);
		if (tier != NULL)
			estimate->service_tier = served_service_tier(tier);
	}
	estimate->answers = Max(estimate->answers, 1);
	estimate->output = output * estimate->answers;
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
