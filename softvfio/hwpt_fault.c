/* SPDX-License-Identifier: MIT */
/*
 * Dirty tracking by write fault, of an IOMMU that keeps no dirty bits: while it
 * is tracked, entries are write-protected; the first write to one stalls and
 * is handed to a handler, which makes the entry writable, and with that dirty,
 * and lets the write go on.  Later writes to it cost nothing.
 *
 * Here the mark comes before the data, so a mark alone does not say that the
 * data is there.  Whoever takes marks, and with them write-protects entries
 * again, waits then for the writes that were let through before
 * (hwpt_fault_drain(), an IOTLB's invalidation): what it reads after that holds
 * their data, and any later write faults, and is marked for the next time.
 *
 * Threads: one handler an HWPT, as an IOMMU's page request queue has.  Devices
 * wait for it with no list locked, so it can lock that; and with their
 * attachment locked, so neither HWPT nor list goes meanwhile.
 */
#include "softvfio/iommufd.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "softvfio/space_stats.h"

/* On the stack of whoever writes. */
struct request {
	uint64_t iova;
	sem_t answered;
	struct request *next;
};

struct hwpt_faults {
	const struct iommufd_hwpt *hwpt;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows; taken alone */
	pthread_cond_t news;
	struct request *first, **end;
	bool quit;
};

/* NULL: it is to end, and nobody asks any more. */
static struct request *next_request(struct hwpt_faults *f)
{
	struct request *r;
	SPOOR_LOCKED(&f->lock);

	while (!f->first && !f->quit)
		pthread_cond_wait(&f->news, &f->lock);
	r = f->first;
	if (r) {
		f->first = r->next;
		if (!f->first)
			f->end = &f->first;
	}
	return r;
}

/* What was unmapped meanwhile has no entry: the write will find that out. */
static void serve(const struct hwpt_faults *f, const struct request *r)
{
	const struct iommufd_hwpt *hwpt = f->hwpt;
	struct sv_area_list *list = &hwpt->ioas->list;
	struct sv_area *area;

	pthread_rwlock_rdlock(&list->lock);
	area = sv_area_find(list, r->iova);
	if (area)
		dirty_mark(hwpt, area, r->iova);
	pthread_rwlock_unlock(&list->lock);
	atomic_fetch_add_explicit(&hwpt->stat->write_faults, 1,
				  memory_order_relaxed);
}

static void *handle(void *arg)
{
	struct hwpt_faults *f = arg;
	struct request *r;

	while ((r = next_request(f))) {
		serve(f, r);
		/* Then it is gone. */
		sem_post(&r->answered);
	}
	return NULL;
}

void hwpt_fault_write(const struct iommufd_hwpt *hwpt, uint64_t iova)
{
	struct hwpt_faults *f = hwpt->faults;
	struct request r = { .iova = iova };

	sem_init(&r.answered, 0, 0);
	pthread_mutex_lock(&f->lock);
	*f->end = &r;
	f->end = &r.next;
	pthread_cond_signal(&f->news);
	pthread_mutex_unlock(&f->lock);
	while (sem_wait(&r.answered) && errno == EINTR)
		;
	sem_destroy(&r.answered);
}

void hwpt_fault_drain(const struct iommufd_hwpt *hwpt)
{
	struct sv_area_list *list = &hwpt->ioas->list;

	/* DMA holds it for reading, from its look at the entry to its data. */
	pthread_rwlock_wrlock(&list->lock);
	pthread_rwlock_unlock(&list->lock);
}

int hwpt_fault_start(struct iommufd_hwpt *hwpt)
{
	struct hwpt_faults *f = calloc(1, sizeof(*f));
	sigset_t all, old;
	int err;

	if (!f)
		return -ENOMEM;
	f->hwpt = hwpt;
	f->end = &f->first;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->news, NULL);
	/* Signals are the program's business, not an IOMMU's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&f->thread, NULL, handle, f);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		pthread_cond_destroy(&f->news);
		pthread_mutex_destroy(&f->lock);
		free(f);
		return -ENOMEM;
	}
	hwpt->faults = f;
	return 0;
}

void hwpt_fault_stop(struct iommufd_hwpt *hwpt)
{
	struct hwpt_faults *f = hwpt->faults;

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->quit = true;
	pthread_cond_signal(&f->news);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_cond_destroy(&f->news);
	pthread_mutex_destroy(&f->lock);
	free(f);
	hwpt->faults = NULL;
}
