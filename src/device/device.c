/* SPDX-License-Identifier: MIT */
/*
 * The life of a device: found or adopted, asked what it can do once its fd is
 * there, reset, closed.
 *
 * Invariant: fd >= 0 exactly while attached; an adopted fd is never closed.
 * Threads: one at a time per device.
 */
#include "device/device_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/uapi_vfio.h"

/* Options of an older caller are shorter: what it lacks is 0. */
static int read_opts(struct spoor_device_opts *ret,
		     const struct spoor_device_opts *opts)
{
	*ret = (struct spoor_device_opts){ .size = sizeof(*ret) };
	if (!opts)
		return 0;
	if (opts->size < sizeof(opts->size))
		return spoor_fail(EINVAL,
				  "device options: size %zu is too small",
				  opts->size);
	memcpy(ret, opts,
	       opts->size < sizeof(*ret) ? opts->size : sizeof(*ret));
	return 0;
}

static struct spoor_device *new_device(const struct spoor_device_opts *opts)
{
	struct spoor_device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->fd = -1;
	dev->data_fd = -1;
	dev->group = -1;
	dev->p2p_stops_all = opts->p2p_stops_all;
	if (opts->name)
		snprintf(dev->name, sizeof(dev->name), "%s", opts->name);
	return dev;
}

int spoor_device_open(struct spoor_device **ret, const char *spec,
		      const struct spoor_device_opts *opts)
{
	struct spoor_device_opts o;
	struct spoor_device *dev;
	int err;

	err = read_opts(&o, opts);
	if (err)
		return err;
	if (!spec)
		return spoor_fail(EINVAL, "device: no address given");
	dev = new_device(&o);
	if (!dev)
		return spoor_fail(ENOMEM, "device %s: out of memory", spec);
	err = spoor_device_discover(dev, spec);
	if (err) {
		spoor_device_free(dev);
		return err;
	}
	if (!dev->name[0])
		memcpy(dev->name, dev->address, sizeof(dev->name));
	*ret = dev;
	return 0;
}

int spoor_device_adopt(struct spoor_device **ret, int fd,
		       const struct spoor_device_opts *opts)
{
	struct spoor_device_opts o;
	struct spoor_device *dev;
	int err;

	err = read_opts(&o, opts);
	if (err)
		return err;
	if (!o.name || !o.name[0])
		return spoor_fail(EINVAL,
				  "adopt fd %d: the device needs a name", fd);
	dev = new_device(&o);
	if (!dev)
		return spoor_fail(ENOMEM, "adopt fd %d: out of memory", fd);
	dev->adopted = true;
	dev->fd = fd;
	err = spoor_device_learn(dev);
	if (err) {
		dev->fd = -1;
		spoor_device_free(dev);
		return spoor_fail_context(-EINVAL, "adopt fd %d", fd);
	}
	*ret = dev;
	return 0;
}

int spoor_device_fd(const struct spoor_device *dev)
{
	return dev->fd;
}

int spoor_device_need_fd(const struct spoor_device *dev, const char *what)
{
	if (dev->fd >= 0)
		return 0;
	return spoor_fail(ENODEV, "%s: %s: the device is not attached",
			  dev->name, what);
}

int spoor_device_feature(struct spoor_device *dev, uint32_t flags, void *data,
			 size_t len)
{
	uint64_t buf[1 + 8] = { 0 };
	struct vfio_device_feature *f = (void *)buf;

	static_assert(sizeof(*f) == sizeof(uint64_t), "ABI");
	if (len > sizeof(buf) - sizeof(*f))
		return -EINVAL;
	f->argsz = (uint32_t)(sizeof(*f) + len);
	f->flags = flags;
	if (len)
		memcpy(f->data, data, len);
	if (ioctl(dev->fd, VFIO_DEVICE_FEATURE, f) < 0)
		return -errno;
	if (len)
		memcpy(data, f->data, len);
	return 0;
}

int spoor_device_learn(struct spoor_device *dev)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_device_feature_migration mig = { 0 };
	int err;

	if (ioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info) < 0)
		return spoor_fail_errno("%s: VFIO_DEVICE_GET_INFO", dev->name);
	dev->nr_regions = info.num_regions;
	dev->nr_irqs = info.num_irqs;
	dev->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
	dev->migration = 0;
	err = spoor_device_feature(
		dev, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
		&mig, sizeof(mig));
	/* Not to have been told is no answer: only these are. */
	if (err && err != -ENOTTY && err != -EINVAL && err != -EOPNOTSUPP) {
		errno = -err;
		return spoor_fail_errno(
			"%s: VFIO_DEVICE_FEATURE(GET MIGRATION)", dev->name);
	}
	if (!err)
		dev->migration =
			(unsigned int)mig.flags &
			(SPOOR_MIGRATION_STOP_COPY | SPOOR_MIGRATION_P2P |
			 SPOOR_MIGRATION_PRE_COPY);
	return 0;
}

void spoor_device_get_info(const struct spoor_device *dev,
			   struct spoor_device_info *ret)
{
	*ret = (struct spoor_device_info){
		.name = dev->name,
		.address = dev->address,
		.cdev = dev->cdev,
		.group = dev->group,
		.noiommu = dev->noiommu,
		.attached = dev->fd >= 0,
		.migration = dev->migration,
		.p2p_stops_all = dev->p2p_stops_all,
		.nr_regions = dev->nr_regions,
		.nr_irqs = dev->nr_irqs,
		.can_reset = dev->can_reset,
	};
}

int spoor_device_reset(struct spoor_device *dev)
{
	int err = spoor_device_need_fd(dev, "reset");

	if (err)
		return err;
	if (!dev->can_reset)
		return spoor_fail(ENOTTY,
				  "%s: the kernel offers no reset for it",
				  dev->name);
	if (ioctl(dev->fd, VFIO_DEVICE_RESET) < 0)
		return spoor_fail_errno("%s: VFIO_DEVICE_RESET", dev->name);
	if (dev->data_fd >= 0) {
		close(dev->data_fd);
		dev->data_fd = -1;
	}
	return 0;
}

struct spoor_device *spoor_device_free(struct spoor_device *dev)
{
	if (!dev)
		return NULL;
	if (dev->data_fd >= 0)
		close(dev->data_fd);
	dev->data_fd = -1;
	/* Peers' mappings of the BARs go first: they hold the BAR's memory. */
	if (dev->let_go)
		dev->let_go(dev);
	spoor_device_unmap_all(dev);
	spoor_device_forget_irqs(dev);
	if (dev->fd >= 0 && !dev->adopted)
		close(dev->fd);
	free(dev);
	return NULL;
}
