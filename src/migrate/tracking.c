/* SPDX-License-Identifier: MIT */
/*
 * Tracking during a migration: start, a round's reads, failures, the stop.
 * The invariant is in the header; each function below says how it keeps it.
 *
 * Threads: the run's own, with the machine's lock around every use of a
 * tracker, because maps of other threads talk to the same ones.
 */
#include "migrate/tracking.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "migrate/states.h"
#include "plan/plan_priv.h"
#include "track/tracker_priv.h"

/* What @t covers is not tracked any more, against the plan. */
static void give_up(struct spoor_tracking *tracking, struct spoor_tracked *t)
{
	t->everything = true;
	for (size_t i = 0; i < t->nr_devices; i++)
		tracking->run->machine->devices[t->devices[i]].all_dirty = true;
}

static void fell_back(void *opaque, const char *tracker, const char *why)
{
	struct spoor_tracking *tracking = opaque;

	tracking->refused |= tracking->strict;
	spoor_run_note(tracking->run, "warning",
		       "%s does not work (%s): what it covers counts as dirty",
		       tracker, why);
}

static int refusal(const struct spoor_tracking *tracking)
{
	if (!tracking->refused)
		return 0;
	return spoor_fail(EPERM, "the plan is strict and a tracker does not "
				 "work here");
}

static int alloc_dirty(struct spoor_tracking *tracking)
{
	struct spoor_memory *m = tracking->run->machine->memory;
	SPOOR_AUTO_HEAP struct spoor_range *ranges = NULL;
	const struct spoor_region *regions;
	const size_t nr = spoor_memory_regions(m, &regions);

	ranges = calloc(nr ? nr : 1, sizeof(*ranges));
	if (!ranges)
		return spoor_fail(ENOMEM, "tracking: out of memory");
	for (size_t i = 0; i < nr; i++)
		ranges[i] = regions[i].range;
	return spoor_bitmap_set_alloc(&tracking->dirty, ranges, nr, 12);
}

int spoor_tracking_new(struct spoor_tracking **ret, struct spoor_run *run,
		       const struct spoor_plan *plan, bool *ret_refused)
{
	struct spoor_tracking *tracking = calloc(1, sizeof(*tracking));
	int err;

	if (!tracking)
		return spoor_fail(ENOMEM, "tracking: out of memory");
	tracking->run = run;
	tracking->strict = !strncmp(plan->policy, "strict:", 7);
	err = alloc_dirty(tracking);
	/* Giving tracking up means that everything is stopped, then copied. */
	if (!err && !plan->stop_copy)
		err = spoor_trackers_open(&tracking->trackers, run->machine,
					  plan, &run->opts, fell_back,
					  tracking);
	if (!err) {
		*ret_refused |= tracking->refused;
		err = refusal(tracking);
	}
	if (!err) {
		tracking->reads = calloc(tracking->trackers.nr + 1,
					 sizeof(*tracking->reads));
		if (!tracking->reads)
			err = spoor_fail(ENOMEM, "tracking: out of memory");
	}
	if (err) {
		spoor_tracking_free(tracking);
		return err;
	}
	spoor_tracking_forget_reads(tracking);
	*ret = tracking;
	return 0;
}

/* What a tracker asked for a page makes of it, its devices' results say. */
static void learn_page(struct spoor_tracking *tracking, struct spoor_tracked *t,
		       uint64_t page_size)
{
	char wish[24], real[24];

	for (size_t i = 0; i < t->nr_devices; i++)
		tracking->run->machine->devices[t->devices[i]].page_size =
			page_size;
	if (page_size != t->page_size)
		snprintf(t->told, sizeof(t->told),
			 "%s tracks pages of %s; %s was asked for", t->name,
			 spoor_plan_size(real, page_size),
			 spoor_plan_size(wish, t->page_size));
	t->page_size = page_size;
}

static int start_one(struct spoor_tracking *tracking, struct spoor_tracked *t)
{
	struct spoor_range_list ranges = { 0 };
	uint64_t page_size = t->page_size;
	int err;

	err = spoor_tracked_ranges(tracking->run->machine, t, &ranges);
	if (!err && !ranges.nr)
		err = spoor_fail(ENXIO, "nothing is mapped for it");
	if (!err)
		err = spoor_tracker_start(t->t, ranges.ranges, ranges.nr,
					  t->page_size, &page_size);
	if (!err)
		learn_page(tracking, t, page_size);
	spoor_range_list_clear(&ranges);
	return err;
}

/*
 * Maps are told to trackers from here on.  One that came before needs no
 * telling: ranges are asked for under the same lock.
 */
static void start_all(struct spoor_tracking *tracking)
{
	SPOOR_LOCKED(&tracking->run->machine->lock);
	for (size_t i = 0; i < tracking->trackers.nr; i++) {
		struct spoor_tracked *t = &tracking->trackers.list[i];

		if (t->everything) {
			/* Opened, it might have been; or the plan has none. */
			if (t->kind != SPOOR_TRACKER_ALL)
				give_up(tracking, t);
			continue;
		}
		if (!start_one(tracking, t))
			continue;
		give_up(tracking, t);
		snprintf(t->told, sizeof(t->told), "%s", spoor_errmsg());
	}
	tracking->run->machine->tracking = tracking;
}

int spoor_tracking_start(struct spoor_tracking *tracking)
{
	struct spoor_result *result = tracking->run->result;
	const uint64_t cpu = spoor_thread_cpu_ns();

	start_all(tracking);
	result->tracking_cpu_ns += spoor_thread_cpu_ns() - cpu;
	/* Nobody is called with the lock held: who is called may map. */
	for (size_t i = 0; i < tracking->trackers.nr; i++) {
		struct spoor_tracked *t = &tracking->trackers.list[i];

		if (t->told[0] && t->everything)
			fell_back(tracking, t->name, t->told);
		else if (t->told[0])
			spoor_run_note(tracking->run, "info", "%s", t->told);
		t->told[0] = '\0';
	}
	return refusal(tracking);
}

/* The lock is held.  When even the list cannot be had: all of memory. */
static uint64_t mark_covered(struct spoor_tracking *tracking,
			     const struct spoor_tracked *t)
{
	struct spoor_range_list ranges = { 0 };
	struct spoor_range all = { .iova = 0, .len = UINT64_MAX };
	uint64_t nr = 0;

	if (spoor_tracked_ranges(tracking->run->machine, t, &ranges)) {
		nr += spoor_bitmap_set_mark(tracking->dirty, &all);
		all = (struct spoor_range){ .iova = UINT64_MAX, .len = 1 };
		nr += spoor_bitmap_set_mark(tracking->dirty, &all);
	}
	for (size_t i = 0; i < ranges.nr; i++)
		nr += spoor_bitmap_set_mark(tracking->dirty, &ranges.ranges[i]);
	spoor_range_list_clear(&ranges);
	return nr;
}

/*
 * A report failed.  What the tracker held is unknown, so everything is dirty;
 * it is marked after the restart, and memory is read for sending later still,
 * so that a write between failure and restart is in what is sent.
 */
static uint64_t failed_report(struct spoor_tracking *tracking,
			      struct spoor_tracked *t, bool stopped)
{
	char why[sizeof(t->told) / 2];
	int err = -EIO;

	snprintf(why, sizeof(why), "%s", spoor_errmsg());
	if (!stopped && !t->restarted) {
		(void)spoor_tracker_stop(t->t);
		err = start_one(tracking, t);
		t->restarted = true;
	}
	if (err) {
		(void)spoor_tracker_stop(t->t);
		give_up(tracking, t);
	}
	snprintf(t->told, sizeof(t->told), "%s failed (%s): all it covers %s",
		 t->name, why,
		 err ? "counts as dirty from now on"
		     : "is dirty once, and it was restarted");
	return mark_covered(tracking, t);
}

/* The lock is held. */
static uint64_t read_locked(struct spoor_tracking *tracking,
			    struct spoor_tracked *t, bool stopped)
{
	uint64_t nr = 0;
	int err = spoor_tracker_collect_set(t->t, tracking->dirty, &nr);

	if (err == -EAGAIN && !stopped) {
		/* Nothing was forgotten: it is read at the stop. */
		t->quiet_read = true;
		snprintf(t->told, sizeof(t->told),
			 "%s can be read only while quiet: it is read at the "
			 "stop",
			 t->name);
	} else if (err) {
		nr += failed_report(tracking, t, stopped);
	}
	return nr;
}

static void read_one(struct spoor_tracking *tracking, struct spoor_tracked *t,
		     bool stopped)
{
	struct spoor_machine *machine = tracking->run->machine;
	const uint64_t cpu = spoor_thread_cpu_ns(), begun = spoor_now_ns();

	pthread_mutex_lock(&machine->lock);
	t->pages = read_locked(tracking, t, stopped);
	pthread_mutex_unlock(&machine->lock);
	t->read_ns = spoor_now_ns() - begun;
	tracking->run->result->tracking_cpu_ns += spoor_thread_cpu_ns() - cpu;
	/* Nobody is called with the lock held: who is called may map. */
	if (t->told[0])
		spoor_run_note(tracking->run, "warning", "%s", t->told);
	t->told[0] = '\0';
}

/* May its devices be quieted for a read, and does that stop their DMA? */
static bool can_quiesce(const struct spoor_tracking *tracking,
			const struct spoor_tracked *t)
{
	for (size_t i = 0; i < t->nr_devices; i++) {
		const struct spoor_machine_device *d =
			&tracking->run->machine->devices[t->devices[i]];

		if (!d->p2p_stops_all || !(d->migration & SPOOR_MIGRATION_P2P))
			return false;
	}
	return t->nr_devices;
}

/*
 * The quiesced read: CPUs kept from the device, no DMA, read, and back.  A
 * device that was suspended early is quiet already and stays so.
 */
static int read_quiesced(struct spoor_tracking *tracking,
			 struct spoor_tracked *t)
{
	struct spoor_run *run = tracking->run;
	struct spoor_machine_device *d, *devices = run->machine->devices;
	int err = 0;

	for (size_t i = 0; !err && i < t->nr_devices; i++) {
		d = &devices[t->devices[i]];
		if (d->suspended)
			continue;
		err = spoor_states_block(run, d, true);
		if (!err)
			err = spoor_states_quiesce(run, d);
	}
	if (err)
		return err;
	read_one(tracking, t, false);
	for (size_t i = 0; !err && i < t->nr_devices; i++) {
		d = &devices[t->devices[i]];
		if (d->suspended)
			continue;
		err = spoor_states_unquiesce(run, d);
		if (!err)
			err = spoor_states_block(run, d, false);
	}
	return err;
}

/* @t->pages were new: whose they are. */
static void account(struct spoor_tracking *tracking, struct spoor_tracked *t)
{
	struct spoor_event_read *read =
		&tracking->reads[t - tracking->trackers.list];

	read->pages += t->pages;
	read->read_ns += t->read_ns;
	tracking->read_ns += t->read_ns;
	for (size_t i = 0; i < t->nr_devices; i++)
		tracking->run->machine->devices[t->devices[i]].dirty_pages +=
			t->pages;
}

int spoor_tracking_collect(struct spoor_tracking *tracking, bool stopped)
{
	struct spoor_run *run = tracking->run;
	int err = 0;

	tracking->read_ns = 0;
	for (size_t i = 0; i < tracking->trackers.nr; i++) {
		struct spoor_tracked *t = &tracking->trackers.list[i];

		t->pages = 0;
		t->read_ns = 0;
		if (t->everything) {
			if (!stopped)
				continue;
			SPOOR_LOCKED(&run->machine->lock);
			t->pages = mark_covered(tracking, t);
		} else if (stopped || !t->quiet_read) {
			read_one(tracking, t, stopped);
		} else if (can_quiesce(tracking, t)) {
			err = read_quiesced(tracking, t);
		} else {
			continue;
		}
		account(tracking, t);
		if (!err)
			err = spoor_stream_tick(&run->io);
		if (err)
			return err;
	}
	return 0;
}

void spoor_tracking_mark_device(struct spoor_tracking *tracking,
				struct spoor_machine_device *d)
{
	size_t index = (size_t)(d - tracking->run->machine->devices);
	const struct spoor_tracked t = { .space = d->space_index,
					 .devices = &index,
					 .nr_devices = 1 };

	SPOOR_LOCKED(&tracking->run->machine->lock);
	d->dirty_pages += mark_covered(tracking, &t);
}

void spoor_tracking_take(struct spoor_tracking *tracking,
			 struct spoor_bitmap_set *to)
{
	SPOOR_LOCKED(&tracking->run->machine->lock);
	(void)spoor_bitmap_set_move(to, tracking->dirty);
}

void spoor_tracking_forget_reads(struct spoor_tracking *tracking)
{
	for (size_t i = 0; i < tracking->trackers.nr; i++)
		tracking->reads[i] = (struct spoor_event_read){
			.tracker = tracking->trackers.list[i].name
		};
}

uint64_t spoor_tracking_dirty_bytes(struct spoor_tracking *tracking)
{
	SPOOR_LOCKED(&tracking->run->machine->lock);
	return spoor_bitmap_set_count(tracking->dirty) * 4096;
}

uint64_t spoor_tracking_certain_bytes(struct spoor_tracking *tracking,
				      bool worst)
{
	struct spoor_machine *machine = tracking->run->machine;
	struct spoor_range_list all = { 0 };
	uint64_t bytes = 0;
	int err = 0;

	SPOOR_LOCKED(&machine->lock);
	for (size_t i = 0; !err && i < tracking->trackers.nr; i++) {
		struct spoor_tracked *t = &tracking->trackers.list[i];

		if (t->everything ||
		    (worst && t->quiet_read && !can_quiesce(tracking, t)))
			err = spoor_tracked_ranges(machine, t, &all);
	}
	for (size_t i = 0; i < all.nr; i++)
		bytes += all.ranges[i].len;
	spoor_range_list_clear(&all);
	return err ? spoor_memory_size(machine->memory) : bytes;
}

const char *spoor_tracking_busiest(const struct spoor_tracking *tracking)
{
	const struct spoor_tracked *most = NULL;

	for (size_t i = 0; i < tracking->trackers.nr; i++) {
		const struct spoor_tracked *t = &tracking->trackers.list[i];

		/* One that counts everything is ahead of any that was read. */
		if (!most || (t->everything && !most->everything) ||
		    (t->everything == most->everything &&
		     t->pages > most->pages))
			most = t;
	}
	return most ? most->name : "nobody";
}

void spoor_tracking_free(struct spoor_tracking *tracking)
{
	struct spoor_machine *machine;
	uint64_t cpu;

	if (!tracking)
		return;
	machine = tracking->run->machine;
	cpu = spoor_thread_cpu_ns();
	pthread_mutex_lock(&machine->lock);
	if (machine->tracking == tracking)
		machine->tracking = NULL;
	spoor_trackers_close(&tracking->trackers);
	pthread_mutex_unlock(&machine->lock);
	tracking->run->result->tracking_cpu_ns += spoor_thread_cpu_ns() - cpu;
	spoor_bitmap_set_free(tracking->dirty);
	free(tracking->reads);
	free(tracking);
}

/* Does it track what is mapped in @space, and no more? */
static bool follows(const struct spoor_tracking *tracking,
		    const struct spoor_tracked *t,
		    const struct spoor_space *space)
{
	const struct spoor_machine *machine = tracking->run->machine;

	if (t->space == SPOOR_NO_SPACE || t->everything ||
	    machine->spaces[t->space] != space)
		return false;
	for (size_t i = 0; i < t->nr_devices; i++) {
		if (machine->devices[t->devices[i]].elsewhere)
			return false;
	}
	return true;
}

/* Tell a tracker of those parts of a range that it does not know yet. */
static int map_unknown(struct spoor_tracker *t, const struct spoor_range *range)
{
	struct spoor_range_list unknown = { 0 };
	int err = spoor_range_list_add(&unknown, range);

	for (size_t i = 0; !err && i < t->tracked.nr; i++)
		err = spoor_range_list_remove(&unknown, &t->tracked.ranges[i]);
	for (size_t i = 0; !err && i < t->late.nr; i++)
		err = spoor_range_list_remove(&unknown, &t->late.ranges[i]);
	for (size_t i = 0; !err && i < unknown.nr; i++)
		err = spoor_tracker_map(t, &unknown.ranges[i]);
	spoor_range_list_clear(&unknown);
	return err;
}

int spoor_tracking_mapped(struct spoor_tracking *tracking,
			  const struct spoor_space *space,
			  const struct spoor_range *range)
{
	int err = 0;

	if (!tracking)
		return 0;
	/* A map over what was unmapped a moment ago brings its data back. */
	(void)spoor_bitmap_set_mark(tracking->dirty, range);
	for (size_t i = 0; !err && i < tracking->trackers.nr; i++) {
		struct spoor_tracked *t = &tracking->trackers.list[i];

		if (!follows(tracking, t, space))
			continue;
		err = map_unknown(t->t, range);
	}
	return err;
}

void spoor_tracking_unmapped(struct spoor_tracking *tracking,
			     const struct spoor_space *space,
			     const struct spoor_range *range)
{
	if (!tracking)
		return;
	(void)spoor_bitmap_set_mark(tracking->dirty, range);
	for (size_t i = 0; i < tracking->trackers.nr; i++) {
		struct spoor_tracked *t = &tracking->trackers.list[i];

		if (!follows(tracking, t, space))
			continue;
		/* It was never told of the range, or already: marked above. */
		if (spoor_tracker_unmap(t->t, range))
			continue;
	}
}
