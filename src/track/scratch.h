/* SPDX-License-Identifier: MIT */
/*
 * Bitmaps for the kernel to write: whole pages, present and writable.  Several
 * kernels answer success, and forget the dirty bits, when a page of the bitmap
 * is missing; and a large granule may be reported past the range asked for, up
 * to the end of the bitmap's last page, so that page must be ours alone.
 *
 * Threads: as its tracker.
 */
#ifndef SPOOR_TRACK_SCRATCH_H
#define SPOOR_TRACK_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

#include <spoor/bitmap.h>

struct spoor_scratch {
	uint64_t *words; /* page aligned */
	size_t len; /* bytes, whole pages */
};

/*
 * A zeroed bitmap of @range in it; valid until the next call.  -ENOMEM, or
 * -EINVAL as spoor_bitmap_init().
 */
int spoor_scratch_bitmap(struct spoor_scratch *s, struct spoor_bitmap *ret,
			 const struct spoor_range *range,
			 unsigned int page_shift);

/* Clear what lies behind the last bit in use. */
void spoor_scratch_trim(struct spoor_bitmap *b);

void spoor_scratch_release(struct spoor_scratch *s);

/*
 * Make the words that hold bits [first, first + nr) of @b present and writable,
 * by writes that change nothing.
 */
void spoor_bitmap_touch(struct spoor_bitmap *b, uint64_t first, uint64_t nr);

#endif /* SPOOR_TRACK_SCRATCH_H */
