/* SPDX-License-Identifier: MIT */
/*
 * Stores of this process, through write protection (userfaultfd-WP): choice of
 * the kind, registration of the memory, translation between guest and host
 * addresses.
 *
 * Invariant: while started, every page of every segment is write-protected, or
 * is known to the kind as dirty.  The granule is the host's base page: huge
 * pages are split by their first write, and hugetlbfs, which is not, is
 * refused.
 *
 * Threads: as any tracker; process_sync.c has a thread of its own.
 */
#include "track/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/uapi_mm.h"

static struct process_tracker *process(struct spoor_tracker *t)
{
	return (struct process_tracker *)t;
}

/*
 * The kinds of permission, the widest first: CAP_SYS_PTRACE or the sysctl;
 * whoever may open the device; anybody, for faults of user mode only.  With
 * the last, the sync kind cannot serve the kernel's own copies: read(2) into a
 * page that is protected fails with EFAULT.  The async kind never needs to.
 */
static int new_uffd(void)
{
	SPOOR_AUTO_FD dev = -1;
	int flags = O_CLOEXEC | O_NONBLOCK, fd;

	fd = (int)syscall(SYS_userfaultfd, flags);
	if (fd >= 0 || errno != EPERM)
		return fd;
	dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (dev >= 0) {
		fd = ioctl(dev, USERFAULTFD_IOC_NEW, flags);
		if (fd >= 0)
			return fd;
	}
	return (int)syscall(SYS_userfaultfd, flags | UFFD_USER_MODE_ONLY);
}

/* @features: to ask for; 0 asks for none and tells what there is. */
static int open_uffd(uint64_t features, int *ret_fd, uint64_t *ret_offered)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	SPOOR_AUTO_FD fd = new_uffd();

	if (fd < 0 && errno == ENOSYS)
		return spoor_fail(EOPNOTSUPP,
				  "process tracker: no userfaultfd here");
	if (fd < 0)
		return spoor_fail_errno("process tracker: userfaultfd");
	if (ioctl(fd, UFFDIO_API, &api))
		return spoor_fail_errno("process tracker: UFFDIO_API with "
					"features 0x%" PRIx64,
					features);
	*ret_offered = api.features;
	*ret_fd = SPOOR_STEAL_FD(fd);
	return 0;
}

int spoor_process_protect(const struct process_tracker *p, uint64_t hva,
			  uint64_t len, bool protect)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = hva, .len = len },
		.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	if (ioctl(p->uffd, UFFDIO_WRITEPROTECT, &wp))
		return spoor_fail_errno("process tracker: UFFDIO_WRITEPROTECT "
					"mode %" PRIu64 " of 0x%" PRIx64
					"+0x%" PRIx64,
					(uint64_t)wp.mode, hva, len);
	return 0;
}

int spoor_process_unregister(const struct process_tracker *p)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < p->nr_segments; i++) {
		struct uffdio_range range = {
			.start = p->segments[i].hva,
			.len = p->segments[i].range.len,
		};

		if (ioctl(p->uffd, UFFDIO_UNREGISTER, &range) && !ret)
			ret = spoor_fail_errno(
				"process tracker: UFFDIO_UNREGISTER of "
				"0x%" PRIx64 "+0x%" PRIx64,
				p->segments[i].hva, p->segments[i].range.len);
		/* Unregistering wakes nobody who waits for write protection.
		 * No new one comes, and to wake needs no registration. */
		if (ioctl(p->uffd, UFFDIO_WAKE, &range) && !ret)
			ret = spoor_fail_errno(
				"process tracker: UFFDIO_WAKE of "
				"0x%" PRIx64 "+0x%" PRIx64,
				p->segments[i].hva, p->segments[i].range.len);
	}
	return ret;
}

static int add_segment(struct process_tracker *p,
		       const struct spoor_region *region,
		       const struct spoor_range *part)
{
	struct process_segment seg = {
		.range = *part,
		.hva = (uintptr_t)region->hva +
		       (part->iova - region->range.iova),
		.has_file = region->fd >= 0,
	};
	struct process_segment *segments;

	/* Only where the host's pages are larger than 4 KiB. */
	if ((seg.hva | part->iova | part->len) & (p->page - 1))
		return spoor_fail(EINVAL,
				  "process tracker: 0x%" PRIx64 "+0x%" PRIx64
				  " at host address 0x%" PRIx64
				  " is not aligned to pages of %" PRIu64,
				  part->iova, part->len, seg.hva, p->page);
	segments = reallocarray(p->segments, p->nr_segments + 1,
				sizeof(*segments));
	if (!segments)
		return spoor_fail(ENOMEM, "process tracker: out of memory");
	segments[p->nr_segments++] = seg;
	p->segments = segments;
	return 0;
}

/* Every byte of @range lies in a region, or it is refused. */
static int find_segments(struct process_tracker *p,
			 const struct spoor_range *range)
{
	const struct spoor_region *regions;
	size_t nr = spoor_memory_regions(p->memory, &regions), i;
	uint64_t next = range->iova;
	struct spoor_range part;
	int ret;

	for (i = 0; i < nr; i++) {
		if (!spoor_range_intersect(&regions[i].range, range, &part))
			continue;
		if (part.iova != next)
			break;
		ret = add_segment(p, &regions[i], &part);
		if (ret)
			return ret;
		if (spoor_range_last(&part) == spoor_range_last(range))
			return 0;
		next = part.iova + part.len;
	}
	return spoor_fail(EINVAL,
			  "process tracker: 0x%" PRIx64
			  " in the range 0x%" PRIx64 "+0x%" PRIx64
			  " lies in no region of the memory",
			  next, range->iova, range->len);
}

static int register_segment(const struct process_tracker *p,
			    const struct process_segment *seg)
{
	struct uffdio_register reg = {
		.range = { .start = seg->hva, .len = seg->range.len },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};

	/* Registering passes over holes, and what is mapped there later would
	 * go unseen.  MS_ASYNC does nothing but look for them. */
	if (msync((void *)(uintptr_t)seg->hva, seg->range.len, MS_ASYNC))
		return spoor_fail_errno(
			"process tracker: 0x%" PRIx64 "+0x%" PRIx64
			" for guest address 0x%" PRIx64
			" is not mapped throughout",
			seg->hva, seg->range.len, seg->range.iova);
	if (ioctl(p->uffd, UFFDIO_REGISTER, &reg))
		return spoor_fail_errno("process tracker: UFFDIO_REGISTER of "
					"0x%" PRIx64 "+0x%" PRIx64
					" for guest address 0x%" PRIx64,
					seg->hva, seg->range.len,
					seg->range.iova);
	return 0;
}

static int arm_segment(const struct process_tracker *p,
		       const struct process_segment *seg)
{
	int ret;

	/*
	 * Where nothing is mapped there is nothing to protect, unless the
	 * kernel leaves a marker: it does for files since 5.19, and for
	 * anonymous memory with WP_UNPOPULATED.  Else map the zero page.
	 */
	if (!seg->has_file && !(p->features & UFFD_FEATURE_WP_UNPOPULATED) &&
	    madvise((void *)(uintptr_t)seg->hva, seg->range.len,
		    MADV_POPULATE_READ))
		return spoor_fail_errno("process tracker: MADV_POPULATE_READ "
					"of 0x%" PRIx64 "+0x%" PRIx64,
					seg->hva, seg->range.len);

	/* hugetlbfs takes no range smaller than its pages: refused now, not
	 * at the first fault. */
	ret = spoor_process_protect(p, seg->hva, p->page, true);
	if (!ret)
		ret = spoor_process_protect(p, seg->hva, seg->range.len, true);
	return ret;
}

static int process_stop(struct spoor_tracker *t)
{
	struct process_tracker *p = process(t);
	int ret = 0;

	if (p->kind->stop)
		p->kind->stop(p);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	if (p->uffd >= 0) {
		ret = spoor_process_unregister(p);
		close(p->uffd);
		p->uffd = -1;
	}
	free(p->segments);
	p->segments = NULL;
	p->nr_segments = 0;
	return ret;
}

/* The steps of start; what a failed one leaves, process_stop() clears. */
static int try_start(struct process_tracker *p,
		     const struct spoor_range *ranges, size_t nr_ranges)
{
	uint64_t offered;
	size_t i;
	int ret;

	for (i = 0; i < nr_ranges; i++) {
		ret = find_segments(p, &ranges[i]);
		if (ret)
			return ret;
	}
	ret = open_uffd(p->features, &p->uffd, &offered);
	if (ret)
		return ret;
	for (i = 0; i < p->nr_segments; i++) {
		ret = register_segment(p, &p->segments[i]);
		if (ret)
			return ret;
	}
	/* Whoever serves faults must be there before the first one. */
	ret = p->kind->start(p);
	if (ret)
		return ret;
	for (i = 0; i < p->nr_segments; i++) {
		ret = arm_segment(p, &p->segments[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static int process_start(struct spoor_tracker *t,
			 const struct spoor_range *ranges, size_t nr_ranges,
			 uint64_t page_size, uint64_t *ret_page_size)
{
	struct process_tracker *p = process(t);
	int ret;

	(void)page_size; /* there is but one */
	ret = try_start(p, ranges, nr_ranges);
	if (ret) {
		process_stop(t);
		return ret;
	}
	*ret_page_size = p->page;
	return 0;
}

static int process_collect(struct spoor_tracker *t,
			   const struct spoor_range *range,
			   struct spoor_bitmap *into)
{
	struct process_tracker *p = process(t);
	struct spoor_range part;
	size_t i;
	int ret;

	for (i = 0; i < p->nr_segments; i++) {
		if (!spoor_range_intersect(&p->segments[i].range, range, &part))
			continue;
		ret = p->kind->collect(p, i, &part, into);
		if (ret)
			return ret;
	}
	return 0;
}

static void process_caps(struct spoor_tracker *t,
			 struct spoor_tracker_caps *ret)
{
	*ret = (struct spoor_tracker_caps){
		.kind = SPOOR_TRACKER_PROCESS,
		.page_sizes = process(t)->page,
		.flags = SPOOR_TRACKER_EXACT,
	};
}

/* The CPU, and no device: DMA goes through other mappings, or none. */
static bool process_covers(const struct spoor_tracker *t,
			   const struct spoor_device *dev)
{
	(void)t;
	return !dev;
}

static void process_free(struct spoor_tracker *t)
{
	free(process(t));
}

static const struct spoor_tracker_ops process_ops = {
	.kind = SPOOR_TRACKER_PROCESS,
	.caps = process_caps,
	.covers = process_covers,
	.start = process_start,
	.collect = process_collect,
	.stop = process_stop,
	.free = process_free,
};

static const struct process_kind *choose_kind(enum spoor_process_mode mode,
					      uint64_t offered)
{
	static const struct process_kind *const kinds[] = {
		&spoor_process_async,
		&spoor_process_sync,
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (mode != SPOOR_PROCESS_AUTO && mode != kinds[i]->mode)
			continue;
		if ((offered & kinds[i]->features) == kinds[i]->features &&
		    !kinds[i]->probe())
			return kinds[i];
	}
	return NULL;
}

int spoor_tracker_open_process(struct spoor_tracker **ret,
			       const struct spoor_memory *m,
			       enum spoor_process_mode mode)
{
	const struct process_kind *kind;
	struct process_tracker *p;
	SPOOR_AUTO_FD fd = -1;
	uint64_t offered = 0;
	int err;

	err = open_uffd(0, &fd, &offered);
	if (err)
		return err;
	kind = choose_kind(mode, offered);
	if (!kind)
		return spoor_fail(EOPNOTSUPP,
				  "process tracker: mode %u is not served by "
				  "this kernel (userfaultfd features 0x%" PRIx64
				  ")",
				  (unsigned int)mode, offered);
	p = calloc(1, kind->size);
	if (!p)
		return spoor_fail(ENOMEM, "process tracker: out of memory");
	spoor_tracker_init(&p->t, &process_ops);
	p->kind = kind;
	p->memory = m;
	p->features = kind->features | (offered & UFFD_FEATURE_WP_UNPOPULATED);
	p->page = (uint64_t)sysconf(_SC_PAGESIZE);
	p->uffd = -1;
	p->fd = -1;
	*ret = &p->t;
	return 0;
}
