/* SPDX-License-Identifier: MIT */
/*
 * Bytes to and from a state.  Invariant: nothing outside [pos, end) is ever
 * touched; once it would have been, the cursor has failed for good, and reads
 * give zeroes.  Threads: a cursor is one thread's.
 */
#include <endian.h>
#include <string.h>

#include "models/model_priv.h"

static bool cursor_has(struct model_cursor *c, size_t len)
{
	if ((size_t)(c->end - c->pos) < len)
		c->failed = true;
	return !c->failed;
}

void cursor_put(struct model_cursor *c, const void *bytes, size_t len)
{
	if (!cursor_has(c, len))
		return;
	memcpy(c->pos, bytes, len);
	c->pos += len;
}

void cursor_get(struct model_cursor *c, void *bytes, size_t len)
{
	if (!cursor_has(c, len)) {
		memset(bytes, 0, len);
		return;
	}
	memcpy(bytes, c->pos, len);
	c->pos += len;
}

void cursor_put32(struct model_cursor *c, uint32_t value)
{
	value = htole32(value);
	cursor_put(c, &value, sizeof(value));
}

void cursor_put64(struct model_cursor *c, uint64_t value)
{
	value = htole64(value);
	cursor_put(c, &value, sizeof(value));
}

uint32_t cursor_get32(struct model_cursor *c)
{
	uint32_t value;

	cursor_get(c, &value, sizeof(value));
	return le32toh(value);
}

uint64_t cursor_get64(struct model_cursor *c)
{
	uint64_t value;

	cursor_get(c, &value, sizeof(value));
	return le64toh(value);
}
