/* SPDX-License-Identifier: MIT */
/*
 * The figures of a profile that a machine file's devices and spaces have, and a
 * profile made to fit them.
 *
 * Threads: none shared.
 */
#ifndef SPOOR_TOOL_PLAN_FIGURES_H
#define SPOOR_TOOL_PLAN_FIGURES_H

#include <stdbool.h>

#include <spoor/profile.h>

#include "machine_file.h"

/* NULL: it has none.  A device's own tracker. */
const struct spoor_profile_tracker *
plan_figures_own(const struct machine_file *mf, const struct spoor_profile *p,
		 size_t device);
/* A space's, with just the devices attached that are there now. */
const struct spoor_profile_tracker *
plan_figures_there(const struct machine_file *mf, const struct spoor_profile *p,
		   size_t space, enum spoor_tracker_kind kind);
/* A space's, with that device and whoever else attached.  @p may be NULL. */
const struct spoor_profile_tracker *
plan_figures_in(const struct machine_file *mf, const struct spoor_profile *p,
		size_t device, size_t space, enum spoor_tracker_kind kind);
/* Any space's. */
bool plan_figures_with(const struct machine_file *mf,
		       const struct spoor_profile *p, size_t device,
		       enum spoor_tracker_kind kind);

/*
 * @profile with figures for every device of @mf: where it has none of that
 * name, those of its model ("nic", "nic.device"), else of "*" ("*.device",
 * "*.iommu", "*.pinned").  Borrows the pages of @profile; -ENOMEM.  @nr_lent:
 * how many devices have such figures.  Release with plan_profile_clear().
 */
int plan_profile_fit(struct spoor_profile *ret, const struct machine_file *mf,
		     const struct spoor_profile *profile, size_t *nr_lent);
void plan_profile_clear(struct spoor_profile *p);

#endif /* SPOOR_TOOL_PLAN_FIGURES_H */
