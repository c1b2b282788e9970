/*
 * price_cache.c
 *		The prices as a backend keeps them: which one a model's name means.
 *
 * Each backend keeps all prices in memory, read once and looked up in
 * microseconds.  A trigger on airun.prices gives them another version with
 * every change, a random one in the one row of airun.price_book, and that row
 * is read again whenever the snapshot may see another one.  So the cache holds
 * always what the caller's snapshot sees: changes of one's own, rolled back
 * ones and old snapshots included.  It is one for all roles, as long as every
 * policy on the prices is ours; with a site's own policies each statement
 * reads its own.
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
 * No lock is taken but the one of every reader.  Nothing in a price or a pattern
 * raises an error here: a price that cannot be read is passed over with a
 * reason.
 */
#include "pricing/price_cache.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "pricing/names.h"
#include "store/definition.h"
#include "store/plans.h"
#include "store/row_trigger.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(airun_price_changed);

struct Provider
{
	char	   *name;
	char	   *family;
	NamePattern *names;			/* tells whether a provider's name means it, or NULL */
	NamePattern *models;		/* tells whether a model is its own, or NULL */
	int			fallback_count;
	char	  **fallback;		/* families */
};

/* A name that leads to a price */
typedef struct NameEntry
{
	char	   *name;			/* normalized */
	Price	   *price;
	const char *by;				/* exact, alias or dated */
} NameEntry;

/* A price that a name may mean, and how well it fits: less is better */
typedef struct Candidate
{
	Price	   *price;
	int			step;
	int			rank;
	const char *name;			/* NULL for the name asked for */
	const char *by;
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

/* How a name can lead to a price */
static const char by_exact[] = "exact";
static const char by_alias[] = "alias";
static const char by_pattern[] = "rule";
static const char by_dated[] = "dated";

/*
 * The steps of a lookup: three for each name, then one for each that a price
 * may have with a date behind; and all of them again for other providers.
 */
#define STEP_DATED			(MODEL_NAMES * 3)
#define STEPS				1000

#define RESOLUTION_SLOTS	1024
#define MAX_RESOLUTIONS		8192

typedef struct PriceCache
{
	MemoryContext context;
	MemoryContext resolution_context;
	pg_uuid_t	version;
	int			price_count;
	Price	   *prices;
	int			provider_count;
	Provider   *providers;
	int			name_count;
	NameEntry  *names;			/* in order */
	int			resolution_count;
	Resolution *resolutions[RESOLUTION_SLOTS];
} PriceCache;

/* Of this backend, or NULL; lives until another one replaces it */
static PriceCache *cache = NULL;
static bool cache_is_shared = false; /* it holds what all roles see */

/*
 * Has the definition of the tables changed since the cache was read?  Then
 * policies may have, and the tables themselves.
 */
static bool definition_changed = true;
static bool callback_is_registered = false;

/* The longest name of a model or provider that is looked for, in bytes */
#define MAX_NAME_SOUGHT	1000

/* The tables, as they were when the definition was last looked at */
static Oid	prices_oid = InvalidOid;
static Oid	version_oid = InvalidOid;
static bool is_shared = false;	/* all roles see the same prices */

/* ---------- is it there, and whose is it? ---------- */

static void
relation_changed(Datum arg, Oid relation)
{
	if (relation == InvalidOid || relation == prices_oid || relation == version_oid ||
		prices_oid == InvalidOid || version_oid == InvalidOid)
		definition_changed = true;
}

/* Do all who may read the table see all of it?  A site's own policies say otherwise. */
static bool
is_same_for_all(Oid relation_oid)
{
	Relation	relation = relation_open(relation_oid, AccessShareLock);
	bool		same = store_is_open_to_all(relation);

	relation_close(relation, AccessShareLock);
	return same;
}

static void
look_at_definition(void)
{
	Oid			schema_oid = get_namespace_oid("airun", true);

	if (!callback_is_registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		callback_is_registered = true;
	}
	definition_changed = false;
	prices_oid = OidIsValid(schema_oid) ? get_relname_relid("prices", schema_oid) : InvalidOid;
	version_oid = OidIsValid(schema_oid) ? get_relname_relid("price_book", schema_oid) :
		InvalidOid;
	if (OidIsValid(prices_oid) && OidIsValid(version_oid))
		is_shared = is_same_for_all(prices_oid) && is_same_for_all(version_oid);
}

/* Are the tables there, and may the caller read them? */
static bool
is_readable(bool must_be_allowed)
{
	if (definition_changed)
		look_at_definition();
	if (!OidIsValid(prices_oid) || !OidIsValid(version_oid))
	{
		if (must_be_allowed)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the store has no prices yet"),
					 errhint("Run SELECT airun_install() as the owner of the schema \"airun\".")));
		return false;
	}
	/* what is not allowed is refused by the reading itself */
	return must_be_allowed ||
		(pg_class_aclcheck(prices_oid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		 pg_class_aclcheck(version_oid, GetUserId(), ACL_SELECT) == ACLCHECK_OK);
}

/* ---------- filling the cache ---------- */

static Jsonb *
copy_jsonb(uint64 row, int column)
{
	bool		isnull;
	Datum		value = result_value(row, column, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(value);
}

static char *
copy_text(uint64 row, int column)
{
	bool		isnull;
	Datum		value = result_value(row, column, &isnull);

	return isnull ? pstrdup("") : TextDatumGetCString(value);
}

/* The pattern in one of a provider's keys, or NULL where there is none that is one */
static NamePattern *
provider_pattern(Jsonb *about, const char *key)
{
	JsonbValue	value;
	NamePattern *pattern = NULL;

	if (about == NULL || !JB_ROOT_IS_OBJECT(about) || !jsonb_field(&about->root, key, &value) ||
		value.type != jbvBinary || name_pattern_parse(value.val.binary.data, &pattern) != NULL)
		return NULL;
	return pattern;
}

/* The provider of that name, made when it is first met */
static Provider *
provider_named(PriceCache *new, const char *name, Jsonb *about)
{
	Provider   *provider = NULL;
	JsonbValue	list;

	for (int i = 0; i < new->provider_count; i++)
	{
		if (strcmp(new->providers[i].name, name) == 0)
			provider = &new->providers[i];
	}
	if (provider == NULL)
	{
		provider = &new->providers[new->provider_count++];
		provider->name = pstrdup(name);
		provider->family = provider_family(name);
	}
	if (provider->names == NULL)
		provider->names = provider_pattern(about, "names");
	if (provider->models == NULL)
		provider->models = provider_pattern(about, "models");
	if (provider->fallback == NULL && about != NULL && JB_ROOT_IS_OBJECT(about) &&
		jsonb_field(&about->root, "fallback", &list) && list.type == jbvBinary &&
		JsonContainerIsArray(list.val.binary.data))
	{
		uint32		count = JsonContainerSize(list.val.binary.data);

		provider->fallback = palloc0_array(char *, Max(count, 1));
		for (uint32 i = 0; i < count; i++)
		{
			JsonbValue *element = getIthJsonbValueFromContainer(list.val.binary.data, i);

			if (element->type == jbvString)
				provider->fallback[provider->fallback_count++] =
					provider_family(pnstrdup(element->val.string.val, element->val.string.len));
		}
	}
	return provider;
}

static int
name_order(const void *a, const void *b)
{
	return strcmp(((const NameEntry *) a)->name, ((const NameEntry *) b)->name);
}

/* The names that lead to each price, in order */
static void
index_names(PriceCache *new, ArrayType **aliases)
{
	int			capacity = new->price_count;

	new->names = palloc_array(NameEntry, Max(capacity, 1));
	for (int i = 0; i < new->price_count; i++)
	{
		Datum	   *elements;
		bool	   *nulls;
		int			count = 0;
		char	   *name;

		if (aliases[i] != NULL)
			deconstruct_array(aliases[i], TEXTOID, -1, false, TYPALIGN_INT,
							  &elements, &nulls, &count);
		if (new->name_count + count + 2 > capacity)
		{
			capacity = (new->name_count + count + 2) * 2;
			new->names = repalloc_array(new->names, NameEntry, capacity);
		}
		name = name_normalize(new->prices[i].model);
		new->names[new->name_count++] = (NameEntry) {name, &new->prices[i], by_exact};
		name = model_undated(name);
		if (name != NULL)
			new->names[new->name_count++] = (NameEntry) {name, &new->prices[i], by_dated};
		for (int j = 0; j < count; j++)
		{
			if (!nulls[j])
				new->names[new->name_count++] = (NameEntry) {
					name_normalize(TextDatumGetCString(elements[j])), &new->prices[i], by_alias
				};
		}
	}
	qsort(new->names, new->name_count, sizeof(NameEntry), name_order);
}

/*
 * Read all prices that have ever been in force.  The result is the caller's
 * to keep, in a context below the current one.
 */
static PriceCache *
read_cache(const pg_uuid_t *version)
{
	static Statement read = {
		"SELECT p.price_id, p.provider, p.model, p.source, p.effective_from, p.effective_to, "
		"p.aliases, p.match_rule, p.provider_rule, p.rates, p.context_tiers, p.service_tiers, "
		"p.time_windows, p.multipliers, p.created_at FROM airun.prices AS p "
		"WHERE p.effective_to IS NULL OR p.effective_to" GT "p.effective_from",
		0, {0}
	};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "airun price cache",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context;
	PriceCache *new = MemoryContextAllocZero(context, sizeof(PriceCache));
	Args		args = {0};
	uint64		rows;
	ArrayType **aliases;

	new->context = context;
	new->version = *version;
	rows = statement_read(&read, &args, 0);

	old_context = MemoryContextSwitchTo(context);
	new->resolution_context = AllocSetContextCreate(context, "airun resolutions",
													ALLOCSET_DEFAULT_SIZES);
	new->price_count = rows;
	new->prices = palloc0_array(Price, Max(rows, 1));
	new->providers = palloc0_array(Provider, Max(rows, 1));
	aliases = palloc0_array(ArrayType *, Max(rows, 1));
	for (uint64 row = 0; row < rows; row++)
	{
		Price	   *price = &new->prices[row];
		Jsonb	   *rule;
		Datum		value;
		bool		isnull;

		price->price_id = *DatumGetUUIDP(result_value(row, 1, &isnull));
		price->provider = provider_named(new, copy_text(row, 2), copy_jsonb(row, 9));
		price->model = copy_text(row, 3);
		price->source = copy_text(row, 4);
		price->effective_from = DatumGetTimestampTz(result_value(row, 5, &isnull));
		price->created_at = DatumGetTimestampTz(result_value(row, 15, &isnull));
		value = result_value(row, 6, &isnull);
		price->effective_to = isnull ? DT_NOEND : DatumGetTimestampTz(value);
		value = result_value(row, 7, &isnull);
		if (!isnull)
			aliases[row] = DatumGetArrayTypePCopy(value);
		rule = copy_jsonb(row, 8);
		if (rule != NULL && name_pattern_parse(&rule->root, &price->pattern) != NULL)
			price->pattern = NULL;
		price->columns.rates = copy_jsonb(row, 10);
		price->columns.context_tiers = copy_jsonb(row, 11);
		price->columns.service_tiers = copy_jsonb(row, 12);
		price->columns.time_windows = copy_jsonb(row, 13);
		price->columns.multipliers = copy_jsonb(row, 14);
	}
	index_names(new, aliases);
	MemoryContextSwitchTo(old_context);
	SPI_freetuptable(SPI_tuptable);
	return new;
}

static void
free_cache(PriceCache *old)
{
	for (int i = 0; i < old->price_count; i++)
		name_pattern_free(old->prices[i].pattern);
	for (int i = 0; i < old->provider_count; i++)
	{
		name_pattern_free(old->providers[i].names);
		name_pattern_free(old->providers[i].models);
	}
	MemoryContextDelete(old->context);
}

/* May the caller read it without a statement, which says what he may not? */
static bool
may_read(Oid table)
{
	return pg_class_aclcheck(table, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		namespace_aclcheck(get_rel_namespace(table), GetUserId(), ACL_USAGE) == ACLCHECK_OK;
}

/* Does the caller's snapshot see no price at all? */
static bool
has_no_prices(void)
{
	Relation	relation;
	SysScanDesc scan;
	bool		is_empty;

	if (!may_read(prices_oid))
		return false;
	relation = table_open(prices_oid, AccessShareLock);
	scan = systable_beginscan(relation, InvalidOid, false, GetActiveSnapshot(), 0, NULL);
	is_empty = systable_getnext(scan) == NULL;
	systable_endscan(scan);
	table_close(relation, NoLock);
	return is_empty;
}

/* The version that the caller's snapshot sees; false where there is none */
static bool
read_version(pg_uuid_t *version)
{
	static Statement read = {
		"SELECT b.version FROM airun.price_book AS b", 0, {0}
	};
	Args		args = {0};
	bool		isnull;

	/* every task that ends asks for this one row: where all may see it, without a plan */
	if (is_shared && may_read(version_oid))
	{
		Relation	relation = table_open(version_oid, AccessShareLock);
		SysScanDesc scan = systable_beginscan(relation, InvalidOid, false,
											  GetActiveSnapshot(), 0, NULL);
		HeapTuple	row = systable_getnext(scan);
		bool		found = false;

		if (row != NULL)
		{
			Datum		value = heap_getattr(row, get_attnum(version_oid, "version"),
											 RelationGetDescr(relation), &isnull);

			found = !isnull;
			if (found)
				*version = *DatumGetUUIDP(value);
		}
		systable_endscan(scan);
		table_close(relation, NoLock);
		return found;
	}
	if (statement_read(&read, &args, 1) == 0)
		return false;
	*version = *DatumGetUUIDP(result_value(0, 1, &isnull));
	return true;
}

/*
 * Have the cache hold what the caller's snapshot sees.  Where the caller may
 * not read it, or where there is no table of prices, that is an error if
 * must_be_allowed, else false.
 */
bool
price_cache_open(bool must_be_allowed)
{
	pg_uuid_t	version = {{0}};
	bool		found;

	if (!is_readable(must_be_allowed))
		return false;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	found = read_version(&version);
	if (cache == NULL || !is_shared || !cache_is_shared ||
		memcmp(&cache->version, &version, sizeof(version)) != 0 ||
		!(found || has_no_prices()))
	{
		PriceCache *new = read_cache(&version);
		PriceCache *old = cache;

		MemoryContextSetParent(new->context, CacheMemoryContext);
		cache = new;
		/* what has no version cannot be known again, unless it is nothing */
		cache_is_shared = is_shared && (found || new->price_count == 0);
		if (old != NULL)
			free_cache(old);
	}
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	return true;
}

/* Have the cache hold what this command has changed, too, where the caller may read it */
bool
price_cache_open_latest(void)
{
	bool		is_open;

	CommandCounterIncrement();
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	is_open = price_cache_open(false);
	PopActiveSnapshot();
	return is_open;
}

/* ---------- finding ---------- */

/* The prices that a lookup may use, one after the other */
typedef struct Scope
{
	bool		is_known;		/* the provider is, and only its prices count */
	uint8	   *order;			/* of each provider: 0 for its own, 1 to fall back to, else 2 */
} Scope;

static void
scope_of(const char *provider, Scope *scope)
{
	char	   *normalized = provider == NULL ? NULL : name_normalize(provider);
	char	   *family;

	scope->is_known = false;
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
			  const char *name, const char *by)
{
	uint8		order = scope->order[price->provider - cache->providers];
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
first_name(const char *name)
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
find_candidates(const char *model, const char *provider, CandidateList *list)
{
	const char *names[MODEL_NAMES];
	const char *fronts[MODEL_NAMES];
	int			count = model_names(model, names, fronts);
	Scope		asked;
	bool	   *claims = palloc0_array(bool, Max(cache->provider_count, 1));

	scope_of(provider, &asked);
	for (int n = 0; n < count; n++)
	{
		Scope		scope = asked;
		const char *found = n == 0 ? NULL : names[n];
		const char *base = model_without_variant(names[n]);

		/* without a provider, the one in front of the name is meant */
		if (!asked.is_known && fronts[n] != NULL)
			scope_of(fronts[n], &scope);
		for (int i = 0; i < cache->provider_count; i++)
			claims[i] = scope.is_known ||
				(cache->providers[i].models != NULL &&
				 name_pattern_matches(cache->providers[i].models, names[n]));

#define CLAIMED(price)	claims[(price)->provider - cache->providers]
		for (int i = first_name(names[n]);
			 i < cache->name_count && strcmp(cache->names[i].name, names[n]) == 0; i++)
		{
			NameEntry  *entry = &cache->names[i];

			add_candidate(list, &scope, entry->price,
						  entry->by == by_exact ? n * 3 : entry->by == by_alias ? n * 3 + 1 :
						  STEP_DATED + n,
						  CLAIMED(entry->price), found, entry->by);
		}
		for (int i = 0; i < cache->price_count; i++)
		{
			Price	   *price = &cache->prices[i];

			if (price->pattern != NULL && scope.order[price->provider - cache->providers] != 2 &&
				(base == NULL ? name_pattern_matches(price->pattern, names[n]) :
				 name_pattern_means(price->pattern, names[n], base)))
				add_candidate(list, &scope, price, n * 3 + 2, CLAIMED(price), found, by_pattern);
		}
#undef CLAIMED
	}
	if (list->count > 1)
		qsort(list->candidates, list->count, sizeof(Candidate), candidate_order);
}

/* What is known of the name; found out when it is first asked for */
static Resolution *
resolve(const char *model, const char *provider)
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
	find_candidates(normalized, provider, &list);

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

/* Have the price taken apart; false where it cannot be */
static bool
is_usable(Price *price)
{
	if (!price->is_read)
	{
		MemoryContext old_context = MemoryContextSwitchTo(cache->context);

		price->problem = price_parse(&price->columns, &price->terms);
		price->is_read = true;
		MemoryContextSwitchTo(old_context);
	}
	return price->problem == NULL;
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
price_cache_find(const char *model, const char *provider, TimestampTz at, Match *match)
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
	resolution = resolve(model, provider);
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
	else if (!is_usable(best->price))
		match->reason = psprintf("its price %s cannot be read: %s",
								 best->price->model, best->price->problem);
	else
	{
		match->price = best->price;
		match->name = best->name;
		match->by = best->by;
	}
}

/* A price that can be read, by its id, or NULL.  The cache has to be open. */
const Price *
price_cache_by_id(const pg_uuid_t *price_id)
{
	for (int i = 0; i < cache->price_count; i++)
	{
		if (memcmp(&cache->prices[i].price_id, price_id, sizeof(pg_uuid_t)) == 0)
			return is_usable(&cache->prices[i]) ? &cache->prices[i] : NULL;
	}
	return NULL;
}

/*
 * Other prices that were in force when this one began, of a model of the same
 * name, but for provider, region and date.  Returns how many.
 */
int
price_cache_others(const Price *price, const Price **others, int space)
{
	const char *names[MODEL_NAMES];
	const char *fronts[MODEL_NAMES];
	int			name_count = model_names(name_normalize(price->model), names, fronts);
	int			count = 0;

	for (int n = 0; n < name_count; n++)
	{
		for (int i = first_name(names[n]); count < space && i < cache->name_count &&
			 strcmp(cache->names[i].name, names[n]) == 0; i++)
		{
			Price	   *other = cache->names[i].price;

			if (other != price && is_in_force(other, price->effective_from) &&
				is_usable(other))
				others[count++] = other;
		}
	}
	return count;
}

/* Is it a price of this provider, or everybody's? */
bool
price_cache_is_of(const Price *price, const char *provider)
{
	const Provider *own = price->provider;

	return own->name[0] == '\0' || strcmp(own->family, provider_family(provider)) == 0 ||
		(own->names != NULL && name_pattern_matches(own->names, name_normalize(provider)));
}

/* The provider of a price, or NULL where it is everybody's */
const char *
price_cache_provider(const Price *price)
{
	return price->provider->name[0] == '\0' ? NULL : price->provider->name;
}

/* ---------- the version ---------- */

/* Statement trigger on airun.prices */
Datum
airun_price_changed(PG_FUNCTION_ARGS)
{
	static Statement change = {
		"INSERT INTO airun.price_book AS b (is_only, version) VALUES (true, "
		"pg_catalog.gen_random_uuid()) ON CONFLICT (is_only) DO UPDATE "
		"SET version = EXCLUDED.version, changed_at = EXCLUDED.changed_at",
		0, {0}
	};
	Args		args = {0};

	(void) trigger_data(fcinfo, "airun", "prices", TRIGGER_EVENT_AFTER,
						ON_INSERT | ON_UPDATE | ON_DELETE | ON_TRUNCATE | WITHOUT_ROWS);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	(void) statement_write(&change, &args);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	PG_RETURN_POINTER(NULL);
}
