/*
 * run.h
 *		A run: the lock and the counter of everything that belongs to it.
 */
#ifndef AIRUN_RUN_H
#define AIRUN_RUN_H

#include "airun.h"

#include "store/args.h"
#include "store/plans.h"
#include "utils/numeric.h"

/* The columns of ai_run_summary, in order, each as one of these macros has it */
#define RUN_SUMMARY_LIST(COLUMN, LAST) \
	COLUMN(id) COLUMN(user_id) COLUMN(source_type) COLUMN(source_id) COLUMN(name) \
	COLUMN(description) COLUMN(tags) COLUMN(metadata) COLUMN(message_count) \
	COLUMN(task_count) COLUMN(total_tokens) COLUMN(total_cost) COLUMN(status) \
	COLUMN(is_starred) COLUMN(is_archived) COLUMN(created_at) COLUMN(updated_at) \
	COLUMN(last_message_at) COLUMN(active_hour) COLUMN(forked_from) COLUMN(forked_at_seq) \
	LAST(is_listed)

/* As columns in a statement, of a table aliased r; as names; and as numbers */
#define RUN_SUMMARY_SQL(name)		"r." #name ", "
#define RUN_SUMMARY_LAST_SQL(name)	"r." #name
#define RUN_SUMMARY		RUN_SUMMARY_LIST(RUN_SUMMARY_SQL, RUN_SUMMARY_LAST_SQL)
#define RUN_SUMMARY_STRING(name)	#name,
#define RUN_SUMMARY_NAMES	RUN_SUMMARY_LIST(RUN_SUMMARY_STRING, RUN_SUMMARY_STRING)
#define RUN_SUMMARY_NUMBER(name)	Anum_run_summary_##name,
enum
{
	Anum_run_summary_none,
	RUN_SUMMARY_LIST(RUN_SUMMARY_NUMBER, RUN_SUMMARY_NUMBER)
	Anum_run_summary_end
};
#define Natts_run_summary	(Anum_run_summary_end - 1)

/* The columns of ai_run */
#define RUN_WHOLE		RUN_SUMMARY ", r.settings, r.variable_values"

/* The run $1, of a table aliased r, unless it is deleted */
#define LIVE_RUN	"r.id" EQ "$1 AND r.deleted_at IS NULL"

/* What a run says of itself once it is locked */
typedef struct RunState
{
	bool		is_completed;
	bool		has_name;
	int64		message_count;
	TimestampTz last_message_at;
	Field		source_type;
	ItemPointerData place;		/* of its row, once it has been locked; else invalid */
	ResultRow	summary;		/* as run_change() left it; nothing where it is stale */
} RunState;

/* Its columns, of a table aliased r; they come first in a result */
#define RUN_STATE \
	"r.message_count, r.last_message_at, r.name IS NOT NULL, r.status" EQ \
	"'completed', r.ctid, r.source_type"

/* What happens to a run in one step */
typedef struct RunChange
{
	int64		messages;		/* appended */
	int64		tasks;			/* created */
	int64		tokens;			/* more (or less) than before */
	Numeric		cost;			/* likewise; NULL for none */
	const char *status;			/* to be set; NULL leaves it */
} RunChange;

/* What a caller states about a new run; all may be absent */
typedef struct RunFields
{
	Field		source_type;
	Field		source_id;
	Field		name;
	Field		description;
	Field		settings;
	Field		variable_values;
	Field		tags;
	Field		metadata;
	Field		user_id;
	Field		is_listed;		/* of a new run: true where it is absent */
	Field		forked_from;	/* with forked_at_seq, or both are absent */
	Field		forked_at_seq;
} RunFields;

#define NO_FIELD	((Field) {(Datum) 0, true})

extern pg_uuid_t *run_id_argument(FunctionCallInfo fcinfo, int argument);
extern bool run_try_lock(const pg_uuid_t *run_id, RunState *state);
extern bool run_try_lock_deleted(const pg_uuid_t *run_id, RunState *state);
extern void run_lock(const pg_uuid_t *run_id, RunState *state);
extern bool run_hold(const pg_uuid_t *run_id);
extern bool run_hold_deleted(const pg_uuid_t *run_id);
pg_noreturn extern void run_refuse_completed(const pg_uuid_t *run_id);
pg_noreturn extern void run_refuse_taken(const pg_uuid_t *run_id);
extern bool run_look(const pg_uuid_t *run_id, RunState *state);
extern bool run_try_grow(const pg_uuid_t *run_id, int64 messages, RunState *state);
extern void run_grow(const pg_uuid_t *run_id, int64 messages, RunState *state);
extern void run_change(const pg_uuid_t *run_id, const RunChange *change, RunState *state);
extern ResultRow run_read_summary(const pg_uuid_t *run_id);
extern void run_set_name(const pg_uuid_t *run_id, text *name);
extern const pg_uuid_t *run_owner(const RunFields *fields, pg_uuid_t *caller);
extern bool run_insert(const pg_uuid_t *run_id, bool id_given, RunFields *fields,
					   ResultRow *whole);
extern int64 run_last_seq(const pg_uuid_t *run_id);
pg_noreturn extern void run_not_found(const pg_uuid_t *run_id);
pg_noreturn extern void task_not_found(const pg_uuid_t *task_id);

extern const char *run_status_word(text *status);
extern void run_check_transition(const pg_uuid_t *run_id, const char *from, const char *to);
extern void run_check_fields(const RunFields *fields);
extern Field run_shown_name(const Field *name);

static inline TimestampTz
hour_of(TimestampTz time)
{
	TimestampTz hour = time - time % USECS_PER_HOUR;

	return time < hour ? hour - USECS_PER_HOUR : hour;
}

#endif							/* AIRUN_RUN_H */
