/*
 * price_lookup.c
 *		Which price a model's name means.
 *
 * A name is looked for in this order; the first step that has a price in force
 * at the time counts.
 *
 *	1. the model's name, as it is;
 *	2. an alias of that name;
 *	3. a name pattern, the price's match_rule; where the name has a variant behind
 *	   it (deepseek-r1:free), one that does not match it without that as well;
 *	4. the same three for the name without what stands in front of it, piece by
 *	   piece: a provider (openai/gpt-4o), a region (eu.anthropic.claude-...);
 *	5. the same for all those names without a date or version behind;
 *	6. a price for one of the names with a date or version behind, the last one.
 *
 * Case does not count.  With a provider that has prices, by any of its names,
 * only its prices are asked, those without a provider, and then those of the
 * providers it falls back to.  A provider that has none says nothing.  Without
 * one, a provider that claims the model's name goes before the others; where
 * others still disagree there is no price, rather than one of somebody else's.
 * Among prices of one step those that the site has set itself go first, then
 * the one that came into force last, then the one that was entered last.
 *
 * What is found for a name is kept as long as the prices are.  No lock is taken.
 * Nothing in a price or a pattern raises an error here: a price that cannot be
 * read is passed over with a reason.
 */
#include "pricing/price_lookup.h"

#include "common/hashfn.h"
#include "json/jsonb_util.h"
#include "pricing/names.h"
#include "utils/memutils.h"

/* A price that a name may mean, and how well it fits: less is better */
typedef struct Candidate
{
	Price	   *price;
	int			step;
	int			rank;
	const char *name;			/* NULL for the name asked for */
	NameKind	by;
} Candidate;

/* What is known of a model's name and a provider's, in any time */
typedef struct Resolution
{
	struct Resolution *next;
	uint32		hash;
	char	   *model;
	char	   *provider;		/* or NULL */
	int			count;
	Candidate  *candidates;		/* the best first */
} Resolution;

/* How a name can lead to a price, in the words of the results */
static const char *const name_kinds[] = {
	[NAME_EXACT] = "exact",
	[NAME_ALIAS] = "alias",
	[NAME_PATTERN] = "rule",
	[NAME_DATED] = "dated"
};

/*
 * The steps of a lookup: three for each name, then one for each that a price
 * may have with a date behind; and all of them again for other providers.
 */
#define STEP_DATED			(MODEL_NAMES * 3)
#define STEPS				1000

#define MAX_RESOLUTIONS		8192

/* The longest name of a model or provider that is looked for, in bytes */
#define MAX_NAME_SOUGHT	1000

/* The prices that a lookup may use, one after the other */
typedef struct Scope
{
	bool		is_known;		/* the provider is, and only its prices count */
	const Provider *providers;
	uint8	   *order;			/* of each of them: 0 for its own, 1 to fall back to, else 2 */
} Scope;

static void
scope_of(const PriceCache *cache, const char *provider, Scope *scope)
{
	char	   *normalized = provider == NULL ? NULL : name_normalize(provider);
	char	   *family;

	scope->is_known = false;
	scope->providers = cache->providers;
	scope->order = palloc0_array(uint8, Max(cache->provider_count, 1));
	if (normalized == NULL || normalized[0] == '\0')
		return;
	family = provider_family(normalized);
	for (int i = 0; i < cache->provider_count; i++)
	{
		Provider   *p = &cache->providers[i];
		bool		is_it = strcmp(p->family, family) == 0 ||
			(p->names != NULL && name_pattern_matches(p->names, normalized));

		/* a price without a provider is everybody's, and makes nobody known */
		scope->order[i] = is_it || p->name[0] == '\0' ? 0 : 2;
		scope->is_known |= is_it && p->name[0] != '\0';
	}
	if (!scope->is_known)
	{
		memset(scope->order, 0, cache->provider_count);
		return;
	}
	for (int i = 0; i < cache->provider_count; i++)
	{
		Provider   *p = &cache->providers[i];

		if (scope->order[i] != 0 || p->name[0] == '\0')
			continue;
		for (int j = 0; j < p->fallback_count; j++)
		{
			for (int k = 0; k < cache->provider_count; k++)
			{
				if (scope->order[k] == 2 &&
					strcmp(cache->providers[k].family, p->fallback[j]) == 0)
					scope->order[k] = 1;
			}
		}
	}
}

typedef struct CandidateList
{
	Candidate  *candidates;
	int			count;
	int			capacity;
} CandidateList;

static void
add_candidate(CandidateList *list, const Scope *scope, Price *price, int step, bool is_claimed,
			  const char *name, NameKind by)
{
	uint8		order = scope->order[price->provider - scope->providers];
	int			rank = strcmp(price->source, OWN_SOURCE) == 0 ? 0 : is_claimed ? 1 : 2;

	if (order == 2)
		return;
	if (list->count == list->capacity)
	{
		list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
		list->candidates = list->candidates == NULL ?
			palloc_array(Candidate, list->capacity) :
			repalloc_array(list->candidates, Candidate, list->capacity);
	}
	list->candidates[list->count++] =
		(Candidate) {price, order * STEPS + step, rank, name, by};
}

/* Where the names begin that are not less than this one */
static int
first_name(const PriceCache *cache, const char *name)
{
	int			low = 0;
	int			high = cache->name_count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (strcmp(cache->names[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int
candidate_order(const void *a, const void *b)
{
	const Candidate *x = a;
	const Candidate *y = b;
	int			order = 0;

	if (x->step != y->step)
		return x->step < y->step ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->step % STEPS >= STEP_DATED)
		order = strcmp(y->price->model, x->price->model);
	if (order != 0)
		return order;
	if (x->price->effective_from != y->price->effective_from)
		return x->price->effective_from > y->price->effective_from ? -1 : 1;
	if (x->price->created_at != y->price->created_at)
		return x->price->created_at > y->price->created_at ? -1 : 1;
	/* of one transaction: in some order, the same on all shards */
	return memcmp(&y->price->price_id, &x->price->price_id, sizeof(pg_uuid_t));
}

/* All prices that the name may mean, whatever the time, the best first */
static void
find_candidates(const PriceCache *cache, const char *model, const char *provider,
				CandidateList *list)
{
	const char *names[MODEL_NAMES];
	const char *fronts[MODEL_NAMES];
	int			count = model_names(model, names, fronts);
	Scope		asked;
	bool	   *claims = palloc0_array(bool, Max(cache->provider_count, 1));

	scope_of(cache, provider, &asked);
	for (int n = 0; n < count; n++)
	{
		Scope		scope = asked;
		const char *found = n == 0 ? NULL : names[n];
		const char *base = model_without_variant(names[n]);

		/* without a provider, the one in front of the name is meant */
		if (!asked.is_known && fronts[n] != NULL)
			scope_of(cache, fronts[n], &scope);
		for (int i = 0; i < cache->provider_count; i++)
			claims[i] = scope.is_known ||
				(cache->providers[i].models != NULL &&
				 name_pattern_matches(cache->providers[i].models, names[n]));

#define CLAIMED(price)	claims[(price)->provider - cache->providers]
		for (int i = first_name(cache, names[n]);
			 i < cache->name_count && strcmp(cache->names[i].name, names[n]) == 0; i++)
		{
			NameEntry  *entry = &cache->names[i];

			add_candidate(list, &scope, entry->price,
						  entry->by == NAME_EXACT ? n * 3 : entry->by == NAME_ALIAS ? n * 3 + 1 :
						  STEP_DATED + n,
						  CLAIMED(entry->price), found, entry->by);
		}
		for (int i = 0; i < cache->price_count; i++)
		{
			Price	   *price = &cache->prices[i];

			if (price->pattern != NULL && scope.order[price->provider - cache->providers] != 2 &&
				(base == NULL ? name_pattern_matches(price->pattern, names[n]) :
				 name_pattern_means(price->pattern, names[n], base)))
				add_candidate(list, &scope, price, n * 3 + 2, CLAIMED(price), found, NAME_PATTERN);
		}
#undef CLAIMED
	}
	if (list->count > 1)
		qsort(list->candidates, list->count, sizeof(Candidate), candidate_order);
}

/* What is known of the name; found out when it is first asked for */
static Resolution *
resolve(PriceCache *cache, const char *model, const char *provider)
{
	char	   *normalized = name_normalize(model);
	uint32		hash = hash_bytes((const unsigned char *) normalized, strlen(normalized)) ^
		(provider == NULL ? 0 :
		 hash_bytes((const unsigned char *) provider, strlen(provider)));
	Resolution **slot = &cache->resolutions[hash % RESOLUTION_SLOTS];
	Resolution *resolution;
	CandidateList list = {0};
	MemoryContext old_context;

	for (resolution = *slot; resolution != NULL; resolution = resolution->next)
	{
		if (resolution->hash == hash && strcmp(resolution->model, normalized) == 0 &&
			(provider == NULL ? resolution->provider == NULL :
			 resolution->provider != NULL && strcmp(resolution->provider, provider) == 0))
			return resolution;
	}

	/* clients choose the names, and shall not fill the memory with them */
	if (cache->resolution_count >= MAX_RESOLUTIONS)
	{
		MemoryContextReset(cache->resolution_context);
		memset(cache->resolutions, 0, sizeof(cache->resolutions));
		cache->resolution_count = 0;
	}
	find_candidates(cache, normalized, provider, &list);

	old_context = MemoryContextSwitchTo(cache->resolution_context);
	resolution = palloc0_object(Resolution);
	resolution->hash = hash;
	resolution->model = pstrdup(normalized);
	resolution->provider = provider == NULL ? NULL : pstrdup(provider);
	resolution->candidates = palloc_array(Candidate, Max(list.count, 1));
	for (int i = 0; i < list.count; i++)
	{
		resolution->candidates[i] = list.candidates[i];
		if (list.candidates[i].name != NULL)
			resolution->candidates[i].name = pstrdup(list.candidates[i].name);
	}
	resolution->count = list.count;
	resolution->next = *slot;
	*slot = resolution;
	cache->resolution_count++;
	MemoryContextSwitchTo(old_context);
	return resolution;
}

static bool
same_terms(const Price *a, const Price *b)
{
	return jsonb_same(a->columns.rates, b->columns.rates) &&
		jsonb_same(a->columns.context_tiers, b->columns.context_tiers) &&
		jsonb_same(a->columns.service_tiers, b->columns.service_tiers) &&
		jsonb_same(a->columns.time_windows, b->columns.time_windows) &&
		jsonb_same(a->columns.multipliers, b->columns.multipliers);
}

static bool
is_in_force(const Price *price, TimestampTz at)
{
	return price->effective_from <= at && at < price->effective_to;
}

/*
 * Find the price of a model.  provider may be NULL.  The cache has to be open;
 * what is found lasts until it is opened again.
 */
void
price_find(const char *model, const char *provider, TimestampTz at, Match *match)
{
	Resolution *resolution;
	const Candidate *best = NULL;

	memset(match, 0, sizeof(Match));

	/* Clients choose the names: longer ones are nobody's, and not to be kept */
	if (strlen(model) > MAX_NAME_SOUGHT ||
		(provider != NULL && strlen(provider) > MAX_NAME_SOUGHT))
	{
		match->reason = "the name is too long for any price";
		return;
	}
	resolution = resolve(price_cache_get(), model, provider);
	for (int i = 0; i < resolution->count; i++)
	{
		const Candidate *candidate = &resolution->candidates[i];

		if (!is_in_force(candidate->price, at))
			continue;
		if (best == NULL)
		{
			best = candidate;
			if (best->rank < 2)
				break;
			continue;
		}
		if (candidate->step != best->step || candidate->rank != best->rank)
			break;
		if (strcmp(candidate->price->provider->family, best->price->provider->family) != 0 &&
			!same_terms(candidate->price, best->price))
		{
			match->reason = psprintf("providers %s and %s have different prices for it",
									 best->price->provider->name,
									 candidate->price->provider->name);
			return;
		}
	}
	if (best == NULL)
		match->reason = resolution->count > 0 ? "no price of it was in force then" :
			"the price book does not have it";
	else if (!price_is_usable(best->price))
		match->reason = psprintf("its price %s cannot be read: %s",
								 best->price->model, best->price->problem);
	else
	{
		match->price = best->price;
		match->name = best->name;
		match->by = name_kinds[best->by];
	}
}

/*
 * Other prices that were in force when this one began, of a model of the same
 * name, but for provider, region and date.  Returns how many.
 */
int
price_others(const Price *price, const Price **others, int space)
{
	const PriceCache *cache = price_cache_get();
	const char *names[MODEL_NAMES];
	const char *fronts[MODEL_NAMES];
	int			name_count = model_names(name_normalize(price->model), names, fronts);
	int			count = 0;

	for (int n = 0; n < name_count; n++)
	{
		for (int i = first_name(cache, names[n]); count < space && i < cache->name_count &&
			 strcmp(cache->names[i].name, names[n]) == 0; i++)
		{
			Price	   *other = cache->names[i].price;

			if (other != price && is_in_force(other, price->effective_from) &&
				price_is_usable(other))
				others[count++] = other;
		}
	}
	return count;
}

/* Is it a price of this provider, or everybody's? */
bool
price_is_of(const Price *price, const char *provider)
{
	const Provider *own = price->provider;

	return own->name[0] == '\0' || strcmp(own->family, provider_family(provider)) == 0 ||
		(own->names != NULL && name_pattern_matches(own->names, name_normalize(provider)));
}
