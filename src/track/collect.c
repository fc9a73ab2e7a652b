/* SPDX-License-Identifier: MIT */
/*
 * Reading a tracker, and what no source knows by itself: memory mapped late,
 * memory unmapped, granules larger than what was asked for.
 *
 * Invariants: tracked, late and owed only hold what is in known; tracked and
 * late are disjoint.  Nothing leaves owed before it is set in a bitmap.
 * Threads: one at a time per tracker.
 */
#include "track/tracker_priv.h"

#include <assert.h>
#include <errno.h>

#include "base/error.h"

#define PAGE 4096u

static const char *kind(const struct spoor_tracker *t)
{
	return spoor_tracker_kind_name(t->ops->kind);
}

/* Index of the first range of the list that ends at or after @iova. */
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

/* How many of @r's bytes are in the list.  @r is shorter than 2^64 bytes. */
static uint64_t shared_len(const struct spoor_range_list *l,
			   const struct spoor_range *r)
{
	size_t i = first_reaching(l, r->iova);
	struct spoor_range part;
	uint64_t len = 0;

	for (; i < l->nr && spoor_range_intersect(&l->ranges[i], r, &part); i++)
		len += part.len;
	return len;
}

void spoor_tracker_spill(struct spoor_tracker *t,
			 const struct spoor_range *range)
{
	size_t i = first_reaching(&t->known, range->iova);
	struct spoor_range part;

	for (; i < t->known.nr; i++) {
		if (!spoor_range_intersect(&t->known.ranges[i], range, &part))
			break;
		if (spoor_range_list_add(&t->owed, &part) != 0)
			t->owes_all = true;
	}
}

void spoor_tracker_spill_around(struct spoor_tracker *t,
				const struct spoor_range *wide,
				const struct spoor_range *range)
{
	uint64_t last = spoor_range_last(range);
	struct spoor_range side;

	if (range->iova > wide->iova) {
		side.iova = wide->iova;
		side.len = range->iova - wide->iova;
		spoor_tracker_spill(t, &side);
	}
	if (spoor_range_last(wide) > last) {
		side.iova = last + 1;
		side.len = spoor_range_last(wide) - last;
		spoor_tracker_spill(t, &side);
	}
}

void spoor_tracker_deliver(struct spoor_tracker *t,
			   const struct spoor_range *range,
			   const struct spoor_bitmap *got,
			   struct spoor_bitmap *into)
{
	struct spoor_range span, run, part;
	uint64_t cursor = 0;

	span.iova = got->base;
	span.len = got->nr_pages << got->page_shift;
	if (spoor_range_inside(&span, range) &&
	    spoor_bitmap_or(into, got, NULL) == 0)
		return;
	while (spoor_bitmap_next_run(got, &cursor, &run)) {
		if (!spoor_range_intersect(&run, range, &part)) {
			spoor_tracker_spill(t, &run);
			continue;
		}
		/* If it does not fit there, it is not delivered. */
		if (spoor_bitmap_mark(into, &part, NULL) != 0)
			spoor_tracker_spill(t, &part);
		spoor_tracker_spill_around(t, &run, &part);
	}
}

/* Bits set in the pages that @range touches, which lie in @b. */
static uint64_t count_bits(const struct spoor_bitmap *b,
			   const struct spoor_range *range)
{
	uint64_t first = (range->iova - b->base) >> b->page_shift;
	uint64_t last = (spoor_range_last(range) - b->base) >> b->page_shift;
	uint64_t i, n = 0;

	for (i = first / 64; i <= last / 64; i++) {
		uint64_t mask = UINT64_MAX;

		if (i == first / 64)
			mask &= UINT64_MAX << (first % 64);
		if (i == last / 64)
			mask &= UINT64_MAX >> (63 - last % 64);
		n += (uint64_t)__builtin_popcountll(b->words[i] & mask);
	}
	return n;
}

static int check_collect(const struct spoor_tracker *t,
			 const struct spoor_range *r,
			 const struct spoor_bitmap *into, unsigned int flags)
{
	const char *why = NULL;

	if (flags)
		why = "unknown flags";
	else if (!t->started)
		why = "not started";
	else if (!spoor_range_valid(r))
		why = "the range is empty or reaches past 2^64";
	else if (!spoor_range_aligned(r, PAGE))
		why = "the range is not 4 KiB aligned";
	else if (r->iova < into->base || !into->nr_pages ||
		 ((spoor_range_last(r) - into->base) >> into->page_shift) >=
			 into->nr_pages)
		why = "the bitmap does not cover the range";
	else if (!spoor_range_list_covers(&t->known, r))
		why = "the range is not tracked";
	if (!why)
		return 0;
	return spoor_fail(EINVAL,
			  "%s tracker: collect 0x%llx+0x%llx, flags 0x%x: %s",
			  kind(t), (unsigned long long)r->iova,
			  (unsigned long long)r->len, flags, why);
}

/* Ask the source about what of @r it tracks. */
static int ask_source(struct spoor_tracker *t, const struct spoor_range *r,
		      struct spoor_bitmap *into)
{
	size_t i = first_reaching(&t->tracked, r->iova);
	struct spoor_range part;
	int quiet = 0;

	for (; i < t->tracked.nr; i++) {
		int err;

		if (!spoor_range_intersect(&t->tracked.ranges[i], r, &part))
			break;
		err = t->ops->collect(t, &part, into);
		if (err == -EAGAIN)
			quiet = err;
		else if (err)
			return err;
	}
	return quiet;
}

/* @into covers @r: check_collect() has seen to it. */
static void mark(struct spoor_bitmap *into, const struct spoor_range *r)
{
	int err = spoor_bitmap_mark(into, r, NULL);

	assert(!err);
	(void)err;
}

static void mark_shared(const struct spoor_range_list *l,
			const struct spoor_range *r, struct spoor_bitmap *into)
{
	size_t i = first_reaching(l, r->iova);
	struct spoor_range part;

	for (; i < l->nr && spoor_range_intersect(&l->ranges[i], r, &part); i++)
		mark(into, &part);
}

/* Once memory is to be had again, owe range by range instead of all. */
static void itemize_debt(struct spoor_tracker *t)
{
	size_t i;

	for (i = 0; i < t->known.nr; i++)
		if (spoor_range_list_add(&t->owed, &t->known.ranges[i]) != 0)
			return;
	t->owes_all = false;
}

static void pay(struct spoor_tracker *t, const struct spoor_range *r,
		struct spoor_bitmap *into, bool forget)
{
	if (t->owes_all)
		itemize_debt(t);
	if (t->owes_all)
		mark(into, r);
	mark_shared(&t->owed, r, into);
	/* If it cannot be taken out it is reported once more: no harm. */
	if (forget)
		(void)spoor_range_list_remove(&t->owed, r);
}

/* Collect; *ret_new is set whatever the outcome, but for -EINVAL. */
static int collect(struct spoor_tracker *t, const struct spoor_range *r,
		   struct spoor_bitmap *into, unsigned int flags,
		   uint64_t *ret_new)
{
	uint64_t before;
	int err;

	err = check_collect(t, r, into, flags);
	if (err)
		return err;
	before = ret_new ? count_bits(into, r) : 0;
	err = ask_source(t, r, into);
	if (err && err != -EAGAIN) {
		mark(into, r);
		err = spoor_fail_context(
			-EIO, "%s tracker: all of 0x%llx+0x%llx is dirty",
			kind(t), (unsigned long long)r->iova,
			(unsigned long long)r->len);
	}
	mark_shared(&t->late, r, into);
	/* What the source spilled just now is owed, too: so this comes last. */
	pay(t, r, into, err != -EAGAIN);
	if (ret_new)
		*ret_new = count_bits(into, r) - before;
	return err;
}

int spoor_tracker_collect(struct spoor_tracker *t,
			  const struct spoor_range *range,
			  struct spoor_bitmap *into, unsigned int flags,
			  uint64_t *ret_new)
{
	uint64_t new = 0;
	int err = collect(t, range, into, flags, ret_new ? &new : NULL);

	if (!err && ret_new)
		*ret_new = new;
	return err;
}

int spoor_tracker_collect_set(struct spoor_tracker *t,
			      struct spoor_bitmap_set *into, uint64_t *ret_new)
{
	uint64_t total = 0;
	size_t i, m = 0;
	int ret = 0;

	if (!t->started)
		return spoor_fail(EINVAL, "%s tracker: collect: not started",
				  kind(t));
	for (i = 0; i < t->known.nr; i++) {
		const struct spoor_range *r = &t->known.ranges[i];

		/* Both are sorted: maps before this range never meet the
		 * next ones. */
		for (; m < into->nr; m++) {
			struct spoor_bitmap *b = &into->maps[m];
			struct spoor_range span, part;
			uint64_t new = 0;
			int err;

			span.iova = b->base;
			span.len = b->nr_pages << b->page_shift;
			if (span.iova > spoor_range_last(r))
				break;
			if (!spoor_range_intersect(&span, r, &part))
				continue;
			err = collect(t, &part, b, 0, ret_new ? &new : NULL);
			total += new;
			if (err && ret != -EIO)
				ret = err;
			/* It may reach into the next tracked range. */
			if (spoor_range_last(&span) > spoor_range_last(r))
				break;
		}
	}
	if (ret_new)
		*ret_new = total;
	return ret;
}

static int check_change(const struct spoor_tracker *t,
			const struct spoor_range *r, const char *what)
{
	if (!t->started)
		return spoor_fail(EINVAL, "%s tracker: %s: not started",
				  kind(t), what);
	if (!spoor_range_valid(r) || !spoor_range_aligned(r, PAGE))
		return spoor_fail(EINVAL,
				  "%s tracker: %s 0x%llx+0x%llx: empty, not 4 "
				  "KiB aligned, or past 2^64",
				  kind(t), what, (unsigned long long)r->iova,
				  (unsigned long long)r->len);
	return 0;
}

int spoor_tracker_map(struct spoor_tracker *t, const struct spoor_range *range)
{
	struct spoor_range_list *l;
	int err = check_change(t, range, "map");

	if (err)
		return err;
	if (shared_len(&t->tracked, range) || shared_len(&t->late, range))
		return spoor_fail(EINVAL,
				  "%s tracker: map 0x%llx+0x%llx: part of it "
				  "is tracked already",
				  kind(t), (unsigned long long)range->iova,
				  (unsigned long long)range->len);
	if (t->ops->map) {
		err = t->ops->map(t, range);
		if (err)
			return err;
	}
	l = t->ops->follows_map ? &t->tracked : &t->late;
	err = spoor_range_list_add(l, range);
	/* known last: what is known and in no list would be reported clean,
	 * what is in a list and not known is refused aloud. */
	if (!err)
		err = spoor_range_list_add(&t->known, range);
	return err;
}

int spoor_tracker_unmap(struct spoor_tracker *t,
			const struct spoor_range *range)
{
	int err = check_change(t, range, "unmap");

	if (err)
		return err;
	if (shared_len(&t->tracked, range) + shared_len(&t->late, range) !=
	    range->len)
		return spoor_fail(EINVAL,
				  "%s tracker: unmap 0x%llx+0x%llx: not all of "
				  "it is tracked",
				  kind(t), (unsigned long long)range->iova,
				  (unsigned long long)range->len);
	/* The debt first: if the rest fails it is reported too often. */
	err = spoor_range_list_add(&t->owed, range);
	if (err)
		return err;
	if (t->ops->unmap)
		err = t->ops->unmap(t, range);
	if (!err)
		err = spoor_range_list_remove(&t->tracked, range);
	if (!err)
		err = spoor_range_list_remove(&t->late, range);
	return err;
}
