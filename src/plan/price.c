/* SPDX-License-Identifier: MIT */
/*
 * What a predicted plan is worth for a target, and how to say it.  Pure.
 */
#include "plan/search_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "plan/plan_priv.h"

#define TIE_PART   0.01
#define TIE_NS	   100e3
#define GUIDE_MISS 1e3
#define GUIDE_GAP  1e-3

static double most(double a, double b)
{
	return a > b ? a : b;
}

static bool named(const struct spoor_target *target, const char *device)
{
	for (size_t i = 0; i < target->nr_devices; i++) {
		if (!strcmp(target->devices[i], device))
			return true;
	}
	return !target->nr_devices;
}

int spoor_price_check(const struct spoor_plan_input *input,
		      const struct spoor_target *target)
{
	for (size_t i = 0; i < target->nr_devices; i++) {
		bool known = false;

		for (size_t d = 0; d < input->nr_devices; d++)
			known |= !strcmp(input->devices[d].name,
					 target->devices[i]);
		if (!known)
			return spoor_fail(EINVAL,
					  "plan: the target names %s, which is "
					  "no device of this machine",
					  target->devices[i]);
	}
	return 0;
}

static double worst_gap(const struct spoor_target *target,
			const struct spoor_plan *plan,
			const struct spoor_prediction *pred)
{
	double worst = 0;

	for (size_t i = 0; i < plan->nr_lines; i++) {
		if (named(target, plan->lines[i].name))
			worst = most(worst, (double)pred->devices[i].gap_ns);
	}
	return worst;
}

/* A device that could be tracked and is taken away is as good as down. */
static double downtime(const struct spoor_search *search,
		       const struct spoor_plan *plan,
		       const struct spoor_prediction *pred)
{
	double worst = (double)pred->downtime_ns;

	for (size_t i = 0; i < plan->nr_lines; i++) {
		const struct spoor_candidates *c = &search->devices[i];

		if (c->trackable && !c->fixed &&
		    plan->lines[i].when != SPOOR_SUSPEND_TOGETHER)
			worst = most(worst, (double)pred->devices[i].gap_ns);
	}
	return worst;
}

static double past(double value, uint64_t limit)
{
	return limit && value > (double)limit ? value - (double)limit : 0;
}

void spoor_price_of(struct spoor_price *ret, const struct spoor_search *search,
		    const struct spoor_plan *plan,
		    const struct spoor_prediction *pred)
{
	const struct spoor_target *target = search->target;
	const double gap = worst_gap(target, plan, pred);

	ret->miss = past((double)pred->downtime_ns, target->limit_downtime_ns) +
		    past((double)pred->total_ns, target->limit_total_ns) +
		    past(gap, target->limit_gap_ns);
	ret->second = (double)(target->objective == SPOOR_LEAST_TOTAL
				       ? pred->downtime_ns
				       : pred->total_ns);
	switch (target->objective) {
	case SPOOR_LEAST_DOWNTIME:
		ret->value = downtime(search, plan, pred);
		break;
	case SPOOR_LEAST_TOTAL:
		ret->value = (double)pred->total_ns;
		break;
	case SPOOR_LEAST_GAP:
		ret->value = gap;
		break;
	case SPOOR_LEAST_BYTES:
		ret->value = (double)pred->bytes;
		break;
	}
	ret->guide = ret->miss * GUIDE_MISS + ret->value;
	for (size_t i = 0; i < plan->nr_lines; i++)
		ret->guide += (double)pred->devices[i].gap_ns * GUIDE_GAP;
}

double spoor_price_tie(double ns)
{
	return most(ns * TIE_PART, TIE_NS);
}

double spoor_price_tolerance(const struct spoor_search *search, double value)
{
	return search->target->objective == SPOOR_LEAST_BYTES
		       ? value * TIE_PART
		       : spoor_price_tie(value);
}

/* Sixteen to the octave: what is a class above is some 5 % more. */
unsigned long spoor_price_class(double second)
{
	const uint64_t v = second < 0x1p62 ? (uint64_t)second : 1ull << 62;
	const unsigned int octave = v < 16 ? 4 : 63 - __builtin_clzll(v);

	return v < 16 ? v : octave * 16ul + ((v >> (octave - 4)) & 15);
}

void spoor_price_name(char *buf, size_t len, const struct spoor_plan_line *line)
{
	const char *how = line->how == SPOOR_SUSPEND_QUIET ? ", quiet" : "";
	const char *when = line->when == SPOOR_SUSPEND_BEFORE_BULK
				   ? "before the bulk copy"
				   : "after the bulk copy";
	char size[24];
	size_t used = 0;

	if (line->tracker == SPOOR_TRACKER_ALL)
		used = (size_t)snprintf(buf, len, "all-dirty");
	else if (line->tracker != SPOOR_TRACKER_NONE)
		used = (size_t)snprintf(buf, len, "%s tracker at %s",
					spoor_tracker_kind_name(line->tracker),
					spoor_plan_size(size, line->page_size));
	if (line->when != SPOOR_SUSPEND_TOGETHER && used < len)
		snprintf(buf + used, len - used, "%ssuspended %s%s",
			 used ? ", " : "", when, how);
	else if (!used)
		snprintf(buf, len, "stopped first, nothing tracked");
}

void spoor_price_text(char *buf, size_t len, const struct spoor_search *search,
		      double value)
{
	static const char *const of[] = {
		[SPOOR_LEAST_DOWNTIME] = "downtime",
		[SPOOR_LEAST_TOTAL] = "total time",
		[SPOOR_LEAST_GAP] = "service gap",
	};
	const enum spoor_objective objective = search->target->objective;

	if (objective == SPOOR_LEAST_BYTES)
		snprintf(buf, len, "%.1f MiB sent", value / 1048576);
	else
		snprintf(buf, len, "%.1f ms of %s", value / 1e6, of[objective]);
}
