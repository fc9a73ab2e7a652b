/* SPDX-License-Identifier: MIT */
/*
 * A DMA address space and its two backends (iommufd.c, type1.c) behind a small
 * ops struct; space.c, map.c and peer.c are what they share.
 */
#ifndef SPOOR_IOMMU_SPACE_PRIV_H
#define SPOOR_IOMMU_SPACE_PRIV_H

#include <spoor/space.h>

#include "base/range.h"

struct spoor_space;

struct spoor_space_ops {
	/* Open the kernel's file; on failure nothing is left open. */
	int (*open)(struct spoor_space *s);
	/* Gives the device its fd.  On failure nothing is attached or open. */
	int (*attach)(struct spoor_space *s, struct spoor_device *dev);
	/* Take the device out and close its fd. */
	void (*detach)(struct spoor_space *s, struct spoor_device *dev);
	int (*map)(struct spoor_space *s, const struct spoor_range *r,
		   void *hva, unsigned int flags);
	int (*unmap)(struct spoor_space *s, const struct spoor_range *r);
	void (*close)(struct spoor_space *s);
};

extern const struct spoor_space_ops spoor_space_iommufd_ops;
extern const struct spoor_space_ops spoor_space_type1_ops;

/* One call's mapping of memory: what the kernel calls an area, or a dma. */
struct spoor_space_mapping {
	struct spoor_range range;
	void *hva;
	unsigned int flags; /* SPOOR_REGION_* */
};

struct spoor_space_peer {
	struct spoor_device *dev;
	unsigned int index;
	struct spoor_range range;
	void *hva;
	bool blocked; /* taken out for now */
};

/* A page table made here, with dirty bits. */
struct spoor_space_hwpt {
	uint32_t id;
	bool tracking; /* a tracker has it: bits are read once only */
};

/* type1: a group in this container; the fd holds it there. */
struct spoor_space_group {
	int group;
	int fd;
	unsigned int users; /* devices of the group that are attached */
};

struct spoor_space {
	const struct spoor_space_ops *ops;
	char name[64];
	struct spoor_space_opts opts;
	int fd; /* iommufd or container */
	uint32_t ioas_id; /* iommufd */
	struct spoor_space_hwpt *hwpts; /* iommufd */
	size_t nr_hwpts;
	struct spoor_space_group *groups; /* type1 */
	size_t nr_groups;
	bool iommu_set; /* type1: VFIO_SET_IOMMU was done */
	bool tracking; /* type1: a tracker has the container's dirty log */
	struct spoor_device **devices; /* attached, in order */
	size_t nr_devices;
	/* Sorted by address.  Peers' BARs are not among them. */
	struct spoor_space_mapping *mappings;
	size_t nr_mappings, room_mappings;
	struct spoor_space_peer *peers;
	size_t nr_peers;
};

/* The device goes away: forget it, and its BARs wherever they are mapped.
 * For struct spoor_device.let_go. */
void spoor_space_forget(struct spoor_device *dev);

/* The space goes away: forget the BARs mapped in it. */
void spoor_space_drop_peers(struct spoor_space *s);

/* Take the peers' BARs that lie in @r out; 0 or -errno. */
int spoor_space_unmap_peers(struct spoor_space *s, const struct spoor_range *r);

/* Is anything of @r mapped, or set aside for a blocked peer? */
bool spoor_space_is_mapped(const struct spoor_space *s,
			   const struct spoor_range *r);

/* The first mapping that ends at or after @iova; nr_mappings if none. */
size_t spoor_space_find_mapping(const struct spoor_space *s, uint64_t iova);

/* The page table @id if it keeps dirty bits, or NULL. */
struct spoor_space_hwpt *spoor_space_find_hwpt(struct spoor_space *s,
					       uint32_t id);

#endif /* SPOOR_IOMMU_SPACE_PRIV_H */
