/* SPDX-License-Identifier: MIT */
/*
 * Spaces on /dev/iommu: one IOAS, and page tables (HWPT) with dirty bits for
 * the devices whose IOMMU has them.  Devices behind different IOMMUs may need
 * different page tables over the same IOAS; those without dirty bits, and
 * emulated ones, go to the IOAS itself.
 *
 * Invariant: hwpts[] are the page tables made here; each maps all of the IOAS.
 * Threads: one at a time per space.
 */
#include "iommu/space_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/uapi_iommufd.h"
#include "base/uapi_vfio.h"
#include "device/device_priv.h"

struct spoor_space_hwpt *spoor_space_find_hwpt(struct spoor_space *s,
					       uint32_t id)
{
	size_t i;

	for (i = 0; i < s->nr_hwpts; i++)
		if (s->hwpts[i].id == id)
			return &s->hwpts[i];
	return NULL;
}

static int set_small_pages(struct spoor_space *s, int fd, uint32_t ioas)
{
	struct iommu_option opt = {
		.size = sizeof(opt),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = ioas,
		.val64 = 0,
	};

	if (ioctl(fd, IOMMU_OPTION, &opt) < 0)
		return spoor_fail_errno(
			"space %s: IOMMU_OPTION(HUGE_PAGES = 0) of IOAS %u",
			s->name, ioas);
	return 0;
}

static int iommufd_open(struct spoor_space *s)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	SPOOR_AUTO_FD fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	int err;

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return spoor_fail(ENOENT,
				  "space %s: no /dev/iommu: load the iommufd "
				  "module (CONFIG_IOMMUFD, 6.6 for devices), "
				  "or use backend type1",
				  s->name);
	if (fd < 0)
		return spoor_fail_errno("space %s: open /dev/iommu", s->name);
	if (ioctl(fd, IOMMU_IOAS_ALLOC, &alloc) < 0)
		return spoor_fail_errno("space %s: IOMMU_IOAS_ALLOC", s->name);
	if (s->opts.iommu_page == 4096) {
		err = set_small_pages(s, fd, alloc.out_ioas_id);
		if (err)
			return err;
	}
	s->ioas_id = alloc.out_ioas_id;
	s->fd = SPOOR_STEAL_FD(fd);
	return 0;
}

/* -errno without text; *pt_id becomes the page table really attached to. */
static int attach_pt(int fd, uint32_t *pt_id)
{
	struct vfio_device_attach_iommufd_pt at = {
		.argsz = SPOOR_ATTACH_ARGSZ,
		.pt_id = *pt_id,
	};

	if (ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at) < 0)
		return -errno;
	*pt_id = at.pt_id;
	return 0;
}

/* An emulated device has no IOMMU to ask: any failure means no dirty bits. */
static bool iommu_has_dirty_bits(struct spoor_space *s, uint32_t devid)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = devid };

	return ioctl(s->fd, IOMMU_GET_HW_INFO, &info) == 0 &&
	       (info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
}

static int attach_new_hwpt(struct spoor_space *s, struct spoor_device *dev,
			   int fd, uint32_t devid, uint32_t *ret_pt)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
		.dev_id = devid,
		.pt_id = s->ioas_id,
	};
	struct iommu_destroy destroy = { .size = sizeof(destroy) };
	struct spoor_space_hwpt *hwpts;
	uint32_t pt;
	int err;

	hwpts = realloc(s->hwpts, (s->nr_hwpts + 1) * sizeof(*hwpts));
	if (!hwpts)
		return spoor_fail(ENOMEM, "%s: attach: out of memory",
				  dev->name);
	s->hwpts = hwpts;
	if (ioctl(s->fd, IOMMU_HWPT_ALLOC, &alloc) < 0)
		return spoor_fail_errno("%s: IOMMU_HWPT_ALLOC(DIRTY_TRACKING) "
					"over IOAS %u of space %s",
					dev->name, s->ioas_id, s->name);
	pt = alloc.out_hwpt_id;
	err = attach_pt(fd, &pt);
	if (err) {
		destroy.id = alloc.out_hwpt_id;
		(void)ioctl(s->fd, IOMMU_DESTROY, &destroy);
		errno = -err;
		return spoor_fail_errno("%s: VFIO_DEVICE_ATTACH_IOMMUFD_PT to "
					"new HWPT %u of space %s",
					dev->name, alloc.out_hwpt_id, s->name);
	}
	hwpts[s->nr_hwpts++] = (struct spoor_space_hwpt){ .id = pt };
	*ret_pt = pt;
	return 0;
}

/* EINVAL is the uAPI's "this page table does not suit that device's IOMMU". */
static int attach_tracked(struct spoor_space *s, struct spoor_device *dev,
			  int fd, uint32_t devid, uint32_t *ret_pt)
{
	size_t i;

	for (i = 0; i < s->nr_hwpts; i++) {
		uint32_t pt = s->hwpts[i].id;
		int err = attach_pt(fd, &pt);

		if (!err) {
			*ret_pt = pt;
			return 0;
		}
		if (err != -EINVAL) {
			errno = -err;
			return spoor_fail_errno(
				"%s: VFIO_DEVICE_ATTACH_IOMMUFD_PT to HWPT %u "
				"of space %s",
				dev->name, s->hwpts[i].id, s->name);
		}
	}
	return attach_new_hwpt(s, dev, fd, devid, ret_pt);
}

static int attach_ioas(struct spoor_space *s, struct spoor_device *dev, int fd,
		       uint32_t *ret_pt)
{
	uint32_t pt = s->ioas_id;
	int err = attach_pt(fd, &pt);

	if (!err) {
		*ret_pt = pt;
		return 0;
	}
	errno = -err;
	return spoor_fail_errno(
		"%s: VFIO_DEVICE_ATTACH_IOMMUFD_PT to IOAS %u of space %s%s",
		dev->name, s->ioas_id, s->name,
		err == -EADDRINUSE ? " (something is mapped where its IOMMU "
				     "reserves addresses)"
				   : "");
}

static int iommufd_attach(struct spoor_space *s, struct spoor_device *dev)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = s->fd,
	};
	SPOOR_AUTO_FD fd = -1;
	uint32_t pt = 0;
	int err;

	if (!dev->cdev[0])
		return spoor_fail(ENODEV,
				  "%s: it has no /dev/vfio/devices entry: the "
				  "kernel lacks CONFIG_VFIO_DEVICE_CDEV (6.6); "
				  "use a type1 space",
				  dev->name);
	fd = open(dev->cdev, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return spoor_fail_errno("%s: open %s", dev->name, dev->cdev);
	if (ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0) {
		/* The kernel says EINVAL to a second opener, EBUSY to one
		 * while the group is in use. */
		if (errno == EINVAL)
			return spoor_fail(EBUSY,
					  "%s: VFIO_DEVICE_BIND_IOMMUFD: "
					  "another process has %s",
					  dev->name, dev->cdev);
		return spoor_fail_errno(
			"%s: VFIO_DEVICE_BIND_IOMMUFD of %s to space %s",
			dev->name, dev->cdev, s->name);
	}
	err = -EOPNOTSUPP;
	if (s->opts.dirty_tracking && iommu_has_dirty_bits(s, bind.out_devid))
		err = attach_tracked(s, dev, fd, bind.out_devid, &pt);
	/* Not wanted, or not possible after all: a plain page table. */
	if (err == -EOPNOTSUPP)
		err = attach_ioas(s, dev, fd, &pt);
	if (err)
		return err;
	dev->devid = bind.out_devid;
	dev->pt_id = pt;
	dev->fd = SPOOR_STEAL_FD(fd);
	return 0;
}

/* Closing the cdev detaches and unbinds. */
static void iommufd_detach(struct spoor_space *s, struct spoor_device *dev)
{
	(void)s;
	if (dev->fd >= 0)
		close(dev->fd);
	dev->fd = -1;
}

static int unmap_ioctl(struct spoor_space *s, const struct spoor_range *r)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = s->ioas_id,
		.iova = r->iova,
		.length = r->len,
	};

	return ioctl(s->fd, IOMMU_IOAS_UNMAP, &unmap) < 0 ? -errno : 0;
}

static int iommufd_map(struct spoor_space *s, const struct spoor_range *r,
		       void *hva, unsigned int flags)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 (flags & SPOOR_REGION_READONLY
				  ? 0
				  : IOMMU_IOAS_MAP_WRITEABLE),
		.ioas_id = s->ioas_id,
		.user_va = (uintptr_t)hva,
		.length = r->len,
		.iova = r->iova,
	};
	int err;

	if (ioctl(s->fd, IOMMU_IOAS_MAP, &map) == 0)
		return 0;
	err = errno;
	/*
	 * Either @hva is bad, or it was mapped and the answer did not get out:
	 * nothing else was there, that would have been EEXIST.
	 */
	if (err == EFAULT)
		(void)unmap_ioctl(s, r);
	errno = err;
	return spoor_fail_errno(
		"space %s: IOMMU_IOAS_MAP of 0x%llx+0x%llx to %p", s->name,
		(unsigned long long)r->iova, (unsigned long long)r->len, hva);
}

static int iommufd_unmap(struct spoor_space *s, const struct spoor_range *r)
{
	int err = unmap_ioctl(s, r);

	/* The answer did not get out.  Then it may be gone already. */
	if (err == -EFAULT) {
		err = unmap_ioctl(s, r);
		if (err == -ENOENT)
			err = 0;
	}
	if (!err)
		return 0;
	errno = -err;
	return spoor_fail_errno("space %s: IOMMU_IOAS_UNMAP of 0x%llx+0x%llx",
				s->name, (unsigned long long)r->iova,
				(unsigned long long)r->len);
}

/* Objects go with the iommufd. */
static void iommufd_close(struct spoor_space *s)
{
	(void)s;
}

const struct spoor_space_ops spoor_space_iommufd_ops = {
	.open = iommufd_open,
	.attach = iommufd_attach,
	.detach = iommufd_detach,
	.map = iommufd_map,
	.unmap = iommufd_unmap,
	.close = iommufd_close,
};
