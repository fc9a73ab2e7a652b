/* SPDX-License-Identifier: MIT */
/*
 * Range maths and lists of ranges, held against a plain array of flags, one
 * for each 2^60 bytes of the address space: the grid reaches 2^64 itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/range.h"
#include "tests/bitmap/naive.h"

#define CELLS 16
#define CELL  (UINT64_C(1) << 60)

static struct spoor_range cells(unsigned int first, unsigned int nr)
{
	return (struct spoor_range){ .iova = first * CELL, .len = nr * CELL };
}

static void intersect_gives_what_both_share(void **state)
{
	struct spoor_range r = { 7, 7 };
	struct spoor_range top = { UINT64_MAX - 0xfff, 0x1000 };
	struct spoor_range nearly_all = { 0x1000, UINT64_MAX - 0xfff };
	struct spoor_range low = { 0, 0x1000 };

	(void)state;
	assert_false(spoor_range_intersect(&low, &nearly_all, &r));
	assert_int_equal(r.iova, 7);
	assert_int_equal(r.len, 7);

	assert_true(spoor_range_intersect(&top, &nearly_all, &r));
	assert_int_equal(r.iova, top.iova);
	assert_int_equal(r.len, top.len);

	assert_true(spoor_range_intersect(
		&(struct spoor_range){ 0x1000, 0x3000 },
		&(struct spoor_range){ 0x3000, 0x3000 }, &r));
	assert_int_equal(r.iova, 0x3000);
	assert_int_equal(r.len, 0x1000);
}

static void valid_refuses_empty_and_past_the_end(void **state)
{
	(void)state;
	assert_false(spoor_range_valid(&(struct spoor_range){ 0x1000, 0 }));
	assert_true(spoor_range_valid(
		&(struct spoor_range){ UINT64_MAX - 0xfff, 0x1000 }));
	assert_false(spoor_range_valid(
		&(struct spoor_range){ UINT64_MAX - 0xfff, 0x1001 }));
}

static void neighbours_merge(void **state)
{
	struct spoor_range_list l = { 0 };

	(void)state;
	assert_int_equal(spoor_range_list_add(
				 &l, &(struct spoor_range){ 0x1000, 0x1000 }),
			 0);
	assert_int_equal(spoor_range_list_add(
				 &l, &(struct spoor_range){ 0x3000, 0x1000 }),
			 0);
	assert_int_equal(l.nr, 2);
	assert_int_equal(spoor_range_list_add(
				 &l, &(struct spoor_range){ 0x2000, 0x1000 }),
			 0);
	assert_int_equal(l.nr, 1);
	assert_int_equal(l.ranges[0].iova, 0x1000);
	assert_int_equal(l.ranges[0].len, 0x3000);
	spoor_range_list_clear(&l);
	assert_null(l.ranges);
	assert_int_equal(l.nr, 0);
}

static void whole_address_space_fits(void **state)
{
	struct spoor_range_list l = { 0 };
	struct spoor_range low = cells(0, 3), high = cells(3, 13);
	struct spoor_range middle = cells(2, 12);
	struct spoor_range most = { 1, UINT64_MAX };

	(void)state;
	assert_int_equal(spoor_range_list_add(&l, &low), 0);
	assert_int_equal(spoor_range_list_add(&l, &high), 0);
	assert_true(spoor_range_list_covers(&l, &low));
	assert_true(spoor_range_list_covers(&l, &high));
	assert_true(spoor_range_list_covers(&l, &middle));
	assert_true(spoor_range_list_covers(&l, &most));

	assert_int_equal(spoor_range_list_add(&l, &middle), 0);
	assert_true(spoor_range_list_covers(&l, &most));

	assert_int_equal(spoor_range_list_remove(&l, &middle), 0);
	assert_false(spoor_range_list_covers(&l, &middle));
	assert_int_equal(l.nr, 2);
	assert_int_equal(l.ranges[0].len, 2 * CELL);
	assert_int_equal(l.ranges[1].iova, 14 * CELL);
	spoor_range_list_clear(&l);
}

/* The list holds exactly the flagged cells, and keeps its invariant. */
static void check_list(const struct spoor_range_list *l, const bool *flags,
		       bool whole)
{
	unsigned int first, nr, i;

	for (i = 0; i < l->nr; i++) {
		assert_true(spoor_range_valid(&l->ranges[i]));
		if (i && !whole)
			assert_true(l->ranges[i].iova >
				    spoor_range_last(&l->ranges[i - 1]) + 1);
	}
	for (first = 0; first < CELLS; first++) {
		bool all = true;

		for (nr = 1; first + nr <= CELLS && nr < CELLS; nr++) {
			struct spoor_range r = cells(first, nr);

			all = all && flags[first + nr - 1];
			assert_int_equal(spoor_range_list_covers(l, &r), all);
		}
	}
}

static void random_adds_and_removes_agree_with_flags(void **state)
{
	uint64_t rnd = 1;
	int round, step;

	(void)state;
	for (round = 0; round < 200; round++) {
		struct spoor_range_list l = { 0 };
		bool flags[CELLS] = { 0 };

		for (step = 0; step < 40; step++) {
			unsigned int first = naive_below(&rnd, CELLS), i;
			unsigned int room = CELLS - first;
			unsigned int nr, set = naive_random(&rnd) % 5 < 3;
			struct spoor_range r;
			bool whole = true;

			if (room == CELLS)
				room--; /* 2^64 is no length */
			nr = 1 + naive_below(&rnd, room);
			r = cells(first, nr);
			assert_int_equal(set ? spoor_range_list_add(&l, &r)
					     : spoor_range_list_remove(&l, &r),
					 0);
			for (i = first; i < first + nr; i++)
				flags[i] = set;
			for (i = 0; i < CELLS; i++)
				whole = whole && flags[i];
			check_list(&l, flags, whole);
		}
		spoor_range_list_clear(&l);
	}
}

static void many_ranges_fit(void **state)
{
	struct spoor_range_list l = { 0 };
	uint64_t i;

	(void)state;
	/* Odd pages from the top down, then the even ones: all becomes one. */
	for (i = 1000; i-- > 0;)
		assert_int_equal(
			spoor_range_list_add(
				&l, &(struct spoor_range){ (2 * i + 1) << 12,
							   4096 }),
			0);
	assert_int_equal(l.nr, 1000);
	assert_int_equal(l.ranges[0].iova, 1 << 12);
	for (i = 0; i < 1000; i++)
		assert_int_equal(
			spoor_range_list_add(
				&l, &(struct spoor_range){ 2 * i << 12, 4096 }),
			0);
	assert_int_equal(l.nr, 1);
	assert_int_equal(l.ranges[0].len, 2000 << 12);

	/* And back: cut every odd page out. */
	for (i = 0; i < 1000; i++)
		assert_int_equal(
			spoor_range_list_remove(
				&l, &(struct spoor_range){ (2 * i + 1) << 12,
							   4096 }),
			0);
	assert_int_equal(l.nr, 1000);
	spoor_range_list_clear(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intersect_gives_what_both_share),
		cmocka_unit_test(valid_refuses_empty_and_past_the_end),
		cmocka_unit_test(neighbours_merge),
		cmocka_unit_test(whole_address_space_fits),
		cmocka_unit_test(random_adds_and_removes_agree_with_flags),
		cmocka_unit_test(many_ranges_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
