/* SPDX-License-Identifier: MIT */
/*
 * Fields in and out of byte buffers.  Invariant: data[0..len) is initialised,
 * and a failed buffer stays failed.  Threads: none.
 */
#include "wire/buf.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

void spoor_wbuf_bytes(struct spoor_wbuf *b, const void *data, size_t len)
{
	size_t room = b->room ? b->room : 256;
	uint8_t *grown;

	if (b->failed || !len)
		return;
	if (len > b->room - b->len) {
		while (room - b->len < len) {
			if (room > SIZE_MAX / 2) {
				b->failed = true;
				return;
			}
			room *= 2;
		}
		grown = realloc(b->data, room);
		if (!grown) {
			b->failed = true;
			return;
		}
		b->data = grown;
		b->room = room;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void spoor_wbuf_u16(struct spoor_wbuf *b, uint16_t v)
{
	v = htole16(v);
	spoor_wbuf_bytes(b, &v, sizeof(v));
}

void spoor_wbuf_u32(struct spoor_wbuf *b, uint32_t v)
{
	v = htole32(v);
	spoor_wbuf_bytes(b, &v, sizeof(v));
}

void spoor_wbuf_u64(struct spoor_wbuf *b, uint64_t v)
{
	v = htole64(v);
	spoor_wbuf_bytes(b, &v, sizeof(v));
}

void spoor_wbuf_str(struct spoor_wbuf *b, const char *s, size_t max)
{
	size_t len = strnlen(s, max < UINT16_MAX ? max : UINT16_MAX);

	spoor_wbuf_u16(b, (uint16_t)len);
	for (size_t i = 0; i < len; i++) {
		const bool plain = (uint8_t)s[i] >= 0x20 && s[i] != 0x7f;

		spoor_wbuf_bytes(b, plain ? &s[i] : "?", 1);
	}
}

void spoor_wbuf_clear(struct spoor_wbuf *b)
{
	free(b->data);
	*b = (struct spoor_wbuf){ 0 };
}

static void get(struct spoor_rbuf *b, void *ret, size_t len)
{
	if (b->failed || b->left < len) {
		b->failed = true;
		memset(ret, 0, len);
		return;
	}
	memcpy(ret, b->data, len);
	b->data += len;
	b->left -= len;
}

uint16_t spoor_rbuf_u16(struct spoor_rbuf *b)
{
	uint16_t v;

	get(b, &v, sizeof(v));
	return le16toh(v);
}

uint32_t spoor_rbuf_u32(struct spoor_rbuf *b)
{
	uint32_t v;

	get(b, &v, sizeof(v));
	return le32toh(v);
}

uint64_t spoor_rbuf_u64(struct spoor_rbuf *b)
{
	uint64_t v;

	get(b, &v, sizeof(v));
	return le64toh(v);
}

void spoor_rbuf_str(struct spoor_rbuf *b, char *ret, size_t size)
{
	const size_t len = spoor_rbuf_u16(b);

	memset(ret, 0, size);
	if (len >= size || len > b->left)
		b->failed = true;
	for (size_t i = 0; !b->failed && i < len; i++)
		b->failed = b->data[i] < 0x20 || b->data[i] == 0x7f;
	if (!b->failed)
		get(b, ret, len);
}

bool spoor_rbuf_ended(const struct spoor_rbuf *b)
{
	return !b->failed && !b->left;
}
