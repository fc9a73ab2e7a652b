/* SPDX-License-Identifier: MIT */
/*
 * How much heap one side has: the kernel's in its library, the program's in the
 * executable.  Each is linked with the wrappers of heap.c for itself.
 *
 * Threads: any; atomics.
 */
#ifndef BENCH_HEAP_H
#define BENCH_HEAP_H

#include <stdint.h>

/* Memory that did not come from malloc() and the like. */
void heap_add(int64_t bytes);
/* Now, and at most since the last time that was asked; bytes. */
void heap_counts(uint64_t *ret_now, uint64_t *ret_peak);

#endif /* BENCH_HEAP_H */
