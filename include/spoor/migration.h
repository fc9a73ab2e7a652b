/* SPDX-License-Identifier: MIT */
/*
 * A machine, and its migration: source and destination.
 *
 * The caller sets up memory, spaces and devices, registers them with a
 * machine, and gives hooks for what only a VMM can do (pause CPUs, keep them
 * from a device's BARs, save its own state).  The progression is described in
 * ARCHITECTURE.md, the stream in docs/stream.md, the outcomes in
 * docs/hand-over.md.
 *
 * Threads: spoor_source_run() and spoor_destination_run() work in the calling
 * thread and call hooks and events from it; one run at a time per machine.
 * spoor_machine_map(), _unmap() and _cancel() may be called from any thread
 * meanwhile, from hooks and events too: no lock is held while those run.  What
 * is mapped is then changed by these two only, not by <spoor/space.h>.
 */
#ifndef SPOOR_MIGRATION_H
#define SPOOR_MIGRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>
#include <spoor/device.h>
#include <spoor/memory.h>
#include <spoor/plan.h>
#include <spoor/space.h>
#include <spoor/tracker.h>

#ifdef __cplusplus
extern "C" {
#endif

struct spoor_machine;

/* A piece of memory that did not arrive. */
struct spoor_lost {
	struct spoor_range range; /* page aligned */
	char writer[64]; /* who wrote it last, "unknown" if nobody can tell */
};

/*
 * What only the VMM can do.  Every hook may be NULL.  They return 0 or -errno;
 * a failure aborts the migration where it can still be aborted.  While one works
 * the other side hears nothing: each takes less than spoor_run_opts.silence_ns.
 */
struct spoor_hooks {
	size_t size; /* sizeof(struct spoor_hooks) */
	/*
	 * Stop all guest CPUs and everything else that stores to memory.  Once
	 * it has returned nothing may be stored, by later hooks neither.
	 */
	int (*pause)(void *opaque);
	/* Run them again (source: abort; destination: after COMMIT). */
	int (*resume)(void *opaque);
	/*
	 * Keep CPUs from a device's BARs, holding what they would have
	 * written; and let them again, delivering it.
	 */
	int (*block)(void *opaque, struct spoor_device *dev, bool blocked);
	/* Own state: called once, CPUs paused; *ret_data is freed by spoor. */
	int (*save)(void *opaque, void **ret_data, size_t *ret_len);
	/* Own state at the destination, before READY. */
	int (*load)(void *opaque, const void *data, size_t len);
	/*
	 * Source, after the devices are in STOP_COPY; destination, after all
	 * state is loaded: further checks.  *ret_lost is freed by spoor.
	 */
	int (*verify)(void *opaque, struct spoor_lost **ret_lost,
		      size_t *ret_nr);
};

enum spoor_event_type {
	SPOOR_EVENT_PLAN = 1,
	SPOOR_EVENT_ROUND = 2,
	SPOOR_EVENT_STATE = 3,
	SPOOR_EVENT_NOTE = 4,
	SPOOR_EVENT_PROGRESS = 5, /* several a second while memory is sent */
	SPOOR_EVENT_PAUSED = 6, /* CPUs and devices begin to stop: t0 */
	SPOOR_EVENT_VERIFY_BEGIN = 7,
	SPOOR_EVENT_VERIFY_END = 8,
	SPOOR_EVENT_RUNNING = 9, /* everything runs (again) on this side: t1 */
};

struct spoor_event_read {
	const char *tracker; /* "nic0.device", "main.iommu", "cpu.process" */
	uint64_t pages; /* 4 KiB pages that were not dirty yet */
	uint64_t read_ns;
};

/*
 * One region of memory in a round, coarsely.  All regions together have at most
 * 256 buckets, or one each if there are more of them.
 */
struct spoor_event_area {
	struct spoor_range range; /* the region */
	uint64_t
		bucket_bytes; /* a power of two, 4096 or more; the last is cut */
	const uint64_t *pages; /* a bucket: 4 KiB pages in it that were sent */
	size_t nr;
};

struct spoor_event {
	enum spoor_event_type type;
	const char *side; /* "source" or "destination" */
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	/* PLAN */
	const struct spoor_plan *plan;
	/* ROUND: one pass of sending.  Round 1 is the bulk copy. */
	unsigned int round;
	uint64_t duration_ns;
	uint64_t bytes; /* ROUND: sent in it; PROGRESS: so far */
	uint64_t bytes_left; /* PROGRESS */
	const struct spoor_event_read *reads;
	size_t nr_reads;
	bool stopped; /* ROUND: the last one, devices and CPUs are stopped */
	const struct spoor_event_area *areas; /* ROUND: where its pages lie */
	size_t nr_areas;
	/* STATE */
	const char *device;
	enum spoor_device_state from, to;
	/* NOTE */
	const char *level; /* "info", "warning" */
	const char *text;
};

typedef void (*spoor_event_fn)(void *opaque, const struct spoor_event *event);

enum spoor_outcome {
	SPOOR_MOVED = 0, /* it runs at the destination */
	SPOOR_FAILED = 1, /* it runs at the source, as if nothing had been */
	SPOOR_REFUSED = 3, /* negotiation or plan refused; nothing was sent */
	SPOOR_LOST = 4, /* verification failed; it runs at the source */
	SPOOR_UNKNOWN = 5, /* this side holds the machine, stopped */
	SPOOR_MOVED_BROKEN = 6, /* moved, but a device failed to start there */
	SPOOR_CANCELLED = 130, /* spoor_machine_cancel(); runs at the source */
};

struct spoor_device_result {
	char name[64];
	uint64_t dirty_pages; /* 4 KiB pages its tracker reported */
	uint64_t page_size; /* its tracker's real granule, bytes; 0: none ran */
	uint64_t state_bytes;
	bool failed; /* it went to ERROR, or did not start */
	bool all_dirty; /* its tracker failed: all it reached was sent again */
};

struct spoor_result {
	enum spoor_outcome outcome;
	/* Who runs, as far as this side knows. */
	const char *running; /* "source", "destination", "none", "unknown" */
	bool verified; /* digests and checks agreed */
	/*
	 * Source: the target could be expected when it was stopped.  False
	 * also if it never came so far; the destination does not know: false.
	 */
	bool converged;
	uint64_t memory_bytes, bytes_sent, pages_sent;
	unsigned int rounds;
	uint64_t total_ns; /* the whole call, waiting for the peer included */
	/*
	 * Source: from the pause to DONE received (or, if it runs on, to
	 * everything running again), less verify_ns.  0: never paused, or it is
	 * not known.  The destination does not see the pause: 0.
	 */
	uint64_t downtime_ns;
	uint64_t verify_ns; /* digests and `verify` hooks, CPUs paused */
	uint64_t tracking_cpu_ns; /* of this thread, starting and reading */
	struct spoor_device_result *devices;
	size_t nr_devices;
	struct spoor_lost *lost;
	size_t nr_lost;
	char error[512]; /* why, unless MOVED */
};

struct spoor_run_opts {
	size_t size; /* sizeof(struct spoor_run_opts) */
	int fd; /* connected stream socket, borrowed */
	bool verify; /* digest both memories before the hand-over */
	/*
	 * Source: it is stopped once what is left (dirty pages, what counts
	 * dirty anyway, state that devices estimate) is expected to be sent in
	 * so long; 0: 300 ms.
	 */
	uint64_t downtime_ns;
	bool strict_downtime; /* source: abort rather than miss the target */
	unsigned int max_rounds; /* source: 0: 30 */
	enum spoor_process_mode cpu_tracker; /* source */
	bool no_cpu; /* source: nothing but devices stores to memory */
	uint64_t silence_ns; /* peer silent for so long is gone; 0: 30 s */
	spoor_event_fn event;
	void *event_opaque;
};

/**
 * spoor_machine_new() - a machine to migrate
 * @ret:    on success, the machine; release with spoor_machine_free().
 * @m:      its memory; borrowed.
 * @hooks:  what the VMM does; copied.
 * @opaque: handed to the hooks.
 *
 * Return: 0, or -ENOMEM.
 */
SPOOR_API SPOOR_NODISCARD int spoor_machine_new(struct spoor_machine **ret,
						struct spoor_memory *m,
						const struct spoor_hooks *hooks,
						void *opaque);

/**
 * spoor_machine_add_space() - register a DMA address space
 * @machine: machine.
 * @space:   space; borrowed.
 *
 * Return: 0, or -EEXIST if there is one of that name, or -ENOMEM.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_machine_add_space(struct spoor_machine *machine,
			struct spoor_space *space);

/**
 * spoor_machine_add_device() - register a device
 * @machine: machine.
 * @dev:     device, attached to @space or adopted; borrowed.
 * @space:   a registered space.
 *
 * An adopted device that the caller attached by itself writes to where no
 * space knows: it is taken to reach all of the machine's memory, and only its
 * own tracker can cover it.
 *
 * Return: 0, or -EEXIST if there is one of that name, -ENOENT if @space is
 * not registered, -EINVAL if @dev is attached to another space, or to none
 * and is not adopted, or -ENOMEM.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_machine_add_device(struct spoor_machine *machine,
			 struct spoor_device *dev, struct spoor_space *space);

/**
 * spoor_machine_plan() - probe the trackers and decide
 * @machine: machine.
 * @wishes:  policy, overrides and link; its facts are ignored and filled in
 *           by probing.  NULL: defaults.
 * @ret:     as spoor_plan_make().
 *
 * Return: as spoor_plan_make().
 */
SPOOR_API SPOOR_NODISCARD int
spoor_machine_plan(struct spoor_machine *machine,
		   const struct spoor_plan_input *wishes,
		   struct spoor_plan **ret);

/**
 * spoor_machine_facts() - what probing finds out
 * @machine:     machine.
 * @ret_devices: on success, one fact a device, in the order they were added;
 *               owned by the caller, free(3).  Names are borrowed from the
 *               devices.
 * @ret_nr:      on success, their number.
 *
 * Return: 0, or -ENOMEM.
 */
SPOOR_API SPOOR_NODISCARD int
spoor_machine_facts(struct spoor_machine *machine,
		    struct spoor_device_fact **ret_devices, size_t *ret_nr);

/**
 * spoor_machine_tracker() - the merged tracker that a plan asks for
 * @machine: machine.
 * @plan:    plan for it.
 * @opts:    for its CPU tracker.
 * @ret:     on success, stopped; release with spoor_tracker_free().
 *
 * For tracking without migrating.
 *
 * Return: 0, or the errno of the tracker that cannot be opened.
 */
SPOOR_API SPOOR_NODISCARD int spoor_machine_tracker(
	struct spoor_machine *machine, const struct spoor_plan *plan,
	const struct spoor_run_opts *opts, struct spoor_tracker **ret);

/**
 * spoor_machine_map() - make memory reachable in a space, also meanwhile
 * @machine: machine.
 * @space:   a registered space.
 * @range:   page aligned, inside one region of the machine's memory.
 *
 * Any thread.  A running migration tracks the range from now on, or counts it
 * dirty.
 *
 * Return: 0, or as spoor_space_map().
 */
SPOOR_API SPOOR_NODISCARD int
spoor_machine_map(struct spoor_machine *machine, struct spoor_space *space,
		  const struct spoor_range *range);

/**
 * spoor_machine_unmap() - make memory unreachable in a space, also meanwhile
 * @machine: machine.
 * @space:   a registered space.
 * @range:   what was mapped.
 *
 * Any thread.  A running migration counts the whole range dirty once.
 *
 * Return: 0, or as spoor_space_unmap().
 */
SPOOR_API SPOOR_NODISCARD int
spoor_machine_unmap(struct spoor_machine *machine, struct spoor_space *space,
		    const struct spoor_range *range);

/**
 * spoor_source_run() - migrate a running machine away
 * @machine: machine; its devices run.
 * @plan:    a plan without blockers for it; borrowed.
 * @opts:    connection, targets, events.
 * @ret:     always filled in; release with spoor_result_clear().
 *
 * Return: 0 if it moved (MOVED, MOVED_BROKEN), -errno if it did not; @ret says
 * where the machine runs.  With SPOOR_UNKNOWN it is stopped and held: call
 * spoor_machine_resume(), or free it, once somebody knows which.
 */
SPOOR_API int spoor_source_run(struct spoor_machine *machine,
			       const struct spoor_plan *plan,
			       const struct spoor_run_opts *opts,
			       struct spoor_result *ret);

/**
 * spoor_destination_run() - receive a machine
 * @machine: machine with the same memory layout and devices, its devices
 *           never started, its CPUs paused.
 * @opts:    connection and events.
 * @ret:     always filled in; release with spoor_result_clear().
 *
 * Return: 0 if it runs here now (MOVED, MOVED_BROKEN), -errno if not; with
 * SPOOR_UNKNOWN it is held, stopped, as for spoor_source_run().
 */
SPOOR_API int spoor_destination_run(struct spoor_machine *machine,
				    const struct spoor_run_opts *opts,
				    struct spoor_result *ret);

/**
 * spoor_machine_cancel() - ask a running migration to abort
 * @machine: machine; any thread or a signal handler.
 *
 * Has no effect once COMMIT was sent.
 */
SPOOR_API void spoor_machine_cancel(struct spoor_machine *machine);

/**
 * spoor_machine_resume() - run a machine that is held
 * @machine: machine after SPOOR_UNKNOWN; the other side must not run.
 * @opts:    for events.
 *
 * All devices go to RUNNING_P2P (where they have it), then to RUNNING, then
 * the CPUs run.
 *
 * Return: 0, or the first errno; the others were still started.
 */
SPOOR_API int spoor_machine_resume(struct spoor_machine *machine,
				   const struct spoor_run_opts *opts);

/**
 * spoor_result_clear() - release what a result owns
 * @result: result, or NULL.
 */
SPOOR_API void spoor_result_clear(struct spoor_result *result);

/**
 * spoor_machine_free() - forget a machine; nothing in it is touched
 * @machine: machine, or NULL.
 *
 * Return: NULL.
 */
SPOOR_API struct spoor_machine *
spoor_machine_free(struct spoor_machine *machine);

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_MIGRATION_H */
