/* SPDX-License-Identifier: MIT */
/*
 * The work that devices and CPUs do, counted by their guest and clients:
 * how fast, and how long a request takes; tracked against not.
 *
 * Work has a rate of its own: it is slowed down where that is not met any
 * more.  How long requests take shows sooner.  Slices of both kinds take turns,
 * so that what else the host does is in both.
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
static double took(const struct bench *b, size_t i, uint64_t from, uint64_t end)
{
	const struct stamps *s = &b->c->stamps[i];
	struct bench_samples each = { .v = NULL };
	double median;

	if (end - from > STAMPS_MAX)
		from = end - STAMPS_MAX;
	for (uint64_t n = from; n < end; n++)
		if (s->took_ns[n % STAMPS_MAX])
			bench_add(&each, (double)s->took_ns[n % STAMPS_MAX]);
	median = bench_median(&each);
	bench_samples_clear(&each);
	return median;
}

int bench_work_watch(struct bench *b, struct bench_work *w)
{
	struct bench_count from, to;
	double seconds;

	bench_count(b, &from);
	if (!bench_wait(b, SLICE_NS))
		return -ECANCELED;
	bench_count(b, &to);
	seconds = (double)(to.ns - from.ns) / 1e9;
	for (size_t i = 0; i <= CPU; i++) {
		bench_add(&w->of[i].rate,
			  (double)(to.nr[i] - from.nr[i]) / seconds);
		if (i < b->c->mf->nr_devices)
			bench_add(&w->of[i].took,
				  took(b, i, from.nr[i], to.nr[i]));
	}
	return 0;
}

/*
 * What share is missing (@more: is added) in each slice against those around
 * it, at least none: nothing gets faster for being tracked.
 */
static struct spoor_figure change(const struct bench_samples *alone,
				  const struct bench_samples *tracked,
				  bool more, enum spoor_origin origin)
{
	struct bench_samples parts = { .v = NULL };
	struct spoor_figure f;

	for (size_t i = 0; i < tracked->nr && i + 1 < alone->nr; i++) {
		double usual = (alone->v[i] + alone->v[i + 1]) / 2, part;

		if (alone->v[i] <= 0 || alone->v[i + 1] <= 0 ||
		    (more && tracked->v[i] <= 0))
			continue;
		part = tracked->v[i] / usual - 1;
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
			const struct bench_work *alone,
			const struct bench_work *tracked,
			struct spoor_figure *ret_slowdown,
			struct spoor_figure *ret_delay)
{
	for (size_t i = 0; i <= CPU; i++) {
		struct spoor_figure f;

		if (!covers(b, k, i))
			continue;
		f = change(&alone->of[i].rate, &tracked->of[i].rate, false,
			   k->origin);
		if (f.origin &&
		    (!ret_slowdown->origin || f.median > ret_slowdown->median))
			*ret_slowdown = f;
		f = change(&alone->of[i].took, &tracked->of[i].took, true,
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
