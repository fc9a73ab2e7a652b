/* SPDX-License-Identifier: MIT */
/*
 * The source's side of one migration: source.c is its frame, precopy.c what
 * happens while the machine runs, stopcopy.c what happens once it is stopped.
 *
 * Threads: the run's own.
 */
#ifndef SPOOR_MIGRATE_SOURCE_PRIV_H
#define SPOOR_MIGRATE_SOURCE_PRIV_H

#include <spoor/bitmap.h>

#include "migrate/machine_priv.h"
#include "migrate/pages.h"
#include "migrate/tracking.h"
#include "plan/converge.h"

#define SPOOR_STATE_BUF (256u << 10)

struct spoor_source {
	struct spoor_run *run;
	const struct spoor_plan *plan;
	struct spoor_tracking *tracking;
	struct spoor_bitmap_set *sending; /* what this round sends */
	struct spoor_sender sender;
	uint8_t *state_buf; /* SPOOR_STATE_BUF bytes, its header before it */
	uint64_t section_bytes;
	struct spoor_converge converge; /* when to stop */
};

/* Early suspensions, the bulk copy, and rounds until the stop pays. */
int spoor_precopy(struct spoor_source *s);
/* Devices that this plan suspends now. */
int spoor_precopy_suspend(struct spoor_source *s, enum spoor_suspend_when when);
/* Send what is dirty, as one round. */
int spoor_source_round(struct spoor_source *s, bool stopped);
/* Read and send a device's data until it has no more for now, or at all. */
int spoor_source_device_data(struct spoor_source *s, size_t device,
			     bool *ret_end);
/* Stop everything, send the rest and all state, say COMPLETE. */
int spoor_stopcopy(struct spoor_source *s);

#endif /* SPOOR_MIGRATE_SOURCE_PRIV_H */
