/* SPDX-License-Identifier: MIT */
/*
 * Spaces on a type1v2 container.  The kernel gives a container its IOMMU type
 * with its first group and takes it, with all mappings, when the last one
 * leaves; so mappings made before that are kept and made real then.
 *
 * Invariant: groups[] are in the container; iommu_set exactly while there are
 * any, and then the kernel has every mapping of the space.
 * Threads: one at a time per space.
 */
#include "iommu/space_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/uapi_vfio.h"
#include "device/device_priv.h"

static int type1_open(struct spoor_space *s)
{
	SPOOR_AUTO_FD fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return spoor_fail(
			ENOENT,
			"space %s: no /dev/vfio/vfio: load the vfio and "
			"vfio_iommu_type1 modules (CONFIG_VFIO_CONTAINER), or "
			"use backend iommufd",
			s->name);
	if (fd < 0)
		return spoor_fail_errno("space %s: open /dev/vfio/vfio",
					s->name);
	version = ioctl(fd, VFIO_GET_API_VERSION);
	if (version != VFIO_API_VERSION)
		return spoor_fail(ENOTSUP,
				  "space %s: VFIO API version %d, not %d",
				  s->name, version, VFIO_API_VERSION);
	if (ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0)
		return spoor_fail(ENOENT,
				  "space %s: this kernel has no type1v2 IOMMU: "
				  "load vfio_iommu_type1",
				  s->name);
	s->fd = SPOOR_STEAL_FD(fd);
	return 0;
}

static int map_dma(struct spoor_space *s, const struct spoor_range *r,
		   void *hva, unsigned int flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ |
			 (flags & SPOOR_REGION_READONLY
				  ? 0
				  : VFIO_DMA_MAP_FLAG_WRITE),
		.vaddr = (uintptr_t)hva,
		.iova = r->iova,
		.size = r->len,
	};

	if (ioctl(s->fd, VFIO_IOMMU_MAP_DMA, &map) < 0)
		return spoor_fail_errno(
			"space %s: VFIO_IOMMU_MAP_DMA of 0x%llx+0x%llx to %p",
			s->name, (unsigned long long)r->iova,
			(unsigned long long)r->len, hva);
	return 0;
}

static int type1_map(struct spoor_space *s, const struct spoor_range *r,
		     void *hva, unsigned int flags)
{
	return s->iommu_set ? map_dma(s, r, hva, flags) : 0;
}

/* Bytes unmapped, or -errno. */
static long long unmap_ioctl(struct spoor_space *s, const struct spoor_range *r)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = r->iova,
		.size = r->len,
	};

	if (ioctl(s->fd, VFIO_IOMMU_UNMAP_DMA, &unmap) < 0)
		return -errno;
	return (long long)unmap.size;
}

static int type1_unmap(struct spoor_space *s, const struct spoor_range *r)
{
	long long n;

	if (!s->iommu_set)
		return 0;
	n = unmap_ioctl(s, r);
	/* The answer did not get out.  Then it may be gone already. */
	if (n == -EFAULT) {
		n = unmap_ioctl(s, r);
		if (!n)
			return 0;
	}
	if (n < 0) {
		errno = (int)-n;
		return spoor_fail_errno(
			"space %s: VFIO_IOMMU_UNMAP_DMA of 0x%llx+0x%llx",
			s->name, (unsigned long long)r->iova,
			(unsigned long long)r->len);
	}
	/* It answers 0 for a range it did not find. */
	if ((uint64_t)n != r->len)
		return spoor_fail(
			EIO,
			"space %s: VFIO_IOMMU_UNMAP_DMA of 0x%llx+0x%llx: the "
			"kernel unmapped 0x%llx bytes",
			s->name, (unsigned long long)r->iova,
			(unsigned long long)r->len, (unsigned long long)n);
	return 0;
}

/* Give the freshly typed container what was mapped before. */
static int map_again(struct spoor_space *s)
{
	size_t i;

	for (i = 0; i < s->nr_mappings; i++) {
		const struct spoor_space_mapping *m = &s->mappings[i];
		int err = map_dma(s, &m->range, m->hva, m->flags);

		if (err)
			return err;
	}
	for (i = 0; i < s->nr_peers; i++) {
		const struct spoor_space_peer *p = &s->peers[i];
		int err = p->blocked ? 0 : map_dma(s, &p->range, p->hva, 0);

		if (err)
			return err;
	}
	return 0;
}

static int open_group(const struct spoor_device *dev)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	SPOOR_AUTO_FD fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/dev/vfio/%d", dev->group);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY)
		return spoor_fail(EBUSY,
				  "%s: %s is in use: another process, another "
				  "space, or its cdev is bound",
				  dev->name, path);
	if (fd < 0)
		return spoor_fail_errno("%s: open %s", dev->name, path);
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &status) < 0)
		return spoor_fail_errno("%s: VFIO_GROUP_GET_STATUS of %s",
					dev->name, path);
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return spoor_fail(
			EPERM,
			"%s: group %d is not viable: bind every device of the "
			"group to vfio-pci, or to no driver",
			dev->name, dev->group);
	if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
		return spoor_fail(EBUSY, "%s: group %d is in another container",
				  dev->name, dev->group);
	return SPOOR_STEAL_FD(fd);
}

static struct spoor_space_group *find_group(struct spoor_space *s, int group)
{
	size_t i;

	for (i = 0; i < s->nr_groups; i++)
		if (s->groups[i].group == group)
			return &s->groups[i];
	return NULL;
}

/* The last group takes the container's type and mappings along. */
static void leave_group(struct spoor_space *s, struct spoor_space_group *g)
{
	(void)ioctl(g->fd, VFIO_GROUP_UNSET_CONTAINER);
	close(g->fd);
	*g = s->groups[--s->nr_groups];
	if (!s->nr_groups)
		s->iommu_set = false;
}

static int join_group(struct spoor_space *s, const struct spoor_device *dev,
		      struct spoor_space_group **ret)
{
	struct spoor_space_group *groups;
	int fd, err;

	groups = realloc(s->groups, (s->nr_groups + 1) * sizeof(*groups));
	if (!groups)
		return spoor_fail(ENOMEM, "%s: attach: out of memory",
				  dev->name);
	s->groups = groups;
	fd = open_group(dev);
	if (fd < 0)
		return fd;
	if (ioctl(fd, VFIO_GROUP_SET_CONTAINER, &s->fd) < 0) {
		err = spoor_fail_errno(
			"%s: VFIO_GROUP_SET_CONTAINER of group %d, space %s%s",
			dev->name, dev->group, s->name,
			s->nr_groups
				? " (its IOMMU may not suit the groups already "
				  "there: give it a space of its own)"
				: "");
		close(fd);
		return err;
	}
	groups[s->nr_groups++] = (struct spoor_space_group){
		.group = dev->group,
		.fd = fd,
	};
	*ret = &groups[s->nr_groups - 1];
	if (s->iommu_set)
		return 0;
	if (ioctl(s->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0) {
		err = spoor_fail_errno(
			"%s: VFIO_SET_IOMMU(type1v2) with group %d, space %s",
			dev->name, dev->group, s->name);
		leave_group(s, *ret);
		return err;
	}
	s->iommu_set = true;
	err = map_again(s);
	if (err) {
		leave_group(s, *ret);
		return err;
	}
	return 0;
}

static int type1_attach(struct spoor_space *s, struct spoor_device *dev)
{
	struct spoor_space_group *g;
	int fd, err;

	if (dev->group < 0)
		return spoor_fail(ENODEV,
				  "%s: it has no IOMMU group: is the IOMMU on? "
				  "(intel_iommu=on, amd_iommu=on)",
				  dev->name);
	g = find_group(s, dev->group);
	if (!g) {
		err = join_group(s, dev, &g);
		if (err)
			return err;
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): joined */
	fd = ioctl(g->fd, VFIO_GROUP_GET_DEVICE_FD, dev->address);
	if (fd < 0) {
		err = spoor_fail_errno(
			"%s: VFIO_GROUP_GET_DEVICE_FD(%s) of group %d",
			dev->name, dev->address, dev->group);
		if (!g->users)
			leave_group(s, g);
		return err;
	}
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	g->users++;
	dev->fd = fd;
	return 0;
}

/* The device's fd first: a group with an open device stays where it is. */
static void type1_detach(struct spoor_space *s, struct spoor_device *dev)
{
	struct spoor_space_group *g = find_group(s, dev->group);

	if (dev->fd >= 0)
		close(dev->fd);
	dev->fd = -1;
	if (g && --g->users == 0)
		leave_group(s, g);
}

static void type1_close(struct spoor_space *s)
{
	while (s->nr_groups)
		leave_group(s, &s->groups[s->nr_groups - 1]);
}

const struct spoor_space_ops spoor_space_type1_ops = {
	.open = type1_open,
	.attach = type1_attach,
	.detach = type1_detach,
	.map = type1_map,
	.unmap = type1_unmap,
	.close = type1_close,
};
