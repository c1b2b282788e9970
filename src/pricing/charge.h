/*
 * charge.h
 *		What a task has used and what it costs, worked out by the server.
 */
#ifndef AIRUN_CHARGE_H
#define AIRUN_CHARGE_H

#include "airun.h"

#include "pricing/usage.h"
#include "store/args.h"

/* What is known of a task when it is charged; all may be absent */
typedef struct ChargeBasis
{
	Field		model_id;
	Field		provider;
	Field		usage;
	Usage	   *counted;		/* the usage, where it has been read already, or NULL */
	Field		tokens_input;
	Field		tokens_output;
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
} Charge;

extern Usage *charge_count_usage(const Field *usage, const Field *provider, Field *tokens_input,
						 Field *tokens_output, Field *tokens_total, Field *buckets);
extern void charge_compute(const ChargeBasis *basis, Charge *charge);
extern Jsonb *charge_left_out_details(Jsonb *left_out);
extern Field charge_left_out(const Field *cost_details);

#endif							/* AIRUN_CHARGE_H */
