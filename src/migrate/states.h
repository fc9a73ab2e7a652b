/* SPDX-License-Identifier: MIT */
/*
 * Moves of devices between migration states, in the order that keeps a device
 * from reaching a peer that is already stopped.
 *
 * Threads: the run's own.
 */
#ifndef SPOOR_MIGRATE_STATES_H
#define SPOOR_MIGRATE_STATES_H

#include <stdbool.h>

#include "migrate/machine_priv.h"

/* Does it move, or is it running with migration data being read? */
static inline bool spoor_state_runs(enum spoor_device_state state)
{
	return state == SPOOR_STATE_RUNNING || state == SPOOR_STATE_PRE_COPY;
}

/* One device to a state; tells it in an event.  The kernel's errno. */
int spoor_states_set(struct spoor_run *run, struct spoor_machine_device *d,
		     enum spoor_device_state to);
/* Ask every device for its state, so that abort knows where to begin. */
int spoor_states_learn(struct spoor_run *run);

/* Keep CPUs from a device's BARs, or let them again. */
int spoor_states_block(struct spoor_run *run, struct spoor_machine_device *d,
		       bool blocked);
/* Take its BARs out of every space, or back. */
int spoor_states_block_peers(struct spoor_run *run,
			     struct spoor_machine_device *d, bool blocked);

/* Its P2P state, PRE_COPY or not as it is now. */
int spoor_states_quiesce(struct spoor_run *run, struct spoor_machine_device *d);
/* And back. */
int spoor_states_unquiesce(struct spoor_run *run,
			   struct spoor_machine_device *d);

/* CPUs, then every device, to STOP; a pre-copying one to STOP_COPY. */
int spoor_states_stop_all(struct spoor_run *run);
/*
 * Everything runs (again): RUNNING_P2P for all that have it before any is
 * RUNNING, BARs back, CPUs.  With @reset a device that is in ERROR, or cannot
 * be run, is reset.  Goes on after a failure and returns the first; devices
 * that failed are marked.
 */
int spoor_states_run(struct spoor_run *run, bool reset);

#endif /* SPOOR_MIGRATE_STATES_H */
