/*
 * seen.c
 *		Tasks that this backend has been shown, and may be shown again.
 *
 * An answer arrives in many small pieces, and each save has to ask anew
 * whether the caller may see the task and how it stands: a query with a join
 * under row security, which costs more than writing the piece.  So a backend
 * remembers the last few tasks that a query has shown it, with the versions of
 * the two rows that it showed.  When both versions are still the ones to be
 * seen, by the same role and the same caller, and no definition has changed,
 * the query would say the same again.
 *
 * That holds only where row security decides by the row and the caller alone,
 * as our own policies do.  Where a site has others nothing is remembered.
 *
 * Nothing is locked beyond what reading the two tables locks.
 */
#include "seen.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "identity.h"
#include "miscadmin.h"
#include "shape.h"
#include "store.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

/* How many are remembered, and how large one may be */
#define REMEMBERED		16
#define LARGEST_SUMMARY	2048

typedef struct Seen
{
	uint64		generation;
	pg_uuid_t	run_id;
	pg_uuid_t	task_id;
	Oid			role;
	bool		row_security;
	bool		has_caller;
	pg_uuid_t	caller;
	RowVersion	run;
	RowVersion	task;
	HeapTuple	summary;		/* NULL while there is none */
} Seen;

static Seen remembered[REMEMBERED];
static int	next_place = 0;

/* Who looks, and at what */
static void
describe_look(Seen *look, const pg_uuid_t *run_id, const pg_uuid_t *task_id)
{
	look->generation = shape_generation();
	look->run_id = *run_id;
	look->task_id = *task_id;
	look->role = GetUserId();
	look->row_security = row_security;
	memset(&look->caller, 0, sizeof(look->caller));
	look->has_caller = caller_id(&look->caller);
}

static bool
is_same_look(const Seen *a, const Seen *b)
{
	return a->generation == b->generation && a->role == b->role &&
		a->row_security == b->row_security && a->has_caller == b->has_caller &&
		uuid_equal(&a->task_id, &b->task_id) && uuid_equal(&a->run_id, &b->run_id) &&
		uuid_equal(&a->caller, &b->caller);
}

/* Is this version of a row of a table the one that a snapshot shows? */
static bool
is_current(Oid table, RowVersion *version, Snapshot snapshot)
{
	Relation	relation = table_open(table, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	bool		current = false;
	bool		isnull;

	if (table_tuple_fetch_row_version(relation, &version->place, snapshot, slot))
		current = TransactionIdEquals(version->author, DatumGetTransactionId(
			slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull)));
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, NoLock);
	return current;
}

/* The place where the task is remembered for this look, or NULL */
static Seen *
find_place(const Seen *look)
{
	for (int i = 0; i < REMEMBERED; i++)
	{
		if (remembered[i].summary != NULL && is_same_look(&remembered[i], look))
			return &remembered[i];
	}
	return NULL;
}

/*
 * A copy of the summary of a task as it was remembered, and the version of its
 * run, if the query for it would show the same now; else NULL.
 */
HeapTuple
seen_again(const pg_uuid_t *run_id, const pg_uuid_t *task_id, RowVersion *run)
{
	HeapTuple	summary = NULL;
	Snapshot	snapshot;
	Seen	   *seen;
	Seen		look;

	describe_look(&look, run_id, task_id);
	seen = find_place(&look);
	if (seen == NULL)
		return NULL;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	if (is_current(store_runs_oid(), &seen->run, snapshot) &&
		is_current(store_tasks_oid(), &seen->task, snapshot))
	{
		summary = heap_copytuple(seen->summary);
		*run = seen->run;
	}
	UnregisterSnapshot(snapshot);

	/* What came with the tables' locks may have changed it all */
	return shape_generation() == look.generation ? summary : NULL;
}

/*
 * Remember a task that a query under the caller's rights has just shown, in
 * these versions of its run and its row, with what seen_again() is to give.
 */
void
seen_remember(const pg_uuid_t *run_id, const pg_uuid_t *task_id, const RowVersion *run,
			  const RowVersion *task, HeapTuple summary)
{
	MemoryContext old_context;
	Seen	   *seen;
	Seen		look;

	if (!shape_policies_are_ours() || HeapTupleHasExternal(summary) ||
		summary->t_len > LARGEST_SUMMARY)
		return;
	describe_look(&look, run_id, task_id);
	seen = find_place(&look);
	if (seen == NULL)
	{
		seen = &remembered[next_place];
		next_place = (next_place + 1) % REMEMBERED;
	}
	if (seen->summary != NULL)
		heap_freetuple(seen->summary);
	look.run = *run;
	look.task = *task;
	look.summary = NULL;
	*seen = look;

	old_context = MemoryContextSwitchTo(TopMemoryContext);
	seen->summary = heap_copytuple(summary);
	MemoryContextSwitchTo(old_context);
}
