/* SPDX-License-Identifier: MIT */
/*
 * Where in memory a round's pages lie, coarsely: counts for ROUND events.
 *
 * Counted while the pages are sent, so that it costs no pass of its own: the
 * last round is part of the downtime.
 *
 * Threads: the run's own.
 */
#ifndef SPOOR_MIGRATE_HEAT_H
#define SPOOR_MIGRATE_HEAT_H

#include <stddef.h>
#include <stdint.h>

#include <spoor/bitmap.h>
#include <spoor/migration.h>

/* Buckets, unless there are more regions than that. */
#define SPOOR_HEAT_MAX 256u

struct spoor_heat {
	struct spoor_event_area *areas; /* one a region */
	size_t nr_areas;
	uint64_t *pages; /* all of theirs */
	size_t nr_pages;
	unsigned int shift; /* log2 of a bucket's bytes */
};

/* For the regions of a set whose pages have 4 KiB; 0 or -ENOMEM. */
int spoor_heat_init(struct spoor_heat *h, const struct spoor_bitmap_set *set);
void spoor_heat_clear(struct spoor_heat *h);
/* A run of pages inside region @area; not initialised, it counts nothing. */
void spoor_heat_count(struct spoor_heat *h, size_t area,
		      const struct spoor_range *run);
/* Every count to 0. */
void spoor_heat_cool(struct spoor_heat *h);

#endif /* SPOOR_MIGRATE_HEAT_H */
