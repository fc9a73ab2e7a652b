/* SPDX-License-Identifier: MIT */
/*
 * The plan that is found against every plan there is: random small machines
 * with random figures.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <spoor/error.h>

#include "tests/plan/brute.h"

static void any_device(struct world *w, unsigned int *seed)
{
	struct spoor_device_fact *d = world_device(w);
	struct spoor_profile_device *f = &w->figures[w->input.nr_devices - 1];
	char name[16];

	d->p2p_stops_all = maybe(seed, 2);
	d->reach_bytes = maybe(seed, 2) ? 2 * G : G / 8;
	if (maybe(seed, 2)) {
		world_offers(&d->own, SPOOR_TRACKER_DEVICE, 0x111000);
		if (maybe(seed, 4))
			d->own.caps.flags |= SPOOR_TRACKER_QUIET_READ;
		snprintf(name, sizeof(name), "%s.device", d->name);
		any_pages(w, world_tracker(w, name, SPOOR_TRACKER_DEVICE),
			  seed);
	}
	if (maybe(seed, 2))
		world_offers(&d->iommu, SPOOR_TRACKER_IOMMU, 0x11000);
	any_figures(f, seed);
}

static void any_world(struct world *w, unsigned int *seed, unsigned int nr)
{
	struct spoor_profile_tracker *cpu;

	world_init(w);
	any_pages(w, world_tracker(w, "main.iommu", SPOOR_TRACKER_IOMMU), seed);
	for (unsigned int i = 0; i < nr; i++)
		any_device(w, seed);
	cpu = world_tracker(w, "cpu.process", SPOOR_TRACKER_PROCESS);
	world_page(w, cpu, 4 * K, some(seed, 0, 100.0 * M),
		   some(seed, 0, 64.0 * M));
	any_target(w, seed);
}

static void no_plan_is_better_than_the_one_that_is_found(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int n = 0; n < 120; n++) {
		struct world w;

		any_world(&w, &seed, 1 + (unsigned int)n % 3);
		hold_against_all(&w);
	}
}

/* Six devices have more combinations than are all tried. */
static void of_many_choices_none_that_is_near_is_better(void **state)
{
	unsigned int seed = 2;

	(void)state;
	for (int n = 0; n < 15; n++) {
		struct spoor_prediction p;
		struct spoor_plan *plan;
		struct worth it;
		struct world w;

		any_world(&w, &seed, MAX_DEVICES);
		plan = found(&w, &p);
		it = worth_of(&w, plan, &p);
		spoor_prediction_clear(&p);
		/* Any one device on its own, and the plan by rule. */
		for (size_t i = plan->stop_copy ? w.input.nr_devices : 0;
		     i <= w.input.nr_devices; i++) {
			struct spoor_plan *other = NULL;
			struct spoor_prediction q;
			struct worth that;

			assert_int_equal(spoor_plan_make(&other, &w.input), 0);
			for (size_t d = 0; d < plan->nr_lines; d++) {
				if (d != i && i < w.input.nr_devices)
					other->lines[d] = plan->lines[d];
			}
			assert_int_equal(spoor_predict(&q, other, &w.input,
						       &w.profile, &w.link,
						       &w.target),
					 0);
			that = worth_of(&w, other, &q);
			assert_true(it.miss <= that.miss);
			assert_true(it.miss < that.miss ||
				    it.value <= that.value +
							tie(&w, that.value) +
							2);
			spoor_prediction_clear(&q);
			spoor_plan_free(other);
		}
		spoor_plan_free(plan);
	}
}

/* d0: 16 MiB in pages of 4K; 64K reports four times that, for less work. */
static void two_sided(struct world *w)
{
	struct spoor_device_fact *d;
	struct spoor_profile_tracker *t;
	struct spoor_profile_page *fine, *coarse;

	world_init(w);
	d = world_device(w);
	world_offers(&d->own, SPOOR_TRACKER_DEVICE, 0x11000);
	t = world_tracker(w, "d0.device", SPOOR_TRACKER_DEVICE);
	fine = world_page(w, t, 4 * K, 400.0 * M, 16.0 * M);
	coarse = world_page(w, t, 64 * K, 1600.0 * M, 64.0 * M);
	fine->read_page_ns = coarse->read_page_ns = measured(3e3);
	w->profile.send_bytes_per_s = measured(20e9);
	w->profile.send_run_ns = measured(2e3);
}

static void the_best_page_size_depends_on_the_link(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	two_sided(&w);
	/* 1 Gb/s: every byte counts */
	w.link = (struct spoor_link_fact){ 125000000, 100000 };
	plan = found(&w, &p);
	assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_DEVICE);
	assert_int_equal(plan->lines[0].page_size, 4 * K);
	assert_non_null(strstr(plan->lines[0].reason, "device tracker at 4K"));
	assert_non_null(strstr(plan->lines[0].reason,
			       "device tracker at 64K would "
			       "add "));
	assert_non_null(strstr(plan->lines[0].reason, " ms of downtime"));
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);

	/* 400 Gb/s: every page counts */
	w.link = (struct spoor_link_fact){ 50000000000, 2000 };
	plan = found(&w, &p);
	assert_int_equal(plan->lines[0].page_size, 64 * K);
	assert_non_null(strstr(plan->lines[0].reason,
			       "device tracker at 4K would "
			       "add "));
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);
}

static void of_equals_the_simplest_is_chosen(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	two_sided(&w);
	/* So fast that nothing differs by a tenth of a millisecond. */
	w.profile.send_bytes_per_s = measured(1e15);
	w.profile.send_run_ns = measured(0);
	w.pages[0][0].read_page_ns = w.pages[0][1].read_page_ns = measured(0);
	world_offers(&w.devices[0].iommu, SPOOR_TRACKER_IOMMU, 0x1000);
	world_page(&w, world_tracker(&w, "main.iommu", SPOOR_TRACKER_IOMMU),
		   4 * K, 1.0 * M, 1.0 * M);
	plan = found(&w, &p);
	assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_DEVICE);
	assert_int_equal(plan->lines[0].page_size, 4 * K);
	assert_int_equal(plan->lines[0].when, SPOOR_SUSPEND_TOGETHER);
	assert_non_null(strstr(plan->lines[0].reason, "would cost the same"));
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);
}

/* However near the totals are to a round number, or to a class's edge. */
static void of_equals_a_little_in_the_total_decides_nothing(void **state)
{
	struct spoor_profile_tracker *t;
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	world_init(&w);
	world_offers(&world_device(&w)->own, SPOOR_TRACKER_DEVICE, 0x11000);
	t = world_tracker(&w, "d0.device", SPOOR_TRACKER_DEVICE);
	world_page(&w, t, 4 * K, 4.0 * M, 1.0 * M)->start_ns = measured(1e6);
	world_page(&w, t, 64 * K, 4.0 * M, 1.0 * M);
	for (unsigned int i = 0; i < 200; i++) {
		w.input.memory_bytes = 2 * G + i * M;
		w.profile.memory_bytes = w.input.memory_bytes;
		plan = found(&w, &p);
		assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_DEVICE);
		assert_int_equal(plan->lines[0].page_size, 4 * K);
		spoor_prediction_clear(&p);
		spoor_plan_free(plan);
	}
}

static void what_the_user_sets_is_not_searched(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	two_sided(&w);
	w.link = (struct spoor_link_fact){ 125000000, 100000 };
	w.overrides[0] = (struct spoor_plan_override){ .key = "d0.page_size",
						       .value = "64K" };
	w.input.nr_overrides = 1;
	plan = found(&w, &p);
	assert_int_equal(plan->lines[0].page_size, 64 * K);
	assert_non_null(strstr(plan->lines[0].reason,
			       "set by the user: d0.page_size=64K"));
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);

	w.overrides[0] = (struct spoor_plan_override){ .key = "d0.suspend",
						       .value = "before-bulk" };
	w.target.objective = SPOOR_LEAST_GAP;
	plan = found(&w, &p);
	assert_int_equal(plan->lines[0].when, SPOOR_SUSPEND_BEFORE_BULK);
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);

	w.overrides[0] = (struct spoor_plan_override){ .key = "d0.tracker",
						       .value = "all" };
	plan = found(&w, &p);
	assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_ALL);
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);
}

/* An accelerator that nobody tracks, and a nic that is. */
static void nic_and_accelerator(struct world *w)
{
	struct spoor_device_fact *d;

	two_sided(w);
	d = world_device(w);
	d->reach_bytes = G / 2;
	w->link.bytes_per_s = G;
}

static void objectives_trade_the_accelerator_for_the_rest(void **state)
{
	static const char *const accelerator[] = { "d1" };
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	nic_and_accelerator(&w);
	plan = found(&w, &p);
	/* Least downtime: it waits, the nic does not. */
	assert_int_not_equal(plan->lines[1].when, SPOOR_SUSPEND_TOGETHER);
	assert_int_equal(plan->lines[0].when, SPOOR_SUSPEND_TOGETHER);
	assert_non_null(strstr(plan->lines[1].reason, "nobody tracks it"));
	assert_true(p.devices[1].gap_ns > 2 * p.devices[0].gap_ns);
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);

	/* Least gap of the accelerator: it is all-dirty. */
	w.target.objective = SPOOR_LEAST_GAP;
	w.target.devices = accelerator;
	w.target.nr_devices = 1;
	plan = found(&w, &p);
	assert_int_equal(plan->lines[1].when, SPOOR_SUSPEND_TOGETHER);
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);

	/* Least total: nothing is sent twice. */
	w.target.objective = SPOOR_LEAST_TOTAL;
	plan = found(&w, &p);
	assert_int_equal(p.bytes, 2 * G);
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);

	/* ... unless that takes everything down for too long. */
	w.target.limit_downtime_ns = 100 * MS;
	plan = found(&w, &p);
	assert_false(plan->stop_copy);
	assert_true(p.downtime_ns <= 100 * MS);
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);
}

static void giving_tracking_up_is_a_choice_with_its_price(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	two_sided(&w);
	w.pages[0][0].start_ns = w.pages[0][1].start_ns = measured(1e9);
	w.link.bytes_per_s = G;
	w.target.objective = SPOOR_LEAST_TOTAL;
	w.devices[0].migration = SPOOR_MIGRATION_STOP_COPY;
	w.figures[0].stop_ns = measured(0);
	plan = found(&w, &p);
	assert_int_equal(p.bytes, 2 * G);
	assert_non_null(strstr(plan->lines[0].reason, "ms of total time"));
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);
}

static void what_blocks_a_plan_blocks_the_search(void **state)
{
	struct spoor_prediction p = { .rounds = 77 };
	struct spoor_plan *plan = NULL;
	struct world w;

	(void)state;
	two_sided(&w);
	w.devices[0].migration = 0;
	assert_int_equal(spoor_plan_search(&plan, &p, &w.input, &w.profile,
					   &w.link, &w.target),
			 -EPERM);
	assert_int_equal(plan->nr_blockers, 1);
	assert_int_equal(p.rounds, 77);
	plan = spoor_plan_free(plan);

	two_sided(&w);
	w.overrides[0] = (struct spoor_plan_override){ .key = "d0.colour",
						       .value = "red" };
	w.input.nr_overrides = 1;
	assert_int_equal(spoor_plan_search(&plan, &p, &w.input, &w.profile,
					   &w.link, &w.target),
			 -EINVAL);
	assert_null(plan);
	w.input.nr_overrides = 0;
	w.target.devices = (const char *const[]){ "d7" };
	w.target.nr_devices = 1;
	assert_int_equal(spoor_plan_search(&plan, &p, &w.input, &w.profile,
					   &w.link, &w.target),
			 -EINVAL);
	assert_non_null(strstr(spoor_errmsg(), "d7"));
}

static void a_tracker_without_figures_is_not_given_up_silently(void **state)
{
	struct spoor_prediction p = { .rounds = 77 };
	struct spoor_plan *plan = NULL;
	struct world w;

	(void)state;
	two_sided(&w);
	w.profile.nr_trackers = 0;
	assert_int_equal(spoor_plan_search(&plan, &p, &w.input, &w.profile,
					   &w.link, &w.target),
			 -ENOENT);
	assert_non_null(strstr(spoor_errmsg(), "d0.device"));
	assert_null(plan);
	assert_int_equal(p.rounds, 77);
}

static void a_machine_without_devices_has_a_plan(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	world_init(&w);
	plan = found(&w, &p);
	assert_int_equal(plan->nr_lines, 0);
	assert_int_equal(p.rounds, 2);
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_plan_is_better_than_the_one_that_is_found),
		cmocka_unit_test(of_many_choices_none_that_is_near_is_better),
		cmocka_unit_test(the_best_page_size_depends_on_the_link),
		cmocka_unit_test(of_equals_the_simplest_is_chosen),
		cmocka_unit_test(
			of_equals_a_little_in_the_total_decides_nothing),
		cmocka_unit_test(what_the_user_sets_is_not_searched),
		cmocka_unit_test(objectives_trade_the_accelerator_for_the_rest),
		cmocka_unit_test(giving_tracking_up_is_a_choice_with_its_price),
		cmocka_unit_test(what_blocks_a_plan_blocks_the_search),
		cmocka_unit_test(
			a_tracker_without_figures_is_not_given_up_silently),
		cmocka_unit_test(a_machine_without_devices_has_a_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
