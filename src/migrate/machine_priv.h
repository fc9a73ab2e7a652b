/* SPDX-License-Identifier: MIT */
/*
 * A machine, and one run of its migration: what the files of this room share.
 *
 * Threads: a run belongs to the thread that called spoor_source_run() or
 * spoor_destination_run().  Only the members under `lock` and the two for
 * cancelling are touched by others.
 */
#ifndef SPOOR_MIGRATE_MACHINE_PRIV_H
#define SPOOR_MIGRATE_MACHINE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/migration.h>

#include "base/range.h"
#include "migrate/stream_io.h"

struct spoor_tracking;

struct spoor_machine_device {
	struct spoor_device *dev;
	struct spoor_space *space;
	size_t space_index;
	const char *name; /* borrowed from the device */
	unsigned int migration; /* SPOOR_MIGRATION_* */
	bool p2p_stops_all;
	/* Attached by the caller, to what no space here knows: it may write
	 * to all of memory. */
	bool elsewhere;

	enum spoor_device_state state; /* as last told or heard */
	bool blocked; /* CPUs are kept from its BARs */
	bool peers_blocked; /* its BARs are taken out of every space */
	bool suspended; /* early, by the plan */
	bool failed; /* it went to ERROR, or did not start */
	bool ended; /* all its state was sent, or received */
	uint64_t state_bytes;
	uint64_t dirty_pages;
	uint64_t page_size; /* its tracker's real one, 0: none was started */
	bool all_dirty; /* because its tracker failed */
	uint64_t suspended_ns;
};

struct spoor_machine {
	struct spoor_memory *memory;
	struct spoor_hooks hooks;
	void *opaque;
	struct spoor_machine_device *devices;
	size_t nr_devices;
	struct spoor_space **spaces;
	size_t nr_spaces;

	/* Signal handlers set the flag, then wake whoever polls. */
	atomic_bool cancelled;
	int cancel_fd;

	/*
	 * Spaces and trackers are for one thread at a time, and maps come from
	 * any: whoever maps, blocks peers or talks to trackers holds this.
	 */
	pthread_mutex_t lock;
	struct spoor_tracking *tracking; /* of a running migration, or NULL */
	bool cpus_paused;
	const char *side; /* of the last run */
};

/* One call of spoor_source_run() or spoor_destination_run(). */
struct spoor_run {
	struct spoor_machine *machine;
	struct spoor_run_opts opts; /* defaults filled in */
	const char *side;
	struct spoor_stream io;
	struct spoor_result *result;
	uint32_t version; /* of the stream, agreed */
	uint64_t begun_ns;
	uint64_t paused_ns; /* t0, 0 before it */
	uint64_t verify_begun_ns; /* 0: not verifying now */
	uint64_t lost_pages; /* in all, also those that no list names */
	bool broken; /* moved, but not all of it started there */
};

/* events.c */
uint64_t spoor_now_ns(void);
uint64_t spoor_thread_cpu_ns(void);
void spoor_run_event(const struct spoor_run *run, struct spoor_event *event);
void spoor_run_note(const struct spoor_run *run, const char *level,
		    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void spoor_run_mark(struct spoor_run *run, enum spoor_event_type type);
void spoor_run_verify_begin(struct spoor_run *run);
void spoor_run_verify_end(struct spoor_run *run);

/* result.c */
int spoor_run_begin(struct spoor_run *run, struct spoor_machine *machine,
		    const struct spoor_run_opts *opts, const char *side,
		    struct spoor_result *result);
/* Keep the text of the first failure. */
void spoor_run_error(struct spoor_run *run);
void spoor_run_finish(struct spoor_run *run, enum spoor_outcome outcome,
		      const char *running);

/* survey.c: what is mapped in a space and lies in the machine's memory. */
int spoor_machine_mapped(const struct spoor_machine *machine, size_t space,
			 struct spoor_range_list *ret);
/* What a device may write of the machine's memory. */
int spoor_machine_reach(const struct spoor_machine *machine,
			const struct spoor_machine_device *d,
			struct spoor_range_list *ret);
int spoor_machine_ranges(const struct spoor_machine *machine,
			 struct spoor_range_list *ret);

#endif /* SPOOR_MIGRATE_MACHINE_PRIV_H */
