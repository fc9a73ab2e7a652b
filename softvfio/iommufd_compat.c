/* SPDX-License-Identifier: MIT */
/*
 * VFIO's container calls, made on /dev/iommu: they mean one IOAS of the
 * context, which a program names (IOMMU_VFIO_IOAS) or which is made when a
 * group is put into the iommufd.
 *
 * Differences from a container are the kernel's own: there is a type without
 * a group, nothing mapped is 0 bytes unmapped, and dirty tracking is not
 * offered.
 *
 * Threads: the context's lock is held throughout.
 */
#include "softvfio/iommufd.h"

#include <errno.h>

#include "base/uapi_vfio.h"
#include "softvfio/config.h"

int iommufd_compat_ioas(struct iommufd_ctx *ctx, struct iommufd_ioas **ret)
{
	int err = 0;

	if (!ctx->compat_ioas)
		err = iommufd_ioas_new(ctx, &ctx->compat_ioas);
	*ret = ctx->compat_ioas;
	return err;
}

static bool knows_noiommu(void)
{
	const struct sv_config *config = sv_config();
	unsigned int i;

	for (i = 0; config && i < config->nr_devices; i++)
		if (config->devices[i].noiommu)
			return true;
	return false;
}

static long check_extension(const struct iommufd_ctx *ctx, unsigned long ext)
{
	switch (ext) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_NOIOMMU_IOMMU:
		return knows_noiommu();
	case VFIO_DMA_CC_IOMMU:
		if (!ctx->compat_ioas)
			return -ENODEV;
		/* No page table of ours overrides what is not snooped. */
		return !ctx->compat_ioas->hwpts;
	default:
		return 0;
	}
}

static long set_iommu(struct iommufd_ctx *ctx, unsigned long type)
{
	if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		return -EINVAL;
	if (!ctx->compat_ioas)
		return -ENODEV;
	/* v1 may cut what is mapped, so nothing may be mapped large. */
	return type == VFIO_TYPE1_IOMMU
		       ? ioas_disable_large_pages(ctx->compat_ioas)
		       : 0;
}

static long map_dma(struct iommufd_ctx *ctx, const void *arg)
{
	struct vfio_iommu_type1_dma_map map;
	uint32_t flags = IOMMU_IOAS_MAP_FIXED_IOVA;

	if (sv_copy_in(&map, arg, sizeof(map)))
		return -EFAULT;
	if (map.argsz < sizeof(map) ||
	    map.flags & ~(uint32_t)(VFIO_DMA_MAP_FLAG_READ |
				    VFIO_DMA_MAP_FLAG_WRITE))
		return -EINVAL;
	if (!ctx->compat_ioas)
		return -ENODEV;
	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		flags |= IOMMU_IOAS_MAP_READABLE;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		flags |= IOMMU_IOAS_MAP_WRITEABLE;
	return ioas_map_user(ctx->compat_ioas, flags, map.vaddr, map.size,
			     (uint64_t *)&map.iova);
}

static int unmap_span(struct iommufd_ioas *ioas, uint64_t iova, uint64_t size,
		      uint64_t *ret_bytes)
{
	int err = 0;

	/* The arithmetic may wrap: what is not there is not cut. */
	if (!ioas->huge)
		err = ioas_cut(ioas, iova + size - 1);
	if (!err && !ioas->huge && iova)
		err = ioas_cut(ioas, iova - 1);
	return err ? err : ioas_unmap_span(ioas, iova, size, ret_bytes);
}

static long unmap_dma(struct iommufd_ctx *ctx, void *arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	struct iommufd_ioas *ioas = ctx->compat_ioas;
	uint64_t bytes = 0;
	int err;

	if (sv_copy_in(&unmap, arg, sizeof(unmap)))
		return -EFAULT;
	if (unmap.argsz < sizeof(unmap) ||
	    unmap.flags & ~(uint32_t)VFIO_DMA_UNMAP_FLAG_ALL)
		return -EINVAL;
	if (!ioas)
		return -ENODEV;
	if (!(unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL))
		err = unmap_span(ioas, unmap.iova, unmap.size, &bytes);
	else if (unmap.iova || unmap.size)
		return -EINVAL;
	else
		err = ioas_unmap_all(ioas, &bytes);
	/* Told even if it failed: areas before the failure are gone. */
	unmap.size = bytes;
	return sv_copy_out(arg, &unmap, sizeof(unmap)) ? -EFAULT : err;
}

/* Sizes of entries that every page table takes, as type1 tells them. */
static uint64_t page_sizes(const struct iommufd_ioas *ioas)
{
	uint64_t sizes = ~SV_PAGE_MASK;
	const struct iommufd_hwpt *hwpt;

	for (hwpt = ioas->hwpts; hwpt; hwpt = hwpt->next) {
		uint64_t own = SV_PAGE_SIZE;

		if (hwpt->max_page >= 1ull << 21)
			own |= 1ull << 21;
		if (hwpt->max_page >= 1ull << 30)
			own |= 1ull << 30;
		sizes &= own;
	}
	return sizes;
}

#define MAX_RANGES (IOAS_MAX_RESERVED + 1)

/* IOMMU_GET_INFO's whole answer; the caller cuts it to what there is room for. */
struct info {
	uint32_t argsz, flags;
	uint64_t iova_pgsizes;
	uint32_t cap_offset, pad;
	struct vfio_iommu_type1_info_dma_avail avail;
	uint32_t avail_pad;
	struct vfio_info_cap_header ranges_header;
	uint32_t nr_ranges, ranges_pad;
	struct iommu_iova_range ranges[MAX_RANGES];
};
static_assert(offsetof(struct info, avail) == 24, "ABI");
static_assert(offsetof(struct info, ranges_header) == 40, "ABI");

static void fill_info(const struct iommufd_ioas *ioas, struct info *info)
{
	*info = (struct info){
		.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
		.iova_pgsizes = page_sizes(ioas),
		.avail = {
			.header = {
				.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
				.version = 1,
				.next = offsetof(struct info, ranges_header),
			},
			.avail = UINT32_MAX,
		},
		.ranges_header = {
			.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
			.version = 1,
		},
	};
	info->nr_ranges = (uint32_t)ioas_usable(ioas, info->ranges);
	info->argsz = (uint32_t)(offsetof(struct info, ranges) +
				 info->nr_ranges * sizeof(info->ranges[0]));
}

static long get_info(const struct iommufd_ctx *ctx, void *arg)
{
	const uint32_t minsz = offsetof(struct info, cap_offset);
	struct info info;
	uint32_t argsz;

	if (sv_copy_in(&info, arg, minsz))
		return -EFAULT;
	argsz = info.argsz;
	if (argsz < minsz)
		return -EINVAL;
	if (!ctx->compat_ioas)
		return -ENODEV;
	fill_info(ctx->compat_ioas, &info);
	/* Where not all have room, one that has is there but not linked. */
	if (argsz >= info.argsz) {
		info.cap_offset = offsetof(struct info, avail);
		argsz = info.argsz;
	} else if (argsz >= offsetof(struct info, ranges_header)) {
		argsz = offsetof(struct info, ranges_header);
	} else if (argsz > offsetof(struct info, avail)) {
		argsz = offsetof(struct info, avail);
	}
	return sv_copy_out(arg, &info, argsz) ? -EFAULT : 0;
}

long iommufd_compat_ioctl(struct iommufd_ctx *ctx, unsigned long request,
			  void *arg)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(ctx, (unsigned long)arg);
	case VFIO_SET_IOMMU:
		return set_iommu(ctx, (unsigned long)arg);
	case VFIO_IOMMU_GET_INFO:
		return get_info(ctx, arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(ctx, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(ctx, arg);
	default:
		return -ENOTTY;
	}
}
