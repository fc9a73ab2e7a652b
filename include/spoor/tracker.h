/* SPDX-License-Identifier: MIT */
/*
 * Dirty trackers: one interface over the sources of "which pages changed".
 *
 * A tracker answers one question for one source (a device's own log, the
 * dirty bits of an I/O page table, pinned pages, the CPU, or nobody): which
 * pages of this range may have been written since I last asked?  Policy (which
 * source, which page size, when to stop) belongs to the caller; see
 * <spoor/plan.h>.
 *
 * One read semantic for all: OR your dirty pages into my bitmap, and forget
 * them.  A caller hands one bitmap to each tracker in turn.
 *
 * Threads: a tracker may be used from any thread, by one thread at a time.
 * Two trackers never share state.
 */
#ifndef SPOOR_TRACKER_H
#define SPOOR_TRACKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/bitmap.h>
#include <spoor/common.h>
#include <spoor/device.h>
#include <spoor/memory.h>
#include <spoor/space.h>

#ifdef __cplusplus
extern "C" {
#endif

struct spoor_tracker;

enum spoor_tracker_kind {
	SPOOR_TRACKER_NONE = 0, /* plans: no tracker, the device is suspended */
	SPOOR_TRACKER_DEVICE = 1, /* the device's own DMA logging */
	SPOOR_TRACKER_IOMMU = 2, /* dirty bits of an HWPT */
	SPOOR_TRACKER_PINNED = 3, /* type1: pages its devices pinned */
	SPOOR_TRACKER_PROCESS = 4, /* stores of this process: userfaultfd-WP */
	SPOOR_TRACKER_ALL = 5, /* nobody tracks: everything is dirty */
	SPOOR_TRACKER_MERGED = 6, /* a tracker made of trackers */
};

/* It can be read only while the devices it covers are quiet. */
#define SPOOR_TRACKER_QUIET_READ (1u << 0)
/* What it reports was written: no false positives but page size. */
#define SPOOR_TRACKER_EXACT	 (1u << 1)
/* It reports everything mapped, at every read. */
#define SPOOR_TRACKER_EVERYTHING (1u << 2)

struct spoor_tracker_caps {
	enum spoor_tracker_kind kind;
	uint64_t page_sizes; /* bit n: granules of 2^n bytes can be asked for */
	unsigned int flags; /* SPOOR_TRACKER_* flags */
};

/* How the process tracker works. */
enum spoor_process_mode {
	SPOOR_PROCESS_AUTO = 0, /* async where the kernel has it, else sync */
	SPOOR_PROCESS_ASYNC = 1, /* UFFD_FEATURE_WP_ASYNC + PAGEMAP_SCAN, 6.7 */
	SPOOR_PROCESS_SYNC = 2, /* write faults served by a thread */
};

/**
 * spoor_tracker_open_device() - track through the device's own DMA logging
 * @ret: on success, the new tracker; untouched on failure.  Owned by the
 *       caller: release with spoor_tracker_free().
 * @dev: attached device; borrowed, must outlive the tracker.
 *
 * Opening starts nothing; spoor_tracker_start() does.
 *
 * Return: 0, or
 *   -EOPNOTSUPP  the device cannot log DMA
 *   -ENODEV      the device is not attached
 *   -ENOMEM      out of memory
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_open_device(struct spoor_tracker **ret, struct spoor_device *dev);

/**
 * spoor_tracker_open_iommu() - track through the dirty bits of an HWPT
 * @ret:   on success, the new tracker; untouched on failure.
 * @space: iommufd space; borrowed, must outlive the tracker.
 * @dev:   a device attached to it: the tracker covers every device on the
 *         same page table (HWPT) as this one.
 *
 * No uAPI tells how large the entries of a page table are.  With an iommu_page
 * of 4096 in @space's options they are pages; otherwise the size that is given
 * for this tracker is the usual one, and some may be larger or smaller: what
 * a read reports is right for any.
 *
 * Return: 0, or
 *   -EOPNOTSUPP  that page table keeps no dirty bits
 *   -EINVAL      @dev is not attached to @space
 *   -ENOMEM      out of memory
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_open_iommu(struct spoor_tracker **ret, struct spoor_space *space,
			 struct spoor_device *dev);

/**
 * spoor_tracker_open_pinned() - track through a type1 container
 * @ret:   on success, the new tracker; untouched on failure.
 * @space: type1 space; borrowed, must outlive the tracker.
 *
 * Covers every device of the container.  It reports the pages they pinned if
 * every group has pinned-page scope, else everything that is mapped; no uAPI
 * tells which, spoor_tracker_probe() tries.
 *
 * Return: 0, or
 *   -EOPNOTSUPP  @space is no type1 container, or it cannot track
 *   -ENOMEM      out of memory
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_open_pinned(struct spoor_tracker **ret,
			  struct spoor_space *space);

/**
 * spoor_tracker_open_process() - track the stores of this process
 * @ret:  on success, the new tracker; untouched on failure.
 * @m:    memory whose regions' hva are watched; borrowed.
 * @mode: which mechanism.
 *
 * Sees what goes through the regions' hva: CPU stores and the kernel's copies
 * on this process's behalf.  Never devices, nor other mappings of the file.
 * Discarding pages (MADV_DONTNEED, MADV_REMOVE, punching a hole) is no store:
 * say it by spoor_tracker_unmap() and spoor_tracker_map().
 *
 * In SPOOR_PROCESS_SYNC without the privilege to serve the kernel's own faults
 * (CAP_SYS_PTRACE, vm.unprivileged_userfaultfd, or access to /dev/userfaultfd)
 * system calls that write into tracked memory fail with EFAULT.  In it, type1
 * spaces map memory only before the start: Linux cannot pin pages for them that
 * are write protected (EFAULT).
 *
 * Return: 0, or
 *   -EOPNOTSUPP  this kernel lacks the mechanism (@mode)
 *   -EPERM       userfaultfd is not permitted here
 *   -ENOMEM      out of memory
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_open_process(struct spoor_tracker **ret,
			   const struct spoor_memory *m,
			   enum spoor_process_mode mode);

/**
 * spoor_tracker_open_all() - nobody tracks: everything is dirty
 * @ret: on success, the new tracker; untouched on failure.
 *
 * Return: 0, or -ENOMEM.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_open_all(struct spoor_tracker **ret);

/**
 * spoor_tracker_open_merged() - a tracker made of trackers
 * @ret:  on success, the new tracker; untouched on failure.
 * @parts: opened, stopped trackers; taken: freed with the merged one.  On
 *        failure they stay the caller's.
 * @nr:   number of entries in @parts, at least 1.
 *
 * Starts all (at one page size if all offer it, else each at its nearest; the
 * coarsest real one is returned), reads each into the same bitmap, covers what
 * any of them covers.
 *
 * Return: 0, or -EINVAL if @nr is 0, or -ENOMEM.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_open_merged(struct spoor_tracker **ret,
			  struct spoor_tracker *const *parts, size_t nr);

/**
 * spoor_tracker_probe() - find out by trying
 * @t:      an opened, stopped tracker.
 * @ranges: what would be tracked; borrowed.
 * @nr_ranges: number of entries in @ranges, at least 1.
 * @ret:    filled in on success.
 *
 * Starts, reads and stops: capabilities alone do not tell (a kernel may take
 * START and refuse every REPORT).
 *
 * Return: 0 (the tracker works as @ret says), or the errno of the step that
 * failed; spoor_errmsg() says which.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_probe(struct spoor_tracker *t, const struct spoor_range *ranges,
		    size_t nr_ranges, struct spoor_tracker_caps *ret);

/**
 * spoor_tracker_kind() - what kind of source this is
 * @t: tracker.
 */
SPOOR_API enum spoor_tracker_kind
spoor_tracker_kind(const struct spoor_tracker *t);

/**
 * spoor_tracker_kind_name() - "device", "iommu", "pinned", ...
 * @kind: kind; others give "none".
 */
SPOOR_API const char *spoor_tracker_kind_name(enum spoor_tracker_kind kind);

/**
 * spoor_tracker_covers() - is every DMA write of a device seen by a tracker?
 * @t:   tracker.
 * @dev: device; NULL asks for the CPU.
 */
SPOOR_API bool spoor_tracker_covers(const struct spoor_tracker *t,
				    const struct spoor_device *dev);

/**
 * spoor_tracker_start() - begin to track a set of ranges
 * @t:         an opened, stopped tracker.
 * @ranges:    IOVA ranges; copied.  Sorted, disjoint, page aligned.
 * @nr_ranges: number of entries in @ranges, at least 1.
 * @page_size: wanted granule in bytes, a power of two of at least 4096.
 * @ret_page_size: on success, the granule the source really uses, in bytes;
 *             it may be coarser or finer than asked.
 *
 * Return: 0, or
 *   -EOPNOTSUPP  the ranges lie outside what the source can address
 *   -EINVAL      @ranges unsorted, overlapping, unaligned, or past 2^64
 *   -EBUSY       already started, or another tracker reads this source
 *   -ENOMEM      out of memory
 *   another      the source's errno; nothing is started
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_start(struct spoor_tracker *t, const struct spoor_range *ranges,
		    size_t nr_ranges, uint64_t page_size,
		    uint64_t *ret_page_size);

/**
 * spoor_tracker_collect() - OR the dirty pages of a range into a bitmap
 * @t:       a started tracker.
 * @range:   IOVA range to ask about, 4 KiB aligned, inside what is tracked.
 * @into:    caller's bitmap, covering at least @range.  Bits are only ever
 *           set: bits already set, and bits outside @range, stay as they are.
 * @flags:   0; unknown flags are refused.
 * @ret_new: if not NULL, on success, the number of bits that went 0 -> 1.
 *
 * If the tracker's page size is larger than @into's, each reported granule
 * sets every bit it covers inside @range; if smaller, one write sets the bit
 * that covers it.  A source that forgets more than was asked for (a large
 * granule) is remembered: the rest is reported when it is asked for.
 *
 * No page is ever lost: a page the source forgets is set in @into, also when
 * the call fails half way.  After a failure @into may hold more than was
 * written, never less.
 *
 * Return: 0, or
 *   -EINVAL    @range unaligned or outside the tracked ranges, @into too
 *              small, or unknown @flags
 *   -EAGAIN    a QUIET_READ source, and its device is not quiet; nothing is
 *              forgotten, ask again
 *   -EIO       the source failed: what it held cannot be known, and the whole
 *              of @range has been set in @into.  Restart it, or drop it and
 *              count its devices all-dirty
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_collect(struct spoor_tracker *t, const struct spoor_range *range,
		      struct spoor_bitmap *into, unsigned int flags,
		      uint64_t *ret_new);

/**
 * spoor_tracker_collect_set() - collect every tracked range
 * @t:       a started tracker.
 * @into:    bitmaps of a memory; parts of tracked ranges that lie in no
 *           region are passed over.
 * @ret_new: if not NULL, set to the number of bits that went 0 -> 1, also
 *           when some range failed; untouched if nothing is started.
 *
 * Return: as spoor_tracker_collect(); every range is asked even if one fails,
 * and -EIO goes before -EAGAIN.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_collect_set(struct spoor_tracker *t,
			  struct spoor_bitmap_set *into, uint64_t *ret_new);

/**
 * spoor_tracker_map() - tell a started tracker of memory mapped since
 * @t:     a started tracker.
 * @range: page aligned, not tracked yet.
 *
 * A source that follows by itself (iommu, pinned) tracks it; for others the
 * range is counted dirty at every collect until the tracker is restarted with
 * the new ranges.
 *
 * Return: 0, or -EINVAL if @range is unaligned or overlaps, or -ENOMEM.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_map(struct spoor_tracker *t, const struct spoor_range *range);

/**
 * spoor_tracker_unmap() - tell a started tracker of memory unmapped since
 * @t:     a started tracker.
 * @range: page aligned, tracked.
 *
 * What it held of the range may be gone: the next collect reports all of it
 * once.  It may still be asked for then; it is clean.
 *
 * Return: 0, or -EINVAL if @range is not tracked, or -ENOMEM.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_tracker_unmap(struct spoor_tracker *t, const struct spoor_range *range);

/**
 * spoor_tracker_stop() - stop tracking; what was not collected is lost
 * @t: tracker; one that is not started is no error.
 *
 * Return: 0, or the source's errno (then it is stopped all the same).
 */
SPOOR_API int spoor_tracker_stop(struct spoor_tracker *t);

/**
 * spoor_tracker_free() - stop tracking and release a tracker
 * @t: tracker, or NULL (then nothing happens).
 *
 * Return: NULL, so that `t = spoor_tracker_free(t);` leaves no stale pointer.
 */
SPOOR_API struct spoor_tracker *spoor_tracker_free(struct spoor_tracker *t);

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_TRACKER_H */
