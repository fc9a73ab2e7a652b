/* SPDX-License-Identifier: MIT */
/*
 * RESET: from everywhere, and to nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define TRIES 6u

#define NAME(state) spoor_device_state_name((enum spoor_device_state)(state))

static int is_running(struct check *c)
{
	uint32_t state = 0;
	int r = check_get(c, &state);

	if (r)
		return r;
	return state == VFIO_DEVICE_STATE_RUNNING ? 0 : -EPROTO;
}

enum check_verdict check_reset_states(struct check *c)
{
	size_t nr = 0;

	for (uint32_t state = VFIO_DEVICE_STATE_STOP;
	     state <= VFIO_DEVICE_STATE_PRE_COPY_P2P; state++) {
		int r;

		if (!check_has_state(c, state))
			continue;
		if (check_go(c, state))
			return check_cannot(c, NAME(state), EIO);
		r = check_reset(c);
		if (!r)
			r = is_running(c);
		if (r)
			return check_broken(c, "RESET in %s: %s", NAME(state),
					    r == -EPROTO
						    ? "it is not RUNNING then"
						    : strerror(-r));
		nr++;
	}
	return check_holds(c, "%zu states", nr);
}

enum check_verdict check_reset_error(struct check *c)
{
	struct check_stream s = { 0 };
	int r;

	if (!check_load(c, (const uint8_t *)"nonsense", 8, 0))
		return check_skip(c, "it resumes from 8 bytes of nonsense");
	r = check_reset(c);
	if (!r)
		r = is_running(c);
	if (!r)
		r = check_save(c, &s);
	if (!r)
		r = check_load(c, s.bytes, s.len, 0);
	free(s.bytes);
	if (r)
		return check_broken(c, "after a reset: %s", strerror(-r));
	return check_holds(c, "%s", "");
}

/* Given something to lose, and reset.  -EAGAIN: it was done too soon. */
static int remember_and_reset(struct check *c)
{
	int r = c->ex->remember(c);

	check_note(c, "%s is given %s", c->ex->name,
		   c->ex->work ? "work" : "a register's value");
	if (!r)
		r = check_reset(c);
	if (!r && c->ex->work && !c->ex->undone(c))
		r = -EAGAIN;
	return r ? r : check_enable(c, c->dev);
}

enum check_verdict check_reset_clean(struct check *c)
{
	int r = -EAGAIN;

	for (unsigned int i = 0; i < TRIES && r == -EAGAIN; i++)
		r = i && check_fresh(c) ? -EIO : remember_and_reset(c);
	if (r == -EAGAIN)
		return check_skip(c, "its work was always done before the "
				     "reset");
	if (r)
		return check_cannot(c, "RESET", r);
	r = c->ex->recalls(c);
	if (r > 0)
		return check_broken(c, "%s",
				    c->ex->work ? "its work goes on after it"
						: "a register keeps its value");
	return check_holds(c, "%s", "");
}
