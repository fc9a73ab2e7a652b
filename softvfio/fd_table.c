/* SPDX-License-Identifier: MIT */
/*
 * From descriptors to files: a table of pages of slots, grown on demand.
 *
 * Invariant: a slot holds one reference.  It is emptied before the kernel can
 * give its number away again, and filled before the program learns the number.
 *
 * Threads: "is it ours?" is answered by atomic loads alone.  Only for what is
 * ours the lock is taken, so that the file cannot go between finding it and
 * taking a reference.  Files are put outside the lock.  (Not a rwlock: one
 * cannot be unlocked by the child of a fork, whose thread id differs.)
 *
 * vfork: such a child runs in our memory on descriptors of its own.  What it
 * closes or duplicates is none of our business.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "softvfio/real.h"
#include "softvfio/shim.h"

#define PAGE_SLOTS 1024u
#define NR_PAGES   1024u

struct page {
	struct sv_file *_Atomic slot[PAGE_SLOTS];
};

static struct page *_Atomic pages[NR_PAGES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
atomic_uint sv_fd_count;

static struct sv_file *_Atomic *find_slot(int fd)
{
	struct page *page;

	if (fd < 0 || (unsigned int)fd >= NR_PAGES * PAGE_SLOTS)
		return NULL;
	page = atomic_load_explicit(&pages[(unsigned int)fd / PAGE_SLOTS],
				    memory_order_acquire);
	return page ? &page->slot[(unsigned int)fd % PAGE_SLOTS] : NULL;
}

/* With the lock held. */
static struct sv_file *_Atomic *make_slot(int fd)
{
	struct page *page;

	if (fd < 0 || (unsigned int)fd >= NR_PAGES * PAGE_SLOTS)
		return NULL;
	if (!find_slot(fd)) {
		page = calloc(1, sizeof(*page));
		if (!page)
			return NULL;
		atomic_store_explicit(&pages[(unsigned int)fd / PAGE_SLOTS],
				      page, memory_order_release);
	}
	return find_slot(fd);
}

/* With the lock held; what was there is the caller's to put. */
static struct sv_file *exchange(struct sv_file *_Atomic *slot,
				struct sv_file *f)
{
	struct sv_file *old = atomic_exchange(slot, f);

	if (f && !old)
		atomic_fetch_add(&sv_fd_count, 1);
	else if (!f && old)
		atomic_fetch_sub(&sv_fd_count, 1);
	return old;
}

static bool is_ours(int fd)
{
	struct sv_file *_Atomic *slot = sv_fd_any() ? find_slot(fd) : NULL;

	return slot && atomic_load_explicit(slot, memory_order_acquire);
}

struct sv_file *sv_file_get(int fd)
{
	struct sv_file *f;

	if (!is_ours(fd))
		return NULL;
	pthread_mutex_lock(&lock);
	f = atomic_load_explicit(find_slot(fd), memory_order_acquire);
	if (f)
		sv_file_ref(f);
	pthread_mutex_unlock(&lock);
	return f;
}

int sv_fd_set(int fd, struct sv_file *f)
{
	struct sv_file *_Atomic *slot;
	struct sv_file *old = NULL;

	pthread_mutex_lock(&lock);
	slot = f ? make_slot(fd) : find_slot(fd);
	if (slot)
		old = exchange(slot, f);
	pthread_mutex_unlock(&lock);
	if (old)
		sv_file_put(old);
	return slot || !f ? 0 : -EMFILE;
}

struct sv_file *sv_fd_take(int fd)
{
	struct sv_file *old;

	if (!is_ours(fd) || sv_process_is_borrowed())
		return NULL;
	pthread_mutex_lock(&lock);
	old = exchange(find_slot(fd), NULL);
	pthread_mutex_unlock(&lock);
	return old;
}

int sv_fd_fresh(int fd)
{
	/* Still ours only if it was closed behind our back. */
	if (sv_fd_is_kept(fd) && !sv_process_is_borrowed())
		sv_fd_forget_kept(fd);
	if (is_ours(fd) && !sv_process_is_borrowed())
		sv_fd_set(fd, NULL);
	return fd;
}

int sv_fd_duplicated(int from, int to)
{
	struct sv_file *f;
	int r;

	if (to < 0 || from == to)
		return to;
	if (!is_ours(from))
		return sv_fd_fresh(to);
	if (sv_process_is_borrowed())
		return to;
	f = sv_file_get(from);
	r = sv_fd_set(to, f);
	if (r && f) {
		sv_file_put(f);
		REAL(close)(to);
		errno = -r;
		return -1;
	}
	return to;
}

void sv_fd_drop_range(unsigned int first, unsigned int last)
{
	for (unsigned int i = first / PAGE_SLOTS;
	     i < NR_PAGES && i <= last / PAGE_SLOTS; i++) {
		if (!atomic_load_explicit(&pages[i], memory_order_acquire))
			continue;
		for (unsigned int j = 0; j < PAGE_SLOTS; j++) {
			unsigned int fd = i * PAGE_SLOTS + j;
			struct sv_file *f = NULL;

			if (fd >= first && fd <= last)
				f = sv_fd_take((int)fd);
			if (f)
				sv_file_put(f);
		}
	}
}

/* -- fork --------------------------------------------------------------- */

void sv_fd_fork_lock(void)
{
	pthread_mutex_lock(&lock);
}

void sv_fd_fork_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

/*
 * The child's descriptors mean dead files from now on.  Releasing the parent's
 * would need locks and threads that are not here.
 */
void sv_fd_fork_child(bool orphan)
{
	for (unsigned int i = 0; orphan && i < NR_PAGES; i++) {
		struct page *page = atomic_load(&pages[i]);

		for (unsigned int j = 0; page && j < PAGE_SLOTS; j++) {
			struct sv_file *f = atomic_load(&page->slot[j]);

			if (!f)
				continue;
			sv_file_retire(f);
			atomic_store(&page->slot[j], sv_file_dead());
		}
	}
}
