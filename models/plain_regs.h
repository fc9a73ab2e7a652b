/* SPDX-License-Identifier: MIT */
/*
 * The plain device's programming interface, for guest drivers: a doorbell
 * fills [DST, DST + LEN) with the value written to it.  It cannot migrate,
 * logs nothing and raises no interrupt.  Little-endian; a u64 may be written
 * in two halves, low one first.
 *
 * DST and LEN are taken when the doorbell rings; one that rings during a fill
 * replaces the one that waits, if any.
 *
 * Depends on libc only.
 */
#ifndef MODELS_PLAIN_REGS_H
#define MODELS_PLAIN_REGS_H

#define PLAIN_MAGIC 0x304e4c50u /* "PLN0" */

#define PLAIN_REG_MAGIC	   0x00u /* u32, read only */
#define PLAIN_REG_DST	   0x08u /* u64 */
#define PLAIN_REG_LEN	   0x10u /* u64 */
#define PLAIN_REG_DOORBELL 0x18u /* u64 */

#endif /* MODELS_PLAIN_REGS_H */
