/* SPDX-License-Identifier: MIT */
/*
 * The heap, counted: the linker's --wrap leads the calls of one side here.
 * Memory that libc allocated and that side frees is counted only when it goes,
 * so figures are differences, of spans in which none does.
 */
#include "bench/heap.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>

static atomic_llong now, peak;

void heap_add(int64_t bytes)
{
	long long was =
		atomic_fetch_add_explicit(&now, bytes, memory_order_relaxed) +
		bytes;
	long long top = atomic_load_explicit(&peak, memory_order_relaxed);

	while (was > top && !atomic_compare_exchange_weak_explicit(
				    &peak, &top, was, memory_order_relaxed,
				    memory_order_relaxed))
		;
}

void heap_counts(uint64_t *ret_now, uint64_t *ret_peak)
{
	*ret_now = (uint64_t)atomic_load(&now);
	*ret_peak = (uint64_t)atomic_exchange(&peak, atomic_load(&now));
}

static void *counted(void *p)
{
	heap_add((int64_t)malloc_usable_size(p));
	return p;
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
void *__real_malloc(size_t len);
void *__real_calloc(size_t nr, size_t len);
void *__real_realloc(void *p, size_t len);
void *__real_reallocarray(void *p, size_t nr, size_t len);
void *__real_aligned_alloc(size_t align, size_t len);
void __real_free(void *p);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t nr, size_t len);
void *__wrap_realloc(void *p, size_t len);
void *__wrap_reallocarray(void *p, size_t nr, size_t len);
void *__wrap_aligned_alloc(size_t align, size_t len);
void __wrap_free(void *p);

void *__wrap_malloc(size_t len)
{
	return counted(__real_malloc(len));
}

void *__wrap_calloc(size_t nr, size_t len)
{
	return counted(__real_calloc(nr, len));
}

void *__wrap_realloc(void *p, size_t len)
{
	int64_t old = (int64_t)malloc_usable_size(p);
	void *grown = __real_realloc(p, len);

	if (!grown)
		return NULL;
	heap_add(-old);
	return counted(grown);
}

void *__wrap_reallocarray(void *p, size_t nr, size_t len)
{
	int64_t old = (int64_t)malloc_usable_size(p);
	void *grown = __real_reallocarray(p, nr, len);

	if (!grown)
		return NULL;
	heap_add(-old);
	return counted(grown);
}

void *__wrap_aligned_alloc(size_t align, size_t len)
{
	return counted(__real_aligned_alloc(align, len));
}

void __wrap_free(void *p)
{
	heap_add(-(int64_t)malloc_usable_size(p));
	__real_free(p);
}
/* NOLINTEND(bugprone-reserved-identifier) */
