/* SPDX-License-Identifier: MIT */
/*
 * What softvfio does for a model: DMA through what the device is attached to,
 * interrupts, pinning, notes.
 *
 * Invariant: data lands before the I/O page table is marked; the walk in the
 * IOMMU side sees to that, the copy here is its callback.  DMA without bus
 * mastering or without an attachment touches nothing.
 *
 * Threads: called from models' workers.  attach_lock is held for reading over
 * the whole access, so who changes the attachment or the bus mastering waits
 * for DMA in flight.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/inject.h"

struct access {
	uint8_t *buf; /* the device's end */
	size_t len;
};

/*
 * Guest memory is everybody's: other devices write the same pages, each under
 * its own locks.  As on a bus, words may come from either, and none is torn:
 * relaxed atomics.  The order that readers rely on is the mark's, which
 * releases what was written before.
 */
static void load_shared(uint8_t *to, const uint8_t *shared, size_t len)
{
	uint64_t word;
	size_t i = 0;

	while (i < len) {
		const void *at = shared + i;

		if (len - i < sizeof(word) || (uintptr_t)at % sizeof(word)) {
			to[i] = __atomic_load_n(shared + i, __ATOMIC_RELAXED);
			i++;
			continue;
		}
		word = __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
		memcpy(to + i, &word, sizeof(word));
		i += sizeof(word);
	}
}

static void store_shared(uint8_t *shared, const uint8_t *from, size_t len)
{
	uint64_t word;
	size_t i = 0;

	while (i < len) {
		void *at = shared + i;

		if (len - i < sizeof(word) || (uintptr_t)at % sizeof(word)) {
			__atomic_store_n(shared + i, from[i], __ATOMIC_RELAXED);
			i++;
			continue;
		}
		memcpy(&word, from + i, sizeof(word));
		__atomic_store_n((uint64_t *)at, word, __ATOMIC_RELAXED);
		i += sizeof(word);
	}
}

static int copy_to_device(void *ctx, const struct sv_target *t)
{
	struct access *a = ctx;

	if (t->peer)
		return sv_device_peer_read(t->peer, t->bar, t->bar_offset,
					   a->buf, a->len);
	if (t->borrowed)
		return sv_copy_in(a->buf, t->ptr, a->len);
	load_shared(a->buf, t->ptr, a->len);
	return 0;
}

/* The same, but that a stopped peer does not mind. */
static int look(void *ctx, const struct sv_target *t)
{
	struct access *a = ctx;
	struct model *m;

	if (!t->peer)
		return copy_to_device(ctx, t);
	m = sv_model(t->peer);
	return m ? model_bar_peek(m, t->bar, t->bar_offset, a->buf, a->len)
		 : -EFAULT;
}

static int copy_from_device(void *ctx, const struct sv_target *t)
{
	struct access *a = ctx;

	if (t->peer)
		return sv_device_peer_write(t->peer, t->bar, t->bar_offset,
					    a->buf, a->len);
	if (t->borrowed)
		return sv_copy_out(t->ptr, a->buf, a->len);
	store_shared(t->ptr, a->buf, a->len);
	return 0;
}

static int look_for_peer(void *ctx, const struct sv_target *t)
{
	bool *peer = ctx;

	*peer = t->peer != NULL;
	/* Not 0: this was no access, so nothing is to be marked. */
	return -ECANCELED;
}

static void unlock_attachment(pthread_rwlock_t **lock)
{
	pthread_rwlock_unlock(*lock);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a declaration takes none */
#define HOLD_ATTACHMENT(st)                                                    \
	__attribute__((cleanup(unlock_attachment), unused))                    \
	pthread_rwlock_t *held_ = (pthread_rwlock_rdlock(&(st)->attach_lock),  \
				   &(st)->attach_lock)
/* NOLINTEND(bugprone-macro-parentheses) */

static int host_dma_read(void *host, uint64_t iova, void *buf, size_t len)
{
	struct sv_device_state *st = host;
	struct access a = { .buf = buf, .len = len };
	HOLD_ATTACHMENT(st);

	if (!st->bus_master || !st->dev->attachment)
		return -EFAULT;
	return sv_attachment_access(st->dev->attachment, iova, len, false,
				    false, copy_to_device, &a);
}

static int host_dma_write(void *host, uint64_t iova, const void *buf,
			  size_t len)
{
	struct sv_device_state *st = host;
	bool mark_first =
		st->dev->config->model.faults & MODEL_FAULT_MARK_BEFORE_DATA;
	struct access a = { .buf = (uint8_t *)(uintptr_t)buf, .len = len };
	HOLD_ATTACHMENT(st);

	if (!st->bus_master || !st->dev->attachment)
		return -EFAULT;
	return sv_attachment_access(st->dev->attachment, iova, len, true,
				    mark_first, copy_from_device, &a);
}

/* The host looks, not the device: bus mastering does not matter. */
static int host_peek(void *host, uint64_t iova, void *buf, size_t len)
{
	struct sv_device_state *st = host;
	struct access a = { .buf = buf, .len = len };
	HOLD_ATTACHMENT(st);

	if (!st->dev->attachment)
		return -EFAULT;
	return sv_attachment_access(st->dev->attachment, iova, len, false,
				    false, look, &a);
}

static bool host_is_peer(void *host, uint64_t iova)
{
	struct sv_device_state *st = host;
	bool peer = false;
	HOLD_ATTACHMENT(st);

	if (!st->dev->attachment)
		return false;
	/* By either permission: the mapping may have only one. */
	if (sv_attachment_access(st->dev->attachment, iova, 1, false, false,
				 look_for_peer, &peer) == -EFAULT)
		sv_attachment_access(st->dev->attachment, iova, 1, true, false,
				     look_for_peer, &peer);
	return peer;
}

static int host_pin(void *host, uint64_t iova, uint64_t nr_pages, bool write)
{
	struct sv_device_state *st = host;
	HOLD_ATTACHMENT(st);

	if (!st->dev->attachment)
		return -EFAULT;
	return sv_attachment_pin(st->dev->attachment, iova, nr_pages, write);
}

static int host_unpin(void *host, uint64_t iova, uint64_t nr_pages)
{
	struct sv_device_state *st = host;
	HOLD_ATTACHMENT(st);

	if (!st->dev->attachment)
		return -EFAULT;
	return sv_attachment_unpin(st->dev->attachment, iova, nr_pages);
}

static void host_irq(void *host, unsigned int vector)
{
	sv_irq_raise(host, vector);
}

static void host_note(void *host, const char *text)
{
	(void)host;
	sv_note_push(text);
}

static int host_keep_fd(void *host, int fd)
{
	(void)host;
	return sv_fd_keep(fd);
}

static void host_end_fd(void *host, int fd)
{
	(void)host;
	sv_fd_end(fd);
}

const struct model_host_ops sv_model_host = {
	.dma_read = host_dma_read,
	.dma_write = host_dma_write,
	.peek = host_peek,
	.is_peer = host_is_peer,
	.pin = host_pin,
	.unpin = host_unpin,
	.irq = host_irq,
	.note = host_note,
	.keep_fd = host_keep_fd,
	.end_fd = host_end_fd,
};

void sv_set_bus_master(struct sv_device_state *st, bool on)
{
	pthread_rwlock_wrlock(&st->attach_lock);
	st->bus_master = on;
	pthread_rwlock_unlock(&st->attach_lock);
}

int sv_device_peer_write(struct sv_device *dev, unsigned int bar,
			 uint64_t offset, const void *buf, size_t len)
{
	struct model *m = sv_model(dev);

	return m ? model_peer_write(m, bar, offset, buf, len) : -EFAULT;
}

int sv_device_peer_read(struct sv_device *dev, unsigned int bar,
			uint64_t offset, void *buf, size_t len)
{
	struct model *m = sv_model(dev);

	return m ? model_peer_read(m, bar, offset, buf, len) : -EFAULT;
}
