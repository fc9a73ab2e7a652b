/* SPDX-License-Identifier: MIT */
/*
 * What may not be lost when DMA, dirty reads and unmapping meet.  The threads
 * wait for each other where an order matters; nothing depends on timing but
 * the strength of the eight writers' race.
 */
#include "tests/iommu/fixture.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define IOVA	   (4 * GIB)
#define NR_WRITERS 8
#define PER_WRITER 16
#define NR_PAGES   ((uint64_t)NR_WRITERS * PER_WRITER)
#define NR_WRITES  3000

struct world {
	int fd;
	uint32_t ioas, hwpt;
	struct test_device dev;
	uint8_t *mem;
	uint64_t copy[NR_PAGES]; /* what a migration would have sent */
	atomic_uint running;
};

static void setup(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->fd = test_open();
	w->ioas = test_ioas(w->fd);
	test_device_init(&w->dev, true, PAGE);
	w->hwpt = test_hwpt(w->fd, test_bind(w->fd, &w->dev), w->ioas,
			    IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	test_attach(&w->dev, w->hwpt);
	w->mem = test_memory(NR_PAGES * PAGE, PAGE);
	test_map(w->fd, w->ioas, w->mem, NR_PAGES * PAGE, IOVA);
	test_tracking(w->fd, w->hwpt, true);
}

static void teardown(struct world *w)
{
	test_device_fini(&w->dev);
	test_close(w->fd);
	munmap(w->mem, NR_PAGES * PAGE);
	assert_int_equal(test_open_files(), 0);
}

static uint64_t page_value(const struct world *w, unsigned int page)
{
	const uint64_t *at = (const void *)(w->mem + page * PAGE);

	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* One round of pre-copy: take the bits, then send those pages. */
static void collect(struct world *w)
{
	uint64_t bits[NR_PAGES / 64] = { 0 };
	unsigned int page;

	assert_int_equal(
		try_dirty(w->fd, w->hwpt, 0, IOVA, NR_PAGES * PAGE, PAGE, bits),
		0);
	for (page = 0; page < NR_PAGES; page++)
		if (bits[page / 64] >> (page % 64) & 1)
			w->copy[page] = page_value(w, page);
}

static unsigned int lost(const struct world *w)
{
	unsigned int page, n = 0;

	for (page = 0; page < NR_PAGES; page++)
		n += w->copy[page] != page_value(w, page);
	return n;
}

struct writer {
	struct world *w;
	unsigned int first; /* of its pages */
	pthread_t thread;
};

static int store(void *ctx, const struct sv_target *t)
{
	__atomic_store_n((uint64_t *)(void *)t->ptr, *(uint64_t *)ctx,
			 __ATOMIC_RELAXED);
	return 0;
}

static void *write_pages(void *arg)
{
	struct writer *me = arg;
	uint64_t seq;

	for (seq = 1; seq <= NR_WRITES; seq++) {
		uint64_t page = me->first + seq * 7 % PER_WRITER;
		int err = test_dma_call(&me->w->dev, IOVA + page * PAGE, false,
					store, &seq);

		if (err)
			break;
	}
	me->w->running--;
	return NULL;
}

static void no_write_is_lost_to_eight_writers(void **state)
{
	struct writer writers[NR_WRITERS];
	struct world w;
	unsigned int i;

	(void)state;
	setup(&w);
	w.running = NR_WRITERS;
	for (i = 0; i < NR_WRITERS; i++) {
		writers[i] =
			(struct writer){ .w = &w, .first = i * PER_WRITER };
		assert_int_equal(pthread_create(&writers[i].thread, NULL,
						write_pages, &writers[i]),
				 0);
	}
	while (w.running)
		collect(&w);
	for (i = 0; i < NR_WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	collect(&w);
	assert_int_equal(lost(&w), 0);
	for (i = 0; i < NR_PAGES; i++)
		assert_true(w.copy[i] > NR_WRITES - PER_WRITER);
	teardown(&w);
}

/* A write that stands still between its two halves. */
struct paused {
	struct world *w;
	bool mark_first;
	int err;
	pthread_barrier_t in, out;
};

static int store_paused(void *ctx, const struct sv_target *t)
{
	struct paused *p = ctx;
	uint64_t value = 77;

	pthread_barrier_wait(&p->in);
	pthread_barrier_wait(&p->out);
	return store(&value, t);
}

static void *write_paused(void *arg)
{
	struct paused *p = arg;

	p->err =
		test_dma_call(&p->w->dev, IOVA, p->mark_first, store_paused, p);
	return NULL;
}

/* A collection while the write stands still, one afterwards: pages lost? */
static unsigned int lost_by(bool mark_first)
{
	struct paused p = { .mark_first = mark_first };
	struct world w;
	pthread_t thread;
	unsigned int n;

	setup(&w);
	p.w = &w;
	pthread_barrier_init(&p.in, NULL, 2);
	pthread_barrier_init(&p.out, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, write_paused, &p), 0);
	pthread_barrier_wait(&p.in);
	collect(&w);
	pthread_barrier_wait(&p.out);
	pthread_join(thread, NULL);
	assert_int_equal(p.err, 0);
	collect(&w);
	n = lost(&w);
	pthread_barrier_destroy(&p.in);
	pthread_barrier_destroy(&p.out);
	teardown(&w);
	return n;
}

static void data_before_mark_loses_nothing_mark_before_data_does(void **state)
{
	(void)state;
	assert_int_equal(lost_by(false), 0);
	assert_int_equal(lost_by(true), 1);
}

struct unmapper {
	struct world *w;
	atomic_bool done;
	long r;
	uint64_t len;
};

static void *unmap(void *arg)
{
	struct unmapper *u = arg;

	u->r = try_unmap(u->w->fd, u->w->ioas, IOVA, &u->len);
	u->done = true;
	return NULL;
}

static void *detach(void *arg)
{
	struct unmapper *u = arg;

	u->r = sv_iommufd_detach(&u->w->dev.dev);
	u->done = true;
	return NULL;
}

static void waits_for_dma(void *(*act)(void *))
{
	struct paused p = { .mark_first = false };
	struct unmapper u = { .len = NR_PAGES * PAGE };
	pthread_t writer, other;
	struct world w;

	setup(&w);
	p.w = u.w = &w;
	pthread_barrier_init(&p.in, NULL, 2);
	pthread_barrier_init(&p.out, NULL, 2);
	assert_int_equal(pthread_create(&writer, NULL, write_paused, &p), 0);
	pthread_barrier_wait(&p.in);
	assert_int_equal(pthread_create(&other, NULL, act, &u), 0);
	usleep(30000);
	assert_false(u.done);
	assert_int_equal(page_value(&w, 0), 0);
	pthread_barrier_wait(&p.out);
	pthread_join(other, NULL);
	/* The write is over: its data is there. */
	assert_int_equal(page_value(&w, 0), 77);
	assert_int_equal(u.r, 0);
	pthread_join(writer, NULL);
	assert_int_equal(p.err, 0);
	assert_int_equal(test_dma_call(&w.dev, IOVA, false, store, &u.len),
			 -EFAULT);
	pthread_barrier_destroy(&p.in);
	pthread_barrier_destroy(&p.out);
	teardown(&w);
}

static void *collect_all(void *arg)
{
	struct unmapper *u = arg;

	collect(u->w);
	u->done = true;
	return NULL;
}

/* Marked, and not there yet: whoever takes the mark must wait for the data. */
static void read_waits_for_writes_that_it_protects_from(void **state)
{
	struct paused p = { .mark_first = false };
	struct unmapper u = { .done = false };
	pthread_t writer, other;
	struct world w;

	(void)state;
	setup(&w);
	p.w = u.w = &w;
	pthread_barrier_init(&p.in, NULL, 2);
	pthread_barrier_init(&p.out, NULL, 2);
	assert_int_equal(pthread_create(&writer, NULL, write_paused, &p), 0);
	pthread_barrier_wait(&p.in);
	assert_int_equal(pthread_create(&other, NULL, collect_all, &u), 0);
	usleep(30000);
	assert_false(u.done);
	pthread_barrier_wait(&p.out);
	pthread_join(other, NULL);
	pthread_join(writer, NULL);
	assert_int_equal(p.err, 0);
	assert_int_equal(w.copy[0], 77);
	pthread_barrier_destroy(&p.in);
	pthread_barrier_destroy(&p.out);
	teardown(&w);
}

static void unmap_waits_for_dma_in_flight(void **state)
{
	(void)state;
	waits_for_dma(unmap);
}

static void detach_waits_for_dma_in_flight(void **state)
{
	(void)state;
	waits_for_dma(detach);
}

int main(int argc, char **argv)
{
	const bool faults = argc > 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_write_is_lost_to_eight_writers),
		cmocka_unit_test(unmap_waits_for_dma_in_flight),
		cmocka_unit_test(detach_waits_for_dma_in_flight),
	};
	const struct CMUnitTest by_bit[] = {
		cmocka_unit_test(
			data_before_mark_loses_nothing_mark_before_data_does),
	};
	const struct CMUnitTest by_fault[] = {
		cmocka_unit_test(read_waits_for_writes_that_it_protects_from),
	};
	int failed;

	(void)argv;
	test_by_faults(faults);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return failed + (faults ? cmocka_run_group_tests(by_fault, NULL, NULL)
				: cmocka_run_group_tests(by_bit, NULL, NULL));
}
