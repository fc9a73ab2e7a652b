/* SPDX-License-Identifier: MIT */
/*
 * Can libraries be put before a program's?
 */
#ifndef SOFTVFIO_TOOL_PROGRAM_H
#define SOFTVFIO_TOOL_PROGRAM_H

#include <stddef.h>

/*
 * The file that exec(2) would take for @name, looked for as a shell does.
 * -ENOENT, or -EACCES: there is one, but it cannot be run.
 */
int program_find(const char *name, char *ret, size_t len);

/*
 * NULL: yes; else why not, a sentence's end: "it is statically linked".
 * @argv is what it is started with.
 */
const char *program_why_not_preload(const char *path, char *const *argv);

#endif /* SOFTVFIO_TOOL_PROGRAM_H */
