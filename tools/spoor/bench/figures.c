/* SPDX-License-Identifier: MIT */
/*
 * Samples, and the figures they make.
 */
#include <stdlib.h>

#include "bench.h"

void bench_add(struct bench_samples *s, double v)
{
	if (s->nr == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		double *more = reallocarray(s->v, room, sizeof(*s->v));

		if (!more)
			return;
		s->v = more;
		s->room = room;
	}
	s->v[s->nr++] = v;
}

void bench_samples_clear(struct bench_samples *s)
{
	free(s->v);
	*s = (struct bench_samples){ .v = NULL };
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double bench_median(struct bench_samples *s)
{
	if (!s->nr)
		return 0;
	qsort(s->v, s->nr, sizeof(*s->v), by_value);
	return s->nr % 2 ? s->v[s->nr / 2]
			 : (s->v[s->nr / 2 - 1] + s->v[s->nr / 2]) / 2;
}

struct spoor_figure bench_figure(struct bench_samples *s,
				 enum spoor_origin origin)
{
	struct spoor_figure f = { .origin = SPOOR_UNMEASURED };

	if (!s->nr)
		return f;
	f.median = bench_median(s);
	f.min = s->v[0];
	f.max = s->v[s->nr - 1];
	f.samples = (unsigned int)s->nr;
	f.origin = origin;
	return f;
}
