/* SPDX-License-Identifier: MIT */
/*
 * When a source stops, and how much is dirty after how long: what a prediction
 * is made of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "plan/converge.h"
#include "plan/predict_priv.h"
#include "tests/plan/figures.h"

/* All that is left is dirty memory. */
static enum spoor_converge_verdict ask(struct spoor_converge *c, uint64_t dirty,
				       uint64_t read_ns, unsigned int rounds)
{
	return spoor_converge_ask(c, &(struct spoor_remains){ .dirty = dirty },
				  read_ns, rounds);
}

static void it_stops_once_the_target_can_be_expected(void **state)
{
	struct spoor_converge c;

	(void)state;
	spoor_converge_init(&c, 50 * MS, 30, false);
	spoor_converge_learn(&c, G, G / 4096, 1000 * MS);
	assert_int_equal(ask(&c, G, 0, 1), SPOOR_CONVERGE_ROUND);
	assert_in_range(c.expected_ns, 1000 * MS - 2, 1000 * MS + 2);
	/* 49 ms of sending and 2 ms of reading are too much, 48 are not. */
	assert_int_equal(ask(&c, G * 49 / 1000, 2 * MS, 2),
			 SPOOR_CONVERGE_ROUND);
	assert_int_equal(ask(&c, G * 48 / 1000, 2 * MS, 3),
			 SPOOR_CONVERGE_STOP);
}

static void it_gives_in_when_two_rounds_do_not_shrink(void **state)
{
	struct spoor_converge c;

	(void)state;
	spoor_converge_init(&c, 50 * MS, 30, false);
	spoor_converge_learn(&c, G, G / 4096, 1000 * MS);
	assert_int_equal(ask(&c, G, 0, 1), SPOOR_CONVERGE_ROUND);
	/* nine tenths are no less, a little less than that is */
	assert_int_equal(ask(&c, G / 10 * 9, 0, 2), SPOOR_CONVERGE_ROUND);
	assert_int_equal(ask(&c, G / 10 * 8, 0, 3), SPOOR_CONVERGE_ROUND);
	assert_int_equal(ask(&c, G / 10 * 8, 0, 4), SPOOR_CONVERGE_ROUND);
	assert_int_equal(ask(&c, G / 10 * 8, 0, 5), SPOOR_CONVERGE_GIVE_IN);
	spoor_converge_init(&c, 50 * MS, 3, false);
	spoor_converge_learn(&c, G, G / 4096, 1000 * MS);
	assert_int_equal(ask(&c, G, 0, 2), SPOOR_CONVERGE_ROUND);
	assert_int_equal(ask(&c, G / 2, 0, 3), SPOOR_CONVERGE_GIVE_IN);
}

static void small_rounds_say_nothing_of_the_rate(void **state)
{
	struct spoor_converge c;

	(void)state;
	spoor_converge_init(&c, 50 * MS, 30, false);
	assert_int_equal(ask(&c, G, 0, 1), SPOOR_CONVERGE_STOP);
	/* The first tells something, whatever its size. */
	spoor_converge_learn(&c, 4096, 1, 4096);
	assert_true(c.read_per_ns == 1);
	spoor_converge_learn(&c, 4 * M, 1024, 2 * M);
	assert_true(c.wire_per_ns == 2);
	spoor_converge_learn(&c, 4096, 1, 4096);
	assert_true(c.wire_per_ns == 2 && c.read_per_ns == 1);
	/* Zeroes, many of them: how fast they are read, not how fast is sent. */
	spoor_converge_learn(&c, 0, 1024, M);
	assert_true(c.wire_per_ns == 2 && c.read_per_ns == 4);
	spoor_converge_learn(&c, UINT64_MAX, 1, 1);
	c.wire_per_ns = 1e-12;
	assert_int_equal(ask(&c, UINT64_MAX, 0, 1), SPOOR_CONVERGE_ROUND);
}

/* Of 1 GiB a fourth was sent, then of 4 MiB half, all at 1 GiB/s. */
static void zeroes_are_not_expected_to_be_sent(void **state)
{
	const struct spoor_remains left = { .dirty = G / 10,
					    .certain = G,
					    .state = G / 100 };
	struct spoor_converge c;

	(void)state;
	spoor_converge_init(&c, 50 * MS, 30, false);
	spoor_converge_learn(&c, G / 4, G / 4096, 250 * MS);
	assert_int_equal(spoor_converge_ask(&c, &left, 0, 1),
			 SPOOR_CONVERGE_ROUND);
	/* Nothing that was written is known to be zero yet. */
	assert_in_range(c.expected_ns, 360 * MS - MS, 360 * MS + MS);
	spoor_converge_learn(&c, 2 * M, 1024, 2000 * MS / 1024);
	(void)spoor_converge_ask(&c, &left, 0, 2);
	assert_in_range(c.expected_ns, 360 * MS - MS, 360 * MS + MS);
	/* One such round may have been an accident, two are not. */
	spoor_converge_learn(&c, 2 * M, 1024, 2000 * MS / 1024);
	(void)spoor_converge_ask(&c, &left, 0, 3);
	assert_in_range(c.expected_ns, 310 * MS - MS, 310 * MS + MS);
	/* Who must not miss the target hopes for none. */
	spoor_converge_init(&c, 50 * MS, 30, true);
	spoor_converge_learn(&c, G / 4, G / 4096, 250 * MS);
	(void)spoor_converge_ask(&c, &left, 0, 1);
	assert_in_range(c.expected_ns, 1110 * MS - MS, 1110 * MS + MS);
}

/* At 125 MB/s 400 MiB of zeroes take 80 ms; 500 MiB of data do not. */
static void a_round_of_zeroes_is_no_faster_link(void **state)
{
	struct spoor_converge c;

	(void)state;
	spoor_converge_init(&c, 300 * MS, 30, false);
	spoor_converge_learn(&c, G, G / 4096, 8000 * MS);
	spoor_converge_learn(&c, 4096, 400 * M / 4096, 80 * MS);
	assert_int_equal(ask(&c, 500 * M, 0, 2), SPOOR_CONVERGE_ROUND);
	assert_in_range(c.expected_ns, 3900 * MS, 3910 * MS);
	/* What is zero has to be read all the same. */
	spoor_converge_learn(&c, 2 * M, 400 * M / 4096, 80 * MS);
	spoor_converge_learn(&c, 2 * M, 400 * M / 4096, 80 * MS);
	(void)ask(&c, 400 * M, 0, 4);
	assert_in_range(c.expected_ns, 79 * MS, 81 * MS);
}

/* What a socket took in is not sent yet. */
static void what_is_queued_still_has_to_go(void **state)
{
	const struct spoor_remains left = { .dirty = M, .queued = 100 * M };
	struct spoor_converge c;

	(void)state;
	spoor_converge_init(&c, 50 * MS, 30, false);
	spoor_converge_learn(&c, G, G / 4096, 1000 * MS);
	assert_int_equal(spoor_converge_ask(&c, &left, 0, 1),
			 SPOOR_CONVERGE_ROUND);
	assert_in_range(c.expected_ns, 98 * MS, 100 * MS);
}

/* The curve */

static void what_is_dirty_rises_along_the_points(void **state)
{
	const struct spoor_dirty_point p[] = {
		{ .interval_ns = 100, .bytes = measured(1000) },
		{ .interval_ns = 200, .bytes = measured(1800) },
		{ .interval_ns = 400, .bytes = measured(2000) },
	};

	(void)state;
	assert_true(spoor_curve_bytes(p, 3, 1e9, 0, false) == 0);
	assert_true(spoor_curve_bytes(p, 3, 1e9, 50, false) == 500);
	assert_true(spoor_curve_bytes(p, 3, 1e9, 100, false) == 1000);
	assert_true(spoor_curve_bytes(p, 3, 1e9, 150, false) == 1400);
	assert_true(spoor_curve_bytes(p, 3, 1e9, 400, false) == 2000);
	/* beyond: by the last slope, up to what can be reached */
	assert_true(spoor_curve_bytes(p, 3, 1e9, 500, false) == 2100);
	assert_true(spoor_curve_bytes(p, 3, 2050, 500, false) == 2050);
	assert_true(spoor_curve_bytes(p, 3, 700, 150, false) == 700);
	assert_true(spoor_curve_bytes(p, 1, 1e9, 300, false) == 3000);
	assert_true(spoor_curve_bytes(p, 0, 1e9, 300, false) == 0);
	assert_true(spoor_curve_bytes(p, 3, 1e9, -1, false) == 0);
}

static void a_curve_never_falls_nor_steepens_beyond_its_points(void **state)
{
	const struct spoor_dirty_point falls[] = {
		{ .interval_ns = 100, .bytes = measured(1000) },
		{ .interval_ns = 200, .bytes = measured(900) },
		{ .interval_ns = 300, .bytes = measured(1100) },
	};
	const struct spoor_dirty_point steepens[] = {
		{ .interval_ns = 100, .bytes = measured(100) },
		{ .interval_ns = 200, .bytes = measured(1000) },
	};

	(void)state;
	assert_true(spoor_curve_bytes(falls, 3, 1e9, 200, false) == 1000);
	assert_true(spoor_curve_bytes(falls, 3, 1e9, 250, false) == 1050);
	/* 5 a ns is the average, 9 the last slope */
	assert_true(spoor_curve_bytes(steepens, 2, 1e9, 400, false) == 2000);
}

static void what_is_pinned_stands_dirty_at_every_read(void **state)
{
	const struct spoor_dirty_point p[] = {
		{ .interval_ns = 100, .bytes = measured(1000) },
		{ .interval_ns = 200, .bytes = measured(1100) },
	};

	(void)state;
	assert_true(spoor_curve_bytes(p, 2, 1e9, 0, true) == 900);
	assert_true(spoor_curve_bytes(p, 2, 1e9, 50, true) == 950);
	assert_true(spoor_curve_bytes(p, 1, 1e9, 1, true) == 1000);
	assert_true(spoor_curve_bytes(p, 2, 1e9, 150, true) == 1050);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_stops_once_the_target_can_be_expected),
		cmocka_unit_test(it_gives_in_when_two_rounds_do_not_shrink),
		cmocka_unit_test(small_rounds_say_nothing_of_the_rate),
		cmocka_unit_test(zeroes_are_not_expected_to_be_sent),
		cmocka_unit_test(a_round_of_zeroes_is_no_faster_link),
		cmocka_unit_test(what_is_queued_still_has_to_go),
		cmocka_unit_test(what_is_dirty_rises_along_the_points),
		cmocka_unit_test(
			a_curve_never_falls_nor_steepens_beyond_its_points),
		cmocka_unit_test(what_is_pinned_stands_dirty_at_every_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
