/* SPDX-License-Identifier: MIT */
/*
 * Numbers with units; see units.h.  Pure functions, any thread.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "units.h"

/* Digits of a number, and what follows them. */
static int digits(const char *text, int base, uint64_t *ret, const char **rest)
{
	char *end;
	unsigned long long v;

	/* strtoull takes blanks and signs; a file must not. */
	if (!(text[0] >= '0' && text[0] <= '9') && base == 10)
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &end, base);
	if (errno || end == text)
		return -EINVAL;
	*ret = v;
	*rest = end;
	return 0;
}

static int scaled(const char *text, uint64_t k, uint64_t *ret,
		  const char **rest)
{
	static const char letters[] = "KMGT";
	const char *letter;
	uint64_t v;

	if (digits(text, 10, &v, rest))
		return -EINVAL;
	letter = **rest ? strchr(letters, **rest) : NULL;
	if (letter) {
		for (const char *l = letters; l <= letter; l++)
			if (__builtin_mul_overflow(v, k, &v))
				return -EINVAL;
		++*rest;
	}
	*ret = v;
	return 0;
}

int units_size(const char *text, uint64_t *ret)
{
	const char *rest;
	uint64_t v;

	if (scaled(text, 1024, &v, &rest) || *rest)
		return -EINVAL;
	*ret = v;
	return 0;
}

int units_rate(const char *text, uint64_t *ret)
{
	const char *rest;
	uint64_t v;

	if (scaled(text, 1024, &v, &rest) || strcmp(rest, "/s") != 0)
		return -EINVAL;
	*ret = v;
	return 0;
}

int units_link_rate(const char *text, uint64_t *ret)
{
	const char *rest;
	uint64_t v;

	if (scaled(text, 1000, &v, &rest) || *rest || v < 8)
		return -EINVAL;
	*ret = v / 8;
	return 0;
}

int units_address(const char *text, uint64_t *ret)
{
	const char *rest;
	uint64_t v;

	if (strncmp(text, "0x", 2) != 0 ||
	    !strchr("0123456789abcdefABCDEF", text[2]) || !text[2] ||
	    digits(text + 2, 16, &v, &rest) || *rest)
		return -EINVAL;
	*ret = v;
	return 0;
}

int units_number(const char *text, uint64_t *ret)
{
	const char *rest;
	uint64_t v;

	if (digits(text, 10, &v, &rest) || *rest)
		return -EINVAL;
	*ret = v;
	return 0;
}

char *units_format_bytes(char *buf, size_t len, uint64_t bytes)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	size_t i = 0;

	while (v >= 1024 && i + 1 < sizeof(names) / sizeof(names[0])) {
		v /= 1024;
		i++;
	}
	snprintf(buf, len, i ? "%.1f %s" : "%.0f %s", v, names[i]);
	return buf;
}

char *units_format_page(char *buf, size_t len, uint64_t bytes)
{
	static const char letters[] = "KMGT";
	size_t i = 0;

	if (!bytes) {
		snprintf(buf, len, "-");
		return buf;
	}
	if (bytes % 1024) {
		snprintf(buf, len, "%" PRIu64, bytes);
		return buf;
	}
	for (bytes /= 1024; bytes % 1024 == 0 && letters[i + 1]; bytes /= 1024)
		i++;
	snprintf(buf, len, "%" PRIu64 "%c", bytes, letters[i]);
	return buf;
}
