/* SPDX-License-Identifier: MIT */
/* The log's rules: what it takes, what it reports, when it fails. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "fake_host.h"
#include "models/model_priv.h"

#define NR_PAGES 1024u
#define SPACE	 ((uint64_t)NR_PAGES * PAGE)

static struct fake_host *h;
static struct model *m;

static void make(const struct model_config *c)
{
	if (m)
		m = model_destroy(m);
	m = fake_model(h, c);
}

static int setup(void **state)
{
	struct model_config c = fake_config("dsa");

	(void)state;
	h = fake_host_new(SPACE);
	make(&c);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	m = model_destroy(m);
	h = fake_host_free(h);
	return 0;
}

static uint64_t start(uint64_t iova, uint64_t len, uint64_t page_size)
{
	struct model_range r = { iova, len };
	uint64_t real = 0;

	assert_int_equal(model_log_start(m, &r, 1, page_size, &real), 0);
	return real;
}

static void poke(uint64_t iova, size_t len)
{
	uint8_t buf[4 * PAGE] = { 0 };

	assert_true(len <= sizeof(buf));
	assert_int_equal(model_poke_dma(m, iova, buf, len), 0);
}

static void report(struct page_set *set, uint64_t iova, uint64_t len)
{
	*set = (struct page_set){ 0 };
	assert_int_equal(model_log_report(m, iova, len, page_set_add, set), 0);
}

static void reports_exactly_what_was_written_once(void **state)
{
	/* Around words of the bitmap. */
	static const uint64_t pages[] = { 0, 1, 62, 63, 64, 65, 255, 256, 257 };
	struct page_set set;

	(void)state;
	poke(5 * PAGE, 8); /* before: not tracked */
	assert_int_equal(start(0, SPACE, PAGE), PAGE);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		poke(pages[i] * PAGE + i, 8);
	poke(NR_PAGES * PAGE - 1, 1);
	poke(700 * PAGE - 4, 8); /* straddles: two pages */
	poke(63 * PAGE, 8); /* again: no second mark */
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 12);
	assert_int_equal(set.len, PAGE);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		assert_int_equal(set.pages[pages[i]], 1);
	assert_int_equal(set.pages[NR_PAGES - 1], 1);
	assert_int_equal(set.pages[699], 1);
	assert_int_equal(set.pages[700], 1);
	assert_int_equal(counters(m).marks, 12);
	assert_int_equal(counters(m).pages_reported, 12);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 0);
	poke(63 * PAGE, 8);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 1);
	assert_int_equal(counters(m).marks, counters(m).pages_reported);
	assert_int_equal(counters(m).reports, 3);
}

static void report_leaves_what_lies_outside_its_range(void **state)
{
	struct page_set set;

	(void)state;
	start(0, SPACE, PAGE);
	for (uint64_t i = 0; i < 200; i++)
		poke(i * PAGE, 8);
	/* In the middle of words; a part of a page is the whole page. */
	report(&set, 10 * PAGE + 4095, 60 * PAGE);
	assert_int_equal(set.nr_calls, 61);
	assert_int_equal(set.pages[9], 0);
	assert_int_equal(set.pages[10], 1);
	assert_int_equal(set.pages[70], 1);
	assert_int_equal(set.pages[71], 0);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 139);
	assert_int_equal(counters(m).marks, counters(m).pages_reported);
}

static void page_size_is_clamped_and_the_real_one_returned(void **state)
{
	struct model_config c = fake_config("dsa");
	struct page_set set;

	(void)state;
	c.log.min_page = 16384;
	c.log.max_page = 65536;
	make(&c);
	assert_int_equal(start(0, SPACE, PAGE), 16384);
	poke(5 * PAGE, 8);
	poke(6 * PAGE, 8);
	report(&set, 7 * PAGE, 1);
	/* The granule reaches beyond what was asked. */
	assert_int_equal(set.nr_calls, 1);
	assert_int_equal(set.len, 16384);
	assert_int_equal(set.pages[3], 0);
	assert_int_equal(set.pages[4], 1);
	assert_int_equal(set.pages[7], 1);
	assert_int_equal(set.pages[8], 0);
	assert_int_equal(counters(m).marks, 1);
	assert_int_equal(model_log_stop(m), 0);
	assert_int_equal(start(0, SPACE, 1u << 20), 65536);
	assert_int_equal(model_log_stop(m), 0);
	assert_int_equal(start(0, SPACE, 32768), 32768);
}

static void unaligned_ranges_sharing_a_granule_report_it_once(void **state)
{
	struct model_range r[] = { { 0, 3 * PAGE }, { 5 * PAGE, PAGE } };
	struct page_set set;
	uint64_t real;

	(void)state;
	assert_int_equal(model_log_start(m, r, 2, 8 * PAGE, &real), 0);
	poke(5 * PAGE, 8);
	report(&set, 0, 8 * PAGE);
	assert_int_equal(set.nr_calls, 1);
	assert_int_equal(counters(m).marks, 1);
}

static void more_ranges_than_it_has_are_combined_by_smallest_gaps(void **state)
{
	struct model_config c = fake_config("dsa");
	struct model_range r[] = {
		{ 600 * PAGE, 4 * PAGE }, { 0, 4 * PAGE },
		{ 6 * PAGE, 2 * PAGE },	  { 100 * PAGE, 4 * PAGE },
		{ 107 * PAGE, 1 * PAGE },
	};
	struct page_set set;
	uint64_t real;

	(void)state;
	c.log.max_ranges = 3;
	make(&c);
	assert_int_equal(model_log_start(m, r, 5, PAGE, &real), 0);
	poke(5 * PAGE, 8); /* in gaps that were joined */
	poke(105 * PAGE, 8);
	poke(50 * PAGE, 8); /* in gaps that were not */
	poke(300 * PAGE, 8);
	poke(601 * PAGE, 8);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 3);
	assert_int_equal(set.pages[5], 1);
	assert_int_equal(set.pages[105], 1);
	assert_int_equal(set.pages[601], 1);
	report(&set, 50 * PAGE, PAGE);
	assert_int_equal(set.nr_calls, 0);
}

static void joining_keeps_every_range_inside(void **state)
{
	struct log_span s[] = { { 100, 199 },
				{ 0, 9 },
				{ 50, 120 },
				{ UINT64_MAX - 9, UINT64_MAX },
				{ 20, 29 } };

	(void)state;
	assert_int_equal(log_join_spans(s, 5, 0), 4);
	assert_int_equal(s[0].last, 9);
	assert_int_equal(s[2].first, 50);
	assert_int_equal(s[2].last, 199);
	assert_int_equal(log_join_spans(s, 4, 2), 2);
	assert_int_equal(s[0].first, 0);
	assert_int_equal(s[0].last, 199);
	assert_int_equal(s[1].last, UINT64_MAX);
	assert_int_equal(log_join_spans(s, 2, 1), 1);
	assert_int_equal(s[0].last, UINT64_MAX);
}

static void address_bits_round_the_total_length_up(void **state)
{
	struct log_span one[] = { { 0, 0 } }, two[2];

	(void)state;
	assert_int_equal(log_address_bits(one, 1), 0);
	one[0].last = 4095;
	assert_int_equal(log_address_bits(one, 1), 12);
	one[0].last = 4096;
	assert_int_equal(log_address_bits(one, 1), 13);
	one[0].last = UINT64_MAX;
	assert_int_equal(log_address_bits(one, 1), 64);
	two[0] = (struct log_span){ 0, (UINT64_C(1) << 41) - 1 };
	two[1] = (struct log_span){
		UINT64_C(1) << 50, (UINT64_C(1) << 50) + (UINT64_C(1) << 41) - 1
	};
	assert_int_equal(log_address_bits(two, 2), 42);
	two[1].last++;
	assert_int_equal(log_address_bits(two, 2), 43);
	two[0] = (struct log_span){ 0, UINT64_MAX / 2 };
	two[1] = (struct log_span){ UINT64_MAX / 2 + 1, UINT64_MAX };
	assert_int_equal(log_address_bits(two, 2), 64);
}

static void too_wide_or_too_narrow_a_space_is_refused(void **state)
{
	struct model_config c = fake_config("dsa");
	struct model_range r = { 0, 8 * PAGE };
	uint64_t real;

	(void)state;
	c.log.address_bits_min = 14;
	c.log.address_bits_max = 16;
	make(&c);
	assert_int_equal(start(0, 16 * PAGE, PAGE), PAGE);
	assert_int_equal(model_log_stop(m), 0);
	r.len = 16 * PAGE + 1;
	assert_int_equal(model_log_start(m, &r, 1, PAGE, &real), -EOPNOTSUPP);
	assert_non_null(strstr(model_errmsg(), "17 address bits"));
	r.len = 2 * PAGE;
	assert_int_equal(model_log_start(m, &r, 1, PAGE, &real), -EOPNOTSUPP);
	start(100 * PAGE, 4 * PAGE, PAGE);
}

static void log_of_nothing_is_one_that_reports_nothing(void **state)
{
	struct model_config c = fake_config("dsa");
	struct model_range r = { PAGE, 0 };
	struct page_set set = { 0 };
	uint64_t real;

	(void)state;
	c.log.address_bits_min = 14;
	c.log.deaf = 2;
	make(&c);
	assert_int_equal(model_log_start(m, &r, 1, PAGE, &real), 0);
	poke(0, 8);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 0);
	assert_int_equal(model_log_stop(m), 0);
	assert_int_equal(model_log_start(m, NULL, 0, PAGE, &real), 0);
	assert_int_equal(model_log_start(m, &r, 1, PAGE, &real), -EINVAL);
}

static void what_is_not_tracked_is_not_dirty(void **state)
{
	struct page_set set = { 0 };

	(void)state;
	start(2 * PAGE, 2 * PAGE, PAGE);
	poke(0, 8);
	poke(3 * PAGE, 8);
	report(&set, 0, PAGE);
	report(&set, SPACE, PAGE);
	report(&set, UINT64_MAX - PAGE, PAGE);
	assert_int_equal(set.nr_calls, 0);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 1);
	assert_int_equal(set.pages[3], 1);
}

static void gaps_that_are_combined_count_in_the_total(void **state)
{
	struct model_config c = fake_config("dsa");
	struct model_range r[] = { { 0, PAGE }, { 64 * PAGE, PAGE } };
	uint64_t real;

	(void)state;
	c.log.address_bits_max = 13;
	make(&c);
	assert_int_equal(model_log_start(m, r, 2, PAGE, &real), 0);
	c.log.max_ranges = 1;
	make(&c);
	assert_int_equal(model_log_start(m, r, 2, PAGE, &real), -EOPNOTSUPP);
}

static void range_may_end_at_the_last_address(void **state)
{
	struct page_set set = { 0 };
	uint64_t first = UINT64_MAX - 4 * PAGE + 1;

	(void)state;
	start(first, 4 * PAGE, PAGE);
	assert_int_equal(
		model_log_report(m, first, 4 * PAGE, page_set_add, &set), 0);
	assert_int_equal(set.nr_calls, 0);
	assert_int_equal(
		model_log_report(m, first, 4 * PAGE + 1, page_set_add, &set),
		-EINVAL);
}

static void calls_out_of_order_are_refused(void **state)
{
	struct model_config c = fake_config("dsa");
	struct model_range r = { 0, SPACE };
	struct page_set set = { 0 };
	uint64_t real = 99;

	(void)state;
	assert_int_equal(model_log_report(m, 0, PAGE, page_set_add, &set),
			 -EINVAL);
	assert_int_equal(model_log_stop(m), -EINVAL);
	start(0, SPACE, PAGE);
	assert_int_equal(model_log_start(m, &r, 1, PAGE, &real), -EINVAL);
	assert_int_equal(real, 99);
	assert_int_equal(model_log_report(m, 0, 0, page_set_add, &set),
			 -EINVAL);
	assert_int_equal(model_log_stop(m), 0);
	c.log.present = false;
	make(&c);
	assert_int_equal(model_log_start(m, &r, 1, PAGE, &real), -EOPNOTSUPP);
}

static void restart_and_reset_begin_with_nothing_dirty(void **state)
{
	struct page_set set;

	(void)state;
	start(0, SPACE, PAGE);
	poke(0, 8);
	assert_int_equal(model_log_stop(m), 0);
	start(0, SPACE, PAGE);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 0);
	assert_int_equal(model_reset(m), 0);
	assert_int_equal(model_log_report(m, 0, SPACE, page_set_add, &set),
			 -EINVAL);
}

static void fails_from_the_nth_report_on(void **state)
{
	struct model_config c = fake_config("dsa");
	struct page_set set;

	(void)state;
	c.log.fail_after = 3;
	make(&c);
	start(0, SPACE, PAGE);
	report(&set, 0, SPACE);
	report(&set, 0, SPACE);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			model_log_report(m, 0, SPACE, page_set_add, &set),
			-EIO);
	/* A new start is no cure, a reset is. */
	assert_int_equal(model_log_stop(m), 0);
	start(0, SPACE, PAGE);
	assert_int_equal(model_log_report(m, 0, SPACE, page_set_add, &set),
			 -EIO);
	assert_int_equal(model_reset(m), 0);
	start(0, SPACE, PAGE);
	report(&set, 0, SPACE);
}

static void reads_only_while_quiet_if_it_must(void **state)
{
	struct model_config c = fake_config("dsa");
	struct page_set set = { 0 };

	(void)state;
	c.log.read_while_running = false;
	for (int all = 0; all < 2; all++) {
		c.p2p_stops_all = all;
		make(&c);
		start(0, SPACE, PAGE);
		poke(0, 8);
		assert_int_equal(
			model_log_report(m, 0, SPACE, page_set_add, &set),
			-EBUSY);
		assert_int_equal(model_set_level(m, MODEL_P2P), 0);
		assert_int_equal(
			model_log_report(m, 0, SPACE, page_set_add, &set),
			all ? 0 : -EBUSY);
		assert_int_equal(model_set_level(m, MODEL_STOPPED), 0);
		report(&set, 0, SPACE);
		assert_int_equal(set.nr_calls, !all);
	}
}

static void every_16th_granule_marked_is_never_reported(void **state)
{
	struct model_config c = fake_config("dsa");
	struct page_set set;

	(void)state;
	c.log.deaf = 16;
	make(&c);
	start(0, SPACE, PAGE);
	for (uint64_t i = 0; i < 40; i++) {
		poke((100 - i) * PAGE, 8);
		poke(100 * PAGE, 8); /* not distinct: does not count */
	}
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 38);
	assert_int_equal(set.pages[100 - 15], 0);
	assert_int_equal(set.pages[100 - 31], 0);
	assert_int_equal(set.pages[100 - 14], 1);
	/* Never: also when written again. */
	poke((100 - 15) * PAGE, 8);
	poke((100 - 14) * PAGE, 8);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 1);
	assert_int_equal(set.pages[100 - 14], 1);
	/* The 48th comes next. */
	for (uint64_t i = 200; i < 208; i++)
		poke(i * PAGE, 8);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 7);
	assert_int_equal(set.pages[207], 0);
	assert_true(counters(m).marks > counters(m).pages_reported);
}

static void deaf_granules_stay_so_when_the_log_is_started_again(void **state)
{
	struct model_config c = fake_config("dsa");
	struct page_set set;

	(void)state;
	c.log.deaf = 2;
	make(&c);
	for (int round = 0; round < 2; round++) {
		/* As far as it has to grow. */
		start(0, SPACE, PAGE);
		for (uint64_t i = 0; i < 1000; i++)
			poke((round ? 999 - i : i) * PAGE, 8);
		report(&set, 0, SPACE);
		assert_int_equal(set.nr_calls, 500);
		for (uint64_t i = 0; i < 1000; i++)
			assert_int_equal(set.pages[i], 1 - i % 2);
		assert_int_equal(model_log_stop(m), 0);
	}
	/* The order goes on; granules of another size are others. */
	start(0, SPACE, PAGE);
	poke(1000 * PAGE, 8);
	poke(1001 * PAGE, 8);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 1);
	assert_int_equal(set.pages[1000], 1);
	assert_int_equal(model_log_stop(m), 0);
	start(0, SPACE, 2 * PAGE);
	poke(PAGE, 8);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 1);
	assert_int_equal(model_log_stop(m), 0);
	/* As new. */
	assert_int_equal(model_reset(m), 0);
	start(0, SPACE, PAGE);
	poke(PAGE, 8);
	report(&set, 0, SPACE);
	assert_int_equal(set.pages[1], 1);
}

static void deaf_1_never_reports_anything(void **state)
{
	struct model_config c = fake_config("dsa");
	struct page_set set;

	(void)state;
	c.log.deaf = 1;
	make(&c);
	start(0, SPACE, PAGE);
	for (uint64_t i = 0; i < 200; i++)
		poke(i * PAGE, 8);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 0);
	assert_int_equal(counters(m).pages_reported, 0);
	assert_int_equal(counters(m).marks, 200);
}

/* Takes @left granules, then fails. */
struct failing_reader {
	unsigned int left;
	struct page_set set;
};

static int fail_later(void *ctx, uint64_t iova, uint64_t len)
{
	struct failing_reader *f = ctx;

	if (!f->left)
		return -ENOSPC;
	f->left--;
	return page_set_add(&f->set, iova, len);
}

static void granules_the_reader_refused_stay_dirty(void **state)
{
	static const uint32_t queues[] = { 1, 7, 2048 };
	struct model_config c = fake_config("dsa");

	(void)state;
	for (size_t q = 0; q < 3; q++) {
		struct failing_reader f = { .left = 50 };

		c.log.queue = queues[q];
		make(&c);
		start(0, SPACE, PAGE);
		for (uint64_t i = 0; i < 130; i++)
			poke(i * PAGE, 8);
		assert_int_equal(model_log_report(m, 0, SPACE, fail_later, &f),
				 -ENOSPC);
		assert_int_equal(counters(m).pages_reported, 50);
		f.left = NR_PAGES;
		assert_int_equal(model_log_report(m, 0, SPACE, fail_later, &f),
				 0);
		for (uint64_t i = 0; i < 130; i++)
			assert_int_equal(f.set.pages[i], 1);
		assert_int_equal(counters(m).pages_reported, 130);
		assert_int_equal(counters(m).marks, 130);
	}
}

static int write_again_and_fail(void *ctx, uint64_t iova, uint64_t len)
{
	(void)ctx;
	(void)len;
	poke(iova, 8);
	return -ENOSPC;
}

static void a_mark_during_a_report_that_fails_counts_once(void **state)
{
	struct page_set set;

	(void)state;
	start(0, SPACE, PAGE);
	poke(PAGE, 8);
	poke(2 * PAGE, 8);
	assert_int_equal(
		model_log_report(m, 0, SPACE, write_again_and_fail, NULL),
		-ENOSPC);
	report(&set, 0, SPACE);
	assert_int_equal(set.nr_calls, 2);
	assert_int_equal(counters(m).marks, 2);
	assert_int_equal(counters(m).pages_reported, 2);
}

static void marks_that_go_with_the_log_are_discarded(void **state)
{
	struct model_config c = fake_config("dsa");
	struct page_set set;

	(void)state;
	start(0, SPACE, PAGE);
	poke(0, 3 * PAGE);
	report(&set, 0, PAGE);
	assert_int_equal(model_log_stop(m), 0);
	assert_int_equal(counters(m).marks, 3);
	assert_int_equal(counters(m).pages_reported, 1);
	assert_int_equal(counters(m).discarded, 2);
	start(0, SPACE, PAGE);
	poke(0, 8);
	assert_int_equal(model_reset(m), 0);
	assert_int_equal(counters(m).discarded, 3);
	/* That one does not hear is another matter. */
	c.log.deaf = 2;
	make(&c);
	start(0, SPACE, PAGE);
	poke(0, 4 * PAGE);
	assert_int_equal(model_log_stop(m), 0);
	assert_int_equal(counters(m).marks, 4);
	assert_int_equal(counters(m).discarded, 2);
}

static void costs_are_spent(void **state)
{
	struct model_config c = fake_config("dsa");
	struct page_set set;
	struct timespec a, b;

	(void)state;
	c.log.cost_mark_ns = 200000;
	c.log.cost_report_page_ns = 300000;
	make(&c);
	start(0, SPACE, PAGE);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (uint64_t i = 0; i < 10; i++)
		poke(i * PAGE, 8);
	report(&set, 0, SPACE);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true((b.tv_sec - a.tv_sec) * 1000000000L +
			    (b.tv_nsec - a.tv_nsec) >=
		    5000000);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(reports_exactly_what_was_written_once),
		T(report_leaves_what_lies_outside_its_range),
		T(page_size_is_clamped_and_the_real_one_returned),
		T(unaligned_ranges_sharing_a_granule_report_it_once),
		T(more_ranges_than_it_has_are_combined_by_smallest_gaps),
		T(joining_keeps_every_range_inside),
		T(address_bits_round_the_total_length_up),
		T(too_wide_or_too_narrow_a_space_is_refused),
		T(log_of_nothing_is_one_that_reports_nothing),
		T(what_is_not_tracked_is_not_dirty),
		T(gaps_that_are_combined_count_in_the_total),
		T(range_may_end_at_the_last_address),
		T(calls_out_of_order_are_refused),
		T(restart_and_reset_begin_with_nothing_dirty),
		T(fails_from_the_nth_report_on),
		T(reads_only_while_quiet_if_it_must),
		T(every_16th_granule_marked_is_never_reported),
		T(deaf_granules_stay_so_when_the_log_is_started_again),
		T(deaf_1_never_reports_anything),
		T(granules_the_reader_refused_stay_dirty),
		T(a_mark_during_a_report_that_fails_counts_once),
		T(marks_that_go_with_the_log_are_discarded),
		T(costs_are_spent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
