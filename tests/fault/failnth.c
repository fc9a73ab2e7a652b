/* SPDX-License-Identifier: MIT */
/*
 * The linker puts these in the place of the calls that the program itself
 * makes (libspoor is linked into it), by --wrap: they count, and fail one.
 * Calls of softvfio and of libc are somebody else's: a kernel does not fail
 * inside.  meson.build has the list; check-imports.py holds it against what
 * libspoor calls.
 *
 * Invariant: a failed call has had no effect, except those that end things
 * (close, munmap, shutdown): they have ended them also when they complain.
 *
 * Threads: counting is atomic; arm and disarm from one thread.
 */
#include "tests/fault/failnth.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

static struct failnth plan;
static struct watch *watch;
static atomic_bool armed, counting, cut_next;
static atomic_uint count;
static atomic_long heap;

void failnth_arm(const struct failnth *f, struct watch *w)
{
	plan = *f;
	watch = w;
	atomic_store(&count, 0);
	atomic_store(&cut_next, false);
	atomic_store(&counting, !f->after);
	atomic_store(&armed, true);
}

void failnth_disarm(void)
{
	atomic_store(&armed, false);
}

long failnth_heap(void)
{
	return atomic_load(&heap);
}

/* Is this the one? */
static bool is_nth(unsigned int kinds, const char *name)
{
	if (!atomic_load(&armed) || !atomic_load(&counting) ||
	    !(plan.kinds & kinds))
		return false;
	if (atomic_fetch_add(&count, 1) + 1 != plan.nth)
		return false;
	snprintf(watch->what, sizeof(watch->what), "%s", name);
	atomic_store(&watch->fired, true);
	return true;
}

static bool fails(unsigned int kinds, const char *name)
{
	if (!is_nth(kinds, name))
		return false;
	if (plan.act == FAILNTH_KILL)
		kill(getpid(), SIGKILL);
	if (plan.act == FAILNTH_CALL)
		plan.call(plan.opaque);
	if (plan.act != FAILNTH_FAIL)
		return false;
	errno = kinds & FAILNTH_ALLOCS ? ENOMEM : plan.err;
	return true;
}

#define WRAP(kinds, type, name, params, args, failed)                          \
	type __real_##name params;                                             \
	type __wrap_##name params;                                             \
	type __wrap_##name params                                              \
	{                                                                      \
		if (fails(kinds, #name))                                       \
			return failed;                                         \
		return __real_##name args;                                     \
	}

/* Done, and then it complains. */
#define WRAP_END(name, params, args)                                           \
	int __real_##name params;                                              \
	int __wrap_##name params;                                              \
	int __wrap_##name params                                               \
	{                                                                      \
		bool failed = fails(FAILNTH_SYSCALLS, #name);                  \
		int err = errno, ret = __real_##name args;                     \
                                                                               \
		if (!failed)                                                   \
			return ret;                                            \
		errno = err;                                                   \
		return -1;                                                     \
	}

#define SYS    FAILNTH_SYSCALLS
#define WAITED (FAILNTH_SYSCALLS | FAILNTH_WAITS)

WRAP(SYS, ssize_t, read, (int fd, void *buf, size_t len), (fd, buf, len), -1)
WRAP(SYS, ssize_t, write, (int fd, const void *buf, size_t len), (fd, buf, len),
     -1)
WRAP(SYS, ssize_t, pread, (int fd, void *buf, size_t len, off_t off),
     (fd, buf, len, off), -1)
WRAP(SYS, ssize_t, pread64, (int fd, void *buf, size_t len, off_t off),
     (fd, buf, len, off), -1)
WRAP(SYS, ssize_t, pwrite, (int fd, const void *buf, size_t len, off_t off),
     (fd, buf, len, off), -1)
WRAP(SYS, ssize_t, pwrite64, (int fd, const void *buf, size_t len, off_t off),
     (fd, buf, len, off), -1)
WRAP(SYS, off_t, lseek, (int fd, off_t off, int whence), (fd, off, whence), -1)
WRAP(SYS, off_t, lseek64, (int fd, off_t off, int whence), (fd, off, whence),
     -1)
WRAP(WAITED, ssize_t, recv, (int fd, void *buf, size_t len, int flags),
     (fd, buf, len, flags), -1)
WRAP(WAITED, int, poll, (struct pollfd * fds, nfds_t n, int timeout),
     (fds, n, timeout), -1)
WRAP(WAITED, int, ppoll,
     (struct pollfd * fds, nfds_t n, const struct timespec *timeout,
      const sigset_t *mask),
     (fds, n, timeout, mask), -1)
WRAP(SYS, void *, mmap,
     (void *addr, size_t len, int prot, int flags, int fd, off_t off),
     (addr, len, prot, flags, fd, off), MAP_FAILED)
WRAP(SYS, void *, mmap64,
     (void *addr, size_t len, int prot, int flags, int fd, off_t off),
     (addr, len, prot, flags, fd, off), MAP_FAILED)
WRAP(SYS, int, madvise, (void *addr, size_t len, int advice),
     (addr, len, advice), -1)
WRAP(SYS, int, msync, (void *addr, size_t len, int flags), (addr, len, flags),
     -1)
WRAP(SYS, int, fstat, (int fd, struct stat *st), (fd, st), -1)
WRAP(SYS, int, fstat64, (int fd, struct stat *st), (fd, st), -1)
WRAP(SYS, int, fstatfs, (int fd, struct statfs *st), (fd, st), -1)
WRAP(SYS, int, fstatfs64, (int fd, struct statfs *st), (fd, st), -1)
WRAP(SYS, int, eventfd, (unsigned int n, int flags), (n, flags), -1)
WRAP(SYS, int, eventfd_write, (int fd, eventfd_t n), (fd, n), -1)
WRAP(SYS, int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *),
      void *arg),
     (thread, attr, fn, arg), EAGAIN)
WRAP_END(close, (int fd), (fd))
WRAP_END(munmap, (void *addr, size_t len), (addr, len))
WRAP_END(shutdown, (int fd, int how), (fd, how))

ssize_t __real_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t n;

	if (fails(WAITED, "recvmsg"))
		return -1;
	n = __real_recvmsg(fd, m, flags);
	if (n > 0)
		watch_received(watch, fd, (size_t)n);
	return n;
}

ssize_t __real_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);

/* As a socket whose buffer is full. */
static ssize_t send_half(int fd, const struct msghdr *m, int flags)
{
	size_t len = 0;

	for (size_t i = 0; i < m->msg_iovlen; i++)
		len += m->msg_iov[i].iov_len;
	len = len / 2 < m->msg_iov[0].iov_len ? len / 2 : m->msg_iov[0].iov_len;
	return send(fd, m->msg_iov[0].iov_base, len, flags);
}

/* docs/stream.md: what begins with a header begins a frame. */
static ssize_t send_whole(int fd, const struct msghdr *m, int flags)
{
	const uint8_t *head = m->msg_iov[0].iov_base;
	const bool frame = m->msg_iov[0].iov_len == 32;
	ssize_t n = __real_sendmsg(fd, m, flags);

	if (n >= 32 && frame && head[4] == plan.after)
		atomic_store(&counting, true);
	return n;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
	const unsigned int kinds = WAITED | FAILNTH_SENDS;

	if (atomic_exchange(&cut_next, false)) {
		errno = plan.err;
		return -1;
	}
	if (atomic_load(&armed) && plan.act == FAILNTH_SHORT) {
		if (!is_nth(kinds, "sendmsg"))
			return send_whole(fd, m, flags);
		atomic_store(&cut_next, true);
		return send_half(fd, m, flags);
	}
	return fails(kinds, "sendmsg") ? -1 : send_whole(fd, m, flags);
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fails(SYS, "ioctl"))
		return -1;
	ret = __real_ioctl(fd, request, arg);
	watch_ioctl(watch, fd, request, arg, ret);
	return ret;
}

/* userfaultfd comes this way. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (fails(SYS, "syscall"))
		return -1;
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#define WRAP_OPEN(name)                                                        \
	int __real_##name(const char *path, int flags, ...);                   \
	int __wrap_##name(const char *path, int flags, ...);                   \
	int __wrap_##name(const char *path, int flags, ...)                    \
	{                                                                      \
		mode_t mode;                                                   \
		va_list ap;                                                    \
                                                                               \
		va_start(ap, flags);                                           \
		mode = va_arg(ap, mode_t);                                     \
		va_end(ap);                                                    \
		return fails(SYS, #name) ? -1                                  \
					 : __real_##name(path, flags, mode);   \
	}

#define WRAP_FCNTL(name)                                                       \
	int __real_##name(int fd, int cmd, ...);                               \
	int __wrap_##name(int fd, int cmd, ...);                               \
	int __wrap_##name(int fd, int cmd, ...)                                \
	{                                                                      \
		va_list ap;                                                    \
		void *arg;                                                     \
                                                                               \
		va_start(ap, cmd);                                             \
		arg = va_arg(ap, void *);                                      \
		va_end(ap);                                                    \
		return fails(SYS, #name) ? -1 : __real_##name(fd, cmd, arg);   \
	}

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

/* The heap: counted also while nothing is to fail. */
#define WRAP_ALLOC(name, params, args)                                         \
	void *__real_##name params;                                            \
	void *__wrap_##name params;                                            \
	void *__wrap_##name params                                             \
	{                                                                      \
		void *p = NULL;                                                \
                                                                               \
		if (!fails(FAILNTH_ALLOCS, #name))                             \
			p = __real_##name args;                                \
		if (p)                                                         \
			atomic_fetch_add(&heap, 1);                            \
		return p;                                                      \
	}

#define WRAP_REALLOC(name, params, args)                                       \
	void *__real_##name params;                                            \
	void *__wrap_##name params;                                            \
	void *__wrap_##name params                                             \
	{                                                                      \
		const bool fresh = !old;                                       \
		void *p = NULL;                                                \
                                                                               \
		if (!fails(FAILNTH_ALLOCS, #name))                             \
			p = __real_##name args;                                \
		if (p && fresh)                                                \
			atomic_fetch_add(&heap, 1);                            \
		return p;                                                      \
	}

WRAP_ALLOC(malloc, (size_t size), (size))
WRAP_ALLOC(calloc, (size_t nr, size_t size), (nr, size))
WRAP_ALLOC(aligned_alloc, (size_t align, size_t size), (align, size))
WRAP_ALLOC(strdup, (const char *text), (text))
WRAP_REALLOC(realloc, (void *old, size_t size), (old, size))
WRAP_REALLOC(reallocarray, (void *old, size_t nr, size_t size), (old, nr, size))

int __real_vasprintf(char **ret, const char *fmt, va_list ap);
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap);
__attribute__((format(printf, 2, 0))) int
__wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
	int n = -1;

	if (!fails(FAILNTH_ALLOCS, "vasprintf"))
		n = __real_vasprintf(ret, fmt, ap);
	if (n >= 0)
		atomic_fetch_add(&heap, 1);
	return n;
}

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
	if (p)
		atomic_fetch_sub(&heap, 1);
	__real_free(p);
}
