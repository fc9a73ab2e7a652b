/* SPDX-License-Identifier: MIT */
/*
 * The common cases over each kernel backend, on the fake kernel: device logs of
 * several granules, page tables of 4 KiB and of 2 MiB entries, pinned pages,
 * all, and mergers of them.
 */
#include "backend_cases.h"

#include <errno.h>

#include <linux/vfio.h>

#include "base/uapi_iommufd.h"
#include "fake_kernel.h"
#include "fake_priv.h"

static struct spoor_space *space;
static struct spoor_device *dev[2];

static void up_on(enum spoor_space_backend backend, uint64_t iommu_page)
{
	struct spoor_space_opts opts = {
		.size = sizeof(opts),
		.backend = backend,
		.dirty_tracking = true,
		.iommu_page = iommu_page,
	};

	assert_int_equal(spoor_space_open(&space, "space", &opts), 0);
	assert_int_equal(spoor_device_open(&dev[0], fake_sysfs(0), NULL), 0);
	assert_int_equal(spoor_space_attach(space, dev[0]), 0);
}

static void up_small(const struct backend *b)
{
	(void)b;
	fake_kernel_up();
	up_on(SPOOR_SPACE_IOMMUFD, 4096);
}

static void up_huge(const struct backend *b)
{
	(void)b;
	fake_kernel_up();
	up_on(SPOOR_SPACE_IOMMUFD, 0);
}

static void up_type1(const struct backend *b)
{
	(void)b;
	fake_kernel_up();
	up_on(SPOOR_SPACE_TYPE1, 0);
}

static void up_no_scope(const struct backend *b)
{
	up_type1(b);
	fake.no_scope = true;
}

static void up_log64k(const struct backend *b)
{
	up_small(b);
	fake.log_min_page = 65536;
}

static void down(const struct backend *b)
{
	(void)b;
	dev[0] = spoor_device_free(dev[0]);
	space = spoor_space_free(space);
	assert_int_equal(fake_kernel_down(), 0);
}

static void map(const struct backend *b, const struct spoor_range *r, void *hva)
{
	(void)b;
	assert_int_equal(spoor_space_map(space, r, hva, 0), 0);
}

/* Some cases unmap by themselves. */
static void unmap(const struct backend *b, const struct spoor_range *r)
{
	(void)b;
	assert_int_equal(spoor_space_unmap(space, r), 0);
}

static void put(const struct backend *b, uint64_t iova, const void *buf,
		size_t len)
{
	(void)b;
	assert_int_equal(fake_dma(0, iova, buf, len, false), 0);
}

static void put_mark_first(const struct backend *b, uint64_t iova,
			   const void *buf, size_t len)
{
	(void)b;
	assert_int_equal(fake_dma(0, iova, buf, len, true), 0);
}

static struct spoor_tracker *open_device(const struct backend *b)
{
	struct spoor_tracker *t = NULL;

	(void)b;
	assert_int_equal(spoor_tracker_open_device(&t, dev[0]), 0);
	assert_true(spoor_tracker_covers(t, dev[0]));
	assert_false(spoor_tracker_covers(t, NULL));
	return t;
}

static struct spoor_tracker *open_iommu(const struct backend *b)
{
	struct spoor_tracker *t = NULL;

	(void)b;
	assert_int_equal(spoor_tracker_open_iommu(&t, space, dev[0]), 0);
	assert_true(spoor_tracker_covers(t, dev[0]));
	assert_false(spoor_tracker_covers(t, NULL));
	return t;
}

static struct spoor_tracker *open_pinned(const struct backend *b)
{
	struct spoor_tracker *t = NULL;

	(void)b;
	assert_int_equal(spoor_tracker_open_pinned(&t, space), 0);
	assert_true(spoor_tracker_covers(t, dev[0]));
	assert_false(spoor_tracker_covers(t, NULL));
	return t;
}

static struct spoor_tracker *open_all(const struct backend *b)
{
	struct spoor_tracker *t = NULL;

	(void)b;
	assert_int_equal(spoor_tracker_open_all(&t), 0);
	assert_true(spoor_tracker_covers(t, NULL));
	return t;
}

static struct spoor_tracker *open_merged(const struct backend *b)
{
	struct spoor_tracker *parts[2] = { open_device(b), open_iommu(b) };
	struct spoor_tracker *t = NULL;

	assert_int_equal(spoor_tracker_open_merged(&t, parts, 2), 0);
	assert_true(spoor_tracker_covers(t, dev[0]));
	return t;
}

static void fail_report(const struct backend *b)
{
	(void)b;
	fake_fail(FAKE_FEATURE(VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT), 1, EIO);
}

static void fail_hwpt(const struct backend *b)
{
	(void)b;
	fake_fail(IOMMU_HWPT_GET_DIRTY_BITMAP, 1, EIO);
}

static void fail_pinned(const struct backend *b)
{
	(void)b;
	fake_fail(VFIO_IOMMU_DIRTY_PAGES, 1, EIO);
}

#define COMMON                                                                 \
	.down = down, .map = map, .unmap = unmap, .write = put,                \
	.write_mark_first = put_mark_first

static const struct backend backends[] = {
	{ .name = "device-4k",
	  .exact = true,
	  .page = 4096,
	  .last_address = UINT64_MAX - 4096,
	  .up = up_small,
	  .open = open_device,
	  .spoil = fail_report,
	  COMMON },
	{ .name = "device-64k",
	  .exact = true,
	  .page = 65536,
	  .last_address = UINT64_MAX - 65536,
	  .up = up_log64k,
	  .open = open_device,
	  .spoil = fail_report,
	  COMMON },
	{ .name = "iommu-4k",
	  .exact = true,
	  .follows_map = true,
	  .page = 4096,
	  .last_address = UINT64_MAX,
	  .up = up_small,
	  .open = open_iommu,
	  .spoil = fail_hwpt,
	  COMMON },
	{ .name = "iommu-2m",
	  .exact = true,
	  .follows_map = true,
	  .page = 2 << 20,
	  .last_address = UINT64_MAX,
	  .up = up_huge,
	  .open = open_iommu,
	  .spoil = fail_hwpt,
	  COMMON },
	{ .name = "pinned",
	  .exact = true,
	  .follows_map = true,
	  .page = 4096,
	  .last_address = UINT64_MAX - 4096,
	  .up = up_type1,
	  .open = open_pinned,
	  .spoil = fail_pinned,
	  COMMON },
	{ .name = "pinned-without-scope",
	  .everything = true,
	  .follows_map = true,
	  .page = 4096,
	  .last_address = UINT64_MAX - 4096,
	  .up = up_no_scope,
	  .open = open_pinned,
	  .spoil = fail_pinned,
	  COMMON },
	{ .name = "all",
	  .everything = true,
	  .follows_map = true,
	  .page = 4096,
	  .last_address = UINT64_MAX,
	  .up = up_small,
	  .open = open_all,
	  COMMON },
	{ .name = "merged-device-iommu",
	  .exact = true,
	  .page = 4096,
	  .last_address = UINT64_MAX - 4096,
	  .up = up_small,
	  .open = open_merged,
	  .spoil = fail_report,
	  COMMON },
};

int main(void)
{
	int failed = 0;
	size_t i;

	for (i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		failed += run_backend_cases(&backends[i]);
	return failed ? 1 : 0;
}
