/* SPDX-License-Identifier: MIT */
/*
 * The state of a device as a stream, version 1.  Little-endian, a sequence of
 * records, each
 *
 *	u32 type | u32 len | payload of len bytes | zeroes up to 8 bytes
 *
 * in this order:
 *
 *	HEADER	once: u64 magic, u32 version, u32 block (4096), model's name
 *		(16 bytes), u64 state_size, u64 bytes of BAR memory
 *	BLOCK	of device memory: u64 index, bytes (the last block may be
 *		short).  Pre-copy sends them while the device runs, again and
 *		again as they change; the last one of each index counts, and
 *		each index comes at least once.
 *	CORE	once: u64 DMA sequence, u64 operations, u32 number of
 *		registers, u32 length of private state, registers (u64 each, in
 *		the order of the model's table), private state: pending work
 *	MEM	of BAR memory: u64 index, bytes; each index once
 *	TRUTH	up to 256 entries: u64 page | offset, u64 stamp; see truth.c
 *	END	once: u64 checksum over all before this word
 *
 * The checksum takes the stream as 64-bit words.  Each of its steps is a
 * bijection of the word and of the sum so far, so that any change within one
 * word is found for certain.
 */
#ifndef MODELS_STREAM_PRIV_H
#define MODELS_STREAM_PRIV_H

#include <endian.h>
#include <string.h>

#include "models/model_priv.h"

#define STREAM_MAGIC   UINT64_C(0x314c444d524f5053) /* "SPORMDL1" */
#define STREAM_VERSION 1u
#define STREAM_SUM     UINT64_C(0x6a09e667f3bcc909)

enum record {
	RECORD_HEADER = 1,
	RECORD_BLOCK = 2,
	RECORD_CORE = 3,
	RECORD_MEM = 4,
	RECORD_TRUTH = 5,
	RECORD_END = 6,
};

#define RECORD_HEAD    8u
#define HEADER_LEN     48u
#define CORE_LEN       24u /* without registers and private state */
#define TRUTH_LEN      16u /* of an entry */
#define TRUTH_BATCH    256u
#define RECORD_MAX     (RECORD_HEAD + 8 + MODEL_PAGE)
#define MODEL_NAME_LEN sizeof(((struct model_config *)0)->model)
#define MODEL_MAX_REGS 32u
#define TAIL_LEN       16u /* of the END record */

_Static_assert(TRUTH_BATCH *TRUTH_LEN <= RECORD_MAX - RECORD_HEAD, "fits");
_Static_assert(CORE_LEN + MODEL_MAX_REGS * 8 + MODEL_PRIV_STATE <=
		       RECORD_MAX - RECORD_HEAD,
	       "fits");

static inline size_t record_size(size_t len)
{
	return RECORD_HEAD + ((len + 7) & ~(size_t)7);
}

static inline uint64_t stream_sum(uint64_t sum, const uint8_t *words,
				  size_t len)
{
	uint64_t word;

	for (; len >= sizeof(word);
	     words += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, words, sizeof(word));
		sum ^= le64toh(word);
		sum = (sum << 29 | sum >> 35) * UINT64_C(0x9e3779b97f4a7c15);
	}
	return sum;
}

/* What arrived; it becomes the device's only as a whole. */
struct stream_load {
	enum record last; /* type, of which no smaller may follow; 0: none */
	uint64_t seq, ops;
	uint64_t regs[MODEL_MAX_REGS];
	uint8_t priv[MODEL_PRIV_STATE];
	size_t priv_len;
	uint8_t *state, *mem;
	uint8_t *state_seen, *mem_seen; /* a byte a block */
	uint64_t state_left, mem_left; /* blocks that never came */
	struct model_truth truth;
	uint8_t tail
		[TAIL_LEN]; /* the last bytes; MODEL_FAULT_ACCEPTS_CORRUPT */
};

struct model_stream {
	struct model *m;
	bool stale; /* the device went on without it */
	bool bad; /* refused: sticky */
	char why[256];
	uint64_t sum;
	uint8_t rec[RECORD_MAX];
	size_t len, pos; /* bytes in rec, and how many of them were read */
	/* saving */
	bool pre_copy, final;
	enum record next;
	uint64_t cursor; /* block or slot to look at next */
	uint64_t unread_initial, unread_dirty; /* of the block in rec */
	uint64_t pages; /* truth entries sent */
	struct model_truth late; /* the model's, taken at the end */
	bool late_taken;
	/* loading, NULL: this is a saving session */
	struct stream_load *load;
};

/* stream_load.c */
void stream_load_free(struct stream_load *load);

#endif /* MODELS_STREAM_PRIV_H */
