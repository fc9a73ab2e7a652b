/* SPDX-License-Identifier: MIT */
/*
 * One read of a tracker, and what a migration does with its bits then.
 */
#include <spoor/error.h>

#include "bench.h"

/* Taken out of the set that is collected into, and walked as for sending. */
static void digest(struct bench *b, struct bench_read *ret)
{
	uint64_t begun = guest_now();
	struct spoor_range run;

	spoor_bitmap_set_move(b->taken, b->set);
	for (size_t i = 0; i < b->taken->nr; i++) {
		uint64_t cursor = 0;

		while (spoor_bitmap_next_run(&b->taken->maps[i], &cursor, &run))
			ret->runs++;
	}
	ret->digest_ns = guest_now() - begun;
	spoor_bitmap_set_clear(b->taken);
}

int bench_read(struct bench *b, const struct bench_tracker *k,
	       struct bench_read *ret)
{
	struct bench_halt h;
	int r = k->quiet ? bench_halt(b, &h) : 0;
	int went;

	*ret = (struct bench_read){ .pages = 0 };
	if (r)
		return r;
	ret->begun_ns = guest_now();
	r = spoor_tracker_collect_set(k->t, b->set, &ret->pages);
	ret->ended_ns = guest_now();
	if (r)
		bench_fail(b, r, "%s: %s", k->name, spoor_errmsg());
	went = k->quiet ? bench_go(b, &h) : 0;
	if (!r)
		digest(b, ret);
	else
		spoor_bitmap_set_clear(b->set);
	return r ? r : went;
}
