/* SPDX-License-Identifier: MIT */
/*
 * What a guest's load does next, and when: the same for spoor's own guests and
 * for the one that QEMU boots (bench/qemu/guest), so that they compare.
 *
 * Pure: the sequence's state is the caller's.  Depends on stdint only.
 */
#ifndef SPOOR_TOOL_PACE_H
#define SPOOR_TOOL_PACE_H

#include <stdint.h>

enum pace_pattern {
	PACE_UNIFORM,
	PACE_SEQUENTIAL,
	PACE_HOT, /* 90 % of the writes to 10 % of the set */
};

/* A deterministic sequence; 0 begins it. */
static inline uint64_t pace_random(uint64_t *state)
{
	uint64_t x = *state ? *state : 0x9e3779b97f4a7c15ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x;
}

/* The next of @nr places by a pattern; @n counts calls. */
static inline uint64_t pace_place(unsigned int pattern, uint64_t n, uint64_t nr,
				  uint64_t *state)
{
	uint64_t hot = nr / 10 ? nr / 10 : 1;
	uint64_t x;

	if (pattern == PACE_SEQUENTIAL)
		return n % nr;
	x = pace_random(state);
	if (pattern == PACE_HOT && x % 10 < 9)
		return (x >> 8) % hot;
	return (x >> 8) % nr;
}

/* When event @done, from 0, of @per_s a second is due. */
static inline uint64_t pace_due_ns(uint64_t start, uint64_t done,
				   uint64_t per_s)
{
	/* done / per_s seconds, without overflow for years of running. */
	return start + done / per_s * 1000000000ull +
	       done % per_s * 1000000000ull / per_s;
}

#endif /* SPOOR_TOOL_PACE_H */
