/* SPDX-License-Identifier: MIT */
/*
 * What a read costs.
 *
 * The machine's own work is what makes pages dirty.  So what a dirty page
 * costs comes out of reads that found many, less what a read costs that finds
 * none; where they lie scattered and where they lie together are told apart by
 * the runs they make.  Only for the CPU's tracker pages can be chosen: it is
 * given both.
 */
#include "course.h"

#define NR_CLEAN    5u
#define NR_POKES    3u
#define POKED	    4096u
#define POKE_SPARSE 8u

static bool all_stopped(const struct bench *b)
{
	for (size_t i = 0; i < b->nr_facts; i++)
		if (!(b->facts[i].migration & SPOOR_MIGRATION_STOP_COPY))
			return false;
	return true;
}

static int read_poked(struct course *c, const struct bench_tracker *k,
		      uint64_t step, struct bench_samples *cost)
{
	double clean = bench_median(&c->clean), ns;
	struct bench_read one;
	int r = 0;

	for (unsigned int i = 0; i < NR_POKES && !r; i++) {
		bench_poke(c->b, POKED, step);
		r = bench_read(c->b, k, &one);
		if (r || !one.pages)
			continue;
		ns = (double)(one.ended_ns - one.begun_ns) - clean;
		bench_add(cost, ns > 0 ? ns / (double)one.pages : 0);
	}
	return r;
}

/* Everything stopped, and what was written before read away. */
int course_read_clean(struct course *c)
{
	struct bench_tracker quieted = *c->k;
	struct bench_halt h;
	struct bench_read one;
	int r = bench_halt(c->b, &h), went;

	if (r)
		return r;
	quieted.quiet = false;
	r = bench_read(c->b, &quieted, &one);
	for (unsigned int i = 0; i < NR_CLEAN && !r; i++) {
		r = bench_read(c->b, &quieted, &one);
		/*
		 * A device that cannot be stopped goes on writing.  Where all
		 * are, what is reported all the same (pinned pages) is at each.
		 */
		if (!r && (!one.pages || all_stopped(c->b)))
			bench_add(&c->clean,
				  (double)(one.ended_ns - one.begun_ns));
		if (!r && all_stopped(c->b))
			bench_add(&c->still, (double)(one.pages * MF_PAGE));
	}
	if (!r && c->k->kind == SPOOR_TRACKER_PROCESS)
		r = read_poked(c, &quieted, POKE_SPARSE, &c->page_cost);
	if (!r && c->k->kind == SPOOR_TRACKER_PROCESS)
		r = read_poked(c, &quieted, 1, &c->run_cost);
	went = bench_go(c->b, &h);
	return r ? r : went;
}

/* From reads that found much: of few pages the clock's own noise would be told. */
static void cost_of_pages(struct course *c)
{
	double clean = bench_median(&c->clean);
	uint64_t most = 0, each = c->page.page_size / MF_PAGE;

	for (size_t i = 0; i < c->nr_reads; i++)
		if (c->reads[i].pages > most)
			most = c->reads[i].pages;
	for (size_t i = 0; i < c->nr_reads; i++) {
		const struct bench_read *r = &c->reads[i];
		double ns = (double)(r->ended_ns - r->begun_ns) - clean;
		double pages = (double)r->pages / (double)each;

		if (!r->pages || r->pages < most / 2)
			continue;
		ns = ns > 0 ? ns / pages : 0;
		bench_add(2 * (double)r->runs > pages ? &c->page_cost
						      : &c->run_cost,
			  ns);
	}
}

void course_costs(struct course *c)
{
	if (!c->page_cost.nr && !c->run_cost.nr && c->clean.nr)
		cost_of_pages(c);
	c->page.read_page_ns = bench_figure(&c->page_cost, c->k->origin);
	c->page.read_run_ns = bench_figure(&c->run_cost, c->k->origin);
}

static struct spoor_figure assumed(double v)
{
	return (struct spoor_figure){ v, v, v, 1, SPOOR_ASSUMED };
}

void course_assume(struct course *c)
{
	const struct spoor_profile_page *p = &c->page;
	const struct mf_tracker *t;
	double marks;

	if (c->k->device == SIZE_MAX)
		return;
	t = &c->b->c->mf->devices[c->k->device].tracker;
	if (t->cost_page_ns)
		c->page.read_page_ns = c->page.read_run_ns =
			assumed((double)t->cost_page_ns);
	if (!t->cost_mark_ns || !p->nr_dirty)
		return;
	/* At the shortest interval the fewest marks fall on marked pages. */
	marks = p->dirty[0].bytes.median / (double)p->page_size * 1e9 /
		(double)p->dirty[0].interval_ns;
	marks *= (double)t->cost_mark_ns / 1e9;
	c->page.slowdown = assumed(marks < 1 ? marks : 1);
}
