/* SPDX-License-Identifier: MIT */
/*
 * The text of SOFTVFIO_CONFIG, for whoever starts a program on softvfio.
 * Depends on libc only and on nothing else of softvfio.
 */
#ifndef SOFTVFIO_CONFIG_WRITE_H
#define SOFTVFIO_CONFIG_WRITE_H

#include "softvfio/config.h"

/*
 * All of @devs, every key written out.  The caller frees it; NULL: out of
 * memory.  What cannot be written (an enum outside its names) never is: the
 * field's first name stands for it.
 */
char *sv_config_format(const struct sv_config_device *devs, unsigned int nr);

#endif /* SOFTVFIO_CONFIG_WRITE_H */
