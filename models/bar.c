/* SPDX-License-Identifier: MIT */
/*
 * Registers and BAR memory, as a driver, a program's mapping and a peer reach
 * them.
 *
 * Invariant: an access that begins after model_set_level(STOPPED) returned has
 * no effect but a violation; only a peer's write, and a store through a
 * program's mapping, still land in BAR memory, as on hardware, and never in the
 * saved state.  Nothing tells of such a store: while STOPPED a shadow holds
 * what memory should be, and what differs from it is found when the level
 * changes or someone asks for counters.  One that comes while the level changes
 * is in the state, or missed it and is found; loads leave no trace.
 * Threads: any; registers under lock, BAR memory under bar_lock.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "models/model_priv.h"

uint32_t model_reg32(const struct model *m, unsigned int offset)
{
	uint32_t value;

	memcpy(&value, m->regs + offset, sizeof(value));
	return le32toh(value);
}

uint64_t model_reg64(const struct model *m, unsigned int offset)
{
	uint64_t value;

	memcpy(&value, m->regs + offset, sizeof(value));
	return le64toh(value);
}

void model_set_reg32(struct model *m, unsigned int offset, uint32_t value)
{
	value = htole32(value);
	memcpy(m->regs + offset, &value, sizeof(value));
}

void model_set_reg64(struct model *m, unsigned int offset, uint64_t value)
{
	value = htole64(value);
	memcpy(m->regs + offset, &value, sizeof(value));
}

void model_ops_bar(const struct model_ops *ops, unsigned int bar,
		   struct model_bar *ret)
{
	*ret = (struct model_bar){ .fd = -1 };
	if (bar == 0)
		ret->size =
			ops->regs_bar_len ? ops->regs_bar_len : MODEL_REGS_LEN;
	else if (bar == MODEL_MEM_BAR && ops->mem_bar_len && !ops->mem_private)
		*ret = (struct model_bar){ .size = ops->mem_bar_len,
					   .memory = true,
					   .fd = -1 };
}

void model_bar(const struct model *m, unsigned int bar, struct model_bar *ret)
{
	model_ops_bar(m->ops, bar, ret);
	if (ret->memory)
		ret->fd = m->mem_fd;
}

/* Cut an access to the BAR; -EINVAL: it begins past the end. */
static int clamp(const struct model *m, unsigned int bar, uint64_t offset,
		 size_t *len)
{
	struct model_bar info;

	model_bar(m, bar, &info);
	if (offset >= info.size)
		return model_fail(EINVAL, "%s: BAR %u has no byte 0x%llx",
				  m->config.name, bar,
				  (unsigned long long)offset);
	if (*len > info.size - offset)
		*len = (size_t)(info.size - offset);
	return 0;
}

ssize_t model_bar_read(struct model *m, unsigned int bar, uint64_t offset,
		       void *buf, size_t len)
{
	int rc = clamp(m, bar, offset, &len);

	if (rc)
		return rc;
	SPOOR_LOCKED(&m->lock);
	if (m->level == MODEL_STOPPED) {
		model_count(&m->counters.violations, 1);
		memset(buf, 0xff, len);
	} else if (bar == 0 && m->ops->mmio_read) {
		m->ops->mmio_read(m, offset, buf, len);
	} else if (bar == 0) {
		memcpy(buf, m->regs + offset, len);
	} else {
		pthread_mutex_lock(&m->bar_lock);
		memcpy(buf, m->mem + offset, len);
		pthread_mutex_unlock(&m->bar_lock);
	}
	return (ssize_t)len;
}

static bool overlaps(const struct model_reg *reg, uint64_t offset, size_t len)
{
	return offset < reg->offset + (unsigned int)reg->size &&
	       reg->offset < offset + len;
}

static uint64_t reg_value(const struct model *m, const struct model_reg *reg)
{
	return reg->size == 8 ? model_reg64(m, reg->offset)
			      : model_reg32(m, reg->offset);
}

/* Under lock, which is let go of while a control register takes effect. */
static int write_reg(struct model *m, const struct model_reg *reg,
		     uint64_t offset, const uint8_t *bytes, size_t len)
{
	uint64_t first = offset > reg->offset ? offset : reg->offset;
	uint64_t end = reg->offset + (uint64_t)reg->size;
	uint64_t old = reg_value(m, reg);
	int rc;

	if (offset + len < end)
		end = offset + len;
	memcpy(m->regs + first, bytes + (first - offset), end - first);
	if (end != reg->offset + (uint64_t)reg->size || !m->ops->written)
		return 0;
	if (reg->kind == MODEL_REG_RW)
		return m->ops->written(m, reg->offset, old);
	pthread_mutex_unlock(&m->lock);
	rc = m->ops->written(m, reg->offset, old);
	pthread_mutex_lock(&m->lock);
	if (rc)
		model_set_reg32(m, reg->offset, (uint32_t)old);
	return rc;
}

static int write_regs(struct model *m, uint64_t offset, const void *buf,
		      size_t len)
{
	const struct model_reg *reg = m->ops->regs;
	const struct model_reg *end = reg + m->ops->nr_regs;
	int rc;

	SPOOR_LOCKED(&m->lock);
	if (m->level == MODEL_STOPPED) {
		model_count(&m->counters.violations, 1);
		return 0;
	}
	if (m->ops->mmio_write) {
		m->ops->mmio_write(m, offset, buf, len);
		reg = end;
	}
	for (; reg < end; reg++) {
		if (reg->kind == MODEL_REG_RO || !overlaps(reg, offset, len))
			continue;
		rc = write_reg(m, reg, offset, buf, len);
		if (rc)
			return rc;
	}
	model_kick(m);
	return 0;
}

static bool touches_control(const struct model *m, uint64_t offset, size_t len)
{
	for (unsigned int i = 0; i < m->ops->nr_regs; i++)
		if (m->ops->regs[i].kind == MODEL_REG_CONTROL &&
		    overlaps(&m->ops->regs[i], offset, len))
			return true;
	return false;
}

static void write_mem(struct model *m, uint64_t offset, const void *buf,
		      size_t len)
{
	SPOOR_LOCKED(&m->bar_lock);

	if (m->level == MODEL_STOPPED)
		model_count(&m->counters.violations, 1);
	else
		memcpy(m->mem + offset, buf, len);
}

ssize_t model_bar_write(struct model *m, unsigned int bar, uint64_t offset,
			const void *buf, size_t len)
{
	int rc = clamp(m, bar, offset, &len);

	if (rc)
		return rc;
	if (bar == MODEL_MEM_BAR) {
		write_mem(m, offset, buf, len);
	} else if (touches_control(m, offset, len)) {
		SPOOR_LOCKED(&m->control);
		model_pause(m);
		rc = write_regs(m, offset, buf, len);
		model_unpause(m);
	} else {
		rc = write_regs(m, offset, buf, len);
	}
	return rc ? rc : (ssize_t)len;
}

static bool inside_mem(const struct model *m, unsigned int bar, uint64_t offset,
		       size_t len)
{
	return bar == MODEL_MEM_BAR && !m->ops->mem_private &&
	       offset <= m->ops->mem_bar_len &&
	       len <= m->ops->mem_bar_len - offset;
}

int model_peer_write(struct model *m, unsigned int bar, uint64_t offset,
		     const void *buf, size_t len)
{
	if (!inside_mem(m, bar, offset, len))
		return -EFAULT;
	SPOOR_LOCKED(&m->bar_lock);
	/*
	 * Under bar_lock the level and the frozen copy change together: this
	 * write is either in the state, or a violation, never both or neither.
	 */
	if (m->level == MODEL_STOPPED)
		model_count(&m->counters.violations, 1);
	model_count(&m->counters.peer_writes, 1);
	memcpy(m->mem + offset, buf, len);
	if (m->level == MODEL_STOPPED)
		memcpy(m->shadow_mem + offset, buf, len);
	return 0;
}

int model_peer_read(struct model *m, unsigned int bar, uint64_t offset,
		    void *buf, size_t len)
{
	if (!inside_mem(m, bar, offset, len))
		return -EFAULT;
	SPOOR_LOCKED(&m->bar_lock);
	if (m->level == MODEL_STOPPED)
		model_count(&m->counters.violations, 1);
	memcpy(buf, m->mem + offset, len);
	return 0;
}

int model_bar_peek(struct model *m, unsigned int bar, uint64_t offset,
		   void *buf, size_t len)
{
	if (!inside_mem(m, bar, offset, len))
		return -EFAULT;
	SPOOR_LOCKED(&m->bar_lock);
	memcpy(buf, m->mem + offset, len);
	return 0;
}

/* Under bar_lock.  However many stores there were, they are one violation. */
static void notice_stores(struct model *m)
{
	if (!m->mem || m->level != MODEL_STOPPED ||
	    !memcmp(m->shadow_mem, m->mem, m->ops->mem_bar_len))
		return;
	model_count(&m->counters.violations, 1);
	memcpy(m->shadow_mem, m->mem, m->ops->mem_bar_len);
}

void model_check_bars(struct model *m)
{
	SPOOR_LOCKED(&m->bar_lock);

	notice_stores(m);
}

void model_fill_bars(struct model *m, const uint8_t *mem)
{
	size_t len = m->ops->mem_bar_len;
	SPOOR_LOCKED(&m->bar_lock);

	notice_stores(m);
	if (!m->mem)
		return;
	if (mem)
		memcpy(m->frozen_mem, mem, len);
	else
		memset(m->frozen_mem, 0, len);
	memcpy(m->mem, m->frozen_mem, len);
	memcpy(m->shadow_mem, m->frozen_mem, len);
}

void model_freeze_bars(struct model *m, enum model_level level)
{
	SPOOR_LOCKED(&m->bar_lock);

	notice_stores(m);
	if (level == MODEL_STOPPED && m->mem) {
		memcpy(m->frozen_mem, m->mem, m->ops->mem_bar_len);
		memcpy(m->shadow_mem, m->frozen_mem, m->ops->mem_bar_len);
	}
	m->level = level;
}
