/* SPDX-License-Identifier: MIT */
/*
 * The relay; see the header.
 */
#include "tests/fault/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define HEADER	 32u
#define BUF_SIZE (HEADER + (1u << 20))

long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static unsigned int le16(const uint8_t *p)
{
	return p[0] | (unsigned int)p[1] << 8;
}

static uint64_t le64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static struct frame *remember(struct way *w, const uint8_t *head, size_t len)
{
	struct frame f = { .type = le16(head + 4) % FRAME_TYPES,
			   .len = len,
			   .last = le16(head + 6) & 1,
			   .good = !w->spoiled,
			   .end = UINT64_MAX };

	f.nth = w->nr_of_type[f.type]++;
	if (w->nr == w->room) {
		w->room = w->room ? w->room * 2 : 256;
		w->frames = realloc(w->frames, w->room * sizeof(f));
		if (!w->frames)
			abort();
	}
	w->frames[w->nr] = f;
	return &w->frames[w->nr++];
}

/* A receiver that has gone: its sender learns of it, we go on reading. */
static void pass(struct relay *r, struct way *w, const uint8_t *p, size_t len)
{
	while (len && !r->cut) {
		ssize_t n = send(w->to, p, len, MSG_NOSIGNAL);

		if (n <= 0) {
			shutdown(w->from, SHUT_RD);
			w->spoiled = true;
			return;
		}
		p += n;
		len -= (size_t)n;
		w->passed += (uint64_t)n;
	}
}

static void cut(struct relay *r)
{
	for (int i = 0; i < 2; i++)
		shutdown(r->ways[i].from, SHUT_RDWR);
	r->cut = true;
}

static void harm(struct relay *r, struct way *w, struct frame *f, uint8_t *p,
		 const struct frame_fault *fault)
{
	size_t at = fault->at < f->len ? fault->at : f->len - 1;

	r->fired = true;
	switch (fault->act) {
	case FRAME_CUT:
		if (fault->at < f->len) {
			f->good = false;
			pass(r, w, p, fault->at);
		} else {
			pass(r, w, p, f->len);
			f->end = w->passed;
		}
		cut(r);
		return;
	case FRAME_SPOIL:
		p[at] ^= 0x40;
		pass(r, w, p, f->len);
		break;
	case FRAME_REPEAT:
		pass(r, w, p, f->len);
		f->end = w->passed;
		pass(r, w, p, f->len);
		w->spoiled = true;
		return;
	default:
		break; /* dropped */
	}
	f->good = false;
	w->spoiled = true;
}

static void take_frame(struct relay *r, struct way *w, size_t len,
		       const struct frame_fault *fault)
{
	struct frame *f = remember(w, w->buf, len);
	const bool it = fault->act != FRAME_PASS &&
			w == &r->ways[fault->from] && f->type == fault->type &&
			f->nth == fault->nth;

	if (it) {
		harm(r, w, f, w->buf, fault);
		return;
	}
	pass(r, w, w->buf, len);
	if (!r->cut && !w->spoiled)
		f->end = w->passed;
}

/* Every frame that is there whole. */
static void take_frames(struct relay *r, struct way *w,
			const struct frame_fault *fault)
{
	size_t len = 0;

	while (w->have >= HEADER) {
		len = HEADER + le64(w->buf + 16);
		if (memcmp(w->buf, "SPOR", 4) || len > BUF_SIZE) {
			w->garbled = true;
			w->have = 0;
			cut(r);
			return;
		}
		if (w->have < len)
			return;
		take_frame(r, w, len, fault);
		w->have -= len;
		memmove(w->buf, w->buf + len, w->have);
	}
}

static void take(struct relay *r, struct way *w,
		 const struct frame_fault *fault)
{
	ssize_t n = recv(w->from, w->buf + w->have, BUF_SIZE - w->have, 0);

	if (n > 0) {
		w->have += (size_t)n;
		take_frames(r, w, fault);
		return;
	}
	/* A frame that was begun and never finished. */
	pass(r, w, w->buf, w->have);
	shutdown(w->to, SHUT_WR);
	w->ended = true;
}

void relay_run(struct relay *r, int source, int destination,
	       const struct frame_fault *fault, long limit_ms)
{
	const long end = now_ms() + limit_ms;

	*r = (struct relay){ .ways = {
				     { .from = source, .to = destination },
				     { .from = destination, .to = source } } };
	for (int i = 0; i < 2; i++) {
		r->ways[i].buf = malloc(BUF_SIZE);
		if (!r->ways[i].buf)
			abort();
	}
	while (now_ms() < end && (!r->ways[0].ended || !r->ways[1].ended)) {
		struct pollfd p[2];

		for (int i = 0; i < 2; i++)
			p[i] = (struct pollfd){ .fd = r->ways[i].ended
							      ? -1
							      : r->ways[i].from,
						.events = POLLIN };
		if (poll(p, 2, 1000) <= 0)
			continue;
		for (int i = 0; i < 2; i++) {
			if (p[i].revents)
				take(r, &r->ways[i], fault);
		}
	}
	for (int i = 0; i < 2; i++) {
		free(r->ways[i].buf);
		r->ways[i].buf = NULL;
	}
}

void relay_clear(struct relay *r)
{
	for (int i = 0; i < 2; i++)
		free(r->ways[i].frames);
	*r = (struct relay){ 0 };
}

bool relay_sent(const struct relay *r, enum side side, unsigned int type)
{
	return r->ways[side].nr_of_type[type];
}

bool relay_got(const struct relay *r, enum side side, unsigned int type,
	       uint64_t received)
{
	const struct way *w = &r->ways[!side];

	for (size_t i = 0; i < w->nr; i++) {
		const struct frame *f = &w->frames[i];

		if (f->type == type && f->good && f->end <= received)
			return true;
	}
	return false;
}
