/* SPDX-License-Identifier: MIT */
/*
 * One machine under several policies: what is known of each, and the steps by
 * which it comes to be known.
 *
 * Threads: the parent's main thread.
 */
#ifndef SPOOR_TOOL_COMPARE_H
#define SPOOR_TOOL_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "tools/spoor/machine_file.h"
#include "tools/spoor/opts.h"
#include "tools/spoor/output.h"

#define COMPARE_POLICIES_MAX 32u
#define COMPARE_REPEAT_MAX   1000u

/* What another process of the command reads, and nothing is left of. */
struct compare_file {
	int fd; /* -1: there is none */
	char path[64];
};

struct compared {
	const char *policy; /* as it was named */
	struct machine_file *mf; /* with that policy */
	json_t *predicted; /* a plan's event, or NULL */
	struct compare_file plan; /* what auto chose by the profile */
	json_t *checked; /* result of the verified run, or NULL */
	json_t *timed; /* results, one a repetition */
	json_t *notes; /* texts */
	json_t *lost; /* pages, or NULL */
	size_t nr_begun; /* runs */
	bool refused, failed; /* why says the reason */
	char why[700];
	char too_fast[700]; /* of a run that did not converge */
};

struct comparison {
	const struct opts *o;
	struct output out;
	struct compared of[COMPARE_POLICIES_MAX];
	size_t nr;
	struct compare_file measured; /* profile, unless one was given */
	bool interrupted;
	bool broken; /* stdout takes no more */
};

static inline bool compare_stops(const struct comparison *c)
{
	return c->interrupted || c->broken;
}

/* profile.c: measured, unless there is one.  0 or an exit code, said. */
int compare_profile(struct comparison *c);
/* 0 or -errno; untouched on failure. */
int compare_file_make(struct compare_file *f, const json_t *content);
void compare_file_close(struct compare_file *f);

/* predict.c: what the profile promises of a policy, or that it is refused. */
void compare_predict(struct comparison *c, struct compared *p);

/* run.c: one migration; @repetition 0 is the one that is verified in full. */
void compare_run(struct comparison *c, struct compared *p,
		 unsigned int repetition);
/* With all the blockers of @plan, its event. */
/* For its blockers; refused before it came to a plan, for @error. */
void compare_refuse(struct compared *p, const json_t *plan, const char *error);
/* What @warnings say, each once. */
void compare_take_notes(struct compared *p, const json_t *warnings);

/* result.c: the last line. */
json_t *compare_json(const struct comparison *c, int exit_code);

/* text.c: the same for people. */
void compare_text(const struct comparison *c, const json_t *result);

#endif /* SPOOR_TOOL_COMPARE_H */
