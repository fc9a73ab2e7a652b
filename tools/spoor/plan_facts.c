/* SPDX-License-Identifier: MIT */
/*
 * Facts without a survey; see plan_facts.h.  Softvfio's devices do as their
 * keys say, so the file tells what trying them would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/device.h>

#include "plan_facts.h"
#include "plan_figures.h"

uint64_t plan_facts_memory(const struct machine_file *mf)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < mf->nr_memory; i++)
		sum += mf->memory[i].size;
	return sum;
}

static void there_is(struct spoor_tracker_fact *f, enum spoor_tracker_kind kind,
		     uint64_t page_sizes, unsigned int flags)
{
	*f = (struct spoor_tracker_fact){
		.usable = true,
		.caps = { .kind = kind,
			  .page_sizes = page_sizes,
			  .flags = flags },
	};
}

static void there_is_not(struct spoor_tracker_fact *f, const char *why)
{
	*f = (struct spoor_tracker_fact){ .usable = false };
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static void in_profile(struct spoor_tracker_fact *f,
		       enum spoor_tracker_kind kind,
		       const struct spoor_profile_tracker *t)
{
	uint64_t sizes = 0;

	for (size_t i = 0; t && i < t->nr_pages; i++)
		sizes |= t->pages[i].page_size;
	if (sizes)
		there_is(f, kind, sizes, 0);
	else
		there_is_not(f, "the profile has no figures of it");
}

static void own_tracker(struct spoor_tracker_fact *f, const struct mf_device *d)
{
	const struct mf_tracker *t = &d->tracker;

	if (!t->present) {
		there_is_not(f, "the machine file gives it no tracker");
		return;
	}
	there_is(f, SPOOR_TRACKER_DEVICE,
		 (t->max_page | (t->max_page - 1)) & ~(t->min_page - 1),
		 t->read_while_running ? SPOOR_TRACKER_EXACT
				       : SPOOR_TRACKER_QUIET_READ);
}

/* A driver of hardware that pins was seen to when it was measured. */
static bool pins(const struct machine_file *mf,
		 const struct spoor_profile *profile, size_t i)
{
	const struct mf_device *d = &mf->devices[i];

	if (d->model == MF_NO_MODEL)
		return plan_figures_with(mf, profile, i, SPOOR_TRACKER_PINNED);
	return d->model == MF_MDEV ||
	       (d->model == MF_NIC && d->pins.gratuitous);
}

static bool all_pin(const struct machine_file *mf,
		    const struct spoor_profile *profile, size_t space)
{
	for (size_t i = 0; i < mf->nr_devices; i++)
		if (mf->devices[i].space == space && !pins(mf, profile, i))
			return false;
	return true;
}

/* As long as all in a container pin. */
static void space_trackers(struct spoor_tracker_fact *iommu,
			   struct spoor_tracker_fact *pinned,
			   const struct mf_device *d, const struct mf_space *s)
{
	if (s->backend == MF_TYPE1) {
		there_is_not(iommu, "its space is a type1 container");
		there_is(pinned, SPOOR_TRACKER_PINNED, MF_PAGE, 0);
		return;
	}
	there_is_not(pinned, "its space is no type1 container");
	if (d->model == MF_MDEV)
		there_is_not(iommu,
			     "it is emulated: no IOMMU sees what it writes");
	else if (s->dirty_tracking)
		there_is(iommu, SPOOR_TRACKER_IOMMU, s->iommu_page,
			 SPOOR_TRACKER_EXACT);
	else
		there_is_not(iommu, "its space has no \"dirty_tracking\"");
}

/* Only a nic has a BAR that others can write to. */
static const char *reaches_peer(const struct machine_file *mf, size_t i,
				size_t space)
{
	if (!mf->spaces[space].p2p)
		return NULL;
	for (size_t k = 0; k < mf->nr_devices; k++)
		if (k != i && mf->devices[k].model == MF_NIC)
			return mf->devices[k].name;
	return NULL;
}

static unsigned int migration_of(const struct mf_device *d)
{
	unsigned int bits = 0;

	if (d->migration & MF_STOP_COPY)
		bits |= SPOOR_MIGRATION_STOP_COPY;
	if (d->migration & MF_P2P)
		bits |= SPOOR_MIGRATION_P2P;
	if (d->migration & MF_PRE_COPY)
		bits |= SPOOR_MIGRATION_PRE_COPY;
	return bits;
}

static void model_fact(struct spoor_device_fact *f,
		       const struct machine_file *mf,
		       const struct spoor_profile *profile, size_t i)
{
	const struct mf_device *d = &mf->devices[i];

	f->migration = migration_of(d);
	f->state_bytes = d->state_size;
	own_tracker(&f->own, d);
	space_trackers(&f->iommu, &f->pinned, d, &mf->spaces[d->space]);
	if (f->pinned.usable && !all_pin(mf, profile, d->space))
		f->pinned.caps.flags |= SPOOR_TRACKER_EVERYTHING;
}

static void hardware_fact(struct spoor_device_fact *f,
			  const struct machine_file *mf,
			  const struct spoor_profile *profile, size_t i)
{
	const size_t space = mf->devices[i].space;

	f->migration = SPOOR_MIGRATION_STOP_COPY | SPOOR_MIGRATION_P2P;
	in_profile(&f->own, SPOOR_TRACKER_DEVICE,
		   plan_figures_own(mf, profile, i));
	in_profile(&f->iommu, SPOOR_TRACKER_IOMMU,
		   plan_figures_there(mf, profile, space, SPOOR_TRACKER_IOMMU));
	in_profile(
		&f->pinned, SPOOR_TRACKER_PINNED,
		plan_figures_there(mf, profile, space, SPOOR_TRACKER_PINNED));
}

struct spoor_device_fact *plan_facts(const struct machine_file *mf,
				     const struct spoor_profile *profile)
{
	struct spoor_device_fact *facts =
		calloc(mf->nr_devices + 1, sizeof(*facts));

	for (size_t i = 0; facts && i < mf->nr_devices; i++) {
		const struct mf_device *d = &mf->devices[i];
		struct spoor_device_fact *f = &facts[i];

		f->name = d->name;
		f->space = d->space;
		f->p2p_stops_all = d->p2p_stops == 1;
		f->noiommu = d->noiommu;
		f->reach_bytes = plan_facts_memory(mf);
		f->reaches_peer = reaches_peer(mf, i, d->space);
		f->pins = pins(mf, profile, i);
		if (d->model == MF_NO_MODEL)
			hardware_fact(f, mf, profile, i);
		else
			model_fact(f, mf, profile, i);
	}
	return facts;
}

void plan_facts_survey(struct spoor_device_fact *facts,
		       const struct machine_file *mf,
		       const struct spoor_profile *profile)
{
	for (size_t i = 0; i < mf->nr_devices; i++) {
		/* Spaces that nobody uses were not opened. */
		facts[i].space = mf->devices[i].space;
		facts[i].pins |= pins(mf, profile, i);
	}
}

/* What shares a group with others goes where they go. */
static bool alone(const struct machine_file *mf, size_t i)
{
	for (size_t k = 0; k < mf->nr_devices; k++)
		if (k != i && mf->devices[k].group == mf->devices[i].group &&
		    mf->devices[i].model != MF_NO_MODEL)
			return false;
	return !mf->devices[i].noiommu;
}

static void add_place(struct spoor_place_fact *p, const struct machine_file *mf,
		      const struct spoor_profile *profile, size_t i,
		      size_t space)
{
	const struct mf_device *d = &mf->devices[i];
	const struct mf_space *s = &mf->spaces[space];

	*p = (struct spoor_place_fact){
		.device = i,
		.space = space,
		.eligible = alone(mf, i) && s->p2p == mf->spaces[d->space].p2p,
		.reach_bytes = plan_facts_memory(mf),
		.reaches_peer = reaches_peer(mf, i, space),
	};
	if (d->model != MF_NO_MODEL) {
		space_trackers(&p->iommu, &p->pinned, d, s);
		return;
	}
	in_profile(&p->iommu, SPOOR_TRACKER_IOMMU,
		   plan_figures_in(mf, profile, i, space, SPOOR_TRACKER_IOMMU));
	in_profile(
		&p->pinned, SPOOR_TRACKER_PINNED,
		plan_figures_in(mf, profile, i, space, SPOOR_TRACKER_PINNED));
}

struct spoor_place_fact *plan_places(const struct machine_file *mf,
				     const struct spoor_profile *profile,
				     size_t *ret_nr)
{
	struct spoor_place_fact *places =
		calloc(mf->nr_devices * mf->nr_spaces + 1, sizeof(*places));
	char why[160];
	size_t nr = 0;

	for (size_t i = 0; places && i < mf->nr_devices; i++)
		for (size_t s = 0; s < mf->nr_spaces; s++)
			if (s != mf->devices[i].space &&
			    machine_can_be_in(mf, i, s, why, sizeof(why)))
				add_place(&places[nr++], mf, profile, i, s);
	*ret_nr = nr;
	return places;
}
