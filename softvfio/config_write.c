/* SPDX-License-Identifier: MIT */
/*
 * Writes SOFTVFIO_CONFIG.  Invariant: config.c reads back equal structures.
 * Threads: pure; no state.
 */
#include "softvfio/config_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softvfio/config_keys.h"

/* What would end a value or a line, and '%' itself. */
static void put_string(FILE *out, const char *s, size_t size)
{
	for (size_t i = 0; i < size && s[i]; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c <= ' ' || c >= 0x7f || c == '%')
			fprintf(out, "%%%02X", c);
		else
			putc(c, out);
	}
}

static uint64_t load(const void *p, size_t size)
{
	uint8_t u8;
	uint32_t u32;
	uint64_t u64;

	switch (size) {
	case sizeof(u8):
		memcpy(&u8, p, size);
		return u8;
	case sizeof(u32):
		memcpy(&u32, p, size);
		return u32;
	default:
		memcpy(&u64, p, sizeof(u64));
		return u64;
	}
}

static const char *name_of(const char *const *names, uint64_t value)
{
	for (uint64_t i = 0; names[i]; i++)
		if (i == value)
			return names[i];
	return names[0];
}

static void put_flags(FILE *out, const char *const *names, uint64_t bits)
{
	const char *comma = "";

	for (unsigned int i = 0; names[i]; i++) {
		if (!(bits & (UINT64_C(1) << i)))
			continue;
		fprintf(out, "%s%s", comma, names[i]);
		comma = ",";
	}
}

static void put_device(FILE *out, const struct sv_config_device *dev)
{
	fputs("device", out);
	for (size_t i = 0; i < SV_NR_KEYS; i++) {
		const struct sv_key *key = &sv_keys[i];
		const void *field = (const char *)dev + key->offset;

		fprintf(out, " %s=", key->name);
		switch (key->kind) {
		case SV_KEY_STRING:
			put_string(out, field, key->size);
			break;
		case SV_KEY_NUMBER:
			fprintf(out, "%" PRIu64, load(field, key->size));
			break;
		case SV_KEY_NAME:
			fputs(name_of(key->names, load(field, key->size)), out);
			break;
		case SV_KEY_FLAGS:
			put_flags(out, key->names, load(field, key->size));
			break;
		}
	}
	putc('\n', out);
}

char *sv_config_format(const struct sv_config_device *devs, unsigned int nr)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool bad;

	if (!out)
		return NULL;
	for (unsigned int i = 0; i < nr; i++)
		put_device(out, &devs[i]);
	bad = ferror(out);
	if (fclose(out) || bad) {
		free(text);
		return NULL;
	}
	return text;
}
