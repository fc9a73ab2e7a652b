/* SPDX-License-Identifier: MIT */
/*
 * plain: a device that writes memory when told to, and knows nothing of
 * migration or logs.
 *
 * Threads: next is guarded by lock, the fill in progress is the worker's.
 */
#include <endian.h>
#include <errno.h>

#include "models/model_priv.h"
#include "models/plain_regs.h"

struct fill {
	uint64_t dst, len, value;
	bool wanted;
};

struct plain {
	struct fill next;
	struct fill now;
};

static const struct model_reg regs[] = {
	{ PLAIN_REG_DST, 8, MODEL_REG_RW },
	{ PLAIN_REG_LEN, 8, MODEL_REG_RW },
	{ PLAIN_REG_DOORBELL, 8, MODEL_REG_RW },
};

static int plain_written(struct model *m, unsigned int offset, uint64_t old)
{
	struct plain *plain = m->priv;

	(void)old;
	if (offset == PLAIN_REG_DOORBELL)
		plain->next = (struct fill){
			.dst = model_reg64(m, PLAIN_REG_DST),
			.len = model_reg64(m, PLAIN_REG_LEN),
			.value = model_reg64(m, PLAIN_REG_DOORBELL),
			.wanted = true,
		};
	return 0;
}

static enum model_work plain_work(struct model *m)
{
	struct plain *plain = m->priv;
	struct fill *now = &plain->now;
	uint64_t page[MODEL_PAGE / 8];
	size_t n;

	if (!now->len) {
		SPOOR_LOCKED(&m->lock);
		if (!plain->next.wanted)
			return MODEL_WORK_NONE;
		*now = plain->next;
		plain->next.wanted = false;
	}
	for (n = 0; n < MODEL_PAGE / 8; n++)
		page[n] = htole64(now->value);
	for (unsigned int i = 0; i < MODEL_STEP && now->len; i++) {
		n = model_chunk(now->dst, now->len);
		/* Faults are counted; what is left may still be mapped. */
		if (model_dma_write(m, now->dst, page, n) == -EAGAIN)
			return MODEL_WORK_HELD;
		now->dst += n;
		now->len -= n;
	}
	state_touch(m, now->value);
	return MODEL_WORK_MORE;
}

const struct model_ops model_plain = {
	.name = "plain",
	.magic = PLAIN_MAGIC,
	.device_id = 0x5004,
	.priv_size = sizeof(struct plain),
	.regs = regs,
	.nr_regs = sizeof(regs) / sizeof(regs[0]),
	.written = plain_written,
	.work = plain_work,
};
