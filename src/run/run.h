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

/* The columns of ai_run_summary, of a table aliased r */
#define RUN_SUMMARY \
	"r.id, r.user_id, r.source_type, r.source_id, r.name, r.description, r.tags, " \
	"r.metadata, r.message_count, r.task_count, r.total_tokens, r.total_cost, " \
	"r.status, r.is_starred, r.is_archived, r.created_at, r.updated_at, " \
	"r.last_message_at, r.active_hour"

/* The run $1, of a table aliased r, unless it is deleted */
#define LIVE_RUN	"r.id" EQ "$1 AND r.deleted_at IS NULL"

/* What a run says of itself once it is locked */
typedef struct RunState
{
	bool		is_completed;
	bool		has_name;
	int64		message_count;
	TimestampTz last_message_at;
	ItemPointerData place;		/* of its row, once it has been locked; else invalid */
	SPITupleTable *summary;		/* as run_change() left it; NULL where it is stale */
} RunState;

/* Its columns, of a table aliased r; they come first in a result */
#define RUN_STATE \
	"r.message_count, r.last_message_at, r.name IS NOT NULL, r.status" EQ "'completed', r.ctid"

/* Numbers of columns in RUN_SUMMARY */
#define RUN_SUMMARY_ID				1
#define RUN_SUMMARY_NAME			5
#define RUN_SUMMARY_MESSAGE_COUNT	9
#define RUN_SUMMARY_STATUS			13
#define RUN_SUMMARY_LAST_MESSAGE_AT	18
#define RUN_SUMMARY_ACTIVE_HOUR		19
#define RUN_SUMMARY_COLUMNS			19

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
} RunFields;

extern pg_uuid_t *run_id_argument(FunctionCallInfo fcinfo, int argument);
extern void run_state_from_result(RunState *state);
extern bool run_try_lock(const pg_uuid_t *run_id, RunState *state);
extern void run_lock(const pg_uuid_t *run_id, RunState *state);
extern bool run_hold(const pg_uuid_t *run_id);
extern bool run_hold_deleted(const pg_uuid_t *run_id);
pg_noreturn extern void run_refuse_completed(const pg_uuid_t *run_id);
pg_noreturn extern void run_refuse_taken(const pg_uuid_t *run_id);
extern bool run_look(const pg_uuid_t *run_id, RunState *state);
extern bool run_try_grow(const pg_uuid_t *run_id, int64 messages, RunState *state);
extern void run_grow(const pg_uuid_t *run_id, int64 messages, RunState *state);
extern void run_change(const pg_uuid_t *run_id, const RunChange *change, RunState *state);
extern void run_set_name(const pg_uuid_t *run_id, text *name);
extern bool run_insert(const pg_uuid_t *run_id, bool id_given, RunFields *fields);
extern int64 run_last_seq(const pg_uuid_t *run_id);
pg_noreturn extern void run_not_found(const pg_uuid_t *run_id);
pg_noreturn extern void task_not_found(const pg_uuid_t *task_id);

extern const char *run_status_word(text *status);
extern void run_check_transition(const pg_uuid_t *run_id, const char *from, const char *to);
extern void run_check_fields(const RunFields *fields);

static inline TimestampTz
hour_of(TimestampTz time)
{
	TimestampTz hour = time - time % USECS_PER_HOUR;

	return time < hour ? hour - USECS_PER_HOUR : hour;
}

#endif							/* AIRUN_RUN_H */
