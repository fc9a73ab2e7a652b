/* SPDX-License-Identifier: MIT */
/*
 * The program: who it is, and its pointers, read and written by the kernel on
 * our behalf: a bad one is an error, not a signal.  Invariant: as with the
 * kernel's copies, what lies before the bad page may have been copied when
 * -EFAULT is returned.
 * Threads: no state.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "softvfio/file.h"

/*
 * Either side may be the program's: the kernel checks both.  One call for both
 * directions, because memory checkers know what it writes.
 */
static int copy(void *dst, const void *src, size_t len)
{
	pid_t self = getpid();
	size_t done = 0;

	/* The kernel moves at most MAX_RW_COUNT at once, and stops short at
	 * the first bad page: the next turn then fails. */
	while (done < len) {
		struct iovec to = { .iov_base = (char *)dst + done,
				    .iov_len = len - done };
		struct iovec from = { .iov_base = (char *)src + done,
				      .iov_len = len - done };
		ssize_t n = process_vm_readv(self, &to, 1, &from, 1, 0);

		if (n < 0)
			return -errno;
		if (n == 0)
			return -EFAULT;
		done += (size_t)n;
	}
	return 0;
}

int sv_copy_in(void *dst, const void *user, size_t len)
{
	return copy(dst, user, len);
}

int sv_copy_out(void *user, const void *src, size_t len)
{
	return copy(user, src, len);
}

int sv_privileged(void)
{
	return geteuid() == 0;
}
