/* SPDX-License-Identifier: MIT */
/*
 * iommufd's mock IOMMU (CONFIG_IOMMUFD_TEST): what of its interface the rig
 * uses, and a page table with dirty bits in a space of libspoor's.
 *
 * The mock is there only where no real IOMMU is.  It maps halves of pages, from
 * 16 MiB to 2 GiB, and is told which to call dirty.
 */
#ifndef RIG_TESTS_MOCK_H
#define RIG_TESTS_MOCK_H

#include <linux/types.h>

#include "base/uapi_iommufd.h"
#include "device/device_priv.h"
#include "iommu/space_priv.h"
#include "rig.h"

#define MOCK_START 0x1000000ull
#define MOCK_LAST  0x7fffffffull
/* Its device takes entries of 1 MiB. */
#define MOCK_HUGE  (1u << 1)

struct mock {
	struct spoor_space *space;
	struct spoor_device dev; /* attached, but for an fd */
	uint32_t stdev, idev;
};

/* @flags: 0 or MOCK_HUGE; @iommu_page as in struct spoor_space_opts. */
void mock_up(struct mock *m, uint32_t flags, uint64_t iommu_page);
void mock_down(struct mock *m);
/* The IOMMU sees a write to a mapped page; how many bits went 0 -> 1. */
uint64_t mock_dirty(struct mock *m, uint64_t iova);

#endif /* RIG_TESTS_MOCK_H */
