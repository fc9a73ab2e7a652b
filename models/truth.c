/* SPDX-License-Identifier: MIT */
/*
 * The truth: for each page the stamp of the device's last write to it, and
 * where in the page.  The page holds the stamp too, so a copy of memory can be
 * held against it.
 *
 * A hash table by page, open addressing with linear probing.  An entry is 16
 * bytes, in memory and in the saved state; a stamp of 0 is an empty slot, of
 * all ones a dropped entry, which still carries a probe on.  A chunk shorter
 * than the stamp holds its low bytes only: how many are missing is kept in the
 * stamp's top 4 bits, which no device index reaches.
 *
 * Invariant: at most one entry a page; at least one slot is empty.
 * Threads: under dma_lock while the device may write, else under control.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "models/model_priv.h"

#define TRUTH_MIN     1024u
#define STAMP_SHORT   60
#define STAMP_MASK    ((UINT64_C(1) << STAMP_SHORT) - 1)
#define STAMP_DROPPED UINT64_MAX

static size_t stamp_len(uint64_t stamp)
{
	return 8 - (size_t)(stamp >> STAMP_SHORT);
}

/* The page's entry, live or dropped, or the empty slot where it would go. */
static struct truth_entry *find(struct truth_entry *slots, size_t nr_slots,
				uint64_t where)
{
	uint64_t hash = (where / MODEL_PAGE) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(hash >> 20) & (nr_slots - 1);

	while (slots[i].stamp &&
	       slots[i].where / MODEL_PAGE != where / MODEL_PAGE)
		i = (i + 1) & (nr_slots - 1);
	return &slots[i];
}

/* Room for one more entry; false: there is none and will be none. */
static bool make_room(struct model_truth *t)
{
	size_t nr = t->nr_slots ? t->nr_slots : TRUTH_MIN;
	struct truth_entry *slots;

	if (t->nr_slots && t->nr_used < t->nr_slots / 3 * 2)
		return true;
	/* Mostly dropped entries: the same size will do once they are gone. */
	if (t->nr_live >= nr / 3)
		nr *= 2;
	slots = calloc(nr, sizeof(*slots));
	if (!slots) /* then it fills up to the last empty slot */
		return t->nr_slots && t->nr_used < t->nr_slots - 1;
	for (size_t i = 0; i < t->nr_slots; i++)
		if (truth_is_live(&t->slots[i]))
			*find(slots, nr, t->slots[i].where) = t->slots[i];
	free(t->slots);
	t->slots = slots;
	t->nr_slots = nr;
	t->nr_used = t->nr_live;
	return true;
}

static bool put(struct model_truth *t, const struct truth_entry *e)
{
	struct truth_entry *slot = NULL;

	if (t->nr_slots)
		slot = find(t->slots, t->nr_slots, e->where);
	if (!slot || !slot->stamp) {
		if (!make_room(t)) {
			t->incomplete = true;
			return false;
		}
		slot = find(t->slots, t->nr_slots, e->where);
		t->nr_used++;
	}
	if (!truth_is_live(slot))
		t->nr_live++;
	*slot = *e;
	return true;
}

void truth_note(struct model_truth *t, uint64_t iova, uint64_t stamp,
		size_t len)
{
	uint64_t missing = len < 8 ? 8 - len : 0;

	put(t,
	    &(struct truth_entry){ .where = iova,
				   .stamp = stamp | missing << STAMP_SHORT });
}

bool truth_load(struct model_truth *t, const struct truth_entry *e)
{
	/* Never crosses its page: nor would the chunk it speaks of. */
	if (!truth_is_live(e) || e->stamp >> STAMP_SHORT > 7 ||
	    e->where % MODEL_PAGE + stamp_len(e->stamp) > MODEL_PAGE)
		return false;
	return put(t, e);
}

bool truth_holds(struct model *m, const struct truth_entry *e)
{
	uint64_t want = htole64(e->stamp & STAMP_MASK), got = 0;
	size_t len = stamp_len(e->stamp);

	return !m->host_ops->peek(m->host, e->where, &got, len) &&
	       !memcmp(&got, &want, len);
}

void truth_drop(struct model *m, struct model_truth *t, struct truth_entry *e)
{
	e->stamp = STAMP_DROPPED;
	t->nr_live--;
	model_count(&m->counters.dropped, 1);
}

void truth_drop_overwritten(struct model *m)
{
	struct model_truth *t = &m->truth;

	for (size_t i = 0; i < t->nr_slots; i++)
		if (truth_is_live(&t->slots[i]) &&
		    !truth_holds(m, &t->slots[i]))
			truth_drop(m, t, &t->slots[i]);
}

void truth_clear(struct model_truth *t)
{
	free(t->slots);
	*t = (struct model_truth){ 0 };
}

uint64_t model_truth_check(struct model *m,
			   void (*lost)(void *ctx, uint64_t iova), void *ctx)
{
	struct model_truth *t = &m->truth;
	uint64_t nr;

	SPOOR_LOCKED(&m->control);
	/* While it is stopped nobody writes the table; else hold the DMA. */
	pthread_mutex_lock(&m->dma_lock);
	for (size_t i = 0; i < t->nr_slots; i++)
		if (truth_is_live(&t->slots[i]) &&
		    !truth_holds(m, &t->slots[i]))
			lost(ctx,
			     t->slots[i].where & ~(uint64_t)(MODEL_PAGE - 1));
	nr = t->nr_live;
	pthread_mutex_unlock(&m->dma_lock);
	return nr;
}

bool model_truth_wrote(struct model *m, uint64_t iova)
{
	const struct truth_entry *e;
	bool wrote = false;

	pthread_mutex_lock(&m->dma_lock);
	if (m->truth.nr_slots) {
		e = find(m->truth.slots, m->truth.nr_slots, iova);
		wrote = truth_is_live(e) &&
			(e->stamp & MODEL_SEQ_MASK) > m->loaded_seq;
	}
	pthread_mutex_unlock(&m->dma_lock);
	return wrote;
}
