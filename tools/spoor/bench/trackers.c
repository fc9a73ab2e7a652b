/* SPDX-License-Identifier: MIT */
/*
 * Which trackers there are, and at which page sizes each is tried: 4K, 16K,
 * 64K and 2M, the smallest and the largest that it has.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/error.h>

#include "bench.h"

static void add_size(struct bench_tracker *k, uint64_t size)
{
	size_t at = k->nr_sizes;

	for (size_t i = 0; i < k->nr_sizes; i++)
		if (k->sizes[i] == size)
			return;
	for (; at && k->sizes[at - 1] > size; at--)
		k->sizes[at] = k->sizes[at - 1];
	k->sizes[at] = size;
	k->nr_sizes++;
}

/* Where one granule is all of memory there is nothing to learn. */
static void choose_sizes(struct bench_tracker *k, uint64_t offered,
			 uint64_t memory)
{
	static const uint64_t usual[] = { 4096, 16384, 65536, 2u << 20 };
	uint64_t smallest = offered & -offered, largest = smallest;

	for (unsigned int shift = 12; shift < 63; shift++)
		if (offered >> shift & 1 && 1ull << shift <= memory)
			largest = 1ull << shift;
	add_size(k, smallest);
	add_size(k, largest > smallest ? largest : smallest);
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (offered & usual[i] && usual[i] <= memory)
			add_size(k, usual[i]);
}

/* One of a page table or container counts for all its devices. */
static bool known(const struct bench *b, enum spoor_tracker_kind kind,
		  const char *name, const struct spoor_device *dev)
{
	for (size_t i = 0; i < b->nr_trackers; i++)
		if (!strcmp(b->trackers[i].name, name) ||
		    (b->trackers[i].kind == kind &&
		     spoor_tracker_covers(b->trackers[i].t, dev)))
			return true;
	return false;
}

static bool as_filed(const struct machine_file *mf, size_t space)
{
	for (size_t i = 0; i < mf->nr_devices; i++)
		if ((mf->devices[i].space == space) !=
		    (mf->devices[i].home == space))
			return false;
	return true;
}

/* Whoever is there writes what a space's tracker reports. */
static int name_attached(struct bench_tracker *k, const struct machine_file *mf,
			 size_t space)
{
	if (k->kind == SPOOR_TRACKER_DEVICE || as_filed(mf, space))
		return 0;
	k->attached = calloc(mf->nr_devices, sizeof(*k->attached));
	if (!k->attached)
		return -ENOMEM;
	for (size_t i = 0; i < mf->nr_devices; i++)
		if (mf->devices[i].space == space)
			memcpy(k->attached[k->nr_attached++],
			       mf->devices[i].name, sizeof(*k->attached));
	return 0;
}

static int open_kind(struct spoor_tracker **ret, enum spoor_tracker_kind kind,
		     struct spoor_space *space, struct spoor_device *dev)
{
	if (kind == SPOOR_TRACKER_DEVICE)
		return spoor_tracker_open_device(ret, dev);
	if (kind == SPOOR_TRACKER_IOMMU)
		return spoor_tracker_open_iommu(ret, space, dev);
	return spoor_tracker_open_pinned(ret, space);
}

/* The first device of a space speaks for it. */
static void note_everything(struct bench *b, size_t i, const char *name)
{
	for (size_t k = 0; k < i; k++)
		if (b->c->mf->devices[k].space == b->c->mf->devices[i].space)
			return;
	bench_note(b, "%s: reports everything that is mapped: not measured",
		   name);
}

static int add(struct bench *b, size_t i, enum spoor_tracker_kind kind,
	       const struct spoor_tracker_fact *fact)
{
	struct bench_tracker *k = &b->trackers[b->nr_trackers];
	const struct mf_device *d = &b->c->mf->devices[i];
	char name[160];
	int r;

	if (!fact->usable)
		return 0;
	snprintf(name, sizeof(name), "%s.%s",
		 kind == SPOOR_TRACKER_DEVICE ? d->name
					      : b->c->mf->spaces[d->space].name,
		 spoor_tracker_kind_name(kind));
	if (known(b, kind, name, b->m->devices[i]))
		return 0;
	if (fact->caps.flags & SPOOR_TRACKER_EVERYTHING) {
		note_everything(b, i, name);
		return 0;
	}
	r = open_kind(&k->t, kind, b->m->spaces[d->space], b->m->devices[i]);
	if (r)
		return bench_fail(b, r, "%s: %s", name, spoor_errmsg());
	memcpy(k->name, name, sizeof(name));
	k->kind = kind;
	b->nr_trackers++;
	r = name_attached(k, b->c->mf, d->space);
	if (r)
		return bench_fail(b, r, "out of memory");
	k->quiet = fact->caps.flags & SPOOR_TRACKER_QUIET_READ;
	k->origin = bench_origin(b, i);
	k->device = kind == SPOOR_TRACKER_DEVICE ? i : SIZE_MAX;
	choose_sizes(k, fact->caps.page_sizes, b->p->memory_bytes);
	return 0;
}

static int add_cpu(struct bench *b)
{
	struct bench_tracker *k = &b->trackers[b->nr_trackers];
	struct spoor_tracker_caps caps;
	struct spoor_run_opts opts;
	int r;

	child_run_opts(b->c, &opts);
	if (opts.no_cpu)
		return 0;
	r = spoor_tracker_open_process(&k->t, b->m->memory, opts.cpu_tracker);
	if (!r)
		r = spoor_tracker_probe(k->t, b->ranges, b->nr_ranges, &caps);
	if (r) {
		bench_note(b, "cpu.process: not measured: %s", spoor_errmsg());
		k->t = spoor_tracker_free(k->t);
		return 0;
	}
	snprintf(k->name, sizeof(k->name), "cpu.process");
	k->kind = SPOOR_TRACKER_PROCESS;
	k->origin = SPOOR_MEASURED_SW;
	k->device = SIZE_MAX;
	choose_sizes(k, caps.page_sizes, b->p->memory_bytes);
	b->nr_trackers++;
	return 0;
}

static void sum_sets(const struct bench *b, struct bench_tracker *k)
{
	const struct machine_file *mf = b->c->mf;

	for (size_t i = 0; i < b->nr_facts; i++)
		if (spoor_tracker_covers(k->t, b->m->devices[i]))
			k->set_bytes += mf->devices[i].work.set;
	if (k->kind == SPOOR_TRACKER_PROCESS)
		for (size_t i = 0; i < mf->nr_writers; i++)
			k->set_bytes += mf->writers[i].set;
}

int bench_trackers_open(struct bench *b)
{
	int r = 0;

	b->trackers = calloc(BENCH_TRACKERS_MAX, sizeof(*b->trackers));
	if (!b->trackers)
		return bench_fail(b, -ENOMEM, "out of memory");
	for (size_t i = 0; i < b->nr_facts && !r; i++) {
		const struct spoor_device_fact *f = &b->facts[i];

		r = add(b, i, SPOOR_TRACKER_DEVICE, &f->own);
		if (!r)
			r = add(b, i, SPOOR_TRACKER_IOMMU, &f->iommu);
		if (!r)
			r = add(b, i, SPOOR_TRACKER_PINNED, &f->pinned);
	}
	if (!r)
		r = add_cpu(b);
	for (size_t i = 0; i < b->nr_trackers; i++)
		sum_sets(b, &b->trackers[i]);
	return r;
}

void bench_trackers_close(struct bench *b)
{
	for (size_t i = 0; i < b->nr_trackers; i++) {
		spoor_tracker_free(b->trackers[i].t);
		free(b->trackers[i].attached);
	}
	free(b->trackers);
	b->trackers = NULL;
	b->nr_trackers = 0;
}
