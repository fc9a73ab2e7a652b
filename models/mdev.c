/* SPDX-License-Identifier: MIT */
/*
 * mdev: a device emulated by software, which pins the pages that it uses.
 *
 * Invariant: its pins are those of the areas in use whenever it is enabled and
 * not STOPPED; a stop keeps them, reset and destroy let them go.
 * Threads: the queue is guarded by lock; areas change with the worker parked.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "models/mdev_regs.h"
#include "models/model_priv.h"

enum { PIN_READ, PIN_WRITE, PIN_COMPLETION };

struct area {
	uint64_t base, len;
	uint64_t next; /* offset of the page that is next */
};

struct mdev {
	uint64_t queue[MDEV_QUEUE]; /* ids */
	uint32_t head, nr;
	bool enabled;
	struct area in, out;
	uint64_t completion;
};

static const struct model_reg regs[] = {
	{ MDEV_REG_READ_BASE, 8, MODEL_REG_RW },
	{ MDEV_REG_READ_LEN, 8, MODEL_REG_RW },
	{ MDEV_REG_WRITE_BASE, 8, MODEL_REG_RW },
	{ MDEV_REG_WRITE_LEN, 8, MODEL_REG_RW },
	{ MDEV_REG_COMPLETION, 8, MODEL_REG_RW },
	{ MDEV_REG_ENABLE, 4, MODEL_REG_CONTROL },
	{ MDEV_REG_DOORBELL, 8, MODEL_REG_RW },
};

static void unpin_all(struct model *m)
{
	model_unpin(m, PIN_READ);
	model_unpin(m, PIN_WRITE);
	model_unpin(m, PIN_COMPLETION);
}

static int pin_all(struct model *m)
{
	const struct mdev *mdev = m->priv;
	int rc;

	rc = model_pin(m, PIN_READ, mdev->in.base, mdev->in.len, false);
	if (!rc)
		rc = model_pin(m, PIN_WRITE, mdev->out.base, mdev->out.len,
			       true);
	if (!rc)
		rc = model_pin(m, PIN_COMPLETION, mdev->completion,
			       sizeof(struct mdev_completion), true);
	if (rc)
		unpin_all(m);
	return rc;
}

static int enable(struct model *m)
{
	struct mdev *mdev = m->priv;
	int rc;

	pthread_mutex_lock(&m->lock);
	mdev->in = (struct area){ .base = model_reg64(m, MDEV_REG_READ_BASE),
				  .len = model_reg64(m, MDEV_REG_READ_LEN) };
	mdev->out = (struct area){ .base = model_reg64(m, MDEV_REG_WRITE_BASE),
				   .len = model_reg64(m, MDEV_REG_WRITE_LEN) };
	mdev->completion = model_reg64(m, MDEV_REG_COMPLETION);
	pthread_mutex_unlock(&m->lock);
	rc = pin_all(m);
	if (rc)
		return rc;
	SPOOR_LOCKED(&m->lock);
	mdev->enabled = true;
	return 0;
}

static void disable(struct model *m)
{
	struct mdev *mdev = m->priv;

	pthread_mutex_lock(&m->lock);
	mdev->enabled = false;
	mdev->nr = 0;
	pthread_mutex_unlock(&m->lock);
	unpin_all(m);
}

static int mdev_written(struct model *m, unsigned int offset, uint64_t old)
{
	struct mdev *mdev = m->priv;
	bool on;

	if (offset == MDEV_REG_DOORBELL) {
		if (mdev->enabled && mdev->nr < MDEV_QUEUE)
			mdev->queue[(mdev->head + mdev->nr++) % MDEV_QUEUE] =
				model_reg64(m, MDEV_REG_DOORBELL);
		return 0;
	}
	if (offset != MDEV_REG_ENABLE)
		return 0;
	pthread_mutex_lock(&m->lock);
	on = model_reg32(m, MDEV_REG_ENABLE);
	pthread_mutex_unlock(&m->lock);
	if (on && !old)
		return enable(m);
	if (!on && old)
		disable(m);
	return 0;
}

/* The area's next page, as much of it as there is. */
static size_t page_at(const struct area *a)
{
	uint64_t rest = a->len - a->next;

	return rest < MODEL_PAGE ? (size_t)rest : MODEL_PAGE;
}

static void advance(struct area *a)
{
	a->next += page_at(a);
	if (a->next >= a->len)
		a->next = 0;
}

/* Read a page, write a page: its content is the page read, or the id. */
static int operate(struct model *m, uint64_t id)
{
	struct mdev *mdev = m->priv;
	uint64_t page[MODEL_PAGE / 8];
	int rc = 0;

	for (size_t i = 0; i < MODEL_PAGE / 8; i++)
		page[i] = htole64(id + i);
	if (mdev->in.len)
		rc = model_dma_read(m, mdev->in.base + mdev->in.next, page,
				    page_at(&mdev->in));
	if (!rc && mdev->out.len)
		rc = model_dma_write(m, mdev->out.base + mdev->out.next, page,
				     page_at(&mdev->out));
	advance(&mdev->in);
	advance(&mdev->out);
	return rc;
}

/* Would any of the next operation's DMA be held?  It is done whole. */
static bool held(struct model *m)
{
	const struct mdev *mdev = m->priv;
	const struct area *in = &mdev->in, *out = &mdev->out;

	return model_dma_held(m, in->base + in->next, page_at(in)) ||
	       model_dma_held(m, out->base + out->next, page_at(out)) ||
	       model_dma_held(m, mdev->completion,
			      sizeof(struct mdev_completion));
}

static enum model_work mdev_work(struct model *m)
{
	struct mdev *mdev = m->priv;
	struct mdev_completion c = { 0 };
	uint64_t id;

	pthread_mutex_lock(&m->lock);
	id = mdev->nr ? mdev->queue[mdev->head] : 0;
	if (!mdev->nr) {
		pthread_mutex_unlock(&m->lock);
		return MODEL_WORK_NONE;
	}
	pthread_mutex_unlock(&m->lock);
	if (held(m))
		return MODEL_WORK_HELD;
	c.id = htole64(id);
	c.status = htole32(operate(m, id) ? 1 : 0);
	model_dma_write(m, mdev->completion, &c, sizeof(c));
	state_touch(m, id);
	pthread_mutex_lock(&m->lock);
	mdev->head = (mdev->head + 1) % MDEV_QUEUE;
	mdev->nr--;
	pthread_mutex_unlock(&m->lock);
	model_irq(m, 0);
	return MODEL_WORK_MORE;
}

static int mdev_resume(struct model *m)
{
	const struct mdev *mdev = m->priv;

	/* After a load it is enabled and holds nothing yet. */
	return mdev->enabled ? pin_all(m) : 0;
}

static void put_area(struct model_cursor *c, const struct area *a)
{
	cursor_put64(c, a->base);
	cursor_put64(c, a->len);
	cursor_put64(c, a->next);
}

static bool get_area(struct model_cursor *c, struct area *a)
{
	a->base = cursor_get64(c);
	a->len = cursor_get64(c);
	a->next = cursor_get64(c);
	return a->next < a->len || (!a->len && !a->next);
}

static void mdev_save(struct model *m, struct model_cursor *c)
{
	const struct mdev *mdev = m->priv;

	SPOOR_LOCKED(&m->lock);
	cursor_put32(c, mdev->enabled);
	put_area(c, &mdev->in);
	put_area(c, &mdev->out);
	cursor_put64(c, mdev->completion);
	cursor_put32(c, mdev->nr);
	for (uint32_t i = 0; i < mdev->nr; i++)
		cursor_put64(c, mdev->queue[(mdev->head + i) % MDEV_QUEUE]);
}

static int mdev_load(struct model *m, struct model_cursor *c)
{
	struct mdev in = { .enabled = cursor_get32(c) != 0 };

	if (!get_area(c, &in.in) || !get_area(c, &in.out))
		return model_fail(EINVAL, "mdev: next page outside its area");
	in.completion = cursor_get64(c);
	in.nr = cursor_get32(c);
	if (in.nr > MDEV_QUEUE)
		return model_fail(EINVAL, "mdev: %u operations pending", in.nr);
	for (uint32_t i = 0; i < in.nr; i++)
		in.queue[i] = cursor_get64(c);
	if (c->failed || c->pos != c->end)
		return model_fail(EINVAL,
				  "mdev: private state of other length");
	/* Pins from before the load are of other areas. */
	unpin_all(m);
	SPOOR_LOCKED(&m->lock);
	memcpy(m->priv, &in, sizeof(in));
	return 0;
}

const struct model_ops model_mdev = {
	.name = "mdev",
	.magic = MDEV_MAGIC,
	.device_id = 0x5003,
	.nr_vectors = 1,
	.migrates = true,
	.priv_size = sizeof(struct mdev),
	.regs = regs,
	.nr_regs = sizeof(regs) / sizeof(regs[0]),
	.release = unpin_all,
	.written = mdev_written,
	.work = mdev_work,
	.resume = mdev_resume,
	.save = mdev_save,
	.load = mdev_load,
};
