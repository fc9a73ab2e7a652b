/* SPDX-License-Identifier: MIT */
/*
 * Where the guest keeps what its drivers and programs use: rings, descriptors,
 * working sets.  A pure function of the machine file, so both sides agree.
 */
#ifndef SPOOR_TOOL_LAYOUT_H
#define SPOOR_TOOL_LAYOUT_H

#include "machine_file.h"

/* Peers' BARs in a space with "p2p": device i's is at BASE + i * STEP. */
#define LAYOUT_PEER_BASE 0x8000000000ull
#define LAYOUT_PEER_STEP (1ull << 20)

#define LAYOUT_NIC_TX_SLOTS 64u

struct layout_area {
	uint64_t iova, len; /* len 0: none */
};

struct layout_device {
	struct layout_area control; /* the driver's own page */
	struct layout_area rx, tx; /* nic */
	struct layout_area descriptors, completions; /* dsa, mdev */
	struct layout_area set; /* dsa, plain: what work writes */
	struct layout_area read, write; /* mdev: pinned */
};

struct layout_writer {
	struct layout_area control, set;
};

struct layout {
	struct layout_device *devices; /* as the machine file's */
	struct layout_writer *writers;
};

/* -EINVAL: memory is too small, @error names the key; -ENOMEM. */
int layout_make(struct layout **ret, const struct machine_file *mf,
		struct jp_error *error);
struct layout *layout_free(struct layout *l);

/*
 * One line that tells two layouts apart, for the hand-over to compare; freed
 * by the caller, NULL without memory.
 */
char *layout_text(const struct layout *l, const struct machine_file *mf);

#endif /* SPOOR_TOOL_LAYOUT_H */
