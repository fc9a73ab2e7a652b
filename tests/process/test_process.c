/* SPDX-License-Identifier: MIT */
/*
 * The process tracker, every kind over every kind of memory: exact pages, no
 * more and no less.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <spoor/error.h>

#include "tests/bitmap/naive.h"
#include "tests/process/guest.h"

#define IOVA UINT64_C(0x100000000)

static const uint64_t sizes[] = { 1, 63, 64, 65, 255, 256, 257, 4097 };
#define NR_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void store(const struct guest *g, uint64_t offset)
{
	*(volatile char *)(g->hva + offset) = 1;
}

static void scattered_stores_are_reported_exactly(void **state)
{
	uint64_t rnd = 10, page, i;
	size_t s;

	(void)state;
	for (s = 0; s < NR_SIZES; s++) {
		uint64_t nr = sizes[s], round, want;
		uint64_t *written = calloc(nr / 64 + 1, sizeof(*written));
		struct guest g;

		assert_non_null(written);
		guest_open(&g, IOVA, nr);
		guest_start(&g);
		assert_int_equal(guest_collect(&g), 0);
		for (round = 0; round < 3; round++) {
			memset(written, 0, (nr / 64 + 1) * sizeof(*written));
			for (i = 0; i < nr / 7 + 1; i++) {
				page = naive_random(&rnd) % nr;
				naive_set(written, page);
				store(&g,
				      page * PAGE + naive_random(&rnd) % PAGE);
			}
			want = naive_count(written, nr);
			assert_int_equal(guest_collect(&g), want);
			for (page = 0; page < nr; page++)
				assert_int_equal(guest_is_dirty(&g, page),
						 naive_get(written, page));
			/* Forgotten: told once. */
			assert_int_equal(guest_collect(&g), 0);
		}
		guest_close(&g);
		free(written);
	}
}

static void every_page_is_reported_when_all_are_written(void **state)
{
	struct guest g;

	(void)state;
	guest_open(&g, IOVA, 4097);
	guest_start(&g);
	memset(g.hva, 1, 4097 * PAGE);
	assert_int_equal(guest_collect(&g), 4097);
	/* Every other page: the most runs there can be. */
	for (uint64_t i = 0; i < 4097; i += 2)
		store(&g, i * PAGE);
	assert_int_equal(guest_collect(&g), 2049);
	assert_int_equal(guest_collect(&g), 0);
	guest_close(&g);
}

static void reads_leave_pages_clean(void **state)
{
	struct guest g;
	uint64_t page, sum = 0;

	(void)state;
	guest_open(&g, IOVA, 65);
	guest_start(&g);
	for (page = 0; page < 65; page++)
		sum += *(volatile uint8_t *)(g.hva + page * PAGE);
	assert_int_equal(sum, 0);
	assert_int_equal(guest_collect(&g), 0);
	/* Mapped by the read, it is tracked all the same. */
	store(&g, 7 * PAGE);
	assert_int_equal(guest_collect(&g), 1);
	assert_true(guest_is_dirty(&g, 7));
	guest_close(&g);
}

static void straddling_stores_dirty_both_pages(void **state)
{
	struct guest g;

	(void)state;
	guest_open(&g, IOVA, 65);
	guest_start(&g);
	memcpy(g.hva + 4 * PAGE - 3, "straddle", 8);
	assert_int_equal(guest_collect(&g), 2);
	assert_true(guest_is_dirty(&g, 3) && guest_is_dirty(&g, 4));
	guest_close(&g);
}

static void copies_of_the_kernel_are_seen(void **state)
{
	struct guest g;
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_true(zero >= 0);
	guest_open(&g, IOVA, 64);
	guest_start(&g);
	/* From the middle of page 10 to the middle of page 13. */
	assert_int_equal(read(zero, g.hva + 10 * PAGE + 2048, 3 * PAGE),
			 3 * PAGE);
	assert_int_equal(guest_collect(&g), 4);
	assert_true(guest_is_dirty(&g, 10) && guest_is_dirty(&g, 13));
	assert_int_equal(guest_collect(&g), 0);
	guest_close(&g);
	close(zero);
}

static void other_mappings_are_not_seen(void **state)
{
	struct guest g;

	(void)state;
	guest_open(&g, IOVA, 64);
	if (flavour->memfd) {
		char *alias = spoor_memory_at(g.memory, &g.range);

		guest_start(&g);
		memset(alias, 1, 64 * PAGE);
		assert_int_equal(guest_collect(&g), 0);
	}
	guest_close(&g);
}

static void collect_sets_bits_only_and_only_in_the_range(void **state)
{
	struct guest g;
	struct spoor_range half;
	uint64_t new, i;

	(void)state;
	guest_open(&g, IOVA, 257);
	guest_start(&g);
	for (i = 0; i < 257; i += 3)
		store(&g, i * PAGE);
	for (i = 1; i < 257; i += 3)
		assert_int_equal(spoor_bitmap_mark(&g.dirty,
						   &(struct spoor_range){
							   IOVA + i * PAGE, 1 },
						   NULL),
				 0);
	/* Pages 33..129: neither end at a word's. */
	half = (struct spoor_range){ IOVA + 33 * PAGE, 97 * PAGE };
	assert_int_equal(
		spoor_tracker_collect(g.tracker, &half, &g.dirty, 0, &new), 0);
	assert_int_equal(new, 33);
	for (i = 0; i < 257; i++) {
		bool inside = i >= 33 && i < 130;

		assert_int_equal(guest_is_dirty(&g, i),
				 i % 3 == 1 || (inside && i % 3 == 0));
	}
	/* What was not asked for is still there. */
	assert_int_equal(guest_collect(&g), 86 - 33);
	assert_false(guest_is_dirty(&g, 33));
	assert_true(guest_is_dirty(&g, 30) && guest_is_dirty(&g, 132));
	guest_close(&g);
}

static void coarser_bitmaps_get_the_page_that_covers_it(void **state)
{
	struct spoor_bitmap coarse;
	uint64_t words[2] = { 0 };
	struct guest g;

	(void)state;
	guest_open(&g, IOVA, 256);
	assert_int_equal(spoor_bitmap_init(&coarse, words, &g.range, 14), 0);
	guest_start(&g);
	store(&g, 7 * PAGE);
	store(&g, 255 * PAGE + 4095);
	assert_int_equal(
		spoor_tracker_collect(g.tracker, &g.range, &coarse, 0, NULL),
		0);
	assert_int_equal(words[0], 1 << 1 | UINT64_C(1) << 63);
	assert_int_equal(words[1], 0);
	guest_close(&g);
}

static void memory_up_to_2_64_is_tracked(void **state)
{
	struct guest g;

	(void)state;
	guest_open(&g, -(257 * PAGE), 257);
	guest_start(&g);
	store(&g, 257 * PAGE - 1);
	store(&g, 0);
	assert_int_equal(guest_collect(&g), 2);
	assert_true(guest_is_dirty(&g, 0) && guest_is_dirty(&g, 256));
	guest_close(&g);
}

/* Guest addresses 0 1 2 | 3 4 5, in one range; host addresses swapped. */
static void a_range_may_span_regions(void **state)
{
	const struct spoor_range range = { IOVA, 6 * PAGE };
	struct spoor_region regions[2];
	struct spoor_memory *memory;
	struct spoor_tracker *t;
	struct spoor_bitmap dirty;
	uint64_t word = 0, page_size;
	struct guest g;

	(void)state;
	guest_open(&g, IOVA, 6);
	regions[0] = (struct spoor_region){
		.range = { IOVA, 3 * PAGE },
		.hva = g.hva + 3 * PAGE,
		.fd = g.fd,
		.offset = 3 * PAGE,
	};
	regions[1] = (struct spoor_region){
		.range = { IOVA + 3 * PAGE, 3 * PAGE },
		.hva = g.hva,
		.fd = g.fd,
	};
	assert_int_equal(spoor_memory_new(&memory), 0);
	assert_int_equal(spoor_memory_add(memory, &regions[0]), 0);
	assert_int_equal(spoor_memory_add(memory, &regions[1]), 0);
	assert_int_equal(spoor_tracker_open_process(&t, memory, flavour->mode),
			 0);
	assert_int_equal(spoor_tracker_start(t, &range, 1, PAGE, &page_size),
			 0);
	store(&g, 0); /* guest page 3 */
	store(&g, 5 * PAGE); /* guest page 2 */
	assert_int_equal(spoor_bitmap_init(&dirty, &word, &range, 12), 0);
	assert_int_equal(spoor_tracker_collect(t, &range, &dirty, 0, NULL), 0);
	assert_int_equal(word, 1 << 2 | 1 << 3);
	spoor_tracker_free(t);
	spoor_memory_free(memory);
	guest_close(&g);
}

static void only_the_ranges_asked_for_are_tracked(void **state)
{
	struct spoor_range ranges[2] = {
		{ IOVA + 2 * PAGE, 3 * PAGE },
		{ IOVA + 60 * PAGE, 5 * PAGE },
	};
	uint64_t page_size;
	struct guest g;
	size_t i;

	(void)state;
	guest_open(&g, IOVA, 65);
	assert_int_equal(
		spoor_tracker_start(g.tracker, ranges, 2, PAGE, &page_size), 0);
	memset(g.hva, 1, 65 * PAGE);
	for (i = 0; i < 2; i++)
		assert_int_equal(spoor_tracker_collect(g.tracker, &ranges[i],
						       &g.dirty, 0, NULL),
				 0);
	assert_int_equal(g.dirty.words[0], 7 << 2 | UINT64_C(0xf) << 60);
	assert_int_equal(g.dirty.words[1], 1);
	guest_close(&g);
}

static void start_refuses_what_lies_in_no_region(void **state)
{
	static const struct spoor_range bad[] = {
		{ IOVA - PAGE, 2 * PAGE },
		{ IOVA + 63 * PAGE, 2 * PAGE },
		{ IOVA - PAGE, PAGE },
		{ 0, PAGE },
		{ 0, -PAGE },
	};
	unsigned int fds, threads;
	uint64_t page_size = 42;
	struct guest g;
	size_t i;

	(void)state;
	guest_open(&g, IOVA, 64);
	fds = count_fds();
	threads = count_threads();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(spoor_tracker_start(g.tracker, &bad[i], 1,
						     PAGE, &page_size),
				 -EINVAL);
		assert_non_null(strstr(spoor_errmsg(), "no region"));
	}
	assert_int_equal(page_size, 42);
	assert_int_equal(count_fds(), fds);
	assert_int_equal(count_threads(), threads);
	guest_start(&g);
	guest_close(&g);
}

static void failed_start_leaves_nothing_behind(void **state)
{
	unsigned int fds = count_fds(), threads = count_threads();
	uint64_t page_size = 42;
	struct guest g;

	(void)state;
	guest_open(&g, IOVA, 64);
	/* A hole in the middle. */
	munmap(g.hva + 30 * PAGE, PAGE);
	assert_true(spoor_tracker_start(g.tracker, &g.range, 1, PAGE,
					&page_size) < 0);
	assert_non_null(strstr(spoor_errmsg(), "not mapped"));
	assert_int_equal(page_size, 42);
	assert_int_equal(count_threads(), threads);
	store(&g, 0);
	guest_close(&g);
	assert_int_equal(count_fds(), fds);
}

static void collect_reports_memory_that_went_away_as_failed(void **state)
{
	struct guest g;

	(void)state;
	guest_open(&g, IOVA, 64);
	guest_start(&g);
	store(&g, 5 * PAGE);
	/* Somebody else's page lies there now, and nothing tracks it. */
	assert_ptr_equal(mmap(g.hva + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
			 g.hva + 5 * PAGE);
	spoor_bitmap_clear(&g.dirty);
	assert_int_equal(
		spoor_tracker_collect(g.tracker, &g.range, &g.dirty, 0, NULL),
		-EIO);
	assert_int_equal(spoor_bitmap_count(&g.dirty), 64);
	/* And again: the first failure did not make it forget. */
	assert_int_equal(
		spoor_tracker_collect(g.tracker, &g.range, &g.dirty, 0, NULL),
		-EIO);
	guest_close(&g);
}

static void stop_leaves_memory_writable_and_nothing_behind(void **state)
{
	unsigned int fds = count_fds(), threads = count_threads(), round;
	struct guest g;

	(void)state;
	guest_open(&g, IOVA, 257);
	for (round = 0; round < 3; round++) {
		unsigned int opened = count_fds();

		guest_start(&g);
		assert_int_equal(guest_collect(&g), 0);
		store(&g, 5 * PAGE);
		assert_int_equal(spoor_tracker_stop(g.tracker), 0);
		assert_int_equal(count_fds(), opened);
		assert_int_equal(count_threads(), threads);
		memset(g.hva, 1, 257 * PAGE);
		assert_int_equal(spoor_tracker_stop(g.tracker), 0);
	}
	guest_close(&g);
	assert_int_equal(count_fds(), fds);
}

static void covers_the_cpu_and_no_device(void **state)
{
	struct guest g;

	(void)state;
	guest_open(&g, IOVA, 1);
	assert_true(spoor_tracker_covers(g.tracker, NULL));
	assert_false(spoor_tracker_covers(
		g.tracker, (const struct spoor_device *)(const void *)&g));
	guest_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scattered_stores_are_reported_exactly),
		cmocka_unit_test(every_page_is_reported_when_all_are_written),
		cmocka_unit_test(reads_leave_pages_clean),
		cmocka_unit_test(straddling_stores_dirty_both_pages),
		cmocka_unit_test(copies_of_the_kernel_are_seen),
		cmocka_unit_test(other_mappings_are_not_seen),
		cmocka_unit_test(collect_sets_bits_only_and_only_in_the_range),
		cmocka_unit_test(coarser_bitmaps_get_the_page_that_covers_it),
		cmocka_unit_test(memory_up_to_2_64_is_tracked),
		cmocka_unit_test(a_range_may_span_regions),
		cmocka_unit_test(only_the_ranges_asked_for_are_tracked),
		cmocka_unit_test(start_refuses_what_lies_in_no_region),
		cmocka_unit_test(failed_start_leaves_nothing_behind),
		cmocka_unit_test(
			collect_reports_memory_that_went_away_as_failed),
		cmocka_unit_test(
			stop_leaves_memory_writable_and_nothing_behind),
		cmocka_unit_test(covers_the_cpu_and_no_device),
	};

	return run_flavours(tests, sizeof(tests) / sizeof(tests[0]));
}
