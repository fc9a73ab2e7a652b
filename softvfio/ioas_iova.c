/* SPDX-License-Identifier: MIT */
/*
 * Where in an IOAS something may be mapped: reserved ranges, the checks of a
 * fixed address, and the choice of a free one.  All ends are inclusive, so
 * that the last page before 2^64 needs no special case.
 *
 * Threads: the context's lock is held; nothing here is changed.
 */
#include "softvfio/iommufd.h"

#include <errno.h>

/* x86: the interrupt window, and what 48 bits of page table reach. */
#define MSI_FIRST     0xfee00000ull
#define MSI_LAST      0xfeefffffull
#define APERTURE_LAST 0xffffffffffffull

size_t ioas_reserved(const struct iommufd_ioas *ioas, enum ioas_joiner joiner,
		     struct iommu_iova_range *ret)
{
	size_t nr = 0;

	if (ioas->nr_devices || joiner == IOAS_JOIN_DEVICE)
		ret[nr++] = (struct iommu_iova_range){ .start = MSI_FIRST,
						       .last = MSI_LAST };
	if (ioas->hwpts || joiner == IOAS_JOIN_HWPT)
		ret[nr++] =
			(struct iommu_iova_range){ .start = APERTURE_LAST + 1,
						   .last = UINT64_MAX };
	return nr;
}

size_t ioas_usable(const struct iommufd_ioas *ioas,
		   struct iommu_iova_range *ret)
{
	struct iommu_iova_range reserved[IOAS_MAX_RESERVED];
	size_t nr = ioas_reserved(ioas, IOAS_JOIN_NONE, reserved);
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < nr; i++) {
		ret[i] = (struct iommu_iova_range){
			.start = at, .last = reserved[i].start - 1
		};
		at = reserved[i].last + 1;
	}
	/* 0: the last reserved range ends at 2^64. */
	if (!i || at)
		ret[i++] = (struct iommu_iova_range){ .start = at,
						      .last = UINT64_MAX };
	return i;
}

int ioas_check_iova(const struct iommufd_ioas *ioas, uint64_t iova,
		    uint64_t length)
{
	struct iommu_iova_range reserved[IOAS_MAX_RESERVED];
	size_t nr, i;
	uint64_t last;

	if (iova & (ioas_alignment(ioas) - 1))
		return -EINVAL;
	if (__builtin_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	nr = ioas_reserved(ioas, IOAS_JOIN_NONE, reserved);
	for (i = 0; i < nr; i++)
		if (iova <= reserved[i].last && reserved[i].start <= last)
			return -EINVAL;
	return sv_area_overlaps(&ioas->list, iova, last) ? -EEXIST : 0;
}

/* What of the memory's own alignment its address keeps. */
struct fit {
	uint64_t length, alignment, page_offset;
};

/* First fit in the hole [start, last]; the kernel leaves holes of one byte. */
static bool fit_hole(const struct fit *fit, uint64_t start, uint64_t last,
		     uint64_t *ret)
{
	uint64_t at;

	if (__builtin_add_overflow(start, fit->alignment - 1, &at))
		return false;
	at = (at & ~(fit->alignment - 1)) | fit->page_offset;
	if (at >= last || last - at < fit->length - 1)
		return false;
	*ret = at;
	return true;
}

/* First fit in [start, last], around areas and reserved ranges. */
static bool fit_range(const struct iommufd_ioas *ioas, const struct fit *fit,
		      uint64_t start, uint64_t last, uint64_t *ret)
{
	struct iommu_iova_range reserved[IOAS_MAX_RESERVED];
	size_t nr = ioas_reserved(ioas, IOAS_JOIN_NONE, reserved);
	size_t i = sv_area_index(&ioas->list, start);
	size_t r = 0;

	for (;;) {
		uint64_t used = UINT64_MAX, used_last = UINT64_MAX;
		bool any = false;

		while (r < nr && reserved[r].last < start)
			r++;
		while (i < ioas->list.nr && ioas->list.areas[i]->last < start)
			i++;
		if (i < ioas->list.nr) {
			used = ioas->list.areas[i]->iova;
			used_last = ioas->list.areas[i]->last;
			any = true;
		}
		if (r < nr && (!any || reserved[r].start < used)) {
			used = reserved[r].start;
			used_last = reserved[r].last;
			any = true;
		}
		if (!any || used > last)
			return fit_hole(fit, start, last, ret);
		if (used > start && fit_hole(fit, start, used - 1, ret))
			return true;
		if (used_last >= last)
			return false;
		start = used_last + 1;
	}
}

static uint64_t round_up_pow2(uint64_t n)
{
	return n <= 1 ? 1 : 1ull << (64 - __builtin_clzll(n - 1));
}

static uint64_t at_least_a_page(uint64_t iova)
{
	/* 0 looks too much like no address at all. */
	return iova < SV_PAGE_SIZE ? SV_PAGE_SIZE : iova;
}

int ioas_pick_iova(const struct iommufd_ioas *ioas, uint64_t va,
		   uint64_t length, uint64_t *ret_iova)
{
	struct fit fit = { .length = length,
			   .alignment = SV_PAGE_SIZE,
			   .page_offset = va & SV_PAGE_MASK };
	uint64_t rounded;
	size_t i;

	if (length >= UINT64_MAX / 2)
		return -EOVERFLOW;
	rounded = round_up_pow2(length);
	if (rounded < fit.alignment)
		fit.alignment = rounded;
	if (va && 1ull << __builtin_ctzll(va) < fit.alignment)
		fit.alignment = 1ull << __builtin_ctzll(va);
	if (fit.alignment < ioas_alignment(ioas))
		return -EINVAL;
	if (!ioas->nr_allowed)
		return fit_range(ioas, &fit, SV_PAGE_SIZE, UINT64_MAX, ret_iova)
			       ? 0
			       : -ENOSPC;
	for (i = 0; i < ioas->nr_allowed; i++) {
		uint64_t start = at_least_a_page(ioas->allowed[i].start);

		if (start <= ioas->allowed[i].last &&
		    fit_range(ioas, &fit, start, ioas->allowed[i].last,
			      ret_iova))
			return 0;
	}
	return -ENOSPC;
}
