/* SPDX-License-Identifier: MIT */
/*
 * dsa: an accelerator that fills and copies memory by descriptors, in order.
 *
 * Invariant: a descriptor leaves the queue only after its completion record
 * was written (or could not be), so what a stop interrupts goes on from where
 * it was, here or at the destination.
 * Threads: the queue is guarded by lock; the descriptor in progress is the
 * worker's.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "models/dsa_regs.h"
#include "models/model_priv.h"

struct dsa {
	uint64_t queue[DSA_QUEUE]; /* addresses; head is in progress */
	uint32_t head, nr;
	bool fetched; /* now is the head's descriptor */
	struct dsa_descriptor now;
	uint64_t pos; /* bytes done */
	uint32_t status;
};

static const struct model_reg regs[] = {
	{ DSA_REG_DOORBELL, 8, MODEL_REG_RW },
	{ DSA_REG_FREE, 4, MODEL_REG_RO },
};

static void dsa_init(struct model *m)
{
	struct dsa *dsa = m->priv;

	model_set_reg32(m, DSA_REG_FREE, DSA_QUEUE - dsa->nr);
}

static int dsa_written(struct model *m, unsigned int offset, uint64_t old)
{
	struct dsa *dsa = m->priv;

	(void)offset;
	(void)old;
	if (dsa->nr < DSA_QUEUE)
		dsa->queue[(dsa->head + dsa->nr++) % DSA_QUEUE] =
			model_reg64(m, DSA_REG_DOORBELL);
	model_set_reg32(m, DSA_REG_FREE, DSA_QUEUE - dsa->nr);
	return 0;
}

static void pop(struct model *m)
{
	struct dsa *dsa = m->priv;

	SPOOR_LOCKED(&m->lock);
	dsa->head = (dsa->head + 1) % DSA_QUEUE;
	dsa->nr--;
	dsa->fetched = false;
	model_set_reg32(m, DSA_REG_FREE, DSA_QUEUE - dsa->nr);
}

static bool dsa_valid(const struct dsa_descriptor *d)
{
	if (d->op != DSA_OP_FILL && d->op != DSA_OP_COPY)
		return false;
	return !d->len ||
	       (d->dst + (d->len - 1) >= d->dst &&
		(d->op == DSA_OP_FILL || d->src + (d->len - 1) >= d->src));
}

static int fetch(struct model *m, uint64_t iova)
{
	struct dsa *dsa = m->priv;
	struct dsa_descriptor d;
	int rc = model_dma_read(m, iova, &d, sizeof(d));

	if (rc)
		return rc;
	dsa->now = (struct dsa_descriptor){
		.op = le32toh(d.op),
		.flags = le32toh(d.flags),
		.src = le64toh(d.src),
		.dst = le64toh(d.dst),
		.len = le64toh(d.len),
		.completion = le64toh(d.completion),
		.pattern = le64toh(d.pattern),
		.id = le64toh(d.id),
	};
	dsa->fetched = true;
	dsa->pos = 0;
	dsa->status = dsa_valid(&dsa->now) ? DSA_STATUS_OK : DSA_STATUS_FAULT;
	return 0;
}

/* The pattern as it falls on the bytes from pos on; page holds whole words. */
static void fill_page(const struct dsa *dsa, uint8_t *page, size_t len)
{
	unsigned int turn = dsa->pos % 8 * 8;
	uint64_t word = dsa->now.pattern;

	if (turn)
		word = word >> turn | word << (64 - turn);
	word = htole64(word);
	for (size_t i = 0; i < len; i += sizeof(word))
		memcpy(page + i, &word, sizeof(word));
}

/* Some chunks of the transfer; -EAGAIN: held, nothing of the next is done. */
static int transfer(struct model *m)
{
	struct dsa *dsa = m->priv;
	const struct dsa_descriptor *d = &dsa->now;
	uint8_t page[MODEL_PAGE];
	size_t n;
	int rc = 0;

	for (unsigned int i = 0; i < MODEL_STEP && dsa->pos < d->len; i++) {
		n = model_chunk(d->dst + dsa->pos, d->len - dsa->pos);
		if (d->op == DSA_OP_COPY)
			rc = model_dma_read(m, d->src + dsa->pos, page, n);
		else
			fill_page(dsa, page, n);
		if (!rc)
			rc = model_dma_write(m, d->dst + dsa->pos, page, n);
		if (rc)
			return rc;
		dsa->pos += n;
		state_touch(m, d->id ^ dsa->pos);
	}
	return 0;
}

static int complete(struct model *m)
{
	const struct dsa *dsa = m->priv;
	struct dsa_completion c = {
		.id = htole64(dsa->now.id),
		.status = htole32(dsa->status),
	};
	int rc = model_dma_write(m, dsa->now.completion, &c, sizeof(c));

	if (rc != -EAGAIN)
		state_touch(m, dsa->now.id);
	return rc;
}

static enum model_work dsa_work(struct model *m)
{
	struct dsa *dsa = m->priv;
	uint64_t iova;
	int rc = 0;

	pthread_mutex_lock(&m->lock);
	iova = dsa->nr ? dsa->queue[dsa->head] : 0;
	if (!dsa->nr) {
		pthread_mutex_unlock(&m->lock);
		return MODEL_WORK_NONE;
	}
	pthread_mutex_unlock(&m->lock);
	if (!dsa->fetched)
		rc = fetch(m, iova);
	if (rc && rc != -EAGAIN) { /* nobody to tell: the fault is counted */
		pop(m);
		return MODEL_WORK_MORE;
	}
	if (!rc && !dsa->status && dsa->pos < dsa->now.len) {
		rc = transfer(m);
		if (rc && rc != -EAGAIN)
			dsa->status = DSA_STATUS_FAULT;
		else if (!rc && dsa->pos < dsa->now.len)
			return MODEL_WORK_MORE;
	}
	if (rc == -EAGAIN || complete(m) == -EAGAIN)
		return MODEL_WORK_HELD;
	pop(m);
	model_irq(m, 0);
	return MODEL_WORK_MORE;
}

static void dsa_save(struct model *m, struct model_cursor *c)
{
	const struct dsa *dsa = m->priv;

	SPOOR_LOCKED(&m->lock);
	cursor_put32(c, dsa->nr);
	for (uint32_t i = 0; i < dsa->nr; i++)
		cursor_put64(c, dsa->queue[(dsa->head + i) % DSA_QUEUE]);
	cursor_put32(c, dsa->fetched);
	if (!dsa->fetched)
		return;
	cursor_put32(c, dsa->now.op);
	cursor_put32(c, dsa->now.flags);
	cursor_put64(c, dsa->now.src);
	cursor_put64(c, dsa->now.dst);
	cursor_put64(c, dsa->now.len);
	cursor_put64(c, dsa->now.completion);
	cursor_put64(c, dsa->now.pattern);
	cursor_put64(c, dsa->now.id);
	cursor_put64(c, dsa->pos);
	cursor_put32(c, dsa->status);
}

static int dsa_load(struct model *m, struct model_cursor *c)
{
	struct dsa in = { .nr = cursor_get32(c) };
	uint32_t fetched;

	if (in.nr > DSA_QUEUE)
		return model_fail(EINVAL, "dsa: %u descriptors pending", in.nr);
	for (uint32_t i = 0; i < in.nr; i++)
		in.queue[i] = cursor_get64(c);
	fetched = cursor_get32(c);
	if (fetched == 1 && in.nr) {
		in.fetched = true;
		in.now.op = cursor_get32(c);
		in.now.flags = cursor_get32(c);
		in.now.src = cursor_get64(c);
		in.now.dst = cursor_get64(c);
		in.now.len = cursor_get64(c);
		in.now.completion = cursor_get64(c);
		in.now.pattern = cursor_get64(c);
		in.now.id = cursor_get64(c);
		in.pos = cursor_get64(c);
		in.status = cursor_get32(c);
	} else if (fetched) {
		return model_fail(EINVAL, "dsa: impossible descriptor");
	}
	if (in.pos > in.now.len || in.status > DSA_STATUS_FAULT ||
	    (in.fetched && !in.status && !dsa_valid(&in.now)))
		return model_fail(EINVAL, "dsa: impossible descriptor");
	if (c->failed || c->pos != c->end)
		return model_fail(EINVAL, "dsa: private state of other length");
	SPOOR_LOCKED(&m->lock);
	memcpy(m->priv, &in, sizeof(in));
	return 0;
}

const struct model_ops model_dsa = {
	.name = "dsa",
	.magic = DSA_MAGIC,
	.device_id = 0x5002,
	.nr_vectors = 1,
	.migrates = true,
	.priv_size = sizeof(struct dsa),
	.regs = regs,
	.nr_regs = sizeof(regs) / sizeof(regs[0]),
	.init = dsa_init,
	.written = dsa_written,
	.work = dsa_work,
	.save = dsa_save,
	.load = dsa_load,
};
