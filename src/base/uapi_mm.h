/* SPDX-License-Identifier: MIT */
/*
 * The memory manager's uAPI, completed: userfaultfd's newer features and
 * PAGEMAP_SCAN, which Debian 12's headers (Linux 6.1) lack.  Each piece stands
 * behind the macro that the kernel's own header would have brought with it.
 * Layouts are the kernel's ABI and are checked at compile time.
 */
#ifndef SPOOR_BASE_UAPI_MM_H
#define SPOOR_BASE_UAPI_MM_H

#include <assert.h>
#include <stddef.h>

#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/userfaultfd.h>

/* 6.4: write-protects pages of anonymous memory that are not there yet */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif

/* 6.7: the kernel resolves write faults itself */
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif

/* 6.7: read, and write-protect, in one walk of the page tables */
#ifndef PAGEMAP_SCAN
#define PAGEMAP_SCAN	      _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_WRITTEN	      (1 << 1)
#define PM_SCAN_WP_MATCHING   (1 << 0)
#define PM_SCAN_CHECK_WPASYNC (1 << 1)

struct page_region {
	__u64 start;
	__u64 end;
	__u64 categories;
};

struct pm_scan_arg {
	__u64 size;
	__u64 flags;
	__u64 start;
	__u64 end;
	__u64 walk_end;
	__u64 vec;
	__u64 vec_len;
	__u64 max_pages;
	__u64 category_inverted;
	__u64 category_mask;
	__u64 category_anyof_mask;
	__u64 return_mask;
};
#endif
static_assert(sizeof(struct page_region) == 24, "ABI");
static_assert(sizeof(struct pm_scan_arg) == 96, "ABI");
static_assert(offsetof(struct pm_scan_arg, walk_end) == 32, "ABI");
static_assert(offsetof(struct pm_scan_arg, return_mask) == 88, "ABI");

static_assert(sizeof(struct uffd_msg) == 32, "ABI");
static_assert(sizeof(struct uffdio_register) == 32, "ABI");
static_assert(sizeof(struct uffdio_writeprotect) == 24, "ABI");

#endif /* SPOOR_BASE_UAPI_MM_H */
