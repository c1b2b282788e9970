/*
 * json_text.h
 *		From rows to JSON text, for the functions that load.
 */
#ifndef AIRUN_JSON_TEXT_H
#define AIRUN_JSON_TEXT_H

#include "airun.h"

#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "tcop/dest.h"

extern void json_begin(StringInfo out);
extern Datum json_end(StringInfo out);
extern void json_append_row(StringInfo out, SPITupleTable *rows);
extern DestReceiver *json_array_receiver(StringInfo out);

#endif							/* AIRUN_JSON_TEXT_H */
