/* SPDX-License-Identifier: MIT */
/*
 * What it costs to stop the machine's devices, save, load and run them, and
 * its CPUs: a few times, each device from its own state to its own state.
 *
 * Nothing is lost: what is loaded is what was saved just before, and nobody
 * has touched memory meanwhile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/error.h>

#include "bench.h"

#define NR_STOPS	5u
#define NR_QUICK	3u
#define BETWEEN_NS	(100 * BENCH_MS)
#define PERIOD_NS	(1000 * BENCH_MS)
#define PERIOD_QUICK_NS (400 * BENCH_MS)
#define CHUNK		(256ull << 10)
#define STATE_MAX	(1ull << 32)

struct measured {
	struct bench_samples bytes, stop, save, load, run, period;
	bool cannot_load;
};

struct stops {
	struct bench *b;
	struct measured of[MF_DEVICES_MAX];
	struct bench_samples pause, resume;
	uint8_t *state;
	size_t len, room;
	bool kept; /* as it fits in this memory */
};

static int grow(struct stops *s)
{
	size_t room = s->room ? s->room * 2 : 4 * CHUNK;
	uint8_t *more;

	if (s->room - s->len >= CHUNK)
		return 0;
	if (room > STATE_MAX) {
		s->kept = false;
		return 0;
	}
	more = realloc(s->state, room);
	if (!more)
		return bench_fail(s->b, -ENOMEM,
				  "out of memory for a device's state");
	s->state = more;
	s->room = room;
	return 0;
}

static int save(struct stops *s, size_t i)
{
	struct spoor_device *dev = s->b->m->devices[i];
	uint64_t begun = guest_now(), all = 0;
	long n = 1;
	int r = spoor_device_set_state(dev, SPOOR_STATE_STOP_COPY);

	s->len = 0;
	s->kept = true;
	while (!r && n > 0) {
		r = s->kept ? grow(s) : 0;
		if (r)
			return r;
		n = spoor_device_read_state(
			dev, s->state + (s->kept ? s->len : 0), CHUNK);
		if (n < 0)
			r = (int)n;
		all += n > 0 ? (uint64_t)n : 0;
		if (s->kept)
			s->len = (size_t)all;
	}
	if (r)
		return bench_fail(s->b, r, "%s: %s", s->b->facts[i].name,
				  spoor_errmsg());
	bench_add(&s->of[i].save, (double)(guest_now() - begun));
	bench_add(&s->of[i].bytes, (double)all);
	r = spoor_device_set_state(dev, SPOOR_STATE_STOP);
	return r ? bench_fail(s->b, r, "%s: %s", s->b->facts[i].name,
			      spoor_errmsg())
		 : 0;
}

/* Its own state; a device that does not take it begins anew. */
static void load(struct stops *s, size_t i)
{
	struct spoor_device *dev = s->b->m->devices[i];
	uint64_t begun = guest_now();
	int r = spoor_device_set_state(dev, SPOOR_STATE_RESUMING);

	for (size_t at = 0; at < s->len && !r; at += CHUNK)
		r = spoor_device_write_state(dev, s->state + at,
					     s->len - at < CHUNK ? s->len - at
								 : CHUNK);
	if (!r)
		r = spoor_device_set_state(dev, SPOOR_STATE_STOP);
	if (!r) {
		bench_add(&s->of[i].load, (double)(guest_now() - begun));
		return;
	}
	bench_note(s->b, "%s: does not take its own state: %s",
		   s->b->facts[i].name, spoor_errmsg());
	s->of[i].cannot_load = true;
	/* It runs then: what stopped it is gone, as is its work. */
	(void)!spoor_device_reset(dev);
}

static int stop_once(struct stops *s)
{
	struct bench *b = s->b;
	struct bench_halt h;
	int r = bench_halt(b, &h), went;

	if (r)
		return r;
	for (size_t i = 0; i < b->nr_facts && !r; i++) {
		if (!(b->facts[i].migration & SPOOR_MIGRATION_STOP_COPY))
			continue;
		r = save(s, i);
		if (!r && s->kept && !s->of[i].cannot_load)
			load(s, i);
		else if (!r && !s->kept)
			bench_note(b,
				   "%s: its state is too large to be kept: how "
				   "long it takes to load is not measured",
				   b->facts[i].name);
	}
	went = bench_go(b, &h);
	if (r || went)
		return r ? r : went;
	bench_add(&s->pause, (double)h.pause_ns);
	bench_add(&s->resume, (double)h.resume_ns);
	for (size_t i = 0; i < b->nr_facts; i++) {
		if (!(b->facts[i].migration & SPOOR_MIGRATION_STOP_COPY))
			continue;
		bench_add(&s->of[i].stop, (double)h.stop_ns[i]);
		bench_add(&s->of[i].run, (double)h.run_ns[i]);
	}
	return 0;
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Between successes, of any order: several requests are under way at once. */
static void add_periods(struct stops *s, size_t i, uint64_t from, uint64_t end)
{
	const struct stamps *st = &s->b->c->stamps[i];
	uint64_t nr = end - from < STAMPS_MAX ? end - from : STAMPS_MAX;
	uint64_t *ns = calloc(nr + 1, sizeof(*ns));

	for (uint64_t n = 0; ns && n < nr; n++)
		ns[n] = st->ns[(end - nr + n) % STAMPS_MAX];
	if (ns)
		qsort(ns, nr, sizeof(*ns), by_time);
	for (uint64_t n = 1; ns && n < nr; n++)
		bench_add(&s->of[i].period, (double)(ns[n] - ns[n - 1]));
	free(ns);
}

static int watch_periods(struct stops *s)
{
	struct bench_count from, to;

	bench_count(s->b, &from);
	if (!bench_wait(s->b, s->b->quick ? PERIOD_QUICK_NS : PERIOD_NS))
		return -ECANCELED;
	bench_count(s->b, &to);
	for (size_t i = 0; i < s->b->nr_facts; i++)
		add_periods(s, i, from.nr[i], to.nr[i]);
	return 0;
}

static int conclude(struct stops *s, size_t i)
{
	enum spoor_origin origin = bench_origin(s->b, i);
	struct measured *m = &s->of[i];
	struct spoor_profile_device d = {
		.reach_bytes = s->b->facts[i].reach_bytes,
		.state_bytes = bench_figure(&m->bytes, origin),
		.stop_ns = bench_figure(&m->stop, origin),
		.save_ns = bench_figure(&m->save, origin),
		.load_ns = bench_figure(&m->load, origin),
		.run_ns = bench_figure(&m->run, origin),
		.period_ns = bench_figure(&m->period, origin),
	};

	memcpy(d.name, s->b->c->mf->devices[i].name, sizeof(d.name));
	return bench_put_device(s->b->p, &d);
}

static int measure(struct stops *s)
{
	unsigned int nr = s->b->quick ? NR_QUICK : NR_STOPS;
	int r = watch_periods(s);

	for (unsigned int i = 0; i < nr && !r; i++) {
		r = stop_once(s);
		if (!r && !bench_wait(s->b, BETWEEN_NS))
			r = -ECANCELED;
	}
	for (size_t i = 0; i < s->b->nr_facts && !r; i++)
		r = conclude(s, i);
	if (r)
		return r;
	s->b->p->pause_ns = bench_figure(&s->pause, SPOOR_MEASURED_SW);
	s->b->p->resume_ns = bench_figure(&s->resume, SPOOR_MEASURED_SW);
	return 0;
}

int bench_devices(struct bench *b)
{
	struct stops *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return bench_fail(b, -ENOMEM, "out of memory");
	s->b = b;
	r = measure(s);
	for (size_t i = 0; i < MF_DEVICES_MAX; i++) {
		bench_samples_clear(&s->of[i].bytes);
		bench_samples_clear(&s->of[i].stop);
		bench_samples_clear(&s->of[i].save);
		bench_samples_clear(&s->of[i].load);
		bench_samples_clear(&s->of[i].run);
		bench_samples_clear(&s->of[i].period);
	}
	bench_samples_clear(&s->pause);
	bench_samples_clear(&s->resume);
	free(s->state);
	free(s);
	return r;
}
