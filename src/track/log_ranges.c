/* SPDX-License-Identifier: MIT */
/* Ranges as DMA_LOGGING_START wants them; see log_ranges.h. */
#include "track/log_ranges.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"

bool spoor_range_widen(const struct spoor_range *r, uint64_t granule,
		       struct spoor_range *ret)
{
	uint64_t first = r->iova & ~(granule - 1);
	uint64_t last = spoor_range_last(r) | (granule - 1);

	/* [0, 2^64) has no length. */
	if (!first && last == UINT64_MAX)
		return false;
	*ret = (struct spoor_range){ .iova = first, .len = last - first + 1 };
	return true;
}

bool spoor_ranges_aligned(const struct spoor_range_list *l, uint64_t granule)
{
	size_t i;

	for (i = 0; i < l->nr; i++)
		if (!spoor_range_aligned(&l->ranges[i], granule))
			return false;
	return true;
}

/* The gap behind range @at. */
struct gap {
	uint64_t len;
	size_t at;
};

static int largest_first(const void *a, const void *b)
{
	const struct gap *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? 1 : -1;
	return x->at < y->at ? -1 : 1;
}

int spoor_ranges_combine(struct spoor_range_list *l, size_t max)
{
	SPOOR_AUTO_HEAP struct gap *gaps = NULL;
	SPOOR_AUTO_HEAP bool *keep = NULL;
	size_t i, nr = 0;

	if (l->nr <= max)
		return 0;
	gaps = calloc(l->nr, sizeof(*gaps));
	keep = calloc(l->nr, sizeof(*keep));
	if (!gaps || !keep)
		return spoor_fail(ENOMEM, "combining %zu ranges: out of memory",
				  l->nr);
	for (i = 0; i + 1 < l->nr; i++) {
		gaps[i].len = l->ranges[i + 1].iova -
			      spoor_range_last(&l->ranges[i]) - 1;
		gaps[i].at = i;
	}
	qsort(gaps, l->nr - 1, sizeof(*gaps), largest_first);
	for (i = 0; i + 1 < max; i++)
		keep[gaps[i].at] = true;
	for (i = 0; i < l->nr; i++) {
		struct spoor_range *out;

		if (!i || keep[i - 1]) {
			l->ranges[nr++] = l->ranges[i];
			continue;
		}
		out = &l->ranges[nr - 1];
		out->len = spoor_range_last(&l->ranges[i]) - out->iova + 1;
	}
	l->nr = nr;
	return 0;
}
