/* SPDX-License-Identifier: MIT */
/* Counts of the kernel's side; see count.h. */
#include "bench/kernel/count.h"

#include <stdatomic.h>
#include <stddef.h>

#include "bench/heap.h"
#include "bench/kernel/designs.h"

static atomic_ullong calls, copies, bytes;

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
int __real_sv_copy_in(void *dst, const void *user, size_t len);
int __real_sv_copy_out(void *user, const void *src, size_t len);
int __wrap_sv_copy_in(void *dst, const void *user, size_t len);
int __wrap_sv_copy_out(void *user, const void *src, size_t len);

int __wrap_sv_copy_in(void *dst, const void *user, size_t len)
{
	atomic_fetch_add_explicit(&copies, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&bytes, len, memory_order_relaxed);
	return __real_sv_copy_in(dst, user, len);
}

int __wrap_sv_copy_out(void *user, const void *src, size_t len)
{
	atomic_fetch_add_explicit(&copies, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&bytes, len, memory_order_relaxed);
	return __real_sv_copy_out(user, src, len);
}
/* NOLINTEND(bugprone-reserved-identifier) */

void count_call(void)
{
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

void count_mapped(int64_t len)
{
	heap_add(len);
}

void design_counts(struct design_counts *ret)
{
	ret->calls = calls;
	ret->copies = copies;
	ret->bytes = bytes;
	heap_counts(&ret->allocated, &ret->peak);
}
