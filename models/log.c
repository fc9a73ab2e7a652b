/* SPDX-License-Identifier: MIT */
/*
 * A device's own DMA log, modelled on mlx5's: a bit for each granule of the
 * tracked ranges, and a queue of limited depth through which a report moves
 * the dirty ones to the reader.  While the queue is full and the reader drains
 * it the device is held back; nothing is ever lost.
 *
 * Invariant: data is written before its granule is marked, and a bit is
 * cleared only by the report that hands its granule to the reader (if the
 * reader fails, it is set again).  Marking is an atomic OR with release
 * order, also where the bit is set already: a plain test could be ordered
 * before the data it speaks for, while a report clears the bit in between and
 * the reader copies the page as it was.  The report's take has acquire order:
 * who gets the bit sees the data.
 *
 * Threads: marks under dma_lock, start, report and stop under control; the
 * bits themselves are shared by both sides.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/log_priv.h"

#define QUEUE_MAX 65536u /* entries with memory behind them */

static struct model_log *log_free(struct model_log *log)
{
	if (log) {
		free(log->dirty);
		free(log->deaf);
		free(log->seen);
		free(log->queue);
		free(log);
	}
	return NULL;
}

static uint64_t pick_page(const struct model_log_config *c, uint64_t page_size)
{
	if (page_size < c->min_page)
		return c->min_page;
	if (page_size > c->max_page)
		return c->max_page;
	return UINT64_C(1) << (63 - __builtin_clzll(page_size));
}

/* Combined, within the address bits, then widened to whole granules. */
static int fit(const struct model *m, struct log_span *spans, size_t *nr,
	       uint64_t page_size)
{
	const struct model_log_config *c = &m->config.log;
	unsigned int bits;

	*nr = log_join_spans(spans, *nr, c->max_ranges);
	/* Ranges without length: there is nothing to log. */
	if (!*nr)
		return 0;
	bits = log_address_bits(spans, *nr);
	if (bits < c->address_bits_min || bits > c->address_bits_max)
		return model_fail(EOPNOTSUPP,
				  "%s: log: %u address bits, it has %u to %u",
				  m->config.name, bits, c->address_bits_min,
				  c->address_bits_max);
	for (size_t i = 0; i < *nr; i++) {
		spans[i].first &= ~(page_size - 1);
		spans[i].last |= page_size - 1;
	}
	/* Neighbours may share a granule now: it is the first one's. */
	return 0;
}

static struct model_log *log_new(const struct model *m,
				 const struct log_span *spans, size_t nr,
				 uint64_t page_size)
{
	const struct model_log_config *c = &m->config.log;
	struct model_log *log;
	uint64_t bits = 0, words, granules;

	log = calloc(1, sizeof(*log) + nr * sizeof(log->areas[0]));
	if (!log)
		return NULL;
	log->shift = (unsigned int)__builtin_ctzll(page_size);
	log->nr_areas = nr;
	for (size_t i = 0; i < nr; i++) {
		log->areas[i] = (struct log_area){ .first = spans[i].first,
						   .last = spans[i].last,
						   .bit = bits };
		granules = ((spans[i].last - spans[i].first) >> log->shift) + 1;
		bits += (granules + 63) & ~UINT64_C(63);
	}
	log->nr_words = words = bits / 64;
	log->bounded = c->queue != 0;
	log->room = c->queue && c->queue < QUEUE_MAX ? c->queue : QUEUE_MAX;
	log->queue = calloc(log->room, sizeof(*log->queue));
	/* NOLINTBEGIN(clang-analyzer-optin.portability.UnixAPI): may be 0 */
	log->dirty = calloc(words + 1, sizeof(*log->dirty));
	if (c->deaf) {
		log->deaf = calloc(words + 1, sizeof(*log->deaf));
		log->seen = calloc(words + 1, sizeof(*log->seen));
	}
	/* NOLINTEND(clang-analyzer-optin.portability.UnixAPI) */
	if (!log->queue || !log->dirty ||
	    (c->deaf && !(log->deaf && log->seen)))
		return log_free(log);
	return log;
}

static size_t nr_words(const struct model_log *log)
{
	const struct log_area *a;

	if (!log->nr_areas)
		return 0;
	a = &log->areas[log->nr_areas - 1];
	return (a->bit + ((a->last - a->first) >> log->shift)) / 64 + 1;
}

static void find_again(struct model *m, struct model_log *log)
{
	const struct model_log *kept = m->kept_log;

	if (!kept || !log->nr_areas || kept->shift != log->shift ||
	    kept->nr_areas != log->nr_areas ||
	    kept->areas[0].first != log->areas[0].first ||
	    nr_words(kept) != nr_words(log))
		return;
	for (size_t i = 0; i < nr_words(log); i++)
		log->dirty[i] = kept->dirty[i];
}

int model_log_start(struct model *m, const struct model_range *ranges,
		    size_t nr, uint64_t page_size, uint64_t *ret_page_size)
{
	SPOOR_AUTO_HEAP struct log_span *spans = NULL;
	struct model_log *log;
	size_t nr_spans = 0;
	int rc;

	SPOOR_LOCKED(&m->control);
	if (!m->config.log.present)
		return model_fail(EOPNOTSUPP, "%s has no log", m->config.name);
	if (m->log)
		return model_fail(EINVAL, "%s: log: started already",
				  m->config.name);
	spans = calloc(nr ? nr : 1, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		uint64_t last = ranges[i].iova + (ranges[i].len - 1);

		if (!ranges[i].len)
			continue;
		if (last < ranges[i].iova)
			return model_fail(EINVAL, "%s: log: range past 2^64",
					  m->config.name);
		spans[nr_spans++] = (struct log_span){ ranges[i].iova, last };
	}
	page_size = pick_page(&m->config.log, page_size);
	rc = fit(m, spans, &nr_spans, page_size);
	if (rc)
		return rc;
	log = log_new(m, spans, nr_spans, page_size);
	if (!log)
		return model_fail(ENOMEM, "%s: log: out of memory",
				  m->config.name);
	find_again(m, log);
	pthread_mutex_lock(&m->dma_lock);
	m->log = log;
	pthread_mutex_unlock(&m->dma_lock);
	if (model_has_fault(m, MODEL_FAULT_LOG_PAGE_SIZE))
		page_size *= 2;
	*ret_page_size = page_size;
	return 0;
}

/* Bits of a word that a report would tell. */
static unsigned int pending(const struct model_log *log, uint64_t word)
{
	uint64_t bits = log->dirty[word];

	if (log->deaf)
		bits &= ~log->deaf[word];
	return (unsigned int)__builtin_popcountll(bits);
}

void log_drop(struct model *m)
{
	struct model_log *log = m->log;

	pthread_mutex_lock(&m->dma_lock);
	m->log = NULL;
	pthread_mutex_unlock(&m->dma_lock);
	/* No mark comes any more.  Deaf ones would never have been told. */
	for (uint64_t i = 0; log && i < log->nr_words; i++)
		model_count(&m->counters.discarded, pending(log, i));
	log_free(log);
	m->kept_log = log_free(m->kept_log);
}

void log_forget(struct model *m)
{
	for (size_t i = 0; m->log && i < nr_words(m->log); i++)
		m->log->dirty[i] = 0;
}

/* The planted bug: it is put aside, and found again at the next start. */
static void keep(struct model *m)
{
	struct model_log *log = m->log;

	log_free(m->kept_log);
	pthread_mutex_lock(&m->dma_lock);
	m->log = NULL;
	pthread_mutex_unlock(&m->dma_lock);
	m->kept_log = log;
}

int model_log_stop(struct model *m)
{
	SPOOR_LOCKED(&m->control);

	if (!m->log)
		return model_fail(EINVAL, "%s: log: not started",
				  m->config.name);
	if (model_has_fault(m, MODEL_FAULT_LOG_SURVIVES))
		keep(m);
	else
		log_drop(m);
	return 0;
}

static void choose_deaf(struct model *m, struct model_log *log, uint64_t iova,
			uint64_t word, uint64_t mask)
{
	if (log->seen[word] & mask)
		return;
	log->seen[word] |= mask;
	if (deaf_to(m, iova & -(UINT64_C(1) << log->shift), log->shift))
		atomic_fetch_or_explicit(&log->deaf[word], mask,
					 memory_order_relaxed);
}

void log_mark(struct model *m, uint64_t iova, size_t len)
{
	struct model_log *log = m->log;
	uint64_t bit, mask, old;
	size_t i;

	/* A chunk lies in one 4 KiB page, so in one granule. */
	if (!log || !len)
		return;
	for (i = 0; i < log->nr_areas; i++)
		if (iova >= log->areas[i].first && iova <= log->areas[i].last)
			break;
	if (i == log->nr_areas)
		return;
	if (model_has_fault(m, MODEL_FAULT_LOG_LAST_PAGE) &&
	    (iova | ((UINT64_C(1) << log->shift) - 1)) == log->areas[i].last)
		return;
	bit = log->areas[i].bit + ((iova - log->areas[i].first) >> log->shift);
	mask = UINT64_C(1) << (bit % 64);
	if (log->deaf)
		choose_deaf(m, log, iova, bit / 64, mask);
	model_spin_ns(m->config.log.cost_mark_ns);
	old = atomic_fetch_or_explicit(&log->dirty[bit / 64], mask,
				       memory_order_release);
	if (!(old & mask))
		model_count(&m->counters.marks, 1);
	if (model_has_fault(m, MODEL_FAULT_LOG_NEIGHBOUR) && mask << 1)
		atomic_fetch_or(&log->dirty[bit / 64], mask << 1);
}

void log_wait_room(struct model *m)
{
	if (!atomic_load_explicit(&m->stalled, memory_order_relaxed))
		return;
	SPOOR_LOCKED(&m->stall_lock);
	while (m->stalled)
		pthread_cond_wait(&m->stall_cond, &m->stall_lock);
}

static void set_stalled(struct model *m, bool stalled)
{
	SPOOR_LOCKED(&m->stall_lock);

	m->stalled = stalled;
	if (!stalled)
		pthread_cond_broadcast(&m->stall_cond);
}

/* The device is held back when this returns: no write is in flight. */
static void stall(struct model *m)
{
	set_stalled(m, true);
	pthread_mutex_lock(&m->dma_lock);
	pthread_mutex_unlock(&m->dma_lock);
}

/* One report: where its dirty granules go. */
struct report {
	struct model *m;
	struct model_log *log;
	int (*set)(void *ctx, uint64_t iova, uint64_t len);
	void *ctx;
};

/*
 * What the reader did not take is dirty as before.  What was marked again since
 * it was taken was counted again, and is one mark all the same.
 */
static void put_word_back(struct report *r, uint64_t word, uint64_t mask)
{
	uint64_t old = atomic_fetch_or_explicit(&r->log->dirty[word], mask,
						memory_order_release);

	atomic_fetch_sub_explicit(
		&r->m->counters.marks,
		(unsigned int)__builtin_popcountll(old & mask),
		memory_order_relaxed);
}

static void put_back(struct report *r, size_t from)
{
	const struct log_area *a;

	for (; from < r->log->nr_queued; from++) {
		uint64_t iova = r->log->queue[from], bit;

		for (a = r->log->areas; iova < a->first || iova > a->last;)
			a++;
		bit = a->bit + ((iova - a->first) >> r->log->shift);
		put_word_back(r, bit / 64, UINT64_C(1) << (bit % 64));
	}
}

static int drain(struct report *r)
{
	struct model_log *log = r->log;
	bool full = log->bounded && log->nr_queued == log->room;
	size_t i;
	int rc = 0;

	if (full)
		stall(r->m);
	for (i = 0; i < log->nr_queued; i++) {
		model_spin_ns(r->m->config.log.cost_report_page_ns);
		rc = r->set(r->ctx, log->queue[i], UINT64_C(1) << log->shift);
		if (rc)
			break;
	}
	model_count(&r->m->counters.pages_reported, i);
	put_back(r, i);
	log->nr_queued = 0;
	if (full)
		set_stalled(r->m, false);
	return rc;
}

/* Move the granules of one word, first granule at @iova, to the queue. */
static int report_word(struct report *r, uint64_t word, uint64_t mask,
		       uint64_t iova)
{
	struct model_log *log = r->log;
	uint64_t taken, bit;
	int rc;

	if (!(atomic_load_explicit(&log->dirty[word], memory_order_relaxed) &
	      mask))
		return 0;
	taken = atomic_fetch_and_explicit(&log->dirty[word], ~mask,
					  memory_order_acquire);
	if (model_has_fault(r->m, MODEL_FAULT_LOG_NEVER_CLEARS))
		atomic_fetch_or(&log->dirty[word], taken);
	taken &= mask;
	if (log->deaf)
		taken &= ~atomic_load_explicit(&log->deaf[word],
					       memory_order_relaxed);
	while (taken) {
		bit = (uint64_t)__builtin_ctzll(taken);
		taken &= taken - 1;
		log->queue[log->nr_queued++] = iova + (bit << log->shift);
		if (log->nr_queued < log->room)
			continue;
		rc = drain(r);
		if (rc) {
			put_word_back(r, word, taken);
			return rc;
		}
	}
	return 0;
}

static int report_area(struct report *r, const struct log_area *a,
		       uint64_t first, uint64_t last)
{
	unsigned int shift = r->log->shift;
	uint64_t bit, end, mask;
	int rc;

	/* Granules relative to the area's first, end exclusive. */
	bit = first > a->first ? (first - a->first) >> shift : 0;
	end = ((last < a->last ? last : a->last) - a->first) >> shift;
	end++;
	while (bit < end) {
		mask = ~UINT64_C(0) << (bit % 64);
		if (end - (bit & ~UINT64_C(63)) < 64)
			mask &= (UINT64_C(1) << (end % 64)) - 1;
		bit &= ~UINT64_C(63);
		rc = report_word(r, (a->bit + bit) / 64, mask,
				 a->first + (bit << shift));
		if (rc)
			return rc;
		bit += 64;
	}
	return 0;
}

/* May it be read now, and does it still work? */
static int check_report(struct model *m)
{
	if (!m->log)
		return model_fail(EINVAL, "%s: log: not started",
				  m->config.name);
	if (!m->config.log.read_while_running &&
	    !model_level_quiet(m, m->level))
		return model_fail(EBUSY, "%s: log: read only while quiet",
				  m->config.name);
	model_count(&m->counters.reports, 1);
	m->nr_reports++;
	if (m->config.log.fail_after &&
	    m->nr_reports >= m->config.log.fail_after)
		return model_fail(EIO, "%s: log: failed", m->config.name);
	return 0;
}

/* The planted bug: all but what was asked for. */
static void forget_outside(struct model_log *log, uint64_t iova, uint64_t last)
{
	for (size_t i = 0; i < log->nr_areas; i++) {
		const struct log_area *a = &log->areas[i];
		uint64_t nr = ((a->last - a->first) >> log->shift) + 1;

		for (uint64_t n = 0; n < nr; n++) {
			uint64_t first = a->first + (n << log->shift);
			uint64_t bit = a->bit + n;

			if (first > last ||
			    (first | ((UINT64_C(1) << log->shift) - 1)) < iova)
				atomic_fetch_and(&log->dirty[bit / 64],
						 ~(UINT64_C(1) << bit % 64));
		}
	}
}

int model_log_report(struct model *m, uint64_t iova, uint64_t len,
		     int (*set)(void *ctx, uint64_t iova, uint64_t len),
		     void *ctx)
{
	uint64_t last = iova + (len - 1);
	struct report r = { .m = m, .set = set, .ctx = ctx };
	int rc;

	if (!len || last < iova)
		return model_fail(EINVAL, "%s: log: bad range", m->config.name);
	/* No change of level while a report runs: what is quiet stays so. */
	SPOOR_LOCKED(&m->control);
	rc = check_report(m);
	if (rc)
		return rc;
	r.log = m->log;
	for (size_t i = 0; i < r.log->nr_areas && !rc; i++) {
		const struct log_area *a = &r.log->areas[i];

		if (iova <= a->last && last >= a->first)
			rc = report_area(&r, a, iova, last);
	}
	if (rc) /* the rest of the queue is dirty as before */
		return rc;
	if (model_has_fault(m, MODEL_FAULT_LOG_CLEARS_OUTSIDE))
		forget_outside(r.log, iova, last);
	return drain(&r);
}
