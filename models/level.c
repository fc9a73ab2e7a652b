/* SPDX-License-Identifier: MIT */
/*
 * What a device may do: level, freezing and reset.
 *
 * Invariant: the level changes only while the worker is parked and no poke is
 * between its check and its end, so when model_set_level() returns, no DMA
 * that the new level forbids is in flight.  While STOPPED nothing that will be
 * saved changes, but for truth entries that are dropped.
 * Threads: any, one at a time under control.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "models/model_priv.h"

/* A planted bug: DMA goes on for so long after a stop. */
#define LATE_NS 100000000u

/* Worker parked.  Pokes, registers and peers each look under their lock. */
static void put_level(struct model *m, enum model_level level)
{
	SPOOR_LOCKED(&m->lock);

	pthread_mutex_lock(&m->dma_lock);
	model_freeze_bars(m, level);
	pthread_mutex_unlock(&m->dma_lock);
}

/*
 * Hardware finishes what it has begun before it stops.  No lock is held: until
 * the level changes it is reached, works and is logged as ever.
 */
static void drain(const struct model *m)
{
	struct timespec left = {
		.tv_sec = (time_t)(m->config.stop_ms / 1000u),
		.tv_nsec = (long)(m->config.stop_ms % 1000u) * 1000000L,
	};

	if (model_level_quiet(m, m->level))
		return;
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}

int model_set_level(struct model *m, enum model_level level)
{
	int rc = 0;

	if (level == MODEL_STOPPED)
		drain(m);
	SPOOR_LOCKED(&m->control);
	if ((int)level == m->level)
		return 0;
	model_pause(m);
	if (m->level == MODEL_STOPPED && m->ops->resume)
		rc = m->ops->resume(m);
	if (!rc) {
		if (m->level == MODEL_STOPPED)
			stream_invalidate(m, false);
		m->late_ns = 0;
		if (level == MODEL_STOPPED &&
		    model_has_fault(m, MODEL_FAULT_DMA_IN_STOP))
			m->late_ns = model_now_ns() + LATE_NS;
		put_level(m, level);
		if (level == MODEL_STOPPED &&
		    model_has_fault(m, MODEL_FAULT_LOG_LOST_AT_STOP))
			log_forget(m);
		if (level == MODEL_STOPPED) {
			if (m->ops->quiesce)
				m->ops->quiesce(m);
			truth_drop_overwritten(m);
		}
	}
	model_unpause(m);
	return rc;
}

enum model_level model_level(const struct model *m)
{
	return (enum model_level)m->level;
}

void model_freeze(struct model *m)
{
	SPOOR_LOCKED(&m->control);

	if (m->level == MODEL_STOPPED)
		truth_drop_overwritten(m);
}

/* Worker parked. */
static void renew_all(struct model *m)
{
	if (m->ops->release)
		m->ops->release(m);
	pthread_mutex_lock(&m->dma_lock);
	truth_clear(&m->truth);
	truth_clear(&m->late);
	m->loaded_seq = 0;
	deaf_clear(m);
	pthread_mutex_unlock(&m->dma_lock);
	m->nr_reports = 0;
	state_reset(&m->state, &m->config);
	pthread_mutex_lock(&m->lock);
	model_renew(m);
	pthread_mutex_unlock(&m->lock);
	model_fill_bars(m, NULL);
}

int model_reset(struct model *m)
{
	SPOOR_LOCKED(&m->control);

	model_pause(m);
	stream_invalidate(m, true);
	log_drop(m);
	if (!model_has_fault(m, MODEL_FAULT_RESET_LEAVES_STATE))
		renew_all(m);
	put_level(m, MODEL_RUNNING);
	model_unpause(m);
	return 0;
}
