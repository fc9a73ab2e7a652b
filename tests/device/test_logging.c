/* SPDX-License-Identifier: MIT */
/* DMA logging: what START and REPORT refuse, and where the bits go. */
#include "harness.h"

#include <stdio.h>

/* As the uAPI's, with a name that fits into tables. */
struct range {
	uint64_t iova, length;
};

static const struct range whole[1] = { { BASE, PAGES *PAGE } };
static uint8_t bm[65536];

/* Bits set in @p, as "3,7,126-127"; "none". */
static const char *bits(const uint8_t *p, size_t len)
{
	static char text[1024];
	size_t i, j, n = 0;

	text[0] = 0;
	for (i = 0; i < len * 8; i = j + 1) {
		j = i;
		if (!(p[i / 8] >> i % 8 & 1))
			continue;
		while (j + 1 < len * 8 && p[(j + 1) / 8] >> (j + 1) % 8 & 1)
			j++;
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      j > i ? "%s%zu-%zu" : "%s%zu",
				      n ? "," : "", i, j);
	}
	return n ? text : "none";
}

static const char *report(int dev, uint64_t iova, uint64_t len, uint64_t ps)
{
	memset(bm, 0, sizeof(bm));
	assert_int_equal(log_report(dev, iova, len, ps, bm), 0);
	return bits(bm, 8192);
}

static void dirty(unsigned int page)
{
	assert_int_equal(dma_write(DEV_ALL, BASE + page * PAGE, 8), 0);
}

/* START with this page size, then off again; its errno, or the page size. */
static int64_t try_start(int dev, uint64_t ps, uint32_t nr,
			 const struct range *r)
{
	struct vfio_device_feature_dma_logging_control c = {
		.page_size = ps,
		.num_ranges = nr,
		.__reserved = 0xdead,
		.ranges = (uintptr_t)r,
	};
	int err;

	err = feature(dev, 32,
		      VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		      &c, sizeof(c));
	if (err) {
		assert_int_equal(c.page_size, ps);
		return err;
	}
	log_stop(dev);
	return (int64_t)c.page_size;
}

static void core_checks_alignment_to_any_page_size(void **state)
{
	static const struct {
		uint64_t ps;
		struct range r;
		int64_t want;
	} t[] = {
		{ 0, { BASE, 1 << 20 }, -EINVAL },
		{ 0, { 0, 0 }, 4096 },
		{ 0, { BASE, 0 }, -EINVAL },
		{ 1, { 0xbb8, 0xbb8 }, 4096 },
		{ 2048, { 0x100, 0x800 }, -EINVAL },
		{ 3000, { BASE, 1 << 20 }, 4096 },
		{ 3000, { 0xbb8, 0xbb8 }, -EINVAL },
		{ 4096, { 0x1000, 0x1000 }, 4096 },
		{ 4097, { 0x1000, 0x1000 }, -EINVAL },
		{ 4097, { BASE, 1 << 20 }, 8192 },
		{ 12288, { 0x1000, 0x1000 }, 16384 },
		{ 3 << 20, { 1 << 30, 1 << 30 }, 4 << 20 },
		{ 1ull << 63, { 0, 0 }, 1 << 30 },
		{ 1ull << 63, { BASE, 1 << 20 }, -EINVAL },
	};
	int dev = open_device(DEV_ALL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		if (try_start(dev, t[i].ps, 1, &t[i].r) != t[i].want)
			fail_msg("case %zu", i);
	}
	close(dev);
}

static void core_checks_ranges_one_by_one(void **state)
{
	static const struct {
		struct range a, b;
		int want;
	} t[] = {
		{ { BASE, PAGE }, { BASE, PAGE }, -EINVAL },
		{ { BASE, 2 * PAGE }, { BASE + PAGE, 2 * PAGE }, -EINVAL },
		{ { BASE, 4 * PAGE }, { BASE + PAGE, PAGE }, -EINVAL },
		{ { BASE + PAGE, PAGE }, { BASE, 4 * PAGE }, -EINVAL },
		{ { BASE, PAGE }, { BASE + PAGE, PAGE }, 0 },
		{ { BASE + PAGE, PAGE }, { BASE, PAGE }, 0 },
		/* Empty ones collide only with what is around them. */
		{ { BASE, PAGE }, { BASE, 0 }, 0 },
		{ { BASE, 2 * PAGE }, { BASE + PAGE, 0 }, -EINVAL },
		{ { BASE, 0 }, { BASE, 0 }, 0 },
		{ { 0, 0 }, { 0, 0 }, -EINVAL },
		{ { BASE, PAGE }, { 0, 0 }, -EINVAL },
		{ { BASE, PAGE }, { BASE + 100, PAGE }, -EINVAL },
		{ { BASE, PAGE }, { -PAGE, PAGE }, -EOVERFLOW },
		{ { BASE, PAGE }, { -2 * PAGE, PAGE }, 0 },
		{ { BASE, PAGE }, { -PAGE, 2 * PAGE }, -EOVERFLOW },
		{ { BASE + 1, PAGE }, { -PAGE, PAGE }, -EINVAL },
		{ { -PAGE, PAGE }, { BASE + 1, PAGE }, -EOVERFLOW },
		{ { -4095ull, PAGE }, { BASE, PAGE }, -EINVAL },
		{ { BASE, PAGE }, { -PAGE, 0 }, 0 },
	};
	int dev = open_device(DEV_ALL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct range r[2] = { t[i].a, t[i].b };
		int64_t want = t[i].want ? t[i].want : 4096;

		if (try_start(dev, PAGE, 2, r) != want)
			fail_msg("case %zu", i);
	}
	close(dev);
}

static void number_of_ranges_is_checked_before_they_are_read(void **state)
{
	int dev = open_device(DEV_ALL);
	uint8_t *g = guard_page();
	struct range r[256], one = { BASE, PAGE }, bad = { BASE + 1, PAGE };
	unsigned int i;

	(void)state;
	for (i = 0; i < 256; i++)
		r[255 - i] = (struct range){ BASE + i * 2 * PAGE, PAGE };
	assert_int_equal(try_start(dev, PAGE, 255, r), 4096);
	assert_int_equal(try_start(dev, PAGE, 256, r), 4096);
	assert_int_equal(try_start(dev, PAGE, 257, NULL), -E2BIG);
	assert_int_equal(try_start(dev, PAGE, UINT32_MAX, NULL), -E2BIG);
	assert_int_equal(try_start(dev, PAGE, 0, NULL), -EINVAL);
	assert_int_equal(try_start(dev, PAGE, 1, NULL), -EFAULT);
	memcpy(g + PAGE - 16, &one, 16);
	assert_int_equal(try_start(dev, PAGE, 2, (void *)(g + PAGE - 16)),
			 -EFAULT);
	memcpy(g + PAGE - 16, &bad, 16);
	assert_int_equal(try_start(dev, PAGE, 2, (void *)(g + PAGE - 16)),
			 -EINVAL);
	close(dev);
}

static void start_is_undone_when_its_frame_cannot_be_written(void **state)
{
	struct {
		uint32_t head[2];
		struct vfio_device_feature_dma_logging_control c;
	} f = { { 32, VFIO_DEVICE_FEATURE_SET | 6 },
		{ PAGE, 1, 0, (uintptr_t)whole } };
	int dev = open_device(DEV_ALL);

	(void)state;
	assert_int_equal(
		dev_ioctl(dev, VFIO_DEVICE_FEATURE, read_only(&f, sizeof(f))),
		-EFAULT);
	assert_int_equal(log_report(dev, BASE, PAGE, PAGE, bm), -EINVAL);
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	assert_int_equal(
		dev_ioctl(dev, VFIO_DEVICE_FEATURE, read_only(&f, sizeof(f))),
		-EINVAL);
	assert_string_equal(report(dev, BASE, PAGE, PAGE), "none");
	close(dev);
}

static void report_checks_in_order(void **state)
{
	static const struct {
		uint64_t iova, len, ps;
		int off, on;
	} t[] = {
		{ BASE, PAGE, 0, -EINVAL, -EINVAL },
		{ BASE, PAGE, 2048, -EINVAL, -EINVAL },
		{ BASE, PAGE, 12288, -EINVAL, -EINVAL },
		{ BASE, PAGE, 4096, -EINVAL, 0 },
		{ BASE, PAGE, 1ull << 63, -EINVAL, 0 },
		{ -PAGE, PAGE, 4096, -EOVERFLOW, -EOVERFLOW },
		{ -PAGE, PAGE, 2048, -EINVAL, -EINVAL },
		{ -PAGE, PAGE - 1, 4096, -EINVAL, 0 },
		{ 1, UINT64_MAX, 4096, -EOVERFLOW, -EOVERFLOW },
		{ 0, UINT64_MAX, 4096, -EINVAL, 0 },
		{ BASE, 0, 4096, -EINVAL, 0 },
		{ BASE + 1, 100, 4096, -EINVAL, 0 },
	};
	int dev = open_device(DEV_ALL);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++)
		assert_int_equal(
			log_report(dev, t[i].iova, t[i].len, t[i].ps, NULL),
			t[i].off);
	assert_int_equal(log_stop(dev), 0);
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	assert_int_equal(log_start(dev, PAGE, 1, whole), -EINVAL);
	for (i = 0; i < sizeof(t) / sizeof(*t); i++)
		assert_int_equal(
			log_report(dev, t[i].iova, t[i].len, t[i].ps, NULL),
			t[i].on);
	assert_int_equal(log_stop(dev), 0);
	assert_int_equal(log_stop(dev), 0);
	assert_int_equal(log_report(dev, BASE, PAGE, PAGE, NULL), -EINVAL);
	close(dev);
}

static void report_sets_what_was_written_once_and_clears_no_bit(void **state)
{
	int dev = open_device(DEV_ALL);

	(void)state;
	dirty(50);
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	dirty(3);
	dirty(7);
	dirty(254);
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "3,7,254");
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "none");
	dirty(3);
	memset(bm, 0, sizeof(bm));
	bm[0] = 0x81;
	bm[32] = 0xff;
	assert_int_equal(log_report(dev, BASE, PAGES * PAGE, PAGE, bm), 0);
	assert_string_equal(bits(bm, 64), "0,3,7,256-263");
	dirty(3);
	dirty(200);
	assert_string_equal(report(dev, BASE, 128 * PAGE, PAGE), "3");
	assert_string_equal(report(dev, BASE + 100 * PAGE, 100 * PAGE, PAGE),
			    "none");
	assert_string_equal(report(dev, BASE + 100 * PAGE, 101 * PAGE, PAGE),
			    "100");
	dirty(0);
	assert_string_equal(report(dev, BASE - 16 * PAGE, 32 * PAGE, PAGE),
			    "16");
	close(dev);
}

static void report_rescales_between_page_sizes(void **state)
{
	int dev = open_device(DEV_ALL);

	(void)state;
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	dirty(3);
	dirty(8);
	assert_string_equal(report(dev, BASE, PAGES * PAGE, 8192), "1,4");
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "none");
	dirty(200);
	assert_string_equal(report(dev, BASE, PAGES * PAGE, 1ull << 63), "0");
	dirty(17);
	assert_string_equal(report(dev, BASE + 8 * PAGE, 16 * PAGE, 65536),
			    "0");
	log_stop(dev);
	assert_int_equal(log_start(dev, 65536, 1, whole), 0);
	dirty(18);
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "16-31");
	dirty(18);
	/* The granule is told as far as asked, and gone as a whole. */
	assert_string_equal(report(dev, BASE + 20 * PAGE, PAGE, PAGE), "0");
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "none");
	dirty(18);
	assert_string_equal(report(dev, BASE + 30 * PAGE, 4 * PAGE, 65536),
			    "0");
	close(dev);
}

static void bits_are_relative_to_an_unaligned_iova(void **state)
{
	int dev = open_device(DEV_ALL);

	(void)state;
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	dirty(3);
	/* Page 3 is bytes [0x2800, 0x3800) of the range: bits 2 and 3. */
	assert_string_equal(report(dev, BASE + 0x800, 16 * PAGE, PAGE), "2-3");
	dirty(3);
	assert_string_equal(report(dev, BASE + 3 * PAGE + 0x10, PAGE, PAGE),
			    "0");
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "none");
	dirty(3);
	assert_string_equal(report(dev, BASE + 3 * PAGE, 1, PAGE), "0");
	close(dev);
}

static void bitmap_may_lie_anywhere(void **state)
{
	int dev = open_device(DEV_ALL);
	uint8_t *g = guard_page();
	unsigned int off;

	(void)state;
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	for (off = 1; off < 8; off++) {
		dirty(3);
		dirty(9);
		memset(bm, 0, sizeof(bm));
		assert_int_equal(
			log_report(dev, BASE, PAGES * PAGE, PAGE, bm + off), 0);
		assert_string_equal(bits(bm + off, 64), "3,9");
		assert_int_equal(bm[0], 0);
	}
	/* Only bytes that get bits are touched. */
	dirty(3);
	assert_int_equal(
		log_report(dev, BASE, PAGES * PAGE, PAGE, g + PAGE - 1), 0);
	assert_int_equal(g[PAGE - 1], 8);
	close(dev);
}

static void failed_report_loses_no_page(void **state)
{
	int dev = open_device(DEV_ALL);
	uint8_t *g = guard_page();

	(void)state;
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	dirty(3);
	dirty(200);
	dirty(201);
	assert_int_equal(log_report(dev, BASE, PAGES * PAGE, PAGE, NULL),
			 -EFAULT);
	assert_int_equal(
		log_report(dev, BASE, PAGES * PAGE, PAGE, read_only("", 1)),
		-EFAULT);
	/* Half of it lands; all of it is told again. */
	assert_int_equal(
		log_report(dev, BASE, PAGES * PAGE, PAGE, g + PAGE - 8),
		-EFAULT);
	dirty(4);
	/* What is not asked for stays. */
	assert_string_equal(report(dev, BASE, 201 * PAGE, PAGE), "3-4,200");
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "201");
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "none");
	/* A run is cut on both sides. */
	dirty(10);
	dirty(11);
	dirty(12);
	assert_int_equal(log_report(dev, BASE, PAGES * PAGE, PAGE, NULL),
			 -EFAULT);
	assert_string_equal(report(dev, BASE + 20 * PAGE, PAGE, PAGE), "none");
	assert_string_equal(report(dev, BASE + 5 * PAGE, PAGE, PAGE), "none");
	assert_string_equal(report(dev, BASE + 11 * PAGE, PAGE, PAGE), "0");
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "10,12");
	/* The tracker fails after it gave up a page. */
	dirty(20);
	dirty(21);
	fake_fail_report(-EBUSY);
	assert_int_equal(log_report(dev, BASE, PAGES * PAGE, PAGE, bm), -EBUSY);
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "20-21");
	close(dev);
}

/* It pins the bitmap before it asks the driver. */
static void old_kernel_wants_the_whole_bitmap(void **state)
{
	uint8_t *g = guard_page();
	int dev;

	(void)state;
	machine.kernel = SV_KERNEL_6_1;
	dev = open_device(DEV_ALL);
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	assert_int_equal(log_report(dev, BASE, PAGES * PAGE, PAGE, NULL),
			 -EFAULT);
	assert_int_equal(log_report(dev, BASE, 0, PAGE, NULL), 0);
	dirty(3);
	assert_int_equal(
		log_report(dev, BASE, PAGES * PAGE, PAGE, g + PAGE - 8),
		-EFAULT);
	assert_int_equal(log_report(dev, BASE, 64 * PAGE, PAGE, g + PAGE - 8),
			 0);
	assert_string_equal(bits(g + PAGE - 8, 8), "3");
	close(dev);
	machine.kernel = SV_KERNEL_6_12;
}

static void pages_left_over_end_with_the_log(void **state)
{
	int dev = open_device(DEV_ALL);

	(void)state;
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	dirty(3);
	assert_int_equal(log_report(dev, BASE, PAGES * PAGE, PAGE, NULL),
			 -EFAULT);
	log_stop(dev);
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "none");
	dirty(3);
	close(dev);
	dev = open_device(DEV_ALL);
	assert_int_equal(log_report(dev, BASE, PAGE, PAGE, bm), -EINVAL);
	close(dev);
}

static void injected_failure_sticks_until_stop(void **state)
{
	int dev = open_device(DEV_ALL);

	(void)state;
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	inject_call[SV_CALL_LOG_REPORT] = true;
	assert_int_equal(log_report(dev, BASE, PAGE, PAGE, bm), -EIO);
	assert_int_equal(log_report(dev, BASE, PAGE, PAGE, bm), -EIO);
	log_stop(dev);
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	assert_int_equal(log_report(dev, BASE, PAGE, PAGE, bm), 0);
	close(dev);
}

static void log_goes_on_through_the_states(void **state)
{
	int dev = open_device(DEV_ALL), fd;

	(void)state;
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	dirty(3);
	assert_int_equal(set_state(dev, VFIO_DEVICE_STATE_PRE_COPY, &fd), 0);
	dirty(4);
	assert_int_equal(set_state(dev, VFIO_DEVICE_STATE_STOP_COPY, NULL), 0);
	assert_string_equal(report(dev, BASE, PAGES * PAGE, PAGE), "3-4");
	log_stop(dev);
	assert_int_equal(log_start(dev, PAGE, 1, whole), 0);
	close(fd);
	close(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(core_checks_alignment_to_any_page_size),
		cmocka_unit_test(core_checks_ranges_one_by_one),
		cmocka_unit_test(
			number_of_ranges_is_checked_before_they_are_read),
		cmocka_unit_test(
			start_is_undone_when_its_frame_cannot_be_written),
		cmocka_unit_test(report_checks_in_order),
		cmocka_unit_test(
			report_sets_what_was_written_once_and_clears_no_bit),
		cmocka_unit_test(report_rescales_between_page_sizes),
		cmocka_unit_test(bits_are_relative_to_an_unaligned_iova),
		cmocka_unit_test(bitmap_may_lie_anywhere),
		cmocka_unit_test(failed_report_loses_no_page),
		cmocka_unit_test(old_kernel_wants_the_whole_bitmap),
		cmocka_unit_test(pages_left_over_end_with_the_log),
		cmocka_unit_test(injected_failure_sticks_until_stop),
		cmocka_unit_test(log_goes_on_through_the_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
