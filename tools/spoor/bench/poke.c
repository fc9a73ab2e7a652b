/* SPDX-License-Identifier: MIT */
/*
 * Stores to chosen pages, as a CPU of the guest would make them, while all of
 * it is paused: what is there stays there.
 */
#include "bench.h"

/* A store to every @step-th page of the largest region, at most @nr. */
uint64_t bench_poke(struct bench *b, uint64_t nr, uint64_t step)
{
	const struct machine_region *largest = &b->m->regions[0];
	uint64_t done = 0;

	for (size_t i = 1; i < b->m->nr_regions; i++)
		if (b->m->regions[i].len > largest->len)
			largest = &b->m->regions[i];
	for (uint64_t at = 0; done < nr && at + MF_PAGE <= largest->len;
	     at += step * MF_PAGE) {
		uint64_t *word =
			(uint64_t *)(void *)((char *)largest->hva + at);
		uint64_t v = __atomic_load_n(word, __ATOMIC_RELAXED);

		/* Written also where it is the same; no compiler leaves it. */
		__atomic_compare_exchange_n(word, &v, v, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
		done++;
	}
	return done;
}
