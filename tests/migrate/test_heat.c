/* SPDX-License-Identifier: MIT */
/*
 * The coarse map of a round: few buckets, and every page in the right one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "migrate/heat.h"

#define PAGE 4096ull

static const uint64_t sizes[] = { 1, 63, 64, 65, 255, 256, 257, 4097 };
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static uint64_t total(const struct spoor_heat *h)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < h->nr_areas; i++)
		for (size_t k = 0; k < h->areas[i].nr; k++)
			sum += h->areas[i].pages[k];
	return sum;
}

static void every_page_counts_once_in_its_own_bucket(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SIZES; i++) {
		/* The second ends at 2^64. */
		struct spoor_bitmap maps[] = {
			{ .nr_pages = sizes[i], .page_shift = 12 },
			{ .base = 0 - sizes[i] * PAGE,
			  .nr_pages = sizes[i],
			  .page_shift = 12 },
		};
		const struct spoor_bitmap_set set = { maps, 2 };
		struct spoor_heat h;

		assert_int_equal(spoor_heat_init(&h, &set), 0);
		assert_int_equal(h.nr_areas, 2);
		assert_true(h.nr_pages <= SPOOR_HEAT_MAX);
		for (uint64_t p = 0; p < sizes[i]; p++) {
			const struct spoor_range run = {
				maps[1].base + p * PAGE, PAGE
			};
			const struct spoor_event_area *a = &h.areas[1];
			const size_t bucket = p * PAGE / a->bucket_bytes;
			const uint64_t before = a->pages[bucket];

			spoor_heat_count(&h, 1, &run);
			assert_int_equal(a->pages[bucket], before + 1);
		}
		assert_int_equal(total(&h), sizes[i]);
		spoor_heat_cool(&h);
		assert_int_equal(total(&h), 0);
		/* A run of all of them is the same as each by itself. */
		spoor_heat_count(&h, 1, &h.areas[1].range);
		assert_int_equal(total(&h), sizes[i]);
		for (size_t k = 0; k + 1 < h.areas[1].nr; k++)
			assert_int_equal(h.areas[1].pages[k],
					 h.areas[1].bucket_bytes / PAGE);
		spoor_heat_clear(&h);
	}
}

static void memory_of_any_size_has_few_buckets(void **state)
{
	/* 12 TiB above a page: the second's buckets are the first's. */
	struct spoor_bitmap maps[] = {
		{ .nr_pages = 1, .page_shift = 12 },
		{ .base = 1ull << 32,
		  .nr_pages = 12ull << 28,
		  .page_shift = 12 },
	};
	const struct spoor_bitmap_set set = { maps, 2 };
	struct spoor_heat h;

	(void)state;
	assert_int_equal(spoor_heat_init(&h, &set), 0);
	assert_int_equal(h.areas[0].nr, 1);
	assert_int_equal(h.areas[1].nr, 192);
	assert_int_equal(h.areas[1].bucket_bytes, 1ull << 36);
	spoor_heat_clear(&h);
}

static void more_regions_than_buckets_have_one_each(void **state)
{
	struct spoor_bitmap maps[SPOOR_HEAT_MAX + 1];
	const struct spoor_bitmap_set set = { maps, SPOOR_HEAT_MAX + 1 };
	struct spoor_heat h;

	(void)state;
	for (size_t i = 0; i < set.nr; i++)
		maps[i] = (struct spoor_bitmap){ .base = i << 30,
						 .nr_pages = 5,
						 .page_shift = 12 };
	assert_int_equal(spoor_heat_init(&h, &set), 0);
	assert_int_equal(h.nr_pages, set.nr);
	for (size_t i = 0; i < set.nr; i++)
		spoor_heat_count(&h, i, &h.areas[i].range);
	assert_int_equal(total(&h), 5 * set.nr);
	spoor_heat_clear(&h);
	/* What was not asked for counts nothing. */
	spoor_heat_count(&h, 0, &(struct spoor_range){ 0, PAGE });
	spoor_heat_cool(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_page_counts_once_in_its_own_bucket),
		cmocka_unit_test(memory_of_any_size_has_few_buckets),
		cmocka_unit_test(more_regions_than_buckets_have_one_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
