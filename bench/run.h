/* SPDX-License-Identifier: MIT */
/*
 * One design at work, from the program's side: started over a machine, read
 * round by round into one bitmap.
 *
 * Threads: one at a time; devices write meanwhile.
 */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <spoor/bitmap.h>
#include <spoor/tracker.h>

#include "bench/kernel/designs.h"
#include "bench/machine.h"

struct run;

struct run_ops {
	/* Fills in run->info; on failure nothing is started. */
	int (*start)(struct run *r);
	/* One round: what was written since the last is in run->into. */
	int (*collect)(struct run *r);
	int (*stop)(struct run *r);
};

struct design {
	const char *name;
	const struct run_ops *ops;
	unsigned int flags; /* DESIGN_* */
};

struct run {
	const struct design *design;
	struct bench_machine *machine;
	struct design_info info; /* page_size: the wish, then the answer */
	struct spoor_bitmap into;
	uint64_t len; /* bytes of its words */
	/* the designs' own */
	struct spoor_tracker *tracker;
	uint64_t *scratch;
	struct spoor_bitmap shared[BENCH_MAX_SPACES];
};

extern const struct run_ops run_split; /* libspoor, over the uAPI */
extern const struct run_ops run_bare; /* the same loop, as lean as can be */
extern const struct run_ops run_funnel;
extern const struct run_ops run_shared;

/* By name, or NULL; run_designs[0 .. run_nr_designs). */
const struct design *run_design(const char *name);
extern const struct design run_designs[];
extern const unsigned int run_nr_designs;

/* 0 or -errno. */
int run_start(struct run *r, const char *design, struct bench_machine *m,
	      uint64_t page_size);
/* ORs into r->into. */
int run_collect(struct run *r);
int run_stop(struct run *r);

/* Zeroed words that the kernel's side may pin; NULL: no memory. */
uint64_t *run_words(uint64_t len);
void run_words_free(uint64_t *words, uint64_t len);

/* ioctls that libspoor made since this was last asked. */
uint64_t run_nr_ioctls(void);

/* Container of the nth space. */
int run_container(const struct run *r, unsigned int n);

#endif /* BENCH_RUN_H */
