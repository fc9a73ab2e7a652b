/* SPDX-License-Identifier: MIT */
/*
 * The link emulator: what goes in comes out, no faster than it may, and ends
 * travel too.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "link.h"

struct ends {
	int a, b; /* ours; the link has the other two */
	struct link *link;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void join(struct ends *e, uint64_t rate, uint64_t latency_ns)
{
	int x[2], y[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, x), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, y), 0);
	e->a = x[0];
	e->b = y[0];
	assert_int_equal(link_start(&e->link, x[1], y[1], rate, latency_ns), 0);
}

static void part(struct ends *e)
{
	close(e->a);
	close(e->b);
	assert_null(link_stop(e->link));
}

#define LEN (3u << 20)

static void *send_all(void *arg)
{
	const struct ends *e = arg;
	uint8_t *bytes = malloc(LEN);

	for (size_t i = 0; i < LEN; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	for (size_t done = 0; done < LEN;) {
		ssize_t n = send(e->a, bytes + done, LEN - done, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	shutdown(e->a, SHUT_WR);
	free(bytes);
	return NULL;
}

/* All the bytes, in order, then the end; ms it took. */
static uint64_t receive_all(const struct ends *e)
{
	uint8_t buf[65536];
	uint64_t begun = now_ms();
	size_t got = 0;
	ssize_t n;

	while ((n = recv(e->b, buf, sizeof(buf), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			size_t at = got + (size_t)i;

			assert_int_equal(buf[i], (uint8_t)(at * 7 + at / 251));
		}
		got += (size_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(got, LEN);
	return now_ms() - begun;
}

static void bytes_arrive_in_order_no_faster_than_the_rate(void **state)
{
	struct ends e;
	pthread_t sender;
	uint64_t ms;

	(void)state;
	join(&e, 10u << 20, 0);
	assert_int_equal(pthread_create(&sender, NULL, send_all, &e), 0);
	ms = receive_all(&e);
	pthread_join(sender, NULL);
	/* 3 MiB at 10 MiB/s; a loaded machine may be later, never sooner. */
	assert_in_range(ms, 290, 60000);
	part(&e);
}

static void latency_delays_each_way(void **state)
{
	struct ends e;
	uint64_t begun;
	char c;

	(void)state;
	join(&e, 0, 30000000);
	begun = now_ms();
	assert_int_equal(send(e.a, "x", 1, 0), 1);
	assert_int_equal(recv(e.b, &c, 1, 0), 1);
	assert_int_equal(send(e.b, "y", 1, 0), 1);
	assert_int_equal(recv(e.a, &c, 1, 0), 1);
	assert_int_equal(c, 'y');
	assert_in_range(now_ms() - begun, 59, 60000);
	part(&e);
}

static void half_closed_link_still_carries_the_other_way(void **state)
{
	struct ends e;
	char c;

	(void)state;
	join(&e, 0, 1000000);
	shutdown(e.a, SHUT_WR);
	assert_int_equal(recv(e.b, &c, 1, 0), 0);
	assert_int_equal(send(e.b, "z", 1, 0), 1);
	assert_int_equal(recv(e.a, &c, 1, 0), 1);
	part(&e);
}

static void vanished_end_ends_the_other(void **state)
{
	struct ends e;
	char c;

	(void)state;
	join(&e, 0, 1000000);
	close(e.a);
	e.a = -1;
	assert_int_equal(recv(e.b, &c, 1, 0), 0);
	close(e.b);
	assert_null(link_stop(e.link));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_arrive_in_order_no_faster_than_the_rate),
		cmocka_unit_test(latency_delays_each_way),
		cmocka_unit_test(half_closed_link_still_carries_the_other_way),
		cmocka_unit_test(vanished_end_ends_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
