/* SPDX-License-Identifier: MIT */
/*
 * One configured device of this process, from the kernel's side: who has it
 * open, what it is attached to, its migration state.  The device itself is a
 * model; this file's code is its host.
 *
 * Threads: the fields below are guarded as each says.  Order of locks,
 * outermost first: a device's open lock, held over sv_iommufd_bind(), _attach,
 * _detach and _unbind; the IOMMU side's; the attachment lock; a space's, as
 * DMA takes them.  So sv_device_open_group() is called without a lock that
 * those four take, and sv_device_set_attachment() without a space's.
 */
#ifndef SOFTVFIO_DEVICE_H
#define SOFTVFIO_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/model.h"
#include "softvfio/config.h"
#include "softvfio/file.h"
#include "softvfio/iommu.h"

struct sv_device {
	const struct sv_config_device *config; /* immutable */
	struct model *model; /* made at first open, lives to the exit */
	/*
	 * Set by the IOMMU side while attached, NULL else; DMA reads it under
	 * sv_device_attachment_lock (a rwlock in device.c).
	 */
	struct sv_attachment *attachment;
	/* IOMMU side's own: iommufd binding or group, under its locks. */
	void *binding;
	uint32_t devid;
	/* Device side's own (struct sv_device_state in device.c). */
	void *state;
};

/* By index, by "0000:01:00.0", by model name; NULL: none. */
struct sv_device *sv_device_by_index(unsigned int index);
struct sv_device *sv_device_by_address(const char *address);
struct sv_device *sv_device_by_name(const char *name);

/* open("/dev/vfio/devices/vfioN"): usable after BIND. */
int sv_device_open_cdev(struct sv_device *dev, struct sv_file **ret);
/* VFIO_GROUP_GET_DEVICE_FD: usable at once.  -EBUSY as the kernel says.
 * @iommufd: what the group is in, NULL: a container. */
int sv_device_open_group(struct sv_device *dev, struct sv_file *iommufd,
			 struct sv_file **ret);

/*
 * The shim, once it has mapped what a device file's mmap op named: which BAR
 * is that?  -EINVAL: not a device's file, or no such mapping was allowed.  To
 * be handed to sv_note_bar_mapping().
 */
int sv_device_mapped_bar(struct sv_file *f, size_t len, off_t off,
			 struct sv_bar_mapping *ret);

#define SV_CONFIG_LEN 256u

/* A PCI device that nobody has open, as sysfs shows it. */
struct sv_pci_at_rest {
	uint8_t config[SV_CONFIG_LEN]; /* its BARs without addresses */
	uint64_t bar_len[MODEL_NR_BARS];
};

void sv_pci_at_rest(const struct sv_config_device *dev,
		    struct sv_pci_at_rest *ret);

/* Tests, by way of the shim: the device fails where it stands. */
void sv_device_force_error(struct sv_device *dev);

/* The IOMMU side attaches and detaches: waits for DMA in flight. */
void sv_device_set_attachment(struct sv_device *dev, struct sv_attachment *a);

/* Another device's DMA into this one's BAR memory; false: it is stopped, a
 * violation was recorded (the bytes land all the same, as on hardware). */
int sv_device_peer_write(struct sv_device *dev, unsigned int bar,
			 uint64_t offset, const void *buf, size_t len);
int sv_device_peer_read(struct sv_device *dev, unsigned int bar,
			uint64_t offset, void *buf, size_t len);

/*
 * SOFTVFIO_STATS: written at every entry to STOP or STOP_COPY and at exit;
 * the first failure is told on stderr.
 */
void sv_stats_write(void);

/* Lost pages that are named; all are counted. */
#define SV_LOST_MAX 1024u

/* What a device's migrations came to. */
struct sv_figures {
	uint64_t state_saved, state_loaded; /* bytes, of the last session */
	uint64_t report_ns; /* of CPU, in REPORT */
	uint64_t irqs; /* eventfds signalled */
	struct {
		uint64_t nr; /* how often */
		struct model_counters at; /* the last time */
	} stopped;
	/* truth.c */
	uint64_t loaded; /* states that were taken over */
	bool ran; /* the last one did */
	bool ran_on; /* it ran here again after its state was saved */
	uint64_t checks, checked; /* of the last one; pages */
	uint64_t lost, overwritten; /* of those */
	uint64_t check_at, check_ns; /* CLOCK_MONOTONIC; how long it took */
	size_t nr_named;
	uint64_t lost_at[SV_LOST_MAX]; /* the lowest of them, ascending */
};
void sv_device_figures(struct sv_device *dev, struct sv_figures *ret);

/*
 * Holds a device's truth against memory; the number of pages lost.  What it
 * finds counts as the check of a state that was loaded and not run yet.
 */
uint64_t sv_truth_check(struct sv_device *dev,
			void (*lost)(void *ctx, uint64_t iova), void *ctx);

struct sv_state_seen {
	uint64_t ns; /* when it was entered, CLOCK_MONOTONIC */
	uint8_t state; /* enum vfio_device_mig_state */
};

/* The states a device has been in, in order; how many, which may exceed cap. */
size_t sv_device_states(struct sv_device *dev, struct sv_state_seen *ret,
			size_t cap);

#endif /* SOFTVFIO_DEVICE_H */
