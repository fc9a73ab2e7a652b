/* SPDX-License-Identifier: MIT */
/*
 * The life of descriptors: close and duplicate.  Invariant and threads: see
 * fd_table.c; a number is forgotten before the kernel may give it away.
 */
#include "softvfio/interpose.h"

#include <linux/close_range.h>
#include <stdarg.h>

/* Taken from the table: from here on it is closed, whoever is cancelled. */
static int close_ours(struct sv_file *f, int fd, FILE *stream)
{
	SV_NOT_CANCELLED();
	int r = stream ? REAL(fclose)(stream) : REAL(close)(fd);
	int saved = errno;

	sv_file_put(f);
	errno = saved;
	return r;
}

SV_EXPORT int close(int fd)
{
	struct sv_file *f = sv_fd_take(fd);

	if (sv_fd_is_kept(fd))
		return (int)sv_result(-EBADF);
	return f ? close_ours(f, fd, NULL) : REAL(close)(fd);
}

SV_EXPORT int fclose(FILE *stream)
{
	/* fileno() of a stream without a descriptor sets errno. */
	int fd = sv_fd_any() ? fileno(stream) : -1;
	struct sv_file *f = sv_fd_take(fd);

	return f ? close_ours(f, fd, stream) : REAL(fclose)(stream);
}

/* Around what is kept; 0 or -1 and errno. */
static int close_between(unsigned int first, unsigned int last, int flags)
{
	int fd, r = 0;

	for (;;) {
		fd = sv_fd_next_kept(first, last);
		if (fd < 0)
			return REAL(close_range)(first, last, flags);
		if ((unsigned int)fd > first)
			r = REAL(close_range)(first, (unsigned int)fd - 1,
					      flags);
		if (r || (unsigned int)fd == last)
			return r;
		first = (unsigned int)fd + 1;
	}
}

SV_EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	bool closes = !(flags & CLOSE_RANGE_CLOEXEC) && first <= last &&
		      !(flags & ~CLOSE_RANGE_UNSHARE);

	/* Where the call does not exist, nothing may be forgotten. */
	if (closes && sv_fd_any() && !REAL(close_range)(UINT_MAX, UINT_MAX, 0))
		sv_fd_drop_range(first, last);
	return closes ? close_between(first, last, flags)
		      : REAL(close_range)(first, last, flags);
}

SV_EXPORT void closefrom(int first)
{
	int fd;

	if (first < 0)
		first = 0;
	if (sv_fd_any())
		sv_fd_drop_range((unsigned int)first, INT_MAX);
	while ((fd = sv_fd_next_kept((unsigned int)first, INT_MAX)) >= 0) {
		/* A kernel without close_range() is asked one by one. */
		if (fd > first && REAL(close_range)((unsigned int)first,
						    (unsigned int)fd - 1, 0))
			for (int i = first; i < fd; i++)
				REAL(close)(i);
		first = fd + 1;
	}
	REAL(closefrom)(first);
}

SV_EXPORT int dup(int fd)
{
	return sv_fd_duplicated(fd, REAL(dup)(fd));
}

/*
 * The real call first: if it fails, what @to was stays.  Until the table
 * follows, @to is still the old file, which no program can rely on.
 */
SV_EXPORT int dup2(int from, int to)
{
	if (sv_fd_is_kept(to))
		return (int)sv_result(-EBADF);
	return sv_fd_duplicated(from, REAL(dup2)(from, to));
}

SV_EXPORT int dup3(int from, int to, int flags)
{
	if (sv_fd_is_kept(to))
		return (int)sv_result(-EBADF);
	return sv_fd_duplicated(from, REAL(dup3)(from, to, flags));
}

static int fcntl_answer(int fd, int command, int r)
{
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC
		       ? sv_fd_duplicated(fd, r)
		       : r;
}

SV_EXPORT int fcntl(int fd, int command, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fcntl_answer(fd, command, REAL(fcntl)(fd, command, arg));
}

SV_EXPORT int fcntl64(int fd, int command, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fcntl_answer(fd, command, REAL(fcntl64)(fd, command, arg));
}
