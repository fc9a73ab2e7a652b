/* SPDX-License-Identifier: MIT */
/*
 * Ranges as DMA_LOGGING_START wants them: aligned to the page size, disjoint,
 * and not too many.  Pure.
 */
#ifndef SPOOR_TRACK_LOG_RANGES_H
#define SPOOR_TRACK_LOG_RANGES_H

#include "base/range.h"

/*
 * Widen @r to multiples of @granule, a power of two.  false: that would reach
 * past 2^64.
 */
bool spoor_range_widen(const struct spoor_range *r, uint64_t granule,
		       struct spoor_range *ret);

/* Does every range begin and end on a multiple of @granule? */
bool spoor_ranges_aligned(const struct spoor_range_list *l, uint64_t granule);

/*
 * Combine neighbours until at most @max ranges (>= 1) are left, giving up the
 * smallest gaps.  -ENOMEM: nothing was changed.
 */
int spoor_ranges_combine(struct spoor_range_list *l, size_t max);

#endif /* SPOOR_TRACK_LOG_RANGES_H */
