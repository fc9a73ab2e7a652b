/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps against the bit-by-bit reference.  Every buffer has a guard behind
 * it, and every source has rubbish in the tail of its last word.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <spoor/bitmap.h>
#include <spoor/error.h>

#include "tests/bitmap/naive.h"

#define GUARD UINT64_C(0xaaaaaaaaaaaaaaaa)

static const uint64_t sizes[] = { 1, 63, 64, 65, 255, 256, 257, 4097 };
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* A bitmap with its words and a copy of them for the reference. */
struct guarded {
	struct spoor_bitmap b;
	uint64_t *copy;
	uint64_t nr_words;
};

static void make(struct guarded *g, uint64_t base, uint64_t nr_pages,
		 unsigned int shift, uint64_t *rnd)
{
	struct spoor_range r = { base, nr_pages << shift };
	uint64_t *words;

	g->nr_words = spoor_bitmap_words(nr_pages);
	words = calloc(g->nr_words + 1, sizeof(*words));
	g->copy = calloc(g->nr_words + 1, sizeof(*words));
	assert_non_null(words);
	assert_non_null(g->copy);
	if (rnd)
		naive_fill(words, g->nr_words, rnd);
	words[g->nr_words] = GUARD;
	memcpy(g->copy, words, (g->nr_words + 1) * sizeof(*words));
	assert_int_equal(spoor_bitmap_init(&g->b, words, &r, shift), 0);
	assert_int_equal(g->b.nr_pages, nr_pages);
}

static void unmake(struct guarded *g)
{
	free(g->b.words);
	free(g->copy);
}

/* Guard and tail included. */
static void assert_same(const struct guarded *g)
{
	assert_memory_equal(g->b.words, g->copy,
			    (g->nr_words + 1) * sizeof(*g->copy));
}

static void init_refuses_what_is_no_bitmap(void **state)
{
	struct spoor_bitmap b = { .nr_pages = 42 };
	uint64_t word;
	static const struct {
		struct spoor_range r;
		unsigned int shift;
	} bad[] = {
		{ { 0, 0 }, 12 },
		{ { 0, 0x1000 }, 11 },
		{ { 0, 0x1000 }, 64 },
		{ { 0x800, 0x1000 }, 12 },
		{ { 0x1000, 0x1800 }, 12 },
		{ { 0x1000, 0x2000 }, 13 },
		{ { UINT64_MAX - 0xfff, 0x2000 }, 12 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
			spoor_bitmap_init(&b, &word, &bad[i].r, bad[i].shift),
			-EINVAL);
		assert_int_equal(b.nr_pages, 42);
	}
	assert_int_equal(spoor_bitmap_init(&b, &word,
					   &(struct spoor_range){ 1ull << 63,
								  1ull << 63 },
					   63),
			 0);
	assert_int_equal(b.nr_pages, 1);
	assert_int_equal(spoor_bitmap_init(&b, &word,
					   &(struct spoor_range){
						   UINT64_MAX - 0xfff, 0x1000 },
					   12),
			 0);
	assert_int_equal(spoor_bitmap_words(0), 0);
	assert_int_equal(spoor_bitmap_words(1), 1);
	assert_int_equal(spoor_bitmap_words(64), 1);
	assert_int_equal(spoor_bitmap_words(65), 2);
	assert_int_equal(spoor_bitmap_words(UINT64_MAX), UINT64_C(1) << 58);
}

static void mark_sets_every_page_that_is_touched(void **state)
{
	uint64_t rnd = 2;
	size_t s;
	int i;

	(void)state;
	for (s = 0; s < NR_SIZES; s++) {
		uint64_t len = sizes[s] << 14, base = -len;

		for (i = 0; i < 200; i++) {
			struct guarded g;
			struct spoor_range r;
			uint64_t page, new = 0, want = 0;

			make(&g, base, sizes[s], 14, &rnd);
			r.iova = naive_random(&rnd) % len;
			r.len = 1 + naive_random(&rnd) % (len - r.iova);
			if (i == 0)
				r = (struct spoor_range){ 0, len };
			if (i == 1)
				r = (struct spoor_range){ len - 1, 1 };
			for (page = 0; page < sizes[s]; page++) {
				if ((page + 1) << 14 <= r.iova ||
				    page << 14 >= r.iova + r.len)
					continue;
				want += !naive_get(g.copy, page);
				naive_set(g.copy, page);
			}
			r.iova += base;
			assert_int_equal(spoor_bitmap_mark(&g.b, &r, &new), 0);
			assert_same(&g);
			assert_int_equal(new, want);
			unmake(&g);
		}
	}
}

static void mark_outside_is_refused_and_sets_nothing(void **state)
{
	static const struct spoor_range bad[] = {
		{ 0xffff, 1 },	   { 0xffff, 2 },     { 0x15fff, 2 },
		{ 0x16000, 1 },	   { 0x10000, 0 },    { 0x10000, UINT64_MAX },
		{ 0, UINT64_MAX }, { UINT64_MAX, 1 },
	};
	uint64_t new = 42;
	struct guarded g;
	size_t i;

	(void)state;
	make(&g, 0x10000, 6, 12, NULL);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(spoor_bitmap_mark(&g.b, &bad[i], &new),
				 -EINVAL);
	assert_int_equal(new, 42);
	assert_non_null(strstr(spoor_errmsg(), "0xffffffffffffffff"));
	assert_same(&g);
	unmake(&g);
}

static void test_answers_for_the_page_that_holds_the_address(void **state)
{
	struct spoor_range r = { UINT64_MAX - 0x1000, 1 };
	struct guarded g;

	(void)state;
	make(&g, -(UINT64_C(65) << 12), 65, 12, NULL);
	assert_int_equal(spoor_bitmap_mark(&g.b, &r, NULL), 0);
	assert_true(spoor_bitmap_test(&g.b, UINT64_MAX - 0x1fff));
	assert_true(spoor_bitmap_test(&g.b, UINT64_MAX - 0x1000));
	assert_false(spoor_bitmap_test(&g.b, UINT64_MAX - 0xfff));
	assert_false(spoor_bitmap_test(&g.b, UINT64_MAX - 0x2000));
	assert_false(spoor_bitmap_test(&g.b, 0));
	unmake(&g);
}

/* Place a source of @nr pages at random inside a destination, or around it. */
static bool pick_src(uint64_t *base, const struct guarded *dst, uint64_t nr,
		     unsigned int shift, uint64_t *rnd)
{
	naive_wide size = (naive_wide)1 << shift, len = nr * size;
	naive_wide low = (dst->b.base + size - 1) / size * size;
	naive_wide end = naive_end(&dst->b);

	if (low + len > end)
		return false;
	/* At either end now and then, so that both ends are met. */
	switch (naive_random(rnd) % 4) {
	case 0:
		*base = (uint64_t)low;
		break;
	case 1:
		*base = (uint64_t)((end - len) / size * size);
		break;
	default:
		*base = (uint64_t)(low +
				   naive_random(rnd) %
					   ((end - low - len) / size + 1) *
					   size);
	}
	return true;
}

typedef void (*pair_fn)(struct guarded *dst, struct guarded *src);

static void check_or(struct guarded *dst, struct guarded *src)
{
	uint64_t before = naive_count(dst->copy, dst->b.nr_pages), new = 42;

	naive_or(dst->copy, &dst->b, &src->b);
	assert_int_equal(spoor_bitmap_or(&dst->b, &src->b, &new), 0);
	assert_same(dst);
	assert_same(src);
	assert_int_equal(new, naive_count(dst->copy, dst->b.nr_pages) - before);
	assert_int_equal(spoor_bitmap_or(&dst->b, &src->b, &new), 0);
	assert_int_equal(new, 0);
}

static void check_take(struct guarded *dst, struct guarded *src)
{
	uint64_t before = naive_count(dst->copy, dst->b.nr_pages), new = 42, i;

	naive_or(dst->copy, &dst->b, &src->b);
	assert_int_equal(spoor_bitmap_take(&dst->b, &src->b, &new), 0);
	assert_same(dst);
	assert_int_equal(new, naive_count(dst->copy, dst->b.nr_pages) - before);
	/* Of src, the bits in use are gone, and nothing else. */
	for (i = 0; i < src->b.nr_pages; i++)
		((uint8_t *)src->copy)[i / 8] &= (uint8_t) ~(1u << i % 8);
	assert_same(src);
}

/* Random pairs of every size, page sizes both ways, some that end at 2^64. */
static void sweep(pair_fn check, uint64_t rnd)
{
	uint64_t done = 0, coarser = 0, finer = 0, top = 0;
	int round;

	for (round = 0; round < 6000; round++) {
		unsigned int shift = 12 + naive_below(&rnd, 4);
		unsigned int src_shift = 12 + naive_below(&rnd, 10);
		uint64_t nr = sizes[naive_random(&rnd) % NR_SIZES];
		uint64_t nr_src = sizes[naive_random(&rnd) % NR_SIZES];
		uint64_t base = naive_random(&rnd) >> 24, src_base;
		struct guarded dst, src;

		base = base >> shift << shift;
		if (naive_random(&rnd) % 3 == 0)
			base = -(nr << shift);
		/* Make room for wide sources often enough. */
		if (src_shift > shift && naive_random(&rnd) % 2)
			nr_src = 1 + naive_random(&rnd) % 70;
		make(&dst, base, nr, shift, &rnd);
		if (!pick_src(&src_base, &dst, nr_src, src_shift, &rnd)) {
			unmake(&dst);
			continue;
		}
		make(&src, src_base, nr_src, src_shift, &rnd);
		top += naive_end(&src.b) == (naive_wide)1 << 64;
		coarser += src_shift > shift;
		finer += src_shift < shift;
		done++;
		check(&dst, &src);
		unmake(&dst);
		unmake(&src);
	}
	/* The dice are loaded well enough to meet every case. */
	assert_true(done > 1000 && coarser > 200 && finer > 200 && top > 100);
}

static void or_agrees_with_bit_by_bit(void **state)
{
	(void)state;
	sweep(check_or, 3);
}

static void take_agrees_with_bit_by_bit(void **state)
{
	(void)state;
	sweep(check_take, 4);
}

/* Every size against every size at the same page size, aligned. */
static void or_does_every_size_at_every_offset(void **state)
{
	uint64_t rnd = 5, offset;
	size_t d, s;

	(void)state;
	for (d = 0; d < NR_SIZES; d++) {
		for (s = 0; s <= d; s++) {
			uint64_t room = sizes[d] - sizes[s];

			for (offset = 0; offset <= room && offset < 130;
			     offset++) {
				struct guarded dst, src;

				make(&dst, 0x1000, sizes[d], 12, &rnd);
				make(&src, 0x1000 + (offset << 12), sizes[s],
				     12, &rnd);
				check_or(&dst, &src);
				unmake(&dst);
				unmake(&src);
			}
		}
	}
}

/* 2^51 pages fit one bit: indices of 32 bits, or fewer, would wrap. */
static void or_is_right_for_far_apart_page_sizes(void **state)
{
	struct guarded dst, src;
	struct spoor_range r = { UINT64_MAX, 1 };
	uint64_t new;

	(void)state;
	make(&dst, 0, 1, 63, NULL);
	dst.b.nr_pages = 2; /* all of it: 2^64 bytes */
	make(&src, -(UINT64_C(4097) << 12), 4097, 12, NULL);
	assert_int_equal(spoor_bitmap_mark(&src.b, &r, NULL), 0);
	assert_int_equal(spoor_bitmap_or(&dst.b, &src.b, &new), 0);
	assert_int_equal(new, 1);
	assert_int_equal(dst.b.words[0], 2);
	unmake(&dst);
	unmake(&src);

	/* One bit of 2^34 bytes is 2^22 pages. */
	make(&dst, -(UINT64_C(1) << 35), 1 << 23, 12, NULL);
	make(&src, -(UINT64_C(1) << 34), 1, 34, NULL);
	src.b.words[0] = 1;
	assert_int_equal(spoor_bitmap_or(&dst.b, &src.b, &new), 0);
	assert_int_equal(new, 1 << 22);
	assert_int_equal(dst.b.words[(1 << 16) - 1], 0);
	assert_true(dst.b.words[1 << 16] == UINT64_MAX);
	assert_true(dst.b.words[(1 << 17) - 1] == UINT64_MAX);
	assert_true(dst.b.words[1 << 17] == GUARD);
	unmake(&dst);
	unmake(&src);
}

static void or_and_take_refuse_a_source_that_reaches_outside(void **state)
{
	uint64_t rnd = 6, new = 42;
	int i, refused = 0;

	(void)state;
	for (i = 0; i < 2000; i++) {
		unsigned int shift = 12 + naive_below(&rnd, 4);
		unsigned int src_shift = 12 + naive_below(&rnd, 6);
		uint64_t nr = 1 + naive_random(&rnd) % 257;
		uint64_t nr_src = 1 + naive_random(&rnd) % 257;
		/* A window of 2 MiB at the very top, so that ends meet. */
		uint64_t base = -(nr << shift),
			 src_base = -(nr_src << src_shift);
		struct guarded dst, src;

		if (i % 2) {
			base = (1 << 20) + (naive_random(&rnd) % 64 << shift);
			src_base = (1 << 20) +
				   (naive_random(&rnd) % 64 << src_shift);
		}
		make(&dst, base, nr, shift, &rnd);
		make(&src, src_base, nr_src, src_shift, &rnd);
		if (!naive_inside(&src.b, &dst.b)) {
			refused++;
			assert_int_equal(spoor_bitmap_or(&dst.b, &src.b, &new),
					 -EINVAL);
			assert_int_equal(
				spoor_bitmap_take(&dst.b, &src.b, &new),
				-EINVAL);
			assert_int_equal(new, 42);
			assert_same(&dst);
			assert_same(&src);
		} else {
			check_or(&dst, &src);
		}
		unmake(&dst);
		unmake(&src);
	}
	assert_true(refused > 200 && refused < 1800);
}

static void count_and_runs_agree_with_bit_by_bit(void **state)
{
	uint64_t rnd = 7;
	size_t s;
	int i;

	(void)state;
	for (s = 0; s < NR_SIZES; s++) {
		uint64_t nr = sizes[s], base = -(nr << 12);

		for (i = 0; i < 60; i++) {
			uint64_t cursor = 0, page = 0;
			struct spoor_range r;
			struct guarded g;

			make(&g, base, nr, 12, &rnd);
			assert_int_equal(spoor_bitmap_count(&g.b),
					 naive_count(g.copy, nr));
			while (spoor_bitmap_next_run(&g.b, &cursor, &r)) {
				uint64_t first = (r.iova - base) >> 12;

				assert_true(r.len);
				for (; page < first; page++)
					assert_false(naive_get(g.copy, page));
				for (; page < first + (r.len >> 12); page++)
					assert_true(naive_get(g.copy, page));
				/* The run is as long as it can be. */
				if (page < nr)
					assert_false(naive_get(g.copy, page));
				assert_int_equal(cursor, page);
			}
			for (; page < nr; page++)
				assert_false(naive_get(g.copy, page));
			r.len = 42;
			cursor = nr;
			assert_false(spoor_bitmap_next_run(&g.b, &cursor, &r));
			cursor = UINT64_MAX;
			assert_false(spoor_bitmap_next_run(&g.b, &cursor, &r));
			assert_int_equal(r.len, 42);

			spoor_bitmap_clear(&g.b);
			assert_int_equal(spoor_bitmap_count(&g.b), 0);
			assert_true(g.b.words[g.nr_words] == GUARD);
			unmake(&g);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_refuses_what_is_no_bitmap),
		cmocka_unit_test(mark_sets_every_page_that_is_touched),
		cmocka_unit_test(mark_outside_is_refused_and_sets_nothing),
		cmocka_unit_test(
			test_answers_for_the_page_that_holds_the_address),
		cmocka_unit_test(or_agrees_with_bit_by_bit),
		cmocka_unit_test(take_agrees_with_bit_by_bit),
		cmocka_unit_test(or_does_every_size_at_every_offset),
		cmocka_unit_test(or_is_right_for_far_apart_page_sizes),
		cmocka_unit_test(
			or_and_take_refuse_a_source_that_reaches_outside),
		cmocka_unit_test(count_and_runs_agree_with_bit_by_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
