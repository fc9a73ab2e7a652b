/* SPDX-License-Identifier: MIT */
/*
 * GET_DIRTY_BITMAP: dirty bits go from a page table into a program's bitmap.
 *
 * Bits are taken with an atomic read-and-clear, so a write that races with it
 * is either in what was taken, data and all, or is marked for the next time.
 * What was taken is noted until the program has it: if its bitmap cannot be
 * written, all of it is put back.
 *
 * Where marks come of write faults, they may be ahead of their data: then that
 * is waited for, before the program is told.
 *
 * Bits of entries that are larger than the range asked for spill over its end,
 * as far as the bitmap's last 64-bit word; the kernel knows no better.
 *
 * Threads: the list is read-locked, so no area goes; DMA goes on.
 */
#include "softvfio/iommufd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "softvfio/cpu.h"
#include "softvfio/space_stats.h"

#define WINDOW_WORDS 512

struct taken {
	atomic_ullong *word;
	unsigned long long mask;
};

struct harvest {
	/* the request */
	uint64_t iova, last;
	unsigned int page_shift;
	bool clear;
	uint8_t *user;
	uint64_t last_bit; /* the bitmap's, inclusive */
	/* the part of the bitmap that is being filled */
	uint64_t base; /* its first word */
	size_t low, high; /* words that have bits; none: low > high */
	uint64_t window[WINDOW_WORDS];
	/* what to put back */
	struct taken *log;
	size_t nr_log, room_log;
	uint64_t nr_taken;
};

/* OR the window into the program's bitmap. */
static int flush(struct harvest *h)
{
	uint64_t theirs[WINDOW_WORDS];
	size_t i, nr;
	uint8_t *at;
	int err;

	if (h->low > h->high)
		return 0;
	nr = h->high - h->low + 1;
	at = h->user + (h->base + h->low) * sizeof(uint64_t);
	err = sv_copy_in(theirs, at, nr * sizeof(uint64_t));
	if (err)
		return err;
	for (i = 0; i < nr; i++)
		theirs[i] |= h->window[h->low + i];
	err = sv_copy_out(at, theirs, nr * sizeof(uint64_t));
	if (err)
		return err;
	memset(&h->window[h->low], 0, nr * sizeof(uint64_t));
	h->low = WINDOW_WORDS;
	h->high = 0;
	return 0;
}

/* Bits [first, last] of the program's bitmap; calls come in rising order. */
static int set_bits(struct harvest *h, uint64_t first, uint64_t last)
{
	while (first <= last) {
		uint64_t word = first / 64;
		uint64_t end = first | 63;
		size_t i;

		if (end > last)
			end = last;
		if (word < h->base || word - h->base >= WINDOW_WORDS) {
			int err = flush(h);

			if (err)
				return err;
			h->base = word;
		}
		i = (size_t)(word - h->base);
		h->window[i] |= (UINT64_MAX >> (63 - (end - first)))
				<< (first % 64);
		if (i < h->low)
			h->low = i;
		if (i > h->high)
			h->high = i;
		if (end == UINT64_MAX)
			break;
		first = end + 1;
	}
	return 0;
}

/* An entry that is dirty: all of it, as far as the bitmap goes. */
static int report(struct harvest *h, const struct dirty_segment *s,
		  uint64_t index)
{
	uint64_t iova = s->iova + (index << s->shift);
	uint64_t end = iova + ((1ull << s->shift) - 1);
	uint64_t first = 0, last;

	if (iova > h->iova)
		first = (iova - h->iova) >> h->page_shift;
	last = (end - h->iova) >> h->page_shift;
	return set_bits(h, first, last < h->last_bit ? last : h->last_bit);
}

static int log_room(struct harvest *h)
{
	struct taken *grown;
	size_t room;

	if (h->nr_log < h->room_log)
		return 0;
	room = h->room_log ? h->room_log * 2 : 64;
	grown = reallocarray(h->log, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	h->log = grown;
	h->room_log = room;
	return 0;
}

/* Take the bits of @mask, noting them first; 0 in *ret: none was set. */
static int take(struct harvest *h, atomic_ullong *word, unsigned long long mask,
		unsigned long long *ret)
{
	int err;

	/* Clean words are left alone: a mark from now on stays for later. */
	*ret = atomic_load_explicit(word, memory_order_acquire) & mask;
	if (!*ret || !h->clear)
		return 0;
	err = log_room(h);
	if (err)
		return err;
	*ret = atomic_fetch_and_explicit(word, ~mask, memory_order_acq_rel) &
	       mask;
	h->log[h->nr_log++] = (struct taken){ .word = word, .mask = *ret };
	h->nr_taken += (unsigned int)__builtin_popcountll(*ret);
	return 0;
}

static int harvest_segment(struct harvest *h, struct dirty_table *t,
			   const struct dirty_segment *s)
{
	uint64_t from = s->iova > h->iova ? s->iova : h->iova;
	uint64_t to = s->last < h->last ? s->last : h->last;
	uint64_t i, last;

	if (from > to)
		return 0;
	i = s->first + ((from - s->iova) >> s->shift);
	last = s->first + ((to - s->iova) >> s->shift);
	while (i <= last) {
		uint64_t end = (i | 63) < last ? (i | 63) : last;
		unsigned long long mask = (UINT64_MAX >> (63 - (end - i)))
					  << (i % 64);
		unsigned long long bits;
		int err = take(h, &t->words[i / 64], mask, &bits);

		for (; !err && bits; bits &= bits - 1) {
			uint64_t entry = (i & ~63ull) +
					 (unsigned int)__builtin_ctzll(bits);

			err = report(h, s, entry - s->first);
		}
		if (err)
			return err;
		i = end + 1;
	}
	return 0;
}

/* The areas from the range's start on; a hole ends the walk. */
static int harvest_areas(struct harvest *h, const struct iommufd_hwpt *hwpt)
{
	const struct sv_area_list *list = &hwpt->ioas->list;
	size_t i = sv_area_index(list, h->iova);
	uint64_t at = h->iova;
	int err = 0;

	for (; i < list->nr && list->areas[i]->iova <= at; i++) {
		struct dirty_table *t = dirty_table_find(list->areas[i], hwpt);
		unsigned int s;

		for (s = 0; s < t->nr_segments && !err; s++)
			err = harvest_segment(h, t, &t->segments[s]);
		if (err || list->areas[i]->last >= h->last)
			break;
		at = list->areas[i]->last + 1;
	}
	return err ? err : flush(h);
}

/*
 * The program did not get the bits: put them back.  Those that DMA has set
 * again meanwhile were counted again, and are one mark all the same.
 */
static void put_back(struct harvest *h, struct sv_space_stat *stat)
{
	size_t i;

	for (i = 0; i < h->nr_log; i++) {
		unsigned long long mask = h->log[i].mask;
		unsigned long long old = atomic_fetch_or_explicit(
			h->log[i].word, mask, memory_order_acq_rel);

		atomic_fetch_sub_explicit(
			&stat->marks,
			(unsigned int)__builtin_popcountll(old & mask),
			memory_order_relaxed);
	}
}

static int check_range(const struct iommufd_hwpt *hwpt,
		       const struct iommu_hwpt_get_dirty_bitmap *arg,
		       uint64_t *ret_last)
{
	uint64_t mask = ioas_alignment(hwpt->ioas) - 1;
	uint64_t last;

	if (!arg->length || !arg->page_size)
		return -EINVAL;
	if (__builtin_add_overflow(arg->iova, arg->length - 1, &last))
		return -EOVERFLOW;
	mask |= arg->page_size - 1;
	if ((arg->iova | (last + 1)) & mask)
		return -EINVAL;
	*ret_last = last;
	return 0;
}

static int get_dirty(struct iommufd_hwpt *hwpt, struct harvest *h)
{
	int err = 0;

	pthread_rwlock_rdlock(&hwpt->ioas->list.lock);
	if (hwpt->tracking) {
		err = harvest_areas(h, hwpt);
		atomic_fetch_add(&hwpt->stat->dirty_reads, 1);
		if (err)
			put_back(h, hwpt->stat);
		else
			atomic_fetch_add(&hwpt->stat->pages_reported,
					 h->nr_taken);
	}
	pthread_rwlock_unlock(&hwpt->ioas->list.lock);
	if (hwpt->faults && h->nr_taken)
		hwpt_fault_drain(hwpt);
	return err;
}

int iommufd_hwpt_get_dirty(struct iommufd_cmd *cmd)
{
	const struct iommu_hwpt_get_dirty_bitmap *arg = &cmd->u.get_dirty;
	struct iommufd_hwpt *hwpt;
	struct harvest *h;
	uint64_t last, began;
	int err;

	if (arg->flags & ~(uint32_t)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR ||
	    arg->__reserved)
		return -EOPNOTSUPP;
	hwpt = iommufd_hwpt_find(cmd->ctx, arg->hwpt_id);
	if (!hwpt)
		return -ENOENT;
	err = check_range(hwpt, arg, &last);
	if (err)
		return err;
	if (!hwpt->dirty)
		return -EOPNOTSUPP;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->iova = arg->iova;
	h->last = last;
	/* Of a size that is no power of two the kernel takes the lowest bit. */
	h->page_shift = (unsigned int)__builtin_ctzll(arg->page_size);
	h->clear = !(arg->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
	h->user = (uint8_t *)(uintptr_t)arg->data;
	h->last_bit = ((last - arg->iova) >> h->page_shift) | 63;
	h->low = WINDOW_WORDS;
	began = sv_cpu_ns();
	err = get_dirty(hwpt, h);
	atomic_fetch_add(&hwpt->stat->read_ns, sv_cpu_ns() - began);
	free(h->log);
	free(h);
	return err;
}
