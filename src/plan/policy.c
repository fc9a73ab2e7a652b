/* SPDX-License-Identifier: MIT */
/*
 * Policy names, and what each prefers for one device.  Rules, not yet
 * measurements; see docs/plan.md for the table.
 *
 * Invariant: a preference that cannot be served falls back (own tracker,
 * IOMMU, pinned pages, all-dirty) and the reason says so.  Pure.
 */
#include "plan/plan_priv.h"

#include <stdio.h>
#include <string.h>

static const struct spoor_policy policies[] = {
	{ .name = "auto",
	  .first = SPOOR_TRACKER_DEVICE,
	  .suspend_untracked = true },
	{ .name = "device", .first = SPOOR_TRACKER_DEVICE },
	{ .name = "iommu", .first = SPOOR_TRACKER_IOMMU },
	{ .name = "pinned", .first = SPOOR_TRACKER_PINNED },
	{ .name = "finest", .first = SPOOR_TRACKER_NONE },
	{ .name = "all-dirty", .first = SPOOR_TRACKER_ALL },
	{ .name = "suspend-early",
	  .first = SPOOR_TRACKER_DEVICE,
	  .suspend_untracked = true },
	{ .name = "stop-copy", .stop_copy = true },
};

#define NR_POLICIES (sizeof(policies) / sizeof(policies[0]))

static const enum spoor_tracker_kind fallback[] = {
	SPOOR_TRACKER_DEVICE,
	SPOOR_TRACKER_IOMMU,
	SPOOR_TRACKER_PINNED,
};

#define NR_FALLBACK (sizeof(fallback) / sizeof(fallback[0]))

const char *const *spoor_plan_policies(void)
{
	static const char *const names[] = {
		"auto",	     "device",	      "iommu",	   "pinned", "finest",
		"all-dirty", "suspend-early", "stop-copy", NULL,
	};

	return names;
}

const struct spoor_policy *spoor_policy_find(const char *name, bool *ret_strict)
{
	static const char prefix[] = "strict:";

	*ret_strict = !strncmp(name, prefix, sizeof(prefix) - 1);
	if (*ret_strict)
		name += sizeof(prefix) - 1;
	for (size_t i = 0; i < NR_POLICIES; i++) {
		if (!strcmp(policies[i].name, name))
			return &policies[i];
	}
	return NULL;
}

/* The usable tracker with the smallest page; the order breaks ties. */
static enum spoor_tracker_kind finest_kind(const struct spoor_device_fact *dev)
{
	enum spoor_tracker_kind best = SPOOR_TRACKER_ALL;
	uint64_t best_page = UINT64_MAX;

	for (size_t i = 0; i < NR_FALLBACK; i++) {
		const struct spoor_tracker_fact *fact =
			spoor_plan_fact(dev, fallback[i]);
		uint64_t page = spoor_plan_finest(&fact->caps);

		if (spoor_plan_serves(fact) && page < best_page) {
			best = fallback[i];
			best_page = page;
		}
	}
	return best;
}

static enum spoor_tracker_kind next_kind(const struct spoor_device_fact *dev)
{
	for (size_t i = 0; i < NR_FALLBACK; i++) {
		if (spoor_plan_serves(spoor_plan_fact(dev, fallback[i])))
			return fallback[i];
	}
	return SPOOR_TRACKER_ALL;
}

/* Why a kind does not serve a device. */
static const char *why_not(const struct spoor_tracker_fact *fact)
{
	if (!fact->usable)
		return fact->why[0] ? fact->why : "not there";
	return "its container reports everything mapped: not every group in it "
	       "pins its pages";
}

static void set_tracker(struct spoor_plan_line *line,
			const struct spoor_device_fact *dev,
			enum spoor_tracker_kind kind)
{
	const struct spoor_tracker_fact *fact = spoor_plan_fact(dev, kind);

	line->tracker = kind;
	line->page_size = fact ? spoor_plan_finest(&fact->caps) : 4096;
	line->quiet_read =
		fact && (fact->caps.flags & SPOOR_TRACKER_QUIET_READ);
}

/*
 * Nobody tracks it: suspended early it costs only its own users.  Before the
 * bulk copy nothing is sent twice, but it is gone for all of the migration;
 * afterwards what it can reach is sent again.
 */
static void suspend_untracked(struct spoor_plan_line *line,
			      const struct spoor_plan_input *input,
			      const struct spoor_device_fact *dev)
{
	uint64_t reach = dev->reach_bytes;
	bool after = reach && reach <= input->memory_bytes / 2;
	char a[24], b[24];

	line->tracker = SPOOR_TRACKER_NONE;
	line->page_size = 0;
	line->when =
		after ? SPOOR_SUSPEND_AFTER_BULK : SPOOR_SUSPEND_BEFORE_BULK;
	line->how = SPOOR_SUSPEND_STOP;
	snprintf(line->reason, sizeof(line->reason),
		 "nobody tracks it (%s; %s), so it is suspended %s: it can "
		 "reach %s of %s, all-dirty would add that to the downtime",
		 why_not(&dev->own), why_not(&dev->iommu),
		 after ? "after the bulk copy" : "before the bulk copy",
		 spoor_plan_size(a, reach),
		 spoor_plan_size(b, input->memory_bytes));
}

int spoor_policy_apply(struct spoor_plan *plan, struct spoor_plan_line *line,
		       const struct spoor_policy *policy, bool strict,
		       const struct spoor_plan_input *input,
		       const struct spoor_device_fact *dev)
{
	enum spoor_tracker_kind first = policy->first;
	const struct spoor_tracker_fact *fact;
	enum spoor_tracker_kind kind;

	if (first == SPOOR_TRACKER_NONE)
		first = finest_kind(dev);
	fact = spoor_plan_fact(dev, first);
	kind = !fact || spoor_plan_serves(fact) ? first : next_kind(dev);

	if (kind == SPOOR_TRACKER_ALL && policy->suspend_untracked) {
		suspend_untracked(line, input, dev);
		return 0;
	}
	set_tracker(line, dev, kind);
	if (kind != first && strict)
		return spoor_plan_block(
			plan,
			"%s: strict:%s, but %s; drop \"strict:\" to fall back "
			"to %s",
			dev->name, policy->name, why_not(fact),
			spoor_tracker_kind_name(kind));
	if (kind != first)
		snprintf(line->reason, sizeof(line->reason),
			 "policy %s prefers the %s tracker, but %s; falls back "
			 "to %s",
			 policy->name, spoor_tracker_kind_name(first),
			 why_not(fact), spoor_tracker_kind_name(kind));
	else if (kind == SPOOR_TRACKER_ALL)
		snprintf(line->reason, sizeof(line->reason),
			 "policy %s%s: what it can reach is sent again at the "
			 "stop",
			 policy->name,
			 policy->first == SPOOR_TRACKER_NONE
				 ? ", but nobody tracks it"
				 : "");
	else
		snprintf(line->reason, sizeof(line->reason),
			 "policy %s: its %s tracker works, at its finest page "
			 "so that least is sent again",
			 policy->name, spoor_tracker_kind_name(kind));
	return 0;
}
