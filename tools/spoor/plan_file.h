/* SPDX-License-Identifier: MIT */
/*
 * Plans in files: what `spoor plan -o` writes, what a person edits, and what
 * `--policy FILE` obeys.
 *
 *	{"spoor_plan": 1, "policy": "auto", "stop_copy": false, "devices": [
 *	   {"name": "nic0", "tracker": "device", "page_size": "16K",
 *	    "suspend": {"when": "together", "how": "stop"}, "space": "main",
 *	    ...}], ...}
 *
 * What is obeyed are those keys; reasons and predictions are for people, and
 * passed over.  A device without a line, or a line without a key, is left to
 * the planner.
 *
 * Threads: none shared.
 */
#ifndef SPOOR_TOOL_PLAN_FILE_H
#define SPOOR_TOOL_PLAN_FILE_H

#include <stdbool.h>

#include <jansson.h>

#include "machine_file.h"

#define PLAN_VERSION 1

/* Its lines win over those that are there already. */
#define PLAN_WINS      (1u << 0)
/* Each device stays where the machine file has it. */
#define PLAN_NO_SPACES (1u << 1)

/*
 * Its lines become lines of @mf's policy.  0; -EINVAL: @error says what is
 * wrong and where; -ENOMEM.
 */
int plan_file_apply(struct machine_file *mf, const char *path,
		    unsigned int flags, struct jp_error *error);
/* From a plan's event; whole or not at all: 0 or -errno. */
int plan_file_save(const json_t *event, const struct machine_file *mf,
		   const char *path);

#endif /* SPOOR_TOOL_PLAN_FILE_H */
