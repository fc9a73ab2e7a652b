/* SPDX-License-Identifier: MIT */
/* See brute.h. */
#include "tests/plan/brute.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

double some(unsigned int *seed, double low, double high)
{
	return low + (high - low) * (rand_r(seed) % 1000) / 999.0;
}

bool maybe(unsigned int *seed, unsigned int of)
{
	return rand_r(seed) % of == 0;
}

void any_pages(struct world *w, struct spoor_profile_tracker *t,
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

void any_figures(struct spoor_profile_device *f, unsigned int *seed)
{
	f->stop_ns = measured(some(seed, 0, 30e6));
	f->run_ns = measured(some(seed, 0, 5e6));
	f->state_bytes = measured(some(seed, 0, 16.0 * M));
	f->period_ns = measured(some(seed, 0, 2e6));
}

void any_target(struct world *w, unsigned int *seed)
{
	w->profile.send_run_ns = measured(some(seed, 0, 1e4));
	w->link.bytes_per_s = (uint64_t)some(seed, 5e7, 4e9);
	w->target.downtime_ns = (uint64_t)some(seed, 1e6, 3e8);
	w->target.objective = (enum spoor_objective)(rand_r(seed) % 4);
	if (maybe(seed, 3))
		w->target.limit_downtime_ns = (uint64_t)some(seed, 1e6, 1e9);
	if (maybe(seed, 3))
		w->target.limit_gap_ns = (uint64_t)some(seed, 1e8, 5e9);
}

static double over(uint64_t value, uint64_t limit)
{
	return limit && value > limit ? (double)(value - limit) : 0;
}

static bool pinned(const struct spoor_device_fact *d)
{
	return d->pinned.usable &&
	       !(d->pinned.caps.flags & SPOOR_TRACKER_EVERYTHING);
}

/* The objectives, from their description in the header. */
struct worth worth_of(const struct world *w, const struct spoor_plan *plan,
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
		if ((d->own.usable || d->iommu.usable || pinned(d)) &&
		    its > down && plan->lines[i].when != SPOOR_SUSPEND_TOGETHER)
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
	{ "pinned", "4K", "together", "stop" },
	{ "all", NULL, "together", "stop" },
	{ "none", NULL, "before-bulk", "stop" },
	{ "none", NULL, "before-bulk", "quiet" },
	{ "none", NULL, "after-bulk", "stop" },
	{ "none", NULL, "after-bulk", "quiet" },
};
#define NR_WISHES (sizeof(wishes) / sizeof(wishes[0]))

#define NR_SPACES                                                              \
	(sizeof(((struct world *)0)->spaces) / sizeof(struct spoor_space_fact))
/* Of two devices in three spaces; of three, some wishes are refused. */
#define MAX_WAYS 40000u

static size_t ways_of(const struct world *w)
{
	return NR_WISHES * (w->input.nr_places ? NR_SPACES : 1);
}

/* The n-th way for all devices, as lines of @input. */
static void ask_for(const struct world *w, struct spoor_plan_input *input,
		    struct spoor_plan_override *lines, char (*names)[32],
		    size_t n)
{
	static const char *const keys[] = { "tracker", "page_size", "suspend",
					    "how", "space" };

	for (size_t i = 0; i < input->nr_devices; i++) {
		const size_t way = n % ways_of(w);

		n /= ways_of(w);
		for (size_t o = 0; o < 5; o++) {
			const size_t at = input->nr_overrides;
			const char *value =
				o < 4 ? wishes[way % NR_WISHES][o]
				      : w->spaces[way / NR_WISHES].name;

			if (!value || (o == 4 && !w->input.nr_places))
				continue;
			snprintf(names[at], sizeof(names[at]), "%s.%s",
				 w->devices[i].name, keys[o]);
			lines[at] =
				(struct spoor_plan_override){ .key = names[at],
							      .value = value };
			input->nr_overrides++;
		}
	}
}

/*
 * The best of all, asked for one by one; *ret_nr: how many there are, @list has
 * them, but for the one that tracks nothing.
 */
static struct worth brute_force(struct world *w, struct worth *list,
				size_t *ret_nr)
{
	struct spoor_plan_override lines[5 * MAX_DEVICES];
	char names[5 * MAX_DEVICES][32];
	struct spoor_plan_input input = w->input;
	struct worth best = { 1e300, 1e300, 0 };
	size_t all = 1;

	*ret_nr = 0;
	for (size_t i = 0; i < w->input.nr_devices; i++)
		all *= ways_of(w);
	input.overrides = lines;
	/* One more: nothing is tracked. */
	for (size_t n = 0; n <= all; n++) {
		struct spoor_plan *plan = NULL;
		struct spoor_prediction p;
		int err = 0;

		input.nr_overrides = 0;
		input.policy = n == all ? "stop-copy" : "auto";
		if (n < all)
			ask_for(w, &input, lines, names, n);
		if (!spoor_plan_make(&plan, &input))
			err = spoor_predict(&p, plan, &input, &w->profile,
					    &w->link, &w->target);
		/* Of devices that were never measured in one space. */
		if (err)
			assert_int_equal(err, -ENOENT);
		if (plan && !plan->nr_blockers && !err) {
			struct worth it = worth_of(w, plan, &p);

			if (less(&it, &best))
				best = it;
			spoor_prediction_clear(&p);
			assert_true(*ret_nr < MAX_WAYS);
			if (n < all)
				list[(*ret_nr)++] = it;
		}
		spoor_plan_free(plan);
	}
	return best;
}

struct spoor_plan *found(struct world *w, struct spoor_prediction *p)
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

double tie(const struct world *w, double value)
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

void hold_against_all(struct world *w)
{
	static struct worth list[MAX_WAYS];
	struct spoor_prediction p;
	struct spoor_plan *plan;
	struct worth best, it;
	size_t nr;

	best = brute_force(w, list, &nr);
	assert_true(nr > 0);
	plan = found(w, &p);
	it = worth_of(w, plan, &p);
	assert_true(it.miss <= late(&best));
	assert_true(it.value <= best.value + tie(w, best.value) + 2);
	/* A class is a sixteenth wide. */
	if (!plan->stop_copy)
		assert_true(it.second <=
			    least_second(w, &best, list, nr) * 17 / 16 + 2);
	spoor_prediction_clear(&p);
	spoor_plan_free(plan);
}
