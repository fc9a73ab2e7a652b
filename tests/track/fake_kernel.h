/* SPDX-License-Identifier: MIT */
/*
 * As much of VFIO and iommufd as the trackers' tests need, behind open, close,
 * access and ioctl of this executable.  Two devices: vfio0 in group 0, vfio1 in
 * group 1, found in a sysfs directory that fake_kernel_up() makes.
 *
 * It answers as Linux does where that hurts: REPORT and GET_DIRTY_BITMAP clear
 * whole granules, huge entries are reported past the range, type1 overwrites
 * words and leaves stale bits behind the mapping.
 *
 * Threads: DMA and ioctls may race; one lock.
 */
#ifndef TESTS_TRACK_FAKE_KERNEL_H
#define TESTS_TRACK_FAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_config {
	uint64_t log_min_page, log_max_page;
	uint32_t log_max_ranges; /* more: E2BIG */
	uint64_t log_last; /* highest address the log takes */
	bool log_quiet_only; /* REPORT says EBUSY */
	bool log_no_report; /* EOPNOTSUPP: no CONFIG_IOMMUFD */
	uint64_t entry; /* I/O page table entries, unless HUGE_PAGES is 0 */
	bool no_dirty_bits[2]; /* of the device's IOMMU */
	bool other_iommu; /* device 1 refuses device 0's page tables */
	bool no_scope; /* type1: a group lacks pinned-page scope */
	bool not_viable; /* groups */
};

extern struct fake_config fake;

/* Fail the nth next ioctl of this request (1: the next); 0: none. */
void fake_fail(unsigned long request, unsigned int nth, int err);
/* Calls of a request since fake_kernel_up(). */
unsigned int fake_calls(unsigned long request);
/* Ranges and page size of the last successful or refused START. */
uint32_t fake_log_nr_ranges(void);
uint64_t fake_log_page(void);

void fake_kernel_up(void);
/* The number of its descriptors that are still open. */
unsigned int fake_kernel_down(void);
/* The device's directory, for spoor_device_open(). */
const char *fake_sysfs(unsigned int device);
unsigned int fake_open_fds(void);

/* DMA of a device: -EFAULT if it is not mapped.  @mark_first plants the bug. */
int fake_dma(unsigned int device, uint64_t iova, const void *buf, size_t len,
	     bool mark_first);

#endif /* TESTS_TRACK_FAKE_KERNEL_H */
