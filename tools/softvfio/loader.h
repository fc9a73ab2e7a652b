/* SPDX-License-Identifier: MIT */
/* glibc's loader as the program that is run; see loader.c. */
#ifndef SOFTVFIO_TOOL_LOADER_H
#define SOFTVFIO_TOOL_LOADER_H

#include <stddef.h>

/*
 * The program that the loader @argv[0] would run.  NULL, or why there is none,
 * a sentence's end.
 */
const char *loader_program(char *const *argv, char *ret, size_t len);

#endif /* SOFTVFIO_TOOL_LOADER_H */
