/* SPDX-License-Identifier: MIT */
/* The log while the device writes: nothing lost, the queue holds it back. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fake_host.h"
#include "models/dsa_regs.h"

#define NR_PAGES    256u
#define SPACE	    ((uint64_t)NR_PAGES * PAGE)
#define NR_WRITERS  8u
#define NR_WRITES   1500u
#define DESCRIPTORS (NR_PAGES - 1) /* page with the dsa's descriptor */

static struct fake_host *h;
static struct model *m;
static _Atomic(unsigned int) nr_running;

static void begin(const struct model_config *c)
{
	struct model_range r = { 0, SPACE };
	uint64_t real;

	h = fake_host_new(SPACE);
	m = fake_model(h, c);
	assert_int_equal(model_log_start(m, &r, 1, PAGE, &real), 0);
}

static void end(void)
{
	m = model_destroy(m);
	h = fake_host_free(h);
}

static void *write_pages(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	uint8_t buf[16] = { 0 };

	for (unsigned int i = 0; i < NR_WRITES; i++) {
		seed = seed * 1103515245 + 12345;
		model_poke_dma(m,
			       (uint64_t)(seed >> 16) % (NR_PAGES - 2) * PAGE,
			       buf, sizeof(buf));
	}
	nr_running--;
	return NULL;
}

/* What a migration would have sent: each page's stamp when last reported. */
struct copy {
	uint64_t stamps[NR_PAGES];
	bool went_back;
};

static int copy_page(void *ctx, uint64_t iova, uint64_t len)
{
	struct copy *copy = ctx;
	uint64_t stamp = fake_get64(h, iova);

	(void)len;
	if (stamp < copy->stamps[iova / PAGE])
		copy->went_back = true;
	copy->stamps[iova / PAGE] = stamp;
	return 0;
}

static unsigned int nr_lost(const struct copy *copy)
{
	unsigned int nr = 0;

	for (uint64_t i = 0; i < NR_PAGES; i++)
		nr += copy->stamps[i] != fake_get64(h, i * PAGE);
	return nr;
}

static void fill_by_worker(uint64_t pages)
{
	struct dsa_descriptor d = {
		.op = DSA_OP_FILL,
		.len = pages * PAGE,
		.completion = (NR_PAGES - 2) * PAGE,
	};

	fake_put(h, DESCRIPTORS * PAGE, &d, sizeof(d));
	for (unsigned int i = 0; i < DSA_QUEUE; i++)
		set64(m, DSA_REG_DOORBELL, DESCRIPTORS * PAGE);
}

/* Eight writers and the device's own thread against one reader. */
static void race(struct copy *copy)
{
	pthread_t writers[NR_WRITERS];

	fill_by_worker(64);
	nr_running = NR_WRITERS;
	for (unsigned int i = 0; i < NR_WRITERS; i++)
		pthread_create(&writers[i], NULL, write_pages,
			       (void *)(uintptr_t)(i + 1));
	while (nr_running)
		assert_int_equal(model_log_report(m, 0, SPACE, copy_page, copy),
				 0);
	for (unsigned int i = 0; i < NR_WRITERS; i++)
		pthread_join(writers[i], NULL);
	wait_until(get32(m, DSA_REG_FREE) == DSA_QUEUE);
	assert_int_equal(model_log_report(m, 0, SPACE, copy_page, copy), 0);
	copy->stamps[DESCRIPTORS] = fake_get64(h, DESCRIPTORS * PAGE);
}

static void no_page_is_lost_between_writers_and_reports(void **state)
{
	static const uint32_t queues[] = { 2048, 1 };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct model_config c = fake_config("dsa");
		static struct copy copy;

		copy = (struct copy){ 0 };
		c.log.queue = queues[i];
		begin(&c);
		race(&copy);
		assert_false(copy.went_back);
		assert_int_equal(nr_lost(&copy), 0);
		assert_int_equal(counters(m).marks, counters(m).pages_reported);
		assert_true(counters(m).reports > 0);
		end();
	}
}

static void marking_before_data_is_caught(void **state)
{
	struct model_config c = fake_config("dsa");
	static struct copy copy;

	(void)state;
	c.faults = MODEL_FAULT_MARK_BEFORE_DATA;
	begin(&c);
	race(&copy);
	print_message("lost %u pages\n", nr_lost(&copy));
	assert_true(nr_lost(&copy) > 0);
	end();
}

/* Drains slowly, and looks whether the device went on. */
struct slow_reader {
	uint64_t nr, most;
};

static int drain_slowly(void *ctx, uint64_t iova, uint64_t len)
{
	struct slow_reader *r = ctx;
	uint64_t before = counters(m).dma_writes, went_on;

	(void)iova;
	(void)len;
	sleep_us(3000);
	went_on = counters(m).dma_writes - before;
	if (went_on > r->most)
		r->most = went_on;
	r->nr++;
	return 0;
}

static void full_queue_holds_the_device_back_and_loses_nothing(void **state)
{
	struct model_config c = fake_config("dsa");
	struct slow_reader r = { 0 };
	static struct copy copy;

	(void)state;
	copy = (struct copy){ 0 };
	c.log.queue = 1;
	begin(&c);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(model_poke_dma(m, i * PAGE, "x", 1), 0);
	fill_by_worker(250);
	assert_int_equal(model_log_report(m, 0, 10 * PAGE, drain_slowly, &r),
			 0);
	assert_true(r.nr >= 10);
	assert_int_equal(r.most, 0);
	/* Afterwards it goes on. */
	wait_until(get32(m, DSA_REG_FREE) == DSA_QUEUE);
	assert_int_equal(counters(m).dma_writes, 10 + 64 * 251);
	assert_int_equal(model_log_report(m, 0, SPACE, copy_page, &copy), 0);
	assert_int_equal(counters(m).marks, counters(m).pages_reported);
	for (uint64_t i = 10; i < 250; i++)
		assert_int_equal(copy.stamps[i], fake_get64(h, i * PAGE));
	end();
}

/* For as long as it takes: only one that is held back never does. */
static int drain_until_it_goes_on(void *ctx, uint64_t iova, uint64_t len)
{
	uint64_t before = counters(m).dma_writes, *nr = ctx;

	(void)iova;
	(void)len;
	wait_until(counters(m).dma_writes > before);
	(*nr)++;
	return 0;
}

static void queue_that_is_not_full_does_not_hold_back(void **state)
{
	struct model_config c = fake_config("dsa");
	uint64_t nr = 0;

	(void)state;
	/* Slow enough not to be done before it is looked at. */
	c.log.cost_mark_ns = 200000;
	begin(&c);
	fill_by_worker(250);
	wait_until(counters(m).dma_writes > 2);
	assert_int_equal(
		model_log_report(m, 0, PAGE, drain_until_it_goes_on, &nr), 0);
	assert_int_equal(nr, 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_page_is_lost_between_writers_and_reports),
		cmocka_unit_test(marking_before_data_is_caught),
		cmocka_unit_test(
			full_queue_holds_the_device_back_and_loses_nothing),
		cmocka_unit_test(queue_that_is_not_full_does_not_hold_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
