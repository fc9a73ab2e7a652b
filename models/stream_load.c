/* SPDX-License-Identifier: MIT */
/*
 * Loading a state stream (format in stream_priv.h), in whatever pieces it
 * arrives.
 *
 * Invariant: nothing of the device changes before model_stream_commit() has
 * found the stream whole, intact and of this device; then all of it does.  A
 * stream is refused as soon as it cannot be right, and stays refused; but what
 * comes when one is whole already is not part of it, and spoils nothing, as in
 * Linux's drivers.
 * Threads: any, under the device's control.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/stream_priv.h"

void stream_load_free(struct stream_load *load)
{
	if (!load)
		return;
	free(load->state);
	free(load->mem);
	free(load->state_seen);
	free(load->mem_seen);
	truth_clear(&load->truth);
	free(load);
}

/* Refused for good, with the reason that any later call will give again. */
static int __attribute__((format(printf, 2, 3)))
refuse(struct model_stream *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	s->bad = true;
	return model_fail(EINVAL, "%s", s->why);
}

static int take_header(struct model_stream *s, struct model_cursor *c)
{
	const struct model *m = s->m;
	char name[MODEL_NAME_LEN];
	uint32_t version;
	uint64_t size;

	if (cursor_get64(c) != STREAM_MAGIC)
		return refuse(s, "%s: not a device's state", m->config.name);
	version = cursor_get32(c);
	if (version != STREAM_VERSION || cursor_get32(c) != MODEL_PAGE)
		return refuse(s, "%s: state of version %u, not %u",
			      m->config.name, version, STREAM_VERSION);
	cursor_get(c, name, sizeof(name));
	if (strncmp(name, m->ops->name, sizeof(name)) != 0)
		return refuse(s, "%s: state of a \"%.16s\", not of a %s",
			      m->config.name, name, m->ops->name);
	size = cursor_get64(c);
	if (size != m->config.state_size)
		return refuse(s, "%s: state of %llu bytes, it has %llu",
			      m->config.name, (unsigned long long)size,
			      (unsigned long long)m->config.state_size);
	if (cursor_get64(c) != m->ops->mem_bar_len)
		return refuse(s, "%s: other BAR memory", m->config.name);
	return 0;
}

static int take_block(struct model_stream *s, struct model_cursor *c)
{
	struct stream_load *load = s->load;
	uint64_t block = cursor_get64(c);
	size_t len = (size_t)(c->end - c->pos);

	if (block >= s->m->state.nr_blocks ||
	    len != state_block_len(s->m, block))
		return refuse(s, "%s: block %llu of %zu bytes is not its own",
			      s->m->config.name, (unsigned long long)block,
			      len);
	cursor_get(c, load->state + block * MODEL_PAGE, len);
	load->state_left -= !load->state_seen[block];
	load->state_seen[block] = 1;
	return 0;
}

static int take_core(struct model_stream *s, struct model_cursor *c)
{
	const struct model_ops *ops = s->m->ops;
	struct stream_load *load = s->load;
	uint32_t nr_regs, priv_len;

	load->seq = cursor_get64(c);
	load->ops = cursor_get64(c);
	nr_regs = cursor_get32(c);
	priv_len = cursor_get32(c);
	if (load->seq > MODEL_SEQ_MASK || nr_regs != ops->nr_regs ||
	    priv_len > sizeof(load->priv))
		return refuse(s, "%s: other registers", s->m->config.name);
	for (uint32_t i = 0; i < nr_regs; i++) {
		load->regs[i] = cursor_get64(c);
		if (ops->regs[i].size == 4 && load->regs[i] > UINT32_MAX)
			return refuse(s, "%s: register 0x%x is wider than it",
				      s->m->config.name, ops->regs[i].offset);
	}
	load->priv_len = priv_len;
	cursor_get(c, load->priv, priv_len);
	return 0;
}

static int take_mem(struct model_stream *s, struct model_cursor *c)
{
	struct stream_load *load = s->load;
	uint64_t i = cursor_get64(c);

	if (i >= s->m->ops->mem_bar_len / MODEL_PAGE || load->mem_seen[i] ||
	    c->end - c->pos != (ptrdiff_t)MODEL_PAGE)
		return refuse(s, "%s: BAR memory out of place",
			      s->m->config.name);
	cursor_get(c, load->mem + i * MODEL_PAGE, MODEL_PAGE);
	load->mem_seen[i] = 1;
	load->mem_left--;
	return 0;
}

static int take_truth(struct model_stream *s, struct model_cursor *c)
{
	struct truth_entry e;

	while (c->pos < c->end) {
		e.where = cursor_get64(c);
		e.stamp = cursor_get64(c);
		if (!truth_load(&s->load->truth, &e))
			return refuse(s, "%s: impossible truth",
				      s->m->config.name);
	}
	return 0;
}

static int take_end(struct model_stream *s, struct model_cursor *c)
{
	uint64_t sum = stream_sum(s->sum, s->rec, RECORD_HEAD);

	if (cursor_get64(c) != sum)
		return refuse(s, "%s: state does not match its checksum",
			      s->m->config.name);
	if (s->load->state_left || s->load->mem_left)
		return refuse(s, "%s: state has holes", s->m->config.name);
	return 0;
}

/* Is this the length of that record, and may the record come now? */
static int check_head(struct model_stream *s, uint32_t type, uint32_t len)
{
	enum record last = s->load->last;
	bool ok = false;

	switch (type) {
	case RECORD_HEADER:
		ok = !last && len == HEADER_LEN;
		break;
	case RECORD_BLOCK:
		ok = (last == RECORD_HEADER || last == RECORD_BLOCK) &&
		     len >= 8;
		break;
	case RECORD_CORE:
		ok = (last == RECORD_HEADER || last == RECORD_BLOCK) &&
		     len >= CORE_LEN;
		break;
	case RECORD_MEM:
		ok = (last == RECORD_CORE || last == RECORD_MEM) &&
		     len == 8 + MODEL_PAGE;
		break;
	case RECORD_TRUTH:
		ok = last >= RECORD_CORE && last <= RECORD_TRUTH && len &&
		     len % TRUTH_LEN == 0;
		break;
	case RECORD_END:
		ok = last >= RECORD_CORE && last <= RECORD_TRUTH && len == 8;
		break;
	default:
		break;
	}
	if (!ok || record_size(len) > sizeof(s->rec))
		return refuse(s, "%s: record %u of %u bytes after record %u",
			      s->m->config.name, type, len, (unsigned int)last);
	return 0;
}

/* A whole record is in rec. */
static int take_record(struct model_stream *s, enum record type, size_t len)
{
	struct model_cursor c = { .pos = s->rec + RECORD_HEAD,
				  .end = s->rec + RECORD_HEAD + len };
	int rc = 0;

	switch (type) {
	case RECORD_HEADER:
		rc = take_header(s, &c);
		break;
	case RECORD_BLOCK:
		rc = take_block(s, &c);
		break;
	case RECORD_CORE:
		rc = take_core(s, &c);
		break;
	case RECORD_MEM:
		rc = take_mem(s, &c);
		break;
	case RECORD_TRUTH:
		rc = take_truth(s, &c);
		break;
	case RECORD_END:
		rc = take_end(s, &c);
		break;
	}
	if (!rc && (c.failed || c.pos != c.end))
		rc = refuse(s, "%s: record %u of other length",
			    s->m->config.name, (unsigned int)type);
	if (rc)
		return rc;
	s->sum = stream_sum(s->sum, s->rec, s->len);
	s->load->last = type;
	s->len = 0;
	return 0;
}

/* Take some bytes; returns how many, as far as the end of a head or record. */
static ssize_t feed(struct model_stream *s, const uint8_t *from, size_t len)
{
	struct model_cursor c = { .pos = s->rec, .end = s->rec + RECORD_HEAD };
	size_t need = RECORD_HEAD, n;
	uint32_t type = 0, payload = 0;
	int rc;

	if (s->load->last == RECORD_END)
		return refuse(s, "%s: bytes after the end of the state",
			      s->m->config.name);
	if (s->len >= RECORD_HEAD) {
		type = cursor_get32(&c);
		payload = cursor_get32(&c);
		need = record_size(payload);
	}
	n = need - s->len < len ? need - s->len : len;
	memcpy(s->rec + s->len, from, n);
	s->len += n;
	if (s->len < need)
		return (ssize_t)n;
	if (need == RECORD_HEAD) {
		type = cursor_get32(&c);
		payload = cursor_get32(&c);
		rc = check_head(s, type, payload);
	} else {
		rc = take_record(s, (enum record)type, payload);
	}
	return rc ? rc : (ssize_t)n;
}

static int check_loading(const struct model_stream *s)
{
	if (!s->load)
		return model_fail(EINVAL, "a saving session cannot be written");
	if (s->stale)
		return model_fail(ESTALE, "%s: it went on since",
				  s->m->config.name);
	if (s->bad)
		return model_fail(EINVAL, "%s", s->why);
	return 0;
}

/* The planted bug: what is wrong is not looked at, only that there is an end. */
static ssize_t swallow(struct model_stream *s, const uint8_t *from, size_t len)
{
	uint8_t *tail = s->load->tail;
	ssize_t n;

	if (!len)
		return 0;
	for (size_t done = 0; done < len && !s->bad; done += (size_t)n) {
		n = feed(s, from + done, len - done);
		if (n < 0)
			break;
	}
	for (size_t i = 0; i < len; i++) {
		memmove(tail, tail + 1, TAIL_LEN - 1);
		tail[TAIL_LEN - 1] = from[i];
	}
	return (ssize_t)len;
}

static bool swallowed(const struct model_stream *s)
{
	struct model_cursor c;
	uint32_t type, len;

	if (!s->load || !s->bad || s->stale ||
	    !model_has_fault(s->m, MODEL_FAULT_ACCEPTS_CORRUPT))
		return false;
	c = (struct model_cursor){ .pos = s->load->tail,
				   .end = s->load->tail + RECORD_HEAD };
	type = cursor_get32(&c);
	len = cursor_get32(&c);
	return type == RECORD_END && len == 8;
}

ssize_t model_stream_write(struct model_stream *s, const void *buf, size_t len)
{
	const uint8_t *from = buf;
	size_t done = 0;
	ssize_t n;
	int rc;

	SPOOR_LOCKED(&s->m->control);
	rc = check_loading(s);
	if (rc && !model_has_fault(s->m, MODEL_FAULT_ACCEPTS_CORRUPT))
		return rc;
	if (model_has_fault(s->m, MODEL_FAULT_ACCEPTS_CORRUPT))
		return swallow(s, from, len);
	if (len && s->load->last == RECORD_END)
		return model_fail(EINVAL, "%s: the state is whole",
				  s->m->config.name);
	while (done < len) {
		n = feed(s, from + done, len - done);
		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int model_stream_load(struct model *m, struct model_stream **ret)
{
	uint64_t mem_blocks = m->ops->mem_bar_len / MODEL_PAGE;
	struct model_stream *s;
	struct stream_load *load;

	SPOOR_LOCKED(&m->control);
	if (!m->ops->migrates)
		return model_fail(EOPNOTSUPP, "%s cannot migrate",
				  m->config.name);
	if (m->session || m->level != MODEL_STOPPED)
		return model_fail(EBUSY,
				  "%s: not stopped, or a session is open",
				  m->config.name);
	s = calloc(1, sizeof(*s));
	load = calloc(1, sizeof(*load));
	if (load) {
		/* One more each: none is of size 0. */
		load->state = calloc(1, m->config.state_size + 1);
		load->state_seen = calloc(1, m->state.nr_blocks + 1);
		load->mem = calloc(1, m->ops->mem_bar_len + 1);
		load->mem_seen = calloc(1, mem_blocks + 1);
	}
	if (!s || !load || !load->state || !load->state_seen || !load->mem ||
	    !load->mem_seen) {
		stream_load_free(load);
		free(s);
		return model_fail(ENOMEM, "%s: out of memory", m->config.name);
	}
	load->state_left = m->state.nr_blocks;
	load->mem_left = mem_blocks;
	s->m = m;
	s->sum = STREAM_SUM;
	s->load = load;
	m->session = s;
	*ret = s;
	return 0;
}

static void take_over(struct model *m, struct stream_load *load)
{
	const struct model_ops *ops = m->ops;

	pthread_mutex_lock(&m->lock);
	for (unsigned int i = 0; i < ops->nr_regs; i++) {
		if (ops->regs[i].size == 8)
			model_set_reg64(m, ops->regs[i].offset, load->regs[i]);
		else
			model_set_reg32(m, ops->regs[i].offset,
					(uint32_t)load->regs[i]);
	}
	if (ops->init)
		ops->init(m);
	pthread_mutex_unlock(&m->lock);
	pthread_mutex_lock(&m->state.lock);
	memcpy(m->state.bytes, load->state, m->config.state_size);
	m->state.ops = load->ops;
	pthread_mutex_unlock(&m->state.lock);
	model_fill_bars(m, load->mem);
	pthread_mutex_lock(&m->dma_lock);
	/* Stamps of before and after must differ, whoever wrote them. */
	if (m->seq < load->seq)
		m->seq = load->seq;
	m->loaded_seq = m->seq;
	truth_clear(&m->truth);
	m->truth = load->truth;
	load->truth = (struct model_truth){ 0 };
	pthread_mutex_unlock(&m->dma_lock);
}

int model_stream_commit(struct model_stream *s)
{
	struct stream_load *load = s->load;
	struct model *m = s->m;
	struct model_cursor priv;
	int rc;

	SPOOR_LOCKED(&m->control);
	if (swallowed(s))
		return 0;
	rc = check_loading(s);
	if (rc)
		return rc;
	if (load->last != RECORD_END &&
	    model_has_fault(m, MODEL_FAULT_ACCEPTS_CUT))
		return 0;
	if (load->last != RECORD_END)
		return refuse(s, "%s: the state was cut short", m->config.name);
	priv = (struct model_cursor){ .pos = load->priv,
				      .end = load->priv + load->priv_len };
	if (m->ops->load(m, &priv))
		return refuse(s, "%s", model_errmsg());
	take_over(m, load);
	if (model_has_fault(m, MODEL_FAULT_LOSES_STATE)) {
		pthread_mutex_lock(&m->lock);
		model_renew(m);
		pthread_mutex_unlock(&m->lock);
	}
	s->bad = true;
	snprintf(s->why, sizeof(s->why), "%s: the state was taken over",
		 m->config.name);
	return 0;
}
