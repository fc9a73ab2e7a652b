/* SPDX-License-Identifier: MIT */
/* The truth: what others overwrote is dropped, what was lost is caught. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "fake_host.h"

#define NR_PAGES 70000u
#define FEW	 64u

static struct fake_host *h, *h2;
static struct model *m, *m2;

static int make(uint64_t nr_pages)
{
	struct model_config c = fake_config("dsa");

	h = fake_host_new(nr_pages * PAGE);
	h2 = fake_host_new(nr_pages * PAGE);
	m = fake_model(h, &c);
	m2 = fake_model(h2, &c);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return make(FEW);
}

static int setup_many(void **state)
{
	(void)state;
	return make(NR_PAGES);
}

static int teardown(void **state)
{
	(void)state;
	m = model_destroy(m);
	m2 = model_destroy(m2);
	h = fake_host_free(h);
	h2 = fake_host_free(h2);
	return 0;
}

static void poke(uint64_t iova, size_t len)
{
	uint8_t buf[64];

	memset(buf, 0x77, sizeof(buf));
	assert_int_equal(model_poke_dma(m, iova, buf, len), 0);
}

/* As a migration: memory, then the state; what is lost at the other side. */
static struct lost_set migrate(const struct fake_host *memory)
{
	struct lost_set lost = { 0 };
	size_t len;
	uint8_t *bytes;

	if (memory != h2)
		memcpy(h2->mem, memory->mem, memory->size);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	bytes = save_all(m, &len);
	assert_int_equal(model_set_level(m2, MODEL_STOPPED), 0);
	assert_int_equal(load_all(m2, bytes, len, 0), 0);
	free(bytes);
	model_truth_check(m2, lost_add, &lost);
	return lost;
}

static void intact_memory_loses_nothing(void **state)
{
	(void)state;
	poke(0, 64);
	poke(0, 64);
	poke(7 * PAGE + 100, 64);
	poke(9 * PAGE - 3, 3);
	poke(20 * PAGE - 32, 64);
	assert_int_equal(migrate(h).nr, 0);
	assert_int_equal(counters(m).dropped, 0);
}

static void missing_write_is_caught_at_its_page(void **state)
{
	struct lost_set lost;

	(void)state;
	poke(3 * PAGE + 8, 16);
	poke(4 * PAGE, 16);
	/* The copy is taken, then the device writes once more. */
	memcpy(h2->mem, h->mem, h->size);
	poke(3 * PAGE + 24, 16);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	lost = migrate(h2);
	assert_int_equal(lost.nr, 1);
	assert_int_equal(lost.last, 3 * PAGE);
}

static void missing_short_write_is_caught(void **state)
{
	(void)state;
	poke(5 * PAGE - 3, 3);
	assert_int_equal(migrate(h2).nr, 1);
}

static void same_bytes_elsewhere_in_the_page_do_not_count(void **state)
{
	uint64_t stamp;
	struct lost_set lost;

	(void)state;
	poke(3 * PAGE + 8, 16);
	stamp = fake_get64(h, 3 * PAGE + 8);
	fake_put(h2, 3 * PAGE, &stamp, 8);
	lost = migrate(h2);
	assert_int_equal(lost.nr, 1);
}

static void overwritten_entries_are_dropped_and_counted(void **state)
{
	(void)state;
	poke(1 * PAGE, 16);
	poke(2 * PAGE, 16);
	fake_put(h, 1 * PAGE, "CPU store", 9);
	fake_put(h, 2 * PAGE + 8, "elsewhere", 9);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(counters(m).dropped, 1);
	/* And again at STOP_COPY, for what was written meanwhile. */
	fake_put(h, 2 * PAGE, "CPU store", 9);
	model_freeze(m);
	assert_int_equal(counters(m).dropped, 2);
	assert_int_equal(migrate(h2).nr, 0);
}

static void
entries_overwritten_after_freezing_are_dropped_on_the_way(void **state)
{
	(void)state;
	poke(1 * PAGE, 16);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	model_freeze(m);
	assert_int_equal(counters(m).dropped, 0);
	fake_put(h, 1 * PAGE, "CPU store", 9);
	assert_int_equal(migrate(h).nr, 0);
	assert_int_equal(counters(m).dropped, 1);
}

static void running_device_drops_nothing(void **state)
{
	(void)state;
	poke(1 * PAGE, 16);
	fake_put(h, 1 * PAGE, "CPU store", 9);
	model_freeze(m);
	assert_int_equal(counters(m).dropped, 0);
}

static void dropped_page_written_again_counts_again(void **state)
{
	(void)state;
	poke(1 * PAGE, 16);
	poke(2 * PAGE, 16);
	fake_put(h, 1 * PAGE, "CPU store", 9);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	assert_int_equal(model_set_level(m, MODEL_RUNNING), 0);
	poke(1 * PAGE, 16);
	assert_int_equal(migrate(h2).nr, 2);
}

static void page_that_left_the_space_is_dropped_or_lost(void **state)
{
	struct lost_set lost;

	(void)state;
	poke(FEW / 2 * PAGE, 16);
	poke(PAGE, 16);
	h2->size = PAGE * (FEW / 2);
	h->size = h2->size;
	lost = migrate(h);
	assert_int_equal(lost.nr, 0);
	assert_int_equal(counters(m).dropped, 1);
	h2->size = PAGE;
	model_truth_check(m2, lost_add, &lost);
	assert_int_equal(lost.nr, 1);
	assert_int_equal(lost.last, PAGE);
}

/*
 * Also under a sanitizer this takes a fraction of a second; 70,000 pages.  Of
 * the thread's own time: it may have to wait for a turn.
 */
static void many_pages_freeze_fast_and_travel(void **state)
{
	uint64_t page = 0;
	struct timespec a, b;
	struct lost_set lost;
	double ms;

	(void)state;
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		page = (page + 7919) % NR_PAGES;
		poke(page * PAGE + i % 4000, 16);
	}
	for (page = 0; page < NR_PAGES; page += 10)
		memset(h->mem + page * PAGE, 0, PAGE);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	ms = (double)(b.tv_sec - a.tv_sec) * 1e3 +
	     (double)(b.tv_nsec - a.tv_nsec) / 1e6;
	print_message("froze %u pages in %.1f ms\n", NR_PAGES, ms);
	assert_true(ms < 1000);
	assert_int_equal(counters(m).dropped, NR_PAGES / 10);
	lost = migrate(h);
	assert_int_equal(lost.nr, 0);
	memset(h2->mem, 0, h2->size);
	model_truth_check(m2, lost_add, &lost);
	assert_int_equal(lost.nr, NR_PAGES - NR_PAGES / 10);
}

static void write_into_a_stopped_peer_is_missed_at_the_destination(void **state)
{
	struct model_config c = fake_config("nic");
	struct model *peer = fake_model(h, &c), *peer2 = fake_model(h2, &c);
	struct lost_set lost;
	uint8_t *bytes, byte[8];
	size_t len;

	(void)state;
	h->peer = peer;
	h2->peer = peer2;
	poke(PEER_BASE + 64, 16);
	assert_int_equal(model_set_level(peer, MODEL_STOPPED), 0);
	poke(PEER_BASE + 4096, 16);
	assert_int_equal(counters(peer).violations, 1);
	/* It landed, but is not in the state that was frozen before. */
	assert_int_equal(model_bar_peek(peer, 2, 4096, byte, 8), 0);
	assert_true(memcmp(byte, "\0\0\0\0\0\0\0\0", 8) != 0);
	bytes = save_all(peer, &len);
	assert_int_equal(model_set_level(peer2, MODEL_STOPPED), 0);
	assert_int_equal(load_all(peer2, bytes, len, 0), 0);
	free(bytes);
	lost = migrate(h);
	assert_int_equal(lost.nr, 1);
	assert_int_equal(lost.last, PEER_BASE + 4096);
	model_destroy(peer);
	model_destroy(peer2);
}

static void writes_after_the_stop_are_carried_and_missed(void **state)
{
	struct model_config c = fake_config("dsa");
	struct lost_set lost;

	(void)state;
	model_destroy(m);
	c.faults = MODEL_FAULT_DMA_IN_STOP;
	m = fake_model(h, &c);
	poke(1 * PAGE, 16);
	poke(2 * PAGE, 16);
	assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
	/* The last pages are taken, and the device writes on. */
	memcpy(h2->mem, h->mem, h->size);
	poke(2 * PAGE, 16);
	poke(3 * PAGE, 16);
	assert_int_equal(counters(m).late_writes, 2);
	lost = migrate(h2);
	assert_int_equal(lost.nr, 2);
	assert_int_equal(counters(m).pages_saved, 3);
	assert_int_equal(counters(m).dropped, 1);
	memcpy(h2->mem, h->mem, h->size);
	assert_int_equal(model_truth_check(m2, lost_add, &lost), 3);
	assert_int_equal(lost.nr, 2);
}

static void only_what_was_written_here_is_its_own(void **state)
{
	(void)state;
	poke(1 * PAGE, 16);
	poke(2 * PAGE, 16);
	assert_true(model_truth_wrote(m, 1 * PAGE));
	assert_false(model_truth_wrote(m, 3 * PAGE));
	assert_int_equal(migrate(h).nr, 0);
	assert_int_equal(counters(m).pages_saved, 2);
	assert_false(model_truth_wrote(m2, 1 * PAGE));
	assert_int_equal(model_set_level(m2, MODEL_RUNNING), 0);
	assert_int_equal(model_poke_dma(m2, 2 * PAGE + 64, "eight by", 8), 0);
	assert_true(model_truth_wrote(m2, 2 * PAGE));
	assert_false(model_truth_wrote(m2, 1 * PAGE));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(intact_memory_loses_nothing),
		T(missing_write_is_caught_at_its_page),
		T(missing_short_write_is_caught),
		T(same_bytes_elsewhere_in_the_page_do_not_count),
		T(overwritten_entries_are_dropped_and_counted),
		T(entries_overwritten_after_freezing_are_dropped_on_the_way),
		T(running_device_drops_nothing),
		T(dropped_page_written_again_counts_again),
		T(page_that_left_the_space_is_dropped_or_lost),
		cmocka_unit_test_setup_teardown(
			many_pages_freeze_fast_and_travel, setup_many,
			teardown),
		T(write_into_a_stopped_peer_is_missed_at_the_destination),
		T(writes_after_the_stop_are_carried_and_missed),
		T(only_what_was_written_here_is_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
