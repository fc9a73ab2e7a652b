/* SPDX-License-Identifier: MIT */
/*
 * Double of a model: 64 bytes of registers at BAR 0 are its state, two pages
 * of memory its BAR 2; it does DMA when told to.  A saved stream is records
 * (type, length, bytes): pre-copy fillers, then the registers.
 */
#include "../harness.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#define NR_REGS	  64u
#define FILLER	  100u
#define MAX_MARKS 512u

enum { REC_FILLER = 1, REC_STATE = 2 };

struct record {
	uint32_t type, len;
};

struct model {
	struct model_config config;
	const struct model_host_ops *ops;
	void *host;
	pthread_mutex_t lock;
	pthread_rwlock_t quiet; /* DMA reads it, a change of level writes it */
	enum model_level level, failing;
	int fail_err;
	int memfd;
	uint8_t regs[NR_REGS];
	bool regs_new; /* written since pre-copy data was last read */
	bool logging;
	uint64_t page_size;
	struct model_range ranges[256];
	size_t nr_ranges;
	uint64_t marks[MAX_MARKS];
	size_t nr_marks;
	unsigned int resets;
	uint64_t nr_lost, wrote; /* of the truth; fake_truth() */
	enum model_level level_at_check;
	struct model_counters counters;
};

struct model_stream {
	struct model *m;
	bool saving, pre_copy, state_queued;
	size_t initial; /* of pre-copy data, not yet read */
	size_t at, len;
	uint8_t data[65536 + 4096];
};

static int fail_create, fail_final, fail_report;
static unsigned int nr_streams;

void fake_fail_create(int err)
{
	fail_create = err;
}

void fake_fail_final(int err)
{
	fail_final = err;
}

void fake_fail_report(int err)
{
	fail_report = err;
}

static struct model *of(unsigned int index)
{
	return sv_model(sv_device_by_index(index));
}

void fake_fail_level(unsigned int index, enum model_level level, int err)
{
	of(index)->failing = level;
	of(index)->fail_err = err;
}

void fake_irq(unsigned int index, unsigned int vector)
{
	of(index)->ops->irq(of(index)->host, vector);
}

int fake_pin(unsigned int index, bool pin)
{
	struct model *m = of(index);

	return pin ? m->ops->pin(m->host, BASE, 3, true)
		   : m->ops->unpin(m->host, BASE, 3);
}

bool fake_is_peer(unsigned int index, uint64_t iova)
{
	return of(index)->ops->is_peer(of(index)->host, iova);
}

int fake_peek(unsigned int index, uint64_t iova, void *buf, size_t len)
{
	return of(index)->ops->peek(of(index)->host, iova, buf, len);
}

unsigned int fake_nr_resets(unsigned int index)
{
	return of(index)->resets;
}

unsigned int fake_nr_streams(void)
{
	return nr_streams;
}

const char *model_errmsg(void)
{
	return "cannot be made";
}

int model_create(struct model **ret, const struct model_config *config,
		 const struct model_host_ops *ops, void *host)
{
	struct model *m;

	if (fail_create)
		return fail_create;
	m = calloc(1, sizeof(*m));
	m->config = *config;
	m->ops = ops;
	m->host = host;
	m->level = MODEL_RUNNING;
	m->memfd = memfd_create("bar", MFD_CLOEXEC);
	assert_int_equal(ftruncate(m->memfd, 2 * PAGE), 0);
	pthread_mutex_init(&m->lock, NULL);
	pthread_rwlock_init(&m->quiet, NULL);
	ops->note(host, "made");
	*ret = m;
	return 0;
}

const struct model_config *model_config(const struct model *m)
{
	return &m->config;
}

bool model_shape(const char *kind, struct model_shape *ret)
{
	(void)kind;
	*ret = (struct model_shape){ .vendor_id = 0x1d55,
				     .device_id = 0x1000,
				     .nr_vectors = 4 };
	ret->bars[0].size = 0x2000;
	ret->bars[2] = (struct model_bar){ 2 * PAGE, true, -1 };
	return true;
}

void model_bar(const struct model *m, unsigned int bar, struct model_bar *ret)
{
	struct model_shape shape;

	model_shape("", &shape);
	*ret = shape.bars[bar];
	ret->fd = bar == 2 ? m->memfd : -1;
}

static void touch(struct model *m)
{
	if (m->level == MODEL_STOPPED)
		m->counters.violations++;
}

ssize_t model_bar_read(struct model *m, unsigned int bar, uint64_t offset,
		       void *buf, size_t len)
{
	pthread_mutex_lock(&m->lock);
	touch(m);
	if (bar == 2)
		assert_int_equal(pread(m->memfd, buf, len, (off_t)offset), len);
	else if (offset < NR_REGS)
		memcpy(buf, m->regs + offset, len);
	else
		memset(buf, 0, len);
	pthread_mutex_unlock(&m->lock);
	return (ssize_t)len;
}

ssize_t model_bar_write(struct model *m, unsigned int bar, uint64_t offset,
			const void *buf, size_t len)
{
	pthread_mutex_lock(&m->lock);
	touch(m);
	if (bar == 2) {
		assert_int_equal(pwrite(m->memfd, buf, len, (off_t)offset),
				 len);
	} else if (offset < NR_REGS) {
		memcpy(m->regs + offset, buf, len);
		m->regs_new = true;
	}
	pthread_mutex_unlock(&m->lock);
	return (ssize_t)len;
}

int model_peer_write(struct model *m, unsigned int bar, uint64_t offset,
		     const void *buf, size_t len)
{
	return model_bar_write(m, bar, offset, buf, len) < 0 ? -EFAULT : 0;
}

int model_bar_peek(struct model *m, unsigned int bar, uint64_t offset,
		   void *buf, size_t len)
{
	(void)bar;
	return pread(m->memfd, buf, len, (off_t)offset) == (ssize_t)len
		       ? 0
		       : -EFAULT;
}

int model_peer_read(struct model *m, unsigned int bar, uint64_t offset,
		    void *buf, size_t len)
{
	return model_bar_peek(m, bar, offset, buf, len);
}

int model_set_level(struct model *m, enum model_level level)
{
	int r = 0;

	pthread_rwlock_wrlock(&m->quiet);
	if (m->fail_err && m->failing == level) {
		r = m->fail_err;
		m->fail_err = 0;
	} else {
		__atomic_store_n(&m->level, level, __ATOMIC_SEQ_CST);
	}
	pthread_rwlock_unlock(&m->quiet);
	return r;
}

enum model_level model_level(const struct model *m)
{
	return __atomic_load_n(&m->level, __ATOMIC_SEQ_CST);
}

void model_freeze(struct model *m)
{
	m->counters.dropped++;
}

int model_reset(struct model *m)
{
	pthread_rwlock_wrlock(&m->quiet);
	memset(m->regs, 0, sizeof(m->regs));
	__atomic_store_n(&m->level, MODEL_RUNNING, __ATOMIC_SEQ_CST);
	m->resets++;
	pthread_rwlock_unlock(&m->quiet);
	return 0;
}

int model_log_start(struct model *m, const struct model_range *ranges,
		    size_t nr, uint64_t page_size, uint64_t *ret_page_size)
{
	if (m->logging)
		return -EINVAL;
	if (page_size > m->config.log.max_page)
		page_size = m->config.log.max_page;
	pthread_mutex_lock(&m->lock);
	m->logging = true;
	m->page_size = page_size;
	m->nr_ranges = nr;
	memcpy(m->ranges, ranges, nr * sizeof(*ranges));
	m->nr_marks = 0;
	pthread_mutex_unlock(&m->lock);
	*ret_page_size = page_size;
	return 0;
}

static void mark(struct model *m, uint64_t iova)
{
	uint64_t granule = iova & ~(m->page_size - 1);
	size_t i;

	for (i = 0; i < m->nr_ranges; i++) {
		if (iova - m->ranges[i].iova < m->ranges[i].len)
			break;
	}
	if (!m->logging || i == m->nr_ranges)
		return;
	for (i = 0; i < m->nr_marks; i++) {
		if (m->marks[i] == granule)
			return;
	}
	m->marks[m->nr_marks++] = granule;
	m->counters.marks++;
}

int model_log_report(struct model *m, uint64_t iova, uint64_t len,
		     int (*set)(void *ctx, uint64_t iova, uint64_t len),
		     void *ctx)
{
	uint64_t last = iova + len - 1, g;
	size_t i, kept = 0;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	for (i = 0; i < m->nr_marks; i++) {
		g = m->marks[i];
		if (r || g > last || g + m->page_size - 1 < iova) {
			m->marks[kept++] = g;
			continue;
		}
		r = set(ctx, g, m->page_size);
		if (!r && fail_report) {
			/* The tracker breaks after it gave one away. */
			r = fail_report;
			fail_report = 0;
		}
		m->counters.pages_reported++;
	}
	m->nr_marks = kept;
	pthread_mutex_unlock(&m->lock);
	return r;
}

int model_log_stop(struct model *m)
{
	pthread_mutex_lock(&m->lock);
	m->logging = false;
	m->nr_marks = 0;
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static struct model_stream *new_stream(struct model *m)
{
	struct model_stream *s = calloc(1, sizeof(*s));

	s->m = m;
	nr_streams++;
	return s;
}

static void queue(struct model_stream *s, uint32_t type, const void *data,
		  uint32_t len)
{
	struct record rec = { type, len };

	memcpy(s->data + s->len, &rec, sizeof(rec));
	memcpy(s->data + s->len + sizeof(rec), data, len);
	s->len += sizeof(rec) + len;
}

static void queue_filler(struct model_stream *s)
{
	static const uint8_t filler[FILLER];

	queue(s, REC_FILLER, filler, FILLER);
}

int model_stream_save(struct model *m, bool pre_copy, struct model_stream **ret)
{
	struct model_stream *s = new_stream(m);

	s->saving = true;
	s->pre_copy = pre_copy;
	if (pre_copy) {
		queue_filler(s);
		s->initial = s->len;
		m->regs_new = false;
	} else {
		queue(s, REC_STATE, m->regs, NR_REGS);
	}
	*ret = s;
	return 0;
}

static void refill(struct model_stream *s)
{
	if (s->pre_copy && s->m->regs_new) {
		s->m->regs_new = false;
		queue_filler(s);
	}
}

ssize_t model_stream_read(struct model_stream *s, void *buf, size_t len)
{
	size_t n;

	assert_true(s->saving);
	refill(s);
	n = s->len - s->at < len ? s->len - s->at : len;
	if (!n)
		return s->pre_copy ? -ENOMSG : 0;
	memcpy(buf, s->data + s->at, n);
	s->at += n;
	s->initial -= n < s->initial ? n : s->initial;
	return (ssize_t)n;
}

int model_stream_precopy_info(struct model_stream *s, uint64_t *ret_initial,
			      uint64_t *ret_dirty)
{
	assert_true(s->pre_copy);
	refill(s);
	*ret_initial = s->initial;
	*ret_dirty = s->len - s->at - s->initial;
	return 0;
}

int model_stream_final(struct model_stream *s)
{
	int r = fail_final;

	fail_final = 0;
	assert_true(s->pre_copy);
	if (r)
		return r;
	/* Its state may only be taken while it is stopped. */
	assert_int_equal(model_level(s->m), MODEL_STOPPED);
	s->pre_copy = false;
	queue(s, REC_STATE, s->m->regs, NR_REGS);
	return 0;
}

uint64_t model_stop_copy_length(struct model *m)
{
	(void)m;
	return sizeof(struct record) + NR_REGS;
}

int model_stream_load(struct model *m, struct model_stream **ret)
{
	*ret = new_stream(m);
	return 0;
}

ssize_t model_stream_write(struct model_stream *s, const void *buf, size_t len)
{
	assert_false(s->saving);
	if (s->len + len > sizeof(s->data))
		return -ENOSPC;
	memcpy(s->data + s->len, buf, len);
	s->len += len;
	return (ssize_t)len;
}

int model_stream_commit(struct model_stream *s)
{
	struct record rec = { 0 };
	size_t at = 0;

	while (rec.type != REC_STATE) {
		if (s->len - at < sizeof(rec))
			return -EINVAL;
		memcpy(&rec, s->data + at, sizeof(rec));
		at += sizeof(rec);
		if (rec.type < REC_FILLER || rec.type > REC_STATE ||
		    rec.len != (rec.type == REC_STATE ? NR_REGS : FILLER) ||
		    s->len - at < rec.len)
			return -EINVAL;
		at += rec.len;
	}
	if (at != s->len)
		return -EINVAL;
	memcpy(s->m->regs, s->data + at - NR_REGS, NR_REGS);
	return 0;
}

struct model_stream *model_stream_free(struct model_stream *s)
{
	if (s)
		nr_streams--;
	free(s);
	return NULL;
}

void fake_truth(unsigned int index, uint64_t nr_lost, uint64_t wrote)
{
	of(index)->nr_lost = nr_lost;
	of(index)->wrote = wrote;
	of(index)->level_at_check = MODEL_RUNNING;
}

enum model_level fake_level_at_check(unsigned int index)
{
	return of(index)->level_at_check;
}

/* Pages nr_lost to 1: in no order, as from a hash table. */
uint64_t model_truth_check(struct model *m,
			   void (*lost)(void *ctx, uint64_t iova), void *ctx)
{
	m->level_at_check = m->level;
	for (uint64_t i = m->nr_lost; i; i--)
		lost(ctx, i * PAGE);
	return 1000;
}

bool model_truth_wrote(struct model *m, uint64_t iova)
{
	return m->wrote && iova == m->wrote;
}

void model_counters(struct model *m, struct model_counters *ret)
{
	*ret = m->counters;
}

int model_poke_dma(struct model *m, uint64_t iova, const void *buf, size_t len)
{
	int r;

	pthread_rwlock_rdlock(&m->quiet);
	if (m->level == MODEL_STOPPED) {
		pthread_rwlock_unlock(&m->quiet);
		return -EPERM;
	}
	r = m->ops->dma_write(m->host, iova, buf, len);
	pthread_mutex_lock(&m->lock);
	m->counters.dma_writes += !r;
	m->counters.faults += r == -EFAULT;
	if (!r)
		mark(m, iova);
	pthread_mutex_unlock(&m->lock);
	pthread_rwlock_unlock(&m->quiet);
	return r;
}
