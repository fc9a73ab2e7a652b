/* SPDX-License-Identifier: MIT */
/*
 * Memory out and in: runs of pages, copied once on each side.
 *
 * Threads: the run's own.
 */
#ifndef SPOOR_MIGRATE_PAGES_H
#define SPOOR_MIGRATE_PAGES_H

#include <stdint.h>

#include <spoor/bitmap.h>

#include "migrate/heat.h"
#include "migrate/machine_priv.h"

struct spoor_sender {
	struct spoor_run *run;
	uint8_t *copy; /* SPOOR_RUN_MAX bytes */
	struct spoor_range zero; /* a run of zeroes not sent yet; len 0: none */
	uint64_t data_pages, zero_pages;
	struct spoor_heat heat; /* of what was sent since it was cooled */
	uint64_t left; /* bytes, for PROGRESS */
	uint64_t told_ns; /* when PROGRESS was last told */
};

int spoor_sender_init(struct spoor_sender *s, struct spoor_run *run);
void spoor_sender_clear(struct spoor_sender *s);
/* Send every page that is marked; the set is left as it is. */
int spoor_sender_send(struct spoor_sender *s,
		      const struct spoor_bitmap_set *set);

/* Make a run zero that lies in one region; pages that are stay untouched. */
void spoor_pages_clear(void *at, uint64_t len);
/* Is this page all zeroes? */
bool spoor_page_is_zero(const void *page);

#endif /* SPOOR_MIGRATE_PAGES_H */
