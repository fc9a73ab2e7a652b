/* SPDX-License-Identifier: MIT */
/*
 * What compilers call where there is no C library and no libgcc.
 */
#include <stddef.h>
#include <stdint.h>

#include "bench/qemu/guest/div64.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t len);
void *memset(void *dst, int byte, size_t len);
uint64_t __udivdi3(uint64_t n, uint64_t d);
uint64_t __umoddi3(uint64_t n, uint64_t d);
uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *rest);

/* As instructions: a loop would be compiled into a call of itself. */
void *memcpy(void *restrict dst, const void *restrict src, size_t len)
{
	void *to = dst;

	__asm__ volatile("rep movsb"
			 : "+D"(to), "+S"(src), "+c"(len)
			 :
			 : "memory");
	return dst;
}

void *memset(void *dst, int byte, size_t len)
{
	void *to = dst;

	__asm__ volatile("rep stosb"
			 : "+D"(to), "+c"(len)
			 : "a"(byte)
			 : "memory");
	return dst;
}

uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *rest)
{
	uint64_t left, q = div64(n, d, &left);

	if (rest)
		*rest = left;
	return q;
}

uint64_t __udivdi3(uint64_t n, uint64_t d)
{
	return __udivmoddi4(n, d, NULL);
}

uint64_t __umoddi3(uint64_t n, uint64_t d)
{
	uint64_t rest;

	__udivmoddi4(n, d, &rest);
	return rest;
}
