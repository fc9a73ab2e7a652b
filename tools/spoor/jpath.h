/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON by tables, with the path of a key in every error:
 * "devices[2].tracker.queue: -1: must be 1 to 1048576".
 *
 * A struct jp is one place in the document; places form a chain on the stack
 * of whoever reads.  Readers return 0 or -EINVAL with the text in the error.
 *
 * Threads: none shared.
 */
#ifndef SPOOR_TOOL_JPATH_H
#define SPOOR_TOOL_JPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct jp_error {
	char text[512];
};

struct jp {
	const struct jp *up; /* NULL: the document */
	const char *key; /* of an object's member, NULL: of an array */
	size_t index; /* of an array's */
	const json_t *value;
	struct jp_error *error;
};

struct jp_field {
	const char *key;
	int (*read)(const struct jp *at, const struct jp_field *f, void *into);
	size_t offset; /* of the output in the struct that is filled */
	uint64_t min, max; /* numbers and sizes; max 0: no bound */
	uint64_t multiple; /* sizes: of this; 0: any */
	size_t cap; /* text: bytes of the output */
	const char *const *words; /* word: NULL-terminated choices */
};

/* A field of a table: MEMBER of struct S, called K, read by HOW. */
#define JP_FIELD(s, member, k, how, ...)                                       \
	{                                                                      \
		.key = (k), .offset = offsetof(struct s, member),              \
		.read = (how), ##__VA_ARGS__                                   \
	}

/*
 * Reads a whole file; the caller's to json_decref().  -EINVAL with the error,
 * which names the line.
 */
int jp_parse(const char *path, json_t **ret, struct jp_error *error);

/* Formats PATH: VALUE: TEXT; always -EINVAL.  Without a value if none. */
int jp_fail(const struct jp *at, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* An error about a whole file or what is no place in it; always -EINVAL. */
int jp_error_set(struct jp_error *error, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Every member through its field; unknown ones are refused. */
int jp_object(const struct jp *at, const struct jp_field *fields, size_t nr,
	      void *base);
/* Calls @each for the elements of an array of at most @max. */
int jp_array(const struct jp *at, size_t max,
	     int (*each)(const struct jp *at, size_t i, void *ctx), void *ctx);

int jp_read_number(const struct jp *at, const struct jp_field *f, void *into);
/* Any number from 0 to 10^18, into a double. */
int jp_read_real(const struct jp *at, const struct jp_field *f, void *into);
int jp_read_size(const struct jp *at, const struct jp_field *f, void *into);
int jp_read_rate(const struct jp *at, const struct jp_field *f, void *into);
int jp_read_link_rate(const struct jp *at, const struct jp_field *f,
		      void *into);
int jp_read_address(const struct jp *at, const struct jp_field *f, void *into);
int jp_read_bool(const struct jp *at, const struct jp_field *f, void *into);
int jp_read_text(const struct jp *at, const struct jp_field *f, void *into);
/* Index of the choice, into an unsigned int. */
int jp_read_word(const struct jp *at, const struct jp_field *f, void *into);
/* An array of choices, as bits, into an unsigned int. */
int jp_read_word_set(const struct jp *at, const struct jp_field *f, void *into);

#endif /* SPOOR_TOOL_JPATH_H */
