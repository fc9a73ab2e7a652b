/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The migration stream of vfio-edu: one or more images, back to back. Every
 * image is whole: it holds all of the device. Those sent in pre-copy are
 * superseded by the last one, which alone has EDU_IMAGE_FINAL. Nothing follows
 * it. All fields are little-endian.
 *
 * Shared with the test programs: uses nothing but the fixed-width types.
 */
#ifndef VFIO_EDU_STREAM_H
#define VFIO_EDU_STREAM_H

#include <linux/types.h>

/* The last digit is the version. */
#define EDU_IMAGE_MAGIC		0x55444531u
#define EDU_BUFFER_SIZE		4096u

/* The last image: the device was stopped when it was taken. */
#define EDU_IMAGE_FINAL		(1u << 0)
/* A factorial is being computed; @fact is its argument, not its result. */
#define EDU_IMAGE_COMPUTING	(1u << 1)
/* Bit 7 of the status register: interrupt when a factorial is done. */
#define EDU_IMAGE_IRQFACT	(1u << 2)
/* That interrupt is due, and may not have been seen. */
#define EDU_IMAGE_FACT_DUE	(1u << 3)
#define EDU_IMAGE_FLAGS		0xfu

struct edu_image {
	__le32 magic;
	__le32 flags;
	__le64 src;
	__le64 dst;
	__le64 cnt;
	/* as written to register 0x04, which reads back inverted */
	__le32 addr4;
	/* bit 0: rung, but not begun; begins when the device runs again */
	__le32 cmd;
	__u8 buffer[EDU_BUFFER_SIZE];
	__le32 fact;
	__le32 irq_status;
	/* counts the images of one stream, from 0 */
	__le32 sequence;
	/* CRC-32C of all that precedes it */
	__le32 crc;
};

#define EDU_IMAGE_SIZE		(40u + EDU_BUFFER_SIZE + 16u)

/* Bitwise: 4 KiB ten times a second do not earn a table, or a dependency. */
static inline __u32 edu_crc32c(__u32 crc, const void *data, unsigned long len)
{
	const __u8 *byte = data;
	int bit;

	while (len--) {
		crc ^= *byte++;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

static inline __u32 edu_image_crc(const void *image)
{
	return ~edu_crc32c(~0u, image, EDU_IMAGE_SIZE - 4);
}

#endif
