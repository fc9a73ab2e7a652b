/* SPDX-License-Identifier: MIT */
/*
 * What the guest is told to do, by QEMU's -append: words, separated by blanks.
 *
 *   dsa@SLOT,set_base=B,set=S,rate=R,request=Q,depth=D,pattern=P,ctl=A
 *   nic@SLOT,ring_base=B,ring=S,ctl=A
 *   plain@SLOT,set_base=B,set=S,rate=R[,pattern=P]
 *   cpu,set_base=B,set=S,rate=R,pattern=P,ctl=A
 *   seed=N
 *
 * SLOT is a device number of PCI bus 0.  Numbers are decimal, or hexadecimal
 * after 0x; rates are bytes a second, 0 idle.  P is uniform, sequential or hot.
 * Every key must be there, but for plain's pattern (uniform) and the seed (1).
 * Areas are whole pages, above the guest's own memory, apart from each other.
 *
 * Pure: runs on the host as well.
 */
#ifndef BENCH_QEMU_GUEST_WORDS_H
#define BENCH_QEMU_GUEST_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/qemu/guest/status.h"
#include "bench/qemu/guest/text.h"

#define WORD_PAGE      4096u
#define WORD_CTL_LEN   16384u /* control, descriptors, completions, spare */
#define WORD_CHUNK     65536u /* plain: bytes of one fill */
#define WORD_DEPTH_MAX 64u

/* What a kind of work does not have is 0. */
struct word {
	uint64_t kind; /* enum guest_kind */
	uint64_t slot;
	uint64_t set_base, set, rate, request, depth;
	uint64_t pattern; /* enum pace_pattern */
	uint64_t ring_base, ring;
	uint64_t ctl;
};

struct words {
	uint64_t seed;
	unsigned int nr;
	struct word word[GUEST_WORKS_MAX];
};

struct word_area {
	const char *name;
	uint64_t at, len;
	bool cpu; /* the CPU goes there, too, and reaches 4 GiB */
};
#define WORD_AREAS_MAX 3u

/* True, or false and why in @error; *@ret is complete only if true. */
bool words_read(const char *line, struct words *ret, struct text *error);
/* The memory that a word uses; how many areas. */
unsigned int word_areas(const struct word *w,
			struct word_area ret[WORD_AREAS_MAX]);

#endif /* BENCH_QEMU_GUEST_WORDS_H */
