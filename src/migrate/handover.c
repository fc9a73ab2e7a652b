/* SPDX-License-Identifier: MIT */
/*
 * The hand-over.  Invariants, each from the table of outcomes:
 *
 * - the source runs on only if no COMMIT frame was handed to the socket whole;
 *   a frame that was cut can never be completed (stream_io.c), so the
 *   destination cannot take it for one;
 * - the destination runs only after a whole COMMIT with a matching check, and
 *   discards after READY only if the source said ABORT;
 * - everything in between is unknown to the side that is in it, which stays
 *   stopped and keeps its copy.
 *
 * Threads: the run's own.
 */
#include "migrate/handover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static int gave_up(struct spoor_run *run, const uint8_t *payload, size_t len)
{
	int err = spoor_reason_decode(&run->io.reason, payload, len);

	if (err)
		return err;
	run->io.got_abort = true;
	return spoor_fail(ECONNABORTED, "the other side gave up: %s",
			  run->io.reason.text);
}

static int expect(struct spoor_run *run, enum spoor_frame_type type)
{
	struct spoor_frame f;
	const uint8_t *payload;
	int err = spoor_stream_recv(&run->io, &f, &payload, NULL, NULL);

	if (err || f.type == type)
		return err;
	if (f.type == SPOOR_FRAME_ABORT)
		return gave_up(run, payload, (size_t)f.len);
	return spoor_fail(EPROTO, "stream: %s frame instead of %s",
			  spoor_frame_name(f.type), spoor_frame_name(type));
}

/*
 * Until READY: the destination asks for digests, or names what it misses.  The
 * machine stands still meanwhile, so no frame may prolong this as it does other
 * waits: it ends when a patient wait and twice the time that our own digests
 * took are over.
 */
static int await_ready(struct spoor_run *run, uint64_t digests_ns,
		       enum spoor_handover *ret)
{
	struct spoor_asked asked = { 0 };

	spoor_stream_end_by(&run->io, 2 * digests_ns);
	for (;;) {
		struct spoor_frame f;
		const uint8_t *payload;
		int err = spoor_stream_recv(&run->io, &f, &payload, NULL, NULL);

		if (err)
			return err;
		switch (f.type) {
		case SPOOR_FRAME_READY:
			if (*ret == SPOOR_HANDOVER_LOST)
				return spoor_fail(EPROTO,
						  "stream: READY after LOST");
			return 0;
		case SPOOR_FRAME_WANT:
			err = spoor_verify_answer(run, &asked, payload,
						  (size_t)f.len);
			break;
		case SPOOR_FRAME_LOST:
			err = spoor_verify_told(run, payload, (size_t)f.len);
			if (!err)
				*ret = SPOOR_HANDOVER_LOST;
			if (!err && (f.flags & SPOOR_FRAME_LAST_PART))
				return -EILSEQ;
			break;
		case SPOOR_FRAME_ABORT:
			return gave_up(run, payload, (size_t)f.len);
		default:
			err = spoor_fail(EPROTO,
					 "stream: %s frame instead of READY",
					 spoor_frame_name(f.type));
		}
		if (err)
			return err;
	}
}

static int await_done(struct spoor_run *run)
{
	struct spoor_machine *machine = run->machine;
	SPOOR_AUTO_HEAP struct spoor_done_failure *failures = NULL;
	struct spoor_done done;
	struct spoor_frame f;
	const uint8_t *payload;
	int err = spoor_stream_recv(&run->io, &f, &payload, NULL, NULL);

	if (!err && f.type != SPOOR_FRAME_DONE)
		err = spoor_fail(EPROTO, "stream: %s frame instead of DONE",
				 spoor_frame_name(f.type));
	if (!err)
		err = spoor_done_decode(&done, payload, (size_t)f.len);
	if (err)
		return err;
	failures = done.failures;
	run->broken = done.nr;
	for (uint32_t i = 0; i < done.nr; i++) {
		const uint32_t n = failures[i].device;

		if (n < machine->nr_devices)
			machine->devices[n].failed = true;
		spoor_fail(EIO, "did not start at the destination: %s",
			   failures[i].text);
		spoor_run_error(run);
	}
	return 0;
}

int spoor_handover_give(struct spoor_run *run, enum spoor_handover *ret)
{
	uint64_t begun;
	int err;

	*ret = SPOOR_HANDOVER_NOT;
	err = expect(run, SPOOR_FRAME_LOADED);
	if (err)
		return err;
	spoor_run_verify_begin(run);
	begun = spoor_now_ns();
	if (run->opts.verify)
		err = spoor_verify_send(run);
	if (!err)
		err = await_ready(run, spoor_now_ns() - begun, ret);
	spoor_stream_end_by(&run->io, UINT64_MAX);
	spoor_run_verify_end(run);
	if (!err && atomic_load(&run->machine->cancelled))
		err = spoor_fail(ECANCELED, "cancelled");
	if (err)
		return err;
	/* From here on a cancel comes too late. */
	run->io.cancelled = NULL;
	run->io.cancel_fd = -1;
	err = spoor_stream_send(&run->io, SPOOR_FRAME_COMMIT, 0, NULL, 0);
	if (err)
		return err;
	*ret = SPOOR_HANDOVER_SENT;
	err = await_done(run);
	if (err)
		return err;
	*ret = SPOOR_HANDOVER_DONE;
	run->result->verified = run->opts.verify;
	return 0;
}

int spoor_handover_take(struct spoor_run *run, bool *ret_ready, bool *ret_abort)
{
	struct spoor_frame f;
	const uint8_t *payload;
	int err;

	*ret_ready = false;
	*ret_abort = false;
	err = spoor_stream_send(&run->io, SPOOR_FRAME_READY, 0, NULL, 0);
	if (err)
		return err;
	*ret_ready = true;
	/*
	 * The source decides now.  Giving up here could meet its COMMIT half
	 * way, so a cancel is not heard; its silence ends the wait.  It has
	 * nothing to do but to decide: a PING would prolong nothing.
	 */
	run->io.cancelled = NULL;
	run->io.cancel_fd = -1;
	run->io.no_pings = true;
	err = spoor_stream_recv(&run->io, &f, &payload, NULL, NULL);
	if (err)
		return err;
	if (f.type == SPOOR_FRAME_COMMIT)
		return 0;
	if (f.type != SPOOR_FRAME_ABORT)
		return spoor_fail(EPROTO, "stream: %s frame instead of COMMIT",
				  spoor_frame_name(f.type));
	err = gave_up(run, payload, (size_t)f.len);
	*ret_abort = run->io.got_abort;
	return err;
}

void spoor_handover_done(struct spoor_run *run)
{
	struct spoor_machine *machine = run->machine;
	SPOOR_AUTO_HEAP struct spoor_done_failure *failures = NULL;
	SPOOR_AUTO_WBUF b = { 0 };
	uint32_t nr = 0;

	/* A list that cannot be had must not keep DONE from being sent. */
	failures = calloc(machine->nr_devices + 1, sizeof(*failures));
	for (size_t i = 0; failures && i < machine->nr_devices; i++) {
		if (!machine->devices[i].failed)
			continue;
		failures[nr].device = (uint32_t)i;
		snprintf(failures[nr].text, sizeof(failures[nr].text), "%s",
			 machine->devices[i].name);
		nr++;
	}
	if (failures && machine->cpus_paused) {
		failures[nr].device = UINT32_MAX;
		snprintf(failures[nr].text, sizeof(failures[nr].text), "CPUs");
		nr++;
	}
	spoor_done_encode(failures, nr, &b);
	if (spoor_stream_send_buf(&run->io, SPOOR_FRAME_DONE, 0, &b))
		spoor_run_note(run, "warning",
			       "the source was not told that the machine runs "
			       "here: %s",
			       spoor_errmsg());
}
