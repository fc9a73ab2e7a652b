/* SPDX-License-Identifier: MIT */
/*
 * The service gap: how long a device's users noticed it missing.
 */
#ifndef SPOOR_TOOL_GAPS_H
#define SPOOR_TOOL_GAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stamps.h"

struct gaps_interval {
	uint64_t begin, end; /* ns; end 0: none */
};

struct gaps_window {
	struct gaps_interval migration;
	struct gaps_interval verify[2]; /* of source and destination */
	uint64_t observed_until; /* when looking ended */
};

struct gap {
	double ms;
	double begin_ms, end_ms; /* its interval, from the migration's begin */
	uint64_t after; /* successes since the migration's end */
};

/*
 * The largest, over intervals between consecutive successes that overlap the
 * migration, of (interval - its overlap with verification - the median
 * interval), at least 0.  A service that never came back counts up to the end
 * of looking.  false: there were no two successes, nothing can be said.
 */
bool gaps_service_gap(const struct stamps *const *stamps, size_t nr,
		      const struct gaps_window *w, struct gap *ret);

#endif /* SPOOR_TOOL_GAPS_H */
