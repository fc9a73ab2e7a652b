/* SPDX-License-Identifier: MIT */
/*
 * The service gap's formula, on successes made up for it.  Times in ms.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gaps.h"

#define MS 1000000ull

struct service {
	struct stamps *both[2]; /* source and destination */
};

static int setup(void **state)
{
	struct service *s = test_calloc(1, sizeof(*s));

	s->both[0] = test_calloc(1, sizeof(struct stamps));
	s->both[1] = test_calloc(1, sizeof(struct stamps));
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct service *s = *state;

	test_free(s->both[0]);
	test_free(s->both[1]);
	test_free(s);
	return 0;
}

/* A success every ms in [from, to). */
static void succeed(struct stamps *s, uint64_t from, uint64_t to)
{
	for (uint64_t t = from; t < to; t++)
		stamps_add(s, t * MS, 0);
}

static double gap(const struct service *s, const struct gaps_window *w)
{
	struct gap gap = { .ms = -1 };

	assert_true(gaps_service_gap((const struct stamps *const *)s->both, 2,
				     w, &gap));
	return gap.ms;
}

static const struct gaps_window plain = {
	.migration = { 1000 * MS, 2000 * MS },
	.observed_until = 3000 * MS,
};

static void no_gap_when_service_goes_on(void **state)
{
	struct service *s = *state;

	succeed(s->both[0], 0, 3000);
	assert_float_equal(gap(s, &plain), 0, 1e-9);
}

static void gap_is_the_interval_less_the_median(void **state)
{
	struct service *s = *state;

	/* Last at 1499, then 1600: 101 ms, of which 1 is usual. */
	succeed(s->both[0], 0, 1500);
	succeed(s->both[1], 1600, 3000);
	assert_float_equal(gap(s, &plain), 100, 1e-9);
}

static void gap_is_placed_where_its_interval_is(void **state)
{
	struct service *s = *state;
	struct gap g;

	succeed(s->both[0], 0, 1500);
	succeed(s->both[1], 1600, 3000);
	assert_true(gaps_service_gap((const struct stamps *const *)s->both, 2,
				     &plain, &g));
	assert_float_equal(g.begin_ms, 499, 1e-9);
	assert_float_equal(g.end_ms, 600, 1e-9);
}

static void verification_is_not_counted(void **state)
{
	struct service *s = *state;
	struct gaps_window w = plain;

	w.verify[0] = (struct gaps_interval){ 1520 * MS, 1560 * MS };
	succeed(s->both[0], 0, 1500);
	succeed(s->both[1], 1600, 3000);
	assert_float_equal(gap(s, &w), 60, 1e-9);
}

static void both_sides_verification_counts_once_where_it_overlaps(void **state)
{
	struct service *s = *state;
	struct gaps_window w = plain;

	w.verify[0] = (struct gaps_interval){ 1520 * MS, 1560 * MS };
	w.verify[1] = (struct gaps_interval){ 1540 * MS, 1580 * MS };
	succeed(s->both[0], 0, 1500);
	succeed(s->both[1], 1600, 3000);
	assert_float_equal(gap(s, &w), 40, 1e-9);
}

static void silence_outside_the_migration_is_no_gap(void **state)
{
	struct service *s = *state;

	succeed(s->both[0], 0, 100);
	succeed(s->both[0], 600, 2100);
	succeed(s->both[1], 2600, 3000);
	assert_float_equal(gap(s, &plain), 0, 1e-9);
}

static void silence_that_reaches_into_the_migration_counts(void **state)
{
	struct service *s = *state;

	succeed(s->both[0], 0, 900);
	succeed(s->both[1], 1200, 3000);
	assert_float_equal(gap(s, &plain), 300, 1e-9);
}

static void service_that_never_comes_back_counts_to_the_end(void **state)
{
	struct service *s = *state;

	succeed(s->both[0], 0, 1500);
	assert_float_equal(gap(s, &plain), 3000 - 1499 - 1, 1e-9);
}

static void successes_after_the_migration_are_counted(void **state)
{
	struct service *s = *state;
	struct gap g;

	succeed(s->both[0], 0, 1500);
	succeed(s->both[1], 1900, 2101);
	assert_true(gaps_service_gap((const struct stamps *const *)s->both, 2,
				     &plain, &g));
	assert_int_equal(g.after, 100);
}

static void nothing_is_said_of_one_success(void **state)
{
	struct service *s = *state;
	struct gap gap = { .ms = 7 };

	succeed(s->both[0], 1000, 1001);
	assert_false(gaps_service_gap((const struct stamps *const *)s->both, 2,
				      &plain, &gap));
	assert_float_equal(gap.ms, 7, 0);
}

static void the_last_successes_are_kept(void **state)
{
	struct service *s = *state;

	succeed(s->both[0], 0, STAMPS_MAX + 500);
	assert_int_equal(s->both[0]->nr, STAMPS_MAX + 500);
	/* Entries 0..499 were overwritten, and no gap appears from it. */
	assert_float_equal(gap(s, &plain), 0, 1e-9);
}

int main(void)
{
#define PROMISE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		PROMISE(no_gap_when_service_goes_on),
		PROMISE(gap_is_the_interval_less_the_median),
		PROMISE(gap_is_placed_where_its_interval_is),
		PROMISE(verification_is_not_counted),
		PROMISE(both_sides_verification_counts_once_where_it_overlaps),
		PROMISE(silence_outside_the_migration_is_no_gap),
		PROMISE(silence_that_reaches_into_the_migration_counts),
		PROMISE(service_that_never_comes_back_counts_to_the_end),
		PROMISE(successes_after_the_migration_are_counted),
		PROMISE(nothing_is_said_of_one_success),
		PROMISE(the_last_successes_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
