/*
 * price_cache.c
 *		The prices as a backend keeps them.
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
 * price_lookup.c finds a model in it.  No lock is taken but the one of every
 * reader.  Nothing in a price raises an error here: one that cannot be used has a
 * problem.
 */
#include "pricing/price_cache.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "json/jsonb_util.h"
#include "miscadmin.h"
#include "pricing/names.h"
#include "store/column_types.h"
#include "store/definition.h"
#include "store/invalidation.h"
#include "store/plans.h"
#include "store/row_trigger.h"
#include "store/store.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(airun_price_changed);

/* Of this backend, or NULL; lives until another one replaces it */
static PriceCache *cache = NULL;
static bool cache_is_shared = false; /* it holds what all roles see */

/*
 * Has the definition of the tables changed since the cache was read?  Then
 * policies may have, and the tables themselves.
 */
static bool definition_changed = true;

/* The tables, as they were when the definition was last looked at */
static Oid	prices_oid = InvalidOid;
static Oid	version_oid = InvalidOid;
static bool is_open_to_all = false;	/* by its policies all roles see the same prices */

/* ---------- is it there, and whose is it? ---------- */

static void
relation_changed(Oid relation)
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

	relation_changes_watch(relation_changed);
	definition_changed = false;
	prices_oid = OidIsValid(schema_oid) ? get_relname_relid("prices", schema_oid) : InvalidOid;
	version_oid = OidIsValid(schema_oid) ? get_relname_relid("price_book", schema_oid) :
		InvalidOid;
	if (OidIsValid(prices_oid) && OidIsValid(version_oid))
		is_open_to_all = is_same_for_all(prices_oid) && is_same_for_all(version_oid);
}

/* Do all roles see the same prices? */
static bool
is_shared(void)
{
	return is_open_to_all && !store_has_policy_hook();
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
		new->names[new->name_count++] = (NameEntry) {name, &new->prices[i], NAME_EXACT};
		name = model_undated(name);
		if (name != NULL)
			new->names[new->name_count++] = (NameEntry) {name, &new->prices[i], NAME_DATED};
		for (int j = 0; j < count; j++)
		{
			if (!nulls[j])
				new->names[new->name_count++] = (NameEntry) {
					name_normalize(TextDatumGetCString(elements[j])), &new->prices[i], NAME_ALIAS
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
	if (is_shared() && may_read(version_oid))
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

	column_types_require();
	if (!is_readable(must_be_allowed))
		return false;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	found = read_version(&version);
	if (cache == NULL || !is_shared() || !cache_is_shared ||
		memcmp(&cache->version, &version, sizeof(version)) != 0 ||
		!(found || has_no_prices()))
	{
		PriceCache *new = read_cache(&version);
		PriceCache *old = cache;

		MemoryContextSetParent(new->context, CacheMemoryContext);
		cache = new;
		/* what has no version cannot be known again, unless it is nothing */
		cache_is_shared = is_shared() && (found || new->price_count == 0);
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

/* ---------- what the others read ---------- */

/* The cache, which has to be open */
PriceCache *
price_cache_get(void)
{
	return cache;
}

/* Have the price taken apart; false where it cannot be */
bool
price_is_usable(Price *price)
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

/* A price that can be read, by its id, or NULL.  The cache has to be open. */
const Price *
price_by_id(const pg_uuid_t *price_id)
{
	for (int i = 0; i < cache->price_count; i++)
	{
		if (memcmp(&cache->prices[i].price_id, price_id, sizeof(pg_uuid_t)) == 0)
			return price_is_usable(&cache->prices[i]) ? &cache->prices[i] : NULL;
	}
	return NULL;
}

/* The provider of a price, or NULL where it is everybody's */
const char *
price_provider(const Price *price)
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
