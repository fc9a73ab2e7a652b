/* SPDX-License-Identifier: MIT */
/*
 * Every table of kernels against the reference, kernel by kernel, at every
 * alignment.  A faster table is added to `tables`; nothing else changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bitmap/ops.h"
#include "tests/bitmap/naive.h"

static const struct spoor_bitmap_ops *const tables[] = {
	&spoor_bitmap_ops_plain,
};
#define NR_TABLES (sizeof(tables) / sizeof(tables[0]))

#define WORDS 72

struct words {
	uint64_t w[WORDS];
};

static struct words random_words(uint64_t *rnd)
{
	struct words words;

	naive_fill(words.w, WORDS, rnd);
	return words;
}

/* Of a length that dwells on word boundaries. */
static uint64_t random_nr(uint64_t *rnd, uint64_t max)
{
	uint64_t nr = 1 + naive_random(rnd) % max;

	if (naive_random(rnd) % 2)
		nr = nr / 64 * 64 + naive_random(rnd) % 3;
	return nr && nr <= max ? nr : 1;
}

static uint64_t added(const struct words *after, const struct words *before)
{
	return naive_count(after->w, WORDS * 64) -
	       naive_count(before->w, WORDS * 64);
}

static void check_fill(const struct spoor_bitmap_ops *ops, uint64_t *rnd)
{
	struct words dst = random_words(rnd), want = dst, before = dst;
	uint64_t nr = random_nr(rnd, WORDS * 64), i;
	uint64_t first = naive_random(rnd) % (WORDS * 64 - nr + 1);

	for (i = 0; i < nr; i++)
		naive_set(want.w, first + i);
	assert_int_equal(ops->fill(dst.w, first, nr), added(&want, &before));
	assert_memory_equal(&dst, &want, sizeof(dst));
	assert_int_equal(ops->fill(dst.w, first, 0), 0);
	assert_memory_equal(&dst, &want, sizeof(dst));
}

static void check_or(const struct spoor_bitmap_ops *ops, uint64_t *rnd)
{
	struct words dst = random_words(rnd), want = dst, before = dst;
	struct words src = random_words(rnd);
	uint64_t nr = random_nr(rnd, WORDS * 64), i;
	uint64_t first = naive_random(rnd) % (WORDS * 64 - nr + 1);

	for (i = 0; i < nr; i++) {
		if (naive_get(src.w, i))
			naive_set(want.w, first + i);
	}
	assert_int_equal(ops->or (dst.w, first, src.w, nr),
			 added(&want, &before));
	assert_memory_equal(&dst, &want, sizeof(dst));
}

static void check_expand(const struct spoor_bitmap_ops *ops, uint64_t *rnd)
{
	struct words dst = random_words(rnd), want = dst, before = dst;
	struct words src = random_words(rnd);
	unsigned int shift = 1 + naive_below(rnd, 9);
	uint64_t nr = random_nr(rnd, WORDS * 64 >> shift), i, j;
	uint64_t first = naive_random(rnd) % (WORDS * 64 - (nr << shift) + 1);

	for (i = 0; i < nr; i++) {
		for (j = 0; naive_get(src.w, i) && j < 1u << shift; j++)
			naive_set(want.w, first + (i << shift) + j);
	}
	assert_int_equal(ops->or_expand(dst.w, first, src.w, nr, shift),
			 added(&want, &before));
	assert_memory_equal(&dst, &want, sizeof(dst));
}

static void check_collapse(const struct spoor_bitmap_ops *ops, uint64_t *rnd)
{
	struct words dst = random_words(rnd), want = dst, before = dst;
	struct words src = random_words(rnd);
	unsigned int shift = 1 + naive_below(rnd, 13);
	uint64_t nr = random_nr(rnd, WORDS * 64), i;
	uint64_t first = naive_random(rnd) % ((WORDS * 64 << shift) - nr + 1);

	for (i = 0; i < nr; i++) {
		if (naive_get(src.w, i))
			naive_set(want.w, (first + i) / (1u << shift));
	}
	assert_int_equal(ops->or_collapse(dst.w, first, src.w, nr, shift),
			 added(&want, &before));
	assert_memory_equal(&dst, &want, sizeof(dst));
}

static void check_take(const struct spoor_bitmap_ops *ops, uint64_t *rnd)
{
	struct words out = random_words(rnd), want = out;
	struct words src = random_words(rnd), left = src;
	uint64_t nr = random_nr(rnd, WORDS * 64), i;
	bool any = false;

	memset(want.w, 0, (nr + 63) / 64 * 8);
	for (i = 0; i < nr; i++) {
		if (!naive_get(src.w, i))
			continue;
		any = true;
		naive_set(want.w, i);
		left.w[i / 64] -= UINT64_C(1) << i % 64;
	}
	assert_int_equal(ops->take(out.w, src.w, nr), any);
	assert_memory_equal(&out, &want, sizeof(out));
	assert_memory_equal(&src, &left, sizeof(src));
}

static void check_count_and_runs(const struct spoor_bitmap_ops *ops,
				 uint64_t *rnd)
{
	struct words src = random_words(rnd);
	uint64_t nr = random_nr(rnd, WORDS * 64);
	uint64_t from = naive_random(rnd) % (nr + 2);
	uint64_t first = 42, end = 42, want_first = from, want_end;
	bool found;

	assert_int_equal(ops->count(src.w, nr), naive_count(src.w, nr));

	while (want_first < nr && !naive_get(src.w, want_first))
		want_first++;
	want_end = want_first;
	while (want_end < nr && naive_get(src.w, want_end))
		want_end++;
	found = ops->next_run(src.w, nr, from, &first, &end);
	assert_int_equal(found, want_first < nr);
	if (!found)
		want_first = want_end = 42;
	assert_int_equal(first, want_first);
	assert_int_equal(end, want_end);
}

static void every_kernel_agrees_with_bit_by_bit(void **state)
{
	uint64_t rnd = 9;
	size_t t;
	int i;

	(void)state;
	for (t = 0; t < NR_TABLES; t++) {
		for (i = 0; i < 3000; i++) {
			check_fill(tables[t], &rnd);
			check_or(tables[t], &rnd);
			check_expand(tables[t], &rnd);
			check_collapse(tables[t], &rnd);
			check_take(tables[t], &rnd);
			check_count_and_runs(tables[t], &rnd);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kernel_agrees_with_bit_by_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
