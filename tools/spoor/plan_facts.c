/* SPDX-License-Identifier: MIT */
/*
 * Facts without a survey; see plan_facts.h.  Softvfio's devices do as their
 * keys say, so the file tells what trying them would.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/device.h>

#include "plan_facts.h"

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

static const struct spoor_profile_tracker *
find_tracker(const struct spoor_profile *p, const char *name, const char *kind)
{
	char full[160];

	snprintf(full, sizeof(full), "%s.%s", name, kind);
	for (size_t i = 0; i < p->nr_trackers; i++)
		if (!strcmp(p->trackers[i].name, full))
			return &p->trackers[i];
	return NULL;
}

static void in_profile(struct spoor_tracker_fact *f,
		       enum spoor_tracker_kind kind,
		       const struct spoor_profile *profile, const char *name)
{
	const struct spoor_profile_tracker *t =
		find_tracker(profile, name, spoor_tracker_kind_name(kind));
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

/* Does every device of this container pin what it uses? */
static bool all_pin(const struct machine_file *mf, size_t space)
{
	for (size_t i = 0; i < mf->nr_devices; i++) {
		const struct mf_device *d = &mf->devices[i];

		if (d->space == space && d->model != MF_MDEV &&
		    !(d->model == MF_NIC && d->pins.gratuitous))
			return false;
	}
	return true;
}

static void space_trackers(struct spoor_device_fact *fact,
			   const struct machine_file *mf,
			   const struct mf_space *s, size_t index)
{
	if (s->backend == MF_TYPE1) {
		there_is_not(&fact->iommu, "its space is a type1 container");
		there_is(&fact->pinned, SPOOR_TRACKER_PINNED, MF_PAGE,
			 all_pin(mf, index) ? 0 : SPOOR_TRACKER_EVERYTHING);
		return;
	}
	there_is_not(&fact->pinned, "its space is no type1 container");
	if (s->dirty_tracking)
		there_is(&fact->iommu, SPOOR_TRACKER_IOMMU, s->iommu_page,
			 SPOOR_TRACKER_EXACT);
	else
		there_is_not(&fact->iommu,
			     "its space has no \"dirty_tracking\"");
}

static const char *reaches_peer(const struct machine_file *mf, size_t i)
{
	if (!mf->spaces[mf->devices[i].space].p2p)
		return NULL;
	for (size_t k = 0; k < mf->nr_devices; k++)
		if (k != i)
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

struct spoor_device_fact *plan_facts(const struct machine_file *mf,
				     const struct spoor_profile *profile)
{
	struct spoor_device_fact *facts =
		calloc(mf->nr_devices + 1, sizeof(*facts));

	for (size_t i = 0; facts && i < mf->nr_devices; i++) {
		const struct mf_device *d = &mf->devices[i];
		const struct mf_space *s = &mf->spaces[d->space];
		struct spoor_device_fact *f = &facts[i];

		f->name = d->name;
		f->space = d->space;
		f->p2p_stops_all = d->p2p_stops == 1;
		f->noiommu = d->noiommu;
		f->reach_bytes = plan_facts_memory(mf);
		f->reaches_peer = reaches_peer(mf, i);
		if (d->model == MF_NO_MODEL) {
			f->migration =
				SPOOR_MIGRATION_STOP_COPY | SPOOR_MIGRATION_P2P;
			in_profile(&f->own, SPOOR_TRACKER_DEVICE, profile,
				   d->name);
			in_profile(&f->iommu, SPOOR_TRACKER_IOMMU, profile,
				   s->name);
			in_profile(&f->pinned, SPOOR_TRACKER_PINNED, profile,
				   s->name);
			continue;
		}
		f->migration = migration_of(d);
		f->state_bytes = d->state_size;
		own_tracker(&f->own, d);
		space_trackers(f, mf, s, d->space);
	}
	return facts;
}

static const struct spoor_profile_device *
find_device(const struct spoor_profile *p, const char *name)
{
	for (size_t i = 0; i < p->nr_devices; i++)
		if (!strcmp(p->devices[i].name, name))
			return &p->devices[i];
	return NULL;
}

static bool lend_device(struct spoor_profile *to, const struct mf_device *d,
			const struct spoor_profile *from)
{
	const struct spoor_profile_device *f = find_device(from, d->name);
	struct spoor_profile_device *copy = &to->devices[to->nr_devices];

	if (f)
		return false;
	f = find_device(from, mf_model_name(d->model));
	if (!f)
		f = find_device(from, "*");
	if (!f)
		return false;
	*copy = *f;
	snprintf(copy->name, sizeof(copy->name), "%s", d->name);
	to->nr_devices++;
	return true;
}

static bool lend_tracker(struct spoor_profile *to, const char *owner,
			 const char *model, const char *kind,
			 const struct spoor_profile *from)
{
	const struct spoor_profile_tracker *f = find_tracker(from, owner, kind);
	struct spoor_profile_tracker *copy = &to->trackers[to->nr_trackers];

	if (f || find_tracker(to, owner, kind))
		return false;
	if (model)
		f = find_tracker(from, model, kind);
	if (!f)
		f = find_tracker(from, "*", kind);
	if (!f)
		return false;
	*copy = *f;
	snprintf(copy->name, sizeof(copy->name), "%s.%s", owner, kind);
	to->nr_trackers++;
	return true;
}

int plan_profile_fit(struct spoor_profile *ret, const struct machine_file *mf,
		     const struct spoor_profile *profile, size_t *nr_lent)
{
	const size_t nr = mf->nr_devices;
	struct spoor_profile p = *profile;

	*nr_lent = 0;
	p.devices = calloc(p.nr_devices + nr + 1, sizeof(*p.devices));
	p.trackers = calloc(p.nr_trackers + 3 * nr + 1, sizeof(*p.trackers));
	if (!p.devices || !p.trackers) {
		plan_profile_clear(&p);
		return -ENOMEM;
	}
	if (p.nr_devices)
		memcpy(p.devices, profile->devices,
		       p.nr_devices * sizeof(*p.devices));
	if (p.nr_trackers)
		memcpy(p.trackers, profile->trackers,
		       p.nr_trackers * sizeof(*p.trackers));
	for (size_t i = 0; i < nr; i++) {
		const struct mf_device *d = &mf->devices[i];
		const char *space = mf->spaces[d->space].name;
		bool lent = lend_device(&p, d, profile);

		lent |= lend_tracker(&p, d->name, mf_model_name(d->model),
				     "device", profile);
		lent |= lend_tracker(&p, space, NULL, "iommu", profile);
		lent |= lend_tracker(&p, space, NULL, "pinned", profile);
		*nr_lent += lent;
	}
	*ret = p;
	return 0;
}

void plan_profile_clear(struct spoor_profile *p)
{
	free(p->devices);
	free(p->trackers);
	p->devices = NULL;
	p->trackers = NULL;
}
