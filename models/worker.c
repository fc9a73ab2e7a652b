/* SPDX-License-Identifier: MIT */
/*
 * A device's one thread, and how it is stopped.  It does bounded steps of
 * work, and between two of them sleeps until kicked, until the device's own
 * descriptor is readable, or until the time that the device has named.
 *
 * Invariant: while it is parked no step runs, and it stays parked as long as
 * it is paused or the level lets the device do nothing.
 * Threads: parked, pause, kicked and sleeping are guarded by lock.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/eventfd.h>

#include "models/model_priv.h"

uint64_t model_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool model_level_quiet(const struct model *m, int level)
{
	if (level == MODEL_STOPPED && m->late_ns && model_now_ns() < m->late_ns)
		return false;
	return level == MODEL_STOPPED ||
	       (level == MODEL_P2P && m->config.p2p_stops_all);
}

void model_kick(struct model *m)
{
	m->kicked = true;
	if (!m->sleeping)
		return;
	m->sleeping = false;
	/* It cannot fail: at most one is written per sleep. */
	(void)!write(m->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static const struct timespec *until_wake(const struct model *m,
					 struct timespec *left)
{
	uint64_t now = model_now_ns(), ns;

	if (!m->wake_ns)
		return NULL;
	ns = m->wake_ns > now ? m->wake_ns - now : 0;
	left->tv_sec = (time_t)(ns / 1000000000u);
	left->tv_nsec = (long)(ns % 1000000000u);
	return left;
}

/* Under lock.  A kick that came before is never slept through. */
static void worker_sleep(struct model *m)
{
	struct pollfd fds[] = {
		{ .fd = m->wake_fd, .events = POLLIN },
		{ .fd = m->wait_fd, .events = POLLIN },
	};
	struct timespec left;
	uint64_t count;

	if (m->kicked)
		return;
	m->sleeping = true;
	pthread_mutex_unlock(&m->lock);
	ppoll(fds, 2, until_wake(m, &left), NULL);
	pthread_mutex_lock(&m->lock);
	m->sleeping = false;
	/* Kicks are written under lock: none can follow this read unseen. */
	(void)!read(m->wake_fd, &count, sizeof(count));
}

static void worker_park(struct model *m)
{
	m->parked = true;
	pthread_cond_broadcast(&m->cond);
	while (!m->quit && (m->pause || model_level_quiet(m, m->level)))
		pthread_cond_wait(&m->cond, &m->lock);
	m->parked = false;
}

static void *worker_run(void *arg)
{
	struct model *m = arg;
	enum model_work rest;

	pthread_mutex_lock(&m->lock);
	while (!m->quit) {
		if (m->pause || model_level_quiet(m, m->level)) {
			worker_park(m);
			continue;
		}
		m->kicked = false;
		pthread_mutex_unlock(&m->lock);
		rest = m->ops->work(m);
		pthread_mutex_lock(&m->lock);
		if (rest != MODEL_WORK_MORE)
			worker_sleep(m);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

int model_worker_start(struct model *m)
{
	sigset_t all, old;
	char name[16];
	int err;

	m->wake_fd = model_keep_fd(m, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (m->wake_fd < 0)
		return model_fail(errno, "%s: eventfd: %m", m->config.name);
	/* Signals are the program's business, not a device's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&m->worker, NULL, worker_run, m);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		model_end_fd(m, m->wake_fd);
		m->wake_fd = -1;
		errno = err;
		return model_fail(err, "%s: thread: %m", m->config.name);
	}
	snprintf(name, sizeof(name), "%.15s", m->config.name);
	pthread_setname_np(m->worker, name);
	return 0;
}

void model_worker_stop(struct model *m)
{
	if (m->wake_fd < 0)
		return;
	pthread_mutex_lock(&m->lock);
	m->quit = true;
	model_kick(m);
	pthread_cond_broadcast(&m->cond);
	pthread_mutex_unlock(&m->lock);
	pthread_join(m->worker, NULL);
	model_end_fd(m, m->wake_fd);
	m->wake_fd = -1;
}

void model_pause(struct model *m)
{
	SPOOR_LOCKED(&m->lock);

	m->pause = true;
	model_kick(m);
	while (!m->parked)
		pthread_cond_wait(&m->cond, &m->lock);
}

void model_unpause(struct model *m)
{
	SPOOR_LOCKED(&m->lock);

	m->pause = false;
	pthread_cond_broadcast(&m->cond);
}

void model_spin_ns(uint64_t ns)
{
	uint64_t start;

	if (!ns)
		return;
	start = model_now_ns();
	while (model_now_ns() - start < ns)
		;
}
