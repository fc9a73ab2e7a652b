/* SPDX-License-Identifier: MIT */
/*
 * Lists of ranges.  Invariant: sorted by address, disjoint, no two neighbours
 * touch -- but for one case: all 2^64 bytes do not fit a length, and are kept
 * as two halves.  A list that could not grow is as it was.
 *
 * Threads: a list is used by one thread at a time.
 */
#include "base/range.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define HALF (UINT64_C(1) << 63)

static struct spoor_range span(uint64_t first, uint64_t last)
{
	return (struct spoor_range){ .iova = first, .len = last - first + 1 };
}

bool spoor_range_intersect(const struct spoor_range *a,
			   const struct spoor_range *b, struct spoor_range *ret)
{
	uint64_t a_last = spoor_range_last(a), b_last = spoor_range_last(b);

	if (!spoor_range_overlaps(a, b))
		return false;
	*ret = span(a->iova > b->iova ? a->iova : b->iova,
		    a_last < b_last ? a_last : b_last);
	return true;
}

static int make_room(struct spoor_range_list *l, size_t more)
{
	struct spoor_range *ranges;
	size_t room = l->room ? l->room : 8;

	while (room < l->nr + more)
		room *= 2;
	if (room == l->room)
		return 0;
	ranges = reallocarray(l->ranges, room, sizeof(*ranges));
	if (!ranges)
		return spoor_fail(ENOMEM, "list of %zu ranges: out of memory",
				  room);
	l->ranges = ranges;
	l->room = room;
	return 0;
}

/* Index of the first range that ends at or behind @iova. */
static size_t first_reaching(const struct spoor_range_list *l, uint64_t iova)
{
	size_t low = 0, high = l->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (spoor_range_last(&l->ranges[mid]) < iova)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Put @nr_new ranges where ranges [from, to) are; there is room. */
static void replace(struct spoor_range_list *l, size_t from, size_t to,
		    const struct spoor_range *new, size_t nr_new)
{
	if (l->nr > to)
		memmove(&l->ranges[from + nr_new], &l->ranges[to],
			(l->nr - to) * sizeof(*l->ranges));
	if (nr_new)
		memcpy(&l->ranges[from], new, nr_new * sizeof(*new));
	l->nr = l->nr - (to - from) + nr_new;
}

int spoor_range_list_add(struct spoor_range_list *l,
			 const struct spoor_range *r)
{
	uint64_t first = r->iova, last = spoor_range_last(r);
	struct spoor_range new[2];
	size_t from, to;
	int ret;

	ret = make_room(l, 1);
	if (ret)
		return ret;

	/* One byte further on both sides, so that neighbours merge. */
	from = first_reaching(l, first ? first - 1 : 0);
	for (to = from; to < l->nr; to++) {
		const struct spoor_range *old = &l->ranges[to];

		if (last != UINT64_MAX && old->iova > last + 1)
			break;
		if (old->iova < first)
			first = old->iova;
		if (spoor_range_last(old) > last)
			last = spoor_range_last(old);
	}

	if (first == 0 && last == UINT64_MAX) {
		/* Two at least went in, so two fit. */
		new[0] = span(0, HALF - 1);
		new[1] = span(HALF, UINT64_MAX);
		replace(l, from, to, new, 2);
	} else {
		new[0] = span(first, last);
		replace(l, from, to, new, 1);
	}
	return 0;
}

/* The two halves of a whole that is none any more become one range again. */
static void join_halves(struct spoor_range_list *l)
{
	size_t i = first_reaching(l, HALF - 1);
	struct spoor_range joined;

	if (i + 1 >= l->nr || spoor_range_last(&l->ranges[i]) != HALF - 1 ||
	    l->ranges[i + 1].iova != HALF)
		return;
	joined = span(l->ranges[i].iova, spoor_range_last(&l->ranges[i + 1]));
	replace(l, i, i + 2, &joined, 1);
}

int spoor_range_list_remove(struct spoor_range_list *l,
			    const struct spoor_range *r)
{
	uint64_t last = spoor_range_last(r);
	struct spoor_range keep[2];
	size_t from, to, nr_keep = 0;
	int ret;

	from = first_reaching(l, r->iova);
	for (to = from; to < l->nr && l->ranges[to].iova <= last; to++)
		;
	if (from == to)
		return 0;

	/* What sticks out on the left and on the right stays. */
	if (l->ranges[from].iova < r->iova)
		keep[nr_keep++] = span(l->ranges[from].iova, r->iova - 1);
	if (spoor_range_last(&l->ranges[to - 1]) > last)
		keep[nr_keep++] =
			span(last + 1, spoor_range_last(&l->ranges[to - 1]));

	if (nr_keep > to - from) {
		ret = make_room(l, 1);
		if (ret)
			return ret;
	}
	replace(l, from, to, keep, nr_keep);
	join_halves(l);
	return 0;
}

bool spoor_range_list_covers(const struct spoor_range_list *l,
			     const struct spoor_range *r)
{
	uint64_t next = r->iova, last = spoor_range_last(r);
	size_t i;

	/* More than one step only for the two halves. */
	for (i = first_reaching(l, next); i < l->nr; i++) {
		if (l->ranges[i].iova > next)
			return false;
		if (spoor_range_last(&l->ranges[i]) >= last)
			return true;
		next = spoor_range_last(&l->ranges[i]) + 1;
	}
	return false;
}

void spoor_range_list_clear(struct spoor_range_list *l)
{
	free(l->ranges);
	*l = (struct spoor_range_list){ 0 };
}
