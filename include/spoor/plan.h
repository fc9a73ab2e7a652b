/* SPDX-License-Identifier: MIT */
/*
 * Policy: which tracker, which page size, and which device is suspended when.
 *
 * A pure function from facts to decisions: no I/O, no clock, the same input
 * gives the same plan.  Every line carries its reason; the coverage proof says
 * for each source of DMA why none of its writes can be missed.
 */
#ifndef SPOOR_PLAN_H
#define SPOOR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <spoor/common.h>
#include <spoor/space.h>
#include <spoor/tracker.h>

#ifdef __cplusplus
extern "C" {
#endif

enum spoor_suspend_when {
	SPOOR_SUSPEND_TOGETHER = 0, /* with all the others, at the stop */
	SPOOR_SUSPEND_BEFORE_BULK = 1, /* before memory is first sent */
	SPOOR_SUSPEND_AFTER_BULK = 2, /* after it was sent once */
};

enum spoor_suspend_how {
	SPOOR_SUSPEND_STOP = 0, /* STOP, later STOP_COPY */
	SPOOR_SUSPEND_QUIET = 1, /* a P2P state that stops all DMA */
};

/* What probing found out about one tracker of one device. */
struct spoor_tracker_fact {
	bool usable;
	struct spoor_tracker_caps caps; /* if usable */
	char why[160]; /* if not: the reason */
};

struct spoor_device_fact {
	const char *name;
	size_t space; /* index into spoor_plan_input.spaces */
	unsigned int migration; /* SPOOR_MIGRATION_*, 0: cannot migrate */
	bool p2p_stops_all; /* declared by the user */
	bool noiommu;
	uint64_t reach_bytes; /* of memory, that it may write */
	const char *reaches_peer; /* name of a peer whose BAR it can write */
	struct spoor_tracker_fact own; /* SPOOR_TRACKER_DEVICE */
	struct spoor_tracker_fact iommu; /* SPOOR_TRACKER_IOMMU */
	struct spoor_tracker_fact pinned; /* SPOOR_TRACKER_PINNED */
	uint64_t state_bytes; /* MIG_DATA_SIZE, 0 if unknown */
	bool pins; /* it is known to write only what it has pinned */
};

/*
 * A space that a device could be attached to instead of where it is, and what
 * it would have there as far as that is known without trying.  Whether a
 * container then reports everything follows from who else is in it.
 */
struct spoor_place_fact {
	size_t device; /* index into spoor_plan_input.devices */
	size_t space; /* index into spoor_plan_input.spaces, not its own */
	bool eligible; /* may be chosen unasked: it reaches no more there */
	uint64_t reach_bytes; /* as in spoor_device_fact, and so on */
	const char *reaches_peer;
	struct spoor_tracker_fact iommu;
	struct spoor_tracker_fact pinned;
};

struct spoor_space_fact {
	const char *name;
	enum spoor_space_backend backend;
};

/* One line of policy from the user: "nic0.page_size" = "16K". */
struct spoor_plan_override {
	const char *key;
	const char *value;
	const char *reason; /* NULL: that the user set it is the reason */
};

struct spoor_plan_input {
	size_t size; /* sizeof(struct spoor_plan_input) */
	const struct spoor_device_fact *devices;
	size_t nr_devices;
	const struct spoor_space_fact *spaces;
	size_t nr_spaces;
	const char *policy; /* a name of spoor_plan_policies(); NULL: "auto" */
	const struct spoor_plan_override *overrides;
	size_t nr_overrides;
	uint64_t memory_bytes;
	uint64_t link_bytes_per_s; /* 0: unlimited */
	bool allow_unsafe_p2p; /* run what the P2P rule refuses: controls only */
	const struct spoor_place_fact
		*places; /* none: each stays where it is */
	size_t nr_places;
};

/* The decision for one device. */
struct spoor_plan_line {
	char name[64];
	char space[64]; /* where it must be attached when the plan is run */
	enum spoor_tracker_kind
		tracker; /* NONE: suspended early, or stop-copy */
	uint64_t page_size; /* bytes; 0 without a tracker */
	bool quiet_read; /* read only while quiesced (P2P), or at the STOP */
	enum spoor_suspend_when when;
	enum spoor_suspend_how how;
	char covered_by[160]; /* the coverage proof for this device */
	char reason[512]; /* why this line is as it is */
};

struct spoor_plan {
	char policy[64];
	bool stop_copy; /* no tracking: stop everything, copy once */
	struct spoor_plan_line *lines; /* one a device, in input order */
	size_t nr_lines;
	char **blockers; /* why it must not run, and what would lift it */
	size_t nr_blockers;
};

/**
 * spoor_plan_make() - decide
 * @ret:   on success, and with blockers also on -EPERM, the plan; release with
 *         spoor_plan_free().
 * @input: facts and wishes; borrowed for the call.
 *
 * A policy name is a preference: what it cannot serve falls back (own
 * tracker, IOMMU, pinned, all-dirty), and the reason says so; "strict:NAME"
 * refuses instead.
 *
 * Override keys: DEVICE.tracker (device, iommu, pinned, all, none),
 * DEVICE.page_size, DEVICE.suspend (together, before-bulk, after-bulk),
 * DEVICE.how (stop, quiet), DEVICE.space (where it is, or one of its places).
 * No policy moves a device to another space: only such a line, or
 * spoor_plan_search().
 *
 * Return: 0, or
 *   -EPERM   blockers: @ret says which; never run such a plan
 *   -EINVAL  unknown policy, or an override that names no device, no such
 *            key or no such value
 *   -ENOMEM  out of memory
 */
SPOOR_API SPOOR_NODISCARD int
spoor_plan_make(struct spoor_plan **ret, const struct spoor_plan_input *input);

/**
 * spoor_plan_policies() - the policy names, a NULL-terminated array
 */
SPOOR_API const char *const *spoor_plan_policies(void);

/**
 * spoor_plan_free() - release a plan
 * @plan: plan, or NULL.
 *
 * Return: NULL.
 */
SPOOR_API struct spoor_plan *spoor_plan_free(struct spoor_plan *plan);

#ifdef __cplusplus
}
#endif

#endif /* SPOOR_PLAN_H */
