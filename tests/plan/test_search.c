/* SPDX-License-Identifier: MIT */
/*
 * The plan that is found against every plan there is: random small machines
 * with random figures, each combination asked for as a user would.
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

#include "tests/plan/figures.h"

static double some(unsigned int *seed, double low, double high)
{
	return low + (high - low) * (rand_r(seed) % 1000) / 999.0;
}

static bool maybe(unsigned int *seed, unsigned int of)
{
	return rand_r(seed) % of == 0;
}

static void any_pages(struct world *w, struct spoor_profile_tracker *t,
		      unsigned int *seed)
{
	const double rate = some(seed, 1.0 * M, 1.0 * G);
	const double set = some(seed, 1.0 * M, 512.0 * M);

	for (unsigned int i = 0; i < 3; i++) {
		const double more = 1 + i * some(seed, 0.2, 3);
		struct spoor_profile_page *page = world_page(
			w, t, 4096ull << (4 * i), rate * more, set * more);

		page->start_ns = measured(some(seed, 0, 1e6));
		page->read_clean_ns = measured(some(seed, 0, 5e6) / (1 + i));
		page->read_page_ns = measured(some(seed, 0, 3e3));
		page->digest_ns = measured(some(seed, 0, 3e6) / (1 + i));
	}
}

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
	f->stop_ns = measured(some(seed, 0, 30e6));
	f->run_ns = measured(some(seed, 0, 5e6));
	f->state_bytes = measured(some(seed, 0, 16.0 * M));
	f->period_ns = measured(some(seed, 0, 2e6));
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
	w->profile.send_run_ns = measured(some(seed, 0, 1e4));
	w->link.bytes_per_s = (uint64_t)some(seed, 5e7, 4e9);
	w->target.downtime_ns = (uint64_t)some(seed, 1e6, 3e8);
	w->target.objective = (enum spoor_objective)(rand_r(seed) % 4);
	if (maybe(seed, 3))
		w->target.limit_downtime_ns = (uint64_t)some(seed, 1e6, 1e9);
	if (maybe(seed, 3))
		w->target.limit_gap_ns = (uint64_t)some(seed, 1e8, 5e9);
}

struct worth {
	double miss, value, second;
};

static double over(uint64_t value, uint64_t limit)
{
	return limit && value > limit ? (double)(value - limit) : 0;
}

/* The objectives, from their description in the header. */
static struct worth worth_of(const struct world *w,
			     const struct spoor_plan *plan,
			     const struct spoor_prediction *p)
{
	const struct spoor_target *t = &w->target;
	uint64_t gap = 0, down = p->downtime_ns, value = 0;

	for (size_t i = 0; i < plan->nr_lines; i++) {
		const struct spoor_device_fact *d = &w->devices[i];
		const uint64_t its = p->devices[i].gap_ns;
		bool counts = !t->nr_devices;

		for (size_t n = 0; n < t->nr_devices; n++)
			counts |= !strcmp(t->devices[n], d->name);
		if (counts && its > gap)
			gap = its;
		if ((d->own.usable || d->iommu.usable) && its > down &&
		    plan->lines[i].when != SPOOR_SUSPEND_TOGETHER)
			down = its;
	}
	switch (t->objective) {
	case SPOOR_LEAST_DOWNTIME:
		value = down;
		break;
	case SPOOR_LEAST_TOTAL:
		value = p->total_ns;
		break;
	case SPOOR_LEAST_GAP:
		value = gap;
		break;
	case SPOOR_LEAST_BYTES:
		value = p->bytes;
		break;
	}
	return (struct worth){ over(p->downtime_ns, t->limit_downtime_ns) +
				       over(p->total_ns, t->limit_total_ns) +
				       over(gap, t->limit_gap_ns),
			       (double)value,
			       (double)(t->objective == SPOOR_LEAST_TOTAL
						? p->downtime_ns
						: p->total_ns) };
}

static bool less(const struct worth *a, const struct worth *b)
{
	if (a->miss < b->miss || a->miss > b->miss)
		return a->miss < b->miss;
	return a->value < b->value;
}

static const char *const wishes[][4] = {
	{ "device", "4K", "together", "stop" },
	{ "device", "64K", "together", "stop" },
	{ "device", "1M", "together", "stop" },
	{ "iommu", "4K", "together", "stop" },
	{ "iommu", "64K", "together", "stop" },
	{ "all", NULL, "together", "stop" },
	{ "none", NULL, "before-bulk", "stop" },
	{ "none", NULL, "before-bulk", "quiet" },
	{ "none", NULL, "after-bulk", "stop" },
	{ "none", NULL, "after-bulk", "quiet" },
};
#define NR_WISHES (sizeof(wishes) / sizeof(wishes[0]))

/*
 * The best of all, asked for one by one; *ret_nr: how many there are, @list has
 * them, but for the one that tracks nothing.
 */
static struct worth brute_force(struct world *w, struct worth *list,
				size_t *ret_nr)
{
	static const char *const keys[] = { "tracker", "page_size", "suspend",
					    "how" };
	struct spoor_plan_override lines[4 * MAX_DEVICES];
	char names[4 * MAX_DEVICES][32];
	struct spoor_plan_input input = w->input;
	struct worth best = { 1e300, 1e300, 0 };
	size_t all = 1;

	*ret_nr = 0;
	for (size_t i = 0; i < w->input.nr_devices; i++)
		all *= NR_WISHES;
	input.overrides = lines;
	/* One more: nothing is tracked. */
	for (size_t n = 0; n <= all; n++) {
		struct spoor_plan *plan = NULL;
		struct spoor_prediction p;
		size_t k = n;

		input.nr_overrides = 0;
		input.policy = n == all ? "stop-copy" : "auto";
		for (size_t i = 0; n < all && i < input.nr_devices; i++) {
			for (size_t o = 0; o < 4; o++) {
				const size_t at = input.nr_overrides;

				if (!wishes[k % NR_WISHES][o])
					continue;
				snprintf(names[at], sizeof(names[at]), "%s.%s",
					 w->devices[i].name, keys[o]);
				lines[at] = (struct spoor_plan_override){
					.key = names[at],
					.value = wishes[k % NR_WISHES][o],
				};
				input.nr_overrides++;
			}
			k /= NR_WISHES;
		}
		if (!spoor_plan_make(&plan, &input)) {
			struct worth it;

			assert_int_equal(spoor_predict(&p, plan, &input,
						       &w->profile, &w->link,
						       &w->target),
					 0);
			it = worth_of(w, plan, &p);
			if (less(&it, &best))
				best = it;
			spoor_prediction_clear(&p);
			if (n < all)
				list[(*ret_nr)++] = it;
		}
		spoor_plan_free(plan);
	}
	return best;
}

static struct spoor_plan *found(struct world *w, struct spoor_prediction *p)
{
	struct spoor_plan *plan = NULL;

	assert_int_equal(spoor_plan_search(&plan, p, &w->input, &w->profile,
					   &w->link, &w->target),
			 0);
	assert_non_null(plan);
	assert_string_equal(plan->policy, "auto");
	for (size_t i = 0; i < plan->nr_lines; i++) {
		assert_string_equal(plan->lines[i].name, w->devices[i].name);
		assert_true(plan->lines[i].reason[0]);
		assert_true(plan->lines[i].covered_by[0]);
	}
	return plan;
}

static double tie(const struct world *w, double value)
{
	if (w->target.objective != SPOOR_LEAST_BYTES && value * 0.01 < 1e5)
		return 1e5;
	return value * 0.01;
}

/* Past limits that nobody keeps, a little more is no matter. */
static double late(const struct worth *best)
{
	return best->miss <= 0		 ? 0
	       : best->miss * 0.01 < 1e5 ? best->miss + 1e5
					 : best->miss * 1.01;
}

/* Of those that are as good as the best, what the quickest has. */
static double least_second(const struct world *w, const struct worth *best,
			   const struct worth *list, size_t nr)
{
	double least = 1e300;

	for (size_t i = 0; i < nr; i++) {
		if (list[i].miss <= late(best) &&
		    list[i].value <= best->value + tie(w, best->value) &&
		    list[i].second < least)
			least = list[i].second;
	}
	return least;
}

static void no_plan_is_better_than_the_one_that_is_found(void **state)
{
	unsigned int seed = 1;

	(void)state;
	for (int n = 0; n < 120; n++) {
		static struct worth list[NR_WISHES * NR_WISHES * NR_WISHES];
		struct spoor_prediction p;
		struct spoor_plan *plan;
		struct worth best, it;
		struct world w;
		size_t nr;

		any_world(&w, &seed, 1 + (unsigned int)n % 3);
		best = brute_force(&w, list, &nr);
		assert_true(nr > 0);
		plan = found(&w, &p);
		it = worth_of(&w, plan, &p);
		assert_true(it.miss <= late(&best));
		assert_true(it.value <= best.value + tie(&w, best.value) + 2);
		/* A class is a sixteenth wide. */
		if (!plan->stop_copy)
			assert_true(it.second <=
				    least_second(&w, &best, list, nr) * 17 /
						    16 +
					    2);
		spoor_prediction_clear(&p);
		spoor_plan_free(plan);
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
