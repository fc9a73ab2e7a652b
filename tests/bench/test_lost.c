/* SPDX-License-Identifier: MIT */
/*
 * No page is lost: devices write while their trackers are read.  Each write
 * leaves the device's stamp in its page; whoever is told of a page copies the
 * stamp, as a migration sends the page.  In the end every copy is what memory
 * holds: a mark before its data, or a bit that a read forgot without telling,
 * leaves an old one.
 */
#include "tests/bench/common.h"

#include <pthread.h>
#include <stdatomic.h>

#define NR_PAGES   1024u
#define NR_DEVICES 3u
#define NR_WRITES  6000u

static struct bench_machine m;
static uint64_t copies[NR_PAGES];
static atomic_uint nr_running;

static uint64_t stamp_of(uint64_t page)
{
	const void *at = m.memory + page * BENCH_PAGE;

	return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
}

static void *write_pages(void *arg)
{
	unsigned int device = (unsigned int)(uintptr_t)arg;
	uint64_t x = device + 1;

	for (unsigned int i = 0; i < NR_WRITES; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		/* Few at a time, so that the same ones are read and written. */
		dma(&m, device, (x >> 33) % 64 + i / 500 * 64 % NR_PAGES);
	}
	atomic_fetch_sub(&nr_running, 1);
	return NULL;
}

/* Send what is reported. */
static void send(struct run *r)
{
	struct spoor_range run;
	uint64_t cursor = 0;

	while (spoor_bitmap_next_run(&r->into, &cursor, &run)) {
		uint64_t page = (run.iova - BENCH_IOVA) / BENCH_PAGE;

		for (; run.len; run.len -= BENCH_PAGE, page++)
			copies[page] = stamp_of(page);
	}
	sent(r);
}

static void race(const char *design, unsigned int nr_second)
{
	static const int devices[] = { BENCH_NIC0, BENCH_NIC0 + 1,
				       BENCH_NIC0 + 2, -1 };
	pthread_t threads[NR_DEVICES];
	struct run r;

	open_machine(&m, NR_PAGES, nr_second, devices);
	start(&r, design, &m, BENCH_PAGE);
	for (unsigned int p = 0; p < NR_PAGES; p++)
		copies[p] = stamp_of(p);
	nr_running = NR_DEVICES;
	for (uintptr_t i = 0; i < NR_DEVICES; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_pages,
						(void *)i),
				 0);
	while (nr_running) {
		collect(&r);
		send(&r);
	}
	for (unsigned int i = 0; i < NR_DEVICES; i++)
		pthread_join(threads[i], NULL);
	collect(&r);
	send(&r);
	for (unsigned int p = 0; p < NR_PAGES; p++) {
		if (copies[p] != stamp_of(p))
			fail_msg("%s: page %u is lost", design, p);
	}
	stop(&r);
	bench_machine_close(&m);
}

static void no_design_loses_a_page_while_devices_write(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < run_nr_designs; i++)
		race(run_designs[i].name, 0);
}

static void no_design_loses_a_page_of_two_containers(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < run_nr_designs; i++)
		race(run_designs[i].name, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_design_loses_a_page_while_devices_write),
		cmocka_unit_test(no_design_loses_a_page_of_two_containers),
	};

	(void)argc;
	bench_need_devices(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
