/* SPDX-License-Identifier: MIT */
/*
 * VFIO devices and their migration states, as the kernel names them.
 *
 * Opening a device discovers it (sysfs); it is usable once it is attached to
 * a DMA address space, see <spoor/space.h>: a cdev is bound to an iommufd
 * there, a group put into a container.
 *
 * Threads: one thread at a time per device; several devices may be driven
 * from several threads.  Two calls are free of this once the device is
 * attached: spoor_device_region_read() and _write() may be made by any number
 * of threads at any time, also while a migration drives the device, so that
 * guests' CPUs reach their devices.  Whoever makes them keeps from a device
 * that is blocked (hook `block` in <spoor/migration.h>).
 */
#ifndef SPOOR_DEVICE_H
#define SPOOR_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>

#ifdef __cplusplus
extern "C" {
#endif

struct spoor_device;

/* enum vfio_device_mig_state */
enum spoor_device_state {
	SPOOR_STATE_ERROR = 0,
	SPOOR_STATE_STOP = 1,
	SPOOR_STATE_RUNNING = 2,
	SPOOR_STATE_STOP_COPY = 3,
	SPOOR_STATE_RESUMING = 4,
	SPOOR_STATE_RUNNING_P2P = 5,
	SPOOR_STATE_PRE_COPY = 6,
	SPOOR_STATE_PRE_COPY_P2P = 7,
};

/* VFIO_MIGRATION_*: what VFIO_DEVICE_FEATURE_MIGRATION offers; 0 is none */
#define SPOOR_MIGRATION_STOP_COPY (1u << 0)
#define SPOOR_MIGRATION_P2P	  (1u << 1)
#define SPOOR_MIGRATION_PRE_COPY  (1u << 2)

struct spoor_device_opts {
	size_t size; /* sizeof(struct spoor_device_opts) */
	const char *name; /* what errors and plans call it; NULL: the address */
	/*
	 * Declared by the user: in P2P states this device stops all DMA, not
	 * only DMA to peers.  The kernel does not tell.
	 */
	bool p2p_stops_all;
};

struct spoor_device_info {
	const char *name; /* borrowed from the device */
	const char *address; /* "0000:01:00.0" or what sysfs calls it */
	const char *cdev; /* "/dev/vfio/devices/vfio0", "" if there is none */
	int group; /* IOMMU group number, -1 if there is none */
	bool noiommu; /* a No-IOMMU group: nothing tracks, nothing migrates */
	bool attached; /* the fields below are known once attached */
	unsigned int migration; /* SPOOR_MIGRATION_* */
	bool p2p_stops_all;
	unsigned int nr_regions;
	unsigned int nr_irqs;
	bool can_reset;
};

struct spoor_device_region {
	uint64_t size; /* bytes, 0 if the region does not exist */
	bool read, write, mmap;
};

/**
 * spoor_device_open() - find a device
 * @ret:  on success, the device; release with spoor_device_free().
 * @spec: a PCI address ("0000:03:00.0"), "/dev/vfio/devices/vfioN", or the
 *        sysfs directory of the device; copied.
 * @opts: NULL or options; strings are copied.
 *
 * Return: 0, or
 *   -EINVAL  @spec has none of these forms
 *   -ENODEV  there is no such device, or it is not bound to a VFIO driver
 *   -ENOMEM  out of memory
 *   another  sysfs or /dev could not be read
 */
SPOOR_API SPOOR_NODISCARD int
spoor_device_open(struct spoor_device **ret, const char *spec,
		  const struct spoor_device_opts *opts);

/**
 * spoor_device_adopt() - use a device that the caller has set up already
 * @ret:  on success, the device; release with spoor_device_free().
 * @fd:   VFIO device fd, bound and attached; borrowed, never closed.
 * @opts: options with a name, required here.
 *
 * For VMMs with their own VFIO code.  Such a device is attached and cannot be
 * attached again.
 *
 * Return: 0, or
 *   -EINVAL  @fd is no VFIO device, or there is no name
 *   -ENOMEM  out of memory
 */
SPOOR_API SPOOR_NODISCARD int
spoor_device_adopt(struct spoor_device **ret, int fd,
		   const struct spoor_device_opts *opts);

/**
 * spoor_device_get_info() - what is known of a device
 * @dev: device.
 * @ret: filled in; strings are borrowed from the device.
 */
SPOOR_API void spoor_device_get_info(const struct spoor_device *dev,
				     struct spoor_device_info *ret);

/**
 * spoor_device_fd() - the kernel's descriptor of a device
 * @dev: device.
 *
 * For calls that this library does not make.  What changes the migration state
 * behind its back must be undone before it is used again.
 *
 * Return: the descriptor, borrowed from the device, or -1 if it is not
 * attached.
 */
SPOOR_API int spoor_device_fd(const struct spoor_device *dev);

/**
 * spoor_device_state_name() - "RUNNING", "PRE_COPY_P2P", ...
 * @state: a state; others give "?".
 */
SPOOR_API const char *spoor_device_state_name(enum spoor_device_state state);

/**
 * spoor_device_get_state() - the state the kernel says the device is in
 * @dev: attached device.
 * @ret: on success, the state (VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, GET).
 *
 * Return: 0, or -EOPNOTSUPP if the device does not migrate, -ENODEV if it is
 * not attached, or the ioctl's errno.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_device_get_state(struct spoor_device *dev, enum spoor_device_state *ret);

/**
 * spoor_device_set_state() - change the migration state
 * @dev:   attached device.
 * @state: wanted state; the kernel walks the arcs between.
 *
 * When the new state begins a data session its file descriptor is kept for
 * spoor_device_read_state() and _write_state(); when it ends one, that one is
 * closed.  A failed change is not atomic: ask spoor_device_get_state().
 *
 * Return: 0, or
 *   -EOPNOTSUPP  the device does not migrate
 *   -ENODEV      not attached
 *   -EINVAL      no such state, or not reachable from here
 *   -EBADF       the device was there already, by a change that failed, and
 *                the data session was lost with it: go through STOP
 *   another      the driver's errno; the device may be in ERROR: reset it
 */
SPOOR_API SPOOR_NODISCARD int
spoor_device_set_state(struct spoor_device *dev, enum spoor_device_state state);

/**
 * spoor_device_read_state() - read from the open data session
 * @dev: device in PRE_COPY, PRE_COPY_P2P or STOP_COPY.
 * @buf: where to.
 * @len: at most so many bytes.
 *
 * Return: bytes read; 0 at the end of the state (STOP_COPY), or
 *   -ENOMSG  pre-copy: nothing more for now
 *   -EBADF   no data session is open
 *   another  errno of read(2); the state is not usable
 */
SPOOR_API SPOOR_NODISCARD long spoor_device_read_state(struct spoor_device *dev,
						       void *buf, size_t len);

/**
 * spoor_device_write_state() - write all of a buffer to the data session
 * @dev: device in RESUMING.
 * @buf: bytes read from the source's session, in order.
 * @len: their number; short writes are continued.
 *
 * Return: 0, or -EBADF if no session is open, or errno of write(2).
 */
SPOOR_API SPOOR_NODISCARD int
spoor_device_write_state(struct spoor_device *dev, const void *buf, size_t len);

/**
 * spoor_device_precopy_info() - bytes of pre-copy data left
 * @dev:         device in PRE_COPY or PRE_COPY_P2P.
 * @ret_initial: on success, initial bytes left (VFIO_MIG_GET_PRECOPY_INFO).
 * @ret_dirty:   on success, bytes that changed since.
 *
 * Return: 0, or -EBADF if no session is open, or the ioctl's errno.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_device_precopy_info(struct spoor_device *dev, uint64_t *ret_initial,
			  uint64_t *ret_dirty);

/**
 * spoor_device_state_size() - estimate of the STOP_COPY stream
 * @dev: attached device.
 * @ret: on success, bytes (VFIO_DEVICE_FEATURE_MIG_DATA_SIZE).
 *
 * Return: 0, or -EOPNOTSUPP if the kernel cannot tell, or the ioctl's errno.
 */
SPOOR_API SPOOR_NODISCARD int spoor_device_state_size(struct spoor_device *dev,
						      uint64_t *ret);

/**
 * spoor_device_reset() - VFIO_DEVICE_RESET: to RUNNING, its work forgotten
 * @dev: attached device; open data sessions are closed.
 *
 * Return: 0, or -ENOTTY if the device cannot be reset, or the ioctl's errno.
 */
SPOOR_API SPOOR_NODISCARD int spoor_device_reset(struct spoor_device *dev);

/**
 * spoor_device_region() - size and access of a region
 * @dev:   attached device.
 * @index: VFIO_PCI_*_REGION_INDEX.
 * @ret:   filled in on success.
 *
 * Return: 0, or -EINVAL if there is no such index.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_device_region(struct spoor_device *dev, unsigned int index,
		    struct spoor_device_region *ret);

/**
 * spoor_device_region_read() - read device registers or config space
 * @dev:    attached device.
 * @index:  VFIO_PCI_*_REGION_INDEX.
 * @offset: bytes from the start of the region.
 * @buf:    where to.
 * @len:    bytes; all or nothing.
 *
 * Return: 0, or -EIO if the device answered short, or errno of pread(2).
 */
SPOOR_API SPOOR_NODISCARD int spoor_device_region_read(struct spoor_device *dev,
						       unsigned int index,
						       uint64_t offset,
						       void *buf, size_t len);

/**
 * spoor_device_region_write() - write device registers or config space
 * @dev:    attached device.
 * @index:  VFIO_PCI_*_REGION_INDEX.
 * @offset: bytes from the start of the region.
 * @buf:    the bytes.
 * @len:    their number; all or nothing.
 *
 * Return: 0, or -EIO if the device took less, or errno of pwrite(2).
 */
SPOOR_API SPOOR_NODISCARD int
spoor_device_region_write(struct spoor_device *dev, unsigned int index,
			  uint64_t offset, const void *buf, size_t len);

/**
 * spoor_device_region_map() - map a region's memory
 * @dev:   attached device.
 * @index: VFIO_PCI_*_REGION_INDEX of an mmap-able region.
 * @ret:   on success, its address; unmapped by spoor_device_free().
 *
 * Return: 0, or -EOPNOTSUPP if it cannot be mapped, or errno of mmap(2).
 */
SPOOR_API SPOOR_NODISCARD int spoor_device_region_map(struct spoor_device *dev,
						      unsigned int index,
						      void **ret);

/**
 * spoor_device_set_irq() - deliver an interrupt through an eventfd
 * @dev:    attached device.
 * @index:  VFIO_PCI_*_IRQ_INDEX.
 * @vector: vector number, from 0.
 * @fd:     eventfd, borrowed by the kernel; -1 takes it away.
 *
 * Return: 0, or -EINVAL if there is no such vector, or the ioctl's errno.
 */
SPOOR_API SPOOR_NODISCARD int spoor_device_set_irq(struct spoor_device *dev,
						   unsigned int index,
						   unsigned int vector, int fd);

/**
 * spoor_device_free() - close a device
 * @dev: device, or NULL; detached from its space.
 *
 * Return: NULL.
 */
SPOOR_API struct spoor_device *spoor_device_free(struct spoor_device *dev);

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_DEVICE_H */
