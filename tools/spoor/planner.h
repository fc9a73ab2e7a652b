/* SPDX-License-Identifier: MIT */
/*
 * From facts and a profile to a plan, its prediction, and what is said of
 * both; in the machine's process, or without any machine.
 *
 * Threads: none shared.
 */
#ifndef SPOOR_TOOL_PLANNER_H
#define SPOOR_TOOL_PLANNER_H

#include <jansson.h>

#include <spoor/plan.h>
#include <spoor/profile.h>

#include "opts.h"

struct planner {
	const struct machine_file *mf;
	const struct opts *o;
	const struct spoor_device_fact *facts; /* as the machine's devices */
	uint64_t memory_bytes;
	const struct spoor_profile *profile; /* NULL: by rule */
	/* Takes the event's reference. */
	void (*tell)(void *opaque, json_t *event);
	void *opaque;
	char error[600]; /* why it returns an exit code */
};

/* Tells notes, the plan, and simulated rounds if asked; 0 or an exit code. */
int planner_run(struct planner *p);

#endif /* SPOOR_TOOL_PLANNER_H */
