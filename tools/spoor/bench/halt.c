/* SPDX-License-Identifier: MIT */
/*
 * Stopping everything and running it again, in a migration's order: CPUs, then
 * no device starts DMA to a peer, then none runs.
 */
#include <string.h>

#include <spoor/error.h>

#include "bench.h"

/* One device's change of state, timed; one that does not migrate has none. */
static int change(struct bench *b, size_t i, enum spoor_device_state to,
		  unsigned int needs, uint64_t *ns)
{
	uint64_t begun = guest_now();
	int r;

	if ((b->facts[i].migration & needs) != needs)
		return 0;
	r = spoor_device_set_state(b->m->devices[i], to);
	*ns += guest_now() - begun;
	return r ? bench_fail(b, r, "%s: %s", b->facts[i].name, spoor_errmsg())
		 : 0;
}

static int all(struct bench *b, enum spoor_device_state to, unsigned int needs,
	       uint64_t *ns)
{
	int r = 0;

	for (size_t i = 0; i < b->nr_facts && !r; i++)
		r = change(b, i, to, needs, &ns[i]);
	return r;
}

int bench_halt(struct bench *b, struct bench_halt *h)
{
	uint64_t begun = guest_now();
	int r;

	*h = (struct bench_halt){ .pause_ns = 0 };
	guest_pause(b->m->guest);
	h->pause_ns = guest_now() - begun;
	r = all(b, SPOOR_STATE_RUNNING_P2P,
		SPOOR_MIGRATION_STOP_COPY | SPOOR_MIGRATION_P2P, h->stop_ns);
	if (!r)
		r = all(b, SPOOR_STATE_STOP, SPOOR_MIGRATION_STOP_COPY,
			h->stop_ns);
	if (r) {
		char why[sizeof(b->error)];

		/* What it ran into, not what came after. */
		memcpy(why, b->error, sizeof(why));
		bench_go(b, h);
		memcpy(b->error, why, sizeof(why));
	}
	return r;
}

int bench_go(struct bench *b, struct bench_halt *h)
{
	uint64_t begun;
	int r = 0, first = 0;

	for (size_t i = 0; i < b->nr_facts; i++) {
		r = change(b, i, SPOOR_STATE_RUNNING_P2P,
			   SPOOR_MIGRATION_STOP_COPY | SPOOR_MIGRATION_P2P,
			   &h->run_ns[i]);
		/* Its work is lost, but its guest's driver begins anew. */
		if (r && spoor_device_reset(b->m->devices[i]))
			first = first ? first : r;
	}
	for (size_t i = 0; i < b->nr_facts; i++) {
		r = change(b, i, SPOOR_STATE_RUNNING, SPOOR_MIGRATION_STOP_COPY,
			   &h->run_ns[i]);
		if (r && spoor_device_reset(b->m->devices[i]))
			first = first ? first : r;
	}
	begun = guest_now();
	guest_resume(b->m->guest);
	h->resume_ns = guest_now() - begun;
	return first;
}
