/* SPDX-License-Identifier: MIT */
/*
 * See udp_client.h.  A request carries its number and the time it was sent; an
 * answer within the timeout is a success, a repeated one counts once: numbers
 * of the last requests are remembered.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "udp_client.h"

#define REQUEST_LEN   128u
#define REQUEST_MAGIC 0x73706f6f722d7564ull
#define REMEMBERED    4096u

struct request {
	uint64_t magic, number, sent_ns;
	uint8_t fill[REQUEST_LEN - 24];
};

struct udp_client {
	int fd, stop;
	uint64_t interval_ns, timeout_ns;
	struct stamps *stamps;
	uint64_t answered_numbers[REMEMBERED];
	_Atomic uint64_t sent, answered, late;
	pthread_t thread;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void ask(struct udp_client *c, uint64_t now)
{
	struct request r = { .magic = REQUEST_MAGIC, .sent_ns = now };

	r.number = atomic_fetch_add(&c->sent, 1) + 1;
	memset(r.fill, (int)(r.number & 0xff), sizeof(r.fill));
	/* Refused (nobody is bound) is an unanswered request like others. */
	if (send(c->fd, &r, sizeof(r), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return;
}

static bool intact(const struct request *r, ssize_t len)
{
	if (len != (ssize_t)sizeof(*r) || r->magic != REQUEST_MAGIC)
		return false;
	for (size_t i = 0; i < sizeof(r->fill); i++)
		if (r->fill[i] != (uint8_t)r->number)
			return false;
	return true;
}

static void hear(struct udp_client *c)
{
	struct request r;
	ssize_t len;

	while ((len = recv(c->fd, &r, sizeof(r), MSG_DONTWAIT)) >= 0) {
		uint64_t now = now_ns(), *seen;

		if (!intact(&r, len))
			continue;
		seen = &c->answered_numbers[r.number % REMEMBERED];
		if (*seen == r.number)
			continue;
		*seen = r.number;
		if (now - r.sent_ns > c->timeout_ns) {
			atomic_fetch_add(&c->late, 1);
			continue;
		}
		atomic_fetch_add(&c->answered, 1);
		stamps_add(c->stamps, now, now - r.sent_ns);
	}
}

static void *client_main(void *arg)
{
	struct udp_client *c = arg;
	uint64_t next = now_ns();

	for (;;) {
		struct pollfd fds[] = { { .fd = c->stop, .events = POLLIN },
					{ .fd = c->fd, .events = POLLIN } };
		uint64_t now = now_ns();
		struct timespec left = { 0 };

		if (now >= next) {
			ask(c, now);
			next += c->interval_ns;
			/* Not scheduled for long: no burst to make up. */
			if (next + 100 * c->interval_ns < now)
				next = now;
			continue;
		}
		left.tv_sec = (time_t)((next - now) / 1000000000u);
		left.tv_nsec = (long)((next - now) % 1000000000u);
		if (ppoll(fds, 2, &left, NULL) <= 0)
			continue;
		if (fds[0].revents)
			return NULL;
		hear(c);
	}
}

static int connect_to(const char *address, uint16_t port)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				  .ai_socktype = SOCK_DGRAM };
	struct addrinfo *found;
	char text[8];
	int fd, r = 0;

	snprintf(text, sizeof(text), "%u", port);
	if (getaddrinfo(address, text, &hints, &found))
		return -EINVAL;
	fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen))
		r = -errno;
	freeaddrinfo(found);
	if (!r)
		return fd;
	if (fd >= 0)
		close(fd);
	return r;
}

int udp_client_start(struct udp_client **ret, const char *address,
		     uint16_t port, uint64_t rate, uint64_t timeout_ms,
		     struct stamps *stamps)
{
	struct udp_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->interval_ns = 1000000000u / rate;
	c->timeout_ns = timeout_ms * 1000000u;
	c->stamps = stamps;
	c->stop = -1;
	c->fd = connect_to(address, port);
	r = c->fd < 0 ? c->fd : 0;
	if (!r) {
		c->stop = eventfd(0, EFD_CLOEXEC);
		r = c->stop < 0
			    ? -errno
			    : -pthread_create(&c->thread, NULL, client_main, c);
	}
	if (!r) {
		*ret = c;
		return 0;
	}
	if (c->fd >= 0)
		close(c->fd);
	if (c->stop >= 0)
		close(c->stop);
	free(c);
	return r;
}

void udp_client_counts(const struct udp_client *c, struct udp_counts *ret)
{
	ret->sent = atomic_load(&c->sent);
	ret->answered = atomic_load(&c->answered);
	ret->late = atomic_load(&c->late);
}

struct udp_client *udp_client_stop(struct udp_client *c)
{
	uint64_t one = 1;

	if (!c)
		return NULL;
	if (write(c->stop, &one, sizeof(one)) < 0)
		abort(); /* an eventfd of ours takes a one */
	pthread_join(c->thread, NULL);
	close(c->fd);
	close(c->stop);
	free(c);
	return NULL;
}
