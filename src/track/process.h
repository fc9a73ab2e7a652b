/* SPDX-License-Identifier: MIT */
/*
 * The process tracker's two kinds, and what they share.  Both write-protect
 * the memory through userfaultfd; they differ in who notes a write fault: the
 * kernel (process_async.c), or a thread of ours (process_sync.c).
 */
#ifndef SPOOR_TRACK_PROCESS_H
#define SPOOR_TRACK_PROCESS_H

#include "track/tracker_priv.h"

struct process_tracker;

struct process_kind {
	enum spoor_process_mode mode;
	uint64_t features; /* UFFD_FEATURE_* that it cannot do without */
	size_t size; /* of the struct that embeds struct process_tracker */

	/* Does the kernel have the rest of it?  0, or a negative errno. */
	int (*probe)(void);

	/* The segments are registered, nothing is protected yet. */
	int (*start)(struct process_tracker *p);

	/* As the tracker's collect, for @part of segment @index. */
	int (*collect)(struct process_tracker *p, size_t index,
		       const struct spoor_range *part,
		       struct spoor_bitmap *into);

	/* Undo start(), also a failed one, also none; NULL if closing fd is
	 * all.  The segments are still registered: who writes now may have to
	 * wait until they are not. */
	void (*stop)(struct process_tracker *p);
};

/* Memory that is contiguous in guest and host addresses. */
struct process_segment {
	struct spoor_range range; /* guest addresses */
	uint64_t hva;
	bool has_file;
};

/* A kind embeds this as its first member. */
struct process_tracker {
	struct spoor_tracker t;
	const struct process_kind *kind;
	const struct spoor_memory *memory;
	uint64_t features; /* UFFD_FEATURE_* to ask for */
	uint64_t page; /* the host's page size, bytes */
	/* While started: */
	int uffd;
	int fd; /* the kind's own, or -1 */
	struct process_segment *segments; /* sorted by guest address */
	size_t nr_segments;
};

extern const struct process_kind spoor_process_async;
extern const struct process_kind spoor_process_sync;

/* Write-protect host addresses, or take that back and wake who waits. */
int spoor_process_protect(const struct process_tracker *p, uint64_t hva,
			  uint64_t len, bool protect);

/* Take all protection away: nothing is tracked any more, nobody waits.  Goes
 * on after an error; returns the first. */
int spoor_process_unregister(const struct process_tracker *p);

#endif /* SPOOR_TRACK_PROCESS_H */
