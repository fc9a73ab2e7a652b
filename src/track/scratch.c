/* SPDX-License-Identifier: MIT */
/* Bitmaps for the kernel to write; see scratch.h. */
#include "track/scratch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

static size_t host_page(void)
{
	long page = sysconf(_SC_PAGESIZE);

	return page > 0 ? (size_t)page : 4096;
}

int spoor_scratch_bitmap(struct spoor_scratch *s, struct spoor_bitmap *ret,
			 const struct spoor_range *range,
			 unsigned int page_shift)
{
	size_t page = host_page();
	struct spoor_bitmap b;
	size_t len;
	int err;

	err = spoor_bitmap_init(&b, NULL, range, page_shift);
	if (err)
		return err;
	/* At most 2^52 bits, so bytes do not overflow. */
	len = (size_t)spoor_bitmap_words(b.nr_pages) * sizeof(*b.words);
	len = (len + page - 1) / page * page;
	if (len > s->len) {
		uint64_t *words = aligned_alloc(page, len);

		if (!words)
			return spoor_fail(ENOMEM,
					  "bitmap of %zu bytes for "
					  "0x%llx+0x%llx: out of memory",
					  len, (unsigned long long)range->iova,
					  (unsigned long long)range->len);
		free(s->words);
		s->words = words;
		s->len = len;
	}
	/* Zeroes it and makes every page present. */
	memset(s->words, 0, len);
	b.words = s->words;
	*ret = b;
	return 0;
}

void spoor_scratch_trim(struct spoor_bitmap *b)
{
	if (b->nr_pages % 64)
		b->words[b->nr_pages / 64] &=
			UINT64_MAX >> (64 - b->nr_pages % 64);
}

void spoor_scratch_release(struct spoor_scratch *s)
{
	free(s->words);
	*s = (struct spoor_scratch){ 0 };
}

void spoor_bitmap_touch(struct spoor_bitmap *b, uint64_t first, uint64_t nr)
{
	uint64_t step = host_page() / sizeof(*b->words);
	uint64_t i, last;

	if (!nr)
		return;
	last = (first + nr - 1) / 64;
	for (i = first / 64; i < last; i += step)
		__atomic_fetch_or(&b->words[i], 0, __ATOMIC_RELAXED);
	/* The last word may lie a page further than the steps reached. */
	__atomic_fetch_or(&b->words[last], 0, __ATOMIC_RELAXED);
}
