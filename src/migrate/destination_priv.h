/* SPDX-License-Identifier: MIT */
/*
 * The destination's side: destination.c is its frame, receive.c takes memory
 * and state in.
 *
 * Threads: the run's own.
 */
#ifndef SPOOR_MIGRATE_DESTINATION_PRIV_H
#define SPOOR_MIGRATE_DESTINATION_PRIV_H

#include <spoor/bitmap.h>

#include "migrate/machine_priv.h"
#include "migrate/verify.h"

struct spoor_destination {
	struct spoor_run *run;
	struct spoor_bitmap_set *received; /* pages that came at least once */
	uint64_t data_pages, zero_pages;
	struct spoor_wbuf section;
	bool section_ended;
	bool verify; /* digests will come */
};

int spoor_destination_init(struct spoor_destination *d);
void spoor_destination_clear(struct spoor_destination *d);
/* Everything up to COMPLETE. */
int spoor_destination_receive(struct spoor_destination *d);
/* The VMM's own state; every device to STOP, which accepts its state. */
int spoor_destination_load(struct spoor_destination *d);
/* A frame that has no place here: ABORT says why, others are an error. */
int spoor_destination_unexpected(struct spoor_destination *d,
				 const struct spoor_frame *f,
				 const uint8_t *payload);

#endif /* SPOOR_MIGRATE_DESTINATION_PRIV_H */
