/* SPDX-License-Identifier: MIT */
/*
 * Handing a machine's software devices to softvfio.
 */
#ifndef SPOOR_TOOL_SOFTVFIO_ENV_H
#define SPOOR_TOOL_SOFTVFIO_ENV_H

#include <stdbool.h>
#include <stddef.h>

#include "machine_file.h"

/* SOFTVFIO_CONFIG's value, freed by the caller; NULL: out of memory. */
char *softvfio_config_text(const struct machine_file *mf);
/* Does softvfio know the kernel that SOFTVFIO_KERNEL names, *ret? */
bool softvfio_kernel_known(const char **ret);
/*
 * libsoftvfio.so beside this program, or in ../lib (and what meson calls it);
 * -ENOENT: not found.
 */
int softvfio_find_library(char *buf, size_t len);
/*
 * Can LD_PRELOAD name it?  The loader knows no quoting: a blank or a colon ends
 * a name, and what it does not find it complains of and runs without, which
 * here is with this machine's devices.
 */
bool softvfio_can_preload(const char *library);

#endif /* SPOOR_TOOL_SOFTVFIO_ENV_H */
