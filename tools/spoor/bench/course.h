/* SPDX-License-Identifier: MIT */
/*
 * The course of measuring one tracker at one page size: page.c goes through it,
 * page_cost.c sees to what a read costs.
 */
#ifndef SPOOR_TOOL_BENCH_COURSE_H
#define SPOOR_TOOL_BENCH_COURSE_H

#include "bench.h"

#define NR_READS_MAX 64u

struct course {
	struct bench *b;
	struct bench_tracker *k;
	uint64_t asked;
	struct spoor_profile_page page;
	struct bench_samples start, stop, clean, still, digest;
	struct bench_samples page_cost, run_cost; /* ns a page */
	struct bench_read reads[NR_READS_MAX];
	size_t nr_reads;
	struct bench_work alone, tracked;
};

/* Reads with everything stopped, and of chosen pages where they can be. */
int course_read_clean(struct course *c);
/* read_page_ns and read_run_ns. */
void course_costs(struct course *c);
/* A model may say what hardware like it is assumed to cost. */
void course_assume(struct course *c);

#endif /* SPOOR_TOOL_BENCH_COURSE_H */
