/* SPDX-License-Identifier: MIT */
/*
 * The plan is a pure function: facts in, decisions out.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <spoor/error.h>
#include <spoor/plan.h>

#define G (1ull << 30)

static const struct spoor_tracker_fact absent = { .why = "there is none" };

static struct spoor_tracker_fact
tracker(enum spoor_tracker_kind kind, uint64_t page_sizes, unsigned int flags)
{
	return (struct spoor_tracker_fact){
		.usable = true,
		.caps = { .kind = kind,
			  .page_sizes = page_sizes,
			  .flags = flags },
	};
}

struct machine {
	struct spoor_device_fact devices[2];
	struct spoor_space_fact spaces[2];
	struct spoor_plan_override overrides[2];
	struct spoor_plan_input input;
};

/* nic0 with its own tracker of 4K to 16M; dsa0 without any. */
static void nic_and_dsa(struct machine *m)
{
	*m = (struct machine){
		.devices = {
			{ .name = "nic0",
			  .migration = SPOOR_MIGRATION_STOP_COPY |
				       SPOOR_MIGRATION_P2P,
			  .reach_bytes = 2 * G,
			  .own = tracker(SPOOR_TRACKER_DEVICE, 0x1fff000,
					 SPOOR_TRACKER_EXACT),
			  .iommu = absent,
			  .pinned = absent },
			{ .name = "dsa0",
			  .migration = SPOOR_MIGRATION_STOP_COPY |
				       SPOOR_MIGRATION_P2P,
			  .reach_bytes = 2 * G,
			  .own = absent,
			  .iommu = absent,
			  .pinned = absent },
		},
		.spaces = { { .name = "main",
			      .backend = SPOOR_SPACE_IOMMUFD },
			    { .name = "lone",
			      .backend = SPOOR_SPACE_TYPE1 } },
	};
	m->input = (struct spoor_plan_input){
		.size = sizeof(m->input),
		.devices = m->devices,
		.nr_devices = 2,
		.spaces = m->spaces,
		.nr_spaces = 2,
		.memory_bytes = 2 * G,
	};
}

static struct spoor_plan *planned(struct machine *m, const char *policy)
{
	struct spoor_plan *plan = NULL;

	m->input.policy = policy;
	assert_int_equal(spoor_plan_make(&plan, &m->input), 0);
	assert_non_null(plan);
	assert_int_equal(plan->nr_blockers, 0);
	for (size_t i = 0; i < plan->nr_lines; i++) {
		assert_true(plan->lines[i].reason[0]);
		assert_true(plan->lines[i].covered_by[0]);
	}
	return plan;
}

static void refused(struct machine *m, const char *policy, const char *says)
{
	struct spoor_plan *plan = NULL;
	bool found = false;

	m->input.policy = policy;
	assert_int_equal(spoor_plan_make(&plan, &m->input), -EPERM);
	assert_non_null(plan);
	for (size_t i = 0; i < plan->nr_blockers; i++)
		found |= strstr(plan->blockers[i], says) != NULL;
	if (!found)
		print_error("no blocker says \"%s\"; first: %s\n", says,
			    plan->blockers[0]);
	assert_true(found);
	spoor_plan_free(plan);
}

static void invalid(struct machine *m, const char *policy, const char *says)
{
	struct spoor_plan *plan = (void *)m;

	m->input.policy = policy;
	assert_int_equal(spoor_plan_make(&plan, &m->input), -EINVAL);
	assert_ptr_equal(plan, m);
	assert_non_null(strstr(spoor_errmsg(), says));
}

static void override(struct machine *m, const char *key, const char *value)
{
	m->overrides[m->input.nr_overrides++] =
		(struct spoor_plan_override){ .key = key, .value = value };
	m->input.overrides = m->overrides;
}

static void auto_tracks_what_it_can_and_suspends_the_rest(void **state)
{
	struct spoor_plan *plan;
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	plan = planned(&m, NULL);
	assert_string_equal(plan->policy, "auto");
	assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_DEVICE);
	assert_int_equal(plan->lines[0].page_size, 4096);
	assert_int_equal(plan->lines[0].when, SPOOR_SUSPEND_TOGETHER);
	assert_int_equal(plan->lines[1].tracker, SPOOR_TRACKER_NONE);
	assert_int_equal(plan->lines[1].when, SPOOR_SUSPEND_BEFORE_BULK);
	assert_non_null(strstr(plan->lines[1].reason, "nobody tracks it"));
	spoor_plan_free(plan);
}

static void auto_suspends_after_the_bulk_what_reaches_little(void **state)
{
	struct spoor_plan *plan;
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	m.devices[1].space = 1;
	m.devices[1].reach_bytes = G / 8;
	plan = planned(&m, "auto");
	assert_int_equal(plan->lines[1].when, SPOOR_SUSPEND_AFTER_BULK);
	assert_non_null(strstr(plan->lines[1].covered_by, "128M"));
	spoor_plan_free(plan);
}

static void device_policy_counts_the_untracked_all_dirty(void **state)
{
	struct spoor_plan *plan;
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	plan = planned(&m, "device");
	assert_int_equal(plan->lines[1].tracker, SPOOR_TRACKER_ALL);
	assert_non_null(strstr(plan->lines[1].reason, "there is none"));
	assert_non_null(strstr(plan->lines[1].covered_by, "all-dirty"));
	spoor_plan_free(plan);
}

static void a_preference_falls_back_and_says_so(void **state)
{
	struct spoor_plan *plan;
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	plan = planned(&m, "iommu");
	assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_DEVICE);
	assert_non_null(strstr(plan->lines[0].reason, "falls back to device"));
	spoor_plan_free(plan);
}

static void strict_refuses_what_it_cannot_serve(void **state)
{
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	refused(&m, "strict:iommu", "nic0: strict:iommu");
	nic_and_dsa(&m);
	refused(&m, "strict:device", "dsa0: strict:device");
}

static void finest_takes_the_smallest_page_of_any_tracker(void **state)
{
	struct spoor_plan *plan;
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	m.devices[0].own.caps.page_sizes = 0x10000;
	m.devices[0].iommu =
		tracker(SPOOR_TRACKER_IOMMU, 0x1000, SPOOR_TRACKER_EXACT);
	plan = planned(&m, "finest");
	assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_IOMMU);
	assert_int_equal(plan->lines[0].page_size, 4096);
	spoor_plan_free(plan);
}

static void a_container_that_reports_everything_is_no_tracker(void **state)
{
	struct spoor_plan *plan;
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	m.devices[1].pinned =
		tracker(SPOOR_TRACKER_PINNED, 0x1000, SPOOR_TRACKER_EVERYTHING);
	plan = planned(&m, "pinned");
	assert_int_equal(plan->lines[1].tracker, SPOOR_TRACKER_ALL);
	spoor_plan_free(plan);

	m.devices[1].pinned.caps.flags = 0;
	plan = planned(&m, "pinned");
	assert_int_equal(plan->lines[1].tracker, SPOOR_TRACKER_PINNED);
	spoor_plan_free(plan);
}

static void stop_copy_stops_everything_first(void **state)
{
	struct spoor_plan *plan;
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	plan = planned(&m, "stop-copy");
	assert_true(plan->stop_copy);
	assert_int_equal(plan->lines[0].tracker, SPOOR_TRACKER_NONE);
	assert_non_null(strstr(plan->lines[0].covered_by, "stopped before"));
	spoor_plan_free(plan);
}

static void overrides_win_and_are_named_as_the_reason(void **state)
{
	struct spoor_plan *plan;
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	override(&m, "nic0.page_size", "16K");
	override(&m, "dsa0.suspend", "after-bulk");
	plan = planned(&m, "auto");
	assert_int_equal(plan->lines[0].page_size, 16384);
	assert_int_equal(plan->lines[1].when, SPOOR_SUSPEND_AFTER_BULK);
	assert_non_null(strstr(plan->lines[1].reason, "dsa0.suspend"));
	spoor_plan_free(plan);
}

static void page_sizes_that_no_tracker_has_become_the_nearest(void **state)
{
	static const struct {
		const char *wish;
		uint64_t page;
	} cases[] = {
		{ "1T", 16u << 20 }, { "32M", 16u << 20 }, { "16M", 16u << 20 },
		{ "8K", 16384 },     { "4K", 16384 },	   { "16K", 16384 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char real[24];
		struct spoor_plan *plan;
		struct machine m;

		nic_and_dsa(&m);
		m.devices[0].own.caps.page_sizes = 0x1ffc000;
		override(&m, "nic0.page_size", cases[i].wish);
		plan = planned(&m, "auto");
		assert_int_equal(plan->lines[0].page_size, cases[i].page);
		snprintf(real, sizeof(real), "%s is nearest",
			 cases[i].page == 16384 ? "16K" : "16M");
		assert_int_equal(!strstr(plan->lines[0].reason, real),
				 !strcmp(cases[i].wish, "16M") ||
					 !strcmp(cases[i].wish, "16K"));
		spoor_plan_free(plan);
	}
}

static void writes_that_nobody_would_see_are_refused(void **state)
{
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	override(&m, "nic0.tracker", "none");
	refused(&m, "auto", "nic0: no tracker and not suspended early");

	nic_and_dsa(&m);
	override(&m, "dsa0.tracker", "device");
	refused(&m, "auto", "dsa0.tracker=device, but there is none");
}

static void quiet_needs_p2p_states_that_stop_everything(void **state)
{
	struct spoor_plan *plan;
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	override(&m, "dsa0.suspend", "before-bulk");
	override(&m, "dsa0.how", "quiet");
	refused(&m, "auto", "stop only peer DMA");

	m.devices[1].p2p_stops_all = true;
	plan = planned(&m, "auto");
	assert_int_equal(plan->lines[1].how, SPOOR_SUSPEND_QUIET);
	spoor_plan_free(plan);

	m.devices[1].migration = SPOOR_MIGRATION_STOP_COPY;
	refused(&m, "auto", "no P2P states");
}

static void a_tracker_readable_only_when_quiet_is_marked_so(void **state)
{
	struct spoor_plan *plan;
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	m.devices[0].own.caps.flags |= SPOOR_TRACKER_QUIET_READ;
	plan = planned(&m, "auto");
	assert_true(plan->lines[0].quiet_read);
	assert_non_null(strstr(plan->lines[0].covered_by, "quiet"));
	spoor_plan_free(plan);
}

static void what_cannot_migrate_blocks_and_says_what_lifts_it(void **state)
{
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	m.devices[1].migration = 0;
	refused(&m, "auto", "unplug it");

	nic_and_dsa(&m);
	m.devices[1].noiommu = true;
	refused(&m, "auto", "No-IOMMU");
	refused(&m, "stop-copy", "No-IOMMU");
}

static void without_p2p_states_no_peer_may_be_reached(void **state)
{
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	m.devices[1].reaches_peer = "nic0";
	spoor_plan_free(planned(&m, "auto"));
	m.devices[1].migration = SPOOR_MIGRATION_STOP_COPY;
	refused(&m, "auto", "BAR of nic0");
	m.input.allow_unsafe_p2p = true;
	spoor_plan_free(planned(&m, "auto"));
}

static void nonsense_is_named(void **state)
{
	struct machine m;

	(void)state;
	nic_and_dsa(&m);
	invalid(&m, "fastest", "\"fastest\"");
	override(&m, "nic1.tracker", "device");
	invalid(&m, "auto", "nic1.tracker");

	nic_and_dsa(&m);
	override(&m, "nic0.colour", "red");
	invalid(&m, "auto", "nic0.colour");

	nic_and_dsa(&m);
	override(&m, "nic0.tracker", "magic");
	invalid(&m, "auto", "magic");

	static const char *const sizes[] = { "",	 "3K",
					     "2K",	 "-4K",
					     "4Kx",	 "99999999999999999999",
					     "16777216T" };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		nic_and_dsa(&m);
		override(&m, "nic0.page_size", sizes[i]);
		invalid(&m, "auto", "nic0.page_size");
	}
}

static void every_policy_plans_every_device_or_says_why(void **state)
{
	struct machine m;

	(void)state;
	for (const char *const *p = spoor_plan_policies(); *p; p++) {
		nic_and_dsa(&m);
		spoor_plan_free(planned(&m, *p));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auto_tracks_what_it_can_and_suspends_the_rest),
		cmocka_unit_test(
			auto_suspends_after_the_bulk_what_reaches_little),
		cmocka_unit_test(device_policy_counts_the_untracked_all_dirty),
		cmocka_unit_test(a_preference_falls_back_and_says_so),
		cmocka_unit_test(strict_refuses_what_it_cannot_serve),
		cmocka_unit_test(finest_takes_the_smallest_page_of_any_tracker),
		cmocka_unit_test(
			a_container_that_reports_everything_is_no_tracker),
		cmocka_unit_test(stop_copy_stops_everything_first),
		cmocka_unit_test(overrides_win_and_are_named_as_the_reason),
		cmocka_unit_test(
			page_sizes_that_no_tracker_has_become_the_nearest),
		cmocka_unit_test(writes_that_nobody_would_see_are_refused),
		cmocka_unit_test(quiet_needs_p2p_states_that_stop_everything),
		cmocka_unit_test(
			a_tracker_readable_only_when_quiet_is_marked_so),
		cmocka_unit_test(
			what_cannot_migrate_blocks_and_says_what_lifts_it),
		cmocka_unit_test(without_p2p_states_no_peer_may_be_reached),
		cmocka_unit_test(nonsense_is_named),
		cmocka_unit_test(every_policy_plans_every_device_or_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
