/* SPDX-License-Identifier: MIT */
/*
 * The migration state of one device: each arc of the state machine as what
 * the model and the data session do.
 *
 * Invariant: the state says what the last finished arc led to.  A request that
 * fails on its way leaves the device in the state it had reached, as Linux
 * does, or in ERROR when the device itself is no longer in that state.
 *
 * Threads: mig is guarded by `lock`.  Changes of level wait for the model's
 * DMA, which takes no lock that is held here.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "softvfio/cpu.h"
#include "softvfio/inject.h"

/* A program that flips states for ever must not fill memory with it. */
#define MAX_SEEN 65536u

void sv_states_add(struct sv_device_state *st, uint32_t state)
{
	struct sv_states *s = &st->states;
	SPOOR_LOCKED(&s->lock);

	if (s->nr && s->seen[s->nr - 1].state == state)
		return;
	if (s->nr == s->room) {
		size_t room = s->room ? s->room * 2 : 64;
		struct sv_state_seen *seen;

		if (room > MAX_SEEN)
			return;
		seen = realloc(s->seen, room * sizeof(*seen));
		if (!seen)
			return;
		s->seen = seen;
		s->room = room;
	}
	s->seen[s->nr++] =
		(struct sv_state_seen){ .state = (uint8_t)state,
					.ns = sv_ns(CLOCK_MONOTONIC) };
}

size_t sv_device_states(struct sv_device *dev, struct sv_state_seen *ret,
			size_t cap)
{
	struct sv_states *s = &sv_device_state(dev)->states;
	SPOOR_LOCKED(&s->lock);

	if (cap && s->nr)
		memcpy(ret, s->seen,
		       (s->nr < cap ? s->nr : cap) * sizeof(*ret));
	return s->nr;
}

static enum model_level level_of(uint32_t state)
{
	switch (state) {
	case VFIO_DEVICE_STATE_RUNNING:
	case VFIO_DEVICE_STATE_PRE_COPY:
		return MODEL_RUNNING;
	case VFIO_DEVICE_STATE_RUNNING_P2P:
	case VFIO_DEVICE_STATE_PRE_COPY_P2P:
		return MODEL_P2P;
	default:
		return MODEL_STOPPED;
	}
}

/* What it had done when it came to stand still. */
static void note_stopped(struct sv_device_state *st)
{
	struct sv_states *s = &st->states;
	struct model_counters c;

	model_counters(sv_model(st->dev), &c);
	SPOOR_LOCKED(&s->lock);
	s->nr_stopped++;
	s->stopped = c;
}

/*
 * The counters' file is exact while nothing moves; and who judges a side that
 * runs on needs to see that it does: a destination as it should, a source as
 * it must not.
 */
static bool is_told(struct sv_device_state *st, uint32_t state, bool ran_on)
{
	if (state == VFIO_DEVICE_STATE_STOP ||
	    state == VFIO_DEVICE_STATE_STOP_COPY || ran_on)
		return true;
	if (!st->unseen)
		return false;
	st->unseen = state != VFIO_DEVICE_STATE_RUNNING;
	return true;
}

/*
 * Whose is the device's work now: this side's, or the other's?  true: it was
 * the other's until now.
 */
static bool note_ran(struct sv_device_state *st, uint32_t state)
{
	bool given = st->given;

	if (state == VFIO_DEVICE_STATE_STOP_COPY) {
		st->given = true;
		st->ran_on = false;
	}
	if (level_of(state) == MODEL_STOPPED)
		return false;
	st->ran = st->ran || st->unseen;
	st->ran_on = st->ran_on || given;
	st->given = false;
	return given;
}

static void enter(struct sv_device_state *st, uint32_t state)
{
	bool ran_on;

	st->mig.state = state;
	ran_on = note_ran(st, state);
	sv_states_add(st, state);
	if (is_told(st, state, ran_on))
		sv_stats_write();
}

static void end_session(struct sv_device_state *st)
{
	st->mig.session = sv_session_end(st->mig.session);
}

/* The device failed: it does nothing any more until it is reset. */
static void fail_device(struct sv_device_state *st)
{
	/* Going to STOPPED cannot fail: nothing has to be acquired for it. */
	model_set_level(sv_model(st->dev), MODEL_STOPPED);
	end_session(st);
	enter(st, VFIO_DEVICE_STATE_ERROR);
}

static bool is_pre_copy(uint32_t state)
{
	return state == VFIO_DEVICE_STATE_PRE_COPY ||
	       state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

/* A device that cannot live with its state does not change its mind. */
static bool refuses_to_run(struct sv_device_state *st)
{
	if (st->unseen && !st->refuses)
		st->refuses = sv_inject_call(st->dev, SV_CALL_RUN);
	return st->refuses;
}

/* Between levels; on failure the model has kept its level. */
static int change_level(struct sv_device_state *st, uint32_t to)
{
	struct model *m = sv_model(st->dev);
	enum model_level level = level_of(to);
	int r;

	if (model_level(m) == level)
		return 0;
	if (level != MODEL_STOPPED && model_level(m) == MODEL_STOPPED) {
		sv_truth_before_run(st);
		if (refuses_to_run(st))
			return -EIO;
	}
	r = model_set_level(m, level);
	if (!r && level == MODEL_STOPPED)
		note_stopped(st);
	return r;
}

/* The session goes on: what is left is what the stopped device holds. */
static int pre_copy_to_stop_copy(struct sv_device_state *st)
{
	int r;

	r = change_level(st, VFIO_DEVICE_STATE_STOP_COPY);
	if (r)
		return r;
	r = sv_session_final(st->mig.session);
	/* It could run on in the old state, if it still can run. */
	if (r && change_level(st, st->mig.state))
		fail_device(st);
	return r;
}

static int resuming_to_stop(struct sv_device_state *st)
{
	int r;

	r = sv_session_commit(st->mig.session);
	if (!r) {
		end_session(st);
		sv_truth_loaded(st);
		st->unseen = true;
		st->refuses = false;
		st->given = false;
		st->ran = false;
	}
	/* Half a state is no state of the device; with none it waits on. */
	else if (sv_session_touched(st->mig.session))
		fail_device(st);
	return r;
}

/*
 * One arc.  Leaving a session ends it before the level changes, so nothing is
 * read from a device that runs again; entering one begins it after.
 */
static int step(struct sv_device_state *st, uint32_t to,
		struct sv_file **ret_file)
{
	struct sv_session **session = &st->mig.session;
	uint32_t from = st->mig.state;
	int r;

	if (to == VFIO_DEVICE_STATE_STOP_COPY && is_pre_copy(from))
		return pre_copy_to_stop_copy(st);
	if (from == VFIO_DEVICE_STATE_RESUMING)
		return resuming_to_stop(st);
	if (from == VFIO_DEVICE_STATE_STOP_COPY ||
	    (is_pre_copy(from) && !is_pre_copy(to)))
		end_session(st);
	r = change_level(st, to);
	if (r)
		return r;
	if (to == VFIO_DEVICE_STATE_STOP_COPY) {
		model_freeze(sv_model(st->dev));
		return sv_session_save(st, false, session, ret_file);
	}
	if (to == VFIO_DEVICE_STATE_RESUMING)
		return sv_session_load(st, session, ret_file);
	if (is_pre_copy(to) && !is_pre_copy(from))
		return sv_session_save(st, true, session, ret_file);
	return 0;
}

int sv_migration_set(struct sv_device_state *st, uint32_t want,
		     struct sv_file **ret_file)
{
	unsigned int caps = sv_device_caps(st->dev);
	struct sv_file *file = NULL;
	bool to_error = false;
	uint32_t next;
	int r;
	SPOOR_LOCKED(&st->lock);

	if (want != st->mig.state) {
		r = sv_fsm_next(caps, st->mig.state, want, &next);
		if (r)
			return r;
		r = sv_inject_state(st->dev, &to_error);
		if (r) {
			if (to_error)
				fail_device(st);
			return r < 0 ? r : -r;
		}
	}
	while (st->mig.state != want) {
		r = sv_fsm_next(caps, st->mig.state, want, &next);
		if (r)
			return r;
		r = step(st, next, &file);
		if (r)
			return r;
		enter(st, next);
	}
	*ret_file = file;
	return 0;
}

uint32_t sv_migration_get(struct sv_device_state *st)
{
	SPOOR_LOCKED(&st->lock);

	return st->mig.state;
}

int sv_migration_reset(struct sv_device_state *st)
{
	int r;

	end_session(st);
	sv_log_off(st);
	sv_truth_forget(st);
	st->unseen = false;
	st->refuses = false;
	st->given = false;
	r = model_reset(sv_model(st->dev));
	if (r) {
		fail_device(st);
		return r;
	}
	st->mig.state = VFIO_DEVICE_STATE_RUNNING;
	sv_states_add(st, VFIO_DEVICE_STATE_RUNNING);
	return 0;
}

void sv_device_force_error(struct sv_device *dev)
{
	struct sv_device_state *st = sv_device_state(dev);
	SPOOR_LOCKED(&st->lock);

	if (sv_model(dev) && sv_device_caps(dev))
		fail_device(st);
}
