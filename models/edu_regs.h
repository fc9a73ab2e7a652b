/* SPDX-License-Identifier: MIT */
/*
 * The programming interface of QEMU's `edu` device (docs/specs/edu.rst there),
 * for guest drivers.  Registers below 0x80 take accesses of 4 bytes, those from
 * 0x80 on of 4 or 8; a write of 4 bytes to one of these sets its upper half to
 * 0, and the upper half is no register of its own.
 *
 * One DMA at a time, of at most EDU_BUF_LEN bytes, to or from a buffer that the
 * device knows as [EDU_BUF, EDU_BUF + EDU_BUF_LEN).  While EDU_CMD_RUN is set
 * writes to the DMA registers are ignored.  Guest addresses are cut to the
 * device's mask, 28 bits wide unless it was made wider.
 *
 * Depends on libc only.
 */
#ifndef MODELS_EDU_REGS_H
#define MODELS_EDU_REGS_H

#define EDU_VENDOR  0x1234u
#define EDU_DEVICE  0x11e8u
#define EDU_ID	    0x010000edu
#define EDU_BAR_LEN 0x100000u
#define EDU_BITS    28u

#define EDU_REG_ID	   0x00u /* u32, read only */
#define EDU_REG_LIVENESS   0x04u /* u32: reads as the inverse of what it got */
#define EDU_REG_FACTORIAL  0x08u /* u32: n, then n! modulo 2^32 */
#define EDU_REG_STATUS	   0x20u /* u32 */
#define EDU_REG_IRQ_STATUS 0x24u /* u32, read only */
#define EDU_REG_IRQ_RAISE  0x60u /* u32, write only */
#define EDU_REG_IRQ_ACK	   0x64u /* u32, write only */
#define EDU_REG_SRC	   0x80u /* u64 */
#define EDU_REG_DST	   0x88u /* u64 */
#define EDU_REG_COUNT	   0x90u /* u64 */
#define EDU_REG_CMD	   0x98u /* u64 */

#define EDU_STATUS_COMPUTING 0x01u
#define EDU_STATUS_IRQ	     0x80u /* an interrupt when n! is there */

#define EDU_IRQ_FACTORIAL 0x001u
#define EDU_IRQ_DMA	  0x100u

#define EDU_CMD_RUN    1u /* read: it is at work */
#define EDU_CMD_TO_RAM 2u /* buffer to RAM, else RAM to buffer */
#define EDU_CMD_IRQ    4u /* an interrupt at the end */

#define EDU_BUF	    0x40000u
#define EDU_BUF_LEN 4096u

#endif /* MODELS_EDU_REGS_H */
