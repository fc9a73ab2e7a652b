/* SPDX-License-Identifier: MIT */
/* What the shim declares for tests that make devices fail. */
#ifndef SOFTVFIO_INJECT_H
#define SOFTVFIO_INJECT_H

#include <stdbool.h>

#include "softvfio/config.h"

struct sv_device;

int sv_inject_state(struct sv_device *dev, bool *to_error);
bool sv_inject_call(struct sv_device *dev, enum sv_call call);
void sv_note_push(const char *text);

#endif /* SOFTVFIO_INJECT_H */
