/* SPDX-License-Identifier: MIT */
/*
 * From a few measured points to how much is dirty after any interval.
 *
 * Distinct pages only ever become more with time, and ever fewer new ones
 * come: the true curve rises and is concave.  Measurements are not quite:
 * falling points count as the highest before them, and beyond the last one
 * the slope is never more than the average until there.
 *
 * Pure.
 */
#include "plan/predict_priv.h"

struct place {
	double at, bytes; /* or runs */
};

/* Points, and which of their figures. */
struct curve {
	const struct spoor_dirty_point *points;
	size_t nr;
	bool runs;
	bool standing;
};

static double line_through(struct place a, struct place b, double at)
{
	if (b.at <= a.at)
		return b.bytes;
	return a.bytes + (b.bytes - a.bytes) * (at - a.at) / (b.at - a.at);
}

static struct place place_of(const struct curve *c, size_t i, double highest)
{
	const struct spoor_dirty_point *point = &c->points[i];
	const double v = c->runs ? point->runs.median : point->bytes.median;

	return (struct place){ .at = (double)point->interval_ns,
			       .bytes = v > highest ? v : highest };
}

static double beyond(struct place before, struct place last, double at)
{
	double slope = 0, mean = 0;

	if (last.at > before.at)
		slope = (last.bytes - before.bytes) / (last.at - before.at);
	if (last.at > 0)
		mean = last.bytes / last.at;
	return last.bytes + (slope < mean ? slope : mean) * (at - last.at);
}

/* Before the first point, of what stands dirty: the first slope, prolonged. */
static double standing(const struct curve *c, double at)
{
	const struct place first = place_of(c, 0, 0);
	double v = first.bytes;

	if (c->nr > 1)
		v = line_through(first, place_of(c, 1, first.bytes), at);
	/* Not less than proportionally: of a convex pair, for example. */
	if (first.at > 0 && v < first.bytes * at / first.at)
		v = first.bytes * at / first.at;
	return v;
}

static double on_curve(const struct curve *c, double at)
{
	struct place before = { 0 }, here = { 0 };

	if (!c->nr || at < 0)
		return 0;
	if (c->standing && at < (double)c->points[0].interval_ns)
		return standing(c, at);
	for (size_t i = 0; i < c->nr; i++) {
		before = here;
		here = place_of(c, i, before.bytes);
		if (at <= here.at)
			return line_through(before, here, at);
	}
	return beyond(before, here, at);
}

double spoor_curve_zero(const struct spoor_dirty_point *points, size_t nr,
			double interval_ns)
{
	struct place before = { 0 }, here = { 0 };

	for (size_t i = 0; i < nr; i++) {
		const struct spoor_figure *f = &points[i].zero_share;

		if (f->origin == SPOOR_UNMEASURED)
			continue;
		before = here;
		here = (struct place){ .at = (double)points[i].interval_ns,
				       .bytes = f->median };
		/* Nothing is known of less than the first. */
		if (before.at <= 0)
			before = (struct place){ 0, here.bytes };
		if (interval_ns <= here.at)
			return line_through(before, here, interval_ns);
	}
	return here.bytes;
}

double spoor_curve_bytes(const struct spoor_dirty_point *points, size_t nr,
			 double reach, double interval_ns, bool stands)
{
	const struct curve c = { .points = points,
				 .nr = nr,
				 .standing = stands };
	const double bytes = on_curve(&c, interval_ns);

	return bytes < reach ? bytes : reach;
}

double spoor_curve_runs(const struct spoor_dirty_point *points, size_t nr,
			double interval_ns, bool stands)
{
	const struct curve c = {
		.points = points, .nr = nr, .runs = true, .standing = stands
	};

	for (size_t i = 0; i < nr; i++) {
		if (points[i].runs.origin == SPOOR_UNMEASURED)
			return -1;
	}
	return on_curve(&c, interval_ns);
}
