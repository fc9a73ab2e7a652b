/* SPDX-License-Identifier: MIT */
/*
 * The emulated device's programming interface, for guest drivers.  An
 * operation reads one page of the READ area, if there is one, writes the next
 * page of the WRITE area, each round robin, and ends with a completion record
 * (as the accelerator's) and MSI-X vector 0.  Little-endian; a u64 may be
 * written in two halves, low one first.
 *
 * It touches only what it has pinned: doorbells are ignored while it is not
 * enabled, and areas are what they were when it was enabled.  At most
 * MDEV_QUEUE operations may be outstanding; a doorbell beyond is lost.
 *
 * Depends on libc only.
 */
#ifndef MODELS_MDEV_REGS_H
#define MODELS_MDEV_REGS_H

#include <stddef.h>
#include <stdint.h>

#define MDEV_MAGIC 0x3056444du /* "MDV0" */
#define MDEV_QUEUE 64u

#define MDEV_REG_MAGIC	    0x00u /* u32, read only */
#define MDEV_REG_READ_BASE  0x08u /* u64 */
#define MDEV_REG_READ_LEN   0x10u /* u64, may be 0 */
#define MDEV_REG_WRITE_BASE 0x18u /* u64 */
#define MDEV_REG_WRITE_LEN  0x20u /* u64, may be 0 */
#define MDEV_REG_COMPLETION 0x28u /* u64, address of the record */
#define MDEV_REG_ENABLE	    0x30u /* u32: 1 pins, 0 unpins */
#define MDEV_REG_DOORBELL   0x38u /* u64: id of one operation */

struct mdev_completion {
	uint64_t stamp;
	uint64_t id;
	uint32_t status; /* 0 done, 1 DMA refused */
	uint32_t zero[3];
};
_Static_assert(sizeof(struct mdev_completion) == 32, "layout");

#endif /* MODELS_MDEV_REGS_H */
