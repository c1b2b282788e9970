/*
 * unpriced.c
 *		Tasks, and calls, that a price could charge and that have no cost yet.
 *
 * Who enters a price is told which of them have waited for it: a price is in force
 * from a time on, and what is from before that stays without a cost until it is
 * entered for their time, too.  Found by going over the tasks once, under the
 * caller's rights; where he has none to read them, there are none.
 *
 * Nothing is locked, and nothing refused.
 */
#include "pricing/unpriced.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pricing/price_lookup.h"
#include "store/plans.h"
#include "store/store.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

static const Price *
price_at(const UnpricedModel *unpriced, TimestampTz at)
{
	Match		match;

	price_find(unpriced->model, unpriced->provider, at, &match);
	return match.price;
}

/* Tasks or calls, aliased u, that have ended and have no cost */
#define WITHOUT_COST \
	"(u.price_status" EQ "'unpriced' OR (u.price_status" EQ "'doubtful' AND u.cost IS NULL))"

/*
 * Models whose tasks and calls have no cost, by the names of those that answered.  SPI has
 * to be connected, and the price cache open; it must not be opened again before
 * they have been used.
 */
UnpricedModel *
unpriced_read(int *count)
{
	static Statement read = {
		"SELECT t.provider, t.model, pg_catalog.count(*), pg_catalog.min(t.created_at) "
		"FROM (SELECT u.provider, COALESCE(u.served_model, u.model_id) AS model, u.created_at "
		"FROM airun.tasks AS u WHERE " WITHOUT_COST
		" UNION ALL SELECT u.provider, COALESCE(u.served_model, u.model_id), u.created_at "
		"FROM airun.calls AS u WHERE " WITHOUT_COST ") AS t WHERE t.model IS NOT NULL "
		"GROUP BY 1, 2 ORDER BY 3 DESC, 2, 1",
		0, {0}
	};
	Args		args = {0};
	UnpricedModel *models;
	TimestampTz now = GetCurrentTimestamp();
	bool		isnull;

	*count = 0;
	if (!store_is_granted(TABLE_TASKS, ACL_SELECT) ||
		pg_class_aclcheck(store_table_oid("calls"), GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		return NULL;
	*count = (int) statement_write(&read, &args);
	models = palloc0_array(UnpricedModel, Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		Datum		provider = result_value(i, 1, &isnull);

		models[i].provider = isnull ? NULL : TextDatumGetCString(provider);
		models[i].model = TextDatumGetCString(result_value(i, 2, &isnull));
		models[i].tasks = DatumGetInt64(result_value(i, 3, &isnull));
		models[i].first = DatumGetTimestampTz(result_value(i, 4, &isnull));
		models[i].then = price_at(&models[i], models[i].first);
		models[i].now = price_at(&models[i], now);
	}
	return models;
}

static bool
is_price(const Price *price, const char *provider, const char *model, const char *source)
{
	const char *found = price == NULL ? NULL : price_provider(price);

	return price != NULL && strcmp(price->model, model) == 0 &&
		strcmp(price->source, source) == 0 &&
		strcmp(found == NULL ? "" : found, provider) == 0;
}

/*
 * Which of the tasks without a cost a price is for, which has been entered.  False where
 * there are none.
 */
bool
unpriced_of_price(const UnpricedModel *models, int count, const char *provider,
				  const char *model, const char *source, UnpricedTasks *found)
{
	memset(found, 0, sizeof(UnpricedTasks));
	for (int i = 0; i < count; i++)
	{
		bool		in_time = is_price(models[i].then, provider, model, source);

		if (!in_time && !is_price(models[i].now, provider, model, source))
			continue;
		if (found->tasks == 0)
		{
			found->model = models[i].model;
			found->first = models[i].first;
		}
		found->tasks += models[i].tasks;
		found->first = Min(found->first, models[i].first);
		found->is_late |= !in_time;
	}
	return found->tasks > 0;
}
