/* SPDX-License-Identifier: MIT */
/*
 * Profiles in files: <spoor/profile.h> as JSON, with the header's names as
 * keys.  Figures that nobody measured are left out.
 *
 *	{"spoor_profile": 1, "host": "h", ..., "memory_bytes": 2147483648,
 *	 "trackers": [{"name": "nic0.device", "kind": "device", "pages": [
 *	   {"page_size": 4096, "start_ns": {"median": 1, "min": 1, "max": 1,
 *	    "samples": 5, "origin": "measured-sw"}, ...,
 *	    "dirty": [{"interval_ns": 10000000, "bytes": {...}}]}]}],
 *	 "devices": [{"name": "nic0", "reach_bytes": 2147483648, ...}]}
 *
 * Threads: none shared.
 */
#ifndef SPOOR_TOOL_PROFILE_FILE_H
#define SPOOR_TOOL_PROFILE_FILE_H

#include <stdbool.h>

#include <spoor/profile.h>

#include "jpath.h"

#define PROFILE_VERSION	     1
#define PROFILE_TRACKERS_MAX 256
#define PROFILE_POINTS_MAX   64 /* page sizes, and intervals */
#define PROFILE_DEVICES_MAX  64
#define PROFILE_LABEL_MAX    (160 + PROFILE_DEVICES_MAX * 66)

/*
 * 0; -EINVAL: @error says what is wrong and where, a syntax error by its line,
 * else by the key's path; -ENOMEM, in @error too.  Free with
 * profile_file_free().
 */
int profile_file_load(struct spoor_profile **ret, const char *path,
		      struct jp_error *error);
/*
 * Whole or not at all: what was there stays until all of it is written.  0 or
 * -errno; -EINVAL also for figures that no file can hold (NaN).
 */
int profile_file_save(const struct spoor_profile *p, const char *path);
/* Could it be?  0 or -errno; -EINVAL: there is something that is no file. */
int profile_file_can_save(const char *path);
/* The same without a file: what one process of the command tells another. */
int profile_file_read(struct spoor_profile **ret, const json_t *json,
		      struct jp_error *error);
json_t *profile_file_json(const struct spoor_profile *p); /* NULL: -EINVAL */
/* Parts of it, as they stand there. */
json_t *profile_page_json(const struct spoor_profile_page *p);
json_t *profile_device_json(const struct spoor_profile_device *d);
/* Takes NULL; returns NULL. */
struct spoor_profile *profile_file_free(struct spoor_profile *p);

/* The same tracker, with the same devices attached. */
bool profile_tracker_same(const struct spoor_profile_tracker *a,
			  const struct spoor_profile_tracker *b);

/* Is that device named as attached? */
bool profile_tracker_lists(const struct spoor_profile_tracker *t,
			   const char *name);
/* "main.iommu with nic0, dsa0" */
void profile_tracker_say(char *buf, size_t len, const char *name,
			 char (*attached)[64], size_t nr);

/* "measured-sw"; "unmeasured" for none. */
const char *profile_origin_name(enum spoor_origin origin);

#endif /* SPOOR_TOOL_PROFILE_FILE_H */
