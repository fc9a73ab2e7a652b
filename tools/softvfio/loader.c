/* SPDX-License-Identifier: MIT */
/*
 * glibc's loader, called by name: "ld.so --library-path DIRS PROGRAM ...", the
 * way to run a program of another release beside its own libraries.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "loader.h"

/* Those that come with a value. */
static bool takes_value(const char *option)
{
	static const char *const with[] = { "--library-path",
					    "--inhibit-rpath",
					    "--audit",
					    "--preload",
					    "--argv0",
					    "--glibc-hwcaps-prepend",
					    "--glibc-hwcaps-mask" };

	for (size_t i = 0; i < sizeof(with) / sizeof(with[0]); i++)
		if (!strcmp(with[i], option))
			return true;
	return false;
}

const char *loader_program(char *const *argv, char *ret, size_t len)
{
	bool options = true;

	for (argv++; *argv && options && !strncmp(*argv, "--", 2); argv++) {
		options = strcmp(*argv, "--") != 0;
		if (takes_value(*argv) && argv[1])
			argv++;
	}
	if (!*argv)
		return "it is a loader, and is given no program";
	/* Without, it looks neither here nor in PATH. */
	if (!strchr(*argv, '/'))
		return "it is a loader, and finds no program without a slash: "
		       "say where it is";
	snprintf(ret, len, "%s", *argv);
	return NULL;
}
