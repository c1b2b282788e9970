/*
 * keep_message.h
 *		Tasks keep what they refer to in a message, before that changes.
 */
#ifndef AIRUN_KEEP_MESSAGE_H
#define AIRUN_KEEP_MESSAGE_H

#include "airun.h"

#include "store/plans.h"

/*
 * The tasks t that refer to messages which go, all from one seq on, as these
 * stand in a table; and how the tasks have to be from now on.  Of a request's
 * messages, those before low stay where they are.  Each run is asked once whether
 * it has tasks: for each message that would be all tasks times all messages.
 */
#define REFERENCE_TO(key) \
	"(t.request_reference OPERATOR(pg_catalog.->>) '" key "')::pg_catalog.int8"
#define TASKS_OF_MESSAGES(messages) \
	"WITH u AS MATERIALIZED (SELECT o.run_id " \
	"FROM (SELECT DISTINCT m.run_id FROM " messages " AS m) AS o " \
	"WHERE EXISTS (SELECT FROM airun.tasks AS t WHERE t.run_id" EQ "o.run_id)) " \
	"SELECT t.run_id, t.task_id, " \
	"CASE WHEN t.text_in_answer AND t.answer_seq" GE "d.first THEN " EXTSCHEMA \
	".airun_message_text(d.messages OPERATOR(pg_catalog.->) " \
	"(t.answer_seq" MINUS "d.first)::pg_catalog.int4) END, " \
	"CASE WHEN q.low" LT "q.high THEN " EXTSCHEMA ".airun_request(t.request_data, " \
	"pg_catalog.jsonb_set(t.request_reference, '{count}', " \
	"pg_catalog.to_jsonb(q.high" MINUS "q.low)), " \
	"pg_catalog.jsonb_path_query_array(d.messages, '$[$a to $b]', " \
	"pg_catalog.jsonb_build_object('a', q.low" MINUS "d.first, " \
	"'b', q.high" MINUS "d.first" MINUS "1))) ELSE t.request_data END, " \
	"CASE WHEN q.low" GE "q.high THEN t.request_reference WHEN q.low" GT "q.from_seq THEN " \
	"pg_catalog.jsonb_set(t.request_reference, '{count}', " \
	"pg_catalog.to_jsonb(q.low" MINUS "q.from_seq)) END, d.first " \
	"FROM (SELECT m.run_id, pg_catalog.min(m.seq) AS first, " \
	EXTSCHEMA ".airun_array_in_order(m.message, m.seq) AS messages FROM " messages " AS m " \
	"JOIN u ON u.run_id" EQ "m.run_id GROUP BY m.run_id) AS d " \
	"JOIN airun.tasks AS t ON t.run_id" EQ "d.run_id CROSS JOIN LATERAL (SELECT " \
	REFERENCE_TO("from") " AS from_seq, GREATEST(" REFERENCE_TO("from") ", d.first) AS low, " \
	REFERENCE_TO("from") PLUS REFERENCE_TO("count") " AS high) AS q " \
	"WHERE t.answer_seq" GE "d.first OR t.inputs_to" GE "d.first OR q.low" LT "q.high"

extern void keep_messages_of_tasks(Statement *find, Args *args, Oid owner, Oid function);
extern void keep_message_of_tasks(const pg_uuid_t *run_id, int64 seq, Jsonb *old, Jsonb *new,
								  Oid function);

#endif							/* AIRUN_KEEP_MESSAGE_H */
