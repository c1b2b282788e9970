/*
 * served.c
 *		What an answer says about how it was served, and what it was charged.
 *
 * What is priced is what was served: the model that answered, which may be
 * another one than was asked for, the service tier, the region and the speed.
 * Some who serve also state what they charge.  The tables here say under which
 * keys this stands; the first that says anything counts, those of the whole
 * answer before those of the usage in it.
 *
 * Nothing is refused: what is no word, or no amount, is passed over.  Nothing
 * is locked.
 */
#include "pricing/served.h"

#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "pricing/names.h"
#include "pricing/price_terms.h"
#include "pricing/rate_collector.h"
#include "pricing/usage_shapes.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

typedef enum ServedPart
{
	SERVED_MODEL,
	SERVED_TIER,
	SERVED_REGION,
	SERVED_SPEED,
	SERVED_COST,				/* a number, times the factor in "means" if there is one */
	SERVED_OWN_KEY,				/* true: the cost is a fee, and the next comes on top of it */
	SERVED_UPSTREAM_COST,
	SERVED_CACHED				/* true */
} ServedPart;

/* Where it stands: keys joined by points; what is behind = is one key, with its points */
typedef struct ServedPath
{
	ServedPart	part;
	const char *path;
	const char *means;			/* the word that it means to be there at all, or NULL */
	uint64		bit;			/* of its first key, once it is known */
} ServedPath;

/* In what an answer may be wrapped */
static const char *const answers[] = {
	"response", "message", "body", "response.body", "result", "result.message", "data",
	"response_metadata", "llm_output", NULL
};

/* In an answer */
static ServedPath of_answer[] = {
	{SERVED_MODEL, "model"},
	{SERVED_MODEL, "modelVersion"},
	{SERVED_MODEL, "model_version"},
	{SERVED_MODEL, "modelId"},
	{SERVED_MODEL, "modelID"},
	{SERVED_MODEL, "model_name"},
	{SERVED_MODEL, "trace.promptRouter.invokedModelId"},
	{SERVED_MODEL, "=gen_ai.response.model"},
	{SERVED_MODEL, "attributes.=gen_ai.response.model"},
	{SERVED_TIER, "service_tier"},
	{SERVED_TIER, "serviceTier"},
	{SERVED_TIER, "serviceTier.type"},
	{SERVED_TIER, "providerMetadata.openai.serviceTier"},
	{SERVED_TIER, "providerMetadata.google.serviceTier"},
	{SERVED_TIER, "providerMetadata.google.usageMetadata.trafficType"},
	{SERVED_TIER, "providerMetadata.vertex.usageMetadata.trafficType"},
	{SERVED_TIER, "providerMetadata.anthropic.usage.service_tier"},
	{SERVED_TIER, "=gen_ai.openai.response.service_tier"},
	{SERVED_TIER, "=openai.response.service_tier"},
	{SERVED_REGION, "inference_geo"},
	{SERVED_REGION, "providerMetadata.anthropic.usage.inference_geo"},
	{SERVED_SPEED, "speed"},
	{SERVED_SPEED, "performanceConfig.latency"},
	{SERVED_SPEED, "providerMetadata.anthropic.usage.speed"},
	{SERVED_COST, "response_cost"},
	{SERVED_COST, "_hidden_params.response_cost"},
	{SERVED_COST, "providerMetadata.gateway.cost"},
	{SERVED_COST, "providerMetadata.openrouter.usage.cost"},
	{SERVED_CACHED, "cache_hit"},
	{SERVED_CACHED, "_hidden_params.cache_hit"},
	{0}
};

/* In a usage */
static ServedPath of_usage[] = {
	{SERVED_TIER, "service_tier"},
	{SERVED_TIER, "serviceTier"},
	{SERVED_TIER, "serviceTier.type"},
	{SERVED_TIER, "trafficType"},
	{SERVED_TIER, "traffic_type"},
	{SERVED_TIER, "raw.service_tier"},
	{SERVED_TIER, "raw.trafficType"},
	{SERVED_REGION, "inference_geo"},
	{SERVED_REGION, "inferenceGeo"},
	{SERVED_REGION, "raw.inference_geo"},
	{SERVED_SPEED, "speed"},
	{SERVED_SPEED, "raw.speed"},
	{SERVED_COST, "cost"},
	{SERVED_COST, "cost.total_cost"},
	{SERVED_COST, "estimated_cost"},
	{SERVED_COST, "cost_in_usd_ticks", "0.0000000001"},
	{SERVED_COST, "raw.cost"},
	{SERVED_OWN_KEY, "is_byok"},
	{SERVED_UPSTREAM_COST, "cost_details.upstream_inference_cost"},
	{0}
};

/* Around an answer */
static ServedPath around[] = {
	/* a line of the file that OpenAI's batches come in */
	{SERVED_TIER, "response.body.usage", "batch"},
	{SERVED_COST, "headers.x-litellm-response-cost"},
	{0}
};

/* Service tiers in other words than prices have them; NULL is the usual service */
static const char *const tier_words[][2] = {
	{"", NULL}, {"standard", NULL}, {"default", NULL}, {"auto", NULL},
	{"standard_only", NULL}, {"on_demand", NULL}, {"traffic_type_unspecified", NULL},
	{"unspecified", NULL}, {"service_tier_unspecified", NULL},
	{"on_demand_priority", "priority"}, {"on_demand_flex", "flex"},
	{"provisioned_throughput", "provisioned"},
	{"fast", "priority"}, {"batches", "batch"},
};

/* Regions and speeds that are nothing out of the ordinary */
static const char *const plain_regions[] = {"", "global", "not_available", "default"};
static const char *const plain_speeds[] = {"", "standard", "default", "normal"};

/* Hosts whose name has the region in front of this, which some prices know */
static const char *const regional_hosts[] = {
	".api.openai.com", "-aiplatform.googleapis.com",
};

/* ---------- words ---------- */

static bool
is_one_of(const char *word, const char *const *words, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (strcmp(word, words[i]) == 0)
			return true;
	}
	return false;
}

/*
 * What a service tier is called here, or NULL for the service without one.
 * Providers say the same in several words.
 */
char *
service_tier_word(const char *name)
{
	char	   *normalized = name_normalize(name);

	for (int i = 0; i < lengthof(tier_words); i++)
	{
		if (strcmp(normalized, tier_words[i][0]) == 0)
			return tier_words[i][1] == NULL ? NULL : pstrdup(tier_words[i][1]);
	}
	return normalized;
}

/* What is kept of a service tier's name: as prices have it, or else as it was said */
char *
served_service_tier(const char *name)
{
	char	   *word = service_tier_word(name);

	return word != NULL ? word : name_normalize(name);
}

/* Is the region none that could cost more? */
bool
served_region_is_plain(const char *region)
{
	return is_one_of(region, plain_regions, lengthof(plain_regions));
}

/* Is the speed the usual one? */
bool
served_speed_is_plain(const char *speed)
{
	return is_one_of(speed, plain_speeds, lengthof(plain_speeds));
}

/* The region in the host of what was called, or NULL */
char *
served_region_of_endpoint(const char *endpoint)
{
	const char *host = strstr(endpoint, "://");
	size_t		len;

	host = host == NULL ? endpoint : host + 3;
	len = strcspn(host, "/:?");
	for (int i = 0; i < lengthof(regional_hosts); i++)
	{
		size_t		end = strlen(regional_hosts[i]);

		if (len > end && memcmp(host + len - end, regional_hosts[i], end) == 0)
			return name_normalize(pnstrdup(host, len - end));
	}
	return NULL;
}

/* ---------- reading ---------- */

/*
 * An object, and which keys it may have: one bit for each, by its first letter and
 * its length.  Of a hundred paths all but a few need no look into it.
 */
typedef struct Keys
{
	JsonbContainer *object;
	uint64		bits;
} Keys;

#define KEY_BIT(first, len)	(UINT64CONST(1) << (((unsigned char) (first) + 7 * (len)) & 63))

static void
know_keys(Keys *keys, JsonbContainer *object)
{
	int			count = JsonContainerSize(object);
	char	   *base = (char *) &object->children[2 * count];

	keys->object = object;
	keys->bits = 0;
	for (int i = 0; i < count; i++)
	{
		uint32		len = getJsonbLength(object, i);

		if (len > 0)
			keys->bits |= KEY_BIT(base[getJsonbOffset(object, i)], len);
	}
}

/* What stands at a path of keys */
static bool
find_value(JsonbContainer *root, const char *path, JsonbValue *value)
{
	const char *end = path[0] == '=' ? NULL : strchr(path, '.');

	if (!JsonContainerIsObject(root))
		return false;
	if (end == NULL)
		return jsonb_field(root, path + (path[0] == '=' ? 1 : 0), value);
	return getKeyJsonValueFromContainer(root, path, end - path, value) != NULL &&
		value->type == jbvBinary && find_value(value->val.binary.data, end + 1, value);
}

/* The bit of the first key of a path */
static uint64
path_bit(const char *path)
{
	return path[0] == '=' ? KEY_BIT(path[1], strlen(path + 1)) :
		KEY_BIT(path[0], strcspn(path, "."));
}

/* More than there are usage_wrappers */
#define MAX_INNER	64

/* The bits of paths to objects further in */
static uint64 answer_bits[lengthof(answers)];
static uint64 usage_bits[MAX_INNER];

/* Have all paths know their bits, once in a session */
static void
prepare(void)
{
	static bool is_done = false;
	ServedPath *const tables[] = {around, of_answer, of_usage};

	if (is_done)
		return;
	for (int i = 0; i < lengthof(tables); i++)
	{
		for (ServedPath *path = tables[i]; path->path != NULL; path++)
			path->bit = path_bit(path->path);
	}
	for (int i = 0; answers[i] != NULL; i++)
		answer_bits[i] = path_bit(answers[i]);
	for (int i = 0; i < MAX_INNER && usage_wrappers[i] != NULL; i++)
		usage_bits[i] = path_bit(usage_wrappers[i]);
	is_done = true;
}

/* A word about an answer that is not empty, or NULL */
static char *
word_of(const JsonbValue *value)
{
	if (value->type != jbvString || value->val.string.len == 0 ||
		value->val.string.len > MAX_SERVED_WORD)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/*
 * An amount of money that can be, or NULL.  *problem: why one that is stated cannot,
 * where that is not said already; NULL for nobody who wants to know.
 */
static Numeric
amount_of(const JsonbValue *value, const char *factor, char **problem)
{
	Numeric		amount;
	const char *reason;

	if (value->type != jbvNumeric &&
		(value->type != jbvString || value->val.string.len == 0))
		return NULL;
	reason = number_parse(value, &amount);
	if (reason != NULL)
		reason = psprintf("it %s", reason);
	else
	{
		if (factor != NULL)
			amount = number_scale(amount, factor);
		reason = rate_problem(amount);
	}
	if (reason == NULL)
		return amount;
	if (problem != NULL && *problem == NULL)
		*problem = pstrdup(reason);
	return NULL;
}

/* Is there nothing yet about this part? */
static bool
is_missing(const Served *served, ServedPart part)
{
	switch (part)
	{
		case SERVED_MODEL:
			return served->model == NULL;
		case SERVED_TIER:
			return served->service_tier == NULL;
		case SERVED_REGION:
			return served->region == NULL;
		case SERVED_SPEED:
			return served->speed == NULL;
		case SERVED_COST:
			return served->cost == NULL;
		case SERVED_CACHED:
			return !served->is_cached;
		default:
			return true;
	}
}

/* Take what one object says by a table of paths, where nothing is known yet */
static void
read_paths(const Keys *keys, const ServedPath *paths, Served *served)
{
	bool		had_cost = served->cost != NULL;
	bool		is_own_key = false;
	Numeric		upstream = NULL;

	for (; paths->path != NULL; paths++)
	{
		JsonbValue	value;
		char	   *word;

		if ((keys->bits & paths->bit) == 0 || !is_missing(served, paths->part) ||
			!find_value(keys->object, paths->path, &value))
			continue;
		word = paths->means != NULL ? pstrdup(paths->means) : word_of(&value);
		switch (paths->part)
		{
			case SERVED_MODEL:
				served->model = word;
				break;
			case SERVED_TIER:
				/* "auto" is what is asked for, not what is served */
				if (word != NULL && pg_strcasecmp(word, "auto") != 0)
					served->service_tier = served_service_tier(word);
				break;
			case SERVED_REGION:
				served->region = word == NULL ? NULL : name_normalize(word);
				break;
			case SERVED_SPEED:
				served->speed = word == NULL ? NULL : name_normalize(word);
				break;
			case SERVED_COST:
				served->cost = amount_of(&value, paths->means, &served->cost_problem);
				break;
			case SERVED_OWN_KEY:
				is_own_key = value.type == jbvBool && value.val.boolean;
				break;
			case SERVED_UPSTREAM_COST:
				upstream = amount_of(&value, NULL, &served->cost_problem);
				break;
			case SERVED_CACHED:
				served->is_cached = value.type == jbvBool && value.val.boolean;
				break;
		}
	}

	/* with a key of one's own, what its provider charges is most of the cost */
	if (is_own_key && !had_cost && served->cost != NULL)
		served->cost = upstream == NULL ? NULL :
			DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(served->cost),
												NumericGetDatum(upstream)));
}

/* Likewise of objects further in, where there are any at these paths */
static void
read_inner(const Keys *root, const char *const *paths, const uint64 *bits,
		   const ServedPath *of_inner, Served *served)
{
	for (int i = 0; i < MAX_INNER && paths[i] != NULL; i++)
	{
		JsonbValue	value;
		Keys		keys;

		if ((root->bits & bits[i]) == 0 || !find_value(root->object, paths[i], &value) ||
			value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			continue;
		know_keys(&keys, value.val.binary.data);
		read_paths(&keys, of_inner, served);
	}
}

/* Take what an object says */
static void
read_object(JsonbContainer *object, bool is_usage, Served *served)
{
	Keys		root;

	know_keys(&root, object);
	read_paths(&root, around, served);
	read_paths(&root, of_answer, served);
	read_inner(&root, answers, answer_bits, of_answer, served);
	read_inner(&root, usage_wrappers, usage_bits, of_usage, served);
	if (is_usage)
		read_paths(&root, of_usage, served);
}

/*
 * Take what a whole answer says, or with is_usage a usage (which may be a whole
 * answer), where nothing is known yet.  Of an answer that is an array of chunks, the
 * last one counts that says anything.
 */
void
served_read(Jsonb *document, bool is_usage, Served *served)
{
	prepare();
	if (JB_ROOT_IS_OBJECT(document))
		read_object(&document->root, is_usage, served);
	else if (!JB_ROOT_IS_SCALAR(document) && !is_usage)
	{
		for (int i = JB_ROOT_COUNT(document) - 1; i >= 0; i--)
		{
			JsonbValue *chunk = getIthJsonbValueFromContainer(&document->root, i);

			CHECK_FOR_INTERRUPTS();
			if (chunk->type == jbvBinary && JsonContainerIsObject(chunk->val.binary.data))
				read_object(chunk->val.binary.data, false, served);
		}
	}
}
