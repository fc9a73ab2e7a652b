/* SPDX-License-Identifier: MIT */
/*
 * The kernel notes write faults itself, by taking a page's write protection
 * away (UFFD_FEATURE_WP_ASYNC), and PAGEMAP_SCAN reads and protects again.
 * Linux 6.7.
 *
 * Invariant: a page that is not write-protected is dirty, and the other way
 * round; there is no other record that could disagree.
 *
 * Why no store is lost: for each page that was written, the scan protects it
 * again under the page table's lock, flushes the TLBs, and reports it before
 * it returns.  A store through a stale TLB entry happens before that flush, so
 * before the call returns, and the caller reads the page after.  A store
 * behind the flush faults, takes the protection away, and is found by the next
 * scan.
 *
 * Threads: none of its own.
 */
#include "track/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/uapi_mm.h"

/* Runs of dirty pages that one call of the kernel returns. */
#define NR_RUNS 512

struct process_async {
	struct process_tracker p;
	struct page_region runs[NR_RUNS];
};

static struct process_async *async(struct process_tracker *p)
{
	return (struct process_async *)p;
}

static int open_pagemap(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return spoor_fail_errno(
			"process tracker: open /proc/self/pagemap");
	return fd;
}

static int async_probe(void)
{
	struct pm_scan_arg nothing = { .size = sizeof(nothing) };
	SPOOR_AUTO_FD fd = open_pagemap();

	if (fd < 0)
		return fd;
	if (ioctl(fd, PAGEMAP_SCAN, &nothing) < 0)
		return spoor_fail_errno("process tracker: PAGEMAP_SCAN");
	return 0;
}

static int async_start(struct process_tracker *p)
{
	int fd = open_pagemap();

	if (fd < 0)
		return fd;
	p->fd = fd;
	return 0;
}

static int async_collect(struct process_tracker *p, size_t index,
			 const struct spoor_range *part,
			 struct spoor_bitmap *into)
{
	const struct process_segment *seg = &p->segments[index];
	struct page_region *runs = async(p)->runs;
	uint64_t start = seg->hva + (part->iova - seg->range.iova);
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC,
		.start = start,
		.end = start + part->len,
		.vec = (uintptr_t)runs,
		.vec_len = NR_RUNS,
		.category_mask = PAGE_IS_WRITTEN,
		.return_mask = PAGE_IS_WRITTEN,
	};
	int nr, i, ret;

	for (; arg.start < arg.end; arg.start = arg.walk_end) {
		nr = ioctl(p->fd, PAGEMAP_SCAN, &arg);
		if (nr < 0)
			return spoor_fail_errno(
				"process tracker: PAGEMAP_SCAN of 0x%" PRIx64
				"..0x%" PRIx64,
				(uint64_t)arg.start, (uint64_t)arg.end);
		for (i = 0; i < nr; i++) {
			struct spoor_range run = {
				.iova = runs[i].start - seg->hva +
					seg->range.iova,
				.len = runs[i].end - runs[i].start,
			};

			ret = spoor_bitmap_mark(into, &run, NULL);
			if (ret)
				return ret;
		}
		if (arg.walk_end <= arg.start)
			return spoor_fail(EIO,
					  "process tracker: PAGEMAP_SCAN does "
					  "not get past 0x%" PRIx64,
					  (uint64_t)arg.start);
	}
	return 0;
}

const struct process_kind spoor_process_async = {
	.mode = SPOOR_PROCESS_ASYNC,
	.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP |
		    UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
		    UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_WP_ASYNC,
	.size = sizeof(struct process_async),
	.probe = async_probe,
	.start = async_start,
	.collect = async_collect,
};
