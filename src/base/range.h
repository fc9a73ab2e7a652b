/* SPDX-License-Identifier: MIT */
/*
 * Ranges: checked maths, and sorted lists of disjoint ranges.  A range is
 * [iova, iova + len); len is never 0 and iova + len may be exactly 2^64, so
 * ends are always computed as inclusive `last`.
 */
#ifndef SPOOR_BASE_RANGE_H
#define SPOOR_BASE_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>

/* Not empty and not past 2^64. */
static inline bool spoor_range_valid(const struct spoor_range *r)
{
	return r->len && r->iova + (r->len - 1) >= r->iova;
}

static inline uint64_t spoor_range_last(const struct spoor_range *r)
{
	return r->iova + (r->len - 1);
}

static inline bool spoor_range_overlaps(const struct spoor_range *a,
					const struct spoor_range *b)
{
	return a->iova <= spoor_range_last(b) && b->iova <= spoor_range_last(a);
}

static inline bool spoor_range_inside(const struct spoor_range *in,
				      const struct spoor_range *out)
{
	return in->iova >= out->iova &&
	       spoor_range_last(in) <= spoor_range_last(out);
}

static inline bool spoor_range_aligned(const struct spoor_range *r,
				       uint64_t page_size)
{
	return !((r->iova | r->len) & (page_size - 1));
}

/* What both share; false if nothing. */
bool spoor_range_intersect(const struct spoor_range *a,
			   const struct spoor_range *b,
			   struct spoor_range *ret);

/* A sorted list of disjoint ranges that grows; zero-initialise it. */
struct spoor_range_list {
	struct spoor_range *ranges;
	size_t nr, room;
};

/* Add, merging with neighbours and overlaps.  -ENOMEM. */
int spoor_range_list_add(struct spoor_range_list *l,
			 const struct spoor_range *r);
/* Take out whatever of @r is in the list, cutting ranges.  -ENOMEM. */
int spoor_range_list_remove(struct spoor_range_list *l,
			    const struct spoor_range *r);
/* Is all of @r in the list? */
bool spoor_range_list_covers(const struct spoor_range_list *l,
			     const struct spoor_range *r);
void spoor_range_list_clear(struct spoor_range_list *l);

#endif /* SPOOR_BASE_RANGE_H */
