/* SPDX-License-Identifier: MIT */
/*
 * Division of 64-bit numbers by what a 32-bit x86 has: divl, which divides 64
 * bits by 32 if the result fits.  Runs on the host as well.
 */
#ifndef BENCH_QEMU_GUEST_DIV64_H
#define BENCH_QEMU_GUEST_DIV64_H

#include <stdint.h>

/* @high is below @d: the quotient fits. */
static inline uint32_t div64_step(uint32_t high, uint32_t low, uint32_t d,
				  uint32_t *rest)
{
	uint32_t q;

	__asm__("divl %4"
		: "=a"(q), "=d"(*rest)
		: "0"(low), "1"(high), "rm"(d)
		: "cc");
	return q;
}

/* @d is not 0. */
static inline uint64_t div64(uint64_t n, uint64_t d, uint64_t *rest)
{
	uint64_t q = 0, left;

	if (!(d >> 32)) {
		uint32_t d32 = (uint32_t)d, high = (uint32_t)(n >> 32);
		uint32_t q_high, r;

		q_high = div64_step(0, high, d32, &r);
		q = div64_step(r, (uint32_t)n, d32, &r);
		*rest = r;
		return (uint64_t)q_high << 32 | q;
	}
	/*
	 * The quotient is below 2^32: bit by bit, which is rare.  What is left
	 * is at most the bits of n so far: it does not overflow.
	 */
	left = n >> 32;
	for (unsigned int i = 32; i-- > 0;) {
		left = left << 1 | (n >> i & 1);
		q <<= 1;
		if (left >= d) {
			left -= d;
			q |= 1;
		}
	}
	*rest = left;
	return q;
}

#endif /* BENCH_QEMU_GUEST_DIV64_H */
