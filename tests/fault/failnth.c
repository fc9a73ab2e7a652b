/* SPDX-License-Identifier: MIT */
/*
 * Stands in front of softvfio and libc, counts the calls below when they come
 * from the program itself (libspoor is linked into it), and fails one.  Calls
 * of softvfio and of libc are somebody else's: a kernel does not fail inside.
 *
 * Invariant: a failed call has had no effect.  close, munmap and shutdown are
 * never failed: they end things, and Linux ends them also when it complains.
 *
 * Threads: counting is atomic; arm and disarm from one thread.
 */
#include "tests/fault/failnth.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_int act = -1;
static atomic_uint count;
static unsigned int nth;
static int nth_errno;
static _Atomic(const char *) what;

/* Linker-made: where the program's own code lies. */
extern const char __executable_start[];
extern const char etext[];

void failnth_arm(enum failnth_act a, unsigned int n, int err)
{
	nth = n;
	nth_errno = err;
	atomic_store(&what, "");
	atomic_store(&count, 0);
	atomic_store(&act, (int)a);
}

unsigned int failnth_disarm(void)
{
	atomic_store(&act, -1);
	return atomic_load(&count);
}

const char *failnth_what(void)
{
	const char *name = atomic_load(&what);

	return name ? name : "";
}

static bool fails(const char *name, const void *caller)
{
	int now = atomic_load(&act);

	if (now < 0 || (const char *)caller < __executable_start ||
	    (const char *)caller >= etext)
		return false;
	if (atomic_fetch_add(&count, 1) + 1 != nth || now == FAILNTH_COUNT)
		return false;
	atomic_store(&what, name);
	if (now == FAILNTH_KILL)
		raise(SIGKILL);
	errno = nth_errno;
	return true;
}

/* Threads that come first together all find the same. */
static void *find(_Atomic(void *) *at, const char *name)
{
	void *fn = atomic_load_explicit(at, memory_order_relaxed);

	if (!fn) {
		fn = dlsym(RTLD_NEXT, name);
		atomic_store_explicit(at, fn, memory_order_relaxed);
	}
	return fn;
}

#define NEXT(name)                                                             \
	static _Atomic(void *) found;                                          \
	__typeof__(name) *next = (__typeof__(next))find(&found, #name)

#define WRAP(type, name, params, args, failed)                                 \
	type name params                                                       \
	{                                                                      \
		NEXT(name);                                                    \
		if (fails(#name, __builtin_return_address(0)))                 \
			return failed;                                         \
		return next args;                                              \
	}

WRAP(ssize_t, read, (int fd, void *buf, size_t len), (fd, buf, len), -1)
WRAP(ssize_t, write, (int fd, const void *buf, size_t len), (fd, buf, len), -1)
WRAP(ssize_t, pread, (int fd, void *buf, size_t len, off_t off),
     (fd, buf, len, off), -1)
WRAP(ssize_t, pwrite, (int fd, const void *buf, size_t len, off_t off),
     (fd, buf, len, off), -1)
WRAP(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n), -1)
WRAP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), -1)
WRAP(ssize_t, send, (int fd, const void *buf, size_t len, int flags),
     (fd, buf, len, flags), -1)
WRAP(ssize_t, recv, (int fd, void *buf, size_t len, int flags),
     (fd, buf, len, flags), -1)
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags),
     (fd, m, flags), -1)
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags),
     -1)
WRAP(int, poll, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout),
     -1)
WRAP(void *, mmap,
     (void *addr, size_t len, int prot, int flags, int fd, off_t off),
     (addr, len, prot, flags, fd, off), MAP_FAILED)
WRAP(int, madvise, (void *addr, size_t len, int advice), (addr, len, advice),
     -1)
WRAP(int, eventfd, (unsigned int n, int flags), (n, flags), -1)

int pthread_create(pthread_t *thread, const pthread_attr_t *attr,
		   void *(*fn)(void *), void *arg)
{
	NEXT(pthread_create);
	if (fails("pthread_create", __builtin_return_address(0)))
		return nth_errno;
	return next(thread, attr, fn, arg);
}

int ioctl(int fd, unsigned long request, ...);
int ioctl(int fd, unsigned long request, ...)
{
	void *arg;
	va_list ap;

	NEXT(ioctl);
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fails("ioctl", __builtin_return_address(0)))
		return -1;
	return next(fd, request, arg);
}

/* userfaultfd comes this way. */
long syscall(long number, ...)
{
	long a[6];
	va_list ap;

	NEXT(syscall);
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (fails("syscall", __builtin_return_address(0)))
		return -1;
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
