/* SPDX-License-Identifier: MIT */
/*
 * What a device does to memory.  A write is split at 4 KiB boundaries; each
 * chunk begins with the device's stamp, and goes in this order: data, the
 * host's own mark (inside dma_write), the mark in the log, the truth entry.
 *
 * Invariant: a chunk's truth entry is that of the last write to its page,
 * because data and entry change under one lock.
 * Threads: the worker, and tests through model_poke_dma().
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "models/model_priv.h"

bool model_dma_held(struct model *m, uint64_t iova, uint64_t len)
{
	size_t n;

	if (m->level == MODEL_RUNNING)
		return false;
	if (model_level_quiet(m, m->level))
		return true;
	if (!m->host_ops->is_peer ||
	    model_has_fault(m, MODEL_FAULT_P2P_PEER_DMA))
		return false;
	for (; len; iova += n, len -= n) {
		n = model_chunk(iova, len);
		if (m->host_ops->is_peer(m->host, iova))
			return true;
	}
	return false;
}

static bool wraps(uint64_t iova, size_t len)
{
	return len && iova + (len - 1) < iova;
}

/* The planted bug: marked before there is data, for long enough to matter. */
static void mark_too_early(struct model *m, uint64_t iova, size_t len)
{
	log_mark(m, iova, len);
	nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
}

/*
 * While the log's queue is full no write may go on: the report has set stalled
 * and then passed through dma_lock, so who gets the lock later sees it.
 */
static void lock_dma(struct model *m)
{
	for (;;) {
		log_wait_room(m);
		pthread_mutex_lock(&m->dma_lock);
		if (!atomic_load_explicit(&m->stalled, memory_order_relaxed))
			return;
		pthread_mutex_unlock(&m->dma_lock);
	}
}

static int write_chunk_locked(struct model *m, uint64_t iova, const void *buf,
			      size_t len)
{
	bool early = m->config.faults & MODEL_FAULT_MARK_BEFORE_DATA;
	uint8_t chunk[MODEL_PAGE];
	uint64_t stamp, le;
	int rc;

	/* The worker knows already; a poke may meet a change of level. */
	if (model_dma_held(m, iova, len))
		return -EAGAIN;
	m->seq = (m->seq + 1) & MODEL_SEQ_MASK;
	stamp = ((uint64_t)m->config.index + 1) << 48 | m->seq;
	le = htole64(stamp);
	memcpy(chunk, buf, len);
	memcpy(chunk, &le, len < sizeof(le) ? len : sizeof(le));
	if (early)
		mark_too_early(m, iova, len);
	rc = m->host_ops->dma_write(m->host, iova, chunk, len);
	if (rc) {
		model_count(&m->counters.faults, 1);
		return rc;
	}
	if (!early)
		log_mark(m, iova, len);
	if (m->level == MODEL_STOPPED)
		model_count(&m->counters.late_writes, 1);
	truth_note(m->level == MODEL_STOPPED ? &m->late : &m->truth, iova,
		   stamp, len);
	model_count(&m->counters.dma_writes, 1);
	model_count(&m->counters.dma_bytes, len);
	return 0;
}

static int write_chunk(struct model *m, uint64_t iova, const void *buf,
		       size_t len)
{
	int rc;

	lock_dma(m);
	rc = write_chunk_locked(m, iova, buf, len);
	pthread_mutex_unlock(&m->dma_lock);
	return rc;
}

int model_dma_write(struct model *m, uint64_t iova, const void *buf, size_t len)
{
	const uint8_t *from = buf;
	size_t n;
	int rc;

	if (wraps(iova, len)) {
		model_count(&m->counters.faults, 1);
		return -EFAULT;
	}
	if (model_dma_held(m, iova, len))
		return -EAGAIN;
	for (; len; iova += n, from += n, len -= n) {
		n = model_chunk(iova, len);
		rc = write_chunk(m, iova, from, n);
		if (rc)
			return rc;
	}
	return 0;
}

int model_dma_read(struct model *m, uint64_t iova, void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t n;
	int rc;

	if (wraps(iova, len)) {
		model_count(&m->counters.faults, 1);
		return -EFAULT;
	}
	if (model_dma_held(m, iova, len))
		return -EAGAIN;
	for (; len; iova += n, to += n, len -= n) {
		n = model_chunk(iova, len);
		rc = m->host_ops->dma_read(m->host, iova, to, n);
		if (rc) {
			model_count(&m->counters.faults, 1);
			return rc;
		}
	}
	return 0;
}

int model_poke_dma(struct model *m, uint64_t iova, const void *buf, size_t len)
{
	int rc = model_dma_write(m, iova, buf, len);

	return rc == -EAGAIN ? -EBUSY : rc;
}

void model_irq(struct model *m, unsigned int vector)
{
	if (m->host_ops->irq)
		m->host_ops->irq(m->host, vector);
}

int model_pin(struct model *m, unsigned int slot, uint64_t iova, uint64_t len,
	      bool write)
{
	struct model_pin *pin = &m->pins[slot];
	uint64_t first = iova & ~(uint64_t)(MODEL_PAGE - 1);
	uint64_t nr_pages;
	int rc;

	if (!len || pin->held || !m->host_ops->pin)
		return 0;
	if (iova + (len - 1) < iova)
		return model_fail(EFAULT, "%s: pin: range past 2^64",
				  m->config.name);
	nr_pages = ((iova + (len - 1) - first) / MODEL_PAGE) + 1;
	rc = m->host_ops->pin(m->host, first, nr_pages, write);
	if (rc)
		return model_fail(-rc, "%s: cannot pin 0x%llx, %llu pages: %s",
				  m->config.name, (unsigned long long)first,
				  (unsigned long long)nr_pages,
				  strerrordesc_np(-rc));
	*pin = (struct model_pin){ .iova = first,
				   .nr_pages = nr_pages,
				   .held = true };
	return 0;
}

void model_unpin(struct model *m, unsigned int slot)
{
	struct model_pin *pin = &m->pins[slot];

	if (pin->held && m->host_ops->unpin)
		m->host_ops->unpin(m->host, pin->iova, pin->nr_pages);
	pin->held = false;
}
