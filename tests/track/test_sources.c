/* SPDX-License-Identifier: MIT */
/*
 * What single sources do beyond the common cases: limits of device logs, quiet
 * reads, kernels that lack REPORT, probes, two trackers on one device.
 */
#include "backend_cases.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/uapi_iommufd.h"
#include "base/uapi_vfio.h"
#include "fake_kernel.h"
#include "fake_priv.h"
#include "spoor/error.h"

#define PAGE  4096u
#define START FAKE_FEATURE(VFIO_DEVICE_FEATURE_DMA_LOGGING_START)

static struct spoor_space *space;
static struct spoor_device *dev;
static char *hva;
static const struct spoor_range all = { .iova = 0, .len = 64 << 20 };

/* Lists of ranges grow by this. */
static bool no_memory;

void *reallocarray(void *p, size_t nr, size_t size)
{
	if (no_memory) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, nr * size);
}

static int up_on(enum spoor_space_backend backend)
{
	struct spoor_space_opts opts = { .size = sizeof(opts),
					 .backend = backend,
					 .dirty_tracking = true,
					 .iommu_page = 4096 };

	fake_kernel_up();
	assert_int_equal(spoor_space_open(&space, "main", &opts), 0);
	assert_int_equal(spoor_device_open(&dev, fake_sysfs(0), NULL), 0);
	assert_int_equal(spoor_space_attach(space, dev), 0);
	hva = mmap(NULL, all.len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(hva, MAP_FAILED);
	assert_int_equal(spoor_space_map(space, &all, hva, 0), 0);
	return 0;
}

static int up(void **state)
{
	(void)state;
	return up_on(SPOOR_SPACE_IOMMUFD);
}

static int up_type1(void **state)
{
	(void)state;
	return up_on(SPOOR_SPACE_TYPE1);
}

static int down(void **state)
{
	(void)state;
	dev = spoor_device_free(dev);
	space = spoor_space_free(space);
	munmap(hva, all.len);
	assert_int_equal(fake_kernel_down(), 0);
	return 0;
}

static struct spoor_tracker *device_tracker(void)
{
	struct spoor_tracker *t = NULL;

	assert_int_equal(spoor_tracker_open_device(&t, dev), 0);
	return t;
}

/* Every other page, from 0. */
static void comb(struct spoor_range *r, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		r[i] = (struct spoor_range){ .iova = i * 2 * PAGE,
					     .len = PAGE };
}

static void more_ranges_than_the_core_takes_are_combined(void **state)
{
	static struct spoor_range r[1000];
	struct spoor_tracker *t = device_tracker();
	struct spoor_bitmap b;
	uint64_t page, words[1] = { 0 };

	(void)state;
	comb(r, 1000);
	/* One wide gap: it is the last to be given up. */
	r[999].iova = 32 << 20;
	assert_int_equal(spoor_tracker_start(t, r, 1000, PAGE, &page), 0);
	assert_int_equal(fake_log_nr_ranges(), 256);
	/* The probe at opening, and one start. */
	assert_int_equal(fake_calls(START), 2);
	fake_dma(0, r[500].iova, "x", 1, false);
	fake_dma(0, r[500].iova + PAGE, "x", 1, false);
	assert_int_equal(spoor_bitmap_init(&b, words, &r[500], 12), 0);
	assert_int_equal(spoor_tracker_collect(t, &r[500], &b, 0, NULL), 0);
	assert_int_equal(words[0], 1);
	/* What lies between them is logged, yet nobody's question. */
	r[500].iova += PAGE;
	assert_int_equal(spoor_tracker_collect(t, &r[500], &b, 0, NULL),
			 -EINVAL);
	assert_null(spoor_tracker_free(t));
}

static void fewer_ranges_are_tried_until_the_driver_takes_them(void **state)
{
	struct spoor_range r[100];
	struct spoor_tracker *t = device_tracker();
	uint64_t page;

	(void)state;
	comb(r, 100);
	fake.log_max_ranges = 8;
	assert_int_equal(spoor_tracker_start(t, r, 100, PAGE, &page), 0);
	assert_in_range(fake_log_nr_ranges(), 1, 8);
	assert_int_equal(spoor_tracker_stop(t), 0);
	fake.log_max_ranges = 1;
	assert_int_equal(spoor_tracker_start(t, r, 100, PAGE, &page), 0);
	assert_int_equal(fake_log_nr_ranges(), 1);
	assert_null(spoor_tracker_free(t));
}

static void an_address_space_too_wide_is_refused_in_words(void **state)
{
	struct spoor_range r[2] = { { 0, PAGE }, { UINT64_C(1) << 43, PAGE } };
	struct spoor_range top = { .iova = -(uint64_t)PAGE, .len = PAGE };
	struct spoor_tracker *t = device_tracker();
	uint64_t page = 5;

	(void)state;
	fake.log_last = (UINT64_C(1) << 42) - 1;
	assert_int_equal(spoor_tracker_start(t, r, 2, PAGE, &page),
			 -EOPNOTSUPP);
	assert_non_null(strstr(spoor_errmsg(), "address space"));
	assert_non_null(strstr(spoor_errmsg(), "0x80000000fff"));
	assert_int_equal(spoor_tracker_start(t, &top, 1, PAGE, &page),
			 -EOPNOTSUPP);
	assert_int_equal(page, 5);
	assert_int_equal(spoor_tracker_start(t, r, 1, PAGE, &page), 0);
	assert_null(spoor_tracker_free(t));
}

static void ranges_are_widened_to_the_page_size_asked_for(void **state)
{
	struct spoor_range r[2] = { { 3 * PAGE, PAGE }, { 9 * PAGE, PAGE } };
	struct spoor_tracker *t = device_tracker();
	uint64_t page;

	(void)state;
	assert_int_equal(spoor_tracker_start(t, r, 2, 65536, &page), 0);
	assert_int_equal(page, 65536);
	assert_int_equal(fake_log_nr_ranges(), 1);
	assert_int_equal(spoor_tracker_stop(t), 0);
	/* The device is coarser than asked: again, with its own size. */
	fake.log_min_page = 65536;
	assert_int_equal(spoor_tracker_start(t, r, 2, PAGE, &page), 0);
	assert_int_equal(page, 65536);
	assert_int_equal(fake_log_page(), 65536);
	/* Finer: as it says. */
	assert_int_equal(spoor_tracker_stop(t), 0);
	fake.log_min_page = PAGE;
	fake.log_max_page = 8192;
	assert_int_equal(spoor_tracker_start(t, r, 2, 1 << 20, &page), 0);
	assert_int_equal(page, 8192);
	assert_null(spoor_tracker_free(t));
}

static void a_log_that_is_not_quiet_forgets_nothing(void **state)
{
	struct spoor_tracker *t = device_tracker();
	struct spoor_range r = { .iova = 0, .len = 64 * PAGE };
	struct spoor_tracker_caps caps;
	struct spoor_bitmap b;
	uint64_t page, new = 9, words[1] = { 0 };

	(void)state;
	assert_int_equal(spoor_bitmap_init(&b, words, &r, 12), 0);
	fake.log_quiet_only = true;
	assert_int_equal(spoor_tracker_probe(t, &r, 1, &caps), 0);
	assert_true(caps.flags & SPOOR_TRACKER_QUIET_READ);
	assert_int_equal(spoor_tracker_start(t, &r, 1, PAGE, &page), 0);
	fake_dma(0, 5 * PAGE, "x", 1, false);
	assert_int_equal(spoor_tracker_collect(t, &r, &b, 0, &new), -EAGAIN);
	assert_int_equal(words[0], 0);
	assert_int_equal(new, 9);
	fake.log_quiet_only = false;
	assert_int_equal(spoor_tracker_collect(t, &r, &b, 0, &new), 0);
	assert_int_equal(words[0], 1 << 5);
	assert_int_equal(spoor_tracker_stop(t), 0);
	assert_int_equal(spoor_tracker_probe(t, &r, 1, &caps), 0);
	assert_false(caps.flags & SPOOR_TRACKER_QUIET_READ);
	assert_null(spoor_tracker_free(t));
}

static void probe_sees_a_kernel_that_cannot_report(void **state)
{
	struct spoor_tracker *t = device_tracker();
	struct spoor_tracker_caps caps = { .page_sizes = 77 };
	struct spoor_range r = { .iova = 0, .len = 64 * PAGE };

	(void)state;
	fake.log_no_report = true;
	assert_int_equal(spoor_tracker_probe(t, &r, 1, &caps), -EOPNOTSUPP);
	assert_non_null(strstr(spoor_errmsg(), "CONFIG_IOMMUFD"));
	assert_int_equal(caps.page_sizes, 77);
	fake.log_no_report = false;
	assert_int_equal(spoor_tracker_probe(t, &r, 1, &caps), 0);
	/* 4 KiB to 16 MiB. */
	assert_true(caps.page_sizes == (UINT64_C(1) << 25) - 4096);
	assert_int_equal(caps.flags, SPOOR_TRACKER_EXACT);
	assert_null(spoor_tracker_free(t));
}

static void a_failed_log_stays_dirty_until_it_is_started_again(void **state)
{
	struct spoor_tracker *t = device_tracker();
	struct spoor_range r = { .iova = 0, .len = 64 * PAGE };
	struct spoor_bitmap b;
	uint64_t page, words[1] = { 0 };

	(void)state;
	assert_int_equal(spoor_bitmap_init(&b, words, &r, 12), 0);
	assert_int_equal(spoor_tracker_start(t, &r, 1, PAGE, &page), 0);
	fake_fail(FAKE_FEATURE(VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT), 1, EIO);
	assert_int_equal(spoor_tracker_collect(t, &r, &b, 0, NULL), -EIO);
	assert_true(words[0] == UINT64_MAX);
	assert_non_null(strstr(spoor_errmsg(), "DMA_LOGGING_REPORT"));
	words[0] = 0;
	assert_int_equal(spoor_tracker_collect(t, &r, &b, 0, NULL), -EIO);
	assert_true(words[0] == UINT64_MAX);
	assert_int_equal(spoor_tracker_stop(t), 0);
	assert_int_equal(spoor_tracker_start(t, &r, 1, PAGE, &page), 0);
	words[0] = 0;
	assert_int_equal(spoor_tracker_collect(t, &r, &b, 0, NULL), 0);
	assert_int_equal(words[0], 0);
	assert_null(spoor_tracker_free(t));
}

static void two_trackers_on_one_device_agree(void **state)
{
	struct spoor_tracker *t[2] = { device_tracker(), NULL };
	struct spoor_range r = { .iova = 0, .len = 4097 * PAGE };
	struct spoor_bitmap b[2];
	uint64_t page, i, seed = 1;
	uint64_t *words = calloc(2 * 65, sizeof(*words));

	(void)state;
	assert_non_null(words);
	assert_int_equal(spoor_tracker_open_iommu(&t[1], space, dev), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(
			spoor_bitmap_init(&b[i], words + 65 * i, &r, 12), 0);
		assert_int_equal(spoor_tracker_start(t[i], &r, 1, PAGE, &page),
				 0);
	}
	for (i = 0; i < 500; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		fake_dma(0, (seed >> 30) % (r.len - 100), "hello", 5, false);
	}
	for (i = 0; i < 2; i++)
		assert_int_equal(
			spoor_tracker_collect(t[i], &r, &b[i], 0, NULL), 0);
	assert_in_range(spoor_bitmap_count(&b[0]), 300, 1000);
	assert_memory_equal(words, words + 65, 65 * 8);
	for (i = 0; i < 2; i++)
		assert_null(spoor_tracker_free(t[i]));
	free(words);
}

static void a_source_has_one_reader(void **state)
{
	struct spoor_tracker *a = NULL, *b = NULL;
	uint64_t page;

	(void)state;
	assert_int_equal(spoor_tracker_open_iommu(&a, space, dev), 0);
	assert_int_equal(spoor_tracker_open_iommu(&b, space, dev), 0);
	assert_int_equal(spoor_tracker_start(a, &all, 1, PAGE, &page), 0);
	assert_int_equal(spoor_tracker_start(b, &all, 1, PAGE, &page), -EBUSY);
	assert_int_equal(spoor_tracker_stop(a), 0);
	assert_int_equal(spoor_tracker_start(b, &all, 1, PAGE, &page), 0);
	assert_null(spoor_tracker_free(a));
	assert_null(spoor_tracker_free(b));
}

static void probe_tells_whether_pinned_scope_is_there(void **state)
{
	struct spoor_tracker *t = NULL;
	struct spoor_tracker_caps caps;

	(void)state;
	assert_int_equal(spoor_tracker_open_pinned(&t, space), 0);
	assert_int_equal(spoor_tracker_probe(t, &all, 1, &caps), 0);
	assert_false(caps.flags & SPOOR_TRACKER_EVERYTHING);
	fake.no_scope = true;
	assert_int_equal(spoor_tracker_probe(t, &all, 1, &caps), 0);
	assert_true(caps.flags & SPOOR_TRACKER_EVERYTHING);
	assert_int_equal(caps.page_sizes, PAGE);
	assert_null(spoor_tracker_free(t));
}

/*
 * A whole mapping is read for a part of it, and there is no memory to remember
 * the rest: then all of the rest is dirty, once.
 */
static void a_debt_that_cannot_be_written_down_is_all_dirty(void **state)
{
	struct spoor_range first = { .iova = 0, .len = 64 * PAGE };
	struct spoor_range second = { .iova = 64 * PAGE, .len = 64 * PAGE };
	struct spoor_tracker *t = NULL;
	struct spoor_bitmap a, b;
	uint64_t page, words[2] = { 0 };

	(void)state;
	assert_int_equal(spoor_bitmap_init(&a, &words[0], &first, 12), 0);
	assert_int_equal(spoor_bitmap_init(&b, &words[1], &second, 12), 0);
	assert_int_equal(spoor_tracker_open_pinned(&t, space), 0);
	assert_int_equal(spoor_tracker_start(t, &all, 1, PAGE, &page), 0);
	fake_dma(0, 70 * PAGE, "x", 1, false);
	no_memory = true;
	assert_int_equal(spoor_tracker_collect(t, &first, &a, 0, NULL), 0);
	/* Still none: dirty, and still owed. */
	assert_int_equal(spoor_tracker_collect(t, &second, &b, 0, NULL), 0);
	no_memory = false;
	assert_true(words[1] == UINT64_MAX);
	words[1] = 0;
	assert_int_equal(spoor_tracker_collect(t, &second, &b, 0, NULL), 0);
	assert_true(words[1] == UINT64_MAX);
	words[1] = 0;
	assert_int_equal(spoor_tracker_collect(t, &second, &b, 0, NULL), 0);
	assert_int_equal(words[1], 0);
	assert_null(spoor_tracker_free(t));
}

static void wrong_kinds_of_spaces_are_refused(void **state)
{
	struct spoor_tracker *t = (void *)1;

	(void)state;
	assert_int_equal(spoor_tracker_open_iommu(&t, space, dev), -EOPNOTSUPP);
	assert_ptr_equal(t, (void *)1);
	assert_int_equal(spoor_tracker_open_merged(&t, NULL, 0), -EINVAL);
	assert_ptr_equal(t, (void *)1);
}

/* One part is not quiet, one fails: the third is read all the same. */
static void merged_reads_every_part_whatever_the_others_say(void **state)
{
	struct spoor_range r = { .iova = 0, .len = 64 * PAGE };
	struct spoor_tracker *parts[2] = { device_tracker(), NULL }, *t = NULL;
	struct spoor_bitmap b;
	uint64_t page, words[1] = { 0 };

	(void)state;
	assert_int_equal(spoor_bitmap_init(&b, words, &r, 12), 0);
	assert_int_equal(spoor_tracker_open_iommu(&parts[1], space, dev), 0);
	assert_int_equal(spoor_tracker_open_merged(&t, parts, 2), 0);
	assert_int_equal(spoor_tracker_start(t, &r, 1, PAGE, &page), 0);
	fake_dma(0, 5 * PAGE, "x", 1, false);
	fake.log_quiet_only = true;
	assert_int_equal(spoor_tracker_collect(t, &r, &b, 0, NULL), -EAGAIN);
	assert_int_equal(words[0], 1 << 5);
	/* The quiet one still knows. */
	words[0] = 0;
	fake.log_quiet_only = false;
	assert_int_equal(spoor_tracker_collect(t, &r, &b, 0, NULL), 0);
	assert_int_equal(words[0], 1 << 5);
	fake_fail(FAKE_FEATURE(VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT), 1, EIO);
	assert_int_equal(spoor_tracker_collect(t, &r, &b, 0, NULL), -EIO);
	assert_true(words[0] == UINT64_MAX);
	assert_int_equal(fake_calls(IOMMU_HWPT_GET_DIRTY_BITMAP), 3);
	assert_null(spoor_tracker_free(t));
}

static void merged_starts_all_or_none(void **state)
{
	struct spoor_tracker *parts[2] = { NULL, device_tracker() }, *t = NULL;
	uint64_t page = 3;

	(void)state;
	assert_int_equal(spoor_tracker_open_iommu(&parts[0], space, dev), 0);
	assert_int_equal(spoor_tracker_open_merged(&t, parts, 2), 0);
	fake_fail(START, 1, EIO);
	assert_int_equal(spoor_tracker_start(t, &all, 1, PAGE, &page), -EIO);
	assert_int_equal(page, 3);
	fake.log_min_page = 65536;
	assert_int_equal(spoor_tracker_start(t, &all, 1, PAGE, &page), 0);
	assert_int_equal(page, 65536);
	assert_null(spoor_tracker_free(t));
}

#define ON(f)	 cmocka_unit_test_setup_teardown(f, up, down)
#define TYPE1(f) cmocka_unit_test_setup_teardown(f, up_type1, down)

int main(void)
{
	const struct CMUnitTest cases[] = {
		ON(more_ranges_than_the_core_takes_are_combined),
		ON(fewer_ranges_are_tried_until_the_driver_takes_them),
		ON(an_address_space_too_wide_is_refused_in_words),
		ON(ranges_are_widened_to_the_page_size_asked_for),
		ON(a_log_that_is_not_quiet_forgets_nothing),
		ON(probe_sees_a_kernel_that_cannot_report),
		ON(a_failed_log_stays_dirty_until_it_is_started_again),
		ON(two_trackers_on_one_device_agree),
		ON(a_source_has_one_reader),
		TYPE1(probe_tells_whether_pinned_scope_is_there),
		TYPE1(a_debt_that_cannot_be_written_down_is_all_dirty),
		TYPE1(wrong_kinds_of_spaces_are_refused),
		ON(merged_reads_every_part_whatever_the_others_say),
		ON(merged_starts_all_or_none),
	};

	return cmocka_run_group_tests_name("sources", cases, NULL, NULL);
}
