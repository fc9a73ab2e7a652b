/* SPDX-License-Identifier: MIT */
/*
 * The guest's memory map: which IOVAs (= guest physical addresses) are backed
 * by which bytes of this process.  It is what a migration sends, what spaces
 * map and what the process tracker watches.
 *
 * Threads: build it from one thread; afterwards it is read only.
 */
#ifndef SPOOR_MEMORY_H
#define SPOOR_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>

#ifdef __cplusplus
extern "C" {
#endif

struct spoor_memory;

/* Devices and guest may only read it. */
#define SPOOR_REGION_READONLY (1u << 0)

/* One region.  hva..hva+len stays mapped as long as the memory uses it. */
struct spoor_region {
	struct spoor_range range; /* guest addresses, 4 KiB aligned */
	void *hva; /* where the guest's CPUs see it; 4 KiB aligned */
	int fd; /* backing file (memfd), mapped shared at hva, or -1 */
	uint64_t offset; /* of the region in @fd, bytes */
	unsigned int flags; /* SPOOR_REGION_* */
};

/**
 * spoor_memory_new() - an empty memory map
 * @ret: on success, the memory; release with spoor_memory_free().
 *
 * Return: 0, or -ENOMEM.
 */
SPOOR_API SPOOR_NODISCARD int spoor_memory_new(struct spoor_memory **ret);

/**
 * spoor_memory_add() - add a region
 * @m:      memory.
 * @region: copied; its hva is borrowed until spoor_memory_free(); of its fd
 *          another descriptor is kept (and its file offset moves).
 *
 * If the region has a backing file it is mapped a second time: migration
 * reads and writes through that alias, so its own accesses are never taken
 * for the guest's.
 *
 * Return: 0, or
 *   -EINVAL  empty, unaligned, past 2^64, unknown flags, or past the end of
 *            the backing file
 *   -EEXIST  overlaps a region that is there, in guest or host addresses
 *   -ENOMEM  out of memory or address space
 *   another  errno of mmap(2) on the backing file
 */
SPOOR_API SPOOR_NODISCARD int
spoor_memory_add(struct spoor_memory *m, const struct spoor_region *region);

/**
 * spoor_memory_regions() - the regions, sorted by address
 * @m:   memory.
 * @ret: set to the first; borrowed, valid until the next add.
 *
 * Return: their number.
 */
SPOOR_API size_t spoor_memory_regions(const struct spoor_memory *m,
				      const struct spoor_region **ret);

/**
 * spoor_memory_size() - bytes in all regions together
 * @m: memory.
 */
SPOOR_API uint64_t spoor_memory_size(const struct spoor_memory *m);

/**
 * spoor_memory_at() - where migration reads and writes a range
 * @m:     memory.
 * @range: bytes; must lie in one region.
 *
 * Return: an address in the alias mapping (or in the region itself if it has
 * no backing file), or NULL if @range does not lie in one region.
 */
SPOOR_API void *spoor_memory_at(const struct spoor_memory *m,
				const struct spoor_range *range);

/**
 * spoor_memory_free() - forget the map; the caller's memory is untouched
 * @m: memory, or NULL.
 *
 * Return: NULL.
 */
SPOOR_API struct spoor_memory *spoor_memory_free(struct spoor_memory *m);

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_MEMORY_H */
