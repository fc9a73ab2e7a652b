/* SPDX-License-Identifier: MIT */
/*
 * One tracker at one page size: what starting, reading and stopping it costs,
 * how much it reports how long after a read, and what its devices lose by it.
 */
#include <errno.h>
#include <stdlib.h>

#include <spoor/error.h>

#include "course.h"

#define NR_SLICES 3u
#define NR_QUICK  2u
#define NR_PASSES 8u

static const struct interval {
	uint64_t ns;
	unsigned int reads, quick;
} intervals[] = {
	{ 10 * BENCH_MS, 8, 5 },   { 30 * BENCH_MS, 5, 3 },
	{ 100 * BENCH_MS, 4, 3 },  { 300 * BENCH_MS, 2, 2 },
	{ 1000 * BENCH_MS, 2, 0 },
};

/* By reads in between: what any of them reports, one alone would. */
static const uint64_t longer[] = { 3000 * BENCH_MS, 10000 * BENCH_MS };

#define LONG_READ_NS (1000 * BENCH_MS)
/* It matters where more than one page of so many is dirty by then. */
#define LONG_PART    256u

#define NR(a)	     (sizeof(a) / sizeof((a)[0]))
#define NR_INTERVALS NR(intervals)
#define NR_POINTS    (NR_INTERVALS + NR(longer))

static int start(struct course *c)
{
	uint64_t begun = guest_now();
	int r = spoor_tracker_start(c->k->t, c->b->ranges, c->b->nr_ranges,
				    c->asked, &c->page.page_size);

	if (r)
		return bench_fail(c->b, r, "%s: %s", c->k->name,
				  spoor_errmsg());
	bench_add(&c->start, (double)(guest_now() - begun));
	return 0;
}

static int stop(struct course *c)
{
	uint64_t begun = guest_now();
	int r = spoor_tracker_stop(c->k->t);

	bench_add(&c->stop, (double)(guest_now() - begun));
	return r ? bench_fail(c->b, r, "%s: %s", c->k->name, spoor_errmsg())
		 : 0;
}

/* From when on what the next read reports is written. */
static uint64_t since(const struct course *c, const struct bench_read *read)
{
	return c->k->quiet ? read->ended_ns : read->begun_ns;
}

static int read_at(struct course *c, uint64_t due_ns, struct bench_read *last)
{
	const uint64_t now = guest_now();
	int r;

	if (due_ns > now && !bench_wait(c->b, due_ns - now))
		return -ECANCELED;
	r = bench_read(c->b, c->k, last);
	if (r)
		return r;
	bench_add(&c->digest, (double)last->digest_ns);
	if (c->nr_reads < NR_READS_MAX)
		c->reads[c->nr_reads++] = *last;
	return 0;
}

struct dirt {
	struct bench_samples bytes, runs, zero;
};

static void add_dirt(struct dirt *d, const struct bench_read *read)
{
	bench_add(&d->bytes, (double)(read->pages * MF_PAGE));
	bench_add(&d->runs, (double)read->runs);
	bench_add(&d->zero, read->zero_share);
}

/* Ends what @d holds. */
static void put_point(struct course *c, uint64_t interval_ns, struct dirt *d,
		      bool whole)
{
	const enum spoor_origin origin = c->k->origin;

	if (whole && d->bytes.nr)
		c->page.dirty[c->page.nr_dirty++] = (struct spoor_dirty_point){
			.interval_ns = interval_ns,
			.bytes = bench_figure(&d->bytes, origin),
			.runs = bench_figure(&d->runs, origin),
			.zero_share = bench_figure(&d->zero, origin),
		};
	bench_samples_clear(&d->bytes);
	bench_samples_clear(&d->runs);
	bench_samples_clear(&d->zero);
}

/* In passes over all intervals: what holds up the guest once hits few. */
static int read_dirty(struct course *c)
{
	struct dirt dirt[NR_INTERVALS] = { { .bytes.v = NULL } };
	struct bench_read last;
	int r = bench_read(c->b, c->k, &last);
	bool late;

	for (unsigned int pass = 0; pass < NR_PASSES; pass++)
		for (size_t i = 0; i < NR_INTERVALS && !r; i++) {
			const struct interval *in = &intervals[i];

			if (pass >= (c->b->quick ? in->quick : in->reads))
				continue;
			/* While a read lasts none can follow it. */
			late = since(c, &last) + in->ns < last.ended_ns &&
			       i < (c->b->quick ? 3 : 4);
			r = read_at(c, since(c, &last) + in->ns, &last);
			if (r)
				break;
			if (!late)
				add_dirt(&dirt[i], &last);
		}
	for (size_t i = 0; i < NR_INTERVALS; i++)
		put_point(c, intervals[i].ns, &dirt[i], !r);
	return r;
}

/* Much, and still rising: a slow link's rounds take that long. */
static bool worth_long(const struct course *c)
{
	const struct spoor_dirty_point *d = c->page.dirty;
	const size_t nr = c->page.nr_dirty;
	const double least = (double)c->b->p->memory_bytes / LONG_PART;

	return !c->b->quick && nr > 1 && d[nr - 1].bytes.median > least &&
	       d[nr - 1].bytes.median > d[nr - 2].bytes.median * 1.1;
}

static int read_long(struct course *c)
{
	struct bench_read last, seen;
	uint64_t begun, due;
	int r = bench_read(c->b, c->k, &last);

	bench_seen_clear(c->b);
	begun = due = since(c, &last);
	for (size_t i = 0; i < NR(longer) && !r; i++) {
		struct dirt dirt = { .bytes.v = NULL };

		while (!r && due < begun + longer[i]) {
			due += LONG_READ_NS;
			r = read_at(c, due, &last);
		}
		bench_seen(c->b, &seen);
		add_dirt(&dirt, &seen);
		put_point(c, longer[i], &dirt, !r);
	}
	return r;
}

static void conclude(struct course *c)
{
	struct spoor_profile_page *p = &c->page;
	enum spoor_origin origin = c->k->origin;

	p->start_ns = bench_figure(&c->start, origin);
	p->stop_ns = bench_figure(&c->stop, origin);
	p->read_clean_ns = bench_figure(&c->clean, origin);
	p->still_bytes = bench_figure(&c->still, origin);
	p->digest_ns = bench_figure(&c->digest, SPOOR_MEASURED_SW);
	course_costs(c);
	bench_work_compare(c->b, c->k, &c->alone, &c->tracked, &p->slowdown,
			   &p->delay);
	course_assume(c);
}

/* With it and without it, by turns. */
static int watch_work(struct course *c)
{
	unsigned int nr = c->b->quick ? NR_QUICK : NR_SLICES;
	int r = bench_work_watch(c->b, &c->alone), stopped;

	for (unsigned int i = 0; i < nr && !r; i++) {
		r = start(c);
		if (r)
			return r;
		r = bench_work_watch(c->b, &c->tracked);
		stopped = stop(c);
		if (!r)
			r = stopped;
		if (!r)
			r = bench_work_watch(c->b, &c->alone);
	}
	return r;
}

static int measure(struct course *c)
{
	int r = watch_work(c), stopped;

	if (!r)
		r = start(c);
	if (r)
		return r;
	r = read_dirty(c);
	if (!r && worth_long(c))
		r = read_long(c);
	if (!r)
		r = course_read_clean(c);
	stopped = stop(c);
	return r ? r : stopped;
}

static void clear(struct course *c)
{
	bench_work_clear(&c->alone);
	bench_work_clear(&c->tracked);
	bench_samples_clear(&c->start);
	bench_samples_clear(&c->stop);
	bench_samples_clear(&c->clean);
	bench_samples_clear(&c->still);
	bench_samples_clear(&c->digest);
	bench_samples_clear(&c->page_cost);
	bench_samples_clear(&c->run_cost);
	free(c);
}

int bench_one_page(struct bench *b, struct bench_tracker *k, uint64_t size)
{
	struct course *c = calloc(1, sizeof(*c));
	struct spoor_dirty_point *dirty = calloc(NR_POINTS, sizeof(*dirty));
	int r;

	if (!c || !dirty) {
		free(c);
		free(dirty);
		return bench_fail(b, -ENOMEM, "out of memory");
	}
	c->b = b;
	c->k = k;
	c->asked = size;
	c->page.dirty = dirty;
	r = measure(c);
	if (!r)
		conclude(c);
	/* What was asked for may be no size of its own. */
	if (!r && !bench_page(b->p, k, c->page.page_size))
		r = bench_put_page(b->p, k, &c->page);
	else
		free(dirty);
	clear(c);
	return r;
}
