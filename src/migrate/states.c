/* SPDX-License-Identifier: MIT */
/*
 * State moves.  Invariant: a device that has P2P states never is RUNNING or
 * PRE_COPY while a peer that runs no more could be its target, unless the plan
 * suspended that peer early, whose BARs are then mapped nowhere.
 *
 * Devices without P2P states reach no peer (their space maps none), but may be
 * reached: they stop after the others have ceased to start peer DMA, and run
 * before the others begin again.
 *
 * Threads: the run's own; spaces are touched under the machine's lock.
 */
#include "migrate/states.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static void tell(struct spoor_run *run, struct spoor_machine_device *d,
		 enum spoor_device_state to)
{
	struct spoor_event event = { .type = SPOOR_EVENT_STATE,
				     .device = d->name,
				     .from = d->state,
				     .to = to };

	d->state = to;
	spoor_run_event(run, &event);
}

int spoor_states_set(struct spoor_run *run, struct spoor_machine_device *d,
		     enum spoor_device_state to)
{
	enum spoor_device_state now;
	int err;

	if (d->state == to)
		return 0;
	err = spoor_device_set_state(d->dev, to);
	if (!err) {
		tell(run, d, to);
		return 0;
	}
	spoor_fail_context(err, "%s: %s to %s", d->name,
			   spoor_device_state_name(d->state),
			   spoor_device_state_name(to));
	/* Keep this text: asking may fail as well, and says less. */
	spoor_run_error(run);
	if (!spoor_device_get_state(d->dev, &now) && now != d->state)
		tell(run, d, now);
	return err;
}

int spoor_states_learn(struct spoor_run *run)
{
	for (size_t i = 0; i < run->machine->nr_devices; i++) {
		struct spoor_machine_device *d = &run->machine->devices[i];
		int err = spoor_device_get_state(d->dev, &d->state);

		if (err)
			return spoor_fail_context(err, "%s: state", d->name);
	}
	return 0;
}

int spoor_states_block(struct spoor_run *run, struct spoor_machine_device *d,
		       bool blocked)
{
	struct spoor_machine *machine = run->machine;
	int err = 0;

	if (d->blocked == blocked)
		return 0;
	if (machine->hooks.block)
		err = machine->hooks.block(machine->opaque, d->dev, blocked);
	if (err)
		return spoor_fail(-err, "%s: hook to %s its BARs: %s", d->name,
				  blocked ? "block" : "unblock",
				  strerror(-err));
	d->blocked = blocked;
	return 0;
}

int spoor_states_block_peers(struct spoor_run *run,
			     struct spoor_machine_device *d, bool blocked)
{
	struct spoor_machine *machine = run->machine;
	int first = 0;

	if (d->peers_blocked == blocked)
		return 0;
	SPOOR_LOCKED(&machine->lock);
	/* Half blocked counts as blocked: the way back undoes what there is. */
	if (blocked)
		d->peers_blocked = true;
	for (size_t i = 0; i < machine->nr_spaces; i++) {
		int err = spoor_space_block_peer(machine->spaces[i], d->dev,
						 blocked);

		if (err && !first)
			first = err;
		if (err && blocked)
			break;
	}
	if (first)
		return spoor_fail_context(first, "%s: BARs for its peers",
					  d->name);
	d->peers_blocked = blocked;
	return 0;
}

int spoor_states_quiesce(struct spoor_run *run, struct spoor_machine_device *d)
{
	if (d->state == SPOOR_STATE_PRE_COPY)
		return spoor_states_set(run, d, SPOOR_STATE_PRE_COPY_P2P);
	if (d->state == SPOOR_STATE_RUNNING)
		return spoor_states_set(run, d, SPOOR_STATE_RUNNING_P2P);
	return 0;
}

int spoor_states_unquiesce(struct spoor_run *run,
			   struct spoor_machine_device *d)
{
	if (d->state == SPOOR_STATE_PRE_COPY_P2P)
		return spoor_states_set(run, d, SPOOR_STATE_PRE_COPY);
	if (d->state == SPOOR_STATE_RUNNING_P2P)
		return spoor_states_set(run, d, SPOOR_STATE_RUNNING);
	return 0;
}

static bool has_p2p(const struct spoor_machine_device *d)
{
	return d->migration & SPOOR_MIGRATION_P2P;
}

/* Devices take their time, one after the other: the other side is told. */
static int and_tick(struct spoor_run *run, int err)
{
	return err ? err : spoor_stream_tick(&run->io);
}

/* A pre-copying device keeps its data session only on the way to STOP_COPY. */
static int stop_one(struct spoor_run *run, struct spoor_machine_device *d)
{
	switch (d->state) {
	case SPOOR_STATE_STOP:
	case SPOOR_STATE_STOP_COPY:
		return 0;
	case SPOOR_STATE_PRE_COPY:
	case SPOOR_STATE_PRE_COPY_P2P:
		return spoor_states_set(run, d, SPOOR_STATE_STOP_COPY);
	default:
		return spoor_states_set(run, d, SPOOR_STATE_STOP);
	}
}

int spoor_states_stop_all(struct spoor_run *run)
{
	struct spoor_machine *machine = run->machine;
	struct spoor_machine_device *const devices = machine->devices;
	const size_t nr = machine->nr_devices;
	int err = 0;

	run->paused_ns = spoor_now_ns();
	spoor_run_mark(run, SPOOR_EVENT_PAUSED);
	/* Set first: a hook that failed half way is resumed as well. */
	machine->cpus_paused = true;
	if (machine->hooks.pause)
		err = machine->hooks.pause(machine->opaque);
	if (err)
		return spoor_fail(-err, "hook to pause the CPUs: %s",
				  strerror(-err));
	for (size_t i = 0; !err && i < nr; i++)
		err = spoor_states_block(run, &devices[i], true);
	for (size_t i = 0; !err && i < nr; i++) {
		if (has_p2p(&devices[i]))
			err = and_tick(run,
				       spoor_states_quiesce(run, &devices[i]));
	}
	for (size_t i = 0; !err && i < nr; i++) {
		if (!has_p2p(&devices[i]))
			err = and_tick(run, stop_one(run, &devices[i]));
	}
	for (size_t i = 0; !err && i < nr; i++)
		err = and_tick(run, stop_one(run, &devices[i]));
	return err;
}

static void note_first(int *first, int err)
{
	if (err && !*first)
		*first = err;
}

/* A device that runs and cannot be reached is none that works: it is named. */
static void note_device(struct spoor_machine_device *d, int *first, int err)
{
	d->failed |= err != 0;
	note_first(first, err);
}

/*
 * The last resort at the source: a device that cannot be run is reset, and the
 * machine runs on without the work it had.  At the destination it stays in
 * ERROR, for whoever looks after that host.
 */
static void reset_broken(struct spoor_run *run, struct spoor_machine_device *d,
			 int *first)
{
	int err;

	if (d->state == SPOOR_STATE_RUNNING)
		return;
	d->failed = true;
	err = spoor_device_reset(d->dev);
	if (err) {
		spoor_run_note(run, "warning", "%s: cannot be reset: %s",
			       d->name, spoor_errmsg());
		note_first(first, err);
		return;
	}
	tell(run, d, SPOOR_STATE_RUNNING);
	spoor_run_note(run, "warning", "%s: failed and has been reset",
		       d->name);
}

static void run_one(struct spoor_run *run, struct spoor_machine_device *d,
		    enum spoor_device_state to)
{
	if (d->state == SPOOR_STATE_RUNNING || d->state == SPOOR_STATE_ERROR)
		return;
	if (spoor_states_set(run, d, to))
		spoor_run_note(run, "warning", "%s", spoor_errmsg());
	/* The source waits for DONE; it was told if this is an abort. */
	(void)spoor_stream_tick(&run->io);
}

/* Devices into RUNNING, in the order the file's head argues for. */
static void run_devices(struct spoor_run *run, bool reset, int *first)
{
	struct spoor_machine *machine = run->machine;
	struct spoor_machine_device *const devices = machine->devices;
	const size_t nr = machine->nr_devices;
	bool all_run = true;

	for (size_t i = 0; i < nr; i++) {
		struct spoor_machine_device *d = &devices[i];

		/* It may have gone to ERROR without being asked to move. */
		(void)!spoor_device_get_state(d->dev, &d->state);
		if (reset && d->state == SPOOR_STATE_ERROR)
			reset_broken(run, d, first);
		all_run &= spoor_state_runs(d->state);
	}
	/* If nobody has stopped, there is no peer to spare. */
	for (size_t i = 0; !all_run && i < nr; i++) {
		if (has_p2p(&devices[i]))
			run_one(run, &devices[i], SPOOR_STATE_RUNNING_P2P);
	}
	for (size_t i = 0; i < nr; i++) {
		if (!has_p2p(&devices[i]))
			run_one(run, &devices[i], SPOOR_STATE_RUNNING);
	}
	/* Reachable again before anybody may reach. */
	for (size_t i = 0; i < nr; i++)
		note_device(&devices[i], first,
			    spoor_states_block_peers(run, &devices[i], false));
	for (size_t i = 0; i < nr; i++) {
		struct spoor_machine_device *d = &devices[i];

		run_one(run, d, SPOOR_STATE_RUNNING);
		if (reset)
			reset_broken(run, d, first);
		if (d->state == SPOOR_STATE_RUNNING)
			continue;
		d->failed = true;
		note_first(first, -EIO);
	}
}

int spoor_states_run(struct spoor_run *run, bool reset)
{
	struct spoor_machine *machine = run->machine;
	int first = 0, err = 0;

	run_devices(run, reset, &first);
	for (size_t i = 0; i < machine->nr_devices; i++) {
		struct spoor_machine_device *d = &machine->devices[i];

		note_device(d, &first, spoor_states_block(run, d, false));
	}
	if (machine->cpus_paused && machine->hooks.resume)
		err = machine->hooks.resume(machine->opaque);
	if (err)
		spoor_fail(-err, "hook to resume the CPUs: %s", strerror(-err));
	else
		machine->cpus_paused = false;
	note_first(&first, err);
	return first;
}
