/* SPDX-License-Identifier: MIT */
/*
 * See gaps.h.  Pure, but for reading the stamps.
 */
#include <stdlib.h>

#include "gaps.h"

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t overlap(const struct gaps_interval *a,
			const struct gaps_interval *b)
{
	uint64_t begin = a->begin > b->begin ? a->begin : b->begin;
	uint64_t end = a->end < b->end ? a->end : b->end;

	return end > begin ? end - begin : 0;
}

/* What both sides' verification, which overlap, cover of an interval. */
static uint64_t verifying(const struct gaps_window *w,
			  const struct gaps_interval *in)
{
	uint64_t sum = overlap(in, &w->verify[0]) + overlap(in, &w->verify[1]);
	struct gaps_interval both = {
		.begin = w->verify[0].begin > w->verify[1].begin
				 ? w->verify[0].begin
				 : w->verify[1].begin,
		.end = w->verify[0].end < w->verify[1].end ? w->verify[0].end
							   : w->verify[1].end,
	};

	return both.end > both.begin ? sum - overlap(in, &both) : sum;
}

/* All successes, sorted, with one more place at the end. */
static uint64_t *merge(const struct stamps *const *stamps, size_t nr,
		       size_t *ret_nr)
{
	uint64_t *all;
	size_t total = 0, n = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t have =
			__atomic_load_n(&stamps[i]->nr, __ATOMIC_ACQUIRE);

		total += have < STAMPS_MAX ? have : STAMPS_MAX;
	}
	all = calloc(total + 1, sizeof(*all));
	for (size_t i = 0; all && i < nr; i++) {
		uint64_t have =
			__atomic_load_n(&stamps[i]->nr, __ATOMIC_ACQUIRE);

		if (have > STAMPS_MAX)
			have = STAMPS_MAX;
		for (uint64_t k = 0; k < have && n < total; k++)
			all[n++] = stamps[i]->ns[k];
	}
	if (all)
		qsort(all, n, sizeof(*all), by_value);
	*ret_nr = n;
	return all;
}

static uint64_t median_interval(const uint64_t *all, size_t nr)
{
	uint64_t *intervals = calloc(nr, sizeof(*intervals)), median = 0;

	if (!intervals)
		return 0;
	for (size_t i = 1; i < nr; i++)
		intervals[i - 1] = all[i] - all[i - 1];
	qsort(intervals, nr - 1, sizeof(*intervals), by_value);
	median = intervals[(nr - 1) / 2];
	free(intervals);
	return median;
}

static double since_begin(const struct gaps_window *w, uint64_t ns)
{
	return ns ? ((double)ns - (double)w->migration.begin) / 1e6 : 0;
}

bool gaps_service_gap(const struct stamps *const *stamps, size_t nr,
		      const struct gaps_window *w, struct gap *ret)
{
	uint64_t largest = 0, after = 0, median;
	struct gaps_interval where = { 0, 0 };
	size_t n;
	uint64_t *all = merge(stamps, nr, &n);

	if (!all || n < 2) {
		free(all);
		return false;
	}
	median = median_interval(all, n);
	for (size_t i = n; i && all[i - 1] > w->migration.end; i--)
		after++;
	/* Never seen again: gone until we stopped looking. */
	if (all[n - 1] < w->migration.end && w->observed_until > all[n - 1]) {
		all[n] = w->observed_until;
		n++;
	}
	for (size_t i = 1; i < n; i++) {
		struct gaps_interval in = { all[i - 1], all[i] };
		uint64_t len = in.end - in.begin, less;

		if (!overlap(&in, &w->migration))
			continue;
		less = verifying(w, &in) + median;
		if (len <= less || len - less <= largest)
			continue;
		largest = len - less;
		where = in;
	}
	free(all);
	ret->ms = (double)largest / 1e6;
	ret->after = after;
	ret->begin_ms = since_begin(w, where.begin);
	ret->end_ms = since_begin(w, where.end);
	return true;
}
