/* SPDX-License-Identifier: MIT */
/*
 * States in which a device must not write: given more work than it can do in
 * time, stopped, and watched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define TRIES_NS  1500000000ull
#define ENOUGH	  3u /* stops in the middle of work */
#define FLOOD_LEN (CHECK_DATA_LEN / 2)

/*
 * Memory that must not change, and work that must not end: 1 it did, at
 * *ret_at; 0; -ENOMEM.
 */
static int changes(struct check *c, const uint8_t *memory, size_t len,
		   uint64_t *ret_at)
{
	uint8_t *before = malloc(len);
	int r = 0;

	if (!before)
		return -ENOMEM;
	memcpy(before, memory, len);
	check_linger(c);
	for (size_t at = 0; at < len && !r; at += CHECK_PAGE) {
		if (!memcmp(before + at, memory + at, CHECK_PAGE))
			continue;
		*ret_at = at;
		r = 1;
	}
	free(before);
	if (!r && !c->ex->undone(c)) {
		check_note(c, "its work is done meanwhile");
		r = 1;
	}
	return r;
}

/* One stop: 1 it wrote, 0; counts those that cut its work short. */
static int try_one(struct check *c, uint64_t iova, uint64_t len, uint32_t state,
		   unsigned int *conclusive, uint64_t *ret_at)
{
	int r = check_fresh(c), wrote;

	if (!r)
		r = c->ex->flood(c, iova, len);
	check_note(c, "%s is given work at 0x%llx", c->ex->name,
		   (unsigned long long)iova);
	if (!r)
		r = check_go(c, state);
	if (r)
		return r;
	/* It may have been quick: then there is nothing to be seen. */
	if (!c->ex->undone(c))
		return 0;
	++*conclusive;
	wrote = changes(c, check_at(c, iova), len, ret_at);
	if (wrote > 0)
		check_note(c, "0x%llx changes meanwhile",
			   (unsigned long long)iova + *ret_at);
	return wrote;
}

static enum check_verdict watch(struct check *c, uint64_t iova, uint64_t len,
				const uint32_t *states, size_t nr)
{
	uint64_t until = check_now() + TRIES_NS;
	unsigned int conclusive = 0;
	uint64_t at = 0;
	int r = 0;

	for (unsigned int i = 0;
	     conclusive < ENOUGH && !r && (i < ENOUGH || check_now() < until);
	     i++)
		r = try_one(c, iova, len, states[i % nr], &conclusive, &at);
	if (r > 0)
		return check_broken(c, "0x%llx was written in that state",
				    (unsigned long long)iova + at);
	if (r < 0)
		return check_cannot(c, "stopping it at work", r);
	if (!conclusive)
		return check_skip(
			c, "its work was always done before it had stopped");
	return check_holds(c, "%u stops in the middle of work", conclusive);
}

enum check_verdict check_stop_dma(struct check *c)
{
	static const uint32_t states[] = { VFIO_DEVICE_STATE_STOP,
					   VFIO_DEVICE_STATE_STOP_COPY };

	return watch(c, CHECK_DATA, FLOOD_LEN, states, 2);
}

enum check_verdict check_p2p_peer(struct check *c)
{
	static const uint32_t states[] = { VFIO_DEVICE_STATE_RUNNING_P2P,
					   VFIO_DEVICE_STATE_PRE_COPY_P2P };
	size_t nr = c->caps & VFIO_MIGRATION_PRE_COPY ? 2 : 1;

	return watch(c, CHECK_PEER, c->peer_bar_len, states, nr);
}
