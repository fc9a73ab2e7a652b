/* SPDX-License-Identifier: MIT */
/*
 * See heat.h.  All regions have buckets of one size, the smallest power of two
 * of which memory takes no more than SPOOR_HEAT_MAX; a bucket lies in one
 * region, so each region has at least one, and its last may be cut.
 *
 * Threads: the run's own.
 */
#include "migrate/heat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "migrate/machine_priv.h"

#define PAGE_SHIFT 12u

static uint64_t buckets(const struct spoor_bitmap *map, unsigned int shift)
{
	return ((map->nr_pages - 1) >> (shift - PAGE_SHIFT)) + 1;
}

static uint64_t all_buckets(const struct spoor_bitmap_set *set,
			    unsigned int shift)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < set->nr; i++)
		nr += buckets(&set->maps[i], shift);
	return nr;
}

int spoor_heat_init(struct spoor_heat *h, const struct spoor_bitmap_set *set)
{
	uint64_t *next;
	unsigned int shift = PAGE_SHIFT;

	while (shift < 63 && all_buckets(set, shift) > SPOOR_HEAT_MAX &&
	       all_buckets(set, shift) > set->nr)
		shift++;
	*h = (struct spoor_heat){ .shift = shift, .nr_areas = set->nr };
	h->nr_pages = all_buckets(set, shift);
	h->pages = calloc(h->nr_pages + 1, sizeof(*h->pages));
	h->areas = calloc(set->nr + 1, sizeof(*h->areas));
	if (!h->pages || !h->areas) {
		spoor_heat_clear(h);
		return spoor_fail(ENOMEM, "rounds: out of memory");
	}
	next = h->pages;
	for (size_t i = 0; i < set->nr; i++) {
		const struct spoor_bitmap *map = &set->maps[i];

		h->areas[i] = (struct spoor_event_area){
			.range = { map->base, map->nr_pages << PAGE_SHIFT },
			.bucket_bytes = 1ull << shift,
			.pages = next,
			.nr = buckets(map, shift),
		};
		next += h->areas[i].nr;
	}
	return 0;
}

void spoor_heat_clear(struct spoor_heat *h)
{
	free(h->areas);
	free(h->pages);
	*h = (struct spoor_heat){ .nr_areas = 0 };
}

void spoor_heat_count(struct spoor_heat *h, size_t area,
		      const struct spoor_range *run)
{
	uint64_t at, last;

	if (area >= h->nr_areas)
		return;
	at = run->iova - h->areas[area].range.iova;
	/* The run's last byte: its end may be 2^64. */
	last = at + run->len - 1;
	for (uint64_t i = at >> h->shift; i <= last >> h->shift; i++) {
		const uint64_t first = i << h->shift;
		const uint64_t top = first + ((1ull << h->shift) - 1);
		const uint64_t from = at > first ? at : first;
		const uint64_t to = last < top ? last : top;
		const size_t bucket =
			(size_t)(h->areas[area].pages - h->pages) + i;

		h->pages[bucket] += (to - from + 1) >> PAGE_SHIFT;
	}
}

void spoor_heat_cool(struct spoor_heat *h)
{
	if (h->nr_pages)
		memset(h->pages, 0, h->nr_pages * sizeof(*h->pages));
}
