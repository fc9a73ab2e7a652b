/* SPDX-License-Identifier: MIT */
/*
 * DMA address spaces: an iommufd IOAS with one or more page tables (HWPT), or
 * a type1 container.  What is mapped here is what its devices can reach.
 *
 * Threads: one thread at a time per space.
 */
#ifndef SPOOR_SPACE_H
#define SPOOR_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>
#include <spoor/device.h>
#include <spoor/memory.h>

#ifdef __cplusplus
extern "C" {
#endif

struct spoor_space;

enum spoor_space_backend {
	SPOOR_SPACE_IOMMUFD = 1, /* /dev/iommu: IOAS and HWPT */
	SPOOR_SPACE_TYPE1 = 2, /* /dev/vfio/vfio: a type1v2 container */
};

struct spoor_space_opts {
	size_t size; /* sizeof(struct spoor_space_opts) */
	enum spoor_space_backend backend;
	/* iommufd: give devices page tables with dirty bits where possible */
	bool dirty_tracking;
	/*
	 * iommufd: 4096 switches large I/O page table entries off, so that
	 * dirty bits are 4 KiB fine; anything else leaves them to the kernel.
	 */
	uint64_t iommu_page;
};

struct spoor_space_info {
	const char *name; /* borrowed from the space */
	enum spoor_space_backend backend;
	size_t nr_devices;
	bool p2p; /* some peer's BAR is mapped */
};

/**
 * spoor_space_open() - a new, empty DMA address space
 * @ret:  on success, the space; release with spoor_space_free().
 * @name: what errors and plans call it; copied.
 * @opts: options; required.
 *
 * Return: 0, or
 *   -EINVAL  unknown backend
 *   -ENOENT  this kernel has no /dev/iommu (or /dev/vfio/vfio)
 *   -EACCES  no permission
 *   -ENOMEM  out of memory
 */
SPOOR_API SPOOR_NODISCARD int
spoor_space_open(struct spoor_space **ret, const char *name,
		 const struct spoor_space_opts *opts);

/**
 * spoor_space_get_info() - what is known of a space
 * @space: space.
 * @ret:   filled in; strings are borrowed from the space.
 */
SPOOR_API void spoor_space_get_info(const struct spoor_space *space,
				    struct spoor_space_info *ret);

/**
 * spoor_space_attach() - let a device's DMA go through a space
 * @space: space.
 * @dev:   an opened device, not attached anywhere; borrowed.
 *
 * iommufd: binds the cdev, then attaches to a page table of this space that
 * takes the device, with dirty tracking where wanted and possible.  type1:
 * puts the device's group into the container.
 *
 * Return: 0, or
 *   -EBUSY   attached already, or the group is used elsewhere
 *   -ENODEV  the device has no cdev (iommufd) or no group (type1)
 *   -EOPNOTSUPP  it is in a No-IOMMU group
 *   another  the ioctl's errno; nothing is attached
 */
SPOOR_API SPOOR_NODISCARD int spoor_space_attach(struct spoor_space *space,
						 struct spoor_device *dev);

/**
 * spoor_space_map() - make memory reachable
 * @space: space.
 * @range: IOVA range, page aligned, not mapped yet.
 * @hva:   its bytes, in this process.
 * @flags: SPOOR_REGION_*.
 *
 * While trackers run, tell them: spoor_tracker_map(), or use
 * spoor_machine_map(), which does both.
 *
 * Return: 0, or -EEXIST if part of it is mapped, or the ioctl's errno.
 */
SPOOR_API SPOOR_NODISCARD int spoor_space_map(struct spoor_space *space,
					      const struct spoor_range *range,
					      void *hva, unsigned int flags);

/**
 * spoor_space_map_memory() - map every region of a memory
 * @space: space.
 * @m:     memory; borrowed for the call.
 *
 * Return: 0, or as spoor_space_map(); then nothing of @m stays mapped.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_space_map_memory(struct spoor_space *space, const struct spoor_memory *m);

/**
 * spoor_space_unmap() - make memory unreachable
 * @space: space.
 * @range: exactly what one or several maps made.
 *
 * What trackers knew of it may be lost: its whole range counts as dirty.
 * While trackers run use spoor_machine_unmap(), or spoor_tracker_unmap()
 * afterwards.
 *
 * Return: 0, or -ENOENT if nothing is mapped there, or -EINVAL if @range cuts a
 * mapping (then nothing is unmapped), or the ioctl's errno.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_space_unmap(struct spoor_space *space, const struct spoor_range *range);

/**
 * spoor_space_map_peer() - make a peer's BAR reachable (P2P)
 * @space: space; type1, or an iommufd new enough.
 * @peer:  attached device whose BAR it is; borrowed until it is unmapped.
 * @index: VFIO_PCI_BARn_REGION_INDEX, mmap-able.
 * @iova:  where.
 *
 * Return: 0, or -EOPNOTSUPP if the BAR cannot be mapped or this backend
 * refuses BARs, or the ioctl's errno.
 */
SPOOR_API SPOOR_NODISCARD int spoor_space_map_peer(struct spoor_space *space,
						   struct spoor_device *peer,
						   unsigned int index,
						   uint64_t iova);

/**
 * spoor_space_block_peer() - take a peer's BARs out of a space, or back in
 * @space:   space.
 * @peer:    the device whose BARs were mapped; one without is no error.
 * @blocked: true: unmap them; false: map them again where they were.
 *
 * Return: 0, or the ioctl's errno.
 */
SPOOR_API SPOOR_NODISCARD int spoor_space_block_peer(struct spoor_space *space,
						     struct spoor_device *peer,
						     bool blocked);

/**
 * spoor_space_reaches_peer() - is another device's BAR mapped here?
 * @space: space.
 * @dev:   the device that would do the DMA: its own BAR does not count.
 *
 * Return: the peer, borrowed, or NULL.
 */
SPOOR_API struct spoor_device *
spoor_space_reaches_peer(const struct spoor_space *space,
			 const struct spoor_device *dev);

/**
 * spoor_space_free() - close a space
 * @space: space, or NULL; its devices must have been freed.
 *
 * Return: NULL.
 */
SPOOR_API struct spoor_space *spoor_space_free(struct spoor_space *space);

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_SPACE_H */
