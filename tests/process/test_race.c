/* SPDX-License-Identifier: MIT */
/*
 * Eight writers against collect: no page is lost.  Each writer stores rising
 * numbers into its slot of random pages.  The collector copies every page that
 * it was told of to a mirror, as a migration sends it.  When the writers are
 * done, one more collect must bring the mirror level with memory.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/uapi_mm.h"
#include "tests/bitmap/naive.h"
#include "tests/process/guest.h"
#include "track/process.h"

#define IOVA	     UINT64_C(0x100000000)
#define NR_WRITERS   8
#define NR_PAGES     257
#define MIN_STORES   1000
/* The race goes on until so many pages have been collected. */
#define NR_COLLECTED (8 * NR_PAGES)

struct writer {
	pthread_t thread;
	struct guest *g;
	unsigned int index;
	atomic_bool *end;
};

static uint64_t *slot(char *memory, uint64_t page, unsigned int writer)
{
	return (uint64_t *)(void *)(memory + page * PAGE) + writer;
}

static void *write_pages(void *arg)
{
	struct writer *w = arg;
	uint64_t rnd = w->index, i;

	for (i = 1; i <= MIN_STORES || !atomic_load(w->end); i++)
		__atomic_store_n(
			slot(w->g->hva, naive_below(&rnd, NR_PAGES), w->index),
			i, __ATOMIC_RELAXED);
	return NULL;
}

static void start_writers(struct writer *writers, struct guest *g,
			  atomic_bool *end)
{
	unsigned int i;

	atomic_store(end, false);
	for (i = 0; i < NR_WRITERS; i++) {
		writers[i] = (struct writer){
			.g = g,
			.index = i,
			.end = end,
		};
		assert_int_equal(pthread_create(&writers[i].thread, NULL,
						write_pages, &writers[i]),
				 0);
	}
}

static void end_writers(struct writer *writers, atomic_bool *end)
{
	unsigned int i;

	atomic_store(end, true);
	for (i = 0; i < NR_WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
}

/* Through the alias, as a migration reads. */
static void copy_dirty(struct guest *g, uint64_t (*mirror)[NR_WRITERS])
{
	char *alias = spoor_memory_at(g->memory, &g->range);
	struct spoor_range run;
	uint64_t cursor = 0, page;
	unsigned int i;

	while (spoor_bitmap_next_run(&g->dirty, &cursor, &run)) {
		for (page = cursor - run.len / PAGE; page < cursor; page++) {
			for (i = 0; i < NR_WRITERS; i++)
				mirror[page][i] = __atomic_load_n(
					slot(alias, page, i), __ATOMIC_RELAXED);
		}
	}
}

static void collect_racing_writers_loses_no_page(void **state)
{
	static uint64_t mirror[NR_PAGES][NR_WRITERS];
	struct writer writers[NR_WRITERS];
	uint64_t pages = 0, page;
	atomic_bool end;
	struct guest g;
	unsigned int i;

	(void)state;
	memset(mirror, 0, sizeof(mirror));
	guest_open(&g, IOVA, NR_PAGES);
	guest_start(&g);
	start_writers(writers, &g, &end);
	while (pages < NR_COLLECTED) {
		uint64_t nr = guest_collect(&g);

		copy_dirty(&g, mirror);
		pages += nr;
		if (!nr)
			sched_yield();
	}
	end_writers(writers, &end);
	guest_collect(&g);
	copy_dirty(&g, mirror);

	for (page = 0; page < NR_PAGES; page++) {
		for (i = 0; i < NR_WRITERS; i++)
			assert_int_equal(mirror[page][i],
					 *slot(g.hva, page, i));
	}
	assert_int_equal(guest_collect(&g), 0);
	guest_close(&g);
}

static void writers_go_on_when_tracking_stops(void **state)
{
	struct writer writers[NR_WRITERS];
	atomic_bool end;
	struct guest g;
	int round;

	(void)state;
	guest_open(&g, IOVA, NR_PAGES);
	for (round = 0; round < 10; round++) {
		struct process_tracker *p = (struct process_tracker *)g.tracker;
		int held;

		guest_start(&g);
		/* As a forked child would hold it: closing ours is not the
		 * end of the userfaultfd, which would wake everybody. */
		held = dup(p->uffd);
		assert_true(held >= 0);
		start_writers(writers, &g, &end);
		if (round % 2)
			guest_collect(&g);
		assert_int_equal(spoor_tracker_stop(g.tracker), 0);
		/* Hangs if one of them waits for a thread that is gone. */
		end_writers(writers, &end);
		close(held);
	}
	guest_close(&g);
}

/* Store into memory that is protected, but no segment of the tracker's. */
static void *write_stray(void *arg)
{
	*(volatile char *)arg = 1;
	return NULL;
}

/*
 * A fault that the thread cannot serve: it gives up, says so at every collect,
 * and nobody hangs on the memory it no longer tracks.
 */
static void giving_up_is_said_and_frees_the_writers(void **state)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct writer writers[NR_WRITERS];
	struct process_tracker *p;
	struct guest g, other;
	pthread_t stray;
	atomic_bool end;
	int i;

	(void)state;
	if (flavour->mode != SPOOR_PROCESS_SYNC)
		return;
	guest_open(&g, IOVA, NR_PAGES);
	guest_open(&other, IOVA, 1);
	guest_start(&g);
	p = (struct process_tracker *)g.tracker;
	reg.range.start = (uintptr_t)other.hva;
	reg.range.len = PAGE;
	*(volatile char *)other.hva = 0;
	assert_int_equal(ioctl(p->uffd, UFFDIO_REGISTER, &reg), 0);
	assert_int_equal(spoor_process_protect(p, reg.range.start, PAGE, true),
			 0);
	assert_int_equal(pthread_create(&stray, NULL, write_stray, other.hva),
			 0);

	do {
		usleep(1000);
		spoor_bitmap_clear(&g.dirty);
		i = spoor_tracker_collect(g.tracker, &g.range, &g.dirty, 0,
					  NULL);
	} while (!i);
	assert_int_equal(i, -EIO);
	assert_int_equal(spoor_bitmap_count(&g.dirty), NR_PAGES);
	start_writers(writers, &g, &end);
	end_writers(writers, &end);
	assert_int_equal(
		spoor_tracker_collect(g.tracker, &g.range, &g.dirty, 0, NULL),
		-EIO);

	assert_int_equal(ioctl(p->uffd, UFFDIO_UNREGISTER, &reg.range), 0);
	assert_int_equal(ioctl(p->uffd, UFFDIO_WAKE, &reg.range), 0);
	pthread_join(stray, NULL);
	/* Started anew, it tracks again. */
	assert_int_equal(spoor_tracker_stop(g.tracker), 0);
	guest_start(&g);
	assert_int_equal(guest_collect(&g), 0);
	*(volatile char *)g.hva = 2;
	assert_int_equal(guest_collect(&g), 1);
	guest_close(&other);
	guest_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(collect_racing_writers_loses_no_page),
		cmocka_unit_test(writers_go_on_when_tracking_stops),
		cmocka_unit_test(giving_up_is_said_and_frees_the_writers),
	};

	return run_flavours(tests, sizeof(tests) / sizeof(tests[0]));
}
