/* SPDX-License-Identifier: MIT */
/*
 * The trackers that a plan asks for: one for each source, shared by the
 * devices it covers.
 *
 * Threads: the caller's.
 */
#ifndef SPOOR_MIGRATE_TRACKERS_H
#define SPOOR_MIGRATE_TRACKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migrate/machine_priv.h"

#define SPOOR_NO_SPACE SIZE_MAX /* the CPU's tracker: all of memory */

struct spoor_tracked {
	char name[160]; /* "nic0.device", "main.iommu", "cpu.process" */
	enum spoor_tracker_kind kind;
	struct spoor_tracker *t; /* NULL: nobody tracks */
	size_t space; /* index, or SPOOR_NO_SPACE */
	uint64_t page_size; /* wanted; once started, the real one */
	bool quiet_read; /* read only while what it covers is quiet */
	bool everything; /* not asked: what it covers counts dirty at the stop */
	bool restarted; /* after a failed report; once is enough */
	size_t *devices; /* indices of what it covers; none: the CPU */
	size_t nr_devices;
	uint64_t pages; /* at the last read */
	uint64_t read_ns; /* of the last read */
	char told[512]; /* a note, until the lock is free to tell it */
};

struct spoor_trackers {
	struct spoor_tracked *list;
	size_t nr;
};

/*
 * Open what the plan's lines and the CPU need.  A tracker that cannot be
 * opened becomes `everything` and is told to @fallback; with @fallback NULL
 * that is an error.
 */
typedef void (*spoor_fallback_fn)(void *opaque, const char *tracker,
				  const char *why);
int spoor_trackers_open(struct spoor_trackers *ret,
			struct spoor_machine *machine,
			const struct spoor_plan *plan,
			const struct spoor_run_opts *opts,
			spoor_fallback_fn fallback, void *opaque);
void spoor_trackers_close(struct spoor_trackers *trackers);

/* What the tracker answers for: its space's maps, or all memory. */
int spoor_tracked_ranges(const struct spoor_machine *machine,
			 const struct spoor_tracked *tracked,
			 struct spoor_range_list *ret);

#endif /* SPOOR_MIGRATE_TRACKERS_H */
