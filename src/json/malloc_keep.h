/*
 * malloc_keep.h
 *		Memory that malloc keeps from one query to the next.
 */
#ifndef AIRUN_MALLOC_KEEP_H
#define AIRUN_MALLOC_KEEP_H

#include "postgres.h"

extern void malloc_keep(Size size);

#endif							/* AIRUN_MALLOC_KEEP_H */
