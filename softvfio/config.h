/* SPDX-License-Identifier: MIT */
/*
 * What this process's softvfio has: its devices and the kernel it plays.
 * Parsed once from the environment; read only afterwards.
 */
#ifndef SOFTVFIO_CONFIG_H
#define SOFTVFIO_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/model.h"

enum sv_kernel {
	SV_KERNEL_6_1,
	SV_KERNEL_6_12,
	SV_KERNEL_LATEST,
};

#define SV_MIG_STOP_COPY 1u
#define SV_MIG_P2P	 2u
#define SV_MIG_PRE_COPY	 4u

/* What a device is made to fail at: its Nth such call; 0: none. */
enum sv_call {
	SV_CALL_LOG_START,
	SV_CALL_LOG_REPORT, /* and those after it, until the log is stopped */
	SV_CALL_STATE_READ,
	SV_CALL_STATE_WRITE,
	/*
	 * Running with a state that was loaded; again whenever it is asked to,
	 * until it is reset or loaded again.
	 */
	SV_CALL_RUN,
	SV_NR_CALLS
};

struct sv_config_device {
	struct model_config model;
	unsigned int index; /* /dev/vfio/devices/vfio{index}, group {group} */
	unsigned int group;
	char address[64]; /* "0000:01:00.0" */
	unsigned int migration; /* SV_MIG_* */
	bool emulated; /* vfio_register_emulated_iommu_dev(): mdev */
	bool noiommu;
	bool iommu_dirty; /* its IOMMU has dirty bits */
	bool iommu_faults; /* those stand for write faults, not for bits */
	uint64_t iommu_page; /* largest I/O page table entry, bytes */
	uint32_t fail[SV_NR_CALLS];
};

struct sv_config {
	enum sv_kernel kernel;
	struct sv_config_device *devices;
	unsigned int nr_devices;
	const char *stats; /* SOFTVFIO_STATS, or NULL */
};

/*
 * The configuration, parsed at first use; NULL if there is none (inert).  A
 * malformed one is reported on stderr and ends the process with 2: a program
 * must not run on half a machine.
 */
const struct sv_config *sv_config(void);

/*
 * The parser itself.  0, or -EINVAL with the reason in @why (one line, naming
 * line and key), or -ENOMEM; the array is the caller's to free.
 */
int sv_config_parse(const char *text, struct sv_config_device **ret,
		    unsigned int *ret_nr, char *why, size_t why_size);

#endif /* SOFTVFIO_CONFIG_H */
