/* SPDX-License-Identifier: MIT */
/*
 * Dirty bits of a page table, one per entry.
 *
 * An area's entries are as large as its addresses allow: where iova and memory
 * are aligned alike, 4K entries lead up to the first 2M boundary, 2M ones up
 * to the first 1G boundary, and back down at the end.  An IOMMU whose largest
 * entry is less than 2M has 4K and that (16K, 64K), and none between.
 *
 * Threads: tables come and go with the list's write lock; bits are atomics.
 * DMA marks with release after its data; whoever clears reads with acquire
 * before it looks at the data.
 */
#include "softvfio/iommufd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "softvfio/space_stats.h"

static const unsigned int entry_shifts[] = { 30, 21, 16, 14, 12 };

#define NR_SHIFTS (sizeof(entry_shifts) / sizeof(entry_shifts[0]))

static bool size_allowed(const struct sv_area *area,
			 const struct iommufd_hwpt *hwpt, unsigned int shift)
{
	uint64_t size = 1ull << shift;

	if (size == SV_PAGE_SIZE)
		return true;
	if (size < 1u << 21 && size != hwpt->max_page)
		return false;
	/* An entry translates all its low bits at once: they must agree. */
	return hwpt->ioas->huge && size <= hwpt->max_page &&
	       !((area->iova ^ area->va) & (size - 1));
}

/* The largest entry that may begin at @iova and end by @last. */
static unsigned int shift_at(const struct sv_area *area,
			     const struct iommufd_hwpt *hwpt, uint64_t iova)
{
	size_t i;

	for (i = 0; i < NR_SHIFTS; i++) {
		uint64_t size = 1ull << entry_shifts[i];

		if (size_allowed(area, hwpt, entry_shifts[i]) &&
		    !(iova & (size - 1)) && area->last - iova >= size - 1)
			return entry_shifts[i];
	}
	return 12;
}

/* How far entries of @shift go from @iova before a larger one fits. */
static uint64_t segment_last(const struct sv_area *area,
			     const struct iommufd_hwpt *hwpt, uint64_t iova,
			     unsigned int shift)
{
	uint64_t size = 1ull << shift;
	uint64_t room = area->last - iova;
	uint64_t last = iova + (room - (room + 1) % size);
	size_t i;

	for (i = 0; i < NR_SHIFTS && entry_shifts[i] > shift; i++) {
		uint64_t larger = 1ull << entry_shifts[i];
		uint64_t up = -iova & (larger - 1); /* to the next boundary */

		if (up && size_allowed(area, hwpt, entry_shifts[i]) &&
		    room >= up && room - up >= larger - 1 &&
		    iova + (up - 1) < last)
			last = iova + (up - 1);
	}
	return last;
}

/* Cut the area into segments; returns the number of entries. */
static size_t cut(const struct sv_area *area, const struct iommufd_hwpt *hwpt,
		  struct dirty_segment *segments, unsigned int *ret_nr)
{
	uint64_t iova = area->iova;
	unsigned int nr = 0;
	size_t entries = 0;

	for (;;) {
		unsigned int shift = shift_at(area, hwpt, iova);
		uint64_t last = segment_last(area, hwpt, iova, shift);

		segments[nr++] = (struct dirty_segment){
			.iova = iova,
			.last = last,
			.shift = shift,
			.first = entries,
		};
		entries += ((last - iova) >> shift) + 1;
		if (last == area->last)
			break;
		iova = last + 1;
	}
	*ret_nr = nr;
	return entries;
}

int dirty_table_add(struct sv_area *area, const struct iommufd_hwpt *hwpt)
{
	struct dirty_segment segments[DIRTY_MAX_SEGMENTS];
	struct ioas_area *ia = area->priv;
	struct dirty_table *t;
	size_t nr_words, i;
	unsigned int nr;

	if (!hwpt->dirty)
		return 0;
	nr_words = (cut(area, hwpt, segments, &nr) + 63) / 64;
	t = calloc(1, sizeof(*t) + nr_words * sizeof(t->words[0]));
	if (!t)
		return -ENOMEM;
	t->hwpt = hwpt;
	t->nr_words = nr_words;
	t->nr_segments = nr;
	for (i = 0; i < nr; i++)
		t->segments[i] = segments[i];
	t->next = ia->tables;
	ia->tables = t;
	return 0;
}

void dirty_table_remove(struct sv_area *area, const struct iommufd_hwpt *hwpt)
{
	struct ioas_area *ia = area->priv;
	struct dirty_table **at = &ia->tables;
	struct dirty_table *t;

	while (*at && (*at)->hwpt != hwpt)
		at = &(*at)->next;
	t = *at;
	if (t) {
		*at = t->next;
		dirty_table_clear(t);
		free(t);
	}
}

void dirty_tables_free(struct ioas_area *ia)
{
	struct dirty_table *t;

	while ((t = ia->tables)) {
		ia->tables = t->next;
		dirty_table_clear(t);
		free(t);
	}
}

struct dirty_table *dirty_table_find(const struct sv_area *area,
				     const struct iommufd_hwpt *hwpt)
{
	const struct ioas_area *ia = area->priv;
	struct dirty_table *t = ia->tables;

	while (t && t->hwpt != hwpt)
		t = t->next;
	return t;
}

void dirty_table_clear(struct dirty_table *t)
{
	uint64_t nr = 0;
	size_t i;

	for (i = 0; i < t->nr_words; i++)
		nr += (uint64_t)__builtin_popcountll(atomic_exchange_explicit(
			&t->words[i], 0, memory_order_relaxed));
	if (nr)
		atomic_fetch_add(&t->hwpt->stat->discarded, nr);
}

static atomic_ullong *word_of(const struct iommufd_hwpt *hwpt,
			      const struct sv_area *area, uint64_t iova,
			      unsigned long long *ret_bit)
{
	struct dirty_table *t = dirty_table_find(area, hwpt);
	const struct dirty_segment *s;
	size_t entry;

	assert(t); /* iommufd.h: each area has one */
	for (s = t->segments; s->last < iova; s++)
		;
	entry = s->first + ((iova - s->iova) >> s->shift);
	*ret_bit = 1ull << (entry % 64);
	return &t->words[entry / 64];
}

bool dirty_marked(const struct iommufd_hwpt *hwpt, const struct sv_area *area,
		  uint64_t iova)
{
	unsigned long long bit;
	atomic_ullong *word;

	if (!hwpt->tracking)
		return true;
	word = word_of(hwpt, area, iova, &bit);
	return atomic_load_explicit(word, memory_order_acquire) & bit;
}

void dirty_mark(const struct iommufd_hwpt *hwpt, const struct sv_area *area,
		uint64_t iova)
{
	unsigned long long bit;
	atomic_ullong *word;

	if (!hwpt->tracking)
		return;
	word = word_of(hwpt, area, iova, &bit);
	/*
	 * Always the read-modify-write, even if the bit looks set: a reader
	 * may be about to clear it without having our data, and only this
	 * release, read by a later reader's acquire, carries the data along.
	 */
	if (!(atomic_fetch_or_explicit(word, bit, memory_order_release) & bit))
		atomic_fetch_add_explicit(&hwpt->stat->marks, 1,
					  memory_order_relaxed);
}
