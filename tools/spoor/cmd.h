/* SPDX-License-Identifier: MIT */
/*
 * The verbs, one cmd_*.c each.
 */
#ifndef SPOOR_TOOL_CMD_H
#define SPOOR_TOOL_CMD_H

#include <stddef.h>

#include "opts.h"

enum cmd_exit {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3,
	EXIT_LOST = 4,
	EXIT_UNKNOWN = 5,
	EXIT_BROKEN = 6,
	EXIT_MISSING = 77,
	EXIT_INTERRUPTED = 130,
};

struct cmd_verb {
	const char *name;
	enum verb verb;
	const char *usage; /* what follows the verb */
	const char *summary; /* NULL: hidden */
	int (*run)(const struct opts *o); /* NULL: not in this version */
	size_t min_args, max_args;
};

extern const struct cmd_verb cmd_verbs[];
extern const size_t cmd_nr_verbs;

int cmd_migrate(const struct opts *o);
int cmd_receive(const struct opts *o);
int cmd_track(const struct opts *o);
int cmd_probe(const struct opts *o);
int cmd_bench(const struct opts *o);
int cmd_compare(const struct opts *o);
int cmd_check(const struct opts *o);
int cmd_plan(const struct opts *o);
int cmd_report(const struct opts *o);
int cmd_help(const struct opts *o);

/* The machine's process; see child.h. */
int child_source(const struct opts *o);
int child_destination(const struct opts *o);
int child_track(const struct opts *o);
int child_probe(const struct opts *o);
int child_bench(const struct opts *o);
int child_planner(const struct opts *o);
int child_check(const struct opts *o);

const struct cmd_verb *cmd_find(const char *name);
void cmd_usage(const struct cmd_verb *v);

/* Load, apply the command line, check; 0 or an exit code, said on stderr. */
int cmd_load(struct machine_file **ret, const char *path, const struct opts *o,
	     bool source);
/* Room for so many sides of it on this machine?  0, or 77, said. */
int cmd_fits(const struct machine_file *mf, unsigned int sides);

#endif /* SPOOR_TOOL_CMD_H */
