/* SPDX-License-Identifier: MIT */
/*
 * The calling thread's error text.  Invariant: always a terminated string.
 * Threads: each has its own; no heap.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[512];

const char *spoor_errmsg(void)
{
	return text;
}

const char *spoor_version(void)
{
	return SPOOR_VERSION;
}

int spoor_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return -err;
}

int spoor_fail_errno(const char *fmt, ...)
{
	int err = errno;
	size_t len;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = strlen(text);
	snprintf(text + len, sizeof(text) - len, ": %s",
		 strerrordesc_np(err) ? strerrordesc_np(err) : "unknown error");
	errno = err;
	return -err;
}

int spoor_fail_context(int err, const char *fmt, ...)
{
	char old[sizeof(text)];
	size_t len;
	va_list ap;

	memcpy(old, text, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = strlen(text);
	snprintf(text + len, sizeof(text) - len, ": %.400s", old);
	return err;
}
