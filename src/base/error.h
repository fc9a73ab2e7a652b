/* SPDX-License-Identifier: MIT */
/*
 * Error text of the calling thread, and the one way to set it.
 */
#ifndef SPOOR_BASE_ERROR_H
#define SPOOR_BASE_ERROR_H

#include <spoor/error.h>

/*
 * Record what failed and return -err: `return spoor_fail(EINVAL, "...", ...)`.
 * The text names operation, addresses and reason, without a final period.
 * err is positive.  errno is not touched.
 */
int spoor_fail(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* As spoor_fail(errno, ...), appending strerror: call it before anything that
 * could change errno. */
int spoor_fail_errno(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

/* Put "context: " before the text of the last failure; returns err. */
int spoor_fail_context(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* SPOOR_BASE_ERROR_H */
