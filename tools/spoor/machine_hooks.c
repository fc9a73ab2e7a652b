/* SPDX-License-Identifier: MIT */
/*
 * What the library asks of the command: pause and run the guest, keep it from
 * a device, compare layouts, and the truth that softvfio keeps.
 *
 * Threads: called from the thread that migrates.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "machine.h"
#include "softvfio_door.h"

/* More are lost all the same: as many say enough. */
#define LOST_MAX 65536u

static int hook_pause(void *opaque)
{
	struct machine *m = opaque;

	if (m->guest)
		guest_pause(m->guest);
	return 0;
}

static int hook_resume(void *opaque)
{
	struct machine *m = opaque;

	if (m->guest)
		guest_resume(m->guest);
	return 0;
}

static int hook_block(void *opaque, struct spoor_device *dev, bool blocked)
{
	struct machine *m = opaque;

	for (size_t i = 0; i < m->mf->nr_devices && m->guest; i++)
		if (m->devices[i] == dev)
			guest_block(m->guest, i, blocked);
	return 0;
}

/* The guest goes on from memory alone, if both sides read it the same way. */
static int hook_save(void *opaque, void **ret_data, size_t *ret_len)
{
	struct machine *m = opaque;
	char *text = strdup(m->layout ? m->layout : "");

	if (!text)
		return -ENOMEM;
	*ret_data = text;
	*ret_len = strlen(text);
	return 0;
}

static int hook_load(void *opaque, const void *data, size_t len)
{
	struct machine *m = opaque;

	if (m->layout && strlen(m->layout) == len &&
	    !memcmp(m->layout, data, len))
		return 0;
	return machine_fail(m, 1, -EINVAL,
			    "the source's guest keeps its drivers' memory "
			    "elsewhere: its machine file differs");
}

static int by_address(const void *a, const void *b)
{
	const struct softvfio_lost *x = a, *y = b;

	return x->iova < y->iova ? -1 : x->iova > y->iova;
}

/* Neighbouring pages of one writer become one range. */
static size_t merge(const struct softvfio_lost *pages, size_t nr,
		    struct spoor_lost *out)
{
	size_t n = 0;

	for (size_t i = 0; i < nr; i++) {
		struct spoor_lost *last = n ? &out[n - 1] : NULL;

		if (last && !strcmp(last->writer, pages[i].writer) &&
		    last->range.iova + last->range.len == pages[i].iova) {
			last->range.len += pages[i].len;
			continue;
		}
		out[n].range.iova = pages[i].iova;
		out[n].range.len = pages[i].len;
		snprintf(out[n].writer, sizeof(out[n].writer), "%s",
			 pages[i].writer);
		n++;
	}
	return n;
}

/* At the source every entry is true by definition; see the truth's rules. */
static int hook_verify(void *opaque, struct spoor_lost **ret_lost,
		       size_t *ret_nr)
{
	struct softvfio_lost *pages;
	struct spoor_lost *lost;
	long nr;

	(void)opaque;
	/* Linked in but without devices it knows nothing. */
	if (!door_nr_devices())
		return 0;
	nr = door_truth_check(NULL, 0);
	if (nr <= 0)
		return (int)nr;
	if (nr > (long)LOST_MAX)
		nr = LOST_MAX;
	pages = calloc((size_t)nr, sizeof(*pages));
	lost = calloc((size_t)nr, sizeof(*lost));
	if (!pages || !lost) {
		free(pages);
		free(lost);
		return -ENOMEM;
	}
	door_truth_check(pages, (size_t)nr);
	qsort(pages, (size_t)nr, sizeof(*pages), by_address);
	*ret_nr = merge(pages, (size_t)nr, lost);
	*ret_lost = lost;
	free(pages);
	return 0;
}

const struct spoor_hooks machine_hooks = {
	.size = sizeof(machine_hooks),
	.pause = hook_pause,
	.resume = hook_resume,
	.block = hook_block,
	.save = hook_save,
	.load = hook_load,
	.verify = hook_verify,
};
