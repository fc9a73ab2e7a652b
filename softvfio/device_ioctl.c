/* SPDX-License-Identifier: MIT */
/*
 * ioctls of a device's file: opening it by BIND, attaching, information,
 * reset; features, interrupts and ioeventfds have files of their own.
 *
 * Invariant: before BIND (or through a group's file, from the start) every
 * call but BIND is EINVAL.
 *
 * Threads: BIND, ATTACH and DETACH hold open.lock, so they exclude each other
 * and the close; the rest takes what it needs.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/cleanup.h"

/* GET_INFO as of 6.12, which appended a capability offset and padding. */
struct device_info {
	uint32_t argsz, flags, num_regions, num_irqs, cap_offset, pad;
};
#define INFO_MIN     16u
#define INFO_LEN_6_1 20u
static_assert(sizeof(struct device_info) == 24, "ABI");

/* HOT_RESET_INFO with its one device: this one. */
struct hot_reset_info {
	uint32_t argsz, flags, count;
	uint32_t id; /* group, or iommufd's */
	uint16_t segment;
	uint8_t bus, devfn;
};
#define HOT_RESET_MIN 12u
#define HOT_RESET_IDS 3u /* device ids, all owned by the caller's iommufd */
static_assert(sizeof(struct hot_reset_info) == 20, "ABI");

struct hot_reset {
	uint32_t argsz, flags, count;
};

/* The file is no iommufd: of which kind is the mistake? */
static int check_iommufd(int fd)
{
	struct sv_file *f = sv_file_get(fd);
	bool device;

	if (!f)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EBADFD;
	device = f->ops == &sv_device_file_ops;
	sv_file_put(f);
	return device ? -EBADFD : 0;
}

/* open.lock held. */
static int bind_locked(struct sv_open_device *od, int iommufd,
		       uint32_t *ret_devid)
{
	struct sv_device_state *st = od->st;
	int r;

	if (st->open.count && st->open.by_group)
		return -EBUSY;
	if (atomic_load(&od->granted))
		return -EINVAL;
	/* Linux looks at the fd before it finds another open of the device. */
	if (st->open.count) {
		r = check_iommufd(iommufd);
		return r ? r : -EINVAL;
	}
	r = sv_iommufd_bind(iommufd, st->dev, ret_devid);
	if (r)
		return r;
	r = sv_device_first_open(od);
	if (r)
		sv_iommufd_unbind(st->dev);
	return r;
}

static long bind_iommufd(struct sv_open_device *od, void *arg)
{
	struct sv_device_state *st = od->st;
	struct vfio_device_bind_iommufd bind;
	uint32_t devid;
	int r;

	if (sv_copy_in(&bind, arg, sizeof(bind)))
		return -EFAULT;
	if (bind.argsz < sizeof(bind) || bind.flags || bind.iommufd < 0 ||
	    od->by_group)
		return -EINVAL;
	/* Before open.lock: the group takes the locks the other way round. */
	r = sv_group_claim_cdev(st->dev);
	if (r)
		return r;
	pthread_mutex_lock(&st->open.lock);
	r = bind_locked(od, bind.iommufd, &devid);
	if (!r) {
		bind.out_devid = devid;
		r = sv_copy_out(arg, &bind, sizeof(bind));
		if (r)
			sv_device_close(od);
	}
	pthread_mutex_unlock(&st->open.lock);
	/* Else the file's release does it. */
	if (r)
		sv_group_unclaim_cdev(st->dev);
	return r;
}

static long attach(struct sv_device_state *st, void *arg)
{
	struct {
		uint32_t argsz, flags, pt_id;
	} a;
	int r;

	static_assert(sizeof(a) == SPOOR_ATTACH_ARGSZ, "ABI");
	if (sv_copy_in(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.argsz < sizeof(a) || a.flags)
		return -EINVAL;
	{
		SPOOR_LOCKED(&st->open.lock);

		r = sv_iommufd_attach(st->dev, &a.pt_id);
		if (r)
			return r;
		if (sv_copy_out(arg, &a, sizeof(a))) {
			sv_iommufd_detach(st->dev);
			return -EFAULT;
		}
	}
	return 0;
}

static long detach(struct sv_device_state *st, void *arg)
{
	struct vfio_device_detach_iommufd_pt d;

	if (sv_copy_in(&d, arg, SPOOR_DETACH_ARGSZ))
		return -EFAULT;
	if (d.argsz < SPOOR_DETACH_ARGSZ || d.flags)
		return -EINVAL;
	{
		SPOOR_LOCKED(&st->open.lock);

		sv_iommufd_detach(st->dev);
	}
	return 0;
}

/* "0000:01:00.0" */
static bool parse_address(const char *text, unsigned long part[4])
{
	static const char ends[4] = { ':', ':', '.', 0 };
	char *end;
	int i;

	for (i = 0; i < 4; i++) {
		part[i] = strtoul(text, &end, 16);
		if (end == text || *end != ends[i])
			return false;
		text = end + 1;
	}
	return true;
}

/*
 * Our devices know no reset of their own: it is the port above that resets
 * them, and a device on bus 0 has none.  An emulated one has its driver.
 */
static bool can_reset(const struct sv_device *dev)
{
	unsigned long at[4];

	return !parse_address(dev->config->address, at) || at[1];
}

static long device_info(const struct sv_device *dev, void *arg)
{
	size_t len =
		sv_kernel_is_6_1() ? INFO_LEN_6_1 : sizeof(struct device_info);
	struct device_info info;
	uint32_t argsz;

	if (sv_copy_in(&info, arg, INFO_MIN))
		return -EFAULT;
	argsz = info.argsz;
	if (argsz < INFO_MIN)
		return -EINVAL;
	info = (struct device_info){
		.argsz = argsz,
		.flags = VFIO_DEVICE_FLAGS_PCI |
			 (can_reset(dev) ? VFIO_DEVICE_FLAGS_RESET : 0),
		.num_regions = VFIO_PCI_NUM_REGIONS,
		.num_irqs = VFIO_PCI_NUM_IRQS,
	};
	/* 6.1 knows whole fields only. */
	if (argsz < len)
		len = sv_kernel_is_6_1() ? INFO_MIN : argsz;
	return sv_copy_out(arg, &info, len) ? -EFAULT : 0;
}

int sv_device_reset(struct sv_device_state *st)
{
	SPOOR_LOCKED(&st->lock);

	return sv_migration_reset(st);
}

static long hot_reset_info(struct sv_open_device *od, void *arg)
{
	const struct sv_device *dev = od->st->dev;
	unsigned long at[4]; /* segment, bus, slot, function */
	struct hot_reset_info info;
	bool enough;

	if (sv_copy_in(&info, arg, HOT_RESET_MIN))
		return -EFAULT;
	if (info.argsz < HOT_RESET_MIN)
		return -EINVAL;
	if (!parse_address(dev->config->address, at) || !can_reset(dev))
		return -ENODEV;
	enough = info.argsz >= sizeof(info);
	info = (struct hot_reset_info){
		.argsz = info.argsz,
		.flags = enough && !od->by_group ? HOT_RESET_IDS : 0,
		.count = 1,
		.id = od->by_group ? dev->config->group : dev->devid,
		.segment = (uint16_t)at[0],
		.bus = (uint8_t)at[1],
		.devfn = (uint8_t)(at[2] << 3 | (at[3] & 7)),
	};
	if (sv_copy_out(arg, &info, enough ? sizeof(info) : HOT_RESET_MIN))
		return -EFAULT;
	return enough ? 0 : -ENOSPC;
}

/* Each device has a bus of its own; its owner may reset that. */
static int check_groups(const struct sv_device *dev, const void *user,
			uint32_t count)
{
	struct sv_file *f;
	int32_t fd;
	bool owner;

	if (count != 1)
		return -EINVAL;
	if (sv_copy_in(&fd, user, sizeof(fd)))
		return -EFAULT;
	f = sv_file_get(fd);
	if (!f)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -EINVAL;
	owner = sv_group_file_owns(f, dev);
	sv_file_put(f);
	return owner ? 0 : -EINVAL;
}

static long hot_reset(struct sv_open_device *od, void *arg)
{
	struct hot_reset hr;
	int r;

	if (sv_copy_in(&hr, arg, sizeof(hr)))
		return -EFAULT;
	if (hr.argsz < sizeof(hr) || hr.flags)
		return -EINVAL;
	/* Through the group its files are the proof, else the iommufd is. */
	if (!od->by_group && hr.count)
		return -EINVAL;
	if (od->by_group && !hr.count && !sv_kernel_is_6_1())
		return -EINVAL;
	if (!can_reset(od->st->dev))
		return -ENODEV;
	if (od->by_group) {
		r = check_groups(od->st->dev, sv_user_at(arg, sizeof(hr)),
				 hr.count);
		if (r)
			return r;
	}
	return sv_device_reset(od->st);
}

static long pci_ioctl(struct sv_open_device *od, unsigned long request,
		      void *arg)
{
	struct sv_device_state *st = od->st;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		return device_info(st->dev, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return sv_region_info(st, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return sv_irq_info(st, arg);
	case VFIO_DEVICE_SET_IRQS:
		return sv_irq_set(st, arg);
	case VFIO_DEVICE_RESET:
		return can_reset(st->dev) ? sv_device_reset(st) : -EINVAL;
	default:
		break;
	}
	/* What is below is of PCI devices, not of emulated ones. */
	if (st->dev->config->emulated)
		return -ENOTTY;
	switch (request) {
	case VFIO_DEVICE_IOEVENTFD:
		return sv_ioeventfd(st, arg);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return hot_reset_info(od, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return hot_reset(od, arg);
	default:
		return -ENOTTY;
	}
}

long sv_device_ioctl(struct sv_file *f, unsigned long request, void *arg)
{
	struct sv_open_device *od = f->priv;

	/* The kernel's ioctl numbers are 32 bits wide. */
	request &= UINT32_MAX;
	if (request == VFIO_DEVICE_BIND_IOMMUFD && !sv_kernel_is_6_1())
		return bind_iommufd(od, arg);
	if (!atomic_load(&od->granted))
		return -EINVAL;
	if (request == VFIO_DEVICE_FEATURE)
		return sv_device_feature(od->st, arg);
	if (!od->by_group && request == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		return attach(od->st, arg);
	if (!od->by_group && request == VFIO_DEVICE_DETACH_IOMMUFD_PT)
		return detach(od->st, arg);
	return pci_ioctl(od, request, arg);
}
