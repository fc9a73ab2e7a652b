/* SPDX-License-Identifier: MIT */
/*
 * The guest's tasks: made parked, run, parked again.
 *
 * A task parks only in guest_checkpoint(); whatever else it waits in ends
 * when `paused` is set, because the flag is set before every wait is woken and
 * each wait looks at it under the lock it sleeps on (or polls the kick
 * descriptor, which stays readable while paused).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

uint64_t guest_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000ull),
				  .tv_nsec = (long)(ns % 1000000000ull) };
}

bool guest_checkpoint(struct guest *g)
{
	if (!atomic_load(&g->paused))
		return !atomic_load(&g->quit);
	pthread_mutex_lock(&g->lock);
	g->nr_parked++;
	pthread_cond_broadcast(&g->changed);
	while (atomic_load(&g->paused) && !atomic_load(&g->quit))
		pthread_cond_wait(&g->changed, &g->lock);
	g->nr_parked--;
	pthread_mutex_unlock(&g->lock);
	return !atomic_load(&g->quit);
}

static bool stopping(struct guest *g)
{
	return atomic_load(&g->paused) || atomic_load(&g->quit);
}

void guest_sleep_until(struct guest *g, uint64_t ns)
{
	struct timespec until = to_timespec(ns);

	pthread_mutex_lock(&g->lock);
	while (!stopping(g) && guest_now() < ns)
		pthread_cond_timedwait(&g->changed, &g->lock, &until);
	pthread_mutex_unlock(&g->lock);
}

void guest_wait_fd(struct guest *g, int fd, uint64_t until_ns)
{
	struct pollfd fds[] = {
		{ .fd = g->kick, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	uint64_t now = guest_now(), count;
	struct timespec left = to_timespec(until_ns > now ? until_ns - now : 0);

	if (ppoll(fds, 2, &left, NULL) > 0 && (fds[1].revents & POLLIN) &&
	    read(fd, &count, sizeof(count)) < 0) {
		/* Non-blocking: another reader would have had it.  Nothing. */
	}
}

void guest_booted(struct guest_task *t)
{
	pthread_mutex_lock(&t->g->lock);
	t->booted = true;
	pthread_cond_broadcast(&t->g->changed);
	while (t->g->boot_only && !stopping(t->g))
		pthread_cond_wait(&t->g->changed, &t->g->lock);
	pthread_mutex_unlock(&t->g->lock);
}

void guest_refused(struct guest_task *t, int err)
{
	pthread_mutex_lock(&t->g->lock);
	/* -EAGAIN is the guest's own pause, not the device's word. */
	if (err != -EAGAIN)
		t->refused = err;
	pthread_cond_broadcast(&t->g->changed);
	pthread_mutex_unlock(&t->g->lock);
}

/* An address that is taken, foreign or forbidden stays so. */
static bool hopeless(int err)
{
	return err == -EADDRINUSE || err == -EADDRNOTAVAIL || err == -EACCES;
}

/* The task that boot fails by, NULL: none is beyond hope.  Under g->lock. */
static const struct guest_task *stuck(const struct guest *g, bool in_time)
{
	for (size_t i = 0; i < g->nr_tasks; i++) {
		const struct guest_task *t = &g->tasks[i];

		if (!t->booted && (!in_time || hopeless(t->refused)))
			return t;
	}
	return NULL;
}

static bool all_booted(const struct guest *g)
{
	for (size_t i = 0; i < g->nr_tasks; i++)
		if (!g->tasks[i].booted)
			return false;
	return true;
}

void guest_work(struct guest *g)
{
	pthread_mutex_lock(&g->lock);
	g->boot_only = false;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

static void clear(struct guest *g, const struct layout_area *area)
{
	if (area->len)
		memset(guest_at(g, area->iova, area->len), 0, area->len);
}

/* Drivers find their pages empty, whatever the memory's contents were. */
static void clear_drivers(struct guest *g)
{
	for (size_t i = 0; i < g->m->mf->nr_devices; i++) {
		const struct layout_device *d = &g->layout->devices[i];

		clear(g, &d->control);
		clear(g, &d->rx);
		clear(g, &d->tx);
		clear(g, &d->descriptors);
		clear(g, &d->completions);
	}
	for (size_t i = 0; i < g->m->mf->nr_writers; i++)
		clear(g, &g->layout->writers[i].control);
}

int guest_boot(struct guest *g, uint64_t timeout_ns, size_t *ret_device)
{
	struct timespec until = to_timespec(guest_now() + timeout_ns);
	const struct guest_task *bad;
	int r = 0;

	clear_drivers(g);
	pthread_mutex_lock(&g->lock);
	g->boot_only = true;
	pthread_mutex_unlock(&g->lock);
	guest_resume(g);
	pthread_mutex_lock(&g->lock);
	while (!all_booted(g) && !stuck(g, true) && !r)
		r = pthread_cond_timedwait(&g->changed, &g->lock, &until);
	bad = stuck(g, !r);
	r = bad ? bad->refused ? bad->refused : -ETIMEDOUT : 0;
	if (bad)
		*ret_device = bad->index;
	pthread_mutex_unlock(&g->lock);
	return r;
}

void guest_pause(struct guest *g)
{
	uint64_t one = 1;

	pthread_mutex_lock(&g->lock);
	if (!atomic_exchange(&g->paused, true) &&
	    write(g->kick, &one, sizeof(one)) < 0) {
		/* It counts to 2^64: one more always fits. */
	}
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	guest_gates_wake(g);
	pthread_mutex_lock(&g->lock);
	while (g->nr_parked < g->nr_running_tasks)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

void guest_resume(struct guest *g)
{
	uint64_t count;

	pthread_mutex_lock(&g->lock);
	if (atomic_load(&g->paused) &&
	    read(g->kick, &count, sizeof(count)) < 0) {
		/* Not readable: made paused, never kicked. */
	}
	atomic_store(&g->paused, false);
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

static void *task_main(void *arg)
{
	struct guest_task *t = arg;
	struct guest *g = t->g;

	t->run(t);
	pthread_mutex_lock(&g->lock);
	g->nr_running_tasks--;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

static int start_task(struct guest *g, guest_task_fn run, size_t index)
{
	struct guest_task *t = &g->tasks[g->nr_tasks];
	int r;

	*t = (struct guest_task){ .g = g, .run = run, .index = index };
	g->nr_running_tasks++;
	r = pthread_create(&t->thread, NULL, task_main, t);
	if (r) {
		g->nr_running_tasks--;
		return -r;
	}
	t->started = true;
	g->nr_tasks++;
	return 0;
}

static int start_tasks(struct guest *g)
{
	static const guest_task_fn drivers[] = {
		[MF_NIC] = guest_nic_run,   [MF_DSA] = guest_dsa_run,
		[MF_MDEV] = guest_mdev_run, [MF_PLAIN] = guest_plain_run,
		[MF_EDU] = guest_edu_run,
	};
	const struct machine_file *mf = g->m->mf;
	int r = 0;

	for (size_t i = 0; i < mf->nr_devices && !r; i++)
		if (mf_driven_as_edu(&mf->devices[i]))
			r = start_task(g, guest_edu_run, i);
		else if (mf->devices[i].model != MF_NO_MODEL)
			r = start_task(g, drivers[mf->devices[i].model], i);
	for (size_t i = 0; i < mf->nr_writers && !r; i++)
		r = start_task(g, guest_cpu_run, i);
	return r;
}

static void init_lock(struct guest *g)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, &attr);
	pthread_condattr_destroy(&attr);
}

int guest_new(struct guest **ret, struct machine *m,
	      const struct layout *layout, struct stamps *stamps)
{
	struct guest *g = calloc(1, sizeof(*g));
	const struct machine_file *mf = m->mf;
	int r;

	if (!g)
		return -ENOMEM;
	g->m = m;
	g->layout = layout;
	g->stamps = stamps;
	atomic_init(&g->paused, true);
	atomic_init(&g->quit, false);
	init_lock(g);
	g->kick = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	g->tasks =
		calloc(mf->nr_devices + mf->nr_writers + 1, sizeof(*g->tasks));
	r = g->kick < 0 ? -errno : g->tasks ? guest_gates_init(g) : -ENOMEM;
	if (!r)
		r = start_tasks(g);
	if (r) {
		guest_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

struct guest *guest_free(struct guest *g)
{
	uint64_t one = 1;

	if (!g)
		return NULL;
	pthread_mutex_lock(&g->lock);
	atomic_store(&g->quit, true);
	if (g->kick >= 0 && write(g->kick, &one, sizeof(one)) < 0) {
		/* See guest_pause(). */
	}
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	if (g->gates)
		guest_gates_wake(g);
	for (size_t i = 0; i < g->nr_tasks; i++)
		if (g->tasks[i].started)
			pthread_join(g->tasks[i].thread, NULL);
	guest_gates_free(g);
	if (g->kick >= 0)
		close(g->kick);
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
	free(g->tasks);
	free(g);
	return NULL;
}

void *guest_at(struct guest *g, uint64_t iova, uint64_t len)
{
	for (size_t i = 0; i < g->m->nr_regions; i++) {
		const struct machine_region *r = &g->m->regions[i];

		if (iova >= r->iova && iova - r->iova <= r->len &&
		    len <= r->len - (iova - r->iova))
			return (char *)r->hva + (iova - r->iova);
	}
	return NULL;
}

uint64_t guest_next_place(unsigned int pattern, uint64_t n, uint64_t nr,
			  uint64_t *state)
{
	uint64_t x = *state, place = pace_place(pattern, n, nr, &x);

	__atomic_store_n(state, x, __ATOMIC_RELAXED);
	return place;
}
