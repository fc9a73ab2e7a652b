/* SPDX-License-Identifier: MIT */
/*
 * A tracker made of trackers.  Each part keeps its own promises (late memory,
 * debts, failures); this only calls all of them, and never lets the failure of
 * one keep another from being read.
 *
 * Invariant: the parts are started exactly while this is, and by this.
 * Threads: one at a time per tracker.
 */
#include "track/tracker_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct merged_tracker {
	struct spoor_tracker t;
	size_t nr;
	struct spoor_tracker *parts[];
};

static struct merged_tracker *self(struct spoor_tracker *t)
{
	return (struct merged_tracker *)t;
}

/* What all can do, and what any forbids. */
static void add_caps(struct spoor_tracker_caps *sum,
		     const struct spoor_tracker_caps *part, bool first)
{
	const unsigned int any =
		SPOOR_TRACKER_QUIET_READ | SPOOR_TRACKER_EVERYTHING;
	const unsigned int all = SPOOR_TRACKER_EXACT;

	if (first) {
		sum->page_sizes = part->page_sizes;
		sum->flags = part->flags;
		return;
	}
	sum->page_sizes &= part->page_sizes;
	sum->flags = ((sum->flags | part->flags) & any) |
		     (sum->flags & part->flags & all);
}

static void merged_caps(struct spoor_tracker *t, struct spoor_tracker_caps *ret)
{
	struct merged_tracker *m = self(t);
	size_t i;

	*ret = (struct spoor_tracker_caps){ .kind = SPOOR_TRACKER_MERGED };
	for (i = 0; i < m->nr; i++) {
		struct spoor_tracker_caps part = { 0 };

		m->parts[i]->ops->caps(m->parts[i], &part);
		add_caps(ret, &part, i == 0);
	}
}

static int merged_probe(struct spoor_tracker *t,
			const struct spoor_range *ranges, size_t nr_ranges,
			struct spoor_tracker_caps *ret)
{
	struct merged_tracker *m = self(t);
	size_t i;

	*ret = (struct spoor_tracker_caps){ .kind = SPOOR_TRACKER_MERGED };
	for (i = 0; i < m->nr; i++) {
		struct spoor_tracker_caps part;
		int err = spoor_tracker_probe(m->parts[i], ranges, nr_ranges,
					      &part);

		if (err)
			return err;
		add_caps(ret, &part, i == 0);
	}
	return 0;
}

static bool merged_covers(const struct spoor_tracker *t,
			  const struct spoor_device *dev)
{
	const struct merged_tracker *m = (const struct merged_tracker *)t;
	size_t i;

	for (i = 0; i < m->nr; i++)
		if (spoor_tracker_covers(m->parts[i], dev))
			return true;
	return false;
}

static int merged_start(struct spoor_tracker *t,
			const struct spoor_range *ranges, size_t nr_ranges,
			uint64_t page_size, uint64_t *ret_page_size)
{
	struct merged_tracker *m = self(t);
	uint64_t coarsest = 0;
	size_t i;

	for (i = 0; i < m->nr; i++) {
		uint64_t real;
		int err = spoor_tracker_start(m->parts[i], ranges, nr_ranges,
					      page_size, &real);

		if (err) {
			while (i--)
				(void)spoor_tracker_stop(m->parts[i]);
			return err;
		}
		if (real > coarsest)
			coarsest = real;
	}
	*ret_page_size = coarsest;
	return 0;
}

/* A part that failed has set all of the range: its -EIO is passed on. */
static int merged_collect(struct spoor_tracker *t,
			  const struct spoor_range *range,
			  struct spoor_bitmap *into)
{
	struct merged_tracker *m = self(t);
	int ret = 0;
	size_t i;

	for (i = 0; i < m->nr; i++) {
		int err = spoor_tracker_collect(m->parts[i], range, into, 0,
						NULL);

		if (err && (!ret || ret == -EAGAIN))
			ret = err;
	}
	return ret;
}

static int merged_stop(struct spoor_tracker *t)
{
	struct merged_tracker *m = self(t);
	int ret = 0;
	size_t i;

	for (i = 0; i < m->nr; i++) {
		int err = spoor_tracker_stop(m->parts[i]);

		if (!ret)
			ret = err;
	}
	return ret;
}

static int merged_map(struct spoor_tracker *t, const struct spoor_range *range)
{
	struct merged_tracker *m = self(t);
	size_t i;

	for (i = 0; i < m->nr; i++) {
		int err = spoor_tracker_map(m->parts[i], range);

		if (!err)
			continue;
		/* Out again; a part where that fails tracks for nothing. */
		while (i--)
			if (spoor_tracker_unmap(m->parts[i], range) != 0)
				continue;
		return err;
	}
	return 0;
}

static int merged_unmap(struct spoor_tracker *t,
			const struct spoor_range *range)
{
	struct merged_tracker *m = self(t);
	int ret = 0;
	size_t i;

	for (i = 0; i < m->nr; i++) {
		int err = spoor_tracker_unmap(m->parts[i], range);

		if (!ret)
			ret = err;
	}
	return ret;
}

static void merged_free(struct spoor_tracker *t)
{
	struct merged_tracker *m = self(t);
	size_t i;

	for (i = 0; i < m->nr; i++)
		spoor_tracker_free(m->parts[i]);
	free(m);
}

static const struct spoor_tracker_ops merged_ops = {
	.kind = SPOOR_TRACKER_MERGED,
	.follows_map = true, /* by telling the parts */
	.caps = merged_caps,
	.covers = merged_covers,
	.start = merged_start,
	.collect = merged_collect,
	.stop = merged_stop,
	.free = merged_free,
	.probe = merged_probe,
	.map = merged_map,
	.unmap = merged_unmap,
};

int spoor_tracker_open_merged(struct spoor_tracker **ret,
			      struct spoor_tracker *const *parts, size_t nr)
{
	struct merged_tracker *m;
	size_t i, j;

	if (!parts || !nr || nr > SIZE_MAX / sizeof(*parts) - sizeof(*m))
		return spoor_fail(EINVAL, "merged tracker: no parts");
	for (i = 0; i < nr; i++) {
		if (!parts[i] || parts[i]->started)
			return spoor_fail(EINVAL,
					  "merged tracker: part %zu is missing "
					  "or started already",
					  i);
		for (j = 0; j < i; j++)
			if (parts[i] == parts[j])
				return spoor_fail(EINVAL,
						  "merged tracker: parts %zu "
						  "and %zu are the same",
						  j, i);
	}
	m = malloc(sizeof(*m) + nr * sizeof(*parts));
	if (!m)
		return spoor_fail(ENOMEM, "merged tracker: out of memory");
	spoor_tracker_init(&m->t, &merged_ops);
	m->nr = nr;
	memcpy(m->parts, parts, nr * sizeof(*parts));
	*ret = &m->t;
	return 0;
}
