/* SPDX-License-Identifier: MIT */
/*
 * How much of memory is zero: it is not sent.  A machine that has only begun
 * fills its memory while it migrates, so it is looked at several times.
 */
#include <errno.h>
#include <string.h>

#include "bench.h"

#define LOOK_ALL  65536u /* pages looked at, of all memory */
#define LOOK_SET  4096u /* of what one read reported */
#define SETTLE_MS 5000u /* waited for at most, before the first look */

static const uint64_t later[BENCH_ZERO_MAX] = { 1000 * BENCH_MS,
						3000 * BENCH_MS,
						10000 * BENCH_MS };

struct look {
	const struct bench *b;
	uint64_t step, at; /* one page of step; pages until the next */
	uint64_t nr, zero;
};

/* Pages spread over a range. */
static void look_at(struct look *l, const struct spoor_range *range)
{
	static const char none[MF_PAGE];
	const uint64_t pages = range->len / MF_PAGE;

	for (; l->at < pages; l->at += l->step) {
		const struct spoor_range at = {
			.iova = range->iova + l->at * MF_PAGE, .len = MF_PAGE
		};

		l->zero += !memcmp(spoor_memory_at(l->b->m->memory, &at), none,
				   sizeof(none));
		l->nr++;
	}
	l->at -= pages;
}

static double share(const struct look *l)
{
	return l->nr ? (double)l->zero / (double)l->nr : 0;
}

double bench_zero_share(const struct bench *b,
			const struct spoor_bitmap_set *set, uint64_t pages)
{
	struct look l = { .b = b, .step = pages / LOOK_SET + 1 };
	struct spoor_range run;

	for (size_t i = 0; i < set->nr; i++) {
		uint64_t cursor = 0;

		while (spoor_bitmap_next_run(&set->maps[i], &cursor, &run))
			look_at(&l, &run);
	}
	return share(&l);
}

static struct spoor_figure look(const struct bench *b)
{
	struct look l = { .b = b,
			  .step = b->p->memory_bytes / MF_PAGE / LOOK_ALL + 1 };
	double v;

	for (size_t i = 0; i < b->nr_ranges; i++)
		look_at(&l, &b->ranges[i]);
	v = share(&l);
	return (struct spoor_figure){ v, v, v, 1, SPOOR_MEASURED_SW };
}

static bool until(struct bench *b, uint64_t when_ns)
{
	const uint64_t now = guest_now();

	return now >= when_ns || bench_wait(b, when_ns - now);
}

int bench_zeroes(struct bench *b)
{
	const uint64_t before = b->c->mf->before_ms < SETTLE_MS
					? b->c->mf->before_ms
					: SETTLE_MS;
	const uint64_t begin = b->begun_ns + before * BENCH_MS;
	struct spoor_zero_point points[BENCH_ZERO_MAX];
	struct spoor_figure first;
	size_t nr = 0;

	if (!until(b, begin))
		return -ECANCELED;
	first = look(b);
	for (; nr < (b->quick ? 2 : BENCH_ZERO_MAX); nr++) {
		if (!until(b, begin + later[nr]))
			return -ECANCELED;
		points[nr] = (struct spoor_zero_point){ later[nr], look(b) };
	}
	if (bench_put_zeroes(b->p, points, nr))
		return -ENOMEM;
	b->p->zero_share = first;
	return 0;
}
