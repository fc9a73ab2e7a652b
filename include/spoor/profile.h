/* SPDX-License-Identifier: MIT */
/*
 * What a host's trackers cost, and how fast its devices and CPUs write: what
 * `spoor bench` measures, what a plan is predicted from.
 *
 * Every figure says where it comes from.  Software measures software: what
 * hardware costs is measured on hardware, or entered as an assumption.
 *
 * Plain data: whoever fills a profile in owns its arrays.
 */
#ifndef SPOOR_PROFILE_H
#define SPOOR_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>
#include <spoor/tracker.h>

#ifdef __cplusplus
extern "C" {
#endif

enum spoor_origin {
	SPOOR_UNMEASURED = 0, /* not there: the other members are 0 */
	SPOOR_ASSUMED = 1, /* somebody's figure */
	SPOOR_MEASURED_SW = 2, /* of software: softvfio, the CPU's tracker */
	SPOOR_MEASURED_HW = 3, /* of a real device or IOMMU */
};

/* A figure; the unit is in the name of the member that holds it. */
struct spoor_figure {
	double median, min, max;
	unsigned int samples;
	enum spoor_origin origin;
};

/* So many bytes are reported dirty when so long after a read it is read again */
struct spoor_dirty_point {
	uint64_t interval_ns;
	struct spoor_figure bytes;
	struct spoor_figure runs; /* pieces they lie in, clean pages between */
	/* Of them, in pages of zeroes, which are not sent: pinned and never
	 * written, or beside what was, in a large page. */
	struct spoor_figure zero_share;
};

/* A tracker at one of its page sizes. */
struct spoor_profile_page {
	uint64_t page_size; /* bytes, as started */
	struct spoor_figure start_ns, stop_ns;
	struct spoor_figure
		read_clean_ns; /* all of it, nothing written since */
	/* More for each dirty page (of page_size), where they lie scattered. */
	struct spoor_figure read_page_ns;
	struct spoor_figure read_run_ns; /* the same where they lie together */
	/*
	 * Reported by each read while everything stands still, though nothing
	 * was written: what is pinned.
	 */
	struct spoor_figure still_bytes;
	struct spoor_figure digest_ns; /* then to take the bitmap and walk it */
	/* Of what it covers, tracked against not: 0.07 is seven hundredths. */
	struct spoor_figure slowdown; /* of the work done in a second */
	struct spoor_figure delay; /* of a request's median time */
	struct spoor_dirty_point *dirty; /* rising intervals */
	size_t nr_dirty;
};

struct spoor_profile_tracker {
	char name[160]; /* "nic0.device", "main.iommu", "cpu.process" */
	enum spoor_tracker_kind kind;
	/* What it covers works on so much, says the machine; 0: it does not. */
	uint64_t set_bytes;
	struct spoor_profile_page *pages; /* rising sizes */
	size_t nr_pages;
	/*
	 * Of a space's tracker: the devices that were attached to the space
	 * when it was measured; none: those that are there as the machine is.
	 * One name may be there several times, each with other devices.
	 */
	char (*attached)[64];
	size_t nr_attached;
};

struct spoor_profile_device {
	char name[64];
	uint64_t reach_bytes; /* of memory, that it may write */
	struct spoor_figure state_bytes; /* at the stop */
	struct spoor_figure stop_ns; /* RUNNING to STOP */
	struct spoor_figure save_ns; /* STOP_COPY: all of its state read */
	struct spoor_figure load_ns; /* RESUMING to STOP: written and taken */
	struct spoor_figure run_ns; /* STOP to RUNNING */
	struct spoor_figure period_ns; /* between its clients' successes */
};

/* So much of memory is zero so long after a migration would have begun. */
struct spoor_zero_point {
	uint64_t after_ns;
	struct spoor_figure share;
};

struct spoor_profile {
	char host[64], kernel[96], cpu[96];
	char machine[128]; /* the machine file's name */
	uint64_t machine_hash; /* of what it says; 0: unknown */
	uint64_t taken_s; /* seconds since 1970, UTC */
	uint64_t memory_bytes;
	struct spoor_figure zero_share; /* of its pages: they are not sent */
	/* Of a machine that has only begun; none: it stays as it is. */
	struct spoor_zero_point *zero_later; /* rising times */
	size_t nr_zero_later;
	/* The bulk copy, memory to memory with no link: of what is not zero. */
	struct spoor_figure send_bytes_per_s;
	struct spoor_figure zero_bytes_per_s; /* and of what is */
	/* In rounds after it, what lies together; both sides know it by now. */
	struct spoor_figure resend_bytes_per_s;
	/* More for each run of pages that has clean ones before it. */
	struct spoor_figure send_run_ns;
	struct spoor_figure handover_ns; /* a downtime with nothing to send */
	struct spoor_figure pause_ns, resume_ns; /* CPUs */
	struct spoor_profile_tracker *trackers;
	size_t nr_trackers;
	struct spoor_profile_device *devices;
	size_t nr_devices;
};

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_PROFILE_H */
