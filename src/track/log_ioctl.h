/* SPDX-License-Identifier: MIT */
/*
 * The three features of a device's DMA log, as the uAPI has them.
 *
 * Threads: one at a time per device.
 */
#ifndef SPOOR_TRACK_LOG_IOCTL_H
#define SPOOR_TRACK_LOG_IOCTL_H

#include <stdint.h>

#include <spoor/device.h>

#include "base/range.h"

/*
 * Start with ranges that are aligned to *page, which becomes the real page
 * size.  -errno without text.
 */
int spoor_log_start(struct spoor_device *dev, const struct spoor_range_list *l,
		    uint64_t *page);

/*
 * OR what is dirty in @r into @words, bit 0 being its first page of
 * 2^@shift bytes, and forget it.  -errno without text.
 */
int spoor_log_report(struct spoor_device *dev, const struct spoor_range *r,
		     unsigned int shift, uint64_t *words);

/* -errno with text. */
int spoor_log_stop(struct spoor_device *dev);

#endif /* SPOOR_TRACK_LOG_IOCTL_H */
