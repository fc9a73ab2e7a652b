/* SPDX-License-Identifier: MIT */
/*
 * Payloads of the frames that follow the opening; see docs/stream.md.
 *
 * Encoders append to a buffer, decoders take the whole payload of a frame and
 * refuse (-EPROTO) what is short, long or over a limit.  Whether an address
 * lies in the machine's memory is checked by the receiver, who has the map.
 */
#ifndef SPOOR_WIRE_MESSAGE_H
#define SPOOR_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>

#include "wire/buf.h"
#include "wire/frame.h"

/* PAGES (followed by the bytes) and ZERO. */
void spoor_run_encode(const struct spoor_range *run,
		      uint8_t out[SPOOR_RUN_HEADER]);
/* Aligned to the stream's pages, not empty, not past 2^64. */
int spoor_run_decode(struct spoor_range *ret,
		     const uint8_t in[SPOOR_RUN_HEADER]);

/* ROUND */
struct spoor_round {
	uint32_t round; /* 1: the bulk copy */
	uint32_t stopped; /* 1: the machine is stopped, the last pass */
};
void spoor_round_encode(const struct spoor_round *r, struct spoor_wbuf *out);
int spoor_round_decode(struct spoor_round *ret, const void *data, size_t len);

/* DEVICE_DATA begins with the device's number in HELLO; then its bytes. */
#define SPOOR_DEVICE_DATA_HEADER 4u
void spoor_device_data_encode(uint32_t device,
			      uint8_t out[SPOOR_DEVICE_DATA_HEADER]);
uint32_t spoor_device_data_decode(const uint8_t in[SPOOR_DEVICE_DATA_HEADER]);

/* DEVICE_END */
struct spoor_device_end {
	uint32_t device;
	uint64_t bytes; /* in all its DEVICE_DATA frames */
};
void spoor_device_end_encode(const struct spoor_device_end *e,
			     struct spoor_wbuf *out);
int spoor_device_end_decode(struct spoor_device_end *ret, const void *data,
			    size_t len);

/* COMPLETE: the receiver counts too. */
struct spoor_complete {
	uint64_t data_pages, zero_pages; /* stream pages in PAGES and ZERO */
	uint64_t section_bytes;
};
void spoor_complete_encode(const struct spoor_complete *c,
			   struct spoor_wbuf *out);
int spoor_complete_decode(struct spoor_complete *ret, const void *data,
			  size_t len);

/* REFUSE and ABORT: why. */
struct spoor_reason {
	uint32_t code; /* errno, 0 if none fits */
	char text[512];
};
void spoor_reason_encode(const struct spoor_reason *r, struct spoor_wbuf *out);
int spoor_reason_decode(struct spoor_reason *ret, const void *data, size_t len);

/* DIGESTS, WANT, PAGE_DIGESTS: a number, then 64-bit words. */
#define SPOOR_WORDS_MAX 32768u
struct spoor_words {
	uint64_t first; /* number of the first chunk; WANT: 0 */
	uint32_t nr;
	uint64_t *words; /* owned, free(3) */
};
void spoor_words_encode(uint64_t first, const uint64_t *words, uint32_t nr,
			struct spoor_wbuf *out);
int spoor_words_decode(struct spoor_words *ret, const void *data, size_t len);

/* LOST */
#define SPOOR_LOST_PER_FRAME 4096u
struct spoor_lost_entry {
	struct spoor_range range;
	char writer[64];
};
struct spoor_lost_list {
	uint64_t pages; /* lost in all, also those not listed */
	uint32_t nr;
	struct spoor_lost_entry *entries; /* owned, free(3) */
};
void spoor_lost_encode(uint64_t pages, const struct spoor_lost_entry *entries,
		       uint32_t nr, struct spoor_wbuf *out);
int spoor_lost_decode(struct spoor_lost_list *ret, const void *data,
		      size_t len);

/* DONE: who did not start. */
struct spoor_done_failure {
	uint32_t device; /* number in HELLO; UINT32_MAX: the CPUs */
	char text[256];
};
struct spoor_done {
	uint32_t nr;
	struct spoor_done_failure *failures; /* owned, free(3) */
};
void spoor_done_encode(const struct spoor_done_failure *failures, uint32_t nr,
		       struct spoor_wbuf *out);
int spoor_done_decode(struct spoor_done *ret, const void *data, size_t len);

#endif /* SPOOR_WIRE_MESSAGE_H */
