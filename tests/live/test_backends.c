/* SPDX-License-Identifier: MIT */
/*
 * The common tracker cases over softvfio and over this kernel: every backend
 * that a machine can have, driven through libspoor's production path.
 */
#include "tests/track/backend_cases.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include <spoor/error.h>

#include "softvfio/softvfio.h"
#include "tests/live/vmm.h"

/* What an IOMMU of 48 bits takes. */
#define LAST_IOMMU 0xffffffffffffull

static struct spoor_space *space;
static struct spoor_device *dev[2];
static const char *names[2]; /* the writer, and its twin with the bug */
static unsigned int fds_before;

static void up_on(enum spoor_space_backend backend, uint64_t iommu_page,
		  unsigned int first, unsigned int second)
{
	static const char *const known[] = { "nic0", "nic1",  "nic2",
					     "nic3", "mdev0", "mdev1" };
	const unsigned int index[2] = { first, second };
	const struct spoor_space_opts opts = { .size = sizeof(opts),
					       .backend = backend,
					       .dirty_tracking = true,
					       .iommu_page = iommu_page };
	const uint16_t command = 6;

	fds_before = vmm_count_fds();
	assert_int_equal(spoor_space_open(&space, "space", &opts), 0);
	for (int i = 0; i < 2; i++) {
		char spec[32];

		snprintf(spec, sizeof(spec), "0000:%02x:00.0", index[i] + 1);
		names[i] = known[index[i]];
		assert_int_equal(spoor_device_open(&dev[i], spec, NULL), 0);
		if (spoor_space_attach(space, dev[i]))
			fail_msg("%s", spoor_errmsg());
		assert_int_equal(
			spoor_device_region_write(dev[i], 7, 4, &command, 2),
			0);
	}
}

static void up_small(const struct backend *b)
{
	(void)b;
	up_on(SPOOR_SPACE_IOMMUFD, 4096, 0, 1);
}

static void up_log64k(const struct backend *b)
{
	(void)b;
	up_on(SPOOR_SPACE_IOMMUFD, 4096, 2, 3);
}

static void up_type1(const struct backend *b)
{
	(void)b;
	up_on(SPOOR_SPACE_TYPE1, 0, 4, 5);
}

static void up_no_scope(const struct backend *b)
{
	(void)b;
	up_on(SPOOR_SPACE_TYPE1, 0, 0, 1);
}

static void down(const struct backend *b)
{
	(void)b;
	for (int i = 0; i < 2; i++)
		dev[i] = spoor_device_free(dev[i]);
	space = spoor_space_free(space);
	assert_int_equal(vmm_count_fds(), fds_before);
}

static void map(const struct backend *b, const struct spoor_range *r, void *hva)
{
	(void)b;
	if (spoor_space_map(space, r, hva, 0))
		fail_msg("%s", spoor_errmsg());
}

static void unmap(const struct backend *b, const struct spoor_range *r)
{
	(void)b;
	if (spoor_space_unmap(space, r))
		fail_msg("%s", spoor_errmsg());
}

static void put(const struct backend *b, uint64_t iova, const void *buf,
		size_t len)
{
	(void)b;
	assert_int_equal(softvfio_dma_write(names[0], iova, buf, len), 0);
}

static void put_mark_first(const struct backend *b, uint64_t iova,
			   const void *buf, size_t len)
{
	(void)b;
	assert_int_equal(softvfio_dma_write(names[1], iova, buf, len), 0);
}

/* Both devices' own logs: what either writes is seen. */
static struct spoor_tracker *open_device(const struct backend *b)
{
	struct spoor_tracker *parts[2], *t = NULL;

	(void)b;
	for (int i = 0; i < 2; i++)
		assert_int_equal(spoor_tracker_open_device(&parts[i], dev[i]),
				 0);
	assert_int_equal(spoor_tracker_open_merged(&t, parts, 2), 0);
	assert_true(spoor_tracker_covers(t, dev[1]));
	return t;
}

static struct spoor_tracker *open_one_device(const struct backend *b)
{
	struct spoor_tracker *t = NULL;

	(void)b;
	assert_int_equal(spoor_tracker_open_device(&t, dev[0]), 0);
	assert_true(spoor_tracker_covers(t, dev[0]));
	assert_false(spoor_tracker_covers(t, dev[1]));
	assert_false(spoor_tracker_covers(t, NULL));
	return t;
}

static struct spoor_tracker *open_iommu(const struct backend *b)
{
	struct spoor_tracker *t = NULL;

	(void)b;
	assert_int_equal(spoor_tracker_open_iommu(&t, space, dev[0]), 0);
	assert_true(spoor_tracker_covers(t, dev[1]));
	assert_false(spoor_tracker_covers(t, NULL));
	return t;
}

static struct spoor_tracker *open_pinned(const struct backend *b)
{
	struct spoor_tracker *t = NULL;

	(void)b;
	assert_int_equal(spoor_tracker_open_pinned(&t, space), 0);
	assert_true(spoor_tracker_covers(t, dev[1]));
	return t;
}

static struct spoor_tracker *open_both(const struct backend *b)
{
	struct spoor_tracker *parts[2] = { open_one_device(b), open_iommu(b) };
	struct spoor_tracker *t = NULL;

	assert_int_equal(spoor_tracker_open_merged(&t, parts, 2), 0);
	return t;
}

static void fail_report(const struct backend *b)
{
	(void)b;
	assert_int_equal(softvfio_fail_report(names[0], 1), 0);
}

/*
 * The CPU's trackers: memory is what map() was given last; the writer is a
 * thread of this process.
 */
#define MAX_MAPS 4

static struct spoor_memory *memory;
static struct spoor_region maps[MAX_MAPS];
static unsigned int nr_maps;

static void up_cpu(const struct backend *b)
{
	(void)b;
	fds_before = vmm_count_fds();
	assert_int_equal(spoor_memory_new(&memory), 0);
	nr_maps = 0;
}

static void down_cpu(const struct backend *b)
{
	(void)b;
	memory = spoor_memory_free(memory);
	assert_int_equal(vmm_count_fds(), fds_before);
}

static void map_cpu(const struct backend *b, const struct spoor_range *r,
		    void *hva)
{
	(void)b;
	assert_true(nr_maps < MAX_MAPS);
	maps[nr_maps] =
		(struct spoor_region){ .range = *r, .hva = hva, .fd = -1 };
	if (spoor_memory_add(memory, &maps[nr_maps++]))
		fail_msg("%s", spoor_errmsg());
}

static void unmap_cpu(const struct backend *b, const struct spoor_range *r)
{
	(void)b;
	(void)r;
}

static void put_cpu(const struct backend *b, uint64_t iova, const void *buf,
		    size_t len)
{
	const char *from = buf;

	(void)b;
	for (unsigned int i = 0; i < nr_maps; i++) {
		const struct spoor_range *r = &maps[i].range;
		char *to = maps[i].hva;

		for (size_t n = 0; n < len; n++) {
			uint64_t at = iova + n - r->iova;

			if (at < r->len)
				__atomic_store_n(&to[at], from[n],
						 __ATOMIC_RELAXED);
		}
	}
}

static struct spoor_tracker *open_cpu(enum spoor_process_mode mode)
{
	struct spoor_tracker *t = NULL;

	if (spoor_tracker_open_process(&t, memory, mode))
		fail_msg("%s", spoor_errmsg());
	assert_true(spoor_tracker_covers(t, NULL));
	return t;
}

static struct spoor_tracker *open_async(const struct backend *b)
{
	(void)b;
	return open_cpu(SPOOR_PROCESS_ASYNC);
}

static struct spoor_tracker *open_sync(const struct backend *b)
{
	(void)b;
	return open_cpu(SPOOR_PROCESS_SYNC);
}

#define COMMON                                                                 \
	.down = down, .map = map, .unmap = unmap, .write = put,                \
	.write_mark_first = put_mark_first

#define CPU                                                                    \
	.up = up_cpu, .down = down_cpu, .map = map_cpu, .unmap = unmap_cpu,    \
	.write = put_cpu, .no_holes = true

static const struct backend backends[] = {
	{ .name = "live-device-4k",
	  .exact = true,
	  .page = 4096,
	  .last_address = LAST_IOMMU,
	  .up = up_small,
	  .open = open_device,
	  .spoil = fail_report,
	  COMMON },
	{ .name = "live-device-64k",
	  .exact = true,
	  .page = 65536,
	  .last_address = LAST_IOMMU,
	  .up = up_log64k,
	  .open = open_device,
	  .spoil = fail_report,
	  COMMON },
	{ .name = "live-iommu-4k",
	  .exact = true,
	  .follows_map = true,
	  .page = 4096,
	  .last_address = LAST_IOMMU,
	  .up = up_small,
	  .open = open_iommu,
	  COMMON },
	{ .name = "live-pinned",
	  .exact = true,
	  .follows_map = true,
	  .page = 4096,
	  .last_address = LAST_IOMMU,
	  .up = up_type1,
	  .open = open_pinned,
	  /* Its reads keep writes out: nothing can come between. */
	  .down = down,
	  .map = map,
	  .unmap = unmap,
	  .write = put },
	{ .name = "live-pinned-without-scope",
	  .everything = true,
	  .follows_map = true,
	  .page = 4096,
	  .last_address = LAST_IOMMU,
	  .up = up_no_scope,
	  .open = open_pinned,
	  COMMON },
	{ .name = "live-merged-device-iommu",
	  .exact = true,
	  .page = 4096,
	  .last_address = LAST_IOMMU,
	  .up = up_small,
	  .open = open_both,
	  .spoil = fail_report,
	  COMMON },
	{ .name = "live-process-async",
	  .exact = true,
	  .page = 4096,
	  .last_address = UINT64_MAX,
	  .open = open_async,
	  CPU },
	{ .name = "live-process-sync",
	  .exact = true,
	  .page = 4096,
	  .last_address = UINT64_MAX,
	  .open = open_sync,
	  CPU },
};

int main(int argc, char **argv)
{
	int failed = 0, ran = 0;

	if (!softvfio_nr_devices()) {
		fputs("SOFTVFIO_CONFIG is not set\n", stderr);
		return 77;
	}
	/* What softvfio makes at a device's first use, it keeps. */
	for (unsigned int i = 0; i < 6; i += 2) {
		up_on(i < 4 ? SPOOR_SPACE_IOMMUFD : SPOOR_SPACE_TYPE1, 4096, i,
		      i + 1);
		for (int d = 0; d < 2; d++)
			dev[d] = spoor_device_free(dev[d]);
		space = spoor_space_free(space);
	}
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		if (argc > 1 && strcmp(argv[1], backends[i].name))
			continue;
		failed += run_backend_cases(&backends[i]);
		ran++;
	}
	return failed || !ran;
}
