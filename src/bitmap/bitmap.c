/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps with addresses: argument checks and page sizes.  The work on words
 * is in ops_plain.c.
 *
 * Invariant: bits are only ever set in a destination, and only within its
 * nr_pages.  A source is cleared by take() alone, when nothing can fail any
 * more.  Ends are computed as inclusive `last`, since a span may end at 2^64.
 *
 * Threads: one bitmap, one thread at a time; take()'s source excepted.
 */
#include <spoor/bitmap.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "base/range.h"
#include "bitmap/ops.h"

/* Pages that take() moves in one go, through the stack. */
#define TAKE_PAGES UINT64_C(4096)

uint64_t spoor_bitmap_words(uint64_t nr_pages)
{
	return nr_pages / 64 + !!(nr_pages % 64);
}

int spoor_bitmap_init(struct spoor_bitmap *b, uint64_t *words,
		      const struct spoor_range *range, unsigned int page_shift)
{
	if (page_shift < 12 || page_shift > 63)
		return spoor_fail(EINVAL, "bitmap: page shift %u, not 12..63",
				  page_shift);
	if (!spoor_range_valid(range))
		return spoor_fail(EINVAL,
				  "bitmap: range 0x%" PRIx64 "+0x%" PRIx64
				  " is empty or past 2^64",
				  range->iova, range->len);
	if (!spoor_range_aligned(range, UINT64_C(1) << page_shift))
		return spoor_fail(EINVAL,
				  "bitmap: range 0x%" PRIx64 "+0x%" PRIx64
				  " is not aligned to pages of 2^%u",
				  range->iova, range->len, page_shift);

	*b = (struct spoor_bitmap){
		.words = words,
		.nr_pages = range->len >> page_shift,
		.base = range->iova,
		.page_shift = page_shift,
	};
	return 0;
}

/* Last byte of a bitmap that is not empty. */
static uint64_t last_byte(const struct spoor_bitmap *b)
{
	return b->base + ((b->nr_pages - 1) << b->page_shift) +
	       ((UINT64_C(1) << b->page_shift) - 1);
}

int spoor_bitmap_mark(struct spoor_bitmap *b, const struct spoor_range *range,
		      uint64_t *ret_new)
{
	uint64_t first, last, new;

	if (!b->nr_pages || !spoor_range_valid(range) ||
	    range->iova < b->base || spoor_range_last(range) > last_byte(b))
		return spoor_fail(EINVAL,
				  "mark: range 0x%" PRIx64 "+0x%" PRIx64
				  " is outside the bitmap of 0x%" PRIx64
				  " pages of 2^%u at 0x%" PRIx64,
				  range->iova, range->len, b->nr_pages,
				  b->page_shift, b->base);

	first = (range->iova - b->base) >> b->page_shift;
	last = (spoor_range_last(range) - b->base) >> b->page_shift;
	new = spoor_bitmap_ops()->fill(b->words, first, last - first + 1);
	if (ret_new)
		*ret_new = new;
	return 0;
}

bool spoor_bitmap_test(const struct spoor_bitmap *b, uint64_t iova)
{
	uint64_t page;

	if (!b->nr_pages || iova < b->base || iova > last_byte(b))
		return false;
	page = (iova - b->base) >> b->page_shift;
	return b->words[page / 64] >> (page % 64) & 1;
}

static int check_inside(const struct spoor_bitmap *dst,
			const struct spoor_bitmap *src, const char *what)
{
	if (!src->nr_pages)
		return 0;
	if (dst->nr_pages && src->base >= dst->base &&
	    last_byte(src) <= last_byte(dst))
		return 0;
	return spoor_fail(EINVAL,
			  "%s: bitmap of 0x%" PRIx64
			  " pages of 2^%u at 0x%" PRIx64
			  " reaches outside that of 0x%" PRIx64
			  " pages of 2^%u at 0x%" PRIx64,
			  what, src->nr_pages, src->page_shift, src->base,
			  dst->nr_pages, dst->page_shift, dst->base);
}

/*
 * OR @nr_pages pages of @src, from page @from on (a multiple of 64), whose
 * words are at @words.  @src lies inside @dst.
 *
 * With a coarser src, its base is aligned to its own pages and so to dst's:
 * nothing is rounded.  With a finer one, the offset is kept in src's pages and
 * rounded down per bit, so the page of dst is the one that covers the bit,
 * however the two bases lie to each other.
 */
static uint64_t or_part(struct spoor_bitmap *dst,
			const struct spoor_bitmap *src, uint64_t from,
			const uint64_t *words, uint64_t nr_pages)
{
	const struct spoor_bitmap_ops *ops = spoor_bitmap_ops();
	uint64_t offset = src->base - dst->base + (from << src->page_shift);

	if (src->page_shift < dst->page_shift)
		return ops->or_collapse(dst->words, offset >> src->page_shift,
					words, nr_pages,
					dst->page_shift - src->page_shift);
	if (src->page_shift > dst->page_shift)
		return ops->or_expand(dst->words, offset >> dst->page_shift,
				      words, nr_pages,
				      src->page_shift - dst->page_shift);
	return ops->or (dst->words, offset >> dst->page_shift, words, nr_pages);
}

int spoor_bitmap_or(struct spoor_bitmap *dst, const struct spoor_bitmap *src,
		    uint64_t *ret_new)
{
	uint64_t new;
	int ret;

	ret = check_inside(dst, src, "or");
	if (ret)
		return ret;
	new = or_part(dst, src, 0, src->words, src->nr_pages);
	if (ret_new)
		*ret_new = new;
	return 0;
}

int spoor_bitmap_take(struct spoor_bitmap *dst, struct spoor_bitmap *src,
		      uint64_t *ret_new)
{
	uint64_t part[TAKE_PAGES / 64], new = 0, from, nr;
	int ret;

	ret = check_inside(dst, src, "take");
	if (ret)
		return ret;

	/*
	 * Between clearing and setting, bits are on the stack only; nothing in
	 * between can fail or be cancelled.
	 */
	for (from = 0; from < src->nr_pages; from += nr) {
		nr = src->nr_pages - from;
		if (nr > TAKE_PAGES)
			nr = TAKE_PAGES;
		if (spoor_bitmap_ops()->take(part, src->words + from / 64, nr))
			new += or_part(dst, src, from, part, nr);
	}
	if (ret_new)
		*ret_new = new;
	return 0;
}

void spoor_bitmap_clear(struct spoor_bitmap *b)
{
	if (b->nr_pages)
		memset(b->words, 0,
		       spoor_bitmap_words(b->nr_pages) * sizeof(*b->words));
}

uint64_t spoor_bitmap_count(const struct spoor_bitmap *b)
{
	return spoor_bitmap_ops()->count(b->words, b->nr_pages);
}

bool spoor_bitmap_next_run(const struct spoor_bitmap *b, uint64_t *cursor,
			   struct spoor_range *ret)
{
	uint64_t first, end;

	if (!spoor_bitmap_ops()->next_run(b->words, b->nr_pages, *cursor,
					  &first, &end))
		return false;
	*cursor = end;
	*ret = (struct spoor_range){
		.iova = b->base + (first << b->page_shift),
		.len = (end - first) << b->page_shift,
	};
	return true;
}
