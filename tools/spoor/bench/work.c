/* SPDX-License-Identifier: MIT */
/*
 * The work that devices and CPUs do, counted by their guest and clients:
 * how fast, and how long a request takes; tracked against not.
 *
 * Work has a rate of its own: it is slowed down where that is not met any
 * more.  How long requests take shows sooner.
 */
#include <errno.h>
#include <stdlib.h>

#include "bench.h"

#define SLICE_NS (250 * BENCH_MS)
#define CPU	 MF_DEVICES_MAX

static uint64_t stamped(const struct bench *b, size_t i)
{
	return __atomic_load_n(&b->c->stamps[i].nr, __ATOMIC_ACQUIRE);
}

void bench_count(struct bench *b, struct bench_count *ret)
{
	*ret = (struct bench_count){ .ns = guest_now() };
	for (size_t i = 0; i < b->c->mf->nr_devices; i++)
		ret->nr[i] = stamped(b, i);
	for (size_t i = 0; i < b->c->mf->nr_writers; i++)
		ret->nr[CPU] += guest_cpu_pages(b->m->guest, i);
}

/* The median time of the requests that succeeded from one count to another. */
static void add_took(struct bench *b, struct bench_samples *to, size_t i,
		     uint64_t from, uint64_t end)
{
	const struct stamps *s = &b->c->stamps[i];
	struct bench_samples took = { .v = NULL };

	if (end - from > STAMPS_MAX)
		return;
	for (uint64_t n = from; n < end; n++)
		if (s->took_ns[n % STAMPS_MAX])
			bench_add(&took, (double)s->took_ns[n % STAMPS_MAX]);
	if (took.nr)
		bench_add(to, bench_median(&took));
	bench_samples_clear(&took);
}

void bench_work_add(struct bench *b, struct bench_work *w,
		    const struct bench_count *from,
		    const struct bench_count *to)
{
	double seconds = (double)(to->ns - from->ns) / 1e9;

	for (size_t i = 0; i <= CPU; i++) {
		if (!to->nr[i] || seconds <= 0)
			continue;
		bench_add(&w->of[i].rate,
			  (double)(to->nr[i] - from->nr[i]) / seconds);
		if (i < b->c->mf->nr_devices)
			add_took(b, &w->of[i].took, i, from->nr[i], to->nr[i]);
	}
}

int bench_work_watch(struct bench *b, struct bench_work *w, unsigned int nr)
{
	struct bench_count from, to;

	bench_count(b, &from);
	for (unsigned int i = 0; i < nr; i++) {
		if (!bench_wait(b, SLICE_NS))
			return -ECANCELED;
		bench_count(b, &to);
		bench_work_add(b, w, &from, &to);
		w->nr_slices++;
		from = to;
	}
	return 0;
}

/*
 * What share of @base is missing in each sample of @now (@more: is added), at
 * least none: work is not done faster for being tracked.
 */
static struct spoor_figure change(struct bench_samples *base,
				  const struct bench_samples *now, bool more,
				  enum spoor_origin origin)
{
	double usual = bench_median(base);
	struct bench_samples parts = { .v = NULL };
	struct spoor_figure f;

	for (size_t i = 0; i < now->nr && usual > 0; i++) {
		double part = now->v[i] / usual - 1;

		part = more ? part : -part;
		bench_add(&parts, part > 0 ? part : 0);
	}
	f = bench_figure(&parts, origin);
	bench_samples_clear(&parts);
	return f;
}

static bool covers(const struct bench *b, const struct bench_tracker *k,
		   size_t i)
{
	if (i == CPU)
		return k->kind == SPOOR_TRACKER_PROCESS;
	return i < b->nr_facts && spoor_tracker_covers(k->t, b->m->devices[i]);
}

/* Of all that it covers, the one that suffers most. */
void bench_work_compare(struct bench *b, const struct bench_tracker *k,
			struct bench_work *tracked,
			struct spoor_figure *ret_slowdown,
			struct spoor_figure *ret_delay)
{
	for (size_t i = 0; i <= CPU; i++) {
		struct spoor_figure f;

		if (!covers(b, k, i))
			continue;
		f = change(&k->alone->of[i].rate, &tracked->of[i].rate, false,
			   k->origin);
		if (f.origin &&
		    (!ret_slowdown->origin || f.median > ret_slowdown->median))
			*ret_slowdown = f;
		f = change(&k->alone->of[i].took, &tracked->of[i].took, true,
			   k->origin);
		if (f.origin &&
		    (!ret_delay->origin || f.median > ret_delay->median))
			*ret_delay = f;
	}
}

void bench_work_clear(struct bench_work *w)
{
	for (size_t i = 0; w && i <= CPU; i++) {
		bench_samples_clear(&w->of[i].rate);
		bench_samples_clear(&w->of[i].took);
	}
}
