/* SPDX-License-Identifier: MIT */
/*
 * A destination that is broken or hostile: frames by hand against a real
 * source, whose machine stands still meanwhile.  It gives up in bounded time,
 * says why, and runs on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "talk.h"
#include "wire/frame.h"

/* We are not silent: it waits for us, however late we have our turn. */
#define SILENCE_MS 5000

/* As far as LOADED: the source waits for READY now. */
static struct talk *until_ready_is_due(uint32_t silence_ms)
{
	struct talk *t = talk_to_source(silence_ms);
	struct spoor_wbuf b = { 0 };
	const struct spoor_welcome w = { .version = 1,
					 .silence_ms = silence_ms };

	hear(t, SPOOR_FRAME_HELLO);
	spoor_welcome_encode(&w, &b);
	say_buf(t, SPOOR_FRAME_WELCOME, 0, &b);
	hear_until(t, SPOOR_FRAME_COMPLETE, 0);
	say(t, SPOOR_FRAME_LOADED, 0, NULL, 0);
	hear_until(t, SPOOR_FRAME_DIGESTS, SPOOR_FRAME_LAST_PART);
	return t;
}

static void ends(struct talk *t, enum spoor_outcome outcome, const char *word)
{
	struct guest *g = talk_wait(t);

	assert_string_equal(g->result.running, "source");
	assert_true(guest_runs(g));
	talk_end(t, outcome, word);
}

static void say_want(struct talk *t, const uint64_t *chunks, uint32_t nr)
{
	struct spoor_wbuf b = { 0 };

	spoor_words_encode(0, chunks, nr, &b);
	say_buf(t, SPOOR_FRAME_WANT, 0, &b);
}

static void say_lost(struct talk *t, unsigned int flags)
{
	struct spoor_lost_entry e = { .range = { 0x1000, 0x1000 },
				      .writer = "nic0" };
	struct spoor_wbuf b = { 0 };

	spoor_lost_encode(1, &e, 1, &b);
	say_buf(t, SPOOR_FRAME_LOST, flags, &b);
}

static void chunks_are_told_once_and_in_order(void **state)
{
	static const uint64_t wants[][2] = { { 3, 3 },
					     { 5, 2 },
					     { UINT64_MAX, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		struct talk *t = until_ready_is_due(SILENCE_MS);

		say_want(t, wants[i], 2);
		hear_until(t, SPOOR_FRAME_ABORT, 0);
		ends(t, SPOOR_FAILED, "chunk");
	}
}

static void wanting_nothing_is_refused(void **state)
{
	struct talk *t = until_ready_is_due(SILENCE_MS);

	(void)state;
	say_want(t, NULL, 0);
	hear_until(t, SPOOR_FRAME_ABORT, 0);
	ends(t, SPOOR_FAILED, "nothing");
}

/* Each frame is a legal one, and the machine stands still. */
static void no_frames_prolong_the_wait_for_ready(void **state)
{
	struct talk *t = until_ready_is_due(250);
	struct timespec begun, now;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &begun);
	do {
		say_lost(t, 0);
		usleep(20000);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (recv(t->fd, NULL, 0, MSG_DONTWAIT | MSG_PEEK) < 0 &&
		 send(t->fd, NULL, 0, MSG_NOSIGNAL) >= 0 &&
		 now.tv_sec - begun.tv_sec < 40 && !guest_runs(t->real));
	/* Twenty silences of 250 ms, and what the digests took. */
	assert_true(now.tv_sec - begun.tv_sec < 40);
	ends(t, SPOOR_LOST, "");
}

static void ready_after_lost_moves_nothing(void **state)
{
	struct talk *t = until_ready_is_due(SILENCE_MS);

	(void)state;
	say_lost(t, 0);
	say(t, SPOOR_FRAME_READY, 0, NULL, 0);
	hear_until(t, SPOOR_FRAME_ABORT, 0);
	ends(t, SPOOR_LOST, "READY after LOST");
}

static void malformed_lost_names_nothing(void **state)
{
	struct talk *t = until_ready_is_due(SILENCE_MS);

	(void)state;
	say(t, SPOOR_FRAME_LOST, SPOOR_FRAME_LAST_PART, "0123456789abcdef", 16);
	hear_until(t, SPOOR_FRAME_ABORT, 0);
	ends(t, SPOOR_FAILED, "malformed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunks_are_told_once_and_in_order),
		cmocka_unit_test(wanting_nothing_is_refused),
		cmocka_unit_test(no_frames_prolong_the_wait_for_ready),
		cmocka_unit_test(ready_after_lost_moves_nothing),
		cmocka_unit_test(malformed_lost_names_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
