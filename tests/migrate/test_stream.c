/* SPDX-License-Identifier: MIT */
/*
 * How long a stream waits: not for ever, whatever the other side does, and not
 * too short for one that is busy and says so.
 */
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <spoor/error.h>

#include "migrate/machine_priv.h"
#include "migrate/stream_io.h"

#define MS 1000000ull

/* The other side: says PING every few ms, then reads all there is. */
struct peer {
	struct spoor_stream io;
	pthread_t thread;
	unsigned int every_ms, pings;
	size_t read;
};

static void *run_peer(void *opaque)
{
	struct peer *peer = opaque;
	char buf[65536];
	ssize_t n;

	for (unsigned int i = 0; i < peer->pings; i++) {
		if (spoor_stream_tick(&peer->io))
			break;
		usleep(peer->every_ms * 1000);
	}
	for (;;) {
		n = recv(peer->io.fd, buf, sizeof(buf), 0);
		if (n <= 0)
			break;
		peer->read += (size_t)n;
	}
	return NULL;
}

static void begin(struct spoor_stream *s, struct peer *peer,
		  uint64_t silence_ns)
{
	const int small = 16384;
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small,
				    sizeof(small)),
			 0);
	assert_int_equal(spoor_stream_init(s, fds[0], silence_ns), 0);
	assert_int_equal(spoor_stream_init(&peer->io, fds[1], 10000 * MS), 0);
	peer->io.ping_ns = 0; /* always time for one */
	assert_int_equal(pthread_create(&peer->thread, NULL, run_peer, peer),
			 0);
}

static void end(struct spoor_stream *s, struct peer *peer)
{
	int fds[2] = { s->fd, peer->io.fd };

	shutdown(fds[0], SHUT_RDWR);
	pthread_join(peer->thread, NULL);
	spoor_stream_clear(s);
	spoor_stream_clear(&peer->io);
	close(fds[0]);
	close(fds[1]);
}

/* False: the peer's thread was not scheduled in time. */
static bool wait_among_pings(void)
{
	struct peer peer = { .every_ms = 2, .pings = 50000 };
	struct spoor_stream s;
	struct spoor_frame f;
	const uint8_t *payload;
	uint64_t begun = spoor_now_ns(), took;
	bool pinged;

	begin(&s, &peer, 25 * MS);
	assert_int_equal(spoor_stream_recv(&s, &f, &payload, NULL, NULL),
			 -ETIMEDOUT);
	took = spoor_now_ns() - begun;
	pinged = strstr(spoor_errmsg(), "lives");
	end(&s, &peer);
	/* It did count them for a while. */
	if (pinged)
		assert_true(took > 500 * MS);
	assert_true(took < 30000 * MS);
	return pinged;
}

static void pings_alone_do_not_keep_a_wait_alive_for_ever(void **state)
{
	unsigned int tries = 0;

	(void)state;
	while (!wait_among_pings())
		assert_true(++tries < 20);
}

static void where_none_is_due_pings_prolong_nothing(void **state)
{
	struct peer peer = { .every_ms = 10, .pings = 5000 };
	struct spoor_stream s;
	struct spoor_frame f;
	const uint8_t *payload;
	uint64_t begun = spoor_now_ns();

	(void)state;
	begin(&s, &peer, 100 * MS);
	s.no_pings = true;
	assert_int_equal(spoor_stream_recv(&s, &f, &payload, NULL, NULL),
			 -ETIMEDOUT);
	assert_true(spoor_now_ns() - begun < 20000 * MS);
	end(&s, &peer);
}

static void who_pings_is_busy_and_may_take_nothing_for_a_while(void **state)
{
	static uint8_t data[512u << 10];
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
	/* It takes nothing for longer than a silence, in which it has many a turn. */
	struct peer peer = { .every_ms = 25, .pings = 80 };
	struct spoor_stream s;

	(void)state;
	begin(&s, &peer, 1500 * MS);
	assert_int_equal(spoor_stream_send(&s, SPOOR_FRAME_SECTION, 0, &iov, 1),
			 0);
	end(&s, &peer);
	assert_int_equal(peer.read, SPOOR_FRAME_HEADER + sizeof(data));
}

static void who_takes_nothing_and_is_silent_is_gone(void **state)
{
	static uint8_t data[512u << 10];
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
	struct spoor_stream s;
	int fds[2];

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(spoor_stream_init(&s, fds[0], 50 * MS), 0);
	assert_int_equal(spoor_stream_send(&s, SPOOR_FRAME_SECTION, 0, &iov, 1),
			 -ETIMEDOUT);
	spoor_stream_clear(&s);
	close(fds[0]);
	close(fds[1]);
}

/* Its flag was taken back when the run that it was for had ended. */
static void stale_cancel_neither_ends_nor_lengthens_a_wait(void **state)
{
	atomic_bool cancelled = false;
	struct spoor_stream s;
	struct spoor_frame f;
	const uint8_t *payload;
	int fds[2], event = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t cpu = spoor_thread_cpu_ns(), count;

	(void)state;
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(spoor_stream_init(&s, fds[0], 300 * MS), 0);
	s.cancelled = &cancelled;
	s.cancel_fd = event;
	alarm(20); /* it would spin */
	assert_int_equal(spoor_stream_recv(&s, &f, &payload, NULL, NULL),
			 -ETIMEDOUT);
	alarm(0);
	assert_true(spoor_thread_cpu_ns() - cpu < 100 * MS);
	assert_int_equal(read(event, &count, sizeof(count)), -1);
	spoor_stream_clear(&s);
	close(event);
	close(fds[0]);
	close(fds[1]);
}

static void endless_silence_is_no_overflow(void **state)
{
	struct peer peer = { .every_ms = 0, .pings = 1 };
	struct spoor_stream s;
	struct spoor_frame f;
	const uint8_t *payload;
	int fd;

	(void)state;
	begin(&s, &peer, UINT64_MAX);
	fd = peer.io.fd;
	usleep(20000);
	shutdown(fd, SHUT_WR);
	assert_int_equal(spoor_stream_recv(&s, &f, &payload, NULL, NULL),
			 -ECONNRESET);
	end(&s, &peer);
}

/* Over TCP a full socket may hold megabytes. */
static void what_the_socket_holds_is_told(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct spoor_stream s = { .fd = -1 };
	socklen_t len = sizeof(at);
	static char bytes[65536];
	size_t sent = 0;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
	ssize_t n;

	(void)state;
	assert_int_equal(spoor_stream_queued(&s), 0);
	s.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len),
			 0);
	assert_int_equal(connect(s.fd, (struct sockaddr *)&at, len), 0);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	while ((n = send(s.fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		sent += (size_t)n;
	/* The peer's host has some of it. */
	assert_true(spoor_stream_queued(&s) > 0);
	assert_true(spoor_stream_queued(&s) < sent);
	while (sent) {
		n = recv(peer, bytes, sizeof(bytes), 0);
		assert_true(n > 0);
		sent -= (size_t)n;
	}
	/* The last of it has arrived; that it has may still be on its way. */
	while (spoor_stream_queued(&s))
		sched_yield();
	close(peer);
	close(listener);
	close(s.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pings_alone_do_not_keep_a_wait_alive_for_ever),
		cmocka_unit_test(where_none_is_due_pings_prolong_nothing),
		cmocka_unit_test(
			who_pings_is_busy_and_may_take_nothing_for_a_while),
		cmocka_unit_test(who_takes_nothing_and_is_silent_is_gone),
		cmocka_unit_test(
			stale_cancel_neither_ends_nor_lengthens_a_wait),
		cmocka_unit_test(endless_silence_is_no_overflow),
		cmocka_unit_test(what_the_socket_holds_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
