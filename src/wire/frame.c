/* SPDX-License-Identifier: MIT */
/*
 * Frame headers.  Invariant: what decode accepts, encode gives back byte for
 * byte.  Threads: pure functions.
 */
#include "wire/frame.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/error.h"

struct frame_kind {
	const char *name;
	uint32_t min, max; /* bytes of payload */
	uint16_t flags; /* allowed */
};

static const struct frame_kind kinds[SPOOR_FRAME_TYPE_LAST + 1] = {
	[SPOOR_FRAME_HELLO] = { "HELLO", 32, SPOOR_PAYLOAD_MAX, 0 },
	[SPOOR_FRAME_WELCOME] = { "WELCOME", 8, 8, 0 },
	[SPOOR_FRAME_REFUSE] = { "REFUSE", 6, 1024, 0 },
	[SPOOR_FRAME_PAGES] = { "PAGES", SPOOR_RUN_HEADER + SPOOR_STREAM_PAGE,
				SPOOR_RUN_HEADER + SPOOR_RUN_MAX, 0 },
	[SPOOR_FRAME_ZERO] = { "ZERO", 16, 16, 0 },
	[SPOOR_FRAME_ROUND] = { "ROUND", 8, 8, 0 },
	[SPOOR_FRAME_DEVICE_DATA] = { "DEVICE_DATA", 5, SPOOR_PAYLOAD_MAX, 0 },
	[SPOOR_FRAME_DEVICE_END] = { "DEVICE_END", 16, 16, 0 },
	[SPOOR_FRAME_SECTION] = { "SECTION", 0, SPOOR_PAYLOAD_MAX,
				  SPOOR_FRAME_LAST_PART },
	[SPOOR_FRAME_COMPLETE] = { "COMPLETE", 24, 24, 0 },
	[SPOOR_FRAME_LOADED] = { "LOADED", 0, 0, 0 },
	[SPOOR_FRAME_DIGESTS] = { "DIGESTS", 16, SPOOR_PAYLOAD_MAX,
				  SPOOR_FRAME_LAST_PART },
	[SPOOR_FRAME_WANT] = { "WANT", 8, SPOOR_PAYLOAD_MAX, 0 },
	[SPOOR_FRAME_PAGE_DIGESTS] = { "PAGE_DIGESTS", 16, SPOOR_PAYLOAD_MAX,
				       SPOOR_FRAME_LAST_PART },
	[SPOOR_FRAME_LOST] = { "LOST", 16, SPOOR_PAYLOAD_MAX,
			       SPOOR_FRAME_LAST_PART },
	[SPOOR_FRAME_READY] = { "READY", 0, 0, 0 },
	[SPOOR_FRAME_COMMIT] = { "COMMIT", 0, 0, 0 },
	[SPOOR_FRAME_DONE] = { "DONE", 8, SPOOR_PAYLOAD_MAX, 0 },
	[SPOOR_FRAME_ABORT] = { "ABORT", 6, 1024, 0 },
	[SPOOR_FRAME_PING] = { "PING", 0, 0, 0 },
};

const char *spoor_frame_name(unsigned int type)
{
	if (type > SPOOR_FRAME_TYPE_LAST || !kinds[type].name)
		return "?";
	return kinds[type].name;
}

void spoor_frame_encode(const struct spoor_frame *f,
			uint8_t out[SPOOR_FRAME_HEADER])
{
	const uint32_t magic = htole32(SPOOR_FRAME_MAGIC);
	const uint16_t type = htole16(f->type), flags = htole16(f->flags);
	const uint32_t channel = htole32(f->channel), seq = htole32(f->seq);
	const uint64_t len = htole64(f->len), check = htole64(f->check);

	memcpy(out, &magic, 4);
	memcpy(out + 4, &type, 2);
	memcpy(out + 6, &flags, 2);
	memcpy(out + 8, &channel, 4);
	memcpy(out + 12, &seq, 4);
	memcpy(out + 16, &len, 8);
	memcpy(out + 24, &check, 8);
}

static int check_kind(const struct spoor_frame *f)
{
	const struct frame_kind *k = &kinds[0];

	if (f->type <= SPOOR_FRAME_TYPE_LAST)
		k = &kinds[f->type];
	if (!k->name) {
		if ((f->flags & SPOOR_FRAME_OPTIONAL) &&
		    f->len <= SPOOR_PAYLOAD_MAX)
			return 0;
		return spoor_fail(EPROTO, "stream: unknown frame type %u",
				  f->type);
	}
	if (f->flags & ~k->flags)
		return spoor_fail(EPROTO, "stream: %s frame with flags %#x",
				  k->name, f->flags);
	if (f->len < k->min || f->len > k->max)
		return spoor_fail(EPROTO,
				  "stream: %s frame of %llu bytes, %u to %u "
				  "are allowed",
				  k->name, (unsigned long long)f->len, k->min,
				  k->max);
	return 0;
}

int spoor_frame_decode(struct spoor_frame *ret,
		       const uint8_t in[SPOOR_FRAME_HEADER])
{
	struct spoor_frame f;
	uint32_t magic;
	int err;

	memcpy(&magic, in, 4);
	memcpy(&f.type, in + 4, 2);
	memcpy(&f.flags, in + 6, 2);
	memcpy(&f.channel, in + 8, 4);
	memcpy(&f.seq, in + 12, 4);
	memcpy(&f.len, in + 16, 8);
	memcpy(&f.check, in + 24, 8);
	if (le32toh(magic) != SPOOR_FRAME_MAGIC)
		return spoor_fail(EPROTO, "stream: no frame here (magic %#x)",
				  le32toh(magic));
	f.type = le16toh(f.type);
	f.flags = le16toh(f.flags);
	f.channel = le32toh(f.channel);
	f.seq = le32toh(f.seq);
	f.len = le64toh(f.len);
	f.check = le64toh(f.check);
	err = check_kind(&f);
	if (err)
		return err;
	*ret = f;
	return 0;
}

uint64_t spoor_frame_check(const uint8_t header[SPOOR_FRAME_HEADER],
			   const struct iovec *payload, size_t nr)
{
	uint8_t plain[SPOOR_FRAME_HEADER];
	XXH3_state_t state;

	memcpy(plain, header, 24);
	memset(plain + 24, 0, 8);
	/* Neither can fail: the state is there and no input is NULL. */
	XXH3_INITSTATE(&state);
	(void)XXH3_64bits_reset(&state);
	(void)XXH3_64bits_update(&state, plain, sizeof(plain));
	for (size_t i = 0; i < nr; i++)
		(void)XXH3_64bits_update(&state, payload[i].iov_base,
					 payload[i].iov_len);
	return XXH3_64bits_digest(&state);
}

uint64_t spoor_digest(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}
