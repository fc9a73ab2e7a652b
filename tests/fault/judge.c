/* SPDX-License-Identifier: MIT */
/*
 * The table of docs/hand-over.md, cell by cell.  What was sent and received is
 * taken from the relay and from the bytes that each process took in, never
 * from what libspoor says: so each fault has one right outcome on each side.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/fault/fault.h"

static const char *const side_names[] = { "source", "destination" };

static const char *say(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

static const char *say(const char *fmt, ...)
{
	static char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return text;
}

static const char *outcome_name(int outcome)
{
	switch (outcome) {
	case SPOOR_MOVED:
		return "MOVED";
	case SPOOR_FAILED:
		return "FAILED";
	case SPOOR_REFUSED:
		return "REFUSED";
	case SPOOR_LOST:
		return "LOST";
	case SPOOR_UNKNOWN:
		return "UNKNOWN";
	case SPOOR_MOVED_BROKEN:
		return "MOVED_BROKEN";
	case SPOOR_CANCELLED:
		return "CANCELLED";
	default:
		return "?";
	}
}

static bool got(const struct trial *t, enum side side, unsigned int type)
{
	return relay_got(&t->relay, side, type,
			 atomic_load(&t->reports[side].watch.received));
}

static bool sent(const struct trial *t, enum side side, unsigned int type)
{
	return relay_sent(&t->relay, side, type);
}

bool judge_killed(const struct trial *t, enum side side)
{
	return WIFSIGNALED(t->status[side]) &&
	       WTERMSIG(t->status[side]) == SIGKILL;
}

enum phase judge_phase(const struct trial *t)
{
	if (sent(t, SOURCE, FRAME_COMMIT))
		return got(t, SOURCE, FRAME_DONE) ? DONE_SEEN : COMMIT_SENT;
	return sent(t, DESTINATION, FRAME_READY) ? READY_SENT : BEFORE_READY;
}

static bool cancelled(const struct trial *t, enum side side)
{
	return t->fault.kind == FAULT_NTH && t->fault.act == FAILNTH_CALL &&
	       t->fault.device == NO_DEVICE && t->fault.side == side &&
	       t->fired;
}

/* Where a device is not as it should be, none that broke late counts. */
static bool runs(const struct trial *t, const struct report *r, int d)
{
	return !t->machine->config.devices[d].name ||
	       r->devices[d].state == SPOOR_STATE_RUNNING ||
	       atomic_load(&r->watch.late[d]);
}

static bool stands(const struct trial *t, const struct report *r, int d)
{
	const int s = r->devices[d].state;

	return !t->machine->config.devices[d].name || s == SPOOR_STATE_STOP ||
	       s == SPOOR_STATE_STOP_COPY || atomic_load(&r->watch.error[d]);
}

/* Everything runs here; @whole: each device, too. */
static const char *must_run(const struct trial *t, enum side side, bool whole)
{
	const struct report *r = &t->reports[side];

	for (int d = 0; d < VMM_MAX_DEVICES; d++) {
		if (whole && !runs(t, r, d))
			return say("%s: %s does not run", side_names[side],
				   t->machine->config.devices[d].name);
		if (r->devices[d].blocked)
			return say("%s: BARs of %s are blocked",
				   side_names[side],
				   t->machine->config.devices[d].name);
	}
	if (r->paused)
		return say("%s: its CPUs do not run", side_names[side]);
	if (!r->reaches && whole)
		return say("%s: a peer's BAR is gone", side_names[side]);
	return NULL;
}

static const char *must_stand(const struct trial *t, enum side side)
{
	const struct report *r = &t->reports[side];

	for (int d = 0; d < VMM_MAX_DEVICES; d++) {
		if (!stands(t, r, d))
			return say("%s: %s is not stopped", side_names[side],
				   t->machine->config.devices[d].name);
		if (side == SOURCE && t->machine->config.devices[d].name &&
		    !r->devices[d].blocked)
			return say("source: BARs of %s are not blocked",
				   t->machine->config.devices[d].name);
	}
	if (!r->paused)
		return say("%s: its CPUs run", side_names[side]);
	return NULL;
}

/* Where pages were lost, what fails may be the discarding itself. */
static bool discarding_failed(const struct trial *t)
{
	return t->machine->spoil && t->fault.kind == FAULT_NTH &&
	       t->fault.act == FAILNTH_FAIL && t->fault.side == DESTINATION &&
	       !strcmp(t->reports[DESTINATION].watch.what, "ioctl");
}

/* Nothing has run, and nothing is left that could be run. */
static const char *must_be_discarded(const struct trial *t)
{
	const struct report *r = &t->reports[DESTINATION];
	const bool begun =
		sent(t, DESTINATION, FRAME_WELCOME) && !discarding_failed(t);

	for (int d = 0; d < VMM_MAX_DEVICES; d++) {
		if (!t->machine->config.devices[d].name)
			continue;
		if (begun && r->devices[d].state != SPOOR_STATE_STOP)
			return say("destination: %s was not discarded",
				   t->machine->config.devices[d].name);
		if (begun && !atomic_load(&r->watch.reset[d]))
			return say("destination: %s was not reset",
				   t->machine->config.devices[d].name);
	}
	return r->paused ? NULL : say("destination: its CPUs run");
}

/*
 * Who is named as failed: at the source whoever was reset to run on, at the
 * destination whoever does not run, or broke before it was discarded.
 */
static const char *must_name(const struct trial *t, enum side side)
{
	const struct report *r = &t->reports[side];
	const bool moved =
		got(t, side, side == SOURCE ? FRAME_DONE : FRAME_COMMIT);
	const bool held = r->outcome == SPOOR_UNKNOWN;

	for (int d = 0; d < VMM_MAX_DEVICES; d++) {
		const struct watch *w = &r->watch;
		bool due;

		if (held || !t->machine->config.devices[d].name)
			continue;
		if (side == SOURCE && moved && judge_killed(t, DESTINATION))
			continue;
		if (side == SOURCE && moved)
			due = t->reports[DESTINATION].devices[d].named;
		else if (side == SOURCE)
			due = atomic_load(&w->reset[d]);
		else if (moved)
			due = !runs(t, r, d);
		else
			due = atomic_load(&w->error[d]);
		if (due != r->devices[d].named)
			return say("%s: %s is %s as failed", side_names[side],
				   t->machine->config.devices[d].name,
				   due ? "not named" : "named");
		if (side == SOURCE && !moved && atomic_load(&w->error[d]) &&
		    !atomic_load(&w->reset[d]))
			return say("source: %s is in ERROR and was not reset",
				   t->machine->config.devices[d].name);
	}
	if (t->fault.kind == FAULT_STATE && t->fault.side == side && t->fired &&
	    r->outcome != SPOOR_MOVED &&
	    !strstr(r->error, t->machine->config.devices[t->fault.device].name))
		return say("%s: its text does not name the device",
			   side_names[side]);
	return NULL;
}

/* What goes wrong there is not only that pages were lost. */
static bool own_failure(const struct trial *t, enum side side)
{
	return t->fired && t->fault.kind == FAULT_NTH && t->fault.side == side;
}

static int source_outcome(const struct trial *t)
{
	const struct report *r = &t->reports[SOURCE];
	bool broken = false;

	if (sent(t, SOURCE, FRAME_COMMIT)) {
		if (!got(t, SOURCE, FRAME_DONE))
			return SPOOR_UNKNOWN;
		for (int d = 0; d < VMM_MAX_DEVICES; d++)
			broken |= r->devices[d].named;
		return broken ? SPOOR_MOVED_BROKEN : SPOOR_MOVED;
	}
	/* Unless it fails before it knows. */
	if (got(t, SOURCE, FRAME_LOST) &&
	    !(own_failure(t, SOURCE) && r->outcome == SPOOR_FAILED))
		return SPOOR_LOST;
	if (got(t, SOURCE, FRAME_REFUSE))
		return SPOOR_REFUSED;
	return cancelled(t, SOURCE) && r->planned ? SPOOR_CANCELLED
						  : SPOOR_FAILED;
}

/* The destination finds lost pages with the last answer that it asked for. */
static bool found_lost(const struct trial *t)
{
	const struct way *w = &t->relay.ways[SOURCE];
	const uint64_t received =
		atomic_load(&t->reports[DESTINATION].watch.received);

	for (size_t i = 0; t->machine->spoil && i < w->nr; i++) {
		const struct frame *f = &w->frames[i];

		if (f->type == FRAME_PAGE_DIGESTS && f->last && f->good &&
		    f->end <= received)
			return true;
	}
	return false;
}

static int destination_outcome(const struct trial *t)
{
	const struct report *r = &t->reports[DESTINATION];
	bool broken = false;

	if (got(t, DESTINATION, FRAME_COMMIT)) {
		for (int d = 0; d < VMM_MAX_DEVICES; d++)
			broken |= !runs(t, r, d);
		return broken ? SPOOR_MOVED_BROKEN : SPOOR_MOVED;
	}
	if (sent(t, DESTINATION, FRAME_READY))
		return got(t, DESTINATION, FRAME_ABORT) ? SPOOR_FAILED
							: SPOOR_UNKNOWN;
	if (sent(t, DESTINATION, FRAME_REFUSE))
		return SPOOR_REFUSED;
	if (found_lost(t) &&
	    (sent(t, DESTINATION, FRAME_LOST) || !own_failure(t, DESTINATION) ||
	     r->outcome != SPOOR_FAILED))
		return SPOOR_LOST;
	return cancelled(t, DESTINATION) ? SPOOR_CANCELLED : SPOOR_FAILED;
}

static const char *judge_running(const struct trial *t, enum side side)
{
	const struct report *r = &t->reports[side];
	const char *want = "source";

	if (r->outcome == SPOOR_UNKNOWN)
		want = "unknown";
	else if (r->outcome == SPOOR_MOVED || r->outcome == SPOOR_MOVED_BROKEN)
		want = "destination";
	else if (side == DESTINATION && !got(t, side, FRAME_ABORT) &&
		 !strcmp(r->running, "unknown"))
		return NULL; /* it was not told */
	/* Nor can it know of one that was killed, unless they had parted. */
	if (!strcmp(want, r->running) &&
	    (side == SOURCE || strcmp(want, "source") ||
	     !judge_killed(t, SOURCE) || r->outcome == SPOOR_LOST ||
	     got(t, side, FRAME_ABORT)))
		return NULL;
	return say("%s: says that it runs at \"%s\"", side_names[side],
		   r->running);
}

static const char *judge_left(const struct trial *t, enum side side)
{
	const struct report *r = &t->reports[side];
	int sessions = 0;

	if (r->fds[1] || r->threads[1] || r->mappings[1] || r->heap)
		return say("%s: left %d descriptors, %d threads, %d mappings, "
			   "%ld pieces of heap",
			   side_names[side], r->fds[1], r->threads[1],
			   r->mappings[1], r->heap);
	/* Data sessions stay open as long as the states they belong to. */
	for (int d = 0; d < VMM_MAX_DEVICES; d++)
		sessions += r->devices[d].state == SPOOR_STATE_STOP_COPY;
	if (r->fds[0] > sessions || r->threads[0] > 0 || r->mappings[0] > 0)
		return say("%s: the run left %d descriptors, %d threads, %d "
			   "mappings",
			   side_names[side], r->fds[0], r->threads[0],
			   r->mappings[0]);
	return NULL;
}

static const char *judge_held(const struct trial *t, enum side side)
{
	const struct report *r = &t->reports[side];
	const char *why = must_stand(t, side);

	for (int d = 0; !why && d < VMM_MAX_DEVICES; d++) {
		if (atomic_load(&r->watch.error[d]))
			return NULL; /* it could not be run whole */
	}
	if (!why && !r->resumed)
		why = say("%s: cannot be resumed", side_names[side]);
	return why;
}

static const char *judge_side(const struct trial *t, enum side side)
{
	const struct report *r = &t->reports[side];
	const int want =
		side == SOURCE ? source_outcome(t) : destination_outcome(t);
	const char *why = NULL;

	if (t->relay.ways[side].garbled)
		return say("%s: says what are no frames", side_names[side]);
	if (!r->done)
		return r->error[0] ? r->error : "did not come to its end";
	if (r->outcome != (enum spoor_outcome)want)
		return say("%s: %s where %s is due", side_names[side],
			   outcome_name(r->outcome), outcome_name(want));
	if (!r->ret != (want == SPOOR_MOVED || want == SPOOR_MOVED_BROKEN))
		return say("%s: returned %d", side_names[side], r->ret);
	if (want == SPOOR_UNKNOWN)
		why = judge_held(t, side);
	else if (want == SPOOR_MOVED || want == SPOOR_MOVED_BROKEN)
		why = side == SOURCE ? must_stand(t, side)
				     : must_run(t, side, want == SPOOR_MOVED);
	else
		why = side == SOURCE ? must_run(t, side, true)
				     : must_be_discarded(t);
	if (!why)
		why = must_name(t, side);
	if (!why)
		why = judge_running(t, side);
	return why ? why : judge_left(t, side);
}

/* Nobody waits for a side that is known to have failed. */
static const char *judge_patience(const struct trial *t)
{
	if (t->fault.kind == FAULT_FRAME)
		return NULL;
	for (int i = 0; i < 2; i++) {
		if (strstr(t->reports[i].error, "silent") ||
		    strstr(t->reports[i].error, "does not come"))
			return say("%s: waited in vain", side_names[i]);
	}
	return NULL;
}

const char *judge(const struct trial *t)
{
	const char *why = NULL;

	for (int i = 0; !why && i < 2; i++) {
		const int status = t->status[i];

		if (judge_killed(t, (enum side)i))
			continue;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
			return say("%s: hangs", side_names[i]);
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			return say("%s: died by itself, status %#x",
				   side_names[i], (unsigned int)status);
		why = judge_side(t, (enum side)i);
	}
	if (!why)
		why = judge_patience(t);
	if (!why && t->fault.kind == FAULT_NONE && !t->machine->spoil &&
	    judge_phase(t) != DONE_SEEN)
		why = "nothing failed, yet it did not move";
	return why;
}
