/* SPDX-License-Identifier: MIT */
/*
 * Texts for humans, put together where there is no C library.  What does not
 * fit is cut off; there is always a NUL.
 */
#ifndef BENCH_QEMU_GUEST_TEXT_H
#define BENCH_QEMU_GUEST_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
	char *at; /* where the next character goes */
	size_t left; /* with the NUL, at least 1 */
};

static inline void text_char(struct text *t, char c)
{
	if (t->left < 2)
		return;
	*t->at++ = c;
	*t->at = '\0';
	t->left--;
}

static inline void text_part(struct text *t, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text_char(t, s[i]);
}

static inline void text_put(struct text *t, const char *s)
{
	while (*s)
		text_char(t, *s++);
}

static inline void text_hex(struct text *t, uint64_t v)
{
	unsigned int shift = 60;

	while (shift && !(v >> shift))
		shift -= 4;
	text_put(t, "0x");
	for (;; shift -= 4) {
		text_char(t, "0123456789abcdef"[v >> shift & 15]);
		if (!shift)
			return;
	}
}

#endif /* BENCH_QEMU_GUEST_TEXT_H */
