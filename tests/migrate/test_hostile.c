/* SPDX-License-Identifier: MIT */
/*
 * A source that is broken or hostile: frames by hand against a real
 * destination.  It refuses or gives up, says why, never runs, and no byte goes
 * where it does not belong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "pair.h"
#include "wire/frame.h"
#include "wire/hello.h"
#include "wire/message.h"

struct talk {
	struct pair p; /* its destination is the real one */
	int fd;
	uint32_t seq;
	pthread_t thread;
};

static void *run(void *opaque)
{
	struct guest *g = opaque;

	g->rc = spoor_destination_run(g->machine, &g->opts, &g->result);
	shutdown(g->opts.fd, SHUT_RDWR);
	return NULL;
}

static struct talk *begin(void)
{
	struct talk *t = calloc(1, sizeof(*t));
	int fds[2];

	pair_init(&t->p);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	t->fd = fds[0];
	t->p.dst.opts.fd = fds[1];
	t->p.dst.opts.silence_ns = 2000000000ull;
	assert_int_equal(pthread_create(&t->thread, NULL, run, &t->p.dst), 0);
	return t;
}

static void say(struct talk *t, unsigned int type, unsigned int flags,
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

static void say_buf(struct talk *t, unsigned int type, unsigned int flags,
		    struct spoor_wbuf *b)
{
	say(t, type, flags, b->data, b->len);
	spoor_wbuf_clear(b);
}

static struct spoor_hello_range ranges[PAIR_REGIONS];

static struct spoor_hello hello(struct talk *t)
{
	const struct spoor_region *r;
	const size_t nr = spoor_memory_regions(t->p.dst.memory, &r);

	for (size_t i = 0; i < nr; i++)
		ranges[i] = (struct spoor_hello_range){ r[i].range, 0 };
	return (struct spoor_hello){ .version_min = 1,
				     .version_max = 1,
				     .page_size = 4096,
				     .silence_ms = 2000,
				     .channels = 1,
				     .ranges = ranges,
				     .nr_ranges = (uint32_t)nr };
}

static void say_hello(struct talk *t)
{
	const struct spoor_hello h = hello(t);
	struct spoor_wbuf b = { 0 };

	spoor_hello_encode(&h, &b);
	say_buf(t, SPOOR_FRAME_HELLO, 0, &b);
}

static void say_run(struct talk *t, unsigned int type, uint64_t iova,
		    uint64_t len)
{
	const struct spoor_range r = { iova, len };
	const size_t bytes = type == SPOOR_FRAME_PAGES ? (size_t)len : 0;
	uint8_t *data = calloc(1, SPOOR_RUN_HEADER + bytes);

	spoor_run_encode(&r, data);
	memset(data + SPOOR_RUN_HEADER, 0xbb, bytes);
	say(t, type, 0, data, SPOOR_RUN_HEADER + bytes);
	free(data);
}

static void say_complete(struct talk *t, uint64_t data, uint64_t zero)
{
	const struct spoor_complete c = { data, zero, 0 };
	struct spoor_wbuf b = { 0 };

	spoor_complete_encode(&c, &b);
	say_buf(t, SPOOR_FRAME_COMPLETE, 0, &b);
}

static void say_zeroes(struct talk *t, size_t short_by)
{
	const struct spoor_region *r;
	const size_t nr = spoor_memory_regions(t->p.dst.memory, &r);

	for (size_t i = 0; i < nr; i++)
		say_run(t, SPOOR_FRAME_ZERO, r[i].range.iova,
			r[i].range.len - (i ? 0 : short_by));
}

/* The end of it: what the destination made of it. */
static void expect(struct talk *t, enum spoor_outcome outcome, const char *word)
{
	struct guest *g = &t->p.dst;

	shutdown(t->fd, SHUT_WR);
	pthread_join(t->thread, NULL);
	assert_int_equal(g->result.outcome, outcome);
	if (!strstr(g->result.error, word))
		fail_msg("\"%s\" does not name \"%s\"", g->result.error, word);
	assert_false(guest_runs(g));
	assert_int_equal(g->nr_resume, 0);
	close(t->fd);
	close(g->opts.fd);
	pair_fini(&t->p);
	free(t);
}

/* Wait for a frame of the destination. */
static void hear(struct talk *t, unsigned int type)
{
	uint8_t head[SPOOR_FRAME_HEADER];
	uint8_t rest[2048];
	struct spoor_frame f;

	assert_int_equal(recv(t->fd, head, sizeof(head), MSG_WAITALL),
			 sizeof(head));
	assert_int_equal(spoor_frame_decode(&f, head), 0);
	assert_true(f.len <= sizeof(rest));
	if (f.len)
		assert_int_equal(recv(t->fd, rest, f.len, MSG_WAITALL), f.len);
	assert_string_equal(spoor_frame_name(f.type), spoor_frame_name(type));
}

static void other_version_is_refused(void **state)
{
	struct talk *t = begin();
	struct spoor_hello h = hello(t);
	struct spoor_wbuf b = { 0 };

	(void)state;
	h.version_min = 2;
	h.version_max = 9;
	spoor_hello_encode(&h, &b);
	say_buf(t, SPOOR_FRAME_HELLO, 0, &b);
	hear(t, SPOOR_FRAME_REFUSE);
	expect(t, SPOOR_REFUSED, "version");
}

static void larger_source_is_refused(void **state)
{
	struct talk *t = begin();
	struct spoor_hello h = hello(t);
	struct spoor_wbuf b = { 0 };

	(void)state;
	h.ranges[0].range.len *= 2;
	spoor_hello_encode(&h, &b);
	say_buf(t, SPOOR_FRAME_HELLO, 0, &b);
	hear(t, SPOOR_FRAME_REFUSE);
	expect(t, SPOOR_REFUSED, "memory");
}

static void other_devices_are_refused(void **state)
{
	struct spoor_hello_device dev = { "nic0", 1 };
	struct talk *t = begin();
	struct spoor_hello h = hello(t);
	struct spoor_wbuf b = { 0 };

	(void)state;
	h.devices = &dev;
	h.nr_devices = 1;
	spoor_hello_encode(&h, &b);
	say_buf(t, SPOOR_FRAME_HELLO, 0, &b);
	hear(t, SPOOR_FRAME_REFUSE);
	expect(t, SPOOR_REFUSED, "devices");
}

static void nothing_is_taken_before_hello(void **state)
{
	struct talk *t = begin();

	(void)state;
	say_run(t, SPOOR_FRAME_PAGES, 0, 4096);
	hear(t, SPOOR_FRAME_ABORT);
	assert_int_equal(t->p.dst.hva[0][0], 0);
	expect(t, SPOOR_FAILED, "no place");
}

static void runs_outside_memory_are_refused(void **state)
{
	static const struct {
		uint64_t iova, len;
	} runs[] = {
		{ 0x40000000, 4096 }, /* in the hole */
		{ (3u << 20) - 4096, 8192 }, /* across a region's end */
		{ 0x100000000 - 4096, 8192 }, /* across a region's begin */
		{ UINT64_MAX - 4095, 4096 },
		{ UINT64_MAX - 4095, 8192 }, /* past 2^64 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		for (unsigned int type = SPOOR_FRAME_PAGES;
		     type <= SPOOR_FRAME_ZERO; type++) {
			struct talk *t = begin();

			say_hello(t);
			hear(t, SPOOR_FRAME_WELCOME);
			say_run(t, type, runs[i].iova, runs[i].len);
			hear(t, SPOOR_FRAME_ABORT);
			expect(t, SPOOR_FAILED, "run of");
		}
	}
}

static void complete_without_every_page_is_refused(void **state)
{
	struct talk *t = begin();
	uint64_t pages;

	(void)state;
	pages = spoor_memory_size(t->p.dst.memory) / 4096;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say_zeroes(t, 4096);
	say_complete(t, 0, pages - 1);
	hear(t, SPOOR_FRAME_ABORT);
	expect(t, SPOOR_FAILED, "1 pages never came");
}

static void complete_with_wrong_counts_is_refused(void **state)
{
	struct talk *t = begin();
	uint64_t pages;

	(void)state;
	pages = spoor_memory_size(t->p.dst.memory) / 4096;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say_zeroes(t, 0);
	say_complete(t, 1, pages);
	hear(t, SPOOR_FRAME_ABORT);
	expect(t, SPOOR_FAILED, "arrived");
}

static void commit_out_of_turn_does_not_start_it(void **state)
{
	struct talk *t = begin();

	(void)state;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say(t, SPOOR_FRAME_COMMIT, 0, NULL, 0);
	hear(t, SPOOR_FRAME_ABORT);
	expect(t, SPOOR_FAILED, "COMMIT");
}

static void state_of_a_device_that_is_not_there_is_refused(void **state)
{
	struct talk *t = begin();

	(void)state;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say(t, SPOOR_FRAME_DEVICE_DATA, 0, "\3\0\0\0state", 9);
	hear(t, SPOOR_FRAME_ABORT);
	expect(t, SPOOR_FAILED, "device 3");
}

static void optional_frames_of_later_versions_are_passed_over(void **state)
{
	struct talk *t = begin();
	uint64_t pages;

	(void)state;
	pages = spoor_memory_size(t->p.dst.memory) / 4096;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say(t, 300, SPOOR_FRAME_OPTIONAL, "later", 5);
	say_zeroes(t, 0);
	say_complete(t, 0, pages);
	hear(t, SPOOR_FRAME_LOADED);
	hear(t, SPOOR_FRAME_READY);
	/* The end without COMMIT or ABORT: held. */
	expect(t, SPOOR_UNKNOWN, "ended");
}

/* It hears no cancel now: so this wait needs an end of its own. */
static void pings_after_ready_do_not_keep_it_waiting(void **state)
{
	struct talk *t = begin();
	uint64_t pages;
	struct timespec now;
	time_t end;

	(void)state;
	pages = spoor_memory_size(t->p.dst.memory) / 4096;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say_zeroes(t, 0);
	say_complete(t, 0, pages);
	hear(t, SPOOR_FRAME_LOADED);
	hear(t, SPOOR_FRAME_READY);
	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + 6;
	/* Until it has hung up. */
	while (send(t->fd, NULL, 0, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 &&
	       now.tv_sec < end) {
		struct pollfd p = { .fd = t->fd };

		say(t, SPOOR_FRAME_PING, 0, NULL, 0);
		(void)poll(&p, 1, 50);
		if (p.revents & POLLHUP)
			break;
		clock_gettime(CLOCK_MONOTONIC, &now);
	}
	assert_true(now.tv_sec < end);
	expect(t, SPOOR_UNKNOWN, "does not come");
}

static void unknown_frames_that_matter_are_refused(void **state)
{
	struct talk *t = begin();

	(void)state;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say(t, 300, 0, "later", 5);
	hear(t, SPOOR_FRAME_ABORT);
	expect(t, SPOOR_FAILED, "type 300");
}

static void frame_sent_twice_is_refused(void **state)
{
	struct talk *t = begin();

	(void)state;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	t->seq = 0;
	say_run(t, SPOOR_FRAME_ZERO, 0, 4096);
	hear(t, SPOOR_FRAME_ABORT);
	expect(t, SPOOR_FAILED, "frame 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_version_is_refused),
		cmocka_unit_test(larger_source_is_refused),
		cmocka_unit_test(other_devices_are_refused),
		cmocka_unit_test(nothing_is_taken_before_hello),
		cmocka_unit_test(runs_outside_memory_are_refused),
		cmocka_unit_test(complete_without_every_page_is_refused),
		cmocka_unit_test(complete_with_wrong_counts_is_refused),
		cmocka_unit_test(commit_out_of_turn_does_not_start_it),
		cmocka_unit_test(
			state_of_a_device_that_is_not_there_is_refused),
		cmocka_unit_test(
			optional_frames_of_later_versions_are_passed_over),
		cmocka_unit_test(pings_after_ready_do_not_keep_it_waiting),
		cmocka_unit_test(unknown_frames_that_matter_are_refused),
		cmocka_unit_test(frame_sent_twice_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
