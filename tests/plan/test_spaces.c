/* SPDX-License-Identifier: MIT */
/*
 * Which space each device is put into: what that changes for it and for the
 * others, what is known of it, and that the best is found.
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

/* As in figures.h: dirty bits, a container, and nothing at all. */
enum { MAIN, LONE, ACCEL };

static void offer_there(size_t space, struct spoor_tracker_fact *iommu,
			struct spoor_tracker_fact *pinned)
{
	if (space == MAIN)
		world_offers(iommu, SPOOR_TRACKER_IOMMU, 0x11000);
	if (space == LONE)
		world_offers(pinned, SPOOR_TRACKER_PINNED, 0x1000);
}

/* A device in a space, and what its container is then. */
static struct spoor_device_fact *device_in(struct world *w, size_t space,
					   bool pins)
{
	struct spoor_device_fact *d = world_device(w);
	bool all_pin = true;

	d->space = space;
	d->pins = pins;
	offer_there(space, &d->iommu, &d->pinned);
	for (size_t i = 0; i < w->input.nr_devices; i++)
		all_pin &= w->devices[i].space != LONE || w->devices[i].pins;
	for (size_t i = 0; i < w->input.nr_devices && !all_pin; i++)
		w->devices[i].pinned.caps.flags |= SPOOR_TRACKER_EVERYTHING;
	return d;
}

/* Of the last device. */
static struct spoor_place_fact *place_in(struct world *w, size_t space)
{
	struct spoor_place_fact *p = world_place(w, space);

	offer_there(space, &p->iommu, &p->pinned);
	return p;
}

/* Figures of a space's tracker with those devices; 0: as the machine is. */
static void measured_with(struct world *w, const char *name,
			  enum spoor_tracker_kind kind, unsigned int devices,
			  double rate, double set)
{
	struct spoor_profile_tracker *t = world_tracker(w, name, kind);

	world_page(w, t, 4 * K, rate, set);
	if (kind == SPOOR_TRACKER_IOMMU)
		world_page(w, t, 64 * K, 4 * rate, 4 * set);
	if (devices)
		world_attached(w, devices);
}

/* d0 is tracked in main; d1 in accel is not. */
static void untracked_beside(struct world *w)
{
	world_init(w);
	device_in(w, MAIN, false);
	place_in(w, ACCEL);
	device_in(w, ACCEL, false);
	place_in(w, MAIN);
	w->link.bytes_per_s = G;
	measured_with(w, "main.iommu", SPOOR_TRACKER_IOMMU, 0, 10.0 * M,
		      4.0 * M);
	measured_with(w, "main.iommu", SPOOR_TRACKER_IOMMU, 3, 50.0 * M,
		      20.0 * M);
}

static void spare(struct world *w, const char *const *device)
{
	w->target.objective = SPOOR_LEAST_GAP;
	w->target.devices = device;
	w->target.nr_devices = 1;
}

/* The only line of policy. */
static void say(struct world *w, const char *key, const char *value)
{
	w->overrides[0] =
		(struct spoor_plan_override){ .key = key, .value = value };
	w->input.nr_overrides = 1;
}

static void release(struct spoor_plan *plan, struct spoor_prediction *p)
{
	spoor_prediction_clear(p);
	spoor_plan_free(plan);
}

static const char *const d1[] = { "d1" };

static void a_device_is_moved_to_where_it_is_tracked(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	const char *why;
	struct world w;

	(void)state;
	untracked_beside(&w);
	spare(&w, d1);
	plan = found(&w, &p);
	why = plan->lines[1].reason;
	assert_string_equal(plan->lines[1].space, "main");
	assert_int_equal(plan->lines[1].tracker, SPOOR_TRACKER_IOMMU);
	assert_non_null(strstr(why, "in space main by the machine file, not "
				    "tried there: iommu tracker at "));
	assert_non_null(strstr(why, "; in space accel: "));
	assert_non_null(strstr(why, " would add "));
	assert_string_equal(plan->lines[0].space, "main");
	assert_null(strstr(plan->lines[0].reason, "not tried"));
	/* What d1 would report in main alone was not measured. */
	assert_null(strstr(plan->lines[0].reason, "in space accel"));
	assert_string_equal(p.unmeasured, "");
	/* d0's tracker reports what d1 writes, too. */
	assert_int_equal(p.nr_trackers, 1);
	assert_true(p.devices[0].dirty_bytes > 4 * M);
	release(plan, &p);
}

/* That a device waits is the price of least downtime where nobody tracks it. */
static void its_price_elsewhere_is_told_where_it_stays(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	untracked_beside(&w);
	plan = found(&w, &p);
	assert_string_equal(plan->lines[1].space, "accel");
	assert_int_not_equal(plan->lines[1].when, SPOOR_SUSPEND_TOGETHER);
	assert_non_null(strstr(plan->lines[1].reason, "nobody tracks it; "));
	assert_non_null(strstr(plan->lines[1].reason, "; in space main: "));
	release(plan, &p);
}

static void what_was_never_measured_together_is_no_choice(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	untracked_beside(&w);
	spare(&w, d1);
	w.profile.nr_trackers = 1;
	plan = found(&w, &p);
	assert_string_equal(plan->lines[1].space, "accel");
	assert_string_equal(p.unmeasured, "d1 in space main: no figures of "
					  "main.iommu with d0, d1");
	assert_non_null(strstr(plan->lines[1].reason, p.unmeasured));
	/* Nor is there a price of it. */
	assert_null(strstr(plan->lines[1].reason, "; in space main: "));
	release(plan, &p);
}

static void a_device_is_not_moved_where_it_reaches_more(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	untracked_beside(&w);
	spare(&w, d1);
	w.places[1].eligible = false;
	plan = found(&w, &p);
	assert_string_equal(plan->lines[1].space, "accel");
	assert_string_equal(p.unmeasured, "");
	release(plan, &p);

	/* Unless the user says so. */
	say(&w, "d1.space", "main");
	plan = found(&w, &p);
	assert_string_equal(plan->lines[1].space, "main");
	assert_non_null(strstr(plan->lines[1].reason,
			       "set by the user: d1.space=main"));
	release(plan, &p);
}

static void where_the_user_puts_it_it_stays(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	untracked_beside(&w);
	spare(&w, d1);
	say(&w, "d1.space", "accel");
	plan = found(&w, &p);
	assert_string_equal(plan->lines[1].space, "accel");
	assert_null(strstr(plan->lines[1].reason, "in space main"));
	release(plan, &p);
}

static void of_equals_its_own_space_is_chosen(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	world_init(&w);
	world_offers(&device_in(&w, MAIN, false)->own, SPOOR_TRACKER_DEVICE,
		     0x1000);
	place_in(&w, ACCEL);
	measured_with(&w, "d0.device", SPOOR_TRACKER_DEVICE, 0, 1.0 * M,
		      1.0 * M);
	measured_with(&w, "main.iommu", SPOOR_TRACKER_IOMMU, 0, 1.0 * M,
		      1.0 * M);
	plan = found(&w, &p);
	assert_string_equal(plan->lines[0].space, "main");
	assert_non_null(strstr(plan->lines[0].reason,
			       "in space accel: device tracker at 4K would "
			       "cost the same"));
	release(plan, &p);

	/* Also of what is simpler elsewhere. */
	world_init(&w);
	device_in(&w, LONE, true);
	place_in(&w, MAIN);
	w.link.bytes_per_s = 1ull << 50;
	w.profile.send_bytes_per_s = measured(1e15);
	measured_with(&w, "lone.pinned", SPOOR_TRACKER_PINNED, 0, 1.0 * K,
		      4.0 * K);
	measured_with(&w, "main.iommu", SPOOR_TRACKER_IOMMU, 1, 1.0 * K,
		      4.0 * K);
	plan = found(&w, &p);
	assert_string_equal(plan->lines[0].space, "lone");
	assert_non_null(strstr(plan->lines[0].reason,
			       "in space main: iommu tracker at 4K would cost "
			       "the same"));
	release(plan, &p);
}

/* d0 pins nothing: with it in the container nobody is served there. */
static void one_container(struct world *w)
{
	world_init(w);
	device_in(w, LONE, false);
	place_in(w, MAIN);
	device_in(w, LONE, true);
	place_in(w, MAIN);
	w->link.bytes_per_s = G / 4;
	measured_with(w, "main.iommu", SPOOR_TRACKER_IOMMU, 1, 10.0 * M,
		      4.0 * M);
	measured_with(w, "lone.pinned", SPOOR_TRACKER_PINNED, 2, 1.0 * M,
		      1.0 * M);
}

static void who_leaves_a_container_leaves_it_to_those_who_pin(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	one_container(&w);
	w.target.objective = SPOOR_LEAST_GAP;
	plan = found(&w, &p);
	assert_string_equal(plan->lines[0].space, "main");
	assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_IOMMU);
	assert_string_equal(plan->lines[1].space, "lone");
	assert_int_equal(plan->lines[1].tracker, SPOOR_TRACKER_PINNED);
	assert_non_null(strstr(plan->lines[1].reason,
			       "with d0 in another space: pinned tracker"));
	release(plan, &p);
}

static void who_comes_to_a_container_without_pinning_spoils_it(void **state)
{
	struct spoor_plan *plan = NULL;
	struct world w;

	(void)state;
	world_init(&w);
	device_in(&w, MAIN, false);
	place_in(&w, LONE);
	device_in(&w, LONE, true);
	w.input.policy = "device";
	assert_int_equal(spoor_plan_make(&plan, &w.input), 0);
	assert_int_equal(plan->lines[1].tracker, SPOOR_TRACKER_PINNED);
	plan = spoor_plan_free(plan);

	say(&w, "d0.space", "lone");
	assert_int_equal(spoor_plan_make(&plan, &w.input), 0);
	assert_string_equal(plan->lines[0].space, "lone");
	assert_non_null(strstr(plan->lines[0].reason, "not tried there"));
	assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_ALL);
	assert_int_equal(plan->lines[1].tracker, SPOOR_TRACKER_ALL);
	assert_null(strstr(plan->lines[1].reason, "not tried there"));
	plan = spoor_plan_free(plan);

	/* It pins all that it uses. */
	w.devices[0].pins = true;
	assert_int_equal(spoor_plan_make(&plan, &w.input), 0);
	assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_PINNED);
	assert_int_equal(plan->lines[1].tracker, SPOOR_TRACKER_PINNED);
	spoor_plan_free(plan);
}

static void no_line_moves_a_device_past_the_rules(void **state)
{
	struct spoor_plan *plan = NULL;
	struct world w;

	(void)state;
	untracked_beside(&w);
	say(&w, "d1.space", "main");
	w.devices[1].migration = SPOOR_MIGRATION_STOP_COPY;
	w.places[1].reaches_peer = "d0";
	assert_int_equal(spoor_plan_make(&plan, &w.input), -EPERM);
	assert_non_null(strstr(plan->blockers[0], "maps a BAR of d0"));
	plan = spoor_plan_free(plan);

	w.overrides[0].value = "nowhere";
	assert_int_equal(spoor_plan_make(&plan, &w.input), -EINVAL);
	assert_non_null(strstr(spoor_errmsg(), "d1.space: \"nowhere\""));
	w.overrides[0].value = "lone";
	assert_int_equal(spoor_plan_make(&plan, &w.input), -EINVAL);
	assert_non_null(
		strstr(spoor_errmsg(), "it is attached to space accel"));
	w.places[0].space = 7;
	assert_int_equal(spoor_plan_make(&plan, &w.input), -EINVAL);
	assert_non_null(strstr(spoor_errmsg(), "place 0"));
	assert_null(plan);
}

static void a_plan_is_predicted_where_it_puts_devices(void **state)
{
	struct spoor_prediction p, q;
	struct spoor_plan *plan = NULL;
	struct world w;

	(void)state;
	untracked_beside(&w);
	say(&w, "d1.space", "main");
	assert_int_equal(spoor_plan_make(&plan, &w.input), 0);
	assert_int_equal(spoor_predict(&p, plan, &w.input, &w.profile, &w.link,
				       &w.target),
			 0);
	assert_string_equal(p.trackers[0], "main.iommu");
	/* The figures with both attached, not those of d0 alone. */
	w.profile.trackers++;
	w.profile.nr_trackers--;
	assert_int_equal(spoor_predict(&q, plan, &w.input, &w.profile, &w.link,
				       &w.target),
			 0);
	assert_int_equal(p.total_ns, q.total_ns);
	assert_int_equal(p.bytes, q.bytes);
	spoor_prediction_clear(&q);
	w.profile.trackers--;
	assert_int_equal(spoor_predict(&q, plan, &w.input, &w.profile, &w.link,
				       &w.target),
			 -ENOENT);
	snprintf(plan->lines[1].space, sizeof(plan->lines[1].space), "gone");
	assert_int_equal(spoor_predict(&q, plan, &w.input, &w.profile, &w.link,
				       &w.target),
			 -EINVAL);
	assert_non_null(strstr(spoor_errmsg(), "gone"));
	release(plan, &p);
}

/* A space's tracker at home, and with some sets of devices. */
static void any_measured(struct world *w, const char *name,
			 enum spoor_tracker_kind kind, size_t space,
			 unsigned int *seed)
{
	const unsigned int all = (1u << w->input.nr_devices) - 1;
	unsigned int home = 0;

	for (unsigned int i = 0; i < w->input.nr_devices; i++)
		home |= (w->devices[i].space == space ? 1u : 0u) << i;
	for (unsigned int set = 1; set <= all; set++) {
		if (set != home && maybe(seed, 3))
			continue;
		measured_with(w, name, kind, set == home ? 0 : set,
			      some(seed, 1.0 * M, 1.0 * G),
			      some(seed, 1.0 * M, 256.0 * M));
	}
}

static void any_world(struct world *w, unsigned int *seed, unsigned int nr,
		      bool p2p)
{
	world_init(w);
	for (unsigned int i = 0; i < nr; i++) {
		const size_t home = (size_t)rand_r(seed) % 3;
		struct spoor_device_fact *d =
			device_in(w, home, maybe(seed, 2));

		d->reach_bytes = maybe(seed, 2) ? 2 * G : G / 8;
		d->p2p_stops_all = maybe(seed, 2);
		if (!p2p)
			d->migration = SPOOR_MIGRATION_STOP_COPY;
		if (p2p && maybe(seed, 3)) {
			char name[16];

			world_offers(&d->own, SPOOR_TRACKER_DEVICE, 0x111000);
			snprintf(name, sizeof(name), "%s.device", d->name);
			any_pages(w,
				  world_tracker(w, name, SPOOR_TRACKER_DEVICE),
				  seed);
		}
		for (size_t s = 0; s < 3; s++) {
			if (s != home && !maybe(seed, 4))
				place_in(w, s);
		}
		any_figures(&w->figures[i], seed);
	}
	any_measured(w, "main.iommu", SPOOR_TRACKER_IOMMU, MAIN, seed);
	any_measured(w, "lone.pinned", SPOOR_TRACKER_PINNED, LONE, seed);
	any_target(w, seed);
}

static void no_plan_in_any_space_is_better(void **state)
{
	unsigned int seed = 3;
	struct world w;

	(void)state;
	for (int n = 0; n < 16; n++) {
		any_world(&w, &seed, 1 + (unsigned int)n % 2, true);
		hold_against_all(&w);
	}
	for (int n = 0; n < 2; n++) {
		any_world(&w, &seed, 3, false);
		hold_against_all(&w);
	}
}

/*
 * Six devices: too many ways to try them all.  d0 has to leave the container,
 * but not for main, where it was never measured; and until the others are in
 * main, the worst gap is no less for it.
 */
static void of_many_ways_those_with_figures_are_tried(void **state)
{
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct world w;

	(void)state;
	world_init(&w);
	for (unsigned int i = 0; i < MAX_DEVICES; i++) {
		device_in(&w, i < 2 ? LONE : ACCEL, i == 1);
		place_in(&w, MAIN);
		place_in(&w, i < 2 ? ACCEL : LONE);
	}
	world_offers(&w.devices[0].own, SPOOR_TRACKER_DEVICE, 0x1000);
	w.link.bytes_per_s = G / 4;
	w.target.objective = SPOOR_LEAST_GAP;
	measured_with(&w, "d0.device", SPOOR_TRACKER_DEVICE, 0, 1.0 * M,
		      1.0 * M);
	measured_with(&w, "lone.pinned", SPOOR_TRACKER_PINNED, 1u << 1, 1.0 * M,
		      1.0 * M);
	measured_with(&w, "main.iommu", SPOOR_TRACKER_IOMMU, 0x3c, 20.0 * M,
		      8.0 * M);
	plan = found(&w, &p);
	assert_string_equal(plan->lines[0].space, "accel");
	assert_string_equal(plan->lines[1].space, "lone");
	assert_int_equal(plan->lines[1].tracker, SPOOR_TRACKER_PINNED);
	for (unsigned int i = 2; i < MAX_DEVICES; i++) {
		assert_string_equal(plan->lines[i].space, "main");
		assert_int_equal(plan->lines[i].tracker, SPOOR_TRACKER_IOMMU);
	}
	release(plan, &p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_is_moved_to_where_it_is_tracked),
		cmocka_unit_test(its_price_elsewhere_is_told_where_it_stays),
		cmocka_unit_test(what_was_never_measured_together_is_no_choice),
		cmocka_unit_test(a_device_is_not_moved_where_it_reaches_more),
		cmocka_unit_test(where_the_user_puts_it_it_stays),
		cmocka_unit_test(of_equals_its_own_space_is_chosen),
		cmocka_unit_test(
			who_leaves_a_container_leaves_it_to_those_who_pin),
		cmocka_unit_test(
			who_comes_to_a_container_without_pinning_spoils_it),
		cmocka_unit_test(no_line_moves_a_device_past_the_rules),
		cmocka_unit_test(a_plan_is_predicted_where_it_puts_devices),
		cmocka_unit_test(no_plan_in_any_space_is_better),
		cmocka_unit_test(of_many_ways_those_with_figures_are_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
