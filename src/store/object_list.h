/*
 * object_list.h
 *		The list of what airun_install() makes, as the library knows it.
 */
#ifndef AIRUN_OBJECT_LIST_H
#define AIRUN_OBJECT_LIST_H

#include "airun.h"

/* An object that airun_install() makes */
typedef struct StoreObject
{
	char	   *kind;			/* "column", "policy", "trigger", "constraint" ... */
	char	   *relation;		/* the table that it is on, or of */
	char	   *name;
	char	   *definition;		/* in the server's words */
} StoreObject;

extern void object_list_read(void);
extern bool object_list_is_known(void);
extern void object_list_forget(void);
extern bool object_is_listed(const char *kind, const char *relation, const char *name,
							 const char *words);
extern const StoreObject *object_next(const char *kind, const StoreObject *object);
extern int	object_count(const char *kind, const char *relation);
extern Oid	object_function(const char *name, Oid *owner);
extern bool object_is_of_extension(Oid function);

#endif							/* AIRUN_OBJECT_LIST_H */
