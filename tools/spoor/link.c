/* SPDX-License-Identifier: MIT */
/*
 * The link emulator: two one-way pipes, each a queue of chunks that may leave
 * at a time.  A chunk leaves once the ones before it are through at the link's
 * rate, plus the latency.  The end of one side's stream travels like data; a
 * broken side breaks the other.
 *
 * Threads: one relays both directions; start and stop from its owner.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "link.h"

#define CHUNK	  65536u
#define NR_CHUNKS 256u /* at most so many on their way */
#define NS_PER_S  1000000000ull

struct chunk {
	uint64_t leaves_ns;
	size_t len, done;
	bool end;
	char *bytes;
};

struct way {
	int from, to;
	struct chunk queue[NR_CHUNKS];
	unsigned int head, nr;
	uint64_t free_ns; /* when the link is done with what was queued */
	bool ended, broken;
};

struct link {
	struct way ways[2];
	uint64_t rate, latency_ns;
	int stop, a, b;
	pthread_t thread;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t transfer_ns(const struct link *l, size_t len)
{
	return l->rate ? (uint64_t)((double)len * 1e9 / (double)l->rate) : 0;
}

/* Queue what the sender has. */
static void take_in(struct link *l, struct way *w, uint64_t now)
{
	struct chunk *c = &w->queue[(w->head + w->nr) % NR_CHUNKS];
	ssize_t n;

	if (!c->bytes)
		c->bytes = malloc(CHUNK);
	if (!c->bytes) {
		w->broken = true;
		return;
	}
	n = recv(w->from, c->bytes, CHUNK, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		w->broken = true;
		return;
	}
	if (w->free_ns < now)
		w->free_ns = now;
	w->free_ns += transfer_ns(l, (size_t)n);
	c->leaves_ns = w->free_ns + l->latency_ns;
	c->len = (size_t)n;
	c->done = 0;
	c->end = !n;
	w->ended = !n;
	w->nr++;
}

static void let_out(struct way *w)
{
	struct chunk *c = &w->queue[w->head];
	ssize_t n;

	if (c->end) {
		shutdown(w->to, SHUT_WR);
	} else {
		n = send(w->to, c->bytes + c->done, c->len - c->done,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0) {
			w->broken = true;
			return;
		}
		c->done += (size_t)n;
		if (c->done < c->len)
			return;
	}
	w->head = (w->head + 1) % NR_CHUNKS;
	w->nr--;
}

/* What this direction waits for, and the time it waits until. */
static void wishes(const struct link *l, const struct way *w, struct pollfd *in,
		   struct pollfd *out, uint64_t now, uint64_t *until)
{
	const struct chunk *c = &w->queue[w->head];
	/* Bytes enter no faster than the link drains them. */
	bool room =
		w->nr < NR_CHUNKS && (!l->rate || w->free_ns < now + 5000000);

	*in = (struct pollfd){ .fd = !w->ended && room ? w->from : -1,
			       .events = POLLIN };
	*out = (struct pollfd){ .fd = -1, .events = POLLOUT };
	if (!w->ended && !room && w->nr < NR_CHUNKS &&
	    w->free_ns - 4000000 < *until)
		*until = w->free_ns - 4000000;
	if (!w->nr)
		return;
	if (c->leaves_ns <= now)
		out->fd = w->to;
	else if (c->leaves_ns < *until)
		*until = c->leaves_ns;
}

static bool done(const struct link *l)
{
	const struct way *x = &l->ways[0], *y = &l->ways[1];

	if (x->broken || y->broken)
		return true;
	return x->ended && !x->nr && y->ended && !y->nr;
}

static void *relay(void *arg)
{
	struct link *l = arg;

	while (!done(l)) {
		struct pollfd fds[5] = { { .fd = l->stop, .events = POLLIN } };
		uint64_t now = now_ns(), until = now + NS_PER_S, wait;
		struct timespec t;

		for (int i = 0; i < 2; i++)
			wishes(l, &l->ways[i], &fds[1 + i], &fds[3 + i], now,
			       &until);
		wait = until > now ? until - now : 0;
		t.tv_sec = (time_t)(wait / NS_PER_S);
		t.tv_nsec = (long)(wait % NS_PER_S);
		if (ppoll(fds, 5, &t, NULL) < 0 && errno != EINTR)
			break;
		if (fds[0].revents)
			break;
		now = now_ns();
		for (int i = 0; i < 2; i++) {
			if (fds[1 + i].revents)
				take_in(l, &l->ways[i], now);
			if (fds[3 + i].revents)
				let_out(&l->ways[i]);
		}
	}
	shutdown(l->a, SHUT_RDWR);
	shutdown(l->b, SHUT_RDWR);
	return NULL;
}

int link_start(struct link **ret, int a, int b, uint64_t bytes_per_s,
	       uint64_t latency_ns)
{
	struct link *l = calloc(1, sizeof(*l));
	int r = -ENOMEM;

	if (!l)
		goto close_sockets;
	l->ways[0].from = l->ways[1].to = l->a = a;
	l->ways[1].from = l->ways[0].to = l->b = b;
	l->rate = bytes_per_s;
	l->latency_ns = latency_ns;
	l->stop = eventfd(0, EFD_CLOEXEC);
	if (l->stop < 0) {
		r = -errno;
		goto free_link;
	}
	r = -pthread_create(&l->thread, NULL, relay, l);
	if (r)
		goto close_stop;
	*ret = l;
	return 0;

close_stop:
	close(l->stop);
free_link:
	free(l);
close_sockets:
	close(a);
	close(b);
	return r;
}

int link_pair(struct link **ret, int ends[2], uint64_t bytes_per_s,
	      uint64_t latency_ns)
{
	int near[2], far[2], r;

	*ret = NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, near))
		return -errno;
	ends[0] = near[0];
	ends[1] = near[1];
	if (!bytes_per_s && !latency_ns)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, far)) {
		r = -errno;
		close(near[0]);
		close(near[1]);
		return r;
	}
	ends[1] = far[1];
	r = link_start(ret, near[1], far[0], bytes_per_s, latency_ns);
	if (r) {
		close(near[0]);
		close(far[1]);
	}
	return r;
}

struct link *link_stop(struct link *l)
{
	uint64_t one = 1;

	if (!l)
		return NULL;
	if (write(l->stop, &one, sizeof(one)) < 0)
		abort(); /* an eventfd of ours takes a one */
	pthread_join(l->thread, NULL);
	for (int i = 0; i < 2; i++)
		for (unsigned int k = 0; k < NR_CHUNKS; k++)
			free(l->ways[i].queue[k].bytes);
	close(l->stop);
	close(l->a);
	close(l->b);
	free(l);
	return NULL;
}
