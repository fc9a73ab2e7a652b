/* SPDX-License-Identifier: MIT */
/*
 * The kernel's IOMMU side: iommufd (IOAS, HWPT) and type1 (containers,
 * groups), as the device side sees it.  A device's DMA goes through its
 * attachment; the walk translates page by page under the space's read lock,
 * lets the caller copy, and then sets the dirty bits: data first, then mark.
 *
 * Threads: all of it from any thread.  Unmapping takes the write lock, so it
 * waits for DMA in flight.
 */
#ifndef SOFTVFIO_IOMMU_H
#define SOFTVFIO_IOMMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softvfio/file.h"

struct sv_device;
struct sv_attachment; /* device <-> page table, or <-> container */

/* One piece of memory that a device address leads to, within a 4K page. */
struct sv_target {
	uint8_t *ptr; /* softvfio's own mapping; NULL for a peer's BAR */
	/* ptr is the program's: it may unmap it, and is not to die of that */
	bool borrowed;
	struct sv_device *peer; /* not NULL: a BAR of this device */
	unsigned int bar;
	uint64_t bar_offset;
};

/*
 * Translate [iova, iova+len), which does not cross a 4 KiB boundary, and call
 * @fn on it; if @fn returns 0 and @write, mark it dirty in the page table.
 * @mark_first plants the bug of marking before @fn.  -EFAULT: not mapped, or
 * mapped without that permission: an IOMMU fault, nothing was touched.
 */
int sv_attachment_access(struct sv_attachment *a, uint64_t iova, size_t len,
			 bool write, bool mark_first,
			 int (*fn)(void *ctx, const struct sv_target *t),
			 void *ctx);

/* Pages held by a driver (type1: pinned scope, dirty while pinned). */
int sv_attachment_pin(struct sv_attachment *a, uint64_t iova, uint64_t nr_pages,
		      bool write);
int sv_attachment_unpin(struct sv_attachment *a, uint64_t iova,
			uint64_t nr_pages);

/* open("/dev/iommu"), open("/dev/vfio/vfio"), open("/dev/vfio/N") */
int sv_iommufd_open(struct sv_file **ret);
int sv_container_open(struct sv_file **ret);
int sv_group_open(struct sv_file **ret, unsigned int group);

/* A device's file from GET_DEVICE_FD was closed: its group may go now. */
void sv_group_device_closed(struct sv_device *dev);
/*
 * A cdev is to be bound: from here until the unclaim its group cannot be
 * opened.  -EBUSY: it is open.  Not under the device's open lock.
 */
int sv_group_claim_cdev(struct sv_device *dev);
void sv_group_unclaim_cdev(struct sv_device *dev);
/* Is it a group's file, and the group the device's? */
bool sv_group_file_owns(const struct sv_file *f, const struct sv_device *dev);

/* For the cdev: BIND, ATTACH, DETACH, and the device's close. */
int sv_iommufd_bind(int iommufd, struct sv_device *dev, uint32_t *ret_devid);
/*
 * For a group in an iommufd: its file, with an IOAS for VFIO's calls; and a
 * device bound to it and attached to that.  -EBADFD: no iommufd.
 */
int sv_iommufd_compat_file(int fd, struct sv_file **ret);
int sv_iommufd_compat_bind(struct sv_file *f, struct sv_device *dev);
int sv_iommufd_attach(struct sv_device *dev, uint32_t *pt_id);
int sv_iommufd_detach(struct sv_device *dev);
void sv_iommufd_unbind(struct sv_device *dev);

/* Counters of spaces for SOFTVFIO_STATS; calls @fn for each live space. */
struct sv_space_counters {
	const char *name; /* "ioas1.hwpt2", "container1" */
	uint64_t marks, dirty_reads, pages_reported, discarded, write_faults;
	uint64_t read_ns;
};
void sv_spaces_each(void (*fn)(void *ctx, const struct sv_space_counters *c),
		    void *ctx);

#endif /* SOFTVFIO_IOMMU_H */
