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

#include "talk.h"
#include "wire/frame.h"

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

static void say_complete_with(struct talk *t, uint64_t data, uint64_t zero,
			      uint64_t section)
{
	const struct spoor_complete c = { data, zero, section };
	struct spoor_wbuf b = { 0 };

	spoor_complete_encode(&c, &b);
	say_buf(t, SPOOR_FRAME_COMPLETE, 0, &b);
}

static void say_complete(struct talk *t, uint64_t data, uint64_t zero)
{
	say_complete_with(t, data, zero, 0);
}

static void say_zeroes(struct talk *t, size_t short_by)
{
	const struct spoor_region *r;
	const size_t nr = spoor_memory_regions(t->p.dst.memory, &r);

	for (size_t i = 0; i < nr; i++)
		say_run(t, SPOOR_FRAME_ZERO, r[i].range.iova,
			r[i].range.len - (i ? 0 : short_by));
}

/* It has not run, whatever was said. */
static void expect(struct talk *t, enum spoor_outcome outcome, const char *word)
{
	assert_int_equal(talk_wait(t)->nr_resume, 0);
	assert_false(guest_runs(t->real));
	talk_end(t, outcome, word);
}

static void other_version_is_refused(void **state)
{
	struct talk *t = talk_to_destination();
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
	struct talk *t = talk_to_destination();
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
	struct talk *t = talk_to_destination();
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
	struct talk *t = talk_to_destination();

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
			struct talk *t = talk_to_destination();

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
	struct talk *t = talk_to_destination();
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
	struct talk *t = talk_to_destination();
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
	struct talk *t = talk_to_destination();

	(void)state;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say(t, SPOOR_FRAME_COMMIT, 0, NULL, 0);
	hear(t, SPOOR_FRAME_ABORT);
	expect(t, SPOOR_FAILED, "COMMIT");
}

static void state_of_a_device_that_is_not_there_is_refused(void **state)
{
	struct talk *t = talk_to_destination();

	(void)state;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say(t, SPOOR_FRAME_DEVICE_DATA, 0, "\3\0\0\0state", 9);
	hear(t, SPOOR_FRAME_ABORT);
	expect(t, SPOOR_FAILED, "device 3");
}

static void optional_frames_of_later_versions_are_passed_over(void **state)
{
	struct talk *t = talk_to_destination();
	uint64_t pages;

	(void)state;
	pages = spoor_memory_size(t->p.dst.memory) / 4096;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say(t, 300, SPOOR_FRAME_OPTIONAL, "later", 5);
	say_zeroes(t, 0);
	say(t, SPOOR_FRAME_SECTION, SPOOR_FRAME_LAST_PART, "own", 3);
	say_complete_with(t, 0, pages, 3);
	hear(t, SPOOR_FRAME_LOADED);
	hear(t, SPOOR_FRAME_READY);
	/* The end without COMMIT or ABORT: held. */
	expect(t, SPOOR_UNKNOWN, "ended");
}

/* It hears no cancel now: so this wait needs an end of its own. */
static void pings_after_ready_do_not_keep_it_waiting(void **state)
{
	struct talk *t = talk_to_destination();
	uint64_t pages;
	struct timespec now;
	time_t end;

	(void)state;
	pages = spoor_memory_size(t->p.dst.memory) / 4096;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say_zeroes(t, 0);
	say(t, SPOOR_FRAME_SECTION, SPOOR_FRAME_LAST_PART, "own", 3);
	say_complete_with(t, 0, pages, 3);
	hear(t, SPOOR_FRAME_LOADED);
	hear(t, SPOOR_FRAME_READY);
	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec + 30;
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

/* READY would be said of a machine without what its VMM keeps by itself. */
static void state_of_the_vmm_that_never_comes_is_refused(void **state)
{
	static const struct {
		bool begun;
		const char *word;
	} cases[] = { { false, "never came" }, { true, "within" } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct talk *t = talk_to_destination();
		const uint64_t pages =
			spoor_memory_size(t->p.dst.memory) / 4096;

		say_hello(t);
		hear(t, SPOOR_FRAME_WELCOME);
		say_zeroes(t, 0);
		if (cases[i].begun)
			say(t, SPOOR_FRAME_SECTION, 0, "own", 3);
		say_complete_with(t, 0, pages, cases[i].begun ? 3 : 0);
		hear(t, SPOOR_FRAME_ABORT);
		expect(t, SPOOR_FAILED, cases[i].word);
	}
}

static void unknown_frames_that_matter_are_refused(void **state)
{
	struct talk *t = talk_to_destination();

	(void)state;
	say_hello(t);
	hear(t, SPOOR_FRAME_WELCOME);
	say(t, 300, 0, "later", 5);
	hear(t, SPOOR_FRAME_ABORT);
	expect(t, SPOOR_FAILED, "type 300");
}

static void frame_sent_twice_is_refused(void **state)
{
	struct talk *t = talk_to_destination();

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
		cmocka_unit_test(state_of_the_vmm_that_never_comes_is_refused),
		cmocka_unit_test(unknown_frames_that_matter_are_refused),
		cmocka_unit_test(frame_sent_twice_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
