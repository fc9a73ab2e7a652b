/* SPDX-License-Identifier: MIT */
/*
 * Figures of a profile for a machine file's devices and spaces; see
 * plan_figures.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_figures.h"
#include "profile_file.h"

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

/* Was that device attached when it was measured? */
static bool with(const struct spoor_profile_tracker *t,
		 const struct mf_device *d, size_t space)
{
	return t->nr_attached ? profile_tracker_lists(t, d->name)
			      : d->home == space;
}

static bool is_of(const struct spoor_profile_tracker *t,
		  const struct machine_file *mf, size_t space,
		  enum spoor_tracker_kind kind)
{
	char name[160];

	snprintf(name, sizeof(name), "%s.%s", mf->spaces[space].name,
		 spoor_tracker_kind_name(kind));
	return !strcmp(t->name, name);
}

const struct spoor_profile_tracker *
plan_figures_own(const struct machine_file *mf, const struct spoor_profile *p,
		 size_t device)
{
	return find_tracker(p, mf->devices[device].name, "device");
}

const struct spoor_profile_tracker *
plan_figures_there(const struct machine_file *mf, const struct spoor_profile *p,
		   size_t space, enum spoor_tracker_kind kind)
{
	for (size_t k = 0; k < p->nr_trackers; k++) {
		const struct spoor_profile_tracker *t = &p->trackers[k];
		bool same = is_of(t, mf, space, kind);
		size_t nr = 0;

		for (size_t i = 0; i < mf->nr_devices && same; i++) {
			const bool there = mf->devices[i].space == space;

			same = with(t, &mf->devices[i], space) == there;
			nr += there;
		}
		if (same && (!t->nr_attached || nr == t->nr_attached))
			return t;
	}
	return NULL;
}

const struct spoor_profile_tracker *
plan_figures_in(const struct machine_file *mf, const struct spoor_profile *p,
		size_t device, size_t space, enum spoor_tracker_kind kind)
{
	for (size_t k = 0; p && k < p->nr_trackers; k++)
		if (is_of(&p->trackers[k], mf, space, kind) &&
		    with(&p->trackers[k], &mf->devices[device], space))
			return &p->trackers[k];
	return NULL;
}

bool plan_figures_with(const struct machine_file *mf,
		       const struct spoor_profile *p, size_t device,
		       enum spoor_tracker_kind kind)
{
	for (size_t s = 0; s < mf->nr_spaces; s++)
		if (plan_figures_in(mf, p, device, s, kind))
			return true;
	return false;
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
	copy->attached = NULL;
	copy->nr_attached = 0;
	snprintf(copy->name, sizeof(copy->name), "%s.%s", owner, kind);
	to->nr_trackers++;
	return true;
}

/* Who is in a space by the file, if that is not who is there now. */
static int name_home(struct spoor_profile_tracker *t,
		     const struct machine_file *mf, size_t space)
{
	bool same = true;

	for (size_t i = 0; i < mf->nr_devices; i++)
		same &= (mf->devices[i].home == space) ==
			(mf->devices[i].space == space);
	if (same)
		return 0;
	t->attached = calloc(mf->nr_devices + 1, sizeof(*t->attached));
	if (!t->attached)
		return -ENOMEM;
	for (size_t i = 0; i < mf->nr_devices; i++)
		if (mf->devices[i].home == space)
			snprintf(t->attached[t->nr_attached++],
				 sizeof(*t->attached), "%s",
				 mf->devices[i].name);
	return 0;
}

/* A copy that owns its list. */
static int take_tracker(struct spoor_profile *to, const struct machine_file *mf,
			const struct spoor_profile_tracker *from)
{
	struct spoor_profile_tracker *t = &to->trackers[to->nr_trackers++];
	int r = 0;

	*t = *from;
	t->attached = NULL;
	if (from->nr_attached) {
		t->attached = calloc(from->nr_attached, sizeof(*t->attached));
		if (!t->attached)
			return -ENOMEM;
		memcpy(t->attached, from->attached,
		       from->nr_attached * sizeof(*t->attached));
		return 0;
	}
	for (size_t s = 0; s < mf->nr_spaces && !r; s++)
		if (is_of(t, mf, s, SPOOR_TRACKER_IOMMU) ||
		    is_of(t, mf, s, SPOOR_TRACKER_PINNED))
			r = name_home(t, mf, s);
	return r;
}

/* How many devices have what is lent to them. */
static size_t lend(struct spoor_profile *to, const struct machine_file *mf,
		   const struct spoor_profile *from)
{
	size_t nr = 0;

	for (size_t i = 0; i < mf->nr_devices; i++) {
		const struct mf_device *d = &mf->devices[i];
		const char *space = mf->spaces[d->space].name;
		bool lent = lend_device(to, d, from);

		lent |= lend_tracker(to, d->name, mf_model_name(d->model),
				     "device", from);
		lent |= lend_tracker(to, space, NULL, "iommu", from);
		lent |= lend_tracker(to, space, NULL, "pinned", from);
		nr += lent;
	}
	return nr;
}

int plan_profile_fit(struct spoor_profile *ret, const struct machine_file *mf,
		     const struct spoor_profile *profile, size_t *nr_lent)
{
	const size_t nr = mf->nr_devices;
	struct spoor_profile p = *profile;
	int r = 0;

	*nr_lent = 0;
	p.nr_trackers = 0;
	p.devices = calloc(p.nr_devices + nr + 1, sizeof(*p.devices));
	p.trackers =
		calloc(profile->nr_trackers + 3 * nr + 1, sizeof(*p.trackers));
	if (!p.devices || !p.trackers)
		r = -ENOMEM;
	else if (p.nr_devices)
		memcpy(p.devices, profile->devices,
		       p.nr_devices * sizeof(*p.devices));
	for (size_t i = 0; i < profile->nr_trackers && !r; i++)
		r = take_tracker(&p, mf, &profile->trackers[i]);
	if (r) {
		plan_profile_clear(&p);
		return r;
	}
	*nr_lent = lend(&p, mf, profile);
	*ret = p;
	return 0;
}

void plan_profile_clear(struct spoor_profile *p)
{
	for (size_t i = 0; p->trackers && i < p->nr_trackers; i++)
		free(p->trackers[i].attached);
	free(p->devices);
	free(p->trackers);
	p->devices = NULL;
	p->trackers = NULL;
}
