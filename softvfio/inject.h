/* SPDX-License-Identifier: MIT */
/*
 * What tests and the configuration ask a device to get wrong, and what devices
 * have to say: kept here, asked for by the device side at the moment it matters.
 *
 * Threads: any; everything is behind one leaf lock.
 */
#ifndef SOFTVFIO_INJECT_H
#define SOFTVFIO_INJECT_H

#include <stdbool.h>

#include "softvfio/config.h"

struct sv_device;

/*
 * At each change of state of @dev: the (positive) errno it has to fail with,
 * or 0; *to_error: the device is in ERROR afterwards.
 */
int sv_inject_state(struct sv_device *dev, bool *to_error);
/* At each such call: does this one fail? */
bool sv_inject_call(struct sv_device *dev, enum sv_call call);
/* Text for whoever drains softvfio_next_note(); copied.  The oldest of very
 * many is dropped. */
void sv_note_push(const char *text);

#endif /* SOFTVFIO_INJECT_H */
