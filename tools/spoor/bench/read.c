/* SPDX-License-Identifier: MIT */
/*
 * One read of a tracker, and what a migration does with its bits then.
 */
#include <spoor/error.h>

#include "bench.h"

static uint64_t count_runs(const struct spoor_bitmap_set *set)
{
	struct spoor_range run;
	uint64_t nr = 0;

	for (size_t i = 0; i < set->nr; i++) {
		uint64_t cursor = 0;

		while (spoor_bitmap_next_run(&set->maps[i], &cursor, &run))
			nr++;
	}
	return nr;
}

/* Taken out of the set that is collected into, and walked as for sending. */
static void digest(struct bench *b, struct bench_read *ret)
{
	uint64_t begun = guest_now();

	spoor_bitmap_set_move(b->taken, b->set);
	ret->runs = count_runs(b->taken);
	ret->digest_ns = guest_now() - begun;
	ret->zero_share = bench_zero_share(b, b->taken, ret->pages);
	spoor_bitmap_set_move(b->seen, b->taken);
}

void bench_seen(struct bench *b, struct bench_read *ret)
{
	ret->pages = spoor_bitmap_set_count(b->seen);
	ret->runs = count_runs(b->seen);
	ret->zero_share = bench_zero_share(b, b->seen, ret->pages);
}

void bench_seen_clear(struct bench *b)
{
	spoor_bitmap_set_clear(b->seen);
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
