/* SPDX-License-Identifier: MIT */
/*
 * A migration, as its destination runs it.
 *
 * Invariant: before COMMIT nothing runs here.  Until READY anything that goes
 * wrong ends in discarding; after READY only ABORT does, and what is neither
 * ABORT nor COMMIT leaves the machine held.
 *
 * Threads: the calling one.
 */
#include "migrate/destination_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "migrate/handover.h"
#include "migrate/opening.h"
#include "migrate/states.h"

/* Devices take their state from here on; none of them ever ran. */
static int prepare(struct spoor_destination *d)
{
	struct spoor_machine *machine = d->run->machine;
	int err = spoor_states_learn(d->run);

	/* Whoever paused them: it is our resume that lets them run. */
	machine->cpus_paused = true;
	for (size_t i = 0; !err && i < machine->nr_devices; i++)
		err = spoor_states_set(d->run, &machine->devices[i],
				       SPOOR_STATE_RESUMING);
	return err ? err : spoor_destination_init(d);
}

static int open_stream(struct spoor_destination *d, bool *ret_refused)
{
	int err = spoor_opening_receive(d->run, ret_refused, &d->verify);

	if (!err)
		err = prepare(d);
	if (err && (*ret_refused || d->run->machine->cpus_paused)) {
		spoor_run_error(d->run);
		*ret_refused = true;
		spoor_opening_refuse(d->run, err);
		return err;
	}
	return err ? err : spoor_opening_welcome(d->run);
}

/* The VMM's checks and the digests, one answer. */
static int verify(struct spoor_destination *d)
{
	struct spoor_run *run = d->run;
	struct spoor_verify v = { 0 };
	struct spoor_lost *lost = NULL;
	size_t nr_lost = 0;
	int err;

	spoor_run_verify_begin(run);
	err = spoor_verify_hook(run, &lost, &nr_lost);
	if (!err)
		err = spoor_stream_tick(&run->io);
	while (!err && d->verify && !spoor_verify_ended(&v)) {
		struct spoor_frame f;
		const uint8_t *payload;

		err = spoor_stream_recv(&run->io, &f, &payload, NULL, NULL);
		if (err)
			break;
		if (f.type == SPOOR_FRAME_DIGESTS)
			err = spoor_verify_compare(
				run, &v, payload, (size_t)f.len,
				f.flags & SPOOR_FRAME_LAST_PART);
		else if (f.type == SPOOR_FRAME_PAGE_DIGESTS)
			err = spoor_verify_compare_pages(run, &v, payload,
							 (size_t)f.len);
		else
			err = spoor_destination_unexpected(d, &f, payload);
	}
	if (!err)
		err = spoor_verify_merge(run, &v, lost, nr_lost);
	spoor_run_verify_end(run);
	free(lost);
	spoor_verify_clear(&v);
	if (err == -EILSEQ) {
		spoor_run_error(run);
		if (spoor_verify_tell(run))
			spoor_run_note(run, "warning",
				       "the source was not told: %s",
				       spoor_errmsg());
	}
	return err;
}

/* Receive, load, verify.  0: READY may be said. */
static int receive(struct spoor_destination *d, bool *ret_refused)
{
	int err = open_stream(d, ret_refused);

	if (!err)
		err = spoor_destination_receive(d);
	if (!err)
		err = spoor_destination_load(d);
	if (!err)
		err = spoor_stream_send(&d->run->io, SPOOR_FRAME_LOADED, 0,
					NULL, 0);
	return err ? err : verify(d);
}

/*
 * Never to run: as new, and stopped.  A reset leaves a device in RUNNING for a
 * moment, but without bus mastering and without work: it can do nothing.
 */
static void discard(struct spoor_run *run)
{
	for (size_t i = 0; i < run->machine->nr_devices; i++) {
		struct spoor_machine_device *d = &run->machine->devices[i];
		int err;

		if (!spoor_device_get_state(d->dev, &d->state) &&
		    d->state == SPOOR_STATE_ERROR)
			d->failed = true;
		err = spoor_device_reset(d->dev);
		if (!err)
			d->state = SPOOR_STATE_RUNNING;
		err = spoor_states_set(run, d, SPOOR_STATE_STOP);
		if (err)
			spoor_run_note(run, "warning", "%s: discarding: %s",
				       d->name, spoor_errmsg());
	}
}

static enum spoor_outcome discarded(struct spoor_run *run, int err,
				    bool refused, const char **ret_running)
{
	struct spoor_result *r = run->result;

	spoor_run_error(run);
	/* Who said ABORT, or was told why, runs on; of others we do not know.*/
	*ret_running = err == -ECONNRESET || err == -EPIPE || err == -ETIMEDOUT
			       ? "unknown"
			       : "source";
	if (!refused)
		spoor_stream_abort(&run->io, err, r->error);
	if (run->machine->cpus_paused)
		discard(run);
	spoor_stream_drain(&run->io);
	if (refused)
		return SPOOR_REFUSED;
	if (err == -EILSEQ)
		return SPOOR_LOST;
	return err == -ECANCELED ? SPOOR_CANCELLED : SPOOR_FAILED;
}

static enum spoor_outcome started(struct spoor_run *run)
{
	struct spoor_machine *machine = run->machine;
	int err = spoor_states_run(run, false);

	spoor_run_mark(run, SPOOR_EVENT_RUNNING);
	spoor_handover_done(run);
	if (!err && !machine->cpus_paused)
		return SPOOR_MOVED;
	spoor_run_error(run);
	return SPOOR_MOVED_BROKEN;
}

int spoor_destination_run(struct spoor_machine *machine,
			  const struct spoor_run_opts *opts,
			  struct spoor_result *ret)
{
	struct spoor_run run;
	struct spoor_destination d = { .run = &run };
	bool refused = false, ready = false, abort = false;
	int err;

	err = spoor_run_begin(&run, machine, opts, "destination", ret);
	if (err) {
		spoor_run_finish(&run, SPOOR_FAILED, "unknown");
		return err;
	}
	machine->cpus_paused = false;
	err = receive(&d, &refused);
	/* The source found out by itself, and said so. */
	if (err == -ECONNABORTED && run.io.got_abort &&
	    run.io.reason.code == EILSEQ)
		err = -EILSEQ;
	if (!err)
		err = spoor_handover_take(&run, &ready, &abort);
	if (!err) {
		ret->outcome = started(&run);
		ret->running = "destination";
		ret->verified = d.verify;
	} else if (ready && !abort) {
		spoor_run_error(&run);
		ret->outcome = SPOOR_UNKNOWN;
		ret->running = "unknown";
	} else {
		ret->outcome = discarded(&run, err, refused, &ret->running);
	}
	spoor_destination_clear(&d);
	spoor_run_finish(&run, ret->outcome, ret->running);
	return err;
}
