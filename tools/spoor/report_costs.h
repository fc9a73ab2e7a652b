/* SPDX-License-Identifier: MIT */
/*
 * The page sizes of a profile's trackers, and what they cost on which link.
 */
#ifndef SPOOR_TOOL_REPORT_COSTS_H
#define SPOOR_TOOL_REPORT_COSTS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <spoor/predict.h>

#define REPORT_LINKS_MAX     8u
#define REPORT_LINKS_DEFAULT "1G,100G"

struct report_links {
	struct spoor_link_fact of[REPORT_LINKS_MAX]; /* rising */
	size_t nr;
	uint64_t downtime_ns; /* the target; 0: the library's own */
};

/* "1G,100G" instead of those there were; -EINVAL, with @l untouched. */
int report_links_parse(struct report_links *l, const char *list);
/* One of a rate that is there already is not; -E2BIG. */
int report_links_add(struct report_links *l, uint64_t bytes_per_s,
		     uint64_t latency_ns);
/*
 * Adds to the array @into, for each tracker of devices and each link:
 *	{"tracker": "nic0.device", "link_bytes_per_s": 125000000,
 *	 "chosen": 4096, "pages": [{"page_size": 4096, "last_ms": 1.5, ...}]}
 * or, of a tracker that cannot be predicted, {"tracker", "missing": "why"}.
 */
void report_costs(json_t *into, const struct spoor_profile *p,
		  const struct report_links *links);

#endif /* SPOOR_TOOL_REPORT_COSTS_H */
