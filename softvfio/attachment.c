/* SPDX-License-Identifier: MIT */
/*
 * A device's DMA, translated.  The list's read lock is held from the look-up
 * over the copy to the mark, so an unmap, which takes the write lock, waits
 * for all three: when it returns no byte is written behind it and no mark is
 * missing.
 *
 * Order: the data is copied first, then marked (release).  Whoever reads and
 * clears the mark (acquire) before it looks at the page either sees this
 * write's data or finds this write's mark at the next reading.  Write faults
 * mark before there is data: hwpt_fault.c has why nothing is lost then.
 */
#include "softvfio/area.h"

#include <errno.h>
#include <sched.h>

static struct sv_target target_of(const struct sv_area *area, uint64_t iova)
{
	const struct sv_backing *b = area->backing;
	uint64_t at = area->offset + (iova - area->iova);

	if (b->bar.dev)
		return (struct sv_target){ .peer = b->bar.dev,
					   .bar = b->bar.bar,
					   .bar_offset = b->bar.offset + at };
	return (struct sv_target){ .ptr = b->ptr + at, .borrowed = !b->alias };
}

/* Mapped while no device was there: pinned now, at the first use. */
static int pin_late(struct sv_attachment *a, uint64_t iova)
{
	struct sv_area *area;
	int err = -EFAULT;

	pthread_rwlock_wrlock(&a->list->lock);
	area = sv_area_find(a->list, iova);
	if (area)
		err = sv_area_pin(area, a->allow_bar);
	pthread_rwlock_unlock(&a->list->lock);
	return err;
}

static int access_locked(struct sv_attachment *a, uint64_t iova, size_t len,
			 bool write, bool mark_first,
			 int (*fn)(void *ctx, const struct sv_target *t),
			 void *ctx)
{
	struct sv_area *area = sv_area_find(a->list, iova);
	struct sv_target target;
	int err;

	if (!area || len - 1 > area->last - iova ||
	    !(area->prot & (write ? SV_PROT_WRITE : SV_PROT_READ)))
		return -EFAULT;
	if (!area->backing)
		return -EAGAIN;
	target = target_of(area, iova);
	if (write && target.ptr && a->ops->writable &&
	    !a->ops->writable(a, area, iova))
		return -EINPROGRESS;
	if (write && mark_first && target.ptr) {
		/* A planted bug should show: let a reader in between. */
		a->ops->mark(a, area, iova, len);
		sched_yield();
	}
	err = fn(ctx, &target);
	if (!err && write && !mark_first && target.ptr)
		a->ops->mark(a, area, iova, len);
	return err;
}

int sv_attachment_access(struct sv_attachment *a, uint64_t iova, size_t len,
			 bool write, bool mark_first,
			 int (*fn)(void *ctx, const struct sv_target *t),
			 void *ctx)
{
	int err;

	if (!len)
		return 0;
	for (;;) {
		pthread_rwlock_rdlock(&a->list->lock);
		err = access_locked(a, iova, len, write, mark_first, fn, ctx);
		pthread_rwlock_unlock(&a->list->lock);
		if (err == -EINPROGRESS)
			a->ops->write_fault(a, iova);
		else if (err != -EAGAIN)
			return err;
		else if (pin_late(a, iova))
			return -EFAULT;
	}
}

int sv_attachment_pin(struct sv_attachment *a, uint64_t iova, uint64_t nr_pages,
		      bool write)
{
	return a->ops->pin ? a->ops->pin(a, iova, nr_pages, write)
			   : -EOPNOTSUPP;
}

int sv_attachment_unpin(struct sv_attachment *a, uint64_t iova,
			uint64_t nr_pages)
{
	return a->ops->unpin ? a->ops->unpin(a, iova, nr_pages) : -EOPNOTSUPP;
}
