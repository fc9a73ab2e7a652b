/* SPDX-License-Identifier: MIT */
/*
 * The nic's programming interface, for guest drivers.
 *
 * BAR0 holds the registers, all little-endian; a u64 may be written in two
 * halves, low one first: it takes effect with its last byte.  BAR2 is plain
 * memory for peers to write.  MSI-X vector 0 fires after each batch of packets
 * received or sent.
 *
 * Rings are arrays of slots in guest memory, each ring within one mapping and
 * its base a multiple of a slot.  Packets are numbered from 1; packet n is in
 * slot NIC_SLOT_INDEX(n, slots).  RX_PRODUCED, RX_CONSUMED, TX_PRODUCED and
 * TX_CONSUMED count packets since the device was reset, and so are the number
 * of the last packet.
 *
 * Depends on libc only.
 */
#ifndef MODELS_NIC_REGS_H
#define MODELS_NIC_REGS_H

#include <stddef.h>
#include <stdint.h>

#define NIC_MAGIC	0x3043494eu /* "NIC0" */
#define NIC_BAR_REGS	0u
#define NIC_BAR_MEM	2u
#define NIC_BAR_MEM_LEN 65536u

#define NIC_REG_MAGIC	    0x00u /* u32, read only */
#define NIC_REG_RX_BASE	    0x08u /* u64 */
#define NIC_REG_RX_SLOTS    0x10u /* u32 */
#define NIC_REG_TX_BASE	    0x18u /* u64 */
#define NIC_REG_TX_SLOTS    0x20u /* u32 */
#define NIC_REG_ENABLE	    0x28u /* u32, 1 on: set up the rings before it */
#define NIC_REG_RX_CONSUMED 0x30u /* u64, doorbell */
#define NIC_REG_TX_PRODUCED 0x38u /* u64, doorbell */
#define NIC_REG_RX_PRODUCED 0x40u /* u64, read only */
#define NIC_REG_TX_CONSUMED 0x48u /* u64, read only */
#define NIC_REG_UDP_PORT    0x50u /* u32, read only, host order; 0 not bound */
#define NIC_REG_RX_DROPPED  0x58u /* u64, read only */

#define NIC_SLOT_LEN	 2048u
#define NIC_PAYLOAD_MAX	 2016u
#define NIC_SLOT_PAYLOAD 32u /* offset of the payload */

/*
 * A slot.  The device writes stamp, the driver leaves it alone; addr and port
 * are the peer's, in network order, where it came from or goes to.
 */
struct nic_slot {
	uint64_t stamp;
	uint64_t count; /* number of this packet, from 1 */
	uint32_t len; /* of the payload */
	uint32_t addr;
	uint16_t port;
	uint16_t zero;
	uint32_t zero2;
	uint8_t payload[NIC_PAYLOAD_MAX];
};

_Static_assert(sizeof(struct nic_slot) == NIC_SLOT_LEN, "layout");
_Static_assert(offsetof(struct nic_slot, len) == 16, "layout");
_Static_assert(offsetof(struct nic_slot, port) == 24, "layout");
_Static_assert(offsetof(struct nic_slot, payload) == NIC_SLOT_PAYLOAD,
	       "layout");

/* Where packet @n (from 1) of a ring of @slots slots is. */
#define NIC_SLOT_INDEX(n, slots) ((n) % (slots))

#endif /* MODELS_NIC_REGS_H */
