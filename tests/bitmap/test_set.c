/* SPDX-License-Identifier: MIT */
/* Sets of bitmaps: memories with holes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <spoor/bitmap.h>

#include "tests/bitmap/naive.h"

static const struct spoor_range memory[] = {
	{ 0x1000, 65 << 12 },
	{ 0x1000 + (65 << 12), 1 << 12 }, /* touches the one before */
	{ 0x100000000, UINT64_C(4097) << 12 },
	{ -(UINT64_C(257) << 12), UINT64_C(257) << 12 },
};
#define NR_MEMORY (sizeof(memory) / sizeof(memory[0]))

static struct spoor_bitmap_set *new_set(void)
{
	struct spoor_bitmap_set *set = NULL;

	assert_int_equal(spoor_bitmap_set_alloc(&set, memory, NR_MEMORY, 12),
			 0);
	assert_int_equal(set->nr, NR_MEMORY);
	return set;
}

static void alloc_refuses_bad_lists(void **state)
{
	static const struct spoor_range unsorted[] = { { 0x5000, 0x1000 },
						       { 0x1000, 0x1000 } };
	static const struct spoor_range overlap[] = { { 0x1000, 0x2000 },
						      { 0x2000, 0x1000 } };
	static const struct spoor_range unaligned[] = { { 0x1000, 0x1000 },
							{ 0x2800, 0x1000 } };
	static const struct spoor_range empty[] = { { 0x1000, 0 } };
	static const struct spoor_range past[] = { { -(UINT64_C(1) << 12),
						     0x2000 } };
	struct spoor_bitmap_set *set = NULL;

	(void)state;
	assert_int_equal(spoor_bitmap_set_alloc(&set, unsorted, 2, 12),
			 -EINVAL);
	assert_int_equal(spoor_bitmap_set_alloc(&set, overlap, 2, 12), -EINVAL);
	assert_int_equal(spoor_bitmap_set_alloc(&set, unaligned, 2, 12),
			 -EINVAL);
	assert_int_equal(spoor_bitmap_set_alloc(&set, empty, 1, 12), -EINVAL);
	assert_int_equal(spoor_bitmap_set_alloc(&set, past, 1, 12), -EINVAL);
	assert_int_equal(spoor_bitmap_set_alloc(&set, memory, 0, 12), -EINVAL);
	assert_int_equal(spoor_bitmap_set_alloc(&set, memory, 1, 13), -EINVAL);
	assert_null(set);
	assert_null(spoor_bitmap_set_free(NULL));
}

static void alloc_refuses_what_no_machine_holds(void **state)
{
	static const struct spoor_range huge[] = {
		{ 0, UINT64_C(1) << 63 },
		{ UINT64_C(1) << 63, UINT64_C(1) << 63 },
	};
	struct spoor_bitmap_set *set = NULL;

	(void)state;
	assert_int_equal(spoor_bitmap_set_alloc(&set, huge, 2, 12), -ENOMEM);
	assert_null(set);
	assert_int_equal(spoor_bitmap_set_alloc(&set, huge, 2, 40), 0);
	assert_null(spoor_bitmap_set_free(set));
}

static void words_are_zero_and_present(void **state)
{
	struct spoor_bitmap_set *set = new_set();
	size_t page = (size_t)sysconf(_SC_PAGESIZE), i;
	unsigned char there;

	(void)state;
	for (i = 0; i < set->nr; i++) {
		assert_int_equal(set->maps[i].base, memory[i].iova);
		assert_int_equal(set->maps[i].nr_pages, memory[i].len >> 12);
		assert_int_equal((uintptr_t)set->maps[i].words % page, 0);
		assert_int_equal(mincore(set->maps[i].words, page, &there), 0);
		assert_true(there & 1);
	}
	assert_int_equal(spoor_bitmap_set_count(set), 0);
	spoor_bitmap_set_free(set);
}

static void find_wants_one_bitmap_for_the_whole_range(void **state)
{
	struct spoor_bitmap_set *set = new_set();
	size_t i;

	(void)state;
	for (i = 0; i < NR_MEMORY; i++) {
		struct spoor_range r = memory[i];

		assert_ptr_equal(spoor_bitmap_set_find(set, &r), &set->maps[i]);
		r = (struct spoor_range){ r.iova + r.len - 1, 1 };
		assert_ptr_equal(spoor_bitmap_set_find(set, &r), &set->maps[i]);
		r = (struct spoor_range){ memory[i].iova - 1, 2 };
		assert_null(spoor_bitmap_set_find(set, &r));
	}
	assert_null(spoor_bitmap_set_find(set, &(struct spoor_range){ 0, 1 }));
	assert_null(spoor_bitmap_set_find(
		set, &(struct spoor_range){ 0x1000, 66 << 12 }));
	assert_null(spoor_bitmap_set_find(
		set, &(struct spoor_range){ UINT64_MAX, 2 }));
	spoor_bitmap_set_free(set);
}

static void mark_passes_over_holes(void **state)
{
	struct spoor_bitmap_set *set = new_set();
	struct spoor_range r;

	(void)state;
	/* From the last page of the second region to one page of the third. */
	r.iova = memory[1].iova + 0xfff;
	r.len = memory[2].iova - r.iova + 1;
	assert_int_equal(spoor_bitmap_set_mark(set, &r), 2);
	assert_true(spoor_bitmap_test(&set->maps[1], memory[1].iova));
	assert_true(spoor_bitmap_test(&set->maps[2], memory[2].iova));
	assert_int_equal(spoor_bitmap_set_mark(set, &r), 0);

	r = (struct spoor_range){ 1, UINT64_MAX };
	assert_int_equal(spoor_bitmap_set_mark(set, &r),
			 65 + 1 + 4097 + 257 - 2);
	assert_int_equal(spoor_bitmap_set_count(set), 65 + 1 + 4097 + 257);
	spoor_bitmap_set_clear(set);
	assert_int_equal(spoor_bitmap_set_count(set), 0);

	r = (struct spoor_range){ 0x50000000, 0x1000 };
	assert_int_equal(spoor_bitmap_set_mark(set, &r), 0);
	r = (struct spoor_range){ 0x1000, 0 };
	assert_int_equal(spoor_bitmap_set_mark(set, &r), 0);
	spoor_bitmap_set_free(set);
}

static void move_ors_then_clears(void **state)
{
	struct spoor_bitmap_set *dst = new_set(), *src = new_set();
	uint64_t rnd = 8, want = 0, page;
	size_t i;

	(void)state;
	for (i = 0; i < 3000; i++) {
		const struct spoor_range *m = &memory[naive_random(&rnd) % 4];
		struct spoor_range r = { m->iova + naive_random(&rnd) % m->len,
					 1 };

		spoor_bitmap_set_mark(i % 2 ? dst : src, &r);
	}
	for (i = 0; i < NR_MEMORY; i++) {
		for (page = 0; page < src->maps[i].nr_pages; page++)
			want += naive_get(src->maps[i].words, page) &&
				!naive_get(dst->maps[i].words, page);
	}
	i = spoor_bitmap_set_count(dst);
	assert_int_equal(spoor_bitmap_set_move(dst, src), want);
	assert_int_equal(spoor_bitmap_set_count(dst), i + want);
	assert_int_equal(spoor_bitmap_set_count(src), 0);
	spoor_bitmap_set_free(dst);
	spoor_bitmap_set_free(src);
}

static void move_keeps_bits_that_have_no_place(void **state)
{
	struct spoor_bitmap_set *src = new_set(), *dst = NULL;

	(void)state;
	assert_int_equal(spoor_bitmap_set_alloc(&dst, memory, 1, 12), 0);
	spoor_bitmap_set_mark(src, &memory[0]);
	spoor_bitmap_set_mark(src, &memory[3]);
	assert_int_equal(spoor_bitmap_set_move(dst, src), 65);
	assert_int_equal(spoor_bitmap_set_count(src), 257);
	spoor_bitmap_set_free(dst);
	spoor_bitmap_set_free(src);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alloc_refuses_bad_lists),
		cmocka_unit_test(alloc_refuses_what_no_machine_holds),
		cmocka_unit_test(words_are_zero_and_present),
		cmocka_unit_test(find_wants_one_bitmap_for_the_whole_range),
		cmocka_unit_test(mark_passes_over_holes),
		cmocka_unit_test(move_ors_then_clears),
		cmocka_unit_test(move_keeps_bits_that_have_no_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
