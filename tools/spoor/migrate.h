/* SPDX-License-Identifier: MIT */
/*
 * The course of a migration, as its parent sees it; migrate, receive and
 * compare share it.
 */
#ifndef SPOOR_TOOL_MIGRATE_H
#define SPOOR_TOOL_MIGRATE_H

#include "session.h"

/*
 * Starts both sides, or the source alone with --to, and migrates.  @dest: the
 * destination's machine file if it has its own.  0 with @v filled in, to be
 * concluded or finished; or an exit code, said on stderr.
 */
int migrate_run(struct session *s, const struct machine_file *dest,
		struct verdict *v);
/* Waits until the machines are there; false: @v says why not. */
bool migrate_begin(struct session *s, struct verdict *v);
/* A process has ended that should not have. */
bool migrate_someone_gone(const struct session *s);
/* From the order to go to the verdict, asking where nobody knows. */
void migrate_watch(struct session *s, struct verdict *v);
/* Lets the machine run on, ends everything; what came of it. */
json_t *migrate_conclude(struct session *s, const struct verdict *v);
/* The same, told; the exit code. */
int migrate_finish(struct session *s, const struct verdict *v);

#endif /* SPOOR_TOOL_MIGRATE_H */
