/* SPDX-License-Identifier: MIT */
/*
 * spoor help: the manual page of a verb, its options where there is no man.
 */
#include <stdio.h>
#include <unistd.h>

#include "cmd.h"

int cmd_help(const struct opts *o)
{
	const struct cmd_verb *v;
	char page[80];

	if (o->completion) {
		opts_completion(stdout);
		return EXIT_DONE;
	}
	v = cmd_find(o->args[0]);
	if (!v || !v->summary) {
		fprintf(stderr, "spoor: %s: no such verb\n", o->args[0]);
		return EXIT_USAGE;
	}
	snprintf(page, sizeof(page), "spoor-%s", v->name);
	if (isatty(STDOUT_FILENO) && v->run) {
		execlp("man", "man", page, (char *)NULL);
		/* No man here: the options will have to do. */
	}
	cmd_usage(v);
	return EXIT_DONE;
}
