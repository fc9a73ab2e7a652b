/* SPDX-License-Identifier: MIT */
/*
 * What the bitmap operations must do, written bit by bit with 128-bit
 * addresses, without a shift or a mask of the real thing.  For the tests and
 * the fuzzer; one file, so that they judge by the same measure.
 */
#ifndef SPOOR_TEST_NAIVE_H
#define SPOOR_TEST_NAIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/bitmap.h>

__extension__ typedef unsigned __int128 naive_wide;

static inline bool naive_get(const uint64_t *words, uint64_t bit)
{
	return ((const uint8_t *)words)[bit / 8] & (1u << bit % 8);
}

static inline void naive_set(uint64_t *words, uint64_t bit)
{
	uint8_t *byte = &((uint8_t *)words)[bit / 8];

	*byte = (uint8_t)(*byte | 1u << bit % 8);
}

static inline uint64_t naive_count(const uint64_t *words, uint64_t nr_bits)
{
	uint64_t nr = 0, i;

	for (i = 0; i < nr_bits; i++)
		nr += naive_get(words, i);
	return nr;
}

static inline naive_wide naive_size(const struct spoor_bitmap *b)
{
	return (naive_wide)1 << b->page_shift;
}

/* One past the last byte: up to 2^64. */
static inline naive_wide naive_end(const struct spoor_bitmap *b)
{
	return b->base + b->nr_pages * naive_size(b);
}

static inline bool naive_inside(const struct spoor_bitmap *in,
				const struct spoor_bitmap *out)
{
	return in->base >= out->base && naive_end(in) <= naive_end(out);
}

/* OR @src into the bare words @dst of a bitmap shaped like @shape. */
static inline void naive_or(uint64_t *dst, const struct spoor_bitmap *shape,
			    const struct spoor_bitmap *src)
{
	uint64_t i;

	for (i = 0; i < src->nr_pages; i++) {
		naive_wide first = src->base + i * naive_size(src);
		naive_wide end = first + naive_size(src);
		naive_wide page;

		if (!naive_get(src->words, i))
			continue;
		/* Every page of dst that shares a byte with page i. */
		for (page = (first - shape->base) / naive_size(shape);
		     shape->base + page * naive_size(shape) < end; page++)
			naive_set(dst, (uint64_t)page);
	}
}

/* A small, repeatable source of randomness. */
static inline uint64_t naive_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A number in 0..limit - 1. */
static inline unsigned int naive_below(uint64_t *state, unsigned int limit)
{
	return (unsigned int)(naive_random(state) % limit);
}

/* Random words of a random character: none, few, half, runs, nearly all. */
static inline void naive_fill(uint64_t *words, uint64_t nr_words,
			      uint64_t *state)
{
	uint64_t kind = naive_random(state) % 6, i;

	for (i = 0; i < nr_words; i++) {
		uint64_t a = naive_random(state), b = naive_random(state);
		uint64_t c = naive_random(state);

		switch (kind) {
		case 0:
			words[i] = 0;
			break;
		case 1:
			words[i] = a & b & c & naive_random(state);
			break;
		case 2:
			words[i] = a;
			break;
		case 3: /* runs, with both kinds of ends */
			words[i] = c % 4 ? c % 4 == 1 ? UINT64_MAX : 0
					 : UINT64_MAX << a % 64;
			break;
		case 4:
			words[i] = a | b | c;
			break;
		default:
			words[i] = UINT64_MAX;
		}
	}
}

#endif /* SPOOR_TEST_NAIVE_H */
