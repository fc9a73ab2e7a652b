/* SPDX-License-Identifier: MIT */
/*
 * Saving: the state as a stream of records (format in stream_priv.h), each
 * made when the reader comes to it.
 *
 * Invariant: what is sent after model_stream_final() is the state as it was
 * frozen; a device that runs again makes the session stale rather than letting
 * it mix two states.
 * Threads: any, under the device's control; the device runs meanwhile, its
 * memory is read block by block under its own lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "models/stream_priv.h"

static struct model_cursor record_begin(struct model_stream *s)
{
	return (struct model_cursor){ .pos = s->rec + RECORD_HEAD,
				      .end = s->rec + sizeof(s->rec) };
}

static int record_end(struct model_stream *s, enum record type,
		      const struct model_cursor *c)
{
	size_t len = (size_t)(c->pos - s->rec) - RECORD_HEAD;
	struct model_cursor head = { .pos = s->rec,
				     .end = s->rec + RECORD_HEAD };

	cursor_put32(&head, type);
	cursor_put32(&head, (uint32_t)len);
	s->len = record_size(len);
	s->pos = 0;
	memset(c->pos, 0, s->len - RECORD_HEAD - len);
	s->sum = stream_sum(s->sum, s->rec, s->len);
	return 1;
}

static int put_header(struct model_stream *s)
{
	struct model_cursor c = record_begin(s);
	char name[MODEL_NAME_LEN] = { 0 };

	memcpy(name, s->m->ops->name, strlen(s->m->ops->name));
	cursor_put64(&c, STREAM_MAGIC);
	cursor_put32(&c, STREAM_VERSION);
	cursor_put32(&c, MODEL_PAGE);
	cursor_put(&c, name, sizeof(name));
	cursor_put64(&c, s->m->config.state_size);
	cursor_put64(&c, s->m->ops->mem_bar_len);
	s->next = RECORD_BLOCK;
	return record_end(s, RECORD_HEADER, &c);
}

/* The next block that the reader lacks; 0: none now. */
static int put_block(struct model_stream *s)
{
	struct model_state *st = &s->m->state;
	struct model_cursor c = record_begin(s);
	uint64_t i;

	SPOOR_LOCKED(&st->lock);
	for (i = 0; i < st->nr_blocks; i++) {
		uint64_t block = (s->cursor + i) % st->nr_blocks;
		size_t len = state_block_len(s->m, block);

		if (!st->flags[block])
			continue;
		if (st->flags[block] & MODEL_BLOCK_INITIAL)
			s->unread_initial = len;
		else
			s->unread_dirty = len;
		st->flags[block] = 0;
		cursor_put64(&c, block);
		cursor_put(&c, st->bytes + block * MODEL_PAGE, len);
		s->cursor = (block + 1) % st->nr_blocks;
		return record_end(s, RECORD_BLOCK, &c);
	}
	return 0;
}

static int put_core(struct model_stream *s)
{
	const struct model_ops *ops = s->m->ops;
	struct model_cursor c = record_begin(s), priv;
	uint8_t bytes[MODEL_PRIV_STATE];

	priv = (struct model_cursor){ .pos = bytes,
				      .end = bytes + sizeof(bytes) };
	ops->save(s->m, &priv);
	cursor_put64(&c, s->m->seq);
	cursor_put64(&c, s->m->state.ops);
	cursor_put32(&c, ops->nr_regs);
	cursor_put32(&c, (uint32_t)(priv.pos - bytes));
	pthread_mutex_lock(&s->m->lock);
	for (unsigned int i = 0; i < ops->nr_regs; i++) {
		const struct model_reg *reg = &ops->regs[i];

		cursor_put64(&c, reg->size == 8
					 ? model_reg64(s->m, reg->offset)
					 : model_reg32(s->m, reg->offset));
	}
	pthread_mutex_unlock(&s->m->lock);
	cursor_put(&c, bytes, (size_t)(priv.pos - bytes));
	s->next = RECORD_MEM;
	s->cursor = 0;
	return record_end(s, RECORD_CORE, &c);
}

/* BAR memory as it was frozen, whatever peers wrote since. */
static int put_mem(struct model_stream *s)
{
	struct model_cursor c = record_begin(s);

	if (s->cursor * MODEL_PAGE >= s->m->ops->mem_bar_len)
		return 0;
	cursor_put64(&c, s->cursor);
	cursor_put(&c, s->m->frozen_mem + s->cursor * MODEL_PAGE, MODEL_PAGE);
	s->cursor++;
	return record_end(s, RECORD_MEM, &c);
}

/*
 * Entries are held against memory once more as they leave: a device that was
 * stopped early has been frozen for long, and others went on writing.
 */
static int put_truth(struct model_stream *s, struct model_truth *t)
{
	struct model_cursor c = record_begin(s);
	unsigned int nr = 0;

	for (; s->cursor < t->nr_slots && nr < TRUTH_BATCH; s->cursor++) {
		struct truth_entry *e = &t->slots[s->cursor];

		if (!truth_is_live(e))
			continue;
		if (!truth_holds(s->m, e)) {
			truth_drop(s->m, t, e);
			continue;
		}
		cursor_put64(&c, e->where);
		cursor_put64(&c, e->stamp);
		nr++;
	}
	s->pages += nr;
	return nr ? record_end(s, RECORD_TRUTH, &c) : 0;
}

/*
 * What a device with that bug wrote after it was stopped.  Last, and in one
 * go: it may write on, and what comes after this nobody carries.
 */
static int put_late(struct model_stream *s)
{
	if (!s->late_taken) {
		pthread_mutex_lock(&s->m->dma_lock);
		s->late = s->m->late;
		s->m->late = (struct model_truth){ 0 };
		pthread_mutex_unlock(&s->m->dma_lock);
		s->late_taken = true;
		s->cursor = 0;
	}
	return put_truth(s, &s->late);
}

static int put_end(struct model_stream *s)
{
	struct model_cursor c = record_begin(s), sum;
	uint8_t head[RECORD_HEAD];

	/* The sum covers this record's head, but not itself. */
	sum = (struct model_cursor){ .pos = head, .end = head + sizeof(head) };
	cursor_put32(&sum, RECORD_END);
	cursor_put32(&sum, 8);
	cursor_put64(&c, stream_sum(s->sum, head, sizeof(head)));
	s->next = 0;
	s->m->counters.pages_saved = s->pages;
	return record_end(s, RECORD_END, &c);
}

/* Pre-copy pauses; with the planted bug it looks like the end. */
static int nothing_now(const struct model_stream *s)
{
	return model_has_fault(s->m, MODEL_FAULT_PRECOPY_EOF) ? 0 : -ENOMSG;
}

/* Fill rec.  1: done, 0: the end, -ENOMSG: nothing while the device runs. */
static int next_record(struct model_stream *s)
{
	int rc = 0;

	s->unread_initial = 0;
	s->unread_dirty = 0;
	if (!s->final && !s->pre_copy)
		return -ENOMSG;
	if (s->next == RECORD_HEADER)
		return put_header(s);
	if (s->next == RECORD_BLOCK) {
		rc = put_block(s);
		if (rc)
			return rc;
		if (!s->final)
			return nothing_now(s);
		return put_core(s);
	}
	if (s->next == RECORD_MEM) {
		rc = put_mem(s);
		if (rc)
			return rc;
		s->next = RECORD_TRUTH;
		s->cursor = 0;
	}
	if (s->next == RECORD_TRUTH) {
		rc = s->late_taken ? 0 : put_truth(s, &s->m->truth);
		if (!rc)
			rc = put_late(s);
		return rc ? rc : put_end(s);
	}
	return 0;
}

static int begin_final(struct model_stream *s)
{
	struct model *m = s->m;

	if (m->level != MODEL_STOPPED)
		return model_fail(EBUSY, "%s: the rest only when stopped",
				  m->config.name);
	if (m->truth.incomplete)
		return model_fail(ENOMEM, "%s: no memory for the truth",
				  m->config.name);
	s->final = true;
	return 0;
}

static int check_saving(const struct model_stream *s)
{
	if (s->load)
		return model_fail(EINVAL, "a loading session cannot be read");
	if (s->stale)
		return model_fail(ESTALE, "%s: it went on since",
				  s->m->config.name);
	return 0;
}

ssize_t model_stream_read(struct model_stream *s, void *buf, size_t len)
{
	uint8_t *to = buf;
	size_t done = 0, n;
	int rc;

	SPOOR_LOCKED(&s->m->control);
	rc = check_saving(s);
	if (!rc && !s->pre_copy && !s->final && s->m->level == MODEL_STOPPED)
		rc = begin_final(s);
	if (rc)
		return rc;
	while (done < len) {
		if (s->pos == s->len) {
			rc = next_record(s);
			if (rc <= 0)
				break;
		}
		n = s->len - s->pos;
		if (n > len - done)
			n = len - done;
		memcpy(to + done, s->rec + s->pos, n);
		s->pos += n;
		done += n;
	}
	return done ? (ssize_t)done : rc;
}

int model_stream_final(struct model_stream *s)
{
	int rc;

	SPOOR_LOCKED(&s->m->control);
	rc = check_saving(s);
	return rc ? rc : begin_final(s);
}

int model_stream_precopy_info(struct model_stream *s, uint64_t *ret_initial,
			      uint64_t *ret_dirty)
{
	struct model_state *st = &s->m->state;
	uint64_t initial = 0, dirty = 0;
	int rc;

	SPOOR_LOCKED(&s->m->control);
	rc = check_saving(s);
	if (rc)
		return rc;
	if (s->pos < s->len) {
		initial = s->unread_initial;
		dirty = s->unread_dirty;
	}
	pthread_mutex_lock(&st->lock);
	for (uint64_t i = 0; i < st->nr_blocks; i++) {
		if (st->flags[i] & MODEL_BLOCK_INITIAL)
			initial += state_block_len(s->m, i);
		else if (st->flags[i])
			dirty += state_block_len(s->m, i);
	}
	pthread_mutex_unlock(&st->lock);
	if (model_has_fault(s->m, MODEL_FAULT_PRECOPY_NOTHING))
		initial = dirty = 0;
	*ret_initial = initial;
	*ret_dirty = dirty;
	return 0;
}

int model_stream_save(struct model *m, bool pre_copy, struct model_stream **ret)
{
	struct model_stream *s;

	SPOOR_LOCKED(&m->control);
	if (!m->ops->migrates || (pre_copy && !m->config.pre_copy))
		return model_fail(EOPNOTSUPP, "%s cannot %s", m->config.name,
				  pre_copy ? "pre-copy" : "migrate");
	if (m->session)
		return model_fail(EBUSY, "%s: a session is open",
				  m->config.name);
	s = calloc(1, sizeof(*s));
	if (!s)
		return model_fail(ENOMEM, "%s: out of memory", m->config.name);
	s->m = m;
	s->sum = STREAM_SUM;
	s->pre_copy = pre_copy;
	s->next = RECORD_HEADER;
	pthread_mutex_lock(&m->state.lock);
	memset(m->state.flags, MODEL_BLOCK_INITIAL, m->state.nr_blocks);
	pthread_mutex_unlock(&m->state.lock);
	m->session = s;
	*ret = s;
	return 0;
}

struct model_stream *model_stream_free(struct model_stream *s)
{
	if (!s)
		return NULL;
	SPOOR_LOCKED(&s->m->control);
	if (s->m->session == s)
		s->m->session = NULL;
	stream_load_free(s->load);
	truth_clear(&s->late);
	free(s);
	return NULL;
}

void stream_invalidate(struct model *m, bool reset)
{
	struct model_stream *s = m->session;

	if (s && (reset || s->final || s->load))
		s->stale = true;
}

uint64_t model_stop_copy_length(struct model *m)
{
	uint64_t len = record_size(HEADER_LEN) + record_size(8), nr, blocks = 0;
	const struct model_stream *s;

	SPOOR_LOCKED(&m->control);
	s = m->session;
	/* After pre-copy only what changed since it was read is left. */
	pthread_mutex_lock(&m->state.lock);
	for (uint64_t i = 0; i < m->state.nr_blocks; i++) {
		if (s && !s->load && s->pre_copy && !m->state.flags[i])
			continue;
		blocks += record_size(8 + state_block_len(m, i));
	}
	pthread_mutex_unlock(&m->state.lock);
	len += blocks;
	len += record_size(CORE_LEN + m->ops->nr_regs * 8 + MODEL_PRIV_STATE);
	len += m->ops->mem_bar_len / MODEL_PAGE * record_size(8 + MODEL_PAGE);
	pthread_mutex_lock(&m->dma_lock);
	nr = m->truth.nr_live + m->late.nr_live;
	pthread_mutex_unlock(&m->dma_lock);
	len += nr * TRUTH_LEN;
	len += (nr + TRUTH_BATCH - 1) / TRUTH_BATCH * RECORD_HEAD;
	return len;
}
