/* SPDX-License-Identifier: MIT */
/*
 * softvfio's own interface, for the command and for tests: what the kernel
 * would never tell.  VMMs do not need it: they open /dev/vfio and /dev/iommu.
 *
 * Configuration comes in the environment, SOFTVFIO_CONFIG: one device a line,
 * "device key=value key=value ...", sizes in bytes, values percent-encoded.
 * `softvfio run` and `spoor` write it from a machine file; see
 * docs/softvfio.md.  Without it the library is inert.
 *
 * SOFTVFIO_STATS names the counters' file, SOFTVFIO_KERNEL ("6.1", "6.12",
 * "latest") whose answers are given where kernels differ.
 */
#ifndef SOFTVFIO_SOFTVFIO_H
#define SOFTVFIO_SOFTVFIO_H

#include <stddef.h>
#include <stdint.h>

#define SOFTVFIO_API __attribute__((visibility("default")))

/* Number of configured devices; 0: the library is inert. */
SOFTVFIO_API int softvfio_nr_devices(void);

struct softvfio_lost {
	char writer[64]; /* device name */
	uint64_t iova, len; /* one 4 KiB page */
};

/*
 * Truth: compare every page's last write, as each device's state carries it,
 * with memory.  Only meaningful once all devices are stopped.  Fills at most
 * cap entries; returns the number of pages lost (may exceed cap) or -errno.
 * Who never asks is asked for: when the first device runs whose state was
 * loaded since, and the counters' file says what was found.
 */
SOFTVFIO_API long softvfio_truth_check(struct softvfio_lost *ret, size_t cap);

struct softvfio_counters {
	uint64_t dma_writes, dma_bytes, marks, reports, pages_reported;
	uint64_t discarded, dropped, backlog_dropped, faults, violations;
	uint64_t peer_writes; /* of others, into its BAR memory */
};
SOFTVFIO_API int softvfio_device_counters(const char *device,
					  struct softvfio_counters *ret);

/* Write SOFTVFIO_STATS now. */
SOFTVFIO_API int softvfio_write_stats(void);

/* Notes of devices ("nic0: UDP port 40123"), oldest first; NULL: none left.
 * The caller frees it. */
SOFTVFIO_API char *softvfio_next_note(void);

/* Tests: let a device write, from the calling thread, as its DMA would. */
SOFTVFIO_API int softvfio_dma_write(const char *device, uint64_t iova,
				    const void *buf, size_t len);
SOFTVFIO_API int softvfio_dma_read(const char *device, uint64_t iova, void *buf,
				   size_t len);
/* Tests: the nth next change of state of a device (1: the next) fails with
 * errno err; with to_error the device is in ERROR afterwards.  n 0: at once
 * (to_error only). */
SOFTVFIO_API int softvfio_fail_state(const char *device, unsigned int n,
				     int err, int to_error);
/* Tests: the nth next REPORT of a device fails with -EIO, sticky. */
SOFTVFIO_API int softvfio_fail_report(const char *device, unsigned int n);

#endif /* SOFTVFIO_SOFTVFIO_H */
