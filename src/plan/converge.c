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
#define PAGE	      4096.0
/* A conversion of more would be undefined. */
#define FOREVER_NS    (UINT64_C(1) << 62)

void spoor_converge_init(struct spoor_converge *c, uint64_t downtime_ns,
			 unsigned int max_rounds, bool cautious)
{
	*c = (struct spoor_converge){ .downtime_ns = downtime_ns,
				      .max_rounds = max_rounds,
				      .cautious = cautious,
				      .bulk_share = 1,
				      .share = 1,
				      .before = UINT64_MAX };
}

void spoor_converge_learn(struct spoor_converge *c, uint64_t wire,
			  uint64_t pages, uint64_t ns)
{
	const bool first = c->bytes_per_ns <= 0;
	const double all = (double)pages * PAGE;
	double bytes = all, share = 1;

	if (wire >= TELLING_BYTES) {
		bytes = (double)wire;
		if (bytes < all && !c->cautious)
			share = bytes / all;
	}
	if (!ns || (bytes < TELLING_BYTES && !first))
		return;
	c->bytes_per_ns = bytes / (double)ns;
	if (first)
		c->bulk_share = share;
	else
		c->share = share;
}

enum spoor_converge_verdict spoor_converge_ask(struct spoor_converge *c,
					       const struct spoor_remains *left,
					       uint64_t read_ns,
					       unsigned int rounds)
{
	const uint64_t all = left->dirty + left->certain + left->state;

	/* Of a link that nothing is known about, nothing better is expected. */
	c->expected_ns = c->downtime_ns;
	if (c->bytes_per_ns > 0) {
		const double send_ns = ((double)left->dirty * c->share +
					(double)left->certain * c->bulk_share +
					(double)left->state) /
				       c->bytes_per_ns;

		c->expected_ns =
			(send_ns < (double)FOREVER_NS ? (uint64_t)send_ns
						      : FOREVER_NS) +
			read_ns;
	}
	if (c->expected_ns <= c->downtime_ns)
		return SPOOR_CONVERGE_STOP;
	/* By parts, so that no product overflows. */
	if (all >= c->before / SHRINK_DEN * SHRINK_NUM)
		c->stuck++;
	else
		c->stuck = 0;
	if (c->stuck == STUCK_MAX || rounds >= c->max_rounds)
		return SPOOR_CONVERGE_GIVE_IN;
	c->before = all;
	return SPOOR_CONVERGE_ROUND;
}
