/* SPDX-License-Identifier: MIT */
/*
 * The command line: one table of options feeds parsing, help and completion.
 */
#ifndef SPOOR_TOOL_OPTS_H
#define SPOOR_TOOL_OPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "machine_file.h"

/* Who takes an option. */
enum verb {
	VERB_MIGRATE = 1 << 0,
	VERB_RECEIVE = 1 << 1,
	VERB_TRACK = 1 << 2,
	VERB_PROBE = 1 << 3,
	VERB_HELP = 1 << 4,
	VERB_CHILD = 1 << 5, /* hidden: the machine's own process */
	VERB_CHECK = 1 << 6,
	VERB_BENCH = 1 << 7,
	VERB_PLAN = 1 << 8,
	VERB_REPORT = 1 << 9,
	VERB_COMPARE = 1 << 10,
	VERB_ALL = 0xffff,
};

struct opts {
	bool json, quiet, help, completion;
	bool quick; /* bench */
	bool simulate; /* plan */
	bool no_verify; /* --verify off */
	const char *policy, *to, *listen, *control, *dest_machine;
	const char *cpu_tracker; /* auto, async or sync */
	const char *peer, *backend; /* check */
	const char *report; /* the page to write beside */
	const char *links; /* of that page; NULL: its default */
	const char *output; /* profile, plan or page; NULL: nowhere */
	const char *profile; /* plan, compare */
	const char *policies; /* compare */
	const char **sets; /* "nic0.tracker=iommu" */
	size_t nr_sets;
	uint64_t for_ms, interval_ms; /* 0: no end */
	uint64_t repeat; /* compare */
	/* --dest-machine has spaces of its own: NAME.space is of the source. */
	bool own_spaces;
	/* children only */
	uint64_t control_fd, stamps_fd, side, parent;
	/* what is left */
	char **args;
	size_t nr_args;
};

/* 0, or 2 with a message on stderr.  argv[0] is the verb. */
int opts_parse(struct opts *o, enum verb verb, int argc, char **argv);
void opts_free(struct opts *o);
void opts_help(FILE *out, enum verb verb);
void opts_completion(FILE *out);

/* --policy and --set over the file's policy.  -EINVAL with the error. */
int opts_apply(const struct opts *o, struct machine_file *mf,
	       struct jp_error *error);

#endif /* SPOOR_TOOL_OPTS_H */
