/* SPDX-License-Identifier: MIT */
/*
 * A VFIO device: what sysfs told, the fd once attached, the data session.
 * The space that attaches a device fills in fd and, for iommufd, devid and
 * page table.
 */
#ifndef SPOOR_DEVICE_DEVICE_PRIV_H
#define SPOOR_DEVICE_DEVICE_PRIV_H

#include <spoor/device.h>

struct spoor_space;

/* A BAR mapped into this process. */
struct spoor_device_map {
	unsigned int index;
	void *addr;
	size_t len;
};

/* The eventfds of one interrupt index, as the kernel has them. */
struct spoor_device_irq {
	int32_t *fds; /* borrowed; -1: none */
	unsigned int count;
	bool enabled;
};

#define SPOOR_DEVICE_NR_IRQS 16u

struct spoor_device {
	char name[64];
	char address[64];
	char cdev[64]; /* "" if none */
	char sysfs[256];
	int group; /* -1 if none */
	bool noiommu;
	bool p2p_stops_all;
	bool adopted; /* fd is the caller's */

	int fd; /* -1 until attached */
	int data_fd; /* migration data session, -1 if none */
	unsigned int migration; /* SPOOR_MIGRATION_*, once attached */
	unsigned int nr_regions, nr_irqs;
	bool can_reset;

	struct spoor_space *space; /* NULL until attached */
	uint32_t devid; /* iommufd */
	uint32_t pt_id; /* HWPT or IOAS it is attached to */

	struct spoor_device_map *maps;
	size_t nr_maps;
	struct spoor_device_irq irqs[SPOOR_DEVICE_NR_IRQS];
	/* Spaces that map its BARs for peers: they must let go of it first. */
	struct spoor_space **reached_by;
	size_t nr_reached_by;
	/* Set by the spaces that use it: they forget it before it closes. */
	void (*let_go)(struct spoor_device *dev);
};

/* Fill in address, cdev, sysfs, group and noiommu from what @spec names. */
int spoor_device_discover(struct spoor_device *dev, const char *spec);

/* After the fd is there: GET_INFO and the migration feature. */
int spoor_device_learn(struct spoor_device *dev);

/*
 * VFIO_DEVICE_FEATURE: @flags with the feature's number, @data and @len its
 * payload (at most 64 bytes), copied in and out.  Returns 0 or -errno, without
 * error text.
 */
int spoor_device_feature(struct spoor_device *dev, uint32_t flags, void *data,
			 size_t len);

/* 0, or -ENODEV with text: what @what needs is a device that is attached. */
int spoor_device_need_fd(const struct spoor_device *dev, const char *what);

/* What the file ends hold: mappings and interrupts; the fd is closing. */
void spoor_device_unmap_all(struct spoor_device *dev);
void spoor_device_forget_irqs(struct spoor_device *dev);

#endif /* SPOOR_DEVICE_DEVICE_PRIV_H */
