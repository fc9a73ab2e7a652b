/* SPDX-License-Identifier: MIT */
/*
 * A machine's facts from its file alone: what a survey would find, without
 * opening anything; and what it cannot find, as nothing is tried there.
 *
 * Threads: none shared.
 */
#ifndef SPOOR_TOOL_PLAN_FACTS_H
#define SPOOR_TOOL_PLAN_FACTS_H

#include <spoor/plan.h>
#include <spoor/profile.h>

#include "machine_file.h"

/*
 * One a device; free().  Of hardware the file tells nothing: what @profile
 * has figures of is taken to be there.  NULL: out of memory.
 */
struct spoor_device_fact *plan_facts(const struct machine_file *mf,
				     const struct spoor_profile *profile);
uint64_t plan_facts_memory(const struct machine_file *mf);

/* What a survey does not tell, into its @facts.  @profile may be NULL. */
void plan_facts_survey(struct spoor_device_fact *facts,
		       const struct machine_file *mf,
		       const struct spoor_profile *profile);

/*
 * Where else each device could be, and what it would have there; free().  Not
 * where its own keys do not let it be.  What reaches other peers than now, or
 * shares a group, is not eligible.  Of hardware, what @profile (or NULL) has
 * figures of with the device attached is there.  NULL: out of memory.
 */
struct spoor_place_fact *plan_places(const struct machine_file *mf,
				     const struct spoor_profile *profile,
				     size_t *ret_nr);

#endif /* SPOOR_TOOL_PLAN_FACTS_H */
