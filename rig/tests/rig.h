/* SPDX-License-Identifier: MIT */
/*
 * What the rig's tests share: checks that end the test with their line, QEMU's
 * edu devices, and a space of either backend.
 *
 * Threads: one.
 */
#ifndef RIG_TESTS_RIG_H
#define RIG_TESTS_RIG_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <spoor/device.h>
#include <spoor/error.h>
#include <spoor/space.h>

/* The guest's edu devices; the last has no driver that logs or migrates. */
#define EDU0	  "0000:01:00.0"
#define EDU1	  "0000:02:00.0"
#define EDU2	  "0000:03:00.0"
#define EDU3	  "0000:04:00.0"
#define EDU_PLAIN "0000:05:00.0"

#define PAGE 4096u

#define CHECK(what)                                                            \
	do {                                                                   \
		if (!(what))                                                   \
			rig_fail(__FILE__, __LINE__, #what);                   \
	} while (0)

/* A call of libspoor's: 0 or -errno. */
#define OK(call)                                                               \
	do {                                                                   \
		int err_ = (call);                                             \
                                                                               \
		if (err_)                                                      \
			rig_fail_call(__FILE__, __LINE__, #call, err_);        \
	} while (0)

#define FAILS(call, errno_)                                                    \
	do {                                                                   \
		int err_ = (call);                                             \
                                                                               \
		if (err_ != -(errno_))                                         \
			rig_fail_call(__FILE__, __LINE__, #call, err_);        \
	} while (0)

_Noreturn void rig_fail(const char *file, int line, const char *what);
_Noreturn void rig_fail_call(const char *file, int line, const char *what,
			     int err);

/* "type1" or "iommufd", from the command line. */
enum spoor_space_backend rig_backend(int argc, char **argv);

/* A device in a space, with memory space and bus mastering on. */
struct rig_device {
	struct spoor_space *space;
	struct spoor_device *dev;
};

void rig_up(struct rig_device *r, enum spoor_space_backend backend,
	    const char *address);
void rig_down(struct rig_device *r);
void rig_enable(struct spoor_device *dev);

/* Write to a file of /proc or /sys. */
void rig_put(const char *path, const char *text);

/* Shared memory of this process, for DMA; zeroed. */
void *rig_memory(uint64_t len);

/* edu's registers, BAR 0 */
#define EDU_ID	      0x00u
#define EDU_LIVENESS  0x04u
#define EDU_FACTORIAL 0x08u
#define EDU_STATUS    0x20u
#define EDU_RAISE     0x60u
#define EDU_ACK	      0x64u
#define EDU_DMA_SRC   0x80u
#define EDU_DMA_DST   0x88u
#define EDU_DMA_COUNT 0x90u
#define EDU_DMA_CMD   0x98u
#define EDU_BUFFER    0x40000u /* the device's own 4096 bytes */
#define EDU_DMA_RUN   1u
#define EDU_DMA_WRITE 2u /* to memory */

uint32_t edu_read(struct spoor_device *dev, uint64_t reg);
void edu_write(struct spoor_device *dev, uint64_t reg, uint32_t value);
/* A whole DMA between @iova and the device's buffer at @at: waits for its end. */
void edu_dma(struct spoor_device *dev, bool to_memory, uint64_t iova,
	     uint32_t at, uint32_t len);

#endif /* RIG_TESTS_RIG_H */
