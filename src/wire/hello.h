/* SPDX-License-Identifier: MIT */
/*
 * The opening of a stream: what the source has and speaks.
 *
 * HELLO's layout never changes: it is read before a version is agreed.  What
 * later versions add comes after its fields, inside the frame's length.
 */
#ifndef SPOOR_WIRE_HELLO_H
#define SPOOR_WIRE_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>

#include "wire/buf.h"

#define SPOOR_HELLO_RANGES_MAX	4096u
#define SPOOR_HELLO_DEVICES_MAX 1024u

/* Digests will be exchanged. */
#define SPOOR_HELLO_VERIFY (1u << 0)

struct spoor_hello_range {
	struct spoor_range range;
	uint32_t flags; /* SPOOR_REGION_* */
};

struct spoor_hello_device {
	char name[64];
	uint32_t migration; /* SPOOR_MIGRATION_* */
};

struct spoor_hello {
	uint32_t version_min, version_max;
	uint32_t page_size; /* granule of runs */
	uint32_t silence_ms; /* whoever is silent for longer is gone */
	uint32_t flags; /* SPOOR_HELLO_* */
	uint32_t channels;
	struct spoor_hello_range *ranges;
	uint32_t nr_ranges;
	struct spoor_hello_device *devices;
	uint32_t nr_devices;
};

void spoor_hello_encode(const struct spoor_hello *h, struct spoor_wbuf *out);
/*
 * -EPROTO: malformed, over a limit, an empty or overflowing range; -ENOMEM.
 * Bytes after the known fields are a later version's, and passed over.
 */
int spoor_hello_decode(struct spoor_hello *ret, const void *data, size_t len);
/*
 * Does what the peer announces fit what is here?  -EPERM, with the first
 * difference named; *ret_version is the version to speak.
 */
int spoor_hello_match(const struct spoor_hello *theirs,
		      const struct spoor_hello *ours, uint32_t *ret_version);
void spoor_hello_clear(struct spoor_hello *h);

struct spoor_welcome {
	uint32_t version;
	uint32_t silence_ms;
};

void spoor_welcome_encode(const struct spoor_welcome *w,
			  struct spoor_wbuf *out);
int spoor_welcome_decode(struct spoor_welcome *ret, const void *data,
			 size_t len);

#endif /* SPOOR_WIRE_HELLO_H */
