/* SPDX-License-Identifier: MIT */
/* A file of counters that SOFTVFIO_STATS named, as softvfio verify reads it. */
#ifndef SOFTVFIO_TOOL_STATS_FILE_H
#define SOFTVFIO_TOOL_STATS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jpath.h"

struct sf_counters {
	uint64_t dma_writes, dma_bytes, marks, reports, pages_reported;
	uint64_t discarded, dropped, faults, violations, backlog_dropped;
	uint64_t peer_writes, late_writes, pages_saved;
};

struct sf_truth {
	uint64_t checks, checked, pages_lost, overwritten;
	uint64_t check_at, check_ns;
	uint64_t *lost; /* IOVAs of pages */
	size_t nr_lost;
};

struct sf_device {
	char name[64];
	struct sf_counters now, stopped;
	uint64_t times_stopped;
	uint64_t report_ns, irqs;
	uint64_t bytes_saved, bytes_loaded;
	uint64_t loaded;
	bool ran, ran_on;
	struct sf_truth truth;
	uint8_t *states; /* indices of sf_states */
	uint64_t *entered; /* CLOCK_MONOTONIC ns, of each */
	size_t nr_states, nr_entered;
};

struct sf_space {
	char name[64];
	uint64_t marks, dirty_reads, pages_reported, discarded, write_faults;
	uint64_t read_ns;
};

struct stats_file {
	struct sf_device *devices;
	size_t nr_devices;
	struct sf_space *spaces;
	size_t nr_spaces;
};

/* Names of states by their numbers, as in enum vfio_device_mig_state. */
extern const char *const sf_states[];
#define SF_ERROR    0u
#define SF_RESUMING 4u

/*
 * -EINVAL: @error names the file, and in it the line or the key.  Free with
 * stats_file_free(), which takes NULL.
 */
int stats_file_load(struct stats_file **ret, const char *path,
		    struct jp_error *error);
struct stats_file *stats_file_free(struct stats_file *f);
/* NULL: none of that name. */
const struct sf_device *stats_file_device(const struct stats_file *f,
					  const char *name);

#endif /* SOFTVFIO_TOOL_STATS_FILE_H */
