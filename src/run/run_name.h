/*
 * run_name.h
 *		The name that a run gets from what its user says first.
 */
#ifndef AIRUN_RUN_NAME_H
#define AIRUN_RUN_NAME_H

#include "airun.h"

#include "utils/jsonb.h"

extern bool text_is_visible(const char *s, int len);
extern text *run_name_from_message(Jsonb *message);

#endif							/* AIRUN_RUN_NAME_H */
