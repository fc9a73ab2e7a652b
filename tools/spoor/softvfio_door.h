/* SPDX-License-Identifier: MIT */
/*
 * What softvfio knows and the kernel would never tell, where it is in this
 * process; a statically linked command is without (softvfio_door_none.c), and
 * drives hardware only.
 *
 * Threads: any.
 */
#ifndef SPOOR_TOOL_SOFTVFIO_DOOR_H
#define SPOOR_TOOL_SOFTVFIO_DOOR_H

#include <stdbool.h>
#include <stddef.h>

#include "softvfio/softvfio.h"

/* Loaded or linked in, with devices or without. */
bool door_is_there(void);
/* Can it be preloaded into processes that this one starts? */
bool door_can_open(void);
/* Devices that it has here; 0 without it. */
int door_nr_devices(void);
/* softvfio_truth_check(); 0 without it. */
long door_truth_check(struct softvfio_lost *ret, size_t cap);
/* softvfio_next_note(); NULL without it. */
char *door_next_note(void);

#endif /* SPOOR_TOOL_SOFTVFIO_DOOR_H */
