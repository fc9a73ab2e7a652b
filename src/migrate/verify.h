/* SPDX-License-Identifier: MIT */
/*
 * Are both memories the same?  Digests of 64 KiB chunks are compared, of
 * chunks that differ those of each page, so that what was lost has a name.
 *
 * Chunks are numbered through the regions in order; a region's last chunk may
 * be short.  Both sides are stopped: memory is read where it is.
 *
 * Threads: the run's own.
 */
#ifndef SPOOR_MIGRATE_VERIFY_H
#define SPOOR_MIGRATE_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "migrate/machine_priv.h"

#define SPOOR_CHUNK	  (64u << 10)
#define SPOOR_CHUNK_PAGES (SPOOR_CHUNK / SPOOR_STREAM_PAGE)
/* Entries of a list of lost pages; what is beyond is only counted. */
#define SPOOR_LOST_MAX	  65536u

uint64_t spoor_verify_chunks(const struct spoor_memory *m);
/* False if there is no such chunk. */
bool spoor_verify_chunk(const struct spoor_memory *m, uint64_t chunk,
			struct spoor_range *ret);

/* Source: every chunk's digest, in order. */
int spoor_verify_send(struct spoor_run *run);
/* Source: what was asked for; zero-initialise it. */
struct spoor_asked {
	uint64_t next; /* chunks below this were asked for, or will not be */
};
/* Source: the answer to a WANT frame.  Each chunk is told once, in order. */
int spoor_verify_answer(struct spoor_run *run, struct spoor_asked *asked,
			const void *payload, size_t len);

/* What the destination has found so far; zero-initialise it. */
struct spoor_verify {
	uint64_t next; /* chunk that comes next */
	uint64_t *differ; /* chunks */
	size_t nr_differ, room_differ;
	size_t asked; /* of them, how many have been asked about */
	size_t answered;
	bool compared; /* the last chunk was */
	uint64_t *lost; /* pages, by iova */
	size_t nr_lost, room_lost;
};
/* Destination: one DIGESTS frame; after the last, asks for what differs. */
int spoor_verify_compare(struct spoor_run *run, struct spoor_verify *v,
			 const void *payload, size_t len, bool last);
/* Destination: one PAGE_DIGESTS frame. */
int spoor_verify_compare_pages(struct spoor_run *run, struct spoor_verify *v,
			       const void *payload, size_t len);
/* Is there nothing left to ask? */
bool spoor_verify_ended(const struct spoor_verify *v);
void spoor_verify_clear(struct spoor_verify *v);

/* The VMM's own checks; *ret_lost is freed by the caller. */
int spoor_verify_hook(struct spoor_run *run, struct spoor_lost **ret_lost,
		      size_t *ret_nr);
/*
 * Both findings into the run's result: pages that the hook names have its
 * writer, others "unknown".
 */
int spoor_verify_merge(struct spoor_run *run, const struct spoor_verify *v,
		       const struct spoor_lost *hook, size_t nr_hook);
/* Destination: tell the source what the result says was lost. */
int spoor_verify_tell(struct spoor_run *run);
/* Source: one LOST frame into the result. */
int spoor_verify_told(struct spoor_run *run, const void *payload, size_t len);

#endif /* SPOOR_MIGRATE_VERIFY_H */
