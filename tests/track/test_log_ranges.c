/* SPDX-License-Identifier: MIT */
/* Ranges for START, and scratch bitmaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "track/log_ranges.h"
#include "track/scratch.h"

static void add(struct spoor_range_list *l, uint64_t iova, uint64_t len)
{
	const struct spoor_range r = { .iova = iova, .len = len };

	assert_int_equal(spoor_range_list_add(l, &r), 0);
}

static void widening_reaches_whole_granules_and_never_wraps(void **state)
{
	struct spoor_range r = { 0x3000, 0x1000 }, wide;
	struct spoor_range top = { -(uint64_t)0x1000, 0x1000 };

	(void)state;
	assert_true(spoor_range_widen(&r, 0x1000, &wide));
	assert_int_equal(wide.iova, 0x3000);
	assert_int_equal(wide.len, 0x1000);
	assert_true(spoor_range_widen(&r, 0x10000, &wide));
	assert_int_equal(wide.iova, 0);
	assert_int_equal(wide.len, 0x10000);
	assert_true(spoor_range_widen(&top, 0x10000, &wide));
	assert_true(wide.iova == -(uint64_t)0x10000);
	assert_int_equal(wide.len, 0x10000);
	assert_true(spoor_range_widen(&top, UINT64_C(1) << 63, &wide));
	assert_true(wide.iova == UINT64_C(1) << 63);
	assert_true(wide.len == UINT64_C(1) << 63);
	r.len = UINT64_MAX - r.iova;
	assert_false(spoor_range_widen(&r, 0x10000, &wide));
}

static void the_smallest_gaps_are_given_up_first(void **state)
{
	struct spoor_range_list l = { 0 };

	(void)state;
	add(&l, 0x0, 0x1000);
	add(&l, 0x10000, 0x1000); /* gap 0xf000 */
	add(&l, 0x12000, 0x1000); /* gap 0x1000 */
	add(&l, 0x100000, 0x1000); /* gap 0xed000 */
	add(&l, 0x103000, 0x1000); /* gap 0x2000 */
	assert_int_equal(spoor_ranges_combine(&l, 5), 0);
	assert_int_equal(l.nr, 5);
	assert_int_equal(spoor_ranges_combine(&l, 4), 0);
	assert_int_equal(l.nr, 4);
	assert_int_equal(l.ranges[1].iova, 0x10000);
	assert_int_equal(l.ranges[1].len, 0x3000);
	assert_int_equal(spoor_ranges_combine(&l, 2), 0);
	assert_int_equal(l.nr, 2);
	assert_int_equal(l.ranges[0].len, 0x13000);
	assert_int_equal(l.ranges[1].iova, 0x100000);
	assert_int_equal(l.ranges[1].len, 0x4000);
	assert_int_equal(spoor_ranges_combine(&l, 1), 0);
	assert_int_equal(l.nr, 1);
	assert_int_equal(l.ranges[0].len, 0x104000);
	spoor_range_list_clear(&l);
}

static void combining_loses_no_byte_up_to_the_end(void **state)
{
	struct spoor_range_list l = { 0 }, all = { 0 };
	size_t i, max;

	(void)state;
	for (max = 1; max < 300; max += 7) {
		for (i = 0; i < 300; i++) {
			add(&l, i * 0x10000 + i * i * 0x1000, 0x1000);
			add(&all, i * 0x10000 + i * i * 0x1000, 0x1000);
		}
		add(&l, -(uint64_t)0x1000, 0x1000);
		assert_int_equal(spoor_ranges_combine(&l, max), 0);
		assert_int_equal(l.nr, max);
		for (i = 0; i < all.nr; i++)
			assert_true(
				spoor_range_list_covers(&l, &all.ranges[i]));
		assert_true(spoor_range_last(&l.ranges[l.nr - 1]) ==
			    UINT64_MAX);
		spoor_range_list_clear(&l);
		spoor_range_list_clear(&all);
	}
}

static void scratch_is_whole_zeroed_pages(void **state)
{
	static const uint64_t sizes[] = { 1, 63, 64, 65, 255, 256, 257, 40000 };
	struct spoor_scratch s = { 0 };
	size_t i, w;

	(void)state;
	for (i = 0; i < 8; i++) {
		struct spoor_range r = { .iova = 0, .len = sizes[i] << 12 };
		struct spoor_bitmap b;

		assert_int_equal(spoor_scratch_bitmap(&s, &b, &r, 12), 0);
		assert_int_equal((uintptr_t)b.words % 4096, 0);
		assert_int_equal(s.len % 4096, 0);
		for (w = 0; w < spoor_bitmap_words(sizes[i]); w++)
			assert_int_equal(b.words[w], 0);
		/* What the kernel leaves behind the end is cut off. */
		b.words[w - 1] = UINT64_MAX;
		spoor_scratch_trim(&b);
		assert_int_equal(__builtin_popcountll(b.words[w - 1]),
				 sizes[i] % 64 ? sizes[i] % 64 : 64);
	}
	spoor_scratch_release(&s);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(
			widening_reaches_whole_granules_and_never_wraps),
		cmocka_unit_test(the_smallest_gaps_are_given_up_first),
		cmocka_unit_test(combining_loses_no_byte_up_to_the_end),
		cmocka_unit_test(scratch_is_whole_zeroed_pages),
	};

	return cmocka_run_group_tests_name("log_ranges", cases, NULL, NULL);
}
