/* SPDX-License-Identifier: MIT */
/*
 * A machine's process, seen by its parent.
 *
 * Threads: the parent's main thread.  Children are spawned by it, and die with
 * it.
 */
#ifndef SPOOR_TOOL_SIDE_H
#define SPOOR_TOOL_SIDE_H

#include <stdbool.h>
#include <sys/types.h>

#include <jansson.h>

#include "lines.h"
#include "machine_file.h"
#include "opts.h"

struct side {
	const char *name; /* "source", "destination" */
	pid_t pid; /* 0: none */
	struct lines in;
	bool open; /* its end of the control socket */
	bool ready, refused, done;
	json_t *failed; /* it could not even begin */
	json_t *result; /* of the migration */
	json_t *held_end; /* _resumed or _discarded */
	int status; /* of waitpid(), once it is gone */
};

/* stamps_fd -1: none.  0, or an exit code, said on stderr. */
int side_spawn(struct side *s, const char *name, const char *verb,
	       const struct opts *o, const char *machine,
	       const struct machine_file *mf, int stamps_fd, unsigned int nr);
/* 0 or -errno; a gone child is no error. */
int side_order(struct side *s, const char *order);
/* Begin: with the connection, and the time that events count from. */
int side_go(struct side *s, int connection, uint64_t t0);
/* Asks it to end, gives it time, then makes it; releases everything. */
void side_end(struct side *s, unsigned int patience_ms);
/* "killed by signal 9"; for humans. */
char *side_how_it_ended(const struct side *s, char *buf, size_t len);

#endif /* SPOOR_TOOL_SIDE_H */
