/* SPDX-License-Identifier: MIT */
/*
 * Programs' eventfds: duplicates of them, and something to do when one is
 * signalled, as the kernel's virqfds.
 *
 * Invariant: a watch that is not in the list has been forgotten by the thread,
 * too: events carry a number that is never used again, which is looked up
 * under the lock.  So one that was removed cannot strike any more.
 *
 * Threads: sv_watch_lock is held over what watches do, outside irq.lock and
 * inside open.lock; it nests with nothing else of the device side but what BAR
 * writes take.  One thread serves all devices.  It begins with the first watch
 * and never ends, as the devices' own.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"

/*
 * All watches of one eventfd must be in one batch: what the first of them
 * consumes would not be told to a later batch.  A device has 1000 at most.
 */
#define BATCH 1024

pthread_mutex_t sv_watch_lock = PTHREAD_MUTEX_INITIALIZER;
/* All under the lock. */
static struct sv_watch *watches;
static uint64_t last_id;
static int epoll_fd = -1;

int sv_eventfd_dup(int fd)
{
	char path[64], name[64];
	struct sv_file *f = sv_file_get(fd);
	ssize_t n;

	if (f) {
		sv_file_put(f);
		return -EINVAL;
	}
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name) - 1);
	if (n < 0)
		return -EBADF;
	name[n] = 0;
	if (strcmp(name, "anon_inode:[eventfd]") != 0)
		return -EINVAL;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? -errno : sv_fd_keep(fd);
}

static void hear(uint64_t id)
{
	struct iovec v = { .iov_len = sizeof(uint64_t) };
	struct sv_watch *w;
	uint64_t count;

	for (w = watches; w && w->id != id;)
		w = w->next;
	if (!w)
		return;
	/*
	 * The signal is consumed, but does not depend on that: another watch
	 * of the same eventfd, or the program, may have been first.  The
	 * eventfd may be a blocking one.
	 */
	v.iov_base = &count;
	if (preadv2(w->fd, &v, 1, -1, RWF_NOWAIT) < 0)
		count = 0;
	w->strike(w);
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg, i, nr;
	struct epoll_event events[BATCH];

	for (;;) {
		nr = epoll_wait(fd, events, BATCH, -1);
		/* Closed by a call that went past us. */
		if (nr < 0 && errno != EINTR)
			return NULL;
		pthread_mutex_lock(&sv_watch_lock);
		for (i = 0; i < nr; i++)
			hear(events[i].data.u64);
		pthread_mutex_unlock(&sv_watch_lock);
	}
}

static int start_thread(void)
{
	int fd = sv_fd_keep(epoll_create1(EPOLL_CLOEXEC)), r;
	sigset_t all, old;
	pthread_t thread;

	if (fd < 0)
		return -errno;
	/* Signals are the program's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r) {
		sv_fd_end(fd);
		return -r;
	}
	pthread_detach(thread);
	epoll_fd = fd;
	return 0;
}

int sv_watch_add(struct sv_watch *w, int fd, void (*strike)(struct sv_watch *))
{
	/* Edges: each signal is told once, to each watch of an eventfd. */
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int dup, r;

	if (w->id)
		return -EBUSY;
	dup = sv_eventfd_dup(fd);
	if (dup < 0)
		return dup;
	r = epoll_fd < 0 ? start_thread() : 0;
	event.data.u64 = last_id + 1;
	/* What is signalled already strikes at once, once we unlock. */
	if (r == 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, dup, &event))
		r = -errno;
	if (r) {
		sv_fd_end(dup);
		return r;
	}
	*w = (struct sv_watch){
		.id = ++last_id,
		.fd = dup,
		.strike = strike,
		.next = watches,
	};
	watches = w;
	return 0;
}

void sv_watch_remove(struct sv_watch *w)
{
	struct sv_watch **at = &watches;

	if (!w->id)
		return;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	/* Closing a duplicate alone would leave it there. */
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	sv_fd_end(w->fd);
	*w = (struct sv_watch){ 0 };
}
