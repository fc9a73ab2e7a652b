/* SPDX-License-Identifier: MIT */
/*
 * A machine's own process.  It never prints: it tells its parent what happens
 * in JSON lines on the control socket, and takes orders there.  Events whose
 * name begins with "_" are between the two only.
 *
 * Threads: the main thread runs the machine; one thread reads orders, passes
 * on devices' notes, and cancels a running migration.  When the parent is
 * gone the machine ends: nothing of it is left behind.
 */
#ifndef SPOOR_TOOL_CHILD_H
#define SPOOR_TOOL_CHILD_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "machine.h"
#include "opts.h"

/* Instead of a machine file: one hardware device. */
#define CHILD_DEVICE "device:"

enum child_order {
	ORDER_NONE,
	ORDER_GO, /* with a descriptor: the migration's connection */
	ORDER_RESUME,
	ORDER_DISCARD,
	ORDER_QUIT, /* or the parent is gone */
};

struct child {
	const struct opts *o;
	const char *side;
	struct machine_file *mf;
	struct layout *layout;
	struct stamps *stamps; /* of this side */
	struct stamps *all_stamps;
	struct machine m;
	int control;
	uint64_t t0; /* of the migration, ns */
	uint16_t ports[MF_DEVICES_MAX]; /* of nics, 0: none; under lock */

	pthread_mutex_t lock; /* orders, and lines being written */
	pthread_cond_t ordered; /* CLOCK_MONOTONIC */
	pthread_t orders;
	bool orders_started, cancelled;
	bool quit;
	enum child_order order; /* not yet taken */
	int connection; /* -1: none */
};

/* A process without a machine: told of its parent, no more. */
bool child_begin(struct child *c, const struct opts *o);
/* Opened, guest parked; false: the parent has been told why not. */
bool child_start(struct child *c, const struct opts *o, const char *side,
		 bool contents, bool guest);
void child_end(struct child *c);

/* Takes the next order; @timeout_ns 0: waits as long as it takes. */
enum child_order child_wait(struct child *c, uint64_t timeout_ns);

/* Sends a line; takes the reference. */
void child_tell(struct child *c, json_t *line);
void child_tell_failed(struct child *c, int exit_code, const char *error);

/* Every device set up, or -errno with the parent told why not. */
int child_boot(struct child *c);
/*
 * Boots the guest and plans before anything is at work: what trackers see
 * while they are tried is nobody's.  Then the guest works.  0, or -errno with
 * the parent told why not.
 */
int child_boot_and_plan(struct child *c, struct spoor_plan **ret,
			bool blockers_matter);

/* After the boot: the guest works, and clients hear where. */
void child_work(struct child *c);

/* child_events.c: the library's events and results as JSON. */
void child_event(void *child, const struct spoor_event *event);
json_t *child_plan_json(const struct spoor_plan *plan);
void child_tell_result(struct child *c, const struct spoor_result *r);

/* child_plan.c */
void child_run_opts(struct child *c, struct spoor_run_opts *ret);

#endif /* SPOOR_TOOL_CHILD_H */
