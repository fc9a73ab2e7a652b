/* SPDX-License-Identifier: MIT */
/*
 * The registry of what the spaces counted, for SOFTVFIO_STATS.  A space's
 * counters outlive it: they are written at exit, when the program has closed
 * everything, so they are never freed.
 *
 * Threads: any; the counters are atomics.
 */
#ifndef SOFTVFIO_SPACE_STATS_H
#define SOFTVFIO_SPACE_STATS_H

#include <stdatomic.h>

struct sv_space_stat {
	char name[48];
	/*
	 * Bits that went from 0 to 1, reads, bits that were reported, and bits
	 * that went unreported with their mapping or with the tracking.
	 */
	atomic_ullong marks, dirty_reads, pages_reported, discarded;
	atomic_ullong write_faults; /* that a handler served */
	atomic_ullong read_ns; /* of CPU, in reads */
	struct sv_space_stat *next; /* the registry's */
};

/* Kept to process exit; NULL: no memory. */
struct sv_space_stat *sv_space_stat_new(const char *name);

#endif /* SOFTVFIO_SPACE_STATS_H */
