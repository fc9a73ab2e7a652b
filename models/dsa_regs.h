/* SPDX-License-Identifier: MIT */
/*
 * The accelerator's programming interface, for guest drivers: descriptors in
 * guest memory, submitted by writing their address to the doorbell, done in
 * order.  Each ends with a completion record, one DMA write, and then MSI-X
 * vector 0.  All little-endian; the doorbell may be written in two halves, low
 * one first.
 *
 * What it writes carries the device's stamp in the first 8 bytes of each piece
 * within a 4 KiB page.  A doorbell rung while no slot is free is lost.
 *
 * Depends on libc only.
 */
#ifndef MODELS_DSA_REGS_H
#define MODELS_DSA_REGS_H

#include <stddef.h>
#include <stdint.h>

#define DSA_MAGIC 0x30415344u /* "DSA0" */
#define DSA_QUEUE 64u

#define DSA_REG_MAGIC	 0x00u /* u32, read only */
#define DSA_REG_DOORBELL 0x08u /* u64, address of a descriptor */
#define DSA_REG_FREE	 0x10u /* u32, read only: free slots of the queue */

#define DSA_OP_FILL 1u
#define DSA_OP_COPY 2u

struct dsa_descriptor {
	uint32_t op; /* DSA_OP_* */
	uint32_t flags; /* 0 */
	uint64_t src; /* copy */
	uint64_t dst; /* may lead into a peer's BAR */
	uint64_t len;
	uint64_t completion; /* address of the record; not across 4 KiB */
	uint64_t pattern; /* fill: repeated from dst on */
	uint64_t id; /* given back in the record */
	uint64_t zero;
};
_Static_assert(sizeof(struct dsa_descriptor) == 64, "layout");
_Static_assert(offsetof(struct dsa_descriptor, completion) == 32, "layout");

#define DSA_STATUS_OK	 0u
#define DSA_STATUS_FAULT 1u /* DMA refused, or a bad descriptor */

struct dsa_completion {
	uint64_t stamp;
	uint64_t id;
	uint32_t status;
	uint32_t zero[3];
};
_Static_assert(sizeof(struct dsa_completion) == 32, "layout");

#endif /* MODELS_DSA_REGS_H */
