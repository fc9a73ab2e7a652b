/* SPDX-License-Identifier: MIT */
/*
 * The kernels of the bitmap operations: what costs time, free of addresses and
 * argument checks (bitmap.c has those).  Bits are numbered from the low end of
 * words[0].  ops_plain.c is the portable table; a faster kernel replaces one
 * pointer of it and is held against the plain one by tests/bitmap/test_ops.c.
 *
 * Promises of every kernel: bits of dst outside the span it is told are left
 * alone; bits of src at or behind @nr_bits are not looked at.  Indices are 64
 * bits wide throughout: 2^52 pages of 4 KiB fill the address space.
 *
 * Threads: only take() may share @src with others, who set bits atomically.
 */
#ifndef SPOOR_BITMAP_OPS_H
#define SPOOR_BITMAP_OPS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "words are little-endian, and are used as they are");

/* "new" below: the number of bits of dst that went 0 -> 1. */
struct spoor_bitmap_ops {
	/* Set @nr_bits bits from @first on; returns new. */
	uint64_t (*fill)(uint64_t *dst, uint64_t first, uint64_t nr_bits);

	/* dst[first + i] |= src[i]; returns new. */
	uint64_t (* or)(uint64_t *dst, uint64_t first, const uint64_t *src,
			uint64_t nr_bits);

	/* Each bit of src becomes 2^shift bits of dst:
	 * dst[first + (i << shift) + 0 .. 2^shift - 1] |= src[i]; new. */
	uint64_t (*or_expand)(uint64_t *dst, uint64_t first,
			      const uint64_t *src, uint64_t nr_bits,
			      unsigned int shift);

	/* 2^shift bits of src become one of dst, @first counted in bits of
	 * src: dst[(first + i) >> shift] |= src[i]; returns new. */
	uint64_t (*or_collapse)(uint64_t *dst, uint64_t first,
				const uint64_t *src, uint64_t nr_bits,
				unsigned int shift);

	/* Move bits [0, nr_bits) of src to @out (overwritten, whole words, the
	 * tail 0).  Each word of src is read and cleared in one atomic step
	 * with acquire.  False if there was none; @out is written anyway. */
	bool (*take)(uint64_t *out, uint64_t *src, uint64_t nr_bits);

	/* Bits set. */
	uint64_t (*count)(const uint64_t *words, uint64_t nr_bits);

	/* First run of ones at or behind @from: true, and [*first, *end). */
	bool (*next_run)(const uint64_t *words, uint64_t nr_bits, uint64_t from,
			 uint64_t *first, uint64_t *end);
};

extern const struct spoor_bitmap_ops spoor_bitmap_ops_plain;

/* The table in use. */
static inline const struct spoor_bitmap_ops *spoor_bitmap_ops(void)
{
	return &spoor_bitmap_ops_plain;
}

/* Bits of word @word that lie in [first, end); some do. */
static inline uint64_t spoor_bitmap_mask(uint64_t word, uint64_t first,
					 uint64_t end)
{
	uint64_t mask = UINT64_MAX;

	if (first > word * 64)
		mask &= UINT64_MAX << (first % 64);
	if (end < (word + 1) * 64)
		mask &= UINT64_MAX >> (-end % 64);
	return mask;
}

#endif /* SPOOR_BITMAP_OPS_H */
