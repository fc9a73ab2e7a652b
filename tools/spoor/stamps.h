/* SPDX-License-Identifier: MIT */
/*
 * When a device's service succeeded, and how long that took: CLOCK_MONOTONIC
 * times, in memory that the command's processes share, so that a killed side's
 * are not lost.
 *
 * Threads: one writer, which publishes each entry by the count (release);
 * readers take the count first (acquire).
 */
#ifndef SPOOR_TOOL_STAMPS_H
#define SPOOR_TOOL_STAMPS_H

#include <stddef.h>
#include <stdint.h>

#define STAMPS_MAX (1u << 18) /* the last so many are kept */

struct stamps {
	uint64_t nr; /* ever made */
	uint64_t pad[511];
	uint64_t ns[STAMPS_MAX];
	uint64_t took_ns[STAMPS_MAX]; /* from request to success; 0: unknown */
};

static inline void stamps_add(struct stamps *s, uint64_t ns, uint64_t took_ns)
{
	s->ns[s->nr % STAMPS_MAX] = ns;
	s->took_ns[s->nr % STAMPS_MAX] = took_ns;
	__atomic_store_n(&s->nr, s->nr + 1, __ATOMIC_RELEASE);
}

/* A memfd for @nr of them, sparse; -errno. */
int stamps_create(size_t nr);
/* NULL: cannot be mapped. */
struct stamps *stamps_map(int fd, size_t nr);
void stamps_unmap(struct stamps *s, size_t nr);

#endif /* SPOOR_TOOL_STAMPS_H */
