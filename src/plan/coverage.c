/* SPDX-License-Identifier: MIT */
/*
 * The coverage proof: for one device, why none of its writes can be missed.
 * Either a tracker covers it, or it is quiet while memory is sent, or all it
 * can reach is sent again; anything else is a blocker.  Pure.
 */
#include "plan/plan_priv.h"

#include <stdio.h>

static int prove_quiet(struct spoor_plan *plan,
		       const struct spoor_plan_line *line,
		       const struct spoor_device_fact *dev)
{
	if (line->how != SPOOR_SUSPEND_QUIET)
		return 0;
	if (!(dev->migration & SPOOR_MIGRATION_P2P))
		return spoor_plan_block(
			plan,
			"%s: how=quiet, but it has no P2P states; use "
			"how=stop",
			dev->name);
	if (!dev->p2p_stops_all)
		return spoor_plan_block(
			plan,
			"%s: how=quiet, but its P2P states stop only peer DMA: "
			"it may go on writing memory; use how=stop, or declare "
			"\"p2p_stops\": \"all\" if that is so",
			dev->name);
	return 0;
}

static void say_tracked(struct spoor_plan_line *line, const char *what)
{
	const char *when = "";

	if (line->quiet_read)
		when = ", read only while it is quiet";
	snprintf(line->covered_by, sizeof(line->covered_by), "%s%s", what,
		 when);
}

int spoor_coverage_prove(struct spoor_plan *plan, struct spoor_plan_line *line,
			 const struct spoor_device_fact *dev)
{
	char size[24];
	int ret;

	ret = prove_quiet(plan, line, dev);
	if (ret)
		return ret;
	spoor_plan_size(size, dev->reach_bytes);
	if (plan->stop_copy) {
		snprintf(line->covered_by, sizeof(line->covered_by),
			 "stopped before anything is sent");
		return 0;
	}
	switch (line->tracker) {
	case SPOOR_TRACKER_DEVICE:
		say_tracked(line, "its own DMA log");
		return 0;
	case SPOOR_TRACKER_IOMMU:
		say_tracked(line, "dirty bits of its I/O page table");
		return 0;
	case SPOOR_TRACKER_PINNED:
		say_tracked(line, "the pages its container has pinned");
		return 0;
	case SPOOR_TRACKER_ALL:
		snprintf(line->covered_by, sizeof(line->covered_by),
			 "all-dirty: all it can reach (%s) is sent after the "
			 "stop",
			 size);
		return 0;
	default:
		break;
	}
	if (line->when == SPOOR_SUSPEND_BEFORE_BULK) {
		snprintf(line->covered_by, sizeof(line->covered_by),
			 "suspended before the bulk copy: it writes nothing "
			 "while memory is sent");
		return 0;
	}
	if (line->when == SPOOR_SUSPEND_AFTER_BULK) {
		snprintf(line->covered_by, sizeof(line->covered_by),
			 "suspended after the bulk copy: all it can reach (%s) "
			 "is sent once more after that",
			 size);
		return 0;
	}
	return spoor_plan_block(
		plan,
		"%s: no tracker and not suspended early: its writes would go "
		"unseen; give it a tracker, or suspend it before-bulk or "
		"after-bulk",
		dev->name);
}
