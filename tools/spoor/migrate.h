/* SPDX-License-Identifier: MIT */
/*
 * The course of a migration, as its parent sees it; migrate and receive share
 * it.
 */
#ifndef SPOOR_TOOL_MIGRATE_H
#define SPOOR_TOOL_MIGRATE_H

#include "session.h"

/* Waits until the machines are there; false: @v says why not. */
bool migrate_begin(struct session *s, struct verdict *v);
/* A process has ended that should not have. */
bool migrate_someone_gone(const struct session *s);
/* From the order to go to the verdict, asking where nobody knows. */
void migrate_watch(struct session *s, struct verdict *v);
/* Lets the machine run on, ends everything, tells; the exit code. */
int migrate_finish(struct session *s, const struct verdict *v);

#endif /* SPOOR_TOOL_MIGRATE_H */
