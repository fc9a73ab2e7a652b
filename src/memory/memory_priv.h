/* SPDX-License-Identifier: MIT */
/* What migration asks a memory beyond its public face. */
#ifndef SPOOR_MEMORY_MEMORY_PRIV_H
#define SPOOR_MEMORY_MEMORY_PRIV_H

#include <stdbool.h>

#include <spoor/memory.h>

/*
 * Has nobody written any page of this range yet?  Then it reads as zeroes, and
 * asking spares the host the pages that reading would make.  A write that
 * comes meanwhile is seen by its tracker, as one that comes after a copy.
 * False when in doubt: no backing file, or one that cannot tell.
 */
bool spoor_memory_is_hole(const struct spoor_memory *m,
			  const struct spoor_range *range);

#endif /* SPOOR_MEMORY_MEMORY_PRIV_H */
