/*
 * invalidation.c
 *		Telling the library's caches that a relation has changed.
 *
 * A server process has ten places for callbacks of its relation cache, for the server
 * itself and all extensions together, and ends where there is none left.  The library
 * takes one, and tells all of its caches.
 *
 * Locks and refusals: none.
 */
#include "store/invalidation.h"

#include "utils/inval.h"

#define MAX_WATCHERS	16

static RelationChanged watchers[MAX_WATCHERS];
static int	watcher_count = 0;

static void
relation_changed(Datum arg, Oid relation)
{
	for (int i = 0; i < watcher_count; i++)
		watchers[i] (relation);
}

/* Have a function told of each change from now on, once; InvalidOid: of any relation */
void
relation_changes_watch(RelationChanged changed)
{
	for (int i = 0; i < watcher_count; i++)
		if (watchers[i] == changed)
			return;
	if (watcher_count == MAX_WATCHERS)
		elog(ERROR, "too many watchers of relations");
	if (watcher_count == 0)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	watchers[watcher_count++] = changed;
}
