/* SPDX-License-Identifier: MIT */
/*
 * What is counted of this side: calls, copies from and to the program, and
 * memory.  Copies and the heap are counted where they are called, by the
 * linker's --wrap, so what ships has nothing of it.
 *
 * Threads: any; atomics.
 */
#ifndef BENCH_KERNEL_COUNT_H
#define BENCH_KERNEL_COUNT_H

#include <stdint.h>

void count_call(void);
/* Memory that is not on the heap. */
void count_mapped(int64_t bytes);

#endif /* BENCH_KERNEL_COUNT_H */
