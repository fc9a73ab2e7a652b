/* SPDX-License-Identifier: MIT */
/* ioctls of the program, counted: the linker's --wrap leads them here. */
#include <stdarg.h>
#include <stdatomic.h>

#include "bench/run.h"

static atomic_ullong nr;

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	atomic_fetch_add(&nr, 1);
	return __real_ioctl(fd, request, arg);
}
/* NOLINTEND(bugprone-reserved-identifier) */

uint64_t run_nr_ioctls(void)
{
	return atomic_exchange(&nr, 0);
}
