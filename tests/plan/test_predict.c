/* SPDX-License-Identifier: MIT */
/*
 * What a plan costs is computed, not measured: so it can be held against sums
 * done by hand, and against what must be so whatever the figures.
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

#include "plan/predict_priv.h"
#include "tests/plan/figures.h"

#define WITHIN(a, b, part)                                                     \
	assert_true((double)(a) >= (double)(b) * (1 - (part)) - 2 &&           \
		    (double)(a) <= (double)(b) * (1 + (part)) + 2)

/* d0: its own tracker of 4K and 64K, which reports 10 MiB/s up to 64 MiB. */
static struct spoor_device_fact *tracked_device(struct world *w)
{
	struct spoor_device_fact *d = world_device(w);
	char name[16];
	struct spoor_profile_tracker *t;

	world_offers(&d->own, SPOOR_TRACKER_DEVICE, 0x11000);
	snprintf(name, sizeof(name), "%s.device", d->name);
	t = world_tracker(w, name, SPOOR_TRACKER_DEVICE);
	world_page(w, t, 4 * K, 10.0 * M, 64.0 * M);
	world_page(w, t, 64 * K, 80.0 * M, 512.0 * M);
	return d;
}

static void set(struct world *w, const char *key, const char *value)
{
	w->overrides[w->input.nr_overrides++] =
		(struct spoor_plan_override){ .key = key, .value = value };
}

static struct spoor_prediction predicted(struct world *w, const char *policy)
{
	struct spoor_prediction p = { 0 };
	struct spoor_plan *plan = NULL;

	w->input.policy = policy;
	assert_int_equal(spoor_plan_make(&plan, &w->input), 0);
	assert_int_equal(spoor_predict(&p, plan, &w->input, &w->profile,
				       &w->link, &w->target),
			 0);
	assert_int_equal(p.nr_devices, w->input.nr_devices);
	spoor_plan_free(plan);
	return p;
}

static void lacks(struct world *w, const char *policy, const char *says)
{
	struct spoor_prediction p = { .rounds = 77 };
	struct spoor_plan *plan = NULL;

	w->input.policy = policy;
	assert_int_equal(spoor_plan_make(&plan, &w->input), 0);
	assert_int_equal(spoor_predict(&p, plan, &w->input, &w->profile,
				       &w->link, &w->target),
			 -ENOENT);
	assert_int_equal(p.rounds, 77);
	if (!strstr(spoor_errmsg(), says))
		print_error("\"%s\" is not in: %s\n", says, spoor_errmsg());
	assert_non_null(strstr(spoor_errmsg(), says));
	spoor_plan_free(plan);
}

/* Sums by hand */

static void stop_copy_is_one_round_and_the_states(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	tracked_device(&w);
	w.profile.pause_ns = measured(1e6);
	w.profile.resume_ns = measured(1e6);
	w.profile.handover_ns = measured(1e6);
	w.figures[0].stop_ns = measured(3e6);
	w.figures[0].save_ns = measured(4e6);
	w.figures[0].load_ns = measured(5e6);
	w.figures[0].run_ns = measured(6e6);
	w.figures[0].period_ns = measured(7e6);
	w.figures[0].state_bytes = measured(1024.0 * M);
	w.link.latency_ns = 10 * MS;
	p = predicted(&w, "stop-copy");
	assert_int_equal(p.rounds, 1);
	assert_true(p.converges);
	assert_int_equal(p.bytes, 3 * G);
	/*
	 * 1 + 3, 2 s of memory, 4 + 1 s of state, of whose 4096 parts the last
	 * is loaded when it has come, 3 * 10 + 1, 6 + 1, 10
	 */
	WITHIN(p.downtime_ns, 3056 * MS, 1e-5);
	/* before it 20, and 3 of the destination's device */
	WITHIN(p.total_ns, 3079 * MS, 1e-5);
	assert_int_equal(p.paused_ns, 23 * MS);
	WITHIN(p.running_ns, 3069 * MS, 1e-5);
	WITHIN(p.devices[0].gap_ns, 3039 * MS, 1e-5);
	assert_int_equal(p.tracking_ns, 0);
	assert_int_equal(p.nr_trackers, 0);
	spoor_prediction_clear(&p);

	/* Slower to load than to save: what is left of it takes its time. */
	w.figures[0].load_ns = measured(3e9);
	p = predicted(&w, "stop-copy");
	WITHIN(p.downtime_ns, (3056 - 1004 + 3000) * MS, 1e-5);
	spoor_prediction_clear(&p);
}

static void rounds_send_what_was_written_during_the_last(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	tracked_device(&w);
	w.target.downtime_ns = MS / 10;
	p = predicted(&w, "device");
	/* 2 s: 20 MiB; in their 19.53 ms 200 KiB; in theirs 2 KiB: stop. */
	assert_true(p.converges);
	assert_int_equal(p.rounds, 4);
	assert_int_equal(p.timeline[0].bytes, 2 * G);
	assert_int_equal(p.timeline[0].duration_ns, 2000 * MS);
	WITHIN(p.timeline[1].bytes, 20 * M, 0.001);
	WITHIN(p.timeline[2].bytes, 10.0 * M * 20 / 1024, 0.001);
	assert_string_equal(p.trackers[0], "d0.device");
	WITHIN(p.reads[1].bytes, 20 * M, 0.001);
	WITHIN(p.devices[0].dirty_bytes, 20 * M + 10.0 * M * 20 / 1024, 0.01);
	assert_int_equal(p.origin, SPOOR_MEASURED_SW);
	assert_string_equal(p.slowest, "");
	assert_string_equal(p.missing, "");
	spoor_prediction_clear(&p);
}

static void reads_cost_their_clean_part_and_each_page(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	tracked_device(&w);
	w.pages[0][0].start_ns = measured(7e6);
	w.pages[0][0].stop_ns = measured(5e6);
	w.pages[0][0].read_clean_ns = measured(1e6);
	w.pages[0][0].read_page_ns = measured(1e3);
	w.pages[0][0].read_run_ns = measured(1e3);
	w.pages[0][0].digest_ns = measured(2e6);
	w.target.downtime_ns = 100 * MS;
	p = predicted(&w, "device");
	/*
	 * 20 MiB after the bulk round and the start are 5120 pages: a read of
	 * 6.12 ms; at once they fit the target; at the stop what was written
	 * meanwhile, and a clean read, and the walk.
	 */
	assert_int_equal(p.rounds, 2);
	WITHIN(p.reads[1].read_ns, 1e6 + 1e3 * 16, 0.01);
	WITHIN(p.tracking_ns, 7e6 + 6.12e6 + 1.016e6 + 2e6 + 5e6, 0.01);
	WITHIN(p.downtime_ns, 1.016e6 + 2e6 + (20.0 + 0.06) / 1024 * 1e9, 0.01);
	spoor_prediction_clear(&p);

	/* All of it, of twice the memory, costs twice as much. */
	w.profile.memory_bytes = G;
	p = predicted(&w, "device");
	WITHIN(p.reads[1].read_ns, 2e6 + 1e3 * 16, 0.02);
	spoor_prediction_clear(&p);
}

/* As pinned pages that count once unpinned, or at the last read. */
static void what_is_dirty_once_all_stand_still_is_sent_at_the_stop(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	tracked_device(&w);
	w.pages[0][0].still_bytes = measured(64.0 * M);
	w.target.downtime_ns = 100 * MS;
	p = predicted(&w, "device");
	assert_int_equal(p.rounds, 2);
	assert_int_equal(p.timeline[1].bytes, 64 * M);
	WITHIN(p.downtime_ns, 64.0 / 1024 * 1e9, 0.001);
	spoor_prediction_clear(&p);

	/* What was written since is part of it, or it of that. */
	w.pages[0][0].still_bytes = measured(M);
	p = predicted(&w, "device");
	WITHIN(p.timeline[1].bytes, 20 * M, 0.001);
	spoor_prediction_clear(&p);
}

static void zeroes_are_not_sent(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	world_device(&w);
	w.profile.zero_share = measured(0.75);
	p = predicted(&w, "all-dirty");
	assert_int_equal(p.timeline[0].bytes, G / 2);
	WITHIN(p.timeline[0].duration_ns, 500 * MS, 0.001);
	/* and what counts dirty is as the rest of memory is */
	assert_int_equal(p.timeline[p.rounds - 1].bytes, G / 2);
	assert_int_equal(p.devices[0].dirty_bytes, 2 * G);
	spoor_prediction_clear(&p);

	/* They are read all the same, and a link has nothing to do meanwhile. */
	w.profile.zero_bytes_per_s = measured(15.0 * G);
	p = predicted(&w, "all-dirty");
	WITHIN(p.timeline[0].duration_ns, 600 * MS, 0.001);
	spoor_prediction_clear(&p);
	w.link.bytes_per_s = G / 4;
	p = predicted(&w, "all-dirty");
	WITHIN(p.timeline[0].duration_ns, 2100 * MS, 0.001);
	spoor_prediction_clear(&p);
}

/* As a source that must not miss it: no zeroes, nothing unread forgotten. */
static void a_strict_target_reckons_with_the_worst(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	world_device(&w);
	w.profile.zero_share = measured(0.5);
	w.target.downtime_ns = 1500 * MS;
	p = predicted(&w, "all-dirty");
	assert_true(p.converges);
	spoor_prediction_clear(&p);
	w.target.strict_downtime = true;
	p = predicted(&w, "all-dirty");
	assert_false(p.converges);
	spoor_prediction_clear(&p);

	world_init(&w);
	tracked_device(&w)->own.caps.flags |= SPOOR_TRACKER_QUIET_READ;
	p = predicted(&w, "device");
	assert_true(p.converges);
	spoor_prediction_clear(&p);
	w.target.strict_downtime = true;
	p = predicted(&w, "device");
	assert_false(p.converges);
	spoor_prediction_clear(&p);
}

static void memory_fills_while_it_is_sent(void **state)
{
	struct spoor_zero_point later[] = { { 1000 * MS, measured(0.5) },
					    { 3000 * MS, measured(0.25) } };
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	world_device(&w);
	w.profile.zero_share = measured(0.75);
	w.profile.zero_later = later;
	w.profile.nr_zero_later = 2;
	w.link.bytes_per_s = G;
	p = predicted(&w, "all-dirty");
	/* Of 2 GiB half a GiB at first; as it is after half of those 500 ms. */
	WITHIN(p.timeline[0].bytes, 2 * G * (0.25 + 0.25 * 0.25), 0.001);
	/* 640 ms later, and not a byte more once all stand still. */
	WITHIN(p.timeline[p.rounds - 1].bytes, 2 * G * (0.25 + 0.25 * 0.64),
	       0.01);
	spoor_prediction_clear(&p);
	p = predicted(&w, "stop-copy");
	assert_int_equal(p.timeline[0].bytes, G / 2);
	spoor_prediction_clear(&p);
	/* Beyond the last point nothing is known. */
	w.link.bytes_per_s = G / 100;
	p = predicted(&w, "all-dirty");
	WITHIN(p.timeline[p.rounds - 1].bytes, 1.5 * G, 0.001);
	spoor_prediction_clear(&p);
}

/* Of what is reported, three quarters are pinned and were never written. */
static void zeroes_that_are_reported_are_not_sent(void **state)
{
	struct spoor_profile_page *page;
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	world_device(&w);
	world_offers(&w.devices[0].own, SPOOR_TRACKER_DEVICE, 4 * K);
	page = world_page(&w,
			  world_tracker(&w, "d0.device", SPOOR_TRACKER_DEVICE),
			  4 * K, 1e12, 128.0 * M);
	w.target.downtime_ns = 20 * MS;
	w.target.max_rounds = 2;
	p = predicted(&w, "device");
	assert_int_equal(p.timeline[p.rounds - 1].bytes, 128 * M);
	spoor_prediction_clear(&p);
	for (size_t i = 0; i < page->nr_dirty; i++)
		page->dirty[i].zero_share = measured(0.75);
	p = predicted(&w, "device");
	assert_int_equal(p.timeline[p.rounds - 1].bytes, 32 * M);
	assert_int_equal(p.devices[0].dirty_bytes, (p.rounds - 1) * 128 * M);
	spoor_prediction_clear(&p);
}

static void memory_that_both_sides_know_is_sent_at_its_own_rate(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	world_device(&w);
	w.profile.resend_bytes_per_s = measured(4.0 * G);
	p = predicted(&w, "all-dirty");
	WITHIN(p.timeline[0].duration_ns, 2000 * MS, 0.001);
	WITHIN(p.timeline[p.rounds - 1].duration_ns, 500 * MS, 0.001);
	spoor_prediction_clear(&p);
}

static void runs_of_pages_cost_by_their_number(void **state)
{
	struct spoor_prediction p;
	struct world w;
	double fine;

	(void)state;
	world_init(&w);
	tracked_device(&w);
	w.profile.send_run_ns = measured(1e4);
	w.target.downtime_ns = 1;
	w.target.max_rounds = 2;
	p = predicted(&w, "device");
	/* 20 MiB, nowhere near dense: 5120 runs */
	WITHIN(p.timeline[1].duration_ns, 20.0 / 1024 * 1e9 + 5120 * 1e4, 0.02);
	fine = (double)p.timeline[1].duration_ns;
	spoor_prediction_clear(&p);
	set(&w, "d0.page_size", "64K");
	p = predicted(&w, "device");
	/* eight times the bytes, half the runs */
	WITHIN(p.timeline[1].bytes, 160 * M, 0.001);
	assert_true((double)p.timeline[1].duration_ns > fine);
	spoor_prediction_clear(&p);

	/* Counted, they are not guessed. */
	for (size_t i = 0; i < MAX_POINTS; i++)
		w.points[0][1][i].runs = measured(10);
	p = predicted(&w, "device");
	WITHIN(p.timeline[1].duration_ns, 160.0 / 1024 * 1e9 + 10 * 1e4, 0.02);
	spoor_prediction_clear(&p);
}

static void devices_of_one_page_table_are_counted_once(void **state)
{
	struct spoor_profile_tracker *t;
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	for (int i = 0; i < 3; i++)
		world_offers(&world_device(&w)->iommu, SPOOR_TRACKER_IOMMU,
			     0x1000);
	t = world_tracker(&w, "main.iommu", SPOOR_TRACKER_IOMMU);
	world_page(&w, t, 4 * K, 10.0 * M, 64.0 * M);
	w.target.downtime_ns = MS;
	p = predicted(&w, "iommu");
	assert_int_equal(p.nr_trackers, 1);
	WITHIN(p.timeline[1].bytes, 20 * M, 0.001);
	assert_int_equal(p.devices[0].dirty_bytes, p.devices[2].dirty_bytes);
	spoor_prediction_clear(&p);
}

static void a_page_that_is_reported_twice_is_sent_once(void **state)
{
	struct spoor_profile_tracker *t;
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	world_device(&w)->space = 1;
	world_offers(&w.devices[0].pinned, SPOOR_TRACKER_PINNED, 0x1000);
	t = world_tracker(&w, "lone.pinned", SPOOR_TRACKER_PINNED);
	world_page(&w, t, 4 * K, 1e15, 10.0 * M);
	p = predicted(&w, "pinned");
	/* Read after the bulk copy, and again, unsent, at the stop. */
	assert_int_equal(p.rounds, 2);
	assert_int_equal(p.reads[1].bytes, 10 * M);
	assert_int_equal(p.devices[0].dirty_bytes, 20 * M);
	assert_int_equal(p.timeline[1].bytes, 10 * M);
	spoor_prediction_clear(&p);
}

static void a_suspended_device_writes_nothing(void **state)
{
	struct spoor_prediction before, after;
	struct world w;

	(void)state;
	world_init(&w);
	tracked_device(&w);
	w.figures[0].stop_ns = measured(5e6);
	w.figures[0].period_ns = measured(1e6);
	set(&w, "d0.suspend", "before-bulk");
	before = predicted(&w, "auto");
	assert_int_equal(before.rounds, 2);
	assert_int_equal(before.bytes, 2 * G);
	/*
	 * Gone from the first; it is stopped already when all are.  The
	 * destination's leaves RUNNING too.
	 */
	assert_int_equal(before.total_ns, 2010 * MS);
	assert_int_equal(before.devices[0].gap_ns, 2004 * MS);
	assert_int_equal(before.downtime_ns, 0);
	spoor_prediction_clear(&before);

	w.devices[0].reach_bytes = G / 2;
	w.overrides[0].value = "after-bulk";
	after = predicted(&w, "auto");
	/* All that it reaches is sent once more, while the others run. */
	assert_int_equal(after.rounds, 3);
	assert_int_equal(after.bytes, 2 * G + G / 2);
	assert_int_equal(after.downtime_ns, 0);
	assert_int_equal(after.devices[0].gap_ns, 504 * MS);
	assert_int_equal(after.devices[0].dirty_bytes, G / 2);
	spoor_prediction_clear(&after);
}

static void all_dirty_is_sent_again_at_the_stop(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	world_device(&w);
	p = predicted(&w, "all-dirty");
	assert_int_equal(p.bytes, 4 * G);
	assert_int_equal(p.downtime_ns, 2000 * MS);
	assert_false(p.converges);
	assert_string_equal(p.slowest, "main.all");
	spoor_prediction_clear(&p);
	/* Two of them reach the same memory. */
	world_device(&w);
	p = predicted(&w, "all-dirty");
	assert_int_equal(p.downtime_ns, 2000 * MS);
	spoor_prediction_clear(&p);
	w.devices[0].reach_bytes = w.devices[1].reach_bytes = G / 4;
	w.devices[1].space = 1;
	p = predicted(&w, "all-dirty");
	assert_int_equal(p.downtime_ns, 500 * MS);
	spoor_prediction_clear(&p);
}

static void a_quiet_read_pauses_its_device_or_waits_for_the_stop(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	tracked_device(&w)->own.caps.flags |= SPOOR_TRACKER_QUIET_READ;
	w.pages[0][0].read_clean_ns = measured(70e6);
	w.target.downtime_ns = 200 * MS;
	p = predicted(&w, "device");
	/* Read only at the stop: all that was written since the start. */
	assert_int_equal(p.rounds, 2);
	assert_int_equal(p.reads[0].read_ns, 0);
	WITHIN(p.timeline[1].bytes, 20 * M, 0.001);
	WITHIN(p.downtime_ns, 70e6 + 20.0 / 1024 * 1e9, 0.001);
	assert_int_equal(p.devices[0].gap_ns, p.downtime_ns);
	spoor_prediction_clear(&p);

	w.devices[0].p2p_stops_all = true;
	w.pages[0][0].read_clean_ns = measured(300e6);
	w.target.downtime_ns = 10 * MS;
	w.target.max_rounds = 2;
	p = predicted(&w, "device");
	assert_true(p.devices[0].gap_ns >= 300 * MS);
	assert_int_equal(p.reads[1].read_ns, 300 * MS);
	spoor_prediction_clear(&p);
}

static void who_is_too_fast_is_named(void **state)
{
	struct spoor_profile_tracker *cpu;
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	tracked_device(&w);
	cpu = world_tracker(&w, "cpu.process", SPOOR_TRACKER_PROCESS);
	world_page(&w, cpu, 4 * K, 3.0 * G, 1.5 * G);
	p = predicted(&w, "device");
	assert_false(p.converges);
	assert_string_equal(p.slowest, "cpu.process");
	assert_int_equal(p.nr_trackers, 2);
	spoor_prediction_clear(&p);

	w.profile.nr_trackers = 1;
	w.figures[0].state_bytes = measured((double)G);
	p = predicted(&w, "device");
	assert_false(p.converges);
	assert_string_equal(p.slowest, "the devices' state");
	spoor_prediction_clear(&p);
}

static void a_prediction_is_no_better_than_its_weakest_figure(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	tracked_device(&w);
	w.pages[0][1].read_clean_ns.origin = SPOOR_ASSUMED;
	p = predicted(&w, "device");
	assert_int_equal(p.origin, SPOOR_MEASURED_SW);
	spoor_prediction_clear(&p);
	set(&w, "d0.page_size", "64K");
	p = predicted(&w, "device");
	assert_int_equal(p.origin, SPOOR_ASSUMED);
	spoor_prediction_clear(&p);
}

static void what_is_missing_is_named(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	tracked_device(&w);
	w.figures[0].save_ns.origin = SPOOR_UNMEASURED;
	p = predicted(&w, "device");
	assert_non_null(strstr(p.missing, "d0: how long its state takes to "
					  "save"));
	spoor_prediction_clear(&p);
	/* The device itself knows how much state it has. */
	w.figures[0].state_bytes.origin = SPOOR_UNMEASURED;
	w.devices[0].state_bytes = 5 * M;
	p = predicted(&w, "device");
	WITHIN(p.bytes, 2 * G + 20 * M + 5 * M, 0.001);
	spoor_prediction_clear(&p);

	w.trackers[0].nr_pages = 0;
	lacks(&w, "device", "d0.device reports dirty at pages of 4K");
	w.profile.nr_trackers = 0;
	lacks(&w, "device", "tracker d0.device");
	w.profile.send_bytes_per_s.origin = SPOOR_UNMEASURED;
	lacks(&w, "stop-copy", "how fast memory is sent");
	w.link.bytes_per_s = G;
	p = predicted(&w, "stop-copy");
	assert_string_equal(p.missing, "how fast memory is sent");
	spoor_prediction_clear(&p);
}

/* What must be so whatever the figures */

static double some(unsigned int *seed, double low, double high)
{
	return low + (high - low) * (rand_r(seed) % 1000) / 999.0;
}

/* One tracked device and a CPU, their figures at random. */
static void any_world(struct world *w, unsigned int *seed)
{
	struct spoor_profile_tracker *cpu;

	world_init(w);
	tracked_device(w);
	world_device(w);
	for (size_t p = 0; p < 2; p++) {
		w->pages[0][p].read_clean_ns = measured(some(seed, 0, 5e6));
		w->pages[0][p].read_page_ns = measured(some(seed, 0, 2e3));
		w->pages[0][p].digest_ns = measured(some(seed, 0, 1e6));
	}
	cpu = world_tracker(w, "cpu.process", SPOOR_TRACKER_PROCESS);
	world_page(w, cpu, 4 * K, some(seed, 0, 2.0 * G),
		   some(seed, 0, 1.0 * G));
	w->figures[1].state_bytes = measured(some(seed, 0, 32.0 * M));
	w->profile.send_run_ns = measured(some(seed, 0, 2e4));
	w->link.bytes_per_s = (uint64_t)some(seed, 1e7, 2e9);
	w->link.latency_ns = (uint64_t)some(seed, 0, 5e6);
}

static void nothing_written_converges_in_two_rounds(void **state)
{
	unsigned int seed = 3;

	(void)state;
	for (int n = 0; n < 200; n++) {
		struct spoor_prediction p;
		struct world w;

		any_world(&w, &seed);
		w.input.nr_devices = 1;
		memset(w.points, 0, sizeof(w.points));
		for (size_t t = 0; t < 2; t++) {
			for (size_t i = 0; i < MAX_PAGES; i++) {
				w.points[t][i][0].bytes = measured(0);
				w.pages[t][i].nr_dirty = 1;
			}
		}
		p = predicted(&w, "device");
		assert_true(p.converges);
		assert_int_equal(p.rounds, 2);
		assert_int_equal(p.bytes, 2 * G);
		spoor_prediction_clear(&p);
	}
}

/*
 * Not in general: a link so slow that the source gives in at once may be done
 * before one on which it tries for thirty rounds.
 */
static void as_many_rounds_on_a_faster_link_take_no_longer(void **state)
{
	unsigned int seed = 4, compared = 0;

	(void)state;
	for (int n = 0; n < 400; n++) {
		static const char *const policies[] = { "auto", "device",
							"stop-copy" };
		struct spoor_prediction slow, fast;
		struct world w;

		any_world(&w, &seed);
		slow = predicted(&w, policies[n % 3]);
		w.link.bytes_per_s *= 2;
		fast = predicted(&w, policies[n % 3]);
		if (fast.rounds == slow.rounds) {
			assert_true(fast.total_ns <= slow.total_ns);
			compared++;
		}
		spoor_prediction_clear(&slow);
		spoor_prediction_clear(&fast);
	}
	assert_true(compared > 200);
}

static void the_same_input_gives_the_same_answer(void **state)
{
	unsigned int seed = 5;

	(void)state;
	for (int n = 0; n < 50; n++) {
		struct spoor_prediction a, b;
		struct world w;

		any_world(&w, &seed);
		a = predicted(&w, "auto");
		b = predicted(&w, "auto");
		assert_int_equal(a.total_ns, b.total_ns);
		assert_int_equal(a.downtime_ns, b.downtime_ns);
		assert_true(a.paused_ns + a.downtime_ns <= a.total_ns);
		assert_true(a.running_ns >= a.paused_ns);
		assert_true(a.rounds <= SPOOR_DEFAULT_ROUNDS + 1);
		spoor_prediction_clear(&a);
		spoor_prediction_clear(&b);
	}
}

static void what_does_not_fit_here_can_be_predicted(void **state)
{
	struct spoor_prediction p;
	struct world w;

	(void)state;
	world_init(&w);
	tracked_device(&w);
	w.input.memory_bytes = 12ull << 40;
	w.link.bytes_per_s = 1000;
	p = predicted(&w, "device");
	/* 417 years */
	WITHIN(p.total_ns, 1.319e19, 0.5);
	assert_true(p.rounds > 1);
	spoor_prediction_clear(&p);
	w.link.bytes_per_s = 50000000000ull;
	w.profile.send_bytes_per_s = measured(1e11);
	p = predicted(&w, "device");
	WITHIN(p.timeline[0].duration_ns, 263.9e9, 0.01);
	spoor_prediction_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_copy_is_one_round_and_the_states),
		cmocka_unit_test(rounds_send_what_was_written_during_the_last),
		cmocka_unit_test(reads_cost_their_clean_part_and_each_page),
		cmocka_unit_test(
			what_is_dirty_once_all_stand_still_is_sent_at_the_stop),
		cmocka_unit_test(zeroes_are_not_sent),
		cmocka_unit_test(a_strict_target_reckons_with_the_worst),
		cmocka_unit_test(memory_fills_while_it_is_sent),
		cmocka_unit_test(zeroes_that_are_reported_are_not_sent),
		cmocka_unit_test(
			memory_that_both_sides_know_is_sent_at_its_own_rate),
		cmocka_unit_test(runs_of_pages_cost_by_their_number),
		cmocka_unit_test(devices_of_one_page_table_are_counted_once),
		cmocka_unit_test(a_page_that_is_reported_twice_is_sent_once),
		cmocka_unit_test(a_suspended_device_writes_nothing),
		cmocka_unit_test(all_dirty_is_sent_again_at_the_stop),
		cmocka_unit_test(
			a_quiet_read_pauses_its_device_or_waits_for_the_stop),
		cmocka_unit_test(who_is_too_fast_is_named),
		cmocka_unit_test(
			a_prediction_is_no_better_than_its_weakest_figure),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(nothing_written_converges_in_two_rounds),
		cmocka_unit_test(
			as_many_rounds_on_a_faster_link_take_no_longer),
		cmocka_unit_test(the_same_input_gives_the_same_answer),
		cmocka_unit_test(what_does_not_fit_here_can_be_predicted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
