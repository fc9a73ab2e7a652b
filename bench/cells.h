/* SPDX-License-Identifier: MIT */
/*
 * What is measured: machines, what is dirty in them, and the designs that are
 * run over each.
 */
#ifndef BENCH_CELLS_H
#define BENCH_CELLS_H

#include "bench/machine.h"

enum bench_layout {
	LAYOUT_NICS, /* nr_trackers of them in one container: scenario b */
	LAYOUT_A, /* a nic, and an emulated device that marks once */
	LAYOUT_A_PINS, /* a nic, and one that pins 4 MiB */
	LAYOUT_C, /* a nic, and a device that nobody tracks */
	LAYOUT_TWO, /* a nic in each of two containers */
};

struct cell {
	const char *sweep; /* what varies */
	enum bench_layout layout;
	uint64_t len; /* of memory, bytes: a power of two */
	unsigned int nr_trackers;
	unsigned int per_10000; /* of pages, what each tracker has dirty */
	bool clustered; /* by 1 MiB, else page by page, evenly spread */
	uint64_t page_size;
	bool busy; /* a device writes while it is read */
	bool marking; /* what devices take is measured, all at once */
	unsigned int repeats;
	const char *const *designs; /* NULL ends it */
};

extern const struct cell cells[];
extern const unsigned int nr_cells;

/* The machine of a cell; libspoor's split has emulated devices in a container
 * of their own, for type1 tells no devices apart. */
struct bench_spec cell_spec(const struct cell *c, const char *design);

/* What one tracker has dirty: runs of pages, of 4 KiB. */
struct pattern {
	uint64_t first, nr, run, step;
};
struct pattern cell_pattern(const struct cell *c, unsigned int tracker);

#define CELL_PINNED (4u << 20) /* bytes from the start, LAYOUT_A_PINS */

#endif /* BENCH_CELLS_H */
