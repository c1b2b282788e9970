/*
 * check.c
 *		What airun_check() counts faster than SQL could.
 *
 * Whether messages come in the order of their seq, with times that do not go
 * back, could be told by a window, which sorts all of them; here it is told from
 * the order in which they are read, which is nearly always that one.  Where it
 * is not, nothing is said of the messages but that they need a closer look.
 *
 * Nothing is locked and nothing refused.
 */
#include "airun.h"

#include "utils/jsonb.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(airun_store_in_order_add);
PG_FUNCTION_INFO_V1(airun_store_in_order_result);

/* The message of a run that came last */
typedef struct Messages
{
	int64		seq;
	TimestampTz created_at;
	bool		are_in_order;
} Messages;

/* Is the document an object?  Of a large one the head alone is unpacked. */
static bool
is_object(Datum document)
{
	struct varlena *head = PG_DETOAST_DATUM_SLICE(document, 0, sizeof(uint32));
	uint32		header;
	bool		result;

	if (VARSIZE_ANY_EXHDR(head) < sizeof(header))
		return false;
	memcpy(&header, VARDATA_ANY(head), sizeof(header));
	result = (header & JB_FOBJECT) != 0;
	pfree(head);
	return result;
}

/*
 * airun_store_in_order_add(internal, seq, created_at, message) returns internal
 *
 * The transition function of airun_store_in_order.
 */
Datum
airun_store_in_order_add(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	Messages   *messages;
	Messages	next;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "airun_store_in_order_add() is for an aggregate");
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		next = (Messages) {0};
	else
		next = (Messages) {
			PG_GETARG_INT64(1), PG_GETARG_TIMESTAMPTZ(2), is_object(PG_GETARG_DATUM(3))
		};
	if (PG_ARGISNULL(0))
	{
		messages = MemoryContextAlloc(context, sizeof(Messages));
		*messages = next;
		PG_RETURN_POINTER(messages);
	}
	messages = (Messages *) PG_GETARG_POINTER(0);
	next.are_in_order &= messages->are_in_order && next.seq == messages->seq + 1 &&
		next.created_at >= messages->created_at;
	*messages = next;
	PG_RETURN_POINTER(messages);
}

/*
 * airun_store_in_order_result(internal) returns boolean
 *
 * The final function of airun_store_in_order.
 */
Datum
airun_store_in_order_result(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_ARGISNULL(0) || ((Messages *) PG_GETARG_POINTER(0))->are_in_order);
}
