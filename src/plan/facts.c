/* SPDX-License-Identifier: MIT */
/*
 * What the rooms of plan share: reading a fact, and adding a blocker.  Pure.
 */
#include "plan/plan_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

const struct spoor_tracker_fact *
spoor_plan_fact(const struct spoor_device_fact *dev,
		enum spoor_tracker_kind kind)
{
	switch (kind) {
	case SPOOR_TRACKER_DEVICE:
		return &dev->own;
	case SPOOR_TRACKER_IOMMU:
		return &dev->iommu;
	case SPOOR_TRACKER_PINNED:
		return &dev->pinned;
	default:
		return NULL;
	}
}

bool spoor_plan_serves(const struct spoor_tracker_fact *fact)
{
	return fact->usable && !(fact->caps.flags & SPOOR_TRACKER_EVERYTHING);
}

uint64_t spoor_plan_finest(const struct spoor_tracker_caps *caps)
{
	return caps->page_sizes & -caps->page_sizes;
}

const char *spoor_plan_size(char buf[24], uint64_t bytes)
{
	static const char units[] = "\0KMGTPE";
	unsigned int unit = 0;

	while (bytes && !(bytes & 1023) && unit < 6) {
		bytes >>= 10;
		unit++;
	}
	snprintf(buf, 24, "%llu%.1s", (unsigned long long)bytes, &units[unit]);
	return buf;
}

int spoor_plan_block(struct spoor_plan *plan, const char *fmt, ...)
{
	char **grown;
	char *text;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		return spoor_fail(ENOMEM, "plan: out of memory");
	grown = reallocarray(plan->blockers, plan->nr_blockers + 1,
			     sizeof(*grown));
	if (!grown) {
		free(text);
		return spoor_fail(ENOMEM, "plan: out of memory");
	}
	plan->blockers = grown;
	plan->blockers[plan->nr_blockers++] = text;
	return 0;
}
