/* SPDX-License-Identifier: MIT */
/*
 * How the guest that QEMU boots is doing, at GUEST_STATUS_AT of its memory: for
 * whoever reads the file that backs it.  Little-endian, without holes.
 *
 * The guest is a 32-bit program: it writes a u64 in two halves, so a reader that
 * meets a carry, once in 4 billion, sees a value that never was.
 *
 * Depends on stdint only.
 */
#ifndef BENCH_QEMU_GUEST_STATUS_H
#define BENCH_QEMU_GUEST_STATUS_H

#include <stdint.h>

#define GUEST_STATUS_AT	     0x00200000u
#define GUEST_STATUS_MAGIC   0x30747365756773ull /* "sguest0" */
#define GUEST_STATUS_VERSION 1u
#define GUEST_WORKS_MAX	     16u
#define GUEST_ERROR_MAX	     128u

/* What the guest keeps for itself ends here: its areas are above. */
#define GUEST_OWN_END 0x00400000u

enum guest_phase {
	GUEST_STARTING = 0,
	GUEST_RUNNING = 1,
	GUEST_FAILED = 2, /* error says why; it has halted */
};

enum guest_kind {
	GUEST_DSA = 1,
	GUEST_NIC = 2,
	GUEST_PLAIN = 3,
	GUEST_CPU = 4,
};

/* One word that says what to do, in their order. */
struct guest_work {
	uint32_t kind; /* enum guest_kind */
	uint32_t slot; /* of PCI bus 0; cpu: 0 */
	/* dsa: requests; nic: packets received; plain: fills; cpu: pages */
	uint64_t submitted;
	/* dsa: completed well; nic: answered; plain: fills; cpu: pages */
	uint64_t done;
	/*
	 * dsa: completed with a fault, or submitted again; nic: packets lost,
	 * or set up anew
	 */
	uint64_t errors;
	uint64_t irqs; /* messages that arrived */
	uint32_t port; /* nic: UDP port, 0 none */
	uint32_t pad;
};
_Static_assert(sizeof(struct guest_work) == 48, "layout");

struct guest_status {
	uint64_t magic;
	uint32_t version;
	uint32_t phase; /* enum guest_phase */
	char error[GUEST_ERROR_MAX]; /* ends with a NUL */
	uint64_t ticks; /* +1 each time round */
	uint64_t nr_work;
	struct guest_work work[GUEST_WORKS_MAX];
};
_Static_assert(sizeof(struct guest_status) == 160 + 16 * 48, "layout");

#endif /* BENCH_QEMU_GUEST_STATUS_H */
