/* SPDX-License-Identifier: MIT */
/* What a machine is run with, defaults included: for `spoor plan`. */
#ifndef SPOOR_TOOL_SETTINGS_H
#define SPOOR_TOOL_SETTINGS_H

#include <jansson.h>

#include "machine_file.h"

/* An event; NULL without memory. */
json_t *settings_event(const struct machine_file *mf);

#endif /* SPOOR_TOOL_SETTINGS_H */
