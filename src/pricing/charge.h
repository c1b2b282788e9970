/*
 * charge.h
 *		What a task has used and what it costs, worked out by the server.
 */
#ifndef AIRUN_CHARGE_H
#define AIRUN_CHARGE_H

#include "airun.h"

#include "pricing/usage.h"
#include "store/args.h"

/*
 * What is known of how a task was served: columns of airun.tasks, from the
 * call that ends it, or else from what the provider sent.
 */
#define SERVED_FIELD_LIST(FIELD) \
	FIELD(served_model) FIELD(service_tier) FIELD(region) FIELD(speed) \
	FIELD(provider_cost) FIELD(billed)
#define SERVED_FIELD(name)	Field name;

/* What is known of a task when it is charged; all may be absent */
typedef struct ChargeBasis
{
	Field		model_id;
	Field		provider;
	Field		endpoint;
	Field		metadata;
	Field		usage;
	Field		response_data;	/* whose usage counts where there is no other */
	SERVED_FIELD_LIST(SERVED_FIELD)
	Usage	   *counted;		/* the usage, where it has been read already, or NULL */
	Field		tokens_input;
	Field		tokens_output;
	Field		tokens_total;	/* all of them, whoever has counted */
	Field		client_cost;	/* what the client says that it costs */
	Field		left_out;		/* figures that cannot be, by name, with the reason */
	TimestampTz created_at;
} ChargeBasis;

/* The charge: columns of airun.tasks */
typedef struct Charge
{
	Field		cost;
	Field		cost_details;
	Field		price_status;
	const char *reason;			/* why no price says what it costs, or NULL */
} Charge;

extern void charge_read_served(ChargeBasis *basis);
extern Usage *charge_count_usage(const ChargeBasis *basis, Field *tokens_input,
						 Field *tokens_output, Field *tokens_total, Field *buckets);
extern bool charge_counts_answer(const ChargeBasis *basis);
extern void charge_compute(const ChargeBasis *basis, Charge *charge);
extern void charge_keep_cost(const Field *cost, const Field *details, Charge *charge);
extern bool same_amount(const Field *a, const Field *b);
extern void charge_leave_out(Field *left_out, const char *name, const char *reason);
extern Jsonb *charge_left_out_details(Jsonb *left_out);
extern Field charge_left_out(const Field *cost_details);

#endif							/* AIRUN_CHARGE_H */
