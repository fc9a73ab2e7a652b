/* SPDX-License-Identifier: MIT */
/*
 * Stands between both sides, takes their frames in whole, passes them on, and
 * remembers them: who sent what, and where it ends in what the other side got.
 * It can cut the connection, drop a frame, spoil it, or say it twice.
 *
 * It reads frames by docs/stream.md, not by libspoor's codec.  After a cut it
 * goes on reading: what the socket took counts as sent.
 *
 * Threads: one.
 */
#ifndef TESTS_FAULT_RELAY_H
#define TESTS_FAULT_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum side { SOURCE, DESTINATION };

/* docs/stream.md */
enum frame_type {
	FRAME_HELLO = 1,
	FRAME_WELCOME = 2,
	FRAME_REFUSE = 3,
	FRAME_PAGES = 4,
	FRAME_ZERO = 5,
	FRAME_COMPLETE = 10,
	FRAME_LOADED = 11,
	FRAME_DIGESTS = 12,
	FRAME_PAGE_DIGESTS = 14,
	FRAME_LOST = 15,
	FRAME_READY = 16,
	FRAME_COMMIT = 17,
	FRAME_DONE = 18,
	FRAME_ABORT = 19,
	FRAME_TYPES = 32,
};

enum frame_act {
	FRAME_PASS,
	FRAME_CUT, /* the connection ends after `at` bytes of the frame */
	FRAME_DROP,
	FRAME_SPOIL, /* one bit of byte `at` is turned */
	FRAME_REPEAT,
};

/* To the nth frame (0: the first) of a type from one side. */
struct frame_fault {
	enum frame_act act;
	enum side from;
	unsigned int type, nth;
	size_t at;
};

struct frame {
	unsigned int type, nth;
	size_t len; /* header and payload */
	bool last; /* its flag for the last part */
	bool good; /* it, and all before it, passed as they were */
	uint64_t end; /* in the receiver's bytes; UINT64_MAX: not passed */
};

/* Frames of one side. */
struct way {
	int from, to;
	struct frame *frames;
	size_t nr, room;
	uint8_t *buf;
	size_t have;
	uint64_t passed; /* bytes */
	unsigned int nr_of_type[FRAME_TYPES];
	bool ended, spoiled;
	bool garbled; /* what it said were no frames */
};

struct relay {
	struct way ways[2]; /* by sender */
	bool cut;
	bool fired;
};

/* Until both have ended, or for @limit_ms.  The fds stay the caller's. */
void relay_run(struct relay *r, int source, int destination,
	       const struct frame_fault *fault, long limit_ms);
void relay_clear(struct relay *r);

/* Did @side's socket take such a frame whole? */
bool relay_sent(const struct relay *r, enum side side, unsigned int type);
/* Is such a frame, as it was sent, in the first @received bytes that @side
 * got? */
bool relay_got(const struct relay *r, enum side side, unsigned int type,
	       uint64_t received);

long now_ms(void);

#endif /* TESTS_FAULT_RELAY_H */
