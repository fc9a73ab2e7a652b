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
				      .share = { 1, 1 },
				      .before = UINT64_MAX };
}

static bool knows_rate(const struct spoor_converge *c)
{
	return c->wire_per_ns > 0 || c->read_per_ns > 0;
}

static void learn_share(struct spoor_converge *c, double share)
{
	if (share > 1 || c->cautious)
		share = 1;
	if (c->bulk_told) {
		c->share[0] = c->share[1];
		c->share[1] = share;
	} else {
		c->bulk_share = share;
	}
}

void spoor_converge_learn(struct spoor_converge *c, uint64_t wire,
			  uint64_t pages, uint64_t ns)
{
	const double all = (double)pages * PAGE;

	if (ns && wire >= TELLING_BYTES) {
		c->wire_per_ns = (double)wire / (double)ns;
		learn_share(c, all > 0 ? (double)wire / all : 1);
	} else if (ns && (all >= TELLING_BYTES || !knows_rate(c))) {
		c->read_per_ns = all / (double)ns;
	}
	c->bulk_told = true;
}

/* Whichever takes longer: sending what is not zero, or reading all of it. */
static double expected_ns(const struct spoor_converge *c,
			  const struct spoor_remains *left)
{
	const double share =
		c->share[0] > c->share[1] ? c->share[0] : c->share[1];
	const double wire = (double)left->dirty * share +
			    (double)left->certain * c->bulk_share +
			    (double)left->state + (double)left->queued;
	const double all = (double)left->dirty + (double)left->certain;
	const double rate =
		c->wire_per_ns > 0 ? c->wire_per_ns : c->read_per_ns;
	const double send_ns = wire / rate;
	const double read_ns = c->read_per_ns > 0 ? all / c->read_per_ns : 0;
	const double ns = send_ns > read_ns ? send_ns : read_ns;

	return ns < (double)FOREVER_NS ? ns : (double)FOREVER_NS;
}

enum spoor_converge_verdict spoor_converge_ask(struct spoor_converge *c,
					       const struct spoor_remains *left,
					       uint64_t read_ns,
					       unsigned int rounds)
{
	const uint64_t all = left->dirty + left->certain + left->state;

	/* Of a link that nothing is known about, nothing better is expected. */
	c->expected_ns = c->downtime_ns;
	if (knows_rate(c))
		c->expected_ns = (uint64_t)expected_ns(c, left) + read_ns;
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
