/* SPDX-License-Identifier: MIT */
/*
 * softvfio run MACHINE -- PROGRAM ARGS...: the program, with the machine's
 * software devices as its VFIO.
 *
 * Exits 2 on bad usage or a bad machine, 126 or 127 if the program cannot be
 * run or is not there, as a shell does; else it is the program.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine_file.h"
#include "program.h"
#include "softvfio_env.h"

#define EXIT_BAD       2
#define EXIT_CANNOT    126
#define EXIT_NOT_FOUND 127

static int usage(FILE *out, int code)
{
	fputs("Usage: softvfio run MACHINE -- PROGRAM [ARGUMENTS...]\n"
	      "Runs a program with the machine file's software devices as its "
	      "/dev/vfio and /dev/iommu.\n\n"
	      "  SOFTVFIO_KERNEL  whose answers: 6.1, 6.12 or latest\n"
	      "  SOFTVFIO_STATS   file for the counters, %p is the process\n",
	      out);
	return code;
}

/* The machine's devices as text; NULL: said why. */
static char *configuration(const char *path)
{
	struct machine_file *mf = NULL;
	struct jp_error error = { "" };
	char *text = NULL;

	if (machine_file_load(&mf, path, &error)) {
		fprintf(stderr, "softvfio: %s\n", error.text);
		return NULL;
	}
	if (!machine_has_models(mf))
		fprintf(stderr,
			"softvfio: %s: devices: there is no software "
			"device\n",
			path);
	else
		text = softvfio_config_text(mf);
	machine_file_free(mf);
	return text;
}

static int preload(void)
{
	char library[PATH_MAX], value[2 * PATH_MAX];
	const char *have = getenv("LD_PRELOAD");
	int n;

	if (access("/proc/self/exe", F_OK)) {
		fprintf(stderr, "softvfio: /proc is needed, and it is not "
				"mounted here\n");
		return EXIT_CANNOT;
	}
	if (softvfio_find_library(library, sizeof(library))) {
		fprintf(stderr, "softvfio: libsoftvfio.so is neither beside "
				"this command nor in ../lib\n");
		return EXIT_CANNOT;
	}
	if (!softvfio_can_preload(library)) {
		fprintf(stderr,
			"softvfio: %s: the loader cannot be given a path with "
			"a blank, a colon or a dollar sign\n",
			library);
		return EXIT_CANNOT;
	}
	/* A sanitizer's runtime, if one is there, must stay first. */
	n = snprintf(value, sizeof(value), "%s%s%s", have ? have : "",
		     have && *have ? ":" : "", library);
	if (n < 0 || (size_t)n >= sizeof(value) ||
	    setenv("LD_PRELOAD", value, 1))
		return EXIT_CANNOT;
	return 0;
}

static int run(const char *machine, char **argv)
{
	char program[PATH_MAX];
	const char *why;
	char *text = configuration(machine);
	int r;

	if (!text)
		return EXIT_BAD;
	r = setenv("SOFTVFIO_CONFIG", text, 1);
	free(text);
	if (r)
		return EXIT_CANNOT;
	r = program_find(argv[0], program, sizeof(program));
	if (r) {
		fprintf(stderr, "softvfio: %s: %s\n", argv[0], strerror(-r));
		return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT;
	}
	why = program_why_not_preload(program);
	if (why) {
		fprintf(stderr, "softvfio: %s: %s\n", program, why);
		return EXIT_CANNOT;
	}
	r = preload();
	if (r)
		return r;
	execv(program, argv);
	fprintf(stderr, "softvfio: %s: %s\n", program, strerror(errno));
	return EXIT_CANNOT;
}

int main(int argc, char **argv)
{
	int at = 3;

	/* Of what may stand before "--", nothing else begins with "-". */
	for (int i = 1; i < argc && i < 3; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return usage(stdout, 0);
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts("softvfio " SPOOR_VERSION);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "verify")) {
		fprintf(stderr, "softvfio: verify: not in this version\n");
		return EXIT_BAD;
	}
	if (argc < 4 || strcmp(argv[1], "run") != 0)
		return usage(stderr, EXIT_BAD);
	if (!strcmp(argv[at], "--"))
		at++;
	if (at >= argc)
		return usage(stderr, EXIT_BAD);
	return run(argv[2], argv + at);
}
