/* SPDX-License-Identifier: MIT */
/*
 * The decision to stop; see converge.h.
 */
#include "plan/converge.h"

/* A round shrinks if it leaves less than this part of the one before. */
#define SHRINK_NUM    9u
#define SHRINK_DEN    10u
/* So often in a row without shrinking: it never will. */
#define STUCK_MAX     2u
/* Fewer bytes say little about the link. */
#define TELLING_BYTES (1u << 20)
#define PAGE	      4096u
/* A conversion of more would be undefined. */
#define FOREVER_NS    (UINT64_C(1) << 62)

void spoor_converge_init(struct spoor_converge *c, uint64_t downtime_ns,
			 unsigned int max_rounds)
{
	*c = (struct spoor_converge){ .downtime_ns = downtime_ns,
				      .max_rounds = max_rounds,
				      .before = UINT64_MAX };
}

void spoor_converge_learn(struct spoor_converge *c, uint64_t wire,
			  uint64_t pages, uint64_t ns)
{
	const uint64_t bytes = wire >= TELLING_BYTES ? wire : pages * PAGE;

	if (ns && (bytes >= TELLING_BYTES || c->bytes_per_ns <= 0))
		c->bytes_per_ns = (double)bytes / (double)ns;
}

enum spoor_converge_verdict spoor_converge_ask(struct spoor_converge *c,
					       uint64_t left, uint64_t read_ns,
					       unsigned int rounds)
{
	/* Of a link that nothing is known about, nothing better is expected. */
	c->expected_ns = c->downtime_ns;
	if (c->bytes_per_ns > 0) {
		const double send_ns = (double)left / c->bytes_per_ns;

		c->expected_ns =
			(send_ns < (double)FOREVER_NS ? (uint64_t)send_ns
						      : FOREVER_NS) +
			read_ns;
	}
	if (c->expected_ns <= c->downtime_ns)
		return SPOOR_CONVERGE_STOP;
	/* By parts, so that no product overflows. */
	if (left >= c->before / SHRINK_DEN * SHRINK_NUM)
		c->stuck++;
	else
		c->stuck = 0;
	if (c->stuck == STUCK_MAX || rounds >= c->max_rounds)
		return SPOOR_CONVERGE_GIVE_IN;
	c->before = left;
	return SPOOR_CONVERGE_ROUND;
}
