/*
 * export_spans.h
 *		A run as spans of OpenTelemetry.
 */
#ifndef AIRUN_EXPORT_SPANS_H
#define AIRUN_EXPORT_SPANS_H

#include "export/convert.h"
#include "utils/uuid.h"

extern void spans_write(StringInfo out, const pg_uuid_t *run_id, TimestampTz begin,
						TimestampTz end, const Conversation *conversation);

#endif							/* AIRUN_EXPORT_SPANS_H */
