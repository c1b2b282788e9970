/*
 * launcher.c
 *		The background worker that does upkeep by itself.
 *
 * Where shared_preload_libraries has airun, a launcher runs in the server.  Every
 * airun.naptime it starts a worker in each database of airun.databases, one at a time,
 * which does rounds of upkeep (work.c) until there is no more to do, or the time between two
 * is over, and ends.  It runs once recovery has finished: not on a standby, and on one from its
 * promotion on.
 *
 * The launcher is in no database, and has a transaction only for the moment in which it looks
 * a database up.  While it sleeps no worker is in a database, and while a worker works
 * the launcher looks twice a second whether somebody wants that database alone, to drop,
 * rename, move or copy it: then the worker is ended, before the five seconds are over that
 * the server gives it.  So is one whose database has been taken out of airun.databases.
 *
 * What a worker writes is not waited for to reach the disk, nor a synchronous standby: what a
 * crash takes back is done again.
 *
 * Locks: a database, against being dropped, for the moment of looking whether that is
 * wanted.
 *
 * Errors: of a database that is not there, or that nothing can be connected to, and of too few
 * background workers, the log says once an hour.  The launcher and its worker are ended as
 * any backend is; the launcher comes back after five seconds.
 */
#include "worker/launcher.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
#include "worker/work.h"

/* As the extension's own functions name it */
#define LIBRARY			"$libdir/airun"

/* The launcher comes back after so many seconds, whatever has ended it */
#define RESTART_AFTER	5

/* How often it looks whether the worker's database is wanted, in milliseconds */
#define WATCH_EVERY		500

/* One round of a worker, in milliseconds */
#define ROUND_MS		(10 * 1000)

/* The longest that one worker works, in milliseconds, before another database has its turn */
#define MAX_WORKER_MS	(60 * 1000)

/* What is wrong with a database is said once in so many milliseconds */
#define COMPLAIN_EVERY	(60 * 60 * 1000)

/* A database of airun.databases */
typedef struct Place
{
	char	   *name;
	TimestampTz due;			/* when the next worker is to be started */
	TimestampTz complained;		/* when the log last said what is wrong with it */
} Place;

/* Which databases, and how often, in seconds */
static char *databases_setting = NULL;
static int	naptime = 60;

static List *places = NIL;		/* of Place, in the order of the setting */
static uint32 wait_event = 0;

/* ---------- settings ---------- */

/* Is it a list of names? */
static bool
check_databases(char **value, void **extra, GucSource source)
{
	List	   *names;

	if (SplitGUCList(pstrdup(*value), ',', &names))
		return true;
	GUC_check_errdetail("List syntax is invalid.");
	return false;
}

/*
 * Define the settings, and where the library is preloaded have the launcher started.  Any
 * session may load it later: the settings are of a kind that can be defined then, too.
 */
void
launcher_init(void)
{
	BackgroundWorker launcher = {
		.bgw_name = "airun launcher",
		.bgw_type = "airun launcher",
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = RESTART_AFTER,
		.bgw_library_name = LIBRARY,
		.bgw_function_name = "airun_launcher_main",
	};

	DefineCustomStringVariable("airun.databases",
							   "Sets the databases in which a background worker does airun's "
							   "upkeep.",
							   "Without any, there is none. It needs airun in "
							   "shared_preload_libraries.",
							   &databases_setting,
							   "",
							   PGC_SIGHUP, GUC_LIST_INPUT,
							   check_databases, NULL, NULL);

	DefineCustomIntVariable("airun.naptime",
							"Sets how often airun's worker comes to each database.",
							NULL,
							&naptime,
							60, 1, 24 * 3600,
							PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);

	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
		RegisterBackgroundWorker(&launcher);
}

/* ---------- the launcher ---------- */

static Place *
find_place(List *among, const char *name)
{
	ListCell   *cell;

	foreach(cell, among)
	{
		Place	   *place = lfirst(cell);

		if (strcmp(place->name, name) == 0)
			return place;
	}
	return NULL;
}

/* Take the setting up; a database that was there before keeps its time */
static void
read_places(void)
{
	MemoryContext old_context = MemoryContextSwitchTo(TopMemoryContext);
	char	   *setting = pstrdup(databases_setting);
	List	   *old_places = places;
	List	   *names;
	ListCell   *cell;

	places = NIL;
	(void) SplitGUCList(setting, ',', &names);
	foreach(cell, names)
	{
		char	   *name = lfirst(cell);
		Place	   *old_place = find_place(old_places, name);
		Place	   *place;

		if (find_place(places, name) != NULL)
			continue;
		place = palloc0_object(Place);
		if (old_place != NULL)
			*place = *old_place;
		place->name = pstrdup(name);
		place->due = Min(place->due, TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
																  naptime * 1000));
		places = lappend(places, place);
	}

	foreach(cell, old_places)
	{
		pfree(((Place *) lfirst(cell))->name);
	}
	list_free_deep(old_places);
	list_free(names);
	pfree(setting);
	MemoryContextSwitchTo(old_context);
}

/* Sleep, until something happens; no time at all: until then */
static void
nap(long milliseconds)
{
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (milliseconds < 0 ? 0 : WL_TIMEOUT),
					 milliseconds, wait_event);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		read_places();
	}
}

/* The place that has waited longest */
static Place *
next_place(void)
{
	Place	   *next = NULL;
	ListCell   *cell;

	foreach(cell, places)
	{
		Place	   *place = lfirst(cell);

		if (next == NULL || place->due < next->due)
			next = place;
	}
	return next;
}

static void
complain(Place *place, const char *what)
{
	TimestampTz now = GetCurrentTimestamp();

	if (place->complained != 0 &&
		!TimestampDifferenceExceeds(place->complained, now, COMPLAIN_EVERY))
		return;
	place->complained = now;
	ereport(LOG,
			(errmsg("airun's worker does not come to database \"%s\": %s", place->name, what)));
}

/* A moment's transaction, which sees the shared catalogs alone */
static void
begin_look(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
}

/* The OID of a database that can be connected to.  Without one: why not. */
static Oid
find_database(const char *name, const char **reason)
{
	Oid			database = InvalidOid;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	*reason = "there is no such database";
	begin_look();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database row = (Form_pg_database) GETSTRUCT(tuple);

		if (strcmp(NameStr(row->datname), name) != 0)
			continue;

		/* -2 is what a DROP DATABASE that did not come to its end has left */
		if (row->datallowconn && row->datconnlimit != -2)
			database = row->oid;
		else
			*reason = "it accepts no connections";
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	return database;
}

/*
 * Does somebody want the database alone?  Who does holds a lock on it by now that goes
 * with no connection's.
 */
static bool
is_wanted(Oid database)
{
	LOCKTAG		tag;
	bool		is_free;

	begin_look();
	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
	is_free = LockAcquire(&tag, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
	CommitTransactionCommand();
	return !is_free;
}

/* Wait until the worker has ended.  The list of places may become another one meanwhile. */
static void
watch_worker(BackgroundWorkerHandle *worker, Oid database, const char *name)
{
	bool		is_ended = false;
	pid_t		pid;

	while (GetBackgroundWorkerPid(worker, &pid) != BGWH_STOPPED)
	{
		if (!is_ended && (find_place(places, name) == NULL || is_wanted(database)))
		{
			ereport(LOG,
					(errmsg("airun's worker leaves database \"%s\", which another session wants "
							"alone, or which is no longer in airun.databases",
							name)));
			TerminateBackgroundWorker(worker);
			is_ended = true;
		}
		nap(WATCH_EVERY);
	}
}

/* Have a worker do what is to be done in a database, and wait for it */
static void
visit(Place *place)
{
	BackgroundWorker worker = {
		.bgw_type = "airun worker",
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = LIBRARY,
		.bgw_function_name = "airun_worker_main",
		.bgw_notify_pid = MyProcPid,
	};
	BackgroundWorkerHandle *handle;
	const char *reason;
	char	   *name;
	Oid			database = find_database(place->name, &reason);

	place->due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), naptime * 1000);
	if (!OidIsValid(database))
	{
		complain(place, reason);
		return;
	}
	if (is_wanted(database))
		return;
	snprintf(worker.bgw_name, BGW_MAXLEN, "airun worker for database %u", database);
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
	{
		complain(place, "all of max_worker_processes are taken");
		return;
	}
	place->complained = 0;
	name = pstrdup(place->name);
	watch_worker(handle, database, name);
	pfree(name);
	pfree(handle);
}

/* The launcher */
void
airun_launcher_main(Datum arg)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	wait_event = new_wait_event("AirunLauncher");
	MemoryContextSwitchTo(TopMemoryContext);
	read_places();
	for (;;)
	{
		Place	   *place = next_place();

		if (place == NULL)
			nap(-1);
		else if (place->due > GetCurrentTimestamp())
			nap(Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), place->due),
					naptime * 1000));
		else
			visit(place);
	}
}

/* ---------- the worker ---------- */

/* What a site has set for the database is set for its applications */
static void
set_settings(void)
{
	static const char *const settings[][2] = {
		{"application_name", "airun worker"},
		{"search_path", ""},
		{"synchronous_commit", "off"},
		{"default_transaction_isolation", "read committed"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"lock_timeout", "1s"},
#if PG_VERSION_NUM >= 170000
		{"transaction_timeout", "0"},
#endif
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

/* One round, if there is a store here that may be written */
static bool
do_round(void)
{
	bool		more = false;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(PortalContext);
	if (!XactReadOnly && work_is_possible())
		more = work_round(ROUND_MS, true);
	CommitTransactionCommand();
	return more;
}

/* A worker, in the database that it is given */
void
airun_worker_main(Datum arg)
{
	TimestampTz begun = GetCurrentTimestamp();

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg), InvalidOid, 0);
	set_settings();

	/* where SPI keeps what outlives a transaction, as a portal would have it */
	PortalContext = AllocSetContextCreate(TopMemoryContext, "airun worker",
										  ALLOCSET_DEFAULT_SIZES);
	while (do_round() &&
		   !TimestampDifferenceExceeds(begun, GetCurrentTimestamp(),
									   Min(naptime * 1000, MAX_WORKER_MS)))
		MemoryContextReset(PortalContext);
	proc_exit(0);
}
