/* SPDX-License-Identifier: MIT */
/*
 * The state machine: which states, which arcs, and what a SET gives back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum {
	STOP = VFIO_DEVICE_STATE_STOP,
	RUNNING = VFIO_DEVICE_STATE_RUNNING,
	STOP_COPY = VFIO_DEVICE_STATE_STOP_COPY,
	RESUMING = VFIO_DEVICE_STATE_RESUMING,
	RUN_P2P = VFIO_DEVICE_STATE_RUNNING_P2P,
	PRE = VFIO_DEVICE_STATE_PRE_COPY,
	PRE_P2P = VFIO_DEVICE_STATE_PRE_COPY_P2P,
	NR_STATES,
};

#define NAME(state) spoor_device_state_name((enum spoor_device_state)(state))

static const uint8_t arcs[][2] = {
	{ RUNNING, STOP },    { STOP, RUNNING },    { STOP, STOP_COPY },
	{ STOP_COPY, STOP },  { STOP, RESUMING },   { RESUMING, STOP },
	{ RUNNING, RUN_P2P }, { RUN_P2P, RUNNING }, { RUN_P2P, STOP },
	{ STOP, RUN_P2P },    { RUNNING, PRE },	    { PRE, RUNNING },
	{ PRE, STOP_COPY },   { PRE, PRE_P2P },	    { PRE_P2P, PRE },
	{ RUN_P2P, PRE_P2P }, { PRE_P2P, RUN_P2P }, { PRE_P2P, STOP_COPY },
};

bool check_has_state(const struct check *c, uint32_t state)
{
	switch (state) {
	case RUN_P2P:
		return c->caps & VFIO_MIGRATION_P2P;
	case PRE:
		return c->caps & VFIO_MIGRATION_PRE_COPY;
	case PRE_P2P:
		return (c->caps & VFIO_MIGRATION_P2P) &&
		       (c->caps & VFIO_MIGRATION_PRE_COPY);
	default:
		return state >= STOP && state < NR_STATES;
	}
}

enum check_verdict check_fsm_caps(struct check *c)
{
	const uint32_t known = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
			       VFIO_MIGRATION_PRE_COPY;

	if (!(c->caps & VFIO_MIGRATION_STOP_COPY))
		return check_broken(c, "flags 0x%x: no STOP_COPY", c->caps);
	if (c->caps & ~known)
		return check_skip(c, "flags 0x%x: some are unknown here",
				  c->caps);
	return check_holds(
		c, "STOP_COPY%s%s", c->caps & VFIO_MIGRATION_P2P ? ", P2P" : "",
		c->caps & VFIO_MIGRATION_PRE_COPY ? ", PRE_COPY" : "");
}

enum check_verdict check_fsm_begin(struct check *c)
{
	if (c->begin_state != RUNNING)
		return check_broken(c, "opened, it was in state %u",
				    c->begin_state);
	return check_holds(c, "%s", "");
}

/* From wherever it is; a RESUMING device is given a state first. */
static int go(struct check *c, const struct check_stream *s, uint32_t to)
{
	uint32_t now = 0;
	int r = check_get(c, &now);

	if (!r && now == RESUMING && to != RESUMING)
		r = check_write(c, c->data_fd, s->bytes, s->len) ==
				    (ssize_t)s->len
			    ? 0
			    : -EIO;
	return r ? r : check_go(c, to);
}

/* SET @from, then @to, which must come to be. */
static int take(struct check *c, const struct check_stream *s, uint32_t from,
		uint32_t to)
{
	uint32_t now = 0;
	int r = go(c, s, RUNNING);

	if (!r && from != RUNNING)
		r = go(c, s, from);
	if (!r)
		r = go(c, s, to);
	if (!r)
		r = check_get(c, &now);
	return r ? r : now == to ? 0 : -EPROTO;
}

enum check_verdict check_fsm_arcs(struct check *c)
{
	struct check_stream s = { 0 };
	size_t nr = 0;
	int r = check_save(c, &s);

	if (r) {
		free(s.bytes);
		return check_cannot(c, "saving a state", r);
	}
	for (size_t i = 0; i < sizeof(arcs) / sizeof(arcs[0]) && !r; i++) {
		uint32_t from = arcs[i][0], to = arcs[i][1];

		if (!check_has_state(c, from) || !check_has_state(c, to))
			continue;
		nr++;
		r = take(c, &s, from, to);
		if (r) {
			free(s.bytes);
			return check_broken(c, "%s to %s: %s", NAME(from),
					    NAME(to), strerror(-r));
		}
	}
	free(s.bytes);
	return check_holds(c, "%zu arcs", nr);
}

static bool is_way(uint32_t from, uint32_t to)
{
	return from != STOP_COPY || (to != PRE && to != PRE_P2P);
}

static enum check_verdict all_ways(struct check *c,
				   const struct check_stream *s, size_t *nr)
{
	for (uint32_t from = STOP; from < NR_STATES; from++) {
		for (uint32_t to = STOP; to < NR_STATES; to++) {
			int r;

			if (from == to || !check_has_state(c, from) ||
			    !check_has_state(c, to))
				continue;
			++*nr;
			r = take(c, s, from, to);
			if (r && is_way(from, to))
				return check_broken(c, "%s to %s: %s",
						    NAME(from), NAME(to),
						    strerror(-r));
			if (!r && !is_way(from, to))
				return check_broken(
					c, "%s to %s is no way, and was taken",
					NAME(from), NAME(to));
		}
	}
	return check_holds(c, "%zu ways", *nr);
}

enum check_verdict check_fsm_ways(struct check *c)
{
	struct check_stream s = { 0 };
	enum check_verdict v;
	size_t nr = 0;
	int r = check_save(c, &s);

	v = r ? check_cannot(c, "saving a state", r) : all_ways(c, &s, &nr);
	free(s.bytes);
	return v;
}

enum check_verdict check_fsm_same(struct check *c)
{
	for (uint32_t state = STOP; state < NR_STATES; state++) {
		int fd = -1, r;

		if (!check_has_state(c, state))
			continue;
		if (check_recover(c) || check_go(c, state))
			return check_cannot(c, NAME(state), EIO);
		r = check_set(c, state, &fd);
		if (fd >= 0)
			return check_broken(c, "%s again gave a data fd",
					    NAME(state));
		if (r)
			return check_broken(c, "%s again: %s", NAME(state),
					    strerror(-r));
	}
	return check_holds(c, "%s", "");
}

enum check_verdict check_fsm_refuses(struct check *c)
{
	static const uint32_t never[] = { VFIO_DEVICE_STATE_ERROR, NR_STATES,
					  64, UINT32_MAX };
	uint32_t state = 0;

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (!check_set(c, never[i], NULL))
			return check_broken(c, "SET of state %u succeeds",
					    never[i]);
	for (uint32_t s = STOP; s < NR_STATES; s++)
		if (!check_has_state(c, s) && !check_set(c, s, NULL))
			return check_broken(c, "SET of %s, which it lacks",
					    NAME(s));
	if (check_get(c, &state) || state != RUNNING)
		return check_broken(c, "a refused SET changed its state");
	return check_holds(c, "%s", "");
}

/* One SET, and whether it must give a data fd. */
struct gift {
	uint32_t from, to;
	bool fd;
};

static const struct gift gifts[] = {
	{ RUNNING, STOP, false },     { STOP, STOP_COPY, true },
	{ STOP_COPY, STOP, false },   { STOP, RESUMING, true },
	{ RUNNING, STOP_COPY, true }, { RUNNING, RUN_P2P, false },
	{ RUNNING, PRE, true },	      { PRE, STOP_COPY, false },
	{ PRE, RUNNING, false },      { PRE, PRE_P2P, false },
	{ RUN_P2P, PRE_P2P, true },   { STOP, PRE, true },
	{ STOP, RUNNING, false },
};

enum check_verdict check_fsm_data_fd(struct check *c)
{
	uint32_t state;

	for (size_t i = 0; i < sizeof(gifts) / sizeof(gifts[0]); i++) {
		const struct gift *g = &gifts[i];
		int fd = -1;

		if (!check_has_state(c, g->from) || !check_has_state(c, g->to))
			continue;
		if (check_recover(c) ||
		    (g->from != RUNNING && check_go(c, g->from)) ||
		    check_set(c, g->to, &fd))
			return check_cannot(c, NAME(g->to), EIO);
		check_drop_fd(c);
		c->data_fd = fd;
		if ((fd >= 0) != g->fd)
			return check_broken(
				c, "%s to %s: %s", NAME(g->from), NAME(g->to),
				g->fd ? "no data fd" : "a data fd too many");
		if (check_get(c, &state) == -EBADMSG)
			return check_broken(c, "GET in %s gave a data fd",
					    NAME(g->to));
	}
	return check_holds(c, "%s", "");
}

enum check_verdict check_fsm_data_size(struct check *c)
{
	struct vfio_device_feature_mig_data_size size = { 0 };
	int r = check_feature(
		c, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
		&size, sizeof(size));

	check_note(c, "GET MIG_DATA_SIZE: %s, %llu",
		   r ? strerrorname_np(-r) : "0",
		   (unsigned long long)size.stop_copy_length);
	if (r == -ENOTTY)
		return check_skip(c, "this kernel or driver does not tell it");
	if (r)
		return check_broken(c, "%s", strerror(-r));
	if (!size.stop_copy_length)
		return check_broken(c, "it says that there is no state");
	return check_holds(c, "%llu bytes",
			   (unsigned long long)size.stop_copy_length);
}
