/*
 * ledger.h
 *		Entries of the ledger: what a charge has used and cost.
 */
#ifndef AIRUN_LEDGER_H
#define AIRUN_LEDGER_H

#include "airun.h"

#include "store/args.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* The longest word of an entry, in bytes: those of a cube's key fit into its index */
#define USAGE_MAX_WORD	600

/* The words of an entry: columns of usage_tail; all but status and price_status may be absent */
#define USAGE_WORD_LIST(WORD) \
	WORD(status) WORD(price_status) WORD(source_type) WORD(service) WORD(task_name) \
	WORD(provider) WORD(model_id) WORD(served_model)
#define USAGE_WORD_FIELD(name)	Field name;

/*
 * What one charge, a task or a call that has ended, has used and cost.  Its
 * figures are those of usage_set_tokens() and usage_set_times().
 */
typedef struct UsageEntry
{
	TimestampTz at;				/* when the task or call was created */
	const char *kind;			/* "task", "call" or "tool" */
	pg_uuid_t	charge_id;		/* the task's or the call's id */
	Field		user_id;
	USAGE_WORD_LIST(USAGE_WORD_FIELD)	/* text */
	int64		tokens_input;	/* these four are disjoint */
	int64		tokens_cache_read;
	int64		tokens_cache_write;
	int64		tokens_output;
	Field		cost;			/* numeric; absent where it is not known */
	Field		first_token_us; /* bigint */
	Field		total_us;
	Field		first_token_bin;	/* smallint */
	Field		total_bin;
} UsageEntry;

extern void usage_set_tokens(UsageEntry *entry, const Field *total, const Field *output,
							 const Field *buckets);
extern void usage_set_times(UsageEntry *entry, const Field *time_to_first_token,
							const Field *total_time);
extern void usage_write_entry(const UsageEntry *entry, int sign);
extern void usage_write_change(const UsageEntry *before, const UsageEntry *after);

#endif							/* AIRUN_LEDGER_H */
