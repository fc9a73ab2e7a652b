/* SPDX-License-Identifier: MIT */
/*
 * The calling thread's text of the last failure in the models.
 * Invariant: always a terminated string.  Threads: each has its own; no heap.
 */
#include <stdarg.h>
#include <stdio.h>

#include "models/model_priv.h"

static _Thread_local char text[256];

const char *model_errmsg(void)
{
	return text;
}

int model_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return -err;
}
