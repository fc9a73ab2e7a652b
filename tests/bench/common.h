/* SPDX-License-Identifier: MIT */
/* What tests of the designs share: machines, writes, and what they ask for. */
#ifndef TESTS_BENCH_COMMON_H
#define TESTS_BENCH_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bench/run.h"

#define MAX_PAGES 530000u /* more than one window */

/* A machine of @nr_pages with devices, a list that ends with -1, the last
 * @nr_second of them in a second container. */
void open_machine(struct bench_machine *m, uint64_t nr_pages,
		  unsigned int nr_second, const int *devices);

/* The same with the first pages in a mapping of their own. */
void open_cut(struct bench_machine *m, uint64_t nr_pages, uint64_t nr_first,
	      const int *devices);

/* Asserts. */
void start(struct run *r, const char *design, struct bench_machine *m,
	   uint64_t page_size);
void collect(struct run *r);
void stop(struct run *r);

/* DMA of a few bytes to a page. */
void dma(const struct bench_machine *m, unsigned int device, uint64_t page);

/* A page of 4 KiB is reported. */
bool reported(const struct run *r, uint64_t page);
uint64_t nr_reported(const struct run *r);
/* All that was reported is sent: zero the bitmap. */
void sent(struct run *r);

#endif /* TESTS_BENCH_COMMON_H */
