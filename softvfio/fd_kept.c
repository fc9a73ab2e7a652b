/* SPDX-License-Identifier: MIT */
/*
 * Descriptors of softvfio's own: what devices' threads wait for, programs'
 * eventfds that it holds, BAR memory.  The kernel's counterparts have no
 * number, so no program can close them, or have something else there.
 *
 * They are put where programs do not number theirs, and refused to whoever
 * closes or replaces descriptors that it did not open.
 *
 * Invariant: a number is kept from before anybody uses it until just before it
 * is closed: afterwards it may be the program's, which must be able to close
 * it.  Threads: any; one atomic bit a descriptor, so that asking is a load.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "softvfio/real.h"
#include "softvfio/shim.h"

#define NR_WORDS (1u << 14) /* for 2^20 descriptors; those above are not kept */
#define FIRST	 4096u

static _Atomic(uint64_t) kept[NR_WORDS];
static atomic_uint nr_kept;

static uint64_t bit_of(unsigned int fd)
{
	return UINT64_C(1) << (fd % 64);
}

bool sv_fd_is_kept(int fd)
{
	if (!atomic_load_explicit(&nr_kept, memory_order_acquire) || fd < 0 ||
	    (unsigned int)fd / 64 >= NR_WORDS)
		return false;
	return atomic_load(&kept[(unsigned int)fd / 64]) &
	       bit_of((unsigned int)fd);
}

static void keep_number(int fd)
{
	unsigned int n = (unsigned int)fd;

	if (n / 64 < NR_WORDS &&
	    !(atomic_fetch_or(&kept[n / 64], bit_of(n)) & bit_of(n)))
		atomic_fetch_add(&nr_kept, 1);
}

void sv_fd_forget_kept(int fd)
{
	unsigned int n = (unsigned int)fd;

	if (n / 64 < NR_WORDS &&
	    atomic_fetch_and(&kept[n / 64], ~bit_of(n)) & bit_of(n))
		atomic_fetch_sub(&nr_kept, 1);
}

/* The middle of what is allowed: programs count from below. */
static int lowest(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur / 2 > FIRST)
		return FIRST;
	return (int)(limit.rlim_cur / 2);
}

int sv_fd_keep(int fd)
{
	int high;

	if (fd < 0)
		return fd;
	high = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, lowest());
	if (high >= 0) {
		keep_number(high);
		REAL(close)(fd);
		return high;
	}
	/* No room there: where it is. */
	keep_number(fd);
	return fd;
}

void sv_fd_end(int fd)
{
	sv_fd_forget_kept(fd);
	REAL(close)(fd);
}

int sv_fd_next_kept(unsigned int first, unsigned int last)
{
	if (!atomic_load_explicit(&nr_kept, memory_order_acquire))
		return -1;
	for (unsigned int i = first / 64; i < NR_WORDS && i <= last / 64; i++) {
		uint64_t word = atomic_load(&kept[i]);

		if (i == first / 64)
			word &= UINT64_MAX << (first % 64);
		if (!word)
			continue;
		first = i * 64 + (unsigned int)__builtin_ctzll(word);
		return first <= last ? (int)first : -1;
	}
	return -1;
}

/* The threads that use them stayed with the parent: a port must not stay
 * taken because of a child that knows nothing of it. */
void sv_fd_kept_fork_child(void)
{
	int fd;

	while ((fd = sv_fd_next_kept(0, UINT32_MAX)) >= 0)
		sv_fd_end(fd);
}
