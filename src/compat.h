/*
 * compat.h
 *		Differences between PostgreSQL 15 and 18, and nowhere else.
 *
 * Old servers get the new spelling.
 */
#ifndef AIRUN_COMPAT_H
#define AIRUN_COMPAT_H

#include "postgres.h"

#include "fmgr.h"

#if PG_VERSION_NUM < 150000
#error "airun needs PostgreSQL 15 or later"
#endif

/* 16 moved the varlena macros out of postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 16 brought typed allocation to the backend */
#ifndef palloc_array
#define palloc_array(type, count) ((type *) palloc(sizeof(type) * (count)))
#endif
#ifndef palloc0_array
#define palloc0_array(type, count) ((type *) palloc0(sizeof(type) * (count)))
#endif
#ifndef palloc_object
#define palloc_object(type) ((type *) palloc(sizeof(type)))
#endif
#ifndef palloc0_object
#define palloc0_object(type) ((type *) palloc0(sizeof(type)))
#endif

/* 18 turned the attribute into C11's specifier */
#ifndef pg_noreturn
#define pg_noreturn _Noreturn
#endif

/* 18 lets a module tell its name and version */
#ifndef PG_MODULE_MAGIC_EXT
#define PG_MODULE_MAGIC_EXT(...) PG_MODULE_MAGIC
#endif

#endif							/* AIRUN_COMPAT_H */
