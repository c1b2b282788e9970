/*
 * call.h
 *		A function by the raw body of a request.
 */
#ifndef AIRUN_CALL_H
#define AIRUN_CALL_H

#include "airun.h"

#include "utils/jsonb.h"

extern Jsonb *call_leave_out_figures(Jsonb **arguments);
extern void call_tell_left_out(Jsonb *reasons);
extern Jsonb *call_take_left_out(void);

#endif							/* AIRUN_CALL_H */
