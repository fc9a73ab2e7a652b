/* SPDX-License-Identifier: MIT */
/*
 * Stand-ins for the IOMMU and device side, so that the shim is tested by
 * itself: files whose answers tell which call reached them.
 */
#ifndef TESTS_SHIM_DOUBLES_H
#define TESTS_SHIM_DOUBLES_H

#include <stdint.h>

#define DOUBLE_API __attribute__((visibility("default")))

/* What DOUBLE_WHO answers. */
enum double_kind {
	DOUBLE_CONTAINER = 1,
	DOUBLE_IOMMU = 2,
	DOUBLE_GROUP = 1000, /* + group */
	DOUBLE_CDEV = 2000, /* + index */
	DOUBLE_DATA = 3000,
};

/* ioctls; the last with the top bit set, as programs sign-extend it. */
#define DOUBLE_WHO     0x3b64u
#define DOUBLE_ADD_ONE 0x3b65u /* uint32_t *: EFAULT when it is bad */
#define DOUBLE_DATA_FD 0x3b66u /* a read-only stream of 10 bytes */
#define DOUBLE_BLOCK   0x3b67u /* until double_unblock() */
#define DOUBLE_HIGH    0x80003b68u

#define DOUBLE_BAR_OFFSET 0x10000
#define DOUBLE_BAR_SIZE	  0x4000

/* Files made and not yet released. */
DOUBLE_API int double_live(void);
/* Is a thread inside DOUBLE_BLOCK? */
DOUBLE_API int double_blocked(void);
DOUBLE_API void double_unblock(void);
/* sv_find_bar_mapping(), for tests that see only the library. */
DOUBLE_API int double_find_bar(const void *va, uint64_t len, unsigned int *bar,
			       uint64_t *offset);
DOUBLE_API int double_forced_errors(void);

#endif /* TESTS_SHIM_DOUBLES_H */
