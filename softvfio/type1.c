/* SPDX-License-Identifier: MIT */
/*
 * type1: what is mapped in a container.  With an IOMMU-backed group in it
 * memory is pinned when it is mapped; with emulated ones alone nothing is
 * looked at until it is used.  Called with sv_vfio_lock held.
 */
#include "softvfio/container.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/uapi_vfio.h"
#include "softvfio/config.h"

/* What the IOMMU of IOMMU-backed groups translates: 48 bits, less the MSI
 * window. */
#define APERTURE_LAST 0xffffffffffffull
#define MSI_FIRST     0xfee00000ull
#define MSI_LAST      0xfeefffffull

static bool reachable(uint64_t iova, uint64_t last)
{
	return last <= APERTURE_LAST && (last < MSI_FIRST || iova > MSI_LAST);
}

/*
 * sv_type1_attach: what was mapped before must suit the IOMMU.  Linux looks for
 * the MSI window before it maps, and hears of its IOMMU's end when it maps.
 */
static int pin_everything(struct sv_container *c)
{
	if (sv_area_overlaps(&c->list, MSI_FIRST, MSI_LAST))
		return -EINVAL;
	for (size_t i = 0; i < c->list.nr; i++) {
		struct sv_area *area = c->list.areas[i];
		int err;

		/* Its end is 0 to the loop that maps, which has no turn. */
		if (area->last == UINT64_MAX)
			continue;
		if (area->last > APERTURE_LAST)
			return -EFAULT;
		err = sv_area_pin(area, true);
		if (err)
			return err;
	}
	return 0;
}

/* Whatever is to be pinned has no address for a while. */
static bool has_invalid_vaddr(const struct sv_container *c)
{
	for (size_t i = 0; i < c->list.nr; i++) {
		const struct sv_type1_dma *dma = c->list.areas[i]->priv;

		if (dma->vaddr_invalid)
			return true;
	}
	return false;
}

int sv_type1_attach(struct sv_container *c, struct sv_group *g)
{
	const bool physical = sv_group_physical(g) && !g->dev->config->noiommu;
	int err = 0;

	pthread_rwlock_wrlock(&c->list.lock);
	if (has_invalid_vaddr(c))
		err = -EBUSY;
	else if (physical)
		err = pin_everything(c);
	pthread_rwlock_unlock(&c->list.lock);
	if (err)
		return err;
	c->had_iommu |= physical;
	g->attached = true;
	/* Nothing translates for it: its DMA leads nowhere. */
	if (g->dev->config->noiommu)
		return 0;
	/* An emulated group reports by pinning; others once they pin. */
	g->pinned_scope = !sv_group_physical(g);
	g->attachment = (struct sv_attachment){ .ops = &sv_type1_attachment_ops,
						.dev = g->dev,
						.list = &c->list,
						.allow_bar = true };
	sv_device_set_attachment(g->dev, &g->attachment);
	return 0;
}

void sv_type1_detach(struct sv_container *c, struct sv_group *g)
{
	sv_device_set_attachment(g->dev, NULL);
	g->attached = false;
	/* It may have written anything, and nobody can ask it any more. */
	if (!g->pinned_scope && c->tracking) {
		pthread_rwlock_wrlock(&c->list.lock);
		sv_type1_dirty_everything(c);
		pthread_rwlock_unlock(&c->list.lock);
	}
}

void sv_type1_free_area(struct sv_container *c, struct sv_area *area)
{
	struct sv_type1_dma *dma = area->priv;

	sv_type1_untrack_area(c, area);
	sv_type1_free_pins(dma);
	free(dma);
	sv_area_free(area);
}

void sv_type1_release(struct sv_container *c)
{
	pthread_rwlock_wrlock(&c->list.lock);
	while (c->list.nr)
		sv_type1_free_area(c,
				   sv_area_remove_at(&c->list, c->list.nr - 1));
	c->tracking = false;
	c->had_iommu = false;
	c->type = 0;
	pthread_rwlock_unlock(&c->list.lock);
}

/* The union of what the attached IOMMUs' entries can be. */
static uint64_t page_sizes(const struct sv_container *c)
{
	uint64_t sizes = ~SV_PAGE_MASK;

	for (const struct sv_group *g = c->groups; g; g = g->next) {
		uint64_t largest = g->dev->config->iommu_page;
		uint64_t own = 1ull << 12;

		if (!sv_group_physical(g))
			continue;
		own |= largest < 1ull << 21 ? largest : 1ull << 21;
		if (largest >= 1ull << 30)
			own |= 1ull << 30;
		sizes &= own;
	}
	return sizes;
}

static size_t fill_caps(struct sv_container *c, uint8_t *buf, uint32_t base)
{
	const bool packed = sv_config()->kernel == SV_KERNEL_6_1;
	const uint32_t migration_len = 32;
	const uint32_t avail_at = base + migration_len;
	/* Linux 6.12 aligns capabilities to 8 bytes, 6.1 does not. */
	const uint32_t range_at = avail_at + (packed ? 12 : 16);
	const bool physical = sv_container_physical(c);
	const struct vfio_iommu_type1_info_cap_migration migration = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
			    .version = 1,
			    .next = avail_at },
		.pgsize_bitmap = SV_PAGE_SIZE,
		.max_dirty_bitmap_size = SPOOR_TYPE1_BITMAP_MAX,
	};
	const struct vfio_iommu_type1_info_dma_avail avail = {
		.header = { .id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
			    .version = 1,
			    .next = c->had_iommu ? range_at : 0 },
		.avail = SV_TYPE1_MAX_MAPPINGS - (uint32_t)c->list.nr,
	};
	const struct vfio_info_cap_header range_header = {
		.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
		.version = 1,
	};
	/* Everything, once the IOMMU is gone. */
	const uint32_t nr_ranges[2] = { physical ? 2 : 1, 0 };
	const struct vfio_iova_range ranges[2] = {
		{ .start = 0, .end = physical ? MSI_FIRST - 1 : UINT64_MAX },
		{ .start = MSI_LAST + 1, .end = APERTURE_LAST },
	};

	memcpy(buf, &migration, sizeof(migration));
	memcpy(buf + avail_at - base, &avail, sizeof(avail));
	if (!c->had_iommu)
		return avail_at - base + (packed ? 12 : 16);
	buf += range_at - base;
	memcpy(buf, &range_header, sizeof(range_header));
	memcpy(buf + 8, nr_ranges, sizeof(nr_ranges));
	memcpy(buf + 16, ranges, nr_ranges[0] * sizeof(ranges[0]));
	return range_at - base + 16 + nr_ranges[0] * sizeof(ranges[0]);
}

long sv_type1_get_info(struct sv_container *c, void *arg)
{
	/* Rounded up to 24 bytes whatever this build's header says. */
	struct {
		uint32_t argsz, flags;
		uint64_t iova_pgsizes;
		uint32_t cap_offset, pad;
	} info = { .argsz = 0 };
	const uint32_t minsz = 16;
	uint8_t caps[128] = { 0 };
	uint32_t user, caps_len;
	size_t fixed;

	if (sv_copy_in(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	user = info.argsz;
	fixed = user < sizeof(info) ? user & ~3u : sizeof(info);
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.iova_pgsizes = page_sizes(c);
	info.cap_offset = 0;
	caps_len = (uint32_t)fill_caps(c, caps, sizeof(info));
	if (user < sizeof(info) + caps_len) {
		info.argsz = (uint32_t)sizeof(info) + caps_len;
	} else {
		info.cap_offset = sizeof(info);
		if (sv_copy_out((char *)arg + sizeof(info), caps, caps_len))
			return -EFAULT;
	}
	return sv_copy_out(arg, &info, fixed);
}

static int set_vaddr(struct sv_container *c,
		     const struct vfio_iommu_type1_dma_map *map)
{
	size_t i = sv_area_index(&c->list, map->iova);
	struct sv_area *area;
	struct sv_type1_dma *dma;

	if (!sv_area_overlaps(&c->list, map->iova, map->iova + map->size - 1))
		return -ENOENT;
	area = c->list.areas[i];
	dma = area->priv;
	if (!dma->vaddr_invalid || area->iova != map->iova ||
	    area->last - area->iova + 1 != map->size)
		return -EINVAL;
	area->va = map->vaddr;
	dma->vaddr_invalid = false;
	return 0;
}

static int map_locked(struct sv_container *c,
		      const struct vfio_iommu_type1_dma_map *map)
{
	const uint64_t last = map->iova + map->size - 1;
	const bool physical = sv_container_physical(c);
	struct sv_type1_dma *dma;
	struct sv_area *area;
	int err;

	if (sv_area_overlaps(&c->list, map->iova, last))
		return -EEXIST;
	if (c->list.nr >= SV_TYPE1_MAX_MAPPINGS)
		return -ENOSPC;
	if (physical && !reachable(map->iova, last))
		return -EINVAL;
	area = calloc(1, sizeof(*area));
	dma = calloc(1, sizeof(*dma));
	if (!area || !dma) {
		free(area);
		free(dma);
		return -ENOMEM;
	}
	*area = (struct sv_area){
		.iova = map->iova, .last = last, .va = map->vaddr, .priv = dma
	};
	if (map->flags & VFIO_DMA_MAP_FLAG_READ)
		area->prot |= SV_PROT_READ;
	if (map->flags & VFIO_DMA_MAP_FLAG_WRITE)
		area->prot |= SV_PROT_WRITE;
	dma->nr_pages = map->size / SV_PAGE_SIZE;
	err = physical ? sv_area_pin(area, true) : 0;
	if (!err && c->tracking)
		err = sv_type1_track_area(c, area);
	if (!err)
		err = sv_area_insert(&c->list, area);
	if (err)
		sv_type1_free_area(c, area);
	return err;
}

long sv_type1_map(struct sv_container *c, void *arg)
{
	const uint32_t allowed = VFIO_DMA_MAP_FLAG_READ |
				 VFIO_DMA_MAP_FLAG_WRITE |
				 VFIO_DMA_MAP_FLAG_VADDR;
	struct vfio_iommu_type1_dma_map map;
	bool vaddr, prot;
	int err;

	if (sv_copy_in(&map, arg, sizeof(map)))
		return -EFAULT;
	if (map.argsz < sizeof(map) || map.flags & ~allowed)
		return -EINVAL;
	vaddr = map.flags & VFIO_DMA_MAP_FLAG_VADDR;
	prot = map.flags & (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	if (vaddr == prot)
		return -EINVAL;
	if (!map.size || (map.size | map.iova | map.vaddr) & SV_PAGE_MASK ||
	    map.iova + map.size - 1 < map.iova ||
	    map.vaddr + map.size - 1 < map.vaddr)
		return -EINVAL;
	pthread_rwlock_wrlock(&c->list.lock);
	err = vaddr ? set_vaddr(c, &map) : map_locked(c, &map);
	pthread_rwlock_unlock(&c->list.lock);
	return err;
}

struct unmap {
	struct vfio_iommu_type1_dma_unmap head;
	struct vfio_bitmap bitmap;
	bool dirty, vaddr, all;
};

/* v2: no mapping may be cut; the ends are looked at before anything goes. */
static bool cuts_a_mapping(const struct sv_container *c, uint64_t iova,
			   uint64_t last)
{
	const struct sv_area *area = sv_area_find(&c->list, iova);

	if (area && area->iova != iova)
		return true;
	area = sv_area_find(&c->list, last);
	return area && area->last != last;
}

static int unmap_one(struct sv_container *c, struct unmap *u, size_t index)
{
	struct sv_area *area = c->list.areas[index];
	struct sv_type1_dma *dma = area->priv;
	int err;

	if (u->vaddr) {
		if (dma->vaddr_invalid)
			return -EINVAL;
		dma->vaddr_invalid = true;
		return 0;
	}
	if (u->dirty) {
		sv_type1_end_pins(c, area);
		err = sv_type1_report_area(c, area, u->head.iova,
					   (uintptr_t)u->bitmap.data);
		if (err)
			return err;
	}
	sv_type1_lose_pins(c, area);
	sv_type1_free_area(c, sv_area_remove_at(&c->list, index));
	return 0;
}

/* The end wraps to 0 at 2^64, and then nothing is found: so does Linux. */
static int unmap_range(struct sv_container *c, struct unmap *u, uint64_t iova,
		       uint64_t end, uint64_t *ret_bytes)
{
	const size_t first = sv_area_index(&c->list, iova);
	size_t i = first;
	int err = 0;

	while (i < c->list.nr && c->list.areas[i]->iova < end && !err) {
		const struct sv_area *area = c->list.areas[i];
		uint64_t len = area->last - area->iova + 1;

		if (c->type == VFIO_TYPE1_IOMMU && iova > area->iova)
			break;
		err = unmap_one(c, u, i);
		if (err)
			break;
		*ret_bytes += len;
		i += u->vaddr;
	}
	/* All addresses go, or none. */
	while (err && u->vaddr && i-- > first)
		((struct sv_type1_dma *)c->list.areas[i]->priv)->vaddr_invalid =
			false;
	return err;
}

static int unmap_locked(struct sv_container *c, struct unmap *u,
			uint64_t *ret_bytes)
{
	uint64_t iova = u->head.iova, size = u->head.size;

	if (iova & SV_PAGE_MASK)
		return -EINVAL;
	if (u->all) {
		if (iova || size)
			return -EINVAL;
		size = UINT64_MAX;
	} else if (!size || size & SV_PAGE_MASK || iova + size - 1 < iova) {
		return -EINVAL;
	}
	if (u->dirty && (!c->tracking || u->bitmap.pgsize != SV_PAGE_SIZE))
		return -EINVAL;
	if (c->type == VFIO_TYPE1v2_IOMMU && !u->all &&
	    cuts_a_mapping(c, iova, iova + size - 1))
		return -EINVAL;
	return unmap_range(c, u, iova, iova + size, ret_bytes);
}

static int unmap_bitmap(struct unmap *u, void *arg)
{
	const uint64_t size = u->head.size;

	if (u->head.argsz < sizeof(u->head) + sizeof(u->bitmap))
		return -EINVAL;
	if (sv_copy_in(&u->bitmap, (char *)arg + sizeof(u->head),
		       sizeof(u->bitmap)))
		return -EFAULT;
	if ((uintptr_t)u->bitmap.data >> 47 || !u->bitmap.pgsize)
		return -EINVAL;
	return sv_type1_check_bitmap(size >> __builtin_ctzll(u->bitmap.pgsize),
				     u->bitmap.size);
}

long sv_type1_unmap(struct sv_container *c, void *arg)
{
	const uint32_t allowed = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP |
				 VFIO_DMA_UNMAP_FLAG_ALL |
				 VFIO_DMA_UNMAP_FLAG_VADDR;
	struct unmap u = { .dirty = false };
	uint64_t bytes = 0;
	int err;

	if (sv_copy_in(&u.head, arg, sizeof(u.head)))
		return -EFAULT;
	if (u.head.argsz < sizeof(u.head) || u.head.flags & ~allowed)
		return -EINVAL;
	u.dirty = u.head.flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	u.all = u.head.flags & VFIO_DMA_UNMAP_FLAG_ALL;
	u.vaddr = u.head.flags & VFIO_DMA_UNMAP_FLAG_VADDR;
	if (u.dirty && (u.all || u.vaddr))
		return -EINVAL;
	if (u.dirty) {
		err = unmap_bitmap(&u, arg);
		if (err)
			return err;
	}
	for (struct sv_group *g = c->groups; u.vaddr && g; g = g->next) {
		if (!sv_group_physical(g))
			return -EBUSY;
	}
	pthread_rwlock_wrlock(&c->list.lock);
	err = unmap_locked(c, &u, &bytes);
	pthread_rwlock_unlock(&c->list.lock);
	if (err)
		return err;
	u.head.size = bytes;
	return sv_copy_out(arg, &u.head, sizeof(u.head));
}
