/* SPDX-License-Identifier: MIT */
/*
 * The truth of devices whose state came from elsewhere, held against memory
 * whoever migrated them: when the first device of the process is about to run,
 * nobody has written yet.  So all that are loaded are checked then, and none
 * sees another's writes.  One that is loaded later has company: a page that
 * another device has written here since is "overwritten", not lost.
 *
 * Invariant: each state that was taken over is checked once before its device
 * runs.  spoor asks before its COMMIT, by softvfio_truth_check(): that is the
 * check then, and costs nothing when the device starts, within the downtime.
 *
 * Threads: one lock over a whole check, so that a device which starts meanwhile
 * waits for it.  Under it each model's own are taken; stats take it.
 */
#include "softvfio/device_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/cpu.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct found {
	uint64_t *at;
	size_t nr, room;
	uint64_t untold; /* found no memory */
};

static struct sv_device *device_at(unsigned int i)
{
	return sv_device_by_index(sv_config()->devices[i].index);
}

static bool others_wrote(struct sv_device *dev, uint64_t iova)
{
	for (unsigned int i = 0; i < sv_config()->nr_devices; i++) {
		struct sv_device *other = device_at(i);
		struct model *m =
			other && other != dev ? sv_model(other) : NULL;

		if (m && model_truth_wrote(m, iova))
			return true;
	}
	return false;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The model's callback, under its locks: others' are not to be taken there. */
static void find(void *ctx, uint64_t iova)
{
	struct found *f = ctx;
	size_t room = f->room ? f->room * 2 : 256;
	uint64_t *at;

	if (f->nr == f->room) {
		at = realloc(f->at, room * sizeof(*at));
		if (!at) {
			f->untold++;
			return;
		}
		f->at = at;
		f->room = room;
	}
	f->at[f->nr++] = iova;
}

/* What others wrote here since goes; the rest is in order. */
static void drop_overwritten(struct sv_device *dev, struct found *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->nr; i++)
		if (!others_wrote(dev, f->at[i]))
			f->at[kept++] = f->at[i];
	f->nr = kept;
	if (kept)
		qsort(f->at, kept, sizeof(*f->at), by_number);
}

static void record(struct sv_truth *t, const struct found *f)
{
	t->nr_lost_at = f->nr < SV_LOST_MAX ? f->nr : SV_LOST_MAX;
	if (!t->lost_at && f->nr)
		t->lost_at = calloc(SV_LOST_MAX, sizeof(*t->lost_at));
	if (t->lost_at)
		memcpy(t->lost_at, f->at, t->nr_lost_at * sizeof(*f->at));
	else
		t->nr_lost_at = 0;
	t->pending = false;
	t->checks++;
	t->lost = f->nr + f->untold;
}

/* With the lock held; the caller frees what was found. */
static void check(struct sv_device *dev, struct found *f)
{
	struct sv_truth *t = &sv_device_state(dev)->truth;
	uint64_t began = sv_ns(CLOCK_MONOTONIC);
	uint64_t nr = model_truth_check(sv_model(dev), find, f);
	uint64_t all = f->nr;

	if (!t->pending)
		return;
	drop_overwritten(dev, f);
	t->checked = nr;
	t->overwritten = all - f->nr;
	record(t, f);
	t->check_at = began;
	t->check_ns = sv_ns(CLOCK_MONOTONIC) - began;
}

uint64_t sv_truth_check(struct sv_device *dev,
			void (*lost)(void *ctx, uint64_t iova), void *ctx)
{
	struct found f = { .nr = 0 };
	uint64_t nr;
	SPOOR_LOCKED(&lock);

	if (!sv_model(dev))
		return 0;
	check(dev, &f);
	for (size_t i = 0; i < f.nr; i++)
		lost(ctx, f.at[i]);
	nr = f.nr + f.untold;
	free(f.at);
	return nr;
}

static bool is_attached(struct sv_device_state *st)
{
	bool attached;

	pthread_rwlock_rdlock(&st->attach_lock);
	attached = st->dev->attachment != NULL;
	pthread_rwlock_unlock(&st->attach_lock);
	return attached;
}

void sv_truth_before_run(struct sv_device_state *st)
{
	SPOOR_LOCKED(&lock);

	for (unsigned int i = 0; i < sv_config()->nr_devices; i++) {
		struct sv_device *dev = device_at(i);
		struct sv_device_state *other;
		struct found f = { .nr = 0 };

		if (!dev)
			continue;
		other = sv_device_state(dev);
		/* One that reaches no memory yet is looked at when it runs. */
		if (!other->truth.pending ||
		    (other != st && !is_attached(other)))
			continue;
		check(dev, &f);
		free(f.at);
	}
}

void sv_truth_loaded(struct sv_device_state *st)
{
	SPOOR_LOCKED(&lock);

	st->truth.loaded++;
	st->truth.checks = 0;
	st->truth.pending = true;
}

void sv_truth_forget(struct sv_device_state *st)
{
	SPOOR_LOCKED(&lock);

	st->truth.pending = false;
}

static void put_truth(struct sv_truth *t, struct sv_figures *ret)
{
	SPOOR_LOCKED(&lock);

	ret->loaded = t->loaded;
	ret->checks = t->checks;
	ret->checked = t->checked;
	ret->lost = t->lost;
	ret->overwritten = t->overwritten;
	ret->check_at = t->check_at;
	ret->check_ns = t->check_ns;
	ret->nr_named = t->nr_lost_at;
	if (t->nr_lost_at)
		memcpy(ret->lost_at, t->lost_at,
		       t->nr_lost_at * sizeof(*t->lost_at));
}

/* Not under the device's `lock`: who changes its state writes the stats. */
void sv_device_figures(struct sv_device *dev, struct sv_figures *ret)
{
	struct sv_device_state *st = sv_device_state(dev);

	*ret = (struct sv_figures){
		.state_saved = atomic_load(&st->state_saved),
		.state_loaded = atomic_load(&st->state_loaded),
		.report_ns = atomic_load(&st->report_ns),
		.ran = atomic_load(&st->ran),
		.ran_on = atomic_load(&st->ran_on),
		.irqs = atomic_load(&st->irqs.signalled),
	};
	put_truth(&st->truth, ret);
	SPOOR_LOCKED(&st->states.lock);
	ret->stopped.nr = st->states.nr_stopped;
	ret->stopped.at = st->states.stopped;
}
