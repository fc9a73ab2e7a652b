/* SPDX-License-Identifier: MIT */
/*
 * Regions: BARs and config space, by pread, pwrite and mmap.
 *
 * Invariant: a BAR is mapped at most once; its mapping lives until the device
 * is freed.  Threads: reads and writes from any number, as they look only at
 * what attaching has fixed; mapping from one at a time.
 */
#include "device/device_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/uapi_vfio.h"

static int region_info(struct spoor_device *dev, unsigned int index,
		       struct vfio_region_info *ret)
{
	int err = spoor_device_need_fd(dev, "region");

	if (err)
		return err;
	*ret = (struct vfio_region_info){
		.argsz = sizeof(*ret),
		.index = index,
	};
	if (index >= dev->nr_regions)
		return spoor_fail(EINVAL, "%s: no region %u, it has %u",
				  dev->name, index, dev->nr_regions);
	if (ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, ret) < 0)
		return spoor_fail_errno(
			"%s: VFIO_DEVICE_GET_REGION_INFO of region %u",
			dev->name, index);
	return 0;
}

int spoor_device_region(struct spoor_device *dev, unsigned int index,
			struct spoor_device_region *ret)
{
	struct vfio_region_info info;
	int err = region_info(dev, index, &info);

	if (err)
		return err;
	*ret = (struct spoor_device_region){
		.size = info.size,
		.read = info.flags & VFIO_REGION_INFO_FLAG_READ,
		.write = info.flags & VFIO_REGION_INFO_FLAG_WRITE,
		.mmap = info.flags & VFIO_REGION_INFO_FLAG_MMAP,
	};
	return 0;
}

/* Where in the device's file an access goes; -EINVAL if outside the region. */
static int file_offset(struct spoor_device *dev, unsigned int index,
		       uint64_t offset, size_t len, off_t *ret)
{
	struct vfio_region_info info;
	int err = region_info(dev, index, &info);

	if (err)
		return err;
	if (offset > info.size || len > info.size - offset)
		return spoor_fail(EINVAL,
				  "%s: region %u has 0x%llx bytes, access at "
				  "0x%llx of 0x%zx",
				  dev->name, index,
				  (unsigned long long)info.size,
				  (unsigned long long)offset, len);
	*ret = (off_t)(info.offset + offset);
	return 0;
}

int spoor_device_region_read(struct spoor_device *dev, unsigned int index,
			     uint64_t offset, void *buf, size_t len)
{
	off_t at = 0;
	ssize_t n;
	int err = file_offset(dev, index, offset, len, &at);

	if (err)
		return err;
	n = pread(dev->fd, buf, len, at);
	if (n < 0)
		return spoor_fail_errno("%s: read region %u at 0x%llx",
					dev->name, index,
					(unsigned long long)offset);
	if ((size_t)n != len)
		return spoor_fail(
			EIO, "%s: read region %u at 0x%llx: %zd of %zu bytes",
			dev->name, index, (unsigned long long)offset, n, len);
	return 0;
}

int spoor_device_region_write(struct spoor_device *dev, unsigned int index,
			      uint64_t offset, const void *buf, size_t len)
{
	off_t at = 0;
	ssize_t n;
	int err = file_offset(dev, index, offset, len, &at);

	if (err)
		return err;
	n = pwrite(dev->fd, buf, len, at);
	if (n < 0)
		return spoor_fail_errno("%s: write region %u at 0x%llx",
					dev->name, index,
					(unsigned long long)offset);
	if ((size_t)n != len)
		return spoor_fail(
			EIO, "%s: write region %u at 0x%llx: %zd of %zu bytes",
			dev->name, index, (unsigned long long)offset, n, len);
	return 0;
}

/* Only parts of it may be mapped: the kernel lists them in a capability. */
static bool is_sparse(struct spoor_device *dev, unsigned int index,
		      uint32_t argsz)
{
	SPOOR_AUTO_HEAP struct vfio_region_info *info = NULL;
	uint32_t at;

	if (argsz <= sizeof(*info))
		return false;
	info = calloc(1, argsz);
	if (!info)
		return true;
	info->argsz = argsz;
	info->index = index;
	if (ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info) < 0)
		return true;
	if (!(info->flags & VFIO_REGION_INFO_FLAG_CAPS))
		return false;
	for (at = info->cap_offset; at >= sizeof(*info);) {
		struct vfio_info_cap_header h;

		if (at > argsz || argsz - at < sizeof(h))
			return true;
		memcpy(&h, (const char *)info + at, sizeof(h));
		if (h.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			return true;
		if (h.next <= at)
			break;
		at = h.next;
	}
	return false;
}

int spoor_device_region_map(struct spoor_device *dev, unsigned int index,
			    void **ret)
{
	struct spoor_device_map *maps;
	struct vfio_region_info info;
	int err = region_info(dev, index, &info);
	int prot = 0;
	void *addr;
	size_t i;

	if (err)
		return err;
	for (i = 0; i < dev->nr_maps; i++)
		if (dev->maps[i].index == index) {
			*ret = dev->maps[i].addr;
			return 0;
		}
	if (!(info.flags & VFIO_REGION_INFO_FLAG_MMAP) || !info.size)
		return spoor_fail(EOPNOTSUPP, "%s: region %u cannot be mapped",
				  dev->name, index);
	if (is_sparse(dev, index, info.argsz))
		return spoor_fail(EOPNOTSUPP,
				  "%s: only parts of region %u can be mapped",
				  dev->name, index);
	if (info.flags & VFIO_REGION_INFO_FLAG_READ)
		prot |= PROT_READ;
	if (info.flags & VFIO_REGION_INFO_FLAG_WRITE)
		prot |= PROT_WRITE;
	maps = realloc(dev->maps, (dev->nr_maps + 1) * sizeof(*maps));
	if (!maps)
		return spoor_fail(ENOMEM, "%s: map region %u: out of memory",
				  dev->name, index);
	dev->maps = maps;
	addr = mmap(NULL, info.size, prot, MAP_SHARED, dev->fd,
		    (off_t)info.offset);
	if (addr == MAP_FAILED)
		return spoor_fail_errno("%s: mmap region %u, 0x%llx bytes",
					dev->name, index,
					(unsigned long long)info.size);
	maps[dev->nr_maps++] = (struct spoor_device_map){
		.index = index,
		.addr = addr,
		.len = info.size,
	};
	*ret = addr;
	return 0;
}

void spoor_device_unmap_all(struct spoor_device *dev)
{
	while (dev->nr_maps) {
		struct spoor_device_map *m = &dev->maps[--dev->nr_maps];

		munmap(m->addr, m->len);
	}
	free(dev->maps);
	dev->maps = NULL;
}
