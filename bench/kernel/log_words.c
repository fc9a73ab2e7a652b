/* SPDX-License-Identifier: MIT */
/* A device's log as a bitmap; see log_words.h. */
#include "bench/kernel/log_words.h"

#include <errno.h>
#include <stdlib.h>

#include "models/log_priv.h"

bool log_words_readable(const struct model *m)
{
	const struct model_log_config *c = &m->config.log;

	return c->present && c->read_while_running && !c->deaf &&
	       !c->fail_after;
}

/* Words [first, first + nr), or NULL. */
static _Atomic(uint64_t) *words_of(struct model *m, uint64_t first, uint64_t nr)
{
	const struct model_log *log = m->log;

	if (!log || log->nr_areas != 1 || first > log->nr_words ||
	    nr > log->nr_words - first)
		return NULL;
	return log->dirty + first;
}

int log_words_read(struct model *m, uint64_t first, uint64_t nr, uint64_t *out,
		   bool take)
{
	_Atomic(uint64_t) *words;
	uint64_t taken = 0;

	SPOOR_LOCKED(&m->control);
	words = words_of(m, first, nr);
	if (!words)
		return -EINVAL;
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t bits =
			atomic_load_explicit(&words[i], memory_order_acquire);

		/* A mark that comes after the look stays for the next. */
		if (!bits)
			continue;
		if (take) {
			bits = atomic_exchange_explicit(&words[i], 0,
							memory_order_acquire);
			taken += (uint64_t)__builtin_popcountll(bits);
		}
		out[i] |= bits;
	}
	model_count(&m->counters.pages_reported, taken);
	return 0;
}

/*
 * What is marked again between the read and this is cleared too: whoever was
 * told of the page looks at it afterwards.  Acquire: and sees what was written.
 */
int log_words_clear(struct model *m, uint64_t first, uint64_t nr,
		    const uint64_t *mask)
{
	_Atomic(uint64_t) *words;
	uint64_t taken = 0;

	SPOOR_LOCKED(&m->control);
	words = words_of(m, first, nr);
	if (!words)
		return -EINVAL;
	for (uint64_t i = 0; i < nr; i++) {
		if (!mask[i])
			continue;
		taken += (uint64_t)__builtin_popcountll(
			atomic_fetch_and_explicit(&words[i], ~mask[i],
						  memory_order_acquire) &
			mask[i]);
	}
	model_count(&m->counters.pages_reported, taken);
	return 0;
}

int log_words_share(struct model *m, uint64_t *words)
{
	_Atomic(uint64_t) *own = NULL, *old;
	struct model_log *log;

	SPOOR_LOCKED(&m->control);
	log = m->log;
	if (!log || log->nr_areas != 1 || log->deaf)
		return -EINVAL;
	if (!words) {
		own = calloc(log->nr_words + 1, sizeof(*own));
		if (!own)
			return -ENOMEM;
	}
	pthread_mutex_lock(&m->dma_lock);
	old = log->dirty;
	log->dirty = words ? (_Atomic(uint64_t) *)words : own;
	pthread_mutex_unlock(&m->dma_lock);
	/* What was marked in the old ones was marked before START's answer, or
	 * is not to be told after STOP's. */
	if (words)
		free(old);
	return 0;
}

int log_words_mark(struct model *m, uint64_t iova, uint64_t nr, uint64_t run,
		   uint64_t step)
{
	SPOOR_LOCKED(&m->dma_lock);

	if (!m->log)
		return -EINVAL;
	for (uint64_t i = 0; i < nr; i++) {
		for (uint64_t page = i * step; page < i * step + run; page++)
			log_mark(m, iova + page * MODEL_PAGE, MODEL_PAGE);
	}
	return 0;
}
