/* SPDX-License-Identifier: MIT */
/*
 * edu: QEMU's educational device, as its drivers see it.
 *
 * Invariant: EDU_CMD_RUN is set from the doorbell to the end of the DMA, which
 * happens in one step, or not at all before a stop: a DMA that a stop finds in
 * flight is done after it, here or at the destination.
 * Threads: registers under lock; until and the transfer are the worker's.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "models/edu_regs.h"
#include "models/model_priv.h"

struct edu {
	uint64_t until; /* when the DMA in flight is done; 0: not begun */
	bool irq_due; /* under lock */
};

/* The table is what migrates; accesses go through edu_mmio_*(). */
static const struct model_reg regs[] = {
	{ EDU_REG_LIVENESS, 4, MODEL_REG_RO },
	{ EDU_REG_FACTORIAL, 4, MODEL_REG_RO },
	{ EDU_REG_STATUS, 4, MODEL_REG_RO },
	{ EDU_REG_IRQ_STATUS, 4, MODEL_REG_RO },
	{ EDU_REG_SRC, 8, MODEL_REG_RO },
	{ EDU_REG_DST, 8, MODEL_REG_RO },
	{ EDU_REG_COUNT, 8, MODEL_REG_RO },
	{ EDU_REG_CMD, 8, MODEL_REG_RO },
};

static int edu_check(const struct model_config *config)
{
	if (config->dma_bits > 64)
		return model_fail(EINVAL, "%s: dma_bits %u, at most 64",
				  config->name, config->dma_bits);
	return 0;
}

/* As new, or loaded: what was pending is pending. */
static void edu_init(struct model *m)
{
	struct edu *edu = m->priv;

	edu->until = 0;
	edu->irq_due = model_reg32(m, EDU_REG_IRQ_STATUS) != 0;
}

static bool is_dma(uint64_t offset)
{
	return offset == EDU_REG_SRC || offset == EDU_REG_DST ||
	       offset == EDU_REG_COUNT || offset == EDU_REG_CMD;
}

static bool fits(uint64_t offset, size_t len)
{
	return len == 4 || (len == 8 && offset >= EDU_REG_SRC);
}

static void edu_mmio_read(struct model *m, uint64_t offset, void *buf,
			  size_t len)
{
	uint64_t value = UINT64_MAX;

	if (!fits(offset, len))
		;
	else if (is_dma(offset))
		value = model_reg64(m, (unsigned int)offset);
	else if (offset == EDU_REG_ID || offset == EDU_REG_LIVENESS ||
		 offset == EDU_REG_FACTORIAL || offset == EDU_REG_STATUS ||
		 offset == EDU_REG_IRQ_STATUS)
		value = model_reg32(m, (unsigned int)offset);
	value = htole64(value);
	memset(buf, 0xff, len);
	memcpy(buf, &value, len < sizeof(value) ? len : sizeof(value));
}

static void change_bits(struct model *m, unsigned int reg, uint32_t clear,
			uint32_t set)
{
	model_set_reg32(m, reg, (model_reg32(m, reg) & ~clear) | set);
}

static void raise_irq(struct model *m, uint32_t bits)
{
	struct edu *edu = m->priv;

	change_bits(m, EDU_REG_IRQ_STATUS, 0, bits);
	edu->irq_due = model_reg32(m, EDU_REG_IRQ_STATUS) != 0;
}

static void write_dma(struct model *m, unsigned int offset, uint64_t value)
{
	if (model_reg64(m, EDU_REG_CMD) & EDU_CMD_RUN)
		return;
	if (offset != EDU_REG_CMD || (value & EDU_CMD_RUN))
		model_set_reg64(m, offset, value);
}

static void edu_mmio_write(struct model *m, uint64_t offset, const void *buf,
			   size_t len)
{
	uint64_t value = 0;
	uint32_t low;

	if (!fits(offset, len))
		return;
	memcpy(&value, buf, len);
	value = le64toh(value);
	low = (uint32_t)value;
	switch (offset) {
	case EDU_REG_LIVENESS:
		model_set_reg32(m, EDU_REG_LIVENESS, ~low);
		break;
	case EDU_REG_FACTORIAL:
		if (model_reg32(m, EDU_REG_STATUS) & EDU_STATUS_COMPUTING)
			break;
		model_set_reg32(m, EDU_REG_FACTORIAL, low);
		change_bits(m, EDU_REG_STATUS, 0, EDU_STATUS_COMPUTING);
		break;
	case EDU_REG_STATUS:
		change_bits(m, EDU_REG_STATUS, EDU_STATUS_IRQ,
			    low & EDU_STATUS_IRQ);
		break;
	case EDU_REG_IRQ_RAISE:
		raise_irq(m, low);
		break;
	case EDU_REG_IRQ_ACK:
		change_bits(m, EDU_REG_IRQ_STATUS, low, 0);
		break;
	default:
		if (is_dma(offset))
			write_dma(m, (unsigned int)offset, value);
		break;
	}
}

/* From 34! on every factorial is a multiple of 2^32. */
static uint32_t factorial(uint32_t n)
{
	uint32_t product = 1;

	for (; n && product; n--)
		product *= n;
	return product;
}

static void compute(struct model *m)
{
	SPOOR_LOCKED(&m->lock);
	if (!(model_reg32(m, EDU_REG_STATUS) & EDU_STATUS_COMPUTING))
		return;
	model_set_reg32(m, EDU_REG_FACTORIAL,
			factorial(model_reg32(m, EDU_REG_FACTORIAL)));
	change_bits(m, EDU_REG_STATUS, EDU_STATUS_COMPUTING, 0);
	if (model_reg32(m, EDU_REG_STATUS) & EDU_STATUS_IRQ)
		raise_irq(m, EDU_IRQ_FACTORIAL);
}

static bool take_irq(struct model *m)
{
	struct edu *edu = m->priv;
	bool due;

	SPOOR_LOCKED(&m->lock);
	due = edu->irq_due;
	edu->irq_due = false;
	return due;
}

struct transfer {
	uint64_t src, dst, count, cmd;
};

/* -EAGAIN: this level forbids it; else it is over, done or refused. */
static int transfer(struct model *m, const struct transfer *t)
{
	unsigned int bits = m->config.dma_bits ? m->config.dma_bits : EDU_BITS;
	uint64_t mask = ~UINT64_C(0) >> (64 - bits);
	bool to_ram = t->cmd & EDU_CMD_TO_RAM;
	uint64_t at = (to_ram ? t->src : t->dst) - EDU_BUF;
	uint8_t bytes[EDU_BUF_LEN];
	int rc;

	if (at >= EDU_BUF_LEN || t->count > EDU_BUF_LEN - at) {
		model_count(&m->counters.faults, 1);
		return 0;
	}
	if (to_ram) {
		pthread_mutex_lock(&m->bar_lock);
		memcpy(bytes, m->mem + at, t->count);
		pthread_mutex_unlock(&m->bar_lock);
		return model_dma_write(m, t->dst & mask, bytes, t->count);
	}
	rc = model_dma_read(m, t->src & mask, bytes, t->count);
	if (!rc) {
		SPOOR_LOCKED(&m->bar_lock);
		memcpy(m->mem + at, bytes, t->count);
	}
	return rc;
}

static void finish(struct model *m, const struct transfer *t)
{
	SPOOR_LOCKED(&m->lock);
	model_set_reg64(m, EDU_REG_CMD, t->cmd & ~(uint64_t)EDU_CMD_RUN);
	if (t->cmd & EDU_CMD_IRQ)
		raise_irq(m, EDU_IRQ_DMA);
}

static struct transfer wanted(struct model *m)
{
	SPOOR_LOCKED(&m->lock);
	return (struct transfer){
		.src = model_reg64(m, EDU_REG_SRC),
		.dst = model_reg64(m, EDU_REG_DST),
		.count = model_reg64(m, EDU_REG_COUNT),
		.cmd = model_reg64(m, EDU_REG_CMD),
	};
}

static enum model_work edu_work(struct model *m)
{
	struct edu *edu = m->priv;
	struct transfer t = wanted(m);
	enum model_work rest = MODEL_WORK_NONE;

	m->wake_ns = 0;
	compute(m);
	if (!(t.cmd & EDU_CMD_RUN)) {
		edu->until = 0;
	} else if (!edu->until) {
		edu->until = model_now_ns() + m->config.dma_us * 1000;
		rest = MODEL_WORK_MORE;
	} else if (model_now_ns() < edu->until) {
		m->wake_ns = edu->until;
	} else if (transfer(m, &t) == -EAGAIN) {
		rest = MODEL_WORK_HELD;
	} else {
		edu->until = 0;
		finish(m, &t);
		state_touch(m, t.dst ^ t.src << 16);
		rest = MODEL_WORK_MORE;
	}
	if (take_irq(m))
		model_irq(m, 0);
	return rest;
}

static void edu_save(struct model *m, struct model_cursor *c)
{
	/* All there is are registers and the buffer. */
	(void)m;
	(void)c;
}

static int edu_load(struct model *m, struct model_cursor *c)
{
	(void)m;
	if (c->pos != c->end)
		return model_fail(EINVAL, "edu: private state of other length");
	return 0;
}

const struct model_ops model_edu = {
	.name = "edu",
	.magic = EDU_ID,
	.vendor_id = EDU_VENDOR,
	.device_id = EDU_DEVICE,
	.nr_vectors = 1,
	.msi = true,
	.regs_bar_len = EDU_BAR_LEN,
	.mem_bar_len = EDU_BUF_LEN,
	.mem_private = true,
	.migrates = true,
	.priv_size = sizeof(struct edu),
	.regs = regs,
	.nr_regs = sizeof(regs) / sizeof(regs[0]),
	.check = edu_check,
	.init = edu_init,
	.mmio_read = edu_mmio_read,
	.mmio_write = edu_mmio_write,
	.work = edu_work,
	.save = edu_save,
	.load = edu_load,
};
