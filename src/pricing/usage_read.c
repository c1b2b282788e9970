/*
 * usage_read.c
 *		A usage as a provider or a library has sent it, read by its shape.
 *
 * The object is gone through once, to its numbers with their paths
 * (usage_leaves.c).  The first shape that one of the paths is known by says what
 * each means (usage_shapes.c, and before those airun.usage_shapes);
 * usage_settle.c makes disjoint buckets of that.  Where a usage is the sum of
 * several, those are read each by itself.
 *
 * Nothing is refused, whatever stands there.  What is no count is left out,
 * and a number that nobody has read, though its key speaks of tokens, cache,
 * units or searches, is not passed over: both leave the usage in doubt, with
 * the key named.  A string of digits is a number; null says nothing.
 *
 * Nothing is locked.
 */
#include "pricing/usage.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pricing/names.h"
#include "pricing/usage_leaves.h"
#include "pricing/usage_settle.h"
#include "pricing/usage_site.h"
#include "store/args.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* The requests of one usage; more are not counted one by one */
#define MAX_REQUESTS	1000

/* A usage that is being read */
typedef struct Reader
{
	const char *provider;
	Usage	   *usage;
	int			depth;			/* of usages within usages */
	UsageLeaves found;
} Reader;

static void read_whole(JsonbContainer *root, const char *provider, int depth, Usage *usage);

/* ---------- doubts ---------- */

/* A usage that says nothing */
void
usage_clear(Usage *usage)
{
	memset(usage, 0, sizeof(Usage));
	usage->tokens_input = usage->tokens_output = usage->tokens_total = USAGE_UNKNOWN;
}

/* Say why a usage is not to be trusted, once */
void
usage_doubt(Usage *usage, const char *format,...)
{
	va_list		args;
	char		words[400];

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	words[pg_mbcliplen(words, strlen(words), sizeof(words) - 1)] = '\0';
	for (int i = 0; i < Min(usage->doubt_count, USAGE_DOUBTS); i++)
	{
		if (strcmp(usage->doubts[i], words) == 0)
			return;
	}
	if (usage->doubt_count++ >= USAGE_DOUBTS)
		return;
	usage->doubts[usage->doubt_count - 1] = pstrdup(words);
}

/* ---------- counts ---------- */

static const char *
leaf_name(const Reader *reader, const UsageLeaf *leaf)
{
	return excerpt(leaf_path(&reader->found, leaf), leaf->len);
}

/* A string of digits, as JSON has large numbers, and OpenTelemetry all */
static bool
digits_to_count(const JsonbValue *value, int64 *count)
{
	*count = 0;
	if (value->val.string.len == 0 || value->val.string.len > 18)
		return false;
	for (int i = 0; i < value->val.string.len; i++)
	{
		char		c = value->val.string.val[i];

		if (!isdigit((unsigned char) c))
			return false;
		*count = *count * 10 + (c - '0');
	}
	return true;
}

/* The number times scale, rounded up; false where it is none that can be counted */
static bool
numeric_to_count(Numeric number, int scale, int64 *count, bool *is_whole)
{
	Datum		scaled = NumericGetDatum(number);
	Datum		whole;

	if (DatumGetInt32(DirectFunctionCall2(numeric_cmp, scaled,
										  NumericGetDatum(int64_to_numeric(USAGE_MAX)))) > 0 ||
		DatumGetInt32(DirectFunctionCall2(numeric_cmp, scaled,
										  NumericGetDatum(int64_to_numeric(0)))) < 0)
		return false;
	if (scale > 1)
		scaled = DirectFunctionCall2(numeric_round,
									 DirectFunctionCall2(numeric_mul, scaled,
														 NumericGetDatum(int64_to_numeric(scale))),
									 Int32GetDatum(0));
	whole = DirectFunctionCall1(numeric_int8, scaled);
	*count = DatumGetInt64(whole);
	*is_whole = true;
	if (scale == 1 && DatumGetInt32(DirectFunctionCall1(numeric_scale, scaled)) > 0)
	{
		whole = DirectFunctionCall1(numeric_ceil, scaled);
		*is_whole = DatumGetBool(DirectFunctionCall2(numeric_eq, scaled, whole));
		*count = DatumGetInt64(DirectFunctionCall1(numeric_int8, whole));
	}
	return true;
}

/* What a leaf counts.  Where that is nothing, it is in doubt, and false. */
static bool
leaf_count(Reader *reader, const UsageLeaf *leaf, int scale, int64 *count)
{
	const JsonbValue *value = &leaf->value;
	bool		is_whole = true;

	switch (value->type)
	{
		case jbvNumeric:
			if (!numeric_to_count(value->val.numeric, scale, count, &is_whole))
			{
				usage_doubt(reader->usage,
							"\"%s\" is left out: it is not between 0 and " INT64_FORMAT,
							leaf_name(reader, leaf), USAGE_MAX);
				return false;
			}
			if (!is_whole)
				usage_doubt(reader->usage, "\"%s\" is not whole: rounded up to " INT64_FORMAT,
							leaf_name(reader, leaf), *count);
			return true;
		case jbvString:
			if (digits_to_count(value, count) && *count <= USAGE_MAX)
			{
				*count *= scale;
				return true;
			}
			usage_doubt(reader->usage, "\"%s\" is left out: a string is no count",
						leaf_name(reader, leaf));
			return false;
		case jbvBool:
			usage_doubt(reader->usage, "\"%s\" is left out: a boolean is no count",
						leaf_name(reader, leaf));
			return false;
		default:
			return false;		/* empty: it says nothing, as PHP writes {} */
	}
}

/* ---------- by a shape ---------- */

static bool
path_is(const Reader *reader, const UsageLeaf *leaf, const char *path)
{
	/* the last character tells most of them apart, and the length */
	size_t		len = strlen(path);

	return len == leaf->len && memcmp(leaf_path(&reader->found, leaf), path, len) == 0;
}

static bool
path_is_known(const Reader *reader, const UsageLeaf *leaf, const char *path)
{
	size_t		len = strlen(path);

	if (len > 0 && path[len - 1] == '.')
		return len < leaf->len && memcmp(leaf_path(&reader->found, leaf), path, len) == 0;
	return path_is(reader, leaf, path);
}

static bool
is_recognised(const Reader *reader, const UsageShape *shape)
{
	if (shape->provider != NULL && !provider_is(reader->provider, shape->provider))
		return false;
	for (const char *const *path = shape->known_by; *path != NULL; path++)
	{
		for (int i = 0; i < reader->found.count; i++)
		{
			if (path_is_known(reader, &reader->found.leaves[i], *path))
				return true;
		}
	}
	return false;
}

static const UsageShape *
recognise(const Reader *reader)
{
	const UsageShape *shapes;
	int			count = usage_site_shapes(&shapes);

	for (int i = 0; i < count; i++)
	{
		if (is_recognised(reader, &shapes[i]))
			return &shapes[i];
	}
	return NULL;
}

static const UsagePath *
find_path(const Reader *reader, const UsageLeaf *leaf, const UsagePath *paths)
{
	for (; paths != NULL && paths->path != NULL; paths++)
	{
		if (path_is(reader, leaf, paths->path))
			return paths;
	}
	return NULL;
}

/*
 * Add up what stands under one path; of several paths to one part all must say
 * the same, where they say anything.
 */
static void
put_part(Reader *reader, UsageParts *parts, const UsagePath **sources, const UsagePath *path,
		 int64 count)
{
	int64	   *stated = &parts->count[path->part];

	if (*stated == USAGE_UNKNOWN || (sources[path->part] != path && *stated == 0))
		*stated = count;
	else if (sources[path->part] == path)
		*stated = Min(*stated + count, USAGE_MAX);
	else if (count == 0)
		return;
	else if (*stated != count)
	{
		usage_doubt(reader->usage, "\"%s\" is " INT64_FORMAT ", \"%s\" is " INT64_FORMAT,
					sources[path->part]->path, *stated, path->path, count);
		*stated = Max(*stated, count);
		return;
	}
	sources[path->part] = path;
}

/* Read the leaves that the shape, or any, knows */
static void
read_leaves(Reader *reader, const UsageShape *shape, UsageParts *parts)
{
	const UsagePath *sources[PART_COUNT] = {NULL};

	for (int i = 0; i < PART_COUNT; i++)
		parts->count[i] = USAGE_UNKNOWN;
	for (int i = 0; i < reader->found.count; i++)
	{
		UsageLeaf	   *leaf = &reader->found.leaves[i];
		const UsagePath *path = NULL;
		int64		count;
		int			scale;

		if (shape != NULL && (path = find_path(reader, leaf, shape->more_paths)) == NULL)
			path = find_path(reader, leaf, shape->paths);
		if (path == NULL)
			path = find_path(reader, leaf, usage_units);
		if (path == NULL)
			continue;
		leaf->is_read = true;
		scale = path->part == PART_INPUT_SECONDS || path->part == PART_OUTPUT_SECONDS ? 1000 : 1;
		if (path->part != PART_IGNORED && leaf_count(reader, leaf, scale, &count))
			put_part(reader, parts, sources, path, count);
	}
}

/* What is counted beside tokens */
static void
take_units(const UsageParts *parts, Usage *usage)
{
	usage->count[BUCKET_REQUESTS] = 1;
	for (int i = PART_REQUESTS; i <= PART_PAGES; i++)
	{
		if (parts->count[i] == USAGE_UNKNOWN)
			continue;
		usage->count[PART_UNIT_BUCKET(i)] = parts->count[i];
		usage->is_known = true;
	}
}

/* ---------- what nobody has read ---------- */

/* The next word of a path: letters, up to a capital behind a small one */
static int
next_word(const char *path, int len, int *at, char *word, int word_space)
{
	int			word_len = 0;

	while (*at < len && !isalpha((unsigned char) path[*at]))
		(*at)++;
	while (*at < len && isalpha((unsigned char) path[*at]))
	{
		if (word_len > 0 && isupper((unsigned char) path[*at]) &&
			islower((unsigned char) path[*at - 1]))
			break;
		if (word_len < word_space - 1)
			word[word_len++] = pg_ascii_tolower((unsigned char) path[*at]);
		(*at)++;
	}
	word[word_len] = '\0';
	return word_len;
}

/* Does the path speak of something that is counted, and of nothing else? */
static bool
speaks_of_counts(const char *path, int len)
{
	char		word[64];
	int			at = 0;
	bool		counts = false;

	while (next_word(path, len, &at, word, sizeof(word)) > 0)
	{
		for (const char *const *other = usage_other_words; *other != NULL; other++)
		{
			if (strcmp(word, *other) == 0)
				return false;
		}
		for (const char *const *counting = usage_counting_words; *counting != NULL; counting++)
			counts |= strncmp(word, *counting, strlen(*counting)) == 0 ||
				(strlen(*counting) > 4 && strstr(word, *counting) != NULL);
	}
	return counts;
}

/* Does a string say a number that is not zero, such as "12", "1.5" or "-2e3"? */
static bool
says_number(const JsonbValue *string)
{
	char		number[32];
	char	   *end;
	int			len = string->val.string.len;

	if (len == 0 || len >= sizeof(number))
		return false;
	memcpy(number, string->val.string.val, len);
	number[len] = '\0';
	if (strspn(number, "0123456789+-.eE") < len)
		return false;
	return strtod(number, &end) != 0 && *end == '\0';
}

/* Is it no number, or zero? */
static bool
is_zero(const JsonbValue *value)
{
	if (value->type == jbvNumeric)
		return DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(value->val.numeric),
												NumericGetDatum(int64_to_numeric(0))));
	return value->type != jbvString || !says_number(value);
}

/* Is it in an object that stands where the shape has a number? */
static bool
is_inside_of_path(const Reader *reader, const UsageLeaf *leaf, const UsageShape *shape)
{
	const char *text = leaf_path(&reader->found, leaf);

	for (const UsagePath *path = shape == NULL ? NULL : shape->paths;
		 path != NULL && path->path != NULL; path++)
	{
		size_t		len = strlen(path->path);

		if (path->part != PART_IGNORED && len < leaf->len &&
			(text[len] == '.' || text[len] == '[') && memcmp(text, path->path, len) == 0)
			return true;
	}
	return false;
}

static void
doubt_unread(Reader *reader, const UsageShape *shape)
{
	for (int i = 0; i < reader->found.count; i++)
	{
		const UsageLeaf *leaf = &reader->found.leaves[i];

		if (!leaf->is_read && !is_zero(&leaf->value) &&
			(speaks_of_counts(leaf_path(&reader->found, leaf), leaf->len) ||
			 is_inside_of_path(reader, leaf, shape)))
			usage_doubt(reader->usage, "nobody knows what \"%s\" is", leaf_name(reader, leaf));
	}
	if (reader->found.is_cut)
		usage_doubt(reader->usage, "it is too large to be read whole");
}

/* ---------- lists of usages ---------- */

static void
add_request(Usage *sum, const Usage *usage, const char *model, int model_len)
{
	UsageRequest *request;

	if (sum->request_count == 0)
		sum->requests = palloc_object(UsageRequest);
	else if ((sum->request_count & (sum->request_count - 1)) == 0)
		sum->requests = repalloc_array(sum->requests, UsageRequest, sum->request_count * 2);
	request = &sum->requests[sum->request_count++];
	memcpy(request->count, usage->count, sizeof(request->count));
	request->model = model == NULL ? NULL : pnstrdup(model, model_len);
	for (int i = 0; i < BUCKET_COUNT; i++)
		sum->count[i] += usage->count[i];
	if (usage->tokens_input != USAGE_UNKNOWN)
		sum->tokens_input = Max(sum->tokens_input, 0) + usage->tokens_input;
	if (usage->tokens_output != USAGE_UNKNOWN)
		sum->tokens_output = Max(sum->tokens_output, 0) + usage->tokens_output;
	if (usage->tokens_total != USAGE_UNKNOWN)
		sum->tokens_total = Max(sum->tokens_total, 0) + usage->tokens_total;
	sum->is_total_alone |= usage->is_total_alone;
	sum->input_is_open |= usage->input_is_open;
	sum->output_is_open |= usage->output_is_open;
	sum->is_known = true;
}

/* One element of a list: a usage, or something that has one; its doubts are the sum's */
static void
add_element(Reader *reader, const FoundList *found, JsonbValue *element, const JsonbValue *key,
			Usage *sum)
{
	Usage		usage;
	JsonbValue	model = {.type = jbvNull};

	if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data))
		return;
	if (sum->request_count >= MAX_REQUESTS)
	{
		usage_doubt(sum, "\"%s\" has more than %d elements", found->list->path, MAX_REQUESTS);
		return;
	}
	usage_clear(&usage);
	read_whole(element->val.binary.data, reader->provider, reader->depth + 1, &usage);
	for (int i = 0; i < Min(usage.doubt_count, USAGE_DOUBTS); i++)
		usage_doubt(sum, "%s", usage.doubts[i]);
	if (!usage.is_known)
		return;
	if (found->list->names_models && key != NULL)
		model = *key;
	else if (jsonb_field(element->val.binary.data, "model", &model) && model.type != jbvString)
		model.type = jbvNull;
	if (usage.request_count > 0)
	{
		for (int i = 0; i < usage.request_count; i++)
		{
			Usage		part;

			usage_clear(&part);
			memcpy(part.count, usage.requests[i].count, sizeof(part.count));
			add_request(sum, &part, usage.requests[i].model,
						usage.requests[i].model == NULL ? 0 : strlen(usage.requests[i].model));
		}
		sum->tokens_input = Max(sum->tokens_input, 0) + Max(usage.tokens_input, 0);
		sum->tokens_output = Max(sum->tokens_output, 0) + Max(usage.tokens_output, 0);
		sum->tokens_total = Max(sum->tokens_total, 0) + Max(usage.tokens_total, 0);
	}
	else
		add_request(sum, &usage, model.type == jbvString ? model.val.string.val : NULL,
					model.type == jbvString ? model.val.string.len : 0);
}

static void
read_list(Reader *reader, const FoundList *found, Usage *sum)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	JsonbValue	key;

	if (found->list->kind == LIST_COPY)
	{
		read_whole(found->container, reader->provider, reader->depth + 1, sum);
		return;
	}
	it = JsonbIteratorInit(found->container);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = value;
		else if (token == WJB_VALUE)
			add_element(reader, found, &value, &key, sum);
		else if (token == WJB_ELEM)
			add_element(reader, found, &value, NULL, sum);
	}
}

/* Put another reading in place of what has been counted; doubts stay with both */
static void
replace_counts(Usage *usage, const Usage *other, bool is_requests)
{
	Usage		old = *usage;

	*usage = *other;
	usage->doubt_count = old.doubt_count;
	memcpy(usage->doubts, old.doubts, sizeof(old.doubts));
	for (int i = 0; i < Min(other->doubt_count, USAGE_DOUBTS); i++)
		usage_doubt(usage, "%s", other->doubts[i]);

	/* units that only the sum states are counted with the first request */
	for (int i = BUCKET_REQUESTS; i < BUCKET_COUNT; i++)
	{
		int64		all = Max(old.count[i], other->count[i]);

		if (i == BUCKET_REQUESTS && !is_requests)
			all = old.count[i];
		if (usage->request_count > 0)
			usage->requests[0].count[i] += all - usage->count[i];
		usage->count[i] = all;
	}
}

static bool
same_tokens(const Usage *a, const Usage *b)
{
	return a->tokens_input == b->tokens_input && a->tokens_output == b->tokens_output;
}

/*
 * A usage that says the same as the one around it, more finely: what it says
 * counts where both come to the same.
 */
static void
take_copy(const FoundList *found, const Usage *copy, Usage *usage)
{
	if (!copy->is_known)
	{
		for (int i = 0; i < Min(copy->doubt_count, USAGE_DOUBTS); i++)
			usage_doubt(usage, "%s", copy->doubts[i]);
		return;
	}
	if (!usage->is_known || same_tokens(copy, usage))
		replace_counts(usage, copy, false);
	else
	{
		usage_doubt(usage, "\"%s\" says " INT64_FORMAT " and " INT64_FORMAT
					" tokens, what is around it " INT64_FORMAT " and " INT64_FORMAT,
					found->list->path, copy->tokens_input, copy->tokens_output,
					usage->tokens_input, usage->tokens_output);
		if (copy->tokens_input >= usage->tokens_input &&
			copy->tokens_output >= usage->tokens_output)
			replace_counts(usage, copy, false);
	}
}

/* A list and what stands beside it: the larger one counts */
static void
take_list(Reader *reader, const FoundList *found)
{
	Usage	   *usage = reader->usage;
	Usage		sum;
	bool		is_less;

	if (reader->depth >= USAGE_MAX_DEPTH)
	{
		usage_doubt(usage, "\"%s\" is too deep to be read", found->list->path);
		return;
	}
	usage_clear(&sum);
	read_list(reader, found, &sum);
	if (found->list->kind == LIST_COPY)
	{
		take_copy(found, &sum, usage);
		return;
	}
	if (!sum.is_known)
	{
		for (int i = 0; i < Min(sum.doubt_count, USAGE_DOUBTS); i++)
			usage_doubt(usage, "%s", sum.doubts[i]);
		return;
	}
	is_less = sum.tokens_input < usage->tokens_input || sum.tokens_output < usage->tokens_output;
	if (is_less ||
		(found->list->kind == LIST_SAME && usage->is_known && !same_tokens(&sum, usage)))
		usage_doubt(usage, "\"%s\" comes to " INT64_FORMAT " and " INT64_FORMAT
					" tokens, what stands beside it is " INT64_FORMAT " and " INT64_FORMAT,
					found->list->path, sum.tokens_input, sum.tokens_output,
					usage->tokens_input, usage->tokens_output);
	else if (same_tokens(&sum, usage) &&
			 memcmp(sum.count, usage->count, sizeof(int64) * (BUCKET_OUTPUT_VIDEO + 1)) != 0)
		usage_doubt(usage, "\"%s\" has its tokens in other parts than what stands beside it",
					found->list->path);
	if (!is_less)
		replace_counts(usage, &sum, found->list->is_requests);
}

/* ---------- the whole ---------- */

/* Read a container whose leaves have been found, by a shape, which may be NULL */
static void
read_by_shape(Reader *reader, const UsageShape *shape)
{
	UsageParts	parts;
	Usage	   *usage = reader->usage;

	read_leaves(reader, shape, &parts);
	take_units(&parts, usage);
	if (shape != NULL)
		usage_settle(&parts, shape->flags, usage);
	usage->is_known |= usage->tokens_input != USAGE_UNKNOWN ||
		usage->tokens_output != USAGE_UNKNOWN;
	for (int i = 0; i < reader->found.list_count; i++)
		take_list(reader, &reader->found.lists[i]);
	doubt_unread(reader, shape);
}

static void
reader_begin(Reader *reader, JsonbContainer *container, const char *provider, int depth,
			 Usage *usage)
{
	reader->provider = provider;
	reader->usage = usage;
	reader->depth = depth;
	usage_find_leaves(container, &reader->found);
}

/* The container at a path of keys, or NULL */
static JsonbContainer *
find_container(JsonbContainer *root, const char *path)
{
	while (root != NULL)
	{
		const char *end = strchr(path, '.');
		JsonbValue	value;

		if (!JsonContainerIsObject(root) ||
			getKeyJsonValueFromContainer(root, path,
										 end == NULL ? strlen(path) : end - path,
										 &value) == NULL ||
			value.type != jbvBinary || JsonContainerSize(value.val.binary.data) == 0)
			return NULL;
		root = value.val.binary.data;
		if (end == NULL)
			return root;
		path = end + 1;
	}
	return NULL;
}

/* Lists that stand beside the usage in a whole answer */
static void
take_lists_of_root(JsonbContainer *root, Reader *reader)
{
	for (int i = 0; i < usage_list_count; i++)
	{
		const UsageList *list = &usage_lists[i];
		FoundList	found = {list, find_container(root, list->path)};

		if (found.container != NULL && list->kind == LIST_MORE)
			take_list(reader, &found);
	}
}

/*
 * Read the usage that stands under the first of these keys where there is one
 * with a shape.  first gets the first that there is at all, if it is NULL.
 */
static bool
read_inner(JsonbContainer *root, const char *const *paths, Reader *reader,
		   const char *provider, int depth, Usage *usage, JsonbContainer **first)
{
	for (; *paths != NULL; paths++)
	{
		JsonbContainer *inner = find_container(root, *paths);
		const UsageShape *shape;

		if (inner == NULL)
			continue;
		reader_begin(reader, inner, provider, depth, usage);
		shape = recognise(reader);
		if (shape == NULL && reader->found.list_count == 0)
		{
			*first = *first == NULL ? inner : *first;
			continue;
		}
		read_by_shape(reader, shape);
		take_lists_of_root(root, reader);
		return true;
	}
	return false;
}

/* Is there anything in the object but plain values? */
static bool
has_containers(JsonbContainer *object)
{
	int			count = JsonContainerSize(object);

	for (int i = 0; i < count; i++)
	{
		if (JBE_ISCONTAINER(object->children[count + i]))
			return true;
	}
	return false;
}

/*
 * Read a usage, or a whole answer that has it under one of the keys that are
 * known, or else whatever the object has.
 */
static void
read_whole(JsonbContainer *root, const char *provider, int depth, Usage *usage)
{
	Reader		reader;
	const UsageShape *shape;
	JsonbContainer *first = NULL;
	bool		may_be_inside = JsonContainerIsObject(root) && has_containers(root);

	check_stack_depth();
	if (may_be_inside &&
		read_inner(root, usage_wrappers, &reader, provider, depth, usage, &first))
		return;
	reader_begin(&reader, root, provider, depth, usage);
	shape = recognise(&reader);
	if (shape == NULL && may_be_inside &&
		read_inner(root, usage_inner_wrappers, &reader, provider, depth, usage, &first))
		return;
	if (shape == NULL && may_be_inside)
		reader_begin(&reader, first != NULL ? first : root, provider, depth, usage);
	read_by_shape(&reader, shape);
}

/*
 * Understand a usage.  provider, who sent it, may be NULL.  One that says
 * nothing that is known leaves is_known false.
 */
void
usage_read(Jsonb *raw, const char *provider, Usage *usage)
{
	usage_clear(usage);
	if (JB_ROOT_IS_SCALAR(raw))
	{
		usage->count[BUCKET_REQUESTS] = 1;
		if (getIthJsonbValueFromContainer(&raw->root, 0)->type != jbvNull)
			usage_doubt(usage, "it is no JSON object");
		return;
	}
	read_whole(&raw->root, provider, 0, usage);
}

/* ---------- the chunks of a stream ---------- */

/* Does it say what went in? */
static bool
has_input(const Usage *usage)
{
	return usage->tokens_input != USAGE_UNKNOWN || usage->request_count > 0;
}

/* Take what went in from a chunk that came before, as Anthropic's streams begin with it */
static void
take_input(const Usage *chunk, Usage *usage)
{
	for (int i = 0; BUCKET_IS_INPUT(i); i++)
		usage->count[i] = chunk->count[i];
	usage->tokens_input = chunk->tokens_input;
	usage->input_is_open = chunk->input_is_open;
	usage->tokens_total = chunk->tokens_input + Max(usage->tokens_output, 0);
	for (int i = 0; i < Min(chunk->doubt_count, USAGE_DOUBTS); i++)
		usage_doubt(usage, "%s", chunk->doubts[i]);
}

/*
 * How long the cache keeps what was written, where an earlier chunk alone says so: the last
 * one of Anthropic's has the sum.  What has been written since is kept for a short time.
 */
static bool
take_cache_times(const Usage *chunk, Usage *usage)
{
	int64	   *shortly = &usage->count[BUCKET_CACHE_WRITE_5M];
	int64		hour = chunk->count[BUCKET_CACHE_WRITE_1H];

	if (hour == 0 || chunk->count[BUCKET_CACHE_WRITE_5M] + hour > *shortly)
		return false;
	usage->count[BUCKET_CACHE_WRITE_1H] = hour;
	*shortly -= hour;
	return true;
}

/* Does the usage of a stream leave open what an earlier chunk may say? */
static bool
lacks_cache_times(const Usage *usage)
{
	return usage->request_count == 0 && usage->count[BUCKET_CACHE_WRITE_5M] > 0 &&
		usage->count[BUCKET_CACHE_WRITE_1H] == 0;
}

/*
 * Understand the usage of a stream, whose chunks say what has been used so far:
 * that of the last chunk that has one.  What went in may stand in one before it.
 */
static void
read_chunks(Jsonb *chunks, const char *provider, Usage *usage)
{
	for (int i = JB_ROOT_COUNT(chunks) - 1; i >= 0; i--)
	{
		JsonbValue *chunk = getIthJsonbValueFromContainer(&chunks->root, i);
		Usage		found;

		CHECK_FOR_INTERRUPTS();
		if (chunk->type != jbvBinary)
			continue;
		usage_clear(&found);
		read_whole(chunk->val.binary.data, provider, 1, &found);
		if (!usage->is_known)
		{
			if (found.is_known)
				*usage = found;
		}
		else if (!has_input(usage))
		{
			if (found.tokens_input != USAGE_UNKNOWN)
				take_input(&found, usage);
		}
		else if (take_cache_times(&found, usage))
			return;
		if (usage->is_known && has_input(usage) && !lacks_cache_times(usage))
			return;
	}
}

/*
 * Understand the usage in a whole answer, or in an array of its chunks.  False, and
 * nothing is said, where it has none that is known: an answer is no usage, and may
 * have any keys.
 */
bool
usage_read_answer(Jsonb *answer, const char *provider, Usage *usage)
{
	if (JB_ROOT_IS_SCALAR(answer))
		return false;
	usage_clear(usage);
	if (JB_ROOT_IS_ARRAY(answer))
		read_chunks(answer, provider, usage);
	else
		read_whole(&answer->root, provider, 0, usage);
	return usage->is_known;
}
