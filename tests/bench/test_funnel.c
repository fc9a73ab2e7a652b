/* SPDX-License-Identifier: MIT */
/*
 * What the funnel and the shared bitmaps promise beyond reporting: one page
 * size, a clear of its own, scenario c's switch, memory only where it is
 * needed, and nothing lost when a call fails.
 */
#include "tests/bench/common.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define NR_PAGES 4097u

static struct bench_machine m;
static struct run r;

static void up(unsigned int nr_second, const int *devices, const char *design)
{
	open_machine(&m, NR_PAGES, nr_second, devices);
	start(&r, design, &m, BENCH_PAGE);
}

static void down(void)
{
	stop(&r);
	bench_machine_close(&m);
}

/* Of a test that failed. */
static int close_machine(void **state)
{
	(void)state;
	bench_machine_close(&m);
	return 0;
}

static uint64_t negotiated(const char *design, const int *devices,
			   uint64_t wish)
{
	uint64_t page_size;
	int err;

	open_machine(&m, NR_PAGES, 0, devices);
	err = run_start(&r, design, &m, wish);
	page_size = err ? 0 : r.info.page_size;
	if (!err) {
		dma(&m, 0, NR_PAGES - 1);
		collect(&r);
		assert_int_equal(nr_reported(&r), 1);
		assert_true(reported(&r, NR_PAGES - 1));
		stop(&r);
	}
	bench_machine_close(&m);
	return page_size;
}

static void negotiation_finds_one_page_size_that_all_can_serve(void **state)
{
	static const int same[] = { BENCH_NIC0, BENCH_NIC0 + 1, -1 };
	static const int coarse[] = { BENCH_NIC0, BENCH_NIC_COARSE, -1 };
	static const int fine[] = { BENCH_NIC0, BENCH_NIC_FINE, -1 };
	static const int none[] = { BENCH_NIC_COARSE, BENCH_NIC_FINE, -1 };
	static const int pins[] = { BENCH_NIC_COARSE, BENCH_MDEV_ONCE, -1 };
	static const char *const designs[] = { "funnel", "funnel-borrow",
					       "funnel-lean" };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(negotiated(designs[i], same, 4096), 4096);
		assert_int_equal(negotiated(designs[i], same, 65536), 65536);
		assert_int_equal(negotiated(designs[i], coarse, 4096), 65536);
		assert_int_equal(negotiated(designs[i], fine, 8192), 8192);
		/* Coarser than what one can do: as coarse as it can. */
		assert_int_equal(negotiated(designs[i], fine, 1 << 20), 16384);
		assert_int_equal(negotiated(designs[i], none, 4096), 0);
		assert_int_equal(negotiated(designs[i], pins, 4096), 65536);
	}
	assert_int_equal(negotiated("shared", coarse, 4096), 65536);
	assert_int_equal(negotiated("shared", none, 4096), 0);
	/* The container's bitmap of what is emulated is by pages. */
	assert_int_equal(negotiated("shared", pins, 4096), 0);
}

static void a_read_forgets_nothing_until_the_clear(void **state)
{
	static const int devices[] = { BENCH_NIC0, BENCH_MDEV_ONCE, -1 };
	static const char *const designs[] = { "funnel", "funnel-borrow" };

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		int c;

		up(0, devices, designs[i]);
		c = run_container(&r, 0);
		dma(&m, 0, 7);
		dma(&m, 1, 4000);
		for (unsigned int n = 0; n < 2; n++) {
			sent(&r);
			assert_int_equal(funnel_read(c, r.into.words), 0);
			assert_int_equal(nr_reported(&r), 2);
		}
		/* Written between read and clear, to a page not told of. */
		dma(&m, 0, 8);
		dma(&m, 0, 100);
		dma(&m, 1, 200);
		dma(&m, 1, 4001);
		assert_int_equal(funnel_clear(c, r.into.words), 0);
		sent(&r);
		assert_int_equal(funnel_read(c, r.into.words), 0);
		assert_true(reported(&r, 8) && reported(&r, 100));
		assert_true(reported(&r, 200) && reported(&r, 4001));
		assert_int_equal(nr_reported(&r), 4);
		assert_int_equal(funnel_clear(c, r.into.words), 0);
		down();
	}
}

static void a_read_that_forgets_has_no_clear(void **state)
{
	static const int devices[] = { BENCH_NIC0, -1 };

	(void)state;
	up(0, devices, "funnel-lean");
	assert_int_equal(funnel_clear(run_container(&r, 0), r.into.words),
			 -EINVAL);
	down();
}

static void untracked_devices_dirty_everything_unless_told_not_to(void **state)
{
	static const int devices[] = { BENCH_NIC0, BENCH_DSA, -1 };

	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		up(0, devices, "funnel");
		dma(&m, 0, 7);
		dma(&m, 1, 9);
		collect(&r);
		assert_int_equal(nr_reported(&r), NR_PAGES);
		sent(&r);
		collect(&r);
		assert_int_equal(nr_reported(&r), NR_PAGES);
		down();
		up(0, devices, "funnel-tracked-only");
		dma(&m, 0, 7);
		dma(&m, 1, 9);
		collect(&r);
		assert_int_equal(nr_reported(&r), 1);
		assert_true(reported(&r, 7));
		down();
	}
}

static unsigned int caps(unsigned int n)
{
	unsigned int ret = 99;

	assert_int_equal(funnel_caps(run_container(&r, 0),
				     bench_device_name(&m, n), &ret),
			 0);
	return ret;
}

static void the_container_tells_what_each_device_offers(void **state)
{
	static const int devices[] = { BENCH_NIC0, BENCH_MDEV, BENCH_DSA,
				       BENCH_NIC_QUIET, -1 };
	unsigned int ret;

	(void)state;
	up(0, devices, "funnel");
	assert_int_equal(caps(0), FUNNEL_OWN | FUNNEL_STORAGE);
	assert_int_equal(caps(1), FUNNEL_CONTAINER);
	assert_int_equal(caps(2), 0);
	assert_int_equal(caps(3), FUNNEL_OWN);
	assert_int_equal(funnel_caps(run_container(&r, 0), "nic1", &ret),
			 -ENODEV);
	down();
}

/* A mapping that is not there is no reason to lose what was to go there. */
static void a_bitmap_that_cannot_be_written_loses_nothing(void **state)
{
	static const int devices[] = { BENCH_NIC0, BENCH_NIC0 + 1, -1 };
	static const char *const designs[] = {
		"funnel",
		"funnel-borrow",
		"funnel-lean-copies",
		"funnel-words-copies",
		"split-lean-copies",
	};
	uint64_t *nowhere =
		mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		up(0, devices, designs[i]);
		dma(&m, 0, 7);
		dma(&m, 1, 300);
		if (i < 4)
			assert_int_equal(
				funnel_read(run_container(&r, 0), nowhere),
				-EFAULT);
		else
			assert_int_equal(split_read("nic0", nowhere), -EFAULT);
		collect(&r);
		assert_true(reported(&r, 7) && reported(&r, 300));
		assert_int_equal(nr_reported(&r), 2);
		down();
	}
	munmap(nowhere, 4096);
}

static void a_tracker_that_fails_makes_everything_dirty(void **state)
{
	static const int devices[] = { BENCH_NIC0, BENCH_NIC_FAILS, -1 };
	static const char *const designs[] = { "funnel", "funnel-lean",
					       "funnel-lean-copies",
					       "split-lean" };

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		up(0, devices, designs[i]);
		collect(&r);
		assert_int_equal(run_collect(&r), -EIO);
		assert_int_equal(nr_reported(&r), NR_PAGES);
		down();
	}
}

static void
a_tracker_that_is_not_quiet_says_so_and_others_are_read(void **state)
{
	static const int devices[] = { BENCH_NIC0, BENCH_NIC_QUIET,
				       BENCH_NIC0 + 1, -1 };
	static const char *const designs[] = { "funnel-lean-copies",
					       "funnel-lean", "split-lean" };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		up(0, devices, designs[i]);
		dma(&m, 0, 7);
		dma(&m, 1, 9);
		dma(&m, 2, 11);
		assert_int_equal(run_collect(&r), -EBUSY);
		assert_int_equal(nr_reported(&r), 2);
		assert_false(reported(&r, 9));
		down();
	}
}

/* What is started allocates, on the kernel's side, bytes. */
static uint64_t cost(const char *design, const int *devices)
{
	struct design_counts before, after;

	open_machine(&m, MAX_PAGES, 0, devices);
	design_counts(&before);
	start(&r, design, &m, BENCH_PAGE);
	design_counts(&after);
	down();
	return after.allocated - before.allocated;
}

static void bitmaps_are_allocated_only_where_something_needs_them(void **state)
{
	static const int nic[] = { BENCH_NIC0, -1 };
	static const int pins[] = { BENCH_NIC0, BENCH_MDEV_ONCE, -1 };
	const uint64_t bitmap = MAX_PAGES / 8, window = 65536, rest = 32768;
	const uint64_t least = cost("split-lean", nic);

	(void)state;
	/* The log itself. */
	assert_in_range(least, bitmap, bitmap + rest);
	/* The container's own: a window where it keeps nothing. */
	assert_in_range(cost("funnel-lean", nic), bitmap, least + rest);
	assert_in_range(cost("funnel-borrow", nic), least + window,
			least + window + rest);
	assert_in_range(cost("funnel", nic), least + bitmap - window,
			least + bitmap + window + rest);
	/* Pins need type1's. */
	assert_in_range(cost("funnel-lean", pins), least + bitmap - window,
			least + bitmap + rest);
	/* Shared: there is one, whoever marks there. */
	assert_in_range(cost("shared", nic), bitmap, bitmap + rest);
}

static void what_marks_by_pinning_cannot_be_shared(void **state)
{
	static const int devices[] = { BENCH_NIC0, BENCH_MDEV, -1 };
	static const int quiet[] = { BENCH_NIC0, BENCH_NIC_QUIET, -1 };
	static const int once[] = { BENCH_NIC0, BENCH_MDEV_ONCE, -1 };

	(void)state;
	open_machine(&m, NR_PAGES, 0, devices);
	assert_int_equal(run_start(&r, "shared", &m, BENCH_PAGE), -EOPNOTSUPP);
	/* And nothing is left started. */
	start(&r, "funnel", &m, BENCH_PAGE);
	down();
	open_machine(&m, NR_PAGES, 0, quiet);
	assert_int_equal(run_start(&r, "shared", &m, BENCH_PAGE), -EOPNOTSUPP);
	bench_machine_close(&m);
	/* Nor can a mapping that begins in the middle of a word. */
	open_cut(&m, NR_PAGES, 100, once);
	assert_int_equal(run_start(&r, "shared", &m, BENCH_PAGE), -EOPNOTSUPP);
	start(&r, "funnel", &m, BENCH_PAGE);
	down();
}

static void what_is_started_is_not_started_again(void **state)
{
	static const int devices[] = { BENCH_NIC0, -1 };
	struct design_info info = { .page_size = BENCH_PAGE };
	int c, fd;

	(void)state;
	up(0, devices, "funnel");
	c = run_container(&r, 0);
	assert_int_equal(funnel_start(c, 0, &info), -EBUSY);
	assert_int_equal(shared_start(c, &info, &fd), -EINVAL);
	assert_int_equal(split_start("nic0", 0, &info), -EINVAL);
	assert_int_equal(funnel_stop(c), 0);
	assert_int_equal(funnel_read(c, r.into.words), -EINVAL);
	assert_int_equal(funnel_stop(c), -EINVAL);
	info.page_size = 5000;
	assert_int_equal(funnel_start(c, 0, &info), -EINVAL);
	assert_int_equal(funnel_start(c, 0, NULL), -EFAULT);
	info.page_size = BENCH_PAGE;
	assert_int_equal(funnel_start(c, 0, &info), 0);
	down();
}

#define TEST(f) cmocka_unit_test_teardown(f, close_machine)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(negotiation_finds_one_page_size_that_all_can_serve),
		TEST(a_read_forgets_nothing_until_the_clear),
		TEST(a_read_that_forgets_has_no_clear),
		TEST(untracked_devices_dirty_everything_unless_told_not_to),
		TEST(the_container_tells_what_each_device_offers),
		TEST(a_bitmap_that_cannot_be_written_loses_nothing),
		TEST(a_tracker_that_fails_makes_everything_dirty),
		TEST(a_tracker_that_is_not_quiet_says_so_and_others_are_read),
		TEST(bitmaps_are_allocated_only_where_something_needs_them),
		TEST(what_marks_by_pinning_cannot_be_shared),
		TEST(what_is_started_is_not_started_again),
	};

	(void)argc;
	bench_need_devices(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
