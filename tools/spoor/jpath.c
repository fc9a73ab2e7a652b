/* SPDX-License-Identifier: MIT */
/*
 * JSON by tables; see jpath.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "jpath.h"
#include "units.h"

int jp_parse(const char *path, json_t **ret, struct jp_error *error)
{
	json_error_t at;
	FILE *file = fopen(path, "re");
	struct stat st;

	if (!file)
		return jp_error_set(error, "%s: %s", path, strerror(errno));
	/* It opens, and then reads as nothing. */
	if (!fstat(fileno(file), &st) && S_ISDIR(st.st_mode)) {
		fclose(file);
		return jp_error_set(error, "%s: %s", path, strerror(EISDIR));
	}
	*ret = json_loadf(file, JSON_REJECT_DUPLICATES, &at);
	fclose(file);
	if (*ret)
		return 0;
	return jp_error_set(error, "%s:%d:%d: %s", path, at.line, at.column,
			    at.text);
}

/* The path from the document to @at; returns the bytes used. */
static size_t path(const struct jp *at, char *buf, size_t len)
{
	size_t used = 0;
	int n;

	if (!at->up)
		return 0;
	used = path(at->up, buf, len);
	if (at->key)
		n = snprintf(buf + used, len - used, "%s%s", used ? "." : "",
			     at->key);
	else
		n = snprintf(buf + used, len - used, "[%zu]", at->index);
	if (n < 0 || (size_t)n >= len - used)
		return len - 1;
	return used + (size_t)n;
}

int jp_fail(const struct jp *at, const char *fmt, ...)
{
	char where[200] = "", text[240];
	char *value = NULL;
	va_list ap;

	path(at, where, sizeof(where));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* Scalars are shown; objects would drown the message. */
	if (at->value && !json_is_object(at->value) &&
	    !json_is_array(at->value))
		value = json_dumps(at->value, JSON_ENCODE_ANY | JSON_COMPACT);
	snprintf(at->error->text, sizeof(at->error->text),
		 value ? "%s: %.60s: %s" : "%s%.0s: %s",
		 where[0] ? where : "document", value ? value : "", text);
	free(value);
	return -EINVAL;
}

int jp_error_set(struct jp_error *error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error->text, sizeof(error->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int unknown_key(const struct jp *at, const struct jp_field *fields,
		       size_t nr)
{
	char known[180] = "";
	size_t used = 0;

	for (size_t i = 0; i < nr; i++) {
		int n = snprintf(known + used, sizeof(known) - used, "%s%s",
				 i ? ", " : "", fields[i].key);

		if (n < 0 || (size_t)n >= sizeof(known) - used)
			break;
		used += (size_t)n;
	}
	return jp_fail(&(struct jp){ .up = at->up,
				     .key = at->key,
				     .error = at->error },
		       "unknown key; known are %s", known);
}

int jp_object(const struct jp *at, const struct jp_field *fields, size_t nr,
	      void *base)
{
	const char *key;
	json_t *value;

	if (!json_is_object(at->value))
		return jp_fail(at, "must be an object");
	json_object_foreach((json_t *)at->value, key, value)
	{
		struct jp here = { at, key, 0, value, at->error };
		const struct jp_field *f = NULL;
		int r;

		for (size_t i = 0; i < nr && !f; i++)
			if (!strcmp(fields[i].key, key))
				f = &fields[i];
		if (!f)
			return unknown_key(&here, fields, nr);
		r = f->read(&here, f, (char *)base + f->offset);
		if (r)
			return r;
	}
	return 0;
}

int jp_array(const struct jp *at, size_t max,
	     int (*each)(const struct jp *at, size_t i, void *ctx), void *ctx)
{
	size_t i;
	json_t *value;

	if (!json_is_array(at->value))
		return jp_fail(at, "must be an array");
	if (json_array_size(at->value) > max)
		return jp_fail(at, "at most %zu entries", max);
	json_array_foreach((json_t *)at->value, i, value)
	{
		int r = each(&(struct jp){ at, NULL, i, value, at->error }, i,
			     ctx);

		if (r)
			return r;
	}
	return 0;
}

static int bounds(const struct jp *at, const struct jp_field *f, uint64_t v)
{
	if (v >= f->min && (!f->max || v <= f->max))
		return 0;
	if (!f->max)
		return jp_fail(at, "must be at least %" PRIu64, f->min);
	return jp_fail(at, "must be %" PRIu64 " to %" PRIu64, f->min, f->max);
}

int jp_read_number(const struct jp *at, const struct jp_field *f, void *into)
{
	json_int_t v;

	if (!json_is_integer(at->value))
		return jp_fail(at, "must be a whole number");
	v = json_integer_value(at->value);
	if (v < 0) {
		if (f->max)
			return bounds(at, f, UINT64_MAX);
		return jp_fail(at, "must be at least %" PRIu64, f->min);
	}
	if (bounds(at, f, (uint64_t)v))
		return -EINVAL;
	*(uint64_t *)into = (uint64_t)v;
	return 0;
}

int jp_read_real(const struct jp *at, const struct jp_field *f, void *into)
{
	double v = json_number_value(at->value);

	(void)f;
	if (!json_is_number(at->value) || !(v >= 0 && v <= 1e18))
		return jp_fail(at, "must be a number, 0 to 1e18");
	*(double *)into = v;
	return 0;
}

static int in_pages(const struct jp *at, const struct jp_field *f, uint64_t v)
{
	char lo[16], hi[16];

	if (v < f->min || (f->max && v > f->max)) {
		if (!f->max)
			return jp_fail(
				at, "must be at least %s",
				units_format_page(lo, sizeof(lo), f->min));
		if (!f->min)
			return jp_fail(
				at, "must be at most %s",
				units_format_page(hi, sizeof(hi), f->max));
		return jp_fail(at, "must be %s to %s",
			       units_format_page(lo, sizeof(lo), f->min),
			       units_format_page(hi, sizeof(hi), f->max));
	}
	if (f->multiple && v % f->multiple)
		return jp_fail(at, "must be a multiple of %s",
			       units_format_page(lo, sizeof(lo), f->multiple));
	return 0;
}

int jp_read_size(const struct jp *at, const struct jp_field *f, void *into)
{
	uint64_t v;

	if (json_is_integer(at->value) && json_integer_value(at->value) >= 0)
		v = (uint64_t)json_integer_value(at->value);
	else if (!json_is_string(at->value) ||
		 units_size(json_string_value(at->value), &v))
		return jp_fail(at, "must be a size in bytes, as 4096 or "
				   "\"64K\"");
	if (in_pages(at, f, v))
		return -EINVAL;
	*(uint64_t *)into = v;
	return 0;
}

int jp_read_rate(const struct jp *at, const struct jp_field *f, void *into)
{
	uint64_t v;

	if (!json_is_string(at->value) ||
	    units_rate(json_string_value(at->value), &v))
		return jp_fail(at, "must be a rate in bytes, as \"50M/s\"");
	if (in_pages(at, f, v))
		return -EINVAL;
	*(uint64_t *)into = v;
	return 0;
}

/* 1000 bits a second, in bytes: slower, not even a greeting gets through. */
#define LINK_RATE_MIN 125u

int jp_read_link_rate(const struct jp *at, const struct jp_field *f, void *into)
{
	uint64_t v;

	(void)f;
	if (!json_is_string(at->value) ||
	    units_link_rate(json_string_value(at->value), &v))
		return jp_fail(at, "must be a rate in bits, as \"10G\"");
	if (v < LINK_RATE_MIN)
		return jp_fail(at, "must be at least \"1K\"");
	*(uint64_t *)into = v;
	return 0;
}

int jp_read_address(const struct jp *at, const struct jp_field *f, void *into)
{
	uint64_t v;

	if (!json_is_string(at->value) ||
	    units_address(json_string_value(at->value), &v))
		return jp_fail(at, "must be an address, as \"0x100000000\"");
	if (f->multiple && v % f->multiple)
		return jp_fail(at, "must be a multiple of 0x%" PRIx64,
			       f->multiple);
	*(uint64_t *)into = v;
	return 0;
}

int jp_read_bool(const struct jp *at, const struct jp_field *f, void *into)
{
	(void)f;
	if (!json_is_boolean(at->value))
		return jp_fail(at, "must be true or false");
	*(bool *)into = json_is_true(at->value);
	return 0;
}

/* Also U+0080 to U+009F, which terminals obey as they do ESC. */
static bool has_control(const char *s)
{
	const unsigned char *c = (const unsigned char *)s;

	for (; *c; c++)
		if (*c < ' ' || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
			return true;
	return false;
}

int jp_read_text(const struct jp *at, const struct jp_field *f, void *into)
{
	const char *s = json_string_value(at->value);

	if (!s)
		return jp_fail(at, "must be a string");
	if (!*s)
		return jp_fail(at, "must not be empty");
	if (strlen(s) >= f->cap)
		return jp_fail(at, "at most %zu bytes", f->cap - 1);
	/* Not shown: it would do to the terminal what it is refused for. */
	if (has_control(s))
		return jp_fail(&(struct jp){ .up = at->up,
					     .key = at->key,
					     .index = at->index,
					     .error = at->error },
			       "must not hold control characters");
	memcpy(into, s, strlen(s) + 1);
	return 0;
}

static int choice(const struct jp *at, const struct jp_field *f,
		  unsigned int *ret)
{
	const char *s = json_string_value(at->value);
	char known[160] = "";
	size_t used = 0;

	for (unsigned int i = 0; f->words[i]; i++) {
		int n;

		if (s && !strcmp(s, f->words[i])) {
			*ret = i;
			return 0;
		}
		n = snprintf(known + used, sizeof(known) - used, "%s\"%s\"",
			     !i		       ? ""
			     : f->words[i + 1] ? ", "
					       : " or ",
			     f->words[i]);
		if (n > 0 && (size_t)n < sizeof(known) - used)
			used += (size_t)n;
	}
	return jp_fail(at, "must be %s", known);
}

int jp_read_word(const struct jp *at, const struct jp_field *f, void *into)
{
	return choice(at, f, into);
}

struct word_set {
	const struct jp_field *field;
	unsigned int bits;
};

static int word_of_set(const struct jp *at, size_t i, void *ctx)
{
	struct word_set *set = ctx;
	unsigned int word = 0;

	(void)i;
	if (choice(at, set->field, &word))
		return -EINVAL;
	if (set->bits & (1u << word))
		return jp_fail(at, "is there twice");
	set->bits |= 1u << word;
	return 0;
}

int jp_read_word_set(const struct jp *at, const struct jp_field *f, void *into)
{
	struct word_set set = { .field = f };

	if (jp_array(at, 32, word_of_set, &set))
		return -EINVAL;
	*(unsigned int *)into = set.bits;
	return 0;
}
