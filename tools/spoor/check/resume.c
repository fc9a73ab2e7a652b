/* SPDX-License-Identifier: MIT */
/*
 * RESUMING: what is whole is taken over, what is not is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define TRIES	   6u
#define NR_FLIPS   16u
/* The end of a stream is the cut's affair. */
#define FLIPS_STOP ((size_t)32)

enum check_verdict check_resume_whole(struct check *c)
{
	struct check_stream s = { 0 };
	size_t len;
	int r = check_save(c, &s);

	if (r) {
		free(s.bytes);
		return check_cannot(c, "saving a state", r);
	}
	r = check_load(c, s.bytes, s.len, 0);
	len = s.len;
	free(s.bytes);
	if (!r)
		r = check_go(c, VFIO_DEVICE_STATE_RUNNING);
	if (r)
		return check_broken(c, "a state of %zu bytes: %s", len,
				    strerror(-r));
	return check_holds(c, "%zu bytes", len);
}

/* Saved while it holds something to lose.  -EAGAIN: it was done too soon. */
static int save_memory(struct check *c, struct check_stream *s)
{
	int r = c->ex->remember(c);

	check_note(c, "%s is given %s", c->ex->name,
		   c->ex->work ? "work" : "a register's value");
	if (!r)
		r = check_save(c, s);
	if (!r && c->ex->work && !c->ex->undone(c))
		r = -EAGAIN;
	return r;
}

/* The device becomes another, as far as it can. */
static int lose(struct check *c)
{
	int r;

	if (c->can_reset) {
		r = check_reset(c);
		return r ? r : check_enable(c, c->dev);
	}
	r = check_go(c, VFIO_DEVICE_STATE_RUNNING);
	if (!r && c->ex->forget)
		r = c->ex->forget(c);
	return r;
}

enum check_verdict check_resume_state(struct check *c)
{
	struct check_stream s = { 0 };
	int r = -EAGAIN;

	for (unsigned int i = 0; i < TRIES && r == -EAGAIN; i++) {
		s.len = 0;
		if (i && check_fresh(c))
			break;
		r = save_memory(c, &s);
	}
	if (r) {
		free(s.bytes);
		return r == -EAGAIN ? check_skip(c, "its work was always done "
						    "before it was saved")
				    : check_cannot(c, "saving", r);
	}
	r = lose(c);
	if (!r)
		r = check_load(c, s.bytes, s.len, 0);
	free(s.bytes);
	if (!r)
		r = check_go(c, VFIO_DEVICE_STATE_RUNNING);
	if (r)
		return check_cannot(c, "resuming", r);
	r = c->ex->recalls(c);
	if (r < 0)
		return check_broken(c, "resumed, it does not work: %s",
				    strerror(-r));
	if (!r)
		return check_broken(c, "%s",
				    c->ex->work
					    ? "work that was under way is lost"
					    : "a register's value is lost");
	return check_holds(c, "%s",
			   c->ex->work ? "work under way went on" : "");
}

enum check_verdict check_resume_cut(struct check *c)
{
	struct check_stream s = { 0 };
	size_t cuts[7];
	int r = check_save(c, &s);

	if (r || s.len < 16) {
		free(s.bytes);
		return check_cannot(c, "saving a state", r);
	}
	cuts[0] = 0;
	cuts[1] = 1;
	cuts[2] = 8;
	cuts[3] = s.len / 4;
	cuts[4] = s.len / 2;
	cuts[5] = s.len / 4 * 3;
	cuts[6] = s.len - 1;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]) && !r; i++) {
		if (check_recover(c))
			break;
		if (check_load(c, s.bytes, cuts[i], 0))
			continue;
		check_note(c, "cut after %zu of %zu bytes", cuts[i], s.len);
		free(s.bytes);
		return check_broken(c, "%zu of %zu bytes are taken for a state",
				    cuts[i], cuts[6] + 1);
	}
	free(s.bytes);
	return check_holds(c, "refused at 7 places");
}

enum check_verdict check_resume_corrupt(struct check *c)
{
	struct check_stream s = { 0 };
	unsigned int refused = 0, nr = 0;
	int r = check_save(c, &s);

	if (r || s.len < 2 * FLIPS_STOP) {
		free(s.bytes);
		return check_cannot(c, "saving a state", r);
	}
	for (; nr < NR_FLIPS; nr++) {
		size_t at = (s.len - FLIPS_STOP) / NR_FLIPS * nr;

		if (check_recover(c))
			break;
		s.bytes[at] ^= 0x10;
		refused += check_load(c, s.bytes, s.len, 0) != 0;
		s.bytes[at] ^= 0x10;
	}
	free(s.bytes);
	if (!refused)
		return check_broken(
			c, "a bit was flipped at %u places, all of them taken",
			nr);
	if (refused < nr)
		return check_holds(c,
				   "refused at %u of %u places; a checksum is "
				   "not asked for",
				   refused, nr);
	return check_holds(c, "refused at all of %u places", nr);
}
