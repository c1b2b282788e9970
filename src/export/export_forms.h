/*
 * export_forms.h
 *		Conversations as applications and people read them.
 */
#ifndef AIRUN_EXPORT_FORMS_H
#define AIRUN_EXPORT_FORMS_H

#include "export/convert.h"

extern void ui_messages_write(StringInfo out, Conversation *conversation);
extern void sharegpt_write(StringInfo out, Conversation *conversation);
extern void markdown_write(StringInfo out, Conversation *conversation);

#endif							/* AIRUN_EXPORT_FORMS_H */
