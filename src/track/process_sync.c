/* SPDX-License-Identifier: MIT */
/*
 * Write faults served by a thread: it notes the page in a bitmap, takes its
 * protection away, and so lets the writer go on.  For kernels without WP_ASYNC
 * or PAGEMAP_SCAN, 6.1 among them.
 *
 * Invariant: whenever the lock is free, a page that is not write-protected has
 * its bit set.  (The other way round need not hold: a fault that is served
 * after somebody else's made the page writable sets a bit once more.)
 *
 * Why no store is lost.  A fault is served as "set the bit, un-protect", a
 * page is collected as "protect, hand over, clear the bit", each under the
 * lock.  Without it, a collect between the two steps of the thread would clear
 * the bit of a page that is about to become writable: from then on its stores
 * would go unseen.  With it there are two cases:
 *
 *  - Fault before collect: the store may happen at any time from then on.  If
 *    before the collect's protection (the ioctl flushes the TLBs before it
 *    returns), the caller, who reads the page after the collect, sees it.  If
 *    after, it faults again, and that fault sets the bit anew.
 *  - Collect before fault: the store waits for the fault to be served, which
 *    sets the bit after the collect cleared it.  The next collect finds it.
 *
 * The bit is set before the writer can go on, so a writer that is seen to have
 * finished (a paused vCPU) has its bits set: the last collect misses nothing.
 *
 * Nobody may write to tracked memory with the lock held: it would wait for the
 * thread, and the thread for the lock.  So the caller's bitmap must not lie in
 * memory that is tracked.
 *
 * Threads: one per started tracker; it touches the bitmap, the segments and
 * `failed`, and ends at stop.
 */
#include "track/process.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/uapi_mm.h"

/* Pages protected in one go: bounds how long a fault waits for the lock. */
#define MAX_RUN 4096

struct process_sync {
	struct process_tracker p; /* its fd: an eventfd, the thread is to end */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* protects what follows */
	struct spoor_bitmap_set *dirty; /* map i belongs to segment i */
	int failed; /* errno that ended tracking, or 0 */
};

static struct process_sync *sync_of(struct process_tracker *p)
{
	return (struct process_sync *)p;
}

/*
 * A fault that cannot be served would hold its writer for ever.  Give up
 * tracking instead: no page is protected any more, and every collect says so.
 */
static void give_up(struct process_sync *s, int err)
{
	SPOOR_LOCKED(&s->lock);

	s->failed = err;
	spoor_process_unregister(&s->p);
}

/* The page at @hva was written, or is about to be. */
static int serve(struct process_sync *s, uint64_t hva)
{
	struct process_tracker *p = &s->p;
	size_t i;
	int ret;
	SPOOR_LOCKED(&s->lock);

	for (i = 0; i < p->nr_segments; i++) {
		const struct process_segment *seg = &p->segments[i];
		struct spoor_range page = { .len = p->page };

		/* Below the segment, the difference wraps and is large. */
		if (hva - seg->hva >= seg->range.len)
			continue;
		page.iova = seg->range.iova + (hva - seg->hva);
		ret = spoor_bitmap_mark(&s->dirty->maps[i], &page, NULL);
		if (ret)
			return ret;
		return spoor_process_protect(p, hva, p->page, false);
	}
	return spoor_fail(
		EFAULT, "process tracker: fault at 0x%" PRIx64 " in no segment",
		hva);
}

/*
 * One message a read, never a batch: serving a fault wakes all who wait for
 * that page, and so withdraws their messages.  Read beforehand, they would be
 * served after a collect, and report pages that nobody wrote since.
 */
static int serve_next(struct process_sync *s)
{
	struct uffd_msg msg;
	ssize_t got = read(s->p.uffd, &msg, sizeof(msg));

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (got != sizeof(msg))
		return -EIO;
	if (msg.event != UFFD_EVENT_PAGEFAULT)
		return 0; /* others were not asked for */
	return serve(s, msg.arg.pagefault.address & ~(s->p.page - 1));
}

static void *serve_faults(void *arg)
{
	struct process_sync *s = arg;
	struct pollfd fds[] = {
		{ .fd = s->p.fd, .events = POLLIN },
		{ .fd = s->p.uffd, .events = POLLIN },
	};
	int ret = 0;

	while (!ret) {
		if (poll(fds, 2, -1) < 0) {
			if (errno != EINTR)
				ret = -errno;
			continue;
		}
		/* At once: writers that wait now are woken by stop. */
		if (fds[0].revents)
			return NULL;
		if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
			ret = -EIO;
		else if (fds[1].revents)
			ret = serve_next(s);
	}
	give_up(s, -ret);
	return NULL;
}

/* Without signals: they are for the threads of the program. */
static int start_thread(struct process_sync *s)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&s->thread, NULL, serve_faults, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return spoor_fail(err,
				  "process tracker: thread for write faults: "
				  "errno %d",
				  err);
	s->has_thread = true;
	pthread_setname_np(s->thread, "spoor-faults");
	return 0;
}

static int alloc_dirty(struct process_sync *s)
{
	struct process_tracker *p = &s->p;
	SPOOR_AUTO_HEAP struct spoor_range *ranges = NULL;
	size_t i;

	ranges = calloc(p->nr_segments, sizeof(*ranges));
	if (!ranges)
		return spoor_fail(ENOMEM, "process tracker: out of memory");
	for (i = 0; i < p->nr_segments; i++)
		ranges[i] = p->segments[i].range;
	return spoor_bitmap_set_alloc(&s->dirty, ranges, p->nr_segments,
				      (unsigned int)__builtin_ctzll(p->page));
}

static int sync_probe(void)
{
	return 0;
}

static int sync_start(struct process_tracker *p)
{
	struct process_sync *s = sync_of(p);
	int ret;

	s->failed = 0;
	ret = alloc_dirty(s);
	if (ret)
		return ret;
	/* From here on stop() has something to undo: it goes by `dirty`. */
	pthread_mutex_init(&s->lock, NULL);
	p->fd = eventfd(0, EFD_CLOEXEC);
	if (p->fd < 0)
		return spoor_fail_errno("process tracker: eventfd");
	return start_thread(s);
}

/*
 * First the thread, then (in process.c) the protection: the other way round it
 * could meet a page that is no longer its own.  Who faults in between waits
 * until the protection is gone.
 */
static void sync_stop(struct process_tracker *p)
{
	struct process_sync *s = sync_of(p);

	if (!s->dirty)
		return;
	if (s->has_thread) {
		/* Unless it is told it never ends, and we would never return. */
		while (eventfd_write(p->fd, 1))
			sched_yield();
		pthread_join(s->thread, NULL);
		s->has_thread = false;
	}
	pthread_mutex_destroy(&s->lock);
	s->dirty = spoor_bitmap_set_free(s->dirty);
}

/* Clear pages [first, end) of our own bitmap. */
static void clear_pages(struct spoor_bitmap *b, uint64_t first, uint64_t end)
{
	for (; first < end && first % 64; first++)
		b->words[first / 64] &= ~(UINT64_C(1) << first % 64);
	for (; end - first >= 64; first += 64)
		b->words[first / 64] = 0;
	for (; first < end; first++)
		b->words[first / 64] &= ~(UINT64_C(1) << first % 64);
}

/*
 * Collect the first run of dirty pages in [*cursor, end) of segment @index, no
 * longer than MAX_RUN.  1 if there was one, 0 if not.  If it cannot be
 * protected again, its bits stay.
 */
static int collect_run(struct process_sync *s, size_t index, uint64_t *cursor,
		       uint64_t end, struct spoor_bitmap *into)
{
	const struct process_segment *seg = &s->p.segments[index];
	struct spoor_bitmap *dirty = &s->dirty->maps[index];
	struct spoor_bitmap head = *dirty;
	struct spoor_range run;
	uint64_t after = *cursor, first;
	int ret;
	SPOOR_LOCKED(&s->lock);

	if (s->failed)
		return spoor_fail(EIO,
				  "process tracker: gave up on errno %d, while "
				  "serving write faults",
				  s->failed);
	head.nr_pages = end;
	if (!spoor_bitmap_next_run(&head, &after, &run))
		return 0;
	first = after - run.len / s->p.page;
	if (after - first > MAX_RUN)
		after = first + MAX_RUN;
	run.len = (after - first) * s->p.page;

	ret = spoor_process_protect(
		&s->p, seg->hva + (run.iova - seg->range.iova), run.len, true);
	if (!ret)
		ret = spoor_bitmap_mark(into, &run, NULL);
	if (ret)
		return ret;
	clear_pages(dirty, first, after);
	*cursor = after;
	return 1;
}

static int sync_collect(struct process_tracker *p, size_t index,
			const struct spoor_range *part,
			struct spoor_bitmap *into)
{
	uint64_t base = p->segments[index].range.iova;
	uint64_t cursor = (part->iova - base) / p->page;
	uint64_t end = cursor + part->len / p->page;
	int ret;

	do {
		ret = collect_run(sync_of(p), index, &cursor, end, into);
	} while (ret > 0);
	return ret;
}

const struct process_kind spoor_process_sync = {
	.mode = SPOOR_PROCESS_SYNC,
	.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP |
		    UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
	.size = sizeof(struct process_sync),
	.probe = sync_probe,
	.start = sync_start,
	.collect = sync_collect,
	.stop = sync_stop,
};
