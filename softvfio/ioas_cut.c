/* SPDX-License-Identifier: MIT */
/*
 * Cutting an area in two, for VFIO's type1 v1, which may unmap a part of what
 * was mapped.  Only where entries are 4K (no large pages): larger ones could
 * not be cut.
 *
 * Threads: the context's lock is held; DMA sees the area or its two halves,
 * dirty bits included, because the list is write-locked in between.
 */
#include "softvfio/iommufd.h"

#include <errno.h>

#define ENTRY_SHIFT 12

static bool is_dirty(const struct dirty_table *t, uint64_t entry)
{
	return atomic_load_explicit(&t->words[entry / 64],
				    memory_order_acquire) >>
		       (entry % 64) &
	       1;
}

/* The bits of @part, which begins at entry @first of @whole. */
static void take_bits(const struct dirty_table *whole, uint64_t first,
		      struct dirty_table *part, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		if (is_dirty(whole, first + i))
			atomic_fetch_or(&part->words[i / 64], 1ull << (i % 64));
	}
}

/* A half of @area, with tables of its own. */
static struct sv_area *half_of(const struct iommufd_ioas *ioas,
			       const struct sv_area *area, uint64_t iova,
			       uint64_t last)
{
	struct sv_area *half =
		ioas_piece_of(area, iova, last, iova, area->prot);
	const struct iommufd_hwpt *hwpt;

	for (hwpt = ioas->hwpts; half && hwpt; hwpt = hwpt->next) {
		if (dirty_table_add(half, hwpt)) {
			ioas_area_free(half);
			return NULL;
		}
		if (hwpt->dirty)
			take_bits(dirty_table_find(area, hwpt),
				  (iova - area->iova) >> ENTRY_SHIFT,
				  dirty_table_find(half, hwpt),
				  ((last - iova) >> ENTRY_SHIFT) + 1);
	}
	return half;
}

static int cut_locked(struct iommufd_ioas *ioas, uint64_t iova)
{
	size_t i = sv_area_index(&ioas->list, iova);
	struct sv_area *area, *left, *right;
	uint64_t mask = ioas_alignment(ioas) - 1;

	if (i == ioas->list.nr || ioas->list.areas[i]->iova > iova ||
	    ioas->list.areas[i]->last == iova)
		return 0;
	area = ioas->list.areas[i];
	if (((iova + 1) | (area->va + (iova + 1 - area->iova))) & mask)
		return -EINVAL;
	left = half_of(ioas, area, area->iova, iova);
	right = half_of(ioas, area, iova + 1, area->last);
	if (!left || !right || sv_area_insert_room(&ioas->list, 1)) {
		ioas_area_free(left);
		ioas_area_free(right);
		return -ENOMEM;
	}
	/* There is room: these cannot fail. */
	ioas_area_free(sv_area_remove_at(&ioas->list, i));
	sv_area_insert(&ioas->list, left);
	sv_area_insert(&ioas->list, right);
	return 0;
}

int ioas_cut(struct iommufd_ioas *ioas, uint64_t iova)
{
	int err;

	pthread_rwlock_wrlock(&ioas->list.lock);
	err = cut_locked(ioas, iova);
	pthread_rwlock_unlock(&ioas->list.lock);
	return err;
}
