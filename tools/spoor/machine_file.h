/* SPDX-License-Identifier: MIT */
/*
 * A machine file: memory, address spaces, devices, load, link and policy, with
 * every default filled in.  Immutable once loaded; any thread may read it.
 */
#ifndef SPOOR_TOOL_MACHINE_FILE_H
#define SPOOR_TOOL_MACHINE_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jpath.h"

#define MF_NAME_MAX    64
#define MF_DEVICES_MAX 64
#define MF_PAGE	       4096u

enum mf_contents {
	MF_CONTENTS_NONE,
	MF_CONTENTS_PATTERN,
	MF_CONTENTS_FILE,
};

struct mf_region {
	uint64_t iova, size;
	bool readonly;
	enum mf_contents contents;
	unsigned int pattern; /* enum mf_fill */
	uint64_t seed;
	char file[PATH_MAX]; /* resolved against the machine file */
};

enum mf_fill {
	MF_FILL_ZERO,
	MF_FILL_RANDOM,
};

enum mf_backend {
	MF_IOMMUFD,
	MF_TYPE1,
};

struct mf_space {
	char name[MF_NAME_MAX];
	unsigned int backend; /* enum mf_backend */
	uint64_t iommu_page;
	bool dirty_tracking;
	unsigned int dirty_by; /* 0: dirty bits, 1: write faults */
	bool p2p;
};

enum mf_model {
	MF_NIC,
	MF_DSA,
	MF_MDEV,
	MF_PLAIN,
	MF_EDU,
	MF_NO_MODEL, /* hardware */
};

/* The bits of "migration". */
#define MF_STOP_COPY (1u << 0)
#define MF_P2P	     (1u << 1)
#define MF_PRE_COPY  (1u << 2)

struct mf_tracker {
	bool present;
	uint64_t min_page, max_page, max_ranges;
	uint64_t address_bits[2];
	uint64_t queue;
	bool read_while_running;
	uint64_t fail_after, deaf;
	/* Assumed, for figures only: ns a mark, ns a page reported. */
	uint64_t cost_mark_ns, cost_page_ns;
};

struct mf_work {
	bool present;
	uint64_t rate, set;
	uint64_t request; /* dsa: bytes of one */
	uint64_t depth; /* dsa: requests outstanding, at most */
	unsigned int pattern; /* enum pace_pattern */
	char p2p[MF_NAME_MAX]; /* a nic whose BAR is written too, or "" */
};

struct mf_pins {
	uint64_t read, write;
	unsigned int dirty; /* as enum model_pin_dirty */
	bool read_pins_clean, gratuitous;
};

/* The Nth such call fails; 0: none. */
struct mf_fail {
	uint64_t log_start, log_report, state_read, state_write;
	uint64_t run; /* with a state that was loaded */
};

struct mf_device {
	char name[MF_NAME_MAX];
	unsigned int model; /* enum mf_model */
	char vfio[128]; /* hardware: an address or path, or "" */
	char vfio_user[128];
	char space_name[MF_NAME_MAX];
	size_t space; /* index of it, or of where policy puts the device */
	size_t home; /* where the file has it */
	char udp[64];
	unsigned int migration;
	uint64_t state_size, stop_ms;
	unsigned int p2p_stops; /* 1: all */
	bool clients;
	uint64_t clients_rate, clients_timeout_ms;
	struct mf_tracker tracker;
	struct mf_work work;
	struct mf_pins pins;
	uint64_t ring;
	uint64_t dma_us, dma_bits; /* edu */
	unsigned int faults;
	struct mf_fail fail;
	char address[64];
	uint64_t group;
	bool noiommu;
};

struct mf_writer {
	uint64_t rate, set;
	unsigned int pattern;
};

struct mf_override {
	char key[96], value[64];
	char reason[512]; /* of a plan, or "" */
};

struct mf_policy {
	char name[96]; /* not of a file */
	char file[PATH_MAX]; /* of a plan, or "" */
	unsigned int objective;
	/* Of which the service gap counts; none: all. */
	char (*gap_devices)[MF_NAME_MAX];
	size_t nr_gap_devices;
	uint64_t limit_downtime_ms, limit_total_ms, limit_gap_ms; /* 0: none */
	uint64_t downtime_ms, max_rounds;
	bool strict_downtime, allow_unsafe_p2p;
	struct mf_override *overrides;
	size_t nr_overrides;
};

struct machine_file {
	char path[PATH_MAX];
	struct mf_region *memory;
	size_t nr_memory;
	struct mf_space *spaces;
	size_t nr_spaces;
	struct mf_device *devices;
	size_t nr_devices;
	struct mf_writer *writers;
	size_t nr_writers;
	uint64_t link_rate; /* bytes a second, 0: unlimited */
	uint64_t link_latency_us, link_channels;
	struct mf_policy policy;
	uint64_t before_ms, after_ms;
	uint64_t seed;
};

/*
 * Load and check.  -EINVAL: @error says what is wrong and where; -ENOMEM.
 * Free with machine_file_free(), which takes NULL.
 */
int machine_file_load(struct machine_file **ret, const char *path,
		      struct jp_error *error);
struct machine_file *machine_file_free(struct machine_file *mf);

/* Adds or replaces one line of policy; -ENOMEM. */
int machine_file_override(struct machine_file *mf, const char *key,
			  const char *value, const char *reason);

/* A machine of one hardware device, for probe. */
int machine_file_for_device(struct machine_file **ret, const char *spec);

/* Is a policy's name that of a file?  "auto" and "strict:iommu" are not. */
bool machine_policy_is_file(const char *policy);

/* What single keys cannot tell: machine_check.c.  -EINVAL with the error. */
int machine_check(struct machine_file *mf, struct jp_error *error);
/* Are the files with the memory's contents there?  Sources only. */
int machine_check_contents(const struct machine_file *mf,
			   struct jp_error *error);
/* machine_policy.c: lines and name, after the command line's were added. */
int machine_check_policy(const struct machine_file *mf, struct jp_error *error);
/* Then lines NAME.space are obeyed.  -EINVAL for where it cannot be. */
int machine_place(struct machine_file *mf, struct jp_error *error);
/* What does not depend on what trackers do; false: @why says it. */
bool machine_can_be_in(const struct machine_file *mf, size_t device,
		       size_t space, char *why, size_t len);

bool machine_has_models(const struct machine_file *mf);

const char *mf_model_name(unsigned int model);
/* NULL: there is none.  @name is @len bytes. */
struct mf_device *mf_find_device(const struct machine_file *mf,
				 const char *name, size_t len);
bool mf_find_space(const struct machine_file *mf, const char *name,
		   size_t *ret);
/* Does the guest drive it as an edu?  Hardware that has work: no other can. */
bool mf_driven_as_edu(const struct mf_device *d);

/* Tables of machine_keys.c: fill one part from its JSON. */
int mf_read_region(const struct jp *at, struct mf_region *ret);
int mf_read_space(const struct jp *at, struct mf_space *ret);
int mf_read_device(const struct jp *at, size_t i, struct mf_device *ret);
int mf_read_writer(const struct jp *at, struct mf_writer *ret);

/* machine_fault.c: what is planted in devices. */
extern const char *const mf_fault_names[];
int mf_read_fail(const struct jp *at, const struct jp_field *f, void *into);
int mf_read_fault(const struct jp *at, const struct jp_field *f, void *into);
/* "nic0:dma-in-stop", "nic0:log-report=3"; -EINVAL with the error. */
int mf_plant(struct machine_file *mf, const char *text, struct jp_error *error);

#endif /* SPOOR_TOOL_MACHINE_FILE_H */
