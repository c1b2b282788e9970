/*
 * keep_message.c
 *		Tasks keep what they refer to in a message, before that changes.
 *
 * The text of a task may be in the message that came out of it alone, and its
 * request refers to messages of the run (request_compact.c).  When a message is
 * replaced, or messages go, the tasks that refer to them get what they refer to,
 * and no more of it than one reference demands, which is to messages that stand
 * together.  So what a task has said, and what was sent for it, always reads as
 * it was.  Of messages that are gone a task no longer says where they stood.
 *
 * Tasks are written in the name of the owner of the store: a site may hide
 * some of them from the caller.
 *
 * Locks: the run has been locked; the tasks' rows.
 */
#include "task/keep_message.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "run/message.h"
#include "store/store.h"
#include "task/task.h"

/*
 * Have the tasks that a query finds keep what it gives: run_id, task_id; a text
 * or NULL where that stays; request_data and request_reference; and from which
 * seq on there are no messages any more, or NULL.
 */
void
keep_messages_of_tasks(Statement *find, Args *args, Oid owner, Oid function)
{
#define UNLESS_GONE(column) \
	column " = CASE WHEN t." column GE "$6 THEN NULL ELSE t." column " END"
	static Statement keep = {
		"UPDATE airun.tasks AS t SET response_text = COALESCE($3, t.response_text), "
		"text_in_answer = t.text_in_answer AND $3 IS NULL, "
		"request_data = $4, request_reference = $5, "
		UNLESS_GONE("answer_seq") ", " UNLESS_GONE("inputs_from") ", "
		"inputs_to = CASE WHEN t.inputs_from" GE "$6 THEN NULL "
		"WHEN t.inputs_to" GE "$6 THEN $6" MINUS "1 ELSE t.inputs_to END WHERE " THIS_TASK,
		6, {UUIDOID, UUIDOID, TEXTOID, JSONBOID, JSONBOID, INT8OID}
	};
	uint64		count;
	SPITupleTable *tasks;

	statement_in_extension(find, function);
	count = statement_write_as_owner(find, args, owner);
	tasks = SPI_tuptable;
	for (uint64 i = 0; i < count; i++)
	{
		Args		values = {0};
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		for (int column = 1; column <= keep.nargs; column++)
		{
			Datum		value = SPI_getbinval(tasks->vals[i], tasks->tupdesc, column, &isnull);

			arg_add(&values, value, isnull);
		}
		statement_write_task_as_owner(&keep, &values, DatumGetUUIDP(values.values[0]),
									  DatumGetUUIDP(values.values[1]), owner);
	}
	SPI_freetuptable(tasks);
}

/*
 * The message at this place is about to be replaced: have the tasks keep the old
 * one.  A request gets it with those on the side of it where they are fewer, and
 * goes on referring to those on the other.
 */
void
keep_message_of_tasks(const pg_uuid_t *run_id, int64 seq, Jsonb *old, Jsonb *new, Oid function)
{
#define IS_REFERRED_TO	"COALESCE(q.first" LE "$2 AND q.high" GT "$2, false)"
#define IS_IN_FRONT		"($2" MINUS "q.first)" LT "(q.high" MINUS "$2)"
	static Statement find = {
		"SELECT t.run_id, t.task_id, CASE WHEN t.text_in_answer AND t.answer_seq" EQ "$2 "
		"THEN $3 END, "
		"CASE WHEN " IS_REFERRED_TO " THEN " EXTSCHEMA ".airun_request(t.request_data, "
		"pg_catalog.jsonb_set(t.request_reference, '{count}', "
		"pg_catalog.to_jsonb(c.behind" MINUS "c.first)), "
		"(SELECT " EXTSCHEMA ".airun_array_in_order(m.message, m.seq) "
		"FROM airun.messages AS m WHERE m.run_id" EQ "$1 AND m.seq" GE "c.first "
		"AND m.seq" LT "c.behind)) ELSE t.request_data END, "
		"CASE WHEN NOT " IS_REFERRED_TO " THEN t.request_reference "
		"WHEN c.behind" LT "q.high THEN t.request_reference OPERATOR(pg_catalog.||) "
		"pg_catalog.jsonb_build_object('at', " REFERENCE_TO("at") PLUS "c.behind" MINUS "c.first, "
		"'from', c.behind, 'count', q.high" MINUS "c.behind) "
		"WHEN c.first" GT "q.first THEN pg_catalog.jsonb_set(t.request_reference, '{count}', "
		"pg_catalog.to_jsonb(c.first" MINUS "q.first)) END, NULL::pg_catalog.int8 "
		"FROM airun.tasks AS t "
		"CROSS JOIN LATERAL (SELECT " REFERENCE_TO("from") " AS first, "
		REFERENCE_TO("from") PLUS REFERENCE_TO("count") " AS high) AS q "
		"CROSS JOIN LATERAL (SELECT CASE WHEN " IS_IN_FRONT " THEN q.first ELSE $2 END AS first, "
		"CASE WHEN " IS_IN_FRONT " THEN $2" PLUS "1 ELSE q.high END AS behind) AS c "
		"WHERE t.run_id" EQ "$1 AND (" IS_REFERRED_TO
		" OR (t.text_in_answer AND t.answer_seq" EQ "$2 AND $3 IS NOT NULL))",
		3, {UUIDOID, INT8OID, TEXTOID}
	};
	text	   *said = message_text(old);
	text	   *says = message_text(new);
	bool		same_text = said != NULL && says != NULL && text_equal(said, says);
	Args		args = {0};

	arg_uuid(&args, run_id);
	arg_int64(&args, seq);
	arg_pointer(&args, same_text ? NULL : said);
	keep_messages_of_tasks(&find, &args, store_table_owner("tasks"), function);
}
