/* SPDX-License-Identifier: MIT */
/*
 * What oracle_vfio.c expects of its machine and softvfio's has not: the
 * driver's way into ERROR.  Linked with --wrap, so that the program stays as it
 * ran on the real kernel.
 *
 * One thread.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

#include "softvfio/softvfio.h"

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	int mode;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, int) : 0;
	va_end(ap);
	if (strcmp(path, "force-error") != 0)
		return __real_open(path, flags, mode);
	/* Whichever is open now. */
	softvfio_fail_state("a", 0, 5, 1);
	softvfio_fail_state("r", 0, 5, 1);
	return __real_open("/dev/null", O_WRONLY);
}
