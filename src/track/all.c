/* SPDX-License-Identifier: MIT */
/*
 * Nobody tracks: every page is dirty at every read.  Covers every writer, the
 * CPU included.  Threads: one at a time per tracker.
 */
#include "track/tracker_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"

static void all_caps(struct spoor_tracker *t, struct spoor_tracker_caps *ret)
{
	(void)t;
	*ret = (struct spoor_tracker_caps){
		.kind = SPOOR_TRACKER_ALL,
		.page_sizes = ~UINT64_C(4095),
		.flags = SPOOR_TRACKER_EVERYTHING,
	};
}

static bool all_covers(const struct spoor_tracker *t,
		       const struct spoor_device *dev)
{
	(void)t;
	(void)dev;
	return true;
}

static int all_start(struct spoor_tracker *t, const struct spoor_range *ranges,
		     size_t nr_ranges, uint64_t page_size,
		     uint64_t *ret_page_size)
{
	(void)t;
	(void)ranges;
	(void)nr_ranges;
	*ret_page_size = page_size;
	return 0;
}

static int all_collect(struct spoor_tracker *t, const struct spoor_range *range,
		       struct spoor_bitmap *into)
{
	(void)t;
	return spoor_bitmap_mark(into, range, NULL);
}

static int all_stop(struct spoor_tracker *t)
{
	(void)t;
	return 0;
}

static void all_free(struct spoor_tracker *t)
{
	free(t);
}

static const struct spoor_tracker_ops all_ops = {
	.kind = SPOOR_TRACKER_ALL,
	.follows_map = true,
	.caps = all_caps,
	.covers = all_covers,
	.start = all_start,
	.collect = all_collect,
	.stop = all_stop,
	.free = all_free,
};

int spoor_tracker_open_all(struct spoor_tracker **ret)
{
	struct spoor_tracker *t = malloc(sizeof(*t));

	if (!t)
		return spoor_fail(ENOMEM, "tracker all: out of memory");
	spoor_tracker_init(t, &all_ops);
	*ret = t;
	return 0;
}
