/* SPDX-License-Identifier: MIT */
/* What a call costs: the time, and the thread's own CPU time. */
#ifndef SOFTVFIO_CPU_H
#define SOFTVFIO_CPU_H

#include <stdint.h>
#include <time.h>

static inline uint64_t sv_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t sv_cpu_ns(void)
{
	return sv_ns(CLOCK_THREAD_CPUTIME_ID);
}

#endif /* SOFTVFIO_CPU_H */
