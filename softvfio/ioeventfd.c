/* SPDX-License-Identifier: MIT */
/*
 * VFIO_DEVICE_IOEVENTFD: a write to a BAR for each signal of an eventfd.
 *
 * Invariant: no two of a device have the same place, width and data.  Signals
 * that come faster than they are served are one, as of any eventfd.
 *
 * Threads: sv_watch_lock.
 */
#include "softvfio/device_priv.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define MAX_IOEVENTFDS 1000u
/* Up to and with fd; what is behind it came later. */
#define MIN_ARGSZ      28u
static_assert(offsetof(struct vfio_device_ioeventfd, fd) + 4 == MIN_ARGSZ,
	      "ABI");

struct sv_ioeventfd {
	struct sv_watch watch; /* first: one is the other */
	struct sv_device_state *st;
	unsigned int bar, len;
	uint64_t pos, data;
	struct sv_ioeventfd *next;
};

static void write_bar(struct sv_watch *w)
{
	struct sv_ioeventfd *io = (struct sv_ioeventfd *)w;

	/* With memory disabled it goes nowhere; nobody is there to be told. */
	sv_bar_store(io->st, io->bar, &io->data, io->len, io->pos);
}

static int check(const struct sv_device_state *st,
		 const struct vfio_device_ioeventfd *arg)
{
	uint32_t len = arg->flags & VFIO_DEVICE_IOEVENTFD_SIZE_MASK;
	uint64_t bar = arg->offset >> SV_REGION_SHIFT;
	uint64_t pos = arg->offset - (bar << SV_REGION_SHIFT);

	if (arg->argsz < MIN_ARGSZ || arg->flags != len ||
	    __builtin_popcount(len) != 1 || arg->fd < -1)
		return -EINVAL;
	if (bar >= MODEL_NR_BARS || pos + len > sv_bar_len(st, (unsigned)bar))
		return -EINVAL;
	/* The vectors are SET_IRQS' business. */
	if ((int)bar == st->config.msix_bar &&
	    pos < st->irqs.nr_vectors * (uint64_t)SV_MSIX_ENTRY_LEN)
		return -EINVAL;
	return 0;
}

static struct sv_ioeventfd **find(struct sv_device_state *st,
				  const struct sv_ioeventfd *like)
{
	struct sv_ioeventfd **at;

	for (at = &st->ioeventfds; *at; at = &(*at)->next) {
		if ((*at)->bar == like->bar && (*at)->pos == like->pos &&
		    (*at)->len == like->len && (*at)->data == like->data)
			break;
	}
	return at;
}

static void forget(struct sv_ioeventfd **at)
{
	struct sv_ioeventfd *io = *at;

	*at = io->next;
	io->st->nr_ioeventfds--;
	sv_watch_remove(&io->watch);
	free(io);
}

static int add(struct sv_device_state *st, const struct sv_ioeventfd *like,
	       int fd)
{
	SPOOR_AUTO_HEAP struct sv_ioeventfd *io = NULL;
	int r;

	if (st->nr_ioeventfds == MAX_IOEVENTFDS)
		return -ENOSPC;
	io = malloc(sizeof(*io));
	if (!io)
		return -ENOMEM;
	*io = *like;
	r = sv_watch_add(&io->watch, fd, write_bar);
	if (r)
		return r;
	io->next = st->ioeventfds;
	st->nr_ioeventfds++;
	st->ioeventfds = SPOOR_STEAL(io);
	return 0;
}

long sv_ioeventfd(struct sv_device_state *st, void *user)
{
	struct vfio_device_ioeventfd arg = { 0 };
	struct sv_ioeventfd like = { .st = st };
	struct sv_ioeventfd **at;
	int r;

	if (sv_copy_in(&arg, user, MIN_ARGSZ))
		return -EFAULT;
	r = check(st, &arg);
	if (r)
		return r;
	like.bar = (unsigned int)(arg.offset >> SV_REGION_SHIFT);
	like.pos = arg.offset & ((1ull << SV_REGION_SHIFT) - 1);
	like.len = arg.flags;
	like.data = arg.data;
	{
		SPOOR_LOCKED(&sv_watch_lock);

		at = find(st, &like);
		if (arg.fd >= 0)
			return *at ? -EEXIST : add(st, &like, arg.fd);
		if (!*at)
			return -ENODEV;
		forget(at);
	}
	return 0;
}

void sv_ioeventfd_close(struct sv_device_state *st)
{
	SPOOR_LOCKED(&sv_watch_lock);

	while (st->ioeventfds)
		forget(&st->ioeventfds);
}
