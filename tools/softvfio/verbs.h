/* SPDX-License-Identifier: MIT */
/*
 * The verbs of softvfio: each gets the whole command line and returns what the
 * command exits with.
 */
#ifndef SOFTVFIO_TOOL_VERBS_H
#define SOFTVFIO_TOOL_VERBS_H

#include <stdio.h>

#define EXIT_BAD 2

int usage(FILE *out, int code);

int verb_run(int argc, char **argv);
int verb_verify(int argc, char **argv);

#endif /* SOFTVFIO_TOOL_VERBS_H */
