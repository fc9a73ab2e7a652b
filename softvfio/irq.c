/* SPDX-License-Identifier: MIT */
/*
 * Interrupts: eventfds for INTx, MSI or MSI-X, and the release request.
 *
 * Invariant: at most one of INTx and messages is set up.  INTx masks itself when
 * it fires; what a model raises while it is masked is told at the unmask, once,
 * as the line of a real device would still be high then.
 *
 * Threads: irq.lock, a leaf: models raise interrupts from their workers.  An
 * eventfd is a duplicate, so the program may close its own at any time.
 * unmask is guarded by sv_watch_lock, which is taken first.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define NONE	VFIO_IRQ_SET_DATA_NONE
#define BOOL	VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define INTX	VFIO_PCI_INTX_IRQ_INDEX
#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define MSIX	VFIO_PCI_MSIX_IRQ_INDEX
#define REQ	VFIO_PCI_REQ_IRQ_INDEX

/* One SET_IRQS, checked. */
struct request {
	uint32_t flags, index, start, count;
	const uint8_t *data;
};

static void drop(int *fd)
{
	if (*fd >= 0)
		sv_fd_end(*fd);
	*fd = -1;
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	/* Full is as good as signalled. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

/* With sv_watch_lock held, too. */
static void disable(struct sv_irqs *irqs)
{
	unsigned int i;

	sv_watch_remove(&irqs->unmask);
	drop(&irqs->intx);
	for (i = 0; i < irqs->nr_vectors; i++)
		drop(&irqs->vectors[i]);
	irqs->type = -1;
	irqs->nr_enabled = 0;
	irqs->masked = false;
	irqs->pending = false;
}

unsigned int sv_nr_vectors(const struct model_shape *shape)
{
	unsigned int nr = shape->nr_vectors;

	if (nr > SV_MAX_VECTORS)
		nr = SV_MAX_VECTORS;
	/* MSI has powers of two, up to 32. */
	if (shape->msi && nr)
		nr = nr > 16 ? 32
			     : 1u << (32 - __builtin_clz(nr) -
				      !(nr & (nr - 1)));
	return nr;
}

int sv_irq_open(struct sv_device_state *st)
{
	const char *kind = st->dev->config->model.model;
	struct sv_irqs *irqs = &st->irqs;
	struct model_shape shape;
	unsigned int nr, i;
	int *vectors;
	SPOOR_LOCKED(&irqs->lock);

	if (irqs->vectors)
		return 0;
	model_shape(kind, &shape);
	irqs->message = shape.msi ? MSI : MSIX;
	nr = sv_nr_vectors(&shape);
	vectors = malloc((nr ? nr : 1) * sizeof(*vectors));
	if (!vectors)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		vectors[i] = -1;
	irqs->vectors = vectors;
	irqs->nr_vectors = nr;
	return 0;
}

void sv_irq_close(struct sv_device_state *st)
{
	struct sv_irqs *irqs = &st->irqs;

	pthread_mutex_lock(&sv_watch_lock);
	pthread_mutex_lock(&irqs->lock);
	disable(irqs);
	drop(&irqs->req);
	pthread_mutex_unlock(&irqs->lock);
	pthread_mutex_unlock(&sv_watch_lock);
}

/* By the device, not by a test of the program's. */
static void raise_fd(struct sv_irqs *irqs, int fd)
{
	if (fd < 0)
		return;
	signal_fd(fd);
	irqs->signalled++;
}

static void fire_intx(struct sv_irqs *irqs)
{
	if (irqs->masked || irqs->blocked) {
		irqs->pending = true;
		return;
	}
	raise_fd(irqs, irqs->intx);
	irqs->masked = true;
}

static void unmask_intx(struct sv_irqs *irqs)
{
	irqs->masked = false;
	if (irqs->pending && !irqs->blocked) {
		irqs->pending = false;
		fire_intx(irqs);
	}
}

void sv_irq_raise(struct sv_device_state *st, unsigned int vector)
{
	struct sv_irqs *irqs = &st->irqs;
	SPOOR_LOCKED(&irqs->lock);

	if (irqs->type == (int)irqs->message && vector < irqs->nr_vectors)
		raise_fd(irqs, irqs->vectors[vector]);
	else if (irqs->type == INTX)
		fire_intx(irqs);
}

/* COMMAND's INTx disable. */
void sv_irq_block_intx(struct sv_device_state *st, bool on)
{
	struct sv_irqs *irqs = &st->irqs;
	SPOOR_LOCKED(&irqs->lock);

	irqs->blocked = on;
	if (!on && irqs->type == INTX && !irqs->masked)
		unmask_intx(irqs);
}

bool sv_irq_messages_on(struct sv_device_state *st)
{
	SPOOR_LOCKED(&st->irqs.lock);

	return st->irqs.type == (int)st->irqs.message;
}

static uint32_t nr_irqs(const struct sv_irqs *irqs, uint32_t index)
{
	switch (index) {
	case INTX:
	case REQ:
		return 1;
	case MSI:
	case MSIX:
		return index == irqs->message ? irqs->nr_vectors : 0;
	default: /* errors are PCI Express' */
		return 0;
	}
}

long sv_irq_info(struct sv_device_state *st, void *arg)
{
	struct vfio_irq_info info;

	if (sv_copy_in(&info, arg, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_IRQS ||
	    info.index == VFIO_PCI_ERR_IRQ_INDEX)
		return -EINVAL;
	info.count = nr_irqs(&st->irqs, info.index);
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	if (info.index == INTX)
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (info.index != MSIX || !info.count || sv_kernel_is_6_1())
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
	return sv_copy_out(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int32_t fd_at(const struct request *rq, uint32_t i)
{
	int32_t fd;

	memcpy(&fd, rq->data + i * sizeof(fd), sizeof(fd));
	return fd;
}

/* Put a duplicate of @fd (-1: none) in place of what is there. */
static int replace(int *slot, int32_t fd)
{
	int dup = -1;

	if (fd >= 0) {
		dup = sv_eventfd_dup(fd);
		if (dup < 0)
			return dup;
	}
	drop(slot);
	*slot = dup;
	return 0;
}

/* By NONE, or by a BOOL that says so. */
static bool wanted(const struct request *rq, uint32_t i)
{
	return (rq->flags & NONE) || ((rq->flags & BOOL) && rq->data[i]);
}

static int intx_mask(struct sv_irqs *irqs, const struct request *rq)
{
	if (irqs->type != INTX || rq->start || rq->count != 1)
		return -EINVAL;
	if (rq->flags & EVENTFD)
		return -ENOTTY;
	if (wanted(rq, 0))
		irqs->masked = true;
	return 0;
}

static void unmask_signalled(struct sv_watch *w)
{
	uint8_t *at = (uint8_t *)w - offsetof(struct sv_irqs, unmask);
	struct sv_irqs *irqs = (void *)at;
	SPOOR_LOCKED(&irqs->lock);

	unmask_intx(irqs);
}

static int intx_unmask(struct sv_irqs *irqs, const struct request *rq)
{
	int32_t fd;

	if (irqs->type != INTX || rq->start || rq->count != 1)
		return -EINVAL;
	/* As KVM's resampling does it: each signal unmasks. */
	if (rq->flags & EVENTFD) {
		fd = fd_at(rq, 0);
		if (fd >= 0)
			return sv_watch_add(&irqs->unmask, fd,
					    unmask_signalled);
		sv_watch_remove(&irqs->unmask);
		return 0;
	}
	if (wanted(rq, 0))
		unmask_intx(irqs);
	return 0;
}

static int intx_trigger(struct sv_irqs *irqs, const struct request *rq)
{
	int r;

	if (irqs->type == INTX && !rq->count && (rq->flags & NONE)) {
		disable(irqs);
		return 0;
	}
	if ((irqs->type != INTX && irqs->type != -1) || rq->start ||
	    rq->count != 1)
		return -EINVAL;
	if (rq->flags & EVENTFD) {
		r = replace(&irqs->intx, fd_at(rq, 0));
		if (!r)
			irqs->type = INTX;
		return r;
	}
	if (irqs->type != INTX)
		return -EINVAL;
	/* A loop-back for the program's wiring: masks do not matter. */
	if (wanted(rq, 0) && !irqs->blocked)
		signal_fd(irqs->intx);
	return 0;
}

static int message_set(struct sv_irqs *irqs, const struct request *rq)
{
	uint32_t i, j;
	int r;

	for (i = 0; i < rq->count; i++) {
		r = replace(&irqs->vectors[rq->start + i], fd_at(rq, i));
		if (r) {
			for (j = 0; j <= i; j++)
				drop(&irqs->vectors[rq->start + j]);
			return r;
		}
	}
	return 0;
}

static int message_enable(struct sv_irqs *irqs, const struct request *rq)
{
	int r;

	if (irqs->type == (int)irqs->message) {
		/* As many as it was enabled with, but for 6.12's MSI-X. */
		if ((sv_kernel_is_6_1() || irqs->message == MSI) &&
		    rq->start + rq->count > irqs->nr_enabled)
			return -EINVAL;
		return message_set(irqs, rq);
	}
	if (!(rq->start + rq->count))
		return -ERANGE;
	irqs->type = (int)irqs->message;
	irqs->nr_enabled = rq->start + rq->count;
	r = message_set(irqs, rq);
	if (r)
		disable(irqs);
	return r;
}

static int message_trigger(struct sv_irqs *irqs, const struct request *rq)
{
	uint32_t i;

	if (irqs->type == (int)irqs->message && !rq->count &&
	    (rq->flags & NONE)) {
		disable(irqs);
		return 0;
	}
	if (irqs->type != (int)irqs->message && irqs->type != -1)
		return -EINVAL;
	if (rq->flags & EVENTFD)
		return message_enable(irqs, rq);
	if (irqs->type != (int)irqs->message)
		return -EINVAL;
	for (i = 0; i < rq->count; i++) {
		if (wanted(rq, i))
			signal_fd(irqs->vectors[rq->start + i]);
	}
	return 0;
}

static int req_trigger(struct sv_irqs *irqs, const struct request *rq)
{
	if (rq->start || rq->count > 1)
		return -EINVAL;
	/* Taking away what is not there is refused; so is firing it. */
	if ((rq->flags & NONE) && irqs->req < 0)
		return -EINVAL;
	if (!rq->count) {
		if (!(rq->flags & NONE))
			return -EINVAL;
		drop(&irqs->req);
		return 0;
	}
	if (rq->flags & EVENTFD)
		return replace(&irqs->req, fd_at(rq, 0));
	if (wanted(rq, 0))
		signal_fd(irqs->req);
	return 0;
}

static int set_irqs(struct sv_irqs *irqs, const struct request *rq)
{
	uint32_t action = rq->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;

	if (action == VFIO_IRQ_SET_ACTION_TRIGGER) {
		if (rq->index == INTX)
			return intx_trigger(irqs, rq);
		if (rq->index == irqs->message)
			return message_trigger(irqs, rq);
		return req_trigger(irqs, rq);
	}
	if (rq->index == INTX && action == VFIO_IRQ_SET_ACTION_MASK)
		return intx_mask(irqs, rq);
	if (rq->index == INTX && action == VFIO_IRQ_SET_ACTION_UNMASK)
		return intx_unmask(irqs, rq);
	return -ENOTTY;
}

/* Bytes of data that follow; -EINVAL. */
static int64_t check(const struct sv_irqs *irqs, const struct vfio_irq_set *set)
{
	uint32_t nr = nr_irqs(irqs, set->index);
	uint64_t size;

	if (set->argsz < sizeof(*set) || set->index >= VFIO_PCI_NUM_IRQS ||
	    set->count >= UINT32_MAX - set->start ||
	    (set->flags &
	     ~(VFIO_IRQ_SET_DATA_TYPE_MASK | VFIO_IRQ_SET_ACTION_TYPE_MASK)))
		return -EINVAL;
	if (set->start >= nr || set->start + set->count > nr)
		return -EINVAL;
	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case NONE:
		return 0;
	case BOOL:
		size = set->count;
		break;
	case EVENTFD:
		size = set->count * sizeof(int32_t);
		break;
	default:
		return -EINVAL;
	}
	return set->argsz - sizeof(*set) < size ? -EINVAL : (int64_t)size;
}

long sv_irq_set(struct sv_device_state *st, void *arg)
{
	uint8_t data[SV_MAX_VECTORS * sizeof(int32_t)] = { 0 };
	struct vfio_irq_set set;
	struct request rq;
	int64_t len;
	long r;

	if (sv_copy_in(&set, arg, sizeof(set)))
		return -EFAULT;
	len = check(&st->irqs, &set);
	if (len < 0)
		return (long)len;
	if (len && sv_copy_in(data, (uint8_t *)arg + sizeof(set), (size_t)len))
		return -EFAULT;
	rq = (struct request){ set.flags, set.index, set.start, set.count,
			       data };
	/* What unmasks may come or go. */
	pthread_mutex_lock(&sv_watch_lock);
	pthread_mutex_lock(&st->irqs.lock);
	r = set_irqs(&st->irqs, &rq);
	pthread_mutex_unlock(&st->irqs.lock);
	pthread_mutex_unlock(&sv_watch_lock);
	return r;
}
