/*
 * report.h
 *		Figures of any range, in buckets of any time zone.
 */
#ifndef AIRUN_REPORT_H
#define AIRUN_REPORT_H

#include "datatype/timestamp.h"
#include "store/plans.h"

/* The parameters of a report's query, which are the first of the statement around it */
#define REPORT_PARAMETERS	5
#define REPORT_TYPES		TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, DATEOID, DATEOID

/* The columns of its rows, in their order */
#define REPORT_COLUMNS \
	"bucket, bucket_start, kind, user_id, source_type, provider, model_id, served_model, " \
	"service, task_name, status, price_status, calls, errors, error_rate, unpriced, doubtful, " \
	"unpriced_tokens, tokens_input, tokens_cache_read, tokens_cache_write, tokens_output, " \
	"tokens_total, cost, first_token_p50, first_token_p95, first_token_p99, first_token_avg, " \
	"total_p50, total_p95, total_p99, total_avg, answered_by"

/* What airun_usage() is asked for, without filters */
typedef struct ReportQuestion
{
	Oid			function;		/* one of the extension's */
	bool		sees_all;		/* is the caller a reporter? */
	TimestampTz from_time;		/* before to_time */
	TimestampTz to_time;
	const char *bucket;
	const char *zone;
	Datum		group_by;		/* an array of words */
} ReportQuestion;

extern const char *report_zone(const Field *field);
extern char *report_query(const ReportQuestion *question, Datum *values);

#endif							/* AIRUN_REPORT_H */
