/* SPDX-License-Identifier: MIT */
/*
 * Dirty bitmaps, in the layout the kernel, vfio-user and vhost share: an array
 * of little-endian 64-bit words; bit n is page n counted from the base IOVA.
 *
 * A struct spoor_bitmap is a view of one contiguous range; a struct
 * spoor_bitmap_set holds one bitmap for each region of a memory with holes.
 *
 * Threads: a bitmap is used by one thread at a time, except that
 * spoor_bitmap_take() may read words that others set bits in atomically.
 */
#ifndef SPOOR_BITMAP_H
#define SPOOR_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A view: the caller owns @words and keeps it alive. */
struct spoor_bitmap {
	uint64_t *words;
	uint64_t nr_pages; /* bits in use; the tail of the last word is 0 */
	uint64_t base; /* IOVA of bit 0, page aligned */
	unsigned int page_shift; /* log2 of the page size in bytes, 12..63 */
};

/**
 * spoor_bitmap_words() - 64-bit words needed for a number of pages
 * @nr_pages: number of pages (bits).
 */
SPOOR_API uint64_t spoor_bitmap_words(uint64_t nr_pages);

/**
 * spoor_bitmap_init() - describe the bitmap of a range
 * @b:          filled in on success.
 * @words:      spoor_bitmap_words(range->len >> page_shift) words, rounded up
 *              to whole pages; borrowed, not touched.
 * @range:      page aligned; its end may be exactly 2^64.
 * @page_shift: log2 of the page size in bytes, 12..63.
 *
 * Return: 0, or -EINVAL if @range is empty, unaligned or past 2^64, or
 * @page_shift is out of bounds.
 */
SPOOR_API SPOOR_NODISCARD int spoor_bitmap_init(struct spoor_bitmap *b,
						uint64_t *words,
						const struct spoor_range *range,
						unsigned int page_shift);

/**
 * spoor_bitmap_mark() - set the bits of every page that a range touches
 * @b:     bitmap; bits are only ever set.
 * @range: any alignment; must lie inside the IOVA span of @b.
 * @ret_new: if not NULL, on success, the number of bits that went 0 -> 1.
 *
 * Return: 0, or -EINVAL if @range reaches outside @b.
 */
SPOOR_API SPOOR_NODISCARD int spoor_bitmap_mark(struct spoor_bitmap *b,
						const struct spoor_range *range,
						uint64_t *ret_new);

/**
 * spoor_bitmap_test() - is the page that holds an IOVA marked?
 * @b:    bitmap.
 * @iova: any address; outside @b the answer is false.
 */
SPOOR_API bool spoor_bitmap_test(const struct spoor_bitmap *b, uint64_t iova);

/**
 * spoor_bitmap_or() - OR one bitmap into another, page sizes may differ
 * @dst: bits are only ever set.
 * @src: read only; must lie inside the IOVA span of @dst.
 * @ret_new: if not NULL, on success, the number of bits that went 0 -> 1.
 *
 * A granule of @src larger than @dst's pages sets every page it covers; a
 * smaller one sets the page that covers it.
 *
 * Return: 0, or -EINVAL if @src reaches outside @dst.
 */
SPOOR_API SPOOR_NODISCARD int spoor_bitmap_or(struct spoor_bitmap *dst,
					      const struct spoor_bitmap *src,
					      uint64_t *ret_new);

/**
 * spoor_bitmap_take() - move bits out of a bitmap that others are setting
 * @dst: bits are only ever set.
 * @src: inside the IOVA span of @dst; its words are read and cleared, each
 *       atomically (acquire), so a bit set concurrently is either taken now
 *       or still there for the next call, and the data its writer stored
 *       before setting it is visible to the caller.
 * @ret_new: if not NULL, on success, the number of bits that went 0 -> 1.
 *
 * Return: 0, or -EINVAL if @src reaches outside @dst; then nothing is cleared.
 */
SPOOR_API SPOOR_NODISCARD int spoor_bitmap_take(struct spoor_bitmap *dst,
						struct spoor_bitmap *src,
						uint64_t *ret_new);

/**
 * spoor_bitmap_clear() - clear every bit
 * @b: bitmap.
 */
SPOOR_API void spoor_bitmap_clear(struct spoor_bitmap *b);

/**
 * spoor_bitmap_count() - number of bits set
 * @b: bitmap.
 */
SPOOR_API uint64_t spoor_bitmap_count(const struct spoor_bitmap *b);

/**
 * spoor_bitmap_next_run() - the next contiguous dirty range
 * @b:      bitmap.
 * @cursor: page index to look from, 0 at first; advanced past the run.
 * @ret:    on success, the run in bytes; page aligned.
 *
 * Return: true if there was a run; false at the end, @ret untouched.
 */
SPOOR_API bool spoor_bitmap_next_run(const struct spoor_bitmap *b,
				     uint64_t *cursor, struct spoor_range *ret);

/* One bitmap a region, sorted by base; owns its words. */
struct spoor_bitmap_set {
	struct spoor_bitmap *maps;
	size_t nr;
};

/**
 * spoor_bitmap_set_alloc() - zeroed bitmaps for a list of ranges
 * @ret:        on success, the new set; owned by the caller.  Untouched on
 *              failure.
 * @ranges:     page aligned, sorted, disjoint; copied.
 * @nr_ranges:  number of entries in @ranges.
 * @page_shift: log2 of the page size in bytes, 12..63.
 *
 * Every word is made present and writable, so that the kernel never finds a
 * page of it missing.
 *
 * Return: 0, or
 *   -EINVAL  @ranges empty, unaligned, unsorted or overlapping
 *   -ENOMEM  out of memory
 */
SPOOR_API SPOOR_NODISCARD int
spoor_bitmap_set_alloc(struct spoor_bitmap_set **ret,
		       const struct spoor_range *ranges, size_t nr_ranges,
		       unsigned int page_shift);

/**
 * spoor_bitmap_set_free() - release a set
 * @set: set, or NULL.
 *
 * Return: NULL.
 */
SPOOR_API struct spoor_bitmap_set *
spoor_bitmap_set_free(struct spoor_bitmap_set *set);

/**
 * spoor_bitmap_set_find() - the bitmap that covers a whole range
 * @set:   set.
 * @range: bytes.
 *
 * Return: the bitmap, borrowed, or NULL if no single one covers @range.
 */
SPOOR_API struct spoor_bitmap *
spoor_bitmap_set_find(const struct spoor_bitmap_set *set,
		      const struct spoor_range *range);

/**
 * spoor_bitmap_set_mark() - mark what a range and the regions share
 * @set:   set; bits are only ever set.
 * @range: any alignment, may reach over holes; what lies in a hole is passed
 *         over: there is no page there to send.
 *
 * Return: the number of bits that went 0 -> 1.
 */
SPOOR_API uint64_t spoor_bitmap_set_mark(struct spoor_bitmap_set *set,
					 const struct spoor_range *range);

/**
 * spoor_bitmap_set_move() - OR one set into another and clear the source
 * @dst: a set over the same ranges and page size; bits are only ever set.
 * @src: cleared, after its bits are in @dst.
 *
 * Return: the number of bits that went 0 -> 1 in @dst.
 */
SPOOR_API uint64_t spoor_bitmap_set_move(struct spoor_bitmap_set *dst,
					 struct spoor_bitmap_set *src);

/**
 * spoor_bitmap_set_count() - number of bits set
 * @set: set.
 */
SPOOR_API uint64_t spoor_bitmap_set_count(const struct spoor_bitmap_set *set);

/**
 * spoor_bitmap_set_clear() - clear every bit
 * @set: set.
 */
SPOOR_API void spoor_bitmap_set_clear(struct spoor_bitmap_set *set);

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_BITMAP_H */
