/* SPDX-License-Identifier: MIT */
/*
 * The migration states of VFIO's v2 protocol and the way between any two.
 *
 * Invariant: every step that the tables give is an arc of the uAPI, and a
 * state the device lacks is never stepped on: for a device without it, the
 * step leads to where the way goes on from there.
 *
 * Threads: pure.
 */
#include <errno.h>

#include "softvfio/device_priv.h"

enum {
	ERROR = VFIO_DEVICE_STATE_ERROR,
	STOP = VFIO_DEVICE_STATE_STOP,
	RUNNING = VFIO_DEVICE_STATE_RUNNING,
	STOP_COPY = VFIO_DEVICE_STATE_STOP_COPY,
	RESUMING = VFIO_DEVICE_STATE_RESUMING,
	RUN_P2P = VFIO_DEVICE_STATE_RUNNING_P2P,
	PRE = VFIO_DEVICE_STATE_PRE_COPY,
	PRE_P2P = VFIO_DEVICE_STATE_PRE_COPY_P2P,
};

static const unsigned int needs[SV_NR_STATES] = {
	[ERROR] = ~0u, /* nobody may ask for it */
	[STOP] = SV_MIG_STOP_COPY,
	[RUNNING] = SV_MIG_STOP_COPY,
	[STOP_COPY] = SV_MIG_STOP_COPY,
	[RESUMING] = SV_MIG_STOP_COPY,
	[RUN_P2P] = SV_MIG_STOP_COPY | SV_MIG_P2P,
	[PRE] = SV_MIG_STOP_COPY | SV_MIG_PRE_COPY,
	[PRE_P2P] = SV_MIG_STOP_COPY | SV_MIG_P2P | SV_MIG_PRE_COPY,
};

/*
 * first_step[from][to], for a device that has every state:
 *
 *     PRE ------ RUNNING
 *      |            |
 *   PRE_P2P --- RUN_P2P
 *      |            |
 *      |          STOP --- RESUMING
 *      v            |
 *  STOP_COPY -------+
 *
 * Every line goes both ways but PRE_P2P -> STOP_COPY.  Of two ways as long as
 * each other the one is taken that is in a saving state (PRE, PRE_P2P,
 * STOP_COPY) only at its ends: a session begins on the last step or ends on
 * the first.  From STOP_COPY nothing leads back to pre-copy: the session
 * cannot go on there, and another would begin within the way.  0 (ERROR): no
 * way.
 */
static const uint8_t first_step[SV_NR_STATES][SV_NR_STATES] = {
	[STOP] = { [STOP] = STOP,
		   [RUNNING] = RUN_P2P,
		   [STOP_COPY] = STOP_COPY,
		   [RESUMING] = RESUMING,
		   [RUN_P2P] = RUN_P2P,
		   [PRE] = RUN_P2P,
		   [PRE_P2P] = RUN_P2P },
	[RUNNING] = { [STOP] = RUN_P2P,
		      [RUNNING] = RUNNING,
		      [STOP_COPY] = RUN_P2P,
		      [RESUMING] = RUN_P2P,
		      [RUN_P2P] = RUN_P2P,
		      [PRE] = PRE,
		      [PRE_P2P] = RUN_P2P },
	[STOP_COPY] = { [STOP] = STOP,
			[RUNNING] = STOP,
			[STOP_COPY] = STOP_COPY,
			[RESUMING] = STOP,
			[RUN_P2P] = STOP },
	[RESUMING] = { [STOP] = STOP,
		       [RUNNING] = STOP,
		       [STOP_COPY] = STOP,
		       [RESUMING] = RESUMING,
		       [RUN_P2P] = STOP,
		       [PRE] = STOP,
		       [PRE_P2P] = STOP },
	[RUN_P2P] = { [STOP] = STOP,
		      [RUNNING] = RUNNING,
		      [STOP_COPY] = STOP,
		      [RESUMING] = STOP,
		      [RUN_P2P] = RUN_P2P,
		      [PRE] = RUNNING,
		      [PRE_P2P] = PRE_P2P },
	[PRE] = { [STOP] = RUNNING,
		  [RUNNING] = RUNNING,
		  [STOP_COPY] = PRE_P2P,
		  [RESUMING] = RUNNING,
		  [RUN_P2P] = RUNNING,
		  [PRE] = PRE,
		  [PRE_P2P] = PRE_P2P },
	[PRE_P2P] = { [STOP] = RUN_P2P,
		      [RUNNING] = RUN_P2P,
		      [STOP_COPY] = STOP_COPY,
		      [RESUMING] = RUN_P2P,
		      [RUN_P2P] = RUN_P2P,
		      [PRE] = PRE,
		      [PRE_P2P] = PRE_P2P },
};

bool sv_fsm_has_state(unsigned int caps, uint32_t state)
{
	return state < SV_NR_STATES && (needs[state] & ~caps) == 0;
}

int sv_fsm_next(unsigned int caps, uint32_t from, uint32_t to, uint32_t *ret)
{
	uint32_t next;

	if (from >= SV_NR_STATES || !sv_fsm_has_state(caps, to))
		return -EINVAL;
	/* Ends: each round is one step nearer to @to, which the device has. */
	for (next = first_step[from][to]; next != ERROR;
	     next = first_step[next][to]) {
		if (sv_fsm_has_state(caps, next)) {
			*ret = next;
			return 0;
		}
	}
	return -EINVAL;
}
