/* SPDX-License-Identifier: MIT */
/*
 * A container that tracks for all of its devices: started and stopped in
 * funnel.c, read and cleared in funnel_read.c.
 *
 * Threads: sv_vfio_lock held, as for every call on a container.
 */
#ifndef BENCH_KERNEL_FUNNEL_H
#define BENCH_KERNEL_FUNNEL_H

#include "bench/kernel/source.h"

struct funnel {
	struct sv_container *container;
	unsigned int flags;
	struct design_info info;
	struct source *sources;
	unsigned int nr_sources;
	bool untracked; /* some device is not among them */
	struct outlet outlet;
	struct window window; /* what was read and did not get out */
	uint64_t *words; /* of a window; or all, if it holds for itself */
	bool holds; /* in words: some source cannot hold */
	uint32_t *touched; /* HOLD: of each window, what was told */
	struct funnel *next;
};

struct funnel *funnel_find(const struct sv_container *c);

#endif /* BENCH_KERNEL_FUNNEL_H */
