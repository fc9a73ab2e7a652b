/* SPDX-License-Identifier: MIT */
/*
 * A machine's facts from its file alone: what a survey would find, without
 * opening anything; and a profile made to fit its devices.
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

/*
 * @profile with figures for every device of @mf: where it has none of that
 * name, those of its model ("nic", "nic.device"), else of "*" ("*.device",
 * "*.iommu", "*.pinned").  Borrows the pages of @profile; -ENOMEM.  @nr_lent:
 * how many devices have such figures.  Release with plan_profile_clear().
 */
int plan_profile_fit(struct spoor_profile *ret, const struct machine_file *mf,
		     const struct spoor_profile *profile, size_t *nr_lent);
void plan_profile_clear(struct spoor_profile *p);

#endif /* SPOOR_TOOL_PLAN_FACTS_H */
