/* SPDX-License-Identifier: MIT */
/*
 * Tracking during a migration: what is dirty and not sent yet.
 *
 * Invariant: a page written since it was last read for sending is in `dirty`,
 * or still known to a started tracker, or belongs to a tracker that counts as
 * `everything` and is marked at the stop.
 *
 * Threads: the run's own, except spoor_tracking_mapped() and _unmapped(),
 * which the machine's map calls make from any thread holding its lock.
 */
#ifndef SPOOR_MIGRATE_TRACKING_H
#define SPOOR_MIGRATE_TRACKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/bitmap.h>

#include "migrate/machine_priv.h"
#include "migrate/trackers.h"

struct spoor_tracking {
	struct spoor_run *run;
	struct spoor_trackers trackers;
	struct spoor_bitmap_set *dirty; /* under the machine's lock */
	/* One a tracker; sums since the last spoor_tracking_forget_reads(). */
	struct spoor_event_read *reads;
	uint64_t read_ns; /* the last collect, all trackers together */
	bool strict; /* a tracker that cannot start is a refusal */
	bool refused;
};

/*
 * Sets and trackers, nothing started.  An empty plan->stop_copy has none.
 * *ret_refused: the plan is strict, and a tracker cannot be opened.
 */
int spoor_tracking_new(struct spoor_tracking **ret, struct spoor_run *run,
		       const struct spoor_plan *plan, bool *ret_refused);
/* Start all: from here on no write is missed. */
int spoor_tracking_start(struct spoor_tracking *tracking);
/*
 * One round's reads into `dirty`.  With @stopped everything is quiet and this
 * is the last: trackers that need quiet are read, and what nobody tracks is
 * marked.  Fails only if a device cannot be quieted or run again.
 */
int spoor_tracking_collect(struct spoor_tracking *tracking, bool stopped);
/* All that a device's space maps counts dirty now. */
void spoor_tracking_mark_device(struct spoor_tracking *tracking,
				struct spoor_machine_device *d);
/* Hand over what is dirty: @to gains it, `dirty` is empty. */
void spoor_tracking_take(struct spoor_tracking *tracking,
			 struct spoor_bitmap_set *to);
void spoor_tracking_forget_reads(struct spoor_tracking *tracking);
uint64_t spoor_tracking_dirty_bytes(struct spoor_tracking *tracking);
/*
 * Bytes that will count dirty at the stop whatever happens; at @worst also
 * those of trackers that can be read only then, of which nothing is known.
 */
uint64_t spoor_tracking_certain_bytes(struct spoor_tracking *tracking,
				      bool worst);
/* The tracker with the most dirty pages at the last collect. */
const char *spoor_tracking_busiest(const struct spoor_tracking *tracking);
/* Stop every tracker and free; NULL is no error. */
void spoor_tracking_free(struct spoor_tracking *tracking);

int spoor_tracking_mapped(struct spoor_tracking *tracking,
			  const struct spoor_space *space,
			  const struct spoor_range *range);
void spoor_tracking_unmapped(struct spoor_tracking *tracking,
			     const struct spoor_space *space,
			     const struct spoor_range *range);

#endif /* SPOOR_MIGRATE_TRACKING_H */
