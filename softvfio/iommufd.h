/* SPDX-License-Identifier: MIT */
/*
 * Inside iommufd: a context (one open of /dev/iommu) and its objects.
 *
 *	device ---attachment---> HWPT ---> IOAS ---> areas
 *	emulated device ---attachment----> IOAS
 *
 * Invariant: while an IOAS has an HWPT every area in it is pinned, aligned to
 * pages and outside the reserved ranges, and has a dirty table for every HWPT
 * that can track.
 *
 * Threads: the context's lock guards the objects and is held through each
 * ioctl.  What DMA reads (the areas, their backing, their dirty tables, an
 * HWPT's tracking flag) changes only with the list's write lock as well.
 * Order: binding lock, context lock, then a device's attachment lock or a
 * list's lock.  DMA takes the last two, in that order, so the attachment lock
 * is never taken with a list locked, and nothing that DMA calls, or waits for
 * (hwpt_fault.c), takes a context's lock.
 */
#ifndef SOFTVFIO_IOMMUFD_H
#define SOFTVFIO_IOMMUFD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softvfio/area.h"
#include "softvfio/file.h"
#include "base/uapi_iommufd.h"

struct sv_device;
struct sv_space_stat;

enum iommufd_kind {
	IOMMUFD_IOAS,
	IOMMUFD_HWPT,
	IOMMUFD_DEVICE,
	IOMMUFD_ACCESS, /* an emulated device */
	IOMMUFD_FAULT,
};

/* First member of every object. */
struct iommufd_object {
	enum iommufd_kind kind;
	uint32_t id;
	unsigned int users; /* DESTROY is -EBUSY while there are any */
};

/* The object that @obj, its first member, stands for; its kind was checked. */
#define IOMMUFD_OBJECT(type, obj) ((struct type *)(void *)(obj))

struct iommufd_ioas;
struct iommufd_hwpt;

struct iommufd_ctx {
	pthread_mutex_t lock;
	struct iommufd_object **objects; /* by id - 1 */
	size_t nr_slots, nr_objects;
	bool rlimit_mode;
	struct iommufd_ioas *compat_ioas; /* IOMMU_VFIO_IOAS */
};

/* One ioctl: the argument, copied in, and where it came from. */
struct iommufd_cmd {
	struct iommufd_ctx *ctx;
	struct sv_file *file; /* whose priv it is */
	uint8_t *user;
	uint32_t user_size;
	uint32_t size; /* of the struct in u that the request names */
	union {
		struct iommu_destroy destroy;
		struct iommu_ioas_alloc ioas_alloc;
		struct iommu_ioas_allow_iovas allow;
		struct iommu_ioas_copy copy;
		struct iommu_ioas_iova_ranges ranges;
		struct iommu_ioas_map map;
		struct iommu_ioas_map_file map_file;
		struct iommu_ioas_unmap unmap;
		struct iommu_option option;
		struct iommu_vfio_ioas vfio_ioas;
		struct iommu_hwpt_alloc hwpt_alloc;
		struct iommu_hw_info hw_info;
		struct iommu_hwpt_set_dirty_tracking set_dirty;
		struct iommu_hwpt_get_dirty_bitmap get_dirty;
		struct iommu_hwpt_invalidate invalidate;
		struct iommu_fault_alloc fault_alloc;
		uint8_t raw[64];
	} u;
};

/* Copy the argument back, as much of it as the program knows; -EFAULT. */
int iommufd_respond(const struct iommufd_cmd *cmd);

/* Gives the lowest free id, from 1; -ENOMEM. */
int iommufd_object_add(struct iommufd_ctx *ctx, struct iommufd_object *obj,
		       enum iommufd_kind kind);
void iommufd_object_remove(struct iommufd_ctx *ctx, struct iommufd_object *obj);
/* NULL: no such object. */
struct iommufd_object *iommufd_object_find(const struct iommufd_ctx *ctx,
					   uint32_t id);
/* The context behind a file, NULL if the file is another kind. */
struct iommufd_ctx *iommufd_ctx_of(const struct sv_file *f);

/* --- IOAS --- */

struct iommufd_ioas {
	struct iommufd_object obj;
	struct sv_area_list list;
	bool huge; /* IOMMU_OPTION_HUGE_PAGES */
	struct iommu_iova_range *allowed; /* where AUTO may go; none: all */
	size_t nr_allowed;
	unsigned int nr_devices, nr_accesses; /* attached */
	struct iommufd_hwpt *hwpts;
	struct iommufd_hwpt *auto_hwpt; /* made by attaching to the IOAS */
};

/* What an IOAS keeps per area (sv_area.priv). */
struct ioas_area {
	bool writable; /* the memory is: copies may ask for it */
	bool file; /* pinned for good: there is no address to pin again */
	struct dirty_table *tables; /* one per HWPT that can track */
};

int iommufd_ioas_alloc(struct iommufd_cmd *cmd);
int iommufd_ioas_new(struct iommufd_ctx *ctx, struct iommufd_ioas **ret);
int iommufd_ioas_ranges(struct iommufd_cmd *cmd);
int iommufd_ioas_allow(struct iommufd_cmd *cmd);
int iommufd_option(struct iommufd_cmd *cmd);
int iommufd_vfio_ioas(struct iommufd_cmd *cmd);
struct iommufd_ioas *iommufd_ioas_find(const struct iommufd_ctx *ctx,
				       uint32_t id);
void iommufd_ioas_free(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas);

/* Who comes to an IOAS; each narrows it. */
enum ioas_joiner {
	IOAS_JOIN_NONE,
	IOAS_JOIN_HWPT, /* its aperture, pages */
	IOAS_JOIN_DEVICE, /* its reserved regions */
	IOAS_JOIN_ACCESS, /* pages */
};
/* -EADDRINUSE: what is mapped, or allowed, does not fit @joiner. */
int ioas_admit(const struct iommufd_ioas *ioas, enum ioas_joiner joiner);
/* To what addresses and lengths must be aligned as things are. */
uint64_t ioas_alignment(const struct iommufd_ioas *ioas);
/* From now on entries are 4K.  -EINVAL, -EADDRINUSE: too late for that. */
int ioas_disable_large_pages(struct iommufd_ioas *ioas);
/* Pins held for HWPTs that are all gone are given up. */
void ioas_unpin_unused(struct iommufd_ioas *ioas);

/* --- where in an IOAS: ioas_iova.c --- */

/* The ranges nothing may be mapped in, at most two. */
#define IOAS_MAX_RESERVED 2
size_t ioas_reserved(const struct iommufd_ioas *ioas, enum ioas_joiner joiner,
		     struct iommu_iova_range *ret);
/* What lies between those: one more at most. */
size_t ioas_usable(const struct iommufd_ioas *ioas,
		   struct iommu_iova_range *ret);
/* -EINVAL, -EOVERFLOW, -EEXIST */
int ioas_check_iova(const struct iommufd_ioas *ioas, uint64_t iova,
		    uint64_t length);
/* First fit; @va: what shall be mapped there.  -EOVERFLOW, -EINVAL, -ENOSPC */
int ioas_pick_iova(const struct iommufd_ioas *ioas, uint64_t va,
		   uint64_t length, uint64_t *ret_iova);

/* --- mapping: ioas_map.c --- */

int iommufd_ioas_map(struct iommufd_cmd *cmd);
int iommufd_ioas_map_file(struct iommufd_cmd *cmd);
int iommufd_ioas_copy(struct iommufd_cmd *cmd);
int iommufd_ioas_unmap(struct iommufd_cmd *cmd);
void ioas_area_free(struct sv_area *area);
/* The calls' inner parts; @flags: IOMMU_IOAS_MAP_*. */
int ioas_map_user(struct iommufd_ioas *ioas, uint32_t flags, uint64_t va,
		  uint64_t length, uint64_t *iova);
/*
 * -ENOENT: an area would be cut; those before it are gone, and counted.
 * Nothing there is 0 bytes.  -EINVAL, -EOVERFLOW
 */
int ioas_unmap_span(struct iommufd_ioas *ioas, uint64_t iova, uint64_t length,
		    uint64_t *ret_unmapped);
int ioas_unmap_all(struct iommufd_ioas *ioas, uint64_t *ret_unmapped);
/* The part of @src that is in [iova, last], to be mapped from @at on. */
struct sv_area *ioas_piece_of(const struct sv_area *src, uint64_t iova,
			      uint64_t last, uint64_t at, unsigned int prot);

/* --- VFIO's container calls on /dev/iommu: iommufd_compat.c --- */

/* -ENOTTY: not one of them. */
long iommufd_compat_ioctl(struct iommufd_ctx *ctx, unsigned long request,
			  void *arg);
/* The IOAS they mean, made if there is none. */
int iommufd_compat_ioas(struct iommufd_ctx *ctx, struct iommufd_ioas **ret);
/* So that an area may end at @iova; no area there: nothing to do.
 * -EINVAL, -ENOMEM */
int ioas_cut(struct iommufd_ioas *ioas, uint64_t iova);

/* --- HWPT --- */

struct iommufd_hwpt {
	struct iommufd_object obj;
	struct iommufd_ioas *ioas;
	struct iommufd_hwpt *next; /* of the same IOAS */
	bool automatic; /* goes with its last device */
	bool dirty; /* can track */
	bool tracking; /* guarded by the IOAS' list lock */
	uint64_t max_page; /* largest entry, bytes */
	struct sv_space_stat *stat; /* NULL unless dirty */
	struct hwpt_faults
		*faults; /* NULL: it has dirty bits, or is not dirty */
};

int iommufd_hwpt_alloc(struct iommufd_cmd *cmd);
int iommufd_hwpt_set_dirty(struct iommufd_cmd *cmd);
int iommufd_hwpt_get_dirty(struct iommufd_cmd *cmd);
struct iommufd_hwpt *iommufd_hwpt_find(const struct iommufd_ctx *ctx,
				       uint32_t id);
/*
 * A page table for @dev over @ioas, filled.  -EADDRINUSE, -EFAULT (memory
 * that cannot be pinned), -ENOMEM.
 */
int iommufd_hwpt_new(struct iommufd_ctx *ctx, struct iommufd_ioas *ioas,
		     const struct sv_device *dev, bool dirty, bool automatic,
		     struct iommufd_hwpt **ret);
void iommufd_hwpt_free(struct iommufd_ctx *ctx, struct iommufd_hwpt *hwpt);

/* --- dirty bits of a page table: hwpt_dirty.c --- */

/* An area is cut by alignment into at most 4K, 2M, 1G, 2M, 4K entries. */
#define DIRTY_MAX_SEGMENTS 5

struct dirty_segment {
	uint64_t iova, last;
	unsigned int shift; /* of its entries */
	size_t first; /* bit of its first entry */
};

struct dirty_table {
	struct dirty_table *next;
	const struct iommufd_hwpt *hwpt;
	unsigned int nr_segments;
	struct dirty_segment segments[DIRTY_MAX_SEGMENTS];
	size_t nr_words;
	atomic_ullong words[]; /* one bit per entry */
};

/* List write-locked, or the area is not in it.  -ENOMEM */
int dirty_table_add(struct sv_area *area, const struct iommufd_hwpt *hwpt);
void dirty_table_remove(struct sv_area *area, const struct iommufd_hwpt *hwpt);
void dirty_tables_free(struct ioas_area *ia);
/* List locked.  NULL: this HWPT cannot track. */
struct dirty_table *dirty_table_find(const struct sv_area *area,
				     const struct iommufd_hwpt *hwpt);
/* List write-locked.  What was marked is discarded, and counted so. */
void dirty_table_clear(struct dirty_table *t);
/* List read-locked: the entry of @iova was written, or may be from now on. */
void dirty_mark(const struct iommufd_hwpt *hwpt, const struct sv_area *area,
		uint64_t iova);
/* List read-locked: is it marked, or is nobody asking? */
bool dirty_marked(const struct iommufd_hwpt *hwpt, const struct sv_area *area,
		  uint64_t iova);

/* --- instead of dirty bits, write faults: hwpt_fault.c --- */

struct hwpt_faults;

/* The handler; its HWPT is not anybody's yet, and no more.  -ENOMEM */
int hwpt_fault_start(struct iommufd_hwpt *hwpt);
void hwpt_fault_stop(struct iommufd_hwpt *hwpt);
/* No list locked: @iova cannot be written; returns when it was seen to. */
void hwpt_fault_write(const struct iommufd_hwpt *hwpt, uint64_t iova);
/* No list locked: entries were write-protected; until no write is behind. */
void hwpt_fault_drain(const struct iommufd_hwpt *hwpt);

/* --- what only nested page tables need: fault.c --- */

int iommufd_fault_alloc(struct iommufd_cmd *cmd);
void iommufd_fault_free(struct iommufd_ctx *ctx, struct iommufd_object *obj);
int iommufd_hwpt_invalidate(struct iommufd_cmd *cmd);

/* --- devices: iommufd_device.c --- */

int iommufd_get_hw_info(struct iommufd_cmd *cmd);
struct sv_device *iommufd_device_find(const struct iommufd_ctx *ctx,
				      uint32_t id);

#endif /* SOFTVFIO_IOMMUFD_H */
