/* SPDX-License-Identifier: MIT */
/*
 * One fault in one migration, and how both sides ended.
 *
 * machines.c has the machines, side.c is one process, trial.c runs two of
 * them, judge.c holds the ends against the table of docs/hand-over.md.
 */
#ifndef TESTS_FAULT_FAULT_H
#define TESTS_FAULT_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include <spoor/migration.h>

#include "tests/fault/failnth.h"
#include "tests/fault/relay.h"
#include "tests/fault/watch.h"
#include "tests/live/vmm.h"

#define NO_DEVICE (-1)

struct machine {
	const char *name;
	struct vmm_config config;
	struct spoor_plan_override overrides[4];
	size_t nr_overrides;
	enum spoor_process_mode cpu_tracker;
	bool p2p; /* a BAR of nic0 is mapped for the type1 space */
	bool spoil; /* a page of memory gets lost on the way */
};

extern const struct machine machines[];
const struct machine *machine_find(const char *name);
/* The BAR of a machine with p2p: 0, or -errno with spoor_errmsg() set. */
int machine_map_peer(const struct machine *m, struct vmm *vmm);
/* It can be reached by DMA. */
bool machine_reaches_peer(void);

enum fault_kind {
	FAULT_NONE,
	FAULT_NTH, /* at the nth call */
	FAULT_STATE, /* the nth change of state of a device fails */
	FAULT_FRAME, /* on the way */
	FAULT_KINDS,
};

struct fault {
	enum fault_kind kind;
	enum side side;
	/* NTH; with a device that goes to ERROR, or a cancel, act is CALL */
	enum failnth_act act;
	unsigned int kinds, nth, after;
	int err;
	int device; /* STATE and CALL; NO_DEVICE: cancel */
	bool to_error; /* STATE */
	struct frame_fault frame;
};

struct device_report {
	int state; /* asked past libspoor */
	bool named; /* its result says that it failed */
	bool blocked; /* the CPUs are kept from its BARs */
};

/* What one side says when it is done; in shared memory. */
struct report {
	struct watch watch;
	bool done; /* it came to its end */
	bool planned;
	int ret;
	enum spoor_outcome outcome;
	char running[16];
	struct device_report devices[VMM_MAX_DEVICES];
	bool paused; /* its CPUs are */
	bool reaches; /* a p2p BAR is mapped */
	bool resumed; /* what was held could be run */
	/* Left behind: by the run, and in the end. */
	int fds[2], threads[2], mappings[2];
	long heap;
	char error[512];
};

/* One process; returns when its side has come to its end. */
void side_run(enum side side, int fd, const struct machine *m,
	      const struct fault *f, struct report *r);

struct trial {
	const struct machine *machine;
	struct fault fault;
	struct report *reports; /* two */
	int status[2]; /* as waitpid() says */
	struct relay relay;
	bool fired; /* the fault happened */
};

/* Run one; relay_clear(&t->relay) afterwards. */
void trial_run(struct trial *t);

/* How far the hand-over came: the columns of the table. */
enum phase { BEFORE_READY, READY_SENT, COMMIT_SENT, DONE_SEEN, NR_PHASES };
enum phase judge_phase(const struct trial *t);
/* NULL, or what is wrong with how both ended. */
const char *judge(const struct trial *t);
bool judge_killed(const struct trial *t, enum side side);

#endif /* TESTS_FAULT_FAULT_H */
