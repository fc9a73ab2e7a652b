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
#include "verbs.h"

#define EXIT_CANNOT    126
#define EXIT_NOT_FOUND 127

struct options {
	const char *machine;
	char fds[4096]; /* SOFTVFIO_FDS */
	char **faults; /* into argv */
	size_t nr_faults;
	char **program;
};

/* 0, or an exit code, having said why. */
static int plant(struct machine_file *mf, const struct options *o)
{
	struct jp_error error = { "" };

	for (size_t i = 0; i < o->nr_faults; i++) {
		if (!mf_plant(mf, o->faults[i], &error))
			continue;
		fprintf(stderr, "softvfio: --fault %s\n", error.text);
		return EXIT_BAD;
	}
	return 0;
}

/* The machine's devices as text; NULL: said why. */
static char *configuration(const struct options *o)
{
	struct machine_file *mf = NULL;
	struct jp_error error = { "" };
	char *text = NULL;

	if (machine_file_load(&mf, o->machine, &error)) {
		fprintf(stderr, "softvfio: %s\n", error.text);
		return NULL;
	}
	if (!machine_has_models(mf))
		fprintf(stderr,
			"softvfio: %s: devices: there is no software "
			"device\n",
			o->machine);
	else if (!plant(mf, o))
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

/* What the library reads; 0 or an exit code. */
static int set_environment(const struct options *o)
{
	char *text = configuration(o);
	int r;

	if (!text)
		return EXIT_BAD;
	r = setenv("SOFTVFIO_CONFIG", text, 1);
	free(text);
	if (!r && o->fds[0])
		r = setenv("SOFTVFIO_FDS", o->fds, 1);
	return r ? EXIT_CANNOT : 0;
}

static int run(const struct options *o)
{
	char program[PATH_MAX];
	const char *why;
	int r = set_environment(o);

	if (r)
		return r;
	r = program_find(o->program[0], program, sizeof(program));
	if (r) {
		fprintf(stderr, "softvfio: %s: %s\n", o->program[0],
			strerror(-r));
		return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT;
	}
	why = program_why_not_preload(program, o->program);
	if (why) {
		fprintf(stderr, "softvfio: %s: %s\n", program, why);
		return EXIT_CANNOT;
	}
	r = preload();
	if (r)
		return r;
	execv(program, o->program);
	fprintf(stderr, "softvfio: %s: %s\n", program, strerror(errno));
	return EXIT_CANNOT;
}

static int add_fd(struct options *o, const char *word)
{
	size_t used = strlen(o->fds);

	if (!strchr(word, '=') || strpbrk(word, " \t\n")) {
		fprintf(stderr,
			"softvfio: --fd %s: must be NUMBER=NAME, as in "
			"20=nic0, 21=iommu or 22=/dev/vfio/3\n",
			word);
		return EXIT_BAD;
	}
	if (strlen(word) + 2 > sizeof(o->fds) - used) {
		fprintf(stderr, "softvfio: --fd %s: too many\n", word);
		return EXIT_BAD;
	}
	sprintf(o->fds + used, "%s%s", used ? " " : "", word);
	return 0;
}

/* One option and its value; 0, or an exit code. */
static int take(struct options *o, const char *option, char *value)
{
	if (value && !strcmp(option, "--fd"))
		return add_fd(o, value);
	if (value && !strcmp(option, "--fault")) {
		o->faults[o->nr_faults++] = value;
		return 0;
	}
	fprintf(stderr, "softvfio: %s: %s\n", option,
		!strcmp(option, "--fd") || !strcmp(option, "--fault")
			? "needs a value"
			: "no such option");
	return EXIT_BAD;
}

/* -1: bad usage. */
static int parse(struct options *o, int argc, char **argv)
{
	int i, r;

	for (i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		if (argv[i][0] == '-') {
			r = take(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
			if (r)
				return r;
			i++;
		} else if (!o->machine) {
			o->machine = argv[i];
		} else {
			break;
		}
	}
	if (!o->machine || i >= argc)
		return -1;
	o->program = argv + i;
	return 0;
}

int verb_run(int argc, char **argv)
{
	static struct options o;
	int r;

	o.faults = calloc((size_t)argc, sizeof(*o.faults));
	if (!o.faults)
		return EXIT_CANNOT;
	r = parse(&o, argc, argv);
	if (!r)
		r = run(&o);
	free(o.faults);
	return r < 0 ? usage(stderr, EXIT_BAD) : r;
}
