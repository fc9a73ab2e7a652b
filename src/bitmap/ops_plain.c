/* SPDX-License-Identifier: MIT */
/*
 * The portable kernels: a word at a time, runs found by counting trailing
 * zeroes.  They define what a faster kernel must do.
 *
 * Threads: see ops.h.
 */
#include "bitmap/ops.h"

#include <stddef.h>

static uint64_t or_word(uint64_t *word, uint64_t bits)
{
	uint64_t new = bits & ~*word;

	if (!new)
		return 0;
	*word |= new;
	return (uint64_t)__builtin_popcountll(new);
}

static uint64_t plain_fill(uint64_t *dst, uint64_t first, uint64_t nr_bits)
{
	uint64_t end = first + nr_bits, new = 0, i;

	if (!nr_bits)
		return 0;
	for (i = first / 64; i <= (end - 1) / 64; i++)
		new += or_word(&dst[i], spoor_bitmap_mask(i, first, end));
	return new;
}

/* Word @i of @src, without what lies behind the end. */
static uint64_t load(const uint64_t *src, uint64_t i, uint64_t nr_bits)
{
	return src[i] & spoor_bitmap_mask(i, 0, nr_bits);
}

static uint64_t plain_or(uint64_t *dst, uint64_t first, const uint64_t *src,
			 uint64_t nr_bits)
{
	unsigned int shift = first % 64;
	uint64_t nr_words = nr_bits / 64 + !!(nr_bits % 64), new = 0, i;

	dst += first / 64;
	for (i = 0; i < nr_words; i++) {
		uint64_t word = load(src, i, nr_bits);

		if (!word)
			continue;
		new += or_word(&dst[i], word << shift);
		/* Touch the next word only for bits that are really there: it
		 * may lie behind the end of dst. */
		if (shift && word >> (64 - shift))
			new += or_word(&dst[i + 1], word >> (64 - shift));
	}
	return new;
}

static bool plain_next_run(const uint64_t *words, uint64_t nr_bits,
			   uint64_t from, uint64_t *first, uint64_t *end)
{
	uint64_t nr_words = nr_bits / 64 + !!(nr_bits % 64), i = from / 64;
	uint64_t word;

	if (from >= nr_bits)
		return false;

	word = load(words, i, nr_bits) & (UINT64_MAX << (from % 64));
	while (!word) {
		if (++i == nr_words)
			return false;
		word = load(words, i, nr_bits);
	}
	*first = i * 64 + (uint64_t)__builtin_ctzll(word);

	/* The run ends at the first zero; the tail counts as zeroes. */
	word = ~word & (UINT64_MAX << (*first % 64));
	while (!word) {
		if (++i == nr_words) {
			*end = nr_bits;
			return true;
		}
		word = ~load(words, i, nr_bits);
	}
	*end = i * 64 + (uint64_t)__builtin_ctzll(word);
	return true;
}

static uint64_t plain_or_expand(uint64_t *dst, uint64_t first,
				const uint64_t *src, uint64_t nr_bits,
				unsigned int shift)
{
	uint64_t run = 0, end = 0, new = 0;

	while (plain_next_run(src, nr_bits, end, &run, &end))
		new += plain_fill(dst, first + (run << shift),
				  (end - run) << shift);
	return new;
}

static uint64_t plain_or_collapse(uint64_t *dst, uint64_t first,
				  const uint64_t *src, uint64_t nr_bits,
				  unsigned int shift)
{
	uint64_t run, end, from = 0, new = 0;

	while (plain_next_run(src, nr_bits, from, &run, &end)) {
		uint64_t bit = (first + run) >> shift;
		uint64_t last = (first + end - 1) >> shift;

		new += plain_fill(dst, bit, last - bit + 1);
		/* The rest of what @last covers cannot add anything. */
		from = ((last + 1) << shift) - first;
	}
	return new;
}

static bool plain_take(uint64_t *out, uint64_t *src, uint64_t nr_bits)
{
	uint64_t nr_words = nr_bits / 64 + !!(nr_bits % 64), any = 0, i;

	for (i = 0; i < nr_words; i++) {
		uint64_t mask = spoor_bitmap_mask(i, 0, nr_bits);

		/*
		 * Looking first is cheap where most words are 0.  A bit set
		 * after the look stays for the next take.  Acquire pairs with
		 * the setter's release: what it stored before is visible to
		 * whoever goes by the bit.  Bits behind the end are not ours
		 * to clear.
		 */
		out[i] = 0;
		if (!(__atomic_load_n(&src[i], __ATOMIC_RELAXED) & mask))
			continue;
		out[i] = __atomic_fetch_and(&src[i], ~mask, __ATOMIC_ACQUIRE) &
			 mask;
		any |= out[i];
	}
	return any;
}

static uint64_t plain_count(const uint64_t *words, uint64_t nr_bits)
{
	uint64_t nr_words = nr_bits / 64 + !!(nr_bits % 64), nr = 0, i;

	for (i = 0; i < nr_words; i++)
		nr += (uint64_t)__builtin_popcountll(load(words, i, nr_bits));
	return nr;
}

const struct spoor_bitmap_ops spoor_bitmap_ops_plain = {
	.fill = plain_fill,
	.or = plain_or,
	.or_expand = plain_or_expand,
	.or_collapse = plain_or_collapse,
	.take = plain_take,
	.count = plain_count,
	.next_run = plain_next_run,
};
