/* SPDX-License-Identifier: MIT */
/*
 * Frames of the migration stream: a fixed header of 32 bytes, little-endian,
 * then a payload.  docs/stream.md is the specification.
 *
 * Pure: bytes in, structs out, no I/O.  What arrives comes from a peer that
 * may be broken or hostile: every length is checked against the limits of its
 * type before anything is allocated for it or read into memory.
 */
#ifndef SPOOR_WIRE_FRAME_H
#define SPOOR_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include <sys/uio.h>

#define SPOOR_FRAME_MAGIC  0x524f5053u /* "SPOR" */
#define SPOOR_FRAME_HEADER 32u

/* Versions of the stream that this code speaks. */
#define SPOOR_STREAM_VERSION_MIN 1u
#define SPOOR_STREAM_VERSION_MAX 1u

/* Bytes of guest memory in one PAGES frame, at most. */
#define SPOOR_RUN_MAX	  (256u << 10)
/* Bytes of any other payload, at most. */
#define SPOOR_PAYLOAD_MAX (1u << 20)
/* iova and length before the bytes of a PAGES frame. */
#define SPOOR_RUN_HEADER  16u
/* Granule of the stream: runs are aligned to it. */
#define SPOOR_STREAM_PAGE 4096u

enum spoor_frame_type {
	SPOOR_FRAME_HELLO = 1, /* source: what it has and speaks */
	SPOOR_FRAME_WELCOME = 2, /* destination: it fits */
	SPOOR_FRAME_REFUSE = 3, /* destination: it does not, because */
	SPOOR_FRAME_PAGES = 4, /* a run of memory */
	SPOOR_FRAME_ZERO = 5, /* a run of zeroes */
	SPOOR_FRAME_ROUND = 6, /* a pass over memory begins */
	SPOOR_FRAME_DEVICE_DATA = 7, /* bytes of a device's state */
	SPOOR_FRAME_DEVICE_END = 8, /* that was all of a device's state */
	SPOOR_FRAME_SECTION = 9, /* bytes of the VMM's own state */
	SPOOR_FRAME_COMPLETE = 10, /* source: that was everything */
	SPOOR_FRAME_LOADED = 11, /* destination: it is all in place */
	SPOOR_FRAME_DIGESTS = 12, /* source: digests of chunks of memory */
	SPOOR_FRAME_WANT = 13, /* destination: these chunks differ */
	SPOOR_FRAME_PAGE_DIGESTS = 14, /* source: a wanted chunk, by page */
	SPOOR_FRAME_LOST = 15, /* destination: pages that did not arrive */
	SPOOR_FRAME_READY = 16, /* destination: could run */
	SPOOR_FRAME_COMMIT = 17, /* source: run */
	SPOOR_FRAME_DONE = 18, /* destination: runs */
	SPOOR_FRAME_ABORT = 19, /* either: it is off, because */
	SPOOR_FRAME_PING = 20, /* either: still here */
};
#define SPOOR_FRAME_TYPE_LAST SPOOR_FRAME_PING

/* The last of several frames that belong together. */
#define SPOOR_FRAME_LAST_PART (1u << 0)
/* A receiver that does not know the type passes it over. */
#define SPOOR_FRAME_OPTIONAL  (1u << 15)

struct spoor_frame {
	uint16_t type;
	uint16_t flags;
	uint32_t channel; /* 0: the first, and so far the only one */
	uint32_t seq; /* counts the frames of a channel, from 0 */
	uint64_t len; /* bytes of payload */
	uint64_t check; /* XXH3-64 of header (check = 0) and payload */
};

/* "PAGES", ...; "?" for others. */
const char *spoor_frame_name(unsigned int type);

void spoor_frame_encode(const struct spoor_frame *f,
			uint8_t out[SPOOR_FRAME_HEADER]);

/*
 * Read a header.  -EPROTO: not this stream, a length outside the limits of its
 * type, unknown flags, or a type that is neither known nor optional.  The
 * check is not verified: the payload is not here yet.
 */
int spoor_frame_decode(struct spoor_frame *ret,
		       const uint8_t in[SPOOR_FRAME_HEADER]);

/* The check of a header (its own check field counts as 0) and its payload. */
uint64_t spoor_frame_check(const uint8_t header[SPOOR_FRAME_HEADER],
			   const struct iovec *payload, size_t nr);

/* XXH3-64 of some bytes: digests of memory. */
uint64_t spoor_digest(const void *data, size_t len);

#endif /* SPOOR_WIRE_FRAME_H */
