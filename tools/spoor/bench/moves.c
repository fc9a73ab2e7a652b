/* SPDX-License-Identifier: MIT */
/*
 * Which devices are measured in another space, too: a profile says nothing of
 * what a space's tracker reports with others attached, so each set of devices
 * takes a run of its own.  They are as few as can be of use: those by which a
 * device that nobody tracks where it is would be tracked; each that could come
 * to a space, all of them, and all those that keep a container from others.
 *
 * Threads: the parent's main thread.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "tools/spoor/plan_facts.h"
#include "tools/spoor/plan_figures.h"

struct choice {
	struct bench_moves *moves;
	const struct machine_file *mf;
	const struct spoor_device_fact *facts;
	const struct spoor_place_fact *places;
	size_t nr_places;
};

static bool serves(const struct spoor_tracker_fact *f)
{
	return f->usable && !(f->caps.flags & SPOOR_TRACKER_EVERYTHING);
}

static bool served(const struct spoor_device_fact *f)
{
	return serves(&f->own) || serves(&f->iommu) || serves(&f->pinned);
}

static const struct spoor_place_fact *place_of(const struct choice *c, size_t i,
					       size_t space)
{
	for (size_t k = 0; k < c->nr_places; k++)
		if (c->places[k].device == i && c->places[k].space == space &&
		    c->places[k].eligible)
			return &c->places[k];
	return NULL;
}

/* Does anybody there keep a container's pages from being told? */
static bool all_pin(const struct choice *c, size_t space)
{
	for (size_t i = 0; i < c->mf->nr_devices; i++)
		if (c->facts[i].space == space && !c->facts[i].pins)
			return false;
	return true;
}

/* Of hardware nothing is known before it is tried. */
static bool gains(const struct choice *c, size_t i, size_t space)
{
	const struct spoor_place_fact *p = place_of(c, i, space);
	const struct mf_space *s = &c->mf->spaces[space];

	if (!p || served(&c->facts[i]))
		return false;
	if (c->mf->devices[i].model == MF_NO_MODEL && s->backend == MF_IOMMUFD)
		return s->dirty_tracking;
	return p->iommu.usable ||
	       (p->pinned.usable && c->facts[i].pins && all_pin(c, space));
}

/* Is it in the way of those that pin? */
static bool hinders(const struct choice *c, size_t i, size_t space)
{
	const size_t from = c->facts[i].space;

	if (c->mf->spaces[from].backend != MF_TYPE1 || c->facts[i].pins)
		return false;
	for (size_t k = 0; k < c->mf->nr_devices; k++)
		if (c->facts[k].space == from && c->facts[k].pins &&
		    !served(&c->facts[k]))
			return place_of(c, i, space);
	return false;
}

/* Those marked, to @space. */
static int add(const struct choice *c, const bool *who, size_t space)
{
	struct bench_moves *m = c->moves;
	char *text = NULL;
	size_t len, nr = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < c->mf->nr_devices; i++)
		if (who[i])
			fprintf(out, "%s%s.space=%s", nr++ ? "," : "",
				c->mf->devices[i].name,
				c->mf->spaces[space].name);
	if (fclose(out) || !text) {
		free(text);
		return -ENOMEM;
	}
	for (size_t k = 0; k < m->nr && nr; k++)
		if (!strcmp(m->sets[k], text))
			nr = 0;
	if (nr && m->nr < BENCH_MOVES_MAX) {
		m->sets[m->nr++] = text;
		return 0;
	}
	m->nr_left_out += nr > 0;
	free(text);
	return 0;
}

static int find_gains(const struct choice *c, size_t space)
{
	bool all[MF_DEVICES_MAX] = { false };
	int r = 0;

	for (size_t i = 0; i < c->mf->nr_devices && !r; i++) {
		bool one[MF_DEVICES_MAX] = { false };

		one[i] = all[i] = gains(c, i, space);
		r = add(c, one, space);
	}
	return r ? r : add(c, all, space);
}

/* All of a container that are in the way. */
static int find_hindrances(const struct choice *c, size_t from, size_t space)
{
	bool all[MF_DEVICES_MAX] = { false };

	for (size_t i = 0; i < c->mf->nr_devices; i++) {
		if (c->facts[i].space != from || c->facts[i].pins)
			continue;
		all[i] = hinders(c, i, space);
		/* While one stays, nothing is won. */
		if (!all[i])
			return 0;
	}
	return add(c, all, space);
}

int bench_moves_find(struct bench_moves *ret, const struct machine_file *mf,
		     const struct spoor_profile *p)
{
	struct spoor_device_fact *facts = plan_facts(mf, p);
	struct choice c = { .moves = ret, .mf = mf, .facts = facts };
	struct spoor_place_fact *places = plan_places(mf, p, &c.nr_places);
	int r = facts && places ? 0 : -ENOMEM;

	*ret = (struct bench_moves){ .nr = 0 };
	c.places = places;
	for (size_t s = 0; s < mf->nr_spaces && !r; s++) {
		r = find_gains(&c, s);
		for (size_t from = 0; from < mf->nr_spaces && !r; from++)
			r = find_hindrances(&c, from, s);
	}
	free(facts);
	free(places);
	return r;
}

void bench_moves_clear(struct bench_moves *m)
{
	for (size_t i = 0; i < m->nr; i++)
		free(m->sets[i]);
	m->nr = 0;
}

bool bench_moved_known(const struct machine_file *mf,
		       const struct spoor_profile *p)
{
	struct spoor_device_fact *facts = plan_facts(mf, p);
	bool known = facts;

	for (size_t i = 0; i < mf->nr_devices && known; i++) {
		const size_t s = mf->devices[i].space;

		known = (!serves(&facts[i].iommu) ||
			 plan_figures_there(mf, p, s, SPOOR_TRACKER_IOMMU)) &&
			(!serves(&facts[i].pinned) ||
			 plan_figures_there(mf, p, s, SPOOR_TRACKER_PINNED));
		if (mf->devices[i].model == MF_NO_MODEL &&
		    s != mf->devices[i].home)
			known = plan_figures_there(mf, p, s,
						   SPOOR_TRACKER_IOMMU) ||
				plan_figures_there(mf, p, s,
						   SPOOR_TRACKER_PINNED);
	}
	free(facts);
	return known;
}
