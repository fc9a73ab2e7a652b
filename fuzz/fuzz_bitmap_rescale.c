/* SPDX-License-Identifier: MIT */
/*
 * OR and take between page sizes against the bit-by-bit reference.  An input:
 *
 *   0      dst's page shift - 12, modulo 16
 *   1      src's page shift - 12, modulo 16
 *   2,3    dst's pages - 1, modulo 8192 (little-endian, as all)
 *   4,5    src's pages - 1, modulo 8192
 *   6,7    where src begins: its pages behind dst's begin, less 8
 *   8      bit 0: dst ends at 2^64; bit 1: take instead of OR
 *   9...   words: src's first, then dst's; repeated until both are full
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/bitmap.h>

#include "tests/bitmap/naive.h"

#define HEAD	  9
#define MAX_PAGES 8192
#define NR_WORDS  (MAX_PAGES / 64 + 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size, at;
};

static uint64_t number(const uint8_t *p)
{
	return p[0] | (uint64_t)p[1] << 8;
}

static void fill(uint64_t *words, struct input *in)
{
	size_t i;

	for (i = 0; i < NR_WORDS * sizeof(*words); i++) {
		if (in->at == in->size)
			in->at = HEAD;
		((uint8_t *)words)[i] = in->data[in->at++];
	}
}

static void check(struct spoor_bitmap *dst, struct spoor_bitmap *src, bool take)
{
	static uint64_t want[NR_WORDS], src_before[NR_WORDS];
	bool inside = naive_inside(src, dst);
	uint64_t new = 42, before = naive_count(dst->words, dst->nr_pages), i;
	int ret;

	memcpy(want, dst->words, sizeof(want));
	memcpy(src_before, src->words, sizeof(src_before));
	if (inside)
		naive_or(want, dst, src);
	if (inside && take) {
		for (i = 0; i < src->nr_pages; i++)
			((uint8_t *)src_before)[i / 8] &=
				(uint8_t) ~(1u << i % 8);
	}

	ret = take ? spoor_bitmap_take(dst, src, &new)
		   : spoor_bitmap_or(dst, src, &new);
	if (!ret != inside || memcmp(dst->words, want, sizeof(want)) ||
	    memcmp(src->words, src_before, sizeof(src_before)))
		abort();
	if (inside && new != naive_count(want, dst->nr_pages) - before)
		abort();
	if (!inside && new != 42)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t dst_words[NR_WORDS], src_words[NR_WORDS];
	struct input in = { .data = data, .size = size, .at = HEAD };
	struct spoor_bitmap dst = { .words = dst_words };
	struct spoor_bitmap src = { .words = src_words };
	uint64_t begin;

	if (size <= HEAD)
		return 0;
	dst.page_shift = 12 + data[0] % 16;
	src.page_shift = 12 + data[1] % 16;
	dst.nr_pages = number(data + 2) % MAX_PAGES + 1;
	src.nr_pages = number(data + 4) % MAX_PAGES + 1;
	/* Well above 0, so that src can begin before dst. */
	dst.base = data[8] & 1 ? -(dst.nr_pages << dst.page_shift)
			       : UINT64_C(1) << 40;
	begin = dst.base >> src.page_shift << src.page_shift;
	src.base = begin + ((number(data + 6) - 8) << src.page_shift);
	/* Offsets that wrap, or spans past 2^64, are no bitmaps. */
	if (naive_end(&src) > (naive_wide)1 << 64)
		return 0;

	fill(src_words, &in);
	fill(dst_words, &in);
	check(&dst, &src, data[8] & 2);
	return 0;
}
