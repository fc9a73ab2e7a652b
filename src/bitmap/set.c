/* SPDX-License-Identifier: MIT */
/*
 * One bitmap a region.  Invariant: sorted, disjoint; all words lie in one
 * mapping, each bitmap's from a page boundary on, so that a kernel given one
 * bitmap never writes into a page of another's.
 *
 * Threads: as for a bitmap.
 */
#include <spoor/bitmap.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/range.h"

struct owned_set {
	struct spoor_bitmap_set set; /* what the caller sees */
	void *words;
	size_t len; /* bytes mapped at @words */
};

static struct owned_set *owned(struct spoor_bitmap_set *set)
{
	return (struct owned_set *)set;
}

static int check_ranges(const struct spoor_range *ranges, size_t nr)
{
	size_t i;

	if (!nr)
		return spoor_fail(EINVAL, "bitmap set: no ranges");
	for (i = 1; i < nr; i++) {
		if (spoor_range_valid(&ranges[i - 1]) &&
		    ranges[i].iova <= spoor_range_last(&ranges[i - 1]))
			return spoor_fail(EINVAL,
					  "bitmap set: range at 0x%" PRIx64
					  " overlaps or comes before 0x%" PRIx64
					  "+0x%" PRIx64,
					  ranges[i].iova, ranges[i - 1].iova,
					  ranges[i - 1].len);
	}
	return 0;
}

/* Bytes of whole pages that hold the words of @nr_pages bits. */
static size_t words_len(uint64_t nr_pages, size_t page)
{
	size_t len = spoor_bitmap_words(nr_pages) * sizeof(uint64_t);

	return (len + page - 1) & ~(page - 1);
}

/* Map @len bytes, every page of them present and writable. */
static void *map_words(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* MAP_POPULATE does not say when it gave up half way. */
	memset(p, 0, len);
	return p;
}

int spoor_bitmap_set_alloc(struct spoor_bitmap_set **ret,
			   const struct spoor_range *ranges, size_t nr_ranges,
			   unsigned int page_shift)
{
	SPOOR_AUTO_HEAP struct owned_set *o = NULL;
	SPOOR_AUTO_HEAP struct spoor_bitmap *maps = NULL;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), i;
	char *next;
	int err;

	err = check_ranges(ranges, nr_ranges);
	if (err)
		return err;
	o = calloc(1, sizeof(*o));
	maps = calloc(nr_ranges, sizeof(*maps));
	if (!o || !maps)
		return spoor_fail(ENOMEM, "bitmap set of %zu: out of memory",
				  nr_ranges);

	/* 2^64 bytes in pages of 4 KiB are 2^49 bytes of words: no overflow,
	 * whatever the ranges, since they are disjoint. */
	for (i = 0; i < nr_ranges; i++) {
		err = spoor_bitmap_init(&maps[i], NULL, &ranges[i], page_shift);
		if (err)
			return err;
		o->len += words_len(maps[i].nr_pages, page);
	}

	o->words = map_words(o->len);
	if (!o->words)
		return spoor_fail(ENOMEM, "bitmap set: no memory for %zu bytes",
				  o->len);
	next = o->words;
	for (i = 0; i < nr_ranges; i++) {
		maps[i].words = (uint64_t *)(void *)next;
		next += words_len(maps[i].nr_pages, page);
	}
	o->set.maps = SPOOR_STEAL(maps);
	o->set.nr = nr_ranges;
	*ret = &SPOOR_STEAL(o)->set;
	return 0;
}

struct spoor_bitmap_set *spoor_bitmap_set_free(struct spoor_bitmap_set *set)
{
	if (!set)
		return NULL;
	munmap(owned(set)->words, owned(set)->len);
	free(set->maps);
	free(owned(set));
	return NULL;
}

static struct spoor_range range_of(const struct spoor_bitmap *b)
{
	return (struct spoor_range){
		.iova = b->base,
		.len = b->nr_pages << b->page_shift,
	};
}

/* Index of the first bitmap that ends at or behind @iova. */
static size_t first_reaching(const struct spoor_bitmap_set *set, uint64_t iova)
{
	size_t low = 0, high = set->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct spoor_range r = range_of(&set->maps[mid]);

		if (spoor_range_last(&r) < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct spoor_bitmap *spoor_bitmap_set_find(const struct spoor_bitmap_set *set,
					   const struct spoor_range *range)
{
	struct spoor_range r;
	size_t i;

	if (!spoor_range_valid(range))
		return NULL;
	i = first_reaching(set, range->iova);
	if (i == set->nr)
		return NULL;
	r = range_of(&set->maps[i]);
	return spoor_range_inside(range, &r) ? &set->maps[i] : NULL;
}

uint64_t spoor_bitmap_set_mark(struct spoor_bitmap_set *set,
			       const struct spoor_range *range)
{
	uint64_t total = 0, new;
	size_t i;

	if (!spoor_range_valid(range))
		return 0;
	for (i = first_reaching(set, range->iova); i < set->nr; i++) {
		struct spoor_range r = range_of(&set->maps[i]), part;

		if (!spoor_range_intersect(&r, range, &part))
			break;
		/* Inside the bitmap by construction: it does not fail. */
		if (!spoor_bitmap_mark(&set->maps[i], &part, &new))
			total += new;
	}
	return total;
}

uint64_t spoor_bitmap_set_move(struct spoor_bitmap_set *dst,
			       struct spoor_bitmap_set *src)
{
	uint64_t total = 0, new;
	size_t i;

	for (i = 0; i < src->nr; i++) {
		struct spoor_range r = range_of(&src->maps[i]);
		struct spoor_bitmap *b = spoor_bitmap_set_find(dst, &r);

		/* Bits that have no place in @dst stay where they are. */
		if (!b || spoor_bitmap_or(b, &src->maps[i], &new))
			continue;
		spoor_bitmap_clear(&src->maps[i]);
		total += new;
	}
	return total;
}

uint64_t spoor_bitmap_set_count(const struct spoor_bitmap_set *set)
{
	uint64_t nr = 0;
	size_t i;

	for (i = 0; i < set->nr; i++)
		nr += spoor_bitmap_count(&set->maps[i]);
	return nr;
}

void spoor_bitmap_set_clear(struct spoor_bitmap_set *set)
{
	size_t i;

	for (i = 0; i < set->nr; i++)
		spoor_bitmap_clear(&set->maps[i]);
}
