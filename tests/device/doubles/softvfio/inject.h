/* SPDX-License-Identifier: MIT */
/* What the shim declares for tests that make devices fail. */
#ifndef SOFTVFIO_INJECT_H
#define SOFTVFIO_INJECT_H

#include <stdbool.h>

struct sv_device;

int sv_inject_state(struct sv_device *dev, bool *to_error);
bool sv_inject_report(struct sv_device *dev);
void sv_note_push(const char *text);

#endif /* SOFTVFIO_INJECT_H */
