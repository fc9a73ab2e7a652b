/* SPDX-License-Identifier: MIT */
/*
 * For the files that define libc's names.  Each does the same: what is not
 * ours goes to the real call as it came; results are the kernel's, -1 with
 * errno.
 */
#ifndef SOFTVFIO_INTERPOSE_H
#define SOFTVFIO_INTERPOSE_H

/* First: it decides what the names in libc's headers are. */
#include "softvfio/real.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>

#include "softvfio/export.h"
#include "softvfio/shim.h"

#if defined(__USE_FILE_OFFSET64) || __USE_FORTIFY_LEVEL > 0
#error "include softvfio/interpose.h before any other header"
#endif

static inline long sv_result(long r)
{
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

/* Drops the reference and turns what the file answered into a result. */
static inline long sv_answer(struct sv_file *f, long r)
{
	sv_file_put(f);
	return sv_result(r);
}

static inline bool sv_readable(struct sv_file *f)
{
	return sv_open_file(f)->oflags != O_WRONLY;
}

static inline bool sv_writable(struct sv_file *f)
{
	return sv_open_file(f)->oflags != O_RDONLY;
}

#endif /* SOFTVFIO_INTERPOSE_H */
