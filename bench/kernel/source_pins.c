/* SPDX-License-Identifier: MIT */
/*
 * The container's own knowledge as a source: type1's bitmaps, one a mapping, of
 * what emulated devices pinned or wrote.
 *
 * Threads: sv_vfio_lock held; the list's write lock is taken here, as type1's
 * own read does.
 */
#include "bench/kernel/source.h"

#include <errno.h>

#include "base/uapi_vfio.h"

static int dirty_pages(struct sv_container *c, uint32_t flag)
{
	struct vfio_iommu_type1_dirty_bitmap d = { .argsz = sizeof(d),
						   .flags = flag };

	return (int)sv_type1_dirty_pages(c, &d);
}

void source_pins_populate(struct sv_container *c)
{
	pthread_rwlock_wrlock(&c->list.lock);
	for (size_t i = 0; i < c->list.nr; i++)
		sv_type1_populate(c, c->list.areas[i]);
	pthread_rwlock_unlock(&c->list.lock);
	atomic_fetch_add(&c->stat->dirty_reads, 1);
}

/* What of an area's word, whose first page is @page, lies in the window. */
static uint64_t word_mask(const struct sv_type1_dma *dma, uint64_t page,
			  uint64_t from, uint64_t to)
{
	uint64_t mask = UINT64_MAX,
		 end = to < dma->nr_pages ? to : dma->nr_pages;

	if (from > page)
		mask &= UINT64_MAX << (from - page);
	if (end < page + 64)
		mask &= UINT64_MAX >> (page + 64 - end);
	return mask;
}

static uint64_t iova_of(const struct sv_area *area, uint64_t page,
			uint64_t bits)
{
	return area->iova +
	       (page + (uint64_t)__builtin_ctzll(bits)) * SV_PAGE_SIZE;
}

/* Pages [from, to) of an area into the window; how many were forgotten. */
static uint64_t read_pages(const struct sv_area *area, struct window *w,
			   uint64_t from, uint64_t to, bool forget)
{
	struct sv_type1_dma *dma = area->priv;
	uint64_t taken = 0;

	for (uint64_t page = from & ~63ull; page < to; page += 64) {
		uint64_t *word = &dma->bitmap[page / 64];
		uint64_t mask = word_mask(dma, page, from, to);
		uint64_t bits = *word & mask;

		if (!bits)
			continue;
		if (forget) {
			*word &= ~mask;
			taken += (uint64_t)__builtin_popcountll(bits);
		}
		for (; bits; bits &= bits - 1)
			window_set(w, iova_of(area, page, bits), SV_PAGE_SIZE);
	}
	return taken;
}

/* Forget those of an area's pages whose bit the window has. */
static uint64_t clear_pages(const struct sv_area *area, const struct window *w,
			    uint64_t from, uint64_t to)
{
	struct sv_type1_dma *dma = area->priv;
	uint64_t taken = 0;

	for (uint64_t page = from & ~63ull; page < to; page += 64) {
		uint64_t *word = &dma->bitmap[page / 64];
		uint64_t bits = *word & word_mask(dma, page, from, to);

		for (; bits; bits &= bits - 1) {
			uint64_t bit = (iova_of(area, page, bits) - w->iova) >>
				       w->shift;

			if (!(w->words[bit / 64] >> (bit % 64) & 1))
				continue;
			*word &= ~(bits & -bits);
			taken++;
		}
	}
	return taken;
}

static void each_area(struct sv_container *c, struct window *w, bool read,
		      bool forget)
{
	uint64_t last = w->iova + ((w->nr_bits << w->shift) - 1), taken = 0;

	pthread_rwlock_wrlock(&c->list.lock);
	for (size_t i = sv_area_index(&c->list, w->iova);
	     i < c->list.nr && c->list.areas[i]->iova <= last; i++) {
		const struct sv_area *a = c->list.areas[i];
		uint64_t from = a->iova > w->iova ? a->iova : w->iova;
		uint64_t to = a->last < last ? a->last : last;

		from = (from - a->iova) / SV_PAGE_SIZE;
		to = (to - a->iova) / SV_PAGE_SIZE + 1;
		taken += read ? read_pages(a, w, from, to, forget)
			      : clear_pages(a, w, from, to);
	}
	pthread_rwlock_unlock(&c->list.lock);
	atomic_fetch_add(&c->stat->pages_reported, taken);
}

static int pins_read(struct source *s, struct window *w, bool forget)
{
	each_area(s->container, w, true, forget);
	return 0;
}

static int pins_clear(struct source *s, const struct window *mask)
{
	struct window w = *mask;

	each_area(s->container, &w, false, true);
	return 0;
}

static int pins_stop(struct source *s)
{
	return dirty_pages(s->container, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
}

static const struct source_ops pins_ops = {
	.read = pins_read,
	.clear = pins_clear,
	.stop = pins_stop,
};

int source_start_pins(struct source *s, struct sv_container *c)
{
	*s = (struct source){ .ops = &pins_ops, .container = c };
	return dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
}
