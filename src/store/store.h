/*
 * store.h
 *		The store: is it there, and may the caller write to it?
 */
#ifndef AIRUN_STORE_H
#define AIRUN_STORE_H

#include "airun.h"

#include "nodes/parsenodes.h"

/*
 * The version of the store that this library works on, also in install.sql.
 * airun_install() brings an older one up to it.
 */
#define STORE_VERSION	2

extern Oid	store_runs_oid(void);
extern Oid	store_table_oid(const char *name);
extern Oid	table_owner(Oid table);
extern Oid	store_table_owner(const char *name);
extern void store_open(bool for_writing);
extern void store_close(void);
extern bool store_binds_caller(void);
extern bool store_has_policy_hook(void);
extern bool store_has_rights_hook(void);
extern void store_require_caller(void);
extern void store_require_owner(const char *function);
extern void store_require_rights(const char *table, AclMode rights, const char *words);

#endif							/* AIRUN_STORE_H */
