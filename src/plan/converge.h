/* SPDX-License-Identifier: MIT */
/*
 * When a source stops: it is asked before each round, with what is left.
 *
 * A migration and its prediction ask the same function, so that they stop for
 * the same reasons.  Pure: no I/O, no clock.
 */
#ifndef SPOOR_PLAN_CONVERGE_H
#define SPOOR_PLAN_CONVERGE_H

#include <stdbool.h>
#include <stdint.h>

/* What run options and targets of 0 mean. */
#define SPOOR_DEFAULT_DOWNTIME_NS UINT64_C(300000000)
#define SPOOR_DEFAULT_ROUNDS	  30u

enum spoor_converge_verdict {
	SPOOR_CONVERGE_ROUND, /* it still shrinks: send another round */
	SPOOR_CONVERGE_STOP, /* what is left fits the target */
	SPOOR_CONVERGE_GIVE_IN, /* it will not: stop all the same */
};

/* Bytes that are to be sent once it is stopped. */
struct spoor_remains {
	uint64_t dirty; /* reported, or marked */
	uint64_t
		certain; /* counts dirty at the stop, whatever is sent before */
	uint64_t state; /* of devices */
	uint64_t queued; /* sent, and still on this side of the link */
};

struct spoor_converge {
	uint64_t downtime_ns; /* the target */
	unsigned int max_rounds;
	bool cautious; /* nothing is hoped to be zero */
	/* Of the last rounds that tell; 0: none yet. */
	double wire_per_ns; /* bytes on the link */
	double read_per_ns; /* bytes of memory, where nearly all was zero */
	/*
	 * What of memory had to be sent, being not zero: of the first round,
	 * which is of everything, and of the last two that tell.  Pages that
	 * stay pinned are reported round after round, written or not.
	 */
	double bulk_share, share[2];
	bool bulk_told;
	uint64_t before; /* bytes left when last asked, zeroes and all */
	unsigned int stuck; /* times in a row that it did not shrink */
	uint64_t expected_ns; /* what stopping costs, as last asked */
};

/* Nothing sent yet. */
void spoor_converge_init(struct spoor_converge *c, uint64_t downtime_ns,
			 unsigned int max_rounds, bool cautious);
/*
 * A round of @pages pages of 4 KiB took @ns, in which @wire bytes left for the
 * link.  Zeroes cost reading but no sending: a round of them tells how fast
 * memory is read, one with data how fast it is sent.
 */
void spoor_converge_learn(struct spoor_converge *c, uint64_t wire,
			  uint64_t pages, uint64_t ns);
/*
 * @left is to be sent once it is stopped, the last read of all trackers takes
 * @read_ns, @rounds have been sent.
 */
enum spoor_converge_verdict spoor_converge_ask(struct spoor_converge *c,
					       const struct spoor_remains *left,
					       uint64_t read_ns,
					       unsigned int rounds);

#endif /* SPOOR_PLAN_CONVERGE_H */
