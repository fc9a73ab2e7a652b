/* SPDX-License-Identifier: MIT */
/*
 * Little-endian fields in and out of byte buffers.
 *
 * Both kinds carry their first failure: put or get as many fields as needed,
 * then ask once.  A reader that ran out gives zeroes from then on, so that no
 * caller meets an uninitialised value.
 *
 * Threads: none; a buffer belongs to its caller.
 */
#ifndef SPOOR_WIRE_BUF_H
#define SPOOR_WIRE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Grows as it is filled; zero-initialise it, release with spoor_wbuf_clear. */
struct spoor_wbuf {
	uint8_t *data;
	size_t len, room;
	bool failed; /* memory ran out */
};

void spoor_wbuf_u16(struct spoor_wbuf *b, uint16_t v);
void spoor_wbuf_u32(struct spoor_wbuf *b, uint32_t v);
void spoor_wbuf_u64(struct spoor_wbuf *b, uint64_t v);
void spoor_wbuf_bytes(struct spoor_wbuf *b, const void *data, size_t len);
/*
 * u16 length, then the bytes, no terminator; cut at @max bytes, and with "?"
 * for control characters, which the reader would refuse.
 */
void spoor_wbuf_str(struct spoor_wbuf *b, const char *s, size_t max);
void spoor_wbuf_clear(struct spoor_wbuf *b);

#define SPOOR_AUTO_WBUF                                                        \
	__attribute__((cleanup(spoor_wbuf_clear))) struct spoor_wbuf

struct spoor_rbuf {
	const uint8_t *data;
	size_t left;
	bool failed; /* it was shorter than what was asked for */
};

uint16_t spoor_rbuf_u16(struct spoor_rbuf *b);
uint32_t spoor_rbuf_u32(struct spoor_rbuf *b);
uint64_t spoor_rbuf_u64(struct spoor_rbuf *b);
/*
 * A string into @ret[size], terminated.  One that does not fit, or that holds
 * control characters or a terminator, fails: it would be shown to a person.
 */
void spoor_rbuf_str(struct spoor_rbuf *b, char *ret, size_t size);
/* Everything was there, and nothing is left. */
bool spoor_rbuf_ended(const struct spoor_rbuf *b);

#endif /* SPOOR_WIRE_BUF_H */
