/*
 * launcher.h
 *		The background worker that does upkeep by itself.
 */
#ifndef AIRUN_LAUNCHER_H
#define AIRUN_LAUNCHER_H

#include "airun.h"

extern void launcher_init(void);

extern PGDLLEXPORT void airun_launcher_main(Datum arg);
extern PGDLLEXPORT void airun_worker_main(Datum arg);

#endif							/* AIRUN_LAUNCHER_H */
