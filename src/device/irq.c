/* SPDX-License-Identifier: MIT */
/*
 * Interrupts through eventfds.
 *
 * Where the kernel cannot add vectors once some are enabled (NORESIZE, and
 * every kernel before dynamic MSI-X), the first vector enables all of the
 * index, the others without an eventfd; later ones are set one by one.
 *
 * Invariant: irqs[index].fds is what the kernel has.  Threads: one at a time
 * per device.
 */
#include "device/device_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/uapi_vfio.h"

static int learn_irq(struct spoor_device *dev, unsigned int index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	struct spoor_device_irq *irq = &dev->irqs[index];
	unsigned int i;

	if (irq->fds)
		return 0;
	if (ioctl(dev->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0)
		return spoor_fail_errno("%s: VFIO_DEVICE_GET_IRQ_INFO of %u",
					dev->name, index);
	if (!info.count || !(info.flags & VFIO_IRQ_INFO_EVENTFD))
		return spoor_fail(EINVAL,
				  "%s: interrupt index %u has no vectors",
				  dev->name, index);
	/* MSI-X ends at 2048; more is a driver's bug, not a need for memory. */
	if (info.count > 4096)
		return spoor_fail(EINVAL,
				  "%s: interrupt index %u claims %u vectors",
				  dev->name, index, info.count);
	irq->fds = calloc(info.count, sizeof(*irq->fds));
	if (!irq->fds)
		return spoor_fail(ENOMEM, "%s: interrupts: out of memory",
				  dev->name);
	for (i = 0; i < info.count; i++)
		irq->fds[i] = -1;
	irq->count = info.count;
	return 0;
}

static int set_irqs(struct spoor_device *dev, unsigned int index,
		    unsigned int start, unsigned int count, const int32_t *fds)
{
	SPOOR_AUTO_HEAP struct vfio_irq_set *set = NULL;
	size_t len = count * sizeof(*fds);

	set = calloc(1, sizeof(*set) + len);
	if (!set)
		return spoor_fail(ENOMEM, "%s: interrupts: out of memory",
				  dev->name);
	set->argsz = (uint32_t)(sizeof(*set) + len);
	set->flags =
		VFIO_IRQ_SET_ACTION_TRIGGER |
		(count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	set->index = index;
	set->start = start;
	set->count = count;
	if (len)
		memcpy(set->data, fds, len);
	if (ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, set) < 0)
		return spoor_fail_errno(
			"%s: VFIO_DEVICE_SET_IRQS index %u, vectors %u+%u",
			dev->name, index, start, count);
	return 0;
}

int spoor_device_set_irq(struct spoor_device *dev, unsigned int index,
			 unsigned int vector, int fd)
{
	struct spoor_device_irq *irq;
	unsigned int i, used = 0;
	int32_t old;
	int err = spoor_device_need_fd(dev, "set interrupt");

	if (err)
		return err;
	if (index >= dev->nr_irqs || index >= SPOOR_DEVICE_NR_IRQS || fd < -1)
		return spoor_fail(EINVAL, "%s: no interrupt index %u (fd %d)",
				  dev->name, index, fd);
	err = learn_irq(dev, index);
	if (err)
		return err;
	irq = &dev->irqs[index];
	if (vector >= irq->count)
		return spoor_fail(
			EINVAL, "%s: interrupt index %u has %u vectors, not %u",
			dev->name, index, irq->count, vector);
	old = irq->fds[vector];
	irq->fds[vector] = fd;
	for (i = 0; i < irq->count; i++)
		used += irq->fds[i] >= 0;
	if (!used)
		err = irq->enabled ? set_irqs(dev, index, 0, 0, NULL) : 0;
	else if (!irq->enabled)
		err = set_irqs(dev, index, 0, irq->count, irq->fds);
	else
		err = set_irqs(dev, index, vector, 1, &irq->fds[vector]);
	if (err)
		irq->fds[vector] = old;
	else
		irq->enabled = used > 0;
	return err;
}

void spoor_device_forget_irqs(struct spoor_device *dev)
{
	size_t i;

	for (i = 0; i < SPOOR_DEVICE_NR_IRQS; i++) {
		free(dev->irqs[i].fds);
		dev->irqs[i] = (struct spoor_device_irq){ 0 };
	}
}
