/* SPDX-License-Identifier: MIT */
/*
 * The part of a bitmap that a read works on: words of the kernel's, and which
 * pages of the program's bitmap they go to.  Small enough to stay in a cache,
 * so that what each tracker has of it is ORed there.
 *
 * Invariant: bits are only in pages that are noted as touched, and are there
 * until the program has them.
 * Threads: its owner's.
 */
#ifndef BENCH_KERNEL_WINDOW_H
#define BENCH_KERNEL_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

/* 64 KiB: 16 pages of the program's bitmap. */
#define WINDOW_BITS    524288u
#define WINDOW_WORDS   (WINDOW_BITS / 64)
#define WINDOW_PAGES   16u
#define BITS_PER_PAGE  32768u
#define WORDS_PER_PAGE (BITS_PER_PAGE / 64)

struct window {
	uint64_t first; /* bit of the whole bitmap */
	uint64_t nr_bits;
	uint64_t iova; /* of the first bit */
	unsigned int shift; /* of a page */
	uint32_t touched; /* bit n: page n has bits */
	uint64_t *words;
};

/* Set bits [first, end) of it. */
void window_fill(struct window *w, uint64_t first, uint64_t end);

/* For model_log_report(): a granule is dirty.  -ERANGE: it is elsewhere. */
int window_set(void *w, uint64_t iova, uint64_t len);

/* Note pages as touched by what their words hold. */
void window_look(struct window *w);

/*
 * Give what is touched to the program, whose whole bitmap is @user: OR, or
 * over what is there.  -EFAULT: nothing was forgotten.  They are copies: pinned
 * memory is written without them.
 */
int window_or_out(const struct window *w, uint64_t *user);
int window_copy_out(const struct window *w, uint64_t *user);
/* The program's words of what is touched. */
int window_copy_in(struct window *w, const uint64_t *user);

/* Zero what is touched. */
void window_clear(struct window *w);

#endif /* BENCH_KERNEL_WINDOW_H */
