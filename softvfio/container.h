/* SPDX-License-Identifier: MIT */
/*
 * Groups, containers and type1.  A group has one device here.  A container
 * gets its type once it has a group, and loses it, with every mapping, when
 * its last group leaves.
 *
 * Locks, outermost first: sv_vfio_lock (who is in which container; held for
 * every call that changes that), the device's attachment lock, the area
 * list's rwlock (mappings, dirty bits and pins; as Linux has one mutex for
 * them, whatever changes them takes it for writing).
 */
#ifndef SOFTVFIO_CONTAINER_H
#define SOFTVFIO_CONTAINER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "softvfio/area.h"
#include "softvfio/device.h"
#include "softvfio/space_stats.h"

#define SV_TYPE1_MAX_MAPPINGS 65535u

extern pthread_mutex_t sv_vfio_lock;

struct sv_container;

struct sv_group {
	struct sv_attachment attachment; /* first: mark() finds the group */
	struct sv_device *dev;
	struct sv_file *file; /* while open, not a reference */
	struct sv_container *container;
	struct sv_file *iommufd; /* instead of one: a reference */
	unsigned int nr_device_files; /* each holds a reference to file */
	unsigned int nr_cdevs; /* bound, or just binding: file stays NULL */
	bool attached; /* to a typed container */
	bool pinned_scope; /* reports what it dirties by pinning */
	struct sv_group *next; /* in the container */
};

struct sv_container {
	unsigned int refs; /* its file, each group */
	/* 0, VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_NOIOMMU_IOMMU */
	unsigned int type;
	struct sv_group *groups;
	struct sv_area_list list;
	bool tracking;
	bool had_iommu; /* an IOMMU was attached: ranges are told */
	struct sv_space_stat *stat; /* from the first START on */
	unsigned int number;
};

/* What one group has pinned of an area. */
struct sv_type1_pins {
	struct sv_type1_pins *next;
	const struct sv_group *group;
	bool late; /* they dirty when they end, not while they last */
	uint16_t count[]; /* per page */
};

/* What type1 keeps per area: struct sv_area.priv. */
struct sv_type1_dma {
	/* One bit a page, one word more than needed: see type1_dirty.c. */
	uint64_t *bitmap; /* NULL while nothing tracks */
	uint64_t nr_pages;
	struct sv_type1_pins *pins;
	bool vaddr_invalid;
};

static inline bool sv_group_physical(const struct sv_group *g)
{
	return !g->dev->config->emulated;
}

/* Is an IOMMU-backed group in it?  Lock held. */
bool sv_container_physical(const struct sv_container *c);
/* Does some group not tell what it writes?  Lock held. */
bool sv_container_all_dirty(const struct sv_container *c);

void sv_container_put(struct sv_container *c); /* sv_vfio_lock held */
struct sv_container *sv_container_of_fd(int fd, struct sv_file **ret_file);
/* sv_vfio_lock held. */
int sv_container_add_group(struct sv_container *c, struct sv_group *g);
void sv_container_remove_group(struct sv_container *c, struct sv_group *g);

/* type1.c; sv_vfio_lock held. */
int sv_type1_attach(struct sv_container *c, struct sv_group *g);
void sv_type1_detach(struct sv_container *c, struct sv_group *g);
void sv_type1_release(struct sv_container *c); /* every mapping goes */
/* type1.c; the ioctls of a typed container. */
long sv_type1_get_info(struct sv_container *c, void *arg);
long sv_type1_map(struct sv_container *c, void *arg);
long sv_type1_unmap(struct sv_container *c, void *arg);
void sv_type1_free_area(struct sv_container *c, struct sv_area *area);

/* type1_dirty.c */
long sv_type1_dirty_pages(struct sv_container *c, void *arg);
/* List write-locked. */
int sv_type1_track_area(struct sv_container *c, struct sv_area *area);
/* What was marked and not reported is discarded, and counted so. */
void sv_type1_untrack_area(struct sv_container *c, struct sv_area *area);
int sv_type1_check_bitmap(uint64_t nr_pages, uint64_t bytes);
int sv_type1_report_area(struct sv_container *c, struct sv_area *area,
			 uint64_t base, uint64_t user_bitmap);
void sv_type1_dirty_everything(struct sv_container *c);
void sv_type1_set(struct sv_container *c, struct sv_type1_dma *dma,
		  uint64_t page);

/* type1_pin.c */
extern const struct sv_attachment_ops sv_type1_attachment_ops;
/* List write-locked: set the bits of what is pinned. */
void sv_type1_populate(struct sv_container *c, struct sv_area *area);
/* List write-locked, tracking: the area goes, and its pins end with it. */
void sv_type1_end_pins(struct sv_container *c, struct sv_area *area);
/*
 * List write-locked: the area goes, and nobody tells the drivers that pinned
 * in it.  An IOMMU-backed device may go on writing there, unreported, once
 * something is mapped there again: its group has no scope until it pins anew.
 */
void sv_type1_lose_pins(struct sv_container *c, struct sv_area *area);
void sv_type1_free_pins(struct sv_type1_dma *dma);

#endif /* SOFTVFIO_CONTAINER_H */
