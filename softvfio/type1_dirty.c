/* SPDX-License-Identifier: MIT */
/*
 * VFIO_IOMMU_DIRTY_PAGES.  Each mapping has a bitmap while tracking is on.
 * What sets bits: pinning, and writes that a driver does on a device's behalf.
 * An IOMMU-backed device's own DMA sets none: while a group of that sort has
 * not pinned anything, every mapped page is reported, at every read.
 *
 * As Linux does it, a read shifts the bitmap in place when its mapping does
 * not begin on a word of the caller's, takes the caller's whole first word
 * over, and clears only the mapping's own bits afterwards; what lies past them
 * is seen by later reads.  User space must read through a bitmap of its own.
 * Where the copy of a mapping's bits fails, that mapping's are as before; those
 * of mappings before it are in the caller's bitmap and gone here.
 *
 * Invariant: bits are set under the list's read lock (atomically) or its write
 * lock; a read holds the write lock, so no write is between data and mark.
 */
#include "softvfio/container.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uapi_vfio.h"
#include "softvfio/cpu.h"

/* Of one mapping; a request may hold one more. */
#define MAX_PAGES ((uint64_t)INT32_MAX)

static uint64_t words_of(uint64_t bits)
{
	return bits / 64 + !!(bits % 64);
}

void sv_type1_set(struct sv_container *c, struct sv_type1_dma *dma,
		  uint64_t page)
{
	uint64_t bit = 1ull << (page % 64);

	if (!(__atomic_fetch_or(&dma->bitmap[page / 64], bit,
				__ATOMIC_RELEASE) &
	      bit))
		atomic_fetch_add(&c->stat->marks, 1);
}

static void set_all(struct sv_container *c, struct sv_type1_dma *dma)
{
	uint64_t full = dma->nr_pages / 64, new = 0;

	for (uint64_t i = 0; i < full; i++) {
		new += 64u - (unsigned int)__builtin_popcountll(dma->bitmap[i]);
		dma->bitmap[i] = UINT64_MAX;
	}
	atomic_fetch_add(&c->stat->marks, new);
	for (uint64_t page = full * 64; page < dma->nr_pages; page++)
		sv_type1_set(c, dma, page);
}

void sv_type1_dirty_everything(struct sv_container *c)
{
	for (size_t i = 0; i < c->list.nr; i++)
		set_all(c, c->list.areas[i]->priv);
}

int sv_type1_track_area(struct sv_container *c, struct sv_area *area)
{
	struct sv_type1_dma *dma = area->priv;

	if (dma->nr_pages > MAX_PAGES)
		return -EINVAL;
	/* One word more: room for what a read shifts out. */
	dma->bitmap = calloc(words_of(dma->nr_pages) + 1, sizeof(uint64_t));
	if (!dma->bitmap)
		return -ENOMEM;
	sv_type1_populate(c, area);
	return 0;
}

int sv_type1_check_bitmap(uint64_t nr_pages, uint64_t bytes)
{
	if (!nr_pages || !bytes || bytes > SPOOR_TYPE1_BITMAP_MAX ||
	    bytes < words_of(nr_pages) * 8)
		return -EINVAL;
	return 0;
}

static void clear_own_bits(struct sv_type1_dma *dma)
{
	memset(dma->bitmap, 0, dma->nr_pages / 64 * 8);
	if (dma->nr_pages % 64)
		dma->bitmap[dma->nr_pages / 64] &= UINT64_MAX
						   << (dma->nr_pages % 64);
}

/* What was left past them is not counted: it is no page of the mapping. */
static uint64_t count_own_bits(const struct sv_type1_dma *dma)
{
	const uint64_t full = dma->nr_pages / 64;
	const unsigned int rest = dma->nr_pages % 64;
	uint64_t nr = 0;

	for (uint64_t i = 0; i < full; i++)
		nr += (uint64_t)__builtin_popcountll(dma->bitmap[i]);
	if (rest)
		nr += (uint64_t)__builtin_popcountll(dma->bitmap[full] &
						     ((1ull << rest) - 1));
	return nr;
}

void sv_type1_untrack_area(struct sv_container *c, struct sv_area *area)
{
	struct sv_type1_dma *dma = area->priv;

	if (!dma->bitmap)
		return;
	atomic_fetch_add(&c->stat->discarded, count_own_bits(dma));
	free(dma->bitmap);
	dma->bitmap = NULL;
}

/* Shift left by less than a word, from the end so that it works in place. */
static void shift_left(uint64_t *words, uint64_t nr, unsigned int shift)
{
	for (uint64_t i = nr; i-- > 0;)
		words[i] = words[i] << shift |
			   (i ? words[i - 1] >> (64 - shift) : 0);
}

int sv_type1_report_area(struct sv_container *c, struct sv_area *area,
			 uint64_t base, uint64_t user_bitmap)
{
	struct sv_type1_dma *dma = area->priv;
	const uint64_t offset = (area->iova - base) / SV_PAGE_SIZE;
	const unsigned int shift = offset % 64;
	const uint64_t nr = words_of(dma->nr_pages + shift);
	const uint64_t room = words_of(dma->nr_pages) + 1;
	char *user = (char *)user_bitmap + offset / 64 * 8;
	uint64_t *before, leading, reported;
	int err;

	/* What is pinned is dirty at every read. */
	sv_type1_populate(c, area);
	if (sv_container_all_dirty(c))
		set_all(c, dma);
	before = malloc(room * 8);
	if (!before)
		return -ENOMEM;
	memcpy(before, dma->bitmap, room * 8);
	reported = count_own_bits(dma);
	err = 0;
	if (shift) {
		shift_left(dma->bitmap, nr, shift);
		err = sv_copy_in(&leading, user, sizeof(leading));
		if (!err)
			dma->bitmap[0] |= leading;
	}
	if (!err)
		err = sv_copy_out(user, dma->bitmap, nr * 8);
	if (err) {
		memcpy(dma->bitmap, before, room * 8);
	} else {
		clear_own_bits(dma);
		atomic_fetch_add(&c->stat->pages_reported, reported);
	}
	free(before);
	return err;
}

static int start(struct sv_container *c)
{
	char name[48];
	int err;

	if (c->tracking)
		return 0;
	if (!c->stat) {
		snprintf(name, sizeof(name), "container%u", c->number);
		c->stat = sv_space_stat_new(name);
		if (!c->stat)
			return -ENOMEM;
	}
	for (size_t i = 0; i < c->list.nr; i++) {
		err = sv_type1_track_area(c, c->list.areas[i]);
		if (err) {
			for (size_t u = 0; u < i; u++)
				sv_type1_untrack_area(c, c->list.areas[u]);
			return err;
		}
	}
	c->tracking = true;
	return 0;
}

static void stop(struct sv_container *c)
{
	if (!c->tracking)
		return;
	c->tracking = false;
	for (size_t i = 0; i < c->list.nr; i++)
		sv_type1_untrack_area(c, c->list.areas[i]);
}

/* A request holds whole mappings: its ends may not cut one. */
static int report(struct sv_container *c,
		  const struct vfio_iommu_type1_dirty_bitmap_get *get)
{
	const uint64_t last = get->iova + get->size - 1;
	const struct sv_area *area = sv_area_find(&c->list, get->iova);
	uint64_t began = sv_cpu_ns();
	int err = 0;

	if (area && area->iova != get->iova)
		return -EINVAL;
	area = sv_area_find(&c->list, last);
	if (area && area->last != last)
		return -EINVAL;
	atomic_fetch_add(&c->stat->dirty_reads, 1);
	for (size_t i = sv_area_index(&c->list, get->iova);
	     i < c->list.nr && c->list.areas[i]->iova <= last && !err; i++)
		err = sv_type1_report_area(c, c->list.areas[i], get->iova,
					   (uintptr_t)get->bitmap.data);
	atomic_fetch_add(&c->stat->read_ns, sv_cpu_ns() - began);
	return err;
}

static int get_bitmap(struct sv_container *c, uint32_t argsz, void *arg)
{
	const size_t minsz = 8;
	struct vfio_iommu_type1_dirty_bitmap_get get;
	int err;

	if (argsz < minsz + sizeof(get))
		return -EINVAL;
	if (sv_copy_in(&get, (char *)arg + minsz, sizeof(get)))
		return -EFAULT;
	if (get.iova + get.size < get.iova ||
	    (uintptr_t)get.bitmap.data >> 47 || !get.bitmap.pgsize)
		return -EINVAL;
	err = sv_type1_check_bitmap(get.size >>
					    __builtin_ctzll(get.bitmap.pgsize),
				    get.bitmap.size);
	if (err)
		return err;
	if (get.bitmap.pgsize != SV_PAGE_SIZE || get.iova & SV_PAGE_MASK ||
	    !get.size || get.size & SV_PAGE_MASK || !c->tracking)
		return -EINVAL;
	return report(c, &get);
}

long sv_type1_dirty_pages(struct sv_container *c, void *arg)
{
	const uint32_t allowed = VFIO_IOMMU_DIRTY_PAGES_FLAG_START |
				 VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP |
				 VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	struct {
		uint32_t argsz, flags;
	} head;
	int err = 0;

	if (c->type != VFIO_TYPE1v2_IOMMU)
		return -EACCES;
	if (sv_copy_in(&head, arg, sizeof(head)))
		return -EFAULT;
	if (head.argsz < sizeof(head) || head.flags & ~allowed ||
	    __builtin_popcount(head.flags) != 1)
		return -EINVAL;
	/* As in Linux, one lock for all: it waits for DMA in flight. */
	pthread_rwlock_wrlock(&c->list.lock);
	if (head.flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_START)
		err = start(c);
	else if (head.flags & VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP)
		stop(c);
	else
		err = get_bitmap(c, head.argsz, arg);
	pthread_rwlock_unlock(&c->list.lock);
	return err;
}
