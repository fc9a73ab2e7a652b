/* SPDX-License-Identifier: MIT */
/*
 * Frames by hand; see the header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "talk.h"
#include "wire/frame.h"

static void *run(void *opaque)
{
	struct talk *t = opaque;
	struct guest *g = t->real;

	if (g == &t->p.src)
		g->rc = spoor_source_run(g->machine, &g->plan, &g->opts,
					 &g->result);
	else
		g->rc = spoor_destination_run(g->machine, &g->opts, &g->result);
	shutdown(g->opts.fd, SHUT_RDWR);
	return NULL;
}

static struct talk *begin(bool source, uint32_t silence_ms)
{
	struct talk *t = calloc(1, sizeof(*t));
	int fds[2];

	pair_init(&t->p);
	t->real = source ? &t->p.src : &t->p.dst;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	t->fd = fds[0];
	t->real->opts.fd = fds[1];
	t->real->opts.silence_ns = silence_ms * 1000000ull;
	assert_int_equal(pthread_create(&t->thread, NULL, run, t), 0);
	return t;
}

struct talk *talk_to_destination(void)
{
	return begin(false, 2000);
}

struct talk *talk_to_source(uint32_t silence_ms)
{
	return begin(true, silence_ms);
}

void say(struct talk *t, unsigned int type, unsigned int flags,
	 const void *data, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct spoor_frame f = { .type = (uint16_t)type,
				 .flags = (uint16_t)flags,
				 .seq = t->seq++,
				 .len = len };
	uint8_t head[SPOOR_FRAME_HEADER];

	spoor_frame_encode(&f, head);
	f.check = spoor_frame_check(head, &iov, len ? 1 : 0);
	spoor_frame_encode(&f, head);
	(void)!send(t->fd, head, sizeof(head), MSG_NOSIGNAL);
	if (len)
		(void)!send(t->fd, data, len, MSG_NOSIGNAL);
}

void say_buf(struct talk *t, unsigned int type, unsigned int flags,
	     struct spoor_wbuf *b)
{
	say(t, type, flags, b->data, b->len);
	spoor_wbuf_clear(b);
}

void say_run(struct talk *t, unsigned int type, uint64_t iova, uint64_t len)
{
	const struct spoor_range r = { iova, len };
	const size_t bytes = type == SPOOR_FRAME_PAGES ? (size_t)len : 0;
	uint8_t *data = calloc(1, SPOOR_RUN_HEADER + bytes);

	spoor_run_encode(&r, data);
	memset(data + SPOOR_RUN_HEADER, 0xbb, bytes);
	say(t, type, 0, data, SPOOR_RUN_HEADER + bytes);
	free(data);
}

static struct spoor_frame next(struct talk *t)
{
	uint8_t head[SPOOR_FRAME_HEADER], rest[4096];
	struct spoor_frame f;

	assert_int_equal(recv(t->fd, head, sizeof(head), MSG_WAITALL),
			 sizeof(head));
	assert_int_equal(spoor_frame_decode(&f, head), 0);
	for (uint64_t left = f.len, n; left; left -= n) {
		n = left < sizeof(rest) ? left : sizeof(rest);
		assert_int_equal(recv(t->fd, rest, n, MSG_WAITALL), n);
	}
	return f;
}

void hear(struct talk *t, unsigned int type)
{
	assert_string_equal(spoor_frame_name(next(t).type),
			    spoor_frame_name((uint16_t)type));
}

void hear_until(struct talk *t, unsigned int type, unsigned int flags)
{
	struct spoor_frame f;

	do
		f = next(t);
	while (f.type != type || (f.flags & flags) != flags);
}

struct guest *talk_wait(struct talk *t)
{
	shutdown(t->fd, SHUT_WR);
	pthread_join(t->thread, NULL);
	return t->real;
}

void talk_end(struct talk *t, enum spoor_outcome outcome, const char *word)
{
	struct guest *g = t->real;

	assert_int_equal(g->result.outcome, outcome);
	if (!strstr(g->result.error, word))
		fail_msg("\"%s\" does not name \"%s\"", g->result.error, word);
	close(t->fd);
	close(g->opts.fd);
	pair_fini(&t->p);
	free(t);
}
